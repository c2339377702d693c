//! `sim strategies`: how an engine can stake.

use std::io::Write;

use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use engine::stake::{self, CATALOGUE};

use crate::{
    exit::{Exit, OrExit},
    settings::{ORACLES, engine_strategy},
    text::{self, Align},
};

/// Show the staking strategies
#[derive(Debug, Args)]
pub struct StrategiesArgs {
    #[command(subcommand)]
    command: Option<StrategiesCommand>,
}

#[derive(Debug, Subcommand)]
enum StrategiesCommand {
    /// Name and meaning of every strategy
    List,
    /// One strategy, and how to use it
    Show {
        /// As `sim strategies list` names it, with parameters if it has any: `fixed?bid=0.5`
        name: String,
    },
}

impl StrategiesArgs {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If there is no such strategy, or the output cannot be written.
    pub fn run(self, out: &mut dyn Write) -> Result<Exit> {
        match self.command {
            None | Some(StrategiesCommand::List) => {
                let rows: Vec<Vec<String>> = entries().map(|(name, meaning)| vec![name.to_owned(), meaning]).collect();
                out.write_all(text::columns(&[Align::Left, Align::Left], &rows).as_bytes())?;
            }
            Some(StrategiesCommand::Show { name }) => show(&name, out)?,
        }
        Ok(Exit::Success)
    }
}

fn entries() -> impl Iterator<Item = (&'static str, String)> {
    let own = stake::own().iter().map(|(name, meaning, _)| (*name, format!("own: {meaning}")));
    let plain = CATALOGUE.iter().map(|(name, meaning)| (*name, (*meaning).to_owned())).chain(own);
    plain.chain(ORACLES.iter().map(|(name, meaning)| (*name, format!("oracle: {meaning}"))))
}

fn show(specification: &str, out: &mut dyn Write) -> Result<()> {
    engine_strategy(specification).or_exit(Exit::Usage)?;
    let name = specification.split('?').next().unwrap_or_default();
    let (_, meaning) =
        entries().find(|(known, _)| *known == name).ok_or_else(|| anyhow!("strategy `{name}` has no meaning in the catalogue"))?;
    let oracle = ORACLES.iter().any(|(known, _)| *known == name);
    writeln!(out, "{}\n", text::plain(specification))?;
    for line in text::wrapped(&meaning, text::WIDTH - 2) {
        writeln!(out, "  {line}")?;
    }
    writeln!(out, "\nFor the engine under test:")?;
    writeln!(out, "  sim replay CORPUS --strategy '{}'", text::plain(specification))?;
    if oracle {
        writeln!(out, "Rivals cannot use it: nobody in the market knows the label.")?;
    } else {
        writeln!(out, "For the first group of rivals:")?;
        writeln!(out, "  sim replay CORPUS --set 'rivals.0.strategies=[\"{}\"]'", text::plain(specification))?;
    }
    Ok(())
}
