//! `sim sweep`: the same bytes however it was come by, each trial again by itself, and nothing lost.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use assert_cmd::{Command, cargo::cargo_bin};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

const SPACE: &str = "\
strategies = ['stock/default', 'fixed?bid={bid}', 'pm-ev?memory={memory}']

[parameters]
bid = { from = 0.0625, to = 1.0, steps = 3 }
memory = { from = 20, to = 400, steps = 2 }

[set]
engine.distiller.rho = [0.0, 0.5]
arbiters.error = { from = 0.0, to = 0.3, steps = 2 }
";

/// A folder with a space in it, in which sweeps are made.
struct Bench {
    folder: TempDir,
    space: String,
}

impl Bench {
    fn new(space: &str) -> Bench {
        let folder = tempdir().unwrap();
        let path = folder.path().join("space.toml");
        fs::write(&path, space).unwrap();
        let space = path.to_str().unwrap().to_owned();
        Bench { folder, space }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn sim(&self, args: &[&str]) -> Output {
        let registry = self.path("registry");
        Command::new(cargo_bin!("sim")).args(args).current_dir(self.folder.path()).env("SIM_REGISTRY", registry).output().unwrap()
    }

    fn done(&self, args: &[&str]) -> String {
        let output = self.sim(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A sweep of the panel, into a folder of that name.
    fn sweep(&self, out: &str, args: &[&str]) -> Value {
        let sweep = ["sweep", "panel", "--space", &self.space, "--set", "bounties=150", "--out", out, "--quiet", "--format", "json"];
        serde_json::from_str(&self.done(&[&sweep, args].concat())).unwrap()
    }

    fn refused(&self, args: &[&str], part: &str) {
        let output = self.sim(&[args, if args[0] == "merge" { &[] } else { &["--quiet"] }].concat());
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), message.lines().count()), (Some(2), 1), "{args:?}: {message}");
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

#[track_caller]
fn assert_same(one: &Path, other: &Path) {
    let (one, other) = (files(one), files(other));
    assert_eq!(one.keys().collect::<Vec<_>>(), ["journal.jsonl", "plan.json", "scenario.toml", "trials.csv"]);
    for (name, content) in &one {
        assert_eq!(String::from_utf8_lossy(content), String::from_utf8_lossy(&other[name]), "{name}");
    }
    assert_eq!(one.len(), other.len());
}

#[test]
fn a_sweep_made_longer_is_the_same_as_a_long_one() {
    let bench = Bench::new(SPACE);
    for sampler in ["grid", "random", "lhs", "halving"] {
        // By halves it takes more bounties to have a second round.
        let long: &[&str] = if sampler == "halving" { &["--set", "bounties=4000", "-e", "8"] } else { &["-e", "14"] };
        let (whole, parts) = (format!("{sampler}-whole"), format!("{sampler}-parts"));
        let at_once = bench.sweep(&whole, &[&["--sampler", sampler, "--jobs", "1"], long].concat());
        let short = [&["--sampler", sampler], &long[..long.len() - 2], &["-e", if sampler == "halving" { "4" } else { "7" }]].concat();
        bench.sweep(&parts, &short);
        let longer: Value = {
            let last = long[long.len() - 1];
            let args = ["sweep", "--out", &parts, "--resume", "-e", last, "--quiet", "--format", "json", "--jobs", "2"];
            serde_json::from_str(&bench.done(&args)).unwrap()
        };
        assert_same(&bench.path(&whole), &bench.path(&parts));
        let counts = &longer["counts"];
        assert!(counts["reused"].as_u64() > Some(0) && counts["computed"].as_u64() > Some(0), "{sampler}: {counts}");
        assert_eq!(at_once["counts"]["reused"], 0);
        assert_eq!(at_once["trials"], longer["trials"]);
        // The same sweep once more plays nothing.
        let again: Value =
            serde_json::from_str(&bench.done(&["sweep", "--out", &parts, "--resume", "--quiet", "--format", "json"])).unwrap();
        assert_eq!(again["counts"]["computed"], 0, "{sampler}");
        assert_same(&bench.path(&whole), &bench.path(&parts));
    }
}

#[test]
fn parts_are_put_together_to_the_same_whole() {
    let bench = Bench::new(SPACE);
    let whole = bench.sweep("whole", &[]);
    assert_eq!((&whole["points"], &whole["counts"]["computed"], &whole["best"]["trials_ever"]), (&24.into(), &24.into(), &24.into()));
    for part in ["1/3", "3/3"] {
        bench.sweep(&format!("part{}", &part[..1]), &["--shard", part]);
    }
    bench.refused(&["merge", "part1", "part3", "--out", "short"], "8 trials are missing");
    bench.sweep("part2", &["--shard", "2/3"]);
    bench.done(&["merge", "part3", "part1", "part2", "--out", "merged"]);
    assert_same(&bench.path("whole"), &bench.path("merged"));
    bench.refused(&["merge", "part1", "part2", "part3", "--out", "merged"], "holds a sweep");

    let halves = ["sweep", "panel", "--space", &bench.space, "--out", "x", "--sampler", "halving", "--shard", "1/2"];
    bench.refused(&halves, "depends on all trials");
    bench.sweep("other", &["--seed", "5", "--shard", "2/3"]);
    bench.refused(&["merge", "part1", "other", "part3", "--out", "mixed"], "another scenario");
}

#[test]
fn a_trial_is_played_again_alone_and_a_wrong_record_is_found_out() {
    let bench = Bench::new(SPACE);
    let sweep = bench.sweep("sweep", &["-e", "9", "--sampler", "lhs"]);
    for trial in sweep["trials"].as_array().unwrap().iter().take(4) {
        let id = trial["trial"].as_str().unwrap();
        let run: Value =
            serde_json::from_str(&bench.done(&["replay", "--trial", id, "--no-nulls", "--quiet", "--format", "json"])).unwrap();
        assert_eq!(run["engine"]["profit"]["wei"], trial["figures"]["profit_wei"], "{id}");
        assert_eq!(run["decisions_sha256"], trial["figures"]["decisions_sha256"], "{id}");
        assert!(run["name"]["scenario_sha256"].as_str().unwrap().starts_with(id), "a trial is named by its scenario");
    }
    let journal = bench.path("sweep").join("journal.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    let record: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let digest = record["figures"]["decisions_sha256"].as_str().unwrap();
    fs::write(&journal, text.replace(digest, &"0".repeat(64))).unwrap();
    let output = bench.sim(&["replay", "--trial", record["trial"].as_str().unwrap(), "--no-nulls", "--quiet"]);
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
    bench.refused(&["replay", "--trial", "0123456789abcdef"], "no trial `0123456789abcdef` is known");
    bench.refused(&["replay", "--trial", "0123456789abcdef", "--sweep", "sweep"], "has no trial");
    bench.refused(&["replay", "--trial", "0123456789abcdef", "--seed", "3"], "leave other settings out");
}

#[test]
fn what_was_cut_off_is_played_again() {
    let bench = Bench::new(SPACE);
    bench.sweep("whole", &[]);
    bench.sweep("cut", &[]);
    let journal = bench.path("cut").join("journal.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    let kept: Vec<&str> = text.lines().rev().take(10).collect();
    // As a program leaves it that was ended: in the order in which trials ended, and the last line half written.
    fs::write(&journal, kept.join("\n") + "\n" + &text[..90]).unwrap();
    fs::remove_file(bench.path("cut").join("trials.csv")).unwrap();
    let resumed = bench.sweep("cut", &["--resume"]);
    assert_eq!((&resumed["counts"]["reused"], &resumed["counts"]["computed"]), (&10.into(), &14.into()));
    assert_same(&bench.path("whole"), &bench.path("cut"));

    fs::write(&journal, text.replace("\"rung\":0", "\"rung\":\"none\"")).unwrap();
    bench.refused(&["sweep", "--out", "cut", "--resume"], "journal.jsonl, line 1: this is no trial");
}

#[test]
fn a_market_that_cannot_be_taped_is_played_in_the_world() {
    let bench = Bench::new("strategies = ['fixed', 'stock/default']\n[set]\nwallets.rivals = [40, 1000000]\n");
    let sweep = bench.sweep("sweep", &["--hold-out", "0"]);
    assert_eq!(sweep["counts"]["computed"], 4);
    for trial in sweep["trials"].as_array().unwrap() {
        let rivals = format!("wallets.rivals={}", trial["set"]["wallets.rivals"]);
        let strategy = trial["strategy"].as_str().unwrap();
        let args =
            ["replay", "panel", "--set", "bounties=150", "--set", &rivals, "-s", strategy, "--no-nulls", "--quiet", "--format", "json"];
        let alone: Value = serde_json::from_str(&bench.done(&args)).unwrap();
        assert_eq!(alone["engine"]["profit"]["wei"], trial["figures"]["profit_wei"], "{strategy} {rivals}");
        assert_eq!(alone["decisions_sha256"], trial["figures"]["decisions_sha256"], "{strategy} {rivals}");
    }
}

#[test]
fn trials_that_cannot_be_played_do_not_stop_the_others() {
    let bench = Bench::new("strategies = ['fixed?bid={bid}']\n[parameters]\nbid = [0.5, 'much']\n[set]\narbiters.error = [0.1, 7.0]\n");
    let sweep = bench.sweep("sweep", &[]);
    assert_eq!((&sweep["counts"]["computed"], &sweep["counts"]["failed"]), (&1.into(), &3.into()));
    let failures = sweep["failures"].to_string();
    assert!(failures.contains("`bid=much` is not an amount") && failures.contains("space:5: `arbiters.error` is 7"), "{failures}");
    let table = fs::read_to_string(bench.path("sweep").join("trials.csv")).unwrap();
    assert!(table.lines().count() == 5 && table.contains(",fixed?bid=much,"), "{table}");

    // The reasons of failures, and what names such trials, are the same however they were come by.
    bench.sweep("parts", &["-e", "2"]);
    bench.done(&["sweep", "--out", "parts", "--resume", "-e", "4", "--quiet"]);
    assert_same(&bench.path("sweep"), &bench.path("parts"));
    bench.sweep("part1", &["--shard", "1/2"]);
    let output = bench.sim(&["sweep", "panel", "--space", "./space.toml", "--set", "bounties=150", "--out", "part2", "--shard", "2/2"]);
    assert_eq!(output.status.code(), Some(2), "all of that part failed");
    bench.done(&["merge", "part1", "part2", "--out", "merged"]);
    assert_same(&bench.path("sweep"), &bench.path("merged"));

    let oracles = Bench::new("strategies = ['oracle/label', 'fixed']\n").sweep("sweep", &[]);
    assert_eq!((&oracles["counts"]["failed"], &oracles["best"]["strategy"]), (&1.into(), &"fixed".into()));

    let none = Bench::new("[set]\nengine.scan.slots = [2]\nengine.archives.depth = [1, 2]\n");
    let args = ["sweep", "panel", "--space", "space.toml", "--out", "none", "--quiet"];
    assert_eq!(none.sim(&args).status.code(), Some(2), "nothing was played");
}

#[test]
fn the_best_are_judged_by_what_no_trial_saw() {
    let bench = Bench::new(SPACE);
    let sweep = bench.sweep("sweep", &["--set", "bounties=1000", "-e", "4"]);
    assert_eq!((&sweep["judged"], &sweep["held_out"]), (&700.into(), &300.into()));
    for trial in sweep["trials"].as_array().unwrap() {
        assert_eq!(trial["figures"]["bounties"], 700);
    }
    let again = String::from_utf8(bench.sim(&["sweep", "--out", "sweep", "--resume"]).stdout).unwrap();
    let command = again.lines().find_map(|line| line.strip_prefix("Be sure        sim ")).unwrap();
    assert!(command.ends_with("--split 20/50/30"), "{command}");
    let words: Vec<String> = command.split(' ').map(|word| word.trim_matches('\'').to_owned()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).chain(["--quiet", "--format", "json"]).collect();
    let comparison: Value = serde_json::from_str(&bench.done(&words)).unwrap();
    let [from, to] = [0, 1].map(|end| comparison["split"]["test"][end].as_u64().unwrap());
    assert!(from >= 700 && to == 1000, "{from} to {to}");
}

#[test]
fn whoever_is_interrupted_has_made_the_trials_that_are_kept() {
    let bench = Bench::new(SPACE);
    bench.sweep("sweep", &[]);
    let registry = fs::read_dir(bench.path("registry")).unwrap().next().unwrap().unwrap().path();
    let entries = fs::read_to_string(&registry).unwrap();
    assert_eq!(entries.lines().count(), 24);
    // A line that was half written, with half a character at its end, is made again, and takes nobody else along.
    let half = [&entries.as_bytes()[..entries.len() - 20], &b"\xc3"[..]].concat();
    fs::write(&registry, half).unwrap();
    let resumed: Value =
        serde_json::from_str(&bench.done(&["sweep", "--out", "sweep", "--resume", "--quiet", "--format", "json"])).unwrap();
    assert_eq!((&resumed["counts"]["computed"], &resumed["best"]["trials_ever"]), (&0.into(), &24.into()));
}

#[test]
fn parts_that_were_edited_are_not_put_together() {
    let bench = Bench::new(SPACE);
    bench.sweep("part1", &["--shard", "1/2"]);
    bench.sweep("part2", &["--shard", "2/2"]);
    let journal = bench.path("part2").join("journal.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    let id = serde_json::from_str::<Value>(text.lines().next().unwrap()).unwrap()["trial"].as_str().unwrap().to_owned();
    fs::write(&journal, text.replace(&id, "\\u001b[31mred")).unwrap();
    bench.refused(&["merge", "part1", "part2", "--out", "whole"], "1 trials are missing");
    fs::write(&journal, text).unwrap();
    let scenario = bench.path("part1").join("scenario.toml");
    fs::write(&scenario, fs::read_to_string(&scenario).unwrap().replace("seed = 0", "seed = 1")).unwrap();
    bench.refused(&["merge", "part1", "part2", "--out", "whole"], "was changed after the sweep");
}

#[test]
fn the_shipped_space_can_be_searched() {
    let space = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/space.toml");
    let bench = Bench::new(&fs::read_to_string(space).unwrap());
    let sweep = bench.sweep("sweep", &["--set", "bounties=60"]);
    assert_eq!((&sweep["counts"]["computed"], &sweep["counts"]["failed"]), (&84.into(), &0.into()), "its comment says so");
    assert_eq!(sweep["effects"].as_array().unwrap().len(), 7);
}

#[test]
fn mistakes_are_said_in_one_line() {
    let bench = Bench::new(SPACE);
    bench.sweep("sweep", &["-e", "2"]);
    let sweep = ["sweep", "panel", "--space", "space.toml", "--set", "bounties=150"];
    let with = |more: &[&'static str]| [&sweep[..], more].concat();
    bench.refused(&with(&["--out", "sweep"]), "go on with it by `--resume`");
    bench.refused(&with(&["--out", "."]), "not an empty folder");
    bench.refused(&with(&["--out", "sweep", "--resume", "--sampler", "lhs"]), "another sampler");
    bench.refused(&with(&["--out", "sweep", "--resume", "--seed", "2"]), "another scenario");
    bench.refused(&with(&["--out", "new", "--resume"]), "not the folder of a sweep");
    bench.refused(&["sweep", "--out", "sweep", "--resume", "-e", "1"], "has 2 trials already");
    bench.refused(&["sweep", "panel", "--out", "sweep", "--resume"], "leave other settings out");
    bench.refused(&["sweep", "--space", "nowhere.toml", "--out", "x"], "nowhere.toml: cannot be read");
    for (space, part) in [
        ("[set]\nengine.scan.slots = [1, 2]\nrivals.0.cuont = [3]\n", "bad.toml:3: unknown key `rivals.0.cuont`"),
        ("strategies = ['fixd']\n", "unknown strategy `fixd`"),
        ("[set]\nbounties = [50, 100]\n", "trials are compared on the same bounties"),
        ("[set]\nrivals.0.profiles = ['mine.csv']\n", "a space cannot: name it in the scenario"),
        ("strategies = ['fixed?bod={bid}']\n[parameters]\nbid = [1]\n", "has no parameter `bod`"),
        ("[set]\narbiters.error = [3.0, 4.0]\n", "`arbiters.error` is 3"),
    ] {
        fs::write(bench.path("bad.toml"), space).unwrap();
        bench.refused(&["sweep", "panel", "--space", "bad.toml", "--out", "bad"], part);
        assert!(!bench.path("bad").exists(), "nothing is left behind");
    }
    bench.refused(&with(&["--out", "new", "-s", "fixed"]), "the space names its strategies itself");
    bench.refused(&with(&["--out", "no/such/place"]), "cannot be made");
    bench.refused(&["merge", "sweep", "./sweep", "--out", "merged"], "is named twice");
    fs::write(bench.path("scans.toml"), "[set]\nengine.scan.slots = [1, 2]\nengine.archives.depth = [1, 2]\n").unwrap();
    let output = bench.sim(&["sweep", "panel", "--space", "scans.toml", "--set", "bounties=50", "--out", "scans"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("a sweep cannot vary them"));
}
