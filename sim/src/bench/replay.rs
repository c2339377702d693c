//! A market as a side of a measurement: the same run played again and again.
//!
//! A cold round opens the corpus and sets the market up anew; verdicts of the engine's backends come from where `sim scan`
//! keeps them, so nothing is scanned twice. What the run comes to, and the hash of its journal, are exact: they are found once,
//! outside of what is timed.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use market::{block::BlockNumber, nct::Nct};
use rayon::ThreadPool;
use replay::{
    journal::Journal,
    plan::Setup,
    world::{ClosedBounty, NoJournal, Observer},
};

use super::rounds::{Facts, Observation, Side};
use crate::{
    execute::{self, Broken, Watcher},
    exit::{Exit, OrExit},
    figures::{Value, of_run_json},
    usage::{Processor, forget_peak, largest_child, peak_memory},
};

/// Sets a market up; nothing if that was interrupted.
pub type Set<'a> = Box<dyn FnMut() -> Result<Option<Arc<Setup>>> + 'a>;

/// What is measured.
pub struct ReplaySide<'a> {
    set: Set<'a>,
    setup: Option<Arc<Setup>>,
    jobs: usize,
    threads: ThreadPool,
    /// Play the null strategies for the exact figures, too.
    nulls: bool,
    interrupted: &'a AtomicBool,
    facts: Facts,
    /// What the engine decided in the run that exact figures are of.
    decided: Option<[u8; 32]>,
}

/// Scores a run as `sim replay` does, and sees when the first bounty is over.
struct Timed {
    watcher: Watcher,
    begun: Instant,
    first: Option<Duration>,
}

impl Observer for Timed {
    fn locked(&mut self, now: BlockNumber, locked: Nct) {
        self.watcher.locked(now, locked);
    }

    fn closed(&mut self, closed: &ClosedBounty<'_>) {
        self.first.get_or_insert_with(|| self.begun.elapsed());
        self.watcher.closed(closed);
    }
}

/// A run that was played.
struct Play {
    seconds: f64,
    first: Option<Duration>,
    bounties: u64,
    decisions: [u8; 32],
}

impl<'a> ReplaySide<'a> {
    /// The market that `set` sets up, on so many threads.
    ///
    /// # Errors
    ///
    /// If threads cannot be started.
    pub fn new(set: Set<'a>, jobs: usize, nulls: bool, interrupted: &'a AtomicBool) -> Result<ReplaySide<'a>> {
        let threads = rayon::ThreadPoolBuilder::new().num_threads(jobs).build().context("cannot start threads")?;
        Ok(ReplaySide { set, setup: None, jobs, threads, nulls, interrupted, facts: Facts::default(), decided: None })
    }

    /// Sets the market up and plays it, and nothing else.
    ///
    /// # Errors
    ///
    /// If it cannot be played.
    pub fn cold_only(&mut self) -> Result<()> {
        self.setup = (self.set)()?;
        self.play().map(drop)
    }

    fn play(&self) -> Result<Play> {
        let setup = self.setup.as_ref().ok_or_else(|| anyhow!("interrupted before the market was set up"))?;
        let begun = Instant::now();
        let mut timed = Timed { watcher: Watcher::new(setup), begun, first: None };
        let strategy = &setup.scenario.engine.strategy;
        let play = || execute::play(setup, strategy, &mut timed, None::<&mut NoJournal>, self.interrupted, &|_| {});
        execute::answer(self.threads.install(play))?;
        let seconds = begun.elapsed().as_secs_f64();
        let Timed { watcher, first, .. } = timed;
        Ok(Play { seconds, first, bounties: watcher.score.own.bounties, decisions: watcher.decisions.finish() })
    }

    /// The exact figures, and the hash of the journal; `decisions` are those of a run that was timed.
    fn find_facts(&mut self, setup: &Arc<Setup>, decisions: [u8; 32]) -> Result<()> {
        let wishes = execute::Wishes {
            command: String::new(),
            scenario_sha256: [0; 32],
            scenario_toml: "",
            out: None,
            nulls: self.nulls,
            jobs: self.jobs,
        };
        let run = execute::answer(execute::execute(setup, wishes, self.interrupted, &|_| {}))?;
        let mut journal = Journal::new(io::sink())?;
        let mut watcher = Watcher::new(setup);
        let strategy = &setup.scenario.engine.strategy;
        let play = || execute::play(setup, strategy, &mut watcher, Some(&mut journal), self.interrupted, &|_| {});
        let played = execute::answer(self.threads.install(play))?;
        if !run.complete || !played.complete {
            return Ok(());
        }
        let again = watcher.decisions.finish();
        let mut exact: BTreeMap<String, Value> = of_run_json(&serde_json::to_value(&run)?);
        let finished = journal.finish().context("cannot finish the journal")?;
        exact.insert("journal_sha256".to_owned(), Value::Text(hex::encode(finished.sha256)));
        let found = run.decisions_sha256;
        self.facts = Facts { exact, warnings: run.warnings, ..Facts::default() };
        if hex::encode(again) != found {
            self.decided_otherwise(strategy)?;
        }
        self.decided = Some(again);
        self.compare(setup, decisions)
    }

    /// Compares what was decided in another play with what exact figures are of.
    fn compare(&mut self, setup: &Setup, decisions: [u8; 32]) -> Result<()> {
        match self.decided {
            // What was cut short is no play.
            Some(decided) if decided != decisions && !self.interrupted.load(Ordering::Relaxed) => {
                self.decided_otherwise(&setup.scenario.engine.strategy)
            }
            _ => Ok(()),
        }
    }

    /// A program may be of another mind; nothing else may.
    fn decided_otherwise(&mut self, strategy: &str) -> Result<()> {
        if !strategy.contains("command?") {
            return Err(Broken("the same run, played again, decided otherwise".to_owned())).or_exit(Exit::Broken);
        }
        if self.facts.unsure.is_empty() {
            let why = "the program of the strategy decided otherwise when the same market was played again";
            self.facts.warnings.push(why.to_owned());
            self.facts.unsure = self.facts.exact.keys().map(|name| (name.clone(), why.to_owned())).collect();
        }
        Ok(())
    }
}

impl Side for ReplaySide<'_> {
    fn cold(&mut self) -> Result<Observation> {
        self.setup = None;
        let begun = Instant::now();
        let Some(setup) = (self.set)()? else { return Ok(Observation::new()) };
        let load_seconds = begun.elapsed().as_secs_f64();
        self.setup = Some(Arc::clone(&setup));
        let play = self.play()?;
        if self.facts.exact.is_empty() {
            self.find_facts(&setup, play.decisions)?;
        }
        self.compare(&setup, play.decisions)?;
        let figures =
            [("load_seconds", load_seconds), ("seconds_cold", play.seconds), ("bounties_per_s_cold", play.bounties as f64 / play.seconds)];
        Ok(figures.map(|(name, value)| (name.to_owned(), value)).into())
    }

    fn warm(&mut self, passes: u32) -> Result<Observation> {
        forget_peak();
        let (before, begun) = (Processor::now(), Instant::now());
        let plays = (0..passes).map(|_| self.play()).collect::<Result<Vec<Play>>>()?;
        let (elapsed, processor) = (begun.elapsed().as_secs_f64(), Processor::now().since(before));
        if let Some(setup) = self.setup.clone() {
            plays.iter().try_for_each(|play| self.compare(&setup, play.decisions))?;
        }
        let (times, played) = (f64::from(passes), plays.iter().map(|play| play.seconds).sum::<f64>());
        let bounties = plays.iter().map(|play| play.bounties).sum::<u64>();
        let mut figures: Observation = [
            ("seconds", played / times),
            ("bounties_per_s", bounties as f64 / played),
            ("cpu_seconds", processor.total() / times),
            ("cpu_seconds_user", processor.user / times),
            ("cpu_seconds_system", processor.system / times),
            ("cpu_cores", processor.total() / elapsed),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let firsts: Option<Vec<f64>> = plays.iter().map(|play| Some(play.first?.as_secs_f64())).collect();
        figures.extend(firsts.map(|firsts| ("first_settled".to_owned(), firsts.iter().sum::<f64>() / times)));
        figures.extend(peak_memory().map(|bytes| ("peak_memory".to_owned(), bytes as f64)));
        figures.extend(largest_child().map(|bytes| ("peak_memory_child".to_owned(), bytes as f64)));
        Ok(figures)
    }

    fn facts(&self) -> Facts {
        self.facts.clone()
    }
}
