//! Logistic regression with a ridge, by Newton's method: what Platt's and the beta map and the stack are fitted with.
//!
//! The loss is `sum trials·log(1 + exp(w·x)) - hits·w·x + ½ sum ridge·w²`. It is convex, so Newton's steps, halved where
//! they go too far, end at its minimum; they stop when no weight moves by more than 1e-12 of its size.

use crate::odds::{logistic, softplus};

/// Steps before it is given up: what has a minimum is there in a dozen.
const STEPS: u32 = 60;
/// Log-odds beyond which a fit is separable rather than found.
const FAR: f64 = 1e6;

/// What is to be fitted.
#[derive(Clone, Debug)]
pub struct Problem {
    width: usize,
    features: Vec<f64>,
    trials: Vec<f64>,
    hits: Vec<f64>,
    ridge: Vec<f64>,
}

/// Its solution.
#[derive(Clone, PartialEq, Debug)]
pub struct Solution {
    /// A weight per feature.
    pub weights: Vec<f64>,
    /// Cholesky factor of the loss' second derivative, row by row.
    factor: Vec<f64>,
}

impl Problem {
    /// Nothing seen yet; one ridge per feature.
    pub fn new(ridge: Vec<f64>) -> Problem {
        Problem { width: ridge.len(), ridge, features: Vec::new(), trials: Vec::new(), hits: Vec::new() }
    }

    /// Adds `trials` trials with these features, `hits` of which came true. Both may be fractions.
    pub fn add(&mut self, features: &[f64], trials: f64, hits: f64) {
        assert_eq!(features.len(), self.width, "one value per feature");
        self.features.extend_from_slice(features);
        self.trials.push(trials);
        self.hits.push(hits);
    }

    fn rows(&self) -> impl Iterator<Item = (&[f64], f64, f64)> {
        let counts = self.trials.iter().zip(&self.hits);
        self.features.chunks_exact(self.width).zip(counts).map(|(features, (&trials, &hits))| (features, trials, hits))
    }

    fn loss(&self, weights: &[f64]) -> f64 {
        let data: f64 = self
            .rows()
            .map(|(features, trials, hits)| {
                let x = dot(weights, features);
                trials * softplus(x) - hits * x
            })
            .sum();
        data + 0.5 * self.ridge.iter().zip(weights).map(|(ridge, weight)| ridge * weight * weight).sum::<f64>()
    }

    /// First derivative, and second derivative row by row.
    fn slope(&self, weights: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let width = self.width;
        let mut first: Vec<f64> = self.ridge.iter().zip(weights).map(|(ridge, weight)| ridge * weight).collect();
        let mut second = vec![0.0; width * width];
        for (features, trials, hits) in self.rows() {
            let p = logistic(dot(weights, features));
            let (residual, curvature) = (trials * p - hits, trials * p * (1.0 - p));
            for (i, &x) in features.iter().enumerate().filter(|(_, x)| **x != 0.0) {
                first[i] += residual * x;
                for (sum, &y) in second[i * width..=i * width + i].iter_mut().zip(features) {
                    *sum += curvature * x * y;
                }
            }
        }
        for (i, ridge) in self.ridge.iter().enumerate() {
            second[i * width + i] += ridge;
        }
        (first, second)
    }

    /// The weights of the least loss; `None` if there are none, as where a feature without a ridge tells all.
    pub fn solve(&self) -> Option<Solution> {
        let mut weights = vec![0.0; self.width];
        let mut loss = self.loss(&weights);
        for _ in 0..STEPS {
            let (first, second) = self.slope(&weights);
            let factor = cholesky(second, self.width)?;
            let step = solve(&factor, &first);
            let mut share = 1.0;
            let (next, next_loss) = loop {
                let next: Vec<f64> = weights.iter().zip(&step).map(|(weight, step)| weight - share * step).collect();
                let next_loss = self.loss(&next);
                // Rounding alone may make it grow by a little at the minimum.
                if next_loss <= loss + 1e-12 * loss.abs() {
                    break (next, next_loss);
                }
                share /= 2.0;
                if share < 1e-9 {
                    return None;
                }
            };
            let moved = weights.iter().zip(&next).any(|(old, new)| (old - new).abs() > 1e-12 * (1.0 + new.abs()));
            (weights, loss) = (next, next_loss);
            if !weights.iter().all(|weight| weight.abs() < FAR) {
                return None;
            }
            if !moved {
                return Some(Solution { weights, factor });
            }
        }
        None
    }
}

impl Solution {
    /// Log-odds at these features, and their variance if the weights are normally distributed around the least loss.
    pub fn at(&self, features: &[f64]) -> (f64, f64) {
        let half = forward(&self.factor, features);
        (dot(&self.weights, features), half.iter().map(|x| x * x).sum())
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The lower triangle `L` with `L·L' = matrix`, whose lower triangle is given; `None` if the matrix is not positive.
fn cholesky(mut matrix: Vec<f64>, width: usize) -> Option<Vec<f64>> {
    for row in 0..width {
        for column in 0..=row {
            let known = dot(&matrix[row * width..row * width + column], &matrix[column * width..column * width + column]);
            let rest = matrix[row * width + column] - known;
            matrix[row * width + column] = if row > column {
                rest / matrix[column * width + column]
            } else if rest > 1e-12 * matrix[row * width + row].max(1e-12) {
                rest.sqrt()
            } else {
                return None;
            };
        }
    }
    Some(matrix)
}

/// `L⁻¹·b`.
fn forward(factor: &[f64], b: &[f64]) -> Vec<f64> {
    let width = b.len();
    let mut x = b.to_vec();
    for row in 0..width {
        x[row] = (x[row] - dot(&factor[row * width..row * width + row], &x[..row])) / factor[row * width + row];
    }
    x
}

/// `(L·L')⁻¹·b`.
fn solve(factor: &[f64], b: &[f64]) -> Vec<f64> {
    let width = b.len();
    let mut x = forward(factor, b);
    for row in (0..width).rev() {
        let known: f64 = (row + 1..width).map(|below| factor[below * width + row] * x[below]).sum();
        x[row] = (x[row] - known) / factor[row * width + row];
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_features_it_is_the_share_of_hits() {
        let mut problem = Problem::new(vec![0.0]);
        problem.add(&[1.0], 30.0, 6.0);
        problem.add(&[1.0], 10.0, 4.0);
        let solution = problem.solve().unwrap();
        assert!((logistic(solution.weights[0]) - 0.25).abs() < 1e-12);
        // The variance of a share's log-odds: 1/(n p q).
        assert!((solution.at(&[1.0]).1 - 1.0 / (40.0 * 0.25 * 0.75)).abs() < 1e-9);
    }

    #[test]
    fn the_slope_vanishes_at_the_solution() {
        let mut problem = Problem::new(vec![0.0, 1.0, 1.0]);
        for (a, b, trials, hits) in [(1.0, 1.0, 9.0, 8.0), (1.0, -1.0, 5.0, 3.0), (-1.0, 0.0, 7.0, 1.0), (-1.0, -2.5, 4.0, 0.0)] {
            problem.add(&[1.0, a, b], trials, hits);
        }
        let solution = problem.solve().unwrap();
        let (first, _) = problem.slope(&solution.weights);
        assert!(first.iter().all(|slope| slope.abs() < 1e-10), "{first:?}");
    }

    #[test]
    fn what_a_feature_without_a_ridge_tells_apart_has_no_solution() {
        let fit = |ridge: f64| {
            let mut problem = Problem::new(vec![0.0, ridge]);
            problem.add(&[1.0, 1.0], 20.0, 20.0);
            problem.add(&[1.0, -1.0], 20.0, 0.0);
            problem.solve()
        };
        assert_eq!(fit(0.0), None);
        assert!(fit(1.0).unwrap().weights[1] > 1.0);
    }
}
