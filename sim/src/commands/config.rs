//! `sim config`: the resolved configuration, and where every value in it came from.

use std::{collections::BTreeMap, io::Write};

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::{
    exit::Exit,
    settings::{Line, Settings, SettingsArgs, lines, scenario_sha256},
    text,
};

const EXAMPLES: &str = "\
Layers, each over the one before: defaults, --scenario, --engine (in place of
[engine]), --set in order, then --strategy, --seed and --rules.

Examples:
  sim config > my.toml                       a scenario with every key, to edit
  sim config --scenario my.toml --set seed=7
  sim config --set rivals.1.model=recorded   a second group of rivals
  sim config --set switches.freeze_fees=true --rules 1.0.0";

/// Print every setting and where it comes from
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ConfigArgs {
    /// What is resolved.
    #[command(flatten)]
    settings: SettingsArgs,
    /// TOML can be fed back as `--scenario`
    #[arg(long, value_enum, default_value_t)]
    format: ConfigFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
enum ConfigFormat {
    #[default]
    Toml,
    Json,
}

/// Beyond this column, comments are not aligned.
const COLUMN_LIMIT: usize = 48;

impl ConfigArgs {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If the settings are wrong, or the output cannot be written.
    pub fn run(self, out: &mut dyn Write) -> Result<Exit> {
        let settings = Settings::resolve(&self.settings)?;
        let sha256 = hex::encode(scenario_sha256(&settings.scenario));
        match self.format {
            ConfigFormat::Toml => write_toml(&settings, &sha256, out)?,
            ConfigFormat::Json => {
                let origins: BTreeMap<&str, String> =
                    settings.origins.iter().map(|(key, origin)| (key.as_str(), origin.to_string())).collect();
                let whole = json!({
                    "scenario_sha256": sha256,
                    "engine_folder": text::shown(&settings.engine_folder),
                    "scenario": settings.scenario,
                    "origins": origins,
                });
                serde_json::to_writer_pretty(&mut *out, &whole)?;
                writeln!(out)?;
            }
        }
        Ok(Exit::Success)
    }
}

fn write_toml(settings: &Settings, sha256: &str, out: &mut dyn Write) -> Result<()> {
    let lines = lines(&settings.scenario);
    let width = |text: &str| text.chars().count();
    let widths = lines.iter().filter_map(|line| match line {
        Line::Leaf { text, .. } => Some(width(text)).filter(|width| *width <= COLUMN_LIMIT),
        Line::Header(_) => None,
    });
    let column = widths.max().unwrap_or(0);
    writeln!(out, "# scenario {sha256}")?;
    let (mut in_tables, mut group) = (false, None);
    for line in &lines {
        match line {
            Line::Header(header) => {
                group = write_unset_of_rivals(settings, group, column, out)?;
                // `[market]` is the first table, and not there while nothing in it is set.
                if !in_tables && header != "[market]" {
                    write_unset(settings, column, out)?;
                }
                in_tables = true;
                writeln!(out, "\n{header}")?;
            }
            Line::Leaf { key, text } => {
                group = key.strip_prefix("rivals.").and_then(|key| key.split('.').next()?.parse().ok());
                let padding = column.saturating_sub(width(text));
                writeln!(out, "{text}{:padding$}  # {}", "", settings.origins[key])?;
            }
        }
    }
    Ok(())
}

/// The keys that are left out of a group of rivals while they change nothing, as comments behind its others.
fn write_unset_of_rivals(settings: &Settings, group: Option<usize>, column: usize, out: &mut dyn Write) -> Result<Option<usize>> {
    if let Some(group) = group.map(|group| &settings.scenario.rivals[group]) {
        let texts = [(group.error_factor == 1.0, "# error_factor = 1.0"), (group.correlation.is_none(), "# correlation as fitted")];
        for (_, text) in texts.into_iter().filter(|(unset, _)| *unset) {
            writeln!(out, "{text:column$}  # default")?;
        }
    }
    Ok(None)
}

/// The market's keys while they stand at the rule set's numbers, as comments.
fn write_unset(settings: &Settings, column: usize, out: &mut dyn Write) -> Result<()> {
    let rules = settings.scenario.rule_set()?;
    writeln!(out, "\n[market]")?;
    for text in [
        format!("# reveal_window = {}", rules.reveal_window),
        format!("# vote_window = {}", rules.vote_window),
        format!("# bounty_fee = \"{}\"", rules.bounty_fee),
        format!("# assertion_fee = \"{}\"", rules.assertion_fee),
        format!("# bid_minimum = \"{}\"", rules.bid_minimum),
        rules.bid_maximum.map_or("# bid_maximum is not limited".to_owned(), |most| format!("# bid_maximum = \"{most}\"")),
    ] {
        writeln!(out, "{text:column$}  # {}", rules.name)?;
    }
    Ok(())
}
