//! What the live page shows: the latest bounties with all that was said of them, balances, events, and the last blocks.
//!
//! It is made of the log alone, as it is written, and of no more of it than a page can hold: whoever looks in later, or looks away
//! for a while, gets what there is. Nothing in here is asked by the market.

use std::collections::{BTreeMap, VecDeque};

use market::{
    block::{BlockNumber, Round},
    event::Event,
    id::{AccountId, Guid},
    market::Market,
    nct::{Nct, NctDelta},
    verdict::ArtifactSet,
};
use replay::plan::ArtifactFacts;
use serde::Serialize;
use sim::text;
use wire::artifact::Artifact;

use crate::{
    chain::{self, ChainName, Chains},
    content::Store,
};

/// Bounties that are kept.
pub const BOUNTIES: usize = 40;
/// Events that are kept.
pub const EVENTS: usize = 200;
/// Accounts whose balances are followed; a part of the places is for visitors.
pub const ACCOUNTS: usize = 40;
/// Places for simulated accounts.
const SIMULATED: usize = 28;
/// Blocks that are kept.
pub const BLOCKS: usize = 240;
/// Assertions and votes that are kept of a bounty.
const SAID: usize = 40;
/// Artifacts that are named of a bounty.
const NAMED: usize = 8;
/// Characters of a name.
const LETTERS: usize = 60;
/// The first accounts of every market: nobody, and the contracts with their owner.
const CONTRACTS: usize = 5;

/// An amount as a page takes it.
fn nct(amount: Nct) -> String {
    amount.to_string().trim_end_matches(" NCT").to_owned()
}

/// An amount as an event tells it: with four decimals at most, rounded down.
fn about(amount: Nct) -> String {
    let text = nct(amount);
    match text.split_once('.') {
        Some((whole, decimals)) => {
            let shown = decimals.get(..4).unwrap_or(decimals).trim_end_matches('0');
            if shown.is_empty() { whole.to_owned() } else { format!("{whole}.{shown}") }
        }
        None => text,
    }
}

fn signed(amount: NctDelta) -> String {
    amount.to_string().trim_end_matches(" NCT").to_owned()
}

/// A name from a stranger, short, and with nothing in it that turns or hides the text around it.
fn name(text: &str) -> String {
    text::cut(text, LETTERS)
}

/// One artifact.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Named {
    /// Its file type, or the name that it was uploaded with.
    name: String,
    hash: String,
}

/// An assertion.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Said {
    author: String,
    bid: String,
    /// For each artifact `.` without an opinion, `?` before the reveal, then `M` or `B`.
    verdicts: String,
    #[serde(skip)]
    account: AccountId,
    #[serde(skip)]
    mask: ArtifactSet,
    #[serde(skip)]
    settled: bool,
}

/// A vote.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Voted {
    voter: String,
    verdicts: String,
}

/// A bounty.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Card {
    guid: String,
    author: String,
    amount: String,
    artifacts: Vec<Named>,
    artifact_count: usize,
    posted: u64,
    expiration: u64,
    reveal_end: u64,
    vote_end: u64,
    /// `assertion`, `reveal`, `vote`, `quorum`, `settle` or `closed`.
    round: &'static str,
    assertions: Vec<Said>,
    assertion_count: u64,
    staked: String,
    votes: Vec<Voted>,
    vote_count: u64,
    settlements: u64,
    paid: String,
    #[serde(skip)]
    id: Guid,
    #[serde(skip)]
    poster: AccountId,
    #[serde(skip)]
    stakes: Nct,
    #[serde(skip)]
    payouts: Nct,
    #[serde(skip)]
    poster_settled: bool,
    /// When it changed last.
    #[serde(skip)]
    changed: u64,
}

/// An event.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Told {
    number: u64,
    block: u64,
    kind: &'static str,
    guid: Option<String>,
    who: String,
    what: String,
}

/// An account.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Balance {
    name: String,
    /// `visitor`, `expert`, `ambassador` or `arbiter`.
    role: &'static str,
    balance: String,
    /// Staked on bounties that it has not settled.
    staked: String,
    /// What it has more than it was given, stakes included.
    change: String,
}

/// A block that is over.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Sample {
    block: u64,
    bounties: u64,
    assertions: u64,
    /// What each account had more than it was given, in NCT, in the order of balances.
    changes: Vec<f64>,
}

/// How far a page has heard.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Heard {
    /// Of the last change.
    change: u64,
    /// Events up to then.
    events: u64,
}

/// What changed since a page heard last.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct News {
    /// To be told with the next question.
    #[serde(skip)]
    pub heard: Heard,
    /// Whether this is everything there is.
    pub whole: bool,
    /// Events that were forgotten before this page could hear of them.
    pub missed_events: u64,
    /// Bounties that changed.
    pub bounties: Vec<Card>,
    /// Guids of all that are kept, oldest first.
    pub kept: Vec<String>,
    /// Events since, oldest first.
    pub events: Vec<Told>,
    /// All balances.
    pub accounts: Vec<Balance>,
    /// Accounts that are not among them.
    pub more_accounts: usize,
    /// Blocks since, oldest first.
    pub history: Vec<Sample>,
}

/// What is kept for pages.
#[derive(Debug, Default)]
pub struct Feed {
    /// Of the last change.
    number: u64,
    cards: VecDeque<Card>,
    events: VecDeque<Told>,
    /// Events ever, those that are kept included.
    event_count: u64,
    history: VecDeque<(u64, Sample)>,
    /// Who is followed, and what each was given.
    followed: Vec<(AccountId, Nct)>,
    /// What is staked on bounties that are not settled.
    staked: BTreeMap<AccountId, Nct>,
    stakes: BTreeMap<(Guid, AccountId), Nct>,
    /// In the current block.
    bounties: u64,
    assertions: u64,
}

impl Feed {
    /// What is kept of a market that begins.
    pub fn new(chains: &Chains) -> Feed {
        let mut feed = Feed::default();
        let market = chains.market(ChainName::Side);
        let names = chains.world().names();
        let relay = market.known_account(chain::relay());
        // Experts are what a page is opened for.
        let expert = |id: &AccountId| ["visitor", "expert"].contains(&role(&names[id.0 as usize]));
        let ids = (CONTRACTS..names.len()).map(|id| AccountId(id as u32)).filter(|id| Some(*id) != relay);
        let (experts, others): (Vec<AccountId>, Vec<AccountId>) = ids.partition(expert);
        feed.followed = experts.into_iter().chain(others).take(SIMULATED).map(|id| (id, market.balance(id))).collect();
        feed
    }

    /// Notes that an account was given something.
    pub fn given(&mut self, account: AccountId, gift: Nct, chains: &Chains) {
        self.number += 1;
        if let Some((_, given)) = self.followed.iter_mut().find(|(id, _)| *id == account) {
            *given = sum(*given, gift);
        } else if self.followed.len() < ACCOUNTS {
            self.followed.push((account, chains.market(ChainName::Side).balance(account)));
        }
    }

    /// Takes in what was logged on the side chain.
    pub fn record(&mut self, log: &[Event], chains: &Chains, store: &Store) {
        for event in log {
            self.record_one(event, chains, store);
        }
    }

    fn record_one(&mut self, event: &Event, chains: &Chains, store: &Store) {
        let (market, names) = (chains.market(ChainName::Side), chains.world().names());
        let now = market.now().0;
        let who =
            |account: AccountId| names.get(account.0 as usize).map_or_else(|| market.address(account).to_string(), |known| name(known));
        let number = self.number + 1;
        let tell = |events: &mut VecDeque<Told>, kind, guid: Option<&Guid>, who: String, what: String| {
            if events.len() == EVENTS {
                events.pop_front();
            }
            events.push_back(Told { number, block: now, kind, guid: guid.map(Guid::to_string), who, what });
        };
        match event {
            Event::NewBounty { guid, author, amount, artifact_uri, expiration, .. } => {
                self.bounties += 1;
                let mut card = Card::new(*guid, *author, who(*author), *amount, number);
                card.times(*expiration, market);
                card.name_artifacts(artifact_uri, chains, store);
                let count = match card.artifact_count {
                    1 => "an artifact".to_owned(),
                    count => format!("{count} artifacts"),
                };
                tell(&mut self.events, "bounty", Some(guid), who(*author), format!("{} NCT for {count}", about(*amount)));
                if self.cards.len() == BOUNTIES {
                    self.cards.pop_front();
                }
                self.cards.push_back(card);
            }
            Event::NewAssertion { guid, author, bids, mask, artifacts, .. } => {
                self.assertions += 1;
                let bid: Nct = bids.iter().copied().sum();
                self.stakes.insert((*guid, *author), bid);
                let staked = self.staked.entry(*author).or_default();
                *staked = sum(*staked, bid);
                let verdicts = letters(*artifacts, |at| if mask.contains(at) { '?' } else { '.' });
                tell(
                    &mut self.events,
                    "assertion",
                    Some(guid),
                    who(*author),
                    format!("{} NCT on {} of {artifacts}", about(bid), mask.len()),
                );
                if let Some(card) = self.card(*guid, number) {
                    card.stakes = sum(card.stakes, bid);
                    card.staked = nct(card.stakes);
                    card.assertion_count += 1;
                    if card.assertions.len() < SAID {
                        let said = Said { author: who(*author), bid: nct(bid), verdicts, account: *author, mask: *mask, settled: false };
                        card.assertions.push(said);
                    }
                }
            }
            Event::RevealedAssertion { guid, author, opening, artifacts, .. } => {
                let mut said = None;
                if let Some(card) = self.card(*guid, number)
                    && let Some(assertion) = card.assertions.iter_mut().find(|assertion| assertion.account == *author)
                {
                    let (mask, verdicts) = (assertion.mask, opening.verdicts);
                    assertion.verdicts = letters(*artifacts, |at| if mask.contains(at) { letter(verdicts.contains(at)) } else { '.' });
                    said = Some(assertion.verdicts.clone());
                }
                tell(&mut self.events, "reveal", Some(guid), who(*author), said.as_deref().map_or_else(String::new, spoken));
            }
            Event::NewVote { guid, votes, artifacts, voter } => {
                let verdicts = letters(*artifacts, |at| letter(votes.contains(at)));
                tell(&mut self.events, "vote", Some(guid), who(*voter), spoken(&verdicts));
                if let Some(card) = self.card(*guid, number) {
                    card.vote_count += 1;
                    if card.votes.len() < SAID {
                        card.votes.push(Voted { voter: who(*voter), verdicts });
                    }
                }
            }
            Event::QuorumReached { guid } => {
                self.card(*guid, number);
                tell(&mut self.events, "quorum", Some(guid), String::new(), "the arbiters agree".to_owned());
            }
            Event::SettledBounty { guid, settler, payout } => {
                if let Some(bid) = self.stakes.remove(&(*guid, *settler))
                    && let Some(staked) = self.staked.get_mut(settler)
                {
                    *staked = staked.checked_sub(bid).unwrap_or_default();
                }
                tell(&mut self.events, "settled", Some(guid), who(*settler), format!("{} NCT", about(*payout)));
                if let Some(card) = self.card(*guid, number) {
                    card.settlements += 1;
                    card.payouts = sum(card.payouts, *payout);
                    card.paid = nct(card.payouts);
                    card.poster_settled |= card.poster == *settler;
                    for assertion in card.assertions.iter_mut().filter(|assertion| assertion.account == *settler) {
                        assertion.settled = true;
                    }
                }
            }
            Event::FeesUpdated(fees) => {
                let what = format!("{} NCT for a bounty, {} NCT for an assertion", nct(fees.bounty), nct(fees.assertion));
                tell(&mut self.events, "fees", None, String::new(), what);
            }
            Event::WindowsUpdated(windows) => {
                let what = format!("{} blocks to reveal, {} blocks to vote", windows.reveal(), windows.vote());
                tell(&mut self.events, "windows", None, String::new(), what);
            }
            Event::Deprecated { .. } => tell(&mut self.events, "deprecated", None, String::new(), "no more bounties are taken".to_owned()),
            Event::Undeprecated => tell(&mut self.events, "undeprecated", None, String::new(), "bounties are taken again".to_owned()),
            _ => return,
        }
        self.number = number;
        self.event_count += 1;
    }

    /// The bounty of that guid, if it is kept, to be changed.
    fn card(&mut self, guid: Guid, number: u64) -> Option<&mut Card> {
        // Most is said about the latest.
        let card = self.cards.iter_mut().rev().find(|card| card.id == guid)?;
        card.changed = number;
        Some(card)
    }

    /// Takes in that a block is over.
    pub fn mined(&mut self, chains: &Chains) {
        self.number += 1;
        let market = chains.market(ChainName::Side);
        for card in &mut self.cards {
            let round = round(card, market);
            if round != card.round {
                (card.round, card.changed) = (round, self.number);
            }
        }
        let changes = self.followed.iter().map(|&(account, given)| (self.change(account, given, market).to_f64() * 1e4).round() / 1e4);
        let sample = Sample { block: market.now().0, bounties: self.bounties, assertions: self.assertions, changes: changes.collect() };
        (self.bounties, self.assertions) = (0, 0);
        if self.history.len() == BLOCKS {
            self.history.pop_front();
        }
        self.history.push_back((self.number, sample));
    }

    fn change(&self, account: AccountId, given: Nct, market: &Market) -> NctDelta {
        let staked = self.staked.get(&account).copied().unwrap_or_default();
        sum(market.balance(account), staked).minus(given)
    }

    /// What a page does not know that heard of everything up to `since`; everything if it heard of nothing.
    pub fn news(&self, since: Option<Heard>, chains: &Chains) -> News {
        let market = chains.market(ChainName::Side);
        let names = chains.world().names();
        let last = since.unwrap_or_default().change;
        let forgotten = self.event_count - self.events.len() as u64;
        let balance = |&(account, given): &(AccountId, Nct)| {
            let called = names.get(account.0 as usize).map_or("", String::as_str);
            Balance {
                name: name(called),
                role: role(called),
                balance: nct(market.balance(account)),
                staked: nct(self.staked.get(&account).copied().unwrap_or_default()),
                change: signed(self.change(account, given, market)),
            }
        };
        News {
            heard: Heard { change: self.number, events: self.event_count },
            whole: since.is_none(),
            missed_events: since.map_or(0, |since| forgotten.saturating_sub(since.events)),
            bounties: self.cards.iter().filter(|card| card.changed > last).cloned().collect(),
            kept: self.cards.iter().map(|card| card.guid.clone()).collect(),
            events: self.events.iter().filter(|event| event.number > last).cloned().collect(),
            accounts: self.followed.iter().map(balance).collect(),
            // The relay is one more of the contracts.
            more_accounts: names.len().saturating_sub(CONTRACTS + 1 + self.followed.len()),
            history: self.history.iter().filter(|(number, _)| *number > last).map(|(_, sample)| sample.clone()).collect(),
        }
    }
}

impl Card {
    fn new(guid: Guid, poster: AccountId, author: String, amount: Nct, changed: u64) -> Card {
        Card {
            guid: guid.to_string(),
            author,
            amount: nct(amount),
            artifacts: Vec::new(),
            artifact_count: 0,
            posted: 0,
            expiration: 0,
            reveal_end: 0,
            vote_end: 0,
            round: "assertion",
            assertions: Vec::new(),
            assertion_count: 0,
            staked: nct(Nct::ZERO),
            votes: Vec::new(),
            vote_count: 0,
            settlements: 0,
            paid: nct(Nct::ZERO),
            id: guid,
            poster,
            stakes: Nct::ZERO,
            payouts: Nct::ZERO,
            poster_settled: false,
            changed,
        }
    }

    fn times(&mut self, expiration: BlockNumber, market: &Market) {
        let windows = market.bounty(self.id).map_or_else(|| market.windows(), |bounty| bounty.windows);
        let block = |block: Option<BlockNumber>| block.map_or(u64::MAX, |block| block.0);
        (self.posted, self.expiration) = (market.now().0, expiration.0);
        (self.reveal_end, self.vote_end) = (block(windows.vote_start(expiration)), block(windows.vote_end(expiration)));
    }

    fn name_artifacts(&mut self, uri: &str, chains: &Chains, store: &Store) {
        if let Some(plan) = chains.world().plan(self.id).filter(|plan| !plan.artifacts.is_empty()) {
            let artifacts = plan.artifacts.iter().take(NAMED);
            let named = |facts: &ArtifactFacts| Named {
                name: facts.file_type.as_deref().map_or_else(|| "file".to_owned(), name),
                hash: facts.id.to_string(),
            };
            (self.artifacts, self.artifact_count) = (artifacts.map(named).collect(), plan.artifacts.len());
        } else if let Ok(listing) = store.listing(uri) {
            let artifacts = listing.artifacts.iter().take(NAMED);
            let named = |artifact: &Artifact| Named { name: name(&artifact.name), hash: name(&artifact.hash) };
            (self.artifacts, self.artifact_count) = (artifacts.map(named).collect(), listing.artifacts.len());
        }
        if let Some(bounty) = chains.market(ChainName::Side).bounty(self.id) {
            self.artifact_count = bounty.artifacts;
        }
    }

    /// Whether everybody who was paid for it has been.
    fn is_closed(&self) -> bool {
        let all = self.assertion_count as usize == self.assertions.len();
        if self.assertion_count == 0 { self.poster_settled } else { all && self.assertions.iter().all(|assertion| assertion.settled) }
    }
}

fn round(card: &Card, market: &Market) -> &'static str {
    match market.current_round(card.id) {
        Ok(Round::Assertion) => "assertion",
        Ok(Round::Reveal) => "reveal",
        Ok(Round::Vote) => "vote",
        _ if card.is_closed() => "closed",
        Ok(Round::Quorum) => "quorum",
        Ok(Round::Settle) | Err(_) => "settle",
    }
}

fn sum(one: Nct, other: Nct) -> Nct {
    // All the Nectar that there is fits.
    one.checked_add(other).unwrap_or(one)
}

/// What an account is, by the name that the market gave it.
fn role(name: &str) -> &'static str {
    match name.split_once(':').map_or(name, |(role, _)| role) {
        "ambassador" => "ambassador",
        "arbiter" => "arbiter",
        "rival" => "expert",
        _ => "visitor",
    }
}

fn letter(malicious: bool) -> char {
    if malicious { 'M' } else { 'B' }
}

fn letters(artifacts: usize, letter: impl Fn(usize) -> char) -> String {
    (0..artifacts).map(letter).collect()
}

/// Verdicts in words.
fn spoken(verdicts: &str) -> String {
    let count = |letter| verdicts.matches(letter).count();
    match (count('M'), count('B')) {
        (1, 0) => "malicious".to_owned(),
        (0, 1) => "benign".to_owned(),
        (malicious, benign) => format!("{malicious} malicious, {benign} benign"),
    }
}
