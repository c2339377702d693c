//! Intervals of a probability that was learned: how far the rate behind it may be from what is stated.
//!
//! The interval speaks of the rate of malice among artifacts that are scored alike, now. Fit, drift since the lessons, and
//! families that come in swarms all keep that rate from the stated probability `p`; how far, the past tells. Settled
//! artifacts are put into groups of [`GROUP`] in a row with like `p`. If the rate of a group were `p` plus an error of
//! variance `rho p (1 - p)`, its number of malicious artifacts would have a beta-binomial distribution with the
//! intra-class correlation `rho`. `rho` is chosen, for probabilities near 0, in between, and near 1, as the least for
//! which 90 % of past groups lie within the middle 90 % of that distribution; where few groups are known, for all
//! probabilities together; before there are any, [`START`] is assumed.
//!
//! The stated interval is Wilson's for a share `p` seen in `1/rho` artifacts: it holds `p`, stays within 0 and 1, and
//! [`correlation`] reads `rho` off it again.
//!
//! Sources: Wilson 1927; Skellam 1948 (beta-binomial); Gibbs, Candès 2021 for choosing width by past coverage.

use std::collections::VecDeque;

/// 95 % quantile of the normal distribution.
pub const Z95: f64 = 1.644_853_626_951_472_2;
/// Share of rates that an interval is to hold.
pub const LEVEL: f64 = 0.9;
/// Artifacts in a group.
pub const GROUP: u32 = 50;
/// Correlation that is assumed before anything is known.
pub const START: f64 = 0.02;

/// Groups that are remembered.
const GROUPS: usize = 400;
/// Groups from which on they are believed: all together, and those of one region.
const ENOUGH: [usize; 2] = [8, 20];
/// Where one bin of like probabilities ends and the next begins.
const BINS: [f64; 9] = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99];
/// Where one region ends and the next begins: at bins' ends.
const REGIONS: [f64; 2] = [0.1, 0.9];

/// Wilson's 90 % interval of a share `p` seen in `seen` artifacts.
pub fn wilson(p: f64, seen: f64) -> (f64, f64) {
    let square = Z95 * Z95 / seen;
    let centre = p + square / 2.0;
    let reach = (square * (p * (1.0 - p) + square / 4.0)).sqrt();
    // Rounding must not push an end beyond what it is the end of.
    (((centre - reach) / (1.0 + square)).clamp(0.0, p), ((centre + reach) / (1.0 + square)).clamp(p, 1.0))
}

/// The correlation that an interval of `p` stands for: [`wilson`] backwards, and the mean of both ends where it is none of
/// Wilson's. Within 1e-6 and 1.
pub fn correlation(p: f64, (low, high): (f64, f64)) -> f64 {
    let of = |end: f64| (end > 0.0 && end < 1.0).then(|| (end - p) * (end - p) / (Z95 * Z95 * end * (1.0 - end)));
    let ends = [of(low), of(high)];
    let known = ends.iter().flatten().count() as f64;
    let sum: f64 = ends.iter().flatten().sum();
    (sum / known.max(1.0)).clamp(1e-6, 1.0)
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
    /// Sum of the correlations of their intervals.
    correlation: f64,
}

impl Group {
    /// Mean probability.
    pub fn mean(&self) -> f64 {
        self.probability / f64::from(self.artifacts)
    }

    /// Mean correlation.
    pub fn mean_correlation(&self) -> f64 {
        self.correlation / f64::from(self.artifacts)
    }

    /// Whether the number of malicious artifacts lies within the middle 90 % of what this correlation lets expect: a share
    /// between 0 and 1, because a whole number takes up a stretch of the distribution, which may lie within in part.
    pub fn covered(&self, correlation: f64) -> f64 {
        let (p, mut malicious, n) = (self.mean(), self.malicious, self.artifacts);
        // By symmetry the smaller side, whose first probability does not vanish.
        let p = if p > 0.5 {
            malicious = n - malicious;
            1.0 - p
        } else {
            p
        };
        let weight = 1.0 / correlation.clamp(1e-9, 0.999_999) - 1.0;
        let (a, b) = (p.max(1e-12) * weight, (1.0 - p) * weight);
        let mut exactly: f64 = (0..n).map(|i| (b + f64::from(i)) / (a + b + f64::from(i))).product();
        let mut below = 0.0;
        for count in 0..malicious {
            let count = f64::from(count);
            below += exactly;
            exactly *= (f64::from(n) - count) / (count + 1.0) * (a + count) / (b + f64::from(n) - count - 1.0);
        }
        let outside = (1.0 - LEVEL) / 2.0;
        let within = (below + exactly).min(1.0 - outside) - below.max(outside);
        if exactly > 0.0 { (within / exactly).clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// Puts artifacts into groups.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Grouping {
    open: [Group; BINS.len() + 1],
}

impl Grouping {
    /// Adds an artifact of which `p` was said, with an interval of that correlation; the group, if it is full now.
    pub fn add(&mut self, p: f64, correlation: f64, malicious: bool) -> Option<Group> {
        let group = &mut self.open[BINS.iter().take_while(|&&end| p >= end).count()];
        group.artifacts += 1;
        group.malicious += u32::from(malicious);
        group.probability += p;
        group.correlation += correlation;
        (group.artifacts == GROUP).then(|| std::mem::take(group))
    }
}

/// What the past says of the errors of stated probabilities.
#[derive(Clone, PartialEq, Debug)]
pub struct Doubt {
    grouping: Grouping,
    /// The last groups.
    groups: VecDeque<Group>,
    /// By region.
    correlations: [f64; REGIONS.len() + 1],
}

impl Default for Doubt {
    fn default() -> Doubt {
        Doubt { grouping: Grouping::default(), groups: VecDeque::new(), correlations: [START; REGIONS.len() + 1] }
    }
}

fn region(p: f64) -> usize {
    REGIONS.iter().take_while(|&&end| p >= end).count()
}

/// The least correlation on a ladder of rungs a quarter apart for which enough of the groups are covered.
fn least<'a>(groups: impl Iterator<Item = &'a Group> + Clone) -> f64 {
    let count = groups.clone().count() as f64;
    let mut correlation = 1e-4;
    while correlation < 0.8 && groups.clone().map(|group| group.covered(correlation)).sum::<f64>() < LEVEL * count {
        correlation *= 1.25;
    }
    correlation
}

impl Doubt {
    /// Adds what became of an artifact of which `p` was said.
    pub fn add(&mut self, p: f64, malicious: bool) {
        if let Some(group) = self.grouping.add(p, 0.0, malicious) {
            if self.groups.len() == GROUPS {
                self.groups.pop_front();
            }
            self.groups.push_back(group);
        }
    }

    /// Works out the widths of intervals anew.
    pub fn learn(&mut self) {
        let all = if self.groups.len() >= ENOUGH[0] { least(self.groups.iter()) } else { START };
        for (place, correlation) in self.correlations.iter_mut().enumerate() {
            let own = self.groups.iter().filter(|group| region(group.mean()) == place);
            *correlation = if own.clone().count() >= ENOUGH[1] { least(own) } else { all };
        }
    }

    /// The 90 % interval of a stated probability.
    pub fn interval(&self, p: f64) -> (f64, f64) {
        wilson(p, 1.0 / self.correlations[region(p)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chance::{Key, Stream},
        odds::{logistic, logit},
    };

    #[test]
    fn wilsons_interval_is_the_published_one_and_reads_backwards() {
        // 10 of 50 at 90 %: .1241 to .3055 (by hand).
        let (low, high) = wilson(0.2, 50.0);
        assert!((low - 0.1235).abs() < 1e-3 && (high - 0.3072).abs() < 1e-3, "{low} {high}");
        for (p, seen) in [(0.0, 7.0), (1e-7, 400.0), (0.3, 50.0), (0.5, 1.0), (0.999, 1e4), (1.0, 20.0)] {
            let interval = wilson(p, seen);
            assert!(0.0 <= interval.0 && interval.0 <= p && p <= interval.1 && interval.1 <= 1.0, "{p}: {interval:?}");
            assert!((correlation(p, interval) * seen - 1.0).abs() < 1e-6, "{p} {seen}: {}", correlation(p, interval));
        }
    }

    fn group(artifacts: u32, malicious: u32, p: f64) -> Group {
        Group { artifacts, malicious, probability: p * f64::from(artifacts), correlation: 0.0 }
    }

    #[test]
    fn a_group_is_covered_as_often_as_promised_if_it_is_as_assumed() {
        // Exactly: over all counts, weighted by their probability, from the distribution's definition.
        for (p, rho) in [(0.3, 0.05), (0.02, 0.01), (0.9, 0.2), (0.5, 1e-6)] {
            let (n, weight) = (50, 1.0 / rho - 1.0);
            let (a, b) = (p * weight, (1.0 - p) * weight);
            let choose = |k: f64| libm::lgamma(51.0) - libm::lgamma(k + 1.0) - libm::lgamma(51.0 - k);
            let beta = |x: f64, y: f64| libm::lgamma(x) + libm::lgamma(y) - libm::lgamma(x + y);
            let exactly = |k: u32| libm::exp(choose(f64::from(k)) + beta(a + f64::from(k), b + 50.0 - f64::from(k)) - beta(a, b));
            let covered: f64 = (0..=n).map(|k| exactly(k) * group(n, k, p).covered(rho)).sum();
            assert!((covered - LEVEL).abs() < 1e-6, "{p} {rho}: {covered}");
        }
    }

    /// Groups whose rates are off by a normal error of the log-odds.
    fn drifting(chance: &mut Stream, doubt: &mut Doubt, groups: u32, spread: f64) -> (f64, f64) {
        let (mut covered, mut width) = (0.0, 0.0);
        for number in 0..groups {
            let p = 0.15 + 0.7 * chance.uniform();
            let normal: f64 = (0..12).map(|_| chance.uniform()).sum::<f64>() - 6.0;
            let rate = logistic(logit(p) + spread * normal);
            let interval = doubt.interval(p);
            covered += f64::from(u8::from(interval.0 <= rate && rate <= interval.1));
            width += interval.1 - interval.0;
            (0..GROUP).for_each(|_| doubt.add(p, chance.uniform() < rate));
            if number.is_multiple_of(25) {
                doubt.learn();
            }
        }
        (covered / f64::from(groups), width / f64::from(groups))
    }

    #[test]
    fn intervals_are_as_wide_as_rates_stray_and_hold_nine_in_ten_of_them() {
        let mut widths = Vec::new();
        for spread in [0.3, 0.8] {
            let (mut chance, mut doubt) = (Key::root(9).stream(), Doubt::default());
            drifting(&mut chance, &mut doubt, 400, spread);
            let (covered, width) = drifting(&mut chance, &mut doubt, 1500, spread);
            assert!((covered - LEVEL).abs() < 0.03, "{spread}: {covered}");
            widths.push(width);
        }
        assert!(widths[1] > 2.0 * widths[0], "{widths:?}");
    }
}
