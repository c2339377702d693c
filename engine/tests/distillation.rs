//! Distillers and calibration maps against golden vectors, computed by an independent program:
//! `tests/vectors/staking/vectors.json`, or another file of its format in `STAKING_VECTORS` (absolute, or from the root of
//! the workspace).

use std::{
    fs,
    path::{Path, PathBuf},
};

use engine::{
    artifact::ScanResult,
    calibrate::{Map, MapKind, Scored},
    distill::{
        Distiller,
        dawid_skene::{self, Votes},
        log_odds::{LogOddsDistiller, Record},
        stock_any::StockAnyDistiller,
    },
};
use serde_json::Value;

/// One family of the vectors.
fn golden(family: &str) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let named = std::env::var_os("STAKING_VECTORS").map(PathBuf::from);
    let path = root.join(named.unwrap_or_else(|| "tests/vectors/staking/vectors.json".into()));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let mut all: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{} is not JSON: {error}", path.display()));
    match all[family].take() {
        Value::Null => panic!("{} has no family `{family}`", path.display()),
        family => family,
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn near(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1e-300), "{what}: {found} for {expected}");
}

fn all_near(found: &[f64], expected: &Value, what: &str) {
    let expected = numbers(expected);
    assert_eq!(found.len(), expected.len(), "{what}");
    found.iter().zip(expected).for_each(|(&found, expected)| near(found, expected, what));
}

fn outcomes() -> Vec<Scored> {
    let calibration = golden("calibration");
    let scores = numbers(&calibration["score"]).into_iter().zip(numbers(&calibration["y"]));
    scores.map(|(score, y)| Scored { score, malicious: y == 1.0 }).collect()
}

#[test]
fn staking_vectors_calibration_maps() {
    let expected = &golden("calibration")["expect"];
    let Map::Platt(platt) = Map::fit(MapKind::Platt, &outcomes()) else { panic!("a map") };
    all_near(&[platt.a, platt.b], &expected["platt"], "platt");
    let Map::Isotonic(isotonic) = Map::fit(MapKind::Isotonic, &outcomes()) else { panic!("a map") };
    all_near(&isotonic.scores, &expected["isotonic_x"], "isotonic");
    all_near(&isotonic.shares, &expected["isotonic_fit"], "isotonic");
    let Map::Beta(beta) = Map::fit(MapKind::Beta, &outcomes()) else { panic!("a map") };
    all_near(&[beta.a, beta.b, beta.c], &expected["beta"], "beta");
}

#[test]
fn staking_vectors_dawid_skene() {
    let golden = golden("distillation");
    let vote = |vote: &Value| match vote.as_i64().unwrap() {
        -1 => None,
        vote => Some(vote == 1),
    };
    let votes = |row: &Value| Votes { votes: row.as_array().unwrap().iter().map(vote).collect(), artifacts: 1.0 };
    let votes: Vec<Votes> = golden["votes"].as_array().unwrap().iter().map(votes).collect();
    let (found, expected) = (dawid_skene::estimate(&votes), &golden["dawid_skene"]);
    assert_eq!(u64::from(found.rounds), expected["iterations"].as_u64().unwrap());
    near(found.prevalence, expected["prevalence"].as_f64().unwrap(), "prevalence");
    all_near(&found.records.iter().map(Record::tpr).collect::<Vec<_>>(), &expected["tpr"], "tpr");
    all_near(&found.records.iter().map(Record::fpr).collect::<Vec<_>>(), &expected["fpr"], "fpr");
    all_near(&found.posteriors[..numbers(&expected["posterior_first10"]).len()], &expected["posterior_first10"], "posteriors");
}

#[test]
fn staking_vectors_log_odds_pool() {
    for case in golden("distillation")["pool"].as_array().unwrap() {
        let (tpr, fpr) = (numbers(&case["tpr"]), numbers(&case["fpr"]));
        let record = |(tpr, fpr): (&f64, &f64)| Record {
            true_positives: 1e4 * tpr,
            false_negatives: 1e4 * (1.0 - tpr),
            false_positives: 1e4 * fpr,
            true_negatives: 1e4 * (1.0 - fpr),
        };
        let records: Vec<Record> = tpr.iter().zip(&fpr).map(record).collect();
        let number = |key: &str| case[key].as_f64().unwrap();
        let answer = |vote: &Value| ScanResult { malicious: vote.as_u64().map(|vote| vote == 1), confidence: None };
        let answers: Vec<ScanResult> = case["votes"].as_array().unwrap().iter().map(answer).collect();
        match LogOddsDistiller::new(number("prior"), number("rho"), &records).distill(&answers) {
            Some(verdict) => near(verdict.probability, number("expect"), "pool"),
            // Where nobody answers the pool is the prior; the engine says nothing at all.
            None => near(number("prior"), number("expect"), "pool"),
        }
    }
}

#[test]
fn staking_vectors_stock_any() {
    for case in golden("distillation")["stock"].as_array().unwrap() {
        let flags = |key: &str| case[key].as_array().unwrap().iter().map(|flag| flag.as_bool().unwrap()).collect::<Vec<_>>();
        let (bits, verdicts, confidences) = (flags("bits"), flags("verdicts"), numbers(&case["confs"]));
        // polyswarm-client lets a backend without an opinion raise the alarm; here it has nothing to raise it with.
        if verdicts.iter().zip(&bits).any(|(verdict, bit)| *verdict && !bit) {
            continue;
        }
        let answer = |((&bit, &verdict), &confidence): ((&bool, &bool), &f64)| ScanResult {
            malicious: bit.then_some(verdict),
            confidence: Some(confidence as f32),
        };
        let answers: Vec<ScanResult> = bits.iter().zip(&verdicts).zip(&confidences).map(answer).collect();
        let verdict = StockAnyDistiller.distill(&answers);
        let expected = &case["expect"];
        assert_eq!(verdict.is_some(), expected[0].as_bool().unwrap());
        if let Some(verdict) = verdict {
            assert_eq!(verdict.malicious(), expected[1].as_bool().unwrap());
            // Confidences have 24 bits.
            assert!((verdict.confidence() - expected[2].as_f64().unwrap()).abs() < 1e-7);
        }
    }
}
