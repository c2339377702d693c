//! Records of a `.csv` or `.csv.gz` file, with the physical line of each.
//!
//! Bounded, in UTF-8, and otherwise uninterpreted: what they mean is in `csv_table`. Lines are counted
//! here because the parser's own count is that of the line a record was *looked for* on, blank lines
//! included.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use csv::{ByteRecord, ReaderBuilder, Terminator};
use flate2::bufread::MultiGzDecoder;

use crate::error::{CorpusError, Place};
use crate::gate::Gate;
use crate::layout::{MAX_FIELD_BYTES, MAX_RECORD_BYTES};
use crate::message::quote;

const BUFFER_BYTES: usize = 1 << 16;

/// The records of a CSV table, header first.
pub(crate) struct CsvRecords {
    pub(crate) file: PathBuf,
    gzip: bool,
    reader: csv::Reader<Gate<Box<dyn Read + Send>>>,
    record: ByteRecord,
    /// The record's physical line.
    pub(crate) line: u64,
}

impl CsvRecords {
    pub(crate) fn open(file: &Path, gzip: bool) -> Result<CsvRecords, CorpusError> {
        let opened = File::open(file).map_err(|cause| CorpusError::Unreadable { path: file.to_owned(), cause })?;
        let bytes: Box<dyn Read + Send> =
            if gzip { Box::new(MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, opened))) } else { Box::new(opened) };
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
    pub(crate) fn advance(&mut self) -> Result<bool, CorpusError> {
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
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData if self.gzip => CorpusError::BadGzip { file, at, cause },
            _ => CorpusError::Unreadable { path: file, cause },
        }
    }

    /// The line of the record.
    pub(crate) fn at(&self) -> Place {
        Place::Line(self.line)
    }

    /// The bytes of a field of the record.
    pub(crate) fn field(&self, column: usize) -> &[u8] {
        let field = &self.record[column];
        if column + 1 == self.record.len() { field.strip_suffix(b"\r").unwrap_or(field) } else { field }
    }

    /// How many fields the record has.
    pub(crate) fn width(&self) -> usize {
        self.record.len()
    }
}
