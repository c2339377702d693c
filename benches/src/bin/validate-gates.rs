//! Do gates on measured figures flap, and do they see what is slower? On a machine that is busy with something else:
//! `cargo run --release -p benches --bin validate-gates [-- --runs 50]`.
//!
//! One thread of this program does nothing but keep a core busy. Beside it, `sim bench scan starter` is started again and again
//! on one thread, with a backend of its own whose work is known, and gates at 5 % of `base`, another engine measured in turns:
//! one on the time on the clock, one on processor time, one on the latency in the middle. In the first half of the runs both
//! engines do the same work (A/A): a gate that fails is false. In the second half ours takes 10 % longer: a gate that passes
//! has missed it. One that cannot be told is neither, and is counted.
//!
//! Before that, a gate without any machine: noise is drawn, of figures that lie exactly on the bound. There, a gate may pass
//! or fail by mistake as often as its confidence says.
//!
//! Exit code 1 if more than 2 of 50 fail falsely, or fewer than 45 of 50 are caught or left open, of any of the gates.

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
    figures::{Subject, find},
    gate::{self, Base, Evidence, Gate, Known, Outcome},
};

/// What must hold.
const GATES: [&str; 3] = ["files_per_s >= base * 0.95", "cpu_seconds <= base * 1.05", "p50_scan <= base * 1.05"];
/// Runs of each kind.
const RUNS: u64 = 50;
/// Seconds after which a run adds no more rounds.
const MAX_TIME: &str = "4";
/// Pieces of work on an artifact, and so many more that all of it, handing over included, takes 10 % longer.
const PIECES: (&str, u32, &str, u32) = ("work", 100, "more-work", 111);
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

/// `sim bench scan` once: what its gates came to.
fn run(folder: &Path, ours: &str) -> [Outcome; 3] {
    let engine = |name: &str| folder.join(format!("{name}.toml"));
    let output = Command::new(env::current_exe().expect("this program"))
        .args(["bench", "scan", "starter", "--jobs", "1", "--no-probe", "--quiet", "--format", "json", "--max-time", MAX_TIME])
        .args(GATES.iter().flat_map(|gate| ["--gate", gate]))
        .arg("--engine")
        .arg(engine(ours))
        .arg("--against")
        .arg(engine(PIECES.0))
        .output()
        .expect("this program starts");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("no report: {error}: {}", String::from_utf8_lossy(&output.stderr)));
    let outcome = |outcome: &serde_json::Value| serde_json::from_value(outcome.clone()).expect("an outcome");
    let expected = if outcome(&report["outcome"]) == Outcome::Fail { 3 } else { 0 };
    assert_eq!(output.status.code(), Some(expected), "the exit code says what the report says");
    std::array::from_fn(|place| {
        let (gate, found) = (&report["gates"][place], outcome(&report["gates"][place]["outcome"]));
        eprintln!("{ours}: {found:?}: {}", gate["why"].as_str().unwrap_or_default());
        found
    })
}

/// What is drawn.
#[derive(Clone, Copy)]
struct Noise {
    what: &'static str,
    /// Part of the last load that is left in the next round.
    memory: f64,
    /// Chance of an outlier in a round.
    outliers: f64,
}

const NOISES: [Noise; 3] = [
    Noise { what: "independent", memory: 0.0, outliers: 0.0 },
    Noise { what: "one round in ten twice as long", memory: 0.0, outliers: 0.1 },
    Noise { what: "load that comes and goes, one in ten twice as long", memory: 0.9, outliers: 0.1 },
];

/// Rounds of two sides that are as fast as each other, in the order AB BA BA AB.
fn drawn(seed: u64, pairs: usize, noise: Noise) -> [Vec<f64>; 2] {
    let mut chance = Key::root(fnv1a64("validate-gates")).with(seed).stream();
    let (mut load, mut sides) = (0.0, [Vec::new(), Vec::new()]);
    for pair in 0..pairs {
        let order = if matches!(pair % 4, 0 | 3) { [0, 1] } else { [1, 0] };
        for side in order {
            let mut normal = || (0..12).map(|_| chance.uniform()).sum::<f64>() - 6.0;
            let own = 0.05 * normal();
            load = noise.memory * load + if noise.memory > 0.0 { 0.1 * normal() } else { 0.0 };
            let outlier = if chance.uniform() < noise.outliers { 0.7 } else { 0.0 };
            sides[side].push(libm::exp(own + load + outlier));
        }
    }
    sides
}

/// A gate whose figure lies exactly on its bound, looked at after 10, 20 and 40 rounds.
fn on_the_bound(seed: u64, noise: Noise) -> Outcome {
    let gate = Gate::parse("seconds <= base", |name| find(Subject::Scan, name), |_| String::new()).expect("a gate");
    let sides = drawn(seed, 40, noise);
    for (look, rounds) in [10, 20, 40].into_iter().enumerate() {
        let [ours, base] = [0, 1].map(|side| Known::Rounds(sides[side][..rounds].to_vec()));
        let evidence = Evidence { figure: Ok(ours), base: Base::Paired(base) };
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
    println!("| drawn noise, figure on its bound | passed | failed | cannot tell |\n| --- | ---: | ---: | ---: |");
    for noise in NOISES {
        let outcomes: Vec<Outcome> = (0..DRAWN).into_par_iter().map(|seed| on_the_bound(seed, noise)).collect();
        let mut count = Count::default();
        outcomes.into_iter().for_each(|outcome| count.add(outcome));
        let share = |count: u64| 100.0 * count as f64 / DRAWN as f64;
        println!("| {} | {:.2} % | {:.2} % | {:.2} % |", noise.what, share(count.pass), share(count.fail), share(count.open));
    }
    println!("\nAt most 2.5 % should pass and 2.5 % fail, of {DRAWN} each.");

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
            let mut counts = [Count::default(); 3];
            for _ in 0..runs {
                let outcomes = run(folder.path(), ours);
                counts.iter_mut().zip(outcomes).for_each(|(count, outcome)| count.add(outcome));
            }
            counts
        });
        over.store(true, Ordering::Relaxed);
        counts
    });
    println!("\nOne core busy, {:.0} s:\n", started.elapsed().as_secs_f64());
    println!("| {runs} runs | gate | passed | failed | cannot tell |\n| --- | --- | ---: | ---: | ---: |");
    for (what, counts) in ["A/A: the same work", "10 % longer"].into_iter().zip(&counts) {
        for (gate, count) in GATES.iter().zip(counts) {
            println!("| {what} | `{gate}` | {} | {} | {} |", count.pass, count.fail, count.open);
        }
    }
    let [same, longer] = counts;
    let kept =
        same.iter().all(|count| count.fail * RUNS <= 2 * runs) && longer.iter().all(|count| (count.fail + count.open) * RUNS >= 45 * runs);
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
