//! What every pot would have paid for another stake of the engine's: the same verdicts on the same artifacts, settled anew
//! beside the recorded stakes of everybody else.
//!
//! What the engine's own stake does to the pot is exact, given those. What others would have done about it, and whether the
//! wallet would have covered it, is not in here.

use std::str::FromStr;

use market::{
    bounty::Assertion,
    nct::{Nct, NctDelta},
    rejection::Rejection,
    ruleset::RuleSet,
    settlement::Others,
};
use smallvec::SmallVec;

/// Greatest bid in least bids where the rules know none: as in the client of that time.
const GREATEST: u64 = 32;
/// Greatest factor.
const FACTOR_MAXIMUM: u64 = 1_000;

/// A number that stakes are multiplied by, exactly.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Factor(Nct);

impl FromStr for Factor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Factor, &'static str> {
        // An amount is a decimal number with up to 18 digits after the point, and so is a factor.
        let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let factor = text.parse::<Nct>().ok().filter(|factor| plain && !factor.is_zero() && *factor <= Nct::whole(FACTOR_MAXIMUM));
        factor.map(Factor).ok_or("a factor is a number above 0 and at most 1000, such as 0.5")
    }
}

impl std::fmt::Display for Factor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.to_string().trim_end_matches(" NCT"))
    }
}

/// Another way to size the stakes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sizing {
    /// Every bid times a number, rounded down to wei and kept within the rules' limits.
    Times(Factor),
    /// The least bid.
    Least,
    /// The greatest bid; 32 times the least where the rules know none.
    Greatest,
}

impl Sizing {
    /// The bid in place of `bid`, and whether a limit of the rules made it what it is.
    fn bid(self, rules: &RuleSet, bid: Nct) -> Option<(Nct, bool)> {
        Some(match self {
            Sizing::Least => (rules.bid_minimum, false),
            Sizing::Greatest => (greatest(rules)?, false),
            Sizing::Times(Factor(factor)) => {
                let wished = bid.mul_div(factor, Nct::whole(1))?;
                let most = rules.bid_maximum.unwrap_or(wished).max(rules.bid_minimum);
                let bid = wished.clamp(rules.bid_minimum, most);
                (bid, bid != wished)
            }
        })
    }
}

fn greatest(rules: &RuleSet) -> Option<Nct> {
    match rules.bid_maximum {
        Some(most) => Some(most),
        None => rules.bid_minimum.checked_mul(GREATEST),
    }
}

/// What one sizing comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// How stakes are sized.
    pub sizing: Sizing,
    /// What they earn together.
    pub profit: NctDelta,
    /// Everything staked.
    pub staked: Nct,
    /// Bounties of which a bid was clamped.
    pub clamped: u64,
}

/// Adds up what several sizings come to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WhatIf {
    /// One for each sizing.
    pub outcomes: Vec<Outcome>,
    /// Bounties with an assertion of the engine's.
    pub asserted: u64,
}

impl WhatIf {
    /// For those factors, the least and the greatest bid.
    pub fn new(factors: &[Factor]) -> WhatIf {
        let sizings = factors.iter().map(|&factor| Sizing::Times(factor)).chain([Sizing::Least, Sizing::Greatest]);
        let outcome = |sizing| Outcome { sizing, profit: NctDelta::ZERO, staked: Nct::ZERO, clamped: 0 };
        WhatIf { outcomes: sizings.map(outcome).collect(), asserted: 0 }
    }

    /// Adds a bounty on which the engine asserted `own`.
    ///
    /// # Errors
    ///
    /// [`Rejection::Overflow`] where a product exceeds 256 bits.
    pub fn add(&mut self, rules: &RuleSet, others: &Others<'_>, own: &Assertion) -> Result<(), Rejection> {
        const OVERFLOW: Rejection = Rejection::Overflow { what: "another stake" };
        self.asserted += 1;
        let mut other = own.clone();
        for outcome in &mut self.outcomes {
            let bids = own.bids.iter().map(|&bid| outcome.sizing.bid(rules, bid));
            let bids: SmallVec<[(Nct, bool); 1]> = bids.collect::<Option<_>>().ok_or(OVERFLOW)?;
            outcome.clamped += u64::from(bids.iter().any(|(_, clamped)| *clamped));
            other.bids = bids.into_iter().map(|(bid, _)| bid).collect();
            outcome.profit += others.settle(rules, &other)?.profit();
            outcome.staked = other.staked().and_then(|staked| outcome.staked.checked_add(staked)).ok_or(OVERFLOW)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use market::ruleset::{BOUNTY_REGISTRY_1_0_0, BOUNTY_REGISTRY_1_6_1};

    fn factor(text: &str) -> Factor {
        text.parse().unwrap()
    }

    #[test]
    fn factors_are_exact_decimals() {
        assert_eq!(["0.25", "1", "4", "0.1"].map(|text| factor(text).to_string()), ["0.25", "1", "4", "0.1"]);
        for wrong in ["", "0", "-1", "1e3", "1001", "half", "1 NCT", "3 wei", "0.0000000000000000001", "1/2"] {
            assert!(wrong.parse::<Factor>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn bids_are_rounded_down_and_kept_within_the_limits() {
        let check = |rules: &RuleSet, sizing: Sizing, bid: &str, expected: &str, clamped: bool| {
            assert_eq!(sizing.bid(rules, bid.parse().unwrap()), Some((expected.parse().unwrap(), clamped)), "{sizing:?} of {bid}");
        };
        let times = |text| Sizing::Times(factor(text));
        let (new, old) = (&BOUNTY_REGISTRY_1_6_1, &BOUNTY_REGISTRY_1_0_0);
        check(new, times("1"), "0.0625", "0.0625", false);
        check(new, times("0.5"), "333333333333333333 wei", "166666666666666666 wei", false);
        check(new, times("0.5"), "0.1", "0.0625", true);
        check(new, times("4"), "0.3", "1", true);
        check(old, times("4"), "0.3", "1.2", false);
        check(new, Sizing::Least, "0.3", "0.0625", false);
        check(new, Sizing::Greatest, "0.3", "1", false);
        check(old, Sizing::Greatest, "0.3", "2", false);
    }
}
