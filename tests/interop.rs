//! The real polyswarm-client, unmodified, against the real server; `tests/interop/README.md` says how to set it up.
//!
//! Its programs end with status 0 even when they crash, so they are judged by what they log.

use std::{
    env, fs,
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Everything has happened long before.
const PATIENCE: Duration = Duration::from_secs(150);

/// A line that must be there: it holds all of these words, in this order; `@` is the participant's own address.
type Wanted = &'static [&'static str];

/// Somebody who trades.
#[derive(Clone, Copy)]
struct Participant {
    name: &'static str,
    /// Of the virtual environment; to be joined by programs of our own.
    program: &'static str,
    arguments: &'static [&'static str],
    wanted: &'static [Wanted],
}

const CONNECTED: Wanted = &["Connected to event socket"];
const BOUNTY: Wanted = &["Received bounty"];
const SETTLED: Wanted = &["Received settled_bounty", "'settler': '@'"];

const MICROENGINE: Participant = Participant {
    name: "microengine",
    program: "microengine",
    arguments: &["--backend", "eicar"],
    wanted: &[
        CONNECTED,
        BOUNTY,
        &["Responding to"],
        &["callback results", "'index'"],
        &["OnRevealAssertionDueCallback callback results", "'verdicts'"],
        SETTLED,
    ],
};

const ARBITER: Participant = Participant {
    name: "arbiter",
    program: "arbiter",
    arguments: &["--backend", "verbatim"],
    wanted: &[CONNECTED, BOUNTY, &["OnVoteOnBountyDueCallback callback results", "'votes'"], SETTLED],
};

const AMBASSADOR: Participant = Participant {
    name: "ambassador",
    program: "ambassador",
    arguments: &["--backend", "eicar", "--submission-rate", "3"],
    wanted: &[CONNECTED, &["Submitted bounty"], SETTLED],
};

/// How clients die, or lose what they were about, without ending.
const DEADLY: [&str; 6] = [
    "Task exception was never retrieved",
    "got an unexpected keyword argument",
    "Transactions did not match expectations",
    "Invalid IPFS URI",
    "Transaction had invalid fields",
    "Unhandled exception at top level",
];

#[test]
fn the_microengine_asserts_reveals_and_settles() {
    trade(&[MICROENGINE]);
}

#[test]
fn the_arbiter_stakes_votes_and_settles() {
    trade(&[ARBITER]);
}

#[test]
fn the_ambassador_posts_and_settles() {
    trade(&[AMBASSADOR]);
}

#[test]
fn all_together_come_to_their_ends() {
    trade(&[MICROENGINE, ARBITER, AMBASSADOR]);
}

/// Lets them trade until each has come through its timeline.
fn trade(participants: &[Participant]) {
    let Some(environment) = env::var_os("INTEROP_VENV") else {
        eprintln!("skipped: INTEROP_VENV names no environment with polyswarm-client; see tests/interop/README.md");
        return;
    };
    let environment = root().join(environment);
    let folder = tempfile::tempdir().unwrap();
    let mut server = Process::start(folder.path(), "server", &mut server_command());
    let address = server.line_with(&["polyswarmd on "]).split_once("polyswarmd on ").unwrap().1.trim().to_owned();
    let truth = truth(&folder, &environment);
    let mut running: Vec<(Process, Timeline)> = participants
        .iter()
        .map(|participant| {
            let keyfile = root().join("tests/interop/keys").join(format!("{}.json", participant.name));
            let mut command = client(&environment, participant.program);
            command
                .args(["--log", "INFO", "--client-log", "DEBUG", "--polyswarmd-addr", &address, "--password", "password", "--keyfile"])
                .arg(&keyfile)
                .args(participant.arguments)
                .env("ARTIFACT_DIRECTORY", &truth)
                .env("BOUNTY_TEST_DURATION_BLOCKS", "8");
            (Process::start(folder.path(), participant.name, &mut command), Timeline::of(participant, &keyfile))
        })
        .collect();
    let deadline = Instant::now() + PATIENCE;
    while running.iter().any(|(_, timeline)| !timeline.is_over()) {
        for (process, timeline) in &mut running {
            while let Some(line) = process.next_line() {
                timeline.read(&line);
            }
            let over = timeline.is_over();
            assert!(over || process.is_running(), "{} ended before `{:?}`:\n{}", process.name, timeline.left[0], process.tail());
            assert!(over || Instant::now() < deadline, "{} never logged `{:?}`:\n{}", process.name, timeline.left[0], process.tail());
        }
        assert!(server.is_running(), "the server ended:\n{}", server.tail());
        thread::sleep(Duration::from_millis(20));
    }
}

/// What is left to happen to a participant.
struct Timeline {
    address: String,
    left: Vec<Wanted>,
}

impl Timeline {
    fn of(participant: &Participant, keyfile: &Path) -> Timeline {
        let key: serde_json::Value = serde_json::from_slice(&fs::read(keyfile).unwrap()).unwrap();
        let address = key["address"].as_str().unwrap().to_lowercase();
        Timeline { address: format!("0x{}", address.trim_start_matches("0x")), left: participant.wanted.to_vec() }
    }

    fn read(&mut self, line: &str) {
        for words in DEADLY {
            assert!(!line.contains(words), "{line}");
        }
        if self.left.first().is_some_and(|wanted| self.holds(line, wanted)) {
            self.left.remove(0);
        }
    }

    fn holds(&self, line: &str, wanted: Wanted) -> bool {
        // Addresses are logged with checksums, keystores have none.
        let mut rest = &*line.to_lowercase();
        wanted.iter().all(|words| match rest.split_once(&words.to_lowercase().replace('@', &self.address)) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        })
    }

    fn is_over(&self) -> bool {
        self.left.is_empty()
    }
}

/// A process and its log; dropping it ends it.
struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    reader: BufReader<File>,
    /// The end of the log as long as it is no whole line.
    partial: Vec<u8>,
}

impl Process {
    /// Starts a program with a folder of its own for its temporary files: clients leave one of the same name there.
    fn start(folder: &Path, name: &str, command: &mut Command) -> Process {
        let (log, temporary) = (folder.join(format!("{name}.log")), folder.join(name));
        fs::create_dir(&temporary).unwrap();
        let file = File::create(&log).unwrap();
        command.env("TMPDIR", &temporary).current_dir(&temporary);
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let reader = BufReader::new(File::open(&log).unwrap());
        Process { name: name.to_owned(), child, log, reader, partial: Vec::new() }
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The next line of the log, if it is complete.
    fn next_line(&mut self) -> Option<String> {
        self.reader.read_until(b'\n', &mut self.partial).unwrap();
        self.partial.ends_with(b"\n").then(|| String::from_utf8_lossy(&std::mem::take(&mut self.partial)).into_owned())
    }

    /// The first line that holds these words.
    fn line_with(&mut self, wanted: Wanted) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            while let Some(line) = self.next_line() {
                if wanted.iter().all(|words| line.contains(words)) {
                    return line;
                }
            }
            assert!(self.is_running() && Instant::now() < deadline, "{} never logged {wanted:?}:\n{}", self.name, self.tail());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The end of the log.
    fn tail(&self) -> String {
        let log = fs::read(&self.log).unwrap();
        String::from_utf8_lossy(&log[log.len().saturating_sub(8_000)..]).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn starter() -> PathBuf {
    root().join("datasets/corpora/starter")
}

fn server_command() -> Command {
    let mut command = Command::new(built("mock-polyswarmd", "mock-polyswarmd"));
    command.arg(starter()).args(["--port", "0", "--block-time", "500ms"]);
    for setting in ["market.reveal_window=5", "market.vote_window=8", "ambassadors.duration=8"] {
        command.args(["--set", setting]);
    }
    command
}

/// A program of ours, up to date.
fn built(package: &str, binary: &str) -> PathBuf {
    let status =
        Command::new(env!("CARGO")).args(["build", "--quiet", "--offline", "-p", package, "--bin", binary]).current_dir(root()).status();
    assert!(status.unwrap().success(), "{binary} cannot be built");
    // This test is in `deps` beside it.
    let test = env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().join(binary).with_extension(env::consts::EXE_EXTENSION)
}

/// A program of polyswarm-client.
fn client(environment: &Path, program: &str) -> Command {
    let mut command = Command::new(environment.join("bin").join(program));
    command.env("PYTHONPATH", root().join("tests/interop/shim")).env("PYTHONWARNINGS", "ignore").env("PYTHONUNBUFFERED", "1");
    command
}

/// A folder with what the arbiter knows: the labels of the corpus, by its own tool.
fn truth(folder: &TempDir, environment: &Path) -> PathBuf {
    let truth = folder.path().join("truth");
    let corpus = datasets::Corpus::open(&starter()).unwrap();
    for label in ["malicious", "benign"] {
        fs::create_dir_all(truth.join(label)).unwrap();
    }
    for row in corpus.rows().unwrap() {
        let row = row.unwrap();
        let bytes = corpus.read_artifact(&row, 1 << 20).unwrap();
        let label = if row.truth == datasets::Truth::Malicious { "malicious" } else { "benign" };
        fs::write(truth.join(label).join(row.id.to_string()), bytes).unwrap();
    }
    let mut command = client(environment, "verbatimdbgen");
    for label in ["malicious", "benign"] {
        command.arg(format!("--{label}")).arg(truth.join(label));
    }
    let output = command.arg("--output").arg(truth.join("truth.db")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    truth
}
