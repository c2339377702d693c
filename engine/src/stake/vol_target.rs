//! `vol-target`: another strategy's stakes, made smaller while its profits swing too much.
//!
//! Stakes are multiplied by min(1, s*/ŝ), where s* is a share of the wealth and ŝ the root of the mean square of the profits
//! that the base's own stakes, had they not been made smaller, brought per bounty it wanted to stake on: exponentially
//! weighted, half-life in such bounties. (The profits of the smaller stakes would make ŝ follow the factor.)

use super::{Entry, Parameter, Stake, Staker, placing::scaled};
use crate::{chance::Stream, distill::DistilledVerdict, market_view::MarketView, pending::Pending, settled::SettledBounty};

pub(super) const VOL_TARGET: Entry = Entry {
    name: "vol-target",
    meaning: "another strategy's stakes, smaller while its profits swing more than a share of the wealth",
    formula: "base * min(1, s*/s), s* = share of (free + locked), s = root of the EWMA of the base's squared profit per bounty",
    parameters: &[
        Parameter::new("share", "0.01", "of the wealth that profits may swing by"),
        Parameter::new("half_life", "200", "bounties with which a profit's weight halves"),
        Parameter::new("base", "pm-ev", "the other strategy; it takes all that follows, so it comes last"),
    ],
    source: "volatility targeting, as of Moreira & Muir 2017; EWMA as RiskMetrics 1996",
    make: |parameters| {
        let (share, half_life) = (parameters.number("share", 0.0..=1.0)?, parameters.number("half_life", 1e-3..=1e9)?);
        Ok(Box::new(VolTarget { share, half_life, base: parameters.base()?, square: 0.0, weight: 0.0, wished: Pending::default() }))
    },
};

#[derive(Debug)]
struct VolTarget {
    share: f64,
    half_life: f64,
    base: Box<dyn Staker>,
    /// Weighted sum of squared profits, and of weights.
    square: f64,
    weight: f64,
    wished: Pending<Vec<Option<Stake>>>,
}

impl Staker for VolTarget {
    fn stake(
        &mut self,
        view: &MarketView<'_>,
        verdicts: &[Option<DistilledVerdict>],
        chance: &mut Stream,
        stakes: &mut Vec<Option<Stake>>,
    ) {
        let first = stakes.len();
        self.base.stake(view, verdicts, chance, stakes);
        if stakes[first..].iter().any(Option::is_some) {
            self.wished.insert(view.bounty.guid, stakes[first..].to_vec());
        }
        if self.square > 0.0 {
            let swing = (self.square / self.weight).sqrt();
            let factor = self.share * view.wallet.wealth() / swing;
            stakes[first..].iter_mut().for_each(|stake| *stake = stake.and_then(|stake| scaled(view, stake, factor)));
        }
    }

    fn learns(&self) -> bool {
        true
    }

    fn settled(&mut self, settled: &SettledBounty) {
        self.base.settled(settled);
        let Some(wished) = self.wished.take(settled.guid) else { return };
        let gain = |(artifact, stake): (usize, &Option<Stake>)| {
            let Some(stake) = stake else { return Some(0.0) };
            Some(settled.payoff(artifact, stake.malicious)?.gain(stake.bid.to_f64()))
        };
        let Some(gain) = wished.iter().enumerate().map(gain).sum::<Option<f64>>() else { return };
        let (profit, fade) = (gain - settled.fee.to_f64(), libm::exp2(-1.0 / self.half_life));
        self.square = fade * self.square + profit * profit;
        self.weight = fade * self.weight + 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chance::Key,
        market_view::{Wallet, tests::view},
        settled::tests::settled,
        stake::build,
    };
    use market::{nct::Nct, ruleset::BOUNTY_REGISTRY_1_6_1 as RULES};

    #[test]
    fn stakes_shrink_to_the_swing_that_is_wished_for() {
        let (mut staker, mut view) = (build("vol-target?base=fixed?bid=1").unwrap(), view(&RULES));
        view.wallet = Wallet { free: Nct::whole(40), locked: Nct::whole(10), open: 1 };
        let verdict = Some(DistilledVerdict { probability: 0.8, interval: (0.7, 0.9) });
        let mut bid = |lesson: Option<&SettledBounty>| {
            lesson.into_iter().for_each(|lesson| staker.settled(lesson));
            let mut stakes = Vec::new();
            staker.stake(&view, &[verdict], &mut Key::root(1).stream(), &mut stakes);
            stakes[0].map(|stake| stake.bid.to_f64())
        };
        assert_eq!(bid(None), Some(1.0));
        // It loses its bid and the fee: 33/32; one hundredth of 50 NCT may be lost.
        let lost = SettledBounty { guid: view.bounty.guid, ..settled(&RULES, 7, false, &[]) };
        assert!((bid(Some(&lost)).unwrap() - 0.5 / 1.03125).abs() < 1e-12);
        // What it never wanted to stake on is no news.
        assert!((bid(Some(&settled(&RULES, 99, false, &[]))).unwrap() - 0.5 / 1.03125).abs() < 1e-12);
    }
}
