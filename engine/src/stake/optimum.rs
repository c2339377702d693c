//! The best stake, in closed form where there is one: staking.md, section 2.
//!
//! A bid `b` on a side that is right with probability `p` wins `S b / (W + b)` beside the other winners' stakes `W`, where
//! the prize `S` is the bounty's portion and the losers' stakes; wrong, it is lost. Amounts are in NCT; the fee is paid
//! either way, once for an assertion.
//!
//! Sources: Isaacs 1953 (the stake that maximises expected profit against a pari-mutuel pool); Kelly 1956 (log utility);
//! Levin (several pools). Where pools are uncertain, or several artifacts share a bid, the gain is a sum of concave
//! functions, and its one maximum is where the derivative falls through zero.

/// Halvings of an interval: beyond them, a float does not tell the ends apart.
const HALVINGS: usize = 64;

/// Between what a bid may lie, in NCT, and what asserting costs.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Limits {
    /// The least bid of the rules.
    pub least: f64,
    /// The greatest bid of the rules, or what is free after the fee.
    pub most: f64,
    /// The fee of an assertion, whatever its bids.
    pub fee: f64,
}

/// How the pools of an artifact may turn out. All fields but the weight hold *given that* it turns out so.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Scenario {
    /// Its probability.
    pub weight: f64,
    /// Probability that the side is right.
    pub right: f64,
    /// Bounty's portion and losers' stakes, should it be right: `S`.
    pub prize: f64,
    /// The other winners' stakes, should it be right: `W`.
    pub winners: f64,
}

/// A side of one artifact, to bid on.
#[derive(Clone, PartialEq, Debug)]
pub struct Bet {
    /// How it may turn out; probabilities add up to one.
    pub scenarios: Vec<Scenario>,
    /// Part of a bid, and of what it wins, that is settled on this artifact.
    pub share: f64,
}

/// What is to be large.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Utility {
    /// Expected profit in NCT, less `price` for each NCT that is locked, the fee included.
    Profit {
        /// NCT per NCT.
        price: f64,
    },
    /// Expected logarithm of the wealth.
    Log {
        /// In NCT, before the fee.
        wealth: f64,
    },
}

impl Bet {
    /// The side is right with probability `p`, and the pools are known.
    pub fn known(p: f64, prize: f64, winners: f64) -> Bet {
        Bet { scenarios: vec![Scenario { weight: 1.0, right: p, prize, winners }], share: 1.0 }
    }
}

impl Utility {
    /// What asserting costs before anything is bid; never negative.
    pub fn entry(self, fee: f64) -> f64 {
        match self {
            Utility::Profit { price } => fee * (1.0 + price),
            Utility::Log { wealth } if wealth > fee => -libm::log1p(-fee / wealth),
            Utility::Log { .. } => f64::INFINITY,
        }
    }

    /// The most that can be bid without ruin.
    fn most(self, fee: f64) -> f64 {
        match self {
            Utility::Profit { .. } => f64::INFINITY,
            Utility::Log { wealth } => wealth - fee,
        }
    }

    /// What a bid gains, the entry not counted.
    fn gain(self, bet: &Bet, fee: f64, bid: f64) -> f64 {
        let sum = |of: &dyn Fn(&Scenario, f64, f64) -> f64| {
            let each = bet.scenarios.iter().map(|scenario| {
                let won = if bid > 0.0 { bet.share * scenario.prize * bid / (scenario.winners + bid) } else { 0.0 };
                scenario.weight * of(scenario, won, bet.share * bid)
            });
            each.sum::<f64>()
        };
        match self {
            Utility::Profit { price } => sum(&|scenario, won, lost| scenario.right * won - (1.0 - scenario.right + price) * lost),
            Utility::Log { wealth } => {
                let rest = wealth - fee;
                // What is lost is the same however the pools turn out, and a logarithm takes its time.
                let loss = libm::log1p(-(bet.share * bid) / rest);
                sum(&|scenario, won, _| weighted(scenario.right, libm::log1p(won / rest)) + weighted(1.0 - scenario.right, loss))
            }
        }
    }

    /// The derivative of [`Utility::gain`] by the bid.
    fn slope(self, bet: &Bet, fee: f64, bid: f64) -> f64 {
        let each = bet.scenarios.iter().map(|&Scenario { weight, right, prize, winners }| {
            let together = winners + bid;
            let rise = if winners > 0.0 { prize * winners / (together * together) } else { 0.0 };
            let slope = match self {
                Utility::Profit { price } => right * rise - (1.0 - right + price),
                Utility::Log { wealth } => {
                    let rest = wealth - fee;
                    let won = if bid > 0.0 { bet.share * prize * bid / together } else { 0.0 };
                    weighted(right, rise / (rest + won)) - weighted(1.0 - right, 1.0 / (rest - bet.share * bid))
                }
            };
            weight * bet.share * slope
        });
        each.sum()
    }

    /// The least bid at which a bet gains nothing any more; the most, if it gains up to there.
    fn break_even(self, bet: &Bet, fee: f64, most: f64) -> f64 {
        let gains = |bid: f64| self.gain(bet, fee, bid) > 0.0;
        // A float's first steps above zero are below any bid.
        falls(1e-12, most, gains)
    }
}

/// Nothing times infinity is nothing: what cannot happen does not count.
fn weighted(weight: f64, value: f64) -> f64 {
    if weight > 0.0 { weight * value } else { 0.0 }
}

/// Where a condition that holds below some point of an interval, and not above it, ceases to hold.
fn falls(low: f64, high: f64, holds: impl Fn(f64) -> bool) -> f64 {
    if high <= low || holds(high) {
        return high;
    }
    let (mut low, mut high) = (low, high);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if holds(middle) { low = middle } else { high = middle }
    }
    low
}

/// Where a falling function goes through zero, to one part in 10^14 of the interval's end; the nearer end, if it does not within the
/// interval. The ITP method (Oliveira & Takahashi 2021): as fast as secants where the function is tame, and at most one
/// step slower than halving where it is not.
fn crossing(low: f64, high: f64, falling: impl Fn(f64) -> f64) -> f64 {
    if high <= low {
        return high;
    }
    let (mut above, mut below) = (falling(low), falling(high));
    if below > 0.0 {
        return high;
    }
    if above <= 0.0 {
        return low;
    }
    let (mut low, mut high) = (low, high);
    let error = 1e-14 * high;
    let (truncation, halvings) = (0.2 / (high - low), libm::ceil(libm::log2((high - low) / (2.0 * error))));
    // How far from the middle a step may go, and still be no later than halving.
    let mut reach = error * libm::exp2(halvings + 1.0);
    while high - low > 2.0 * error {
        let middle = 0.5 * (low + high);
        let secant = low + (high - low) * above / (above - below);
        let slack = reach - 0.5 * (high - low);
        let away = middle - secant;
        let step = truncation * (high - low) * (high - low);
        let towards = if step <= away.abs() { secant + step.copysign(away) } else { middle };
        let projected = if (towards - middle).abs() <= slack { towards } else { middle - slack.copysign(away) };
        // Near ruin the derivative is infinite, and there are no secants.
        let next = if projected > low && projected < high { projected } else { middle };
        let value = falling(next);
        if value > 0.0 {
            (low, above) = (next, value);
        } else {
            (high, below) = (next, value);
        }
        reach *= 0.5;
    }
    low
}

/// The bid within the limits that gains most on all `bets` together, and what it gains, the entry not counted.
fn best_common(utility: Utility, limits: &Limits, bets: &[&Bet]) -> Option<(f64, f64)> {
    let most = limits.most.min(utility.most(limits.fee));
    if !(most >= limits.least && utility.entry(limits.fee).is_finite()) {
        return None;
    }
    let slope = |bid: f64| bets.iter().map(|bet| utility.slope(bet, limits.fee, bid)).sum::<f64>();
    let bid = crossing(limits.least, most, slope);
    Some((bid, bets.iter().map(|bet| utility.gain(bet, limits.fee, bid)).sum()))
}

/// The best bid on a single bet, and what it gains, entry included; nothing if abstaining is as good.
pub fn single(utility: Utility, limits: &Limits, bet: &Bet) -> Option<(f64, f64)> {
    let (bid, gain) = best_common(utility, limits, &[bet])?;
    let value = gain - utility.entry(limits.fee);
    (value > 0.0).then_some((bid, value))
}

/// The best bids where each artifact has one of its own, and what they gain, entry included: each is optimised alone, those
/// that gain something are masked, and if all together do not pay the fee, none is.
pub fn each(utility: Utility, limits: &Limits, bets: &[Option<Bet>]) -> Option<(Vec<Option<f64>>, f64)> {
    let mut gains = -utility.entry(limits.fee);
    let best = |bet: &Option<Bet>| {
        let (bid, gain) = best_common(utility, limits, &[bet.as_ref()?]).filter(|(_, gain)| *gain > 0.0)?;
        gains += gain;
        Some(bid)
    };
    let bids = bets.iter().map(best).collect();
    (gains > 0.0).then_some((bids, gains))
}

/// The best bid and mask where artifacts share one bid, and what they gain, entry included.
///
/// At a given bid the best mask holds the artifacts that still gain something there, so best masks are prefixes of the
/// order of break-even bids (`p S / q - W` where the pools are known), greatest first; each has one best bid.
pub fn common(utility: Utility, limits: &Limits, bets: &[Option<Bet>]) -> Option<(Vec<Option<f64>>, f64)> {
    let most = limits.most.min(utility.most(limits.fee));
    let mut order: Vec<(f64, usize)> = (bets.iter().enumerate())
        .filter_map(|(artifact, bet)| Some((utility.break_even(bet.as_ref()?, limits.fee, most), artifact)))
        .collect();
    order.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(&other.1)));
    let mut best: Option<(f64, f64, usize)> = None;
    let mut mask: Vec<&Bet> = Vec::with_capacity(order.len());
    for &(_, artifact) in &order {
        mask.extend(&bets[artifact]);
        let Some((bid, gain)) = best_common(utility, limits, &mask) else { break };
        let value = gain - utility.entry(limits.fee);
        if value > best.map_or(0.0, |(_, best, _)| best) {
            best = Some((bid, value, mask.len()));
        }
    }
    let (bid, value, masked) = best?;
    let mut bids = vec![None; bets.len()];
    order[..masked].iter().for_each(|&(_, artifact)| bids[artifact] = Some(bid));
    Some((bids, value))
}

/// True if of two bets, on malicious and on benign, the first is worth as much as the other within the limits, or more.
pub fn better(utility: Utility, limits: &Limits, [malicious, benign]: [&Bet; 2]) -> bool {
    let worth = |bet: &Bet| best_common(utility, limits, &[bet]).map_or(0.0, |(_, gain)| gain.max(0.0));
    worth(malicious) >= worth(benign)
}

/// The stake of most expected profit against known pools, before any limit: `sqrt(p S W / q) - W` if `p S > q W`.
///
/// `price` is what a locked NCT costs. With certainty of winning beside others, more is always better: infinity.
pub fn unlimited(p: f64, prize: f64, winners: f64, price: f64) -> f64 {
    let q = 1.0 - p + price;
    if p * prize <= q * winners {
        0.0
    } else if q > 0.0 {
        (p * prize * winners / q).sqrt() - winners
    } else if winners > 0.0 {
        f64::INFINITY
    } else {
        0.0
    }
}

/// What that stake is worth, before the fee: `(sqrt(p S) - sqrt(q W))²`, or nothing.
pub fn unlimited_value(p: f64, prize: f64, winners: f64, price: f64) -> f64 {
    let edge = (p * prize).sqrt() - ((1.0 - p + price) * winners).sqrt();
    edge.max(0.0) * edge.max(0.0)
}

/// The stake that maximises the expected logarithm of the wealth against known pools, before any limit; `wealth` is what is
/// left after the fee.
pub fn kelly(p: f64, prize: f64, winners: f64, wealth: f64) -> f64 {
    let q = 1.0 - p;
    let (a2, a1) = (q * (wealth + prize), q * winners * (2.0 * wealth + prize) + p * prize * winners);
    let a0 = wealth * winners * (q * winners - p * prize);
    if p * prize <= q * winners || a1 <= 0.0 {
        return 0.0;
    }
    -2.0 * a0 / (a1 + (a1 * a1 - 4.0 * a2 * a0).sqrt())
}

/// The probability from which on the best stake pays the fee; `None` if not even certainty does.
pub fn entry_probability(prize: f64, winners: f64, fee: f64) -> Option<f64> {
    let reach = fee / (prize + winners);
    if !(0.0..=1.0).contains(&reach) || prize < fee {
        return None;
    }
    let sine = libm::sin(libm::atan((winners / prize).sqrt()) + libm::asin(reach.sqrt()));
    Some(sine * sine)
}

/// The probability from which on that bid pays the fee; beyond 1, not even certainty does.
pub fn entry_probability_at(bid: f64, prize: f64, winners: f64, fee: f64) -> f64 {
    (bid + fee) * (winners + bid) / (bid * (prize + winners + bid))
}

/// Expected profit of a bid against known pools, and its variance.
pub fn moments(p: f64, prize: f64, winners: f64, fee: f64, bid: f64) -> (f64, f64) {
    let won = prize * bid / (winners + bid);
    (p * won - (1.0 - p) * bid - fee, p * (1.0 - p) * (won + bid) * (won + bid))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{found} for {expected}");
    }

    #[test]
    fn the_published_examples_hold() {
        near(unlimited(0.8, 3.0, 2.0, 0.0), 2.898_979_485_566_356);
        near(unlimited_value(0.8, 3.0, 2.0, 0.0), 0.840_408_205_773_457_8);
        near(kelly(0.8, 3.0, 2.0, 10.0), 2.065_121_875_712_686);
        assert!((entry_probability(1.0, 1.0, 0.03125).unwrap() - 0.62402).abs() < 1e-5);
    }

    #[test]
    fn bisection_finds_what_closed_forms_know() {
        let limits = Limits { least: 1e-6, most: 1e6, fee: 0.0 };
        for (p, prize, winners) in [(0.8, 3.0, 2.0), (0.55, 9.0, 0.3), (0.99, 2.0, 7.0)] {
            let bet = Bet::known(p, prize, winners);
            let (bid, value) = single(Utility::Profit { price: 0.0 }, &limits, &bet).unwrap();
            assert!(
                (bid - unlimited(p, prize, winners, 0.0)).abs() < 1e-7 && (value - unlimited_value(p, prize, winners, 0.0)).abs() < 1e-9
            );
            let (bid, _) = single(Utility::Log { wealth: 20.0 }, &limits, &bet).unwrap();
            assert!((bid - kelly(p, prize, winners, 20.0)).abs() < 1e-7, "{bid}");
        }
    }

    #[test]
    fn a_crossing_is_found_where_it_is_and_in_few_steps() {
        let steps = std::cell::Cell::new(0);
        let tame: [(&dyn Fn(f64) -> f64, f64); 4] = [
            (&|x| 0.3 - x, 0.3),
            (&|x| 2.0 / ((1.0 + x) * (1.0 + x)) - 1.0, 2.0_f64.sqrt() - 1.0),
            (&|x| 1.0 / x - 1.0 / (1.0 - x), 0.5),
            (&|x| if x < 0.7 { 1.0 } else { -1e-9 }, 0.7),
        ];
        for (function, expected) in tame {
            steps.set(0);
            let found = crossing(1e-3, 1.0, |x| {
                steps.set(steps.get() + 1);
                function(x)
            });
            assert!((found - expected).abs() < 1e-13, "{found} for {expected}");
            assert!(steps.get() <= 50, "{} steps", steps.get());
        }
        steps.set(0);
        crossing(0.0625, 1.0, |x| {
            steps.set(steps.get() + 1);
            0.8 * 3.0 * 0.2 / ((0.2 + x) * (0.2 + x)) - 0.6
        });
        assert!(steps.get() <= 14, "{} steps", steps.get());
        assert_eq!((crossing(0.1, 1.0, |_| 1.0), crossing(0.1, 1.0, |_| -1.0), crossing(0.1, 0.05, |_| 1.0)), (1.0, 0.1, 0.05));
        let ruin = crossing(0.0, 1.0, |x| if x < 1.0 { 0.5 } else { f64::NEG_INFINITY });
        assert!((ruin - 1.0).abs() < 1e-13, "{ruin}");
    }

    #[test]
    fn limits_bind_and_nothing_is_staked_at_a_loss() {
        let limits = Limits { least: 0.0625, most: 1.0, fee: 0.03125 };
        let profit = Utility::Profit { price: 0.0 };
        let bid = |p, prize, winners| single(profit, &limits, &Bet::known(p, prize, winners)).map(|(bid, _)| bid);
        assert_eq!(bid(0.8, 3.0, 2.0), Some(1.0));
        // Alone, the least bid takes all; certain of winning, the most takes most.
        assert_eq!((bid(0.9, 2.0, 0.0), bid(1.0, 2.0, 5.0)), (Some(0.0625), Some(1.0)));
        // The least bid never pays where W >= 2 S - 1/16.
        assert_eq!((bid(0.5, 1.0, 3.0), single(profit, &Limits { most: 0.05, ..limits }, &Bet::known(0.9, 2.0, 1.0))), (None, None));
        assert!(single(Utility::Log { wealth: 0.03 }, &limits, &Bet::known(0.9, 2.0, 1.0)).is_none());
    }
}
