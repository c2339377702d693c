//! Legacy Ethereum transactions: the unsigned JSON that polyswarmd builds, and the signed RLP that clients send back.
//!
//! Source: polyswarmd 2.x, `POST /transactions` and the answers of every action; EIP-155 for the chain id in `v`; EIP-2
//! for the low `s`. Typed transactions and contract creations are not part of this wire.

use alloy_primitives::{B256, Bytes, U256, keccak256};
use alloy_rlp::{Decodable, Encodable, Header, PayloadView};
use market::id::Address;
use serde::{Deserialize, Serialize};

use crate::{
    address, decimal, hexadecimal,
    signature::{InvalidSignature, SecretKey, Signature},
};

/// Transactions in one request, at most (polyswarmd, `maxItems` of `/transactions`).
pub const TRANSACTIONS_MAXIMUM: usize = 10;

/// A transaction that its sender has not signed yet, with exactly the keys that eth-account takes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Unsigned {
    /// Number of the sender's earlier transactions. polyswarm-client puts its own here before it signs.
    #[serde(with = "decimal::integer")]
    pub nonce: u64,
    /// The chain it is valid on; without one, on every chain.
    #[serde(rename = "chainId", default, skip_serializing_if = "Option::is_none")]
    pub chain_id: Option<u64>,
    /// Gas limit.
    #[serde(with = "decimal::integer")]
    pub gas: u64,
    /// Wei of ether for each unit of gas.
    #[serde(rename = "gasPrice", with = "decimal::integer")]
    pub gas_price: U256,
    /// Wei of ether that go with the call; verifiers insist on 0.
    #[serde(with = "decimal::integer")]
    pub value: U256,
    /// The contract that is called.
    #[serde(with = "address")]
    pub to: Address,
    /// The call; see [`crate::calldata::Call`].
    #[serde(with = "hexadecimal::prefixed")]
    pub data: Bytes,
}

impl Unsigned {
    /// The hash that is signed.
    pub fn signing_hash(&self) -> B256 {
        keccak256(match self.chain_id {
            None => list(&self.fields()),
            Some(chain_id) => list(&[self.fields().as_slice(), &[&chain_id, &0u8, &0u8]].concat()),
        })
    }

    /// Signs the transaction.
    pub fn sign(self, key: &SecretKey) -> Signed {
        let signature = key.sign(self.signing_hash());
        Signed { transaction: self, signature, sender: key.address() }
    }

    fn fields(&self) -> [&dyn Encodable; 6] {
        [&self.nonce, &self.gas_price, &self.gas, &self.to, &self.value, &self.data]
    }
}

/// A signed transaction whose sender is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed {
    transaction: Unsigned,
    signature: Signature,
    sender: Address,
}

/// Why bytes are no signed transaction.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedTransaction {
    /// Not canonical RLP, or a field of another kind.
    #[error("the transaction is not canonical RLP: {0}")]
    Rlp(alloy_rlp::Error),
    /// Something follows the list.
    #[error("{count} bytes follow the transaction")]
    TrailingBytes {
        /// Bytes after the list.
        count: usize,
    },
    /// A text where the list belongs: typed transactions look like that.
    #[error("not a legacy transaction: it does not start with a list")]
    NotAList,
    /// A list of another length.
    #[error("a signed transaction has 9 fields, not {found}")]
    WrongFieldCount {
        /// Fields there are.
        found: usize,
    },
    /// An empty recipient.
    #[error("the transaction has no recipient: it would create a contract")]
    CreatesContract,
    /// `v` that names neither a chain nor none.
    #[error("v is {v}, neither 27, 28 nor 35 and more")]
    InvalidV {
        /// As found.
        v: U256,
    },
    /// The signature cannot be anybody's.
    #[error(transparent)]
    Signature(#[from] InvalidSignature),
}

impl From<alloy_rlp::Error> for MalformedTransaction {
    fn from(error: alloy_rlp::Error) -> MalformedTransaction {
        MalformedTransaction::Rlp(error)
    }
}

impl Signed {
    /// Reads the RLP of a signed transaction and recovers its sender.
    ///
    /// # Errors
    ///
    /// For anything but one canonical list of nine fields with a signature that somebody can have made.
    pub fn decode(raw: &[u8]) -> Result<Signed, MalformedTransaction> {
        let mut rest = raw;
        let PayloadView::List(mut fields) = Header::decode_raw(&mut rest)? else {
            return Err(MalformedTransaction::NotAList);
        };
        if !rest.is_empty() {
            return Err(MalformedTransaction::TrailingBytes { count: rest.len() });
        }
        let found = fields.len();
        let [nonce, gas_price, gas, to, value, data, v, r, s] = fields.as_mut_slice() else {
            return Err(MalformedTransaction::WrongFieldCount { found });
        };
        if to == &[alloy_rlp::EMPTY_STRING_CODE] {
            return Err(MalformedTransaction::CreatesContract);
        }
        let (chain_id, y_is_odd) = chain_and_parity(U256::decode(v)?)?;
        let transaction = Unsigned {
            nonce: u64::decode(nonce)?,
            chain_id,
            gas: u64::decode(gas)?,
            gas_price: U256::decode(gas_price)?,
            value: U256::decode(value)?,
            to: Address::decode(to)?,
            data: Bytes::decode(data)?,
        };
        let signature = Signature::new(U256::decode(r)?, U256::decode(s)?, y_is_odd)?;
        let sender = signature.signer(transaction.signing_hash())?;
        Ok(Signed { transaction, signature, sender })
    }

    /// The RLP: nonce, gas price, gas, recipient, value, data, v, r, s.
    pub fn encode(&self) -> Vec<u8> {
        let [v, r, s] = [self.v(), self.signature.r(), self.signature.s()];
        list(&[self.transaction.fields().as_slice(), &[&v, &r, &s]].concat())
    }

    /// The name of the transaction.
    pub fn hash(&self) -> B256 {
        keccak256(self.encode())
    }

    /// What was signed.
    pub fn transaction(&self) -> &Unsigned {
        &self.transaction
    }

    /// How it was signed.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Who signed it.
    pub fn sender(&self) -> Address {
        self.sender
    }

    /// 27 or 28 without a chain, otherwise 35 or 36 and twice the chain's id.
    pub fn v(&self) -> U256 {
        let parity = U256::from(self.signature.y_is_odd());
        match self.transaction.chain_id {
            None => U256::from(27) + parity,
            Some(chain_id) => U256::from(35) + U256::from(chain_id) * U256::from(2) + parity,
        }
    }
}

/// The chain's id, if any, and the parity of the signature's point.
fn chain_and_parity(v: U256) -> Result<(Option<u64>, bool), MalformedTransaction> {
    let invalid = MalformedTransaction::InvalidV { v };
    let v = u128::try_from(v).map_err(|_| invalid.clone())?;
    match v {
        27 | 28 => Ok((None, v == 28)),
        35.. => Ok((Some(u64::try_from((v - 35) / 2).map_err(|_| invalid)?), (v - 35) % 2 == 1)),
        _ => Err(invalid),
    }
}

/// An RLP list.
fn list(fields: &[&dyn Encodable]) -> Vec<u8> {
    let payload_length = fields.iter().map(|field| field.length()).sum();
    let header = Header { list: true, payload_length };
    let mut bytes = Vec::with_capacity(header.length_with_payload());
    header.encode(&mut bytes);
    fields.iter().for_each(|field| field.encode(&mut bytes));
    bytes
}

/// The answer to every action: transactions to sign, in order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ToSign {
    /// To be verified, signed and sent one after the other.
    pub transactions: Vec<Unsigned>,
}

/// Body of `POST /transactions`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Submission {
    /// RLP of signed transactions; see [`Signed::decode`].
    #[serde(with = "hexadecimal::bare_list")]
    pub transactions: Vec<Vec<u8>>,
}

/// Body of `GET /transactions`: a GET with a body.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Inquiry {
    /// Hashes of all transactions of an action.
    #[serde(with = "hexadecimal::bare_hashes")]
    pub transactions: Vec<B256>,
}

/// What became of one submitted transaction: an entry of the answer to `POST /transactions`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Submitted {
    /// True if it was refused.
    pub is_error: bool,
    /// The hash with `0x`, or why it was refused.
    pub message: String,
}

/// In the message of a refusal, says that the transaction is known already; polyswarm-client takes that for success.
pub const KNOWN_TRANSACTION: &str = "known transaction";

impl Submitted {
    /// The transaction was taken.
    pub fn accepted(hash: B256) -> Submitted {
        Submitted { is_error: false, message: format!("0x{}", hex::encode(hash)) }
    }

    /// The transaction was refused.
    pub fn refused(message: impl Into<String>) -> Submitted {
        Submitted { is_error: true, message: message.into() }
    }

    /// True if the transaction is on its way, by this submission or an earlier one.
    pub fn is_underway(&self) -> bool {
        // An unknown transaction is none that is known.
        let is_told = |at: usize| !self.message[..at].ends_with(char::is_alphanumeric);
        !self.is_error || self.message.match_indices(KNOWN_TRANSACTION).any(|(at, _)| is_told(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: &str = "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a0\
        28ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83";

    /// The example of EIP-155 itself.
    fn example() -> Unsigned {
        Unsigned {
            nonce: 9,
            chain_id: Some(1),
            gas: 21_000,
            gas_price: U256::from(20_000_000_000u64),
            value: U256::from(1_000_000_000_000_000_000u64),
            to: Address::repeat_byte(0x35),
            data: Bytes::new(),
        }
    }

    #[test]
    fn a_known_transaction_is_underway_and_an_unknown_one_is_not() {
        let is_underway = |message: &str| Submitted::refused(message).is_underway();
        assert!(Submitted::accepted(B256::ZERO).is_underway());
        for message in ["known transaction: ab", "error: known transaction", "unknown transaction, then known transaction"] {
            assert!(is_underway(message), "{message}");
        }
        for message in ["unknown transaction", "nonce too low", ""] {
            assert!(!is_underway(message), "{message}");
        }
    }

    #[test]
    fn the_example_of_eip_155_signs_to_its_bytes() {
        let key = SecretKey::from_bytes(&[0x46; 32]).unwrap();
        assert_eq!(hex::encode(example().signing_hash()), "daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53");
        let signed = example().sign(&key);
        assert_eq!(hex::encode(signed.encode()), RAW);
        assert_eq!(signed.v(), U256::from(37));
        assert_eq!(address::to_text(signed.sender()), "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F");
        assert_eq!(Signed::decode(&hex::decode(RAW).unwrap()), Ok(signed));
    }

    #[test]
    fn without_a_chain_v_is_27_or_28() {
        let key = SecretKey::from_bytes(&[0x46; 32]).unwrap();
        let signed = Unsigned { chain_id: None, ..example() }.sign(&key);
        assert!([27, 28].map(U256::from).contains(&signed.v()));
        assert_eq!(Signed::decode(&signed.encode()), Ok(signed));
    }

    #[test]
    fn bytes_that_are_no_legacy_transaction_are_refused() {
        let raw = hex::decode(RAW).unwrap();
        let refused = |bytes: &[u8]| Signed::decode(bytes).unwrap_err().to_string();
        let replaced = |from: &str, to: &str| refused(&hex::decode(RAW.replacen(from, to, 1)).unwrap());

        assert_eq!(refused(&[&raw[..], &[0, 0]].concat()), "2 bytes follow the transaction");
        assert_eq!(refused(&raw[..raw.len() - 1]), "the transaction is not canonical RLP: input too short");
        assert_eq!(refused(&[]), "the transaction is not canonical RLP: input too short");
        assert_eq!(refused(&[0xc0]), "a signed transaction has 9 fields, not 0");
        assert_eq!(refused(&list(&[&0u8 as &dyn Encodable; 10])), "a signed transaction has 9 fields, not 10");
        assert_eq!(refused(&[0x02]), "not a legacy transaction: it does not start with a list");
        assert_eq!(refused(&list(&[&0u8 as &dyn Encodable; 9])), "the transaction has no recipient: it would create a contract");
        // A nonce of 0 is an empty text, never a zero byte; a gas limit has no leading zeros.
        assert_eq!(replaced("f86c09", "f86c00"), "the transaction is not canonical RLP: leading zero");
        assert_eq!(replaced("825208", "820008"), "the transaction is not canonical RLP: leading zero");
        assert_eq!(replaced("8025a0", "801da0"), "v is 29, neither 27, 28 nor 35 and more");
        assert_eq!(replaced("8025a0", "8001a0"), "v is 1, neither 27, 28 nor 35 and more");
    }

    #[test]
    fn an_s_in_the_upper_half_is_refused() {
        let order = U256::from_str_radix("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16).unwrap();
        let low = Signed::decode(&hex::decode(RAW).unwrap()).unwrap().signature;
        assert_eq!(Signature::new(low.r(), order - low.s(), !low.y_is_odd()), Err(InvalidSignature::HighS));
        assert_eq!(Signature::new(low.r(), order, true), Err(InvalidSignature::OutOfRange));
        assert_eq!(Signature::new(U256::ZERO, low.s(), true), Err(InvalidSignature::OutOfRange));
    }
}
