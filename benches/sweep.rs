//! How many bounties per second does a whole sweep play (scores, statistics, journal), and what share is that of the speed at
//! which the same strategies are played against a bare tape?
//!
//! Two hundred configurations (a thousand with `CONFIGURATIONS=1000`) of strategies and distillers in one market of 100,000
//! bounties with ten rivals, on all cores; sweep and bare plays in turns, because machines change their speed.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use benches::setup;
use replay::{
    follower::{Follower, OwnBounty},
    plan::Setup,
    tape::Tape,
};
use sim::{
    execute,
    settings::{Base, SettingsArgs, scenario_sha256, scenario_toml},
    sweep::{
        folder::{Folder, Plan, PlannedCorpus, SCHEMA},
        sampler::Sampler,
        search::{Drawn, Progress, Search},
        space::Space,
    },
};

const SPACE: &str = "
strategies = ['fixed?bid={bid}', 'linear', 'threshold?bid={bid}&from={from}', 'stock/default', 'stock/aggressive']
[parameters]
bid = { from = 0.0625, to = 1.0 }
from = { from = 0.5, to = 0.95 }
[set]
engine.distiller.rho = { from = 0.0, to = 0.8 }
";

struct Silent;

impl Progress for Silent {
    fn begin(&self, _: u64) {}
    fn closed(&self, _: u64) {}
}

/// Counts, and nothing else.
#[derive(Default)]
struct Count(u64);

impl Follower for Count {
    fn closed(&mut self, _: &OwnBounty<'_>) {
        self.0 += 1;
    }
}

fn plan(setup: &Setup, trials: u64) -> Plan {
    Plan {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        corpus: PlannedCorpus {
            name: setup.corpus.name().to_owned(),
            path: PathBuf::new(),
            sha256: String::new(),
            rows: setup.summary.rows,
        },
        scenario_sha256: hex(&scenario_sha256(&setup.scenario)),
        inputs: Vec::new(),
        sampler: Sampler::Lhs,
        trials,
        bounties: setup.bounties,
        judged: setup.bounties,
        repeats: true,
        warnings: Vec::new(),
        shard: None,
        space: SPACE.to_owned(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A sweep in a new folder, from an empty one to its table; answers with bounties per second.
fn sweep(setup: &Arc<Setup>, trials: u64, jobs: usize) -> f64 {
    let place = tempfile::tempdir().expect("a folder for a while");
    let folder = Folder::create(&place.path().join("sweep"), plan(setup, trials), &scenario_toml(&setup.scenario)).expect("a new folder");
    let start = Instant::now();
    let base = Base::read(&SettingsArgs { scenario: Some(folder.scenario()), ..SettingsArgs::default() }).expect("the same scenario");
    let space = Space::parse(Path::new("space"), SPACE).expect("a space");
    let drawn = Drawn::new(&folder.plan, &space, &base, &|_| {}).expect("trials");
    let search = Search { folder: &folder, base: &base, setup, jobs, interrupted: &AtomicBool::new(false) };
    let (counts, records) = search.run(drawn, &Silent).expect("a sweep that holds");
    folder.finish(&records.expect("nobody interrupts it")).expect("a table");
    assert_eq!((counts.computed, counts.failed), (trials, 0));
    assert!(fs::exists(place.path().join("sweep/trials.csv")).expect("a folder"));
    counts.bounties as f64 / start.elapsed().as_secs_f64()
}

/// The same trials, played against a tape with nobody to look on but one who counts.
fn bare(setup: &Arc<Setup>, trials: u64, jobs: usize) -> f64 {
    let scenario = tempfile::tempdir().expect("a folder for a while");
    let file = scenario.path().join("scenario.toml");
    fs::write(&file, scenario_toml(&setup.scenario)).expect("a file");
    let base = Base::read(&SettingsArgs { scenario: Some(file), ..SettingsArgs::default() }).expect("the same scenario");
    let space = Space::parse(Path::new("space"), SPACE).expect("a space");
    let drawn = Drawn::new(&plan(setup, trials), &space, &base, &|_| {}).expect("trials");
    let start = Instant::now();
    let tape = Tape::record(setup, &AtomicBool::new(false)).expect("a market that can be taped");
    let closed = AtomicU64::new(0);
    execute::on_threads(drawn.trials.len(), jobs, &AtomicBool::new(false), &|place| {
        let scenario = drawn.trials[place].scenario.as_ref().expect("it can be played");
        let mut count = Count::default();
        tape.play(&scenario.engine, scenario.wallets.engine, &mut count)?;
        closed.fetch_add(count.0, Ordering::Relaxed);
        Ok(())
    })
    .expect("plays that hold");
    closed.into_inner() as f64 / start.elapsed().as_secs_f64()
}

fn main() {
    // `cargo test` runs benches once to see that they work; it has no use for figures.
    let measuring = std::env::args().any(|argument| argument == "--bench");
    let wanted = std::env::var("CONFIGURATIONS").ok().and_then(|wanted| wanted.parse().ok()).unwrap_or(200);
    let (bounties, trials, rounds) = if measuring { (100_000, wanted, 3) } else { (200, 5, 1) };
    let setup = setup(10, bounties);
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    let mut ratios: Vec<(f64, f64, f64)> = (0..rounds)
        .map(|_| {
            let (sweep, bare) = (sweep(&setup, trials, jobs), bare(&setup, trials, jobs));
            (sweep / bare, sweep, bare)
        })
        .collect();
    ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (ratio, sweep, bare) = ratios[ratios.len() / 2];
    println!(
        "{trials} configurations of {bounties} bounties on {jobs} threads: {sweep:.0} bounties a second in a sweep ({:.1} s), \
        {bare:.0} against a bare tape, ratio {ratio:.3}; median of {rounds} rounds in turns",
        (trials * bounties) as f64 / sweep,
    );
}
