//! The noise probe: the same work again and again, before anything is measured and after, to see how steady this machine is.
//!
//! A unit of work is the SHA-256 of 24 MiB of zeros on each thread at once: about as long as a short round, and the same on
//! every machine and in every version, so that two reports can tell how far their machines had drifted.

use std::{thread, time::Instant};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    gate,
    statistics::{bootstrap::Interval, normal, planning::Power, series, variance::Moments},
    usage::Processor,
};

/// Units of a probe: ten pairs.
const UNITS: usize = 20;
/// Bytes that a thread hashes in a unit, in pieces.
const BYTES: usize = 24 << 20;
const PIECE: usize = 1 << 20;
/// What can be found, and how surely.
pub const POWER: Power = Power { alpha: 0.05, power: 0.8 };

/// What the probe found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Probe {
    /// Threads that worked at once.
    pub threads: usize,
    /// Before the first round.
    pub before: Units,
    /// After the last one.
    pub after: Units,
    /// The smallest change, as a share, that as many pairs as there are rounds would show four times in five.
    pub detectable: Option<f64>,
}

/// Units of work, in order.
#[derive(Clone, PartialEq, Default, Debug, Serialize, Deserialize)]
pub struct Units {
    /// Seconds of each on the clock.
    pub seconds: Vec<f64>,
    /// Processor seconds of each.
    pub processor: Vec<f64>,
}

/// Which time is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    Wall,
    /// Which stands still while others have the processor.
    Processor,
}

impl Units {
    fn by(&self, clock: Clock) -> &[f64] {
        match clock {
            Clock::Wall => &self.seconds,
            Clock::Processor => &self.processor,
        }
    }
}

/// Does the units of a probe.
pub fn measure(threads: usize) -> Units {
    let zeros = vec![0; PIECE];
    let work = || {
        let mut digest = Sha256::new();
        (0..BYTES / PIECE).for_each(|_| digest.update(&zeros));
        std::hint::black_box(digest.finalize());
    };
    let mut units = Units::default();
    for _ in 0..UNITS {
        let (before, started) = (Processor::now(), Instant::now());
        thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
        units.seconds.push(started.elapsed().as_secs_f64());
        units.processor.push(Processor::now().since(before).total());
    }
    units
}

/// The smallest change, as a share, that `pairs` would show with [`POWER`], if the logarithms of their ratios vary as those
/// of neighbouring ones of these do; none of too few.
pub fn detectable(seconds: &[f64], pairs: usize) -> Option<f64> {
    let ratios: Vec<f64> = seconds.chunks_exact(2).map(|pair| libm::log(pair[1] / pair[0])).collect();
    detectable_of(&ratios, pairs)
}

/// The same of the logarithms of ratios themselves: by how wide the interval of their middle is, as gates reckon it.
pub fn detectable_of(ratios: &[f64], pairs: usize) -> Option<f64> {
    let Interval { low, high, .. } = gate::interval(ratios, 1.0 - POWER.alpha).ok()?;
    let error = 0.5 * (high - low) / normal::quantile(1.0 - 0.5 * POWER.alpha);
    let moments = Moments { mean: 0.0, omega: error * (ratios.len() as f64).sqrt() };
    Some(libm::expm1(POWER.detectable(moments, pairs))).filter(|share| share.is_finite())
}

/// How far the machine may have drifted between two probes by that clock: the largest distance between the logarithms of the
/// medians, each of before and after.
pub fn drift(one: &Probe, other: &Probe, clock: Clock) -> f64 {
    let medians = |probe: &Probe| -> Vec<f64> {
        let parts = [&probe.before, &probe.after].map(|units| units.by(clock));
        let middle = |part: &[f64]| libm::log(series::quantile(&series::sorted(part), 0.5));
        parts.into_iter().filter(|part| !part.is_empty()).map(middle).collect()
    };
    let (ones, others) = (medians(one), medians(other));
    ones.iter().flat_map(|one| others.iter().map(move |other| (one - other).abs())).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(before: f64, after: f64) -> Probe {
        let units = |seconds: f64, count: usize| Units { seconds: vec![seconds; count], processor: vec![1.0; count] };
        Probe { threads: 1, before: units(before, 3), after: units(after, 1), detectable: None }
    }

    #[test]
    fn a_steady_machine_sees_small_changes_and_more_rounds_see_smaller_ones() {
        assert_eq!(detectable(&[1.0; 20], 10), Some(0.0));
        let noisy: Vec<f64> = (0..20).map(|unit| 1.0 + 0.05 * f64::from(unit * 7 % 10)).collect();
        let [ten, forty] = [10, 40].map(|pairs| detectable(&noisy, pairs).unwrap());
        assert!(ten > forty && forty > 0.02, "{ten} {forty}");
        assert_eq!(detectable(&[1.0], 10), None);
    }

    #[test]
    fn drift_is_the_farthest_that_probes_are_apart() {
        assert_eq!(drift(&probe(1.0, 1.0), &probe(1.0, 1.0), Clock::Wall), 0.0);
        assert_eq!(drift(&probe(1.0, 1.1), &probe(1.0, 0.9), Clock::Processor), 0.0);
        let found = drift(&probe(1.0, 1.1), &probe(1.0, 0.9), Clock::Wall);
        assert!((found - libm::log(1.1 / 0.9)).abs() < 1e-12, "{found}");
    }

    #[test]
    fn a_probe_takes_its_time() {
        let units = measure(2);
        assert!(units.seconds.len() == UNITS && units.seconds.iter().chain(&units.processor).all(|&unit| unit > 0.0));
    }
}
