//! The same market twice: commands given to the virtual chain in process, and the same signed by a client, sent over HTTP
//! and mined in lockstep. The journals must be the same, byte for byte.
//!
//! A scenario is a script: which visitor does what in which block. In process its lines become market commands at once; over
//! the wire they go the whole road of a real client: JSON, unsigned transactions, signature, RLP, calldata, receipt.

use std::{collections::HashMap, fs, path::Path, sync::Arc, time::Duration};

use alloy_primitives::U256;
use datasets::{CheckOptions, Corpus};
use market::{
    block::BlockNumber,
    bloom::Bloom,
    command::{Accepted, Command, PostAssertion, PostBounty, RevealAssertion},
    commitment::{Commitment, Opening},
    event::Event,
    id::{AccountId, Address, Guid},
    nct::Nct,
    rejection::{Rejection, Revert},
    verdict::ArtifactSet,
};
use mock_polyswarmd::{
    clock::{self, Clock},
    content, http,
    node::{Guests, Node},
    server::Server,
};
use replay::{
    journal::Journal,
    plan::{Brought, Setup},
    scenario::{Arrival, Scenario},
    world::{Blind, PlayError, Seat, World},
};
use tokio::net::TcpListener;
use wire::{
    envelope::Envelope,
    json::Json,
    receipt::Receipt,
    signature::SecretKey,
    transaction::{Inquiry, Submission, Submitted, ToSign},
};

/// What a visitor does, or the contracts' owner.
#[derive(Clone, Debug)]
enum Act {
    /// Asserts on the bounty of that number: for each artifact a verdict, or nothing; the same bid on each.
    Assert {
        bounty: usize,
        verdicts: Vec<Option<bool>>,
        bid: Nct,
        nonce: u64,
    },
    /// Reveals what it asserted; with another nonce than it committed to if `wrong`.
    Reveal {
        bounty: usize,
        wrong: bool,
    },
    Vote {
        bounty: usize,
        votes: Vec<bool>,
    },
    Settle {
        bounty: usize,
    },
    Deposit {
        amount: Nct,
    },
    /// Posts a bounty of its own on a file.
    Post {
        content: &'static [u8],
        amount: Nct,
        duration: u64,
    },
    /// The owner sets both fees.
    Fees {
        bounty: Nct,
        assertion: Nct,
    },
    Deprecate,
    Undeprecate,
}

impl Act {
    fn is_the_owners(&self) -> bool {
        matches!(self, Act::Fees { .. } | Act::Deprecate | Act::Undeprecate)
    }
}

/// A line of a script: in the block so many after the first, that visitor does that.
type Line = (u64, usize, Act);

/// A scenario: what is played, who visits with how much, and the script.
struct Script {
    scenario: Scenario,
    wallets: Vec<Nct>,
    lines: Vec<Line>,
}

/// What came of a line: nothing, or the contract's words.
type Answers = Vec<(usize, Option<String>)>;

const REVEAL: u64 = 4;
const VOTE: u64 = 6;
const DURATION: u64 = 6;

fn scenario(artifacts: u32) -> Scenario {
    let mut scenario = Scenario { bounties: 4, seed: 7, ..Scenario::default() };
    scenario.ambassadors.arrival = Arrival::Fixed;
    scenario.ambassadors.bounties_per_block = 0.5;
    scenario.ambassadors.duration = DURATION;
    scenario.ambassadors.artifacts = artifacts;
    scenario.market.reveal_window = Some(REVEAL);
    scenario.market.vote_window = Some(VOTE);
    scenario.rivals[0].count = 3;
    scenario.arbiters.count = 3;
    scenario
}

fn setup(scenario: &Scenario) -> Arc<Setup> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/corpora/starter");
    let corpus = Corpus::open(&folder).unwrap();
    let summary = corpus.check(CheckOptions { files: false }, &mut |_| {}).unwrap();
    Arc::new(Setup::new(scenario.clone(), corpus, summary, &folder).unwrap())
}

fn key(visitor: usize) -> SecretKey {
    SecretKey::from_bytes(&[visitor as u8 + 1; 32]).unwrap()
}

fn world(setup: &Arc<Setup>) -> World {
    World::new(setup.clone(), Seat::Visitor(Some(key(0).address())), Some(Arc::new(content::show)), true).unwrap()
}

/// Guids of the simulated bounties, in order of posting.
fn guids(setup: &Arc<Setup>) -> Vec<Guid> {
    let (mut world, mut guids) = (world(setup), Vec::new());
    while let Some(now) = world.next() {
        world.mine(now, &mut Blind, &mut |_| true).unwrap();
        guids.extend(world.take_events().into_iter().filter_map(|event| match event {
            Event::NewBounty { guid, .. } => Some(guid),
            _ => None,
        }));
    }
    guids
}

fn opening(verdicts: &[Option<bool>], nonce: u64) -> Opening {
    Opening { nonce: U256::from(nonce), verdicts: ArtifactSet::collect(verdicts.len(), |artifact| verdicts[artifact] == Some(true)) }
}

fn mask(verdicts: &[Option<bool>]) -> ArtifactSet {
    ArtifactSet::collect(verdicts.len(), |artifact| verdicts[artifact].is_some())
}

/// What a visitor must remember between its acts.
#[derive(Default)]
struct Memory {
    openings: HashMap<usize, (u64, Opening)>,
    bounties: u64,
}

/// In process: every line is a command, or two.
struct InProcess {
    world: World,
    visitors: Vec<(SecretKey, AccountId, Memory)>,
    guids: Vec<Guid>,
    journal: Vec<u8>,
}

impl InProcess {
    fn new(script: &Script) -> InProcess {
        let setup = setup(&script.scenario);
        let mut world = world(&setup);
        world.take_events();
        let mut arm = InProcess { world, visitors: Vec::new(), guids: guids(&setup), journal: Vec::new() };
        for (visitor, &wallet) in script.wallets.iter().enumerate() {
            let account = arm.world.visitor(key(visitor).address());
            arm.world.grant(account, wallet).unwrap();
            arm.visitors.push((key(visitor), account, Memory::default()));
        }
        arm.write();
        arm
    }

    fn write(&mut self) {
        let now = self.world.market().now();
        for event in self.world.take_events() {
            Journal::<Vec<u8>>::line(now, &event, self.world.names(), &mut self.journal).unwrap();
        }
    }

    fn play(mut self, script: &Script) -> (String, Answers) {
        let (first, mut answers) = (self.world.market().now().0, Vec::new());
        let last = script.lines.iter().map(|(block, ..)| *block).max().unwrap_or(0);
        let mut order: Vec<usize> = (0..self.visitors.len()).collect();
        order.sort_by_key(|&visitor| self.visitors[visitor].0.address());
        loop {
            let block = self.world.market().now().0 + 1 - first;
            if self.world.next().is_none() && block > last {
                break;
            }
            self.world.mine(BlockNumber(first + block), &mut Blind, &mut |_| true).unwrap();
            let due: Vec<(usize, usize, Act)> =
                (0..).zip(&script.lines).filter(|(_, line)| line.0 == block).map(|(at, line)| (at, line.1, line.2.clone())).collect();
            for &visitor in &order {
                for (at, _, act) in due.iter().filter(|(_, who, act)| *who == visitor && !act.is_the_owners()) {
                    answers.push((*at, self.act(visitor, act).err().map(words)));
                }
            }
            for (at, _, act) in due.iter().filter(|(.., act)| act.is_the_owners()) {
                answers.push((*at, self.govern(act).err().map(words)));
            }
            self.write();
        }
        answers.sort_unstable();
        let journal = String::from_utf8(self.journal).unwrap();
        self.world.finish(true).unwrap();
        (journal, answers)
    }

    fn govern(&mut self, act: &Act) -> Result<(), Rejection> {
        let commands = match act {
            Act::Fees { bounty, assertion } => vec![Command::SetBountyFee(*bounty), Command::SetAssertionFee(*assertion)],
            Act::Deprecate => vec![Command::Deprecate { rollover: true }],
            Act::Undeprecate => vec![Command::Undeprecate],
            _ => unreachable!("not the owner's"),
        };
        commands.into_iter().try_for_each(|command| self.world.govern(command).map(drop))
    }

    fn act(&mut self, visitor: usize, act: &Act) -> Result<(), Rejection> {
        let account = self.visitors[visitor].1;
        let fees = self.world.market().fees();
        let mut submit = |command| self.world.submit(account, command, &mut Blind);
        let approve = |spender, value| Command::Approve { spender, value };
        match act {
            Act::Assert { bounty, verdicts, bid, nonce } => {
                let opening = opening(verdicts, *nonce);
                let bids = verdicts.iter().flatten().map(|_| *bid).collect();
                let staked: Nct = verdicts.iter().flatten().map(|_| *bid).sum();
                submit(approve(AccountId::REGISTRY, staked.checked_add(fees.assertion).unwrap()))?;
                let commitment = Commitment::from_hash(Commitment::compute(self.visitors[visitor].0.address(), opening));
                let guid = self.guids[*bounty];
                let assertion = PostAssertion { guid, bids, mask: mask(verdicts), commitment };
                let Accepted::Asserted { index } = submit(Command::PostAssertion(assertion))? else { panic!("an assertion has an index") };
                self.visitors[visitor].2.openings.insert(*bounty, (index, opening));
            }
            Act::Reveal { bounty, wrong } => {
                let (index, mut opening) = self.visitors[visitor].2.openings[bounty];
                opening.nonce += U256::from(*wrong);
                submit(Command::RevealAssertion(RevealAssertion { guid: self.guids[*bounty], index, opening, metadata: None }))?;
            }
            Act::Vote { bounty, votes } => {
                let votes = ArtifactSet::collect(votes.len(), |artifact| votes[artifact]);
                submit(Command::VoteOnBounty { guid: self.guids[*bounty], votes, valid_bloom: true })?;
            }
            Act::Settle { bounty } => drop(submit(Command::SettleBounty { guid: self.guids[*bounty] })?),
            Act::Deposit { amount } => {
                submit(approve(AccountId::STAKING, *amount))?;
                let block = U256::from(self.world.market().now().0);
                self.world.govern(Command::AddArbiter { arbiter: account, block })?;
                self.world.submit(account, Command::Deposit(*amount), &mut Blind)?;
            }
            Act::Post { content, amount, duration } => {
                submit(approve(AccountId::REGISTRY, amount.checked_add(fees.bounty).unwrap()))?;
                let uri = wire::ipfs::cid(content);
                let memory = &mut self.visitors[visitor].2;
                memory.bounties += 1;
                let guid = guid(key(visitor).address(), memory.bounties, self.world.setup().scenario.seed);
                let post = PostBounty {
                    guid,
                    artifact_type: 0,
                    amount: *amount,
                    bloom: Some(Box::new(Bloom::of([uri.as_str()]))),
                    artifact_uri: uri.into(),
                    artifacts: 1,
                    duration: *duration,
                    metadata: None,
                };
                self.world.submit(account, Command::PostBounty(Box::new(post)), &mut Blind)?;
                self.guids.push(guid);
                self.world.adopt(guid, &[Brought::of(content)]);
            }
            _ => unreachable!("the owner's"),
        }
        Ok(())
    }
}

/// The guid that the server makes up for a visitor's bounty; stated here once more, because it is part of the journal.
fn guid(author: Address, number: u64, seed: u64) -> Guid {
    let digest = alloy_primitives::keccak256([author.as_slice(), &number.to_be_bytes(), &seed.to_be_bytes()].concat());
    Guid::random(u128::from_be_bytes(digest[..16].try_into().unwrap()))
}

fn words(rejection: Rejection) -> String {
    match rejection.revert(market::ruleset::Edition::V1_6_1) {
        Revert::Message(message) => message.to_owned(),
        _ => String::new(),
    }
}

/// What the server says where the contract says nothing.
const SILENT: &str = "reverted without a message";

/// Over the wire: a client of the server.
struct Client {
    http: reqwest::Client,
    base: String,
    key: SecretKey,
    address: Address,
    nonce: u64,
    memory: Memory,
    sent: Vec<(usize, Option<usize>, Opening, Vec<alloy_primitives::B256>)>,
}

impl Client {
    fn new(base: &str, visitor: usize) -> Client {
        let key = key(visitor);
        let address = key.address();
        Client { http: reqwest::Client::new(), base: base.to_owned(), address, key, nonce: 0, memory: Memory::default(), sent: Vec::new() }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}?account={}&chain=side&base_nonce=0", self.base, self.address.to_checksum(None))
    }

    async fn post<T: serde::de::DeserializeOwned>(&self, path: &str, body: String) -> T {
        let answer = self.http.post(self.url(path)).body(body).send().await.unwrap().text().await.unwrap();
        serde_json::from_str::<Envelope<T>>(&answer).unwrap().into_result().unwrap_or_else(|failure| panic!("{path}: {failure}"))
    }

    /// Asks for transactions, signs and posts them.
    async fn transact(&mut self, at: usize, bounty: Option<usize>, opening: Opening, path: &str, body: String) {
        let ToSign { transactions } = self.post(path, body).await;
        let mut hashes = Vec::new();
        for mut unsigned in transactions {
            unsigned.nonce = self.nonce;
            self.nonce += 1;
            let signed = unsigned.sign(&self.key);
            let submission = serde_json::to_string(&Submission { transactions: vec![signed.encode()] }).unwrap();
            let _: Vec<Submitted> = self.post("/transactions", submission).await;
            hashes.push(signed.hash());
        }
        self.sent.push((at, bounty, opening, hashes));
    }

    /// Does what its script says, and passes.
    async fn act(&mut self, block: u64, due: &[(usize, Act)], guids: &[Guid]) {
        let none = Opening { nonce: U256::ZERO, verdicts: ArtifactSet::EMPTY };
        let flags = |flags: &[bool]| wire::flags::Flags::from_bools(flags).unwrap();
        for (at, act) in due {
            match act {
                Act::Assert { bounty, verdicts, bid, nonce } => {
                    let opening = opening(verdicts, *nonce);
                    let masked: Vec<bool> = verdicts.iter().map(Option::is_some).collect();
                    let body = wire::assertion::PostAssertion {
                        bid: verdicts.iter().flatten().map(|_| *bid).collect(),
                        mask: flags(&masked),
                        commitment: Commitment::compute(self.address, opening).into(),
                    };
                    let path = format!("/bounties/{}/assertions", guids[*bounty]);
                    self.transact(*at, Some(*bounty), opening, &path, serde_json::to_string(&body).unwrap()).await;
                }
                Act::Reveal { bounty, wrong } => {
                    let (index, opening) = self.memory.openings[bounty];
                    let artifacts = self.artifacts(guids[*bounty]).await;
                    let body = wire::assertion::RevealAssertion {
                        nonce: opening.nonce + U256::from(*wrong),
                        verdicts: wire::flags::Flags::new(opening.verdicts, artifacts),
                        metadata: String::new(),
                    };
                    let path = format!("/bounties/{}/assertions/{index}/reveal", guids[*bounty]);
                    self.transact(*at, None, none, &path, serde_json::to_string(&body).unwrap()).await;
                }
                Act::Vote { bounty, votes } => {
                    let body = wire::vote::PostVote { votes: flags(votes), valid_bloom: true };
                    self.transact(*at, None, none, &format!("/bounties/{}/vote", guids[*bounty]), serde_json::to_string(&body).unwrap())
                        .await;
                }
                Act::Settle { bounty } => {
                    self.transact(*at, None, none, &format!("/bounties/{}/settle", guids[*bounty]), String::new()).await;
                }
                Act::Deposit { amount } => {
                    let body = serde_json::to_string(&wire::account::Amount { amount: *amount }).unwrap();
                    self.transact(*at, None, none, "/staking/deposit", body).await;
                }
                Act::Post { content, amount, duration } => {
                    let uri = self.upload(content).await;
                    let body = wire::bounty::PostBounty {
                        amount: *amount,
                        artifact_type: wire::artifact::ArtifactType::File,
                        uri,
                        duration: *duration,
                        metadata: None,
                    };
                    self.transact(*at, None, none, "/bounties", serde_json::to_string(&body).unwrap()).await;
                }
                _ => unreachable!("the owner's"),
            }
        }
        let _: Json = self.post("/_mock/pass", format!("{{\"block\":{block}}}")).await;
    }

    async fn artifacts(&self, guid: Guid) -> usize {
        let answer = self.http.get(self.url(&format!("/bounties/{guid}"))).send().await.unwrap().text().await.unwrap();
        let bounty = serde_json::from_str::<Envelope<wire::bounty::Bounty>>(&answer).unwrap().into_result().unwrap();
        bounty.num_artifacts as usize
    }

    async fn upload(&self, content: &[u8]) -> String {
        let boundary = "0123456789abcdef0123456789abcdef";
        let mut body = format!(
            "--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(content);
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let kind = format!("multipart/form-data; boundary={boundary}");
        let request = self.http.post(self.url("/artifacts/")).header("Content-Type", kind).body(body);
        let answer = request.send().await.unwrap().text().await.unwrap();
        serde_json::from_str::<Envelope<String>>(&answer).unwrap().into_result().unwrap()
    }

    /// Reads the receipts of what was mined.
    async fn learn(&mut self) -> Answers {
        let mut answers = Vec::new();
        for (at, bounty, opening, transactions) in std::mem::take(&mut self.sent) {
            let body = serde_json::to_string(&Inquiry { transactions }).unwrap();
            let answer = self.http.get(self.url("/transactions")).body(body).send().await.unwrap().text().await.unwrap();
            let receipt = match serde_json::from_str::<Envelope<Receipt>>(&answer).unwrap() {
                Envelope::Ok(receipt) => receipt,
                Envelope::Fail(wire::envelope::Failure::Receipt(receipt)) => *receipt,
                Envelope::Fail(failure) => panic!("{failure}"),
            };
            if let (Some(bounty), Some(assertion)) = (bounty, receipt.assertions.first()) {
                self.memory.openings.insert(bounty, (assertion.index, opening));
            }
            let words = |text: &String| {
                let words = text.split_once("error: ").unwrap().1;
                if words.starts_with(SILENT) { String::new() } else { words.to_owned() }
            };
            answers.push((at, receipt.errors.first().map(words)));
        }
        answers
    }
}

async fn over_the_wire(script: &Script) -> (String, Answers) {
    let setup = setup(&script.scenario);
    let mut guids = guids(&setup);
    let visitors: Vec<(Address, Nct)> =
        script.wallets.iter().enumerate().map(|(visitor, &wallet)| (key(visitor).address(), wallet)).collect();
    let guests = Guests { seat: Some(key(0).address()), expected: visitors.clone(), gift: Nct::ZERO };
    let server = Server::new(Node::new(setup.clone(), guests).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(http::serve(listener, http::app(&server, true), server.clone()));
    // Everybody passes; the timeout is never met.
    let clock = Clock::Lockstep { timeout: Duration::from_secs(60) };
    let mut clients: Vec<Client> = (0..visitors.len()).map(|visitor| Client::new(&base, visitor)).collect();
    let mut sockets = Vec::new();
    for _ in &clients {
        sockets.push(server.listen(mock_polyswarmd::chain::ChainName::Side));
    }
    let ticking = tokio::spawn(clock::run(server.clone(), clock, clients.len(), false));

    let last = script.lines.iter().map(|(block, ..)| *block).max().unwrap_or(0);
    let (mut blocks, first, mut answers) = (server.blocks(), server.node().now().0, Vec::new());
    for block in 0..=last {
        for line in script.lines.iter().enumerate().filter(|(_, line)| line.0 == block && line.2.is_the_owners()) {
            answers.push((line.0, govern(&clients[0], &line.1.2).await));
        }
        let due = |visitor: usize| -> Vec<(usize, Act)> {
            let lines = script.lines.iter().enumerate();
            lines
                .filter(|(_, line)| line.0 == block + 1 && line.1 == visitor && !line.2.is_the_owners())
                .map(|(at, line)| (at, line.2.clone()))
                .collect()
        };
        // At the same time, in no order: the server puts them in one.
        let acts = clients.iter_mut().enumerate().map(|(visitor, client)| {
            let (due, guids) = (due(visitor), &guids);
            async move { client.act(first + block, &due, guids).await }
        });
        futures_util::future::join_all(acts).await;
        blocks.wait_for(|now| *now > first + block).await.unwrap();
        for (visitor, client) in clients.iter_mut().enumerate() {
            for (at, answer) in client.learn().await {
                if let (Act::Post { .. }, None) = (&script.lines[at].2, &answer) {
                    client.memory.bounties += 1;
                    guids.push(guid(key(visitor).address(), client.memory.bounties, script.scenario.seed));
                }
                answers.push((at, answer));
            }
        }
    }
    for client in &mut clients {
        client.act(u64::MAX, &[], &guids).await;
    }
    while !server.node().is_over() {
        blocks.changed().await.unwrap();
    }
    server.stop();
    ticking.await.unwrap();
    serving.await.unwrap().unwrap();
    answers.sort_unstable();
    let mut journal = Vec::new();
    let recording = server.node().recording();
    let reader: &mut mock_polyswarmd::node::Reader<'_, PlayError> =
        &mut |now, event, names| Journal::<Vec<u8>>::line(now, event, names, &mut journal).map_err(PlayError::from);
    recording.play(&mut Blind, reader).unwrap();
    (String::from_utf8(journal).unwrap(), answers)
}

async fn govern(client: &Client, act: &Act) -> Option<String> {
    let (path, body) = match act {
        Act::Fees { bounty, assertion } => {
            ("/_mock/fees", format!("{{\"bounty_fee\":\"{}\",\"assertion_fee\":\"{}\"}}", bounty.to_uint(), assertion.to_uint()))
        }
        Act::Deprecate => ("/_mock/deprecate", r#"{"rollover":true}"#.to_owned()),
        _ => ("/_mock/undeprecate", String::new()),
    };
    let answer = client.http.post(client.url(path)).body(body).send().await.unwrap().text().await.unwrap();
    serde_json::from_str::<Envelope<Json>>(&answer).unwrap().into_result().err().map(|failure| failure.to_string())
}

/// Plays a script on both arms; `expected` are the contract's words for the lines that are refused, by number.
fn conforms(name: &str, script: Script, expected: &[(usize, &str)]) {
    let (in_process, answers) = InProcess::new(&script).play(&script);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (wire, wire_answers) = runtime.block_on(over_the_wire(&script));
    let refused: Vec<(usize, &str)> = answers.iter().filter_map(|(at, answer)| answer.as_deref().map(|words| (*at, words))).collect();
    assert_eq!(refused, expected, "{name}: what the market refused");
    assert_eq!(answers.len(), script.lines.len(), "{name}: every line was played");
    assert_eq!(wire_answers, answers, "{name}: the answers differ");
    if in_process != wire {
        let (line, (one, other)) =
            in_process.lines().zip(wire.lines()).enumerate().find(|(_, (one, other))| one != other).unwrap_or_default();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        fs::write(folder.join(format!("{name}.process.jsonl")), &in_process).unwrap();
        fs::write(folder.join(format!("{name}.wire.jsonl")), &wire).unwrap();
        panic!("{name}: line {}: in process\n  {one}\nover the wire\n  {other}\nboth are in {}", line + 1, folder.display());
    }
    assert!(in_process.lines().count() > 50, "{name}: something was played");
}

fn script(artifacts: u32, visitors: usize, lines: Vec<Line>) -> Script {
    Script { scenario: scenario(artifacts), wallets: vec![Nct::whole(100); visitors], lines }
}

fn assert_on(bounty: usize, verdicts: &[Option<bool>]) -> Act {
    Act::Assert { bounty, verdicts: verdicts.to_vec(), bid: Nct::whole(1), nonce: 1_000 + bounty as u64 }
}

fn reveal(bounty: usize) -> Act {
    Act::Reveal { bounty, wrong: false }
}

const ONE: &[Option<bool>] = &[Some(true)];
/// The block in which bounty 0 is posted; visitors come in block 0.
const POSTED: u64 = 1;
/// First blocks of its reveal window, of its vote window, and after both.
const REVEALS: u64 = POSTED + DURATION;
const VOTES: u64 = REVEALS + REVEAL;
const ENDS: u64 = VOTES + VOTE;

/// So many blocks later than bounty 0 everything happens about bounty `number`.
fn later(number: usize) -> u64 {
    2 * number as u64
}

#[test]
fn an_engine_asserts_reveals_and_settles() {
    let lines = (0..4)
        .flat_map(|bounty| {
            let at = later(bounty);
            [
                (at + POSTED + 1, 0, assert_on(bounty, &[Some(bounty % 2 == 0)])),
                (at + REVEALS + 1, 0, reveal(bounty)),
                (at + ENDS + 1, 0, Act::Settle { bounty }),
            ]
        })
        .collect();
    conforms("honest", script(1, 1, lines), &[]);
}

#[test]
fn a_reveal_that_comes_too_late_is_refused() {
    let lines = vec![(2, 0, assert_on(0, ONE)), (VOTES, 0, reveal(0)), (ENDS + 1, 0, Act::Settle { bounty: 0 })];
    conforms("late_reveal", script(1, 1, lines), &[(1, "Bounty not in reveal window")]);
}

#[test]
fn an_assertion_that_is_never_revealed_loses() {
    let lines = vec![(2, 0, assert_on(0, ONE)), (ENDS + 1, 0, Act::Settle { bounty: 0 })];
    conforms("no_reveal", script(1, 1, lines), &[]);
}

#[test]
fn a_wrong_nonce_does_not_open_the_commitment() {
    let lines = vec![
        (2, 0, assert_on(0, ONE)),
        (REVEALS + 1, 0, Act::Reveal { bounty: 0, wrong: true }),
        (REVEALS + 2, 0, reveal(0)),
        (REVEALS + 3, 0, reveal(0)),
    ];
    conforms("wrong_nonce", script(1, 1, lines), &[(1, "Commitment hash mismatch"), (3, "Bounty already revealed")]);
}

#[test]
fn quorum_settles_early() {
    let mut lines = vec![(2, 0, assert_on(0, ONE)), (REVEALS, 0, reveal(0))];
    // Before the quorum nobody settles; with it experts do.
    lines.extend([(VOTES - 1, 0, Act::Settle { bounty: 0 }), (VOTES + 1, 0, Act::Settle { bounty: 0 })]);
    conforms("quorum_early", script(1, 1, lines), &[(2, "No Quorum and vote active")]);
}

#[test]
fn an_arbiter_from_outside_votes_after_the_quorum() {
    let mut script = script(1, 2, Vec::new());
    script.wallets[1] = Nct::whole(20_000_000);
    script.lines = vec![
        (1, 1, Act::Deposit { amount: Nct::whole(10_000_000) }),
        (2, 0, assert_on(0, ONE)),
        (REVEALS, 0, reveal(0)),
        (VOTES + 3, 1, Act::Vote { bounty: 0, votes: vec![true] }),
        (VOTES + 4, 1, Act::Vote { bounty: 0, votes: vec![true] }),
        (ENDS - 1, 1, Act::Settle { bounty: 0 }),
        (ENDS + 1, 1, Act::Settle { bounty: 0 }),
        (ENDS + 1, 0, Act::Settle { bounty: 0 }),
        (ENDS + 2, 0, Act::Vote { bounty: 0, votes: vec![true] }),
    ];
    let refused = [(4, "Arbiter has already voted"), (5, "Voting round still active"), (8, "")];
    conforms("vote_after_quorum", script, &refused);
}

#[test]
fn masks_can_be_partial() {
    let verdicts = [Some(true), None, Some(false)];
    let lines = vec![
        (2, 0, assert_on(0, &verdicts)),
        (REVEALS + 1, 0, reveal(0)),
        (ENDS + 1, 0, Act::Settle { bounty: 0 }),
        (4, 0, assert_on(1, &[None, Some(true), None])),
        (later(1) + REVEALS + 1, 0, reveal(1)),
        (later(1) + ENDS + 1, 0, Act::Settle { bounty: 1 }),
    ];
    conforms("partial_masks", script(3, 1, lines), &[]);
}

#[test]
fn three_artifacts_share_a_bounty() {
    let lines = vec![
        (2, 0, assert_on(0, &[Some(true), Some(true), Some(false)])),
        (2, 1, assert_on(0, &[Some(false), Some(true), Some(true)])),
        (REVEALS + 1, 0, reveal(0)),
        (REVEALS + 1, 1, reveal(0)),
        (ENDS + 1, 0, Act::Settle { bounty: 0 }),
        (ENDS + 1, 1, Act::Settle { bounty: 0 }),
    ];
    conforms("three_artifacts", script(3, 2, lines), &[]);
}

#[test]
fn the_second_settlement_is_refused() {
    let settle = || Act::Settle { bounty: 0 };
    let lines =
        vec![(2, 0, assert_on(0, ONE)), (REVEALS, 0, reveal(0)), (ENDS + 1, 0, settle()), (ENDS + 1, 0, settle()), (ENDS + 5, 0, settle())];
    conforms("double_settle", script(1, 1, lines), &[(3, "Sender already settled"), (4, "Sender already settled")]);
}

#[test]
fn a_wallet_that_runs_low_is_told() {
    let mut script = script(1, 1, vec![(2, 0, assert_on(0, ONE)), (4, 0, assert_on(1, ONE)), (REVEALS, 0, reveal(0))]);
    script.wallets[0] = Nct::whole(2);
    conforms("low_balance", script, &[(1, "")]);
}

#[test]
fn an_empty_wallet_asserts_nothing() {
    let mut script = script(1, 1, vec![(2, 0, assert_on(0, ONE)), (4, 0, assert_on(1, ONE))]);
    script.wallets[0] = Nct::ZERO;
    conforms("unfunded", script, &[(0, ""), (1, "")]);
}

#[test]
fn a_deprecated_registry_takes_no_bounties() {
    let post = || Act::Post { content: b"a file of no consequence", amount: Nct::whole(5), duration: 5 };
    let lines = vec![
        (2, 0, assert_on(0, ONE)),
        (3, 0, Act::Deprecate),
        (4, 0, post()),
        (REVEALS, 0, reveal(0)),
        (REVEALS + 1, 0, Act::Undeprecate),
        (REVEALS + 2, 0, post()),
        (ENDS + 1, 0, Act::Settle { bounty: 0 }),
    ];
    conforms("deprecated", script(1, 1, lines), &[(2, "")]);
}

#[test]
fn fees_change_for_the_next() {
    let lines = vec![
        (2, 0, assert_on(0, ONE)),
        (3, 0, Act::Fees { bounty: Nct::whole(1), assertion: Nct::whole(2) }),
        (4, 0, assert_on(1, ONE)),
        (REVEALS, 0, reveal(0)),
        (later(1) + REVEALS, 0, reveal(1)),
        (ENDS + 1, 0, Act::Settle { bounty: 0 }),
        (later(1) + ENDS + 1, 0, Act::Settle { bounty: 1 }),
    ];
    conforms("fee_change", script(1, 1, lines), &[]);
}

#[test]
fn two_engines_meet_in_every_bounty() {
    let lines = (0..4)
        .flat_map(|bounty| (0..2).map(move |who| (bounty, who)))
        .flat_map(|(bounty, who)| {
            let at = later(bounty);
            [
                (at + POSTED + 2, who, assert_on(bounty, &[Some((bounty + who) % 2 == 0)])),
                (at + REVEALS + 1, who, reveal(bounty)),
                (at + ENDS + 1, who, Act::Settle { bounty }),
            ]
        })
        .collect();
    conforms("two_engines", script(1, 2, lines), &[]);
}

#[test]
fn an_ambassador_from_outside_meets_rivals_and_arbiters() {
    // The test file in halves, so that no scanner takes this source for it.
    let eicar: &'static [u8] = concat!(r"X5O!P%@AP[4\PZX54(P^)7CC)7}$", "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*").as_bytes();
    let own = 4;
    let lines = vec![
        (3, 1, Act::Post { content: eicar, amount: Nct::whole(5), duration: DURATION }),
        (5, 0, assert_on(own, ONE)),
        (2 + REVEALS + 1, 0, reveal(own)),
        (2 + ENDS + 1, 0, Act::Settle { bounty: own }),
        (2 + ENDS + 1, 1, Act::Settle { bounty: own }),
    ];
    conforms("ambassador", script(1, 2, lines), &[]);
}

#[test]
fn what_comes_too_late_or_twice_is_refused() {
    let lines = vec![
        (2, 0, assert_on(0, ONE)),
        (3, 0, assert_on(0, ONE)),
        (later(1) + REVEALS, 0, assert_on(1, ONE)),
        (3, 0, Act::Vote { bounty: 0, votes: vec![true] }),
    ];
    conforms("late_assertion", script(1, 1, lines), &[(1, "Sender has already asserted"), (2, "Bounty inactive"), (3, "")]);
}
