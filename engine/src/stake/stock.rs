//! The strategies that polyswarm-client ships: a line from a low to a high bid, climbed with confidence.
//!
//! lo = min without a first multiplier, else max(min·m1, min); hi = max without a second, else min(min·m2, max);
//! bid = trunc(lo + (hi - lo)·confidence), in f64 as the client does it, and not clamped: a confidence beyond 1 gives
//! a bid that the market rejects. Where the rules know no greatest bid, it is 32 times the least, as in the client of
//! that time.
//!
//! With `?cautious=true` the confidence is that of the interval's less favourable end: the less is known, the less is bid.

use market::{nct::Nct, ruleset::RuleSet};

use super::{Parameters, Stake, Staker, StrategyError, on_each_verdict};
use crate::{chance::Stream, distill::DistilledVerdict, market_view::MarketView};

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
    pub(super) fn parse(self, mut parameters: Parameters<'_>) -> Result<Stock, StrategyError> {
        let cautious = parameters.flag("cautious", false)?;
        parameters.finish(&["cautious"])?;
        Ok(Stock { cautious, ..self })
    }

    /// The bid at `confidence` under `rules`.
    #[inline]
    pub fn bid(&self, rules: &RuleSet, confidence: f64) -> Nct {
        let wei = |amount: Nct| amount.to_wei().map_or(f64::INFINITY, |wei| wei as f64);
        let minimum = wei(rules.bid_minimum);
        let maximum = rules.bid_maximum.map_or(32.0 * minimum, wei);
        let low = self.low.map_or(minimum, |times| (minimum * times).max(minimum));
        let high = self.high.map_or(maximum, |times| (minimum * times).min(maximum));
        Nct::wei((low + (high - low) * confidence) as u128)
    }
}

impl Staker for Stock {
    fn stake(&mut self, view: &MarketView<'_>, verdicts: &[Option<DistilledVerdict>], _: &mut Stream, stakes: &mut Vec<Option<Stake>>) {
        let confidence = if self.cautious { DistilledVerdict::cautious_confidence } else { DistilledVerdict::confidence };
        on_each_verdict(view, verdicts, stakes, |view, verdict| self.bid(view.rules, confidence(verdict)));
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
