//! The CI recipes of `docs/ci`, step by step as they are written, on an engine's repository: gates that hold, and gates that
//! fail, with reports on both.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use assert_cmd::cargo::cargo_bin;
use serde::Deserialize;
use tempfile::TempDir;

/// Knows every malicious file of the starter corpus.
const GOOD: &str = "name = \"good\"\n[[backends]]\nkind = \"hash-list\"\nbad = \"bad.txt\"\n";
/// Knows test files only.
const BAD: &str = "name = \"bad\"\n[[backends]]\nkind = \"eicar\"\n";

fn recipes() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ci")
}

fn read<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    let text = fs::read_to_string(recipes().join(name)).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A step of a GitHub workflow or action.
#[derive(Debug, Deserialize)]
struct Step {
    name: Option<String>,
    uses: Option<String>,
    run: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    with: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Workflow {
    jobs: BTreeMap<String, Job>,
}

#[derive(Debug, Deserialize)]
struct Job {
    steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
struct Action {
    inputs: BTreeMap<String, Input>,
    runs: Job,
}

#[derive(Debug, Deserialize)]
struct Input {
    default: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Pipeline {
    backtest: Stage,
}

#[derive(Debug, Deserialize)]
struct Stage {
    variables: BTreeMap<String, String>,
    before_script: Vec<String>,
    script: Vec<String>,
    artifacts: Artifacts,
}

#[derive(Debug, Deserialize)]
struct Artifacts {
    when: String,
    paths: Vec<String>,
}

/// An engine's repository at work in a CI: its branch, the branch to merge into, and a home with the simulator in it.
struct Repository {
    home: TempDir,
}

impl Repository {
    fn new(engine: &str) -> Repository {
        let home = tempfile::tempdir().unwrap();
        let repository = Repository { home };
        let work = repository.work();
        fs::create_dir_all(work.join("base")).unwrap();
        let made = Command::new(cargo_bin!("sim")).args(["corpus", "starter", "corpus", "--quiet"]).current_dir(&work).status().unwrap();
        assert!(made.success());
        let rows = fs::read_to_string(work.join("corpus/artifacts.csv")).unwrap();
        let bad: String = rows.lines().filter(|row| row.contains(",malicious,")).map(|row| format!("{}\n", &row[..64])).collect();
        assert!(bad.lines().count() > 20, "{rows}");
        for (folder, engine) in [(work.join("base"), GOOD), (work, engine)] {
            fs::write(folder.join("bad.txt"), &bad).unwrap();
            fs::write(folder.join("engine.toml"), engine).unwrap();
        }
        repository
    }

    fn work(&self) -> PathBuf {
        self.home.path().join("work")
    }

    /// Runs a script as a runner does, with the simulator of this test on its path.
    fn run(&self, script: &str, env: &BTreeMap<String, String>) -> Output {
        let path = std::env::join_paths(
            [cargo_bin!("sim").parent().unwrap().to_owned()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
        );
        Command::new("bash")
            .args(["-e", "-o", "pipefail", "-c", script])
            .current_dir(self.work())
            .env("PATH", path.unwrap())
            .env("HOME", self.home.path())
            .env("SIM_CACHE", self.home.path().join("verdicts"))
            .envs(env)
            .output()
            .unwrap()
    }

    /// What is there for a person and for programs, whether gates held or not.
    fn has_reports(&self, failing: usize) {
        let reports = self.work().join("backtest");
        let text = |name: &str| fs::read_to_string(reports.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(text("report.html").contains("</html>"));
        assert!(text("summary-scan.md").contains("accuracy") && text("summary-replay.md").contains("bounties"));
        let failures = ["junit-scan.xml", "junit-replay.xml"].map(|name| text(name).matches("<failure").count());
        assert_eq!(failures.iter().sum::<usize>(), failing);
        for name in ["bench-scan.json", "bench-replay.json", "run/run.json"] {
            serde_json::from_str::<serde_json::Value>(&text(name)).unwrap();
        }
    }
}

/// The gates of a recipe, but that no machine is so busy that a measured one fails.
fn lenient(gates: &str) -> String {
    let lenient = gates.replace("base * 1.05", "base * 1000").replace("<= 2s", "<= 1000s");
    assert_ne!(lenient, gates.replace("base - 1%", ""), "the recipe's gates are these: {gates}");
    lenient
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A value with `${{ inputs.NAME }}` in it.
fn filled(value: &str, inputs: &BTreeMap<String, String>) -> String {
    let mut value = value.to_owned();
    for (name, input) in inputs {
        value = value.replace(&format!("${{{{ inputs.{name} }}}}"), input);
    }
    assert!(!value.contains("${{"), "{value}");
    value
}

fn github(engine: &str) -> (Repository, Output) {
    let (workflow, action): (Workflow, Action) = (read("github.yml"), read("action.yml"));
    let repository = Repository::new(engine);
    let used =
        workflow.jobs["backtest"].steps.iter().find(|step| step.uses.as_ref().is_some_and(|uses| uses.contains("docs/ci@"))).unwrap();
    assert!(used.with.keys().all(|name| action.inputs.contains_key(name)), "{:?}", used.with);
    let mut inputs: BTreeMap<String, String> =
        action.inputs.iter().filter_map(|(name, input)| Some((name.clone(), input.default.clone()?))).collect();
    inputs.extend(used.with.clone());
    for gates in ["scan-gates", "market-gates"] {
        let lenient = lenient(&inputs[gates]);
        inputs.insert(gates.to_owned(), lenient);
    }
    let summary = repository.home.path().join("summary.md");
    let mut ran: Option<Output> = None;
    for step in action.runs.steps.iter().filter(|step| step.name.as_deref() != Some("Build the simulator")) {
        let Some(script) = &step.run else { continue };
        let mut env: BTreeMap<String, String> = step.env.iter().map(|(name, value)| (name.clone(), filled(value, &inputs))).collect();
        env.insert("GITHUB_ACTION_PATH".to_owned(), recipes().to_string_lossy().into_owned());
        for (name, file) in [("GITHUB_OUTPUT", "output"), ("GITHUB_STEP_SUMMARY", "summary.md")] {
            env.insert(name.to_owned(), repository.home.path().join(file).to_string_lossy().into_owned());
        }
        // Reading every source again to name this version is for runners; what it is named for is not used here.
        if script.contains("sha256sum") {
            continue;
        }
        ran = Some(repository.run(script, &env));
    }
    let output = ran.unwrap();
    assert!(fs::read_to_string(summary).is_ok_and(|summary| summary.contains("of a replay")), "{}", told(&output));
    (repository, output)
}

fn gitlab(engine: &str) -> (Repository, Output) {
    let Pipeline { backtest: stage } = read("gitlab.yml");
    let repository = Repository::new(engine);
    let mut env: BTreeMap<String, String> =
        stage.variables.iter().filter(|(name, _)| name.ends_with("GATES")).map(|(name, gates)| (name.clone(), lenient(gates))).collect();
    env.insert("SIMULATOR".to_owned(), "nowhere".to_owned());
    // What `before_script` fetches is here already.
    assert!(stage.before_script.iter().any(|line| line.contains("git worktree add --quiet --detach .sim/base")));
    let sources = repository.work().join(".sim/source/docs");
    fs::create_dir_all(&sources).unwrap();
    fs::create_dir_all(sources.join("ci")).unwrap();
    fs::copy(recipes().join("backtest.sh"), sources.join("ci/backtest.sh")).unwrap();
    fs::rename(repository.work().join("base"), repository.work().join(".sim/base")).unwrap();
    assert!(stage.artifacts.when == "always" && stage.artifacts.paths == ["backtest"]);
    let output = repository.run(&stage.script.join("\n"), &env);
    (repository, output)
}

#[test]
fn the_github_recipe_passes_what_got_no_worse() {
    let (repository, output) = github(GOOD);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    repository.has_reports(0);
}

#[test]
fn the_github_recipe_fails_what_got_worse_and_reports_it() {
    let (repository, output) = github(BAD);
    assert_eq!(output.status.code(), Some(3), "{}", told(&output));
    // It finds less, and earns less.
    repository.has_reports(2);
}

#[test]
fn the_gitlab_recipe_passes_what_got_no_worse() {
    let (repository, output) = gitlab(GOOD);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    repository.has_reports(0);
}

#[test]
fn the_gitlab_recipe_fails_what_got_worse_and_reports_it() {
    let (repository, output) = gitlab(BAD);
    assert_eq!(output.status.code(), Some(3), "{}", told(&output));
    repository.has_reports(2);
}

#[test]
fn an_error_is_no_failing_gate() {
    let repository = Repository::new("name = 3\n");
    let script = format!("{}/backtest.sh corpus engine.toml", recipes().display());
    let output = repository.run(&script, &BTreeMap::new());
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert_eq!(told(&output).matches("error: ").count(), 1, "{}", told(&output));
}

#[test]
fn what_was_measured_before_an_error_is_in_the_summary() {
    let repository = Repository::new("name = \"recorded\"\n");
    // A simulator that fails when the rounds are nearly over, and has a summary of those before.
    let simulator = repository.work().join("bin/sim");
    fs::create_dir(repository.work().join("bin")).unwrap();
    let fails = "#!/bin/sh\nfor word; do case $word in markdown=*) echo '## before' > \"${word#markdown=}\" ;; esac; done\nexit 2\n";
    fs::write(&simulator, fails).unwrap();
    fs::set_permissions(&simulator, fs::Permissions::from_mode(0o755)).unwrap();
    // A folder that a runner made ahead is as good as none.
    fs::create_dir(repository.work().join("backtest")).unwrap();
    let script = format!("PATH=$PWD/bin:$PATH {}/backtest.sh panel engine.toml", recipes().display());
    let output = repository.run(&script, &BTreeMap::from([("SUMMARY".to_owned(), "summary.md".to_owned())]));
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert_eq!(fs::read_to_string(repository.work().join("summary.md")).unwrap(), "## before\n", "{}", told(&output));
}

#[test]
fn an_engine_of_recorded_verdicts_has_no_scanner_to_gate() {
    let repository = Repository::new("name = \"recorded\"\n");
    let script = format!("{}/backtest.sh panel engine.toml", recipes().display());
    let gates = BTreeMap::from([("MARKET_GATES".to_owned(), "nct_per_bounty >= 0.1\n".to_owned())]);
    let output = repository.run(&script, &gates);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let reports = repository.work().join("backtest");
    assert!(reports.join("report.html").exists() && !reports.join("bench-scan.json").exists());
    // What it did not write it does not replace.
    fs::remove_file(reports.join(".backtest")).unwrap();
    assert_eq!(repository.run(&script, &gates).status.code(), Some(2));
    assert!(reports.join("report.html").exists());
}
