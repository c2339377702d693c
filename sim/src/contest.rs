//! Several strategies in the same markets: who does what is drawn by address, so every strategy meets the same bounties,
//! rivals and votes, and any two can be compared bounty by bounty.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::{Context as _, Result};
use market::{block::BlockNumber, nct::Nct};
use replay::{
    plan::Setup,
    world::{ClosedBounty, NoJournal, Observer, Played},
};

use crate::{execute, score::Scorecard};

/// One strategy in one market.
#[derive(Debug)]
pub struct Track {
    /// What each bounty brought, in NCT, in order of the corpus; nothing where it was left alone or never posted.
    pub profits: Vec<f64>,
    /// Block in which each bounty was posted, 0 if it never was; empty but for the first strategy, since it is the same for all.
    pub posted: Vec<BlockNumber>,
    /// What was counted.
    pub score: Scorecard,
    /// What it came to.
    pub played: Played,
}

/// Watches one strategy.
struct Watcher {
    profits: Vec<f64>,
    posted: Vec<BlockNumber>,
    score: Scorecard,
}

impl Observer for Watcher {
    fn locked(&mut self, now: BlockNumber, locked: Nct) {
        self.score.locked(now, locked);
    }

    fn closed(&mut self, closed: &ClosedBounty<'_>) {
        let number = usize::try_from(closed.plan.number).expect("it is one of those that were counted");
        (self.profits[number], self.posted[number]) = (closed.profit().to_f64(), closed.plan.posted);
        self.score.closed(closed);
    }
}

fn run(setup: &Arc<Setup>, strategy: &str, interrupted: &AtomicBool, progress: &(dyn Fn(u64) + Sync)) -> Result<Track> {
    let bounties = usize::try_from(setup.bounties).context("more bounties than this machine can number")?;
    let score = Scorecard::new(setup.population.rivals.len(), setup.bounties);
    let mut watcher = Watcher { profits: vec![0.0; bounties], posted: vec![BlockNumber(0); bounties], score };
    let played = execute::play::<std::io::Sink>(setup, strategy, &mut watcher, None::<&mut NoJournal>, interrupted, progress)?;
    let Watcher { profits, posted, score } = watcher;
    Ok(Track { profits, posted, score, played })
}

/// Plays every strategy in every market, on `jobs` threads, each run on one of them; `progress` hears of bounties that
/// are over. For each strategy its tracks, market by market; nothing if it was interrupted.
///
/// # Errors
///
/// The first error of a run: see [`execute::play`].
pub fn play(
    markets: &[Arc<Setup>],
    strategies: &[String],
    jobs: usize,
    interrupted: &AtomicBool,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Option<Vec<Vec<Track>>>> {
    // Market by market, so that all of one market's strategies are done at about the same time.
    let one = |at: usize| run(&markets[at / strategies.len()], &strategies[at % strategies.len()], interrupted, progress);
    let Some(all) = each(markets.len() * strategies.len(), jobs, interrupted, &one)? else { return Ok(None) };
    let mut tracks: Vec<Vec<Track>> = strategies.iter().map(|_| Vec::with_capacity(markets.len())).collect();
    for (at, mut track) in all.into_iter().enumerate() {
        let strategy = at % strategies.len();
        if strategy > 0 {
            track.posted = Vec::new();
        }
        tracks[strategy].push(track);
    }
    Ok(Some(tracks))
}

/// Carries out that many runs on `jobs` threads, each on one of them; nothing if it was interrupted.
///
/// # Errors
///
/// The first error, in order of the runs.
pub fn each<T: Send>(
    runs: usize,
    jobs: usize,
    interrupted: &AtomicBool,
    run: &(dyn Fn(usize) -> Result<T> + Sync),
) -> Result<Option<Vec<T>>> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new((0..runs).map(|_| None).collect::<Vec<Option<Result<T>>>>()));
    let work = || -> Result<()> {
        // Plans are drawn on the pool of the caller's thread: here, on this thread alone.
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().context("cannot start threads")?;
        alone.install(|| {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= runs || interrupted.load(Ordering::Relaxed) {
                    return;
                }
                let result = run(at);
                done.lock().unwrap_or_else(PoisonError::into_inner)[at] = Some(result);
            }
        });
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.clamp(1, runs.max(1))).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    if interrupted.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.into_iter().map(|result| result.expect("every run was played")).collect::<Result<Vec<T>>>().map(Some)
}
