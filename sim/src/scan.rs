//! A corpus through the engine's backends: what is in the cache is not asked again, the rest on all cores.
//!
//! Contents are read one at a time by each thread and are gone when they are scanned; what stays of an artifact are some
//! tens of bytes per backend.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{self, AssertUnwindSafe},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use datasets::{Corpus, CorpusError, Row, Rows, Truth};
use engine::{
    artifact::{Failure, FailureKind},
    filter::Filter,
    scanner::{Answer, Scanner, Subject},
};
use hdrhistogram::Histogram;
use replay::{plan::announced, verdicts::VerdictTable};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    cache::{Shelf, Verdict},
    exit::{Exit, OrExit},
    text,
    usage::peak_memory,
};

/// Longest that answers are kept back before they are written: what a crash costs at most.
const KEPT_BACK: Duration = Duration::from_secs(10);
/// Errors that are told one by one.
const ERRORS: usize = 1000;

/// What the user wants of a scan.
pub struct Wishes<'a> {
    /// Where verdicts are kept.
    pub cache: &'a Path,
    /// Which artifacts and answers count.
    pub filter: &'a Filter,
    /// Ask again what is known.
    pub rescan: bool,
    /// Threads.
    pub jobs: usize,
    /// Set by Ctrl-C: what is scanned so far is kept.
    pub interrupted: &'a AtomicBool,
    /// Hears of artifacts that are done, and of their bytes.
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
}

/// A scan in figures.
#[derive(Clone, Debug, Serialize)]
pub struct ScanReport {
    /// False if it was interrupted.
    pub complete: bool,
    /// Artifacts that were looked at.
    pub artifacts: u64,
    /// Artifacts that the engine's filter leaves alone, which nobody looked at.
    pub filtered: u64,
    /// Artifacts whose content was read.
    pub read: u64,
    /// Bytes of those contents.
    pub bytes: u64,
    /// Answers that were asked for.
    pub computed: u64,
    /// Answers that were known from before.
    pub reused: u64,
    /// Answers that could not be had, now or before.
    pub failed: u64,
    /// Seconds from the first artifact to the last.
    pub seconds: f64,
    /// Seconds that it took to get the backends ready, before the first artifact.
    pub load_seconds: f64,
    /// Largest memory of this process so far, in bytes, where the system tells.
    pub peak_memory: Option<u64>,
    /// One per backend, in order.
    pub backends: Vec<BackendReport>,
    /// The first errors, in order of rows.
    pub errors: Vec<ScanErrorReport>,
    /// Things a user should know.
    pub warnings: Vec<String>,
}

impl ScanReport {
    /// Answers that did not come, and may another time.
    pub fn missing(&self) -> u64 {
        let failures = self.backends.iter().flat_map(|backend| &backend.failures);
        failures.filter(|(kind, _)| kind.may_come()).map(|(_, count)| count).sum()
    }

    /// True if every backend failed on everything that it was asked about.
    pub fn nothing_answered(&self) -> bool {
        !self.backends.is_empty() && self.backends.iter().all(BackendReport::failed)
    }
}

/// Why figures may be others the next time, if so many answers did not come that may another time.
pub fn doubt(missing: u64) -> Option<String> {
    let count = text::thousands(missing);
    (missing > 0)
        .then(|| format!("{count} of the answers did not come (time-outs, crashes, backends that were not there): another time they may"))
}

/// One backend in figures, over all artifacts, whenever they were scanned.
#[derive(Clone, Debug, Serialize)]
pub struct BackendReport {
    /// Its name.
    pub name: String,
    /// What identifies its answers.
    pub fingerprint: String,
    /// Artifacts that the corpus calls malicious, and benign.
    pub labelled: (u64, u64),
    /// Artifacts that it called malicious, of those that the corpus calls so.
    pub true_positives: u64,
    /// Artifacts that it called malicious, of those that the corpus calls benign.
    pub false_positives: u64,
    /// Artifacts that it called benign, of those that the corpus calls so.
    pub true_negatives: u64,
    /// Artifacts that it called benign, of those that the corpus calls malicious.
    pub false_negatives: u64,
    /// Artifacts on which it has no opinion.
    pub undecided: u64,
    /// Artifacts on which it failed, by reason.
    pub failures: BTreeMap<FailureKind, u64>,
    /// Microseconds of an answer: median, 95 %, 99 %, longest; within 1 %.
    pub micros: Latency,
}

impl BackendReport {
    /// True if it failed on everything that it was asked about.
    pub fn failed(&self) -> bool {
        let said = [self.true_positives, self.false_positives, self.true_negatives, self.false_negatives, self.undecided];
        said.iter().all(|&answers| answers == 0) && !self.failures.is_empty()
    }
}

/// How long answers took, in microseconds.
#[derive(Clone, Copy, Default, Debug, Serialize)]
pub struct Latency {
    pub p50: u64,
    pub p95: u64,
    pub p99: u64,
    pub max: u64,
}

/// One answer that could not be had.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct ScanErrorReport {
    /// Line or row of the corpus' table.
    pub line: u64,
    /// The artifact's path in the corpus, or its hash.
    pub artifact: String,
    /// The backend.
    pub backend: String,
    /// What happened.
    pub reason: String,
}

/// An artifact for the threads.
struct Job {
    row: Row,
    /// The backends to ask.
    wanted: Vec<bool>,
}

/// What they make of it.
struct Done {
    job: Job,
    /// Bytes of the content, if it was read.
    bytes: Option<u64>,
    /// None if the scan was interrupted before.
    answers: Option<Vec<Answer>>,
}

/// Scans a corpus, and writes what is new to the cache. An interrupted scan has its report, too; going on with it later
/// costs only what is missing.
///
/// # Errors
///
/// If a backend cannot be made ready, the corpus not be read, or the cache not be used. What is scanned by then is kept.
pub fn scan(corpus: &Corpus, scanner: &Scanner, wishes: &Wishes<'_>) -> Result<(VerdictTable, ScanReport)> {
    let mut shelves = scanner.fingerprints().map(|fingerprint| Shelf::open(wishes.cache, fingerprint)).collect::<Result<Vec<_>>>()?;
    let mut tally = Tally::default();
    let started = Instant::now();
    let scanning = || if scanner.is_empty() { Ok(()) } else { scan_missing(corpus, scanner, wishes, &mut shelves, &mut tally) };
    let outcome = panic::catch_unwind(AssertUnwindSafe(scanning)).unwrap_or_else(|_| Err(anyhow!("the scan failed by a mistake of ours")));
    shelves.iter_mut().try_for_each(Shelf::write)?;
    outcome?;
    let seconds = started.elapsed().as_secs_f64() - tally.load_seconds;
    let interrupted = wishes.interrupted.load(Ordering::Relaxed);
    let (table, backends) = table(corpus, scanner, wishes.filter, &shelves, interrupted)?;
    let report = ScanReport {
        complete: !interrupted,
        artifacts: tally.artifacts,
        filtered: tally.filtered,
        read: tally.read,
        bytes: tally.bytes,
        computed: tally.computed,
        reused: tally.reused,
        failed: tally.failed,
        seconds,
        load_seconds: tally.load_seconds,
        peak_memory: peak_memory(),
        backends,
        errors: tally.errors.into_iter().collect(),
        warnings: shelves.into_iter().flat_map(|shelf| shelf.damaged).collect(),
    };
    Ok((table, report))
}

/// What is counted while a corpus is scanned.
#[derive(Default)]
struct Tally {
    artifacts: u64,
    filtered: u64,
    read: u64,
    bytes: u64,
    computed: u64,
    reused: u64,
    failed: u64,
    load_seconds: f64,
    /// In order of rows.
    errors: BTreeSet<ScanErrorReport>,
}

impl Tally {
    /// Counts an answer that could not be had.
    fn fail(&mut self, row: &Row, backend: &str, reason: &str) {
        self.failed += 1;
        let artifact = row.path.as_deref().map_or_else(|| hex::encode(row.id.0), text::shown);
        self.errors.insert(ScanErrorReport { line: row.line, artifact, backend: backend.to_owned(), reason: text::cut(reason, 300) });
        if self.errors.len() > ERRORS {
            self.errors.pop_last();
        }
    }
}

/// Asks for every answer that is not on its shelf. This thread reads the table and keeps the books; the others scan.
fn scan_missing(corpus: &Corpus, scanner: &Scanner, wishes: &Wishes<'_>, shelves: &mut [Shelf], tally: &mut Tally) -> Result<()> {
    let mut rows = corpus.rows()?;
    let (jobs, queue) = mpsc::channel::<Job>();
    let (done, dones) = mpsc::channel::<Done>();
    let queue = Mutex::new(queue);
    thread::scope(|scope| {
        // Dropped at the end of this closure, whatever happens: then the threads end.
        let (jobs, done) = (jobs, done);
        let mut threads = 0;
        let (mut waiting, mut written) = (0, Instant::now());
        loop {
            while waiting < 2 * wishes.jobs && !wishes.interrupted.load(Ordering::Relaxed) {
                let Some(job) = next_missing(&mut rows, scanner, shelves, wishes, tally)? else { break };
                if threads == 0 {
                    let begun = Instant::now();
                    scanner.prepare().or_exit(Exit::Usage)?;
                    tally.load_seconds = begun.elapsed().as_secs_f64();
                }
                if threads < wishes.jobs {
                    threads += 1;
                    let (done, queue) = (done.clone(), &queue);
                    scope.spawn(move || {
                        // The lock is held while waiting for a job, not while working on it.
                        while let Ok(job) = { queue.lock().unwrap_or_else(PoisonError::into_inner).recv() } {
                            let left = wishes.interrupted.load(Ordering::Relaxed);
                            if done
                                .send(if left { Done { job, bytes: None, answers: None } } else { look_at(corpus, scanner, job) })
                                .is_err()
                            {
                                break;
                            }
                        }
                    });
                }
                jobs.send(job).context("the scanning threads are gone")?;
                waiting += 1;
            }
            if waiting == 0 {
                return Ok(());
            }
            let finished = dones.recv().context("the scanning threads are gone")?;
            waiting -= 1;
            (wishes.progress)(1, finished.bytes.unwrap_or(0));
            enter(finished, scanner, shelves, tally)?;
            if written.elapsed() > KEPT_BACK {
                shelves.iter_mut().try_for_each(Shelf::write)?;
                written = Instant::now();
            }
        }
    })
}

/// The next artifact of which an answer is missing.
fn next_missing(rows: &mut Rows, scanner: &Scanner, shelves: &[Shelf], wishes: &Wishes<'_>, tally: &mut Tally) -> Result<Option<Job>> {
    for row in rows {
        if wishes.interrupted.load(Ordering::Relaxed) {
            break;
        }
        let row = row?;
        if !wishes.filter.accepts(&announced(&row)) {
            tally.filtered += 1;
            (wishes.progress)(1, 0);
            continue;
        }
        tally.artifacts += 1;
        // What is said of a hash alone, without a file, is not what is said of the file.
        let known = |shelf: &Shelf| row.path.as_ref().and_then(|_| shelf.get(&row.id)).filter(|_| !wishes.rescan).copied();
        let known: Vec<Option<Verdict>> = shelves.iter().map(known).collect();
        for (name, verdict) in scanner.names().zip(&known) {
            match verdict.map(|verdict| verdict.failure) {
                Some(Some(kind)) if kind != FailureKind::NotMine => tally.fail(&row, name, &format!("{kind}: as in an earlier scan")),
                Some(_) => tally.reused += 1,
                None => {}
            }
        }
        let wanted: Vec<bool> = known.iter().map(Option::is_none).collect();
        if wanted.contains(&true) {
            return Ok(Some(Job { row, wanted }));
        }
        (wishes.progress)(1, 0);
    }
    Ok(None)
}

/// Reads an artifact, makes sure that it is the one that the table speaks of, and asks the backends.
fn look_at(corpus: &Corpus, scanner: &Scanner, job: Job) -> Done {
    let subject = match subject(corpus, scanner, &job.row, &[]) {
        Ok(subject) => subject,
        Err(failure) => {
            let answers = job.wanted.iter().map(|_| Answer::failed(failure.clone())).collect();
            return Done { job, bytes: None, answers: Some(answers) };
        }
    };
    let bytes = subject.content.as_ref().map(|content| content.len() as u64);
    let mut scan = scanner.scan_with(&Arc::new(subject), &job.wanted);
    // Who is asked first has the archives opened.
    if let Some(index) = job.wanted.iter().position(|&wanted| wanted) {
        scan.answers[index].took = scan.answers[index].took.saturating_add(scan.opening);
    }
    Done { job, bytes, answers: Some(scan.answers) }
}

/// An artifact with its content, which is what the table says or an error; `tail` is added to it after that.
///
/// # Errors
///
/// If the file cannot be had, or is another one.
pub fn subject(corpus: &Corpus, scanner: &Scanner, row: &Row, tail: &[u8]) -> Result<Subject, Failure> {
    let file_type = row.file_type.as_deref().map(str::to_owned);
    let mut subject = Subject { sha256: row.id.0, file_type, size: row.size, content: None };
    if row.path.is_none() {
        return Ok(subject);
    }
    let mut content = corpus.read_artifact(row, scanner.size_limit()).map_err(|error| {
        let kind = match error {
            CorpusError::MissingArtifact { .. } => FailureKind::Missing,
            CorpusError::ArtifactTooLarge { .. } => FailureKind::TooLarge,
            _ => FailureKind::Unreadable,
        };
        Failure::new(kind, error.to_string())
    })?;
    let mut hash = Sha256::new();
    hash.update(&content);
    if hash.clone().finalize()[..] != row.id.0 {
        return Err(Failure::new(FailureKind::Changed, "its SHA-256 is not the table's; restore the file or correct the table"));
    }
    if !tail.is_empty() {
        content.extend_from_slice(tail);
        hash.update(tail);
        subject.sha256 = hash.finalize().into();
        subject.size = subject.size.map(|size| size + tail.len() as u64);
    }
    subject.content = Some(content);
    Ok(subject)
}

/// Books what a thread has done.
fn enter(done: Done, scanner: &Scanner, shelves: &mut [Shelf], tally: &mut Tally) -> Result<()> {
    let Done { job: Job { row, wanted }, bytes, answers } = done;
    let Some(answers) = answers else {
        tally.artifacts -= 1;
        return Ok(());
    };
    tally.read += u64::from(bytes.is_some());
    tally.bytes += bytes.unwrap_or(0);
    for (index, ((shelf, answer), name)) in
        shelves.iter_mut().zip(answers).zip(scanner.names()).enumerate().filter(|(index, _)| wanted[*index])
    {
        match &answer.outcome {
            Err(failure) if failure.kind != FailureKind::NotMine => tally.fail(&row, name, &failure.to_string()),
            _ => tally.computed += 1,
        }
        // A backend that does without a content has its own answer only where there was one.
        let keep = row.path.is_some() && (bytes.is_some() || scanner.needs_content(index));
        shelf.add(row.id, answer, keep)?;
    }
    Ok(())
}

/// All verdicts on the artifacts of a corpus in one table, and what there is to say of each backend.
fn table(
    corpus: &Corpus,
    scanner: &Scanner,
    filter: &Filter,
    shelves: &[Shelf],
    interrupted: bool,
) -> Result<(VerdictTable, Vec<BackendReport>)> {
    let mut table = VerdictTable::new(scanner.fingerprints().map(str::to_owned).collect());
    let mut backends: Vec<Counted> = scanner.names().zip(scanner.fingerprints()).map(|(name, print)| Counted::new(name, print)).collect();
    if scanner.is_empty() {
        return Ok((table, Vec::new()));
    }
    let mut answers = Vec::new();
    for row in corpus.rows()? {
        let row = row?;
        if !filter.accepts(&announced(&row)) {
            continue;
        }
        answers.clear();
        let mut micros = 0u32;
        for (shelf, backend) in shelves.iter().zip(&mut backends) {
            let Some(verdict) = shelf.get(&row.id) else { continue };
            answers.push(filter.result(verdict.result, shelf.family(verdict)));
            micros = micros.saturating_add(verdict.micros);
            backend.count(verdict, row.truth);
        }
        match answers.len() {
            all if all == shelves.len() => table.insert(row.id, &answers, micros),
            _ if interrupted => {}
            _ => return Err(anyhow!("row {} of the corpus was not scanned: did the table change meanwhile?", row.line)),
        }
    }
    Ok((table, backends.into_iter().map(Counted::report).collect()))
}

/// A backend while it is counted.
struct Counted {
    report: BackendReport,
    micros: Histogram<u64>,
}

impl Counted {
    fn new(name: &str, fingerprint: &str) -> Counted {
        let report = BackendReport {
            name: name.to_owned(),
            fingerprint: fingerprint.to_owned(),
            labelled: (0, 0),
            true_positives: 0,
            false_positives: 0,
            true_negatives: 0,
            false_negatives: 0,
            undecided: 0,
            failures: BTreeMap::new(),
            micros: Latency::default(),
        };
        // Two digits are within 1 %; it grows to whatever comes.
        Counted { report, micros: Histogram::new(2).expect("two digits are among those it knows") }
    }

    fn count(&mut self, verdict: &Verdict, truth: Truth) {
        // It grows as needed; what cannot be recorded is missing from the times alone.
        // Nobody looked at what could not be read.
        use FailureKind::{Changed, Missing, TooLarge, Unreadable};
        if !matches!(verdict.failure, Some(Changed | Missing | TooLarge | Unreadable)) {
            // It grows to whatever 32 bits hold.
            let _ = self.micros.record(u64::from(verdict.micros));
        }
        let report = &mut self.report;
        match truth {
            Truth::Malicious => report.labelled.0 += 1,
            Truth::Benign => report.labelled.1 += 1,
        }
        let counter = match (verdict.failure, verdict.result.malicious, truth) {
            (Some(kind), ..) => report.failures.entry(kind).or_default(),
            (None, None, _) => &mut report.undecided,
            (None, Some(true), Truth::Malicious) => &mut report.true_positives,
            (None, Some(true), Truth::Benign) => &mut report.false_positives,
            (None, Some(false), Truth::Malicious) => &mut report.false_negatives,
            (None, Some(false), Truth::Benign) => &mut report.true_negatives,
        };
        *counter += 1;
    }

    fn report(mut self) -> BackendReport {
        let at = |quantile| self.micros.value_at_quantile(quantile);
        self.report.micros = Latency { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: self.micros.max() };
        self.report
    }
}

#[cfg(test)]
mod tests {
    use engine::{
        backend::eicar::Eicar,
        config::{ArchiveConfig, BackendConfig, BackendKind},
    };

    use super::*;

    /// The shipped files, scanned until so many are done.
    fn scan_until(cache: &Path, artifacts: u64) -> ScanReport {
        let corpus = Corpus::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/corpora/starter")).unwrap();
        let config = BackendConfig::of(BackendKind::Eicar);
        let scanner = Scanner::of([(&config, Arc::new(Eicar::default()) as _)], &ArchiveConfig::default());
        let (interrupted, done) = (AtomicBool::new(false), std::sync::atomic::AtomicU64::new(0));
        let progress = |more, _| {
            if done.fetch_add(more, Ordering::Relaxed) + more >= artifacts {
                interrupted.store(true, Ordering::Relaxed);
            }
        };
        let filter = Filter::default();
        let wishes = Wishes { cache, filter: &filter, rescan: false, jobs: 2, interrupted: &interrupted, progress: &progress };
        scan(&corpus, &scanner, &wishes).unwrap().1
    }

    #[test]
    fn what_an_interrupted_scan_has_done_is_not_done_again() {
        let cache = tempfile::tempdir().unwrap();
        let first = scan_until(cache.path(), 20);
        assert!(!first.complete && (20..30).contains(&first.computed), "{first:?}");
        let second = scan_until(cache.path(), u64::MAX);
        assert!(second.complete);
        assert_eq!((second.computed + second.reused, second.reused), (60, first.computed));
        let third = scan_until(cache.path(), 1);
        assert!(!third.complete && third.artifacts < 60, "a scan of what is known can be interrupted, too");
    }
}
