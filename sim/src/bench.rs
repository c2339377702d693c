//! A measurement as data: figures with their rounds and intervals, what they are compared with, and gates.
//!
//! A measured figure is the [middle](gate::middle) of its rounds, its interval that of [`gate::interval`]. How rounds are taken is in [`rounds`]; the same report in other programs' formats in [`export`].

pub mod probe; // how steady the machine is
pub mod rounds; // sides in turns
pub mod scan; // scanners as a side
pub mod replay; // a market as a side
pub mod program; // programs as sides
pub mod instructions; // counted by valgrind
pub mod baseline; // reports that are kept
pub mod export; // the report as others read it

use std::{collections::BTreeMap, fs, thread};

use serde::{Deserialize, Serialize};

use self::{
    baseline::Saved,
    probe::{Clock, Probe},
    rounds::{Facts, Measured, Series},
};
use crate::{
    figures::{self, Better, Figure, Kind, Subject, Unit, Value},
    gate::{self, Answer, Base, Evidence, Gate, Known, Outcome},
    scan::ScanErrorReport,
    statistics::series,
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
}

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
            cpu: model.map_or_else(|| "unknown".to_owned(), |(_, model)| model.trim().to_owned()),
            cores: thread::available_parallelism().map_or(1, usize::from),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            build: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
        }
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
    /// Seed of the bytes that were added to artifacts; `null` if none were.
    pub perturbed: Option<u64>,
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
        match self.kind {
            Kind::Exact => Known::Exact(self.value.clone()),
            Kind::Measured => Known::Rounds(self.rounds.clone()),
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

/// What is compared with, while it is measured.
#[derive(Clone, Debug)]
pub enum Against {
    Nothing,
    /// Rounds in turns.
    Side {
        label: String,
        facts: Facts,
        /// Both sides share a process, and so its memory.
        one_process: bool,
    },
    /// A report that was kept; an error says why there is none.
    Saved {
        label: String,
        saved: Box<Result<Saved, String>>,
    },
}

/// Figures that cannot be told apart where two sides share a process.
const SHARED: [&str; 2] = ["peak_memory", "peak_memory_child"];

/// What is allowed for between two runs of one program, as a share, however steady the probes are: memory is laid out anew, and
/// threads land on other processors, which no probe in either of them can see.
const BETWEEN_RUNS: f64 = 0.03;

/// Measured figures and exact ones, with gates over them.
pub struct Judged<'a> {
    pub subject: Subject,
    pub gates: &'a [Gate],
    pub confidence: f64,
    pub probe: Option<&'a Probe>,
    pub against: &'a Against,
    /// Of the side under test.
    pub facts: &'a Facts,
    pub measured: &'a Measured,
}

impl Judged<'_> {
    /// The answers to all gates; measured ones by intervals as wide as the look demands.
    pub fn answers(&self, look: u32) -> Vec<Answer> {
        let measured = self.gates.iter().filter(|gate| self.is_measured(&gate.figure)).count();
        let level = gate::level(self.confidence, look, measured);
        self.gates.iter().map(|gate| gate.judge(&self.evidence(&gate.figure), level)).collect()
    }

    /// Whether more rounds may still tell what these answers do not.
    pub fn more_may_tell(&self, answers: &[Answer]) -> bool {
        answers.iter().any(|answer| {
            let grows = self.measured.ours.contains_key(&answer.figure) && !self.measured.still.contains(&answer.figure);
            let judged = answer.margin.is_some() || (self.measured.rounds as usize) < gate::LEAST;
            answer.outcome == Outcome::CannotTell && grows && judged
        })
    }

    fn is_measured(&self, name: &str) -> bool {
        !self.facts.exact.contains_key(name)
    }

    fn evidence(&self, name: &str) -> Evidence {
        let figure = known(&self.measured.ours, self.facts, name).ok_or_else(|| missing(name));
        Evidence { figure, base: self.base(name) }
    }

    fn base(&self, name: &str) -> Base {
        match self.against {
            Against::Nothing => Base::None("there is nothing to compare with; name it with --against or --baseline".to_owned()),
            Against::Side { one_process: true, .. } if SHARED.contains(&name) => {
                Base::None("both engines share this process and its memory; --against a command tells them apart".to_owned())
            }
            Against::Side { facts, .. } => match self.measured.other.as_ref().and_then(|other| known(other, facts, name)) {
                Some(known) => Base::Paired(known),
                None => Base::None(format!("the other side has no `{name}`")),
            },
            Against::Saved { saved, .. } => match &**saved {
                Err(why) => Base::None(why.clone()),
                Ok(saved) => self.of_saved(saved, name),
            },
        }
    }

    fn of_saved(&self, saved: &Saved, name: &str) -> Base {
        let Some(figure) = saved.figures.get(name) else { return Base::None(format!("the baseline has no `{name}`")) };
        // Processor time does not grow with what else the machine does.
        let clock = if name.starts_with("cpu_seconds") { Clock::Processor } else { Clock::Wall };
        match (figure.kind, self.drift(saved, clock)) {
            (Kind::Exact, _) => Base::Paired(figure.known()),
            (Kind::Measured, Err(why)) => Base::None(why),
            // Memory does not depend on how fast the machine is today.
            (Kind::Measured, Ok(_)) if figure.unit == Unit::Bytes => Base::Earlier { known: figure.known(), drift: BETWEEN_RUNS },
            (Kind::Measured, Ok(drift)) => Base::Earlier { known: figure.known(), drift },
        }
    }

    /// How far figures may be apart though nothing changed, in logarithms; or why they cannot be compared.
    fn drift(&self, saved: &Saved, clock: Clock) -> Result<f64, String> {
        let here = Machine::here();
        let differ = |what: &str, then: &str, now: &str| format!("the baseline was measured on another {what} ({then}, now {now})");
        if saved.machine.build != here.build {
            return Err(differ("build", &saved.machine.build, &here.build));
        }
        if saved.machine != here {
            let name = |machine: &Machine| format!("{}, {} cores, {}", machine.cpu, machine.cores, machine.system);
            return Err(differ("machine", &name(&saved.machine), &name(&here)));
        }
        match (&saved.probe, self.probe) {
            (Some(then), Some(now)) if then.threads == now.threads => Ok(probe::drift(then, now, clock) + BETWEEN_RUNS),
            (Some(_), Some(_)) => Err("the baseline was measured with another number of threads; give the same --jobs".to_owned()),
            _ => Err("without a noise probe of both, nobody knows how far the machine drifted; leave out --no-probe".to_owned()),
        }
    }

    /// All figures, in one map.
    pub fn figures(&self) -> BTreeMap<String, FigureReport> {
        reports(self.subject, &self.measured.ours, self.facts, self.confidence)
    }

    /// What they are compared with.
    pub fn base_report(&self, figures: &BTreeMap<String, FigureReport>) -> Option<BaseReport> {
        let (kind, label, unusable, drift, theirs) = match self.against {
            Against::Nothing => return None,
            Against::Side { label, facts, one_process } => {
                let none = Series::new();
                let mut theirs = reports(self.subject, self.measured.other.as_ref().unwrap_or(&none), facts, self.confidence);
                if *one_process {
                    theirs.retain(|name, _| !SHARED.contains(&name.as_str()));
                }
                (BaseKind::Against, label.clone(), None, None, theirs)
            }
            Against::Saved { label, saved } => match &**saved {
                Err(why) => (BaseKind::Baseline, label.clone(), Some(why.clone()), None, BTreeMap::new()),
                Ok(saved) => {
                    let drift = self.drift(saved, Clock::Wall);
                    let share = drift.as_ref().ok().map(|&drift| libm::expm1(drift));
                    (BaseKind::Baseline, label.clone(), drift.err(), share, saved.figures.clone())
                }
            },
        };
        let ratio = |name: &String, figure: &FigureReport| {
            if figure.kind == Kind::Exact || !theirs.contains_key(name) || figure.unit == Unit::Hash {
                return None;
            }
            // The same reckoning as a gate's: how far the figure is above what it is in the base.
            let gate = Gate::at_least_base(name, figure.unit);
            let margin = gate.judge(&self.evidence(name), self.confidence).margin?;
            let of = |share: Option<f64>| share.map(|share| 1.0 + share);
            Some((name.clone(), Ratio { estimate: 1.0 + margin.estimate, low: of(margin.low), high: of(margin.high) }))
        };
        let ratios = figures.iter().filter_map(|(name, figure)| ratio(name, figure)).collect();
        Some(BaseReport { kind, label, unusable, drift, figures: theirs, ratios })
    }

    /// The smallest change that as many rounds as these show, by what the rounds themselves did; a share.
    pub fn seen(&self) -> Option<f64> {
        let (ours, other) = (self.measured.ours.get("seconds")?, self.measured.other.as_ref()?.get("seconds")?);
        let ratios: Vec<f64> = ours.iter().zip(other).map(|(own, other)| libm::log(own / other)).collect();
        probe::detectable_of(&ratios, ratios.len())
    }
}

fn missing(name: &str) -> String {
    match name {
        "instructions" => "instructions were not counted; ask for them with --instructions".to_owned(),
        _ => format!("there is no `{name}` here: it is not defined for this input, or the system does not tell"),
    }
}

fn known(series: &Series, facts: &Facts, name: &str) -> Option<Known> {
    let exact = facts.exact.get(name).cloned().map(Known::Exact);
    exact.or_else(|| series.get(name).filter(|rounds| !rounds.is_empty()).cloned().map(Known::Rounds))
}

/// Figures by name; what nobody knows by that name is left out.
fn reports(subject: Subject, series: &Series, facts: &Facts, confidence: f64) -> BTreeMap<String, FigureReport> {
    let names = series.keys().chain(facts.exact.keys());
    let about = |name: &String| Some((name.clone(), figures::find(subject, name)?));
    let report = |(name, figure): (String, Figure)| {
        let known = known(series, facts, &name)?;
        let (rounds, interval) = match &known {
            Known::Exact(_) => (Vec::new(), None),
            Known::Rounds(rounds) => (rounds.clone(), interval(rounds, confidence)),
        };
        let Figure { unit, better, kind, .. } = figure;
        Some((name, FigureReport { value: known.value(), unit, better, kind, interval, rounds }))
    };
    names.filter_map(about).filter_map(report).collect()
}

/// The interval of a figure, from the logarithms of its rounds where these have some.
fn interval(rounds: &[f64], confidence: f64) -> Option<[f64; 2]> {
    if series::constant(rounds) && rounds.len() >= gate::LEAST {
        return Some([rounds[0]; 2]);
    }
    let positive = rounds.iter().all(|&round| round > 0.0);
    let series: Vec<f64> = rounds.iter().map(|&round| if positive { libm::log(round) } else { round }).collect();
    let interval = gate::interval(&series, confidence).ok()?;
    let ends = [interval.low, interval.high].map(|end| if positive { libm::exp(end) } else { end });
    ends.iter().all(|end| end.is_finite()).then_some(ends)
}

/// Gates while rounds are taken: one that was told stays so, because its interval was as wide as looking again demands.
#[derive(Debug)]
pub struct Court<'a> {
    gates: &'a [Gate],
    answers: Vec<Option<Answer>>,
}

impl<'a> Court<'a> {
    /// Over these gates.
    pub fn new(gates: &'a [Gate]) -> Court<'a> {
        Court { gates, answers: vec![None; gates.len()] }
    }

    /// Looks at what is measured; true if more rounds would tell no more.
    pub fn look(&mut self, judged: &Judged<'_>) -> bool {
        let found = judged.answers(judged.measured.looks);
        for (answer, found) in self.answers.iter_mut().zip(found) {
            if answer.as_ref().is_none_or(|answer| answer.outcome == Outcome::CannotTell) {
                *answer = Some(found);
            }
        }
        let open: Vec<Answer> = self.answers.iter().flatten().cloned().collect();
        !judged.more_may_tell(&open)
    }

    /// The answers at the end. What depends on how far the machine drifted is judged by all that was seen of that.
    pub fn answers(self, judged: &Judged<'_>) -> Vec<Answer> {
        let last = judged.measured.looks.saturating_sub(1);
        let now = judged.answers(last);
        let drifts = matches!(judged.against, Against::Saved { .. });
        let pick = |((gate, answer), now): ((&Gate, Option<Answer>), Answer)| {
            answer.filter(|_| !(drifts && gate.bound.uses_base())).unwrap_or(now)
        };
        self.gates.iter().zip(self.answers).zip(now).map(pick).collect()
    }
}

/// The worst of the answers.
pub fn outcome(answers: &[Answer]) -> Outcome {
    answers.iter().map(|answer| answer.outcome).max().unwrap_or(Outcome::Pass)
}

/// A report for tests: two engines in turns, with hostile names.
#[cfg(test)]
pub(crate) mod sample {
    use super::*;

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
        Gate::parse(typed, |name| figures::find(Subject::Scan, name), |_| Vec::new()).unwrap()
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
                detectable: judged.seen(),
            },
            probe: None,
            base: judged.base_report(&figures),
            figures,
            errors: Vec::new(),
            warnings: vec![own("a <script>alert(1)</script> warning")],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged<'a>(gates: &'a [Gate], against: &'a Against, facts: &'a Facts, measured: &'a Measured) -> Judged<'a> {
        Judged { subject: Subject::Scan, gates, confidence: 0.95, probe: None, against, facts, measured }
    }

    #[test]
    fn an_engine_that_is_a_third_as_fast_fails_and_one_that_is_as_fast_passes() {
        let found = |factor| sample::report(factor).gates.iter().map(|answer| answer.outcome).collect::<Vec<_>>();
        assert_eq!(found(1.0 / 3.0), [Outcome::Fail, Outcome::Fail, Outcome::CannotTell]);
        assert_eq!(found(1.0), [Outcome::Pass, Outcome::Fail, Outcome::CannotTell]);
        assert_eq!(sample::report(1.0).outcome, Outcome::Fail);
    }

    #[test]
    fn figures_are_held_against_those_of_the_other_side() {
        let report = sample::report(2.0);
        let base = report.base.unwrap();
        let ratio = base.ratios["files_per_s"];
        assert!((ratio.estimate - 2.0).abs() < 0.01 && ratio.low.unwrap() < 2.01 && ratio.high.unwrap() > 1.99, "{ratio:?}");
        assert!(!base.figures.contains_key("peak_memory") && report.figures.contains_key("peak_memory"), "it is that of both");
        assert!(report.rounds.detectable.unwrap() < 0.01);
    }

    #[test]
    fn a_gate_stays_as_it_was_told_and_only_what_grows_is_waited_for() {
        let gates = ["files_per_s >= base", "load_seconds <= 2s"].map(sample::gate);
        let facts = sample::facts(1.0);
        let against = Against::Side { label: String::new(), facts: facts.clone(), one_process: true };
        let mut court = Court::new(&gates);
        let undecided = sample::turns(1.0001);
        assert!(!court.look(&judged(&gates, &against, &facts, &undecided)), "more rounds may tell");
        let faster = Measured { looks: 2, ..sample::turns(2.0) };
        assert!(court.look(&judged(&gates, &against, &facts, &faster)), "nothing more is known of loading after more rounds");
        let slower = Measured { looks: 3, ..sample::turns(0.5) };
        court.look(&judged(&gates, &against, &facts, &slower));
        let found: Vec<Outcome> = court.answers(&judged(&gates, &against, &facts, &slower)).iter().map(|answer| answer.outcome).collect();
        assert_eq!(found, [Outcome::Pass, Outcome::CannotTell]);
    }

    #[test]
    fn a_baseline_of_another_machine_or_without_a_probe_tells_nothing_of_time_and_all_of_verdicts() {
        let gates = ["files_per_s >= base * 0.5", "cpu_seconds_user <= base * 2", "tpr >= base"].map(sample::gate);
        let (facts, measured) = (sample::facts(0.9), Measured { other: None, ..sample::turns(1.0) });
        let units = |seconds: f64| probe::Units { seconds: vec![seconds; 20], processor: vec![1.0; 20] };
        let quiet = Probe { threads: 2, before: units(1.0), after: units(1.0), detectable: None };
        let found = |change: &dyn Fn(&mut Saved), probe: Option<&Probe>| {
            let report = sample::report(1.0);
            let mut saved = Saved {
                schema: SCHEMA,
                bench: Subject::Scan,
                name: report.name,
                machine: Machine::here(),
                probe: Some(quiet.clone()),
                figures: report.figures,
            };
            change(&mut saved);
            let against = Against::Saved { label: "main".to_owned(), saved: Box::new(Ok(saved)) };
            let judged = Judged { probe, ..judged(&gates, &against, &facts, &measured) };
            judged.answers(0).iter().map(|answer| answer.outcome).collect::<Vec<_>>()
        };
        use Outcome::{CannotTell, Pass};
        assert_eq!(found(&|_| {}, Some(&quiet)), [Pass; 3]);
        assert_eq!(found(&|_| {}, None), [CannotTell, CannotTell, Pass]);
        assert_eq!(found(&|saved| saved.machine.cores += 1, Some(&quiet)), [CannotTell, CannotTell, Pass]);
        assert_eq!(found(&|saved| saved.machine.build = "other".to_owned(), Some(&quiet)), [CannotTell, CannotTell, Pass]);
        let slow = Probe { before: units(2.5), ..quiet.clone() };
        assert_eq!(found(&|_| {}, Some(&slow)), [CannotTell, Pass, Pass], "the machine does something else, too");
    }
}
