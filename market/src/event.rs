//! What happened, in the contracts' own words and order. Events are in the past tense and carry every field of the log.

use std::sync::Arc;

use alloy_primitives::{B256, U256};
use smallvec::SmallVec;

use crate::{
    block::{BlockNumber, Windows},
    commitment::Opening,
    id::{AccountId, Guid},
    nct::Nct,
    settlement::Fees,
    verdict::ArtifactSet,
};

/// A log entry of one of the three contracts.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event {
    // NectarToken.
    Transfer {
        from: AccountId,
        to: AccountId,
        value: Nct,
    },
    Approval {
        owner: AccountId,
        spender: AccountId,
        value: Nct,
    },
    TransfersEnabled,

    // BountyRegistry.
    NewBounty {
        guid: Guid,
        artifact_type: u64,
        author: AccountId,
        amount: Nct,
        artifact_uri: Arc<str>,
        expiration: BlockNumber,
        metadata: Option<Arc<str>>,
    },
    NewAssertion {
        guid: Guid,
        author: AccountId,
        index: u64,
        bids: SmallVec<[Nct; 1]>,
        mask: ArtifactSet,
        artifacts: usize,
        commitment: B256,
    },
    RevealedAssertion {
        guid: Guid,
        author: AccountId,
        index: u64,
        opening: Opening,
        artifacts: usize,
        metadata: Option<Arc<str>>,
    },
    NewVote {
        guid: Guid,
        votes: ArtifactSet,
        artifacts: usize,
        voter: AccountId,
    },
    QuorumReached {
        guid: Guid,
    },
    SettledBounty {
        guid: Guid,
        settler: AccountId,
        payout: Nct,
    },
    AddedArbiter {
        arbiter: AccountId,
        block: U256,
    },
    RemovedArbiter {
        arbiter: AccountId,
        block: U256,
    },
    FeesUpdated(Fees),
    WindowsUpdated(Windows),
    Paused {
        contract: AccountId,
        by: AccountId,
    },
    Unpaused {
        contract: AccountId,
        by: AccountId,
    },
    PauserAdded {
        contract: AccountId,
        account: AccountId,
    },
    PauserRemoved {
        contract: AccountId,
        account: AccountId,
    },
    OwnershipTransferred {
        contract: AccountId,
        from: AccountId,
        to: AccountId,
    },
    Deprecated {
        rollover: bool,
    },
    Undeprecated,

    // ArbiterStaking.
    BountyRecorded {
        guid: Guid,
        block: U256,
    },
    BountyVoteRecorded {
        arbiter: AccountId,
    },
    NewDeposit {
        from: AccountId,
        value: Nct,
    },
    NewWithdrawal {
        to: AccountId,
        value: Nct,
    },
}

impl Event {
    /// Name of the log entry.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Transfer { .. } => "Transfer",
            Event::Approval { .. } => "Approval",
            Event::TransfersEnabled => "TransfersEnabled",
            Event::NewBounty { .. } => "NewBounty",
            Event::NewAssertion { .. } => "NewAssertion",
            Event::RevealedAssertion { .. } => "RevealedAssertion",
            Event::NewVote { .. } => "NewVote",
            Event::QuorumReached { .. } => "QuorumReached",
            Event::SettledBounty { .. } => "SettledBounty",
            Event::AddedArbiter { .. } => "AddedArbiter",
            Event::RemovedArbiter { .. } => "RemovedArbiter",
            Event::FeesUpdated(_) => "FeesUpdated",
            Event::WindowsUpdated(_) => "WindowsUpdated",
            Event::Paused { .. } => "Paused",
            Event::Unpaused { .. } => "Unpaused",
            Event::PauserAdded { .. } => "PauserAdded",
            Event::PauserRemoved { .. } => "PauserRemoved",
            Event::OwnershipTransferred { .. } => "OwnershipTransferred",
            Event::Deprecated { .. } => "Deprecated",
            Event::Undeprecated => "Undeprecated",
            Event::BountyRecorded { .. } => "BountyRecorded",
            Event::BountyVoteRecorded { .. } => "BountyVoteRecorded",
            Event::NewDeposit { .. } => "NewDeposit",
            Event::NewWithdrawal { .. } => "NewWithdrawal",
        }
    }

    /// The contract that logs it.
    pub fn contract(&self) -> AccountId {
        match self {
            Event::Transfer { .. } | Event::Approval { .. } | Event::TransfersEnabled => AccountId::TOKEN,
            Event::BountyRecorded { .. } | Event::BountyVoteRecorded { .. } | Event::NewDeposit { .. } | Event::NewWithdrawal { .. } => {
                AccountId::STAKING
            }
            Event::Paused { contract, .. }
            | Event::Unpaused { contract, .. }
            | Event::PauserAdded { contract, .. }
            | Event::PauserRemoved { contract, .. }
            | Event::OwnershipTransferred { contract, .. } => *contract,
            _ => AccountId::REGISTRY,
        }
    }
}
