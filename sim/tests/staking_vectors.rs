//! Statistics against golden vectors, computed by an independent program: `tests/vectors/staking/vectors.json`, or another file
//! of its format in `STAKING_VECTORS` (absolute, or from the root of the workspace).
//!
//! p-values are exact, because resamples are; other floats agree within 1e-9 of their size.

use std::{
    fs,
    path::{Path, PathBuf},
};

use engine::{
    chance::{Key, Stream, fnv1a64, mix64},
    distill::DistilledVerdict,
};
use serde_json::Value;
use sim::{
    forecast::{self, Forecasts},
    score::Table,
    statistics::{
        bootstrap::{Plan, Resampled, bca},
        many::{Scale, Strategies},
        metrics::{self, Tail},
        multiplicity,
        overfitting::{self, Score, Sharpe},
        paired,
        planning::{Power, Sequence},
        series, variance,
    },
};

/// One family of the vectors.
fn family(name: &str) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let named = std::env::var_os("STAKING_VECTORS").map(PathBuf::from);
    let path = root.join(named.unwrap_or_else(|| "tests/vectors/staking/vectors.json".into()));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let mut all: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{} is not JSON: {error}", path.display()));
    match all[name].take() {
        Value::Null => panic!("{} has no family `{name}`", path.display()),
        family => family,
    }
}

fn array<'a>(value: &'a Value, what: &str) -> &'a [Value] {
    value.as_array().unwrap_or_else(|| panic!("`{what}` is no list but {value}"))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// An integer, as a number or, from 2^53 on, as a text.
fn integer(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_else(|| panic!("{value} is no integer"))
}

fn numbers(value: &Value) -> Vec<f64> {
    array(value, "numbers").iter().map(number).collect()
}

/// Cases of a family: never none.
fn cases<'a>(family: &'a Value, key: &str) -> &'a [Value] {
    let cases = array(&family[key], key);
    assert!(!cases.is_empty(), "`{key}` has no case");
    cases
}

#[track_caller]
fn near(found: f64, expected: &Value, what: &str) {
    let expected = number(expected);
    assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{what}: {found} for {expected}");
}

#[track_caller]
fn all_near(found: &[f64], expected: &Value, what: &str) {
    let expected = array(expected, what);
    assert_eq!(found.len(), expected.len(), "{what}");
    found.iter().zip(expected).for_each(|(found, expected)| near(*found, expected, what));
}

/// p-values are quotients of whole numbers.
#[track_caller]
fn exact(found: f64, expected: &Value, what: &str) {
    let expected = number(expected);
    assert!((found - expected).abs() <= 1e-12, "{what}: {found} for {expected}");
}

#[track_caller]
fn all_exact(found: &[f64], expected: &Value, what: &str) {
    let expected = array(expected, what);
    assert_eq!(found.len(), expected.len(), "{what}");
    found.iter().zip(expected).for_each(|(found, expected)| exact(*found, expected, what));
}

/// The address of these words, texts and numbers.
fn address(words: &[Value]) -> Key {
    let word = |word: &Value| word.as_str().map_or_else(|| integer(word), fnv1a64);
    words[1..].iter().fold(Key::root(word(&words[0])), |key, next| key.with(word(next)))
}

#[test]
fn staking_vectors_rng() {
    let rng = family("rng");
    for case in cases(&rng, "splitmix64") {
        let seed = integer(&case["seed"]);
        for (k, expected) in (1..).zip(cases(case, "expect")) {
            assert_eq!(mix64(seed.wrapping_add(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(k))), integer(expected), "SplitMix64 from {seed}");
        }
    }
    for case in cases(&rng, "fnv1a64") {
        let text = case["text"].as_str().unwrap();
        assert_eq!(fnv1a64(text), integer(&case["expect"]), "FNV-1a of `{text}`");
    }
    for case in cases(&rng, "stream") {
        let mut stream = address(cases(case, "words")).stream();
        cases(case, "expect").iter().for_each(|expected| assert_eq!(stream.bits(), integer(expected), "{case}"));
    }
    // The addresses of these are (`u`, seed) and (`b`, seed); the file says which seeds there are, but not which is meant.
    let seeds: Vec<u64> = cases(&rng, "splitmix64").iter().map(|case| integer(&case["seed"])).collect();
    let drawn_by_some = |name: &str, drawn: &dyn Fn(&mut Stream) -> bool| {
        let found = seeds.iter().any(|&seed| drawn(&mut Key::root(fnv1a64(name)).with(seed).stream()));
        assert!(found, "no seed of {seeds:?} draws the numbers of `{name}`");
    };
    for case in cases(&rng, "uniform") {
        // The last bit may be lost in reading.
        drawn_by_some("u", &|stream| numbers(case).iter().all(|&expected| (stream.uniform() - expected).abs() < 1e-15));
    }
    for case in cases(&rng, "below10") {
        drawn_by_some("b", &|stream| array(case, "below10").iter().all(|expected| stream.below(10) == integer(expected)));
    }
}

#[test]
fn staking_vectors_resample() {
    let resample = family("resample");
    let (x, expected) = (numbers(&resample["x"]), &resample["expect"]);
    let plan = Plan { block: number(&resample["ell"]), resamples: integer(&resample["reps"]) as u32, seed: integer(&resample["seed"]) };
    for (number, row) in (0..).zip(cases(&resample, "index_first_rows")) {
        let mut places = Vec::new();
        plan.draw(number, x.len(), &mut places);
        // The file may hold the beginning of a row.
        let row: Vec<u32> = array(row, "a row").iter().map(|place| integer(place) as u32).collect();
        assert_eq!(places[..row.len()], row, "row {number}");
    }
    near(variance::block_length(&x), &expected["block_length"], "block length");
    let resampled = Resampled::new(&[&x], &plan).unwrap();
    let moments = resampled.moments[0];
    near(moments.omega * moments.omega, &expected["lrv"], "long-run variance");
    let means: Vec<f64> = resampled.resamples().map(|row| moments.mean + row[0].shift).collect();
    near(series::mean(&means), &expected["boot_mean_of_means"], "mean of means");
    near(series::deviation(&means), &expected["boot_sd"], "deviation of means");
    let percentile = resampled.percentile(0, 0.95);
    all_near(&[percentile.low, percentile.high], &expected["percentile"], "percentile");
    let basic = [percentile.high, percentile.low].map(|end| 2.0 * moments.mean - end);
    all_near(&basic, &expected["basic"], "basic");
    let mean = |places: &[u32]| places.iter().map(|&place| x[place as usize]).sum::<f64>() / places.len() as f64;
    let interval = bca(x.len(), &plan, 0.95, mean).unwrap();
    all_near(&[interval.low, interval.high], &expected["bca"], "BCa");
    let interval = resampled.studentized(0, 0.95);
    all_near(&[interval.low, interval.high], &expected["student"], "studentized");
    let test = &resample["sign_flip"];
    let flips: Vec<Vec<f64>> = cases(test, "flips").iter().map(numbers).collect();
    let p = paired::sign_flip_with(&x, integer(&test["block"]) as usize, &flips).unwrap();
    exact(p, &test["expect"], "sign flips");
}

#[test]
fn staking_vectors_calibration() {
    let calibration = family("calibration");
    let (scores, malicious) = (numbers(&calibration["score"]), numbers(&calibration["y"]));
    let points: Vec<(f64, bool)> = scores.into_iter().zip(malicious.into_iter().map(|y| y == 1.0)).collect();
    let (mut forecasts, mut table) = (Forecasts::default(), Table::default());
    for &(p, malicious) in &points {
        forecasts.add(&(&DistilledVerdict { probability: p, interval: (p, p) }).into(), malicious);
        table.add(p >= 0.5, malicious);
    }
    let (facts, expected) = (forecasts.facts().unwrap(), &calibration["expect"]);
    near(facts.brier, &expected["brier"], "Brier score");
    near(facts.log_loss, &expected["logloss"], "log-loss");
    near(facts.ece_equal_width, &expected["ece_width10"], "calibration error, equal width");
    near(forecast::equal_mass_error(&points), &expected["ece_mass10"], "calibration error, equal mass");
    all_near(&[facts.reliability, facts.resolution, facts.uncertainty], &expected["murphy"], "parts of the Brier score");
    near(facts.spiegelhalter_z.unwrap(), &expected["spiegelhalter_z"], "Spiegelhalter's z");
    near(facts.auc.unwrap(), &expected["auc"], "AUC");
    let expected = &expected["detection_at_half"];
    for (found, key) in
        [(table.true_positives, "tp"), (table.false_positives, "fp"), (table.false_negatives, "fn"), (table.true_negatives, "tn")]
    {
        assert_eq!(found, integer(&expected[key]), "{key}");
    }
    for (found, key) in [
        (table.accuracy(), "accuracy"),
        (table.tpr(), "tpr"),
        (table.fpr(), "fpr"),
        (table.precision(), "precision"),
        (table.balanced(), "balanced"),
        (table.f1(), "f1"),
        (Some(table.mcc()), "mcc"),
    ] {
        near(found.unwrap_or(0.0), &expected[key], key);
    }
}

#[test]
fn staking_vectors_multiplicity() {
    let multiplicity = family("multiplicity");
    let p = numbers(&multiplicity["p"]);
    all_near(&multiplicity::holm(&p), &multiplicity["holm"], "Holm");
    all_near(&multiplicity::benjamini_hochberg(&p), &multiplicity["bh"], "Benjamini and Hochberg");
}

/// The columns of a matrix that is given by rows.
fn columns(matrix: &Value) -> Vec<Vec<f64>> {
    let rows: Vec<Vec<f64>> = array(matrix, "a matrix").iter().map(numbers).collect();
    (0..rows[0].len()).map(|column| rows.iter().map(|row| row[column]).collect()).collect()
}

#[test]
fn staking_vectors_many_strategies() {
    let many = family("many_strategies");
    let columns = columns(&many["D"]);
    let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let plan = Plan { block: number(&many["ell"]), resamples: integer(&many["reps"]) as u32, seed: integer(&many["seed"]) };
    let (strategies, expected) = (Strategies::new(&columns, &plan).unwrap(), &many["expect"]);
    let omegas: Vec<f64> = strategies.resampled().moments.iter().map(|moments| moments.omega).collect();
    all_near(&omegas, &expected["omega"], "omega");
    for (scale, name) in [(Scale::Fixed, ""), (Scale::Resampled, "_restudentized")] {
        let (found, spa) = (strategies.superior(scale), &expected[format!("spa{name}")]);
        for (p, key) in [(found.white, "white"), (found.lower, "lower"), (found.consistent, "consistent"), (found.upper, "upper")] {
            exact(p, &spa[key], &format!("SPA{name}, {key}"));
        }
        all_exact(&strategies.better(scale), &expected[format!("romano_wolf{name}")], &format!("Romano and Wolf{name}"));
    }
    all_exact(&strategies.among_best(), &expected["mcs_on_losses_minus_D"], "model confidence set");
}

#[test]
fn staking_vectors_overfitting() {
    let overfitting = family("overfitting");
    let (columns, expected) = (columns(&overfitting["M"]), &overfitting["expect"]);
    let trials: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let sharpes: Vec<Sharpe> = trials.iter().map(|trial| Sharpe::of(trial).unwrap()).collect();
    let ratios: Vec<f64> = sharpes.iter().map(|sharpe| sharpe.ratio).collect();
    all_near(&ratios, &expected["sharpe"], "Sharpe ratios");
    let best = (0..ratios.len()).max_by(|&one, &other| ratios[one].total_cmp(&ratios[other])).unwrap();
    assert_eq!(best as u64, integer(&expected["best"]));
    let best = sharpes[best];
    all_near(&[best.ratio, best.skewness, best.kurtosis], &expected["moments"], "moments");
    near(best.probability_above(0.0), &expected["psr0"], "probabilistic Sharpe ratio");
    let luck = overfitting::expected_maximum(&ratios, ratios.len() as f64);
    near(luck, &expected["expected_max_sr"], "the largest Sharpe ratio to expect");
    near(best.probability_above(luck), &expected["dsr"], "deflated Sharpe ratio");
    near(overfitting::effective_trials(&trials).unwrap(), &expected["n_effective"], "effective trials");
    let mean = overfitting::overfitting(&trials, 8, Score::Mean).unwrap();
    let sharpe = overfitting::overfitting(&trials, 8, Score::Sharpe).unwrap();
    near(mean.probability, &expected["pbo_mean"], "overfitting by mean");
    near(sharpe.probability, &expected["pbo_sharpe"], "overfitting by Sharpe ratio");
    let first = array(&expected["logit_first"], "logits").len();
    all_near(&mean.logits[..first], &expected["logit_first"], "logits");
}

#[test]
fn staking_vectors_planning() {
    let planning = family("planning");
    for case in cases(&planning, "n_required") {
        let power = Power { alpha: number(&case["alpha"]), power: number(&case["power"]) };
        assert_eq!(power.bounties(number(&case["sd"]), number(&case["delta"])), number(&case["expect"]), "{case}");
    }
    let roi = &planning["roi"];
    let [p1, s1, p2, s2] = ["P1", "S1", "P2", "S2"].map(|key| numbers(&roi[key]));
    all_near(&paired::roi_difference((&p1, &s1), (&p2, &s2)).unwrap().errors, &roi["expect"], "difference of returns");
    // The sequence is that of the family `resample`.
    let (x, expected) = (numbers(&family("resample")["x"]), &planning["conf_sequence"]);
    let mut sequence = Sequence::new(number(&expected["alpha"]), number(&expected["t_opt"]));
    let (mut means, mut half_widths) = (Vec::new(), Vec::new());
    let at: Vec<u64> = cases(expected, "at").iter().map(integer).collect();
    for value in x {
        sequence.add(value);
        if at.contains(&sequence.count()) {
            means.push(sequence.mean());
            half_widths.push(sequence.half_width());
        }
    }
    all_near(&means, &expected["mean"], "means");
    all_near(&half_widths, &expected["halfwidth"], "half-widths");
}

#[test]
fn staking_vectors_metrics() {
    let metrics = family("metrics");
    let (whole, expected) = (numbers(&metrics["profit"]), &metrics["expect"]);
    let fall = metrics::drawdown(&whole);
    let place = |place: Option<usize>| place.map_or(-1.0, |place| place as f64);
    all_near(&[fall.depth, place(fall.peak), place(fall.trough), fall.under_water as f64], &expected["drawdown"], "drawdown");
    let profits: Vec<f64> = whole.iter().map(|profit| profit / 1000.0).collect();
    near(metrics::sharpe(&profits).unwrap(), &expected["sharpe"], "Sharpe");
    near(metrics::sortino(&profits).unwrap(), &expected["sortino"], "Sortino");
    for (key, figure) in expected.as_object().unwrap() {
        for (name, of) in [("var", (|tail| tail.at_risk) as fn(Tail) -> f64), ("cvar", |tail| tail.conditional)] {
            if let Some(percent) = key.strip_prefix(name).and_then(|percent| percent.parse::<f64>().ok()) {
                near(of(metrics::tail(&profits, percent / 100.0).unwrap()), figure, key);
            }
        }
    }
    let theta = metrics::lundberg(&profits);
    for (found, expected) in [theta, metrics::ruin_bound(theta, 5.0)].into_iter().zip(numbers(&expected["lundberg"])) {
        assert!((found - expected).abs() <= 1e-7, "Lundberg: {found} for {expected}");
    }
    let shares: Vec<f64> = profits.iter().map(|profit| profit.abs()).collect();
    near(metrics::gini(&shares).unwrap(), &expected["gini"], "Gini");
    near(metrics::herfindahl(&shares).unwrap(), &expected["hhi"], "Herfindahl");
}
