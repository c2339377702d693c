//! Playing a run bounty by bounty, where that comes to the same as block by block.
//!
//! As long as rivals and ambassadors can pay whatever they plan, what becomes of a bounty depends on its plan and on the
//! engine's assertion alone: nobody else reacts to anybody. Then nothing need be done block by block on a market: the engine is
//! played as against a [tape](crate::tape), and when a bounty is over, all that was said on it is put in order and
//! settled by the market's own [settlement] at once. What an observer sees, and what everybody has in the end, is what the
//! [world] comes to, to the wei (`tests/direct.rs`).
//!
//! The world is played where events are asked for (a journal), where rivals decide in the market, with any of the rules'
//! switches, and where somebody's wallet gets so low that it might not cover all that is planned next: from the beginning, with the
//! engine made anew, but silent until there is something that was not shown before.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use engine::{
    artifact::ScanResult,
    market_view::{OpenBounty, PublicAssertion},
    settled::SettledBounty,
    stake,
};
use market::{
    block::{BlockNumber, Windows},
    bounty::{Assertion, Bounty, Vote, check_bids},
    command::PostBounty,
    id::AccountId,
    nct::{Nct, NctDelta},
    quorum::Tally,
    ruleset::{Bids, Switches},
    settlement::{self, ExpertReward, Fees, Rewards},
    verdict::ArtifactSet,
};
use smallvec::SmallVec;

use crate::{
    journal::Journal,
    oracle::Future,
    plan::{BountyPlan, BoxedPlan, CHUNK, Planner, Setup},
    player::{Ended, Player, Reel, Terms},
    rivals::Rival,
    world::{self, Accounts, Cast, ClosedBounty, Misses, NoJournal, Observer, PlayError, Played, Seat, World, opening},
};

/// Plays a whole run with the engine's strategy of that specification, the fastest way there is; stops early when
/// `interrupted` becomes true.
///
/// # Errors
///
/// As [`world::play`]; what cannot be settled may be found out later in its block.
pub fn play<W: io::Write>(
    setup: &Arc<Setup>,
    strategy: &str,
    observer: &mut dyn Observer,
    journal: Option<&mut Journal<W>>,
    interrupted: &AtomicBool,
    progress: &mut dyn FnMut(u64),
) -> Result<Played, PlayError> {
    let purses = Purses::of(setup).filter(|purses| {
        // Who takes the world's place may have to give way to it, and then the engine is asked again.
        let at_least = if stake::is_foreign(strategy) { setup.bounties } else { setup.bounties.min(CHUNK as u64) };
        purses.cover(at_least)
    });
    let Some(purses) = purses.filter(|_| journal.is_none() && comes_to_the_same(setup)) else {
        return world::play(setup, strategy, observer, journal, interrupted, progress);
    };
    let mut relay = Relay { observer, passed: 0, skipped: 0 };
    let mut told = 0u64;
    let mut tell = |closed: u64| {
        told += 1;
        progress(closed);
        !interrupted.load(Ordering::Relaxed)
    };
    let cast = World::new(setup.clone(), Seat::Engine(strategy), None, false)?.into_cast();
    let (so_far, gives_way) = Stage::play(cast, purses, &mut relay, &mut tell)?;
    if !gives_way {
        progress(so_far.closed);
        return Ok(so_far);
    }
    // From the beginning, in the same order: what was seen and told is not seen and told again.
    relay.skipped = std::mem::take(&mut relay.passed);
    let mut caught_up = true;
    let go_on = &mut |closed| {
        if told > 0 || !caught_up {
            told = told.saturating_sub(1);
            caught_up = !interrupted.load(Ordering::Relaxed);
            return caught_up;
        }
        progress(closed);
        !interrupted.load(Ordering::Relaxed)
    };
    let played = world::play_on(setup, strategy, &mut relay, None::<&mut NoJournal>, go_on)?;
    if caught_up {
        return Ok(played);
    }
    progress(so_far.closed);
    Ok(so_far)
}

/// True if nothing but the engine's wallet can make one bounty touch another, as long as others can pay what they plan.
fn comes_to_the_same(setup: &Setup) -> bool {
    setup.population.adaptive().is_none() && setup.rules.switches == Switches::default()
}

/// Passes on what is to be seen, but for the first of it, and counts.
struct Relay<'a> {
    observer: &'a mut dyn Observer,
    skipped: u64,
    passed: u64,
}

impl Relay<'_> {
    fn pass(&mut self, show: impl FnOnce(&mut dyn Observer)) {
        if self.skipped > 0 {
            self.skipped -= 1;
        } else {
            self.passed += 1;
            show(self.observer);
        }
    }
}

impl Observer for Relay<'_> {
    fn locked(&mut self, now: BlockNumber, locked: Nct) {
        self.pass(|observer| observer.locked(now, locked));
    }

    fn closed(&mut self, closed: &ClosedBounty<'_>) {
        self.pass(|observer| observer.closed(closed));
    }
}

/// Bounties from the oldest that is not over to the last that is planned, and everybody's money but the engine's.
struct Stage<'a> {
    setup: Arc<Setup>,
    planner: Planner,
    accounts: Accounts,
    fees: Fees,
    windows: Windows,
    /// Number of the first of these.
    first: usize,
    bounties: VecDeque<Staged>,
    /// Memory of settled bounties, to serve again.
    spare: Vec<BoxedSettled>,
    purses: Purses,
    arbiters: Nct,
    /// Shares that nobody is due.
    unclaimed: Nct,
    misses: Vec<Misses>,
    observer: &'a mut dyn Observer,
    go_on: &'a mut dyn FnMut(u64) -> bool,
    /// True once somebody might not be able to pay.
    gives_way: bool,
}

/// A bounty that is planned, and perhaps posted.
struct Staged {
    plan: BoxedPlan,
    /// Positions in the plan of the rivals who assert, in order.
    order: SmallVec<[u32; 16]>,
    /// How many of them the engine sees.
    seen: u32,
    settled: Option<BoxedSettled>,
}

/// A bounty as it stands on chain when it is over.
struct Settled {
    bounty: Bounty,
    rewards: Rewards,
    consensus: Option<ArtifactSet>,
    /// Positions of the rivals' assertions.
    rivals: SmallVec<[Option<u32>; 16]>,
}

/// In its own place: it goes from bounty to bounty.
type BoxedSettled = Box<Settled>;

/// What somebody began with, and has paid in and got since.
#[derive(Clone, Copy, Default)]
struct Purse {
    wallet: Nct,
    /// The most that it can pay in for one bounty.
    price: Nct,
    spent: Nct,
    earned: Nct,
}

impl Purse {
    fn pay(&mut self, amounts: &[Nct], fee: Nct) {
        amounts.iter().for_each(|&amount| add(&mut self.spent, amount));
        add(&mut self.spent, fee);
    }

    fn change(&self) -> NctDelta {
        self.earned.minus(self.spent)
    }

    /// True if that many bounties more can be paid, in any order.
    fn covers(&self, bounties: u64) -> bool {
        let has = self.wallet.checked_add(self.earned).and_then(|got| got.checked_sub(self.spent));
        has.zip(self.price.checked_mul(bounties)).is_some_and(|(has, needed)| needed <= has)
    }
}

/// Everybody's whose wallet the market depends on.
struct Purses {
    rivals: Vec<Purse>,
    ambassadors: Vec<Purse>,
}

impl Purses {
    /// As they are before a run; `None` where it is not known what somebody might pay.
    fn of(setup: &Setup) -> Option<Purses> {
        let Setup { scenario, rules, population, .. } = setup;
        let artifacts = u64::from(scenario.ambassadors.artifacts);
        let bids = if rules.bids == Bids::PerBounty { 1 } else { artifacts };
        let rival = |rival: &Rival| {
            let price = rival.highest_bid()?.checked_mul(bids)?.checked_add(rules.assertion_fee)?;
            Some(Purse { wallet: scenario.wallets.rivals, price, ..Purse::default() })
        };
        let price = scenario.ambassadors.amount.checked_mul(artifacts)?.checked_add(rules.bounty_fee)?;
        let ambassador = Purse { wallet: scenario.wallets.ambassadors, price, ..Purse::default() };
        let ambassadors = vec![ambassador; scenario.ambassadors.count as usize];
        Some(Purses { rivals: population.rivals.iter().map(rival).collect::<Option<_>>()?, ambassadors })
    }

    fn all(&self) -> impl Iterator<Item = &Purse> {
        self.rivals.iter().chain(&self.ambassadors)
    }

    /// True if everybody can pay that many bounties more, in any order.
    fn cover(&self, bounties: u64) -> bool {
        self.all().all(|purse| purse.covers(bounties))
    }
}

#[inline]
fn add(sum: &mut Nct, amount: Nct) {
    assert!(sum.give(amount), "sums of a real supply");
}

/// Somebody's turn: the block in which it comes above, its position in the plan below, in one number that sorts as the two do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn(u64);

impl Turn {
    /// Of fewer than 2^32 blocks: all waits end with a window of the market.
    fn new(wait: u64, position: usize) -> Turn {
        Turn(wait << 32 | position as u64)
    }

    fn wait(self) -> u64 {
        self.0 >> 32
    }

    fn position(self) -> usize {
        self.0 as u32 as usize
    }
}

/// Sorts different turns.
#[inline]
fn in_order(turns: &mut SmallVec<[Turn; 16]>) {
    if turns.len() > 16 {
        return turns.sort_unstable();
    }
    // A few are put where they belong by counting who comes before: how draws compare cannot be foreseen.
    let before = turns.clone();
    for &turn in &before {
        turns[before.iter().map(|&other| usize::from(other < turn)).sum::<usize>()] = turn;
    }
}

impl Staged {
    /// Blocks from posting to the engine's decision: a scan that is done too late is told at expiration.
    fn wait(&self) -> u64 {
        self.plan.scanned.0.saturating_sub(self.plan.posted.0).min(self.plan.duration)
    }

    /// Rivals who assert, in order, each with its position in the plan.
    fn rivals(&self) -> impl Iterator<Item = (usize, &crate::rivals::RivalPlan)> {
        self.order.iter().map(|&position| (position as usize, &self.plan.rivals[position as usize]))
    }
}

impl<'a> Stage<'a> {
    /// Plays a run; answers what it came to, and true if it stopped because somebody might not be able to pay what comes next.
    fn play(
        cast: Cast,
        purses: Purses,
        observer: &'a mut dyn Observer,
        go_on: &'a mut dyn FnMut(u64) -> bool,
    ) -> Result<(Played, bool), PlayError> {
        let Cast { setup, planner, arrivals, accounts, engine, foresight, fees, windows, supply } = cast;
        let wallet = setup.scenario.wallets.engine;
        let mut stage = Stage {
            setup,
            planner,
            accounts,
            fees,
            windows,
            first: 0,
            bounties: VecDeque::new(),
            spare: Vec::new(),
            misses: vec![Misses::default(); purses.rivals.len()],
            purses,
            arbiters: Nct::ZERO,
            unclaimed: Nct::ZERO,
            observer,
            go_on,
            gives_way: false,
        };
        stage.plan(arrivals);
        let mut player = Player::new(stage, engine, foresight, wallet);
        let (last_block, complete) = player.run()?;

        // What is in escrow still, if the run was stopped.
        for number in player.closed..player.posted {
            let own = player.own(number).cloned();
            player.reel.leave(number, own.as_ref(), last_block)?;
        }
        let (closed, free, stage) = (player.closed as u64, player.free, player.reel);
        let own = Purse { spent: wallet.saturating_sub(free), earned: free.saturating_sub(wallet), ..Purse::default() };
        let arbiters = Purse { earned: stage.arbiters, ..Purse::default() };
        let mut escrow = Purse::default(); // what it got, and what it gave
        for purse in [&own, &arbiters].into_iter().chain(stage.purses.all()) {
            add(&mut escrow.earned, purse.spent);
            add(&mut escrow.spent, purse.earned);
        }
        let stranded = escrow.earned.checked_sub(escrow.spent).filter(|&stranded| !complete || stranded == stage.unclaimed);
        let Some(stranded) = stranded else {
            let (Purse { spent, earned, .. }, unclaimed) = (escrow, stage.unclaimed);
            return Err(PlayError::Invariant(format!("{earned} were paid in and {spent} out, but {unclaimed} are left in escrow")));
        };
        let played = Played {
            closed,
            unposted: 0,
            adopted: 0,
            first_block: crate::arrivals::START,
            last_block,
            engine: own.change(),
            rivals: stage.purses.rivals.iter().map(Purse::change).collect(),
            misses: stage.misses,
            ambassadors: stage.purses.ambassadors.iter().map(Purse::change).sum(),
            arbiters: arbiters.change(),
            stranded,
            supply,
            complete,
        };
        Ok((played, stage.gives_way))
    }

    fn plan(&mut self, plans: impl IntoIterator<Item = BoxedPlan>) {
        let staged = |plan| Staged { plan, order: SmallVec::new(), seen: 0, settled: None };
        self.bounties.extend(plans.into_iter().map(staged));
    }

    fn staged(&self, number: usize) -> &Staged {
        &self.bounties[number - self.first]
    }

    fn amount(&self, plan: &BountyPlan) -> Nct {
        self.setup.scenario.ambassadors.amount.checked_mul(plan.artifacts.len() as u64).expect("checked with the scenario")
    }

    /// The block in which everybody but the arbiters settles, counted from posting.
    fn life(&self) -> u64 {
        let Setup { scenario, rules, .. } = &*self.setup;
        scenario.ambassadors.duration + rules.reveal_window + rules.vote_window
    }

    /// The bounty as it stands when it is over, with all that everybody gets.
    fn settle_all(&mut self, number: usize, own: Option<&Assertion>) -> Result<&Settled, PlayError> {
        let index = number - self.first;
        if self.bounties[index].settled.is_none() {
            let mut settled = self.spare.pop().unwrap_or_else(|| Box::new(self.blank()));
            self.fill(&self.bounties[index], own, &mut settled)?;
            self.bounties[index].settled = Some(settled);
        }
        Ok(self.bounties[index].settled.as_deref().expect("just settled"))
    }

    fn blank(&self) -> Settled {
        let artifact_type = u64::from(self.setup.corpus.kind() == datasets::ArtifactKind::Url);
        let post = PostBounty { artifact_type, artifact_uri: "replay".into(), ..PostBounty::one_artifact() };
        let bounty = Bounty::new(AccountId::NOBODY, post, BlockNumber(0), self.fees, self.windows);
        Settled { bounty, rewards: Rewards::default(), consensus: None, rivals: SmallVec::new() }
    }

    fn fill(&self, staged: &Staged, own: Option<&Assertion>, settled: &mut Settled) -> Result<(), PlayError> {
        let (plan, rules) = (&staged.plan, &self.setup.rules);
        let Settled { bounty, rewards, consensus, rivals } = settled;
        bounty.guid = plan.guid;
        bounty.author = self.accounts.ambassadors[plan.ambassador as usize];
        bounty.amount = self.amount(plan);
        bounty.artifacts = plan.artifacts.len();
        bounty.posted = plan.posted;
        bounty.expiration = BlockNumber(plan.posted.0 + plan.duration);

        rivals.clear();
        rivals.resize(plan.rivals.len(), None);
        bounty.assertions.clear();
        let mut own = own;
        for (position, rival) in staged.rivals() {
            if bounty.assertions.len() == staged.seen as usize {
                bounty.assertions.extend(own.take().cloned());
            }
            rivals[position] = Some(bounty.assertions.len() as u32);
            // Made where it stays: moving what was just written has to wait for it.
            bounty.assertions.extend(std::iter::once_with(|| {
                let (author, opening) = (self.accounts.rivals[rival.rival], opening(plan, rival, None));
                let bids = match rival.bids[..] {
                    [only] => SmallVec::from_buf([only]),
                    ref bids => SmallVec::from_slice(bids),
                };
                if rival.reveals {
                    Assertion::opened(author, bids, rival.mask, opening)
                } else {
                    Assertion::sealed(author, bids, rival.mask, opening)
                }
            }));
        }
        bounty.assertions.extend(own.cloned());

        let mut turns: SmallVec<[Turn; 16]> = plan.votes.iter().zip(0..).map(|(vote, position)| Turn::new(vote.delay, position)).collect();
        in_order(&mut turns);
        bounty.votes.clear();
        bounty.tally = Tally::new(bounty.artifacts);
        let arbiters = self.accounts.arbiters.len() as u64;
        for turn in turns {
            let vote = &plan.votes[turn.position()];
            let now = BlockNumber(bounty.expiration.0 + rules.reveal_window + turn.wait());
            let refused = |rejection| PlayError::Invariant(format!("a vote was refused: {rejection}"));
            bounty.tally.add(rules, vote.votes, arbiters, bounty.expiration, now).map_err(refused)?;
            bounty.votes.push(Vote { voter: self.accounts.arbiters[vote.arbiter as usize], votes: vote.votes, valid_bloom: true });
        }
        *consensus = (!bounty.votes.is_empty()).then(|| bounty.tally.consensus(rules));
        settlement::settle_into(rules, &bounty.closed(self.fees), rewards)
            .map_err(|rejection| PlayError::Invariant(format!("{} could not be settled: {rejection}", plan.guid)))
    }

    /// Books what ambassador and rivals paid for a bounty that is settled, and what they got.
    fn book(&mut self, number: usize) {
        let Stage { bounties, first, purses: Purses { rivals, ambassadors }, fees, .. } = self;
        let Staged { plan, settled, .. } = &bounties[number - *first];
        let Settled { bounty, rewards, rivals: indices, .. } = settled.as_deref().expect("it is settled");
        let ambassador = &mut ambassadors[plan.ambassador as usize];
        ambassador.pay(&[bounty.amount], fees.bounty);
        add(&mut ambassador.earned, rewards.refund);
        for (rival, index) in plan.rivals.iter().zip(indices) {
            if let Some(index) = *index {
                let purse = &mut rivals[rival.rival];
                purse.pay(&rival.bids, fees.assertion);
                add(&mut purse.earned, rewards.experts[index as usize].payout);
            }
        }
    }

    /// Books what ambassador and rivals paid by block `now` for a bounty that is not over, and what they got.
    fn leave(&mut self, number: usize, own: Option<&Assertion>, now: BlockNumber) -> Result<(), PlayError> {
        let age = now.0 - self.staged(number).plan.posted.0;
        if age == self.life() {
            self.settle_all(number, own)?;
            self.book(number);
            return Ok(());
        }
        let amount = self.amount(&self.staged(number).plan);
        let Stage { bounties, first, purses: Purses { rivals, ambassadors }, fees, .. } = self;
        let staged = &bounties[number - *first];
        ambassadors[staged.plan.ambassador as usize].pay(&[amount], fees.bounty);
        for (_, rival) in staged.rivals().filter(|(_, rival)| rival.latency <= age) {
            rivals[rival.rival].pay(&rival.bids, fees.assertion);
        }
        Ok(())
    }
}

impl Reel for Stage<'_> {
    type Error = PlayError;

    fn terms(&self) -> Terms<'_> {
        let Stage { setup, fees, windows, accounts, .. } = self;
        Terms { rules: &setup.rules, fees: *fees, windows: *windows, life: self.life(), engine: accounts.engine }
    }

    fn posted(&self, number: usize) -> Option<BlockNumber> {
        self.bounties.get(number - self.first).map(|staged| staged.plan.posted)
    }

    fn post(&mut self, number: usize) -> BlockNumber {
        let Stage { setup, bounties, first, misses, .. } = self;
        let staged = &mut bounties[number - *first];
        let (plan, wait) = (&staged.plan, staged.wait());
        let mut turns: SmallVec<[Turn; 16]> = SmallVec::new();
        for (position, rival) in plan.rivals.iter().enumerate() {
            if rival.latency >= plan.duration {
                misses[rival.rival].late += 1;
            } else if check_bids(&setup.rules, &rival.bids).is_ok() {
                // A bid out of the limits is the rival's own fault and costs it nothing.
                turns.push(Turn::new(rival.latency, position));
                staged.seen += u32::from(rival.latency <= wait);
            }
        }
        in_order(&mut turns);
        staged.order.extend(turns.iter().map(|turn| turn.position() as u32));
        BlockNumber(plan.posted.0 + wait)
    }

    fn go_on(&mut self, posted: usize, closed: usize) -> Result<bool, PlayError> {
        if posted < self.first + self.bounties.len() {
            return Ok(true);
        }
        let plans = self.planner.next_chunk()?;
        self.plan(plans);
        self.gives_way = !self.purses.cover(self.bounties.len() as u64);
        Ok(!self.gives_way && (self.go_on)(closed as u64))
    }

    fn bounty(&self, number: usize) -> OpenBounty {
        let plan = &self.staged(number).plan;
        OpenBounty {
            guid: plan.guid,
            artifact_type: u64::from(self.setup.corpus.kind() == datasets::ArtifactKind::Url),
            amount: self.amount(plan),
            artifacts: plan.artifacts.len(),
            posted: plan.posted,
            expiration: BlockNumber(plan.posted.0 + plan.duration),
        }
    }

    fn results(&self, number: usize) -> &[ScanResult] {
        &self.staged(number).plan.results
    }

    fn factors(&self, number: usize) -> &[f64] {
        &self.staged(number).plan.factors
    }

    fn seen(&self, number: usize) -> u32 {
        self.staged(number).seen
    }

    fn public(&self, number: usize, index: usize) -> PublicAssertion {
        let staged = self.staged(number);
        let rival = &staged.plan.rivals[staged.order[index] as usize];
        PublicAssertion { author: self.accounts.rivals[rival.rival], mask: rival.mask, bids: rival.bids.clone() }
    }

    fn future(&self, number: usize) -> Future {
        let staged = self.staged(number);
        let mut asserted = vec![None; staged.plan.rivals.len()];
        for (index, &position) in staged.order.iter().take(staged.seen as usize).enumerate() {
            asserted[position as usize] = Some(index as u32);
        }
        staged.plan.future(&asserted, staged.wait(), &self.setup.rules)
    }

    fn admit(&self, _: usize, _: ArtifactSet) -> Result<(), PlayError> {
        Ok(())
    }

    fn settle(&mut self, number: usize, own: &Assertion) -> Result<ExpertReward, PlayError> {
        let seen = self.seen(number) as usize;
        Ok(self.settle_all(number, Some(own))?.rewards.experts[seen])
    }

    fn settled(&mut self, number: usize, own: Option<&Assertion>, assertions: bool, now: BlockNumber) -> Result<SettledBounty, PlayError> {
        let (bids, fee) = (self.setup.rules.bids, self.fees.assertion);
        let Settled { bounty, consensus, .. } = self.settle_all(number, own)?;
        let all = || SettledBounty::assertions_of(bounty);
        Ok(SettledBounty { assertions: assertions.then(all), ..SettledBounty::of(bounty, now, bids, fee, *consensus) })
    }

    fn locked(&mut self, now: BlockNumber, locked: Nct) {
        self.observer.locked(now, locked);
    }

    fn close(&mut self, number: usize, ended: Ended<'_>) -> Result<(), PlayError> {
        self.settle_all(number, ended.own.map(|(own, _)| own))?;
        self.book(number);
        let Staged { plan, settled, .. } = self.bounties.pop_front().expect("the oldest is over");
        self.first += 1;
        let settled = settled.expect("just settled");
        let Settled { bounty, rewards, consensus, rivals } = &*settled;
        // One of those who voted is drawn.
        add(if bounty.votes.is_empty() { &mut self.unclaimed } else { &mut self.arbiters }, rewards.arbiter);
        self.observer.closed(&ClosedBounty {
            plan: &plan,
            bounty,
            rewards,
            consensus: *consensus,
            engine: ended.decision,
            verdicts: ended.verdicts,
            free: ended.free,
            rivals,
            now: ended.now,
        });
        self.planner.recycle(plan);
        self.spare.push(settled);
        Ok(())
    }
}
