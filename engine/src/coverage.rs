//! Whether 90 % intervals hold what they promise: a test on what came after they were stated.
//!
//! Artifacts of like stated probability `p` (up to .1, up to .9, above) are put into groups in order of time, until
//! [`HITS`] hits of the rarer class are expected of a group, or it has [`MOST`] artifacts: a group of a fixed size would hold
//! any rate where hardly a hit is expected. No rate is ever seen, only a number of malicious artifacts. If the interval of
//! each stands for log-odds that are normally distributed around those of its `p`, and the errors within a group are the
//! same in standard deviations, then that number is distributed as a mixture of sums of Bernoulli variables (each taken for
//! the binomial distribution of the same mean and variance). A group is covered if the number lies within the middle 90 % of
//! that mixture. So honest intervals cover 90 % of groups, whatever their width, and intervals that are too narrow for
//! their error, in one direction or in turns, cover fewer: with ten hits expected, an error by a factor of three that the
//! intervals do not allow for leaves about one group in four covered.
//!
//! Groups that are not full at the end count for nothing.

use crate::{
    interval::{LEVEL, NODES, NORMAL, spread},
    odds::{inside, logistic, logit},
};

/// Expected hits of the rarer class that fill a group.
pub const HITS: f64 = 10.0;
/// Artifacts that fill a group whatever is expected of them.
pub const MOST: u32 = 20_000;

/// Where one range of like probabilities ends and the next begins.
const RANGES: [f64; 2] = [0.1, 0.9];
/// Artifacts of like probability, one after the other.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
struct Group {
    artifacts: u32,
    malicious: u32,
    /// Hits to expect: sum of `p (1 - p)`.
    hits: f64,
    /// For each part of the normal distribution: what malicious artifacts to expect.
    expected: [f64; NODES],
    /// And the sum of the squared rates.
    squares: [f64; NODES],
}

impl Group {
    /// How far the number of malicious artifacts lies within the middle 90 % of what the intervals let expect: a share
    /// between 0 and 1, because a whole number takes up a stretch of the distribution, which may lie within in part.
    fn covered(&self) -> f64 {
        let (mut below, mut exactly) = (0.0, 0.0);
        for (sum, squares) in self.expected.into_iter().zip(self.squares) {
            // The binomial distribution of the same mean and variance.
            let trials = (sum * sum / squares).ceil().clamp(f64::from(self.malicious.max(1)), f64::from(self.artifacts));
            let (less, equal) = binomial(trials as u32, self.malicious, sum / trials);
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
    let rate = inside(rate);
    let log = |n: u32| libm::lgamma(f64::from(n) + 1.0);
    let chosen = log(trials) - log(hits) - log(trials - hits);
    let exactly = libm::exp(chosen + f64::from(hits) * libm::log(rate) + f64::from(trials - hits) * libm::log1p(-rate));
    let above = f64::from(hits) > f64::from(trials) * rate;
    // The tail that falls off from here.
    let (mut tail, mut next) = (0.0, exactly);
    if above {
        for count in hits..trials {
            next *= f64::from(trials - count) / f64::from(count + 1) * rate / (1.0 - rate);
            tail += next;
            if next <= 1e-17 * tail {
                break;
            }
        }
        ((1.0 - exactly - tail).max(0.0), exactly)
    } else {
        for count in (1..=hits).rev() {
            next *= f64::from(count) / f64::from(trials - count + 1) * (1.0 - rate) / rate;
            tail += next;
            if next <= 1e-17 * tail {
                break;
            }
        }
        (tail, exactly)
    }
}

/// What a probability and its interval let expect of an artifact.
#[derive(Clone, PartialEq, Debug)]
pub struct Expected {
    /// Which of the ranges of like probabilities.
    range: usize,
    /// Hits of the rarer class: `p (1 - p)`.
    hits: f64,
    /// The rate in each part of the normal distribution.
    rates: [f64; NODES],
}

impl Expected {
    /// Of an artifact of which `p` was said, with that interval.
    pub fn of(p: f64, interval: (f64, f64)) -> Expected {
        let (centre, wide) = (logit(inside(p)), spread(interval));
        Expected {
            range: RANGES.iter().take_while(|&&end| p >= end).count(),
            hits: p * (1.0 - p),
            rates: NORMAL.map(|node| logistic(centre + wide * node)),
        }
    }
}

/// The test.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Coverage {
    open: [Group; RANGES.len() + 1],
    /// Groups that are full.
    pub groups: u64,
    /// How many of them were covered, in part or whole.
    pub covered: f64,
    /// Artifacts in them.
    pub artifacts: u64,
}

impl Coverage {
    /// Adds what became of an artifact of which that was expected.
    pub fn add(&mut self, expected: &Expected, malicious: bool) {
        let group = &mut self.open[expected.range];
        group.artifacts += 1;
        group.malicious += u32::from(malicious);
        group.hits += expected.hits;
        for part in 0..NODES {
            let rate = expected.rates[part];
            group.expected[part] += rate;
            group.squares[part] += rate * rate;
        }
        if group.hits >= HITS || group.artifacts == MOST {
            self.groups += 1;
            self.covered += group.covered();
            self.artifacts += u64::from(group.artifacts);
            *group = Group::default();
        }
    }

    /// Counts the groups of another one, too; groups that neither filled are left out.
    pub fn and(&mut self, other: &Coverage) {
        self.groups += other.groups;
        self.covered += other.covered;
        self.artifacts += other.artifacts;
    }

    /// Share of groups that were covered.
    pub fn share(&self) -> Option<f64> {
        (self.groups > 0).then(|| self.covered / self.groups as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chance::Key, interval::around};

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
        // Where the first probabilities vanish.
        let (below, equal) = binomial(20_000, 10_000, 0.5);
        assert!((below + 0.5 * equal - 0.5).abs() < 1e-6, "{below} {equal}");
        assert_eq!((binomial(20_000, 9_000, 0.01), binomial(20_000, 2, 0.9)), ((1.0, 0.0), (0.0, 0.0)));
    }

    #[test]
    fn a_group_is_covered_as_often_as_promised_if_it_is_as_assumed() {
        // Exactly: over all counts, weighted by their probability.
        for (p, wide) in [(0.3, 0.5), (0.02, 1.0), (0.9, 3.0), (0.5, 0.05), (0.01, 2.0)] {
            let artifacts = (HITS / (p * (1.0 - p))).ceil() as u32;
            let rates = NORMAL.map(|node| logistic(logit(p) + wide * node));
            let expected = rates.map(|rate| f64::from(artifacts) * rate);
            let squares = rates.map(|rate| f64::from(artifacts) * rate * rate);
            let covered: f64 = (0..=artifacts)
                .map(|malicious| {
                    let weight = rates.iter().map(|&rate| binomial(artifacts, malicious, rate).1).sum::<f64>() / NODES as f64;
                    weight * Group { artifacts, malicious, hits: HITS, expected, squares }.covered()
                })
                .sum();
            assert!((covered - LEVEL).abs() < 1e-4, "{p} {wide}: {covered}");
        }
    }

    /// Coverage where the rate is `truth(p)`, its log-odds stray by `stray` from one campaign to the next, and intervals
    /// claim a spread of `wide`.
    fn coverage(stated: &[f64], truth: impl Fn(f64) -> f64, stray: f64, wide: f64, groups: u64) -> Coverage {
        let (mut chance, mut coverage) = (Key::root(4).stream(), Coverage::default());
        while coverage.groups < groups {
            let error = stray * ((0..12).map(|_| chance.uniform()).sum::<f64>() - 6.0);
            let before = coverage.groups;
            while coverage.groups == before {
                let p = stated[chance.below(stated.len() as u64) as usize];
                coverage.add(&Expected::of(p, around(p, wide)), chance.uniform() < logistic(logit(truth(p)) + error));
            }
        }
        coverage
    }

    #[test]
    fn honest_intervals_cover_nine_in_ten_groups() {
        for stated in [&[0.005][..], &[0.02], &[0.3], &[0.996], &[0.001, 0.004, 0.03, 0.09], &[0.15, 0.4, 0.85]] {
            for stray in [0.02, 0.5, 1.0] {
                let groups = if stated[0] < 0.01 || stated[0] > 0.99 { 300 } else { 1000 };
                let found = coverage(stated, |p| p, stray, stray, groups).share().unwrap();
                assert!((found - LEVEL).abs() < if groups < 1000 { 0.05 } else { 0.03 }, "{stated:?} {stray}: {found}");
            }
        }
    }

    #[test]
    fn intervals_that_a_lasting_error_does_not_fit_into_are_found_out() {
        // A factor of three, either way, and what is said to be rare beyond measure.
        for (stated, truth, most) in [
            (0.02, 0.0067, 0.3),
            (0.02, 0.06, 0.05),
            (0.3, 0.1, 0.05),
            (0.3, 0.56, 0.1),
            (0.001, 0.00033, 0.3),
            (0.001, 0.003, 0.05),
            (0.999, 0.9997, 0.3),
            (1e-9, 0.002, 0.0),
        ] {
            for wide in [0.05, 0.1] {
                let found = coverage(&[stated], |_| truth, 0.0, wide, 60).share().unwrap();
                assert!(found <= most, "{stated} {truth} {wide}: {found}");
            }
        }
        // Intervals that are wide enough for it are not blamed.
        assert!(coverage(&[0.02], |_| 0.0067, 0.0, 1.1, 200).share().unwrap() > LEVEL);
    }

    #[test]
    fn intervals_too_narrow_for_errors_in_turns_are_found_out() {
        let found = coverage(&[0.3], |p| p, 0.8, 0.1, 1000).share().unwrap();
        assert!(found < 0.7, "{found}");
    }
}
