//! `sim model train` as a user meets it, and what it trains at work in a replay.

use std::{fs, path::Path};

use assert_cmd::{Command, cargo::cargo_bin};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::tempdir;

/// A run with a cache of its own.
fn sim(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(cargo_bin!("sim"));
    command.current_dir(folder).env("SIM_CACHE", folder.join("cache")).args(args);
    command
}

fn refused(folder: &Path, args: &[&str], part: &str) {
    let output = sim(folder, args).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains(part), "no `{part}` in: {message}");
}

/// A corpus of scripts: those that decode and run text are malicious, and one in ten is the other way about.
fn generated(folder: &Path, dated: bool) {
    fs::create_dir_all(folder.join("corpus/files")).unwrap();
    let mut table = String::from("sha256,label,path,first_seen\n");
    for index in 0..300_u32 {
        let content = if index % 2 == 0 {
            format!("<?php eval(base64_decode('{}'));", "QUJD".repeat(20 + index as usize % 17))
        } else {
            format!("<?php\nfunction add{index}($a) {{\n    return $a + {index};\n}}\n")
        };
        let content = format!("{content}// {index}");
        let malicious = (index % 2 == 0) != (index % 10 == 3);
        let label = if malicious { "malicious" } else { "benign" };
        // The rows stand in another order than the times.
        let day = if dated {
            format!("2024-{:02}-{:02}T00:00:00Z", 1 + (index * 7 % 300) / 28, 1 + (index * 7 % 300) % 28)
        } else {
            String::new()
        };
        table += &format!("{},{label},files/{index}.php,{day}\n", hex::encode(Sha256::digest(&content)));
        fs::write(folder.join(format!("corpus/files/{index}.php")), content).unwrap();
    }
    fs::write(folder.join("corpus/t.csv"), table).unwrap();
    let manifest = "schema = 1\nname = \"made\"\ntitle = \"made by a test\"\ntable = \"t.csv\"\n";
    fs::write(folder.join("corpus/manifest.toml"), manifest).unwrap();
}

fn trained(folder: &Path, args: &[&str]) -> Value {
    let output = sim(folder, &["model", "train", "--format", "json", "-o", "m.toml", "--force", "--quiet"]).args(args).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_trained_model_is_assessed_on_what_came_later_and_scans_as_a_backend() {
    let folder = tempdir().unwrap();
    generated(folder.path(), true);
    let report = trained(folder.path(), &["corpus"]);
    assert_eq!(report["split"], "first_seen");
    assert_eq!(report["test_begins"], "2024-08-15T00:00:00Z");
    let sum = |part: &str| report[part]["malicious"].as_u64().unwrap() + report[part]["benign"].as_u64().unwrap();
    assert_eq!((sum("train"), sum("test")), (210, 90));
    assert!(report["test"]["auc"].as_f64().unwrap() > 0.8, "{report}");
    assert!(report["test"]["fpr"].as_f64().unwrap() < 0.25, "{report}");
    let model = fs::read(folder.path().join("m.toml")).unwrap();
    trained(folder.path(), &["corpus"]);
    assert_eq!(fs::read(folder.path().join("m.toml")).unwrap(), model, "the same again");

    fs::write(folder.path().join("engine.toml"), "[[backends]]\nkind = \"model\"\nfile = \"m.toml\"\n").unwrap();
    let output = sim(folder.path(), &["scan", "corpus", "--engine", "engine.toml", "--format", "json", "--quiet"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let scan: Value = serde_json::from_slice(&output.stdout).unwrap();
    let backend = &scan["backends"][0];
    assert!(backend["true_positives"].as_u64().unwrap() > 100 && backend["undecided"] == 0, "{backend}");
}

#[test]
fn without_times_the_rows_stand_in_their_order() {
    let folder = tempdir().unwrap();
    generated(folder.path(), false);
    let report = trained(folder.path(), &["corpus", "--train-share", "0.5"]);
    assert_eq!((&report["split"], &report["test_begins"]), (&Value::from("row order"), &Value::Null));
    assert_eq!(report["train"]["malicious"].as_u64().unwrap() + report["train"]["benign"].as_u64().unwrap(), 150);
}

#[test]
fn the_starter_corpus_is_learned_and_the_report_says_how_little_it_is() {
    let folder = tempdir().unwrap();
    let output = sim(folder.path(), &["model", "train", "starter", "-o", "m.toml"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = String::from_utf8(output.stdout).unwrap();
    for part in ["Model of `starter`", "Split by first_seen", "learned from", "test", "AUC", "warning: the test has", "Largest weights"] {
        assert!(report.contains(part), "no `{part}` in:\n{report}");
    }
    assert_eq!(String::from_utf8_lossy(&output.stderr), "wrote m.toml\n");
    let model = fs::read_to_string(folder.path().join("m.toml")).unwrap();
    assert!(model.starts_with("# Trained by sim 0.") && model.contains("\nkind = \"logistic\"\n"), "{model}");
    assert!(!folder.path().join("m.toml.part").exists());
}

#[test]
fn what_cannot_be_trained_says_what_to_do() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("there.toml"), "keep me").unwrap();
    refused(folder.path(), &["model", "train", "starter", "-o", "there.toml"], "--force");
    assert_eq!(fs::read_to_string(folder.path().join("there.toml")).unwrap(), "keep me");
    refused(folder.path(), &["model", "train", "starter", "-o", "no/m.toml"], "no folder");
    refused(folder.path(), &["model", "train", "panel", "-o", "m.toml"], "no files to learn from");
    refused(folder.path(), &["model", "train", "starter", "-o", "m.toml", "--train-share", "2"], "from 0.01 to 0.99");
    // One class alone: the malicious half of the generated corpus.
    generated(folder.path(), false);
    let table = fs::read_to_string(folder.path().join("corpus/t.csv")).unwrap();
    let half: Vec<&str> = table.lines().filter(|line| !line.contains(",benign,")).collect();
    fs::write(folder.path().join("corpus/t.csv"), half.join("\n") + "\n").unwrap();
    refused(folder.path(), &["model", "train", "corpus", "-o", "m.toml"], "both are needed");
    fs::remove_file(folder.path().join("corpus/files/2.php")).unwrap();
    refused(folder.path(), &["model", "train", "corpus", "-o", "m.toml"], "files/2.php");
    assert!(!folder.path().join("m.toml").exists());
}
