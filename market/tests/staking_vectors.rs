//! The vectors of the staking guide that the rules alone answer: settlements, draws, the consensus of noisy arbiters.
//!
//! `STAKING_VECTORS=FILE` (absolute, or relative to the workspace) reads another file of that format.

use std::path::{Path, PathBuf};

use alloy_primitives::{U256, aliases::U512};
use market::{
    block::BlockNumber,
    command::{Command, PostAssertion, PostBounty, RevealAssertion},
    commitment::{Commitment, Opening},
    id::{AccountId, Guid},
    market::Market,
    nct::Nct,
    quorum::Tally,
    rewards::{ExpertReward, Rewards},
    ruleset::{BOUNTY_REGISTRY_1_0_0, BOUNTY_REGISTRY_1_6_1, Bids, RuleSet},
    settlement::draw_by,
    verdict::ArtifactSet,
};
use serde_json::Value;

#[expect(clippy::disallowed_methods, reason = "it is the test that asks, not the rules")]
fn family(name: &str) -> Vec<Value> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let file = std::env::var("STAKING_VECTORS").map_or_else(|_| PathBuf::from("tests/vectors/staking/vectors.json"), PathBuf::from);
    let path = workspace.join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let mut vectors: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{} is no JSON: {error}", path.display()));
    match vectors[name].take() {
        Value::Array(cases) if !cases.is_empty() => cases,
        _ => panic!("{} has no cases of the family `{name}`", path.display()),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn uint(value: &Value) -> U256 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{value} is no decimal string"))
}

fn nct(value: &Value) -> Nct {
    Nct::from_uint(uint(value))
}

fn set(value: &Value) -> ArtifactSet {
    let bits = uint(value);
    ArtifactSet::collect(256, |artifact| bits.bit(artifact))
}

/// An assertion of a vector.
struct Asserted {
    bids: Vec<Nct>,
    mask: ArtifactSet,
    verdicts: ArtifactSet,
    revealed: bool,
}

fn assertions(case: &Value) -> Vec<Asserted> {
    let assertion = |value: &Value| Asserted {
        bids: if value["bid"].is_null() { list(&value["bids"]).iter().map(nct).collect() } else { vec![nct(&value["bid"])] },
        mask: set(&value["mask"]),
        verdicts: set(&value["verdicts"]),
        revealed: value["revealed"].as_bool().unwrap(),
    };
    list(&case["assertions"]).iter().map(assertion).collect()
}

/// Plays a bounty on a market, to the end of its votes.
fn play(rules: &RuleSet, amount: Nct, artifacts: usize, assertions: &[Asserted], votes: &[ArtifactSet], arbiters: u64) -> Rewards {
    let (mut market, guid, nonce) = (Market::new(rules.clone()), Guid(7), U256::from(5));
    let owner = market.account(market::market::named_address("owner"));
    let fund = |market: &mut Market, name: String| market.fund(&name, Nct::whole(1_000_000));
    let arbiters: Vec<AccountId> = (0..arbiters).map(|number| fund(&mut market, format!("arbiter {number}"))).collect();
    for &arbiter in &arbiters {
        market.submit(owner, Command::AddArbiter { arbiter, block: U256::ZERO }).unwrap();
    }
    let ambassador = fund(&mut market, "ambassador".to_owned());
    let post = PostBounty { guid, amount, artifacts: artifacts as u64, ..PostBounty::one_artifact() };
    market.submit(ambassador, Command::PostBounty(Box::new(post))).unwrap();
    let experts: Vec<AccountId> = (0..assertions.len()).map(|number| fund(&mut market, format!("expert {number}"))).collect();
    for (assertion, &expert) in assertions.iter().zip(&experts) {
        let commitment = Commitment::envelope(Opening { nonce, verdicts: assertion.verdicts });
        let post = PostAssertion { guid, bids: assertion.bids.iter().copied().collect(), mask: assertion.mask, commitment };
        market.submit(expert, Command::PostAssertion(post)).unwrap();
    }
    let expiration = market.bounty(guid).unwrap().expiration;
    market.advance_to(expiration);
    for (index, (assertion, &expert)) in assertions.iter().zip(&experts).enumerate().filter(|(_, (assertion, _))| assertion.revealed) {
        let opening = Opening { nonce, verdicts: assertion.verdicts };
        market.submit(expert, Command::RevealAssertion(RevealAssertion { guid, index: index as u64, opening, metadata: None })).unwrap();
    }
    market.advance_to(BlockNumber(expiration.0 + rules.reveal_window));
    for (&votes, &arbiter) in votes.iter().zip(&arbiters) {
        market.submit(arbiter, Command::VoteOnBounty { guid, votes, valid_bloom: true }).unwrap();
    }
    market.rewards(guid).unwrap().into_owned()
}

/// Checks votes and consensus; gives the votes.
fn check_tally(rules: &RuleSet, case: &Value, artifacts: usize, place: usize) -> Vec<ArtifactSet> {
    let votes: Vec<ArtifactSet> = list(&case["votes"]).iter().map(set).collect();
    let (arbiters, expected) = (case["arbiter_count"].as_u64().unwrap(), &case["expect"]);
    let (mut tally, mut quorum) = (Tally::new(artifacts), 0);
    for (number, &vote) in (1..).zip(&votes) {
        tally.add(rules, vote, arbiters, BlockNumber(0), BlockNumber(number)).unwrap();
        if tally.reached == Some(number) {
            quorum = number;
        }
    }
    let malicious: Vec<u64> = list(&expected["malicious_votes"]).iter().map(|votes| votes.as_u64().unwrap()).collect();
    assert_eq!(tally.malicious.iter().map(|&votes| u64::from(votes)).collect::<Vec<_>>(), malicious, "case {place}");
    assert_eq!(Some(quorum), expected["quorum_at_vote"].as_u64(), "case {place}: quorum");
    if let Some(consensus) = expected["consensus"].as_array() {
        let found: Vec<bool> = (0..artifacts).map(|artifact| tally.is_malicious(rules, artifact)).collect();
        assert_eq!(found, consensus.iter().map(|side| side.as_bool().unwrap()).collect::<Vec<_>>(), "case {place}: consensus");
    } else {
        assert!(votes.is_empty(), "case {place}: votes make a consensus");
    }
    votes
}

fn check_rewards(rewards: &Rewards, case: &Value, place: usize) {
    let expected = &case["expect"];
    let payouts: Vec<Nct> = rewards.experts.iter().map(|expert| expert.payout).collect();
    assert_eq!(payouts, list(&expected["rewards"]).iter().map(nct).collect::<Vec<_>>(), "case {place}: rewards");
    assert_eq!(
        (rewards.refund, rewards.arbiter),
        (nct(&expected["refund"]), nct(&expected["arbiter"])),
        "case {place}: refund and arbiter"
    );
    for (expert, detail) in rewards.experts.iter().zip(list(&expected["detail"])) {
        check_detail(expert, detail, place);
    }
}

fn check_detail(expert: &ExpertReward, detail: &Value, place: usize) {
    let minus = |amount: Nct| if amount.is_zero() { "0".to_owned() } else { format!("-{}", amount.to_uint()) };
    let found = [
        ("bounty", expert.bounty_share.to_uint().to_string()),
        ("losers", expert.losers_share.to_uint().to_string()),
        ("lost", minus(expert.lost_stake)),
        ("fee", minus(expert.fee_lost)),
        ("novote", expert.no_vote_share.to_uint().to_string()),
        ("rounding", expert.rounding.wei_string()),
        ("profit", expert.profit().wei_string()),
    ];
    for (component, found) in found {
        assert_eq!(found, detail[component].as_str().unwrap(), "case {place}: {component}");
    }
}

fn check_settlements(name: &str, rules: &RuleSet) {
    for (place, case) in family(name).iter().enumerate() {
        let artifacts = case["n"].as_u64().unwrap() as usize;
        let votes = check_tally(rules, case, artifacts, place);
        let rewards = play(rules, nct(&case["amount"]), artifacts, &assertions(case), &votes, case["arbiter_count"].as_u64().unwrap());
        check_rewards(&rewards, case, place);
    }
}

#[test]
fn staking_vectors_settle_v1() {
    check_settlements("settle_v1", &BOUNTY_REGISTRY_1_0_0);
}

#[test]
fn staking_vectors_settle_v161() {
    check_settlements("settle_v161", &BOUNTY_REGISTRY_1_6_1);
}

/// Amounts per artifact are no rule of this market. What they come to is what 1.6.1 pays for as many bounties on one
/// artifact each, with one fee. Without votes that contract went by the position of a bid, not by its artifact.
#[test]
fn staking_vectors_settle_v15() {
    let rules = &BOUNTY_REGISTRY_1_6_1;
    assert_eq!(rules.bids, Bids::PerArtifact);
    for (place, case) in family("settle_v15").iter().enumerate() {
        let amounts: Vec<Nct> = list(&case["amounts"]).iter().map(nct).collect();
        let votes = check_tally(rules, case, amounts.len(), place);
        let asserted = assertions(case);
        let mut whole = Rewards { experts: vec![ExpertReward::default(); asserted.len()], ..Rewards::default() };
        for (artifact, &amount) in amounts.iter().enumerate() {
            let part = |assertion: &Asserted| {
                let bid = if votes.is_empty() {
                    assertion.bids.get(artifact)
                } else {
                    assertion.mask.contains(artifact).then(|| &assertion.bids[assertion.mask.rank(artifact)])
                };
                Asserted {
                    bids: bid.copied().into_iter().collect(),
                    mask: ArtifactSet::collect(1, |_| bid.is_some()),
                    verdicts: ArtifactSet::collect(1, |_| assertion.verdicts.contains(artifact)),
                    revealed: assertion.revealed,
                }
            };
            let votes: Vec<ArtifactSet> = votes.iter().map(|vote| ArtifactSet::collect(1, |_| vote.contains(artifact))).collect();
            let parts: Vec<Asserted> = asserted.iter().map(part).collect();
            let rewards = play(rules, amount, 1, &parts, &votes, case["arbiter_count"].as_u64().unwrap());
            // Fees are paid once: all parts but the first give back what they gave back of them.
            let once = |amount: Nct, fee: Nct| if artifact > 0 && votes.is_empty() { amount.checked_sub(fee).unwrap() } else { amount };
            whole.refund = whole.refund.checked_add(once(rewards.refund, rules.bounty_fee)).unwrap();
            for (sum, expert) in whole.experts.iter_mut().zip(rewards.experts) {
                let ExpertReward { payout, bounty_share, losers_share, lost_stake, no_vote_share, fee_lost, rounding } = expert;
                let parts = [
                    (&mut sum.payout, once(payout, rules.assertion_fee)),
                    (&mut sum.bounty_share, bounty_share),
                    (&mut sum.losers_share, losers_share),
                    (&mut sum.lost_stake, lost_stake),
                    (&mut sum.no_vote_share, no_vote_share),
                ];
                parts.into_iter().for_each(|(sum, part)| *sum = sum.checked_add(part).unwrap());
                (sum.fee_lost, sum.rounding) = (fee_lost, sum.rounding + rounding);
            }
        }
        let fees = rules.assertion_fee.checked_mul(asserted.len() as u64).unwrap();
        let pot: Nct =
            amounts.iter().chain(asserted.iter().flat_map(|assertion| &assertion.bids)).copied().chain([rules.bounty_fee, fees]).sum();
        let paid: Nct = whole.experts.iter().map(|expert| expert.payout).chain([whole.refund]).sum();
        whole.arbiter = pot.checked_sub(paid).unwrap();
        check_rewards(&whole, case, place);
    }
}

#[test]
fn staking_vectors_pick_arbiter() {
    for (place, case) in family("pick_arbiter").iter().enumerate() {
        let voters: Vec<(AccountId, Nct)> = (10..).map(AccountId).zip(list(&case["balances"]).iter().map(nct)).collect();
        let drawn = draw_by(&BOUNTY_REGISTRY_1_6_1, &voters, uint(&case["r"])).unwrap();
        assert_eq!(drawn, Some(AccountId(10 + case["expect"].as_u64().unwrap() as u32)), "case {place}");
    }
}

fn gcd(a: U512, b: U512) -> U512 {
    if b.is_zero() { a } else { gcd(b, a % b) }
}

fn fraction(value: &Value) -> (U512, U512) {
    let text = value.as_str().unwrap();
    let (numerator, denominator) = text.split_once('/').unwrap_or((text, "1"));
    (numerator.parse().unwrap(), denominator.parse().unwrap())
}

#[test]
fn staking_vectors_arbiter_consensus() {
    for (place, case) in family("arbiter_consensus").iter().enumerate() {
        let rules = match case["coef"][0].as_u64().unwrap() {
            10 => BOUNTY_REGISTRY_1_0_0,
            1 => BOUNTY_REGISTRY_1_6_1,
            other => panic!("case {place}: no rules weigh malicious votes {other} to 1"),
        };
        let found = called_malicious(&rules, case["V"].as_u64().unwrap(), fraction(&case["s"]));
        assert_eq!(found, fraction(&case["expect"]), "case {place}");
    }
}

/// Probability that so many voters make an artifact malicious if each says so with that probability.
fn called_malicious(rules: &RuleSet, voters: u64, (wrong, of): (U512, U512)) -> (U512, U512) {
    let (mut ways, mut numerator) = (U512::from(1), U512::ZERO);
    for malicious in 0..=voters {
        if rules.is_malicious(malicious, voters) {
            numerator += ways * wrong.pow(U512::from(malicious)) * (of - wrong).pow(U512::from(voters - malicious));
        }
        ways = ways * U512::from(voters - malicious) / U512::from(malicious + 1);
    }
    let denominator = of.pow(U512::from(voters));
    let common = gcd(numerator, denominator);
    (numerator / common, denominator / common)
}

/// An assertion with those bids in NCT, on the artifacts and with the verdicts that bits say.
fn asserts(bids: &[&str], mask: usize, verdicts: usize) -> Asserted {
    let set = |bits: usize| ArtifactSet::collect(8, |artifact| bits >> artifact & 1 == 1);
    Asserted { bids: bids.iter().map(|bid| bid.parse().unwrap()).collect(), mask: set(mask), verdicts: set(verdicts), revealed: true }
}

const SIXTEENTH: &str = "0.0625";

/// Cases 1 to 6, 12 and 13 of the guide.
#[test]
fn staking_vectors_exact_cases_of_the_guide() {
    let (g1, g3) = (&BOUNTY_REGISTRY_1_0_0, &BOUNTY_REGISTRY_1_6_1);
    let one = ArtifactSet::first(1);
    let check = |rules: &RuleSet, amount: u128, artifacts, assertions: &[Asserted], votes: ArtifactSet, payouts: &[u128], arbiter: u128| {
        let rewards = play(rules, Nct::wei(amount), artifacts, assertions, &[votes], 1);
        let found: Vec<Nct> = rewards.experts.iter().map(|expert| expert.payout).collect();
        assert_eq!(found, payouts.iter().copied().map(Nct::wei).collect::<Vec<_>>());
        assert_eq!(rewards.arbiter, Nct::wei(arbiter));
    };
    let nct = 1_000_000_000_000_000_000;
    let right = |bid| asserts(&[bid], 1, 1);
    let wrong = |bid| asserts(&[bid], 1, 0);
    check(g1, nct, 1, &[right(SIXTEENTH), wrong("3"), wrong("1")], one, &[5_062_500_000_000_000_000, 0, 0], 156_250_000_000_000_000);
    check(g1, nct, 1, &[wrong("1"), wrong("2")], one, &[0, 0], 4_125_000_000_000_000_000);
    let three = [right(SIXTEENTH), right(SIXTEENTH), right(SIXTEENTH)];
    check(g1, nct, 1, &three, one, &[395_833_333_333_333_333; 3], 156_250_000_000_000_001);
    let both = [asserts(&["1"], 3, 3), asserts(&["1"], 1, 0)];
    let two = ArtifactSet::first(2);
    check(g1, 2 * nct, 2, &both, two, &[3_500_000_000_000_000_000, 500_000_000_000_000_000], 125_000_000_000_000_000);
    let each = [asserts(&["1", "1"], 3, 3), asserts(&[SIXTEENTH], 1, 0)];
    check(g3, 4 * nct + 1, 2, &each, two, &[6_062_500_000_000_000_000, 0], 125_000_000_000_000_001);
    assert_eq!(play(g1, Nct::whole(1), 1, &[], &[], 1).refund, Nct::wei(1_062_500_000_000_000_000));

    let twentieth = (U512::from(1), U512::from(20));
    assert_eq!(called_malicious(g1, 5, twentieth), (U512::from(723_901), U512::from(3_200_000)));
    assert_eq!(called_malicious(g3, 5, twentieth), (U512::from(1_853), U512::from(1_600_000)));
    let drawn = |stakes: [u128; 2], number: u64| {
        let voters = [(AccountId(0), Nct::wei(stakes[0])), (AccountId(1), Nct::wei(stakes[1]))];
        draw_by(g3, &voters, U256::from(number)).unwrap().unwrap().0
    };
    assert_eq!([0, 1].map(|number| drawn([1, 1], number)), [0, 0]);
    assert_eq!([0, 1, 2, 3, 4].map(|number| drawn([2, 3], number)), [0, 0, 0, 1, 1]);
}

/// Case 11, 14 and 15 of the guide, to the wei.
#[test]
fn staking_vectors_both_sides_splitting_and_scaling() {
    let (rules, one) = (&BOUNTY_REGISTRY_1_0_0, ArtifactSet::first(1));
    let profits = |rules: &RuleSet, amount: Nct, assertions: &[Asserted]| -> Vec<i128> {
        let rewards = play(rules, amount, 1, assertions, &[one], 1);
        rewards.experts.iter().map(|expert| expert.profit().wei_string().parse().unwrap()).collect()
    };
    let (right, wrong) = (|bid| asserts(&[bid], 1, 1), |bid| asserts(&[bid], 1, 0));
    let sides = profits(rules, Nct::whole(1), &[right("2"), wrong("2"), right("3"), wrong("3")]);
    assert_eq!(sides[0] + sides[1], 337_500_000_000_000_000);

    let fee: i128 = 31_250_000_000_000_000;
    let whole = profits(rules, Nct::whole(1), &[right("1.2"), right("0.7"), wrong("0.9")])[0];
    for (parts, bid) in [(2, "0.6"), (3, "0.4"), (4, "0.3"), (5, "0.24")] {
        let mut split: Vec<Asserted> = (0..parts).map(|_| right(bid)).collect();
        split.extend([right("0.7"), wrong("0.9")]);
        let total: i128 = profits(rules, Nct::whole(1), &split)[..parts].iter().sum();
        let off = total - (whole - (parts as i128 - 1) * fee);
        assert!(off.abs() <= parts as i128, "{parts}: {off}");
    }

    let times = |amount: Nct| amount.checked_mul(1024).unwrap();
    let mut large = rules.clone();
    for amount in [&mut large.bounty_minimum, &mut large.bid_minimum, &mut large.bounty_fee, &mut large.assertion_fee] {
        *amount = times(*amount);
    }
    let few = [right("0.333333333333333333"), right("0.7"), wrong("0.9")];
    let many = few.iter().map(|one| Asserted { bids: one.bids.iter().copied().map(times).collect(), ..*one }).collect::<Vec<_>>();
    let (small, large) = (profits(rules, Nct::whole(1), &few), profits(&large, times(Nct::whole(1)), &many));
    assert!(
        small.iter().zip(large).all(|(small, large)| (large - 1024 * small).abs() <= 1024 * 2),
        "a wei is a wei, before it is multiplied"
    );
}
