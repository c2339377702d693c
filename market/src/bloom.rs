//! The artifact filter of a bounty: 2048 bits, eight of them set for each artifact.
//!
//! Source: polyswarmd's bloom filter over artifact hash strings. The contracts store it and never read it.

use alloy_primitives::{U256, keccak256};

/// Eight 256-bit words, most significant first, as `postBounty` takes them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Bloom(pub [U256; 8]);

impl Bloom {
    /// The bits of one artifact, given its hash as text (for IPFS the `Qm…` string, not its decoding).
    pub fn bits(artifact: &str) -> [usize; 8] {
        let digest = keccak256(artifact.as_bytes());
        std::array::from_fn(|pair| usize::from(u16::from_be_bytes([digest[2 * pair], digest[2 * pair + 1]]) & 2047))
    }

    /// The filter of all `artifacts`.
    pub fn of<'a>(artifacts: impl IntoIterator<Item = &'a str>) -> Bloom {
        let mut bloom = Bloom::default();
        for artifact in artifacts {
            for bit in Bloom::bits(artifact) {
                bloom.0[7 - bit / 256].set_bit(bit % 256, true);
            }
        }
        bloom
    }

    /// False if the artifact is certainly not in the filter.
    pub fn may_contain(&self, artifact: &str) -> bool {
        Bloom::bits(artifact).into_iter().all(|bit| self.0[7 - bit / 256].bit(bit % 256))
    }

    /// The whole filter as hex digits of one 2048-bit number.
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|word| format!("{word:064x}")).collect()
    }
}
