//! Signed transactions byte for byte as eth-account 0.4.0 makes them: the library that polyswarm-client signs with.

use alloy_primitives::{U256, hex};
use market::id::Guid;
use wire::{
    address,
    calldata::Call,
    signature::SecretKey,
    transaction::{Signed, Unsigned},
};

fn settle(chain_id: Option<u64>) -> Unsigned {
    Unsigned {
        nonce: 0,
        chain_id,
        gas: 50_000_000,
        gas_price: U256::ZERO,
        value: U256::ZERO,
        to: address::parse("0x2A2cEDE7598F91240068714fD83E449b19853Cb9").unwrap(),
        data: Call::SettleBounty { guid: Guid(0x0aa55ccc_0e1c_4296_bc3d_5f88e8688e56) }.encode().into(),
    }
}

/// Signed by the key of 32 times 0x42, the transaction has this RLP and this hash.
fn check(unsigned: Unsigned, v: u64, raw: &str, hash: &str) {
    let key = SecretKey::from_bytes(&[0x42; 32]).unwrap();
    assert_eq!(address::to_text(key.address()), "0x17c5185167401eD00cF5F5b2fc97D9BBfDb7D025");
    let signed = unsigned.sign(&key);
    assert_eq!(hex::encode(signed.encode()), raw);
    assert_eq!(signed.v(), U256::from(v));
    assert_eq!(hex::encode(signed.hash()), hash);
    assert_eq!(Signed::decode(&hex::decode(raw).unwrap()), Ok(signed));
}

#[test]
fn on_the_side_chain() {
    check(
        settle(Some(1338)),
        2712,
        "f88780808402faf080942a2cede7598f91240068714fd83e449b19853cb980a45592d687000000000000000000000000000000000aa55ccc\
         0e1c4296bc3d5f88e8688e56820a98a099a207c5caf49f973e1207852ae951c0661bd52249c4de01bbfc762f6f5781f3a00deb9245d206fd\
         1c7cfeebd54fb43592c298fa7db82812895feb37454a86197c",
        "aa29ac8711c2fda245ab4acc774003ca812e3d210a395438b6488fc78cb367d4",
    );
}

#[test]
fn without_a_chain() {
    check(
        settle(None),
        28,
        "f88580808402faf080942a2cede7598f91240068714fd83e449b19853cb980a45592d687000000000000000000000000000000000aa55ccc\
         0e1c4296bc3d5f88e8688e561ca0cdbc83c831daaa648322f4e96e6d38f3d1c0b3b5212a19293e36d8dc1a38596fa0356f41a00eedebca3c\
         1609d5c70807655e9bda22898fcd619f3b95301557e317",
        "150b44c0d610c64db355db65c497636bf7e2861531a342284c95953c153cd478",
    );
}
