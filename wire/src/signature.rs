//! secp256k1 as Ethereum uses it: deterministic signatures with a low s, and the sender recovered from them.

use alloy_primitives::{B256, U256, keccak256};
use k256::ecdsa::{self, RecoveryId, SigningKey, VerifyingKey};
use market::id::Address;

/// A private key. Its text never appears in debug output; it is overwritten when dropped.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

/// Why bytes are no private key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a private key is a number from 1 to the order of secp256k1, in 32 bytes")]
pub struct MalformedKey;

impl SecretKey {
    /// The key of 32 bytes.
    ///
    /// # Errors
    ///
    /// For zero and for numbers beyond the group's order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<SecretKey, MalformedKey> {
        SigningKey::from_slice(bytes).map(SecretKey).map_err(|_| MalformedKey)
    }

    /// The account of this key.
    pub fn address(&self) -> Address {
        address_of(self.0.verifying_key())
    }

    /// Signs a hash, always with the same result (RFC 6979).
    pub fn sign(&self, hash: B256) -> Signature {
        let (signature, recovery) = self.0.sign_prehash_recoverable(hash.as_slice()).expect("signing a 32-byte hash finds a nonce");
        Signature { scalars: signature, y_is_odd: recovery.is_y_odd() }
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretKey of {}", self.address())
    }
}

/// A signature with r and s in range and s in the lower half, and which of two points r stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signature {
    scalars: ecdsa::Signature,
    y_is_odd: bool,
}

/// Why numbers are no signature, or not of anybody.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSignature {
    /// r or s is zero or beyond the group's order.
    #[error("r or s of the signature is out of range")]
    OutOfRange,
    /// s is in the upper half of its range: the same signature with another hash (EIP-2).
    #[error("s of the signature is in the upper half of its range, which Ethereum refuses since Homestead")]
    HighS,
    /// No public key belongs to hash and signature.
    #[error("no account can have made this signature")]
    Unrecoverable,
}

impl Signature {
    /// The signature of these numbers.
    ///
    /// # Errors
    ///
    /// If r or s is out of range, or s high.
    pub fn new(r: U256, s: U256, y_is_odd: bool) -> Result<Signature, InvalidSignature> {
        let scalars = ecdsa::Signature::from_scalars(r.to_be_bytes::<32>(), s.to_be_bytes::<32>());
        let scalars = scalars.map_err(|_| InvalidSignature::OutOfRange)?;
        if scalars.normalize_s().is_some() {
            return Err(InvalidSignature::HighS);
        }
        Ok(Signature { scalars, y_is_odd })
    }

    /// First number.
    pub fn r(&self) -> U256 {
        U256::from_be_slice(&self.scalars.r().to_bytes())
    }

    /// Second number.
    pub fn s(&self) -> U256 {
        U256::from_be_slice(&self.scalars.s().to_bytes())
    }

    /// Whether the point that r stands for has an odd y.
    pub fn y_is_odd(&self) -> bool {
        self.y_is_odd
    }

    /// Who signed `hash`.
    ///
    /// # Errors
    ///
    /// If nobody can have.
    pub fn signer(&self, hash: B256) -> Result<Address, InvalidSignature> {
        let recovery = RecoveryId::new(self.y_is_odd, false);
        let key = VerifyingKey::recover_from_prehash(hash.as_slice(), &self.scalars, recovery);
        key.map(|key| address_of(&key)).map_err(|_| InvalidSignature::Unrecoverable)
    }
}

/// The account of a public key: the last 20 bytes of the hash of both its coordinates.
fn address_of(key: &VerifyingKey) -> Address {
    let point = key.to_encoded_point(false);
    Address::from_word(keccak256(&point.as_bytes()[1..]))
}
