//! Two markets side by side: the run, played again, and the same market with hindsight in the engine's place.
//!
//! Both are played block by block, and hindsight's only as far as the run's has come, so neither has to be remembered.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Result;
use market::{
    block::BlockNumber,
    bounty::Assertion,
    nct::{Nct, NctDelta},
    rejection::Rejection,
    ruleset::RuleSet,
    settlement::{self, Fees, Others},
};
use replay::{
    plan::Setup,
    world::{Blind, ClosedBounty, Decision, NoJournal, Observer, Played, Seat, World},
};

use super::{
    capital::Recorder,
    case::{Case, Stand},
    cause::Cause,
    tally::Tally,
    what_if::{Factor, WhatIf},
};
use crate::execute::{self, Broken};

/// The oracle that makes the most of each bounty.
pub const HINDSIGHT: &str = "oracle/hindsight";
/// Its wallet: more than it can ever stake.
const AMPLE: Nct = Nct::whole(1_000_000_000_000);

/// What playing both came to.
#[derive(Debug)]
pub struct Watched {
    /// The run.
    pub played: Played,
    /// Why it earned less than it could have.
    pub tally: Tally,
    /// What other stakes would have earned.
    pub what_if: WhatIf,
    /// What it had locked, and when.
    pub capital: Recorder,
    /// Everything that the engine staked.
    pub staked: Nct,
    /// Bounties on which it lost Nectar.
    pub losses: u64,
    /// Bounties that cost it something because it could not pay.
    pub unfunded: u64,
}

/// Plays both, and settles every pot with other stakes; nothing if that was interrupted. `progress` hears of the run's bounties
/// that are over.
///
/// # Errors
///
/// If the corpus cannot be read on, or an invariant is [`Broken`].
pub fn watch(setup: &Arc<Setup>, factors: &[Factor], interrupted: &AtomicBool, progress: &(dyn Fn(u64) + Sync)) -> Result<Option<Watched>> {
    let mut watcher = Watcher {
        rules: &setup.rules,
        fees: Fees { bounty: setup.rules.bounty_fee, assertion: setup.rules.assertion_fee },
        hindsight: Hindsight::new(setup, interrupted)?,
        tally: Tally::default(),
        what_if: WhatIf::new(factors),
        capital: Recorder::default(),
        staked: Nct::ZERO,
        losses: 0,
        unfunded: 0,
        failed: None,
    };
    let strategy = &setup.scenario.engine.strategy;
    let played = execute::play::<std::io::Sink>(setup, strategy, &mut watcher, None::<&mut NoJournal>, interrupted, progress)?;
    let Watcher { mut hindsight, mut tally, what_if, capital, staked, losses, unfunded, failed, .. } = watcher;
    if let Some(error) = failed {
        return Err(error);
    }
    // Bounties that only hindsight's market had at its end.
    while let Some(Closed { profit, .. }) = hindsight.next()? {
        tally.add_foreign(profit);
    }
    if !played.complete || interrupted.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let most = hindsight.finish()?;
    for (what, sum, balance) in [("the run", tally.profit, played.engine), ("hindsight", tally.most, most)] {
        if sum != balance {
            return Err(Broken(format!("the bounties of {what} add up to {sum}, but its balance changed by {balance}")).into());
        }
    }
    let explained = super::tally::total(&tally.sums);
    if tally.profit + explained != tally.most {
        let (profit, most) = (tally.profit, tally.most);
        return Err(Broken(format!("the steps from {profit} to {most} add up to {explained}")).into());
    }
    Ok(Some(Watched { played, tally, what_if, capital, staked, losses, unfunded }))
}

/// What hindsight earns with the run's own scans and wallet; nothing if that was interrupted.
///
/// # Errors
///
/// See [`execute::play`].
pub fn limited(setup: &Arc<Setup>, interrupted: &AtomicBool, progress: &(dyn Fn(u64) + Sync)) -> Result<Option<NctDelta>> {
    let played = execute::play::<std::io::Sink>(setup, HINDSIGHT, &mut Blind, None::<&mut NoJournal>, interrupted, progress)?;
    Ok(played.complete.then_some(played.engine))
}

/// The market as hindsight meets it: the same, but it scans in no time and its wallet is never empty, so that what is left
/// of the difference is told apart.
fn ideal(setup: &Setup) -> Result<Setup> {
    let mut scenario = setup.scenario.clone();
    scenario.engine.strategy = HINDSIGHT.to_owned();
    (scenario.engine.scan.times, scenario.engine.scan.milliseconds) = (engine::config::ScanTimes::Modelled, 0);
    scenario.wallets.engine = AMPLE;
    Ok(setup.under(scenario, "".as_ref())?)
}

/// A bounty that is over in hindsight's market.
#[derive(Debug)]
struct Closed {
    number: u64,
    stand: Option<Stand>,
    profit: NctDelta,
}

/// Hindsight's market, as far as it was played, and the bounties that were not asked for yet.
struct Hindsight<'a> {
    world: World,
    closed: Queue,
    over: bool,
    interrupted: &'a AtomicBool,
}

#[derive(Default)]
struct Queue(VecDeque<Closed>);

impl Observer for Queue {
    fn closed(&mut self, closed: &ClosedBounty<'_>) {
        let stand = own(closed).map(|assertion| Stand::of(assertion, closed.verdicts));
        self.0.push_back(Closed { number: closed.plan.number, stand, profit: closed.profit() });
    }
}

impl Hindsight<'_> {
    fn new<'a>(setup: &Setup, interrupted: &'a AtomicBool) -> Result<Hindsight<'a>> {
        let world = World::new(Arc::new(ideal(setup)?), Seat::Engine(HINDSIGHT), None, false)?;
        Ok(Hindsight { world, closed: Queue::default(), over: false, interrupted })
    }

    /// The next bounty that is over; nothing at the end, or if it was interrupted.
    fn next(&mut self) -> Result<Option<Closed>> {
        while self.closed.0.is_empty() && !self.over {
            let interrupted = self.interrupted;
            let go_on = match self.world.next() {
                Some(now) => {
                    self.world.mine(now, &mut self.closed, &mut |_| !interrupted.load(Ordering::Relaxed)).map_err(execute::play_error)?
                }
                None => false,
            };
            self.over = !go_on;
        }
        Ok(self.closed.0.pop_front())
    }

    /// What it earned in all.
    fn finish(self) -> Result<NctDelta> {
        Ok(self.world.finish(true).map_err(execute::play_error)?.engine)
    }
}

/// The engine's assertion, if it made one.
fn own<'a>(closed: &ClosedBounty<'a>) -> Option<&'a Assertion> {
    match closed.engine {
        Decision::Asserted(index) => Some(&closed.bounty.assertions[index as usize]),
        Decision::Abstained(_) | Decision::Refused(_) => None,
    }
}

struct Watcher<'a> {
    rules: &'a RuleSet,
    fees: Fees,
    hindsight: Hindsight<'a>,
    tally: Tally,
    what_if: WhatIf,
    capital: Recorder,
    staked: Nct,
    losses: u64,
    unfunded: u64,
    /// The first error; an observer cannot answer with one.
    failed: Option<anyhow::Error>,
}

impl Watcher<'_> {
    fn keep(&mut self, closed: &ClosedBounty<'_>) -> Result<()> {
        let number = closed.plan.number;
        let best = loop {
            match self.hindsight.next()? {
                Some(earlier) if earlier.number < number => self.tally.add_foreign(earlier.profit),
                Some(other) if other.number > number => {
                    self.hindsight.closed.0.push_front(other);
                    break None;
                }
                other => break other,
            }
        };
        let unsettled = |rejection: Rejection| Broken(format!("bounty {number} cannot be settled with another stake: {rejection}"));
        let mut others: Vec<Assertion> = closed.bounty.assertions.clone();
        if let Decision::Asserted(index) = closed.engine {
            others.remove(index as usize);
        }
        let bounty = settlement::ClosedBounty { assertions: &others, ..closed.bounty.closed(self.fees) };
        let mut stakes = Vec::with_capacity(closed.bounty.artifacts);
        Others::stakes(self.rules, &bounty, &mut stakes).map_err(unsettled)?;
        let others = Others {
            amount: closed.bounty.amount,
            fees: self.fees,
            consensus: closed.consensus,
            assertions: others.len() as u64,
            stakes: &stakes,
        };
        let (assertion, profit) = (own(closed), closed.profit());
        if let Some(assertion) = assertion {
            let again = others.settle(self.rules, assertion).map_err(unsettled)?.profit();
            if again != profit {
                return Err(Broken(format!("bounty {number} brought {profit}, and settled anew it brings {again}")).into());
            }
            let staked = assertion.staked().and_then(|staked| self.staked.checked_add(staked));
            self.staked = staked.expect("a sum within the supply");
            self.what_if.add(self.rules, &others, assertion).map_err(unsettled)?;
        }
        let stand = assertion.map(|assertion| Stand::of(assertion, closed.verdicts));
        let case = Case {
            rules: self.rules,
            others,
            labels: closed.plan.labels,
            answers: &closed.plan.results,
            verdicts: closed.verdicts,
            decision: closed.engine,
            free: closed.free,
            own: stand.as_ref(),
            profit,
            best: best.as_ref().and_then(|best| best.stand.as_ref()),
        };
        let (most, steps) = match &best {
            Some(best) => (best.profit, case.steps(best.profit).map_err(unsettled)?),
            // Nobody could pay it there.
            None => (
                NctDelta::ZERO,
                [(Cause::Others, NctDelta::ZERO - profit)].into_iter().filter(|(_, cost)| *cost != NctDelta::ZERO).collect(),
            ),
        };
        self.unfunded += u64::from(steps.iter().any(|(cause, _)| *cause == Cause::Unfunded));
        self.tally.add(closed, most, steps);
        self.capital.closed(closed);
        self.losses += u64::from(profit.is_negative());
        Ok(())
    }
}

impl Observer for Watcher<'_> {
    fn locked(&mut self, now: BlockNumber, locked: Nct) {
        self.capital.locked(now, locked);
    }

    fn closed(&mut self, closed: &ClosedBounty<'_>) {
        if self.failed.is_none() && !self.hindsight.interrupted.load(Ordering::Relaxed) {
            self.failed = self.keep(closed).err();
        }
    }
}
