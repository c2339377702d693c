//! The forests in `tests/data/lightgbm` were trained by LightGBM itself, which also made the predictions; its README says how.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::config::BackendKind;

fn data(file: &str) -> String {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/lightgbm").join(file)).unwrap()
}

/// The rows of `rows.csv`, as features.
fn rows() -> Vec<Vec<f64>> {
    let text = data("rows.csv");
    let mut lines = text.lines();
    let places: Vec<usize> = lines.next().unwrap().split(',').map(|name| feature(name).unwrap()).collect();
    let row = |line: &str| {
        let mut features = vec![0.0; NAMES.len()];
        for (at, value) in places.iter().zip(line.split(',')) {
            features[*at] = value.parse().unwrap();
        }
        features
    };
    lines.map(row).collect()
}

#[test]
fn forests_say_what_lightgbm_says() {
    for name in ["binary", "zero-missing", "no-missing", "forest"] {
        let forest = Forest::parse(&data(&format!("{name}.txt"))).unwrap();
        let text = data(&format!("{name}.predictions"));
        let predictions: Vec<f64> = text.lines().map(|line| line.parse().unwrap()).collect();
        let rows = rows();
        assert_eq!((rows.len(), predictions.len()), (60, 60));
        for (row, expected) in rows.iter().zip(predictions) {
            let found = forest.probability(row);
            assert!((found - expected).abs() < 1e-12, "{name}: {found}, not {expected}");
        }
    }
}

/// `text` is refused, with the line and the words.
fn refused(text: &str, line: usize, part: &str) {
    let problem = parse(text.as_bytes()).unwrap_err();
    assert!(problem.line == line && problem.problem.contains(part), "{problem}");
}

#[test]
fn a_malformed_forest_is_refused_by_line() {
    let good = data("binary.txt");
    let line_of = |start: &str| good.lines().position(|line| line.starts_with(start)).unwrap() + 1;
    let changed = |start: &str, to: &str| {
        let lines: Vec<&str> = good.lines().collect();
        let at = line_of(start) - 1;
        [&lines[..at], &[to], &lines[at + 1..]].concat().join("\n")
    };
    for (start, to, part) in [
        ("version=", "version=v9", "v3 and v4"),
        ("objective=", "objective=regression", "binary"),
        ("objective=", "objective=binary sigmoid:-1", "not a number"),
        ("feature_names=", "feature_names=entropy colour", "`colour`"),
        ("split_feature=", "split_feature=1 2 3", "3 numbers, not 7"),
        ("split_feature=", "split_feature=99 99 99 99 99 99 99", "not among"),
        ("left_child=", "left_child=0 0 0 0 0 0 0", "nowhere, or back"),
        ("right_child=", "right_child=-99 -1 -1 -1 -1 -1 -1", "nowhere, or back"),
        ("threshold=", "threshold=nan nan nan nan nan nan nan", ""),
        ("decision_type=", "decision_type=14 14 14 14 14 14 14", "unknown"),
        ("leaf_value=", "leaf_value=inf 0 0 0 0 0 0 0", "not a number"),
        ("num_leaves=", "num_leaves=many", "`many`"),
    ] {
        refused(&changed(start, to), line_of(start), part);
    }
    refused(&changed("num_class=", "num_class=3"), 1, "several classes");
    refused(&changed("is_linear=", "is_linear=1"), line_of("Tree=0"), "linear_tree=false");
    refused(good.split("Tree=3").next().unwrap(), good.split("Tree=3").next().unwrap().lines().count(), "copy the whole file");
    refused("tree\nversion=v4\nend of trees", 1, "`num_class` is missing");
}

const LINEAR: &str =
    "kind = \"logistic\"\nfeatures_version = 1\nintercept = -1.0\n\n[features.entropy]\nweight = 2.0\nmean = 4.0\nscale = 0.5\n";

#[test]
fn a_linear_model_is_evaluated_as_written() {
    let linear = Linear::parse(LINEAR).unwrap();
    let mut features = vec![0.0; NAMES.len()];
    features[feature("entropy").unwrap()] = 4.5;
    assert!((linear.probability(&features) - 1.0 / (1.0 + (-1.0_f64).exp())).abs() < 1e-15);
    refused(&LINEAR.replace("entropy", "colour"), 0, "`colour`");
    refused(&LINEAR.replace("scale = 0.5", "scale = 0"), 0, "scale positive");
    refused(&LINEAR.replace("weight = 2.0", "weight = nan"), 0, "finite");
    refused(&LINEAR.replace("features_version = 1", "features_version = 0"), 0, "train it again");
    refused(&LINEAR.replace("intercept = -1.0", "intercept = \"much\""), 3, "sim model train");
    refused("MZ", 1, "sim model train");
}

#[test]
fn a_model_gives_verdicts_and_names_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let open = |file: &str, threshold| {
        let config = BackendConfig { file: Some(file.to_owned()), threshold, ..BackendConfig::of(BackendKind::Model) };
        Model::open(&config, folder.path())
    };
    assert!(open("none.toml", None).unwrap_err().to_string().contains("none.toml"));
    fs::write(folder.path().join("m.toml"), LINEAR).unwrap();
    let model = open("m.toml", None).unwrap();
    let all: Vec<u8> = (0..=255).collect();
    let answer = |model: &Model, content: &[u8]| {
        let artifact = Artifact { content: Some(content), ..Artifact::default() };
        model.scan(&artifact, Instant::now()).unwrap().result
    };
    assert_eq!(answer(&model, &all).malicious, Some(true));
    assert_eq!(answer(&model, b"aaaa").malicious, Some(false));
    assert!(answer(&model, b"aaaa").confidence.unwrap() > 0.99);
    let strict = open("m.toml", Some(1.0)).unwrap();
    assert_eq!(answer(&strict, &all).malicious, Some(false));
    assert_ne!(strict.fingerprint, model.fingerprint);
    assert!(model.fingerprint.starts_with(&format!("model:{}:", features::fingerprint())), "{}", model.fingerprint);
    fs::write(folder.path().join("m.toml"), format!("# changed\n{LINEAR}")).unwrap();
    assert_ne!(open("m.toml", None).unwrap().fingerprint, model.fingerprint);
    fs::write(folder.path().join("m.toml"), "kind = 1").unwrap();
    let error = open("m.toml", None).unwrap_err().to_string();
    assert!(error.contains("m.toml, line 1: "), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is changed: refused, or a probability.
    #[test]
    fn any_change_to_a_forest_is_refused_or_evaluated(
        file in 0..3_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"0123456789-. =\nNai".to_vec())), 1..6),
    ) {
        let mut text = data(["binary.txt", "zero-missing.txt", "no-missing.txt"][file]).into_bytes();
        for (at, byte) in changes {
            let at = at.index(text.len());
            text[at] = byte;
        }
        if let Ok(Kind::Forest(forest)) = parse(&text) {
            for row in rows() {
                prop_assert!((0.0..=1.0).contains(&forest.probability(&row)));
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(tree\n)?(.|\n|=|Tree=0\n){0,200}") {
        let _ = parse(text.as_bytes());
    }
}
