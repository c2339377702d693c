//! `sim replay`: one corpus through the market.

use std::{
    io::{Write, stderr},
    path::{self, Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use anyhow::Result;
use clap::Args;
use datasets::{CheckOptions, Corpus};
use replay::{
    plan::{Setup, choose_backends},
    world::PlayError,
};

use super::{
    Format,
    scan::{self, ScanningArgs},
};
use crate::{
    execute::{self, Broken, Wishes},
    exit::{Exit, OrExit},
    output::RunDirectory,
    progress::Progress,
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
    /// How artifacts are scanned that were not scanned before.
    #[command(flatten)]
    pub scanning: ScanningArgs,
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
        let progress = Progress::new(self.quiet);
        let path = shipped::find(self.corpus.as_deref());
        let interrupted = execute::interruption()?;
        let Some(setup) = self.set_up(&settings, &path, progress, &interrupted)? else { return Ok(Exit::Interrupted) };
        let scenario_sha256 = scenario_sha256(&settings.scenario);
        let scenario_toml = self.as_played(&settings, &setup, &path);
        let out_directory = self.out.as_deref().map(RunDirectory::create).transpose().or_exit(Exit::Usage)?;
        let jobs = self.scanning.jobs();
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
        for backend in &mut scenario.engine.backends {
            backend.located(&settings.engine_folder);
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

    /// Opens, checks and scans; nothing if that was interrupted.
    fn set_up(&self, settings: &Settings, path: &Path, progress: Progress, interrupted: &AtomicBool) -> Result<Option<Arc<Setup>>> {
        let corpus = Corpus::open(path)?;
        let mut scenario = settings.scenario.clone();
        let spinner = progress.spinner("checking the corpus");
        // Files are checked when they are scanned.
        let summary = corpus.check(CheckOptions { files: false }, &mut |rows| spinner.set_position(rows))?;
        spinner.finish_and_clear();
        let chosen = choose_backends(&mut scenario.engine, &corpus).or_exit(Exit::Usage)?;
        // What cannot be played need not be scanned.
        let setup = Setup::new(scenario, corpus, summary, self.scenario_folder()).or_exit(Exit::Usage)?;
        let (folder, scenario) = (&settings.engine_folder, &setup.scenario);
        let (verdicts, scan) = self.scanning.scan(&setup.corpus, setup.summary.rows, scenario, folder, interrupted, progress)?;
        scan::tell(&scan, self.quiet);
        if !scan.complete {
            return Ok(None);
        }
        let mut setup = setup.scanned(verdicts).or_exit(Exit::Usage)?;
        setup.warnings.extend(chosen.into_iter().chain(report::scan_warnings(&scan)));
        Ok(Some(Arc::new(setup)))
    }
}

/// The command as it was typed, quoted for a shell, without what changes nothing about the run: `--out` (a folder is
/// written once), `--jobs`, `--format`, `--quiet`, and those of the cache.
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
            "--out" | "--jobs" | "--format" | "--cache" if !value => drop(typed.next()),
            "--out" | "--jobs" | "--format" | "--cache" | "--rescan" | "--quiet" => {}
            _ => words.push(quoted(word)),
        }
    }
    words.join(" ")
}
