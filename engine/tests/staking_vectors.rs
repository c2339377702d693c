//! The vectors of the staking guide that strategies answer: optimal stakes, beliefs, learners, equilibria, chance; and its
//! exact cases 7 to 11 and 14, 15, 17 in kind.
//!
//! `STAKING_VECTORS=FILE` (absolute, or relative to the workspace) reads another file of that format.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use alloy_primitives::aliases::U512;
use engine::{
    chance::{Key, Stream, fnv1a64},
    settled::{Payoff, Pools, SettledAssertion, SettledBounty, Terms},
    stake::{
        Limits,
        adahedge::AdaHedge,
        exp3_ix::Exp3Ix,
        ftrl::AdaGrad,
        hedge::Hedge,
        levels::{Choice, Learner},
        optimum::{self, Bet, Scenario, Utility},
        pools::{Rival, against, if_right},
        stock::{Stock, Webhook},
    },
};
use market::{
    block::BlockNumber,
    id::{AccountId, Guid},
    nct::Nct,
    ruleset::{BOUNTY_REGISTRY_1_0_0, BOUNTY_REGISTRY_1_6_1, Bids, RuleSet},
    verdict::ArtifactSet,
};
use serde_json::Value;

const PROFIT: Utility = Utility::Profit { price: 0.0 };

fn family(name: &str) -> Value {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let file = std::env::var("STAKING_VECTORS").map_or_else(|_| PathBuf::from("tests/vectors/staking/vectors.json"), PathBuf::from);
    let path = workspace.join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let mut vectors: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{} is no JSON: {error}", path.display()));
    let cases = vectors[name].take();
    let empty = match &cases {
        Value::Array(cases) => cases.is_empty(),
        Value::Object(cases) => cases.is_empty(),
        _ => true,
    };
    assert!(!empty, "{} has no cases of the family `{name}`", path.display());
    cases
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn numbers(value: &Value) -> Vec<f64> {
    list(value).iter().map(number).collect()
}

fn uint(value: &Value) -> u64 {
    value.as_str().map_or_else(|| value.as_u64(), |text| text.parse().ok()).unwrap_or_else(|| panic!("{value} is no whole number"))
}

#[track_caller]
fn close(found: f64, expected: &Value, what: &str) {
    let expected = number(expected);
    assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1e-3), "{what}: {found} for {expected}");
}

/// For what a bisection found.
#[track_caller]
fn near(found: f64, expected: &Value, what: &str) {
    let expected = number(expected);
    assert!((found - expected).abs() <= 1e-7, "{what}: {found} for {expected}");
}

#[test]
fn staking_vectors_stock_bids() {
    for (place, case) in list(&family("stock_bids")).iter().enumerate() {
        let wei = |value: &Value| Nct::wei(value.as_str().unwrap().parse().unwrap());
        let rules = RuleSetOf { least: wei(&case["min"]), most: wei(&case["max"]) }.rules();
        let confidence = number(&case["confidence"]);
        for (name, bid) in [
            ("conservative", Stock::CONSERVATIVE.bid(&rules, confidence)),
            ("default", Stock::DEFAULT.bid(&rules, confidence)),
            ("aggressive", Stock::AGGRESSIVE.bid(&rules, confidence)),
            ("webhook", Webhook::bid(&rules, confidence)),
        ] {
            assert_eq!(bid, wei(&case["expect"][name]), "case {place}: {name}");
        }
    }
}

struct RuleSetOf {
    least: Nct,
    most: Nct,
}

impl RuleSetOf {
    fn rules(self) -> RuleSet {
        let mut rules = BOUNTY_REGISTRY_1_6_1.clone();
        (rules.bid_minimum, rules.bid_maximum) = (self.least, Some(self.most));
        rules
    }
}

fn limits(case: &Value) -> Limits {
    Limits { least: number(&case["bmin"]), most: number(&case["bmax"]), fee: number(&case["f"]) }
}

#[test]
fn staking_vectors_single_stake() {
    for (place, case) in list(&family("single_stake")).iter().enumerate() {
        let field = |name: &str| number(&case[name]);
        let (p, s, w, f, bankroll, mu) = (field("p"), field("S"), field("W"), field("f"), field("bankroll"), field("mu"));
        let (expect, bet, limits) = (&case["expect"], Bet::known(p, s, w), limits(case));
        let at = |name: &str| format!("case {place}: {name}");
        close(optimum::unlimited(p, s, w, mu), &expect["isaacs"], &at("isaacs"));
        close(optimum::unlimited_value(p, s, w, mu), &expect["isaacs_value"], &at("isaacs_value"));
        let kelly = optimum::kelly(p, s, w, bankroll - f);
        close(kelly, &expect["kelly"], &at("kelly"));
        let growth =
            |b: f64| p * libm::log((bankroll - f + s * b / (w + b)) / bankroll) + (1.0 - p) * libm::log((bankroll - f - b) / bankroll);
        if kelly > 0.0 {
            close(growth(kelly), &expect["kelly_growth"], &at("kelly_growth"));
        }
        let (bid, value) = optimum::single(Utility::Profit { price: mu }, &limits, &bet).unwrap_or_default();
        near(bid, &expect["best_ev"][0], &at("best_ev"));
        near(value, &expect["best_ev"][1], &at("best_ev, its value"));
        let (bid, _) = optimum::single(Utility::Log { wealth: bankroll / 2.0 }, &limits, &bet).unwrap_or_default();
        near(bid, &expect["half_kelly"], &at("half_kelly"));
        match optimum::entry_probability(s, w, f) {
            Some(p) => close(p, &expect["p_enter"], &at("p_enter")),
            None => assert!(expect["p_enter"].is_null(), "{}: none for {}", at("p_enter"), expect["p_enter"]),
        }
        close(optimum::entry_probability_at(limits.least, s, w, f), &expect["p_enter_at_min"], &at("p_enter_at_min"));
        let (mean, variance) = optimum::moments(p, s, w, f, limits.least);
        close(mean, &expect["ev_at_min"], &at("ev_at_min"));
        close(variance, &expect["var_at_min"], &at("var_at_min"));
    }
}

#[test]
fn staking_vectors_mixture_stake() {
    for (place, case) in list(&family("mixture_stake")).iter().enumerate() {
        let scenario = |value: &Value| match numbers(value)[..] {
            [weight, right, prize, winners] => Scenario { weight, right, prize, winners },
            _ => panic!("case {place}: {value} is no scenario"),
        };
        let bet = Bet { scenarios: list(&case["scenarios"]).iter().map(scenario).collect(), share: 1.0 };
        for (name, utility) in [("ev", PROFIT), ("kelly", Utility::Log { wealth: number(&case["bankroll"]) })] {
            let (bid, value) = optimum::single(utility, &limits(case), &bet).unwrap_or_default();
            near(bid, &case["expect"][name][0], &format!("case {place}: {name}"));
            near(value, &case["expect"][name][1], &format!("case {place}: {name}, its value"));
        }
    }
}

#[test]
fn staking_vectors_mask_stake() {
    for (place, case) in list(&family("mask_stake")).iter().enumerate() {
        let (artifacts, amount) = (list(&case["artifacts"]), number(&case["amount"]));
        let bet = |value: &Value| match numbers(value)[..] {
            [p, losers, winners] => Some(Bet { share: 1.0 / artifacts.len() as f64, ..Bet::known(p, amount + losers, winners) }),
            _ => panic!("case {place}: {value} is no artifact"),
        };
        let bets: Vec<Option<Bet>> = artifacts.iter().map(bet).collect();
        let (bids, value) = optimum::common(PROFIT, &limits(case), &bets).unwrap_or_else(|| (vec![None; bets.len()], 0.0));
        let mask: Vec<u64> = (0..).zip(&bids).filter(|(_, bid)| bid.is_some()).map(|(artifact, _)| artifact).collect();
        assert_eq!(mask, list(&case["expect"]["mask"]).iter().map(uint).collect::<Vec<_>>(), "case {place}");
        near(bids.iter().flatten().next().copied().unwrap_or_default(), &case["expect"]["bid"], &format!("case {place}"));
        near(value, &case["expect"]["value"], &format!("case {place}: value"));
    }
}

#[test]
fn staking_vectors_side_choice() {
    for (place, case) in list(&family("side_choice")).iter().enumerate() {
        let field = |name: &str| number(&case[name]);
        let (p, pools) = (field("p_mal"), Pools { malicious: field("T_mal"), benign: field("T_ben"), unrevealed: 0.0 });
        let bets = [(true, p), (false, 1.0 - p)].map(|(side, p)| {
            let (winners, losers) = pools.if_malicious(side);
            Bet::known(p, field("amount") + losers, winners)
        });
        let malicious = optimum::better(PROFIT, &limits(case), [&bets[0], &bets[1]]);
        let best = optimum::single(PROFIT, &limits(case), &bets[usize::from(!malicious)]);
        let (bid, value) = best.unwrap_or_default();
        assert!(best.is_none() || Some(malicious) == case["expect"]["malicious"].as_bool(), "case {place}");
        near(bid, &case["expect"]["bid"], &format!("case {place}"));
        near(value, &case["expect"]["value"], &format!("case {place}: value"));
    }
}

#[test]
fn staking_vectors_belief_stake() {
    for (place, case) in list(&family("belief_stake")).iter().enumerate() {
        let rival = |value: &Value| match numbers(value)[..] {
            [stake, tpr, fpr, asserts] => Rival { stake, tpr, fpr, asserts },
            _ => panic!("case {place}: {value} is no rival"),
        };
        let rivals: Vec<Rival> = list(&case["others"]).iter().map(rival).collect();
        let (p, portion, expect) = (number(&case["p_mal"]), number(&case["amount"]), &case["expect"]);
        let at = |name: &str| format!("case {place}: {name}");
        // Label and pools, as often as they differ. Stakes are multiples of 1/16.
        let mut pools = std::collections::BTreeSet::from([(0, 0)]);
        for rival in &rivals {
            let stake = (rival.stake * 1e9).round() as u64;
            pools = pools.iter().flat_map(|&(mal, ben)| [(mal, ben), (mal + stake, ben), (mal, ben + stake)]).collect();
        }
        assert_eq!(2 * pools.len() as u64, uint(&expect["n_scenarios"]), "{}", at("n_scenarios"));
        let mean = if_right(&rivals, true).iter().map(|atom| atom.weight * atom.winners).sum();
        close(mean, &expect["mean_W_if_win"], &at("mean_W_if_win"));
        let (bet, fee) = (against(&rivals, Terms { portion, share: 1.0 }, true, p), 1.0 / 32.0);
        let limits = Limits { least: 1.0 / 16.0, most: 8.0, fee };
        let (bid, value) = optimum::single(PROFIT, &limits, &bet).unwrap_or_default();
        near(bid, &expect["bid"], &at("bid"));
        near(value, &expect["value"], &at("value"));
        let ev = bet.scenarios.iter().map(|one| one.weight * optimum::moments(one.right, one.prize, one.winners, fee, 1.0).0).sum();
        close(ev, &expect["ev_at_1"], &at("ev_at_1"));
    }
}

fn weights(found: &[f64], expected: &Value, what: &str) {
    assert_eq!(found.len(), list(expected).len(), "{what}");
    found.iter().zip(list(expected)).for_each(|(found, expected)| close(*found, expected, what));
}

#[test]
fn staking_vectors_learners() {
    let family = family("learners");
    let gains: Vec<Vec<f64>> = list(&family["gains"]).iter().map(numbers).collect();
    let arms = gains[0].len();
    let mut hedge = Hedge::new(number(&family["hedge"]["T"]), number(&family["hedge"]["R"]));
    // Gains are between -1 and 1.
    let (mut adahedge, mut exp3) = (AdaHedge::default(), Exp3Ix::new(2.0));
    hedge.open(arms);
    adahedge.open(arms);
    exp3.open(arms);
    for (round, gains) in gains.iter().enumerate() {
        weights(&hedge.weights(), &family["hedge"]["weights"][round], &format!("hedge, round {round}"));
        weights(&adahedge.weights(), &family["adahedge"]["weights"][round], &format!("adahedge, round {round}"));
        let probabilities = exp3.weights();
        weights(&probabilities, &family["exp3ix"]["probs"][round], &format!("exp3ix, round {round}"));
        hedge.learn(gains, None);
        adahedge.learn(gains, None);
        exp3.learn(gains, Some(Choice { level: round % arms, probability: probabilities[round % arms] }));
        match &family["adahedge"]["mixability"] {
            Value::Array(each) if each.len() == family["gains"].as_array().unwrap().len() => {
                close(adahedge.mixability(), &each[round], &format!("mixability, round {round}"));
            }
            _ => {}
        }
    }
    if family["adahedge"]["mixability"].is_number() {
        close(adahedge.mixability(), &family["adahedge"]["mixability"], "mixability");
    }
    let case = &family["adagrad"];
    let mut ascent = AdaGrad::new(number(&case["lo"]), number(&case["hi"]));
    for (round, (step, expected)) in list(&case["seq"]).iter().zip(list(&case["stakes"])).enumerate() {
        let right = step[0].as_bool().unwrap();
        ascent.learn(&Payoff { right, prize: number(&step[1]), winners: number(&step[2]), share: 1.0 });
        close(ascent.bid, expected, &format!("adagrad, round {round}"));
    }
}

fn address(words: &[Value]) -> Key {
    words.iter().fold(Key::EMPTY, |key, word| match word.as_str() {
        Some(text) => key.named(text),
        None => key.with(uint(word)),
    })
}

#[test]
fn staking_vectors_rng() {
    let family = family("rng");
    let draws = |mut stream: Stream, expected: &Value, what: &str| {
        list(expected).iter().for_each(|expected| assert_eq!(stream.bits(), uint(expected), "{what}"));
    };
    let mut seed = 0;
    for case in list(&family["splitmix64"]) {
        seed = uint(&case["seed"]);
        draws(Stream::splitmix64(seed), &case["expect"], &format!("splitmix64 from {seed}"));
    }
    for case in list(&family["fnv1a64"]) {
        let text = case["text"].as_str().unwrap();
        assert_eq!(fnv1a64(text), uint(&case["expect"]), "{text:?}");
    }
    for case in list(&family["stream"]) {
        draws(address(list(&case["words"])).stream(), &case["expect"], &case["words"].to_string());
    }
    // The file's own seed is the last one of its plain generators.
    for expected in list(&family["uniform"]) {
        let mut stream = Key::EMPTY.named("u").with(seed).stream();
        list(expected).iter().for_each(|expected| close(stream.uniform(), expected, "uniform"));
    }
    for expected in list(&family["below10"]) {
        let mut stream = Key::EMPTY.named("b").with(seed).stream();
        list(expected).iter().for_each(|expected| assert_eq!(stream.below(10), uint(expected)));
    }
}

/// What a strategy reckons a bid to have paid is what the settlements of the vectors paid, on every side and every mask.
#[test]
fn staking_vectors_settlements_pay_what_payoffs_say() {
    for (name, rules) in [("settle_v1", &BOUNTY_REGISTRY_1_0_0), ("settle_v161", &BOUNTY_REGISTRY_1_6_1)] {
        for (place, case) in list(&family(name)).iter().enumerate() {
            let set = |value: &Value| {
                let bits: U512 = value.as_str().unwrap().parse().unwrap();
                ArtifactSet::collect(256, |artifact| bits.bit(artifact))
            };
            let wei = |value: &Value| Nct::wei(value.as_str().unwrap().parse().unwrap());
            let Some(consensus) = case["expect"]["consensus"].as_array() else { continue };
            let artifacts = uint(&case["n"]) as usize;
            let assertion = |value: &Value| SettledAssertion {
                author: AccountId(7),
                mask: set(&value["mask"]),
                bids: if rules.bids == Bids::PerBounty { vec![wei(&value["bid"])] } else { list(&value["bids"]).iter().map(wei).collect() }
                    .into(),
                verdicts: value["revealed"].as_bool().unwrap().then(|| set(&value["verdicts"])),
            };
            let assertions: Vec<SettledAssertion> = list(&case["assertions"]).iter().map(assertion).collect();
            for (own, detail) in list(&case["expect"]["detail"]).iter().enumerate() {
                let settled = SettledBounty {
                    guid: Guid(1),
                    block: BlockNumber(1),
                    amount: wei(&case["amount"]),
                    artifacts,
                    bids: rules.bids,
                    fee: rules.assertion_fee,
                    consensus: Some(ArtifactSet::collect(artifacts, |artifact| consensus[artifact].as_bool().unwrap())),
                    assertions: Some(assertions.clone()),
                    own: Some(own),
                    verdicts: Vec::new(),
                };
                let mine = &assertions[own];
                if mine.mask.reaches_beyond(artifacts) {
                    continue;
                }
                let gain = |artifact: usize| {
                    let Some(bid) = mine.bid(artifact, rules.bids) else { return 0.0 };
                    let side = settled.consensus.unwrap().contains(artifact);
                    let said = mine.verdicts.map_or(!side, |verdicts| verdicts.contains(artifact));
                    settled.payoff(artifact, said).unwrap().gain(bid)
                };
                let profit = (0..artifacts).map(gain).sum::<f64>() - rules.assertion_fee.to_f64();
                let paid = detail["profit"].as_str().unwrap().parse::<f64>().unwrap() / 1e18;
                assert!((profit - paid).abs() < 1e-9, "{name}, case {place}, expert {own}: {profit} for {paid}");
            }
        }
    }
}

/// An exact fraction.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Fraction {
    negative: bool,
    numerator: U512,
    denominator: U512,
}

impl Fraction {
    fn new(negative: bool, numerator: U512, denominator: U512) -> Fraction {
        let (mut a, mut b) = (numerator, denominator);
        while !b.is_zero() {
            (a, b) = (b, a % b);
        }
        Fraction { negative: negative && !numerator.is_zero(), numerator: numerator / a, denominator: denominator / a }
    }

    fn whole(number: u64) -> Fraction {
        Fraction::new(false, U512::from(number), U512::from(1))
    }

    fn of(text: &str) -> Fraction {
        let (numerator, denominator) = text.split_once('/').unwrap_or((text, "1"));
        let digits = numerator.trim_start_matches('-');
        Fraction::new(digits != numerator, digits.parse().unwrap(), denominator.parse().unwrap())
    }

    fn power(self, exponent: u64) -> Fraction {
        (0..exponent).fold(Fraction::whole(1), |product, _| product * self)
    }

    fn to_f64(self) -> f64 {
        let size = f64::from(self.numerator) / f64::from(self.denominator);
        if self.negative { -size } else { size }
    }

    fn minus(self) -> Fraction {
        Fraction::new(!self.negative, self.numerator, self.denominator)
    }
}

impl std::ops::Add for Fraction {
    type Output = Fraction;
    fn add(self, other: Fraction) -> Fraction {
        let (a, b) = (self.numerator * other.denominator, other.numerator * self.denominator);
        let denominator = self.denominator * other.denominator;
        match self.negative == other.negative {
            true => Fraction::new(self.negative, a + b, denominator),
            false if a >= b => Fraction::new(self.negative, a - b, denominator),
            false => Fraction::new(other.negative, b - a, denominator),
        }
    }
}

impl std::ops::Sub for Fraction {
    type Output = Fraction;
    #[expect(clippy::suspicious_arithmetic_impl, reason = "a difference is the sum with the opposite")]
    fn sub(self, other: Fraction) -> Fraction {
        self + other.minus()
    }
}

impl std::ops::Mul for Fraction {
    type Output = Fraction;
    fn mul(self, other: Fraction) -> Fraction {
        Fraction::new(self.negative != other.negative, self.numerator * other.numerator, self.denominator * other.denominator)
    }
}

impl std::ops::Div for Fraction {
    type Output = Fraction;
    fn div(self, other: Fraction) -> Fraction {
        Fraction::new(self.negative != other.negative, self.numerator * other.denominator, self.denominator * other.numerator)
    }
}

/// Weighted sum over how many of `n` independent engines of accuracy `p` are right.
fn expected(n: u64, p: Fraction, of: impl Fn(u64) -> Fraction) -> Fraction {
    let (mut ways, mut sum) = (1, Fraction::whole(0));
    for k in 0..=n {
        sum = sum + Fraction::whole(ways) * p.power(k) * (Fraction::whole(1) - p).power(n - k) * of(k);
        ways = ways * (n - k) / (k + 1);
    }
    sum
}

/// The stake of `engines` with one verdict in common.
fn common_bid(engines: u64, p: Fraction, amount: Fraction) -> Fraction {
    Fraction::whole(engines - 1) / Fraction::whole(engines * engines) * p * amount / (Fraction::whole(1) - p)
}

/// The stake of independent engines.
fn independent_bid(engines: u64, p: Fraction, amount: Fraction) -> Fraction {
    let square = |k: u64| Fraction::whole((k + 1) * (k + 1));
    let a = p * expected(engines - 1, p, |k| Fraction::whole(k) / square(k));
    let c = p * expected(engines - 1, p, |k| Fraction::whole((engines - 1 - k) * k) / square(k));
    amount * a / (Fraction::whole(1) - p - c)
}

/// Expected profit of an engine of accuracy `own` beside `rivals` of accuracy `p`, all with stake `x`.
fn equal_stakes(rivals: u64, own: Fraction, p: Fraction, amount: Fraction, x: Fraction, fee: Fraction) -> Fraction {
    let one = Fraction::whole(1);
    let won = (amount / Fraction::whole(rivals + 1) + x) * (one - (one - p).power(rivals + 1)) / p - x;
    own * won - (one - own) * x - fee
}

#[test]
fn staking_vectors_equilibrium() {
    for (place, case) in list(&family("equilibrium")).iter().enumerate() {
        let field = |name: &str| Fraction::of(case[name].as_str().unwrap());
        let (n, p, amount, x, fee) = (uint(&case["N"]), field("p"), field("A"), field("x"), field("f"));
        let (one, engines) = (Fraction::whole(1), Fraction::whole(n));
        let all_wrong = (one - p).power(n);
        for (name, found) in [
            ("common_bid", common_bid(n, p, amount)),
            ("common_profit_before_fee", p * amount / (engines * engines)),
            ("indep_bid", independent_bid(n, p, amount)),
            ("indep_profit_at_x", amount * (one - all_wrong) / engines - x * all_wrong - fee),
            ("equal_stake_ev", equal_stakes(n - 1, field("p0"), p, amount, x, fee)),
        ] {
            assert_eq!(found, Fraction::of(case["expect"][name].as_str().unwrap()), "case {place}: {name}");
        }
    }
}

/// Cases 7, 9, 10 and 11 of the guide: the formulas, and the profits that payoffs come to.
#[test]
fn staking_vectors_exact_cases_of_the_guide() {
    let of = Fraction::of;
    for (own, rivals, p, amount, x, profit) in
        [("1", 4, "9/10", "1", "1/2", "6163/25000"), ("1/2", 4, "1/2", "1", "1/2", "47/320"), ("9/10", 3, "4/5", "2", "1", "13071/20000")]
    {
        assert_eq!(equal_stakes(rivals, of(own), of(p), of(amount), of(x), of("1/32")), of(profit));
        let played = expected_profit(rivals, of(own), of(p), of(amount), of(x));
        assert!((played - of(profit).to_f64()).abs() < 1e-12, "{played} for {profit}");
    }
    for (n, bid) in [(2, "9/4"), (5, "36/25"), (10, "81/100")] {
        assert_eq!(common_bid(n, of("9/10"), of("1")), of(bid));
    }
    for (n, p, bid) in [(2, "1/2", "1/8"), (2, "9/10", "81/40"), (3, "9/10", "405/119")] {
        assert_eq!(independent_bid(n, of(p), of("1")), of(bid));
    }
    // Both sides with two accounts, 2 each, others 3 each side: A x/(T + x) - 2 f.
    let side = |right| Payoff { right, prize: 1.0 + 3.0 + 2.0, winners: 3.0, share: 1.0 };
    assert!((side(true).gain(2.0) + side(false).gain(2.0) - 2.0 / 32.0 - 0.3375).abs() < 1e-12);
}

/// The profit of [`equal_stakes`] by adding up payoffs.
fn expected_profit(rivals: u64, own: Fraction, p: Fraction, amount: Fraction, x: Fraction) -> f64 {
    let [own, p, amount, x] = [own, p, amount, x].map(Fraction::to_f64);
    let (mut ways, mut sum) = (1.0, -1.0 / 32.0);
    for right in 0..=rivals {
        let weight = ways * p.powi(right as i32) * (1.0 - p).powi((rivals - right) as i32);
        let (winners, losers) = (right as f64 * x, (rivals - right) as f64 * x);
        let gain = |right| Payoff { right, prize: amount + losers, winners, share: 1.0 }.gain(x);
        sum += weight * (own * gain(true) + (1.0 - own) * gain(false));
        ways *= (rivals - right) as f64 / (right + 1) as f64;
    }
    sum
}

/// Case 9 once more: engines with one verdict in common that answer the stakes of the others step by step end there.
#[test]
fn staking_vectors_fictitious_play_converges() {
    for (engines, bid) in [(2, 2.25), (5, 1.44), (10, 0.81)] {
        let (mut means, mut rounds) = (vec![0.5; engines], 0.0);
        while rounds < 20_000.0 {
            rounds += 1.0;
            let all: f64 = means.iter().sum();
            // All are right together, or wrong together: nobody's stake is ever won.
            let answers: Vec<f64> = means.iter().map(|mean| optimum::unlimited(0.9, 1.0, all - mean, 0.0)).collect();
            means.iter_mut().zip(answers).for_each(|(mean, answer)| *mean += (answer - *mean) / (rounds + 1.0));
        }
        assert!(means.iter().all(|mean| (mean - bid).abs() < 0.01 * bid), "{engines}: {means:?}");
    }
}

/// Case 14: a stake in parts, on one side, pays the same but for the fees; case 15: a thousand times the money, a thousand
/// times the profit. To the wei by `market/tests/staking_vectors.rs`, here of what strategies reckon with.
#[test]
fn staking_vectors_splitting_and_scaling() {
    let whole = Payoff { right: true, prize: 3.7, winners: 0.4, share: 1.0 };
    for parts in 2..6 {
        let bid = 1.3 / f64::from(parts);
        let part = Payoff { winners: whole.winners + 1.3 - bid, ..whole };
        assert!((whole.gain(1.3) - f64::from(parts) * part.gain(bid)).abs() < 1e-12);
        let scaled = Payoff { prize: 1024.0 * whole.prize, winners: 1024.0 * whole.winners, ..whole };
        assert!((1024.0 * whole.gain(bid) - scaled.gain(1024.0 * bid)).abs() < 1e-9);
    }
    let names: BTreeMap<&str, ()> = engine::stake::CATALOGUE.iter().map(|entry| (entry.name, ())).collect();
    assert_eq!(names.len(), engine::stake::CATALOGUE.len(), "a name is given once");
}
