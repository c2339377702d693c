//! Several strategies in the same markets: who does what is drawn by address, so every strategy meets the same bounties,
//! rivals and votes, and any two can be compared bounty by bounty.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
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
    let runs = markets.len() * strategies.len();
    let done = Mutex::new((0..runs).map(|_| None).collect::<Vec<Option<Track>>>());
    // Market by market, so that all of one market's strategies are done at about the same time.
    execute::on_threads(runs, jobs, interrupted, &|at| {
        let track = run(&markets[at / strategies.len()], &strategies[at % strategies.len()], interrupted, progress)?;
        done.lock().unwrap_or_else(PoisonError::into_inner)[at] = Some(track);
        Ok(())
    })?;
    if interrupted.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let mut tracks: Vec<Vec<Track>> = strategies.iter().map(|_| Vec::with_capacity(markets.len())).collect();
    for (at, track) in done.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().enumerate() {
        let mut track = track.expect("every run was played");
        let strategy = at % strategies.len();
        if strategy > 0 {
            track.posted = Vec::new();
        }
        tracks[strategy].push(track);
    }
    Ok(Some(tracks))
}
