//! Sums over one series.

/// Arithmetic mean; 0 of nothing.
pub fn mean(x: &[f64]) -> f64 {
    if x.is_empty() { 0.0 } else { x.iter().sum::<f64>() / x.len() as f64 }
}

/// The series less its mean; zeros, without rounding, if it is constant.
pub fn centred(x: &[f64]) -> Vec<f64> {
    let mean = if constant(x) { x.first().copied().unwrap_or(0.0) } else { mean(x) };
    x.iter().map(|value| value - mean).collect()
}

/// Whether all values are the same, or there is none.
pub fn constant(x: &[f64]) -> bool {
    x.windows(2).all(|pair| pair[0] == pair[1])
}

/// Standard deviation with divisor n - 1; 0 of fewer than two values and of a constant series.
pub fn deviation(x: &[f64]) -> f64 {
    if constant(x) {
        return 0.0;
    }
    (centred(x).iter().map(|value| value * value).sum::<f64>() / (x.len() - 1) as f64).sqrt()
}

/// Standard deviation with divisor n; 0 of nothing and of a constant series.
pub fn population_deviation(x: &[f64]) -> f64 {
    if constant(x) {
        return 0.0;
    }
    (centred(x).iter().map(|value| value * value).sum::<f64>() / x.len() as f64).sqrt()
}

/// The values in rising order.
pub fn sorted(x: &[f64]) -> Vec<f64> {
    let mut sorted = x.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Quantile of values in rising order at `share` in [0, 1], linear between neighbours (type 7 of Hyndman & Fan 1996).
///
/// # Panics
///
/// If there is no value.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let below = place as usize;
    let (low, high) = (sorted[below], sorted[(below + 1).min(sorted.len() - 1)]);
    let part = place - below as f64;
    // Products, so that one infinite neighbour leaves no NaN.
    if part == 0.0 || low == high { low } else { low * (1.0 - part) + high * part }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_neighbours() {
        let values = sorted(&[3.0, 1.0, 2.0, 10.0]);
        assert_eq!([0.0, 0.5, 0.75, 1.0].map(|share| quantile(&values, share)), [1.0, 2.5, 4.75, 10.0]);
        assert_eq!(quantile(&[f64::NEG_INFINITY, 0.0, 1.0], 0.2), f64::NEG_INFINITY);
    }

    #[test]
    fn constant_series_have_no_deviation() {
        assert_eq!([deviation(&[0.1; 7]), population_deviation(&[0.1; 7]), deviation(&[])], [0.0; 3]);
        assert_eq!(deviation(&[1.0, 3.0]), 2f64.sqrt());
    }
}
