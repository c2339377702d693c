//! What the engine's backends said of artifacts, once scanned: what a replay knows of scanning.

use std::collections::HashMap;

use datasets::ArtifactId;
use engine::artifact::ScanResult;
use sha2::{Digest as _, Sha256};

/// Answers of the backends that look at artifacts, by artifact. Some tens of bytes each; contents are long gone.
#[derive(Debug, Default)]
pub struct VerdictTable {
    /// Fingerprints of the backends, in the engine's order, recorded ones left out.
    backends: Vec<String>,
    /// Where an artifact's answers begin, in units of the number of backends.
    places: HashMap<ArtifactId, u32>,
    answers: Vec<ScanResult>,
    /// Microseconds that all backends together took for each artifact.
    micros: Vec<u32>,
}

/// What is known of one artifact.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Scanned<'a> {
    /// One answer per backend.
    pub answers: &'a [ScanResult],
    /// Time that the scan took, in microseconds.
    pub micros: u32,
}

impl VerdictTable {
    /// An empty table for backends with these fingerprints.
    pub fn new(backends: Vec<String>) -> VerdictTable {
        VerdictTable { backends, ..VerdictTable::default() }
    }

    /// Fingerprints of the backends, in order.
    pub fn backends(&self) -> &[String] {
        &self.backends
    }

    /// Puts in what was said of an artifact, one answer per backend; what was there before is replaced.
    ///
    /// # Panics
    ///
    /// If there are more or fewer answers than backends.
    pub fn insert(&mut self, id: ArtifactId, answers: &[ScanResult], micros: u32) {
        assert_eq!(answers.len(), self.backends.len(), "one answer per backend");
        let next = self.micros.len();
        let place = *self.places.entry(id).or_insert(u32::try_from(next).expect("fewer than 2^32 artifacts")) as usize;
        if place == next {
            self.answers.extend_from_slice(answers);
            self.micros.push(micros);
        } else {
            self.answers[place * answers.len()..(place + 1) * answers.len()].copy_from_slice(answers);
            self.micros[place] = micros;
        }
    }

    /// What was said of an artifact.
    pub fn get(&self, id: &ArtifactId) -> Option<Scanned<'_>> {
        let place = *self.places.get(id)? as usize;
        let width = self.backends.len();
        Some(Scanned { answers: &self.answers[place * width..(place + 1) * width], micros: self.micros[place] })
    }

    /// SHA-256 of all answers, and of their times if these count, in the order of the artifacts.
    pub fn digest(&self, with_times: bool) -> [u8; 32] {
        let mut digest = Sha256::new();
        for answer in &self.answers {
            digest.update([answer.malicious.map_or(2, u8::from)]);
            digest.update(answer.confidence.unwrap_or(-1.0).to_le_bytes());
        }
        if with_times {
            self.micros.iter().for_each(|micros| digest.update(micros.to_le_bytes()));
        }
        digest.finalize().into()
    }

    /// Number of artifacts.
    pub fn len(&self) -> usize {
        self.micros.len()
    }

    /// True if nothing was scanned.
    pub fn is_empty(&self) -> bool {
        self.micros.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_counts() {
        let mut table = VerdictTable::new(vec!["a:1".into(), "b:1".into()]);
        let (one, two) = (ArtifactId([1; 32]), ArtifactId([2; 32]));
        let answers = |first| [ScanResult::verdict(first), ScanResult::NONE];
        table.insert(one, &answers(true), 5);
        table.insert(two, &answers(false), 6);
        table.insert(one, &answers(false), 7);
        assert_eq!(table.get(&one), Some(Scanned { answers: &answers(false), micros: 7 }));
        assert_eq!(table.get(&two), Some(Scanned { answers: &answers(false), micros: 6 }));
        assert_eq!((table.get(&ArtifactId([3; 32])), table.len()), (None, 2));
        let (timed, untimed) = (table.digest(true), table.digest(false));
        table.insert(one, &answers(false), 8);
        assert_eq!((table.digest(true) == timed, table.digest(false) == untimed), (false, true));
        table.insert(one, &answers(true), 8);
        assert_ne!(table.digest(false), untimed);
    }
}
