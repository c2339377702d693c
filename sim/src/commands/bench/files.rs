//! Files that reports are written to: made sure of before the long run, and each replaced in one go after it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::{output, text};

/// Makes sure that a report can be written before the long run begins. An old one is taken away, so that nobody takes it for the
/// new one if there is none; the baseline stays.
///
/// # Errors
///
/// If the file cannot be written.
pub(super) fn make_way(file: &Path, baseline: Option<&Path>) -> Result<()> {
    let unwritable = || format!("cannot write {}", text::shown(file));
    if file.is_dir() {
        bail!("{}: it is a folder", unwritable());
    }
    if is_special(file) {
        return Ok(());
    }
    tempfile::NamedTempFile::new_in(folder(file)).with_context(unwritable)?;
    let real = |file: &Path| -> Option<PathBuf> { file.canonicalize().ok() };
    let old = real(file).filter(|file| baseline.and_then(real).as_ref() != Some(file));
    old.map_or(Ok(()), fs::remove_file).with_context(unwritable)
}

/// Makes sure that no two reports go to one file.
///
/// # Errors
///
/// If two do.
pub(super) fn all_different<'a>(files: impl Iterator<Item = &'a Path>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for file in files.filter(|file| !is_special(file)) {
        let folder = folder(file).canonicalize().unwrap_or_else(|_| folder(file).to_owned());
        if !seen.insert((folder, file.file_name())) {
            bail!("two reports cannot both be written to {}; give each a file of its own", text::shown(file));
        }
    }
    Ok(())
}

/// The folder that a file is in.
fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes a report.
///
/// # Errors
///
/// If the file cannot be written.
pub(super) fn write(file: &Path, content: &str) -> Result<()> {
    if is_special(file) {
        return fs::write(file, content).with_context(|| format!("cannot write {}", text::shown(file)));
    }
    output::replace(file, content)
}

/// Whether something is written through: a terminal, a pipe, a link to whatever.
fn is_special(file: &Path) -> bool {
    fs::symlink_metadata(file).is_ok_and(|about| !about.is_file())
}
