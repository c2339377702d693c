//! What is kept of a sweep: `plan.json` and `scenario.toml` (what is searched), `journal.jsonl` (a line per trial, written at
//! once when it is through), and, when all are, the journal in order and `trials.csv`.

use std::{
    collections::HashMap,
    fmt,
    fs::{self, File, OpenOptions, TryLockError},
    io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use super::{
    sampler::Sampler,
    trial::{Outcome, Record},
};
use crate::text;

/// Version of what is written; grows when a field changes its meaning or goes away.
pub const SCHEMA: u32 = 1;
/// Files of a sweep.
const PLAN: &str = "plan.json";
const SCENARIO: &str = "scenario.toml";
const JOURNAL: &str = "journal.jsonl";
const TRIALS: &str = "trials.csv";

/// What is searched, and on what.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Plan {
    pub schema: u32,
    /// Version of the program.
    pub version: String,
    pub corpus: PlannedCorpus,
    /// SHA-256 of the scenario that the trials change.
    pub scenario_sha256: String,
    /// Fingerprints of the files that the scenario names, and of what backends said.
    pub inputs: Vec<String>,
    pub sampler: Sampler,
    /// Points that are drawn.
    pub trials: u64,
    /// Bounties of the scenario.
    pub bounties: u64,
    /// Of these, how many trials are played on, from the first one on; the rest is there to judge the best by.
    pub judged: u64,
    /// True if that is more than the corpus has, so that its artifacts come again.
    pub repeats: bool,
    /// Things a user should know before believing what comes out.
    pub warnings: Vec<String>,
    /// The part of the trials that is played here.
    pub shard: Option<Shard>,
    /// The file of the space, word by word.
    pub space: String,
}

/// The corpus of a sweep.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PlannedCorpus {
    pub name: String,
    /// Where it was.
    pub path: PathBuf,
    pub sha256: String,
    pub rows: u64,
}

/// Every `of`th trial, from the `part`th on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Shard {
    part: u32,
    of: u32,
}

impl Shard {
    /// True if it is this shard's to play the trial of that number.
    pub fn has(&self, number: u32) -> bool {
        number % self.of == self.part - 1
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.of)
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> String {
        shard.to_string()
    }
}

impl FromStr for Shard {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Shard, &'static str> {
        let numbers = text.split_once('/').and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((part, of)) if (1..=of).contains(&part) => Ok(Shard { part, of }),
            _ => Err("a part of all, such as 2/4"),
        }
    }
}

impl TryFrom<String> for Shard {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Shard, &'static str> {
        text.parse()
    }
}

impl Plan {
    /// What another plan differs in, if their trials are not the same ones.
    pub fn other_than(&self, other: &Plan) -> Option<&'static str> {
        let differs = [
            ("version of sim", self.version != other.version || self.schema != other.schema),
            ("corpus", self.corpus.sha256 != other.corpus.sha256),
            ("space", self.space != other.space),
            ("sampler", self.sampler != other.sampler),
            ("scenario", self.scenario_sha256 != other.scenario_sha256 || self.bounties != other.bounties),
            ("share held out", self.judged != other.judged),
            ("engine's files or profiles", self.inputs != other.inputs),
        ];
        differs.into_iter().find(|(_, differs)| *differs).map(|(what, _)| what)
    }
}

/// The folder of a sweep, with nobody else at work in it.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// What is searched.
    pub plan: Plan,
    journal: Mutex<File>,
    /// What was found, by the trials' names.
    known: HashMap<String, Record>,
}

impl Folder {
    /// Begins a sweep in a new folder.
    ///
    /// # Errors
    ///
    /// If there is something already, or it cannot be written.
    pub fn create(path: &Path, plan: Plan, scenario: &str) -> Result<Folder> {
        Folder::check_new(path)?;
        if !path.is_dir() {
            fs::create_dir(path)
                .with_context(|| format!("--out {}: cannot be made; name a new folder in a writable place", text::shown(path)))?;
        }
        write(&path.join(SCENARIO), scenario)?;
        write(&path.join(JOURNAL), "")?;
        // Last, because with it there is a sweep.
        write(&path.join(PLAN), &rendered(&plan)?)?;
        Folder::open(path)
    }

    /// Checks that a new sweep may begin in that folder.
    ///
    /// # Errors
    ///
    /// If there is something already.
    pub fn check_new(path: &Path) -> Result<()> {
        if path.join(PLAN).exists() {
            bail!("--out {} holds a sweep; go on with it by `--resume`, or name a new folder", text::shown(path));
        }
        let occupied = path.exists() && fs::read_dir(path).map_or(true, |mut entries| entries.next().is_some());
        if occupied {
            bail!("--out {} exists and is not an empty folder; name a new one", text::shown(path));
        }
        Ok(())
    }

    /// Opens the folder of a sweep. What a program that was ended left half written is taken away.
    ///
    /// # Errors
    ///
    /// If it is none, is damaged, or somebody is at work in it.
    pub fn open(path: &Path) -> Result<Folder> {
        let plan = read_plan(path)?;
        let name = path.join(JOURNAL);
        let file = OpenOptions::new().read(true).append(true).open(&name);
        let mut file = file.with_context(|| format!("cannot open {}", text::shown(&name)))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("{} is in use by another sweep; wait for it", text::shown(path)),
            Err(TryLockError::Error(error)) => return Err(error).with_context(|| format!("cannot lock {}", text::shown(&name))),
        }
        let (records, whole) = read_journal(&name, &file)?;
        file.set_len(whole).and_then(|()| file.seek(SeekFrom::End(0))).with_context(|| format!("cannot write {}", text::shown(&name)))?;
        let known = records.into_iter().map(|record| (record.trial.clone(), record)).collect();
        Ok(Folder { path: path.to_owned(), plan, journal: Mutex::new(file), known })
    }

    /// The scenario that the trials change.
    pub fn scenario(&self) -> PathBuf {
        scenario(&self.path)
    }

    /// Makes the sweep longer.
    ///
    /// # Errors
    ///
    /// If it would become shorter, or cannot be written.
    pub fn extend(&mut self, trials: u64) -> Result<()> {
        let had = self.plan.trials;
        if trials < had {
            bail!("the sweep has {had} trials already; resume it with as many, or more");
        }
        if trials > had {
            self.plan.trials = trials;
            replace(&self.path.join(PLAN), &rendered(&self.plan)?)?;
        }
        Ok(())
    }

    /// What the trial of that name came to, if that was found before.
    pub fn known(&self, trial: &str) -> Option<&Outcome> {
        self.known.get(trial).map(|record| &record.outcome)
    }

    /// Keeps what a trial came to, at once.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn keep(&self, record: &Record) -> Result<()> {
        let line = line(record)?;
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        journal.write_all(line.as_bytes()).with_context(|| format!("cannot write {}", text::shown(&self.path.join(JOURNAL))))
    }

    /// Puts the journal in order, and writes the table of trials.
    ///
    /// # Errors
    ///
    /// If anything cannot be written.
    pub fn finish(&self, records: &[Record]) -> Result<()> {
        let lines: String = records.iter().map(line).collect::<Result<_>>()?;
        replace(&self.path.join(JOURNAL), &lines)?;
        replace(&self.path.join(TRIALS), &table(records)?)
    }
}

/// The scenario that the trials in a folder change.
pub fn scenario(path: &Path) -> PathBuf {
    path.join(SCENARIO)
}

/// What is known of the trials in a folder.
///
/// # Errors
///
/// If the journal cannot be read.
pub fn read(path: &Path) -> Result<Vec<Record>> {
    let name = path.join(JOURNAL);
    let file = File::open(&name).with_context(|| format!("cannot open {}", text::shown(&name)))?;
    Ok(read_journal(&name, &file)?.0)
}

/// What is searched in the folder of a sweep.
///
/// # Errors
///
/// If it is none, or of another version.
pub fn read_plan(path: &Path) -> Result<Plan> {
    let name = path.join(PLAN);
    let json =
        fs::read_to_string(&name).with_context(|| format!("{} is not the folder of a sweep: it has no {PLAN}", text::shown(path)))?;
    let schema = serde_json::from_str::<serde_json::Value>(&json).ok().and_then(|plan| plan["schema"].as_u64());
    if schema.is_some_and(|schema| schema != u64::from(SCHEMA)) {
        bail!("{} is of another version of sim; finish that sweep with it, or begin a new one", text::shown(&name));
    }
    serde_json::from_str(&json).map_err(|error| anyhow!("{} is damaged: {error}; begin a new sweep", text::shown(&name)))
}

/// The records of a journal, and how many bytes of whole lines it has.
fn read_journal(name: &Path, file: &File) -> Result<(Vec<Record>, u64)> {
    let (mut records, mut whole) = (Vec::new(), 0);
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).with_context(|| format!("cannot read {}", text::shown(name)))?;
        if !line.ends_with(b"\n") {
            break;
        }
        let record = serde_json::from_slice(&line).map_err(|error| {
            anyhow!("{}, line {number}: this is no trial: {error}; take the line out to play it again", text::shown(name))
        })?;
        records.push(record);
        whole += read as u64;
    }
    Ok((records, whole))
}

fn line(record: &Record) -> Result<String> {
    let mut line = serde_json::to_string(record)?;
    line.push('\n');
    Ok(line)
}

fn rendered(plan: &Plan) -> Result<String> {
    let mut json = serde_json::to_string_pretty(plan)?;
    json.push('\n');
    Ok(json)
}

fn write(path: &Path, content: &str) -> Result<()> {
    fs::write(path, content).with_context(|| format!("cannot write {}", text::shown(path)))
}

/// Writes a file whole or not at all.
fn replace(path: &Path, content: &str) -> Result<()> {
    let partial = path.with_extension("partial");
    write(&partial, content)?;
    File::open(&partial)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(&partial, path))
        .with_context(|| format!("cannot write {}", text::shown(path)))
}

/// A line per trial, for spreadsheets.
fn table(records: &[Record]) -> Result<String> {
    let keys: std::collections::BTreeSet<&String> = records.iter().flat_map(|record| record.set.keys()).collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let figures = [
        "bounties_judged",
        "profit_nct",
        "per_bounty_nct",
        "sharpe",
        "asserted",
        "coverage",
        "accuracy",
        "staked_nct",
        "return_on_stake",
        "locked_mean_nct",
        "locked_peak_nct",
        "return_on_locked",
        "drawdown_nct",
        "lost",
        "late",
        "unfunded",
        "refused",
    ];
    let header = ["number", "rung", "trial", "strategy"].into_iter().chain(keys.iter().map(|key| key.as_str()));
    writer.write_record(header.chain(figures).chain(["failed"]))?;
    for record in records {
        let own = [record.number.to_string(), record.rung.to_string(), record.trial.clone(), record.strategy.clone()];
        let set = keys.iter().map(|&key| match record.set.get(key) {
            None => String::new(),
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        });
        let maybe = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        let (cells, failed) = match &record.outcome {
            Outcome::Failed(why) => (vec![String::new(); figures.len()], why.as_str()),
            Outcome::Figures(of) => (
                vec![
                    of.bounties.to_string(),
                    of.profit_nct.to_string(),
                    of.per_bounty_nct.to_string(),
                    maybe(of.sharpe.map(|sharpe| sharpe.ratio)),
                    of.asserted.to_string(),
                    maybe(of.coverage),
                    maybe(of.accuracy),
                    of.staked_nct.to_string(),
                    maybe(of.return_on_stake),
                    of.locked_mean_nct.to_string(),
                    of.locked_peak_nct.to_string(),
                    maybe(of.return_on_locked),
                    of.drawdown_nct.to_string(),
                    of.lost.to_string(),
                    of.late.to_string(),
                    of.unfunded.to_string(),
                    of.refused.to_string(),
                ],
                "",
            ),
        };
        writer.write_record(own.into_iter().chain(set).chain(cells).chain([failed.to_owned()]))?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}
