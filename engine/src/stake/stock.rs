//! The strategies that polyswarm-client ships: a line from a low to a high bid, climbed with confidence.
//!
//! lo = min without a first multiplier, else max(min·m1, min); hi = max without a second, else min(min·m2, max);
//! bid = trunc(lo + (hi - lo)·confidence), in f64 as the client does it, and not clamped: a confidence beyond 1 gives
//! a bid that the market rejects. Where the rules know no greatest bid, it is 32 times the least, as in the client of
//! that time.
//!
//! `stock/webhook` is the bid of its webhook example: the default's line, clamped to the limits, and never below the least
//! bid for a negative confidence.
//!
//! With `?cautious=true` the confidence is that of the interval's less favourable end: the less is known, the less is bid.

use market::{nct::Nct, ruleset::RuleSet};

use super::{Entry, Parameter, Parameters, Stake, Staker, StrategyError, on_each_verdict};
use crate::{chance::Stream, distill::DistilledVerdict, market_view::MarketView};

const LINE: &str = "trunc(lo + (hi - lo) conf), lo = max(m1 min, min), hi = min(m2 min, max)";
const CAUTIOUS: &[Parameter] = &[Parameter::new("cautious", "false", "`true`: by the less favourable end of the confidence's interval")];
const CLIENT: &str = "polyswarm-client, bidstrategy";

pub(super) const CONSERVATIVE: Entry = Entry {
    name: "stock/conservative",
    meaning: "the least bid, as polyswarm-client's conservative strategy",
    formula: "min, whatever the confidence",
    parameters: CAUTIOUS,
    source: CLIENT,
    make: |parameters| Stock::CONSERVATIVE.parse(parameters),
};
pub(super) const DEFAULT: Entry = Entry {
    name: "stock/default",
    meaning: "from least to greatest bid with confidence, as polyswarm-client's default strategy; with ?cautious=true by the lower end of the confidence's interval",
    formula: "trunc(min + (max - min) conf), in f64, not clamped; without a greatest bid in the rules, max = 32 min",
    parameters: CAUTIOUS,
    source: CLIENT,
    make: |parameters| Stock::DEFAULT.parse(parameters),
};
pub(super) const AGGRESSIVE: Entry = Entry {
    name: "stock/aggressive",
    meaning: "from eight times the least to the greatest bid with confidence, as polyswarm-client's aggressive strategy",
    formula: LINE,
    parameters: CAUTIOUS,
    source: CLIENT,
    make: |parameters| Stock::AGGRESSIVE.parse(parameters),
};
pub(super) const WEBHOOK: Entry = Entry {
    name: "stock/webhook",
    meaning: "from least to greatest bid with confidence, clamped, as polyswarm's webhook example",
    formula: "trunc(min(min + max(conf (max - min), 0), max)); a missing confidence is 1",
    parameters: &[],
    source: "polyswarm's webhook participant example",
    make: |_| Ok(Box::new(Webhook)),
};

/// Multipliers of the least bid.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Stock {
    low: Option<f64>,
    high: Option<f64>,
    cautious: bool,
}

impl Stock {
    /// The least bid at any confidence.
    pub const CONSERVATIVE: Stock = Stock { low: Some(1.0), high: Some(1.0), cautious: false };
    /// From the least to the greatest bid.
    pub const DEFAULT: Stock = Stock { low: None, high: None, cautious: false };
    /// From eight times the least to the greatest bid.
    pub const AGGRESSIVE: Stock = Stock { low: Some(8.0), high: None, cautious: false };

    /// The same with the parameters of a specification such as `stock/default?cautious=true`.
    ///
    /// # Errors
    ///
    /// If it has other parameters than `cautious`.
    fn parse(self, parameters: &mut Parameters<'_>) -> Result<Box<dyn Staker>, StrategyError> {
        Ok(Box::new(Stock { cautious: parameters.flag("cautious", false)?, ..self }))
    }

    /// The bid at `confidence` under `rules`.
    #[inline]
    pub fn bid(&self, rules: &RuleSet, confidence: f64) -> Nct {
        let (minimum, maximum) = range(rules);
        let low = self.low.map_or(minimum, |times| (minimum * times).max(minimum));
        let high = self.high.map_or(maximum, |times| (minimum * times).min(maximum));
        Nct::wei((low + (high - low) * confidence) as u128)
    }
}

/// Least and greatest bid, in wei as the client has them.
#[inline]
pub(super) fn range(rules: &RuleSet) -> (f64, f64) {
    let wei = |amount: Nct| amount.to_wei().map_or(f64::INFINITY, |wei| wei as f64);
    let minimum = wei(rules.bid_minimum);
    (minimum, rules.bid_maximum.map_or(32.0 * minimum, wei))
}

/// The strategy of the webhook example.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Webhook;

impl Webhook {
    /// The bid at `confidence` under `rules`.
    pub fn bid(rules: &RuleSet, confidence: f64) -> Nct {
        let (minimum, maximum) = range(rules);
        let bid = Nct::wei((minimum + (confidence * (maximum - minimum)).max(0.0)) as u128);
        // A float may be some wei beyond the limit that it stands for.
        bid.min(rules.bid_maximum.unwrap_or(Nct::wei(maximum as u128)))
    }
}

impl Staker for Webhook {
    fn stake(&mut self, view: &MarketView<'_>, verdicts: &[Option<DistilledVerdict>], _: &mut Stream, stakes: &mut Vec<Option<Stake>>) {
        on_each_verdict(view, verdicts, stakes, |view, verdict, factor| Webhook::bid(view.rules, factor * verdict.confidence()));
    }
}

impl Staker for Stock {
    fn stake(&mut self, view: &MarketView<'_>, verdicts: &[Option<DistilledVerdict>], _: &mut Stream, stakes: &mut Vec<Option<Stake>>) {
        let confidence = if self.cautious { DistilledVerdict::cautious_confidence } else { DistilledVerdict::confidence };
        on_each_verdict(view, verdicts, stakes, |view, verdict, factor| self.bid(view.rules, factor * confidence(verdict)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use market::ruleset::BOUNTY_REGISTRY_1_6_1;

    #[test]
    fn bids_are_those_of_the_client_to_the_wei() {
        let check = |stock: Stock, confidence, wei| assert_eq!(stock.bid(&BOUNTY_REGISTRY_1_6_1, confidence), Nct::wei(wei));
        for (confidence, default, aggressive) in [
            (0.0, 62_500_000_000_000_000, 500_000_000_000_000_000),
            (0.5, 531_250_000_000_000_000, 750_000_000_000_000_000),
            (0.8, 812_500_000_000_000_000, 900_000_000_000_000_000),
        ] {
            check(Stock::CONSERVATIVE, confidence, 62_500_000_000_000_000);
            check(Stock::DEFAULT, confidence, default);
            check(Stock::AGGRESSIVE, confidence, aggressive);
        }
    }
}
