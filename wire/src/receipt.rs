//! What mined transactions logged: the answer to `GET /transactions`, by which a client knows that its action took place.
//!
//! The types of the same value differ from list to list, and from WebSocket events: clients compare them as they are.

use std::fmt;

use alloy_primitives::{B256, U256};
use market::{
    block::BlockNumber,
    id::{Address, Guid},
    nct::Nct,
};
use serde::{Deserialize, Serialize};

use crate::{address, artifact::ArtifactType, decimal, flags::Flags, guid};

/// Everything that the transactions of one action logged. Lists without entries are left out; `errors` is always there.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Receipt {
    /// Nectar that moved. An `approve` logs nothing here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transfers: Vec<Transfer>,
    /// Bounties posted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bounties: Vec<NewBounty>,
    /// Assertions posted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub assertions: Vec<NewAssertion>,
    /// Assertions revealed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reveals: Vec<RevealedAssertion>,
    /// Votes cast.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub votes: Vec<NewVote>,
    /// Stakes deposited.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deposits: Vec<NewDeposit>,
    /// Stakes taken back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub withdrawals: Vec<NewWithdrawal>,
    /// One text for each transaction that failed; see [`Problem`]. With any, the whole receipt is the `errors` of a
    /// failure: [`crate::envelope::Failure::Receipt`].
    pub errors: Vec<String>,
}

impl Receipt {
    /// True if a transaction failed.
    pub fn has_failed(&self) -> bool {
        !self.errors.is_empty()
    }
}

/// Nectar that moved.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Transfer {
    /// Who received it.
    #[serde(with = "address")]
    pub to: Address,
    /// Who paid it.
    #[serde(with = "address")]
    pub from: Address,
    /// In wei, as a string.
    #[serde(with = "decimal::string")]
    pub value: Nct,
}

/// A bounty posted. As in the event, but `metadata` is the URI.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NewBounty {
    /// Its name.
    #[serde(with = "guid")]
    pub guid: Guid,
    /// What the artifacts are.
    pub artifact_type: ArtifactType,
    /// The ambassador.
    #[serde(with = "address")]
    pub author: Address,
    /// In wei, as a string.
    #[serde(with = "decimal::string")]
    pub amount: Nct,
    /// Where the artifacts are listed.
    pub uri: String,
    /// First block without assertions, as a string; clients insist that it is not zero.
    #[serde(with = "decimal::string")]
    pub expiration: BlockNumber,
    /// URI of the metadata, or empty.
    #[serde(default)]
    pub metadata: String,
}

/// An assertion posted. The same in the event.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NewAssertion {
    /// The bounty.
    #[serde(with = "guid")]
    pub bounty_guid: Guid,
    /// The expert.
    #[serde(with = "address")]
    pub author: Address,
    /// Position among the bounty's assertions, by which it is revealed.
    #[serde(with = "decimal::integer")]
    pub index: u64,
    /// In wei, one for each true of the mask, as strings.
    #[serde(with = "decimal::strings")]
    pub bid: Vec<Nct>,
    /// Artifacts asserted on.
    pub mask: Flags,
    /// What was promised, as a string.
    #[serde(with = "decimal::string")]
    pub commitment: U256,
}

/// An assertion revealed. As in the event, but `metadata` is the URI.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RevealedAssertion {
    /// The bounty.
    #[serde(with = "guid")]
    pub bounty_guid: Guid,
    /// The expert.
    #[serde(with = "address")]
    pub author: Address,
    /// Position among the bounty's assertions.
    #[serde(with = "decimal::integer")]
    pub index: u64,
    /// The secret of the commitment, as a string.
    #[serde(with = "decimal::string")]
    pub nonce: U256,
    /// True for malicious.
    pub verdicts: Flags,
    /// URI of the metadata, or empty.
    #[serde(default)]
    pub metadata: String,
}

/// A vote cast. The same in the event.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NewVote {
    /// The bounty.
    #[serde(with = "guid")]
    pub bounty_guid: Guid,
    /// True for malicious, one for each artifact.
    pub votes: Flags,
    /// The arbiter.
    #[serde(with = "address")]
    pub voter: Address,
}

/// A stake deposited.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NewDeposit {
    /// In wei, as a JSON integer.
    #[serde(with = "decimal::integer")]
    pub value: Nct,
    /// The arbiter.
    #[serde(with = "address")]
    pub from: Address,
}

/// A stake taken back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NewWithdrawal {
    /// The arbiter.
    #[serde(with = "address")]
    pub to: Address,
    /// In wei, as a JSON integer.
    #[serde(with = "decimal::integer")]
    pub value: Nct,
}

/// Why a transaction is no success. Its text is an entry of [`Receipt::errors`]; clients go by words in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Problem {
    /// It was not mined in time (10 s on the side chain, 60 s on the home chain). The client asks again.
    Timeout,
    /// It was mined, but nobody knows how it ended. The client gives the action up.
    Unavailable,
    /// It ran out of gas.
    OutOfGas,
    /// The contract refused it.
    Failed {
        /// When.
        block: BlockNumber,
        /// The contract's words.
        reason: String,
    },
}

impl Problem {
    /// polyswarmd's text about the transaction with this hash.
    pub fn text(&self, transaction: B256) -> String {
        format!("transaction {}: {self}", hex::encode(transaction))
    }

    /// What a text of [`Receipt::errors`] says, by the words polyswarm-client looks for; `None` if it has none of them.
    pub fn of(text: &str) -> Option<Problem> {
        if text.contains("timeout during wait for receipt") {
            Some(Problem::Timeout)
        } else if let Some((_, failure)) = text.split_once("transaction failed") {
            let (at, reason) = failure.split_once(", error: ").unwrap_or((failure, ""));
            let block = at.trim_start_matches(" at block ").parse().unwrap_or_default();
            Some(Problem::Failed { block: BlockNumber(block), reason: reason.to_owned() })
        } else if text.contains("out of gas") {
            Some(Problem::OutOfGas)
        } else if text.contains("receipt") {
            Some(Problem::Unavailable)
        } else {
            None
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Timeout => f.write_str("timeout during wait for receipt"),
            Problem::Unavailable => f.write_str("receipt not available"),
            Problem::OutOfGas => f.write_str("out of gas"),
            Problem::Failed { block, reason } => write!(f, "transaction failed at {block}, error: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_told_by_the_words_that_clients_look_for() {
        let reason = "Bounty has already been settled for sender".to_owned();
        for problem in [Problem::Timeout, Problem::Unavailable, Problem::OutOfGas, Problem::Failed { block: BlockNumber(138), reason }] {
            assert_eq!(Problem::of(&problem.text(B256::repeat_byte(0x18))), Some(problem));
        }
        assert_eq!(Problem::of("Invalid JSON"), None);
    }
}
