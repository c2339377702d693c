//! Readers are total, and what was written is read back: random bytes, damaged messages, random calls and transactions.

use std::{fs, path::Path};

use alloy_primitives::{Address, B256, U256};
use market::{bloom::Bloom, id::Guid, nct::Nct, verdict::ArtifactSet};
use proptest::{array, collection::vec, prelude::*};
use serde::{Serialize, de::DeserializeOwned};
use wire::{
    account::{Amount, Balance, Nonce, Pending},
    address,
    artifact::{Artifact, UriKind},
    assertion::{Assertion, PostAssertion, RevealAssertion},
    bloom::BountyBloom,
    bounty::{Bounty, Guids, PostBounty},
    calldata::{self, Call},
    decimal,
    envelope::Envelope,
    flags::Flags,
    function, guid, hexadecimal, ipfs,
    json::Json,
    message::Message,
    parameters::{BountyParameters, StakingParameters},
    receipt::{Problem, Receipt},
    signature::SecretKey,
    transaction::{Inquiry, Signed, Submission, Submitted, ToSign, Unsigned},
    vote::{PostVote, Vote},
    webhook,
};

/// Reads the bytes as `T`; what comes out is written and read back alike.
fn read<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<T>(bytes) {
        let written = serde_json::to_vec(&value).unwrap();
        assert_eq!(serde_json::from_slice::<T>(&written).unwrap(), value);
    }
}

/// Reads the bytes as everything that crosses the wire.
fn read_all(bytes: &[u8]) {
    read::<Message>(bytes);
    read::<Envelope<BountyParameters>>(bytes);
    read::<Envelope<StakingParameters>>(bytes);
    read::<Envelope<Balance>>(bytes);
    read::<Envelope<Nonce>>(bytes);
    read::<Envelope<Pending>>(bytes);
    read::<Envelope<Vec<Artifact>>>(bytes);
    read::<Envelope<Bounty>>(bytes);
    read::<Envelope<Guids>>(bytes);
    read::<Envelope<BountyBloom>>(bytes);
    read::<Envelope<Vec<Assertion>>>(bytes);
    read::<Envelope<Vec<Vote>>>(bytes);
    read::<Envelope<ToSign>>(bytes);
    read::<Envelope<Vec<Submitted>>>(bytes);
    read::<Envelope<Receipt>>(bytes);
    read::<Envelope<Json>>(bytes);
    read::<PostBounty>(bytes);
    read::<PostAssertion>(bytes);
    read::<RevealAssertion>(bytes);
    read::<PostVote>(bytes);
    read::<Amount>(bytes);
    read::<Submission>(bytes);
    read::<Inquiry>(bytes);
    read::<webhook::Request>(bytes);
    read::<webhook::Answer>(bytes);
    read_call(bytes);
    read_transaction(bytes);
    ipfs::cid(bytes);
}

/// A call is what its bytes say, no more and no less.
fn read_call(bytes: &[u8]) {
    if let Ok(call) = Call::decode(bytes) {
        let encoded = call.encode();
        assert!(bytes == encoded || bytes.len() > encoded.len());
        assert_eq!(Call::decode(&encoded), Ok(call));
    }
}

fn read_transaction(bytes: &[u8]) {
    if let Ok(signed) = Signed::decode(bytes) {
        assert_eq!(signed.encode(), bytes);
    }
}

fn read_text(text: &str) {
    let _ = address::parse(text).map(|address| assert_eq!(address::parse(&address::to_text(address)), Ok(address)));
    let _ = guid::parse(text).map(|guid| assert_eq!(guid::parse(&guid.to_string()), Ok(guid)));
    let _ = decimal::parse::<U256>(text);
    let _ = hexadecimal::parse_hash(text);
    let _ = (UriKind::of(text), Problem::of(text));
}

/// Every JSON text of the golden files.
fn golden() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (lines, files): (Vec<_>, Vec<_>) = files.into_iter().partition(|path| path.extension().is_some_and(|ext| ext == "jsonl"));
    let mut texts: Vec<String> = files.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    lines.iter().for_each(|path| texts.extend(fs::read_to_string(path).unwrap().lines().map(str::to_owned)));
    texts
}

/// A change of some bytes.
#[derive(Clone, Debug)]
enum Damage {
    Replace(usize, u8),
    Insert(usize, u8),
    Remove(usize),
    Truncate(usize),
    /// A word of ones in place of a word: absurd offsets and lengths.
    Fill(usize),
    /// Another value in place of a number, in JSON.
    Number(usize, &'static str),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<usize>();
    let value = prop::sample::select(vec!["null", "-1", "1e400", "\"\"", "[]", "{}", "true", "99999999999999999999999999999999"]);
    prop_oneof![
        (at, any::<u8>()).prop_map(|(at, byte)| Damage::Replace(at, byte)),
        (at, any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        at.prop_map(Damage::Remove),
        at.prop_map(Damage::Truncate),
        at.prop_map(Damage::Fill),
        (at, value).prop_map(|(at, value)| Damage::Number(at, value)),
    ]
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        let length = bytes.len();
        if length == 0 {
            break;
        }
        match *damage {
            Damage::Replace(at, byte) => bytes[at % length] = byte,
            Damage::Insert(at, byte) => bytes.insert(at % length, byte),
            Damage::Remove(at) => drop(bytes.remove(at % length)),
            Damage::Truncate(at) => bytes.truncate(at % length),
            Damage::Fill(at) => {
                let word = at % length / 32 * 32;
                bytes.iter_mut().skip(word + 4).take(32).for_each(|byte| *byte = 0xff);
            }
            Damage::Number(at, value) => {
                let Some(start) = (at % length..length).find(|&at| bytes[at].is_ascii_digit()) else { continue };
                let end = (start..length).find(|&at| !bytes[at].is_ascii_digit()).unwrap_or(length);
                bytes.splice(start..end, value.bytes());
            }
        }
    }
    bytes
}

fn word() -> impl Strategy<Value = U256> {
    prop_oneof![
        array::uniform4(any::<u64>()).prop_map(U256::from_limbs),
        any::<u64>().prop_map(U256::from),
        Just(U256::ZERO),
        Just(U256::MAX)
    ]
}

fn wei() -> impl Strategy<Value = Nct> {
    word().prop_map(Nct::from_uint)
}

fn account() -> impl Strategy<Value = Address> {
    any::<[u8; 20]>().prop_map(Address::from)
}

fn artifact_set() -> impl Strategy<Value = ArtifactSet> {
    word().prop_map(ArtifactSet::from_uint)
}

fn call() -> impl Strategy<Value = Call> {
    let guid = || any::<u128>().prop_map(Guid);
    let post_bounty = ((guid(), word(), wei(), ".{0,70}", word(), word()), (prop::collection::vec(word(), 8), ".{0,70}")).prop_map(
        |((guid, artifact_type, amount, uri, artifacts, duration), (bloom, metadata))| {
            let bloom = Bloom(bloom.try_into().unwrap());
            Call::PostBounty(Box::new(calldata::PostBounty { guid, artifact_type, amount, uri, artifacts, duration, bloom, metadata }))
        },
    );
    let post_assertion = (guid(), vec(wei(), 0..20), artifact_set(), any::<[u8; 32]>()).prop_map(|(guid, bids, mask, commitment)| {
        Call::PostAssertion(calldata::PostAssertion { guid, bids, mask, commitment: B256::from(commitment) })
    });
    let reveal = (guid(), word(), word(), artifact_set(), ".{0,70}").prop_map(|(guid, index, nonce, verdicts, metadata)| {
        Call::RevealAssertion(calldata::RevealAssertion { guid, index, nonce, verdicts, metadata })
    });
    prop_oneof![
        (account(), wei()).prop_map(|(spender, amount)| Call::Approve { spender, amount }),
        (account(), wei()).prop_map(|(to, amount)| Call::Transfer { to, amount }),
        post_bounty,
        post_assertion,
        reveal,
        (guid(), artifact_set(), any::<bool>()).prop_map(|(guid, votes, valid_bloom)| Call::VoteOnBounty { guid, votes, valid_bloom }),
        guid().prop_map(|guid| Call::SettleBounty { guid }),
        wei().prop_map(|amount| Call::Deposit { amount }),
        wei().prop_map(|amount| Call::Withdraw { amount }),
    ]
}

fn unsigned() -> impl Strategy<Value = Unsigned> {
    let edge = || prop_oneof![any::<u64>(), 0u64..300, Just(u64::MAX)];
    (edge(), prop::option::of(edge()), edge(), word(), word(), account(), vec(any::<u8>(), 0..300)).prop_map(
        |(nonce, chain_id, gas, gas_price, value, to, data)| Unsigned { nonce, chain_id, gas, gas_price, value, to, data: data.into() },
    )
}

fn key() -> impl Strategy<Value = SecretKey> {
    any::<[u8; 32]>().prop_filter_map("a key", |bytes| SecretKey::from_bytes(&bytes).ok())
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_a_value_or_an_error(bytes in vec(any::<u8>(), 0..600)) {
        read_all(&bytes);
        read_text(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_text_is_read_to_a_value_or_an_error(text in "\\PC{0,80}|[0-9a-fx+-]{30,70}|[0-9]{70,90}") {
        read_text(&text);
    }

    #[test]
    fn any_arguments_of_a_known_function_are_read_to_a_call_or_an_error(
        function in prop::sample::select(function::FUNCTIONS.to_vec()),
        words in vec(prop_oneof![(0u64..700).prop_map(U256::from), word()], 0..24),
    ) {
        let arguments = words.iter().flat_map(|word| word.to_be_bytes::<32>());
        read_call(&function.selector.into_iter().chain(arguments).collect::<Vec<u8>>());
    }

    #[test]
    fn damaged_messages_are_read_to_a_value_or_an_error(
        message in prop::sample::select(golden()),
        damages in vec(damage(), 1..4),
    ) {
        read_all(&damaged(message.into_bytes(), &damages));
    }

    #[test]
    fn damaged_calls_are_read_to_a_call_or_an_error(call in call(), damages in vec(damage(), 1..4)) {
        read_call(&damaged(call.encode(), &damages));
    }

    #[test]
    fn damaged_transactions_are_never_the_senders(unsigned in unsigned(), key in key(), damages in vec(damage(), 1..4)) {
        let raw = unsigned.sign(&key).encode();
        let damaged = damaged(raw.clone(), &damages);
        read_transaction(&damaged);
        if let Ok(signed) = Signed::decode(&damaged) {
            prop_assert!(damaged == raw || signed.sender() != key.address());
        }
    }

    #[test]
    fn calls_come_back_from_their_calldata(call in call()) {
        prop_assert_eq!(Call::decode(&call.encode()), Ok(call));
    }

    #[test]
    fn the_sender_of_a_signed_transaction_is_its_key_s_account(unsigned in unsigned(), key in key()) {
        let signed = unsigned.clone().sign(&key);
        let read = Signed::decode(&signed.encode()).unwrap();
        prop_assert_eq!(read.sender(), key.address());
        prop_assert_eq!(read.transaction(), &unsigned);
        prop_assert_eq!(read.hash(), signed.hash());
        prop_assert_eq!(read, signed);
    }

    #[test]
    fn unsigned_transactions_come_back_from_json(unsigned in unsigned()) {
        let json = serde_json::to_string(&unsigned).unwrap();
        prop_assert_eq!(serde_json::from_str::<Unsigned>(&json).unwrap(), unsigned);
    }

    #[test]
    fn numbers_of_256_bits_come_back_from_json(bid in vec(wei(), 0..5), mask in vec(any::<bool>(), 0..256), commitment in word()) {
        let post = PostAssertion { bid, mask: Flags::from_bools(&mask).unwrap(), commitment };
        let json = serde_json::to_string(&post).unwrap();
        prop_assert_eq!(serde_json::from_str::<PostAssertion>(&json).unwrap(), post);
    }

    #[test]
    fn random_guids_are_version_4(bits in any::<u128>()) {
        let guid = market::id::Guid::random(bits);
        prop_assert!(guid::is_v4(guid));
        prop_assert_eq!(&guid.to_string()[14..15], "4");
        prop_assert!(["8", "9", "a", "b"].contains(&&guid.to_string()[19..20]));
        prop_assert_eq!(guid::parse(&guid.to_string()), Ok(guid));
    }
}
