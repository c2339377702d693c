//! Votes of arbiters: casting one, listing a bounty's.

use market::id::Address;
use serde::{Deserialize, Serialize};

use crate::{address, flags::Flags};

/// Body of `POST /bounties/{guid}/vote`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PostVote {
    /// True for malicious, one for each artifact.
    pub votes: Flags,
    /// Whether the bounty's filter matches its artifacts.
    pub valid_bloom: bool,
}

/// An entry of `GET /bounties/{guid}/votes`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Vote {
    /// The arbiter.
    #[serde(with = "address")]
    pub voter: Address,
    /// True for malicious, one for each artifact.
    pub votes: Flags,
    /// Whether the arbiter found the bounty's filter to match.
    pub valid_bloom: bool,
}
