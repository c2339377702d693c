//! The logistic distribution function and its inverse from tables.
//!
//! Competitors ask for both ten times per bounty. A verdict is exact; a confidence is within .001 of what `exp` and
//! `log` would give, far less than what its normal approximation is off anyway.

use engine::chance::Uniform;

/// Parts that probabilities are cut into.
const PARTS: usize = 1 << PART_BITS;
const PART_BITS: u32 = 10;
/// Parts next to 0 and 1 in which the logit bends too much for a straight line.
const TAIL: usize = 8;
/// Parts per unit of log-odds, and the log-odds up to which they go.
const PER_UNIT: usize = 32;
const REACH: usize = 16;

/// The tables.
#[derive(Clone, Debug)]
pub struct Logistic {
    /// The logit at multiples of 1/1024, from 0 to 1.
    logits: Box<[f64; PARTS + 1]>,
    /// The probability at multiples of 1/32 from 0 on.
    probabilities: Box<[f64; REACH * PER_UNIT + 1]>,
}

impl Default for Logistic {
    fn default() -> Logistic {
        Logistic {
            logits: Box::new(std::array::from_fn(|part| logit(part as f64 / PARTS as f64))),
            probabilities: Box::new(std::array::from_fn(|part| probability(part as f64 / PER_UNIT as f64))),
        }
    }
}

impl Logistic {
    /// True if `log_odds` exceed the logit of `uniform`: so with their probability. Exact: the logarithm is
    /// taken where the table's two neighbours leave it open.
    #[inline]
    pub fn exceeds(&self, log_odds: f64, uniform: Uniform) -> bool {
        let part = uniform.part(PART_BITS);
        let (low, high) = (self.logits[part], self.logits[part + 1]);
        // Which side it is cannot be foreseen; that it is settled can: one branch, nearly always taken.
        if (log_odds > high) | (log_odds <= low) { log_odds > high } else { log_odds > logit(uniform.value()) }
    }

    /// The logit of `uniform`, within .002; exact in the tails.
    #[inline]
    pub fn logit(&self, uniform: Uniform) -> f64 {
        let (part, value) = (uniform.part(PART_BITS), uniform.value());
        let share = value * PARTS as f64 - part as f64;
        if (TAIL..PARTS - TAIL).contains(&part) { between(&self.logits[part..], share) } else { logit(value) }
    }

    /// The probability of log-odds of zero or more, within .00002; exact far out.
    #[inline]
    pub fn probability(&self, log_odds: f64) -> f64 {
        let position = log_odds * PER_UNIT as f64;
        let part = position as u32 as usize;
        if part < REACH * PER_UNIT { between(&self.probabilities[part..], position - part as f64) } else { probability(log_odds) }
    }
}

/// On the straight line between the first two of `values`.
#[inline]
fn between(values: &[f64], share: f64) -> f64 {
    values[0] + (values[1] - values[0]) * share
}

fn logit(uniform: f64) -> f64 {
    libm::log(uniform / (1.0 - uniform))
}

fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-log_odds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::chance::Key;

    #[test]
    fn tables_are_as_near_as_they_say() {
        let (logistic, mut chance) = (Logistic::default(), Key::root(1).stream());
        for _ in 0..200_000 {
            let (uniform, log_odds) = (chance.draw(), 20.0 * chance.uniform());
            assert!((logistic.logit(uniform) - logit(uniform.value())).abs() < 0.002, "{uniform:?}");
            assert!((logistic.probability(log_odds) - probability(log_odds)).abs() < 0.00002, "{log_odds}");
        }
        assert_eq!((logistic.logit(Uniform::of(0.0)), logistic.probability(f64::INFINITY)), (f64::NEG_INFINITY, 1.0));
    }

    #[test]
    fn verdicts_are_exact() {
        let (logistic, mut chance) = (Logistic::default(), Key::root(2).stream());
        for _ in 0..200_000 {
            let (uniform, log_odds) = (chance.draw(), 16.0 * chance.uniform() - 8.0);
            let exactly = logit(uniform.value());
            assert_eq!(logistic.exceeds(log_odds, uniform), log_odds > exactly, "{log_odds} {uniform:?}");
            let near = exactly + 0.001 * (chance.uniform() - 0.5);
            assert_eq!(logistic.exceeds(near, uniform), near > exactly, "{near} {uniform:?}");
        }
        assert!(logistic.exceeds(-700.0, Uniform::of(0.0)) && !logistic.exceeds(5.0, Uniform::of(1.0 - f64::EPSILON)));
    }
}
