//! What all kinds of vectors share: reading JSON fields, naming accounts, and contract calls by name.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};
use anyhow::{Context, Result, bail};
use market::{
    block::Windows,
    bloom::Bloom,
    command::{Command, PostAssertion, PostBounty, RevealAssertion},
    commitment::{Commitment, Opening},
    id::{AccountId, Guid},
    market::Market,
    nct::Nct,
    rejection::Rejection,
    ruleset::Edition,
    verdict::ArtifactSet,
};
use serde_json::{Value, json};

/// Everybody's Nectar in vectors that do not say: more than any of them moves.
pub(super) const PLENTY: Nct = Nct::from_uint(U256::from_limbs([0, 0, 0, 1 << 50]));

/// A field that must be there.
pub(super) fn field<'a>(object: &'a Value, key: &str) -> Result<&'a Value> {
    object.get(key).with_context(|| format!("field `{key}` is missing"))
}

pub(super) fn list<'a>(object: &'a Value, key: &str) -> Result<&'a [Value]> {
    field(object, key)?.as_array().map(Vec::as_slice).with_context(|| format!("field `{key}` is not a list"))
}

pub(super) fn text<'a>(value: &'a Value, what: &str) -> Result<&'a str> {
    value.as_str().with_context(|| format!("{what} is not a text: {value}"))
}

pub(super) fn number(object: &Value, key: &str) -> Result<u64> {
    field(object, key)?.as_u64().with_context(|| format!("field `{key}` is not a whole number"))
}

/// A 256-bit number: decimal or 0x-hex text, or a JSON number.
pub(super) fn uint(value: &Value) -> Result<U256> {
    let parsed = match value {
        Value::Number(number) => number.as_u64().map(U256::from),
        Value::String(text) => match text.strip_prefix("0x") {
            Some(hex) => U256::from_str_radix(hex, 16).ok(),
            None => U256::from_str_radix(text, 10).ok(),
        },
        _ => None,
    };
    parsed.with_context(|| format!("not a 256-bit number: {value}"))
}

pub(super) fn nct(value: &Value) -> Result<Nct> {
    uint(value).map(Nct::from_uint)
}

pub(super) fn guid(value: &Value) -> Result<Guid> {
    Ok(Guid(u128::try_from(uint(value)?).ok().context("a guid has 128 bits")?))
}

pub(super) fn set(value: &Value) -> Result<ArtifactSet> {
    uint(value).map(ArtifactSet::from_uint)
}

pub(super) fn wei(amount: Nct) -> Value {
    json!(amount.to_uint().to_string())
}

pub(super) fn hex(number: U256) -> Value {
    json!(format!("{number:#x}"))
}

/// The accounts of one vector, by the labels it uses.
#[derive(Default)]
pub(super) struct Labels {
    by_label: BTreeMap<String, AccountId>,
    by_account: BTreeMap<AccountId, String>,
}

impl Labels {
    pub(super) fn name(&mut self, label: &str, account: AccountId) {
        self.by_label.insert(label.to_owned(), account);
        self.by_account.insert(account, label.to_owned());
    }

    pub(super) fn account(&self, label: &str) -> Result<AccountId> {
        self.by_label.get(label).copied().with_context(|| format!("no account is labelled `{}`", label.escape_debug()))
    }

    pub(super) fn label(&self, account: AccountId) -> Value {
        self.by_account.get(&account).map_or(Value::Null, |label| json!(label))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, AccountId)> {
        self.by_label.iter().map(|(label, &account)| (label, account))
    }
}

/// How the contract refuses, as 1.0.0's vectors write it: kind and reason.
pub(super) fn revert(rejection: &Rejection, edition: Edition) -> (&'static str, &'static str) {
    match rejection.revert(edition) {
        market::rejection::Revert::Message(message) => ("message", message),
        market::rejection::Revert::Empty => ("empty", ""),
        market::rejection::Revert::InvalidOpcode => ("invalid-opcode", ""),
    }
}

/// Plays a call that changes state or reads a view; a view answers with what it returned, if that is compared.
///
/// `contract` is `reg`, `stk` or `tok`, in either case; arguments stand in the order of the ABI.
pub(super) fn call(
    market: &mut Market,
    labels: &Labels,
    sender: AccountId,
    contract: &str,
    function: &str,
    arguments: &[Value],
) -> Result<std::result::Result<Value, Rejection>> {
    let argument = |index: usize| arguments.get(index).with_context(|| format!("{function} lacks argument {index}"));
    let account = |index: usize| -> Result<AccountId> {
        let label = text(argument(index)?, "an account")?;
        labels.account(label).or_else(|_| labels.account(label.trim_start_matches('@')))
    };
    let flag = |index: usize| -> Result<bool> { argument(index)?.as_bool().context("not true or false") };
    let amount = |index: usize| nct(argument(index)?);
    let bounty = |index: usize| guid(argument(index)?);
    let small = |index: usize| -> Result<u64> { Ok(uint(argument(index)?)?.saturating_to()) };
    let words = |index: usize| -> Result<Bloom> {
        let words: Vec<U256> =
            argument(index)?.as_array().context("the bloom filter is not a list")?.iter().map(uint).collect::<Result<_>>()?;
        Ok(Bloom(words.try_into().ok().context("a bloom filter has eight words")?))
    };
    let name = |index: usize| -> Result<&str> { text(argument(index)?, "an argument") };
    let edition = market.rules().edition;

    let command = match (contract.to_ascii_lowercase().as_str(), function) {
        ("reg", "postBounty") => {
            // 1.6.1 has the artifact type in second place, and metadata at the end.
            let typed = usize::from(edition == Edition::V1_6_1);
            Command::PostBounty(Box::new(PostBounty {
                guid: bounty(0)?,
                artifact_type: if typed == 1 { small(1)? } else { 0 },
                amount: amount(1 + typed)?,
                artifact_uri: name(2 + typed)?.into(),
                artifacts: small(3 + typed)?,
                duration: small(4 + typed)?,
                bloom: Some(Box::new(words(5 + typed)?)),
                metadata: if typed == 1 { Some(name(7)?.into()) } else { None },
            }))
        }
        ("reg", "postAssertion") => {
            let bids = match argument(1)? {
                Value::Array(bids) => bids.iter().map(nct).collect::<Result<_>>()?,
                bid => [nct(bid)?].into_iter().collect(),
            };
            let commitment = Commitment::from_hash(B256::from(uint(argument(3)?)?));
            Command::PostAssertion(PostAssertion { guid: bounty(0)?, bids, mask: set(argument(2)?)?, commitment })
        }
        ("reg", "revealAssertion") => Command::RevealAssertion(RevealAssertion {
            guid: bounty(0)?,
            index: small(1)?,
            opening: Opening { nonce: uint(argument(2)?)?, verdicts: set(argument(3)?)? },
            metadata: Some(name(4)?.into()),
        }),
        ("reg", "voteOnBounty") => Command::VoteOnBounty { guid: bounty(0)?, votes: set(argument(1)?)?, valid_bloom: flag(2)? },
        ("reg", "settleBounty") => Command::SettleBounty { guid: bounty(0)? },
        ("reg", "addArbiter") => Command::AddArbiter { arbiter: account(0)?, block: uint(argument(1)?)? },
        ("reg", "removeArbiter") => Command::RemoveArbiter { arbiter: account(0)?, block: uint(argument(1)?)? },
        ("reg", "setBountyFee") => Command::SetBountyFee(amount(0)?),
        ("reg", "setAssertionFee") => Command::SetAssertionFee(amount(0)?),
        ("reg", "setWindows") => Command::SetWindows(Windows::new(uint(argument(0)?)?, uint(argument(1)?)?)),
        ("reg", "setFeeManager") => Command::SetFeeManager(account(0)?),
        ("reg", "setWindowManager") => Command::SetWindowManager(account(0)?),
        ("reg", "addArbiterManager") => Command::AddArbiterManager(account(0)?),
        ("reg", "removeArbiterManager") => Command::RemoveArbiterManager(account(0)?),
        ("reg", "addDeprecator") => Command::AddDeprecator(account(0)?),
        ("reg", "removeDeprecator") => Command::RemoveDeprecator(account(0)?),
        ("reg", "pause") => Command::Pause,
        ("reg", "unpause") => Command::Unpause,
        ("reg", "addPauser") => Command::AddPauser(account(0)?),
        ("reg", "renouncePauser") => Command::RenouncePauser,
        ("reg", "transferOwnership") => Command::TransferOwnership(account(0)?),
        ("reg", "renounceOwnership") => Command::RenounceOwnership,
        ("reg", "deprecate") => Command::Deprecate { rollover: flag(0)? },
        ("reg", "undeprecate") => Command::Undeprecate,
        ("stk", "deposit") => Command::Deposit(amount(0)?),
        ("stk", "withdraw") => Command::Withdraw(amount(0)?),
        ("stk", "pause") => Command::PauseStaking,
        ("stk", "unpause") => Command::UnpauseStaking,
        ("stk", "setBountyRegistry") => Command::SetBountyRegistry(account(0)?),
        ("stk", "recordBounty") => Command::RecordBounty { arbiter: account(0)?, guid: bounty(1)?, block: uint(argument(2)?)? },
        ("stk", "receiveApproval") => Command::ReceiveApproval { from: account(0)?, value: amount(1)?, token: account(2)? },
        ("tok", "transfer") => Command::Transfer { to: account(0)?, value: amount(1)? },
        ("tok", "transferFrom") => Command::TransferFrom { from: account(0)?, to: account(1)?, value: amount(2)? },
        ("tok", "approve") => Command::Approve { spender: account(0)?, value: amount(1)? },
        ("tok", "approveAndCall") => Command::ApproveAndCall { spender: account(0)?, value: amount(1)? },
        ("tok", "mint") => Command::Mint { to: account(0)?, value: amount(1)? },
        ("tok", "enableTransfers") => Command::EnableTransfers,

        ("reg", view) => {
            let nothing = |()| Value::Null;
            return Ok(match view {
                "getBids" => market.bids(bounty(0)?, small(1)?).map(|bids| bids.iter().map(|&bid| wei(bid)).collect()),
                "getBountyGuids" => {
                    market.bounty_guids(uint(argument(0)?)?).map(|guids| guids.iter().map(|guid| json!(guid.0.to_string())).collect())
                }
                "bountyGuids" => market.bounty_guid(small(0)?).map(|guid| json!(guid.0.to_string())),
                "assertionsByGuid" => {
                    market.number_of_assertions(bounty(0)?).and_then(|count| in_range(small(1).unwrap_or(u64::MAX), count)).map(nothing)
                }
                "votesByGuid" => {
                    market.voters(bounty(0)?).and_then(|voters| in_range(small(1).unwrap_or(u64::MAX), voters.len())).map(nothing)
                }
                "bloomByGuid" => in_range(small(1)?, 8).map(nothing),
                "getCurrentRound" => market.current_round(bounty(0)?).map(|round| json!(round_number(round, edition).to_string())),
                "getNumberOfAssertions" => market.number_of_assertions(bounty(0)?).map(|count| json!(count.to_string())),
                "getNumberOfVotes" => market.voters(bounty(0)?).map(|voters| json!(voters.len().to_string())),
                "getVoters" => market.voters(bounty(0)?).map(|voters| voters.into_iter().map(|voter| labels.label(voter)).collect()),
                "getArbiterCandidates" => {
                    market.arbiter_candidates().map(|candidates| candidates.into_iter().map(|author| labels.label(author)).collect())
                }
                "getActiveArbiters" => market.active_arbiters().map(|()| json!([[], []])),
                "isArbiter" => market.is_arbiter(account(0)?).map(|is| json!(is)),
                "calculateBountyRewards" => market.calculate_bounty_rewards(sender, bounty(0)?).map(|rewards| {
                    json!([
                        wei(rewards.refund),
                        wei(rewards.arbiter),
                        rewards.experts.iter().map(|expert| wei(expert.payout)).collect::<Vec<_>>()
                    ])
                }),
                "getWeightedRandomArbiter" => {
                    market.weighted_random_arbiter(bounty(0)?).map(|arbiter| arbiter.map_or(json!("0"), |arbiter| labels.label(arbiter)))
                }
                _ => bail!("the registry has no function `{}`", view.escape_debug()),
            });
        }
        _ => bail!("contract `{}` has no function `{}`", contract.escape_debug(), function.escape_debug()),
    };
    Ok(market.submit(sender, command).map(|_| Value::Null))
}

/// Solidity's bounds check of a public array's getter.
fn in_range(index: u64, length: usize) -> std::result::Result<(), Rejection> {
    if index < length as u64 { Ok(()) } else { Err(Rejection::IndexOutOfRange { index }) }
}

/// The number that the contract's round view answers.
pub(super) fn round_number(round: market::block::Round, edition: Edition) -> u64 {
    use market::block::Round;
    match (round, edition) {
        (Round::Assertion, _) => 0,
        (Round::Reveal, _) => 1,
        (Round::Vote, _) => 2,
        (Round::Quorum, _) | (Round::Settle, Edition::V1_0_0) => 3,
        (Round::Settle, Edition::V1_6_1) => 4,
    }
}

/// An address in hex.
pub(super) fn address(value: &Value) -> Result<Address> {
    text(value, "an address")?.parse().with_context(|| format!("not an address: {value}"))
}
