//! Do gates on measured figures flap, and do they see what is slower? On a machine that is busy with something else:
//! `cargo run --release -p benches --bin validate-gates [-- --runs 50]`.
//!
//! One thread of this program does nothing but keep a core busy. Beside it, `sim bench scan starter` is started again and again
//! on one thread, with a backend of its own whose work is known, and one gate: `files_per_s >= base * 0.95`, `base` being
//! another engine measured in turns. In the first half of the runs both engines do the same work (A/A): a gate that fails is
//! false. In the second half ours does 10 % more: a gate that passes has missed it. One that cannot be told is neither, and is
//! counted.
//!
//! Then the gate without any machine: noise is drawn, of rounds that share what else the machine does, with outliers, and
//! figures that lie exactly on the bound. There, a gate may pass or fail by mistake as often as its confidence says.
//!
//! Exit code 1 if more than 2 of 50 fail falsely, or fewer than 45 of 50 are caught or left open.

use std::{
    env, fs,
    hint::black_box,
    path::Path,
    process::{Command, ExitCode},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Instant,
};

use engine::{
    artifact::{Artifact, Failure, Finding, ScanResult},
    backend::{self, Backend, BackendError},
    chance::{Key, fnv1a64},
    config::BackendConfig,
};
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};
use sim::{
    figures::{Figure, SCAN},
    gate::{self, Base, Evidence, Gate, Known, Outcome},
};

/// What must hold.
const GATE: &str = "files_per_s >= base * 0.95";
/// Runs of each kind.
const RUNS: u64 = 50;
/// Seconds after which a run adds no more rounds.
const MAX_TIME: &str = "6";
/// Pieces of work on an artifact, and 10 % more.
const PIECES: (&str, u32, &str, u32) = ("work", 200, "more-work", 220);
/// Bytes of a piece.
const PIECE: usize = 8 << 10;
/// Runs of the gate with drawn noise, for each kind of it.
const DRAWN: u64 = 2_000;

/// Hashes zeros; finds nothing.
#[derive(Debug)]
struct Work {
    name: &'static str,
    pieces: u32,
}

impl Backend for Work {
    fn name(&self) -> &str {
        self.name
    }

    fn fingerprint(&self) -> &str {
        self.name
    }

    fn scan(&self, _: &Artifact<'_>, _: Instant) -> Result<Finding, Failure> {
        let (mut digest, zeros) = (Sha256::new(), [0; PIECE]);
        (0..self.pieces).for_each(|_| digest.update(zeros));
        black_box(digest.finalize());
        Ok(ScanResult::verdict(false).into())
    }
}

fn work(_: &BackendConfig, _: &Path) -> Result<Arc<dyn Backend>, BackendError> {
    Ok(Arc::new(Work { name: PIECES.0, pieces: PIECES.1 }))
}

fn more_work(_: &BackendConfig, _: &Path) -> Result<Arc<dyn Backend>, BackendError> {
    Ok(Arc::new(Work { name: PIECES.2, pieces: PIECES.3 }))
}

/// How often each outcome came.
#[derive(Clone, Copy, Default)]
struct Count {
    pass: u64,
    open: u64,
    fail: u64,
}

impl Count {
    fn add(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Pass => &mut self.pass,
            Outcome::CannotTell => &mut self.open,
            Outcome::Fail => &mut self.fail,
        } += 1;
    }
}

/// `sim bench scan` once: what its gate came to.
fn run(folder: &Path, ours: &str) -> Outcome {
    let engine = |name: &str| folder.join(format!("{name}.toml"));
    let output = Command::new(env::current_exe().expect("this program"))
        .args(["bench", "scan", "starter", "--jobs", "1", "--no-probe", "--quiet", "--format", "json"])
        .args(["--max-time", MAX_TIME, "--gate", GATE, "--engine"])
        .arg(engine(ours))
        .arg("--against")
        .arg(engine(PIECES.0))
        .output()
        .expect("this program starts");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("no report: {error}: {}", String::from_utf8_lossy(&output.stderr)));
    let outcome: Outcome = serde_json::from_value(report["outcome"].clone()).expect("an outcome");
    let expected = if outcome == Outcome::Fail { 3 } else { 0 };
    assert_eq!(output.status.code(), Some(expected), "the exit code says what the report says");
    let (rounds, why) = (&report["rounds"]["warm"], report["gates"][0]["why"].as_str().unwrap_or_default());
    eprintln!("{ours}: {outcome:?} after {rounds} rounds: {why}");
    outcome
}

/// Rounds of two sides as a busy machine makes them: logarithms of ratios whose mean is 0, each remembering a part of the last
/// one, one in ten with an outlier.
fn noise(seed: u64, rounds: usize, memory: f64, outliers: f64) -> Vec<f64> {
    let mut chance = Key::root(fnv1a64("validate-gates")).with(seed).stream();
    let mut last = 0.0;
    let next = |_| {
        let normal: f64 = (0..12).map(|_| chance.uniform()).sum::<f64>() - 6.0;
        last = memory * last + 0.05 * normal;
        let side = if chance.uniform() < 0.5 { -1.0 } else { 1.0 };
        last + if chance.uniform() < 0.1 { side * outliers * chance.uniform() } else { 0.0 }
    };
    (0..rounds).map(next).collect()
}

/// A gate whose figure lies exactly on its bound, looked at after 10, 20 and 40 rounds.
fn on_the_bound(seed: u64, memory: f64, outliers: f64) -> Outcome {
    let known = |name: &str| SCAN.iter().find(|figure| figure.name == name).copied() as Option<Figure>;
    let gate = Gate::parse("files_per_s >= base", known, |_| Vec::new()).expect("a gate");
    let noise = noise(seed, 40, memory, outliers);
    for (look, rounds) in [10, 20, 40].into_iter().enumerate() {
        let ours: Vec<f64> = noise[..rounds].iter().map(|log| libm::exp(*log)).collect();
        let evidence = Evidence { figure: Ok(Known::Rounds(ours)), base: Base::Paired(Known::Rounds(vec![1.0; rounds])) };
        let outcome = gate.judge(&evidence, gate::level(0.95, look as u32, 1)).outcome;
        if outcome != Outcome::CannotTell {
            return outcome;
        }
    }
    Outcome::CannotTell
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let runs = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // A round of ours: the command as it is, with two backends more.
        ["bench", ..] => {
            backend::register(&[(PIECES.0, work), (PIECES.2, more_work)]);
            return sim::cli::main();
        }
        [] => Some(RUNS),
        ["--runs", count] => count.parse().ok().filter(|&count: &u64| count > 0),
        _ => None,
    };
    let Some(runs) = runs else {
        eprintln!("error: only `--runs COUNT` is understood, a whole number above 0");
        return ExitCode::from(2);
    };
    println!("| drawn noise, figure on its bound | passed | failed | cannot tell | at most 2.5 % each, of {DRAWN} |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    for (what, memory, outliers) in
        [("independent rounds", 0.0, 0.0), ("rounds that remember a half", 0.5, 0.0), ("outliers of up to 100 %", 0.0, 0.7)]
    {
        let outcomes: Vec<Outcome> = (0..DRAWN).into_par_iter().map(|seed| on_the_bound(seed, memory, outliers)).collect();
        let mut count = Count::default();
        outcomes.into_iter().for_each(|outcome| count.add(outcome));
        let share = |count: u64| 100.0 * count as f64 / DRAWN as f64;
        println!("| {what} | {:.2} % | {:.2} % | {:.2} % | |", share(count.pass), share(count.fail), share(count.open));
    }

    let folder = tempfile::tempdir().expect("a folder");
    for name in [PIECES.0, PIECES.2] {
        let engine = format!("name = \"{name}\"\n[[backends]]\nkind = \"own\"\nname = \"{name}\"\n");
        fs::write(folder.path().join(format!("{name}.toml")), engine).expect("a file in it");
    }
    let (over, started) = (AtomicBool::new(false), Instant::now());
    let counts = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let counts = [PIECES.0, PIECES.2].map(|ours| {
            let mut count = Count::default();
            (0..runs).for_each(|_| count.add(run(folder.path(), ours)));
            count
        });
        over.store(true, Ordering::Relaxed);
        counts
    });
    println!("\n`{GATE}`, one core busy, {:.0} s:\n", started.elapsed().as_secs_f64());
    println!("| {runs} runs | passed | failed | cannot tell |");
    println!("| --- | ---: | ---: | ---: |");
    for (what, count) in ["A/A: the same work", "10 % more work"].into_iter().zip(counts) {
        println!("| {what} | {} | {} | {} |", count.pass, count.fail, count.open);
    }
    let [same, more] = counts;
    let kept = same.fail * RUNS <= 2 * runs && (more.fail + more.open) * RUNS >= 45 * runs;
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
