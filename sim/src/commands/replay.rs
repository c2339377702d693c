//! `sim replay`: one corpus through the market.

use std::{
    io::{Write, stderr},
    path::PathBuf,
};

use anyhow::Result;
use clap::Args;

use super::{
    Format,
    stage::{self, Stage, StageArgs},
};
use crate::{
    execute::{self, Wishes},
    exit::{Exit, OrExit},
    output::RunDirectory,
    progress::Progress,
    report, text,
};

const EXAMPLES: &str = "\
Examples:
  sim replay                                    the shipped panel, default scenario
  sim replay starter --strategy fixed?bid=0.5   the shipped files, really scanned
  sim replay my-corpus --scenario my.toml --set rivals.0.count=5 --out run
  sim replay my-corpus --engine engine.toml --format json";

/// Play a corpus through the market and report how the engine fared
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ReplayArgs {
    /// What is played.
    #[command(flatten)]
    pub stage: StageArgs,
    /// New folder for run.json, the scenario, the journal and a table of bounties
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// How the report is printed
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Leave out the comparison with the null strategies, which plays the market four times more
    #[arg(long)]
    pub no_nulls: bool,
}

impl ReplayArgs {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If the settings or the corpus are wrong, a file cannot be written, or an invariant is broken.
    pub fn run(self, out: &mut dyn Write) -> Result<Exit> {
        let (quiet, nulls, jobs) = (self.stage.quiet, !self.no_nulls, self.stage.scanning.jobs());
        let progress = Progress::new(quiet);
        let interrupted = execute::interruption()?;
        let Some(Stage { setup, scenario_sha256, scenario_toml }) = self.stage.set(progress, &interrupted)? else {
            return Ok(Exit::Interrupted);
        };
        let directory = self.out.as_deref().map(RunDirectory::create).transpose().or_exit(Exit::Usage)?;
        let bar = progress.bar(setup.bounties.saturating_mul(execute::plays(nulls)), nulls);
        let wishes = Wishes { command: stage::command(), scenario_sha256, scenario_toml: &scenario_toml, out: directory, nulls, jobs };
        let played = execute::execute(&setup, wishes, &interrupted, &|closed| bar.inc(closed));
        bar.finish_and_clear();
        let run = execute::answer(played)?;
        match self.format {
            Format::Text => out.write_all(report::text(&run).as_bytes())?,
            Format::Json => {
                let json = serde_json::to_string_pretty(&run)?;
                writeln!(out, "{json}")?;
            }
        }
        if let (Some(folder), false) = (&self.out, quiet) {
            let _ = writeln!(stderr(), "wrote {}", text::shown(folder));
        }
        Ok(if run.complete { Exit::Success } else { Exit::Interrupted })
    }
}
