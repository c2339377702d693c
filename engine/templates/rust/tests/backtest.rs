//! The whole engine in the market: what you would like to know before real NCT is at risk.

use std::process::Command;

use serde_json::Value;

#[test]
fn it_plays_the_starter_corpus_and_finds_something() {
    let cache = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_sim"))
        .args([
            "replay",
            "starter",
            "--engine",
            "engine.toml",
            "--format",
            "json",
            "--quiet",
            "--cache",
        ])
        .arg(cache.path())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let run: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (asserted, right) = (
        &run["engine"]["coverage"]["bounties_asserted"],
        &run["engine"]["vs_label"]["true_positives"],
    );
    assert!(
        asserted.as_u64() > Some(0) && right.as_u64() > Some(0),
        "asserted {asserted}, found {right}"
    );
}
