//! Opening a corpus: what is at a path, its manifest, and its header.
//!
//! Not one row is read here.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::confined::{self, Confined};
use crate::corpus::Corpus;
use crate::csv_records::CsvRecords;
use crate::error::CorpusError;
use crate::layout::{Layout, MATRIX_START};
use crate::manifest::{Format, Manifest, manifest_path};
use crate::message::quote;
use crate::parquet_table::{self, ParquetTable};
use crate::row::EngineColumn;

/// A longer manifest is not a manifest.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;

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
    let engines =
        manifest.engines.iter().map(|engine| EngineColumn { name: engine.name.clone(), has_confidence: engine.confidence.is_some() });
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
    let engines = layout.engines.iter().map(|engine| EngineColumn { name: layout.names[engine.verdict].clone(), has_confidence: false });
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
        Err(Confined::Missing) => Err(CorpusError::MissingTable { manifest: manifest.to_owned(), found: quote(table) }),
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
