//! A polyswarmd in memory: as much of the protocol and of the contracts' rules as one engine meets, and faults on demand.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::pending,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use alloy_primitives::{Address, B256, U256};
use engine::live::{
    events::Incoming,
    http::{Method, Request, Response, Transport, TransportError},
};
use market::{
    block::BlockNumber,
    commitment::{Commitment, Opening},
    id::Guid,
    nct::Nct,
};
use serde::Serialize;
use tokio::sync::{mpsc, watch};
use wire::{
    account::{Balance, Nonce, Pending},
    artifact::{Artifact, ArtifactType},
    assertion,
    calldata::{self, Call},
    envelope::{Envelope, Failure},
    flags::{Flags, Verdicts},
    json::Json,
    message::{Block, Event, Message, NewBounty, QuorumReached},
    parameters::BountyParameters,
    receipt::{NewAssertion, Receipt, Transfer},
    transaction::{Inquiry, Signed, Submission, Submitted, ToSign, Unsigned},
};

const TOKEN: Address = Address::repeat_byte(0x2a);
const REGISTRY: Address = Address::repeat_byte(0x21);
pub(crate) const REVEAL_WINDOW: u64 = 10;
pub(crate) const VOTE_WINDOW: u64 = 20;
pub(crate) const FEE: Nct = Nct::wei(31_250_000_000_000_000);

/// What goes wrong. Counts go down as it does.
#[derive(Default)]
pub(crate) struct Faults {
    /// Assertions that arrive, but whose answer is lost.
    pub lost_answers: u32,
    /// Receipts that end with this text instead.
    pub receipts: Vec<&'static str>,
    /// Reveals that are not built.
    pub unbuilt_reveals: u32,
    /// Bids are raised by one wei in the transactions to sign.
    pub tamper: bool,
    /// Where metadata is said to be stored instead.
    pub metadata: Option<&'static str>,
    /// The chain of transactions to sign, instead.
    pub chain: Option<u64>,
    /// Requests for reveals that end in a panic of the transport.
    pub panics: u32,
    /// From this request on, nothing is answered any more.
    pub freeze_at: Option<usize>,
}

pub(crate) struct Bounty {
    pub expiration: u64,
    pub quorum: bool,
    pub votes: Vec<bool>,
    pub settled: u32,
    pub assertions: Vec<(calldata::PostAssertion, Option<calldata::RevealAssertion>)>,
}

#[derive(Default)]
pub(crate) struct State {
    pub block: u64,
    pub bounties: BTreeMap<Guid, Bounty>,
    pub balance: Nct,
    /// Parameters in force, where they are not the usual ones.
    pub fee: Option<Nct>,
    pub reveal_window: Option<u64>,
    /// The answer about parameters is given when so many blocks have passed, as they were when it was asked for.
    pub slow_parameters: u64,
    pub faults: Faults,
    /// Calls in the order in which they arrived, and passes as `None`.
    pub calls: Vec<Option<Call>>,
    /// What the contracts refused.
    pub failed: Vec<String>,
    pub requests: usize,
    /// Bounties whose votes were asked for.
    pub votes_read: Vec<Guid>,
    journal: PathBuf,
    journalled: BTreeSet<Guid>,
    /// By nonce, with their hashes.
    pool: BTreeMap<u64, (B256, Signed)>,
    next_nonce: u64,
    mined: BTreeMap<B256, Result<Receipt, String>>,
}

/// The market; clones are the same.
#[derive(Clone)]
pub(crate) struct Market {
    state: Arc<Mutex<State>>,
    blocks: watch::Sender<u64>,
    account: Address,
}

impl Market {
    /// A market that has seen `account`'s journal in that folder.
    pub(crate) fn new(account: Address, journal: PathBuf) -> Market {
        let state = State { block: 100, balance: Nct::whole(1000), journal, ..State::default() };
        Market { state: Arc::new(Mutex::new(state)), blocks: watch::Sender::new(100), account }
    }

    pub(crate) fn with<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        look(&mut self.state.lock().unwrap())
    }

    /// Mines a block and tells of it.
    pub(crate) async fn mine(&self, to: &mpsc::Sender<Incoming>) -> u64 {
        let block = self.with(|state| {
            state.block += 1;
            while let Some((hash, signed)) = state.pool.remove(&state.next_nonce) {
                state.next_nonce += 1;
                let call = Call::decode(&signed.transaction().data).unwrap();
                let result = state.execute(self.account, call);
                if let Err(reason) = &result {
                    state.failed.push(reason.clone());
                }
                state.mined.insert(hash, result);
            }
            state.block
        });
        self.blocks.send_replace(block);
        tell(to, Event::Block(Block { number: BlockNumber(block) })).await;
        block
    }

    /// Posts a bounty on one artifact and tells of it.
    pub(crate) async fn post(&self, to: &mpsc::Sender<Incoming>, number: u128, duration: u64) -> Guid {
        let guid = Guid::random(number);
        let expiration = self.with(|state| {
            let expiration = state.block + duration;
            state.bounties.insert(guid, Bounty { expiration, quorum: false, votes: Vec::new(), settled: 0, assertions: Vec::new() });
            expiration
        });
        let bounty = NewBounty {
            guid,
            artifact_type: ArtifactType::File,
            author: Address::repeat_byte(0xaa),
            amount: Nct::whole(2),
            uri: format!("{number:064x}"),
            expiration: BlockNumber(expiration),
            metadata: Json::from_text(r#"[{"mimetype":"text/plain"}]"#).unwrap(),
        };
        tell(to, Event::Bounty(bounty)).await;
        guid
    }

    /// Lets the arbiters decide and tells of it.
    pub(crate) async fn decide(&self, to: &mpsc::Sender<Incoming>, guid: Guid) {
        self.with(|state| state.bounties.get_mut(&guid).unwrap().quorum = true);
        tell(to, Event::Quorum(QuorumReached { bounty_guid: guid })).await;
    }

    /// Everything that was asserted was asserted once, and revealed.
    pub(crate) fn assert_nothing_is_lost(&self) {
        self.with(|state| {
            for (guid, bounty) in &state.bounties {
                assert!(bounty.assertions.len() <= 1, "{guid} was asserted on twice");
                for (assertion, reveal) in &bounty.assertions {
                    assert!(reveal.is_some(), "{} was never revealed", assertion.guid);
                }
            }
        });
    }
}

pub(crate) async fn tell(to: &mpsc::Sender<Incoming>, event: Event) {
    // Nobody listens to a dead engine's socket.
    let _ = to.send(Incoming::Message(Box::new(Message::plain(event)))).await;
}

impl State {
    fn execute(&mut self, account: Address, call: Call) -> Result<Receipt, String> {
        let mut receipt = Receipt::default();
        match call {
            Call::Approve { .. } => {}
            Call::PostAssertion(assertion) => {
                let bounty = self.bounties.get_mut(&assertion.guid).ok_or("no such bounty")?;
                if self.block >= bounty.expiration {
                    return Err("Bounty inactive".to_owned());
                }
                if !bounty.assertions.is_empty() {
                    return Err("Sender has already asserted".to_owned());
                }
                let staked = assertion.bids.iter().copied().sum::<Nct>().checked_add(FEE).unwrap();
                self.balance = self.balance.checked_sub(staked).ok_or("transfer failed")?;
                receipt.assertions.push(NewAssertion {
                    bounty_guid: assertion.guid,
                    author: account,
                    index: bounty.assertions.len() as u64,
                    bid: assertion.bids.clone(),
                    mask: Flags::new(assertion.mask, 1),
                    commitment: assertion.commitment.into(),
                });
                bounty.assertions.push((assertion, None));
            }
            Call::RevealAssertion(reveal) => {
                let bounty = self.bounties.get_mut(&reveal.guid).ok_or("no such bounty")?;
                if !(bounty.expiration..bounty.expiration + REVEAL_WINDOW).contains(&self.block) {
                    return Err("Bounty not in reveal window".to_owned());
                }
                let (assertion, revealed) = bounty.assertions.get_mut(reveal.index.to::<usize>()).ok_or("no such assertion")?;
                let opening = Opening { nonce: reveal.nonce, verdicts: reveal.verdicts };
                if revealed.is_some() || Commitment::compute(account, opening) != assertion.commitment {
                    return Err("Commitment hash mismatch".to_owned());
                }
                *revealed = Some(reveal);
            }
            Call::SettleBounty { guid } => {
                let bounty = self.bounties.get_mut(&guid).ok_or("no such bounty")?;
                if bounty.settled > 0 {
                    return Err("Sender already settled".to_owned());
                }
                if !bounty.quorum && self.block < bounty.expiration + REVEAL_WINDOW + VOTE_WINDOW {
                    return Err("Bounty is still open".to_owned());
                }
                bounty.settled += 1;
                self.balance = self.balance.checked_add(Nct::whole(1)).unwrap();
                receipt.transfers.push(Transfer { to: account, from: REGISTRY, value: Nct::whole(1) });
            }
            call => return Err(format!("an engine has no use for {call:?}")),
        }
        Ok(receipt)
    }

    /// Takes a signed transaction. Before an assertion, its promise must be on disk.
    fn submit(&mut self, account: Address, raw: &[u8]) -> Submitted {
        let signed = Signed::decode(raw).unwrap();
        assert_eq!((signed.sender(), signed.transaction().chain_id), (account, Some(1338)));
        let hash = signed.hash();
        if self.mined.contains_key(&hash) || self.pool.values().any(|(known, _)| *known == hash) {
            return Submitted::refused("known transaction");
        }
        let nonce = signed.transaction().nonce;
        if nonce < self.next_nonce || self.pool.contains_key(&nonce) {
            return Submitted::refused("nonce is in use");
        }
        let call = Call::decode(&signed.transaction().data).unwrap();
        if let Call::PostAssertion(assertion) = &call {
            if !self.journalled.contains(&assertion.guid) {
                self.read_journal();
            }
            assert!(self.journalled.contains(&assertion.guid), "asserted before it was journalled");
        }
        self.calls.push(Some(call));
        self.pool.insert(nonce, (hash, signed));
        Submitted::accepted(hash)
    }

    fn read_journal(&mut self) {
        let mut files = std::fs::read_dir(&self.journal).unwrap().map(|entry| entry.unwrap().path());
        let journal = files.find(|path| path.extension().is_some_and(|kind| kind == "journal")).unwrap();
        let text = std::fs::read_to_string(journal).unwrap();
        let promises = text.split("\"promised\":{\"guid\":\"").skip(1);
        self.journalled.extend(promises.map(|promise| wire::guid::parse(&promise[..36]).unwrap()));
    }

    fn build(&self, calls: &[(Address, Call)]) -> ToSign {
        let unsigned = |(position, (to, call)): (usize, &(Address, Call))| Unsigned {
            nonce: position as u64,
            chain_id: self.faults.chain.or(Some(1338)),
            gas: 50_000_000,
            gas_price: U256::ZERO,
            value: U256::ZERO,
            to: *to,
            data: call.encode().into(),
        };
        ToSign { transactions: calls.iter().enumerate().map(unsigned).collect() }
    }

    fn listed(&self, guid: Guid) -> Vec<assertion::Assertion> {
        let list = |(assertion, reveal): &(calldata::PostAssertion, Option<calldata::RevealAssertion>), author| assertion::Assertion {
            author,
            mask: Flags::new(assertion.mask, 1),
            commitment: assertion.commitment.into(),
            nonce: reveal.as_ref().map_or(U256::ZERO, |reveal| reveal.nonce),
            verdicts: match reveal {
                Some(reveal) => Verdicts::Revealed(Flags::new(reveal.verdicts, 1)),
                None => Verdicts::Unrevealed { count: 1 },
            },
            metadata: String::new(),
            bid: assertion.bids.clone(),
        };
        self.bounties[&guid].assertions.iter().map(|entry| list(entry, self.account())).collect()
    }

    fn account(&self) -> Address {
        crate::wallet().address()
    }
}

fn ok(result: impl Serialize) -> Result<Response, TransportError> {
    Ok(Response { status: 200, body: serde_json::to_vec(&Envelope::Ok(result)).unwrap() })
}

fn fail(status: u16, failure: Failure) -> Result<Response, TransportError> {
    Ok(Response { status, body: serde_json::to_vec(&Envelope::<()>::Fail(failure)).unwrap() })
}

impl Transport for Market {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let frozen = self.with(|state| {
            state.requests += 1;
            state.faults.freeze_at.is_some_and(|at| state.requests > at)
        });
        if frozen {
            return pending().await;
        }
        let segments: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        let body = request.body.as_deref().unwrap_or_default();
        match (request.method, segments.as_slice()) {
            (Method::Get, ["bounties", "parameters"]) => {
                let (fee, reveal_window, until) = self.with(|state| {
                    (state.fee.unwrap_or(FEE), state.reveal_window.unwrap_or(REVEAL_WINDOW), state.block + state.slow_parameters)
                });
                self.blocks.subscribe().wait_for(|block| *block >= until).await.unwrap();
                ok(BountyParameters {
                    bounty_fee: Nct::wei(62_500_000_000_000_000),
                    assertion_fee: fee,
                    bounty_amount_minimum: Nct::whole(2),
                    assertion_bid_minimum: Nct::wei(62_500_000_000_000_000),
                    assertion_bid_maximum: Nct::whole(1),
                    arbiter_lookback_range: 100,
                    max_duration: 100,
                    assertion_reveal_window: reveal_window,
                    arbiter_vote_window: VOTE_WINDOW,
                })
            }
            (Method::Get, ["balances", _, "nct"]) => ok(Balance(self.with(|state| state.balance))),
            (Method::Get, ["nonce"]) => ok(Nonce(self.with(|state| state.next_nonce))),
            (Method::Get, ["pending"]) => ok(Pending(self.with(|state| state.pool.keys().copied().collect()))),
            (Method::Get, ["artifacts", _]) => ok([Artifact { name: "0".to_owned(), hash: "Qm".to_owned() }]),
            (Method::Get, ["artifacts", _, "0"]) => Ok(Response { status: 200, body: b"harmless".to_vec() }),
            (Method::Post, ["bounties", "metadata"]) => ok(self.with(|state| state.faults.metadata.unwrap_or("QmRRX2"))),
            (method, ["bounties", guid, rest @ ..]) => {
                let guid = wire::guid::parse(guid).unwrap();
                match (method, rest) {
                    (Method::Get, []) => self.with(|state| {
                        let bounty = &state.bounties[&guid];
                        ok(wire::bounty::Bounty {
                            guid,
                            artifact_type: ArtifactType::File,
                            author: Address::repeat_byte(0xaa),
                            amount: Nct::whole(2),
                            uri: String::new(),
                            num_artifacts: 1,
                            expiration: BlockNumber(bounty.expiration),
                            assigned_arbiter: Address::ZERO,
                            quorum_reached: bounty.quorum,
                            quorum_reached_block: BlockNumber(0),
                            quorum_mask: Flags::default(),
                            metadata: Json::null(),
                        })
                    }),
                    (Method::Get, ["votes"]) => {
                        let vote = |malicious: &bool| wire::vote::Vote {
                            voter: Address::repeat_byte(0xbb),
                            votes: Flags::from_bools(&[*malicious]).unwrap(),
                            valid_bloom: true,
                        };
                        ok(self.with(|state| {
                            state.votes_read.push(guid);
                            state.bounties[&guid].votes.iter().map(vote).collect::<Vec<_>>()
                        }))
                    }
                    (Method::Get, ["assertions"]) => ok(self.with(|state| state.listed(guid))),
                    (Method::Post, ["assertions"]) => {
                        let assertion: assertion::PostAssertion = serde_json::from_slice(body).unwrap();
                        let tampered = Nct::wei(u128::from(self.with(|state| state.faults.tamper)));
                        let bids: Vec<Nct> = assertion.bid.iter().map(|bid| bid.checked_add(tampered).unwrap()).collect();
                        let amount = bids.iter().copied().sum::<Nct>().checked_add(FEE).unwrap();
                        let post =
                            calldata::PostAssertion { guid, bids, mask: assertion.mask.set(), commitment: assertion.commitment.into() };
                        let approve = Call::Approve { spender: REGISTRY, amount };
                        ok(self.with(|state| state.build(&[(TOKEN, approve), (REGISTRY, Call::PostAssertion(post))])))
                    }
                    (Method::Post, ["assertions", index, "reveal"]) => {
                        let unbuilt = self.with(|state| {
                            let unbuilt = state.faults.unbuilt_reveals > 0;
                            state.faults.unbuilt_reveals = state.faults.unbuilt_reveals.saturating_sub(1);
                            unbuilt
                        });
                        let panics = self.with(|state| {
                            let panics = state.faults.panics > 0;
                            state.faults.panics = state.faults.panics.saturating_sub(1);
                            panics
                        });
                        assert!(!panics, "as the fault says");
                        if unbuilt {
                            return fail(400, Failure::text("Failed to reveal"));
                        }
                        let reveal: assertion::RevealAssertion = serde_json::from_slice(body).unwrap();
                        let call = Call::RevealAssertion(calldata::RevealAssertion {
                            guid,
                            index: index.parse().unwrap(),
                            nonce: reveal.nonce,
                            verdicts: reveal.verdicts.set(),
                            metadata: reveal.metadata,
                        });
                        ok(self.with(|state| state.build(&[(REGISTRY, call)])))
                    }
                    (Method::Post, ["settle"]) => {
                        assert_eq!(request.body, None);
                        ok(self.with(|state| state.build(&[(REGISTRY, Call::SettleBounty { guid })])))
                    }
                    other => panic!("no such request: {other:?}"),
                }
            }
            (Method::Post, ["transactions"]) => {
                let submission: Submission = serde_json::from_slice(body).unwrap();
                let (submitted, lost) = self.with(|state| {
                    let submitted = state.submit(self.account, &submission.transactions[0]);
                    let asserts = matches!(state.calls.last(), Some(Some(Call::PostAssertion(_))));
                    let lost = asserts && state.faults.lost_answers > 0;
                    state.faults.lost_answers -= u32::from(lost);
                    (submitted, lost)
                });
                if lost {
                    return Err(TransportError::Connection { cause: "connection reset".to_owned() });
                }
                if submitted.is_error { fail(400, Failure::Submissions(vec![submitted])) } else { ok([submitted]) }
            }
            (Method::Get, ["transactions"]) => {
                let Inquiry { transactions } = serde_json::from_slice(body).unwrap();
                let mut blocks = self.blocks.subscribe();
                let all_mined = || self.with(|state| transactions.iter().all(|hash| state.mined.contains_key(hash)));
                let waited = tokio::time::timeout(Duration::from_secs(10), blocks.wait_for(|_| all_mined())).await.is_ok();
                let fault = self.with(|state| state.faults.receipts.pop());
                let problem = if waited { fault } else { Some("timeout during wait for receipt") };
                if let Some(problem) = problem {
                    return fail(400, Failure::receipt(vec![format!("transaction ab: {problem}")]));
                }
                let mut all = Receipt::default();
                for result in self.with(|state| transactions.iter().map(|hash| state.mined[hash].clone()).collect::<Vec<_>>()) {
                    match result {
                        Ok(receipt) => {
                            all.transfers.extend(receipt.transfers);
                            all.assertions.extend(receipt.assertions);
                        }
                        Err(reason) => all.errors.push(format!("transaction ab: transaction failed at block 1, error: {reason}")),
                    }
                }
                if all.errors.is_empty() { ok(all) } else { fail(400, Failure::Receipt(Box::new(all))) }
            }
            (Method::Post, ["_mock", "pass"]) => {
                self.with(|state| state.calls.push(None));
                ok(())
            }
            other => panic!("no such request: {other:?}"),
        }
    }
}
