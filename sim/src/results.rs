//! What commands wrote, read back: a run directory, a comparison, a sweep, an explanation.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    comparison::{self, Comparison},
    explain::{self, Explanation},
    run::{self, Run},
    sweep::{folder, registry::Registry, search::Counts, summary::Summary},
    text,
    tournament::{self, Tournament},
    walkforward::{self, WalkForward},
};

/// What a run directory holds.
pub const RUN: &str = "run.json";
/// The explanation of a run, beside it.
pub const EXPLANATION: &str = "explain.json";
/// What a sweep's folder holds.
const SWEEP: &str = "plan.json";
/// A longer file is none of ours.
const FILE_LIMIT: u64 = 256 << 20;

/// Something to report on.
#[derive(Debug)]
pub struct Results {
    /// Where it was found, as the user named it.
    pub path: PathBuf,
    /// What it is.
    pub content: Content,
}

/// What commands write.
#[derive(Debug)]
pub enum Content {
    /// `sim replay --out`, and the explanation that `sim explain --save` put there, or why there is none.
    Run(Box<Run>, Result<Box<Explanation>, Unexplained>),
    /// `sim compare --out`.
    Comparison(Box<Comparison>),
    /// `sim walkforward --out`.
    WalkForward(Box<WalkForward>),
    /// `sim tournament --out`.
    Tournament(Box<Tournament>),
    /// `sim sweep --out`.
    Sweep(Box<Summary>),
    /// `sim explain --format json`.
    Explanation(Box<Explanation>),
}

/// Why a run has no explanation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unexplained {
    /// Nobody asked for one.
    Missing,
    /// What is there is about another run, or cannot be read.
    OfAnother,
}

impl Results {
    /// Reads what is at a path; the trials ever made are counted in the `registry` of sweeps, asked for if there is a sweep.
    ///
    /// # Errors
    ///
    /// One sentence that says what is missing or wrong.
    pub fn read(path: &Path, registry: &dyn Fn() -> Result<PathBuf>) -> Result<Results> {
        let content = if path.join(RUN).is_file() {
            let run: Box<Run> = parse(&path.join(RUN), value(&path.join(RUN))?, run::SCHEMA)?;
            let explanation = explanation(&path.join(EXPLANATION), &run);
            Content::Run(run, explanation)
        } else if path.join(SWEEP).is_file() {
            Content::Sweep(Box::new(sweep(path, &registry()?)?))
        } else if path.is_dir() {
            bail!(
                "{} holds neither a run nor a sweep; name a folder that `sim replay --out` or `sim sweep --out` wrote",
                text::shown(path)
            );
        } else {
            file(path)?
        };
        Ok(Results { path: path.to_owned(), content })
    }
}

/// What a file of JSON holds, by what only that has.
fn file(path: &Path) -> Result<Content> {
    let value = value(path)?;
    let has = |keys: [&str; 2]| keys.iter().all(|key| value.get(key).is_some());
    Ok(match () {
        () if has(["waterfall", "capital"]) => Content::Explanation(parse(path, value, explain::SCHEMA)?),
        () if has(["walk", "periods"]) => Content::WalkForward(parse(path, value, walkforward::SCHEMA)?),
        () if has(["rounds", "pairs"]) => Content::Tournament(parse(path, value, tournament::SCHEMA)?),
        () if has(["strategies", "choice"]) => Content::Comparison(parse(path, value, comparison::SCHEMA)?),
        () if has(["engine", "market"]) => Content::Run(parse(path, value, run::SCHEMA)?, Err(Unexplained::Missing)),
        () => bail!("{}: this is not what `sim replay`, `compare`, `walkforward`, `tournament` or `explain` writes", text::shown(path)),
    })
}

fn value(path: &Path) -> Result<Value> {
    let shown = text::shown(path);
    let mut bytes = Vec::new();
    // A pipe, say, might never end, nor begin.
    if path.exists() && !path.is_file() {
        bail!("{shown} is no file; name what a command wrote with --out");
    }
    let opened = File::open(path).and_then(|file| file.take(FILE_LIMIT + 1).read_to_end(&mut bytes));
    opened.with_context(|| format!("cannot read {shown}; name what a command wrote with --out"))?;
    if bytes.len() as u64 > FILE_LIMIT {
        bail!("{shown} is longer than {FILE_LIMIT} bytes, and cannot be a result");
    }
    serde_json::from_slice(&bytes).map_err(|error| anyhow!("{shown}: this is not JSON: {error}"))
}

fn parse<T: DeserializeOwned>(path: &Path, value: Value, known: u32) -> Result<Box<T>> {
    let shown = text::shown(path);
    let schema = value.get("schema").and_then(Value::as_u64);
    if schema.is_some_and(|schema| schema > u64::from(known)) {
        bail!("{shown} was written by a later version of sim; report it with that");
    }
    serde_json::from_value(value).map(Box::new).map_err(|error| {
        let error = text::cut(&error.to_string(), 200);
        anyhow!("{shown}: this is not what this version of sim writes: {error}; run the command again")
    })
}

/// The explanation beside a run, if it is of that run.
fn explanation(path: &Path, run: &Run) -> Result<Box<Explanation>, Unexplained> {
    if !path.is_file() {
        return Err(Unexplained::Missing);
    }
    let read = value(path).and_then(|value| parse::<Explanation>(path, value, explain::SCHEMA));
    let explanation = read.map_err(|_| Unexplained::OfAnother)?;
    let (name, own) = (&explanation.name, &run.name);
    let same = name.scenario_sha256 == own.scenario_sha256
        && name.corpus_sha256 == own.corpus_sha256
        && name.seed == own.seed
        && explanation.waterfall.profit.wei == run.engine.profit.wei;
    if same { Ok(explanation) } else { Err(Unexplained::OfAnother) }
}

fn sweep(path: &Path, registry: &Path) -> Result<Summary> {
    let plan = folder::read_plan(path)?;
    let mut records = folder::read(path)?;
    records.sort_by_key(|record| (record.number, record.rung));
    let mut registry = Registry::open(registry, &plan.corpus.sha256)?;
    // The registry of another account has not heard of them.
    registry.know(records.iter(), path);
    let failed = records.iter().filter(|record| record.figures().is_none()).count() as u64;
    let counts = Counts { reused: records.len() as u64 - failed, failed, ..Counts::default() };
    Ok(Summary::new(&plan, counts, &records, &registry))
}
