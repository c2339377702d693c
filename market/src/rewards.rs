//! What a settlement comes to: fees that went in, and rewards that come out with what they are made of.

use serde::{Deserialize, Serialize};

use crate::nct::{Nct, NctDelta};

/// What posting costs beside bounty and bids.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fees {
    /// For a bounty, in wei.
    pub bounty: Nct,
    /// For an assertion, in wei.
    pub assertion: Nct,
}

/// The rewards of one bounty: together exactly what it took in, unless fees changed since.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rewards {
    /// What goes back to the ambassador.
    pub refund: Nct,
    /// What goes to the drawn arbiter.
    pub arbiter: Nct,
    /// What each assertion earns, in order of posting.
    pub experts: Vec<ExpertReward>,
}

/// The reward of one assertion, and what it is made of.
///
/// `payout - staked - fee = bounty_share + losers_share + no_vote_share - lost_stake - fee_lost + rounding`, to the wei.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ExpertReward {
    /// What is paid out.
    pub payout: Nct,
    /// Share of the bounty amount.
    pub bounty_share: Nct,
    /// Share of the stakes of those who were wrong.
    pub losers_share: Nct,
    /// Own stakes on artifacts where it was wrong or unrevealed, and on bits beyond the artifacts.
    pub lost_stake: Nct,
    /// Share of the bounty amount when nobody voted.
    pub no_vote_share: Nct,
    /// The assertion fee, unless it is paid back for want of votes.
    pub fee_lost: Nct,
    /// Wei that dividing the sum (and not its parts) gave or took: 0 with one bid per artifact, -1 to 1 otherwise.
    pub rounding: NctDelta,
}

impl ExpertReward {
    /// What the assertion changed its author's balance by, over its whole life.
    ///
    /// # Panics
    ///
    /// If an amount exceeds 255 bits.
    pub fn profit(&self) -> NctDelta {
        let gains = [self.bounty_share, self.losers_share, self.no_vote_share].into_iter().sum::<Nct>();
        gains.minus(self.lost_stake) - NctDelta::from(self.fee_lost) + self.rounding
    }
}
