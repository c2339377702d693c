//! When blocks are mined, and what a lockstep waits for.

use std::time::Duration;

use mock_polyswarmd::clock::{self, Clock};
use serde_json::json;

use crate::support::{Actor, LONG, Polyswarmd, until};

const NEVER: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_lockstep_starts_with_its_participants_and_mines_when_all_have_acted_or_passed() {
    let market = Polyswarmd::quiet().await;
    let ticking = tokio::spawn(clock::run(market.server.clone(), Clock::Lockstep { timeout: NEVER }, 2, false));
    let (mut one, two) = (Actor::new(1), Actor::new(2));
    let start = market.now();
    let (mut first, _second) = (market.events("side").await, market.events("side").await);
    market.get(&format!("/nonce?{}", one.query())).await.result();
    market.get(&format!("/nonce?{}", two.query())).await.result();
    let pass =
        async |who: &Actor, block: u64| market.post(&format!("/_mock/pass?{}", who.query()), json!({ "block": block })).await.result();
    // The first acts and waits for its receipt, the second passes: then there is a block, and only then.
    pass(&two, start).await;
    let unsigned = market.to_sign(&one, "/relay/withdrawal", json!({ "amount": "1" })).await;
    let signed = one.sign(unsigned);
    market.submit(&one, &signed).await.result();
    assert_eq!(market.now(), start, "a transaction that nobody waits for may be followed by more");
    market.receipt(&one, &signed).await.result();
    assert_eq!(market.now(), start + 1);
    first.until_block(start + 1).await;
    // Both pass, for several blocks at once.
    pass(&one, start + 3).await;
    pass(&two, start + 3).await;
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
