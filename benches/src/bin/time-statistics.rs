//! How long do all tests of many strategies take on many bounties? `cargo run --release -p benches --bin time-statistics
//! [STRATEGIES BOUNTIES]`, 20 and 100,000 where nothing is said, with 1,999 resamples on all cores, for data without memory and
//! with one of half.

use std::{env, hint::black_box, time::Instant};

use engine::chance::Key;
use sim::statistics::{
    bootstrap::Plan,
    many::{Scale, Strategies},
};

/// Noise that remembers this part of its last value.
fn noise(memory: f64, strategy: u64, bounties: usize) -> Vec<f64> {
    let (mut chance, mut last) = (Key::root(strategy).stream(), 0.0);
    let next = |_| {
        last = memory * last + chance.uniform() - 0.5;
        last
    };
    (0..bounties).map(next).collect()
}

#[expect(clippy::print_stdout, reason = "figures are what this program is for")]
fn main() {
    let mut sizes = env::args().skip(1).map(|size| size.parse().expect("a whole number"));
    let (strategies, bounties) = (sizes.next().unwrap_or(20), sizes.next().unwrap_or(100_000));
    for memory in [0.0, 0.5] {
        let columns: Vec<Vec<f64>> = (0..strategies as u64).map(|strategy| noise(memory, strategy, bounties)).collect();
        let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        let start = Instant::now();
        let plan = Plan::of(columns.iter().copied(), 1);
        let lengths = start.elapsed().as_secs_f64();
        let tested = Strategies::new(&columns, &plan).expect("columns of one length");
        let resampled = start.elapsed().as_secs_f64();
        black_box((tested.superior(Scale::Resampled), tested.better(Scale::Resampled), tested.among_best()));
        let all = start.elapsed().as_secs_f64();
        println!(
            "{strategies} strategies, {bounties} bounties, memory {memory}, {} resamples in blocks of {:.1}: {all:.2} s; block length {lengths:.2} s, resampling {:.2} s, tests {:.2} s",
            plan.resamples,
            plan.block,
            resampled - lengths,
            all - resampled,
        );
    }
}
