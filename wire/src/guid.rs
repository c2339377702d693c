//! Guids as text, and the version that polyswarm-client insists on.
//!
//! Its verifier rebuilds a guid from calldata with `uuid.UUID(int=x, version=4)` and compares the texts, so a guid with
//! other version or variant bits never gets signed.

use market::id::Guid;
use serde::{Deserialize, Deserializer, Serializer, de};

/// True for a guid that polyswarm-client accepts, as those of [`Guid::random`].
pub fn is_v4(guid: Guid) -> bool {
    guid == Guid::random(guid.0)
}

/// Why a text is no guid.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{text}` is not a guid such as `0aa55ccc-0e1c-4296-bc3d-5f88e8688e56`")]
pub struct MalformedGuid {
    text: String,
}

/// Reads a guid of any version: 32 hex digits in groups of 8, 4, 4, 4 and 12.
///
/// # Errors
///
/// For anything else.
pub fn parse(text: &str) -> Result<Guid, MalformedGuid> {
    let malformed = || MalformedGuid { text: text.chars().take(80).collect() };
    let grouped = text.len() == 36 && text.bytes().enumerate().all(|(at, byte)| (byte == b'-') == [8, 13, 18, 23].contains(&at));
    if !grouped || text.contains('+') {
        return Err(malformed());
    }
    u128::from_str_radix(&text.replace('-', ""), 16).map(Guid).map_err(|_| malformed())
}

/// Writes lower-case hyphenated text; for `#[serde(with = "guid")]`.
///
/// # Errors
///
/// Those of the serializer.
pub fn serialize<S: Serializer>(guid: &Guid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(guid)
}

/// Reads a guid as [`parse`] does; for `#[serde(with = "guid")]`.
///
/// # Errors
///
/// As [`parse`].
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Guid, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bits_can_be_made_a_version_4_guid() {
        assert_eq!(Guid::random(0).to_string(), "00000000-0000-4000-8000-000000000000");
        assert_eq!(Guid::random(u128::MAX).to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert!(is_v4(parse("0aa55ccc-0e1c-4296-bc3d-5f88e8688e56").unwrap()));
        assert!(!is_v4(parse("0aa55ccc-0e1c-1296-bc3d-5f88e8688e56").unwrap()));
        assert!(!is_v4(parse("0aa55ccc-0e1c-4296-7c3d-5f88e8688e56").unwrap()));
    }

    #[test]
    fn only_hyphenated_text_is_a_guid() {
        assert_eq!(parse("0AA55CCC-0E1C-4296-BC3D-5F88E8688E56"), parse("0aa55ccc-0e1c-4296-bc3d-5f88e8688e56"));
        for text in [
            "",
            "0aa55ccc0e1c4296bc3d5f88e8688e56",
            "0aa55ccc-0e1c-4296-bc3d-5f88e8688e5",
            "0aa55ccc-0e1c-4296-bc3d-5f88e8688e5g",
            "0aa55ccc-0e1c-4296-bc3d+5f88e8688e56",
            "+aa55ccc-0e1c-4296-bc3d-5f88e8688e56",
            "------------------------------------",
            "éééééééé-éé-éé-éé-ééé",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
