//! What actions log, to the value and the type of each, on both chains; and what is said of those that fail.

use std::time::Duration;

use mock_polyswarmd::server::Patience;
use serde_json::{Value, json};

use crate::support::{Actor, Config, EICAR, NCT, Polyswarmd, hex, keys};

const REGISTRY: &str = "BountyRegistry";

fn contract(name: &str) -> String {
    wire::address::to_text(market::market::named_address(name))
}

async fn balance(market: &Polyswarmd, who: &Actor, what: &str) -> u128 {
    let path = format!("/balances/{}/{what}?{}", who.address, who.query());
    market.get(&path).await.result().as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_bounty_runs_its_course_and_every_step_logs_what_clients_compare() {
    let market = Polyswarmd::quiet().await;
    let (mut ambassador, mut engine, mut arbiter) = (Actor::new(1), Actor::new(2), Actor::new(3));
    market.mine(2).await;

    // Stake, as a large JSON integer.
    let stake = "10000000000000000000000000";
    let receipt = market.act(&mut arbiter, "/staking/deposit", json!({ "amount": stake })).await;
    assert_eq!(keys(&receipt), ["deposits", "errors", "transfers"]);
    assert_eq!(receipt["transfers"], json!([{ "from": arbiter.address, "to": contract("ArbiterStaking"), "value": stake }]));
    assert_eq!(balance(&market, &arbiter, "staking/total").await.to_string(), stake);

    // Post.
    let uri = market.upload(&[EICAR, b"harmless"]).await;
    let metadata = market.post(&format!("/bounties/metadata?{}", ambassador.query()), r#"[{"mimetype":"text/plain"}]"#).await.result();
    let amount = (5 * NCT).to_string();
    let post = json!({ "amount": amount, "artifact_type": "file", "uri": uri, "duration": 10, "metadata": metadata });
    let receipt = market.act(&mut ambassador, "/bounties", post).await;
    let (guid, expiration) = (receipt["bounties"][0]["guid"].clone(), (market.now() + 10).to_string());
    let expected = json!({
        "transfers": [{ "from": ambassador.address, "to": contract(REGISTRY), "value": (5 * NCT + NCT / 16).to_string() }],
        "bounties": [{ "guid": guid, "artifact_type": "file", "author": ambassador.address, "amount": amount, "uri": uri,
            "expiration": expiration, "metadata": metadata }],
        "errors": [],
    });
    assert_eq!(receipt, expected);
    let (guid, expiration): (&str, u64) = (guid.as_str().unwrap(), expiration.parse().unwrap());
    let bounty = format!("/bounties/{guid}");

    // Assert.
    let (assertion, mut reveal) = engine.assertion(&[true, false]);
    let receipt = market.act(&mut engine, &format!("{bounty}/assertions"), &assertion).await;
    let fee = NCT / 32;
    let expected = json!({
        "transfers": [{ "from": engine.address, "to": contract(REGISTRY), "value": (2 * NCT + fee).to_string() }],
        "assertions": [{ "bounty_guid": guid, "author": engine.address, "index": 0, "bid": assertion["bid"], "mask": assertion["mask"],
            "commitment": assertion["commitment"] }],
        "errors": [],
    });
    assert_eq!(receipt, expected);
    let listed = market.get(&format!("{bounty}/assertions")).await.result();
    let unrevealed = json!([{ "author": engine.address, "mask": [true, true], "commitment": assertion["commitment"], "nonce": "0",
        "verdicts": [null, null], "metadata": "", "bid": assertion["bid"] }]);
    assert_eq!(listed, unrevealed);

    // Reveal.
    market.mine_to(expiration).await;
    let verdicts = market.post("/bounties/metadata", r#"[{"malware_family":"Eicar Test File"},{}]"#).await.result();
    reveal["metadata"] = verdicts.clone();
    let receipt = market.act(&mut engine, &format!("{bounty}/assertions/0/reveal"), &reveal).await;
    let expected = json!({
        "reveals": [{ "bounty_guid": guid, "author": engine.address, "index": 0, "nonce": reveal["nonce"], "verdicts": [true, false],
            "metadata": verdicts }],
        "errors": [],
    });
    assert_eq!(receipt, expected);
    let listed = market.get(&format!("{bounty}/assertions")).await.result();
    assert_eq!(listed[0]["nonce"], reveal["nonce"]);
    assert_eq!(listed[0]["verdicts"], json!([true, false]));
    assert_eq!(listed[0]["metadata"], verdicts);

    // Vote.
    market.mine_to(expiration + 5).await;
    let vote = json!({ "votes": [true, false], "valid_bloom": true });
    let receipt = market.act(&mut arbiter, &format!("{bounty}/vote"), &vote).await;
    assert_eq!(receipt["votes"], json!([{ "bounty_guid": guid, "votes": [true, false], "voter": arbiter.address }]));
    let votes = market.get(&format!("{bounty}/votes")).await.result();
    assert_eq!(votes, json!([{ "voter": arbiter.address, "votes": [true, false], "valid_bloom": true }]));

    // Read.
    market.mine_to(expiration + 14).await;
    let read = market.get(&bounty).await.result();
    let expected = json!({ "guid": guid, "artifact_type": "file", "author": ambassador.address, "amount": amount, "uri": uri,
        "num_artifacts": 2, "expiration": expiration, "assigned_arbiter": read["assigned_arbiter"], "quorum_reached": read["quorum_reached"],
        "quorum_reached_block": read["quorum_reached_block"], "quorum_mask": read["quorum_mask"], "metadata": [{ "mimetype": "text/plain" }] });
    assert_eq!(read, expected);
    assert!(read["quorum_reached"].is_boolean() && read["quorum_reached_block"].is_u64(), "{read}");
    assert_eq!(read["quorum_mask"].as_array().unwrap().len(), 2);

    // Settle, and again: the second one is refused by the contract, in the receipt.
    for who in [&mut engine, &mut arbiter] {
        let before = balance(&market, who, "nct").await;
        let receipt = market.act(who, &format!("{bounty}/settle"), "").await;
        let received: u128 = receipt["transfers"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|transfer| transfer["value"].as_str().unwrap().parse::<u128>().unwrap())
            .sum();
        assert_eq!(balance(&market, who, "nct").await - before, received, "{receipt}");
        let again = market.attempt(who, &format!("{bounty}/settle"), "").await;
        assert_eq!(again.status, 400);
        let failure = again.failure();
        assert!(failure.starts_with("transaction ") && !failure.starts_with("transaction 0x"), "{failure}");
        let reason = format!(": transaction failed at block {}, error: Sender already settled", market.now());
        assert!(failure.ends_with(&reason), "{failure}");
    }

    // Take the stake back, once it is free.
    let free = balance(&market, &arbiter, "staking/withdrawable").await;
    if free == 0 {
        market.mine(200).await;
    }
    assert_eq!(balance(&market, &arbiter, "staking/withdrawable").await.to_string(), stake);
    let receipt = market.attempt(&mut arbiter, "/staking/withdraw", json!({ "amount": stake })).await;
    assert!(receipt.text().contains(&format!(r#""withdrawals":[{{"to":"{}","value":{stake}}}]"#, arbiter.address)), "{receipt:?}");
    assert_eq!(receipt.result()["transfers"][0]["value"], stake, "a string here, an integer there");
    assert_eq!(balance(&market, &arbiter, "staking/total").await, 0);
}

/// Compared with Python integers: a string would end the arbiter.
#[tokio::test]
async fn deposits_are_integers_beyond_64_bits() {
    let market = Polyswarmd::quiet().await;
    let mut arbiter = Actor::new(3);
    let stake = "10000000000000000000000001";
    let answer = market.attempt(&mut arbiter, "/staking/deposit", json!({ "amount": stake })).await;
    assert!(
        answer.text().contains(&format!(r#""deposits":[{{"value":{stake},"from":"{}"}}]"#, arbiter.address))
            || answer.text().contains(&format!(r#""deposits":[{{"from":"{}","value":{stake}}}]"#, arbiter.address)),
        "{answer:?}"
    );
}

/// Nectar leaves one ledger and reaches the other; each chain has nonces and receipts of its own.
#[tokio::test]
async fn the_relay_moves_nectar_both_ways() {
    let market = Polyswarmd::quiet().await;
    let mut side = Actor::new(4);
    let mut home = side.at_home();
    let (start, amount) = (balance(&market, &side, "nct").await, u128::from(7 * NCT));
    assert_eq!(balance(&market, &home, "nct").await, start);
    let body = json!({ "amount": amount.to_string() });

    let receipt = market.act(&mut home, "/relay/deposit", &body).await;
    assert_eq!(
        receipt,
        json!({ "transfers": [{ "from": home.address, "to": contract("relay"), "value": amount.to_string() }], "errors": [] })
    );
    assert_eq!((balance(&market, &home, "nct").await, balance(&market, &side, "nct").await), (start - amount, start + amount));

    let receipt = market.act(&mut side, "/relay/withdrawal", &body).await;
    assert_eq!(receipt["transfers"][0]["to"], contract("relay"));
    assert_eq!((balance(&market, &home, "nct").await, balance(&market, &side, "nct").await), (start, start));
    assert_eq!((home.nonce, side.nonce), (1, 1));

    // Each way starts on its own chain, and nobody moves what he does not have.
    market.post(&format!("/relay/deposit?{}", side.query()), &body).await.sentence();
    market.post(&format!("/relay/withdrawal?{}", home.query()), &body).await.sentence();
    let too_much = market.attempt(&mut home, "/relay/deposit", json!({ "amount": (start + 1).to_string() })).await.failure();
    assert!(too_much.contains("transaction failed at block"), "{too_much}");
    assert_eq!((balance(&market, &home, "nct").await, balance(&market, &side, "nct").await), (start, start));
}

#[tokio::test]
async fn what_the_contract_refuses_fails_in_the_receipt_and_changes_nothing() {
    let market = Polyswarmd::quiet().await;
    let (mut author, mut engine) = (Actor::new(1), Actor::new(2));
    let (guid, expiration) = market.bounty(&mut author, &[EICAR], 10).await;
    let bounty = format!("/bounties/{guid}");
    let failure = async |actor: &mut Actor, path: &str, body: Value, part: &str| {
        let before = balance(&market, actor, "nct").await;
        let failure = market.attempt(actor, path, body).await.failure();
        assert!(failure.contains(", error: ") && failure.contains(part), "{path}: {failure}");
        assert_eq!(balance(&market, actor, "nct").await, before);
    };
    let (assertion, reveal) = engine.assertion(&[true]);
    let mut low = assertion.clone();
    low["bid"] = json!(["1"]);
    failure(&mut engine, &format!("{bounty}/assertions"), low, "").await;
    failure(&mut engine, &format!("{bounty}/assertions/0/reveal"), reveal.clone(), "").await;
    failure(&mut engine, &format!("{bounty}/vote"), json!({ "votes": [true], "valid_bloom": true }), "").await;
    failure(&mut engine, "/staking/deposit", json!({ "amount": "100000000000000000000000001" }), "").await;
    failure(&mut engine, "/staking/withdraw", json!({ "amount": "1" }), "").await;
    let uri = market.upload(&[EICAR]).await;
    let cheap = json!({ "amount": "1", "artifact_type": "file", "uri": uri, "duration": 5 });
    failure(&mut author, "/bounties", cheap, "").await;
    // Late, and with an index beyond all numbers.
    market.mine_to(expiration).await;
    failure(&mut engine, &format!("{bounty}/assertions"), assertion, "").await;
    let index = alloy_primitives::U256::MAX;
    failure(&mut engine, &format!("{bounty}/assertions/{index}/reveal"), reveal, "").await;
    // An arbiter that was appointed for a deposit that failed is none.
    failure(&mut engine, &format!("{bounty}/vote"), json!({ "votes": [true], "valid_bloom": true }), "").await;
}

/// Clients ask again when they read this text.
#[tokio::test]
async fn a_receipt_that_does_not_come_is_given_up() {
    let short = Duration::from_millis(20);
    let market =
        Polyswarmd::start(Config { patience: Patience { side: short, home: short, ..Patience::default() }, ..Config::default() }).await;
    let mut who = Actor::new(1);
    for mut who in [who.clone(), who.at_home()] {
        let path = if who.chain == "home" { "/relay/deposit" } else { "/relay/withdrawal" };
        let unsigned = market.to_sign(&who, path, json!({ "amount": "1" })).await;
        let signed = who.sign(unsigned);
        // Not even sent, and then sent but not mined.
        for sent in [false, true] {
            if sent {
                market.submit(&who, &signed).await.result();
            }
            let failure = market.receipt(&who, &signed).await.failure();
            assert_eq!(failure, format!("transaction {}: timeout during wait for receipt", hex(signed[0].hash().as_slice())));
        }
        market.mine(1).await;
        market.receipt(&who, &signed).await.result();
    }
    // Of several, it names those that are missing.
    who.nonce = 1;
    let unsigned = market.to_sign(&who, "/relay/withdrawal", json!({ "amount": "1" })).await;
    let mut signed = who.sign([unsigned.clone(), unsigned].concat());
    market.submit(&who, &signed[..1]).await.result();
    market.mine(1).await;
    let failure = market.receipt(&who, &signed).await.failure();
    assert!(failure.contains(&hex(signed.pop().unwrap().hash().as_slice())), "{failure}");
}

/// The request is there before the block is.
#[tokio::test]
async fn receipts_are_waited_for() {
    let market = Polyswarmd::quiet().await;
    let mut who = Actor::new(1);
    let unsigned = market.to_sign(&who, "/relay/withdrawal", json!({ "amount": "1" })).await;
    let signed = who.sign(unsigned);
    let mine = async {
        // Lockstep sees who waits: so does this test.
        market.submit(&who, &signed).await.result();
        crate::support::until("the receipt is waited for", || market.readiness() == (1, 1)).await;
        market.mine(1).await;
    };
    let (receipt, ()) = tokio::join!(market.receipt(&who, &signed), mine);
    assert_eq!(receipt.result()["transfers"][0]["value"], "1");
}

/// All is said at once, also what came of the transactions that did not fail.
#[tokio::test]
async fn a_receipt_of_several_tells_of_each() {
    let market = Polyswarmd::quiet().await;
    let mut who = Actor::new(1);
    let good = market.to_sign(&who, "/relay/withdrawal", json!({ "amount": "1" })).await;
    let bad = market.to_sign(&who, "/relay/withdrawal", json!({ "amount": "1000000000000000000000000000000" })).await;
    let signed = who.sign([good, bad].concat());
    market.submit(&who, &signed).await.result();
    market.mine(1).await;
    let errors = market.receipt(&who, &signed).await.errors();
    assert_eq!(errors["errors"].as_array().unwrap().len(), 1);
    assert_eq!(errors["transfers"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn bloom_words_are_integers_of_256_bits() {
    let market = Polyswarmd::quiet().await;
    let mut author = Actor::new(1);
    let files: Vec<Vec<u8>> = (0..200_u8).map(|number| vec![number]).collect();
    let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let uri = market.upload(&files).await;
    let (guid, _) = market.bounty(&mut author, &files, 10).await;
    let listing = market.get(&format!("/artifacts/{uri}/")).await.result();
    let hashes = listing.as_array().unwrap().iter().map(|artifact| artifact["hash"].as_str().unwrap());
    let expected = market::bloom::Bloom::of(hashes);
    let answer = market.get(&format!("/bounties/{guid}/bloom")).await;
    let words = serde_json::to_string(&wire::bloom::BountyBloom { bloom: expected }).unwrap();
    assert_eq!(answer.text(), format!(r#"{{"status":"OK","result":{words}}}"#));
    // Numbers, not strings, and longer than any number of a machine.
    assert!(words.starts_with(r#"{"bloom":["#) && !words.contains("e+") && words.matches('"').count() == 2, "{words}");
    assert!(words.split(',').any(|word| word.len() > 70), "{words}");
}
