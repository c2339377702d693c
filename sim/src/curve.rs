//! Equity and capital over market time, in a bounded number of points.
//!
//! A point stands for so many bounties in a row: it keeps the least and the most that the equity was on the way, so that no
//! fall is lost, and what it was in the end. When there are too many points, neighbours become one, and stand for twice as many
//! bounties each. Memory does not grow with the run.

use market::{
    block::BlockNumber,
    nct::{Nct, NctDelta},
};
use serde::{Deserialize, Serialize};

use crate::statistics::{
    bootstrap::{self, Plan, Resampled},
    rare,
};

/// Points at most; half of that at least, once there are as many bounties.
const POINTS: usize = 512;
/// Confidence of the interval.
const CONFIDENCE: f64 = 0.95;

#[derive(Clone, Copy, PartialEq, Debug, Default)]
struct Point {
    block: BlockNumber,
    /// In NCT: sums were made in wei, and are only looked at here.
    equity: f64,
    low: f64,
    high: f64,
    drawdown: f64,
    locked: Nct,
}

impl Point {
    /// Both as one, the second of which follows the first.
    fn and(self, next: Point) -> Point {
        Point {
            low: self.low.min(next.low),
            high: self.high.max(next.high),
            drawdown: self.drawdown.max(next.drawdown),
            locked: self.locked.max(next.locked),
            ..next
        }
    }
}

/// A curve that grows bounty by bounty.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Curve {
    /// Whole points, each of `1 << doublings` bounties.
    points: Vec<Point>,
    doublings: u32,
    /// The point that grows, and its bounties so far.
    open: Point,
    bounties: u64,
    /// In escrow now.
    locked: Nct,
}

impl Curve {
    /// The capital in escrow changed.
    #[inline]
    pub fn lock(&mut self, locked: Nct) {
        self.locked = locked;
        if locked > self.open.locked {
            self.open.locked = locked;
        }
    }

    /// A bounty is over; the profit of all so far is `equity`, and that much below the most that it was before.
    #[inline]
    pub fn add(&mut self, block: BlockNumber, equity: NctDelta, below: NctDelta) {
        let (equity, below) = (equity.to_f64(), if below == NctDelta::ZERO { 0.0 } else { below.to_f64() });
        let open = &mut self.open;
        if self.bounties == 0 {
            (open.low, open.high, open.drawdown) = (equity, equity, below);
        }
        (open.block, open.equity) = (block, equity);
        (open.low, open.high, open.drawdown) = (open.low.min(equity), open.high.max(equity), open.drawdown.max(below));
        self.bounties += 1;
        if self.bounties == 1 << self.doublings {
            self.close();
        }
    }

    fn close(&mut self) {
        self.points.push(self.open);
        self.open = Point { locked: self.locked, ..Point::default() };
        self.bounties = 0;
        if self.points.len() == POINTS {
            self.points = self.points.chunks_exact(2).map(|pair| pair[0].and(pair[1])).collect();
            self.doublings += 1;
        }
    }

    /// The points, the one that is not whole last.
    pub fn facts(&self) -> CurveFacts {
        let open = (self.bounties > 0).then_some(&self.open);
        let facts = |point: &Point| PointFacts {
            block: point.block.0,
            equity_nct: point.equity,
            low_nct: point.low,
            high_nct: point.high,
            drawdown_nct: point.drawdown,
            locked_nct: point.locked.to_f64(),
        };
        CurveFacts { bounties_per_point: 1 << self.doublings, points: self.points.iter().chain(open).map(facts).collect() }
    }

    /// How well the mean profit per bounty, which is `mean` NCT, is known; nothing of too short a run.
    ///
    /// The points' profits are resampled (the stationary bootstrap, studentized, see `docs/statistics.md`): sums of neighbours keep
    /// what dependence there is among these. The last point is left out if it is not whole.
    pub fn interval(&self, mean: f64, lost: u64, seed: u64) -> Option<IntervalFacts> {
        let before = [0.0].into_iter().chain(self.points.iter().map(|point| point.equity));
        let bounties_per_block = 1 << self.doublings;
        let profits = self.points.iter().zip(before).map(|(point, before)| (point.equity - before) / bounties_per_block as f64);
        let profits: Vec<f64> = profits.collect();
        let plan = Plan::of([profits.as_slice()], seed);
        let interval = Resampled::new(&[&profits], &plan).ok()?.studentized(0, CONFIDENCE);
        let ends = (mean + interval.low - interval.estimate, mean + interval.high - interval.estimate);
        let bounties = profits.len() as u64 * bounties_per_block + self.bounties;
        let enough = lost >= rare::FEWEST as u64;
        Some(IntervalFacts {
            confidence: CONFIDENCE,
            nct: (enough && ends.0.is_finite() && ends.1.is_finite()).then_some(ends),
            losing_share_at_most: (!enough).then(|| rare::at_most(lost as usize, bounties as usize, 1.0 - CONFIDENCE)),
            bounties_per_block,
            blocks: profits.len(),
            resamples: bootstrap::RESAMPLES,
        })
    }
}

/// Equity and capital over market time.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct CurveFacts {
    /// Bounties in a row that a point stands for; the last one may stand for fewer.
    pub bounties_per_point: u64,
    /// In order of time.
    pub points: Vec<PointFacts>,
}

/// Some bounties in a row.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct PointFacts {
    /// When the last of them was over.
    pub block: u64,
    /// Profit of all bounties up to then.
    pub equity_nct: f64,
    /// The least that it was after any of these bounties.
    pub low_nct: f64,
    /// The most.
    pub high_nct: f64,
    /// The deepest that it was below the most before.
    pub drawdown_nct: f64,
    /// The most that was in escrow meanwhile.
    pub locked_nct: f64,
}

/// How well a mean profit per bounty is known.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct IntervalFacts {
    pub confidence: f64,
    /// Its ends; nothing if they hang on too few losing bounties.
    pub nct: Option<(f64, f64)>,
    /// Where that is so: the highest share of losing bounties that is not refuted.
    pub losing_share_at_most: Option<f64>,
    /// Bounties in a row that were resampled as one.
    pub bounties_per_block: u64,
    pub blocks: usize,
    pub resamples: u32,
}

#[cfg(test)]
mod tests {
    use engine::chance::Key;

    use super::*;

    fn signed(nct: i64) -> NctDelta {
        let amount = NctDelta::from(Nct::whole(nct.unsigned_abs()));
        if nct < 0 { NctDelta::ZERO - amount } else { amount }
    }

    fn curve(profits: impl IntoIterator<Item = i64>) -> Curve {
        let (mut curve, mut equity, mut peak) = (Curve::default(), NctDelta::ZERO, NctDelta::ZERO);
        for (block, profit) in (1..).zip(profits) {
            equity += signed(profit);
            peak = peak.max(equity);
            curve.add(BlockNumber(block), equity, peak - equity);
        }
        curve
    }

    #[test]
    fn few_bounties_are_told_one_by_one() {
        let facts = curve([3, -1, 2]).facts();
        assert_eq!(facts.bounties_per_point, 1);
        let told: Vec<_> = facts.points.iter().map(|point| (point.block, point.equity_nct, point.low_nct, point.high_nct)).collect();
        assert_eq!(told, [(1, 3.0, 3.0, 3.0), (2, 2.0, 2.0, 2.0), (3, 4.0, 4.0, 4.0)]);
        assert_eq!(Curve::default().facts().points, []);
    }

    #[test]
    fn of_many_bounties_no_fall_is_lost() {
        for count in [511_usize, 512, 513, 100_000] {
            let fall = count / 3;
            let profits = (0..count).map(|bounty| {
                if bounty == fall {
                    -100_000
                } else if bounty == fall + 1 {
                    100_000
                } else {
                    1
                }
            });
            let facts = curve(profits).facts();
            assert!(facts.points.len() <= POINTS + 1 && facts.points.len() as u64 * facts.bounties_per_point >= count as u64, "{count}");
            let least = facts.points.iter().map(|point| point.low_nct).fold(f64::INFINITY, f64::min);
            assert!((least - (fall as f64 - 100_000.0)).abs() < 1e-9, "{count}: {least}");
            let deepest = facts.points.iter().map(|point| point.drawdown_nct).fold(0.0, f64::max);
            assert!((deepest - 100_000.0).abs() < 1e-9, "{count}: {deepest}");
            assert_eq!(facts.points.last().map(|point| (point.block, point.equity_nct)), Some((count as u64, count as f64 - 2.0)));
        }
    }

    #[test]
    fn capital_that_stays_locked_is_in_every_point() {
        let mut curve = Curve::default();
        curve.lock(Nct::whole(5));
        curve.add(BlockNumber(1), NctDelta::ZERO, NctDelta::ZERO);
        curve.add(BlockNumber(2), NctDelta::ZERO, NctDelta::ZERO);
        curve.lock(Nct::whole(9));
        curve.lock(Nct::whole(2));
        curve.add(BlockNumber(3), NctDelta::ZERO, NctDelta::ZERO);
        curve.add(BlockNumber(4), NctDelta::ZERO, NctDelta::ZERO);
        assert_eq!(curve.facts().points.iter().map(|point| point.locked_nct).collect::<Vec<_>>(), [5.0, 5.0, 9.0, 2.0]);
    }

    #[test]
    fn the_interval_holds_the_mean_and_needs_losses() {
        let mut chance = Key::root(3).stream();
        let profits: Vec<i64> = (0..20_000).map(|_| if chance.uniform() < 0.3 { -2 } else { 1 }).collect();
        let (mean, lost) = (profits.iter().sum::<i64>() as f64 / 20_000.0, profits.iter().filter(|&&profit| profit < 0).count() as u64);
        let (low, high) = curve(profits).interval(mean, lost, 0).unwrap().nct.unwrap();
        // Its half width is 1.96 standard errors: 1.96 x sqrt(0.3 x 0.7 x 9 / 20,000) = 0.019.
        assert!(low < mean && mean < high && (0.015..0.024).contains(&((high - low) / 2.0)), "{low} {mean} {high}");
        let none = curve([1; 100]).interval(1.0, 0, 0).unwrap();
        assert!(none.nct.is_none() && none.losing_share_at_most.is_some_and(|share| (0.02..0.04).contains(&share)), "{none:?}");
        assert_eq!(curve([1; 5]).interval(1.0, 0, 0), None);
    }
}
