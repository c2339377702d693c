//! Calibration: maps from the score of a distiller to the share of malicious artifacts among those scored so.
//!
//! Maps are fitted on scores and outcomes of the past, one file each. `auto` takes the one that would have done best:
//! fitted on the first four fifths of the lessons by time, the least log-loss on the last fifth, then fitted on all.
//! What a map says is then moved by the [`prior`] of today.

pub mod beta;
pub mod isotonic;
pub mod platt;
pub mod prior;

use serde::{Deserialize, Serialize};

use self::{beta::BetaMap, isotonic::IsotonicMap, platt::PlattMap};
use crate::odds::log_loss;

/// Outcomes that `auto` wants to see before it considers isotonic steps.
const ISOTONIC_MINIMUM: usize = 1000;

/// The maps to choose from.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MapKind {
    /// Scores are taken at their word.
    #[default]
    None,
    /// A logistic curve.
    Platt,
    /// A curve between beta distributions.
    Beta,
    /// Any rising line.
    Isotonic,
    /// The best of the above on the latest fifth of the lessons.
    Auto,
}

impl MapKind {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            MapKind::None => "none",
            MapKind::Platt => "platt",
            MapKind::Beta => "beta",
            MapKind::Isotonic => "isotonic",
            MapKind::Auto => "auto",
        }
    }
}

/// A score and what came of it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Scored {
    /// What was said: a probability.
    pub score: f64,
    /// What it was.
    pub malicious: bool,
}

/// A fitted map.
#[derive(Clone, PartialEq, Default, Debug)]
pub enum Map {
    /// Leaves scores as they are.
    #[default]
    Identity,
    /// See [`platt`].
    Platt(PlattMap),
    /// See [`beta`].
    Beta(BetaMap),
    /// See [`isotonic`].
    Isotonic(IsotonicMap),
}

impl Map {
    /// The map of that kind for these outcomes, in order of time; the identity where none can be fitted.
    pub fn fit(kind: MapKind, outcomes: &[Scored]) -> Map {
        let fitted = match kind {
            MapKind::None => None,
            MapKind::Platt => PlattMap::fit(outcomes).map(Map::Platt),
            MapKind::Beta => BetaMap::fit(outcomes).map(Map::Beta),
            MapKind::Isotonic => Some(Map::Isotonic(IsotonicMap::fit(outcomes))),
            MapKind::Auto => Some(Map::fit(best(outcomes), outcomes)),
        };
        fitted.unwrap_or_default()
    }

    /// The probability behind a score.
    pub fn apply(&self, score: f64) -> f64 {
        match self {
            Map::Identity => score,
            Map::Platt(map) => map.apply(score),
            Map::Beta(map) => map.apply(score),
            Map::Isotonic(map) => map.apply(score),
        }
    }
}

/// The kind of the least log-loss on the last fifth, fitted on what comes before it; the simpler one of equals.
fn best(outcomes: &[Scored]) -> MapKind {
    let (before, last) = outcomes.split_at(outcomes.len() - outcomes.len() / 5);
    let loss = |kind| {
        let map = Map::fit(kind, before);
        last.iter().map(|outcome| log_loss(map.apply(outcome.score), outcome.malicious)).sum::<f64>()
    };
    let mut best = (MapKind::None, loss(MapKind::None));
    for kind in [MapKind::Platt, MapKind::Beta, MapKind::Isotonic] {
        if kind == MapKind::Isotonic && outcomes.len() < ISOTONIC_MINIMUM {
            continue;
        }
        let loss = loss(kind);
        if loss < best.1 {
            best = (kind, loss);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Key;

    /// Scores of an engine that is right with the probability `truth(score)`.
    fn outcomes(count: u64, truth: impl Fn(f64) -> f64) -> Vec<Scored> {
        let mut chance = Key::root(3).stream();
        let outcome = |_| {
            let score = chance.uniform();
            Scored { score, malicious: chance.uniform() < truth(score) }
        };
        (0..count).map(outcome).collect()
    }

    #[test]
    fn auto_leaves_alone_what_is_calibrated_and_mends_what_is_not() {
        let fitted = |truth: &dyn Fn(f64) -> f64| Map::fit(MapKind::Auto, &outcomes(3000, truth));
        let worst = |truth: &dyn Fn(f64) -> f64| {
            let map = fitted(truth);
            (0..20).map(|step| (f64::from(step) + 0.5) / 20.0).map(|score| (map.apply(score) - truth(score)).abs()).fold(0.0, f64::max)
        };
        let truths: [&dyn Fn(f64) -> f64; 4] = [&|s| s, &|s| s * s * s, &|s| 0.3 + 0.2 * s, &|s| if s < 0.5 { 0.1 } else { 0.8 }];
        for (number, truth) in truths.into_iter().enumerate() {
            assert!(worst(truth) < 0.1, "{number}: {}", worst(truth));
        }
        let steps = fitted(&|s: f64| if s < 0.5 { 0.1 } else { 0.8 });
        assert!(matches!(steps, Map::Isotonic(_)), "no curve is as steep");
    }

    #[test]
    fn auto_judges_by_the_latest_fifth() {
        // Scores mean what they say at last; before that they meant the opposite.
        let mut all: Vec<Scored> = outcomes(900, |s| 1.0 - s);
        all.truncate(700);
        all.extend(outcomes(300, |s| s));
        assert_eq!(Map::fit(MapKind::Auto, &all), Map::Identity);
    }

    #[test]
    fn few_different_scores_are_enough_for_every_map() {
        // In turn, and evenly over time.
        let outcomes = |scores: &[(f64, u32)]| -> Vec<Scored> {
            let of = |n: u32| {
                scores.iter().map(move |&(score, percent)| Scored { score, malicious: n * percent / 100 < (n + 1) * percent / 100 })
            };
            (0..400).flat_map(of).collect()
        };
        for kind in [MapKind::Platt, MapKind::Beta, MapKind::Isotonic, MapKind::Auto] {
            let one = Map::fit(kind, &outcomes(&[(0.2, 75)]));
            assert!((one.apply(0.2) - 0.75).abs() < 0.01, "{kind:?}: {one:?}");
            let two = Map::fit(kind, &outcomes(&[(0.2, 10), (0.9, 60)]));
            assert!((two.apply(0.2) - 0.1).abs() < 0.01 && (two.apply(0.9) - 0.6).abs() < 0.01, "{kind:?}: {two:?}");
        }
    }

    #[test]
    fn a_single_class_calls_nothing_certain() {
        let benign: Vec<Scored> = (0..200).map(|n| Scored { score: f64::from(n) / 200.0, malicious: false }).collect();
        for kind in [MapKind::Platt, MapKind::Isotonic] {
            let p = Map::fit(kind, &benign).apply(0.9);
            assert!(p > 0.001 && p < 0.02, "{kind:?}: {p}");
        }
    }
}
