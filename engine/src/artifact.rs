//! What there is to scan, and what one backend says about it.

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
