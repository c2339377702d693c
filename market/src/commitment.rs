//! What an assertion promises before it is revealed, and how it is opened.
//!
//! On chain a commitment is `keccak256(verdicts ^ keccak256(nonce) ^ author)`, each a 256-bit big-endian number.
//! In process the same promise travels as the opening itself, in an envelope that only the market opens: hashing ten
//! thousand honest openings to compare each with itself tells nothing.

use alloy_primitives::{Address, B256, U256, keccak256};

use crate::{verdict::ArtifactSet, word};

/// Nonce and verdicts of an assertion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opening {
    /// The author's secret; not zero.
    pub nonce: U256,
    /// Malicious artifacts.
    pub verdicts: ArtifactSet,
}

/// A promise of verdicts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Commitment(Kind);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// As a number, so that both kinds lie in memory alike, and are copied in whole words.
    Hash(U256),
    Envelope(Opening),
}

impl Commitment {
    /// A commitment as it stands on chain.
    pub fn from_hash(hash: B256) -> Commitment {
        Commitment(Kind::Hash(hash.into()))
    }

    /// A commitment of an account in this process: opened by exactly `opening`.
    pub fn envelope(opening: Opening) -> Commitment {
        Commitment(Kind::Envelope(opening))
    }

    /// The hash that `author` commits to `opening` with.
    pub fn compute(author: Address, opening: Opening) -> B256 {
        let nonce = U256::from_be_bytes(keccak256(opening.nonce.to_be_bytes::<32>()).0);
        let author = U256::from_be_slice(author.as_slice());
        keccak256((opening.verdicts.to_uint() ^ nonce ^ author).to_be_bytes::<32>())
    }

    /// The commitment as it stands on chain.
    pub fn hash(&self, author: Address) -> B256 {
        match self.0 {
            Kind::Hash(hash) => hash.into(),
            Kind::Envelope(opening) => Commitment::compute(author, opening),
        }
    }

    /// True if `opening` by `author` opens this commitment.
    #[inline]
    pub fn opens(&self, author: Address, opening: Opening) -> bool {
        match self.0 {
            Kind::Hash(hash) => Commitment::compute(author, opening) == B256::from(hash),
            // Another nonce could open the same hash to other verdicts (the commitment does not bind); an account
            // that wants to play that trick commits by hash.
            Kind::Envelope(sealed) => {
                word::same(*sealed.nonce.as_limbs(), *opening.nonce.as_limbs()) && sealed.verdicts == opening.verdicts
            }
        }
    }

    /// Takes in the opening that [opens](Commitment::opens) it: from then on it travels in an envelope.
    #[inline]
    pub(crate) fn open(&mut self, opening: Opening) {
        if let Kind::Hash(_) = self.0 {
            self.0 = Kind::Envelope(opening);
        }
    }

    /// What is in the envelope, if it is one; before the reveal it is nobody's business.
    #[inline]
    pub(crate) fn opening(&self) -> Option<&Opening> {
        match &self.0 {
            Kind::Hash(_) => None,
            Kind::Envelope(opening) => Some(opening),
        }
    }
}
