//! Figures by name: what `sim bench` and `sim replay` report, what gates speak of, and in which unit.
//!
//! A figure is exact, the same whenever it is computed from the same input; or counted, the same but for a little; or measured,
//! another one every time.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Serialize};

use crate::text;

/// What a figure is counted in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Unit {
    #[serde(rename = "s")]
    Seconds,
    #[serde(rename = "bytes")]
    Bytes,
    #[serde(rename = "files/s")]
    FilesPerSecond,
    /// 10^6 bytes a second.
    #[serde(rename = "MB/s")]
    MegabytesPerSecond,
    #[serde(rename = "bounties/s")]
    BountiesPerSecond,
    #[serde(rename = "NCT")]
    Nct,
    /// From 0 to 1.
    #[serde(rename = "share")]
    Share,
    /// A plain number.
    #[serde(rename = "count")]
    Count,
    /// Processors that were busy, on average.
    #[serde(rename = "cores")]
    Cores,
    /// A hash, in hexadecimal digits.
    #[serde(rename = "sha256")]
    Hash,
}

impl Unit {
    /// As reports write it.
    pub const fn name(self) -> &'static str {
        match self {
            Unit::Seconds => "s",
            Unit::Bytes => "bytes",
            Unit::FilesPerSecond => "files/s",
            Unit::MegabytesPerSecond => "MB/s",
            Unit::BountiesPerSecond => "bounties/s",
            Unit::Nct => "NCT",
            Unit::Share => "share",
            Unit::Count => "count",
            Unit::Cores => "cores",
            Unit::Hash => "sha256",
        }
    }
}

/// Which way a figure gets better.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    More,
    Less,
    /// It says what was done, not how well.
    Neither,
}

/// Whether a figure is the same every time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Of the same input, always.
    Exact,
    /// Of the same input, within [a hundredth](crate::gate::TOLERANCE).
    Counted,
    /// Another one in every round.
    Measured,
}

/// Who reports a figure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    Scan,
    Replay,
}

impl Subject {
    /// As the command line names it.
    pub const fn name(self) -> &'static str {
        match self {
            Subject::Scan => "scan",
            Subject::Replay => "replay",
        }
    }
}

/// A figure that there may be.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// Its name; of a backend's figure, what follows `backends.NAME.`.
    pub name: &'static str,
    /// What it is counted in.
    pub unit: Unit,
    /// Which way it gets better.
    pub better: Better,
    /// Whether it is the same every time.
    pub kind: Kind,
    /// What it says, in a line.
    pub what: &'static str,
}

const fn measured(name: &'static str, unit: Unit, better: Better, what: &'static str) -> Figure {
    Figure { name, unit, better, kind: Kind::Measured, what }
}

const fn exact(name: &'static str, unit: Unit, better: Better, what: &'static str) -> Figure {
    Figure { name, unit, better, kind: Kind::Exact, what }
}

use Better::{Less, More, Neither};
use Unit::{BountiesPerSecond, Bytes, Cores, Count, FilesPerSecond, Hash, MegabytesPerSecond, Nct, Seconds, Share};

/// Figures of `sim bench scan`.
pub const SCAN: &[Figure] = &[
    measured("files_per_s", FilesPerSecond, More, "artifacts scanned in a second, warm"),
    measured("mb_per_s", MegabytesPerSecond, More, "10^6 bytes scanned in a second, warm"),
    measured("seconds", Seconds, Less, "the corpus once, warm"),
    measured("files_per_s_cold", FilesPerSecond, More, "the same in cold rounds"),
    measured("mb_per_s_cold", MegabytesPerSecond, More, "the same in cold rounds"),
    measured("seconds_cold", Seconds, Less, "the corpus once, cold"),
    measured("load_seconds", Seconds, Less, "getting the backends ready: rules, lists, models"),
    measured("p50_scan", Seconds, Less, "all backends on one artifact, archives opened: median of a round"),
    measured("p95_scan", Seconds, Less, "the same: 95 % of a round are below"),
    measured("p99_scan", Seconds, Less, "the same: 99 % of a round are below"),
    measured("max_scan", Seconds, Less, "the same: the longest of a round"),
    measured("cpu_seconds", Seconds, Less, "processor time for the corpus once, warm; of this process and of those it started"),
    measured("cpu_seconds_user", Seconds, Less, "of that, in programs"),
    measured("cpu_seconds_system", Seconds, Less, "of that, in the kernel"),
    measured("cpu_cores", Cores, Neither, "processor time by time: processors that were busy"),
    measured("peak_memory", Bytes, Less, "most memory of this process in a round"),
    measured("peak_memory_child", Bytes, Less, "most memory of any one process that a backend started, so far"),
    exact("tpr", Share, More, "share of malicious artifacts that the engine calls malicious, before it has learned"),
    exact("fpr", Share, Less, "share of benign artifacts that the engine calls malicious, before it has learned"),
    exact("accuracy", Share, More, "share of artifacts on which the engine is right, before it has learned"),
    exact("errors", Count, Less, "answers of backends that could not be had, time-outs included"),
    exact("timeouts", Count, Less, "answers of backends that did not come in time"),
    exact("artifacts", Count, Neither, "artifacts that are scanned"),
    exact("bytes", Bytes, Neither, "bytes that are scanned"),
    exact("verdicts_sha256", Hash, Neither, "one hash of every answer of every backend"),
    INSTRUCTIONS,
];

/// Figures of each backend, as `backends.NAME.p99`.
pub const BACKEND: &[Figure] = &[
    measured("p50", Seconds, Less, "one artifact: median of a round"),
    measured("p95", Seconds, Less, "one artifact: 95 % of a round are below"),
    measured("p99", Seconds, Less, "one artifact: 99 % of a round are below"),
    measured("max", Seconds, Less, "one artifact: the longest of a round"),
    exact("tpr", Share, More, "share of malicious artifacts that it calls malicious"),
    exact("fpr", Share, Less, "share of benign artifacts that it calls malicious"),
    exact("accuracy", Share, More, "share of artifacts on which it is right"),
    exact("errors", Count, Less, "answers that could not be had, time-outs included"),
    exact("timeouts", Count, Less, "answers that did not come in time"),
];

/// Figures of `sim bench replay` that are measured.
const REPLAY_MEASURED: &[Figure] = &[
    measured("bounties_per_s", BountiesPerSecond, More, "bounties played in a second, warm"),
    measured("seconds", Seconds, Less, "the market once, warm"),
    measured("bounties_per_s_cold", BountiesPerSecond, More, "the same in cold rounds"),
    measured("seconds_cold", Seconds, Less, "the market once, cold"),
    measured(
        "load_seconds",
        Seconds,
        Less,
        "opening the corpus and setting the market up; scanning left out only if all was scanned before",
    ),
    measured("first_settled", Seconds, Less, "from the start to the first bounty that is over, warm"),
    measured("cpu_seconds", Seconds, Less, "processor time for the market once, warm; of this process and of those it started"),
    measured("cpu_seconds_user", Seconds, Less, "of that, in programs"),
    measured("cpu_seconds_system", Seconds, Less, "of that, in the kernel"),
    measured("cpu_cores", Cores, Neither, "processor time by time: processors that were busy"),
    measured("peak_memory", Bytes, Less, "most memory of this process in a round"),
    measured("peak_memory_child", Bytes, Less, "most memory of any one process that was started, so far"),
    INSTRUCTIONS,
];

const INSTRUCTIONS: Figure = Figure {
    name: "instructions",
    unit: Count,
    better: Less,
    kind: Kind::Counted,
    what: "instructions of one round on one thread, by valgrind (--instructions), within 1 %; of the same program",
};

/// A figure of a run and where `run.json` has it.
#[derive(Clone, Copy, Debug)]
pub struct RunFigure {
    /// What it is.
    pub figure: Figure,
    /// A JSON pointer (RFC 6901).
    pub pointer: &'static str,
}

const fn of_run(figure: Figure, pointer: &'static str) -> RunFigure {
    RunFigure { figure, pointer }
}

/// Figures of a run: exact, every one.
pub const RUN: &[RunFigure] = &[
    of_run(exact("nct_per_bounty", Nct, More, "profit per bounty"), "/engine/profit_per_bounty_nct"),
    of_run(exact("profit_nct", Nct, More, "profit"), "/engine/profit/nct"),
    of_run(exact("staked_nct", Nct, Neither, "all stakes together"), "/engine/staked/nct"),
    of_run(exact("return_on_stake", Count, More, "profit by stakes"), "/engine/return_on_stake"),
    of_run(exact("drawdown_nct", Nct, Less, "the deepest fall of the balance"), "/engine/drawdown/depth/nct"),
    of_run(
        exact("gain_over_best_null", Nct, More, "profit beyond that of the best strategy without any idea"),
        "/engine/gain_over_best_null/nct",
    ),
    of_run(exact("rank", Count, Less, "place among the rivals, by profit"), "/engine/rank"),
    of_run(exact("coverage", Share, More, "share of artifacts that were staked on"), "/engine/coverage/share"),
    of_run(
        exact("tpr", Share, More, "share of malicious artifacts called so, of those staked on, by the corpus' labels"),
        "/engine/vs_label/tpr",
    ),
    of_run(exact("fpr", Share, Less, "share of benign artifacts called malicious, of those staked on"), "/engine/vs_label/fpr"),
    of_run(exact("accuracy", Share, More, "share of right calls, of those staked on, by the corpus' labels"), "/engine/vs_label/accuracy"),
    of_run(exact("accuracy_consensus", Share, More, "the same by the arbiters' consensus"), "/engine/vs_consensus/accuracy"),
    of_run(exact("bounties", Count, Neither, "bounties that are over"), "/market/bounties"),
    of_run(exact("decisions_sha256", Hash, Neither, "one hash of all that the engine decided and was paid"), "/decisions_sha256"),
    of_run(exact("journal_sha256", Hash, Neither, "one hash of every event of the market"), "/journal/sha256"),
];

/// Figures of `sim bench replay`.
pub fn replay() -> impl Iterator<Item = &'static Figure> {
    REPLAY_MEASURED.iter().chain(RUN.iter().map(|of| &of.figure))
}

/// Whether a figure of a run hangs on what the engine decides; how many bounties there are does not.
pub fn decided(name: &str) -> bool {
    name != "bounties" && RUN.iter().any(|of| of.figure.name == name)
}

/// What a figure is worth.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    Number(f64),
    Text(String),
}

/// A figure for reading, with its unit.
pub fn shown(value: &Value, unit: Unit) -> String {
    let number = match value {
        Value::Text(text) => return text::cut(text, 12),
        Value::Number(number) => *number,
    };
    match unit {
        Unit::Seconds if number.abs() < 1e-3 => format!("{:.1} us", number * 1e6),
        Unit::Seconds if number.abs() < 1.0 => format!("{:.2} ms", number * 1e3),
        Unit::Seconds => format!("{number:.3} s"),
        Unit::Bytes if number.abs() < 1e4 => format!("{number:.0} B"),
        Unit::Bytes => format!("{:.2} MB", number / 1e6),
        Unit::Share => format!("{:.2} %", 100.0 * number),
        Unit::Nct => format!("{} NCT", text::nct(number, false)),
        Unit::Cores => format!("{number:.2} cores"),
        Unit::FilesPerSecond | Unit::BountiesPerSecond | Unit::MegabytesPerSecond => {
            let small = if number.abs() < 0.1 { 5 } else { 2 };
            let rate = if number.abs() < 100.0 { format!("{number:.small$}") } else { text::thousands(number.round().max(0.0) as u64) };
            format!("{rate} {}", unit.name())
        }
        Unit::Count if number >= 0.0 && number.fract() == 0.0 && number < 1e15 => text::thousands(number as u64),
        Unit::Count if (1e4..1e15).contains(&number) => text::thousands(number.round() as u64),
        Unit::Count | Unit::Hash => format!("{number:.4}"),
    }
}

/// The same without its unit, where the unit does not depend on the number.
pub fn bare(shown: &str, unit: Unit) -> &str {
    match unit {
        Unit::Seconds | Unit::Bytes => shown,
        _ => shown.strip_suffix(unit.name()).map_or(shown, str::trim_end),
    }
}

/// All figures that a report of that subject may have, those of these backends included, by full name.
pub fn known<'a>(subject: Subject, backends: impl IntoIterator<Item = &'a str>) -> BTreeMap<Cow<'static, str>, Figure> {
    let plain: Vec<Figure> = match subject {
        Subject::Scan => SCAN.to_vec(),
        Subject::Replay => replay().copied().collect(),
    };
    let mut known: BTreeMap<Cow<'static, str>, Figure> = plain.into_iter().map(|figure| (Cow::Borrowed(figure.name), figure)).collect();
    for backend in backends {
        known.extend(BACKEND.iter().map(|figure| (Cow::Owned(of_backend(backend, figure.name)), *figure)));
    }
    known
}

/// What is known of a figure by its full name, whatever backends there are.
pub fn find(subject: Subject, name: &str) -> Option<Figure> {
    let plain = known(subject, []).get(name).copied();
    let backend = || {
        let (_, figure) = name.strip_prefix("backends.").filter(|_| subject == Subject::Scan)?.rsplit_once('.')?;
        BACKEND.iter().find(|known| known.name == figure).copied()
    };
    plain.or_else(backend)
}

/// What to say to who asks for a figure that there is not, among these: who reports it, which backends there are, or the names
/// that it was probably meant to be. Ends with a space, or is empty.
pub fn advice<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let elsewhere = [Subject::Replay, Subject::Scan].into_iter().find(|&subject| find(subject, name).is_some());
    let backends: Vec<&str> = known.clone().filter_map(|known| known.strip_prefix("backends.")?.strip_suffix(".p99")).collect();
    let near = text::nearest_few(name, known).join("`, `");
    match elsewhere {
        Some(Subject::Scan) if name.starts_with("backends.") && !backends.is_empty() => {
            format!("the backends are {}; ", backends.iter().map(|backend| text::quote(backend)).collect::<Vec<_>>().join(", "))
        }
        Some(subject) => format!("it is one of `sim bench {}`; ", subject.name()),
        None if near.is_empty() => String::new(),
        None => format!("did you mean `{near}`? "),
    }
}

/// The full name of a backend's figure.
pub fn of_backend(backend: &str, figure: &str) -> String {
    format!("backends.{backend}.{figure}")
}

/// The exact figures of a run, from what `run.json` holds; those that are not defined are left out.
pub fn of_run_json(run: &serde_json::Value) -> BTreeMap<String, Value> {
    let value = |of: &RunFigure| {
        let value = serde_json::from_value(run.pointer(of.pointer)?.clone()).ok()?;
        Some((of.figure.name.to_owned(), value))
    };
    RUN.iter().filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_what_is_not_there_is_told_where_to_look() {
        let scan = known(Subject::Scan, ["yara", "lists"]);
        let asked = |name| advice(name, scan.keys().map(|name| &**name));
        assert_eq!(asked("nct_per_bounty"), "it is one of `sim bench replay`; ");
        assert_eq!(asked("backends.yora.p99"), "the backends are `lists`, `yara`; ");
        assert!(asked("file_per_s").starts_with("did you mean `files_per_s"));
        assert_eq!(advice("p99_scan", ["rank"].into_iter()), "it is one of `sim bench scan`; ");
    }

    #[test]
    fn no_two_figures_of_a_subject_have_one_name() {
        assert_eq!(known(Subject::Scan, []).len(), SCAN.len());
        assert_eq!(known(Subject::Replay, []).len(), REPLAY_MEASURED.len() + RUN.len());
        assert_eq!(known(Subject::Scan, ["a", "b"]).len(), SCAN.len() + 2 * BACKEND.len());
    }
}
