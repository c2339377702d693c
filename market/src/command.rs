//! What an account can ask the market for. Commands are imperative and carry what the transaction carried.

use std::sync::Arc;

use alloy_primitives::U256;
use smallvec::SmallVec;

use crate::{
    block::Windows,
    bloom::Bloom,
    commitment::{Commitment, Opening},
    id::{AccountId, Guid},
    nct::Nct,
    verdict::ArtifactSet,
};

/// A call of one of the three contracts.
#[derive(Clone, Debug)]
pub enum Command {
    // BountyRegistry: the road of a bounty.
    PostBounty(Box<PostBounty>),
    PostAssertion(PostAssertion),
    RevealAssertion(RevealAssertion),
    VoteOnBounty { guid: Guid, votes: ArtifactSet, valid_bloom: bool },
    SettleBounty { guid: Guid },

    // BountyRegistry: running the market. `block` is an argument that only the event repeats.
    AddArbiter { arbiter: AccountId, block: U256 },
    RemoveArbiter { arbiter: AccountId, block: U256 },
    SetBountyFee(Nct),
    SetAssertionFee(Nct),
    SetWindows(Windows),
    SetFeeManager(AccountId),
    SetWindowManager(AccountId),
    AddArbiterManager(AccountId),
    RemoveArbiterManager(AccountId),
    AddDeprecator(AccountId),
    RemoveDeprecator(AccountId),
    Pause,
    Unpause,
    AddPauser(AccountId),
    RenouncePauser,
    TransferOwnership(AccountId),
    RenounceOwnership,
    Deprecate { rollover: bool },
    Undeprecate,

    // ArbiterStaking.
    Deposit(Nct),
    Withdraw(Nct),
    PauseStaking,
    UnpauseStaking,
    SetBountyRegistry(AccountId),
    RecordBounty { arbiter: AccountId, guid: Guid, block: U256 },
    ReceiveApproval { from: AccountId, value: Nct, token: AccountId },

    // NectarToken.
    Transfer { to: AccountId, value: Nct },
    TransferFrom { from: AccountId, to: AccountId, value: Nct },
    Approve { spender: AccountId, value: Nct },
    ApproveAndCall { spender: AccountId, value: Nct },
    Mint { to: AccountId, value: Nct },
    EnableTransfers,
}

/// Posts a bounty; the sender pays `amount` and the bounty fee.
#[derive(Clone, Debug)]
pub struct PostBounty {
    pub guid: Guid,
    /// 0 for files, 1 for URLs; 1.0.0 knows no types and ignores it.
    pub artifact_type: u64,
    pub amount: Nct,
    pub artifact_uri: Arc<str>,
    /// Number of artifacts; numbers beyond 64 bits are given as `u64::MAX`, which is refused alike.
    pub artifacts: u64,
    /// Blocks; numbers beyond 64 bits are given as `u64::MAX`, which is refused alike.
    pub duration: u64,
    /// `None` for a filter without a bit.
    pub bloom: Option<Box<Bloom>>,
    pub metadata: Option<Arc<str>>,
}

impl PostBounty {
    /// A bounty of 2 NCT on one file for 10 blocks.
    pub fn one_artifact() -> PostBounty {
        PostBounty {
            guid: Guid(0),
            artifact_type: 0,
            amount: Nct::whole(2),
            artifact_uri: "Qm".into(),
            artifacts: 1,
            duration: 10,
            bloom: None,
            metadata: None,
        }
    }
}

/// Stakes on some artifacts of a bounty; the sender pays all bids and the assertion fee.
#[derive(Clone, Debug)]
pub struct PostAssertion {
    pub guid: Guid,
    /// One per mask bit, lowest bit first; exactly one where the rules take one per bounty.
    pub bids: SmallVec<[Nct; 1]>,
    pub mask: ArtifactSet,
    pub commitment: Commitment,
}

/// Opens the commitment of an assertion.
#[derive(Clone, Debug)]
pub struct RevealAssertion {
    pub guid: Guid,
    /// Position of the assertion among the bounty's; numbers beyond 64 bits are given as `u64::MAX`.
    pub index: u64,
    pub opening: Opening,
    pub metadata: Option<Arc<str>>,
}

/// What an accepted command came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Accepted {
    /// Nothing more to say.
    Done,
    /// The assertion's position among the bounty's.
    Asserted { index: u64 },
    /// The vote counts; true if it completed the quorum.
    Voted { quorum: bool },
    /// What the sender was paid.
    Settled { payout: Nct },
}
