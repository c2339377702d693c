//! What does the market cost on top of HTTP? Requests a second of the endpoints that clients ask most, against a bare axum
//! that answers with as many bytes, on the same machine in the same run, in turns.
//!
//! The client is as thin as can be: requests written ahead, one connection for each of two threads, kept open.
//!
//! And what does the wire cost a whole engine? Bounties a second in lockstep, with every transaction built, verified,
//! signed, posted and mined, against the same market in process; and how long the first bounty takes to be settled.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use axum::{Router, http::header::CONTENT_TYPE, routing::get};
use benches::{play, setup};
use datasets::{CheckOptions, Corpus};
use engine::{
    chance::Key,
    config::{BackendConfig, BackendKind, EngineConfig},
    live::{
        driver::Driver,
        events::{self, WebSocket},
        http::{Http, ServerAddress},
        journal::Journal,
        polyswarmd::{Chain, Polyswarmd},
        run::{self, Finish, Office, Pace},
        wallet::Wallet,
    },
    microengine::Microengine,
    scanner::Scanner,
};
use market::{id::Address, nct::Nct};
use mock_polyswarmd::{
    chain::ChainName,
    clock::{self, Clock},
    http,
    node::{Guests, Node},
    server::Server,
};
use replay::{
    plan::Setup,
    scenario::{Arrival, Scenario},
};
use tokio::{net::TcpListener, runtime::Runtime, sync::mpsc};
use wire::{artifact::ArtifactType, signature::SecretKey};

/// Requests of one thread in one round.
const REQUESTS: usize = 4_000;
const THREADS: usize = 2;
const ROUNDS: usize = 9;
/// Bounties of a run with a whole engine.
const BOUNTIES: u64 = 600;

/// A server in the middle of a run: some hundred bounties are open.
fn market(runtime: &Runtime) -> (Arc<Server>, SocketAddr) {
    let guests = Guests { seat: None, expected: vec![(account(), Nct::whole(100))], gift: Nct::ZERO };
    let server = Server::new(Node::new(setup(10, 1_000), guests).expect("a sound setup"));
    for _ in 0..300 {
        assert!(server.mine(), "the run holds");
    }
    let address = serve(runtime, http::app(&server, true), server.clone());
    (server, address)
}

fn serve(runtime: &Runtime, app: http::App, server: Arc<Server>) -> SocketAddr {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    runtime.spawn(http::serve(listener, app, server));
    address
}

/// An axum that answers every path with that text.
fn echo(runtime: &Runtime, text: String) -> SocketAddr {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let text: &'static str = text.leak();
    let app = Router::new().route("/echo", get(move || async move { ([(CONTENT_TYPE, "application/json")], text) }));
    runtime.spawn(async move { axum::serve(listener, app).await });
    address
}

fn account() -> Address {
    Address::repeat_byte(7)
}

fn request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n").into_bytes()
}

/// Sends a request and reads its answer; the body's text.
fn ask(stream: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> usize {
    stream.write_all(request).expect("the server listens");
    buffer.clear();
    let mut chunk = [0; 16 << 10];
    loop {
        let read = stream.read(&mut chunk).expect("the server answers");
        assert!(read > 0, "the server hung up");
        buffer.extend_from_slice(&chunk[..read]);
        let Some(head) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let headers = std::str::from_utf8(&buffer[..head]).expect("headers are text");
        assert!(headers.starts_with("HTTP/1.1 200"), "{headers}");
        let length = headers.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        let length: usize = length.parse().expect("a number");
        if buffer.len() >= head + 4 + length {
            return head + 4;
        }
    }
}

/// Requests a second.
fn rate(address: SocketAddr, path: &str) -> f64 {
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut stream = TcpStream::connect(address).expect("the server listens");
                stream.set_nodelay(true).expect("a TCP socket");
                let (request, mut buffer) = (request(path), Vec::new());
                for _ in 0..REQUESTS {
                    ask(&mut stream, &request, &mut buffer);
                }
            });
        }
    });
    (THREADS * REQUESTS) as f64 / start.elapsed().as_secs_f64()
}

/// The shipped files, four bounties a block, with few others: what is measured is the way of one engine.
fn files() -> Arc<Setup> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/corpora/starter");
    let corpus = Corpus::open(&folder).expect("the shipped files");
    let summary = corpus.check(CheckOptions { files: false }, &mut |_| {}).expect("the shipped files are sound");
    let mut scenario = Scenario { bounties: BOUNTIES, ..Scenario::default() };
    scenario.ambassadors.arrival = Arrival::Fixed;
    scenario.ambassadors.bounties_per_block = 4.0;
    scenario.rivals[0].count = 3;
    Arc::new(Setup::new(scenario, corpus, summary, &folder).expect("the scenario fits"))
}

/// Plays the files over the wire with our own engine; seconds for all of it, and to the first settlement.
fn end_to_end(runtime: &Runtime, setup: Arc<Setup>) -> (f64, f64) {
    let wallet = Wallet::of(SecretKey::from_bytes(&[1; 32]).expect("a key"));
    let account = wallet.address();
    let start = Instant::now();
    let guests = Guests { seat: Some(account), expected: vec![(account, Nct::whole(1_000))], gift: Nct::ZERO };
    let server = Server::new(Node::new(setup, guests).expect("a sound setup"));
    let address = serve(runtime, http::app(&server, false), server.clone());
    let mut blocks = server.blocks();
    let first = runtime.spawn({
        let server = server.clone();
        async move {
            while server.node().figures().settlements == 0 {
                blocks.changed().await.expect("the server is there");
            }
            start.elapsed().as_secs_f64()
        }
    });
    let clock = runtime.spawn(clock::run(server.clone(), Clock::Lockstep { timeout: Duration::from_secs(60) }, 1, true));
    let folder = tempfile::tempdir().expect("a folder");
    let engine = async {
        let server = ServerAddress::parse(&format!("http://{address}"), false).expect("an address");
        let (journal, writer, promises) = Journal::open(folder.path(), account, Chain::Side, "bench").expect("a journal");
        let config = EngineConfig { backends: vec![BackendConfig::of(BackendKind::Eicar)], ..EngineConfig::default() };
        let staker = engine::stake::build(&config.strategy).expect("a strategy");
        let microengine = Microengine::new(1, config.judge(), staker, Key::root(1));
        let driver = Driver::new(microengine, account, vec![ArtifactType::File], promises);
        let client = Polyswarmd::new(Http::new(server.clone(), None).expect("a client"), account, Chain::Side);
        let scanner = Arc::new(Scanner::new(&config, Path::new(".")).expect("no files"));
        let office = Office::new(client, wallet.clone(), journal, scanner, 2, Pace::Lockstep);
        let (to, from) = mpsc::channel(1024);
        tokio::spawn(events::listen(WebSocket::new(server.events(Chain::Side)), to, Some(1)));
        let finish = Finish::new(None);
        let engine = tokio::spawn(run::run(office, driver, from, finish.clone(), Pace::Lockstep));
        clock.await.expect("the clock runs to the end");
        let all = start.elapsed().as_secs_f64();
        finish.now();
        engine.await.expect("the engine ends");
        writer.finish().await;
        all
    };
    let all = runtime.block_on(engine);
    let figures = server.node().figures();
    // Two transactions to assert, one to reveal, one to settle.
    assert_eq!((figures.transactions, figures.failures), (4 * BOUNTIES, 0), "the engine took part in everything");
    (all, runtime.block_on(first).expect("something was settled"))
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn main() {
    // `cargo test` runs benches to see that they work; it has no use for figures.
    let rounds = if std::env::args().any(|argument| argument == "--bench") { ROUNDS } else { 1 };
    let runtime = Runtime::new().expect("a runtime");
    let (server, address) = market(&runtime);
    let guid = {
        let node = server.node();
        node.chains().market(ChainName::Side).bounty_guid(node.figures().bounties - 20).expect("it was posted")
    };
    let query = format!("?account={}&chain=side", account().to_checksum(None));
    let paths = [
        "/bounties/parameters".to_owned(),
        format!("/balances/{}/nct", account()),
        "/nonce".to_owned(),
        format!("/bounties/{guid}"),
        format!("/bounties/{guid}/votes"),
        format!("/bounties/{guid}/assertions"),
    ];
    println!("requests a second by {THREADS} clients: this server, a bare axum with an answer as long, their ratio (medians of {rounds})");
    for path in paths {
        let path = path + &query;
        let mut buffer = Vec::new();
        let mut stream = TcpStream::connect(address).expect("the server listens");
        let body = ask(&mut stream, &request(&path), &mut buffer);
        let bare = echo(&runtime, String::from_utf8_lossy(&buffer[body..]).into_owned());
        let figures: Vec<(f64, f64)> = (0..rounds).map(|_| (rate(address, &path), rate(bare, "/echo"))).collect();
        let (ours, theirs) = (median(figures.iter().map(|both| both.0).collect()), median(figures.iter().map(|both| both.1).collect()));
        let ratio = median(figures.iter().map(|(ours, bare)| ours / bare).collect());
        println!(
            "  {:<70} {:>6} bytes {ours:>8.0} {theirs:>8.0}  {ratio:.2}",
            path.split('?').next().unwrap_or_default(),
            buffer.len() - body
        );
    }
    server.stop();

    let setup = files();
    let (mut wire, mut process, mut first) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds.min(5) {
        let (all, settled) = end_to_end(&runtime, setup.clone());
        let start = Instant::now();
        play(&setup);
        process.push(start.elapsed().as_secs_f64());
        wire.push(all);
        first.push(settled);
    }
    let (wire, process) = (BOUNTIES as f64 / median(wire), BOUNTIES as f64 / median(process));
    println!(
        "\nbounties a second, one engine: {wire:.0} over the wire in lockstep (4 signed transactions each), {process:.0} in process: 1 to {:.0}",
        process / wire
    );
    println!("from start to the first settlement in lockstep: {:.2} s", median(first));
}
