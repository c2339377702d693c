//! `sim replay` as a user meets it: reports, run directories, and one clear sentence for everything that is wrong.

use std::{fs, io::Write as _, path::Path};

use assert_cmd::{Command, cargo::cargo_bin};
use flate2::{Compression, write::GzEncoder};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

fn sim(args: &[&str]) -> Command {
    let mut command = Command::new(cargo_bin!("sim"));
    command.args(args).env("SIM_CACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/verdicts"));
    command
}

/// A small run on the shipped panel, as JSON.
fn run(args: &[&str]) -> Value {
    let output = sim(&["replay", "--set", "bounties=300", "--format", "json", "--quiet"]).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn wei(money: &Value) -> i128 {
    money["wei"].as_str().unwrap().parse().unwrap()
}

/// Fails with exit code 2, one line on stderr with every one of `parts`, and no output directory.
fn refused(args: &[&str], parts: &[&str]) {
    let folder = tempdir().unwrap();
    let out = folder.path().join("out");
    let output = sim(&["replay", "--out", out.to_str().unwrap()]).args(args).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {message}");
    assert!(output.stdout.is_empty());
    assert!(message.starts_with("error: ") && message.trim_end().lines().count() == 1, "{message}");
    for part in parts {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "something was left behind");
}

/// A corpus folder with that table.
fn corpus(table: impl AsRef<[u8]>) -> (TempDir, String) {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("manifest.toml"), "schema = 1\nname = \"bad\"\ntitle = \"made by a test\"\ntable = \"t.csv\"\n").unwrap();
    fs::write(folder.path().join("t.csv"), table).unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    (folder, path)
}

fn corpus_refused(table: impl AsRef<[u8]>, parts: &[&str]) {
    let (_folder, path) = corpus(table);
    refused(&[&path], parts);
}

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[test]
fn the_report_names_the_run_and_adds_up() {
    let output = sim(&["replay", "--set", "bounties=300"]).output().unwrap();
    assert!(output.status.success());
    let report = String::from_utf8(output.stdout).unwrap();
    for part in [
        "Replay of `panel`",
        "PROFIT",
        "= change of the balance, to the wei",
        "gain over best null",
        "corpus label",
        "Repeat   sim replay --set bounties=300",
        "rank by profit",
    ] {
        assert!(report.contains(part), "no `{part}` in:\n{report}");
    }
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("run: sim 0."), "the run's name comes first");
}

#[test]
fn components_sum_to_the_profit_and_all_accounts_to_nothing() {
    for rules in ["1.6.1", "1.0.0"] {
        let run =
            run(&["--rules", rules, "--set", "ambassadors.artifacts=3", "--set", "arbiters.error=0.2", "--set", "arbiters.abstain=0.6"]);
        let components = run["engine"]["components"].as_object().unwrap().values().map(wei).sum::<i128>();
        assert_eq!(components, wei(&run["engine"]["profit"]), "{rules}");
        let rivals = run["rivals"].as_array().unwrap().iter().map(|rival| wei(&rival["profit"])).sum::<i128>();
        let market = &run["market"];
        let all =
            wei(&run["engine"]["profit"]) + rivals + wei(&market["ambassadors"]) + wei(&market["arbiters"]) + wei(&market["stranded"]);
        assert_eq!(all, 0, "{rules}: what all gained and lost");
        assert!(run["market"]["unvoted_bounties"].as_u64().unwrap() > 0, "bounties without votes play a part");
        assert_eq!(run["complete"], true);
    }
}

#[test]
fn one_job_and_two_write_the_same_files() {
    let folder = tempdir().unwrap();
    let mut runs = Vec::new();
    for jobs in ["1", "2"] {
        let out = folder.path().join(jobs);
        let out = out.to_str().unwrap();
        sim(&["replay", "--set", "bounties=2000", "--jobs", jobs, "--quiet", "--out", out]).assert().success();
        let mut json: Value = serde_json::from_slice(&fs::read(Path::new(out).join("run.json")).unwrap()).unwrap();
        json["wall"].take();
        json["command"].take();
        let files = ["journal.jsonl.zst", "bounties.csv", "scenario.toml"].map(|name| fs::read(Path::new(out).join(name)).unwrap());
        runs.push((json, files));
    }
    assert!(runs[0] == runs[1]);
    let lines = String::from_utf8(runs[0].1[1].clone()).unwrap().lines().count();
    assert_eq!(lines, 2001, "a header and a line per bounty");
}

#[test]
fn a_run_directory_repeats_itself() {
    let folder = tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let scenario = first.join("scenario.toml");
    sim(&["replay", "--quiet", "--seed", "5", "--set", "bounties=200", "--strategy", "fixed?bid=0.3", "--out", first.to_str().unwrap()])
        .assert()
        .success();
    sim(&["replay", "--quiet", "--scenario", scenario.to_str().unwrap(), "--out", second.to_str().unwrap()]).assert().success();
    for name in ["journal.jsonl.zst", "scenario.toml", "bounties.csv"] {
        assert!(fs::read(first.join(name)).unwrap() == fs::read(second.join(name)).unwrap(), "{name} differs");
    }
}

#[test]
fn the_starter_corpus_is_really_scanned() {
    let run: Value = serde_json::from_slice(&sim(&["replay", "starter", "--format", "json"]).output().unwrap().stdout).unwrap();
    assert_eq!(run["engine"]["backends"], serde_json::json!(["eicar"]));
    let label = &run["engine"]["vs_label"];
    assert!(label["true_positives"].as_u64().unwrap() > 0 && label["false_positives"] == 0, "{label}");
}

#[test]
fn an_oracle_is_marked_and_beats_everybody() {
    let run = run(&["--strategy", "oracle/label", "--set", "arbiters.error=0"]);
    assert_eq!((&run["engine"]["oracle"], &run["engine"]["rank"]), (&Value::from(true), &Value::from(1)));
    assert!(run["warnings"][0].as_str().unwrap().contains("knows the corpus label"));
    assert_eq!(run["engine"]["vs_consensus"]["accuracy"], 1.0);
}

#[test]
fn a_losing_strategy_is_no_error() {
    let run = run(&["--strategy", "null/ben"]);
    assert!(wei(&run["engine"]["profit"]) < 0);
}

#[test]
fn what_cannot_be_done_in_time_or_afforded_is_not_done_and_counted() {
    let slow = run(&["--set", "engine.scan.milliseconds=600000", "--set", "engine.scan.slots=1"]);
    assert!(slow["engine"]["coverage"]["late"].as_u64().unwrap() > 100, "{}", slow["engine"]["coverage"]);
    let poor = run(&["--set", "wallets.engine=3"]);
    assert!(poor["engine"]["coverage"]["unfunded"].as_u64().unwrap() > 10, "{}", poor["engine"]["coverage"]);
}

#[test]
fn what_a_user_should_know_is_said() {
    let warned = |args: &[&str], part: &str| {
        let run = run(args);
        let warnings = run["warnings"].to_string();
        assert!(warnings.contains(part), "{args:?}: no `{part}` in {warnings}");
    };
    warned(&[], "repeats the first recorded column, `K7GW`");
    warned(&["--set", "bounties=7000"], "1.2 times over");
    warned(&["--set", "wallets.ambassadors=10"], "were not posted");
    warned(&["--set", "arbiters.count=0"], "had no votes");
    warned(&["--set", "arbiters.error=0.9"], "of benign artifacts malicious");
    warned(&["--strategy", "null/ben"], "`null/mal`, which has no idea");
    warned(&["--set", "rivals.0.model=independent"], "independent rivals");
}

#[test]
fn recorded_arrivals_go_on_when_the_corpus_begins_again() {
    let once = run(&["--set", "ambassadors.arrival=recorded", "--set", "bounties=6000"]);
    let twice = run(&["--set", "ambassadors.arrival=recorded", "--set", "bounties=12000"]);
    let [once, twice] = [once, twice].map(|run| run["market"]["last_block"].as_u64().unwrap() - 1000);
    assert!((2 * once - 200..2 * once + 200).contains(&twice), "{once} {twice}");
}

#[test]
fn the_second_pass_of_a_corpus_that_does_not_divide_is_whole() {
    let run = run(&["--set", "bounties=1714", "--set", "ambassadors.artifacts=7"]);
    // 857 bounties of seven and one of one: 6,000 artifacts, then 856 more bounties of seven.
    assert_eq!(run["market"]["artifacts"], 6000 + 856 * 7);
}

#[test]
fn a_corpus_that_is_wrong_gets_one_clear_sentence() {
    refused(&["no-such-corpus"], &["no-such-corpus"]);
    corpus_refused("sha256,label\n", &["t.csv", "no"]);
    corpus_refused("sha256,lable\n", &["t.csv", "label"]);
    corpus_refused(format!("sha256,label\n{A},evil\n"), &["t.csv", "line 2", "evil", "benign"]);
    corpus_refused(format!("sha256,label\n{A},benign\n{A},benign\n"), &["t.csv", "3", "aaaa"]);
    corpus_refused([b"sha256,label\n".as_slice(), &[0xff, 0xfe], b",benign\n"].concat(), &["t.csv", "line 2", "UTF-8"]);
    corpus_refused(format!("sha256,label,path\n{A},benign,../../etc/passwd\n"), &["t.csv", "line 2", "passwd"]);
}

#[test]
fn a_file_that_is_not_its_hash_gets_no_answer_and_the_report_says_so() {
    let (folder, path) = corpus(format!("sha256,label,path\n{A},benign,x.txt\n"));
    fs::write(folder.path().join("x.txt"), "not what was hashed").unwrap();
    let output = sim(&["replay", &path]).output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && report.contains("no answer from `eicar`: 1 changed"), "{report}");
}

#[test]
fn a_truncated_archive_is_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("m.csv.gz");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(b"sha256,md5,label,label_source,family,first_seen,scan_date,file_type,size,compile_date,positives,total,X\n")
        .unwrap();
    for row in 0..500 {
        writeln!(encoder, "{row:064x},,benign,t,,,2024-01-02T03:04:05Z,pe32,1,,0,1,0").unwrap();
    }
    let bytes = encoder.finish().unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    refused(&[path.to_str().unwrap()], &["m.csv.gz"]);
}

#[test]
fn a_scenario_that_cannot_be_played_gets_one_clear_sentence() {
    let set = |setting: &str, parts: &[&str]| refused(&["--set", setting], parts);
    set("ambassadors.amount=-1", &["ambassadors.amount", "negative"]);
    set("ambassadors.amount=1000000000000000000000000000000000000000000000000000000000000000000000000000000", &["ambassadors.amount"]);
    set("ambassadors.amount=999999999999999", &["ambassadors.amount", "at most"]);
    set("ambassadors.amount=999999999", &["ambassadors.amount", "wallet of 100000000 NCT"]);
    set("market.bounty_fee=9999999999999", &["market.bounty_fee"]);
    set("ambassadors.bounties_per_block=1e-300", &["ambassadors.bounties_per_block", "within"]);
    set("market.vote_window=0", &["market.vote_window", "within 1"]);
    set("ambassadors.artifacts=257", &["ambassadors.artifacts", "256"]);
    set("arbiters.wallet=9999999", &["arbiters.wallet", "stake"]);
    set("rivals.0.engines=[\"ClamAw\"]", &["rivals.0", "ClamAw", "`ClamAV`"]);
    // Six thousand artifacts are 857 bounties on seven, and one on a single one.
    let small = ["panel", "--rules", "1.0.0", "--set", "ambassadors.artifacts=7", "--set", "ambassadors.amount=0.03"];
    refused(&small, &["ambassadors.amount", "at least 0.0625 NCT per artifact", "the last bounty of the corpus is on 1 of its 6000"]);
    refused(&["--strategy", "stock/agressive"], &["stock/agressive", "`stock/aggressive`"]);
    refused(&["--set", "rivals.0.model=recorded", "--set", "rivals.0.engines=[\"ClamAw\"]"], &["rivals.0", "ClamAw", "`ClamAV`"]);
    refused(&["starter", "--set", "engine.backends=[{kind=\"recorded\",column=\"X\"}]"], &["no recorded engine `X`"]);
    refused(&["panel", "--set", "engine.backends=[{kind=\"eicar\"}]"], &["`eicar`", "files"]);
    refused(&["starter", "--set", "ambassadors.arrival=recorded", "--set", "rivals.0.profiles=nowhere.csv"], &["nowhere.csv"]);
}

#[test]
fn an_output_that_cannot_be_written_is_refused_before_the_run() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("full"), "").unwrap();
    for (out, part) in [
        ("/proc/nowhere/run", "/proc"),
        (folder.path().join("full").to_str().unwrap(), "full"),
        (folder.path().to_str().unwrap(), "not empty"),
    ] {
        let output = sim(&["replay", "--out", out]).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && message.contains(part) && output.stdout.is_empty(), "{out}: {message}");
    }
}

#[test]
fn hostile_names_reach_neither_terminal_nor_shell() {
    let hostile = "evil\u{1b}[31m\u{202e}<script>";
    let (_folder, path) = corpus(format!("sha256,label,file_type,family,v\n{A},malicious,{hostile},{hostile},1\n"));
    let manifest = Path::new(&path).join("manifest.toml");
    fs::write(&manifest, fs::read_to_string(&manifest).unwrap() + "[[engine]]\nname = \"v\"\n").unwrap();
    let output = sim(&["replay", &path, "--set", "rivals.0.model=two-factor"]).output().unwrap();
    let (report, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{errors}");
    for text in [&report, &errors] {
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
    }
    assert!(report.contains("evil\\u{1b}[31m"), "{report}");
}

/// The shipped panel is what its README says: the output of a committed command.
#[test]
fn the_shipped_panel_is_generated_byte_for_byte() {
    let folder = tempdir().unwrap();
    let panel = folder.path().join("panel");
    sim(&["corpus", "panel", panel.to_str().unwrap(), "--rows", "6000", "--seed", "1"]).assert().success();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/corpora/panel");
    for name in ["artifacts.csv", "manifest.toml"] {
        assert!(fs::read(panel.join(name)).unwrap() == fs::read(shipped.join(name)).unwrap(), "{name} differs");
    }
}

#[test]
fn rivals_are_wrong_together_as_often_as_real_engines() {
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/panel-check.toml");
    let scenario = scenario.to_str().unwrap();
    let misses = |model: &str| {
        let output = sim(&[
            "replay",
            "--quiet",
            "--no-nulls",
            "--format",
            "json",
            "--scenario",
            scenario,
            "--set",
            "bounties=30000",
            "--set",
            &format!("rivals.0.model={model}"),
        ])
        .output()
        .unwrap();
        let run: Value = serde_json::from_slice(&output.stdout).unwrap();
        let pe32 = run["types"].as_array().unwrap().iter().find(|facts| facts["file_type"] == "pe32").unwrap();
        pe32["rivals_majority_misses"].as_f64().unwrap()
    };
    // Real engines: .0257 (panel check of the fit).
    let fitted = misses("two-factor");
    assert!((fitted - 0.0257).abs() < 0.25 * 0.0257, "{fitted}");
    assert!(misses("independent") < 0.005);
}
