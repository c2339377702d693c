//! `sim replay`: one corpus through the market.

use std::{io::Write, num::NonZeroUsize, path::PathBuf};

use anyhow::{Result, bail};
use clap::Args;

use super::Format;
use crate::{
    exit::Exit,
    settings::{Settings, SettingsArgs},
};

const EXAMPLES: &str = "\
Examples:
  sim replay my-corpus --seed 7
  sim replay my-corpus --scenario my.toml --set rivals.0.count=5 --out run
  sim replay my-corpus --engine engine.toml --format json";

/// Play a corpus through the market and report how the engine fared
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ReplayArgs {
    /// Corpus folder or verdict matrix; without it, the starter corpus
    #[arg(value_name = "CORPUS")]
    pub corpus: Option<PathBuf>,
    /// What is played.
    #[command(flatten)]
    pub settings: SettingsArgs,
    /// Folder for the journal and the reports; created, must not exist
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// How the report is printed
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Threads; any number gives the same result
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// Leave out the comparison with the null strategies
    #[arg(long)]
    pub no_nulls: bool,
    /// Nothing on stderr but errors
    #[arg(long)]
    pub quiet: bool,
}

impl ReplayArgs {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If the settings or the corpus are wrong.
    pub fn run(self, _out: &mut dyn Write) -> Result<Exit> {
        Settings::resolve(&self.settings)?;
        bail!("`sim replay` is not wired yet")
    }
}
