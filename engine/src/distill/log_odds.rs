//! Naive Bayes with a brake: log-odds of independent backends, shrunk for their correlation.
//!
//! logit P = logit prior + S / (1 + (m - 1) rho), where S sums log TPR/FPR over malicious answers and
//! log (1 - TPR)/(1 - FPR) over benign ones, and m counts the answers. A backend that states a confidence c counts
//! 2c - 1 of its weight.
//!
//! The interval follows from what is known of each backend: TPR and FPR have Beta distributions, the variance of the
//! logarithm of a Beta(a, b) variable is psi'(a) - psi'(a + b), the variances add up, and 1.645 standard deviations on
//! the scale of log-odds are 90 %.

use super::{DistilledVerdict, Distiller};
use crate::{
    artifact::ScanResult,
    interval::Z95,
    odds::{logistic, logit},
};

/// What is known of one backend's rates: as many right and wrong answers, real or supposed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Record {
    /// Malicious artifacts called malicious.
    pub true_positives: f64,
    /// Malicious artifacts called benign.
    pub false_negatives: f64,
    /// Benign artifacts called malicious.
    pub false_positives: f64,
    /// Benign artifacts called benign.
    pub true_negatives: f64,
}

impl Default for Record {
    /// TPR ~ Beta(8, 2), FPR ~ Beta(1, 19): an engine worth asking, before anything is known of it.
    fn default() -> Record {
        Record { true_positives: 8.0, false_negatives: 2.0, false_positives: 1.0, true_negatives: 19.0 }
    }
}

impl Record {
    /// Rates as seen on `trials` artifacts of each class.
    pub fn of_rates(tpr: f64, fpr: f64, trials: f64) -> Record {
        // Half an answer each way keeps the logarithms finite.
        Record {
            true_positives: tpr * trials + 0.5,
            false_negatives: (1.0 - tpr) * trials + 0.5,
            false_positives: fpr * trials + 0.5,
            true_negatives: (1.0 - fpr) * trials + 0.5,
        }
    }

    /// Share of malicious artifacts that it finds.
    pub fn tpr(&self) -> f64 {
        self.true_positives / (self.true_positives + self.false_negatives)
    }

    /// Share of benign artifacts that it calls malicious.
    pub fn fpr(&self) -> f64 {
        self.false_positives / (self.false_positives + self.true_negatives)
    }
}

/// Weight of an answer in log-odds, and its variance.
#[derive(Clone, Copy, Debug)]
struct Evidence {
    weight: f64,
    variance: f64,
}

/// Log-odds of all answers together.
#[derive(Clone, Debug)]
pub struct LogOddsDistiller {
    prior: f64,
    rho: f64,
    /// For each backend: what a malicious and what a benign answer says.
    evidence: Vec<[Evidence; 2]>,
    /// Of few backends, the verdict on each combination of answers without confidence, by [`plain`]: there are no others in most
    /// corpora, and exponentials take their time.
    known: Vec<Option<DistilledVerdict>>,
}

/// Most backends whose combinations of answers are all known ahead.
const FEW: usize = 3;

/// The number of this combination of answers, in base three; `None` if one has a confidence.
#[inline]
fn plain(results: &[ScanResult]) -> Option<usize> {
    results.iter().try_fold(0, |number, result| match *result {
        ScanResult { confidence: Some(_), malicious: Some(_) } => None,
        ScanResult { malicious, .. } => Some(3 * number + malicious.map_or(0, |malicious| 1 + usize::from(malicious))),
    })
}

impl LogOddsDistiller {
    /// `prior` is the probability of malice before any answer, `rho` the correlation of backends, in 0..=1.
    pub fn new(prior: f64, rho: f64, backends: &[Record]) -> LogOddsDistiller {
        let evidence = |hit: f64, miss: f64, false_hit: f64, false_miss: f64| Evidence {
            weight: libm::log(hit / (hit + miss)) - libm::log(false_hit / (false_hit + false_miss)),
            variance: trigamma(hit) - trigamma(hit + miss) + trigamma(false_hit) - trigamma(false_hit + false_miss),
        };
        let both = |record: &Record| {
            [
                evidence(record.true_positives, record.false_negatives, record.false_positives, record.true_negatives),
                evidence(record.false_negatives, record.true_positives, record.true_negatives, record.false_positives),
            ]
        };
        let distiller = LogOddsDistiller { prior: logit(prior), rho, evidence: backends.iter().map(both).collect(), known: Vec::new() };
        if backends.len() > FEW {
            return distiller;
        }
        let answers = |number: usize| {
            let answer = |place: u32| match number / 3usize.pow(place) % 3 {
                0 => ScanResult::NONE,
                said => ScanResult::verdict(said == 2),
            };
            (0..backends.len() as u32).rev().map(answer).collect::<Vec<_>>()
        };
        let known = (0..3usize.pow(backends.len() as u32)).map(|number| distiller.weigh(&answers(number))).collect();
        LogOddsDistiller { known, ..distiller }
    }

    fn weigh(&self, results: &[ScanResult]) -> Option<DistilledVerdict> {
        let (mut answers, mut weight, mut variance) = (0u32, 0.0, 0.0);
        for (result, evidence) in results.iter().zip(&self.evidence) {
            if let Some(malicious) = result.malicious {
                let trust = 2.0 * f64::from(result.confidence.unwrap_or(1.0)).clamp(0.0, 1.0) - 1.0;
                let evidence = evidence[usize::from(!malicious)];
                answers += 1;
                weight += trust * evidence.weight;
                variance += trust * trust * evidence.variance;
            }
        }
        if answers == 0 {
            return None;
        }
        let shrink = 1.0 / (1.0 + f64::from(answers - 1) * self.rho);
        let centre = self.prior + weight * shrink;
        let reach = Z95 * variance.sqrt() * shrink;
        Some(DistilledVerdict { probability: logistic(centre), interval: (logistic(centre - reach), logistic(centre + reach)) })
    }
}

/// The second derivative of the log-gamma function: recurrence up to 6, then the asymptotic series.
fn trigamma(mut x: f64) -> f64 {
    let mut sum = 0.0;
    while x < 6.0 {
        sum += 1.0 / (x * x);
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    sum + 1.0 / x + square / 2.0 + square / x * (1.0 / 6.0 - square * (1.0 / 30.0 - square / 42.0))
}

impl Distiller for LogOddsDistiller {
    fn name(&self) -> &str {
        "log-odds"
    }

    fn distill(&self, results: &[ScanResult]) -> Option<DistilledVerdict> {
        if !self.known.is_empty()
            && results.len() == self.evidence.len()
            && let Some(number) = plain(results)
        {
            return self.known[number];
        }
        self.weigh(results)
    }

    fn twin(&self) -> Box<dyn Distiller> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_ahead_is_what_would_be_weighed() {
        let records = [Record::default(), Record::of_rates(0.9, 0.01, 100.0), Record::of_rates(0.4, 0.3, 50.0)];
        let said = [ScanResult::NONE, ScanResult::verdict(true), ScanResult::verdict(false)];
        let sure = ScanResult { malicious: Some(true), confidence: Some(0.7) };
        for backends in 1..=records.len() {
            let distiller = LogOddsDistiller::new(0.2, 0.25, &records[..backends]);
            assert_eq!(distiller.known.len(), 3usize.pow(backends as u32));
            for number in 0..4usize.pow(backends as u32) {
                let answer = |place| said.get(number / 4usize.pow(place) % 4).copied().unwrap_or(sure);
                let answers: Vec<ScanResult> = (0..backends as u32).map(answer).collect();
                assert_eq!(distiller.distill(&answers), distiller.weigh(&answers), "{answers:?}");
            }
        }
    }

    #[test]
    fn one_answer_is_bayes_rule() {
        let record = Record { true_positives: 80.0, false_negatives: 20.0, false_positives: 5.0, true_negatives: 95.0 };
        let distiller = LogOddsDistiller::new(0.5, 0.25, &[record]);
        let malicious = distiller.distill(&[ScanResult::verdict(true)]).unwrap();
        assert!((malicious.probability - 0.8 / 0.85).abs() < 1e-12, "{malicious:?}");
        let benign = distiller.distill(&[ScanResult::verdict(false)]).unwrap();
        assert!((benign.probability - 0.2 / 1.15).abs() < 1e-12, "{benign:?}");
        assert!(malicious.interval.0 < malicious.probability && malicious.probability < malicious.interval.1);
    }

    #[test]
    fn correlated_backends_weigh_less_than_independent_ones() {
        let three = [Record::default(); 3];
        let verdicts = [ScanResult::verdict(true); 3];
        let probability = |rho| LogOddsDistiller::new(0.5, rho, &three).distill(&verdicts).unwrap().probability;
        assert!(probability(0.0) > probability(0.25) && probability(0.25) > probability(1.0));
        let one = LogOddsDistiller::new(0.5, 1.0, &three).distill(&verdicts[..1]).unwrap().probability;
        assert!((probability(1.0) - one).abs() < 1e-12, "fully correlated backends say one thing");
    }

    #[test]
    fn trigamma_knows_its_values() {
        assert!((trigamma(1.0) - std::f64::consts::PI.powi(2) / 6.0).abs() < 1e-8);
        assert!((trigamma(0.5) - std::f64::consts::PI.powi(2) / 2.0).abs() < 1e-8);
    }
}
