//! Writing a corpus folder: for generators, and for tests.
//!
//! Everything goes into a folder beside the target, which gets its name only when it is whole: an
//! error leaves nothing behind. Only CSV is written.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use csv::{ByteRecord, Terminator, WriterBuilder};
use flate2::{Compression, GzBuilder, write::GzEncoder};
use jiff::Timestamp;

use crate::cell;
use crate::error::CorpusError;
use crate::layout::MAX_FIELD_BYTES;
use crate::manifest::{Format, MANIFEST, Manifest, is_inside, manifest_path};
use crate::message::{quote, shown};
use crate::row::Row;

/// Writes one corpus folder; dropped before [`CorpusWriter::finish`], it leaves none.
pub struct CorpusWriter {
    manifest: Manifest,
    target: PathBuf,
    partial: PathBuf,
    /// `None` until the first row says whether there is a `path` column.
    table: Option<csv::Writer<Sink>>,
    with_paths: bool,
    record: ByteRecord,
    rows: u64,
}

impl CorpusWriter {
    /// Starts the corpus folder `dir`, which must not exist yet; its parent must.
    ///
    /// # Errors
    ///
    /// If `dir` exists or cannot be written, or the manifest is wrong or names a Parquet table.
    pub fn create(dir: &Path, manifest: &Manifest) -> Result<CorpusWriter, CorpusError> {
        manifest.check(&manifest_path(dir))?;
        if Format::of(&manifest.table) == Some(Format::Parquet) {
            return Err(CorpusError::ManifestValue {
                manifest: manifest_path(dir),
                key: "table".to_owned(),
                problem: format!("is {}, and only CSV is written; name a .csv or .csv.gz file", quote(&manifest.table)),
            });
        }
        if dir.symlink_metadata().is_ok() {
            return Err(CorpusError::AlreadyExists { path: dir.to_owned() });
        }
        let partial = partial_name(dir);
        fs::create_dir(&partial).map_err(unwritable(dir))?;
        Ok(CorpusWriter {
            manifest: manifest.clone(),
            target: dir.to_owned(),
            partial,
            table: None,
            with_paths: false,
            record: ByteRecord::new(),
            rows: 0,
        })
    }

    /// Puts a file into the corpus folder, at a relative path of plain names.
    ///
    /// # Errors
    ///
    /// If the path leaves the folder or is taken, or the file cannot be written.
    pub fn add_file(&mut self, path: &Path, bytes: &[u8]) -> Result<(), CorpusError> {
        let shown_path = self.target.join(path);
        if !is_inside(path) || path == Path::new(MANIFEST) || path == Path::new(&self.manifest.table) {
            let cause = io::Error::other("not a place for a file of the corpus");
            return Err(CorpusError::Unwritable { path: shown_path, cause });
        }
        let place = self.partial.join(path);
        let written = fs::create_dir_all(place.parent().unwrap_or(&self.partial))
            .and_then(|()| File::create_new(&place))
            .and_then(|mut file| file.write_all(bytes));
        written.map_err(unwritable(&shown_path))
    }

    /// Writes one row; its `line` is not looked at.
    ///
    /// The first row decides whether the table has a `path` column. Duplicates are not noticed here:
    /// [`Corpus::check`](crate::Corpus::check) finds them.
    ///
    /// # Errors
    ///
    /// If the row is one that could not be read back, or the table cannot be written.
    pub fn write(&mut self, row: &Row) -> Result<(), CorpusError> {
        let number = self.rows + 1;
        let invalid = |problem| CorpusError::InvalidRow { row: number, problem };
        if self.table.is_none() {
            self.with_paths = row.path.is_some();
            self.table = Some(self.start_table()?);
        }
        self.fill(row).map_err(invalid)?;
        let table = self.table.as_mut().expect("started above");
        table.write_byte_record(&self.record).map_err(csv_error(&self.target))?;
        self.rows = number;
        Ok(())
    }

    /// Writes the manifest and gives the folder its name.
    ///
    /// # Errors
    ///
    /// If there were no rows, or the folder cannot be written or exists by now.
    pub fn finish(mut self) -> Result<(), CorpusError> {
        let Some(table) = self.table.take() else {
            return Err(CorpusError::Empty { file: self.target.join(&self.manifest.table) });
        };
        let closed = table.into_inner().map_err(|error| io::Error::other(error.to_string()));
        closed.and_then(Sink::close).map_err(unwritable(&self.target))?;
        fs::write(manifest_path(&self.partial), self.manifest.to_text()).map_err(unwritable(&self.target))?;
        if self.target.symlink_metadata().is_ok() {
            return Err(CorpusError::AlreadyExists { path: self.target.clone() });
        }
        fs::rename(&self.partial, &self.target).map_err(unwritable(&self.target))
    }

    /// Creates the table and writes its header.
    fn start_table(&mut self) -> Result<csv::Writer<Sink>, CorpusError> {
        let place = self.partial.join(&self.manifest.table);
        let created = fs::create_dir_all(place.parent().unwrap_or(&self.partial)).and_then(|()| File::create_new(&place));
        let file = BufWriter::new(created.map_err(unwritable(&self.target))?);
        let sink = match Format::of(&self.manifest.table) {
            // No time stamp and no name inside: the same rows give the same bytes.
            Some(Format::CsvGz) => Sink::Gzip(Box::new(GzBuilder::new().write(file, Compression::default()))),
            _ => Sink::Plain(file),
        };
        let mut table = WriterBuilder::new().terminator(Terminator::Any(b'\n')).from_writer(sink);
        let header = header(&self.manifest, self.with_paths);
        table.write_record(header).map_err(csv_error(&self.target))?;
        Ok(table)
    }

    /// Puts the cells of `row` into the record; an error is what is wrong with it, and the remedy.
    fn fill(&mut self, row: &Row) -> Result<(), String> {
        let record = &mut self.record;
        record.clear();
        record.push_field(row.id.to_string().as_bytes());
        record.push_field(row.truth.label().as_bytes());
        match (&row.path, self.with_paths) {
            (Some(path), true) => {
                let text = path.to_str().ok_or("its path is not UTF-8; rename the file")?;
                if !matches!(cell::path(text), Ok(Some(_))) {
                    return Err(format!("path {} leaves the corpus folder; use plain names", shown(path)));
                }
                push_text(record, "path", text)?;
            }
            (Some(_), false) => {
                return Err("it has a path and the first row had none; give the first row one too".to_owned());
            }
            (None, true) => record.push_field(b""),
            (None, false) => {}
        }
        push_text(record, "file_type", row.file_type.as_deref().unwrap_or_default())?;
        push_text(record, "size", &row.size.map(|size| size.to_string()).unwrap_or_default())?;
        push_text(record, "family", row.family.as_deref().unwrap_or_default())?;
        match row.first_seen.map(Timestamp::from_second) {
            None => record.push_field(b""),
            Some(Ok(time)) => record.push_field(time.to_string().as_bytes()),
            Some(Err(_)) => {
                return Err("its first_seen is outside the calendar; correct it".to_owned());
            }
        }
        if row.recorded.len() != self.manifest.engines.len() {
            let (found, expected) = (row.recorded.len(), self.manifest.engines.len());
            return Err(format!("it has {found} verdicts for {expected} engines; give one for each"));
        }
        for (recorded, engine) in row.recorded.iter().zip(&self.manifest.engines) {
            record.push_field(match recorded.map(|recorded| recorded.malicious) {
                None => b"",
                Some(false) => b"0",
                Some(true) => b"1",
            });
            let confidence = recorded.and_then(|recorded| recorded.confidence);
            match (confidence, &engine.confidence) {
                (None, None) => {}
                (None, Some(_)) => record.push_field(b""),
                (Some(number), Some(_)) if cell::unit_interval(number).is_ok() => {
                    record.push_field(number.to_string().as_bytes());
                }
                (Some(number), Some(_)) => {
                    let name = quote(&engine.name);
                    return Err(format!("the confidence of {name} is {number}; give a number from 0 to 1"));
                }
                (Some(_), None) => {
                    let name = quote(&engine.name);
                    return Err(format!("{name} has a confidence but no column for it; declare one in the manifest"));
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for CorpusWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut writer = f.debug_struct("CorpusWriter");
        writer.field("target", &self.target).field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl Drop for CorpusWriter {
    fn drop(&mut self) {
        // After `finish` there is nothing under this name; an error here has no one left to hear it.
        let _ = fs::remove_dir_all(&self.partial);
    }
}

/// Where the bytes of the table go.
enum Sink {
    Plain(BufWriter<File>),
    Gzip(Box<GzEncoder<BufWriter<File>>>),
}

impl Sink {
    fn close(self) -> io::Result<()> {
        match self {
            Sink::Plain(mut file) => file.flush(),
            Sink::Gzip(gzip) => gzip.finish()?.flush(),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Sink::Plain(file) => file.write(bytes),
            Sink::Gzip(gzip) => gzip.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Sink::Plain(file) => file.flush(),
            Sink::Gzip(gzip) => gzip.flush(),
        }
    }
}

fn header(manifest: &Manifest, with_paths: bool) -> Vec<&str> {
    let mut names = vec!["sha256", "label"];
    names.extend(with_paths.then_some("path"));
    names.extend(["file_type", "size", "family", "first_seen"]);
    for engine in &manifest.engines {
        names.push(engine.verdict_column());
        names.extend(engine.confidence.as_deref());
    }
    names
}

fn push_text(record: &mut ByteRecord, column: &str, text: &str) -> Result<(), String> {
    if text.len() > MAX_FIELD_BYTES {
        let length = text.len();
        return Err(format!("its {column} has {length} bytes, more than {MAX_FIELD_BYTES}; shorten it"));
    }
    record.push_field(text.as_bytes());
    Ok(())
}

/// A name beside `dir` that no other writer uses.
fn partial_name(dir: &Path) -> PathBuf {
    static WRITERS: AtomicU32 = AtomicU32::new(0);
    let mut name = std::ffi::OsString::from(".");
    name.push(dir.file_name().unwrap_or_default());
    let (process, writer) = (std::process::id(), WRITERS.fetch_add(1, Ordering::Relaxed));
    name.push(format!(".{process}.{writer}.tmp"));
    dir.with_file_name(name)
}

fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> CorpusError {
    let path = path.to_owned();
    |cause| CorpusError::Unwritable { path, cause }
}

fn csv_error(path: &Path) -> impl FnOnce(csv::Error) -> CorpusError {
    let unwritable = unwritable(path);
    |error| {
        unwritable(match error.into_kind() {
            csv::ErrorKind::Io(cause) => cause,
            other => io::Error::other(format!("{other:?}")),
        })
    }
}
