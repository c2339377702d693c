//! All backends of an engine over one artifact: archives opened, limits held, failures counted, nothing ever stuck.
//!
//! The caller's thread hands the artifact to a worker and waits no longer than the limits say. A worker whose backend does
//! not come back is given up, and another one goes on with the next backend: so one bad file costs a thread, never the
//! engine. What panics is caught. A backend with too many threads stuck in it is out of service until they come back.
//!
//! An archive is opened once, and every backend is asked about it and its members: it is malicious if anything in it is.
//! It is benign only if all of it was seen; otherwise there is no answer, and the reason says why.

use std::{
    any::Any,
    io,
    panic::{self, AssertUnwindSafe},
    path::Path,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};

use crate::{
    archive::{self, Member, Opened},
    artifact::{Artifact, Failure, FailureKind, Finding},
    backend::{self, Backend, BackendError},
    config::{ArchiveConfig, BackendConfig, BackendKind, EngineConfig, SIZE_LIMIT, TIMEOUT_MILLISECONDS},
};

/// Name of the threads that backends run in: what panics there is caught, and no error of the program.
pub const THREAD: &str = "scan";
/// Most threads that may be stuck in one backend before it is out of service.
const STUCK_LIMIT: usize = 16;
/// Time beyond a backend's deadline after which its thread is given up.
const GRACE: Duration = Duration::from_millis(250);
/// Longest that archives of one artifact are opened for.
const OPENING: Duration = Duration::from_millis(TIMEOUT_MILLISECONDS);
/// Stack of a worker, in bytes: parsers of nested formats need some.
const STACK: usize = 8 << 20;
/// Changes when the same backends would answer differently because of this module.
const FORMAT: u32 = 1;

/// An artifact to scan.
#[derive(Debug, Default)]
pub struct Subject {
    /// SHA-256 of the content.
    pub sha256: [u8; 32],
    /// File type as announced.
    pub file_type: Option<String>,
    /// Size in bytes as announced.
    pub size: Option<u64>,
    /// The content; without it only backends that need none are asked.
    pub content: Option<Vec<u8>>,
}

/// One backend's answer on one artifact, or why there is none.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer {
    /// What it said.
    pub outcome: Result<Finding, Failure>,
    /// How long it took.
    pub took: Duration,
}

impl Answer {
    /// An answer that nobody had to be asked for.
    pub fn failed(failure: Failure) -> Answer {
        Answer { outcome: Err(failure), took: Duration::ZERO }
    }
}

/// What all backends said of one artifact.
#[derive(Clone, PartialEq, Debug)]
pub struct Scan {
    /// One answer per backend, in order.
    pub answers: Vec<Answer>,
    /// How long opening archives took.
    pub opening: Duration,
}

impl Scan {
    /// How long everything took.
    pub fn took(&self) -> Duration {
        self.answers.iter().fold(self.opening, |sum, answer| sum.saturating_add(answer.took))
    }
}

/// The backends of an engine that look at artifacts, with their limits.
#[derive(Debug)]
pub struct Scanner {
    stations: Vec<Arc<Station>>,
    archives: Arc<ArchiveConfig>,
    /// For opening archives.
    opening: Arc<Gate>,
    idle: Mutex<Vec<Worker>>,
}

/// A backend and its limits.
#[derive(Debug)]
struct Station {
    backend: Arc<dyn Backend>,
    /// Of the backend, and of everything around it that an answer depends on.
    fingerprint: String,
    timeout: Duration,
    size_limit: u64,
    gate: Gate,
}

/// How many threads may be in a backend, and how many are.
#[derive(Debug)]
struct Gate {
    capacity: usize,
    state: Mutex<Inside>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inside {
    /// Threads in the backend.
    busy: usize,
    /// Of those, given up.
    stuck: usize,
}

impl Gate {
    fn new(capacity: usize) -> Gate {
        Gate { capacity, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Waits for a place; an error if so many threads are stuck that there may never be one.
    fn enter(&self) -> Result<(), Failure> {
        let mut inside = lock(&self.state);
        loop {
            if inside.stuck >= self.capacity.min(STUCK_LIMIT) {
                let detail = format!("out of service: {} scans never came back", inside.stuck);
                return Err(Failure::new(FailureKind::Unavailable, detail));
            }
            if inside.busy < self.capacity {
                inside.busy += 1;
                return Ok(());
            }
            inside = self.changed.wait(inside).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Gives up the thread that is in there for that step, unless it is just leaving.
    fn give_up(&self, hold: &Hold, step: usize) -> bool {
        let mut inside = lock(&self.state);
        let given_up = hold.give_up(step);
        inside.stuck += usize::from(given_up);
        self.changed.notify_all();
        given_up
    }

    fn leave(&self, given_up: bool) {
        let mut inside = lock(&self.state);
        inside.busy -= 1;
        inside.stuck -= usize::from(given_up);
        self.changed.notify_all();
    }
}

/// What is locked here is whole at any time, so a panic elsewhere does not matter.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who has an artifact: the worker that is in a step with it, or the caller who gave that worker up. Decided once for each
/// step, by its number: being in one is no excuse for having been late in another.
#[derive(Debug, Default)]
struct Hold(AtomicUsize);

impl Hold {
    const BETWEEN: usize = 0;
    const GIVEN_UP: usize = usize::MAX;

    /// Archives are step 0, backends count from 1.
    const fn inside(step: usize) -> usize {
        step + 1
    }

    fn go(&self, from: usize, to: usize) -> bool {
        self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The worker begins a step. Nobody gives up who is between two, so it can.
    fn enter(&self, step: usize) {
        self.0.store(Hold::inside(step), Ordering::Release);
    }

    /// The worker is done with it; false if it was given up meanwhile.
    fn leave(&self, step: usize) -> bool {
        self.go(Hold::inside(step), Hold::BETWEEN)
    }

    /// The caller gives the worker up; false if it is done with that step already.
    fn give_up(&self, step: usize) -> bool {
        self.go(Hold::inside(step), Hold::GIVEN_UP)
    }
}

/// The way to a thread that scans.
#[derive(Debug)]
struct Worker {
    tasks: Sender<Task>,
}

/// One artifact for the backends from `first` on.
struct Task {
    subject: Arc<Subject>,
    opened: Option<Arc<Opened>>,
    stations: Vec<Arc<Station>>,
    first: usize,
    archives: Arc<ArchiveConfig>,
    opening: Arc<Gate>,
    hold: Arc<Hold>,
    told: Sender<Told>,
}

/// What a worker tells on its way.
enum Told {
    /// It opens archives.
    Opening,
    /// It opened them.
    Opened(Arc<Opened>, Duration),
    /// It is in the next backend.
    Inside,
    /// It has an answer.
    Answered(Answer),
}

impl Scanner {
    /// The backends of `config` that are not recorded, with files relative to `folder`. All of them are made ready.
    ///
    /// # Errors
    ///
    /// If one cannot be set up.
    pub fn new(config: &EngineConfig, folder: &Path) -> Result<Scanner, BackendError> {
        let backends = backend::build_all(&config.backends, folder)?;
        let both = config.backends.iter().zip(backends).filter(|(config, _)| config.kind != BackendKind::Recorded);
        Ok(Scanner::of(both, &config.archives))
    }

    /// These backends, with the limits of their descriptions.
    pub fn of<'a>(backends: impl IntoIterator<Item = (&'a BackendConfig, Arc<dyn Backend>)>, archives: &ArchiveConfig) -> Scanner {
        let station = |(config, backend): (&BackendConfig, Arc<dyn Backend>)| {
            let size_limit = config.size_limit.unwrap_or(SIZE_LIMIT);
            Arc::new(Station {
                fingerprint: fingerprint(&*backend, size_limit, archives),
                timeout: Duration::from_millis(config.timeout_milliseconds.unwrap_or(TIMEOUT_MILLISECONDS)),
                size_limit,
                gate: Gate::new(config.concurrency.map_or(usize::MAX, |limit| limit as usize)),
                backend,
            })
        };
        let stations = backends.into_iter().map(station).collect();
        let opening = Arc::new(Gate::new(usize::MAX));
        Scanner { stations, archives: Arc::new(archives.clone()), opening, idle: Mutex::default() }
    }

    /// Number of backends.
    pub fn len(&self) -> usize {
        self.stations.len()
    }

    /// True if there is nobody to ask.
    pub fn is_empty(&self) -> bool {
        self.stations.is_empty()
    }

    /// The backends' names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.stations.iter().map(|station| station.backend.name())
    }

    /// For each backend, what identifies everything that its answers depend on: version, rules, limits, archives.
    pub fn fingerprints(&self) -> impl Iterator<Item = &str> {
        self.stations.iter().map(|station| station.fingerprint.as_str())
    }

    /// True if that backend is asked only about contents.
    pub fn needs_content(&self, backend: usize) -> bool {
        self.stations.get(backend).is_some_and(|station| station.backend.needs_content())
    }

    /// The largest content that any backend is shown, in bytes.
    pub fn size_limit(&self) -> u64 {
        self.stations.iter().map(|station| station.size_limit).max().unwrap_or(0)
    }

    /// Gets everything ready that takes its time, such as compiling rules.
    ///
    /// # Errors
    ///
    /// If a backend cannot be used.
    pub fn prepare(&self) -> Result<(), BackendError> {
        self.stations.iter().try_for_each(|station| station.backend.prepare())
    }

    /// All answers on `subject`. Returns in time, whatever the backends do.
    pub fn scan(&self, subject: &Arc<Subject>) -> Scan {
        self.scan_with(subject, &vec![true; self.stations.len()])
    }

    /// As [`Scanner::scan`], of the `wanted` backends only; the others' answers are not looked at and say so.
    pub fn scan_with(&self, subject: &Arc<Subject>, wanted: &[bool]) -> Scan {
        let wanted: Vec<usize> = (0..self.stations.len()).filter(|&index| wanted.get(index) == Some(&true)).collect();
        let stations: Vec<Arc<Station>> = wanted.iter().map(|&index| Arc::clone(&self.stations[index])).collect();
        let mut course = Course {
            subject,
            stations: &stations,
            archives: &self.archives,
            opening: &self.opening,
            opened: None,
            opening_took: Duration::ZERO,
            answers: Vec::new(),
        };
        while course.answers.len() < stations.len() {
            let idle = lock(&self.idle).pop();
            let worker = match idle.map_or_else(Worker::start, Ok) {
                Ok(worker) => worker,
                Err(error) => {
                    course.answers.push(Answer::failed(Failure::new(FailureKind::Unavailable, format!("no thread to scan in: {error}"))));
                    continue;
                }
            };
            if course.go_on(&worker) {
                lock(&self.idle).push(worker);
            }
        }
        let not_asked = || Answer::failed(Failure::new(FailureKind::NotMine, "not asked"));
        let mut answers: Vec<Answer> = std::iter::repeat_with(not_asked).take(self.stations.len()).collect();
        for (index, answer) in wanted.into_iter().zip(course.answers) {
            answers[index] = answer;
        }
        Scan { answers, opening: course.opening_took }
    }
}

/// Everything that an answer depends on, in one short text.
fn fingerprint(backend: &dyn Backend, size_limit: u64, archives: &ArchiveConfig) -> String {
    let mut settings = Sha256::new();
    settings.update(FORMAT.to_le_bytes());
    settings.update(size_limit.to_le_bytes());
    if !backend.opens_archives() {
        let ArchiveConfig { depth, members, bytes, ratio, passwords } = archives;
        settings.update(format!("{depth} {members} {bytes} {ratio} {passwords:?} {} {:?}", archive::FORMAT, archive::VERSIONS));
    }
    format!("{} within {}", backend.fingerprint(), hex::encode(&settings.finalize()[..6]))
}

/// One artifact on its way through the backends.
struct Course<'a> {
    subject: &'a Arc<Subject>,
    stations: &'a [Arc<Station>],
    archives: &'a Arc<ArchiveConfig>,
    opening: &'a Arc<Gate>,
    opened: Option<Arc<Opened>>,
    opening_took: Duration,
    answers: Vec<Answer>,
}

impl Course<'_> {
    /// Lets a worker go on where the last one was given up; false if this one had to be given up, too.
    fn go_on(&mut self, worker: &Worker) -> bool {
        let (told, tells) = mpsc::channel();
        let hold = Arc::new(Hold::default());
        let task = Task {
            subject: Arc::clone(self.subject),
            opened: self.opened.clone(),
            stations: self.stations.to_vec(),
            first: self.answers.len(),
            archives: Arc::clone(self.archives),
            opening: Arc::clone(self.opening),
            hold: Arc::clone(&hold),
            told,
        };
        if worker.tasks.send(task).is_err() {
            return false;
        }
        let mut inside: Option<(Instant, Duration)> = None;
        while self.answers.len() < self.stations.len() {
            let event = match inside {
                Some((since, limit)) => tells.recv_timeout((limit + GRACE).saturating_sub(since.elapsed())),
                None => tells.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match event {
                Ok(Told::Opening) => inside = Some((Instant::now(), OPENING)),
                Ok(Told::Opened(opened, took)) => {
                    (self.opened, self.opening_took, inside) = (Some(opened), took, None);
                }
                Ok(Told::Inside) => inside = Some((Instant::now(), self.stations[self.answers.len()].timeout)),
                Ok(Told::Answered(answer)) => {
                    self.answers.push(answer);
                    inside = None;
                }
                Err(RecvTimeoutError::Timeout) => {
                    if self.give_up(&hold, inside) {
                        return false;
                    }
                    // It is back: its answer is on the way.
                    inside = None;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.miss(Failure::new(FailureKind::Panicked, "its thread is gone"), inside);
                    return false;
                }
            }
        }
        true
    }

    /// The worker is not back in time; false if it is just coming back.
    fn give_up(&mut self, hold: &Hold, inside: Option<(Instant, Duration)>) -> bool {
        let given_up = match self.opened {
            Some(_) => self.stations[self.answers.len()].gate.give_up(hold, 1 + self.answers.len()),
            None => self.opening.give_up(hold, 0),
        };
        if given_up {
            let waited = inside.map_or(0.0, |(since, _)| since.elapsed().as_secs_f64());
            self.miss(Failure::new(FailureKind::TimedOut, format!("not back after {waited:.1} s")), inside);
        }
        given_up
    }

    /// There is no answer of what the worker was in.
    fn miss(&mut self, failure: Failure, inside: Option<(Instant, Duration)>) {
        let took = inside.map_or(Duration::ZERO, |(since, _)| since.elapsed());
        if self.opened.is_some() {
            self.answers.push(Answer { outcome: Err(failure), took });
        } else {
            let opened = Opened { members: Vec::new(), incomplete: Some(failure) };
            (self.opened, self.opening_took) = (Some(Arc::new(opened)), took);
        }
    }
}

impl Worker {
    fn start() -> io::Result<Worker> {
        let (tasks, queue) = mpsc::channel();
        let builder = thread::Builder::new().name(THREAD.to_owned()).stack_size(STACK);
        builder.spawn(move || queue.into_iter().all(Task::run))?;
        Ok(Worker { tasks })
    }
}

impl Task {
    /// Does all of it; false if somebody else goes on with it, so that this thread is not needed any more.
    fn run(self) -> bool {
        let opened = match &self.opened {
            Some(opened) => Arc::clone(opened),
            None => {
                let entered = self.opening.enter();
                self.hold.enter(0);
                let (_, begun) = (self.told.send(Told::Opening), Instant::now());
                let opened = match &entered {
                    Ok(()) => self.open(begun + OPENING),
                    Err(failure) => Opened { members: Vec::new(), incomplete: Some(failure.clone()) },
                };
                let opened = Arc::new(opened);
                let in_time = self.hold.leave(0);
                if entered.is_ok() {
                    self.opening.leave(!in_time);
                }
                if !in_time {
                    return false;
                }
                let _ = self.told.send(Told::Opened(Arc::clone(&opened), begun.elapsed()));
                opened
            }
        };
        for (index, station) in self.stations.iter().enumerate().skip(self.first) {
            if let Err(failure) = station.gate.enter() {
                let _ = self.told.send(Told::Answered(Answer::failed(failure)));
                continue;
            }
            self.hold.enter(1 + index);
            let (_, begun) = (self.told.send(Told::Inside), Instant::now());
            let deadline = begun + station.timeout;
            let asked = panic::catch_unwind(AssertUnwindSafe(|| station.ask(&self.subject, &opened, deadline)));
            let outcome = asked.unwrap_or_else(|cause| Err(Failure::new(FailureKind::Panicked, message(&*cause))));
            let in_time = self.hold.leave(1 + index);
            station.gate.leave(!in_time);
            if !in_time {
                return false;
            }
            let _ = self.told.send(Told::Answered(Answer { outcome, took: begun.elapsed() }));
        }
        true
    }

    fn open(&self, deadline: Instant) -> Opened {
        let Some(content) = self.subject.content.as_deref() else { return Opened::default() };
        if self.stations.iter().all(|station| station.backend.opens_archives()) {
            return Opened::default();
        }
        let opened = panic::catch_unwind(AssertUnwindSafe(|| archive::open(content, &self.archives, deadline)));
        opened.unwrap_or_else(|cause| Opened {
            members: Vec::new(),
            incomplete: Some(Failure::new(FailureKind::Incomplete, message(&*cause))),
        })
    }
}

/// What a panic said.
fn message(cause: &(dyn Any + Send)) -> String {
    let text = cause.downcast_ref::<&str>().copied().or_else(|| cause.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without words").to_owned()
}

impl Station {
    /// The backend's answer on an artifact and everything in it.
    fn ask(&self, subject: &Subject, opened: &Opened, deadline: Instant) -> Result<Finding, Failure> {
        let content = subject.content.as_deref();
        let whole = Artifact {
            sha256: subject.sha256,
            file_type: subject.file_type.as_deref(),
            size: content.map(|content| content.len() as u64).or(subject.size),
            content,
            recorded: &[],
        };
        let mut verdict = self.ask_one(&whole, deadline);
        // Who knows the whole by its hash, and is certain of it, need not look inside.
        let known = |finding: &Finding| !self.backend.needs_content() && finding.result.confidence == Some(1.0);
        if self.backend.opens_archives() || verdict.as_ref().is_ok_and(known) {
            return verdict;
        }
        // A list that does not know an archive may know all that is in it.
        let mut members = opened.members.iter();
        if !self.backend.needs_content()
            && verdict.as_ref().is_ok_and(|finding| finding.result.malicious.is_none())
            && let Some(first) = members.next()
        {
            verdict = self.ask_member(first, deadline);
        }
        for member in members {
            if is_malicious(&verdict) {
                return verdict;
            }
            verdict = together(verdict, self.ask_member(member, deadline));
        }
        match (&opened.incomplete, &verdict) {
            (Some(failure), Ok(finding)) if finding.result.malicious == Some(false) => Err(failure.clone()),
            _ => verdict,
        }
    }

    fn ask_member(&self, member: &Member, deadline: Instant) -> Result<Finding, Failure> {
        let size = Some(member.content.len() as u64);
        self.ask_one(&Artifact { sha256: member.sha256, file_type: None, size, content: Some(&member.content), recorded: &[] }, deadline)
    }

    fn ask_one(&self, artifact: &Artifact<'_>, deadline: Instant) -> Result<Finding, Failure> {
        if artifact.content.is_none() && self.backend.needs_content() {
            return Err(Failure::new(FailureKind::Missing, "there is no content to look at"));
        }
        if let Some(size) = artifact.size.filter(|&size| size > self.size_limit && self.backend.needs_content()) {
            return Err(Failure::new(FailureKind::TooLarge, format!("{size} bytes, and the limit is {}", self.size_limit)));
        }
        if Instant::now() >= deadline {
            return Err(Failure::new(FailureKind::TimedOut, "no time left for all of its members"));
        }
        self.backend.scan(artifact, deadline)
    }
}

fn is_malicious(verdict: &Result<Finding, Failure>) -> bool {
    verdict.as_ref().is_ok_and(|finding| finding.result.malicious == Some(true))
}

/// What is said of a whole of which two parts are known: malicious if one of them is; else nothing, if something kept one
/// of them from being looked at, or nobody knows it; else benign, as sure as the less sure of both. A part that the backend
/// does not deal with says nothing about the whole.
fn together(one: Result<Finding, Failure>, other: Result<Finding, Failure>) -> Result<Finding, Failure> {
    match (one, other) {
        (one, _) if is_malicious(&one) => one,
        (_, other) if is_malicious(&other) => other,
        (Err(failure), other) if failure.kind == FailureKind::NotMine => other,
        (one, Err(failure)) if failure.kind == FailureKind::NotMine => one,
        (Err(failure), _) | (_, Err(failure)) => Err(failure),
        (Ok(one), Ok(other)) => {
            let sure = |finding: &Finding| match finding.result.malicious {
                Some(_) => finding.result.confidence.unwrap_or(1.0),
                None => -1.0,
            };
            Ok(if sure(&other) < sure(&one) { other } else { one })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::ScanResult;

    /// A backend that does what the first byte of a content says.
    #[derive(Debug, Default)]
    struct Obedient {
        /// Who is told to hang waits for this.
        released: Mutex<bool>,
        release: Condvar,
    }

    impl Backend for Obedient {
        fn name(&self) -> &str {
            "obedient"
        }

        fn fingerprint(&self) -> &str {
            "obedient:1"
        }

        fn scan(&self, artifact: &Artifact<'_>, _: Instant) -> Result<Finding, Failure> {
            match artifact.content.and_then(|content| content.first()) {
                Some(b'm') => Ok(ScanResult::verdict(true).into()),
                Some(b'u') => Ok(ScanResult { malicious: Some(false), confidence: Some(0.6) }.into()),
                Some(b'0') => Err(Failure::new(FailureKind::NotMine, "never seen such a thing")),
                Some(b'?') => Ok(Finding::default()),
                Some(b'e') => Err(Failure::new(FailureKind::BadAnswer, "eh")),
                Some(b'p') => panic!("told to"),
                Some(b'h') => {
                    let mut released = lock(&self.released);
                    while !*released {
                        released = self.release.wait(released).unwrap();
                    }
                    Ok(ScanResult::verdict(true).into())
                }
                _ => Ok(ScanResult::verdict(false).into()),
            }
        }
    }

    /// For backends that answer, however busy the machine is.
    fn config() -> BackendConfig {
        BackendConfig { timeout_milliseconds: Some(600_000), size_limit: Some(1000), ..BackendConfig::of(BackendKind::Command) }
    }

    /// For one that hangs.
    fn hasty() -> BackendConfig {
        BackendConfig { timeout_milliseconds: Some(30), ..config() }
    }

    fn scanner(backends: &[(&BackendConfig, &Arc<Obedient>)]) -> Scanner {
        let backends = backends.iter().map(|&(config, backend)| (config, Arc::clone(backend) as Arc<dyn Backend>));
        Scanner::of(backends, &ArchiveConfig::default())
    }

    /// Whether these are the answers as soon as the machine has the time for them.
    fn come_to(scanner: &Scanner, content: &[u8], expected: &[Result<Option<bool>, FailureKind>]) -> bool {
        (0..10_000).any(|_| kinds(&scanner.scan(&subject(content))) == expected)
    }

    fn subject(content: &[u8]) -> Arc<Subject> {
        Arc::new(Subject { content: Some(content.to_vec()), ..Subject::default() })
    }

    fn kinds(scan: &Scan) -> Vec<Result<Option<bool>, FailureKind>> {
        scan.answers.iter().map(|answer| answer.outcome.as_ref().map(|finding| finding.result.malicious).map_err(|f| f.kind)).collect()
    }

    fn tar(members: &[&[u8]]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for member in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(member.len() as u64);
            builder.append_data(&mut header, "a part", *member).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn every_failure_has_its_kind_and_hurts_nobody_else() {
        let backend = Arc::new(Obedient::default());
        let patient = scanner(&[(&config(), &backend)]);
        for (content, expected) in [
            (&b"m"[..], Ok(Some(true))),
            (b"b", Ok(Some(false))),
            (b"p", Err(FailureKind::Panicked)),
            (b"e", Err(FailureKind::BadAnswer)),
            (b"0", Err(FailureKind::NotMine)),
            (&[b'm'; 1001], Err(FailureKind::TooLarge)),
            (b"m", Ok(Some(true))),
        ] {
            assert_eq!(kinds(&patient.scan(&subject(content))), [expected], "{:?}", content.first());
        }
        assert_eq!(kinds(&patient.scan(&Arc::new(Subject::default()))), [Err(FailureKind::Missing)]);
        let hasty = scanner(&[(&BackendConfig { concurrency: Some(2), ..hasty() }, &backend)]);
        assert_eq!(kinds(&hasty.scan(&subject(b"h"))), [Err(FailureKind::TimedOut)]);
        assert!(come_to(&hasty, b"m", &[Ok(Some(true))]));
    }

    #[test]
    fn who_is_done_with_one_step_is_not_given_up_for_it_in_the_next() {
        let hold = Hold::default();
        hold.enter(0);
        assert!(hold.leave(0));
        hold.enter(1);
        assert!(!hold.give_up(0), "it was in time, and its word is on the way");
        assert!(hold.give_up(1) && !hold.leave(1));
    }

    #[test]
    fn the_content_has_the_size_that_it_has() {
        let backend = Arc::new(Obedient::default());
        let scanner = scanner(&[(&config(), &backend)]);
        let verdict = |content: &[u8], size| {
            kinds(&scanner.scan(&Arc::new(Subject { content: Some(content.to_vec()), size: Some(size), ..Subject::default() })))[0]
        };
        assert_eq!(verdict(b"m", 1 << 40), Ok(Some(true)));
        assert_eq!(verdict(&[b'm'; 1001], 1), Err(FailureKind::TooLarge));
    }

    #[test]
    fn a_backend_that_hangs_is_out_of_service_until_it_comes_back() {
        let (stuck, sound) = (Arc::new(Obedient::default()), Arc::new(Obedient::default()));
        *lock(&sound.released) = true;
        let scanner = scanner(&[(&BackendConfig { concurrency: Some(2), ..hasty() }, &stuck), (&config(), &sound)]);
        for expected in [FailureKind::TimedOut, FailureKind::TimedOut, FailureKind::Unavailable] {
            assert_eq!(kinds(&scanner.scan(&subject(b"h"))), [Err(expected), Ok(Some(true))]);
        }
        *lock(&stuck.released) = true;
        stuck.release.notify_all();
        let gate = &scanner.stations[0].gate;
        let mut inside = lock(&gate.state);
        while inside.busy > 0 {
            inside = gate.changed.wait(inside).unwrap();
        }
        drop(inside);
        assert!(come_to(&scanner, b"h", &[Ok(Some(true)), Ok(Some(true))]));
    }

    #[test]
    fn an_archive_is_as_bad_as_the_worst_in_it_and_as_sure_as_the_least_sure() {
        let backend = Arc::new(Obedient::default());
        let scanner = scanner(&[(&BackendConfig { size_limit: Some(1 << 20), ..config() }, &backend)]);
        let verdict = |members: &[&[u8]]| kinds(&scanner.scan(&subject(&tar(members))))[0];
        assert_eq!(verdict(&[b"b", b"m", b"e"]), Ok(Some(true)));
        assert_eq!(verdict(&[b"b", b"e", b"m"]), Ok(Some(true)));
        assert_eq!(verdict(&[b"b", b"e"]), Err(FailureKind::BadAnswer));
        assert_eq!(verdict(&[b"b", b"0"]), Ok(Some(false)));
        assert_eq!(verdict(&[b"b", b"?", b"b"]), Ok(None), "what nobody knows is not benign");
        let sure = scanner.scan(&subject(&tar(&[b"b", b"u", b"b"]))).answers[0].outcome.clone().unwrap();
        assert_eq!(sure.result.confidence, Some(0.6));
    }

    #[test]
    fn what_was_not_seen_is_not_benign() {
        let backend = Arc::new(Obedient::default());
        let (config, archives) =
            (BackendConfig { size_limit: Some(1 << 20), ..config() }, ArchiveConfig { members: 2, ..ArchiveConfig::default() });
        let scanner = Scanner::of([(&config, backend as Arc<dyn Backend>)], &archives);
        let verdict = |members: &[&[u8]]| kinds(&scanner.scan(&subject(&tar(members))))[0];
        assert_eq!(verdict(&[b"b", b"b"]), Ok(Some(false)));
        assert_eq!(verdict(&[b"b", b"b", b"m"]), Err(FailureKind::Incomplete));
        assert_eq!(verdict(&[b"m", b"b", b"b"]), Ok(Some(true)));
    }

    #[test]
    fn a_fingerprint_tells_limits_apart() {
        let backend = Arc::new(Obedient::default());
        let of = |config: &BackendConfig, archives: &ArchiveConfig| fingerprint(&*backend, config.size_limit.unwrap(), archives);
        let (config, archives) = (config(), ArchiveConfig::default());
        assert_eq!(of(&config, &archives), of(&config.clone(), &archives.clone()));
        assert_ne!(of(&config, &archives), of(&BackendConfig { size_limit: Some(1), ..config.clone() }, &archives));
        assert_ne!(of(&config, &archives), of(&config, &ArchiveConfig { depth: 1, ..archives.clone() }));
    }
}
