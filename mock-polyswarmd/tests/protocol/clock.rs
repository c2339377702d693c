//! When blocks are mined, and what a lockstep waits for.

use std::time::Duration;

use axum::http::Method;
use mock_polyswarmd::{
    chain::ChainName,
    clock::{self, Clock},
};
use replay::world::{Blind, PlayError};
use serde_json::json;

use crate::support::{Actor, EICAR, LONG, Polyswarmd, until};

const NEVER: Duration = Duration::from_secs(3600);

/// Says that `who` does nothing more until that block is over.
async fn pass(market: &Polyswarmd, who: &Actor, block: u64) {
    market.post(&format!("/_mock/pass?{}", who.query()), json!({ "block": block })).await.result();
}

#[tokio::test]
async fn a_lockstep_starts_with_its_participants_and_mines_when_all_have_acted_or_passed() {
    let market = Polyswarmd::quiet().await;
    let ticking = tokio::spawn(clock::run(market.server.clone(), Clock::Lockstep { timeout: NEVER }, 2, false));
    let (mut one, two) = (Actor::new(1), Actor::new(2));
    let start = market.now();
    let (mut first, _second) = (market.events("side").await, market.events("side").await);
    market.get(&format!("/nonce?{}", one.query())).await.result();
    market.get(&format!("/nonce?{}", two.query())).await.result();
    // The first acts and waits for its receipt, the second passes: then there is a block, and only then.
    pass(&market, &two, start).await;
    let unsigned = market.to_sign(&one, "/relay/withdrawal", json!({ "amount": "1" })).await;
    let signed = one.sign(unsigned);
    market.submit(&one, &signed).await.result();
    assert_eq!(market.now(), start, "a transaction that nobody waits for may be followed by more");
    market.receipt(&one, &signed).await.result();
    assert_eq!(market.now(), start + 1);
    first.until_block(start + 1).await;
    // Both pass, for several blocks at once.
    pass(&market, &one, start + 3).await;
    pass(&market, &two, start + 3).await;
    first.until_block(start + 4).await;
    assert_eq!(market.now(), start + 4);
    assert_eq!(market.readiness(), (2, 0));
    market.server.stop();
    tokio::time::timeout(LONG, ticking).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_silent_participant_is_not_waited_for_beyond_the_timeout() {
    let market = Polyswarmd::quiet().await;
    let ticking = tokio::spawn(clock::run(market.server.clone(), Clock::Lockstep { timeout: Duration::from_millis(1) }, 1, true));
    let mut events = market.events("side").await;
    market.get(&format!("/nonce?{}", Actor::new(1).query())).await.result();
    events.until_block(market.now() + 2).await;
    tokio::time::timeout(LONG, ticking).await.unwrap().unwrap();
    assert!(market.server.node().is_over(), "it ends when the corpus is through");
    market.server.stopped().await;
}

#[tokio::test]
async fn who_is_silent_is_waited_for_unless_it_hung_up() {
    let market = Polyswarmd::lively().await;
    let (client, other) = (Actor::new(1), Actor::new(2));
    for who in [&client, &other] {
        market.get(&format!("/nonce?{}", who.query())).await.result();
        pass(&market, who, market.now()).await;
    }
    // Both have a WebSocket: they are silent as long as they like, and that is told once.
    for block in 0..20 {
        assert!(market.server.mine());
        let silent = market.server.node().went_on(2);
        assert_eq!(silent.len(), if block == 0 { 2 } else { 0 });
    }
    assert_eq!(market.readiness(), (2, 0));
    // One is heard of again, one hung up: that is the other.
    pass(&market, &client, market.now()).await;
    assert!(market.server.mine());
    assert_eq!(market.server.node().went_on(1).len(), 1);
    let readiness = market.server.node().readiness();
    assert_eq!((readiness.active, readiness.gone, readiness.ready), (1, 1, 0));
    // It comes back.
    pass(&market, &other, market.now()).await;
    let readiness = market.server.node().readiness();
    assert_eq!((readiness.active, readiness.gone, readiness.ready), (2, 0, 1));
}

#[tokio::test]
async fn a_lockstep_that_everybody_left_does_not_run_away() {
    for (participants, left) in [(1, true), (1, false), (0, true), (0, false)] {
        let market = Polyswarmd::lively().await;
        let (one, two) = (Actor::new(1), Actor::new(2));
        market.get(&format!("/nonce?{}", one.query())).await.result();
        if left {
            pass(&market, &one, market.now()).await;
            for _ in 0..3 {
                assert!(market.server.mine());
                market.server.node().went_on(0);
            }
            assert_eq!(market.server.node().readiness().gone, 1);
        }
        let mut events = market.events("side").await;
        let ticking = tokio::spawn(clock::run(market.server.clone(), Clock::Lockstep { timeout: NEVER }, participants, false));
        let start = market.now();
        market.get(&format!("/nonce?{}", two.query())).await.result();
        pass(&market, &two, start).await;
        events.until_block(start + 1).await;
        market.get("/status").await.result();
        assert_eq!(market.now(), start + 1, "{participants} participants, one left: {left}");
        market.server.stop();
        tokio::time::timeout(LONG, ticking).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_lockstep_that_nobody_was_asked_to_is_soon_through() {
    let market = Polyswarmd::lively().await;
    tokio::time::timeout(LONG, clock::run(market.server.clone(), Clock::Lockstep { timeout: NEVER }, 0, true)).await.unwrap();
    assert!(market.server.node().is_over());
}

#[tokio::test]
async fn when_all_is_over_a_lockstep_rests_until_somebody_acts() {
    let market = Polyswarmd::quiet().await;
    let mut who = Actor::new(1);
    let _events = market.events("side").await;
    let ticking = tokio::spawn(clock::run(market.server.clone(), Clock::Lockstep { timeout: NEVER }, 1, false));
    market.get(&format!("/nonce?{}", who.query())).await.result();
    pass(&market, &who, market.now() + 1000).await;
    until("the corpus is through", || market.server.node().is_over()).await;
    let over = market.now();
    for block in 1..4 {
        let unsigned = market.to_sign(&who, "/relay/withdrawal", json!({ "amount": "1" })).await;
        let signed = who.sign(unsigned);
        market.submit(&who, &signed).await.result();
        market.receipt(&who, &signed).await.result();
        assert_eq!(market.now(), over + block);
    }
    market.server.stop();
    tokio::time::timeout(LONG, ticking).await.unwrap().unwrap();
}

#[tokio::test]
async fn when_all_is_over_blocks_still_come_at_the_timeout() {
    let market = Polyswarmd::quiet().await;
    let mut events = market.events("side").await;
    let ticking = tokio::spawn(clock::run(market.server.clone(), Clock::Lockstep { timeout: Duration::from_millis(1) }, 0, false));
    until("the corpus is through", || market.server.node().is_over()).await;
    events.until_block(market.now() + 3).await;
    market.server.stop();
    tokio::time::timeout(LONG, ticking).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_market_at_rest_takes_no_more_memory_with_every_block() {
    let market = Polyswarmd::quiet().await;
    while !market.server.node().is_over() {
        market.mine(1).await;
    }
    market.mine(300).await;
    let inputs = || market.server.node().inputs().len();
    let (before, block) = (inputs(), market.now());
    market.post("/_mock/snapshots/before", "").await.result();
    market.mine(300).await;
    assert_eq!((inputs(), market.now()), (before + 1, block + 300));
    // A bounty, and all is as it would be had every block been kept.
    let mut author = Actor::new(3);
    market.bounty(&mut author, &[EICAR], 8).await;
    market.mine(300).await;
    let (state, journal) = (market.dump().await, market.get("/_mock/journal").await.body);
    let recording = market.server.node().recording();
    let played = recording.play::<PlayError>(&mut Blind, &mut |_, _, _| Ok(())).unwrap();
    assert_eq!(played.market(ChainName::Side).now().0, market.now());
    let other = Polyswarmd::quiet().await;
    assert_eq!(other.call(Method::PUT, "/_mock/state", state.clone()).await.result(), market.now());
    assert_eq!(other.dump().await, state);
    assert_eq!(other.get("/_mock/journal").await.body, journal);
    assert_eq!(market.post("/_mock/snapshots/before/revert", "").await.result(), block);
    market.mine(1).await;
    assert_eq!((inputs(), market.now()), (before + 1, block + 1));
}

#[tokio::test]
async fn blocks_come_by_themselves_until_the_corpus_is_through() {
    let market = Polyswarmd::lively().await;
    let mut events = market.events("side").await;
    clock::run(market.server.clone(), Clock::Every(Duration::from_millis(1)), 0, true).await;
    assert!(market.server.node().is_over());
    let last = market.now();
    assert!(events.until_block(last).await.len() > 100);
}

#[tokio::test]
async fn a_manual_clock_ends_with_the_corpus_and_not_before() {
    let market = Polyswarmd::quiet().await;
    let ticking = tokio::spawn(clock::run(market.server.clone(), Clock::Manual, 0, true));
    market.mine(1).await;
    assert!(!ticking.is_finished());
    for _ in 0..100 {
        if market.server.node().is_over() || !market.server.mine() {
            break;
        }
    }
    until("the clock has stopped", || ticking.is_finished()).await;
    assert!(market.server.is_stopping());
}
