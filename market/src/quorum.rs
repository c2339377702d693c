//! Votes into consensus: the running tally of a bounty and when it is decided.
//!
//! Sources: BountyRegistry.voteOnBounty of 1.0.0 and 1.6.1; they differ in the weight of a malicious vote only.

use smallvec::SmallVec;

use crate::{
    block::BlockNumber,
    rejection::{Rejection, refuse},
    ruleset::RuleSet,
    verdict::ArtifactSet,
};

/// The running tally of a bounty's votes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Votes cast, late ones included.
    pub votes: u64,
    /// Malicious votes per artifact; frozen once the artifact is decided.
    pub malicious: SmallVec<[u32; 4]>,
    /// Artifacts that are decided.
    pub decided: ArtifactSet,
    /// Quorum, once reached: blocks since the bounty's expiration. Never taken back.
    pub reached: Option<u64>,
    /// Arbiters registered at the first vote.
    pub arbiters_at_first: u64,
}

impl Tally {
    /// No votes on `artifacts` artifacts yet.
    pub fn new(artifacts: usize) -> Tally {
        let mut tally = Tally::default();
        tally.malicious.resize(artifacts, 0);
        tally
    }

    /// The tally after one more vote, at `now`, with `arbiters` registered arbiters.
    ///
    /// A decided artifact is not tallied any more, but the vote counts among the votes cast (S5).
    ///
    /// # Errors
    ///
    /// [`Rejection::QuorumUnderflow`] if there are more votes than arbiters, as after removals (S7).
    #[inline]
    pub fn add(
        &mut self,
        rules: &RuleSet,
        votes: ArtifactSet,
        arbiters: u64,
        expiration: BlockNumber,
        now: BlockNumber,
    ) -> Result<(), Rejection> {
        let first = if self.votes == 0 { arbiters } else { self.arbiters_at_first };
        let counted = if rules.switches.freeze_arbiter_count { first } else { arbiters };
        let cast = self.votes + 1;
        let (weight, artifacts) = (rules.malicious_weight, self.malicious.len());
        // Both subtractions are checked for every undecided artifact before anything is stored. With no more votes than
        // arbiters, neither side can have more.
        if cast > counted {
            for artifact in (0..artifacts).filter(|&artifact| !self.decided.contains(artifact)) {
                let malicious = u64::from(self.malicious[artifact]) + u64::from(votes.contains(artifact));
                if malicious > counted || cast - malicious > counted {
                    return refuse(Rejection::QuorumUnderflow);
                }
            }
        }
        self.arbiters_at_first = first;
        self.votes = cast;
        let mut undecided = 0;
        for (artifact, tallied) in self.malicious.iter_mut().enumerate() {
            if self.decided.contains(artifact) {
                continue;
            }
            *tallied += u32::from(votes.contains(artifact));
            let malicious = u64::from(*tallied);
            let benign = cast - malicious;
            if weight * malicious >= counted - malicious || benign > weight * (counted - benign) {
                self.decided.insert(artifact);
            } else {
                undecided += 1;
            }
        }
        if self.reached.is_none() && (undecided == 0 || cast == counted) {
            self.reached = Some(now.0 - expiration.0);
        }
        Ok(())
    }

    /// True if the votes so far make `artifact` malicious; a tie does, and so does no vote at all.
    #[inline]
    pub fn is_malicious(&self, rules: &RuleSet, artifact: usize) -> bool {
        rules.is_malicious(u64::from(self.malicious[artifact]), self.votes)
    }

    /// The malicious artifacts by the votes so far.
    pub fn consensus(&self, rules: &RuleSet) -> ArtifactSet {
        ArtifactSet::collect(self.malicious.len(), |artifact| self.is_malicious(rules, artifact))
    }
}
