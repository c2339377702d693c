//! Progress of long work, on stderr: a bar where somebody looks at it, lines of JSON where a program asked for them.
//!
//! What is asked for holds for the whole process ([`choose`]), for commands of commands and threads of threads.

use std::{
    fmt,
    io::{IsTerminal as _, Write as _, stderr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use serde::Serialize;

use crate::layout;

/// Time between two lines of JSON of one phase.
const PAUSE: Duration = Duration::from_millis(500);
/// Time between two looks at a counter that something else counts.
const LOOK: Duration = Duration::from_millis(200);
/// Columns below which a bar has no room for its words.
const NARROW: usize = 70;

/// How progress is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
#[repr(u8)]
pub enum Told {
    /// A bar if stderr is a terminal
    #[default]
    Auto,
    /// Lines of JSON
    Json,
    /// Not at all
    None,
}

static CHOSEN: AtomicU8 = AtomicU8::new(Told::Auto as u8);

/// Chooses how this process tells its progress.
pub fn choose(told: Told) {
    CHOSEN.store(told as u8, Ordering::Relaxed);
}

fn chosen() -> Told {
    [Told::Json, Told::None].into_iter().find(|told| *told as u8 == CHOSEN.load(Ordering::Relaxed)).unwrap_or_default()
}

/// Progress, where somebody looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    told: Told,
}

impl Progress {
    /// Progress for a command: no bar if it is `quiet`; who asked for JSON gets it all the same.
    pub fn new(quiet: bool) -> Progress {
        let told = match chosen() {
            Told::Auto if quiet || !stderr().is_terminal() || layout::is_dumb() => Told::None,
            chosen => chosen,
        };
        Progress { told }
    }

    /// Nothing to wait for.
    pub fn none(&self) -> Bar {
        Bar { bar: ProgressBar::hidden(), lines: None, watch: None }
    }

    /// `phase` of the work, of which `total` are to be done, if that is known; nothing is counted without a unit.
    pub fn phase(&self, phase: &'static str, unit: &'static str, total: Option<u64>) -> Bar {
        match self.told {
            Told::None => self.none(),
            Told::Auto => Bar { bar: drawn(phase, unit, total), lines: None, watch: None },
            Told::Json => {
                let bar = ProgressBar::hidden();
                bar.set_length(total.unwrap_or(0));
                let lines = Lines { phase, unit, known: total.is_some(), begun: Instant::now(), last: Mutex::new(Instant::now()) };
                lines.write(&bar);
                Bar { bar, lines: Some(Arc::new(lines)), watch: None }
            }
        }
    }

    /// Artifacts that go by; nobody knows how many there are.
    pub fn spinner(&self, phase: &'static str) -> Bar {
        self.phase(phase, "artifacts", None)
    }

    /// Something that takes a while.
    pub fn waiting(&self, phase: &'static str) -> Bar {
        self.phase(phase, "", None)
    }

    /// A scan of so many artifacts.
    pub fn scan(&self, artifacts: u64) -> Bar {
        self.phase("scanning", "artifacts", Some(artifacts))
    }

    /// Rounds of a measurement, at least so many; it is told on the way if there will be more.
    pub fn rounds(&self, least: u32) -> Bar {
        self.phase("measuring", "rounds", Some(u64::from(least)))
    }

    /// A replay of so many bounties.
    pub fn bar(&self, bounties: u64, nulls: bool) -> Bar {
        self.phase("playing", if nulls { "bounties, null strategies' included" } else { "bounties" }, Some(bounties))
    }

    /// About so many resamples, as `counter` counts them from now on.
    pub fn resampling(&self, resamples: u64, counter: &'static AtomicU64) -> Bar {
        let mut bar = self.phase("resampling", "resamples", Some(resamples));
        if self.told != Told::None {
            bar.watch = Some(Watch::new(bar.bar.clone(), bar.lines.clone(), counter));
        }
        bar
    }
}

fn drawn(phase: &'static str, unit: &'static str, total: Option<u64>) -> ProgressBar {
    let narrow = layout::of_stderr().is_some_and(|width| width < NARROW);
    let (bar, template) = match total {
        Some(total) if narrow => (ProgressBar::new(total), "{human_pos}/{human_len}, {rate}/s{msg}, {eta} left".to_owned()),
        Some(total) => {
            (ProgressBar::new(total), format!("{{wide_bar}} {{human_pos}}/{{human_len}} {unit}, {{rate}}/s{{msg}}, {{eta}} left"))
        }
        None if unit.is_empty() => (ProgressBar::new_spinner(), format!("{{spinner}} {phase}, {{elapsed}}")),
        None => (ProgressBar::new_spinner(), format!("{{spinner}} {phase}: {{human_pos}} {unit}, {{rate}}/s")),
    };
    bar.enable_steady_tick(LOOK);
    match ProgressStyle::with_template(&template) {
        Ok(style) => {
            let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
                let decimals = usize::from(state.per_sec() < 10.0);
                let _ = write!(out, "{:.decimals$}", state.per_sec());
            };
            bar.with_style(style.with_key("rate", rate))
        }
        Err(_) => bar,
    }
}

/// How far one phase is. It ends when this is dropped.
#[derive(Debug)]
pub struct Bar {
    bar: ProgressBar,
    lines: Option<Arc<Lines>>,
    watch: Option<Watch>,
}

impl Bar {
    /// So many more are done.
    pub fn inc(&self, more: u64) {
        self.bar.inc(more);
        self.tell();
    }

    /// So many are done.
    pub fn set_position(&self, done: u64) {
        self.bar.set_position(done);
        self.tell();
    }

    /// So many more are to be done than was known.
    pub fn inc_length(&self, more: u64) {
        self.bar.inc_length(more);
        self.bar.reset_eta();
        self.tell();
    }

    /// So many are to be done in all.
    pub fn set_length(&self, total: u64) {
        self.bar.set_length(total);
    }

    /// Words behind the rate.
    pub fn set_message(&self, message: String) {
        self.bar.set_message(message);
    }

    /// Time since the phase began.
    pub fn elapsed(&self) -> Duration {
        self.lines.as_ref().map_or_else(|| self.bar.elapsed(), |lines| lines.begun.elapsed())
    }

    /// Ends the phase.
    pub fn finish_and_clear(self) {
        drop(self);
    }

    fn tell(&self) {
        if let Some(lines) = &self.lines {
            lines.write_now_and_then(&self.bar);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(watch) = self.watch.take() {
            watch.end();
        }
        if let Some(lines) = &self.lines {
            lines.write(&self.bar);
        }
        self.bar.finish_and_clear();
    }
}

/// Puts a bar where a counter is, now and then.
#[derive(Debug)]
struct Watch {
    ended: Sender<()>,
    thread: JoinHandle<()>,
}

impl Watch {
    fn new(bar: ProgressBar, lines: Option<Arc<Lines>>, counter: &'static AtomicU64) -> Watch {
        let (ended, end) = mpsc::channel();
        let from = counter.load(Ordering::Relaxed);
        let look = move || {
            while end.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                bar.set_position(counter.load(Ordering::Relaxed) - from);
                if let Some(lines) = &lines {
                    lines.write_now_and_then(&bar);
                }
            }
            bar.set_position(counter.load(Ordering::Relaxed) - from);
        };
        Watch { ended, thread: thread::spawn(look) }
    }

    fn end(self) {
        // The last look is the one that the last line tells of.
        drop(self.ended);
        let _ = self.thread.join();
    }
}

/// One line: how far a phase is. README, "Progress for programs", is about these.
#[derive(Debug, Serialize)]
struct Line {
    phase: &'static str,
    unit: &'static str,
    done: u64,
    total: Option<u64>,
    rate: f64,
    eta_seconds: Option<f64>,
    elapsed_seconds: f64,
}

/// The lines of JSON of one phase.
#[derive(Debug)]
struct Lines {
    phase: &'static str,
    unit: &'static str,
    /// Whether anybody knows how many are to be done.
    known: bool,
    begun: Instant,
    last: Mutex<Instant>,
}

impl Lines {
    fn write_now_and_then(&self, bar: &ProgressBar) {
        // Whoever comes while another one writes has nothing to add.
        if let Ok(mut last) = self.last.try_lock()
            && last.elapsed() >= PAUSE
        {
            *last = Instant::now();
            self.put(bar, last);
        }
    }

    fn write(&self, bar: &ProgressBar) {
        self.put(bar, self.last.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Writes with the lock held, so that no line stands before an earlier one.
    fn put(&self, bar: &ProgressBar, _turn: MutexGuard<'_, Instant>) {
        let line = line(self.phase, self.unit, bar.position(), self.known.then(|| bar.length().unwrap_or(0)), self.begun.elapsed());
        if let Ok(line) = serde_json::to_string(&line) {
            // Nobody has to listen.
            let _ = writeln!(stderr(), "{line}");
        }
    }
}

fn line(phase: &'static str, unit: &'static str, done: u64, total: Option<u64>, elapsed: Duration) -> Line {
    let rounded = |figure: f64| (figure * 1e3).round() / 1e3;
    let seconds = elapsed.as_secs_f64();
    let rate = if seconds > 0.0 { done as f64 / seconds } else { 0.0 };
    let left = |total: u64| (rate > 0.0).then(|| rounded(total.saturating_sub(done) as f64 / rate));
    Line { phase, unit, done, total, rate: rounded(rate), eta_seconds: total.and_then(left), elapsed_seconds: rounded(seconds) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_follows_from_the_rate() {
        let figures = |done, total, seconds| {
            let line = line("playing", "bounties", done, total, Duration::from_secs(seconds));
            (line.rate, line.eta_seconds)
        };
        assert_eq!(figures(100, Some(400), 10), (10.0, Some(30.0)));
        assert_eq!(figures(400, Some(400), 10), (40.0, Some(0.0)));
        assert_eq!(figures(0, Some(400), 10), (0.0, None), "nobody can tell");
        assert_eq!(figures(100, None, 10), (10.0, None));
        assert_eq!(figures(500, Some(400), 10), (50.0, Some(0.0)), "more than was thought");
    }
}
