//! Rows of a `.csv` or `.csv.gz` table.
//!
//! What a column means is in `layout`, what a cell means in `cell`; here the two meet a record, and a
//! refused cell gets its sentence.

use std::path::Path;
use std::sync::Arc;

use crate::artifact::ArtifactId;
use crate::cell::{self, Refused};
use crate::csv_records::CsvRecords;
use crate::error::CorpusError;
use crate::intern::Interner;
use crate::layout::Layout;
use crate::message::quote;
use crate::row::{Recorded, Row};

/// The rows of a CSV table.
pub(crate) struct CsvTable {
    records: CsvRecords,
    layout: Arc<Layout>,
    file_types: Interner,
    families: Interner,
}

impl CsvTable {
    pub(crate) fn open(file: &Path, gzip: bool, layout: Arc<Layout>) -> Result<CsvTable, CorpusError> {
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
        if records.width() != layout.names.len() {
            let (found, expected) = (records.width(), layout.names.len());
            return Err(CorpusError::Ragged { file: file(), at, found, expected });
        }
        let cell = |column: Option<usize>| column.map_or(&b""[..], |column| records.field(column));
        let text = |column| std::str::from_utf8(cell(column)).unwrap_or_default();
        let found = |column: usize| quote(records.field(column));

        let id = ArtifactId::from_hex(records.field(layout.sha256)).ok_or_else(|| CorpusError::BadSha256 {
            file: file(),
            at,
            found: found(layout.sha256),
        })?;
        let truth = cell::truth(records.field(layout.label)).map_err(|Refused| CorpusError::BadLabel {
            file: file(),
            at,
            found: found(layout.label),
        })?;
        let path = cell::path(text(layout.path)).map_err(|Refused| CorpusError::PathOutside {
            file: file(),
            at,
            found: quote(cell(layout.path)),
        })?;
        let size =
            cell::size(cell(layout.size)).map_err(|Refused| CorpusError::BadSize { file: file(), at, found: quote(cell(layout.size)) })?;
        let time = |column: Option<usize>, name| {
            cell::time(cell(column)).map_err(|Refused| CorpusError::BadTime { file: file(), at, column: name, found: quote(cell(column)) })
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
