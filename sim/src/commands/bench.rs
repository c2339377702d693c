//! `sim bench`: how fast scanners and markets are, and gates for a CI. What is measured how is set up here; `run` carries it out.

mod files;
mod run;

use std::{
    io::Write,
    mem,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use datasets::{CheckOptions, Corpus};
use replay::plan::{Setup, choose_backends};

use self::run::Bench;
use super::{scan::ScanningArgs, stage::StageArgs};
use crate::{
    bench::{
        BenchName, MarketName, baseline,
        replay::ReplaySide,
        rounds::{Plan, Side as _},
        scan::{self as scanning, How, ScanSide},
    },
    execute,
    exit::{Exit, OrExit},
    figures::Subject,
    progress::Progress,
    report::bench as reports,
    settings::{Settings, SettingsArgs, scenario_sha256},
    shipped, text,
};

const EXAMPLES: &str = "\
Examples:
  sim bench scan my-corpus --engine engine.toml    backends, cold and warm
  sim bench scan my-corpus --engine new.toml --against old.toml \\
      --gate 'cpu_seconds <= base * 1.05'
  sim bench replay panel --gate 'nct_per_bounty >= 0.5'
  sim bench figures                                what a gate may speak of";

const SCAN_EXAMPLES: &str = "\
Examples:
  sim bench scan my-corpus --engine engine.toml
  sim bench scan my-corpus --engine engine.toml \\
      --gate 'p99_scan <= 2s' --gate 'tpr >= 0.9'
  sim bench scan my-corpus --engine new.toml --against old.toml \\
      --gate 'cpu_seconds <= base * 1.05'
  sim bench scan my-corpus --engine engine.toml \\
      --against '/old/sim bench scan my-corpus --engine engine.toml --once' \\
      --gate 'cpu_seconds <= base * 1.05'
  sim bench scan my-corpus --engine engine.toml --save-baseline main
  sim bench scan my-corpus --engine engine.toml --baseline main \\
      --gate 'verdicts_sha256 == base' --export junit=gates.xml \\
      --export markdown=summary.md --export json=bench.json";

const REPLAY_EXAMPLES: &str = "\
Examples:
  sim bench replay my-corpus --gate 'nct_per_bounty >= 0.5' \\
      --gate 'bounties_per_s >= 20000'
  sim bench replay my-corpus --engine new.toml --against old.toml \\
      --gate 'nct_per_bounty >= base - 1%'
  sim bench replay my-corpus \\
      --against '/old/sim bench replay my-corpus --once' \\
      --gate 'decisions_sha256 == base' --gate 'cpu_seconds <= base * 1.05'
  sim bench replay my-corpus --save-baseline main
  sim bench replay my-corpus --baseline main \\
      --gate 'journal_sha256 == base' --export junit=gates.xml";

// Paragraphs are one line each: the terminal's width folds them.
const GATES: &str = "\
Gates: FIGURE OP EXPRESSION; `sim bench figures` lists figures. An expression has `base`, numbers with units (ns us ms \
s min, B kB MB GB KiB MiB GiB, NCT, %), + - * / and parentheses; after + and -, a percentage is of what stands left of \
it, whatever its sign: `base - 1%` is 0.99 for a base of 1 and -1.01 for one of -1. OP: >= <= > < == !=
  'files_per_s >= base * 0.95'        'p99_scan <= 2s'
  'backends.yara.p99 <= base + 10%'   'peak_memory <= 512 MiB'
  'nct_per_bounty >= base - 1%'       'instructions <= base + 2%'
  'decisions_sha256 == base'          'tpr >= 0.9'

Exact figures (accuracy, NCT, hashes, counts) pass or fail as they are, unless time-outs, crashes or other answers to the \
same question decided them: then they cannot be told. `instructions` passes or fails if it is more than 1 % off the bound. \
A measured one passes if the whole interval of its rounds is on the good \
side of the bound, fails if it is beyond, and cannot be told on this machine otherwise. More rounds are taken while it \
cannot, up to --max-time. Looking again and all gates together make intervals wider: at --confidence 0.95, one run in \
twenty or fewer gets any measured gate wrong. On a busy machine `cpu_seconds` and `p50_scan` can be told sooner than \
`files_per_s`, which waits for whatever else runs.

What `base` is:
  --against engine.toml
    Another engine, scanned or played in this process in turns with ours, AB BA BA AB and so on. Pairs of rounds are \
compared, so what else the machine does meets both: the way to compare in a CI. Everything but --engine is meant for both.
  --against 'COMMAND'
    Given to the shell once a round; prints the JSON report of a `sim bench ... --once`, of another build of sim, say. \
Our side is then a process of its own, too.
  --baseline NAME|FILE
    A report that --save-baseline kept. Measured gates allow for how far the noise probe has drifted since, and cannot be \
told on another machine; exact ones can.

Exit codes: 0 all gates pass, or none fails; 2 usage, such as a gate that could never be told; 3 a gate failed; 130 interrupted. The report is written in any \
case, once a round is over; old ones of the same names are taken away first.";

/// Examples and what is said of gates.
fn help(examples: &str) -> String {
    format!("{examples}\n\n{GATES}")
}

/// Seconds that a warm round should take at least; of a process that has one alone.
const ROUND: f64 = 0.03;
const ONLY_ROUND: f64 = 0.2;
/// Artifacts of a warm round, at least: of fewer, 99 % is the longest.
const ANSWERS: usize = 100;

/// Measure scanners and markets, and fail where they got worse
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub struct BenchArgs {
    #[command(subcommand)]
    command: BenchCommand,
}

#[derive(Debug, Subcommand)]
enum BenchCommand {
    Scan(Box<BenchScanArgs>),
    Replay(Box<BenchReplayArgs>),
    Figures(BenchFiguresArgs),
}

/// Scan a corpus again and again: throughput, latency, processor time, memory, accuracy; no verdict is kept
#[derive(Debug, Args)]
#[command(after_help = help(SCAN_EXAMPLES))]
pub struct BenchScanArgs {
    /// Corpus folder, or the name of a shipped corpus: `starter`
    #[arg(value_name = "CORPUS")]
    corpus: PathBuf,
    /// Whose backends.
    #[command(flatten)]
    settings: SettingsArgs,
    /// Show backends the same bytes in every round; otherwise some are added to each artifact, so that no cache knows them
    #[arg(long)]
    no_perturb: bool,
    /// Threads; one for each core, unless it is said
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Nothing on stderr but errors, and gates that cannot be told
    #[arg(long)]
    quiet: bool,
    /// How, and what for.
    #[command(flatten)]
    measure: MeasureArgs,
}

/// Play a market again and again: bounties a second, processor time, memory, and what the run comes to
#[derive(Debug, Args)]
#[command(after_help = help(REPLAY_EXAMPLES))]
pub struct BenchReplayArgs {
    /// What is played.
    #[command(flatten)]
    stage: StageArgs,
    /// Leave out the null strategies, which are played once to say what is gained over them
    #[arg(long)]
    no_nulls: bool,
    /// How, and what for.
    #[command(flatten)]
    measure: MeasureArgs,
}

/// List every figure that a gate may speak of
#[derive(Debug, Args)]
pub struct BenchFiguresArgs {
    /// Those of one command only
    #[arg(value_enum)]
    of: Option<Which>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Which {
    /// `sim bench scan`
    Scan,
    /// `sim bench replay`
    Replay,
}

/// How is measured, what must hold, and where the report goes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Measuring")]
pub struct MeasureArgs {
    /// Warm rounds, at least; gates on measured figures take 10
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
    /// Seconds on the clock for warm rounds of each side, at least; a round is as short as the corpus allows, but 0.03 s
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = seconds)]
    min_time: f64,
    /// Seconds within which rounds are added because a gate cannot be told
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, value_parser = seconds)]
    max_time: f64,
    /// Rounds before those that count
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(..=1000))]
    warm_up: u32,
    /// Cold rounds: everything is loaded anew, and the system is asked to forget the files; gates on them take 10
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    cold: u32,
    /// Leave out the noise probe, which takes a second or so before and after
    #[arg(long)]
    no_probe: bool,
    /// Count the instructions of one more round on one thread with valgrind, after the others
    #[arg(long)]
    instructions: bool,
    /// One round of each kind, no probe, JSON: what --against starts
    #[arg(long, conflicts_with_all = ["against", "baseline", "save_baseline", "gate", "instructions", "export", "export_json"])]
    once: bool,
    /// One cold round and nothing else: what valgrind counts.
    #[arg(long, hide = true, conflicts_with = "once")]
    counted: bool,
    /// Must hold, or the exit code is 3; repeatable
    #[arg(long, value_name = "GATE", help_heading = "Gates")]
    gate: Vec<String>,
    /// What `base` is, measured in turns: another engine (a .toml file), or a command that prints a report
    #[arg(long, value_name = "COMMAND|FILE", help_heading = "Gates", conflicts_with = "baseline")]
    against: Option<String>,
    /// What `base` is, measured before: the name of a baseline, or the file of a report
    #[arg(long, value_name = "NAME|FILE", help_heading = "Gates")]
    baseline: Option<String>,
    /// Keep the report as a baseline, unless a gate fails by the exit code or answers are missing; a fit one is not replaced while
    /// a gate on `base` cannot be told
    #[arg(long, value_name = "NAME", help_heading = "Gates")]
    save_baseline: Option<String>,
    /// Folder of baselines, for a CI to cache
    #[arg(long, value_name = "DIR", help_heading = "Gates", env = "SIM_BASELINES", default_value = baseline::FOLDER)]
    baselines: PathBuf,
    /// Confidence of all measured gates together, and of intervals
    #[arg(long, value_name = "SHARE", help_heading = "Gates", default_value_t = 0.95, value_parser = confidence)]
    confidence: f64,
    /// What becomes of a gate that cannot be told
    #[arg(long, value_enum, help_heading = "Gates", default_value_t)]
    cannot_tell: CannotTell,
    /// How the report is printed
    #[arg(long, value_enum, help_heading = "Report", default_value_t)]
    format: BenchFormat,
    /// Write the report to a file, too, as in `junit=gates.xml`; repeatable, formats as for --format and `hyperfine`
    #[arg(long, value_name = "FORMAT=FILE", help_heading = "Report")]
    export: Vec<Export>,
    /// Write times as hyperfine does: `--export hyperfine=FILE`
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    export_json: Option<PathBuf>,
}

/// What becomes of a gate that cannot be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
enum CannotTell {
    /// Exit code 0
    Pass,
    /// Exit code 0, and a line on stderr that says so
    #[default]
    Warn,
    /// Exit code 3
    Fail,
}

/// How a report of `sim bench` is printed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, ValueEnum)]
pub enum BenchFormat {
    /// For people
    #[default]
    Text,
    /// Everything
    Json,
    /// Bencher Metric Format, for Bencher's adapter `json`
    Bmf,
    /// github-action-benchmark's `customSmallerIsBetter`: figures that get better with less
    GithubBenchmark,
    /// github-action-benchmark's `customBiggerIsBetter`: the others
    GithubBenchmarkBigger,
    /// A test case for each gate; one that cannot be told is skipped
    Junit,
    /// A summary of a CI's step
    Markdown,
    /// hyperfine's `--export-json`
    Hyperfine,
}

/// A format and the file that it goes to.
#[derive(Clone, Debug)]
struct Export {
    format: BenchFormat,
    file: PathBuf,
}

impl FromStr for Export {
    type Err = String;

    fn from_str(typed: &str) -> Result<Export, String> {
        let (format, file) = typed.split_once('=').ok_or("write FORMAT=FILE, as in `junit=gates.xml`")?;
        let format = BenchFormat::from_str(format, false).map_err(|_| {
            let all = BenchFormat::value_variants().iter().filter_map(ValueEnum::to_possible_value);
            let all: Vec<String> = all.map(|value| value.get_name().to_owned()).collect();
            format!("there is no format {}; there are {}", text::quote(format), all.join(", "))
        })?;
        if file.is_empty() { Err("the file has no name".to_owned()) } else { Ok(Export { format, file: file.into() }) }
    }
}

fn seconds(typed: &str) -> Result<f64, String> {
    let seconds: f64 = typed.trim_end_matches('s').parse().map_err(|_| "write a number of seconds, such as 2.5")?;
    if (0.0..=86_400.0).contains(&seconds) { Ok(seconds) } else { Err("it must be between 0 and 86400".to_owned()) }
}

fn confidence(typed: &str) -> Result<f64, String> {
    let share: f64 = typed.parse().map_err(|_| "write a share such as 0.95")?;
    if (0.5..=0.9999).contains(&share) { Ok(share) } else { Err("it must be between 0.5 and 0.9999".to_owned()) }
}

impl BenchArgs {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If what is to be measured is wrong, cannot be measured, or a file cannot be written.
    pub fn run(self, out: &mut dyn Write) -> Result<Exit> {
        match self.command {
            BenchCommand::Scan(args) => args.run(out),
            BenchCommand::Replay(args) => args.run(out),
            BenchCommand::Figures(args) => args.run(out),
        }
    }
}

impl BenchFiguresArgs {
    fn run(self, out: &mut dyn Write) -> Result<Exit> {
        let subjects = [(Which::Scan, Subject::Scan), (Which::Replay, Subject::Replay)];
        let wanted = subjects.into_iter().filter(|(which, _)| self.of.is_none_or(|of| of == *which));
        out.write_all(reports::figures(wanted.map(|(_, subject)| subject)).as_bytes())?;
        Ok(Exit::Success)
    }
}

impl BenchScanArgs {
    fn run(self, out: &mut dyn Write) -> Result<Exit> {
        self.measure.prepare().or_exit(Exit::Usage)?;
        let jobs = ScanningArgs { jobs: self.jobs, ..ScanningArgs::default() }.jobs();
        let settings = Settings::resolve(&self.settings)?;
        let corpus = Corpus::open(&shipped::find(Some(&self.corpus)))?;
        let quiet = self.quiet || self.measure.unseen();
        let progress = Progress::new(quiet);
        let spinner = progress.spinner("checking the corpus");
        let summary = corpus.check(CheckOptions { files: false }, &mut |rows| spinner.set_position(rows))?;
        spinner.finish_and_clear();
        let interrupted = execute::interruption()?;
        let perturb = (!self.no_perturb).then(nonce);
        let how = How { jobs, perturb, interrupted: &interrupted };
        let engine_of = |settings: &Settings| {
            let mut engine = settings.scenario.engine.clone();
            choose_backends(&mut engine, &corpus).or_exit(Exit::Usage)?;
            anyhow::Ok(engine)
        };
        let engine = engine_of(&settings)?;
        let rows = scanning::rows(&corpus, &engine)?;
        let mut ours = ScanSide::new(&corpus, &rows, engine, settings.engine_folder.clone(), how)?;
        if self.measure.counted {
            ours.cold()?;
            return Ok(Exit::Success);
        }
        let bench = Bench {
            subject: Subject::Scan,
            name: BenchName {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                corpus: corpus.name().to_owned(),
                corpus_sha256: hex::encode(summary.sha256),
                engine: settings.scenario.engine.name.clone(),
                strategy: None,
                scenario_sha256: hex::encode(scenario_sha256(&settings.scenario)),
                market: None,
            },
            jobs,
            passes: ANSWERS.div_ceil(rows.len()) as u32,
            perturbed: perturb,
            nulls: false,
            measure: &self.measure,
            progress,
            quiet,
            interrupted: &interrupted,
        };
        let terms = bench.terms(&ours.backends())?;
        match self.measure.opponent() {
            Opponent::Engine(file) => {
                let theirs = Settings::resolve(&SettingsArgs { engine: Some(file), ..self.settings.clone() })?;
                let engine = engine_of(&theirs)?;
                let their_rows = scanning::rows(&corpus, &engine)?;
                let mut other = ScanSide::new(&corpus, &their_rows, engine, theirs.engine_folder.clone(), how)?;
                bench.run(&mut [&mut ours, &mut other], terms, out)
            }
            Opponent::Command(command) => {
                drop(ours);
                bench.run_processes(command, terms, out)
            }
            Opponent::Nobody => bench.run(&mut [&mut ours], terms, out),
        }
    }
}

impl BenchReplayArgs {
    fn run(mut self, out: &mut dyn Write) -> Result<Exit> {
        self.measure.prepare().or_exit(Exit::Usage)?;
        let jobs = self.stage.scanning.jobs();
        // A line on stderr for every time that a market is set up would be too many.
        let quiet = mem::replace(&mut self.stage.quiet, true) || self.measure.unseen();
        let progress = Progress::new(quiet);
        let interrupted = execute::interruption()?;
        let settings = Settings::resolve(&self.stage.settings)?;
        let Some(stage) = self.stage.set(progress, &interrupted)? else { return Ok(Exit::Interrupted) };
        let setup = stage.setup;
        let nulls = !self.no_nulls && !self.measure.once;
        let set = |stage: &StageArgs| -> Result<Option<Arc<Setup>>> {
            Ok(stage.set(Progress::new(true), &interrupted)?.map(|stage| stage.setup))
        };
        let mut ours = ReplaySide::new(Box::new(|| set(&self.stage)), jobs, nulls, &interrupted)?;
        if self.measure.counted {
            ours.cold_only()?;
            return Ok(Exit::Success);
        }
        let bench = Bench {
            subject: Subject::Replay,
            name: BenchName {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                corpus: setup.corpus.name().to_owned(),
                corpus_sha256: hex::encode(setup.summary.sha256),
                engine: setup.scenario.engine.name.clone(),
                strategy: Some(setup.scenario.engine.strategy.clone()),
                scenario_sha256: hex::encode(scenario_sha256(&settings.scenario)),
                market: Some(MarketName::of(&setup)),
            },
            jobs,
            passes: 1,
            perturbed: None,
            nulls,
            measure: &self.measure,
            progress,
            quiet,
            interrupted: &interrupted,
        };
        drop(setup);
        let terms = bench.terms(&[])?;
        match self.measure.opponent() {
            Opponent::Engine(file) => {
                let settings = SettingsArgs { engine: Some(file), ..self.stage.settings.clone() };
                let theirs = StageArgs { corpus: self.stage.corpus.clone(), settings, scanning: self.stage.scanning.clone(), quiet: true };
                let mut other = ReplaySide::new(Box::new(move || set(&theirs)), jobs, nulls, &interrupted)?;
                bench.run(&mut [&mut ours, &mut other], terms, out)
            }
            Opponent::Command(command) => {
                drop(ours);
                bench.run_processes(command, terms, out)
            }
            Opponent::Nobody => bench.run(&mut [&mut ours], terms, out),
        }
    }
}

/// Whom we are measured against.
enum Opponent {
    Nobody,
    /// An engine's file.
    Engine(PathBuf),
    /// A command for the shell.
    Command(String),
}

impl MeasureArgs {
    /// Nobody looks at a process that is a round of another.
    fn unseen(&self) -> bool {
        self.once || self.counted
    }

    /// Makes sure of files before anything else is done.
    fn prepare(&self) -> Result<()> {
        if let Some(name) = &self.save_baseline {
            baseline::check(name)?;
            baseline::prepare(&self.baselines)?;
        }
        if let Opponent::Engine(file) = self.opponent()
            && !file.is_file()
        {
            bail!("--against {}: there is no such engine file", text::shown(&file));
        }
        let (base, exports) = (self.baseline_file()?, self.exports());
        files::all_different(exports.iter().map(|export| export.file.as_path()))?;
        exports.iter().try_for_each(|export| files::make_way(&export.file, base.as_deref()))
    }

    /// The file of what `base` is, if it was measured before.
    fn baseline_file(&self) -> Result<Option<PathBuf>> {
        let file = |named: &String| baseline::file(&self.baselines, named, self.save_baseline.as_deref());
        self.baseline.as_ref().map(file).transpose()
    }

    fn opponent(&self) -> Opponent {
        match &self.against {
            None => Opponent::Nobody,
            // One word that looks like an engine's file is meant as one, even if it is not there.
            Some(named) if named.ends_with(".toml") && (Path::new(named).is_file() || !named.contains(char::is_whitespace)) => {
                Opponent::Engine(named.into())
            }
            Some(command) => Opponent::Command(command.clone()),
        }
    }

    /// How much is measured, if a warm round is so many times through the corpus at least.
    fn plan(&self, passes: u32) -> Plan {
        let MeasureArgs { cold, warm_up, rounds, min_time, max_time, .. } = *self;
        match self.once {
            true => Plan { cold, round: ONLY_ROUND, passes, warm_up: 1, rounds: 1, min_time: 0.0, max_time: 0.0 },
            false => {
                // Processes have one round each.
                let round = if matches!(self.opponent(), Opponent::Command(_)) { ONLY_ROUND } else { ROUND };
                Plan { cold, round, passes, warm_up, rounds, min_time, max_time }
            }
        }
    }

    /// Where the report goes beside standard output.
    fn exports(&self) -> Vec<Export> {
        let hyperfine = self.export_json.iter().map(|file| Export { format: BenchFormat::Hyperfine, file: file.clone() });
        self.export.iter().cloned().chain(hyperfine).collect()
    }
}

/// A seed that no earlier run had: what it adds to artifacts no cache has seen.
fn nonce() -> u64 {
    // Fewer bits than a float has, so that every reader of JSON reads it as it is.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64) & ((1 << 53) - 1)
}
