//! JSON transcribed by hand from what real clients exchanged with a server: each file is read, compared with the value it
//! stands for, and written again to the same text, digit by digit and key by key.

use std::{fmt::Debug, fs, path::Path};

use alloy_primitives::{B256, U256, hex};
use market::{
    block::BlockNumber,
    bloom::Bloom,
    id::{Address, Guid},
    nct::Nct,
    verdict::ArtifactSet,
};
use serde::{Serialize, de::DeserializeOwned};
use wire::{
    account::{Amount, Balance, Nonce, Pending},
    address,
    artifact::{Artifact, ArtifactType},
    assertion::{Assertion, PostAssertion, RevealAssertion},
    bloom::BountyBloom,
    bounty::{Bounty, Guids, PostBounty},
    calldata::Call,
    decimal,
    envelope::{Envelope, Failure},
    flags::{Flags, Verdicts},
    json::Json,
    message::{self, Event, Message},
    metadata::{Environment, FileMetadata, Scanner, UrlMetadata, VerdictMetadata},
    parameters::{BountyParameters, StakingParameters},
    receipt::{self, Receipt},
    transaction::{Inquiry, Signed, Submission, Submitted, ToSign, Unsigned},
    vote::{PostVote, Vote},
    webhook::{Answer, Phase, Request, Rules, Verdict},
};

const TXHASH: &str = "13e3b5650c9fa9e1d0b1f3a6a5b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2c3dd";
const COMMITMENT: &str = "37062802117400000000000000000000000000000000000000000000000000000000000000001";
const NONCE: &str = "65205008470000000000000000000000000000000000000000000000000000000000000000007";
const ARTIFACTS: &str = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";
const METADATA: &str = "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD";
const GUID: Guid = Guid(0x0aa55ccc_0e1c_4296_bc3d_5f88e8688e56);
const OTHER_GUID: Guid = Guid(0xb30cd3f4_6f9b_4d1e_8a55_0c9ad4b7e201);
const MINIMUM_BID: Nct = Nct::wei(62_500_000_000_000_000);

fn expert() -> Address {
    address::parse("0x05328f171b8c1463eaFDACCA478D9EE6a1d923F8").unwrap()
}

fn other_expert() -> Address {
    address::parse("0x1215242C8F0EfF0A4Ac06ea3d73Caa78279fB9BB").unwrap()
}

fn ambassador() -> Address {
    address::parse("0x4B1867c484871926109E3C47668d5C0938CA3527").unwrap()
}

fn arbiter() -> Address {
    address::parse("0xF870491ea0F53F67846Eecb57855284D8270284D").unwrap()
}

fn registry() -> Address {
    address::parse("0x21262bF29FF08691C8A72bc6f22F791996E1891F").unwrap()
}

fn number(text: &str) -> U256 {
    decimal::parse(text).unwrap()
}

fn txhash() -> B256 {
    B256::from_slice(&hex::decode(TXHASH).unwrap())
}

fn flags(list: &[bool]) -> Flags {
    Flags::from_bools(list).unwrap()
}

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)).unwrap()
}

/// The same JSON without white space. Numbers keep their digits, objects the order of their keys.
fn minified(json: &str) -> String {
    let (mut in_text, mut escaped) = (false, false);
    let kept = |character: &char| {
        let keep = in_text || !character.is_whitespace();
        in_text ^= *character == '"' && !escaped;
        escaped = in_text && *character == '\\' && !escaped;
        keep
    };
    json.chars().filter(kept).collect()
}

fn check_text<T: Serialize + DeserializeOwned + PartialEq + Debug>(text: &str, value: &T) {
    assert_eq!(&serde_json::from_str::<T>(text).unwrap(), value);
    assert_eq!(serde_json::to_string(value).unwrap(), text);
}

/// The file is the JSON of `value`.
fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, value: T) {
    check_text(&minified(&file(name)), &value);
}

/// The file is the envelope of `result`.
fn check_ok<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, result: T) {
    check(name, Envelope::Ok(result));
}

#[test]
fn parameters_are_json_integers() {
    check_ok(
        "bounty_parameters.json",
        BountyParameters {
            bounty_fee: Nct::wei(62_500_000_000_000_000),
            assertion_fee: Nct::wei(31_250_000_000_000_000),
            bounty_amount_minimum: Nct::wei(62_500_000_000_000_000),
            assertion_bid_minimum: MINIMUM_BID,
            assertion_bid_maximum: Nct::whole(1),
            arbiter_lookback_range: 100,
            max_duration: 100,
            assertion_reveal_window: 25,
            arbiter_vote_window: 100,
        },
    );
    check_ok(
        "staking_parameters.json",
        StakingParameters {
            minimum_stake: Nct::whole(10_000_000),
            maximum_stake: Nct::whole(100_000_000),
            vote_ratio_numerator: 9,
            vote_ratio_denominator: 10,
        },
    );
}

#[test]
fn accounts_have_balances_as_strings_and_nonces_as_integers() {
    check_ok("balance.json", Balance(Nct::whole(50_000_000)));
    check_ok("nonce.json", Nonce(0));
    check_ok("pending.json", Pending(vec![3, 4]));
    check_ok("pending_none.json", Pending(vec![]));
    check("amount.json", Amount { amount: Nct::whole(10_000_000) });
    assert_eq!(serde_json::from_str::<Pending>("[3,\"4\"]").unwrap(), Pending(vec![3, 4]));
    assert_eq!(serde_json::from_str::<Balance>("50000000000000000000000000").unwrap(), Balance(Nct::whole(50_000_000)));
}

#[test]
fn artifacts_are_listed_in_the_order_of_their_index() {
    let artifact = |name: &str, hash: &str| Artifact { name: name.to_owned(), hash: hash.to_owned() };
    check_ok("artifacts.json", vec![artifact("000000", "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o"), artifact("000001", METADATA)]);
    check_ok("uploaded.json", ARTIFACTS.to_owned());
}

#[test]
fn bounties_are_posted_and_read() {
    check(
        "post_bounty.json",
        PostBounty {
            amount: Nct::wei(62_500_000_000_000_000),
            artifact_type: ArtifactType::File,
            uri: ARTIFACTS.to_owned(),
            duration: 5,
            metadata: Some(METADATA.to_owned()),
        },
    );
    check(
        "post_bounty_without_metadata.json",
        PostBounty {
            amount: Nct::whole(2),
            artifact_type: ArtifactType::Url,
            uri: "0123456789abcdef".repeat(4),
            duration: 100,
            metadata: None,
        },
    );
    check_ok(
        "bounty.json",
        Bounty {
            guid: GUID,
            artifact_type: ArtifactType::File,
            author: ambassador(),
            amount: Nct::wei(62_500_000_000_000_000),
            uri: ARTIFACTS.to_owned(),
            num_artifacts: 1,
            expiration: BlockNumber(120),
            assigned_arbiter: Address::ZERO,
            quorum_reached: true,
            quorum_reached_block: BlockNumber(128),
            quorum_mask: flags(&[true]),
            metadata: Json::null(),
        },
    );
    check_ok("guids.json", Guids(vec![GUID, OTHER_GUID]));
    let word = |shift: usize| U256::from(1) << shift;
    let bloom = [U256::ZERO, word(0), U256::from(u64::MAX), word(64), word(128), word(255), U256::ZERO, U256::MAX];
    check_ok("bloom.json", BountyBloom { bloom: Bloom(bloom) });
}

#[test]
fn assertions_are_posted_revealed_and_listed() {
    check("post_assertion.json", PostAssertion { bid: vec![Nct::whole(1)], mask: flags(&[true]), commitment: number(COMMITMENT) });
    let two_of_three = PostAssertion { bid: vec![Nct::whole(1), MINIMUM_BID], mask: flags(&[true, false, true]), commitment: U256::MAX };
    assert_eq!(two_of_three.mask.set(), ArtifactSet::from_uint(U256::from(0b101)));
    check("post_assertion_on_two_of_three.json", two_of_three);
    check("reveal_assertion.json", RevealAssertion { nonce: number(NONCE), verdicts: flags(&[true]), metadata: METADATA.to_owned() });
    let revealed = Assertion {
        author: expert(),
        mask: flags(&[true]),
        commitment: number(COMMITMENT),
        nonce: U256::from(12345),
        verdicts: Verdicts::Revealed(flags(&[true])),
        metadata: String::new(),
        bid: vec![Nct::wei(100_000_000_000_000_000)],
    };
    let unrevealed = Assertion {
        author: other_expert(),
        commitment: U256::from(9_876_543_210u64),
        nonce: U256::ZERO,
        verdicts: Verdicts::Unrevealed { count: 1 },
        bid: vec![MINIMUM_BID],
        ..revealed.clone()
    };
    check_ok("assertions.json", vec![revealed, unrevealed]);
}

#[test]
fn votes_are_cast_and_listed() {
    check("post_vote.json", PostVote { votes: flags(&[true]), valid_bloom: true });
    check_ok("votes.json", vec![Vote { voter: arbiter(), votes: flags(&[true]), valid_bloom: true }]);
}

#[test]
fn transactions_are_built_submitted_and_inquired_after() {
    let approve = Call::Approve { spender: registry(), amount: Nct::wei(1_031_250_000_000_000_000) };
    let unsigned = Unsigned {
        nonce: 0,
        chain_id: Some(1338),
        gas: 50_000_000,
        gas_price: U256::ZERO,
        value: U256::ZERO,
        to: address::parse("0x2A2cEDE7598F91240068714fD83E449b19853Cb9").unwrap(),
        data: approve.encode().into(),
    };
    assert_eq!(Call::decode(&unsigned.data), Ok(approve));
    check_ok("to_sign.json", ToSign { transactions: vec![unsigned] });

    let submission: Submission = serde_json::from_str(&file("submission.json")).unwrap();
    let signed = Signed::decode(&submission.transactions[0]).unwrap();
    assert_eq!((signed.transaction().nonce, signed.transaction().to), (9, Address::repeat_byte(0x35)));
    check("submission.json", Submission { transactions: vec![signed.encode()] });
    check_ok("submitted.json", vec![Submitted::accepted(txhash())]);
    let reason = format!(
        "Invalid transaction sender for tx 0x{TXHASH}: expected {} got {}",
        address::to_text(expert()),
        address::to_text(ambassador())
    );
    check("submitted_refused.json", Envelope::<Vec<Submitted>>::Fail(Failure::Submissions(vec![Submitted::refused(reason)])));
    check("inquiry.json", Inquiry { transactions: vec![txhash()] });
}

#[test]
fn receipts_list_what_was_logged() {
    let transfer = |from, wei| receipt::Transfer { to: registry(), from, value: Nct::wei(wei) };
    check_ok(
        "receipt_bounty.json",
        Receipt {
            transfers: vec![transfer(ambassador(), 125_000_000_000_000_000)],
            bounties: vec![receipt::NewBounty {
                guid: GUID,
                artifact_type: ArtifactType::File,
                author: ambassador(),
                amount: Nct::wei(62_500_000_000_000_000),
                uri: ARTIFACTS.to_owned(),
                expiration: BlockNumber(120),
                metadata: METADATA.to_owned(),
            }],
            ..Receipt::default()
        },
    );
    check_ok(
        "receipt_assertion.json",
        Receipt { transfers: vec![transfer(expert(), 1_031_250_000_000_000_000)], assertions: vec![new_assertion()], ..Receipt::default() },
    );
    check_ok(
        "receipt_reveal.json",
        Receipt {
            reveals: vec![receipt::RevealedAssertion {
                bounty_guid: GUID,
                author: expert(),
                index: 0,
                nonce: number(NONCE),
                verdicts: flags(&[true]),
                metadata: METADATA.to_owned(),
            }],
            ..Receipt::default()
        },
    );
    check_ok("receipt_vote.json", Receipt { votes: vec![new_vote()], ..Receipt::default() });
    check_ok(
        "receipt_stakes.json",
        Receipt {
            deposits: vec![receipt::NewDeposit { value: Nct::whole(10_000_000), from: arbiter() }],
            withdrawals: vec![receipt::NewWithdrawal { to: arbiter(), value: Nct::whole(10_000_000) }],
            ..Receipt::default()
        },
    );
}

#[test]
fn failures_have_the_shape_of_their_place() {
    let reason = "Bounty has already been settled for sender".to_owned();
    let problem = receipt::Problem::Failed { block: BlockNumber(138), reason };
    check("receipt_failed.json", Envelope::<Receipt>::Fail(Failure::receipt(vec![problem.text(txhash())])));
    check("failure.json", Envelope::<Bounty>::Fail(Failure::text("Bounty not found")));

    let read = |text: &str| serde_json::from_str::<Envelope<Nonce>>(text).unwrap().into_result().unwrap_err();
    assert_eq!(read(r#"{"status":"FAIL"}"#).to_string(), "no reason given");
    assert_eq!(read(r#"{"status":"FAIL","errors":["a","b"]}"#).to_string(), r#"["a","b"]"#);
    assert_eq!(read(r#"{"status":"FAIL","errors":{"message":"a"}}"#).to_string(), r#"{"message":"a"}"#);
    assert!(serde_json::from_str::<Envelope<Nonce>>(r#"{"result":1}"#).is_err());
}

#[test]
fn metadata_has_the_shapes_that_the_client_validates() {
    check(
        "bounty_metadata_file.json",
        vec![FileMetadata {
            mimetype: "text/plain".to_owned(),
            filename: Some("eicar".to_owned()),
            filesize: Some(68),
            sha256: Some("275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f".to_owned()),
            sha1: Some("3395856ce81f2b7382dee72602f798b642f14140".to_owned()),
            md5: Some("44d88612fea8a8f36de82e1278abb02f".to_owned()),
        }],
    );
    check("bounty_metadata_url.json", vec![UrlMetadata { protocol: "https".to_owned(), uri: Some("https://example.org/".to_owned()) }]);
    check("assertion_metadata.json", eicar());
}

#[test]
fn messages_have_exactly_their_keys() {
    let plain = Message::plain;
    let logged = |event, block| Message::logged(event, BlockNumber(block), txhash());
    let settled = |wei| message::SettledBounty { bounty_guid: GUID, settler: expert(), payout: Nct::wei(wei) };
    let messages = [
        plain(Event::Connected(message::Connected { start_time: "1795343167.1449184".to_owned() })),
        plain(Event::Block(message::Block { number: BlockNumber(111) })),
        logged(
            Event::Bounty(message::NewBounty {
                guid: GUID,
                artifact_type: ArtifactType::File,
                author: ambassador(),
                amount: Nct::wei(62_500_000_000_000_000),
                uri: ARTIFACTS.to_owned(),
                expiration: BlockNumber(120),
                metadata: Json::from_text(r#"[{"mimetype":"text/plain","filesize":68}]"#).unwrap(),
            }),
            110,
        ),
        logged(Event::Assertion(new_assertion()), 111),
        logged(
            Event::Reveal(message::RevealedAssertion {
                bounty_guid: GUID,
                author: expert(),
                index: 0,
                nonce: number(NONCE),
                verdicts: flags(&[true]),
                metadata: Json::of(&eicar()).unwrap(),
            }),
            121,
        ),
        logged(Event::Vote(new_vote()), 127),
        logged(Event::Quorum(message::QuorumReached { bounty_guid: GUID }), 128),
        logged(Event::SettledBounty(settled(1_062_500_000_000_000_000)), 129),
        logged(Event::SettledBounty(settled(18_446_744_073_709_551_617)), 129),
        logged(
            Event::FeeUpdate(message::FeesUpdated {
                bounty_fee: Nct::wei(62_500_000_000_000_000),
                assertion_fee: Nct::wei(31_250_000_000_000_000),
            }),
            130,
        ),
        logged(Event::WindowUpdate(message::WindowsUpdated { assertion_reveal_window: 25, arbiter_vote_window: 100 }), 130),
        logged(Event::Deprecated(message::Deprecated { rollover: false }), 131),
        logged(Event::Undeprecated(message::Undeprecated {}), 132),
        logged(
            Event::InitializedChannel(message::InitializedChannel {
                guid: OTHER_GUID,
                ambassador: ambassador(),
                expert: expert(),
                multi_signature: other_expert(),
            }),
            133,
        ),
    ];
    let lines = file("messages.jsonl");
    assert_eq!(lines.lines().count(), messages.len());
    lines.lines().zip(&messages).for_each(|(line, message)| check_text(line, message));
}

#[test]
fn readers_skip_keys_they_do_not_know_and_events_too() {
    let vote = r#"{"votes":[true],"valid_bloom":true,"verdict":"malicious"}"#;
    assert_eq!(serde_json::from_str::<PostVote>(vote).unwrap(), PostVote { votes: flags(&[true]), valid_bloom: true });
    let quorum = format!(r#"{{"data":{{"bounty_guid":"{GUID}","extra":1}},"event":"quorum","extra":{{}},"txhash":"0x{TXHASH}"}}"#);
    let message: Message = serde_json::from_str(&quorum).unwrap();
    assert_eq!(message.event, Event::Quorum(message::QuorumReached { bounty_guid: GUID }));
    assert_eq!((message.block_number, message.txhash), (None, Some(txhash())));
    let unknown = r#"{"event":"weather","data":{"celsius":31}}"#;
    let data = Json::from_text(r#"{"celsius":31}"#).unwrap();
    check_text(unknown, &Message::plain(Event::Other { name: "weather".to_owned(), data }));
}

#[test]
fn webhook_engines_are_asked_and_answer() {
    check(
        "webhook_request.json",
        Request {
            id: 1,
            artifact_type: ArtifactType::File,
            artifact_uri: "http://127.0.0.1:40117/artifact/eicar".to_owned(),
            expiration: "2026-11-22T10:50:57.502759+00:00".to_owned(),
            phase: Phase::Assertion,
            response_url: "http://127.0.0.1:40117/v1/bounty/1/assertions/?nonce=n1".to_owned(),
            rules: Rules { min_allowed_bid: MINIMUM_BID, max_allowed_bid: Nct::whole(1) },
            duration: Some(30),
            sha256: Some("275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f".to_owned()),
            mimetype: Some("text/plain".to_owned()),
            metadata: Json::from_text(r#"{"mimetype":"text/plain"}"#).unwrap(),
        },
    );
    let answer = Answer {
        verdict: Verdict::Malicious,
        confidence: Some(1.0),
        bid: Nct::whole(1),
        metadata: Json::from_text(r#"{"product":"eicar-compat","malware_family":"EICAR-Test-File"}"#).unwrap(),
    };
    check("webhook_answer.json", answer.clone());
    let metadata = r#"{"malware_family":"EICAR-Test-File","domains":[],"ip_addresses":[],"stix":[],"scanner":null,"heuristic":null}"#;
    check("webhook_answer_without_confidence.json", Answer { confidence: None, metadata: Json::from_text(metadata).unwrap(), ..answer });
    let no_opinion: Answer = serde_json::from_str(r#"{"verdict":"unknown"}"#).unwrap();
    assert_eq!((no_opinion.verdict.asserts(), no_opinion.bid), (None, Nct::ZERO));
}

fn new_assertion() -> receipt::NewAssertion {
    receipt::NewAssertion {
        bounty_guid: GUID,
        author: expert(),
        index: 0,
        bid: vec![Nct::whole(1)],
        mask: flags(&[true]),
        commitment: number(COMMITMENT),
    }
}

fn new_vote() -> receipt::NewVote {
    receipt::NewVote { bounty_guid: GUID, votes: flags(&[true]), voter: arbiter() }
}

fn eicar() -> Vec<VerdictMetadata> {
    let environment = Environment { architecture: "x86_64".to_owned(), operating_system: "Linux".to_owned() };
    let scanner = Scanner { environment: Some(environment), ..Scanner::default() };
    vec![VerdictMetadata { malware_family: "Eicar Test File".to_owned(), scanner: Some(scanner) }]
}
