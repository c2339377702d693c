//! Plays a run from a checked setup to its figures: the run itself, the null strategies beside it, and the files.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use anyhow::{Context, Result};
use market::nct::NctDelta;
use rayon::prelude::*;
use replay::{
    direct,
    follower::Follower as _,
    plan::Setup,
    world::{ClosedBounty, NoJournal, Observer, PlayError, Played},
};

use crate::{
    curve::Curve,
    decisions::DecisionDigest,
    exit::{Exit, OrExit},
    output::{BountyTable, RunDirectory},
    run::{Null, Outcome, Run},
    score::{Scorecard, Table},
};

/// Strategies without any idea; the one that never asserts earns nothing and need not be played.
pub const NULLS: [&str; 4] = ["null/min", "null/random", "null/mal", "null/ben"];

/// What the user wants of a run.
#[derive(Debug)]
pub struct Wishes<'a> {
    /// Command that repeats the run.
    pub command: String,
    /// SHA-256 of the resolved scenario.
    pub scenario_sha256: [u8; 32],
    /// The resolved scenario as TOML.
    pub scenario_toml: &'a str,
    /// Where to write the run directory.
    pub out: Option<RunDirectory>,
    /// Play the null strategies, too.
    pub nulls: bool,
    /// Threads.
    pub jobs: usize,
}

/// A broken invariant: an error in this program, not in what it was given.
#[derive(Debug, thiserror::Error)]
#[error("{0}; please report this with the command that led to it")]
pub struct Broken(pub String);

/// Scores, and writes a line per bounty where that is wanted.
#[derive(Debug)]
pub struct Watcher {
    /// What is counted.
    pub score: Scorecard,
    /// One hash of all that the engine did and got.
    pub decisions: DecisionDigest,
    /// The table of bounties, if one is written.
    pub bounties: Option<BountyTable>,
}

impl Watcher {
    /// For a market; of bounties no table is written.
    pub fn new(setup: &Setup) -> Watcher {
        let score = Scorecard::new(setup.population.rivals.len(), setup.bounties);
        Watcher { score, decisions: DecisionDigest::default(), bounties: None }
    }
}

impl Observer for Watcher {
    fn locked(&mut self, now: market::block::BlockNumber, locked: market::nct::Nct) {
        self.score.locked(now, locked);
    }

    fn closed(&mut self, closed: &ClosedBounty<'_>) {
        self.score.closed(closed);
        self.decisions.closed(&closed.into());
        if let Some(bounties) = &mut self.bounties {
            bounties.add(closed);
        }
    }
}

/// Plays `setup` with as many threads as wished; `progress` hears of bounties that are over, those of the null
/// strategies included.
///
/// # Errors
///
/// If the corpus cannot be read on, a file not be written, or an invariant is [`Broken`].
pub fn execute(setup: &Arc<Setup>, wishes: Wishes<'_>, interrupted: &AtomicBool, progress: &(dyn Fn(u64) + Sync)) -> Result<Run> {
    let threads = rayon::ThreadPoolBuilder::new().num_threads(wishes.jobs).build().context("cannot start threads")?;
    threads.install(|| {
        let started = Instant::now();
        let strategy = &setup.scenario.engine.strategy;
        let mut watcher = Watcher::new(setup);
        let mut journal = None;
        if let Some(out) = &wishes.out {
            watcher.bounties = Some(out.bounties()?);
            journal = Some(out.journal()?);
        }
        let played = play(setup, strategy, &mut watcher, journal.as_mut(), interrupted, progress)?;
        let journal = journal.map(|journal| journal.finish()).transpose().context("cannot write the journal")?;
        if let Some(bounties) = watcher.bounties.take() {
            bounties.finish()?;
        }
        let elapsed = started.elapsed();

        let nulls = if wishes.nulls && played.complete { play_nulls(setup, interrupted, progress)? } else { Some(Vec::new()) };
        let outcome = Outcome {
            setup,
            scenario_sha256: wishes.scenario_sha256,
            scenario_toml: wishes.scenario_toml,
            command: wishes.command,
            score: &watcher.score,
            decisions: watcher.decisions.clone().finish(),
            played: &played,
            nulls_interrupted: nulls.is_none(),
            nulls: nulls.unwrap_or_default(),
            journal,
            elapsed,
            jobs: wishes.jobs,
            visitor: None,
        };
        let run = outcome.run().map_err(Broken)?;
        if let Some(out) = wishes.out {
            out.finish(&run, wishes.scenario_toml)?;
        }
        Ok(run)
    })
}

/// The same market, met by strategies without any idea; `None` if interrupted. Rivals, votes and arrivals are the same to the last draw.
fn play_nulls(setup: &Arc<Setup>, interrupted: &AtomicBool, progress: &(dyn Fn(u64) + Sync)) -> Result<Option<Vec<Null>>> {
    let one = |strategy| {
        let mut earner = Earner::default();
        let played = play::<std::io::Sink>(setup, strategy, &mut earner, None::<&mut NoJournal>, interrupted, progress)?;
        Ok(played.complete.then_some(Null { strategy, profit: played.engine, curve: Some(earner.curve) }))
    };
    let played: Vec<Option<Null>> = NULLS.into_par_iter().map(one).collect::<Result<_>>()?;
    let idle = Null { strategy: "null/abstain", profit: NctDelta::ZERO, curve: None };
    Ok([Some(idle)].into_iter().chain(played).collect())
}

/// Looks at what is earned alone.
#[derive(Default)]
struct Earner {
    profit: NctDelta,
    curve: Curve,
}

impl Observer for Earner {
    fn closed(&mut self, closed: &ClosedBounty<'_>) {
        self.profit += closed.profit();
        let none = Table::default();
        self.curve.add(closed.now, self.profit, NctDelta::ZERO, [&none; 2]);
    }
}

/// Plays `setup` once.
///
/// # Errors
///
/// If the corpus cannot be read on, the journal not be written, or an invariant is [`Broken`].
pub fn play<W: std::io::Write>(
    setup: &Arc<Setup>,
    strategy: &str,
    observer: &mut dyn Observer,
    journal: Option<&mut replay::journal::Journal<W>>,
    interrupted: &AtomicBool,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Played> {
    let mut told = 0;
    let mut tell = |closed: u64| {
        progress(closed - told);
        told = closed;
    };
    direct::play(setup, strategy, observer, journal, interrupted, &mut tell).map_err(play_error)
}

/// Why a market could not be played on, as an error that says whether an invariant is [`Broken`].
pub fn play_error(error: PlayError) -> anyhow::Error {
    match error {
        PlayError::Invariant(what) => Broken(what).into(),
        other => other.into(),
    }
}

/// Does `count` pieces of work on `jobs` threads, each whole on one of them, in order of their beginning; none is begun after
/// an error, or when `interrupted` became true.
///
/// # Errors
///
/// One of the errors that there were.
pub fn on_threads(count: usize, jobs: usize, interrupted: &AtomicBool, piece: &(dyn Fn(usize) -> Result<()> + Sync)) -> Result<()> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = || -> Result<()> {
        // Whatever a piece does in parallel is done on this thread alone.
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().context("cannot start threads")?;
        alone.install(|| {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= count || interrupted.load(Ordering::Relaxed) || failed.load(Ordering::Relaxed) {
                    return Ok(());
                }
                piece(at).inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
            }
        })
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.clamp(1, count.max(1))).map(|_| scope.spawn(work)).collect();
        let ended: Vec<Result<()>> =
            workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect();
        ended.into_iter().collect()
    })
}

/// What playing came to, with the exit code of its error.
///
/// # Errors
///
/// The error, marked: a [`Broken`] invariant, or a corpus that cannot be read on.
pub fn answer<T>(played: Result<T>) -> Result<T> {
    match played {
        Err(error) if error.is::<Broken>() => Err(error).or_exit(Exit::Broken),
        Err(error) if matches!(error.downcast_ref(), Some(PlayError::Setup(_))) => Err(error).or_exit(Exit::Usage),
        other => other,
    }
}

/// Number of times the bounties of a run are played in all, for a progress bar.
pub fn plays(nulls: bool) -> u64 {
    1 + if nulls { NULLS.len() as u64 } else { 0 }
}

/// Takes away what would outlive a program that ends at once: half a run directory, and what backends and strategies run.
pub fn abandon() {
    crate::output::abandon();
    engine::backend::command::abandon();
}

/// A flag that Ctrl-C (or a request to terminate) sets; the second one ends the program at once.
///
/// # Errors
///
/// If the handler cannot be installed.
pub fn interruption() -> Result<std::sync::Arc<AtomicBool>> {
    let flag = std::sync::Arc::new(AtomicBool::new(false));
    let seen = flag.clone();
    ctrlc::set_handler(move || {
        if seen.swap(true, Ordering::Relaxed) {
            abandon();
            std::process::exit(130);
        }
    })
    .context("cannot listen for Ctrl-C")?;
    Ok(flag)
}
