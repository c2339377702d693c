//! Distillers: the answers of all backends into one probability of malice with a 90 % interval. One file each.

pub mod log_odds;
pub mod majority;

use std::fmt::Debug;

use crate::artifact::ScanResult;

/// What the backends together think of one artifact.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct DistilledVerdict {
    /// Probability that the artifact is malicious.
    pub probability: f64,
    /// 90 % interval of that probability: what the backends' limited number and record leave open.
    pub interval: (f64, f64),
}

impl DistilledVerdict {
    /// The side to assert: malicious from one half on, as a tie of votes is malicious.
    pub fn malicious(&self) -> bool {
        self.probability >= 0.5
    }

    /// Probability that the asserted side is right.
    pub fn confidence(&self) -> f64 {
        self.probability.max(1.0 - self.probability)
    }

    /// The interval's end that is less favourable to the asserted side, as a confidence.
    pub fn cautious_confidence(&self) -> f64 {
        if self.malicious() { self.interval.0 } else { 1.0 - self.interval.1 }
    }
}

/// A way to distil.
pub trait Distiller: Debug + Send + Sync {
    /// Its name in reports.
    fn name(&self) -> &str;

    /// One verdict from one answer per backend, in the backends' order; `None` if no backend answered.
    fn distill(&self, results: &[ScanResult]) -> Option<DistilledVerdict>;
}
