//! What can be said of losses that hardly happen: resampling cannot draw what was never seen, so with few losses there is no
//! interval of the profit, only a bound on how often they happen.

/// Losing bounties below which no interval of a profit is stated.
pub const FEWEST: usize = 10;

/// The highest share of events that `events` of `trials` do not refute at level `alpha`: the upper Clopper-Pearson bound,
/// one-sided, so .95 sure for `alpha` .05. It solves `P(X <= events) = alpha` for X binomial (Clopper & Pearson 1934).
/// 1 if there were no trials, or nothing but events. Trials count as independent: where losses come in clusters, count
/// clusters.
pub fn at_most(events: usize, trials: usize, alpha: f64) -> f64 {
    if events >= trials {
        return 1.0;
    }
    let (k, n) = (events as f64, trials as f64);
    let chosen = libm::lgamma(n + 1.0) - libm::lgamma(k + 1.0) - libm::lgamma(n - k + 1.0);
    let as_few = |p: f64| {
        // Above the observed share, terms fall from the last one down.
        let (mut term, mut sum) = (1.0, 1.0);
        for i in (1..=events).rev() {
            term *= i as f64 / (n - i as f64 + 1.0) * (1.0 - p) / p;
            sum += term;
        }
        libm::exp(chosen + if events > 0 { k * libm::log(p) } else { 0.0 } + (n - k) * libm::log1p(-p)) * sum
    };
    let (mut low, mut high) = (k / n, 1.0);
    loop {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            return high;
        }
        if as_few(middle) > alpha { low = middle } else { high = middle }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_the_tables() {
        // Without an event it is 1 - alpha^(1/n): the rule of three.
        for (events, trials, bound) in [(0, 100, 0.029513049607), (1, 10, 0.394163), (5, 5, 1.0), (0, 0, 1.0), (5, 50, 0.198833)] {
            let found = at_most(events, trials, 0.05);
            assert!((found - bound).abs() < 1e-4, "{events} of {trials}: {found}");
        }
        assert!((at_most(0, 100, 0.05) - (1.0 - libm::pow(0.05, 0.01))).abs() < 1e-12);
    }
}
