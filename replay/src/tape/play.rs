//! Playing one engine against a tape: what `world.rs` does about the engine, in the same order, and nothing else.

use std::collections::VecDeque;

use engine::{
    chance::Key,
    config::{BackendConfig, EngineConfig},
    distill::DistilledVerdict,
    market_view::{MarketView, OpenBounty, PublicAssertions, Wallet},
    microengine::{self, Abstention, Effect, Event, Microengine},
    settled::{SettledAssertion, SettledBounty},
};
use market::{
    block::BlockNumber,
    bounty::{Assertion, check_bids},
    id::{Guid, GuidMap},
    nct::Nct,
    rejection::Rejection,
    settlement::{ExpertReward, Others},
};
use smallvec::SmallVec;

use super::{EnginePlayed, Seen, Tape, TapeError, Taped};
use crate::{
    follower::{Follower, OwnBounty},
    oracle::{self, Foresight, Future},
    plan::SetupError,
    scenario::ScenarioError,
    world::{Decision, PlayError},
};

struct Player<'a, F: ?Sized> {
    tape: &'a Tape,
    engine: Microengine,
    foresight: Option<Foresight>,
    follower: &'a mut F,
    free: Nct,
    locked: Nct,
    /// Own assertions that are not settled.
    standing: usize,
    /// Bounties that were posted so far, and of those the ones that are over.
    posted: usize,
    closed: usize,
    /// Those between.
    open: VecDeque<Open>,
    /// Numbers of bounties with an own assertion that is not settled.
    asserted: GuidMap<u32>,
    effects: Vec<Effect>,
}

/// A bounty between posting and close.
struct Open {
    decision: Decision,
    verdicts: SmallVec<[Option<DistilledVerdict>; 1]>,
    own: Option<Own>,
}

/// An own assertion.
struct Own {
    /// As it will be when it is revealed.
    assertion: Assertion,
    price: Nct,
    /// What it will earn.
    reward: ExpertReward,
}

impl Tape {
    /// Plays an engine with a wallet of `wallet`; the follower sees what [`Following`](crate::follower::Following) would
    /// see in the world. On one thread; any number of engines can be played at once.
    ///
    /// # Errors
    ///
    /// If the engine is none, if it would have scanned otherwise than the one that the tape was recorded for, and where a
    /// strategy of somebody's own stakes on what is not there.
    pub fn play<F: Follower + ?Sized>(&self, engine: &EngineConfig, wallet: Nct, follower: &mut F) -> Result<EnginePlayed, TapeError> {
        self.check(engine)?;
        let known = Foresight::default();
        let staker = oracle::build(&engine.strategy, &known)?;
        let secret = Key::root(self.setup.scenario.seed).named("engine");
        let mut player = Player {
            tape: self,
            engine: Microengine::new(self.setup.backends(), engine.judge(), staker, secret),
            foresight: oracle::find(&engine.strategy).map(|_| known),
            follower,
            free: wallet,
            locked: Nct::ZERO,
            standing: 0,
            posted: 0,
            closed: 0,
            open: VecDeque::with_capacity(self.open_maximum),
            asserted: GuidMap::default(),
            effects: Vec::new(),
        };
        let last_block = player.run()?;
        let (closed, engine) = (player.closed as u64, player.free.minus(wallet));
        Ok(EnginePlayed { closed, first_block: crate::arrivals::START, last_block, engine })
    }

    /// Checks that an engine would have been told the same answers, at the same time.
    fn check(&self, engine: &EngineConfig) -> Result<(), TapeError> {
        let refused = |error| PlayError::Setup(SetupError::Scenario(ScenarioError::Engine(error)));
        engine.check().map_err(refused)?;
        let recorded = &self.setup.scenario.engine;
        let answers = |engine: &EngineConfig| engine.backends.iter().map(BackendConfig::without_rates).collect::<Vec<_>>();
        let same_backends = answers(engine) == answers(recorded);
        for (what, same) in [
            ("backends", same_backends),
            ("archives", engine.archives == recorded.archives),
            ("filter", engine.filter == recorded.filter),
            ("scan times", engine.scan == recorded.scan),
        ] {
            if !same {
                return Err(TapeError::OtherEngine { what });
            }
        }
        Ok(())
    }
}

impl<F: Follower + ?Sized> Player<'_, F> {
    /// Plays every block in which something happens that the engine or its follower hears of; answers the last one.
    fn run(&mut self) -> Result<BlockNumber, TapeError> {
        let tape = self.tape;
        let after = |number: usize, blocks: u64| tape.bounties.get(number).map(|bounty| BlockNumber(bounty.posted.0 + blocks));
        let (mut taught, mut decided) = (0, 0);
        let mut last = crate::arrivals::START;
        loop {
            let decides = |decided: usize| {
                let number = *tape.decisions.get(decided)? as usize;
                Some((tape.bounties[number].decides(), number))
            };
            let (posts, closes) = (after(self.posted, 0), after(self.closed, tape.life + 1));
            let teaches = after(taught, tape.life);
            let coming = [posts, closes, teaches, decides(decided).map(|(block, _)| block), self.engine.due()];
            let Some(now) = coming.into_iter().flatten().min() else { return Ok(last) };
            last = now;

            // Open bounties act in order of posting. All live equally long, so those that end come first.
            while after(self.closed, tape.life + 1) == Some(now) {
                self.close(now);
            }
            while after(taught, tape.life) == Some(now) {
                if self.engine.learns() {
                    self.teach(taught, now)?;
                }
                taught += 1;
            }
            while let Some((block, number)) = decides(decided).filter(|&(_, number)| number < self.posted)
                && block == now
            {
                self.decide(number, now)?;
                decided += 1;
            }
            while after(self.posted, 0) == Some(now) {
                self.post(now)?;
                if let Some((_, number)) = decides(decided).filter(|&(block, number)| block == now && number < self.posted) {
                    self.decide(number, now)?;
                    decided += 1;
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

    fn public(&self, bounty: &Taped) -> OpenBounty {
        let Tape { setup, .. } = self.tape;
        OpenBounty {
            guid: bounty.guid,
            artifact_type: u64::from(setup.corpus.kind() == datasets::ArtifactKind::Url),
            amount: self.tape.amount(bounty),
            artifacts: usize::from(bounty.artifacts),
            posted: bounty.posted,
            expiration: BlockNumber(bounty.posted.0 + setup.scenario.ambassadors.duration),
        }
    }

    fn post(&mut self, now: BlockNumber) -> Result<(), TapeError> {
        let bounty = self.public(&self.tape.bounties[self.posted]);
        // What stands if the engine never says anything.
        self.open.push_back(Open { decision: Decision::Abstained(Abstention::Late), verdicts: SmallVec::new(), own: None });
        self.posted += 1;
        self.tell(now, Event::BountyPosted { bounty: &bounty })
    }

    fn decide(&mut self, number: usize, now: BlockNumber) -> Result<(), TapeError> {
        let tape = self.tape;
        let bounty = &tape.bounties[number];
        let artifacts = bounty.artifact_range();
        if let Some(foresight) = &self.foresight {
            let (labels, consensus) = (tape.labels(bounty), tape.foreseen_consensus(bounty));
            foresight.show(Future { labels, consensus, pools: tape.pools[artifacts.clone()].into() });
        }
        let (public, seen) = (self.public(bounty), Seen { tape, bounty });
        let view = MarketView {
            now,
            bounty: &public,
            rules: &tape.setup.rules,
            fees: tape.fees,
            windows: tape.windows,
            wallet: Wallet { free: self.free, locked: self.locked, open: self.standing },
            assertions: PublicAssertions::kept(&seen),
            factors: tape.factors.get(artifacts.clone()).unwrap_or_default(),
        };
        let backends = tape.setup.backends();
        let results = &tape.results[artifacts.start * backends..artifacts.end * backends];
        self.engine.on_event(now, Event::Scanned { view: &view, results }, &mut self.effects);
        let verdicts = self.engine.last_verdicts();
        self.open[number - self.closed].verdicts.extend_from_slice(verdicts);
        self.carry_out(now, Some(number))
    }

    fn tell(&mut self, now: BlockNumber, event: Event<'_>) -> Result<(), TapeError> {
        self.engine.on_event(now, event, &mut self.effects);
        self.carry_out(now, None)
    }

    /// Does what the engine asks for; what it decides is about the bounty of that number.
    fn carry_out(&mut self, now: BlockNumber, decided: Option<usize>) -> Result<(), TapeError> {
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                // Scans are on the tape, and so is when others reveal: an own promise is kept in time.
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
                            self.follower.locked(now, self.locked);
                            Event::Asserted { guid, index: u64::from(index) }
                        }
                        Err(rejection) => {
                            self.open(number).decision = Decision::Refused(rejection);
                            Event::Refused { guid }
                        }
                    };
                    self.engine.on_event(now, told, &mut self.effects);
                }
                Effect::SettleBounty { guid } => self.settle(now, guid),
            }
        }
        debug_assert!(self.effects.is_empty(), "being told of a result asks for nothing");
        self.effects = effects;
        Ok(())
    }

    /// Puts an assertion where it would stand on chain, and pays for it; answers its position, or why the market refuses it.
    fn assert(&mut self, number: usize, assertion: microengine::Assertion) -> Result<Result<u32, Rejection>, TapeError> {
        let tape = self.tape;
        let (bounty, rules) = (&tape.bounties[number], &tape.setup.rules);
        let microengine::Assertion { guid, bids, mask, opening } = assertion;
        if let Err(rejection) = check_bids(rules, &bids) {
            return Ok(Err(rejection));
        }
        let artifacts = usize::from(bounty.artifacts);
        if mask.reaches_beyond(artifacts) {
            return Err(TapeError::StrayMaskBits { number: number as u64, artifacts });
        }
        let price = bids.iter().copied().sum::<Nct>().checked_add(tape.fees.assertion).expect("the engine has as much");
        if !self.free.take(price) {
            return Ok(Err(Rejection::BalanceShort { balance: self.free, value: price }));
        }
        assert!(self.locked.give(price), "within the supply");
        self.standing += 1;
        let assertion = Assertion::opened(tape.engine, bids, mask, opening);
        let others = Others {
            amount: tape.amount(bounty),
            fees: tape.fees,
            consensus: tape.consensus(bounty),
            assertions: u64::from(bounty.assertions),
            stakes: &tape.stakes[bounty.artifact_range()],
        };
        let unsettled = |rejection| TapeError::Unsettled { number: number as u64, rejection };
        let reward = others.settle(rules, &assertion).map_err(unsettled)?;
        self.asserted.insert(guid, number as u32);
        let open = self.open(number);
        open.decision = Decision::Asserted(bounty.seen);
        open.own = Some(Own { assertion, price, reward });
        Ok(Ok(bounty.seen))
    }

    fn settle(&mut self, now: BlockNumber, guid: Guid) {
        let number = self.asserted.remove(&guid).expect("only own assertions are settled");
        let own = self.open[number as usize - self.closed].own.as_ref().expect("it asserted");
        assert!(self.free.give(own.reward.payout) && self.locked.take(own.price), "what was paid in");
        self.standing -= 1;
        self.follower.locked(now, self.locked);
    }

    /// An engine that learns hears what became of the bounty.
    fn teach(&mut self, number: usize, now: BlockNumber) -> Result<(), TapeError> {
        let tape = self.tape;
        let (bounty, open) = (&tape.bounties[number], &self.open[number - self.closed]);
        let others = || (0..bounty.assertions as usize).map(|index| tape.settled(bounty, index));
        let assertions = || match &open.own {
            None => others().collect(),
            Some(own) => {
                let seen = bounty.seen as usize;
                let mut all = Vec::with_capacity(bounty.assertions as usize + 1);
                all.extend(others().take(seen));
                all.push(SettledAssertion::from(&own.assertion));
                all.extend(others().skip(seen));
                all
            }
        };
        let settled = SettledBounty {
            guid: bounty.guid,
            block: now,
            amount: tape.amount(bounty),
            artifacts: usize::from(bounty.artifacts),
            bids: tape.setup.rules.bids,
            fee: tape.fees.assertion,
            consensus: tape.consensus(bounty),
            assertions: self.engine.studies_stakes().then(assertions),
            own: open.own.is_some().then_some(bounty.seen as usize),
            verdicts: Vec::new(),
        };
        self.tell(now, Event::Settled(Box::new(settled)))
    }

    fn close(&mut self, now: BlockNumber) {
        let bounty = &self.tape.bounties[self.closed];
        let Open { decision, verdicts, own } = self.open.front().expect("it was posted");
        self.follower.closed(&OwnBounty {
            number: self.closed as u64,
            guid: bounty.guid,
            posted: bounty.posted,
            artifacts: usize::from(bounty.artifacts),
            labels: self.tape.labels(bounty),
            consensus: self.tape.consensus(bounty),
            decision: *decision,
            verdicts,
            stake: own.as_ref().map(|own| (&own.assertion, &own.reward)),
            now,
        });
        self.open.pop_front();
        self.closed += 1;
    }
}
