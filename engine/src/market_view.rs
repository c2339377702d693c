//! All that a decision may look at: the bounty's public fields, the rules, the own wallet, and what is public on chain.
//!
//! Corpus truth, rivals' unrevealed verdicts and later blocks have no type here, so no strategy can ask for them.

use std::fmt::Debug;

use market::{
    block::{BlockNumber, Windows},
    bounty::{Assertion, Bounty},
    id::{AccountId, Guid},
    nct::Nct,
    ruleset::RuleSet,
    settlement::Fees,
    verdict::ArtifactSet,
};
use smallvec::SmallVec;

/// The public fields of a bounty.
#[derive(Clone, Debug)]
pub struct OpenBounty {
    /// Its name.
    pub guid: Guid,
    /// 0 for files, 1 for URLs.
    pub artifact_type: u64,
    /// Reward for all artifacts together.
    pub amount: Nct,
    /// Number of artifacts.
    pub artifacts: usize,
    /// Block of posting.
    pub posted: BlockNumber,
    /// First block in which no assertion is taken.
    pub expiration: BlockNumber,
}

impl From<&Bounty> for OpenBounty {
    fn from(bounty: &Bounty) -> OpenBounty {
        OpenBounty {
            guid: bounty.guid,
            artifact_type: bounty.artifact_type,
            amount: bounty.amount,
            artifacts: bounty.artifacts,
            posted: bounty.posted,
            expiration: bounty.expiration,
        }
    }
}

/// The engine's own Nectar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wallet {
    /// What can be staked now.
    pub free: Nct,
    /// What is in escrow on open bounties, fees included.
    pub locked: Nct,
    /// How many own assertions are open.
    pub open: usize,
}

impl Wallet {
    /// Free and locked together, the locked at cost; in NCT, to decide by.
    pub fn wealth(&self) -> f64 {
        self.free.to_f64() + self.locked.to_f64()
    }
}

/// Assertions of others as they stand on chain before they are revealed: who, on what, and for how much.
#[derive(Clone, Copy, Debug)]
pub struct PublicAssertions<'a>(Source<'a>);

#[derive(Clone, Copy, Debug)]
enum Source<'a> {
    Chain(&'a [Assertion]),
    Kept(&'a dyn KeptAssertions),
}

/// One of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublicAssertion {
    /// The expert.
    pub author: AccountId,
    /// Artifacts it has an opinion on.
    pub mask: ArtifactSet,
    /// Its bids, one per mask bit (or one in all, where the rules say so).
    pub bids: SmallVec<[Nct; 1]>,
}

/// Assertions that are kept otherwise than the chain keeps them.
pub trait KeptAssertions: Debug {
    /// How many there are.
    fn len(&self) -> usize;

    /// True before anybody asserted.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The one at `index`, in order of posting.
    fn get(&self, index: usize) -> PublicAssertion;
}

impl<'a> PublicAssertions<'a> {
    /// What is public of `assertions`.
    pub fn of(assertions: &'a [Assertion]) -> PublicAssertions<'a> {
        PublicAssertions(Source::Chain(assertions))
    }

    /// What is public of assertions that somebody keeps.
    pub fn kept(assertions: &'a dyn KeptAssertions) -> PublicAssertions<'a> {
        PublicAssertions(Source::Kept(assertions))
    }

    /// In order of posting.
    pub fn iter(&self) -> impl Iterator<Item = PublicAssertion> {
        let source = self.0;
        (0..self.len()).map(move |index| match source {
            Source::Chain(assertions) => {
                let Assertion { author, mask, bids, .. } = &assertions[index];
                PublicAssertion { author: *author, mask: *mask, bids: bids.clone() }
            }
            Source::Kept(kept) => kept.get(index),
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self.0 {
            Source::Chain(assertions) => assertions.len(),
            Source::Kept(kept) => kept.len(),
        }
    }

    /// True before anybody asserted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a decision on one bounty may look at.
#[derive(Clone, Copy, Debug)]
pub struct MarketView<'a> {
    /// The current block.
    pub now: BlockNumber,
    /// The bounty.
    pub bounty: &'a OpenBounty,
    /// The rules in force.
    pub rules: &'a RuleSet,
    /// Today's fees.
    pub fees: Fees,
    /// Today's windows.
    pub windows: Windows,
    /// The own Nectar.
    pub wallet: Wallet,
    /// What is on chain of this bounty so far.
    pub assertions: PublicAssertions<'a>,
    /// Factors that the engine's filter puts on the confidence in each artifact's verdict, 0 for what it leaves alone;
    /// empty if they are all 1.
    pub factors: &'a [f64],
}

impl MarketView<'_> {
    /// The factor that the engine's filter puts on the confidence in an artifact's verdict; 0 if it leaves it alone.
    pub fn factor(&self, artifact: usize) -> f64 {
        self.factors.get(artifact).copied().unwrap_or(1.0)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A view of a bounty that offers 2 NCT, with an empty wallet.
    pub(crate) fn view(rules: &RuleSet) -> MarketView<'_> {
        static BOUNTY: OpenBounty = OpenBounty {
            guid: Guid(7),
            artifact_type: 0,
            amount: Nct::whole(2),
            artifacts: 1,
            posted: BlockNumber(10),
            expiration: BlockNumber(20),
        };
        MarketView {
            now: BlockNumber(12),
            bounty: &BOUNTY,
            rules,
            fees: Fees { bounty: rules.bounty_fee, assertion: rules.assertion_fee },
            windows: Windows::blocks(10, 100),
            wallet: Wallet { free: Nct::ZERO, locked: Nct::ZERO, open: 0 },
            assertions: PublicAssertions::of(&[]),
            factors: &[],
        }
    }
}
