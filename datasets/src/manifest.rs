//! `manifest.toml`: what a corpus folder holds and how its table is to be read.
//!
//! Only the text and its own rules; whether the table has the columns is decided in `layout`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::CorpusError;
use crate::layout::STANDARD_COLUMNS;
use crate::message::{cause, nearest, quote};

/// The name of the manifest in a corpus folder.
pub const MANIFEST: &str = "manifest.toml";

/// The schema number that this version reads and writes.
pub const SCHEMA: u32 = 1;

const KEYS: [&str; 8] = ["schema", "name", "title", "license", "source", "table", "url", "engine"];
const ENGINE_KEYS: [&str; 3] = ["name", "verdict", "confidence"];

/// A corpus manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always [`SCHEMA`].
    pub schema: u32,
    /// Short name, used in reports.
    pub name: String,
    /// One line about the corpus.
    pub title: String,
    /// Licence of the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Where the data comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The table: a `.csv`, `.csv.gz` or `.parquet` file inside the folder.
    pub table: String,
    /// The artifacts are URLs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub url: bool,
    /// The recorded engines, in the order of [`Row::recorded`](crate::Row::recorded).
    #[serde(default, rename = "engine", skip_serializing_if = "Vec::is_empty")]
    pub engines: Vec<ManifestEngine>,
}

/// A recorded engine: an `[[engine]]` of the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestEngine {
    /// The engine's name.
    pub name: String,
    /// Its verdict column; the name if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// Its confidence column, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<String>,
}

impl ManifestEngine {
    /// The column that holds the engine's verdicts.
    pub fn verdict_column(&self) -> &str {
        self.verdict.as_deref().unwrap_or(&self.name)
    }
}

impl Manifest {
    /// A manifest of files without recorded engines, in `artifacts.csv`.
    pub fn new(name: &str, title: &str) -> Manifest {
        Manifest {
            schema: SCHEMA,
            name: name.to_owned(),
            title: title.to_owned(),
            license: None,
            source: None,
            table: "artifacts.csv".to_owned(),
            url: false,
            engines: Vec::new(),
        }
    }

    /// Reads the text of the manifest at `path`.
    pub(crate) fn parse(path: &Path, text: &[u8]) -> Result<Manifest, CorpusError> {
        let syntax = |start: usize, problem: &str| CorpusError::ManifestSyntax {
            manifest: path.to_owned(),
            line: 1 + text[..start.min(text.len())].iter().filter(|byte| **byte == b'\n').count(),
            problem: cause(problem),
        };
        let toml_error = |error: toml::de::Error| syntax(error.span().map_or(0, |span| span.start), error.message());
        let utf8 = std::str::from_utf8(text).map_err(|e| syntax(e.valid_up_to(), "not UTF-8"))?;
        let keys: toml::Table = toml::from_str(utf8).map_err(toml_error)?;
        // The schema comes first: with another one, other keys would be right.
        check_schema(path, &keys)?;
        check_keys(path, &keys)?;
        let manifest: Manifest = toml::from_str(utf8).map_err(toml_error)?;
        manifest.check(path)?;
        Ok(manifest)
    }

    /// The manifest as text.
    pub(crate) fn to_text(&self) -> String {
        toml::to_string(self).expect("strings, numbers and lists of tables are TOML")
    }

    /// The rules that types alone do not hold; `path` is for the message.
    pub(crate) fn check(&self, path: &Path) -> Result<(), CorpusError> {
        let wrong =
            |key: &str, problem: String| Err(CorpusError::ManifestValue { manifest: path.to_owned(), key: key.to_owned(), problem });
        for (key, value) in [("name", &self.name), ("title", &self.title)] {
            if value.trim().is_empty() || value.contains(char::is_control) {
                return wrong(key, format!("is {}; write one line of text", quote(value)));
            }
        }
        if !is_inside(Path::new(&self.table)) {
            let found = quote(&self.table);
            return wrong("table", format!("is {found}, which leaves the corpus folder; name a file inside it"));
        }
        if Format::of(&self.table).is_none() {
            let found = quote(&self.table);
            return wrong("table", format!("is {found}; name a .csv, .csv.gz or .parquet file"));
        }
        let (mut names, mut columns) = (BTreeSet::new(), BTreeSet::new());
        for engine in &self.engines {
            if engine.name.trim().is_empty() || engine.name.contains(char::is_control) {
                return wrong("engine.name", format!("is {}; write the engine's name", quote(&engine.name)));
            }
            if !names.insert(&engine.name) {
                let found = quote(&engine.name);
                return wrong("engine.name", format!("is {found} twice; give every engine its own name"));
            }
            for column in [Some(engine.verdict_column()), engine.confidence.as_deref()].into_iter().flatten() {
                let (column_shown, engine_shown) = (quote(column), quote(&engine.name));
                if STANDARD_COLUMNS.contains(&column) {
                    // Above all `label`: an engine that reads it would know the truth.
                    return wrong(
                        "engine",
                        format!("{engine_shown} uses the column {column_shown}, which describes the artifact; name a column of verdicts"),
                    );
                }
                if !columns.insert(column) {
                    return wrong(
                        "engine",
                        format!("{engine_shown} uses the column {column_shown}, which is already taken; give every column one use"),
                    );
                }
            }
        }
        Ok(())
    }
}

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Csv,
    CsvGz,
    Parquet,
}

impl Format {
    /// The format that a file name announces.
    pub(crate) fn of(name: &str) -> Option<Format> {
        let name = name.to_ascii_lowercase();
        match name {
            _ if name.ends_with(".csv") => Some(Format::Csv),
            _ if name.ends_with(".csv.gz") => Some(Format::CsvGz),
            _ if name.ends_with(".parquet") => Some(Format::Parquet),
            _ => None,
        }
    }
}

/// A relative path of plain names. Symlinks are another matter: see `confined`.
pub(crate) fn is_inside(path: &Path) -> bool {
    let plain = |component| matches!(component, std::path::Component::Normal(_));
    path.components().next().is_some() && path.components().all(plain)
}

fn check_schema(path: &Path, keys: &toml::Table) -> Result<(), CorpusError> {
    let manifest = || path.to_owned();
    match keys.get("schema") {
        Some(toml::Value::Integer(number)) if *number == i64::from(SCHEMA) => Ok(()),
        Some(other) => Err(CorpusError::UnsupportedSchema { manifest: manifest(), found: quote(other.to_string()) }),
        None => Err(CorpusError::ManifestValue {
            manifest: manifest(),
            key: "schema".to_owned(),
            problem: format!("is missing; write `schema = {SCHEMA}`"),
        }),
    }
}

fn check_keys(path: &Path, keys: &toml::Table) -> Result<(), CorpusError> {
    let unknown = |prefix: &str, key: &str, known: &[&str]| CorpusError::UnknownKey {
        manifest: path.to_owned(),
        key: format!("{prefix}{}", quote(key).trim_matches('`')),
        nearest: nearest(key, known.iter().copied()),
    };
    if let Some(key) = keys.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(unknown("", key, &KEYS));
    }
    let engines = keys.get("engine").and_then(toml::Value::as_array).into_iter().flatten();
    for engine in engines.filter_map(toml::Value::as_table) {
        if let Some(key) = engine.keys().find(|key| !ENGINE_KEYS.contains(&key.as_str())) {
            return Err(unknown("engine.", key, &ENGINE_KEYS));
        }
    }
    Ok(())
}

/// The manifest's place in `folder`.
pub(crate) fn manifest_path(folder: &Path) -> PathBuf {
    folder.join(MANIFEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_manifest_reads_back() {
        let mut manifest = Manifest::new("panel", "A panel");
        manifest.license = Some("CC0-1.0".to_owned());
        manifest.engines = vec![
            ManifestEngine { name: "ClamAV".to_owned(), verdict: Some("clamav".to_owned()), confidence: None },
            ManifestEngine { name: "K7".to_owned(), verdict: None, confidence: Some("k7_conf".to_owned()) },
        ];
        let text = manifest.to_text();
        assert_eq!(Manifest::parse(Path::new("m"), text.as_bytes()).unwrap(), manifest, "{text}");
    }

    #[test]
    fn only_plain_relative_paths_are_inside() {
        for path in ["a.csv", "files/a.csv", "a/./b"] {
            assert!(is_inside(Path::new(path)), "{path}");
        }
        for path in ["", ".", "./a", "../a", "a/../../b", "/a"] {
            assert!(!is_inside(Path::new(path)), "{path}");
        }
    }
}
