//! `sim report`: every number of the files is in the page, foreign text is only text, and nothing is overwritten or half written.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use assert_cmd::{Command, cargo::cargo_bin};
use serde_json::Value;
use tempfile::TempDir;

/// More than text, in many ways.
const HOSTILE: &str = "<script>alert(1)</script></script><img src=x onerror=alert(1)>\u{202e}\u{2066}a\0\u{1b}[31m&amp;\"'`x`";

fn sim(folder: &Path, words: &[&str]) -> Output {
    Command::new(cargo_bin!("sim")).args(words).env("SIM_REGISTRY", folder.join("registry")).current_dir(folder).output().unwrap()
}

fn ok(folder: &Path, words: &[&str]) -> String {
    let output = sim(folder, words);
    assert!(output.status.success(), "sim {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What `sim` says when it refuses.
fn refusal(folder: &Path, words: &[&str]) -> String {
    let output = sim(folder, words);
    assert_eq!(output.status.code(), Some(2), "sim {words:?}");
    assert!(output.stdout.is_empty(), "sim {words:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

fn replay(folder: &Path, name: &str) -> PathBuf {
    ok(folder, &["replay", "panel", "--set", "bounties=300", "--out", name, "--quiet"]);
    folder.join(name)
}

fn json(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// The text of a page, without its style sheet, scripts and tags.
fn words(page: &str) -> String {
    let body = page.split_once("<body>").unwrap().1;
    let mut text = String::new();
    let mut rest = body;
    while let Some((before, after)) = rest.split_once('<') {
        text.push_str(before);
        let (tag, behind) = after.split_once('>').unwrap();
        let skipped = tag.starts_with("script").then(|| behind.split_once("</script").unwrap().1);
        rest = skipped.map_or(behind, |rest| rest.split_once('>').unwrap().1);
    }
    text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

fn nct(amount: f64) -> String {
    let text = format!("{:.4}", amount.abs());
    let (whole, fraction) = text.split_once('.').unwrap();
    let whole: String = whole
        .chars()
        .rev()
        .enumerate()
        .flat_map(|(place, digit)| (place > 0 && place % 3 == 0).then_some(',').into_iter().chain([digit]))
        .collect();
    format!("{}{}.{fraction}", if amount < 0.0 { "-" } else { "+" }, whole.chars().rev().collect::<String>())
}

#[test]
fn figures_of_a_run_are_in_the_page_without_its_script() {
    let folder = TempDir::new().unwrap();
    let run = replay(folder.path(), "run");
    let page = ok(folder.path(), &["report", "run", "-o", "-"]);
    let (words, run) = (words(&page), json(&run.join("run.json")));
    let engine = &run["engine"];
    for money in
        [&engine["profit"], &engine["components"]["bounty_share"], &engine["components"]["lost_stake"], &engine["gain_over_best_null"]]
    {
        let shown = nct(money["nct"].as_f64().unwrap());
        assert!(words.contains(&shown), "{shown}");
    }
    let ends = engine["profit_per_bounty_interval"]["nct"].as_array().unwrap();
    let interval = format!("[{}, {}]", nct(ends[0].as_f64().unwrap()), nct(ends[1].as_f64().unwrap()));
    assert!(words.contains(&interval), "{interval}");
    for group in ["families", "months"].iter().flat_map(|groups| run[groups]["groups"].as_array().unwrap()) {
        let (name, profit) = (group["name"].as_str().unwrap(), nct(group["profit"]["nct"].as_f64().unwrap()));
        assert!(words.contains(name) && words.contains(&profit), "{name}: {profit}");
    }
    for text in [&run["name"]["corpus_sha256"], &run["name"]["scenario_sha256"], &run["journal"]["sha256"], &run["command"]] {
        assert!(words.contains(text.as_str().unwrap()), "{text}");
    }
    assert!(words.contains("sim explain run --sensitivity --save"), "it says how to add what is missing");
    // Groups add up to the run, and the curve ends where it does.
    let profit = engine["profit"]["nct"].as_f64().unwrap();
    for groups in ["families", "months"] {
        let rows = run[groups]["groups"].as_array().unwrap().iter().chain([&run[groups]["others"], &run[groups]["without"]]);
        let sum: f64 = rows.filter_map(|row| row["profit"]["nct"].as_f64()).sum();
        assert!((sum - profit).abs() < 1e-6, "{groups}: {sum} of {profit}");
    }
    let last = engine["curve"]["points"].as_array().unwrap().last().unwrap()["equity_nct"].as_f64().unwrap();
    assert!((last - profit).abs() < 1e-9);
    let deepest =
        engine["curve"]["points"].as_array().unwrap().iter().map(|point| point["drawdown_nct"].as_f64().unwrap()).fold(0.0, f64::max);
    assert!((deepest - engine["drawdown"]["depth"]["nct"].as_f64().unwrap()).abs() < 1e-9);
}

#[test]
fn an_explanation_is_found_beside_its_run_and_only_there() {
    let folder = TempDir::new().unwrap();
    let run = replay(folder.path(), "run");
    ok(folder.path(), &["explain", "run", "--save", "--quiet"]);
    let explained = json(&run.join("explain.json"));
    let page = words(&ok(folder.path(), &["report", "run", "-o", "-"]));
    let most = nct(explained["waterfall"]["most"]["nct"].as_f64().unwrap());
    assert!(page.contains(&most) && !page.contains("Not in here yet"), "{most}");
    // That of another run says nothing about this one.
    ok(folder.path(), &["replay", "panel", "--set", "bounties=300", "--seed", "1", "--out", "other", "--quiet"]);
    fs::copy(run.join("explain.json"), folder.path().join("other/explain.json")).unwrap();
    let other = words(&ok(folder.path(), &["report", "other", "-o", "-"]));
    assert!(other.contains("is of another run") && !other.contains(&most));
    let alone = words(&ok(folder.path(), &["report", "run/explain.json", "-o", "-"]));
    assert!(alone.contains(&most));
}

#[test]
fn several_results_stand_side_by_side_and_differences_are_named() {
    let folder = TempDir::new().unwrap();
    replay(folder.path(), "one");
    ok(folder.path(), &["replay", "panel", "--set", "bounties=200", "--no-nulls", "--out", "two", "--quiet"]);
    ok(folder.path(), &["compare", "panel", "-s", "fixed", "--set", "bounties=300", "--out", "compare.json", "--quiet"]);
    let page = words(&ok(folder.path(), &["report", "one", "two", "compare.json", "-o", "-"]));
    for expected in ["3 results", "Side by side", "different numbers of bounties", "Each against each", "Comparison on panel"] {
        assert!(page.contains(expected), "{expected}");
    }
    let compared = json(&folder.path().join("compare.json"));
    let (strategies, pairs) = (compared["strategies"].as_array().unwrap(), compared["pairs"].as_array().unwrap());
    assert_eq!(pairs.len(), strategies.len() * (strategies.len() - 1));
    let mean = |place: &Value| strategies[place.as_u64().unwrap() as usize]["per_bounty"]["nct"].as_f64().unwrap();
    for pair in pairs {
        let difference = pair["nct"].as_f64().unwrap();
        assert!((difference - (mean(&pair["strategy"]) - mean(&pair["against"]))).abs() < 1e-12);
        let Some(ends) = pair["interval"].as_array() else { continue };
        assert!(ends[0].as_f64().unwrap() <= difference && difference <= ends[1].as_f64().unwrap());
    }
    for (equity, facts) in compared["equity"]["strategies"].as_array().unwrap().iter().zip(strategies) {
        let (last, profit) = (equity.as_array().unwrap().last().unwrap().as_f64().unwrap(), facts["profit_nct"].as_f64().unwrap());
        assert!((last - profit).abs() < 1e-6, "{last} {profit}");
    }
}

#[test]
fn a_sweep_is_reported_with_pairs_of_settings_and_its_front() {
    let folder = TempDir::new().unwrap();
    let space = "strategies = [\"fixed?bid={bid}\"]\n[parameters]\nbid = [0.1, 0.2]\n[set]\narbiters.error = [0.0, 0.1]\n";
    fs::write(folder.path().join("space.toml"), space).unwrap();
    let summary = ok(
        folder.path(),
        &["sweep", "panel", "--space", "space.toml", "--set", "bounties=300", "--out", "sweep", "--quiet", "--format", "json"],
    );
    let summary: Value = serde_json::from_str(&summary).unwrap();
    let cells = summary["grids"][0]["cells"].as_array().unwrap();
    assert_eq!(cells.iter().map(|cell| cell["trials"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 1, 1, 1]);
    let best = cells.iter().map(|cell| cell["best_nct"].as_f64().unwrap()).fold(f64::NEG_INFINITY, f64::max);
    assert_eq!(best, summary["trials"][0]["figures"]["per_bounty_nct"].as_f64().unwrap());
    let page = words(&ok(folder.path(), &["report", "sweep", "-o", "-"]));
    let trial = summary["trials"][0]["trial"].as_str().unwrap();
    for expected in ["Sweep on panel", "Two settings at a time", "arbiters.error and fixed?bid", trial, &nct(best), "Deflated Sharpe ratio"]
    {
        assert!(page.contains(expected), "{expected}");
    }
}

/// Makes every name in a result hostile, and long now and then.
fn spoil(value: &mut Value, key: &str, count: &mut usize) {
    let names = [
        "name",
        "strategy",
        "file_type",
        "family",
        "command",
        "warnings",
        "backends",
        "distiller",
        "rules",
        "switches",
        "inputs",
        "reason",
        "change",
    ];
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(key, value)| spoil(value, key, count)),
        Value::Array(values) => values.iter_mut().for_each(|value| spoil(value, key, count)),
        Value::String(text) if names.contains(&key) => {
            *count += 1;
            *text = if count.is_multiple_of(5) { HOSTILE.repeat(200) } else { HOSTILE.to_owned() };
        }
        _ => {}
    }
}

#[test]
fn hostile_names_are_only_text() {
    let folder = TempDir::new().unwrap();
    replay(folder.path(), "run");
    ok(folder.path(), &["explain", "run", "--save", "--quiet"]);
    ok(folder.path(), &["compare", "panel", "-s", "fixed", "--set", "bounties=300", "--out", "compare.json", "--quiet"]);
    ok(folder.path(), &["walkforward", "panel", "-s", "fixed", "--set", "bounties=600", "--folds", "3", "--out", "walk.json", "--quiet"]);
    let plain = ok(folder.path(), &["report", "run", "compare.json", "walk.json", "-o", "-"]);
    for file in ["run/run.json", "run/explain.json", "compare.json", "walk.json"] {
        let (file, mut count) = (folder.path().join(file), 0);
        let mut value = json(&file);
        spoil(&mut value, "", &mut count);
        assert!(count > 5, "{}: {count}", file.display());
        fs::write(file, value.to_string()).unwrap();
    }
    let page = ok(folder.path(), &["report", "run", "compare.json", "walk.json", "-o", "-"]);
    // Not one element more, nothing that turns or hides text, and a policy that lets no script in but the page's own.
    for element in ["<script", "</script", "<img", "onerror=alert(1)>", "<!--"] {
        assert_eq!(page.matches(element).count(), plain.matches(element).count(), "{element}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(!page.contains(['\u{202e}', '\u{2066}', '\0', '\u{1b}']));
    assert!(page.contains("default-src 'none'; script-src 'sha256-") && !page.contains("unsafe-"));
    assert!(page.len() < 2_000_000, "{}", page.len());
}

#[test]
fn what_is_no_result_is_refused_in_one_sentence() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    fs::create_dir(at.join("empty")).unwrap();
    fs::write(at.join("none.json"), "{}").unwrap();
    fs::write(at.join("broken.json"), "{\"engine\": ").unwrap();
    fs::write(at.join("odd.json"), "{\"engine\": 1, \"market\": 2}").unwrap();
    fs::write(at.join("later.json"), "{\"engine\": 1, \"market\": 2, \"schema\": 99}").unwrap();
    fs::write(at.join("deep.json"), "[".repeat(100_000)).unwrap();
    for (name, said) in [
        ("nowhere", "cannot read nowhere"),
        ("empty", "neither a run nor a sweep"),
        ("none.json", "this is not what `sim replay`"),
        ("broken.json", "this is not JSON"),
        ("odd.json", "this is not what this version of sim writes"),
        ("later.json", "a later version"),
        ("deep.json", "this is not JSON"),
    ] {
        let refusal = refusal(at, &["report", name, "-o", "report.html"]);
        assert!(refusal.contains(said), "{refusal}");
        assert!(!at.join("report.html").exists());
    }
    let run = replay(at, "run");
    for again in [run.clone(), run.join("run.json")] {
        let twice = refusal(at, &["report", "run", again.to_str().unwrap(), "-o", "report.html"]);
        assert!(twice.contains("is named twice"), "{twice}");
    }
}

#[test]
fn a_page_is_replaced_only_by_force() {
    let folder = TempDir::new().unwrap();
    replay(folder.path(), "run");
    let file = folder.path().join("report.html");
    fs::write(&file, "mine").unwrap();
    assert!(refusal(folder.path(), &["report", "run", "-o", "report.html"]).contains("--force"));
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    ok(folder.path(), &["report", "run", "-o", "report.html", "--force"]);
    assert!(fs::read_to_string(&file).unwrap().starts_with("<!DOCTYPE html>"));
    let refused = refusal(folder.path(), &["report", "run", "-o", "no/such/folder/report.html"]);
    assert!(refused.contains("cannot write"), "{refused}");
    // The same figures, the same page.
    let twice = || ok(folder.path(), &["report", "run", "-o", "-"]);
    assert_eq!(twice(), twice());
}
