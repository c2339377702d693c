//! The virtual chain: plays every plan on one market, block by block, with the engine under test among the rivals.
//!
//! Within a block, bounties act in the order in which they were posted; then new bounties are posted; then the engine
//! does what is due. All of it runs on one thread: order is part of the answer.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use alloy_primitives::{B256, U256};
use engine::{
    chance::Key,
    distill::DistilledVerdict,
    market_view::{MarketView, OpenBounty, PublicAssertions, Wallet},
    microengine::{Abstention, Effect, Event, Microengine},
};
use market::{
    block::{BlockNumber, Windows},
    bounty::Bounty,
    command::{Command, PostBounty, RevealAssertion},
    commitment::{Commitment, Opening},
    id::{AccountId, Guid, GuidMap},
    market::{Deployment, Market, named_address},
    nct::{Nct, NctDelta},
    rejection::Rejection,
    settlement::{Fees, Rewards},
    verdict::ArtifactSet,
};
use smallvec::{SmallVec, smallvec};

use crate::{
    agenda::{Act, Calendar, Due},
    journal::Journal,
    oracle::{self, Labels},
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

/// A bounty when everybody has settled it.
#[derive(Debug)]
pub struct ClosedBounty<'a> {
    /// What everybody meant to do.
    pub plan: &'a BountyPlan,
    /// What stands on chain.
    pub bounty: &'a Bounty,
    /// Who got what.
    pub rewards: &'a Rewards,
    /// Artifacts that the votes made malicious; `None` without votes.
    pub consensus: Option<ArtifactSet>,
    /// What the engine did.
    pub engine: Decision,
    /// The engine's verdicts, one per artifact.
    pub verdicts: &'a [Option<DistilledVerdict>],
    /// For each of the plan's rivals the position of its assertion, if it was made.
    pub rivals: &'a [Option<u32>],
    /// The block.
    pub now: BlockNumber,
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
struct Accounts {
    engine: AccountId,
    rivals: Vec<AccountId>,
    ambassadors: Vec<AccountId>,
    arbiters: Vec<AccountId>,
    /// Names by account number.
    names: Vec<String>,
}

impl Accounts {
    fn open(market: &mut Market, setup: &Setup) -> Accounts {
        let mut names: Vec<String> = ["nobody", "registry", "staking", "token", "owner"].map(str::to_owned).to_vec();
        let mut open = |name: String, amount: Nct| {
            let account = market.fund(&name, amount);
            assert_eq!(account.0 as usize, names.len(), "names of accounts are different");
            names.push(name);
            account
        };
        let (wallets, arbiters) = (&setup.scenario.wallets, &setup.scenario.arbiters);
        let engine = open("engine".to_owned(), wallets.engine);
        let rivals = setup.population.rivals.iter().map(|rival| open(format!("rival:{}", rival.name), wallets.rivals)).collect();
        let ambassadors =
            (1..=setup.scenario.ambassadors.count).map(|number| open(format!("ambassador:{number}"), wallets.ambassadors)).collect();
        let arbiters = (1..=arbiters.count).map(|number| open(format!("arbiter:{number}"), arbiters.wallet)).collect();
        Accounts { engine, rivals, ambassadors, arbiters, names }
    }
}

/// A bounty between posting and close.
struct Open {
    plan: BoxedPlan,
    agenda: SmallVec<[Due; 24]>,
    next: usize,
    rivals: SmallVec<[Option<u32>; 16]>,
    decision: Decision,
    verdicts: SmallVec<[Option<DistilledVerdict>; 1]>,
    price: Nct,
}

/// A run that is being played.
struct World<'a> {
    setup: &'a Setup,
    market: Market,
    fees: Fees,
    windows: Windows,
    accounts: Accounts,
    engine: Microengine,
    labels: Labels,
    locked: Nct,
    open: Vec<Open>,
    free: Vec<u32>,
    /// Plans of bounties that are over.
    spent: Vec<BoxedPlan>,
    by_guid: GuidMap<u32>,
    calendar: Calendar,
    misses: Vec<Misses>,
    closed: u64,
    unposted: u64,
    effects: Vec<Effect>,
    uri: Arc<str>,
}

/// Plays a whole run with the engine's strategy of that specification; stops early when `interrupted` becomes true.
///
/// # Errors
///
/// If the corpus cannot be read, the journal not written, or an invariant is broken.
pub fn play<W: io::Write>(
    setup: &Setup,
    strategy: &str,
    observer: &mut dyn Observer,
    mut journal: Option<&mut Journal<W>>,
    interrupted: &AtomicBool,
    progress: &mut dyn FnMut(u64),
) -> Result<Played, PlayError> {
    let mut world = World::new(setup, strategy, journal.is_some())?;
    let before: Vec<Nct> = (0..world.accounts.names.len()).map(|account| world.market.balance(AccountId(account as u32))).collect();
    let supply = world.market.ledger().supply();
    let first_block = world.market.now();
    let mut planner = setup.planner()?;
    let mut arrivals: VecDeque<BoxedPlan> = VecDeque::new();
    let mut acting = Vec::new();
    let mut complete = true;
    loop {
        if interrupted.load(Ordering::Relaxed) {
            complete = false;
            break;
        }
        if arrivals.is_empty() {
            arrivals.extend(refill(&mut planner, &mut world.spent)?);
            progress(world.closed);
        }
        // The next block, or, with nothing open, the next bounty's.
        let now = match (world.calendar.waiting, arrivals.front()) {
            (0, None) => break,
            (0, Some(plan)) => plan.posted,
            _ => BlockNumber(world.market.now().0 + 1),
        };
        world.market.advance_to(now);
        world.calendar.take(now, &mut acting);
        for &(_, slot) in &acting {
            world.act(slot, observer)?;
        }
        while arrivals.front().is_some_and(|plan| plan.posted <= now) && !interrupted.load(Ordering::Relaxed) {
            let plan = arrivals.pop_front().expect("just seen");
            world.post(plan, observer)?;
            if arrivals.is_empty() {
                arrivals.extend(refill(&mut planner, &mut world.spent)?);
                progress(world.closed);
            }
        }
        while world.engine.due().is_some_and(|due| due <= now) {
            world.engine_event(Event::NewBlock, observer)?;
        }
        if let Some(journal) = &mut journal {
            let World { market, accounts, .. } = &mut world;
            for event in market.drain_events() {
                journal.write(now, &event, &accounts.names)?;
            }
        }
    }
    progress(world.closed);

    let recount = world.market.ledger().recount();
    if recount != supply {
        return Err(PlayError::Invariant(format!("the balances add up to {recount}, but {supply} were issued")));
    }
    let stakes = world.accounts.arbiters.iter().map(|&arbiter| world.market.staking().balance(arbiter)).sum::<Nct>();
    let held = world.market.balance(AccountId::STAKING);
    if stakes != held {
        return Err(PlayError::Invariant(format!("arbiters have {stakes} at stake, but the staking contract holds {held}")));
    }
    let change = |account: AccountId| world.market.balance(account).minus(before[account.0 as usize]);
    let accounts = &world.accounts;
    Ok(Played {
        closed: world.closed,
        unposted: world.unposted,
        first_block,
        last_block: world.market.now(),
        engine: change(accounts.engine),
        rivals: accounts.rivals.iter().map(|&rival| change(rival)).collect(),
        misses: world.misses,
        ambassadors: accounts.ambassadors.iter().map(|&account| change(account)).sum(),
        arbiters: accounts.arbiters.iter().map(|&account| change(account)).sum(),
        stranded: world.market.balance(AccountId::REGISTRY),
        supply,
        complete,
    })
}

fn refill(planner: &mut Planner<'_>, spent: &mut Vec<BoxedPlan>) -> Result<Vec<BoxedPlan>, SetupError> {
    spent.drain(..).for_each(|plan| planner.recycle(plan));
    planner.next_chunk()
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

impl<'a> World<'a> {
    fn new(setup: &'a Setup, strategy: &str, recording: bool) -> Result<World<'a>, PlayError> {
        let rules = &setup.rules;
        let seed = Key::root(setup.scenario.seed);
        let hashes = seed.named("block hash");
        let deployment = Deployment {
            start: crate::arrivals::START,
            block_hashes: Arc::new(move |block| block_hash(hashes, block)),
            ..Deployment::of(rules)
        };
        let (fees, windows) = (deployment.fees, deployment.windows);
        let mut market = Market::deploy(rules.clone(), deployment).forgetful();
        if recording {
            market = market.recording();
        }
        let accounts = Accounts::open(&mut market, setup);
        let refused = |rejection: Rejection| PlayError::Invariant(format!("an arbiter could not be set up: {rejection}"));
        let owner = market.account(named_address("owner"));
        for &arbiter in &accounts.arbiters {
            market.submit(owner, Command::AddArbiter { arbiter, block: U256::from(market.now().0) }).map_err(refused)?;
            market.submit(arbiter, Command::Deposit(setup.scenario.arbiters.stake)).map_err(refused)?;
        }
        let labels = Labels::default();
        let staker = oracle::build(strategy, &labels).map_err(SetupError::from)?;
        let engine = Microengine::new(setup.backends(), setup.scenario.engine.distiller(), staker, seed.named("engine"));
        let longest_wait = setup.scenario.ambassadors.duration + rules.reveal_window + rules.vote_window + 2;
        Ok(World {
            setup,
            market,
            fees,
            windows,
            misses: vec![Misses::default(); accounts.rivals.len()],
            accounts,
            engine,
            labels,
            locked: Nct::ZERO,
            open: Vec::new(),
            free: Vec::new(),
            spent: Vec::new(),
            by_guid: GuidMap::default(),
            calendar: Calendar::new(longest_wait),
            closed: 0,
            unposted: 0,
            effects: Vec::new(),
            uri: "replay".into(),
        })
    }

    /// Posts a bounty and does what is due about it in the same block.
    fn post(&mut self, plan: BoxedPlan, observer: &mut dyn Observer) -> Result<(), PlayError> {
        let ambassadors = &self.setup.scenario.ambassadors;
        let artifacts = plan.artifacts.len() as u64;
        let post = PostBounty {
            guid: plan.guid,
            artifact_type: u64::from(self.setup.corpus.kind() == datasets::ArtifactKind::Url),
            amount: ambassadors.amount.checked_mul(artifacts).expect("checked with the scenario"),
            artifact_uri: self.uri.clone(),
            artifacts,
            duration: ambassadors.duration,
            bloom: None,
            metadata: None,
        };
        let author = self.accounts.ambassadors[plan.ambassador as usize];
        match self.market.post_bounty(author, post) {
            Ok(_) => {}
            // Ambassadors can run dry; then there is no bounty, and nobody knows of it.
            Err(Rejection::BalanceShort { .. }) => {
                self.unposted += 1;
                self.spent.push(plan);
                return Ok(());
            }
            Err(rejection) => return Err(PlayError::Invariant(format!("bounty {} was refused: {rejection}", plan.number))),
        }
        let (number, guid) = (plan.number, plan.guid);
        let slot = self.open(plan);
        self.by_guid.insert(guid, slot);
        let bounty = OpenBounty::from(self.market.bounty(guid).expect("just posted"));
        self.engine_event(Event::BountyPosted { bounty: &bounty }, observer)?;
        self.act_or_wait(slot, number, observer)
    }

    /// Takes a bounty in, in the memory of one that is over where there is any.
    fn open(&mut self, plan: BoxedPlan) -> u32 {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.spent.push(std::mem::replace(&mut self.open[slot as usize].plan, plan));
                slot
            }
            None => {
                let decision = Decision::Abstained(Abstention::Late);
                let (agenda, rivals, verdicts) = Default::default();
                self.open.push(Open { plan, agenda, next: 0, rivals, decision, verdicts, price: Nct::ZERO });
                (self.open.len() - 1) as u32
            }
        };
        let open = &mut self.open[slot as usize];
        open.next = 0;
        open.decision = Decision::Abstained(Abstention::Late);
        open.price = Nct::ZERO;
        open.verdicts.clear();
        open.rivals.clear();
        open.rivals.resize(open.plan.rivals.len(), None);
        self.plan_agenda(slot);
        slot
    }

    /// Puts everything that will be done about a bounty posted now on its agenda, in order.
    fn plan_agenda(&mut self, slot: u32) {
        let Open { plan, agenda, .. } = &mut self.open[slot as usize];
        let expiration = self.setup.scenario.ambassadors.duration;
        let vote_start = expiration + self.setup.rules.reveal_window;
        let vote_end = vote_start + self.setup.rules.vote_window;
        agenda.clear();
        for (position, rival) in plan.rivals.iter().enumerate() {
            if rival.latency < expiration {
                agenda.push(Due::new(rival.latency, Act::Assert(position as u32)));
            } else {
                self.misses[rival.rival].late += 1;
            }
        }
        // A scan that is done too late is told at expiration: the engine then knows that it is late.
        let scanned = plan.scanned.0.saturating_sub(plan.posted.0);
        agenda.push(Due::new(scanned.min(expiration), Act::Decide));
        agenda.push(Due::new(expiration, Act::Reveal));
        for (position, vote) in plan.votes.iter().enumerate() {
            agenda.push(Due::new(vote_start + vote.delay, Act::Vote(position as u32)));
        }
        agenda.push(Due::new(vote_end, Act::Settle));
        // One block later the hash that the arbiter is drawn with is known.
        agenda.push(Due::new(vote_end + 1, Act::Close));
        agenda.sort_unstable();
    }

    fn act(&mut self, slot: u32, observer: &mut dyn Observer) -> Result<(), PlayError> {
        let number = self.open[slot as usize].plan.number;
        self.act_or_wait(slot, number, observer)
    }

    /// Does what is due about a bounty, then waits for its next block.
    fn act_or_wait(&mut self, slot: u32, number: u64, observer: &mut dyn Observer) -> Result<(), PlayError> {
        let now = self.market.now();
        loop {
            let open = &mut self.open[slot as usize];
            let due = open.agenda[open.next];
            let block = BlockNumber(open.plan.posted.0 + due.wait());
            if block > now {
                self.calendar.add(block, number, slot);
                return Ok(());
            }
            open.next += 1;
            match due.act() {
                Act::Assert(position) => self.rival_asserts(slot, position as usize)?,
                Act::Decide => self.engine_decides(slot, observer)?,
                Act::Reveal => self.rivals_reveal(slot)?,
                Act::Vote(position) => self.arbiter_votes(slot, position as usize)?,
                Act::Settle => self.settle(slot)?,
                Act::Close => return self.close(slot, observer),
            }
        }
    }

    fn rival_asserts(&mut self, slot: u32, position: usize) -> Result<(), PlayError> {
        let open = &mut self.open[slot as usize];
        let plan = &open.plan.rivals[position];
        let commitment = Commitment::envelope(opening(&open.plan, plan));
        let rival = self.accounts.rivals[plan.rival];
        match self.market.post_assertion(rival, open.plan.guid, &plan.bids, plan.mask, commitment) {
            Ok(index) => open.rivals[position] = Some(index as u32),
            Err(Rejection::BalanceShort { .. }) => self.misses[plan.rival].unfunded += 1,
            // A bid out of the limits is the rival's own fault and costs it nothing.
            Err(Rejection::BidBelowMinimum { .. } | Rejection::BidAboveMaximum { .. }) => {}
            Err(rejection) => return Err(PlayError::Invariant(format!("a rival's assertion was refused: {rejection}"))),
        }
        Ok(())
    }

    fn engine_decides(&mut self, slot: u32, observer: &mut dyn Observer) -> Result<(), PlayError> {
        let (now, open) = (self.market.now(), &self.open[slot as usize]);
        let bounty = self.market.bounty(open.plan.guid).expect("it is open");
        let public = OpenBounty::from(bounty);
        self.labels.show(open.plan.labels);
        let view = MarketView {
            now,
            bounty: &public,
            rules: &self.setup.rules,
            fees: self.fees,
            windows: self.windows,
            wallet: Wallet { free: self.market.balance(self.accounts.engine), locked: self.locked },
            assertions: PublicAssertions::of(&bounty.assertions),
        };
        self.engine.on_event(now, Event::Scanned { view: &view, results: &open.plan.results }, &mut self.effects);
        self.open[slot as usize].verdicts.extend_from_slice(self.engine.last_verdicts());
        self.carry_out(observer)
    }

    fn engine_event(&mut self, event: Event<'_>, observer: &mut dyn Observer) -> Result<(), PlayError> {
        self.engine.on_event(self.market.now(), event, &mut self.effects);
        self.carry_out(observer)
    }

    /// Does what the engine asks for.
    fn carry_out(&mut self, observer: &mut dyn Observer) -> Result<(), PlayError> {
        let (now, engine) = (self.market.now(), self.accounts.engine);
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            let slot_of = |guid: &Guid| self.by_guid.get(guid).map(|&slot| slot as usize);
            match effect {
                // Scans are planned: their results come by themselves.
                Effect::Scan { .. } => {}
                Effect::Abstain { guid, reason } => {
                    if let Some(slot) = slot_of(&guid) {
                        self.open[slot].decision = Decision::Abstained(reason);
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
                            observer.locked(now, self.locked);
                            Event::Asserted { guid, index }
                        }
                        Err(rejection) => {
                            self.open[slot].decision = Decision::Refused(rejection);
                            Event::Refused { guid }
                        }
                    };
                    self.engine.on_event(now, told, &mut self.effects);
                }
                Effect::RevealAssertion { guid, index, opening } => {
                    let reveal = RevealAssertion { guid, index, opening, metadata: None };
                    self.market
                        .reveal_assertion(engine, reveal)
                        .map_err(|rejection| PlayError::Invariant(format!("the engine's reveal was refused: {rejection}")))?;
                }
                Effect::SettleBounty { guid } => {
                    self.market
                        .settle_bounty(engine, guid)
                        .map_err(|rejection| PlayError::Invariant(format!("the engine could not settle: {rejection}")))?;
                    if let Some(slot) = slot_of(&guid) {
                        self.locked = self.locked.checked_sub(self.open[slot].price).expect("it was locked");
                        observer.locked(now, self.locked);
                    }
                }
            }
        }
        debug_assert!(self.effects.is_empty(), "being told of a result asks for nothing");
        self.effects = effects;
        Ok(())
    }

    fn rivals_reveal(&mut self, slot: u32) -> Result<(), PlayError> {
        let Open { plan, rivals, .. } = &self.open[slot as usize];
        let reveals = plan.rivals.iter().zip(rivals).filter_map(|(rival, index)| {
            let index = index.filter(|_| rival.reveals)?;
            Some((self.accounts.rivals[rival.rival], u64::from(index), opening(plan, rival)))
        });
        let revealed = self.market.reveal_all(reveals, plan.guid, &None);
        revealed.map_err(|rejection| PlayError::Invariant(format!("a rival's reveal was refused: {rejection}")))
    }

    fn arbiter_votes(&mut self, slot: u32, position: usize) -> Result<(), PlayError> {
        let plan = &self.open[slot as usize].plan;
        let vote = plan.votes[position];
        match self.market.vote_on_bounty(self.accounts.arbiters[vote.arbiter as usize], plan.guid, vote.votes, true) {
            Ok(_) => Ok(()),
            // With the switch that closes voting at quorum, later votes are not taken.
            Err(Rejection::VoteWindow { .. }) if self.setup.rules.switches.close_votes_at_quorum => Ok(()),
            Err(rejection) => Err(PlayError::Invariant(format!("a vote was refused: {rejection}"))),
        }
    }

    /// Ambassador and rivals settle.
    fn settle(&mut self, slot: u32) -> Result<(), PlayError> {
        let Open { plan, rivals, .. } = &self.open[slot as usize];
        let mut everybody: SmallVec<[AccountId; 16]> = smallvec![self.accounts.ambassadors[plan.ambassador as usize]];
        for (rival, index) in plan.rivals.iter().zip(rivals) {
            if index.is_some() {
                everybody.push(self.accounts.rivals[rival.rival]);
            }
        }
        settled(plan.guid, self.market.settle_all(&everybody, plan.guid))
    }

    /// The arbiters who voted settle, the observer is told, and the bounty is forgotten.
    fn close(&mut self, slot: u32, observer: &mut dyn Observer) -> Result<(), PlayError> {
        let open = &self.open[slot as usize];
        let guid = open.plan.guid;
        let arbiters: SmallVec<[AccountId; 16]> =
            open.plan.votes.iter().map(|vote| self.accounts.arbiters[vote.arbiter as usize]).collect();
        settled(guid, self.market.settle_all(&arbiters, guid))?;
        let bounty = self.market.bounty(guid).expect("it is open");
        let rewards = self.market.rewards(guid).map_err(|rejection| PlayError::Invariant(format!("rewards: {rejection}")))?;
        let consensus = (!bounty.votes.is_empty()).then(|| bounty.tally.consensus(&self.setup.rules));
        let (decision, verdicts, rivals) = (open.decision, &open.verdicts, &open.rivals);
        observer.closed(&ClosedBounty {
            plan: &open.plan,
            bounty,
            rewards: &rewards,
            consensus,
            engine: decision,
            verdicts,
            rivals,
            now: self.market.now(),
        });
        self.market.forget(guid);
        self.by_guid.remove(&guid);
        self.free.push(slot);
        self.closed += 1;
        Ok(())
    }
}

fn settled(guid: Guid, result: Result<Nct, Rejection>) -> Result<(), PlayError> {
    result.map(|_| ()).map_err(|rejection| PlayError::Invariant(format!("{guid} could not be settled: {rejection}")))
}

/// What a rival commits to: its nonce follows from the guid and its number; nobody has to guess it in here.
#[inline]
fn opening(plan: &BountyPlan, rival: &RivalPlan) -> Opening {
    let nonce = plan.guid.0 ^ rival.rival as u128 | 1;
    Opening { nonce: U256::from_limbs([nonce as u64, (nonce >> 64) as u64, 0, 0]), verdicts: rival.verdicts }
}

/// So that callers without a journal need not name a writer.
pub type NoJournal = Journal<io::Sink>;
