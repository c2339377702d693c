//! `sim explain`: why a run earned what it earned.

use std::{
    io::{Write, stderr},
    path::PathBuf,
};

use anyhow::{Context as _, Result};
use clap::Args;

use super::{
    Format,
    scan::ScanningArgs,
    stage::{Stage, StageArgs},
};
use crate::{
    execute,
    exit::{Exit, OrExit},
    explain::{Again, capital, record::Record, sensitivity, what_if::Factor},
    output,
    progress::Progress,
    report, results,
    settings::SettingsArgs,
    statistics::bootstrap::DRAWN,
    text,
};

const EXAMPLES: &str = "\
Examples:
  sim replay my-corpus --out run          a run to explain
  sim explain run                         where its profit was lost
  sim explain run --what-if 0.5,3         the same verdicts with other stakes
  sim explain run --sensitivity           with other rivals, arbiters, fees
  sim explain run --corpus moved/corpus   the corpus is somewhere else now
  sim explain run --format json           every figure
  sim explain run --save                  kept beside the run, for `sim report`

The run is played again, and must come to the same profit. Definitions: docs/explain.md.";

/// Say why a run earned what it earned: causes, other stakes, capital
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ExplainArgs {
    /// Folder that `sim replay --out` wrote
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// Where the corpus is, if not where it was
    #[arg(long, value_name = "PATH")]
    pub corpus: Option<PathBuf>,
    /// Factors of the stakes to reckon with; the least and the greatest bid are always among them
    #[arg(long, value_name = "FACTORS", value_delimiter = ',', default_value = "0.25,0.5,1,2,4")]
    pub what_if: Vec<Factor>,
    /// Play the market again with one thing changed each: rivals, arbiters, fees, limits of bids
    #[arg(long)]
    pub sensitivity: bool,
    /// Keep every figure beside the run, in RUN/explain.json, where `sim report` finds it
    #[arg(long)]
    pub save: bool,
    /// How artifacts are scanned whose verdicts are not kept any more.
    #[command(flatten)]
    pub scanning: ScanningArgs,
    /// How the report is printed
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Nothing on stderr but errors
    #[arg(long)]
    pub quiet: bool,
}

/// Says why there is no report.
fn interrupted_early(quiet: bool) -> Exit {
    if !quiet {
        let _ = writeln!(stderr(), "interrupted: a run is explained when it is played to its end, so there is nothing to report");
    }
    Exit::Interrupted
}

impl ExplainArgs {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If there is no such run, it cannot be played again, or it did not come to the same.
    pub fn run(self, out: &mut dyn Write) -> Result<Exit> {
        let (quiet, jobs) = (self.quiet, self.scanning.jobs());
        let progress = Progress::new(quiet);
        let record = Record::read(&self.run).or_exit(Exit::Usage)?;
        let corpus = self.corpus.clone().map_or_else(|| record.corpus(), Ok).or_exit(Exit::Usage)?;
        let interrupted = execute::interruption()?;
        let stage = StageArgs {
            corpus: Some(corpus.clone()),
            settings: SettingsArgs { scenario: Some(record.scenario(&self.run)), ..SettingsArgs::default() },
            scanning: self.scanning.clone(),
            quiet,
        };
        if !quiet {
            // Nobody has to listen.
            let _ = writeln!(stderr(), "{}", record.named());
        }
        let expected = |summary: &datasets::CorpusSummary| record.check_corpus(&corpus, summary.sha256).or_exit(Exit::Usage);
        let Some(Stage { setup, .. }) = stage.set_if(progress, &interrupted, expected)? else { return Ok(interrupted_early(quiet)) };
        record.check_inputs(&setup.inputs).or_exit(Exit::Usage)?;

        let threads = rayon::ThreadPoolBuilder::new().num_threads(jobs).build().context("cannot start threads")?;
        let bar = progress.bar(setup.bounties.saturating_mul(2), false);
        let again = threads.install(|| Again::play(&setup, &record, &self.what_if, jobs, &interrupted, &|closed| bar.inc(closed)));
        bar.finish_and_clear();
        let Some(mut again) = execute::answer(again)? else { return Ok(interrupted_early(quiet)) };
        if self.sensitivity {
            let bar = progress.bar(setup.bounties.saturating_mul(sensitivity::PLAYS), false);
            let changed = threads.install(|| sensitivity::sensitivity(&setup, &interrupted, &|closed| bar.inc(closed)));
            bar.finish_and_clear();
            let Some(changed) = execute::answer(changed)? else { return Ok(interrupted_early(quiet)) };
            again.changed = Some(changed);
        }
        let spinner = progress.resampling(capital::draws(setup.bounties as usize), &DRAWN);
        let explanation = threads.install(|| again.explain());
        spinner.finish_and_clear();
        let json = serde_json::to_string_pretty(&explanation)?;
        if self.save {
            let file = self.run.join(results::EXPLANATION);
            output::replace(&file, &format!("{json}\n"))?;
            if !quiet {
                let _ = writeln!(stderr(), "wrote {}", text::shown(&file));
            }
        }
        match self.format {
            Format::Text => out.write_all(report::explain::text(&explanation).as_bytes())?,
            Format::Json => writeln!(out, "{json}")?,
        }
        Ok(Exit::Success)
    }
}
