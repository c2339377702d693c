//! The beta map: `logit p = a log s - b log(1 - s) + c` with `a, b >= 0`; a negative one is dropped and the rest fitted
//! again. It holds the identity (`a = b = 1`, `c = 0`), unlike Platt's. Source: Kull, Silva Filho, Flach 2017.

use super::Scored;
use crate::{
    odds::{inside, logistic},
    regression::Problem,
};

/// The three numbers.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BetaMap {
    /// Of the score's logarithm.
    pub a: f64,
    /// Of the logarithm of what it lacks to one.
    pub b: f64,
    /// What is added.
    pub c: f64,
}

/// The two features of a score.
fn features(score: f64) -> [f64; 2] {
    let score = inside(score);
    [libm::log(score), -libm::log(1.0 - score)]
}

impl BetaMap {
    /// The map for these outcomes; `None` if scores tell all outcomes apart. Two different scores determine two numbers,
    /// so `b` is dropped; a single one determines `c` alone.
    pub fn fit(outcomes: &[Scored]) -> Option<BetaMap> {
        let first = outcomes.first()?.score;
        let second = outcomes.iter().map(|outcome| outcome.score).find(|&score| score != first);
        let third = outcomes.iter().map(|outcome| outcome.score).find(|&score| score != first && Some(score) != second);
        let [a, b, c] = BetaMap::fit_with(outcomes, [second.is_some(), third.is_some()])?;
        let [a, b, c] = match (a < 0.0, b < 0.0) {
            (false, false) => [a, b, c],
            (true, true) => BetaMap::fit_with(outcomes, [false, false])?,
            (dropped, _) => BetaMap::fit_with(outcomes, [!dropped, dropped])?,
        };
        // What is left alone may turn out negative, too: then scores say nothing.
        let [a, b, c] = if a < 0.0 || b < 0.0 { BetaMap::fit_with(outcomes, [false, false])? } else { [a, b, c] };
        Some(BetaMap { a, b, c })
    }

    /// The fit with the features that are `kept`; the others weigh nothing.
    fn fit_with(outcomes: &[Scored], kept: [bool; 2]) -> Option<[f64; 3]> {
        let places: Vec<usize> = (0..2).filter(|&place| kept[place]).collect();
        let mut problem = Problem::new(vec![0.0; places.len() + 1]);
        let mut row = Vec::with_capacity(3);
        for outcome in outcomes {
            let features = features(outcome.score);
            row.clear();
            row.extend(places.iter().map(|&place| features[place]));
            row.push(1.0);
            problem.add(&row, 1.0, f64::from(u8::from(outcome.malicious)));
        }
        let solution = problem.solve()?.weights;
        let mut weights = [0.0, 0.0, solution[places.len()]];
        for (&place, &weight) in places.iter().zip(&solution) {
            weights[place] = weight;
        }
        Some(weights)
    }

    /// The probability behind a score.
    pub fn apply(&self, score: f64) -> f64 {
        let [low, high] = features(score);
        logistic(self.a * low + self.b * high + self.c)
    }
}
