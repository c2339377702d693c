//! What the trials of a sweep say, and how far the best of them can be believed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    folder::{Plan, PlannedCorpus, Shard},
    registry::Registry,
    sampler::Sampler,
    search::{Counts, rungs},
    space::STRATEGY,
    trial::{Figures, Record},
};
use crate::run::unanswered;
use crate::statistics::overfitting::{Blocks, Score, expected_maximum, overfitting_of};

/// Version of the schema of the summary; grows when a field changes its meaning or goes away.
pub const SCHEMA: u32 = 1;
/// Values of one setting that are told apart; more are put together in as many groups.
const GROUPS: usize = 6;
/// Settings that are told of in pairs.
const PAIRED: usize = 8;
/// Values of words that are told of in pairs.
const PAIRED_VALUES: usize = 24;
/// Losing bounties below which a mean hangs on too few.
const LOSSES: u64 = 10;

/// A whole sweep.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Summary {
    pub schema: u32,
    pub version: String,
    pub warnings: Vec<String>,
    pub corpus: PlannedCorpus,
    pub scenario_sha256: String,
    pub sampler: Sampler,
    /// Points that were drawn.
    pub points: u64,
    pub shard: Option<Shard>,
    pub counts: Counts,
    /// Bounties that trials were played on: the first ones.
    pub judged: u64,
    /// Bounties that were kept from them, to judge the best ones by.
    pub held_out: u64,
    /// True if the corpus was played more than once.
    pub repeats: bool,
    /// In a search by halves, what each round was about.
    pub rounds: Vec<RoundFacts>,
    pub best: Option<BestFacts>,
    /// Probability that the best trial of one half of the bounties is not above the middle on the other half; .5 if there is
    /// nothing to choose.
    pub overfitting: Option<f64>,
    /// Numbers of the trials that no other beats in both profit and drawdown.
    pub front: Vec<u32>,
    /// What each setting does to the profit, in the mean over all others.
    pub effects: Vec<EffectFacts>,
    /// The same for two settings at a time, by their places among the effects; of many settings the first ones.
    pub grids: Vec<GridFacts>,
    /// Why trials failed, each reason once, with how many there were.
    pub failures: Vec<(String, u64)>,
    /// The last record of every trial that was played, the best one first: who went on longest, then by profit per bounty.
    pub trials: Vec<Record>,
}

/// A round of a search by halves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct RoundFacts {
    /// Trials that were played in it.
    pub trials: usize,
    /// Numbers of its bounties, from the first to before the last.
    pub bounties: (u64, u64),
}

/// The best trial, and how far it can be believed.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct BestFacts {
    pub number: u32,
    pub trial: String,
    pub strategy: String,
    /// Trials that were ever made on this corpus on this account, these included.
    pub trials_ever: usize,
    /// Sharpe ratio per bounty that the best of so many trials is expected to have if all are worth nothing.
    pub expected_sharpe: Option<f64>,
    /// Probability that its true Sharpe ratio is above that (deflated Sharpe ratio); nothing without variance.
    pub deflated: Option<f64>,
}

/// What one setting does.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct EffectFacts {
    /// The key, or a strategy's parameter as in `fixed?bid`.
    pub name: String,
    pub values: Vec<ValueFacts>,
}

/// What two settings do together.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct GridFacts {
    /// Place of the one among the effects.
    pub x: usize,
    /// Place of the other, after it.
    pub y: usize,
    pub cells: Vec<CellFacts>,
}

/// The trials with one value of either.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct CellFacts {
    /// Place of the value of the first setting.
    pub x: usize,
    /// Place of the value of the second.
    pub y: usize,
    pub trials: usize,
    /// Mean over those trials of the profit per bounty, in NCT.
    pub mean_nct: f64,
    /// The most of any of them.
    pub best_nct: f64,
}

/// One value of a setting, or neighbouring ones together.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ValueFacts {
    pub value: String,
    pub trials: usize,
    /// Mean over those trials of the profit per bounty, in NCT.
    pub mean_nct: f64,
    /// The most of any of them.
    pub best_nct: f64,
}

impl Summary {
    /// Puts the figures of `records` together, which are in order; trials ever made are those of the registry.
    pub fn new(plan: &Plan, counts: Counts, records: &[Record], registry: &Registry) -> Summary {
        let last: BTreeMap<u32, &Record> = records.iter().map(|record| (record.number, record)).collect();
        let mut trials: Vec<(&Record, &Figures)> = last.values().filter_map(|record| Some((*record, record.figures()?))).collect();
        trials.sort_by(|(a, of_a), (b, of_b)| {
            b.rung.cmp(&a.rung).then(of_b.per_bounty_nct.total_cmp(&of_a.per_bounty_nct)).then(a.number.cmp(&b.number))
        });
        let finalists: Vec<(&Record, &Figures)> = trials.iter().filter(|(record, _)| record.rung == trials[0].0.rung).copied().collect();
        let mut failures = BTreeMap::new();
        for record in records {
            if let super::trial::Outcome::Failed(why) = &record.outcome {
                *failures.entry(why.clone()).or_insert(0_u64) += 1;
            }
        }
        let best = trials.first().map(|(record, figures)| best(record, figures, registry));
        let overfitting = overfitted(&finalists);
        let in_round = |round: u32| records.iter().filter(move |record| record.rung == round);
        // Only the first round has all trials, on the same bounties.
        let first: Vec<(&Record, &Figures)> = in_round(0).filter_map(|record| Some((record, record.figures()?))).collect();
        let (effects, grids) = effects(&first);
        let rounds = rungs(plan.sampler, plan.judged).into_iter();
        let rounds = rounds.map(|rung| RoundFacts { trials: in_round(rung.number).count(), bounties: (rung.from, rung.to) });
        let rounds: Vec<RoundFacts> = rounds.filter(|_| plan.sampler == Sampler::Halving).collect();
        let warnings = plan.warnings.iter().cloned().chain(unanswered());
        let warnings = warnings.chain(warned(best.as_ref(), trials.first().copied(), overfitting, &rounds, &first)).collect();
        Summary {
            schema: SCHEMA,
            version: plan.version.clone(),
            warnings,
            corpus: plan.corpus.clone(),
            scenario_sha256: plan.scenario_sha256.clone(),
            sampler: plan.sampler,
            points: plan.trials,
            shard: plan.shard,
            counts,
            judged: plan.judged,
            held_out: plan.bounties - plan.judged,
            repeats: plan.repeats,
            rounds,
            best,
            overfitting,
            front: front(&finalists),
            effects,
            grids,
            failures: failures.into_iter().collect(),
            trials: trials.iter().map(|(record, _)| Record::clone(record)).collect(),
        }
    }
}

fn best(record: &Record, figures: &Figures, registry: &Registry) -> BestFacts {
    let expected = expected_maximum(&registry.sharpes(), registry.len() as f64);
    BestFacts {
        number: record.number,
        trial: record.trial.clone(),
        strategy: record.strategy.clone(),
        trials_ever: registry.len(),
        expected_sharpe: figures.sharpe.map(|_| expected),
        deflated: figures.sharpe.map(|sharpe| sharpe.probability_above(expected)),
    }
}

fn overfitted(finalists: &[(&Record, &Figures)]) -> Option<f64> {
    let blocks: Vec<&Blocks> = finalists.iter().filter_map(|(_, figures)| figures.blocks.as_ref()).collect();
    // Markets of different lengths cannot be cut alike.
    let alike = blocks.iter().all(|block| block.length == blocks[0].length);
    // Of equals none is overfitted.
    let differ = blocks.iter().any(|block| block != &blocks[0]);
    (differ && blocks.len() == finalists.len() && alike).then(|| overfitting_of(&blocks, Score::Mean).probability)
}

fn warned(
    best: Option<&BestFacts>,
    trial: Option<(&Record, &Figures)>,
    overfitting: Option<f64>,
    rounds: &[RoundFacts],
    all: &[(&Record, &Figures)],
) -> Vec<String> {
    let mut warnings = Vec::new();
    let Some((best, (record, figures))) = best.zip(trial) else { return warnings };
    if rounds.len() == 1 {
        warnings.push("so few bounties make a single round, so nothing was halved: it takes 4,000 for two".to_owned());
    }
    let of_market = |key: &str| !key.starts_with("engine.") && key != "wallets.engine";
    let varies = |key: &str| all.iter().any(|(other, _)| other.set.get(key) != record.set.get(key));
    if let Some(key) = record.chosen().map(|(key, _)| key).find(|key| of_market(key) && varies(key)) {
        warnings.push(format!("`{key}` is nobody's to choose: the best trial may only have had the easiest market; compare within one"));
    }
    if figures.profit_nct <= 0.0 {
        warnings.push("no trial earned anything: leaving every bounty alone is better".to_owned());
    } else if best.deflated.is_none_or(|deflated| deflated < 0.95) {
        warnings.push(format!("the best of {} trials can look this good by luck: do not take its profit for a forecast", best.trials_ever));
    }
    if overfitting.is_some_and(|probability| probability > 0.25) {
        warnings.push("who is best on one half of the bounties is often not on the other: the choice is overfitted".to_owned());
    }
    if figures.asserted > 0 && figures.lost < LOSSES {
        warnings.push(format!("the best trial lost only {} bounties: too few to know how much it can lose", figures.lost));
    }
    warnings
}

/// Numbers of those whom nobody beats in both profit per bounty and drawdown, by profit.
fn front(finalists: &[(&Record, &Figures)]) -> Vec<u32> {
    let mut least = f64::INFINITY;
    let mut front = Vec::new();
    // They come by falling profit: whoever falls less deep than all before is on the front.
    for (record, figures) in finalists {
        if figures.drawdown_nct < least {
            least = figures.drawdown_nct;
            front.push(record.number);
        }
    }
    front
}

/// What each setting does, where it has several values; and what any two do together.
fn effects(trials: &[(&Record, &Figures)]) -> (Vec<EffectFacts>, Vec<GridFacts>) {
    let mut values: BTreeMap<String, Vec<Tried>> = BTreeMap::new();
    for (trial, (record, figures)) in trials.iter().enumerate() {
        let mut add = |name: String, value: String| {
            values.entry(name).or_default().push(Tried { value, per_bounty_nct: figures.per_bounty_nct, trial });
        };
        let (strategy, parameters) = record.strategy.split_once('?').unwrap_or((&record.strategy, ""));
        add(STRATEGY.to_owned(), strategy.to_owned());
        // What follows `base=` is another strategy's.
        let own = parameters.split("base=").next().unwrap_or_default();
        for (key, value) in own.split('&').filter_map(|pair| pair.split_once('=')) {
            add(format!("{strategy}?{key}"), value.to_owned());
        }
        for (key, value) in record.chosen() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            add(key.clone(), value);
        }
    }
    let groups = values.into_iter().map(|(name, found)| (name, grouped(found))).filter(|(_, groups)| groups.len() > 1);
    let groups: Vec<(String, Vec<Vec<Tried>>)> = groups.collect();
    // By effect, which value a trial has.
    let places: Vec<BTreeMap<usize, usize>> = groups
        .iter()
        .map(|(_, groups)| {
            groups.iter().enumerate().flat_map(|(place, group)| group.iter().map(move |tried| (tried.trial, place))).collect()
        })
        .collect();
    let paired = groups.iter().enumerate().filter(|(_, (_, groups))| groups.len() <= PAIRED_VALUES).map(|(place, _)| place);
    let paired: Vec<usize> = paired.take(PAIRED).collect();
    let pairs = paired.iter().flat_map(|&x| paired.iter().filter(move |&&y| y > x).map(move |&y| (x, y)));
    let grids = pairs.map(|(x, y)| {
        let mut cells: BTreeMap<(usize, usize), Vec<f64>> = BTreeMap::new();
        for (trial, (_, figures)) in trials.iter().enumerate() {
            if let Some(cell) = places[x].get(&trial).copied().zip(places[y].get(&trial).copied()) {
                cells.entry(cell).or_default().push(figures.per_bounty_nct);
            }
        }
        let facts = |((x, y), profits): ((usize, usize), Vec<f64>)| {
            let (mean_nct, best_nct) = mean_and_best(&profits);
            CellFacts { x, y, trials: profits.len(), mean_nct, best_nct }
        };
        GridFacts { x, y, cells: cells.into_iter().map(facts).collect() }
    });
    // Parameters of two strategies never meet.
    let grids = grids.filter(|grid| !grid.cells.is_empty()).collect();
    let facts = |(name, groups): &(String, Vec<Vec<Tried>>)| EffectFacts {
        name: name.clone(),
        values: groups.iter().map(|group| facts(group)).collect(),
    };
    (groups.iter().map(facts).collect(), grids)
}

/// The value that a trial has, and what it earned.
#[derive(Clone, PartialEq, Debug)]
struct Tried {
    value: String,
    per_bounty_nct: f64,
    trial: usize,
}

fn mean_and_best(profits: &[f64]) -> (f64, f64) {
    (profits.iter().sum::<f64>() / profits.len() as f64, profits.iter().copied().fold(f64::NEG_INFINITY, f64::max))
}

/// What trials with one value, or neighbouring ones, earned.
fn facts(group: &[Tried]) -> ValueFacts {
    let (first, last) = (&group[0].value, &group[group.len() - 1].value);
    let (mean_nct, best_nct) = mean_and_best(&group.iter().map(|tried| tried.per_bounty_nct).collect::<Vec<f64>>());
    ValueFacts {
        value: if first == last { first.clone() } else { format!("{} to {}", short(first), short(last)) },
        trials: group.len(),
        mean_nct,
        best_nct,
    }
}

/// The text of a number with no more than four digits.
fn short(text: &str) -> String {
    text.parse::<f64>().map_or_else(|_| text.to_owned(), |number| format!("{number:.3e}").parse().unwrap_or(number).to_string())
}

/// Trials by value, in order; neighbouring numbers together, if there are many.
fn grouped(mut found: Vec<Tried>) -> Vec<Vec<Tried>> {
    let number = |tried: &Tried| tried.value.parse::<f64>().ok();
    let numbers = found.iter().all(|tried| number(tried).is_some());
    found.sort_by(|a, b| match (numbers, number(a), number(b)) {
        (true, Some(a), Some(b)) => a.total_cmp(&b),
        _ => a.value.cmp(&b.value),
    });
    let distinct = found.iter().map(|tried| &tried.value).collect::<BTreeSet<_>>().len();
    if distinct <= GROUPS || !numbers {
        return found.chunk_by(|a, b| a.value == b.value).map(<[Tried]>::to_vec).collect();
    }
    found.chunks(found.len().div_ceil(GROUPS)).map(<[Tried]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_numbers_are_put_together_and_few_values_are_not() {
        let tried = |(trial, value): (usize, &&str)| Tried { value: (*value).to_owned(), per_bounty_nct: trial as f64, trial };
        let of =
            |values: &[&str]| grouped(values.iter().enumerate().map(tried).collect()).iter().map(|group| facts(group)).collect::<Vec<_>>();
        let few = of(&["10", "9", "9"]);
        assert_eq!(
            few.iter().map(|facts| (facts.value.as_str(), facts.trials, facts.mean_nct)).collect::<Vec<_>>(),
            [("9", 2, 1.5), ("10", 1, 0.0)]
        );
        let many = of(&["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"]);
        assert_eq!(many.len(), 6);
        assert_eq!((many[5].value.as_str(), many[5].best_nct), ("11 to 12", 11.0));
        assert_eq!(of(&["a", "b", "c", "d", "e", "f", "g"]).len(), 7, "words have no neighbours");
    }
}
