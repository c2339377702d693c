//! Intervals of a probability that was learned: how far the rate behind it may be from what is stated.
//!
//! The interval speaks of the rate of malice among artifacts that are scored alike, now. Errors of the fit, drift since the
//! lessons, and campaigns that come all at once keep that rate from the stated probability `p`. The log-odds of the rate are
//! taken for normally distributed around those of `p`, with the variance `t² + f² w²`: `w` is the spread of the distiller's
//! own interval, `f` how much of it has been borne out, and `t`, the spread of everything it does not know of, differs from
//! place to place on the scale of log-odds. The stated interval is `p` with 1.645 standard deviations on either side.
//!
//! What `t` and `f` are, settled artifacts tell. Those of like `p` (within one unit of log-odds) are counted together, in
//! order of time, until `ENOUGH` hits of the rarer class are expected of them, however many artifacts that takes: the
//! number of malicious ones then has a binomial distribution with a rate that strays so far, and each `t` of a ladder, each
//! `f` of three, is as likely as it makes what came. Two hundred groups later a group counts for little more than a third.
//! The unfinished group counts, too. A place knows what its neighbours know, the less the farther they are. `f` is the
//! likeliest for all places together; of `t` all that is likely counts, and the interval holds nine tenths of where it may
//! lead. Before anything is known, `t` is half-Cauchy, larger far from even odds, where an error of slope does more. So an
//! interval is wide where too few hits were expected to tell a right probability from a wrong one. A mean error is an error
//! like others: the interval grows to both sides until it reaches the rate.
//!
//! Between places `t` is interpolated, and never changes by more than half a unit per unit of log-odds: of two verdicts
//! with the same `w`, the one with the higher `p` has the higher ends.
//!
//! Whether intervals hold what they promise is for [`coverage`](crate::coverage) to say.
//!
//! Sources: Gelman et al. 2013, chapter 5 (hierarchical models); Williams 1982 for log-odds that vary from group to group.

use std::sync::LazyLock;

use crate::odds::{inside, logistic, logit};

/// 95 % quantile of the normal distribution.
pub const Z95: f64 = 1.644_853_626_951_472_2;
/// Share of rates that an interval is to hold.
pub const LEVEL: f64 = 0.9;
/// Expected hits of the rarer class that fill a group.
const ENOUGH: f64 = 5.0;

/// Places on the scale of log-odds, a unit apart, 0 in the middle.
const PLACES: usize = 19;
const MIDDLE: f64 = (PLACES / 2) as f64;
/// Standard deviation of the bell curve by which places know of each other.
const NEAR: f64 = 2.0;
/// The steepest change of `t` from one place to the next; 1/1.645 would do.
const STEEPEST: f64 = 0.5;
/// Steps on the ladder of `t`, from the least, each 1.3 times the one before.
const RUNGS: usize = 22;
const LEAST: f64 = 0.05;
/// A `t` that is as likely to be exceeded as not, before anything is known: in the middle, and what it grows by per unit of
/// log-odds, as an error of a fitted slope does.
const TYPICAL: f64 = 0.07;
const SLOPE: f64 = 0.07;
/// The values that `f` may have.
const SHARES: [f64; 3] = [1.0, 0.5, 0.0];
/// What a group is worth when another one has come after it.
const FADING: f64 = 0.995;
/// Artifacts from one look at what is likely to the next.
const EVERY: u64 = 50;

/// Parts of equal probability that a normal distribution is cut into.
pub(crate) const NODES: usize = 16;

/// The middle of each part.
pub(crate) static NORMAL: LazyLock<[f64; NODES]> = LazyLock::new(|| {
    std::array::from_fn(|part| {
        let (target, mut low, mut high) = ((part as f64 + 0.5) / NODES as f64, -9.0, 9.0);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            let below = 0.5 * libm::erfc(-middle / std::f64::consts::SQRT_2);
            if below < target { low = middle } else { high = middle }
        }
        0.5 * (low + high)
    })
});

/// The 90 % interval of a probability with that spread.
pub fn around(p: f64, spread: f64) -> (f64, f64) {
    let (centre, reach) = (logit(inside(p)), Z95 * spread);
    // Rounding must not push an end beyond what it is the end of.
    (logistic(centre - reach).min(p), logistic(centre + reach).max(p))
}

/// The spread that an interval stands for: [`around`] backwards.
pub fn spread((low, high): (f64, f64)) -> f64 {
    (logit(inside(high)) - logit(inside(low))) / (2.0 * Z95)
}

/// Log-likelihoods of each `f` and each `t`.
type Evidence = [[f64; RUNGS]; SHARES.len()];

fn rung(number: usize) -> f64 {
    LEAST * libm::pow(1.3, number as f64)
}

fn place(p: f64) -> usize {
    (logit(inside(p)) + MIDDLE).round().clamp(0.0, (PLACES - 1) as f64) as usize
}

/// Artifacts of like probability, one after the other.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
struct Group {
    artifacts: f64,
    malicious: f64,
    /// Sum of their probabilities.
    probability: f64,
    /// Sum of `p (1 - p)`: of the rarer class, hits to expect.
    hits: f64,
    /// Sum of the squared spreads of the distiller's intervals.
    own: f64,
}

impl Group {
    /// Of this group alone.
    fn evidence(&self) -> Evidence {
        let centre = logit(inside(self.probability / self.artifacts));
        SHARES.map(|share| {
            let own = share * share * self.own / self.artifacts;
            std::array::from_fn(|number| {
                let wide = (rung(number) * rung(number) + own).sqrt();
                let logs = NORMAL.map(|node| {
                    let x = centre + wide * node;
                    let (bad, good) = (-libm::log1p(libm::exp(-x)), -libm::log1p(libm::exp(x)));
                    self.malicious * bad + (self.artifacts - self.malicious) * good
                });
                let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                most + libm::log(logs.iter().map(|log| libm::exp(log - most)).sum::<f64>())
            })
        })
    }
}

fn add(sum: &mut Evidence, more: &Evidence, weight: f64) {
    sum.iter_mut().flatten().zip(more.iter().flatten()).for_each(|(sum, more)| *sum += weight * more);
}

/// How likely that `t` is before anything is known: half-Cauchy, on a ladder.
fn prior(t: f64, place: usize) -> f64 {
    let typical = TYPICAL + SLOPE * (place as f64 - MIDDLE).abs();
    t / (typical * typical + t * t)
}

/// The spread of the normal distribution whose middle 90 % hold nine tenths of that mixture of the ladder's ones.
fn predictive(weights: &[f64; RUNGS]) -> f64 {
    let all: f64 = weights.iter().sum();
    let outside = |wide: f64| {
        let each =
            weights.iter().enumerate().map(|(number, weight)| weight * libm::erfc(wide / rung(number) * Z95 / std::f64::consts::SQRT_2));
        each.sum::<f64>() > (1.0 - LEVEL) * all
    };
    let (mut low, mut high) = (LEAST, rung(RUNGS - 1));
    for _ in 0..12 {
        let middle = (low * high).sqrt();
        if outside(middle) { low = middle } else { high = middle }
    }
    high
}

/// What the past says of the errors of stated probabilities.
#[derive(Clone, PartialEq, Debug)]
pub struct Doubt {
    /// By place, like the following.
    open: [Group; PLACES],
    past: [Evidence; PLACES],
    /// `t`.
    spreads: [f64; PLACES],
    /// `f`.
    share: f64,
    heard: u64,
}

impl Default for Doubt {
    fn default() -> Doubt {
        let (open, past, spreads) = Default::default();
        let mut doubt = Doubt { open, past, spreads, share: SHARES[0], heard: 0 };
        doubt.look();
        doubt
    }
}

impl Doubt {
    /// Adds what became of an artifact of which `p` was said, with `own` the spread of the distiller's interval.
    pub fn add(&mut self, p: f64, own: f64, malicious: bool) {
        let place = place(p);
        let group = &mut self.open[place];
        group.artifacts += 1.0;
        group.malicious += f64::from(u8::from(malicious));
        group.probability += p;
        group.hits += p * (1.0 - p);
        group.own += own * own;
        if group.hits >= ENOUGH {
            let evidence = std::mem::take(group).evidence();
            self.past[place].iter_mut().flatten().for_each(|log| *log *= FADING);
            add(&mut self.past[place], &evidence, 1.0);
        }
        self.heard += 1;
        if self.heard.is_multiple_of(EVERY) {
            self.look();
        }
    }

    /// Finds out what is likely.
    fn look(&mut self) {
        let mut known = self.past;
        for (known, group) in known.iter_mut().zip(&self.open).filter(|(_, group)| group.artifacts > 0.0) {
            add(known, &group.evidence(), 1.0);
        }
        let mut all = Evidence::default();
        known.iter().for_each(|known| add(&mut all, known, 1.0));
        let likely = all.map(|logs| logs.into_iter().fold(f64::NEG_INFINITY, f64::max));
        // The widest of equals.
        let best = (0..SHARES.len()).rev().max_by(|&one, &other| likely[one].total_cmp(&likely[other])).unwrap_or(0);
        self.share = SHARES[best];
        let here: [f64; PLACES] = std::array::from_fn(|here| {
            let mut logs = [0.0; RUNGS];
            for (there, known) in known.iter().enumerate() {
                let apart = (here as f64 - there as f64) / NEAR;
                let weight = libm::exp(-0.5 * apart * apart);
                logs.iter_mut().zip(&known[best]).for_each(|(log, known)| *log += weight * known);
            }
            let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            predictive(&std::array::from_fn(|number| libm::exp(logs[number] - most) * prior(rung(number), here)))
        });
        self.spreads = std::array::from_fn(|place| {
            here.iter().enumerate().map(|(other, &wide)| wide - STEEPEST * (other as f64 - place as f64).abs()).fold(0.0, f64::max)
        });
    }

    /// The 90 % interval of a stated probability; `own` is the spread of the distiller's interval.
    pub fn interval(&self, p: f64, own: f64) -> (f64, f64) {
        let at = (logit(inside(p)) + MIDDLE).clamp(0.0, (PLACES - 1) as f64);
        let below = (at as usize).min(PLACES - 2);
        let part = at - below as f64;
        let wide = (1.0 - part) * self.spreads[below] + part * self.spreads[below + 1];
        let own = self.share * own;
        around(p, (wide * wide + own * own).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::{Key, Stream};

    #[test]
    fn an_interval_holds_its_probability_and_reads_backwards() {
        for (p, wide) in [(1e-7, 0.3), (0.3, 1.0), (0.5, 2.0), (0.999, 0.05)] {
            let interval = around(p, wide);
            assert!(0.0 <= interval.0 && interval.0 < p && p < interval.1 && interval.1 <= 1.0, "{p}: {interval:?}");
            assert!((spread(interval) - wide).abs() < 1e-6, "{p} {wide}: {}", spread(interval));
        }
        for p in [0.0, 1.0] {
            let interval = around(p, 2.0);
            assert!(interval.0 <= p && p <= interval.1, "{interval:?}");
        }
    }

    fn normal(chance: &mut Stream) -> f64 {
        (0..12).map(|_| chance.uniform()).sum::<f64>() - 6.0
    }

    /// Campaigns of 50 artifacts whose rates are off by a normal error of their log-odds: share of rates within the stated
    /// interval, and its mean width.
    fn drifting(chance: &mut Stream, doubt: &mut Doubt, campaigns: u32, stray: f64) -> (f64, f64) {
        let (mut held, mut width) = (0.0, 0.0);
        for _ in 0..campaigns {
            let p = 0.15 + 0.7 * chance.uniform();
            let rate = logistic(logit(p) + stray * normal(chance));
            let interval = doubt.interval(p, 0.0);
            held += f64::from(u8::from(interval.0 <= rate && rate <= interval.1));
            width += interval.1 - interval.0;
            (0..50).for_each(|_| doubt.add(p, 0.0, chance.uniform() < rate));
        }
        (held / f64::from(campaigns), width / f64::from(campaigns))
    }

    #[test]
    fn intervals_are_as_wide_as_rates_stray_and_hold_nine_in_ten_of_them() {
        let mut widths = Vec::new();
        for stray in [0.4, 1.2] {
            let (mut chance, mut doubt) = (Key::root(9).stream(), Doubt::default());
            drifting(&mut chance, &mut doubt, 200, stray);
            let (held, width) = drifting(&mut chance, &mut doubt, 1500, stray);
            assert!((held - LEVEL).abs() < 0.05, "{stray}: {held}");
            widths.push(width);
        }
        assert!(widths[1] > 2.0 * widths[0], "{widths:?}");
    }

    #[test]
    fn intervals_grow_when_the_world_begins_to_stray() {
        let (mut chance, mut doubt) = (Key::root(10).stream(), Doubt::default());
        drifting(&mut chance, &mut doubt, 600, 0.1);
        let calm = drifting(&mut chance, &mut doubt, 50, 0.1).1;
        drifting(&mut chance, &mut doubt, 150, 1.2);
        let (held, width) = drifting(&mut chance, &mut doubt, 150, 1.2);
        assert!(held > 0.75 && width > 2.0 * calm, "{held}: {width} after {calm}");
    }

    #[test]
    fn an_error_that_lasts_is_reached_wherever_it_is() {
        for (stated, truth, artifacts) in
            [(0.001, 0.00033, 120_000), (0.005, 0.0017, 30_000), (0.02, 0.01, 20_000), (0.3, 0.27, 10_000), (0.98, 0.94, 5_000)]
        {
            let (mut chance, mut doubt) = (Key::root(11).stream(), Doubt::default());
            let (mut looks, mut held) = (0.0, 0.0);
            for number in 0..artifacts {
                doubt.add(stated, 0.0, chance.uniform() < truth);
                if number > artifacts / 2 && number % 100 == 0 {
                    let interval = doubt.interval(stated, 0.0);
                    looks += 1.0;
                    held += f64::from(u8::from(interval.0 <= truth && truth <= interval.1));
                }
            }
            // Today's wrong answer: an error of a tenth drowns in the noise of single groups, though not in that of all together.
            let enough = if stated == 0.3 { 0.5 } else { LEVEL };
            assert!(held >= enough * looks, "{stated}, {truth}: {held} of {looks}");
        }
    }

    #[test]
    fn nothing_is_narrow_that_nobody_has_seen_enough_of() {
        // A thousand artifacts, one expected hit: no reason to be surer than within a factor of two.
        let mut doubt = Doubt::default();
        (0..1000).for_each(|_| doubt.add(0.001, 0.0, false));
        assert!(spread(doubt.interval(0.001, 0.0)) * Z95 > std::f64::consts::LN_2);
        // What is honest and often seen gets narrow, but not at will.
        let mut chance = Key::root(12).stream();
        (0..20_000).for_each(|_| doubt.add(0.3, 0.0, chance.uniform() < 0.3));
        let wide = spread(doubt.interval(0.3, 0.0));
        assert!((LEAST..0.2).contains(&wide), "{wide}");
    }

    #[test]
    fn of_two_verdicts_the_higher_probability_has_the_higher_ends() {
        // Quiet in the middle, wild at the ends, and the other way round.
        for wild in [|p: f64| !(0.02..0.98).contains(&p), |p: f64| (0.3..0.7).contains(&p)] {
            let (mut chance, mut doubt) = (Key::root(13).stream(), Doubt::default());
            for _ in 0..400 {
                let p = logistic(12.0 * chance.uniform() - 6.0);
                let stray = if wild(p) { 3.0 } else { 0.05 };
                let rate = logistic(logit(p) + stray * normal(&mut chance));
                (0..50).for_each(|_| doubt.add(p, 0.0, chance.uniform() < rate));
            }
            for own in [0.0, 0.7] {
                let ends = (-12_000..12_000).map(|x| doubt.interval(logistic(f64::from(x) / 1000.0), own)).collect::<Vec<_>>();
                assert!(ends.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1));
            }
        }
    }

    #[test]
    fn a_distillers_own_doubt_counts_as_far_as_it_is_borne_out() {
        // Half of the artifacts are said to be hard, with a spread of one.
        let after = |borne_out: bool| {
            let (mut chance, mut doubt) = (Key::root(14).stream(), Doubt::default());
            for campaign in 0..400 {
                let (hard, p) = (campaign % 2 == 0, 0.2 + 0.6 * chance.uniform());
                let stray = if hard && borne_out { 1.0 } else { 0.05 };
                let rate = logistic(logit(p) + stray * normal(&mut chance));
                (0..50).for_each(|_| doubt.add(p, if hard { 1.0 } else { 0.0 }, chance.uniform() < rate));
            }
            [0.0, 1.0].map(|own| spread(doubt.interval(0.5, own)))
        };
        let ([easy, hard], [same, too]) = (after(true), after(false));
        assert!(hard > 1.3 * easy && (0.7..1.5).contains(&hard), "{easy} {hard}");
        assert!(too < 1.01 * same && too < 0.4, "{same} {too}");
    }
}
