//! The live engine against a polyswarmd in memory, with virtual time: whole lives of bounties, and all that can go wrong.

mod distrust;
mod market;

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use ::market::{id::Guid, nct::Nct};
use engine::{
    calibrate::MapKind,
    chance::Key,
    config::{BackendConfig, BackendKind, EngineConfig},
    filter::Filter,
    live::{
        driver::{Ceilings, Driver},
        events::Incoming,
        journal::{Journal, Writer},
        polyswarmd::{Chain, Polyswarmd},
        run::{self, Finish, Office, Pace},
        summary::Summary,
        wallet::Wallet,
    },
    microengine::{Abstention, Microengine},
    scanner::Scanner,
    stake,
};
use tokio::{sync::mpsc, task::JoinHandle, time::sleep};
use wire::{artifact::ArtifactType, calldata::Call, signature::SecretKey};

use crate::market::{Market, REVEAL_WINDOW, VOTE_WINDOW};

/// Between two blocks; receipts wait for up to 10 s.
const BLOCK_TIME: Duration = Duration::from_secs(1);

fn wallet() -> Wallet {
    Wallet::of(SecretKey::from_bytes(&[0x46; 32]).unwrap())
}

/// An engine that is running.
struct Running {
    events: mpsc::Sender<Incoming>,
    finish: Finish,
    engine: JoinHandle<Summary>,
    writer: Writer,
}

impl Running {
    async fn start(market: &Market, journal: &Path, pace: Pace) -> Running {
        Running::start_with(market, journal, pace, Ceilings::default()).await
    }

    async fn start_with(market: &Market, journal: &Path, pace: Pace, ceilings: Ceilings) -> Running {
        Running::start_engine(market, journal, pace, ceilings, EngineConfig::default()).await
    }

    async fn start_engine(market: &Market, journal: &Path, pace: Pace, ceilings: Ceilings, config: EngineConfig) -> Running {
        Running::start_strategy(market, journal, pace, ceilings, EngineConfig { strategy: "null/min".to_owned(), ..config }).await
    }

    async fn start_strategy(market: &Market, journal: &Path, pace: Pace, ceilings: Ceilings, config: EngineConfig) -> Running {
        let config = EngineConfig { backends: vec![BackendConfig::of(BackendKind::Eicar)], ..config };
        let scanner = Arc::new(Scanner::new(&config, Path::new(".")).unwrap());
        let mut core = Microengine::new(1, config.judge(), stake::build(&config.strategy).unwrap(), Key::root(1));
        core.draw_nonces(run::random_nonce);
        let (journal, writer, promises) = Journal::open(journal, wallet().address(), Chain::Side, "memory").unwrap();
        let driver = Driver::new(core, wallet().address(), vec![ArtifactType::File], promises).with_ceilings(ceilings);
        let client = Polyswarmd::new(market.clone(), wallet().address(), Chain::Side);
        let office = Office::new(client, wallet(), journal, scanner, Filter::default(), 2, pace);
        let (events, from) = mpsc::channel(4096);
        let finish = Finish::new(None);
        let engine = tokio::spawn(run::run(office, driver, from, finish.clone(), pace));
        events.send(Incoming::Connected).await.unwrap();
        Running { events, finish, engine, writer }
    }

    /// Mines so many blocks, with time for the engine in between.
    async fn mine(&self, market: &Market, blocks: u64) {
        for _ in 0..blocks {
            sleep(BLOCK_TIME).await;
            market.mine(&self.events).await;
        }
        sleep(BLOCK_TIME).await;
    }

    async fn stop(self) -> Summary {
        self.finish.now();
        let summary = self.engine.await.unwrap();
        self.writer.finish().await;
        summary
    }

    /// As SIGKILL: nothing is finished but what the disk has.
    async fn kill(self) {
        self.engine.abort();
        let _ = self.engine.await;
        self.writer.finish().await;
    }
}

fn setting() -> (tempfile::TempDir, Market) {
    let folder = tempfile::tempdir().unwrap();
    let market = Market::new(wallet().address(), folder.path().to_owned());
    (folder, market)
}

/// Plays bounties to their end with the faults that `break_it` sets, and hands back the summary.
async fn play(bounties: u128, break_it: impl FnOnce(&mut market::Faults)) -> (Market, Summary) {
    let (folder, market) = setting();
    market.with(|state| break_it(&mut state.faults));
    let running = Running::start(&market, folder.path(), Pace::Free).await;
    running.mine(&market, 1).await;
    for number in 1..=bounties {
        market.post(&running.events, number, 10).await;
    }
    running.mine(&market, 10 + REVEAL_WINDOW + VOTE_WINDOW + 10).await;
    let summary = running.stop().await;
    (market, summary)
}

#[tokio::test(start_paused = true)]
async fn bounties_are_asserted_revealed_and_settled() {
    let (market, summary) = play(3, |_| {}).await;
    market.assert_nothing_is_lost();
    let expected = Summary { seen: 3, asserted: 3, revealed: 3, settled: 3, paid: Nct::whole(3), ..Summary::default() };
    assert_eq!(summary, expected);
    assert_eq!(market.with(|state| state.failed.clone()), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_bounties_at_once_lose_nothing() {
    let (market, summary) = play(1000, |_| {}).await;
    market.assert_nothing_is_lost();
    assert_eq!((summary.asserted, summary.revealed, summary.settled, summary.errors), (1000, 1000, 1000, 0));
}

/// Side of the revealed assertion on a bounty: malicious or not.
fn revealed(market: &Market, guid: Guid) -> bool {
    market.with(|state| {
        let (_, reveal) = &state.bounties[&guid].assertions[0];
        reveal.as_ref().expect("it is revealed").verdicts.contains(0)
    })
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_learns_reads_the_votes_of_what_it_scanned_and_a_fixed_one_none() {
    for map in [MapKind::Platt, MapKind::None] {
        let (folder, market) = setting();
        let mut config = EngineConfig::default();
        (config.calibration.map, config.distiller.refit) = (map, 100);
        let running = Running::start_engine(&market, folder.path(), Pace::Free, Ceilings::default(), config).await;
        running.mine(&market, 1).await;
        // The backend sees nothing in any of them; in nine of ten the arbiters do, two against one.
        let mut guids = Vec::new();
        for number in 1..=110 {
            let guid = market.post(&running.events, number, 10).await;
            let votes = if number % 10 == 0 { vec![false, false, true] } else { vec![true, false, true] };
            market.with(|state| state.bounties.get_mut(&guid).unwrap().votes = votes);
            guids.push(guid);
        }
        running.mine(&market, 10 + REVEAL_WINDOW + VOTE_WINDOW + 3).await;
        let last = market.post(&running.events, 1000, 10).await;
        running.mine(&market, 10 + REVEAL_WINDOW + 2).await;
        let summary = running.stop().await;
        assert_eq!((summary.asserted, summary.revealed, summary.errors), (111, 111, 0));
        let read = market.with(|state| state.votes_read.iter().copied().collect::<BTreeSet<_>>());
        let learns = map == MapKind::Platt;
        assert_eq!(read, guids.iter().copied().filter(|_| learns).collect());
        assert_eq!(market.with(|state| state.votes_read.len()), read.len(), "once each");
        assert_eq!((revealed(&market, guids[0]), revealed(&market, last)), (false, learns));
    }
}

#[tokio::test(start_paused = true)]
async fn a_strategy_that_learns_hears_what_was_staked_and_revealed() {
    let ((folder, market), elsewhere) = (setting(), tempfile::tempdir().unwrap());
    let diary = elsewhere.path().join("diary");
    let script = format!(
        r#"read hello; echo '{{"learns":true}}'; while read line; do case "$line" in
        *decide*) guid=${{line#*\"guid\":\"}}; guid=${{guid%%\"*}}
            echo '{{"guid":"'$guid'","stakes":[{{"malicious":false,"bid":"500000000000000000"}}]}}';;
        *) echo "$line" >> {};; esac; done"#,
        diary.display()
    );
    let word: String = script.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let config = EngineConfig { strategy: format!("command?run=sh&args=-c {word}"), ..EngineConfig::default() };
    let running = Running::start_strategy(&market, folder.path(), Pace::Free, Ceilings::default(), config).await;
    running.mine(&market, 1).await;
    let first = market.post(&running.events, 1, 10).await;
    market.with(|state| state.bounties.get_mut(&first).unwrap().votes = vec![false, false, true]);
    running.mine(&market, 10 + REVEAL_WINDOW + VOTE_WINDOW + 3).await;
    market.post(&running.events, 2, 10).await;
    running.mine(&market, 3).await;
    // What it is told comes before the question.
    market.post(&running.events, 3, 10).await;
    running.mine(&market, 3).await;
    running.stop().await;
    let lesson: serde_json::Value = serde_json::from_str(std::fs::read_to_string(diary).unwrap().lines().next().unwrap()).unwrap();
    let settled = &lesson["settled"];
    assert_eq!((&settled["guid"], &settled["own"]), (&serde_json::json!(first.to_string()), &serde_json::json!(0)));
    let assertion = serde_json::json!([{"author": 0, "mask": [0], "bids": ["500000000000000000"], "verdicts": []}]);
    assert_eq!((&settled["assertions"], &settled["consensus"]), (&assertion, &serde_json::json!([])), "{lesson}");
    assert_eq!(settled["verdicts"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn quorum_settles_a_bounty_ahead_of_its_time() {
    let (folder, market) = setting();
    let running = Running::start(&market, folder.path(), Pace::Free).await;
    running.mine(&market, 1).await;
    let guid = market.post(&running.events, 7, 5).await;
    running.mine(&market, 5 + REVEAL_WINDOW).await;
    market.decide(&running.events, guid).await;
    running.mine(&market, 2).await;
    let summary = running.stop().await;
    assert_eq!((summary.revealed, summary.settled, summary.open, summary.errors), (1, 1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn lost_answers_and_missing_receipts_cost_no_reveal() {
    // The answer is lost so often that the engine gives up: it does not know whether the assertion arrived.
    for lost_answers in [1, 3, 4, 8] {
        let (market, summary) = play(2, |faults| faults.lost_answers = lost_answers).await;
        market.assert_nothing_is_lost();
        assert_eq!((summary.asserted, summary.revealed, summary.settled, summary.open), (2, 2, 2, 0), "{lost_answers}");
    }
    for text in ["receipt not available", "timeout during wait for receipt", "something new"] {
        let (market, summary) = play(2, |faults| faults.receipts = vec![text; 2]).await;
        market.assert_nothing_is_lost();
        assert_eq!((summary.asserted, summary.revealed, summary.settled, summary.open), (2, 2, 2, 0), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reveal_that_cannot_be_built_is_tried_again_within_its_window() {
    let (market, summary) = play(2, |faults| faults.unbuilt_reveals = 3).await;
    market.assert_nothing_is_lost();
    assert_eq!((summary.revealed, summary.settled, summary.errors), (2, 2, 3));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_signed_for_a_server_that_raises_the_bid() {
    let (market, summary) = play(2, |faults| faults.tamper = true).await;
    assert_eq!(market.with(|state| state.calls.clone()), []);
    assert_eq!((summary.asserted, summary.refused, summary.errors, summary.open), (0, 2, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn late_and_unfunded_bounties_are_left_alone_and_counted() {
    let (folder, market) = setting();
    market.with(|state| state.balance = Nct::wei(150_000_000_000_000_000));
    let running = Running::start(&market, folder.path(), Pace::Free).await;
    running.mine(&market, 1).await;
    market.post(&running.events, 1, 1).await;
    for number in 2..=4 {
        market.post(&running.events, number, 10).await;
    }
    market.post(&running.events, 4, 10).await;
    running.mine(&market, 3).await;
    let summary = running.stop().await;
    assert_eq!(summary.abstained, [(Abstention::Late, 1), (Abstention::Unfunded, 2)].into());
    assert_eq!((summary.seen, summary.known, summary.asserted, summary.open, summary.errors), (5, 1, 1, 1, 0));
}

/// Kills the engine at its `at`-th request, starts it again, and plays to the end. True if the first life came so far.
async fn killed_at(at: usize) -> bool {
    let (folder, market) = setting();
    market.with(|state| state.faults.freeze_at = Some(at));
    let first = Running::start(&market, folder.path(), Pace::Free).await;
    first.mine(&market, 1).await;
    for number in 1..=2 {
        market.post(&first.events, number, 6).await;
    }
    // As long as the engine answers, at most until all is over.
    let mut blocks = 0;
    while market.with(|state| state.requests <= at) && blocks < 60 {
        first.mine(&market, 1).await;
        blocks += 1;
    }
    let died = market.with(|state| state.requests > at);
    first.kill().await;
    market.with(|state| state.faults.freeze_at = None);

    let second = Running::start(&market, folder.path(), Pace::Free).await;
    // The same bounties once more: as after a reconnection of a server that repeats itself.
    if market.with(|state| state.block < 106) {
        for number in 1..=2 {
            let guid = Guid::random(number);
            let asserted = market.with(|state| state.bounties[&guid].assertions.len());
            if asserted == 0 {
                market.post(&second.events, number, 6).await;
            }
        }
    }
    second.mine(&market, 60).await;
    let summary = second.stop().await;
    market.assert_nothing_is_lost();
    market.with(|state| {
        let asserted = state.bounties.values().filter(|bounty| !bounty.assertions.is_empty()).count();
        let settled = state.bounties.values().filter(|bounty| bounty.settled == 1).count();
        assert_eq!((settled, summary.open), (asserted, 0), "killed at request {at}");
        // A settlement whose success the first life did not hear of is tried once more; nothing else is done twice.
        assert!(state.failed.iter().all(|reason| reason == "Sender already settled"), "{:?}", state.failed);
    });
    died
}

#[tokio::test(start_paused = true)]
async fn an_engine_killed_at_any_request_loses_no_reveal_and_does_nothing_twice() {
    let mut at = 0;
    while killed_at(at).await {
        at += 1;
    }
    assert!(at > 20, "only {at} requests in two bounties' lives");
}

#[tokio::test(start_paused = true)]
async fn a_market_that_went_back_is_followed_after_the_next_connection() {
    for pace in [Pace::Free, Pace::Lockstep] {
        let (folder, market) = setting();
        let running = Running::start(&market, folder.path(), pace).await;
        running.mine(&market, 50).await;
        let passed = || market.with(|state| state.calls.iter().filter(|call| call.is_none()).count());
        let before = passed();
        // A snapshot, a hundred blocks ago; the server hangs up.
        market.with(|state| state.block = 50);
        running.events.send(Incoming::Connected).await.unwrap();
        running.mine(&market, 1).await;
        market.post(&running.events, 1, 5).await;
        running.mine(&market, 5 + REVEAL_WINDOW + VOTE_WINDOW + 5).await;
        let after = passed();
        let summary = running.stop().await;
        assert_eq!((summary.asserted, summary.revealed, summary.settled, summary.errors), (1, 1, 1, 0), "{pace:?}");
        assert_eq!(after - before, if pace == Pace::Lockstep { 41 } else { 0 });
    }
}

#[tokio::test(start_paused = true)]
async fn in_lockstep_everything_is_sent_in_order_before_the_pass() {
    let play = async || {
        let (folder, market) = setting();
        let running = Running::start(&market, folder.path(), Pace::Lockstep).await;
        sleep(BLOCK_TIME).await;
        let mut trail = Vec::new();
        for block in 1..=6 + REVEAL_WINDOW + VOTE_WINDOW {
            if block <= 3 {
                // The events of a block come before the block.
                market.post(&running.events, u128::from(block), 5).await;
                market.post(&running.events, u128::from(block) + 100, 5).await;
            }
            market.mine(&running.events).await;
            let passed = || market.with(|state| state.calls.iter().filter(|call| call.is_none()).count() as u64);
            while passed() < block {
                sleep(Duration::from_millis(10)).await;
            }
        }
        let summary = running.stop().await;
        market.assert_nothing_is_lost();
        market.with(|state| {
            for call in &state.calls {
                trail.push(match call {
                    None => "|".to_owned(),
                    Some(Call::Approve { .. }) => "approve".to_owned(),
                    Some(Call::PostAssertion(assertion)) => format!("assert {}", assertion.guid.0 & 0xff),
                    Some(Call::RevealAssertion(reveal)) => format!("reveal {}", reveal.guid.0 & 0xff),
                    Some(other) => format!("{other:?}"),
                });
            }
        });
        (trail.join(" "), summary)
    };
    let (trail, summary) = play().await;
    let expected = "approve assert 1 approve assert 101 | approve assert 2 approve assert 102 | approve assert 3 approve assert 103 | | | \
                    reveal 1 reveal 101 | reveal 2 reveal 102 | reveal 3 reveal 103 |";
    assert!(trail.starts_with(expected), "{trail}");
    assert_eq!((summary.asserted, summary.revealed, summary.errors), (6, 6, 0));
    assert_eq!(play().await, (trail, summary));
}
