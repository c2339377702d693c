//! Time: a block number that comes in, the two windows, and the round a bounty is in.

use std::fmt;

use alloy_primitives::U256;
use serde::{Deserialize, Serialize};

/// A block number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
pub struct BlockNumber(pub u64);

impl fmt::Display for BlockNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block {}", self.0)
    }
}

/// Lengths of the reveal and the vote window in blocks, as wide as the contracts store them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Windows {
    reveal: U256,
    vote: U256,
    /// Both, if they are ordinary: below 2^62 blocks.
    ordinary: Option<(u64, u64)>,
}

impl Windows {
    /// Windows of any lengths: reveal, then vote.
    pub fn new(reveal: U256, vote: U256) -> Windows {
        let ordinary = |window: U256| u64::try_from(window).ok().filter(|&blocks| blocks < 1 << 62);
        Windows { reveal, vote, ordinary: ordinary(reveal).zip(ordinary(vote)) }
    }

    /// Windows of ordinary lengths: reveal, then vote.
    pub fn blocks(reveal: u64, vote: u64) -> Windows {
        Windows::new(U256::from(reveal), U256::from(vote))
    }

    /// Blocks after expiration in which assertions are revealed.
    pub fn reveal(&self) -> U256 {
        self.reveal
    }

    /// Blocks after the reveal window in which arbiters vote.
    pub fn vote(&self) -> U256 {
        self.vote
    }

    /// First block of the vote window of a bounty that expires at `expiration`.
    ///
    /// `None` if the sum exceeds 256 bits: the contracts revert there. A window that reaches beyond the last block a
    /// [`BlockNumber`] can name closes at [`BlockNumber`]'s end, which no chain reaches.
    #[inline]
    pub fn vote_start(&self, expiration: BlockNumber) -> Option<BlockNumber> {
        match self.ordinary {
            Some((reveal, _)) => Some(BlockNumber(expiration.0.saturating_add(reveal))),
            None => Some(BlockNumber(U256::from(expiration.0).checked_add(self.reveal)?.saturating_to())),
        }
    }

    /// First block after the vote window of a bounty that expires at `expiration`; `None` as in [`Windows::vote_start`].
    #[inline]
    pub fn vote_end(&self, expiration: BlockNumber) -> Option<BlockNumber> {
        match self.ordinary {
            Some((reveal, vote)) => Some(BlockNumber(expiration.0.saturating_add(reveal + vote))),
            None => Some(BlockNumber(U256::from(expiration.0).checked_add(self.reveal)?.checked_add(self.vote)?.saturating_to())),
        }
    }
}

/// What a bounty is open for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Round {
    /// Assertions are taken.
    Assertion,
    /// Assertions are revealed.
    Reveal,
    /// Arbiters vote and quorum is not reached.
    Vote,
    /// Arbiters may still vote, but quorum is reached: everybody else may settle.
    Quorum,
    /// Everything is over: anybody may settle.
    Settle,
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Round::Assertion => "assertion",
            Round::Reveal => "reveal",
            Round::Vote => "vote",
            Round::Quorum => "quorum",
            Round::Settle => "settle",
        })
    }
}

impl Round {
    /// The round at block `now`; `None` where the contract's own arithmetic overflows.
    #[inline]
    pub fn at(now: BlockNumber, expiration: BlockNumber, windows: Windows, quorum_reached: bool) -> Option<Round> {
        if now < expiration {
            return Some(Round::Assertion);
        }
        if now < windows.vote_start(expiration)? {
            return Some(Round::Reveal);
        }
        let vote_closes = windows.vote_end(expiration)?;
        Some(match (now < vote_closes, quorum_reached) {
            (true, false) => Round::Vote,
            (true, true) => Round::Quorum,
            (false, _) => Round::Settle,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_follow_the_windows() {
        let windows = Windows::blocks(10, 100);
        let check = |now, quorum, round| assert_eq!(Round::at(BlockNumber(now), BlockNumber(50), windows, quorum), Some(round), "at {now}");
        check(49, false, Round::Assertion);
        check(50, false, Round::Reveal);
        check(59, false, Round::Reveal);
        check(60, false, Round::Vote);
        check(60, true, Round::Quorum);
        check(159, true, Round::Quorum);
        check(160, true, Round::Settle);
        check(160, false, Round::Settle);
    }

    #[test]
    fn a_window_near_the_end_of_256_bits_overflows_and_a_merely_vast_one_does_not() {
        let at = |reveal| Round::at(BlockNumber(60), BlockNumber(50), Windows::new(reveal, U256::from(1)), false);
        assert_eq!(at(U256::MAX), None);
        assert_eq!(at(U256::MAX >> 8), Some(Round::Reveal));
    }
}
