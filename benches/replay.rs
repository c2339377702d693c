//! How many bounties does one core replay in a second, and how does that compare with bare settlement?
//!
//! A run has 10 parametric rivals with stock strategies and 5 arbiters; the journal is off, scores are on. The cost
//! must be linear in bounties and in rivals. Such a run is played bounty by bounty; with a journal it would be played block by
//! block on the market, and what that takes without writing one is measured, too. At the end the ratio of replay to settlement
//! is measured in turns, so that a change of the machine's speed cancels out.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use benches::{Ripe, closed_bounty, on_one_core, play, play_in_blocks, settle, setup, voters};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use market::ruleset::BOUNTY_REGISTRY_1_6_1;

/// Bounties of one measured run: enough to make its beginning and end unimportant.
const BOUNTIES: u64 = 20_000;

fn rivals(c: &mut Criterion) {
    let mut group = c.benchmark_group("replay by rivals");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    for rivals in [1, 10, 100] {
        let setup = setup(rivals, BOUNTIES);
        group.throughput(Throughput::Elements(BOUNTIES));
        group.bench_with_input(BenchmarkId::from_parameter(rivals), &setup, |b, setup| on_one_core(|| b.iter(|| play(setup))));
    }
    group.finish();
}

fn bounties(c: &mut Criterion) {
    let mut group = c.benchmark_group("replay by bounties");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    for bounties in [5_000, 20_000, 80_000] {
        let setup = setup(10, bounties);
        group.throughput(Throughput::Elements(bounties));
        group.bench_with_input(BenchmarkId::from_parameter(bounties), &setup, |b, setup| on_one_core(|| b.iter(|| play(setup))));
    }
    group.finish();
}

criterion_group!(benches, rivals, bounties);

/// Bounties that are settled on one market.
const RIPE: u64 = 128;

/// Seconds per bounty of replay, and block by block; of settlement on the market by all 16 who have part in it, with every payment; of what is
/// computed once for it (rewards and draw); and of the rewards alone. In turns; prints medians and their ratios.
#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn ratio() {
    let (setup, bounty, ripe) = (setup(10, BOUNTIES), closed_bounty(10), Ripe::new(RIPE, 10));
    let voters = voters(&bounty);
    let per_bounty = |work: &dyn Fn()| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64() / BOUNTIES as f64
    };
    let median = |mut figures: Vec<f64>| {
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    let rounds: Vec<[f64; 5]> = on_one_core(|| {
        (0..21)
            .map(|_| {
                let replayed = per_bounty(&|| {
                    play(&setup);
                });
                let in_blocks = per_bounty(&|| {
                    play_in_blocks(&setup);
                });
                let settled = per_bounty(&|| {
                    for block in 0..BOUNTIES {
                        black_box(settle(black_box(&bounty), &voters, B256::ZERO, block));
                    }
                });
                let rewarded = per_bounty(&|| {
                    for _ in 0..BOUNTIES {
                        let rewards = market::settlement::settle(&BOUNTY_REGISTRY_1_6_1, &black_box(&bounty).closed(bounty.fees));
                        let _ = black_box(rewards);
                    }
                });
                let turns = BOUNTIES / RIPE;
                let on_a_fresh_copy = |_| {
                    let mut market = ripe.clone();
                    let start = Instant::now();
                    market.settle();
                    start.elapsed().as_secs_f64()
                };
                let paid = (0..turns).map(on_a_fresh_copy).sum::<f64>() / (turns * RIPE) as f64;
                [replayed, settled, rewarded, paid, in_blocks]
            })
            .collect()
    });
    let column = |index: usize| median(rounds.iter().map(|round| round[index]).collect());
    let paired = |index: usize| median(rounds.iter().map(|round| round[index] / round[0]).collect());
    println!(
        "\nreplay {:.0} ns a bounty = {:.0} bounties a second on one core\n\
        block by block {:.0} ns a bounty = {:.0} bounties a second\n\
        settle {:.0} ns (on the market, everybody paid), {:.0} ns (computed: rewards and draw), {:.0} ns (rewards alone)\n\
        ratio of speeds, replay to settle: {:.3} (on the market), {:.3} (rewards and draw), {:.3} (rewards alone)\n\
        block by block to settle: {:.3} (on the market); medians of {} rounds in turns",
        1e9 * column(0),
        1.0 / column(0),
        1e9 * column(4),
        1.0 / column(4),
        1e9 * column(3),
        1e9 * column(1),
        1e9 * column(2),
        paired(3),
        paired(1),
        paired(2),
        median(rounds.iter().map(|round| round[3] / round[4]).collect()),
        rounds.len(),
    );
}

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
    // `cargo test` runs benches once to see that they work; it has no use for figures.
    if std::env::args().any(|argument| argument == "--bench") {
        ratio();
    }
}
