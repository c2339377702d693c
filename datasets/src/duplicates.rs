//! A fixed-size memory of the ids seen so far.
//!
//! A Bloom filter: "never seen" is certain, "seen" is a suspicion for a second pass to confirm.

use crate::artifact::ArtifactId;

/// log2 of the bits: 32 MiB, so that a million rows raise one false suspicion or two.
const LOG2_BITS: u32 = 28;

/// The ids seen so far, roughly.
pub(crate) struct SeenFilter {
    words: Vec<u64>,
}

impl SeenFilter {
    pub(crate) fn new() -> SeenFilter {
        SeenFilter {
            words: vec![0; 1 << (LOG2_BITS - 6)],
        }
    }

    /// Adds `id`; true if it may have been added before.
    pub(crate) fn insert(&mut self, id: &ArtifactId) -> bool {
        let mut seen = true;
        // A SHA-256 is already a hash: three stretches of it are three probes.
        for start in [0, 8, 16] {
            let stretch = id.0[start..start + 8].try_into().expect("eight bytes");
            let bit = u64::from_le_bytes(stretch) & ((1 << LOG2_BITS) - 1);
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
