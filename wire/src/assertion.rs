//! Assertions: posting one, revealing it, listing a bounty's.

use alloy_primitives::U256;
use market::{id::Address, nct::Nct};
use serde::{Deserialize, Serialize};

use crate::{
    address, decimal,
    flags::{Flags, Verdicts},
};

/// Body of `POST /bounties/{guid}/assertions`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PostAssertion {
    /// In wei, one for each true of the mask.
    #[serde(with = "decimal::strings")]
    pub bid: Vec<Nct>,
    /// Artifacts asserted on.
    pub mask: Flags,
    /// See [`market::commitment`].
    #[serde(with = "decimal::string")]
    pub commitment: U256,
}

/// Body of `POST /bounties/{guid}/assertions/{index}/reveal`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RevealAssertion {
    /// The secret of the commitment.
    #[serde(with = "decimal::string")]
    pub nonce: U256,
    /// True for malicious; false beyond the mask.
    pub verdicts: Flags,
    /// URI of the metadata, or empty.
    #[serde(default)]
    pub metadata: String,
}

/// An entry of `GET /bounties/{guid}/assertions`, in order of index.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Assertion {
    /// The expert.
    #[serde(with = "address")]
    pub author: Address,
    /// Artifacts asserted on.
    pub mask: Flags,
    /// What was promised.
    #[serde(with = "decimal::string")]
    pub commitment: U256,
    /// The secret of the commitment; zero until it is revealed.
    #[serde(with = "decimal::string")]
    pub nonce: U256,
    /// True for malicious; nulls until they are revealed.
    pub verdicts: Verdicts,
    /// URI of the metadata; empty until it is revealed.
    #[serde(default)]
    pub metadata: String,
    /// In wei, one for each true of the mask.
    #[serde(with = "decimal::strings")]
    pub bid: Vec<Nct>,
}
