//! Replays what a real engine once said: one recorded column of a corpus.

use std::time::Instant;

use super::Backend;
use crate::artifact::{Artifact, Failure, Finding};

/// The backend that repeats recorded answers.
#[derive(Clone, Debug)]
pub struct Recorded {
    column: String,
    fingerprint: String,
    /// Position of the column among [`Artifact::recorded`].
    slot: usize,
}

impl Recorded {
    /// Repeats `column`, which stands at `slot` among an artifact's recorded answers.
    pub fn new(column: impl Into<String>, slot: usize) -> Recorded {
        let column = column.into();
        Recorded { fingerprint: format!("recorded:{column}"), column, slot }
    }
}

impl Backend for Recorded {
    fn name(&self) -> &str {
        &self.column
    }

    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    fn needs_content(&self) -> bool {
        false
    }

    fn scan(&self, artifact: &Artifact<'_>, _: Instant) -> Result<Finding, Failure> {
        Ok(artifact.recorded.get(self.slot).copied().unwrap_or_default().into())
    }
}
