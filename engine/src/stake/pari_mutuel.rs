//! The rules of section 2 on the pools of the past: `pm-ev` and those that differ from it in one thing.
//!
//! Pools are those of recently settled artifacts whose consensus was the side in question and on which the own probability
//! was alike ([`pools`](super::pools)). The stake is the one of most expected profit, or of most expected logarithm of the
//! wealth ([`optimum`]), within the limits; nothing is staked if that does not pay the fee.
//!
//! - `pm-ev-mu` pays for locked capital: q + mu in place of q; before each decision mu = max(0, mu + step (locked/wealth - target)).
//! - `pm-kelly` takes lambda times the wealth for its bankroll, and stakes no more on an artifact than the wealth divided by
//!   the mean number of own open assertions at its decisions (at least one).
//! - `pm-sides` takes the better side, whatever its verdict; malicious, if both are equal.
//! - `fictitious` remembers all pools (from a thousand of a kind on, neighbours are merged), `best-response` the last.

use super::{
    Entry, Parameter, Parameters, Stake, Staker, StrategyError,
    optimum::{self, Limits, Utility},
    placing::{belief, place_best},
    pools::History,
};
use crate::{
    chance::Stream,
    distill::DistilledVerdict,
    market_view::{MarketView, Wallet},
    settled::{SettledBounty, Terms},
};

const FORMULA: &str = "max E = mean over pools [p S b/(W+b) - q b] - fee; b = sqrt(p S W/q) - W where the pools are known";
const ISAACS: &str = "Isaacs 1953; Levin (pari-mutuel bets)";
const MEMORY: Parameter = Parameter::new("memory", "400", "pools of each kind that are remembered");

pub(super) const EV: Entry = Entry {
    name: "pm-ev",
    meaning: "the stake of most expected profit against the pools of the last bounties like this one",
    formula: FORMULA,
    parameters: &[MEMORY],
    source: ISAACS,
    make: |parameters| Ok(Box::new(PariMutuel::remembering(parameters)?)),
};
pub(super) const EV_MU: Entry = Entry {
    name: "pm-ev-mu",
    meaning: "pm-ev that pays for the capital it locks",
    formula: "pm-ev with q + mu for q and mu (b + fee) off its value; mu = max(0, mu + step (locked/wealth - target)) before each decision",
    parameters: &[
        MEMORY,
        Parameter::new("step", "0.05", "by how much the price follows the locked share"),
        Parameter::new("target", "0.9", "locked share of the wealth at which the price stays"),
    ],
    source: "Isaacs 1953; the price is the multiplier of the budget, by dual ascent",
    make: |parameters| {
        let price = Price { mu: 0.0, step: parameters.number("step", 0.0..=10.0)?, target: parameters.number("target", 0.0..=1.0)? };
        Ok(Box::new(PariMutuel { aim: Aim::Priced(price), ..PariMutuel::remembering(parameters)? }))
    },
};
pub(super) const KELLY: Entry = Entry {
    name: "pm-kelly",
    meaning: "the stake of most expected log wealth against the pools of the last bounties like this one",
    formula: "max E = mean over pools [p ln(X + S b/(W+b)) + q ln(X - b)], X = lambda (free + locked) - fee; b <= wealth / mean open assertions",
    parameters: &[MEMORY, Parameter::new("lambda", "0.25", "part of the wealth that is the bankroll")],
    source: "Kelly 1956, against a pari-mutuel pool",
    make: |parameters| {
        let kelly = Kelly { lambda: parameters.number("lambda", 1e-6..=1.0)?, open: 0.0, decisions: 0.0 };
        Ok(Box::new(PariMutuel { aim: Aim::Growth(kelly), ..PariMutuel::remembering(parameters)? }))
    },
};
pub(super) const SIDES: Entry = Entry {
    name: "pm-sides",
    meaning: "pm-ev on the side that pays more, whatever the own verdict",
    formula: "pm-ev on malicious with p_mal or on benign with 1 - p_mal, whichever is worth more",
    parameters: &[MEMORY],
    source: "Isaacs 1953",
    make: |parameters| Ok(Box::new(PariMutuel { best_side: true, ..PariMutuel::remembering(parameters)? })),
};
pub(super) const FICTITIOUS: Entry = Entry {
    name: "fictitious",
    meaning: "pm-ev that remembers all pools: fictitious play",
    formula: FORMULA,
    parameters: &[],
    source: "Brown 1951 (fictitious play); Isaacs 1953",
    make: |_| Ok(Box::new(PariMutuel::new(None))),
};
pub(super) const BEST_RESPONSE: Entry = Entry {
    name: "best-response",
    meaning: "pm-ev that remembers the last pools alone: the best response to them",
    formula: FORMULA,
    parameters: &[],
    source: "Cournot 1838 (best-response dynamics); Isaacs 1953",
    make: |_| Ok(Box::new(PariMutuel::new(Some(1)))),
};

/// Stakes against the pools of the past.
#[derive(Clone, PartialEq, Debug)]
pub struct PariMutuel {
    history: History,
    aim: Aim,
    best_side: bool,
}

/// What is to be large.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Aim {
    Profit,
    Priced(Price),
    Growth(Kelly),
}

/// What locked capital costs.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Price {
    mu: f64,
    step: f64,
    target: f64,
}

/// What part of the wealth is at stake.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Kelly {
    lambda: f64,
    /// Sum of the open assertions at all decisions.
    open: f64,
    decisions: f64,
}

impl PariMutuel {
    /// `pm-ev` with that memory, or an unbounded one.
    pub fn new(memory: Option<usize>) -> PariMutuel {
        PariMutuel { history: History::new(memory), aim: Aim::Profit, best_side: false }
    }

    fn remembering(parameters: &mut Parameters<'_>) -> Result<PariMutuel, StrategyError> {
        Ok(PariMutuel::new(Some(parameters.count("memory", 1..=100_000)?)))
    }
}

impl Aim {
    /// What to maximise with that wallet, and within what limits.
    fn now(&mut self, wallet: &Wallet, limits: &mut Limits) -> Utility {
        let wealth = wallet.wealth();
        match self {
            Aim::Profit => Utility::Profit { price: 0.0 },
            Aim::Priced(price) => {
                let locked = if wealth > 0.0 { wallet.locked.to_f64() / wealth } else { 0.0 };
                price.mu = (price.mu + price.step * (locked - price.target)).max(0.0);
                Utility::Profit { price: price.mu }
            }
            Aim::Growth(kelly) => {
                kelly.open += wallet.open as f64;
                kelly.decisions += 1.0;
                limits.most = limits.most.min(wealth / (kelly.open / kelly.decisions).max(1.0));
                Utility::Log { wealth: kelly.lambda * wealth }
            }
        }
    }
}

impl Staker for PariMutuel {
    fn stake(&mut self, view: &MarketView<'_>, verdicts: &[Option<DistilledVerdict>], _: &mut Stream, stakes: &mut Vec<Option<Stake>>) {
        let (terms, mut limits) = (Terms::of(view), Limits::of(view));
        let utility = self.aim.now(&view.wallet, &mut limits);
        let (mut sides, mut bets) = (Vec::with_capacity(verdicts.len()), Vec::with_capacity(verdicts.len()));
        for (artifact, verdict) in verdicts.iter().enumerate() {
            let (Some(belief), Some(verdict)) = (belief(view, artifact, verdict), verdict) else {
                sides.push(None);
                bets.push(None);
                continue;
            };
            let bet = |malicious: bool, right: f64| self.history.bet(terms, malicious, verdict.probability, right);
            let (mut side, mut own) = (belief.malicious, bet(belief.malicious, belief.right));
            if self.best_side {
                let other = bet(!side, 1.0 - belief.right);
                let malicious_first = if side { [&own, &other] } else { [&other, &own] };
                if optimum::better(utility, &limits, malicious_first) != side {
                    (side, own) = (!side, other);
                }
            }
            sides.push(Some(side));
            bets.push(Some(own));
        }
        place_best(view, utility, &limits, &sides, &bets, stakes);
    }

    fn learns(&self) -> bool {
        true
    }

    fn settled(&mut self, settled: &SettledBounty) {
        self.history.settled(settled);
    }
}
