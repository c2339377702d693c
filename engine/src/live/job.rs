//! What the driver asks for, and what comes of it: the words between deciding and doing.

use std::sync::Arc;

use alloy_primitives::B256;
use market::{block::BlockNumber, commitment::Opening, id::Guid, nct::Nct};
use wire::{assertion::Assertion, parameters::BountyParameters, receipt::Receipt, vote::Vote};

use super::{
    journal::{Promised, Record},
    polyswarmd::RequestError,
    transactions::{ReceiptError, SendError, Urgency},
    verify::Refusal,
};
use crate::{artifact::ScanResult, filter::Announced};

/// Something to be done. Most jobs come back as an [`Outcome`].
#[derive(Clone, PartialEq, Debug)]
pub enum Job {
    /// Ask for fees and windows.
    ReadParameters,
    /// Ask how many artifacts a bounty has.
    List {
        /// The bounty.
        guid: Guid,
        /// Where its artifacts are.
        subject: Arc<Subject>,
    },
    /// Download and scan them.
    Scan {
        /// The bounty.
        guid: Guid,
        /// What to scan.
        subject: Arc<Subject>,
        /// How many artifacts.
        artifacts: usize,
    },
    /// Ask for the balance.
    AskBalance {
        /// See [`Funds::ask`](super::funds::Funds::ask).
        question: u64,
    },
    /// Build, verify, sign and send the transactions of an action; before an assertion, journal it.
    Send(Box<Action>),
    /// Wait for what they log.
    Confirm {
        /// The action.
        action: Box<Action>,
        /// Its transactions.
        hashes: Vec<B256>,
    },
    /// See how an own assertion stands on chain.
    LookUp {
        /// The bounty.
        guid: Guid,
        /// What was committed to.
        commitment: B256,
    },
    /// Read what the arbiters voted on a bounty, to learn from.
    ReadVotes {
        /// The bounty.
        guid: Guid,
        /// Read also what everybody staked on it.
        stakes: bool,
    },
    /// Write to the journal. Nothing comes back.
    Write(Record),
}

/// A bounty's artifacts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subject {
    /// Where they are.
    pub uri: String,
    /// What the ambassador announced, artifact 0 first; may be shorter than the list of artifacts.
    pub announced: Vec<Announced>,
    /// First block in which no assertion is taken.
    pub expiration: BlockNumber,
}

/// Something to do on chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Action {
    /// The bounty.
    pub guid: Guid,
    /// What to do.
    pub kind: ActionKind,
    /// Block in which it must be mined at the latest.
    pub latest: Option<BlockNumber>,
}

/// What to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ActionKind {
    /// Commit and stake.
    Assert(Promised),
    /// Open the commitment.
    Reveal {
        /// Position of the assertion.
        index: u64,
        /// What opens it.
        opening: Opening,
        /// Number of artifacts.
        artifacts: usize,
    },
    /// Collect.
    Settle,
}

impl Action {
    /// How urgent it is.
    pub fn urgency(&self) -> Urgency {
        match self.kind {
            ActionKind::Assert(_) => Urgency::Assert,
            ActionKind::Reveal { .. } => Urgency::Reveal,
            ActionKind::Settle => Urgency::Settle,
        }
    }

    /// Its name in messages.
    pub fn name(&self) -> &'static str {
        match self.kind {
            ActionKind::Assert(_) => "assertion",
            ActionKind::Reveal { .. } => "reveal",
            ActionKind::Settle => "settlement",
        }
    }
}

/// What came of a job.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Of [`Job::ReadParameters`].
    Parameters(Result<BountyParameters, RequestError>),
    /// Of [`Job::List`]: the number of artifacts.
    Listed {
        /// The bounty.
        guid: Guid,
        /// How many, or why nobody knows.
        result: Result<usize, ScanError>,
    },
    /// Of [`Job::Scan`]: for each artifact the answers of all backends.
    Scanned {
        /// The bounty.
        guid: Guid,
        /// The answers, or why there are none.
        result: Result<Vec<ScanResult>, ScanError>,
    },
    /// Of [`Job::AskBalance`].
    Balance {
        /// The question's number.
        question: u64,
        /// In wei.
        result: Result<Nct, RequestError>,
    },
    /// Of [`Job::Send`]: hashes of the transactions.
    Sent {
        /// The action.
        action: Box<Action>,
        /// The hashes, or how far it did not come.
        result: Result<Vec<B256>, ActionError>,
    },
    /// Of [`Job::Confirm`].
    Confirmed {
        /// The action.
        action: Box<Action>,
        /// What the transactions logged.
        result: Result<Receipt, ReceiptError>,
    },
    /// Of [`Job::LookUp`].
    LookedUp {
        /// The bounty.
        guid: Guid,
        /// How it stands.
        result: Result<Standing, RequestError>,
    },
    /// Of [`Job::ReadVotes`].
    Votes {
        /// The bounty.
        guid: Guid,
        /// All votes.
        result: Result<Vec<Vote>, RequestError>,
        /// All assertions, if they were asked for and came.
        assertions: Option<Vec<Assertion>>,
    },
    /// Of any job that panicked: our mistake, and of one job. How far it came is not known.
    Panicked(Box<Job>),
}

/// Why there are no answers about artifacts.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// The bounty expired while it waited.
    #[error("it expired before it was scanned")]
    Late,
    /// The scan itself failed, which no backend can make it do.
    #[error("the scan failed: {0}")]
    Failed(String),
    /// An artifact cannot be had.
    #[error(transparent)]
    Download(#[from] RequestError),
}

/// Why an action's transactions were not sent.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActionError {
    /// polyswarmd did not build them.
    #[error(transparent)]
    Build(#[from] RequestError),
    /// They are not what was asked for.
    #[error("refusing to sign: {0}")]
    Unverified(#[from] Refusal),
    /// The promise cannot be written down, so it is not made.
    #[error("cannot write the journal: {0}")]
    Journal(String),
    /// They could not be sent.
    #[error(transparent)]
    Send(#[from] SendError),
}

impl ActionError {
    /// True if the last transaction of the action may be on its way all the same. One that was sent again may be refused
    /// because it was mined in between: then only the chain knows.
    pub fn may_have_arrived(&self) -> bool {
        matches!(self, ActionError::Send(SendError::Unknown(_) | SendError::NotTaken { .. } | SendError::Stopped))
    }
}

/// How an own assertion stands on chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It is there.
    Found {
        /// Its position.
        index: u64,
        /// Whether it is revealed.
        revealed: bool,
        /// Whether the bounty's quorum is reached.
        quorum: bool,
    },
    /// It is not there, or the bounty is not.
    Missing,
}
