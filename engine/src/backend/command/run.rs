//! One program, run once: watched while it runs, and nothing of it left afterwards.
//!
//! One thread does it all: the program's three pipes and a descriptor of the process are polled until the deadline.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    fs,
    io::{self, ErrorKind, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{
            ffi::OsStrExt as _,
            process::{CommandExt as _, ExitStatusExt as _},
        },
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    process::{Pid, PidfdFlags, Resource, Rlimit, Signal},
};

use super::registry;
use crate::artifact::{Failure, FailureKind};

/// Most bytes that are read from each of standard output and standard error.
const OUTPUT_LIMIT: usize = 64 << 10;
/// How long killed processes are waited for: none takes that long, unless the kernel holds it.
const GRACE: Duration = Duration::from_secs(2);
/// How long a process may take to become another program.
const BECOMING: Duration = Duration::from_millis(20);

/// A program and all that it needs to start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Program<'a> {
    pub(super) program: &'a Path,
    pub(super) arguments: &'a [OsString],
    pub(super) folder: &'a Path,
    /// A folder of this run alone: its path in an environment marks a process as one of ours.
    pub(super) private: &'a Path,
    pub(super) path: &'a OsStr,
    pub(super) memory_limit: Option<u64>,
}

/// How it ended by itself.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: Option<i32>,
    pub(super) signal: Option<i32>,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

impl Program<'_> {
    /// Runs it to its end, with `stdin` as its input.
    ///
    /// # Errors
    ///
    /// If it cannot be started, says too much, or is not done before `deadline`; then it is killed.
    pub(super) fn run(&self, stdin: Option<&[u8]>, deadline: Instant) -> Result<Ended, Failure> {
        let unavailable = |what: &str| {
            let what = what.to_owned();
            move |error: io::Error| Failure::new(FailureKind::Unavailable, format!("{what}: {error}"))
        };
        let timed_out = || Failure::new(FailureKind::TimedOut, "the program was not done in time, and was killed");
        if Instant::now() >= deadline {
            return Err(timed_out());
        }
        let mut command = Command::new(self.program);
        command
            .args(self.arguments)
            .current_dir(self.folder)
            .env_clear()
            .env("PATH", self.path)
            .env("LANG", "C.UTF-8")
            .env("HOME", self.private)
            .env("TMPDIR", self.private)
            .process_group(0)
            .stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // Declared before, hence dropped after: a pipe that closes ends the program, and its orphans could not be told any more.
        let mut pipes;
        let mut running =
            Running::start(&mut command, self.private).map_err(unavailable(&format!("{} cannot be started", self.program.display())))?;
        running.limit(self.memory_limit).map_err(unavailable("no limits can be set"))?;
        let over = rustix::process::pidfd_open(running.family.pid, PidfdFlags::empty())
            .map_err(|error| unavailable("the program cannot be watched")(error.into()))?;
        pipes = Pipes::of(&mut running.child, stdin).map_err(unavailable("the program's pipes cannot be used"))?;
        loop {
            match pipes.poll(&over, deadline).map_err(unavailable("the program cannot be watched"))? {
                Event::Ended => break,
                Event::TimeIsUp => return Err(timed_out()),
                Event::Moved => {}
            }
            if pipes.stdout.flooded() || pipes.stderr.flooded() {
                let detail = format!("more than {} KiB of output; the program was killed", OUTPUT_LIMIT >> 10);
                return Err(Failure::new(FailureKind::BadAnswer, detail));
            }
        }
        // What it said before it ended is in the pipes; what it left behind may not add to it.
        let status = running.end().map_err(unavailable("the program's end cannot be told"))?;
        pipes.stdout.drain();
        pipes.stderr.drain();
        if pipes.stdout.flooded() || pipes.stderr.flooded() {
            return Err(Failure::new(FailureKind::BadAnswer, format!("more than {} KiB of output", OUTPUT_LIMIT >> 10)));
        }
        Ok(Ended { code: status.code(), signal: status.signal(), stdout: pipes.stdout.bytes, stderr: pipes.stderr.bytes })
    }
}

/// A program that runs, until it is dropped: then it is killed, with all that came of it.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) child: Child,
    family: Family,
    /// Its number may be another's from then on: nothing is killed any more.
    reaped: bool,
}

impl Running {
    /// Starts a program that has a process group of its own, and the private folder in its environment.
    pub(crate) fn start(command: &mut Command, private: &Path) -> io::Result<Running> {
        let (child, family) = registry::start(command, private)?;
        Ok(Running { child, family, reaped: false })
    }

    /// Bounds its memory, and has it leave no core: that would be a copy of the artifact.
    fn limit(&self, memory: Option<u64>) -> io::Result<()> {
        let set = |resource, limit| {
            let limit = Rlimit { current: Some(limit), maximum: Some(limit) };
            match rustix::process::prlimit(Some(self.family.pid), resource, limit) {
                // Over already, or this user has less to give: then less it is.
                Ok(_) | Err(rustix::io::Errno::SRCH | rustix::io::Errno::PERM) => Ok(()),
                Err(error) => Err(io::Error::from(error)),
            }
        };
        set(Resource::Core, 0)?;
        memory.map_or(Ok(()), |memory| set(Resource::As, memory))
    }

    /// Kills it with all that came of it, if any of it still runs, and reaps it.
    fn end(&mut self) -> io::Result<ExitStatus> {
        self.family.kill_all();
        self.reaped = true;
        registry::reap(&self.family);
        self.child.wait()
    }
}

/// A program that was started and not reaped yet, and all that came of it.
#[derive(Clone, Debug)]
pub(super) struct Family {
    pub(super) pid: Pid,
    /// In the environment of all of it.
    pub(super) private: PathBuf,
}

impl Family {
    /// Kills its group and all that came of it, and waits until they are gone.
    ///
    /// The program itself is not reaped yet: until it is, no other process group can have its number.
    pub(super) fn kill_all(&self) {
        let until = Instant::now() + GRACE;
        // What is killed starts nothing new, but may have done so before it was found: until none is.
        loop {
            let found = self.freeze(until);
            self.signal(Signal::KILL, found.values());
            for process in found.values() {
                let mut fds = [PollFd::new(process, PollFlags::IN)];
                let _ = rustix::event::poll(&mut fds, Some(&timespec(until.saturating_duration_since(Instant::now()))));
            }
            if found.is_empty() || Instant::now() >= until {
                return;
            }
        }
    }

    /// Stops all that came of it, and says what that is. A parent that is killed leaves no trace of its children; one that is
    /// stopped does, and starts no more of them.
    fn freeze(&self, until: Instant) -> BTreeMap<i32, OwnedFd> {
        let mut found = BTreeMap::new();
        loop {
            self.signal(Signal::STOP, found.values());
            let before = found.len();
            found.extend(self.left());
            if found.len() == before || Instant::now() >= until {
                return found;
            }
        }
    }

    /// Signals the program, its group, and others.
    fn signal<'b>(&self, signal: Signal, others: impl Iterator<Item = &'b OwnedFd>) {
        // Each may be gone by now, and the program may have left the group that bears its number.
        let _ = rustix::process::kill_process_group(self.pid, signal);
        let _ = rustix::process::kill_process(self.pid, signal);
        for process in others {
            let _ = rustix::process::pidfd_send_signal(process, signal);
        }
    }

    /// The processes that came of it and still run: its descendants, its group, and those that have the private folder in
    /// their environment, with the descendants of these.
    fn left(&self) -> BTreeMap<i32, OwnedFd> {
        let own = self.pid.as_raw_nonzero().get();
        let Some(Process { started, .. }) = Process::read(own) else { return BTreeMap::new() };
        let processes: Vec<Process> = processes().filter(|process| process.pid != own && process.started >= started).collect();
        let mut ours = BTreeSet::from([own]);
        ours.extend(processes.iter().filter(|process| process.group == own || self.marked(process.pid)).map(|process| process.pid));
        loop {
            let before = ours.len();
            ours.extend(processes.iter().filter(|process| ours.contains(&process.parent)).map(|process| process.pid).collect::<Vec<_>>());
            if ours.len() == before {
                break;
            }
        }
        let open = |process: &Process| {
            let pid = Pid::from_raw(process.pid)?;
            let descriptor = rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok()?;
            // The number may have gone to another process since: that one began at another time.
            (Process::read(process.pid)?.started == process.started).then_some((process.pid, descriptor))
        };
        processes.iter().filter(|process| process.alive && ours.contains(&process.pid)).filter_map(open).collect()
    }

    /// If the private folder is in its environment. A process that is about to become another program has none for a moment,
    /// and is asked again.
    fn marked(&self, pid: i32) -> bool {
        let mark = self.private.as_os_str().as_bytes();
        let until = Instant::now() + BECOMING;
        loop {
            let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return false };
            if environment.windows(mark.len()).any(|window| window == mark) {
                return true;
            }
            let is_none = || Process::read(pid).is_none_or(|process| !process.alive || process.without_environment);
            if !environment.is_empty() || is_none() || Instant::now() >= until {
                return false;
            }
            std::thread::yield_now();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.reaped {
            let _ = self.end();
        }
    }
}

/// A process as `/proc` shows it.
struct Process {
    pid: i32,
    parent: i32,
    group: i32,
    /// In ticks since the machine was started.
    started: u64,
    /// Neither dead nor waiting to be reaped.
    alive: bool,
    /// Its environment has a place in memory, and no bytes. In the midst of `execve` there is no such place yet.
    without_environment: bool,
}

impl Process {
    /// Reads `/proc/PID/stat`; the name in it may hold anything, but nothing after it holds a bracket.
    fn read(pid: i32) -> Option<Process> {
        let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
        let end = text.iter().rposition(|byte| *byte == b')')?;
        let fields: Vec<&str> = std::str::from_utf8(&text[end + 1..]).ok()?.split_ascii_whitespace().collect();
        Some(Process {
            pid,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
            alive: !matches!(*fields.first()?, "Z" | "X"),
            without_environment: fields.get(47) == fields.get(48) && fields.get(48) != Some(&"0"),
        })
    }
}

/// All processes that can be seen.
fn processes() -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(Process::read)
}

/// What polling came to.
enum Event {
    /// The program has ended.
    Ended,
    /// It has not, and the deadline has come.
    TimeIsUp,
    /// Bytes went one way or the other.
    Moved,
}

/// The program's three pipes, from our side.
struct Pipes<'a> {
    stdin: Option<(ChildStdin, &'a [u8])>,
    stdout: Output,
    stderr: Output,
}

impl<'a> Pipes<'a> {
    fn of(child: &mut Child, input: Option<&'a [u8]>) -> io::Result<Pipes<'a>> {
        let stdin = child.stdin.take().zip(input);
        if let Some((pipe, _)) = &stdin {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        let stdout = Output::of(child.stdout.take().expect("piped").into())?;
        let stderr = Output::of(child.stderr.take().expect("piped").into())?;
        Ok(Pipes { stdin, stdout, stderr })
    }

    /// Waits until something happens, and moves what bytes can be moved.
    fn poll(&mut self, over: &OwnedFd, deadline: Instant) -> io::Result<Event> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left == Duration::ZERO {
            return Ok(Event::TimeIsUp);
        }
        let mut fds = vec![PollFd::new(over, PollFlags::IN)];
        for output in [&self.stdout, &self.stderr] {
            fds.extend(output.pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        }
        fds.extend(self.stdin.as_ref().map(|(pipe, _)| PollFd::new(pipe, PollFlags::OUT)));
        match rustix::event::poll(&mut fds, Some(&timespec(left))) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ended = !fds[0].revents().is_empty();
        drop(fds);
        if ended {
            return Ok(Event::Ended);
        }
        self.stdout.read();
        self.stderr.read();
        self.feed();
        Ok(Event::Moved)
    }

    /// Sends input until the pipe is full, all is sent, or the program does not want more: it need not read it.
    fn feed(&mut self) {
        let Some((pipe, rest)) = &mut self.stdin else { return };
        while !rest.is_empty() {
            match pipe.write(rest) {
                Ok(written) => *rest = &rest[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.stdin = None;
    }
}

/// One of the program's outputs.
struct Output {
    /// None when it is at its end.
    pipe: Option<fs::File>,
    bytes: Vec<u8>,
}

impl Output {
    fn of(pipe: OwnedFd) -> io::Result<Output> {
        rustix::io::ioctl_fionbio(pipe.as_fd(), true)?;
        Ok(Output { pipe: Some(pipe.into()), bytes: Vec::new() })
    }

    fn flooded(&self) -> bool {
        self.bytes.len() > OUTPUT_LIMIT
    }

    /// Reads what is there, at most one buffer; true if there may be more.
    fn read(&mut self) -> bool {
        let Some(pipe) = &mut self.pipe else { return false };
        let mut buffer = [0; 16 << 10];
        match pipe.read(&mut buffer) {
            Ok(0) => self.pipe = None,
            Ok(read) => {
                self.bytes.extend_from_slice(&buffer[..read]);
                return true;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => return true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.pipe = None,
        }
        false
    }

    /// Reads what is left, up to the limit.
    fn drain(&mut self) {
        while !self.flooded() && self.read() {}
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX), tv_nsec: duration.subsec_nanos().into() }
}
