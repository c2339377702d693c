//! Replays what a real engine once said: one recorded column of a corpus.

use super::Backend;
use crate::artifact::{Artifact, ScanResult};

/// The backend that repeats recorded answers.
#[derive(Clone, Debug)]
pub struct Recorded {
    column: String,
    /// Position of the column among [`Artifact::recorded`].
    slot: usize,
}

impl Recorded {
    /// Repeats `column`, which stands at `slot` among an artifact's recorded answers.
    pub fn new(column: impl Into<String>, slot: usize) -> Recorded {
        Recorded { column: column.into(), slot }
    }
}

impl Backend for Recorded {
    fn name(&self) -> &str {
        &self.column
    }

    fn fingerprint(&self) -> String {
        format!("recorded:{}", self.column)
    }

    fn needs_content(&self) -> bool {
        false
    }

    fn scan(&self, artifact: &Artifact<'_>) -> ScanResult {
        artifact.recorded.get(self.slot).copied().unwrap_or_default()
    }
}
