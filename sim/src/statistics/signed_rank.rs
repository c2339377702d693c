//! The middle of a few values by signed ranks: what it is, and an interval that holds whatever their distribution is, as long
//! as it is symmetric. Outliers, however far, count no more than their sign and rank.
//!
//! Made for rounds of a measurement: there are ten of them or a thousand, half of them may be off by anything, and a mean
//! with its bootstrapped interval would follow the worst ones (`benches/src/bin/validate-gates.rs` has both in figures).

use super::{
    Unfit,
    bootstrap::Interval,
    check, normal, series,
    variance::{block_length, moments},
};

/// Values from which on the rank sum counts as normal.
const NORMAL: usize = 60;
/// Values above which neighbours are averaged first: pairs of a thousand are half a million.
const MOST: usize = 1_000;

/// The median of the means of all pairs of values (Hodges & Lehmann 1963), each paired with itself, too, and the interval
/// between two of these means that holds the centre of symmetry with probability `level` (Tukey 1949): exact if values are
/// independent. Where neighbours are alike, it is widened by the long-run deviation over the plain one. An end is infinite if
/// so few values cannot be so sure.
///
/// # Errors
///
/// Without values, or with such that are not finite.
pub fn interval(x: &[f64], level: f64) -> Result<Interval, Unfit> {
    check(x, 1)?;
    let mut x = x.to_vec();
    while x.len() > MOST {
        x = x.chunks(2).map(series::mean).collect();
    }
    let mut pairs: Vec<f64> =
        (0..x.len()).flat_map(|i| x[i..].iter().map(move |other| (i, *other))).map(|(i, other)| 0.5 * (x[i] + other)).collect();
    pairs.sort_by(f64::total_cmp);
    let estimate = series::quantile(&pairs, 0.5);
    let outside = outside(x.len(), 0.5 * (1.0 - level));
    let Some(outside) = outside else { return Ok(Interval { estimate, low: f64::NEG_INFINITY, high: f64::INFINITY }) };
    let deviation = series::population_deviation(&x);
    let alike = if deviation > 0.0 { (moments(&x, block_length(&x)).omega / deviation).max(1.0) } else { 1.0 };
    let end = |place: usize| estimate + alike * (pairs[place] - estimate);
    Ok(Interval { estimate, low: end(outside), high: end(pairs.len() - 1 - outside) })
}

/// How many of the ordered means lie outside of the interval at each end, if each end may err with probability `alpha`: the
/// largest k for which the rank sum is at most k with no higher probability; none if there is no such k.
fn outside(n: usize, alpha: f64) -> Option<usize> {
    let count = n as f64;
    if n > NORMAL {
        let (mean, deviation) = (count * (count + 1.0) / 4.0, (count * (count + 1.0) * (2.0 * count + 1.0) / 24.0).sqrt());
        let place = mean + normal::quantile(alpha) * deviation - 0.5;
        return (place >= 0.0).then_some(place as usize);
    }
    // Probabilities of each rank sum: every rank counts or does not.
    let most = n * (n + 1) / 2;
    let mut probabilities = vec![0.0; most + 1];
    probabilities[0] = 1.0;
    for rank in 1..=n {
        for sum in (0..=most).rev() {
            let with = if sum >= rank { probabilities[sum - rank] } else { 0.0 };
            probabilities[sum] = 0.5 * (probabilities[sum] + with);
        }
    }
    let mut below = 0.0;
    let within = probabilities.iter().take_while(|probability| {
        below += **probability;
        below <= alpha
    });
    within.count().checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn critical_values_are_the_tables() {
        // Two-sided .05 and .01; Wilcoxon 1945, Wilcox, Katti & Wilcox 1973.
        for (n, five, one) in
            [(6, Some(0), None), (8, Some(3), Some(0)), (10, Some(8), Some(3)), (20, Some(52), Some(37)), (50, Some(434), Some(373))]
        {
            assert_eq!((outside(n, 0.025), outside(n, 0.005)), (five, one), "{n}");
        }
        let (exact, normal) = (outside(NORMAL, 0.01).unwrap(), outside(NORMAL + 1, 0.01).unwrap());
        assert!((15..50).contains(&(normal - exact)), "one value more: {exact} {normal}");
    }

    #[test]
    fn outliers_count_by_rank_alone() {
        // In no order, so that neighbours are not alike.
        let mut x: Vec<f64> = (0..20).map(|number| f64::from(7 * number % 20) / 20.0).collect();
        let calm = interval(&x, 0.95).unwrap();
        assert!((calm.estimate - 0.475).abs() < 1e-12 && calm.low > 0.3 && calm.high < 0.65, "{calm:?}");
        x[17] = 1e9;
        let wild = interval(&x, 0.95).unwrap();
        assert!((wild.estimate - calm.estimate).abs() < 0.05 && wild.high < 1.0, "{wild:?}");
    }

    #[test]
    fn few_values_are_not_sure_and_equal_ones_are() {
        let few = interval(&[1.0, 2.0, 3.0], 0.95).unwrap();
        assert_eq!((few.estimate, few.low, few.high), (2.0, f64::NEG_INFINITY, f64::INFINITY));
        let equal = interval(&[0.1; 12], 0.95).unwrap();
        assert_eq!((equal.estimate, equal.low, equal.high), (0.1, 0.1, 0.1));
        assert!(interval(&[], 0.95).is_err() && interval(&[f64::NAN], 0.95).is_err());
    }

    #[test]
    fn many_values_take_no_longer_than_a_thousand() {
        let mut chance = engine::chance::Key::root(5).stream();
        let x: Vec<f64> = (0..5_000).map(|_| chance.uniform()).collect();
        let found = interval(&x, 0.95).unwrap();
        assert!(found.low < 0.5 && found.high > 0.5 && found.high - found.low < 0.04, "{found:?}");
    }
}
