//! The market's log as polyswarmd tells it: WebSocket events, and receipts of transactions.

use market::{
    bounty::{Assertion, Bounty},
    event::Event,
    id::{AccountId, Address},
    market::Market,
};
use wire::{
    artifact::ArtifactType,
    flags::{Flags, Verdicts},
    json::Json,
    message, receipt,
};

use crate::content::Store;

fn artifact_type(code: u64) -> ArtifactType {
    ArtifactType::from_code(code).unwrap_or(ArtifactType::File)
}

/// What the WebSocket says of a log entry; nothing of those that polyswarmd does not pass on.
pub fn message(event: &Event, market: &Market, store: &Store) -> Option<message::Event> {
    let who = |account: AccountId| market.address(account);
    let resolved = |metadata: &Option<std::sync::Arc<str>>| metadata.as_deref().map_or_else(Json::null, |uri| store.metadata(uri));
    Some(match event {
        Event::NewBounty { guid, artifact_type: code, author, amount, artifact_uri, expiration, metadata } => {
            message::Event::Bounty(message::NewBounty {
                guid: *guid,
                artifact_type: artifact_type(*code),
                author: who(*author),
                amount: *amount,
                uri: artifact_uri.to_string(),
                expiration: *expiration,
                metadata: resolved(metadata),
            })
        }
        Event::NewAssertion { .. } => message::Event::Assertion(new_assertion(event, &who)?),
        Event::RevealedAssertion { guid, author, index, opening, artifacts, metadata } => {
            message::Event::Reveal(message::RevealedAssertion {
                bounty_guid: *guid,
                author: who(*author),
                index: *index,
                nonce: opening.nonce,
                verdicts: Flags::new(opening.verdicts, *artifacts),
                metadata: resolved(metadata),
            })
        }
        Event::NewVote { guid, votes, artifacts, voter } => {
            message::Event::Vote(message::NewVote { bounty_guid: *guid, votes: Flags::new(*votes, *artifacts), voter: who(*voter) })
        }
        Event::QuorumReached { guid } => message::Event::Quorum(message::QuorumReached { bounty_guid: *guid }),
        Event::SettledBounty { guid, settler, payout } => {
            message::Event::SettledBounty(message::SettledBounty { bounty_guid: *guid, settler: who(*settler), payout: *payout })
        }
        Event::FeesUpdated(fees) => {
            message::Event::FeeUpdate(message::FeesUpdated { bounty_fee: fees.bounty, assertion_fee: fees.assertion })
        }
        Event::WindowsUpdated(windows) => message::Event::WindowUpdate(message::WindowsUpdated {
            assertion_reveal_window: windows.reveal().saturating_to(),
            arbiter_vote_window: windows.vote().saturating_to(),
        }),
        Event::Deprecated { rollover } => message::Event::Deprecated(message::Deprecated { rollover: *rollover }),
        Event::Undeprecated => message::Event::Undeprecated(message::Undeprecated {}),
        _ => return None,
    })
}

fn new_assertion(event: &Event, who: &dyn Fn(AccountId) -> Address) -> Option<receipt::NewAssertion> {
    let Event::NewAssertion { guid, author, index, bids, mask, artifacts, commitment } = event else { return None };
    Some(receipt::NewAssertion {
        bounty_guid: *guid,
        author: who(*author),
        index: *index,
        bid: bids.to_vec(),
        mask: Flags::new(*mask, *artifacts),
        commitment: (*commitment).into(),
    })
}

/// Adds the log of one transaction to a receipt.
pub fn add_to_receipt(receipt: &mut receipt::Receipt, log: &[Event], market: &Market) {
    let who = |account: AccountId| market.address(account);
    let text = |metadata: &Option<std::sync::Arc<str>>| metadata.as_deref().unwrap_or_default().to_owned();
    for event in log {
        match event {
            Event::Transfer { from, to, value } => {
                receipt.transfers.push(receipt::Transfer { to: who(*to), from: who(*from), value: *value });
            }
            Event::NewBounty { guid, artifact_type: code, author, amount, artifact_uri, expiration, metadata } => {
                receipt.bounties.push(receipt::NewBounty {
                    guid: *guid,
                    artifact_type: artifact_type(*code),
                    author: who(*author),
                    amount: *amount,
                    uri: artifact_uri.to_string(),
                    expiration: *expiration,
                    metadata: text(metadata),
                });
            }
            Event::NewAssertion { .. } => receipt.assertions.extend(new_assertion(event, &who)),
            Event::RevealedAssertion { guid, author, index, opening, artifacts, metadata } => {
                receipt.reveals.push(receipt::RevealedAssertion {
                    bounty_guid: *guid,
                    author: who(*author),
                    index: *index,
                    nonce: opening.nonce,
                    verdicts: Flags::new(opening.verdicts, *artifacts),
                    metadata: text(metadata),
                });
            }
            Event::NewVote { guid, votes, artifacts, voter } => {
                receipt.votes.push(receipt::NewVote { bounty_guid: *guid, votes: Flags::new(*votes, *artifacts), voter: who(*voter) })
            }
            Event::NewDeposit { from, value } => receipt.deposits.push(receipt::NewDeposit { value: *value, from: who(*from) }),
            Event::NewWithdrawal { to, value } => receipt.withdrawals.push(receipt::NewWithdrawal { to: who(*to), value: *value }),
            _ => {}
        }
    }
}

/// A bounty as it is read.
pub fn bounty(bounty: &Bounty, market: &Market, store: &Store) -> wire::bounty::Bounty {
    let quorum = bounty.tally.reached;
    wire::bounty::Bounty {
        guid: bounty.guid,
        artifact_type: artifact_type(bounty.artifact_type),
        author: market.address(bounty.author),
        amount: bounty.amount,
        uri: bounty.artifact_uri.to_string(),
        num_artifacts: bounty.artifacts as u64,
        expiration: bounty.expiration,
        assigned_arbiter: bounty.assigned_arbiter.map_or(Address::ZERO, |arbiter| market.address(arbiter)),
        quorum_reached: quorum.is_some(),
        quorum_reached_block: market::block::BlockNumber(quorum.map_or(0, |blocks| bounty.expiration.0 + blocks)),
        quorum_mask: Flags::new(bounty.tally.decided, bounty.artifacts),
        metadata: bounty.metadata.as_deref().map_or_else(Json::null, |uri| store.metadata(uri)),
    }
}

/// An assertion as it is read.
pub fn assertion(assertion: &Assertion, artifacts: usize, market: &Market) -> wire::assertion::Assertion {
    let author = market.address(assertion.author);
    wire::assertion::Assertion {
        author,
        mask: Flags::new(assertion.mask, artifacts),
        commitment: assertion.commitment.hash(author).into(),
        nonce: assertion.revealed().map_or_else(Default::default, |opening| opening.nonce),
        verdicts: match assertion.revealed() {
            Some(opening) => Verdicts::Revealed(Flags::new(opening.verdicts, artifacts)),
            None => Verdicts::Unrevealed { count: artifacts },
        },
        metadata: assertion.metadata.as_deref().unwrap_or_default().to_owned(),
        bid: assertion.bids.to_vec(),
    }
}
