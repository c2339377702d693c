//! `ftrl`: per bin of the own probability one bid, which climbs its profit: projected AdaGrad ascent.
//!
//! The gradient of an artifact's profit by the bid is S W / (W + b)² if the verdict was right, else -1 (nobody else on the
//! winning side: 0); the step (hi - lo)/√2/√(Σ g²); the bid is kept between lo and hi, the limits, and begins at lo. While
//! the decayed mean profit of the bin's bid, the artifact's part of the fee taken off, is negative, it abstains, and goes on
//! learning.

use super::{
    Entry, Parameter, Stake, Staker,
    levels::{BINS, bin},
    placing::{Wish, belief, ceiling, place},
};
use crate::{
    chance::Stream,
    distill::DistilledVerdict,
    market_view::MarketView,
    settled::{Payoff, SettledBounty},
};

pub(super) const FTRL: Entry = Entry {
    name: "ftrl",
    meaning: "climbs the profit with one bid per bin, and abstains where that loses",
    formula: "b += (hi - lo)/sqrt 2/sqrt(sum g^2) g, g = S W/(W+b)^2 if right else -1, per bin of own p (.6 .75 .85 .92 .97 .99); 0 while the decayed mean profit < 0",
    parameters: &[Parameter::new("decay", "0.995", "what an artifact's weight in the mean profit is multiplied by with each that follows")],
    source: "Duchi, Hazan & Singer 2011 (AdaGrad); Zinkevich 2003",
    make: |parameters| {
        let decay = parameters.number("decay", 0.0..=1.0)?;
        Ok(Box::new(Ftrl { decay, bins: None }))
    },
};

/// Projected AdaGrad ascent of a number between two others.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AdaGrad {
    /// Where it is.
    pub bid: f64,
    low: f64,
    high: f64,
    squares: f64,
}

impl AdaGrad {
    /// Begins at the lower end.
    pub fn new(low: f64, high: f64) -> AdaGrad {
        AdaGrad { bid: low, low, high, squares: 1e-8 }
    }

    /// Climbs along the gradient of that payoff.
    pub fn learn(&mut self, payoff: &Payoff) {
        let together = payoff.winners + self.bid;
        let gradient = match payoff.right {
            true if payoff.winners > 0.0 => payoff.prize * payoff.winners / (together * together),
            true => 0.0,
            false => -1.0,
        };
        self.squares += gradient * gradient;
        let step = (self.high - self.low) / std::f64::consts::SQRT_2 / self.squares.sqrt();
        self.bid = (self.bid + step * gradient).clamp(self.low, self.high);
    }
}

/// One bin's bid, and what it brings.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Bin {
    ascent: AdaGrad,
    /// Decayed sum of profits; its sign is the mean's.
    profit: f64,
}

#[derive(Clone, PartialEq, Debug)]
struct Ftrl {
    decay: f64,
    /// Known from the first decision on.
    bins: Option<[Bin; BINS]>,
}

impl Staker for Ftrl {
    fn stake(&mut self, view: &MarketView<'_>, verdicts: &[Option<DistilledVerdict>], _: &mut Stream, stakes: &mut Vec<Option<Stake>>) {
        let fresh = || Bin { ascent: AdaGrad::new(view.rules.bid_minimum.to_f64(), ceiling(view.rules)), profit: 0.0 };
        let bins = self.bins.get_or_insert_with(|| std::array::from_fn(|_| fresh()));
        let wish = |(artifact, verdict): (usize, &Option<DistilledVerdict>)| {
            let belief = belief(view, artifact, verdict)?;
            let bin = &bins[bin(verdict.as_ref()?.confidence())];
            (bin.profit >= 0.0).then_some(Wish { malicious: belief.malicious, bid: bin.ascent.bid })
        };
        place(view, &verdicts.iter().enumerate().map(wish).collect::<Vec<_>>(), stakes);
    }

    fn learns(&self) -> bool {
        true
    }

    fn settled(&mut self, settled: &SettledBounty) {
        let (Some(bins), fee) = (&mut self.bins, settled.fee_share()) else { return };
        for (_, verdict, payoff) in settled.lessons() {
            let bin = &mut bins[bin(verdict.confidence())];
            bin.profit = self.decay * bin.profit + payoff.gain(bin.ascent.bid) - fee;
            bin.ascent.learn(&payoff);
        }
    }
}
