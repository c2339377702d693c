//! `sim tournament`: who spreads, whom nobody beats, and the same bytes whatever the machine.

use std::{fs, process::Output};

use assert_cmd::{Command, cargo::cargo_bin};
use serde_json::Value;

fn sim(args: &[&str]) -> Output {
    Command::new(cargo_bin!("sim")).args(args).output().unwrap()
}

/// A tournament of 300 bounties a market.
fn tournament(args: &[&str]) -> Output {
    let output = sim(&[&["tournament", "panel", "--quiet", "--set", "bounties=300"], args].concat());
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn json(args: &[&str]) -> Value {
    serde_json::from_slice(&tournament(&[args, &["--format", "json"]].concat()).stdout).unwrap()
}

fn figures(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|figure| figure.as_f64().unwrap()).collect()
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let args = ["-s", "pm-ev", "-s", "null/random", "-s", "thompson", "--size", "5", "--rounds", "4", "--seed", "3"];
    for format in ["text", "json"] {
        let with = |jobs| tournament(&[&args[..], &["--format", format, "--jobs", jobs]].concat()).stdout;
        assert!(with("1") == with("3"), "{format}");
    }
}

#[test]
fn the_better_strategy_takes_over_and_nobody_beats_it() {
    let result = json(&["-s", "stock/conservative", "-s", "stock/aggressive", "--size", "4", "--rounds", "30"]);
    let rounds = result["rounds"].as_array().unwrap();
    for round in rounds {
        assert_eq!(figures(&round["seats"]).iter().sum::<f64>(), 4.0, "{round}");
        let shares = figures(&round["shares"]);
        // Nobody falls below half a seat of four.
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9 && shares.iter().all(|&share| share > 0.1249), "{round}");
    }
    assert!(result["settled"] == true && rounds.len() < 30, "{} rounds", rounds.len());
    assert_eq!((&result["ending"], &result["leaders"]), (&"wins".into(), &serde_json::json!(["stock/aggressive"])));
    assert_eq!(figures(&rounds.last().unwrap()["shares"]), [0.125, 0.875]);
    // Among the cautious the bold earn more, and not the other way round.
    let pair = |row: usize, column: usize| &result["pairs"][row][column];
    assert_eq!((&pair(1, 0)["beats"], &pair(0, 1)["beats"]), (&true.into(), &false.into()));
    assert!(figures(&pair(0, 1)["interval"])[1] < 0.0);
    assert_eq!(pair(1, 1)["more_nct"], 0.0, "itself in its own place");
    let more = pair(1, 0)["profit_nct"].as_f64().unwrap() - pair(0, 0)["profit_nct"].as_f64().unwrap();
    assert!((more - pair(1, 0)["more_nct"].as_f64().unwrap()).abs() < 1e-9);
    assert_eq!(result["equilibria"], serde_json::json!(["stock/aggressive"]));
}

#[test]
fn equals_are_not_told_apart() {
    // Two names for one rule, on the same verdicts.
    let result = json(&["-s", "fixed", "-s", "fixed?bid=0.5", "--size", "3", "--rounds", "2"]);
    assert_eq!(figures(&result["pairs"][0].as_array().unwrap().iter().map(|pair| pair["more_nct"].clone()).collect()), [0.0, 0.0]);
    assert_eq!(result["equilibria"], serde_json::json!(["fixed", "fixed?bid=0.5"]));
    // Whoever sits better has better luck, and it is not counted.
    for round in result["rounds"].as_array().unwrap() {
        assert!(figures(&round["shares"]).iter().all(|share| (share - 0.5).abs() < 1e-9), "{round}");
    }
    assert_eq!((&result["learning"], &result["bounties"]), (&60.into(), &300.into()));
}

#[test]
fn the_report_says_it_in_words_and_the_file_has_the_figures() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tournament.json");
    let args = ["-s", "stock/conservative", "-s", "stock/aggressive", "--size", "4", "--rounds", "12"];
    let text = String::from_utf8(tournament(&[&args[..], &["--out", file.to_str().unwrap()]].concat()).stdout).unwrap();
    for part in [
        "4 seats, all with the profile of `Ikarus`; 2 strategies; 300 bounties in every market",
        "NCT per bounty of one seat with the row's strategy, the other 3 having the column's",
        "`stock/aggressive` wins: it has 87.5 % of the seats",
        "Where all play `stock/aggressive`, no other of these was seen to earn more: an equilibrium among them.",
        "Repeat   sim tournament panel --set bounties=300 -s stock/conservative -s stock/aggressive --size 4 --rounds 12",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (written, printed): (Value, Value) = (serde_json::from_slice(&fs::read(&file).unwrap()).unwrap(), json(&args));
    assert_eq!(written, printed);
}

#[test]
fn what_cannot_be_played_is_refused_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("taken.json");
    fs::write(&taken, "{}").unwrap();
    let two = ["-s", "fixed", "-s", "pm-ev"];
    let cases: &[(&[&str], &str)] = &[
        (&["-s", "fixed"], "--strategy `fixed`: a tournament takes two strategies or more"),
        (&["-s", "fixed", "-s", "fixed"], "--strategy `fixed` is named twice"),
        (&["-s", "fixed", "-s", "fxed"], "unknown strategy `fxed`"),
        (&["-s", "fixed", "-s", "oracle/label"], "`oracle/label` is for the engine under test only"),
        (&["-s", "fixed", "-s", "command?run=cat"], "`command` is for the engine under test only"),
        (&[&two[..], &["-s", "null/min", "--size", "2"]].concat(), "--size 2: there are 3 strategies"),
        (&[&two[..], &["--size", "1"]].concat(), "invalid value '1' for '--size <N>'"),
        (&[&two[..], &["--rounds", "0"]].concat(), "invalid value '0' for '--rounds <N>'"),
        (&[&two[..], &["--set", "rivals.0.model=none"]].concat(), "`rivals.0.model` is `none`"),
        (&[&two[..], &["--set", "rivals.0.engines=[]"]].concat(), "`rivals.0.engines` is empty"),
        (&[&two[..], &["--set", "rivals.0.engines=['Nobody']"]].concat(), "the profiles know no engine `Nobody`"),
        (&[&two[..], &["--set", "bounties=9"]].concat(), "8 bounties are too few: at least 10 are needed"),
        (&[&two[..], &["--out", taken.to_str().unwrap()]].concat(), "exists; name a new file"),
    ];
    for (args, part) in cases {
        let output = sim(&[&["tournament", "panel", "--quiet"], *args].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{args:?}: {stderr}");
        assert!(stderr.contains(part), "{args:?}: {stderr}");
    }
}
