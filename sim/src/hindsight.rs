//! `oracle/fixed`: the best that one stake per bin of the own confidence would have earned, chosen in hindsight.
//!
//! It is what regret is measured against: no strategy that goes by its own confidence alone, and stakes the same on the
//! same confidence, can have earned more. Its stakes are found exactly (the profit of a bin is concave in its stake), its
//! profit is in NCT as floats, and it is reckoned bounty by bounty: an artifact's part of the fee is the fee divided by the
//! artifacts, and no wallet runs dry. Its stakes lie between the least and the greatest bid of the rules; where these know no
//! greatest, it is 32 times the least. Bounties that nobody voted on are left out.

use std::sync::{Arc, atomic::AtomicBool};

use anyhow::Result;
use engine::{
    microengine::Abstention,
    settled::{Payoff, SettledBounty},
    stake::{
        Limits, levels,
        optimum::{self, Bet, Scenario, Utility},
        placing::ceiling,
    },
};
use market::ruleset::RuleSet;
use rayon::prelude::*;
use replay::{
    plan::Setup,
    world::{ClosedBounty, Decision, NoJournal, Observer},
};

use crate::execute;

/// Its name in reports.
pub const NAME: &str = "oracle/fixed";
/// The market as it is without the engine.
const BYSTANDER: &str = "null/abstain";

/// What one artifact would have paid.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Chance {
    bounty: u64,
    bin: usize,
    payoff: Payoff,
    /// The artifact's part of the fee, in NCT.
    fee: f64,
}

/// What every artifact that the engine had an opinion on would have paid, in one market.
#[derive(Clone, PartialEq, Debug)]
pub struct Chances {
    chances: Vec<Chance>,
    least: f64,
    most: f64,
}

struct Watcher<'a> {
    rules: &'a RuleSet,
    chances: Vec<Chance>,
}

impl Observer for Watcher<'_> {
    fn closed(&mut self, closed: &ClosedBounty<'_>) {
        if closed.engine == Decision::Abstained(Abstention::Late) {
            return;
        }
        let settled = SettledBounty {
            assertions: Some(SettledBounty::assertions_of(closed.bounty)),
            verdicts: closed.verdicts.to_vec(),
            ..SettledBounty::of(closed.bounty, closed.now, self.rules.bids, self.rules.assertion_fee, closed.consensus)
        };
        self.chances.extend(settled.lessons().map(|(_, verdict, payoff)| Chance {
            bounty: closed.plan.number,
            bin: levels::bin(verdict.confidence()),
            payoff,
            fee: settled.fee_share(),
        }));
    }
}

impl Chances {
    /// Plays a market without the engine, and looks what there was to earn; nothing if that was interrupted.
    ///
    /// # Errors
    ///
    /// See [`execute::play`].
    pub fn of(setup: &Arc<Setup>, interrupted: &AtomicBool) -> Result<Option<Chances>> {
        let mut watcher = Watcher { rules: &setup.rules, chances: Vec::new() };
        let played = execute::play::<std::io::Sink>(setup, BYSTANDER, &mut watcher, None::<&mut NoJournal>, interrupted, &|_| {})?;
        let chances = Chances { chances: watcher.chances, least: setup.rules.bid_minimum.to_f64(), most: ceiling(&setup.rules) };
        Ok(played.complete.then_some(chances))
    }

    /// Profit of the best stakes on the bounties of a part, in NCT.
    pub fn best(&self, (from, to): (u64, u64)) -> f64 {
        let within: Vec<&Chance> = self.chances.iter().filter(|chance| (from..to).contains(&chance.bounty)).collect();
        (0..levels::BINS).map(|bin| self.best_of(within.iter().copied().filter(|chance| chance.bin == bin))).sum()
    }

    /// Profit of the best stake on some artifacts; nothing if none pays.
    fn best_of<'a>(&self, chances: impl Iterator<Item = &'a Chance> + Clone) -> f64 {
        let count = chances.clone().count() as f64;
        let Some(first) = chances.clone().next() else { return 0.0 };
        let scenario = |chance: &Chance| Scenario {
            weight: 1.0 / count,
            right: if chance.payoff.right { 1.0 } else { 0.0 },
            prize: chance.payoff.prize,
            winners: chance.payoff.winners,
        };
        let bet = Bet { scenarios: chances.map(scenario).collect(), share: first.payoff.share };
        let limits = Limits { least: self.least, most: self.most, fee: first.fee };
        optimum::single(Utility::Profit { price: 0.0 }, &limits, &bet).map_or(0.0, |(_, value)| value * count)
    }
}

/// The mean over markets of what the best stakes would have earned on the bounties of a part, in NCT; nothing if that was
/// interrupted.
///
/// # Errors
///
/// See [`execute::play`].
pub fn fixed(markets: &[Arc<Setup>], part: (u64, u64), interrupted: &AtomicBool) -> Result<Option<f64>> {
    let each = markets.par_iter().map(|market| Ok(Chances::of(market, interrupted)?.map(|chances| chances.best(part))));
    let best: Option<Vec<f64>> = each.collect::<Result<Vec<_>>>()?.into_iter().collect();
    Ok(best.map(|best| best.iter().sum::<f64>() / markets.len() as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chance(bin: usize, right: bool, prize: f64, winners: f64) -> Chance {
        Chance { bounty: 0, bin, payoff: Payoff { right, prize, winners, share: 1.0 }, fee: 1.0 / 32.0 }
    }

    #[test]
    fn each_bin_has_its_best_stake() {
        // Four wins of S 3 beside W 2 for each loss: the same as p .8, whose best bid and value are known.
        let mut chances = vec![chance(1, false, 0.0, 0.0)];
        chances.extend([chance(1, true, 3.0, 2.0); 4]);
        let all = Chances { chances, least: 1.0 / 16.0, most: 100.0 };
        assert!((all.best((0, 1)) - 5.0 * (0.8404082057734578 - 1.0 / 32.0)).abs() < 1e-9, "{}", all.best((0, 1)));
        assert_eq!(all.best((1, 2)), 0.0, "there is no such bounty");
        // A bin in which nothing pays is left alone, and changes nothing about the others.
        let mut more = all.clone();
        more.chances.extend([chance(0, false, 0.0, 0.0); 9]);
        assert_eq!(more.best((0, 1)), all.best((0, 1)));
    }
}
