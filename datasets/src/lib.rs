//! Corpora: what was scanned, what it truly is, and what recorded engines said about it.
//!
//! One format (a folder with `manifest.toml` and one CSV or Parquet table; see `datasets/README.md`),
//! read as a stream, checked in one pass, and written by generators. A public verdict matrix file is
//! read as it is. Markets, engines and replays live elsewhere; nothing here knows about them, and
//! nothing here prints.
//!
//! ```
//! # fn main() -> Result<(), datasets::CorpusError> {
//! # let starter = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora/starter");
//! let corpus = datasets::Corpus::open(&starter)?;
//! let summary = corpus.check(datasets::CheckOptions { files: true }, &mut |_rows| {})?;
//! assert_eq!(summary.rows, summary.malicious + summary.benign);
//! for row in corpus.rows()? {
//!     let artifact = corpus.read_artifact(&row?, 1 << 20)?;
//!     assert!(!artifact.is_empty());
//! }
//! # Ok(())
//! # }
//! ```

mod artifact; // ArtifactId, ArtifactKind, Truth
mod cell; // one cell of text -> one value
mod check; // Corpus::check
mod confined; // files that stay inside the corpus folder
mod corpus; // Corpus: rows, read_artifact
mod csv_records; // records of .csv and .csv.gz
mod csv_table; // rows of .csv and .csv.gz
mod duplicates; // the fixed-size filter
mod error; // CorpusError, Place
mod gate; // the bound on one record
mod intern; // repeated strings, kept once
mod layout; // which column is what
mod manifest; // Manifest
mod message; // quote, shown, nearest
mod open; // Corpus::open
mod parquet_column; // one column of one batch
mod parquet_table; // rows of .parquet
mod row; // Row, Recorded, EngineColumn
pub mod starter;
mod writer; // CorpusWriter // the starter corpus, generated

pub use artifact::{ArtifactId, ArtifactKind, ParseArtifactIdError, Truth, mimetype};
pub use check::{CheckOptions, CorpusSummary, NO_TYPE, OTHER_TYPES};
pub use corpus::{Corpus, Rows};
pub use error::{CorpusError, Place};
pub use layout::{MAX_FIELD_BYTES, MAX_RECORD_BYTES};
pub use manifest::{MANIFEST, Manifest, ManifestEngine, SCHEMA};
pub use row::{EngineColumn, Recorded, Row};
pub use writer::CorpusWriter;
