//! `thompson`: the level that a draw from what is believed of the levels puts first. It learns from its own outcome alone.
//!
//! Gains are between 0 and 1, one half for no profit. A level's mean is believed to be normal: around one half before
//! anything is known, weighing as much as `n0` outcomes, each of variance `var`; after `n` outcomes around
//! (n0/2 + Σ gains)/(n0 + n), with variance var/(n0 + n).

use super::{
    Entry, Parameter,
    hedge::RANGE,
    levels::{Choice, Learner, Levels, gain},
};
use crate::chance::Stream;

pub(super) const THOMPSON: Entry = Entry {
    name: "thompson",
    meaning: "learns which bid pays by Thompson sampling, from its own outcomes alone",
    formula: "the level with the greatest draw from N((n0/2 + sum of gains)/(n0 + n), var/(n0 + n)), gain = clip(1/2 + profit/R), per bin of own p",
    parameters: &[
        Parameter::new("n0", "2", "outcomes that the prior weighs"),
        Parameter::new("var", "0.25", "variance of an outcome, of gains between 0 and 1"),
        RANGE,
    ],
    source: "Thompson 1933; Agrawal & Goyal 2013",
    make: |parameters| {
        let (prior, variance) = (parameters.number("n0", 1e-6..=1e9)?, parameters.number("var", 0.0..=1e3)?);
        let range = parameters.number("range", 1e-6..=1e9)?;
        Ok(Box::new(Levels::new(Thompson { prior, variance, range, levels: Vec::new() })))
    },
};

#[derive(Clone, PartialEq, Debug)]
struct Thompson {
    prior: f64,
    variance: f64,
    range: f64,
    /// For each level how many outcomes it had, and the sum of its gains.
    levels: Vec<(f64, f64)>,
}

/// A draw from the standard normal distribution, by Box and Muller.
fn normal(chance: &mut Stream) -> f64 {
    let (radius, angle) = (1.0 - chance.uniform(), chance.uniform());
    (-2.0 * libm::log(radius)).sqrt() * libm::cos(std::f64::consts::TAU * angle)
}

impl Learner for Thompson {
    fn open(&mut self, levels: usize) {
        self.levels = vec![(0.0, 0.0); levels];
    }

    fn choose(&mut self, chance: &mut Stream) -> Choice {
        let draws = self.levels.iter().map(|&(outcomes, gains)| {
            let weight = self.prior + outcomes;
            (0.5 * self.prior + gains) / weight + (self.variance / weight).sqrt() * normal(chance)
        });
        let best = draws.enumerate().max_by(|one, other| one.1.total_cmp(&other.1));
        Choice { level: best.map_or(0, |(level, _)| level), probability: 1.0 }
    }

    fn learn(&mut self, profits: &[f64], chosen: Option<Choice>) {
        if let Some(Choice { level, .. }) = chosen {
            self.levels[level].0 += 1.0;
            self.levels[level].1 += gain(profits[level], self.range);
        }
    }
}
