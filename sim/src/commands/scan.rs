//! `sim scan`: a corpus through the engine's backends, once.

use std::{
    fs,
    io::{Write, stderr},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError, atomic::AtomicBool},
    thread,
};

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use datasets::{CheckOptions, Corpus};
use engine::{filter::Filter, scanner::Scanner};
use replay::{plan::choose_backends, scenario::Scenario, verdicts::VerdictTable};

use super::Format;
use crate::{
    cache, execute,
    exit::{Exit, OrExit},
    progress::Progress,
    report,
    scan::{self, ScanReport, Wishes},
    settings::{Settings, SettingsArgs},
    shipped, text,
};

const EXAMPLES: &str = "\
Examples:
  sim scan my-corpus --engine engine.toml                 what is new
  sim scan my-corpus --engine engine.toml --rescan        everything again
  sim scan starter --set engine.backends.0.kind=eicar     the shipped files
  sim scan my-corpus --engine engine.toml --format json   figures and errors

Verdicts are kept by the artifact's hash and the backend's fingerprint (version, rules, limits), so a replay or another \
scan asks only what is missing. Ctrl-C keeps what is done; the same command goes on.";

/// Scan the artifacts of a corpus with the engine's backends, and keep the verdicts
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ScanArgs {
    /// Corpus folder, or the name of a shipped corpus: `starter`
    #[arg(value_name = "CORPUS")]
    pub corpus: PathBuf,
    /// Whose backends.
    #[command(flatten)]
    pub settings: SettingsArgs,
    /// Where and how.
    #[command(flatten)]
    pub scanning: ScanningArgs,
    /// How the report is printed
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Nothing on stderr but errors
    #[arg(long)]
    pub quiet: bool,
}

/// The flags of scanning, as `sim scan` and `sim replay` share them.
#[derive(Clone, Debug, Default, Args)]
pub struct ScanningArgs {
    /// Folder of verdicts; without it, one in the user's cache folder
    #[arg(long, value_name = "DIR", env = "SIM_CACHE")]
    pub cache: Option<PathBuf>,
    /// Ask again what is known, too
    #[arg(long)]
    pub rescan: bool,
    /// Threads, at most 1024; any number gives the same verdicts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
}

impl ScanningArgs {
    /// The number of threads: one for each core, unless it was said.
    pub fn jobs(&self) -> usize {
        self.jobs.map_or_else(|| thread::available_parallelism().map_or(1, NonZeroUsize::get), usize::from)
    }

    /// Scans what is missing. Recorded backends have nothing to scan: without others the table is empty.
    ///
    /// # Errors
    ///
    /// If a backend cannot be used, the corpus not be read, or the cache not be written.
    pub fn scan(
        &self,
        corpus: &Corpus,
        artifacts: u64,
        scenario: &Scenario,
        engine_folder: &Path,
        interrupted: &AtomicBool,
        progress: Progress,
    ) -> Result<(VerdictTable, ScanReport)> {
        let loading = progress.waiting("loading backends");
        let scanner = Scanner::new(&scenario.engine, engine_folder).or_exit(Exit::Usage)?;
        loading.finish_and_clear();
        let cache = match &self.cache {
            Some(folder) => folder.clone(),
            None if scanner.is_empty() => PathBuf::new(),
            None => cache::default_folder().or_exit(Exit::Usage)?,
        };
        if !scanner.is_empty() {
            let unusable = || format!("cannot use the folder of verdicts {}; name another one with --cache", text::shown(&cache));
            fs::create_dir_all(&cache).with_context(unusable).or_exit(Exit::Usage)?;
        }
        let bar = if scanner.is_empty() { progress.none() } else { progress.scan(artifacts) };
        let bytes = Mutex::new(0);
        let tell = |artifacts: u64, read: u64| {
            let mut bytes = bytes.lock().unwrap_or_else(PoisonError::into_inner);
            *bytes += read;
            bar.inc(artifacts);
            let seconds = bar.elapsed().as_secs_f64();
            bar.set_message(format!(", {:.1} MB/s", *bytes as f64 / 1e6 / seconds.max(1e-3)));
        };
        let filter = Filter::new(&scenario.engine.filter).or_exit(Exit::Usage)?;
        let wishes = Wishes { cache: &cache, filter: &filter, rescan: self.rescan, jobs: self.jobs(), interrupted, progress: &tell };
        let scanned = scan::scan(corpus, &scanner, &wishes);
        bar.finish_and_clear();
        scanned
    }
}

impl ScanArgs {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If the settings, the corpus or a backend are wrong, or the cache cannot be used.
    pub fn run(self, out: &mut dyn Write) -> Result<Exit> {
        let settings = Settings::resolve(&self.settings)?;
        let progress = Progress::new(self.quiet);
        let corpus = Corpus::open(&shipped::find(Some(&self.corpus)))?;
        let mut scenario = settings.scenario.clone();
        let spinner = progress.spinner("checking the corpus");
        let summary = corpus.check(CheckOptions { files: false }, &mut |rows| spinner.set_position(rows))?;
        spinner.finish_and_clear();
        let chosen = choose_backends(&mut scenario.engine, &corpus).or_exit(Exit::Usage)?;
        let interrupted = execute::interruption()?;
        let (_, mut scan) = self.scanning.scan(&corpus, summary.rows, &scenario, &settings.engine_folder, &interrupted, progress)?;
        scan.warnings.extend(chosen);
        match self.format {
            Format::Text => out.write_all(report::scan(&text::cut(corpus.name(), 60), &scenario.engine.name, &scan).as_bytes())?,
            Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&scan)?)?,
        }
        if !scan.complete {
            return Ok(Exit::Interrupted);
        }
        // What is partly blind is reported; what sees nothing at all is of no use to anybody who waits for it.
        if scan.nothing_answered() {
            return Err(anyhow!("every backend failed on every artifact; the report says why")).or_exit(Exit::Usage);
        }
        Ok(Exit::Success)
    }
}

/// What a replay says of its scan, on stderr.
pub fn tell(scan: &ScanReport, quiet: bool) {
    if !quiet && !scan.backends.is_empty() {
        // Nobody has to listen.
        let _ = writeln!(stderr(), "scan: {}", report::scanned(scan));
    }
}
