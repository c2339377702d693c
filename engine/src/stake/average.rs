//! `stock/avg`: the bid of the client for the contract 1.0.0, where an assertion has one bid for all artifacts.
//!
//! The confidence is the mean over the masked artifacts; lo = low·min, hi = high·min; bid = trunc(lo + (hi - lo)·mean), in
//! f64, clamped to lo and hi, and to the greatest bid where the rules have one. `low=1&high=1` is its conservative strategy.

use market::nct::Nct;

use super::{Entry, Parameter, Stake, Staker, stock};
use crate::{chance::Stream, distill::DistilledVerdict, market_view::MarketView};

pub(super) const AVERAGE: Entry = Entry {
    name: "stock/avg",
    meaning: "one bid by the mean confidence over the artifacts, as polyswarm-client of the contract 1.0.0",
    formula: "trunc(lo + (hi - lo) mean conf), clamped; lo = low min, hi = high min",
    parameters: &[
        Parameter::new("low", "8", "lo as a multiple of the least bid; 1 with high=1 is its conservative strategy"),
        Parameter::new("high", "32", "hi as a multiple of the least bid"),
    ],
    source: "polyswarm-client of 2018, bidstrategy",
    make: |parameters| Ok(Box::new(Average { low: parameters.number("low", 1.0..=1e6)?, high: parameters.number("high", 1.0..=1e6)? })),
};

/// Multiples of the least bid.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Average {
    low: f64,
    high: f64,
}

impl Staker for Average {
    fn stake(&mut self, view: &MarketView<'_>, verdicts: &[Option<DistilledVerdict>], _: &mut Stream, stakes: &mut Vec<Option<Stake>>) {
        let confidence =
            |(artifact, verdict): (usize, &Option<DistilledVerdict>)| Some(view.factor(artifact) * verdict.as_ref()?.confidence());
        let confidences: Vec<f64> = verdicts.iter().enumerate().filter_map(confidence).collect();
        let mean = confidences.iter().sum::<f64>() / confidences.len() as f64;
        let minimum = stock::range(view.rules).0;
        let (low, high) = (minimum * self.low, minimum * self.high.max(self.low));
        let bid = Nct::wei((low + (high - low) * mean).clamp(low, high) as u128);
        let bid = view.rules.bid_maximum.map_or(bid, |maximum| bid.min(maximum));
        stakes.extend(verdicts.iter().map(|verdict| Some(Stake { malicious: verdict.as_ref()?.malicious(), bid })));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chance::Key, market_view::tests::view, stake::build};
    use market::ruleset::{BOUNTY_REGISTRY_1_0_0, BOUNTY_REGISTRY_1_6_1};

    #[test]
    fn all_artifacts_get_the_bid_of_their_mean_confidence() {
        let verdict = |probability| Some(DistilledVerdict { probability, interval: (0.0, 1.0) });
        for (rules, specification, bid) in [
            // 8/16 + (32 - 8)/16 · 0.7
            (&BOUNTY_REGISTRY_1_0_0, "stock/avg", "1.55"),
            (&BOUNTY_REGISTRY_1_6_1, "stock/avg", "1"),
            (&BOUNTY_REGISTRY_1_0_0, "stock/avg?low=1&high=1", "0.0625"),
        ] {
            let mut stakes = Vec::new();
            build(specification).unwrap().stake(&view(rules), &[verdict(0.8), None, verdict(0.4)], &mut Key::root(1).stream(), &mut stakes);
            let bid = bid.parse().unwrap();
            assert_eq!(stakes, [Some(Stake { malicious: true, bid }), None, Some(Stake { malicious: false, bid })], "{specification}");
        }
    }
}
