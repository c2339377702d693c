//! One hash of all that an engine did and got in a run: two runs with the same hash decided the same about every bounty,
//! and were paid the same for it. A world and a tape of the same market give the same hash.

use market::{nct::Nct, verdict::ArtifactSet};
use replay::{
    follower::{Follower, OwnBounty},
    world::Decision,
};
use sha2::{Digest as _, Sha256};

/// SHA-256 over all bounties in the order in which they ended. Of each: its number (8 bytes, little-endian), one byte for what
/// was decided (0 asserted, 1 abstained, 2 refused), and of an assertion its mask, its verdicts (a byte of them for every eight
/// artifacts), its bids and its payout (each 16 bytes of wei, little-endian).
#[derive(Clone, Debug, Default)]
pub struct DecisionDigest {
    hash: Sha256,
    /// What is not hashed yet: many short pieces are slow.
    waiting: Vec<u8>,
}

/// Bytes that are hashed at once.
const PIECE: usize = 4096;

impl DecisionDigest {
    /// The hash of what was seen.
    pub fn finish(mut self) -> [u8; 32] {
        self.hash.update(&self.waiting);
        self.hash.finalize().into()
    }

    fn set(&mut self, set: ArtifactSet, artifacts: usize) {
        self.waiting.extend_from_slice(&set.to_uint().to_le_bytes::<32>()[..artifacts.div_ceil(8)]);
    }

    fn amount(&mut self, amount: Nct) {
        // No supply that can be simulated comes near the end of 128 bits.
        self.waiting.extend_from_slice(&amount.to_wei().unwrap_or(u128::MAX).to_le_bytes());
    }
}

impl Follower for DecisionDigest {
    fn closed(&mut self, own: &OwnBounty<'_>) {
        self.waiting.extend_from_slice(&own.number.to_le_bytes());
        self.waiting.push(match own.decision {
            Decision::Asserted(_) => 0,
            Decision::Abstained(_) => 1,
            Decision::Refused(_) => 2,
        });
        if let Some((assertion, reward)) = own.stake {
            self.set(assertion.mask, own.artifacts);
            self.set(assertion.revealed().map_or(ArtifactSet::default(), |opening| opening.verdicts), own.artifacts);
            assertion.bids.iter().for_each(|&bid| self.amount(bid));
            self.amount(reward.payout);
        }
        if self.waiting.len() >= PIECE {
            self.hash.update(&self.waiting);
            self.waiting.clear();
        }
    }
}
