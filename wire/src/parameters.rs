//! Fees, limits and windows, which clients ask for at every (re)connection and do arithmetic with: JSON integers all.

use market::nct::Nct;
use serde::{Deserialize, Serialize};

use crate::decimal;

/// polyswarmd 2.x, `GET /bounties/parameters`. Amounts in wei, the rest in blocks unless it says otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BountyParameters {
    /// What posting a bounty costs, beside its amount.
    #[serde(with = "decimal::integer")]
    pub bounty_fee: Nct,
    /// What posting an assertion costs, beside its bids.
    #[serde(with = "decimal::integer")]
    pub assertion_fee: Nct,
    /// Least amount of a bounty; for each artifact where the rules say so.
    #[serde(with = "decimal::integer")]
    pub bounty_amount_minimum: Nct,
    /// Least bid on one artifact.
    #[serde(with = "decimal::integer")]
    pub assertion_bid_minimum: Nct,
    /// Greatest bid on one artifact.
    #[serde(with = "decimal::integer")]
    pub assertion_bid_maximum: Nct,
    /// Bounties, not blocks, that the list of arbiter candidates looks back on.
    #[serde(with = "decimal::integer")]
    pub arbiter_lookback_range: u64,
    /// Greatest duration of a bounty.
    #[serde(with = "decimal::integer")]
    pub max_duration: u64,
    /// Blocks after expiration in which assertions are revealed.
    #[serde(with = "decimal::integer")]
    pub assertion_reveal_window: u64,
    /// Blocks after the reveal window in which arbiters vote.
    #[serde(with = "decimal::integer")]
    pub arbiter_vote_window: u64,
}

/// polyswarmd 2.x, `GET /staking/parameters`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StakingParameters {
    /// Least stake of an eligible arbiter in wei. An arbiter below it deposits at its start.
    #[serde(with = "decimal::integer")]
    pub minimum_stake: Nct,
    /// Greatest stake of an arbiter in wei.
    #[serde(with = "decimal::integer")]
    pub maximum_stake: Nct,
    /// Share of bounties that an eligible arbiter votes on: so many …
    #[serde(with = "decimal::integer")]
    pub vote_ratio_numerator: u64,
    /// … of so many.
    #[serde(with = "decimal::integer")]
    pub vote_ratio_denominator: u64,
}
