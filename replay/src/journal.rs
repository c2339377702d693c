//! The journal: one JSON record per market event, in order, compressed with zstd.
//!
//! The bytes before compression are a function of the run's name alone; [`Journal::finish`] answers with their hash.

use std::{
    fmt::Display,
    io::{self, Write},
};

use market::{block::BlockNumber, event::Event, id::AccountId};
use serde::{Serialize, Serializer, ser::SerializeMap};
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
        Journal::<W>::line(now, event, names, &mut self.line)?;
        self.hash.update(&self.line);
        self.encoder.write_all(&self.line)?;
        self.records += 1;
        Ok(())
    }

    /// Appends the record of an event to `line`, its newline included.
    ///
    /// # Errors
    ///
    /// If it cannot be written as JSON.
    pub fn line(now: BlockNumber, event: &Event, names: &[String], line: &mut Vec<u8>) -> io::Result<()> {
        serde_json::to_writer(&mut *line, &Record { now, event, names })?;
        line.push(b'\n');
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
struct Record<'a> {
    now: BlockNumber,
    event: &'a Event,
    names: &'a [String],
}

impl Record<'_> {
    fn who(&self, account: AccountId) -> &str {
        self.names.get(account.0 as usize).map_or("unknown", String::as_str)
    }
}

/// Any value as the text it displays as.
struct Text<T: Display>(T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("block", &self.now)?;
        map.serialize_entry("event", self.event.name())?;
        macro_rules! fields {
            ($($name:literal: $value:expr),* $(,)?) => {{ $(map.serialize_entry($name, &$value)?;)* }};
        }
        match self.event {
            Event::Transfer { from, to, value } => fields!("from": self.who(*from), "to": self.who(*to), "wei": value),
            Event::Approval { owner, spender, value } => fields!("owner": self.who(*owner), "spender": self.who(*spender), "wei": value),
            Event::NewBounty { guid, artifact_type, author, amount, artifact_uri, expiration, metadata } => fields!(
                "guid": Text(guid), "type": artifact_type, "author": self.who(*author), "wei": amount, "uri": **artifact_uri,
                "expiration": expiration, "metadata": metadata.as_deref(),
            ),
            Event::NewAssertion { guid, author, index, bids, mask, artifacts, commitment } => fields!(
                "guid": Text(guid), "author": self.who(*author), "index": index, "bids": bids.as_slice(), "mask": Text(mask),
                "artifacts": artifacts, "commitment": Text(commitment),
            ),
            Event::RevealedAssertion { guid, author, index, opening, artifacts, metadata } => fields!(
                "guid": Text(guid), "author": self.who(*author), "index": index, "nonce": Text(format_args!("{:#x}", opening.nonce)),
                "verdicts": Text(opening.verdicts), "artifacts": artifacts, "metadata": metadata.as_deref(),
            ),
            Event::NewVote { guid, votes, artifacts, voter } => {
                fields!("guid": Text(guid), "votes": Text(votes), "artifacts": artifacts, "voter": self.who(*voter));
            }
            Event::QuorumReached { guid } | Event::BountyRecorded { guid, .. } => fields!("guid": Text(guid)),
            Event::SettledBounty { guid, settler, payout } => fields!("guid": Text(guid), "settler": self.who(*settler), "wei": payout),
            Event::AddedArbiter { arbiter, .. } | Event::RemovedArbiter { arbiter, .. } | Event::BountyVoteRecorded { arbiter } => {
                fields!("arbiter": self.who(*arbiter));
            }
            Event::NewDeposit { from, value } => fields!("from": self.who(*from), "wei": value),
            Event::NewWithdrawal { to, value } => fields!("to": self.who(*to), "wei": value),
            Event::FeesUpdated(fees) => fields!("bounty_fee": fees.bounty, "assertion_fee": fees.assertion),
            Event::WindowsUpdated(windows) => fields!("reveal": Text(windows.reveal()), "vote": Text(windows.vote())),
            Event::Deprecated { rollover } => fields!("rollover": rollover),
            Event::Paused { contract, by } | Event::Unpaused { contract, by } => {
                fields!("contract": self.who(*contract), "by": self.who(*by))
            }
            Event::PauserAdded { contract, account } | Event::PauserRemoved { contract, account } => {
                fields!("contract": self.who(*contract), "account": self.who(*account));
            }
            Event::OwnershipTransferred { contract, from, to } => {
                fields!("contract": self.who(*contract), "from": self.who(*from), "to": self.who(*to));
            }
            _ => {}
        }
        map.end()
    }
}
