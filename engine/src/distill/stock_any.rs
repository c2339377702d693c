//! What polyswarm-client's multi-backend engine does: malicious if any backend says so, as sure as they are on average.
//!
//! A backend that states no confidence is sure, as there. The side is never turned over: sure to less than one half
//! counts as one half. The probability is not made for calibration, and the interval is little more than a formality:
//! Wilson's, as if that probability had been seen in a single artifact.
//!
//! Source: polyswarm-client, `polyswarmclient/abstractscanner.py` and `microengine`s of several backends.

use super::{DistilledVerdict, Distiller};
use crate::{artifact::ScanResult, interval::Z95};

/// Any.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StockAnyDistiller;

impl Distiller for StockAnyDistiller {
    fn name(&self) -> &str {
        "stock-any"
    }

    fn distill(&self, results: &[ScanResult]) -> Option<DistilledVerdict> {
        let (mut answers, mut malicious, mut sure) = (0u32, false, 0.0);
        for result in results {
            if let Some(verdict) = result.malicious {
                answers += 1;
                malicious |= verdict;
                sure += f64::from(result.confidence.unwrap_or(1.0)).clamp(0.0, 1.0);
            }
        }
        if answers == 0 {
            return None;
        }
        let confidence = sure / f64::from(answers);
        let probability = if malicious { confidence.max(0.5) } else { (1.0 - confidence).min(0.5f64.next_down()) };
        Some(DistilledVerdict { probability, interval: wilson(probability) })
    }

    fn twin(&self) -> Box<dyn Distiller> {
        Box::new(*self)
    }
}

/// Wilson's 90 % interval of a share seen in one artifact.
fn wilson(share: f64) -> (f64, f64) {
    let square = Z95 * Z95;
    let (centre, reach) = (share + square / 2.0, (square * (share * (1.0 - share) + square / 4.0)).sqrt());
    let [low, high] = [centre - reach, centre + reach].map(|end| end / (1.0 + square));
    // Rounding must not push an end beyond what it is the end of.
    (low.clamp(0.0, share), high.clamp(share, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_side_is_kept_however_unsure() {
        let unsure = |malicious| ScanResult { malicious: Some(malicious), confidence: Some(0.1) };
        let verdict =
            |results: &[ScanResult]| StockAnyDistiller.distill(results).map(|verdict| (verdict.malicious(), verdict.confidence()));
        assert_eq!(verdict(&[unsure(true), unsure(false), ScanResult::NONE]), Some((true, 0.5)));
        assert!(verdict(&[unsure(false)]).is_some_and(|(malicious, confidence)| !malicious && confidence < 0.5 + 1e-9));
        assert_eq!(verdict(&[ScanResult::NONE]), None);
        // Of one of one at 90 %: from 1/(1 + 1.645²) on.
        let sure = StockAnyDistiller.distill(&[ScanResult::verdict(true)]).unwrap();
        assert!(sure.interval.1 == 1.0 && (sure.interval.0 - 0.2699).abs() < 1e-4, "{:?}", sure.interval);
    }
}
