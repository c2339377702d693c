//! An evaluation in time as data: everything its report says, once, in the schema of `walkforward.json`.
//!
//! Before each period the strategy that earned most so far is chosen, by bounties that were settled by then alone; what counts is
//! what it earns in the period. So nothing is chosen by what it is judged by, and a way of choosing is judged, not one choice.
//! Every strategy plays the whole run, and keeps what it learned.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use market::block::BlockNumber;
use replay::plan::Setup;
use serde::{Deserialize, Serialize};

use crate::{
    comparison::{
        self, CONFIDENCE, ComparisonName, MeanFacts, MethodFacts, POWER, Role, SET_CONFIDENCE, WallTime, apart, first_best, mean_profits,
    },
    contest::{Calls, Track},
    run::CorpusFacts,
    score::Table,
    statistics::{
        Unfit,
        area::{self, NoArea},
        bootstrap::{self, Estimate, Plan, Resampled},
        paired,
        planning::Power,
    },
    text,
    timeline::{AllowedBias, Checked, Timeline},
};

/// Version of the schema of `walkforward.json`; grows when a field changes its meaning or goes away.
pub const SCHEMA: u32 = 1;

/// A whole evaluation.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct WalkForward {
    pub schema: u32,
    pub name: ComparisonName,
    /// Command that repeats it.
    pub command: String,
    /// Biases that were allowed.
    pub allowed_biases: Vec<AllowedBias>,
    pub warnings: Vec<String>,
    pub corpus: CorpusFacts,
    pub rules: String,
    /// Bounties that were played in each market.
    pub bounties: u64,
    /// Bounties before the first period, which only train.
    pub train: u64,
    /// Bounties of all periods: figures are about them.
    pub evaluated: u64,
    /// Blocks from the posting of a bounty until it may count for a choice: the longest that a stake is locked.
    pub embargo_blocks: u64,
    pub baseline: String,
    pub method: MethodFacts,
    pub periods: Vec<PeriodFacts>,
    /// What the choices earned in all periods together.
    pub walk: WalkFacts,
    /// How well engine and choices keep up.
    pub areas: AreaFacts,
    /// Those that were asked for in their order, the baseline, nulls, oracles.
    pub strategies: Vec<AloneFacts>,
    pub wall: WallTime,
}

/// One period.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PeriodFacts {
    /// Numbers of its bounties, from the first to before the last.
    pub bounties: (u64, u64),
    /// When the first and the last of its artifacts were first seen; nothing without dates.
    pub first_seen: Option<(String, String)>,
    /// Blocks in which the first and the last of its bounties were posted, in the first market.
    pub blocks: (u64, u64),
    pub artifacts: u64,
    /// By the corpus label.
    pub malicious: u64,
    /// Bounties that the choice was made by: the first ones of the run.
    pub chosen_by: u64,
    pub chosen: String,
    pub profit_nct: f64,
    pub baseline_nct: f64,
    /// The candidate (or the baseline) that earned most in the period, as nobody could know.
    pub best: String,
    pub best_nct: f64,
    /// The engine's calls against the corpus label, staked on or not.
    pub label: CallFacts,
    /// The same against the arbiters' consensus.
    pub consensus: CallFacts,
}

/// How right calls were; nothing where a figure is not defined.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct CallFacts {
    pub calls: u64,
    pub accuracy: Option<f64>,
    pub f1: Option<f64>,
    pub tpr: Option<f64>,
    pub fpr: Option<f64>,
}

impl From<Table> for CallFacts {
    fn from(table: Table) -> CallFacts {
        CallFacts { calls: table.total(), accuracy: table.accuracy(), f1: table.f1(), tpr: table.tpr(), fpr: table.fpr() }
    }
}

/// What the choices earned.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct WalkFacts {
    pub profit_nct: f64,
    pub per_bounty: MeanFacts,
    /// Bounties that brought a loss in some market.
    pub losses: usize,
    /// What the baseline earned on the same bounties.
    pub baseline_nct: f64,
    /// Against the baseline.
    pub difference: VersusFacts,
    /// The candidate (or the baseline) that would have been the best single one, as nobody could know.
    pub best: String,
    pub best_nct: f64,
    /// What the best single one earned more.
    pub regret_nct: f64,
    pub regret_per_bounty_nct: f64,
}

/// What one earns more than another.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct VersusFacts {
    pub per_bounty: MeanFacts,
    /// Sign-flip test, two-sided.
    pub p: Option<f64>,
    /// The smallest difference per bounty that so many bounties would show with the power of the method.
    pub detectable_nct: f64,
    /// True if the interval leaves zero out.
    pub distinct: bool,
}

/// Areas under time (AUT), by [`area::under_time`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AreaFacts {
    /// Of the engine's calls against the corpus label.
    pub label: CallAreas,
    /// Of the same against the arbiters' consensus.
    pub consensus: CallAreas,
    /// Of the profit per bounty of what was chosen, in NCT: a diagnostic.
    pub profit_per_bounty: AreaFact,
}

/// Areas under the figures of calls.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CallAreas {
    pub accuracy: AreaFact,
    pub f1: AreaFact,
    pub tpr: AreaFact,
}

/// One area, or why there is none.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AreaFact {
    pub aut: Option<f64>,
    pub reason: Option<String>,
}

impl From<Result<f64, NoArea>> for AreaFact {
    fn from(area: Result<f64, NoArea>) -> AreaFact {
        match area {
            Ok(aut) => AreaFact { aut: Some(aut), reason: None },
            Err(reason) => AreaFact { aut: None, reason: Some(reason.to_string()) },
        }
    }
}

/// One strategy all the time.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AloneFacts {
    pub strategy: String,
    pub role: Role,
    /// On the bounties of all periods.
    pub profit_nct: f64,
    pub per_bounty_nct: f64,
    /// Periods that it was chosen for.
    pub chosen: usize,
}

/// What is known once all strategies have been played.
#[derive(Debug)]
pub struct Outcome<'a> {
    /// One per seed.
    pub markets: Vec<Arc<Setup>>,
    pub scenario_sha256: [u8; 32],
    pub command: String,
    /// Names and roles; exactly one is the baseline.
    pub strategies: &'a [(String, Role)],
    /// By strategy, then by market.
    pub tracks: Vec<Vec<Track>>,
    pub timeline: Timeline,
    /// Numbers of bounties; they follow each other to the end of the run.
    pub periods: &'a [(u64, u64)],
    /// What became of checking for biases.
    pub checked: Checked,
    pub play: Duration,
    pub jobs: usize,
}

/// A choice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Step {
    /// Bounties that it was made by.
    known: usize,
    /// Place of the strategy.
    chosen: usize,
}

/// What is chosen before each period, of the strategies at `places`: the one that earned most on all bounties that were settled
/// before the period's first was posted, the first of equals.
///
/// `profits` are by strategy and bounty, `posted` by market and bounty, block 0 if it never was.
fn walk(profits: &[Vec<f64>], places: &[usize], posted: &[&[BlockNumber]], periods: &[(u64, u64)], embargo_blocks: u64) -> Vec<Step> {
    let step = |&(from, _): &(u64, u64)| {
        let from = from as usize;
        let known = posted.iter().map(|posted| settled_before(posted, from, embargo_blocks)).min().unwrap_or(0);
        Step { known, chosen: first_best(places, |at| profits[at][..known].iter().sum()) }
    };
    periods.iter().map(step).collect()
}

/// How many of the first bounties were settled when the one of number `from` was posted.
fn settled_before(posted: &[BlockNumber], from: usize, embargo_blocks: u64) -> usize {
    let was_posted = |block: &&BlockNumber| block.0 > 0;
    let (before, after) = posted.split_at(from);
    // Without any that was posted later, as if it came with the last one.
    let Some(now) = after.iter().find(was_posted).or(before.iter().rev().find(was_posted)) else { return 0 };
    before.iter().take_while(|block| block.0 + embargo_blocks < now.0).count()
}

impl Outcome<'_> {
    /// Puts all figures together.
    ///
    /// # Errors
    ///
    /// If too few bounties train or are judged ([`Unfit`]).
    pub fn evaluate(&self) -> Result<WalkForward> {
        let started = std::time::Instant::now();
        let setup = &*self.markets[0];
        let profits: Vec<Vec<f64>> = self.tracks.iter().map(|tracks| mean_profits(tracks, (0, setup.bounties))).collect();
        let with = |wanted: fn(Role) -> bool| (0..self.strategies.len()).filter(move |&at| wanted(self.strategies[at].1));
        let places: Vec<usize> = with(|role| matches!(role, Role::Candidate | Role::Baseline)).collect();
        let baseline = with(|role| role == Role::Baseline).next().expect("there is a baseline");
        let posted: Vec<&[BlockNumber]> = self.tracks[0].iter().map(|track| track.posted.as_slice()).collect();
        let embargo_blocks = comparison::embargo_blocks(setup);
        let steps = walk(&profits, &places, &posted, self.periods, embargo_blocks);
        let (least, known) = (bootstrap::LEAST, steps[0].known);
        if known < least {
            return Err(Unfit::TooFewBounties { bounties: known, least }).context("--train: too little is settled before the first period");
        }

        let judged = (self.periods[0].0, setup.bounties);
        let range = |(from, to): (u64, u64)| from as usize..to as usize;
        let sum = |at: usize, part: (u64, u64)| profits[at][range(part)].iter().sum::<f64>();
        let name = |at: usize| self.strategies[at].0.clone();
        let chosen: Vec<f64> =
            self.periods.iter().zip(&steps).flat_map(|(&period, step)| profits[step.chosen][range(period)].iter().copied()).collect();
        let differences = paired::differences(&chosen, &profits[baseline][range(judged)])?;
        let plan = Plan::of([chosen.as_slice(), differences.as_slice()], setup.scenario.seed);
        let resampled = Resampled::new(&[&chosen, &differences], &plan)?;
        let losses = self.periods.iter().zip(&steps).map(|(&period, step)| comparison::lost(&self.tracks[step.chosen], period)).sum();

        let periods: Vec<PeriodFacts> = (0..)
            .zip(self.periods)
            .zip(&steps)
            .map(|((number, &period), step)| self.period(number, period, *step, &sum, &places, baseline))
            .collect();
        let best = first_best(&places, |at| sum(at, judged));
        let (profit_nct, best_nct, evaluated) = (chosen.iter().sum::<f64>(), sum(best, judged), chosen.len());
        let per_bounty = MeanFacts::new(Estimate::read(&resampled, 1, apart(&differences), CONFIDENCE));
        let walk = WalkFacts {
            profit_nct,
            per_bounty: MeanFacts::new(Estimate::read(&resampled, 0, losses, CONFIDENCE)),
            losses,
            baseline_nct: sum(baseline, judged),
            difference: VersusFacts {
                per_bounty,
                p: comparison::sign_flip(&differences, &plan),
                detectable_nct: Power { alpha: 1.0 - CONFIDENCE, power: POWER }.detectable(resampled.moments[1], evaluated),
                distinct: per_bounty.interval.is_some_and(|(low, high)| low > 0.0 || high < 0.0),
            },
            best: name(best),
            best_nct,
            regret_nct: best_nct - profit_nct,
            regret_per_bounty_nct: (best_nct - profit_nct) / evaluated as f64,
        };
        let alone = |(at, (strategy, role)): (usize, &(String, Role))| AloneFacts {
            strategy: strategy.clone(),
            role: *role,
            profit_nct: sum(at, judged),
            per_bounty_nct: sum(at, judged) / evaluated as f64,
            chosen: steps.iter().filter(|step| step.chosen == at).count(),
        };
        let strategies: Vec<AloneFacts> = self.strategies.iter().enumerate().map(alone).collect();
        let (play, runs) = (self.play.as_secs_f64(), (self.markets.len() * self.strategies.len()) as u64);
        Ok(WalkForward {
            schema: SCHEMA,
            name: ComparisonName {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                scenario_sha256: hex::encode(self.scenario_sha256),
                corpus_sha256: hex::encode(setup.summary.sha256),
                seeds: self.markets.iter().map(|market| market.scenario.seed).collect(),
                inputs: setup.inputs.clone(),
            },
            command: self.command.clone(),
            allowed_biases: self.checked.allowed.clone(),
            warnings: self.warnings(&walk, &strategies, plan.block, evaluated as u64),
            corpus: CorpusFacts::of(setup),
            rules: setup.rules.name.to_owned(),
            bounties: setup.bounties,
            train: judged.0,
            evaluated: evaluated as u64,
            embargo_blocks,
            baseline: name(baseline),
            method: MethodFacts {
                confidence: CONFIDENCE,
                set_confidence: SET_CONFIDENCE,
                power: POWER,
                resamples: plan.resamples,
                block: plan.block,
                flips: paired::FLIPS,
            },
            areas: areas(&periods),
            periods,
            walk,
            strategies,
            wall: WallTime {
                play_seconds: play,
                statistics_seconds: started.elapsed().as_secs_f64(),
                bounties_per_second: (play > 0.0).then(|| (setup.bounties * runs) as f64 / play),
                jobs: self.jobs,
            },
        })
    }

    fn period(
        &self,
        number: usize,
        period: (u64, u64),
        step: Step,
        sum: &dyn Fn(usize, (u64, u64)) -> f64,
        places: &[usize],
        baseline: usize,
    ) -> PeriodFacts {
        let best = first_best(places, |at| sum(at, period));
        let calls = self.tracks[0].iter().fold(Calls::default(), |all, track| all.and(&track.calls[number]));
        let posted =
            || self.tracks[0][0].posted[period.0 as usize..period.1 as usize].iter().map(|block| block.0).filter(|&block| block > 0);
        let (artifacts, malicious) = self.timeline.artifacts(period);
        let name = |at: usize| self.strategies[at].0.clone();
        PeriodFacts {
            bounties: period,
            first_seen: self.timeline.span(period).map(|(first, last)| (text::moment(first), text::moment(last))),
            blocks: (posted().next().unwrap_or(0), posted().next_back().unwrap_or(0)),
            artifacts,
            malicious,
            chosen_by: step.known as u64,
            chosen: name(step.chosen),
            profit_nct: sum(step.chosen, period),
            baseline_nct: sum(baseline, period),
            best: name(best),
            best_nct: sum(best, period),
            label: calls.label.into(),
            consensus: calls.consensus.into(),
        }
    }

    /// What a user should know before believing the result.
    fn warnings(&self, walk: &WalkFacts, strategies: &[AloneFacts], block: f64, evaluated: u64) -> Vec<String> {
        let mut warnings = self.markets[0].warnings.clone();
        warnings.extend(self.checked.warnings.iter().cloned());
        warnings.extend(comparison::reacting(&self.markets[0]));
        let nulls = strategies.iter().filter(|facts| facts.role == Role::Null);
        if let Some(best) = nulls.max_by(|a, b| a.profit_nct.total_cmp(&b.profit_nct)).filter(|best| best.profit_nct > walk.profit_nct) {
            warnings.push(format!("`{}`, which has no idea, earns more than what was chosen", best.strategy));
        }
        if walk.per_bounty.interval.is_none() && walk.profit_nct != 0.0 {
            warnings.push(comparison::no_interval("what was chosen", &walk.per_bounty));
        }
        warnings.extend(comparison::trend(block, evaluated));
        let unposted: u64 = self.tracks[0].iter().map(|track| track.played.unposted).sum();
        if unposted > 0 {
            warnings.push(format!("{unposted} bounties were not posted: the ambassador's wallet was empty"));
        }
        warnings
    }
}

fn areas(periods: &[PeriodFacts]) -> AreaFacts {
    let area =
        |figure: &dyn Fn(&PeriodFacts) -> Option<f64>| AreaFact::from(area::under_time(&periods.iter().map(figure).collect::<Vec<_>>()));
    let calls = |calls: fn(&PeriodFacts) -> CallFacts| CallAreas {
        accuracy: area(&|period| calls(period).accuracy),
        f1: area(&|period| calls(period).f1),
        tpr: area(&|period| calls(period).tpr),
    };
    let per_bounty = |period: &PeriodFacts| Some(period.profit_nct / (period.bounties.1 - period.bounties.0) as f64);
    AreaFacts { label: calls(|period| period.label), consensus: calls(|period| period.consensus), profit_per_bounty: area(&per_bounty) }
}

#[cfg(test)]
mod tests {
    use engine::chance::{Key, Stream};

    use super::*;

    const EMBARGO: u64 = 6;
    const BOUNTIES: u64 = 240;

    /// Profits by strategy, blocks by market, and periods after some training.
    type Drawn = (Vec<Vec<f64>>, [Vec<BlockNumber>; 2], Vec<(u64, u64)>);

    /// A run of three strategies in two markets.
    fn draw(chance: &mut Stream) -> Drawn {
        let profits = (0..3).map(|_| (0..BOUNTIES).map(|_| chance.uniform() - 0.4).collect()).collect();
        let posted = std::array::from_fn(|_| {
            let mut block = 1;
            let next = |_| {
                block += chance.below(4);
                // Some are never posted.
                if chance.below(20) == 0 { BlockNumber(0) } else { BlockNumber(block) }
            };
            (0..BOUNTIES).map(next).collect()
        });
        let (mut periods, mut from) = (Vec::new(), 40);
        while from < BOUNTIES {
            let to = (from + 1 + chance.below(60)).min(BOUNTIES);
            periods.push((from, to));
            from = to;
        }
        (profits, posted, periods)
    }

    #[test]
    fn no_choice_depends_on_its_period_or_what_comes_later() {
        for seed in 0..200 {
            let mut chance = Key::root(seed).stream();
            let (profits, posted, periods) = draw(&mut chance);
            let posted = posted.each_ref().map(Vec::as_slice);
            let chosen = walk(&profits, &[0, 1, 2], &posted, &periods, EMBARGO);
            for (number, &(from, _)) in periods.iter().enumerate() {
                let mut others = profits.clone();
                for profits in &mut others {
                    profits[from as usize..].iter_mut().for_each(|profit| *profit = 100.0 * (chance.uniform() - 0.5));
                }
                let again = walk(&others, &[0, 1, 2], &posted, &periods, EMBARGO);
                assert_eq!(chosen[..=number], again[..=number], "seed {seed}, from bounty {from}");
                // Nor on what was open when the period began.
                for profits in &mut others {
                    profits[chosen[number].known..].fill(chance.uniform());
                }
                assert_eq!(
                    walk(&others, &[0, 1, 2], &posted, &periods, EMBARGO)[number],
                    chosen[number],
                    "seed {seed}, from bounty {from}"
                );
            }
        }
    }

    #[test]
    fn every_choice_is_made_by_all_that_was_settled_and_by_nothing_else() {
        for seed in 0..50 {
            let mut chance = Key::root(seed).stream();
            let (profits, posted, periods) = draw(&mut chance);
            let posted = posted.each_ref().map(Vec::as_slice);
            for (step, &(from, _)) in walk(&profits, &[0, 1, 2], &posted, &periods, EMBARGO).iter().zip(&periods) {
                let begins = posted.map(|posted| posted[from as usize..].iter().find(|block| block.0 > 0).map(|block| block.0));
                let Some(begins) = begins[0].zip(begins[1]).map(|(one, other)| [one, other]) else { continue };
                let settled = |bounty: usize| posted.iter().zip(begins).all(|(posted, begins)| posted[bounty].0 + EMBARGO < begins);
                assert!((0..step.known).all(settled), "seed {seed}, from bounty {from}");
                assert!(!settled(step.known), "seed {seed}, from bounty {from}: the next one was settled, too");
                // One bounty that is known decides.
                let mut others = profits.clone();
                let other = (step.chosen + 1) % 3;
                others[other][step.known - 1] += 1e6;
                let again = walk(&others, &[0, 1, 2], &posted, &[(from, BOUNTIES)], EMBARGO);
                assert_eq!(again[0].chosen, other, "seed {seed}, from bounty {from}");
            }
        }
    }

    #[test]
    fn the_first_of_equals_is_chosen() {
        let posted: Vec<BlockNumber> = (1..=20).map(BlockNumber).collect();
        let steps = walk(&[vec![9.0; 20], vec![1.0; 20], vec![1.0; 20]], &[1, 2], &[&posted], &[(10, 15), (15, 20)], 4);
        assert_eq!(steps, [Step { known: 6, chosen: 1 }, Step { known: 11, chosen: 1 }]);
    }
}
