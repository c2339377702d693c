//! Integers of up to 256 bits in JSON: polyswarmd writes some as decimal strings and some as JSON integers.
//!
//! A field says how it is written, `#[serde(with = "decimal::string")]` or `#[serde(with = "decimal::integer")]`; both
//! forms are always read. JSON integers travel as raw text, so nothing is lost above 2^64.

use alloy_primitives::U256;
use market::{block::BlockNumber, nct::Nct};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::value::RawValue;

/// A number that is written in decimal.
pub trait Decimal: Sized {
    /// The number.
    fn to_uint(&self) -> U256;

    /// The value of that number; `None` if it is too large for this type.
    fn from_uint(number: U256) -> Option<Self>;
}

impl Decimal for U256 {
    fn to_uint(&self) -> U256 {
        *self
    }

    fn from_uint(number: U256) -> Option<U256> {
        Some(number)
    }
}

impl Decimal for Nct {
    /// In wei.
    fn to_uint(&self) -> U256 {
        Nct::to_uint(*self)
    }

    /// In wei.
    fn from_uint(wei: U256) -> Option<Nct> {
        Some(Nct::from_uint(wei))
    }
}

impl Decimal for u64 {
    fn to_uint(&self) -> U256 {
        U256::from(*self)
    }

    fn from_uint(number: U256) -> Option<u64> {
        number.try_into().ok()
    }
}

impl Decimal for BlockNumber {
    fn to_uint(&self) -> U256 {
        U256::from(self.0)
    }

    fn from_uint(number: U256) -> Option<BlockNumber> {
        u64::from_uint(number).map(BlockNumber)
    }
}

/// Why a text is no number.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedDecimal {
    /// Something other than digits.
    #[error("`{text}` is not a decimal number without sign, point or exponent")]
    NotDigits {
        /// The beginning of the text.
        text: String,
    },
    /// More bits than the value's type has.
    #[error("`{text}` is too large")]
    TooLarge {
        /// The beginning of the text.
        text: String,
    },
}

/// Reads a number from decimal digits.
///
/// # Errors
///
/// For an empty text, anything but ASCII digits, and numbers that `T` cannot hold.
pub fn parse<T: Decimal>(text: &str) -> Result<T, MalformedDecimal> {
    let beginning = || text.chars().take(80).collect();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(MalformedDecimal::NotDigits { text: beginning() });
    }
    let number = U256::from_str_radix(text, 10).ok();
    number.and_then(T::from_uint).ok_or_else(|| MalformedDecimal::TooLarge { text: beginning() })
}

/// A number on its way in, from either form.
struct In<T>(T);

impl<'de, T: Decimal> Deserialize<'de> for In<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<In<T>, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let number = if raw.get().starts_with('"') {
            parse(&serde_json::from_str::<String>(raw.get()).map_err(de::Error::custom)?)
        } else {
            parse(raw.get())
        };
        number.map(In).map_err(de::Error::custom)
    }
}

/// A number on its way out, as a JSON integer.
struct Integer<'a, T>(&'a T);

impl<T: Decimal> Serialize for Integer<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number = self.0.to_uint();
        match u64::try_from(number) {
            Ok(small) => serializer.serialize_u64(small),
            Err(_) => RawValue::from_string(number.to_string()).map_err(ser::Error::custom)?.serialize(serializer),
        }
    }
}

/// A number on its way out, as a decimal string.
struct Digits<'a, T>(&'a T);

impl<T: Decimal> Serialize for Digits<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.to_uint())
    }
}

/// One number, written as a decimal string.
pub mod string {
    use super::{Decimal, Deserialize, Deserializer, Digits, In, Serialize, Serializer};

    /// Writes `"62500000000000000"`.
    ///
    /// # Errors
    ///
    /// Those of the serializer.
    pub fn serialize<T: Decimal, S: Serializer>(number: &T, serializer: S) -> Result<S::Ok, S::Error> {
        Digits(number).serialize(serializer)
    }

    /// Reads `"62500000000000000"` or `62500000000000000`.
    ///
    /// # Errors
    ///
    /// For anything else, and for numbers that `T` cannot hold.
    pub fn deserialize<'de, T: Decimal, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        Ok(In::deserialize(deserializer)?.0)
    }
}

/// One number, written as a JSON integer.
pub mod integer {
    use super::{Decimal, Deserialize, Deserializer, In, Integer, Serialize, Serializer};

    /// Writes `62500000000000000`, whatever its size.
    ///
    /// # Errors
    ///
    /// Those of the serializer.
    pub fn serialize<T: Decimal, S: Serializer>(number: &T, serializer: S) -> Result<S::Ok, S::Error> {
        Integer(number).serialize(serializer)
    }

    /// Reads `62500000000000000` or `"62500000000000000"`.
    ///
    /// # Errors
    ///
    /// For anything else, and for numbers that `T` cannot hold.
    pub fn deserialize<'de, T: Decimal, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        Ok(In::deserialize(deserializer)?.0)
    }
}

/// A list of numbers, written as decimal strings.
pub mod strings {
    use super::{Decimal, Deserialize, Deserializer, Digits, In, Serializer};

    /// Writes `["1000000000000000000"]`.
    ///
    /// # Errors
    ///
    /// Those of the serializer.
    pub fn serialize<T: Decimal, S: Serializer>(numbers: &[T], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(numbers.iter().map(Digits))
    }

    /// Reads strings and integers.
    ///
    /// # Errors
    ///
    /// For anything else, and for numbers that `T` cannot hold.
    pub fn deserialize<'de, T: Decimal, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
        Ok(Vec::<In<T>>::deserialize(deserializer)?.into_iter().map(|number| number.0).collect())
    }
}

/// A list of numbers, written as JSON integers.
pub mod integers {
    use super::{Decimal, Integer, Serializer};

    /// Writes `[1000000000000000000]`.
    ///
    /// # Errors
    ///
    /// Those of the serializer.
    pub fn serialize<T: Decimal, S: Serializer>(numbers: &[T], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(numbers.iter().map(Integer))
    }

    pub use super::strings::deserialize;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Both {
        #[serde(with = "string")]
        string: U256,
        #[serde(with = "integer")]
        integer: U256,
    }

    #[test]
    fn both_forms_are_read_to_the_last_digit_and_each_is_written_its_own_way() {
        let max = U256::MAX.to_string();
        for number in ["0", "18446744073709551615", "18446744073709551616", "340282366920938463463374607431768211456", &max] {
            let exact = format!(r#"{{"string":"{number}","integer":{number}}}"#);
            let swapped = format!(r#"{{"string":{number},"integer":"{number}"}}"#);
            let value: Both = serde_json::from_str(&exact).unwrap();
            assert_eq!(value.string.to_string(), number);
            assert_eq!(serde_json::from_str::<Both>(&swapped).unwrap(), value);
            assert_eq!(serde_json::to_string(&value).unwrap(), exact);
        }
    }

    #[test]
    fn what_is_not_a_number_is_refused_with_its_text() {
        let refused = |text: &str| parse::<U256>(text).unwrap_err().to_string();
        for text in ["", "-1", "+1", "1.0", "1e18", "0x10", " 1", "1_000", "١"] {
            assert_eq!(refused(text), format!("`{text}` is not a decimal number without sign, point or exponent"));
        }
        assert!(refused(&format!("{}0", U256::MAX)).ends_with("is too large"));
        assert!(parse::<u64>("18446744073709551616").is_err());
        for json in ["null", "true", "[]", "{}", "1.5", "-2", "1e3", "\"1e3\"", "\"\\u0031x\""] {
            let text = format!(r#"{{"string":{json},"integer":0}}"#);
            assert!(serde_json::from_str::<Both>(&text).is_err(), "{json}");
        }
    }
}
