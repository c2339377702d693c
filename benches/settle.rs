//! How long does one core take to settle a bounty of one artifact: who gets what, and which arbiter is drawn?

use std::hint::black_box;

use alloy_primitives::B256;
use benches::{closed_bounty, settle, voters};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use market::ruleset::BOUNTY_REGISTRY_1_6_1;

fn define(c: &mut Criterion) {
    let mut group = c.benchmark_group("settle");
    for assertions in [1, 10, 100] {
        let bounty = closed_bounty(assertions);
        let voters = voters(&bounty);
        group.throughput(Throughput::Elements(1));
        group.bench_with_input(BenchmarkId::new("rewards and draw", assertions), &bounty, |b, bounty| {
            let mut block = 0;
            b.iter(|| {
                block += 1;
                settle(black_box(bounty), &voters, B256::ZERO, block)
            });
        });
        group.bench_with_input(BenchmarkId::new("rewards alone", assertions), &bounty, |b, bounty| {
            b.iter(|| market::settlement::settle(&BOUNTY_REGISTRY_1_6_1, &black_box(bounty).closed(bounty.fees)));
        });
    }
    group.finish();
}

criterion_group!(benches, define);
criterion_main!(benches);
