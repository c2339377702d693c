//! What the run had locked, how likely it was to lose its wallet, and what a wallet should hold.
//!
//! All of it in NCT as floats, from what happened: one profit and one time of decision for each bounty, and every change of
//! what was locked. How figures are defined is in `docs/explain.md`.

use engine::chance::fnv1a64;
use market::{block::BlockNumber, nct::Nct};
use rayon::prelude::*;
use replay::world::ClosedBounty;

use crate::statistics::{
    bootstrap::{LEAST, Plan, RESAMPLES},
    metrics, series,
};

/// Points of the series, at most.
pub const POINTS: u64 = 200;
/// Shares of time that quantiles of what was locked are given for.
pub const QUANTILES: [f64; 6] = [0.05, 0.25, 0.5, 0.75, 0.95, 0.99];
/// Shares of paths that a recommended deposit suffices for.
pub const SUFFICES: [f64; 2] = [0.95, 0.99];
/// Confidence of the intervals of deposits.
pub const CONFIDENCE: f64 = 0.9;
/// Other runs that the interval of a deposit is made of, at most and at least.
const RUNS: (usize, usize) = (99, 19);
/// Paths of each of them.
const PATHS: u32 = 199;
/// Bounties that are drawn for intervals, in all: with very many there are fewer other runs.
const DRAWS: usize = 400_000_000;

/// Writes down what capital figures are made of: 24 bytes for each bounty, and 32 for each assertion.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Recorder {
    changes: Vec<(BlockNumber, f64)>,
    bounties: Vec<Stay>,
    peak: Nct,
}

/// One bounty.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Stay {
    posted: BlockNumber,
    /// Blocks from posting to the decision.
    wait: u32,
    profit: f64,
}

impl Recorder {
    /// What is locked changed.
    pub fn locked(&mut self, now: BlockNumber, locked: Nct) {
        self.peak = self.peak.max(locked);
        self.changes.push((now, locked.to_f64()));
    }

    /// A bounty is over; they come in order of posting.
    pub fn closed(&mut self, closed: &ClosedBounty<'_>) {
        let plan = closed.plan;
        let wait = plan.scanned.0.saturating_sub(plan.posted.0).min(plan.duration);
        self.bounties.push(Stay { posted: plan.posted, wait: wait as u32, profit: closed.profit().to_f64() });
    }

    /// The most that was locked at any time.
    pub fn peak(&self) -> Nct {
        self.peak
    }

    /// What each bounty brought, in NCT.
    pub fn profits(&self) -> Vec<f64> {
        self.bounties.iter().map(|stay| stay.profit).collect()
    }

    /// What was locked over the blocks of a run.
    pub fn over(&self, first: BlockNumber, last: BlockNumber) -> Locked {
        // How long each amount was locked.
        let ends = self.changes.iter().skip(1).map(|(block, _)| *block).chain([last]);
        let mut lasted: Vec<(f64, u64)> =
            self.changes.iter().zip(ends).map(|((block, locked), end)| (*locked, end.0.saturating_sub(block.0))).collect();
        let begins = self.changes.first().map_or(last, |(block, _)| *block);
        lasted.push((0.0, begins.0.saturating_sub(first.0)));
        let blocks = last.0 - first.0;
        let mean =
            if blocks == 0 { 0.0 } else { lasted.iter().map(|(locked, blocks)| locked * *blocks as f64).sum::<f64>() / blocks as f64 };
        lasted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let quantile = |share: f64| {
            let (wanted, mut passed) = (share * blocks as f64, 0);
            let reached = lasted.iter().find(|(_, blocks)| {
                passed += blocks;
                passed as f64 >= wanted && *blocks > 0
            });
            reached.map_or(0.0, |(locked, _)| *locked)
        };
        let points = POINTS.min(blocks + 1);
        let at = |point: u64| {
            let block = BlockNumber(
                first.0 + if points > 1 { (u128::from(blocks) * u128::from(point) / u128::from(points - 1)) as u64 } else { 0 },
            );
            (block, self.locked_at(block))
        };
        Locked { mean, quantiles: QUANTILES.map(|share| (share, quantile(share))), series: (0..points).map(at).collect() }
    }

    /// What was locked at the end of a block.
    fn locked_at(&self, block: BlockNumber) -> f64 {
        let after = self.changes.partition_point(|(change, _)| *change <= block);
        after.checked_sub(1).map_or(0.0, |last| self.changes[last].1)
    }

    /// The most that was locked within a block.
    fn most_in(&self, block: BlockNumber) -> f64 {
        let (from, to) =
            (self.changes.partition_point(|(change, _)| *change < block), self.changes.partition_point(|(change, _)| *change <= block));
        let before = from.checked_sub(1).map_or(0.0, |last| self.changes[last].1);
        self.changes[from..to].iter().fold(before, |most, (_, locked)| most.max(*locked))
    }

    /// What every bounty asked of the wallet, where a bounty is settled `life` blocks after it was posted.
    pub fn demands(&self, life: u64) -> Demands {
        let demand = |(number, stay): (usize, &Stay)| {
            let decided = BlockNumber(stay.posted.0 + u64::from(stay.wait));
            // All live equally long, so those that are over come first. The engine settles when all else in a block is done.
            let settled = self.bounties[..number].partition_point(|earlier| earlier.posted.0 + life < decided.0);
            Demand { locked: self.most_in(decided), open: (number - settled) as u32, profit: stay.profit }
        };
        Demands(self.bounties.par_iter().enumerate().map(demand).collect())
    }
}

/// What was locked over time.
#[derive(Clone, PartialEq, Debug)]
pub struct Locked {
    /// The mean over blocks, in NCT.
    pub mean: f64,
    /// Shares of time, and what was not exceeded in them.
    pub quantiles: [(f64, f64); QUANTILES.len()],
    /// Blocks at even distances, and what was locked at their ends.
    pub series: Vec<(BlockNumber, f64)>,
}

/// How likely it is that losses use the wallet up.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Ruin {
    /// Lundberg's exponent, per NCT; infinite without a loss.
    pub theta: f64,
    /// The bound that follows from it.
    pub bound: f64,
    /// Share of resampled runs that lose it; none of too few bounties.
    pub frequency: Option<f64>,
}

impl Ruin {
    /// Of a wallet in a run of these profits, bounty by bounty.
    pub fn of(profits: &[f64], wallet: f64, plan: &Plan) -> Ruin {
        let theta = metrics::lundberg(profits);
        let frequency = metrics::ruin_frequency(profits, wallet, plan).ok();
        Ruin { theta, bound: metrics::ruin_bound(theta, wallet), frequency }
    }
}

/// What one bounty asks of the wallet.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Demand {
    /// The most that is locked in the block of its decision.
    locked: f64,
    /// Earlier bounties that are not over by then.
    open: u32,
    profit: f64,
}

/// What all bounties of a run ask of the wallet, in their order.
#[derive(Clone, PartialEq, Debug)]
pub struct Demands(Vec<Demand>);

/// A wallet that is enough in a share of runs such as this one.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Deposit {
    /// The share.
    pub share: f64,
    /// The wallet, in NCT.
    pub wallet: f64,
    /// Its interval.
    pub interval: (f64, f64),
}

impl Demands {
    /// The least wallet that is enough for a path of bounties: the greatest sum of what is locked when a bounty is decided on
    /// and what was lost on those that are settled by then.
    fn need(&self, path: impl Iterator<Item = usize>, earned: &mut Vec<f64>) -> f64 {
        earned.clear();
        earned.push(0.0);
        let (mut sum, mut need) = (0.0, 0.0f64);
        for (place, number) in path.enumerate() {
            let Demand { locked, open, profit } = self.0[number];
            need = need.max(locked - earned[place.saturating_sub(open as usize)]);
            sum += profit;
            earned.push(sum);
        }
        need
    }

    /// The least wallet that would have been enough for the run as it was.
    pub fn of_the_run(&self) -> f64 {
        self.need(0..self.0.len(), &mut Vec::new())
    }

    /// Wallets that are enough in shares of resampled runs; none of too few bounties.
    ///
    /// The intervals come from other runs that might have been: resamples that are resampled in their turn.
    pub fn deposits(&self, plan: &Plan) -> Option<[Deposit; SUFFICES.len()]> {
        let n = self.0.len();
        if n < LEAST {
            return None;
        }
        let needs = series::sorted(&plan.each(n, |places| self.need(places.iter().map(|&place| place as usize), &mut Vec::new())));
        let others = Plan { resamples: other_runs(n), seed: plan.seed ^ fnv1a64("other runs"), ..*plan };
        let of_other = |number: u32| {
            let paths =
                Plan { resamples: PATHS, seed: plan.seed ^ fnv1a64("paths of other runs").wrapping_add(u64::from(number)), ..*plan };
            let (mut run, mut places, mut earned) = (Vec::new(), Vec::new(), Vec::new());
            others.draw(number, n, &mut run);
            let path = |path: u32| {
                paths.draw(path, n, &mut places);
                self.need(places.iter().map(|&place| run[place as usize] as usize), &mut earned)
            };
            let needs = series::sorted(&(0..PATHS).map(path).collect::<Vec<f64>>());
            SUFFICES.map(|share| series::quantile(&needs, share))
        };
        let of_others: Vec<[f64; SUFFICES.len()]> = (0..others.resamples).into_par_iter().map(of_other).collect();
        let deposit = |at: usize| {
            let of_others = series::sorted(&of_others.iter().map(|other| other[at]).collect::<Vec<f64>>());
            let tail = 0.5 * (1.0 - CONFIDENCE);
            Deposit {
                share: SUFFICES[at],
                wallet: series::quantile(&needs, SUFFICES[at]),
                interval: (series::quantile(&of_others, tail), series::quantile(&of_others, 1.0 - tail)),
            }
        };
        Some(std::array::from_fn(deposit))
    }
}

/// Runs that might have been, of `n` bounties.
fn other_runs(n: usize) -> u32 {
    (DRAWS / (PATHS as usize * n.max(1))).clamp(RUNS.1, RUNS.0) as u32
}

/// About how many resamples say what a wallet must hold for `n` bounties: for who waits.
pub fn draws(n: usize) -> u64 {
    2 * u64::from(RESAMPLES) + u64::from(other_runs(n)) * u64::from(1 + PATHS)
}

/// The market's own rule of thumb for a deposit: bounties per day, times the mean bid, times the days that it is locked.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RuleOfThumb {
    /// Bounties that were asserted on, per day.
    pub bounties_per_day: f64,
    /// What was staked on each of them in the mean, in NCT.
    pub mean_bid: f64,
    /// Days from posting to settlement, at least one.
    pub days: f64,
}

impl RuleOfThumb {
    /// The deposit, in NCT.
    pub fn deposit(&self) -> f64 {
        self.bounties_per_day * self.mean_bid * self.days
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One NCT is locked for 20 of 40 blocks, and for a moment half of one more.
    fn recorder() -> Recorder {
        let mut recorder = Recorder::default();
        for (block, halves) in [(10, 2), (20, 3), (20, 2), (30, 0)] {
            recorder.locked(BlockNumber(block), Nct::wei(500_000_000_000_000_000 * halves));
        }
        recorder
    }

    #[test]
    fn what_is_locked_is_weighted_by_blocks() {
        let locked = recorder().over(BlockNumber(0), BlockNumber(40));
        assert_eq!((locked.mean, recorder().peak()), (0.5, Nct::wei(1_500_000_000_000_000_000)));
        assert_eq!(locked.quantiles, [(0.05, 0.0), (0.25, 0.0), (0.5, 0.0), (0.75, 1.0), (0.95, 1.0), (0.99, 1.0)]);
        let at = |block: usize| locked.series[block];
        assert_eq!(
            (locked.series.len(), at(9), at(10), at(20), at(30)),
            (41, (BlockNumber(9), 0.0), (BlockNumber(10), 1.0), (BlockNumber(20), 1.0), (BlockNumber(30), 0.0))
        );
        let long = recorder().over(BlockNumber(5), BlockNumber(100_000)).series;
        assert_eq!((long.len(), long[0].0, long[199].0), (200, BlockNumber(5), BlockNumber(100_000)));
        assert_eq!(Recorder::default().over(BlockNumber(3), BlockNumber(3)).series, [(BlockNumber(3), 0.0)]);
    }

    /// Bounties that are decided on in the block of their posting and settled ten blocks later.
    fn demands(bounties: &[(u64, f64)], locked: &[(u64, f64)]) -> Demands {
        let stay = |&(posted, profit): &(u64, f64)| Stay { posted: BlockNumber(posted), wait: 0, profit };
        let changes = locked.iter().map(|&(block, locked)| (BlockNumber(block), locked)).collect();
        Recorder { changes, bounties: bounties.iter().map(stay).collect(), peak: Nct::ZERO }.demands(10)
    }

    #[test]
    fn a_wallet_must_cover_what_is_locked_and_what_was_lost() {
        // One is lost and settled before the next begins.
        let apart = demands(&[(0, -1.0), (20, -1.0), (40, 1.0)], &[(0, 1.0), (10, 0.0), (20, 1.0), (30, 0.0), (40, 1.0), (50, 0.0)]);
        assert_eq!(apart.of_the_run(), 3.0);
        // Both are open at once: what is locked is not yet lost.
        let together = demands(&[(0, -1.0), (5, -1.0)], &[(0, 1.0), (5, 2.0), (10, 1.0), (15, 0.0)]);
        assert_eq!(together.of_the_run(), 2.0);
        // In the block of its settlement a stake is still locked.
        let at_once = demands(&[(0, 3.0), (10, 0.0)], &[(0, 1.0), (10, 2.0), (10, 1.0), (20, 0.0)]);
        assert_eq!(at_once.of_the_run(), 2.0);
        // Left alone, nothing is needed.
        assert_eq!(demands(&[(0, 0.0), (1, 0.0)], &[]).of_the_run(), 0.0);
    }

    #[test]
    fn deposits_grow_with_their_share_and_with_losses() {
        let run = |loss: f64| {
            let mut chance = engine::chance::Key::root(3).stream();
            let bounties: Vec<(u64, f64)> = (0..300).map(|number| (number, if chance.below(2) == 1 { 1.0 } else { -loss })).collect();
            let locked: Vec<(u64, f64)> = (0..311).map(|block: u64| (block, block.min(10).min(310 - block) as f64)).collect();
            demands(&bounties, &locked)
        };
        let plan = Plan { block: 3.0, resamples: 399, seed: 1 };
        let [safe, safer] = run(0.9).deposits(&plan).unwrap();
        assert!(safe.wallet > 10.0 && safe.wallet < safer.wallet, "{safe:?} {safer:?}");
        for Deposit { wallet, interval: (low, high), .. } in [safe, safer] {
            assert!(low < high && low < 1.5 * wallet && high > wallet, "{wallet} within {low} and {high}");
        }
        assert!(run(1.1).deposits(&plan).unwrap()[0].wallet > safer.wallet);
        assert_eq!(run(1.0).deposits(&plan), run(1.0).deposits(&plan));
        assert_eq!(demands(&[(0, 1.0); 9], &[]).deposits(&plan), None, "too few to resample");
        // Without anything to lose, what is locked is all that is needed.
        let [safe, safer] = run(-1.0).deposits(&plan).unwrap();
        assert_eq!((safe.wallet, safer.wallet, safer.interval), (10.0, 10.0, (10.0, 10.0)));
    }

    #[test]
    fn ruin_is_certain_for_who_loses_on_average_and_impossible_for_who_never_does() {
        let plan = Plan { block: 1.0, resamples: 199, seed: 1 };
        let loser: Vec<f64> = (0..200).map(|bounty| if bounty % 2 == 0 { -1.0 } else { 0.5 }).collect();
        assert_eq!(Ruin::of(&loser, 10.0, &plan), Ruin { theta: 0.0, bound: 1.0, frequency: Some(1.0) });
        assert_eq!(Ruin::of(&[1.0; 50], 10.0, &plan), Ruin { theta: f64::INFINITY, bound: 0.0, frequency: Some(0.0) });
        assert_eq!(Ruin::of(&[1.0], 10.0, &plan).frequency, None);
    }
}
