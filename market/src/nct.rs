//! Money: [`Nct`] is an amount and [`NctDelta`] a change of one, both in wei (1 NCT = 10^18 wei).
//!
//! The contracts compute in unsigned 256-bit integers and revert on overflow, so every operation that can overflow
//! answers with an `Option`. Floats appear nowhere; a share of a pot is [`Nct::mul_div`].

use std::{cmp::Ordering, fmt, iter::Sum, str::FromStr};

use alloy_primitives::{I256, U256};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Wei in one NCT.
pub const WEI_PER_NCT: u128 = 1_000_000_000_000_000_000;

/// An amount of Nectar in wei: four limbs, the lowest first.
#[derive(Clone, Copy, Eq, Hash, Default)]
#[expect(clippy::derived_hash_with_manual_eq, reason = "the same equality as derived, only faster")]
pub struct Nct([u64; 4]);

impl PartialEq for Nct {
    #[inline]
    fn eq(&self, other: &Nct) -> bool {
        let ([low, high], [other_low, other_high]) = (self.halves(), other.halves());
        (low ^ other_low) | (high ^ other_high) == 0
    }
}

impl PartialOrd for Nct {
    #[inline]
    fn partial_cmp(&self, other: &Nct) -> Option<Ordering> {
        Some(self.cmp(other))
    }

    #[inline]
    fn lt(&self, other: &Nct) -> bool {
        let ([low, high], [other_low, other_high]) = (self.halves(), other.halves());
        if high == other_high { low < other_low } else { high < other_high }
    }

    #[inline]
    fn gt(&self, other: &Nct) -> bool {
        other < self
    }
}

impl Ord for Nct {
    #[inline]
    fn cmp(&self, other: &Nct) -> Ordering {
        let ([low, high], [other_low, other_high]) = (self.halves(), other.halves());
        if high == other_high { low.cmp(&other_low) } else { high.cmp(&other_high) }
    }
}

impl Nct {
    /// No Nectar.
    pub const ZERO: Nct = Nct([0; 4]);

    /// An amount of whole NCT.
    #[inline]
    pub const fn whole(whole: u64) -> Nct {
        Nct::wei(whole as u128 * WEI_PER_NCT)
    }

    /// An amount in wei.
    #[inline]
    pub const fn wei(wei: u128) -> Nct {
        Nct::from_halves(wei, 0)
    }

    /// An amount in wei, as the contracts hold it.
    #[inline]
    pub const fn from_uint(wei: U256) -> Nct {
        Nct(*wei.as_limbs())
    }

    /// The amount in wei, as the contracts hold it.
    #[inline]
    pub const fn to_uint(self) -> U256 {
        U256::from_limbs(self.0)
    }

    /// The amount in wei, if it fits 128 bits (every amount of the real supply does).
    #[inline]
    pub const fn to_wei(self) -> Option<u128> {
        let [low, high] = self.halves();
        if high == 0 { Some(low) } else { None }
    }

    /// The lower and the upper 128 bits: sums and differences of these are worth more than those of four limbs.
    #[inline]
    const fn halves(self) -> [u128; 2] {
        let [a, b, c, d] = self.0;
        [(b as u128) << 64 | a as u128, (d as u128) << 64 | c as u128]
    }

    #[inline]
    const fn from_halves(low: u128, high: u128) -> Nct {
        Nct([low as u64, (low >> 64) as u64, high as u64, (high >> 64) as u64])
    }

    /// The lower 128 bits.
    #[inline]
    pub(crate) const fn low(self) -> u128 {
        self.halves()[0]
    }

    /// Changes the lower half where it is.
    #[inline]
    fn set_low(&mut self, low: u128) {
        (self.0[0], self.0[1]) = (low as u64, (low >> 64) as u64);
    }

    /// True for no Nectar at all.
    #[inline]
    pub fn is_zero(self) -> bool {
        let [low, high] = self.halves();
        low | high == 0
    }

    /// The sum, or `None` beyond 256 bits.
    #[inline]
    pub fn checked_add(self, other: Nct) -> Option<Nct> {
        let ([low, high], [other_low, other_high]) = (self.halves(), other.halves());
        let (mut sum, carry) = low.overflowing_add(other_low);
        let mut high = high;
        // Hardly ever: nearly all amounts leave the upper half as it is.
        if carry | (other_high != 0) {
            [sum, high] = self.add_wide(other)?.halves();
        }
        Some(Nct::from_halves(sum, high))
    }

    /// The difference, or `None` below zero.
    #[inline]
    pub fn checked_sub(self, other: Nct) -> Option<Nct> {
        let ([low, high], [other_low, other_high]) = (self.halves(), other.halves());
        let (mut rest, borrow) = low.overflowing_sub(other_low);
        let mut high = high;
        if borrow | (other_high != 0) {
            [rest, high] = self.sub_wide(other)?.halves();
        }
        Some(Nct::from_halves(rest, high))
    }

    /// Adds `other` where the sum stays; false, and nothing has changed, beyond 256 bits.
    #[inline]
    #[must_use]
    pub fn give(&mut self, other: Nct) -> bool {
        let ([low, _], [other_low, other_high]) = (self.halves(), other.halves());
        let (sum, carry) = low.overflowing_add(other_low);
        if carry | (other_high != 0) {
            return self.give_wide(other);
        }
        self.set_low(sum);
        true
    }

    /// Takes `other` away where the rest stays; false, and nothing has changed, if there is less.
    #[inline]
    #[must_use]
    pub fn take(&mut self, other: Nct) -> bool {
        let ([low, _], [other_low, other_high]) = (self.halves(), other.halves());
        let (rest, borrow) = low.overflowing_sub(other_low);
        if borrow | (other_high != 0) {
            return self.take_wide(other);
        }
        self.set_low(rest);
        true
    }

    #[cold]
    fn add_wide(self, other: Nct) -> Option<Nct> {
        self.to_uint().checked_add(other.to_uint()).map(Nct::from_uint)
    }

    #[cold]
    fn sub_wide(self, other: Nct) -> Option<Nct> {
        self.to_uint().checked_sub(other.to_uint()).map(Nct::from_uint)
    }

    #[cold]
    fn give_wide(&mut self, other: Nct) -> bool {
        self.add_wide(other).inspect(|&sum| *self = sum).is_some()
    }

    #[cold]
    fn take_wide(&mut self, other: Nct) -> bool {
        self.sub_wide(other).inspect(|&rest| *self = rest).is_some()
    }

    /// The difference, or zero.
    #[inline]
    pub fn saturating_sub(self, other: Nct) -> Nct {
        self.checked_sub(other).unwrap_or_default()
    }

    /// `self * count`, or `None` beyond 256 bits.
    #[inline]
    pub fn checked_mul(self, count: u64) -> Option<Nct> {
        if let Some(wei) = self.to_wei()
            && let Some(product) = wei.checked_mul(u128::from(count))
        {
            return Some(Nct::wei(product));
        }
        self.to_uint().checked_mul(U256::from(count)).map(Nct::from_uint)
    }

    /// `self * numerator / denominator`, rounded down as the contracts do; `None` if the product exceeds 256 bits.
    ///
    /// Two amounts of 19 NCT already overflow 128 bits, so the product is taken in 256 unless it is known to fit.
    ///
    /// # Panics
    ///
    /// If `denominator` is zero.
    #[inline]
    pub fn mul_div(self, numerator: Nct, denominator: Nct) -> Option<Nct> {
        if let (Some(a), Some(b), Some(c)) = (self.to_wei(), numerator.to_wei(), denominator.to_wei())
            && a.leading_zeros() + b.leading_zeros() >= 128
        {
            return Some(Nct::wei(a * b / c));
        }
        Some(Nct::from_uint(self.to_uint().checked_mul(numerator.to_uint())? / denominator.to_uint()))
    }

    /// The amount in NCT as a float, for statistics and pictures only: money never comes back from here.
    pub fn to_f64(self) -> f64 {
        match self.to_wei() {
            Some(wei) => wei as f64 / WEI_PER_NCT as f64,
            None => f64::from(self.to_uint()) / WEI_PER_NCT as f64,
        }
    }

    /// `self - other` with its sign.
    ///
    /// # Panics
    ///
    /// If an amount exceeds 255 bits.
    pub fn minus(self, other: Nct) -> NctDelta {
        NctDelta::from(self) - NctDelta::from(other)
    }
}

impl std::ops::Div<u64> for Nct {
    type Output = Nct;

    /// `self / count`, rounded down.
    ///
    /// # Panics
    ///
    /// If `count` is zero.
    #[inline]
    fn div(self, count: u64) -> Nct {
        match self.to_wei() {
            Some(wei) => Nct::wei(wei / u128::from(count)),
            None => Nct::from_uint(self.to_uint() / U256::from(count)),
        }
    }
}

impl Sum for Nct {
    /// # Panics
    ///
    /// If the sum exceeds 256 bits.
    fn sum<I: Iterator<Item = Nct>>(amounts: I) -> Nct {
        amounts.fold(Nct::ZERO, |sum, amount| sum.checked_add(amount).expect("a sum of amounts within 256 bits"))
    }
}

/// Shortest exact decimal of `wei` in NCT, without a unit.
fn decimal(wei: U256) -> String {
    let (whole, fraction) = wei.div_rem(U256::from(WEI_PER_NCT));
    if fraction.is_zero() {
        return whole.to_string();
    }
    let digits = format!("{fraction:0>18}");
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

impl fmt::Display for Nct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} NCT", decimal(self.to_uint()))
    }
}

impl fmt::Debug for Nct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is no amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an amount: {problem}; write NCT as `0.0625`, `2 NCT`, or wei as `62500000000000000 wei`")]
pub struct MalformedAmount {
    text: String,
    problem: &'static str,
}

impl FromStr for Nct {
    type Err = MalformedAmount;

    /// Reads `0.5`, `0.5 NCT` or `500000000000000000 wei`.
    fn from_str(text: &str) -> Result<Nct, MalformedAmount> {
        let malformed = |problem| MalformedAmount { text: text.chars().take(60).collect(), problem };
        let trimmed = text.trim();
        if trimmed.starts_with('-') {
            return Err(malformed("it is negative"));
        }
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let whole = |text: &str| {
            if digits(text) {
                U256::from_str_radix(text, 10).map_err(|_| malformed("it exceeds 256 bits"))
            } else {
                Err(malformed("it is not a decimal number"))
            }
        };
        if let Some(wei) = trimmed.strip_suffix("wei") {
            return whole(wei.trim_end()).map(Nct::from_uint);
        }
        let number = trimmed.strip_suffix("NCT").unwrap_or(trimmed).trim_end();
        let (units, fraction) = number.split_once('.').unwrap_or((number, "0"));
        if fraction.len() > 18 {
            return Err(malformed("it has more than 18 decimals"));
        }
        if !digits(fraction) {
            return Err(malformed("it is not a decimal number"));
        }
        let units = whole(units)?.checked_mul(U256::from(WEI_PER_NCT));
        let fraction = whole(&format!("{fraction:0<18}"))?;
        units.and_then(|units| units.checked_add(fraction)).map(Nct::from_uint).ok_or_else(|| malformed("it exceeds 256 bits"))
    }
}

impl Serialize for Nct {
    /// A decimal string of wei: JSON numbers cannot hold it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.to_uint())
    }
}

impl<'de> Deserialize<'de> for Nct {
    /// A string as [`Nct::from_str`] reads it (NCT unless it says `wei`), or a number of NCT.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Nct, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Nct;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount such as \"0.0625 NCT\", 2 or \"62500000000000000 wei\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Nct, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, whole: i64) -> Result<Nct, E> {
                whole.to_string().parse().map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, whole: u64) -> Result<Nct, E> {
                whole.to_string().parse().map_err(E::custom)
            }
            fn visit_f64<E: de::Error>(self, amount: f64) -> Result<Nct, E> {
                // The shortest decimal of the number is what the user wrote.
                amount.to_string().parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A change of an amount, in wei.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NctDelta(I256);

impl NctDelta {
    /// No change.
    pub const ZERO: NctDelta = NctDelta(I256::ZERO);

    /// The change in wei.
    pub const fn to_int(self) -> I256 {
        self.0
    }

    /// True below zero.
    #[inline]
    pub fn is_negative(self) -> bool {
        self.0.is_negative()
    }

    /// The change in wei, if it fits 128 bits with its sign.
    #[inline]
    fn to_short(self) -> Option<i128> {
        let [low, high] = Nct::from_uint(self.0.into_raw()).halves();
        let short = low as i128;
        (high as i128 == short >> 127).then_some(short)
    }

    #[inline]
    fn from_short(short: i128) -> NctDelta {
        NctDelta(I256::from_raw(Nct::from_halves(short as u128, (short >> 127) as u128).to_uint()))
    }

    /// The change in NCT as a float, for statistics and pictures only.
    pub fn to_f64(self) -> f64 {
        let magnitude = Nct::from_uint(self.0.unsigned_abs()).to_f64();
        if self.is_negative() { -magnitude } else { magnitude }
    }

    /// The change in wei as a decimal string.
    pub fn wei_string(self) -> String {
        self.0.to_string()
    }
}

impl From<Nct> for NctDelta {
    /// # Panics
    ///
    /// If the amount exceeds 255 bits.
    #[inline]
    fn from(amount: Nct) -> NctDelta {
        if let Some(short) = amount.to_wei().and_then(|wei| i128::try_from(wei).ok()) {
            return NctDelta::from_short(short);
        }
        NctDelta(I256::try_from(amount.to_uint()).expect("an amount within 255 bits"))
    }
}

impl std::ops::Add for NctDelta {
    type Output = NctDelta;
    #[inline]
    fn add(self, other: NctDelta) -> NctDelta {
        if let (Some(a), Some(b)) = (self.to_short(), other.to_short())
            && let Some(sum) = a.checked_add(b)
        {
            return NctDelta::from_short(sum);
        }
        NctDelta(self.0.checked_add(other.0).expect("a change within 255 bits"))
    }
}

impl std::ops::Sub for NctDelta {
    type Output = NctDelta;
    #[inline]
    fn sub(self, other: NctDelta) -> NctDelta {
        if let (Some(a), Some(b)) = (self.to_short(), other.to_short())
            && let Some(rest) = a.checked_sub(b)
        {
            return NctDelta::from_short(rest);
        }
        NctDelta(self.0.checked_sub(other.0).expect("a change within 255 bits"))
    }
}

impl std::ops::AddAssign for NctDelta {
    #[inline]
    fn add_assign(&mut self, other: NctDelta) {
        *self = *self + other;
    }
}

impl Sum for NctDelta {
    fn sum<I: Iterator<Item = NctDelta>>(changes: I) -> NctDelta {
        changes.fold(NctDelta::ZERO, |sum, change| sum + change)
    }
}

impl fmt::Display for NctDelta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_negative() { "-" } else { "+" };
        write!(f, "{sign}{} NCT", decimal(self.0.unsigned_abs()))
    }
}

impl fmt::Debug for NctDelta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for NctDelta {
    /// A decimal string of wei, with a minus sign for a loss.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_share_rounds_down_and_survives_products_beyond_128_bits() {
        assert_eq!(Nct::whole(19).mul_div(Nct::whole(19), Nct::whole(38)), Some(Nct::wei(WEI_PER_NCT * 19 / 2)));
        assert_eq!(Nct::wei(10).mul_div(Nct::wei(2), Nct::wei(3)), Some(Nct::wei(6)));
        let huge = Nct::from_uint(U256::MAX);
        assert_eq!(huge.mul_div(Nct::wei(1), Nct::wei(1)), Some(huge));
        assert_eq!(huge.mul_div(Nct::wei(2), Nct::wei(2)), None, "the contracts overflow here too");
    }

    /// Limbs that are likely to carry, and likely to leave the upper half alone.
    fn any_amount() -> impl Strategy<Value = Nct> {
        let limb = prop_oneof![Just(0), Just(1), Just(u64::MAX), any::<u64>()];
        prop_oneof![(limb.clone(), limb.clone()).prop_map(|(a, b)| Nct([a, b, 0, 0])), proptest::array::uniform4(limb).prop_map(Nct)]
    }

    /// Changes of either sign around where 128 bits with a sign end, and any others.
    fn any_change() -> impl Strategy<Value = I256> {
        let limb = prop_oneof![Just(0), Just(1), Just(1 << 63), Just(u64::MAX), any::<u64>()];
        let upper = prop_oneof![4 => Just([0; 2]), 4 => Just([u64::MAX; 2]), 1 => any::<[u64; 2]>()];
        (limb.clone(), limb, upper).prop_map(|(a, b, [c, d])| I256::from_raw(U256::from_limbs([a, b, c, d])))
    }

    proptest! {
        #[test]
        fn the_short_way_through_the_lower_half_is_256_bit_arithmetic(a in any_amount(), b in any_amount()) {
            let (wide_a, wide_b) = (a.to_uint(), b.to_uint());
            let (sum, rest) = (wide_a.checked_add(wide_b).map(Nct::from_uint), wide_a.checked_sub(wide_b).map(Nct::from_uint));
            prop_assert_eq!((a.checked_add(b), a.checked_sub(b)), (sum, rest));
            let (mut given, mut taken) = (a, a);
            prop_assert_eq!((given.give(b), taken.take(b)), (sum.is_some(), rest.is_some()));
            prop_assert_eq!((given, taken), (sum.unwrap_or(a), rest.unwrap_or(a)));
            prop_assert_eq!((a < b, a > b, a == b, a.cmp(&b)), (wide_a < wide_b, wide_a > wide_b, wide_a == wide_b, wide_a.cmp(&wide_b)));
            prop_assert_eq!(a.is_zero(), wide_a.is_zero());
        }

        #[test]
        fn the_short_way_through_128_bits_is_256_bit_arithmetic(a in any_change(), b in any_change()) {
            let [change_a, change_b] = [NctDelta(a), NctDelta(b)];
            if let Some(sum) = a.checked_add(b) {
                prop_assert_eq!((change_a + change_b).to_int(), sum);
            }
            if let Some(rest) = a.checked_sub(b) {
                prop_assert_eq!((change_a - change_b).to_int(), rest);
            }
            if !a.is_negative() {
                prop_assert_eq!(NctDelta::from(Nct::from_uint(a.into_raw())).to_int(), a);
            }
        }
    }

    #[test]
    fn amounts_read_and_write_the_same_text() {
        for (text, wei) in [("0.0625", 62_500_000_000_000_000), ("2 NCT", 2 * WEI_PER_NCT), ("17 wei", 17), ("0", 0)] {
            assert_eq!(text.parse(), Ok(Nct::wei(wei)), "{text}");
        }
        assert_eq!(Nct::wei(62_500_000_000_000_000).to_string(), "0.0625 NCT");
        assert_eq!(Nct::ZERO.minus(Nct::whole(3)).to_string(), "-3 NCT");
        for bad in ["-1", "", "1e3", "0.1234567890123456789", "1.2.3", "nct", "1 eth"] {
            assert!(bad.parse::<Nct>().is_err(), "{bad}");
        }
    }
}
