//! Many strategies on the same bounties: is any better than the benchmark, which ones are, and which may be the best.
//!
//! A column is what one strategy earned more than the benchmark, bounty by bounty. All tests work on the same resamples
//! (`bootstrap::Resampled`), drawn in step for all columns, so they see how strategies go together. p-values are
//! `(1 + resamples at least as extreme)/(resamples + 1)`; a column that never varies says nothing and has p-value 1.

use super::{
    Unfit,
    bootstrap::{Plan, Resample, Resampled, ratio},
    series,
};

/// Whose long-run deviation a resampled distance is divided by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scale {
    /// That of the series: as published, but it rejects too often when neighbouring bounties depend on each other.
    Fixed,
    /// That of the resample itself.
    Resampled,
}

/// p-values of "no strategy is better than the benchmark".
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Superior {
    /// White's reality check (2000): differences are not divided by anything, so the most volatile strategy decides.
    pub white: f64,
    /// Hansen's lower bound: strategies worse than the benchmark count as if they were not there.
    pub lower: f64,
    /// Hansen's consistent p-value, the one to report.
    pub consistent: f64,
    /// Hansen's upper bound: strategies worse than the benchmark count as if they were as good.
    pub upper: f64,
}

/// Strategies' differences to a benchmark, and what resampling says of them.
#[derive(Clone, PartialEq, Debug)]
pub struct Strategies {
    resampled: Resampled,
    /// Columns in which something varies.
    varying: Vec<bool>,
}

impl Strategies {
    /// Resamples the columns. `plan` should come from [`Plan::of`] the same columns, whose block suits every one.
    ///
    /// # Errors
    ///
    /// Without a column, with fewer than [`super::bootstrap::LEAST`] bounties, and with lengths that differ or values that are
    /// not finite.
    pub fn new(columns: &[&[f64]], plan: &Plan) -> Result<Strategies, Unfit> {
        let varying = columns.iter().map(|column| !series::constant(column)).collect();
        Ok(Strategies { resampled: Resampled::new(columns, plan)?, varying })
    }

    /// The same of columns that were resampled already.
    pub fn of(resampled: Resampled) -> Strategies {
        let varying = resampled.moments.iter().map(|moments| moments.omega > 0.0).collect();
        Strategies { resampled, varying }
    }

    /// What resampling says of each column by itself.
    pub fn resampled(&self) -> &Resampled {
        &self.resampled
    }

    /// The test for superior predictive ability (Hansen 2005): the largest of 0 and all `sqrt(n) d/omega`, against its
    /// distribution over resamples recentred at 0 where a column is not much worse than the benchmark:
    /// `d >= -omega sqrt(2 ln ln n)/sqrt n`.
    pub fn superior(&self, scale: Scale) -> Superior {
        let root = self.root();
        let far = -(2.0 * libm::log(libm::log(self.resampled.bounties as f64))).sqrt();
        let columns: Vec<usize> = self.varying_columns().collect();
        let moments = &self.resampled.moments;
        let p = |statistic: &dyn Fn(f64, f64, usize) -> f64, centre: &dyn Fn(usize) -> f64| {
            let most = |of: &mut dyn Iterator<Item = f64>| of.fold(0.0, f64::max);
            let found = most(&mut columns.iter().map(|&k| statistic(moments[k].mean, moments[k].omega, k)));
            self.share(|row| {
                let distance = |&k: &usize| statistic(moments[k].mean + row[k].shift - centre(k), self.omega(scale, row, k), k);
                most(&mut columns.iter().map(distance)) >= found
            })
        };
        let studentized = |mean: f64, omega: f64, _: usize| root * ratio(mean, omega);
        Superior {
            white: p(&|mean, _, _| root * mean, &|k| moments[k].mean),
            lower: p(&studentized, &|k| moments[k].mean.max(0.0)),
            consistent: p(&studentized, &|k| if root * moments[k].mean >= far * moments[k].omega { moments[k].mean } else { 0.0 }),
            upper: p(&studentized, &|k| moments[k].mean),
        }
    }

    /// For each strategy the p-value of "it is no better than the benchmark", adjusted so that the chance of any false
    /// rejection stays below the level (step-down, Romano & Wolf 2005).
    pub fn better(&self, scale: Scale) -> Vec<f64> {
        let root = self.root();
        let t = |k: usize| root * ratio(self.resampled.moments[k].mean, self.resampled.moments[k].omega);
        let mut left: Vec<usize> = self.varying_columns().collect();
        // Falling; equal ones by place.
        left.sort_by(|&one, &other| t(other).total_cmp(&t(one)));
        let mut adjusted = vec![1.0; self.varying.len()];
        let mut highest: f64 = 0.0;
        for (rank, &k) in left.iter().enumerate() {
            let as_large =
                |row: &[Resample]| left[rank..].iter().any(|&other| root * ratio(row[other].shift, self.omega(scale, row, other)) >= t(k));
            highest = highest.max(self.share(as_large));
            adjusted[k] = highest;
        }
        adjusted
    }

    /// For each strategy the p-value of "it is among the best", by the model confidence set with the statistic T_max
    /// (Hansen, Lunde & Nason 2011): strategies with a p-value of .1 or more are the 90 % set, which holds all the best ones in
    /// 90 % of cases.
    ///
    /// The worst is dropped again and again, by its loss above the mean loss of those left, in standard errors over resamples;
    /// the p-value is the highest so far, and 1 for the last one.
    pub fn among_best(&self) -> Vec<f64> {
        let losses: Vec<f64> = self.resampled.moments.iter().map(|moments| -moments.mean).collect();
        let rounding = 1e-12 * losses.iter().fold(0.0_f64, |most, loss| most.max(loss.abs()));
        let mut left: Vec<usize> = (0..losses.len()).collect();
        let mut p_values = vec![1.0; losses.len()];
        let mut highest: f64 = 0.0;
        while left.len() > 1 {
            let count = left.len() as f64;
            let above = |loss: &dyn Fn(usize) -> f64| {
                let mean = left.iter().map(|&k| loss(k)).sum::<f64>() / count;
                // Losses that are equal but for rounding are equal.
                let apart = |&k: &usize| Some(loss(k) - mean).filter(|apart| apart.abs() > rounding).unwrap_or(0.0);
                left.iter().map(apart).collect::<Vec<f64>>()
            };
            let distances = above(&|k| losses[k]);
            let shifts: Vec<Vec<f64>> = self.resampled.resamples().map(|row| above(&|k| -row[k].shift)).collect();
            let error = |place: usize| (shifts.iter().map(|row| row[place] * row[place]).sum::<f64>() / shifts.len().max(1) as f64).sqrt();
            let errors: Vec<f64> = (0..left.len()).map(error).collect();
            let largest = |row: &[f64]| {
                let t = row.iter().zip(&errors).map(|(distance, error)| ratio(*distance, *error)).enumerate();
                t.fold((0, f64::NEG_INFINITY), |most, next| if next.1 > most.1 { next } else { most })
            };
            let (worst, t) = largest(&distances);
            let as_large = shifts.iter().filter(|row| largest(row).1 >= t).count();
            highest = highest.max((1 + as_large) as f64 / (1 + shifts.len()) as f64);
            p_values[left.remove(worst)] = highest;
        }
        p_values
    }

    fn root(&self) -> f64 {
        (self.resampled.bounties as f64).sqrt()
    }

    fn varying_columns(&self) -> impl Iterator<Item = usize> {
        (0..self.varying.len()).filter(|&k| self.varying[k])
    }

    fn omega(&self, scale: Scale, row: &[Resample], column: usize) -> f64 {
        match scale {
            Scale::Fixed => self.resampled.moments[column].omega,
            Scale::Resampled => row[column].omega,
        }
    }

    /// The share of resamples that are extreme, the series itself counted among them.
    fn share(&self, extreme: impl Fn(&[Resample]) -> bool) -> f64 {
        let resamples = self.resampled.resamples();
        let count = resamples.len();
        (1 + resamples.filter(|row| extreme(row)).count()) as f64 / (1 + count) as f64
    }
}

#[cfg(test)]
mod tests {
    use engine::chance::Key;

    use super::*;

    fn columns(lifts: &[f64], n: usize) -> Vec<Vec<f64>> {
        let column = |(number, lift): (u64, &f64)| {
            let mut chance = Key::root(77).with(number).stream();
            (0..n).map(|_| chance.uniform() - 0.5 + lift).collect()
        };
        (0..).zip(lifts).map(column).collect()
    }

    fn strategies(columns: &[Vec<f64>]) -> Strategies {
        let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        Strategies::new(&columns, &Plan { block: 2.0, resamples: 199, seed: 4 }).unwrap()
    }

    #[test]
    fn the_better_are_found_and_the_worse_left_out() {
        let found = strategies(&columns(&[0.3, 0.0, 0.29, -0.3], 200));
        assert_eq!(found.superior(Scale::Resampled).consistent, 0.005);
        let better = found.better(Scale::Resampled);
        assert!(better[0] < 0.01 && better[2] < 0.01 && better[1] > 0.1 && better[3] > 0.9, "{better:?}");
        let best = found.among_best();
        assert!(best[0].max(best[2]) == 1.0 && best[0].min(best[2]) > 0.1 && best[1] < 0.05 && best[3] < 0.05, "{best:?}");
    }

    #[test]
    fn another_order_of_columns_is_another_order_of_answers() {
        let columns = columns(&[0.04, 0.0, 0.02, -0.1, 0.03], 120);
        let (found, order) = (strategies(&columns), [3, 0, 4, 2, 1]);
        let shuffled = strategies(&order.map(|place| columns[place].clone()));
        for scale in [Scale::Fixed, Scale::Resampled] {
            assert_eq!(shuffled.superior(scale), found.superior(scale));
            assert_eq!(shuffled.better(scale), order.map(|place| found.better(scale)[place]));
        }
        assert_eq!(shuffled.among_best(), order.map(|place| found.among_best()[place]));
    }

    #[test]
    fn constant_columns_say_nothing() {
        let mut columns = columns(&[0.3, 0.0], 100);
        let before = (strategies(&columns).superior(Scale::Resampled), strategies(&columns).better(Scale::Resampled));
        columns.push(vec![0.1; 100]);
        let found = strategies(&columns);
        assert_eq!(found.superior(Scale::Resampled), before.0);
        assert_eq!(found.better(Scale::Resampled), [before.1, vec![1.0]].concat());
        let constant = strategies(&[vec![0.7; 50], vec![0.7; 50], vec![0.7; 50]]);
        assert_eq!(constant.superior(Scale::Fixed), Superior { white: 1.0, lower: 1.0, consistent: 1.0, upper: 1.0 });
        assert_eq!((constant.better(Scale::Fixed), constant.among_best()), (vec![1.0; 3], vec![1.0; 3]));
    }

    #[test]
    fn nothing_is_said_of_what_cannot_be_compared() {
        let plan = Plan { block: 1.0, resamples: 9, seed: 1 };
        assert_eq!(Strategies::new(&[], &plan), Err(Unfit::NoStrategy));
        assert_eq!(Strategies::new(&[&[0.0; 20], &[0.0; 21]], &plan), Err(Unfit::Uneven { one: 20, other: 21 }));
        assert_eq!(Strategies::new(&[&[0.0; 4]], &plan), Err(Unfit::TooFewBounties { bounties: 4, least: 10 }));
    }
}
