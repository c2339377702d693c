//! `ucb`: the level with the highest upper confidence bound of its mean gain. It learns from its own outcome alone.
//!
//! mean + c √(ln t / n), of gains between 0 and 1 (one half is no profit), with `n` times that the level was chosen and `t`
//! choices in all; a level never chosen comes first, the least of them. Choices count from when they are made: what is not
//! settled yet needs no trying again, and weighs on the mean with one half.

use super::{
    Entry, Parameter,
    hedge::RANGE,
    levels::{Choice, Learner, Levels, gain},
};
use crate::chance::Stream;

pub(super) const UCB: Entry = Entry {
    name: "ucb",
    meaning: "learns which bid pays by upper confidence bounds, from its own outcomes alone",
    formula: "the level with most mean gain + c sqrt(ln t/n), gain = clip(1/2 + profit/R), per bin of own p",
    parameters: &[Parameter::new("c", "0.25", "how much a level's uncertainty counts"), RANGE],
    source: "Auer, Cesa-Bianchi & Fischer 2002",
    make: |parameters| {
        let (c, range) = (parameters.number("c", 0.0..=100.0)?, parameters.number("range", 1e-6..=1e9)?);
        Ok(Box::new(Levels::new(Ucb { c, range, levels: Vec::new() })))
    },
};

#[derive(Clone, PartialEq, Debug)]
struct Ucb {
    c: f64,
    range: f64,
    /// For each level how often it was chosen, and the sum of its gains beyond one half.
    levels: Vec<(f64, f64)>,
}

impl Learner for Ucb {
    fn open(&mut self, levels: usize) {
        self.levels = vec![(0.0, 0.0); levels];
    }

    fn choose(&mut self, _: &mut Stream) -> Choice {
        let all: f64 = self.levels.iter().map(|(chosen, _)| chosen).sum();
        let bound = |&(chosen, gains): &(f64, f64)| {
            if chosen > 0.0 { 0.5 + gains / chosen + self.c * (libm::log(all) / chosen).sqrt() } else { f64::INFINITY }
        };
        // The first of equals.
        let best = self.levels.iter().map(bound).enumerate().rev().max_by(|one, other| one.1.total_cmp(&other.1));
        let level = best.map_or(0, |(level, _)| level);
        self.levels[level].0 += 1.0;
        Choice { level, probability: 1.0 }
    }

    fn learn(&mut self, profits: &[f64], chosen: Option<Choice>) {
        if let Some(Choice { level, .. }) = chosen {
            self.levels[level].1 += gain(profits[level], self.range) - 0.5;
        }
    }
}
