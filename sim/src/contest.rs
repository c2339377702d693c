//! Several strategies in the same markets: who does what is drawn by address, so every strategy meets the same bounties,
//! rivals and votes, and any two can be compared bounty by bounty.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use anyhow::{Context as _, Result};
use engine::distill::DistilledVerdict;
use market::{block::BlockNumber, nct::Nct};
use replay::{
    plan::Setup,
    world::{ClosedBounty, NoJournal, Observer, Played},
};

use crate::{
    execute,
    score::{Scorecard, Table},
};

/// One strategy in one market.
#[derive(Debug)]
pub struct Track {
    /// What each bounty brought, in NCT, in order of the corpus; nothing where it was left alone or never posted.
    pub profits: Vec<f64>,
    /// Block in which each bounty was posted, 0 if it never was; empty but for the first strategy, since it is the same for all.
    pub posted: Vec<BlockNumber>,
    /// The engine's calls on the bounties of each period that is told apart, staked on or not; the same for all strategies, since
    /// verdicts are made before anybody stakes.
    pub calls: Vec<Calls>,
    /// What was counted.
    pub score: Scorecard,
    /// What it came to.
    pub played: Played,
}

/// The engine's calls on some artifacts.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Calls {
    /// Against the corpus label.
    pub label: Table,
    /// Against the arbiters' consensus.
    pub consensus: Table,
}

impl Calls {
    fn add(&mut self, closed: &ClosedBounty<'_>) {
        for (artifact, verdict) in closed.verdicts.iter().enumerate() {
            let Some(called) = verdict.as_ref().map(DistilledVerdict::malicious) else { continue };
            self.label.add(called, closed.plan.labels.contains(artifact));
            if let Some(consensus) = closed.consensus {
                self.consensus.add(called, consensus.contains(artifact));
            }
        }
    }

    /// Those of both.
    #[must_use]
    pub fn and(self, other: &Calls) -> Calls {
        Calls { label: self.label.and(&other.label), consensus: self.consensus.and(&other.consensus) }
    }
}

/// Watches one strategy.
struct Watcher<'a> {
    /// Numbers of bounties, from the first to before the last.
    periods: &'a [(u64, u64)],
    calls: Vec<Calls>,
    profits: Vec<f64>,
    posted: Vec<BlockNumber>,
    score: Scorecard,
}

impl Observer for Watcher<'_> {
    fn locked(&mut self, now: BlockNumber, locked: Nct) {
        self.score.locked(now, locked);
    }

    fn closed(&mut self, closed: &ClosedBounty<'_>) {
        let number = usize::try_from(closed.plan.number).expect("it is one of those that were counted");
        (self.profits[number], self.posted[number]) = (closed.profit().to_f64(), closed.plan.posted);
        let next = self.periods.partition_point(|&(_, to)| to <= closed.plan.number);
        if self.periods.get(next).is_some_and(|&(from, _)| from <= closed.plan.number) {
            self.calls[next].add(closed);
        }
        self.score.closed(closed);
    }
}

fn run(
    setup: &Arc<Setup>,
    strategy: &str,
    periods: &[(u64, u64)],
    interrupted: &AtomicBool,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Track> {
    let bounties = usize::try_from(setup.bounties).context("more bounties than this machine can number")?;
    let score = Scorecard::new(setup.population.rivals.len(), setup.bounties);
    let (mut profits, mut posted) = (Vec::new(), Vec::new());
    let room = profits.try_reserve_exact(bounties).and_then(|()| posted.try_reserve_exact(bounties));
    room.with_context(|| format!("{bounties} bounties are more than this machine can keep; compare on fewer with `--set bounties=N`"))?;
    profits.resize(bounties, 0.0);
    posted.resize(bounties, BlockNumber(0));
    let calls = vec![Calls::default(); periods.len()];
    let mut watcher = Watcher { periods, calls, profits, posted, score };
    let played = execute::play::<std::io::Sink>(setup, strategy, &mut watcher, None::<&mut NoJournal>, interrupted, progress)?;
    let Watcher { calls, profits, posted, score, .. } = watcher;
    Ok(Track { profits, posted, calls, score, played })
}

/// Plays every strategy in every market, on `jobs` threads, each run on one of them; `progress` hears of bounties that
/// are over. The engine's calls are counted in each of `periods`, which follow each other. For each strategy its tracks, market
/// by market; nothing if it was interrupted.
///
/// # Errors
///
/// The first error of a run: see [`execute::play`].
pub fn play(
    markets: &[Arc<Setup>],
    strategies: &[String],
    periods: &[(u64, u64)],
    jobs: usize,
    interrupted: &AtomicBool,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Option<Vec<Vec<Track>>>> {
    // Market by market, so that all of one market's strategies are done at about the same time.
    let one = |at: usize| run(&markets[at / strategies.len()], &strategies[at % strategies.len()], periods, interrupted, progress);
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
/// One of the errors of runs.
pub fn each<T: Send>(
    runs: usize,
    jobs: usize,
    interrupted: &AtomicBool,
    run: &(dyn Fn(usize) -> Result<T> + Sync),
) -> Result<Option<Vec<T>>> {
    let done = Mutex::new((0..runs).map(|_| None).collect::<Vec<Option<T>>>());
    execute::on_threads(runs, jobs, interrupted, &|at| {
        let result = run(at)?;
        done.lock().unwrap_or_else(PoisonError::into_inner)[at] = Some(result);
        Ok(())
    })?;
    if interrupted.load(Ordering::Relaxed) {
        return Ok(None);
    }
    Ok(done.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().collect())
}
