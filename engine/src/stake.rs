//! Staking strategies: how much to put on a distilled verdict, and whether at all. One file each.
//!
//! A strategy is named by `name` or `name?key=value&key=value`.

pub mod fixed;
pub mod null;
pub mod stock;

use std::{collections::BTreeMap, fmt::Debug, sync::OnceLock};

use market::nct::Nct;

use crate::{chance::Stream, distill::DistilledVerdict, market_view::MarketView, settled::SettledBounty};

/// A side and what is put on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stake {
    /// The side.
    pub malicious: bool,
    /// The bid in wei.
    pub bid: Nct,
}

/// A strategy.
pub trait Staker: Debug + Send {
    /// Decides on every artifact of a bounty: `stakes` receives one entry per verdict, `None` to abstain.
    ///
    /// `chance` is the strategy's own stream for this bounty.
    fn stake(&mut self, view: &MarketView<'_>, verdicts: &[Option<DistilledVerdict>], chance: &mut Stream, stakes: &mut Vec<Option<Stake>>);

    /// True if [`settled`](Staker::settled) makes a difference.
    fn learns(&self) -> bool {
        false
    }

    /// Hears what became of a bounty, if it learns: of every bounty that was scanned, in order of (block, guid), before the
    /// next decision, and of none that was settled in the block of that decision.
    fn settled(&mut self, _settled: &SettledBounty) {}
}

/// A strategy that looks at one artifact at a time: puts `bid(view, verdict, factor)` on the verdict's side, where the
/// factor is the filter's on the confidence.
pub(crate) fn on_each_verdict(
    view: &MarketView<'_>,
    verdicts: &[Option<DistilledVerdict>],
    stakes: &mut Vec<Option<Stake>>,
    bid: impl Fn(&MarketView<'_>, &DistilledVerdict, f64) -> Nct,
) {
    stakes.extend(verdicts.iter().enumerate().map(|(artifact, verdict)| {
        let verdict = verdict.as_ref()?;
        Some(Stake { malicious: verdict.malicious(), bid: bid(view, verdict, view.factor(artifact)) })
    }));
}

/// Parameters behind the `?` of a strategy's name.
#[derive(Debug, Default)]
pub struct Parameters<'a> {
    strategy: &'a str,
    values: BTreeMap<&'a str, &'a str>,
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
    BadValue { strategy: String, key: String, value: String, expected: &'static str },
}

impl<'a> Parameters<'a> {
    fn parse(specification: &'a str) -> Result<Parameters<'a>, StrategyError> {
        let (strategy, rest) = specification.split_once('?').unwrap_or((specification, ""));
        let mut values = BTreeMap::new();
        for pair in rest.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(|| StrategyError::BadValue {
                strategy: strategy.to_owned(),
                key: pair.to_owned(),
                value: String::new(),
                expected: "of the form key=value",
            })?;
            if values.insert(key, value).is_some() {
                return Err(StrategyError::BadValue {
                    strategy: strategy.to_owned(),
                    key: key.to_owned(),
                    value: value.to_owned(),
                    expected: "said only once",
                });
            }
        }
        Ok(Parameters { strategy, values })
    }

    /// Takes an amount, or `default` if it is not given.
    ///
    /// # Errors
    ///
    /// If it is no amount.
    pub fn amount(&mut self, key: &'static str, default: Nct) -> Result<Nct, StrategyError> {
        let Some(value) = self.values.remove(key) else { return Ok(default) };
        let sane = |amount: &Nct| *amount <= Nct::whole(1_000_000_000_000);
        value.parse().ok().filter(sane).ok_or_else(|| StrategyError::BadValue {
            strategy: self.strategy.to_owned(),
            key: key.to_owned(),
            value: value.to_owned(),
            expected: "an amount such as `0.5` (in NCT) or `500000000000000000wei`",
        })
    }

    /// Takes a yes or no, or `default` if it is not given.
    ///
    /// # Errors
    ///
    /// If it is neither.
    pub fn flag(&mut self, key: &'static str, default: bool) -> Result<bool, StrategyError> {
        let Some(value) = self.values.remove(key) else { return Ok(default) };
        value.parse().map_err(|_| StrategyError::BadValue {
            strategy: self.strategy.to_owned(),
            key: key.to_owned(),
            value: value.to_owned(),
            expected: "`true` or `false`",
        })
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

/// Name and meaning of every strategy that an engine can use.
pub const CATALOGUE: &[(&str, &str)] = &[
    ("null/abstain", "never asserts"),
    ("null/min", "the least bid on the own verdict"),
    ("null/random", "the least bid on the toss of a coin"),
    ("null/mal", "the least bid on malicious, whatever the verdict"),
    ("null/ben", "the least bid on benign, whatever the verdict"),
    ("stock/conservative", "the least bid, as polyswarm-client's conservative strategy"),
    (
        "stock/default",
        "from least to greatest bid with confidence, as polyswarm-client's default strategy; with ?cautious=true by the lower end of the confidence's interval",
    ),
    ("stock/aggressive", "from eight times the least to the greatest bid with confidence, as polyswarm-client's aggressive strategy"),
    ("fixed", "the same bid on every verdict: fixed?bid=0.5"),
];

/// The strategy of that specification.
///
/// # Errors
///
/// If there is none of that name, or its parameters are wrong.
pub fn build(specification: &str) -> Result<Box<dyn Staker>, StrategyError> {
    let parameters = Parameters::parse(specification)?;
    if parameters.strategy == "fixed" {
        return Ok(Box::new(fixed::Fixed::parse(specification)?));
    }
    let stock = match parameters.strategy {
        "stock/conservative" => Some(stock::Stock::CONSERVATIVE),
        "stock/default" => Some(stock::Stock::DEFAULT),
        "stock/aggressive" => Some(stock::Stock::AGGRESSIVE),
        _ => None,
    };
    if let Some(stock) = stock {
        return Ok(Box::new(stock.parse(parameters)?));
    }
    let staker: Box<dyn Staker> = match parameters.strategy {
        "null/abstain" => Box::new(null::Null::Abstain),
        "null/min" => Box::new(null::Null::OwnVerdict),
        "null/random" => Box::new(null::Null::Coin),
        "null/mal" => Box::new(null::Null::Always { malicious: true }),
        "null/ben" => Box::new(null::Null::Always { malicious: false }),
        name => {
            let Some((_, _, make)) = own().iter().find(|(known, ..)| *known == name) else {
                return Err(unknown(name, CATALOGUE.iter().map(|(name, _)| *name).chain(own().iter().map(|(name, ..)| *name))));
            };
            return make(parameters);
        }
    };
    parameters.finish(&[])?;
    Ok(staker)
}

/// Makes a strategy of somebody's own from the parameters behind the `?` of its name.
pub type Make = fn(Parameters<'_>) -> Result<Box<dyn Staker>, StrategyError>;

static OWN: OnceLock<&'static [(&'static str, &'static str, Make)]> = OnceLock::new();

/// Makes strategies of one's own known, each with its name, its meaning, and how it is made; to be called once, at the
/// start of a program that then runs `sim` or `microengine` as they are. A name of the [`CATALOGUE`] stays the catalogue's.
///
/// # Panics
///
/// If it was called before.
pub fn register(strategies: &'static [(&'static str, &'static str, Make)]) {
    assert!(OWN.set(strategies).is_ok(), "strategies are registered once");
}

/// What was registered.
pub fn own() -> &'static [(&'static str, &'static str, Make)] {
    OWN.get().copied().unwrap_or_default()
}

/// The error for a name that is none of `names`, with the nearest of them.
pub fn unknown<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> StrategyError {
    let mut near: Vec<(f64, &str)> = names.map(|known| (strsim::jaro_winkler(name, known), known)).collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    let nearest: Vec<String> = near.iter().take(3).map(|(_, known)| format!("`{known}`")).collect();
    let name: String = name.chars().take(60).flat_map(char::escape_debug).collect();
    StrategyError::Unknown { name, suggestion: format!("the nearest are {}; `sim strategies` lists all", nearest.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_strategy_of_the_catalogue_can_be_built() {
        for (name, _) in CATALOGUE {
            build(name).unwrap();
        }
    }

    #[test]
    fn the_cautious_bid_by_the_lower_end_and_bold_ones_by_the_middle() {
        let rules = &market::ruleset::BOUNTY_REGISTRY_1_6_1;
        let verdict = Some(DistilledVerdict { probability: 0.1, interval: (0.05, 0.4) });
        for (specification, confidence) in
            [("stock/default", 0.9), ("stock/default?cautious=false", 0.9), ("stock/default?cautious=true", 0.6)]
        {
            let view = crate::market_view::tests::view(rules);
            let mut stakes = Vec::new();
            build(specification).unwrap().stake(&view, &[verdict], &mut crate::chance::Key::root(1).stream(), &mut stakes);
            assert_eq!(stakes, [Some(Stake { malicious: false, bid: stock::Stock::DEFAULT.bid(rules, confidence) })], "{specification}");
        }
    }

    #[test]
    fn a_misspelt_strategy_hears_of_the_nearest() {
        let text = |specification| build(specification).unwrap_err().to_string();
        assert!(text("stock/agressive").contains("`stock/aggressive`"), "{}", text("stock/agressive"));
        assert!(text("fixed?bit=1").contains("takes `bid`"));
        assert!(text("fixed?bid=much").contains("`bid=much` is not an amount"));
        assert!(text("null/min?x=1").contains("takes none"));
        assert!(text("stock/default?cautious=maybe").contains("is not `true` or `false`"));
        assert!(text("stock/default?bold=true").contains("takes `cautious`"));
    }
}
