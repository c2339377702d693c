//! From a request to the contract call it asks for: what a server builds, and what a client expects to be given to sign.
//!
//! A client compares: it decodes the calldata it is given and signs if that equals the call of its own request. Two
//! things it cannot know beforehand: the guid of a bounty, which the server chooses, and the spender of an approval.

use alloy_primitives::U256;
use market::{bloom::Bloom, id::Guid, nct::Nct};

use crate::{
    assertion, bounty,
    calldata::{self, Call},
    vote,
};

impl bounty::PostBounty {
    /// `postBounty`, preceded by an approval of the amount and the bounty fee.
    ///
    /// `artifacts` and `bloom` are those of the listing at [`uri`](Self::uri), filtered over each entry's hash.
    pub fn call(&self, guid: Guid, artifacts: u64, bloom: Bloom) -> Call {
        Call::PostBounty(Box::new(calldata::PostBounty {
            guid,
            artifact_type: U256::from(self.artifact_type.code()),
            amount: self.amount,
            uri: self.uri.clone(),
            artifacts: U256::from(artifacts),
            duration: U256::from(self.duration),
            bloom,
            metadata: self.metadata.clone().unwrap_or_default(),
        }))
    }
}

impl assertion::PostAssertion {
    /// `postAssertion`, preceded by an approval of [all bids](Self::total_bid) and the assertion fee.
    pub fn call(&self, guid: Guid) -> Call {
        Call::PostAssertion(calldata::PostAssertion {
            guid,
            bids: self.bid.clone(),
            mask: self.mask.set(),
            commitment: self.commitment.into(),
        })
    }

    /// The sum of all bids in wei, without the fee; `None` beyond 256 bits.
    pub fn total_bid(&self) -> Option<Nct> {
        self.bid.iter().try_fold(Nct::ZERO, |total, bid| total.checked_add(*bid))
    }
}

impl assertion::RevealAssertion {
    /// `revealAssertion` of the bounty's assertion at `index`.
    pub fn call(&self, guid: Guid, index: U256) -> Call {
        Call::RevealAssertion(calldata::RevealAssertion {
            guid,
            index,
            nonce: self.nonce,
            verdicts: self.verdicts.set(),
            metadata: self.metadata.clone(),
        })
    }
}

impl vote::PostVote {
    /// `voteOnBounty`.
    pub fn call(&self, guid: Guid) -> Call {
        Call::VoteOnBounty { guid, votes: self.votes.set(), valid_bloom: self.valid_bloom }
    }
}
