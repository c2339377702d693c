//! Progress of long work, on stderr.

use std::{
    fmt,
    io::{IsTerminal as _, stderr},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// Progress, where somebody looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    shown: bool,
}

impl Progress {
    /// Progress for a command; none if it is `quiet`.
    pub fn new(quiet: bool) -> Progress {
        Progress { shown: !quiet && stderr().is_terminal() }
    }

    fn new_bar(&self, bar: ProgressBar, template: &str) -> ProgressBar {
        if !self.shown {
            return ProgressBar::hidden();
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        match ProgressStyle::with_template(template) {
            Ok(style) => {
                let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
                    let _ = write!(out, "{:.0}", state.per_sec());
                };
                bar.with_style(style.with_key("rate", rate))
            }
            Err(_) => bar,
        }
    }

    /// Nothing to wait for.
    pub fn none(&self) -> ProgressBar {
        ProgressBar::hidden()
    }

    /// Artifacts that go by; nobody knows how many there are.
    pub fn spinner(&self, what: &'static str) -> ProgressBar {
        self.new_bar(ProgressBar::new_spinner(), "{spinner} {msg}: {human_pos} artifacts").with_message(what)
    }

    /// Something that takes a while.
    pub fn waiting(&self, what: &'static str) -> ProgressBar {
        self.new_bar(ProgressBar::new_spinner(), "{spinner} {msg}, {elapsed}").with_message(what)
    }

    /// A scan of so many artifacts.
    pub fn scan(&self, artifacts: u64) -> ProgressBar {
        self.new_bar(ProgressBar::new(artifacts), "{wide_bar} {human_pos}/{human_len} artifacts, {rate}/s{msg}, {eta} left")
    }

    /// Rounds of a measurement; how many there will be is told on the way.
    pub fn rounds(&self) -> ProgressBar {
        self.new_bar(ProgressBar::new(0), "{wide_bar} {human_pos}/{human_len} rounds, {elapsed}, {eta} left")
    }

    /// A replay of so many bounties.
    pub fn bar(&self, bounties: u64, nulls: bool) -> ProgressBar {
        let what = if nulls { "bounties, null strategies' included" } else { "bounties" };
        self.new_bar(ProgressBar::new(bounties), "{wide_bar} {human_pos}/{human_len} {msg}, {rate}/s, {eta} left").with_message(what)
    }
}
