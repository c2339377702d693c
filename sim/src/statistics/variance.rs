//! What dependence between neighbouring bounties does to the variance of a mean: how far it reaches, and how much it adds.

use super::series;

/// Autocovariance at a lag, with divisor n, of a centred series; not circular.
fn autocovariance(centred: &[f64], lag: usize) -> f64 {
    centred.iter().zip(&centred[lag..]).map(|(early, late)| early * late).sum::<f64>() / centred.len() as f64
}

/// Mean length of blocks for the stationary bootstrap of a mean, between 1 and `ceil(min(3 sqrt n, n/3))`; 1 if nothing varies.
///
/// Politis & White 2004 as corrected by Patton, Politis & White 2009: `l = (2 G²/(2 g0²))^(1/3) n^(1/3)`, where
/// `G = 2 sum lambda(k/M) k gamma_k` and `g0 = gamma_0 + 2 sum lambda(k/M) gamma_k` over lags 1..=M, and lambda is the
/// flat-top window. M is twice the first lag from which on `max(5, floor(log10 n))` correlations in a row are below
/// `2 sqrt(log10 n/n)`, at most `ceil(sqrt n)` and as many.
pub fn block_length(x: &[f64]) -> f64 {
    if x.len() < 2 || series::constant(x) {
        return 1.0;
    }
    let (n, centred) = (x.len() as f64, series::centred(x));
    let digits = libm::log10(n);
    let in_a_row = (digits as usize).max(5);
    let last = ((n.sqrt().ceil() as usize) + in_a_row).min(x.len() - 1);
    let mut gamma = vec![autocovariance(&centred, 0)];
    let negligible = 2.0 * (digits / n).sqrt() * gamma[0];
    let mut quiet = 0;
    // Lags beyond those that decide are never computed.
    while quiet < in_a_row && gamma.len() <= last {
        gamma.push(autocovariance(&centred, gamma.len()));
        quiet = if gamma[gamma.len() - 1].abs() < negligible { quiet + 1 } else { 0 };
    }
    let reach = if quiet < in_a_row { last } else { (2 * (gamma.len() - in_a_row)).min(last) };
    (gamma.len()..=reach).for_each(|lag| gamma.push(autocovariance(&centred, lag)));
    let (mut slope, mut level) = (0.0, gamma[0]);
    for (lag, gamma) in gamma.iter().enumerate().take(reach + 1).skip(1) {
        let place = lag as f64 / reach as f64;
        let weight = if place <= 0.5 { 1.0 } else { 2.0 * (1.0 - place) };
        slope += 2.0 * weight * lag as f64 * gamma;
        level += 2.0 * weight * gamma;
    }
    let longest = (3.0 * n.sqrt()).min(n / 3.0).ceil().max(1.0);
    let length = libm::cbrt(slope * slope / (level * level) * n);
    if length.is_nan() { 1.0 } else { length.clamp(1.0, longest) }
}

/// Mean and long-run variance of a series.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Moments {
    /// Arithmetic mean.
    pub mean: f64,
    /// Long-run standard deviation: that of `sqrt(n)` times the mean. 0 if nothing varies.
    pub omega: f64,
}

/// Long-run variances of series of one length under one mean block length.
///
/// `omega² = R(0) + 2 sum_{j=1}^{n-1} (1 - j/n) q^j R(j)`, where R is the circular autocovariance with divisor n and
/// `q = 1 - 1/l` (Politis & Romano 1994): exactly the variance that the stationary bootstrap gives to `sqrt(n)` times the
/// mean, so never negative. Pairs less than n apart enter by two recursions over the series, one for `q^j` and one for
/// `j q^j`; pairs around the end, which weigh something only near both ends, by a pass over those. That is O(n).
#[derive(Clone, PartialEq, Debug)]
pub struct LongRun {
    n: usize,
    q: f64,
    /// `q^s`, as far as they are not negligible.
    powers: Vec<f64>,
    /// What the weights are in all: what a constant of 1 would add before it is centred.
    gain: f64,
}

/// Rows that are fetched before they are worked on: a resample's come from anywhere in memory, and are waited for together.
const BATCH: usize = 64;
/// Weights below this change nothing in 53 bits.
const NEGLIGIBLE: f64 = 1e-20;
/// A variance that is so small against the sum of what it is the difference of is rounding.
const ROUNDING: f64 = 1e-12;

impl LongRun {
    /// For series of `n` bounties and blocks of mean length `block`, at least 1.
    pub fn new(n: usize, block: f64) -> LongRun {
        let q = 1.0 - 1.0 / block.max(1.0);
        let mut powers = vec![1.0];
        while powers.len() < n && powers[powers.len() - 1] >= NEGLIGIBLE {
            powers.push(powers[powers.len() - 1] * q);
        }
        let mut long_run = LongRun { n, q, powers, gain: 0.0 };
        long_run.gain = long_run.sums(|_| [1.0]).1[0] / n as f64;
        long_run
    }

    /// Means and long-run deviations of K series at once, of which `row` gives the t-th values. Values far from 0 cost
    /// digits: centre them by anything near their mean.
    #[inline]
    pub fn moments<const K: usize>(&self, row: impl Fn(usize) -> [f64; K]) -> [Moments; K] {
        let (sums, squares) = self.sums(row);
        let n = self.n as f64;
        std::array::from_fn(|k| {
            let mean = sums[k] / n;
            let raw = squares[k] / n;
            let variance = raw - mean * mean * self.gain;
            Moments { mean, omega: if variance > ROUNDING * raw { variance.sqrt() } else { 0.0 } }
        })
    }

    /// Sums of values, and the weighted sums of products of pairs, both orders of a pair counted.
    #[inline]
    fn sums<const K: usize>(&self, row: impl Fn(usize) -> [f64; K]) -> ([f64; K], [f64; K]) {
        let (q, per_bounty) = (self.q, 1.0 / self.n as f64);
        let (mut sums, mut products) = ([0.0; K], [0.0; K]);
        // Sums of `q^j` and of `j/n q^j` times what lies j back.
        let (mut before, mut ramp) = ([0.0; K], [0.0; K]);
        let mut batch = [[0.0; K]; BATCH];
        for start in (0..self.n).step_by(BATCH) {
            let batch = &mut batch[..BATCH.min(self.n - start)];
            (start..).zip(batch.iter_mut()).for_each(|(t, x)| *x = row(t));
            for x in batch {
                for k in 0..K {
                    let lagged = q * before[k];
                    ramp[k] = q * ramp[k] + lagged * per_bounty;
                    sums[k] += x[k];
                    products[k] += x[k] * (0.5 * x[k] + lagged - ramp[k]);
                    before[k] = lagged + x[k];
                }
            }
        }
        // Pairs s < t around the end, n - (t - s) apart, with weight `(t - s)/n q^(s + n - t)`.
        let (mut head, mut moment) = ([0.0; K], [0.0; K]);
        let near = self.powers.len();
        for t in (0..near).chain(near.max((self.n + 1).saturating_sub(near))..self.n) {
            let x = row(t);
            let (early, late) = (self.powers.get(t).unwrap_or(&0.0), self.powers.get(self.n - t).unwrap_or(&0.0));
            for k in 0..K {
                products[k] += late * x[k] * (t as f64 * head[k] - moment[k]) * per_bounty;
                head[k] += early * x[k];
                moment[k] += early * x[k] * t as f64;
            }
        }
        (sums, products.map(|product| 2.0 * product))
    }
}

/// Mean and long-run deviation of one series, see [`LongRun`].
pub fn moments(x: &[f64], block: f64) -> Moments {
    let centred = series::centred(x);
    let [Moments { omega, .. }] = LongRun::new(x.len(), block).moments(|t| [centred[t]]);
    Moments { mean: series::mean(x), omega }
}

#[cfg(test)]
mod tests {
    use engine::chance::Key;

    use super::*;

    /// The definition, in O(n²).
    fn exact(x: &[f64], block: f64) -> f64 {
        let (n, x) = (x.len(), series::centred(x));
        let circular = |lag: usize| (0..n).map(|t| x[t] * x[(t + lag) % n]).sum::<f64>() / n as f64;
        let weight = |lag: usize| (1.0 - lag as f64 / n as f64) * (1.0 - 1.0 / block).powi(lag as i32);
        (circular(0) + 2.0 * (1..n).map(|lag| weight(lag) * circular(lag)).sum::<f64>()).sqrt()
    }

    #[test]
    fn the_recursion_is_the_definition() {
        let mut chance = Key::root(1).stream();
        for (n, block) in [(2, 1.0), (10, 3.0), (60, 5.0), (60, 20.0), (500, 1.0), (500, 2.5), (777, 40.0)] {
            let x: Vec<f64> = (0..n).map(|t| 3.0 + chance.uniform() + (t as f64 / 9.0).sin()).collect();
            let (found, expected) = (moments(&x, block).omega, exact(&x, block));
            assert!((found - expected).abs() < 1e-11 * expected, "{n}, {block}: {found} for {expected}");
        }
    }

    #[test]
    fn nothing_varies_in_a_constant_series() {
        assert_eq!(moments(&[0.1; 50], 4.0), Moments { mean: series::mean(&[0.1; 50]), omega: 0.0 });
        // Not even where rounding makes it seem so.
        let [found] = LongRun::new(50, 4.0).moments(|_| [0.1]);
        assert_eq!(found.omega, 0.0);
        assert_eq!([block_length(&[0.1; 50]), block_length(&[]), block_length(&[1.0])], [1.0; 3]);
    }

    #[test]
    fn blocks_grow_with_dependence_up_to_their_limit() {
        let mut chance = Key::root(2).stream();
        let mut lengths = Vec::new();
        for memory in [0.0, 0.5, 0.9, 1.0] {
            let mut last = 0.0;
            let x: Vec<f64> = (0..2000)
                .map(|_| {
                    last = memory * last + chance.uniform() - 0.5;
                    last
                })
                .collect();
            lengths.push(block_length(&x));
        }
        assert!(lengths.windows(2).all(|pair| pair[0] < pair[1]), "{lengths:?}");
        let alternating: Vec<f64> = (0..200).map(|t| f64::from(t % 2)).collect();
        assert_eq!(block_length(&alternating), 43.0);
    }
}
