//! Equity, capital and calls over market time, in a bounded number of points; and how sure what they come to is.
//!
//! A point stands for so many bounties in a row: it keeps the least and the most that the equity was on the way, so that no
//! fall is lost, and what it was in the end. When there are too many points, neighbours become one, and stand for twice as many
//! bounties each. Memory does not grow with the run.
//!
//! Intervals come from resampling the points (the stationary bootstrap, studentized, see `docs/statistics.md`): sums of
//! neighbours keep what dependence there is among these. The last point is left out if it is not whole.

use market::{
    block::BlockNumber,
    nct::{Nct, NctDelta},
};
use serde::{Deserialize, Serialize};

use crate::{
    score::Table,
    statistics::{
        bootstrap::{self, Interval, Plan, Resampled},
        rare,
    },
};

/// Points at most; half of that at least, once there are as many bounties.
const POINTS: usize = 512;
/// Confidence of intervals.
pub const CONFIDENCE: f64 = 0.95;

#[derive(Clone, Copy, PartialEq, Debug, Default)]
struct Point {
    block: BlockNumber,
    /// In NCT: sums were made in wei, and are only looked at here.
    equity: f64,
    low: f64,
    high: f64,
    drawdown: f64,
    locked: Nct,
    /// All calls so far, against the consensus and against the label.
    calls: [Table; 2],
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

    /// A bounty is over; the profit of all so far is `equity`, and that much below the most that it was before. `calls` are all
    /// calls so far, against the consensus and against the label.
    #[inline]
    pub fn add(&mut self, block: BlockNumber, equity: NctDelta, below: NctDelta, calls: [&Table; 2]) {
        let (equity, below) = (equity.to_f64(), if below == NctDelta::ZERO { 0.0 } else { below.to_f64() });
        let open = &mut self.open;
        if self.bounties == 0 {
            (open.low, open.high, open.drawdown) = (equity, equity, below);
        }
        (open.block, open.equity) = (block, equity);
        (open.low, open.high, open.drawdown) = (open.low.min(equity), open.high.max(equity), open.drawdown.max(below));
        self.bounties += 1;
        if self.bounties == 1 << self.doublings {
            open.calls = calls.map(|table| *table);
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
        CurveFacts { bounties_per_point: self.per_point(), points: self.points.iter().chain(open).map(facts).collect() }
    }

    /// The mean profit per bounty of each whole point, in NCT.
    fn profits(&self) -> Vec<f64> {
        let before = [0.0].into_iter().chain(self.points.iter().map(|point| point.equity));
        self.points.iter().zip(before).map(|(point, before)| (point.equity - before) / self.per_point() as f64).collect()
    }

    /// Bounties of a whole point.
    fn per_point(&self) -> u64 {
        1 << self.doublings
    }

    /// How well the mean profit per bounty, which is `mean` NCT, is known; nothing of too short a run.
    pub fn interval(&self, mean: f64, lost: u64, seed: u64) -> Option<IntervalFacts> {
        let profits = self.profits();
        let interval = resampled(&profits, seed)?;
        let bounties = profits.len() as u64 * self.per_point() + self.bounties;
        let enough = lost >= rare::FEWEST as u64;
        Some(IntervalFacts {
            confidence: CONFIDENCE,
            nct: around(mean, interval, 1.0).filter(|_| enough),
            losing_share_at_most: (!enough).then(|| rare::at_most(lost as usize, bounties as usize, 1.0 - CONFIDENCE)),
            bounties_per_block: self.per_point(),
            blocks: profits.len(),
            resamples: bootstrap::RESAMPLES,
        })
    }

    /// The interval of what all bounties together brought more than on the curve of another strategy on the same ones, which is
    /// `gain` NCT; none if they differ on too few, or the curves are not of the same bounties.
    pub fn gain(&self, other: &Curve, gain: f64, seed: u64) -> Option<(f64, f64)> {
        let same = (self.points.len(), self.doublings, self.bounties) == (other.points.len(), other.doublings, other.bounties);
        let differences: Vec<f64> = self.profits().iter().zip(other.profits()).map(|(own, other)| own - other).collect();
        // Equity is rounded to a float: what is nearer than any stake is the same.
        let differ = |difference: &&f64| difference.abs() * self.per_point() as f64 > 1e-9;
        let enough = differences.iter().filter(differ).count() >= rare::FEWEST;
        let bounties = self.points.len() as u64 * self.per_point() + self.bounties;
        around(gain, resampled(&differences, seed).filter(|_| same && enough)?, bounties as f64)
    }

    /// How well shares of calls are known, which are `all` of them: against the consensus, and against the label. `alone` if no
    /// bounty had several artifacts.
    pub fn calls(&self, all: [&Table; 2], alone: bool, seed: u64) -> [CallIntervals; 2] {
        [0, 1].map(|truth| {
            let [accuracy, tpr, fpr] = [0, 1, 2].map(|share| {
                let so_far = self.points.iter().map(|point| point.calls[truth].shares()[share]);
                share_interval(all[truth].shares()[share], so_far, alone, seed)
            });
            CallIntervals { confidence: CONFIDENCE, accuracy, tpr, fpr }
        })
    }
}

/// The interval of the mean of a series; none if it is too short.
fn resampled(series: &[f64], seed: u64) -> Option<Interval> {
    let plan = Plan::of([series], seed);
    Some(Resampled::new(&[series], &plan).ok()?.studentized(0, CONFIDENCE))
}

/// The ends of an interval, put around `centre` and made `scale` times as wide; none if too little varies to tell.
fn around(centre: f64, Interval { estimate, low, high }: Interval, scale: f64) -> Option<(f64, f64)> {
    let ends = (centre + scale * (low - estimate), centre + scale * (high - estimate));
    (ends.0.is_finite() && ends.1.is_finite()).then_some(ends)
}

/// The interval of the share `part / whole`, of which so much was counted by the end of each point.
///
/// With `p` and `w` of a point and `r = part / whole`, it is that of the mean of `(p - r w) / mean(w)`, put around `r`: what the
/// share of a resample differs by, to the first order. Where there are fewer than [`rare::FEWEST`] calls on either side, resamples
/// say little: the interval is that of independent calls (Clopper & Pearson 1934), if they are `alone` on their bounties. There is
/// none where many calls are in few points.
fn share_interval((part, whole): (u64, u64), so_far: impl Iterator<Item = (u64, u64)>, alone: bool, seed: u64) -> Option<(f64, f64)> {
    if whole == 0 {
        return None;
    }
    let (share, other) = (part as f64 / whole as f64, whole - part);
    if part.min(other) < rare::FEWEST as u64 {
        let at_most = |count: u64| rare::at_most(count as usize, whole as usize, (1.0 - CONFIDENCE) / 2.0);
        return alone.then(|| (1.0 - at_most(other), at_most(part)));
    }
    let points: Vec<(f64, f64)> = so_far
        .scan((0, 0), |before, now| {
            let (part, whole) = (now.0 - before.0, now.1 - before.1);
            *before = now;
            Some((part as f64, whole as f64))
        })
        .collect();
    let with = |counts: fn(&&(f64, f64)) -> bool| points.iter().filter(counts).count();
    if with(|(part, _)| *part > 0.0).min(with(|(part, whole)| whole > part)) < rare::FEWEST {
        return None;
    }
    let mean = points.iter().map(|(_, whole)| whole).sum::<f64>() / points.len() as f64;
    let off: Vec<f64> = points.iter().map(|(part, whole)| (part - share * whole) / mean).collect();
    let (low, high) = around(share, resampled(&off, seed)?, 1.0)?;
    Some((low.clamp(0.0, 1.0), high.clamp(0.0, 1.0)))
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

/// How well shares of calls are known; nothing of those that are not defined.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct CallIntervals {
    pub confidence: f64,
    /// Ends of the interval of the accuracy.
    pub accuracy: Option<(f64, f64)>,
    /// Of the share of malicious artifacts called malicious.
    pub tpr: Option<(f64, f64)>,
    /// Of the share of benign artifacts called malicious.
    pub fpr: Option<(f64, f64)>,
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
            curve.add(BlockNumber(block), equity, peak - equity, [&Table::default(); 2]);
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
        curve.add(BlockNumber(1), NctDelta::ZERO, NctDelta::ZERO, [&Table::default(); 2]);
        curve.add(BlockNumber(2), NctDelta::ZERO, NctDelta::ZERO, [&Table::default(); 2]);
        curve.lock(Nct::whole(9));
        curve.lock(Nct::whole(2));
        curve.add(BlockNumber(3), NctDelta::ZERO, NctDelta::ZERO, [&Table::default(); 2]);
        curve.add(BlockNumber(4), NctDelta::ZERO, NctDelta::ZERO, [&Table::default(); 2]);
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

    #[test]
    fn what_is_gained_is_known_better_than_either_profit() {
        let mut chance = Key::root(5).stream();
        let own: Vec<i64> = (0..3_000).map(|_| if chance.uniform() < 0.3 { -20 } else { 10 }).collect();
        // The other earns 1 less, but for one bounty in ten.
        let others = own.iter().zip(0..).map(|(own, bounty)| own - i64::from(bounty % 10 > 0));
        let (curve, other, flat) = (curve(own.iter().copied()), self::curve(others), curve([1; 3_000]));
        let (low, high) = curve.gain(&other, 2_700.0, 0).unwrap();
        assert!(low < 2_700.0 && high > 2_700.0 && high - low < 100.0, "{low} {high}");
        assert_eq!(flat.gain(&flat, 0.0, 0), None, "they never differ");
        let few = self::curve(own.iter().zip(0..).map(|(own, bounty)| own - i64::from(bounty < 9)));
        assert_eq!(curve.gain(&few, 9.0, 0), None, "they differ on nine");
        assert_eq!(flat.gain(&self::curve([2; 2_999]), 0.0, 0), None, "they are not of the same bounties");
    }

    /// A curve of artifacts that are called right with chance .9, where ten in a row are of one kind if `kinds`.
    fn called(bounties: u64, kinds: bool) -> (Curve, Table) {
        let (mut curve, mut table, mut chance, mut right) = (Curve::default(), Table::default(), Key::root(8).stream(), true);
        for bounty in 0..bounties {
            if !kinds || bounty % 10 == 0 {
                right = chance.uniform() < 0.9;
            }
            let malicious = chance.uniform() < 0.5;
            table.add(malicious == right, malicious);
            curve.add(BlockNumber(bounty), NctDelta::ZERO, NctDelta::ZERO, [&Table::default(), &table]);
        }
        (curve, table)
    }

    #[test]
    fn shares_of_calls_are_known_worse_where_neighbours_are_alike() {
        let width = |kinds: bool| {
            let (curve, table) = called(4_000, kinds);
            let [consensus, label] = curve.calls([&Table::default(), &table], true, 0);
            assert_eq!((consensus.accuracy, consensus.tpr, consensus.fpr), (None, None, None), "nobody voted");
            let share = table.accuracy().unwrap();
            let (low, high) = label.accuracy.unwrap();
            assert!(low < share && share < high && (0.86..0.94).contains(&share), "{low} {share} {high}");
            let (tpr, fpr) = (label.tpr.unwrap(), label.fpr.unwrap());
            assert!(tpr.0 < 0.9 && 0.9 < tpr.1 && fpr.0 < 0.1 && 0.1 < fpr.1, "{tpr:?} {fpr:?}");
            (high - low) / 2.0
        };
        // 1.96 standard errors: 1.96 x sqrt(0.9 x 0.1 / 4,000) = 0.0093; with kinds of ten, sqrt(10) times as much.
        let (alone, alike) = (width(false), width(true));
        assert!((0.007..0.012).contains(&alone) && (0.02..0.04).contains(&alike), "{alone} {alike}");
    }

    #[test]
    fn shares_with_hardly_an_event_are_bounded_by_counting() {
        let all = |false_positives| Table { false_positives, true_negatives: 100 - false_positives, ..Table::default() };
        let fpr = |false_positives, alone| Curve::default().calls([&Table::default(), &all(false_positives)], alone, 0)[1].fpr;
        // 1 - 0.025^(1/100), and the table of Clopper and Pearson for 3 of 100.
        let (none, three) = (fpr(0, true).unwrap(), fpr(3, true).unwrap());
        assert!(none.0 == 0.0 && (none.1 - 0.036_217).abs() < 1e-5, "{none:?}");
        assert!((three.0 - 0.006_23).abs() < 1e-4 && (three.1 - 0.085_18).abs() < 1e-4, "{three:?}");
        assert_eq!(fpr(3, false), None, "artifacts of a bounty are not independent");
    }

    #[test]
    fn many_wrong_calls_on_few_bounties_prove_nothing() {
        let (mut curve, mut table) = (Curve::default(), Table::default());
        for bounty in 0..60 {
            (0..64).for_each(|_| table.add(bounty % 25 == 0, false));
            curve.add(BlockNumber(bounty), NctDelta::ZERO, NctDelta::ZERO, [&table; 2]);
        }
        assert_eq!(table.false_positives, 192);
        assert_eq!(curve.calls([&table; 2], false, 0)[0].fpr, None);
    }
}
