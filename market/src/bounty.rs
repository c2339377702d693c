//! A bounty and what has been said about it: assertions and votes.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::{
    block::{BlockNumber, Windows},
    bloom::Bloom,
    command::PostBounty,
    commitment::{Commitment, Opening},
    id::{AccountId, AccountSet, Guid, Positions},
    nct::Nct,
    quorum::Tally,
    rejection::{Rejection, refuse},
    rewards::{Fees, Rewards},
    ruleset::RuleSet,
    verdict::ArtifactSet,
};

/// A bounty on one or more artifacts.
#[derive(Clone, Debug)]
pub struct Bounty {
    /// Its name, unused before and for ever after.
    pub guid: Guid,
    /// 0 for files, 1 for URLs.
    pub artifact_type: u64,
    /// The ambassador who posted and pays it.
    pub author: AccountId,
    /// Reward for all artifacts together.
    pub amount: Nct,
    /// Where the artifacts are.
    pub artifact_uri: Arc<str>,
    /// Free text about the artifacts, if there is any.
    pub metadata: Option<Arc<str>>,
    /// Number of artifacts, 1 to 256.
    pub artifacts: usize,
    /// Block of posting.
    pub posted: BlockNumber,
    /// First block in which no assertion is taken.
    pub expiration: BlockNumber,
    /// Filter over the artifacts' hashes; `None` for one without a bit.
    pub bloom: Option<Box<Bloom>>,
    /// Fees at posting.
    pub fees: Fees,
    /// Windows at posting.
    pub windows: Windows,
    /// Assertions in order of posting.
    pub assertions: Vec<Assertion>,
    /// Votes in order of arrival.
    pub votes: Vec<Vote>,
    /// What the votes amount to.
    pub tally: Tally,
    /// The arbiter who gets the arbiters' share, once drawn.
    pub assigned_arbiter: Option<AccountId>,
    /// Positions of the assertions by their authors.
    pub(crate) positions: Positions,
    pub(crate) voted: AccountSet,
    pub(crate) settled: AccountSet,
    /// Rewards as computed last; not to be read unless they are current.
    pub(crate) rewards: Rewards,
    /// False once a command changed what the rewards depend on.
    pub(crate) rewards_current: bool,
}

impl Bounty {
    /// A bounty as it stands when it was just posted.
    pub fn new(author: AccountId, post: PostBounty, posted: BlockNumber, fees: Fees, windows: Windows) -> Bounty {
        Bounty {
            guid: post.guid,
            artifact_type: post.artifact_type,
            author,
            amount: post.amount,
            artifact_uri: post.artifact_uri,
            metadata: post.metadata,
            artifacts: post.artifacts as usize,
            posted,
            expiration: BlockNumber(posted.0 + post.duration),
            bloom: post.bloom,
            fees,
            windows,
            assertions: Vec::new(),
            votes: Vec::new(),
            tally: Tally::new(post.artifacts as usize),
            assigned_arbiter: None,
            positions: Positions::default(),
            voted: AccountSet::default(),
            settled: AccountSet::default(),
            rewards: Rewards::default(),
            rewards_current: false,
        }
    }

    /// True once `account` has settled.
    #[inline]
    pub fn has_settled(&self, account: AccountId) -> bool {
        self.settled.contains(account)
    }

    /// True once `account` has voted, even if it was removed and added again since.
    #[inline]
    pub fn has_voted(&self, account: AccountId) -> bool {
        self.voted.contains(account)
    }

    /// True once `account` has asserted.
    #[inline]
    pub fn has_asserted(&self, account: AccountId) -> bool {
        self.positions.of(account).is_some()
    }
}

/// A stake on some artifacts of a bounty.
#[derive(Clone, Debug)]
pub struct Assertion {
    /// The expert who posted it.
    pub author: AccountId,
    /// One bid for each mask bit, lowest first; a single bid where the rules take one per bounty.
    pub bids: SmallVec<[Nct; 1]>,
    /// Artifacts it has an opinion on; may have bits beyond the artifacts.
    pub mask: ArtifactSet,
    /// What it promised; once it is revealed, in an envelope.
    pub commitment: Commitment,
    /// Metadata of the reveal, if there is any.
    pub metadata: Option<Arc<str>>,
    pub(crate) is_revealed: bool,
}

impl Assertion {
    /// One that has been revealed.
    #[inline]
    pub fn opened(author: AccountId, bids: SmallVec<[Nct; 1]>, mask: ArtifactSet, opening: Opening) -> Assertion {
        Assertion { author, bids, mask, commitment: Commitment::envelope(opening), metadata: None, is_revealed: true }
    }

    /// One that has not been.
    #[inline]
    pub fn sealed(author: AccountId, bids: SmallVec<[Nct; 1]>, mask: ArtifactSet, opening: Opening) -> Assertion {
        Assertion { is_revealed: false, ..Assertion::opened(author, bids, mask, opening) }
    }

    /// All bids together; `None` beyond 256 bits.
    #[inline]
    pub fn staked(&self) -> Option<Nct> {
        sum(&self.bids)
    }

    /// What it turned out to say: `None` before the reveal.
    #[inline]
    pub fn revealed(&self) -> Option<&Opening> {
        if self.is_revealed { self.commitment.opening() } else { None }
    }

    /// Its verdict on an artifact: `None` without an opinion or before the reveal.
    #[inline]
    pub fn verdict(&self, artifact: usize) -> Option<bool> {
        self.revealed().filter(|_| self.mask.contains(artifact)).map(|opening| opening.verdicts.contains(artifact))
    }
}

/// Checks that every bid is within the rules' limits.
///
/// # Errors
///
/// [`Rejection::BidBelowMinimum`] or [`Rejection::BidAboveMaximum`], for the first that is not.
#[inline(always)]
pub fn check_bids(rules: &RuleSet, bids: &[Nct]) -> Result<(), Rejection> {
    for &bid in bids {
        if bid < rules.bid_minimum {
            return refuse(Rejection::BidBelowMinimum { bid, minimum: rules.bid_minimum });
        }
        if let Some(maximum) = rules.bid_maximum.filter(|&maximum| bid > maximum) {
            return refuse(Rejection::BidAboveMaximum { bid, maximum });
        }
    }
    Ok(())
}

/// All `bids` together; `None` beyond 256 bits.
#[inline]
pub(crate) fn sum(bids: &[Nct]) -> Option<Nct> {
    match *bids {
        // By far the most bounties are on one artifact.
        [only] => Some(only),
        _ => bids.iter().try_fold(Nct::ZERO, |sum, &bid| sum.checked_add(bid)),
    }
}

/// An arbiter's vote.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vote {
    /// The arbiter.
    pub voter: AccountId,
    /// Malicious artifacts.
    pub votes: ArtifactSet,
    /// The arbiter's word that the bloom filter fits; stored, never used.
    pub valid_bloom: bool,
}
