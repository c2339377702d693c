//! A corpus, opened: what it is called, a stream of its rows, and the bytes of its artifacts.
//!
//! Opening one is in `open`, the full check in `check`; nothing here reads more than it is asked for.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::artifact::ArtifactKind;
use crate::confined::{self, Confined};
use crate::csv_table::CsvTable;
use crate::error::{CorpusError, Place};
use crate::layout::Layout;
use crate::manifest::{Format, Manifest};
use crate::message::quote;
use crate::parquet_table::ParquetTable;
use crate::row::{EngineColumn, Row};

/// A corpus folder, or a verdict matrix file.
#[derive(Clone, Debug)]
pub struct Corpus {
    pub(crate) manifest: Manifest,
    /// The manifest as it is on disk; empty for a matrix.
    pub(crate) manifest_bytes: Vec<u8>,
    pub(crate) table: PathBuf,
    pub(crate) format: Format,
    pub(crate) layout: Arc<Layout>,
    pub(crate) engines: Vec<EngineColumn>,
    pub(crate) root: PathBuf,
    pub(crate) canonical_root: PathBuf,
}

impl Corpus {
    /// The corpus's short name.
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// One line about the corpus.
    pub fn title(&self) -> &str {
        &self.manifest.title
    }

    /// Licence of the data, if given.
    pub fn license(&self) -> Option<&str> {
        self.manifest.license.as_deref()
    }

    /// Where the data comes from, if given.
    pub fn source(&self) -> Option<&str> {
        self.manifest.source.as_deref()
    }

    /// The folder that [`Row::path`] is relative to.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What to open to have the same corpus again: its folder, or the matrix file.
    pub fn path(&self) -> &Path {
        if self.manifest_bytes.is_empty() { &self.table } else { &self.root }
    }

    /// The table file.
    pub fn table(&self) -> &Path {
        &self.table
    }

    /// The recorded engines, in the order of [`Row::recorded`].
    pub fn engines(&self) -> &[EngineColumn] {
        &self.engines
    }

    /// The table has a `path` column.
    pub fn has_files(&self) -> bool {
        self.layout.path.is_some()
    }

    /// What the artifacts are.
    pub fn kind(&self) -> ArtifactKind {
        if self.manifest.url { ArtifactKind::Url } else { ArtifactKind::File }
    }

    /// The rows in file order, as a stream; memory does not grow with the number of rows.
    ///
    /// Every cell is checked on the way; duplicates and files are the work of [`Corpus::check`].
    ///
    /// # Errors
    ///
    /// If the table cannot be opened, or is no longer the one that [`Corpus::open`] saw.
    pub fn rows(&self) -> Result<Rows, CorpusError> {
        let layout = Arc::clone(&self.layout);
        let table = match self.format {
            Format::Csv => Table::Csv(Box::new(CsvTable::open(&self.table, false, layout)?)),
            Format::CsvGz => Table::Csv(Box::new(CsvTable::open(&self.table, true, layout)?)),
            Format::Parquet => Table::Parquet(Box::new(ParquetTable::open(&self.table, layout)?)),
        };
        Ok(Rows { table, done: false })
    }

    /// The bytes of a row's file, if there are at most `limit` of them.
    ///
    /// Refuses a path that leaves the corpus folder, through symlinks too, and anything that is not
    /// a regular file.
    ///
    /// # Errors
    ///
    /// If the row has no path, or its file is missing, refused, too large or unreadable.
    pub fn read_artifact(&self, row: &Row, limit: u64) -> Result<Vec<u8>, CorpusError> {
        let path = row.path.as_deref().ok_or_else(|| CorpusError::NoPath { file: self.table.clone(), at: self.place(row.line) })?;
        confined::read(&self.canonical_root, path, limit).map_err(|error| self.artifact_error(row, path, limit, error))
    }

    /// The SHA-256 and length of the file of `row` at `path`.
    pub(crate) fn hash_artifact(&self, row: &Row, path: &Path) -> Result<([u8; 32], u64), CorpusError> {
        confined::hash(&self.canonical_root, path).map_err(|error| self.artifact_error(row, path, u64::MAX, error))
    }

    /// How the table counts: physical lines, or rows.
    pub(crate) fn place(&self, line: u64) -> Place {
        match self.format {
            Format::Csv | Format::CsvGz => Place::Line(line),
            Format::Parquet => Place::Row(line),
        }
    }

    fn artifact_error(&self, row: &Row, path: &Path, limit: u64, error: Confined) -> CorpusError {
        let (file, at) = (self.table.clone(), self.place(row.line));
        let found = quote(path.as_os_str().as_encoded_bytes());
        match error {
            Confined::Missing => CorpusError::MissingArtifact { file, at, found },
            Confined::Outside => CorpusError::PathOutside { file, at, found },
            Confined::NotAFile(what) => CorpusError::ArtifactNotAFile { file, at, found, what },
            Confined::TooLarge => CorpusError::ArtifactTooLarge { file, at, found, limit },
            Confined::Unreadable(cause) => CorpusError::UnreadableArtifact { file, at, found, cause },
        }
    }
}

/// The rows of a corpus, in file order; ends after the first error.
pub struct Rows {
    table: Table,
    done: bool,
}

enum Table {
    Csv(Box<CsvTable>),
    Parquet(Box<ParquetTable>),
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("done", &self.done).finish_non_exhaustive()
    }
}

impl Iterator for Rows {
    type Item = Result<Row, CorpusError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let row = match &mut self.table {
            Table::Csv(table) => table.next_row(),
            Table::Parquet(table) => table.next_row(),
        };
        self.done = !matches!(row, Ok(Some(_)));
        row.transpose()
    }
}
