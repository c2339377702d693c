//! `sim rules`: the shipped rule sets, and golden vectors held against them.

use std::{collections::BTreeSet, io::Write, path::PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::{Args, Subcommand};
use market::{
    nct::Nct,
    ruleset::{self, Bids, RuleSet},
};

use crate::{
    exit::{Exit, OrExit},
    layout::{self, Align},
    progress::Progress,
    text,
    vectors::{self, Outcome},
};

const EXAMPLES: &str = "\
Examples:
  sim rules list               names of all
  sim rules show 1.6.1         every number and switch, with units
  sim rules diff 1.6.1 1.0.0   what two differ in
  sim rules verify vectors     a folder of golden vectors, field by field";

/// Show the market's rule sets, compare them, or verify golden vectors
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RulesArgs {
    #[command(subcommand)]
    command: RulesCommand,
}

#[derive(Debug, Subcommand)]
enum RulesCommand {
    /// Name, short name and a line about every rule set
    List,
    /// One rule set as TOML, with units and every switch
    Show {
        /// Name or short name
        name: String,
    },
    /// Where two rule sets differ
    Diff {
        /// Name or short name of one
        a: String,
        /// Name or short name of the other
        b: String,
    },
    /// Replay golden vectors of the real contracts and compare every field
    #[command(after_help = "Which kind of vector a line is follows from its keys. Exit code 4 if any field differs.")]
    Verify {
        /// .jsonl or .jsonl.gz files, one vector to a line, or folders of them
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Nothing on stderr but errors
        #[arg(long)]
        quiet: bool,
    },
}

impl RulesArgs {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If there is no such rule set, a file cannot be read, or the output cannot be written.
    pub fn run(self, out: &mut dyn Write) -> Result<Exit> {
        match self.command {
            RulesCommand::List => list(out)?,
            RulesCommand::Show { name } => show(find(&name)?, out)?,
            RulesCommand::Diff { a, b } => diff(find(&a)?, find(&b)?, out)?,
            RulesCommand::Verify { files, quiet } => return verify(&files, Progress::new(quiet), out),
        }
        Ok(Exit::Success)
    }
}

fn find(name: &str) -> Result<&'static RuleSet> {
    let known = || ruleset::ALL.map(|rules| format!("`{}`", rules.name)).join(" and ");
    let unknown = || anyhow!("there is no rule set {}; there are {}, or in short their numbers", text::quote(name), known());
    ruleset::find(name).ok_or_else(unknown).or_exit(Exit::Usage)
}

/// One line about a rule set.
fn about(rules: &RuleSet) -> String {
    let bids = match rules.bids {
        Bids::PerBounty => "one bid per assertion",
        Bids::PerArtifact => "a bid per artifact",
    };
    let least = rules.bid_minimum;
    let bid = rules.bid_maximum.map_or_else(|| format!("from {least}"), |most| format!("{least} to {most}"));
    let weight = rules.malicious_weight;
    format!("{bids}, {bid}; a malicious vote weighs {weight}")
}

fn list(out: &mut dyn Write) -> Result<()> {
    let rows: Vec<Vec<String>> = ruleset::ALL
        .iter()
        .enumerate()
        .map(|(index, rules)| {
            let default = if index == 0 { "default: " } else { "" };
            vec![rules.name.to_owned(), rules.alias.to_owned(), format!("{default}{}", about(rules))]
        })
        .collect();
    Ok(out.write_all(layout::columns(&[Align::Left, Align::Left, Align::Left], &rows).as_bytes())?)
}

/// A field's value, in the two ways of showing it.
enum Shown {
    Text(String),
    Number(u64, &'static str),
    Amount(Option<Nct>),
}

impl Shown {
    /// As a value in TOML; amounts in wei.
    fn toml(&self) -> Option<String> {
        match self {
            Shown::Text(text) => Some(format!("\"{text}\"")),
            Shown::Number(number, _) => Some(number.to_string()),
            Shown::Amount(amount) => amount.map(|amount| format!("\"{} wei\"", amount.to_uint())),
        }
    }

    /// With its unit, in words; empty for a text, which has none.
    fn unit(&self) -> String {
        match self {
            Shown::Text(_) | Shown::Number(_, "") => String::new(),
            Shown::Number(_, unit) => format!(", in {unit}"),
            Shown::Amount(None) => ": none".to_owned(),
            Shown::Amount(Some(amount)) => format!(": {amount}"),
        }
    }

    /// For a table.
    fn cell(&self) -> String {
        match self {
            Shown::Text(text) => text.clone(),
            Shown::Number(number, unit) => format!("{number} {unit}").trim_end().to_owned(),
            Shown::Amount(amount) => amount.map_or("none".to_owned(), |amount| amount.to_string()),
        }
    }
}

/// Every field of a rule set but the switches: name, value, meaning.
fn fields(rules: &RuleSet) -> Vec<(&'static str, Shown, &'static str)> {
    let text = |value: &str| Shown::Text(value.to_owned());
    let amount = |amount| Shown::Amount(Some(amount));
    let blocks = |number| Shown::Number(number, "blocks");
    let count = |number| Shown::Number(number, "");
    let edition = match rules.edition {
        ruleset::Edition::V1_0_0 => "1.0.0",
        ruleset::Edition::V1_6_1 => "1.6.1",
    };
    let bids = match rules.bids {
        Bids::PerBounty => "per_bounty",
        Bids::PerArtifact => "per_artifact",
    };
    let bounty_minimum = match rules.bids {
        Bids::PerBounty => "Least amount of a bounty in all",
        Bids::PerArtifact => "Least amount of a bounty for each artifact",
    };
    vec![
        ("name", text(rules.name), "Name by which it is chosen"),
        ("alias", text(rules.alias), "Short name"),
        ("edition", text(edition), "Contract whose order of checks, messages and roles hold"),
        ("bids", text(bids), "What one bid of an assertion is for"),
        ("bounty_minimum", amount(rules.bounty_minimum), bounty_minimum),
        ("bid_minimum", amount(rules.bid_minimum), "Least bid"),
        ("bid_maximum", Shown::Amount(rules.bid_maximum), "Greatest bid"),
        ("bounty_fee", amount(rules.bounty_fee), "Fee of a bounty, until a fee manager changes it"),
        ("assertion_fee", amount(rules.assertion_fee), "Fee of an assertion, until a fee manager changes it"),
        ("duration_maximum", blocks(rules.duration_maximum), "Greatest duration of a bounty"),
        ("artifacts_maximum", Shown::Number(rules.artifacts_maximum, "artifacts"), "Greatest size of a bounty"),
        ("artifact_types", count(rules.artifact_types), "Number of artifact types; 0 is a file, 1 a URL"),
        ("reveal_window", blocks(rules.reveal_window), "Reveal window"),
        ("vote_window", blocks(rules.vote_window), "Vote window"),
        ("malicious_weight", count(rules.malicious_weight), "Weight of a malicious vote against a benign one"),
        ("draw_blocks", blocks(rules.draw_blocks), "After the vote window, the arbiter is drawn for so long"),
        (
            "candidate_lookback",
            Shown::Number(rules.candidate_lookback as u64, "bounties"),
            "What the list of arbiter candidates looks back on",
        ),
        ("guid_page", Shown::Number(rules.guid_page as u64, "entries"), "A page of guids"),
        ("stake_minimum", amount(rules.stake_minimum), "Least total stake of an eligible arbiter"),
        ("stake_maximum", amount(rules.stake_maximum), "Greatest total stake of an arbiter"),
        ("stake_duration", blocks(rules.stake_duration), "How long a deposit is locked"),
        ("response_tenths", Shown::Number(rules.response_tenths, "tenths"), "Share of bounties that an eligible arbiter voted on"),
        ("response_grace", Shown::Number(rules.response_grace, "bounties"), "How many have to be recorded before that share is looked at"),
    ]
}

fn show(rules: &RuleSet, out: &mut dyn Write) -> Result<()> {
    for (name, value, meaning) in fields(rules) {
        write_comment(&format!("{meaning}{}.", value.unit()), out)?;
        match value.toml() {
            Some(value) => writeln!(out, "{name} = {value}")?,
            None => writeln!(out, "# {name} is not set")?,
        }
    }
    writeln!(
        out,
        "\n# Sane behaviour in place of the contracts' surprises; a scenario turns it on:\n# `--set switches.NAME=true`.\n[switches]"
    )?;
    for (name, on, meaning) in rules.switches.all() {
        write_comment(meaning, out)?;
        writeln!(out, "{name} = {on}")?;
    }
    Ok(())
}

fn write_comment(text: &str, out: &mut dyn Write) -> Result<()> {
    for line in text::wrapped(text, layout::of_sentences() - 2) {
        writeln!(out, "# {line}")?;
    }
    Ok(())
}

fn diff(a: &RuleSet, b: &RuleSet, out: &mut dyn Write) -> Result<()> {
    let mut rows = vec![vec![String::new(), a.name.to_owned(), b.name.to_owned()]];
    let mut compare = |name: &str, left: String, right: String| {
        if left != right && !["name", "alias"].contains(&name) {
            rows.push(vec![name.to_owned(), left, right]);
        }
    };
    for ((name, left, _), (_, right, _)) in fields(a).iter().zip(&fields(b)) {
        compare(name, left.cell(), right.cell());
    }
    for ((name, left, _), (_, right, _)) in a.switches.all().iter().zip(&b.switches.all()) {
        compare(&format!("switches.{name}"), left.to_string(), right.to_string());
    }
    if rows.len() == 1 {
        writeln!(out, "no differences")?;
        return Ok(());
    }
    Ok(out.write_all(layout::columns(&[Align::Left, Align::Left, Align::Left], &rows).as_bytes())?)
}

/// Characters of a differing value that are shown.
const VALUE_SHOWN: usize = 200;

fn verify(paths: &[PathBuf], progress: Progress, out: &mut dyn Write) -> Result<Exit> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let below = vectors::files_below(path).or_exit(Exit::Usage)?;
            if below.is_empty() {
                return Err(anyhow!("{}: there is no .jsonl or .jsonl.gz file below this folder", text::shown(path))).or_exit(Exit::Usage);
            }
            files.extend(below);
        } else {
            files.push(path.clone());
        }
    }
    let (mut all, mut all_mismatches, mut all_skipped) = (0, 0, Vec::new());
    let bar = progress.phase("verifying", "vectors", None);
    for file in &files {
        let (mut count, mut skipped, mut mismatches) = (0_u64, Vec::new(), Vec::new());
        let report = |checked: vectors::Checked| {
            count += 1;
            bar.inc(1);
            match checked.outcome {
                Outcome::Agrees => {}
                Outcome::Skipped(about) => skipped.push(about),
                Outcome::Differs(difference) => {
                    let (id, path) = (text::cut(&checked.id, VALUE_SHOWN), text::cut(&difference.path, VALUE_SHOWN));
                    let (expected, actual) = (text::cut(&difference.expected, VALUE_SHOWN), text::cut(&difference.actual, VALUE_SHOWN));
                    mismatches.push(format!("line {}, vector {id}: {path}: expected {expected}, got {actual}", checked.line));
                }
            }
        };
        vectors::verify_file(file, report)
            .context("cannot verify; name whole .jsonl or .jsonl.gz files of vectors")
            .or_exit(Exit::Usage)?;
        if count == 0 {
            return Err(anyhow!("{}: there is no vector in this file; is it complete?", text::shown(file))).or_exit(Exit::Usage);
        }
        writeln!(out, "{}: {}", text::shown(file), verdict(count, mismatches.len() as u64, &skipped))?;
        for mismatch in &mismatches {
            writeln!(out, "  {mismatch}")?;
        }
        out.flush()?;
        all += count;
        all_mismatches += mismatches.len() as u64;
        all_skipped.extend(skipped);
    }
    if files.len() > 1 {
        writeln!(out, "{}", verdict(all, all_mismatches, &all_skipped))?;
    }
    Ok(if all_mismatches > 0 { Exit::Broken } else { Exit::Success })
}

fn verdict(count: u64, mismatches: u64, skipped: &[&str]) -> String {
    let about: Vec<&str> = BTreeSet::from_iter(skipped.iter().copied()).into_iter().collect();
    let skipped = if skipped.is_empty() { String::new() } else { format!(", {} skipped ({})", skipped.len(), about.join(", ")) };
    format!("{count} vectors, {mismatches} mismatches{skipped}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_a_rule_set_is_shown() {
        for rules in ruleset::ALL {
            let serde_json::Value::Object(serialised) = serde_json::to_value(rules).unwrap() else { panic!("a rule set is an object") };
            let mut shown: Vec<&str> = fields(rules).iter().map(|(name, ..)| *name).collect();
            shown.push("switches");
            shown.sort();
            assert_eq!(shown, serialised.keys().map(String::as_str).collect::<Vec<_>>());
            for (name, value, _) in fields(rules) {
                match (&value, &serialised[name]) {
                    (Shown::Text(text), serialised) => assert_eq!(serialised.as_str(), Some(text.as_str()), "{name}"),
                    (Shown::Number(number, _), serialised) => assert_eq!(serialised.as_u64(), Some(*number), "{name}"),
                    (Shown::Amount(amount), serialised) => {
                        assert_eq!(serialised.as_str(), amount.map(|amount| amount.to_uint().to_string()).as_deref(), "{name}");
                    }
                }
            }
        }
    }
}
