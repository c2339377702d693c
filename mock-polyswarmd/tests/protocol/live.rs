//! The live page: its files, what it is told through its WebSocket, and who may look on.

use std::{collections::BTreeSet, path::Path};

use axum::http::{HeaderName, HeaderValue, Method, header};
use http_body_util::Full;
use market::nct::Nct;
use mock_polyswarmd::live::{BLOCKS, BOUNTIES, EVENTS};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Error, client::IntoClientRequest};

use crate::support::{Actor, Config, EICAR, Events, Polyswarmd, keys, lively, starter, until};

/// A page that looks on, with these headers.
async fn look(market: &Polyswarmd, headers: &[(HeaderName, &str)]) -> Result<Events, Error> {
    let mut request = format!("ws://{}/_mock/live", market.address).into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(name.clone(), HeaderValue::from_str(value).unwrap());
    }
    tokio_tungstenite::connect_async(request).await.map(|(socket, _)| Events { socket })
}

async fn page(market: &Polyswarmd) -> Events {
    look(market, &[]).await.unwrap()
}

/// What it hears, until a block.
async fn until_block(page: &mut Events, block: u64) -> Vec<Value> {
    let mut heard = Vec::new();
    loop {
        let message = page.next().await;
        let now = message["state"]["block"].as_u64().unwrap();
        heard.push(message);
        if now >= block {
            return heard;
        }
    }
}

fn refused(error: Result<Events, Error>) -> u16 {
    match error {
        Err(Error::Http(answer)) => answer.status().as_u16(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it may look on"),
    }
}

#[tokio::test]
async fn a_page_is_told_everything_once_and_then_what_changed() {
    let market = Polyswarmd::lively().await;
    market.mine(2).await;
    let mut page = page(&market).await;
    let first = page.next().await;
    assert_eq!(
        keys(&first),
        ["about", "accounts", "bounties", "events", "history", "kept", "missed_events", "more_accounts", "state", "whole"]
    );
    assert_eq!((&first["whole"], &first["about"]["clock"], &first["about"]["planned"]), (&json!(true), &json!("manual"), &json!(12)));
    assert_eq!(first["state"]["block"], market.now());
    assert_eq!(first["bounties"].as_array().unwrap().len() as u64, market.server.node().figures().bounties);
    assert_eq!(first["history"].as_array().unwrap().len(), 2);

    let mut expert = Actor::new(5);
    let (guid, expiration) = market.bounty(&mut expert, &[EICAR, b"harmless"], 20).await;
    let before = until_block(&mut page, market.now()).await;
    assert!(before.iter().all(|message| message["whole"] == false));
    let cards: Vec<&Value> = before.iter().flat_map(|message| message["bounties"].as_array().unwrap()).collect();
    let card = cards.iter().rev().find(|card| card["guid"] == guid.as_str()).expect("the new bounty");
    assert_eq!((&card["round"], &card["artifact_count"], &card["expiration"]), (&json!("assertion"), &json!(2), &json!(expiration)));
    assert_eq!((&card["amount"], &card["staked"]), (&json!("4"), &json!("0")));
    let accounts = before.last().unwrap()["accounts"].as_array().unwrap();
    let visitor = accounts.iter().find(|account| account["role"] == "visitor").expect("the visitor");
    // It paid the bounty and its fee, and was given the rest.
    assert_eq!((&visitor["balance"], &visitor["change"]), (&json!("49999995.9375"), &json!("-4.0625")));

    // To the end: everything that happened was told, once.
    let last = market.mine(60).await;
    let heard = until_block(&mut page, last).await;
    let figures = market.server.node().figures();
    let told: Vec<&Value> =
        std::iter::once(&first).chain(&before).chain(&heard).flat_map(|message| message["events"].as_array().unwrap()).collect();
    let of = |kind: &str| told.iter().filter(|event| event["kind"] == kind).count() as u64;
    let missed: u64 = before.iter().chain(&heard).map(|message| message["missed_events"].as_u64().unwrap()).sum();
    assert!(of("reveal") > 0 && of("settled") > 0 && of("assertion") + missed >= figures.assertions, "{missed} missed of {figures:?}");
    // All that the journal has of what a page shows was told, or counted as missed.
    let journal = market.get("/_mock/journal").await;
    let shown = ["NewBounty", "NewAssertion", "RevealedAssertion", "NewVote", "QuorumReached", "SettledBounty"];
    let happened = journal.text().lines().filter(|line| shown.iter().any(|kind| line.contains(&format!("\"event\":\"{kind}\"")))).count();
    assert_eq!(told.len() as u64 + missed, happened as u64);
    let numbers: Vec<u64> = told.iter().map(|event| event["number"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted_by(|one, other| one < other), "each once, in order");
    let card =
        heard.iter().rev().find_map(|message| message["bounties"].as_array().unwrap().iter().find(|card| card["guid"] == guid.as_str()));
    let card = card.expect("it went through its rounds");
    assert!(["settle", "closed", "quorum"].contains(&card["round"].as_str().unwrap()), "{card}");
    // Over, nothing is staked any more, and what experts won others have lost: fees alone are gone.
    let accounts = heard.last().unwrap()["accounts"].as_array().unwrap().clone();
    assert!(accounts.iter().filter(|account| account["role"] == "expert").all(|account| account["staked"] == "0"), "{accounts:#?}");
    // Of an independent source: what clients are told of the same bounties.
    let whole = self::page(&market).await.next().await;
    let mut sum = Nct::ZERO;
    for card in whole["bounties"].as_array().unwrap() {
        let assertions = market.get(&format!("/bounties/{}/assertions", card["guid"].as_str().unwrap())).await.result();
        let assertions = assertions.as_array().unwrap();
        let bids = assertions.iter().flat_map(|assertion| assertion["bid"].as_array().unwrap());
        let staked: Nct = bids.map(|bid| format!("{} wei", bid.as_str().unwrap()).parse::<Nct>().unwrap()).sum();
        assert_eq!((&card["assertion_count"], &card["staked"]), (&json!(assertions.len()), &json!(text(staked))));
        sum = sum.checked_add(staked).unwrap();
    }
    assert!(sum > Nct::ZERO);
}

fn text(amount: Nct) -> String {
    amount.to_string().trim_end_matches(" NCT").to_owned()
}

#[tokio::test]
async fn a_page_that_does_not_read_holds_nobody_up_and_hears_the_present() {
    let market =
        Polyswarmd::start(Config { scenario: replay::scenario::Scenario { bounties: 300, ..lively() }, ..Config::default() }).await;
    let mut page = page(&market).await;
    assert_eq!(page.next().await["whole"], true);
    // It does not read: the market goes on all the same.
    let last = market.mine(1500).await;
    let heard = until_block(&mut page, last).await;
    assert!(heard.len() < 300, "{} messages for 1,500 blocks", heard.len());
    let newest = heard.last().unwrap();
    assert_eq!(newest["state"]["block"], last);
    for message in &heard {
        assert!(message["bounties"].as_array().unwrap().len() <= BOUNTIES && message["events"].as_array().unwrap().len() <= EVENTS);
        assert!(message["history"].as_array().unwrap().len() <= BLOCKS && message.to_string().len() < 1 << 20);
    }
    // Whoever comes now hears of the present alone.
    let whole = self::page(&market).await.next().await;
    assert!(whole["bounties"].as_array().unwrap().len() == BOUNTIES && whole["events"].as_array().unwrap().len() == EVENTS);
    assert!(whole.to_string().len() < 1 << 20, "{} bytes", whole.to_string().len());
}

#[tokio::test]
async fn no_clock_waits_for_a_page_and_its_place_is_free_again() {
    let market = Polyswarmd::lively().await;
    let mut pages = Vec::new();
    for _ in 0..16 {
        let mut page = page(&market).await;
        page.next().await;
        pages.push(page);
    }
    assert_eq!((market.server.side_listeners(), market.server.listeners(), market.server.pages()), (0, 0, 16));
    assert_eq!(market.readiness(), (0, 0));
    assert_eq!(refused(look(&market, &[]).await), 503);
    pages.pop();
    until("a place is free", || market.server.pages() == 15).await;
    page(&market).await.next().await;
}

#[tokio::test]
async fn where_time_jumps_the_page_begins_anew() {
    let market = Polyswarmd::lively().await;
    market.mine(3).await;
    market.post("/_mock/snapshots/here", "").await.result();
    let here = market.now();
    let before = page(&market).await.next().await;
    market.mine(10).await;
    let mut page = page(&market).await;
    assert_eq!(page.next().await["state"]["block"], here + 10);
    market.post("/_mock/snapshots/here/revert", "").await.result();
    let mut after = page.next().await;
    while after["whole"] == false {
        after = page.next().await;
    }
    for what in ["bounties", "accounts", "events", "history", "kept", "state"] {
        if what != "state" {
            assert_eq!(after[what], before[what], "{what}");
        }
    }
    assert_eq!(after["state"]["block"], here);
}

/// Browsers say where a page is from: none from elsewhere looks on, or has blocks mined.
#[tokio::test]
async fn only_pages_of_this_server_look_on_and_turn_the_clock() {
    let market = Polyswarmd::lively().await;
    let here = format!("http://{}", market.address);
    let port = market.address.port();
    for origin in ["http://evil.example", "null", "https://127.0.0.1", &format!("http://localhost:{port}"), "http://127.0.0.1:1"] {
        assert_eq!(refused(look(&market, &[(header::ORIGIN, origin)]).await), 403, "{origin}");
        let request = market.request(Method::POST, "/_mock/mine").header(header::ORIGIN, origin);
        let before = market.now();
        assert_eq!(market.send(request.body(Full::default()).unwrap()).await.status.as_u16(), 403, "{origin}");
        assert_eq!(market.now(), before);
    }
    // A name that a stranger's DNS may have pointed here.
    let rebound = format!("evil.example:{port}");
    assert_eq!(refused(look(&market, &[(header::HOST, &rebound), (header::ORIGIN, &format!("http://{rebound}"))]).await), 403);
    for path in ["/", "/_mock", "/_mock/page/live.js"] {
        let request = market.request(Method::GET, path).header(header::HOST, &rebound);
        assert_eq!(market.send(request.body(Full::default()).unwrap()).await.status.as_u16(), 403, "{path}");
    }
    assert_eq!(market.server.pages(), 0);
    look(&market, &[(header::ORIGIN, &here)]).await.unwrap().next().await;
}

#[tokio::test]
async fn the_page_is_whole_and_asks_nobody_else() {
    let market = Polyswarmd::quiet().await;
    for path in ["/", "/_mock", "/_mock/"] {
        let answer = market.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.content_type.as_str()), (200, "text/html; charset=utf-8"), "{path}");
        assert_eq!(
            answer.headers["content-security-policy"],
            format!(
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' ws://{}; base-uri 'none'; \
                 form-action 'none'; frame-ancestors 'none'",
                market.address
            )
        );
        let (tag, html) = (answer.headers["etag"].clone(), answer.text());
        let again = market.request(Method::GET, path).header(header::IF_NONE_MATCH, &tag);
        let again = market.send(again.body(Full::default()).unwrap()).await;
        assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
        assert!(again.headers.contains_key("content-security-policy") && again.headers["cache-control"] == "no-cache");
        // Every file that it names is there, and of this server.
        let named = |word: &'static str| html.split(word).skip(1).map(|rest| rest.split('"').next().unwrap());
        let files: BTreeSet<&str> = named("src=\"").chain(named("href=\"")).filter(|file| !file.starts_with('#')).collect();
        assert!(files.len() > 6 && files.iter().all(|file| file.starts_with("/_mock/")), "{files:?}");
        for file in files {
            let answer = market.get(file).await;
            assert_eq!(answer.status.as_u16(), 200, "{file}");
            if file.starts_with("/_mock/page/") {
                assert!(answer.headers.contains_key("etag") && answer.headers["x-content-type-options"] == "nosniff");
            }
        }
        assert!(!html.contains("style=") && !html.contains("onclick") && !html.contains("http://") && !html.contains("https://"));
    }
    let script = market.get("/_mock/page/live.js").await;
    for sink in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"] {
        assert!(!script.text().contains(sink), "{sink}");
    }
    assert_eq!(market.get("/_mock/page/else.js").await.sentence(), "the page has no such file");
    assert_eq!(market.get("/_mock/live").await.status.as_u16(), 400, "no WebSocket was asked for");
    let without = Polyswarmd::start(Config { cheats: false, ..Config::default() }).await;
    assert_eq!(without.get("/").await.sentence(), "there is nothing at this path");
    assert_eq!(refused(look(&without, &[]).await), 404);
}

/// The name of a corpus is the work of a stranger.
#[tokio::test]
async fn names_of_strangers_are_short_and_turn_nothing_around() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = folder.path().join("corpus");
    for entry in ["manifest.toml", "artifacts.csv", "files"] {
        copy(&starter().join(entry), &corpus.join(entry));
    }
    let manifest = corpus.join("manifest.toml");
    let name = format!("<script>\u{202e}{}", "x".repeat(10_000));
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replacen("\"starter\"", &serde_json::to_string(&name).unwrap(), 1)).unwrap();
    let market = Polyswarmd::start(Config { corpus, ..Config::default() }).await;
    let told = page(&market).await.next().await;
    assert_eq!(told["about"]["corpus"], format!("<script>\\u{{202e}}{}…", "x".repeat(51)));
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    if from.is_dir() {
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        std::fs::copy(from, to).unwrap();
    }
}
