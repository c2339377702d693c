//! A fixed-size memory of the ids seen so far.
//!
//! A Bloom filter: "never seen" is certain, "seen" is a suspicion for a second pass to confirm.

use crate::artifact::ArtifactId;

/// log2 of the bits: 32 MiB, so that a false suspicion is unlikely in three million rows, and ten
/// million raise a few hundred.
const LOG2_BITS: u32 = 28;

/// Where in an id the probes are taken from: a SHA-256 is already a hash.
const PROBES: [usize; 6] = [0, 5, 10, 15, 20, 25];

/// The ids seen so far, roughly.
pub(crate) struct SeenFilter {
    words: Vec<u64>,
}

impl SeenFilter {
    pub(crate) fn new() -> SeenFilter {
        SeenFilter { words: vec![0; 1 << (LOG2_BITS - 6)] }
    }

    /// Adds `id`; true if it may have been added before.
    pub(crate) fn insert(&mut self, id: &ArtifactId) -> bool {
        let mut seen = true;
        for start in PROBES {
            let stretch = id.0[start..start + 4].try_into().expect("four bytes");
            let bit = u32::from_le_bytes(stretch) & ((1 << LOG2_BITS) - 1);
            let (word, mask) = ((bit >> 6) as usize, 1 << (bit & 63));
            seen &= self.words[word] & mask != 0;
            self.words[word] |= mask;
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_suspected_the_second_time_only() {
        let mut filter = SeenFilter::new();
        let ids: Vec<ArtifactId> = (0..50).map(|byte| ArtifactId([byte; 32])).collect();
        assert!(ids.iter().all(|id| !filter.insert(id)));
        assert!(ids.iter().all(|id| filter.insert(id)));
    }
}
