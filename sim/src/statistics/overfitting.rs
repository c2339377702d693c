//! The best of many trials looks better than it is: how much of a Sharpe ratio luck explains, and how often the best of one
//! half of the bounties is below average on the other. Every trial ever made on a corpus counts, not only those shown.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    Unfit,
    bootstrap::{LEAST, ratio},
    check_all, normal, series,
};

/// Euler and Mascheroni's constant.
const EULER: f64 = 0.577_215_664_9;

/// Mean profit per bounty in standard deviations, and the shape of profits.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Sharpe {
    /// Mean over standard deviation with divisor n - 1, per bounty.
    pub ratio: f64,
    /// Third standardised moment, with population moments.
    pub skewness: f64,
    /// Fourth standardised moment, with population moments: 3 for the normal distribution.
    pub kurtosis: f64,
    /// How many bounties.
    pub bounties: usize,
}

impl Sharpe {
    /// The Sharpe ratio of a series; `None` if nothing varies, because then it has none.
    pub fn of(x: &[f64]) -> Option<Sharpe> {
        let n = x.len() as f64;
        let [second, third, fourth] = series::centred(x).iter().fold([0.0; 3], |[second, third, fourth], value| {
            let square = value * value;
            [second + square, third + square * value, fourth + square * square]
        });
        if second == 0.0 {
            return None;
        }
        let variance = second / n;
        Some(Sharpe {
            ratio: series::mean(x) / (second / (n - 1.0)).sqrt(),
            skewness: third / n / (variance * variance.sqrt()),
            kurtosis: fourth / n / (variance * variance),
            bounties: x.len(),
        })
    }

    /// The probability that the true ratio is above `benchmark` (probabilistic Sharpe ratio, Bailey & Lopez de Prado 2012):
    /// `Phi((SR - SR0) sqrt(T - 1)/sqrt(1 - g3 SR + (g4 - 1)/4 SR²))`. Against [`expected_maximum`] it is the deflated Sharpe
    /// ratio (2014). Bounties count as independent.
    pub fn probability_above(&self, benchmark: f64) -> f64 {
        let spread = 1.0 - self.skewness * self.ratio + (self.kurtosis - 1.0) / 4.0 * self.ratio * self.ratio;
        let distance = (self.ratio - benchmark) * (self.bounties as f64 - 1.0).sqrt();
        normal::cdf(ratio(distance, spread.max(0.0).sqrt()))
    }
}

/// The largest Sharpe ratio to expect of trials that are all worth nothing, from the spread of the ratios that were found
/// (Bailey & Lopez de Prado 2014): `sd ((1 - c) Phi^-1(1 - 1/N) + c Phi^-1(1 - 1/(N e)))`. `trials` is their number, or
/// [`effective_trials`] if they resemble each other; 0 for a single one.
pub fn expected_maximum(ratios: &[f64], trials: f64) -> f64 {
    if trials <= 1.0 {
        return 0.0;
    }
    let rarest = |share: f64| normal::quantile(1.0 - share / trials);
    series::deviation(ratios) * ((1.0 - EULER) * rarest(1.0) + EULER * rarest(1.0 / std::f64::consts::E))
}

/// How many independent trials these are worth: `(sum lambda)²/sum lambda²` over the eigenvalues of their correlations,
/// which is the squared number of trials over the sum of squared correlations. Those that never vary count for nothing.
///
/// # Errors
///
/// Without a trial, and with lengths that differ or values that are not finite.
pub fn effective_trials(trials: &[&[f64]]) -> Result<f64, Unfit> {
    check_all(trials.iter().copied(), 2)?;
    let standard: Vec<Vec<f64>> = trials
        .par_iter()
        .filter(|trial| !series::constant(trial))
        .map(|trial| {
            let length = series::population_deviation(trial) * (trial.len() as f64).sqrt();
            series::centred(trial).iter().map(|value| value / length).collect()
        })
        .collect();
    let row = |one: &Vec<f64>| {
        let squared = |other: &Vec<f64>| {
            let correlation = one.iter().zip(other).map(|(one, other)| one * other).sum::<f64>();
            correlation * correlation
        };
        standard.iter().map(squared).sum::<f64>()
    };
    let rows: Vec<f64> = standard.par_iter().map(row).collect();
    let count = standard.len() as f64;
    Ok(ratio(count * count, rows.iter().sum()))
}

/// What makes a trial the best of a half.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Score {
    /// Mean profit.
    Mean,
    /// Mean over standard deviation with divisor n - 1.
    Sharpe,
}

/// How the best trials of halves did on the other halves.
#[derive(Clone, PartialEq, Debug)]
pub struct Overfitting {
    /// Share of splits in which the best of one half is not above the middle on the other: .5 if there is nothing to choose, 1 if all are equal.
    pub probability: f64,
    /// Log-odds of `r/(K + 1)`, where r is the rank of the best among the K trials on the other half, 1 for the worst; by split,
    /// in lexicographic order of the blocks of the first half.
    pub logits: Vec<f64>,
}

/// The probability of backtest overfitting by combinatorially symmetric cross-validation (Bailey, Borwein, Lopez de Prado & Zhu
/// 2017): bounties are cut into an even number of blocks, usually 16, and each half of the blocks chooses the best trial for
/// the other half. Blocks are of equal length; what remains after the last one is dropped. Of equal trials the first is the
/// best; their ranks are averaged.
///
/// # Errors
///
/// Without a trial, with fewer than [`LEAST`] bounties or than two in each block, and with lengths that differ or values that
/// are not finite.
///
/// # Panics
///
/// If the number of blocks is odd, 0, or above 24: that would be millions of splits.
pub fn overfitting(trials: &[&[f64]], blocks: usize, score: Score) -> Result<Overfitting, Unfit> {
    check_all(trials.iter().copied(), LEAST.max(2 * blocks))?;
    let trials: Vec<Blocks> = trials.iter().map(|trial| Blocks::of(trial, blocks)).collect::<Result<_, _>>()?;
    Ok(overfitting_of(&trials.iter().collect::<Vec<_>>(), score))
}

/// The same for trials of which only the sums of blocks are known.
///
/// # Panics
///
/// Without a trial, if blocks are not the same for all, and if their number is odd, 0, or above 24.
pub fn overfitting_of(trials: &[&Blocks], score: Score) -> Overfitting {
    let (blocks, length) = (trials[0].sums.len(), trials[0].length);
    assert!(blocks > 0 && blocks.is_multiple_of(2) && blocks <= 24, "halves of {blocks} blocks");
    assert!(trials.iter().all(|trial| trial.sums.len() == blocks && trial.length == length), "blocks of different kinds");
    let mut firsts = Vec::new();
    let mut first: Vec<usize> = (0..blocks / 2).collect();
    loop {
        firsts.push(first.clone());
        // The last place that can move on does, and those after it follow it closely.
        let Some(place) = (0..first.len()).rev().find(|&place| first[place] < blocks - first.len() + place) else { break };
        let next = first[place] + 1;
        first.iter_mut().skip(place).zip(next..).for_each(|(block, next)| *block = next);
    }
    let logit = |first: &Vec<usize>| {
        let second: Vec<usize> = (0..blocks).filter(|block| !first.contains(block)).collect();
        let best = trials.iter().map(|trial| trial.score(first, score)).enumerate();
        let best = best.fold((0, f64::NEG_INFINITY), |best, next| if next.1 > best.1 { next } else { best }).0;
        let scores: Vec<f64> = trials.iter().map(|trial| trial.score(&second, score)).collect();
        let count = |among: &dyn Fn(f64) -> bool| scores.iter().filter(|&&score| among(score)).count() as f64;
        let rank = count(&|score| score < scores[best]) + 0.5 * (1.0 + count(&|score| score == scores[best]));
        libm::log(rank / (trials.len() as f64 + 1.0 - rank))
    };
    let logits: Vec<f64> = firsts.par_iter().map(logit).collect();
    let probability = logits.iter().filter(|&&logit| logit <= 0.0).count() as f64 / logits.len() as f64;
    Overfitting { probability, logits }
}

/// One trial, ready to be scored on any choice of blocks.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Blocks {
    /// Bounties in each block; what remains after the last one is dropped.
    pub length: usize,
    /// Mean profit of all bounties.
    pub mean: f64,
    /// Sums, and sums of squares, of what is above the mean, by block.
    pub sums: Vec<(f64, f64)>,
}

impl Blocks {
    /// Cuts a series into so many blocks.
    ///
    /// # Errors
    ///
    /// With fewer than two values in a block.
    pub fn of(trial: &[f64], blocks: usize) -> Result<Blocks, Unfit> {
        if trial.len() < 2 * blocks {
            return Err(Unfit::TooFewBounties { bounties: trial.len(), least: 2 * blocks });
        }
        let (length, centred) = (trial.len() / blocks, series::centred(trial));
        let sums = centred.chunks_exact(length).take(blocks);
        let sums = sums.map(|block| (block.iter().sum(), block.iter().map(|value| value * value).sum())).collect();
        Ok(Blocks { length, mean: series::mean(trial), sums })
    }

    fn score(&self, blocks: &[usize], score: Score) -> f64 {
        let n = (blocks.len() * self.length) as f64;
        let (sum, squares) = blocks.iter().map(|&block| self.sums[block]).fold((0.0, 0.0), |sum, next| (sum.0 + next.0, sum.1 + next.1));
        let mean = self.mean + sum / n;
        match score {
            Score::Mean => mean,
            Score::Sharpe => ratio(mean, ((squares - sum * sum / n).max(0.0) / (n - 1.0)).sqrt()),
        }
    }
}

#[cfg(test)]
mod tests {
    use engine::chance::Key;

    use super::*;

    fn noise(number: u64, n: usize) -> Vec<f64> {
        let mut chance = Key::root(5).with(number).stream();
        (0..n).map(|_| chance.uniform() - 0.5).collect()
    }

    #[test]
    fn what_never_varies_has_no_sharpe_ratio() {
        assert_eq!([Sharpe::of(&[0.1; 30]), Sharpe::of(&[1.0]), Sharpe::of(&[])], [None; 3]);
    }

    #[test]
    fn copies_are_one_trial() {
        let (one, other) = (noise(0, 400), noise(1, 400));
        let found = effective_trials(&[&one, &one, &one]).unwrap();
        assert!((found - 1.0).abs() < 1e-9, "{found}");
        let found = effective_trials(&[&one, &other, &[0.3; 400]]).unwrap();
        assert!(found > 1.9 && found <= 2.0, "{found}");
        assert_eq!(effective_trials(&[&[0.3; 400]]), Ok(0.0));
        assert_eq!(expected_maximum(&[0.2], 1.0), 0.0);
    }

    #[test]
    fn a_trial_that_is_better_everywhere_is_not_overfitted() {
        let mut trials: Vec<Vec<f64>> = (0..6).map(|number| noise(number, 163)).collect();
        trials[2].iter_mut().for_each(|profit| *profit += 1.0);
        let slices: Vec<&[f64]> = trials.iter().map(Vec::as_slice).collect();
        for score in [Score::Mean, Score::Sharpe] {
            let found = overfitting(&slices, 10, score).unwrap();
            assert_eq!((found.probability, found.logits.len()), (0.0, 252));
        }
        let same = overfitting(&[slices[0]; 3], 8, Score::Mean).unwrap();
        assert_eq!(same.probability, 1.0, "the middle rank is not above the middle");
        assert_eq!(overfitting(&[&[1.0; 20]], 16, Score::Mean), Err(Unfit::TooFewBounties { bounties: 20, least: 32 }));
    }
}
