//! How good probabilities were: scores of forecasts against what became of them.
//!
//! Memory does not grow with the run. Sums are exact: Brier score, log-loss, Spiegelhalter's z, the reliability table and
//! the calibration error by ten bins of equal width. What needs forecasts in order comes from 1,000 bins of equal width,
//! in which forecasts count as equal: AUC, Murphy's parts, the calibration error by ten bins of equal mass; a bin that
//! lies in two of those goes into each in proportion. With forecasts of three decimals these are exact, too, but for ties
//! in the last.
//!
//! - Brier = mean (p - y)²; its parts: reliability - resolution + uncertainty (Murphy 1973), where forecasts within a bin
//!   count as their mean, so that the parts add up to the Brier score but for what forecasts vary within bins.
//! - Log-loss = mean -log of the probability given to what happened, probabilities kept within 1e-12 and 1 - 1e-12.
//! - Calibration error (ECE) = sum over bins of |sum p - sum y| / n.
//! - Spiegelhalter's z = sum (y - p)(1 - 2p) / sqrt(sum (1 - 2p)² p (1 - p)): beyond ±1.96 calibration is doubtful.
//! - AUC with mid-ranks: ties count half.
//! - Interval coverage: share of groups of 50 artifacts in a row with like probabilities whose number of malicious ones
//!   lies within the middle 90 % of what their mean interval lets expect (`engine/src/interval.rs`).

use engine::{
    distill::DistilledVerdict,
    interval::{self, Grouping},
    odds::log_loss,
};
use serde::Serialize;

/// Rows of the reliability table.
const TENTHS: usize = 10;
/// Bins in each of them.
const FINE: usize = 100;

#[derive(Clone, Copy, PartialEq, Default, Debug)]
struct Bin {
    forecasts: u64,
    malicious: u64,
    /// Sum of probabilities.
    probability: f64,
}

/// Forecasts and what became of them.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Forecasts {
    /// Empty before the first.
    bins: Vec<Bin>,
    brier: f64,
    log_loss: f64,
    /// Numerator and square of the denominator of Spiegelhalter's z.
    spiegelhalter: (f64, f64),
    grouping: Grouping,
    groups: u64,
    covered: f64,
    /// Sum of the widths of intervals.
    width: f64,
}

impl Forecasts {
    /// Counts a verdict.
    pub fn add(&mut self, verdict: &DistilledVerdict, malicious: bool) {
        let p = verdict.probability;
        let y = f64::from(u8::from(malicious));
        if self.bins.is_empty() {
            self.bins.resize(TENTHS * FINE, Bin::default());
        }
        // The tenth first: its bounds are exact.
        let tenth = ((p * TENTHS as f64) as usize).min(TENTHS - 1);
        let fine = ((p * (TENTHS * FINE) as f64) as usize).clamp(tenth * FINE, tenth * FINE + FINE - 1);
        let bin = &mut self.bins[fine];
        bin.forecasts += 1;
        bin.malicious += u64::from(malicious);
        bin.probability += p;
        self.brier += (p - y) * (p - y);
        self.log_loss += log_loss(p, malicious);
        let slope = 1.0 - 2.0 * p;
        self.spiegelhalter.0 += (y - p) * slope;
        self.spiegelhalter.1 += slope * slope * p * (1.0 - p);
        self.width += verdict.interval.1 - verdict.interval.0;
        if let Some(group) = self.grouping.add(p, interval::spread(verdict.interval), malicious) {
            self.groups += 1;
            self.covered += group.covered();
        }
    }

    /// Both together, as if one had followed the other; groups that neither filled are left out.
    pub fn and(&self, other: &Forecasts) -> Forecasts {
        let (long, short) = if self.bins.is_empty() { (other, self) } else { (self, other) };
        let mut sum = long.clone();
        for (bin, more) in sum.bins.iter_mut().zip(&short.bins) {
            bin.forecasts += more.forecasts;
            bin.malicious += more.malicious;
            bin.probability += more.probability;
        }
        sum.brier += short.brier;
        sum.log_loss += short.log_loss;
        sum.spiegelhalter.0 += short.spiegelhalter.0;
        sum.spiegelhalter.1 += short.spiegelhalter.1;
        sum.groups += short.groups;
        sum.covered += short.covered;
        sum.width += short.width;
        sum
    }

    /// The figures; `None` without a forecast.
    pub fn facts(&self) -> Option<ForecastFacts> {
        let all = total(&self.bins);
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
        let tenths: Vec<Bin> = self.bins.chunks(FINE).map(total).collect();
        let error = |bins: &mut dyn Iterator<Item = (f64, f64)>| bins.map(|(p, y)| (p - y).abs()).sum::<f64>() / n;
        Some(ForecastFacts {
            forecasts: all.forecasts,
            malicious: all.malicious,
            brier: self.brier / n,
            reliability: reliability / n,
            resolution: resolution / n,
            uncertainty: share * (1.0 - share),
            log_loss: self.log_loss / n,
            ece_equal_width: error(&mut tenths.iter().map(|bin| (bin.probability, bin.malicious as f64))),
            ece_equal_mass: error(&mut equal_mass(&self.bins, n).into_iter()),
            spiegelhalter_z: (self.spiegelhalter.1 > 0.0).then(|| self.spiegelhalter.0 / self.spiegelhalter.1.sqrt()),
            auc: auc(&self.bins),
            interval_coverage: (self.groups > 0).then(|| self.covered / self.groups as f64),
            interval_groups: self.groups,
            interval_mean_width: self.width / n,
            reliability_table: tenths.iter().enumerate().filter(|(_, bin)| bin.forecasts > 0).map(row).collect(),
        })
    }
}

fn total(bins: &[Bin]) -> Bin {
    let mut sum = Bin::default();
    for bin in bins {
        sum.forecasts += bin.forecasts;
        sum.malicious += bin.malicious;
        sum.probability += bin.probability;
    }
    sum
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
#[derive(Clone, PartialEq, Debug, Serialize)]
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
    /// Share of groups of like forecasts that their 90 % intervals cover.
    pub interval_coverage: Option<f64>,
    pub interval_groups: u64,
    pub interval_mean_width: f64,
    /// By tenths of probability; empty ones are left out.
    pub reliability_table: Vec<ReliabilityRow>,
}

/// What became of forecasts of about the same probability.
#[derive(Clone, PartialEq, Debug, Serialize)]
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
    use engine::{
        chance::Key,
        odds::{logistic, logit},
    };

    use super::*;

    fn forecasts(points: &[(f64, bool)]) -> Forecasts {
        let mut forecasts = Forecasts::default();
        points.iter().for_each(|&(p, malicious)| forecasts.add(&DistilledVerdict { probability: p, interval: (p, p) }, malicious));
        forecasts
    }

    fn golden() -> (Vec<(f64, bool)>, serde_json::Value) {
        let all: serde_json::Value = serde_json::from_str(include_str!("../../engine/tests/golden/distillation.json")).unwrap();
        let calibration = &all["calibration"];
        let scores = calibration["score"].as_array().unwrap().iter().map(|score| score.as_f64().unwrap());
        let labels = calibration["y"].as_array().unwrap().iter().map(|y| y.as_u64().unwrap() == 1);
        (scores.zip(labels).collect(), calibration["expect"].clone())
    }

    /// The definition: a stable sort, and forecast `i` in bin `floor(10 i / n)`.
    fn exact_equal_mass(points: &[(f64, bool)]) -> f64 {
        let mut sorted = points.to_vec();
        sorted.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut sums = [0.0; 10];
        for (i, (p, malicious)) in sorted.iter().enumerate() {
            sums[10 * i / sorted.len()] += p - f64::from(u8::from(*malicious));
        }
        sums.iter().map(|sum: &f64| sum.abs()).sum::<f64>() / points.len() as f64
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
        near(exact_equal_mass(&points), &expected["ece_mass10"]);
        assert!((facts.ece_equal_mass - expected["ece_mass10"].as_f64().unwrap()).abs() < 0.01, "{}", facts.ece_equal_mass);
    }

    #[test]
    fn without_ties_bins_of_equal_mass_are_exact() {
        for count in [10, 57, 200, 999] {
            let mut chance = Key::root(count).stream();
            // One forecast in each bin, in any order, so that bins hold no ties.
            let mut places: Vec<u64> = (0..1000).collect();
            (0..1000).for_each(|place| places.swap(place, chance.below(1000) as usize));
            let point = |&place: &u64| ((place as f64 + 0.5) / 1000.0, chance.uniform() < 0.4);
            let points: Vec<(f64, bool)> = places.iter().take(count as usize).map(point).collect();
            let found = forecasts(&points).facts().unwrap().ece_equal_mass;
            assert!((found - exact_equal_mass(&points)).abs() < 1e-9, "{count}: {found}");
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

    #[test]
    fn honest_intervals_cover_nine_in_ten_groups_and_boastful_ones_fewer() {
        let coverage = |spread: f64| {
            let (mut chance, mut forecasts) = (Key::root(4).stream(), Forecasts::default());
            for _ in 0..2000 {
                // The log-odds of rates stray with a standard deviation of one half.
                let normal: f64 = (0..12).map(|_| chance.uniform()).sum::<f64>() - 6.0;
                let rate = logistic(logit(0.3) + 0.5 * normal);
                let verdict = DistilledVerdict { probability: 0.3, interval: interval::around(0.3, spread) };
                (0..interval::GROUP).for_each(|_| forecasts.add(&verdict, chance.uniform() < rate));
            }
            forecasts.facts().unwrap().interval_coverage.unwrap()
        };
        assert!((coverage(0.5) - 0.9).abs() < 0.02, "{}", coverage(0.5));
        assert!(coverage(0.1) < 0.8, "{}", coverage(0.1));
    }
}
