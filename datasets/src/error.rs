//! Everything that can be wrong with a corpus, each as one sentence: where, what, and what to do.
//!
//! Finding the mistakes is the work of the modules that read. Fields called `found` hold foreign
//! text that is already escaped, cut and in backticks.

use std::fmt;
use std::path::PathBuf;

use crate::layout::{MAX_FIELD_BYTES, MAX_RECORD_BYTES};
use crate::manifest::{MANIFEST, SCHEMA};
use crate::message::{hint, quote, shown};

/// Where in a table something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A physical line of the (decompressed) text; the header is line 1.
    Line(u64),
    /// A row of a Parquet file, from 1.
    Row(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Before the header: an error that comes before any line was read.
            Place::Line(0) => f.write_str("its start"),
            Place::Line(line) => write!(f, "line {line}"),
            Place::Row(row) => write!(f, "row {row}"),
        }
    }
}

/// Why a corpus cannot be opened, read, checked or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the sentence of a variant says what it is; its fields are the values in it")]
pub enum CorpusError {
    // What was opened.
    #[error("{}: there is no corpus here; give a corpus folder, or a verdict matrix (.csv or .csv.gz)", shown(.path))]
    Missing { path: PathBuf },
    #[error("{}: this folder has no `{MANIFEST}`; add one with `schema`, `name`, `title` and `table`", shown(.folder))]
    MissingManifest { folder: PathBuf },
    #[error(
        "{}: this file is no corpus: it starts with {found}; give a folder with a `{MANIFEST}`, or a \
         verdict matrix (.csv or .csv.gz) whose header starts `sha256,md5,label,label_source`", shown(.file)
    )]
    NotACorpus { file: PathBuf, found: String },
    #[error("{}: this is {found}, where a file is expected; name a regular file", shown(.path))]
    NotAFile { path: PathBuf, found: &'static str },
    #[error("{}: cannot be read ({cause}); check its permissions and its disk", shown(.path))]
    Unreadable { path: PathBuf, cause: std::io::Error },
    #[error("{}: changed while it was read; try again once nothing writes to it", shown(.file))]
    Changed { file: PathBuf },

    // The manifest.
    #[error("{}, line {line}: {problem}; correct it (datasets/README.md shows every key)", shown(.manifest))]
    ManifestSyntax { manifest: PathBuf, line: usize, problem: String },
    #[error("{}: unknown key `{}`{}; correct or remove it", shown(.manifest), .key, hint(.nearest))]
    UnknownKey { manifest: PathBuf, key: String, nearest: Option<String> },
    #[error("{}: `schema` is {found}, and this version reads schema {SCHEMA}; write `schema = {SCHEMA}`, or use a version that reads it", shown(.manifest))]
    UnsupportedSchema { manifest: PathBuf, found: String },
    #[error("{}: `{key}` {problem}", shown(.manifest))]
    ManifestValue { manifest: PathBuf, key: String, problem: String },
    #[error("{}: `table` is {found}, which does not exist; name a .csv, .csv.gz or .parquet file of this folder", shown(.manifest))]
    MissingTable { manifest: PathBuf, found: String },

    // The header.
    #[error("{}: the table is empty; its first line must name the columns, `sha256` and `label` among them", shown(.file))]
    NoHeader { file: PathBuf },
    #[error("{}: the header has no column `{}`{}; add or rename it", shown(.file), .column, hint(.nearest))]
    MissingColumn { file: PathBuf, column: String, nearest: Option<String> },
    #[error("{}: column {number} is {found}, which is not known{}; rename or remove it, or declare it as an `[[engine]]` in `{MANIFEST}`", shown(.file), hint(.nearest))]
    UnknownColumn { file: PathBuf, number: usize, found: String, nearest: Option<String> },
    #[error("{}: columns {first} and {second} have the same name, {found}; remove or rename one", shown(.file))]
    DuplicateColumn { file: PathBuf, first: usize, second: usize, found: String },
    #[error("{}: column {} has type {found}; write it as {expected}", shown(.file), quote(.column))]
    ColumnType { file: PathBuf, column: String, found: String, expected: &'static str },

    // A row.
    #[error("{}: the corpus has no rows; add at least one artifact below the header", shown(.file))]
    Empty { file: PathBuf },
    #[error("{}, {at}: {found} fields where the header has {expected}; correct the commas or quotes", shown(.file))]
    Ragged { file: PathBuf, at: Place, found: usize, expected: usize },
    #[error("{}, {at}: a quoted field is never closed; add the missing `\"`", shown(.file))]
    UnclosedQuote { file: PathBuf, at: Place },
    #[error("{}, {at}: the record is longer than {MAX_RECORD_BYTES} bytes; shorten it, or close its quotes", shown(.file))]
    LongRecord { file: PathBuf, at: Place },
    #[error("{}, {at}: field {number} has {length} bytes, more than {MAX_FIELD_BYTES}; shorten it", shown(.file))]
    LongField { file: PathBuf, at: Place, number: usize, length: usize },
    #[error("{}, {at}: field {number}, {found}, is not UTF-8; save the table as UTF-8", shown(.file))]
    NotUtf8 { file: PathBuf, at: Place, number: usize, found: String },
    #[error("{}, {at}: `sha256` is {found}; write the 64 hex digits of the artifact's SHA-256", shown(.file))]
    BadSha256 { file: PathBuf, at: Place, found: String },
    #[error("{}, {at}: `label` is {found}; write `malicious` or `benign`", shown(.file))]
    BadLabel { file: PathBuf, at: Place, found: String },
    #[error("{}, {at}: verdict {} is {found}; write `1` (malicious), `0` (benign or nothing said) or leave it empty (no verdict)", shown(.file), quote(.column))]
    BadVerdict { file: PathBuf, at: Place, column: String, found: String },
    #[error("{}, {at}: confidence {} is {found}; write a number from 0 to 1, or leave it empty", shown(.file), quote(.column))]
    BadConfidence { file: PathBuf, at: Place, column: String, found: String },
    #[error("{}, {at}: confidence {} is given without a verdict; give the verdict, or leave both empty", shown(.file), quote(.column))]
    ConfidenceWithoutVerdict { file: PathBuf, at: Place, column: String },
    #[error("{}, {at}: `size` is {found}; write a whole number of bytes, or leave it empty", shown(.file))]
    BadSize { file: PathBuf, at: Place, found: String },
    #[error("{}, {at}: `{column}` is {found}; write it as `2024-01-31T12:00:00Z`, `2024-01-31 12:00:00` (UTC) or `2024-01-31`", shown(.file))]
    BadTime { file: PathBuf, at: Place, column: &'static str, found: String },
    #[error("{}, {at}: path {found} leaves the corpus folder; write a relative path of plain names", shown(.file))]
    PathOutside { file: PathBuf, at: Place, found: String },
    #[error("{}, {at}: artifact {id} is already on {first}; remove one of the two", shown(.file))]
    DuplicateArtifact { file: PathBuf, at: Place, first: Place, id: Box<crate::ArtifactId> },

    // The bytes of a table.
    #[error("{}: the gzip data ends early, after {at}; fetch or compress the file again", shown(.file))]
    TruncatedGzip { file: PathBuf, at: Place },
    #[error("{}: the gzip data is broken after {at} ({cause}); fetch or compress the file again", shown(.file))]
    BadGzip { file: PathBuf, at: Place, cause: std::io::Error },
    #[error("{}, at or after {at}: broken Parquet ({}); write the file again", shown(.file), .cause)]
    BadParquet { file: PathBuf, at: Place, cause: String },

    // The file of a row.
    #[error("{}, {at}: there is no file {found}; add it, or correct `path`", shown(.file))]
    MissingArtifact { file: PathBuf, at: Place, found: String },
    #[error("{}, {at}: the row has no `path`, so there are no bytes to read; add the file and its `path`", shown(.file))]
    NoPath { file: PathBuf, at: Place },
    #[error("{}, {at}: {found} is {what}, not a regular file; put the artifact itself there", shown(.file))]
    ArtifactNotAFile { file: PathBuf, at: Place, found: String, what: &'static str },
    #[error("{}, {at}: cannot read {found} ({cause}); check its permissions and its disk", shown(.file))]
    UnreadableArtifact { file: PathBuf, at: Place, found: String, cause: std::io::Error },
    #[error("{}, {at}: {found} is larger than the limit of {limit} bytes; raise the limit, or leave the artifact out", shown(.file))]
    ArtifactTooLarge { file: PathBuf, at: Place, found: String, limit: u64 },
    #[error("{}, {at}: {found} has {actual} bytes, not the {expected} of `size`; correct `size`, or restore the file", shown(.file))]
    SizeMismatch { file: PathBuf, at: Place, found: String, actual: u64, expected: u64 },
    #[error("{}, {at}: {found} has the sha256 {actual}, not the one in the table; correct `sha256`, or restore the file", shown(.file))]
    Sha256Mismatch { file: PathBuf, at: Place, found: String, actual: Box<crate::ArtifactId> },

    // Writing.
    #[error("{}: already exists; remove it, or write the corpus elsewhere", shown(.path))]
    AlreadyExists { path: PathBuf },
    #[error("{}: cannot be written ({cause}); check its permissions and the free space", shown(.path))]
    Unwritable { path: PathBuf, cause: std::io::Error },
    #[error("row {row} cannot be written: {problem}")]
    InvalidRow { row: u64, problem: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_small_enough_to_return() {
        // A result is moved for every row; clippy's own bound is 128 bytes.
        assert!(size_of::<CorpusError>() <= 120, "{} bytes", size_of::<CorpusError>());
    }
}
