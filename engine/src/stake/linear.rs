//! `linear`: from the least bid on a coin's toss to the greatest on certainty, lo + (hi - lo)(2p - 1).

use super::{
    Entry, Stake, Staker,
    placing::{Wish, belief, ceiling, place},
};
use crate::{chance::Stream, distill::DistilledVerdict, market_view::MarketView};

pub(super) const LINEAR: Entry = Entry {
    name: "linear",
    meaning: "from the least to the greatest bid with how far the probability is from one half",
    formula: "lo + (hi - lo)(2p - 1), p of the own verdict; lo, hi the limits (without a greatest bid, hi = 32 lo)",
    parameters: &[],
    source: "the plainest rule that a probability allows",
    make: |_| Ok(Box::new(Linear)),
};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Linear;

impl Staker for Linear {
    fn stake(&mut self, view: &MarketView<'_>, verdicts: &[Option<DistilledVerdict>], _: &mut Stream, stakes: &mut Vec<Option<Stake>>) {
        let (low, high) = (view.rules.bid_minimum.to_f64(), ceiling(view.rules));
        let wish = |(artifact, verdict)| {
            let belief = belief(view, artifact, verdict)?;
            Some(Wish { malicious: belief.malicious, bid: low + (high - low) * (2.0 * belief.right - 1.0) })
        };
        place(view, &verdicts.iter().enumerate().map(wish).collect::<Vec<_>>(), stakes);
    }
}
