//! What commands share that play several strategies in the same markets: who plays, in which markets, and where figures go.

use std::{
    fs::{self, File},
    io::{Write, stderr},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use replay::{oracle, plan::Setup};
use serde::Serialize;

use super::Format;
use crate::{
    comparison::Role,
    execute,
    exit::{Exit, OrExit},
    settings::engine_strategy,
    text,
};

/// Strategies that play if none is named.
const USUAL: [&str; 3] = ["stock/conservative", "stock/default", "fixed"];

/// Who plays, in which markets, and where figures go.
#[derive(Debug, Args)]
pub struct ContestArgs {
    /// The strategy that the others are compared with
    #[arg(long, value_name = "NAME", default_value = "stock/aggressive")]
    pub baseline: String,
    /// Markets to play in: seeds from the scenario's on
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub seeds: u64,
    /// Where figures go.
    #[command(flatten)]
    pub report: ReportArgs,
}

/// Where figures go.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Write every figure to this new file, as JSON
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// How the report is printed
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

impl ReportArgs {
    /// Checks that the file for the figures can be written, before anything is played.
    ///
    /// # Errors
    ///
    /// If it exists, or cannot be made.
    pub fn check(&self) -> Result<()> {
        let Some(file) = &self.out else { return Ok(()) };
        if file.exists() {
            bail!("--out {} exists; name a new file", text::shown(file));
        }
        if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
            bail!("--out: there is no folder {}; make it first", text::shown(folder));
        }
        let problem = || format!("--out {}: cannot be written; name a file in a writable place", text::shown(file));
        File::create_new(file).with_context(problem)?;
        fs::remove_file(file).with_context(problem)
    }

    /// Prints a report, as `text` or all of its `figures`, and writes these where that is wanted.
    ///
    /// # Errors
    ///
    /// If anything cannot be written.
    pub fn publish(&self, figures: &impl Serialize, text: impl FnOnce() -> String, quiet: bool, out: &mut dyn Write) -> Result<()> {
        let mut json = serde_json::to_string_pretty(figures)?;
        json.push('\n');
        match self.format {
            Format::Text => out.write_all(text().as_bytes())?,
            Format::Json => out.write_all(json.as_bytes())?,
        }
        self.out.as_deref().map_or(Ok(()), |file| write(file, &json, quiet))
    }
}

impl ContestArgs {
    /// Everybody who plays, each once: those asked for, the baseline, nulls, oracles.
    ///
    /// # Errors
    ///
    /// If there is no such strategy, or nobody can choose the baseline.
    pub fn strategies(&self, mut asked: Vec<String>) -> Result<Vec<(String, Role)>> {
        let mut all: Vec<(String, Role)> = Vec::new();
        let mut add = |name: &str, role: Role| -> Result<()> {
            engine_strategy(name)?;
            if !all.iter().any(|(known, _)| known == name) {
                all.push((name.to_owned(), role));
            }
            Ok(())
        };
        if oracle::find(&self.baseline).is_some() {
            let baseline = &self.baseline;
            bail!("--baseline {baseline}: nobody can choose an oracle; name another strategy, oracles are in every report");
        }
        if asked.is_empty() {
            asked = USUAL.map(str::to_owned).to_vec();
        }
        for name in &asked {
            let role = match name {
                name if *name == self.baseline => Role::Baseline,
                name if oracle::find(name).is_some() => Role::Oracle,
                name if execute::NULLS.contains(&name.as_str()) => Role::Null,
                _ => Role::Candidate,
            };
            add(name, role)?;
        }
        add(&self.baseline, Role::Baseline)?;
        execute::NULLS.iter().try_for_each(|name| add(name, Role::Null))?;
        oracle::ORACLES.iter().try_for_each(|oracle| add(oracle.name, Role::Oracle))?;
        Ok(all)
    }

    /// The first bounties of a market, once for each seed.
    ///
    /// # Errors
    ///
    /// If there are not so many seeds.
    pub fn markets(&self, setup: &Setup, bounties: u64) -> Result<Vec<Arc<Setup>>> {
        let seed = setup.scenario.seed;
        let last = seed.checked_add(self.seeds - 1).filter(|&last| i64::try_from(last).is_ok());
        let last = last.ok_or_else(|| anyhow!("--seeds {}: there are no seeds beyond {}", self.seeds, i64::MAX)).or_exit(Exit::Usage)?;
        Ok((seed..=last).map(|seed| Arc::new(setup.reseeded(seed).shortened(bounties))).collect())
    }
}

fn write(file: &Path, json: &str, quiet: bool) -> Result<()> {
    fs::write(file, json).with_context(|| format!("cannot write {}", text::shown(file)))?;
    if !quiet {
        let _ = writeln!(stderr(), "wrote {}", text::shown(file));
    }
    Ok(())
}

/// Says why there is no report.
pub fn interrupted_early(quiet: bool) -> Exit {
    if !quiet {
        let _ = writeln!(stderr(), "interrupted: strategies are compared when all of them are through, so there is nothing to report");
    }
    Exit::Interrupted
}
