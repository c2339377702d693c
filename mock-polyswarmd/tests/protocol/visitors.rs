//! What one visitor must not be able to do: end a run, falsify its figures, look into others' cards, or be paid for nothing.

use std::time::Duration;

use alloy_primitives::U256;
use market::{
    commitment::{Commitment, Opening},
    id::{AccountId, Address},
    market::named_address,
    nct::Nct,
    verdict::ArtifactSet,
};
use mock_polyswarmd::{chain::ChainName, node::VISITORS_MAXIMUM, run};
use replay::scenario::Scenario;
use serde_json::{Value, json};
use wire::calldata::Call;

use crate::support::{Actor, Config, EICAR, Polyswarmd, lively};

impl Polyswarmd {
    /// The account, opened.
    async fn come(&self, number: u8) -> Actor {
        let actor = Actor::new(number);
        self.get(&format!("/nonce?{}", actor.query())).await.result();
        actor
    }

    async fn balance(&self, address: &str, chain: &str) -> String {
        self.get(&format!("/balances/{address}/nct?chain={chain}")).await.result().as_str().unwrap().to_owned()
    }

    /// The report's part about the market.
    fn concluded(&self) -> Value {
        let run = run::conclude(&self.server.node(), None, "test".to_owned(), Duration::from_secs(1), sim::progress::Progress::new(true))
            .unwrap();
        serde_json::to_value(run.market).unwrap()
    }

    async fn guids(&self) -> Vec<String> {
        self.get("/bounties").await.result().as_array().unwrap().iter().map(|guid| guid.as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn stray_mask_bits_brick_a_bounty_and_not_the_run() {
    let mut scenario = lively();
    scenario.arbiters.count = 0;
    let market = Polyswarmd::start(Config { scenario, ..Config::default() }).await;
    let mut engine = market.come(7).await;
    market.mine(1).await;
    let guid = market.guids().await.remove(0);
    // The bounty has one artifact.
    let (assertion, _) = engine.assertion(&[true, true]);
    market.act(&mut engine, &format!("/bounties/{guid}/assertions"), assertion).await;
    market.mine(300).await;
    assert!(!market.server.is_stopping());
    // Nobody can settle it: it is never over.
    let told = market.concluded();
    assert_eq!((told["bounties"].as_u64(), told["planned"].as_u64()), (Some(11), Some(12)));
}

#[tokio::test]
async fn gifts_are_for_visitors() {
    let market = Polyswarmd::lively().await;
    for name in ["ambassador:1", "BountyRegistry", "owner", "arbiter:1", "relay"] {
        let address = wire::address::to_text(named_address(name));
        let before = market.balance(&address, "side").await;
        market.get(&format!("/nonce?account={address}")).await.result();
        assert_eq!(market.balance(&address, "side").await, before, "{name}");
    }
    assert_eq!(market.server.node().readiness().came, 0);
}

#[tokio::test]
async fn visitors_have_a_maximum() {
    let market = Polyswarmd::quiet().await;
    let mut node = market.server.node();
    for number in 0..VISITORS_MAXIMUM as u64 + 50 {
        let address = Address::from_word(U256::from(number + 1000).into());
        node.visit(address).unwrap();
        node.pass(address, 1);
    }
    assert_eq!((node.readiness().came, node.readiness().active), (VISITORS_MAXIMUM, VISITORS_MAXIMUM));
}

#[tokio::test]
async fn who_only_looks_on_is_not_waited_for() {
    let market = Polyswarmd::quiet().await;
    market.come(1).await;
    let came = market.server.node().readiness().came;
    assert_eq!((came, market.readiness()), (1, (0, 0)));
}

#[tokio::test]
async fn visitors_bounties_are_scored_whatever_slot_they_come_into() {
    let mut scenario = lively();
    scenario.ambassadors.artifacts = 3;
    scenario.ambassadors.bounties_per_block = 0.2;
    scenario.bounties = 30;
    let market = Polyswarmd::start(Config { scenario, ..Config::default() }).await;
    let mut author = market.come(10).await;
    for _ in 0..6 {
        market.mine(15).await;
        market.bounty(&mut author, &[EICAR], 8).await;
    }
    market.mine(500).await;
    let told = market.concluded();
    let mut all = 0;
    for guid in market.guids().await {
        all += market.get(&format!("/bounties/{guid}")).await.result()["num_artifacts"].as_u64().unwrap();
    }
    assert_eq!((told["bounties"].as_u64(), told["planned"].as_u64(), told["artifacts"].as_u64()), (Some(36), Some(36), Some(all)));
}

#[tokio::test]
async fn a_transfer_that_the_other_chain_cannot_pay_takes_nothing() {
    let market = Polyswarmd::quiet().await;
    let mut rich = market.come(9).await;
    let fund = json!({ "account": rich.address, "amount": Nct::whole(3_000_000_000).to_uint().to_string() });
    market.post("/_mock/fund?chain=side", fund).await.result();
    let before = [market.balance(&rich.address, "side").await, market.balance(&rich.address, "home").await];
    let amount = json!({ "amount": Nct::whole(2_000_000_000).to_uint().to_string() });
    market.attempt(&mut rich, "/relay/withdrawal", amount).await.failure();
    assert_eq!([market.balance(&rich.address, "side").await, market.balance(&rich.address, "home").await], before);
}

#[tokio::test]
async fn a_gift_that_was_refused_is_none() {
    let market = Polyswarmd::lively().await;
    let mut engine = market.come(11).await;
    market.mine(1).await;
    let guid = market.guids().await.remove(0);
    let (assertion, _) = engine.assertion(&[true]);
    market.act(&mut engine, &format!("/bounties/{guid}/assertions"), assertion).await;
    market.post("/_mock/fund", json!({ "account": engine.address, "amount": U256::MAX.to_string() })).await.sentence();
    market.mine(10).await;
    market.concluded();
    // Who was refused one still gets what everybody gets at first sight.
    let stranger = Actor::new(14);
    market.post("/_mock/fund", json!({ "account": stranger.address, "amount": U256::MAX.to_string() })).await.sentence();
    market.come(14).await;
    for chain in ["side", "home"] {
        assert_eq!(market.balance(&stranger.address, chain).await, Nct::whole(50_000_000).to_uint().to_string());
    }
}

#[tokio::test]
async fn everybody_simulated_follows_the_windows() {
    for (reveal, vote) in [(20, 8), (3, 4)] {
        let market = Polyswarmd::lively().await;
        market.mine(12).await;
        market.post("/_mock/windows", json!({ "assertion_reveal_window": reveal, "arbiter_vote_window": vote })).await.result();
        market.mine(400).await;
        let node = market.server.node();
        assert!(node.is_over());
        let side = node.chains().market(ChainName::Side);
        for number in 0..node.setup().bounties {
            let bounty = side.bounty(side.bounty_guid(number).unwrap()).unwrap();
            assert!(!bounty.votes.is_empty(), "{reveal}/{vote}: bounty {number} has no votes");
            assert!(bounty.assertions.iter().all(|assertion| bounty.has_settled(assertion.author)), "{reveal}/{vote}: bounty {number}");
        }
        assert!(side.balance(AccountId::REGISTRY) < Nct::whole(1), "{reveal}/{vote}: rounding alone stays behind");
    }
}

#[tokio::test]
async fn votes_that_no_window_is_long_enough_for_end_with_their_bounty() {
    // Enough that the places of those that are over are taken by others.
    let scenario = Scenario { bounties: 60, ..lively() };
    let market = Polyswarmd::start(Config { scenario, ..Config::default() }).await;
    // Some arbiters take three blocks.
    market.post("/_mock/windows", json!({ "assertion_reveal_window": 5, "arbiter_vote_window": 1 })).await.result();
    market.mine(45).await;
    market.post("/_mock/windows", json!({ "assertion_reveal_window": 5, "arbiter_vote_window": 20 })).await.result();
    market.mine(400).await;
    let node = market.server.node();
    assert!(node.is_over());
    let side = node.chains().market(ChainName::Side);
    let votes = |number| side.bounty(side.bounty_guid(number).unwrap()).unwrap().votes.len();
    let votes: Vec<usize> = (0..node.setup().bounties).map(votes).collect();
    let (least, most) = (votes.iter().min().unwrap(), votes.iter().max().unwrap());
    assert!(least < most, "the late are refused where the window is short: {votes:?}");
}

#[tokio::test]
async fn rivals_cannot_be_read_before_they_reveal() {
    let market = Polyswarmd::lively().await;
    market.mine(7).await;
    let mut sealed = 0;
    for guid in market.guids().await {
        let id = wire::guid::parse(&guid).unwrap().0;
        for assertion in market.get(&format!("/bounties/{guid}/assertions")).await.result().as_array().unwrap() {
            if assertion["nonce"] != "0" {
                continue;
            }
            sealed += 1;
            let author = wire::address::parse(assertion["author"].as_str().unwrap()).unwrap();
            // What is public, and small numbers.
            for guess in (0..50u128).flat_map(|rival| [rival, id ^ rival, id ^ rival | 1, id.wrapping_add(rival)]) {
                for malicious in [0u64, 1] {
                    let opening = Opening { nonce: U256::from(guess), verdicts: ArtifactSet::from_uint(U256::from(malicious)) };
                    let commitment = U256::from_be_bytes(Commitment::compute(author, opening).0).to_string();
                    assert_ne!(commitment, assertion["commitment"].as_str().unwrap());
                }
            }
        }
    }
    assert!(sealed > 5, "{sealed}");
}

#[tokio::test]
async fn the_quorum_mask_names_what_was_decided() {
    let market = Polyswarmd::lively().await;
    market.mine(60).await;
    let mut reached = 0;
    for guid in market.guids().await {
        let bounty = market.get(&format!("/bounties/{guid}")).await.result();
        if bounty["quorum_reached"] == true {
            reached += 1;
            assert_eq!(bounty["quorum_mask"], json!([true]), "{bounty}");
        }
    }
    assert!(reached > 3, "{reached}");
}

#[tokio::test]
async fn a_small_deposit_makes_no_arbiter() {
    let market = Polyswarmd::quiet().await;
    let mut who = market.come(12).await;
    market.attempt(&mut who, "/staking/deposit", json!({ "amount": "1" })).await.failure();
    let node = market.server.node();
    let side = node.chains().market(ChainName::Side);
    assert_eq!(side.is_arbiter(side.known_account(wire::address::parse(&who.address).unwrap()).unwrap()), Ok(false));
}

#[tokio::test]
async fn long_addresses_of_artifacts_stay_out_of_everybodys_frames() {
    let market = Polyswarmd::quiet().await;
    let mut author = market.come(8).await;
    let file = market.upload(&[EICAR]).await;
    let body = json!({ "amount": Nct::whole(2).to_uint().to_string(), "artifact_type": "file", "uri": file, "duration": 5 });
    let mut unsigned = market.to_sign(&author, "/bounties", body).await;
    let Ok(Call::PostBounty(mut post)) = Call::decode(&unsigned[1].data) else { panic!("a bounty is posted") };
    post.uri = "\u{1}".repeat(120_000);
    unsigned[1].data = Call::PostBounty(post).encode().into();
    let signed = author.sign(unsigned);
    assert!(market.submit(&author, &signed).await.text().contains("an address has at most 1000"));
}

#[tokio::test]
async fn uploads_outlive_what_is_taken_back() {
    let market = Polyswarmd::lively().await;
    let mut author = market.come(13).await;
    market.post("/_mock/snapshots/before", "").await.result();
    market.upload(&[EICAR]).await;
    market.post("/_mock/snapshots/before/revert", "").await.result();
    author.nonce = 0;
    let (guid, _) = market.bounty(&mut author, &[EICAR], 8).await;
    market.mine(6).await;
    let assertions = market.get(&format!("/bounties/{guid}/assertions")).await.result();
    assert!(!assertions.as_array().unwrap().is_empty(), "rivals take part");
}

#[tokio::test]
async fn web_pages_from_elsewhere_cannot_cheat() {
    let market = Polyswarmd::quiet().await;
    let pass = format!("/_mock/pass?{}", market.come(1).await.query());
    for (path, body) in [("/_mock/mine", "{}"), (&pass, r#"{"block":1}"#)] {
        let ask = async |host: &str, origin: Option<&str>| {
            let mut request = market.request(axum::http::Method::POST, path).header("host", host);
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            market.send(request.body(axum::body::Bytes::from(body).into()).unwrap()).await.status.as_u16()
        };
        assert_eq!(ask("127.0.0.1:31337", None).await, 200);
        assert_eq!(ask("localhost:31337", Some("http://localhost:31337")).await, 200);
        assert_eq!(ask("[::1]:31337", None).await, 200);
        assert_eq!(ask("127.0.0.1:31337", Some("https://evil.example")).await, 403);
        assert_eq!(ask("127.0.0.1:31337", Some("null")).await, 403);
        assert_eq!(ask("evil.example:31337", None).await, 403);
    }
}
