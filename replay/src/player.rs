//! Playing one engine where nobody reacts to it: what `world.rs` does about the engine, in the same order, and nothing else.
//!
//! What the engine meets comes from a [`Reel`]: a [tape](crate::tape), or plans as they are drawn ([`crate::direct`]).
//! The engine is the same [`Microengine`], told the same events in the same order as by the [world](crate::world).

use std::{collections::VecDeque, fmt};

use engine::{
    artifact::ScanResult,
    distill::DistilledVerdict,
    market_view::{KeptAssertions, MarketView, OpenBounty, PublicAssertion, PublicAssertions, Wallet},
    microengine::{self, Abstention, Effect, Event, Microengine},
    settled::SettledBounty,
};
use market::{
    block::{BlockNumber, Windows},
    bounty::{Assertion, check_bids},
    id::{AccountId, Guid, GuidMap},
    nct::Nct,
    rejection::Rejection,
    ruleset::RuleSet,
    settlement::{ExpertReward, Fees},
    verdict::ArtifactSet,
};
use smallvec::SmallVec;

use crate::{
    oracle::{Foresight, Future},
    world::Decision,
};

/// A market as one engine meets it: bounties by number, in order of posting, each as long as any other.
///
/// A bounty's `own` assertion is the engine's, as it will be when it is revealed.
pub(crate) trait Reel {
    /// Why it may break off.
    type Error;

    /// What never changes.
    fn terms(&self) -> Terms<'_>;

    /// Block in which the next bounty is posted; `None` after the last.
    fn posted(&self, number: usize) -> Option<BlockNumber>;

    /// A bounty is posted: the engine decides in that block.
    fn post(&mut self, number: usize) -> BlockNumber;

    /// So many bounties are posted, and so many of those over; false to stop here.
    fn go_on(&mut self, posted: usize, closed: usize) -> Result<bool, Self::Error>;

    /// What is public of it.
    fn bounty(&self, number: usize) -> OpenBounty;

    /// Its artifacts' answers of all backends.
    fn results(&self, number: usize) -> &[ScanResult];

    /// Factors of the engine's filter; none if that is idle.
    fn factors(&self, number: usize) -> &[f64];

    /// Assertions that stand when the engine decides.
    fn seen(&self, number: usize) -> u32;

    /// One of all that will stand, in order of posting.
    fn public(&self, number: usize, index: usize) -> PublicAssertion;

    /// What will become of it, as far as an oracle can know when the engine decides.
    fn future(&self, number: usize) -> Future;

    /// An error for a mask that cannot be settled here.
    fn admit(&self, number: usize, mask: ArtifactSet) -> Result<(), Self::Error>;

    /// What the own assertion earns.
    fn settle(&mut self, number: usize, own: &Assertion) -> Result<ExpertReward, Self::Error>;

    /// What became of the bounty in block `now`; with its assertions if wished.
    fn settled(&mut self, number: usize, own: Option<&Assertion>, assertions: bool, now: BlockNumber)
    -> Result<SettledBounty, Self::Error>;

    /// What the engine has in escrow changed.
    fn locked(&mut self, now: BlockNumber, locked: Nct);

    /// The bounty, the oldest, is over.
    fn close(&mut self, number: usize, ended: Ended<'_>) -> Result<(), Self::Error>;
}

/// See [`Reel::terms`].
#[derive(Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) rules: &'a RuleSet,
    pub(crate) fees: Fees,
    pub(crate) windows: Windows,
    /// Blocks from posting to the first block after the vote window.
    pub(crate) life: u64,
    /// The engine's account.
    pub(crate) engine: AccountId,
}

/// What the engine did about a bounty that is over.
pub(crate) struct Ended<'a> {
    pub(crate) decision: Decision,
    pub(crate) verdicts: &'a [Option<DistilledVerdict>],
    /// What it could have staked when it decided.
    pub(crate) free: Nct,
    /// Its assertion, and what that earned.
    pub(crate) own: Option<(&'a Assertion, &'a ExpertReward)>,
    /// The block.
    pub(crate) now: BlockNumber,
}

/// An engine that is being played.
pub(crate) struct Player<R> {
    pub(crate) reel: R,
    engine: Microengine,
    foresight: Option<Foresight>,
    /// What the engine can stake, and what it has in escrow.
    pub(crate) free: Nct,
    locked: Nct,
    /// Own assertions that are not settled.
    standing: usize,
    /// Bounties that were posted so far, and of those the ones that are over.
    pub(crate) posted: usize,
    pub(crate) closed: usize,
    /// Those between.
    open: VecDeque<Open>,
    /// When the engine decides on which bounty, sorted.
    decisions: VecDeque<(BlockNumber, usize)>,
    /// Numbers of bounties with an own assertion that is not settled.
    asserted: GuidMap<usize>,
    effects: Vec<Effect>,
}

/// A bounty between posting and close.
struct Open {
    posted: BlockNumber,
    decision: Decision,
    verdicts: SmallVec<[Option<DistilledVerdict>; 1]>,
    free: Nct,
    own: Option<Own>,
}

/// An own assertion.
struct Own {
    /// As it will be when it is revealed.
    assertion: Assertion,
    price: Nct,
    /// What it earned, once it is settled.
    reward: ExpertReward,
}

/// What stands on chain when the engine decides.
struct Seen<'a, R> {
    reel: &'a R,
    number: usize,
}

impl<R: Reel> KeptAssertions for Seen<'_, R> {
    fn len(&self) -> usize {
        self.reel.seen(self.number) as usize
    }

    fn get(&self, index: usize) -> PublicAssertion {
        self.reel.public(self.number, index)
    }
}

impl<R: Reel> fmt::Debug for Seen<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries((0..self.len()).map(|index| self.get(index))).finish()
    }
}

impl<R: Reel> Player<R> {
    /// At the first block, with `wallet`.
    pub(crate) fn new(reel: R, engine: Microengine, foresight: Option<Foresight>, wallet: Nct) -> Player<R> {
        let (standing, posted, closed, open, decisions, asserted, effects) = Default::default();
        Player { reel, engine, foresight, free: wallet, locked: Nct::ZERO, standing, posted, closed, open, decisions, asserted, effects }
    }

    /// Plays every block in which something happens that the engine or who looks on hears of; answers the last one, and
    /// whether nothing is left.
    pub(crate) fn run(&mut self) -> Result<(BlockNumber, bool), R::Error> {
        let life = self.reel.terms().life;
        let mut taught = 0;
        let mut last = crate::arrivals::START;
        loop {
            let posts = |player: &Self| player.reel.posted(player.posted);
            let ends = |player: &Self, number: usize, blocks: u64| {
                player.open.get(number - player.closed).map(|open| BlockNumber(open.posted.0 + blocks))
            };
            let decides = |player: &Self| player.decisions.front().map(|&(block, _)| block);
            let coming = [posts(self), ends(self, self.closed, life + 1), ends(self, taught, life), decides(self), self.engine.due()];
            let Some(now) = coming.into_iter().flatten().min() else { return Ok((last, true)) };
            last = now;

            // Open bounties act in order of posting. All live equally long, so those that end come first.
            while ends(self, self.closed, life + 1) == Some(now) {
                self.close(now)?;
            }
            while ends(self, taught, life) == Some(now) {
                if self.engine.learns() {
                    self.teach(taught, now)?;
                }
                taught += 1;
            }
            while decides(self) == Some(now) {
                self.decide(now)?;
            }
            while posts(self) == Some(now) {
                self.post(now)?;
                if decides(self) == Some(now) {
                    self.decide(now)?;
                }
                if !self.reel.go_on(self.posted, self.closed)? {
                    return Ok((last, false));
                }
            }
            while self.engine.due().is_some_and(|due| due <= now) {
                self.tell(now, Event::NewBlock)?;
            }
        }
    }

    fn open(&mut self, number: usize) -> &mut Open {
        &mut self.open[number - self.closed]
    }

    /// The own assertion on a bounty that is not over, as it will be when it is revealed.
    pub(crate) fn own(&self, number: usize) -> Option<&Assertion> {
        self.open[number - self.closed].own.as_ref().map(|own| &own.assertion)
    }

    fn post(&mut self, now: BlockNumber) -> Result<(), R::Error> {
        let due = (self.reel.post(self.posted), self.posted);
        match self.decisions.back() {
            Some(&last) if due < last => self.decisions.insert(self.decisions.partition_point(|&other| other < due), due),
            _ => self.decisions.push_back(due),
        }
        let bounty = self.reel.bounty(self.posted);
        // What stands if the engine never says anything.
        let decision = Decision::Abstained(Abstention::Late);
        self.open.push_back(Open { posted: now, decision, verdicts: SmallVec::new(), free: Nct::ZERO, own: None });
        self.posted += 1;
        self.tell(now, Event::BountyPosted { bounty: &bounty })
    }

    /// The engine decides on the bounty that is next.
    fn decide(&mut self, now: BlockNumber) -> Result<(), R::Error> {
        let (_, number) = self.decisions.pop_front().expect("one is due");
        if let Some(foresight) = &self.foresight {
            foresight.show(self.reel.future(number));
        }
        let (public, seen) = (self.reel.bounty(number), Seen { reel: &self.reel, number });
        let Terms { rules, fees, windows, .. } = self.reel.terms();
        let view = MarketView {
            now,
            bounty: &public,
            rules,
            fees,
            windows,
            wallet: Wallet { free: self.free, locked: self.locked, open: self.standing },
            assertions: PublicAssertions::kept(&seen),
            factors: self.reel.factors(number),
        };
        self.engine.on_event(now, Event::Scanned { view: &view, results: self.reel.results(number) }, &mut self.effects);
        let open = &mut self.open[number - self.closed];
        open.free = self.free;
        open.verdicts.extend_from_slice(self.engine.last_verdicts());
        self.carry_out(now, Some(number))
    }

    fn tell(&mut self, now: BlockNumber, event: Event<'_>) -> Result<(), R::Error> {
        self.engine.on_event(now, event, &mut self.effects);
        self.carry_out(now, None)
    }

    /// Does what the engine asks for; what it decides is about the bounty of that number.
    fn carry_out(&mut self, now: BlockNumber, decided: Option<usize>) -> Result<(), R::Error> {
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                // Scans are on the reel, and so is when others reveal: an own promise is kept in time.
                Effect::Scan { .. } | Effect::RevealAssertion { .. } => {}
                Effect::Abstain { reason, .. } => {
                    let number = decided.expect("only a decision can be to abstain");
                    self.open(number).decision = Decision::Abstained(reason);
                }
                Effect::PostAssertion(assertion) => {
                    let number = decided.expect("only a decision can be to assert");
                    let guid = assertion.guid;
                    let told = match self.assert(number, assertion)? {
                        Ok(index) => {
                            self.reel.locked(now, self.locked);
                            Event::Asserted { guid, index: u64::from(index) }
                        }
                        Err(rejection) => {
                            self.open(number).decision = Decision::Refused(rejection);
                            Event::Refused { guid }
                        }
                    };
                    self.engine.on_event(now, told, &mut self.effects);
                }
                Effect::SettleBounty { guid } => self.settle(now, guid)?,
            }
        }
        debug_assert!(self.effects.is_empty(), "being told of a result asks for nothing");
        self.effects = effects;
        Ok(())
    }

    /// Puts an assertion where it would stand on chain, and pays for it; answers its position, or why the market refuses it.
    fn assert(&mut self, number: usize, assertion: microengine::Assertion) -> Result<Result<u32, Rejection>, R::Error> {
        let Terms { rules, fees, engine, .. } = self.reel.terms();
        let microengine::Assertion { guid, bids, mask, opening } = assertion;
        if let Err(rejection) = check_bids(rules, &bids) {
            return Ok(Err(rejection));
        }
        self.reel.admit(number, mask)?;
        let price = bids.iter().copied().sum::<Nct>().checked_add(fees.assertion).expect("the engine has as much");
        if !self.free.take(price) {
            return Ok(Err(Rejection::BalanceShort { balance: self.free, value: price }));
        }
        assert!(self.locked.give(price), "within the supply");
        self.standing += 1;
        self.asserted.insert(guid, number);
        let (index, assertion) = (self.reel.seen(number), Assertion::opened(engine, bids, mask, opening));
        let open = self.open(number);
        open.decision = Decision::Asserted(index);
        open.own = Some(Own { assertion, price, reward: ExpertReward::default() });
        Ok(Ok(index))
    }

    fn settle(&mut self, now: BlockNumber, guid: Guid) -> Result<(), R::Error> {
        let number = self.asserted.remove(&guid).expect("only own assertions are settled");
        let own = self.open[number - self.closed].own.as_mut().expect("it asserted");
        own.reward = self.reel.settle(number, &own.assertion)?;
        assert!(self.free.give(own.reward.payout) && self.locked.take(own.price), "what was paid in");
        self.standing -= 1;
        self.reel.locked(now, self.locked);
        Ok(())
    }

    /// An engine that learns hears what became of the bounty.
    fn teach(&mut self, number: usize, now: BlockNumber) -> Result<(), R::Error> {
        let own = self.open[number - self.closed].own.as_ref().map(|own| &own.assertion);
        let settled = self.reel.settled(number, own, self.engine.studies_stakes(), now)?;
        let own = own.is_some().then_some(self.reel.seen(number) as usize);
        self.tell(now, Event::Settled(Box::new(SettledBounty { own, ..settled })))
    }

    fn close(&mut self, now: BlockNumber) -> Result<(), R::Error> {
        let Open { decision, verdicts, free, own, .. } = self.open.front().expect("it was posted");
        let own = own.as_ref().map(|own| (&own.assertion, &own.reward));
        self.reel.close(self.closed, Ended { decision: *decision, verdicts, free: *free, own, now })?;
        self.open.pop_front();
        self.closed += 1;
        Ok(())
    }
}
