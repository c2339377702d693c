//! One bounty, from what the engine did to what hindsight would have done, one change at a time.
//!
//! Every state on the way is settled exactly, beside the recorded stakes of everybody else, and the difference to the state
//! before is put down to the cause of the change. So the parts add up to the whole, to the wei. Their order is fixed
//! (`docs/explain.md`): another one would divide the same sum otherwise.

use alloy_primitives::U256;
use engine::{artifact::ScanResult, distill::DistilledVerdict, microengine::Abstention};
use market::{
    bounty::Assertion,
    commitment::Opening,
    id::AccountId,
    nct::{Nct, NctDelta},
    rejection::Rejection,
    ruleset::{Bids, RuleSet},
    settlement::Others,
    verdict::ArtifactSet,
};
use replay::world::Decision;
use smallvec::SmallVec;

use super::cause::Cause;

/// What was the engine's, and what would have been hindsight's, on one bounty.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The rules.
    pub rules: &'a RuleSet,
    /// What everybody else has at stake.
    pub others: Others<'a>,
    /// Artifacts that the corpus calls malicious.
    pub labels: ArtifactSet,
    /// What each backend said of each artifact, artifact by artifact.
    pub answers: &'a [ScanResult],
    /// The engine's verdicts, one per artifact.
    pub verdicts: &'a [Option<DistilledVerdict>],
    /// What the engine did.
    pub decision: Decision,
    /// What it staked, if it did.
    pub own: Option<&'a Stand>,
    /// What that earned.
    pub profit: NctDelta,
    /// What hindsight staked, if it did.
    pub best: Option<&'a Stand>,
}

/// An assertion without the rest: what somebody stakes on a bounty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stand {
    /// Artifacts with a stake.
    pub mask: ArtifactSet,
    /// Those that are called malicious.
    pub verdicts: ArtifactSet,
    /// One bid per mask bit, or a single one where the rules say so.
    pub bids: SmallVec<[Nct; 1]>,
}

/// Changes of the profit with their causes, in the order in which they were made; none of them nothing.
pub type Steps = SmallVec<[(Cause, NctDelta); 4]>;

impl Stand {
    /// What an assertion stakes; of one that was not revealed, on these verdicts.
    pub fn of(assertion: &Assertion, verdicts: &[Option<DistilledVerdict>]) -> Stand {
        let meant = |artifact: usize| verdicts[artifact].is_some_and(|verdict| verdict.malicious());
        let verdicts = match assertion.revealed() {
            Some(opening) => opening.verdicts,
            None => ArtifactSet::collect(verdicts.len(), meant),
        };
        Stand { mask: assertion.mask, verdicts, bids: assertion.bids.clone() }
    }

    fn set_verdict(&mut self, artifact: usize, malicious: bool) {
        self.verdicts.0.set_bit(artifact, malicious);
    }

    /// Stakes on one artifact more, what `other` stakes on it; where one bid is for all, it stays what it is.
    fn join(&mut self, artifact: usize, other: &Stand, bids: Bids) {
        match bids {
            Bids::PerArtifact => self.bids.insert(self.mask.rank(artifact), other.bids[other.mask.rank(artifact)]),
            Bids::PerBounty if self.bids.is_empty() => self.bids.clone_from(&other.bids),
            Bids::PerBounty => {}
        }
        self.mask.insert(artifact);
        self.set_verdict(artifact, other.verdicts.contains(artifact));
    }
}

impl Case<'_> {
    /// The steps from the engine's profit to `most`, which is what hindsight earned.
    ///
    /// # Errors
    ///
    /// [`Rejection::Overflow`] where a product exceeds 256 bits.
    pub fn steps(&self, most: NctDelta) -> Result<Steps, Rejection> {
        let mut road = Road { at: self.profit, steps: Steps::new() };
        match self.decision {
            Decision::Asserted(_) | Decision::Abstained(Abstention::NoStake) => self.mend(&mut road)?,
            Decision::Abstained(Abstention::Late) => road.to(Cause::Late, self.worth(self.best)?),
            Decision::Abstained(Abstention::Unfunded) => road.to(Cause::Unfunded, self.worth(self.best)?),
            Decision::Abstained(Abstention::NoAnswer) => road.to(Cause::NoAnswer, self.worth(self.best)?),
            // In process, there are no limits but the market's.
            Decision::Abstained(Abstention::CostlyFee | Abstention::CostlyBid | Abstention::ShortWindow) | Decision::Refused(_) => {
                road.to(Cause::Refused, self.worth(self.best)?);
            }
        }
        road.to(Cause::MisSizedStake, self.worth(self.best)?);
        road.to(Cause::OthersFunds, most);
        Ok(road.steps)
    }

    /// Reveals, then turns every wrong side, then adds every artifact that hindsight stakes on and the engine did not.
    fn mend(&self, road: &mut Road) -> Result<(), Rejection> {
        let nothing = || Stand { mask: ArtifactSet::EMPTY, verdicts: ArtifactSet::EMPTY, bids: SmallVec::new() };
        let mut stand = self.own.cloned().unwrap_or_else(nothing);
        if self.own.is_some() {
            road.to(Cause::Unrevealed, self.worth(Some(&stand))?);
        }
        for artifact in 0..self.others.stakes.len() {
            let side = stand.verdicts.contains(artifact);
            if stand.mask.contains(artifact) && self.is_wrong(artifact, side) {
                stand.set_verdict(artifact, !side);
                road.to(self.blame(artifact, side), self.worth(Some(&stand))?);
            }
        }
        let Some(best) = self.best else { return Ok(()) };
        for artifact in 0..self.others.stakes.len() {
            if best.mask.contains(artifact) && !stand.mask.contains(artifact) {
                let cause = match self.verdicts.get(artifact).copied().flatten() {
                    None => Cause::NoAnswer,
                    Some(verdict) if self.is_wrong(artifact, verdict.malicious()) => self.blame(artifact, verdict.malicious()),
                    Some(_) => Cause::WrongAbstention,
                };
                stand.join(artifact, best, self.rules.bids);
                road.to(cause, self.worth(Some(&stand))?);
            }
        }
        Ok(())
    }

    /// True if the arbiters decided for the other side; without votes nobody is wrong.
    fn is_wrong(&self, artifact: usize, malicious: bool) -> bool {
        self.others.consensus.is_some_and(|consensus| consensus.contains(artifact) != malicious)
    }

    /// Why a side is wrong.
    fn blame(&self, artifact: usize, side: bool) -> Cause {
        let backends = self.answers.len() / self.others.stakes.len();
        let mut answers = self.answers[artifact * backends..(artifact + 1) * backends].iter().filter_map(|answer| answer.malicious);
        match self.verdicts.get(artifact).copied().flatten() {
            _ if self.labels.contains(artifact) == side => Cause::ArbiterNoise,
            None => Cause::NoAnswer,
            Some(verdict) if verdict.malicious() != side => Cause::AgainstVerdict,
            Some(_) if answers.any(|malicious| malicious != side) => Cause::Distillation,
            Some(_) => Cause::ScanError,
        }
    }

    /// What a stake is worth beside those of others.
    fn worth(&self, stand: Option<&Stand>) -> Result<NctDelta, Rejection> {
        let Some(Stand { mask, verdicts, bids }) = stand else { return Ok(NctDelta::ZERO) };
        let opening = Opening { nonce: U256::ONE, verdicts: *verdicts };
        let assertion = Assertion::opened(AccountId::NOBODY, bids.clone(), *mask, opening);
        Ok(self.others.settle(self.rules, &assertion)?.profit())
    }
}

/// Where the profit stands on its way, and how it came there.
struct Road {
    at: NctDelta,
    steps: Steps,
}

impl Road {
    fn to(&mut self, cause: Cause, profit: NctDelta) {
        if profit != self.at {
            self.steps.push((cause, profit - self.at));
            self.at = profit;
        }
    }
}
