//! Two strategies on the same bounties, with the same luck: what counts is the difference on each bounty.

use engine::chance::{Key, fnv1a64};
use rayon::prelude::*;

use super::{
    Unfit,
    bootstrap::{Estimate, Plan, ratio},
    check, check_all, series,
};

/// Random signs where nothing else is said.
pub const FLIPS: u32 = 9_999;

/// What the first earned more than the second, bounty by bounty.
///
/// # Errors
///
/// If they were not tried on the same number of bounties, on none, or a profit is not finite.
pub fn differences(one: &[f64], other: &[f64]) -> Result<Vec<f64>, Unfit> {
    check_all([one, other], 1)?;
    Ok(one.iter().zip(other).map(|(one, other)| one - other).collect())
}

/// The studentized interval of the mean difference per bounty; none where fewer than
/// [`super::rare::FEWEST`] bounties differ at all.
///
/// # Errors
///
/// With fewer than [`super::bootstrap::LEAST`] bounties or with infinite differences.
pub fn difference(differences: &[f64], plan: &Plan, level: f64) -> Result<Estimate, Unfit> {
    Estimate::of(differences, plan, level, |difference| difference != 0.0)
}

/// A series whose mean has, to the first order, the distribution of the difference of two returns on stake, for the
/// bootstrap: `e_t = (p1 - r1 s1)/mean s1 - (p2 - r2 s2)/mean s2`, where `r = sum p/sum s`; its own mean is 0, so an interval
/// of it belongs around `r1 - r2`.
///
/// Each strategy is (profits, stakes), bounty by bounty. One that never stakes anything has no return and adds 0.
///
/// # Errors
///
/// If the series differ in length, are empty, or hold what is not finite.
pub fn roi_difference(one: (&[f64], &[f64]), other: (&[f64], &[f64])) -> Result<RoiDifference, Unfit> {
    check_all([one.0, one.1, other.0, other.1], 1)?;
    let parts = [one, other].map(|(profits, stakes)| {
        let (earned, staked) = (series::mean(profits), series::mean(stakes));
        let roi = if staked > 0.0 { earned / staked } else { 0.0 };
        let part = |(profit, stake): (&f64, &f64)| if staked > 0.0 { (profit - roi * stake) / staked } else { 0.0 };
        (roi, profits.iter().zip(stakes).map(part).collect::<Vec<f64>>())
    });
    let [(first, early), (second, late)] = parts;
    Ok(RoiDifference { estimate: first - second, errors: early.iter().zip(&late).map(|(one, other)| one - other).collect() })
}

/// See [`roi_difference`].
#[derive(Clone, PartialEq, Debug)]
pub struct RoiDifference {
    /// Return on stake of the first less that of the second.
    pub estimate: f64,
    /// Each bounty's part in the error of the estimate.
    pub errors: Vec<f64>,
}

impl RoiDifference {
    /// The studentized interval of the difference; see [`difference`].
    ///
    /// # Errors
    ///
    /// See [`difference`].
    pub fn interval(&self, plan: &Plan, level: f64) -> Result<Estimate, Unfit> {
        Ok(match difference(&self.errors, plan, level)? {
            Estimate::Interval(mut interval) => {
                for figure in [&mut interval.estimate, &mut interval.low, &mut interval.high] {
                    *figure += self.estimate;
                }
                Estimate::Interval(interval)
            }
            Estimate::TooFew { events, bounties, at_most, .. } => Estimate::TooFew { estimate: self.estimate, events, bounties, at_most },
        })
    }
}

/// p-value of "the two strategies are exchangeable on each block of bounties", two-sided, by the sign-flip test (Fisher 1935).
///
/// Differences are added up over blocks of `block` bounties; what remains after the last full block is dropped. The t
/// statistic of those sums is compared with what it is when each sum's sign is drawn anew, `flips` times:
/// `(1 + those at least as large)/(flips + 1)`. The signs of a draw come from the address (`sign-flip`, seed, number).
///
/// # Errors
///
/// With fewer than two full blocks, or with differences that are not finite.
pub fn sign_flip(differences: &[f64], block: usize, flips: u32, seed: u64) -> Result<f64, Unfit> {
    let test = SignFlip::new(differences, block)?;
    let as_large = |number: &u32| {
        let mut chance = Key::root(fnv1a64("sign-flip")).with(seed).with(u64::from(*number)).stream();
        let mut bits = 0;
        let signs = (0..test.sums.len()).map(|place| {
            bits = if place % 64 == 0 { chance.bits() } else { bits >> 1 };
            if bits & 1 == 1 { 1.0 } else { -1.0 }
        });
        test.as_large(signs)
    };
    let larger = (0..flips).into_par_iter().filter(as_large).count();
    Ok((1 + larger) as f64 / (f64::from(flips) + 1.0))
}

/// The sign-flip test with signs that come from outside: one row of 1 and -1 for each flip, a sign for each full block.
///
/// # Errors
///
/// See [`sign_flip`].
pub fn sign_flip_with(differences: &[f64], block: usize, flips: &[Vec<f64>]) -> Result<f64, Unfit> {
    let test = SignFlip::new(differences, block)?;
    let larger = flips.iter().filter(|signs| test.as_large(signs.iter().copied())).count();
    Ok((1 + larger) as f64 / (flips.len() + 1) as f64)
}

struct SignFlip {
    /// Over blocks.
    sums: Vec<f64>,
    squares: f64,
    statistic: f64,
}

impl SignFlip {
    fn new(differences: &[f64], block: usize) -> Result<SignFlip, Unfit> {
        let block = block.max(1);
        check(differences, 2 * block)?;
        let sums: Vec<f64> = differences.chunks_exact(block).map(|block| block.iter().sum()).collect();
        let squares = sums.iter().map(|sum| sum * sum).sum();
        let mut test = SignFlip { sums, squares, statistic: 0.0 };
        test.statistic = test.t(test.sums.iter().sum());
        Ok(test)
    }

    /// |t| of a sum over blocks; their squares do not depend on signs.
    fn t(&self, sum: f64) -> f64 {
        ratio(sum.abs(), (self.squares - sum * sum / self.sums.len() as f64).max(0.0).sqrt())
    }

    fn as_large(&self, signs: impl Iterator<Item = f64>) -> bool {
        // Equal sums may be added up in another order.
        self.t(signs.zip(&self.sums).map(|(sign, sum)| sign * sum).sum()) >= self.statistic * (1.0 - 1e-12)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_strategies_are_not_told_apart() {
        assert_eq!(sign_flip(&[0.0; 50], 3, 99, 1), Ok(1.0));
        let found = difference(&[0.0; 50], &Plan { block: 1.0, resamples: 9, seed: 1 }, 0.95);
        assert!(matches!(found, Ok(Estimate::TooFew { events: 0, bounties: 50, .. })));
    }

    #[test]
    fn a_steady_advantage_is_as_certain_as_flips_allow() {
        let p = sign_flip(&[0.1; 50], 1, 999, 1).unwrap();
        assert_eq!(p, 0.001);
        // Five blocks: one sign pattern in 16 is as extreme.
        let p = sign_flip(&[0.1; 50], 10, 9_999, 1).unwrap();
        assert!((0.05..0.075).contains(&p), "{p}");
    }

    #[test]
    fn strategies_are_compared_on_the_same_bounties() {
        assert_eq!(differences(&[1.0, 2.0], &[0.5]), Err(Unfit::Uneven { one: 2, other: 1 }));
        assert_eq!(differences(&[], &[]), Err(Unfit::TooFewBounties { bounties: 0, least: 1 }));
        assert_eq!(sign_flip(&[1.0; 5], 3, 9, 1), Err(Unfit::TooFewBounties { bounties: 5, least: 6 }));
        assert_eq!(differences(&[1.0, 2.0], &[0.5, 3.0]), Ok(vec![0.5, -1.0]));
    }

    #[test]
    fn returns_on_stake_differ_by_what_was_earned_per_stake() {
        let roi = roi_difference((&[1.0, 3.0], &[2.0, 2.0]), (&[1.0, 0.0], &[4.0, 4.0])).unwrap();
        assert_eq!(roi, RoiDifference { estimate: 0.875, errors: vec![-0.625, 0.625] });
        assert_eq!(roi_difference((&[0.0; 2], &[0.0; 2]), (&[0.0; 2], &[0.0; 2])).unwrap().estimate, 0.0);
    }
}
