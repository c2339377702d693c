//! The whole corpus, looked at once: what is in it, what names it, and everything that is wrong with it.
//!
//! Cells are checked by the table readers on the way; here are the checks that need more than one
//! row, or the file of a row.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;

use sha2::{Digest as _, Sha256};

use crate::artifact::{ArtifactId, Truth};
use crate::confined;
use crate::corpus::Corpus;
use crate::duplicates::SeenFilter;
use crate::error::CorpusError;
use crate::message::quote;
use crate::row::Row;

/// The key in [`CorpusSummary::types`] of rows without a file type.
pub const NO_TYPE: &str = "(none)";

/// The key in [`CorpusSummary::types`] of all types beyond the first 1024.
pub const OTHER_TYPES: &str = "(other)";

const MAX_TYPES: usize = 1024;

/// Suspects collected before they are looked into; about 60 MiB.
const MAX_SUSPECTS: usize = 1 << 20;

/// Rows between two calls of `progress`.
const PROGRESS_ROWS: u64 = 4096;

/// What [`Corpus::check`] looks at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckOptions {
    /// Also hash the file of every row that names one, and compare `sha256` and `size`.
    pub files: bool,
}

/// What is in a corpus.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CorpusSummary {
    /// SHA-256 of the manifest and the table as they are on disk, each after its length.
    pub sha256: [u8; 32],
    /// All rows.
    pub rows: u64,
    /// Rows labelled `malicious`.
    pub malicious: u64,
    /// Rows labelled `benign`.
    pub benign: u64,
    /// Malicious and benign rows by file type; see [`NO_TYPE`] and [`OTHER_TYPES`].
    pub types: BTreeMap<String, (u64, u64)>,
    /// Earliest and latest `first_seen`, in Unix seconds.
    pub first_seen: Option<(i64, i64)>,
    /// Rows without a `first_seen`.
    pub undated: u64,
    /// Every row has a `first_seen`, and it never decreases.
    pub in_time_order: bool,
    /// Files that were hashed and agree with the table.
    pub files: u64,
}

impl Corpus {
    /// One streaming pass over everything: the hash of the corpus, its counts, and every check.
    ///
    /// `progress` is called now and then with the number of rows so far. Memory is bounded: ids go
    /// into a fixed-size filter, and only if that suspects a duplicate is the table read again.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with the corpus; a duplicate comes after everything else.
    pub fn check(&self, options: CheckOptions, progress: &mut dyn FnMut(u64)) -> Result<CorpusSummary, CorpusError> {
        let mut tally = Tally::new(self.sha256()?);
        let mut filter = SeenFilter::new();
        let mut suspects = HashMap::new();
        for row in self.rows()? {
            let row = row?;
            tally.add(&row);
            if options.files && self.check_file(&row)? {
                tally.summary.files += 1;
            }
            if filter.insert(&row.id) {
                suspects.insert(row.id, None);
                // Full of false suspicions: clear them, or name the first that is true.
                if suspects.len() == MAX_SUSPECTS {
                    self.confirm(&mut suspects, row.line)?;
                }
            }
            if options.files || tally.summary.rows.is_multiple_of(PROGRESS_ROWS) {
                progress(tally.summary.rows);
            }
        }
        if !suspects.is_empty() {
            self.confirm(&mut suspects, u64::MAX)?;
        }
        if tally.summary.rows == 0 {
            return Err(CorpusError::Empty { file: self.table.clone() });
        }
        progress(tally.summary.rows);
        Ok(tally.summary)
    }

    /// SHA-256 of the manifest and the table as they are on disk, each after its length as eight
    /// little-endian bytes; a verdict matrix has an empty manifest.
    ///
    /// # Errors
    ///
    /// If the table cannot be read, or changes meanwhile.
    pub fn sha256(&self) -> Result<[u8; 32], CorpusError> {
        let unreadable = |cause| CorpusError::Unreadable { path: self.table.clone(), cause };
        let table = File::open(&self.table).map_err(unreadable)?;
        let length = table.metadata().map_err(unreadable)?.len();
        let mut sha256 = Sha256::new();
        sha256.update((self.manifest_bytes.len() as u64).to_le_bytes());
        sha256.update(&self.manifest_bytes);
        sha256.update(length.to_le_bytes());
        if confined::update(&mut sha256, table).map_err(unreadable)? != length {
            return Err(CorpusError::Changed { file: self.table.clone() });
        }
        Ok(sha256.finalize().into())
    }

    /// Compares the file of a row with the table; false if the row names none.
    fn check_file(&self, row: &Row) -> Result<bool, CorpusError> {
        let Some(path) = row.path.as_deref() else {
            return Ok(false);
        };
        let (sha256, length) = self.hash_artifact(row, path)?;
        let (file, at) = (|| self.table.clone(), self.place(row.line));
        let found = || quote(path.as_os_str().as_encoded_bytes());
        if let Some(expected) = row.size.filter(|size| *size != length) {
            return Err(CorpusError::SizeMismatch { file: file(), at, found: found(), actual: length, expected });
        }
        if sha256 != row.id.0 {
            let actual = Box::new(ArtifactId(sha256));
            return Err(CorpusError::Sha256Mismatch { file: file(), at, found: found(), actual });
        }
        Ok(true)
    }

    /// Reads the rows up to line `last` again; the first that repeats a suspect is an error, and
    /// without one the suspects are cleared.
    fn confirm(&self, suspects: &mut HashMap<ArtifactId, Option<u64>>, last: u64) -> Result<(), CorpusError> {
        for row in self.rows()? {
            let row = row?;
            if row.line > last {
                break;
            }
            match suspects.get_mut(&row.id) {
                None => {}
                Some(first @ None) => *first = Some(row.line),
                Some(Some(first)) => {
                    return Err(CorpusError::DuplicateArtifact {
                        file: self.table.clone(),
                        at: self.place(row.line),
                        first: self.place(*first),
                        id: Box::new(row.id),
                    });
                }
            }
        }
        suspects.clear();
        Ok(())
    }
}

/// The summary while it is being made.
struct Tally {
    summary: CorpusSummary,
}

impl Tally {
    fn new(sha256: [u8; 32]) -> Tally {
        let summary = CorpusSummary {
            sha256,
            rows: 0,
            malicious: 0,
            benign: 0,
            types: BTreeMap::new(),
            first_seen: None,
            undated: 0,
            in_time_order: true,
            files: 0,
        };
        Tally { summary }
    }

    fn add(&mut self, row: &Row) {
        let summary = &mut self.summary;
        summary.rows += 1;
        let types = &mut summary.types;
        let file_type = row.file_type.as_deref().unwrap_or(NO_TYPE);
        let full = types.len() >= MAX_TYPES && !types.contains_key(file_type);
        let file_type = if full { OTHER_TYPES } else { file_type };
        if !types.contains_key(file_type) {
            types.insert(file_type.to_owned(), (0, 0));
        }
        let counts = types.get_mut(file_type).expect("inserted above");
        match row.truth {
            Truth::Malicious => {
                summary.malicious += 1;
                counts.0 += 1;
            }
            Truth::Benign => {
                summary.benign += 1;
                counts.1 += 1;
            }
        }
        let Some(seen) = row.first_seen else {
            summary.undated += 1;
            summary.in_time_order = false;
            return;
        };
        let (earliest, latest) = summary.first_seen.unwrap_or((seen, seen));
        // With every row dated, the latest so far is the row before or one that it went back from.
        summary.in_time_order &= latest <= seen;
        summary.first_seen = Some((earliest.min(seen), latest.max(seen)));
    }
}
