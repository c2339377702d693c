//! Any program: it is run once for each content, and answers by its exit code or with JSON.
//!
//! ```toml
//! [[backends]]
//! kind = "command"
//! command = ["clamscan", "--no-summary", "{file}"]
//! ```
//!
//! # What it gets
//!
//! With `input = "file"` the content is in a file of its own, in a folder of its own that only this user can enter, under
//! the name `artifact`, not executable, and removed afterwards; `{file}` in an argument stands for its path, which is the
//! last argument where no argument says `{file}`. With `input = "stdin"` the content is its standard input, and it need not
//! read it. No shell is involved. It runs in the folder of the engine's file, and its environment is `PATH`, `LANG=C.UTF-8`
//! and that private folder as `HOME` and `TMPDIR`. A program with a slash in its name is relative to the folder of the
//! engine's file, any other is looked for in `PATH`.
//!
//! # What it answers
//!
//! With `output = "exit-code"`: 0 benign, 1 malicious. With `output = "json"` one object on standard output, with
//! `"malicious": true`, `false` or `null`, or `"verdict": "malicious"`, `"benign"` or `"unknown"`; optionally `"confidence"`
//! from 0 to 1 and `"family"`; other keys are passed over, and the exit code is 0 or 1, whatever the verdict. Anything else
//! is no answer. Killed by a signal, it counts as not there: what killed it, such as a want of memory, may be gone the next time.
//!
//! # What ends it
//!
//! The deadline, or more than 64 KiB on standard output or standard error. When it has ended, by itself or not, whatever it
//! started is killed: its process group, their descendants, and every process that has the private folder in its
//! environment, as a child of a child of it has though its parents are gone. Only a process that has left the group, lost its
//! parents *and* emptied its environment gets away; a program that would do that needs a container around the engine. `memory_limit`
//! bounds the address space (`RLIMIT_AS`) and is set right after the start: what is mapped by then stays, and no more than
//! the limit is added. This needs Linux, as it reads `/proc`. A program around the engine that exits while scans may be
//! running calls [`abandon`] first, as nothing else reaches what they started.
//!
//! # Fingerprint
//!
//! Input, output, limit, `version`, the program's name and content, and the arguments: of those that are files relative to the
//! engine's folder, such as a script or a model, the content in place of the path. Content means the SHA-256 of files up to 64 MiB, size and time of the last
//! change of larger ones. What else its answers depend on, such as a database or a library, is for `version` to say.

mod registry; // what is running, for whoever exits early
mod run; // one program, run once

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    io::{self, Write as _},
    os::unix::{
        ffi::{OsStrExt as _, OsStringExt as _},
        fs::{OpenOptionsExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    time::{Instant, UNIX_EPOCH},
};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

pub use self::registry::abandon;
pub(crate) use self::{registry::Private, run::Running};

use self::run::{Ended, Program};
use super::{Backend, BackendError};
use crate::{
    artifact::{Artifact, Failure, FailureKind, Finding, ScanResult},
    config::{BackendConfig, CommandInput, CommandOutput},
};

/// Stands for the path of the content.
const PLACEHOLDER: &str = "{file}";
/// Largest file that is part of the fingerprint by its content, in bytes.
const HASH_LIMIT: u64 = 64 << 20;
/// Where programs are looked for, if the environment does not say.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Most of a program's standard error that is told when it fails, in bytes.
const COMPLAINT_LIMIT: usize = 300;

/// Runs a program over contents.
#[derive(Clone, Debug)]
pub struct Command {
    name: String,
    fingerprint: String,
    program: PathBuf,
    arguments: Vec<String>,
    folder: PathBuf,
    path: OsString,
    input: CommandInput,
    output: CommandOutput,
    memory_limit: Option<u64>,
}

impl Command {
    /// Finds the program that `config` names, relative to `folder`, and runs nothing.
    ///
    /// # Errors
    ///
    /// If there is no such program, or the keys contradict each other.
    pub fn open(config: &BackendConfig, folder: &Path) -> Result<Command, BackendError> {
        let unusable = |problem: String| BackendError::Unusable { name: config.name().to_owned(), problem };
        let [program, arguments @ ..] = config.command.as_deref().unwrap_or_default() else {
            return Err(unusable("`command` is empty; write the program and its arguments as a list".to_owned()));
        };
        let (input, output) = (config.input.unwrap_or_default(), config.output.unwrap_or_default());
        if program.contains(PLACEHOLDER) {
            return Err(unusable(format!("the program is `{program}`, but artifacts are never executed; name a program")));
        }
        if input == CommandInput::Stdin && arguments.iter().any(|argument| argument.contains(PLACEHOLDER)) {
            return Err(unusable(format!("with `input = \"stdin\"` there is no `{PLACEHOLDER}`; leave out one of the two")));
        }
        if config.command.iter().flatten().any(|argument| argument.contains('\0')) {
            return Err(unusable("`command` holds a zero byte; no program can be given one".to_owned()));
        }
        // The program runs in that folder: it must be found from there, too.
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let folder = std::path::absolute(folder).map_err(|cause| {
            unusable(format!("the folder of the engine's file cannot be told ({cause}); start from a folder that is there"))
        })?;
        let path = env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
        let found = find(program, &folder, &path).map_err(|cause| BackendError::Unreadable {
            name: config.name().to_owned(),
            path: program.clone(),
            cause,
            expected: "a program in `PATH`, or with a slash one relative to the engine file, and make it executable",
        })?;

        let mut digest = Sha256::new();
        let mut part = |bytes: &[u8]| {
            digest.update((bytes.len() as u64).to_le_bytes());
            digest.update(bytes);
        };
        let settings = format!("{input:?} {output:?} {:?} {:?}", config.memory_limit, config.version);
        part(settings.as_bytes());
        let files = arguments.iter().map(|argument| (argument.as_bytes(), folder.join(argument)));
        // Some programs do what the name says that they are called by.
        let called = found.file_name().unwrap_or_default().to_owned();
        part(called.as_bytes());
        for (text, file) in [(called.as_bytes(), found.clone())].into_iter().chain(files) {
            let identity = identity(&file).map_err(|cause| BackendError::Unreadable {
                name: config.name().to_owned(),
                path: file.display().to_string(),
                cause,
                expected: "files that this user may read",
            })?;
            // What is a file is the same wherever it is.
            match identity {
                Some(identity) => {
                    part(b"file");
                    part(&identity);
                }
                None => {
                    part(b"text");
                    part(text);
                }
            }
        }
        let version = config.version.as_deref().unwrap_or_default();
        Ok(Command {
            name: config.name().to_owned(),
            fingerprint: format!("command:3:{version}:{}", hex::encode(&digest.finalize()[..16])),
            program: found,
            arguments: arguments.to_vec(),
            folder,
            path,
            input,
            output,
            memory_limit: config.memory_limit,
        })
    }
}

/// The file that a program's name means.
fn find(program: &str, folder: &Path, path: &OsStr) -> io::Result<PathBuf> {
    let executable = |file: &Path| match fs::metadata(file) {
        Ok(metadata) if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 => Ok(()),
        Ok(_) => Err(io::Error::new(io::ErrorKind::PermissionDenied, "not an executable file")),
        Err(error) => Err(error),
    };
    if program.contains('/') {
        let file = folder.join(program);
        return executable(&file).map(|()| file);
    }
    let found = env::split_paths(path).map(|place| folder.join(place).join(program)).find(|file| executable(file).is_ok());
    found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such program in `PATH`"))
}

/// What tells a file from its next version; nothing if there is no such file.
fn identity(file: &Path) -> io::Result<Option<Vec<u8>>> {
    let Some(metadata) = fs::metadata(file).ok().filter(fs::Metadata::is_file) else { return Ok(None) };
    if metadata.len() > HASH_LIMIT {
        let changed = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        return Ok(Some(format!("{} bytes, changed {}", metadata.len(), changed.as_nanos()).into_bytes()));
    }
    let mut digest = Sha256::new();
    io::copy(&mut io::Read::take(fs::File::open(file)?, HASH_LIMIT), &mut HashWriter(&mut digest))?;
    Ok(Some(digest.finalize().to_vec()))
}

/// Hashes what is written to it.
struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Backend for Command {
    fn name(&self) -> &str {
        &self.name
    }

    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    fn scan(&self, artifact: &Artifact<'_>, deadline: Instant) -> Result<Finding, Failure> {
        let content = artifact.content.ok_or_else(|| Failure::new(FailureKind::Missing, "no content to scan"))?;
        let no_room = |error: io::Error| Failure::new(FailureKind::Unavailable, format!("no private folder for the artifact: {error}"));
        let private = Private::new().map_err(no_room)?;
        let (arguments, stdin) = match self.input {
            CommandInput::File => {
                let file = private.path().join("artifact");
                write_private(&file, content).map_err(no_room)?;
                (self.arguments_for(file.as_os_str()), None)
            }
            CommandInput::Stdin => (self.arguments.iter().map(OsString::from).collect(), Some(content)),
        };
        let program = Program {
            program: &self.program,
            arguments: &arguments,
            folder: &self.folder,
            private: private.path(),
            path: &self.path,
            memory_limit: self.memory_limit,
        };
        let ended = program.run(stdin, deadline)?;
        match self.output {
            CommandOutput::ExitCode => match ended.code {
                Some(0) => Ok(ScanResult::verdict(false).into()),
                Some(1) if crashed(&ended) => Err(complaint(&ended, "after a crash, which is no verdict")),
                Some(1) => Ok(ScanResult::verdict(true).into()),
                _ => Err(complaint(&ended, "instead of exit code 0 or 1")),
            },
            CommandOutput::Json if matches!(ended.code, Some(0 | 1)) => finding(&ended.stdout),
            CommandOutput::Json => Err(complaint(&ended, "instead of exit code 0 or 1")),
        }
    }
}

impl Command {
    /// The arguments, with the path of the content in its place.
    fn arguments_for(&self, file: &OsStr) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = self.arguments.iter().map(|argument| replace(argument, file)).collect();
        if !self.arguments.iter().any(|argument| argument.contains(PLACEHOLDER)) {
            arguments.push(file.to_owned());
        }
        arguments
    }
}

/// The argument with the path in each place that says so.
fn replace(argument: &str, file: &OsStr) -> OsString {
    let parts: Vec<&[u8]> = argument.split(PLACEHOLDER).map(str::as_bytes).collect();
    OsString::from_vec(parts.join(file.as_bytes()))
}

/// Writes a file that nobody else can open, and that is never executable.
fn write_private(file: &Path, content: &[u8]) -> io::Result<()> {
    let mut open = fs::OpenOptions::new().write(true).create_new(true).mode(0o400).open(file)?;
    open.write_all(content)
}

/// Whether exit code 1 is that of Python after an exception that nobody caught, as which it would call everything malicious.
/// What a program logs of an exception that it caught does not begin so.
fn crashed(ended: &Ended) -> bool {
    ended.stdout.is_empty() && ended.stderr.trim_ascii_start().starts_with(b"Traceback (most recent call last):")
}

/// Why the way it ended is no answer. Who is killed, for want of memory, say, may answer another time.
fn complaint(ended: &Ended, instead: &str) -> Failure {
    let (kind, how) = match (ended.code, ended.signal) {
        (Some(code), _) => (FailureKind::BadAnswer, format!("exit code {code}")),
        (None, Some(signal)) => (FailureKind::Unavailable, format!("killed by signal {signal}")),
        (None, None) => (FailureKind::BadAnswer, "no exit code".to_owned()),
    };
    let said = String::from_utf8_lossy(&ended.stderr[..ended.stderr.len().min(COMPLAINT_LIMIT)]);
    let said = said.trim().escape_debug();
    Failure::new(kind, format!("{how} {instead}; it says `{said}`"))
}

/// An answer in JSON.
#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default, deserialize_with = "present")]
    malicious: Option<Option<bool>>,
    verdict: Option<Verdict>,
    confidence: Option<f32>,
    family: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Malicious,
    Benign,
    Unknown,
}

/// Tells `null` from a key that is not there.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<bool>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// What an answer in JSON says.
fn finding(stdout: &[u8]) -> Result<Finding, Failure> {
    let bad = |problem: String| Failure::new(FailureKind::BadAnswer, problem);
    let answer: Answer = serde_json::from_slice(stdout)
        .map_err(|error| bad(format!("not the expected JSON ({error}): `{}`", String::from_utf8_lossy(stdout).escape_debug())))?;
    let by_verdict = answer.verdict.map(|verdict| match verdict {
        Verdict::Malicious => Some(true),
        Verdict::Benign => Some(false),
        Verdict::Unknown => None,
    });
    let malicious = match (answer.malicious, by_verdict) {
        (Some(malicious), Some(verdict)) if malicious != verdict => {
            return Err(bad("`malicious` and `verdict` contradict each other".to_owned()));
        }
        (Some(malicious), _) | (None, Some(malicious)) => malicious,
        (None, None) => return Err(bad("neither `malicious` nor `verdict`".to_owned())),
    };
    if let Some(confidence) = answer.confidence.filter(|confidence| !(0.0..=1.0).contains(confidence)) {
        return Err(bad(format!("a confidence of {confidence}, which must be within 0 and 1")));
    }
    Ok(Finding::new(ScanResult { malicious, confidence: answer.confidence }, answer.family.as_deref()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::BackendKind;

    const LONG: Duration = Duration::from_secs(60);

    /// A shell script in a folder of its own, which is the engine's folder.
    struct Script {
        folder: tempfile::TempDir,
        config: BackendConfig,
    }

    impl Script {
        fn new(text: &str) -> Script {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("script"), text).unwrap();
            let command = Some(vec!["sh".to_owned(), "script".to_owned()]);
            Script { folder, config: BackendConfig { command, ..BackendConfig::of(BackendKind::Command) } }
        }

        fn stdin(text: &str) -> Script {
            let script = Script::new(text);
            Script { config: BackendConfig { input: Some(CommandInput::Stdin), ..script.config }, ..script }
        }

        fn json(text: &str) -> Script {
            let script = Script::stdin(text);
            Script { config: BackendConfig { output: Some(CommandOutput::Json), ..script.config }, ..script }
        }

        fn open(&self) -> Result<Command, BackendError> {
            Command::open(&self.config, self.folder.path())
        }

        fn scan(&self, content: &[u8], within: Duration) -> Result<Finding, Failure> {
            let artifact = Artifact { content: Some(content), ..Artifact::default() };
            self.open().unwrap().scan(&artifact, Instant::now() + within)
        }

        fn kind(&self, content: &[u8], within: Duration) -> FailureKind {
            self.scan(content, within).unwrap_err().kind
        }

        /// The process whose number the script wrote to `pid`, if it is still there and no zombie.
        fn survivor(&self) -> Option<String> {
            let pid = fs::read_to_string(self.folder.path().join("pid")).expect("the script wrote its child's number");
            let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).ok()?;
            (!stat.rsplit_once(')')?.1.trim_start().starts_with('Z')).then_some(stat)
        }
    }

    fn verdict(malicious: bool) -> Result<Finding, Failure> {
        Ok(ScanResult::verdict(malicious).into())
    }

    #[test]
    fn exit_codes_are_verdicts_and_nothing_else_is() {
        assert_eq!(Script::new("exit 0").scan(b"", LONG), verdict(false));
        assert_eq!(Script::new("exit 1").scan(b"", LONG), verdict(true));
        let failure = Script::new(r"printf 'no \033[31mdatabase\n' >&2; exit 2").scan(b"", LONG).unwrap_err();
        assert_eq!(failure.to_string(), r"bad-answer: exit code 2 instead of exit code 0 or 1; it says `no \u{1b}[31mdatabase`");
        let failure = Script::new("kill -SEGV $$").scan(b"", LONG).unwrap_err();
        assert!(failure.kind == FailureKind::Unavailable && failure.detail.starts_with("killed by signal 11"), "{failure}");
    }

    #[test]
    fn the_content_comes_as_a_private_file_or_as_standard_input() {
        let looks = r#"test "$(cat "$1")" = 'some content' && test "$(stat -c %a "$1")" = 400 && test "$(stat -c %a "$(dirname "$1")")" = 700 && exit 1"#;
        assert_eq!(Script::new(looks).scan(b"some content", LONG), verdict(true));
        let mut placed = Script::new(r#"test "$(cat "${1#--in=}")" = 'some content' && test "$2" = last && exit 1"#);
        placed.config.command.as_mut().unwrap().extend(["--in={file}".to_owned(), "last".to_owned()]);
        assert_eq!(placed.scan(b"some content", LONG), verdict(true));
        assert_eq!(Script::stdin(r#"test "$(cat)" = 'some content' && test $# = 0 && exit 1"#).scan(b"some content", LONG), verdict(true));
        let keeps = Script::new(r#"dirname "$1" > kept"#);
        assert_eq!(keeps.scan(b"some content", LONG), verdict(false));
        let kept = fs::read_to_string(keeps.folder.path().join("kept")).unwrap();
        assert!(!kept.trim().is_empty() && !Path::new(kept.trim()).exists(), "{kept} was to be removed");
    }

    #[test]
    fn the_environment_is_cleared() {
        let script = Script::new("env | sed 's/=.*//' | sort > names");
        assert_eq!(script.scan(b"", LONG), verdict(false));
        let names = fs::read_to_string(script.folder.path().join("names")).unwrap();
        // `PWD`, `OLDPWD`, `SHLVL` and `_` are the shell's own.
        let names: Vec<&str> = names.lines().filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name)).collect();
        assert_eq!(names, ["HOME", "LANG", "PATH", "TMPDIR"]);
    }

    #[test]
    fn a_program_that_hangs_is_killed_in_time() {
        assert_eq!(Script::new("exec sleep 1000").kind(b"", Duration::from_millis(100)), FailureKind::TimedOut);
        // It does not read 16 MiB, either.
        assert_eq!(Script::stdin("exec sleep 1000").kind(&vec![0; 16 << 20], Duration::from_millis(100)), FailureKind::TimedOut);
        // Closed outputs are no end.
        assert_eq!(Script::new("exec sleep 1000 >&- 2>&-").kind(b"", Duration::from_millis(100)), FailureKind::TimedOut);
        assert_eq!(Script::new("exit 1").kind(b"", Duration::ZERO), FailureKind::TimedOut);
    }

    #[test]
    fn input_that_is_not_read_is_no_error() {
        assert_eq!(Script::stdin("exit 1").scan(&vec![0; 16 << 20], LONG), verdict(true));
        assert_eq!(Script::stdin("head -c 100000 > /dev/null; exit 1").scan(&vec![0; 16 << 20], LONG), verdict(true));
        let all = Script::stdin(r#"test "$(wc -c)" = 16777216 && exit 1"#);
        assert_eq!(all.scan(&vec![0; 16 << 20], LONG), verdict(true));
    }

    #[test]
    fn a_crash_of_python_is_no_verdict() {
        let crash = "echo 'Traceback (most recent call last):' >&2; echo 'KeyError: 1' >&2; exit 1";
        let failure = Script::new(crash).scan(b"", LONG).unwrap_err();
        assert_eq!(failure.kind, FailureKind::BadAnswer);
        assert!(failure.detail.contains("exit code 1 after a crash") && failure.detail.contains("KeyError"), "{}", failure.detail);
        // What is complained about else, or beside an answer, is the program's own business.
        let logged = format!("echo 'ERROR:root:no header' >&2; {crash}");
        for answer in ["echo 'warning: slow' >&2; exit 1", &format!("echo EICAR; {crash}"), &logged] {
            assert_eq!(Script::new(answer).scan(b"", LONG), verdict(true), "{answer}");
        }
    }

    #[test]
    fn floods_are_cut_off() {
        for flood in ["exec yes", "exec yes >&2", "head -c 65537 /dev/zero", "head -c 65537 /dev/zero >&2"] {
            assert_eq!(Script::new(flood).kind(b"", LONG), FailureKind::BadAnswer, "{flood}");
        }
        for fits in ["head -c 65536 /dev/zero; exit 1", "head -c 65536 /dev/zero >&2; exit 1"] {
            assert_eq!(Script::new(fits).scan(b"", LONG), verdict(true), "{fits}");
        }
    }

    /// Starts a child that writes its number to `pid`, waits until it has, and goes on with the rest.
    fn with_child(child: &str, rest: &str) -> Script {
        Script::new(&format!("mkfifo ready\n{child}\nread _ < ready\n{rest}\n"))
    }

    const WORK: &str = "echo $$ > pid; echo > ready; exec sleep 1000";

    #[test]
    fn nothing_that_a_program_started_survives_it() {
        let children = [
            ("in its group", format!("sh -c '{WORK}' &")),
            ("silent", format!("sh -c '{WORK}' > /dev/null 2>&1 < /dev/null &")),
            ("in a session of its own", format!("setsid sh -c '{WORK}' > /dev/null 2>&1 < /dev/null &")),
            (
                "an orphan in a session of its own",
                format!("setsid sh -c 'setsid sh -c \"{}\" &' > /dev/null 2>&1 < /dev/null", WORK.replace('$', "\\$")),
            ),
            ("in a session of its own without an environment", format!("env -i setsid sh -c '{WORK}' > /dev/null 2>&1 < /dev/null &")),
        ];
        for (what, child) in &children {
            // It ends by itself; all but the last, whose parent is gone with it and which no longer bears a mark.
            if !child.contains("env -i") {
                let ends = with_child(child, "exit 1");
                assert_eq!(ends.scan(b"", LONG), verdict(true), "{what}");
                assert_eq!(ends.survivor(), None, "{what}, when the program ends");
            }
            let floods = with_child(child, "yes; exit 1");
            assert_eq!(floods.kind(b"", LONG), FailureKind::BadAnswer, "{what}");
            assert_eq!(floods.survivor(), None, "{what}, when the program is cut off");
        }
        // The deadline, as soon as it lets the child start.
        for milliseconds in [100, 1_000, 10_000, 100_000] {
            let hangs = with_child(&children[3].1, "sleep 1000");
            assert_eq!(hangs.kind(b"", Duration::from_millis(milliseconds)), FailureKind::TimedOut);
            if hangs.folder.path().join("pid").exists() {
                assert_eq!(hangs.survivor(), None, "when time is up");
                return;
            }
        }
        panic!("the child was never started");
    }

    #[test]
    fn memory_is_bounded() {
        // 64 MiB in a variable of the shell, if it can.
        let takes = r#"x=$(head -c 67108864 /dev/zero | tr '\0' x); test ${#x} = 67108864 && exit 1; exit 7"#;
        let mut script = Script::new(takes);
        script.config.memory_limit = Some(48 << 20);
        // Some shells end by themselves, others by a signal.
        assert!(matches!(script.kind(b"", LONG), FailureKind::BadAnswer | FailureKind::Unavailable));
        script.config.memory_limit = Some(4 << 30);
        assert_eq!(script.scan(b"", LONG), verdict(true));
    }

    #[test]
    fn answers_in_json_are_understood() {
        let found = |malicious, confidence, family| Ok(Finding::new(ScanResult { malicious, confidence }, family));
        for (text, expected) in [
            (r#"{"malicious": true}"#, found(Some(true), None, None)),
            (r#" {"malicious": false, "confidence": 0.75, "scanner": {"version": [1]}} "#, found(Some(false), Some(0.75), None)),
            (r#"{"malicious": null}"#, found(None, None, None)),
            (r#"{"verdict": "malicious", "family": "Zeus", "confidence": 1}"#, found(Some(true), Some(1.0), Some("Zeus"))),
            (r#"{"verdict": "unknown", "malicious": null, "family": null}"#, found(None, None, None)),
            (r#"{"verdict": "benign", "malicious": false}"#, found(Some(false), None, None)),
        ] {
            assert_eq!(finding(text.as_bytes()), expected, "{text}");
        }
        for text in [
            "",
            "true",
            "{}",
            r#"{"verdict": null}"#,
            r#"{"malicious": 1}"#,
            r#"{"malicious": true, "malicious": false}"#,
            r#"{"malicious": true} {}"#,
            r#"{"malicious": true, "verdict": "benign"}"#,
            r#"{"malicious": null, "verdict": "benign"}"#,
            r#"{"verdict": "evil"}"#,
            r#"{"malicious": true, "confidence": 1.5}"#,
            r#"{"malicious": true, "confidence": -0.1}"#,
            r#"{"malicious": true, "confidence": 1e999}"#,
            r#"{"malicious": true, "family": 7}"#,
            &"[".repeat(60_000),
            &format!(r#"{{"malicious": true, "x": {}"#, "[".repeat(60_000)),
        ] {
            assert_eq!(finding(text.as_bytes()).unwrap_err().kind, FailureKind::BadAnswer, "{text}");
        }
        assert_eq!(finding(b"{\"family\": \"\xFF\", \"malicious\": true}").unwrap_err().kind, FailureKind::BadAnswer);
    }

    #[test]
    fn json_comes_with_exit_code_0_or_1_and_hostile_names_are_bounded() {
        let family = "\u{1b}[31m;rm -rf /".repeat(100);
        let answer = serde_json::json!({ "malicious": true, "family": family }).to_string();
        for code in [0, 1] {
            let found = Script::json(&format!("cat; exit {code}")).scan(answer.as_bytes(), LONG).unwrap();
            assert_eq!(found.result, ScanResult::verdict(true));
            assert_eq!(found.family, Some(family.chars().take(256).collect()));
        }
        assert_eq!(Script::json("cat; exit 2").kind(answer.as_bytes(), LONG), FailureKind::BadAnswer);
        assert_eq!(Script::json("cat; kill -KILL $$").kind(answer.as_bytes(), LONG), FailureKind::Unavailable);
    }

    #[test]
    fn a_program_that_is_not_there_is_said_when_opened_and_when_gone() {
        let mut script = Script::new("");
        for (program, problem) in [
            ("no-such-program-anywhere", "no such program in `PATH`"),
            ("./script", "not an executable file"),
            ("./nothing", "name a program in `PATH`"),
            ("{file}", "artifacts are never executed"),
        ] {
            script.config.command = Some(vec![program.to_owned()]);
            let error = script.open().unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        script.config.command = Some(Vec::new());
        assert!(script.open().unwrap_err().to_string().contains("`command` is empty"));
        script.config.command = Some(vec!["cat".to_owned(), "{file}".to_owned()]);
        script.config.input = Some(CommandInput::Stdin);
        assert!(script.open().unwrap_err().to_string().contains("leave out one of the two"));

        let program = script.folder.path().join("script");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        script.config.command = Some(vec!["./script".to_owned()]);
        let opened = script.open().unwrap();
        fs::remove_file(&program).unwrap();
        let failure = opened.scan(&Artifact { content: Some(b""), ..Artifact::default() }, Instant::now() + LONG).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unavailable, "{failure}");
    }

    #[test]
    fn a_fingerprint_stays_when_the_engine_moves() {
        let script = Script::new("exit 0");
        let program = script.folder.path().join("program");
        fs::write(&program, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        let command = Some(["./program", "script", "--quiet"].map(str::to_owned).to_vec());
        let mut config = BackendConfig { command, ..script.config.clone() };
        let before = Command::open(&config, script.folder.path()).unwrap().fingerprint;
        config.located(script.folder.path());
        let elsewhere = tempfile::tempdir().unwrap();
        assert_eq!(Command::open(&config, elsewhere.path()).unwrap().fingerprint, before);
        // A text that is no file is what it says.
        config.command.as_mut().unwrap()[2] = "--loud".to_owned();
        assert_ne!(Command::open(&config, elsewhere.path()).unwrap().fingerprint, before);
    }

    #[test]
    fn a_fingerprint_changes_with_whatever_the_answers_depend_on() {
        let script = Script::new("exit 0");
        let of = |change: &dyn Fn(&mut BackendConfig)| {
            let mut config = script.config.clone();
            change(&mut config);
            Command::open(&config, script.folder.path()).unwrap().fingerprint
        };
        let mut all = vec![
            of(&|_| {}),
            of(&|config| config.version = Some("2".to_owned())),
            of(&|config| config.memory_limit = Some(1 << 30)),
            of(&|config| config.input = Some(CommandInput::Stdin)),
            of(&|config| config.output = Some(CommandOutput::Json)),
            of(&|config| config.command.as_mut().unwrap().push("more".to_owned())),
            of(&|config| config.command.as_mut().unwrap()[0] = "cat".to_owned()),
        ];
        assert_eq!(of(&|_| {}), all[0]);
        fs::write(script.folder.path().join("script"), "exit 1").unwrap();
        all.push(of(&|_| {}));
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count, "{all:?}");
    }
}
