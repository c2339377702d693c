//! `sim bench`: figures, gates and their exit codes, reports in any case. Nothing here depends on how fast the machine is:
//! bounds are off by factors of ten and more.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use assert_cmd::{Command, cargo::cargo_bin};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::{TempDir, tempdir};

/// A corpus of three texts, engines beside it, and a folder for what is written.
struct Place {
    folder: TempDir,
}

const QUICK: [&str; 5] = ["--no-probe", "--min-time", "0", "--max-time", "0"];

impl Place {
    fn new() -> Place {
        let place = Place { folder: tempdir().unwrap() };
        let mut table = "sha256,label,path\n".to_owned();
        for (name, label, content) in [("a", "malicious", "bad one"), ("b", "benign", "plain"), ("c", "malicious", "never seen")] {
            place.write(name, content);
            table += &format!("{},{label},{name}\n", hex::encode(Sha256::digest(content)));
        }
        place.write("manifest.toml", "schema = 1\nname = \"small\"\ntitle = \"made by a test\"\ntable = \"t.csv\"\n");
        place.write("t.csv", &table);
        // Finds what says so, and writes down what it was shown.
        let shown = place.path("shown.txt");
        place.write("find.sh", &format!("sha256sum < \"$1\" >> '{}'\ngrep -q bad \"$1\" && exit 1\nexit 0\n", shown.display()));
        place.engine("static.toml", "kind = \"static\"");
        place.engine("find.toml", &format!("kind = \"command\"\ncommand = [\"/bin/sh\", \"{}\"]", place.path("find.sh").display()));
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    fn engine(&self, name: &str, backend: &str) {
        self.write(name, &format!("name = \"mine\"\n[[backends]]\n{backend}\n"));
    }

    /// `sim` in the place.
    fn sim(&self, words: &[&str]) -> Output {
        let mut command = Command::new(cargo_bin!("sim"));
        command.current_dir(self.folder.path()).args(words).env_remove("SIM_BASELINES").output().unwrap()
    }

    /// `sim bench scan` of the corpus by an engine, quickly; its exit code and report.
    fn scan(&self, engine: &str, words: &[&str]) -> (i32, Value) {
        let all = [&["bench", "scan", ".", "--engine", engine, "--format", "json"], &QUICK[..], words].concat();
        let output = self.sim(&all);
        let report = serde_json::from_slice(&output.stdout);
        (output.status.code().unwrap(), report.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))))
    }
}

fn outcomes(report: &Value) -> Vec<&str> {
    report["gates"].as_array().unwrap().iter().map(|gate| gate["outcome"].as_str().unwrap()).collect()
}

fn warned(report: &Value, said: &str) -> bool {
    report["warnings"].as_array().unwrap().iter().any(|warning| warning.as_str().unwrap().contains(said))
}

fn starts_with_xml(path: &Path) -> bool {
    fs::read_to_string(path).unwrap().starts_with("<?xml")
}

#[test]
fn gates_pass_and_fail_and_the_report_is_written_on_both() {
    let place = Place::new();
    let outputs =
        ["--export", "junit=gates.xml", "--export", "markdown=summary.md", "--export", "text=report.txt", "--export-json", "times.json"];
    let (exit, report) = place.scan("find.toml", &[&outputs[..], &["--gate", "tpr >= 0.5", "--gate", "p99_scan <= 10 min"]].concat());
    assert_eq!((exit, outcomes(&report)), (0, vec!["pass", "pass"]));
    let figure = |name: &str| report["figures"][name]["value"].as_f64().unwrap();
    assert_eq!(["tpr", "fpr", "errors", "artifacts", "bytes"].map(figure), [0.5, 0.0, 0.0, 3.0, 22.0]);
    assert!(
        ["files_per_s", "seconds_cold", "load_seconds", "backends.command.p50", "cpu_seconds"].map(figure).iter().all(|&value| value > 0.0)
    );
    assert!(figure("peak_memory_child") > 0.0, "the shell is counted");
    let written = ["gates.xml", "summary.md", "report.txt", "times.json"].map(|name| fs::read_to_string(place.path(name)).unwrap());
    let times: Value = serde_json::from_str(&written[3]).unwrap();
    assert!(times["results"][0]["times"].as_array().unwrap().len() >= 10);

    let (exit, report) = place.scan("find.toml", &[&outputs[..], &["--gate", "tpr >= 0.9", "--gate", "files_per_s >= 1e9"]].concat());
    assert_eq!((exit, outcomes(&report)), (3, vec!["fail", "fail"]));
    assert!(starts_with_xml(&place.path("gates.xml")));
    assert!(fs::read_to_string(place.path("gates.xml")).unwrap().contains("failures=\"2\""));
    assert!(fs::read_to_string(place.path("summary.md")).unwrap().contains("**of 2 gates: 2 FAILED**"));
    assert!(fs::read_to_string(place.path("report.txt")).unwrap().contains("FAIL"));
}

#[test]
fn what_cannot_be_told_is_warned_about_passes_or_fails_as_wished() {
    let place = Place::new();
    // Of fewer than ten rounds nothing is said.
    let words = ["--rounds", "9", "--gate", "files_per_s >= 1"];
    for (wish, expected) in [("warn", 0), ("pass", 0), ("fail", 3)] {
        let (exit, report) = place.scan("static.toml", &[&words[..], &["--cannot-tell", wish]].concat());
        assert_eq!((exit, outcomes(&report)), (expected, vec!["cannot-tell"]), "{wish}");
    }
    let words = [&["bench", "scan", ".", "--engine", "static.toml"], &QUICK[..], &words].concat();
    let said = String::from_utf8(place.sim(&words).stderr).unwrap();
    assert!(said.contains("warning: gate `files_per_s >= 1` cannot be told: of 9 rounds no interval can be stated"), "{said}");
}

#[test]
fn what_is_wrong_is_said_in_a_sentence_before_anything_is_measured() {
    let place = Place::new();
    place.write("list.json", "[]");
    assert_eq!(place.scan("static.toml", &["--rounds", "1", "--export", "json=kept.json"]).0, 0);
    for (words, said) in [
        (&["--gate", "file_per_s >= 1"][..], "there is no figure `file_per_s`; did you mean `files_per_s"),
        (&["--gate", "backends.other.p99 <= 1s"], "there is no figure `backends.other.p99`"),
        (&["--gate", "files_per_s >= base"], "`base` is nothing here; name it with --against or --baseline"),
        (&["--gate", "instructions <= 5"], "instructions are counted with --instructions"),
        (&["--baseline", "main"], "there is no baseline in .sim-bench/main.json; measure one with --save-baseline main"),
        (&["--save-baseline", "../x"], "`../x` cannot be the name of a baseline"),
        (&["--baseline", "list.json"], "is no report of `sim bench --save-baseline`"),
        (&["--export", "junit=missing/gates.xml"], "cannot write missing/gates.xml"),
        (&["--export", "gates.xml"], "write FORMAT=FILE, as in `junit=gates.xml`"),
        (&["--against", "missing.toml"], "--against missing.toml: there is no such engine file"),
        (&["--save-baseline", "main.json"], "its file gets `.json` by itself"),
        (&["--save-baseline", "x", "--baselines", "t.csv/x"], "cannot write the baseline into t.csv/x"),
        (&["--gate", "tpr >= 0/(1-1)"], "the right side is no finite number"),
        (&["--instructions", "--gate", "instructions == 5"], "use <= or >="),
        (&["--against", "exit 7"], "--against: `exit 7` failed (exit status: 7)"),
        (&["--against", "find.toml", "--gate", "peak_memory <= 1 GB"], "both engines share this process and its memory"),
        (&["--against", "true", "--instructions", "--gate", "instructions <= base"], "the instructions of a command are not counted"),
        (&["--baseline", "kept.json", "--instructions", "--gate", "instructions <= base"], "save one with --instructions"),
        (&["--export", "junit=x", "--export-json", "./x"], "two reports cannot both be written to ./x"),
    ] {
        let output = place.sim(&[&["bench", "scan", ".", "--engine", "static.toml"], &QUICK[..], words].concat());
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {error}");
        assert!(error.contains(said), "{words:?}: {error}");
    }
    for words in [&["--no-nulls"][..], &["--against", "true"]] {
        let all = [&["bench", "replay", "panel", "--set", "bounties=20", "--gate", "gain_over_best_null >= 0"], &QUICK[..], words].concat();
        let output = place.sim(&all);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && error.contains("null strategies are played"), "{words:?}: {error}");
    }
    let recorded = place.sim(&[&["bench", "scan", "panel"], &QUICK[..]].concat());
    assert!(String::from_utf8_lossy(&recorded.stderr).contains("no backend of the engine looks at artifacts"));
}

#[test]
fn another_engine_is_measured_in_turns_and_a_slow_one_fails() {
    let place = Place::new();
    let gates = ["--gate", "files_per_s >= base * 0.95", "--gate", "verdicts_sha256 == base"];
    // A process for every file is some hundred times slower than looking at it.
    let (exit, report) = place.scan("find.toml", &[&["--against", "static.toml"], &gates[..]].concat());
    assert_eq!((exit, outcomes(&report)), (3, vec!["fail", "fail"]));
    assert!(report["base"]["ratios"]["files_per_s"]["high"].as_f64().unwrap() < 0.5);
    let (exit, report) = place.scan("static.toml", &[&["--against", "find.toml"], &gates[..2]].concat());
    assert_eq!((exit, outcomes(&report)), (0, vec!["pass"]));
    let rounds = |side: &Value| side["figures"]["seconds"]["rounds"].as_array().unwrap().len();
    assert_eq!(rounds(&report), rounds(&report["base"]));
    // It is scanned as often as ours, so what it says is found as often.
    assert_eq!(report["base"]["figures"]["tpr"]["value"], 0.5);
}

#[test]
fn a_command_is_started_once_a_round_and_so_are_we() {
    let place = Place::new();
    let fast = r#"echo '{"figures": {"files_per_s": {"value": 1e9, "kind": "measured"}, "tpr": {"value": 0.0, "kind": "exact"}}}'; echo x >> started"#;
    let words = ["--against", fast, "--gate", "files_per_s >= base * 0.95", "--gate", "tpr >= base", "--gate", "p50_scan <= 10 min"];
    let (exit, report) = place.scan("static.toml", &words);
    assert_eq!((exit, outcomes(&report)), (3, vec!["fail", "pass", "pass"]));
    // Ten rounds, and one to warm up.
    assert_eq!(fs::read_to_string(place.path("started")).unwrap().lines().count(), 11);
    let same = format!("{} bench scan . --engine static.toml --once", cargo_bin!("sim").display());
    let (exit, report) = place.scan("static.toml", &["--rounds", "2", "--against", &same, "--gate", "verdicts_sha256 == base"]);
    assert_eq!((exit, outcomes(&report)), (0, vec!["pass"]));
    assert!(report["rounds"]["perturbed"].is_null() && report["rounds"]["processes"] == true, "each has its own");
    let memory = |side: &Value| side["figures"]["peak_memory"]["rounds"].as_array().unwrap().len();
    assert_eq!([memory(&report), memory(&report["base"])], [2, 2], "each side has its own memory");
}

#[test]
fn a_baseline_is_kept_unless_a_gate_fails_and_exact_figures_are_held_against_it() {
    let place = Place::new();
    let gate = ["--gate", "tpr >= base", "--gate", "verdicts_sha256 == base"];
    let main = ["--baseline", "main", "--save-baseline", "main"];
    let (exit, report) = place.scan("find.toml", &[&main[..], &gate].concat());
    assert_eq!((exit, outcomes(&report)), (0, vec!["cannot-tell"; 2]), "there is none yet");
    let kept = fs::read(place.path(".sim-bench/main.json")).unwrap();
    let (exit, report) = place.scan("find.toml", &[&["--baseline", "main"], &gate[..]].concat());
    assert_eq!((exit, outcomes(&report)), (0, vec!["pass"; 2]));
    assert_eq!(report["base"]["kind"], "baseline");
    let (exit, report) = place.scan("static.toml", &[&main[..], &gate].concat());
    assert_eq!((exit, outcomes(&report)), (3, vec!["fail"; 2]));
    assert_eq!(fs::read(place.path(".sim-bench/main.json")).unwrap(), kept, "what fails is no baseline");
    // Without a probe nobody knows how far the machine drifted.
    let (exit, report) = place.scan("find.toml", &["--baseline", ".sim-bench/main.json", "--gate", "files_per_s >= base * 0.001"]);
    assert_eq!((exit, outcomes(&report)), (0, vec!["cannot-tell"]));
    let other = place.sim(&["bench", "replay", "panel", "--set", "bounties=50", "--no-probe", "--baseline", "main"]);
    assert_eq!(other.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&other.stderr).contains("is a baseline of `sim bench scan`; name one of `sim bench replay`"));
}

#[test]
fn nothing_old_or_empty_lies_where_a_report_was_to_be() {
    let place = Place::new();
    place.write("gates.xml", "old");
    let words = ["bench", "scan", ".", "--engine", "static.toml", "--export", "junit=gates.xml", "--export", "json=new.json"];
    let output = place.sim(&[&words[..], &QUICK, &["--gate", "nothing >= 1"]].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(!place.path("gates.xml").exists() && !place.path("new.json").exists());
    // A report may take the place of what it is compared with.
    assert_eq!(place.scan("static.toml", &["--export", "json=new.json"]).0, 0);
    let again = ["--export", "json=new.json", "--baseline", "new.json", "--gate", "verdicts_sha256 == base"];
    let (exit, report) = place.scan("static.toml", &again);
    assert_eq!((exit, outcomes(&report)), (0, vec!["pass"]));
}

#[test]
fn every_report_is_attempted_though_one_cannot_be_written() {
    let place = Place::new();
    // A file where a folder was when it was made sure of.
    let gone = "mv gone away; touch gone";
    fs::create_dir(place.path("gone")).unwrap();
    place.write("away.sh", &format!("[ -d gone ] && {{ {gone}; }}; exit 0\n"));
    place.engine("away.toml", &format!("kind = \"command\"\ncommand = [\"/bin/sh\", \"{}\"]", place.path("away.sh").display()));
    let exports = ["--export", "junit=gone/gates.xml", "--export", "junit=gates.xml", "--format", "json"];
    let output = place.sim(&[&["bench", "scan", ".", "--engine", "away.toml"], &QUICK[..], &exports].concat());
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("cannot write gone/gates.xml"), "{error}");
    assert!(serde_json::from_slice::<Value>(&output.stdout).is_ok() && starts_with_xml(&place.path("gates.xml")));
}

#[test]
fn a_command_that_fails_later_leaves_a_report_of_the_rounds_before() {
    let place = Place::new();
    // One round to warm up and three that count.
    let fails =
        r#"echo x >> started; [ $(wc -l < started) -gt 4 ] && exit 7; echo '{"figures": {"tpr": {"value": 0.5, "kind": "exact"}}}'"#;
    let (exit, report) =
        place.scan("find.toml", &["--against", fails, "--gate", "tpr >= base", "--export", "junit=gates.xml", "--save-baseline", "main"]);
    assert_eq!((exit, outcomes(&report), &report["complete"]), (2, vec!["pass"], &Value::Bool(false)));
    assert_eq!((&report["rounds"]["warm"], &report["figures"]["seconds"]["rounds"].as_array().unwrap().len()), (&Value::from(3), &3));
    assert!(warned(&report, "a round failed, and figures are of those before: --against:"), "{report}");
    assert!(starts_with_xml(&place.path("gates.xml")) && !place.path(".sim-bench/main.json").exists());
}

#[test]
fn a_side_that_answers_nothing_holds_nobody_and_is_told_of() {
    let place = Place::new();
    place.write("broken.sh", "exit 9\n");
    place.engine("broken.toml", &format!("kind = \"command\"\ncommand = [\"/bin/sh\", \"{}\"]", place.path("broken.sh").display()));
    let gates = ["--gate", "tpr >= base", "--gate", "verdicts_sha256 != base", "--gate", "errors < base"];
    let once = format!("{} bench scan . --engine broken.toml --once", cargo_bin!("sim").display());
    for against in ["broken.toml", &once] {
        let (exit, report) = place.scan("find.toml", &[&["--rounds", "2", "--against", against], &gates[..]].concat());
        assert_eq!((exit, outcomes(&report)), (0, vec!["cannot-tell", "cannot-tell", "pass"]), "{report}");
        assert!(report["gates"][0]["why"].as_str().unwrap().contains("of the other side, every backend failed on every artifact"));
        assert!(warned(&report, "every backend failed on every artifact"));
        assert!(report["errors"][0]["backend"].as_str().unwrap().contains(&against[..10]), "{report}");
    }
    // Nor does what it reported, whatever becomes of its own gates; and it is kept as nothing to compare with.
    let own = ["--export", "json=broken.json", "--save-baseline", "main", "--gate", "tpr <= 0.5"];
    let (exit, report) = place.scan("broken.toml", &[&["--rounds", "2"], &own[..]].concat());
    assert_eq!((exit, outcomes(&report), place.path(".sim-bench/main.json").exists()), (0, vec!["pass"], false), "{report}");
    let (exit, report) = place.scan("find.toml", &[&["--rounds", "2", "--baseline", "broken.json"], &gates[..]].concat());
    assert_eq!((exit, outcomes(&report)), (0, vec!["cannot-tell", "cannot-tell", "pass"]), "{report}");
}

#[test]
fn a_market_in_which_nothing_was_answered_holds_nobody_either() {
    let place = Place::new();
    place.engine("mute.toml", "kind = \"command\"\ncommand = [\"/bin/sh\", \"-c\", \"exit 9\"]");
    let replay = |engine: &str, words: &[&str]| {
        let all = ["bench", "replay", ".", "--engine", engine, "--set", "bounties=6", "--no-nulls", "--rounds", "1", "--format", "json"];
        let output = place.sim(&[&all[..], &QUICK, words].concat());
        serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    };
    let own = replay("mute.toml", &["--save-baseline", "main", "--gate", "nct_per_bounty <= 5"]);
    assert!(own["nothing_answered"] == true && warned(&own, "every backend failed on every artifact"), "{own}");
    assert!(outcomes(&own) == ["pass"] && !place.path(".sim-bench/main.json").exists(), "{own}");
    let gates = ["--gate", "nct_per_bounty >= base", "--gate", "coverage >= base", "--gate", "bounties == base"];
    let other = replay("find.toml", &[&["--against", "mute.toml"], &gates[..]].concat());
    assert_eq!(outcomes(&other), ["cannot-tell", "cannot-tell", "pass"], "{other}");
}

#[test]
fn a_sound_baseline_is_not_lost_because_another_one_is_unfit() {
    let place = Place::new();
    let rounds = ["--rounds", "1"];
    assert_eq!(place.scan("find.toml", &[&rounds[..], &["--save-baseline", "main"]].concat()).0, 0);
    assert_eq!(place.scan("find.toml", &[&rounds[..], &["--save-baseline", "old"]].concat()).0, 0);
    let damaged = fs::read_to_string(place.path(".sim-bench/old.json")).unwrap();
    let mut damaged: Value = serde_json::from_str(&damaged).unwrap();
    damaged["name"]["corpus_sha256"] = "00".into();
    place.write(".sim-bench/old.json", &damaged.to_string());
    let kept = || fs::read_to_string(place.path(".sim-bench/main.json")).unwrap();
    let before = kept();
    let words = ["--baseline", "old", "--save-baseline", "main", "--gate", "tpr >= base"];
    let (exit, report) = place.scan("static.toml", &[&rounds[..], &words].concat());
    assert_eq!((exit, outcomes(&report)), (0, vec!["cannot-tell"]));
    assert_eq!(kept(), before, "nobody looked at it");
}

#[test]
fn what_is_late_decides_no_gate_but_those_on_lateness() {
    let place = Place::new();
    // Late the first time alone.
    let late = place.path("late");
    place.write("late.sh", &format!("grep -q bad \"$1\" && mkdir '{}' && exec sleep 600\nexit 0\n", late.display()));
    let command =
        format!("kind = \"command\"\ntimeout_milliseconds = 2000\ncommand = [\"/bin/sh\", \"{}\"]", place.path("late.sh").display());
    place.engine("late.toml", &command);
    let gates = ["--gate", "tpr >= 0.5", "--gate", "verdicts_sha256 == 'ab'", "--gate", "timeouts == 1", "--gate", "errors <= 0"];
    let (exit, report) = place.scan("late.toml", &[&["--rounds", "1", "--warm-up", "0"], &gates[..]].concat());
    assert_eq!((exit, outcomes(&report)), (3, vec!["cannot-tell", "cannot-tell", "pass", "fail"]), "{report}");
    fs::remove_dir(&late).unwrap();
    let words = ["bench", "scan", ".", "--engine", "late.toml", "--rounds", "1", "--warm-up", "0", "--save-baseline", "main"];
    let output = place.sim(&[&words[..], &QUICK].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("this report is kept as no baseline, because nothing should be held to it: 1 of"),
        "{said}"
    );
    assert!(!place.path(".sim-bench/main.json").exists(), "what was late may not be the next time");
    assert!(report["gates"][0]["why"].as_str().unwrap().starts_with("1 of the answers did not come (time-outs"));
}

#[test]
fn an_answer_that_is_never_as_sure_as_before_is_not_the_same() {
    let place = Place::new();
    // As sure as it was asked often: always malicious, never by the same confidence.
    let count = place.path("asked.txt");
    let says = format!("echo x >> '{0}'\nprintf '{{\"malicious\": true, \"confidence\": 0.%04d}}' $(wc -l < '{0}')\n", count.display());
    place.write("unsteady.sh", &says);
    let command = format!("command = [\"/bin/sh\", \"{}\"]", place.path("unsteady.sh").display());
    place.engine("unsteady.toml", &format!("kind = \"command\"\noutput = \"json\"\n{command}"));
    let words = ["--no-perturb", "--rounds", "1", "--against", "unsteady.toml", "--gate", "verdicts_sha256 == base"];
    let (exit, report) = place.scan("unsteady.toml", &words);
    assert_eq!((exit, outcomes(&report)), (0, vec!["cannot-tell"]), "{report}");
    assert!(warned(&report, "answers were other ones when the same bytes were scanned again"), "{report}");
}

#[test]
fn children_of_a_shell_that_became_this_process_are_not_counted() {
    let place = Place::new();
    // What a shell started before is a child of the process that it becomes.
    let becomes =
        format!("/bin/true; exec {} bench scan . --engine static.toml --format json {}", cargo_bin!("sim").display(), QUICK.join(" "));
    let output = Command::new("/bin/sh").args(["-c", &becomes]).current_dir(place.folder.path()).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["figures"].get("peak_memory_child").is_none(), "no backend started anything: {report}");
}

#[test]
fn who_is_killed_may_answer_another_time() {
    let place = Place::new();
    place.write("killed.sh", "grep -q bad \"$1\" && kill -KILL $$\nexit 0\n");
    place.engine("killed.toml", &format!("kind = \"command\"\ncommand = [\"/bin/sh\", \"{}\"]", place.path("killed.sh").display()));
    let gates = ["--gate", "tpr >= 0.5", "--gate", "errors <= 0"];
    let (exit, report) = place.scan("killed.toml", &[&["--rounds", "1"], &gates[..]].concat());
    assert_eq!((exit, outcomes(&report)), (3, vec!["cannot-tell", "fail"]), "{report}");
    assert!(report["errors"][0]["reason"].as_str().unwrap().contains("killed by signal 9"), "{report}");
}

#[test]
fn a_baseline_is_replaced_only_if_it_was_compared_with() {
    let place = Place::new();
    let main = ["--baseline", "main", "--save-baseline", "main"];
    assert_eq!(place.scan("find.toml", &main).0, 0);
    let kept = fs::read(place.path(".sim-bench/main.json")).unwrap();
    let same = || fs::read(place.path(".sim-bench/main.json")).unwrap() == kept;
    // Without a probe it cannot be told.
    let untold = ["--gate", "seconds <= base * 2"];
    assert_eq!(place.scan("find.toml", &[&main[..], &untold, &["--cannot-tell", "fail"]].concat()).0, 3);
    assert!(same(), "the exit code said no");
    assert_eq!(place.scan("find.toml", &[&main[..], &untold].concat()).0, 0);
    assert!(same(), "nobody knows whether this one is as good");
    assert_eq!(place.scan("find.toml", &[&main[..], &["--gate", "tpr >= base"]].concat()).0, 0);
    assert!(!same());
}

#[test]
fn somebody_is_the_first_and_what_is_unfit_is_replaced() {
    let place = Place::new();
    // A file of that name is none of its business.
    place.write("main", "a file of the user's");
    let gates = ["--baseline", "main", "--save-baseline", "main", "--cannot-tell", "fail", "--gate", "tpr >= base", "--rounds", "1"];
    let run = |gate: &[&str]| {
        let (exit, report) = place.scan("find.toml", &[&gates[..], gate].concat());
        (exit, outcomes(&report).join(" "))
    };
    let kept = || fs::read_to_string(place.path(".sim-bench/main.json")).ok();
    assert_eq!(run(&["--gate", "files_per_s >= 1"]), (3, "cannot-tell cannot-tell".to_owned()));
    assert_eq!(kept(), None, "one of these cannot be told with a baseline, either");
    assert_eq!(run(&[]), (0, "cannot-tell".to_owned()));
    assert!(kept().is_some());
    assert_eq!(run(&[]), (0, "pass".to_owned()));
    for damage in ["corpus", "unsure"] {
        let mut report: Value = serde_json::from_str(&kept().unwrap()).unwrap();
        match damage {
            "corpus" => report["name"]["corpus_sha256"] = "00".into(),
            _ => report["unsure"]["tpr"] = "chance decided it".into(),
        }
        place.write(".sim-bench/main.json", &report.to_string());
        assert_eq!(run(&[]), (3, "cannot-tell".to_owned()), "{damage}: whoever wants to look into it does");
        assert_eq!(kept(), Some(report.to_string()), "the exit code said no");
        let warned = [&gates[..4], &gates[6..]].concat();
        assert_eq!(place.scan("find.toml", &warned).0, 0);
        assert_ne!(kept(), Some(report.to_string()), "{damage}");
        assert_eq!(run(&[]), (0, "pass".to_owned()), "{damage}");
    }
}

#[test]
fn a_baseline_of_another_market_tells_nothing() {
    let place = Place::new();
    let bench = |bounties: &str, seed: &str, words: &[&str]| {
        let all = ["bench", "replay", "panel", "--no-nulls", "--format", "json", "--seed", seed, "--set", bounties];
        let output = place.sim(&[&all[..], &QUICK, &["--rounds", "1", "--baseline", "main"], words].concat());
        serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    };
    bench("bounties=40", "7", &["--save-baseline", "main"]);
    let gate = ["--gate", "profit_nct >= base"];
    assert_eq!(outcomes(&bench("bounties=40", "7", &gate)), ["pass"]);
    for (bounties, seed, said) in [("bounties=41", "7", "the number of bounties 40, now 41"), ("bounties=40", "8", "the seed 7, now 8")] {
        let report = bench(bounties, seed, &gate);
        assert_eq!(outcomes(&report), ["cannot-tell"]);
        assert!(report["gates"][0]["why"].as_str().unwrap().contains(said), "{report}");
    }
}

#[test]
fn no_pass_shows_the_same_bytes_unless_it_is_wished() {
    let place = Place::new();
    let shown = |words: &[&str]| {
        let _ = fs::remove_file(place.path("shown.txt"));
        let (exit, report) = place.scan("find.toml", &[&["--rounds", "2"], words].concat());
        assert_eq!(exit, 0);
        let shown = fs::read_to_string(place.path("shown.txt")).unwrap();
        let all: Vec<String> = shown.lines().map(str::to_owned).collect();
        let different = all.iter().collect::<BTreeSet<_>>().len();
        (all.len(), different, report["rounds"]["perturbed"].is_u64())
    };
    let (all, different, perturbed) = shown(&[]);
    assert!(all > 12 && perturbed);
    assert_eq!(different, all, "three files, each time other bytes");
    let (all, different, perturbed) = shown(&["--no-perturb"]);
    assert!(all > 12 && !perturbed);
    assert_eq!(different, 3);
}

#[test]
fn a_scanner_that_remembers_is_suspicious() {
    let place = Place::new();
    // Hashes twenty megabytes for what it has not seen before.
    place.write(
        "slow.sh",
        "seen=\"$2/$(sha256sum < \"$1\" | cut -c1-64)\"\n[ -e \"$seen\" ] && exit 0\nhead -c 20000000 /dev/zero | sha256sum > \"$seen\"\n",
    );
    fs::create_dir(place.path("seen")).unwrap();
    let (script, seen) = (place.path("slow.sh"), place.path("seen"));
    place.engine(
        "slow.toml",
        &format!("kind = \"command\"\ncommand = [\"/bin/sh\", \"{}\", \"{{file}}\", \"{}\"]", script.display(), seen.display()),
    );
    let warned = |words: &[&str]| {
        let (exit, report) = place.scan("slow.toml", &[&["--rounds", "1", "--warm-up", "0"], words].concat());
        assert_eq!(exit, 0);
        report["warnings"].as_array().unwrap().iter().any(|warning| warning.as_str().unwrap().contains("a cache may answer"))
    };
    assert!(warned(&["--no-perturb"]));
    fs::remove_dir_all(&seen).unwrap();
    fs::create_dir(&seen).unwrap();
    assert!(!warned(&[]));
}

#[test]
fn a_market_is_measured_and_what_it_comes_to_is_exact() {
    let place = Place::new();
    let bench = |words: &[&str]| {
        let all = [&["bench", "replay", "panel", "--set", "bounties=60", "--format", "json"], &QUICK[..], words].concat();
        let output = place.sim(&all);
        let report: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code().unwrap(), report)
    };
    let (exit, report) = bench(&["--gate", "bounties == 60", "--gate", "bounties_per_s >= 0.001", "--gate", "nct_per_bounty >= 1000 NCT"]);
    assert_eq!((exit, outcomes(&report)), (3, vec!["pass", "pass", "fail"]));
    assert!(report["figures"]["first_settled"]["value"].as_f64().unwrap() > 0.0);

    let run = place.sim(&["replay", "panel", "--set", "bounties=60", "--out", "run", "--quiet"]);
    assert!(run.status.success());
    let run: Value = serde_json::from_slice(&fs::read(place.path("run/run.json")).unwrap()).unwrap();
    let exact = |name: &str| report["figures"][name]["value"].clone();
    assert_eq!(exact("decisions_sha256"), run["decisions_sha256"]);
    assert_eq!(exact("journal_sha256"), run["journal"]["sha256"]);
    assert_eq!(exact("profit_nct"), run["engine"]["profit"]["nct"]);

    fs::write(place.path("other.toml"), "strategy = \"null/min\"\n").unwrap();
    let (exit, report) =
        bench(&["--no-nulls", "--against", "other.toml", "--gate", "decisions_sha256 == base", "--gate", "profit_nct > base"]);
    assert_eq!((exit, outcomes(&report)), (3, vec!["fail", "pass"]));
}

/// Writes an engine whose answers are others every time: by turns on every second file that it is asked about.
fn fickle(place: &Place) {
    let count = place.path("asked.txt");
    let script = format!("echo x >> '{0}'\n[ $(($(wc -l < '{0}') / 2 % 2)) = 0 ] && exit 1\nexit 0\n", count.display());
    place.write("fickle.sh", &script);
    place.engine("fickle.toml", &format!("kind = \"command\"\ncommand = [\"/bin/sh\", \"{}\"]", place.path("fickle.sh").display()));
}

#[test]
fn a_market_set_up_anew_may_be_another_one_and_holds_nobody_then() {
    let place = Place::new();
    fickle(&place);
    let words = ["bench", "replay", ".", "--engine", "fickle.toml", "--set", "bounties=6", "--no-nulls", "--jobs", "1", "--rounds", "1"];
    let gates = ["--gate", "decisions_sha256 == 'ab'", "--gate", "profit_nct >= 1000", "--gate", "bounties == 6"];
    // Whoever is asked again answers otherwise; what is known is not asked.
    let bench = |again: &[&str]| {
        let wishes = ["--cold", "3", "--cache", "verdicts", "--format", "json"];
        let output = place.sim(&[&words[..], &QUICK, &wishes, &gates, again].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|_| panic!("{said}")))
    };
    let (exit, report) = bench(&["--rescan"]);
    assert_eq!((exit, outcomes(&report)), (Some(0), vec!["cannot-tell", "cannot-tell", "pass"]), "{report}");
    assert!(warned(&report, "when the market was set up anew, the engine decided otherwise"), "{report}");
    let (exit, report) = bench(&[]);
    assert_eq!((exit, outcomes(&report)), (Some(3), vec!["fail", "fail", "pass"]), "{report}");
}

#[test]
fn what_is_late_decides_no_gate_of_a_market() {
    let place = Place::new();
    place.write("late.sh", "grep -q bad \"$1\" && exec sleep 600\nexit 0\n");
    let command =
        format!("kind = \"command\"\ntimeout_milliseconds = 300\ncommand = [\"/bin/sh\", \"{}\"]", place.path("late.sh").display());
    place.engine("late.toml", &command);
    let words = [".", "--engine", "late.toml", "--set", "bounties=6", "--no-nulls", "--cache", "verdicts", "--jobs", "1"];
    let gates = ["--gate", "profit_nct >= 1000", "--gate", "bounties == 6"];
    let wishes = ["--rounds", "1", "--format", "json"];
    let output = place.sim(&[&["bench", "replay"], &words[..], &QUICK, &wishes, &gates].concat());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), outcomes(&report)), (Some(0), vec!["cannot-tell", "pass"]), "{report}");
    assert!(report["gates"][0]["why"].as_str().unwrap().starts_with("1 of the answers did not come (time-outs"), "{report}");
    // A replay by itself passes nothing that is not sure, on either side.
    let output = place.sim(&[&["replay"], &words[..], &["--out", "run"], &gates].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("gate `profit_nct >= 1000`: cannot tell: 1 of the answers did not come"), "{said}");
    assert!(said.contains("gate `bounties == 6`: pass"), "{said}");
    let of_other = ["--baseline", "run/run.json", "--gate", "rank <= base"];
    let output = place.sim(&[&["replay", ".", "--engine", "find.toml"], &words[3..], &of_other].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("cannot tell: of the other run, 1 of the answers did not come"), "{said}");
}

#[test]
fn a_replay_is_held_to_gates_and_its_report_is_written_on_both() {
    let place = Place::new();
    let replay = |words: &[&str]| place.sim(&[&["replay", "panel", "--set", "bounties=60", "--quiet"], words].concat());
    assert_eq!(replay(&["--out", "first", "--gate", "bounties == 60"]).status.code(), Some(0));
    let same = ["--baseline", "first/run.json", "--gate", "journal_sha256 == base", "--gate", "nct_per_bounty >= base - 1%"];
    assert_eq!(replay(&[&["--out", "second"], &same[..]].concat()).status.code(), Some(0));
    let failed = replay(&["--out", "third", "--gate", "nct_per_bounty >= 1000"]);
    assert_eq!(failed.status.code(), Some(3));
    assert!(place.path("third/run.json").exists() && !failed.stdout.is_empty());
    assert!(String::from_utf8_lossy(&failed.stderr).contains("gate `nct_per_bounty >= 1000`: FAIL"));
    for (words, said) in [
        (&["--gate", "files_per_s >= 1"][..], "there is no figure `files_per_s`"),
        (&["--gate", "rank <= base"], "name a run.json with --baseline"),
        (&["--gate", "journal_sha256 == 'ab'"], "the journal is written with --out only"),
        (&["--baseline", "t.csv", "--gate", "rank <= base"], "is no run.json"),
        (&["--baseline", "first/run.json", "--gate", "rank <= base", "--seed", "99"], "that run was of another market (the seed "),
        (&["--baseline", "first/run.json", "--gate", "rank <= base", "--set", "bounties=61"], "the number of bounties 60, now 61"),
    ] {
        let output = replay(words);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), error.contains(said)), (Some(2), true), "{error}");
    }
}

#[test]
fn figures_are_listed() {
    let listed = String::from_utf8(Place::new().sim(&["bench", "figures"]).stdout).unwrap();
    for name in ["files_per_s", "backends.NAME.p99", "bounties_per_s", "nct_per_bounty", "instructions"] {
        assert!(listed.contains(name), "{name}");
    }
}

#[test]
fn instructions_are_counted_where_valgrind_is() {
    let place = Place::new();
    if std::process::Command::new("valgrind").arg("--version").output().is_err() {
        let output = place.sim(&[&["bench", "scan", ".", "--engine", "static.toml", "--instructions"], &QUICK[..]].concat());
        assert!(String::from_utf8_lossy(&output.stderr).contains("there is no valgrind here"));
        return;
    }
    let (exit, report) =
        place.scan("static.toml", &["--instructions", "--gate", "instructions >= 100000", "--gate", "instructions <= 1e12"]);
    assert_eq!((exit, outcomes(&report)), (0, vec!["pass", "pass"]));
    assert!(report["figures"].get("peak_memory_child").is_none(), "valgrind is no process of a backend");
    let (exit, report) =
        place.scan("find.toml", &["--instructions", "--rounds", "1", "--against", "static.toml", "--gate", "instructions >= base * 0.001"]);
    assert_eq!((exit, outcomes(&report)), (0, vec!["pass"]), "{report}");
}
