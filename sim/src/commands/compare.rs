//! `sim compare`: which staking strategy is better, and how sure that is.

use std::{
    fs,
    io::{Write, stderr},
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use replay::oracle;

use super::{
    Format,
    stage::{self, Stage, StageArgs},
};
use crate::{
    comparison::{Outcome, PILOT, Role, Split},
    contest, execute,
    exit::{Exit, OrExit},
    progress::Progress,
    report,
    settings::engine_strategy,
    statistics::Unfit,
    text,
};

const EXAMPLES: &str = "\
Examples:
  sim compare                                       the shipped panel
  sim compare -s 'fixed?bid=0.2' -s 'fixed?bid=1'   which of two
  sim compare my-corpus --engine engine.toml -s pm-ev --seeds 5
  sim compare my-corpus -s fixed --until-decided    no more than it takes
  sim compare my-corpus -s pm-ev -s fixed --split 50/20/30
                                                    choose by one part of the
                                                    bounties, judge by another

Every strategy meets the same bounties, rivals and votes. Those that have no
idea (`null/...`) and those that know what nobody can (`oracle/...`) are always
among them.";

/// Strategies that are compared if none is named.
const USUAL: [&str; 3] = ["stock/conservative", "stock/default", "fixed"];

/// Compare staking strategies by what they earn, and say how sure that is
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CompareArgs {
    /// What is played.
    #[command(flatten)]
    pub stage: StageArgs,
    /// The strategy that the others are compared with
    #[arg(long, value_name = "NAME", default_value = "stock/aggressive")]
    pub baseline: String,
    /// Markets to play in: seeds from the scenario's on
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub seeds: u64,
    /// Shares of the bounties, in order of time, to train on, to choose by, and to judge by, as in 50/20/30; without it, all
    /// are for everything
    #[arg(long, value_name = "TRAIN/VALIDATE/TEST")]
    pub split: Option<Split>,
    /// Play 1,000 bounties, 2,000, and so on, until every strategy can be told from the baseline by who watches all the time
    #[arg(long, conflicts_with = "split")]
    pub until_decided: bool,
    /// Write every figure to this new file, as JSON
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// How the report is printed
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Says why there is no report.
fn interrupted_early(quiet: bool) -> Exit {
    if !quiet {
        let _ = writeln!(stderr(), "interrupted: strategies are compared when all of them are through, so there is nothing to report");
    }
    Exit::Interrupted
}

impl CompareArgs {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If the settings, a strategy or the corpus are wrong, a file cannot be written, or an invariant is broken.
    pub fn run(mut self, out: &mut dyn Write) -> Result<Exit> {
        let (quiet, jobs) = (self.stage.quiet, self.stage.scanning.jobs());
        let progress = Progress::new(quiet);
        // They are compared, none is the engine's.
        let asked = std::mem::take(&mut self.stage.settings.strategy);
        let strategies = self.strategies(asked).or_exit(Exit::Usage)?;
        if let Some(file) = self.out.as_ref().filter(|file| file.exists()) {
            return Err(anyhow!("--out {} exists; name a new file", text::shown(file))).or_exit(Exit::Usage);
        }
        if let Some(folder) =
            self.out.as_ref().and_then(|file| file.parent()).filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())
        {
            return Err(anyhow!("--out: there is no folder {}; make it first", text::shown(folder))).or_exit(Exit::Usage);
        }
        let interrupted = execute::interruption()?;
        let Some(Stage { setup, scenario_sha256, .. }) = self.stage.set(progress, &interrupted)? else { return Ok(Exit::Interrupted) };
        let seed = setup.scenario.seed;
        let last = seed.checked_add(self.seeds - 1).filter(|&last| i64::try_from(last).is_ok());
        let last = last.ok_or_else(|| anyhow!("--seeds {}: there are no seeds beyond {}", self.seeds, i64::MAX)).or_exit(Exit::Usage)?;
        let names: Vec<String> = strategies.iter().map(|(name, _)| name.clone()).collect();
        let started = Instant::now();
        // Who would know early plays a few bounties first, then twice as many: the same ones again, and more.
        let mut bounties = if self.until_decided { PILOT.min(setup.bounties) } else { setup.bounties };
        let outcome = loop {
            let markets: Vec<_> = (seed..=last).map(|seed| Arc::new(setup.reseeded(seed).shortened(bounties))).collect();
            let bar = progress.bar(bounties.saturating_mul((markets.len() * names.len()) as u64), true);
            let played = contest::play(&markets, &names, jobs, &interrupted, &|closed| bar.inc(closed));
            bar.finish_and_clear();
            let Some(tracks) = execute::answer(played)? else { return Ok(interrupted_early(quiet)) };
            let outcome = Outcome {
                markets,
                tracks,
                scenario_sha256,
                command: stage::command(),
                strategies: &strategies,
                split: self.split,
                watched: self.until_decided,
                play: started.elapsed(),
                jobs,
            };
            if bounties == setup.bounties || outcome.decided() {
                break outcome;
            }
            bounties = bounties.saturating_mul(2).min(setup.bounties);
        };
        let spinner = progress.waiting("resampling");
        let threads = rayon::ThreadPoolBuilder::new().num_threads(jobs).build().context("cannot start threads")?;
        let compared = threads.install(|| outcome.compare(&interrupted));
        spinner.finish_and_clear();
        let comparison = match compared {
            Err(error) if error.is::<Unfit>() => return Err(error).or_exit(Exit::Usage),
            other => execute::answer(other)?,
        };
        let Some(comparison) = comparison.filter(|_| !interrupted.load(Ordering::Relaxed)) else { return Ok(interrupted_early(quiet)) };

        let mut json = serde_json::to_string_pretty(&comparison)?;
        json.push('\n');
        match self.format {
            Format::Text => out.write_all(report::compare::text(&comparison).as_bytes())?,
            Format::Json => out.write_all(json.as_bytes())?,
        }
        if let Some(file) = &self.out {
            fs::write(file, json).with_context(|| format!("cannot write {}", text::shown(file)))?;
            if !quiet {
                let _ = writeln!(stderr(), "wrote {}", text::shown(file));
            }
        }
        Ok(Exit::Success)
    }

    /// Everybody who plays, each once: those asked for, the baseline, nulls, oracles.
    fn strategies(&self, mut asked: Vec<String>) -> Result<Vec<(String, Role)>> {
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
}
