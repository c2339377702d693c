//! Platt's map: `1/(1 + exp(A s + B))`, fitted to smoothed targets, so that no outcome is ever certain.
//!
//! The targets are `(n1 + 1)/(n1 + 2)` for malicious and `1/(n0 + 2)` for benign outcomes. Source: Platt 1999.

use super::Scored;
use crate::{odds::logistic, regression::Problem};

/// The two numbers.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PlattMap {
    /// Factor of the score; negative where high scores mean malicious.
    pub a: f64,
    /// What is added to it.
    pub b: f64,
}

impl PlattMap {
    /// The map for these outcomes; where all scores are equal, the mean of the targets. `None` without an outcome.
    pub fn fit(outcomes: &[Scored]) -> Option<PlattMap> {
        let first = outcomes.first()?;
        if outcomes.iter().all(|outcome| outcome.score == first.score) {
            return Some(PlattMap { a: 0.0, b: PlattMap::fit_with(outcomes, 1)?[0] });
        }
        let [a, b] = PlattMap::fit_with(outcomes, 2)?[..] else { return None };
        Some(PlattMap { a, b })
    }

    /// `A` and `B`, or with one feature `B` alone.
    fn fit_with(outcomes: &[Scored], features: usize) -> Option<Vec<f64>> {
        let malicious = outcomes.iter().filter(|outcome| outcome.malicious).count() as f64;
        let benign = outcomes.len() as f64 - malicious;
        let targets = [1.0 / (benign + 2.0), (malicious + 1.0) / (malicious + 2.0)];
        let mut problem = Problem::new(vec![0.0; features]);
        for outcome in outcomes {
            problem.add(&[outcome.score, 1.0][2 - features..], 1.0, targets[usize::from(outcome.malicious)]);
        }
        Some(problem.solve()?.weights.iter().map(|weight| -weight).collect())
    }

    /// The probability behind a score.
    pub fn apply(&self, score: f64) -> f64 {
        logistic(-(self.a * score + self.b))
    }
}
