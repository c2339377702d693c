//! WebSocket events of `GET /events/?chain=side`.
//!
//! polyswarm-client passes `data` on as keyword arguments: one key too many or too few ends it without a word, so every
//! event is written with exactly its keys. Beside `data` stand the block and the transaction that logged the event.

use alloy_primitives::{B256, U256};
use market::{
    block::BlockNumber,
    id::{Address, Guid},
    nct::Nct,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeMap};

pub use crate::receipt::{NewAssertion, NewVote};
use crate::{address, artifact::ArtifactType, decimal, flags::Flags, guid, hexadecimal, json::Json};

/// One message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// What happened.
    pub event: Event,
    /// The block that holds it. `None` for [`Event::Connected`] and [`Event::Block`], always there for the others: clients
    /// compute a bounty's duration from it.
    pub block_number: Option<BlockNumber>,
    /// The transaction that logged it.
    pub txhash: Option<B256>,
}

impl Message {
    /// An event of the connection or of the chain itself.
    pub fn plain(event: Event) -> Message {
        Message { event, block_number: None, txhash: None }
    }

    /// An event that a transaction logged.
    pub fn logged(event: Event, block_number: BlockNumber, txhash: B256) -> Message {
        Message { event, block_number: Some(block_number), txhash: Some(txhash) }
    }
}

macro_rules! events {
    ($($(#[doc = $doc:literal])+ $name:ident($data:ty) = $text:literal,)+) => {
        /// What happened.
        #[derive(Clone, PartialEq, Eq, Debug)]
        #[non_exhaustive]
        pub enum Event {
            $($(#[doc = $doc])+ $name($data),)+
            /// An event that this wire does not know. Clients skip it.
            Other {
                /// Its `event`.
                name: String,
                /// Its `data`.
                data: Json,
            },
        }

        impl Event {
            /// The text of the key `event`.
            pub fn name(&self) -> &str {
                match self {
                    $(Event::$name(_) => $text,)+
                    Event::Other { name, .. } => name,
                }
            }

            fn write_data<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
                match self {
                    $(Event::$name(data) => map.serialize_entry("data", data),)+
                    Event::Other { data, .. } => map.serialize_entry("data", data),
                }
            }

            fn read(name: &str, data: &Json) -> Result<Event, serde_json::Error> {
                match name {
                    $($text => data.read().map(Event::$name),)+
                    _ => Ok(Event::Other { name: name.to_owned(), data: data.clone() }),
                }
            }
        }
    };
}

events! {
    /// The first message of every connection.
    Connected(Connected) = "connected",
    /// A new block. Clients do their scheduled work here, and ignore numbers at or below the last.
    Block(Block) = "block",
    /// A bounty was posted.
    Bounty(NewBounty) = "bounty",
    /// An assertion was posted.
    Assertion(NewAssertion) = "assertion",
    /// An assertion was revealed.
    Reveal(RevealedAssertion) = "reveal",
    /// An arbiter voted.
    Vote(NewVote) = "vote",
    /// A bounty's quorum was reached.
    Quorum(QuorumReached) = "quorum",
    /// Somebody settled a bounty for himself.
    SettledBounty(SettledBounty) = "settled_bounty",
    /// Fees changed.
    FeeUpdate(FeesUpdated) = "fee_update",
    /// Windows changed.
    WindowUpdate(WindowsUpdated) = "window_update",
    /// The contract takes no new bounties any more.
    Deprecated(Deprecated) = "deprecated",
    /// The contract takes new bounties again. polyswarm-client knows no such event and logs it as invalid.
    Undeprecated(Undeprecated) = "undeprecated",
    /// A state channel was opened (home chain only).
    InitializedChannel(InitializedChannel) = "initialized_channel",
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("event", self.event.name())?;
        self.event.write_data(&mut map)?;
        if let Some(BlockNumber(number)) = self.block_number {
            map.serialize_entry("block_number", &number)?;
        }
        if let Some(txhash) = self.txhash {
            map.serialize_entry("txhash", &hex::encode(txhash))?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Message, D::Error> {
        #[derive(Deserialize)]
        struct Frame {
            event: String,
            #[serde(default)]
            data: Json,
            block_number: Option<u64>,
            txhash: Option<String>,
        }
        // `data` is read from its text: buffered values cannot hold 256 bits.
        let Frame { event, data, block_number, txhash } = Frame::deserialize(deserializer)?;
        let event = Event::read(&event, &data).map_err(|error| de::Error::custom(format_args!("data of `{event}`: {error}")))?;
        let txhash = txhash.map(|text| hexadecimal::parse_hash(&text)).transpose().map_err(de::Error::custom)?;
        Ok(Message { event, block_number: block_number.map(BlockNumber), txhash })
    }
}

/// The first message of every connection.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Connected {
    /// When the server started: Unix seconds with a fraction, as a string.
    pub start_time: String,
}

/// A new block.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Block {
    /// Its number.
    #[serde(with = "decimal::integer")]
    pub number: BlockNumber,
}

/// A bounty was posted.
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
    /// First block without assertions, as a string.
    #[serde(with = "decimal::string")]
    pub expiration: BlockNumber,
    /// What the ambassador says about the artifacts, resolved; null for nothing. See [`crate::metadata`].
    #[serde(default)]
    pub metadata: Json,
}

/// An assertion was revealed.
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
    /// What the expert says about the artifacts, resolved. See [`crate::metadata`].
    #[serde(default)]
    pub metadata: Json,
}

/// A bounty's quorum was reached.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct QuorumReached {
    /// The bounty.
    #[serde(with = "guid")]
    pub bounty_guid: Guid,
}

/// Somebody settled a bounty for himself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SettledBounty {
    /// The bounty.
    #[serde(with = "guid")]
    pub bounty_guid: Guid,
    /// Who settled.
    #[serde(with = "address")]
    pub settler: Address,
    /// What he was paid in wei, as a JSON integer.
    #[serde(with = "decimal::integer")]
    pub payout: Nct,
}

/// Fees changed. In wei, as JSON integers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FeesUpdated {
    /// What posting a bounty costs.
    #[serde(with = "decimal::integer")]
    pub bounty_fee: Nct,
    /// What posting an assertion costs.
    #[serde(with = "decimal::integer")]
    pub assertion_fee: Nct,
}

/// Windows changed. In blocks, as JSON integers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WindowsUpdated {
    /// Blocks after expiration in which assertions are revealed.
    #[serde(with = "decimal::integer")]
    pub assertion_reveal_window: u64,
    /// Blocks after the reveal window in which arbiters vote.
    #[serde(with = "decimal::integer")]
    pub arbiter_vote_window: u64,
}

/// The contract takes no new bounties any more.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Deprecated {
    /// Whether stakes stay locked for a successor.
    #[serde(default)]
    pub rollover: bool,
}

/// The contract takes new bounties again.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Undeprecated {}

/// A state channel was opened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InitializedChannel {
    /// Its name.
    #[serde(with = "guid")]
    pub guid: Guid,
    /// One end.
    #[serde(with = "address")]
    pub ambassador: Address,
    /// The other end.
    #[serde(with = "address")]
    pub expert: Address,
    /// The contract that holds the money.
    #[serde(with = "address")]
    pub multi_signature: Address,
}
