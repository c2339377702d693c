//! The virtual chain: plays every plan on one market, block by block, with the engine under test among the rivals.
//!
//! Within a block, bounties act in the order in which they were posted; then new bounties are posted; then the engine
//! does what is due. All of it runs on one thread: order is part of the answer. Who comes from outside is in
//! `visitors`; rivals that decide in the market, as the engine does, are in `adaptive`.

mod adaptive;
mod visitors;

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use alloy_primitives::{B256, U256, keccak256};
use engine::{
    chance::Key,
    distill::DistilledVerdict,
    market_view::{MarketView, OpenBounty, PublicAssertions, Wallet},
    microengine::{Abstention, Effect, Event, Microengine},
    settled::SettledBounty,
};
use market::{
    block::{BlockNumber, Windows},
    bloom::Bloom,
    bounty::Bounty,
    command::{Command, PostBounty, RevealAssertion},
    commitment::{Commitment, Opening},
    id::{AccountId, Address, Guid, GuidMap},
    market::{Deployment, Market, named_address},
    nct::{Nct, NctDelta},
    rejection::Rejection,
    ruleset::RuleSet,
    settlement::{Fees, Rewards},
    verdict::ArtifactSet,
};
use smallvec::SmallVec;

use self::adaptive::Adaptive;
use crate::{
    agenda::{Act, Calendar, Due, Entry},
    journal::Journal,
    oracle::{self, Foresight},
    plan::{BountyPlan, BoxedPlan, Planner, Setup, SetupError},
    rivals::RivalPlan,
};

/// Looks on while a run is played.
pub trait Observer {
    /// What the engine has in escrow changed to `locked` in block `now`.
    fn locked(&mut self, _now: BlockNumber, _locked: Nct) {}

    /// A bounty is over and settled by everybody.
    fn closed(&mut self, closed: &ClosedBounty<'_>);
}

/// Looks away.
#[derive(Clone, Copy, Debug)]
pub struct Blind;

impl Observer for Blind {
    fn closed(&mut self, _: &ClosedBounty<'_>) {}
}

/// A bounty when everybody has settled it.
#[derive(Debug)]
pub struct ClosedBounty<'a> {
    /// What everybody meant to do.
    pub plan: &'a BountyPlan,
    /// What stands on chain: who posted it, what was asserted, voted and tallied. Whom the market has noted beside that (who is
    /// drawn, or has settled) only the [world](crate::world) knows.
    pub bounty: &'a Bounty,
    /// Who got what.
    pub rewards: &'a Rewards,
    /// Artifacts that the votes made malicious; `None` without votes.
    pub consensus: Option<ArtifactSet>,
    /// What the engine did.
    pub engine: Decision,
    /// The engine's verdicts, one per artifact.
    pub verdicts: &'a [Option<DistilledVerdict>],
    /// What the engine could have staked when it decided.
    pub free: Nct,
    /// For each of the plan's rivals the position of its assertion, if it was made.
    pub rivals: &'a [Option<u32>],
    /// The block.
    pub now: BlockNumber,
}

impl ClosedBounty<'_> {
    /// What the bounty brought the engine; nothing without an assertion of its own.
    pub fn profit(&self) -> NctDelta {
        match self.engine {
            Decision::Asserted(index) => self.rewards.experts[index as usize].profit(),
            Decision::Abstained(_) | Decision::Refused(_) => NctDelta::ZERO,
        }
    }
}

/// What the engine did about a bounty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Asserted, at that position.
    Asserted(u32),
    /// Left it alone.
    Abstained(Abstention),
    /// Asserted, but the market refused.
    Refused(Rejection),
}

/// Counts of what a rival could not do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Misses {
    /// Assertions that would have come too late.
    pub late: u64,
    /// Assertions that the wallet did not cover.
    pub unfunded: u64,
}

/// What a run came to, beside what its observer saw.
#[derive(Clone, Debug)]
pub struct Played {
    /// Bounties that are over.
    pub closed: u64,
    /// Bounties that no ambassador could pay, so that they were never posted.
    pub unposted: u64,
    /// Bounties of visitors that rivals and arbiters took part in.
    pub adopted: u64,
    /// First block of the run.
    pub first_block: BlockNumber,
    /// Last block of the run.
    pub last_block: BlockNumber,
    /// Change of the engine's balance.
    pub engine: NctDelta,
    /// Change of each rival's balance.
    pub rivals: Vec<NctDelta>,
    /// What each rival missed.
    pub misses: Vec<Misses>,
    /// Change of all ambassadors' balances together.
    pub ambassadors: NctDelta,
    /// Change of all arbiters' balances together.
    pub arbiters: NctDelta,
    /// What is left in escrow, and belongs to nobody.
    pub stranded: Nct,
    /// Nectar in the market; the same before and after.
    pub supply: Nct,
    /// False if the run was interrupted.
    pub complete: bool,
}

/// Why a run broke off.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// The corpus could not be read on.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The journal could not be written.
    #[error("cannot write the journal")]
    Journal(#[from] io::Error),
    /// Nectar was made or lost, or components do not add up: an error in this program.
    #[error("invariant broken: {0}")]
    Invariant(String),
}

/// The accounts of a run.
pub(crate) struct Accounts {
    pub(crate) engine: AccountId,
    pub(crate) rivals: Vec<AccountId>,
    pub(crate) ambassadors: Vec<AccountId>,
    pub(crate) arbiters: Vec<AccountId>,
    /// Names by account number.
    names: Vec<String>,
}

impl Accounts {
    fn open(market: &mut Market, setup: &Setup, seat: Seat<'_>) -> Accounts {
        let mut names: Vec<String> = ["nobody", "registry", "staking", "token", "owner"].map(str::to_owned).to_vec();
        let mut open = |name: String, amount: Nct| {
            let account = market.fund(&name, amount);
            assert_eq!(account.0 as usize, names.len(), "names of accounts are different");
            names.push(name);
            account
        };
        let (wallets, arbiters) = (&setup.scenario.wallets, &setup.scenario.arbiters);
        let engine = match seat {
            Seat::Engine(_) => open("engine".to_owned(), wallets.engine),
            Seat::Visitor(_) => AccountId::NOBODY,
        };
        let rivals = setup.population.rivals.iter().map(|rival| open(format!("rival:{}", rival.name), wallets.rivals)).collect();
        let ambassadors =
            (1..=setup.scenario.ambassadors.count).map(|number| open(format!("ambassador:{number}"), wallets.ambassadors)).collect();
        let arbiters = (1..=arbiters.count).map(|number| open(format!("arbiter:{number}"), arbiters.wallet)).collect();
        Accounts { engine, rivals, ambassadors, arbiters, names }
    }

    /// The account of that address; a new one is known by it.
    fn visitor(&mut self, market: &mut Market, address: Address) -> AccountId {
        let account = market.account(address);
        if account.0 as usize == self.names.len() {
            self.names.push(address.to_checksum(None));
        }
        account
    }
}

/// A bounty between posting and close.
struct Open {
    plan: BountyPlan,
    rivals: SmallVec<[Option<u32>; 16]>,
    decision: Decision,
    verdicts: SmallVec<[Option<DistilledVerdict>; 1]>,
    price: Nct,
    /// What the engine had free when it decided.
    free: Nct,
}

/// Who sits where the report looks: the account whose profit is told.
#[derive(Clone, Copy, Debug)]
pub enum Seat<'a> {
    /// The scenario's engine, in process, with the strategy of that specification. Nobody else comes in.
    Engine(&'a str),
    /// Somebody from outside: the account of that address, or else the first visitor who asserts. The market is open.
    Visitor(Option<Address>),
}

/// What a bounty shows on chain: where its artifacts are, and what it tells of them.
pub type Showcase = Arc<dyn Fn(&BountyPlan) -> Shown + Send + Sync>;

/// See [`Showcase`].
#[derive(Clone, Debug)]
pub struct Shown {
    /// Address of the artifacts.
    pub uri: Arc<str>,
    /// Address of the metadata, if there is any.
    pub metadata: Option<Arc<str>>,
    /// The filter of the artifacts' hashes, as text.
    pub bloom: Option<Box<Bloom>>,
}

/// A run with an engine before its first block, for those who need no market: [`World::into_cast`].
pub(crate) struct Cast {
    pub(crate) setup: Arc<Setup>,
    pub(crate) planner: Planner,
    /// The first plans.
    pub(crate) arrivals: VecDeque<BoxedPlan>,
    pub(crate) accounts: Accounts,
    pub(crate) engine: Microengine,
    pub(crate) foresight: Option<Foresight>,
    pub(crate) fees: Fees,
    pub(crate) windows: Windows,
    pub(crate) supply: Nct,
}

/// Blocks after the vote window for which a bounty waits for visitors who have not settled it.
pub const PATIENCE: u64 = 60;

/// A run that is being played: [`World::next`] says which block comes next, [`World::mine`] plays it.
///
/// A world with a [visitor's seat](Seat::Visitor) is open: between two blocks visitors [submit](World::submit) commands
/// of their own, and a refusal that their doings bring upon a simulated participant is no error.
pub struct World {
    setup: Arc<Setup>,
    market: Market,
    fees: Fees,
    windows: Windows,
    accounts: Accounts,
    owner: AccountId,
    engine: Option<Microengine>,
    foresight: Option<Foresight>,
    /// By rival; empty if none of them decides in the market.
    adaptive: Vec<Option<Adaptive>>,
    showcase: Option<Showcase>,
    /// What rivals' nonces follow from, where visitors could guess them.
    secret: Option<B256>,
    locked: Nct,
    /// Own assertions that the engine has not settled.
    standing: usize,
    planner: Planner,
    arrivals: VecDeque<BoxedPlan>,
    acting: Vec<Entry>,
    open: Vec<Open>,
    free: Vec<u32>,
    /// Plans of bounties that are over.
    spent: Vec<BoxedPlan>,
    by_guid: GuidMap<u32>,
    calendar: Calendar,
    misses: Vec<Misses>,
    closed: u64,
    unposted: u64,
    adopted: u64,
    effects: Vec<Effect>,
    uri: Arc<str>,
    first_block: BlockNumber,
    /// What each account had before the run, gifts included.
    before: Vec<Nct>,
    supply: Nct,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("market", &self.market).field("closed", &self.closed).finish_non_exhaustive()
    }
}

/// Plays a whole run with the engine's strategy of that specification; stops early when `interrupted` becomes true.
///
/// # Errors
///
/// If the corpus cannot be read, the journal not written, or an invariant is broken.
pub fn play<W: io::Write>(
    setup: &Arc<Setup>,
    strategy: &str,
    observer: &mut dyn Observer,
    journal: Option<&mut Journal<W>>,
    interrupted: &AtomicBool,
    progress: &mut dyn FnMut(u64),
) -> Result<Played, PlayError> {
    let go_on = &mut |closed| {
        progress(closed);
        !interrupted.load(Ordering::Relaxed)
    };
    play_on(setup, strategy, observer, journal, go_on)
}

/// [`play`] as long as `go_on`, which hears of bounties that are over from time to time; and at the end, when nobody asks for its
/// answer.
pub(crate) fn play_on<W: io::Write>(
    setup: &Arc<Setup>,
    strategy: &str,
    observer: &mut dyn Observer,
    mut journal: Option<&mut Journal<W>>,
    go_on: &mut dyn FnMut(u64) -> bool,
) -> Result<Played, PlayError> {
    let mut world = World::new(setup.clone(), Seat::Engine(strategy), None, journal.is_some())?;
    let mut complete = true;
    while let Some(now) = world.next() {
        if !world.mine(now, observer, go_on)? {
            complete = false;
            break;
        }
        if let Some(journal) = &mut journal {
            let World { market, accounts, .. } = &mut world;
            for event in market.drain_events() {
                journal.write(now, &event, &accounts.names)?;
            }
        }
    }
    go_on(world.closed);
    world.finish(complete)
}

/// Hashes of past blocks: chance, by address.
fn block_hash(seed: Key, block: BlockNumber) -> B256 {
    let mut chance = seed.with(block.0).stream();
    let mut hash = [0; 32];
    for word in hash.chunks_exact_mut(8) {
        word.copy_from_slice(&chance.bits().to_be_bytes());
    }
    B256::from(hash)
}

impl World {
    /// A market at its first block, with everybody funded and the arbiters in office. Events are kept for
    /// [`World::take_events`] if `recording`.
    ///
    /// # Errors
    ///
    /// If the corpus cannot be read, or the strategy is unknown.
    pub fn new(setup: Arc<Setup>, seat: Seat<'_>, showcase: Option<Showcase>, recording: bool) -> Result<World, PlayError> {
        let rules = &setup.rules;
        let seed = Key::root(setup.scenario.seed);
        let hashes = seed.named("block hash");
        let open = matches!(seat, Seat::Visitor(_));
        let deployment = Deployment {
            // Visitors come before the first block with a bounty.
            start: BlockNumber(crate::arrivals::START.0 - u64::from(open)),
            block_hashes: Arc::new(move |block| block_hash(hashes, block)),
            ..Deployment::of(rules)
        };
        let (fees, windows) = (deployment.fees, deployment.windows);
        let mut market = Market::deploy(rules.clone(), deployment);
        if !open {
            market = market.forgetful();
        }
        if recording {
            market = market.recording();
        }
        let mut accounts = Accounts::open(&mut market, &setup, seat);
        let owner = market.account(named_address("owner"));
        for &arbiter in &accounts.arbiters {
            let refused = |rejection: Rejection| PlayError::Invariant(format!("an arbiter could not be set up: {rejection}"));
            market.submit(owner, Command::AddArbiter { arbiter, block: U256::from(market.now().0) }).map_err(refused)?;
            market.submit(arbiter, Command::Deposit(setup.scenario.arbiters.stake)).map_err(refused)?;
        }
        let (mut engine, mut foresight) = (None, None);
        match seat {
            Seat::Engine(strategy) => {
                let known = Foresight::default();
                let staker = oracle::build(strategy, &known).map_err(SetupError::from)?;
                foresight = oracle::find(strategy).map(|_| known);
                engine = Some(Microengine::new(setup.backends(), setup.scenario.engine.judge(), staker, seed.named("engine")));
            }
            Seat::Visitor(address) => {
                if let Some(address) = address {
                    accounts.engine = accounts.visitor(&mut market, address);
                }
            }
        }
        let adaptive = Adaptive::of(&setup.population, seed).map_err(SetupError::from)?;
        let longest_wait = setup.scenario.ambassadors.duration + rules.reveal_window + rules.vote_window + 2;
        let secret = open.then(|| keccak256(["rival nonces".as_bytes(), &setup.scenario.seed.to_be_bytes()].concat()));
        let (first_block, supply) = (crate::arrivals::START, market.ledger().supply());
        let mut world = World {
            before: (0..accounts.names.len()).map(|account| market.balance(AccountId(account as u32))).collect(),
            planner: setup.planner()?,
            misses: vec![Misses::default(); accounts.rivals.len()],
            calendar: Calendar::new(longest_wait),
            setup,
            market,
            fees,
            windows,
            accounts,
            owner,
            engine,
            foresight,
            adaptive,
            showcase,
            secret,
            locked: Nct::ZERO,
            standing: 0,
            arrivals: VecDeque::new(),
            acting: Vec::new(),
            open: Vec::new(),
            free: Vec::new(),
            spent: Vec::new(),
            by_guid: GuidMap::default(),
            closed: 0,
            unposted: 0,
            adopted: 0,
            effects: Vec::new(),
            uri: "replay".into(),
            first_block,
            supply,
        };
        world.refill()?;
        Ok(world)
    }

    /// Everybody and everything but the market.
    pub(crate) fn into_cast(self) -> Cast {
        let World { setup, planner, arrivals, accounts, engine, foresight, fees, windows, supply, .. } = self;
        let engine = engine.expect("an engine has the seat");
        Cast { setup, planner, arrivals, accounts, engine, foresight, fees, windows, supply }
    }

    /// True if visitors may come in.
    fn is_open(&self) -> bool {
        self.engine.is_none()
    }

    /// The next block in which anything simulated happens, or with nothing open the next bounty's; `None` when the
    /// corpus is through and everything settled.
    pub fn next(&self) -> Option<BlockNumber> {
        match (self.by_guid.is_empty(), self.arrivals.front()) {
            (true, None) => None,
            (true, Some(plan)) => Some(plan.posted.max(self.market.now())),
            _ => Some(BlockNumber(self.market.now().0 + 1)),
        }
    }

    /// Plays block `now`, which may not lie beyond [`World::next`] by more than there is nothing to do in between.
    /// `go_on` hears of bounties that are over from time to time; false if it wanted no more.
    ///
    /// # Errors
    ///
    /// If the corpus cannot be read, or an invariant is broken.
    pub fn mine(&mut self, now: BlockNumber, observer: &mut dyn Observer, go_on: &mut dyn FnMut(u64) -> bool) -> Result<bool, PlayError> {
        self.market.advance_to(now);
        self.act(observer)?;
        while self.arrivals.front().is_some_and(|plan| plan.posted <= now) {
            let plan = self.arrivals.pop_front().expect("just seen");
            self.post(plan, observer)?;
            if self.arrivals.is_empty() {
                self.refill()?;
                if !go_on(self.closed) {
                    return Ok(false);
                }
            }
        }
        while self.engine.as_ref().and_then(Microengine::due).is_some_and(|due| due <= now) {
            self.engine_event(Event::NewBlock, observer)?;
        }
        Ok(true)
    }

    fn refill(&mut self) -> Result<(), PlayError> {
        self.spent.drain(..).for_each(|plan| self.planner.recycle(plan));
        self.arrivals.extend(self.planner.next_chunk()?);
        Ok(())
    }

    /// Checks that Nectar was conserved, and adds up what the run came to.
    ///
    /// # Errors
    ///
    /// [`PlayError::Invariant`] if Nectar was made or lost.
    pub fn finish(self, complete: bool) -> Result<Played, PlayError> {
        let market = &self.market;
        let (recount, supply) = (market.ledger().recount(), self.supply);
        if recount != supply {
            return Err(PlayError::Invariant(format!("the balances add up to {recount}, but {supply} were issued")));
        }
        let stakes = (0..self.accounts.names.len()).map(|account| market.staking().balance(AccountId(account as u32))).sum::<Nct>();
        let held = market.balance(AccountId::STAKING);
        // Visitors can send Nectar to any address, this one included.
        if stakes > held || (stakes != held && !self.is_open()) {
            return Err(PlayError::Invariant(format!("arbiters have {stakes} at stake, but the staking contract holds {held}")));
        }
        let change = |account: AccountId| market.balance(account).minus(self.before[account.0 as usize]);
        let accounts = &self.accounts;
        Ok(Played {
            closed: self.closed,
            unposted: self.unposted,
            adopted: self.adopted,
            first_block: self.first_block,
            last_block: market.now(),
            engine: change(accounts.engine),
            rivals: accounts.rivals.iter().map(|&rival| change(rival)).collect(),
            misses: self.misses,
            ambassadors: accounts.ambassadors.iter().map(|&account| change(account)).sum(),
            arbiters: accounts.arbiters.iter().map(|&account| change(account)).sum(),
            stranded: market.balance(AccountId::REGISTRY),
            supply,
            complete,
        })
    }

    /// The market, to look at.
    pub fn market(&self) -> &Market {
        &self.market
    }

    /// What the run is made of.
    pub fn setup(&self) -> &Arc<Setup> {
        &self.setup
    }

    /// Names of all accounts, by number.
    pub fn names(&self) -> &[String] {
        &self.accounts.names
    }

    /// The plan of a bounty that is open.
    pub fn plan(&self, guid: Guid) -> Option<&BountyPlan> {
        self.by_guid.get(&guid).map(|&slot| &self.open[slot as usize].plan)
    }

    /// The account in the seat; [`AccountId::NOBODY`] as long as no visitor took it.
    pub fn seat(&self) -> AccountId {
        self.accounts.engine
    }

    /// Bounties that are over.
    pub fn closed(&self) -> u64 {
        self.closed
    }

    /// The events since the last call, in order.
    pub fn take_events(&mut self) -> Vec<market::event::Event> {
        self.market.take_events()
    }

    /// Posts a bounty and does what is due about it in the same block.
    fn post(&mut self, mut plan: BoxedPlan, observer: &mut dyn Observer) -> Result<(), PlayError> {
        // Where time jumped, it is late.
        plan.posted = self.market.now();
        let ambassadors = &self.setup.scenario.ambassadors;
        let artifacts = plan.artifacts.len() as u64;
        let shown = match &self.showcase {
            Some(showcase) => showcase(&plan),
            None => Shown { uri: self.uri.clone(), metadata: None, bloom: None },
        };
        let post = PostBounty {
            guid: plan.guid,
            artifact_type: u64::from(self.setup.corpus.kind() == datasets::ArtifactKind::Url),
            amount: ambassadors.amount.checked_mul(artifacts).expect("checked with the scenario"),
            artifact_uri: shown.uri,
            artifacts,
            duration: plan.duration,
            bloom: shown.bloom,
            metadata: shown.metadata,
        };
        let author = self.accounts.ambassadors[plan.ambassador as usize];
        match self.market.post_bounty(author, post) {
            Ok(_) => {}
            // Ambassadors can run dry; then there is no bounty, and nobody knows of it.
            Err(rejection) if matches!(rejection, Rejection::BalanceShort { .. }) || self.is_open() => {
                self.unposted += 1;
                self.spent.push(plan);
                return Ok(());
            }
            Err(rejection) => return Err(PlayError::Invariant(format!("bounty {} was refused: {rejection}", plan.number))),
        }
        let guid = plan.guid;
        let slot = self.open(plan, self.market.now());
        self.by_guid.insert(guid, slot);
        if self.engine.is_some() {
            let bounty = OpenBounty::from(self.market.bounty(guid).expect("just posted"));
            self.engine_event(Event::BountyPosted { bounty: &bounty }, observer)?;
        }
        self.act(observer)
    }

    /// Takes a bounty in, in the memory of one that is over where there is any. Nothing is done about it before block
    /// `from`.
    fn open(&mut self, mut plan: BoxedPlan, from: BlockNumber) -> u32 {
        let slot = match self.free.pop() {
            Some(slot) => {
                std::mem::swap(&mut self.open[slot as usize].plan, &mut *plan);
                self.spent.push(plan);
                slot
            }
            None => {
                let decision = Decision::Abstained(Abstention::NoAnswer);
                let (rivals, verdicts) = Default::default();
                self.open.push(Open { plan: *plan, rivals, decision, verdicts, price: Nct::ZERO, free: Nct::ZERO });
                (self.open.len() - 1) as u32
            }
        };
        let open = &mut self.open[slot as usize];
        // What stands if the engine never says anything.
        open.decision = Decision::Abstained(if self.engine.is_some() { Abstention::Late } else { Abstention::NoAnswer });
        (open.price, open.free) = (Nct::ZERO, Nct::ZERO);
        open.verdicts.clear();
        open.rivals.clear();
        open.rivals.resize(open.plan.rivals.len(), None);
        self.schedule(slot, from);
        slot
    }

    /// Enters everything that will be done about a bounty into the calendar, what is done in the same block in order.
    fn schedule(&mut self, slot: u32, from: BlockNumber) {
        let World { open, calendar, .. } = self;
        let plan = &open[slot as usize].plan;
        let &BountyPlan { number, posted, .. } = plan;
        let mut add = |wait: u64, act: Act| {
            let due = Due::new(wait, act);
            calendar.add(due.block(posted).max(from), Entry { number, due, slot });
        };
        let expiration = plan.duration;
        let (vote_start, vote_end) = ends(expiration, &self.windows);
        for (position, rival) in plan.rivals.iter().enumerate() {
            if rival.latency < expiration {
                add(rival.latency, Act::Assert(position as u32));
            } else {
                self.misses[rival.rival].late += 1;
            }
        }
        // A scan that is done too late is told at expiration: the engine then knows that it is late.
        if self.engine.is_some() {
            let scanned = plan.scanned.0.saturating_sub(plan.posted.0);
            add(scanned.min(expiration), Act::Decide);
        }
        add(expiration, Act::Reveal);
        for position in 0..plan.votes.len() {
            add(vote_wait(plan, position, (vote_start, vote_end)), Act::Vote(position as u32));
        }
        add(vote_end, Act::Settle);
        // One block later the hash that the arbiter is drawn with is known.
        add(vote_end.saturating_add(1), Act::Close);
    }

    /// Does what is due in this block.
    fn act(&mut self, observer: &mut dyn Observer) -> Result<(), PlayError> {
        let mut acting = std::mem::take(&mut self.acting);
        self.calendar.take(self.market.now(), &mut acting);
        if self.is_open() {
            self.put_back(&mut acting);
            // Only visitors and the owner disturb the order.
            acting.sort_unstable();
        }
        debug_assert!(acting.is_sorted());
        let acted = acting.iter().try_for_each(|&entry| self.carry_on(entry, observer));
        self.acting = acting;
        acted
    }

    /// Puts back what came up too early.
    fn put_back(&mut self, acting: &mut Vec<Entry>) {
        let World { open, calendar, market, .. } = self;
        acting.retain(|&entry| {
            let block = entry.due.block(open[entry.slot as usize].plan.posted);
            let is_due = block <= market.now();
            if !is_due {
                calendar.add(block, entry);
            }
            is_due
        });
    }

    #[inline(always)]
    fn carry_on(&mut self, entry: Entry, observer: &mut dyn Observer) -> Result<(), PlayError> {
        let Entry { number, due, slot } = entry;
        debug_assert_eq!(number, self.open[slot as usize].plan.number, "nothing is due once a bounty is over");
        match due.act() {
            Act::Assert(position) => self.rival_asserts(slot, position as usize),
            Act::Decide => self.engine_decides(slot, observer),
            Act::Reveal => self.rivals_reveal(slot),
            Act::Vote(position) => self.arbiter_votes(slot, position as usize),
            Act::Settle => {
                self.settle(slot)?;
                self.teach(slot, observer)
            }
            Act::Close | Act::Wait => {
                if due.act() == Act::Close {
                    self.arbiters_settle(slot)?;
                }
                if !self.awaits_visitors(slot) {
                    return self.close(slot, observer);
                }
                let (now, posted) = (self.market.now(), self.open[slot as usize].plan.posted);
                let due = Due::new(now.0 + 1 - posted.0, Act::Wait);
                self.calendar.add(due.block(posted), Entry { due, ..entry });
                Ok(())
            }
        }
    }

    fn rival_asserts(&mut self, slot: u32, position: usize) -> Result<(), PlayError> {
        if !self.adaptive.is_empty() && !self.rival_decides(slot, position) {
            return Ok(());
        }
        let open = &mut self.open[slot as usize];
        let plan = &open.plan.rivals[position];
        let commitment = Commitment::envelope(opening(&open.plan, plan, self.secret.as_ref()));
        let rival = self.accounts.rivals[plan.rival];
        match self.market.post_assertion(rival, open.plan.guid, &plan.bids, plan.mask, commitment) {
            Ok(index) => {
                open.rivals[position] = Some(index as u32);
                if !self.adaptive.is_empty() {
                    self.rival_locks(slot, position);
                }
            }
            Err(Rejection::BalanceShort { .. }) => self.misses[plan.rival].unfunded += 1,
            // A bid out of the limits is the rival's own fault and costs it nothing.
            Err(Rejection::BidBelowMinimum { .. } | Rejection::BidAboveMaximum { .. }) => {}
            Err(_) if self.is_open() => {}
            Err(rejection) => return Err(PlayError::Invariant(format!("a rival's assertion was refused: {rejection}"))),
        }
        Ok(())
    }

    fn engine_decides(&mut self, slot: u32, observer: &mut dyn Observer) -> Result<(), PlayError> {
        let (now, open) = (self.market.now(), &self.open[slot as usize]);
        let bounty = self.market.bounty(open.plan.guid).expect("it is open");
        let public = OpenBounty::from(bounty);
        if let Some(foresight) = &self.foresight {
            foresight.show(open.plan.future(&open.rivals, now.0 - open.plan.posted.0, &self.setup.rules));
        }
        let view = MarketView {
            now,
            bounty: &public,
            rules: &self.setup.rules,
            fees: self.fees,
            windows: self.windows,
            wallet: Wallet { free: self.market.balance(self.accounts.engine), locked: self.locked, open: self.standing },
            assertions: PublicAssertions::of(&bounty.assertions),
            factors: &open.plan.factors,
        };
        let engine = self.engine.as_mut().expect("only an engine in process is asked");
        let free = view.wallet.free;
        engine.on_event(now, Event::Scanned { view: &view, results: &open.plan.results }, &mut self.effects);
        self.open[slot as usize].free = free;
        self.open[slot as usize].verdicts.extend_from_slice(engine.last_verdicts());
        self.carry_out(observer)
    }

    fn engine_event(&mut self, event: Event<'_>, observer: &mut dyn Observer) -> Result<(), PlayError> {
        let engine = self.engine.as_mut().expect("only an engine in process is told");
        engine.on_event(self.market.now(), event, &mut self.effects);
        self.carry_out(observer)
    }

    /// Does what the engine asks for.
    fn carry_out(&mut self, observer: &mut dyn Observer) -> Result<(), PlayError> {
        let (now, engine) = (self.market.now(), self.accounts.engine);
        let mut effects = std::mem::take(&mut self.effects);
        for effect in &effects {
            let slot_of = |guid: &Guid| self.by_guid.get(guid).map(|&slot| slot as usize);
            match effect {
                // Scans are planned: their results come by themselves.
                Effect::Scan { .. } => {}
                Effect::Abstain { guid, reason } => {
                    if let Some(slot) = slot_of(guid) {
                        self.open[slot].decision = Decision::Abstained(*reason);
                    }
                }
                Effect::PostAssertion(assertion) => {
                    let Some(slot) = slot_of(&assertion.guid) else { continue };
                    let guid = assertion.guid;
                    let price =
                        assertion.bids.iter().copied().sum::<Nct>().checked_add(self.fees.assertion).expect("the engine has as much");
                    let commitment = Commitment::envelope(assertion.opening);
                    let told = match self.market.post_assertion(engine, guid, &assertion.bids, assertion.mask, commitment) {
                        Ok(index) => {
                            self.open[slot].decision = Decision::Asserted(index as u32);
                            self.open[slot].price = price;
                            self.locked = self.locked.checked_add(price).expect("within the supply");
                            self.standing += 1;
                            observer.locked(now, self.locked);
                            Event::Asserted { guid, index }
                        }
                        Err(rejection) => {
                            self.open[slot].decision = Decision::Refused(rejection);
                            Event::Refused { guid }
                        }
                    };
                    self.engine.as_mut().expect("it asked for this").on_event(now, told, &mut self.effects);
                }
                &Effect::RevealAssertion { guid, index, opening } => {
                    let reveal = RevealAssertion { guid, index, opening, metadata: None };
                    self.market
                        .reveal_assertion(engine, reveal)
                        .map_err(|rejection| PlayError::Invariant(format!("the engine's reveal was refused: {rejection}")))?;
                }
                &Effect::SettleBounty { guid } => {
                    self.market
                        .settle_bounty(engine, guid)
                        .map_err(|rejection| PlayError::Invariant(format!("the engine could not settle: {rejection}")))?;
                    if let Some(slot) = slot_of(&guid) {
                        self.locked = self.locked.checked_sub(self.open[slot].price).expect("it was locked");
                        self.standing -= 1;
                        observer.locked(now, self.locked);
                    }
                }
            }
        }
        debug_assert!(self.effects.is_empty(), "being told of a result asks for nothing");
        effects.clear();
        self.effects = effects;
        Ok(())
    }

    fn rivals_reveal(&mut self, slot: u32) -> Result<(), PlayError> {
        let Open { plan, rivals, .. } = &self.open[slot as usize];
        let reveals = plan.rivals.iter().zip(rivals).filter_map(|(rival, index)| {
            let index = index.filter(|_| rival.reveals)?;
            Some((self.accounts.rivals[rival.rival], u64::from(index)))
        });
        match self.market.reveal_all(reveals, plan.guid) {
            Err(rejection) if !self.is_open() => Err(PlayError::Invariant(format!("a rival's reveal was refused: {rejection}"))),
            _ => Ok(()),
        }
    }

    fn arbiter_votes(&mut self, slot: u32, position: usize) -> Result<(), PlayError> {
        let plan = &self.open[slot as usize].plan;
        let vote = plan.votes[position];
        match self.market.vote_on_bounty(self.accounts.arbiters[vote.arbiter as usize], plan.guid, vote.votes, true) {
            Ok(_) => Ok(()),
            // With the switch that closes voting at quorum, later votes are not taken.
            Err(Rejection::VoteWindow { .. }) if self.setup.rules.switches.close_votes_at_quorum => Ok(()),
            Err(_) if self.is_open() => Ok(()),
            Err(rejection) => Err(PlayError::Invariant(format!("a vote was refused: {rejection}"))),
        }
    }

    /// Ambassador and rivals settle.
    fn settle(&mut self, slot: u32) -> Result<(), PlayError> {
        let Open { plan, rivals, .. } = &self.open[slot as usize];
        let mut everybody: SmallVec<[AccountId; 16]> = SmallVec::new();
        everybody.extend(self.accounts.ambassadors.get(plan.ambassador as usize).copied());
        for (rival, index) in plan.rivals.iter().zip(rivals) {
            if index.is_some() {
                everybody.push(self.accounts.rivals[rival.rival]);
            }
        }
        let guid = plan.guid;
        let settled = self.market.settle_all(&everybody, guid);
        self.settled(guid, settled)
    }

    /// An engine that learns hears what became of the bounty, and so do rivals that learn.
    fn teach(&mut self, slot: u32, observer: &mut dyn Observer) -> Result<(), PlayError> {
        let studies = self.engine.as_ref().filter(|engine| engine.learns()).map(Microengine::studies_stakes);
        if studies.is_none() && self.adaptive.is_empty() {
            return Ok(());
        }
        let open = &self.open[slot as usize];
        let (bounty, rules) = (self.market.bounty(open.plan.guid).expect("it is open"), &self.setup.rules);
        let settled = SettledBounty::of(bounty, self.market.now(), rules.bids, self.fees.assertion, consensus(bounty, rules));
        let own = match open.decision {
            Decision::Asserted(index) => Some(index as usize),
            _ => None,
        };
        let asked = studies == Some(true) || !self.adaptive.is_empty();
        let assertions = if asked { SettledBounty::assertions_of(bounty) } else { Vec::new() };
        if !self.adaptive.is_empty() {
            self.rivals_learn(slot, &settled, &assertions);
        }
        let Some(studies) = studies else { return Ok(()) };
        let settled = SettledBounty { assertions: studies.then_some(assertions), own, ..settled };
        self.engine_event(Event::Settled(Box::new(settled)), observer)
    }

    /// The arbiters who voted settle.
    fn arbiters_settle(&mut self, slot: u32) -> Result<(), PlayError> {
        let open = &self.open[slot as usize];
        let guid = open.plan.guid;
        let arbiters: SmallVec<[AccountId; 16]> =
            open.plan.votes.iter().map(|vote| self.accounts.arbiters[vote.arbiter as usize]).collect();
        let settled = self.market.settle_all(&arbiters, guid);
        self.settled(guid, settled)
    }

    fn settled(&self, guid: Guid, result: Result<Nct, Rejection>) -> Result<(), PlayError> {
        match result {
            Err(rejection) if !self.is_open() => Err(PlayError::Invariant(format!("{guid} could not be settled: {rejection}"))),
            _ => Ok(()),
        }
    }

    /// Everybody has settled: the observer is told, and the bounty is forgotten.
    fn close(&mut self, slot: u32, observer: &mut dyn Observer) -> Result<(), PlayError> {
        let open = &self.open[slot as usize];
        let guid = open.plan.guid;
        let bounty = self.market.bounty(guid).expect("it is open");
        let rewards = match self.market.rewards(guid) {
            Ok(rewards) => Some(rewards),
            // A visitor's stray mask bits can make a bounty unsettleable for ever (S2): there is nothing to score.
            Err(_) if self.is_open() => None,
            Err(rejection) => return Err(PlayError::Invariant(format!("rewards: {rejection}"))),
        };
        let consensus = consensus(bounty, &self.setup.rules);
        let (decision, verdicts, rivals) = (open.decision, &open.verdicts, &open.rivals);
        if let Some(rewards) = rewards {
            observer.closed(&ClosedBounty {
                plan: &open.plan,
                bounty,
                rewards: &rewards,
                consensus,
                engine: decision,
                verdicts,
                free: open.free,
                rivals,
                now: self.market.now(),
            });
        }
        let unsettled = std::mem::take(&mut self.open[slot as usize].price);
        if self.is_open() && !unsettled.is_zero() {
            self.locked = self.locked.checked_sub(unsettled).expect("it was locked");
            observer.locked(self.market.now(), self.locked);
        }
        self.market.forget(guid);
        self.by_guid.remove(&guid);
        self.free.push(slot);
        self.closed += 1;
        Ok(())
    }
}

/// Artifacts that the votes made malicious; `None` without votes.
fn consensus(bounty: &Bounty, rules: &RuleSet) -> Option<ArtifactSet> {
    (!bounty.votes.is_empty()).then(|| bounty.tally.consensus(rules))
}

/// Blocks from posting to the first block of the vote window and to the first after it.
fn ends(duration: u64, windows: &Windows) -> (u64, u64) {
    let vote_start = duration.saturating_add(windows.reveal().saturating_to());
    (vote_start, vote_start.saturating_add(windows.vote().saturating_to()))
}

/// Blocks from posting to a vote. Where the owner has made the window too short for it, it is refused, but before the bounty is
/// over.
fn vote_wait(plan: &BountyPlan, position: usize, (vote_start, vote_end): (u64, u64)) -> u64 {
    vote_start.saturating_add(plan.votes[position].delay).min(vote_end)
}

/// What a rival commits to. Among themselves its nonce follows from the guid and its number: nobody has to guess it in
/// here. Visitors could, so in an open market it follows from a secret, too.
#[inline(always)]
pub(crate) fn opening(plan: &BountyPlan, rival: &RivalPlan, secret: Option<&B256>) -> Opening {
    let [first, second, third, fourth] = match secret {
        None => {
            let nonce = plan.guid.0 ^ rival.rival as u128 | 1;
            [nonce as u64, (nonce >> 64) as u64, 0, 0]
        }
        Some(secret) => secret_nonce(plan, rival, secret).into_limbs(),
    };
    Opening { nonce: U256::from_limbs([first, second, third, fourth]), verdicts: rival.verdicts }
}

#[cold]
fn secret_nonce(plan: &BountyPlan, rival: &RivalPlan, secret: &B256) -> U256 {
    let address = [secret.as_slice(), &plan.guid.0.to_be_bytes(), &(rival.rival as u64).to_be_bytes()].concat();
    U256::from_be_bytes(keccak256(address).0) | U256::ONE
}

/// So that callers without a journal need not name a writer.
pub type NoJournal = Journal<io::Sink>;
