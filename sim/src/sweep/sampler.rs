//! Which points of a space are tried. A point follows from its number alone, so that more trials are the same ones and some
//! more, and machines can share them.

use anyhow::{Result, bail};
use clap::ValueEnum;
use engine::chance::Key;
use serde::{Deserialize, Serialize};

use super::space::{Point, Space};

/// Trials of one sweep, at most.
pub const TRIALS: u64 = 100_000;
/// Trials where nobody said how many, and there is no grid to be through with.
const USUAL: u64 = 100;

/// How points are chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sampler {
    /// Every combination, in order
    #[default]
    Grid,
    /// Each point by itself
    Random,
    /// Latin hypercube: evenly along every axis; the first 2, 4, 8, … trials are each one
    Lhs,
    /// As `lhs`, on a few bounties; the best third goes on, on three times as many others, and so on
    Halving,
}

/// The first `trials` points (of a grid all, unless it is said), in order.
///
/// # Errors
///
/// If there is no grid, it has fewer points, or they are too many.
pub fn points(space: &Space, sampler: Sampler, seed: u64, trials: Option<u64>) -> Result<Vec<Point>> {
    let most = if sampler == Sampler::Grid { space.grid()? } else { TRIALS };
    let count = match (trials, sampler) {
        (Some(count), Sampler::Grid) => count.min(most),
        (Some(count), _) => count,
        (None, Sampler::Grid) => most,
        (None, _) => USUAL,
    };
    if count > TRIALS {
        bail!("{count} trials are more than {TRIALS}; say fewer with `--trials`, or search by halves: `--sampler halving`");
    }
    let root = Key::root(seed).named("sweep");
    let axis = |axis: usize| root.with(axis as u64);
    Ok(match sampler {
        Sampler::Grid => (0..count).map(|number| space.grid_point(number)).collect(),
        Sampler::Random => {
            let coordinates = |number| (0..space.axes()).map(|at| axis(at).with(number).stream().uniform()).collect::<Vec<_>>();
            (0..count).map(|number| space.point(&coordinates(number))).collect()
        }
        Sampler::Lhs | Sampler::Halving => {
            let mut axes: Vec<Latin> = (0..space.axes()).map(|at| Latin::new(axis(at))).collect();
            (0..count).map(|_| space.point(&axes.iter_mut().map(Latin::next).collect::<Vec<_>>())).collect()
        }
    })
}

/// One axis of a Latin hypercube that doubles: of its first 2^k values, one lies in each of 2^k equal parts of [0, 1). Every
/// doubling fills the halves that are still empty, in an order of its own on each axis (nested Latin hypercubes, Qian 2009).
struct Latin {
    key: Key,
    values: Vec<f64>,
    /// For the present doubling, whose neighbour comes when.
    order: Vec<u32>,
}

impl Latin {
    fn new(key: Key) -> Latin {
        Latin { key, values: Vec::new(), order: Vec::new() }
    }

    fn next(&mut self) -> f64 {
        let number = self.values.len();
        let uniform = self.key.with(number as u64).stream().uniform();
        let value = if number == 0 {
            uniform
        } else {
            let before = 1_usize << number.ilog2();
            if number == before {
                self.order = self.shuffled(before as u32);
            }
            let parts = 2.0 * before as f64;
            let neighbour = (self.values[self.order[number - before] as usize] * parts) as u64;
            let part = (neighbour ^ 1) as f64;
            ((part + uniform) / parts).min(((part + 1.0) / parts).next_down())
        };
        self.values.push(value);
        value
    }

    fn shuffled(&self, count: u32) -> Vec<u32> {
        let mut order: Vec<u32> = (0..count).collect();
        let mut chance = self.key.named("order").with(u64::from(count)).stream();
        for last in (1..order.len()).rev() {
            order.swap(last, chance.below(last as u64 + 1) as usize);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_doubling_is_a_latin_hypercube_and_axes_go_their_own_ways() {
        let mut axes = [0, 1].map(|axis| Latin::new(Key::root(7).with(axis)));
        let points: Vec<[f64; 2]> = (0..256).map(|_| [axes[0].next(), axes[1].next()]).collect();
        for power in 0..=8 {
            let count = 1_usize << power;
            for axis in 0..2 {
                let mut parts: Vec<usize> = points[..count].iter().map(|point| (point[axis] * count as f64) as usize).collect();
                parts.sort_unstable();
                assert!(parts.into_iter().eq(0..count), "the first {count} on axis {axis}");
            }
        }
        // In sixteen cells of the plane there are 16 points each, give or take luck.
        let mut cells = [0; 16];
        points.iter().for_each(|point| cells[(point[0] * 4.0) as usize * 4 + (point[1] * 4.0) as usize] += 1);
        assert!(cells.iter().all(|&count| (6..=30).contains(&count)), "{cells:?}");
    }

    #[test]
    fn more_trials_are_the_same_ones_and_more() {
        let space = Space::parse(Path::new("space.toml"), "[set]\nseed = {from = 1, to = 900, steps = 30}\narbiters.error = [0, 0.1, 0.2]")
            .unwrap();
        for sampler in [Sampler::Grid, Sampler::Random, Sampler::Lhs, Sampler::Halving] {
            let (few, many) = (points(&space, sampler, 3, Some(20)).unwrap(), points(&space, sampler, 3, Some(50)).unwrap());
            assert_eq!((few.len(), many.len()), (20, 50));
            assert_eq!(few, many[..20], "{sampler:?}");
            if sampler != Sampler::Grid {
                assert_ne!(few, points(&space, sampler, 4, Some(20)).unwrap(), "{sampler:?}");
            }
        }
        assert_eq!(points(&space, Sampler::Grid, 3, None).unwrap().len(), 90);
        assert_eq!(points(&space, Sampler::Grid, 3, Some(1000)).unwrap().len(), 90);
        assert!(points(&space, Sampler::Random, 3, Some(TRIALS + 1)).is_err());
    }
}
