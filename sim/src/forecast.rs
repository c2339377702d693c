//! How good probabilities were: scores of forecasts against what became of them.
//!
//! Memory does not grow with the run. Sums are exact: Brier score, log-loss, Spiegelhalter's z, the reliability table and
//! the calibration error by ten bins of equal width. What needs forecasts in order comes from 4,096 bins of equal width in
//! log-odds, from -14 to 14 (p from one in a million on), in which forecasts count as equal: AUC, Murphy's parts, the
//! calibration error by ten bins of equal mass; a bin that lies in two of those goes into each in proportion.
//!
//! - Brier = mean (p - y)²; its parts: reliability - resolution + uncertainty (Murphy 1973), where forecasts within a bin
//!   count as their mean, so that the parts add up to the Brier score but for what forecasts vary within bins.
//! - Log-loss = mean -log of the probability given to what happened, probabilities kept within 1e-12 and 1 - 1e-12.
//! - Calibration error (ECE) = sum over bins of |sum p - sum y| / n.
//! - Spiegelhalter's z = sum (y - p)(1 - 2p) / sqrt(sum (1 - 2p)² p (1 - p)): beyond ±1.96 calibration is doubtful.
//! - AUC with mid-ranks: ties count half.
//! - Interval coverage: share of groups of like forecasts, in order of time and each with ten hits of the rarer class to
//!   expect, whose number of malicious artifacts lies within the middle 90 % of what the intervals let expect, as they were
//!   stated before (`engine/src/coverage.rs`). The groups' artifacts are counted beside it: where hardly any group is full,
//!   the figure says little.

use engine::{
    coverage::Coverage,
    distill::DistilledVerdict,
    odds::{inside, log_loss, logit},
};
use serde::{Deserialize, Serialize};

/// Rows of the reliability table.
const TENTHS: usize = 10;
/// Bins in all, evenly in log-odds up to `FARTHEST` on either side of even odds.
const FINE: usize = 4096;
const FARTHEST: f64 = 14.0;

#[derive(Clone, Copy, PartialEq, Default, Debug)]
struct Bin {
    forecasts: u64,
    malicious: u64,
    /// Sum of probabilities.
    probability: f64,
}

impl Bin {
    fn add(&mut self, p: f64, malicious: bool) {
        self.and(&Bin { forecasts: 1, malicious: u64::from(malicious), probability: p });
    }

    fn and(&mut self, more: &Bin) {
        self.forecasts += more.forecasts;
        self.malicious += more.malicious;
        self.probability += more.probability;
    }
}

/// Forecasts and what became of them.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Forecasts {
    /// By log-odds; empty before the first.
    bins: Vec<Bin>,
    /// By tenths of probability.
    tenths: [Bin; TENTHS],
    brier: f64,
    log_loss: f64,
    /// Numerator and square of the denominator of Spiegelhalter's z.
    spiegelhalter: (f64, f64),
    coverage: Coverage,
    /// Sum of the widths of intervals.
    width: f64,
}

impl Forecasts {
    /// Counts a verdict.
    pub fn add(&mut self, verdict: &DistilledVerdict, malicious: bool) {
        let p = verdict.probability;
        let y = f64::from(u8::from(malicious));
        if self.bins.is_empty() {
            self.bins.resize(FINE, Bin::default());
        }
        let place = (logit(inside(p)) / FARTHEST + 1.0) / 2.0 * FINE as f64;
        // What is below 0 becomes 0.
        self.bins[(place as usize).min(FINE - 1)].add(p, malicious);
        self.tenths[((p * TENTHS as f64) as usize).min(TENTHS - 1)].add(p, malicious);
        self.brier += (p - y) * (p - y);
        self.log_loss += log_loss(p, malicious);
        let slope = 1.0 - 2.0 * p;
        self.spiegelhalter.0 += (y - p) * slope;
        self.spiegelhalter.1 += slope * slope * p * (1.0 - p);
        self.width += verdict.interval.1 - verdict.interval.0;
        self.coverage.add(p, verdict.interval, malicious);
    }

    /// Both together, as if one had followed the other; groups that neither filled are left out.
    pub fn and(&self, other: &Forecasts) -> Forecasts {
        let (long, short) = if self.bins.is_empty() { (other, self) } else { (self, other) };
        let mut sum = long.clone();
        sum.bins.iter_mut().zip(&short.bins).for_each(|(bin, more)| bin.and(more));
        sum.tenths.iter_mut().zip(&short.tenths).for_each(|(bin, more)| bin.and(more));
        sum.brier += short.brier;
        sum.log_loss += short.log_loss;
        sum.spiegelhalter.0 += short.spiegelhalter.0;
        sum.spiegelhalter.1 += short.spiegelhalter.1;
        sum.coverage.and(&short.coverage);
        sum.width += short.width;
        sum
    }

    /// The figures; `None` without a forecast.
    pub fn facts(&self) -> Option<ForecastFacts> {
        let mut all = Bin::default();
        self.tenths.iter().for_each(|bin| all.and(bin));
        if all.forecasts == 0 {
            return None;
        }
        let n = all.forecasts as f64;
        let share = all.malicious as f64 / n;
        let (mut reliability, mut resolution) = (0.0, 0.0);
        for bin in self.bins.iter().filter(|bin| bin.forecasts > 0) {
            let weight = bin.forecasts as f64;
            let rate = bin.malicious as f64 / weight;
            let (off, apart) = (bin.probability / weight - rate, rate - share);
            reliability += weight * off * off;
            resolution += weight * apart * apart;
        }
        let error = |bins: &mut dyn Iterator<Item = (f64, f64)>| bins.map(|(p, y)| (p - y).abs()).sum::<f64>() / n;
        Some(ForecastFacts {
            forecasts: all.forecasts,
            malicious: all.malicious,
            brier: self.brier / n,
            reliability: reliability / n,
            resolution: resolution / n,
            uncertainty: share * (1.0 - share),
            log_loss: self.log_loss / n,
            ece_equal_width: error(&mut self.tenths.iter().map(|bin| (bin.probability, bin.malicious as f64))),
            ece_equal_mass: error(&mut equal_mass(&self.bins, n).into_iter()),
            spiegelhalter_z: (self.spiegelhalter.1 > 0.0).then(|| self.spiegelhalter.0 / self.spiegelhalter.1.sqrt()),
            auc: auc(&self.bins),
            interval_coverage: self.coverage.share(),
            interval_groups: self.coverage.groups,
            interval_artifacts: self.coverage.artifacts,
            interval_mean_width: self.width / n,
            reliability_table: self.tenths.iter().enumerate().filter(|(_, bin)| bin.forecasts > 0).map(row).collect(),
        })
    }
}

fn row((tenth, bin): (usize, &Bin)) -> ReliabilityRow {
    let n = bin.forecasts as f64;
    ReliabilityRow {
        from: tenth as f64 / TENTHS as f64,
        to: (tenth + 1) as f64 / TENTHS as f64,
        forecasts: bin.forecasts,
        mean_probability: bin.probability / n,
        malicious: bin.malicious as f64 / n,
    }
}

/// Sums of probabilities and of malicious artifacts in ten bins of equal mass.
fn equal_mass(bins: &[Bin], n: f64) -> [(f64, f64); TENTHS] {
    let (mut sums, mut seen) = ([(0.0, 0.0); TENTHS], 0.0);
    for bin in bins.iter().filter(|bin| bin.forecasts > 0) {
        let weight = bin.forecasts as f64;
        for (tenth, sum) in sums.iter_mut().enumerate() {
            // The i-th forecast is in bin floor(10 i / n): a tenth begins at the first i that is not below its share.
            let edge = |tenth: usize| (tenth as f64 * n / TENTHS as f64).ceil();
            let share = (edge(tenth + 1).min(seen + weight) - edge(tenth).max(seen)).max(0.0) / weight;
            sum.0 += share * bin.probability;
            sum.1 += share * bin.malicious as f64;
        }
        seen += weight;
    }
    sums
}

/// The calibration error by ten bins of equal mass where all forecasts, with what became of them, are at hand: sorted by
/// probability, ties in the order given, the i-th of n goes into bin `floor(10 i/n)`. 0 without a forecast.
pub fn equal_mass_error(forecasts: &[(f64, bool)]) -> f64 {
    let mut sorted = forecasts.to_vec();
    sorted.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut sums = [0.0; TENTHS];
    for (i, (p, malicious)) in sorted.iter().enumerate() {
        sums[TENTHS * i / sorted.len()] += p - f64::from(u8::from(*malicious));
    }
    sums.iter().map(|sum: &f64| sum.abs()).sum::<f64>() / sorted.len().max(1) as f64
}

/// Chance that a malicious artifact is given a higher probability than a benign one.
fn auc(bins: &[Bin]) -> Option<f64> {
    let (mut benign_below, mut pairs, mut malicious) = (0.0, 0.0, 0.0);
    for bin in bins {
        let bad = bin.malicious as f64;
        let good = bin.forecasts as f64 - bad;
        pairs += bad * (benign_below + 0.5 * good);
        benign_below += good;
        malicious += bad;
    }
    (malicious > 0.0 && benign_below > 0.0).then(|| pairs / (malicious * benign_below))
}

/// How good forecasts were.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ForecastFacts {
    pub forecasts: u64,
    /// Those that came true: malicious artifacts.
    pub malicious: u64,
    pub brier: f64,
    pub reliability: f64,
    pub resolution: f64,
    pub uncertainty: f64,
    pub log_loss: f64,
    pub ece_equal_width: f64,
    pub ece_equal_mass: f64,
    pub spiegelhalter_z: Option<f64>,
    pub auc: Option<f64>,
    /// Share of groups of like forecasts that their 90 % intervals cover; `None` if none was large enough to tell.
    pub interval_coverage: Option<f64>,
    pub interval_groups: u64,
    /// Artifacts in those groups: of the others nothing is known.
    pub interval_artifacts: u64,
    pub interval_mean_width: f64,
    /// By tenths of probability; empty ones are left out.
    pub reliability_table: Vec<ReliabilityRow>,
}

/// What became of forecasts of about the same probability.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ReliabilityRow {
    pub from: f64,
    pub to: f64,
    pub forecasts: u64,
    pub mean_probability: f64,
    /// Share of malicious artifacts.
    pub malicious: f64,
}

#[cfg(test)]
mod tests {
    use engine::{chance::Key, interval::around, odds::logistic};

    use super::*;

    fn forecasts(points: &[(f64, bool)]) -> Forecasts {
        let mut forecasts = Forecasts::default();
        points.iter().for_each(|&(p, malicious)| forecasts.add(&DistilledVerdict { probability: p, interval: (p, p) }, malicious));
        forecasts
    }

    fn golden() -> (Vec<(f64, bool)>, serde_json::Value) {
        let all: serde_json::Value = serde_json::from_str(include_str!("../../tests/vectors/staking/vectors.json")).unwrap();
        let calibration = &all["calibration"];
        let scores = calibration["score"].as_array().unwrap().iter().map(|score| score.as_f64().unwrap());
        let labels = calibration["y"].as_array().unwrap().iter().map(|y| y.as_u64().unwrap() == 1);
        (scores.zip(labels).collect(), calibration["expect"].clone())
    }

    #[test]
    fn figures_are_those_of_the_reference() {
        let (points, expected) = golden();
        let facts = forecasts(&points).facts().unwrap();
        let near = |found: f64, expected: &serde_json::Value| {
            let expected = expected.as_f64().unwrap();
            assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{found} for {expected}");
        };
        near(facts.brier, &expected["brier"]);
        near(facts.log_loss, &expected["logloss"]);
        near(facts.ece_equal_width, &expected["ece_width10"]);
        near(facts.spiegelhalter_z.unwrap(), &expected["spiegelhalter_z"]);
        near(facts.auc.unwrap(), &expected["auc"]);
        near(facts.reliability, &expected["murphy"][0]);
        near(facts.resolution, &expected["murphy"][1]);
        near(facts.uncertainty, &expected["murphy"][2]);
        // Among ties the reference goes by place, the bins by proportion.
        near(equal_mass_error(&points), &expected["ece_mass10"]);
        assert!((facts.ece_equal_mass - expected["ece_mass10"].as_f64().unwrap()).abs() < 0.01, "{}", facts.ece_equal_mass);
    }

    #[test]
    fn without_ties_bins_of_equal_mass_are_exact() {
        for count in [10, 57, 200, 999] {
            let mut chance = Key::root(count).stream();
            // One forecast in each bin, in any order, so that bins hold no ties.
            let mut places: Vec<u64> = (0..1000).collect();
            (0..1000).for_each(|place| places.swap(place, chance.below(1000) as usize));
            let point = |&place: &u64| (logistic((place as f64 - 500.0) / 50.0), chance.uniform() < 0.4);
            let points: Vec<(f64, bool)> = places.iter().take(count as usize).map(point).collect();
            let found = forecasts(&points).facts().unwrap().ece_equal_mass;
            assert!((found - equal_mass_error(&points)).abs() < 1e-9, "{count}: {found}");
        }
    }

    #[test]
    fn two_halves_make_a_whole() {
        let (points, _) = golden();
        let (first, second) = points.split_at(33);
        let (whole, halves) = (forecasts(&points).facts().unwrap(), forecasts(first).and(&forecasts(second)).facts().unwrap());
        assert!((whole.log_loss - halves.log_loss).abs() < 1e-12 && (whole.brier - halves.brier).abs() < 1e-12);
        assert_eq!((whole.auc, whole.malicious, whole.forecasts), (halves.auc, halves.malicious, halves.forecasts));
        assert_eq!(Forecasts::default().and(&forecasts(first)).facts(), forecasts(first).facts());
        assert_eq!(Forecasts::default().facts(), None);
    }

    /// The definition: pairs, ties half.
    fn exact_auc(points: &[(f64, bool)]) -> f64 {
        let of = |class: bool| points.iter().filter(move |(_, malicious)| *malicious == class).map(|&(p, _)| p);
        let (mut sum, mut pairs) = (0.0, 0.0);
        for bad in of(true) {
            for good in of(false) {
                pairs += 1.0;
                sum += if bad > good { 1.0 } else { 0.5 * f64::from(u8::from(bad == good)) };
            }
        }
        sum / pairs
    }

    #[test]
    fn figures_are_exact_enough_where_probabilities_are_tiny() {
        let mut chance = Key::root(21).stream();
        let mut normal = || (0..12).map(|_| chance.uniform()).sum::<f64>() - 6.0;
        let probabilities: Vec<f64> = (0..40_000).map(|_| (0.0003 * (1.5 * normal()).exp()).min(0.9)).collect();
        let points: Vec<(f64, bool)> = probabilities.into_iter().map(|p| (p, chance.uniform() < p)).collect();
        let facts = forecasts(&points).facts().unwrap();
        let (found, exact) = (facts.auc.unwrap(), exact_auc(&points));
        assert!((found - exact).abs() < 0.001 && exact > 0.7, "{found} for {exact}");
        let (found, exact) = (facts.ece_equal_mass, equal_mass_error(&points));
        assert!((found - exact).abs() < 0.01 * exact, "{found} for {exact}");
        let sum = facts.reliability - facts.resolution + facts.uncertainty;
        assert!((sum - facts.brier).abs() < 0.01 * facts.brier, "{sum} for {}", facts.brier);
    }

    #[test]
    fn intervals_that_an_error_by_three_does_not_fit_into_are_reported() {
        let coverage = |stated: f64, truth: f64, spread: f64| {
            let (mut chance, mut forecasts) = (Key::root(4).stream(), Forecasts::default());
            let verdict = DistilledVerdict { probability: stated, interval: around(stated, spread) };
            (0..200_000).for_each(|_| forecasts.add(&verdict, chance.uniform() < truth));
            let facts = forecasts.facts().unwrap();
            assert!(facts.interval_groups >= 15 && facts.interval_artifacts > 150_000);
            facts.interval_coverage.unwrap()
        };
        for (stated, off) in [(0.001, 0.00033), (0.02, 0.0067), (0.3, 0.1)] {
            assert!(coverage(stated, off, 0.05) < 0.4, "{stated}: {}", coverage(stated, off, 0.05));
        }
        for stated in [0.02, 0.3] {
            assert!((coverage(stated, stated, 0.02) - 0.9).abs() < 0.03, "{stated}: {}", coverage(stated, stated, 0.02));
        }
    }
}
