//! Who and which: the guid of a bounty and the accounts of a market.

use std::{
    fmt,
    hash::{BuildHasherDefault, Hasher},
};

pub use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

/// The 128-bit name of a bounty. Zero is a legal guid.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Guid(pub u128);

impl Guid {
    /// The UUID of version 4 (RFC 4122) made of 122 of these bits: polyswarmd's clients take no other.
    pub fn random(bits: u128) -> Guid {
        let (version, variant) = (0xf << 76, 0b11 << 62);
        Guid(bits & !version & !variant | 4 << 76 | 0b10 << 62)
    }
}

impl fmt::Display for Guid {
    /// As a UUID, which is how polyswarmd writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g, h, i, rest @ ..] = self.0.to_be_bytes();
        write!(f, "{a:02x}{b:02x}{c:02x}{d:02x}-{e:02x}{g:02x}-{h:02x}{i:02x}-")?;
        for (position, byte) in rest.iter().enumerate() {
            write!(f, "{}{byte:02x}", if position == 2 { "-" } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A map by guid for looking up, never for iterating: its order is nobody's answer.
#[expect(clippy::disallowed_types, reason = "never iterated")]
pub type GuidMap<V> = std::collections::HashMap<Guid, V, BuildHasherDefault<GuidHasher>>;

/// The hash of a guid: guids are random or counted, so one multiplication spreads them well enough.
#[derive(Clone, Copy, Debug, Default)]
pub struct GuidHasher(u64);

impl Hasher for GuidHasher {
    #[inline]
    fn write_u128(&mut self, guid: u128) {
        let product = u128::from(guid as u64 ^ (guid >> 64) as u64) * 0x9E37_79B9_7F4A_7C15;
        self.0 = product as u64 ^ (product >> 64) as u64;
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("a guid is hashed as one number");
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

/// An account of one market: a dense number that stands for an [`Address`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct AccountId(pub u32);

impl AccountId {
    /// The zero address: nobody.
    pub const NOBODY: AccountId = AccountId(0);
    /// The BountyRegistry contract, which holds what is in escrow.
    pub const REGISTRY: AccountId = AccountId(1);
    /// The ArbiterStaking contract, which holds what arbiters deposited.
    pub const STAKING: AccountId = AccountId(2);
    /// The NectarToken contract.
    pub const TOKEN: AccountId = AccountId(3);

    #[inline]
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A set of accounts: one bit each, grown on demand.
#[derive(Clone, Debug, Default)]
pub struct AccountSet {
    /// The first 64 accounts: in most runs, all there are.
    first: u64,
    /// The others, 64 in a word.
    others: Vec<u64>,
}

impl AccountSet {
    /// Adds an account; false if it was in the set already.
    #[inline]
    pub fn insert(&mut self, account: AccountId) -> bool {
        let bit = 1 << (account.index() % 64);
        let word = match account.index() / 64 {
            0 => &mut self.first,
            number => self.other(number - 1),
        };
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    #[cold]
    fn other(&mut self, number: usize) -> &mut u64 {
        if number >= self.others.len() {
            self.others.resize(number + 1, 0);
        }
        &mut self.others[number]
    }

    /// Takes an account out.
    pub fn remove(&mut self, account: AccountId) {
        if self.contains(account) {
            let bit = 1 << (account.index() % 64);
            match account.index() / 64 {
                0 => self.first &= !bit,
                number => self.others[number - 1] &= !bit,
            }
        }
    }

    /// True for a member.
    #[inline]
    pub fn contains(&self, account: AccountId) -> bool {
        let word = match account.index() / 64 {
            0 => self.first,
            number => self.others.get(number - 1).copied().unwrap_or_default(),
        };
        word >> (account.index() % 64) & 1 == 1
    }

    /// Leaves no member, keeps the memory.
    pub fn clear(&mut self) {
        self.first = 0;
        self.others.clear();
    }
}

/// Positions by account, grown on demand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Positions(Vec<u32>);

impl Positions {
    /// Stands for no position.
    const NONE: u32 = u32::MAX;

    /// The position of an account, if it has one.
    #[inline]
    pub(crate) fn of(&self, account: AccountId) -> Option<usize> {
        let position = self.0.get(account.index()).copied().unwrap_or(Positions::NONE);
        if position == Positions::NONE { None } else { Some(position as usize) }
    }

    /// Gives an account a position.
    #[inline]
    pub(crate) fn set(&mut self, account: AccountId, position: usize) {
        if account.index() >= self.0.len() {
            self.grow(account);
        }
        self.0[account.index()] = position as u32;
    }

    #[cold]
    fn grow(&mut self, account: AccountId) {
        self.0.resize(account.index() + 1, Positions::NONE);
    }

    /// Leaves no position, keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.0.fill(Positions::NONE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_reads_as_a_uuid() {
        assert_eq!(Guid(0x94c7971a_f5d9_c3df_9fcc_e7ff1f6000ab).to_string(), "94c7971a-f5d9-c3df-9fcc-e7ff1f6000ab");
    }
}
