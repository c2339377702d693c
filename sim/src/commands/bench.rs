//! `sim bench`: how fast scanners and markets are, and gates for a CI.

use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    io::{Write, stderr},
    mem,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, atomic::AtomicBool},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use datasets::{CheckOptions, Corpus};
use replay::plan::{Setup, choose_backends};

use super::{
    scan::ScanningArgs,
    stage::{self, StageArgs},
};
use crate::{
    bench::{
        self, Against, BenchName, BenchReport, Court, Judged, Machine, RoundFacts, SCHEMA,
        baseline::{self, Saved},
        export, instructions,
        probe::{self, Probe, Units},
        program::{ProgramSide, Started},
        replay::ReplaySide,
        rounds::{self, Facts, Plan, Side},
        scan::{self as scanning, How, ScanSide},
    },
    execute,
    exit::{Exit, OrExit},
    figures::{self, Better, Subject, Value},
    gate::{Gate, Outcome},
    progress::Progress,
    report::bench as reports,
    settings::{Settings, SettingsArgs, scenario_sha256},
    shipped, text,
};

const EXAMPLES: &str = "\
Examples:
  sim bench scan my-corpus --engine engine.toml                       how fast its backends are, cold and warm
  sim bench scan my-corpus --engine new.toml --against old.toml --gate 'files_per_s >= base * 0.95'
  sim bench replay panel --gate 'nct_per_bounty >= 0.5' --gate 'bounties_per_s >= 20000'
  sim bench figures                                                   every figure that a gate may speak of";

const GATES: &str = "\
Gates: FIGURE OP EXPRESSION, with >= <= > < == !=, `base`, numbers with units (ns us ms s min, B kB MB GB KiB MiB GiB, NCT, %),
+ - * / and parentheses. After + and -, a percentage is of what stands left of it: `base - 1%` is `base * 0.99`.
  --gate 'files_per_s >= base * 0.95'     --gate 'p99_scan <= 2s'               --gate 'peak_memory <= 512 MiB'
  --gate 'tpr >= 0.9'                     --gate 'backends.yara.p99 <= base + 10%'
  --gate 'nct_per_bounty >= base - 1%'    --gate 'decisions_sha256 == base'     --gate 'instructions <= base + 2%'
Exact figures (accuracy, NCT, hashes, counts) pass or fail as they are. A measured one fails only if the whole interval of
its rounds is beyond the bound, and passes if it is on the good side; otherwise it cannot be told on this machine. More
rounds are taken while it cannot be told, up to --max-time. Intervals are as wide as looking again and all gates together
demand: at --confidence 0.95, one in twenty runs or fewer gets any measured gate wrong.

On a busy machine `cpu_seconds` and `p50_scan` can be told sooner than `files_per_s`, which waits for whatever else runs.

What `base` is:
  --against engine.toml    another engine, scanned or played in this process, in turns with ours (AB BA BA AB ...). Pairs of
                           rounds are compared, so what else the machine does meets both: the way to compare in a CI.
                           Everything but --engine is meant for both
  --against 'COMMAND'      a command, given to the shell once a round, that prints the JSON report of a `sim bench ... --once`:
                           --against '/old/sim bench scan my-corpus --engine old.toml --once'
                           Our side is then a process of its own for each round, too
  --baseline NAME|FILE     a report that --save-baseline kept, from another time: measured gates allow for how far the noise
                           probe has drifted since, and cannot be told on another machine. Exact ones are compared as ever

Exit codes: 0 gates pass (or there is none), 2 usage, 3 a gate failed; 130 interrupted. The report is written in any case.";

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
#[command(after_help = GATES)]
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
#[command(after_help = GATES)]
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
    /// Seconds of warm rounds of each side, at least; a round is as short as the corpus allows, but 0.03 s
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = seconds)]
    min_time: f64,
    /// Seconds after which no more rounds are added because a gate cannot be told
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
    /// Count the instructions of one more round on one thread with valgrind, too
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
    /// Keep the report as a baseline, unless a gate fails
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
        let format = BenchFormat::from_str(format, false)?;
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
            },
            jobs,
            passes: ANSWERS.div_ceil(rows.len()) as u32,
            perturbed: perturb,
            measure: &self.measure,
            progress,
            quiet,
            interrupted: &interrupted,
        };
        let gates = bench.gates(&ours.backends())?;
        match self.measure.opponent() {
            Opponent::Engine(file) => {
                let theirs = Settings::resolve(&SettingsArgs { engine: Some(file), ..self.settings.clone() })?;
                let engine = engine_of(&theirs)?;
                let their_rows = scanning::rows(&corpus, &engine)?;
                let mut other = ScanSide::new(&corpus, &their_rows, engine, theirs.engine_folder.clone(), how)?;
                bench.run(&mut [&mut ours, &mut other], gates, out)
            }
            Opponent::Command(command) => {
                drop(ours);
                bench.run_processes(command, gates, out)
            }
            Opponent::Nobody => bench.run(&mut [&mut ours], gates, out),
        }
    }
}

impl BenchReplayArgs {
    fn run(mut self, out: &mut dyn Write) -> Result<Exit> {
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
            },
            jobs,
            passes: 1,
            perturbed: None,
            measure: &self.measure,
            progress,
            quiet,
            interrupted: &interrupted,
        };
        drop(setup);
        let gates = bench.gates(&[])?;
        match self.measure.opponent() {
            Opponent::Engine(file) => {
                let settings = SettingsArgs { engine: Some(file), ..self.stage.settings.clone() };
                let theirs = StageArgs { corpus: self.stage.corpus.clone(), settings, scanning: self.stage.scanning.clone(), quiet: true };
                let mut other = ReplaySide::new(Box::new(move || set(&theirs)), jobs, nulls, &interrupted)?;
                bench.run(&mut [&mut ours, &mut other], gates, out)
            }
            Opponent::Command(command) => {
                drop(ours);
                bench.run_processes(command, gates, out)
            }
            Opponent::Nobody => bench.run(&mut [&mut ours], gates, out),
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

    fn opponent(&self) -> Opponent {
        match &self.against {
            None => Opponent::Nobody,
            Some(named) if named.ends_with(".toml") && Path::new(named).is_file() => Opponent::Engine(named.into()),
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

/// A measurement on its way.
struct Bench<'a> {
    subject: Subject,
    name: BenchName,
    jobs: usize,
    /// Times through the corpus in a warm round, at least.
    passes: u32,
    perturbed: Option<u64>,
    measure: &'a MeasureArgs,
    progress: Progress,
    quiet: bool,
    interrupted: &'a AtomicBool,
}

impl Bench<'_> {
    /// The gates, understood before anything is measured.
    fn gates(&self, backends: &[String]) -> Result<Vec<Gate>> {
        let known = figures::known(self.subject, backends.iter().map(String::as_str));
        let measure = self.measure;
        let parse = |typed: &String| {
            let gate =
                Gate::parse(typed, |name| known.get(name).copied(), |name| text::nearest_few(name, known.keys().map(|name| &**name)))?;
            if gate.bound.uses_base() && measure.against.is_none() && measure.baseline.is_none() {
                bail!("gate {}: `base` is nothing here; name it with --against or --baseline", text::quote(typed));
            }
            if gate.figure == "instructions" && !measure.instructions {
                bail!("gate {}: instructions are counted with --instructions", text::quote(typed));
            }
            Ok(gate)
        };
        measure.gate.iter().map(parse).collect::<Result<_>>().or_exit(Exit::Usage)
    }

    /// The baseline, if one is named.
    fn saved(&self) -> Result<Option<Against>> {
        let Some(named) = &self.measure.baseline else { return Ok(None) };
        let file = baseline::file(&self.measure.baselines, named)?;
        let saved = match baseline::read(&file, self.subject)? {
            Some(saved) => self.fitting(saved),
            None if self.measure.save_baseline.as_ref() == Some(named) => {
                Err("there is no such baseline yet: this report becomes the first one".to_owned())
            }
            None => bail!("there is no baseline in {}; measure one with --save-baseline {}", text::shown(&file), text::cut(named, 60)),
        };
        Ok(Some(Against::Saved { label: named.clone(), saved: Box::new(saved) }))
    }

    fn fitting(&self, saved: Saved) -> Result<Saved, String> {
        if saved.name.corpus_sha256 != self.name.corpus_sha256 {
            return Err("the baseline was measured on another corpus; save a new one".to_owned());
        }
        Ok(saved)
    }

    /// Both sides as processes: one for each round.
    fn run_processes(&self, command: String, gates: Vec<Gate>, out: &mut dyn Write) -> Result<Exit> {
        let mut words = for_a_round(false, None);
        words.push("--once".into());
        let mut ours = ProgramSide::new(Started::This(words));
        let mut other = ProgramSide::new(Started::Shell(command));
        self.run(&mut [&mut ours, &mut other], gates, out)
    }

    /// Measures, judges, and writes the report.
    fn run(&self, sides: &mut [&mut dyn Side], gates: Vec<Gate>, out: &mut dyn Write) -> Result<Exit> {
        let measure = self.measure;
        if let Some(name) = &measure.save_baseline {
            baseline::check(name).or_exit(Exit::Usage)?;
        }
        let saved = self.saved().or_exit(Exit::Usage)?;
        let exports = measure.exports();
        exports.iter().try_for_each(|export| writable(&export.file)).or_exit(Exit::Usage)?;
        let counted = if measure.instructions { self.count_instructions().or_exit(Exit::Usage)? } else { [None, None] };
        let mut probe = (!measure.no_probe && !measure.once).then(|| self.probe());

        if let Some(share) = probe.as_ref().and_then(|probe| probe::detectable(&probe.before.seconds, measure.rounds as usize)) {
            let pairs = measure.rounds;
            self.say(&format!("noise: by the probe, a change of {:.1} % would show in {pairs} pairs of rounds here", 100.0 * share));
        }
        let mut court = Court::new(&gates);
        let whole = |both: [Option<Facts>; 2]| {
            let mut facts = both.map(Option::unwrap_or_default);
            for (facts, counted) in facts.iter_mut().zip(counted) {
                facts.exact.extend(counted.map(|count| ("instructions".to_owned(), Value::Number(count as f64))));
            }
            facts
        };
        let against = |theirs: &Facts| match (&saved, &measure.against) {
            (Some(saved), _) => saved.clone(),
            (None, Some(label)) => {
                let one_process = matches!(measure.opponent(), Opponent::Engine(_));
                Against::Side { label: label.clone(), facts: theirs.clone(), one_process }
            }
            (None, None) => Against::Nothing,
        };
        let (confidence, subject) = (measure.confidence, self.subject);
        let bar = self.progress.rounds();
        let measured = rounds::measure(
            &measure.plan(self.passes),
            sides,
            self.interrupted,
            &mut |measured, both| {
                let [facts, theirs] = &whole(both);
                let against = against(theirs);
                court.look(&Judged { subject, gates: &gates, confidence, probe: probe.as_ref(), against: &against, facts, measured })
            },
            &|done, all| {
                bar.set_length(u64::from(all));
                bar.set_position(u64::from(done));
            },
        )?;
        bar.finish_and_clear();
        if let Some(probe) = probe.as_mut().filter(|_| measured.complete) {
            probe.after = self.probe().before;
            let pairs = measured.rounds as usize;
            probe.detectable = probe::detectable(&[&probe.before.seconds[..], &probe.after.seconds].concat(), pairs);
        }
        let [facts, theirs] = &whole([0, 1].map(|side| sides.get(side).map(|side| side.facts())));
        let against = against(theirs);
        let judged = Judged { subject, gates: &gates, confidence, probe: probe.as_ref(), against: &against, facts, measured: &measured };
        let report = self.report(&judged, court);
        self.deliver(&report, &exports, out)?;
        Ok(self.exit(&report))
    }

    /// Prints the report, writes it to files, and keeps it as a baseline.
    fn deliver(&self, report: &BenchReport, exports: &[Export], out: &mut dyn Write) -> Result<()> {
        let measure = self.measure;
        let format = if measure.once { BenchFormat::Json } else { measure.format };
        out.write_all(rendered(report, format)?.as_bytes())?;
        for Export { format, file } in exports {
            let unwritable = || format!("cannot write {}", text::shown(file));
            fs::write(file, rendered(report, *format)?).with_context(unwritable).or_exit(Exit::Usage)?;
            self.say(&format!("wrote {}", text::shown(file)));
        }
        if let (Some(name), true) = (&measure.save_baseline, report.complete && report.outcome != Outcome::Fail) {
            let file = baseline::write(&measure.baselines, name, report).or_exit(Exit::Usage)?;
            self.say(&format!("wrote {}", text::shown(&file)));
        }
        Ok(())
    }

    fn exit(&self, report: &BenchReport) -> Exit {
        if !report.complete {
            return Exit::Interrupted;
        }
        match (report.outcome, self.measure.cannot_tell) {
            (Outcome::Fail, _) | (Outcome::CannotTell, CannotTell::Fail) => Exit::Gate,
            (Outcome::CannotTell, CannotTell::Warn) => {
                for answer in report.gates.iter().filter(|answer| answer.outcome == Outcome::CannotTell) {
                    let line = format!("warning: gate {} cannot be told: {}", text::quote(&answer.gate), text::plain(&answer.why));
                    // Nobody has to listen.
                    let _ = writeln!(stderr(), "{line}");
                }
                Exit::Success
            }
            _ => Exit::Success,
        }
    }

    fn report(&self, judged: &Judged<'_>, court: Court<'_>) -> BenchReport {
        let measured = judged.measured;
        let gates = court.answers(judged);
        let figures = judged.figures();
        let mut warnings = judged.facts.warnings.clone();
        if cfg!(debug_assertions) {
            warnings.push("this program was built without optimisation: times say nothing; build it with --release".to_owned());
        }
        if !measured.complete {
            warnings.push("interrupted: figures are of the rounds that were over".to_owned());
        }
        BenchReport {
            schema: SCHEMA,
            bench: self.subject,
            name: self.name.clone(),
            command: typed(),
            complete: measured.complete,
            outcome: bench::outcome(&gates),
            gates,
            machine: Machine::here(),
            rounds: RoundFacts {
                warm: measured.rounds,
                passes: measured.passes,
                cold: self.measure.cold,
                warm_up: self.measure.plan(1).warm_up,
                looks: measured.looks,
                jobs: self.jobs,
                confidence: self.measure.confidence,
                perturbed: self.perturbed,
                detectable: judged.seen(),
            },
            probe: judged.probe.cloned(),
            base: judged.base_report(&figures),
            figures,
            errors: judged.facts.errors.clone(),
            warnings,
        }
    }

    fn probe(&self) -> Probe {
        let waiting = self.progress.waiting("probing the machine's noise");
        let before = probe::measure(self.jobs);
        waiting.finish_and_clear();
        Probe { threads: self.jobs, before, after: Units::default(), detectable: None }
    }

    /// Instructions of our side, and of another engine.
    fn count_instructions(&self) -> Result<[Option<u64>; 2]> {
        let count = |engine: Option<&Path>| {
            let mut words = for_a_round(true, engine);
            words.extend(["--counted", "--jobs", "1"].map(OsString::from));
            let waiting = self.progress.waiting("counting instructions under valgrind");
            let counted = instructions::count(&words);
            waiting.finish_and_clear();
            counted.map(Some)
        };
        let theirs = match self.measure.opponent() {
            Opponent::Engine(file) => count(Some(&file))?,
            _ => None,
        };
        Ok([count(None)?, theirs])
    }

    fn say(&self, line: &str) {
        if !self.quiet {
            // Nobody has to listen.
            let _ = writeln!(stderr(), "{line}");
        }
    }
}

/// The command as it was typed, quoted for a shell.
fn typed() -> String {
    let words = std::env::args_os().skip(1).map(|word| stage::quoted(&word.to_string_lossy()));
    ["sim".to_owned()].into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

/// The report in a format.
fn rendered(report: &BenchReport, format: BenchFormat) -> Result<String> {
    let json = |value: serde_json::Value| Ok(serde_json::to_string_pretty(&value)? + "\n");
    match format {
        BenchFormat::Text => Ok(reports::text(report)),
        BenchFormat::Markdown => Ok(reports::markdown(report)),
        BenchFormat::Json => json(serde_json::to_value(report)?),
        BenchFormat::Bmf => json(export::bmf(report)),
        BenchFormat::GithubBenchmark => json(export::github(report, Better::Less)),
        BenchFormat::GithubBenchmarkBigger => json(export::github(report, Better::More)),
        BenchFormat::Hyperfine => json(export::hyperfine(report)),
        BenchFormat::Junit => export::junit(report),
    }
}

/// Makes sure that a file can be written before the long run begins; what is in it stays.
fn writable(file: &Path) -> Result<()> {
    let opened = OpenOptions::new().create(true).append(true).open(file);
    opened.map(drop).with_context(|| format!("cannot write {}", text::shown(file)))
}

/// The words that this program was started with, for one round of it: without what is asked of all rounds together, with
/// another engine in the place of ours if one is named, and without the number of threads if it is said anew.
fn for_a_round(without_jobs: bool, engine: Option<&Path>) -> Vec<OsString> {
    const VALUES: [&str; 15] = [
        "--progress",
        "--rounds",
        "--min-time",
        "--max-time",
        "--warm-up",
        "--gate",
        "--against",
        "--baseline",
        "--save-baseline",
        "--baselines",
        "--confidence",
        "--cannot-tell",
        "--format",
        "--export",
        "--export-json",
    ];
    const SWITCHES: [&str; 3] = ["--no-probe", "--instructions", "--quiet"];
    let (mut words, mut typed) = (Vec::new(), std::env::args_os().skip(1));
    while let Some(word) = typed.next() {
        let shown = word.to_string_lossy();
        let (flag, has_value) = shown.split_once('=').map_or((&*shown, false), |(flag, _)| (flag, true));
        let ours = (flag == "--engine" && engine.is_some()) || (flag == "--jobs" && without_jobs);
        if VALUES.contains(&flag) || ours {
            if !has_value {
                typed.next();
            }
        } else if !SWITCHES.contains(&flag) {
            words.push(word);
        }
    }
    words.extend(engine.into_iter().flat_map(|file| [OsString::from("--engine"), file.into()]));
    words
}
