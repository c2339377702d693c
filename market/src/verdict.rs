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
pub struct ArtifactSet([u64; 4]);

impl PartialEq for ArtifactSet {
    #[inline]
    fn eq(&self, other: &ArtifactSet) -> bool {
        word::same(self.0, other.0)
    }
}

impl ArtifactSet {
    /// No artifact.
    pub const EMPTY: ArtifactSet = ArtifactSet([0; 4]);

    /// The set as the contracts hold it.
    #[inline]
    pub const fn from_uint(bits: U256) -> ArtifactSet {
        ArtifactSet(*bits.as_limbs())
    }

    /// The set as the contracts hold it.
    #[inline]
    pub const fn to_uint(self) -> U256 {
        U256::from_limbs(self.0)
    }

    /// The first `count` artifacts, at most 256.
    #[inline]
    pub fn first(count: usize) -> ArtifactSet {
        let limb = |number: usize| match count.saturating_sub(64 * number) {
            some @ 0..64 => (1 << some) - 1,
            _ => u64::MAX,
        };
        ArtifactSet([limb(0), limb(1), limb(2), limb(3)])
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
    pub fn contains(&self, index: usize) -> bool {
        index < 256 && self.0[index / 64] >> (index % 64) & 1 == 1
    }

    /// Adds artifact `index`.
    ///
    /// # Panics
    ///
    /// If `index` exceeds 255.
    #[inline]
    pub fn insert(&mut self, index: usize) {
        self.set(index, true);
    }

    /// Adds artifact `index`, or takes it out.
    ///
    /// # Panics
    ///
    /// If `index` exceeds 255.
    #[inline]
    pub fn set(&mut self, index: usize, member: bool) {
        let (word, bit) = (&mut self.0[index / 64], index % 64);
        *word = *word & !(1 << bit) | u64::from(member) << bit;
    }

    /// Number of artifacts in the set.
    #[inline]
    pub fn len(self) -> usize {
        let limbs @ [first, second, third, fourth] = self.0;
        // Most sets are of one artifact.
        if (second | third | fourth) == 0 && first.is_power_of_two() {
            return 1;
        }
        limbs.iter().map(|limb| limb.count_ones() as usize).sum()
    }

    /// True without any artifact.
    #[inline]
    pub fn is_empty(self) -> bool {
        word::is_zero(self.0)
    }

    /// Number of members below `index`: the position of that artifact's bid in an assertion's list.
    #[inline]
    pub fn rank(&self, index: usize) -> usize {
        let whole: usize = self.0[..index / 64].iter().map(|limb| limb.count_ones() as usize).sum();
        whole + (self.0[index / 64] & ((1 << (index % 64)) - 1)).count_ones() as usize
    }

    /// True if the set has a member at or beyond `count`.
    #[inline]
    pub fn reaches_beyond(self, count: usize) -> bool {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, ArtifactSet::first(count).0);
        (a & !e) | (b & !f) | (c & !g) | (d & !h) != 0
    }
}

impl fmt::Display for ArtifactSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.to_uint())
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
        let check = |mask: U256, index, rank| assert_eq!(ArtifactSet::from_uint(mask).rank(index), rank);
        check(U256::from(5), 0, 0);
        check(U256::from(5), 2, 1);
        check(U256::from(1) << 32, 32, 0);
        check((U256::from(1) << 255) + U256::from(1), 255, 1);
        check(U256::MAX, 255, 255);
        check(U256::MAX, 64, 64);
    }

    #[test]
    fn every_word_is_looked_at() {
        for index in [0, 63, 64, 127, 128, 191, 192, 255] {
            let (mut alone, mut others) = (ArtifactSet::EMPTY, ArtifactSet::first(256));
            alone.insert(index);
            assert!(alone.reaches_beyond(index) && !alone.reaches_beyond(index + 1), "{index}");
            assert_eq!((alone.len(), alone.contains(index)), (1, true), "{index}");
            others.set(index, false);
            assert_eq!((others.len(), others.contains(index)), (255, false), "{index}");
            alone.set(index, false);
            assert!(alone.is_empty(), "{index}");
        }
    }

    #[test]
    fn bits_beyond_the_artifacts_are_seen() {
        assert!(ArtifactSet::from_uint(U256::from(8)).reaches_beyond(3));
        assert!(!ArtifactSet::from_uint(U256::from(7)).reaches_beyond(3));
        assert!(!ArtifactSet::first(256).reaches_beyond(256));
        for count in [0, 1, 63, 64, 65, 128, 200, 255, 256, 1000] {
            let first = ArtifactSet::first(count);
            assert_eq!(first, ArtifactSet::collect(count.min(256), |_| true));
            assert!(!first.reaches_beyond(count) && (count == 0 || first.reaches_beyond(count.min(256) - 1)), "{count}");
        }
    }
}
