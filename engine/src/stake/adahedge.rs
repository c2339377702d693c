//! `adahedge`: AdaHedge over levels of bids. It needs neither a horizon nor the range of profits.
//!
//! With gains `G`, mixability sum `D` and `K` levels: while `D` is 0, uniform over the leaders; else η = ln K / D and
//! w ~ exp(η G). On gains `g`: h = w·g; mix = the greatest `g` of those with weight if `D` is 0, else ln(Σ w exp(η g))/η;
//! then D += max(0, mix - h) and G += g. A level is drawn by the weights.

use super::{
    Entry,
    levels::{Choice, Learner, Levels, draw, softmax},
};
use crate::chance::Stream;

pub(super) const ADAHEDGE: Entry = Entry {
    name: "adahedge",
    meaning: "learns by AdaHedge which bid pays, from what every bid would have brought",
    formula: "draws a level by w ~ exp(eta G), eta = ln K/D, D = sum of mixability gaps, per bin of own p (.6 .75 .85 .92 .97 .99)",
    parameters: &[],
    source: "de Rooij, van Erven, Grünwald, Koolen 2014",
    make: |_| Ok(Box::new(Levels::new(AdaHedge::default()))),
};

/// The state of one bin.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct AdaHedge {
    gains: Vec<f64>,
    mixability: f64,
}

impl AdaHedge {
    fn rate(&self) -> f64 {
        libm::log(self.gains.len() as f64) / self.mixability
    }

    /// Sum of the mixability gaps so far.
    pub fn mixability(&self) -> f64 {
        self.mixability
    }

    /// The levels' probabilities.
    pub fn weights(&self) -> Vec<f64> {
        if self.mixability > 0.0 {
            let rate = self.rate();
            return softmax(self.gains.iter().map(|gain| rate * gain));
        }
        let most = self.gains.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let leaders = self.gains.iter().filter(|&&gain| gain == most).count() as f64;
        self.gains.iter().map(|&gain| if gain == most { 1.0 / leaders } else { 0.0 }).collect()
    }
}

impl Learner for AdaHedge {
    fn open(&mut self, levels: usize) {
        *self = AdaHedge { gains: vec![0.0; levels], mixability: 0.0 };
    }

    fn choose(&mut self, chance: &mut Stream) -> Choice {
        draw(&self.weights(), chance)
    }

    fn learn(&mut self, profits: &[f64], _: Option<Choice>) {
        let weights = self.weights();
        let hedged: f64 = weights.iter().zip(profits).map(|(weight, profit)| weight * profit).sum();
        let most =
            weights.iter().zip(profits).filter(|(weight, _)| **weight > 0.0).map(|(_, &profit)| profit).fold(f64::NEG_INFINITY, f64::max);
        let mix = if self.mixability > 0.0 {
            let rate = self.rate();
            let sum: f64 = weights.iter().zip(profits).map(|(weight, profit)| weight * libm::exp(rate * (profit - most))).sum();
            most + libm::log(sum) / rate
        } else {
            most
        };
        self.mixability += (mix - hedged).max(0.0);
        self.gains.iter_mut().zip(profits).for_each(|(gain, profit)| *gain += profit);
    }
}
