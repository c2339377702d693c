//! Playing one engine against a tape.

use engine::{
    artifact::ScanResult,
    chance::Key,
    config::{BackendConfig, EngineConfig},
    market_view::{OpenBounty, PublicAssertion},
    microengine::Microengine,
    settled::{SettledAssertion, SettledBounty},
};
use market::{
    block::BlockNumber,
    bounty::Assertion,
    nct::Nct,
    settlement::{ExpertReward, Others},
    verdict::ArtifactSet,
};

use super::{EnginePlayed, Tape, TapeError};
use crate::{
    follower::{Follower, OwnBounty},
    oracle::{self, Foresight, Future},
    plan::SetupError,
    player::{Ended, Player, Reel, Terms},
    scenario::ScenarioError,
    world::PlayError,
};

/// A tape, and who looks on.
struct Playback<'a, F: ?Sized> {
    tape: &'a Tape,
    follower: &'a mut F,
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
        let microengine = Microengine::new(self.setup.backends(), engine.judge(), staker, secret);
        let foresight = oracle::find(&engine.strategy).map(|_| known);
        let mut player = Player::new(Playback { tape: self, follower }, microengine, foresight, wallet);
        let (last_block, _) = player.run()?;
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

impl<F: Follower + ?Sized> Reel for Playback<'_, F> {
    type Error = TapeError;

    fn terms(&self) -> Terms<'_> {
        let Tape { setup, fees, windows, life, engine, .. } = self.tape;
        Terms { rules: &setup.rules, fees: *fees, windows: *windows, life: *life, engine: *engine }
    }

    fn posted(&self, number: usize) -> Option<BlockNumber> {
        self.tape.bounties.get(number).map(|bounty| bounty.posted)
    }

    fn post(&mut self, number: usize) -> BlockNumber {
        self.tape.bounties[number].decides()
    }

    fn go_on(&mut self, _: usize, _: usize) -> Result<bool, TapeError> {
        Ok(true)
    }

    fn bounty(&self, number: usize) -> OpenBounty {
        let (setup, bounty) = (&self.tape.setup, &self.tape.bounties[number]);
        OpenBounty {
            guid: bounty.guid,
            artifact_type: u64::from(setup.corpus.kind() == datasets::ArtifactKind::Url),
            amount: self.tape.amount(bounty),
            artifacts: usize::from(bounty.artifacts),
            posted: bounty.posted,
            expiration: BlockNumber(bounty.posted.0 + setup.scenario.ambassadors.duration),
        }
    }

    fn results(&self, number: usize) -> &[ScanResult] {
        let (artifacts, backends) = (self.tape.bounties[number].artifact_range(), self.tape.setup.backends());
        &self.tape.results[artifacts.start * backends..artifacts.end * backends]
    }

    fn factors(&self, number: usize) -> &[f64] {
        self.tape.factors.get(self.tape.bounties[number].artifact_range()).unwrap_or_default()
    }

    fn seen(&self, number: usize) -> u32 {
        self.tape.bounties[number].seen
    }

    fn public(&self, number: usize, index: usize) -> PublicAssertion {
        self.tape.public(&self.tape.bounties[number], index)
    }

    fn future(&self, number: usize) -> Future {
        let (tape, bounty) = (self.tape, &self.tape.bounties[number]);
        let (labels, consensus) = (tape.labels(bounty), tape.foreseen_consensus(bounty));
        Future { labels, consensus, pools: tape.pools[bounty.artifact_range()].into() }
    }

    fn admit(&self, number: usize, mask: ArtifactSet) -> Result<(), TapeError> {
        let artifacts = usize::from(self.tape.bounties[number].artifacts);
        if mask.reaches_beyond(artifacts) { Err(TapeError::StrayMaskBits { number: number as u64, artifacts }) } else { Ok(()) }
    }

    fn settle(&mut self, number: usize, own: &Assertion) -> Result<ExpertReward, TapeError> {
        let (tape, bounty) = (self.tape, &self.tape.bounties[number]);
        let others = Others {
            amount: tape.amount(bounty),
            fees: tape.fees,
            consensus: tape.consensus(bounty),
            assertions: u64::from(bounty.assertions),
            stakes: &tape.stakes[bounty.artifact_range()],
        };
        let unsettled = |rejection| TapeError::Unsettled { number: number as u64, rejection };
        others.settle(&tape.setup.rules, own).map_err(unsettled)
    }

    fn settled(&mut self, number: usize, own: Option<&Assertion>, assertions: bool, now: BlockNumber) -> Result<SettledBounty, TapeError> {
        let (tape, bounty) = (self.tape, &self.tape.bounties[number]);
        let all = || {
            let others = || (0..bounty.assertions as usize).map(|index| tape.settled(bounty, index));
            let seen = bounty.seen as usize;
            others().take(seen).chain(own.map(SettledAssertion::from)).chain(others().skip(seen)).collect()
        };
        Ok(SettledBounty {
            guid: bounty.guid,
            block: now,
            amount: tape.amount(bounty),
            artifacts: usize::from(bounty.artifacts),
            bids: tape.setup.rules.bids,
            fee: tape.fees.assertion,
            consensus: tape.consensus(bounty),
            assertions: assertions.then(all),
            own: None,
            verdicts: Vec::new(),
        })
    }

    fn locked(&mut self, now: BlockNumber, locked: Nct) {
        self.follower.locked(now, locked);
    }

    fn close(&mut self, number: usize, ended: Ended<'_>) -> Result<(), TapeError> {
        let (tape, bounty) = (self.tape, &self.tape.bounties[number]);
        self.follower.closed(&OwnBounty {
            number: number as u64,
            guid: bounty.guid,
            posted: bounty.posted,
            artifacts: usize::from(bounty.artifacts),
            labels: tape.labels(bounty),
            consensus: tape.consensus(bounty),
            decision: ended.decision,
            verdicts: ended.verdicts,
            stake: ended.own,
            now: ended.now,
        });
        Ok(())
    }
}
