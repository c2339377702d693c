//! Transactions: what clients are given to sign, what is taken of what they send, and their nonces.

use alloy_primitives::U256;
use market::market::named_address;
use serde_json::{Value, json};
use wire::{calldata::Call, transaction::Unsigned};

use crate::support::{Actor, EICAR, NCT, Polyswarmd, hex, keys};

/// eth-account refuses a transaction with any other key, and one whose `to` is not in EIP-55.
fn to_sign_is_exact(transactions: &Value, chain_id: u64, base_nonce: u64) {
    for (position, transaction) in transactions.as_array().unwrap().iter().enumerate() {
        assert_eq!(keys(transaction), ["chainId", "data", "gas", "gasPrice", "nonce", "to", "value"]);
        assert_eq!(transaction["chainId"], chain_id);
        assert_eq!(transaction["gas"], 50_000_000);
        assert_eq!(transaction["gasPrice"], 0);
        assert_eq!(transaction["value"], 0);
        assert_eq!(transaction["nonce"], base_nonce + position as u64);
        let to = transaction["to"].as_str().unwrap();
        assert_eq!(wire::address::to_text(wire::address::parse(to).unwrap()), to);
        assert!(transaction["data"].as_str().unwrap().starts_with("0x"));
    }
}

fn selectors(transactions: &Value) -> Vec<String> {
    transactions.as_array().unwrap().iter().map(|transaction| transaction["data"].as_str().unwrap()[2..10].to_owned()).collect()
}

#[tokio::test]
async fn every_action_comes_as_the_calls_that_clients_verify() {
    let market = Polyswarmd::quiet().await;
    let mut author = Actor::new(1);
    let (guid, _) = market.bounty(&mut author, &[EICAR], 20).await;
    let uri = market.upload(&[EICAR]).await;
    let (assertion, reveal) = author.assertion(&[true]);
    let amount = json!({ "amount": "10000000000000000000000000" });
    let bounty = json!({ "amount": "2000000000000000000", "artifact_type": "file", "uri": uri, "duration": 5, "metadata": uri });
    let cases = [
        ("side", "/bounties".to_owned(), bounty, &["095ea7b3", "b2e366a8"][..]),
        ("side", format!("/bounties/{guid}/assertions"), assertion, &["095ea7b3", "ea11731e"]),
        ("side", format!("/bounties/{guid}/assertions/0/reveal"), reveal, &["f8f32de6"]),
        ("side", format!("/bounties/{guid}/vote"), json!({ "votes": [true], "valid_bloom": true }), &["27028aae"]),
        ("side", "/staking/deposit".to_owned(), amount.clone(), &["095ea7b3", "b6b55f25"]),
        ("side", "/staking/withdraw".to_owned(), amount.clone(), &["2e1a7d4d"]),
        ("side", "/relay/withdrawal".to_owned(), amount.clone(), &["a9059cbb"]),
        ("home", "/relay/deposit".to_owned(), amount, &["a9059cbb"]),
    ];
    for (chain, path, body, expected) in cases {
        for base_nonce in [0, 5] {
            let url = format!("{path}?account={}&chain={chain}&base_nonce={base_nonce}", author.address);
            let transactions = market.post(&url, &body).await.result()["transactions"].take();
            to_sign_is_exact(&transactions, if chain == "home" { 1337 } else { 1338 }, base_nonce);
            assert_eq!(selectors(&transactions), expected, "{path}");
        }
    }
    // No body at all, and a content type of its own.
    let settle = market.post(&format!("/bounties/{guid}/settle?{}", author.query()), "").await.result()["transactions"].take();
    to_sign_is_exact(&settle, 1338, 0);
    assert_eq!(selectors(&settle), ["5592d687"]);
}

#[tokio::test]
async fn approvals_cover_amounts_and_todays_fees_to_the_wei() {
    let market = Polyswarmd::quiet().await;
    let mut author = Actor::new(1);
    let (guid, _) = market.bounty(&mut author, &[b"a", b"b", b"c"], 20).await;
    for fee in [62_500_000_000_000_000_u64, 1, 0] {
        market.post("/_mock/fees", json!({ "bounty_fee": fee.to_string(), "assertion_fee": (2 * fee).to_string() })).await.result();
        let parameters = market.get("/bounties/parameters").await.result();
        assert_eq!((parameters["bounty_fee"].as_u64(), parameters["assertion_fee"].as_u64()), (Some(fee), Some(2 * fee)));
        let approved = |transactions: &[Unsigned]| match Call::decode(&transactions[0].data) {
            Ok(Call::Approve { spender, amount }) => {
                assert_eq!(spender, transactions[1].to);
                amount.to_uint()
            }
            other => panic!("{other:?}"),
        };
        let uri = market.upload(&[EICAR]).await;
        let bounty = json!({ "amount": "2000000000000000001", "artifact_type": "file", "uri": uri, "duration": 5 });
        let transactions = market.to_sign(&author, "/bounties", bounty).await;
        assert_eq!(approved(&transactions), U256::from(2_000_000_000_000_000_001_u64 + fee));
        let (assertion, _) = author.assertion(&[true, false, true]);
        let transactions = market.to_sign(&author, &format!("/bounties/{guid}/assertions"), assertion).await;
        assert_eq!(approved(&transactions), U256::from(3 * NCT + 2 * fee));
    }
}

#[tokio::test]
async fn amounts_beyond_64_bits_reach_the_calldata() {
    let market = Polyswarmd::quiet().await;
    let who = Actor::new(1);
    let most = U256::MAX;
    let transactions = market.to_sign(&who, "/staking/deposit", json!({ "amount": most.to_string() })).await;
    for transaction in &transactions {
        assert!(hex(&transaction.data).ends_with(&"f".repeat(64)));
    }
    let over = market.post(&format!("/staking/deposit?{}", who.query()), json!({ "amount": format!("{most}0") })).await;
    over.sentence();
    let (mut assertion, _) = who.assertion(&[true, true]);
    assertion["bid"] = json!([most.to_string(), most.to_string()]);
    let (guid, _) = market.bounty(&mut who.clone(), &[b"a", b"b"], 20).await;
    assert!(market.post(&format!("/bounties/{guid}/assertions?{}", who.query()), assertion).await.sentence().contains("256 bits"));
}

/// A transfer of nothing, as a transaction that any account can send.
fn transfer(nonce: u64) -> Unsigned {
    Unsigned {
        nonce,
        chain_id: Some(1338),
        gas: 50_000_000,
        gas_price: U256::ZERO,
        value: U256::ZERO,
        to: named_address("NectarToken"),
        data: Call::Transfer { to: named_address("relay"), amount: market::nct::Nct::ZERO }.encode().into(),
    }
}

#[tokio::test]
async fn what_does_not_belong_is_refused_with_its_reason() {
    let market = Polyswarmd::quiet().await;
    let (who, other) = (Actor::new(1), Actor::new(2));
    let sign = |change: &dyn Fn(&mut Unsigned)| {
        let mut unsigned = transfer(0);
        change(&mut unsigned);
        hex(&unsigned.sign(&who.key).encode())
    };
    let right = sign(&|_| {});
    let cases = [
        (sign(&|unsigned| unsigned.to = named_address("BountyRegistry")), "Invalid transaction recipient for tx"),
        (sign(&|unsigned| unsigned.to = named_address("nobody")), "Invalid transaction recipient for tx"),
        (sign(&|unsigned| unsigned.chain_id = Some(1337)), "chain 1337, but 1338"),
        (sign(&|unsigned| unsigned.value = U256::from(1)), "moves ether"),
        (sign(&|unsigned| unsigned.data = vec![1, 2, 3, 4].into()), "call cannot be read"),
        (sign(&|unsigned| unsigned.data = unsigned.data.slice(..20)), "call cannot be read"),
        (sign(&|unsigned| unsigned.data = Default::default()), "call cannot be read"),
        (sign(&|unsigned| unsigned.data = vec![0; 200_000].into()), "oversized data"),
        (right[..right.len() - 2].to_owned(), "transaction cannot be read"),
        (format!("{right}00"), "transaction cannot be read"),
        ("c0".to_owned(), "transaction cannot be read"),
        (String::new(), "transaction cannot be read"),
        ("ff".repeat(100), "transaction cannot be read"),
        // A typed transaction (EIP-2718), which these clients cannot make.
        (format!("02{right}"), "transaction cannot be read"),
    ];
    for (raw, part) in cases {
        let message = market.submit_raw(&who, &[raw]).await.refusal();
        assert!(message.contains(part), "{message}");
    }
    let message = market.submit_raw(&other, std::slice::from_ref(&right)).await.refusal();
    assert!(message.starts_with("Invalid transaction sender for tx "), "{message}");
    assert!(message.ends_with(&format!(": expected {} got {}", other.address, who.address)), "{message}");
    // The registry is not on the home chain.
    let home = who.at_home();
    let call = Call::SettleBounty { guid: market::id::Guid(7) };
    let unsigned = Unsigned { chain_id: Some(1337), to: named_address("BountyRegistry"), data: call.encode().into(), ..transfer(0) };
    let message = market.submit_raw(&home, &[hex(&unsigned.sign(&who.key).encode())]).await.refusal();
    assert!(message.contains("settleBounty(uint128) to the home chain"), "{message}");
    // Nothing of all that was taken, and signatures without a chain (v 27 and 28) are.
    assert_eq!(market.get(&format!("/pending?{}", who.query())).await.result(), json!([]));
    let signed = Unsigned { chain_id: None, ..transfer(0) }.sign(&who.key);
    assert_eq!(market.submit_raw(&who, &[format!("0x{}", hex(&signed.encode()))]).await.result()[0]["is_error"], false);
}

#[tokio::test]
async fn ten_transactions_are_taken_at_once_and_one_bad_one_does_not_spoil_the_others() {
    let market = Polyswarmd::quiet().await;
    let who = Actor::new(1);
    let mut raw: Vec<String> = (0..10).map(|nonce| hex(&transfer(nonce).sign(&who.key).encode())).collect();
    raw[3] = "00".to_owned();
    let errors = market.submit_raw(&who, &raw).await.errors();
    let bad: Vec<bool> = errors.as_array().unwrap().iter().map(|entry| entry["is_error"].as_bool().unwrap()).collect();
    assert_eq!(bad, [false, false, false, true, false, false, false, false, false, false]);
    assert!(errors[0]["message"].as_str().unwrap().starts_with("0x"));
    assert_eq!(market.get(&format!("/pending?{}", who.query())).await.result(), json!(["0", "1", "2", "4", "5", "6", "7", "8", "9"]));
}

#[tokio::test]
async fn nonces_arrive_in_any_order_and_are_mined_in_theirs() {
    let market = Polyswarmd::quiet().await;
    let who = Actor::new(1);
    let query = who.query();
    let signed: Vec<_> = (0..6).map(|nonce| transfer(nonce).sign(&who.key)).collect();
    for position in [4, 0, 2, 5, 1] {
        market.submit(&who, &signed[position..=position]).await.result();
    }
    assert_eq!(market.get(&format!("/pending?{query}")).await.result(), json!(["0", "1", "2", "4", "5"]));
    assert_eq!(market.get(&format!("/nonce?{query}")).await.result(), 3, "the first that is free");
    assert_eq!(market.get(&format!("/nonce?ignore_pending=%20&{query}")).await.result(), 0);
    market.mine(1).await;
    // What comes after the gap waits for it.
    assert_eq!(market.get(&format!("/pending?{query}")).await.result(), json!(["4", "5"]));
    market.receipt(&who, &signed[..3]).await.result();
    market.submit(&who, &signed[3..4]).await.result();
    assert_eq!(market.get(&format!("/nonce?{query}")).await.result(), 6);
    market.mine(1).await;
    market.receipt(&who, &signed).await.result();
    assert_eq!(market.get(&format!("/pending?{query}")).await.result(), json!([]));
    assert_eq!(market.get(&format!("/nonce?ignore_pending=%20&{query}")).await.result(), 6);
}

#[tokio::test]
async fn a_transaction_is_taken_once_and_a_nonce_is_used_once() {
    let market = Polyswarmd::quiet().await;
    let who = Actor::new(1);
    let (first, second) = (transfer(0).sign(&who.key), transfer(1).sign(&who.key));
    let rival = Unsigned { gas: 1, ..transfer(0) }.sign(&who.key);
    let accepted = market.submit(&who, std::slice::from_ref(&first)).await.result();
    assert_eq!(accepted, json!([{ "is_error": false, "message": format!("0x{}", hex(first.hash().as_slice())) }]));
    // Clients take this text for a success.
    for _ in 0..2 {
        let known = market.submit(&who, std::slice::from_ref(&first)).await.refusal();
        assert_eq!(known, format!("known transaction: {}", hex(first.hash().as_slice())));
        market.mine(1).await;
    }
    assert!(market.submit(&who, &[rival]).await.refusal().contains("nonce too low: 0 was used already"));
    market.submit(&who, std::slice::from_ref(&second)).await.result();
    let rival = Unsigned { gas: 1, ..transfer(1) }.sign(&who.key);
    assert!(market.submit(&who, &[rival]).await.refusal().contains("nonce 1 is taken"));
    let last = transfer(u64::MAX).sign(&who.key);
    assert!(market.submit(&who, &[last]).await.refusal().contains("nonce too high"));
    market.mine(1).await;
    market.receipt(&who, &[first, second]).await.result();
}

#[tokio::test]
async fn accounts_and_chains_count_their_nonces_apart() {
    let market = Polyswarmd::quiet().await;
    let (one, two) = (Actor::new(1), Actor::new(2));
    let home = one.at_home();
    let at_home = Unsigned { chain_id: Some(1337), ..transfer(0) }.sign(&one.key);
    market.submit(&one, &[transfer(0).sign(&one.key)]).await.result();
    market.submit(&two, &[transfer(0).sign(&two.key)]).await.result();
    market.submit(&home, std::slice::from_ref(&at_home)).await.result();
    market.mine(1).await;
    for who in [&one, &two, &home] {
        assert_eq!(market.get(&format!("/nonce?{}", who.query())).await.result(), 1);
    }
    market.receipt(&home, &[at_home]).await.result();
}
