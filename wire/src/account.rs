//! What belongs to an account: balances, nonces, and the amounts it stakes or moves between chains.

use market::nct::Nct;
use serde::{Deserialize, Serialize};

use crate::decimal;

/// The answer to `GET /balances/{address}/nct`, `/eth`, `/staking/total` and `/staking/withdrawable`: wei, as a string.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Balance(#[serde(with = "decimal::string")] pub Nct);

/// The answer to `GET /nonce`: the next nonce of the account on that chain, as a JSON integer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nonce(#[serde(with = "decimal::integer")] pub u64);

/// The answer to `GET /pending`: nonces of transactions that are not mined yet. polyswarmd writes them as strings.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pending(#[serde(with = "decimal::strings")] pub Vec<u64>);

/// Body of `POST /staking/deposit`, `/staking/withdraw`, `/relay/deposit` and `/relay/withdrawal`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Amount {
    /// In wei, as a string.
    #[serde(with = "decimal::string")]
    pub amount: Nct,
}
