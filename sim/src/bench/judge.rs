//! Figures from rounds, what they are compared with, and gates over them while rounds are taken.

use std::collections::BTreeMap;

use super::{
    BaseKind, BaseReport, FigureReport, Machine, Ratio,
    baseline::Saved,
    calls::{ANSWERED, NOTHING_ANSWERED},
    probe::{self, Clock, Probe},
    rounds::{Facts, Measured, Series},
};
use crate::{
    figures::{self, Figure, Kind, Subject, Unit, Value},
    gate::{self, Answer, Base, Evidence, Gate, Known, Outcome},
    statistics::series,
};

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
    /// A report that was kept.
    Saved {
        label: String,
        saved: Box<Saved>,
    },
    /// No report that can be compared with.
    Unfit {
        label: String,
        why: String,
        /// There is none yet, and this one is to be the first.
        first: bool,
    },
}

/// Figures that cannot be told apart where two sides share a process.
pub const SHARED: [&str; 2] = ["peak_memory", "peak_memory_child"];

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
            // It may be missing in some rounds: what counts are those that have it.
            let seen = self.measured.ours.get(&answer.figure).filter(|_| !self.measured.still.contains(&answer.figure));
            let grows = seen.is_some_and(|seen| answer.margin.is_some() || seen.len() < gate::LEAST);
            answer.outcome == Outcome::CannotTell && grows
        })
    }

    fn is_measured(&self, name: &str) -> bool {
        figures::find(self.subject, name).is_some_and(|figure| figure.kind == Kind::Measured)
    }

    /// Whether a gate cannot be told for want of another baseline alone: one in the place of what was kept, if anything was.
    pub fn waits_for_baseline(&self, gate: &Gate) -> bool {
        let unfit = match self.against {
            Against::Unfit { .. } => true,
            Against::Saved { saved, .. } => self.unfit(saved, &gate.figure).is_some(),
            Against::Nothing | Against::Side { .. } => false,
        };
        unfit && gate.bound.uses_base() && self.evidence(&gate.figure).figure.is_ok()
    }

    fn evidence(&self, name: &str) -> Evidence {
        let known = || known(self.subject, &self.measured.ours, self.facts, name).ok_or_else(|| self.missing(name));
        let figure = match self.facts.unsure.get(name) {
            Some(why) => Err(why.clone()),
            None => known(),
        };
        Evidence { figure, base: self.base(name) }
    }

    /// Whether a figure is that of both sides together.
    fn shared(&self, name: &str) -> bool {
        matches!(self.against, Against::Side { one_process: true, .. }) && SHARED.contains(&name)
    }

    fn missing(&self, name: &str) -> String {
        match self.measured.complete {
            false => format!("the measurement ended before `{name}` was known"),
            true => format!("there is no `{name}` here: it is not defined for this input, or the system does not tell"),
        }
    }

    fn base(&self, name: &str) -> Base {
        match self.against {
            Against::Nothing => Base::None("there is nothing to compare with; name it with --against or --baseline".to_owned()),
            Against::Side { facts, .. } => {
                let theirs = self.measured.other.as_ref().and_then(|other| known(self.subject, other, facts, name));
                match (no_measure(&facts.unsure, facts.nothing_answered, name), theirs) {
                    (Some(why), _) => Base::None(format!("of the other side, {why}")),
                    (None, Some(known)) => Base::Paired(known),
                    (None, None) => Base::None(format!("the other side has no `{name}`")),
                }
            }
            Against::Unfit { why, .. } => Base::None(why.clone()),
            Against::Saved { saved, .. } => self.of_saved(saved, name),
        }
    }

    /// Why what was kept says nothing of a figure here, whatever is measured now: another report in its place may.
    fn unfit(&self, saved: &Saved, name: &str) -> Option<String> {
        if let Some(why) = no_measure(&saved.unsure, saved.nothing_answered, name) {
            return Some(format!("in the baseline, {why}"));
        }
        let Some(figure) = saved.figures.get(name) else { return Some(format!("the baseline has no `{name}`")) };
        let rounds = figure.rounds.len();
        match figure.kind {
            Kind::Exact | Kind::Counted => None,
            Kind::Measured if rounds < gate::LEAST => Some(format!("the baseline has {rounds} rounds, and it takes {}", gate::LEAST)),
            Kind::Measured => self.elsewhere(saved),
        }
    }

    /// Why what was measured then cannot be compared with anything that is measured now.
    fn elsewhere(&self, saved: &Saved) -> Option<String> {
        let here = Machine::here();
        let differ = |what: &str, then: &str, now: &str| format!("the baseline was measured on another {what} ({then}, now {now})");
        if saved.machine.build != here.build {
            return Some(differ("build", &saved.machine.build, &here.build));
        }
        if !saved.machine.same(&here) {
            let name = |machine: &Machine| format!("{}, {} cores, {}", machine.cpu, machine.cores, machine.system);
            return Some(differ("machine", &name(&saved.machine), &name(&here)));
        }
        let probed = saved.probe.is_some() || self.probe.is_none();
        (!probed).then(|| "the baseline has no noise probe: nobody knows how far the machine drifted since".to_owned())
    }

    fn of_saved(&self, saved: &Saved, name: &str) -> Base {
        let figure = match (self.unfit(saved, name), saved.figures.get(name)) {
            (None, Some(figure)) => figure,
            (why, _) => return Base::None(why.unwrap_or_default()),
        };
        // Processor time does not grow with what else the machine does.
        let clock = if name.starts_with("cpu_seconds") { Clock::Processor } else { Clock::Wall };
        match (figure.kind, self.drift(saved, clock)) {
            (Kind::Exact | Kind::Counted, _) => Base::Paired(figure.known()),
            (Kind::Measured, Err(why)) => Base::None(why),
            // Memory does not depend on how fast the machine is today.
            (Kind::Measured, Ok(_)) if figure.unit == Unit::Bytes => Base::Earlier { known: figure.known(), drift: BETWEEN_RUNS },
            (Kind::Measured, Ok(drift)) => Base::Earlier { known: figure.known(), drift },
        }
    }

    /// How far figures may be apart though nothing changed, in logarithms; or why they cannot be compared.
    fn drift(&self, saved: &Saved, clock: Clock) -> Result<f64, String> {
        if let Some(why) = self.elsewhere(saved) {
            return Err(why);
        }
        match (&saved.probe, self.probe) {
            (Some(then), Some(now)) if then.threads == now.threads => Ok(probe::drift(then, now, clock) + BETWEEN_RUNS),
            (Some(_), Some(_)) => Err("the baseline was measured with another number of threads; give the same --jobs".to_owned()),
            _ => Err("without a noise probe of both, nobody knows how far the machine drifted; leave out --no-probe".to_owned()),
        }
    }

    /// All figures of our side, in one map.
    pub fn figures(&self) -> BTreeMap<String, FigureReport> {
        let mut ours = reports(self.subject, &self.measured.ours, self.facts, self.confidence);
        ours.retain(|name, _| !self.shared(name));
        ours
    }

    /// What they are compared with.
    pub fn base_report(&self, figures: &BTreeMap<String, FigureReport>) -> Option<BaseReport> {
        let (kind, label, unusable, drift, theirs) = match self.against {
            Against::Nothing => return None,
            Against::Side { label, facts, .. } => {
                let none = Series::new();
                let mut theirs = reports(self.subject, self.measured.other.as_ref().unwrap_or(&none), facts, self.confidence);
                theirs.retain(|name, _| !self.shared(name));
                (BaseKind::Against, label.clone(), None, None, theirs)
            }
            Against::Unfit { label, why, .. } => (BaseKind::Baseline, label.clone(), Some(why.clone()), None, BTreeMap::new()),
            Against::Saved { label, saved } => {
                let drift = self.drift(saved, Clock::Wall);
                let share = drift.as_ref().ok().map(|&drift| libm::expm1(drift));
                (BaseKind::Baseline, label.clone(), drift.err(), share, saved.figures.clone())
            }
        };
        let ratio = |name: &String, figure: &FigureReport| {
            if figure.kind != Kind::Measured || !theirs.contains_key(name) || figure.unit == Unit::Hash {
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

/// Why nobody is held to a figure of somebody else, if so: it is not sure, or it comes from answers, and there were none.
fn no_measure<'a>(unsure: &'a BTreeMap<String, String>, nothing_answered: bool, name: &str) -> Option<&'a str> {
    let plain = name.rsplit_once('.').map_or(name, |(_, plain)| plain);
    let answered = ANSWERED.contains(&plain) || figures::decided(name);
    let silent = (nothing_answered && answered).then_some(NOTHING_ANSWERED);
    unsure.get(name).map(String::as_str).or(silent)
}

fn known(subject: Subject, series: &Series, facts: &Facts, name: &str) -> Option<Known> {
    let counted = || figures::find(subject, name).is_some_and(|figure| figure.kind == Kind::Counted);
    let exact = facts.exact.get(name).map(|value| match value {
        Value::Number(number) if counted() => Known::Counted(*number),
        value => Known::Exact(value.clone()),
    });
    exact.or_else(|| series.get(name).filter(|rounds| !rounds.is_empty()).cloned().map(Known::Rounds))
}

/// Figures by name; what nobody knows by that name is left out.
fn reports(subject: Subject, series: &Series, facts: &Facts, confidence: f64) -> BTreeMap<String, FigureReport> {
    let names = series.keys().chain(facts.exact.keys());
    let about = |name: &String| Some((name.clone(), figures::find(subject, name)?));
    let report = |(name, figure): (String, Figure)| {
        let known = known(subject, series, facts, &name)?;
        let (rounds, interval) = match &known {
            Known::Exact(_) | Known::Counted(_) => (Vec::new(), None),
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

/// Gates while rounds are taken.
#[derive(Debug)]
pub struct Court<'a> {
    gates: &'a [Gate],
    answers: Vec<Option<Answer>>,
    /// Rounds at the last look.
    rounds: Option<u32>,
}

/// Whether an answer of an earlier look stays, whatever is seen later: only if an interval told it, because that was as wide as
/// looking again demands. What is exact is as it is known now: a later round may have shown that it changes.
fn stays(answer: &Answer) -> bool {
    answer.margin.is_some() && answer.outcome != Outcome::CannotTell
}

impl<'a> Court<'a> {
    /// Over these gates.
    pub fn new(gates: &'a [Gate]) -> Court<'a> {
        Court { gates, answers: vec![None; gates.len()], rounds: None }
    }

    /// Looks at what is measured; true if more rounds would tell no more.
    pub fn look(&mut self, judged: &Judged<'_>) -> bool {
        for (answer, found) in self.answers.iter_mut().zip(judged.answers(judged.measured.looks)) {
            if !answer.as_ref().is_some_and(stays) {
                *answer = Some(found);
            }
        }
        self.rounds = Some(judged.measured.rounds);
        let open: Vec<Answer> = self.answers.iter().flatten().cloned().collect();
        !judged.more_may_tell(&open)
    }

    /// The answers at the end: at rounds that the last look saw, as wide as that one; otherwise it is another look. What depends
    /// on how far the machine drifted is judged by all that was seen of that.
    pub fn answers(self, judged: &Judged<'_>) -> Vec<Answer> {
        let looked = self.rounds == Some(judged.measured.rounds);
        let now = judged.answers(judged.measured.looks.saturating_sub(u32::from(looked)));
        let drifts = matches!(judged.against, Against::Saved { .. });
        let pick = |((gate, earlier), now): ((&Gate, Option<Answer>), Answer)| {
            earlier.filter(|earlier| stays(earlier) && !(drifts && gate.bound.uses_base())).unwrap_or(now)
        };
        self.gates.iter().zip(self.answers).zip(now).map(pick).collect()
    }
}

/// The worst of the answers.
pub fn outcome(answers: &[Answer]) -> Outcome {
    answers.iter().map(|answer| answer.outcome).max().unwrap_or(Outcome::Pass)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{SCHEMA, sample},
        *,
    };

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
        assert!(!base.figures.contains_key("peak_memory") && !report.figures.contains_key("peak_memory"), "it is that of both");
        assert!(report.rounds.detectable.unwrap() < 0.01);
    }

    #[test]
    fn a_figure_that_some_rounds_lack_is_waited_for_by_those_that_have_it() {
        let gates = ["files_per_s >= 1"].map(sample::gate);
        let facts = sample::facts(1.0);
        let more = |have: usize| {
            let mut measured = Measured { rounds: 20, other: None, ..sample::turns(1.0) };
            measured.ours.insert("files_per_s".to_owned(), vec![100.0; have]);
            !Court::new(&gates).look(&judged(&gates, &Against::Nothing, &facts, &measured))
        };
        assert_eq!([9, 10, 0].map(more), [true, false, true]);
    }

    #[test]
    fn what_chance_decided_on_either_side_holds_nobody() {
        let gates = ["tpr >= 0.5", "tpr >= base", "verdicts_sha256 == base"].map(sample::gate);
        let (plain, measured) = (sample::facts(1.0), sample::turns(1.0));
        let unsure = Facts { unsure: [("tpr".to_owned(), "some came too late".to_owned())].into(), ..plain.clone() };
        let found = |ours: &Facts, theirs: &Facts| {
            let against = Against::Side { label: String::new(), facts: theirs.clone(), one_process: true };
            judged(&gates, &against, ours, &measured).answers(0).into_iter().map(|answer| (answer.outcome, answer.why)).collect::<Vec<_>>()
        };
        let outcomes = |found: &[(Outcome, String)]| found.iter().map(|(outcome, _)| *outcome).collect::<Vec<_>>();
        use Outcome::{CannotTell, Pass};
        assert_eq!(outcomes(&found(&plain, &plain)), [Pass; 3]);
        let ours = found(&unsure, &plain);
        assert_eq!((outcomes(&ours), ours[0].1.as_str()), (vec![CannotTell, CannotTell, Pass], "some came too late"));
        let theirs = found(&plain, &unsure);
        assert_eq!((outcomes(&theirs), theirs[1].1.as_str()), (vec![Pass, CannotTell, Pass], "of the other side, some came too late"));
    }

    #[test]
    fn what_an_interruption_left_unknown_is_said_to_be_so() {
        let gates = ["tpr >= 0.5", "fpr <= 0.5"].map(sample::gate);
        let (facts, measured) = (sample::facts(1.0), Measured::default());
        let answers = Court::new(&gates).answers(&judged(&gates, &Against::Nothing, &facts, &measured));
        assert_eq!([answers[0].outcome, answers[1].outcome], [Outcome::Pass, Outcome::CannotTell]);
        assert_eq!(answers[1].why, "the measurement ended before `fpr` was known");
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
    fn what_an_early_look_said_of_exact_figures_is_not_kept() {
        let gates = ["tpr >= 0.5", "tpr >= base", "fpr <= 0.5"].map(sample::gate);
        let (steady, measured) = (sample::facts(1.0), sample::turns(1.0));
        let mut moved = sample::facts(1.0);
        moved.doubt(["tpr".to_owned()], "it changed from round to round");
        let side = |facts: &Facts| Against::Side { label: String::new(), facts: facts.clone(), one_process: false };
        let found = |early: &Against, late: &Against, facts: &Facts| {
            let mut court = Court::new(&gates);
            court.look(&judged(&gates, early, &steady, &Measured { complete: false, looks: 0, ..measured.clone() }));
            court
                .answers(&judged(&gates, late, facts, &measured))
                .into_iter()
                .map(|answer| (answer.outcome, answer.why))
                .collect::<Vec<_>>()
        };
        let (early, late) = (side(&steady), side(&moved));
        use Outcome::{CannotTell, Pass};
        let outcomes = |found: Vec<(Outcome, String)>| found.into_iter().map(|(outcome, _)| outcome).collect::<Vec<_>>();
        assert_eq!(outcomes(found(&early, &early, &steady)), [Pass, Pass, CannotTell]);
        assert_eq!(outcomes(found(&early, &late, &steady)), [Pass, CannotTell, CannotTell], "theirs changed since");
        assert_eq!(outcomes(found(&early, &early, &moved)), [CannotTell; 3], "ours did");
        // Nor is why: the run did not end before it was known.
        let why = found(&early, &early, &steady).pop().unwrap().1;
        assert!(why.starts_with("there is no `fpr` here"), "{why}");
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
                unsure: BTreeMap::new(),
                nothing_answered: false,
            };
            change(&mut saved);
            let against = Against::Saved { label: "main".to_owned(), saved: Box::new(saved) };
            let judged = Judged { probe, ..judged(&gates, &against, &facts, &measured) };
            let answers = judged.answers(0);
            gates.iter().zip(&answers).map(|(gate, answer)| (answer.outcome, judged.waits_for_baseline(gate))).collect::<Vec<_>>()
        };
        // What is kept cannot tell, and another one in its place may; or what is measured cannot.
        let (pass, replaced, untold) = ((Outcome::Pass, false), (Outcome::CannotTell, true), (Outcome::CannotTell, false));
        assert_eq!(found(&|_| {}, Some(&quiet)), [pass; 3]);
        assert_eq!(found(&|_| {}, None), [untold, untold, pass]);
        assert_eq!(found(&|saved| saved.probe = None, Some(&quiet)), [replaced, replaced, pass]);
        assert_eq!(found(&|saved| saved.machine.cores += 1, Some(&quiet)), [replaced, replaced, pass]);
        assert_eq!(found(&|saved| saved.machine.build = "other".to_owned(), Some(&quiet)), [replaced, replaced, pass]);
        assert_eq!(found(&|saved| saved.nothing_answered = true, Some(&quiet)), [pass, pass, replaced]);
        let doubt = |saved: &mut Saved| drop(saved.unsure.insert("tpr".to_owned(), "why".to_owned()));
        assert_eq!(found(&doubt, Some(&quiet)), [pass, pass, replaced]);
        assert_eq!(found(&|saved| drop(saved.figures.remove("files_per_s")), Some(&quiet)), [replaced, pass, pass]);
        let slow = Probe { before: units(2.5), ..quiet.clone() };
        assert_eq!(found(&|_| {}, Some(&slow)), [untold, pass, pass], "the machine does something else, too");
    }
}
