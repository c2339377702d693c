//! What holds for every request: paths, methods, envelopes, content types, queries and headers.

use axum::http::{Method, StatusCode, header};
use http_body_util::Full;
use market::nct::Nct;
use mock_polyswarmd::http::description;
use serde_json::json;

use crate::support::{Actor, Config, Polyswarmd, keys, quiet};

const NOTHING: &str = "there is nothing at this path";
const GUID: &str = "0aa55ccc-0e1c-4296-bc3d-5f88e8688e56";

/// Clients ask this first: anything but 404 makes them speak another protocol, or stop.
#[tokio::test]
async fn options_of_wallets_is_not_found() {
    let market = Polyswarmd::quiet().await;
    for path in ["/wallets/", "/wallets"] {
        let answer = market.call(Method::OPTIONS, path, "").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(answer.sentence(), NOTHING);
        assert!(!answer.headers.keys().any(|name| name.as_str().starts_with("access-control")));
    }
}

/// A path of the description with something in place of its `{…}`.
fn concrete(path: &str) -> String {
    path.replace("{guid}", GUID)
        .replace("{address}", &Actor::new(1).address)
        .replace("{index}", "0")
        .replace("{uri}", "Qm")
        .replace("{name}", "x")
}

#[tokio::test]
async fn every_described_operation_is_answered_at_both_forms_of_its_path() {
    let market = Polyswarmd::quiet().await;
    let served = market.get("/_mock/openapi.json").await.json();
    assert_eq!(served, description());
    let account = Actor::new(1);
    let mut count = 0;
    for (path, operations) in served["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            for slash in ["", "/"] {
                let method: Method = method.to_uppercase().parse().unwrap();
                let path = format!("{}{slash}?{}", concrete(path), account.query());
                let answer = market.call(method.clone(), &path, "").await;
                assert!(!answer.text().contains(NOTHING), "{method} {path}");
                assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
                assert!(!answer.status.is_redirection() && !answer.status.is_server_error(), "{method} {path}: {}", answer.text());
                count += 1;
            }
        }
    }
    assert!(count > 90, "{count}");
}

#[tokio::test]
async fn methods_that_are_not_described_are_refused_in_json() {
    let market = Polyswarmd::quiet().await;
    for (path, operations) in description()["paths"].as_object().unwrap() {
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            if operations.get(method.as_str().to_lowercase()).is_none() {
                let answer = market.call(method.clone(), &concrete(path), "").await;
                assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
                answer.sentence();
            }
        }
    }
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_in_json() {
    let market = Polyswarmd::quiet().await;
    let account = Actor::new(1).query();
    let bounties = format!("/bounties?{account}");
    let cases = [
        (Method::GET, "/nothing/here", "", 404),
        (Method::POST, "/", "", 405),
        (Method::DELETE, "/bounties", "", 405),
        (Method::GET, "/bounties/%ff", "", 400),
        (Method::GET, "/artifacts/%ff/%fe", "", 400),
        (Method::GET, "/balances/%c3%28/nct", "", 400),
        (Method::POST, "/_mock/snapshots/%80", "", 400),
        (Method::GET, "/bounties/not-a-guid", "", 400),
        (Method::GET, "/bounties/0aa55ccc-0e1c-4296-bc3d-5f88e8688e56", "", 404),
        (Method::GET, "/bounties?page=x", "", 400),
        (Method::GET, "/balances/0x12/nct", "", 400),
        (Method::GET, "/nonce", "", 400),
        (Method::GET, "/nonce?account=0x12", "", 400),
        (Method::GET, "/nonce?account=&chain=side", "", 400),
        (Method::GET, "/pending?chain=middle", "", 400),
        (Method::POST, &bounties, "", 400),
        (Method::POST, &bounties, "{", 400),
        (Method::POST, &bounties, "[]", 400),
        (Method::POST, &bounties, "\u{0}", 400),
        (Method::POST, &bounties, r#"{"amount":"-1","artifact_type":"file","uri":"x","duration":1}"#, 400),
        (Method::POST, &bounties, r#"{"amount":"1","artifact_type":"file","uri":"unknown","duration":1}"#, 404),
        (Method::POST, "/bounties/metadata", "{'a':1}", 400),
        (Method::POST, "/artifacts", "", 400),
        (Method::GET, "/events", "", 400),
        (Method::GET, "/events?chain=middle", "", 400),
    ];
    for (method, path, body, status) in cases {
        let answer = market.call(method.clone(), path, body.to_owned()).await;
        let sentence = answer.sentence();
        assert_eq!(answer.status.as_u16(), status, "{method} {path}: {sentence}");
        assert!(!sentence.is_empty() && !sentence.ends_with('.'), "{sentence}");
    }
    // Clients look into lists of entries here, and into an object with a list of texts there; nothing else will do.
    let account = &Actor::new(1).query();
    for query in [format!("?{account}"), String::new(), "?account=0x12".to_owned(), format!("?{account}&chain=middle")] {
        for body in ["", "{", r#"{"transactions":[]}"#, r#"{"transactions":"00"}"#, r#"{"transactions":["0g"]}"#] {
            market.post(&format!("/transactions{query}"), body).await.refusal();
        }
        for body in ["", "{", r#"{"transactions":["00"]}"#, r#"{"transactions":[7]}"#] {
            market.call(Method::GET, &format!("/transactions{query}"), body.to_owned()).await.failure();
        }
    }
    let many = json!({ "transactions": vec![hex::encode([7; 32]); 11] }).to_string();
    assert!(market.post(&format!("/transactions?{account}"), &many).await.refusal().contains("11 transactions at once"));
    assert!(market.call(Method::GET, "/transactions", many).await.failure().contains("11 transactions at once"));
}

#[tokio::test]
async fn bodies_have_a_limit() {
    let market = Polyswarmd::quiet().await;
    let account = Actor::new(1).query();
    let large = format!("[{}1]", "1,".repeat(1 << 20));
    for path in ["/bounties", "/bounties/metadata", "/_mock/fund"] {
        let answer = market.post(&format!("{path}?{account}"), &large).await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{path}");
        answer.sentence();
    }
    let answer = market.post(&format!("/transactions?{account}"), &large).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    answer.refusal();
}

/// A body that is announced and never comes, or comes short, takes down nothing but its own request.
#[tokio::test]
async fn a_client_that_hangs_up_in_the_middle_harms_nobody() {
    use tokio::{io::AsyncWriteExt, net::TcpStream};
    let market = Polyswarmd::quiet().await;
    for start in [
        "POST /bounties HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
        "GET /bount",
        "\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz",
    ] {
        let mut connection = TcpStream::connect(market.address).await.unwrap();
        connection.write_all(start.as_bytes()).await.unwrap();
    }
    market.get("/status").await.result();
}

#[tokio::test]
async fn successes_are_enveloped_and_sized_as_clients_expect() {
    let market = Polyswarmd::quiet().await;
    let who = Actor::new(1);
    let query = who.query();
    assert_eq!(market.get(&format!("/nonce?ignore_pending=%20&{query}")).await.result(), 0);
    assert_eq!(market.get(&format!("/pending?{query}")).await.result(), json!([]));
    assert_eq!(market.get(&format!("/syncing?{query}")).await.result(), false);
    let status = market.get("/status/").await.result();
    assert_eq!(keys(&status), ["artifact_services", "home", "side"]);
    for (path, amount) in
        [("nct", "50000000000000000000000000"), ("eth", "1000000000000000000000"), ("staking/total", "0"), ("staking/withdrawable", "0")]
    {
        for chain in ["side", "home"] {
            let path = format!("/balances/{}/{path}?account={}&chain={chain}", who.address, who.address);
            assert_eq!(market.get(&path).await.result(), amount, "{path}");
        }
    }
    // Nobody ever saw this one.
    assert_eq!(market.get("/balances/0x00000000000000000000000000000000000000AA/nct").await.result(), "0");
}

/// They are added and compared as Python integers; beyond 64 bits, too.
#[tokio::test]
async fn parameters_are_integers() {
    let mut scenario = quiet();
    scenario.market.assertion_fee = Some("0.03125 NCT".parse().unwrap());
    let market = Polyswarmd::start(Config { scenario, ..Config::default() }).await;
    assert_eq!(
        market.get("/bounties/parameters").await.text(),
        r#"{"status":"OK","result":{"bounty_fee":62500000000000000,"assertion_fee":31250000000000000,"bounty_amount_minimum":2000000000000000000,"assertion_bid_minimum":62500000000000000,"assertion_bid_maximum":1000000000000000000,"arbiter_lookback_range":100,"max_duration":100,"assertion_reveal_window":5,"arbiter_vote_window":8}}"#
    );
    assert_eq!(
        market.get("/staking/parameters").await.text(),
        r#"{"status":"OK","result":{"minimum_stake":10000000000000000000000000,"maximum_stake":100000000000000000000000000,"vote_ratio_numerator":9,"vote_ratio_denominator":10}}"#
    );
}

#[tokio::test]
async fn parameters_never_fail() {
    let market = Polyswarmd::quiet().await;
    let account = Actor::new(1).query();
    for path in ["/bounties/parameters", "/bounties/parameters/", "/staking/parameters", "/staking/parameters/"] {
        for query in [
            "",
            "?",
            "?account=",
            "?account=0x12",
            "?chain=middle",
            "?account=%ff&chain=%00",
            "?chain=side&chain=home",
            "?a=b&&&=",
            &format!("?{account}"),
        ] {
            assert!(market.get(&format!("{path}{query}")).await.result().is_object(), "{path}{query}");
        }
        let request = market.request(Method::GET, path).header(header::AUTHORIZATION, "\u{1}").body(Full::default());
        assert!(request.is_err() || market.send(request.unwrap()).await.result().is_object());
    }
}

#[tokio::test]
async fn keys_and_queries_that_nobody_asked_for_are_taken() {
    let market = Polyswarmd::quiet().await;
    let path = format!("/nonce?{}&base_nonce=0&unknown=%ff&ignore_pending=%20&x", Actor::new(1).query());
    for key in ["", "0123456789abcdef0123456789abcdef", "Bearer x"] {
        let request = market.request(Method::GET, &path).header(header::AUTHORIZATION, key).body(Full::default()).unwrap();
        assert_eq!(market.send(request).await.result(), 0);
    }
}

#[tokio::test]
async fn addresses_are_read_in_any_case_and_written_in_eip_55() {
    let market = Polyswarmd::quiet().await;
    let who = Actor::new(1);
    for text in [who.address.clone(), who.address.to_lowercase(), format!("0x{}", who.address[2..].to_uppercase())] {
        let path = format!("/balances/{text}/nct?account={text}&chain=side");
        assert_eq!(market.get(&path).await.result(), "50000000000000000000000000", "{text}");
    }
    assert_eq!(market.server.node().readiness().came, 1, "it is one account");
    let mut author = who;
    let (guid, _) = market.bounty(&mut author, &[b"x"], 20).await;
    let bounty = market.get(&format!("/bounties/{guid}")).await.result();
    assert_eq!(bounty["author"], author.address);
    assert_eq!(bounty["assigned_arbiter"], "0x0000000000000000000000000000000000000000");
}

#[tokio::test]
async fn guids_are_listed_by_pages() {
    let market = Polyswarmd::quiet().await;
    let mut author = Actor::new(1);
    let mut guids = Vec::new();
    market.mine(2).await;
    let first = market.get("/bounties?page=0&count=75").await.result();
    guids.extend(first.as_array().unwrap().iter().map(|guid| guid.as_str().unwrap().to_owned()));
    assert_eq!(guids.len(), 1, "the simulated one");
    for number in 0..4 {
        guids.push(market.bounty(&mut author, &[&[number]], 20).await.0);
    }
    assert_eq!(market.get("/bounties").await.result(), json!(guids));
    assert_eq!(market.get("/bounties?page=0&count=3").await.result(), json!(guids[..3]));
    assert_eq!(market.get("/bounties?page=1&count=3").await.result(), json!(guids[3..]));
    assert_eq!(market.get("/bounties?page=2&count=3").await.result(), json!([]));
    assert_eq!(market.get("/bounties?page=18446744073709551615&count=18446744073709551615").await.result(), json!([]));
    // A version-4 UUID of RFC 4122: clients rebuild the text from the number and compare.
    for guid in guids {
        assert!(wire::guid::is_v4(wire::guid::parse(&guid).unwrap()), "{guid}");
        assert_eq!((&guid[14..15], guid.len(), guid.to_lowercase()), ("4", 36, guid.clone()));
        assert!("89ab".contains(&guid[19..20]), "{guid}");
    }
}

#[tokio::test]
async fn the_server_gives_up_money_as_strings() {
    let market = Polyswarmd::quiet().await;
    let who = Actor::new(9);
    let gift = Nct::whole(1_000_000_000).to_uint().to_string();
    let funded = market.post(&format!("/_mock/fund?{}", who.query()), json!({ "account": who.address, "amount": gift })).await.result();
    assert_eq!(funded, "1050000000000000000000000000");
}
