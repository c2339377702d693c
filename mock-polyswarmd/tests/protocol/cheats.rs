//! What no polyswarmd has, under `/_mock/`.

use std::time::Duration;

use axum::http::Method;
use mock_polyswarmd::{http, node::PASS_MAXIMUM, run};
use serde_json::{Value, json};
use sim::output::RunDirectory;

use crate::support::{Actor, Config, EICAR, Polyswarmd, keys, lively, server};

#[tokio::test]
async fn blocks_are_mined_when_asked_for() {
    let market = Polyswarmd::quiet().await;
    let start = market.now();
    assert_eq!(market.post("/_mock/mine", "").await.result(), start + 1);
    assert_eq!(market.post("/_mock/mine/", "{}").await.result(), market.now());
    let before = market.now();
    assert_eq!(market.mine(5).await, before + 5);
    for body in [r#"{"blocks":0}"#, r#"{"blocks":100001}"#, r#"{"blocks":-1}"#, r#"{"block":1}"#, "x"] {
        market.post("/_mock/mine", body).await.sentence();
    }
    assert_eq!(market.now(), before + 5);
}

#[tokio::test]
async fn accounts_are_funded_on_either_chain() {
    let market = Polyswarmd::quiet().await;
    let who = Actor::new(5);
    let body = json!({ "account": who.address, "amount": "1000" });
    // Whoever is funded first gets nothing more at first sight.
    assert_eq!(market.post("/_mock/fund?chain=home", &body).await.result(), "1000");
    assert_eq!(market.post("/_mock/fund", &body).await.result(), "1000");
    assert_eq!(market.post("/_mock/fund", &body).await.result(), "2000");
    for (chain, amount) in [("home", "1000"), ("side", "2000")] {
        assert_eq!(market.get(&format!("/balances/{0}/nct?account={0}&chain={chain}", who.address)).await.result(), amount);
    }
    let most = json!({ "account": who.address, "amount": alloy_primitives::U256::MAX.to_string() });
    market.post("/_mock/fund", most).await.sentence();
    for body in [json!({}), json!({ "account": "0x12", "amount": "1" }), json!({ "account": who.address, "amount": "1.5" })] {
        market.post("/_mock/fund", body).await.sentence();
    }
}

#[tokio::test]
async fn fees_and_windows_change_and_are_announced() {
    let market = Polyswarmd::quiet().await;
    let mut events = market.events("side").await;
    market.post("/_mock/fees", json!({ "bounty_fee": "7", "assertion_fee": "8" })).await.result();
    // Two orders to the contracts, two announcements: the second has both.
    assert_eq!(events.next().await["event"], "fee_update");
    assert_eq!(events.next().await["data"], json!({ "bounty_fee": 7, "assertion_fee": 8 }));
    market.post("/_mock/windows", json!({ "assertion_reveal_window": 6, "arbiter_vote_window": 9 })).await.result();
    let update = events.next().await;
    assert_eq!(
        (&update["event"], &update["data"]),
        (&json!("window_update"), &json!({ "assertion_reveal_window": 6, "arbiter_vote_window": 9 }))
    );
    let parameters = market.get("/bounties/parameters").await.result();
    assert_eq!(parameters["bounty_fee"], 7);
    assert_eq!(parameters["assertion_fee"], 8);
    assert_eq!(parameters["assertion_reveal_window"], 6);
    assert_eq!(parameters["arbiter_vote_window"], 9);
    for body in [json!({}), json!({ "bounty_fee": "x", "assertion_fee": "1" })] {
        market.post("/_mock/fees", &body).await.sentence();
        market.post("/_mock/windows", &body).await.sentence();
    }
}

#[tokio::test]
async fn a_deprecated_registry_takes_no_bounties_until_it_is_undeprecated() {
    let market = Polyswarmd::quiet().await;
    let mut author = Actor::new(1);
    let mut events = market.events("side").await;
    assert!(!market.post("/_mock/undeprecate", "").await.sentence().is_empty(), "it is not deprecated");
    market.post("/_mock/deprecate", "").await.result();
    let said = events.next().await;
    assert_eq!((&said["event"], &said["data"]), (&json!("deprecated"), &json!({ "rollover": false })));
    market.post("/_mock/deprecate", "").await.sentence();
    let uri = market.upload(&[EICAR]).await;
    let body = json!({ "amount": "2000000000000000000", "artifact_type": "file", "uri": uri, "duration": 5 });
    let failure = market.attempt(&mut author, "/bounties", &body).await.failure();
    assert!(failure.contains("transaction failed"), "{failure}");
    market.post("/_mock/undeprecate", "").await.result();
    market.act(&mut author, "/bounties", &body).await;
}

/// Plays a little: a bounty with an assertion, on a market with rivals and arbiters.
async fn trade(market: &Polyswarmd, engine: &mut Actor) {
    let mut author = Actor { nonce: engine.nonce, ..Actor::new(6) };
    let (guid, _) = market.bounty(&mut author, &[EICAR], 20).await;
    let (assertion, _) = engine.assertion(&[true]);
    market.act(engine, &format!("/bounties/{guid}/assertions"), assertion).await;
}

#[tokio::test]
async fn a_snapshot_brings_back_everything_as_often_as_wanted() {
    let market = Polyswarmd::lively().await;
    let mut engine = Actor::new(2);
    market.mine(5).await;
    trade(&market, &mut engine).await;
    let (before, block, nonce) = (market.dump().await, market.now(), engine.nonce);
    let journal = market.get("/_mock/journal").await.body;
    let bounties = market.get("/bounties?count=1000").await.body;
    assert_eq!(market.post("/_mock/snapshots/start", "").await.result(), block);
    for _ in 0..2 {
        engine.nonce = nonce;
        trade(&market, &mut engine).await;
        let unsigned = market.to_sign(&engine, "/relay/withdrawal", json!({ "amount": "1" })).await;
        let waiting = engine.sign(unsigned);
        market.submit(&engine, &waiting).await.result();
        market.post("/_mock/snapshots/later", "").await.result();
        market.mine(30).await;
        assert_ne!(market.dump().await, before);
        assert_eq!(market.post("/_mock/snapshots/start/revert", "").await.result(), block);
        assert_eq!(market.dump().await, before);
        assert_eq!(market.get("/_mock/journal").await.body, journal);
        assert_eq!(market.get("/bounties?count=1000").await.body, bounties);
        assert_eq!(market.get(&format!("/nonce?{}", engine.query())).await.result(), nonce);
        assert_eq!(market.get(&format!("/pending?{}", engine.query())).await.result(), json!([]));
        // Later ones are gone, this one stays.
        assert_eq!(market.get("/_mock/snapshots").await.result(), json!(["start"]));
    }
    let unknown = market.post("/_mock/snapshots/other/revert", "").await;
    assert_eq!(unknown.status.as_u16(), 404);
    assert_eq!(unknown.sentence(), "there is no snapshot `other`; there are: start");
    // What was mined before is still known, and what comes after goes on.
    trade(&market, &mut Actor { nonce, ..engine }).await;
}

#[tokio::test]
async fn whoever_listens_begins_anew_when_time_goes_elsewhere() {
    let market = Polyswarmd::lively().await;
    market.post("/_mock/snapshots/start", "").await.result();
    let (start, state) = (market.now(), market.dump().await);
    for load in [false, true] {
        let mut links = [market.events("side").await, market.events("home").await];
        market.mine(3).await;
        if load {
            market.call(Method::PUT, "/_mock/state", state.clone()).await.result();
        } else {
            market.post("/_mock/snapshots/start/revert", "").await.result();
        }
        for link in &mut links {
            while link.next_text().await.is_some() {}
        }
        let mut anew = market.events("side").await;
        market.mine(1).await;
        anew.until_block(start + 1).await;
    }
}

/// Answers are kept until something happens: going back is something, also to where nothing had happened yet.
#[tokio::test]
async fn what_is_gone_is_not_answered_from_memory() {
    let market = Polyswarmd::quiet().await;
    market.post("/_mock/snapshots/nothing", "").await.result();
    let (guid, _) = market.bounty(&mut Actor::new(1), &[EICAR], 20).await;
    market.get(&format!("/bounties/{guid}")).await.result();
    market.post("/_mock/snapshots/nothing/revert", "").await.result();
    assert_eq!(market.get(&format!("/bounties/{guid}")).await.status.as_u16(), 404);
    assert!(market.server.node().inputs().is_empty());
}

#[tokio::test]
async fn a_state_is_loaded_by_another_server() {
    let market = Polyswarmd::lively().await;
    let mut engine = Actor::new(2);
    trade(&market, &mut engine).await;
    market.post(&format!("/bounties/metadata?{}", engine.query()), r#"[{"mimetype":"text/plain"}]"#).await.result();
    let state = market.dump().await;
    let other = Polyswarmd::lively().await;
    other.mine(3).await;
    other.post("/_mock/snapshots/gone", "").await.result();
    let bare = serde_json::from_str::<Value>(&state).unwrap()["result"].to_string();
    for state in [&state, &bare] {
        assert_eq!(other.call(Method::PUT, "/_mock/state", state.clone()).await.result(), market.now());
        assert_eq!(other.get("/_mock/snapshots").await.result(), json!([]));
        assert_eq!(other.dump().await, market.dump().await);
    }
    // They go on alike, with bounties of new names.
    for market in [&market, &other] {
        trade(market, &mut engine.clone()).await;
        market.mine(40).await;
    }
    let guids = other.get("/bounties?count=1000").await.result();
    assert_eq!(guids, market.get("/bounties?count=1000").await.result());
    assert_eq!(other.get("/_mock/journal").await.body, market.get("/_mock/journal").await.body);
}

#[tokio::test]
async fn a_state_that_does_not_fit_is_refused_and_changes_nothing() {
    let market = Polyswarmd::lively().await;
    trade(&market, &mut Actor::new(2)).await;
    let before = market.dump().await;
    let stranger = Polyswarmd::quiet().await.dump().await;
    let put = async |state: String| {
        let refused = market.call(Method::PUT, "/_mock/state", state).await.sentence();
        assert_eq!(market.dump().await, before, "{refused}");
        refused
    };
    assert!(put(stranger).await.starts_with("the state is of scenario "));
    for state in ["", "{}", "[]", "null", r#"{"status":"OK","result":{}}"#] {
        assert!(put(state.to_owned()).await.starts_with("the body is no state: "), "{state}");
    }
    let state: Value = serde_json::from_str(&before).unwrap();
    let damage = |change: &dyn Fn(&mut Value)| {
        let mut state = state["result"].clone();
        change(&mut state);
        state.to_string()
    };
    put(damage(&|state| state["uploads"] = json!([["0g"]]))).await;
    put(damage(&|state| state["uploads"] = json!([[]]))).await;
    put(damage(&|state| state["metadata"] = json!(["{"]))).await;
    put(damage(&|state| state["inputs"][0] = json!({ "nothing": {} }))).await;
    put(damage(&|state| state["inputs"].as_array_mut().unwrap().push(json!({ "transact": { "chain": "side", "transaction": "00" } }))))
        .await;
    // Blocks are numbers: the last of all is far beyond everything there is to do.
    let with_block = |block: u64| damage(&|state| state["inputs"].as_array_mut().unwrap().push(json!({ "mine": { "block": block } })));
    let refused = put(with_block(u64::MAX)).await;
    assert!(refused.starts_with("the state cannot be played: block 18446744073709551615 comes where block "), "{refused}");
    // One from the past is no harm.
    assert_eq!(market.call(Method::PUT, "/_mock/state", with_block(0)).await.result(), market.now());
    assert!(market.call(Method::PUT, "/_mock/state", before.clone()).await.result().is_u64());
    assert_eq!(market.dump().await, before);
    market.mine(1).await;
}

#[tokio::test]
async fn time_ends_for_a_market_at_rest_too() {
    let market = Polyswarmd::quiet().await;
    market.mine(200).await;
    assert!(market.server.node().is_over());
    let mut state: Value = market.get("/_mock/state").await.result();
    state["inputs"].as_array_mut().unwrap().push(json!({ "mine": { "block": u64::MAX } }));
    let refused = market.call(Method::PUT, "/_mock/state", state.to_string()).await.sentence();
    assert!(refused.contains("block 18446744073709551615"), "{refused}");
    market.mine(1).await;
}

#[tokio::test]
async fn the_journal_is_that_of_the_run_directory() {
    let market = Polyswarmd::lively().await;
    trade(&market, &mut Actor::new(2)).await;
    market.mine(150).await;
    let answer = market.get("/_mock/journal").await;
    assert_eq!(answer.content_type, "application/x-ndjson");
    assert!(answer.text().lines().count() > 100);
    for line in answer.text().lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let directory = RunDirectory::create(&out).unwrap();
    let run = run::conclude(
        &market.server.node(),
        Some(directory),
        "test".to_owned(),
        Duration::from_secs(1),
        sim::progress::Progress::new(true),
    )
    .unwrap();
    assert!(run.complete);
    let journal =
        std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.extension().is_some_and(|end| end == "zst"));
    let journal = zstd::decode_all(std::fs::File::open(journal.unwrap()).unwrap()).unwrap();
    assert_eq!(journal, answer.body);
}

#[tokio::test]
async fn health_and_metrics_count() {
    let market = Polyswarmd::lively().await;
    let _events = market.events("side").await;
    let mut engine = Actor::new(2);
    trade(&market, &mut engine).await;
    let unsigned = market.to_sign(&engine, "/relay/withdrawal", json!({ "amount": "1" })).await;
    let waiting = engine.sign(unsigned);
    market.submit(&engine, &waiting).await.result();
    let health = market.get("/_mock/health").await.result();
    let expected = ["block", "bounties_over", "bounties_planned", "figures", "over", "waiting_transactions", "websockets"];
    assert_eq!(keys(&health), expected);
    assert_eq!(health["block"], market.now());
    assert_eq!(health["bounties_planned"], 12);
    assert_eq!(health["waiting_transactions"], 1);
    assert_eq!(health["websockets"], 1);
    assert_eq!(health["over"], false);
    assert_eq!(health["figures"]["transactions"], 4);
    assert_eq!(health["figures"]["failures"], 0);
    let answer = market.get("/_mock/metrics").await;
    assert!(answer.content_type.starts_with("application/openmetrics-text"));
    let mut figures = std::collections::BTreeMap::new();
    let mut lines = answer.text().lines().peekable();
    while let Some(line) = lines.next() {
        if line == "# EOF" {
            assert_eq!(lines.peek(), None);
        } else if !line.starts_with("# HELP ") && !line.starts_with("# TYPE ") {
            let (name, value) = line.split_once(' ').unwrap();
            figures.insert(name.strip_prefix("mock_polyswarmd_").unwrap(), value.parse::<u64>().unwrap());
        }
    }
    assert_eq!(figures["block"], market.now());
    assert_eq!(figures["transactions"], 4);
    assert_eq!(figures["transactions_waiting"], 1);
    assert_eq!(figures["websockets"], 1);
    assert_eq!(figures.len(), 11);
}

/// All paths under `/_mock` but the one that belongs to the clock.
fn cheats() -> Vec<(Method, String)> {
    let description = http::description();
    let operations =
        description["paths"].as_object().unwrap().iter().filter(|(path, _)| path.starts_with("/_mock") && *path != "/_mock/pass");
    operations
        .flat_map(|(path, operations)| {
            let path = path.replace("{name}", "x");
            operations.as_object().unwrap().keys().map(move |method| (method.to_uppercase().parse().unwrap(), path.clone()))
        })
        .collect()
}

#[tokio::test]
async fn without_cheats_there_are_none_and_a_participant_can_still_pass() {
    let market = Polyswarmd::start(Config { cheats: false, ..Config::default() }).await;
    assert!(cheats().len() > 10);
    for (method, path) in cheats() {
        let answer = market.call(method, &path, "").await;
        assert_eq!((answer.status.as_u16(), answer.sentence().as_str()), (404, "there is nothing at this path"), "{path}");
    }
    let who = Actor::new(1);
    let pass = format!("/_mock/pass?{}", who.query());
    assert_eq!(market.readiness(), (0, 0));
    market.post(&pass, json!({ "block": market.now() })).await.result();
    assert_eq!(market.readiness(), (1, 1));
    assert!(market.server.mine());
    assert_eq!(market.readiness(), (1, 0), "a pass is for one block");
    market.post(&pass, json!({ "block": u64::MAX })).await.result();
    for _ in 0..PASS_MAXIMUM {
        assert!(market.server.mine());
    }
    assert_eq!(market.readiness(), (1, 1));
    assert!(market.server.mine());
    assert_eq!(market.readiness(), (1, 0), "nobody passes for ever");
    market.post(&pass, "{}").await.sentence();
    market.post("/_mock/pass", json!({ "block": 1 })).await.sentence();
}

#[tokio::test]
async fn cheats_can_have_a_port_of_their_own() {
    let config = Config { scenario: lively(), cheats: false, ..Config::default() };
    let server = server(&config);
    let admin = Polyswarmd::of(&server, http::admin(&server)).await;
    for (method, path) in cheats() {
        let answer = admin.call(method, &path, "").await;
        assert_ne!(answer.text(), r#"{"status":"FAIL","errors":"there is nothing at this path"}"#, "{path}");
    }
    for path in ["/bounties/parameters", "/events", "/status", "/_mock/pass"] {
        assert_eq!(admin.get(path).await.status.as_u16(), 404, "{path}");
    }
}
