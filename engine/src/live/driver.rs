//! What follows from what happened: messages and outcomes come in, jobs go out. No clock, no I/O, no waiting.
//!
//! The core decides whether to assert and when to reveal and settle; the driver keeps what the core does not know of:
//! what is under way, what failed, and what is to be looked up on chain before anything is done twice.
//!
//! Times: with the event of block `N`, the next transaction is mined in block `N + 1` at the earliest. Work scheduled for
//! block `B` is done at the first block after `B`, as polyswarm-client does it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use alloy_primitives::{Address, B256, U256};
use market::{
    block::{BlockNumber, Windows},
    commitment::{Commitment, Opening},
    id::{AccountId, Guid, GuidMap},
    nct::Nct,
    ruleset::{BOUNTY_REGISTRY_1_6_1, RuleSet},
    settlement::Fees,
    verdict::ArtifactSet,
};
use wire::{
    artifact::ArtifactType,
    flags::{ARTIFACTS_MAXIMUM, Verdicts},
    message::{self, Event as Heard},
    parameters::BountyParameters,
    receipt::Receipt,
    vote::Vote,
};

use super::{
    events::Incoming,
    funds::Funds,
    job::{Action, ActionError, ActionKind, Job, Outcome, ScanError, Standing, Subject},
    journal::{OpenPromise, Promised, Record},
    polyswarmd::RequestError,
    summary::Summary,
    transactions::{ReceiptError, SendError},
};
use crate::{
    artifact::ScanResult,
    filter::{Announced, Filter},
    market_view::{MarketView, OpenBounty, PublicAssertions, Wallet},
    microengine::{Abstention, Assertion, Effect, Event, Microengine, Promise},
    settled::{SettledAssertion, SettledBounty},
};

/// Times that the votes on a bounty are asked for before nothing is learned from it.
const LESSON_TRIES: u32 = 4;
/// Bounties whose votes are waited for; of more, nothing is learned.
const LESSONS: usize = 50_000;
/// Settlements tried in vain before a bounty is left to the next start.
const SETTLEMENTS_MAXIMUM: u32 = 12;

/// Blocks that a reveal window must have. A reveal is sent with the block after the expiration and mined in the one after
/// that.
const REVEAL_WINDOW_MINIMUM: u64 = 3;

/// The highest prices that are paid, whatever the server says that the market asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ceilings {
    /// Fee of an assertion.
    pub fee: Nct,
    /// Each bid.
    pub bid: Nct,
}

impl Default for Ceilings {
    /// 1 NCT each: with BountyRegistry 1.6.1 the fee is 0.03125 NCT, and no bid exceeds 1 NCT.
    fn default() -> Ceilings {
        Ceilings { fee: Nct::whole(1), bid: Nct::whole(1) }
    }
}

/// True for the contracts' words about a settlement that was made before: `Bounty has already been settled for sender`,
/// or `Sender already settled`.
fn is_settled_before(reason: &str) -> bool {
    reason.contains("already") && reason.contains("settled")
}

/// A bounty before the decision.
#[derive(Debug)]
struct Course {
    bounty: OpenBounty,
    subject: Arc<Subject>,
    results: Vec<ScanResult>,
}

/// What is next for a promise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    /// A job is under way.
    Outcome,
    /// The core says when.
    Core,
    /// At the first block after this one, look at the chain.
    LookUp { after: BlockNumber },
    /// At the first block after this one, settle again.
    Settle { after: BlockNumber },
    /// Nothing until the next start.
    Nothing,
}

/// A promise that is not settled.
#[derive(Debug)]
struct Held {
    promised: Promised,
    commitment: B256,
    /// Its position, if it is known to be on chain.
    index: Option<u64>,
    revealed: bool,
    /// Made before this start.
    resumed: bool,
    /// The core knows that it is on chain.
    scheduled: bool,
    /// The core has had it settled: no reveal is due any more.
    settling: bool,
    /// It is said that the bounty is decided or settled; the chain is to be asked.
    rumoured: bool,
    /// Its reveal is missed.
    forfeited: bool,
    /// What its settlement is said to have paid.
    payout: Option<Nct>,
    next: Next,
    /// In a row.
    failures: u32,
}

impl Held {
    fn new(account: Address, promised: Promised, next: Next) -> Held {
        let commitment = Commitment::compute(account, promised.opening());
        let (index, revealed, resumed, scheduled, settling, rumoured, forfeited, payout, failures) = Default::default();
        Held { promised, commitment, index, revealed, resumed, scheduled, settling, rumoured, forfeited, payout, next, failures }
    }

    /// One more failure; the block after which to try again: soon at first, then ever later.
    fn fail(&mut self, now: BlockNumber, longest: u32) -> BlockNumber {
        let wait = (1u64 << self.failures.min(longest)) - 1;
        self.failures += 1;
        BlockNumber(now.0.saturating_add(wait))
    }
}

/// Fees, limits and windows in force.
#[derive(Debug)]
struct Market {
    rules: RuleSet,
    fees: Fees,
    windows: Windows,
}

impl Market {
    fn of(parameters: &BountyParameters) -> Market {
        let mut rules = BOUNTY_REGISTRY_1_6_1.clone();
        rules.bounty_minimum = parameters.bounty_amount_minimum;
        rules.bid_minimum = parameters.assertion_bid_minimum;
        rules.bid_maximum = Some(parameters.assertion_bid_maximum);
        rules.bounty_fee = parameters.bounty_fee;
        rules.assertion_fee = parameters.assertion_fee;
        rules.duration_maximum = parameters.max_duration;
        rules.reveal_window = parameters.assertion_reveal_window;
        rules.vote_window = parameters.arbiter_vote_window;
        let fees = Fees { bounty: parameters.bounty_fee, assertion: parameters.assertion_fee };
        let windows = Windows::blocks(parameters.assertion_reveal_window, parameters.arbiter_vote_window);
        Market { rules, fees, windows }
    }
}

/// The driver of one engine on one chain.
#[derive(Debug)]
pub struct Driver {
    engine: Microengine,
    account: Address,
    types: Vec<ArtifactType>,
    ceilings: Ceilings,
    filter: Filter,
    /// Reasons that were warned of.
    warned: BTreeSet<Abstention>,
    market: Option<Market>,
    /// Parameters are asked for.
    reading: bool,
    /// The parameters may have changed since they were asked for.
    stale: bool,
    now: BlockNumber,
    /// Connected, and no block heard of since: the market may have gone back meanwhile.
    lost: bool,
    courses: GuidMap<Course>,
    /// Scanned, in order, and waiting for a balance.
    ready: Vec<Guid>,
    asking: bool,
    /// Bounties that the core wants to hear the end of, by the block from which on their votes are final.
    lessons: BTreeMap<(BlockNumber, Guid), Lesson>,
    /// Numbers of the experts that were heard of in lessons, in order of appearance.
    experts: BTreeMap<Address, AccountId>,
    /// In order of guid, for the same order of jobs in every run.
    held: BTreeMap<Guid, Held>,
    funds: Funds,
    summary: Summary,
    stopping: bool,
    effects: Vec<Effect>,
    jobs: Vec<Job>,
}

impl Driver {
    /// A driver of `engine` for `account`, which scans artifacts of these types and takes up the promises of earlier runs.
    pub fn new(engine: Microengine, account: Address, types: Vec<ArtifactType>, promises: Vec<OpenPromise>) -> Driver {
        let take_up = |OpenPromise { promised, index, revealed }| {
            let held = Held::new(account, promised, Next::LookUp { after: BlockNumber(0) });
            (held.promised.guid, Held { index, revealed, resumed: true, ..held })
        };
        let (market, now, courses, ready, summary, effects, jobs) = Default::default();
        let mut funds = Funds::default();
        for promise in promises.iter().filter(|promise| promise.index.is_none()) {
            // It may be on its way still.
            funds.reserve(promise.promised.guid, promise.promised.price);
        }
        let held = promises.into_iter().map(take_up).collect();
        let (reading, stale, lost, asking, stopping) = Default::default();
        let (ceilings, filter, warned, lessons, experts) = Default::default();
        Driver {
            engine,
            account,
            types,
            ceilings,
            filter,
            warned,
            market,
            reading,
            stale,
            now,
            lost,
            courses,
            ready,
            asking,
            lessons,
            experts,
            held,
            funds,
            summary,
            stopping,
            effects,
            jobs,
        }
    }

    /// The same with the engine's own filter.
    pub fn with_filter(self, filter: Filter) -> Driver {
        Driver { filter, ..self }
    }

    /// The same with other ceilings than the usual ones.
    pub fn with_ceilings(self, ceilings: Ceilings) -> Driver {
        Driver { ceilings, ..self }
    }

    /// The last block heard of.
    pub fn now(&self) -> BlockNumber {
        self.now
    }

    /// True if time would be that of `block`: blocks of the past are none, unless the link was lost in between.
    pub fn is_news(&self, block: BlockNumber) -> bool {
        self.lost || block > self.now
    }

    /// What was done so far.
    pub fn summary(&self) -> Summary {
        Summary { open: self.held.len() as u64, ..self.summary.clone() }
    }

    /// Bounties settled so far.
    pub fn settled(&self) -> u64 {
        self.summary.settled
    }

    /// Nothing new is begun from here on.
    pub fn stop(&mut self) {
        self.stopping = true;
        self.courses.clear();
        self.ready.clear();
    }

    /// Takes in what was heard; answers with what to do.
    pub fn on_incoming(&mut self, incoming: Incoming) -> Vec<Job> {
        match incoming {
            Incoming::Connected => {
                self.lost = true;
                self.read_parameters();
            }
            Incoming::Message(message) => self.on_message(*message),
        }
        std::mem::take(&mut self.jobs)
    }

    fn on_message(&mut self, message: message::Message) {
        let posted = message.block_number.unwrap_or(self.now);
        match message.event {
            Heard::Block(block) => self.on_block(block.number),
            Heard::Bounty(bounty) => self.on_bounty(bounty, posted),
            Heard::Quorum(quorum) => self.hear_of_end(quorum.bounty_guid, None),
            Heard::SettledBounty(settled) if settled.settler == self.account => {
                self.hear_of_end(settled.bounty_guid, Some(settled.payout));
            }
            Heard::FeeUpdate(update) => {
                if let Some(market) = &mut self.market {
                    market.fees = Fees { bounty: update.bounty_fee, assertion: update.assertion_fee };
                }
                // An answer from before it may be on its way.
                self.stale = true;
            }
            Heard::WindowUpdate(update) => {
                if let Some(market) = &mut self.market {
                    market.windows = Windows::blocks(update.assertion_reveal_window, update.arbiter_vote_window);
                }
                self.stale = true;
            }
            Heard::Deprecated(_) => tracing::warn!("the market takes no new bounties any more"),
            _ => {}
        }
    }

    fn on_bounty(&mut self, bounty: message::NewBounty, posted: BlockNumber) {
        if self.stopping {
            return;
        }
        self.summary.seen += 1;
        let guid = bounty.guid;
        if self.held.contains_key(&guid) || self.courses.contains_key(&guid) {
            self.summary.known += 1;
            return;
        }
        if !self.types.contains(&bounty.artifact_type) {
            self.summary.of_other_types += 1;
            return;
        }
        tracing::info!(%guid, expiration = bounty.expiration.0, "bounty");
        let expiration = bounty.expiration;
        let subject = Arc::new(Subject { uri: bounty.uri, announced: announced(&bounty.metadata), expiration });
        let (artifact_type, amount) = (bounty.artifact_type.code(), bounty.amount);
        let bounty = OpenBounty { guid, artifact_type, amount, artifacts: 0, posted, expiration };
        self.courses.insert(guid, Course { bounty, subject: Arc::clone(&subject), results: Vec::new() });
        self.jobs.push(Job::List { guid, subject });
    }

    fn on_block(&mut self, block: BlockNumber) {
        if !self.is_news(block) {
            return;
        }
        (self.now, self.lost) = (block, false);
        if self.stale {
            self.read_parameters();
        }
        self.tick();
    }

    /// One question at a time: answers could overtake each other.
    fn read_parameters(&mut self) {
        self.stale = self.reading;
        if !std::mem::replace(&mut self.reading, true) {
            self.jobs.push(Job::ReadParameters);
        }
    }

    fn parameters_not_read(&mut self, cause: &dyn std::fmt::Display) {
        self.trouble(None, "parameters", cause);
        (self.reading, self.stale) = (false, true);
    }

    /// Does what is due. Without windows nobody can say what is.
    fn tick(&mut self) {
        if self.market.is_none() || self.stopping {
            return;
        }
        for (&guid, held) in &mut self.held {
            match held.next {
                Next::Core if held.rumoured => {
                    (held.next, held.rumoured) = (Next::Outcome, false);
                    self.jobs.push(Job::LookUp { guid, commitment: held.commitment });
                }
                Next::LookUp { after } if after < self.now => {
                    held.next = Next::Outcome;
                    self.jobs.push(Job::LookUp { guid, commitment: held.commitment });
                }
                Next::Settle { after } if after < self.now => {
                    held.next = Next::Outcome;
                    self.jobs.push(Job::Send(Box::new(Action { guid, kind: ActionKind::Settle, latest: None })));
                }
                _ => {}
            }
        }
        self.read_votes();
        self.tell_core(Event::NewBlock);
        self.ask_balance();
    }

    /// Asks for the votes of bounties whose arbiters are done. Votes come over the event socket, too, but not those that
    /// fall into a gap; a request per bounty that was scanned, and none if the core does not learn, is cheap.
    fn read_votes(&mut self) {
        let now = self.now;
        for (&(_, guid), lesson) in self.lessons.range_mut(..(now, Guid(0))) {
            if matches!(lesson.votes, Votes::Due { after } if after < now) {
                lesson.votes = Votes::Asked;
                self.jobs.push(Job::ReadVotes { guid, stakes: self.engine.studies_stakes() });
            }
        }
    }

    /// Takes in what the arbiters voted and what was staked, and tells the core what they made of the bounties that all votes are known of, in
    /// order. While the set of arbiters is constant, the votes that came after an artifact was decided do not change the
    /// decision, so all of them may be counted.
    fn on_votes(
        &mut self,
        guid: Guid,
        votes: Result<&[Vote], &dyn std::fmt::Display>,
        assertions: Option<Vec<wire::assertion::Assertion>>,
    ) {
        if let Err(error) = &votes {
            self.trouble(Some(guid), "votes", error);
        }
        let (now, Some(market)) = (self.now, &self.market) else { return };
        let asked = self.lessons.range_mut(..(now, Guid(0))).find(|((_, lesson), state)| *lesson == guid && state.votes == Votes::Asked);
        let Some((_, lesson)) = asked else { return };
        lesson.tries += 1;
        lesson.own = assertions.iter().flatten().position(|assertion| assertion.author == self.account);
        lesson.assertions = assertions.map(|assertions| {
            let mut number = |author: Address| {
                let next = AccountId(self.experts.len() as u32);
                *self.experts.entry(author).or_insert(next)
            };
            let settled = |assertion: wire::assertion::Assertion| SettledAssertion {
                author: number(assertion.author),
                mask: assertion.mask.set(),
                bids: assertion.bid.into(),
                verdicts: match assertion.verdicts {
                    Verdicts::Revealed(verdicts) if !assertion.nonce.is_zero() => Some(verdicts.set()),
                    _ => None,
                },
            };
            assertions.into_iter().map(settled).collect()
        });
        lesson.votes = match votes {
            Ok(votes) => Votes::Known((!votes.is_empty()).then(|| {
                ArtifactSet::collect(lesson.artifacts, |artifact| {
                    let malicious = votes.iter().filter(|vote| vote.votes.set().contains(artifact)).count() as u64;
                    market.rules.is_malicious(malicious, votes.len() as u64)
                })
            })),
            Err(_) if lesson.tries < LESSON_TRIES => Votes::Due { after: BlockNumber(now.0.saturating_add(1 << lesson.tries)) },
            Err(_) => Votes::Known(None),
        };
        while let Some(entry) = self.lessons.first_entry() {
            let Votes::Known(consensus) = entry.get().votes else { break };
            let ((end, guid), lesson) = entry.remove_entry();
            let settled = SettledBounty {
                guid,
                block: end,
                amount: lesson.amount,
                artifacts: lesson.artifacts,
                bids: market.rules.bids,
                fee: market.fees.assertion,
                consensus,
                assertions: lesson.assertions,
                own: lesson.own,
                verdicts: Vec::new(),
            };
            self.engine.on_event(end, Event::Settled(Box::new(settled)), &mut self.effects);
        }
    }

    /// Tells the core what happened by the block before this one, and does as it says.
    fn tell_core(&mut self, event: Event<'_>) {
        let before = BlockNumber(self.now.0.saturating_sub(1));
        self.engine.on_event(before, event, &mut self.effects);
        self.follow();
    }

    fn follow(&mut self) {
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Scan { guid } => {
                    if let Some(course) = self.courses.get(&guid) {
                        let (subject, artifacts) = (Arc::clone(&course.subject), course.bounty.artifacts);
                        self.jobs.push(Job::Scan { guid, subject, artifacts });
                    }
                }
                Effect::Abstain { guid, reason } => self.abstain(guid, reason),
                Effect::PostAssertion(assertion) => self.assert(assertion),
                Effect::RevealAssertion { guid, index, opening } => self.reveal(guid, index, opening),
                Effect::SettleBounty { guid } => {
                    if let Some(held) = self.held.get_mut(&guid) {
                        (held.next, held.failures, held.settling) = (Next::Outcome, 0, true);
                        self.jobs.push(Job::Send(Box::new(Action { guid, kind: ActionKind::Settle, latest: None })));
                    }
                }
            }
        }
        self.effects = effects;
    }

    fn abstain(&mut self, guid: Guid, reason: Abstention) {
        tracing::info!(%guid, %reason, "left alone");
        let Ceilings { fee, bid } = self.ceilings;
        let warning = match reason {
            Abstention::CostlyFee => format!("the market asks for a fee of more than {fee} NCT; nothing is asserted meanwhile"),
            Abstention::CostlyBid => format!("the strategy bids more than {bid} NCT on this market; such bounties are left alone"),
            Abstention::ShortWindow => {
                format!("the reveal window is shorter than {REVEAL_WINDOW_MINIMUM} blocks; nothing is asserted meanwhile")
            }
            _ => String::new(),
        };
        if !warning.is_empty() && self.warned.insert(reason) {
            tracing::warn!("{warning}");
        }
        *self.summary.abstained.entry(reason).or_default() += 1;
        self.courses.remove(&guid);
    }

    fn assert(&mut self, assertion: Assertion) {
        let Assertion { guid, bids, mask, opening } = assertion;
        if bids.iter().any(|&bid| bid > self.ceilings.bid) {
            self.abstain(guid, Abstention::CostlyBid);
            self.engine.on_event(self.now, Event::Refused { guid }, &mut self.effects);
            return;
        }
        let (Some(course), Some(market)) = (self.courses.remove(&guid), &self.market) else { return };
        let expiration = course.bounty.expiration;
        let price = bids.iter().try_fold(market.fees.assertion, |sum, &bid| sum.checked_add(bid));
        let promised = Promised {
            guid,
            nonce: opening.nonce,
            verdicts: opening.verdicts.to_uint(),
            mask: mask.to_uint(),
            artifacts: course.bounty.artifacts,
            bids: bids.to_vec(),
            price: price.expect("the core checked that the wallet covers it"),
            expiration: expiration.0,
            settles: market.windows.vote_end(expiration).map(|block| block.0),
        };
        self.funds.reserve(guid, promised.price);
        self.held.insert(guid, Held::new(self.account, promised.clone(), Next::Outcome));
        let latest = Some(BlockNumber(expiration.0.saturating_sub(1)));
        self.jobs.push(Job::Send(Box::new(Action { guid, kind: ActionKind::Assert(promised), latest })));
    }

    fn reveal(&mut self, guid: Guid, index: u64, opening: Opening) {
        let (Some(held), Some(market)) = (self.held.get_mut(&guid), &self.market) else { return };
        if held.revealed || held.forfeited {
            return;
        }
        let closes = market.windows.vote_start(held.promised.expiration());
        if closes.is_some_and(|closes| self.now.0.saturating_add(1) >= closes.0) {
            tracing::error!(%guid, "the assertion can no longer be revealed: its window is over");
            (self.summary.unrevealed, self.summary.errors) = (self.summary.unrevealed + 1, self.summary.errors + 1);
            (held.next, held.forfeited) = (Next::Core, true);
            return;
        }
        held.next = Next::Outcome;
        let latest = closes.map(|closes| BlockNumber(closes.0 - 1));
        let kind = ActionKind::Reveal { index, opening, artifacts: held.promised.artifacts };
        self.jobs.push(Job::Send(Box::new(Action { guid, kind, latest })));
    }

    /// Takes in what came of a job; answers with what to do.
    pub fn on_outcome(&mut self, outcome: Outcome) -> Vec<Job> {
        match outcome {
            Outcome::Parameters(Ok(parameters)) => {
                self.reading = false;
                if self.stale {
                    self.read_parameters();
                } else {
                    self.market = Some(Market::of(&parameters));
                    self.tick();
                }
            }
            Outcome::Parameters(Err(error)) => self.parameters_not_read(&error),
            Outcome::Listed { guid, result } => self.on_listed(guid, result),
            Outcome::Scanned { guid, result } => self.on_scanned(guid, result),
            Outcome::Balance { question, result } => {
                self.asking = false;
                match result {
                    Ok(balance) => {
                        self.funds.learn(question, balance);
                        self.decide();
                    }
                    Err(error) => self.trouble(None, "balance", &error),
                }
            }
            Outcome::Sent { action, result: Ok(hashes) } => {
                tracing::debug!(guid = %action.guid, action = action.name(), "sent");
                self.jobs.push(Job::Confirm { action, hashes });
            }
            Outcome::Sent { action, result: Err(error) } => self.on_not_sent(&action, &error),
            Outcome::Confirmed { action, result: Ok(receipt) } => self.on_receipt(&action, &receipt),
            Outcome::Confirmed { action, result: Err(error) } => self.on_no_receipt(&action, &error),
            Outcome::LookedUp { guid, result } => self.on_looked_up(guid, result),
            Outcome::Votes { guid, result: Ok(votes), assertions } => self.on_votes(guid, Ok(&votes), assertions),
            Outcome::Votes { guid, result: Err(error), .. } => self.on_votes(guid, Err(&error), None),
            Outcome::Panicked(job) => self.on_panic(*job),
        }
        std::mem::take(&mut self.jobs)
    }

    /// The chain is asked how far it came, or it is done once more.
    fn on_panic(&mut self, job: Job) {
        let cause = "a job failed by a mistake of the engine";
        match job {
            Job::ReadParameters => self.parameters_not_read(&cause),
            Job::AskBalance { .. } => {
                self.trouble(None, "balance", &cause);
                self.asking = false;
            }
            Job::List { guid, .. } | Job::Scan { guid, .. } => self.give_up(guid, &cause),
            Job::Send(action) | Job::Confirm { action, .. } => {
                let guid = action.guid;
                self.trouble(Some(guid), action.name(), &cause);
                match action.kind {
                    ActionKind::Assert(_) => {
                        self.funds.release(guid);
                        self.look_up_when_expired(guid);
                    }
                    ActionKind::Reveal { .. } => self.reveal_failed(guid),
                    ActionKind::Settle => self.settle_failed(guid),
                }
            }
            Job::LookUp { guid, .. } => {
                self.trouble(Some(guid), "lookup", &cause);
                if let Some(held) = self.held.get_mut(&guid).filter(|held| held.next == Next::Outcome && !held.settling) {
                    let after = held.fail(self.now, 6);
                    held.next = Next::LookUp { after };
                }
            }
            Job::ReadVotes { guid, .. } => self.on_votes(guid, Err(&cause), None),
            Job::Write(_) => self.trouble(None, "journal", &cause),
        }
    }

    fn on_listed(&mut self, guid: Guid, result: Result<usize, ScanError>) {
        let Some(course) = self.courses.get_mut(&guid) else { return };
        match result {
            Ok(artifacts @ 1..=ARTIFACTS_MAXIMUM) => {
                course.bounty.artifacts = artifacts;
                self.engine.on_event(self.now, Event::BountyPosted { bounty: &course.bounty }, &mut self.effects);
                self.follow();
            }
            Ok(artifacts) => self.give_up(guid, &format!("a bounty with {artifacts} artifacts")),
            Err(error) => self.not_scanned(guid, &error),
        }
    }

    fn on_scanned(&mut self, guid: Guid, result: Result<Vec<ScanResult>, ScanError>) {
        let Some(course) = self.courses.get_mut(&guid) else { return };
        match result {
            Ok(results) => {
                course.results = results;
                self.ready.push(guid);
                self.ask_balance();
            }
            Err(error) => self.not_scanned(guid, &error),
        }
    }

    fn not_scanned(&mut self, guid: Guid, error: &ScanError) {
        if *error == ScanError::Late {
            self.effects.push(Effect::Abstain { guid, reason: Abstention::Late });
            self.follow();
        } else {
            self.give_up(guid, error);
        }
    }

    fn give_up(&mut self, guid: Guid, error: &dyn std::fmt::Display) {
        self.trouble(Some(guid), "artifacts", error);
        self.summary.unscanned += 1;
        self.courses.remove(&guid);
    }

    /// Asks for the balance if a decision waits for it and nobody asks yet.
    fn ask_balance(&mut self) {
        if !self.ready.is_empty() && !self.asking && self.market.is_some() {
            self.asking = true;
            self.jobs.push(Job::AskBalance { question: self.funds.ask() });
        }
    }

    /// Decides on all that is scanned.
    fn decide(&mut self) {
        for guid in std::mem::take(&mut self.ready) {
            let (Some(course), Some(market)) = (self.courses.get(&guid), &self.market) else { continue };
            let reason = if market.fees.assertion > self.ceilings.fee {
                Some(Abstention::CostlyFee)
            } else {
                (market.windows.reveal() < U256::from(REVEAL_WINDOW_MINIMUM)).then_some(Abstention::ShortWindow)
            };
            if let Some(reason) = reason {
                self.abstain(guid, reason);
                continue;
            }
            // The block that an assertion is mined in, at the earliest.
            let now = BlockNumber(self.now.0.saturating_add(1));
            let factors: Vec<f64> = course.subject.announced.iter().map(|announced| self.filter.factor(announced)).collect();
            let view = MarketView {
                now,
                bounty: &course.bounty,
                rules: &market.rules,
                fees: market.fees,
                windows: market.windows,
                wallet: Wallet { free: self.funds.free(), locked: self.funds.locked(), open: self.funds.open() },
                assertions: PublicAssertions::of(&[]),
                factors: &factors,
            };
            self.engine.on_event(now, Event::Scanned { view: &view, results: &course.results }, &mut self.effects);
            if self.engine.learns()
                && self.lessons.len() < LESSONS
                && let Some(end) = market.windows.vote_end(course.bounty.expiration)
            {
                let lesson = Lesson {
                    artifacts: course.bounty.artifacts,
                    amount: course.bounty.amount,
                    assertions: None,
                    own: None,
                    tries: 0,
                    votes: Votes::Due { after: BlockNumber(0) },
                };
                self.lessons.insert((end, guid), lesson);
            }
            self.follow();
        }
    }

    fn on_not_sent(&mut self, action: &Action, error: &ActionError) {
        let guid = action.guid;
        let late = matches!(error, ActionError::Send(SendError::Late));
        if late {
            tracing::info!(%guid, action = action.name(), "too late");
        } else {
            self.trouble(Some(guid), action.name(), error);
        }
        match action.kind {
            ActionKind::Assert(_) => {
                self.funds.release(guid);
                if error.may_have_arrived() {
                    self.look_up_when_expired(guid);
                    return;
                }
                self.drop_promise(guid);
                if late {
                    *self.summary.abstained.entry(Abstention::Late).or_default() += 1;
                } else {
                    self.summary.refused += 1;
                }
            }
            ActionKind::Reveal { .. } => self.reveal_failed(guid),
            ActionKind::Settle => self.settle_failed(guid),
        }
    }

    fn on_receipt(&mut self, action: &Action, receipt: &Receipt) {
        let guid = action.guid;
        match &action.kind {
            ActionKind::Assert(_) => {
                let Some(held) = self.held.get(&guid).filter(|held| held.index.is_none()) else { return };
                let commitment = U256::from_be_bytes(held.commitment.0);
                let own = receipt
                    .assertions
                    .iter()
                    .find(|assertion| (assertion.bounty_guid, assertion.author, assertion.commitment) == (guid, self.account, commitment));
                match own {
                    Some(assertion) => self.asserted(guid, assertion.index),
                    None => {
                        self.trouble(Some(guid), "assertion", &"the receipt does not tell of it");
                        self.look_up_when_expired(guid);
                    }
                }
            }
            ActionKind::Reveal { .. } => self.revealed(guid),
            ActionKind::Settle => {
                let to_us = receipt.transfers.iter().filter(|transfer| transfer.to == self.account);
                let paid = to_us.fold(Nct::ZERO, |sum, transfer| sum.checked_add(transfer.value).unwrap_or(sum));
                self.finish(guid, paid);
            }
        }
    }

    fn on_no_receipt(&mut self, action: &Action, error: &ReceiptError) {
        let guid = action.guid;
        let failed = matches!(error, ReceiptError::Failed { .. });
        let settled = matches!(error, ReceiptError::Failed { reason } if is_settled_before(reason));
        if !(action.kind == ActionKind::Settle && settled) {
            self.trouble(Some(guid), action.name(), error);
        }
        match action.kind {
            ActionKind::Assert(_) if self.held.get(&guid).is_none_or(|held| held.index.is_some()) => {}
            ActionKind::Assert(_) => {
                // The receipt is of two transactions: the assertion may stand though the other one failed.
                if failed {
                    self.funds.release(guid);
                }
                self.look_up_when_expired(guid);
            }
            ActionKind::Reveal { .. } => self.reveal_failed(guid),
            // The contract refuses what an event says is done: two agree that nothing is left to do.
            ActionKind::Settle => match self.held.get(&guid).and_then(|held| held.payout) {
                Some(payout) if failed => self.finish(guid, payout),
                None if settled => self.finish(guid, Nct::ZERO),
                _ => self.settle_failed(guid),
            },
        }
    }

    fn on_looked_up(&mut self, guid: Guid, result: Result<Standing, RequestError>) {
        let Some(held) = self.held.get_mut(&guid).filter(|held| held.next == Next::Outcome && !held.settling) else { return };
        let missing = match &result {
            Ok(standing) => *standing == Standing::Missing,
            Err(error) => error.is_missing(),
        };
        match result {
            Ok(Standing::Found { index, revealed, quorum }) => {
                held.failures = 0;
                if held.scheduled {
                    held.next = Next::Core;
                    held.payout = held.payout.filter(|_| quorum);
                    if revealed {
                        self.revealed(guid);
                    } else {
                        let opening = held.promised.opening();
                        self.reveal(guid, index, opening);
                    }
                } else {
                    held.revealed |= revealed;
                    self.asserted(guid, index);
                }
                // Nobody votes before the reveals are over.
                if quorum && self.is_past_reveal(guid) {
                    self.tell_core(Event::QuorumReached { guid });
                }
                self.tell_core(Event::NewBlock);
            }
            _ if missing && held.index.is_none() => {
                if self.now <= held.promised.expiration() {
                    self.look_up_when_expired(guid);
                    return;
                }
                self.funds.release(guid);
                if self.is_past_reveal(guid) {
                    self.trouble(Some(guid), "assertion", &"it is not on chain, and the bounty has expired");
                    self.drop_promise(guid);
                    self.summary.refused += 1;
                } else if let Some(held) = self.held.get_mut(&guid) {
                    // The server may be behind the chain; its secret is kept for as long as it is worth something.
                    let after = held.fail(self.now, 2);
                    held.next = Next::LookUp { after };
                }
            }
            // It was there once; perhaps the server is behind the chain. Given up when there is nothing left to gain.
            _ if missing && held.promised.settles.is_some_and(|settles| self.now.0 > settles) => {
                self.trouble(Some(guid), "assertion", &"it is not on chain any more, and the bounty is over");
                self.drop_promise(guid);
            }
            other => {
                let (scheduled, opening) = (held.scheduled, held.promised.opening());
                let index = held.index.filter(|_| scheduled);
                let after = held.fail(self.now, 6);
                held.next = Next::LookUp { after };
                let cause = other.map_or_else(|error| error.to_string(), |_| "it is not on chain at present".to_owned());
                self.trouble(Some(guid), "lookup", &cause);
                if let Some(index) = index {
                    // Revealing twice does no harm.
                    self.reveal(guid, index, opening);
                }
            }
        }
    }

    /// The own assertion is on chain.
    fn asserted(&mut self, guid: Guid, index: u64) {
        let Some(held) = self.held.get_mut(&guid).filter(|held| !held.scheduled) else { return };
        if held.resumed {
            tracing::info!(%guid, index, revealed = held.revealed, "taken up");
            self.summary.resumed += 1;
        } else {
            tracing::info!(%guid, index, "asserted");
            self.summary.asserted += 1;
        }
        (held.scheduled, held.next, held.failures) = (true, Next::Core, 0);
        if held.index.replace(index) != Some(index) {
            self.jobs.push(Job::Write(Record::Asserted { guid, index }));
        }
        let expiration = held.promised.expiration();
        let settles = held.promised.settles.map(BlockNumber);
        let promise = Promise { opening: held.promised.opening(), expiration, settles, index };
        let revealed = held.revealed;
        if revealed {
            self.jobs.push(Job::Write(Record::Revealed { guid }));
        }
        self.funds.lock(guid, held.promised.price);
        self.tell_core(Event::Resumed { guid, promise, revealed });
    }

    fn revealed(&mut self, guid: Guid) {
        let Some(held) = self.held.get_mut(&guid).filter(|held| held.scheduled && !held.revealed) else { return };
        tracing::info!(%guid, "revealed");
        (held.revealed, held.next, held.failures) = (true, Next::Core, 0);
        self.summary.revealed += 1;
        self.jobs.push(Job::Write(Record::Revealed { guid }));
    }

    /// True when nobody can reveal on the bounty of a promise any more, so that its secret is worth nothing.
    fn is_past_reveal(&self, guid: Guid) -> bool {
        let (Some(held), Some(market)) = (self.held.get(&guid), &self.market) else { return false };
        market.windows.vote_start(held.promised.expiration()).is_none_or(|closes| self.now >= closes)
    }

    /// It is said that a bounty is decided, or was settled for this account and paid so much. No secret is given up for
    /// that: what is said ahead of the reveal is not true, and afterwards the chain and the contract are asked.
    fn hear_of_end(&mut self, guid: Guid, payout: Option<Nct>) {
        let past = self.is_past_reveal(guid);
        let Some(held) = self.held.get_mut(&guid).filter(|held| held.scheduled) else { return };
        if !past && (!held.revealed || payout.is_some()) {
            tracing::warn!(%guid, "said to be over before its reveals are; not believed");
            return;
        }
        held.payout = payout.or(held.payout);
        match held.next {
            Next::Core if !held.settling => {
                held.next = Next::Outcome;
                self.jobs.push(Job::LookUp { guid, commitment: held.commitment });
            }
            Next::Outcome if !held.settling => held.rumoured = true,
            // Once more, for the contract's word.
            Next::Settle { .. } | Next::Nothing if payout.is_some() => held.next = Next::Settle { after: self.now },
            _ => {}
        }
    }

    fn reveal_failed(&mut self, guid: Guid) {
        let Some(held) = self.held.get_mut(&guid).filter(|held| !held.revealed) else { return };
        // It may have worked all the same.
        let after = held.fail(self.now, 4);
        held.next = Next::LookUp { after };
    }

    fn settle_failed(&mut self, guid: Guid) {
        let Some(held) = self.held.get_mut(&guid) else { return };
        if held.failures >= SETTLEMENTS_MAXIMUM {
            tracing::error!(%guid, "giving up on the settlement until the next start");
            held.next = Next::Nothing;
        } else {
            let after = held.fail(self.now, 6);
            held.next = Next::Settle { after };
        }
    }

    fn look_up_when_expired(&mut self, guid: Guid) {
        if let Some(held) = self.held.get_mut(&guid) {
            held.next = Next::LookUp { after: held.promised.expiration() };
        }
    }

    fn drop_promise(&mut self, guid: Guid) {
        if self.held.remove(&guid).is_some() {
            self.jobs.push(Job::Write(Record::Dropped { guid }));
            self.funds.unlock(guid);
            self.engine.on_event(self.now, Event::Refused { guid }, &mut self.effects);
        }
    }

    fn finish(&mut self, guid: Guid, paid: Nct) {
        if !self.is_past_reveal(guid)
            && let Some(held) = self.held.get_mut(&guid).filter(|held| !held.revealed)
        {
            // That cannot be; its secret is kept, and the core hears of it anew.
            (held.scheduled, held.settling, held.next) = (false, false, Next::LookUp { after: self.now });
            self.trouble(Some(guid), "settlement", &"it is said to be settled before its reveals are over");
            return;
        }
        if self.held.remove(&guid).is_some() {
            tracing::info!(%guid, %paid, "settled");
            self.summary.settled += 1;
            self.summary.pay(paid);
            self.jobs.push(Job::Write(Record::Settled { guid }));
            self.funds.unlock(guid);
            // Nothing more is due for it.
            self.engine.on_event(self.now, Event::Refused { guid }, &mut self.effects);
        }
    }

    fn trouble(&mut self, guid: Option<Guid>, what: &str, cause: &dyn std::fmt::Display) {
        self.summary.errors += 1;
        match guid {
            Some(guid) => tracing::warn!(%guid, %cause, "{what}"),
            None => tracing::warn!(%cause, "{what}"),
        }
    }
}

/// A bounty that the core judged, until it has heard what the arbiters made of it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Lesson {
    artifacts: usize,
    amount: Nct,
    /// What everybody staked, once it was asked for, and came.
    assertions: Option<Vec<SettledAssertion>>,
    /// Position of the own assertion among them.
    own: Option<usize>,
    /// Times that its votes were asked for.
    tries: u32,
    votes: Votes,
}

/// How far its votes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Votes {
    /// To be asked for after that block.
    Due { after: BlockNumber },
    /// Asked for.
    Asked,
    /// What they make malicious; `None` without votes.
    Known(Option<ArtifactSet>),
}

/// What the ambassador announced, where it has the usual shape; metadata is whatever its author stored.
fn announced(metadata: &wire::json::Json) -> Vec<Announced> {
    let entries: Vec<serde_json::Value> = metadata.read().unwrap_or_default();
    let known = |entry: serde_json::Value| {
        let text = |key: &str| entry[key].as_str().map(str::to_owned);
        let filesize = entry["filesize"].as_u64();
        Announced { mimetype: text("mimetype"), filesize, sha256: text("sha256"), filename: text("filename") }
    };
    entries.into_iter().take(ARTIFACTS_MAXIMUM).map(known).collect()
}
