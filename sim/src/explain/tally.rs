//! What all bounties together come to, cause by cause: sums in wei, the costliest bounties, types and families.

use std::{cmp::Reverse, collections::BTreeMap};

use datasets::{NO_TYPE, OTHER_TYPES};
use market::{id::Guid, nct::NctDelta};
use replay::{
    plan::BountyPlan,
    world::{ClosedBounty, Decision},
};

use super::{case::Steps, cause::Cause};

/// Costliest bounties that are kept.
const COSTLIEST: usize = 10;
/// Names of types or families that are told apart; further ones are counted together.
const NAMES: usize = 1_000;

/// Sums of one cause.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Sum {
    /// What it cost, net of what it gained.
    pub cost: NctDelta,
    /// Bounties on which it cost or gained anything.
    pub bounties: u64,
}

/// Sums by cause, in the order of [`Cause::ALL`].
pub type Sums = [Sum; Cause::ALL.len()];

/// A bounty that cost much.
#[derive(Clone, PartialEq, Debug)]
pub struct Costly {
    /// Its number in the run, from 0.
    pub number: u64,
    /// Its guid.
    pub guid: Guid,
    /// Block of posting.
    pub posted: u64,
    /// Number of artifacts.
    pub artifacts: usize,
    /// SHA-256 of the first of them, and its type and family.
    pub sha256: String,
    /// See `sha256`.
    pub file_type: Option<String>,
    /// See `sha256`.
    pub family: Option<String>,
    /// What the engine did.
    pub decision: Decision,
    /// What it earned.
    pub profit: NctDelta,
    /// What hindsight earned.
    pub most: NctDelta,
    /// How one leads to the other.
    pub steps: Steps,
}

impl Costly {
    /// What the engine did not earn.
    pub fn cost(&self) -> NctDelta {
        self.most - self.profit
    }
}

/// Everything that is added up while the market is played.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Tally {
    /// What the engine earned.
    pub profit: NctDelta,
    /// What hindsight earned.
    pub most: NctDelta,
    /// Why it is more.
    pub sums: Sums,
    /// The costliest first; of equals the earlier one.
    pub costliest: Vec<Costly>,
    /// By type of a bounty's first artifact.
    pub types: BTreeMap<String, Sums>,
    /// By its family.
    pub families: BTreeMap<String, Sums>,
}

impl Tally {
    /// Adds a bounty that the engine met.
    pub fn add(&mut self, closed: &ClosedBounty<'_>, most: NctDelta, steps: Steps) {
        let (plan, profit) = (closed.plan, closed.profit());
        self.profit += profit;
        self.most += most;
        let mut costs = [NctDelta::ZERO; Cause::ALL.len()];
        for &(cause, cost) in &steps {
            costs[cause as usize] += cost;
        }
        add(&mut self.sums, &costs);
        if steps.is_empty() {
            return;
        }
        let first = &plan.artifacts[0];
        add(named(&mut self.types, first.file_type.as_deref().unwrap_or(NO_TYPE)), &costs);
        if let Some(family) = &first.family {
            add(named(&mut self.families, family), &costs);
        }
        self.keep(plan, closed.engine, profit, most, steps);
    }

    /// Adds a bounty that was posted in hindsight's market only.
    pub fn add_foreign(&mut self, most: NctDelta) {
        self.most += most;
        let mut costs = [NctDelta::ZERO; Cause::ALL.len()];
        costs[Cause::Others as usize] = most;
        add(&mut self.sums, &costs);
    }

    fn keep(&mut self, plan: &BountyPlan, decision: Decision, profit: NctDelta, most: NctDelta, steps: Steps) {
        let cost = most - profit;
        let place = self.costliest.partition_point(|kept| kept.cost() >= cost);
        if place == COSTLIEST || cost <= NctDelta::ZERO {
            return;
        }
        let first = &plan.artifacts[0];
        let costly = Costly {
            number: plan.number,
            guid: plan.guid,
            posted: plan.posted.0,
            artifacts: plan.artifacts.len(),
            sha256: first.id.to_string(),
            file_type: first.file_type.as_deref().map(str::to_owned),
            family: first.family.as_deref().map(str::to_owned),
            decision,
            profit,
            most,
            steps,
        };
        self.costliest.insert(place, costly);
        self.costliest.truncate(COSTLIEST);
    }
}

fn add(sums: &mut Sums, costs: &[NctDelta; Cause::ALL.len()]) {
    for (sum, &cost) in sums.iter_mut().zip(costs).filter(|(_, cost)| **cost != NctDelta::ZERO) {
        sum.cost += cost;
        sum.bounties += 1;
    }
}

/// The sums of that name.
fn named<'a>(all: &'a mut BTreeMap<String, Sums>, name: &str) -> &'a mut Sums {
    let name = if all.len() < NAMES || all.contains_key(name) { name } else { OTHER_TYPES };
    // Most names were met before.
    if !all.contains_key(name) {
        all.insert(name.to_owned(), Sums::default());
    }
    all.get_mut(name).expect("it is in there now")
}

/// What all causes together come to.
pub fn total(sums: &Sums) -> NctDelta {
    sums.iter().map(|sum| sum.cost).sum()
}

/// Names and sums, those that cost most first, of equals in order of names.
pub fn by_cost(all: &BTreeMap<String, Sums>) -> Vec<(&str, &Sums)> {
    let mut all: Vec<(&str, &Sums)> = all.iter().map(|(name, sums)| (name.as_str(), sums)).collect();
    all.sort_by_key(|(_, sums)| Reverse(total(sums)));
    all
}
