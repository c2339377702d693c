//! Strategies against each other: who spreads if earnings decide who is copied, and whose rule no other beats.
//!
//! All seats of the market are rivals with one engine's profile, each with luck of its own, so that strategies decide and not
//! scanners; the engine under test looks on. Seat by seat everybody is as good, and every market has the same bounties, votes
//! and verdicts of each seat: common random numbers.
//!
//! The first fifth of every market's bounties is there to learn from and counts for nothing.
//!
//! **Rounds.** A round is a whole market. The seats are shared among the strategies by their shares, by the largest remainder
//! (of equal ones, whoever has waited longest, then in order); from round to round everybody moves up by one seat. Then, as
//! replicators (Taylor and Jonker 1978, in the exponential form), share *= exp((f - mean)/(A/seats)), where f is what a seat of
//! the strategy earned per bounty, less that seat's luck: what it earned more than the mean seat where all had that strategy.
//! The mean is over seats by share, A/seats is an even part of the bounty, and the exponent is kept within -1 and 1. No share
//! falls below half a seat, so whoever is gone comes back to be tried. It is over when no share has moved by .0001 for as many
//! rounds as there are strategies.
//!
//! **Pairs.** One seat plays the row, all others the column. A column that no row beats, in its place and with its luck, is an
//! equilibrium as far as can be told: intervals of the differences are so wide that all rows of a column hold at once
//! (Bonferroni).

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use anyhow::{Context as _, Result};
use market::nct::NctDelta;
use replay::{
    plan::{Setup, SetupError},
    scenario::{RivalConfig, RivalModel, Scenario},
    world::{ClosedBounty, NoJournal, Observer},
};
use serde::{Deserialize, Serialize};

use crate::{
    contest, execute,
    run::CorpusFacts,
    statistics::{
        bootstrap::{Estimate, Plan},
        paired,
    },
};

/// The version of the data.
pub const SCHEMA: u32 = 1;
/// Bounties below which little can be seen.
const FEW: u64 = 300;
/// Of all intervals of a column together.
const CONFIDENCE: f64 = 0.95;
/// A share that moves by less stands still.
const STILL: f64 = 0.0001;
/// Part of the bounties, at the beginning, that does not count.
const LEARNING: f64 = 0.2;
/// The engine that is not in the game.
const BYSTANDER: &str = "null/abstain";

/// A tournament as data.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Tournament {
    pub schema: u32,
    pub version: String,
    pub scenario_sha256: String,
    pub corpus_sha256: String,
    pub seed: u64,
    pub inputs: Vec<String>,
    pub command: String,
    pub warnings: Vec<String>,
    pub corpus: CorpusFacts,
    pub rules: String,
    /// Of each market.
    pub bounties: u64,
    /// Of these, those at the beginning that are left out of all figures: whoever learns knows nothing yet.
    pub learning: u64,
    pub seats: usize,
    /// The engine that every seat behaves like.
    pub profile: String,
    pub model: RivalModel,
    pub strategies: Vec<String>,
    pub rounds: Vec<Round>,
    /// No share moved any more.
    pub settled: bool,
    pub ending: Ending,
    /// The strategies that had the lead, by half a seat or more when they took it, in order.
    pub leaders: Vec<String>,
    /// All rows of a column together.
    pub confidence: f64,
    /// Mean length of the blocks that were resampled, in bounties, of each column.
    pub blocks: Vec<f64>,
    /// By row, then by column.
    pub pairs: Vec<Vec<Pair>>,
    /// Columns that no row was seen to beat beyond chance.
    pub equilibria: Vec<String>,
}

/// One round; everything by strategy.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Round {
    pub seats: Vec<u32>,
    /// Per bounty, of one of its seats in the mean, less the seat's luck; nothing without a seat.
    pub profit_nct: Vec<Option<f64>>,
    /// Afterwards.
    pub shares: Vec<f64>,
}

/// How the rounds ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// One strategy has more than half of the seats, and nobody else had the lead in the second half.
    Wins,
    /// The lead did not change in the second half, and its share is less, or nobody ever had it.
    Mixed,
    /// The lead changed in the second half, and came back to somebody who had it before.
    Cycles,
    /// The lead changed in the second half.
    Open,
}

/// One seat with the row's strategy among seats with the column's.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Pair {
    /// Of that seat, per bounty.
    pub profit_nct: f64,
    /// What it earned more than with the column's strategy in that seat, per bounty.
    pub more_nct: f64,
    /// Of that; nothing where fewer than ten bounties differ.
    pub interval: Option<(f64, f64)>,
    /// The interval is above zero.
    pub beats: bool,
}

/// What a tournament is played in.
#[derive(Debug)]
pub struct Arena<'a> {
    setup: &'a Setup,
    /// That files of rivals are relative to.
    folder: &'a Path,
    strategies: &'a [String],
    seats: usize,
    group: RivalConfig,
}

/// Why there can be no tournament.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unplayable {
    #[error("--size {seats}: there are {strategies} strategies, and each must have a seat at first; raise --size")]
    FewSeats { seats: usize, strategies: usize },
    #[error("`rivals.0.model` is `none`: whoever has no opinion has nothing to stake on; use `two-factor`")]
    NoOpinions,
    #[error("`rivals.0.engines` is empty; name the engine that every seat is to behave like, as in --set 'rivals.0.engines=[\"K7GW\"]'")]
    NoProfile,
}

/// Watches the seats, once everybody had time to learn.
#[derive(Debug)]
struct Watcher {
    /// The first bounty that counts.
    from: u64,
    /// What each seat earned.
    sums: Vec<NctDelta>,
    /// What the first seat earned, bounty by bounty, in NCT.
    first: Vec<f64>,
}

impl Observer for Watcher {
    fn closed(&mut self, closed: &ClosedBounty<'_>) {
        let Some(number) = closed.plan.number.checked_sub(self.from) else { return };
        for (plan, index) in closed.plan.rivals.iter().zip(closed.rivals) {
            let Some(index) = index else { continue };
            let profit = closed.rewards.experts[*index as usize].profit();
            self.sums[plan.rival] += profit;
            if plan.rival == 0 {
                self.first[number as usize] = profit.to_f64();
            }
        }
    }
}

impl<'a> Arena<'a> {
    /// `seats` rivals in the market of `setup`, all of the first engine of its first group of rivals.
    ///
    /// # Errors
    ///
    /// If there are too few seats, or nobody to sit in them.
    pub fn new(setup: &'a Setup, folder: &'a Path, strategies: &'a [String], seats: usize) -> Result<Arena<'a>, Unplayable> {
        if seats < strategies.len() {
            return Err(Unplayable::FewSeats { seats, strategies: strategies.len() });
        }
        let first = setup.scenario.rivals.first().cloned().unwrap_or_default();
        let model = match first.model {
            RivalModel::None => return Err(Unplayable::NoOpinions),
            // A column is one voice: all seats would say the same.
            RivalModel::Auto | RivalModel::Recorded => RivalModel::TwoFactor,
            model => model,
        };
        let engines = vec![first.engines.first().cloned().ok_or(Unplayable::NoProfile)?];
        let group = RivalConfig { model, engines, count: seats as u32, per_bounty: 0, ..first };
        Ok(Arena { setup, folder, strategies, seats, group })
    }

    /// The market in which those strategies sit in the seats.
    fn market(&self, seats: &[usize]) -> Result<Arc<Setup>, SetupError> {
        let strategies = seats.iter().map(|&strategy| self.strategies[strategy].clone()).collect();
        let group = RivalConfig { strategies, ..self.group.clone() };
        let scenario = Scenario { rivals: vec![group], ..self.setup.scenario.clone() };
        Ok(Arc::new(self.setup.under(scenario, self.folder)?))
    }

    /// Plays the market in which those strategies sit in the seats; nothing if it was interrupted.
    fn watch(&self, seats: &[usize], interrupted: &AtomicBool, progress: &(dyn Fn(u64) + Sync)) -> Result<Option<Watcher>> {
        let from = self.learning();
        let judged = usize::try_from(self.setup.bounties - from).context("more bounties than this machine can number")?;
        let mut watcher = Watcher { from, sums: vec![NctDelta::ZERO; self.seats], first: vec![0.0; judged] };
        let market = self.market(seats)?;
        let played = execute::play::<std::io::Sink>(&market, BYSTANDER, &mut watcher, None::<&mut NoJournal>, interrupted, progress)?;
        Ok(played.complete.then_some(watcher))
    }

    /// Bounties at the beginning that do not count.
    fn learning(&self) -> u64 {
        (self.setup.bounties as f64 * LEARNING) as u64
    }

    /// Times that bounties are played at most.
    pub fn plays(&self, rounds: usize) -> u64 {
        self.setup.bounties.saturating_mul((rounds + self.strategies.len().pow(2)) as u64)
    }

    /// Plays everything on `jobs` threads; nothing if it was interrupted. `progress` hears of bounties that are over.
    ///
    /// # Errors
    ///
    /// If a market cannot be set up or played, or has too few bounties.
    pub fn play(
        &self,
        rounds: usize,
        jobs: usize,
        scenario_sha256: [u8; 32],
        command: String,
        interrupted: &AtomicBool,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Option<Tournament>> {
        let threads = rayon::ThreadPoolBuilder::new().num_threads(jobs).build().context("cannot start threads")?;
        // Whether figures can be had at all is known before the rounds are played.
        let Some(markets) = self.play_pairs(jobs, interrupted, progress)? else { return Ok(None) };
        let (pairs, blocks) = threads.install(|| self.pairs(&markets))?;
        let luck: Vec<Vec<f64>> = (0..self.strategies.len()).map(|strategy| luck(&markets[strategy][strategy])).collect();
        let Some((rounds, settled)) = threads.install(|| self.rounds(rounds, &luck, interrupted, progress))? else { return Ok(None) };
        let (leaders, ending) = end(&rounds, 0.5 / self.seats as f64);
        let name = |strategy: usize| self.strategies[strategy].clone();
        let unbeaten = |column: &usize| pairs.iter().all(|row| !row[*column].beats);
        let setup = self.setup;
        let mixed: Vec<usize> = (0..self.seats).map(|seat| seat % self.strategies.len()).collect();
        let mut warnings = self.market(&mixed)?.warnings.clone();
        let counted = setup.bounties - self.learning();
        if counted < FEW {
            warnings.push(format!("{counted} bounties are few: what is not seen to beat another may do so all the same"));
        }
        Ok(Some(Tournament {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            scenario_sha256: hex::encode(scenario_sha256),
            corpus_sha256: hex::encode(setup.summary.sha256),
            seed: setup.scenario.seed,
            inputs: setup.inputs.clone(),
            command,
            warnings,
            corpus: CorpusFacts::of(setup),
            rules: setup.rules.name.to_owned(),
            bounties: setup.bounties,
            learning: self.learning(),
            seats: self.seats,
            profile: self.group.engines[0].clone(),
            model: self.group.model,
            strategies: self.strategies.to_vec(),
            rounds,
            settled,
            ending,
            leaders: leaders.into_iter().map(name).collect(),
            confidence: CONFIDENCE,
            blocks,
            equilibria: (0..self.strategies.len()).filter(unbeaten).map(name).collect(),
            pairs,
        }))
    }

    /// What was seen in the markets of all pairs: by row, then by column.
    fn play_pairs(&self, jobs: usize, interrupted: &AtomicBool, progress: &(dyn Fn(u64) + Sync)) -> Result<Option<Vec<Vec<Watcher>>>> {
        let strategies = self.strategies.len();
        let run = |at: usize| -> Result<Option<Watcher>> {
            let mut seats = vec![at % strategies; self.seats];
            seats[0] = at / strategies;
            self.watch(&seats, interrupted, progress)
        };
        let Some(all) = contest::each(strategies * strategies, jobs, interrupted, &run)? else { return Ok(None) };
        let Some(all) = all.into_iter().collect::<Option<Vec<Watcher>>>() else { return Ok(None) };
        let mut all = all.into_iter();
        Ok(Some((0..strategies).map(|_| all.by_ref().take(strategies).collect()).collect()))
    }

    /// What the profits of the first seat say, and the mean length of the blocks for each column.
    fn pairs(&self, markets: &[Vec<Watcher>]) -> Result<(Vec<Vec<Pair>>, Vec<f64>)> {
        let strategies = self.strategies.len();
        let level = 1.0 - (1.0 - CONFIDENCE) / (strategies - 1) as f64;
        let (mut pairs, mut blocks) = (vec![Vec::with_capacity(strategies); strategies], Vec::with_capacity(strategies));
        for column in 0..strategies {
            let own = &markets[column][column].first;
            let more = markets.iter().map(|row| paired::differences(&row[column].first, own)).collect::<Result<Vec<_>, _>>()?;
            let plan = Plan::of(more.iter().map(Vec::as_slice), self.setup.scenario.seed);
            blocks.push(plan.block);
            for (row, more) in more.iter().enumerate() {
                let profit_nct = mean(&markets[row][column].first);
                let (more_nct, interval) = match paired::difference(more, &plan, level)? {
                    Estimate::Interval(interval) => (interval.estimate, Some((interval.low, interval.high))),
                    Estimate::TooFew { estimate, .. } => (estimate, None),
                };
                let interval = interval.filter(|(low, high)| low.is_finite() && high.is_finite());
                pairs[row].push(Pair { profit_nct, more_nct, interval, beats: interval.is_some_and(|(low, _)| low > 0.0) });
            }
        }
        Ok((pairs, blocks))
    }

    /// The rounds, and whether they came to rest; `luck` is by strategy and seat, in NCT.
    fn rounds(
        &self,
        most: usize,
        luck: &[Vec<f64>],
        interrupted: &AtomicBool,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Option<(Vec<Round>, bool)>> {
        let strategies = self.strategies.len();
        let ambassadors = &self.setup.scenario.ambassadors;
        let part = ambassadors.amount.to_f64() * f64::from(ambassadors.artifacts) / self.seats as f64;
        let (mut shares, mut waited) = (vec![1.0 / strategies as f64; strategies], vec![0; strategies]);
        let (mut rounds, mut still) = (Vec::new(), 0);
        while rounds.len() < most && still < strategies {
            let seats = allot(&shares, self.seats, &waited);
            let places = arrange(&seats, rounds.len());
            let Some(watcher) = self.watch(&places, interrupted, progress)? else { return Ok(None) };
            let mut earned = vec![0.0; strategies];
            for (seat, (&strategy, profit)) in places.iter().zip(&watcher.sums).enumerate() {
                earned[strategy] += profit.to_f64() - luck[strategy][seat];
            }
            let bounties = watcher.first.len() as f64;
            let profit_nct: Vec<Option<f64>> =
                earned.iter().zip(&seats).map(|(&sum, &seats)| (seats > 0).then(|| sum / f64::from(seats) / bounties)).collect();
            let next = replicate(&shares, &profit_nct, part, 0.5 / self.seats as f64);
            let moved = shares.iter().zip(&next).any(|(before, after)| (before - after).abs() >= STILL);
            still = if moved { 0 } else { still + 1 };
            for (waited, &seats) in waited.iter_mut().zip(&seats) {
                *waited = if seats > 0 { 0 } else { *waited + 1 };
            }
            shares.clone_from(&next);
            rounds.push(Round { seats, profit_nct, shares: next });
        }
        Ok(Some((rounds, still >= strategies)))
    }
}

/// What each seat earned more than the mean of them, in NCT.
fn luck(watcher: &Watcher) -> Vec<f64> {
    let earned: Vec<f64> = watcher.sums.iter().map(|sum| sum.to_f64()).collect();
    let mean = mean(&earned);
    earned.into_iter().map(|earned| earned - mean).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Seats by share, by the largest remainder; of equal ones, whoever has `waited` longest comes first.
fn allot(shares: &[f64], seats: usize, waited: &[u32]) -> Vec<u32> {
    let quota: Vec<f64> = shares.iter().map(|share| share * seats as f64).collect();
    // A quota of a whole number may be some bits below it.
    let whole = |quota: f64| (quota + 1e-9).floor();
    let mut allotted: Vec<u32> = quota.iter().map(|&quota| whole(quota) as u32).collect();
    let left = (seats as u32).saturating_sub(allotted.iter().sum::<u32>());
    let remainder = |strategy: usize| ((quota[strategy] - whole(quota[strategy])) * 1e6).round();
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by(|&a, &b| remainder(b).total_cmp(&remainder(a)).then(waited[b].cmp(&waited[a])));
    order.into_iter().take(left as usize).for_each(|strategy| allotted[strategy] += 1);
    allotted
}

/// Who sits where: strategy by strategy, and moved up by one seat from round to round.
fn arrange(seats: &[u32], round: usize) -> Vec<usize> {
    let mut places: Vec<usize> = seats.iter().enumerate().flat_map(|(strategy, &count)| vec![strategy; count as usize]).collect();
    let by = round % places.len().max(1);
    places.rotate_right(by);
    places
}

/// The shares after a round: see the module.
fn replicate(shares: &[f64], profits: &[Option<f64>], part: f64, least: f64) -> Vec<f64> {
    let seated = || shares.iter().zip(profits).filter_map(|(share, profit)| Some((share, (*profit)?)));
    let weight: f64 = seated().map(|(share, _)| share).sum();
    let mean = seated().map(|(share, profit)| share * profit).sum::<f64>() / weight;
    // Whoever had no seat has earned neither more nor less than the others.
    let factor = |profit: &Option<f64>| profit.map_or(1.0, |profit| libm::exp(((profit - mean) / part).clamp(-1.0, 1.0)));
    let grown: Vec<f64> = shares.iter().zip(profits).map(|(share, profit)| share * factor(profit)).collect();
    let mut at_least = vec![false; shares.len()];
    loop {
        let kept = at_least.iter().filter(|&&fixed| fixed).count() as f64 * least;
        let free: f64 = grown.iter().zip(&at_least).filter(|(_, fixed)| !**fixed).map(|(share, _)| share).sum();
        let share = |(grown, fixed): (&f64, &bool)| if *fixed { least } else { grown * (1.0 - kept) / free };
        let shares: Vec<f64> = grown.iter().zip(&at_least).map(share).collect();
        if shares.iter().zip(&at_least).all(|(share, fixed)| *fixed || *share >= least) {
            return shares;
        }
        at_least.iter_mut().zip(&shares).for_each(|(fixed, share)| *fixed |= *share < least);
    }
}

/// Who had the lead, each time it was another, and what to make of it. The lead is taken by a share that exceeds the
/// leader's, or at first everybody's, by `margin`: less is chance.
fn end(rounds: &[Round], margin: f64) -> (Vec<usize>, Ending) {
    let mut lead = None;
    let mut leaders = Vec::with_capacity(rounds.len());
    for Round { shares, .. } in rounds {
        let best = (0..shares.len()).reduce(|best, other| if shares[other] > shares[best] { other } else { best }).unwrap_or(0);
        let ahead_of = lead.map_or_else(
            || (0..shares.len()).filter(|&other| other != best).map(|other| shares[other]).fold(0.0, f64::max),
            |leader: usize| shares[leader],
        );
        if shares[best] >= ahead_of + margin {
            lead = Some(best);
        }
        leaders.push(lead);
    }
    let mut changes: Vec<usize> = leaders.iter().copied().flatten().collect();
    changes.dedup();
    let second_half = &leaders[leaders.len() / 2..];
    let last = rounds.last().map(|round| round.shares.as_slice()).unwrap_or_default();
    let ending = match (second_half.iter().all(|leader| *leader == lead), lead) {
        (true, Some(leader)) if last[leader] > 0.5 => Ending::Wins,
        (true, _) => Ending::Mixed,
        (false, _) if changes.iter().enumerate().any(|(at, leader)| changes[..at].contains(leader)) => Ending::Cycles,
        // Whoever has more than half of the seats took the lead late, but from nobody.
        (false, Some(leader)) if changes.len() == 1 && last[leader] > 0.5 => Ending::Wins,
        (false, _) if changes.len() < 2 => Ending::Mixed,
        (false, _) => Ending::Open,
    };
    (changes, ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_follow_shares_and_ties_go_to_whoever_waited() {
        assert_eq!(allot(&[0.5, 0.25, 0.25], 12, &[0, 0, 0]), [6, 3, 3]);
        assert_eq!(allot(&[1.0 / 3.0; 3], 12, &[0, 0, 0]), [4, 4, 4]);
        assert_eq!(allot(&[1.0 / 3.0; 3], 10, &[0, 0, 0]), [4, 3, 3]);
        let floor = 0.5 / 12.0;
        assert_eq!(allot(&[1.0 - 2.0 * floor, floor, floor], 12, &[0, 0, 0]), [11, 1, 0]);
        assert_eq!(allot(&[1.0 - 2.0 * floor, floor, floor], 12, &[0, 0, 1]), [11, 0, 1]);
        assert_eq!(arrange(&[2, 1], 0), [0, 0, 1]);
        assert_eq!(arrange(&[2, 1], 1), [1, 0, 0]);
    }

    #[test]
    fn the_better_grows_and_nobody_is_lost() {
        let shares = replicate(&[0.5, 0.5], &[Some(0.2), Some(0.1)], 0.5, 0.05);
        let odds = shares[0] / shares[1];
        assert!((odds - libm::exp(0.2)).abs() < 1e-12 && (shares.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{shares:?}");
        assert_eq!(replicate(&[0.5, 0.5], &[Some(0.2), Some(0.2)], 0.5, 0.05), [0.5, 0.5]);
        // However bad, a share keeps half a seat; the others share the rest.
        let shares = replicate(&[0.8, 0.14, 0.06], &[Some(1.0), Some(1.0), Some(-9.0)], 0.5, 0.05);
        assert!(shares[2] == 0.05 && (shares[0] / shares[1] - 0.8 / 0.14).abs() < 1e-9, "{shares:?}");
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{shares:?}");
        // Who was not there keeps what it had.
        assert_eq!(replicate(&[0.9, 0.1], &[Some(3.0), None], 0.5, 0.05), [0.9, 0.1]);
    }

    #[test]
    fn a_lead_that_returns_is_a_cycle() {
        let ending = |leaders: &[usize]| {
            let round = |&leader: &usize| {
                let mut shares = vec![0.2; 3];
                shares[leader] = 0.6;
                Round { seats: Vec::new(), profit_nct: Vec::new(), shares }
            };
            end(&leaders.iter().map(round).collect::<Vec<_>>(), 0.05)
        };
        assert_eq!(ending(&[0, 1, 1, 1]), (vec![0, 1], Ending::Wins));
        assert_eq!(ending(&[0, 1, 2, 0, 1, 2]), (vec![0, 1, 2, 0, 1, 2], Ending::Cycles));
        assert_eq!(ending(&[0, 0, 1, 2]), (vec![0, 1, 2], Ending::Open));
        // What is no lead does not go round.
        let about_even = |shares: [f64; 2]| Round { seats: Vec::new(), profit_nct: Vec::new(), shares: shares.to_vec() };
        let rounds = [[0.51, 0.49], [0.49, 0.51], [0.51, 0.49], [0.49, 0.51]].map(about_even);
        assert_eq!(end(&rounds, 0.05), (vec![], Ending::Mixed));
    }
}
