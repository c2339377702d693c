//! What is on this machine, and what that enables.
//!
//! Programs are asked for their version, and nothing else: those that the folders of `PATH` hold, by their full path, with no
//! input, for a short time, and only the first bytes of their answer are read. Nothing is sent anywhere but to a clamd that
//! listens on this machine.

use std::{
    env, fs,
    io::{IsTerminal as _, Read, Write as _, stdout},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use datasets::Corpus;
use engine::backend::{clamav, model};
use serde::Serialize;

use crate::{cache, layout, shipped, sweep::registry, text};

/// How long a program may take to say its version.
const PATIENCE: Duration = Duration::from_secs(3);
/// Bytes of an answer that are read.
const ANSWER: u64 = 4096;
/// Entries of a folder that are added up.
const ENTRIES: usize = 1_000_000;

/// How something is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It is there.
    Ok,
    /// It is not there, and nothing needs it that was not asked for.
    Missing,
    /// It is there and does not work, or it is needed.
    Broken,
}

/// One thing that was looked for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// Its name.
    pub name: &'static str,
    /// How it is.
    pub health: Health,
    /// What was found: a version, a place, a size.
    pub found: String,
    /// What it is for.
    pub enables: &'static str,
    /// What to do about it, if it is not there.
    pub advice: Option<String>,
}

/// Everything that was looked for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Diagnosis {
    /// Version of this format.
    pub schema: u32,
    /// Version of sim.
    pub version: &'static str,
    /// In the order of a report.
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    /// Looks around; `cache` and `registry` are the folders that were named.
    pub fn new(cache: Option<PathBuf>, registry: Option<PathBuf>) -> Diagnosis {
        let cache = cache.map_or_else(cache::default_folder, Ok);
        let registry = registry.map_or_else(registry::default_folder, Ok);
        // Programs may be slow to start; they are asked side by side.
        let programs = thread::scope(|scope| {
            let asked: Vec<_> = PROGRAMS.iter().map(|program| scope.spawn(|| program.look())).collect();
            asked.into_iter().zip(&PROGRAMS).map(|(asked, program)| asked.join().unwrap_or_else(|_| program.missing())).collect::<Vec<_>>()
        });
        let mut findings = vec![machine(), terminal(), corpora(), folder("verdicts", VERDICTS, "--cache", cache)];
        findings.push(folder("trials", TRIALS, "--registry", registry));
        findings.extend([yara(), clamd(), onnx()]);
        findings.extend(programs);
        Diagnosis { schema: 1, version: env!("CARGO_PKG_VERSION"), findings }
    }

    /// Whether anything is broken.
    pub fn is_broken(&self) -> bool {
        self.findings.iter().any(|finding| finding.health == Health::Broken)
    }
}

const VERDICTS: &str = "verdicts that are kept, so that nothing is scanned twice";
const TRIALS: &str = "counting every trial of `sim sweep`, so that the best of many is believed less";

fn found(name: &'static str, found: impl Into<String>, enables: &'static str) -> Finding {
    Finding { name, health: Health::Ok, found: found.into(), enables, advice: None }
}

fn machine() -> Finding {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let memory = fs::read_to_string("/proc/meminfo").ok().and_then(|facts| {
        let gigabytes = |key: &str| {
            let line = facts.lines().find_map(|line| line.strip_prefix(key))?;
            Some(line.split_whitespace().next()?.parse::<f64>().ok()? * 1024.0 / 1e9)
        };
        Some(format!(", {:.1} GB of memory, {:.1} of them free", gigabytes("MemTotal:")?, gigabytes("MemAvailable:")?))
    });
    let cores = format!("{cores} {}", if cores == 1 { "core" } else { "cores" });
    found("machine", cores + &memory.unwrap_or_default(), "as many threads as there are cores, unless --jobs says otherwise")
}

fn terminal() -> Finding {
    let set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let colours = match (set("NO_COLOR"), set("CLICOLOR_FORCE")) {
        (true, _) => "no colours (NO_COLOR)",
        (false, true) => "colours (CLICOLOR_FORCE)",
        _ if stdout().is_terminal() && !layout::is_dumb() => "colours",
        _ => "no colours",
    };
    let width = layout::width().map_or_else(|| "no terminal: tables are whole".to_owned(), |width| format!("{width} columns"));
    found("terminal", format!("{width}, {colours}"), "reports that fit; COLUMNS names another width")
}

fn corpora() -> Finding {
    let enables = "`panel` and `starter`, to begin with";
    let problem = ["panel", "starter"].into_iter().find_map(|name| Corpus::open(&shipped::find(Some(Path::new(name)))).err());
    match problem {
        None => found("corpora", "shipped ones are there", enables),
        Some(problem) => Finding {
            name: "corpora",
            health: Health::Broken,
            found: text::cut(&problem.to_string(), 200),
            enables,
            advice: Some(format!("name the folder of shipped corpora in {}", shipped::FOLDER_VARIABLE)),
        },
    }
}

/// A folder that this program writes to; one that is not there yet is made when it is needed.
fn folder(name: &'static str, enables: &'static str, flag: &str, folder: Result<PathBuf>) -> Finding {
    let broken = |found: String| {
        let advice = Some(format!("name a folder that can be written with {flag}"));
        Finding { name, health: Health::Broken, found, enables, advice }
    };
    let folder = match folder {
        Ok(folder) => folder,
        Err(problem) => return broken(text::plain(&problem.to_string())),
    };
    let shown = text::shown(&folder);
    let Some(existing) = folder.ancestors().find(|folder| folder.exists()) else { return broken(format!("{shown} cannot be made")) };
    let writable = tempfile::Builder::new().prefix(".sim-doctor-").tempfile_in(existing);
    match writable {
        Err(problem) => broken(format!("{shown} cannot be written: {problem}")),
        Ok(_) if existing != folder => found(name, format!("{shown}, made when it is needed"), enables),
        Ok(_) => found(name, format!("{shown}, {:.1} MB", size(&folder) as f64 / 1e6), enables),
    }
}

/// Bytes of the files below a folder, as far as they can be read.
fn size(folder: &Path) -> u64 {
    let (mut open, mut bytes, mut seen) = (vec![folder.to_owned()], 0, 0);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            seen += 1;
            match entry.file_type() {
                _ if seen > ENTRIES => return bytes,
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                Ok(kind) if kind.is_file() => bytes += entry.metadata().map_or(0, |facts| facts.len()),
                _ => {}
            }
        }
    }
    bytes
}

fn yara() -> Finding {
    found("yara", "built in (boreal)", "backend `yara`")
}

/// The clamd that listens where the `clamav` backend looks for it.
fn clamd() -> Finding {
    let enables = "backend `clamav`";
    let path = clamav::DEFAULT_ADDRESS.strip_prefix("unix:").unwrap_or_default();
    if let Some(version) = clamd_version(Path::new(path)) {
        return found("clamd", format!("{version}, listens on {path}"), enables);
    }
    let installed = on_path("clamd").or_else(|| Some(PathBuf::from("/usr/sbin/clamd")).filter(|path| path.is_file()));
    let advice = match &installed {
        Some(_) => {
            "start it (`systemctl start clamav-daemon`) after `freshclam` has fetched signatures; a backend may name another address"
        }
        None => "install clamav-daemon, and let `freshclam` fetch signatures",
    };
    let state = match installed {
        Some(program) => format!("{}, {}; none listens on its usual socket", text::shown(&program), signatures()),
        None => "not found".to_owned(),
    };
    Finding { name: "clamd", health: Health::Missing, found: state, enables, advice: Some(advice.to_owned()) }
}

/// Whether clamd has something to look for, and since when.
fn signatures() -> String {
    const FOLDER: &str = "/var/lib/clamav";
    let files = fs::read_dir(FOLDER).into_iter().flatten().flatten().map(|entry| entry.path());
    let signatures = files.filter(|path| path.extension().is_some_and(|ending| ["cvd", "cld"].iter().any(|known| ending == *known)));
    let changed = signatures.filter_map(|path| fs::metadata(path).ok()?.modified().ok()).max();
    match changed.and_then(|changed| jiff::Timestamp::try_from(changed).ok()) {
        Some(changed) => format!("signatures of {}", changed.strftime("%Y-%m-%d")),
        None => format!("no signatures in {FOLDER}"),
    }
}

#[cfg(unix)]
fn clamd_version(socket: &Path) -> Option<String> {
    let mut stream = std::os::unix::net::UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(b"zVERSION\0").ok()?;
    let mut answer = [0; 256];
    let length = stream.read(&mut answer).ok()?;
    version(&String::from_utf8_lossy(&answer[..length]))
}

#[cfg(not(unix))]
fn clamd_version(_socket: &Path) -> Option<String> {
    None
}

fn onnx() -> Finding {
    let enables = "backend `model` with an .onnx, in builds with the feature `onnx`";
    let built = if model::HAS_ONNX { "in this build" } else { "not in this build" };
    let named = env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
    let library = match &named {
        Some(path) => path.is_file().then(|| path.clone()),
        None => ["/usr/lib", "/usr/local/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/opt/homebrew/lib"]
            .iter()
            .flat_map(|folder| ["libonnxruntime.so", "libonnxruntime.dylib"].map(|file| Path::new(folder).join(file)))
            .find(|path| path.is_file()),
    };
    match library {
        Some(path) => found("onnxruntime", format!("{}; {built}", text::shown(&path)), enables),
        None => Finding {
            name: "onnxruntime",
            health: Health::Missing,
            found: match named {
                Some(path) => format!("ORT_DYLIB_PATH names {}, which is no file; {built}", text::shown(&path)),
                None => format!("not found; {built}"),
            },
            enables,
            advice: Some("`pip install onnxruntime` brings a library; name it in ORT_DYLIB_PATH".to_owned()),
        },
    }
}

/// A program that may be of use.
struct Program {
    name: &'static str,
    /// What it may be called.
    files: &'static [&'static str],
    enables: &'static str,
    advice: &'static str,
}

const PROGRAMS: [Program; 7] = [
    Program {
        name: "clamdscan",
        files: &["clamdscan"],
        enables: "asking a clamd by hand what it says of a file",
        advice: "install clamdscan",
    },
    Program {
        name: "python",
        files: &["python3"],
        enables: "backends and strategies of kind `command` that are written in Python",
        advice: "install python3",
    },
    Program {
        name: "python3.11",
        files: &["python3.11"],
        enables: "polyswarm-client, the real client, against mock-polyswarmd",
        advice: "install Python 3.11; polyswarm-client runs on no later one",
    },
    Program {
        name: "chromium",
        files: &["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"],
        enables: "reading reports and the live page; with chromedriver, the tests of both",
        advice: "any browser reads them; for the tests, install chromium",
    },
    Program {
        name: "chromedriver",
        files: &["chromedriver"],
        enables: "the tests of reports in a browser",
        advice: "install chromium-driver",
    },
    Program {
        name: "valgrind",
        files: &["valgrind"],
        enables: "counting instructions in benchmarks, which no other load disturbs",
        advice: "install valgrind",
    },
    Program {
        name: "cargo",
        files: &["cargo"],
        enables: "building an engine of one's own in Rust",
        advice: "install Rust with rustup (https://rustup.rs)",
    },
];

impl Program {
    fn missing(&self) -> Finding {
        let Program { name, enables, advice, .. } = *self;
        Finding { name, health: Health::Missing, found: "not found".to_owned(), enables, advice: Some(advice.to_owned()) }
    }

    fn look(&self) -> Finding {
        let Some(path) = self.files.iter().find_map(|file| on_path(file)) else { return self.missing() };
        let shown = text::shown(&path);
        match asked(&path, PATIENCE) {
            Ok(version) => found(self.name, format!("{version}, {shown}"), self.enables),
            // It is not needed, so it is not broken: it is as good as missing.
            Err(problem) => Finding { found: format!("{shown} {problem}"), ..self.missing() },
        }
    }
}

/// The first file of that name in a folder of `PATH`. Folders that depend on where this process is are left out: who can write
/// there could have anything run.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).filter(|folder| folder.is_absolute()).map(|folder| folder.join(name)).find(|path| is_program(path))
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

/// What a program says of its version.
fn asked(program: &Path, patience: Duration) -> Result<String, &'static str> {
    let child = Command::new(program).arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|_| "cannot be started")?;
    let (tell, hear) = mpsc::channel();
    let pipes: [Option<Box<dyn Read + Send>>; 2] =
        [child.stdout.take().map(|pipe| Box::new(pipe) as _), child.stderr.take().map(|pipe| Box::new(pipe) as _)];
    for (at, pipe) in pipes.into_iter().enumerate() {
        let (pipe, tell) = (pipe.ok_or("cannot be heard")?, tell.clone());
        thread::spawn(move || {
            let mut answer = Vec::new();
            let _ = pipe.take(ANSWER).read_to_end(&mut answer);
            let _ = tell.send((at, answer));
        });
    }
    drop(tell);
    let deadline = Instant::now() + patience;
    // Warnings are on stderr, so that is the second choice; what the program leaves running may keep it open for long.
    let mut answers = Vec::new();
    while let Ok(answer) = hear.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        answers.push(answer);
    }
    answers.sort();
    let mut versions = answers.into_iter().filter_map(|(_, answer)| version(&String::from_utf8_lossy(&answer)));
    match ended(&mut child, deadline) {
        Some(true) => versions.next().ok_or("says no version"),
        // What it says then is what is wrong with it.
        Some(false) => Err("does not work: asked for its version, it ends with an error"),
        None => Err("does not answer"),
    }
}

/// Waits until a program ends, and answers whether well; or ends it if it takes too long.
fn ended(child: &mut Child, deadline: Instant) -> Option<bool> {
    loop {
        match child.try_wait() {
            // Whoever says more than is read is ended by it.
            Ok(Some(status)) => return Some(status.code().is_none_or(|code| code == 0)),
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

/// The first line of an answer that has a digit in it.
fn version(answer: &str) -> Option<String> {
    let line = answer.split(['\n', '\0']).map(str::trim).find(|line| line.contains(|digit: char| digit.is_ascii_digit()))?;
    Some(text::cut(line, 60))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn program(script: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        (folder, path)
    }

    #[test]
    fn a_program_that_hangs_or_floods_is_not_waited_for() {
        let (_folder, hangs) = program("exec sleep 600");
        let began = Instant::now();
        assert_eq!(asked(&hangs, Duration::from_millis(50)), Err("does not answer"));
        assert!(began.elapsed() < Duration::from_secs(60));
        let (_folder, floods) = program("echo 'flood 1.0'; exec cat /dev/zero");
        assert_eq!(asked(&floods, Duration::from_secs(60)), Ok("flood 1.0".to_owned()));
    }

    #[test]
    fn a_version_is_one_harmless_line() {
        let (_folder, hostile) = program("printf 'hello\\n\\033[2Jv 1.2\\n' >&2");
        assert_eq!(asked(&hostile, Duration::from_secs(30)), Ok("\\u{1b}[2Jv 1.2".to_owned()));
        let (_folder, silent) = program("exit 0");
        assert_eq!(asked(&silent, Duration::from_secs(30)), Err("says no version"));
        let (_folder, broken) = program("echo 'error: rustup 1.2 could not choose a version' >&2; exit 1");
        assert_eq!(asked(&broken, Duration::from_secs(30)), Err("does not work: asked for its version, it ends with an error"));
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_broken_and_one_that_is_not_there_is_not() {
        let here = tempfile::tempdir().unwrap();
        let there = |folder: &str| super::folder("verdicts", VERDICTS, "--cache", Ok(PathBuf::from(folder)));
        assert_eq!(there(here.path().join("a/b").to_str().unwrap()).health, Health::Ok);
        let finding = there("/proc/self/nowhere");
        assert_eq!(finding.health, Health::Broken);
        assert!(finding.advice.unwrap().contains("--cache"));
    }
}
