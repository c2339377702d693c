//! Staking strategies: how much to put on a distilled verdict, and whether at all. One rule a file, with its formula,
//! parameters, defaults and source; [`CATALOGUE`] lists them all.
//!
//! A strategy is named by `name` or `name?key=value&key=value`. Decisions are taken in f64 and NCT; [`placing`] makes wei of
//! them, in one place (only those that repeat a client's own arithmetic do without).

pub mod parameters; // what stands behind the `?`
pub mod optimum; // the best stake, in closed form where there is one
pub mod placing; // beliefs and limits; from a wish in NCT to a stake in wei
pub mod pools; // what others stake: recent pools, and their distribution
pub mod levels; // learning which of a few bids pays
pub mod adahedge;
pub mod average;
#[cfg(feature = "scanners")]
pub mod command;
pub mod drawdown_cap;
pub mod exp3_ix;
pub mod fixed;
pub mod ftrl;
pub mod hedge;
pub mod kelly_odds;
pub mod linear;
pub mod null;
pub mod pari_mutuel;
pub mod pari_mutuel_model;
pub mod stock;
pub mod thompson;
pub mod threshold;
pub mod ucb;
pub mod vol_target;

use std::{fmt::Debug, sync::OnceLock};

use market::nct::Nct;

pub use self::{
    optimum::Limits,
    parameters::{Parameters, StrategyError},
};

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

/// A strategy of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// What it does, in a line.
    pub meaning: &'static str,
    /// How it reckons.
    pub formula: &'static str,
    /// What can be set.
    pub parameters: &'static [Parameter],
    /// Where it comes from.
    pub source: &'static str,
    make: fn(&mut Parameters<'_>) -> Result<Box<dyn Staker>, StrategyError>,
}

/// Something that can be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it is if nothing is said; empty if something must be.
    pub default: &'static str,
    /// What it means, and its unit.
    pub meaning: &'static str,
}

impl Parameter {
    const fn new(name: &'static str, default: &'static str, meaning: &'static str) -> Parameter {
        Parameter { name, default, meaning }
    }
}

/// Every strategy that an engine can use. What is not in here is not compiled without a warning.
pub const CATALOGUE: &[Entry] = &[
    null::ABSTAIN,
    null::MIN,
    null::RANDOM,
    null::MAL,
    null::BEN,
    stock::CONSERVATIVE,
    stock::DEFAULT,
    stock::AGGRESSIVE,
    average::AVERAGE,
    stock::WEBHOOK,
    fixed::FIXED,
    linear::LINEAR,
    threshold::THRESHOLD,
    kelly_odds::KELLY_ODDS,
    pari_mutuel::EV,
    pari_mutuel_model::EV_MODEL,
    pari_mutuel::EV_MU,
    pari_mutuel::KELLY,
    pari_mutuel::SIDES,
    vol_target::VOL_TARGET,
    drawdown_cap::DD_CAP,
    adahedge::ADAHEDGE,
    hedge::HEDGE,
    ftrl::FTRL,
    exp3_ix::EXP3_IX,
    ucb::UCB,
    thompson::THOMPSON,
    pari_mutuel::FICTITIOUS,
    pari_mutuel::BEST_RESPONSE,
    #[cfg(feature = "scanners")]
    command::COMMAND,
];

/// The strategy of that specification.
///
/// # Errors
///
/// If there is none of that name, or its parameters are wrong.
pub fn build(specification: &str) -> Result<Box<dyn Staker>, StrategyError> {
    let mut parameters = Parameters::parse(specification)?;
    let name = parameters.strategy;
    if let Some(entry) = CATALOGUE.iter().find(|entry| entry.name == name) {
        parameters.documented = entry.parameters;
        let staker = (entry.make)(&mut parameters)?;
        parameters.finish(&entry.parameters.iter().map(|parameter| parameter.name).collect::<Vec<_>>())?;
        return Ok(staker);
    }
    match own().iter().find(|(known, ..)| *known == name) {
        Some((_, _, make)) => make(parameters),
        None => Err(unknown(name, names())),
    }
}

/// Names of all strategies that an engine can use.
pub fn names() -> impl Iterator<Item = &'static str> {
    CATALOGUE.iter().map(|entry| entry.name).chain(own().iter().map(|(name, ..)| *name))
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

/// The name of a strategy, and those of its bases.
pub fn names_in(specification: &str) -> impl Iterator<Item = &str> {
    specification.split("base=").map(|part| part.split('?').next().unwrap_or(part))
}

/// True if a program or a strategy of somebody's own takes part in it: another time, it may answer otherwise.
pub fn is_foreign(specification: &str) -> bool {
    names_in(specification).any(|name| name == "command" || own().iter().any(|&(own, ..)| own == name))
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
        for entry in CATALOGUE.iter().filter(|entry| entry.parameters.iter().all(|parameter| !parameter.default.is_empty())) {
            // What the catalogue says of defaults is so.
            let pairs: Vec<String> = entry.parameters.iter().map(|parameter| format!("{}={}", parameter.name, parameter.default)).collect();
            let said = build(&format!("{}?{}", entry.name, pairs.join("&"))).unwrap();
            assert_eq!(format!("{said:?}"), format!("{:?}", build(entry.name).unwrap()));
            assert!(entry.parameters.iter().rev().skip(1).all(|parameter| parameter.name != "base"), "{}: a base comes last", entry.name);
        }
    }

    #[test]
    fn a_base_takes_the_rest() {
        let capped = build("dd-cap?most=0.1&base=vol-target?half_life=50&base=fixed?bid=0.25").unwrap();
        let shown = format!("{capped:?}");
        assert!(shown.contains("most: 0.1") && shown.contains("half_life: 50") && shown.contains("Fixed"), "{shown}");
        assert!(build("dd-cap?base=fixed?bit=1").unwrap_err().to_string().contains("takes `bid`"));
        assert!(build(&"dd-cap?base=".repeat(30)).unwrap_err().to_string().contains("at most seven"));
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
