//! One running market: the chains, what waits to be mined, what was mined, and who takes part. Everything behind one lock;
//! nothing in here waits.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Instant,
};

use alloy_primitives::{B256, keccak256};
use axum::body::Bytes;
use market::{
    block::BlockNumber,
    event::Event,
    id::{Address, Guid},
    nct::Nct,
};
use replay::{
    plan::{Brought, Setup, VISITOR},
    world::{Blind, Observer, PlayError, Showcase},
};
use serde::{Deserialize, Serialize};
use wire::{
    message::{Block, Message},
    receipt::{Problem, Receipt},
};

use crate::{
    chain::{self, ChainName, Chains, Input, Order},
    content::{self, NoContent, Store, Upload},
    live::{Feed, Heard, News},
    messages,
    pool::{NotTaken, Pool},
    transaction::Transaction,
};

/// Accounts that can come in.
pub const VISITORS_MAXIMUM: usize = 10_000;
/// Snapshots that are kept.
pub const SNAPSHOTS_MAXIMUM: usize = 1_000;

/// A message and the chain it belongs to.
pub type Mail = (ChainName, Message);

/// Reads the log of the side chain: block, event, and the names of all accounts.
pub type Reader<'a, E> = dyn FnMut(BlockNumber, &Event, &[String]) -> Result<(), E> + 'a;

/// Who comes in, and with what.
#[derive(Clone, Debug)]
pub struct Guests {
    /// The account that the report is about; else the first visitor who asserts.
    pub seat: Option<Address>,
    /// Accounts that are opened before the first block, in this order, with what they get.
    pub expected: Vec<(Address, Nct)>,
    /// What any other account gets at first sight.
    pub gift: Nct,
}

/// Blocks that can be passed at once.
pub const PASS_MAXIMUM: u64 = 10_000;

#[derive(Debug)]
struct Mined {
    chain: ChainName,
    block: BlockNumber,
    result: Result<Vec<Event>, String>,
}

/// Counts for whoever watches the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Figures {
    /// Bounties posted.
    pub bounties: u64,
    /// Assertions posted.
    pub assertions: u64,
    /// Assertions revealed.
    pub reveals: u64,
    /// Votes cast.
    pub votes: u64,
    /// Settlements.
    pub settlements: u64,
    /// Transactions carried out.
    pub transactions: u64,
    /// Transactions that the contracts refused.
    pub failures: u64,
}

impl Figures {
    fn count(&mut self, event: &Event) {
        match event {
            Event::NewBounty { .. } => self.bounties += 1,
            Event::NewAssertion { .. } => self.assertions += 1,
            Event::RevealedAssertion { .. } => self.reveals += 1,
            Event::NewVote { .. } => self.votes += 1,
            Event::SettledBounty { .. } => self.settlements += 1,
            _ => {}
        }
    }
}

/// A running market.
#[derive(Debug)]
pub struct Node {
    setup: Arc<Setup>,
    guests: Guests,
    chains: Chains,
    inputs: Vec<Input>,
    pool: Pool,
    mined: HashMap<B256, Mined>,
    store: Store,
    visitors: BTreeMap<Address, Visitor>,
    snapshots: BTreeMap<String, usize>,
    /// The position of the last input, if it is a block of a market at rest: the next such block takes its place.
    rest: Option<usize>,
    figures: Figures,
    /// What pages are shown.
    feed: Feed,
    /// Answers about bounties, until the next thing happens: at a quorum everybody asks the same.
    rendered: HashMap<(Guid, View), Bytes>,
}

/// What can be asked about a bounty.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum View {
    /// The bounty itself.
    Bounty,
    /// Its assertions.
    Assertions,
    /// Its votes.
    Votes,
}

/// Answers that are kept at most.
const RENDERED_MAXIMUM: usize = 1_000;

/// Blocks in a row after which a silent participant without a WebSocket is no longer waited for.
const SILENCE: u32 = 3;
/// The last block that can be mined: far beyond every run, and far from the end of numbers.
const BLOCK_MAXIMUM: u64 = 1 << 48;

/// Whether the clock of a lockstep waits for somebody.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Part {
    /// It never passed or sent anything: it only looks on.
    #[default]
    None,
    /// It passed or sent something.
    Active,
    /// It did, but was silent for too long and seems to have hung up.
    Gone,
}

/// How many visitors there are, and how far they are with the current block.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Readiness {
    /// Who ever asked for anything.
    pub came: usize,
    /// Who takes part and is waited for.
    pub active: usize,
    /// Who took part and is no longer waited for.
    pub gone: usize,
    /// Those of the active who are done with the current block.
    pub ready: usize,
}

/// What is known of a visitor beside its account.
#[derive(Clone, Debug, Default)]
struct Visitor {
    /// It asked for something; else it is only expected.
    came: bool,
    part: Part,
    /// Blocks in a row that were mined without it.
    silent: u32,
    /// It will do no more before that block is over.
    passed: u64,
    /// Transactions whose receipts it waits for.
    awaits: HashMap<B256, usize>,
    /// Bounties that were made up for it.
    bounties: u64,
}

/// Why a state cannot be taken back or loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    #[error("there is no snapshot `{name}`; there are: {known}")]
    NoSnapshot { name: String, known: String },
    #[error("{SNAPSHOTS_MAXIMUM} snapshots are kept; revert to one of them first")]
    TooMany,
    #[error("the state is of scenario {found}, this server plays {expected}")]
    OtherScenario { found: String, expected: String },
    #[error("the state cannot be played: {reason}")]
    Unplayable { reason: String },
    #[error(transparent)]
    Play(#[from] PlayError),
    #[error(transparent)]
    Content(#[from] NoContent),
}

/// A state as it is dumped: what was done, and what was uploaded.
#[derive(Debug, Serialize, Deserialize)]
pub struct State {
    /// What is played: only a server that plays the same can load it.
    pub played: String,
    /// Everything that was done, in order.
    pub inputs: Vec<Input>,
    /// Uploads: for each the files in hex.
    pub uploads: Vec<Vec<String>>,
    /// Metadata as text.
    pub metadata: Vec<String>,
}

impl Node {
    /// A market in its first block.
    ///
    /// # Errors
    ///
    /// If the corpus cannot be read.
    pub fn new(setup: Arc<Setup>, guests: Guests) -> Result<Node, PlayError> {
        let store = Store::new(&setup.corpus).map_err(replay::plan::SetupError::from)?;
        let chains = chains(&setup, &guests)?;
        let mut node = Node {
            feed: Feed::new(&chains),
            chains,
            setup,
            guests,
            inputs: Vec::new(),
            pool: Pool::default(),
            mined: HashMap::new(),
            store,
            visitors: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            rest: None,
            figures: Figures::default(),
            rendered: HashMap::new(),
        };
        for (address, gift) in node.guests.expected.clone() {
            node.visitors.insert(address, Visitor::default());
            node.perform(Input::Visit { address, gift })?;
        }
        Ok(node)
    }

    /// The chains, to look at.
    pub fn chains(&self) -> &Chains {
        &self.chains
    }

    /// What the run is made of.
    pub fn setup(&self) -> &Arc<Setup> {
        &self.setup
    }

    /// The content.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The content, to add to.
    pub fn store_mut(&mut self) -> &mut Store {
        self.rendered.clear();
        &mut self.store
    }

    /// Takes in what was uploaded.
    ///
    /// # Errors
    ///
    /// If there is no room.
    pub fn upload(&mut self, upload: Upload) -> Result<(), NoContent> {
        let (uri, artifacts) = (upload.uri.clone(), upload.brought.clone());
        self.store.keep(upload)?;
        if !self.chains.knows_artifacts(&uri) {
            // Nothing is refused about it, and it logs nothing.
            self.perform(Input::Upload { uri, artifacts }).map_err(NoContent::Play)?;
        }
        Ok(())
    }

    /// Makes sure that the chains know what is behind the address of an upload: they forget it with what is taken back.
    ///
    /// # Errors
    ///
    /// If there is nothing at the address, or an invariant is broken.
    pub fn recall(&mut self, uri: &str) -> Result<(), NoContent> {
        let listing = self.store.listing(uri)?;
        if self.chains.knows_artifacts(uri) {
            return Ok(());
        }
        let artifacts: Option<Vec<Brought>> = listing.uploads().map(|files| files.map(Brought::of).collect());
        if let Some(artifacts) = artifacts {
            self.perform(Input::Upload { uri: uri.to_owned(), artifacts }).map_err(NoContent::Play)?;
        }
        Ok(())
    }

    /// What waits to be mined.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Counts.
    pub fn figures(&self) -> Figures {
        self.figures
    }

    /// What a page does not know that heard of everything up to `since`; everything if it heard of nothing.
    pub fn news(&self, since: Option<Heard>) -> News {
        self.feed.news(since, &self.chains)
    }

    /// Everything that was done, in order.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// The current block.
    pub fn now(&self) -> BlockNumber {
        self.chains.world().market().now()
    }

    /// True when the corpus is through, everything settled, and nothing waits.
    pub fn is_over(&self) -> bool {
        self.pool.is_empty() && self.chains.is_over()
    }

    /// Lets an account in, at first sight. Contracts and simulated accounts get nothing: they have what the scenario says.
    ///
    /// # Errors
    ///
    /// If an invariant is broken.
    pub fn visit(&mut self, address: Address) -> Result<Vec<Mail>, PlayError> {
        if let Some(visitor) = self.visitors.get_mut(&address) {
            visitor.came = true;
            return Ok(Vec::new());
        }
        let world = self.chains.world();
        let known = self.chains.account(ChainName::Side, address);
        let simulated = known.is_some_and(|account| !world.names()[account.0 as usize].starts_with("0x"));
        if simulated || address == chain::relay() || self.visitors.len() >= VISITORS_MAXIMUM {
            return Ok(Vec::new());
        }
        self.visitors.insert(address, Visitor { came: true, ..Visitor::default() });
        self.perform(Input::Visit { address, gift: self.guests.gift })
    }

    /// True if `address` has nothing to learn from [`Node::visit`].
    pub fn knows(&self, address: Address) -> bool {
        self.visitors.get(&address).is_some_and(|visitor| visitor.came)
    }

    /// Gives Nectar to an account. Whoever was given something gets nothing more at first sight.
    ///
    /// # Errors
    ///
    /// If an invariant is broken.
    pub fn fund(&mut self, chain: ChainName, address: Address, gift: Nct) -> Result<(Vec<Mail>, Option<String>), PlayError> {
        let (mail, refused) = self.perform_and_tell(Input::Fund { chain, address, gift })?;
        if refused.is_none() && self.visitors.len() < VISITORS_MAXIMUM {
            self.visitors.entry(address).or_default();
        }
        Ok((mail, refused))
    }

    /// Has the contracts' owner do something; the text says why it was refused.
    ///
    /// # Errors
    ///
    /// If an invariant is broken.
    pub fn govern(&mut self, order: Order) -> Result<(Vec<Mail>, Option<String>), PlayError> {
        self.perform_and_tell(Input::Govern { order })
    }

    /// Takes in a transaction that was checked, to be mined.
    ///
    /// # Errors
    ///
    /// If its nonce is used, or it is known.
    pub fn submit(&mut self, chain: ChainName, transaction: Transaction) -> Result<(), NotTaken> {
        let sender = transaction.sender();
        self.pool.add(chain, transaction, Instant::now())?;
        self.took_part(sender);
        Ok(())
    }

    /// Mines the next block: first everybody simulated acts, then the transactions that wait are carried out.
    ///
    /// # Errors
    ///
    /// If the corpus cannot be read, or an invariant is broken.
    pub fn mine(&mut self) -> Result<Vec<Mail>, PlayError> {
        let block = if self.pool.is_empty() { self.chains.next_block() } else { self.now().0 + 1 };
        let rests = self.chains.is_over();
        let mut mail = self.perform(Input::Mine { block })?;
        if rests {
            self.join_rest();
        }
        let now = Instant::now();
        for chain in [ChainName::Side, ChainName::Home] {
            for transaction in self.pool.take(chain, now) {
                mail.extend(self.perform(Input::Transact { chain, transaction: Box::new(transaction) })?);
            }
        }
        self.feed.mined(&self.chains);
        // Whoever hears of a block has heard of everything in it.
        for chain in [ChainName::Side, ChainName::Home] {
            mail.push((chain, Message::plain(wire::message::Event::Block(Block { number: BlockNumber(block) }))));
        }
        Ok(mail)
    }

    /// Makes one input of the last two, if both are blocks in which nothing could happen: a market that nobody ends may rest
    /// for ever.
    fn join_rest(&mut self) {
        let last = self.inputs.len() - 1;
        if last > 0 && self.rest == Some(last - 1) {
            self.inputs.swap_remove(last - 1);
        }
        self.rest = Some(self.inputs.len() - 1);
    }

    fn perform(&mut self, input: Input) -> Result<Vec<Mail>, PlayError> {
        self.perform_and_tell(input).map(|(mail, _)| mail)
    }

    /// Does `input` and keeps it.
    fn perform_and_tell(&mut self, input: Input) -> Result<(Vec<Mail>, Option<String>), PlayError> {
        let outcome = self.chains.apply(&input, &mut Blind)?;
        self.rendered.clear();
        let number = self.inputs.len() as u64;
        let now = self.now();
        for event in &outcome.side {
            self.figures.count(event);
            if let Event::NewBounty { guid, .. } = event
                && let Some(plan) = self.chains.world().plan(*guid).filter(|plan| plan.ambassador != VISITOR)
            {
                self.store.show(plan, &content::show(plan));
            }
        }
        self.feed.record(&outcome.side, &self.chains, &self.store);
        if let Input::Visit { address, gift } | Input::Fund { chain: ChainName::Side, address, gift } = &input
            && outcome.refused.is_none()
            && let Some(account) = self.chains.account(ChainName::Side, *address)
        {
            self.feed.given(account, *gift, &self.chains);
        }
        let hash = match &input {
            Input::Transact { transaction, .. } => transaction.hash(),
            _ => keccak256(number.to_be_bytes()),
        };
        let mut mail = Vec::new();
        let market = self.chains.market(ChainName::Side);
        for event in &outcome.side {
            if let Some(event) = messages::message(event, market, &self.store) {
                mail.push((ChainName::Side, Message::logged(event, now, hash)));
            }
        }
        if let Input::Transact { chain, transaction } = &input {
            self.figures.transactions += 1;
            self.figures.failures += u64::from(outcome.refused.is_some());
            self.pool.mined(*chain, transaction);
            let log = match chain {
                ChainName::Side => outcome.side,
                ChainName::Home => outcome.home,
            };
            let result = outcome.refused.clone().map_or(Ok(log), Err);
            self.mined.insert(hash, Mined { chain: *chain, block: now, result });
        }
        // A gift that was refused is none.
        if !(outcome.refused.is_some() && matches!(input, Input::Visit { .. } | Input::Fund { .. })) {
            self.inputs.push(input);
        }
        Ok((mail, outcome.refused))
    }

    /// The receipt of these transactions together; `None` as long as one of them is not mined.
    pub fn receipt(&self, hashes: &[B256]) -> Option<Receipt> {
        let mut receipt = Receipt::default();
        for hash in hashes {
            let mined = self.mined.get(hash)?;
            match &mined.result {
                Ok(log) => messages::add_to_receipt(&mut receipt, log, self.chains.market(mined.chain)),
                Err(reason) => {
                    receipt.errors.push(Problem::Failed { block: mined.block, reason: reason.clone() }.text(*hash));
                }
            }
        }
        Some(receipt)
    }

    /// An answer about a bounty: the one given before if nothing has happened since, else made anew.
    ///
    /// # Errors
    ///
    /// Those of `make`.
    pub fn render<E>(&mut self, guid: Guid, view: View, make: impl FnOnce(&Node) -> Result<Bytes, E>) -> Result<Bytes, E> {
        if let Some(bytes) = self.rendered.get(&(guid, view)) {
            return Ok(bytes.clone());
        }
        let bytes = make(self)?;
        if self.rendered.len() < RENDERED_MAXIMUM {
            self.rendered.insert((guid, view), bytes.clone());
        }
        Ok(bytes)
    }

    /// A guid for a new bounty of `author`: no one else gets it.
    pub fn new_guid(&mut self, author: Address) -> Guid {
        let market = self.chains.market(ChainName::Side);
        let mut stranger = 0;
        let bounties = self.visitors.get_mut(&author).map_or(&mut stranger, |visitor| &mut visitor.bounties);
        loop {
            *bounties += 1;
            let seed = [author.as_slice(), &bounties.to_be_bytes(), &self.setup.scenario.seed.to_be_bytes()].concat();
            let digest = keccak256(seed);
            let guid = Guid::random(u128::from_be_bytes(digest[..16].try_into().expect("16 of 32 bytes")));
            // In a state that was loaded there are bounties that nobody counted.
            if market.bounty(guid).is_none() {
                return guid;
            }
        }
    }

    /// Notes that `account` waits for the receipts of `hashes`.
    pub fn awaits(&mut self, account: Address, hashes: &[B256]) {
        if let Some(visitor) = self.visitors.get_mut(&account) {
            for hash in hashes {
                *visitor.awaits.entry(*hash).or_default() += 1;
            }
        }
    }

    /// Notes that `account` no longer waits for them.
    pub fn gave_up(&mut self, account: Address, hashes: &[B256]) {
        if let Some(visitor) = self.visitors.get_mut(&account) {
            for hash in hashes {
                if let Some(count) = visitor.awaits.get_mut(hash) {
                    *count -= 1;
                    if *count == 0 {
                        visitor.awaits.remove(hash);
                    }
                }
            }
        }
    }

    /// Notes that `account` does nothing more until `block` is over, or [`PASS_MAXIMUM`] blocks if that is less.
    pub fn pass(&mut self, account: Address, block: u64) {
        let block = block.min(self.now().0.saturating_add(PASS_MAXIMUM));
        if let Some(visitor) = self.took_part(account) {
            visitor.passed = visitor.passed.max(block);
        }
    }

    /// Who takes part, and who is done with the current block: they passed, or they wait for transactions of theirs to be
    /// mined and nothing else of theirs is missing.
    pub fn readiness(&self) -> Readiness {
        let count =
            |of: &dyn Fn(&Address, &Visitor) -> bool| self.visitors.iter().filter(|(address, visitor)| of(address, visitor)).count();
        Readiness {
            came: count(&|_, visitor| visitor.came),
            active: count(&|_, visitor| visitor.part == Part::Active),
            gone: count(&|_, visitor| visitor.part == Part::Gone),
            ready: count(&|address, visitor| visitor.part == Part::Active && self.is_ready(*address, visitor)),
        }
    }

    fn is_ready(&self, address: Address, visitor: &Visitor) -> bool {
        let awaits = visitor.awaits.keys();
        let awaits_blocks = || awaits.clone().any(|hash| !self.mined.contains_key(hash));
        let posts_more = || awaits.clone().any(|hash| !self.pool.knows(*hash));
        let has_gap = || {
            let waiting = self.pool.pending(ChainName::Side, address);
            let next = self.pool.next_nonce(ChainName::Side, address, true);
            waiting.iter().enumerate().any(|(position, &nonce)| nonce != next + position as u64)
        };
        visitor.passed >= self.now().0 || (awaits_blocks() && !posts_more() && !has_gap())
    }

    /// Notes that the clock went on without those who were not ready; answers with those of them who were, the last time.
    ///
    /// Clients that cannot pass are silent for long and still there, each with a WebSocket of its own. With fewer `sockets`
    /// than participants some have hung up: those who were silent for longest, and too long, are no longer waited for.
    pub fn went_on(&mut self, sockets: usize) -> Vec<Address> {
        let silent = self.visitors.iter().filter(|(address, visitor)| visitor.part == Part::Active && !self.is_ready(**address, visitor));
        let mut silent: Vec<(u32, Address)> = silent.map(|(address, visitor)| (visitor.silent + 1, *address)).collect();
        silent.sort_unstable_by_key(|(blocks, _)| std::cmp::Reverse(*blocks));
        let mut missing = self.readiness().active.saturating_sub(sockets);
        for (blocks, address) in &silent {
            if let Some(visitor) = self.visitors.get_mut(address) {
                visitor.silent = *blocks;
                if *blocks >= SILENCE && missing > 0 {
                    missing -= 1;
                    visitor.part = Part::Gone;
                }
            }
        }
        silent.into_iter().filter(|(blocks, _)| *blocks == 1).map(|(_, address)| address).collect()
    }

    /// Notes that `account` did something that a participant does.
    fn took_part(&mut self, account: Address) -> Option<&mut Visitor> {
        let visitor = self.visitors.get_mut(&account)?;
        (visitor.part, visitor.silent) = (Part::Active, 0);
        Some(visitor)
    }

    /// Keeps the present under a name.
    ///
    /// # Errors
    ///
    /// If there are too many.
    pub fn snapshot(&mut self, name: String) -> Result<(), StateError> {
        if self.snapshots.len() >= SNAPSHOTS_MAXIMUM && !self.snapshots.contains_key(&name) {
            return Err(StateError::TooMany);
        }
        self.snapshots.insert(name, self.inputs.len());
        self.rest = None;
        Ok(())
    }

    /// Names of the snapshots.
    pub fn snapshots(&self) -> Vec<String> {
        self.snapshots.keys().cloned().collect()
    }

    /// Goes back to a snapshot. It stays and can be gone back to again; later ones are gone, and so is what waits.
    ///
    /// # Errors
    ///
    /// If there is none of that name.
    pub fn revert(&mut self, name: &str) -> Result<(), StateError> {
        let Some(&position) = self.snapshots.get(name) else {
            let known: Vec<&str> = self.snapshots.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(StateError::NoSnapshot { name: name.chars().take(100).collect(), known });
        };
        let inputs = self.inputs[..position].to_vec();
        self.restart(inputs)?;
        self.snapshots.retain(|_, at| *at <= position);
        Ok(())
    }

    /// Plays `inputs` from the first block on.
    fn restart(&mut self, inputs: Vec<Input>) -> Result<(), StateError> {
        self.chains = chains(&self.setup, &self.guests)?;
        self.inputs.clear();
        self.rest = None;
        self.rendered.clear();
        self.pool = Pool::default();
        self.mined.clear();
        self.figures = Figures::default();
        self.feed = Feed::new(&self.chains);
        let passed = std::mem::take(&mut self.visitors);
        let mut mined = false;
        for input in inputs {
            if let Input::Visit { address, .. } | Input::Fund { address, .. } = &input {
                let kept = passed.get(address).cloned().unwrap_or_default();
                self.visitors.insert(*address, Visitor { awaits: HashMap::new(), passed: 0, silent: 0, ..kept });
            }
            // At rest, many blocks are one input.
            let next = if self.chains.is_over() { BLOCK_MAXIMUM } else { self.chains.next_block() };
            if let Input::Mine { block } = input
                && block > next
            {
                return Err(StateError::Unplayable { reason: format!("block {block} comes where block {next} is next") });
            }
            // A block is over when the next one begins.
            if matches!(input, Input::Mine { .. }) && std::mem::replace(&mut mined, true) {
                self.feed.mined(&self.chains);
            }
            self.perform(input)?;
        }
        if mined {
            self.feed.mined(&self.chains);
        }
        Ok(())
    }

    /// The name of what is played: only the same can load a state.
    fn played(&self) -> String {
        let scenario = serde_json::to_string(&self.setup.scenario).unwrap_or_default();
        format!("{:x}", keccak256([scenario.as_bytes(), &self.setup.summary.sha256].concat()))
    }

    /// Everything, to be loaded again.
    pub fn dump(&self) -> State {
        let (uploads, metadata) = self.store.dump();
        State { played: self.played(), inputs: self.inputs.clone(), uploads, metadata }
    }

    /// Becomes what was dumped.
    ///
    /// # Errors
    ///
    /// If it is of another scenario or corpus, or damaged; nothing has changed then.
    pub fn load(&mut self, state: State) -> Result<(), StateError> {
        if state.played != self.played() {
            return Err(StateError::OtherScenario { found: state.played, expected: self.played() });
        }
        // A state from outside may be damaged: what cannot be played leaves everything as it is.
        let mut loaded = Node::new(self.setup.clone(), self.guests.clone())?;
        loaded.store.load(state.uploads, state.metadata)?;
        loaded.restart(state.inputs)?;
        *self = loaded;
        Ok(())
    }

    /// All that is needed to play everything again.
    pub fn recording(&self) -> Recording {
        Recording { setup: self.setup.clone(), guests: self.guests.clone(), inputs: self.inputs.clone() }
    }
}

/// What was done, from the first block on: it can be played again while the node goes on.
#[derive(Clone, Debug)]
pub struct Recording {
    setup: Arc<Setup>,
    guests: Guests,
    inputs: Vec<Input>,
}

impl Recording {
    /// Plays everything, for an observer and whoever reads the log; answers with the chains as they stood.
    ///
    /// # Errors
    ///
    /// If the corpus cannot be read, an invariant is broken, or the reader cannot go on.
    pub fn play<E: From<PlayError>>(&self, observer: &mut dyn Observer, reader: &mut Reader<'_, E>) -> Result<Chains, E> {
        let mut chains = chains(&self.setup, &self.guests)?;
        for input in &self.inputs {
            let outcome = chains.apply(input, observer)?;
            let now = chains.world().market().now();
            for event in &outcome.side {
                reader(now, event, chains.world().names())?;
            }
        }
        Ok(chains)
    }

    /// Everything that `account` was given on the side chain.
    pub fn gifts(&self, account: Address) -> Nct {
        let given = self.inputs.iter().filter_map(|input| match input {
            Input::Visit { address, gift } | Input::Fund { chain: ChainName::Side, address, gift } if *address == account => Some(*gift),
            _ => None,
        });
        given.sum()
    }
}

fn chains(setup: &Arc<Setup>, guests: &Guests) -> Result<Chains, PlayError> {
    let showcase: Showcase = Arc::new(content::show);
    Chains::new(setup.clone(), guests.seat, showcase)
}
