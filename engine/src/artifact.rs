//! What there is to scan, and what one backend says about it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One artifact as an engine sees it. What the corpus or the arbiters think of it is not in here.
#[derive(Clone, Copy, Debug, Default)]
pub struct Artifact<'a> {
    /// SHA-256 of the content.
    pub sha256: [u8; 32],
    /// File type as announced, such as `pe32`.
    pub file_type: Option<&'a str>,
    /// Size in bytes as announced.
    pub size: Option<u64>,
    /// The content, where it is at hand.
    pub content: Option<&'a [u8]>,
    /// What was recorded of this artifact by the engines that [`recorded`](crate::backend::recorded) backends replay.
    pub recorded: &'a [ScanResult],
}

/// One backend's answer on one artifact.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct ScanResult {
    /// True for malicious, false for benign, `None` for no answer.
    pub malicious: Option<bool>,
    /// The backend's own confidence in its answer, in 0..=1, if it states one.
    pub confidence: Option<f32>,
}

impl ScanResult {
    /// No answer.
    pub const NONE: ScanResult = ScanResult { malicious: None, confidence: None };

    /// A plain verdict.
    pub const fn verdict(malicious: bool) -> ScanResult {
        ScanResult { malicious: Some(malicious), confidence: None }
    }
}

/// What a backend found in one artifact.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Finding {
    /// Its answer.
    pub result: ScanResult,
    /// The malware family, in the backend's words: text from rules, signatures and programs, never to be trusted.
    pub family: Option<String>,
}

/// Longest family that is kept, in characters.
const FAMILY_LIMIT: usize = 256;
/// Longest story of a failure that is kept, in characters.
const DETAIL_LIMIT: usize = 1024;

impl Finding {
    /// An answer and the family it names: without blanks around it, cut at 256 characters, and none if nothing is left.
    ///
    /// The text is otherwise left as it came: who shows it must treat it as hostile, whatever is done here.
    pub fn new(result: ScanResult, family: Option<&str>) -> Finding {
        let family = family.map(str::trim).filter(|family| !family.is_empty());
        Finding { result, family: family.map(|family| family.chars().take(FAMILY_LIMIT).collect()) }
    }
}

impl From<ScanResult> for Finding {
    fn from(result: ScanResult) -> Finding {
        Finding { result, family: None }
    }
}

/// Why a backend has no answer on an artifact.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{kind}: {detail}")]
pub struct Failure {
    /// What reports count it under.
    pub kind: FailureKind,
    /// What happened, for whoever looks into it; may hold hostile text.
    pub detail: String,
}

impl Failure {
    /// A failure with its story, cut at 1024 characters.
    pub fn new(kind: FailureKind, detail: impl Into<String>) -> Failure {
        let mut detail = detail.into();
        if let Some((end, _)) = detail.char_indices().nth(DETAIL_LIMIT) {
            detail.truncate(end);
        }
        Failure { kind, detail }
    }
}

/// The kinds of failures, as reports and verdict tables name them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// It does not deal with such artifacts.
    NotMine,
    /// The artifact is larger than the backend's limit.
    TooLarge,
    /// It was not done in time.
    TimedOut,
    /// It panicked.
    Panicked,
    /// What it needs is not there: a service, a program.
    Unavailable,
    /// It answered with something else than a verdict.
    BadAnswer,
    /// An archive was not opened in full, and what was seen of it is benign.
    Incomplete,
    /// The file is not there.
    Missing,
    /// The file is not what the corpus says: it was changed.
    Changed,
    /// The file cannot be read.
    Unreadable,
}

impl FailureKind {
    /// All of them, in order.
    pub const ALL: [FailureKind; 10] = [
        FailureKind::NotMine,
        FailureKind::TooLarge,
        FailureKind::TimedOut,
        FailureKind::Panicked,
        FailureKind::Unavailable,
        FailureKind::BadAnswer,
        FailureKind::Incomplete,
        FailureKind::Missing,
        FailureKind::Changed,
        FailureKind::Unreadable,
    ];

    /// Whether the same artifact may get an answer another time: this one came too late, or something was gone or broke down.
    pub const fn may_come(self) -> bool {
        matches!(self, FailureKind::TimedOut | FailureKind::Unavailable | FailureKind::Panicked)
    }

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            FailureKind::NotMine => "not-mine",
            FailureKind::TooLarge => "too-large",
            FailureKind::TimedOut => "timed-out",
            FailureKind::Panicked => "panicked",
            FailureKind::Unavailable => "unavailable",
            FailureKind::BadAnswer => "bad-answer",
            FailureKind::Incomplete => "incomplete",
            FailureKind::Missing => "missing",
            FailureKind::Changed => "changed",
            FailureKind::Unreadable => "unreadable",
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_bounded_and_otherwise_left_alone() {
        let family = |text: &str| Finding::new(ScanResult::verdict(true), Some(text)).family;
        assert_eq!(family("  \x1b[31mWin32.Mäh\n"), Some("\x1b[31mWin32.Mäh".to_owned()));
        assert_eq!(family(&"ß".repeat(300)), Some("ß".repeat(256)));
        assert_eq!(family(" \n"), None);
        assert_eq!(Failure::new(FailureKind::BadAnswer, "ß".repeat(2000)).detail, "ß".repeat(1024));
        assert_eq!(Failure::new(FailureKind::BadAnswer, "ß").detail, "ß");
    }
}
