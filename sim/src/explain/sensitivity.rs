//! How much a profit hangs on what nobody knows for sure: the same scenario and seed with one thing changed, played again.
//!
//! Chance has addresses, so what is not changed stays as it was, draw for draw.

use std::sync::{Arc, atomic::AtomicBool};

use anyhow::Result;
use market::{
    nct::{Nct, NctDelta},
    ruleset::RuleSet,
};
use rayon::prelude::*;
use replay::{
    plan::Setup,
    scenario::{RivalConfig, RivalModel, Scenario},
    world::{Blind, NoJournal},
};

use crate::execute;

/// One thing that is changed; an answer says why there is nothing to change.
type Make = fn(&Setup, &mut Scenario) -> Result<(), String>;

/// What is changed, one at a time.
const CHANGES: [(&str, Make); 12] = [
    ("rivals' errors x 0.5", |_, scenario| errors(scenario, 0.5)),
    ("rivals' errors x 2", |_, scenario| errors(scenario, 2.0)),
    ("rivals' correlation 0", |setup, scenario| correlation(setup, scenario, 0.0)),
    ("rivals' correlation 0.7", |setup, scenario| correlation(setup, scenario, 0.7)),
    ("half as many rivals", |setup, scenario| number(setup, scenario, |number| number.div_ceil(2))),
    ("twice as many rivals", |setup, scenario| number(setup, scenario, |number| number.saturating_mul(2))),
    ("arbiters' error 0", |_, scenario| arbiters(scenario, 0.0)),
    ("arbiters' error 5 %", |_, scenario| arbiters(scenario, 0.05)),
    ("no fees", |setup, scenario| fees(setup, scenario, |_| Some(Nct::ZERO))),
    ("fees x 2", |setup, scenario| fees(setup, scenario, |fee| fee.checked_mul(2))),
    ("greatest bid x 0.5", |setup, scenario| cap(&setup.rules, scenario, |most| Some(most / 2))),
    ("greatest bid x 2", |setup, scenario| cap(&setup.rules, scenario, |most| most.checked_mul(2))),
];

/// What came of a change.
#[derive(Clone, PartialEq, Debug)]
pub struct Changed {
    /// What was changed.
    pub what: &'static str,
    /// What the engine then earns, or why it cannot be told.
    pub profit: Result<NctDelta, String>,
}

/// Number of times that the market is played, for a progress bar.
pub const PLAYS: u64 = CHANGES.len() as u64;

/// Plays the market with each change on the pool of this thread; nothing if that was interrupted. `progress` hears of bounties
/// that are over.
///
/// # Errors
///
/// See [`execute::play`].
pub fn sensitivity(setup: &Setup, interrupted: &AtomicBool, progress: &(dyn Fn(u64) + Sync)) -> Result<Option<Vec<Changed>>> {
    let play = |(what, make): (&'static str, Make)| -> Result<Option<Changed>> {
        let mut scenario = setup.scenario.clone();
        let altered = make(setup, &mut scenario).and_then(|()| match scenario == setup.scenario {
            true => Err("it is so already".to_owned()),
            // The scenario of a run knows its files from anywhere.
            false => setup.under(scenario, "".as_ref()).map_err(|error| format!("{:#}", anyhow::Error::new(error))),
        });
        let other = match altered {
            Ok(other) => Arc::new(other),
            Err(reason) => {
                progress(setup.bounties);
                return Ok(Some(Changed { what, profit: Err(reason) }));
            }
        };
        let strategy = &other.scenario.engine.strategy;
        let played = execute::play::<std::io::Sink>(&other, strategy, &mut Blind, None::<&mut NoJournal>, interrupted, progress)?;
        Ok(played.complete.then_some(Changed { what, profit: Ok(played.engine) }))
    };
    CHANGES.into_par_iter().map(play).collect()
}

/// Changes every group of rivals that has opinions.
fn each_group(scenario: &mut Scenario, change: impl Fn(&mut RivalConfig)) -> Result<(), String> {
    let mut groups = scenario.rivals.iter_mut().filter(|group| group.model != RivalModel::None).peekable();
    if groups.peek().is_none() {
        return Err("there are no rivals with opinions".to_owned());
    }
    groups.for_each(change);
    Ok(())
}

fn errors(scenario: &mut Scenario, factor: f64) -> Result<(), String> {
    each_group(scenario, |group| group.error_factor *= factor)
}

fn correlation(setup: &Setup, scenario: &mut Scenario, correlation: f64) -> Result<(), String> {
    if scenario.rivals.is_empty() {
        return Err("there are no rivals".to_owned());
    }
    let has_factors = |number: usize, group: &RivalConfig| match group.model {
        RivalModel::TwoFactor | RivalModel::OneFactor => true,
        RivalModel::Auto => setup.population.group_is_fitted(number),
        RivalModel::Independent | RivalModel::Recorded | RivalModel::None => false,
    };
    let mut any = false;
    for (number, group) in scenario.rivals.iter_mut().enumerate() {
        if has_factors(number, group) {
            group.correlation = Some(correlation);
            any = true;
        }
    }
    if any {
        return Ok(());
    }
    Err("recorded rivals are as alike as they were; those of `rivals.0.model=two-factor` can be changed".to_owned())
}

fn number(setup: &Setup, scenario: &mut Scenario, change: fn(u32) -> u32) -> Result<(), String> {
    if scenario.rivals.is_empty() {
        return Err("there are no rivals".to_owned());
    }
    let mut any = false;
    for (number, group) in scenario.rivals.iter_mut().enumerate() {
        let size = setup.population.group_size(number) as u32;
        any |= change(size) != size;
        group.count = change(size);
        // Those who take part in a bounty become as many more or fewer.
        group.per_bounty = if group.per_bounty == 0 { 0 } else { change(group.per_bounty.min(size)) };
    }
    if any { Ok(()) } else { Err("there is one rival, and it cannot be halved".to_owned()) }
}

fn arbiters(scenario: &mut Scenario, error: f64) -> Result<(), String> {
    if scenario.arbiters.count == 0 {
        return Err("there are no arbiters".to_owned());
    }
    scenario.arbiters.error = error;
    Ok(())
}

fn fees(setup: &Setup, scenario: &mut Scenario, change: fn(Nct) -> Option<Nct>) -> Result<(), String> {
    let RuleSet { bounty_fee, assertion_fee, .. } = setup.rules;
    if change(bounty_fee) == Some(bounty_fee) && change(assertion_fee) == Some(assertion_fee) {
        return Err("there are no fees".to_owned());
    }
    (scenario.market.bounty_fee, scenario.market.assertion_fee) = (change(bounty_fee), change(assertion_fee));
    Ok(())
}

fn cap(rules: &RuleSet, scenario: &mut Scenario, change: fn(Nct) -> Option<Nct>) -> Result<(), String> {
    let most = rules.bid_maximum.ok_or("the rules know no greatest bid (`market.bid_maximum` sets one)")?;
    scenario.market.bid_maximum = change(most);
    Ok(())
}
