//! Every way to be refused, with its facts, and what the contract says in its place.

use crate::{
    block::{BlockNumber, Round},
    id::{AccountId, Guid},
    nct::Nct,
    ruleset::Edition,
};

/// How a contract refuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Revert {
    /// `require` with a message.
    Message(&'static str),
    /// A revert with empty data.
    Empty,
    /// The INVALID opcode, which burns all gas.
    InvalidOpcode,
}

/// Which window a command missed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Missed {
    /// It came before the window.
    Early,
    /// It came after the window.
    Late,
}

/// Why the market refused a command. The market's state is as if the command had never been.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    #[error("the contract is paused")]
    Paused,
    #[error("the contract is not paused")]
    NotPaused,
    #[error("account {account:?} lacks the role of {role}")]
    RoleMissing { account: AccountId, role: &'static str },
    #[error("account {account:?} has the role of {role} already")]
    RoleTaken { account: AccountId, role: &'static str },
    #[error("the zero address cannot be {role}")]
    ZeroAddress { role: &'static str },
    #[error("an amount exceeds 256 bits or falls below zero: {what}")]
    Overflow { what: &'static str },
    #[error("this rule set has no such function: {function}")]
    NoSuchFunction { function: &'static str },

    #[error("allowance of {allowance} is below {value}")]
    AllowanceShort { allowance: Nct, value: Nct },
    #[error("balance of {balance} is below {value}")]
    BalanceShort { balance: Nct, value: Nct },
    #[error("token transfers are not enabled")]
    TransfersDisabled,
    #[error("token transfers are enabled already")]
    TransfersEnabled,
    #[error("the called contract refused the approval ({revert:?})")]
    ApprovalRefused { revert: Revert },

    #[error("the registry is deprecated")]
    Deprecated,
    #[error("the registry is not deprecated")]
    NotDeprecated,
    #[error("guid {guid} is in use")]
    GuidInUse { guid: Guid },
    #[error("bounty {guid} does not exist")]
    UnknownBounty { guid: Guid },
    #[error("the artifact URI is empty")]
    EmptyUri,
    #[error("a bounty needs at least one artifact")]
    NoArtifacts,
    #[error("{artifacts} artifacts exceed the maximum of {maximum}")]
    TooManyArtifacts { artifacts: u64, maximum: u64 },
    #[error("artifact type {artifact_type} is unknown")]
    UnknownArtifactType { artifact_type: u64 },
    #[error("duration of {duration} blocks is not within 1..{maximum}")]
    BadDuration { duration: u64, maximum: u64 },
    #[error("amount of {amount} is below the minimum of {minimum}")]
    AmountBelowMinimum { amount: Nct, minimum: Nct },

    #[error("bounty expired at {expiration}")]
    BountyExpired { expiration: BlockNumber },
    #[error("{bids} bids do not match {masked} masked artifacts")]
    BidCount { bids: usize, masked: usize },
    #[error("account {account:?} has asserted on this bounty already")]
    AlreadyAsserted { account: AccountId },
    #[error("bid of {bid} is below the minimum of {minimum}")]
    BidBelowMinimum { bid: Nct, minimum: Nct },
    #[error("bid of {bid} is above the maximum of {maximum}")]
    BidAboveMaximum { bid: Nct, maximum: Nct },
    #[error("the mask has bits beyond the {artifacts} artifacts")]
    StrayMaskBits { artifacts: usize },
    #[error("the mask is empty")]
    EmptyMask,

    #[error("not in the reveal window (round: {round})")]
    RevealWindow { missed: Missed, round: Round },
    #[error("the nonce is zero")]
    ZeroNonce,
    #[error("there is no assertion {index}: the bounty has {assertions}")]
    UnknownAssertion { index: u64, assertions: usize },
    #[error("assertion {index} belongs to another account")]
    NotTheAuthor { index: u64 },
    #[error("assertion {index} is revealed already")]
    AlreadyRevealed { index: u64 },
    #[error("nonce and verdicts do not open the commitment")]
    CommitmentMismatch,
    #[error("the verdicts have bits beyond the {artifacts} artifacts")]
    StrayVerdictBits { artifacts: usize },

    #[error("account {account:?} is not an arbiter")]
    NotAnArbiter { account: AccountId },
    #[error("not in the vote window (round: {round})")]
    VoteWindow { missed: Missed, round: Round },
    #[error("arbiter {account:?} has voted on this bounty already")]
    AlreadyVoted { account: AccountId },
    #[error("more votes than registered arbiters: the quorum cannot be computed")]
    QuorumUnderflow,

    #[error("account {account:?} has settled this bounty already")]
    AlreadySettled { account: AccountId },
    #[error("bounty cannot be settled yet (round: {round})")]
    NotSettleable { round: Round },
    #[error("arbiters settle after the vote window (round: {round})")]
    ArbiterTooEarly { round: Round },
    #[error("no voter has any stake: the draw divides by zero")]
    DrawWithoutStake,

    #[error("only the bounty registry may record bounties")]
    NotTheRegistry,
    #[error("the staking contract's registry is not a contract")]
    RegistryIsNoContract,
    #[error("a bounty is recorded at a block beyond zero")]
    ZeroBlock,
    #[error("only the token may deliver approvals")]
    NotTheToken,
    #[error("deposit of nothing")]
    ZeroDeposit,
    #[error("stake of {stake} would exceed the maximum of {maximum}")]
    StakeAboveMaximum { stake: Nct, maximum: Nct },
    #[error("stake of {stake} would be below the minimum of {minimum}")]
    StakeBelowMinimum { stake: Nct, minimum: Nct },
    #[error("account {account:?} has no deposits")]
    NoDeposits { account: AccountId },
    #[error("at {now} no deposit can be {duration} blocks old")]
    ChainTooShort { now: BlockNumber, duration: u64 },
    #[error("{value} exceeds the withdrawable {withdrawable}")]
    NotWithdrawable { value: Nct, withdrawable: Nct },

    #[error("no bounty has been posted")]
    NoBounties,
    #[error("index {index} is out of range")]
    IndexOutOfRange { index: u64 },
    #[error("more than {limit} distinct voters")]
    TooManyVoters { limit: usize },
}

/// Refuses a command, out of the way of those that are accepted.
#[cold]
pub(crate) fn refuse<T>(rejection: Rejection) -> Result<T, Rejection> {
    Err(rejection)
}

impl Rejection {
    /// What the contract of `edition` answers in this case.
    pub fn revert(&self, edition: Edition) -> Revert {
        use Edition::{V1_0_0, V1_6_1};
        use Rejection as R;
        Revert::Message(match (self, edition) {
            (R::GuidInUse { .. }, _) => "GUID already in use",
            (R::UnknownBounty { .. }, V1_0_0) => "Bounty has not been initialized",
            (R::UnknownBounty { .. }, V1_6_1) => "Bounty not initialized",
            (R::EmptyUri, V1_0_0) => "Invalid artifact URI",
            (R::NoArtifacts, V1_0_0) => "Not enough artifacts in bounty",
            (R::TooManyArtifacts { .. }, V1_0_0) => "Too many artifacts in bounty",
            (R::EmptyUri | R::NoArtifacts | R::TooManyArtifacts { .. } | R::UnknownArtifactType { .. }, _) => "Invalid artifact parameters",
            (R::BadDuration { .. }, _) => "Invalid bounty duration",
            (R::AmountBelowMinimum { .. }, V1_0_0) => "Bounty amount below minimum",
            (R::AmountBelowMinimum { .. }, V1_6_1) => "Amount below minimum for number of artifacts",

            (R::BountyExpired { .. }, _) => "Bounty inactive",
            (R::BidCount { .. }, _) => "Bid does not match mask count",
            (R::AlreadyAsserted { .. }, _) => "Sender has already asserted",
            (R::BidBelowMinimum { .. }, V1_0_0) => "Assertion bid below minimum",
            (R::BidBelowMinimum { .. } | R::BidAboveMaximum { .. }, _) => "Bid not between min & max",

            (R::RevealWindow { missed: Missed::Early, .. }, V1_0_0) => "Bounty is still active",
            (R::RevealWindow { missed: Missed::Late, .. }, V1_0_0) => "Reveal round has closed",
            (R::RevealWindow { .. }, V1_6_1) => "Bounty not in reveal window",
            (R::ZeroNonce, _) => "Invalid nonce",
            (R::UnknownAssertion { .. }, _) => "Invalid assertion ID",
            (R::NotTheAuthor { .. }, _) => "Incorrect assertion author",
            (R::AlreadyRevealed { .. }, _) => "Bounty already revealed",
            (R::CommitmentMismatch, _) => "Commitment hash mismatch",

            (R::NotAnArbiter { .. }, V1_0_0) => "msg.sender is not an arbiter",
            (R::VoteWindow { missed: Missed::Early, .. }, V1_0_0) => "Reveal round is still active",
            (R::VoteWindow { missed: Missed::Late, .. }, V1_0_0) => "Voting round has closed",
            (R::VoteWindow { .. }, V1_6_1) => "Bounty not in voting window",
            (R::AlreadyVoted { .. }, _) => "Arbiter has already voted",

            (R::AlreadySettled { .. }, V1_0_0) => "Bounty has already been settled for sender",
            (R::AlreadySettled { .. }, V1_6_1) => "Sender already settled",
            (R::NotSettleable { .. }, V1_0_0) => "Voting round is still active and quorum has not been reached",
            (R::NotSettleable { .. }, V1_6_1) => "No Quorum and vote active",
            (R::ArbiterTooEarly { .. }, _) => "Voting round still active",
            (R::DrawWithoutStake | R::IndexOutOfRange { .. } | R::TooManyVoters { .. }, _) => return Revert::InvalidOpcode,

            (R::TransfersDisabled, _) => "Transfers not enabled",
            (R::TransfersEnabled, _) => "Transfers enabled",
            (R::ApprovalRefused { .. }, _) => "receiveApproval failed",

            (R::RoleTaken { role: "arbiter", .. }, V1_0_0) => "Address is already an arbiter",
            (R::ZeroAddress { role: "arbiter" }, V1_0_0) | (R::ZeroAddress { role: "voter" }, _) => "Invalid arbiter address",
            (R::ZeroBlock, _) => "Invalid block number",
            (R::NotTheRegistry, _) => "Can only be called by the BountyRegistry.",
            (R::NotTheToken, _) => "Must be called from the token.",
            (R::RoleMissing { role: "arbiter", .. }, _) => "Deposit target is not an arbiter",
            (R::ZeroDeposit, _) => "Zero value being deposited",
            (R::StakeAboveMaximum { .. }, _) => "Value greater than maximum stake",
            (R::NoDeposits { .. }, _) => "Cannot withdraw without some deposits.",
            (R::NotWithdrawable { .. }, _) => "Value exceeds withdrawable balance",
            (R::NoBounties, _) => "No bounties have been placed",
            _ => return Revert::Empty,
        })
    }
}
