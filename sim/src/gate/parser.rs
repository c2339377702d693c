//! The right side of a gate, read from left to right: sums of products of factors, with the power of the figure's unit that
//! each of them has.

use super::Expression;
use crate::{figures::Unit, text};

/// Deepest nesting of an expression.
const DEPTH: usize = 64;

/// Reads an expression that is compared with a figure in that unit; answers which power of the unit it has, if that is sure.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn parse(typed: &str, unit: Unit) -> Result<(Expression, Power), String> {
    let mut parser = Parser { rest: typed, unit, depth: 0 };
    let (bound, power) = parser.sum()?;
    parser.end()?;
    if power == Power::Any {
        counted(&bound, unit)?;
    }
    if unit == Unit::Share && beyond(&bound) {
        return Err("the figure is from 0 to 1, or to 100 %; percentages have their sign, as in `5%`".to_owned());
    }
    Ok((bound, power))
}

/// Refuses a bare number as an amount where nobody can know what it counts: such a gate would hold or fail by factors of thousands.
fn counted(amount: &Expression, unit: Unit) -> Result<(), String> {
    let number = amount.value(f64::NAN);
    match unit {
        _ if !number.is_finite() || number == 0.0 => Ok(()),
        Unit::Seconds => Err(format!("{number} of what? Write `{number}s`, or `{number}ms`")),
        Unit::Bytes => Err(format!("{number} of what? Write `{number}B`, or `{number}MB`")),
        _ => Ok(()),
    }
}

/// Whether that is no share, or `base` and something that is none: every gate with it holds, or none does.
fn beyond(bound: &Expression) -> bool {
    let outside = |side: &Expression| {
        let number = side.value(f64::NAN);
        number.is_finite() && number.abs() > 1.0
    };
    match bound {
        Expression::Sum(one, other) | Expression::Difference(one, other) => match (&**one, &**other) {
            (Expression::Base, side) | (side, Expression::Base) => outside(side),
            _ => outside(bound),
        },
        _ => outside(bound),
    }
}

/// Which power of the figure's unit an expression has: a bare number may be an amount or a factor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Power {
    Any,
    Exactly(i32),
}

type Parsed = Result<(Expression, Power), String>;

struct Parser<'a> {
    rest: &'a str,
    /// Of the figure.
    unit: Unit,
    depth: usize,
}

impl Parser<'_> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Takes a symbol if it comes next.
    fn take(&mut self, symbol: char) -> bool {
        self.skip();
        let taken = self.rest.strip_prefix(symbol);
        self.rest = taken.unwrap_or(self.rest);
        taken.is_some()
    }

    fn end(&mut self) -> Result<(), String> {
        self.skip();
        if self.rest.is_empty() { Ok(()) } else { Err(format!("{} is not understood", text::quote(self.rest))) }
    }

    fn sum(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err("it is nested too deep".to_owned());
        }
        let (mut left, mut power) = self.product()?;
        loop {
            let sign = match (self.take('+'), self.take('-')) {
                (true, _) => 1.0,
                (_, true) => -1.0,
                _ => break,
            };
            if let Some(share) = self.percentage() {
                left = Expression::Changed(Box::new(left), sign * share);
                continue;
            }
            let (right, other) = self.product()?;
            power = match (power, other) {
                (Power::Any, Power::Exactly(1)) => counted(&left, self.unit).map(|()| other)?,
                (Power::Exactly(1), Power::Any) => counted(&right, self.unit).map(|()| power)?,
                (Power::Any, other) => other,
                (power, Power::Any) => power,
                (power, other) if power == other => power,
                _ => return Err("amounts and plain numbers are added up; write percentages alone, as in `base - 5%`".to_owned()),
            };
            let (left_side, right_side) = (Box::new(left), Box::new(right));
            left = if sign > 0.0 { Expression::Sum(left_side, right_side) } else { Expression::Difference(left_side, right_side) };
        }
        self.depth -= 1;
        Ok((left, power))
    }

    fn product(&mut self) -> Parsed {
        let (mut left, mut power) = self.factor()?;
        loop {
            let times = match (self.take('*'), self.take('/')) {
                (true, _) => true,
                (_, true) => false,
                _ => return Ok((left, power)),
            };
            let (right, other) = self.factor()?;
            let sign = if times { 1 } else { -1 };
            power = match (power, other) {
                (Power::Any, Power::Any) => Power::Any,
                (Power::Exactly(power), Power::Any) => Power::Exactly(power),
                (Power::Any, Power::Exactly(other)) => Power::Exactly(sign * other),
                (Power::Exactly(power), Power::Exactly(other)) => Power::Exactly(power.saturating_add(sign.saturating_mul(other))),
            };
            if !times && right == Expression::Number(0.0) {
                return Err("it divides by zero".to_owned());
            }
            let (left_side, right_side) = (Box::new(left), Box::new(right));
            left = if times { Expression::Product(left_side, right_side) } else { Expression::Quotient(left_side, right_side) };
        }
    }

    fn factor(&mut self) -> Parsed {
        if self.take('(') {
            let inner = self.sum()?;
            return if self.take(')') { Ok(inner) } else { Err("a `(` is not closed".to_owned()) };
        }
        if self.take('-') {
            self.depth += 1;
            if self.depth > DEPTH {
                return Err("it is nested too deep".to_owned());
            }
            let (inner, power) = self.factor()?;
            self.depth -= 1;
            return Ok((Expression::Product(Box::new(Expression::Number(-1.0)), Box::new(inner)), power));
        }
        self.skip();
        if let Some(quote) = self.rest.chars().next().filter(|c| matches!(c, '\'' | '"')) {
            let (inside, rest) = self.rest[1..].split_once(quote).ok_or("a quote is not closed")?;
            self.rest = rest;
            return Ok((Expression::Text(inside.to_owned()), Power::Any));
        }
        if self.rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            let number = self.number()?;
            return self.unit(number);
        }
        let word = self.word();
        match word.as_str() {
            "base" => Ok((Expression::Base, Power::Exactly(1))),
            "" if self.rest.is_empty() => Err("the right side ends too soon".to_owned()),
            "" => Err(format!("{} is not understood", text::quote(self.rest))),
            _ => Err(format!("{} is neither `base` nor a number", text::quote(&word))),
        }
    }

    /// A percentage that is not a factor of something.
    fn percentage(&mut self) -> Option<f64> {
        let before = self.rest;
        self.skip();
        let share = self.number().ok().filter(|_| self.take('%'));
        let factor = { self.rest.trim_start().starts_with(['*', '/']) };
        if share.is_none() || factor {
            self.rest = before;
            return None;
        }
        share.map(|share| share / 100.0)
    }

    fn number(&mut self) -> Result<f64, String> {
        let bytes = self.rest.as_bytes();
        let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'_')).count();
        let mut end = digits(0);
        // `2e3`, but not `2 exa...`.
        if bytes.get(end).is_some_and(|byte| matches!(byte, b'e' | b'E')) {
            let sign = usize::from(bytes.get(end + 1).is_some_and(|byte| matches!(byte, b'+' | b'-')));
            let more = digits(end + 1 + sign);
            end += if more > 0 { 1 + sign + more } else { 0 };
        }
        let (number, rest) = self.rest.split_at(end);
        let parsed: f64 = number.replace('_', "").parse().map_err(|_| format!("{} is no number", text::quote(self.rest)))?;
        self.rest = rest;
        if parsed.is_finite() { Ok(parsed) } else { Err(format!("{number} is too large")) }
    }

    fn word(&mut self) -> String {
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_owned()
    }

    /// A number with the unit that follows it, in the figure's own.
    fn unit(&mut self, number: f64) -> Parsed {
        if self.take('%') {
            let power = if self.unit == Unit::Share { Power::Any } else { Power::Exactly(0) };
            return Ok((Expression::Number(number / 100.0), power));
        }
        self.skip();
        let word = self.word();
        let (unit, factor) = match word.as_str() {
            "" => return Ok((Expression::Number(number), Power::Any)),
            "ns" => (Unit::Seconds, 1e-9),
            "us" | "µs" => (Unit::Seconds, 1e-6),
            "ms" => (Unit::Seconds, 1e-3),
            "s" => (Unit::Seconds, 1.0),
            "min" => (Unit::Seconds, 60.0),
            "B" | "bytes" => (Unit::Bytes, 1.0),
            "kB" => (Unit::Bytes, 1e3),
            "MB" => (Unit::Bytes, 1e6),
            "GB" => (Unit::Bytes, 1e9),
            "KiB" => (Unit::Bytes, 1024.0),
            "MiB" => (Unit::Bytes, 1024.0 * 1024.0),
            "GiB" => (Unit::Bytes, 1024.0 * 1024.0 * 1024.0),
            "NCT" => (Unit::Nct, 1.0),
            _ => {
                let units = "ns, us, ms, s, min, B, kB, MB, GB, KiB, MiB, GiB, NCT, %";
                return Err(format!("{} is no unit; there are {units}", text::quote(&word)));
            }
        };
        if unit != self.unit {
            return Err(format!("`{number}{word}` is not in {}, as the figure is", self.unit.name()));
        }
        Ok((Expression::Number(number * factor), Power::Exactly(1)))
    }
}
