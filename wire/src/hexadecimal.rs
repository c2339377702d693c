//! Bytes and hashes as hex: polyswarmd writes calldata with `0x`, raw transactions and hashes without. Both are read.

use alloy_primitives::{B256, Bytes};
use serde::{Deserialize, Deserializer, Serializer, de};

/// Why a text is no hex.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedHex {
    /// An odd number of digits, or something other than digits.
    #[error("not hex: {0}")]
    NotHex(#[from] hex::FromHexError),
    /// A hash of another length than 32 bytes.
    #[error("a hash has 32 bytes, not {found}")]
    WrongLength {
        /// Bytes there are.
        found: usize,
    },
}

/// Reads bytes from hex digits of any case, with or without `0x`.
///
/// # Errors
///
/// For an odd number of digits or anything but digits.
pub fn parse(text: &str) -> Result<Vec<u8>, MalformedHex> {
    Ok(hex::decode(text.strip_prefix("0x").unwrap_or(text))?)
}

/// Reads a 32-byte hash, with or without `0x`.
///
/// # Errors
///
/// As [`parse`], and for any other number of bytes.
pub fn parse_hash(text: &str) -> Result<B256, MalformedHex> {
    let bytes = parse(text)?;
    B256::try_from(bytes.as_slice()).map_err(|_| MalformedHex::WrongLength { found: bytes.len() })
}

/// Bytes, written as `0x` and lower-case digits.
pub mod prefixed {
    use super::{Bytes, Deserialize, Deserializer, Serializer, de, parse};

    /// Writes `"0x095ea7b3"`.
    ///
    /// # Errors
    ///
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("0x{}", hex::encode(bytes)))
    }

    /// Reads hex with or without `0x`.
    ///
    /// # Errors
    ///
    /// As [`parse`].
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        parse(&String::deserialize(deserializer)?).map(Bytes::from).map_err(de::Error::custom)
    }
}

/// A list of byte strings, each written as bare lower-case digits.
pub mod bare_list {
    use super::{Deserialize, Deserializer, Serializer, de, parse};

    /// Writes `["f86c09", "f86c0a"]`.
    ///
    /// # Errors
    ///
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(list: &[Vec<u8>], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(list.iter().map(hex::encode))
    }

    /// Reads hex with or without `0x`.
    ///
    /// # Errors
    ///
    /// As [`parse`].
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Vec<u8>>, D::Error> {
        Vec::<String>::deserialize(deserializer)?.iter().map(|text| parse(text).map_err(de::Error::custom)).collect()
    }
}

/// A list of hashes, each written as 64 bare lower-case digits.
pub mod bare_hashes {
    use super::{B256, Deserialize, Deserializer, Serializer, de, parse_hash};

    /// Writes the hashes without `0x`.
    ///
    /// # Errors
    ///
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(hashes: &[B256], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(hashes.iter().map(hex::encode))
    }

    /// Reads hashes with or without `0x`.
    ///
    /// # Errors
    ///
    /// As [`parse_hash`].
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<B256>, D::Error> {
        Vec::<String>::deserialize(deserializer)?.iter().map(|text| parse_hash(text).map_err(de::Error::custom)).collect()
    }
}
