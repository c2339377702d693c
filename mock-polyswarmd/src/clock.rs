//! When blocks are mined.

use std::{str::FromStr, sync::Arc, time::Duration};

use replay::world::PlayError;

use crate::{node::Readiness, server::Server};

/// How time passes, as in anvil.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// A block every so often.
    Every(Duration),
    /// A block when somebody asks for one.
    Manual,
    /// A block as soon as every participant has acted or passed, or after the timeout: also when nobody takes part, and when
    /// the corpus is through and nobody acts.
    Lockstep {
        /// How long a silent participant is waited for.
        timeout: Duration,
    },
}

/// What a user writes for a clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BlockTime {
    /// `1s`, `20ms`.
    Every(Duration),
    /// `manual`.
    Manual,
    /// `lockstep`.
    Lockstep,
}

impl FromStr for BlockTime {
    type Err = String;

    fn from_str(text: &str) -> Result<BlockTime, String> {
        match text {
            "manual" => Ok(BlockTime::Manual),
            "lockstep" => Ok(BlockTime::Lockstep),
            _ => duration(text).map(BlockTime::Every).map_err(|error| format!("{error}, `manual` or `lockstep`")),
        }
    }
}

/// Reads a time such as `20ms`, `1s` or `2m`.
///
/// # Errors
///
/// What is expected.
pub fn duration(text: &str) -> Result<Duration, String> {
    let expected = || "expected a time from 1ms to 1h such as `20ms` or `1s`".to_owned();
    let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| expected())?;
    let seconds = match unit {
        "ms" => number / 1000.0,
        "s" => number,
        "m" => number * 60.0,
        _ => return Err(expected()),
    };
    if !(0.001..=3600.0).contains(&seconds) {
        return Err(expected());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// Lets time pass until the server stops, or, if `until_done`, until the corpus is through.
///
/// The clock starts when `participants` accounts have been seen and as many WebSockets are open to the side chain.
pub async fn run(server: Arc<Server>, clock: Clock, participants: usize, until_done: bool) {
    server.set_clock(clock);
    tokio::select! {
        () = server.stopped() => {}
        () = tick(&server, clock, participants, until_done) => {}
    }
}

async fn tick(server: &Arc<Server>, clock: Clock, participants: usize, until_done: bool) {
    let mut told = false;
    loop {
        let came = server.node().readiness().came;
        if came >= participants && server.side_listeners() >= participants {
            break;
        }
        if !told {
            tracing::info!(participants, "waiting for participants to come");
            told = true;
        }
        server.activity.notified().await;
    }
    tracing::info!(participants, "the clock starts");
    match clock {
        Clock::Manual => {
            let mut blocks = server.blocks();
            while !(until_done && server.node().is_over()) {
                if blocks.changed().await.is_err() {
                    return;
                }
            }
        }
        Clock::Every(period) => {
            let mut ticks = tokio::time::interval(period);
            // After a long block the next ones come at their usual distance.
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                if until_done && server.node().is_over() || !mine(server).await {
                    break;
                }
            }
        }
        Clock::Lockstep { timeout } => {
            let mut alone = false;
            while !(until_done && server.node().is_over()) {
                let all_ready = async {
                    loop {
                        let acted = server.activity.notified();
                        if may_go_on(server, participants, until_done) {
                            break;
                        }
                        acted.await;
                    }
                };
                if tokio::time::timeout(timeout, all_ready).await.is_err() {
                    alone = wait_no_longer(server, alone);
                }
                if !mine(server).await {
                    break;
                }
            }
        }
    }
    if until_done {
        server.stop();
    }
}

/// True if a lockstep need not wait: everybody who takes part is done with the current block, and somebody does.
fn may_go_on(server: &Server, participants: usize, until_done: bool) -> bool {
    let node = server.node();
    let Readiness { active, gone, ready, .. } = node.readiness();
    // Nobody was asked for, nobody came, and the end is wanted: there is nothing to wait for.
    let unattended = participants == 0 && until_done && gone == 0;
    !node.is_over() && (active > 0 || unattended) && ready == active && active + gone >= participants
}

/// Says whom the clock goes on without; answers with whether that is nobody, as it was `alone` before.
fn wait_no_longer(server: &Server, alone: bool) -> bool {
    let mut node = server.node();
    if node.is_over() {
        return alone;
    }
    for account in node.went_on(server.side_listeners()) {
        tracing::warn!(%account, "neither acted nor passed in time: mined without it (a client that cannot pass costs the timeout)");
    }
    let nobody = node.readiness().active == 0;
    if nobody && !alone {
        tracing::warn!("mined after the timeout: nobody takes part (our own engine does with --lockstep)");
    }
    nobody
}

/// Mines a block beside the threads that answer requests.
pub async fn mine(server: &Arc<Server>) -> bool {
    let miner = server.clone();
    tokio::task::spawn_blocking(move || miner.mine()).await.unwrap_or_else(|_| {
        server.break_off(PlayError::Invariant("a panic while a block was mined".to_owned()));
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_units() {
        for (text, milliseconds) in [("20ms", 20), ("1s", 1000), ("0.5s", 500), ("2m", 120_000), ("1ms", 1)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "s", "20", "0s", "1h", "-1s", "1e3s", "nans", "9999999999s", "1.2.3s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn clocks_are_read_by_name() {
        assert_eq!("manual".parse(), Ok(BlockTime::Manual));
        assert_eq!("lockstep".parse(), Ok(BlockTime::Lockstep));
        assert_eq!("20ms".parse(), Ok(BlockTime::Every(Duration::from_millis(20))));
        assert!("lock".parse::<BlockTime>().unwrap_err().contains("`manual` or `lockstep`"));
    }
}
