//! Gates: `FIGURE OP EXPRESSION`, such as `files_per_s >= base * 0.95`, and whether figures hold them.
//!
//! An expression has `base` (what the figure is in the baseline, or on the other side of a comparison), numbers with units
//! (`2s`, `5 ms`, `64 MiB`, `0.5 NCT`, `90%`), `+ - * /` and parentheses. After `+` and `-`, a percentage is of what stands
//! left of it, whatever its sign: `base - 1%` is a hundredth of the base's size below it. Exact figures are compared as they
//! are, a counted one if it is farther from the bound than it differs by. A measured one passes or fails only if the whole
//! interval of its rounds lies on one side of the bound; otherwise this machine cannot tell.
//!
//! Nothing is measured here and nothing is read: what is known comes in as [`Evidence`].

mod parser;

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    figures::{Figure, Kind, Unit, Value, shown},
    statistics::{bootstrap::Interval, series, signed_rank},
    text,
};

/// Rounds below which nothing is said of a measured figure.
pub const LEAST: usize = 10;
/// What a counted figure differs by from start to start, as a share: addresses and hash seeds are other ones every time.
pub const TOLERANCE: f64 = 0.01;

/// Why a gate is not judged whose right side came to nothing.
const NO_BOUND: &str = "the right side is no finite number for that `base`";

/// Why a gate cannot be understood.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("gate {gate}: {problem}")]
pub struct GateError {
    /// As it was typed, quoted.
    gate: String,
    problem: String,
}

/// A gate, understood.
#[derive(Clone, PartialEq, Debug)]
pub struct Gate {
    /// As it was typed.
    pub text: String,
    /// Full name of the figure.
    pub figure: String,
    /// What it is counted in.
    pub unit: Unit,
    /// How it must compare.
    pub operator: Operator,
    /// With what.
    pub bound: Expression,
}

/// How a figure must compare with its bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operator {
    AtLeast,
    AtMost,
    Above,
    Below,
    Equal,
    Unequal,
}

impl Operator {
    const ALL: [(&'static str, Operator); 6] = [
        (">=", Operator::AtLeast),
        ("<=", Operator::AtMost),
        ("==", Operator::Equal),
        ("!=", Operator::Unequal),
        (">", Operator::Above),
        ("<", Operator::Below),
    ];

    /// Whether two numbers compare so.
    fn holds(self, figure: f64, bound: f64) -> bool {
        match self {
            Operator::AtLeast => figure >= bound,
            Operator::AtMost => figure <= bound,
            Operator::Above => figure > bound,
            Operator::Below => figure < bound,
            Operator::Equal => figure == bound,
            Operator::Unequal => figure != bound,
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Operator::ALL.iter().find(|(_, operator)| operator == self).expect("all are there").0)
    }
}

/// What a figure is compared with.
#[derive(Clone, PartialEq, Debug)]
pub enum Expression {
    /// In the unit of the figure, or without any.
    Number(f64),
    /// The same figure elsewhere.
    Base,
    /// A hash.
    Text(String),
    Sum(Box<Expression>, Box<Expression>),
    Difference(Box<Expression>, Box<Expression>),
    Product(Box<Expression>, Box<Expression>),
    Quotient(Box<Expression>, Box<Expression>),
    /// More by that share of its size: 0.05 for `+ 5%`.
    Changed(Box<Expression>, f64),
}

impl Expression {
    /// Whether `base` is in it.
    pub fn uses_base(&self) -> bool {
        match self {
            Expression::Base => true,
            Expression::Number(_) | Expression::Text(_) => false,
            Expression::Changed(of, _) => of.uses_base(),
            Expression::Sum(one, other)
            | Expression::Difference(one, other)
            | Expression::Product(one, other)
            | Expression::Quotient(one, other) => one.uses_base() || other.uses_base(),
        }
    }

    /// Its value where `base` is that number; a hash has none.
    pub fn value(&self, base: f64) -> f64 {
        match self {
            Expression::Number(number) => *number,
            Expression::Base => base,
            Expression::Text(_) => f64::NAN,
            Expression::Sum(one, other) => one.value(base) + other.value(base),
            Expression::Difference(one, other) => one.value(base) - other.value(base),
            Expression::Product(one, other) => one.value(base) * other.value(base),
            Expression::Quotient(one, other) => one.value(base) / other.value(base),
            Expression::Changed(of, share) => {
                let of = of.value(base);
                of * if of < 0.0 { 1.0 - share } else { 1.0 + share }
            }
        }
    }
}

impl Gate {
    /// Understands a gate; `figure` knows figures by name, and `advice` what to say of a name that it does not know.
    ///
    /// # Errors
    ///
    /// One sentence that says what is wrong with it, and what would be right.
    pub fn parse(typed: &str, figure: impl FnOnce(&str) -> Option<Figure>, advice: impl FnOnce(&str) -> String) -> Result<Gate, GateError> {
        let wrong = |problem: String| GateError { gate: text::quote(typed), problem };
        let Some((place, symbol, operator)) = Operator::ALL
            .into_iter()
            .filter_map(|(symbol, operator)| Some((typed.find(symbol)?, symbol, operator)))
            .min_by_key(|&(place, symbol, _)| (place, std::cmp::Reverse(symbol.len())))
        else {
            return Err(wrong("there is no comparison; write `FIGURE >= EXPRESSION`, with >=, <=, >, <, == or !=".to_owned()));
        };
        let name = typed[..place].trim();
        let Some(about) = figure(name) else {
            return Err(wrong(format!("there is no figure {}; {}`sim bench figures` lists all", text::quote(name), advice(name))));
        };
        let (bound, power) = parser::parse(&typed[place + symbol.len()..], about.unit).map_err(&wrong)?;
        if let parser::Power::Exactly(power) = power
            && power != 1
        {
            let unit = about.unit.name();
            return Err(wrong(format!("the right side does not come to an amount in {unit}, as `{name}` does")));
        }
        let equality = matches!(operator, Operator::Equal | Operator::Unequal);
        if about.unit == Unit::Hash && !(equality && matches!(bound, Expression::Base | Expression::Text(_))) {
            return Err(wrong(format!("`{name}` is a hash: it is == or != `base`, or a hash in quotes")));
        }
        if about.unit != Unit::Hash && matches!(bound, Expression::Text(_)) {
            return Err(wrong(format!("`{name}` is a number, and is compared with one")));
        }
        if about.kind == Kind::Measured && equality {
            return Err(wrong(format!("`{name}` is measured, and never the same twice; use <= or >=")));
        }
        if about.kind == Kind::Counted && equality {
            let within = 100.0 * TOLERANCE;
            return Err(wrong(format!("`{name}` differs by up to {within} % from start to start; use <= or >=")));
        }
        if about.unit != Unit::Hash && !bound.uses_base() && !bound.value(0.0).is_finite() {
            return Err(wrong("the right side is no finite number".to_owned()));
        }
        Ok(Gate { text: typed.to_owned(), figure: name.to_owned(), unit: about.unit, operator, bound })
    }
}

/// What a gate came to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Pass,
    /// On this machine, by what was measured.
    CannotTell,
    Fail,
}

impl Outcome {
    /// As reports write it.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Pass => "pass",
            Outcome::CannotTell => "cannot tell",
            Outcome::Fail => "FAIL",
        }
    }
}

/// A gate, answered.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Answer {
    /// As it was typed.
    pub gate: String,
    /// The figure that it speaks of.
    pub figure: String,
    /// What it came to.
    pub outcome: Outcome,
    /// The figure; `null` if there is none.
    pub value: Option<Value>,
    /// What it was compared with.
    pub bound: Option<Value>,
    /// How far a measured figure is above its bound, as a share of it, with the ends of the interval that decided.
    pub margin: Option<Margin>,
    /// In a sentence.
    pub why: String,
}

/// By how much a measured figure is above its bound, as a share of the bound.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Margin {
    pub estimate: f64,
    /// `null` if nobody knows.
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// Confidence of the interval.
    pub level: f64,
}

/// What is known of a figure.
#[derive(Clone, PartialEq, Debug)]
pub enum Known {
    /// Exactly.
    Exact(Value),
    /// Within [`TOLERANCE`].
    Counted(f64),
    /// Round by round.
    Rounds(Vec<f64>),
}

/// What `base` is.
#[derive(Clone, PartialEq, Debug)]
pub enum Base {
    /// Nothing, and why.
    None(String),
    /// Measured in turns with the figure: the first round beside the first one, and so on.
    Paired(Known),
    /// Measured at another time. What was measured then would now be off by up to the exponential of `drift`.
    Earlier { known: Known, drift: f64 },
}

/// What a gate is judged by.
#[derive(Clone, PartialEq, Debug)]
pub struct Evidence {
    /// The figure; an error says why there is none.
    pub figure: Result<Known, String>,
    /// The same elsewhere.
    pub base: Base,
}

impl Gate {
    /// `FIGURE >= base`: its margin is how far the figure is above the base.
    pub fn at_least_base(figure: &str, unit: Unit) -> Gate {
        let (text, figure) = (format!("{figure} >= base"), figure.to_owned());
        Gate { text, figure, unit, operator: Operator::AtLeast, bound: Expression::Base }
    }

    /// Judges the gate; measured figures by intervals of confidence `level`.
    pub fn judge(&self, evidence: &Evidence, level: f64) -> Answer {
        let answer = |outcome, value, bound, why: String| Answer {
            gate: self.text.clone(),
            figure: self.figure.clone(),
            outcome,
            value,
            bound,
            margin: None,
            why,
        };
        let known = match &evidence.figure {
            Ok(known) => known,
            Err(why) => return answer(Outcome::CannotTell, None, None, why.clone()),
        };
        let nothing = Known::Exact(Value::Number(0.0));
        let (base, drift) = match &evidence.base {
            _ if !self.bound.uses_base() => (&nothing, None),
            Base::None(why) => return answer(Outcome::CannotTell, Some(known.value()), None, why.clone()),
            Base::Paired(base) => (base, None),
            Base::Earlier { known, drift } => (known, Some(*drift)),
        };
        match (known, base) {
            (Known::Exact(value), Known::Exact(base)) => {
                let (holds, bound) = self.compared(value, base);
                if matches!(bound, Value::Number(bound) if !bound.is_finite()) {
                    return answer(Outcome::CannotTell, Some(value.clone()), None, NO_BOUND.to_owned());
                }
                let outcome = if holds { Outcome::Pass } else { Outcome::Fail };
                let (relation, [own, other]) = (if holds { "" } else { "not " }, [value, &bound].map(|value| self.said(Some(value))));
                let same = own == other && value != &bound;
                // Exact is exact: where rounding hides a difference, all digits are shown.
                let why = match (value, &bound) {
                    (Value::Number(value), Value::Number(bound)) if same => format!("{value} is {relation}{} {bound}", self.operator),
                    _ => format!("{own} is {relation}{} {other}", self.operator),
                };
                answer(outcome, Some(value.clone()), Some(bound), why)
            }
            (&Known::Counted(value), &Known::Counted(base) | &Known::Exact(Value::Number(base))) => {
                let bound = self.bound.value(base);
                let (outcome, why) = self.counted(value, bound);
                answer(outcome, Some(Value::Number(value)), bound.is_finite().then_some(Value::Number(bound)), why)
            }
            (Known::Rounds(rounds), _) => {
                let bases = match base {
                    Known::Rounds(bases) => bases.clone(),
                    Known::Exact(Value::Number(base)) | Known::Counted(base) => vec![*base; rounds.len()],
                    Known::Exact(Value::Text(_)) => Vec::new(),
                };
                let fixed = !self.bound.uses_base();
                self.judge_rounds(rounds, &bases, if fixed { None } else { drift }, level)
            }
            (known, _) => answer(Outcome::CannotTell, Some(known.value()), None, "the base does not have it as exactly".to_owned()),
        }
    }

    /// What becomes of a figure that may as well be some more or less.
    fn counted(&self, value: f64, bound: f64) -> (Outcome, String) {
        if !bound.is_finite() {
            return (Outcome::CannotTell, NO_BOUND.to_owned());
        }
        let [own, other] = [value, bound].map(|number| self.said(Some(&Value::Number(number))));
        let within = TOLERANCE * bound.abs();
        if (value - bound).abs() <= within {
            let why = format!("{own} is within {} % of {other}, and it differs by as much from start to start", 100.0 * TOLERANCE);
            return (Outcome::CannotTell, why);
        }
        match self.operator.holds(value, bound) {
            true => (Outcome::Pass, format!("{own} is {} {other}", self.operator)),
            false => (Outcome::Fail, format!("{own} is not {} {other}", self.operator)),
        }
    }

    fn compared(&self, value: &Value, base: &Value) -> (bool, Value) {
        match (value, &self.bound, base) {
            (Value::Number(value), bound, &Value::Number(base)) => {
                let bound = bound.value(base);
                (self.operator.holds(*value, bound), Value::Number(bound))
            }
            (Value::Text(value), Expression::Text(bound), _) | (Value::Text(value), _, Value::Text(bound)) => {
                let same = value.eq_ignore_ascii_case(bound);
                (same == (self.operator == Operator::Equal), Value::Text(bound.clone()))
            }
            (_, _, base) => (self.operator == Operator::Unequal, base.clone()),
        }
    }

    fn said(&self, value: Option<&Value>) -> String {
        value.map_or_else(|| "unknown".to_owned(), |value| shown(value, self.unit))
    }

    fn judge_rounds(&self, rounds: &[f64], bases: &[f64], drift: Option<f64>, level: f64) -> Answer {
        let bounds: Vec<f64> = bases.iter().map(|&base| self.bound.value(base)).collect();
        let (value, bound) = (middle(rounds), middle(&bounds));
        let mut answer = Answer {
            gate: self.text.clone(),
            figure: self.figure.clone(),
            outcome: Outcome::CannotTell,
            value: value.map(Value::Number),
            bound: bound.map(Value::Number),
            margin: None,
            why: String::new(),
        };
        let interval = match drift {
            None => margin(rounds, &bounds, level),
            Some(drift) => margin_apart(rounds, &bounds, drift, level),
        };
        let interval = match interval {
            Ok(interval) => interval,
            Err(why) => {
                answer.why = why;
                return answer;
            }
        };
        let share = |log: f64| libm::expm1(log);
        let end = |log: f64| log.is_finite().then(|| share(log));
        answer.margin = Some(Margin { estimate: share(interval.estimate), low: end(interval.low), high: end(interval.high), level });
        let Interval { low, high, .. } = interval;
        let (good, bad) = match self.operator {
            Operator::AtLeast => (low >= 0.0, high < 0.0),
            Operator::Above => (low > 0.0, high <= 0.0),
            Operator::AtMost => (high <= 0.0, low > 0.0),
            _ => (high < 0.0, low >= 0.0),
        };
        answer.outcome = match (good, bad) {
            (true, _) => Outcome::Pass,
            (_, true) => Outcome::Fail,
            _ => Outcome::CannotTell,
        };
        let percent = |share: Option<f64>| share.map_or_else(|| "unknown".to_owned(), |share| format!("{:+.1} %", 100.0 * share));
        let margin = answer.margin.expect("it was set");
        answer.why = format!(
            "{}, and the bound is {}; by its rounds {} off, between {} and {} ({} % confidence, {} rounds)",
            self.said(answer.value.as_ref()),
            self.said(answer.bound.as_ref()),
            percent(Some(margin.estimate)),
            percent(margin.low),
            percent(margin.high),
            (1e4 * level).round() / 100.0,
            rounds.len(),
        );
        answer
    }
}

impl Known {
    /// One figure: of rounds, their [`middle`].
    pub fn value(&self) -> Value {
        match self {
            Known::Exact(value) => value.clone(),
            Known::Counted(number) => Value::Number(*number),
            Known::Rounds(rounds) => Value::Number(middle(rounds).unwrap_or(f64::NAN)),
        }
    }
}

/// The middle of rounds: of their logarithms, as ratios are what is compared, or of themselves where one is not positive. None
/// of nothing.
pub fn middle(rounds: &[f64]) -> Option<f64> {
    if series::constant(rounds) {
        return rounds.first().copied();
    }
    let positive = rounds.iter().all(|&round| round > 0.0);
    let scaled: Vec<f64> = rounds.iter().map(|&round| if positive { libm::log(round) } else { round }).collect();
    let middle = signed_rank::interval(&scaled, 0.5).ok()?.estimate;
    Some(if positive { libm::exp(middle) } else { middle })
}

/// The logarithms, which only positive numbers have.
fn logarithms(rounds: &[f64]) -> Result<Vec<f64>, String> {
    if rounds.iter().any(|&round| round <= 0.0 || !round.is_finite()) {
        return Err("a figure or a bound is not positive: there is no ratio to judge by".to_owned());
    }
    Ok(rounds.iter().map(|&round| libm::log(round)).collect())
}

/// The middle of a series with its interval, by [signed ranks](signed_rank): a round that something else interrupted is an
/// outlier, and there are many on a busy machine.
///
/// # Errors
///
/// With too few rounds, or with such that are not finite.
pub fn interval(series: &[f64], level: f64) -> Result<Interval, String> {
    if series.len() < LEAST {
        return Err(format!("of {} rounds no interval can be stated: it takes {LEAST}", series.len()));
    }
    signed_rank::interval(series, level).map_err(|unfit| unfit.to_string())
}

/// Log-ratios of figure and bound, pair by pair.
fn margin(rounds: &[f64], bounds: &[f64], level: f64) -> Result<Interval, String> {
    let (rounds, bounds) = (logarithms(rounds)?, logarithms(bounds)?);
    let ratios: Vec<f64> = rounds.iter().zip(&bounds).map(|(round, bound)| round - bound).collect();
    interval(&ratios, level)
}

/// Log-ratio of two series that have nothing to do with each other: each has its own interval, at half the doubt, and what
/// the machine drifted comes on top.
fn margin_apart(rounds: &[f64], bounds: &[f64], drift: f64, level: f64) -> Result<Interval, String> {
    let each = 0.5 * (1.0 + level);
    let (figure, bound) = (interval(&logarithms(rounds)?, each)?, interval(&logarithms(bounds)?, each)?);
    Ok(Interval { estimate: figure.estimate - bound.estimate, low: figure.low - bound.high - drift, high: figure.high - bound.low + drift })
}

/// The confidence of the interval at a look, the first being 0: however often one looks, a gate is answered wrongly in at most
/// `1 - confidence` of the cases, because look k may err with half of what the look before may; and so are all the measured
/// gates of a run together.
pub fn level(confidence: f64, look: u32, gates: usize) -> f64 {
    let doubt = (1.0 - confidence) / gates.max(1) as f64;
    1.0 - doubt * 0.5f64.powi(1 + look.min(30) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{Subject, find};

    fn parse(subject: Subject, typed: &str) -> Result<Gate, String> {
        Gate::parse(typed, |name| find(subject, name), |_| "did you mean `near`? ".to_owned()).map_err(|error| error.to_string())
    }

    /// What the bound comes to where `base` is that number.
    fn bound(typed: &str, base: f64) -> f64 {
        parse(Subject::Scan, typed).unwrap().bound.value(base)
    }

    #[test]
    fn the_right_side_is_reckoned_as_written() {
        for (typed, base, expected) in [
            ("files_per_s >= base * 0.95", 200.0, 190.0),
            ("files_per_s>=base-5%", 200.0, 190.0),
            ("files_per_s >= base * 95%", 200.0, 190.0),
            ("files_per_s >= 1_000", 0.0, 1000.0),
            ("files_per_s > (base + 10) / 2", 200.0, 105.0),
            ("files_per_s > base + 10 / 2", 200.0, 205.0),
            ("files_per_s > base - 2 * 3 - 4", 200.0, 190.0),
            ("files_per_s > base * 2 / 4", 200.0, 100.0),
            ("files_per_s > -base * -1", 200.0, 200.0),
            ("files_per_s > base + 10% + 10%", 100.0, 121.0),
            ("files_per_s > base + 50 - 10%", 50.0, 90.0),
            ("p99_scan <= 2s", 0.0, 2.0),
            ("p99_scan <= 1.5 ms + 500us", 0.0, 0.002),
            ("p99_scan <= 2 min", 0.0, 120.0),
            ("p99_scan <= 2e-3 s", 0.0, 0.002),
            ("p99_scan <= (1 + 1) * 2e-3 s", 0.0, 0.004),
            ("p99_scan >= 0", 0.0, 0.0),
            ("p99_scan <= base * (1 + 5% * 2)", 1.0, 1.1),
            ("p99_scan <= base * (1 + 10 ms / base)", 0.1, 0.11),
            ("tpr >= (base + 3) / 4", 0.8, 0.95),
            ("tpr >= base * 3 - 2", 0.9, 0.7),
            ("p99_scan <= base + 10 ms", 0.5, 0.51),
            ("p99_scan <= base / base * 1s", 0.5, 1.0),
            ("peak_memory <= 512 MiB", 0.0, 536_870_912.0),
            ("peak_memory <= 0.5 GB", 0.0, 5e8),
            ("tpr >= 90%", 0.0, 0.9),
            ("tpr >= 0.9", 0.0, 0.9),
            ("tpr >= base - 1%", 0.5, 0.495),
            ("tpr >= base - 0.01", 0.5, 0.49),
            ("tpr >= base - 1%", -100.0, -101.0),
            ("tpr >= base + 1%", -100.0, -99.0),
            ("tpr >= base - 50% - 50%", -100.0, -225.0),
            ("backends.a.b-c.p99 <= 7 ns", 0.0, 7e-9),
        ] {
            assert!((bound(typed, base) - expected).abs() <= 1e-9 * expected.abs(), "{typed}: {}", bound(typed, base));
        }
    }

    #[test]
    fn what_is_wrong_with_a_gate_is_said() {
        for (typed, said) in [
            ("files_per_s", "there is no comparison; write `FIGURE >= EXPRESSION`, with >=, <=, >, <, == or !="),
            ("speed >= 1", "there is no figure `speed`; did you mean `near`? `sim bench figures` lists all"),
            (">= 1", "there is no figure empty"),
            ("files_per_s >=", "the right side ends too soon"),
            ("files_per_s >= best", "`best` is neither `base` nor a number"),
            ("files_per_s >= 2s", "`2s` is not in files/s, as the figure is"),
            ("p99_scan <= 2 MB", "`2MB` is not in s, as the figure is"),
            ("p99_scan <= 2 h", "`h` is no unit; there are ns, us, ms, s,"),
            ("p99_scan <= 5%", "the right side does not come to an amount in s"),
            ("p99_scan <= base * 2s", "the right side does not come to an amount in s"),
            ("p99_scan <= base / base", "the right side does not come to an amount in s"),
            ("p99_scan <= base + base * base", "amounts and plain numbers are added up"),
            ("p99_scan <= (base", "a `(` is not closed"),
            ("p99_scan <= base)", "`)` is not understood"),
            ("p99_scan <= 1 2", "`2` is no unit"),
            ("p99_scan <= 1s 2", "`2` is not understood"),
            ("p99_scan <= 1.2.3", "`1.2.3` is no number"),
            ("p99_scan <= 1e999", "1e999 is too large"),
            ("p99_scan <= 1 / 0", "it divides by zero"),
            ("p99_scan <= 200", "200 of what? Write `200s`, or `200ms`"),
            ("p99_scan <= base + 5", "5 of what? Write `5s`, or `5ms`"),
            ("p99_scan <= 5 + base", "5 of what?"),
            ("p99_scan <= 1 / (1 - 1)", "the right side is no finite number"),
            ("peak_memory <= 10 + 10", "20 of what? Write `20B`, or `20MB`"),
            ("fpr <= 5", "the figure is from 0 to 1, or to 100 %; percentages have their sign, as in `5%`"),
            ("fpr <= base + 5", "the figure is from 0 to 1"),
            ("tpr >= 0 / (1 - 1)", "the right side is no finite number"),
            ("tpr >= 1 / (1 - 1)", "the right side is no finite number"),
            ("instructions == base", "`instructions` differs by up to 1 % from start to start; use <= or >="),
            ("instructions != 5", "`instructions` differs by up to 1 % from start to start; use <= or >="),
            ("p99_scan == 1s", "`p99_scan` is measured, and never the same twice; use <= or >="),
            ("verdicts_sha256 >= base", "`verdicts_sha256` is a hash: it is == or != `base`, or a hash in quotes"),
            ("verdicts_sha256 == 'ab", "a quote is not closed"),
            ("tpr >= 'ab'", "`tpr` is a number, and is compared with one"),
        ] {
            let error = parse(Subject::Scan, typed).unwrap_err();
            assert!(error.contains(said), "{typed}: {error}");
        }
        for nested in ["(", "-"] {
            let deep = format!("tpr >= {}1", nested.repeat(1000));
            assert!(parse(Subject::Scan, &deep).unwrap_err().contains("it is nested too deep"));
        }
    }

    fn answer(subject: Subject, typed: &str, figure: Known, base: Base) -> Answer {
        parse(subject, typed).unwrap().judge(&Evidence { figure: Ok(figure), base }, 0.95)
    }

    #[test]
    fn exact_figures_pass_or_fail_as_they_are() {
        let exact = |typed: &str, figure: f64, base: f64| {
            let number = |number| Known::Exact(Value::Number(number));
            answer(Subject::Replay, typed, number(figure), Base::Paired(number(base))).outcome
        };
        assert_eq!(exact("tpr >= 0.9", 0.9, 0.0), Outcome::Pass);
        assert_eq!(exact("tpr >= 0.9", 0.9f64.next_down(), 0.0), Outcome::Fail);
        assert_eq!(exact("nct_per_bounty >= base - 1%", 0.99, 1.0), Outcome::Pass);
        assert_eq!(exact("nct_per_bounty >= base - 1%", 0.98, 1.0), Outcome::Fail);
        assert_eq!(exact("nct_per_bounty >= base - 1%", -1.0, -1.0), Outcome::Pass, "nothing changed");
        assert_eq!(exact("nct_per_bounty >= base - 1%", -1.02, -1.0), Outcome::Fail);
        assert_eq!(exact("profit_nct > -5 NCT", -4.0, 0.0), Outcome::Pass);
        assert_eq!(exact("rank == 1", 1.0, 0.0), Outcome::Pass);
        assert_eq!(exact("rank != base", 1.0, 1.0), Outcome::Fail);

        let hash = |typed: &str, base: &str| {
            let text = |text: &str| Known::Exact(Value::Text(text.to_owned()));
            answer(Subject::Replay, typed, text("ab12"), Base::Paired(text(base))).outcome
        };
        assert_eq!(hash("decisions_sha256 == base", "ab12"), Outcome::Pass);
        assert_eq!(hash("decisions_sha256 == base", "ab13"), Outcome::Fail);
        assert_eq!(hash("decisions_sha256 != base", "ab13"), Outcome::Pass);
        assert_eq!(hash("decisions_sha256 == 'AB12'", "-"), Outcome::Pass);
    }

    #[test]
    fn a_bound_that_is_no_number_tells_nothing() {
        let found = |typed: &str| {
            let zero = || Known::Exact(Value::Number(0.0));
            let found = answer(Subject::Replay, typed, zero(), Base::Paired(zero()));
            (found.outcome, found.bound, found.why)
        };
        for typed in ["rank >= base * base / base", "rank <= base * (1 / (1 - 1))"] {
            assert_eq!(found(typed), (Outcome::CannotTell, None, "the right side is no finite number for that `base`".to_owned()));
        }
    }

    #[test]
    fn what_is_counted_differs_a_little_from_start_to_start() {
        let found = |typed: &str, figure: f64| {
            let base = Base::Paired(Known::Counted(1e6));
            answer(Subject::Scan, typed, Known::Counted(figure), base).outcome
        };
        use Outcome::{CannotTell, Fail, Pass};
        assert_eq!(
            [0.98e6, 0.993e6, 1.007e6, 1.02e6].map(|count| found("instructions <= base", count)),
            [Pass, CannotTell, CannotTell, Fail]
        );
        assert_eq!([0.98e6, 1.007e6, 1.02e6].map(|count| found("instructions >= base", count)), [Fail, CannotTell, Pass]);
        assert_eq!(found("instructions <= base + 2%", 1.007e6), Pass);
        assert_eq!([0.98e6, 1.02e6].map(|count| found("instructions <= 1000000", count)), [Pass, Fail]);
    }

    /// Rounds around `middle` that differ by up to `spread`, as a share; the same ones every time.
    fn rounds(middle: f64, spread: f64, count: usize) -> Vec<f64> {
        let mut chance = engine::chance::Key::root(1).stream();
        (0..count).map(|_| middle * (1.0 + spread * (2.0 * chance.uniform() - 1.0))).collect()
    }

    fn paired(typed: &str, ours: Vec<f64>, base: Vec<f64>) -> Answer {
        answer(Subject::Scan, typed, Known::Rounds(ours), Base::Paired(Known::Rounds(base)))
    }

    #[test]
    fn measured_figures_are_judged_by_their_whole_interval() {
        let gate = "files_per_s >= base * 0.95";
        // What both sides share is no noise: rounds differ by half, ratios do not.
        let shared = rounds(100.0, 0.5, 20);
        let ratio = |ratio: f64, spread: f64| -> Vec<f64> {
            shared.iter().zip(rounds(ratio, spread, 40).split_off(20)).map(|(round, ratio)| round * ratio).collect()
        };
        assert_eq!(paired(gate, ratio(1.0, 0.01), shared.clone()).outcome, Outcome::Pass);
        assert_eq!(paired(gate, ratio(0.9, 0.01), shared.clone()).outcome, Outcome::Fail);
        assert_eq!(paired(gate, ratio(0.95, 0.2), shared.clone()).outcome, Outcome::CannotTell);
        let seconds = paired("p99_scan <= base * 1.5", ratio(2.0, 0.01), shared.clone());
        assert_eq!(seconds.outcome, Outcome::Fail);
        let margin = seconds.margin.unwrap();
        assert!((margin.estimate - 1.0 / 3.0).abs() < 0.01 && margin.low < margin.high, "{margin:?}");
        assert_eq!(paired("p99_scan <= 2s", rounds(0.1, 0.3, 10), Vec::new()).outcome, Outcome::Pass);
        let few = paired(gate, shared[..9].to_vec(), shared[..9].to_vec());
        assert_eq!((few.outcome, few.why.as_str()), (Outcome::CannotTell, "of 9 rounds no interval can be stated: it takes 10"));
    }

    #[test]
    fn what_was_measured_at_another_time_may_have_drifted() {
        let gate = "files_per_s >= base * 0.95";
        let earlier = |ours: f64, drift: f64| {
            let base = Base::Earlier { known: Known::Rounds(rounds(100.0, 0.01, 20)), drift };
            answer(Subject::Scan, gate, Known::Rounds(rounds(ours, 0.01, 20)), base).outcome
        };
        assert_eq!([earlier(100.0, 0.0), earlier(90.0, 0.0)], [Outcome::Pass, Outcome::Fail]);
        assert_eq!([earlier(100.0, 0.1), earlier(90.0, 0.1)], [Outcome::CannotTell; 2]);
        assert_eq!(earlier(70.0, 0.1), Outcome::Fail);
        let none = answer(Subject::Scan, gate, Known::Rounds(rounds(1.0, 0.0, 20)), Base::None("gone".to_owned()));
        assert_eq!((none.outcome, none.why.as_str()), (Outcome::CannotTell, "gone"));
    }

    #[test]
    fn looking_again_and_more_gates_leave_less_to_chance() {
        assert_eq!([0, 1, 2].map(|look| level(0.95, look, 1)), [0.975, 0.9875, 0.99375]);
        assert!((level(0.9, 0, 2) - 0.975).abs() < 1e-12);
        // All looks of all gates together.
        let doubt: f64 = (0..30).map(|look| 3.0 * (1.0 - level(0.95, look, 3))).sum();
        assert!(doubt <= 0.05 + 1e-9, "{doubt}");
    }

    #[test]
    fn the_middle_is_that_of_ratios_where_there_are_some() {
        assert_eq!(middle(&[]), None);
        assert!((middle(&[1.0, 4.0]).unwrap() - 2.0).abs() < 1e-12);
        assert_eq!(middle(&[0.0, 4.0]), Some(2.0));
        assert_eq!(middle(&[0.1; 3]), Some(0.1));
        assert!((middle(&[1.0, 1.01, 0.99, 1.0, 50.0]).unwrap() - 1.0).abs() < 0.02);
    }
}
