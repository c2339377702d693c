//! `kelly-odds`: Kelly's fraction at a bookmaker's odds, which this market does not have.
//!
//! b = λ B (p - q/o), where B is the wealth, free and locked, and `o` the running mean of S/W over all artifacts settled so
//! far that had other winners. Until there is one the odds are even. The own stake moves the odds, and the fee is not
//! thought of: that is what the rule gets wrong, and why it is here.

use super::{
    Entry, Parameter, Stake, Staker,
    placing::{Wish, belief, place},
};
use crate::{chance::Stream, distill::DistilledVerdict, market_view::MarketView, settled::SettledBounty};

pub(super) const KELLY_ODDS: Entry = Entry {
    name: "kelly-odds",
    meaning: "a part of Kelly's fraction at the odds that the market paid so far",
    formula: "lambda B (p - q/o); o = running mean of settled S/W, 1 before there is any; B = free + locked",
    parameters: &[Parameter::new("lambda", "0.05", "part of Kelly's fraction")],
    source: "Kelly 1956",
    make: |parameters| Ok(Box::new(KellyOdds { lambda: parameters.number("lambda", 0.0..=1.0)?, sum: 0.0, count: 0.0 })),
};

#[derive(Clone, Copy, PartialEq, Debug)]
struct KellyOdds {
    lambda: f64,
    /// Of S/W.
    sum: f64,
    count: f64,
}

impl Staker for KellyOdds {
    fn stake(&mut self, view: &MarketView<'_>, verdicts: &[Option<DistilledVerdict>], _: &mut Stream, stakes: &mut Vec<Option<Stake>>) {
        let odds = if self.count > 0.0 { self.sum / self.count } else { 1.0 };
        let wish = |(artifact, verdict)| {
            let belief = belief(view, artifact, verdict)?;
            let bid = self.lambda * view.wallet.wealth() * (belief.right - (1.0 - belief.right) / odds);
            (bid > 0.0).then_some(Wish { malicious: belief.malicious, bid })
        };
        place(view, &verdicts.iter().enumerate().map(wish).collect::<Vec<_>>(), stakes);
    }

    fn learns(&self) -> bool {
        true
    }

    fn settled(&mut self, settled: &SettledBounty) {
        // What the winning side paid: the odds are the same to whoever was on it.
        for artifact in 0..settled.artifacts {
            let side = settled.consensus.map(|consensus| consensus.contains(artifact));
            let payoff = side.and_then(|side| settled.payoff(artifact, side));
            if let Some(payoff) = payoff.filter(|payoff| payoff.winners > 0.0) {
                self.sum += payoff.prize / payoff.winners;
                self.count += 1.0;
            }
        }
    }
}
