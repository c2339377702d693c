//! `sim compare`: the same market for every strategy, and only what its figures can bear.

use std::{fs, process::Output};

use assert_cmd::{Command, cargo::cargo_bin};
use serde_json::Value;
use tempfile::tempdir;

fn sim(args: &[&str]) -> Output {
    Command::new(cargo_bin!("sim")).args(args).output().unwrap()
}

fn json(args: &[&str]) -> Value {
    let output = sim(&[args, &["--format", "json", "--quiet"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn compare(args: &[&str]) -> Value {
    json(&[&["compare", "panel", "--set", "bounties=600"], args].concat())
}

fn strategy<'a>(comparison: &'a Value, name: &str) -> &'a Value {
    let all = comparison["strategies"].as_array().unwrap();
    all.iter().find(|facts| facts["strategy"] == name).unwrap_or_else(|| panic!("{name} is not in {all:?}"))
}

#[test]
fn every_strategy_earns_what_it_earns_alone() {
    let comparison = compare(&["-s", "fixed?bid=0.3", "-s", "stock/default", "--seed", "4"]);
    for name in ["fixed?bid=0.3", "stock/default", "stock/aggressive", "null/random", "oracle/label"] {
        let alone = json(&["replay", "panel", "--set", "bounties=600", "--seed", "4", "--no-nulls", "-s", name]);
        assert_eq!(strategy(&comparison, name)["profits"][0], alone["engine"]["profit"], "{name}");
        let total = strategy(&comparison, name)["profit_nct"].as_f64().unwrap();
        assert!((total - alone["engine"]["profit"]["nct"].as_f64().unwrap()).abs() < 1e-6, "{name}: bounties add up to {total}");
    }
}

#[test]
fn the_number_of_threads_changes_nothing_but_the_time() {
    let figures = |jobs: &str| {
        let mut comparison = compare(&["--seeds", "3", "--jobs", jobs]);
        comparison.as_object_mut().unwrap().remove("wall");
        comparison
    };
    let one = figures("1");
    assert_eq!(one, figures("3"));
    assert_eq!(strategy(&one, "fixed")["profits"].as_array().unwrap().len(), 3, "one for each market");
    assert_eq!(one["name"]["seeds"], serde_json::json!([0, 1, 2]));
}

#[test]
fn equals_are_not_told_apart_and_the_worse_is() {
    let comparison = compare(&["-s", "fixed", "-s", "null/min", "-s", "fixed?bid=0.1", "--baseline", "fixed?bid=0.5"]);
    let repeat = comparison["command"].as_str().unwrap();
    assert!(repeat.ends_with("-s null/min -s 'fixed?bid=0.1' --baseline 'fixed?bid=0.5'"), "{repeat}");
    let same = &strategy(&comparison, "fixed")["difference"];
    assert_eq!((&same["per_bounty"]["nct"], &same["p"], &same["distinct"]), (&0.0.into(), &1.0.into(), &false.into()));
    assert_eq!(strategy(&comparison, "fixed")["among_best"], true);
    let worse = strategy(&comparison, "fixed?bid=0.1");
    assert_eq!((&worse["difference"]["distinct"], &worse["among_best"]), (&true.into(), &false.into()));
    assert!(worse["difference"]["per_bounty"]["interval"][1].as_f64().unwrap() < 0.0);
    assert_eq!(comparison["choice"]["set"], serde_json::json!(["fixed", "fixed?bid=0.5"]));
    // Nobody chooses a null strategy, whoever names it.
    assert_eq!(strategy(&comparison, "null/min")["role"], "null");
    assert!(comparison["superior"]["p"].as_f64().unwrap() > 0.5);
}

#[test]
fn what_is_judged_by_begins_after_all_that_came_before_is_settled() {
    let whole = compare(&["-s", "fixed"]);
    let part = compare(&["-s", "fixed", "--split", "50/20/30"]);
    assert_eq!((&whole["split"], &whole["evaluated"]), (&Value::Null, &600.into()));
    let bounds = |name: &str| [0, 1].map(|end| part["split"][name][end].as_u64().unwrap());
    let ([_, train], [choose, chosen], [test, end]) = (bounds("train"), bounds("validate"), bounds("test"));
    assert_eq!((train, chosen, end), (300, 420, 600));
    // Half a bounty per block, and 20 + 25 + 25 + 1 blocks from posting to settlement.
    let embargo = part["split"]["embargo_blocks"].as_u64().unwrap();
    for skipped in [choose - train, test - chosen] {
        assert!((embargo / 4..embargo).contains(&skipped), "{skipped} bounties in {embargo} blocks");
    }
    assert_eq!(part["evaluated"], 600 - test);
    assert_eq!(strategy(&part, "fixed")["profits"], strategy(&whole, "fixed")["profits"], "the market is the same");
    let sum = |comparison: &Value| strategy(comparison, "fixed")["profit_nct"].as_f64().unwrap();
    assert!(sum(&part) < 0.4 * sum(&whole));
}

#[test]
fn it_ends_when_all_is_decided_and_not_before() {
    let early = json(&["compare", "panel", "-s", "stock/conservative", "--until-decided"]);
    let watched = &strategy(&early, "stock/conservative")["difference"];
    assert_eq!((&early["evaluated"], &early["watched"], &watched["distinct"]), (&1000.into(), &true.into(), &true.into()));
    assert_eq!(watched["watched"]["decided_after"], 1000, "as soon as it may be looked at");
    assert_eq!((&watched["p"], &early["superior"]), (&Value::Null, &Value::Null), "they hold only for those who did not look");
    // Two that are the same are never told apart.
    let never = json(&["compare", "panel", "-s", "fixed", "--baseline", "fixed?bid=0.5", "--until-decided"]);
    assert_eq!(never["evaluated"], 6000);
    assert_eq!(strategy(&never, "fixed")["difference"]["watched"]["decided_after"], Value::Null);
    // Who plays on decides at the same bounty: the first ones are those of the whole corpus.
    let whole = json(&["compare", "panel", "-s", "stock/conservative"]);
    assert_eq!(strategy(&whole, "stock/conservative")["difference"]["watched"]["decided_after"], watched["watched"]["decided_after"]);
}

#[test]
fn the_report_says_which_to_choose_and_how_sure_that_is() {
    let output = sim(&["compare", "panel", "--set", "bounties=600", "-s", "fixed?bid=0.9", "-s", "stock/conservative", "--quiet"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for wanted in [
        "against `stock/aggressive`, bounty by bounty",
        "Choose `stock/aggressive`, which earned most: it is the baseline itself.",
        "superior predictive ability",
        "warning: `null/mal`, which has no idea, earns more than `stock/conservative`",
        "Repeat   sim compare panel --set bounties=600 -s 'fixed?bid=0.9' -s stock/conservative",
    ] {
        assert!(text.contains(wanted), "{wanted} is not in\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 160), "{text}");
}

#[test]
fn what_cannot_be_compared_is_said_before_it_is_played() {
    let folder = tempdir().unwrap();
    let taken = folder.path().join("taken.json");
    fs::write(&taken, "mine").unwrap();
    let taken = taken.to_str().unwrap();
    for (args, says) in [
        (&["compare", "-s", "stock/agressive"][..], "the nearest are `stock/aggressive`"),
        (&["compare", "--baseline", "none"], "unknown strategy `none`"),
        (&["compare", "--baseline", "oracle/label"], "nobody can choose an oracle"),
        (&["compare", "--split", "50/20/20"], "three shares that add up to 100"),
        (&["compare", "--set", "bounties=30", "--split", "50/20/30"], "bounties are too few: at least 10 are needed"),
        (&["compare", "--set", "bounties=5"], "5 bounties are too few"),
        (&["compare", "--out", taken], "exists; name a new file"),
        (&["replay", "-s", "fixed", "-s", "null/min"], "compare several with `sim compare`"),
    ] {
        let output = sim(args);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert!(error.contains(says), "{args:?}: {error}");
    }
    assert_eq!(fs::read_to_string(taken).unwrap(), "mine");
    let new = folder.path().join("compare.json");
    assert!(sim(&["compare", "--set", "bounties=50", "--out", new.to_str().unwrap(), "--quiet"]).status.success());
    let written: Value = serde_json::from_slice(&fs::read(new).unwrap()).unwrap();
    assert_eq!(written["schema"], 1);
}
