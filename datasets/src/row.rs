//! One row of a corpus, whatever its table was written in.
//!
//! Reading rows is the work of `csv_table` and `parquet_table`; writing them of `writer`.

use std::path::PathBuf;
use std::sync::Arc;

use crate::artifact::{ArtifactId, Truth};

/// One artifact of a corpus: what it is called, what it is, and what the recorded engines said.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Physical line of the table's text (the header is line 1), or for Parquet the row number, from 1.
    pub line: u64,
    /// SHA-256 of the artifact.
    pub id: ArtifactId,
    /// The corpus truth.
    pub truth: Truth,
    /// The artifact's file, relative to [`Corpus::root`](crate::Corpus::root); made of plain names only.
    pub path: Option<PathBuf>,
    /// File type, in the corpus's own words.
    pub file_type: Option<Arc<str>>,
    /// Size in bytes.
    pub size: Option<u64>,
    /// Malware family.
    pub family: Option<Arc<str>>,
    /// When the artifact was first seen, in Unix seconds.
    pub first_seen: Option<i64>,
    /// What each engine said, parallel to [`Corpus::engines`](crate::Corpus::engines); `None`: no verdict.
    pub recorded: Vec<Option<Recorded>>,
}

/// What one recorded engine said about one artifact.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recorded {
    /// It said malicious; otherwise it scanned and said benign, or nothing.
    pub malicious: bool,
    /// How sure it was, in `0..=1`.
    pub confidence: Option<f32>,
}

/// A recorded engine of a corpus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineColumn {
    /// The engine's name.
    pub name: String,
    /// The table has a confidence column for it.
    pub has_confidence: bool,
}
