//! `sim replay`: one corpus through the market.

use std::{
    fmt,
    io::{IsTerminal, Write, stderr},
    num::NonZeroUsize,
    path::{self, Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::Result;
use clap::Args;
use datasets::{CheckOptions, Corpus};
use engine::{backend, config::BackendConfig};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use replay::{
    plan::{Scans, Setup, choose_backends},
    world::PlayError,
};

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
    /// Threads, at most 1024; any number gives the same result
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
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
        let scenario_sha256 = scenario_sha256(&settings.scenario);
        let scenario_toml = self.as_played(&settings, &setup, &path);
        let interrupted = execute::interruption()?;
        let out_directory = self.out.as_deref().map(RunDirectory::create).transpose().or_exit(Exit::Usage)?;
        let jobs = self.jobs.map_or_else(|| thread::available_parallelism().map_or(1, NonZeroUsize::get), usize::from);
        if !self.quiet {
            let seed = setup.scenario.seed;
            let name = text::plain(setup.corpus.name());
            let [scenario, corpus] = [scenario_sha256, setup.summary.sha256].map(|hash| hex::encode(&hash[..6]));
            // Nobody has to listen.
            let _ = writeln!(stderr(), "run: sim {}, scenario {scenario}, corpus {name} {corpus}, seed {seed}", env!("CARGO_PKG_VERSION"));
        }

        let bar = progress.bar(setup.bounties.saturating_mul(execute::plays(!self.no_nulls)), !self.no_nulls);
        let wishes =
            Wishes { command: command(), scenario_sha256, scenario_toml: &scenario_toml, out: out_directory, nulls: !self.no_nulls, jobs };
        let played = execute::execute(&setup, wishes, &interrupted, &|closed| bar.inc(closed));
        bar.finish_and_clear();
        let run = match played {
            Ok(run) => run,
            Err(error) if error.is::<Broken>() => return Err(error).or_exit(Exit::Broken),
            Err(error) if matches!(error.downcast_ref(), Some(PlayError::Setup(_))) => return Err(error).or_exit(Exit::Usage),
            Err(error) => return Err(error),
        };
        match self.format {
            Format::Text => out.write_all(report::text(&run).as_bytes())?,
            Format::Json => {
                let json = serde_json::to_string_pretty(&run)?;
                writeln!(out, "{json}")?;
            }
        }
        if let (Some(folder), false) = (&self.out, self.quiet) {
            let _ = writeln!(stderr(), "wrote {}", text::shown(folder));
        }
        Ok(if run.complete { Exit::Success } else { Exit::Interrupted })
    }

    /// The scenario for the run directory: with the backends that the corpus decided on, and files found from anywhere.
    fn as_played(&self, settings: &Settings, setup: &Setup, corpus: &Path) -> String {
        let absolute = |folder: &Path, file: &str| {
            path::absolute(folder.join(file)).map_or_else(|_| file.to_owned(), |path| path.to_string_lossy().into_owned())
        };
        let mut scenario = setup.scenario.clone();
        for file in scenario.engine.backends.iter_mut().flat_map(BackendConfig::paths_mut) {
            *file = absolute(&settings.engine_folder, file);
        }
        for group in scenario.rivals.iter_mut().filter(|group| group.profiles != "builtin") {
            group.profiles = absolute(self.scenario_folder(), &group.profiles);
        }
        let corpus = text::plain(&absolute(Path::new(""), &corpus.to_string_lossy()));
        format!("# Played on {corpus}, sha256 {}.\n\n{}", hex::encode(setup.summary.sha256), scenario_toml(&scenario))
    }

    fn scenario_folder(&self) -> &Path {
        self.settings.scenario.as_deref().and_then(Path::parent).unwrap_or(Path::new(""))
    }

    fn set_up(&self, settings: &Settings, path: &Path, progress: &Progress) -> Result<Arc<Setup>> {
        let corpus = Corpus::open(path)?;
        let spinner = progress.spinner("checking the corpus");
        let options = CheckOptions { files: corpus.has_files() };
        let summary = corpus.check(options, &mut |rows| spinner.set_position(rows))?;
        spinner.finish_and_clear();
        let mut scenario = settings.scenario.clone();
        let chosen = choose_backends(&mut scenario.engine, &corpus).or_exit(Exit::Usage)?;
        let backends = backend::build_all(&scenario.engine.backends, &settings.engine_folder).or_exit(Exit::Usage)?;
        let verdicts = crate::scan::scan(&corpus, &scenario.engine, &backends)?;
        let setup = Setup::new(scenario, corpus, summary, Scans::Table(verdicts), self.scenario_folder());
        let mut setup = setup.or_exit(Exit::Usage)?;
        setup.warnings.extend(chosen);
        Ok(Arc::new(setup))
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
            Ok(style) => {
                let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
                    let _ = write!(out, "{:.0}", state.per_sec());
                };
                bar.with_style(style.with_key("rate", rate))
            }
            Err(_) => bar,
        }
    }

    fn spinner(&self, what: &'static str) -> ProgressBar {
        self.new_bar(ProgressBar::new_spinner(), "{spinner} {msg}: {human_pos} artifacts").with_message(what)
    }

    fn bar(&self, bounties: u64, nulls: bool) -> ProgressBar {
        let what = if nulls { "bounties, null strategies' included" } else { "bounties" };
        self.new_bar(ProgressBar::new(bounties), "{wide_bar} {human_pos}/{human_len} {msg}, {rate}/s, {eta} left").with_message(what)
    }
}

/// The command as it was typed, quoted for a shell, without what changes nothing about the run: `--out` (a folder is
/// written once), `--jobs`, `--format` and `--quiet`.
fn command() -> String {
    let quoted = |word: String| {
        let plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c));
        if plain { word } else { format!("'{}'", word.replace('\'', r"'\''")) }
    };
    let mut words = vec!["sim".to_owned()];
    let mut typed = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = typed.next() {
        let (flag, value) = word.split_once('=').map_or((word.as_str(), false), |(flag, _)| (flag, true));
        match flag {
            "--out" | "--jobs" | "--format" if !value => drop(typed.next()),
            "--out" | "--jobs" | "--format" | "--quiet" => {}
            _ => words.push(quoted(word)),
        }
    }
    words.join(" ")
}
