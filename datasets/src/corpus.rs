//! A corpus, opened: its manifest, its header, a stream of its rows, and the bytes of its artifacts.
//!
//! The full check is in `check`; nothing here reads more of the table than it is asked for.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::artifact::ArtifactKind;
use crate::confined::{self, Confined};
use crate::csv_table::{CsvRecords, CsvTable};
use crate::error::{CorpusError, Place};
use crate::layout::{Layout, MATRIX_START};
use crate::manifest::{Format, Manifest, manifest_path};
use crate::message::quote;
use crate::parquet_table::{self, ParquetTable};
use crate::row::{EngineColumn, Row};

/// A longer manifest is not a manifest.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// A corpus folder, or a verdict matrix file.
#[derive(Debug)]
pub struct Corpus {
    pub(crate) manifest: Manifest,
    /// The manifest as it is on disk; empty for a matrix.
    pub(crate) manifest_bytes: Vec<u8>,
    pub(crate) table: PathBuf,
    format: Format,
    layout: Arc<Layout>,
    engines: Vec<EngineColumn>,
    root: PathBuf,
    canonical_root: PathBuf,
}

impl Corpus {
    /// Opens a corpus folder, or a verdict matrix file; reads manifest and header only.
    ///
    /// # Errors
    ///
    /// If there is no corpus, or its manifest or header is wrong.
    pub fn open(path: &Path) -> Result<Corpus, CorpusError> {
        let metadata = match fs::metadata(path) {
            Err(error) if is_missing(&error) => {
                return Err(CorpusError::Missing { path: path.to_owned() });
            }
            other => other.map_err(unreadable(path))?,
        };
        if metadata.is_dir() {
            open_folder(path)
        } else if metadata.is_file() {
            open_matrix(path)
        } else {
            let found = confined::describe(metadata.file_type());
            Err(CorpusError::NotAFile { path: path.to_owned(), found })
        }
    }

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
        let path = row.path.as_deref().ok_or_else(|| CorpusError::NoPath {
            file: self.table.clone(),
            at: self.place(row.line),
        })?;
        confined::read(&self.canonical_root, path, limit)
            .map_err(|error| self.artifact_error(row, path, limit, error))
    }

    /// The SHA-256 and length of the file of `row` at `path`.
    pub(crate) fn hash_artifact(
        &self,
        row: &Row,
        path: &Path,
    ) -> Result<([u8; 32], u64), CorpusError> {
        confined::hash(&self.canonical_root, path)
            .map_err(|error| self.artifact_error(row, path, u64::MAX, error))
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
            Confined::Unreadable(cause) => {
                CorpusError::UnreadableArtifact { file, at, found, cause }
            }
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

fn open_folder(root: &Path) -> Result<Corpus, CorpusError> {
    let path = manifest_path(root);
    let manifest_bytes = match File::open(&path) {
        Err(error) if is_missing(&error) => {
            return Err(CorpusError::MissingManifest { folder: root.to_owned() });
        }
        opened => read_manifest(&path, opened.map_err(unreadable(&path))?)?,
    };
    let manifest = Manifest::parse(&path, &manifest_bytes)?;
    let format = Format::of(&manifest.table).expect("checked with the manifest");
    let canonical_root = root.canonicalize().map_err(unreadable(root))?;
    let table = root.join(&manifest.table);
    check_table(&path, &canonical_root, &manifest.table)?;
    let names = match format {
        Format::Csv => CsvRecords::open(&table, false)?.header()?,
        Format::CsvGz => CsvRecords::open(&table, true)?.header()?,
        Format::Parquet => parquet_table::header(&table)?,
    };
    let layout = Arc::new(Layout::of_table(&table, names, &manifest)?);
    if format == Format::Parquet {
        // Column types belong to the header too.
        ParquetTable::open(&table, Arc::clone(&layout))?;
    }
    let engines = manifest.engines.iter().map(|engine| EngineColumn {
        name: engine.name.clone(),
        has_confidence: engine.confidence.is_some(),
    });
    let engines = engines.collect();
    let root = root.to_owned();
    Ok(Corpus { manifest, manifest_bytes, table, format, layout, engines, root, canonical_root })
}

fn open_matrix(file: &Path) -> Result<Corpus, CorpusError> {
    let file_name = file.file_name().unwrap_or_default().to_string_lossy();
    let format = Format::of(&file_name);
    let names = match format {
        Some(Format::Csv) => CsvRecords::open(file, false)?.header()?,
        Some(Format::CsvGz) => CsvRecords::open(file, true)?.header()?,
        Some(Format::Parquet) | None => return Err(not_a_corpus(file, first_bytes(file)?)),
    };
    if !names.iter().map(String::as_str).take(MATRIX_START.len()).eq(MATRIX_START) {
        return Err(not_a_corpus(file, names.join(",").into_bytes()));
    }
    let layout = Arc::new(Layout::of_matrix(file, names)?);
    let name = file_name.split(".csv").next().unwrap_or_default();
    let manifest = Manifest::new(name, &format!("verdict matrix {file_name}"));
    let engines = layout.engines.iter().map(|engine| EngineColumn {
        name: layout.names[engine.verdict].clone(),
        has_confidence: false,
    });
    let engines = engines.collect();
    let root = match file.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    Ok(Corpus {
        manifest,
        manifest_bytes: Vec::new(),
        table: file.to_owned(),
        format: format.expect("one of the two CSV formats, matched above"),
        layout,
        engines,
        canonical_root: root.canonicalize().map_err(unreadable(&root))?,
        root,
    })
}

fn read_manifest(path: &Path, file: File) -> Result<Vec<u8>, CorpusError> {
    if file.metadata().map_err(unreadable(path))?.is_dir() {
        return Err(CorpusError::NotAFile { path: path.to_owned(), found: "a folder" });
    }
    let mut bytes = Vec::new();
    file.take(MAX_MANIFEST_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable(path))?;
    if bytes.len() as u64 > MAX_MANIFEST_BYTES {
        return Err(CorpusError::ManifestSyntax {
            manifest: path.to_owned(),
            line: 1,
            problem: format!("longer than {MAX_MANIFEST_BYTES} bytes"),
        });
    }
    Ok(bytes)
}

/// The table exists, is a file, and is inside the folder once symlinks are followed.
fn check_table(manifest: &Path, root: &Path, table: &str) -> Result<(), CorpusError> {
    let path = manifest.with_file_name(table);
    match confined::open(root, Path::new(table)) {
        Ok(_) => Ok(()),
        Err(Confined::Missing) => Err(CorpusError::MissingTable {
            manifest: manifest.to_owned(),
            found: quote(table),
        }),
        Err(Confined::Outside) => Err(CorpusError::ManifestValue {
            manifest: manifest.to_owned(),
            key: "table".to_owned(),
            problem: format!("is {}, which leads out of the corpus folder; put the table itself there", quote(table)),
        }),
        Err(Confined::NotAFile(found)) => Err(CorpusError::NotAFile { path, found }),
        Err(Confined::Unreadable(cause)) => Err(CorpusError::Unreadable { path, cause }),
        Err(Confined::TooLarge) => unreachable!("opening sets no limit"),
    }
}

fn first_bytes(file: &Path) -> Result<Vec<u8>, CorpusError> {
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(unreadable(file))?;
    opened.take(1024).read_to_end(&mut bytes).map_err(unreadable(file))?;
    Ok(bytes)
}

fn not_a_corpus(file: &Path, start: Vec<u8>) -> CorpusError {
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    CorpusError::NotACorpus { file: file.to_owned(), found: quote(line) }
}

fn is_missing(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> CorpusError {
    let path = path.to_owned();
    |cause| CorpusError::Unreadable { path, cause }
}
