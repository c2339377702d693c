//! Analysis backends: each answers with malicious, benign, or nothing. One file each.

pub mod known_hash;
pub mod recorded;

use std::fmt::Debug;

use crate::artifact::{Artifact, ScanResult};

/// Something that can look at an artifact.
pub trait Backend: Debug + Send + Sync {
    /// Its name in reports.
    fn name(&self) -> &str;

    /// Identifies everything its answers depend on: version, rules, lists.
    fn fingerprint(&self) -> String;

    /// True if it looks at the content of artifacts.
    fn needs_content(&self) -> bool;

    /// Its answer.
    fn scan(&self, artifact: &Artifact<'_>) -> ScanResult;
}
