//! polyswarmd's shapes and nothing else: its JSON, its contract calls, its transactions and its WebSocket messages.
//!
//! Both sides of the wire use the same types: a server writes what a client reads and the other way round. Output is
//! exact, to the key and to the type of each number, because polyswarm-client passes event data on as keyword arguments
//! and compares amounts as Python integers; input is generous (unknown keys are skipped, amounts may be strings or
//! integers), and every reader is total: any bytes come to a value or to an error.
//!
//! Nothing here decides, waits, or does I/O. Amounts are wei, times are blocks unless a field says otherwise. polyswarmd's rules are those of version 2
//! in its "ethereum" mode, as polyswarm-client 2.13 speaks to it. The modules stand in reading order.
//!
//! JSON goes through text: types that hold 256-bit integers or [`json::Json`] are read with `serde_json::from_str` or
//! `from_slice` and written with `to_string` or `to_vec`. `serde_json::Value` would turn integers above 64 bits into floats,
//! and serde's `flatten` and `untagged` buffer values in ways that cannot hold them.
//!
//! A client votes. The server builds the transaction; the client makes sure that it is the vote it asked for, and signs:
//!
//! ```
//! use market::id::{Address, Guid};
//! use wire::{calldata::Call, flags::Flags, signature::SecretKey, transaction::{Signed, Unsigned}, vote::PostVote};
//!
//! let body = r#"{"votes":[true,false],"valid_bloom":true}"#;
//! let vote: PostVote = serde_json::from_str(body)?;
//! let data = vote.call(Guid(7)).encode().into();
//! let (gas, to) = (50_000_000, Address::repeat_byte(0x21));
//! let unsigned = Unsigned { nonce: 0, chain_id: Some(1338), gas, gas_price: Default::default(), value: Default::default(), to, data };
//!
//! let wanted = PostVote { votes: Flags::from_bools(&[true, false])?, valid_bloom: true };
//! assert_eq!(Call::decode(&unsigned.data)?, wanted.call(Guid(7)));
//! let key = SecretKey::from_bytes(&[7; 32])?;
//! let raw = unsigned.sign(&key).encode();
//!
//! assert_eq!(Signed::decode(&raw)?.sender(), key.address());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
pub mod decimal; // integers of up to 256 bits, as strings and as JSON integers
pub mod hexadecimal; // bytes and hashes, with and without 0x
pub mod address; // EIP-55 both ways
pub mod guid; // version-4 UUIDs
pub mod flags; // lists of booleans: masks, verdicts, votes
pub mod json; // JSON of any shape, kept as text
pub mod ipfs; // the address of a file's content
pub mod artifact; // artifact types, listings and URIs
pub mod metadata; // what bounties and assertions say about artifacts
pub mod parameters; // fees, windows and stakes
pub mod account; // balances, nonces, amounts to move
pub mod bloom; // the filter of a bounty
pub mod bounty; // posting and reading a bounty
pub mod assertion; // posting, revealing and reading assertions
pub mod vote; // voting and reading votes
mod abi; // the contract ABI's words, texts and lists
pub mod function; // the contracts' functions: signatures and selectors
pub mod calldata; // the contract calls
pub mod action; // from a request to the call it asks for
pub mod signature; // secp256k1: sign and recover
pub mod transaction; // legacy transactions, as JSON and as RLP
pub mod receipt; // what mined transactions logged
pub mod message; // WebSocket events
pub mod envelope; // status, result, errors
pub mod webhook; // engines that are called, instead of calling
