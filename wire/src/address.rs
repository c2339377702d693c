//! Addresses as text: EIP-55 mixed case on the way out, because polyswarm-client compares texts and refuses to sign
//! transactions to a lower-case address.

use market::id::Address;
use serde::{Deserialize, Deserializer, Serializer, de};

/// Why a text is no address.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedAddress {
    /// Not 40 hex digits.
    #[error("`{text}` is not an address of 40 hex digits")]
    NotHex {
        /// The beginning of the text.
        text: String,
    },
    /// Mixed case that is not EIP-55's: most likely a typing error.
    #[error("the case of `{text}` does not match its checksum; it is written `{checksummed}`")]
    WrongChecksum {
        /// The address as given.
        text: String,
        /// The address with the right checksum.
        checksummed: String,
    },
}

/// The address as EIP-55 writes it: `0x` and 40 digits, their case a checksum.
pub fn to_text(address: Address) -> String {
    address.to_checksum(None)
}

/// Reads an address of one case or with the right checksum, with or without `0x`.
///
/// # Errors
///
/// For anything but 40 hex digits, and for mixed case with a wrong checksum.
pub fn parse(text: &str) -> Result<Address, MalformedAddress> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mut bytes = [0; 20];
    if hex::decode_to_slice(digits, &mut bytes).is_err() {
        return Err(MalformedAddress::NotHex { text: text.chars().take(80).collect() });
    }
    let address = Address::from(bytes);
    let checksummed = to_text(address);
    let one_case = !digits.bytes().any(|byte| byte.is_ascii_lowercase()) || !digits.bytes().any(|byte| byte.is_ascii_uppercase());
    if one_case || checksummed[2..] == *digits {
        Ok(address)
    } else {
        Err(MalformedAddress::WrongChecksum { text: text.to_owned(), checksummed })
    }
}

/// Writes the address with its checksum; for `#[serde(with = "address")]`.
///
/// # Errors
///
/// Those of the serializer.
pub fn serialize<S: Serializer>(address: &Address, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&to_text(*address))
}

/// Reads an address as [`parse`] does; for `#[serde(with = "address")]`.
///
/// # Errors
///
/// As [`parse`].
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Address, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_with_their_checksum_and_read_in_one_case_or_with_it() {
        // The examples of EIP-55 itself.
        for text in [
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
            "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
        ] {
            let address = parse(text).unwrap();
            assert_eq!(to_text(address), text);
            for other in [text[2..].to_owned(), text.to_lowercase(), text[2..].to_uppercase()] {
                assert_eq!(parse(&other), Ok(address));
            }
        }
        let swapped = parse("0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed").unwrap_err().to_string();
        assert!(swapped.ends_with("it is written `0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed`"), "{swapped}");
        for text in ["", "0x", "0x5aAe", "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAedéé", "0x0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
