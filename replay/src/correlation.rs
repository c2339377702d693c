//! Engines made more or less alike than they were fitted, each as good as before.
//!
//! An engine's score is a + b·z minus standard logistic noise, of variance π²/3, with z standard normal and common to all;
//! its part in common is ρ = |b|²/(|b|² + π²/3) of the variance. For a wished ρ the loadings keep their direction and
//! get the length |b| = sqrt(ρ/(1-ρ)·π²/3), and a is the number at which E[1/(1 + exp(-a - |b|x))] over a standard
//! normal x is the engine's rate. At ρ = 0 that is the model of independent engines.

use std::{collections::BTreeMap, f64::consts::PI};

use crate::profiles::{LogOdds, TypeProfile};

/// Nearer to 1, the noise would have no part at all: more counts as this.
const MOST: f64 = 0.999;

/// One wished correlation, and the intercepts found for it.
#[derive(Debug)]
pub struct Correlation {
    length: f64,
    /// By the bits of the rate.
    intercepts: BTreeMap<u64, f64>,
}

impl Correlation {
    /// `share` of the variance in common, 0 to 1; above .999 counts as that.
    pub fn new(share: f64) -> Correlation {
        let share = share.min(MOST);
        Correlation { length: (share / (1.0 - share) * PI * PI / 3.0).sqrt(), intercepts: BTreeMap::new() }
    }

    /// What an engine with the rate of `on_type` becomes; `fitted` gives the direction, the first factor where it has none.
    pub fn apply(&mut self, on_type: &TypeProfile, fitted: LogOdds) -> LogOdds {
        let independent = on_type.independent();
        if self.length == 0.0 {
            return independent;
        }
        let length = fitted.b[0].hypot(fitted.b[1]);
        let direction = if length > 0.0 { fitted.b.map(|b| b / length) } else { [1.0, 0.0] };
        let scale = self.length;
        let a = *self.intercepts.entry(independent.a.to_bits()).or_insert_with(|| intercept(independent.a, scale));
        LogOdds { a, b: direction.map(|part| part * scale) }
    }
}

/// The a at which the mean over a standard normal x of 1/(1 + exp(-a - scale·x)) is the probability of `log_odds`.
fn intercept(log_odds: f64, scale: f64) -> f64 {
    let probability = |log_odds: f64| 1.0 / (1.0 + libm::exp(-log_odds));
    let wished = probability(log_odds);
    let mean = |a: f64| mean_over_normal(|x| probability(a + scale * x));
    // The mean is nearer to one half than the probability at x = 0, so that a is further out than `log_odds`.
    let reach = log_odds.abs() + 6.0 * scale + 1.0;
    let (mut low, mut high) = (-reach, reach);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if mean(middle) < wished { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// The mean of `of` over a standard normal variable.
pub(crate) fn mean_over_normal(of: impl Fn(f64) -> f64) -> f64 {
    // Equal steps: as good as exact for functions as smooth as the logistic of a score.
    const STEPS: i32 = 425;
    const STEP: f64 = 0.02;
    let term = |step: i32| {
        let x = f64::from(step) * STEP;
        libm::exp(-0.5 * x * x) * of(x)
    };
    (-STEPS..=STEPS).map(term).sum::<f64>() * STEP / (2.0 * PI).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profiles::Profiles;
    use engine::chance::Key;
    use rand::distr::Distribution;
    use rand_distr::StandardNormal;

    #[test]
    fn rates_stay_and_engines_are_wrong_together_more_often() {
        let on_type = Profiles::builtin().get("ClamAV").unwrap().on_malware("pe32");
        let mut both = Vec::new();
        for share in [0.0, 0.4, 0.8, 1.0] {
            let LogOdds { a, b } = Correlation::new(share).apply(&on_type, on_type.two_factor);
            let (mut chance, mut missed, mut together) = (Key::root(5).stream(), 0, 0);
            const DRAWS: u32 = 100_000;
            for _ in 0..DRAWS {
                let z: [f64; 2] = std::array::from_fn(|_| StandardNormal.sample(&mut chance));
                let found = 1.0 / (1.0 + libm::exp(-(a + b[0] * z[0] + b[1] * z[1])));
                let misses = [(); 2].map(|()| chance.uniform() >= found);
                missed += u32::from(misses[0]) + u32::from(misses[1]);
                together += u32::from(misses[0] && misses[1]);
            }
            let rate = 1.0 - f64::from(missed) / f64::from(2 * DRAWS);
            assert!((rate - on_type.rate).abs() < 0.005, "{share}: {rate} for {}", on_type.rate);
            both.push(f64::from(together) / f64::from(DRAWS));
        }
        let missed = 1.0 - on_type.rate;
        assert!((both[0] - missed * missed).abs() < 0.005, "independent: {both:?}");
        assert!(both.windows(2).all(|pair| pair[0] + 0.02 < pair[1]), "{both:?}");
        assert!((both[3] - missed).abs() < 0.02, "as one: {both:?}");
        assert_eq!(Correlation::new(0.0).apply(&on_type, on_type.two_factor), on_type.independent());
    }

    #[test]
    fn the_intercept_is_the_one_of_a_normal_score_seen_through_the_logistic() {
        // A rate of one half needs none; the mean at the one found is the rate, by sums of 100,000 equal parts.
        assert!(intercept(0.0, 3.0).abs() < 1e-9);
        for (log_odds, scale) in [(2.0, 1.0), (-4.0, 2.5), (1.0, 57.0)] {
            let a = intercept(log_odds, scale);
            let part = |k: u32| {
                let x = -8.0 + 16.0 * (f64::from(k) + 0.5) / 100_000.0;
                libm::exp(-0.5 * x * x) / (1.0 + libm::exp(-a - scale * x))
            };
            let mean = (0..100_000).map(part).sum::<f64>() * 16.0 / 100_000.0 / (2.0 * PI).sqrt();
            let wished = 1.0 / (1.0 + libm::exp(-log_odds));
            assert!((mean - wished).abs() < 1e-7, "{log_odds} {scale}: {mean} for {wished}");
        }
    }
}
