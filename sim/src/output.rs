//! The run directory: `run.json`, the resolved scenario, the journal, and a line per bounty.
//!
//! It is written beside its final name and moved there at the end, so that a run that fails leaves nothing behind.

use std::{
    fs::{self, File},
    io::{self, BufWriter},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result, bail};
use replay::{
    journal::Journal,
    world::{ClosedBounty, Decision},
};

use crate::{
    run::{Run, label},
    score::bits,
    text,
};

/// The journal of a run directory.
pub type JournalFile = Journal<BufWriter<File>>;

/// The folder that is being written, for a program that is about to be ended.
static PARTIAL: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Takes away what a run that will not finish has written so far.
pub fn abandon() {
    if let Some(partial) = PARTIAL.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // Nothing was promised under this name; an error here has nobody left to hear it.
        let _ = fs::remove_dir_all(partial);
    }
}

fn set_partial(partial: Option<PathBuf>) {
    *PARTIAL.lock().unwrap_or_else(PoisonError::into_inner) = partial;
}

/// A run directory that is being written.
#[derive(Debug)]
pub struct RunDirectory {
    target: PathBuf,
    partial: PathBuf,
}

impl RunDirectory {
    /// Prepares the new folder `target`.
    ///
    /// # Errors
    ///
    /// If it exists and is not empty, or cannot be written.
    pub fn create(target: &Path) -> Result<RunDirectory> {
        if target.is_symlink() {
            bail!("--out {} is a link; name a new folder", target.display());
        }
        if target.exists() {
            let empty = fs::read_dir(target)
                .with_context(|| format!("--out {} is not a folder; name a new one", target.display()))?
                .next()
                .is_none();
            if !empty {
                bail!("--out {} exists and is not empty; name a new folder", target.display());
            }
        }
        let name = target.file_name().with_context(|| format!("--out {} has no name; name a new folder", target.display()))?;
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let partial = parent.join(format!(".{}.{}.partial", name.to_string_lossy(), std::process::id()));
        fs::create_dir(&partial).with_context(|| {
            format!("--out {}: cannot write in {}; name a folder in a writable place", target.display(), parent.display())
        })?;
        set_partial(Some(partial.clone()));
        Ok(RunDirectory { target: target.to_owned(), partial })
    }

    /// Opens the journal.
    ///
    /// # Errors
    ///
    /// If it cannot be created.
    pub fn journal(&self) -> Result<JournalFile> {
        Ok(Journal::new(BufWriter::new(self.file("journal.jsonl.zst")?))?)
    }

    /// Opens the table of bounties.
    ///
    /// # Errors
    ///
    /// If it cannot be created.
    pub fn bounties(&self) -> Result<BountyTable> {
        BountyTable::new(self.file("bounties.csv")?)
    }

    fn file(&self, name: &str) -> Result<File> {
        let path = self.partial.join(name);
        File::create(&path).with_context(|| format!("cannot create {}", path.display()))
    }

    /// Adds run and scenario, and moves the folder to its place.
    ///
    /// # Errors
    ///
    /// If anything cannot be written.
    pub fn finish(self, run: &Run, scenario: &str) -> Result<()> {
        let mut json = serde_json::to_string_pretty(run)?;
        json.push('\n');
        for (name, content) in [("run.json", json.as_str()), ("scenario.toml", scenario)] {
            let path = self.partial.join(name);
            fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        }
        // From here on the results are worth more than a tidy folder.
        set_partial(None);
        let at = || format!("the results are in {}, but cannot be moved to {}", self.partial.display(), self.target.display());
        if self.target.exists() {
            fs::remove_dir(&self.target).with_context(at)?;
        }
        fs::rename(&self.partial, &self.target).with_context(at)
    }
}

impl Drop for RunDirectory {
    fn drop(&mut self) {
        abandon();
    }
}

/// Writes a file beside its final name and moves it there, in place of what was there.
///
/// # Errors
///
/// If it cannot be written.
pub fn replace(file: &Path, content: &str) -> Result<()> {
    let problem = || format!("cannot write {}; name a file in a writable place", text::shown(file));
    let name = file.file_name().with_context(|| format!("{} names no file", text::shown(file)))?;
    let partial = file.with_file_name(format!(".{}.{}.partial", name.to_string_lossy(), std::process::id()));
    let written = fs::write(&partial, content).and_then(|()| fs::rename(&partial, file));
    if written.is_err() {
        // Half a file helps nobody; the first error is the one to tell.
        let _ = fs::remove_file(&partial);
    }
    written.with_context(problem)
}

/// One line per bounty.
pub struct BountyTable {
    writer: csv::Writer<BufWriter<File>>,
    /// The first error; an observer cannot answer with one.
    failed: Option<csv::Error>,
}

impl std::fmt::Debug for BountyTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BountyTable").field("failed", &self.failed).finish_non_exhaustive()
    }
}

const COLUMNS: [&str; 20] = [
    "bounty",
    "guid",
    "posted",
    "closed",
    "artifacts",
    "sha256",
    "file_type",
    "family",
    "label",
    "consensus",
    "decision",
    "mask",
    "verdicts",
    "probability",
    "interval_low",
    "interval_high",
    "staked_wei",
    "payout_wei",
    "profit_wei",
    "assertions",
];

impl BountyTable {
    fn new(file: File) -> Result<BountyTable> {
        let mut writer = csv::Writer::from_writer(BufWriter::new(file));
        writer.write_record(COLUMNS)?;
        Ok(BountyTable { writer, failed: None })
    }

    /// Adds a bounty. With several artifacts their values stand in one cell, separated by blanks; masks, verdicts and
    /// consensus are digits, artifact 0 first.
    pub fn add(&mut self, closed: &ClosedBounty<'_>) {
        if self.failed.is_none() {
            self.failed = self.writer.write_record(cells(closed)).err();
        }
    }

    /// Writes what is left.
    ///
    /// # Errors
    ///
    /// The first error there was.
    pub fn finish(mut self) -> Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error).context("cannot write bounties.csv");
        }
        self.writer.flush().map_err(|error: io::Error| anyhow::Error::from(error).context("cannot write bounties.csv"))
    }
}

fn cells(closed: &ClosedBounty<'_>) -> [String; 20] {
    let (plan, bounty) = (closed.plan, closed.bounty);
    let count = plan.artifacts.len();
    let each = |value: &dyn Fn(usize) -> String| (0..count).map(value).collect::<Vec<_>>().join(" ");
    let verdict = |figure: fn(&engine::distill::DistilledVerdict) -> f64| {
        each(&|artifact| {
            closed
                .verdicts
                .get(artifact)
                .and_then(Option::as_ref)
                .map_or_else(|| "-".to_owned(), |verdict| format!("{:.6}", figure(verdict)))
        })
    };
    let own = match closed.engine {
        Decision::Asserted(index) => Some((&bounty.assertions[index as usize], &closed.rewards.experts[index as usize])),
        _ => None,
    };
    let decision = match closed.engine {
        Decision::Asserted(_) => "asserted".to_owned(),
        Decision::Abstained(reason) => reason.to_string(),
        Decision::Refused(rejection) => format!("refused: {rejection}"),
    };
    let (mask, verdicts, staked, payout, profit) = own.map_or_else(Default::default, |(assertion, reward)| {
        let staked = assertion.staked().expect("a stake within the supply");
        let profit = reward.profit();
        let revealed = assertion.revealed().map(|opening| bits(opening.verdicts, count)).unwrap_or_default();
        (bits(assertion.mask, count), revealed, wei(staked), wei(reward.payout), profit.wei_string())
    });
    [
        plan.number.to_string(),
        plan.guid.to_string(),
        plan.posted.0.to_string(),
        closed.now.0.to_string(),
        count.to_string(),
        each(&|artifact| plan.artifacts[artifact].id.to_string()),
        each(&|artifact| plan.artifacts[artifact].file_type.as_deref().unwrap_or("-").to_owned()),
        each(&|artifact| plan.artifacts[artifact].family.as_deref().unwrap_or("-").to_owned()),
        each(&|artifact| label(plan.artifacts[artifact].truth).to_owned()),
        closed.consensus.map_or_else(String::new, |consensus| bits(consensus, count)),
        decision,
        mask,
        verdicts,
        verdict(|verdict| verdict.probability),
        verdict(|verdict| verdict.interval.0),
        verdict(|verdict| verdict.interval.1),
        staked,
        payout,
        profit,
        bounty.assertions.len().to_string(),
    ]
}

fn wei(amount: market::nct::Nct) -> String {
    amount.to_uint().to_string()
}
