//! `exp3-ix`: a bandit that assumes nothing of how profits come about. It learns from its own outcome alone.
//!
//! In its `t`-th lesson η = √(2 ln K / (K t)) and γ = η/2; a level is drawn by w ~ exp(-η L̂), and for the one that was drawn
//! L̂ += loss / (w + γ), with the weight that it was drawn by. A loss of 1 is half of the range lost, 0 is half of it won.

use super::{
    Entry,
    hedge::RANGE,
    levels::{Choice, Learner, Levels, draw, gain, softmax},
};
use crate::chance::Stream;

pub(super) const EXP3_IX: Entry = Entry {
    name: "exp3-ix",
    meaning: "learns by EXP3-IX which bid pays, from its own outcomes alone",
    formula: "draws a level by w ~ exp(-eta L), eta = sqrt(2 ln K/(K t)), L += loss/(w + eta/2), loss = clip(1/2 - profit/R), per bin of own p",
    parameters: &[RANGE],
    source: "Neu 2015",
    make: |parameters| Ok(Box::new(Levels::new(Exp3Ix::new(parameters.number("range", 1e-6..=1e9)?)))),
};

/// The state of one bin.
#[derive(Clone, PartialEq, Debug)]
pub struct Exp3Ix {
    range: f64,
    losses: Vec<f64>,
    lessons: f64,
}

impl Exp3Ix {
    /// For profits from so wide a range.
    pub fn new(range: f64) -> Exp3Ix {
        Exp3Ix { range, losses: Vec::new(), lessons: 0.0 }
    }

    fn rate(&self) -> f64 {
        let levels = self.losses.len() as f64;
        (2.0 * libm::log(levels) / (levels * (self.lessons + 1.0))).sqrt()
    }

    /// The levels' probabilities.
    pub fn weights(&self) -> Vec<f64> {
        let rate = self.rate();
        softmax(self.losses.iter().map(|loss| -rate * loss))
    }
}

impl Learner for Exp3Ix {
    fn open(&mut self, levels: usize) {
        self.losses = vec![0.0; levels];
    }

    fn choose(&mut self, chance: &mut Stream) -> Choice {
        draw(&self.weights(), chance)
    }

    fn learn(&mut self, profits: &[f64], chosen: Option<Choice>) {
        let Some(Choice { level, probability }) = chosen else { return };
        self.losses[level] += (1.0 - gain(profits[level], self.range)) / (probability + 0.5 * self.rate());
        self.lessons += 1.0;
    }
}
