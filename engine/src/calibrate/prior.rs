//! The prior of today: one number that is added to all log-odds, because the share of malware moves faster than what
//! the backends' answers mean.
//!
//! What a backend is worth is learned from the whole window; how much malware there is, from the latest outcomes alone,
//! whose weight halves with every `half_life` artifacts of age. The number is where
//! `sum weight·log-loss + ½ shift²` is least: the ridge lets a few surprises move it a little, and a run of them far.

use super::Scored;
use crate::odds::{inside, logistic, logit};

/// The steps end long before: none is longer than 1, and none less than halves what is left.
const STEPS: u32 = 60;

/// The shift for these outcomes of calibrated probabilities, in order of time; a half-life of 0 means none.
pub fn shift(outcomes: &[Scored], half_life: u32) -> f64 {
    if half_life == 0 {
        return 0.0;
    }
    let weight = |age: usize| libm::exp2(-(age as f64) / f64::from(half_life));
    let latest: Vec<(f64, f64, f64)> = outcomes
        .iter()
        .rev()
        .enumerate()
        .map(|(age, outcome)| (weight(age), logit(inside(outcome.score)), f64::from(u8::from(outcome.malicious))))
        .take_while(|(weight, ..)| *weight > 1e-6)
        .collect();
    let mut shift = 0.0;
    for _ in 0..STEPS {
        let (mut first, mut second) = (shift, 1.0);
        for &(weight, odds, malicious) in &latest {
            let p = logistic(odds + shift);
            first += weight * (p - malicious);
            second += weight * p * (1.0 - p);
        }
        // The curvature changes by no more than a factor of e from 0 to 1, so that steps this short always come nearer.
        let step = (first / second).clamp(-1.0, 1.0);
        shift -= step;
        if step.abs() < 1e-12 {
            break;
        }
    }
    shift
}

/// A probability, shifted; exactly itself without a shift.
pub fn shifted(p: f64, shift: f64) -> f64 {
    if shift == 0.0 { p } else { logistic(logit(inside(p)) + shift) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(verdicts: impl Iterator<Item = bool>) -> Vec<Scored> {
        verdicts.map(|malicious| Scored { score: 0.5, malicious }).collect()
    }

    #[test]
    fn it_follows_the_latest_outcomes() {
        let half = outcomes((0..5000).map(|n| n % 2 == 0));
        assert!(shift(&half, 150).abs() < 0.01);
        // After as many outcomes as two half-lives, three quarters of all weight is theirs.
        let mut risen = half.clone();
        risen.extend(outcomes((0..300).map(|_| true)));
        let p = shifted(0.5, shift(&risen, 150));
        assert!((p - 0.875).abs() < 0.01, "{p}");
        assert_eq!(shift(&risen, 0), 0.0);
    }

    #[test]
    fn a_few_outcomes_move_it_a_little_and_a_run_of_one_kind_ends_somewhere() {
        let few = shift(&outcomes([true; 2].into_iter()), 150);
        assert!(0.0 < few && few < 0.8, "{few}");
        for malicious in [false, true] {
            let far = shift(&outcomes([malicious; 5000].into_iter()), 1000);
            assert!(far.is_finite() && 3.0 < far.abs() && far.abs() < 10.0 && (far > 0.0) == malicious, "{far}");
        }
    }

    #[test]
    fn the_slope_vanishes_at_the_shift() {
        let outcomes: Vec<Scored> = (0..400u32).map(|n| Scored { score: f64::from(n * 37 % 400) / 399.0, malicious: n % 7 == 0 }).collect();
        let found = shift(&outcomes, 90);
        let residual = |(age, outcome): (usize, &Scored)| {
            libm::exp2(-(age as f64) / 90.0) * (shifted(outcome.score, found) - f64::from(u8::from(outcome.malicious)))
        };
        let slope = found + outcomes.iter().rev().enumerate().map(residual).sum::<f64>();
        assert!(slope.abs() < 1e-6, "{slope}");
    }

    #[test]
    fn without_a_shift_a_probability_is_itself() {
        for p in [0.0, 1e-15, 0.3, 1.0] {
            assert_eq!(shifted(p, 0.0).to_bits(), p.to_bits());
        }
    }
}
