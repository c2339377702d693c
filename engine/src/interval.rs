//! Intervals of a probability that was learned: how far the rate behind it may be from what is stated.
//!
//! The interval speaks of the rate of malice among artifacts that are scored alike, now. Errors of the fit, drift since the
//! lessons, and campaigns that come all at once keep that rate from the stated probability `p`; how far, the past tells.
//! Settled artifacts are put into groups of [`GROUP`] in a row with like `p`. The log-odds of a group's rate are taken for
//! normally distributed around those of its mean `p`, with a standard deviation that is called the spread; its number of
//! malicious artifacts is then a mixture of binomial distributions. The spread is the least on a ladder for which a share
//! `level` of past groups lie within the middle 90 % of theirs: for probabilities near 0, in between, and near 1, or for
//! all together where few groups are known. If no spread is enough, it is the one that comes nearest; before there are
//! any groups, [`START`] is assumed.
//!
//! The `level` itself follows what really came: it starts at 90 %, grows by [`GAIN`] times what coverage lacks to 90 % when
//! a group is full, and shrinks likewise. So coverage is held in the long run even where the past is a bad guide.
//!
//! The stated interval is `p` with 1.645 spreads on either side, in log-odds; [`spread`] reads the spread off it again.
//!
//! Sources: Gibbs, Candès 2021 (adaptive conformal inference) for the level; Williams 1982 for log-odds that vary from
//! group to group.

use std::{collections::VecDeque, sync::LazyLock};

use crate::odds::{inside, logistic, logit};

/// 95 % quantile of the normal distribution.
pub const Z95: f64 = 1.644_853_626_951_472_2;
/// Share of rates that an interval is to hold.
pub const LEVEL: f64 = 0.9;
/// Artifacts in a group.
pub const GROUP: u32 = 50;
/// Spread that is assumed before anything is known: odds seven times as high or low are nothing unusual.
pub const START: f64 = 2.0;
/// Share of a group's surprise that the level takes over.
pub const GAIN: f64 = 0.02;

/// Groups that are remembered.
const GROUPS: usize = 1000;
/// Groups from which on they are believed: all together, and those of one region.
const ENOUGH: [usize; 2] = [4, 20];
/// Where one bin of like probabilities ends and the next begins.
const BINS: [f64; 9] = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99];
/// Where one region ends and the next begins: at bins' ends.
const REGIONS: [f64; 2] = [0.1, 0.9];
/// Bounds of the level.
const LEVELS: (f64, f64) = (0.5, 0.97);
/// Spreads on the ladder, from the least, each a quarter above the one before.
const RUNGS: usize = 24;
const LEAST: f64 = 0.05;
/// Parts of equal probability that a normal distribution is cut into.
const NODES: usize = 32;

/// The middle of each part.
static NORMAL: LazyLock<[f64; NODES]> = LazyLock::new(|| {
    std::array::from_fn(|part| {
        let (target, mut low, mut high) = ((part as f64 + 0.5) / NODES as f64, -9.0, 9.0);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            let below = 0.5 * libm::erfc(-middle / std::f64::consts::SQRT_2);
            if below < target { low = middle } else { high = middle }
        }
        0.5 * (low + high)
    })
});

/// The 90 % interval of a probability with that spread.
pub fn around(p: f64, spread: f64) -> (f64, f64) {
    let (centre, reach) = (logit(inside(p)), Z95 * spread);
    // Rounding must not push an end beyond what it is the end of.
    (logistic(centre - reach).min(p), logistic(centre + reach).max(p))
}

/// The spread that an interval stands for: [`around`] backwards.
pub fn spread((low, high): (f64, f64)) -> f64 {
    (logit(inside(high)) - logit(inside(low))) / (2.0 * Z95)
}

fn rung(number: usize) -> f64 {
    LEAST * libm::pow(1.25, number as f64)
}

/// Artifacts of like probability, one after the other.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Group {
    /// How many.
    pub artifacts: u32,
    /// How many of them were malicious.
    pub malicious: u32,
    /// Sum of their probabilities.
    probability: f64,
    /// Sum of the spreads of their intervals.
    spread: f64,
}

impl Group {
    /// Mean probability.
    pub fn mean(&self) -> f64 {
        self.probability / f64::from(self.artifacts)
    }

    /// Whether the number of malicious artifacts lies within the middle 90 % of what the stated intervals let expect: a
    /// share between 0 and 1, because a whole number takes up a stretch of the distribution, which may lie within in part.
    pub fn covered(&self) -> f64 {
        self.covered_with(self.spread / f64::from(self.artifacts))
    }

    /// The same for another spread than the stated ones.
    fn covered_with(&self, spread: f64) -> f64 {
        let centre = logit(self.mean().clamp(1e-6, 1.0 - 1e-6));
        let (mut below, mut exactly) = (0.0, 0.0);
        for node in &*NORMAL {
            let (less, equal) = binomial(self.artifacts, self.malicious, logistic(centre + spread * node));
            below += less / NODES as f64;
            exactly += equal / NODES as f64;
        }
        let outside = (1.0 - LEVEL) / 2.0;
        let within = (below + exactly).min(1.0 - outside) - below.max(outside);
        if exactly > 0.0 { (within / exactly).clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// Probabilities of fewer than `hits` hits in `trials`, and of exactly as many.
fn binomial(trials: u32, hits: u32, rate: f64) -> (f64, f64) {
    if rate > 0.5 {
        // Counted from the other side, where the first probability does not vanish.
        let (more, exactly) = binomial(trials, trials - hits, 1.0 - rate);
        return ((1.0 - more - exactly).max(0.0), exactly);
    }
    let odds = rate / (1.0 - rate);
    let (mut below, mut exactly) = (0.0, libm::exp(f64::from(trials) * libm::log1p(-rate)));
    for count in 0..hits {
        below += exactly;
        exactly *= f64::from(trials - count) / f64::from(count + 1) * odds;
    }
    (below, exactly)
}

/// Puts artifacts into groups.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Grouping {
    open: [Group; BINS.len() + 1],
}

impl Grouping {
    /// Adds an artifact of which `p` was said, with an interval of that spread; the group, if it is full now.
    pub fn add(&mut self, p: f64, spread: f64, malicious: bool) -> Option<Group> {
        let group = &mut self.open[BINS.iter().take_while(|&&end| p >= end).count()];
        group.artifacts += 1;
        group.malicious += u32::from(malicious);
        group.probability += p;
        group.spread += spread;
        (group.artifacts == GROUP).then(|| std::mem::take(group))
    }
}

/// A group of the past: its region, and how far it would have been covered with each spread of the ladder.
#[derive(Clone, PartialEq, Debug)]
struct Past {
    region: usize,
    covered: [f64; RUNGS],
}

/// What the past says of the errors of stated probabilities.
#[derive(Clone, PartialEq, Debug)]
pub struct Doubt {
    grouping: Grouping,
    groups: VecDeque<Past>,
    level: f64,
    /// By region.
    spreads: [f64; REGIONS.len() + 1],
}

impl Default for Doubt {
    fn default() -> Doubt {
        Doubt { grouping: Grouping::default(), groups: VecDeque::new(), level: LEVEL, spreads: [START; REGIONS.len() + 1] }
    }
}

fn region(p: f64) -> usize {
    REGIONS.iter().take_while(|&&end| p >= end).count()
}

impl Doubt {
    /// Adds what became of an artifact of which `p` was said, with that interval.
    pub fn add(&mut self, p: f64, interval: (f64, f64), malicious: bool) {
        let Some(group) = self.grouping.add(p, spread(interval), malicious) else { return };
        if self.groups.len() == GROUPS {
            self.groups.pop_front();
        }
        self.groups
            .push_back(Past { region: region(group.mean()), covered: std::array::from_fn(|number| group.covered_with(rung(number))) });
        self.level = (self.level + GAIN * (LEVEL - group.covered())).clamp(LEVELS.0, LEVELS.1);
        let all = if self.groups.len() >= ENOUGH[0] { self.spread_of(self.groups.iter()) } else { START };
        for place in 0..self.spreads.len() {
            let own = self.groups.iter().filter(|past| past.region == place);
            self.spreads[place] = if own.clone().count() >= ENOUGH[1] { self.spread_of(own) } else { all };
        }
    }

    /// The least spread of the ladder that covers as many groups as the level says, or else the best one.
    fn spread_of<'a>(&self, groups: impl Iterator<Item = &'a Past>) -> f64 {
        let (mut sums, mut count) = ([0.0; RUNGS], 0.0);
        for past in groups {
            count += 1.0;
            sums.iter_mut().zip(&past.covered).for_each(|(sum, covered)| *sum += covered);
        }
        let best = (0..RUNGS).rev().max_by(|&one, &other| sums[one].total_cmp(&sums[other])).unwrap_or(0);
        rung((0..RUNGS).find(|&number| sums[number] >= self.level * count).unwrap_or(best))
    }

    /// The 90 % interval of a stated probability.
    pub fn interval(&self, p: f64) -> (f64, f64) {
        around(p, self.spreads[region(p)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::{Key, Stream};

    #[test]
    fn an_interval_holds_its_probability_and_reads_backwards() {
        for (p, wide) in [(1e-7, 0.3), (0.3, 1.0), (0.5, 2.0), (0.999, 0.05)] {
            let interval = around(p, wide);
            assert!(0.0 <= interval.0 && interval.0 < p && p < interval.1 && interval.1 <= 1.0, "{p}: {interval:?}");
            assert!((spread(interval) - wide).abs() < 1e-6, "{p} {wide}: {}", spread(interval));
        }
        for p in [0.0, 1.0] {
            let interval = around(p, 2.0);
            assert!(interval.0 <= p && p <= interval.1, "{interval:?}");
        }
    }

    #[test]
    fn binomial_probabilities_are_those_of_the_definition() {
        for (trials, hits, rate) in [(50, 0, 1e-6f64), (50, 7, 0.2), (50, 43, 0.8), (50, 50, 1.0 - 1e-9), (20, 10, 0.5)] {
            let choose = |k: u32| {
                let log = |n: u32| libm::lgamma(f64::from(n) + 1.0);
                libm::exp(log(trials) - log(k) - log(trials - k))
            };
            let exactly = |k: u32| choose(k) * rate.powi(k as i32) * (1.0 - rate).powi((trials - k) as i32);
            let (below, equal) = binomial(trials, hits, rate);
            assert!((equal - exactly(hits)).abs() < 1e-9, "{trials} {hits} {rate}: {equal}");
            assert!((below - (0..hits).map(exactly).sum::<f64>()).abs() < 1e-9, "{trials} {hits} {rate}: {below}");
        }
    }

    #[test]
    fn a_group_is_covered_as_often_as_promised_if_it_is_as_assumed() {
        // Exactly: over all counts, weighted by their probability.
        for (p, wide) in [(0.3, 0.5), (0.02, 1.0), (0.9, 3.0), (0.5, 0.05), (1e-4, 2.0)] {
            let covered: f64 = (0..=GROUP)
                .map(|malicious| {
                    let sum = f64::from(GROUP);
                    let group = Group { artifacts: GROUP, malicious, probability: p * sum, spread: wide * sum };
                    let rates = NORMAL.iter().map(|node| logistic(logit(p) + wide * node));
                    rates.map(|rate| binomial(GROUP, malicious, rate).1).sum::<f64>() / NODES as f64 * group.covered()
                })
                .sum();
            assert!((covered - LEVEL).abs() < 1e-6, "{p} {wide}: {covered}");
        }
    }

    /// Groups whose rates are off by a normal error of their log-odds: share of rates within the stated interval, and its
    /// mean width.
    fn drifting(chance: &mut Stream, doubt: &mut Doubt, groups: u32, stray: f64) -> (f64, f64) {
        let (mut covered, mut width) = (0.0, 0.0);
        for _ in 0..groups {
            let p = 0.15 + 0.7 * chance.uniform();
            let normal: f64 = (0..12).map(|_| chance.uniform()).sum::<f64>() - 6.0;
            let rate = logistic(logit(p) + stray * normal);
            let interval = doubt.interval(p);
            covered += f64::from(u8::from(interval.0 <= rate && rate <= interval.1));
            width += interval.1 - interval.0;
            (0..GROUP).for_each(|_| doubt.add(p, interval, chance.uniform() < rate));
        }
        (covered / f64::from(groups), width / f64::from(groups))
    }

    #[test]
    fn intervals_are_as_wide_as_rates_stray_and_hold_nine_in_ten_of_them() {
        let mut widths = Vec::new();
        for stray in [0.4, 1.2] {
            let (mut chance, mut doubt) = (Key::root(9).stream(), Doubt::default());
            drifting(&mut chance, &mut doubt, 200, stray);
            let (covered, width) = drifting(&mut chance, &mut doubt, 1500, stray);
            assert!((covered - LEVEL).abs() < 0.03, "{stray}: {covered}");
            widths.push(width);
        }
        assert!(widths[1] > 2.0 * widths[0], "{widths:?}");
    }

    #[test]
    fn coverage_comes_back_when_the_world_begins_to_stray() {
        let (mut chance, mut doubt) = (Key::root(10).stream(), Doubt::default());
        drifting(&mut chance, &mut doubt, 600, 0.1);
        let calm = drifting(&mut chance, &mut doubt, 50, 0.1).1;
        drifting(&mut chance, &mut doubt, 150, 1.2);
        let (covered, width) = drifting(&mut chance, &mut doubt, 150, 1.2);
        assert!(covered > 0.8 && width > 2.0 * calm, "{covered}: {width} after {calm}");
    }
}
