//! `sim compare`: which staking strategy is better, and how sure that is.

use std::{io::Write, sync::atomic::Ordering, time::Instant};

use anyhow::{Context as _, Result, anyhow};
use clap::Args;

use super::{
    contest::{ContestArgs, interrupted_early},
    stage::{self, Stage, StageArgs},
};
use crate::{
    comparison::{Outcome, PILOT, Split},
    contest, execute,
    exit::{Exit, OrExit},
    progress::Progress,
    report,
    statistics::{
        Unfit,
        bootstrap::{DRAWN, RESAMPLES},
    },
    timeline::{BiasArgs, Checked},
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

/// Compare staking strategies by what they earn, and say how sure that is
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CompareArgs {
    /// What is played.
    #[command(flatten)]
    pub stage: StageArgs,
    /// Who plays, and where figures go.
    #[command(flatten)]
    pub contest: ContestArgs,
    /// Shares of the bounties, in order of time, to train on, to choose by, and to judge by, as in 50/20/30; without it, all
    /// are for everything
    #[arg(long, value_name = "TRAIN/VALIDATE/TEST")]
    pub split: Option<Split>,
    /// What a split is checked for.
    #[command(flatten)]
    pub biases: BiasArgs,
    /// Play 1,000 bounties, 2,000, and so on, until every strategy can be told from the baseline by who watches all the time
    #[arg(long, conflicts_with = "split")]
    pub until_decided: bool,
}

impl CompareArgs {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If the settings, a strategy or the corpus are wrong, a split is biased, a file cannot be written, or an invariant is broken.
    pub fn run(mut self, out: &mut dyn Write) -> Result<Exit> {
        let (quiet, jobs) = (self.stage.quiet, self.stage.scanning.jobs());
        let progress = Progress::new(quiet);
        // They are compared, none is the engine's.
        let asked = std::mem::take(&mut self.stage.settings.strategy);
        let strategies = self.contest.strategies(asked).or_exit(Exit::Usage)?;
        self.contest.report.check().or_exit(Exit::Usage)?;
        if self.split.is_none() && self.biases.asked() {
            return Err(anyhow!("--allow-bias and --malware-share are about parts of the bounties; give --split, too"))
                .or_exit(Exit::Usage);
        }
        let interrupted = execute::interruption()?;
        let Some(Stage { setup, scenario_sha256, .. }) = self.stage.set(progress, &interrupted)? else { return Ok(Exit::Interrupted) };
        let checked = match self.split {
            None => Checked::default(),
            Some(split) => {
                let parts = split.named(setup.bounties);
                stage::timeline(&setup, progress)?.check(&parts, parts[2].1, &self.biases).or_exit(Exit::Usage)?
            }
        };
        let names: Vec<String> = strategies.iter().map(|(name, _)| name.clone()).collect();
        let started = Instant::now();
        // Who would know early plays a few bounties first, then twice as many: the same ones again, and more.
        let mut bounties = if self.until_decided { PILOT.min(setup.bounties) } else { setup.bounties };
        let outcome = loop {
            let markets = self.contest.markets(&setup, bounties)?;
            let bar = progress.bar(bounties.saturating_mul((markets.len() * names.len()) as u64), true);
            let played = contest::play(&markets, &names, &[], jobs, &interrupted, &|closed| bar.inc(closed));
            bar.finish_and_clear();
            let Some(tracks) = execute::answer(played)? else { return Ok(interrupted_early(quiet)) };
            let outcome = Outcome {
                markets,
                tracks,
                scenario_sha256,
                command: stage::command(&[]),
                strategies: &strategies,
                split: self.split,
                checked: checked.clone(),
                watched: self.until_decided,
                play: started.elapsed(),
                jobs,
            };
            if bounties == setup.bounties || outcome.decided() {
                break outcome;
            }
            bounties = bounties.saturating_mul(2).min(setup.bounties);
        };
        let spinner = progress.resampling(3 * u64::from(RESAMPLES), &DRAWN);
        let threads = rayon::ThreadPoolBuilder::new().num_threads(jobs).build().context("cannot start threads")?;
        let compared = threads.install(|| outcome.compare(&interrupted));
        spinner.finish_and_clear();
        let comparison = match compared {
            Err(error) if error.is::<Unfit>() => return Err(error).or_exit(Exit::Usage),
            other => execute::answer(other)?,
        };
        let Some(comparison) = comparison.filter(|_| !interrupted.load(Ordering::Relaxed)) else { return Ok(interrupted_early(quiet)) };
        self.contest.report.publish(&comparison, || report::compare::text(&comparison), quiet, out)?;
        Ok(Exit::Success)
    }
}
