//! Every trial that was ever made on a corpus, by anybody on this account: who picks the best of a thousand has to own up to
//! the thousand. A file for each corpus, a line for each trial.

use std::{
    collections::HashMap,
    fs::{self, OpenOptions},
    io::{BufRead as _, BufReader, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use super::trial::Record;
use crate::text;

/// A trial, as the registry knows it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Its name.
    pub trial: String,
    /// Its Sharpe ratio per bounty, if profits varied.
    pub sharpe: Option<f64>,
    /// The folder of its sweep.
    pub sweep: PathBuf,
}

/// The trials of one corpus.
#[derive(Debug)]
pub struct Registry {
    file: PathBuf,
    entries: HashMap<String, Entry>,
}

/// The folder of registries where nobody names one.
///
/// # Errors
///
/// If the account has no folder for data.
pub fn default_folder() -> Result<PathBuf> {
    let folder = dirs::data_local_dir().context("this account has no folder for data; name one with --registry")?;
    Ok(folder.join("polyswarm-sim").join("trials"))
}

impl Registry {
    /// Opens the registry of the corpus with that hash; an empty one if there is none yet.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn open(folder: &Path, corpus_sha256: &str) -> Result<Registry> {
        let file = folder.join(format!("{corpus_sha256}.jsonl"));
        let mut entries = HashMap::new();
        match fs::File::open(&file) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", text::shown(&file))),
            Ok(opened) => {
                for line in BufReader::new(opened).split(b'\n') {
                    let line = line.with_context(|| format!("cannot read {}", text::shown(&file)))?;
                    // A line that was half written is a trial that will be made again; of two about a trial the later one holds.
                    if let Ok(entry) = serde_json::from_slice::<Entry>(&line) {
                        entries.insert(entry.trial.clone(), entry);
                    }
                }
            }
        }
        Ok(Registry { file, entries })
    }

    /// The folder of the sweep that made a trial, on whatever corpus.
    ///
    /// # Errors
    ///
    /// If none did, several might have, or a registry cannot be read.
    pub fn find(folder: &Path, trial: &str) -> Result<PathBuf> {
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        let corpora = files.filter_map(|file| file.file_name().to_str()?.strip_suffix(".jsonl").map(str::to_owned));
        let mut found = Vec::new();
        for corpus in corpora {
            found.extend(Registry::open(folder, &corpus)?.entries.remove(trial).map(|entry| entry.sweep));
        }
        match (found.pop(), found.is_empty()) {
            (Some(sweep), true) => Ok(sweep),
            (Some(_), false) => {
                bail!("trial {} was made on several corpora; name the folder of its sweep with --sweep", text::quote(trial))
            }
            (None, _) => bail!("no trial {} is known; name the folder of its sweep with --sweep", text::quote(trial)),
        }
    }

    /// Knows the trials of a sweep as well, and writes nothing.
    pub fn know<'a>(&mut self, records: impl Iterator<Item = &'a Record>, sweep: &Path) {
        for record in records {
            if let Some(figures) = record.figures() {
                let sharpe = figures.sharpe.map(|sharpe| sharpe.ratio);
                let entry = || Entry { trial: record.trial.clone(), sharpe, sweep: sweep.to_owned() };
                self.entries.entry(record.trial.clone()).or_insert_with(entry);
            }
        }
    }

    /// Adds the trials that are new, or were made elsewhere.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn add<'a>(&mut self, records: impl Iterator<Item = &'a Record>, sweep: &Path) -> Result<()> {
        let mut lines = String::new();
        for record in records {
            let same_place = self.entries.get(&record.trial).is_some_and(|entry| entry.sweep == sweep);
            let Some(figures) = record.figures().filter(|_| !same_place) else { continue };
            let sharpe = figures.sharpe.map(|sharpe| sharpe.ratio);
            let entry = Entry { trial: record.trial.clone(), sharpe, sweep: sweep.to_owned() };
            lines.push_str(&serde_json::to_string(&entry)?);
            lines.push('\n');
            self.entries.insert(entry.trial.clone(), entry);
        }
        if lines.is_empty() {
            return Ok(());
        }
        let problem = || format!("cannot write {}; name another folder with --registry", text::shown(&self.file));
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(&self.file).with_context(problem)?;
        let mut last = [b'\n'];
        if file.seek(SeekFrom::End(-1)).is_ok() {
            file.read_exact(&mut last).with_context(problem)?;
        }
        if last != *b"\n" {
            // What somebody left half written must not swallow what comes now.
            lines.insert(0, '\n');
        }
        file.write_all(lines.as_bytes()).with_context(problem)
    }

    /// Number of trials.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sharpe ratios of all trials that have one, in order.
    pub fn sharpes(&self) -> Vec<f64> {
        let mut sharpes: Vec<f64> = self.entries.values().filter_map(|entry| entry.sharpe).collect();
        sharpes.sort_by(f64::total_cmp);
        sharpes
    }
}
