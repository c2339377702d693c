//! Anything at all, from anybody: never a 5xx, always JSON where a client expects it, and the market goes on.

use std::cell::Cell;

use alloy_primitives::U256;
use axum::{
    body::Body,
    http::{Method, Request, Response, Uri},
};
use http_body_util::BodyExt;
use market::{
    id::{Address, Guid},
    market::named_address,
    nct::Nct,
    verdict::ArtifactSet,
};
use mock_polyswarmd::{chain::ChainName, http, transaction::contract};
use proptest::{prelude::*, sample::Index};
use serde_json::Value;
use tower::ServiceExt;
use wire::{
    calldata::{Call, PostAssertion, PostBounty, RevealAssertion},
    transaction::Unsigned,
};

use crate::support::{Actor, Config, Polyswarmd, hex, lively, server};

/// Asks without a socket.
fn ask(runtime: &tokio::runtime::Runtime, app: &http::App, request: Request<Body>) -> (Response<()>, Vec<u8>) {
    runtime.block_on(async {
        let (head, body) = app.clone().oneshot(request).await.unwrap().into_parts();
        (Response::from_parts(head, ()), body.collect().await.unwrap().to_bytes().to_vec())
    })
}

fn paths() -> Vec<String> {
    let description = http::description();
    // Loading a state and mining many blocks are for tests of their own; downloads and pages are no JSON.
    let skipped = ["/_mock", "/_mock/openapi.json", "/_mock/metrics", "/_mock/journal", "/_mock/mine"];
    description["paths"].as_object().unwrap().keys().filter(|path| !skipped.contains(&path.as_str())).cloned().collect()
}

/// Something to put in place of a path's `{…}`, in a query or into a body: valid, nearly valid, or anything.
fn word() -> impl Strategy<Value = String> {
    let known = [
        "0aa55ccc-0e1c-4296-bc3d-5f88e8688e56",
        "0x05328f171b8c1463eaFDACCA478D9EE6a1d923F8",
        "0x05328f171b8c1463eafdacca478d9ee6a1d923f9",
        "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o",
        "0",
        "-1",
        "18446744073709551616",
        "1e400",
        "side",
        "home",
        "",
        " ",
        "..",
        "null",
        "115792089237316195423570985008687907853269984665640564039457584007913129639936",
    ];
    prop_oneof![
        3 => proptest::sample::select(known.to_vec()).prop_map(str::to_owned),
        1 => "\\PC{0,40}",
        1 => any::<Vec<u8>>().prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
    ]
}

/// Escapes as little as a URI needs; bytes that are no UTF-8 come in by `%ff`.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => (byte as char).to_string(),
        0 => "%ff".to_owned(),
        _ => format!("%{byte:02x}"),
    };
    text.bytes().map(escape).collect()
}

fn json() -> impl Strategy<Value = Value> {
    let keys = [
        "amount",
        "artifact_type",
        "uri",
        "duration",
        "metadata",
        "bid",
        "mask",
        "commitment",
        "nonce",
        "verdicts",
        "votes",
        "valid_bloom",
        "transactions",
        "account",
        "block",
        "bounty_fee",
        "assertion_fee",
        "assertion_reveal_window",
        "arbiter_vote_window",
        "rollover",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 8, move |inner| {
        let key = proptest::sample::select(keys.to_vec()).prop_map(str::to_owned);
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(key, inner, 0..8).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => json().prop_map(|json| json.to_string().into_bytes()), 1 => any::<Vec<u8>>(), 1 => Just(Vec::new())]
}

#[test]
fn no_request_is_answered_with_a_server_error_or_with_anything_but_json() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let patience = mock_polyswarmd::server::Patience {
        side: std::time::Duration::from_millis(1),
        home: std::time::Duration::from_millis(1),
        ..Default::default()
    };
    let server = server(&Config { scenario: lively(), patience, ..Config::default() });
    let app = http::app(&server, true);
    let methods = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH];
    let known = (proptest::sample::select(paths()), proptest::collection::vec(word(), 4)).prop_map(|(path, words)| {
        let mut words = words.iter();
        let parts = path.split('/').map(|part| if part.starts_with('{') { escaped(words.next().unwrap()) } else { part.to_owned() });
        parts.collect::<Vec<_>>().join("/")
    });
    let unknown = proptest::collection::vec(word(), 0..4)
        .prop_map(|words| format!("/{}", words.iter().map(|word| escaped(word)).collect::<Vec<_>>().join("/")));
    let path = prop_oneof![4 => known, 1 => unknown];
    let query =
        proptest::collection::vec((proptest::sample::select(vec!["account", "chain", "base_nonce", "page", "count", "x"]), word()), 0..4);
    let strategy = (proptest::sample::select(methods.to_vec()), path, query, body(), any::<bool>());
    let config = ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |((method, path, query, body, slash) in strategy)| {
        let query: Vec<String> = query.iter().map(|(key, value)| format!("{key}={}", escaped(value))).collect();
        let uri: Uri = format!("{path}{}?{}", if slash { "/" } else { "" }, query.join("&")).parse().unwrap();
        // The page is the one answer that is for people.
        prop_assume!(method != Method::GET || uri.path().contains(|letter| letter != '/'));
        let request = Request::builder().method(method.clone()).uri(&uri).body(Body::from(body)).unwrap();
        let (head, body) = ask(&runtime, &app, request);
        prop_assert!(!head.status().is_server_error(), "{method} {uri}: {}", String::from_utf8_lossy(&body));
        let json: Option<Value> = serde_json::from_slice(&body).ok();
        prop_assert_eq!(head.headers().get("content-type").unwrap(), "application/json", "{} {}", method, uri);
        let json = json.unwrap();
        prop_assert_eq!(&json["status"] == "OK", head.status().is_success(), "{} {}: {}", method, uri, json);
    });
    assert!(server.mine(), "the market goes on");
    assert!(server.take_error().is_none());
}

#[test]
fn no_transaction_is_answered_with_a_server_error_and_none_breaks_the_market() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = server(&Config { scenario: lively(), ..Config::default() });
    let app = http::app(&server, false);
    let guids: Vec<_> = {
        for _ in 0..6 {
            assert!(server.mine());
        }
        let node = server.node();
        (0..3).map(|index| node.chains().market(ChainName::Side).bounty_guid(index).unwrap()).collect()
    };
    // Every number is small, the largest, or anything; every bounty is there, or is not.
    let number =
        || prop_oneof![3 => (0..20_u64).prop_map(U256::from), 1 => Just(U256::MAX), 1 => any::<[u8; 32]>().prop_map(U256::from_be_bytes)];
    let guid = || prop_oneof![4 => proptest::sample::select(guids.clone()), 1 => any::<u128>().prop_map(Guid)];
    let address = || any::<[u8; 20]>().prop_map(Address::from);
    let set = || number().prop_map(ArtifactSet::from_uint);
    let amount = || number().prop_map(Nct::from_uint);
    let call = prop_oneof![
        (address(), amount()).prop_map(|(spender, amount)| Call::Approve { spender, amount }),
        (prop_oneof![address(), Just(named_address("relay"))], amount()).prop_map(|(to, amount)| Call::Transfer { to, amount }),
        (guid(), [number(), number(), number()], amount(), "\\PC{0,20}", any::<bool>()).prop_map(|(guid, numbers, amount, text, whole)| {
            let [artifact_type, artifacts, duration] = numbers;
            let amount = if whole { Nct::whole(50) } else { amount };
            let post = PostBounty {
                guid,
                artifact_type,
                amount,
                uri: text.clone(),
                artifacts,
                duration,
                bloom: Default::default(),
                metadata: text,
            };
            Call::PostBounty(Box::new(post))
        }),
        (guid(), proptest::collection::vec(prop_oneof![amount(), Just(Nct::whole(1))], 0..4), set(), any::<[u8; 32]>()).prop_map(
            |(guid, bids, mask, commitment)| Call::PostAssertion(PostAssertion { guid, bids, mask, commitment: commitment.into() })
        ),
        (guid(), number(), number(), set(), "\\PC{0,20}").prop_map(|(guid, index, nonce, verdicts, metadata)| {
            Call::RevealAssertion(RevealAssertion { guid, index, nonce, verdicts, metadata })
        }),
        (guid(), set(), any::<bool>()).prop_map(|(guid, votes, valid_bloom)| Call::VoteOnBounty { guid, votes, valid_bloom }),
        guid().prop_map(|guid| Call::SettleBounty { guid }),
        amount().prop_map(|amount| Call::Deposit { amount }),
        amount().prop_map(|amount| Call::Withdraw { amount }),
    ];
    let damage = prop_oneof![9 => Just(None), 1 => any::<(Index, u8)>().prop_map(Some)];
    let strategy = proptest::collection::vec((call, damage, any::<bool>()), 1..6);
    let config = ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() };
    let next = Cell::new(0);
    proptest!(config, |(list in strategy)| {
        let who = Actor::new(1);
        let sign = |position: usize, call: &Call, damage: Option<(Index, u8)>, legacy: bool| {
            let mut data = call.encode();
            if let Some((index, byte)) = damage {
                let index = index.index(data.len());
                data[index] = byte;
            }
            let (to, nonce, chain_id) = (contract(call).1, next.get() + position as u64, (!legacy).then_some(1338));
            let (gas_price, value) = Default::default();
            hex(&Unsigned { nonce, chain_id, gas: 1, gas_price, value, to, data: data.into() }.sign(&who.key).encode())
        };
        let raw: Vec<String> = list.iter().enumerate().map(|(position, (call, damage, legacy))| sign(position, call, *damage, *legacy)).collect();
        let body = serde_json::json!({ "transactions": raw }).to_string();
        let request = Request::post(format!("/transactions?{}", who.query())).body(Body::from(body)).unwrap();
        let (head, body) = ask(&runtime, &app, request);
        prop_assert!(!head.status().is_server_error(), "{}", String::from_utf8_lossy(&body));
        prop_assert!(server.mine());
        let node = server.node();
        next.set(node.pool().next_nonce(ChainName::Side, who.key.address(), true));
    });
    let taken = server.node().figures().transactions;
    assert!(taken > 300, "{taken}");
    assert!(server.take_error().is_none());
    // The same once more, as a run's files are written.
    mock_polyswarmd::run::conclude(&server.node(), None, String::new(), std::time::Duration::ZERO, sim::progress::Progress::new(true))
        .unwrap();
}

/// Requests that only a raw socket can make.
#[tokio::test]
async fn odd_request_lines_are_survived() {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };
    let market = Polyswarmd::quiet().await;
    for start in [
        "OPTIONS * HTTP/1.1",
        "GET http://other.example/bounties/parameters HTTP/1.1",
        "CONNECT other.example:80 HTTP/1.1",
        "GET // HTTP/1.1",
        "GET /bounties//parameters HTTP/1.1",
        "GET /../../etc/passwd HTTP/1.1",
        "GET /%2e%2e/%00 HTTP/1.1",
        "BREW / HTTP/1.1",
        "GET /? HTTP/1.1",
        "GET /bounties/parameters//// HTTP/1.1",
        "GET / HTTP/1.0",
        "GET / HTTP/9.9",
        "nonsense",
        "PRI * HTTP/2.0",
    ] {
        let mut connection = TcpStream::connect(market.address).await.unwrap();
        connection.write_all(format!("{start}\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(crate::support::LONG, connection.read_to_end(&mut answer)).await.expect("an end");
        let answer = String::from_utf8_lossy(&answer);
        assert!(!answer.starts_with("HTTP/1.1 5") && !answer.starts_with("HTTP/1.0 5"), "{start}: {answer}");
    }
    market.get("/status").await.result();
}
