//! Rows of a `.parquet` table, batch by batch.
//!
//! The shapes of columns are in `parquet_column`; what text means is in `cell`, as for CSV.

use std::fmt::Display;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_schema::SchemaRef;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::artifact::{ArtifactId, Truth};
use crate::cell::{self, Refused};
use crate::error::{CorpusError, Place};
use crate::intern::Interner;
use crate::layout::{EngineLayout, Layout, MAX_FIELD_BYTES};
use crate::message::{cause, quote};
use crate::parquet_column::{Column, Purpose, Value};
use crate::row::{Recorded, Row};

/// Rows decoded at a time.
const BATCH_ROWS: usize = 1024;

/// The names of the columns of the Parquet file `file`.
pub(crate) fn header(file: &Path) -> Result<Vec<String>, CorpusError> {
    Ok(builder(file)?.schema().fields().iter().map(|field| field.name().clone()).collect())
}

fn builder(file: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, CorpusError> {
    let opened = File::open(file).map_err(|cause| CorpusError::Unreadable { path: file.to_owned(), cause })?;
    // The Arrow schema that a writer embeds names views and dictionaries; without it there is one
    // type for text, one for each integer, and so on.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    guarded(|| ParquetRecordBatchReaderBuilder::try_new_with_options(opened, options)).map_err(|message| broken(file, 1, &message))
}

/// Runs a step of the Parquet library, which answers some damaged files with a panic.
///
/// Whatever the step was working on must not be used again after an error.
fn guarded<T, E: Display>(step: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(panic) => Err(match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
            (Some(message), _) => (*message).to_owned(),
            (None, Some(message)) => message.clone(),
            (None, None) => "the reader gave up".to_owned(),
        }),
    }
}

fn broken(file: &Path, row: u64, message: &str) -> CorpusError {
    let cause = cause(message.trim_start_matches("Parquet error: "));
    CorpusError::BadParquet { file: file.to_owned(), at: Place::Row(row), cause }
}

/// The rows of a Parquet table.
pub(crate) struct ParquetTable {
    file: PathBuf,
    layout: Arc<Layout>,
    reader: ParquetRecordBatchReader,
    columns: Vec<Column>,
    /// Rows of the batch, and how many of them are read.
    batch: (usize, usize),
    rows: u64,
    file_types: Interner,
    families: Interner,
}

impl ParquetTable {
    pub(crate) fn open(file: &Path, layout: Arc<Layout>) -> Result<ParquetTable, CorpusError> {
        let builder = builder(file)?;
        let names = builder.schema().fields().iter().map(|field| field.name());
        if !names.eq(layout.names.iter()) {
            return Err(CorpusError::Changed { file: file.to_owned() });
        }
        check_types(file, builder.schema(), &layout)?;
        let reader = guarded(|| builder.with_batch_size(BATCH_ROWS).build()).map_err(|message| broken(file, 1, &message))?;
        Ok(ParquetTable {
            file: file.to_owned(),
            layout,
            reader,
            columns: Vec::new(),
            batch: (0, 0),
            rows: 0,
            file_types: Interner::default(),
            families: Interner::default(),
        })
    }

    /// The next row; `None` at the end.
    pub(crate) fn next_row(&mut self) -> Result<Option<Row>, CorpusError> {
        while self.batch.0 == self.batch.1 {
            let batch = guarded(|| self.reader.next().transpose()).map_err(|message| broken(&self.file, self.rows + 1, &message))?;
            let Some(batch) = batch else { return Ok(None) };
            self.columns = batch.columns().iter().map(Column::new).collect();
            self.batch = (batch.num_rows(), 0);
        }
        let index = self.batch.1;
        self.batch.1 += 1;
        self.rows += 1;
        let layout = &*self.layout;
        let at = Place::Row(self.rows);
        let cells = Cells { file: &self.file, columns: &self.columns, layout, index, at };

        let id = cells.id(layout.sha256)?;
        let truth = cells.truth(layout.label)?;
        let path = cells.path(layout.path)?;
        let size = cells.size(layout.size)?;
        let first_seen = cells.first_seen(layout.first_seen)?;
        let engines = layout.engines.iter();
        let recorded = engines.map(|engine| cells.recorded(engine)).collect::<Result<_, _>>()?;
        let (file_type, family) = (cells.text(layout.file_type)?, cells.text(layout.family)?);
        Ok(Some(Row {
            line: self.rows,
            id,
            truth,
            path,
            file_type: self.file_types.get(file_type),
            size,
            family: self.families.get(family),
            first_seen,
            recorded,
        }))
    }
}

/// The cells of the row `index` of a batch.
struct Cells<'a> {
    file: &'a Path,
    columns: &'a [Column],
    layout: &'a Layout,
    index: usize,
    at: Place,
}

impl<'a> Cells<'a> {
    fn file(&self) -> PathBuf {
        self.file.to_owned()
    }

    /// A cell; the empty text where there is no such column.
    fn value(&self, column: Option<usize>) -> Value<'a> {
        column.map_or(Value::Text(""), |column| self.columns[column].value(self.index))
    }

    fn text(&self, column: Option<usize>) -> Result<&'a str, CorpusError> {
        match self.value(column) {
            Value::Text(text) if text.len() > MAX_FIELD_BYTES => Err(CorpusError::LongField {
                file: self.file(),
                at: self.at,
                number: column.map_or(0, |column| column + 1),
                length: text.len(),
            }),
            Value::Text(text) => Ok(text),
            _ => unreachable!("the types of text columns were checked when the table was opened"),
        }
    }

    fn id(&self, column: usize) -> Result<ArtifactId, CorpusError> {
        let text = self.text(Some(column))?;
        ArtifactId::from_hex(text.as_bytes()).ok_or_else(|| CorpusError::BadSha256 { file: self.file(), at: self.at, found: quote(text) })
    }

    fn truth(&self, column: usize) -> Result<Truth, CorpusError> {
        let text = self.text(Some(column))?;
        cell::truth(text.as_bytes()).map_err(|Refused| CorpusError::BadLabel { file: self.file(), at: self.at, found: quote(text) })
    }

    fn path(&self, column: Option<usize>) -> Result<Option<PathBuf>, CorpusError> {
        let text = self.text(column)?;
        cell::path(text).map_err(|Refused| CorpusError::PathOutside { file: self.file(), at: self.at, found: quote(text) })
    }

    fn size(&self, column: Option<usize>) -> Result<Option<u64>, CorpusError> {
        let value = self.value(column);
        let size = match value {
            Value::Signed(bytes) => u64::try_from(bytes).map(Some).map_err(|_| Refused),
            Value::Unsigned(bytes) => Ok(Some(bytes)),
            _ => Ok(None),
        };
        let (file, at) = (|| self.file(), self.at);
        size.map_err(|Refused| CorpusError::BadSize { file: file(), at, found: value.quote() })
    }

    fn first_seen(&self, column: Option<usize>) -> Result<Option<i64>, CorpusError> {
        let value = self.value(column);
        let time = match value {
            Value::Signed(seconds) => cell::seconds(seconds).map(Some),
            Value::Text(text) => cell::time(text.as_bytes()),
            _ => Ok(None),
        };
        time.map_err(|Refused| CorpusError::BadTime { file: self.file(), at: self.at, column: "first_seen", found: value.quote() })
    }

    fn recorded(&self, engine: &EngineLayout) -> Result<Option<Recorded>, CorpusError> {
        let (file, at) = (|| self.file(), self.at);
        let name = |column: usize| self.layout.names[column].clone();
        let value = self.value(Some(engine.verdict));
        let verdict = match value {
            Value::Boolean(malicious) => Ok(Some(malicious)),
            Value::Signed(0) | Value::Unsigned(0) => Ok(Some(false)),
            Value::Signed(1) | Value::Unsigned(1) => Ok(Some(true)),
            Value::Text(text) => cell::verdict(text.as_bytes()),
            _ => Err(Refused),
        };
        let verdict =
            verdict.map_err(|Refused| CorpusError::BadVerdict { file: file(), at, column: name(engine.verdict), found: value.quote() })?;
        let confidence =
            match (engine.confidence, self.value(engine.confidence)) {
                (Some(column), Value::Float(number)) => Some(cell::unit_interval(number).map_err(|Refused| {
                    CorpusError::BadConfidence { file: file(), at, column: name(column), found: Value::Float(number).quote() }
                })?),
                _ => None,
            };
        match (verdict, confidence, engine.confidence) {
            (Some(malicious), confidence, _) => Ok(Some(Recorded { malicious, confidence })),
            (None, Some(_), Some(column)) => Err(CorpusError::ConfidenceWithoutVerdict { file: file(), at, column: name(column) }),
            (None, _, _) => Ok(None),
        }
    }
}

/// Refuses columns whose types cannot hold what they are for.
fn check_types(file: &Path, schema: &SchemaRef, layout: &Layout) -> Result<(), CorpusError> {
    let text = [Some(layout.sha256), Some(layout.label), layout.path, layout.file_type, layout.family];
    let engines = layout
        .engines
        .iter()
        .flat_map(|engine| [Some((engine.verdict, Purpose::Verdict)), engine.confidence.map(|column| (column, Purpose::Confidence))]);
    let columns = text.into_iter().map(|column| Some((column?, Purpose::Text)));
    let columns = columns
        .chain([layout.size.map(|column| (column, Purpose::Size))])
        .chain([layout.first_seen.map(|column| (column, Purpose::Time))])
        .chain(engines);
    for (column, purpose) in columns.flatten() {
        purpose.check(file, &layout.names[column], schema.field(column).data_type())?;
    }
    Ok(())
}
