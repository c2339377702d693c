//! `sim explain`: sums to the wei, other stakes as they would really have earned, and one clear sentence for what cannot be
//! explained.

use std::{fs, path::Path, process::Output};

use assert_cmd::{Command, cargo::cargo_bin};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

fn sim(args: &[&str]) -> Output {
    let mut command = Command::new(cargo_bin!("sim"));
    command.args(args).env("SIM_CACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/verdicts"));
    command.output().unwrap()
}

fn json(args: &[&str]) -> Value {
    let output = sim(&[args, &["--format", "json", "--quiet"]].concat());
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A run of some hundred bounties of the shipped panel.
struct Run {
    _folder: TempDir,
    path: String,
    json: Value,
}

fn play(args: &[&str]) -> Run {
    let folder = tempdir().unwrap();
    let path = folder.path().join("run").to_str().unwrap().to_owned();
    let json = json(&[&["replay", "panel", "--set", "bounties=250", "--no-nulls", "--out", &path], args].concat());
    Run { _folder: folder, path, json }
}

impl Run {
    fn explain(&self, args: &[&str]) -> Value {
        json(&[&["explain", &self.path], args].concat())
    }

    fn refused(&self, args: &[&str], parts: &[&str]) {
        refused(&[&["explain", &self.path], args].concat(), 2, parts);
    }

    /// Changes a file of the run.
    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = Path::new(&self.path).join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    }
}

/// Fails with that exit code, nothing on stdout, and one line on stderr with every one of `parts`.
fn refused(args: &[&str], code: i32, parts: &[&str]) {
    let output = sim(&[args, &["--quiet"]].concat());
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {message}");
    assert!(output.stdout.is_empty() && message.starts_with("error: ") && message.trim_end().lines().count() == 1, "{message}");
    for part in parts {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
}

fn wei(money: &Value) -> i128 {
    money["wei"].as_str().unwrap().parse().unwrap()
}

fn step<'a>(explanation: &'a Value, cause: &str) -> &'a Value {
    let steps = explanation["waterfall"]["steps"].as_array().unwrap();
    steps.iter().find(|step| step["cause"] == cause).unwrap_or_else(|| panic!("{cause} is not in {steps:?}"))
}

/// Steps that cost or gained anything.
fn causes(explanation: &Value) -> Vec<&str> {
    let steps = explanation["waterfall"]["steps"].as_array().unwrap();
    steps.iter().filter(|step| step["bounties"].as_u64().unwrap() > 0).map(|step| step["cause"].as_str().unwrap()).collect()
}

/// Checks everything that adds up.
fn check_sums(run: &Run, explanation: &Value) {
    let waterfall = &explanation["waterfall"];
    let cost = |steps: &Value| steps.as_array().unwrap().iter().map(|step| wei(&step["cost"])).sum::<i128>();
    let (profit, most, difference) = (wei(&waterfall["profit"]), wei(&waterfall["most"]), wei(&waterfall["difference"]));
    assert_eq!(profit, wei(&run.json["engine"]["profit"]));
    assert_eq!((cost(&waterfall["steps"]), most - profit), (difference, difference));
    for bounty in waterfall["costliest"].as_array().unwrap() {
        let steps = bounty["steps"].as_object().unwrap().values().map(wei).sum::<i128>();
        assert_eq!(wei(&bounty["most"]) - wei(&bounty["profit"]), wei(&bounty["cost"]), "{bounty}");
        assert_eq!(steps, wei(&bounty["cost"]), "{bounty}");
    }
    // What only hindsight's market had is of no type.
    assert_eq!(cost(&waterfall["types"]), difference);
    for group in waterfall["types"].as_array().unwrap() {
        assert_eq!(group["steps"].as_object().unwrap().values().map(wei).sum::<i128>(), wei(&group["cost"]), "{group}");
    }
    let same = explanation["what_if"].as_array().unwrap().iter().find(|row| row["factor"] == "1").unwrap();
    assert_eq!((wei(&same["profit"]), wei(&same["difference"]), &same["clamped"]), (profit, 0, &0.0.into()));
    assert_eq!(same["staked"], run.json["engine"]["staked"]);
    let capital = &explanation["capital"];
    assert_eq!(capital["locked_peak"], run.json["engine"]["locked_peak"]);
    let mean = |facts: &Value| facts.as_f64().unwrap();
    assert!((mean(&capital["locked_mean_nct"]) - mean(&run.json["engine"]["locked_mean_nct"])).abs() < 1e-9);
}

/// What a strategy earns in such a market.
fn earns(market: &[&str], strategy: &str) -> i128 {
    wei(&json(&[&["replay", "panel", "--set", "bounties=250", "--no-nulls"], market, &["-s", strategy]].concat())["engine"]["profit"])
}

/// A market in which an engine is never late and never short of Nectar.
const IDEAL: [&str; 6] = ["--set", "engine.scan.times=modelled", "--set", "engine.scan.milliseconds=0", "--set", "wallets.engine=1000000"];

#[test]
fn steps_add_up_to_what_hindsight_really_earns() {
    for rules in ["1.6.1", "1.0.0"] {
        for (strategy, market) in [
            ("stock/default", &[][..]),
            ("pm-ev", &["--set", "ambassadors.artifacts=3", "--set", "arbiters.error=0.1"]),
            ("null/random", &["--set", "ambassadors.artifacts=2", "--set", "arbiters.abstain=0.7", "--set", "rivals.0.dropout=0.2"]),
            ("fixed?bid=1", &["--set", "wallets.engine=8", "--set", "engine.scan.milliseconds=60000"]),
        ] {
            let market = [&["--rules", rules], market].concat();
            let run = play(&[market.as_slice(), &["-s", strategy]].concat());
            let explanation = run.explain(&[]);
            check_sums(&run, &explanation);
            let waterfall = &explanation["waterfall"];
            assert_eq!(wei(&waterfall["limited"]), earns(&market, "oracle/hindsight"), "{rules} {strategy}");
            assert_eq!(wei(&waterfall["most"]), earns(&[market.as_slice(), &IDEAL].concat(), "oracle/hindsight"), "{rules} {strategy}");
            assert!(wei(&waterfall["difference"]) > 0 && causes(&explanation).len() >= 3, "{waterfall}");
            // Rivals can always pay here, so both markets are the same.
            assert_eq!(step(&explanation, "others")["bounties"], 0);
        }
    }
}

#[test]
fn who_can_pay_in_one_market_only_is_told_apart() {
    // An ambassador gets back what nobody asserted on: poor ones post more where the engine leaves more alone.
    let poor = play(&["--set", "wallets.rivals=6", "--set", "wallets.ambassadors=300", "--set", "ambassadors.count=1", "-s", "null/mal"]);
    let explanation = poor.explain(&[]);
    assert!(step(&explanation, "others")["bounties"].as_u64().unwrap() > 0, "{}", explanation["waterfall"]["steps"]);
    let steps = explanation["waterfall"]["steps"].as_array().unwrap().iter().map(|step| wei(&step["cost"])).sum::<i128>();
    assert_eq!(steps, wei(&explanation["waterfall"]["difference"]));
    assert!(explanation["warnings"].to_string().contains("were not posted"), "{}", explanation["warnings"]);
}

#[test]
fn what_was_not_asserted_is_put_down_to_what_kept_it() {
    let check = |args: &[&str], cause: &str, count: &str| {
        let run = play(args);
        let (explanation, coverage) = (run.explain(&[]), &run.json["engine"]["coverage"]);
        let (found, bounties) = (step(&explanation, cause), coverage[count].as_u64().unwrap());
        // Where a win does not pay the fee, nothing was lost.
        let explained = found["bounties"].as_u64().unwrap();
        assert!(explained <= bounties && explained * 10 > bounties * 9 && wei(&found["cost"]) > 0, "{cause}: {found}, {coverage}");
    };
    check(&["--set", "engine.scan.milliseconds=150000", "--set", "engine.scan.slots=3"], "late", "late");
    check(&["--set", "wallets.engine=5", "-s", "fixed"], "unfunded", "unfunded");
    check(&["-s", "fixed?bid=2"], "refused", "refused");
    // One that sizes stakes by what is free wants nothing where there is nothing.
    let careful = play(&["--set", "wallets.engine=5", "-s", "pm-ev"]);
    let unfunded = step(&careful.explain(&[]), "unfunded")["bounties"].as_u64().unwrap();
    assert!(unfunded > 50 && careful.json["engine"]["coverage"]["unfunded"] == 0, "{unfunded}");
    check(&["--set", "engine.filter.reject=[\"filesize > 100000\"]"], "no_opinion", "no_answer");
    check(&["-s", "null/abstain", "--set", "engine.distiller.kind=majority"], "no_opinion", "no_answer");
}

#[test]
fn wrong_verdicts_are_put_down_to_who_was_wrong() {
    let two = [
        "--set",
        "engine.backends.0.kind=recorded",
        "--set",
        "engine.backends.0.column=ClamAV",
        "--set",
        "engine.backends.1.kind=recorded",
        "--set",
        "engine.backends.1.column=K7GW",
        "--set",
        "engine.backends.2.kind=recorded",
        "--set",
        "engine.backends.2.column=DrWeb",
        "--set",
        "engine.distiller.kind=majority",
        "--set",
        "arbiters.error=0.3",
    ];
    let panel = play(&two).explain(&[]);
    for cause in ["scan_error", "distillation", "arbiter_noise", "mis_sized_stake"] {
        assert!(wei(&step(&panel, cause)["cost"]) > 0, "{cause}: {}", panel["waterfall"]["steps"]);
    }
    // One backend alone is never outvoted, and arbiters without errors make no noise.
    let alone = play(&["--set", "arbiters.error=0"]).explain(&[]);
    assert_eq!(["distillation", "arbiter_noise", "against_verdict"].map(|cause| step(&alone, cause)["bounties"].as_u64().unwrap()), [0; 3]);
    // Who always stakes on malicious was told better, and who stakes on nothing was right for nothing.
    assert!(wei(&step(&play(&["-s", "null/mal"]).explain(&[]), "against_verdict")["cost"]) > 0);
    let abstainer = play(&["-s", "null/abstain"]).explain(&[]);
    assert!(wei(&step(&abstainer, "wrong_abstention")["cost"]) > 0);
    assert_eq!((&abstainer["asserted"], &abstainer["capital"]["needed_nct"]), (&0.into(), &0.0.into()));
}

#[test]
fn there_is_nothing_to_explain_about_hindsight() {
    for rules in ["1.6.1", "1.0.0"] {
        let explanation = play(&["-s", "oracle/hindsight", "--rules", rules]).explain(&[]);
        assert_eq!((wei(&explanation["waterfall"]["difference"]), causes(&explanation).len()), (0, 0), "{rules}");
        assert_eq!(explanation["waterfall"]["costliest"], serde_json::json!([]));
        assert!(explanation["warnings"].to_string().contains("knows the arbiters' votes"));
    }
}

#[test]
fn other_stakes_earn_what_they_would_really_have_earned() {
    for (rules, greatest) in [("1.6.1", "fixed?bid=1"), ("1.0.0", "fixed?bid=2")] {
        let market = ["--rules", rules, "--set", "ambassadors.artifacts=2", "--set", "wallets.engine=100000"];
        let run = play(&[&market[..], &["-s", "fixed?bid=0.5"]].concat());
        let explanation = run.explain(&["--what-if", "0.5,1,1.6,4"]);
        check_sums(&run, &explanation);
        let rows = explanation["what_if"].as_array().unwrap();
        assert_eq!(rows.len(), 6);
        let least = "fixed?bid=0.0625";
        let four = if rules == "1.6.1" { greatest } else { "fixed?bid=2" };
        for (row, strategy) in rows.iter().zip(["fixed?bid=0.25", "fixed?bid=0.5", "fixed?bid=0.8", four, least, greatest]) {
            assert_eq!(wei(&row["profit"]), earns(&market, strategy), "{rules} {row}");
            assert_eq!(wei(&row["profit"]) - wei(&run.json["engine"]["profit"]), wei(&row["difference"]));
        }
        assert_eq!([&rows[0]["clamped"], &rows[4]["clamped"]], [&Value::from(0.0), &Value::Null]);
        assert_eq!(rows[3]["clamped"], if rules == "1.6.1" { 1.0 } else { 0.0 });
    }
}

#[test]
fn one_thing_changed_is_the_market_with_that_set() {
    let market = ["--set", "rivals.0.model=two-factor"];
    let run = play(&market);
    let explanation = run.explain(&["--sensitivity"]);
    let rows = explanation["sensitivity"].as_array().unwrap();
    assert_eq!(rows.len(), 12);
    for (change, set) in [
        ("rivals' errors x 2", &["rivals.0.error_factor=2"][..]),
        ("rivals' correlation 0", &["rivals.0.correlation=0"]),
        ("half as many rivals", &["rivals.0.count=5"]),
        ("twice as many rivals", &["rivals.0.count=20"]),
        ("arbiters' error 5 %", &["arbiters.error=0.05"]),
        ("no fees", &["market.assertion_fee=0", "market.bounty_fee=0"]),
        ("greatest bid x 0.5", &["market.bid_maximum=0.5"]),
    ] {
        let row = rows.iter().find(|row| row["change"] == change).unwrap();
        let sets: Vec<&str> = set.iter().flat_map(|set| ["--set", set]).collect();
        assert_eq!(wei(&row["profit"]), earns(&[&market[..], &sets].concat(), "stock/default"), "{change}");
        assert_eq!((wei(&row["profit"]) - wei(&run.json["engine"]["profit"]), &row["reason"]), (wei(&row["difference"]), &Value::Null));
    }
    // What cannot be changed says why.
    let reasons = |args: &[&str]| {
        let explanation = play(args).explain(&["--sensitivity"]);
        let rows = explanation["sensitivity"].as_array().unwrap().clone();
        rows.iter()
            .filter(|row| row["profit"].is_null())
            .map(|row| row["reason"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join("; ")
    };
    let poor = reasons(&["--rules", "1.0.0", "--set", "rivals.0.count=1", "--set", "arbiters.error=0", "--set", "market.assertion_fee=0"]);
    for part in ["recorded rivals are as alike", "there is one rival", "it is so already", "the rules know no greatest bid"] {
        assert!(poor.contains(part), "no `{part}` in: {poor}");
    }
    assert!(reasons(&["--set", "rivals=[]", "--set", "arbiters.count=0"]).contains("there are no arbiters"));
}

#[test]
fn the_number_of_threads_changes_nothing_but_the_time() {
    let run = play(&["-s", "pm-kelly"]);
    let figures = |jobs: &str| {
        let mut explanation = run.explain(&["--sensitivity", "--jobs", jobs]);
        explanation.as_object_mut().unwrap().remove("wall");
        explanation
    };
    let one = figures("1");
    assert_eq!(one, figures("2"));
    let capital = &one["capital"];
    assert!(capital["locked"].as_array().unwrap().len() <= 200);
    let deposits: Vec<f64> = capital["deposits"].as_array().unwrap().iter().map(|deposit| deposit["nct"].as_f64().unwrap()).collect();
    assert!(capital["needed_nct"].as_f64().unwrap() <= deposits[0] && deposits[0] <= deposits[1], "{capital}");
}

#[test]
fn a_corpus_that_moved_is_found_where_one_says_it_is() {
    let folder = tempdir().unwrap();
    let (before, after) = (folder.path().join("before"), folder.path().join("after"));
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let canonical = path(&folder.path().canonicalize().unwrap().join("before"));
    assert!(sim(&["corpus", "starter", &path(&before)]).status.success());
    let run = path(&folder.path().join("run"));
    assert!(sim(&["replay", &path(&before), "--out", &run, "--quiet"]).status.success());
    let explained = json(&["explain", &run]);
    assert_eq!(explained["corpus"]["path"], canonical);
    fs::rename(&before, &after).unwrap();
    refused(&["explain", &run], 2, &["before is not there any more", "--corpus"]);
    let moved = json(&["explain", &run, "--corpus", &path(&after)]);
    assert_eq!(moved["waterfall"], explained["waterfall"]);
    refused(&["explain", &run, "--corpus", "panel"], 2, &["panel is not the corpus of this run", "name that one with --corpus"]);
}

#[test]
fn what_cannot_be_explained_says_why() {
    let run = play(&[]);
    let output = sim(&["explain", &run.path, "--what-if", "0.5,none"]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && message.contains("a factor is a number above 0 and at most 1000"), "{message}");
    run.refused(&["--corpus", "nowhere"], &["nowhere"]);
    refused(&["explain", "nowhere"], 2, &["nowhere is not the folder of a run; name one that `sim replay --out` wrote"]);
    let empty = tempdir().unwrap();
    refused(&["explain", empty.path().to_str().unwrap()], 2, &["cannot read", "run.json"]);
    fs::write(empty.path().join("run.json"), "{\"schema\": 2, \"\x1b[31m\": 1}").unwrap();
    refused(&["explain", empty.path().to_str().unwrap()], 2, &["this is not the record of a run"]);

    let changed = |edit: &dyn Fn(&Run), code: i32, parts: &[&str]| {
        let folder = tempdir().unwrap();
        let path = folder.path().join("run");
        fs::create_dir(&path).unwrap();
        for name in ["run.json", "scenario.toml"] {
            fs::copy(Path::new(&run.path).join(name), path.join(name)).unwrap();
        }
        let copy = Run { path: path.to_str().unwrap().to_owned(), _folder: folder, json: Value::Null };
        edit(&copy);
        refused(&["explain", &copy.path], code, parts);
    };
    let json = |from: &'static str, to: &'static str| move |run: &Run| run.edit("run.json", from, to);
    changed(&json("\"complete\": true", "\"complete\": false"), 2, &["this run was interrupted", "sim replay panel --set bounties=250"]);
    changed(&json("\"strategy\": \"stock/default\"", "\"strategy\": \"external\""), 2, &["came from outside"]);
    changed(&json("\"schema\": ", "\"schema\": 9"), 2, &["was written by a later version"]);
    changed(&json("\"scenario_toml_sha256\"", "\"something_else\""), 2, &["was written by an earlier version", "play it again"]);
    changed(&json("\"inputs\": []", "\"inputs\": [\"profiles:0\"]"), 2, &["depended on 1 files"]);
    changed(&|run| run.edit("scenario.toml", "bounties = 250", "bounties = 251"), 2, &["is not the scenario of this run any more"]);
    changed(&|run| fs::remove_file(Path::new(&run.path).join("scenario.toml")).unwrap(), 2, &["cannot read", "scenario.toml"]);

    // Another profit is an error of this program, or another program's.
    let profit = run.json["engine"]["profit"]["wei"].as_str().unwrap();
    let other = |run: &Run| run.edit("run.json", &format!("\"wei\": \"{profit}\""), "\"wei\": \"17\"");
    changed(&other, 4, &["run.json says 17 wei, and played again it earns ", "please report this"]);
    let version = format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION"));
    let foreign = |run: &Run| {
        other(run);
        run.edit("run.json", &version, "\"version\": \"0.0.7\"");
    };
    changed(&foreign, 2, &["run.json says 17 wei", "it was played by sim 0.0.7, and this is sim"]);
}

#[test]
fn the_report_tells_it_in_words() {
    let run = play(&["-s", "fixed?bid=0.9"]);
    let output = sim(&["explain", &run.path, "--sensitivity"]);
    let (text, told) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    for wanted in [
        "Why engine by fixed?bid=0.9 earned what it earned on `panel`",
        "played again, with the same profit to the wei",
        "THE RUN",
        "wrong, and no backend that answered knew better",
        "HINDSIGHT",
        "Costliest bounties",
        "By file type",
        "x 0.25",
        "deposit for 95 % of runs",
        "bounties a day x 0.9000 staked on one",
        "half as many rivals",
        "Repeat   sim replay panel --set bounties=250",
    ] {
        assert!(text.contains(wanted), "{wanted} is not in\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 160 && line == line.trim_end()), "{text}");
    // The run's own name, and nothing else, goes to stderr.
    let name = &run.json["name"];
    let hashes = ["scenario_sha256", "corpus_sha256"].map(|hash| name[hash].as_str().unwrap()[..12].to_owned());
    assert_eq!(told, format!("run: sim {}, scenario {}, corpus panel {}, seed 0\n", env!("CARGO_PKG_VERSION"), hashes[0], hashes[1]));
}

#[test]
fn hostile_names_do_not_reach_the_terminal() {
    let folder = tempdir().unwrap();
    let (corpus, run) = (folder.path().join("corpus"), folder.path().join("run"));
    fs::create_dir(&corpus).unwrap();
    fs::write(
        corpus.join("manifest.toml"),
        "schema = 1\nname = \"bad\"\ntitle = \"made by a test\"\ntable = \"t.csv\"\n[[engine]]\nname = \"own\"\n",
    )
    .unwrap();
    let row = |number: usize| {
        let label = ["benign", "malicious"][number % 2];
        format!("{number:064x},{label},ty\u{202e}pe{},\x1b[31mfamily{},{}\n", number % 3, number % 5, number % 7 % 2)
    };
    let table: String = (0..30).map(row).collect();
    fs::write(corpus.join("t.csv"), "sha256,label,file_type,family,own\n".to_owned() + &table).unwrap();
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    assert!(sim(&["replay", &path(&corpus), "--out", &path(&run), "--quiet", "--no-nulls"]).status.success());
    let text = String::from_utf8(sim(&["explain", &path(&run), "--quiet"]).stdout).unwrap();
    assert!(text.contains("\\u{202e}pe") && text.contains("\\u{1b}[31mfamily"), "{text}");
    assert!(!text.contains('\x1b') && !text.contains('\u{202e}'), "{text}");
}
