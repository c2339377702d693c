use alloy_primitives::U256;
use market::{block::BlockNumber, command::*, commitment::*, id::*, market::*, nct::Nct, ruleset, settlement, verdict::ArtifactSet};
use std::time::Instant;
fn main() {
    let rules = ruleset::BOUNTY_REGISTRY_1_6_1.clone();
    let mut m = Market::new(rules.clone()).forgetful();
    let a = m.fund("amb", Nct::whole(1_000_000_000));
    let e: Vec<_> = (0..10).map(|i| m.fund(&format!("e{i}"), Nct::whole(1_000_000_000))).collect();
    let o = m.account(named_address("owner"));
    let r: Vec<_> = (0..5).map(|i| m.fund(&format!("r{i}"), Nct::whole(1_000_000_000))).collect();
    for &x in &r {
        m.submit(o, Command::AddArbiter { arbiter: x, block: U256::ZERO }).unwrap();
        m.submit(x, Command::Deposit(Nct::whole(10_000_000))).unwrap();
    }
    let n = 300_000u64;
    let one = ArtifactSet::first(1);
    let mut t = [0u128; 6];
    let uri: std::sync::Arc<str> = "Qm".into();
    let full = std::env::args().nth(1).is_some();
    let t0 = Instant::now();
    for i in 0..n {
        let base = 10 + i * 130;
        let g = Guid(i as u128);
        m.advance_to(BlockNumber(base));
        let s = full.then(Instant::now);
        m.submit(
            a,
            Command::PostBounty(Box::new(PostBounty {
                guid: g,
                artifact_uri: uri.clone(),
                metadata: None,
                bloom: None,
                artifact_type: 0,
                amount: Nct::whole(2),
                artifacts: 1,
                duration: 10,
            })),
        )
        .unwrap();
        if let Some(s) = s {
            t[0] += s.elapsed().as_nanos();
        }
        let s = full.then(Instant::now);
        for (k, &x) in e.iter().enumerate() {
            let op = Opening { nonce: U256::from(7 + i), verdicts: if (k as u64 + i) % 4 == 0 { ArtifactSet::EMPTY } else { one } };
            m.submit(
                x,
                Command::PostAssertion(PostAssertion {
                    guid: g,
                    bids: [Nct::wei(500_000_000_000_000_000 + k as u128)].into(),
                    mask: one,
                    commitment: Commitment::envelope(op),
                }),
            )
            .unwrap();
        }
        if let Some(s) = s {
            t[1] += s.elapsed().as_nanos();
        }
        m.advance_to(BlockNumber(base + 10));
        let s = full.then(Instant::now);
        for (k, &x) in e.iter().enumerate() {
            let op = Opening { nonce: U256::from(7 + i), verdicts: if (k as u64 + i) % 4 == 0 { ArtifactSet::EMPTY } else { one } };
            m.submit(x, Command::RevealAssertion(RevealAssertion { guid: g, index: k as u64, opening: op, metadata: None })).unwrap();
        }
        if let Some(s) = s {
            t[2] += s.elapsed().as_nanos();
        }
        m.advance_to(BlockNumber(base + 20));
        let s = full.then(Instant::now);
        for &x in &r {
            m.submit(x, Command::VoteOnBounty { guid: g, votes: one, valid_bloom: true }).unwrap();
        }
        if let Some(s) = s {
            t[3] += s.elapsed().as_nanos();
        }
        m.advance_to(BlockNumber(base + 121));
        let s = full.then(Instant::now);
        m.submit(a, Command::SettleBounty { guid: g }).unwrap();
        for &x in &e {
            m.submit(x, Command::SettleBounty { guid: g }).unwrap();
        }
        if let Some(s) = s {
            t[4] += s.elapsed().as_nanos();
        }
        let s = full.then(Instant::now);
        for &x in &r {
            m.submit(x, Command::SettleBounty { guid: g }).unwrap();
        }
        if let Some(s) = s {
            t[5] += s.elapsed().as_nanos();
        }
        if i + 1 < n {
            m.forget(g);
        }
    }
    let el = t0.elapsed();
    println!("road {} ns/bounty; {:?}", el.as_nanos() / n as u128, t.map(|x| x / n as u128));
    let b = m.bounty(Guid((n - 1) as u128)).unwrap().clone();
    let t0 = Instant::now();
    let mut acc = 0u64;
    for _ in 0..1_000_000 {
        let r = settlement::settle(&rules, std::hint::black_box(&b.closed(m.fees()))).unwrap();
        acc += r.experts.len() as u64;
    }
    println!("settle {} ns {acc}", t0.elapsed().as_nanos() / 1_000_000);
    let voters: Vec<_> = r.iter().map(|&x| (x, Nct::whole(10_000_000))).collect();
    let t0 = Instant::now();
    for i in 0..1_000_000 {
        let r = settlement::draw_arbiter(&rules, &voters, alloy_primitives::B256::with_last_byte(3), BlockNumber(i)).unwrap();
        acc += r.unwrap().0 as u64;
    }
    println!("draw {} ns {acc}", t0.elapsed().as_nanos() / 1_000_000);
}
