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
    /// The map for these outcomes; `None` if all scores are equal.
    pub fn fit(outcomes: &[Scored]) -> Option<PlattMap> {
        let malicious = outcomes.iter().filter(|outcome| outcome.malicious).count() as f64;
        let benign = outcomes.len() as f64 - malicious;
        let targets = [1.0 / (benign + 2.0), (malicious + 1.0) / (malicious + 2.0)];
        let mut problem = Problem::new(vec![0.0; 2]);
        for outcome in outcomes {
            problem.add(&[outcome.score, 1.0], 1.0, targets[usize::from(outcome.malicious)]);
        }
        let weights = problem.solve()?.weights;
        Some(PlattMap { a: -weights[0], b: -weights[1] })
    }

    /// The probability behind a score.
    pub fn apply(&self, score: f64) -> f64 {
        logistic(-(self.a * score + self.b))
    }
}
