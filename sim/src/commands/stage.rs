//! What all commands that play a market have in common: which corpus is played how, opened, checked and scanned.

use std::{
    io::{Write, stderr},
    path::{self, Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use anyhow::{Result, anyhow};
use clap::Args;
use datasets::{CheckOptions, Corpus, CorpusSummary};
use replay::plan::{Setup, choose_backends};

use super::scan::{self, ScanningArgs};
use crate::{
    exit::{Exit, OrExit},
    progress::Progress,
    report,
    settings::{Settings, SettingsArgs, scenario_sha256, scenario_toml},
    shipped, text,
    timeline::Timeline,
};

/// What is played.
#[derive(Debug, Args)]
pub struct StageArgs {
    /// Corpus folder, verdict matrix (.csv, .csv.gz), or the name of a shipped corpus: `panel` (the default), `starter`
    #[arg(value_name = "CORPUS")]
    pub corpus: Option<PathBuf>,
    /// The market and the engine.
    #[command(flatten)]
    pub settings: SettingsArgs,
    /// How artifacts are scanned that were not scanned before.
    #[command(flatten)]
    pub scanning: ScanningArgs,
    /// Nothing on stderr but errors
    #[arg(long)]
    pub quiet: bool,
}

/// A market that can be played.
#[derive(Debug)]
pub struct Stage {
    /// Everything a run is made of.
    pub setup: Arc<Setup>,
    /// SHA-256 of the resolved scenario.
    pub scenario_sha256: [u8; 32],
    /// The resolved scenario: with the backends that the corpus decided on, and files found from anywhere.
    pub scenario_toml: String,
}

impl StageArgs {
    /// Opens, checks and scans; nothing if that was interrupted. Says what is played.
    ///
    /// # Errors
    ///
    /// If the settings, the corpus or a backend are wrong, or the cache cannot be used.
    pub fn set(&self, progress: Progress, interrupted: &AtomicBool) -> Result<Option<Stage>> {
        let stage = self.set_if(progress, interrupted, |_| Ok(()))?;
        if let Some(stage) = stage.as_ref().filter(|_| !self.quiet) {
            stage.tell();
        }
        Ok(stage)
    }

    /// The same without a word, if what the corpus was found to hold is `expected`; otherwise nothing is scanned.
    ///
    /// # Errors
    ///
    /// Those of [`StageArgs::set`], and of `expected`.
    pub fn set_if(
        &self,
        progress: Progress,
        interrupted: &AtomicBool,
        expected: impl FnOnce(&CorpusSummary) -> Result<()>,
    ) -> Result<Option<Stage>> {
        let settings = Settings::resolve(&self.settings)?;
        let path = shipped::find(self.corpus.as_deref());
        if let Some(name) = self.corpus.as_ref().filter(|name| !path.exists() && name.components().count() == 1) {
            let error = anyhow!(
                "there is no corpus {}; name a folder, a verdict matrix (.csv or .csv.gz), or a shipped corpus: `panel`, `starter`",
                text::shown(name)
            );
            return Err(error).or_exit(Exit::Usage);
        }
        let corpus = Corpus::open(&path)?;
        let mut scenario = settings.scenario.clone();
        let spinner = progress.spinner("checking the corpus");
        // Files are checked when they are scanned.
        let summary = corpus.check(CheckOptions { files: false }, &mut |rows| spinner.set_position(rows))?;
        spinner.finish_and_clear();
        expected(&summary)?;
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
        setup.missing_answers = scan.missing();
        // Recorded backends are not scanned with, and have answers.
        setup.nothing_answered = scan.nothing_answered() && scan.backends.len() == setup.scenario.engine.backends.len();
        Ok(Some(Stage {
            scenario_sha256: scenario_sha256(&settings.scenario),
            scenario_toml: self.as_played(&settings, &setup, &path),
            setup: Arc::new(setup),
        }))
    }

    /// The scenario for the run directory.
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

    /// The folder that files of rivals are relative to.
    pub fn scenario_folder(&self) -> &Path {
        self.settings.scenario.as_deref().and_then(Path::parent).unwrap_or(Path::new(""))
    }
}

impl Stage {
    fn tell(&self) {
        let Setup { scenario, corpus, summary, .. } = &*self.setup;
        let name = text::plain(corpus.name());
        let [hash, corpus] = [self.scenario_sha256, summary.sha256].map(|hash| hex::encode(&hash[..6]));
        // Nobody has to listen.
        let _ =
            writeln!(stderr(), "run: sim {}, scenario {hash}, corpus {name} {corpus}, seed {}", env!("CARGO_PKG_VERSION"), scenario.seed);
    }
}

/// When the artifacts of a market were first seen.
///
/// # Errors
///
/// If the corpus cannot be read.
pub fn timeline(setup: &Setup, progress: Progress) -> Result<Timeline> {
    let played = setup.bounties.saturating_mul(u64::from(setup.scenario.ambassadors.artifacts));
    let bar = progress.phase("reading dates", "artifacts", Some(played.min(setup.summary.rows)));
    Timeline::read(setup, &|rows| bar.inc(rows))
}

/// A word as a shell takes it.
pub fn quoted(word: &str) -> String {
    let plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c));
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// The command as it was typed, quoted for a shell, without what changes nothing about its result: `--out` (a folder is
/// written once), `--jobs`, `--format`, `--quiet`, `--progress`, those of the cache, and `others`, which take a value.
pub fn command(others: &[&str]) -> String {
    let mut words = vec!["sim".to_owned()];
    let mut typed = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = typed.next() {
        let (flag, value) = word.split_once('=').map_or((word.as_str(), false), |(flag, _)| (flag, true));
        match flag {
            "--out" | "--jobs" | "--format" | "--cache" | "--progress" if !value => drop(typed.next()),
            "--out" | "--jobs" | "--format" | "--cache" | "--progress" | "--rescan" | "--quiet" => {}
            _ if others.contains(&flag) => {
                if !value {
                    typed.next();
                }
            }
            _ => words.push(quoted(&word)),
        }
    }
    words.join(" ")
}
