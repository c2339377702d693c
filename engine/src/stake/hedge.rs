//! `hedge`: exponential weights over levels of bids, with the rate that is best for a known horizon and range of profits:
//! w ~ exp(η G), η = √(8 ln K / T) / R. A level is drawn by the weights.

use super::{
    Entry, Parameter,
    levels::{Choice, Learner, Levels, draw, softmax},
};
use crate::chance::Stream;

/// What learners with a range share: from losing the greatest bid to winning a bounty and the losers' stakes.
pub(super) const RANGE: Parameter = Parameter::new("range", "4", "of an artifact's profit, in NCT: from least to most");

pub(super) const HEDGE: Entry = Entry {
    name: "hedge",
    meaning: "learns by exponential weights which bid pays, from what every bid would have brought",
    formula: "draws a level by w ~ exp(eta G), eta = sqrt(8 ln K/T)/R, per bin of own p (.6 .75 .85 .92 .97 .99)",
    parameters: &[Parameter::new("horizon", "1000", "T: settled artifacts of a bin that it is made for"), RANGE],
    source: "Freund & Schapire 1997; Cesa-Bianchi & Lugosi 2006, theorem 2.2",
    make: |parameters| {
        let hedge = Hedge::new(parameters.number("horizon", 1.0..=1e9)?, parameters.number("range", 1e-6..=1e9)?);
        Ok(Box::new(Levels::new(hedge)))
    },
};

/// The state of one bin.
#[derive(Clone, PartialEq, Debug)]
pub struct Hedge {
    horizon: f64,
    range: f64,
    gains: Vec<f64>,
}

impl Hedge {
    /// For so many rounds with gains from so wide a range.
    pub fn new(horizon: f64, range: f64) -> Hedge {
        Hedge { horizon, range, gains: Vec::new() }
    }

    /// The levels' probabilities.
    pub fn weights(&self) -> Vec<f64> {
        let rate = (8.0 * libm::log(self.gains.len() as f64) / self.horizon).sqrt() / self.range;
        softmax(self.gains.iter().map(|gain| rate * gain))
    }
}

impl Learner for Hedge {
    fn open(&mut self, levels: usize) {
        self.gains = vec![0.0; levels];
    }

    fn choose(&mut self, chance: &mut Stream) -> Choice {
        draw(&self.weights(), chance)
    }

    fn learn(&mut self, profits: &[f64], _: Option<Choice>) {
        self.gains.iter_mut().zip(profits).for_each(|(gain, profit)| *gain += profit);
    }
}
