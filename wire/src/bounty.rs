//! Bounties: posting one, listing guids, reading one.

use market::{
    block::BlockNumber,
    id::{Address, Guid},
    nct::Nct,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{address, artifact::ArtifactType, decimal, flags::Flags, guid, json::Json};

/// Body of `POST /bounties`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PostBounty {
    /// In wei, without the fee.
    #[serde(with = "decimal::string")]
    pub amount: Nct,
    /// What the artifacts are.
    pub artifact_type: ArtifactType,
    /// Where the artifacts are listed.
    pub uri: String,
    /// In blocks.
    #[serde(with = "decimal::integer")]
    pub duration: u64,
    /// URI of the metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
}

/// A page of `GET /bounties?page=0&count=75`; a page beyond the last is empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Guids(pub Vec<Guid>);

impl Serialize for Guids {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Guid::to_string))
    }
}

impl<'de> Deserialize<'de> for Guids {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Guids, D::Error> {
        #[derive(Deserialize)]
        struct Entry(#[serde(with = "guid")] Guid);
        Ok(Guids(Vec::<Entry>::deserialize(deserializer)?.into_iter().map(|entry| entry.0).collect()))
    }
}

/// The answer to `GET /bounties/{guid}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Bounty {
    /// Its name.
    #[serde(with = "guid")]
    pub guid: Guid,
    /// What the artifacts are.
    pub artifact_type: ArtifactType,
    /// The ambassador.
    #[serde(with = "address")]
    pub author: Address,
    /// In wei, without the fee.
    #[serde(with = "decimal::string")]
    pub amount: Nct,
    /// Where the artifacts are listed.
    pub uri: String,
    /// Number of artifacts.
    #[serde(with = "decimal::integer")]
    pub num_artifacts: u64,
    /// First block without assertions; a JSON integer here, a string in events.
    #[serde(with = "decimal::integer")]
    pub expiration: BlockNumber,
    /// The arbiter who is paid; zero as long as there is none.
    #[serde(with = "address")]
    pub assigned_arbiter: Address,
    /// Whether the arbiters have decided every artifact.
    pub quorum_reached: bool,
    /// When they had, in whatever blocks the server counts: the contract stores blocks after expiration. Zero before.
    #[serde(with = "decimal::integer")]
    pub quorum_reached_block: BlockNumber,
    /// Artifacts they have decided.
    pub quorum_mask: Flags,
    /// What the ambassador says about the artifacts; null for nothing. See [`crate::metadata`].
    #[serde(default)]
    pub metadata: Json,
}
