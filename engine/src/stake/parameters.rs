//! Parameters behind the `?` of a strategy's name: `name?key=value&key=value`.
//!
//! `base=` names another strategy, and what follows it, to the end, is that strategy's, parameters and all:
//! `dd-cap?most=0.1&base=vol-target?base=fixed?bid=0.5`.

use std::{collections::BTreeMap, ops::RangeInclusive};

use market::nct::Nct;

use super::{Parameter, Staker};

/// Strategies within strategies.
const DEPTH: usize = 8;

/// What was given, and what there is.
#[derive(Debug, Default)]
pub struct Parameters<'a> {
    pub(super) strategy: &'a str,
    values: BTreeMap<&'a str, &'a str>,
    /// What the catalogue says that the strategy takes.
    pub(super) documented: &'static [Parameter],
}

/// Why a strategy cannot be had.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StrategyError {
    /// There is none of that name.
    #[error("unknown strategy `{name}`; {suggestion}")]
    Unknown { name: String, suggestion: String },
    /// It has no such parameter.
    #[error("strategy `{strategy}` has no parameter `{key}`; it takes {known}")]
    UnknownParameter { strategy: String, key: String, known: String },
    /// The value of a parameter is unusable.
    #[error("strategy `{strategy}`: `{key}={value}` is not {expected}")]
    BadValue { strategy: String, key: String, value: String, expected: String },
    /// It is not for everybody.
    #[error("`{strategy}` is for the engine under test only: {reason}")]
    EngineOnly { strategy: String, reason: &'static str },
}

impl<'a> Parameters<'a> {
    pub(super) fn parse(specification: &'a str) -> Result<Parameters<'a>, StrategyError> {
        let (strategy, mut rest) = specification.split_once('?').unwrap_or((specification, ""));
        let mut parameters = Parameters { strategy, ..Parameters::default() };
        if specification.matches('?').count() > DEPTH {
            return Err(parameters.bad("base", "…", "a strategy within at most seven others"));
        }
        while !rest.is_empty() {
            let (pair, following) = match rest.split_once('&') {
                Some(split) if !rest.starts_with("base=") => split,
                _ => (rest, ""),
            };
            rest = following;
            if pair.is_empty() {
                continue;
            }
            let (key, value) = pair.split_once('=').ok_or_else(|| parameters.bad(pair, "", "of the form key=value"))?;
            if parameters.values.insert(key, value).is_some() {
                return Err(parameters.bad(key, value, "said only once"));
            }
        }
        Ok(parameters)
    }

    pub(super) fn bad(&self, key: &str, value: &str, expected: impl Into<String>) -> StrategyError {
        let own = |text: &str| text.to_owned();
        StrategyError::BadValue { strategy: own(self.strategy), key: own(key), value: own(value), expected: expected.into() }
    }

    /// Takes what was given, or else what the catalogue says.
    fn take(&mut self, key: &'static str) -> &'a str {
        let documented = || self.documented.iter().find(|parameter| parameter.name == key).map(|parameter| parameter.default);
        self.values.remove(key).or_else(documented).expect("a parameter stands in the catalogue")
    }

    /// Takes an amount, or `default` if it is not given.
    ///
    /// # Errors
    ///
    /// If it is no amount.
    pub fn amount(&mut self, key: &'static str, default: Nct) -> Result<Nct, StrategyError> {
        let Some(value) = self.values.remove(key) else { return Ok(default) };
        let sane = |amount: &Nct| *amount <= Nct::whole(1_000_000_000_000);
        let expected = "an amount such as `0.5` (in NCT) or `500000000000000000wei`";
        value.parse().ok().filter(sane).ok_or_else(|| self.bad(key, value, expected))
    }

    /// Takes a yes or no, or `default` if it is not given.
    ///
    /// # Errors
    ///
    /// If it is neither.
    pub fn flag(&mut self, key: &'static str, default: bool) -> Result<bool, StrategyError> {
        let Some(value) = self.values.remove(key) else { return Ok(default) };
        value.parse().map_err(|_| self.bad(key, value, "`true` or `false`"))
    }

    /// Takes a number; the catalogue knows its default.
    ///
    /// # Errors
    ///
    /// If it is none, or out of range.
    pub(super) fn number(&mut self, key: &'static str, range: RangeInclusive<f64>) -> Result<f64, StrategyError> {
        let value = self.take(key);
        let expected = || format!("a number from {} to {}", range.start(), range.end());
        value.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| self.bad(key, value, expected()))
    }

    /// Takes a count; the catalogue knows its default.
    ///
    /// # Errors
    ///
    /// If it is none, or out of range.
    pub(super) fn count(&mut self, key: &'static str, range: RangeInclusive<usize>) -> Result<usize, StrategyError> {
        let value = self.take(key);
        let expected = || format!("a whole number from {} to {}", range.start(), range.end());
        value.parse().ok().filter(|count| range.contains(count)).ok_or_else(|| self.bad(key, value, expected()))
    }

    /// Takes a text; the catalogue knows its default.
    #[cfg(feature = "scanners")]
    pub(super) fn text(&mut self, key: &'static str) -> &'a str {
        self.take(key)
    }

    /// Takes the strategy that this one is based on.
    ///
    /// # Errors
    ///
    /// If there is none of that name, or its parameters are wrong.
    pub(super) fn base(&mut self) -> Result<Box<dyn Staker>, StrategyError> {
        super::build(self.take("base"))
    }

    /// Nothing may be left over; `known` are the parameters that there are.
    ///
    /// # Errors
    ///
    /// Names one that was not taken.
    pub fn finish(&self, known: &[&str]) -> Result<(), StrategyError> {
        let Some(key) = self.values.keys().next() else { return Ok(()) };
        let known = if known.is_empty() { "none".to_owned() } else { format!("`{}`", known.join("`, `")) };
        Err(StrategyError::UnknownParameter { strategy: self.strategy.to_owned(), key: (*key).to_owned(), known })
    }
}
