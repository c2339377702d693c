//! Strategies without any idea, against which every other one has to show its worth.

use super::{Entry, Parameters, Stake, Staker, StrategyError};
use crate::{chance::Stream, distill::DistilledVerdict, market_view::MarketView};

/// One of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Null {
    /// Never asserts.
    Abstain,
    /// The least bid on the own verdict.
    OwnVerdict,
    /// The least bid on the toss of a coin.
    Coin,
    /// The least bid on one side of every artifact that the filter lets through, whatever the verdict, even without one.
    Always {
        /// The side.
        malicious: bool,
    },
}

const fn entry(
    name: &'static str,
    meaning: &'static str,
    formula: &'static str,
    make: fn(&mut Parameters<'_>) -> Result<Box<dyn Staker>, StrategyError>,
) -> Entry {
    Entry { name, meaning, formula, parameters: &[], source: "the yardsticks of every report", make }
}

pub(super) const ABSTAIN: Entry = entry("null/abstain", "never asserts", "0", |_| Ok(Box::new(Null::Abstain)));
pub(super) const MIN: Entry = entry("null/min", "the least bid on the own verdict", "min", |_| Ok(Box::new(Null::OwnVerdict)));
pub(super) const RANDOM: Entry =
    entry("null/random", "the least bid on the toss of a coin", "min, either side with probability 1/2", |_| Ok(Box::new(Null::Coin)));
pub(super) const MAL: Entry = entry("null/mal", "the least bid on malicious, whatever the verdict", "min on malicious", |_| {
    Ok(Box::new(Null::Always { malicious: true }))
});
pub(super) const BEN: Entry = entry("null/ben", "the least bid on benign, whatever the verdict", "min on benign", |_| {
    Ok(Box::new(Null::Always { malicious: false }))
});

impl Staker for Null {
    fn stake(
        &mut self,
        view: &MarketView<'_>,
        verdicts: &[Option<DistilledVerdict>],
        chance: &mut Stream,
        stakes: &mut Vec<Option<Stake>>,
    ) {
        let bid = view.rules.bid_minimum;
        for (artifact, verdict) in verdicts.iter().enumerate() {
            let side = match self {
                _ if view.factor(artifact) == 0.0 => None,
                Null::Abstain => None,
                Null::OwnVerdict => verdict.map(|verdict| verdict.malicious()),
                Null::Coin => Some(chance.below(2) == 1),
                Null::Always { malicious } => Some(*malicious),
            };
            stakes.push(side.map(|malicious| Stake { malicious, bid }));
        }
    }
}
