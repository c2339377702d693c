//! The scanners of an engine as a side of a measurement: a corpus through them again and again, no verdict kept.
//!
//! A cold round builds every backend anew and asks the system to forget the files (posix_fadvise(2)), as far as a program
//! may; the processor, the disc and services such as clamd stay as they are. The very first one sees the artifacts as they
//! are: accuracy, errors and the hash of all answers are its. Later ones see some bytes more at the end of each, others in
//! every pass, so that no cache of a scanner knows them; where that changes answers, the report says so.

use std::{
    fs::File,
    panic,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use datasets::{Corpus, Row};
use engine::{
    chance::{Key, fnv1a64},
    config::{BackendKind, EngineConfig},
    filter::Filter,
    scanner::{Answer, Scanner},
};
use hdrhistogram::Histogram;
use replay::plan::announced;
use rustix::fs::{Advice, fadvise};

use super::{
    calls::{ANSWERED, code, facts, print},
    rounds::{Facts, Observation, Side},
};
use crate::{
    exit::{Exit, OrExit},
    figures::of_backend,
    scan, text,
    usage::{Processor, forget_peak, largest_child, peak_memory},
};

/// Repeats on the same bytes that are so many times faster than the first are suspicious.
const SUSPICIOUS: f64 = 2.0;
/// And only if they save so many microseconds an artifact: what is faster than that is warm, not remembered.
const SAVED: f64 = 50.0;

/// What is measured.
#[derive(Debug)]
pub struct ScanSide<'a> {
    corpus: &'a Corpus,
    rows: &'a [Row],
    engine: EngineConfig,
    folder: PathBuf,
    jobs: usize,
    /// Of the bytes that are added; none if none are.
    perturb: Option<u64>,
    interrupted: &'a AtomicBool,
    scanner: Option<Scanner>,
    /// Passes so far.
    passes: u64,
    clean: Option<Clean>,
    /// Answers that are other ones than in the first pass, in the pass with most of them.
    changed: u64,
    /// Microseconds of each backend in passes after the first, and how many those were.
    repeats: (Vec<f64>, u32),
    /// Files that could not be put out of memory.
    kept: u64,
}

/// The first pass, over the artifacts as they are.
#[derive(Debug)]
struct Clean {
    facts: Facts,
    /// What each backend said of each artifact, as a number.
    codes: Vec<u64>,
    /// Microseconds of each backend.
    micros: Vec<f64>,
}

/// One pass.
struct Pass {
    bytes: u64,
    /// Nanoseconds of all backends on one artifact.
    whole: Histogram<u64>,
    /// Nanoseconds of each backend on one artifact.
    each: Vec<Histogram<u64>>,
    /// Microseconds of each, on all artifacts.
    micros: Vec<f64>,
    /// All answers by place of the row, if they are asked for.
    answers: Vec<(usize, Vec<Answer>)>,
    /// Answers other than in the first pass.
    changed: u64,
}

fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("three digits are among those it knows")
}

impl Pass {
    fn new(backends: usize) -> Pass {
        let each = vec![histogram(); backends];
        Pass { bytes: 0, whole: histogram(), each, micros: vec![0.0; backends], answers: Vec::new(), changed: 0 }
    }

    fn add(&mut self, other: Pass) {
        self.bytes += other.bytes;
        self.changed += other.changed;
        self.answers.extend(other.answers);
        // They grow to whatever comes.
        let _ = self.whole.add(&other.whole);
        for (own, more) in self.each.iter_mut().zip(&other.each) {
            let _ = own.add(more);
        }
        self.micros.iter_mut().zip(other.micros).for_each(|(own, more)| *own += more);
    }
}

/// How the corpus is scanned.
#[derive(Clone, Copy, Debug)]
pub struct How<'a> {
    /// Threads.
    pub jobs: usize,
    /// Seed of the bytes that are added to artifacts in all passes but the first; none are added without one.
    pub perturb: Option<u64>,
    /// Set by Ctrl-C.
    pub interrupted: &'a AtomicBool,
}

impl<'a> ScanSide<'a> {
    /// The backends of an engine that look at artifacts, on these rows of a corpus; files of the engine are relative to
    /// `folder`.
    ///
    /// # Errors
    ///
    /// If no backend looks at artifacts, or one cannot be set up.
    pub fn new(corpus: &'a Corpus, rows: &'a [Row], engine: EngineConfig, folder: PathBuf, how: How<'a>) -> Result<ScanSide<'a>> {
        let How { jobs, perturb, interrupted } = how;
        let scanner = Scanner::new(&engine, &folder).or_exit(Exit::Usage)?;
        if scanner.is_empty() {
            let error = anyhow::anyhow!("no backend of the engine looks at artifacts; name an engine that does with --engine");
            return Err(error).or_exit(Exit::Usage);
        }
        let repeats = (vec![0.0; scanner.len()], 0);
        let (scanner, clean) = (Some(scanner), None);
        Ok(ScanSide { corpus, rows, engine, folder, jobs, perturb, interrupted, scanner, passes: 0, clean, changed: 0, repeats, kept: 0 })
    }

    /// The names of its backends, in order.
    pub fn backends(&self) -> Vec<String> {
        self.scanner.iter().flat_map(Scanner::names).map(str::to_owned).collect()
    }

    /// What is added to every artifact in the next pass.
    fn tail(&self) -> Vec<u8> {
        match self.perturb {
            Some(seed) if self.clean.is_some() => tail(seed, self.passes),
            _ => Vec::new(),
        }
    }

    /// Every artifact once, on all threads.
    fn pass(&mut self) -> Pass {
        let scanner = self.scanner.as_ref().expect("it is there from the beginning on");
        let (tail, next) = (self.tail(), AtomicUsize::new(0));
        let work = || {
            let mut pass = Pass::new(scanner.len());
            while let Some((place, row)) = Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|place| Some((place, self.rows.get(place)?)))
            {
                if self.interrupted.load(Ordering::Relaxed) {
                    break;
                }
                self.look_at(scanner, place, row, &tail, &mut pass);
            }
            pass
        };
        let mut whole = Pass::new(scanner.len());
        thread::scope(|scope| {
            let threads: Vec<_> = (0..self.jobs.clamp(1, self.rows.len().max(1))).map(|_| scope.spawn(work)).collect();
            for thread in threads {
                whole.add(thread.join().unwrap_or_else(|cause| panic::resume_unwind(cause)));
            }
        });
        self.passes += 1;
        self.changed = self.changed.max(whole.changed);
        whole
    }

    /// An answer as a number, to tell it from those of the first pass: on the same bytes every bit of it is the same. With bytes
    /// added it is an answer to something else, and only what it calls the artifact need be the same.
    fn code(&self, answer: &Answer) -> u64 {
        if self.perturb.is_some() { u64::from(code(answer)) } else { print(answer) }
    }

    fn look_at(&self, scanner: &Scanner, place: usize, row: &Row, tail: &[u8], pass: &mut Pass) {
        let answers = match scan::subject(self.corpus, scanner, row, tail) {
            Ok(subject) => {
                pass.bytes += subject.content.as_ref().map_or(0, |content| (content.len() - tail.len()) as u64);
                let (subject, begun) = (Arc::new(subject), Instant::now());
                let answers = scanner.scan(&subject).answers;
                let _ = pass.whole.record(nanoseconds(begun.elapsed()));
                for ((histogram, micros), answer) in pass.each.iter_mut().zip(&mut pass.micros).zip(&answers) {
                    let _ = histogram.record(nanoseconds(answer.took));
                    *micros += answer.took.as_secs_f64() * 1e6;
                }
                answers
            }
            Err(failure) => scanner.names().map(|_| Answer::failed(failure.clone())).collect(),
        };
        match &self.clean {
            None => pass.answers.push((place, answers)),
            Some(clean) => {
                let before = &clean.codes[place * answers.len()..][..answers.len()];
                pass.changed += answers.iter().zip(before).filter(|(answer, before)| self.code(answer) != **before).count() as u64;
            }
        }
    }

    /// Asks the system to forget the files' contents.
    fn forget_files(&mut self) {
        let root = self.corpus.root();
        let forgotten = |path: &PathBuf| {
            let path = root.join(path);
            // What is no plain file is not opened: that might take for ever.
            path.is_file() && File::open(path).is_ok_and(|file| fadvise(&file, 0, None, Advice::DontNeed).is_ok())
        };
        self.kept = self.rows.iter().filter_map(|row| row.path.as_ref()).filter(|path| !forgotten(path)).count() as u64;
    }

    fn enter_clean(&mut self, mut pass: Pass) -> Result<()> {
        let scanner = self.scanner.as_ref().expect("it is there from the beginning on");
        pass.answers.sort_by_key(|(place, _)| *place);
        let codes = pass.answers.iter().flat_map(|(_, answers)| answers.iter().map(|answer| self.code(answer))).collect();
        let answers: Vec<(&Row, Vec<Answer>)> = pass.answers.into_iter().map(|(place, answers)| (&self.rows[place], answers)).collect();
        let facts = facts(&answers, pass.bytes, scanner, &self.engine)?;
        self.clean = Some(Clean { facts, codes, micros: pass.micros });
        Ok(())
    }

    /// What is to be said of passes on the same bytes again, and of such on others.
    fn warnings(&self, clean: &Clean) -> Vec<String> {
        let mut warnings = Vec::new();
        let names = self.backends();
        if self.perturb.is_none() {
            let (files, passes) = (self.rows.len() as f64, f64::from(self.repeats.1));
            for ((name, &first), &again) in names.iter().zip(&clean.micros).zip(&self.repeats.0) {
                if let Some(times) = suspicious(first / files, again / passes / files) {
                    warnings.push(format!(
                        "`{name}` is {times:.1} times faster on bytes that it has seen before: a cache may answer; leave out --no-perturb"
                    ));
                }
            }
        }
        if self.changed > 0 && self.perturb.is_some() {
            warnings.push(format!(
                "{} of {} answers are other ones with bytes added (hash lists miss, archives seem cut short): times are of those, \
                 accuracy is not; --no-perturb adds none",
                text::thousands(self.changed),
                text::thousands(clean.codes.len() as u64),
            ));
        }
        if self.engine.backends.iter().any(|backend| backend.kind == BackendKind::Clamav) {
            warnings.push("clamd is a process of its own: its processor time and memory are not counted".to_owned());
        }
        if self.kept > 0 {
            warnings.push(format!("{} files could not be put out of memory: cold rounds are warm for them", text::thousands(self.kept)));
        }
        warnings
    }
}

impl Side for ScanSide<'_> {
    fn cold(&mut self) -> Result<Observation> {
        self.forget_files();
        // Its threads end with it.
        self.scanner = None;
        let begun = Instant::now();
        let scanner = Scanner::new(&self.engine, &self.folder).or_exit(Exit::Usage)?;
        scanner.prepare().or_exit(Exit::Usage)?;
        let load_seconds = begun.elapsed().as_secs_f64();
        self.scanner = Some(scanner);
        let begun = Instant::now();
        let pass = self.pass();
        let seconds = begun.elapsed().as_secs_f64();
        let figures = [
            ("load_seconds", load_seconds),
            ("seconds_cold", seconds),
            ("files_per_s_cold", self.rows.len() as f64 / seconds),
            ("mb_per_s_cold", pass.bytes as f64 / 1e6 / seconds),
        ];
        if self.clean.is_none() && !self.interrupted.load(Ordering::Relaxed) {
            self.enter_clean(pass)?;
        }
        Ok(figures.map(|(name, value)| (name.to_owned(), value)).into())
    }

    fn warm(&mut self, passes: u32) -> Result<Observation> {
        forget_peak();
        let mut whole = Pass::new(self.repeats.0.len());
        let (before, begun) = (Processor::now(), Instant::now());
        for _ in 0..passes {
            whole.add(self.pass());
        }
        let (elapsed, processor) = (begun.elapsed().as_secs_f64(), Processor::now().since(before));
        self.repeats.0.iter_mut().zip(&whole.micros).for_each(|(sum, more)| *sum += more);
        self.repeats.1 += passes;
        let times = f64::from(passes);
        let seconds = elapsed / times;
        let mut figures: Observation = [
            ("seconds", seconds),
            ("files_per_s", self.rows.len() as f64 / seconds),
            ("mb_per_s", whole.bytes as f64 / 1e6 / elapsed),
            ("cpu_seconds", processor.total() / times),
            ("cpu_seconds_user", processor.user / times),
            ("cpu_seconds_system", processor.system / times),
            ("cpu_cores", processor.total() / elapsed),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        for (name, quantile) in QUANTILES {
            let of = |histogram: &Histogram<u64>| histogram.value_at_quantile(quantile) as f64;
            if !whole.whole.is_empty() {
                figures.insert(format!("{name}_scan"), of(&whole.whole) / 1e9);
                let backends = self.backends();
                figures.extend(backends.iter().zip(&whole.each).map(|(backend, each)| (of_backend(backend, name), of(each) / 1e9)));
            }
        }
        figures.extend(peak_memory().map(|bytes| ("peak_memory".to_owned(), bytes as f64)));
        figures.extend(largest_child().map(|bytes| ("peak_memory_child".to_owned(), bytes as f64)));
        Ok(figures)
    }

    fn facts(&self) -> Facts {
        let Some(clean) = &self.clean else { return Facts::default() };
        let mut facts = clean.facts.clone();
        facts.warnings.extend(self.warnings(clean));
        if self.changed > 0 && self.perturb.is_none() {
            let why = format!("{} answers were other ones when the same bytes were scanned again", text::thousands(self.changed));
            let names = self.backends();
            let of_backends = names.iter().flat_map(|name| ANSWERED.map(|figure| of_backend(name, figure)));
            facts.doubt(ANSWERED.map(str::to_owned).into_iter().chain(of_backends), &why);
            facts.warnings.push(why);
        }
        facts
    }
}

/// Nanoseconds, at least one.
fn nanoseconds(took: Duration) -> u64 {
    u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1)
}

/// Which part of a round's answers was faster.
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)];

/// What pass `number` adds to every artifact: a line of text, so that a text stays one.
fn tail(seed: u64, number: u64) -> Vec<u8> {
    let mut chance = Key::root(fnv1a64("bench-tail")).with(seed).with(number).stream();
    format!("\n{:016x}", chance.bits()).into_bytes()
}

/// How many times faster repeats are, if that is suspicious; of microseconds an artifact.
fn suspicious(first: f64, again: f64) -> Option<f64> {
    let times = first / again.max(1e-3);
    (times >= SUSPICIOUS && first - again >= SAVED).then_some(times)
}

/// The rows of a corpus that the engine's filter accepts, in order.
///
/// # Errors
///
/// If the table cannot be read, or the filter is none.
pub fn rows(corpus: &Corpus, engine: &EngineConfig) -> Result<Vec<Row>> {
    let filter = Filter::new(&engine.filter).or_exit(Exit::Usage)?;
    let mut rows = Vec::new();
    for row in corpus.rows()? {
        let row = row?;
        if filter.accepts(&announced(&row)) {
            rows.push(row);
        }
    }
    if rows.is_empty() {
        return Err(anyhow::anyhow!("there is no artifact to scan: the corpus is empty, or the engine's filter accepts none"))
            .or_exit(Exit::Usage);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pass_adds_other_bytes_and_a_text_stays_one() {
        let tails: Vec<Vec<u8>> = [(1, 0), (1, 1), (2, 0)].map(|(seed, number)| tail(seed, number)).to_vec();
        assert!(tails[0] != tails[1] && tails[0] != tails[2], "{tails:?}");
        assert!(tails.iter().all(|tail| tail.len() == 17 && tail[0] == b'\n' && tail[1..].iter().all(u8::is_ascii_hexdigit)));
        assert_eq!(tail(1, 1), tails[1]);
    }

    #[test]
    fn what_takes_less_than_a_microsecond_has_a_length_of_its_own() {
        let median = |nanos: &[u64]| {
            let mut lengths = histogram();
            nanos.iter().for_each(|&nanos| lengths.record(nanoseconds(Duration::from_nanos(nanos))).unwrap());
            lengths.value_at_quantile(0.5)
        };
        assert_eq!([median(&[300, 310, 320]), median(&[700, 710, 720]), median(&[0])], [310, 710, 1]);
    }

    #[test]
    fn repeats_that_are_much_faster_are_suspicious() {
        assert_eq!(suspicious(1000.0, 100.0), Some(10.0));
        assert_eq!(suspicious(1000.0, 900.0), None, "warm is not remembered");
        assert_eq!(suspicious(20.0, 2.0), None, "nobody remembers microseconds");
        assert!(suspicious(1000.0, 0.0).is_some());
    }
}
