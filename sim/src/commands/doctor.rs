//! `sim doctor`: what is installed, and what that enables.

use std::{io::Write, path::PathBuf};

use anyhow::Result;
use clap::Args;

use super::Format;
use crate::{doctor::Diagnosis, exit::Exit, report};

const EXAMPLES: &str = "\
Examples:
  sim doctor                     what is here, what it is for, what to install
  sim doctor --format json       the same for programs

What is missing is no error: nothing but what it enables needs it. Exit code 2
if something is broken: a folder that cannot be written, or no shipped corpora.";

/// Say what is installed, what that enables, and what to install for the rest
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DoctorArgs {
    /// Folder of verdicts; without it, one in the user's cache folder
    #[arg(long, value_name = "DIR", env = "SIM_CACHE")]
    pub cache: Option<PathBuf>,
    /// Folder in which trials are counted; without it, one in the user's data folder
    #[arg(long, value_name = "DIR", env = "SIM_REGISTRY")]
    pub registry: Option<PathBuf>,
    /// How the report is printed
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

impl DoctorArgs {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If the output cannot be written.
    pub fn run(self, out: &mut dyn Write) -> Result<Exit> {
        let diagnosis = Diagnosis::new(self.cache, self.registry);
        match self.format {
            Format::Text => out.write_all(report::doctor::text(&diagnosis).as_bytes())?,
            Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&diagnosis)?)?,
        }
        Ok(if diagnosis.is_broken() { Exit::Usage } else { Exit::Success })
    }
}
