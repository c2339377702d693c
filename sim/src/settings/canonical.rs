//! The resolved scenario as TOML: every key in the order of the structs, one leaf to a line, always the same bytes.

use replay::scenario::Scenario;
use sha2::{Digest as _, Sha256};
use toml::{
    Spanned, Value,
    de::{DeTable, DeValue},
};

use super::schema::joined;
use crate::text::is_invisible;

/// One line of the canonical text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line {
    /// `[key]`, or `[[key]]` for an entry of a list.
    Header(String),
    /// `name = value`, and its dotted key.
    Leaf {
        /// As in `rivals.0.count`.
        key: String,
        /// As in `count = 5`.
        text: String,
    },
}

/// The canonical text of a scenario: reading it gives the same scenario.
pub fn scenario_toml(scenario: &Scenario) -> String {
    let mut out = String::new();
    for line in lines(scenario) {
        match line {
            Line::Header(header) => out.extend(["\n", &header, "\n"]),
            Line::Leaf { text, .. } => out.extend([&text, "\n"]),
        }
    }
    out
}

/// The SHA-256 of [`scenario_toml`], which names a scenario in a run's name.
pub fn scenario_sha256(scenario: &Scenario) -> [u8; 32] {
    Sha256::digest(scenario_toml(scenario).as_bytes()).into()
}

/// The lines of [`scenario_toml`].
pub fn lines(scenario: &Scenario) -> Vec<Line> {
    let whole = Value::try_from(scenario).expect("a scenario is a table of numbers within 63 bits, text and lists");
    let mut lines = Vec::new();
    let mut table = String::new();
    for key in leaf_keys(scenario) {
        let (parent, name) = key.rsplit_once('.').unwrap_or(("", &key));
        if parent != table {
            table = parent.to_owned();
            lines.push(Line::Header(header(parent)));
        }
        let value = key.split('.').try_fold(&whole, |at, step| match at {
            Value::Array(list) => list.get(step.parse::<usize>().ok()?),
            at => at.get(step),
        });
        let text = format!("{name} = {}", rendered(value.expect("a leaf of the same scenario")));
        lines.push(Line::Leaf { key, text });
    }
    lines
}

/// `[engine.scan]` for `engine.scan`, `[[rivals]]` for `rivals.0`.
fn header(table: &str) -> String {
    match table.rsplit_once('.') {
        Some((list, index)) if index.parse::<usize>().is_ok() => format!("[[{list}]]"),
        _ => format!("[{table}]"),
    }
}

/// The dotted keys of all leaves, in the order of the structs.
pub(super) fn leaf_keys(scenario: &Scenario) -> Vec<String> {
    // A `toml::Table` sorts its keys; the serialised text knows their order.
    let text = toml::to_string(scenario).expect("a scenario is a table of numbers within 63 bits, text and lists");
    let spans = DeTable::parse(&text).expect("serialised just now");
    let mut keys = Vec::new();
    key_offsets(spans.get_ref(), "", &mut |key, offset, kind| {
        if kind == Kind::Leaf {
            keys.push((offset, key));
        }
    });
    keys.sort();
    keys.into_iter().map(|(_, key)| key).collect()
}

/// What stands at a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A table, or a list of tables.
    Inner,
    /// A value, or a list of plain values.
    Leaf,
}

/// Calls `found` with the dotted key and the offset of everything in a table.
pub(super) fn key_offsets(table: &DeTable<'_>, prefix: &str, found: &mut dyn FnMut(String, usize, Kind)) {
    for (name, value) in table {
        offsets_below(value, joined(prefix, name.get_ref()), name.span().start, found);
    }
}

fn offsets_below(value: &Spanned<DeValue<'_>>, key: String, offset: usize, found: &mut dyn FnMut(String, usize, Kind)) {
    match value.get_ref() {
        DeValue::Table(table) => {
            key_offsets(table, &key, found);
            found(key, offset, Kind::Inner);
        }
        DeValue::Array(list) if list.iter().next().is_some_and(|first| first.get_ref().is_table()) => {
            for (index, entry) in list.iter().enumerate() {
                offsets_below(entry, format!("{key}.{index}"), entry.span().start, found);
            }
            found(key, offset, Kind::Inner);
        }
        _ => found(key, offset, Kind::Leaf),
    }
}

/// A value on one line; text with nothing in it that could drive a terminal.
fn rendered(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let mut out = String::from("\"");
            for character in text.chars() {
                match character {
                    '"' | '\\' => out.extend(['\\', character]),
                    '\n' => out.push_str("\\n"),
                    '\t' => out.push_str("\\t"),
                    _ if character.is_control() || is_invisible(character) => out.push_str(&format!("\\U{:08X}", u32::from(character))),
                    _ => out.push(character),
                }
            }
            out.push('"');
            out
        }
        Value::Array(list) => format!("[{}]", list.iter().map(rendered).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}
