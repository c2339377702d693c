//! Do the statistics keep what they promise? Simulates data whose truth is known, many times over, and holds each method's
//! error rate against its band: `cargo run --release -p benches --bin validate-statistics [-- --simulations 1000]`.
//!
//! Seeds are fixed and resamples as many as in a report, so the table is the same on every machine. Bands are for 1,000
//! simulations; fewer leave more to luck. Exit code 1 if a figure lies outside its band, 2 if the command is not understood.

use std::{env, process::ExitCode, time::Instant};

use engine::chance::{Key, Stream};
use rayon::prelude::*;
use sim::statistics::{
    bootstrap::{Plan, Resampled},
    many::{Scale, Strategies},
    overfitting::{Score, overfitting},
    paired::{FLIPS, sign_flip},
    planning::Sequence,
    series,
};

/// Bounties in each simulated comparison.
const BOUNTIES: usize = 500;
/// Level of every test; intervals cover the rest.
const ALPHA: f64 = 0.05;
/// Bounties after which a running comparison gives up.
const HORIZON: u64 = 5_000;
/// Bounties between two naive looks.
const PEEK: u64 = 50;

/// One promise.
struct Promise {
    name: &'static str,
    /// The mean of this over simulations is the figure; each has its own luck.
    simulate: fn(Stream) -> f64,
    /// Where the figure must lie, ends included.
    band: (f64, f64),
}

const PROMISES: [Promise; 12] = [
    Promise { name: "sign flips, exchangeable differences: false rejections", simulate: |c| flips(c, 0.0, 1), band: (0.03, 0.07) },
    Promise { name: "sign flips, AR(.5), blocks of 10: false rejections", simulate: |c| flips(c, 0.5, 10), band: (0.0, 0.08) },
    Promise { name: "Romano-Wolf, 10 nulls, iid: any false rejection", simulate: |c| romano_wolf(c, 0.0), band: (0.03, 0.085) },
    Promise { name: "Romano-Wolf, 10 nulls, AR(.5): any false rejection", simulate: |c| romano_wolf(c, 0.5), band: (0.03, 0.085) },
    Promise { name: "studentized 95 % interval, iid: coverage", simulate: |c| studentized(c, 0.0), band: (0.93, 1.0) },
    Promise { name: "studentized 95 % interval, AR(.5): coverage", simulate: |c| studentized(c, 0.5), band: (0.93, 1.0) },
    Promise { name: "interval for iid data on AR(.5): coverage (the test bites)", simulate: plain_interval, band: (0.70, 0.80) },
    Promise { name: "90 % model confidence set, iid: keeps all 4 best of 10", simulate: |c| confidence_set(c, 0.0), band: (0.87, 1.0) },
    Promise { name: "90 % model confidence set, AR(.5): keeps all 4 best of 10", simulate: |c| confidence_set(c, 0.5), band: (0.87, 1.0) },
    Promise { name: "overfitting of noise, 10 trials, 16 blocks: probability", simulate: noise_overfitted, band: (0.45, 0.55) },
    Promise { name: "confidence sequence, a look at every bounty: false stops", simulate: |c| stopped(c).0, band: (0.0, 0.06) },
    Promise { name: "naive test every 50 bounties: false stops (the test bites)", simulate: |c| stopped(c).1, band: (0.25, 1.0) },
];

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let simulations = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Some(1_000),
        ["--simulations", count] => count.parse().ok().filter(|&count: &u64| count > 0),
        _ => None,
    };
    let Some(simulations) = simulations else {
        eprintln!("error: only `--simulations COUNT` is understood, a whole number above 0");
        return ExitCode::from(2);
    };
    println!("| method | figure | band | |\n| --- | ---: | ---: | --- |");
    let mut kept = true;
    for (number, promise) in (0..).zip(&PROMISES) {
        let start = Instant::now();
        let luck = Key::root(2026).with(number);
        let outcomes: Vec<f64> =
            (0..simulations).into_par_iter().map(|simulation| (promise.simulate)(luck.with(simulation).stream())).collect();
        let figure = series::mean(&outcomes);
        let within = promise.band.0 <= figure && figure <= promise.band.1;
        kept &= within;
        let verdict = if within { "within" } else { "OUTSIDE" };
        println!("| {} | {figure:.3} | {} .. {} | {verdict} |", promise.name, promise.band.0, promise.band.1);
        eprintln!("{} of {}: {:.1} s", number + 1, PROMISES.len(), start.elapsed().as_secs_f64());
    }
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Two independent draws of the standard normal distribution (Box & Muller 1958).
fn normals(chance: &mut Stream) -> [f64; 2] {
    let (far, turn) = ((-2.0 * libm::log(1.0 - chance.uniform())).sqrt(), std::f64::consts::TAU * chance.uniform());
    [far * libm::cos(turn), far * libm::sin(turn)]
}

/// A stationary series of mean 0 and variance 1 in which this part of each value is remembered by the next.
fn autoregressive(chance: &mut Stream, memory: f64, n: usize) -> Vec<f64> {
    let (mut last, fresh) = (normals(chance)[0], (1.0 - memory * memory).sqrt());
    let next = |_| {
        last = memory * last + fresh * normals(chance)[0];
        last
    };
    (0..n).map(next).collect()
}

fn share(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn flips(mut chance: Stream, memory: f64, block: usize) -> f64 {
    let differences = autoregressive(&mut chance, memory, BOUNTIES);
    share(sign_flip(&differences, block, FLIPS, chance.bits()).expect("enough blocks") <= ALPHA)
}

fn plan(columns: &[&[f64]], chance: &mut Stream) -> Plan {
    Plan::of(columns.iter().copied(), chance.bits())
}

fn romano_wolf(mut chance: Stream, memory: f64) -> f64 {
    let columns: [Vec<f64>; 10] = std::array::from_fn(|_| autoregressive(&mut chance, memory, BOUNTIES));
    let columns = columns.each_ref().map(Vec::as_slice);
    let strategies = Strategies::new(&columns, &plan(&columns, &mut chance)).expect("columns of one length");
    share(strategies.better(Scale::Resampled).iter().any(|&p| p <= ALPHA))
}

fn studentized(mut chance: Stream, memory: f64) -> f64 {
    let profits = autoregressive(&mut chance, memory, BOUNTIES);
    let resampled = Resampled::new(&[&profits], &plan(&[&profits], &mut chance)).expect("enough bounties");
    let interval = resampled.studentized(0, 1.0 - ALPHA);
    share(interval.low <= 0.0 && 0.0 <= interval.high)
}

fn plain_interval(mut chance: Stream) -> f64 {
    let profits = autoregressive(&mut chance, 0.5, BOUNTIES);
    let error = series::deviation(&profits) / (BOUNTIES as f64).sqrt();
    share((series::mean(&profits) / error).abs() <= 1.96)
}

fn confidence_set(mut chance: Stream, memory: f64) -> f64 {
    // Four are equally good, six are worse by up to .3 standard deviations.
    let columns: [Vec<f64>; 10] = std::array::from_fn(|number| {
        let worse = 0.05 * number.saturating_sub(3) as f64;
        autoregressive(&mut chance, memory, BOUNTIES).iter().map(|value| value - worse).collect()
    });
    let columns = columns.each_ref().map(Vec::as_slice);
    let strategies = Strategies::new(&columns, &plan(&columns, &mut chance)).expect("columns of one length");
    share(strategies.among_best()[..4].iter().all(|&p| p >= 0.1))
}

fn noise_overfitted(mut chance: Stream) -> f64 {
    let trials: [Vec<f64>; 10] = std::array::from_fn(|_| autoregressive(&mut chance, 0.0, BOUNTIES));
    overfitting(&trials.each_ref().map(Vec::as_slice), 16, Score::Sharpe).expect("enough bounties").probability
}

/// Whether a difference is found where there is none: by the confidence sequence, and by looking at a z-test again and again.
fn stopped(mut chance: Stream) -> (f64, f64) {
    let (mut sequence, mut squares) = (Sequence::new(ALPHA, 1_000.0), 0.0);
    let (mut honest, mut naive) = (false, false);
    for t in 1..=HORIZON {
        let value = normals(&mut chance)[0];
        sequence.add(value);
        squares += value * value;
        honest |= sequence.decided();
        if t % PEEK == 0 {
            let variance = squares / t as f64 - sequence.mean() * sequence.mean();
            naive |= sequence.mean().abs() > 1.96 * (variance / t as f64).sqrt();
        }
    }
    (share(honest), share(naive))
}
