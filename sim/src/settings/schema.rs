//! Which keys a scenario has and of what type: everything is read off one full specimen of it.
//!
//! Ranges are `Scenario::check`'s business.

use anyhow::{Result, anyhow};
use engine::{
    config::{BackendConfig, BackendKind, CommandInput, CommandOutput, EngineConfig, YaraLibrary},
    filter::FilterConfig,
};
use market::nct::Nct;
use replay::scenario::{MarketConfig, RivalConfig, Scenario};
use serde::Deserialize;
use toml::{Table, Value};

use super::Origin;
use crate::text;

/// A scenario in which nothing is left out: every key, and one entry in every list.
pub(super) fn specimen() -> Result<Value> {
    // The optional keys are written out in full, so that a new one cannot be forgotten here.
    let market = MarketConfig {
        reveal_window: Some(10),
        vote_window: Some(100),
        bounty_fee: Some(Nct::whole(1)),
        assertion_fee: Some(Nct::whole(1)),
        bid_minimum: Some(Nct::whole(1)),
        bid_maximum: Some(Nct::whole(1)),
    };
    let backend = BackendConfig {
        kind: BackendKind::Eicar,
        name: Some(String::new()),
        column: Some(String::new()),
        bad: Some(String::new()),
        good: Some(String::new()),
        rules: Some(vec![String::new()]),
        library: Some(YaraLibrary::default()),
        address: Some(String::new()),
        file: Some(String::new()),
        threshold: Some(0.5),
        command: Some(vec![String::new()]),
        input: Some(CommandInput::default()),
        output: Some(CommandOutput::default()),
        version: Some(String::new()),
        memory_limit: Some(0),
        timeout_milliseconds: Some(0),
        size_limit: Some(0),
        concurrency: Some(0),
        tpr: Some(0.5),
        fpr: Some(0.5),
        trials: Some(1.0),
    };
    let rule = || vec!["mimetype == text/plain".to_owned()];
    let filter = FilterConfig { accept: rule(), reject: rule(), favor: rule(), penalize: rule() };
    let engine = EngineConfig { filter, backends: vec![backend], ..EngineConfig::default() };
    // So are those that are left out where they change nothing.
    let rivals = vec![RivalConfig { error_factor: 2.0, correlation: Some(0.5), ..RivalConfig::default() }];
    let scenario = Scenario { market, engine, rivals, ..Scenario::default() };
    Ok(Value::try_from(scenario)?)
}

/// What stands at a key until it gets its value.
pub(super) fn blank(specimen: &Value) -> Value {
    match specimen {
        Value::Table(_) => Value::Table(Table::new()),
        Value::Array(_) => Value::Array(Vec::new()),
        other => other.clone(),
    }
}

/// A dotted key and one more step.
pub(super) fn joined(key: &str, step: &str) -> String {
    if key.is_empty() { step.to_owned() } else { format!("{key}.{step}") }
}

/// A value as the command line says it: TOML, or else plain text; where text is expected, only quotes make it TOML.
pub(super) fn value_of_text(raw: &str, specimen: &Value) -> Value {
    let value = raw.parse::<Value>().ok();
    match value {
        Some(value) if value.is_str() || !specimen.is_str() => value,
        _ => Value::String(raw.to_owned()),
    }
}

/// Checks that every key of `value` is known and every value of the expected type.
pub(super) fn check(value: &Value, specimen: &Value, key: &str, origin: &dyn Fn(&str) -> Origin) -> Result<()> {
    match (value, specimen) {
        (Value::Table(table), Value::Table(known)) => table.iter().try_for_each(|(step, value)| {
            let at = joined(key, step);
            let specimen = known.get(step).ok_or_else(|| unknown_key(key, step, known, &origin(&at)))?;
            check(value, specimen, &at, origin)
        }),
        (Value::Array(list), Value::Array(known)) => {
            let known = known.first().ok_or_else(|| anyhow!("{}: `{key}`: the specimen has no entry for it", origin(key)))?;
            list.iter().enumerate().try_for_each(|(index, value)| check(value, known, &joined(key, &index.to_string()), origin))
        }
        _ if takes(specimen, value) => Ok(()),
        _ => Err(anyhow!("{}: `{key}` is {}, but must be {}", origin(key), described(value), expected(specimen))),
    }
}

fn takes(specimen: &Value, value: &Value) -> bool {
    match value {
        Value::Integer(_) => specimen.is_integer() || specimen.is_float() || is_amount(specimen),
        Value::Float(_) => specimen.is_float() || is_amount(specimen),
        _ => specimen.same_type(value),
    }
}

fn is_amount(specimen: &Value) -> bool {
    specimen.as_str().is_some_and(|text| text.ends_with(" NCT"))
}

fn expected(specimen: &Value) -> &'static str {
    match specimen {
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "`true` or `false`",
        Value::Array(list) if list.first().is_some_and(Value::is_table) => "a list of tables, as in `[{ … }]`",
        Value::Array(_) => "a list, as in `[\"a\", \"b\"]`",
        Value::Table(_) => "a table; name a key below it",
        _ if is_amount(specimen) => "an amount, as in `0.5`, `\"0.5 NCT\"` or `\"17 wei\"`",
        _ => "text in quotes",
    }
}

fn described(value: &Value) -> String {
    match value {
        Value::Table(_) => "a table".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::String(text) => format!("the text {}", text::quote(text)),
        other => other.to_string(),
    }
}

/// The error for the key `step` below `parent`, of which there is none.
pub(super) fn unknown_key(parent: &str, step: &str, known: &Table, origin: &Origin) -> anyhow::Error {
    let names = || known.keys().map(String::as_str);
    let near = || text::nearest(step, names()).or_else(|| by_sound(step, names())).map(str::to_owned);
    let hint = match below(step, known).or_else(near) {
        Some(name) => format!("the nearest is `{}`", joined(parent, &name)),
        None => format!("there are `{}`", names().collect::<Vec<_>>().join("`, `")),
    };
    anyhow!("{origin}: unknown key {}; {hint}", text::quote(&joined(parent, step)))
}

/// The key of that very name somewhere below a table.
fn below(step: &str, known: &Table) -> Option<String> {
    known.iter().find_map(|(name, value)| match value {
        _ if name == step => Some(name.clone()),
        Value::Table(table) => below(step, table).map(|key| joined(name, &key)),
        Value::Array(list) => list.first()?.as_table().and_then(|table| below(step, table)).map(|key| format!("{name}.0.{key}")),
        _ => None,
    })
}

fn by_sound<'a>(step: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let step: String = step.chars().take(100).collect();
    let scored = known.map(|known| (strsim::jaro_winkler(&step, known), known));
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score > 0.8).map(|(_, known)| known)
}

/// Whether the leaf `key` of `table` is fine on its own; otherwise what is wrong with it.
pub(super) fn try_leaf(specimen: &Value, key: &str, table: &Value) -> Result<(), String> {
    let mut whole = specimen.clone();
    let (mut to, mut from) = (&mut whole, table);
    for step in key.split('.') {
        let index = step.parse::<usize>().unwrap_or(usize::MAX);
        // Every list of the specimen has one entry, which stands for all.
        let next = match (to, from) {
            (Value::Table(to), Value::Table(from)) => to.get_mut(step).zip(from.get(step)),
            (Value::Array(to), Value::Array(from)) => to.first_mut().zip(from.get(index)),
            _ => None,
        };
        let Some((next_to, next_from)) = next else { return Ok(()) };
        (to, from) = (next_to, next_from);
    }
    *to = from.clone();
    let Err(error) = Scenario::deserialize(whole) else { return Ok(()) };
    let message = error.message();
    Err(match message.rsplit_once("expected ") {
        Some((start, number)) if start.starts_with("invalid value: integer") => {
            let limits = match number.trim() {
                "u32" => format!("from 0 to {}", u32::MAX),
                _ => "not below 0".to_owned(),
            };
            format!("`{key}` is {from}, but must be a whole number {limits}")
        }
        _ => format!("`{key}`: {message}"),
    })
}
