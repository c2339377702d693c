//! Oracles: strategies that know what no engine can, as marks for every other one.
//!
//! The engine has no type for what they know. They live here, and just before each decision the world shows them the future
//! of the bounty: the corpus labels, what the planned votes will make of them, and what rivals will have staked when it is
//! settled. A run with one is marked in the report.
//!
//! The future is exact but for one thing: a rival that is still to assert is taken to be able to pay, which wallets decide
//! only then, and an adaptive rival that is still to assert to stake nothing. What has been decided by the block of the decision is known as it is.

use std::sync::{Arc, Mutex, PoisonError};

use engine::{
    chance::Stream,
    distill::DistilledVerdict,
    market_view::MarketView,
    settled::{Payoff, Pools, Terms},
    stake::{
        self, Limits, Stake, Staker, StrategyError,
        optimum::{Bet, Utility},
        placing::{Wish, belief, ceiling, place, place_best},
        stock::Stock,
    },
};
use market::{ruleset::RuleSet, verdict::ArtifactSet};
use smallvec::SmallVec;

use crate::rivals;

/// An oracle of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Oracle {
    /// Its name.
    pub name: &'static str,
    /// What it does, in a line.
    pub meaning: &'static str,
    /// How it reckons.
    pub formula: &'static str,
    /// What it knows, and what its result therefore is.
    pub knows: &'static str,
    make: fn(Foresight) -> Box<dyn Staker>,
}

/// All of them. Rivals cannot use them, nor can a real engine.
pub const ORACLES: &[Oracle] = &[
    Oracle {
        name: "oracle/label",
        meaning: "knows the corpus label: an upper bound on what any engine can earn, no strategy for a real one",
        formula: "the greatest bid on the label of every artifact",
        knows: "the corpus label: its result is an upper mark",
        make: |foresight| Box::new(LabelOracle(foresight)),
    },
    Oracle {
        name: "oracle/hindsight",
        meaning: "knows the consensus and all stakes: the most that could have been made of each bounty",
        formula: "the greatest bid (32 times the least where the rules know none) on the consensus of every artifact, unless all of it together wins no more than the fee",
        knows: "the arbiters' votes and what rivals stake: its result is the upper bound",
        make: |foresight| Box::new(HindsightOracle(foresight)),
    },
    Oracle {
        name: "oracle/pools",
        meaning: "knows what others will have staked on either side, and its own probability: what knowing the pools is worth",
        formula: "b = sqrt(p S W/q) - W on the own verdict, W and L as they will be, clipped; 0 if that does not pay the fee",
        knows: "what rivals stake, not the label: its result is informative, no upper bound",
        make: |foresight| Box::new(PoolsOracle(foresight)),
    },
];

/// The oracle of that name.
pub fn find(strategy: &str) -> Option<&'static Oracle> {
    ORACLES.iter().find(|oracle| oracle.name == strategy)
}

/// What will become of a bounty.
#[derive(Clone, Default, Debug)]
pub(crate) struct Future {
    /// Artifacts that the corpus calls malicious.
    pub(crate) labels: ArtifactSet,
    /// Artifacts that the votes will make malicious; `None` without votes.
    pub(crate) consensus: Option<ArtifactSet>,
    /// What others will have staked on each artifact.
    pub(crate) pools: SmallVec<[Pools; 1]>,
}

/// Where the world leaves the future of the bounty that is being decided.
#[derive(Clone, Debug, Default)]
pub struct Foresight(Arc<Mutex<Future>>);

impl Foresight {
    /// Shows it.
    pub(crate) fn show(&self, future: Future) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = future;
    }

    fn see(&self) -> Future {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[derive(Debug)]
struct LabelOracle(Foresight);

impl Staker for LabelOracle {
    fn stake(&mut self, view: &MarketView<'_>, verdicts: &[Option<DistilledVerdict>], _: &mut Stream, stakes: &mut Vec<Option<Stake>>) {
        let labels = self.0.see().labels;
        let bid = Stock::DEFAULT.bid(view.rules, 1.0);
        stakes.extend((0..verdicts.len()).map(|artifact| Some(Stake { malicious: labels.contains(artifact), bid })));
    }
}

#[derive(Debug)]
struct HindsightOracle(Foresight);

impl Staker for HindsightOracle {
    fn stake(&mut self, view: &MarketView<'_>, verdicts: &[Option<DistilledVerdict>], _: &mut Stream, stakes: &mut Vec<Option<Stake>>) {
        let (future, limits, terms) = (self.0.see(), Limits::of(view), Terms::of(view));
        let bid = ceiling(view.rules);
        // A win grows with the bid, so only the fee can make the greatest one a loss. Without votes, nobody loses.
        let won = future.consensus.map_or(f64::INFINITY, |consensus| {
            let won = |(artifact, pools): (usize, &Pools)| {
                let (winners, losers) = pools.if_malicious(consensus.contains(artifact));
                Payoff { right: true, prize: terms.portion + losers, winners, share: terms.share }.gain(bid.min(limits.most))
            };
            future.pools.iter().enumerate().map(won).sum()
        });
        let consensus = future.consensus.unwrap_or(future.labels);
        let wish = |artifact| (won > limits.fee).then(|| Wish { malicious: consensus.contains(artifact), bid });
        place(view, &(0..verdicts.len()).map(wish).collect::<Vec<_>>(), stakes);
    }
}

#[derive(Debug)]
struct PoolsOracle(Foresight);

impl Staker for PoolsOracle {
    fn stake(&mut self, view: &MarketView<'_>, verdicts: &[Option<DistilledVerdict>], _: &mut Stream, stakes: &mut Vec<Option<Stake>>) {
        let (future, terms) = (self.0.see(), Terms::of(view));
        let bet = |(artifact, verdict)| {
            let belief = belief(view, artifact, verdict)?;
            let (winners, losers) = future.pools[artifact].if_malicious(belief.malicious);
            let bet = Bet { share: terms.share, ..Bet::known(belief.right, terms.portion + losers, winners) };
            Some((belief.malicious, bet))
        };
        let (sides, bets): (Vec<_>, Vec<_>) = verdicts.iter().enumerate().map(|one| bet(one).unzip()).unzip();
        place_best(view, Utility::Profit { price: 0.0 }, &Limits::of(view), &sides, &bets, stakes);
    }
}

/// The strategy of that specification, the oracles included; they read from `foresight`.
///
/// # Errors
///
/// If there is none of that name, or its parameters are wrong.
pub fn build(specification: &str, foresight: &Foresight) -> Result<Box<dyn Staker>, StrategyError> {
    match find(specification) {
        Some(oracle) => Ok((oracle.make)(foresight.clone())),
        None => stake::build(specification).map_err(|error| match error {
            StrategyError::Unknown { name, .. } => {
                let known = stake::names().chain(ORACLES.iter().map(|oracle| oracle.name));
                stake::unknown(&name, known)
            }
            other => other,
        }),
    }
}

/// Checks a strategy of rivals.
///
/// # Errors
///
/// If there is none of that name, its parameters are wrong, or it is not for rivals.
pub fn check_for_rivals(specification: &str, rules: &RuleSet) -> Result<(), StrategyError> {
    match find(specification) {
        Some(oracle) => {
            Err(StrategyError::EngineOnly { strategy: oracle.name.to_owned(), reason: "nobody in the market knows what it knows" })
        }
        None => rivals::check_strategy(specification, rules),
    }
}
