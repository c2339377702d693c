//! The command line: the real binary, one test for each behaviour and each mistake.

use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Command as Process, Stdio},
};

use assert_cmd::{Command, assert::Assert, cargo::cargo_bin};
use expect_test::expect;
use predicates::prelude::*;
use tempfile::TempDir;

fn sim(args: &[&str]) -> Assert {
    Command::new(cargo_bin!("sim")).args(args).env("SIM_CACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/verdicts")).assert()
}

fn stdout(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

fn stderr(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

/// Fails with exit code 2, nothing on stdout, and one line on stderr with every one of `parts`.
fn refused(args: &[&str], parts: &[&str]) {
    let assert = sim(args).code(2).stdout(predicate::str::is_empty());
    let message = stderr(&assert);
    assert!(message.starts_with("error: ") && message.lines().count() == 1, "{message}");
    for part in parts {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
}

/// A folder with one file in it.
fn file(name: &str, content: impl AsRef<[u8]>) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

/// `sim config` with `content` as its scenario is refused.
fn scenario_refused(content: impl AsRef<[u8]>, parts: &[&str]) {
    let (_folder, path) = file("my.toml", content);
    refused(&["config", "--scenario", &path], parts);
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn vectors(path: &str) -> String {
    repository("tests/vectors").join(path).to_str().unwrap().to_owned()
}

fn starter() -> String {
    repository("datasets/corpora/starter").to_str().unwrap().to_owned()
}

// The command itself.

#[test]
fn help_and_version_are_data() {
    sim(&["--help"]).success().stdout(predicate::str::contains("Examples:").and(predicate::str::contains("Exit codes:")));
    sim(&["--version"]).success().stdout(concat!("sim ", env!("CARGO_PKG_VERSION"), "\n"));
    for command in ["replay", "config", "rules", "corpus", "strategies"] {
        sim(&[command, "--help"]).success().stderr("");
    }
}

#[test]
fn a_wrong_command_line_exits_2() {
    for args in [
        &["replai"][..],
        &["config", "--sed", "1"],
        &["config", "--seed", "-1"],
        &["config", "--seed", "9223372036854775808"],
        &[],
        &["rules", "verify"],
    ] {
        sim(args).code(2).stdout("");
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let mut child =
        Process::new(cargo_bin!("sim")).args(["rules", "show", "1.6.1"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_internal_error() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = Process::new(cargo_bin!("sim")).args(["rules", "list"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("error: cannot write to stdout: "));
}

// Settings.

#[test]
fn config_says_where_every_value_comes_from() {
    let (folder, scenario) =
        file("my.toml", "rules = \"1.0.0\"\n\n[ambassadors]\namount = 2\n[[rivals]]\ncount = 5\n\n[[rivals]]\nmodel = \"none\"\n");
    let engine = folder.path().join("engine.toml");
    fs::write(&engine, "name = \"mine\"\n\n[[backends]]\nkind = \"recorded\"\ncolumn = \"ClamAV\"\n").unwrap();
    let engine = engine.to_str().unwrap();
    let args =
        ["config", "--scenario", &scenario, "--engine", engine, "--strategy", "null/min", "--seed", "9", "--set", "ambassadors.count=2"];
    let assert = sim(&args).success().stderr("");
    let text = stdout(&assert).replace(folder.path().to_str().unwrap(), "");
    let lines: Vec<&str> = text.lines().filter(|line| !line.ends_with("# default") && line.contains("  # ")).collect();
    expect![[r#"
        seed = 9                         # --seed
        rules = "1.0.0"                  # /my.toml:1
        # reveal_window = 25             # bounty-registry-1.0.0
        # vote_window = 100              # bounty-registry-1.0.0
        # bounty_fee = "0.0625 NCT"      # bounty-registry-1.0.0
        # assertion_fee = "0.03125 NCT"  # bounty-registry-1.0.0
        # bid_minimum = "0.0625 NCT"     # bounty-registry-1.0.0
        # bid_maximum is not limited     # bounty-registry-1.0.0
        count = 2                        # --set
        amount = "2 NCT"                 # /my.toml:4
        name = "mine"                    # /engine.toml:1
        strategy = "null/min"            # --strategy
        kind = "recorded"                # /engine.toml:4
        column = "ClamAV"                # /engine.toml:5
        count = 5                        # /my.toml:6
        model = "none"                   # /my.toml:9"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn config_reads_its_own_output() {
    let sets = [
        "--set",
        "rivals.1.model=none",
        "--set",
        "market.bounty_fee=17 wei",
        "--set",
        "engine.name=\"a\\nb\"",
        "--set",
        "engine.backends.0.kind=eicar",
    ];
    for sets in [&sets[..], &[]] {
        let first = stdout(&sim(&[&["config"], sets].concat()).success());
        let (_folder, path) = file("again.toml", &first);
        let second = stdout(&sim(&["config", "--scenario", &path]).success());
        assert_eq!(first.lines().next(), second.lines().next(), "the hash of the scenario");
        let values = |text: &str| text.lines().map(|line| line.split("  #").next().unwrap().to_owned()).collect::<Vec<_>>();
        assert_eq!(values(&first), values(&second));
        let json = |args: &[&str]| -> serde_json::Value { serde_json::from_slice(&sim(args).success().get_output().stdout).unwrap() };
        let (first, second) =
            (json(&[&["config", "--format", "json"], sets].concat()), json(&["config", "--format", "json", "--scenario", &path]));
        assert_eq!((&first["scenario"], &first["scenario_sha256"]), (&second["scenario"], &second["scenario_sha256"]));
        assert_eq!(first["origins"]["seed"], "default");
    }
}

#[test]
fn later_layers_win() {
    let (_folder, path) = file("my.toml", "seed = 1\n[engine]\nname = \"scenario\"\nstrategy = \"null/ben\"\n");
    let value = |args: &[&str], key: &str| {
        let text = stdout(&sim(&[&["config", "--scenario", &path], args].concat()).success());
        text.lines().find(|line| line.starts_with(key)).unwrap().split("  #").next().unwrap().trim_end().to_owned()
    };
    assert_eq!(value(&[], "seed"), "seed = 1");
    assert_eq!(value(&["--set", "seed=2", "--set", "seed=3"], "seed"), "seed = 3");
    assert_eq!(value(&["--seed", "4", "--set", "seed=3"], "seed"), "seed = 4");
    let (_folder, engine) = file("engine.toml", "name = \"engine file\"\n");
    assert_eq!(value(&["--engine", &engine], "strategy"), "strategy = \"stock/default\"", "the engine file replaces the whole table");
    assert_eq!(value(&["--engine", &engine, "--set", "engine.name=x"], "name"), "name = \"x\"");
}

#[test]
fn files_that_are_no_toml_are_refused() {
    refused(&["config", "--scenario", "/nowhere/my.toml"], &["/nowhere/my.toml: cannot be read; name a TOML file: No such file"]);
    let folder = tempfile::tempdir().unwrap();
    refused(&["config", "--engine", folder.path().to_str().unwrap()], &["this is a folder; name a TOML file in it"]);
    scenario_refused(b"seed = 1\nrules = \"\xff\"\n", &["my.toml, line 2: this is not UTF-8 text", "save it as UTF-8"]);
    scenario_refused("seed = 1\nrules = = 2\n", &["my.toml, line 2, column 9: this is not TOML: ", "correct it"]);
    scenario_refused("seed = 1\nseed = 2\n", &["my.toml, line 2, column 1: this is not TOML: duplicate key"]);
    scenario_refused("seed = 99999999999999999999\n", &["my.toml, line 1, column 8: this is not TOML: the number exceeds 63 bits"]);
    scenario_refused(format!("x = {}", "[".repeat(100_000)), &["my.toml, line 1, column "]);
    scenario_refused("#".repeat((1 << 20) + 1), &["my.toml: exceeds 1048576 bytes"]);
}

#[test]
fn an_unknown_key_hears_of_the_nearest() {
    scenario_refused(
        "seed = 1\n[ambassadors]\ncuont = 3\n",
        &["my.toml:3: unknown key `ambassadors.cuont`; the nearest is `ambassadors.count`"],
    );
    scenario_refused("\n[ambasadors]\ncount = 3\n", &["my.toml:2: unknown key `ambasadors`; the nearest is `ambassadors`"]);
    scenario_refused(
        "\n\n[[rivals]]\n[[rivals]]\ndrop_out = 0.1\n",
        &["my.toml:5: unknown key `rivals.1.drop_out`; the nearest is `rivals.1.dropout`"],
    );
    scenario_refused("[switches]\nzzz = true\n", &["my.toml:2: unknown key `switches.zzz`; there are `binding_commitments`, "]);
    refused(&["config", "--set", "amount=3"], &["--set: unknown key `amount`; the nearest is `ambassadors.amount`"]);
    let (_folder, engine) = file("engine.toml", "[scan]\nslot = 3\n");
    refused(&["config", "--engine", &engine], &["engine.toml:2: unknown key `engine.scan.slot`; the nearest is `engine.scan.slots`"]);
    refused(&["config", "--set", "rivals.0.cuont=3"], &["--set: unknown key `rivals.0.cuont`; the nearest is `rivals.0.count`"]);
}

#[test]
fn a_wrong_type_hears_of_the_right_one() {
    scenario_refused("seed = \"x\"\n", &["my.toml:1: `seed` is the text `x`, but must be a whole number"]);
    scenario_refused("[ambassadors]\ncount = 1.5\n", &["my.toml:2: `ambassadors.count` is 1.5, but must be a whole number"]);
    scenario_refused(
        "[ambassadors]\ncount = -1\n",
        &["my.toml:2: `ambassadors.count` is -1, but must be a whole number from 0 to 4294967295"],
    );
    scenario_refused("rivals = 3\n", &["my.toml:1: `rivals` is 3, but must be a list of tables"]);
    scenario_refused("[[rivals]]\nstrategies = [\n1]\n", &["my.toml:2: `rivals.0.strategies.0` is 1, but must be text in quotes"]);
    scenario_refused("[arbiters]\nstake = true\n", &["my.toml:2: `arbiters.stake` is true, but must be an amount, as in `0.5`"]);
    scenario_refused("[arbiters]\nstake = \"-1\"\n", &["my.toml:2: `arbiters.stake`: `-1` is not an amount: it is negative"]);
    scenario_refused(
        "[ambassadors]\n\narrival = \"often\"\n",
        &["my.toml:3: `ambassadors.arrival`: unknown variant `often`, expected one of `fixed`, `poisson`, `recorded`"],
    );
    scenario_refused(
        "engine = { backends = [{ tpr = 0.5 }] }\n",
        &["my.toml:1: `engine.backends.0` needs `kind`: `recorded`, `eicar`, `hash-list`"],
    );
    refused(
        &["config", "--set", "switches.freeze_fees=maybe"],
        &["--set: `switches.freeze_fees` is the text `maybe`, but must be `true` or `false`"],
    );
    refused(&["config", "--set", "seed"], &["--set `seed`: there is no key before a `=`; write `--set KEY=VALUE`"]);
}

#[test]
fn a_number_out_of_range_hears_of_the_range() {
    scenario_refused("[ambassadors]\ncount = 0\n", &["my.toml:2: `ambassadors.count` is 0, but must be within 1 and 10000"]);
    scenario_refused("block_seconds = nan\n", &["my.toml:1: `block_seconds` is NaN, but must be within 0.001"]);
    refused(&["config", "--set", "market.bid_maximum=0.01"], &["--set: `market.bid_maximum` is 0.01 NCT, but must be at least 0.0625 NCT"]);
    refused(
        &["config", "--set", "market.bid_minimum=3"],
        &["--set: `market.bid_minimum` is 3 NCT, but must be at most 1 NCT, the greatest"],
    );
    refused(&["config", "--set", "market.bid_minimum=0"], &["--set: `market.bid_minimum` is 0 NCT, but must be at least 1 wei"]);
    refused(&["config", "--set", "rivals.0.error_factor=11"], &["--set: `rivals.0.error_factor` is 11, but must be within 0 and 10"]);
    let independent = ["config", "--set", "rivals.0.model=independent", "--set", "rivals.0.correlation=0.7"];
    refused(&independent, &["--set: `rivals.0.correlation` is 0.7, but must be left out", "`two-factor`"]);
    refused(
        &["replay", "panel", "--set", "rivals.0.correlation=0.7"],
        &["`correlation` is for rivals with factors in common", "set `rivals.0.model`"],
    );
    refused(&["config", "--set", "rivals.0.dropout=2"], &["--set: `rivals.0.dropout` is 2, but must be within 0 and 1"]);
    let (_folder, engine) = file("engine.toml", "\n[[backends]]\nkind = \"eicar\"\ntpr = 1.5\n");
    refused(&["config", "--engine", &engine], &["engine.toml:4: `engine.backends.0.tpr` is 1.5, but must be within 0 and 1"]);
    let (_folder, engine) = file("engine.toml", "\n[[backends]]\nkind = \"recorded\"\n");
    refused(&["config", "--engine", &engine], &["engine.toml:3: `engine.backends.0`: backend 0 (`recorded`) needs `column`"]);
}

#[test]
fn an_unknown_name_hears_of_the_known_ones() {
    refused(
        &["config", "--rules", "2.0"],
        &["--rules: `rules = \"2.0\"`: there is no such rule set; `sim rules list` names `bounty-registry-1.6.1`"],
    );
    refused(
        &["config", "--strategy", "stock/agressive"],
        &["--strategy: `engine.strategy`: unknown strategy `stock/agressive`", "`stock/aggressive`", "`sim strategies`"],
    );
    refused(&["config", "--strategy", "oracle/labl"], &["the nearest are `oracle/label`"]);
    refused(&["config", "--strategy", "fixed?bit=1"], &["has no parameter `bit`; it takes `bid`"]);
    scenario_refused(
        "[[rivals]]\nstrategies = [\"stock/defualt\"]\n",
        &["my.toml:2: `rivals.0.strategies`: unknown strategy", "`stock/default`"],
    );
    refused(
        &["config", "--set", "rivals.0.strategies=['oracle/label']"],
        &["--set: `rivals.0.strategies`: `oracle/label` is for the engine under test only"],
    );
    refused(&["config", "--set", "rivals.0.strategies=['dd-cap?base=oracle/label']"], &["unknown strategy `oracle/label`"]);
    sim(&["config", "--strategy", "oracle/label"]).success();
    refused(
        &["config", "--set", "rivals.0.strategies=['dd-cap?base=command?run=cat']"],
        &["--set: `rivals.0.strategies`: `command` is for the engine under test only: a program would have to run for every rival"],
    );
    sim(&["config", "--set", "rivals.0.strategies=['pm-ev', 'dd-cap?base=vol-target?base=adahedge']"]).success();
    refused(&["config", "--strategy", "pm-ev?memory=many"], &["`memory=many` is not a whole number from 1 to 100000"]);
    refused(&["config", "--strategy", "vol-target?base=fixed?bit=1"], &["strategy `fixed` has no parameter `bit`"]);
}

#[test]
fn hostile_names_cannot_drive_the_terminal() {
    let hostile = "a\u{1b}[2J\u{202e}b";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("{hostile}.toml"));
    fs::write(&path, "[engine]\nname = \"\\u001b[2J\u{202e}\"\n").unwrap();
    let path = path.to_str().unwrap();
    let set = format!("{hostile}=1");
    for assert in [
        sim(&["config", "--scenario", path]).success(),
        sim(&["config", "--scenario", &format!("{path}x")]).code(2),
        sim(&["config", "--set", &set]).code(2),
        sim(&["config", "--strategy", hostile]).code(2),
        sim(&["config", "--rules", hostile]).code(2),
        sim(&["rules", "show", hostile]).code(2),
        sim(&["rules", "verify", hostile]).code(2),
        sim(&["corpus", "info", hostile]).code(2),
    ] {
        let text = stdout(&assert) + &stderr(&assert);
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
    }
}

#[test]
fn replay_refuses_wrong_settings_like_config() {
    refused(&["replay", &starter(), "--set", "seed=x"], &["--set: `seed` is the text `x`, but must be a whole number"]);
}

// Rules.

#[test]
fn rules_are_listed_with_the_default_marked() {
    let assert = sim(&["rules", "list"]).success();
    expect![[r#"
        bounty-registry-1.6.1  1.6.1  default: a bid per artifact, 0.0625 NCT to 1 NCT;
                                      a malicious vote weighs 1
        bounty-registry-1.0.0  1.0.0  one bid per assertion, from 0.0625 NCT; a
                                      malicious vote weighs 10
    "#]]
    .assert_eq(&stdout(&assert));
}

#[test]
fn a_rule_set_is_shown_as_toml_with_units() {
    for name in ["1.6.1", "bounty-registry-1.0.0"] {
        let text = stdout(&sim(&["rules", "show", name]).success());
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["switches"].as_table().unwrap().len(), 13);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains("# Least bid: 0.0625 NCT.\nbid_minimum = \"62500000000000000 wei\"\n"), "{text}");
        assert!(text.contains("# Vote window, in blocks.\nvote_window = 100\n"), "{text}");
    }
    refused(&["rules", "show", "1.7"], &["there is no rule set `1.7`; there are `bounty-registry-1.6.1`"]);
}

#[test]
fn a_diff_of_rule_sets_has_the_differences_only() {
    expect![[r#"
                          bounty-registry-1.6.1  bounty-registry-1.0.0
        edition           1.6.1                  1.0.0
        bids              per_artifact           per_bounty
        bounty_minimum    2 NCT                  0.0625 NCT
        bid_maximum       1 NCT                  none
        artifact_types    2                      1
        reveal_window     10 blocks              25 blocks
        malicious_weight  1                      10
    "#]]
    .assert_eq(&stdout(&sim(&["rules", "diff", "1.6.1", "1.0.0"]).success()));
    sim(&["rules", "diff", "1.6.1", "bounty-registry-1.6.1"]).success().stdout("no differences\n");
    refused(&["rules", "diff", "1.6.1", "x"], &["there is no rule set `x`"]);
}

#[test]
fn golden_vectors_agree() {
    let file = vectors("1.6.1/acceptance.jsonl");
    sim(&["rules", "verify", &file]).success().stdout(format!("{file}: 32 vectors, 0 mismatches\n"));
    let assert = sim(&["rules", "verify", &vectors("1.6.1"), &vectors("common/bloom.jsonl.gz")]).success().stderr("");
    let text = stdout(&assert);
    assert!(text.contains("reverts.jsonl: 223 vectors, 0 mismatches, 35 skipped (the ERC20 relay)\n"), "{text}");
    assert!(text.ends_with("\n1700 vectors, 0 mismatches, 35 skipped (the ERC20 relay)\n"), "{text}");
}

#[test]
fn one_altered_number_is_one_mismatch() {
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(fs::File::open(vectors("1.0.0/settlement.jsonl.gz")).unwrap()).read_to_string(&mut text).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut vector: serde_json::Value = serde_json::from_str(&lines[6]).unwrap();
    let id = vector["id"].as_str().or(vector["name"].as_str()).unwrap().to_owned();
    let path = alter(&mut vector["out"], "out").unwrap();
    lines[6] = vector.to_string();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(lines.join("\n").as_bytes()).unwrap();
    let (_folder, altered) = file("altered.jsonl.gz", packed.finish().unwrap());
    let assert = sim(&["rules", "verify", &altered]).code(4).stderr("");
    let text = stdout(&assert);
    let mut printed = text.lines();
    assert_eq!(printed.next().unwrap(), format!("{altered}: {} vectors, 1 mismatches", lines.len()));
    let mismatch = printed.next().unwrap().trim();
    let field = path.strip_prefix("out.").unwrap_or(&path);
    assert!(mismatch.starts_with(&format!("line 7, vector {id}: ")) && mismatch.contains(field), "{path}: {mismatch}");
    assert!(mismatch.contains(": expected ") && mismatch.contains(", got "), "{mismatch}");
}

/// Changes the first decimal number below `value`; its path.
fn alter(value: &mut serde_json::Value, path: &str) -> Option<String> {
    match value {
        serde_json::Value::Object(fields) => fields.iter_mut().find_map(|(name, value)| alter(value, &format!("{path}.{name}"))),
        serde_json::Value::Array(list) => list.iter_mut().enumerate().find_map(|(index, value)| alter(value, &format!("{path}[{index}]"))),
        serde_json::Value::String(text) if text.len() > 10 && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.push('7');
            Some(path.to_owned())
        }
        _ => None,
    }
}

#[test]
fn vectors_that_cannot_be_read_are_refused() {
    let whole = fs::read(vectors("1.6.1/staking.jsonl.gz")).unwrap();
    let (_folder, truncated) = file("truncated.jsonl.gz", &whole[..whole.len() / 2]);
    refused(&["rules", "verify", &truncated], &["truncated.jsonl.gz, line ", "is the file complete?"]);
    let (_folder, text) = file("text.jsonl", "no vector\n");
    refused(&["rules", "verify", &text], &["text.jsonl, line 1: not a JSON value"]);
    let (_folder, other) = file("other.jsonl", "{\"a\": 1}\n");
    refused(&["rules", "verify", &other], &["other.jsonl, line 1: cannot play vector `?`: no known kind of vector"]);
    let (folder, empty) = file("empty.jsonl", "");
    refused(&["rules", "verify", &empty], &["empty.jsonl: there is no vector in this file"]);
    refused(&["rules", "verify", "/nowhere.jsonl"], &["cannot open /nowhere.jsonl: No such file"]);
    fs::remove_file(empty).unwrap();
    refused(&["rules", "verify", folder.path().to_str().unwrap()], &["there is no .jsonl or .jsonl.gz file below this folder"]);
}

// Corpora.

#[test]
fn the_starter_corpus_is_written_checked_and_described() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = folder.path().join("starter");
    let corpus = corpus.to_str().unwrap();
    sim(&["corpus", "starter", corpus]).success().stdout("").stderr(predicate::str::contains(format!("sim replay {corpus}")));
    refused(&["corpus", "starter", corpus], &["already exists; remove it"]);
    sim(&["corpus", "check", "--files", corpus])
        .success()
        .stdout(predicate::str::starts_with("ok: 60 artifacts, 28 malicious, 32 benign, 60 files agree; sha256 "));
    let assert = sim(&["corpus", "info", corpus]).success();
    expect![[r#"
        name        starter
        title       Small generated files: EICAR, GTUBE and marked dummies among
                    harmless ones
        license     CC0-1.0
        source      generated by datasets::starter::write_starter
        sha256      dd8a3afe69ab38755e4c666f7c714781a7cd2dc5356654411ba275ff848dd304
        artifacts   60 files, with their content
        malicious   28 (46.7 %)
        benign      32 (53.3 %)
        first seen  2024-03-04T06:00:00Z to 2024-04-11T23:17:59Z, in order

        file type  malicious  benign
        txt               10       5
        eml                6       3
        html               3       4
        json               2       4
        csv                1       4
        py                 2       3
        sh                 2       3
        zip                2       2
        gif                0       2
        png                0       2

        no recorded engines: an engine has to scan the artifacts itself
    "#]]
    .assert_eq(&stdout(&assert));
}

/// A corpus with two recorded engines.
fn recorded() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("manifest.toml"),
        "schema = 1\nname = \"panel\"\ntitle = \"Two engines\"\ntable = \"artifacts.csv\"\n[[engine]]\nname = \"A\u{202e}\"\nverdict = \"a\"\n[[engine]]\nname = \"B\"\nverdict = \"b\"\n",
    )
    .unwrap();
    let id = |digit: &str| digit.repeat(64);
    let table =
        format!("sha256,label,a,b\n{},malicious,1,\n{},malicious,0,\n{},benign,1,\n{},benign,,1\n", id("1"), id("2"), id("3"), id("4"));
    fs::write(folder.path().join("artifacts.csv"), table).unwrap();
    folder
}

#[test]
fn recorded_engines_are_described_by_their_rates() {
    let folder = recorded();
    let corpus = folder.path().to_str().unwrap();
    let text = stdout(&sim(&["corpus", "info", corpus]).success());
    let engines: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("recorded engine")).collect();
    expect![[r#"
        recorded engine  coverage     TPR     FPR
        A\u{202e}          0.7500  0.5000  1.0000
        B                  0.2500       -  1.0000"#]]
    .assert_eq(&engines.join("\n"));
    let json: serde_json::Value =
        serde_json::from_slice(&sim(&["corpus", "info", corpus, "--format", "json"]).success().get_output().stdout).unwrap();
    assert_eq!((&json["rows"], &json["engines"][0]["tpr"], &json["engines"][1]["tpr"]), (&4.into(), &0.5.into(), &serde_json::Value::Null));
    assert_eq!(json["types"]["(none)"]["malicious"], 2);
}

#[test]
fn a_corpus_that_is_wrong_is_refused() {
    refused(&["corpus", "info", "/nowhere"], &["/nowhere: there is no corpus here; give a corpus folder"]);
    let folder = recorded();
    let table = folder.path().join("artifacts.csv");
    let text = fs::read_to_string(&table).unwrap();
    fs::write(&table, text.replace("benign", "clean")).unwrap();
    refused(&["corpus", "check", folder.path().to_str().unwrap()], &["artifacts.csv, line 4", "clean"]);
    fs::write(&table, text.replace(&"2".repeat(64), &"1".repeat(64))).unwrap();
    refused(&["corpus", "check", folder.path().to_str().unwrap()], &["artifacts.csv, line 3", "line 2"]);
}

// Strategies.

#[test]
fn strategies_are_listed_and_shown() {
    let list = stdout(&sim(&["strategies", "list"]).success());
    assert_eq!(list, stdout(&sim(&["strategies"]).success()));
    assert!(list.contains("null/min            the least bid on the own verdict\n"), "{list}");
    assert!(list.contains("oracle/label        oracle: knows the corpus label"), "{list}");
    assert!(list.lines().all(|line| line.chars().count() <= 80), "{list}");
    sim(&["strategies", "show", "oracle/label"]).success().stdout(predicate::str::contains("Rivals cannot use it"));
    let shown = stdout(&sim(&["strategies", "show", "pm-kelly"]).success());
    for part in ["Formula: max E", "Source: Kelly 1956", "memory=400", "lambda=0.25", "For the first group of rivals"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    let all: serde_json::Value = serde_json::from_str(&stdout(&sim(&["strategies", "--format", "json"]).success())).unwrap();
    assert!(all.as_array().unwrap().iter().any(|strategy| strategy["name"] == "oracle/hindsight" && strategy["kind"] == "oracle"));
    let one = stdout(&sim(&["strategies", "show", "hedge", "--format", "json"]).success());
    let one: serde_json::Value = serde_json::from_str(&one).unwrap();
    assert_eq!(one["parameters"][0], serde_json::json!({"name": "horizon", "default": "1000", "meaning": one["parameters"][0]["meaning"]}));
    sim(&["strategies", "show", "fixed?bid=0.7"]).success().stdout(predicate::str::contains("--strategy 'fixed?bid=0.7'"));
    refused(&["strategies", "show", "fxed"], &["unknown strategy `fxed`; the nearest are `fixed`"]);
}
