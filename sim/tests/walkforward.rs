//! `sim walkforward`: strategies chosen by the past, and evaluations in time that are refused.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use assert_cmd::{Command, cargo::cargo_bin};
use serde_json::Value;
use tempfile::tempdir;

/// Bounties that are played.
const BOUNTIES: usize = 1_200;
/// The day from which on labels are altered, in one test.
const ALTERED_FROM: &str = "2024-03-11";

fn sim(args: &[&str]) -> Output {
    Command::new(cargo_bin!("sim")).args(args).output().unwrap()
}

fn json(args: &[&str]) -> Value {
    let output = sim(&[args, &["--format", "json", "--quiet"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn walk(args: &[&str]) -> Value {
    json(&[&["walkforward", "panel", "--set", "bounties=1200"], args].concat())
}

fn refused(args: &[&str], says: &str) {
    let output = sim(args);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
    assert!(error.contains(says), "{args:?}: {error}");
}

/// The rows of the panel that are played, 60 a day from the first of March 2024 on, each altered.
fn corpus(folder: &Path, name: &str, alter: impl Fn(&mut Vec<Vec<String>>)) -> PathBuf {
    let panel = Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/corpora/panel");
    let table = fs::read_to_string(panel.join("artifacts.csv")).unwrap();
    let (header, rows) = table.split_once('\n').unwrap();
    let mut rows: Vec<Vec<String>> = rows.lines().take(BOUNTIES).map(|row| row.split(',').map(str::to_owned).collect()).collect();
    for (number, row) in rows.iter_mut().enumerate() {
        row[5] = format!("2024-03-{:02}", 1 + number / 60);
    }
    alter(&mut rows);
    let corpus = folder.join(name);
    fs::create_dir(&corpus).unwrap();
    fs::copy(panel.join("manifest.toml"), corpus.join("manifest.toml")).unwrap();
    let rows: String = rows.iter().map(|row| row.join(",") + "\n").collect();
    fs::write(corpus.join("artifacts.csv"), format!("{header}\n{rows}")).unwrap();
    corpus
}

#[test]
fn what_counts_is_what_was_chosen_earned_in_its_periods() {
    let walked = walk(&["-s", "pm-ev", "-s", "stock/default"]);
    let whole = json(&["compare", "panel", "--set", "bounties=1200", "-s", "pm-ev", "-s", "stock/default"]);
    let periods = walked["periods"].as_array().unwrap();
    assert_eq!((periods.len(), &walked["train"], &walked["evaluated"]), (10, &240.into(), &960.into()));
    let nct = |value: &Value| value.as_f64().unwrap();
    let sum = |figure: &str| periods.iter().map(|period| nct(&period[figure])).sum::<f64>();
    assert!((sum("profit_nct") - nct(&walked["walk"]["profit_nct"])).abs() < 1e-9);
    assert!((sum("baseline_nct") - nct(&walked["walk"]["baseline_nct"])).abs() < 1e-9);
    let mut next = 240;
    for period in periods {
        assert_eq!(period["bounties"][0], next, "periods follow each other");
        next = period["bounties"][1].as_u64().unwrap();
        // Half a bounty per block, and 131 blocks until all is settled.
        let open = period["bounties"][0].as_u64().unwrap() - period["chosen_by"].as_u64().unwrap();
        assert!((30..110).contains(&open), "{open} bounties were open");
        assert!(nct(&period["best_nct"]) >= nct(&period["profit_nct"]));
    }
    // The market is that of a comparison: with what is trained on, a strategy alone earned as much.
    let alone = walked["strategies"].as_array().unwrap().iter().find(|facts| facts["strategy"] == "stock/default").unwrap();
    let all = whole["strategies"].as_array().unwrap().iter().find(|facts| facts["strategy"] == "stock/default").unwrap();
    assert!(nct(&alone["profit_nct"]) < nct(&all["profit_nct"]) && nct(&alone["profit_nct"]) > 0.7 * nct(&all["profit_nct"]));
    let regret = nct(&walked["walk"]["best_nct"]) - nct(&walked["walk"]["profit_nct"]);
    assert!((regret - nct(&walked["walk"]["regret_nct"])).abs() < 1e-9 && regret >= 0.0);
}

#[test]
fn who_must_choose_the_baseline_earns_what_it_earns() {
    let walked = walk(&["-s", "null/min", "--folds", "4", "--train", "40"]);
    assert!(walked["periods"].as_array().unwrap().iter().all(|period| period["chosen"] == "stock/aggressive"), "nobody chooses a null");
    assert_eq!(walked["walk"]["profit_nct"], walked["walk"]["baseline_nct"]);
    assert_eq!((&walked["walk"]["regret_nct"], &walked["walk"]["difference"]["distinct"]), (&0.0.into(), &false.into()));
}

#[test]
fn the_future_does_not_change_the_past() {
    let folder = tempdir().unwrap();
    let before = corpus(folder.path(), "before", |_| ());
    // From a day on, what was malicious is benign and the other way round: every verdict that was right is wrong.
    let after = corpus(folder.path(), "after", |rows| {
        for row in rows.iter_mut().filter(|row| row[5].as_str() >= ALTERED_FROM) {
            row[1] = if row[1] == "malicious" { "benign" } else { "malicious" }.to_owned();
            row[4].clear();
        }
    });
    let args = |corpus: &Path| {
        let corpus = corpus.to_str().unwrap().to_owned();
        json(&["walkforward", &corpus, "--period", "day", "--train", "25", "-s", "pm-ev", "-s", "adahedge", "-s", "fixed?bid=0.2"])
    };
    let (before, after) = (args(&before), args(&after));
    let begins = |period: &Value| period["first_seen"][0].as_str().unwrap().to_owned();
    let periods = |walked: &Value| walked["periods"].as_array().unwrap().clone();
    assert_eq!(periods(&before).len(), 15, "20 days less the five that train");
    for (one, other) in periods(&before).iter().zip(&periods(&after)) {
        if begins(one).as_str() < ALTERED_FROM {
            assert_eq!(one, other);
        } else if begins(one).starts_with(ALTERED_FROM) {
            assert_eq!((&one["chosen"], &one["chosen_by"]), (&other["chosen"], &other["chosen_by"]), "its own bounties decide nothing");
            assert!(one["profit_nct"].as_f64().unwrap() > other["profit_nct"].as_f64().unwrap(), "else nothing was altered");
        }
    }
}

#[test]
fn the_engine_says_the_same_whatever_is_staked() {
    let learns = ["--set", "engine.distiller.kind=stack", "--set", "engine.calibration.map=auto", "--folds", "3"];
    let backends = ["--set", "engine.backends=[{kind='recorded',column='K7GW'},{kind='recorded',column='DrWeb'}]"];
    let calls = |first: &str| {
        let walked = walk(&[&learns[..], &backends, &["-s", first]].concat());
        let periods = walked["periods"].as_array().unwrap().iter().map(|period| (period["label"].clone(), period["consensus"].clone()));
        (periods.collect::<Vec<_>>(), walked["areas"]["label"].clone())
    };
    let learner = calls("pm-ev");
    assert_eq!(calls("null/ben"), learner);
    assert_eq!(calls("oracle/label"), learner);
    let accuracy = |period: usize| learner.0[period].0["accuracy"].as_f64().unwrap();
    let area = (accuracy(0) / 2.0 + accuracy(1) + accuracy(2) / 2.0) / 2.0;
    assert!((learner.1["accuracy"]["aut"].as_f64().unwrap() - area).abs() < 1e-12);
}

#[test]
fn an_area_that_there_is_not_is_null_with_a_reason() {
    let walked = walk(&["--folds", "1"]);
    for area in [&walked["areas"]["label"]["f1"], &walked["areas"]["profit_per_bounty"]] {
        assert_eq!((&area["aut"], area["reason"].as_str()), (&Value::Null, Some("there is only one period, and an area needs two")));
    }
    let text = sim(&["walkforward", "panel", "--set", "bounties=600", "--folds", "1", "--quiet"]).stdout;
    assert!(String::from_utf8(text).unwrap().contains("none: there is only one period"));
}

#[test]
fn the_number_of_threads_changes_nothing_but_the_time() {
    let figures = |jobs: &str| {
        let mut walked = walk(&["--seeds", "2", "--jobs", jobs]);
        walked.as_object_mut().unwrap().remove("wall");
        walked
    };
    let one = figures("1");
    assert_eq!(one, figures("3"));
    assert_eq!(one["name"]["seeds"], serde_json::json!([0, 1]));
    assert_ne!(one["walk"], walk(&[])["walk"], "a second market counts");
}

#[test]
fn a_biased_evaluation_is_refused_or_stamped() {
    let folder = tempdir().unwrap();
    let swapped = corpus(folder.path(), "swapped", |rows| rows.swap(100, 900));
    // The second of two halves of each day is malware.
    let apart = corpus(folder.path(), "apart", |rows| {
        rows.sort_by_key(|row| (row[5].clone(), row[1] == "malicious"));
        for row in rows {
            let hour = if row[1] == "malicious" { "T18:00:00Z" } else { "T06:00:00Z" };
            row[5] += hour;
        }
    });
    // Three in four benign artifacts of the later days are left out.
    let rising = corpus(folder.path(), "rising", |rows| {
        let mut number = 0;
        rows.retain(|row| {
            number += 1;
            row[5].as_str() < "2024-03-05" || row[1] == "malicious" || number % 8 == 0
        });
    });
    for (corpus, name, says) in [
        (&swapped, "time-order", "time-order: 800 artifacts come after one that was first seen later, the first in row"),
        (&apart, "window", "window: in period 1 malware is later than benign artifacts in 100 % of pairs"),
        (&rising, "ratio", "% of what is judged is malware, and"),
    ] {
        let corpus = corpus.to_str().unwrap();
        let walk = ["walkforward", corpus, "--period", "day"];
        refused(&walk, says);
        refused(&walk, &format!(", or accept it with `--allow-bias {name}`"));
        let split = ["compare", corpus, "--split", "20/30/50", "-s", "fixed"];
        if name != "window" {
            refused(&split, says);
        }
        let allowed = json(&[&walk[..], &["--allow-bias", name]].concat());
        assert_eq!(allowed["allowed_biases"][0]["bias"], name);
        assert!(allowed["allowed_biases"][0]["found"].as_str().unwrap().contains(says.split(": ").last().unwrap()));
        let text = sim(&[&split[..], &["--allow-bias", name, "--quiet"]].concat()).stdout;
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with("warning: ") && text.lines().next().unwrap().contains(&format!("--allow-bias {name}:")), "{text}");
    }
    refused(&["walkforward", rising.to_str().unwrap(), "--malware-share", "5..15"], "not 5 to 15 % as --malware-share says");
    let realistic = json(&["walkforward", rising.to_str().unwrap(), "--malware-share", "60..99", "--period", "day"]);
    assert_eq!(realistic["allowed_biases"], serde_json::json!([]));
}

#[test]
fn a_corpus_without_dates_is_a_sequence_in_the_order_given() {
    let folder = tempdir().unwrap();
    let undated = corpus(folder.path(), "undated", |rows| rows.iter_mut().for_each(|row| row[5].clear()));
    let undated = undated.to_str().unwrap();
    let walked = json(&["walkforward", undated, "-s", "fixed"]);
    assert_eq!(walked["periods"][0]["first_seen"], Value::Null);
    let warned = |comparison: &Value| comparison["warnings"].to_string().contains("the corpus has no dates");
    assert!(warned(&walked) && warned(&json(&["compare", undated, "--split", "20/30/50"])));
    assert!(!warned(&json(&["compare", undated])), "nothing is about time there");
    refused(&["walkforward", undated, "--period", "week"], "1200 of 1200 artifacts have no `first_seen`; use --folds");
}

#[test]
fn what_cannot_be_evaluated_is_said_before_it_is_played() {
    let folder = tempdir().unwrap();
    let taken = folder.path().join("taken.json");
    fs::write(&taken, "mine").unwrap();
    let taken = taken.to_str().unwrap();
    for (args, says) in [
        (&["-s", "stock/agressive"][..], "the nearest are `stock/aggressive`"),
        (&["--baseline", "oracle/label"], "nobody can choose an oracle"),
        (&["--out", taken], "exists; name a new file"),
        (&["--folds", "0"], "0 is not in 1..=10000"),
        (&["--folds", "3", "--period", "day"], "cannot be used with"),
        (&["--train", "100"], "a number above 0 and below 100"),
        (&["--allow-bias", "luck"], "[possible values: time-order, window, ratio]"),
        (&["--malware-share", "15..5"], "two percentages, the smaller one first"),
        (&["--set", "bounties=20", "--folds", "20"], "after training there are 16 bounties; choose fewer folds"),
        (&["--set", "bounties=100", "--folds", "2"], "--train: too little is settled before the first period: 0 bounties are too few"),
        (&["--period", "month"], "the corpus ends in the month in which training does"),
        (&["--set", "bounties=9000"], "time-order: the corpus is played 1.5 times over"),
    ] {
        refused(&[&["walkforward", "panel"], args].concat(), says);
    }
    assert_eq!(fs::read_to_string(taken).unwrap(), "mine");
    refused(&["compare", "--allow-bias", "ratio"], "give --split, too");
    let new = folder.path().join("walkforward.json");
    assert!(sim(&["walkforward", "--set", "bounties=400", "--out", new.to_str().unwrap(), "--quiet"]).status.success());
    let written: Value = serde_json::from_slice(&fs::read(new).unwrap()).unwrap();
    assert_eq!(written["schema"], 1);
}
