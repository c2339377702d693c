//! A yes or no for each artifact of a bounty: masks, verdicts and votes.

use std::fmt;

use alloy_primitives::U256;

use crate::word;

/// A set of artifacts of one bounty, one bit each, artifact 0 in the lowest bit.
///
/// The contracts store 256 bits whatever the number of artifacts; bits beyond it have surprising effects (see the
/// rule sets), so they are kept.
#[derive(Clone, Copy, Eq, Hash, Default)]
#[expect(clippy::derived_hash_with_manual_eq, reason = "the same equality as derived, only faster")]
pub struct ArtifactSet(pub U256);

impl PartialEq for ArtifactSet {
    #[inline]
    fn eq(&self, other: &ArtifactSet) -> bool {
        word::same(&self.0, &other.0)
    }
}

impl ArtifactSet {
    /// No artifact.
    pub const EMPTY: ArtifactSet = ArtifactSet(U256::ZERO);

    /// The first `count` artifacts, at most 256.
    pub fn first(count: usize) -> ArtifactSet {
        ArtifactSet(if count >= 256 { U256::MAX } else { (U256::from(1) << count) - U256::from(1) })
    }

    /// A set of the artifacts for which `member` holds.
    pub fn collect(count: usize, mut member: impl FnMut(usize) -> bool) -> ArtifactSet {
        let mut set = ArtifactSet::EMPTY;
        for artifact in 0..count {
            if member(artifact) {
                set.insert(artifact);
            }
        }
        set
    }

    /// True if artifact `index` is in the set.
    #[inline]
    pub fn contains(self, index: usize) -> bool {
        index < 256 && self.0.as_limbs()[index / 64] >> (index % 64) & 1 == 1
    }

    /// Adds artifact `index`.
    ///
    /// # Panics
    ///
    /// If `index` exceeds 255.
    #[inline]
    pub fn insert(&mut self, index: usize) {
        self.0.set_bit(index, true);
    }

    /// Number of artifacts in the set.
    #[inline]
    pub fn len(self) -> usize {
        let limbs @ [first, second, third, fourth] = *self.0.as_limbs();
        // Most sets are of one artifact.
        if (second | third | fourth) == 0 && first.is_power_of_two() {
            return 1;
        }
        limbs.iter().map(|limb| limb.count_ones() as usize).sum()
    }

    /// True without any artifact.
    #[inline]
    pub fn is_empty(self) -> bool {
        word::is_zero(&self.0)
    }

    /// Number of members below `index`: the position of that artifact's bid in an assertion's list.
    #[inline]
    pub fn rank(self, index: usize) -> usize {
        let limbs = self.0.as_limbs();
        let whole: usize = limbs[..index / 64].iter().map(|limb| limb.count_ones() as usize).sum();
        whole + (limbs[index / 64] & ((1 << (index % 64)) - 1)).count_ones() as usize
    }

    /// True if the set has a member at or beyond `count`.
    #[inline]
    pub fn reaches_beyond(self, count: usize) -> bool {
        count < 256 && !(self.0 >> count).is_zero()
    }
}

impl fmt::Display for ArtifactSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for ArtifactSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rank_finds_an_artifacts_bid() {
        let check = |mask: U256, index, rank| assert_eq!(ArtifactSet(mask).rank(index), rank);
        check(U256::from(5), 0, 0);
        check(U256::from(5), 2, 1);
        check(U256::from(1) << 32, 32, 0);
        check((U256::from(1) << 255) + U256::from(1), 255, 1);
        check(U256::MAX, 255, 255);
        check(U256::MAX, 64, 64);
    }

    #[test]
    fn bits_beyond_the_artifacts_are_seen() {
        assert!(ArtifactSet(U256::from(8)).reaches_beyond(3));
        assert!(!ArtifactSet(U256::from(7)).reaches_beyond(3));
        assert!(!ArtifactSet::first(256).reaches_beyond(256));
        assert_eq!(ArtifactSet::first(256).len(), 256);
    }
}
