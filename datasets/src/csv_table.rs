//! Rows of a `.csv` or `.csv.gz` table, with the physical line of each.
//!
//! What a column means is in `layout`, what a cell means in `cell`. Lines are counted here because
//! the parser's own count is that of the line a record was *looked for* on, blank lines included.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use csv::{ByteRecord, ReaderBuilder, Terminator};
use flate2::bufread::MultiGzDecoder;

use crate::artifact::ArtifactId;
use crate::cell::{self, Refused};
use crate::error::{CorpusError, Place};
use crate::gate::Gate;
use crate::intern::Interner;
use crate::layout::{Layout, MAX_FIELD_BYTES, MAX_RECORD_BYTES};
use crate::message::quote;
use crate::row::{Recorded, Row};

const BUFFER_BYTES: usize = 1 << 16;

/// The records of a CSV table, header first.
pub(crate) struct CsvRecords {
    file: PathBuf,
    gzip: bool,
    reader: csv::Reader<Gate<Box<dyn Read + Send>>>,
    record: ByteRecord,
    line: u64,
}

impl CsvRecords {
    pub(crate) fn open(file: &Path, gzip: bool) -> Result<CsvRecords, CorpusError> {
        let opened = File::open(file)
            .map_err(|cause| CorpusError::Unreadable { path: file.to_owned(), cause })?;
        let bytes: Box<dyn Read + Send> = if gzip {
            Box::new(MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, opened)))
        } else {
            Box::new(opened)
        };
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            // Only `\n` ends a line, so that the line count is exact; `\r` is cut off in `field`.
            .terminator(Terminator::Any(b'\n'))
            .buffer_capacity(BUFFER_BYTES)
            .from_reader(Gate::new(bytes));
        let (file, record) = (file.to_owned(), ByteRecord::new());
        Ok(CsvRecords { file, gzip, reader, record, line: 0 })
    }

    /// The header's names.
    pub(crate) fn header(&mut self) -> Result<Vec<String>, CorpusError> {
        if !self.advance()? {
            return Err(CorpusError::NoHeader { file: self.file.clone() });
        }
        let text = |column| String::from_utf8_lossy(self.field(column)).into_owned();
        Ok((0..self.record.len()).map(text).collect())
    }

    /// Moves to the next record; false at the end.
    fn advance(&mut self) -> Result<bool, CorpusError> {
        loop {
            let (byte, before) = (self.reader.position().byte(), self.reader.position().line());
            self.reader.get_mut().open_to(byte + MAX_RECORD_BYTES as u64);
            let found = self.reader.read_byte_record(&mut self.record);
            if !found.map_err(|error| self.read_error(error, before))? {
                return Ok(false);
            }
            let after = self.reader.position().line();
            let gate = self.reader.get_ref();
            // A record found only at the end of the input was not ended by a line break.
            let unfinished = gate.ended;
            self.line = if after == before + 1 && !unfinished {
                before
            } else {
                let inside = self.record.as_slice().iter().filter(|byte| **byte == b'\n').count();
                after - u64::from(!unfinished) - inside as u64
            };
            if unfinished && gate.last == b'\n' {
                return Err(CorpusError::UnclosedQuote { file: self.file.clone(), at: self.at() });
            }
            // A blank line with a `\r`; the parser skips those without.
            if self.record.len() > 1 || !self.field(0).is_empty() {
                break;
            }
        }
        self.check_text()?;
        Ok(true)
    }

    /// UTF-8, and no field beyond the bound.
    fn check_text(&self) -> Result<(), CorpusError> {
        let bytes = self.record.as_slice();
        // Nearly every record ends here.
        if bytes.len() <= MAX_FIELD_BYTES && bytes.is_ascii() {
            return Ok(());
        }
        let (file, at) = (|| self.file.clone(), self.at());
        for (index, field) in self.record.iter().enumerate() {
            let number = index + 1;
            if field.len() > MAX_FIELD_BYTES {
                return Err(CorpusError::LongField { file: file(), at, number, length: field.len() });
            }
            if std::str::from_utf8(field).is_err() {
                return Err(CorpusError::NotUtf8 { file: file(), at, number, found: quote(field) });
            }
        }
        Ok(())
    }

    fn read_error(&self, error: csv::Error, before: u64) -> CorpusError {
        let file = self.file.clone();
        if self.reader.get_ref().stopped {
            return CorpusError::LongRecord { file, at: Place::Line(before) };
        }
        let cause = match error.into_kind() {
            csv::ErrorKind::Io(cause) => cause,
            other => io::Error::other(format!("{other:?}")),
        };
        let at = Place::Line(self.line);
        match cause.kind() {
            io::ErrorKind::UnexpectedEof if self.gzip => CorpusError::TruncatedGzip { file, at },
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData if self.gzip => {
                CorpusError::BadGzip { file, at, cause }
            }
            _ => CorpusError::Unreadable { path: file, cause },
        }
    }

    fn at(&self) -> Place {
        Place::Line(self.line)
    }

    fn field(&self, column: usize) -> &[u8] {
        let field = &self.record[column];
        if column + 1 == self.record.len() { field.strip_suffix(b"\r").unwrap_or(field) } else { field }
    }
}

/// The rows of a CSV table.
pub(crate) struct CsvTable {
    records: CsvRecords,
    layout: Arc<Layout>,
    file_types: Interner,
    families: Interner,
}

impl CsvTable {
    pub(crate) fn open(
        file: &Path,
        gzip: bool,
        layout: Arc<Layout>,
    ) -> Result<CsvTable, CorpusError> {
        let mut records = CsvRecords::open(file, gzip)?;
        // The layout was made from the header; a table that was replaced since must not be read by it.
        if records.header()? != layout.names {
            return Err(CorpusError::Changed { file: file.to_owned() });
        }
        Ok(CsvTable { records, layout, file_types: Interner::default(), families: Interner::default() })
    }

    /// The next row; `None` at the end.
    pub(crate) fn next_row(&mut self) -> Result<Option<Row>, CorpusError> {
        if !self.records.advance()? {
            return Ok(None);
        }
        let (records, layout) = (&self.records, &*self.layout);
        let (file, at) = (|| records.file.clone(), records.at());
        if records.record.len() != layout.names.len() {
            let (found, expected) = (records.record.len(), layout.names.len());
            return Err(CorpusError::Ragged { file: file(), at, found, expected });
        }
        let cell = |column: Option<usize>| column.map_or(&b""[..], |column| records.field(column));
        let text = |column| std::str::from_utf8(cell(column)).unwrap_or_default();
        let found = |column: usize| quote(records.field(column));

        let id = ArtifactId::from_hex(records.field(layout.sha256)).ok_or_else(|| {
            CorpusError::BadSha256 { file: file(), at, found: found(layout.sha256) }
        })?;
        let truth = cell::truth(records.field(layout.label)).map_err(|Refused| {
            CorpusError::BadLabel { file: file(), at, found: found(layout.label) }
        })?;
        let path = cell::path(text(layout.path)).map_err(|Refused| {
            CorpusError::PathOutside { file: file(), at, found: quote(cell(layout.path)) }
        })?;
        let size = cell::size(cell(layout.size)).map_err(|Refused| {
            CorpusError::BadSize { file: file(), at, found: quote(cell(layout.size)) }
        })?;
        let time = |column: Option<usize>, name| {
            cell::time(cell(column)).map_err(|Refused| CorpusError::BadTime {
                file: file(),
                at,
                column: name,
                found: quote(cell(column)),
            })
        };
        let first_seen = match time(layout.first_seen, "first_seen")? {
            None => time(layout.scan_date, "scan_date")?,
            seen => seen,
        };
        let mut recorded = Vec::with_capacity(layout.engines.len());
        for engine in &layout.engines {
            let malicious = cell::verdict(records.field(engine.verdict)).map_err(|Refused| {
                let column = layout.names[engine.verdict].clone();
                CorpusError::BadVerdict { file: file(), at, column, found: found(engine.verdict) }
            })?;
            let confidence = match engine.confidence {
                None => None,
                Some(column) => cell::confidence(records.field(column)).map_err(|Refused| {
                    let (name, found) = (layout.names[column].clone(), found(column));
                    CorpusError::BadConfidence { file: file(), at, column: name, found }
                })?,
            };
            recorded.push(match (malicious, confidence, engine.confidence) {
                (Some(malicious), confidence, _) => Some(Recorded { malicious, confidence }),
                (None, Some(_), Some(column)) => {
                    let column = layout.names[column].clone();
                    return Err(CorpusError::ConfidenceWithoutVerdict { file: file(), at, column });
                }
                (None, _, _) => None,
            });
        }
        Ok(Some(Row {
            line: records.line,
            id,
            truth,
            path,
            file_type: self.file_types.get(text(layout.file_type)),
            size,
            family: self.families.get(text(layout.family)),
            first_seen,
            recorded,
        }))
    }
}
