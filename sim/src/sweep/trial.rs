//! One trial: a point of the space, resolved; and what came of it.

use std::collections::BTreeMap;

use engine::microengine::Abstention;
use market::{block::BlockNumber, nct::Nct};
use replay::{
    follower::{Follower, OwnBounty},
    scenario::Scenario,
};
use serde::{Deserialize, Serialize};

use super::space::{BOUNTIES, Point, STRATEGY};
use crate::{
    decisions::DecisionDigest,
    score::{OwnScore, ratio},
    settings::{Change, scenario_sha256},
    statistics::overfitting::{Blocks, Sharpe},
};

/// Blocks of bounties by which the probability of overfitting is found.
pub const BLOCKS: usize = 16;

/// A point of the space in the market that it is tried in.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Its place among the points.
    pub number: u32,
    /// How often its point was chosen to go on; 0 but in a search by halves.
    pub rung: u32,
    /// What names its scenario: the first 16 digits of its SHA-256.
    pub id: String,
    /// What it changes.
    pub changes: Vec<Change>,
    /// Everything that is played, or why it cannot be.
    pub scenario: Result<Scenario, String>,
    /// Number of the first bounty that its figures are about.
    pub from: u64,
}

impl Trial {
    /// The trial of a point in its scenario.
    pub fn new(number: u32, point: &Point, scenario: anyhow::Result<Scenario>) -> Trial {
        let scenario = scenario.map_err(|error| format!("{error:#}"));
        let id = match &scenario {
            Ok(scenario) => id(scenario),
            // It has no scenario to be named by.
            Err(_) => {
                let set: Vec<String> = point.changes.iter().map(|change| format!("{}={}", change.key, change.value)).collect();
                format!("{:016x}", engine::chance::fnv1a64(&set.join("\n")))
            }
        };
        Trial { number, rung: 0, id, changes: point.changes.clone(), scenario, from: 0 }
    }

    /// What it came to, as it is kept.
    pub fn record(&self, outcome: Outcome) -> Record {
        let strategy = match &self.scenario {
            Ok(scenario) => scenario.engine.strategy.clone(),
            Err(_) => self.changes.iter().find(|change| change.key == STRATEGY).map(|change| change.text()).unwrap_or_default(),
        };
        let set = self.changes.iter().filter(|change| change.key != STRATEGY);
        let set = set.map(|change| (change.key.clone(), serde_json::to_value(&change.value).unwrap_or_default())).collect();
        Record { number: self.number, rung: self.rung, trial: self.id.clone(), strategy, set, outcome }
    }
}

/// What names a scenario among trials.
pub fn id(scenario: &Scenario) -> String {
    hex::encode(&scenario_sha256(scenario)[..8])
}

/// A line of a sweep's journal.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Place of the point.
    pub number: u32,
    /// How often the point was chosen to go on.
    pub rung: u32,
    /// The trial's name.
    pub trial: String,
    /// Its strategy.
    pub strategy: String,
    /// What else it sets.
    pub set: BTreeMap<String, serde_json::Value>,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a trial.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was played.
    Figures(Box<Figures>),
    /// It could not be, for that reason.
    Failed(String),
}

impl Record {
    /// What it sets because its point says so: not how many bounties it was allowed.
    pub fn chosen(&self) -> impl Iterator<Item = (&String, &serde_json::Value)> {
        self.set.iter().filter(|(key, _)| *key != BOUNTIES)
    }

    /// Its figures, if it has any.
    pub fn figures(&self) -> Option<&Figures> {
        match &self.outcome {
            Outcome::Figures(figures) => Some(figures),
            Outcome::Failed(_) => None,
        }
    }
}

/// The figures of a trial; all but the capital are about the bounties from its first one on.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Figures {
    /// Profit in wei.
    pub profit_wei: String,
    /// Profit in NCT.
    pub profit_nct: f64,
    /// Bounties that they are about.
    pub bounties: u64,
    /// Mean profit per bounty, in NCT.
    pub per_bounty_nct: f64,
    /// Sharpe ratio of the profits of bounties, and their shape; nothing if no two differ.
    pub sharpe: Option<Sharpe>,
    /// Bounties with a stake.
    pub asserted: u64,
    /// Artifacts with a stake, by all artifacts.
    pub coverage: Option<f64>,
    /// Of what was asserted, against the consensus.
    pub accuracy: Option<f64>,
    /// Everything staked, in NCT.
    pub staked_nct: f64,
    /// Profit by all that was staked.
    pub return_on_stake: Option<f64>,
    /// In escrow, in the mean over the whole run, in NCT.
    pub locked_mean_nct: f64,
    /// In escrow at most, in NCT.
    pub locked_peak_nct: f64,
    /// Profit by the mean in escrow; nothing if the profit is not that of the whole run.
    pub return_on_locked: Option<f64>,
    /// Deepest fall of the equity, in NCT.
    pub drawdown_nct: f64,
    /// Bounties that brought a loss.
    pub lost: u64,
    /// Bounties for which the answer came too late.
    pub late: u64,
    /// Bounties that the wallet did not cover.
    pub unfunded: u64,
    /// Assertions that the market refused.
    pub refused: u64,
    /// Sums of profits by blocks of bounties, if there are enough.
    pub blocks: Option<Blocks>,
    /// One hash of everything that the engine did and got in the run: [`DecisionDigest`].
    pub decisions_sha256: String,
}

/// Follows a trial.
#[derive(Debug)]
pub struct Watcher {
    from: u64,
    score: OwnScore,
    profits: Vec<f64>,
    decisions: DecisionDigest,
}

impl Follower for Watcher {
    fn locked(&mut self, now: BlockNumber, locked: Nct) {
        self.score.locked(now, locked);
    }

    fn closed(&mut self, own: &OwnBounty<'_>) {
        self.decisions.closed(own);
        if own.number >= self.from {
            self.profits.push(self.score.count(own).to_f64());
        }
    }
}

impl Watcher {
    /// For figures about bounties from that number on, of so many in all.
    pub fn new(from: u64, bounties: u64) -> Watcher {
        let profits = Vec::with_capacity(usize::try_from(bounties - from).unwrap_or_default().min(1 << 20));
        Watcher { from, profits, score: OwnScore::default(), decisions: DecisionDigest::default() }
    }

    /// The figures, of a run of so many blocks.
    pub fn figures(self, blocks: u64) -> Figures {
        let Watcher { from, score, profits, decisions } = self;
        let profit = score.components.profit();
        let earned = profit.to_f64();
        let by = |whole: f64| (whole > 0.0).then(|| earned / whole);
        let abstained = |reason| score.abstained.get(&reason).copied().unwrap_or(0);
        let locked = score.capital.mean(blocks);
        Figures {
            profit_wei: profit.wei_string(),
            profit_nct: earned,
            bounties: score.bounties,
            per_bounty_nct: if score.bounties == 0 { 0.0 } else { earned / score.bounties as f64 },
            sharpe: Sharpe::of(&profits),
            asserted: score.asserted,
            coverage: ratio(score.asserted_artifacts, score.artifacts),
            accuracy: score.consensus.accuracy(),
            staked_nct: score.staked.to_f64(),
            return_on_stake: by(score.staked.to_f64()),
            locked_mean_nct: locked,
            locked_peak_nct: score.capital.peak.to_f64(),
            return_on_locked: by(locked).filter(|_| from == 0),
            drawdown_nct: score.drawdown.depth.to_f64(),
            lost: score.lost,
            late: abstained(Abstention::Late),
            unfunded: abstained(Abstention::Unfunded),
            refused: score.refused,
            blocks: Blocks::of(&profits, BLOCKS).ok(),
            decisions_sha256: hex::encode(decisions.finish()),
        }
    }
}
