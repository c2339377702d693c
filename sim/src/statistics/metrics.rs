//! Risks of one series of profits, bounty by bounty, and how shares are spread over engines.

use super::{
    Unfit,
    bootstrap::{LEAST, Plan},
    check, series,
};

/// Mean profit over its standard deviation with divisor n - 1, per bounty; `None` if nothing varies.
pub fn sharpe(profits: &[f64]) -> Option<f64> {
    let deviation = series::deviation(profits);
    (deviation > 0.0).then(|| series::mean(profits) / deviation)
}

/// Mean profit over the root of the mean squared loss, `sqrt(mean(min(0, x)²))`, per bounty; `None` without a loss.
pub fn sortino(profits: &[f64]) -> Option<f64> {
    let squares = profits.iter().map(|profit| profit.min(0.0) * profit.min(0.0)).sum::<f64>();
    (squares > 0.0).then(|| series::mean(profits) / (squares / profits.len() as f64).sqrt())
}

/// The worst of what may happen on one bounty.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Tail {
    /// Value at risk: the loss that is not exceeded with the probability asked for. Negative if even that is a profit.
    pub at_risk: f64,
    /// Conditional value at risk: the mean loss in the rest of cases.
    pub conditional: f64,
}

/// Value at risk and conditional value at risk at `level` such as .95 (Rockafellar & Uryasev 2002): of n losses in rising order
/// the one numbered `ceil(level n)`, and the mean of the `(1 - level) n` largest, of which that one may count in part.
/// `None` without a profit, or if the level is not in [0, 1).
pub fn tail(profits: &[f64], level: f64) -> Option<Tail> {
    if profits.is_empty() || !(0.0..1.0).contains(&level) {
        return None;
    }
    let losses = series::sorted(&profits.iter().map(|profit| -profit).collect::<Vec<f64>>());
    let below = level * losses.len() as f64;
    // .95 times 40 is 38, whatever the last bit says.
    let number = (below - 1e-9).ceil().max(1.0) as usize;
    let at_risk = losses[number - 1];
    let beyond = losses[number..].iter().sum::<f64>() + (number as f64 - below).max(0.0) * at_risk;
    Some(Tail { at_risk, conditional: beyond / (losses.len() as f64 - below) })
}

/// The deepest fall of what was earned so far.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Fall {
    /// From peak to trough, in the unit of profits.
    pub depth: f64,
    /// Place of the bounty that made the peak; `None` if it is the start.
    pub peak: Option<usize>,
    /// Place of the bounty that made the trough; `None` if there never was a fall.
    pub trough: Option<usize>,
    /// Most bounties in a row that ended below an earlier peak.
    pub under_water: usize,
}

/// The deepest fall, the first one if several are as deep. A peak is the latest place as high as any before.
/// `score::Drawdown` does the same while a run is played, to the wei.
pub fn drawdown(profits: &[f64]) -> Fall {
    let (mut equity, mut highest, mut peak, mut below) = (0.0, 0.0, None, 0);
    let mut fall = Fall::default();
    for (place, profit) in profits.iter().enumerate() {
        equity += profit;
        if equity >= highest {
            (highest, peak, below) = (equity, Some(place), 0);
        } else {
            below += 1;
            fall.under_water = fall.under_water.max(below);
        }
        if highest - equity > fall.depth {
            fall = Fall { depth: highest - equity, peak, trough: Some(place), ..fall };
        }
    }
    fall
}

/// The exponent of Lundberg's bound: theta > 0 with `mean(exp(-theta x)) = 1`. The probability that a wealth is ever lost, if
/// profits go on like this and do not depend on each other, is at most `exp(-theta wealth)`.
///
/// 0 if the mean is not positive, for then ruin is certain; infinite if there never was a loss. Found by bisection.
/// Source: Lundberg 1926; Asmussen & Albrecher 2010.
pub fn lundberg(profits: &[f64]) -> f64 {
    let worst = profits.iter().copied().fold(f64::INFINITY, f64::min);
    if worst >= 0.0 {
        return f64::INFINITY;
    }
    if series::mean(profits) <= 0.0 {
        return 0.0;
    }
    // The mean of exp(-theta x) is below 1 just above 0 and rises for good from somewhere on: at ln(n)/-worst it is 1 at least.
    let too_far = |theta: f64| profits.iter().map(|profit| libm::exp(-theta * profit)).sum::<f64>() >= profits.len() as f64;
    let (mut low, mut high) = (0.0, libm::log(profits.len() as f64) / -worst);
    loop {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            return middle;
        }
        if too_far(middle) { high = middle } else { low = middle }
    }
}

/// Lundberg's bound on the probability that `wealth` is ever lost, given [`lundberg`]'s exponent.
pub fn ruin_bound(theta: f64, wealth: f64) -> f64 {
    if wealth <= 0.0 { 1.0 } else { libm::exp(-theta * wealth) }
}

/// How often `wealth` is used up within as many bounties as these, in resamples of them.
///
/// # Errors
///
/// With fewer than [`LEAST`] bounties or with profits that are not finite.
pub fn ruin_frequency(profits: &[f64], wealth: f64, plan: &Plan) -> Result<f64, Unfit> {
    check(profits, LEAST)?;
    let ruined = plan.each(profits.len(), |places| {
        let mut left = wealth;
        places.iter().any(|&place| {
            left += profits[place as usize];
            left <= 0.0
        })
    });
    Ok(ruined.iter().filter(|ruined| **ruined).count() as f64 / ruined.len().max(1) as f64)
}

/// Gini's coefficient of shares that are not negative: 0 if all are equal, near 1 if one has everything; `None` if nobody has
/// anything. Half the mean absolute difference of two, over the mean.
pub fn gini(shares: &[f64]) -> Option<f64> {
    let (n, total) = (shares.len() as f64, shares.iter().sum::<f64>());
    let ranked = series::sorted(shares).iter().zip(1..).map(|(share, rank)| (2.0 * f64::from(rank) - n - 1.0) * share).sum::<f64>();
    (total > 0.0).then(|| ranked / (n * total))
}

/// Herfindahl and Hirschman's index: the sum of squared shares, from 1/n to 1; `None` if nobody has anything.
pub fn herfindahl(shares: &[f64]) -> Option<f64> {
    let total = shares.iter().sum::<f64>();
    (total > 0.0).then(|| shares.iter().map(|share| share / total * (share / total)).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fall_is_told_with_its_places() {
        let fall = drawdown(&[1.0, -2.0, 1.0, 0.5, 2.0, -1.0, -1.5, 4.0]);
        assert_eq!(fall, Fall { depth: 2.5, peak: Some(4), trough: Some(6), under_water: 3 });
        assert_eq!(drawdown(&[-1.0, -1.0]), Fall { depth: 2.0, peak: None, trough: Some(1), under_water: 2 });
        assert_eq!([drawdown(&[]), drawdown(&[0.0, 1.0])], [Fall::default(); 2]);
    }

    #[test]
    fn without_losses_there_is_no_risk_to_measure() {
        assert_eq!((sharpe(&[0.1; 20]), sortino(&[1.0, 2.0]), lundberg(&[1.0, 0.0])), (None, None, f64::INFINITY));
        assert_eq!((lundberg(&[1.0, -1.0]), ruin_bound(0.0, 10.0), ruin_bound(f64::INFINITY, 10.0)), (0.0, 1.0, 0.0));
        assert_eq!((tail(&[], 0.95), tail(&[1.0], 1.0), gini(&[]), herfindahl(&[0.0])), (None, None, None, None));
    }

    #[test]
    fn ruin_solves_lundbergs_equation() {
        // One wins 1 with probability .6, else loses 1: exp(theta) is the odds.
        let profits = [1.0, 1.0, 1.0, -1.0, -1.0];
        assert!((lundberg(&profits) - libm::log(1.5)).abs() < 1e-12);
        let often: Vec<f64> = profits.iter().copied().cycle().take(500).collect();
        let frequency = ruin_frequency(&often, 4.0, &Plan { block: 1.0, resamples: 999, seed: 1 }).unwrap();
        let bound = ruin_bound(lundberg(&profits), 4.0);
        assert!(frequency < bound + 0.03 && frequency > bound - 0.06, "{frequency} of at most {bound}");
    }

    #[test]
    fn the_tail_counts_the_last_loss_in_part() {
        let profits: Vec<f64> = (1..=10).map(|loss| f64::from(-loss)).collect();
        assert_eq!(tail(&profits, 0.8), Some(Tail { at_risk: 8.0, conditional: 9.5 }));
        let Some(Tail { at_risk, conditional }) = tail(&profits, 0.75) else { panic!("a tail") };
        assert!(at_risk == 8.0 && (conditional - (9.0 + 10.0 + 4.0) / 2.5).abs() < 1e-12, "{conditional}");
    }

    #[test]
    fn equal_shares_are_not_concentrated() {
        assert_eq!((gini(&[2.0; 5]), gini(&[0.0, 0.0, 0.0, 7.0])), (Some(0.0), Some(0.75)));
        assert_eq!((herfindahl(&[2.0; 4]), herfindahl(&[0.0, 3.0])), (Some(0.25), Some(1.0)));
    }
}
