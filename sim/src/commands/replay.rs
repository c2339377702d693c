//! `sim replay`: one corpus through the market.

use std::{
    io::{IsTerminal, Write, stderr},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::Result;
use clap::Args;
use datasets::{CheckOptions, Corpus};
use indicatif::{ProgressBar, ProgressStyle};
use replay::plan::Setup;

use super::Format;
use crate::{
    execute::{self, Broken, Wishes},
    exit::{Exit, OrExit},
    output::RunDirectory,
    report,
    settings::{Settings, SettingsArgs, scenario_sha256, scenario_toml},
    shipped, text,
};

const EXAMPLES: &str = "\
Examples:
  sim replay                                    the shipped panel, default scenario
  sim replay starter --strategy fixed?bid=0.5   the shipped files, really scanned
  sim replay my-corpus --scenario my.toml --set rivals.0.count=5 --out run
  sim replay my-corpus --engine engine.toml --format json";

/// Play a corpus through the market and report how the engine fared
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ReplayArgs {
    /// Corpus folder, verdict matrix (.csv, .csv.gz), or the name of a shipped corpus: `panel` (the default), `starter`
    #[arg(value_name = "CORPUS")]
    pub corpus: Option<PathBuf>,
    /// What is played.
    #[command(flatten)]
    pub settings: SettingsArgs,
    /// New folder for run.json, the scenario, the journal and a table of bounties
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// How the report is printed
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Threads; any number gives the same result
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// Leave out the comparison with the null strategies, which plays the market four times more
    #[arg(long)]
    pub no_nulls: bool,
    /// Nothing on stderr but errors
    #[arg(long)]
    pub quiet: bool,
}

impl ReplayArgs {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If the settings or the corpus are wrong, a file cannot be written, or an invariant is broken.
    pub fn run(self, out: &mut dyn Write) -> Result<Exit> {
        let settings = Settings::resolve(&self.settings)?;
        let progress = Progress { shown: !self.quiet && stderr().is_terminal() };
        let path = shipped::find(self.corpus.as_deref());
        let setup = self.set_up(&settings, &path, &progress)?;
        // The scenario as it is played: with the backends that the corpus decided on.
        let scenario_toml = scenario_toml(&setup.scenario);
        let scenario_sha256 = scenario_sha256(&setup.scenario);
        let out_directory = self.out.as_deref().map(RunDirectory::create).transpose().or_exit(Exit::Usage)?;
        let jobs = self.jobs.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        if !self.quiet {
            let seed = setup.scenario.seed;
            let name = text::plain(setup.corpus.name());
            let [scenario, corpus] = [scenario_sha256, setup.summary.sha256].map(|hash| hex::encode(&hash[..6]));
            writeln!(stderr(), "run: sim {}, scenario {scenario}, corpus {name} {corpus}, seed {seed}", env!("CARGO_PKG_VERSION"))?;
        }

        let interrupted = execute::interruption()?;
        let bar = progress.bar(setup.bounties * execute::plays(!self.no_nulls));
        let wishes =
            Wishes { command: command(), scenario_sha256, scenario_toml: &scenario_toml, out: out_directory, nulls: !self.no_nulls, jobs };
        let played = execute::execute(&setup, wishes, &interrupted, &|closed| bar.inc(closed));
        bar.finish_and_clear();
        let run = match played {
            Ok(run) => run,
            Err(error) if error.is::<Broken>() => return Err(error).or_exit(Exit::Broken),
            Err(error) if error.is::<replay::world::PlayError>() => return Err(error).or_exit(Exit::Usage),
            Err(error) => return Err(error),
        };
        match self.format {
            Format::Text => out.write_all(report::text(&run).as_bytes())?,
            Format::Json => {
                serde_json::to_writer_pretty(&mut *out, &run)?;
                writeln!(out)?;
            }
        }
        if let (Some(folder), false) = (&self.out, self.quiet) {
            writeln!(stderr(), "wrote {}", text::shown(folder))?;
        }
        Ok(if run.complete { Exit::Success } else { Exit::Interrupted })
    }

    fn set_up(&self, settings: &Settings, path: &Path, progress: &Progress) -> Result<Setup> {
        let corpus = Corpus::open(path)?;
        let spinner = progress.spinner("checking the corpus");
        let options = CheckOptions { files: corpus.has_files() };
        let summary = corpus.check(options, &mut |rows| spinner.set_position(rows))?;
        spinner.finish_and_clear();
        let folder = self.settings.scenario.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        Setup::new(settings.scenario.clone(), corpus, summary, &settings.engine_folder, folder).or_exit(Exit::Usage)
    }
}

/// Progress on stderr, where somebody looks at it.
struct Progress {
    shown: bool,
}

impl Progress {
    fn new_bar(&self, bar: ProgressBar, template: &str) -> ProgressBar {
        if !self.shown {
            return ProgressBar::hidden();
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }
    }

    fn spinner(&self, what: &'static str) -> ProgressBar {
        self.new_bar(ProgressBar::new_spinner(), "{spinner} {msg}: {human_pos} artifacts").with_message(what)
    }

    fn bar(&self, bounties: u64) -> ProgressBar {
        self.new_bar(ProgressBar::new(bounties), "{wide_bar} {human_pos}/{human_len} bounties, {per_sec}, {eta} left")
    }
}

/// The command as it was typed, quoted for a shell.
fn command() -> String {
    let quoted = |word: String| {
        let plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c));
        if plain { word } else { format!("'{}'", word.replace('\'', r"'\''")) }
    };
    let words = std::env::args_os().skip(1).map(|word| quoted(word.to_string_lossy().into_owned()));
    ["sim".to_owned()].into_iter().chain(words).collect::<Vec<_>>().join(" ")
}
