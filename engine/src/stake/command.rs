//! `command`: a strategy in any language, as a program that answers lines of JSON with lines of JSON.
//!
//! `command?run=PROGRAM&args=WORDS&timeout_milliseconds=1000`: `args` are words between spaces; `%XX` stands for a byte, so
//! `%20` is a space within a word and `%26` an `&`. A program without `/` is looked for in PATH; it runs in the current
//! folder, with this program's environment and standard error.
//!
//! # Protocol
//!
//! One line each way, amounts as decimal wei in texts. It starts with the first decision:
//!
//! - `{"hello":{"version":1}}` is answered by `{"learns":false}`, or true to hear of settlements;
//! - `{"decide":{…}}`, with `block`, `bounty` (`guid`, `artifact_type`, `amount`, `artifacts`, `posted`, `expiration`),
//!   `verdicts` (per artifact null, or `probability`, `interval` and the filter's `factor`), `wallet` (`free`, `locked`,
//!   `open`), `limits` (`bid_minimum`, `bid_maximum` or null, `bids`), `fees` (`bounty`, `assertion`) and `assertions`
//!   (`author`, `mask`, `bids`), is answered by `{"stakes":[{"malicious":true,"bid":"500000000000000000"},null]}`, one entry
//!   per artifact;
//! - `{"settled":{…}}` is not answered. It has `guid`, `block`, `amount`, `artifacts`, `fee`, `consensus` (a list of
//!   artifacts, or null without votes), `assertions` (null if nobody knows, else `author`, `mask`, `bids`, and `verdicts` or
//!   null), `own` and the own `verdicts` at the time.
//!
//! A bounty is left alone if the answer is late, no such JSON, of another length, beyond the limits or beyond what is free:
//! each reason is said once on standard error, and how often in the end. A program that is late or dead is started anew with
//! the next bounty, hello and all. It is killed when the strategy is dropped.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind, Read, Write},
    os::unix::process::CommandExt as _,
    process::{Child, ChildStdin, ChildStdout, Command as Process, Stdio},
    time::{Duration, Instant},
};

use market::{nct::Nct, ruleset::Bids, verdict::ArtifactSet};
use rustix::{
    event::{PollFd, PollFlags, Timespec},
    process::Pid,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Entry, Parameter, Stake, Staker};
use crate::{chance::Stream, distill::DistilledVerdict, market_view::MarketView, settled::SettledBounty};

/// Longest line that is taken for an answer.
const LINE_LIMIT: usize = 1 << 20;

pub(super) const COMMAND: Entry = Entry {
    name: "command",
    meaning: "asks a program of your own, in any language: a line of JSON in, a line of JSON out",
    formula: "what the program answers; nothing where the answer is late, malformed, or beyond limits or wallet",
    parameters: &[
        Parameter::new("run", "", "the program; without a slash it is looked for in PATH"),
        Parameter::new("args", " ", "its arguments, between spaces; %20 is a space within one, %26 an &"),
        Parameter::new("timeout_milliseconds", "1000", "how long it may take to answer"),
    ],
    source: "your own; the protocol is in engine/src/stake/command.rs",
    make: |parameters| {
        let run = decoded(parameters.text("run"));
        let arguments = parameters.text("args").split(' ').filter(|word| !word.is_empty()).map(decoded).collect();
        if run.is_empty() {
            return Err(parameters.bad("run", "", "a program"));
        }
        let timeout = Duration::from_millis(parameters.count("timeout_milliseconds", 1..=600_000)? as u64);
        Ok(Box::new(Command { run, arguments, timeout, program: None, learns: false, troubles: BTreeMap::new() }))
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
    timeout: Duration,
    program: Option<Program>,
    /// What it said last.
    learns: bool,
    /// Bounties that were left alone for want of an answer, by reason.
    troubles: BTreeMap<&'static str, u64>,
}

/// Why there is no answer.
struct Trouble {
    what: &'static str,
    detail: String,
    /// What it says next would be taken for another answer.
    lost: bool,
}

fn trouble(what: &'static str, lost: bool) -> impl Fn(io::Error) -> Trouble {
    move |error| Trouble { what, detail: error.to_string(), lost }
}

fn wrong(what: &'static str, detail: impl Into<String>) -> Trouble {
    Trouble { what, detail: detail.into(), lost: false }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hello {
    learns: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    stakes: Vec<Option<Wanted>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    malicious: bool,
    bid: String,
}

impl Command {
    /// Asks the program, which is started if it does not run.
    fn ask<T: for<'de> Deserialize<'de>>(&mut self, question: &Value) -> Result<T, Trouble> {
        let deadline = Instant::now() + self.timeout;
        let program = match &mut self.program {
            Some(program) => program,
            None => {
                let program = Program::start(&self.run, &self.arguments).map_err(trouble("it cannot be started", true))?;
                let program = self.program.insert(program);
                self.learns = program.ask::<Hello>(&json!({"hello": {"version": 1}}), deadline)?.learns;
                program
            }
        };
        program.ask(question, deadline)
    }

    fn decide(&mut self, view: &MarketView<'_>, verdicts: &[Option<DistilledVerdict>]) -> Result<Vec<Option<Stake>>, Trouble> {
        let Answer { stakes } = self.ask(&json!({ "decide": decision(view, verdicts) }))?;
        if stakes.len() != verdicts.len() {
            return Err(wrong("an answer of the wrong length", format!("{} stakes on {} artifacts", stakes.len(), verdicts.len())));
        }
        let (least, most) = (view.rules.bid_minimum, view.rules.bid_maximum);
        let (mut left, mut taken) = (view.wallet.free.saturating_sub(view.fees.assertion), Vec::with_capacity(stakes.len()));
        for wanted in stakes {
            let Some(Wanted { malicious, bid: text }) = wanted else {
                taken.push(None);
                continue;
            };
            let digits = text.len() <= 30 && text.bytes().all(|byte| byte.is_ascii_digit());
            let wei: u128 = text
                .parse()
                .ok()
                .filter(|_| digits)
                .ok_or_else(|| wrong("a bid that is no decimal wei", text.escape_debug().to_string()))?;
            let bid = Nct::wei(wei);
            if bid < least || most.is_some_and(|most| bid > most) {
                return Err(wrong("a bid beyond the limits", bid.to_string()));
            }
            // Where there is one bid for all artifacts, the mean of the stakes is paid.
            let paid = if view.rules.bids == Bids::PerBounty && taken.iter().any(Option::is_some) { Nct::ZERO } else { bid };
            left = left.checked_sub(paid).ok_or_else(|| wrong("more than is free", bid.to_string()))?;
            taken.push(Some(Stake { malicious, bid }));
        }
        Ok(taken)
    }
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
        match self.decide(view, verdicts) {
            Ok(answer) => stakes.extend(answer),
            Err(Trouble { what, detail, lost }) => {
                if lost {
                    self.program = None;
                }
                let times = self.troubles.entry(what).or_default();
                *times += 1;
                if *times == 1 {
                    eprintln!("strategy `command`: {what} ({detail}); the bounty is left alone");
                }
                stakes.resize(stakes.len() + verdicts.len(), None);
            }
        }
    }

    fn learns(&self) -> bool {
        self.learns
    }

    fn settled(&mut self, settled: &SettledBounty) {
        let deadline = Instant::now() + self.timeout;
        if let Some(program) = &mut self.program
            && program.send(&json!({ "settled": lesson(settled) }), deadline).is_err()
        {
            // It is started anew with the next bounty, and that is when somebody hears of it.
            self.program = None;
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
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    /// Read, and not answered with.
    read: Vec<u8>,
}

impl Program {
    fn start(run: &str, arguments: &[String]) -> io::Result<Program> {
        let mut child = Process::new(run).args(arguments).process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (stdin, stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let program = Program { child, stdin, stdout, read: Vec::new() };
        rustix::io::ioctl_fionbio(&program.stdin, true)?;
        rustix::io::ioctl_fionbio(&program.stdout, true)?;
        Ok(program)
    }

    fn ask<T: for<'de> Deserialize<'de>>(&mut self, question: &Value, deadline: Instant) -> Result<T, Trouble> {
        let late = |error: io::Error| match error.kind() {
            ErrorKind::TimedOut => trouble("an answer that is late", true)(error),
            ErrorKind::InvalidData => trouble("an answer that is too long", true)(error),
            _ => trouble("the program is gone", true)(error),
        };
        self.send(question, deadline).map_err(late)?;
        let line = self.line(deadline).map_err(late)?;
        serde_json::from_slice(&line).map_err(|error| wrong("an answer that is not understood", error.to_string()))
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
            let mut buffer = [0; 8 << 10];
            match self.stdout.read(&mut buffer) {
                Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "it closed its output")),
                Ok(read) => self.read.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => wait(PollFd::new(&self.stdout, PollFlags::IN), deadline)?,
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

impl Drop for Program {
    fn drop(&mut self) {
        // Its group has its number until it is waited for.
        let _ = rustix::process::kill_process_group(Pid::from_child(&self.child), rustix::process::Signal::KILL);
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chance::Key,
        market_view::{Wallet, tests::view},
        settled::tests::settled,
        stake::build,
    };
    use market::ruleset::BOUNTY_REGISTRY_1_6_1 as RULES;

    fn specification(script: &str) -> String {
        let word: String = script.bytes().map(|byte| format!("%{byte:02x}")).collect();
        format!("command?run=sh&args=-c {word}&timeout_milliseconds=400")
    }

    /// What it puts on a bounty, in wei.
    fn staked(staker: &mut dyn Staker) -> Option<u128> {
        let mut view = view(&RULES);
        view.wallet = Wallet { free: Nct::whole(1), ..view.wallet };
        let (verdict, mut stakes) = (DistilledVerdict { probability: 0.8, interval: (0.7, 0.9) }, Vec::new());
        staker.stake(&view, &[Some(verdict)], &mut Key::root(1).stream(), &mut stakes);
        assert_eq!(stakes.len(), 1);
        stakes[0].map(|stake| stake.bid.to_wei().unwrap())
    }

    #[test]
    fn a_program_decides_learns_and_is_gone_with_its_strategy() {
        let folder = tempfile::tempdir().unwrap();
        let diary = folder.path().join("diary");
        let script = format!(
            r#"echo $$ > {0}.pid; read hello; echo '{{"learns":true}}'; while read line; do echo "$line" >> {0}
            case "$line" in *decide*) echo '{{"stakes":[{{"malicious":false,"bid":"500000000000000000"}}]}}';; esac; done"#,
            diary.display()
        );
        let mut staker = build(&specification(&script)).unwrap();
        assert!(!staker.learns());
        assert_eq!(staked(&mut *staker), Some(500_000_000_000_000_000));
        assert!(staker.learns());
        staker.settled(&settled(&RULES, 9, true, &[(0.5, Some(true)), (0.25, None)]));
        assert_eq!(staked(&mut *staker), Some(500_000_000_000_000_000));
        let lines: Vec<Value> = std::fs::read_to_string(&diary).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((lines.len(), &lines[0]["decide"]["wallet"]["free"]), (3, &json!("1000000000000000000")));
        assert_eq!(
            lines[1]["settled"]["assertions"][1],
            json!({"author": 7, "mask": [0], "bids": ["250000000000000000"], "verdicts": null})
        );
        let pid = std::fs::read_to_string(format!("{}.pid", diary.display())).unwrap();
        drop(staker);
        assert!(!std::path::Path::new(&format!("/proc/{}", pid.trim())).exists());
    }

    #[test]
    fn what_is_no_answer_stakes_nothing_and_ends_nothing() {
        let answering = |answer: &str| format!("read hello; echo '{{\"learns\":false}}'; while read line; do echo '{answer}'; done");
        for script in [
            answering("{}"),
            answering("nonsense"),
            answering(r#"{"stakes":[]}"#),
            answering(r#"{"stakes":[{"malicious":true,"bid":"0.5"}]}"#),
            answering(r#"{"stakes":[{"malicious":true,"bid":"1000000000000000000"}]}"#),
            answering(r#"{"stakes":[{"malicious":true,"bid":"5"}]}"#),
            "exit 3".to_owned(),
            "read hello; read never; read never".to_owned(),
            "yes | tr -d '\\n'".to_owned(),
        ] {
            let mut staker = build(&specification(&script)).unwrap();
            assert_eq!((staked(&mut *staker), staked(&mut *staker)), (None, None), "{script}");
        }
        assert_eq!(staked(&mut *build("command?run=no-such-program-anywhere").unwrap()), None);
        assert!(build("command").unwrap_err().to_string().contains("is not a program"));
    }
}
