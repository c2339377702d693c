//! The WebSocket: greeting, exact keys, order, and readers that misbehave.

use std::collections::BTreeMap;

use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio_tungstenite::tungstenite::{Bytes, Message, protocol::frame::coding::CloseCode};

use crate::support::{Actor, Config, EICAR, NCT, Polyswarmd, keys, until};

#[tokio::test]
async fn both_paths_greet_first() {
    let market = Polyswarmd::quiet().await;
    for path in ["/events/?chain=side", "/events?chain=home", "/events/"] {
        let (socket, _) = tokio_tungstenite::connect_async(format!("ws://{}{path}", market.address)).await.unwrap();
        let mut events = crate::support::Events { socket };
        let hello = events.next().await;
        assert_eq!(keys(&hello), ["data", "event"]);
        assert_eq!(hello["event"], "connected");
        assert_eq!(keys(&hello["data"]), ["start_time"]);
        let start: f64 = hello["data"]["start_time"].as_str().unwrap().parse().unwrap();
        assert!(start > 1.7e9);
        // Then where the chain is: whoever comes between two blocks can act in this one.
        assert_eq!(events.next().await, json!({ "event": "block", "data": { "number": market.now() } }));
    }
}

/// The keys of every kind of event, as transcribed from polyswarmd.
fn golden() -> BTreeMap<String, (Vec<String>, Vec<String>)> {
    let owned = |value: &Value| keys(value).into_iter().map(str::to_owned).collect::<Vec<_>>();
    let line = |line: &str| {
        let message: Value = serde_json::from_str(line).unwrap();
        (message["event"].as_str().unwrap().to_owned(), (owned(&message), owned(&message["data"])))
    };
    include_str!("../../../wire/tests/golden/messages.jsonl").lines().map(line).collect()
}

/// Data becomes keyword arguments in clients: one key too many ends them.
#[tokio::test]
async fn events_have_exactly_the_keys_of_polyswarmds() {
    let market = Polyswarmd::lively().await;
    let mut events = market.events("side").await;
    market.post("/_mock/fees", json!({ "bounty_fee": "1", "assertion_fee": "18446744073709551616" })).await.result();
    market.post("/_mock/fees", json!({ "bounty_fee": "62500000000000000", "assertion_fee": "31250000000000000" })).await.result();
    market.post("/_mock/windows", json!({ "assertion_reveal_window": 6, "arbiter_vote_window": 9 })).await.result();
    market.post("/_mock/deprecate", json!({ "rollover": true })).await.result();
    market.post("/_mock/undeprecate", "").await.result();
    let last = market.mine(60).await;
    let golden = golden();
    let mut kinds = BTreeMap::<String, usize>::new();
    for message in events.until_block(last).await {
        let kind = message["event"].as_str().unwrap().to_owned();
        let (outside, inside) = &golden[&kind];
        assert_eq!(&keys(&message), outside, "{message}");
        assert_eq!(&keys(&message["data"]), inside, "{message}");
        let data = &message["data"];
        if kind != "block" {
            assert!(message["block_number"].is_u64(), "{message}");
            let hash = message["txhash"].as_str().unwrap();
            assert!(hash.len() == 64 && hash.chars().all(|digit| digit.is_ascii_hexdigit()), "{message}");
        }
        let decimal = |value: &Value| value.as_str().is_some_and(|text| text.chars().all(|digit| digit.is_ascii_digit()));
        match kind.as_str() {
            "bounty" => assert!(decimal(&data["amount"]) && decimal(&data["expiration"]) && data["metadata"].is_array(), "{message}"),
            "assertion" => assert!(data["index"].is_u64() && decimal(&data["bid"][0]) && decimal(&data["commitment"]), "{message}"),
            "reveal" => assert!(decimal(&data["nonce"]) && data["verdicts"][0].is_boolean(), "{message}"),
            "settled_bounty" => assert!(data["payout"].is_number(), "{message}"),
            _ => {}
        }
        for key in ["author", "voter", "settler"] {
            if let Some(address) = data.get(key) {
                let address = address.as_str().unwrap();
                assert_eq!(wire::address::to_text(wire::address::parse(address).unwrap()), address);
            }
        }
        *kinds.entry(kind).or_default() += 1;
    }
    let seen: Vec<&str> = kinds.keys().map(String::as_str).collect();
    let expected = [
        "assertion",
        "block",
        "bounty",
        "deprecated",
        "fee_update",
        "quorum",
        "reveal",
        "settled_bounty",
        "undeprecated",
        "vote",
        "window_update",
    ];
    assert_eq!(seen, expected, "{kinds:?}");
    assert_eq!(kinds["bounty"], 12);
}

#[tokio::test]
async fn integers_beyond_64_bits_stay_integers() {
    let market = Polyswarmd::quiet().await;
    let mut events = market.events("side").await;
    market.post("/_mock/fees", json!({ "bounty_fee": "18446744073709551616", "assertion_fee": "31250000000000000" })).await.result();
    let text = events.next_text().await.unwrap();
    assert!(text.contains(r#""data":{"bounty_fee":18446744073709551616,"assertion_fee":31250000000000000}"#), "{text}");
}

#[tokio::test]
async fn whoever_hears_of_a_block_has_heard_of_everything_in_it() {
    let market = Polyswarmd::lively().await;
    let (mut first, mut second, mut home) = (market.events("side").await, market.events("side").await, market.events("home").await);
    let mut engine = Actor::new(2);
    let mut author = Actor::new(1);
    market.bounty(&mut author, &[EICAR], 10).await;
    market.act(&mut engine.at_home(), "/relay/deposit", json!({ "amount": "1" })).await;
    market.act(&mut engine, "/relay/withdrawal", json!({ "amount": "1" })).await;
    let last = market.mine(40).await;
    let told = first.until_block(last).await;
    assert_eq!(told, second.until_block(last).await, "all hear the same, in the same order");
    let mut block = 0;
    let mut events = 0;
    for message in &told {
        if message["event"] == "block" {
            let number = message["data"]["number"].as_u64().unwrap();
            assert!(number > block, "{number} after {block}");
            block = number;
        } else {
            assert!(message["block_number"].as_u64().unwrap() > block, "told after its block: {message}");
            events += 1;
        }
    }
    assert!(events > 100, "{events}");
    // The market is on the side chain alone.
    let blocks = |messages: &[Value]| messages.iter().filter(|message| message["event"] == "block").cloned().collect::<Vec<_>>();
    let at_home = home.until_block(last).await;
    assert_eq!(at_home, blocks(&at_home));
    assert_eq!(at_home, blocks(&told));
}

/// Nothing is missed between the handshake and the first message that is read.
#[tokio::test]
async fn events_since_the_handshake_are_kept_for_the_reader() {
    let market = Polyswarmd::quiet().await;
    let mut events = market.events("side").await;
    let last = market.mine(1000).await;
    let blocks = events.until_block(last).await.into_iter().filter(|message| message["event"] == "block").count();
    assert_eq!(blocks, 1000);
}

/// Receipts have the address of metadata, events have what is there.
#[tokio::test]
async fn metadata_are_resolved_in_events_and_raw_in_receipts() {
    let market = Polyswarmd::quiet().await;
    let mut events = market.events("side").await;
    let mut author = Actor::new(1);
    let uri = market.upload(&[EICAR]).await;
    let json = r#"[{"mimetype":"text/plain","filesize":68,"huge":123456789012345678901234567890}]"#;
    let metadata = market.post("/bounties/metadata/", json).await.result();
    for (metadata, resolved) in [(metadata, json), (json!("QmUnknown"), "null"), (json!(""), "null"), (Value::Null, "null")] {
        let body = json!({ "amount": (2 * NCT).to_string(), "artifact_type": "file", "uri": uri, "duration": 9, "metadata": metadata });
        let receipt = market.act(&mut author, "/bounties", body).await;
        assert_eq!(receipt["bounties"][0]["metadata"], metadata.as_str().unwrap_or_default());
        let event = loop {
            let text = events.next_text().await.unwrap();
            if text.contains(receipt["bounties"][0]["guid"].as_str().unwrap()) {
                break text;
            }
        };
        assert!(event.contains(&format!(r#""metadata":{resolved}}}"#)), "{event}");
        let read = market.get(&format!("/bounties/{}", receipt["bounties"][0]["guid"].as_str().unwrap())).await;
        assert!(read.text().contains(&format!(r#""metadata":{resolved}}}"#)), "{}", read.text());
    }
}

#[tokio::test]
async fn pings_are_answered() {
    let market = Polyswarmd::quiet().await;
    let mut events = market.events("side").await;
    for number in 0..3_u8 {
        events.socket.send(Message::Ping(Bytes::from(vec![number]))).await.unwrap();
        let pong = futures_util::StreamExt::next(&mut events.socket).await.unwrap().unwrap();
        assert_eq!(pong, Message::Pong(Bytes::from(vec![number])));
    }
}

#[tokio::test]
async fn a_frame_that_is_too_large_ends_only_who_sent_it() {
    let market = Polyswarmd::quiet().await;
    let (mut large, mut other) = (market.events("side").await, market.events("side").await);
    // Anything smaller is read and ignored.
    other.socket.send(Message::text("{}")).await.unwrap();
    other.socket.send(Message::binary(vec![0; 1000])).await.unwrap();
    let _ = large.socket.send(Message::binary(vec![0; 1 << 20])).await;
    assert_eq!(large.next_text().await, None);
    until("the WebSocket is gone", || market.server.listeners() == 1).await;
    let last = market.mine(3).await;
    other.until_block(last).await;
}

#[tokio::test]
async fn a_server_that_stops_says_goodbye() {
    let market = Polyswarmd::quiet().await;
    let mut events = market.events("side").await;
    let last = market.mine(50).await;
    market.server.stop();
    events.until_block(last).await;
    loop {
        match futures_util::StreamExt::next(&mut events.socket).await {
            Some(Ok(Message::Close(frame))) => {
                assert!(frame.is_none_or(|frame| frame.code == CloseCode::Normal || frame.code == CloseCode::Away));
                break;
            }
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    market.server.deserted().await;
}

/// One that never reads is dropped, and fifty others see every event meanwhile.
#[tokio::test]
async fn a_reader_that_does_not_read_holds_up_nobody() {
    const READERS: usize = 50;
    const BOUNTIES: u64 = 40;
    let patience = mock_polyswarmd::server::Patience { reader: std::time::Duration::from_secs(2), ..Default::default() };
    let market = Polyswarmd::start(Config { patience, ..Config::default() }).await;
    // A small buffer, so that it is full soon.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = socket.connect(market.address).await.unwrap();
    let (_silent, _) = tokio_tungstenite::client_async(format!("ws://{}/events/?chain=side", market.address), stream).await.unwrap();
    let mut readers = Vec::new();
    for _ in 0..READERS {
        readers.push(market.events("side").await);
    }
    assert_eq!(market.server.listeners(), READERS + 1);
    let reading: Vec<_> = readers
        .into_iter()
        .map(|mut events| {
            tokio::spawn(async move {
                let mut guids = Vec::new();
                while guids.len() < BOUNTIES as usize + 1 {
                    let text = events.next_text().await.expect("an open WebSocket");
                    if let Some((_, rest)) = text.split_once(r#"{"event":"bounty","data":{"guid":""#) {
                        guids.push(rest[..36].to_owned());
                    }
                }
                (guids, events)
            })
        })
        .collect();
    let mut author = Actor::new(1);
    let uri = market.upload(&[EICAR]).await;
    let mut posted = Vec::new();
    for number in 0..BOUNTIES {
        let metadata = format!(r#"[{{"mimetype":"text/plain","filename":"{number}{}"}}]"#, "x".repeat(250_000));
        let metadata = market.post("/bounties/metadata", metadata).await.result();
        let body = json!({ "amount": (2 * NCT).to_string(), "artifact_type": "file", "uri": uri, "duration": 99, "metadata": metadata });
        posted.push(market.act(&mut author, "/bounties", body).await["bounties"][0]["guid"].as_str().unwrap().to_owned());
    }
    for reader in reading {
        let (guids, events) = reader.await.unwrap();
        assert_eq!(guids[1..], posted, "the first one is simulated");
        // Whoever reads stays.
        std::mem::forget(events);
    }
    until("the one that does not read is dropped", || market.server.listeners() == READERS).await;
}
