//! `sim report`: what commands wrote, as a page.

use std::{
    collections::BTreeSet,
    io::{Write, stderr},
    path::{Path, PathBuf},
};

use anyhow::{Result, anyhow};
use clap::Args;

use super::sweep::RegistryArgs;
use crate::{
    exit::{Exit, OrExit},
    html, output,
    results::Results,
    text,
};

/// What stands for stdout.
const STDOUT: &str = "-";
/// Bytes of a page that every browser opens in a moment.
const LARGE: usize = 2_000_000;

const EXAMPLES: &str = "\
Examples:
  sim replay my-corpus --out run
  sim explain run --sensitivity --save      what the report says of causes
  sim report run -o report.html
  sim report run other-run -o both.html     side by side
  sim compare --out compare.json && sim report compare.json -o report.html
  sim report sweep -o - > sweep.html        the folder of a sweep

The page is one file: it needs no network, and can be sent to somebody. It is
light or dark as the system is, and can be printed. Every number in it is in
the files that it is made of.";

/// Write a page about runs, comparisons and sweeps
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ReportArgs {
    /// What `replay`, `compare`, `walkforward`, `tournament` or `sweep` wrote with --out, or `explain --format json`
    #[arg(value_name = "RUN", required = true)]
    pub runs: Vec<PathBuf>,
    /// New file for the page; - for stdout
    #[arg(short, long, value_name = "FILE")]
    pub out: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    pub force: bool,
    /// Where trials of sweeps are counted.
    #[command(flatten)]
    pub registry: RegistryArgs,
    /// Nothing on stderr but errors
    #[arg(long)]
    pub quiet: bool,
}

impl ReportArgs {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If something is not there or not what a command wrote, or the page cannot be written.
    pub fn run(self, out: &mut dyn Write) -> Result<Exit> {
        let to_stdout = self.out == Path::new(STDOUT);
        if !to_stdout && !self.force && self.out.symlink_metadata().is_ok() {
            return Err(anyhow!("--out {} exists; name a new file, or replace it with --force", text::shown(&self.out)))
                .or_exit(Exit::Usage);
        }
        let mut named = BTreeSet::new();
        // A run is its folder, or the file in it.
        let folder = |path: PathBuf| if path.ends_with("run.json") { path.parent().map(Path::to_owned).unwrap_or(path) } else { path };
        let place = |run: &PathBuf| folder(run.canonicalize().unwrap_or_else(|_| run.clone()));
        if let Some(twice) = self.runs.iter().find(|run| !named.insert(place(run))) {
            return Err(anyhow!("{} is named twice; name it once", text::shown(twice))).or_exit(Exit::Usage);
        }
        let registry = || self.registry.folder();
        let all: Vec<Results> = self.runs.iter().map(|run| Results::read(run, &registry)).collect::<Result<_>>().or_exit(Exit::Usage)?;
        let page = html::page(&all);
        if to_stdout {
            out.write_all(page.as_bytes())?;
            return Ok(Exit::Success);
        }
        output::replace(&self.out, &page).or_exit(Exit::Usage)?;
        if !self.quiet {
            let slow = if page.len() > LARGE { "; it opens slowly, fewer runs would make it smaller" } else { "" };
            let _ = writeln!(stderr(), "wrote {}, {:.1} MB{slow}", text::shown(&self.out), page.len() as f64 / 1e6);
        }
        Ok(Exit::Success)
    }
}
