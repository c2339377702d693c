//! `sim walkforward`: what choosing strategies by the past would have earned.

use std::{io::Write, sync::atomic::Ordering, time::Instant};

use anyhow::{Context as _, Result};
use clap::Args;

use super::{
    contest::{ContestArgs, interrupted_early},
    stage::{self, Stage, StageArgs},
};
use crate::{
    contest, execute,
    exit::{Exit, OrExit},
    progress::Progress,
    report,
    statistics::{
        Unfit,
        bootstrap::{DRAWN, RESAMPLES},
    },
    timeline::{BiasArgs, Cut, Part, Period},
    walkforward::Outcome,
};

const EXAMPLES: &str = "\
Examples:
  sim walkforward -s pm-ev -s stock/default         the shipped panel
  sim walkforward my-corpus -s fixed -s pm-ev --period month --train 30
  sim walkforward my-corpus --folds 5 --malware-share 5..15

Before each period, the strategy that earned most so far is chosen, by what was
settled by then; what it earns in the period counts. The evaluation is refused
if it is biased: `time-order`, artifacts not in order of time; `window`, malware
and benign artifacts of a period from different times; `ratio`, a share of
malware that is not realistic. `--allow-bias NAME` goes on all the same.";

/// Choose strategies period by period, by the past alone, and say what that earns
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct WalkForwardArgs {
    /// What is played.
    #[command(flatten)]
    pub stage: StageArgs,
    /// Who plays, and where figures go.
    #[command(flatten)]
    pub contest: ContestArgs,
    /// Periods of equal length after training
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub folds: u64,
    /// Periods of the calendar in UTC instead, by `first_seen`
    #[arg(long, value_name = "PERIOD", conflicts_with = "folds")]
    pub period: Option<Period>,
    /// Share of the bounties, the first ones, that only train, in percent
    #[arg(long, value_name = "PERCENT", default_value = "20", value_parser = percent)]
    pub train: f64,
    /// What the evaluation is checked for.
    #[command(flatten)]
    pub biases: BiasArgs,
}

fn percent(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|share| (0.0..100.0).contains(share) && *share > 0.0).ok_or("a number above 0 and below 100")
}

impl WalkForwardArgs {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If the settings, a strategy or the corpus are wrong, the evaluation is biased, a file cannot be written, or an invariant is
    /// broken.
    pub fn run(mut self, out: &mut dyn Write) -> Result<Exit> {
        let (quiet, jobs) = (self.stage.quiet, self.stage.scanning.jobs());
        let progress = Progress::new(quiet);
        // One of them is chosen, none is the engine's.
        let asked = std::mem::take(&mut self.stage.settings.strategy);
        let strategies = self.contest.strategies(asked).or_exit(Exit::Usage)?;
        self.contest.report.check().or_exit(Exit::Usage)?;
        let interrupted = execute::interruption()?;
        let Some(Stage { setup, scenario_sha256, .. }) = self.stage.set(progress, &interrupted)? else { return Ok(Exit::Interrupted) };
        let timeline = stage::timeline(&setup, progress)?;
        let cut = self.period.map_or(Cut::Folds(self.folds), Cut::Calendar);
        let periods = timeline.periods(cut, self.train / 100.0).or_exit(Exit::Usage)?;
        let judged = (periods[0].0, setup.bounties);
        let mut parts: Vec<Part> = vec![("the training part".to_owned(), (0, judged.0))];
        parts.extend((1..).zip(&periods).map(|(number, &period)| (format!("period {number}"), period)));
        let checked = timeline.check(&parts, judged, &self.biases).or_exit(Exit::Usage)?;

        let names: Vec<String> = strategies.iter().map(|(name, _)| name.clone()).collect();
        let markets = self.contest.markets(&setup, setup.bounties)?;
        let started = Instant::now();
        let bar = progress.bar(setup.bounties.saturating_mul((markets.len() * names.len()) as u64), true);
        let played = contest::play(&markets, &names, &periods, jobs, &interrupted, &|closed| bar.inc(closed));
        bar.finish_and_clear();
        let Some(tracks) = execute::answer(played)? else { return Ok(interrupted_early(quiet)) };
        let outcome = Outcome {
            markets,
            scenario_sha256,
            command: stage::command(&[]),
            strategies: &strategies,
            tracks,
            timeline,
            periods: &periods,
            checked,
            play: started.elapsed(),
            jobs,
        };
        let spinner = progress.resampling(u64::from(RESAMPLES), &DRAWN);
        let threads = rayon::ThreadPoolBuilder::new().num_threads(jobs).build().context("cannot start threads")?;
        let evaluated = threads.install(|| outcome.evaluate());
        spinner.finish_and_clear();
        let walked = match evaluated {
            Err(error) if error.is::<Unfit>() => return Err(error).or_exit(Exit::Usage),
            other => other?,
        };
        if interrupted.load(Ordering::Relaxed) {
            return Ok(interrupted_early(quiet));
        }
        self.contest.report.publish(&walked, || report::walkforward::text(&walked), quiet, out)?;
        Ok(Exit::Success)
    }
}
