//! The verdicts of backends on disk, so that nothing is scanned twice: by artifact and by the backend's fingerprint.
//!
//! A folder per backend, with Parquet files in it that are written once, whole, and never changed: a scan adds some, and
//! many small ones become a large one. Whatever reads Parquet can look into them. What a backend may say of the same
//! bytes another time (it was too slow, its service was down) is not kept.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, anyhow};
use arrow_array::{
    Array, ArrayRef, BooleanArray, FixedSizeBinaryArray, Float32Array, RecordBatch, StringArray, UInt32Array,
    cast::AsArray as _,
    types::{Float32Type, UInt32Type},
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use datasets::ArtifactId;
use engine::{
    artifact::{Failure, FailureKind, Finding, ScanResult},
    scanner::Answer,
};
use parquet::{
    arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder},
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};
use sha2::{Digest as _, Sha256};

use crate::text;

/// Answers that are kept in memory before they are written.
const SEGMENT: usize = 8192;
/// Files of a backend that are read as they are; more become one.
const SEGMENTS: usize = 16;
/// Longest family that is kept, in characters.
const FAMILY: usize = 128;
/// Digits that the names of files begin with.
const NUMBER: usize = 8;
/// What the names of files end with.
const EXTENSION: &str = "parquet";

/// What is remembered of one answer.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Verdict {
    /// The answer, or none.
    pub result: ScanResult,
    /// Why there is none.
    pub failure: Option<FailureKind>,
    /// Microseconds that it took.
    pub micros: u32,
    /// The family that it named, as a number of [`Shelf::family`].
    family: Option<u32>,
}

/// True if the same bytes would fail in the same way again.
const fn lasts(kind: FailureKind) -> bool {
    match kind {
        FailureKind::NotMine | FailureKind::TooLarge | FailureKind::Panicked | FailureKind::Incomplete => true,
        FailureKind::TimedOut
        | FailureKind::Unavailable
        | FailureKind::BadAnswer
        | FailureKind::Missing
        | FailureKind::Changed
        | FailureKind::Unreadable => false,
    }
}

/// The verdicts of one backend.
#[derive(Debug)]
pub struct Shelf {
    folder: PathBuf,
    fingerprint: String,
    known: HashMap<ArtifactId, Verdict>,
    fresh: Vec<(ArtifactId, Answer)>,
    families: Families,
    /// Files that cannot be read, and why.
    pub damaged: Vec<String>,
}

impl Shelf {
    /// The verdicts of the backend with that fingerprint, below the folder `cache`, which need not exist yet.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read.
    pub fn open(cache: &Path, fingerprint: &str) -> Result<Shelf> {
        let folder = cache.join(hex::encode(&Sha256::digest(fingerprint)[..12]));
        let mut shelf = Shelf {
            folder,
            fingerprint: fingerprint.to_owned(),
            known: HashMap::new(),
            fresh: Vec::new(),
            families: Families::default(),
            damaged: Vec::new(),
        };
        let segments = shelf.segments()?;
        let mut sound = Vec::new();
        for segment in segments {
            let mut families = std::mem::take(&mut shelf.families);
            let read = guarded(|| shelf.read(&segment, &mut families));
            shelf.families = families;
            match read {
                Ok(verdicts) => {
                    shelf.known.extend(verdicts);
                    sound.push(segment);
                }
                Err(problem) => shelf.damaged.push(format!("{}: {problem}; it is left out, delete it", text::shown(&segment))),
            }
        }
        if sound.len() > SEGMENTS {
            // Whoever else is at it, or out of space: the files are good as they are.
            let _ = shelf.merge(&sound);
        }
        Ok(shelf)
    }

    /// The family that an answer named.
    pub fn family(&self, verdict: &Verdict) -> Option<&str> {
        verdict.family.map(|number| self.families.names[number as usize].as_str())
    }

    /// What is known of an artifact.
    pub fn get(&self, id: &ArtifactId) -> Option<&Verdict> {
        self.known.get(id)
    }

    /// Adds an answer, for later scans if it is to be kept; from time to time, writes what there is.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn add(&mut self, id: ArtifactId, answer: Answer, keep: bool) -> Result<()> {
        let took = micros(&answer);
        let verdict = match &answer.outcome {
            Ok(finding) => {
                let family = finding.family.as_deref().map(|family| self.families.number(&shortened(family)));
                Verdict { result: finding.result, failure: None, micros: took, family }
            }
            Err(failure) => Verdict { result: ScanResult::NONE, failure: Some(failure.kind), micros: took, family: None },
        };
        self.known.insert(id, verdict);
        if keep && answer.outcome.as_ref().err().is_none_or(|failure| lasts(failure.kind)) {
            self.fresh.push((id, answer));
        }
        if self.fresh.len() >= SEGMENT { self.write() } else { Ok(()) }
    }

    /// Writes what is not written yet.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write(&mut self) -> Result<()> {
        if self.fresh.is_empty() {
            return Ok(());
        }
        let batch = batch(&self.fresh).context("verdicts as a table")?;
        let last = self.segments()?.iter().filter_map(|path| number(path)).max().unwrap_or(0);
        self.segment(&format!("{:0width$}-", last.saturating_add(1), width = NUMBER), |writer| writer.write(&batch))?;
        self.fresh.clear();
        Ok(())
    }

    /// The files, in order of names; none if there is no folder.
    fn segments(&self) -> Result<Vec<PathBuf>> {
        let read = || -> io::Result<Vec<PathBuf>> {
            let mut paths = Vec::new();
            for entry in fs::read_dir(&self.folder)? {
                let path = entry?.path();
                if path.extension().is_some_and(|extension| extension == EXTENSION) {
                    paths.push(path);
                }
            }
            paths.sort();
            Ok(paths)
        };
        match read() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other.with_context(|| format!("cannot read the verdicts in {}", text::shown(&self.folder))),
        }
    }

    fn read(&self, segment: &Path, names: &mut Families) -> Result<Vec<(ArtifactId, Verdict)>> {
        let mut verdicts = Vec::new();
        for batch in self.batches(segment)? {
            let batch = batch?;
            let ids = batch.column(0).as_fixed_size_binary_opt().context("column 0 holds no hashes")?;
            let malicious = batch.column(1).as_boolean_opt().context("column 1 holds no verdicts")?;
            let confidence = batch.column(2).as_primitive_opt::<Float32Type>().context("column 2 holds no confidences")?;
            let families = batch.column(3).as_string_opt::<i32>().context("column 3 holds no families")?;
            let failures = batch.column(4).as_string_opt::<i32>().context("column 4 holds no reasons")?;
            let micros = batch.column(5).as_primitive_opt::<UInt32Type>().context("column 5 holds no times")?;
            for row in 0..batch.num_rows() {
                let id = ArtifactId(ids.value(row).try_into().context("a hash has 32 bytes")?);
                let failure = failures.is_valid(row).then(|| failure_of(failures.value(row))).transpose()?;
                let result = ScanResult {
                    malicious: malicious.is_valid(row).then(|| malicious.value(row)),
                    confidence: confidence.is_valid(row).then(|| confidence.value(row)),
                };
                let family = families.is_valid(row).then(|| names.number(families.value(row)));
                verdicts.push((id, Verdict { result, failure, micros: micros.value(row), family }));
            }
        }
        Ok(verdicts)
    }

    /// The tables of a file of this backend.
    fn batches(&self, segment: &Path) -> Result<impl Iterator<Item = Result<RecordBatch, arrow_schema::ArrowError>> + use<>> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(segment)?)?;
        if builder.schema().fields() != schema(&self.fingerprint).fields() {
            return Err(anyhow!("it holds no verdicts"));
        }
        if builder.schema().metadata().get("fingerprint") != Some(&self.fingerprint) {
            return Err(anyhow!("it is of another backend"));
        }
        Ok(builder.build()?)
    }

    /// Makes one file of many, in their place: what was written since has the last word still.
    fn merge(&self, segments: &[PathBuf]) -> Result<()> {
        let last = segments.iter().filter_map(|path| number(path)).max().unwrap_or(0);
        self.segment(&format!("{last:0NUMBER$}~"), |writer| {
            for segment in segments {
                let batches = self.batches(segment).map_err(|error| parquet::errors::ParquetError::General(error.to_string()))?;
                for batch in batches {
                    writer.write(&batch?)?;
                }
            }
            Ok(())
        })?;
        for segment in segments {
            fs::remove_file(segment).or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
        }
        Ok(())
    }

    /// Writes a new file, under a name of its own, that is there whole or not at all.
    fn segment(&self, prefix: &str, fill: impl FnOnce(&mut ArrowWriter<&File>) -> parquet::errors::Result<()>) -> Result<()> {
        let write = || -> Result<()> {
            fs::create_dir_all(&self.folder)?;
            let mut file = tempfile::Builder::new().prefix(prefix).tempfile_in(&self.folder)?;
            let level = ZstdLevel::try_new(3)?;
            let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
            let mut writer = ArrowWriter::try_new(file.as_file(), schema(&self.fingerprint), Some(properties))?;
            fill(&mut writer)?;
            writer.close()?;
            file.as_file_mut().flush()?;
            file.as_file().sync_all()?;
            let name = file.path().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            file.persist_noclobber(self.folder.join(format!("{name}.{EXTENSION}")))?;
            Ok(())
        };
        write().with_context(|| format!("cannot write verdicts to {}; name another folder with --cache", text::shown(&self.folder)))
    }
}

/// The names of families, each kept once.
#[derive(Debug, Default)]
struct Families {
    numbers: HashMap<String, u32>,
    names: Vec<String>,
}

impl Families {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).expect("fewer than 2^32 families");
        self.numbers.insert(name.to_owned(), number);
        self.names.push(name.to_owned());
        number
    }
}

/// As much of a family's name as is kept.
fn shortened(family: &str) -> String {
    family.chars().take(FAMILY).collect()
}

/// Whole microseconds that an answer took.
fn micros(answer: &Answer) -> u32 {
    u32::try_from(answer.took.as_micros()).unwrap_or(u32::MAX)
}

/// The number that a file's name begins with. A later file has a later name: it has the last word.
fn number(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.get(..NUMBER)?.parse().ok()
}

/// Runs a step of the Parquet library, which answers some damaged files with a panic.
fn guarded<T>(step: impl FnOnce() -> Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(_) => Err("it is damaged".to_owned()),
    }
}

fn failure_of(name: &str) -> Result<FailureKind> {
    FailureKind::ALL.into_iter().find(|kind| kind.name() == name).with_context(|| format!("no reason is called {}", text::quote(name)))
}

fn schema(fingerprint: &str) -> SchemaRef {
    let fields = vec![
        Field::new("sha256", DataType::FixedSizeBinary(32), false),
        Field::new("malicious", DataType::Boolean, true),
        Field::new("confidence", DataType::Float32, true),
        Field::new("family", DataType::Utf8, true),
        Field::new("failure", DataType::Utf8, true),
        Field::new("micros", DataType::UInt32, false),
    ];
    let metadata = HashMap::from([("fingerprint".to_owned(), fingerprint.to_owned())]);
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

fn batch(answers: &[(ArtifactId, Answer)]) -> Result<RecordBatch> {
    fn found(answer: &Answer) -> Option<&Finding> {
        answer.outcome.as_ref().ok()
    }
    fn failed(answer: &Answer) -> Option<&Failure> {
        answer.outcome.as_ref().err()
    }
    let answer = || answers.iter().map(|(_, answer)| answer);
    let family = |answer: &Answer| found(answer).and_then(|finding| finding.family.as_deref()).map(shortened);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(FixedSizeBinaryArray::try_from_iter(answers.iter().map(|(id, _)| id.0))?),
        Arc::new(answer().map(|answer| found(answer).and_then(|finding| finding.result.malicious)).collect::<BooleanArray>()),
        Arc::new(answer().map(|answer| found(answer).and_then(|finding| finding.result.confidence)).collect::<Float32Array>()),
        Arc::new(answer().map(family).collect::<StringArray>()),
        Arc::new(answer().map(|answer| failed(answer).map(|failure| failure.kind.name())).collect::<StringArray>()),
        Arc::new(answer().map(micros).collect::<Vec<u32>>().into_iter().collect::<UInt32Array>()),
    ];
    // The schema's own metadata is written with the file.
    let plain = Arc::new(Schema::new(schema("").fields().clone()));
    Ok(RecordBatch::try_new(plain, columns)?)
}

/// Where verdicts are kept if nothing else is said: in the user's cache folder.
///
/// # Errors
///
/// If there is none.
pub fn default_folder() -> Result<PathBuf> {
    let folder = dirs::cache_dir().context("this account has no cache folder; name one with --cache")?;
    Ok(folder.join("sim").join("verdicts"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const FINGERPRINT: &str = "yara:1";

    fn found(malicious: bool) -> Answer {
        let result = ScanResult { malicious: Some(malicious), confidence: Some(0.75) };
        Answer { outcome: Ok(Finding { result, family: Some("x".repeat(1000)) }), took: Duration::from_nanos(7_900) }
    }

    fn failed(kind: FailureKind) -> Answer {
        Answer { outcome: Err(Failure::new(kind, "detail")), took: Duration::from_micros(8) }
    }

    fn id(byte: u8) -> ArtifactId {
        ArtifactId([byte; 32])
    }

    #[test]
    fn what_lasts_is_read_again_and_what_may_change_is_not() {
        let cache = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::open(cache.path(), FINGERPRINT).unwrap();
        let answers: Vec<Answer> = [found(true), found(false)].into_iter().chain(FailureKind::ALL.map(failed)).collect();
        for (byte, answer) in (0..).zip(&answers) {
            shelf.add(id(byte), answer.clone(), true).unwrap();
        }
        shelf.write().unwrap();
        let again = Shelf::open(cache.path(), FINGERPRINT).unwrap();
        for (byte, answer) in (0..).zip(&answers) {
            let kept = answer.outcome.as_ref().err().is_none_or(|failure| lasts(failure.kind));
            let known = *shelf.get(&id(byte)).expect("this scan knows all");
            let failure = answer.outcome.as_ref().err().map(|failure| failure.kind);
            assert_eq!((known.failure, known.micros), (failure, micros(answer)));
            assert_eq!(again.get(&id(byte)), kept.then_some(&known), "{answer:?}");
            assert_eq!(shelf.family(&known).map(str::len), failure.is_none().then_some(FAMILY));
        }
        assert_eq!(Shelf::open(cache.path(), "yara:2").unwrap().get(&id(0)), None);
    }

    #[test]
    fn many_files_become_one_and_the_last_word_counts() {
        let cache = tempfile::tempdir().unwrap();
        for number in 0..=SEGMENTS {
            let mut shelf = Shelf::open(cache.path(), FINGERPRINT).unwrap();
            shelf.add(id(number as u8), found(true), true).unwrap();
            shelf.write().unwrap();
        }
        let mut corrected = Shelf::open(cache.path(), FINGERPRINT).unwrap();
        corrected.add(id(3), found(false), true).unwrap();
        corrected.write().unwrap();
        let merged = Shelf::open(cache.path(), FINGERPRINT).unwrap();
        assert_eq!(merged.get(&id(3)).map(|verdict| verdict.result.malicious), Some(Some(false)));
        assert_eq!((merged.segments().unwrap().len(), merged.known.len()), (2, SEGMENTS + 1));
        assert_eq!(Shelf::open(cache.path(), FINGERPRINT).unwrap().known, merged.known);
    }

    #[test]
    fn a_damaged_file_is_named_and_the_others_are_read() {
        let cache = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::open(cache.path(), FINGERPRINT).unwrap();
        shelf.add(id(1), found(true), true).unwrap();
        shelf.write().unwrap();
        let sound = shelf.segments().unwrap().remove(0);
        let bytes = fs::read(&sound).unwrap();
        fs::write(shelf.folder.join("short.parquet"), &bytes[..bytes.len() / 2]).unwrap();
        fs::write(shelf.folder.join("empty.parquet"), b"").unwrap();
        let other = Shelf::open(cache.path(), "another").unwrap();
        fs::create_dir_all(&other.folder).unwrap();
        fs::copy(&sound, other.folder.join("foreign.parquet")).unwrap();

        let again = Shelf::open(cache.path(), FINGERPRINT).unwrap();
        assert_eq!((again.known.len(), again.damaged.len()), (1, 2), "{:?}", again.damaged);
        let other = Shelf::open(cache.path(), "another").unwrap();
        assert!(other.known.is_empty() && other.damaged[0].contains("of another backend"), "{:?}", other.damaged);
    }
}
