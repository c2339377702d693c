//! Learning which of a few bids pays, by bin of the own probability: what the learners share.
//!
//! The levels are 0, the least bid, twice that and so on, up to the greatest (without one in the rules, 32 times the least).
//! In every bin of the own verdict's probability a learner of its own chooses among them. When a bounty is settled, each
//! level's profit is what it would have brought beside the others' stakes, in NCT, less the artifact's part of the fee;
//! those who learn from their own outcome alone look at the level that they had chosen, and at no other. A level that the
//! wallet cannot pay is cut, and counts as chosen all the same.

use market::ruleset::RuleSet;

use super::{
    Stake, Staker,
    placing::{Wish, belief, ceiling, place},
};
use crate::{chance::Stream, distill::DistilledVerdict, market_view::MarketView, pending::Pending, settled::SettledBounty};

/// Edges of the bins of the own verdict's probability.
const EDGES: [f64; 6] = [0.6, 0.75, 0.85, 0.92, 0.97, 0.99];
/// How many bins there are.
pub const BINS: usize = EDGES.len() + 1;

/// The bin of a confidence.
pub fn bin(confidence: f64) -> usize {
    super::pools::bin(&EDGES, confidence)
}

/// A chosen level.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Choice {
    /// Its number.
    pub level: usize,
    /// How probable it was to be chosen.
    pub probability: f64,
}

/// Learns which level pays. Those with a range take a profit `g` for `g` cut to half of the range either way.
pub trait Learner: Clone + std::fmt::Debug + Send {
    /// Begins anew with so many levels.
    fn open(&mut self, levels: usize);

    /// Chooses one.
    fn choose(&mut self, chance: &mut Stream) -> Choice;

    /// Hears what every level would have brought in NCT, and which one was chosen, if one was.
    fn learn(&mut self, profits: &[f64], chosen: Option<Choice>);
}

/// The levels under `rules`, in NCT.
pub fn levels(rules: &RuleSet) -> Vec<f64> {
    let (least, most) = (rules.bid_minimum.to_f64(), ceiling(rules));
    let doubling = std::iter::successors(Some(least), |level| Some(2.0 * level)).take_while(|&level| level < most);
    std::iter::once(0.0).chain(doubling).chain([most]).collect()
}

/// Draws a number by weights that add up to one.
pub(super) fn draw(weights: &[f64], chance: &mut Stream) -> Choice {
    let mut left = chance.uniform();
    let last = weights.len() - 1;
    let level = weights[..last].iter().position(|weight| {
        left -= weight;
        left < 0.0
    });
    let level = level.unwrap_or(last);
    Choice { level, probability: weights[level] }
}

/// Weights proportional to `exp(logarithm)`.
pub(super) fn softmax(logarithms: impl Iterator<Item = f64> + Clone) -> Vec<f64> {
    let most = logarithms.clone().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logarithms.map(|log| libm::exp(log - most)).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// A profit as a gain between 0 and 1, one half for none.
pub(super) fn gain(profit: f64, range: f64) -> f64 {
    (0.5 + profit / range).clamp(0.0, 1.0)
}

/// The strategy of a learner.
#[derive(Debug)]
pub(super) struct Levels<L> {
    bins: [L; BINS],
    /// Known from the first decision on.
    levels: Vec<f64>,
    chosen: Pending<Vec<Option<Choice>>>,
}

impl<L: Learner> Levels<L> {
    pub(super) fn new(learner: L) -> Levels<L> {
        Levels { bins: std::array::from_fn(|_| learner.clone()), levels: Vec::new(), chosen: Pending::default() }
    }
}

impl<L: Learner> Staker for Levels<L> {
    fn stake(
        &mut self,
        view: &MarketView<'_>,
        verdicts: &[Option<DistilledVerdict>],
        chance: &mut Stream,
        stakes: &mut Vec<Option<Stake>>,
    ) {
        if self.levels.is_empty() {
            self.levels = levels(view.rules);
            self.bins.iter_mut().for_each(|learner| learner.open(self.levels.len()));
        }
        let choose = |(artifact, verdict): (usize, &Option<DistilledVerdict>)| {
            belief(view, artifact, verdict)?;
            Some(self.bins[bin(verdict.as_ref()?.confidence())].choose(chance))
        };
        let chosen: Vec<Option<Choice>> = verdicts.iter().enumerate().map(choose).collect();
        let wish = |(choice, verdict): (&Option<Choice>, &Option<DistilledVerdict>)| {
            let bid = self.levels[choice.as_ref()?.level];
            (bid > 0.0).then_some(Wish { malicious: verdict.as_ref()?.malicious(), bid })
        };
        place(view, &chosen.iter().zip(verdicts).map(wish).collect::<Vec<_>>(), stakes);
        self.chosen.insert(view.bounty.guid, chosen);
    }

    fn learns(&self) -> bool {
        true
    }

    fn settled(&mut self, settled: &SettledBounty) {
        let chosen = self.chosen.take(settled.guid);
        let fee = settled.fee_share();
        for (artifact, verdict, payoff) in settled.lessons() {
            let profit = |&level: &f64| if level > 0.0 { payoff.gain(level) - fee } else { 0.0 };
            let profits: Vec<f64> = self.levels.iter().map(profit).collect();
            let choice = chosen.as_ref().and_then(|chosen| chosen.get(artifact).copied().flatten());
            if !profits.is_empty() {
                self.bins[bin(verdict.confidence())].learn(&profits, choice);
            }
        }
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
    use market::{
        nct::Nct,
        ruleset::{BOUNTY_REGISTRY_1_0_0, BOUNTY_REGISTRY_1_6_1},
    };

    #[test]
    fn levels_double_from_the_least_bid_to_the_greatest() {
        assert_eq!(levels(&BOUNTY_REGISTRY_1_6_1), [0.0, 0.0625, 0.125, 0.25, 0.5, 1.0]);
        assert_eq!(levels(&BOUNTY_REGISTRY_1_0_0), [0.0, 0.0625, 0.125, 0.25, 0.5, 1.0, 2.0]);
    }

    /// What is staked on the last tenth of a thousand bounties on which the own verdict is always right, or always wrong.
    fn staked(strategy: &str, right: bool) -> f64 {
        let (mut staker, mut stakes) = (build(strategy).unwrap(), Vec::new());
        let verdict = DistilledVerdict { probability: 0.8, interval: (0.7, 0.9) };
        for block in 0..1000 {
            let mut view = view(&BOUNTY_REGISTRY_1_6_1);
            let bounty = crate::market_view::OpenBounty { guid: market::id::Guid(block.into()), ..view.bounty.clone() };
            (view.bounty, view.wallet) = (&bounty, Wallet { free: Nct::whole(100), ..view.wallet });
            staker.stake(&view, &[Some(verdict)], &mut Key::root(3).with(block).stream(), &mut stakes);
            staker.settled(&settled(view.rules, block, right, &[(1.0, Some(true)), (1.0, Some(false))]));
        }
        stakes[900..].iter().flatten().map(|stake| stake.bid.to_f64()).sum::<f64>() / 100.0
    }

    #[test]
    fn learners_find_out_what_pays() {
        for strategy in ["adahedge", "hedge", "exp3-ix", "ucb", "thompson", "ftrl"] {
            let (winner, loser) = (staked(strategy, true), staked(strategy, false));
            assert!(winner > 0.5 && loser < 0.3 * winner, "{strategy}: {winner} {loser}");
        }
    }
}
