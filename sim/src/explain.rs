//! Why a run earned what it earned, as data: everything the report says, once, in the schema of `explain.json`.
//!
//! Wei are decimal strings, NCT are numbers, a figure that is not defined is `null`. How everything is defined is in
//! `docs/explain.md`.

pub mod cause; // why a bounty brought less
pub mod case; // one bounty, from what was done to what hindsight would have done
pub mod what_if; // other stakes on the same verdicts
pub mod tally; // all bounties together
pub mod capital; // what was locked, ruin, deposits
pub mod record; // a run directory, read back
pub mod watch; // the run and hindsight's market, side by side
pub mod sensitivity; // the same market with one thing changed

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use market::{block::BlockNumber, nct::NctDelta};
use replay::{plan::Setup, world::Decision};
use serde::{Deserialize, Serialize};

use self::{
    capital::{Deposit, Ruin, RuleOfThumb},
    cause::Cause,
    record::Record,
    sensitivity::Changed,
    tally::{Costly, Sums, Tally},
    watch::Watched,
    what_if::{Factor, Sizing},
};
use crate::{
    execute::Broken,
    exit::{Exit, OrExit as _},
    run::{CorpusFacts, Money},
    score::ratio,
    statistics::{bootstrap::Plan, rare},
};

/// Version of the schema; grows when a field changes its meaning or goes away.
pub const SCHEMA: u32 = 1;
/// Types and families that are told of.
const NAMES: usize = 20;
const SECONDS_PER_DAY: f64 = 86_400.0;

/// Why a run earned what it earned.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Explanation {
    pub schema: u32,
    pub name: ExplanationName,
    /// Command that repeats the run.
    pub command: String,
    pub warnings: Vec<String>,
    pub corpus: CorpusFacts,
    pub rules: String,
    pub engine: String,
    pub strategy: String,
    /// Bounties that were posted.
    pub bounties: u64,
    /// Those that the engine asserted on.
    pub asserted: u64,
    pub waterfall: WaterfallFacts,
    /// What other stakes would have earned.
    pub what_if: Vec<WhatIfFacts>,
    pub capital: CapitalFacts,
    /// The same market with one thing changed, where that was asked for.
    pub sensitivity: Option<Vec<ChangedFacts>>,
    pub wall: WallTime,
}

/// The run that is explained.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ExplanationName {
    /// Of the program that explains.
    pub version: String,
    /// Of the program that played the run.
    pub run_version: String,
    pub scenario_sha256: String,
    pub corpus_sha256: String,
    pub seed: u64,
}

/// From what the run earned to the most that could have been made of each bounty.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct WaterfallFacts {
    pub profit: Money,
    /// The oracle that says what could have been made.
    pub oracle: String,
    /// What it makes if it is never late and never short of Nectar.
    pub most: Money,
    /// What it makes with the run's own scans and wallet, as in `sim compare`.
    pub limited: Money,
    pub difference: Money,
    /// Add up to the difference, to the wei.
    pub steps: Vec<StepFacts>,
    /// The costliest first.
    pub costliest: Vec<CostlyFacts>,
    /// By type of a bounty's first artifact, the costliest first.
    pub types: Vec<GroupFacts>,
    /// By its family; the costliest.
    pub families: Vec<GroupFacts>,
}

/// What one cause cost.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StepFacts {
    pub cause: Cause,
    pub cost: Money,
    /// Of the difference.
    pub share: Option<f64>,
    /// Bounties on which it cost or gained anything.
    pub bounties: u64,
}

/// A bounty that cost much.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CostlyFacts {
    pub bounty: u64,
    pub guid: String,
    pub posted: u64,
    pub artifacts: usize,
    /// Of the first artifact.
    pub sha256: String,
    pub file_type: Option<String>,
    pub family: Option<String>,
    /// As in `bounties.csv`.
    pub decision: String,
    pub profit: Money,
    pub most: Money,
    pub cost: Money,
    /// Add up to the cost.
    pub steps: BTreeMap<Cause, Money>,
}

/// What bounties of one type or family cost.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GroupFacts {
    pub name: String,
    pub cost: Money,
    pub steps: BTreeMap<Cause, Money>,
}

/// What one sizing of all stakes would have earned.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct WhatIfFacts {
    /// `factor`, `minimum` or `maximum`.
    pub stake: String,
    /// Bids are multiplied by it.
    pub factor: Option<String>,
    pub profit: Money,
    /// To what the run earned.
    pub difference: Money,
    pub per_bounty_nct: Option<f64>,
    pub staked: Money,
    /// Share of bounties asserted on of which a bid was at a limit of the rules because of that.
    pub clamped: Option<f64>,
}

/// What the run had locked, how likely it was to lose its wallet, and what a wallet should hold.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CapitalFacts {
    pub wallet: Money,
    pub locked_mean_nct: f64,
    pub locked_peak: Money,
    pub locked_quantiles: Vec<QuantileFacts>,
    /// At even distances.
    pub locked: Vec<PointFacts>,
    pub ruin: RuinFacts,
    /// The least wallet that would have been enough for the run as it was.
    pub needed_nct: f64,
    pub deposits: Vec<DepositFacts>,
    /// Confidence of their intervals.
    pub confidence: f64,
    pub rule_of_thumb: ThumbFacts,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct QuantileFacts {
    /// Of the blocks.
    pub share: f64,
    /// No more was locked in them.
    pub nct: f64,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct PointFacts {
    pub block: u64,
    /// At its end.
    pub locked_nct: f64,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct RuinFacts {
    /// Lundberg's exponent, per NCT; `null` if the run never lost.
    pub theta: Option<f64>,
    /// Upper bound on the probability of ever losing the wallet.
    pub bound: f64,
    /// Share of resampled runs that lose it.
    pub frequency: Option<f64>,
    pub resamples: u32,
    /// Mean length of their blocks, in bounties.
    pub block: f64,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct DepositFacts {
    /// Of resampled runs, for which it is enough.
    pub share: f64,
    pub nct: f64,
    pub interval: (f64, f64),
}

/// Bounties per day, times the mean bid, times the days that it is locked.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct ThumbFacts {
    pub bounties_per_day: f64,
    pub mean_bid_nct: f64,
    pub days: f64,
    pub nct: f64,
}

/// The same market with one thing changed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ChangedFacts {
    pub change: String,
    pub profit: Option<Money>,
    /// To what the run earned.
    pub difference: Option<Money>,
    /// Why there is no profit.
    pub reason: Option<String>,
}

/// How long it took: the only fields in which two explanations of one run may differ.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct WallTime {
    pub play_seconds: f64,
    pub statistics_seconds: f64,
    pub jobs: usize,
}

/// A run that was played again.
#[derive(Debug)]
pub struct Again<'a> {
    pub setup: &'a Arc<Setup>,
    pub record: &'a Record,
    pub watched: Watched,
    /// What hindsight earns with the run's own scans and wallet.
    pub limited: NctDelta,
    /// What it earns with one thing changed, where that was asked for.
    pub changed: Option<Vec<Changed>>,
    pub play: Duration,
    pub jobs: usize,
}

impl<'a> Again<'a> {
    /// Plays a run again, with as many threads as the pool of this one has; nothing if that was interrupted. `progress` hears of
    /// bounties that are over, twice as many as there are: hindsight plays a second time, with the run's means.
    ///
    /// # Errors
    ///
    /// If it did not come to the same, or the corpus cannot be read on, or an invariant is [`Broken`].
    pub fn play(
        setup: &'a Arc<Setup>,
        record: &'a Record,
        factors: &[Factor],
        jobs: usize,
        interrupted: &AtomicBool,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Option<Again<'a>>> {
        let started = Instant::now();
        let (watched, limited) =
            rayon::join(|| watch::watch(setup, factors, interrupted, progress), || watch::limited(setup, interrupted, progress));
        let (Some(watched), Some(limited)) = (watched?, limited?) else { return Ok(None) };
        let (earned, then) = (watched.played.engine, record.profit());
        if earned.wei_string() != then {
            let differs =
                format!("run.json says {} wei, and played again it earns {} wei", crate::text::cut(then, 80), earned.wei_string());
            let (now, version) = (env!("CARGO_PKG_VERSION"), crate::text::cut(&record.name.version, 30));
            if version != now {
                return Err(anyhow!("{differs}: it was played by sim {version}, and this is sim {now}; play it again"))
                    .or_exit(Exit::Usage);
            }
            if record.asks_program() {
                return Err(anyhow!("{differs}: the program that it asks does not answer twice alike, or was changed"))
                    .or_exit(Exit::Usage);
            }
            return Err(Broken(format!("{differs}, unless run.json was edited")).into());
        }
        Ok(Some(Again { setup, record, watched, limited, changed: None, play: started.elapsed(), jobs }))
    }

    /// Puts all figures together; what resamples does so on this thread's pool.
    pub fn explain(&self) -> Explanation {
        let Again { setup, record, watched, .. } = self;
        let started = Instant::now();
        let capital = self.capital();
        Explanation {
            schema: SCHEMA,
            name: ExplanationName {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                run_version: record.name.version.clone(),
                scenario_sha256: record.name.scenario_sha256.clone(),
                corpus_sha256: record.name.corpus_sha256.clone(),
                seed: record.name.seed,
            },
            command: record.command.clone(),
            warnings: self.warnings(),
            corpus: CorpusFacts::of(setup),
            rules: setup.rules.name.to_owned(),
            engine: setup.scenario.engine.name.clone(),
            strategy: setup.scenario.engine.strategy.clone(),
            bounties: watched.played.closed,
            asserted: watched.what_if.asserted,
            waterfall: waterfall(&watched.tally, self.limited),
            what_if: self.what_if(),
            capital,
            sensitivity: self.changed.as_ref().map(|changed| changed.iter().map(|changed| self.changed(changed)).collect()),
            wall: WallTime { play_seconds: self.play.as_secs_f64(), statistics_seconds: started.elapsed().as_secs_f64(), jobs: self.jobs },
        }
    }

    fn what_if(&self) -> Vec<WhatIfFacts> {
        let Watched { what_if, played, .. } = &self.watched;
        let facts = what_if.outcomes.iter().map(|outcome| {
            let (stake, factor) = match outcome.sizing {
                Sizing::Times(factor) => ("factor", Some(factor.to_string())),
                Sizing::Least => ("minimum", None),
                Sizing::Greatest => ("maximum", None),
            };
            WhatIfFacts {
                stake: stake.to_owned(),
                clamped: factor.as_ref().and_then(|_| ratio(outcome.clamped, what_if.asserted)),
                factor,
                profit: outcome.profit.into(),
                difference: (outcome.profit - played.engine).into(),
                per_bounty_nct: (played.closed > 0).then(|| outcome.profit.to_f64() / played.closed as f64),
                staked: outcome.staked.into(),
            }
        });
        facts.collect()
    }

    fn changed(&self, changed: &Changed) -> ChangedFacts {
        let profit = changed.profit.as_ref().ok();
        ChangedFacts {
            change: changed.what.to_owned(),
            profit: profit.map(|&profit| profit.into()),
            difference: profit.map(|&profit| (profit - self.watched.played.engine).into()),
            reason: changed.profit.as_ref().err().cloned(),
        }
    }

    fn capital(&self) -> CapitalFacts {
        let Watched { capital, played, .. } = &self.watched;
        let Setup { scenario, rules, .. } = &**self.setup;
        let (locked, profits) = (capital.over(played.first_block, played.last_block), capital.profits());
        let wallet = scenario.wallets.engine;
        let plan = Plan::of([profits.as_slice()], scenario.seed);
        let ruin = Ruin::of(&profits, wallet.to_f64(), &plan);
        let life = scenario.ambassadors.duration + rules.reveal_window + rules.vote_window;
        let demands = capital.demands(life);
        let deposit = |deposit: Deposit| DepositFacts { share: deposit.share, nct: deposit.wallet, interval: deposit.interval };
        let thumb = self.rule_of_thumb(life);
        CapitalFacts {
            wallet: wallet.into(),
            locked_mean_nct: locked.mean,
            locked_peak: capital.peak().into(),
            locked_quantiles: locked.quantiles.iter().map(|&(share, nct)| QuantileFacts { share, nct }).collect(),
            locked: locked.series.iter().map(|&(block, locked_nct)| PointFacts { block: block.0, locked_nct }).collect(),
            ruin: RuinFacts {
                theta: ruin.theta.is_finite().then_some(ruin.theta),
                bound: ruin.bound,
                frequency: ruin.frequency,
                resamples: plan.resamples,
                block: plan.block,
            },
            needed_nct: demands.of_the_run(),
            deposits: demands.deposits(&plan).into_iter().flatten().map(deposit).collect(),
            confidence: capital::CONFIDENCE,
            rule_of_thumb: ThumbFacts {
                bounties_per_day: thumb.bounties_per_day,
                mean_bid_nct: thumb.mean_bid,
                days: thumb.days,
                nct: thumb.deposit(),
            },
        }
    }

    fn rule_of_thumb(&self, life: u64) -> RuleOfThumb {
        let Watched { what_if, played, staked, .. } = &self.watched;
        let days = |blocks: u64| blocks as f64 * self.setup.scenario.block_seconds / SECONDS_PER_DAY;
        let per = |whole: f64, parts: f64| if parts > 0.0 { whole / parts } else { 0.0 };
        let BlockNumber(first) = played.first_block;
        RuleOfThumb {
            bounties_per_day: per(what_if.asserted as f64, days(played.last_block.0 - first)),
            mean_bid: per(staked.to_f64(), what_if.asserted as f64),
            days: days(life).max(1.0),
        }
    }

    /// What a user should know before believing the figures.
    fn warnings(&self) -> Vec<String> {
        let Watched { what_if, losses, unfunded, played, .. } = &self.watched;
        let mut warnings: Vec<String> = self.setup.warnings.iter().cloned().chain(crate::comparison::reacting(self.setup)).collect();
        let (now, then) = (env!("CARGO_PKG_VERSION"), &self.record.name.version);
        if then != now {
            let then = crate::text::cut(then, 30);
            warnings.push(format!("the run was played by sim {then}, and this is sim {now}: it comes to the same profit"));
        }
        if let Some(oracle) = replay::oracle::find(&self.setup.scenario.engine.strategy) {
            warnings.push(format!("`{}` knows {}: there is little to explain about a strategy", oracle.name, oracle.knows));
        }
        if what_if.asserted > 0 && *losses < rare::FEWEST as u64 {
            warnings.push(format!(
                "{losses} bounties brought a loss: what a resample cannot draw, because it was never seen, is not in ruin and deposits"
            ));
        }
        if *unfunded > 0 {
            warnings.push(format!(
                "{unfunded} bounties were left alone for want of Nectar: with more of it more is locked, and deposits are too low"
            ));
        }
        if played.unposted > 0 {
            warnings.push(format!("{} bounties were not posted: the ambassador's wallet was empty", played.unposted));
        }
        warnings
    }
}

fn waterfall(tally: &Tally, limited: NctDelta) -> WaterfallFacts {
    let difference = tally.most - tally.profit;
    let share = |cost: f64| (difference.to_f64() != 0.0).then(|| cost / difference.to_f64());
    let step = |(cause, sum): (Cause, &tally::Sum)| StepFacts {
        cause,
        cost: sum.cost.into(),
        share: share(sum.cost.to_f64()),
        bounties: sum.bounties,
    };
    WaterfallFacts {
        profit: tally.profit.into(),
        oracle: watch::HINDSIGHT.to_owned(),
        most: tally.most.into(),
        limited: limited.into(),
        difference: difference.into(),
        steps: Cause::ALL.into_iter().zip(&tally.sums).map(step).collect(),
        costliest: tally.costliest.iter().map(costly).collect(),
        types: groups(&tally.types, usize::MAX),
        families: groups(&tally.families, NAMES),
    }
}

fn groups(all: &BTreeMap<String, Sums>, limit: usize) -> Vec<GroupFacts> {
    let facts = |(name, sums): (&str, &Sums)| GroupFacts {
        name: name.to_owned(),
        cost: tally::total(sums).into(),
        steps: Cause::ALL.into_iter().zip(sums).filter(|(_, sum)| sum.bounties > 0).map(|(cause, sum)| (cause, sum.cost.into())).collect(),
    };
    tally::by_cost(all).into_iter().take(limit).map(facts).collect()
}

fn costly(costly: &Costly) -> CostlyFacts {
    let mut steps: BTreeMap<Cause, NctDelta> = BTreeMap::new();
    for &(cause, cost) in &costly.steps {
        *steps.entry(cause).or_default() += cost;
    }
    CostlyFacts {
        bounty: costly.number,
        guid: costly.guid.to_string(),
        posted: costly.posted,
        artifacts: costly.artifacts,
        sha256: costly.sha256.clone(),
        file_type: costly.file_type.clone(),
        family: costly.family.clone(),
        decision: match costly.decision {
            Decision::Asserted(_) => "asserted".to_owned(),
            Decision::Abstained(reason) => reason.to_string(),
            Decision::Refused(rejection) => format!("refused: {rejection}"),
        },
        profit: costly.profit.into(),
        most: costly.most.into(),
        cost: costly.cost().into(),
        steps: steps.into_iter().map(|(cause, cost)| (cause, cost.into())).collect(),
    }
}
