//! `sim strategies`: how an engine can stake.

use std::io::Write;

use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use engine::stake::{self, CATALOGUE, Parameter};
use replay::oracle::ORACLES;
use serde::Serialize;
use serde_json::{Value, json};

use super::Format;
use crate::{
    exit::{Exit, OrExit},
    layout::{self, Align},
    settings::engine_strategy,
    text,
};

const OWN: &str = "\
Examples:
  sim strategies                  name and meaning of every strategy
  sim strategies show pm-ev       its parameters, formula and source
  sim replay --strategy pm-ev     what it earns

A strategy of your own: sim/examples/own_strategy.rs is one in a file, that runs
as `cargo run --release -p sim --example own_strategy -- compare -s own/record`;
`microengine new` starts a project with one. In any other language, a program
that `command?run=./mine.py` asks.";

/// Show the staking strategies
#[derive(Debug, Args)]
#[command(after_help = OWN)]
pub struct StrategiesArgs {
    #[command(subcommand)]
    command: Option<StrategiesCommand>,
    /// How it is printed
    #[arg(long, value_enum, default_value_t, global = true)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum StrategiesCommand {
    /// Name and meaning of every strategy
    List,
    /// One strategy: its formula, parameters and source, and how to use it
    Show {
        /// As `sim strategies list` names it, with parameters if it has any: `fixed?bid=0.5`
        name: String,
    },
}

/// What there is to say of a strategy, whatever kind it is of.
#[derive(Serialize)]
struct Described {
    name: &'static str,
    /// `engine`, `own` or `oracle`.
    kind: &'static str,
    meaning: &'static str,
    formula: Option<&'static str>,
    #[serde(serialize_with = "parameters")]
    parameters: &'static [Parameter],
    source: Option<&'static str>,
}

fn parameters<S: serde::Serializer>(parameters: &&'static [Parameter], serializer: S) -> Result<S::Ok, S::Error> {
    let one = |parameter: &Parameter| json!({"name": parameter.name, "default": parameter.default, "meaning": parameter.meaning});
    parameters.iter().map(one).collect::<Vec<Value>>().serialize(serializer)
}

impl Described {
    /// All of them, in the order in which they are listed.
    fn all() -> impl Iterator<Item = Described> {
        let shipped = CATALOGUE.iter().map(|entry| Described {
            name: entry.name,
            kind: "engine",
            meaning: entry.meaning,
            formula: Some(entry.formula),
            parameters: entry.parameters,
            source: Some(entry.source),
        });
        let own = stake::own().iter().map(|&(name, meaning, _)| Described {
            name,
            kind: "own",
            meaning,
            formula: None,
            parameters: &[],
            source: None,
        });
        let oracles = ORACLES.iter().map(|oracle| Described {
            name: oracle.name,
            kind: "oracle",
            meaning: oracle.meaning,
            formula: Some(oracle.formula),
            parameters: &[],
            source: None,
        });
        shipped.chain(own).chain(oracles)
    }

    /// The meaning, with the kind before it if it is an unusual one.
    fn line(&self) -> String {
        if self.kind == "engine" { self.meaning.to_owned() } else { format!("{}: {}", self.kind, self.meaning) }
    }
}

impl StrategiesArgs {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If there is no such strategy, or the output cannot be written.
    pub fn run(self, out: &mut dyn Write) -> Result<Exit> {
        match (self.command.unwrap_or(StrategiesCommand::List), self.format) {
            (StrategiesCommand::List, Format::Text) => {
                let rows: Vec<Vec<String>> = Described::all().map(|strategy| vec![strategy.name.to_owned(), strategy.line()]).collect();
                out.write_all(layout::columns(&[Align::Left, Align::Left], &rows).as_bytes())?;
            }
            (StrategiesCommand::List, Format::Json) => print(&Described::all().collect::<Vec<_>>(), out)?,
            (StrategiesCommand::Show { name }, Format::Text) => show(&name, &find(&name)?, out)?,
            (StrategiesCommand::Show { name }, Format::Json) => print(&find(&name)?, out)?,
        }
        Ok(Exit::Success)
    }
}

fn print(what: &impl Serialize, out: &mut dyn Write) -> Result<()> {
    serde_json::to_writer_pretty(&mut *out, what)?;
    Ok(writeln!(out)?)
}

fn find(specification: &str) -> Result<Described> {
    let name = specification.split('?').next().unwrap_or_default();
    let found = Described::all().find(|strategy| strategy.name == name);
    // What cannot be had without a parameter can be shown without it.
    let needs = |strategy: &Described| specification == name && strategy.parameters.iter().any(|parameter| parameter.default.is_empty());
    if !found.as_ref().is_some_and(needs) {
        engine_strategy(specification).or_exit(Exit::Usage)?;
    }
    found.ok_or_else(|| anyhow!("strategy `{name}` has no meaning in the catalogue"))
}

fn show(specification: &str, strategy: &Described, out: &mut dyn Write) -> Result<()> {
    writeln!(out, "{}\n", text::plain(specification))?;
    let mut paragraph = |words: &str| -> Result<()> {
        for line in text::wrapped(words, layout::of_sentences() - 2) {
            writeln!(out, "  {line}")?;
        }
        Ok(())
    };
    paragraph(&strategy.line())?;
    for (title, words) in [("Formula", strategy.formula), ("Source", strategy.source)] {
        if let Some(words) = words {
            paragraph(&format!("{title}: {words}"))?;
        }
    }
    if !strategy.parameters.is_empty() {
        writeln!(out, "\nParameters, with their defaults:")?;
        let row = |parameter: &Parameter| vec![format!("  {}={}", parameter.name, parameter.default), parameter.meaning.to_owned()];
        let rows: Vec<Vec<String>> = strategy.parameters.iter().map(row).collect();
        out.write_all(layout::columns(&[Align::Left, Align::Left], &rows).as_bytes())?;
    }
    writeln!(out, "\nFor the engine under test:")?;
    writeln!(out, "  sim replay CORPUS --strategy '{}'", text::plain(specification))?;
    let rules = market::ruleset::BOUNTY_REGISTRY_1_6_1;
    match replay::oracle::check_for_rivals(specification, &rules) {
        Ok(()) => {
            writeln!(out, "For the first group of rivals:")?;
            writeln!(out, "  sim replay CORPUS --set 'rivals.0.strategies=[\"{}\"]'", text::plain(specification))?;
        }
        Err(stake::StrategyError::EngineOnly { reason, .. }) => {
            for line in text::wrapped(&format!("Rivals cannot use it: {reason}."), layout::of_sentences()) {
                writeln!(out, "{line}")?;
            }
        }
        Err(_) => {}
    }
    Ok(())
}
