//! What concerns the engine of a run, and nobody else: all that its profit and its scores are made of.
//!
//! A [`Follower`] sees less than an [`Observer`], so that a [tape](crate::tape) can show it without the market. Both show
//! the same; [`Following`] lets one look on at the world.

use engine::distill::DistilledVerdict;
use market::{
    block::BlockNumber,
    bounty::Assertion,
    id::Guid,
    nct::{Nct, NctDelta},
    settlement::ExpertReward,
    verdict::ArtifactSet,
};

use crate::world::{ClosedBounty, Decision, Observer};

/// Looks on at what the engine does.
pub trait Follower {
    /// What the engine has in escrow changed to `locked` in block `now`.
    fn locked(&mut self, _now: BlockNumber, _locked: Nct) {}

    /// A bounty is over.
    fn closed(&mut self, own: &OwnBounty<'_>);
}

/// A bounty that is over, as far as it concerns the engine.
#[derive(Clone, Copy, Debug)]
pub struct OwnBounty<'a> {
    /// Its number in the run, from 0.
    pub number: u64,
    /// Its guid.
    pub guid: Guid,
    /// Block of posting.
    pub posted: BlockNumber,
    /// Number of artifacts.
    pub artifacts: usize,
    /// Artifacts that the corpus calls malicious.
    pub labels: ArtifactSet,
    /// Artifacts that the votes made malicious; `None` without votes.
    pub consensus: Option<ArtifactSet>,
    /// What the engine did.
    pub decision: Decision,
    /// Its verdicts, one per artifact.
    pub verdicts: &'a [Option<DistilledVerdict>],
    /// Its assertion, if it made one, and what that earned.
    pub stake: Option<(&'a Assertion, &'a ExpertReward)>,
    /// The block.
    pub now: BlockNumber,
}

impl OwnBounty<'_> {
    /// What the bounty brought the engine; nothing without an assertion of its own.
    pub fn profit(&self) -> NctDelta {
        self.stake.map_or(NctDelta::ZERO, |(_, reward)| reward.profit())
    }
}

impl<'a> From<&'a ClosedBounty<'_>> for OwnBounty<'a> {
    fn from(closed: &'a ClosedBounty<'_>) -> OwnBounty<'a> {
        let stake = match closed.engine {
            Decision::Asserted(index) => Some((&closed.bounty.assertions[index as usize], &closed.rewards.experts[index as usize])),
            Decision::Abstained(_) | Decision::Refused(_) => None,
        };
        OwnBounty {
            number: closed.plan.number,
            guid: closed.plan.guid,
            posted: closed.plan.posted,
            artifacts: closed.plan.artifacts.len(),
            labels: closed.plan.labels,
            consensus: closed.consensus,
            decision: closed.engine,
            verdicts: closed.verdicts,
            stake,
            now: closed.now,
        }
    }
}

/// Looks on at a world for a follower.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Following<F>(pub F);

impl<F: Follower> Observer for Following<F> {
    fn locked(&mut self, now: BlockNumber, locked: Nct) {
        self.0.locked(now, locked);
    }

    fn closed(&mut self, closed: &ClosedBounty<'_>) {
        self.0.closed(&closed.into());
    }
}
