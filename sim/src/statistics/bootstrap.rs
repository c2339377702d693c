//! The stationary bootstrap (Politis & Romano 1994): series glued together from blocks of random length, and intervals of
//! what they come to.
//!
//! Each resample has its own stream of chance, at the address (`stationary-bootstrap`, seed, number), so resamples may be
//! drawn in any order, and several series are resampled in step: a row of places is drawn once for all of them.

use std::sync::atomic::{AtomicU64, Ordering};

use engine::chance::{Key, fnv1a64};
use rayon::prelude::*;

use super::{
    Unfit, check_all, normal, rare, series,
    variance::{LongRun, Moments, block_length, moments},
};

/// Bounties below which nothing is resampled.
pub const LEAST: usize = 10;
/// Resamples where nothing else is said.
pub const RESAMPLES: u32 = 1_999;

/// Resamples that this process has drawn so far: for who waits, nothing else depends on it.
pub static DRAWN: AtomicU64 = AtomicU64::new(0);

/// How to resample.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Plan {
    /// Mean length of blocks, at least 1.
    pub block: f64,
    /// How many resamples.
    pub resamples: u32,
    /// Seed of the draws.
    pub seed: u64,
}

impl Plan {
    /// The default number of resamples, in blocks long enough for every one of these series.
    pub fn of<'a>(all: impl IntoIterator<Item = &'a [f64]>, seed: u64) -> Plan {
        let all: Vec<&[f64]> = all.into_iter().collect();
        let lengths: Vec<f64> = all.par_iter().map(|series| block_length(series)).collect();
        Plan { block: lengths.into_iter().fold(1.0, f64::max), resamples: RESAMPLES, seed }
    }

    /// Writes the places, in a series of `n`, that a resample is made of.
    pub fn draw(&self, number: u32, n: usize, places: &mut Vec<u32>) {
        let mut chance = Key::root(fnv1a64("stationary-bootstrap")).with(self.seed).with(u64::from(number)).stream();
        let (count, jump) = (n as u64, 1.0 / self.block.max(1.0));
        places.clear();
        let mut place = 0;
        places.extend((0..n).map(|t| {
            let follow = t > 0 && chance.uniform() >= jump;
            place = match place + 1 {
                next if follow && next < count => next,
                _ if follow => 0,
                _ => chance.below(count),
            };
            place as u32
        }));
        DRAWN.fetch_add(1, Ordering::Relaxed);
    }

    /// `work` on the places of each resample, in order of their numbers.
    pub fn each<R: Send>(&self, n: usize, work: impl Fn(&[u32]) -> R + Sync) -> Vec<R> {
        let one = |places: &mut Vec<u32>, number| {
            self.draw(number, n, places);
            work(places)
        };
        (0..self.resamples).into_par_iter().map_init(Vec::new, one).collect()
    }
}

/// An estimate and the ends of its interval.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Interval {
    /// What the series itself comes to.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// An interval, or why there is none.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Estimate {
    /// Of the mean.
    Interval(Interval),
    /// Of what decides there is too little, fewer than [`rare::FEWEST`]: losing bounties, or bounties that differ.
    TooFew {
        /// What the series itself comes to.
        estimate: f64,
        /// How many there were.
        events: usize,
        /// Among so many bounties.
        bounties: usize,
        /// The highest share of bounties that this does not refute, see [`rare::at_most`].
        at_most: f64,
    },
}

impl Estimate {
    /// The interval of the mean, unless too few bounties are `telling`.
    pub(super) fn of(x: &[f64], plan: &Plan, level: f64, telling: impl Fn(f64) -> bool) -> Result<Estimate, Unfit> {
        let events = x.iter().filter(|&&value| telling(value)).count();
        Ok(Estimate::read(&Resampled::new(&[x], plan)?, 0, events, level))
    }

    /// The interval of the mean of series `place` of those that were resampled, `x`, unless fewer than [`rare::FEWEST`]
    /// bounties are telling, `events` of them: losing ones where it is a profit, those that differ where it is a difference.
    pub fn read(resampled: &Resampled, place: usize, events: usize, level: f64) -> Estimate {
        let interval = resampled.studentized(place, level);
        match events {
            0..rare::FEWEST => {
                let at_most = rare::at_most(events, resampled.bounties, 1.0 - level);
                Estimate::TooFew { estimate: interval.estimate, events, bounties: resampled.bounties, at_most }
            }
            _ => Estimate::Interval(interval),
        }
    }
}

/// The studentized interval, at `level` such as .95, of the mean profit per bounty; none with fewer than
/// [`rare::FEWEST`] losing bounties, because the losses that were seen say little of those that were not.
///
/// # Errors
///
/// With fewer than [`LEAST`] bounties or with infinite profits.
pub fn profit(profits: &[f64], plan: &Plan, level: f64) -> Result<Estimate, Unfit> {
    Estimate::of(profits, plan, level, |profit| profit < 0.0)
}

/// What one resample of one series comes to.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Resample {
    /// Its mean less that of the series.
    pub shift: f64,
    /// Its long-run standard deviation.
    pub omega: f64,
}

/// Series side by side, and what their resamples come to.
#[derive(Clone, PartialEq, Debug)]
pub struct Resampled {
    /// Length of each series.
    pub bounties: usize,
    /// Means and long-run deviations, by series.
    pub moments: Vec<Moments>,
    /// By resample, then by series.
    resamples: Vec<Vec<Resample>>,
}

/// Series that are worked on at once: side by side in memory, four fill a row of half a cache line and two or one registers.
const LANES: usize = 4;

impl Resampled {
    /// Resamples series in step.
    ///
    /// # Errors
    ///
    /// Without a series, with fewer than [`LEAST`] bounties, and with lengths that differ or values that are not finite.
    pub fn new(all: &[&[f64]], plan: &Plan) -> Result<Resampled, Unfit> {
        check_all(all.iter().copied(), LEAST)?;
        let resamples = if all.len() == 1 { resample::<1>(all, plan) } else { resample::<LANES>(all, plan) };
        let moments = all.par_iter().map(|series| moments(series, plan.block)).collect();
        Ok(Resampled { bounties: all[0].len(), moments, resamples })
    }

    /// Some of the series, in that order, with what was resampled of them.
    #[must_use]
    pub fn only(&self, places: &[usize]) -> Resampled {
        let resamples = self.resamples.iter().map(|row| places.iter().map(|&place| row[place]).collect()).collect();
        Resampled { bounties: self.bounties, moments: places.iter().map(|&place| self.moments[place]).collect(), resamples }
    }

    /// The resamples, each with its answers by series.
    pub fn resamples(&self) -> impl ExactSizeIterator<Item = &[Resample]> {
        self.resamples.iter().map(Vec::as_slice)
    }

    /// Interval of a mean by the distribution of `t = shift/omega` over resamples, each with its own omega: `mean - t omega`.
    /// It allows for skewness and for how uncertain omega itself is (Hall 1992). An end is infinite if nothing varies in so many
    /// resamples that they decide about it: then the mean hangs on a few bounties, and no interval can be stated.
    pub fn studentized(&self, series: usize, level: f64) -> Interval {
        let Moments { mean, omega } = self.moments[series];
        let t = self.sorted(|resamples| ratio(resamples[series].shift, resamples[series].omega));
        let [low, high] = tails(level).map(|share| quantile_or(&t, share));
        let end = |t: f64| if omega > 0.0 { mean - t * omega } else { mean };
        Interval { estimate: mean, low: end(high), high: end(low) }
    }

    /// Interval between two quantiles of the resampled means.
    pub fn percentile(&self, series: usize, level: f64) -> Interval {
        let Moments { mean, .. } = self.moments[series];
        let shifts = self.sorted(|resamples| resamples[series].shift);
        let [low, high] = tails(level).map(|share| mean + quantile_or(&shifts, share));
        Interval { estimate: mean, low, high }
    }

    /// Interval of what the mean of one series is above that of another, between two quantiles of the resampled differences:
    /// both were resampled in step.
    pub fn difference(&self, one: usize, other: usize, level: f64) -> Interval {
        let estimate = self.moments[one].mean - self.moments[other].mean;
        let shifts = self.sorted(|resamples| resamples[one].shift - resamples[other].shift);
        let [low, high] = tails(level).map(|share| estimate + quantile_or(&shifts, share));
        Interval { estimate, low, high }
    }

    fn sorted(&self, figure: impl Fn(&[Resample]) -> f64) -> Vec<f64> {
        series::sorted(&self.resamples().map(figure).collect::<Vec<f64>>())
    }
}

/// Shares of the two tails outside `level`.
fn tails(level: f64) -> [f64; 2] {
    [0.5 * (1.0 - level), 0.5 * (1.0 + level)]
}

/// A quantile; 0 where nothing was resampled.
fn quantile_or(sorted: &[f64], share: f64) -> f64 {
    if sorted.is_empty() { 0.0 } else { series::quantile(sorted, share) }
}

/// A distance in standard errors: infinite where there is a distance but no error, 0 where there is neither.
pub(super) fn ratio(distance: f64, error: f64) -> f64 {
    if distance == 0.0 { 0.0 } else { distance / error }
}

fn resample<const K: usize>(all: &[&[f64]], plan: &Plan) -> Vec<Vec<Resample>> {
    let n = all[0].len();
    // K series side by side; those of the last group that do not exist are zeros.
    let group = |group: &[&[f64]]| {
        let mut rows = vec![[0.0; K]; n];
        for (lane, series) in group.iter().enumerate() {
            rows.iter_mut().zip(series::centred(series)).for_each(|(row, value)| row[lane] = value);
        }
        rows
    };
    let groups: Vec<Vec<[f64; K]>> = all.chunks(K).map(group).collect();
    let long_run = LongRun::new(n, plan.block);
    plan.each(n, |places| {
        let measured = groups.iter().flat_map(|rows| long_run.moments(|t| rows[places[t] as usize]));
        measured.take(all.len()).map(|Moments { mean, omega }| Resample { shift: mean, omega }).collect()
    })
}

/// Interval of any statistic, bias-corrected and accelerated (BCa, Efron 1987): for medians, value at risk, scores of
/// probabilities. `statistic` is given places between 0 and `n`: those of a resample, all, or all but one.
///
/// The bias counts resamples equal to the estimate half; the acceleration comes from leaving out one bounty at a time, so the
/// statistic is computed n times more than there are resamples.
///
/// # Errors
///
/// With fewer than [`LEAST`] bounties.
pub fn bca(n: usize, plan: &Plan, level: f64, statistic: impl Fn(&[u32]) -> f64 + Sync) -> Result<Interval, Unfit> {
    if n < LEAST {
        return Err(Unfit::TooFewBounties { bounties: n, least: LEAST });
    }
    let all: Vec<u32> = (0..n as u32).collect();
    let estimate = statistic(&all);
    let resampled = series::sorted(&plan.each(n, &statistic));
    if resampled.is_empty() {
        return Ok(Interval { estimate, low: estimate, high: estimate });
    }
    let without = |left_out: u32| {
        let others: Vec<u32> = all.iter().copied().filter(|&place| place != left_out).collect();
        statistic(&others)
    };
    let jackknife: Vec<f64> = all.par_iter().map(|&place| without(place)).collect();
    let mean = series::mean(&jackknife);
    let (mut squares, mut cubes) = (0.0, 0.0);
    for value in jackknife {
        let apart = mean - value;
        squares += apart * apart;
        cubes += apart * apart * apart;
    }
    let acceleration = if squares > 0.0 { cubes / (6.0 * squares * squares.sqrt()) } else { 0.0 };
    let below = resampled.iter().map(|value| if *value < estimate { 1.0 } else { 0.5 * f64::from(u8::from(*value == estimate)) });
    let share = below.sum::<f64>() / resampled.len() as f64;
    // All on one side: as far as that many resamples can tell.
    let least = 0.5 / resampled.len() as f64;
    let bias = normal::quantile(share.clamp(least, 1.0 - least));
    let [low, high] = tails(level).map(|tail| {
        let z = bias + normal::quantile(tail);
        series::quantile(&resampled, normal::cdf(bias + z / (1.0 - acceleration * z)))
    });
    Ok(Interval { estimate, low, high })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(n: usize, seed: u64) -> Vec<f64> {
        let mut chance = Key::root(seed).stream();
        (0..n).map(|_| chance.uniform() - 0.4).collect()
    }

    #[test]
    fn few_bounties_and_few_losses_have_no_interval() {
        let plan = Plan { block: 2.0, resamples: 99, seed: 1 };
        assert_eq!(profit(&[1.0; 9], &plan, 0.95), Err(Unfit::TooFewBounties { bounties: 9, least: 10 }));
        assert!(matches!(profit(&[f64::NAN; 10], &plan, 0.95), Err(Unfit::NotFinite { bounty: 0, .. })));
        let mut profits = vec![1.0; 100];
        profits[..9].fill(-5.0);
        let Ok(Estimate::TooFew { events: 9, bounties: 100, at_most, .. }) = profit(&profits, &plan, 0.95) else { panic!("few losses") };
        assert!(at_most > 0.09 && at_most < 0.16, "{at_most}");
        profits[9] = -5.0;
        assert!(matches!(profit(&profits, &plan, 0.95), Ok(Estimate::Interval(_))));
    }

    #[test]
    fn a_constant_series_is_certain() {
        let resampled = Resampled::new(&[&[0.1; 40]], &Plan { block: 3.0, resamples: 49, seed: 1 }).unwrap();
        for interval in [resampled.studentized(0, 0.95), resampled.percentile(0, 0.95)] {
            assert!(interval.low == interval.high && interval.low == interval.estimate, "{interval:?}");
        }
    }

    #[test]
    fn company_and_threads_change_nothing() {
        let series: Vec<Vec<f64>> = (0..6).map(|seed| noise(80, seed)).collect();
        let all: Vec<&[f64]> = series.iter().map(Vec::as_slice).collect();
        let plan = Plan::of(all.iter().copied(), 5);
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Resampled::new(&all, &plan).unwrap())
        };
        let together = on(1);
        assert_eq!(together, on(2));
        for (place, series) in all.iter().enumerate() {
            assert_eq!(Resampled::new(&[series], &plan).unwrap().studentized(0, 0.9), together.studentized(place, 0.9));
        }
    }

    #[test]
    fn a_block_of_one_draws_every_place_anew() {
        let plan = Plan { block: 1.0, resamples: 1, seed: 3 };
        let places = &plan.each(1000, <[u32]>::to_vec)[0];
        let follow = places.windows(2).filter(|pair| pair[1] == pair[0] + 1).count();
        assert!(follow < 10, "{follow}");
        let places = &Plan { block: 50.0, ..plan }.each(1000, <[u32]>::to_vec)[0];
        let follow = places.windows(2).filter(|pair| pair[1] == (pair[0] + 1) % 1000).count();
        assert!((950..1000).contains(&follow), "{follow}");
    }

    #[test]
    fn skewed_statistics_have_skewed_intervals() {
        let x: Vec<f64> = noise(60, 9).into_iter().map(|value| libm::exp(4.0 * value)).collect();
        let mean = |places: &[u32]| places.iter().map(|&place| x[place as usize]).sum::<f64>() / places.len() as f64;
        let found = bca(x.len(), &Plan { block: 1.0, resamples: 999, seed: 2 }, 0.95, mean).unwrap();
        assert!(found.high - found.estimate > found.estimate - found.low, "{found:?}");
    }
}
