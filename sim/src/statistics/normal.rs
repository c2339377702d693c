//! The normal distribution, the same on every platform.

/// Probability of less than `x`.
pub fn cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
}

/// The value below which the normal distribution has the share `p`; infinite at 0 and 1.
///
/// Found by bisection of [`cdf`], in the lower half, where it has all digits.
pub fn quantile(p: f64) -> f64 {
    if p > 0.5 {
        // Exact: 1 - p has no more digits than p.
        return -quantile(1.0 - p);
    }
    if p <= 0.0 {
        return f64::NEG_INFINITY;
    }
    let (mut low, mut high) = (-40.0, 0.0);
    loop {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            return middle;
        }
        if cdf(middle) < p { low = middle } else { high = middle }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_the_tables() {
        for (p, z) in [(0.975, 1.959963984540054), (0.8, 0.8416212335729143), (0.5, 0.0), (1e-12, -7.034483825301131)] {
            assert!((quantile(p) - z).abs() <= 1e-12 * z.abs().max(1e-3), "{p}: {}", quantile(p));
            assert!((quantile(1.0 - p) + quantile(p)).abs() < 1e-4, "{p}");
        }
        assert_eq!([quantile(0.0), quantile(1.0)], [f64::NEG_INFINITY, f64::INFINITY]);
    }
}
