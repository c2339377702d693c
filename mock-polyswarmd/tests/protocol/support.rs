//! A server in this process on a port of its own, and clients that reach it over the wire.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::{
    body::Bytes,
    http::{Method, Request, StatusCode, header::CONTENT_TYPE},
};
use datasets::{CheckOptions, Corpus};
use futures_util::StreamExt;
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use market::{commitment::Opening, nct::Nct, verdict::ArtifactSet};
use mock_polyswarmd::{
    http,
    node::{Guests, Node},
    server::{Patience, Server},
};
use replay::{
    plan::Setup,
    scenario::{AmbassadorConfig, Arrival, MarketConfig, Scenario},
};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, tungstenite::Message};
use wire::{
    hexadecimal,
    signature::SecretKey,
    transaction::{Signed, ToSign, Unsigned},
};

/// Long enough for anything; reached only when a test fails.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// The test file that every engine knows.
pub(crate) const EICAR: &[u8] = br"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*";

/// The shipped corpus with files.
pub(crate) fn starter() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/corpora/starter")
}

/// One simulated bounty in the first block, and nobody beside the visitors.
pub(crate) fn quiet() -> Scenario {
    let mut scenario = lively();
    scenario.bounties = 1;
    scenario.rivals.clear();
    scenario.arbiters.count = 0;
    scenario
}

/// A dozen simulated bounties with rivals and arbiters, and windows that a client can meet.
pub(crate) fn lively() -> Scenario {
    Scenario {
        seed: 7,
        bounties: 12,
        market: MarketConfig { reveal_window: Some(5), vote_window: Some(8), ..MarketConfig::default() },
        ambassadors: AmbassadorConfig { arrival: Arrival::Fixed, bounties_per_block: 1.0, duration: 8, ..AmbassadorConfig::default() },
        ..Scenario::default()
    }
}

/// What is served, and to whom.
pub(crate) struct Config {
    pub(crate) scenario: Scenario,
    pub(crate) corpus: PathBuf,
    pub(crate) cheats: bool,
    pub(crate) patience: Patience,
}

impl Default for Config {
    fn default() -> Config {
        Config { scenario: quiet(), corpus: starter(), cheats: true, patience: Patience::default() }
    }
}

/// A running server; dropping it ends it.
pub(crate) struct Polyswarmd {
    pub(crate) server: Arc<Server>,
    pub(crate) address: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Drop for Polyswarmd {
    fn drop(&mut self) {
        self.server.stop();
    }
}

/// A server whose blocks come when they are asked for.
pub(crate) fn server(config: &Config) -> Arc<Server> {
    let corpus = Corpus::open(&config.corpus).unwrap();
    let summary = corpus.check(CheckOptions { files: corpus.has_files() }, &mut |_| {}).unwrap();
    let setup = Setup::new(config.scenario.clone(), corpus, summary, Path::new(".")).unwrap();
    let guests = Guests { seat: None, expected: Vec::new(), gift: Nct::whole(50_000_000) };
    Server::with_patience(Node::new(Arc::new(setup), guests).unwrap(), config.patience)
}

impl Polyswarmd {
    pub(crate) async fn start(config: Config) -> Polyswarmd {
        let server = server(&config);
        let app = http::app(&server, config.cheats);
        Polyswarmd::of(&server, app).await
    }

    /// Serves some of the routes of a server.
    pub(crate) async fn of(server: &Arc<Server>, app: http::App) -> Polyswarmd {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(http::serve(listener, app, server.clone()));
        Polyswarmd { server: server.clone(), address, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// With one simulated bounty and no rivals or arbiters.
    pub(crate) async fn quiet() -> Polyswarmd {
        Polyswarmd::start(Config::default()).await
    }

    /// With rivals and arbiters.
    pub(crate) async fn lively() -> Polyswarmd {
        Polyswarmd::start(Config { scenario: lively(), ..Config::default() }).await
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let answer = tokio::time::timeout(LONG, self.client.request(request)).await.expect("an answer").unwrap();
        let (head, body) = answer.into_parts();
        let body = tokio::time::timeout(LONG, body.collect()).await.expect("a body").unwrap().to_bytes();
        let content_type = head.headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        Answer { status: head.status, content_type, headers: head.headers, body }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> axum::http::request::Builder {
        Request::builder().method(method).uri(format!("http://{}{path}", self.address))
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Answer {
        self.send(self.request(method, path).body(Full::new(body.into())).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, "").await
    }

    pub(crate) async fn post(&self, path: &str, body: impl ToString) -> Answer {
        self.call(Method::POST, path, body.to_string()).await
    }

    /// Mines so many blocks; answers with the number of the last.
    pub(crate) async fn mine(&self, blocks: u64) -> u64 {
        self.post("/_mock/mine", json!({ "blocks": blocks })).await.result().as_u64().unwrap()
    }

    /// Mines up to a block.
    pub(crate) async fn mine_to(&self, block: u64) {
        while self.now() < block {
            self.mine(1).await;
        }
        assert_eq!(self.now(), block, "that block was jumped over");
    }

    pub(crate) fn now(&self) -> u64 {
        self.server.node().now().0
    }

    /// The whole state, as text.
    pub(crate) async fn dump(&self) -> String {
        self.get("/_mock/state").await.text().to_owned()
    }

    /// Uploads files; answers with their URI.
    pub(crate) async fn upload(&self, files: &[&[u8]]) -> String {
        self.upload_form(files).await.result().as_str().unwrap().to_owned()
    }

    /// Uploads as polyswarm-client does it.
    pub(crate) async fn upload_form(&self, files: &[&[u8]]) -> Answer {
        let boundary = "0123456789abcdef0123456789abcdef";
        let mut body = Vec::new();
        for (number, file) in files.iter().enumerate() {
            body.extend_from_slice(
                format!(
                    "--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Disposition: form-data; name=\"file\"; \
                     filename=\"{number}\"; filename*=utf-8''{number}\r\nContent-Length: {}\r\n\r\n",
                    file.len()
                )
                .as_bytes(),
            );
            body.extend_from_slice(file);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        let request = self
            .request(Method::POST, "/artifacts/")
            // Without an API key the client sends an empty header here.
            .header("Authorization", "")
            .header(CONTENT_TYPE, format!("multipart/form-data; boundary={boundary}"));
        self.send(request.body(Full::new(body.into())).unwrap()).await
    }

    /// The transactions of an action, to be signed.
    pub(crate) async fn to_sign(&self, actor: &Actor, path: &str, body: impl ToString) -> Vec<Unsigned> {
        let answer = self.post(&format!("{path}?{}&base_nonce=0", actor.query()), body).await;
        let transactions = answer.result()["transactions"].clone();
        assert!(transactions.is_array());
        #[derive(serde::Deserialize)]
        struct Envelope {
            result: ToSign,
        }
        serde_json::from_slice::<Envelope>(&answer.body).unwrap().result.transactions
    }

    /// Posts signed transactions.
    pub(crate) async fn submit(&self, actor: &Actor, transactions: &[Signed]) -> Answer {
        let raw: Vec<String> = transactions.iter().map(|signed| hex(&signed.encode())).collect();
        self.submit_raw(actor, &raw).await
    }

    pub(crate) async fn submit_raw(&self, actor: &Actor, raw: &[String]) -> Answer {
        self.post(&format!("/transactions?{}", actor.query()), json!({ "transactions": raw })).await
    }

    /// Asks for the receipt of transactions together, with the body that this GET has.
    pub(crate) async fn receipt(&self, actor: &Actor, transactions: &[Signed]) -> Answer {
        let hashes: Vec<String> = transactions.iter().map(|signed| hex(signed.hash().as_slice())).collect();
        let body = json!({ "transactions": hashes }).to_string();
        self.call(Method::GET, &format!("/transactions?{}", actor.query()), body).await
    }

    /// Asks, signs, posts, mines a block, and answers with the receipt.
    pub(crate) async fn attempt(&self, actor: &mut Actor, path: &str, body: impl ToString) -> Answer {
        let unsigned = self.to_sign(actor, path, body).await;
        let signed = actor.sign(unsigned);
        self.submit(actor, &signed).await.result();
        self.mine(1).await;
        self.receipt(actor, &signed).await
    }

    /// As [`attempt`](Self::attempt), and it went well.
    pub(crate) async fn act(&self, actor: &mut Actor, path: &str, body: impl ToString) -> Value {
        self.attempt(actor, path, body).await.result()
    }

    /// A bounty of `author` about those files: its guid and its expiration.
    pub(crate) async fn bounty(&self, author: &mut Actor, files: &[&[u8]], duration: u64) -> (String, u64) {
        let uri = self.upload(files).await;
        let amount = Nct::whole(2 * files.len() as u64);
        let body = json!({ "amount": amount.to_uint().to_string(), "artifact_type": "file", "uri": uri, "duration": duration });
        let posted = self.act(author, "/bounties", body).await["bounties"][0].clone();
        (posted["guid"].as_str().unwrap().to_owned(), posted["expiration"].as_str().unwrap().parse().unwrap())
    }

    /// Participants that are waited for, and those of them who are done with the block.
    pub(crate) fn readiness(&self) -> (usize, usize) {
        let readiness = self.server.node().readiness();
        (readiness.active, readiness.ready)
    }

    /// A WebSocket that was greeted.
    pub(crate) async fn events(&self, chain: &str) -> Events {
        let address = format!("ws://{}/events/?chain={chain}", self.address);
        let (socket, _) = tokio_tungstenite::connect_async(address).await.unwrap();
        let mut events = Events { socket };
        assert_eq!(events.next().await["event"], "connected");
        // Whoever comes between two blocks is told the last.
        assert_eq!(events.next().await["event"], "block");
        events
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: String,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body, which must be JSON and say so.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.content_type, "application/json", "{self:?}");
        serde_json::from_slice(&self.body).unwrap()
    }

    /// What was asked for.
    #[track_caller]
    pub(crate) fn result(&self) -> Value {
        let mut envelope = self.json();
        assert_eq!(envelope["status"], "OK", "{envelope}");
        assert_eq!(self.status, StatusCode::OK, "{envelope}");
        assert_eq!(keys(&envelope), ["result", "status"]);
        envelope["result"].take()
    }

    /// Why not.
    #[track_caller]
    pub(crate) fn errors(&self) -> Value {
        let mut envelope = self.json();
        assert_eq!(envelope["status"], "FAIL", "{envelope}");
        assert!(self.status.is_client_error(), "{} {envelope}", self.status);
        assert_eq!(keys(&envelope), ["errors", "status"]);
        envelope["errors"].take()
    }

    /// Why not, in the shape of all but the two of `/transactions`.
    #[track_caller]
    pub(crate) fn sentence(&self) -> String {
        self.errors().as_str().expect("a text").to_owned()
    }

    /// Why the one transaction of `POST /transactions` was not taken.
    #[track_caller]
    pub(crate) fn refusal(&self) -> String {
        let errors = self.errors();
        let entries = errors.as_array().expect("a list");
        assert_eq!(entries.len(), 1, "{errors}");
        assert_eq!(keys(&entries[0]), ["is_error", "message"]);
        assert_eq!(entries[0]["is_error"], true);
        entries[0]["message"].as_str().unwrap().to_owned()
    }

    /// Why the one transaction of `GET /transactions` failed.
    #[track_caller]
    pub(crate) fn failure(&self) -> String {
        let errors = self.errors();
        let texts = errors["errors"].as_array().expect("an object with a list");
        assert_eq!(texts.len(), 1, "{errors}");
        texts[0].as_str().unwrap().to_owned()
    }
}

/// Somebody with a key, on one chain.
#[derive(Clone)]
pub(crate) struct Actor {
    pub(crate) key: Arc<SecretKey>,
    /// In EIP-55.
    pub(crate) address: String,
    pub(crate) chain: &'static str,
    pub(crate) nonce: u64,
}

impl Actor {
    pub(crate) fn new(number: u8) -> Actor {
        let key = SecretKey::from_bytes(&[number; 32]).unwrap();
        Actor { address: wire::address::to_text(key.address()), key: Arc::new(key), chain: "side", nonce: 0 }
    }

    /// The same key on the home chain.
    pub(crate) fn at_home(&self) -> Actor {
        Actor { chain: "home", nonce: 0, ..self.clone() }
    }

    pub(crate) fn query(&self) -> String {
        format!("account={}&chain={}", self.address, self.chain)
    }

    /// Signs with the next nonces of its own, as clients do.
    pub(crate) fn sign(&mut self, transactions: Vec<Unsigned>) -> Vec<Signed> {
        let sign = |unsigned| {
            self.nonce += 1;
            Unsigned { nonce: self.nonce - 1, ..unsigned }.sign(&self.key)
        };
        transactions.into_iter().map(sign).collect()
    }

    /// The body of an assertion of one NCT on each verdict, and its opening.
    pub(crate) fn assertion(&self, verdicts: &[bool]) -> (Value, Value) {
        let set: ArtifactSet = verdicts.iter().enumerate().filter_map(|(index, &verdict)| verdict.then_some(index)).fold(
            ArtifactSet::EMPTY,
            |mut set, index| {
                set.insert(index);
                set
            },
        );
        let nonce = alloy_primitives::U256::MAX - alloy_primitives::U256::from(self.nonce);
        let commitment = market::commitment::Commitment::compute(self.key.address(), Opening { nonce, verdicts: set });
        let commitment = alloy_primitives::U256::from_be_bytes(commitment.0);
        let bids: Vec<String> = verdicts.iter().map(|_| NCT.to_string()).collect();
        let mask: Vec<bool> = verdicts.iter().map(|_| true).collect();
        let post = json!({ "bid": bids, "mask": mask, "commitment": commitment.to_string() });
        (post, json!({ "nonce": nonce.to_string(), "verdicts": verdicts, "metadata": "" }))
    }
}

/// Wei in an NCT.
pub(crate) const NCT: u64 = 1_000_000_000_000_000_000;

/// A WebSocket.
pub(crate) struct Events {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Events {
    /// The next message as text; nothing when the server closed.
    pub(crate) async fn next_text(&mut self) -> Option<String> {
        loop {
            match tokio::time::timeout(LONG, self.socket.next()).await.expect("a message")? {
                Ok(Message::Text(text)) => return Some(text.to_string()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    pub(crate) async fn next(&mut self) -> Value {
        serde_json::from_str(&self.next_text().await.expect("an open WebSocket")).unwrap()
    }

    /// Everything up to that block's own message, which comes last.
    pub(crate) async fn until_block(&mut self, number: u64) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let message = self.next().await;
            let last = message["event"] == "block" && message["data"]["number"] == number;
            all.push(message);
            if last {
                return all;
            }
        }
    }
}

/// The keys of an object, sorted.
pub(crate) fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap_or_else(|| panic!("{value}")).keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let text = hex::encode(bytes);
    assert_eq!(hexadecimal::parse(&text).unwrap(), bytes);
    text
}

/// Waits until something is so that no event tells of.
pub(crate) async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let poll = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LONG, poll).await.unwrap_or_else(|_| panic!("never happened: {what}"));
}
