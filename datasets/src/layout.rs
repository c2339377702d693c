//! Which column of a table is what: the header, held against the manifest or the matrix shape.
//!
//! Both table readers follow a layout; neither looks at names again.

use std::collections::HashMap;
use std::path::Path;

use crate::error::CorpusError;
use crate::manifest::Manifest;
use crate::message::{nearest, quote};

/// The longest record of a CSV table, in bytes.
pub const MAX_RECORD_BYTES: usize = 1 << 20;

/// The longest field of a table, in bytes.
pub const MAX_FIELD_BYTES: usize = 4096;

/// The columns that describe the artifact itself; the first two are required.
pub(crate) const STANDARD_COLUMNS: [&str; 7] = ["sha256", "label", "path", "file_type", "size", "family", "first_seen"];

/// How the header of a verdict matrix starts.
pub(crate) const MATRIX_START: [&str; 4] = ["sha256", "md5", "label", "label_source"];

/// The last column of a verdict matrix that is not an engine.
const MATRIX_LAST: &str = "total";

/// The place of every column that is read.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) names: Vec<String>,
    pub(crate) sha256: usize,
    pub(crate) label: usize,
    pub(crate) path: Option<usize>,
    pub(crate) file_type: Option<usize>,
    pub(crate) size: Option<usize>,
    pub(crate) family: Option<usize>,
    pub(crate) first_seen: Option<usize>,
    /// Of a matrix: the time of rows whose `first_seen` is empty.
    pub(crate) scan_date: Option<usize>,
    pub(crate) engines: Vec<EngineLayout>,
}

/// The columns of one engine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EngineLayout {
    pub(crate) verdict: usize,
    pub(crate) confidence: Option<usize>,
}

impl Layout {
    /// The layout of the table `file` of a corpus folder.
    pub(crate) fn of_table(file: &Path, names: Vec<String>, manifest: &Manifest) -> Result<Layout, CorpusError> {
        let by_name = index(file, &names)?;
        let declared =
            || manifest.engines.iter().flat_map(|engine| [Some(engine.verdict_column()), engine.confidence.as_deref()]).flatten();
        let known: Vec<&str> = STANDARD_COLUMNS.into_iter().chain(declared()).collect();
        if let Some(number) = names.iter().position(|name| !known.contains(&name.as_str())) {
            // A name that is already there is not what this one was meant to be.
            let absent = known.iter().copied().filter(|known| !by_name.contains_key(known));
            return Err(CorpusError::UnknownColumn {
                file: file.to_owned(),
                number: number + 1,
                found: quote(&names[number]),
                nearest: nearest(&names[number], absent),
            });
        }
        let required = |name: &str| required(file, &by_name, name);
        let engines = manifest.engines.iter().map(|engine| {
            let verdict = required(engine.verdict_column())?;
            let confidence = engine.confidence.as_deref().map(required).transpose()?;
            Ok(EngineLayout { verdict, confidence })
        });
        let engines = engines.collect::<Result<_, CorpusError>>()?;
        let optional = |name: &str| by_name.get(name).copied();
        Ok(Layout {
            sha256: required("sha256")?,
            label: required("label")?,
            path: optional("path"),
            file_type: optional("file_type"),
            size: optional("size"),
            family: optional("family"),
            first_seen: optional("first_seen"),
            scan_date: None,
            engines,
            names,
        })
    }

    /// The layout of the verdict matrix `file`; the caller has seen [`MATRIX_START`].
    pub(crate) fn of_matrix(file: &Path, names: Vec<String>) -> Result<Layout, CorpusError> {
        let by_name = index(file, &names)?;
        let last = required(file, &by_name, MATRIX_LAST)?;
        // Behind `total` every name is an engine's, whatever it is called.
        let optional = |name: &str| by_name.get(name).copied().filter(|column| *column < last);
        Ok(Layout {
            sha256: 0,
            label: 2,
            path: None,
            file_type: optional("file_type"),
            size: optional("size"),
            family: optional("family"),
            first_seen: optional("first_seen"),
            scan_date: optional("scan_date"),
            engines: (last + 1..names.len()).map(|verdict| EngineLayout { verdict, confidence: None }).collect(),
            names,
        })
    }
}

/// Column numbers by name; refuses a name that is there twice.
fn index<'a>(file: &Path, names: &'a [String]) -> Result<HashMap<&'a str, usize>, CorpusError> {
    let mut by_name = HashMap::with_capacity(names.len());
    for (column, name) in names.iter().enumerate() {
        if let Some(first) = by_name.insert(name.as_str(), column) {
            return Err(CorpusError::DuplicateColumn { file: file.to_owned(), first: first + 1, second: column + 1, found: quote(name) });
        }
    }
    Ok(by_name)
}

fn required(file: &Path, by_name: &HashMap<&str, usize>, name: &str) -> Result<usize, CorpusError> {
    by_name.get(name).copied().ok_or_else(|| CorpusError::MissingColumn {
        file: file.to_owned(),
        column: quote(name).trim_matches('`').to_owned(),
        nearest: nearest(name, by_name.keys().copied()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(header: &str) -> Vec<String> {
        header.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn the_engines_of_a_matrix_stand_behind_total() {
        let header = "sha256,md5,label,label_source,family,scan_date,total,ClamAV,size";
        let layout = Layout::of_matrix(Path::new("m.csv"), names(header)).unwrap();
        assert_eq!(layout.engines.iter().map(|engine| engine.verdict).collect::<Vec<_>>(), [7, 8]);
        assert_eq!((layout.family, layout.scan_date, layout.size), (Some(4), Some(5), None));
    }

    #[test]
    fn columns_of_a_table_may_stand_in_any_order() {
        let manifest = Manifest::new("x", "x");
        let layout = Layout::of_table(Path::new("t"), names("label,size,sha256"), &manifest).unwrap();
        assert_eq!((layout.sha256, layout.label, layout.size), (2, 0, Some(1)));
    }
}
