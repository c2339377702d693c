//! How many bounties per second do engines decide and settle against a tape, and how many times as fast is that as playing
//! the world for each of them?
//!
//! Twenty engines in one market of 100,000 bounties with ten rivals, on one thread and on two; in turns with bare runs of
//! the world (no scores, no journal, plans drawn on the same thread), because machines change their speed.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use benches::{on_one_core, setup};
use engine::config::EngineConfig;
use market::nct::NctDelta;
use replay::{
    follower::{Follower, OwnBounty},
    plan::Setup,
    tape::Tape,
    world::{self, Blind, NoJournal},
};

/// Strategies that do not learn, each with the parameters of a small grid: what a sweep is made of.
const GRID: [&str; 20] = [
    "stock/conservative",
    "stock/default",
    "stock/aggressive",
    "null/min",
    "null/random",
    "fixed?bid=0.1",
    "fixed?bid=0.3",
    "fixed?bid=0.6",
    "fixed?bid=0.9",
    "linear",
    "threshold?bid=0.2&from=0.6",
    "threshold?bid=0.4&from=0.7",
    "threshold?bid=0.6&from=0.8",
    "threshold?bid=0.8&from=0.9",
    "fixed?bid=0.2",
    "fixed?bid=0.4",
    "fixed?bid=0.8",
    "stock/default?cautious=true",
    "stock/aggressive?cautious=true",
    "stock/conservative?cautious=true",
];
/// Strategies that hear of every settlement.
const LEARNERS: [&str; 4] = ["hedge", "thompson", "exp3-ix", "pm-ev-mu"];
const BOUNTIES: u64 = 100_000;

/// Adds profits up.
#[derive(Default)]
struct Sum {
    profit: NctDelta,
    closed: u64,
}

impl Follower for Sum {
    fn closed(&mut self, own: &OwnBounty<'_>) {
        self.profit += own.profit();
        self.closed += 1;
    }
}

fn engine(setup: &Setup, strategy: &str) -> EngineConfig {
    EngineConfig { strategy: strategy.to_owned(), ..setup.scenario.engine.clone() }
}

/// Plays all strategies against the tape on so many threads; answers with the bounties per second of all together.
fn taped(tape: &Tape, strategies: &[&str], threads: usize) -> f64 {
    let (next, start) = (AtomicUsize::new(0), Instant::now());
    let work = || {
        while let Some(strategy) = strategies.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut sum = Sum::default();
            let wallet = tape.setup().scenario.wallets.engine;
            let played = tape.play(&engine(tape.setup(), strategy), wallet, &mut sum).expect("a market that can be taped");
            assert!(played.engine == sum.profit && sum.closed == tape.bounties(), "{strategy}");
        }
    };
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    (strategies.len() as u64 * tape.bounties()) as f64 / start.elapsed().as_secs_f64()
}

/// Plays one strategy in the world on one thread; answers with bounties per second.
fn in_the_world(setup: &Arc<Setup>, strategy: &str) -> f64 {
    on_one_core(|| {
        let (start, go_on) = (Instant::now(), AtomicBool::new(false));
        world::play(setup, strategy, &mut Blind, None::<&mut NoJournal>, &go_on, &mut |_| {}).expect("a run that holds");
        setup.bounties as f64 / start.elapsed().as_secs_f64()
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    // `cargo test` runs benches once to see that they work; it has no use for figures.
    let measuring = std::env::args().any(|argument| argument == "--bench");
    let (bounties, rounds) = if measuring { (BOUNTIES, 5) } else { (200, 1) };
    let setup = setup(10, bounties);
    let start = Instant::now();
    let tape = on_one_core(|| Tape::record(&setup, &AtomicBool::new(false))).expect("a market that can be taped");
    println!("recorded in {:.2} s, {:.0} bytes a bounty", start.elapsed().as_secs_f64(), tape.bytes() as f64 / bounties as f64);
    let rounds: Vec<[f64; 5]> = (0..rounds)
        .map(|round| {
            let world = in_the_world(&setup, GRID[(7 * round + 1) % GRID.len()]);
            let (one, two) = (taped(&tape, &GRID, 1), taped(&tape, &GRID, 2));
            let learner = LEARNERS[round % LEARNERS.len()];
            [world, one, two, in_the_world(&setup, learner), taped(&tape, &[learner], 1)]
        })
        .collect();
    let column = |index: usize| median(rounds.iter().map(|round| round[index]).collect());
    let ratio = |index: usize, to: usize| median(rounds.iter().map(|round| round[index] / round[to]).collect());
    println!(
        "{} engines of {bounties} bounties: {:.0} bounties a second on one thread, {:.0} on two; the world {:.0} on one\n\
        ratio to the world on one thread: {:.2} on one, {:.2} on two\n\
        engines that learn: {:.0} a second on one thread, the world {:.0}, ratio {:.2}; medians of {} rounds in turns",
        GRID.len(),
        column(1),
        column(2),
        column(0),
        ratio(1, 0),
        ratio(2, 0),
        column(4),
        column(3),
        ratio(4, 3),
        rounds.len(),
    );
}
