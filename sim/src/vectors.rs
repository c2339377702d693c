//! Golden vectors: what the real contracts did, replayed on [`market`] and compared field by field.
//!
//! Every kind of vector is answered in its own file: the answer is built as JSON in the vector's own shape, and
//! `first_difference` says where the two part. Which kind a line is follows from its keys alone, so that any file in
//! one of these formats can be checked.

mod calls;
mod common;
mod g1;
mod g3;

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use flate2::read::MultiGzDecoder;
use serde_json::Value;

/// What checking one vector came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Every field agrees.
    Agrees,
    /// The first field that differs.
    Differs(Difference),
    /// The vector is about a contract that is not part of the market (the relay, offer channels).
    Skipped(&'static str),
}

/// The first field in which market and contract differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Where, as in `ops[3].ev[0]`.
    pub path: String,
    /// What the contract did.
    pub expected: String,
    /// What the market did.
    pub actual: String,
}

/// One checked line of a file.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Line number, from 1.
    pub line: usize,
    /// The vector's own name.
    pub id: String,
    /// The result.
    pub outcome: Outcome,
}

/// The longest line that is read, in bytes; the largest known vector has under 200 kB.
const LINE_LIMIT: u64 = 64 << 20;

/// Checks every vector of a `.jsonl` or `.jsonl.gz` file in order.
///
/// # Errors
///
/// If the file cannot be read, is not JSON lines, or holds something that is no vector.
pub fn verify_file(path: &Path, mut report: impl FnMut(Checked)) -> Result<()> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    if file.metadata()?.is_dir() {
        bail!("{} is a folder; name the vector files in it", path.display());
    }
    let reader: Box<dyn Read> =
        if path.extension().is_some_and(|extension| extension == "gz") { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut reader = BufReader::new(reader);
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        let at = || format!("{}, line {line}", path.display());
        let read = reader
            .by_ref()
            .take(LINE_LIMIT)
            .read_until(b'\n', &mut text)
            .with_context(|| format!("{}: cannot read on; is the file complete?", at()))?;
        if read == 0 {
            break;
        }
        if read as u64 == LINE_LIMIT {
            bail!("{}: the line exceeds {LINE_LIMIT} bytes", at());
        }
        if text.trim_ascii().is_empty() {
            continue;
        }
        let vector: Value =
            serde_json::from_slice(&text).with_context(|| format!("{}: not a JSON value; vectors stand one to a line", at()))?;
        let id = ["id", "name"].iter().find_map(|key| vector[key].as_str()).unwrap_or("?").to_owned();
        let outcome = verify(&vector).with_context(|| format!("{}: cannot play vector `{}`", at(), id.escape_debug()))?;
        report(Checked { line, id, outcome });
    }
    Ok(())
}

/// Checks one vector.
///
/// # Errors
///
/// If it is of no known kind or lacks something.
pub fn verify(vector: &Value) -> Result<Outcome> {
    let has = |keys: &[&str]| keys.iter().all(|key| vector.get(key).is_some());
    if has(&["ops", "guids", "cfg"]) {
        g3::market(vector)
    } else if has(&["ops", "arbiters", "stake_duration"]) {
        g3::staking(vector)
    } else if has(&["contract", "fn", "call", "result"]) {
        g3::call(vector)
    } else if has(&["settler", "voters", "chosen"]) {
        g3::draw(vector)
    } else if has(&["in", "out"]) {
        g1::settlement(vector)
    } else if has(&["cfg", "setup", "call", "expect"]) {
        g1::call(vector)
    } else if has(&["arbiters", "steps", "out"]) {
        g1::staking(vector)
    } else if has(&["stakes", "picked_index"]) {
        g1::draw(vector)
    } else if has(&["authors", "candidates"]) {
        g1::candidates(vector)
    } else if has(&["commitment", "nonce", "address"]) {
        common::commitment(vector)
    } else if has(&["hashes", "bloom"]) {
        common::bloom(vector)
    } else if has(&["private_keys", "steps"]) || has(&["fields", "state"]) {
        Ok(Outcome::Skipped("offer channels"))
    } else {
        bail!("no known kind of vector has these keys; see `sim rules verify --help`")
    }
}

/// Compares an answer with what is expected, down to the first field that differs.
fn compare(expected: &Value, actual: &Value) -> Outcome {
    match first_difference(expected, actual, &mut String::new()) {
        None => Outcome::Agrees,
        Some(difference) => Outcome::Differs(difference),
    }
}

fn first_difference(expected: &Value, actual: &Value, path: &mut String) -> Option<Difference> {
    let length = path.len();
    let mut descend = |step: String, expected: &Value, actual: &Value| {
        path.push_str(&step);
        let found = first_difference(expected, actual, path);
        path.truncate(length);
        found
    };
    match (expected, actual) {
        (Value::Object(left), Value::Object(right)) => {
            let keys = left.keys().chain(right.keys().filter(|key| !left.contains_key(*key)));
            let key_step = |key: &String| if length == 0 { key.clone() } else { format!(".{key}") };
            keys.into_iter()
                .find_map(|key| descend(key_step(key), left.get(key).unwrap_or(&Value::Null), right.get(key).unwrap_or(&Value::Null)))
        }
        (Value::Array(left), Value::Array(right)) => (0..left.len().max(right.len())).find_map(|index| {
            descend(format!("[{index}]"), left.get(index).unwrap_or(&Value::Null), right.get(index).unwrap_or(&Value::Null))
        }),
        _ if expected == actual => None,
        _ => Some(Difference { path: path.clone(), expected: expected.to_string(), actual: actual.to_string() }),
    }
}

/// The files below `folder` that hold vectors, sorted.
///
/// # Errors
///
/// If the folder cannot be read.
pub fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let name = path.to_string_lossy();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else if name.ends_with(".jsonl") || name.ends_with(".jsonl.gz") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
