//! Calldata of every call, as eth-abi 2.2.0 encodes it: the library behind polyswarmd and polyswarm-client.

use alloy_primitives::{B256, U256, hex};
use market::{bloom::Bloom, id::Guid, nct::Nct, verdict::ArtifactSet};
use wire::{
    address,
    calldata::{Call, MalformedCall, PostAssertion, PostBounty, RevealAssertion},
    decimal,
};

const GUID: Guid = Guid(0x0aa55ccc_0e1c_4296_bc3d_5f88e8688e56);
const URI: &str = "QmQzGD5ChNpKp55XAzrQD3q8nQDbJUYjNWkWdyKcBRmZJK";

fn bytes(lines: &str) -> Vec<u8> {
    hex::decode(lines.split_whitespace().collect::<String>()).unwrap()
}

fn number(text: &str) -> U256 {
    decimal::parse(text).unwrap()
}

/// The call has exactly this calldata, both ways.
fn check(call: Call, calldata: &str) {
    let calldata = bytes(calldata);
    assert_eq!(hex::encode(call.encode()), hex::encode(&calldata), "{call:?}");
    assert_eq!(Call::decode(&calldata), Ok(call));
}

fn post_bounty() -> PostBounty {
    PostBounty {
        guid: GUID,
        artifact_type: U256::ZERO,
        amount: Nct::wei(62_500_000_000_000_000),
        uri: URI.to_owned(),
        artifacts: U256::from(1),
        duration: U256::from(5),
        bloom: Bloom([1, 2, 3, 4, 5, 6, 7, 8].map(U256::from)),
        metadata: String::new(),
    }
}

const POST_BOUNTY: &str = "b2e366a8
    000000000000000000000000000000000aa55ccc0e1c4296bc3d5f88e8688e56
    0000000000000000000000000000000000000000000000000000000000000000
    00000000000000000000000000000000000000000000000000de0b6b3a764000
    00000000000000000000000000000000000000000000000000000000000001e0
    0000000000000000000000000000000000000000000000000000000000000001
    0000000000000000000000000000000000000000000000000000000000000005
    0000000000000000000000000000000000000000000000000000000000000001
    0000000000000000000000000000000000000000000000000000000000000002
    0000000000000000000000000000000000000000000000000000000000000003
    0000000000000000000000000000000000000000000000000000000000000004
    0000000000000000000000000000000000000000000000000000000000000005
    0000000000000000000000000000000000000000000000000000000000000006
    0000000000000000000000000000000000000000000000000000000000000007
    0000000000000000000000000000000000000000000000000000000000000008
    0000000000000000000000000000000000000000000000000000000000000240
    000000000000000000000000000000000000000000000000000000000000002e
    516d517a47443543684e704b70353558417a7251443371386e5144624a55596a
    4e576b5764794b6342526d5a4a4b000000000000000000000000000000000000
    0000000000000000000000000000000000000000000000000000000000000000";

/// What eth-abi adds to an empty text.
const PADDING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

#[test]
fn every_call_has_the_calldata_that_eth_abi_gives_it() {
    let registry = address::parse("0x21262bF29FF08691C8A72bc6f22F791996E1891F").unwrap();
    check(
        Call::Approve { spender: registry, amount: Nct::wei(1_031_250_000_000_000_000) },
        "095ea7b3
        00000000000000000000000021262bf29ff08691c8a72bc6f22f791996e1891f
        0000000000000000000000000000000000000000000000000e4fbc69449f2000",
    );
    check(
        Call::Transfer { to: registry, amount: Nct::whole(2) },
        "a9059cbb
        00000000000000000000000021262bf29ff08691c8a72bc6f22f791996e1891f
        0000000000000000000000000000000000000000000000001bc16d674ec80000",
    );
    check(Call::PostBounty(Box::new(post_bounty())), POST_BOUNTY);
    check(
        Call::PostAssertion(PostAssertion {
            guid: GUID,
            bids: vec![Nct::whole(1), Nct::wei(62_500_000_000_000_000)],
            mask: ArtifactSet::from_uint(U256::from(5)),
            commitment: B256::from(number("37062802117400000000000000000000000000000000000000000000000000000000000000001")),
        }),
        "ea11731e
        000000000000000000000000000000000aa55ccc0e1c4296bc3d5f88e8688e56
        0000000000000000000000000000000000000000000000000000000000000080
        0000000000000000000000000000000000000000000000000000000000000005
        51f0cd77c1761f387df6981cdad0be739a01cdd34bca591c0000000000000001
        0000000000000000000000000000000000000000000000000000000000000002
        0000000000000000000000000000000000000000000000000de0b6b3a7640000
        00000000000000000000000000000000000000000000000000de0b6b3a764000",
    );
    check(
        Call::RevealAssertion(RevealAssertion {
            guid: GUID,
            index: U256::from(3),
            nonce: number("65205008470000000000000000000000000000000000000000000000000000000000000000007"),
            verdicts: ArtifactSet::from_uint(U256::from(1)),
            metadata: "QmRRX2mTJkM7uVHHmkRWGh1vwRzAcDkfGvwh3aLbbXmMmn".to_owned(),
        }),
        "f8f32de6
        000000000000000000000000000000000aa55ccc0e1c4296bc3d5f88e8688e56
        0000000000000000000000000000000000000000000000000000000000000003
        9028ba18b9b9fad98dcbf326a511a86477aa99557a4469980000000000000007
        0000000000000000000000000000000000000000000000000000000000000001
        00000000000000000000000000000000000000000000000000000000000000a0
        000000000000000000000000000000000000000000000000000000000000002e
        516d525258326d544a6b4d37755648486d6b52574768317677527a4163446b66
        4776776833614c6262586d4d6d6e000000000000000000000000000000000000",
    );
    check(
        Call::VoteOnBounty { guid: GUID, votes: ArtifactSet::from_uint(U256::from(6)), valid_bloom: true },
        "27028aae
        000000000000000000000000000000000aa55ccc0e1c4296bc3d5f88e8688e56
        0000000000000000000000000000000000000000000000000000000000000006
        0000000000000000000000000000000000000000000000000000000000000001",
    );
    check(Call::SettleBounty { guid: GUID }, "5592d687 000000000000000000000000000000000aa55ccc0e1c4296bc3d5f88e8688e56");
    let amount = Nct::whole(10_000_000);
    check(Call::Deposit { amount }, "b6b55f25 000000000000000000000000000000000000000000084595161401484a000000");
    check(Call::Withdraw { amount }, "2e1a7d4d 000000000000000000000000000000000000000000084595161401484a000000");
}

#[test]
fn the_word_that_eth_abi_adds_to_an_empty_text_is_read() {
    let padded = bytes(&format!("{POST_BOUNTY}{PADDING}"));
    assert_eq!(Call::decode(&padded), Ok(Call::PostBounty(Box::new(post_bounty()))));
}

#[test]
fn any_other_layout_is_refused() {
    let calldata = bytes(POST_BOUNTY);
    let refused = |calldata: &[u8]| Call::decode(calldata).unwrap_err();
    let changed = |at: usize, byte: u8| {
        let mut calldata = calldata.clone();
        calldata[at] = byte;
        refused(&calldata)
    };
    // The last byte of the head at `slot`.
    let low = |slot: usize| 4 + slot * 32 + 31;

    assert_eq!(refused(&[]), MalformedCall::NoSelector { length: 0 });
    assert_eq!(refused(&calldata[..3]), MalformedCall::NoSelector { length: 3 });
    assert_eq!(refused(&calldata[..4]), MalformedCall::TooShort);
    assert_eq!(refused(&calldata[..calldata.len() - 1]), MalformedCall::TooShort);
    assert_eq!(refused(&[&calldata[..], &[0]].concat()), MalformedCall::NotCanonical);
    assert_eq!(refused(&bytes(&format!("{POST_BOUNTY}{PADDING}{PADDING}"))), MalformedCall::NotCanonical);
    assert_eq!(changed(0, 0xb3), MalformedCall::UnknownSelector { selector: [0xb3, 0xe3, 0x66, 0xa8] });
    let value = U256::from(GUID.0) | U256::from(1) << 128;
    assert_eq!(changed(low(0) - 16, 1), MalformedCall::TooLarge { solidity: "uint128", value });
    assert_eq!(changed(low(0) - 16, 1).to_string(), "0x10aa55ccc0e1c4296bc3d5f88e8688e56 is too large for uint128");
    // An offset that points far beyond the end, one into the heads, and one at the wrong text.
    assert_eq!(changed(low(3) - 31, 0xff), MalformedCall::TooShort);
    assert_eq!(changed(low(3), 0x20), MalformedCall::NotCanonical);
    assert_eq!(changed(low(14), 0xe0), MalformedCall::TooShort);
    // A length beyond the end, padding that is not zero, and text that is none.
    assert_eq!(changed(low(15) - 31, 0xff), MalformedCall::TooShort);
    assert_eq!(changed(low(17), 1), MalformedCall::NotCanonical);
    assert_eq!(changed(low(16), 0xff), MalformedCall::NotUtf8);

    let mut vote = Call::VoteOnBounty { guid: GUID, votes: ArtifactSet::EMPTY, valid_bloom: true }.encode();
    *vote.last_mut().unwrap() = 2;
    assert_eq!(refused(&vote), MalformedCall::TooLarge { solidity: "bool", value: U256::from(2) });
}
