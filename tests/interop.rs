//! The real polyswarm-client, unmodified, against the real server; `tests/interop/README.md` says how to set it up.
//!
//! Its programs end with status 0 even when they crash, so they are judged by what they log.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Sender},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Everything has happened long before.
const PATIENCE: Duration = Duration::from_secs(150);

/// A line that must be there: it holds all of these words, in this order; `@` is the participant's own address.
type Wanted = &'static [&'static str];

/// What somebody trades with.
#[derive(Clone, Copy)]
enum Program {
    /// One of polyswarm-client's, unmodified.
    Client(&'static str),
    /// Our own engine.
    Ours,
}

/// Somebody who trades.
#[derive(Clone, Copy)]
struct Participant {
    name: &'static str,
    program: Program,
    arguments: &'static [&'static str],
    wanted: &'static [Wanted],
}

const CONNECTED: Wanted = &["Connected to event socket"];
const BOUNTY: Wanted = &["Received bounty"];
const SETTLED: Wanted = &["Received settled_bounty", "'settler': '@'"];

const MICROENGINE: Participant = Participant {
    name: "microengine",
    program: Program::Client("microengine"),
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
    program: Program::Client("arbiter"),
    arguments: &["--backend", "verbatim"],
    wanted: &[CONNECTED, BOUNTY, &["OnVoteOnBountyDueCallback callback results", "'votes'"], SETTLED],
};

const AMBASSADOR: Participant = Participant {
    name: "ambassador",
    program: Program::Client("ambassador"),
    arguments: &["--backend", "eicar", "--submission-rate", "3"],
    wanted: &[CONNECTED, &["Submitted bounty"], SETTLED],
};

const OURS: Participant = Participant {
    name: "own",
    program: Program::Ours,
    arguments: &["--backend", "eicar"],
    wanted: &[&["microengine", "account=@"], &["bounty guid"], &["asserted guid"], &["revealed guid"], &["settled guid"]],
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
    trade(&[MICROENGINE, ARBITER, AMBASSADOR, OURS]);
}

/// Lets them trade until each has come through its timeline.
fn trade(participants: &[Participant]) {
    let Some(environment) = env::var_os("INTEROP_VENV") else {
        eprintln!("skipped: INTEROP_VENV names no environment with polyswarm-client; see tests/interop/README.md");
        return;
    };
    let environment = root().join(environment);
    let folder = tempfile::tempdir().unwrap();
    let (sender, log) = mpsc::channel::<Line>();
    // Building them takes as long as it takes; patience is for what they do.
    let mut server = server_command();
    let ours = participants
        .iter()
        .any(|participant| matches!(participant.program, Program::Ours))
        .then(|| built("engine", "microengine", &["--features", "live"]));
    let (mut tails, deadline) = (vec![String::new(); participants.len() + 1], Instant::now() + PATIENCE);
    // The next line of anybody, by number; the server has the last.
    let mut next = |wanted: &dyn Fn() -> String| {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok((who, line)) = log.recv_timeout(left) else {
            panic!("still waiting for {}; the logs end\n{}", wanted(), tails.join("\n\n"))
        };
        let Some(line) = line else { panic!("number {who} ended, waiting for {}; its log ends\n{}", wanted(), tails[who]) };
        let tail = &mut tails[who];
        tail.push_str(&line);
        tail.drain(..tail.ceil_char_boundary(tail.len().saturating_sub(8_000)));
        (who, line)
    };
    let _server = Process::start(folder.path(), "server", &mut server, participants.len(), &sender);
    let address = loop {
        let (_, line) = next(&|| "the server's address".to_owned());
        if let Some((_, address)) = line.split_once("polyswarmd on ") {
            break address.trim().to_owned();
        }
    };
    let truth = truth(&folder, &environment);
    let (mut running, mut timelines) = (Vec::new(), Vec::new());
    for (number, participant) in participants.iter().enumerate() {
        let keyfile = root().join("tests/interop/keys").join(format!("{}.json", participant.name));
        let mut command = match participant.program {
            Program::Client(program) => {
                let mut command = client(&environment, program);
                command.args(["--client-log", "DEBUG", "--password", "password"]);
                command.env("ARTIFACT_DIRECTORY", &truth).env("BOUNTY_TEST_DURATION_BLOCKS", "8");
                command
            }
            Program::Ours => {
                let mut command = Command::new(ours.as_ref().expect("it was built"));
                command.env("PASSWORD", "password").args(["--journal", "journal"]);
                command
            }
        };
        command.args(["--log", "INFO", "--polyswarmd-addr", &address, "--keyfile"]).arg(&keyfile).args(participant.arguments);
        running.push(Process::start(folder.path(), participant.name, &mut command, number, &sender));
        timelines.push(Timeline::of(participant, &keyfile));
    }
    while let Some(waited) = timelines.iter().position(|timeline| !timeline.is_over()) {
        let (who, line) = next(&|| format!("`{:?}` of {}", timelines[waited].left[0], participants[waited].name));
        if let Some(timeline) = timelines.get_mut(who) {
            timeline.read(&line);
        }
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

/// A line of somebody's log, by number; nothing at its end.
type Line = (usize, Option<String>);

/// A process; dropping it ends it.
struct Process(Child);

impl Process {
    /// Starts a program with a folder of its own for its temporary files (clients leave one of the same name there), and
    /// sends on what it logs.
    fn start(folder: &Path, name: &str, command: &mut Command, number: usize, log: &Sender<Line>) -> Process {
        let folder = folder.join(name);
        fs::create_dir(&folder).unwrap();
        command.env("TMPDIR", &folder).current_dir(&folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let streams: [Box<dyn Read + Send>; 2] = [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let log = log.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                    // Nobody listens any more once the test is over.
                    if log.send((number, Some(String::from_utf8_lossy(&line).into_owned() + "\n"))).is_err() {
                        return;
                    }
                }
                let _ = log.send((number, None));
            });
        }
        Process(child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn starter() -> PathBuf {
    root().join("datasets/corpora/starter")
}

fn server_command() -> Command {
    let mut command = Command::new(built("mock-polyswarmd", "mock-polyswarmd", &[]));
    command.arg(starter()).args(["--port", "0", "--block-time", "500ms"]);
    for setting in ["market.reveal_window=5", "market.vote_window=8", "ambassadors.duration=8"] {
        command.args(["--set", setting]);
    }
    command
}

/// A program of ours, up to date, or the one in `INTEROP_PROGRAMS` for those who have just built all of them.
fn built(package: &str, binary: &str, features: &[&str]) -> PathBuf {
    if let Some(programs) = env::var_os("INTEROP_PROGRAMS") {
        return root().join(programs).join(binary).with_extension(env::consts::EXE_EXTENSION);
    }
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--offline", "-p", package, "--bin", binary])
        .args(features)
        .current_dir(root())
        .status();
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
