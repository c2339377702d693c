//! The command line: the real binary, its files, its log and how it ends.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, ChildStderr, Command, Output, Stdio},
};

use serde_json::Value;

/// Windows and bounties that are soon over.
const SHORT: [&str; 10] = [
    "--set",
    "bounties=6",
    "--set",
    "ambassadors.bounties_per_block=2",
    "--set",
    "ambassadors.duration=5",
    "--set",
    "market.reveal_window=4",
    "--set",
    "market.vote_window=6",
];

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mock-polyswarmd"));
    command.args(arguments).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// Runs to its end.
fn run(arguments: &[&str]) -> Output {
    command(&["--port", "0"]).args(arguments).output().unwrap()
}

/// Fails with exit code 2 and one sentence on stderr with every one of `parts`.
fn refused(arguments: &[&str], parts: &[&str]) {
    let output = run(arguments);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
    assert!(output.stdout.is_empty());
    assert!(message.starts_with("error: ") && message.trim_end().lines().count() == 1, "{message}");
    for part in parts {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
}

/// A server that runs; dropping it ends it.
struct Running {
    child: Child,
    log: BufReader<ChildStderr>,
    read: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start(arguments: &[&str]) -> Running {
        let mut child = command(&["--port", "0"]).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Running { child, log, read: String::new() }
    }

    /// Waits until a line of the log holds `words`, and answers with what follows them.
    fn after(&mut self, words: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.log.read_line(&mut line).unwrap() > 0, "never logged `{words}`:\n{}", self.read);
            self.read.push_str(&line);
            if let Some((_, rest)) = line.split_once(words) {
                return rest.trim_end().to_owned();
            }
        }
    }

    /// Where it listens, once it does.
    fn address(&mut self, what: &str) -> SocketAddr {
        self.after(&format!("{what} on http://")).parse().unwrap()
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Waits for its end: exit code, what it printed, all that it logged.
    fn end(mut self) -> (Option<i32>, String, String) {
        let mut log = std::mem::take(&mut self.read);
        let mut stdout = String::new();
        self.log.read_to_string(&mut log).unwrap();
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        (self.child.wait().unwrap().code(), stdout, log)
    }
}

/// A request, as plain as can be.
fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    write!(connection, "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// The files of a run directory, and its `run.json`.
fn run_directory(out: &Path) -> (Vec<String>, Value) {
    let mut files: Vec<String> = fs::read_dir(out).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    (files, serde_json::from_slice(&fs::read(out.join("run.json")).unwrap()).unwrap())
}

#[test]
fn help_says_what_every_flag_is_for() {
    for flag in ["--help", "-h"] {
        let output = command(&[flag]).output().unwrap();
        assert!(output.status.success());
        let help = String::from_utf8(output.stdout).unwrap();
        for part in [
            "[CORPUS]",
            "--scenario",
            "--block-time",
            "lockstep",
            "--exit-when-done",
            "--out",
            "--port",
            "--admin-port",
            "--no-admin",
            "--log-format",
            "Exit codes:",
        ] {
            assert!(help.contains(part), "no `{part}` in {flag}");
        }
        assert!(help.lines().all(|line| line.len() <= 100), "{flag}");
    }
    let output = command(&["--version"]).output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("mock-polyswarmd 0."));
}

#[test]
fn what_is_wrong_is_told_in_a_sentence() {
    refused(&["no-such-corpus"], &["no-such-corpus"]);
    refused(&["starter", "--set", "rules=bounty-registry-1.0.0"], &["contracts of 1.6", "`sim replay` plays it"]);
    refused(&["starter", "--set", "rules=1.0.0"], &["contracts of 1.6"]);
    refused(&["starter", "--set", "no.such=1"], &["no"]);
    refused(&["starter", "--scenario", "/nowhere/my.toml"], &["/nowhere/my.toml"]);
    refused(&["starter", "--log", "[["], &["--log"]);
    refused(&["starter", "--set", "wallets.engine=1000000000000001"], &["`wallets.engine`", "at most"]);
    for flags in [
        ["--block-time", "0s"],
        ["--block-time", "soon"],
        ["--fund", "x=1"],
        ["--account", "0x12"],
        ["--fund", "0x05328f171b8c1463eaFDACCA478D9EE6a1d923F8=1000000000000001"],
        ["--wallet", "much"],
        ["--wallet", "1000000000000001"],
        ["--bind", "here"],
    ] {
        let output = run(&flags);
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
        assert!(String::from_utf8(output.stderr).unwrap().contains(flags[0]), "{flags:?}");
    }
    assert_eq!(run(&["--admin-port", "0", "--no-admin"]).status.code(), Some(2));
}

#[test]
fn a_port_in_use_is_told_before_anything_else_happens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    for (flag, arguments) in [("--port", ["--port", &port]), ("--admin-port", ["--admin-port", &port])] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let mut all = vec!["starter", "--log", "error", "--out", out.to_str().unwrap()];
        if flag == "--admin-port" {
            all.extend(["--port", "0"]);
        }
        let output = command(&all).args(arguments).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.starts_with(&format!("error: cannot listen on 127.0.0.1:{port}: ")), "{message}");
        assert!(message.trim_end().ends_with(&format!("name another with {flag} (0 takes any that is free)")), "{message}");
        assert_eq!(message.trim_end().lines().count(), 1, "{message}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "something was left behind");
    }
}

#[test]
fn windows_that_clients_cannot_meet_are_warned_about() {
    let mut server = Running::start(&["starter", "--block-time", "manual", "--set", "market.reveal_window=2"]);
    assert!(server.after("`market.reveal_window` is 2").contains("set it to 3 or more"));
    server.address("polyswarmd");
    assert!(!server.read.contains("vote_window"), "{}", server.read);
}

#[test]
fn a_corpus_that_is_through_ends_the_server_and_leaves_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let journal = |name: &str, seed: &str| {
        let out = folder.path().join(name);
        let arguments =
            ["starter", "--block-time", "1ms", "--exit-when-done", "--seed", seed, "--out", out.to_str().unwrap(), "--format", "json"];
        let output = run(&[&arguments[..], &SHORT].concat());
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{log}");
        let (files, run) = run_directory(&out);
        assert_eq!(files, ["bounties.csv", "journal.jsonl.zst", "run.json", "scenario.toml"]);
        assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), run, "what is printed is what is written");
        assert_eq!((&run["schema"], &run["complete"]), (&Value::from(sim::run::SCHEMA), &Value::from(true)));
        assert_eq!(run["name"]["seed"].to_string(), seed);
        assert!(run["command"].as_str().unwrap().starts_with("mock-polyswarmd --port 0 starter --block-time 1ms"));
        let journal = zstd::decode_all(File::open(out.join("journal.jsonl.zst")).unwrap()).unwrap();
        assert_eq!(run["journal"]["records"], journal.iter().filter(|byte| **byte == b'\n').count());
        journal
    };
    let first = journal("one", "3");
    assert_eq!(first, journal("two", "3"), "nobody came: the same name, the same bytes");
    assert_ne!(first, journal("three", "4"));
}

/// The keys at every depth; of a list, those of its first entry.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), shape(value))).collect(),
        Value::Array(list) => list.iter().take(1).map(shape).collect(),
        _ => Value::Null,
    }
}

/// Whatever reads the one reads the other.
#[test]
fn a_run_over_the_wire_is_described_like_one_in_process() {
    #[derive(clap::Parser)]
    struct Replay {
        #[command(flatten)]
        replay: sim::commands::replay::ReplayArgs,
    }
    let folder = tempfile::tempdir().unwrap();
    let (here, there, cache) = (folder.path().join("here"), folder.path().join("there"), folder.path().join("cache"));
    let arguments = ["starter", "--block-time", "1ms", "--exit-when-done", "--out", there.to_str().unwrap()];
    let output = run(&[&arguments[..], &SHORT].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(report.contains("Replay of `starter`"), "{report}");
    let arguments = ["sim", "starter", "--quiet", "--no-nulls", "--out", here.to_str().unwrap(), "--cache", cache.to_str().unwrap()];
    let replay: Replay = clap::Parser::parse_from([&arguments[..], &SHORT].concat());
    replay.replay.run(&mut Vec::new()).unwrap();
    let ((files, mut over_the_wire), (expected, mut in_process)) = (run_directory(&there), run_directory(&here));
    assert_eq!(files, expected);
    // Nobody came over the wire: what an engine would have earned is empty there.
    for run in [&mut over_the_wire, &mut in_process] {
        assert!(run["engine"].take().is_object());
        assert!(run["types"].take().is_array());
        // In process, verdicts go in.
        assert!(run["name"]["inputs"].take().is_array());
    }
    assert_eq!(shape(&over_the_wire), shape(&in_process));
    assert_eq!(over_the_wire["corpus"], in_process["corpus"]);
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_server_and_the_run_is_written() {
    for signal in ["-TERM", "-INT"] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let mut server = Running::start(&["starter", "--block-time", "manual", "--out", out.to_str().unwrap()]);
        let address = server.address("polyswarmd");
        assert!(ask(address, "POST", "/_mock/mine", r#"{"blocks":30}"#).contains(r#""status":"OK""#));
        let journal = ask(address, "GET", "/_mock/journal", "");
        server.signal(signal);
        let (code, stdout, log) = server.end();
        assert_eq!(code, Some(130), "{log}");
        assert!(stdout.contains("Replay of `starter`"), "{stdout}");
        let (files, run) = run_directory(&out);
        assert_eq!(files.len(), 4);
        assert_eq!(run["complete"], false);
        let written = zstd::decode_all(File::open(out.join("journal.jsonl.zst")).unwrap()).unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), journal);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing unfinished is left behind");
    }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_a_server_that_writes_nothing_quietly() {
    let mut server = Running::start(&["starter"]);
    server.address("polyswarmd");
    server.signal("-TERM");
    let (code, stdout, log) = server.end();
    assert_eq!((code, stdout.as_str()), (Some(130), ""), "{log}");
}

#[test]
fn the_log_can_be_json() {
    let output =
        run(&[&["starter", "--block-time", "1ms", "--exit-when-done", "--log-format", "json", "--log", "debug"][..], &SHORT].concat());
    assert!(output.status.success());
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.lines().count() > 2, "{log}");
    for line in log.lines() {
        let entry: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(entry["level"].is_string() && entry["timestamp"].is_string() && entry["fields"]["message"].is_string(), "{line}");
    }
}

#[test]
fn cheats_move_to_the_admin_port_or_away() {
    let mut server = Running::start(&["starter", "--block-time", "manual", "--admin-port", "0"]);
    let (address, admin) = (server.address("polyswarmd"), server.address("cheats"));
    assert!(ask(address, "GET", "/_mock/health", "").contains("there is nothing at this path"));
    assert!(ask(address, "GET", "/bounties/parameters", "").contains(r#""status":"OK""#));
    assert!(ask(admin, "GET", "/_mock/health", "").contains(r#""status":"OK""#));
    assert!(ask(admin, "GET", "/bounties/parameters", "").contains("there is nothing at this path"));
    assert!(address.ip().is_loopback() && admin.ip().is_loopback());
    let mut server = Running::start(&["starter", "--block-time", "manual", "--no-admin"]);
    let address = server.address("polyswarmd");
    assert!(ask(address, "GET", "/_mock/health", "").contains("there is nothing at this path"));
}

#[test]
fn only_who_is_let_in_is_said_to_come() {
    let mut server = Running::start(&["starter", "--block-time", "manual"]);
    let address = server.address("polyswarmd");
    let visitor = wire::address::to_text(market::id::Address::repeat_byte(7));
    for account in
        ["relay", "ambassador:1"].map(|name| wire::address::to_text(market::market::named_address(name))).iter().chain([&visitor])
    {
        assert!(ask(address, "GET", &format!("/nonce?account={account}"), "").contains("OK"));
    }
    assert_eq!(server.after("a visitor comes in"), format!(" account={visitor}"));
}

#[test]
fn accounts_are_opened_before_the_first_block() {
    let (one, two) = ("0x05328f171b8c1463eaFDACCA478D9EE6a1d923F8", "0x4B1867c484871926109E3C47668d5C0938CA3527");
    let fund = format!("{two}=12.5");
    let arguments = ["starter", "--block-time", "manual", "--account", one, "--fund", &fund, "--wallet", "3", "--set", "wallets.engine=7"];
    let mut server = Running::start(&arguments);
    let address = server.address("polyswarmd");
    for (account, amount) in
        [(one, "7000000000000000000"), (two, "12500000000000000000"), ("0x1215242C8F0EfF0A4Ac06ea3d73Caa78279fB9BB", "3000000000000000000")]
    {
        for chain in ["side", "home"] {
            let answer = ask(address, "GET", &format!("/balances/{account}/nct?account={account}&chain={chain}"), "");
            assert_eq!(answer, format!(r#"{{"status":"OK","result":"{amount}"}}"#), "{account} on {chain}");
        }
    }
}

#[test]
fn it_tells_progress_in_json_and_is_quiet_if_asked() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let out = out.to_str().unwrap();
    let arguments = [&SHORT[..], &["starter", "--block-time", "lockstep", "--participants", "0", "--exit-when-done", "--quiet"]].concat();
    let output = run(&arguments);
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    let output = run(&[&arguments[..], &["--progress", "json", "--out", out]].concat());
    let lines: Vec<Value> = String::from_utf8(output.stderr).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ends = |phase: &str| lines.iter().rfind(|line| line["phase"] == phase).and_then(|line| line["done"].as_u64());
    assert_eq!(ends("checking the corpus"), Some(60));
    assert!(ends("writing the run").is_some_and(|events| events > 100), "{lines:?}");
}

#[test]
fn shells_and_manuals_know_its_flags() {
    let out = |arguments: &[&str]| {
        let output = command(arguments).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(out(&["--completions", shell]).contains("lockstep-timeout"), "{shell}");
    }
    let page = out(&["--man"]);
    assert!(page.contains(".TH mock-polyswarmd") && page.contains("block\\-time"), "{page}");
    assert_eq!(command(&["--man", "starter"]).output().unwrap().status.code(), Some(2));
}
