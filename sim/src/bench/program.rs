//! Programs as sides of a measurement: each round is a process, which measures itself and prints a report.
//!
//! The contract: the command is given to the shell once a round, ends with 0, and prints one JSON object on standard output
//! whose `figures` have, by name, an object with the `value` of a figure and its `kind`, `measured` or `exact` (without one:
//! a number is measured, a text is exact). That is what `sim bench ... --once` prints. What it says on standard error is shown
//! if it fails.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, anyhow, bail};
use serde::Deserialize;

use super::rounds::{Facts, Observation, Side};
use crate::{
    exit::{Exit, OrExit},
    figures::{Kind, Value},
    scan::ScanErrorReport,
    text,
};

/// Characters of what a program says that an error shows.
const SHOWN: usize = 400;

/// What is started.
#[derive(Clone, PartialEq, Debug)]
pub enum Started {
    /// A command line for the shell.
    Shell(String),
    /// This program, with these words.
    This(Vec<OsString>),
}

/// A program that measures itself.
#[derive(Debug)]
pub struct ProgramSide {
    started: Started,
    facts: Option<Facts>,
    /// What its exact figures were in the first round and are not any more.
    moved: Vec<String>,
}

/// What it prints; everything else is left alone.
#[derive(Deserialize)]
struct Printed {
    figures: BTreeMap<String, PrintedFigure>,
    #[serde(default)]
    errors: Vec<ScanErrorReport>,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(default)]
    unsure: BTreeMap<String, String>,
    #[serde(default)]
    missing_answers: u64,
    #[serde(default)]
    nothing_answered: bool,
    rounds: Option<PrintedRounds>,
}

#[derive(Deserialize)]
struct PrintedRounds {
    passes: u32,
}

#[derive(Deserialize)]
struct PrintedFigure {
    value: Value,
    kind: Option<Kind>,
}

impl ProgramSide {
    /// A program that is started once a round.
    pub fn new(started: Started) -> ProgramSide {
        ProgramSide { started, facts: None, moved: Vec::new() }
    }

    fn name(&self) -> String {
        match &self.started {
            Started::Shell(command) => text::quote(command),
            Started::This(_) => "this program, started for a round,".to_owned(),
        }
    }

    fn run(&self) -> Result<Vec<u8>> {
        let mut command = match &self.started {
            Started::Shell(line) => {
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(line);
                shell
            }
            Started::This(words) => {
                let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
                command.args(words);
                command
            }
        };
        let output = command.stdin(Stdio::null()).output().with_context(|| format!("--against: cannot start {}", self.name()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("--against: {} failed ({}): {}", self.name(), output.status, text::cut(said.trim(), SHOWN));
        }
        Ok(output.stdout)
    }

    fn read(&self, printed: &[u8]) -> Result<(Observation, Facts)> {
        let hint = "it must print the JSON report of `sim bench ... --once`, and nothing else";
        let printed: Printed = serde_json::from_slice(printed).map_err(|error| anyhow!("--against: {}: {error}; {hint}", self.name()))?;
        let mut observation = Observation::new();
        let mut facts = Facts {
            exact: BTreeMap::new(),
            errors: printed.errors,
            warnings: printed.warnings,
            // It makes its rounds as long as it likes.
            passes: Some(printed.rounds.map_or(1, |rounds| rounds.passes)),
            missing_answers: printed.missing_answers,
            nothing_answered: printed.nothing_answered,
            unsure: printed.unsure,
        };
        for (name, figure) in printed.figures {
            match (figure.value, figure.kind) {
                (Value::Number(number), Some(Kind::Measured) | None) => drop(observation.insert(name, number)),
                (value, _) => drop(facts.exact.insert(name, value)),
            }
        }
        Ok((observation, facts))
    }

    /// One round.
    fn round(&mut self) -> Result<Observation> {
        let (observation, facts) = self.run().and_then(|printed| self.read(&printed)).or_exit(Exit::Usage)?;
        match &mut self.facts {
            None => self.facts = Some(facts),
            Some(first) => {
                facts.unsure.into_iter().for_each(|(name, why)| first.doubt([name], &why));
                first.missing_answers = first.missing_answers.max(facts.missing_answers);
                let moved = facts.exact.into_iter().filter(|(name, value)| first.exact.get(name).is_some_and(|first| first != value));
                for (name, _) in moved {
                    if !self.moved.contains(&name) {
                        self.moved.push(name);
                    }
                }
            }
        }
        Ok(observation)
    }
}

impl Side for ProgramSide {
    fn cold(&mut self) -> Result<Observation> {
        // Each of its rounds begins with one.
        Ok(Observation::new())
    }

    fn warm(&mut self, _: u32) -> Result<Observation> {
        self.round()
    }

    fn facts(&self) -> Facts {
        let mut facts = self.facts.clone().unwrap_or_default();
        if !self.moved.is_empty() {
            let names: Vec<String> = self.moved.iter().map(|name| text::quote(name)).collect();
            facts.warnings.push(format!("exact figures that changed from round to round: {}", names.join(", ")));
            for name in &self.moved {
                facts.doubt([name.clone()], &format!("{} changed from round to round", text::quote(name)));
            }
        }
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(command: &str) -> ProgramSide {
        ProgramSide::new(Started::Shell(command.to_owned()))
    }

    #[test]
    fn a_program_prints_its_figures() {
        let mut side =
            side(r#"echo '{"figures": {"seconds": {"value": 2.5}, "tpr": {"value": 1, "kind": "exact"}, "h": {"value": "ab"}}}'"#);
        assert_eq!(side.warm(1).unwrap(), Observation::from([("seconds".to_owned(), 2.5)]));
        let exact = side.facts().exact;
        assert_eq!((exact["tpr"].clone(), exact["h"].clone()), (Value::Number(1.0), Value::Text("ab".to_owned())));
    }

    #[test]
    fn exact_figures_that_change_from_round_to_round_are_not_sure() {
        let folder = tempfile::tempdir().unwrap();
        let count = folder.path().join("count");
        let printed =
            r#"{"figures": {"tpr": {"value": %d, "kind": "exact"}, "fpr": {"value": 0, "kind": "exact"}}, "unsure": {"accuracy": "why"}}"#;
        let mut side = side(&format!("echo >> {0}; printf '{printed}' $(wc -l < {0})", count.display()));
        side.warm(1).unwrap();
        assert_eq!(side.facts().unsure.keys().collect::<Vec<_>>(), ["accuracy"]);
        side.warm(1).unwrap();
        let facts = side.facts();
        assert_eq!(facts.unsure.keys().collect::<Vec<_>>(), ["accuracy", "tpr"]);
        assert_eq!((facts.unsure["tpr"].as_str(), facts.passes), ("`tpr` changed from round to round", Some(1)));
    }

    #[test]
    fn a_program_that_fails_is_quoted_and_the_users_matter() {
        for (command, said) in [("echo no >&2; exit 7", "exit status: 7): no"), ("echo 7", "must print the JSON report")] {
            let error = side(command).warm(1).unwrap_err();
            assert_eq!(Exit::of(&error), Exit::Usage);
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}
