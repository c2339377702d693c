//! Reports that are kept, to compare later ones with: `NAME.json` in a folder, each the whole report.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow, bail};
use serde::Deserialize;

use super::{BenchName, BenchReport, FigureReport, Machine, SCHEMA, probe::Probe};
use crate::{figures::Subject, text};

/// Where baselines are kept, if nothing else is said: beside the project, for a CI to keep.
pub const FOLDER: &str = ".sim-bench";
/// A longer file is no report of ours, in bytes.
const LIMIT: u64 = 64 << 20;

/// What a later report is compared with.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct Saved {
    pub schema: u32,
    pub bench: Subject,
    pub name: BenchName,
    pub machine: Machine,
    pub probe: Option<Probe>,
    pub figures: BTreeMap<String, FigureReport>,
    #[serde(default)]
    pub unsure: BTreeMap<String, String>,
    #[serde(default)]
    pub nothing_answered: bool,
}

/// The file of a baseline: what has that name in the folder, or is to be saved there by that name; else a path that exists or
/// looks like one.
///
/// # Errors
///
/// If it is neither a path nor a name.
pub fn file(folder: &Path, named: &str, saved_as: Option<&str>) -> Result<PathBuf> {
    let path = Path::new(named);
    if check(named).is_ok() && (saved_as == Some(named) || self::path(folder, named).is_file()) {
        return Ok(self::path(folder, named));
    }
    if path.is_file() || named.contains(['/', '\\']) || named.ends_with(".json") {
        return Ok(path.to_owned());
    }
    check(named)?;
    Ok(self::path(folder, named))
}

/// The file of the baseline of that name.
pub fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.json"))
}

/// Makes sure that baselines can be written.
///
/// # Errors
///
/// If they cannot.
pub fn prepare(folder: &Path) -> Result<()> {
    let made = fs::create_dir_all(folder).and_then(|()| tempfile::NamedTempFile::new_in(folder));
    made.map(drop).with_context(|| unwritable(folder))
}

fn unwritable(folder: &Path) -> String {
    format!("cannot write the baseline into {}; name another folder with --baselines", text::shown(folder))
}

/// Checks the name of a baseline.
///
/// # Errors
///
/// If it would not be one file in a folder.
pub fn check(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.len() > 100 || name.starts_with('.') || !name.chars().all(plain) {
        bail!("{} cannot be the name of a baseline: use letters, digits, `-`, `_` and `.`", text::quote(name));
    }
    if name.to_ascii_lowercase().ends_with(".json") {
        bail!("{} cannot be the name of a baseline: its file gets `.json` by itself; leave it out", text::quote(name));
    }
    Ok(())
}

/// Reads a baseline; nothing if there is none.
///
/// # Errors
///
/// If the file is no report, or one of something else.
pub fn read(file: &Path, bench: Subject) -> Result<Option<Saved>> {
    if !file.exists() {
        return Ok(None);
    }
    let name = || text::shown(file);
    if fs::metadata(file).with_context(|| format!("cannot read {}", name()))?.len() > LIMIT {
        bail!("{} is too large for a report of `sim bench`", name());
    }
    let written = fs::read(file).with_context(|| format!("cannot read {}", name()))?;
    let saved: Saved = serde_json::from_slice(&written)
        .map_err(|error| anyhow!("{} is no report of `sim bench --save-baseline`: {error}; measure and save it again", name()))?;
    if saved.schema != SCHEMA {
        bail!("{} has schema {}, and this program writes {SCHEMA}; measure and save it again", name(), saved.schema);
    }
    if saved.bench != bench {
        bail!("{} is a baseline of `sim bench {}`; name one of `sim bench {}`", name(), saved.bench.name(), bench.name());
    }
    Ok(Some(saved))
}

/// Writes a report as a baseline, in one go.
///
/// # Errors
///
/// If the file cannot be written.
pub fn write(folder: &Path, name: &str, report: &BenchReport) -> Result<()> {
    let unwritable = || unwritable(folder);
    fs::create_dir_all(folder).with_context(unwritable)?;
    let mut new = tempfile::NamedTempFile::new_in(folder).with_context(unwritable)?;
    serde_json::to_writer_pretty(&mut new, report)?;
    new.persist(path(folder, name)).with_context(unwritable)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_file_in_the_folder() {
        let of = |named: &str| file(Path::new("kept"), named, None).map(|path| path.display().to_string()).ok();
        assert_eq!(of("main").as_deref(), Some("kept/main.json"));
        assert_eq!(of("a/b").as_deref(), Some("a/b"));
        assert_eq!(of("old.json").as_deref(), Some("old.json"));
        assert_eq!([of(".."), of(""), of("a b")], [None, None, None]);
    }

    #[test]
    fn what_can_be_saved_can_be_named() {
        assert!(check("main.json").is_err() && check("a.JSON").is_err() && check("main.1").is_ok());
        let folder = tempfile::tempdir().unwrap();
        // In the folder in which tests run there is a file of that name, too.
        let named = "Cargo.toml";
        assert_eq!(file(folder.path(), named, Some("other")).unwrap(), Path::new(named));
        assert_eq!(file(folder.path(), named, Some(named)).unwrap(), folder.path().join("Cargo.toml.json"));
        fs::write(folder.path().join("Cargo.toml.json"), "").unwrap();
        assert_eq!(file(folder.path(), named, None).unwrap(), folder.path().join("Cargo.toml.json"));
    }
}
