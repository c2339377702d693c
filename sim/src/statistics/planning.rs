//! How many bounties a comparison needs, what it could have found, and how to look while it runs.

use super::{normal, variance::Moments};

/// Bounties below which no comparison is planned.
pub const FEWEST: f64 = 300.0;
/// Bounties below which a running comparison says nothing.
pub const FIRST_LOOK: u64 = 50;

/// What a comparison should be able to find.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Power {
    /// Chance of finding a difference where there is none, such as .05; two-sided.
    pub alpha: f64,
    /// Chance of finding a difference that is there, such as .8.
    pub power: f64,
}

impl Power {
    fn distance(self) -> f64 {
        normal::quantile(1.0 - 0.5 * self.alpha) + normal::quantile(self.power)
    }

    /// How many bounties find a mean difference of `delta` with this power: `(z_{1-alpha/2} + z_power)² omega²/delta²`, rounded
    /// up, at least [`FEWEST`]. `omega` is the long-run standard deviation of differences: `moments.omega` of a pilot, or the
    /// plain one if bounties do not depend on each other. Infinite for a `delta` of 0.
    pub fn bounties(self, omega: f64, delta: f64) -> f64 {
        if delta == 0.0 {
            return f64::INFINITY;
        }
        let errors = self.distance() * omega / delta;
        (errors * errors).ceil().max(FEWEST)
    }

    /// The smallest mean difference that `bounties` find with this power: `(z_{1-alpha/2} + z_power) omega/sqrt n`. To be stated
    /// beside every "no difference".
    pub fn detectable(self, moments: Moments, bounties: usize) -> f64 {
        self.distance() * moments.omega / (bounties as f64).sqrt()
    }
}

/// A confidence sequence: an interval of the mean that may be looked at after every bounty, because it holds the true mean
/// at all times at once with probability `1 - alpha` (in the limit; Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas 2021).
///
/// Its half-width is `s sqrt(2 (t r + 1)/(t² r) ln(sqrt(t r + 1)/alpha))`, with s the running population standard deviation and
/// r such that it is about narrowest after `optimal` bounties: `r = (-2 ln alpha + ln(-2 ln alpha) + 1)/optimal`.
/// Bounties count as independent; where they do not, add means of blocks.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sequence {
    alpha: f64,
    rate: f64,
    count: u64,
    mean: f64,
    /// Sum of squared distances from the mean.
    squares: f64,
}

impl Sequence {
    /// `alpha` in (0, .6), so that the rate is positive.
    pub fn new(alpha: f64, optimal: f64) -> Sequence {
        let twice = -2.0 * libm::log(alpha);
        Sequence { alpha, rate: (twice + libm::log(twice) + 1.0) / optimal, count: 0, mean: 0.0, squares: 0.0 }
    }

    /// Counts one more bounty (Welford 1962).
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        let apart = value - self.mean;
        self.mean += apart / self.count as f64;
        self.squares += apart * (value - self.mean);
    }

    /// Bounties so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Mean so far.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Half the width of the interval, whether it may be looked at already or not; infinite before the first bounty.
    pub fn half_width(&self) -> f64 {
        let (t, r) = (self.count as f64, self.rate);
        if self.count == 0 {
            return f64::INFINITY;
        }
        let deviation = (self.squares / t).sqrt();
        deviation * (2.0 * (t * r + 1.0) / (t * t * r) * libm::log((t * r + 1.0).sqrt() / self.alpha)).sqrt()
    }

    /// The ends of the interval; `None` before [`FIRST_LOOK`] bounties.
    pub fn interval(&self) -> Option<(f64, f64)> {
        let half = self.half_width();
        (self.count >= FIRST_LOOK).then_some((self.mean - half, self.mean + half))
    }

    /// Whether 0 lies outside the interval: the comparison may stop.
    pub fn decided(&self) -> bool {
        self.interval().is_some_and(|(low, high)| low > 0.0 || high < 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_planned_is_what_can_be_found() {
        let power = Power { alpha: 0.05, power: 0.8 };
        let bounties = power.bounties(2.0, 0.1);
        let found = power.detectable(Moments { mean: 0.0, omega: 2.0 }, bounties as usize);
        assert!((found - 0.1).abs() < 1e-4 && found <= 0.1, "{found}");
        assert_eq!((power.bounties(1.0, 10.0), power.bounties(1.0, 0.0)), (300.0, f64::INFINITY));
    }

    #[test]
    fn nobody_looks_before_the_fiftieth_bounty() {
        let mut sequence = Sequence::new(0.05, 200.0);
        assert_eq!(sequence.half_width(), f64::INFINITY);
        (0..49).for_each(|t| sequence.add(5.0 + f64::from(t % 2)));
        assert!(!sequence.decided() && sequence.interval().is_none());
        sequence.add(5.0);
        assert!(sequence.decided());
    }
}
