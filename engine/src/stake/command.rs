//! `command`: a strategy in any language, as a program that answers lines of JSON with lines of JSON.
//!
//! `command?run=PROGRAM&args=WORDS&timeout_milliseconds=1000&start_milliseconds=10000`: `args` are words between spaces; `%XX`
//! stands for a byte, so `%20` is a space within a word and `%26` an `&`. A program without `/` is looked for in PATH; it runs
//! in the current folder, with this program's standard error and environment; only `TMPDIR` is a folder of its own, which is
//! removed with it.
//!
//! # Protocol
//!
//! One line each way, amounts as decimal wei in texts. It starts with the first decision:
//!
//! - `{"hello":{"version":1}}` is answered by `{"learns":false}`, or true to hear of settlements;
//! - `{"decide":{…}}`, with `block`, `bounty` (`guid`, `artifact_type`, `amount`, `artifacts`, `posted`, `expiration`),
//!   `verdicts` (per artifact null, or `probability`, `interval` and the filter's `factor`), `wallet` (`free`, `locked`,
//!   `open`), `limits` (`bid_minimum`, `bid_maximum` or null, `bids`), `fees` (`bounty`, `assertion`) and `assertions`
//!   (`author`, `mask`, `bids`), is answered by
//!   `{"guid":"…","stakes":[{"malicious":true,"bid":"500000000000000000"},null]}`: the bounty's `guid` again, so that no answer
//!   is taken for another's, and one entry per artifact;
//! - `{"settled":{…}}`, only to a program that learns, is not answered. It has `guid`, `block`, `amount`, `artifacts`, `fee`,
//!   `consensus` (a list of artifacts, or null without votes), `assertions` (null if nobody knows, else `author`, `mask`,
//!   `bids`, and `verdicts` or null), `own` and the own `verdicts` at the time.
//!
//! Answers are to be flushed, and nothing else may be said on standard output: standard error is there for that.
//!
//! # Trouble
//!
//! A bounty is left alone if there is no answer in time, or one of another length, with a bid that is no decimal wei or beyond
//! the limits, or beyond what is free (where there is one bid for all artifacts, that is the mean of the stakes): each reason
//! is said once on standard error, and how often in the end.
//!
//! To start and answer the hello may take `start_milliseconds`, a decision `timeout_milliseconds`. A program that takes
//! longer, ends, says what is not understood, answers with another `guid` or without being asked is killed, and started anew
//! with the next bounty, hello and all. If that happens with five bounties in a row, it is given up: every bounty is left alone
//! from then on, so that a broken program does not keep an engine from its reveals. With the strategy, or when the process
//! around it is [ended at once](crate::backend::command::abandon), it is killed with all that it started.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind, Read, Write},
    os::unix::process::CommandExt as _,
    process::{ChildStdin, ChildStdout, Command as Process, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use market::{nct::Nct, ruleset::Bids, verdict::ArtifactSet};
use rustix::event::{PollFd, PollFlags, Timespec};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Entry, Parameter, Stake, Staker};
use crate::{
    backend::command::{Private, Running},
    chance::Stream,
    distill::DistilledVerdict,
    market_view::MarketView,
    settled::SettledBounty,
};

/// Longest line that is taken for an answer.
const LINE_LIMIT: usize = 1 << 20;
/// Most of what is not understood that is shown, in bytes.
const EXCERPT_LIMIT: usize = 80;
/// Bounties in a row with which a program is lost before it is given up.
const PATIENCE: u32 = 5;

pub(super) const COMMAND: Entry = Entry {
    name: "command",
    meaning: "asks a program of your own, in any language: a line of JSON in, a line of JSON out",
    formula: "the `stakes` that the program answers along with the bounty's `guid`; nothing where the answer is late, malformed, \
              or beyond limits or wallet, and nothing any more after five bounties in a row without one",
    parameters: &[
        Parameter::new("run", "", "the program; without a slash it is looked for in PATH"),
        Parameter::new("args", " ", "its arguments, between spaces; %20 is a space within one, %26 an &"),
        Parameter::new("timeout_milliseconds", "1000", "how long it may take to decide on a bounty"),
        Parameter::new("start_milliseconds", "10000", "how long it may take to start and to answer the hello"),
    ],
    source: "your own; the protocol is in engine/src/stake/command.rs",
    make: |parameters| {
        let run = decoded(parameters.text("run"));
        let arguments = parameters.text("args").split(' ').filter(|word| !word.is_empty()).map(decoded).collect();
        if run.is_empty() {
            return Err(parameters.bad("run", "", "a program"));
        }
        let mut milliseconds = |key| parameters.count(key, 1..=600_000).map(|count| Duration::from_millis(count as u64));
        let (to_decide, to_start) = (milliseconds("timeout_milliseconds")?, milliseconds("start_milliseconds")?);
        let (program, learns, losses, troubles) = Default::default();
        Ok(Box::new(Command { run, arguments, to_decide, to_start, program, learns, losses, troubles }))
    },
};

/// `%XX` into bytes; what is no UTF-8 afterwards is replaced.
fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&first, after)) = rest.split_first() {
        let hexadecimal = || after.get(..2).and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        match (first, hexadecimal()) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[derive(Debug)]
struct Command {
    run: String,
    arguments: Vec<String>,
    to_decide: Duration,
    to_start: Duration,
    program: Option<Program>,
    /// What it said last.
    learns: bool,
    /// Bounties in a row with which it was lost.
    losses: u32,
    /// How often something went wrong, by what.
    troubles: BTreeMap<&'static str, u64>,
}

/// Why there is no answer.
struct Trouble {
    what: &'static str,
    detail: String,
}

fn trouble(what: &'static str, detail: impl ToString) -> Trouble {
    Trouble { what, detail: detail.to_string() }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        let what = match error.kind() {
            ErrorKind::TimedOut => "an answer that is late",
            ErrorKind::InvalidData => "an answer that is too long",
            _ => "the program is gone",
        };
        trouble(what, error)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hello {
    learns: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    guid: String,
    stakes: Vec<Option<Wanted>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    malicious: bool,
    bid: String,
}

impl Command {
    fn start(&mut self) -> Result<Program, Trouble> {
        let deadline = Instant::now() + self.to_start;
        let mut program = Program::start(&self.run, &self.arguments).map_err(|error| trouble("it cannot be started", error))?;
        self.learns = program.ask::<Hello>(&json!({"hello": {"version": 1}}), deadline)?.learns;
        Ok(program)
    }

    /// Asks the program, which is started if it does not run, and kept only if it answers: else what it says next would be
    /// taken for another answer.
    fn ask(&mut self, view: &MarketView<'_>, verdicts: &[Option<DistilledVerdict>]) -> Result<Vec<Option<Wanted>>, Trouble> {
        let mut program = match self.program.take() {
            Some(program) => program,
            None => self.start()?,
        };
        let Answer { guid, stakes } = program.ask(&json!({ "decide": decision(view, verdicts) }), Instant::now() + self.to_decide)?;
        if guid != view.bounty.guid.to_string() {
            return Err(trouble("an answer about another bounty", excerpt(guid.as_bytes())));
        }
        self.program = Some(program);
        Ok(stakes)
    }

    fn decide(&mut self, view: &MarketView<'_>, verdicts: &[Option<DistilledVerdict>]) -> Result<Vec<Option<Stake>>, Trouble> {
        let stakes = self.ask(view, verdicts)?;
        if stakes.len() != verdicts.len() {
            return Err(trouble("an answer of the wrong length", format!("{} stakes on {} artifacts", stakes.len(), verdicts.len())));
        }
        let (least, most) = (view.rules.bid_minimum, view.rules.bid_maximum);
        let stake = |Wanted { malicious, bid: text }| {
            let digits = text.len() <= 30 && text.bytes().all(|byte| byte.is_ascii_digit());
            let wei: Option<u128> = text.parse().ok().filter(|_| digits);
            let bid = Nct::wei(wei.ok_or_else(|| trouble("a bid that is no decimal wei", excerpt(text.as_bytes())))?);
            if bid < least || most.is_some_and(|most| bid > most) {
                return Err(trouble("a bid beyond the limits", bid));
            }
            Ok(Stake { malicious, bid })
        };
        let stakes = stakes.into_iter().map(|wanted| wanted.map(stake).transpose()).collect::<Result<Vec<_>, _>>()?;
        let bids = || stakes.iter().flatten().map(|stake| stake.bid);
        // Where there is one bid for all artifacts, the mean of the stakes is paid.
        let parts = if view.rules.bids == Bids::PerBounty { bids().count().max(1) } else { 1 };
        let price = bids().sum::<Nct>() / parts as u64;
        if price > view.wallet.free.saturating_sub(view.fees.assertion) {
            return Err(trouble("more than is free", price));
        }
        Ok(stakes)
    }

    /// Says what went wrong, and what comes of it, unless it was said before.
    fn complain(&mut self, Trouble { what, detail }: Trouble, hence: &str) {
        let times = self.troubles.entry(what).or_default();
        *times += 1;
        if *times == 1 {
            eprintln!("strategy `command`: {what} ({detail}); {hence}");
        }
    }
}

/// Bounties of this process that were left alone because a program had no usable answer.
static UNANSWERED: AtomicU64 = AtomicU64::new(0);

/// Number of bounties, since this process began, that were left alone because a program had no usable answer: for reports, which
/// count them among those that were left alone by choice.
pub fn unanswered() -> u64 {
    UNANSWERED.load(Ordering::Relaxed)
}

/// The beginning of something that is not understood.
fn excerpt(bytes: &[u8]) -> String {
    format!("`{}`", String::from_utf8_lossy(&bytes[..bytes.len().min(EXCERPT_LIMIT)]).trim().escape_debug())
}

fn wei(amount: Nct) -> String {
    amount.to_uint().to_string()
}

fn mask(set: ArtifactSet) -> Vec<usize> {
    (0..256).filter(|&artifact| set.contains(artifact)).collect()
}

fn bids(bids: &[Nct]) -> Vec<String> {
    bids.iter().copied().map(wei).collect()
}

fn decision(view: &MarketView<'_>, verdicts: &[Option<DistilledVerdict>]) -> Value {
    let bounty = view.bounty;
    let verdict = |(artifact, verdict): (usize, &Option<DistilledVerdict>)| {
        let DistilledVerdict { probability, interval } = (*verdict)?;
        Some(json!({"probability": probability, "interval": interval, "factor": view.factor(artifact)}))
    };
    let asserted: Vec<Value> =
        (view.assertions.iter()).map(|one| json!({"author": one.author.0, "mask": mask(one.mask), "bids": bids(&one.bids)})).collect();
    json!({
        "block": view.now.0,
        "bounty": {
            "guid": bounty.guid.to_string(), "artifact_type": bounty.artifact_type, "amount": wei(bounty.amount),
            "artifacts": bounty.artifacts, "posted": bounty.posted.0, "expiration": bounty.expiration.0,
        },
        "verdicts": verdicts.iter().enumerate().map(verdict).collect::<Vec<_>>(),
        "wallet": {"free": wei(view.wallet.free), "locked": wei(view.wallet.locked), "open": view.wallet.open},
        "limits": {"bid_minimum": wei(view.rules.bid_minimum), "bid_maximum": view.rules.bid_maximum.map(wei), "bids": view.rules.bids},
        "fees": {"bounty": wei(view.fees.bounty), "assertion": wei(view.fees.assertion)},
        "assertions": asserted,
    })
}

fn lesson(settled: &SettledBounty) -> Value {
    let assertion = |one: &crate::settled::SettledAssertion| json!({"author": one.author.0, "mask": mask(one.mask), "bids": bids(&one.bids), "verdicts": one.verdicts.map(mask)});
    let verdict = |verdict: &Option<DistilledVerdict>| {
        verdict.map(|DistilledVerdict { probability, interval }| json!({"probability": probability, "interval": interval}))
    };
    json!({
        "guid": settled.guid.to_string(), "block": settled.block.0, "amount": wei(settled.amount), "artifacts": settled.artifacts,
        "fee": wei(settled.fee), "consensus": settled.consensus.map(mask), "own": settled.own,
        "assertions": settled.assertions.as_ref().map(|all| all.iter().map(assertion).collect::<Vec<_>>()),
        "verdicts": settled.verdicts.iter().map(verdict).collect::<Vec<_>>(),
    })
}

impl Staker for Command {
    fn stake(&mut self, view: &MarketView<'_>, verdicts: &[Option<DistilledVerdict>], _: &mut Stream, stakes: &mut Vec<Option<Stake>>) {
        let all = stakes.len() + verdicts.len();
        if self.losses == PATIENCE {
            UNANSWERED.fetch_add(1, Ordering::Relaxed);
        } else {
            match self.decide(view, verdicts) {
                Ok(answer) => stakes.extend(answer),
                Err(trouble) => {
                    UNANSWERED.fetch_add(1, Ordering::Relaxed);
                    self.complain(trouble, "the bounty is left alone");
                }
            }
            self.losses = if self.program.is_some() { 0 } else { self.losses + 1 };
            if self.losses == PATIENCE {
                self.learns = false;
                eprintln!(
                    "strategy `command`: given up after {PATIENCE} bounties in a row without an answer; all are left alone from now on"
                );
            }
        }
        stakes.resize(all, None);
    }

    fn learns(&self) -> bool {
        self.learns
    }

    fn settled(&mut self, settled: &SettledBounty) {
        // A strategy around this one may learn, though the program does not.
        if !self.learns {
            return;
        }
        let deadline = Instant::now() + self.to_decide;
        if let Some(program) = &mut self.program
            && let Err(error) = program.send(&json!({ "settled": lesson(settled) }), deadline)
        {
            self.program = None;
            self.complain(trouble("a settlement that it does not read", error), "it is started anew with the next bounty");
        }
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        for (what, times) in self.troubles.iter().filter(|(_, times)| **times > 1) {
            eprintln!("strategy `command`: {what}, {times} times");
        }
    }
}

/// The program while it runs.
#[derive(Debug)]
struct Program {
    // Dropped first: with its pipes closed it could end, and its orphans could not be told any more.
    _running: Running,
    stdin: ChildStdin,
    stdout: ChildStdout,
    /// Read, and not answered with.
    read: Vec<u8>,
    _private: Private,
}

impl Program {
    fn start(run: &str, arguments: &[String]) -> io::Result<Program> {
        let private = Private::new()?;
        let mut process = Process::new(run);
        process.args(arguments).env("TMPDIR", private.path()).process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = Running::start(&mut process, private.path())?;
        let (stdin, stdout) = (running.child.stdin.take().expect("piped"), running.child.stdout.take().expect("piped"));
        rustix::io::ioctl_fionbio(&stdin, true)?;
        rustix::io::ioctl_fionbio(&stdout, true)?;
        Ok(Program { _running: running, stdin, stdout, read: Vec::new(), _private: private })
    }

    fn ask<T: for<'de> Deserialize<'de>>(&mut self, question: &Value, deadline: Instant) -> Result<T, Trouble> {
        if !self.read.is_empty() || self.hear()? {
            return Err(trouble("something that nobody asked for", excerpt(&self.read)));
        }
        self.send(question, deadline)?;
        let line = self.line(deadline)?;
        serde_json::from_slice(&line).map_err(|error| trouble("an answer that is not understood", format!("{}: {error}", excerpt(&line))))
    }

    fn send(&mut self, what: &Value, deadline: Instant) -> io::Result<()> {
        let text = format!("{what}\n");
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            match self.stdin.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => wait(PollFd::new(&self.stdin, PollFlags::OUT), deadline)?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn line(&mut self, deadline: Instant) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = self.read.iter().position(|&byte| byte == b'\n') {
                let rest = self.read.split_off(end + 1);
                return Ok(std::mem::replace(&mut self.read, rest));
            }
            if self.read.len() > LINE_LIMIT {
                return Err(io::Error::new(ErrorKind::InvalidData, format!("more than {LINE_LIMIT} bytes")));
            }
            if !self.hear()? {
                wait(PollFd::new(&self.stdout, PollFlags::IN), deadline)?;
            }
        }
    }

    /// Reads what it has said by now, at most a buffer of it; false if that is nothing.
    fn hear(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 8 << 10];
        loop {
            match self.stdout.read(&mut buffer) {
                Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "it closed its output")),
                Ok(read) => {
                    self.read.extend_from_slice(&buffer[..read]);
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Waits until something can be read or written, or it is too late.
fn wait(pipe: PollFd<'_>, deadline: Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::Error::new(ErrorKind::TimedOut, "the time is up"));
    }
    let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
    match rustix::event::poll(&mut [pipe], Some(&left)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::{
        chance::Key,
        market_view::{OpenBounty, Wallet, tests::view},
        settled::tests::settled,
        stake::build,
    };
    use market::ruleset::{BOUNTY_REGISTRY_1_0_0, BOUNTY_REGISTRY_1_6_1 as RULES, RuleSet};

    /// That shell script, with a function that answers the question in `$line` with some `stakes`.
    fn specification(script: &str, more: &str) -> String {
        let answer = r#"answer() { guid=${line#*\"guid\":\"}; echo "{\"guid\":\"${guid%%\"*}\",\"stakes\":$1}"; }"#;
        let word: String = format!("{answer}\n{script}").bytes().map(|byte| format!("%{byte:02x}")).collect();
        format!("command?run=sh&args=-c {word}&{more}")
    }

    fn program(script: &str) -> Box<dyn Staker> {
        build(&specification(script, "timeout_milliseconds=60000&start_milliseconds=60000")).unwrap()
    }

    /// A program that answers the hello, and every line after it with a shell command.
    fn answering(learns: bool, command: &str) -> String {
        format!("read hello; echo '{{\"learns\":{learns}}}'; while read line; do {command}; done")
    }

    /// A stake of half an NCT, as `answer` takes it.
    const HALF: &str = r#"'[{"malicious":false,"bid":"500000000000000000"}]'"#;

    /// What it puts on a bounty of one artifact, in wei.
    fn staked(staker: &mut dyn Staker) -> Option<u128> {
        let mut view = view(&RULES);
        view.wallet = Wallet { free: Nct::whole(1), ..view.wallet };
        let (verdict, mut stakes) = (DistilledVerdict { probability: 0.8, interval: (0.7, 0.9) }, Vec::new());
        staker.stake(&view, &[Some(verdict)], &mut Key::root(1).stream(), &mut stakes);
        assert_eq!(stakes.len(), 1);
        stakes[0].map(|stake| stake.bid.to_wei().unwrap())
    }

    /// For each of so many bounties, if it puts the half NCT on it.
    fn asked(staker: &mut dyn Staker, times: usize) -> Vec<bool> {
        (0..times).map(|_| staked(staker).inspect(|&bid| assert_eq!(bid, 500_000_000_000_000_000)).is_some()).collect()
    }

    fn lines(file: &Path) -> Vec<String> {
        std::fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_program_decides_learns_and_is_gone_with_its_strategy() {
        let folder = tempfile::tempdir().unwrap();
        let (diary, place) = (folder.path().join("diary"), folder.path().join("place"));
        let notes = format!("echo \"$line\" >> {}; case \"$line\" in *decide*) answer {HALF};; esac", diary.display());
        let script = format!("echo $$ > {0}; echo $TMPDIR >> {0}; {1}", place.display(), answering(true, &notes));
        let mut staker = program(&script);
        assert!(!staker.learns());
        assert_eq!(staked(&mut *staker), Some(500_000_000_000_000_000));
        assert!(staker.learns());
        staker.settled(&settled(&RULES, 9, true, &[(0.5, Some(true)), (0.25, None)]));
        assert_eq!(staked(&mut *staker), Some(500_000_000_000_000_000));
        let heard: Vec<Value> = lines(&diary).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((heard.len(), &heard[0]["decide"]["wallet"]["free"]), (3, &json!("1000000000000000000")));
        assert_eq!(
            heard[1]["settled"]["assertions"][1],
            json!({"author": 7, "mask": [0], "bids": ["250000000000000000"], "verdicts": null})
        );
        let place = lines(&place);
        let alive = || [Path::new("/proc").join(&place[0]), PathBuf::from(&place[1])].map(|path| path.exists());
        assert_eq!(alive(), [true, true]);
        drop(staker);
        assert_eq!(alive(), [false, false]);
    }

    #[test]
    fn what_is_no_answer_stakes_nothing_and_ends_nothing() {
        for script in [
            answering(false, "echo '{}'"),
            answering(false, "echo nonsense"),
            answering(false, &format!("answer {HALF} | tr 0-9 a-j")),
            answering(false, "answer []"),
            answering(false, r#"answer '[{"malicious":true,"bid":"0.5"}]'"#),
            answering(false, r#"answer '[{"malicious":true,"bid":"1000000000000000000"}]'"#),
            answering(false, r#"answer '[{"malicious":true,"bid":"5"}]'"#),
            format!("echo I am ready; {}", answering(false, &format!("answer {HALF}"))),
            "exit 3".to_owned(),
            "yes | tr -d '\\n'".to_owned(),
        ] {
            assert_eq!(asked(&mut *program(&script), 2), [false, false], "{script}");
        }
        assert_eq!(staked(&mut *build("command?run=no-such-program-anywhere").unwrap()), None);
        assert!(build("command").unwrap_err().to_string().contains("is not a program"));
    }

    #[test]
    fn start_and_decisions_have_deadlines_of_their_own() {
        // With the other's, each would take ten minutes.
        let late = |script: &str, more: &str| assert_eq!(staked(&mut *build(&specification(script, more)).unwrap()), None, "{more}");
        late("read hello; read never", "timeout_milliseconds=600000&start_milliseconds=50");
        late(&answering(false, "read never"), "timeout_milliseconds=50&start_milliseconds=600000");
    }

    #[test]
    fn no_answer_is_taken_for_anothers() {
        // A line too many after each answer, though it is an answer; the program starts anew with every other bounty.
        let twice = answering(false, &format!("answers=$(answer {HALF}; answer {HALF}); echo \"$answers\""));
        assert_eq!(asked(&mut *program(&twice), 4), [true, false, true, false]);
        // The answer to another bounty.
        let other = answering(false, r#"echo '{"guid":"00000000-0000-0000-0000-000000000008","stakes":[null]}'"#);
        let mut staker = program(&other);
        assert_eq!(staked(&mut *staker), None);
        // A settlement is not answered.
        let mut polite = program(&answering(true, &format!("case \"$line\" in *decide*) answer {HALF};; *) echo thanks;; esac")));
        assert_eq!(staked(&mut *polite), Some(500_000_000_000_000_000));
        polite.settled(&settled(&RULES, 9, true, &[]));
        assert_eq!(asked(&mut *polite, 2), [false, true]);
    }

    #[test]
    fn who_does_not_learn_hears_of_no_settlement_whatever_is_around_it() {
        let folder = tempfile::tempdir().unwrap();
        let diary = folder.path().join("diary");
        let script = answering(false, &format!("echo \"$line\" >> {}; answer {HALF}", diary.display()));
        let mut staker = build(&format!("vol-target?base={}", specification(&script, "timeout_milliseconds=60000"))).unwrap();
        assert!(staker.learns());
        for _ in 0..3 {
            assert_eq!(staked(&mut *staker), Some(500_000_000_000_000_000));
            staker.settled(&settled(&RULES, 9, true, &[]));
        }
        assert_eq!(lines(&diary).iter().map(|line| line.contains("decide")).collect::<Vec<_>>(), [true; 3]);
    }

    #[test]
    fn a_program_is_given_up_after_five_losses_in_a_row() {
        let folder = tempfile::tempdir().unwrap();
        let starts = folder.path().join("starts");
        let start = format!("echo >> {0}; starts=$(wc -l < {0});", starts.display());
        let mut broken = program(&format!("{start} exit 3"));
        assert_eq!(asked(&mut *broken, 8), [false; 8]);
        assert_eq!(lines(&starts).len(), 5);
        // One that answers now and then.
        std::fs::write(&starts, "").unwrap();
        let once = answering(false, &format!("answer {HALF}; exit"));
        let mut moody = program(&format!("{start} case $starts in 5|9) ;; *) exit 3;; esac; {once}"));
        let answers: Vec<usize> =
            asked(&mut *moody, 12).iter().enumerate().filter(|(_, answer)| **answer).map(|(place, _)| place).collect();
        assert_eq!(answers, [4, 9]);
        // One that is understood, though nothing can be staked on what it says, goes on.
        let told = folder.path().join("told");
        let mut poor = program(&answering(false, &format!("echo >> {}; answer []", told.display())));
        assert_eq!((asked(&mut *poor, 8), lines(&told).len()), (vec![false; 8], 8));
    }

    #[test]
    fn where_there_is_one_bid_per_bounty_the_mean_has_to_be_free() {
        let bounty = OpenBounty { artifacts: 3, ..view(&RULES).bounty.clone() };
        let stakes = |rules: &RuleSet, bids: [u128; 2], free: u128| {
            let bids = bids.map(|bid| format!(r#"{{"malicious":true,"bid":"{}"}}"#, bid * 1_000_000_000_000_000));
            let mut staker = program(&answering(false, &format!("answer '[{},null,{}]'", bids[0], bids[1])));
            let mut view = MarketView { bounty: &bounty, ..view(rules) };
            view.wallet.free = Nct::wei(free * 1_000_000_000_000_000).checked_add(view.fees.assertion).unwrap();
            let mut stakes = Vec::new();
            staker.stake(&view, &[None; 3], &mut Key::root(1).stream(), &mut stakes);
            stakes.iter().flatten().count()
        };
        for bids in [[100, 900], [900, 100]] {
            for (rules, price) in [(&BOUNTY_REGISTRY_1_0_0, 500), (&RULES, 1000)] {
                assert_eq!((stakes(rules, bids, price), stakes(rules, bids, price - 1)), (2, 0), "{bids:?} in {}", rules.name);
            }
        }
    }
}
