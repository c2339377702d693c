//! From a wish in NCT to a stake in wei: limits, beliefs, and the one place where floats become money.
//!
//! Amounts are truncated toward zero. A stake below the least bid is none. Nothing is staked that is not free: where all
//! wishes together exceed what is left after the fee, they shrink alike.

use market::{
    nct::Nct,
    ruleset::{Bids, RuleSet},
};

use super::{
    Stake,
    optimum::{self, Bet, Limits, Utility},
    stock,
};
use crate::{distill::DistilledVerdict, market_view::MarketView};

impl Limits {
    /// Of the bounty in view.
    pub fn of(view: &MarketView<'_>) -> Limits {
        let affordable = view.wallet.free.saturating_sub(view.fees.assertion).to_f64();
        let most = view.rules.bid_maximum.map_or(affordable, |most| most.to_f64().min(affordable));
        Limits { least: view.rules.bid_minimum.to_f64(), most, fee: view.fees.assertion.to_f64() }
    }
}

/// The greatest bid in NCT for rules that want one named: where the contract knows none, 32 times the least, as in the
/// client of that time.
pub fn ceiling(rules: &RuleSet) -> f64 {
    stock::range(rules).1 / 1e18
}

/// A side, and the probability that it is right, after the filter's factor.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Belief {
    /// The own verdict.
    pub malicious: bool,
    /// Probability that it will be the consensus: the confidence times the factor, at most 1.
    pub right: f64,
}

/// What the engine believes of an artifact; nothing of what the filter leaves alone.
pub fn belief(view: &MarketView<'_>, artifact: usize, verdict: &Option<DistilledVerdict>) -> Option<Belief> {
    let (verdict, factor) = (verdict.as_ref()?, view.factor(artifact));
    (factor > 0.0).then(|| Belief { malicious: verdict.malicious(), right: (factor * verdict.confidence()).min(1.0) })
}

/// A side and what to put on it, in NCT.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Wish {
    /// The side.
    pub malicious: bool,
    /// The bid.
    pub bid: f64,
}

/// Makes stakes of wishes, one per artifact. A bid is at most the greatest of the rules.
pub fn place(view: &MarketView<'_>, wishes: &[Option<Wish>], stakes: &mut Vec<Option<Stake>>) {
    let limits = Limits::of(view);
    let bids = wishes.iter().map(|wish| wish.map_or(0.0, |wish| wish.bid.min(limits.most)));
    let total: f64 = match view.rules.bids {
        // One bid, of which every artifact has a part.
        Bids::PerBounty => 0.0,
        Bids::PerArtifact => bids.sum(),
    };
    let affordable = view.wallet.free.saturating_sub(view.fees.assertion);
    let shrunk = if total > affordable.to_f64() { affordable.to_f64() / total } else { 1.0 };
    // Floats round: what is left is counted in wei.
    let mut left = affordable;
    stakes.extend(wishes.iter().map(|wish| {
        let wish = (*wish)?;
        let most = view.rules.bid_maximum.map_or(left, |most| most.min(left));
        let bid = wei(shrunk * wish.bid.min(limits.most)).min(most);
        if bid < view.rules.bid_minimum {
            return None;
        }
        if view.rules.bids == Bids::PerArtifact {
            left = left.saturating_sub(bid);
        }
        Some(Stake { malicious: wish.malicious, bid })
    }));
}

/// An amount in NCT, truncated to wei.
fn wei(amount: f64) -> Nct {
    Nct::wei((amount * 1e18) as u128)
}

/// A stake times a factor between 0 and 1; none if that leaves less than the least bid.
pub fn scaled(view: &MarketView<'_>, stake: Stake, factor: f64) -> Option<Stake> {
    if factor >= 1.0 {
        return Some(stake);
    }
    let bid = Nct::wei((stake.bid.to_wei()? as f64 * factor.max(0.0)) as u128);
    (bid >= view.rules.bid_minimum).then_some(Stake { bid, ..stake })
}

/// Places what is best by `utility`: a side and how it may turn out for each artifact.
pub fn place_best(
    view: &MarketView<'_>,
    utility: Utility,
    limits: &Limits,
    sides: &[Option<bool>],
    bets: &[Option<Bet>],
    stakes: &mut Vec<Option<Stake>>,
) {
    let best = match view.rules.bids {
        Bids::PerArtifact => optimum::each(utility, limits, bets),
        Bids::PerBounty => optimum::common(utility, limits, bets),
    };
    let bids = best.map_or_else(|| vec![None; bets.len()], |(bids, _)| bids);
    let wish = |(side, bid): (&Option<bool>, Option<f64>)| Some(Wish { malicious: (*side)?, bid: bid? });
    place(view, &sides.iter().zip(bids).map(wish).collect::<Vec<_>>(), stakes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market_view::{Wallet, tests::view};
    use market::ruleset::{BOUNTY_REGISTRY_1_0_0, BOUNTY_REGISTRY_1_6_1};

    fn placed(rules: &RuleSet, free: &str, bids: &[f64]) -> Vec<Option<u128>> {
        let mut view = view(rules);
        view.wallet = Wallet { free: free.parse().unwrap(), ..view.wallet };
        let wishes: Vec<_> = bids.iter().map(|&bid| (bid > 0.0).then_some(Wish { malicious: true, bid })).collect();
        let mut stakes = Vec::new();
        place(&view, &wishes, &mut stakes);
        stakes.into_iter().map(|stake| stake.map(|stake| stake.bid.to_wei().unwrap())).collect()
    }

    #[test]
    fn wishes_are_cut_to_the_limits_and_to_what_is_free() {
        let rules = &BOUNTY_REGISTRY_1_6_1;
        assert_eq!(placed(rules, "10", &[0.5, 0.0, 3.0]), [Some(500_000_000_000_000_000), None, Some(1_000_000_000_000_000_000)]);
        assert_eq!(placed(rules, "10", &[0.06]), [None]);
        // 1/32 is the fee: half a NCT is left, both wishes shrink, and the smaller one falls below the least bid.
        let poor = placed(rules, "0.53125", &[0.9, 0.07]);
        assert!((poor[0].unwrap() as f64 / 0.25e18 * 0.57 - 1.0).abs() < 1e-12 && poor[1].is_none(), "{poor:?}");
        assert_eq!(placed(rules, "0.05", &[0.9]), [None]);
        assert_eq!(placed(rules, "0", &[0.9]), [None]);
        // One bid for all artifacts is paid once, and knows no limit but the wallet.
        assert_eq!(placed(&BOUNTY_REGISTRY_1_0_0, "3.03125", &[5.0, 5.0]), [Some(3_000_000_000_000_000_000); 2]);
    }
}
