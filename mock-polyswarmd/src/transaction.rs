//! A signed transaction that has been read: who signed it, and which contract call it carries.

use std::fmt;

use alloy_primitives::B256;
use market::{id::Address, market::named_address};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use wire::{
    calldata::{Call, MalformedCall},
    hexadecimal,
    transaction::{MalformedTransaction, Signed},
};

use crate::chain::ChainName;

/// Longest transaction in bytes, as in geth's pool. A bounty's URI goes out to every WebSocket, and clients take frames of up
/// to 1 MiB.
pub const TRANSACTION_MAXIMUM: usize = 128 << 10;

/// Longest address of an artifact or of metadata in bytes: it goes into every client's frames.
const ADDRESS_MAXIMUM: usize = 1_000;

/// A transaction, read once.
#[derive(Clone, PartialEq)]
pub struct Transaction {
    raw: Vec<u8>,
    hash: B256,
    signed: Signed,
    call: Call,
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("hash", &self.hash).field("call", &self.call).finish_non_exhaustive()
    }
}

/// Why a transaction is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    #[error("oversized data: a transaction of {bytes} bytes, at most {TRANSACTION_MAXIMUM} are taken")]
    TooLong { bytes: usize },
    #[error("the transaction cannot be read: {0}")]
    Malformed(#[from] MalformedTransaction),
    #[error("the transaction's call cannot be read: {0}")]
    Call(#[from] MalformedCall),
    #[error("Invalid transaction sender for tx {hash:x}: expected {expected} got {found}")]
    Sender { hash: B256, expected: Address, found: Address },
    #[error("Invalid transaction recipient for tx {hash:x}: {to} is not the {contract} at {expected}")]
    Recipient { hash: B256, to: Address, contract: &'static str, expected: Address },
    #[error("tx {hash:x} is signed for chain {found}, but {expected} is asked for")]
    Chain { hash: B256, expected: u64, found: u64 },
    #[error("tx {hash:x} sends {function} to the home chain, which knows transfers only")]
    HomeChain { hash: B256, function: &'static str },
    #[error("tx {hash:x} names an artifact or metadata by {bytes} bytes; an address has at most {ADDRESS_MAXIMUM}")]
    Address { hash: B256, bytes: usize },
    #[error("tx {hash:x} moves ether; only Nectar is moved here")]
    Ether { hash: B256 },
}

/// The contract that a call belongs to: its name here, and its address.
pub fn contract(call: &Call) -> (&'static str, Address) {
    let name = match call {
        Call::Approve { .. } | Call::Transfer { .. } => "NectarToken",
        Call::Deposit { .. } | Call::Withdraw { .. } => "ArbiterStaking",
        _ => "BountyRegistry",
    };
    (name, named_address(name))
}

/// The addresses of artifacts and metadata in a call.
fn texts(call: &Call) -> [&str; 2] {
    match call {
        Call::PostBounty(post) => [&post.uri, &post.metadata],
        Call::RevealAssertion(reveal) => [&reveal.metadata, ""],
        _ => ["", ""],
    }
}

impl Transaction {
    /// Reads a signed transaction in RLP.
    ///
    /// # Errors
    ///
    /// If it is not one, is too long, or its call is unknown.
    pub fn read(raw: Vec<u8>) -> Result<Transaction, Refused> {
        if raw.len() > TRANSACTION_MAXIMUM {
            return Err(Refused::TooLong { bytes: raw.len() });
        }
        let signed = Signed::decode(&raw)?;
        let call = Call::decode(&signed.transaction().data)?;
        Ok(Transaction { hash: alloy_primitives::keccak256(&raw), raw, signed, call })
    }

    /// Checks that `account` signed it, for that chain and for the contract that knows the call.
    ///
    /// # Errors
    ///
    /// What is wrong, in polyswarmd's words where it has any.
    pub fn check(&self, chain: ChainName, account: Address) -> Result<(), Refused> {
        let (hash, to, found) = (self.hash, self.signed.transaction().to, self.sender());
        if found != account {
            return Err(Refused::Sender { hash, expected: account, found });
        }
        if let Some(id) = self.signed.transaction().chain_id.filter(|&id| id != chain.id()) {
            return Err(Refused::Chain { hash, expected: chain.id(), found: id });
        }
        let (contract, expected) = contract(&self.call);
        if to != expected {
            return Err(Refused::Recipient { hash, to, contract, expected });
        }
        if chain == ChainName::Home && contract != "NectarToken" {
            return Err(Refused::HomeChain { hash, function: self.call.function().signature });
        }
        if let Some(bytes) = texts(&self.call).map(str::len).into_iter().find(|&bytes| bytes > ADDRESS_MAXIMUM) {
            return Err(Refused::Address { hash, bytes });
        }
        if !self.signed.transaction().value.is_zero() {
            return Err(Refused::Ether { hash });
        }
        Ok(())
    }

    /// Its hash.
    pub fn hash(&self) -> B256 {
        self.hash
    }

    /// Its size.
    pub fn bytes(&self) -> usize {
        self.raw.len()
    }

    /// Its number among the sender's.
    pub fn nonce(&self) -> u64 {
        self.signed.transaction().nonce
    }

    /// Who signed it.
    pub fn sender(&self) -> Address {
        self.signed.sender()
    }

    /// What it asks for.
    pub fn call(&self) -> &Call {
        &self.call
    }
}

impl Serialize for Transaction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.raw))
    }
}

impl<'de> Deserialize<'de> for Transaction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Transaction, D::Error> {
        let raw = hexadecimal::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)?;
        Transaction::read(raw).map_err(de::Error::custom)
    }
}
