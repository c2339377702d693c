//! One backend, one vote.
//!
//! With m of k votes malicious the probability is (m + 1/2)/(k + 1) and the interval holds the middle 90 % of the Beta
//! distribution with parameters m + 1/2 and k - m + 1/2: the posterior of the share of malicious votes under Jeffreys'
//! prior. A backend that states a confidence c splits its vote into c and 1 - c.
//!
//! The interval's ends come from `statrs`, which takes logarithms of the platform: unlike everything else they may differ
//! in the last digit from one platform to another, and with them bids by a strategy with `?cautious=true`.

use statrs::distribution::{Beta, ContinuousCDF};

use super::{DistilledVerdict, Distiller};
use crate::artifact::ScanResult;

/// The votes that whole numbers can make are tabulated up to this many backends.
const TABLE: usize = 32;

/// Majority of the backends that answered.
#[derive(Clone, Debug)]
pub struct MajorityDistiller {
    /// Verdict for m of k whole votes, at k(k+1)/2 + m.
    table: Vec<DistilledVerdict>,
}

impl MajorityDistiller {
    /// For up to `backends` backends.
    pub fn new(backends: usize) -> MajorityDistiller {
        let votes = (0..=backends.min(TABLE)).flat_map(|votes| (0..=votes).map(move |malicious| (malicious, votes)));
        MajorityDistiller { table: votes.map(|(malicious, votes)| posterior(malicious as f64, votes as f64)).collect() }
    }
}

fn posterior(malicious: f64, votes: f64) -> DistilledVerdict {
    let (a, b) = (malicious + 0.5, votes - malicious + 0.5);
    let beta = Beta::new(a, b).expect("both parameters are at least one half");
    DistilledVerdict { probability: a / (a + b), interval: (beta.inverse_cdf(0.05), beta.inverse_cdf(0.95)) }
}

impl Distiller for MajorityDistiller {
    fn name(&self) -> &str {
        "majority"
    }

    fn distill(&self, results: &[ScanResult]) -> Option<DistilledVerdict> {
        let (mut votes, mut malicious, mut whole) = (0usize, 0.0f64, true);
        for result in results {
            if let Some(verdict) = result.malicious {
                let confidence = f64::from(result.confidence.unwrap_or(1.0)).clamp(0.0, 1.0);
                votes += 1;
                malicious += if verdict { confidence } else { 1.0 - confidence };
                whole &= confidence == 1.0;
            }
        }
        match votes {
            0 => None,
            _ if whole && votes * (votes + 1) / 2 + votes < self.table.len() => {
                Some(self.table[votes * (votes + 1) / 2 + malicious as usize])
            }
            _ => Some(posterior(malicious, votes as f64)),
        }
    }

    fn twin(&self) -> Box<dyn Distiller> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn votes_count_once_and_silence_is_no_vote() {
        let distiller = MajorityDistiller::new(3);
        let verdict = |votes: &[Option<bool>]| {
            let results: Vec<ScanResult> = votes.iter().map(|&malicious| ScanResult { malicious, confidence: None }).collect();
            distiller.distill(&results)
        };
        assert_eq!(verdict(&[None, None, None]), None);
        assert_eq!(verdict(&[Some(true), None, None]).map(|verdict| verdict.probability), Some(0.75));
        let two = verdict(&[Some(true), Some(false), None]).unwrap();
        assert!(two.malicious() && two.probability == 0.5, "a tie is malicious, as in a vote");
        assert!((two.interval.0 - 0.0973).abs() < 1e-3 && (two.interval.1 - 0.9027).abs() < 1e-3, "{two:?}");
        let three = verdict(&[Some(false), Some(false), Some(false)]).unwrap();
        assert!(!three.malicious() && three.confidence() == 0.875 && three.cautious_confidence() < 0.6);
    }

    #[test]
    fn a_table_entry_is_the_posterior() {
        let distiller = MajorityDistiller::new(8);
        let results = [ScanResult::verdict(true); 5];
        assert_eq!(distiller.distill(&results), Some(posterior(5.0, 5.0)));
    }
}
