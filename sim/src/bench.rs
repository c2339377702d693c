//! A measurement as data: figures with their rounds and intervals, what they are compared with, and gates.
//!
//! A measured figure is the [middle](crate::gate::middle) of its rounds, its interval that of [`crate::gate::interval`]. How
//! rounds are taken is in [`rounds`], what they come to in [`judge`]; the same report in other programs' formats in [`export`].

pub mod probe; // how steady the machine is
pub mod rounds; // sides in turns
pub mod calls; // answers against labels
pub mod scan; // scanners as a side
pub mod replay; // a market as a side
pub mod program; // programs as sides
pub mod instructions; // counted by valgrind
pub mod baseline; // reports that are kept
pub mod judge; // figures and gates from rounds
pub mod export; // the report as others read it

use std::{collections::BTreeMap, fs, thread};

use ::replay::plan::Setup;
use serde::{Deserialize, Serialize};

use self::{calls::NOTHING_ANSWERED, probe::Probe};
use crate::{
    figures::{Better, Kind, Subject, Unit, Value},
    gate::{Answer, Known, Outcome},
    scan::{ScanErrorReport, doubt},
    text,
};

/// Version of the schema of the report; grows when a field changes its meaning or goes away.
pub const SCHEMA: u32 = 1;

/// A measurement.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct BenchReport {
    pub schema: u32,
    /// What was measured.
    pub bench: Subject,
    pub name: BenchName,
    /// Command that measures again.
    pub command: String,
    /// False if it was interrupted: then it covers what was done.
    pub complete: bool,
    /// What all gates together came to; `pass` without any.
    pub outcome: Outcome,
    pub gates: Vec<Answer>,
    pub machine: Machine,
    pub rounds: RoundFacts,
    pub probe: Option<Probe>,
    /// By name.
    pub figures: BTreeMap<String, FigureReport>,
    /// What the figures are compared with.
    pub base: Option<BaseReport>,
    /// The first errors of scanning.
    pub errors: Vec<ScanErrorReport>,
    pub warnings: Vec<String>,
    /// Exact figures that no gate can be held to, and why: chance decided them.
    pub unsure: BTreeMap<String, String>,
    /// Answers of our side that did not come, and may another time.
    pub missing_answers: u64,
    /// Every backend of our side failed on every artifact: what comes from its answers holds nobody else.
    pub nothing_answered: bool,
}

impl BenchReport {
    /// Why no later report should be held to this one, if so.
    pub fn unkept(&self) -> Option<String> {
        if self.nothing_answered { Some(NOTHING_ANSWERED.to_owned()) } else { doubt(self.missing_answers) }
    }
}

/// What was measured, and on what.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct BenchName {
    pub version: String,
    pub corpus: String,
    pub corpus_sha256: String,
    /// Name of the engine.
    pub engine: String,
    /// Its strategy; of a scan none.
    pub strategy: Option<String>,
    /// SHA-256 of the resolved scenario.
    pub scenario_sha256: String,
    /// What is played; of a scan nothing.
    pub market: Option<MarketName>,
}

/// What a market is called: two engines in markets of one name can be compared.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MarketName {
    pub seed: u64,
    pub rules: String,
    /// Bounties that will be posted.
    pub bounties: u64,
}

impl MarketName {
    /// Of a market that is set up.
    pub fn of(setup: &Setup) -> MarketName {
        MarketName { seed: setup.scenario.seed, rules: setup.rules.name.to_owned(), bounties: setup.bounties }
    }

    /// What is another one in the other market.
    pub fn differs(&self, other: &MarketName) -> Option<String> {
        let say = |what: &str, own: &str, other: &str| format!("{what} {other}, now {own}");
        if self.seed != other.seed {
            return Some(say("the seed", &self.seed.to_string(), &other.seed.to_string()));
        }
        if self.rules != other.rules {
            return Some(say("the rules", &self.rules, &other.rules));
        }
        let bounties = |bounties: u64| text::thousands(bounties);
        (self.bounties != other.bounties).then(|| say("the number of bounties", &bounties(self.bounties), &bounties(other.bounties)))
    }
}

/// The processor where the system does not tell it.
const UNKNOWN: &str = "unknown";

/// Where it was measured.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// Model of the processor, as the system tells.
    pub cpu: String,
    /// Processors that this process may use.
    pub cores: usize,
    /// Operating system and architecture.
    pub system: String,
    /// How this program was built: `release` or `debug`.
    pub build: String,
}

impl Machine {
    /// This one.
    pub fn here() -> Machine {
        let about = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = about.lines().find_map(|line| line.strip_prefix("model name")).and_then(|line| line.split_once(':'));
        Machine {
            cpu: model.map_or_else(|| UNKNOWN.to_owned(), |(_, model)| model.trim().to_owned()),
            cores: thread::available_parallelism().map_or(1, usize::from),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            build: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
        }
    }

    /// Whether figures of one mean something on the other; who knows, where a system does not tell its processor.
    pub fn same(&self, other: &Machine) -> bool {
        self == other && self.cpu != UNKNOWN
    }
}

/// How much was measured.
#[derive(Clone, PartialEq, Default, Debug, Serialize, Deserialize)]
pub struct RoundFacts {
    /// Warm rounds, of each side if there are two.
    pub warm: u32,
    /// Times through the corpus in a warm round.
    pub passes: u32,
    pub cold: u32,
    /// Rounds before the warm ones that do not count.
    pub warm_up: u32,
    /// How often was looked whether all gates can be told.
    pub looks: u32,
    /// Threads.
    pub jobs: usize,
    /// Confidence of intervals.
    pub confidence: f64,
    /// Seed of the bytes that were added to artifacts; `null` if none were, or each process had one of its own.
    pub perturbed: Option<u64>,
    /// Each round of a side was a process of its own.
    pub processes: bool,
    /// The smallest change, as a share, that as many rounds as these show four times in five, by what they did themselves;
    /// `null` without another side.
    pub detectable: Option<f64>,
}

/// A figure and what it comes from.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct FigureReport {
    pub value: Value,
    pub unit: Unit,
    pub better: Better,
    pub kind: Kind,
    /// Of the middle of its rounds; `null` if they are too few, or it is exact.
    pub interval: Option<[f64; 2]>,
    /// One value for each round, if it is measured.
    pub rounds: Vec<f64>,
}

impl FigureReport {
    fn known(&self) -> Known {
        match (self.kind, &self.value) {
            (Kind::Measured, _) => Known::Rounds(self.rounds.clone()),
            (Kind::Counted, Value::Number(number)) => Known::Counted(*number),
            (Kind::Counted | Kind::Exact, value) => Known::Exact(value.clone()),
        }
    }
}

/// Where `base` comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BaseKind {
    /// Measured in turns with the figures.
    Against,
    /// Measured at another time.
    Baseline,
}

/// What figures are compared with.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct BaseReport {
    pub kind: BaseKind,
    /// As it was named.
    pub label: String,
    /// Why measured figures cannot be compared with it.
    pub unusable: Option<String>,
    /// How far the machine may have drifted since by the clock, as a share; `null` if both were measured in turns.
    pub drift: Option<f64>,
    /// By name.
    pub figures: BTreeMap<String, FigureReport>,
    /// Figures by those of `base`, with intervals.
    pub ratios: BTreeMap<String, Ratio>,
}

/// A figure by what it is in `base`.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Ratio {
    pub estimate: f64,
    /// `null` if nobody knows.
    pub low: Option<f64>,
    pub high: Option<f64>,
}

/// A report for tests: two engines in turns, with hostile names.
#[cfg(test)]
pub(crate) mod sample {
    use super::{
        judge::{Against, Court, Judged, outcome},
        rounds::{Facts, Measured, Series},
        *,
    };
    use crate::{figures, gate::Gate};

    const BACKEND: &str = "a|b<script>\u{202e}";

    /// Figures of a scan with rounds that differ by some thousandths, `factor` times as fast as a hundred files a second.
    pub(crate) fn measured(factor: f64, rounds: u32) -> Series {
        let mut chance = engine::chance::Key::root(7).with(factor.to_bits()).stream();
        let mut series = Series::new();
        for _ in 0..rounds {
            let speed = factor * (1.0 + 0.002 * chance.uniform());
            let round = [("files_per_s", 100.0 * speed), ("seconds", 0.6 / speed), ("peak_memory", 25e6), ("cpu_seconds_user", 0.5)];
            let backend = (figures::of_backend(BACKEND, "p99"), 0.004 / speed);
            let plain = round.map(|(name, value)| (name.to_owned(), value));
            plain.into_iter().chain([backend]).for_each(|(name, value)| series.entry(name).or_default().push(value));
        }
        series
    }

    pub(crate) fn facts(tpr: f64) -> Facts {
        let text = Value::Text("ab".repeat(32));
        let exact = [("tpr".to_owned(), Value::Number(tpr)), ("verdicts_sha256".to_owned(), text)].into();
        Facts { exact, ..Facts::default() }
    }

    pub(crate) fn gate(typed: &str) -> Gate {
        Gate::parse(typed, |name| figures::find(Subject::Scan, name), |_| String::new()).unwrap()
    }

    /// A measurement in which our side is `factor` times as fast as the other.
    pub(crate) fn turns(factor: f64) -> Measured {
        let (ours, other) = (measured(factor, 12), Some(measured(1.0, 12)));
        Measured { ours, other, rounds: 12, passes: 3, looks: 1, complete: true, ..Measured::default() }
    }

    pub(crate) fn report(factor: f64) -> BenchReport {
        let (facts, theirs, measured) = (facts(0.9), facts(1.0), turns(factor));
        let gates = ["files_per_s >= base * 0.95", "tpr >= base - 1%", "load_seconds <= 2s"].map(gate);
        let against = Against::Side { label: "old.toml".to_owned(), facts: theirs, one_process: true };
        let judged = Judged {
            subject: Subject::Scan,
            gates: &gates,
            confidence: 0.95,
            probe: None,
            against: &against,
            facts: &facts,
            measured: &measured,
        };
        let mut court = Court::new(&gates);
        court.look(&judged);
        let (gates, figures) = (court.answers(&judged), judged.figures());
        let own = |text: &str| text.to_owned();
        BenchReport {
            schema: SCHEMA,
            bench: Subject::Scan,
            name: BenchName {
                version: own("0.1.0"),
                corpus: own("<b>\u{1b}[31m corpus"),
                corpus_sha256: "cd".repeat(32),
                engine: own("mine"),
                strategy: None,
                scenario_sha256: "ef".repeat(32),
                market: None,
            },
            command: own("sim bench scan corpus"),
            complete: true,
            outcome: outcome(&gates),
            gates,
            machine: Machine { cpu: own("a cpu"), cores: 2, system: own("linux x86_64"), build: own("release") },
            rounds: RoundFacts {
                warm: 12,
                passes: 3,
                cold: 1,
                warm_up: 1,
                looks: 1,
                jobs: 2,
                confidence: 0.95,
                perturbed: Some(5),
                processes: false,
                detectable: judged.seen(),
            },
            probe: None,
            base: judged.base_report(&figures),
            figures,
            errors: Vec::new(),
            warnings: vec![own("a <script>alert(1)</script> warning")],
            unsure: BTreeMap::new(),
            missing_answers: 0,
            nothing_answered: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_of_unknown_processors_are_never_the_same() {
        let machine = |cpu: &str| Machine { cpu: cpu.to_owned(), ..Machine::here() };
        assert!(machine("a").same(&machine("a")) && !machine("a").same(&machine("b")));
        assert!(!machine(UNKNOWN).same(&machine(UNKNOWN)));
    }

    #[test]
    fn another_market_is_told_by_what_differs() {
        let market = || MarketName { seed: 7, rules: "fair".to_owned(), bounties: 2000 };
        let differs = |change: &dyn Fn(&mut MarketName)| {
            let mut other = market();
            change(&mut other);
            market().differs(&other)
        };
        assert_eq!(differs(&|_| {}), None);
        assert_eq!(differs(&|other| other.seed = 8).unwrap(), "the seed 8, now 7");
        assert_eq!(differs(&|other| other.rules = "old".to_owned()).unwrap(), "the rules old, now fair");
        assert_eq!(differs(&|other| other.bounties = 60).unwrap(), "the number of bounties 60, now 2,000");
    }
}
