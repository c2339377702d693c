//! `dd-cap`: another strategy's stakes, made smaller the further the wealth is below its peak.
//!
//! Stakes are multiplied by max(0, 1 - drawdown/most), where the drawdown is 1 - wealth/peak and the wealth what is free and
//! what is locked, at cost, when a decision is taken. At the greatest drawdown it stops, for ever if nothing is open that
//! could lift the wealth again.

use super::{Entry, Parameter, Stake, Staker, placing::scaled};
use crate::{chance::Stream, distill::DistilledVerdict, market_view::MarketView, settled::SettledBounty};

pub(super) const DD_CAP: Entry = Entry {
    name: "dd-cap",
    meaning: "another strategy's stakes, smaller the further the wealth is below its peak",
    formula: "base * max(0, 1 - drawdown/most), drawdown = 1 - wealth/peak, wealth = free + locked",
    parameters: &[
        Parameter::new("most", "0.2", "drawdown at which nothing is staked"),
        Parameter::new("base", "pm-ev", "the other strategy; it takes all that follows, so it comes last"),
    ],
    source: "Grossman & Zhou 1993",
    make: |parameters| Ok(Box::new(DrawdownCap { most: parameters.number("most", 1e-6..=1.0)?, base: parameters.base()?, peak: 0.0 })),
};

#[derive(Debug)]
struct DrawdownCap {
    most: f64,
    base: Box<dyn Staker>,
    /// In NCT.
    peak: f64,
}

impl Staker for DrawdownCap {
    fn stake(
        &mut self,
        view: &MarketView<'_>,
        verdicts: &[Option<DistilledVerdict>],
        chance: &mut Stream,
        stakes: &mut Vec<Option<Stake>>,
    ) {
        let (first, wealth) = (stakes.len(), view.wallet.wealth());
        self.base.stake(view, verdicts, chance, stakes);
        self.peak = self.peak.max(wealth);
        if wealth < self.peak {
            let factor = 1.0 - (1.0 - wealth / self.peak) / self.most;
            stakes[first..].iter_mut().for_each(|stake| *stake = stake.and_then(|stake| scaled(view, stake, factor)));
        }
    }

    fn learns(&self) -> bool {
        self.base.learns()
    }

    fn settled(&mut self, settled: &SettledBounty) {
        self.base.settled(settled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chance::Key,
        market_view::{Wallet, tests::view},
        stake::build,
    };
    use market::{nct::Nct, ruleset::BOUNTY_REGISTRY_1_6_1 as RULES};

    #[test]
    fn half_of_the_drawdown_halves_the_stake_and_all_of_it_ends_it() {
        let (mut staker, mut view) = (build("dd-cap?base=fixed?bid=1").unwrap(), view(&RULES));
        let verdict = Some(DistilledVerdict { probability: 0.8, interval: (0.7, 0.9) });
        let mut bid = |free, locked| {
            view.wallet = Wallet { free: Nct::whole(free), locked: Nct::whole(locked), open: 1 };
            let mut stakes = Vec::new();
            staker.stake(&view, &[verdict], &mut Key::root(1).stream(), &mut stakes);
            stakes[0].map_or(0.0, |stake| stake.bid.to_f64())
        };
        let bids = [(90, 10), (100, 0), (45, 45), (80, 0), (50, 0), (0, 110), (99, 0)].map(|(free, locked)| bid(free, locked));
        let expected = [1.0, 1.0, 0.5, 0.0, 0.0, 1.0, 0.5];
        assert!(bids.iter().zip(expected).all(|(bid, expected)| (bid - expected).abs() < 1e-9), "{bids:?}");
    }
}
