//! A comparison of strategies as data: everything its report says, once, in the schema of `compare.json`.
//!
//! The unit is one bounty. In several markets (seeds) its profit is the mean over them: the same artifacts come again, so
//! more seeds take the luck of rivals and votes out of a figure, but do not make the corpus larger.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use anyhow::{Context as _, Result};
use engine::microengine::Abstention;
use market::block::BlockNumber;
use rayon::prelude::*;
use replay::plan::Setup;
use serde::{Deserialize, Serialize};

use crate::{
    contest::Track,
    hindsight,
    run::{CorpusFacts, Money},
    score::ratio,
    statistics::{
        Unfit,
        bootstrap::{self, Estimate, Plan, Resampled},
        many::{Scale, Strategies},
        paired,
        planning::{Power, Sequence},
        rare, series, variance,
    },
    timeline::{AllowedBias, Checked, Part},
};

/// Version of the schema of `compare.json`; grows when a field changes its meaning or goes away.
pub const SCHEMA: u32 = 1;
/// The oracle that makes the most of each bounty.
const HINDSIGHT: &str = "oracle/hindsight";
/// Points of the equity, at most.
const POINTS: usize = 128;
/// Confidence of intervals.
pub(crate) const CONFIDENCE: f64 = 0.95;
/// Confidence that the set of those that cannot be told from the best holds the best.
pub(crate) const SET_CONFIDENCE: f64 = 0.9;
/// Bounties that a look while it runs begins with, and that its sequences are narrowest after.
pub const PILOT: u64 = 1_000;
/// Bounties whose differences share a sign in the sign-flip test, at least: neighbours may depend on each other.
const SIGN_BLOCK: usize = 10;
/// Blocks below which signs can prove nothing at the usual level.
const SIGNS: usize = 6;
/// Chance of finding a difference, in plans.
pub(crate) const POWER: f64 = 0.8;

/// What a strategy is compared for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The user asked for it.
    Candidate,
    /// The others are compared with it.
    Baseline,
    /// It has no idea, and shows what an idea is worth.
    Null,
    /// It knows what nobody can, and shows what is left to be earned.
    Oracle,
}

/// A whole comparison.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Comparison {
    pub schema: u32,
    pub name: ComparisonName,
    /// Command that repeats it.
    pub command: String,
    /// Biases that were allowed, of those that a split is checked for.
    pub allowed_biases: Vec<AllowedBias>,
    pub warnings: Vec<String>,
    pub corpus: CorpusFacts,
    pub rules: String,
    /// Bounties that were played in each market.
    pub bounties: u64,
    /// True if it ended as soon as every candidate could be told from the baseline: then intervals of differences hold at all
    /// times, and there are no p-values.
    pub watched: bool,
    /// How the bounties were split, if they were; figures are about the last part.
    pub split: Option<SplitFacts>,
    /// Bounties that figures are about.
    pub evaluated: u64,
    pub baseline: String,
    /// What the best stake per bin of the own confidence would have earned on the bounties that are evaluated, in NCT.
    pub fixed_nct: f64,
    pub method: MethodFacts,
    /// Those that were asked for in their order, the baseline, nulls, oracles.
    pub strategies: Vec<StrategyFacts>,
    /// Whether any candidate is better than the baseline, all of them considered.
    pub superior: Option<SuperiorFacts>,
    pub choice: Choice,
    /// Each strategy against each other one; nothing if it ended by what was seen, when only the baseline was watched.
    #[serde(default)]
    pub pairs: Option<Vec<PairFacts>>,
    /// What each had earned, bounty by bounty.
    #[serde(default)]
    pub equity: Option<EquityFacts>,
    pub wall: WallTime,
}

/// What names the markets of a comparison: with the same strategies, baseline and split the same name gives the same figures.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ComparisonName {
    pub version: String,
    pub scenario_sha256: String,
    pub corpus_sha256: String,
    pub seeds: Vec<u64>,
    pub inputs: Vec<String>,
}

/// Shares of the bounties in order of time: to train on, to choose by, to judge by.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Split {
    train: f64,
    validate: f64,
}

impl std::str::FromStr for Split {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Split, &'static str> {
        let expected = "three shares that add up to 100, none of the last two zero, such as 50/20/30";
        let shares: Vec<f64> = text.split('/').map(|share| share.trim().parse().ok()).collect::<Option<_>>().ok_or(expected)?;
        match *shares.as_slice() {
            [train, validate, test] if train >= 0.0 && validate > 0.0 && test > 0.0 && (train + validate + test - 100.0).abs() < 1e-9 => {
                Ok(Split { train: train / 100.0, validate: validate / 100.0 })
            }
            _ => Err(expected),
        }
    }
}

impl Split {
    /// Where the first two parts end, of so many bounties.
    fn ends(self, bounties: u64) -> [u64; 2] {
        [self.train, self.train + self.validate].map(|share| ((share * bounties as f64).round() as u64).min(bounties))
    }

    /// The parts without gaps, as they are checked for biases, the one to judge by last.
    pub fn named(self, bounties: u64) -> [Part; 3] {
        let [train, validate] = self.ends(bounties);
        [("train on", (0, train)), ("choose by", (train, validate)), ("judge by", (validate, bounties))]
            .map(|(name, part)| (format!("the part to {name}"), part))
    }
}

/// The parts of a split, by the numbers of their bounties. Between two parts lies an embargo: what is still open when one
/// ends belongs to neither, so that nothing that is judged was decided on before all that came earlier was settled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SplitFacts {
    /// Bounties that learners have to themselves.
    pub train: (u64, u64),
    /// Bounties that the choice is made by.
    pub validate: (u64, u64),
    /// Bounties that figures are about.
    pub test: (u64, u64),
    /// Blocks between the last bounty of a part and the first of the next: the longest that a stake is locked.
    pub embargo_blocks: u64,
}

/// How intervals and tests were made.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct MethodFacts {
    pub confidence: f64,
    pub set_confidence: f64,
    pub power: f64,
    /// Resamples of the stationary bootstrap.
    pub resamples: u32,
    /// Mean length of its blocks, in bounties.
    pub block: f64,
    /// Draws of the sign-flip test.
    pub flips: u32,
}

/// One strategy.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StrategyFacts {
    pub strategy: String,
    pub role: Role,
    /// What each market brought, whole runs.
    pub profits: Vec<Money>,
    /// What the bounties that are evaluated brought, in the mean over markets.
    pub profit_nct: f64,
    pub per_bounty: MeanFacts,
    /// Against the baseline; nothing for the baseline itself.
    pub difference: Option<DifferenceFacts>,
    /// True if it cannot be told from the best of those that are evaluated; nothing for nulls and oracles, which nobody chooses.
    pub among_best: Option<bool>,
    /// Bounties, of those that are evaluated, that brought a loss in some market.
    pub losses: usize,
    /// Profit by the mean of what was locked; over the whole run, markets together.
    pub return_on_locked: Option<f64>,
    /// Profit by all that was staked: a diagnostic, for it praises small stakes.
    pub return_on_stake: Option<f64>,
    /// The deepest fall of the equity in any market.
    pub drawdown_nct: f64,
    pub locked_peak_nct: f64,
    /// Artifacts with a stake, by all artifacts.
    pub coverage: Option<f64>,
    /// Of what was asserted, against the consensus.
    pub accuracy: Option<f64>,
    pub late: u64,
    pub unfunded: u64,
    pub refused: u64,
    /// What `oracle/fixed`, the best stake per bin of the own confidence in hindsight, earned more on the bounties that are
    /// evaluated.
    pub regret_nct: f64,
    /// Its profit by that of `oracle/hindsight`, the most that could have been made of each bounty.
    pub share_of_hindsight: Option<f64>,
}

/// A mean, and how well it is known.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct MeanFacts {
    pub nct: f64,
    /// Nothing if it hangs on too few bounties.
    pub interval: Option<(f64, f64)>,
    /// Where there are too few losing (or differing) bounties for an interval: the highest share that is not refuted.
    pub at_most: Option<f64>,
}

impl MeanFacts {
    pub(crate) fn new(estimate: Estimate) -> MeanFacts {
        match estimate {
            Estimate::Interval(interval) => {
                let ends = (interval.low, interval.high);
                let finite = ends.0.is_finite() && ends.1.is_finite();
                MeanFacts { nct: interval.estimate, interval: finite.then_some(ends), at_most: None }
            }
            Estimate::TooFew { estimate, at_most, .. } => MeanFacts { nct: estimate, interval: None, at_most: Some(at_most) },
        }
    }
}

/// What a strategy earns more than the baseline.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct DifferenceFacts {
    pub per_bounty: MeanFacts,
    /// Sign-flip test, two-sided.
    pub p: Option<f64>,
    /// Romano and Wolf: the same with all candidates considered, one-sided (better than the baseline).
    pub adjusted_p: Option<f64>,
    /// The smallest difference per bounty that this corpus would show with the power of the method, to who looks once.
    pub detectable_nct: f64,
    /// Bounties that would show the difference that was seen.
    pub needed: Option<u64>,
    /// Watched bounty by bounty.
    pub watched: WatchedFacts,
    /// True if the interval leaves zero out.
    pub distinct: bool,
    /// True if it hangs on a few bounties: the interval reaches farther than what should show, or holds zero though the difference
    /// is larger than that.
    pub few_decide: bool,
}

/// What somebody knows who looked at a difference after every block of bounties, whenever they stopped: the interval holds at
/// all times at once, for all candidates together.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct WatchedFacts {
    /// Of the mean difference per bounty: what all intervals so far have in common; nothing before the first thousand bounties,
    /// before ten that were better and ten that were worse, and if they have nothing in common, because the difference moves.
    pub interval: Option<(f64, f64)>,
    /// Bounties after which zero was out of the interval for the first time.
    pub decided_after: Option<u64>,
}

/// Hansen's test of superior predictive ability: p-values of "no candidate is better than the baseline".
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct SuperiorFacts {
    pub lower: f64,
    pub p: f64,
    pub upper: f64,
}

/// What to choose.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Choice {
    /// The candidate (or the baseline) that earned most.
    pub best: String,
    /// Those that cannot be told from the best one on the bounties that are evaluated.
    pub set: Vec<String>,
}

/// What one strategy earned more than another, by their places among the strategies.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct PairFacts {
    pub strategy: usize,
    pub against: usize,
    /// Per bounty.
    pub nct: f64,
    /// Of this pair alone, with no thought of how many pairs there are; nothing if too few bounties differ.
    pub interval: Option<(f64, f64)>,
}

/// Equity over the bounties that are evaluated, in the mean over markets.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct EquityFacts {
    /// Bounties in a row that a point stands for; the last one may stand for fewer.
    pub bounties_per_point: u64,
    /// By strategy: the profit of all bounties up to the last one of each point, in NCT.
    pub strategies: Vec<Vec<f64>>,
}

/// How long it took: the only fields in which two comparisons of the same name may differ.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct WallTime {
    pub play_seconds: f64,
    pub statistics_seconds: f64,
    pub bounties_per_second: Option<f64>,
    pub jobs: usize,
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
    /// Which bounties figures are about.
    pub split: Option<Split>,
    /// What became of checking the split for biases.
    pub checked: Checked,
    /// True if it was decided by the figures themselves when to stop: then only what was watched holds.
    pub watched: bool,
    pub play: Duration,
    pub jobs: usize,
}

/// The bounties that figures are about, and what resampling them says.
struct Evidence<'a> {
    outcome: &'a Outcome<'a>,
    part: (u64, u64),
    /// By strategy: what each bounty brought, and what more than the baseline.
    profits: Vec<Vec<f64>>,
    differences: Vec<Vec<f64>>,
    plan: Plan,
    of_profits: Resampled,
    of_differences: Resampled,
    /// Places of those who can be chosen.
    chosen: Vec<usize>,
}

impl<'a> Evidence<'a> {
    fn of(outcome: &'a Outcome<'a>, part: (u64, u64)) -> Result<Evidence<'a>, Unfit> {
        let profits = outcome.profits(part);
        let against = &profits[outcome.baseline()];
        let differences: Vec<Vec<f64>> = profits.iter().map(|own| paired::differences(own, against)).collect::<Result<_, Unfit>>()?;
        let chosen: Vec<usize> = outcome.place(|role| matches!(role, Role::Candidate | Role::Baseline)).collect();
        // Blocks that suit those who can be chosen; what the others do is told by the same ones.
        let series = chosen.iter().flat_map(|&at| [profits[at].as_slice(), differences[at].as_slice()]);
        let plan = Plan::of(series, outcome.markets[0].scenario.seed);
        let (of_profits, of_differences) = (resampled(&profits, &plan)?, resampled(&differences, &plan)?);
        Ok(Evidence { outcome, part, profits, differences, plan, of_profits, of_differences, chosen })
    }

    /// Mean profit per bounty of the strategy at that place, in NCT.
    fn mean(&self, at: usize) -> f64 {
        series::mean(&self.profits[at])
    }

    /// Whether any candidate is better than the baseline, and by strategy the p-values of each, all candidates considered.
    fn superior(&self) -> (Option<SuperiorFacts>, Vec<Option<f64>>) {
        let candidates: Vec<usize> = self.outcome.place(|role| role == Role::Candidate).collect();
        let mut adjusted = vec![None; self.profits.len()];
        if candidates.is_empty() {
            return (None, adjusted);
        }
        let family = Strategies::of(self.of_differences.only(&candidates));
        let spa = family.superior(Scale::Resampled);
        for (&at, p) in candidates.iter().zip(family.better(Scale::Resampled)) {
            adjusted[at] = Some(p);
        }
        (Some(SuperiorFacts { lower: spa.lower, p: spa.consistent, upper: spa.upper }), adjusted)
    }

    /// By strategy, whether it may be the best of those who can be chosen.
    fn among_best(&self) -> Result<Vec<Option<bool>>, Unfit> {
        // Who is best among them does not change if all lose what the baseline earned.
        let in_set = Strategies::of(self.of_differences.only(&self.chosen)).among_best();
        // Who is left out of the set is also told from its best by an interval: neither alone is to be believed where a few
        // bounties decide.
        let leader = first_best(&self.chosen, |at| self.mean(at));
        let behind = |&at: &usize| paired::differences(&self.profits[leader], &self.profits[at]);
        let behind: Vec<Vec<f64>> = self.chosen.iter().map(behind).collect::<Result<_, Unfit>>()?;
        let of_behind = resampled(&behind, &self.plan)?;
        let mut among_best = vec![None; self.profits.len()];
        for (place, (&at, p)) in self.chosen.iter().zip(in_set).enumerate() {
            let told = MeanFacts::new(Estimate::read(&of_behind, place, apart(&behind[place]), CONFIDENCE));
            let worse = told.interval.is_some_and(|(low, _)| low > 0.0);
            among_best[at] = Some(p >= 1.0 - SET_CONFIDENCE || !worse);
        }
        Ok(among_best)
    }
}

impl Evidence<'_> {
    /// Each against each, those above the diagonal first; what one earns more is what the other earns less.
    fn pairs(&self) -> Vec<PairFacts> {
        let count = self.profits.len();
        let above: Vec<(usize, usize)> = (0..count).flat_map(|one| (one + 1..count).map(move |other| (one, other))).collect();
        let pair = |&(strategy, against): &(usize, usize)| {
            let differ = self.profits[strategy].iter().zip(&self.profits[against]).filter(|(one, other)| one != other).count();
            let interval = self.of_profits.difference(strategy, against, CONFIDENCE);
            let interval = (differ >= rare::FEWEST).then_some((interval.low, interval.high));
            PairFacts { strategy, against, nct: self.mean(strategy) - self.mean(against), interval }
        };
        let mut pairs: Vec<PairFacts> = above.par_iter().map(pair).collect();
        let turned = |pair: &PairFacts| {
            let interval = pair.interval.map(|(low, high)| (-high, -low));
            PairFacts { strategy: pair.against, against: pair.strategy, nct: -pair.nct, interval }
        };
        let below: Vec<PairFacts> = pairs.iter().map(turned).collect();
        pairs.extend(below);
        pairs
    }

    fn equity(&self) -> EquityFacts {
        let each = self.profits[0].len().div_ceil(POINTS).max(1);
        let grown = |profits: &Vec<f64>| {
            let mut equity = 0.0;
            let sums = profits.chunks(each).map(|chunk| chunk.iter().sum::<f64>());
            sums.map(|sum| {
                equity += sum;
                equity
            })
            .collect()
        };
        EquityFacts { bounties_per_point: each as u64, strategies: self.profits.iter().map(grown).collect() }
    }
}

fn resampled(series: &[Vec<f64>], plan: &Plan) -> Result<Resampled, Unfit> {
    Resampled::new(&series.iter().map(Vec::as_slice).collect::<Vec<_>>(), plan)
}

/// A part by its whole, if that is more than nothing.
fn by(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

impl Outcome<'_> {
    /// True if every candidate can be told from the baseline by who looked at it all the time.
    pub fn decided(&self) -> bool {
        let all = (0, self.markets[0].bounties);
        let baseline = mean_profits(&self.tracks[self.baseline()], all);
        self.place(|role| role == Role::Candidate).all(|at| {
            let differences: Vec<f64> = mean_profits(&self.tracks[at], all).iter().zip(&baseline).map(|(one, other)| one - other).collect();
            self.watch(&differences).decided_after.is_some()
        })
    }

    fn watch(&self, differences: &[f64]) -> WatchedFacts {
        watch(differences, self.place(|role| role == Role::Candidate).count().max(1))
    }

    /// Puts all figures together; nothing if that was interrupted.
    ///
    /// # Errors
    ///
    /// If there are too few bounties to compare anything on ([`Unfit`]), or a market cannot be played again.
    pub fn compare(&self, interrupted: &AtomicBool) -> Result<Option<Comparison>> {
        let started = std::time::Instant::now();
        let setup = &*self.markets[0];
        let split = self.split.map(|split| self.parts(split)).transpose().context("--split: a part is too short")?;
        let part = split.map_or((0, setup.bounties), |split| split.test);
        let Some(fixed_nct) = hindsight::fixed(&self.markets, part, interrupted)? else { return Ok(None) };
        let evidence = Evidence::of(self, part)?;
        let (superior, adjusted) = if self.watched { (None, vec![None; self.strategies.len()]) } else { evidence.superior() };
        let among_best = if self.watched { vec![None; self.strategies.len()] } else { evidence.among_best()? };
        let hindsight = self.strategies.iter().position(|(name, _)| name == HINDSIGHT).map_or(0.0, |at| evidence.mean(at));
        let facts = |at: usize| StrategyFacts {
            difference: self.difference(&evidence, at, adjusted[at]),
            among_best: among_best[at],
            regret_nct: fixed_nct - evidence.profits[at].iter().sum::<f64>(),
            share_of_hindsight: by(evidence.mean(at), hindsight),
            ..self.facts(&evidence, at)
        };
        let strategies: Vec<StrategyFacts> = (0..self.strategies.len()).map(facts).collect();

        // Chosen by what is not judged by, where there is such a part.
        let told = split.map(|split| self.profits(split.validate));
        let told = told.as_ref().unwrap_or(&evidence.profits);
        let best = first_best(&evidence.chosen, |at| series::mean(&told[at]));
        let name = |at: usize| self.strategies[at].0.clone();
        let set = evidence.chosen.iter().copied().filter(|&at| among_best[at] == Some(true)).map(name).collect();
        let evaluated = evidence.profits[0].len() as u64;
        let runs = (self.markets.len() * self.strategies.len()) as u64;
        let play = self.play.as_secs_f64();
        Ok(Some(Comparison {
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
            warnings: self.warnings(&strategies, evaluated, evidence.plan.block),
            corpus: CorpusFacts::of(setup),
            rules: setup.rules.name.to_owned(),
            bounties: setup.bounties,
            watched: self.watched,
            split,
            evaluated,
            baseline: name(self.baseline()),
            fixed_nct,
            method: MethodFacts {
                confidence: CONFIDENCE,
                set_confidence: SET_CONFIDENCE,
                power: POWER,
                resamples: evidence.plan.resamples,
                block: evidence.plan.block,
                flips: paired::FLIPS,
            },
            strategies,
            superior,
            choice: Choice { best: name(best), set },
            pairs: (!self.watched).then(|| evidence.pairs()),
            equity: Some(evidence.equity()),
            wall: WallTime {
                play_seconds: play,
                statistics_seconds: started.elapsed().as_secs_f64(),
                bounties_per_second: (play > 0.0).then(|| (setup.bounties * runs) as f64 / play),
                jobs: self.jobs,
            },
        }))
    }

    /// Of each strategy, what each bounty of a part brought, in the mean over markets.
    fn profits(&self, part: (u64, u64)) -> Vec<Vec<f64>> {
        self.tracks.iter().map(|tracks| mean_profits(tracks, part)).collect()
    }

    /// Place of the baseline.
    fn baseline(&self) -> usize {
        self.place(|role| role == Role::Baseline).next().expect("there is a baseline")
    }

    /// What a strategy earns more than the baseline; nothing for the baseline itself.
    fn difference(&self, evidence: &Evidence<'_>, at: usize, adjusted: Option<f64>) -> Option<DifferenceFacts> {
        if self.strategies[at].1 == Role::Baseline {
            return None;
        }
        let differences = &evidence.differences[at];
        let mut facts = difference(&evidence.of_differences, at, differences, &evidence.plan, adjusted, self.watch(differences));
        if self.watched {
            facts.stopped();
        }
        Some(facts)
    }

    /// What a strategy came to by itself.
    fn facts(&self, evidence: &Evidence<'_>, at: usize) -> StrategyFacts {
        let (tracks, (strategy, role)) = (&self.tracks[at], &self.strategies[at]);
        let sum = |figure: &dyn Fn(&Track) -> f64| tracks.iter().map(figure).sum::<f64>();
        let count = |figure: &dyn Fn(&Track) -> u64| tracks.iter().map(figure).sum::<u64>();
        let abstained = |reason| count(&|track| track.score.own.abstained.get(&reason).copied().unwrap_or(0));
        let worst = |figure: &dyn Fn(&Track) -> f64| tracks.iter().map(figure).fold(0.0, f64::max);
        let earned = sum(&|track| track.played.engine.to_f64());
        let asserted = tracks.iter().fold(crate::score::Table::default(), |sum, track| sum.and(&track.score.own.consensus));
        let losses = lost(tracks, evidence.part);
        StrategyFacts {
            strategy: strategy.clone(),
            role: *role,
            profits: tracks.iter().map(|track| track.played.engine.into()).collect(),
            profit_nct: evidence.profits[at].iter().sum(),
            per_bounty: MeanFacts::new(Estimate::read(&evidence.of_profits, at, losses, CONFIDENCE)),
            difference: None,
            among_best: None,
            losses,
            return_on_locked: by(earned, sum(&|track| locked(track))),
            return_on_stake: by(earned, sum(&|track| track.score.own.staked.to_f64())),
            drawdown_nct: worst(&|track| track.score.own.drawdown.depth.to_f64()),
            locked_peak_nct: worst(&|track| track.score.own.capital.peak.to_f64()),
            coverage: ratio(count(&|track| track.score.own.asserted_artifacts), count(&|track| track.score.own.artifacts)),
            accuracy: asserted.accuracy(),
            late: abstained(Abstention::Late),
            unfunded: abstained(Abstention::Unfunded),
            refused: count(&|track| track.score.own.refused),
            regret_nct: 0.0,
            share_of_hindsight: None,
        }
    }

    /// The parts of a split, with one longest lock-up between any two.
    fn parts(&self, split: Split) -> Result<SplitFacts, Unfit> {
        let setup = &self.markets[0];
        let embargo_blocks = embargo_blocks(setup);
        let bounties = setup.bounties as usize;
        // Bounties come at other times in every market.
        let after = |end: usize| {
            let free = |track: &Track| {
                let last = track.posted[..end].iter().rev().find(|block| block.0 > 0)?;
                let open = |block: &BlockNumber| block.0 <= last.0 + embargo_blocks;
                Some(end + track.posted[end..].iter().take_while(|block| open(block)).count())
            };
            self.tracks[0].iter().filter_map(free).max().unwrap_or(end)
        };
        let [train, validate] = split.ends(setup.bounties).map(|end| end as usize);
        let part = |from: usize, to: usize| (from.min(to) as u64, to as u64);
        let parts = SplitFacts {
            train: part(0, train),
            validate: part(after(train), validate),
            test: part(after(validate), bounties),
            embargo_blocks,
        };
        let shortest = [parts.validate, parts.test].into_iter().map(|(from, to)| to - from).min().unwrap_or(0);
        let (bounties, least) = (shortest as usize, bootstrap::LEAST);
        if bounties < least { Err(Unfit::TooFewBounties { bounties, least }) } else { Ok(parts) }
    }

    /// Places of the strategies with such a role.
    fn place(&self, wanted: impl Fn(Role) -> bool) -> impl Iterator<Item = usize> {
        self.strategies.iter().enumerate().filter(move |(_, (_, role))| wanted(*role)).map(|(at, _)| at)
    }

    /// What a user should know before believing the result.
    fn warnings(&self, strategies: &[StrategyFacts], evaluated: u64, block: f64) -> Vec<String> {
        let mut warnings = self.markets[0].warnings.clone();
        warnings.extend(self.checked.warnings.iter().cloned());
        warnings.extend(crate::run::unanswered());
        if self.markets[0].repeats() {
            warnings.push("the same artifacts count several times: intervals are narrower than such a corpus can bear, and what learns meets them again".to_owned());
        }
        warnings.extend(reacting(&self.markets[0]));
        let chosen = || strategies.iter().filter(|facts| matches!(facts.role, Role::Candidate | Role::Baseline));
        let nulls = strategies.iter().filter(|facts| facts.role == Role::Null);
        if let Some(best) = nulls.max_by(|a, b| a.profit_nct.total_cmp(&b.profit_nct)) {
            for worse in chosen().filter(|facts| facts.profit_nct < best.profit_nct) {
                warnings.push(format!("`{}`, which has no idea, earns more than `{}`", best.strategy, worse.strategy));
            }
        }
        for rare in chosen().filter(|facts| facts.per_bounty.interval.is_none() && facts.profit_nct != 0.0) {
            let name = &rare.strategy;
            warnings.push(no_interval(&format!("`{name}`"), &rare.per_bounty));
        }
        warnings.extend(trend(block, evaluated));
        let firsts = || self.tracks[0].iter();
        let (unposted, unvoted) =
            (firsts().map(|track| track.played.unposted).sum::<u64>(), firsts().map(|track| track.score.unvoted).sum::<u64>());
        if unposted > 0 {
            warnings.push(format!("{unposted} bounties were not posted: the ambassador's wallet was empty"));
        }
        if unvoted > 0 {
            warnings.push(format!("{unvoted} bounties had no votes: everybody who asserted shares them, and regret leaves them out"));
        }
        for facts in chosen() {
            let Some(difference) = facts.difference else { continue };
            if difference.few_decide {
                warnings.push(format!(
                    "a few bounties decide about `{}`: if it learns, they may be its first ones; judge by later ones, with --split 20/30/50",
                    facts.strategy
                ));
                continue;
            }
            let DifferenceFacts { distinct: false, needed: Some(needed), .. } = difference else { continue };
            if needed > evaluated {
                warnings.push(format!(
                    "too few bounties to tell `{}` from the baseline: if they differ as much as was seen, about {} would show it",
                    facts.strategy,
                    crate::text::thousands(needed)
                ));
            }
        }
        if strategies.iter().any(|facts| facts.refused > 0 && facts.role != Role::Null) {
            let refused: Vec<String> =
                strategies.iter().filter(|facts| facts.refused > 0).map(|facts| format!("`{}`", facts.strategy)).collect();
            warnings.push(format!("the market refused assertions of {}: bids out of its limits", refused.join(", ")));
        }
        warnings
    }
}

/// What adaptive rivals mean for figures.
pub(crate) fn reacting(setup: &Setup) -> Option<String> {
    let rival = setup.population.adaptive()?;
    Some(format!(
        "rivals with `{}` react to what is played: each strategy meets others' answers to it, and oracles, hindsight and regret take what those rivals stake for granted",
        rival.strategy
    ))
}

/// The longest that a stake is locked, in blocks: from posting until all is settled.
pub(crate) fn embargo_blocks(setup: &Setup) -> u64 {
    setup.scenario.ambassadors.duration + setup.rules.reveal_window + setup.rules.vote_window + 1
}

/// Why a mean profit has no interval.
pub(crate) fn no_interval(whose: &str, facts: &MeanFacts) -> String {
    match facts.at_most {
        Some(share) => format!(
            "{whose} lost too few bounties to tell how bad it gets: up to {:.2} % may be losses, and no interval is stated",
            100.0 * share
        ),
        None => format!("what {whose} earns hangs on a few bounties: no interval is stated"),
    }
}

/// What to say of blocks as long as they may be on so many bounties.
pub(crate) fn trend(block: f64, bounties: u64) -> Option<String> {
    let n = bounties as f64;
    let longest = (3.0 * n.sqrt()).min(n / 3.0).ceil();
    (block >= longest).then(|| "profits have a trend or hang together for long: intervals are not to be trusted".to_owned())
}

/// p-value of the sign-flip test of differences, two-sided; none of too few blocks.
pub(crate) fn sign_flip(differences: &[f64], plan: &Plan) -> Option<f64> {
    let block = (plan.block.ceil() as usize).max(SIGN_BLOCK);
    (differences.len() / block >= SIGNS).then(|| paired::sign_flip(differences, block, paired::FLIPS, plan.seed).ok()).flatten()
}

/// Profit of each bounty of a part, in the mean over markets.
pub(crate) fn mean_profits(tracks: &[Track], (from, to): (u64, u64)) -> Vec<f64> {
    let part = from as usize..to as usize;
    let mut profits = vec![0.0; part.len()];
    for track in tracks {
        profits.iter_mut().zip(&track.profits[part.clone()]).for_each(|(sum, profit)| *sum += profit);
    }
    let markets = tracks.len() as f64;
    profits.iter_mut().for_each(|sum| *sum /= markets);
    profits
}

/// A confidence sequence over means of blocks that are as long as the first bounties want them to be; one of so many
/// candidates.
fn watch(differences: &[f64], candidates: usize) -> WatchedFacts {
    let pilot = differences.len().min(PILOT as usize);
    let block = (variance::block_length(&differences[..pilot]).ceil() as usize).max(1);
    let mut sequence = Sequence::new((1.0 - CONFIDENCE) / candidates as f64, PILOT as f64 / block as f64);
    let (mut facts, mut seen, mut kinds) = (WatchedFacts { interval: None, decided_after: None }, 0, [0; 2]);
    for apart in differences.chunks_exact(block) {
        sequence.add(series::mean(apart));
        seen += block as u64;
        kinds[0] += apart.iter().filter(|&&apart| apart > 0.0).count();
        kinds[1] += apart.iter().filter(|&&apart| apart < 0.0).count();
        // The first bounties said how long blocks are; and what hardly ever happened may yet decide.
        if seen < PILOT || kinds.iter().any(|&count| count < rare::FEWEST) {
            continue;
        }
        // The mean lies in all of them at once, so in what they have in common.
        let Some((low, high)) = sequence.interval() else { continue };
        let (low, high) = facts.interval.map_or((low, high), |(before, after)| (low.max(before), high.min(after)));
        if low > high {
            // There is no one mean: the difference itself moves, as that of a learner does.
            return WatchedFacts { interval: None, decided_after: None };
        }
        facts.interval = Some((low, high));
        if facts.decided_after.is_none() && (low > 0.0 || high < 0.0) {
            facts.decided_after = Some(seen);
        }
    }
    facts
}

/// Of those with the greatest figure the first.
pub(crate) fn first_best(places: &[usize], figure: impl Fn(usize) -> f64) -> usize {
    places.iter().copied().rev().max_by(|&a, &b| figure(a).total_cmp(&figure(b))).expect("there is a baseline")
}

/// Bounties on which two strategies differ.
pub(crate) fn apart(differences: &[f64]) -> usize {
    differences.iter().filter(|&&difference| difference != 0.0).count()
}

/// Bounties of a part that brought a loss in some market.
pub(crate) fn lost(tracks: &[Track], (from, to): (u64, u64)) -> usize {
    (from as usize..to as usize).filter(|&bounty| tracks.iter().any(|track| track.profits[bounty] < 0.0)).count()
}

/// The mean of what was locked, in NCT.
fn locked(track: &Track) -> f64 {
    track.score.own.capital.mean(track.played.last_block.0 - track.played.first_block.0)
}

fn difference(
    resampled: &Resampled,
    at: usize,
    differences: &[f64],
    plan: &Plan,
    adjusted_p: Option<f64>,
    watched: WatchedFacts,
) -> DifferenceFacts {
    let mean = MeanFacts::new(Estimate::read(resampled, at, apart(differences), CONFIDENCE));
    let (moments, power) = (resampled.moments[at], Power { alpha: 1.0 - CONFIDENCE, power: POWER });
    let needed = power.bounties(moments.omega, mean.nct);
    DifferenceFacts {
        per_bounty: mean,
        p: sign_flip(differences, plan),
        adjusted_p,
        detectable_nct: power.detectable(moments, differences.len()),
        needed: needed.is_finite().then_some(needed as u64),
        watched,
        distinct: false,
        few_decide: false,
    }
    .judged()
}

impl DifferenceFacts {
    /// What is left of it if the figures themselves said when to stop.
    fn stopped(&mut self) {
        (self.p, self.adjusted_p, self.needed) = (None, None, None);
        (self.per_bounty.interval, self.per_bounty.at_most) = (self.watched.interval, None);
        self.distinct = self.leaves_zero_out();
    }

    fn leaves_zero_out(&self) -> bool {
        self.per_bounty.interval.is_some_and(|(low, high)| low > 0.0 || high < 0.0)
    }

    fn judged(mut self) -> DifferenceFacts {
        self.distinct = self.leaves_zero_out();
        let mean = self.per_bounty.nct;
        let beyond_reach = mean.abs() > self.detectable_nct;
        // An interval that reaches farther than what should show is one of few bounties that are far from all others.
        let wide = self.per_bounty.interval.is_some_and(|(low, high)| (mean - low).max(high - mean) > self.detectable_nct);
        self.few_decide = self.per_bounty.at_most.is_none() && (wide || !self.distinct && beyond_reach);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_that_hangs_on_a_few_bounties_has_no_interval() {
        // Active in the first 150 of 6,000 bounties: every seventh resample or so holds none of them.
        let profits: Vec<f64> = (0..6_000).map(|bounty| if bounty >= 150 { 0.0 } else { f64::from(bounty % 10) - 1.0 }).collect();
        let plan = Plan { block: 170.0, resamples: 999, seed: 1 };
        let resampled = Resampled::new(&[&profits], &plan).unwrap();
        let interval = resampled.studentized(0, CONFIDENCE);
        assert!(interval.low.is_infinite() || interval.high.is_infinite(), "else there is nothing to mend");
        let facts = MeanFacts::new(Estimate::read(&resampled, 0, 15, CONFIDENCE));
        assert_eq!((facts.interval, facts.at_most), (None, None));
        assert!(facts.nct > 0.0);
    }

    #[test]
    fn who_watches_is_not_told_of_a_mean_that_moves() {
        let mut chance = engine::chance::Key::root(5).stream();
        let noise: Vec<f64> = (0..4_000).map(|_| if chance.below(2) == 1 { 0.5 } else { -0.5 }).collect();
        let steady: Vec<f64> = (0..4_000).map(|bounty| 0.3 + noise[bounty]).collect();
        let facts = watch(&steady, 1);
        assert_eq!(facts.decided_after, Some(PILOT));
        assert!(facts.interval.is_some_and(|(low, high)| 0.0 < low && low < 0.3 && 0.3 < high));
        let moving: Vec<f64> = (0..4_000).map(|bounty| if bounty < 2_000 { 0.3 } else { -0.3 } + noise[bounty]).collect();
        assert_eq!(watch(&moving, 1), WatchedFacts { interval: None, decided_after: None });
        // Nine worse bounties are too few to know how bad it gets.
        let rarely: Vec<f64> = (0..4_000).map(|bounty| if bounty % 400 == 399 && bounty < 3_600 { -1.0 } else { 0.1 }).collect();
        assert_eq!(watch(&rarely, 1), WatchedFacts { interval: None, decided_after: None });
    }

    #[test]
    fn shares_of_a_split_add_up() {
        assert_eq!("50/20/30".parse(), Ok(Split { train: 0.5, validate: 0.2 }));
        assert_eq!("0/50/50".parse(), Ok(Split { train: 0.0, validate: 0.5 }));
        for wrong in ["50/20", "50/20/30/0", "50/50/0", "50/0/50", "-10/60/50", "a/b/c", "NaN/50/50", ""] {
            assert!(wrong.parse::<Split>().is_err(), "{wrong}");
        }
    }
}
