//! The filter of a bounty as arbiters ask for it.

use alloy_primitives::U256;
use market::bloom::Bloom;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::decimal;

/// The answer to `GET /bounties/{guid}/bloom`: eight words as JSON integers, the most significant first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BountyBloom {
    /// The filter over the hashes of the bounty's artifacts.
    #[serde(serialize_with = "words", deserialize_with = "from_words")]
    pub bloom: Bloom,
}

fn words<S: Serializer>(bloom: &Bloom, serializer: S) -> Result<S::Ok, S::Error> {
    decimal::integers::serialize(&bloom.0, serializer)
}

fn from_words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bloom, D::Error> {
    let words: Vec<U256> = decimal::integers::deserialize(deserializer)?;
    let found = words.len();
    words.try_into().map(Bloom).map_err(|_| de::Error::custom(format_args!("a bloom filter has 8 words, not {found}")))
}
