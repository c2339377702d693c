//! The journal: one JSON record per market event, in order, compressed with zstd.
//!
//! The bytes before compression are a function of the run's name alone; [`Journal::finish`] answers with their hash.

use std::io::{self, Write};

use market::{
    block::BlockNumber,
    event::Event,
    id::{AccountId, Guid},
    nct::Nct,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A journal that is being written.
pub struct Journal<W: Write> {
    encoder: zstd::Encoder<'static, W>,
    hash: Sha256,
    records: u64,
    line: Vec<u8>,
}

/// What a finished journal is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Finished {
    /// Number of records.
    pub records: u64,
    /// SHA-256 of the uncompressed journal.
    pub sha256: [u8; 32],
}

impl<W: Write> std::fmt::Debug for Journal<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("records", &self.records).finish_non_exhaustive()
    }
}

impl<W: Write> Journal<W> {
    /// A journal into `writer`.
    ///
    /// # Errors
    ///
    /// If the encoder cannot be set up.
    pub fn new(writer: W) -> io::Result<Journal<W>> {
        Ok(Journal { encoder: zstd::Encoder::new(writer, 3)?, hash: Sha256::new(), records: 0, line: Vec::new() })
    }

    /// Adds an event of block `now`; `names` are those of the accounts, by number.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write(&mut self, now: BlockNumber, event: &Event, names: &[String]) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, &record(now, event, names))?;
        self.line.push(b'\n');
        self.hash.update(&self.line);
        self.encoder.write_all(&self.line)?;
        self.records += 1;
        Ok(())
    }

    /// Completes the file.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn finish(self) -> io::Result<Finished> {
        self.encoder.finish()?.flush()?;
        Ok(Finished { records: self.records, sha256: self.hash.finalize().into() })
    }
}

/// One record: block and event first, then the event's own fields; amounts are decimal wei, masks and hashes hex.
fn record(now: BlockNumber, event: &Event, names: &[String]) -> Value {
    let who = |account: &AccountId| names.get(account.0 as usize).map_or_else(|| json!(account.0), |name| json!(name));
    let id = |guid: &Guid| json!(guid.to_string());
    let wei = |amount: &Nct| json!(amount);
    let mut record = match event {
        Event::Transfer { from, to, value } => json!({ "from": who(from), "to": who(to), "wei": wei(value) }),
        Event::Approval { owner, spender, value } => json!({ "owner": who(owner), "spender": who(spender), "wei": wei(value) }),
        Event::NewBounty { guid, artifact_type, author, amount, artifact_uri, expiration, metadata } => json!({
            "guid": id(guid), "type": artifact_type, "author": who(author), "wei": wei(amount), "uri": &**artifact_uri,
            "expiration": expiration.0, "metadata": metadata.as_deref(),
        }),
        Event::NewAssertion { guid, author, index, bids, mask, artifacts, commitment } => json!({
            "guid": id(guid), "author": who(author), "index": index, "bids": bids.iter().map(wei).collect::<Vec<_>>(),
            "mask": mask.to_string(), "artifacts": artifacts, "commitment": commitment.to_string(),
        }),
        Event::RevealedAssertion { guid, author, index, opening, artifacts, metadata } => json!({
            "guid": id(guid), "author": who(author), "index": index, "nonce": format!("{:#x}", opening.nonce),
            "verdicts": opening.verdicts.to_string(), "artifacts": artifacts, "metadata": metadata.as_deref(),
        }),
        Event::NewVote { guid, votes, artifacts, voter } => {
            json!({ "guid": id(guid), "votes": votes.to_string(), "artifacts": artifacts, "voter": who(voter) })
        }
        Event::QuorumReached { guid } => json!({ "guid": id(guid) }),
        Event::SettledBounty { guid, settler, payout } => json!({ "guid": id(guid), "settler": who(settler), "wei": wei(payout) }),
        Event::AddedArbiter { arbiter, .. } | Event::RemovedArbiter { arbiter, .. } | Event::BountyVoteRecorded { arbiter } => {
            json!({ "arbiter": who(arbiter) })
        }
        Event::BountyRecorded { guid, .. } => json!({ "guid": id(guid) }),
        Event::NewDeposit { from, value } => json!({ "from": who(from), "wei": wei(value) }),
        Event::NewWithdrawal { to, value } => json!({ "to": who(to), "wei": wei(value) }),
        Event::FeesUpdated(fees) => json!({ "bounty_fee": wei(&fees.bounty), "assertion_fee": wei(&fees.assertion) }),
        Event::WindowsUpdated(windows) => json!({ "reveal": windows.reveal().to_string(), "vote": windows.vote().to_string() }),
        Event::Deprecated { rollover } => json!({ "rollover": rollover }),
        Event::Paused { contract, by } | Event::Unpaused { contract, by } => json!({ "contract": who(contract), "by": who(by) }),
        Event::PauserAdded { contract, account } | Event::PauserRemoved { contract, account } => {
            json!({ "contract": who(contract), "account": who(account) })
        }
        Event::OwnershipTransferred { contract, from, to } => json!({ "contract": who(contract), "from": who(from), "to": who(to) }),
        _ => json!({}),
    };
    record["block"] = json!(now.0);
    record["event"] = json!(event.name());
    record
}
