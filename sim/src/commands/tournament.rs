//! `sim tournament`: which strategy spreads when all play against all, and which no other beats.

use std::{
    io::{Write, stderr},
    sync::atomic::Ordering,
};

use anyhow::{Result, bail};
use clap::Args;
use market::ruleset::BOUNTY_REGISTRY_1_6_1;
use replay::{oracle::check_for_rivals, plan::SetupError};

use super::{
    contest::ReportArgs,
    stage::{self, Stage, StageArgs},
};
use crate::{
    execute,
    exit::{Exit, OrExit},
    progress::Progress,
    report,
    statistics::Unfit,
    text,
    tournament::{Arena, Unplayable},
};

const EXAMPLES: &str = "\
Examples:
  sim tournament                                    usual strategies
  sim tournament -s 'fixed?bid=0.2' -s pm-ev -s adahedge
  sim tournament --rules 1.0.0 -s fictitious -s best-response --rounds 50
  sim tournament --set 'rivals.0.engines=[\"ClamAV\"]' --set bounties=5000

All seats are rivals with the fitted profile of one engine, the first of
`rivals.0.engines`; the engine under test looks on.";

/// Strategies that play if none is named.
const USUAL: [&str; 4] = ["stock/conservative", "stock/default", "stock/aggressive", "pm-ev"];

/// Let strategies play against each other, and see which of them spread
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct TournamentArgs {
    /// What is played.
    #[command(flatten)]
    pub stage: StageArgs,
    /// Most rounds, each of them a whole market; they end when the shares stand still
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub rounds: u16,
    /// Seats in the market, shared among the strategies
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u16).range(2..=200))]
    pub size: u16,
    /// Where figures go.
    #[command(flatten)]
    pub report: ReportArgs,
}

impl TournamentArgs {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If the settings, a strategy or the corpus are wrong, a file cannot be written, or an invariant is broken.
    pub fn run(mut self, out: &mut dyn Write) -> Result<Exit> {
        let (quiet, jobs) = (self.stage.quiet, self.stage.scanning.jobs());
        let progress = Progress::new(quiet);
        // They play as rivals, none is the engine's.
        let strategies = strategies(std::mem::take(&mut self.stage.settings.strategy)).or_exit(Exit::Usage)?;
        self.report.check().or_exit(Exit::Usage)?;
        let interrupted = execute::interruption()?;
        let Some(Stage { setup, scenario_sha256, .. }) = self.stage.set(progress, &interrupted)? else { return Ok(Exit::Interrupted) };
        let folder = self.stage.scenario_folder();
        let arena = Arena::new(&setup, folder, &strategies, usize::from(self.size)).or_exit(Exit::Usage)?;
        let rounds = usize::from(self.rounds);
        let bar = progress.bar(arena.plays(rounds), false);
        let played = arena.play(rounds, jobs, scenario_sha256, stage::command(&[]), &interrupted, &|closed| bar.inc(closed));
        bar.finish_and_clear();
        let tournament = match played {
            Err(error) if error.is::<Unfit>() || error.is::<SetupError>() || error.is::<Unplayable>() => {
                return Err(error).or_exit(Exit::Usage);
            }
            other => execute::answer(other)?,
        };
        let Some(tournament) = tournament.filter(|_| !interrupted.load(Ordering::Relaxed)) else {
            if !quiet {
                let _ = writeln!(stderr(), "interrupted: a tournament tells nothing before it is over, so there is nothing to report");
            }
            return Ok(Exit::Interrupted);
        };

        self.report.publish(&tournament, || report::tournament::text(&tournament), quiet, out)?;
        Ok(Exit::Success)
    }
}

/// Those who play, each named once.
fn strategies(asked: Vec<String>) -> Result<Vec<String>> {
    let strategies = if asked.is_empty() { USUAL.map(str::to_owned).to_vec() } else { asked };
    for (at, strategy) in strategies.iter().enumerate() {
        // Whether it exists, and is for rivals, does not depend on the rules.
        check_for_rivals(strategy, &BOUNTY_REGISTRY_1_6_1)?;
        if strategies[..at].contains(strategy) {
            bail!("--strategy {} is named twice; name each once", text::quote(strategy));
        }
    }
    match strategies.as_slice() {
        [only] => bail!("--strategy {}: a tournament takes two strategies or more; name another one", text::quote(only)),
        _ => Ok(strategies),
    }
}
