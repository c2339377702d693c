//! `threshold`: a bid of 1 NCT where the own verdict is right with a probability of at least 0.9, and none elsewhere.

use super::{
    Entry, Parameter, Stake, Staker,
    placing::{Wish, belief, place},
};
use crate::{chance::Stream, distill::DistilledVerdict, market_view::MarketView};

pub(super) const THRESHOLD: Entry = Entry {
    name: "threshold",
    meaning: "one bid on what is sure enough, nothing on the rest",
    formula: "bid if p >= from, else 0; p of the own verdict",
    parameters: &[Parameter::new("bid", "1", "in NCT"), Parameter::new("from", "0.9", "least probability that is bid on")],
    source: "the usual rule of thumb",
    make: |parameters| Ok(Box::new(Threshold { bid: parameters.number("bid", 0.0..=1e12)?, from: parameters.number("from", 0.0..=1.0)? })),
};

#[derive(Clone, Copy, PartialEq, Debug)]
struct Threshold {
    bid: f64,
    from: f64,
}

impl Staker for Threshold {
    fn stake(&mut self, view: &MarketView<'_>, verdicts: &[Option<DistilledVerdict>], _: &mut Stream, stakes: &mut Vec<Option<Stake>>) {
        let wish = |(artifact, verdict)| {
            let belief = belief(view, artifact, verdict)?;
            (belief.right >= self.from).then_some(Wish { malicious: belief.malicious, bid: self.bid })
        };
        place(view, &verdicts.iter().enumerate().map(wish).collect::<Vec<_>>(), stakes);
    }
}
