//! One market, recorded without the engine, in which any number of engines can then be played, fast.
//!
//! Arrivals, scans, votes and rivals that draw what they do ahead do not react to the engine, so what it meets is the same in every run: [`Tape::record`]
//! plays the market once and keeps it, [`Tape::play`] plays an engine alone against that. The engine is the same
//! [`Microengine`](engine::microengine::Microengine), told the same events in the same order as by the
//! [world](crate::world); what it stakes is settled by the market's own [settlement](market::settlement), beside the
//! recorded stakes of others. So decisions, profits, balances and locked capital are those of [`play`](crate::world::play),
//! to the wei (`tests/tape.rs`); what others earn from it is not reckoned.
//!
//! One thing would make it different: somebody who runs out of Nectar because of what the engine wins. A market in which
//! that cannot be ruled out, whatever the engine does, is not recorded ([`TapeError`]).

mod play;
mod record;

use std::sync::Arc;

use alloy_primitives::U256;
use engine::{
    artifact::ScanResult,
    market_view::PublicAssertion,
    settled::{Pools, SettledAssertion},
    stake::StrategyError,
};
use market::{
    block::{BlockNumber, Windows},
    id::{AccountId, Guid},
    nct::{Nct, NctDelta},
    rejection::Rejection,
    settlement::{Fees, Stakes},
    verdict::ArtifactSet,
};

use crate::{plan::Setup, world::PlayError};

/// A market without the engine, as the engine meets it.
///
/// It holds 0.5 kB for a bounty on one artifact with ten rivals, and 36 bytes for each rival more, all in a few long columns.
#[derive(Debug)]
pub struct Tape {
    setup: Arc<Setup>,
    fees: Fees,
    windows: Windows,
    /// Blocks from posting to the first block after the vote window.
    life: u64,
    /// The engine's account.
    engine: AccountId,
    bounties: Vec<Taped>,
    /// For each artifact, answers of all backends.
    results: Vec<ScanResult>,
    /// For each artifact, the factor of the engine's filter; empty if that is idle.
    factors: Vec<f64>,
    /// For each artifact, what others staked.
    stakes: Vec<Option<Stakes>>,
    /// For each artifact, the same as an oracle foresees it.
    pools: Vec<Pools>,
    /// Everybody's assertions, in order of bounties and of posting.
    assertions: Vec<TapedAssertion>,
    /// Their bids in wei.
    bids: Vec<u128>,
    /// Sets of artifacts, each in as many bytes as its bounty's artifacts need: of each bounty the labels, the consensus and
    /// the consensus that an oracle foresees, then of each of its assertions mask and verdicts.
    sets: Vec<u8>,
}

/// A bounty, and where what belongs to it begins.
#[derive(Clone, Copy, Debug)]
struct Taped {
    guid: Guid,
    posted: BlockNumber,
    /// Blocks from posting to the engine's decision.
    wait: u32,
    /// Assertions that the engine sees when it decides: its own comes next.
    seen: u32,
    artifacts: u16,
    voted: bool,
    /// The same, as an oracle foresees it.
    will_vote: bool,
    assertions: u32,
    first_artifact: usize,
    first_assertion: usize,
    first_bid: usize,
    first_set: usize,
}

/// Somebody's assertion.
#[derive(Clone, Copy, Debug)]
struct TapedAssertion {
    author: AccountId,
    /// Its first bid, counted from the bounty's first.
    bid: u32,
    revealed: bool,
}

/// Why a market cannot be recorded, or an engine not be played in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TapeError {
    /// The market could not be played.
    #[error(transparent)]
    Play(#[from] PlayError),
    /// There is no such strategy.
    #[error("engine.strategy")]
    Strategy(#[from] StrategyError),
    /// It was stopped.
    #[error("interrupted")]
    Interrupted,
    /// A rival reacts to the engine.
    #[error("a tape is the same for every engine, but `{rival}` reacts to what the engine does (`{strategy}`); play the world instead")]
    AdaptiveRival { rival: String, strategy: String },
    /// A rival might run out of Nectar.
    #[error(
        "a tape cannot tell whether `{rival}` can always pay: what it may lose and stake comes to {needed}, and its wallet holds {wallet}; \
         play the world instead, or give rivals more"
    )]
    RivalShort { rival: String, needed: Nct, wallet: Nct },
    /// An ambassador might run out of Nectar.
    #[error(
        "a tape cannot tell whether ambassador {number} can always pay: its bounties come to {needed}, and its wallet holds {wallet}; \
         play the world instead, or give ambassadors more"
    )]
    AmbassadorShort { number: usize, needed: Nct, wallet: Nct },
    /// The engine would have scanned otherwise.
    #[error("the tape was recorded for an engine with other {what}; record one for this engine")]
    OtherEngine { what: &'static str },
    /// A strategy staked on artifacts that the bounty does not have.
    #[error("bounty {number} has {artifacts} artifacts, and the strategy staked on others; play the world instead")]
    StrayMaskBits { number: u64, artifacts: usize },
    /// A bounty cannot be settled.
    #[error("bounty {number} cannot be settled: {rejection}")]
    Unsettled { number: u64, rejection: Rejection },
}

/// What playing an engine came to, beside what its follower saw.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EnginePlayed {
    /// Bounties that are over.
    pub closed: u64,
    /// First block of the run.
    pub first_block: BlockNumber,
    /// Last block of the run.
    pub last_block: BlockNumber,
    /// Change of the engine's balance.
    pub engine: NctDelta,
}

impl Tape {
    /// What the market is made of. Of its engine the strategy, distiller and calibration play no role.
    pub fn setup(&self) -> &Arc<Setup> {
        &self.setup
    }

    /// Number of bounties.
    pub fn bounties(&self) -> u64 {
        self.bounties.len() as u64
    }

    /// Memory that the columns take, in bytes.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.bounties)
            + size_of_val(&*self.results)
            + size_of_val(&*self.factors)
            + size_of_val(&*self.stakes)
            + size_of_val(&*self.pools)
            + size_of_val(&*self.assertions)
            + size_of_val(&*self.bids)
            + self.sets.len()
    }

    /// The bounty's reward for all artifacts together.
    fn amount(&self, bounty: &Taped) -> Nct {
        self.setup.scenario.ambassadors.amount.checked_mul(u64::from(bounty.artifacts)).expect("checked with the scenario")
    }

    /// The set at that place among a bounty's.
    fn set(&self, bounty: &Taped, place: usize) -> ArtifactSet {
        let bytes = bounty.set_bytes();
        let from = bounty.first_set + place * bytes;
        ArtifactSet::from_uint(match &self.sets[from..from + bytes] {
            // By far the most bounties are on a few artifacts.
            &[only] => U256::from(only),
            bytes => U256::from_le_slice(bytes),
        })
    }

    fn labels(&self, bounty: &Taped) -> ArtifactSet {
        self.set(bounty, 0)
    }

    fn consensus(&self, bounty: &Taped) -> Option<ArtifactSet> {
        bounty.voted.then(|| self.set(bounty, 1))
    }

    fn foreseen_consensus(&self, bounty: &Taped) -> Option<ArtifactSet> {
        bounty.will_vote.then(|| self.set(bounty, 2))
    }

    fn public(&self, bounty: &Taped, index: usize) -> PublicAssertion {
        let (assertion, mask) = (&self.assertions[bounty.first_assertion + index], self.set(bounty, 3 + 2 * index));
        let first = bounty.first_bid + assertion.bid as usize;
        let count = match self.setup.rules.bids {
            market::ruleset::Bids::PerBounty => 1,
            market::ruleset::Bids::PerArtifact => mask.len(),
        };
        let bids = self.bids[first..first + count].iter().map(|&bid| Nct::wei(bid)).collect();
        PublicAssertion { author: assertion.author, mask, bids }
    }

    fn settled(&self, bounty: &Taped, index: usize) -> SettledAssertion {
        let PublicAssertion { author, mask, bids } = self.public(bounty, index);
        let revealed = self.assertions[bounty.first_assertion + index].revealed;
        SettledAssertion { author, mask, bids, verdicts: revealed.then(|| self.set(bounty, 4 + 2 * index)) }
    }
}

impl Taped {
    fn set_bytes(&self) -> usize {
        usize::from(self.artifacts).div_ceil(8)
    }

    /// The block in which the engine decides.
    fn decides(&self) -> BlockNumber {
        BlockNumber(self.posted.0 + u64::from(self.wait))
    }

    fn artifact_range(&self) -> std::ops::Range<usize> {
        self.first_artifact..self.first_artifact + usize::from(self.artifacts)
    }
}
