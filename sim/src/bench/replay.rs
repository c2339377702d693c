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

use super::{
    calls::NOTHING_ANSWERED,
    rounds::{Facts, Observation, Side},
};
use crate::{
    execute::{self, Broken, Watcher},
    exit::{Exit, OrExit},
    figures::{self, Value, of_run_json},
    scan,
    usage::{Processor, forget_peak, largest_child, peak_memory},
};

/// Sets a market up; nothing if that was interrupted.
pub type Set<'a> = Box<dyn FnMut() -> Result<Option<Arc<Setup>>> + 'a>;

/// What is measured.
pub struct ReplaySide<'a> {
    set: Set<'a>,
    market: Option<Market>,
    jobs: usize,
    threads: ThreadPool,
    /// Play the null strategies for the exact figures, too.
    nulls: bool,
    interrupted: &'a AtomicBool,
    facts: Facts,
}

/// A market that is set up.
struct Market {
    setup: Arc<Setup>,
    /// One hash of what the engine decided in it, once it was played.
    decided: Option<String>,
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
    /// One hash of what the engine decided.
    decisions: String,
}

impl<'a> ReplaySide<'a> {
    /// The market that `set` sets up, on so many threads.
    ///
    /// # Errors
    ///
    /// If threads cannot be started.
    pub fn new(set: Set<'a>, jobs: usize, nulls: bool, interrupted: &'a AtomicBool) -> Result<ReplaySide<'a>> {
        let threads = rayon::ThreadPoolBuilder::new().num_threads(jobs).build().context("cannot start threads")?;
        Ok(ReplaySide { set, market: None, jobs, threads, nulls, interrupted, facts: Facts::default() })
    }

    /// Sets the market up and plays it, and nothing else.
    ///
    /// # Errors
    ///
    /// If it cannot be played.
    pub fn cold_only(&mut self) -> Result<()> {
        self.market = (self.set)()?.map(Market::new);
        self.play().map(drop)
    }

    fn play(&self) -> Result<Play> {
        let Market { setup, .. } = self.market.as_ref().ok_or_else(|| anyhow!("interrupted before the market was set up"))?;
        let begun = Instant::now();
        let mut timed = Timed { watcher: Watcher::new(setup), begun, first: None };
        let strategy = &setup.scenario.engine.strategy;
        let play = || execute::play(setup, strategy, &mut timed, None::<&mut NoJournal>, self.interrupted, &|_| {});
        execute::answer(self.threads.install(play))?;
        let seconds = begun.elapsed().as_secs_f64();
        let Timed { watcher, first, .. } = timed;
        Ok(Play { seconds, first, bounties: watcher.score.own.bounties, decisions: hex::encode(watcher.decisions.finish()) })
    }

    /// The exact figures, and the hash of the journal, from two more plays.
    fn find_facts(&mut self, setup: &Arc<Setup>) -> Result<()> {
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
        let mut exact: BTreeMap<String, Value> = of_run_json(&serde_json::to_value(&run)?);
        let finished = journal.finish().context("cannot finish the journal")?;
        exact.insert("journal_sha256".to_owned(), Value::Text(hex::encode(finished.sha256)));
        let (missing_answers, nothing_answered) = (run.missing_answers, setup.nothing_answered);
        self.facts = Facts { exact, warnings: run.warnings, missing_answers, nothing_answered, ..Facts::default() };
        if nothing_answered {
            self.facts.warnings.push(NOTHING_ANSWERED.to_owned());
        }
        if let Some(why) = scan::doubt(run.missing_answers) {
            self.facts.doubt(self.decided_figures(), &why);
        }
        [run.decisions_sha256, hex::encode(watcher.decisions.finish())].iter().try_for_each(|decisions| self.played(decisions))
    }

    /// Compares what was decided in a play with the plays before it. In one market that is the same every time, unless a program
    /// decides. Set up anew, it is another market if backends were asked again and gave other answers, or took other times.
    fn played(&mut self, decisions: &str) -> Result<()> {
        let Some(market) = self.market.as_mut() else { return Ok(()) };
        // What was cut short is no play.
        if self.interrupted.load(Ordering::Relaxed) {
            return Ok(());
        }
        let program = market.setup.scenario.engine.strategy.contains("command?");
        let same = market.decided.get_or_insert_with(|| decisions.to_owned()) == decisions;
        if !same && !program {
            return Err(Broken("the same run, played again, decided otherwise".to_owned())).or_exit(Exit::Broken);
        }
        let found = self.facts.exact.get("decisions_sha256");
        if !same || found.is_some_and(|found| *found != Value::Text(decisions.to_owned())) {
            let why = match program {
                true => "the program of the strategy decided otherwise when the same market was played again",
                false => {
                    "when the market was set up anew, the engine decided otherwise: its backends gave other answers, or took other times"
                }
            };
            if !self.facts.warnings.iter().any(|warning| warning == why) {
                self.facts.warnings.push(why.to_owned());
            }
            self.facts.doubt(self.decided_figures(), why);
        }
        Ok(())
    }

    /// The exact figures that hang on what the engine decides.
    fn decided_figures(&self) -> Vec<String> {
        self.facts.exact.keys().filter(|name| figures::decided(name)).cloned().collect()
    }
}

impl Market {
    fn new(setup: Arc<Setup>) -> Market {
        Market { setup, decided: None }
    }
}

impl Side for ReplaySide<'_> {
    fn cold(&mut self) -> Result<Observation> {
        self.market = None;
        let begun = Instant::now();
        let Some(setup) = (self.set)()? else { return Ok(Observation::new()) };
        let load_seconds = begun.elapsed().as_secs_f64();
        self.market = Some(Market::new(Arc::clone(&setup)));
        let play = self.play()?;
        self.played(&play.decisions)?;
        if self.facts.exact.is_empty() {
            self.find_facts(&setup)?;
        }
        let figures =
            [("load_seconds", load_seconds), ("seconds_cold", play.seconds), ("bounties_per_s_cold", play.bounties as f64 / play.seconds)];
        Ok(figures.map(|(name, value)| (name.to_owned(), value)).into())
    }

    fn warm(&mut self, passes: u32) -> Result<Observation> {
        forget_peak();
        let (before, begun) = (Processor::now(), Instant::now());
        let plays = (0..passes).map(|_| self.play()).collect::<Result<Vec<Play>>>()?;
        let (elapsed, processor) = (begun.elapsed().as_secs_f64(), Processor::now().since(before));
        plays.iter().try_for_each(|play| self.played(&play.decisions))?;
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
