//! `sim scan`: every artifact once, whatever it is.

use std::{
    fs::{self, File},
    path::Path,
    process::Output,
};

use assert_cmd::{Command, cargo::cargo_bin};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::{TempDir, tempdir};

/// A corpus in a folder of its own.
struct Corpus {
    folder: TempDir,
}

const EICAR: [&str; 2] = [r"X5O!P%@AP[4\PZX54(P^)7CC)7}$", "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"];

impl Corpus {
    fn new(files: &[(&str, &str, &[u8])]) -> Corpus {
        let corpus = Corpus { folder: tempdir().unwrap() };
        let mut table = "sha256,label,path\n".to_owned();
        for (name, label, content) in files {
            fs::write(corpus.folder.path().join(name), content).unwrap();
            table += &format!("{},{label},{name}\n", hex::encode(Sha256::digest(content)));
        }
        let manifest = "schema = 1\nname = \"small\"\ntitle = \"made by a test\"\ntable = \"t.csv\"\n";
        fs::write(corpus.folder.path().join("manifest.toml"), manifest).unwrap();
        fs::write(corpus.folder.path().join("t.csv"), table).unwrap();
        corpus
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn output(&self, cache: &Path, args: &[&str]) -> Output {
        let mut command = Command::new(cargo_bin!("sim"));
        command.arg("scan").arg(self.path()).args(args).arg("--cache").arg(cache).output().unwrap()
    }

    /// The report as JSON; the scan must have come to its end.
    fn scan(&self, cache: &Path, args: &[&str]) -> Value {
        let output = self.output(cache, &[&["--format", "json", "--quiet"], args].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn three() -> Corpus {
    let eicar = EICAR.concat();
    Corpus::new(&[("a", "malicious", eicar.as_bytes()), ("b", "benign", b"plain"), ("c", "malicious", b"never seen")])
}

/// Computed, reused and failed answers.
fn counts(report: &Value) -> [u64; 3] {
    ["computed", "reused", "failed"].map(|key| report[key].as_u64().unwrap())
}

#[test]
fn nothing_is_asked_twice_and_whatever_changes_an_answer_is_asked_again() {
    let (corpus, cache) = (three(), tempdir().unwrap());
    let first = corpus.scan(cache.path(), &[]);
    assert_eq!(counts(&first), [3, 0, 0]);
    let eicar = &first["backends"][0];
    let judged = ["true_positives", "false_positives", "true_negatives", "false_negatives"].map(|key| eicar[key].as_u64().unwrap());
    assert_eq!(judged, [1, 0, 1, 1]);

    let again = corpus.scan(cache.path(), &["--jobs", "1"]);
    assert_eq!(counts(&again), [0, 3, 0]);
    assert_eq!(again["backends"], first["backends"], "what is reused is told as it was");
    assert_eq!(counts(&corpus.scan(cache.path(), &["--rescan"])), [3, 0, 0]);
    assert_eq!(counts(&corpus.scan(cache.path(), &["--set", "engine.archives.depth=1"])), [3, 0, 0], "other limits, other answers");

    let engine = corpus.path().join("engine.toml");
    let list = |hash: &str| {
        fs::write(corpus.path().join("bad.txt"), hash.repeat(32)).unwrap();
        fs::write(&engine, "[[backends]]\nkind = \"eicar\"\n[[backends]]\nkind = \"hash-list\"\nbad = \"bad.txt\"\n").unwrap();
        counts(&corpus.scan(cache.path(), &["--engine", engine.to_str().unwrap()]))
    };
    assert_eq!(list("ab"), [3, 3, 0], "only the new backend is asked");
    assert_eq!(list("ab"), [0, 6, 0]);
    assert_eq!(list("cd"), [3, 3, 0], "another list is another backend");
}

#[test]
fn files_that_cannot_be_had_are_counted_and_tried_again() {
    let (corpus, cache) = (three(), tempdir().unwrap());
    fs::remove_file(corpus.path().join("a")).unwrap();
    fs::write(corpus.path().join("b"), "changed").unwrap();
    let report = corpus.scan(cache.path(), &[]);
    assert_eq!(counts(&report), [1, 0, 2]);
    assert_eq!(report["backends"][0]["failures"], serde_json::json!({ "missing": 1, "changed": 1 }));
    let errors: Vec<(u64, &str)> = report["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| (error["line"].as_u64().unwrap(), error["artifact"].as_str().unwrap()))
        .collect();
    assert_eq!(errors, [(2, "a"), (3, "b")]);

    fs::write(corpus.path().join("b"), "plain").unwrap();
    let report = corpus.scan(cache.path(), &[]);
    assert_eq!(counts(&report), [1, 1, 1], "the file that is right again is scanned");
    let printed = String::from_utf8(corpus.output(cache.path(), &[]).stdout).unwrap();
    assert!(printed.contains("line 2, a: eicar: missing: ") && printed.contains("computed 0, reused 2, failed 1"), "{printed}");
}

#[test]
fn a_file_of_two_hundred_megabytes_is_too_large_and_costs_no_memory() {
    let corpus = three();
    let hole = File::create(corpus.path().join("hole")).unwrap();
    hole.set_len(200 << 20).unwrap();
    let table = fs::read_to_string(corpus.path().join("t.csv")).unwrap();
    fs::write(corpus.path().join("t.csv"), format!("{table}{},benign,hole\n", "ee".repeat(32))).unwrap();
    let cache = tempdir().unwrap();
    let report = corpus.scan(cache.path(), &["--jobs", "1"]);
    assert_eq!((counts(&report), &report["backends"][0]["failures"]), ([3, 0, 1], &serde_json::json!({ "too-large": 1 })));
    assert!(report["peak_memory"].as_u64().is_none_or(|bytes| bytes < 150 << 20), "{}", report["peak_memory"]);
    assert_eq!(counts(&corpus.scan(cache.path(), &[])), [0, 3, 1], "it will not shrink");
}

#[test]
fn a_cache_that_cannot_be_used_is_said_before_anything_is_scanned() {
    let (corpus, folder) = (three(), tempdir().unwrap());
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let output = corpus.output(&file, &["--quiet"]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && message.contains("--cache") && message.contains("file"), "{message}");
}

#[test]
fn hostile_names_stay_text() {
    let name = "x\u{1b}[2J\u{202e}.txt";
    let corpus = Corpus::new(&[(name, "benign", b"one")]);
    fs::remove_file(corpus.path().join(name)).unwrap();
    let printed = String::from_utf8(corpus.output(tempdir().unwrap().path(), &["--quiet"]).stdout).unwrap();
    assert!(printed.contains("x\\u{1b}[2J\\u{202e}.txt") && !printed.contains('\u{1b}'), "{printed}");
}

/// A scan of everything that wants to stop it: none does, and the report says what each tried.
#[test]
#[cfg(unix)]
fn hostile_files_and_hostile_backends_are_counted_with_their_reasons() {
    let zip = |members: &[(&str, &[u8])]| -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, content) in members {
            zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            std::io::Write::write_all(&mut zip, content).unwrap();
        }
        zip.finish().unwrap().into_inner()
    };
    let zeros = vec![0; 40 << 20];
    let flat = zip(&[("zeros", &zeros)]);
    let nested = zip(&[("flat.zip", &flat), ("again.zip", &zip(&[("flat.zip", &flat)]))]);
    let many: Vec<(String, Vec<u8>)> = (0..10_001).map(|index| (format!("{index}"), Vec::new())).collect();
    let many = zip(&many.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect::<Vec<_>>());
    let inside = zip(&[("../../../tmp/escaped", EICAR.concat().as_bytes()), ("/etc/escaped", b"x")]);
    let mut short = zip(&[("a", b"one"), ("b", &zeros[..100_000])]);
    short.truncate(short.len() / 2);
    let corpus = Corpus::new(&[
        ("flat.zip", "malicious", &flat),
        ("nested.zip", "malicious", &nested),
        ("many.zip", "benign", &many),
        ("names.zip", "malicious", &inside),
        ("short.zip", "benign", &short),
        ("explode", "benign", "a".repeat(60_000).as_bytes()),
        ("hang", "benign", b"hang"),
        ("fork", "benign", b"fork"),
        ("flood", "benign", b"flood"),
        ("plain", "benign", b"plain"),
    ]);
    let program = "#!/bin/sh\ncase $(head -c 5 \"$1\") in\nhang) sleep 1000;;\nfork) (sleep 1000 &) ; sleep 1000;;\n\
                   flood) exec yes;;\n*) exit 0;;\nesac\n";
    fs::write(corpus.path().join("scanner.sh"), program).unwrap();
    // Every byte against every other.
    let rule = "rule explode { condition: filesize == 60000 and for all i in (0..filesize - 1) : (for all j in (0..filesize - 1) : (uint8(i) == uint8(j))) }\n";
    fs::write(corpus.path().join("rules.yar"), rule).unwrap();
    let engine = r#"
        [archives]
        bytes = 10000000
        ratio = 1000000
        [[backends]]
        kind = "eicar"
        [[backends]]
        kind = "yara"
        rules = ["rules.yar"]
        timeout_milliseconds = 3000
        [[backends]]
        kind = "command"
        command = ["/bin/sh", "scanner.sh"]
        timeout_milliseconds = 2000
    "#;
    let file = corpus.path().join("engine.toml");
    fs::write(&file, engine).unwrap();
    let cache = tempdir().unwrap();
    let report = corpus.scan(cache.path(), &["--engine", file.to_str().unwrap()]);
    let [eicar, yara, command] = [0, 1, 2].map(|index| &report["backends"][index]);
    // Two bombs, too many entries, and one cut short; what climbs out of its archive is found inside.
    assert_eq!(eicar["failures"], serde_json::json!({ "incomplete": 4 }), "{}", report["errors"]);
    assert_eq!(eicar["true_positives"], 1);
    assert_eq!(yara["failures"], serde_json::json!({ "incomplete": 4, "timed-out": 1 }), "{}", report["errors"]);
    // The one that forks is gone with its children; ten thousand programs take more than two seconds, too.
    assert_eq!(command["failures"], serde_json::json!({ "bad-answer": 1, "incomplete": 3, "timed-out": 3 }), "{}", report["errors"]);
    assert!(!Path::new("/tmp/escaped").exists() && !Path::new("/etc/escaped").exists());
    assert_eq!(report["artifacts"], 10);
    let mut left = std::process::Command::new("ps");
    let running = String::from_utf8(left.args(["-eo", "args"]).output().unwrap().stdout).unwrap();
    assert!(!running.contains("sleep 1000") && !running.contains("scanner.sh"), "something was left running:\n{running}");
}

#[test]
fn an_engine_that_sees_nothing_at_all_is_an_error_and_one_that_sees_a_little_is_not() {
    let (corpus, cache) = (three(), tempdir().unwrap());
    let engine = corpus.path().join("engine.toml");
    let dead = "[[backends]]\nkind = \"command\"\ncommand = [\"/bin/sh\", \"-c\", \"exit 2\"]\n";
    fs::write(&engine, dead).unwrap();
    let output = corpus.output(cache.path(), &["--engine", engine.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("every backend failed on every artifact"));
    assert!(String::from_utf8_lossy(&output.stdout).contains("No answer from command: 3 "), "and the report says why");
    fs::write(&engine, format!("{dead}[[backends]]\nkind = \"eicar\"\n")).unwrap();
    assert!(corpus.output(cache.path(), &["--engine", engine.to_str().unwrap()]).status.success());
}

#[test]
fn a_filter_leaves_artifacts_and_families_alone() {
    let (corpus, cache) = (three(), tempdir().unwrap());
    let with = |rule: &str| corpus.scan(cache.path(), &["--set", rule]);
    // Eicar's file has 68 bytes; corpora without a size column announce none.
    let sized = fs::read_to_string(corpus.path().join("t.csv")).unwrap().replace("label,path", "label,path,size");
    let sized: Vec<String> = sized.lines().zip(["", ",68", ",5", ",10"]).map(|(line, size)| format!("{line}{size}\n")).collect();
    fs::write(corpus.path().join("t.csv"), sized.concat()).unwrap();
    let report = with("engine.filter.accept=['filesize < 20']");
    assert_eq!((&report["filtered"], &report["artifacts"], counts(&report)), (&1.into(), &2.into(), [2, 0, 0]));
    assert_eq!(report["backends"][0]["true_positives"], 0, "the only one to be found was left alone");
    let output = Command::new(cargo_bin!("sim"))
        .arg("replay")
        .arg(corpus.path())
        .args(["--set", "engine.filter.accept=['filesize < 20']", "--set", "engine.strategy=null/mal"])
        .args(["--format", "json", "--no-nulls", "--quiet", "--cache"])
        .arg(cache.path())
        .output()
        .unwrap();
    let run: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(run["engine"]["coverage"]["artifacts_asserted"], 2, "{}", String::from_utf8_lossy(&output.stderr));
    let wrong = corpus.output(cache.path(), &["--set", "engine.filter.accept=['filesize = 20']"]);
    let message = String::from_utf8_lossy(&wrong.stderr);
    assert!(wrong.status.code() == Some(2) && message.contains("there is no `=`"), "{message}");
}
