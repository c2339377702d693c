//! The `microengine` command: help, and what it says to those who cannot be helped.

use std::{fs, path::Path};

use assert_cmd::Command;

/// The command in a folder of its own, without the environment's settings.
fn microengine(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_microengine"));
    for name in [
        "POLYSWARMD_ADDR",
        "KEYFILE",
        "API_KEY",
        "BACKEND",
        "ENGINE",
        "BID_STRATEGY",
        "TESTING",
        "CHAINS",
        "ARTIFACT_TYPE",
        "JOURNAL",
        "MAX_FEE",
        "MAX_BID",
        "CHAIN_ID",
    ] {
        command.env_remove(name);
    }
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys/microengine.json");
    command.current_dir(folder).env("PASSWORD", "password").env("KEYFILE", key).env("JOURNAL", folder);
    command.timeout(std::time::Duration::from_secs(60));
    command
}

/// What is said to these arguments, which cannot be used.
fn refused(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("recorded.toml"), "[[backends]]\nkind = \"recorded\"\ncolumn = \"ClamAV\"\n").unwrap();
    fs::write(folder.path().join("none.toml"), "name = \"mine\"\n").unwrap();
    fs::write(folder.path().join("wrong.toml"), "nome = \"mine\"\n").unwrap();
    let output = microengine(folder.path()).args(arguments).assert().code(2).get_output().clone();
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn help_has_examples_and_hides_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let output = microengine(folder.path()).arg("--help").env("API_KEY", "0123").assert().success().get_output().clone();
    let help = String::from_utf8(output.stdout).unwrap();
    for words in [
        "Examples:",
        "Exit codes:",
        "--polyswarmd-addr",
        "[env: PASSWORD]",
        "--lockstep",
        "[env: MAX_FEE=]",
        "[env: MAX_BID=]",
        "[env: CHAIN_ID=]",
    ] {
        assert!(help.contains(words), "{words}");
    }
    assert!(!help.contains("0123"));
}

#[test]
fn shells_and_manuals_know_its_flags_and_no_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let out = |arguments: &[&str]| {
        let output = microengine(folder.path()).args(arguments).env("API_KEY", "0123456789").assert().success().get_output().clone();
        String::from_utf8(output.stdout).unwrap()
    };
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = out(&["completions", shell]);
        assert!(script.contains("polyswarmd-addr") && !script.contains("0123456789"), "{shell}");
    }
    let page = out(&["man"]);
    assert!(page.contains(".TH microengine") && page.contains("API_KEY") && !page.contains("0123456789"), "{page}");
}

#[test]
fn what_cannot_be_used_is_told_in_a_sentence() {
    let check = |arguments: &[&str], words: &str| {
        let said = refused(arguments);
        assert!(said.contains(words), "{arguments:?}: {said}");
    };
    check(&[], "no backend; say --backend eicar, or name an engine file with --engine");
    check(&["--backend", "clamav"], "there is no backend `clamav`; there are `eicar` and `hash-list:FILE`");
    check(&["--backend", "hash-list"], "backend `hash-list` needs a list of malicious files: `hash-list:FILE`");
    check(&["--backend", "hash-list:absent.txt"], "backend `hash-list`: cannot read absent.txt");
    check(&["--engine", "absent.toml"], "cannot read the engine file absent.toml");
    check(&["--engine", "wrong.toml"], "wrong.toml is no engine file");
    check(&["--engine", "none.toml"], "the engine file names no backend");
    check(&["--engine", "recorded.toml"], "backend 0 is `recorded`: it replays a corpus, and a live market has none");
    check(&["--backend", "eicar", "--strategy", "stock/agressive"], "unknown strategy `stock/agressive`");
    check(&["--backend", "eicar", "--bid-strategy", "bold"], "[possible values: conservative, default, aggressive]");
    check(&["--backend", "eicar", "--chains", "moon"], "`moon` is neither `side` nor `home`");
    check(&["--backend", "eicar", "--chain-id", "1", "--chains", "side,home"], "--chain-id is for one chain");
    check(&["--backend", "eicar", "--max-fee", "much"], "`much` is not an amount");
    check(&["--backend", "eicar", "--max-bid=-1"], "it is negative");
    check(&["--backend", "eicar", "--seed", "1"], "--lockstep");
    check(&["--backend", "eicar", "--lockstep", "--chains", "home"], "--lockstep is for the side chain alone");
    check(&["--backend", "eicar", "--polyswarmd-addr", "ftp://x"], "`ftp://` is neither http:// nor https://");
    check(&["--backend", "eicar", "--keyfile", "absent"], "cannot read the keyfile absent");
    check(&["--backend", "eicar", "--password", "wrong"], "the password does not open the keystore (its MAC does not match)");
}

#[test]
fn secrets_are_handled_with_care() {
    let key = "0123456789abcdef0123456789abcdef";
    let said = refused(&["--backend", "eicar", "--api-key", key]);
    assert!(said.contains("could read the API key; use https://, or --allow-key-over-http"), "{said}");
    assert!(!said.contains(key));
    let said = refused(&["--backend", "eicar", "--password", "wrong"]);
    assert!(said.contains("warning: other users of this machine can see --password; the environment variable PASSWORD is safer"), "{said}");
}
