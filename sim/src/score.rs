//! Scores: what the engine and its rivals earned and how right they were. The only place where money becomes a float,
//! and only after it has been added up in wei.

use std::collections::BTreeMap;

use engine::microengine::Abstention;
use market::{
    block::BlockNumber,
    nct::{Nct, NctDelta},
    verdict::ArtifactSet,
};
use replay::{
    follower::{Follower, OwnBounty},
    world::{ClosedBounty, Decision, Observer},
};
use serde::{Deserialize, Serialize};

use crate::{
    curve::Curve,
    forecast::{Forecasts, Met},
    groups::Groups,
};

/// File types that are told apart; further ones are counted together.
const TYPES: usize = 64;

/// Calls against a truth: malicious is positive.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Table {
    /// Malicious called malicious.
    pub true_positives: u64,
    /// Benign called malicious.
    pub false_positives: u64,
    /// Benign called benign.
    pub true_negatives: u64,
    /// Malicious called benign.
    pub false_negatives: u64,
}

impl Table {
    /// Counts one call.
    pub fn add(&mut self, called: bool, truth: bool) {
        let (if_malicious, if_benign) = match called {
            true => (&mut self.true_positives, &mut self.false_positives),
            false => (&mut self.false_negatives, &mut self.true_negatives),
        };
        *(if truth { if_malicious } else { if_benign }) += 1;
    }

    /// Those of both.
    #[must_use]
    pub fn and(self, other: &Table) -> Table {
        Table {
            true_positives: self.true_positives + other.true_positives,
            false_positives: self.false_positives + other.false_positives,
            true_negatives: self.true_negatives + other.true_negatives,
            false_negatives: self.false_negatives + other.false_negatives,
        }
    }

    /// Calls in all.
    pub fn total(&self) -> u64 {
        self.true_positives + self.false_positives + self.true_negatives + self.false_negatives
    }

    /// Share of right calls.
    pub fn accuracy(&self) -> Option<f64> {
        let [(part, whole), ..] = self.shares();
        ratio(part, whole)
    }

    /// Share of malicious artifacts called malicious.
    pub fn tpr(&self) -> Option<f64> {
        let [_, (part, whole), _] = self.shares();
        ratio(part, whole)
    }

    /// Share of benign artifacts called malicious.
    pub fn fpr(&self) -> Option<f64> {
        let [.., (part, whole)] = self.shares();
        ratio(part, whole)
    }

    /// Share of artifacts called malicious that are.
    pub fn precision(&self) -> Option<f64> {
        ratio(self.true_positives, self.true_positives + self.false_positives)
    }

    /// Calls that count and calls in all of the accuracy, the TPR and the FPR.
    pub fn shares(&self) -> [(u64, u64); 3] {
        let Table { true_positives, false_positives, true_negatives, false_negatives } = *self;
        [
            (true_positives + true_negatives, self.total()),
            (true_positives, true_positives + false_negatives),
            (false_positives, false_positives + true_negatives),
        ]
    }

    /// Mean of the shares of right calls on malicious and on benign artifacts.
    pub fn balanced(&self) -> Option<f64> {
        self.tpr().zip(self.fpr()).map(|(tpr, fpr)| (tpr + 1.0 - fpr) / 2.0)
    }

    /// Harmonic mean of precision and TPR.
    pub fn f1(&self) -> Option<f64> {
        ratio(2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives)
    }

    /// Matthews' correlation coefficient; 0 where it is not defined.
    pub fn mcc(&self) -> f64 {
        let [tp, fp, tn, fne] =
            [self.true_positives, self.false_positives, self.true_negatives, self.false_negatives].map(|count| count as f64);
        let product = (tp + fp) * (tp + fne) * (tn + fp) * (tn + fne);
        if product == 0.0 { 0.0 } else { (tp * tn - fp * fne) / product.sqrt() }
    }
}

/// A share, if there is anything to share.
pub fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// What the engine's balance change is made of, to the wei.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Components {
    /// Shares of bounty amounts.
    pub bounty_share: Nct,
    /// Shares of the stakes of those who were wrong.
    pub losers_share: Nct,
    /// Shares of bounty amounts when nobody voted.
    pub no_vote_share: Nct,
    /// Own stakes lost.
    pub lost_stake: Nct,
    /// Assertion fees lost.
    pub fees: Nct,
    /// Wei that rounding gave or took.
    pub rounding: NctDelta,
}

impl Components {
    /// Their sum.
    pub fn profit(&self) -> NctDelta {
        let gains = [self.bounty_share, self.losers_share, self.no_vote_share].into_iter().sum::<Nct>();
        gains.minus(self.lost_stake) - NctDelta::from(self.fees) + self.rounding
    }
}

/// The deepest fall of the equity curve.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Drawdown {
    equity: NctDelta,
    peak: NctDelta,
    /// From the peak to where it is now.
    below: NctDelta,
    peak_bounty: u64,
    /// From peak to trough.
    pub depth: NctDelta,
    /// Bounties settled up to the peak before it, and up to its trough.
    pub from: u64,
    /// See `from`.
    pub to: u64,
    /// Most bounties settled in a row below an earlier peak.
    pub longest_under_water: u64,
}

impl Drawdown {
    fn add(&mut self, profit: NctDelta, settled: u64) {
        self.equity += profit;
        if self.equity >= self.peak {
            (self.peak, self.peak_bounty) = (self.equity, settled);
        }
        let depth = self.peak - self.equity;
        self.below = depth;
        if depth > self.depth {
            (self.depth, self.from, self.to) = (depth, self.peak_bounty, settled);
        }
        self.longest_under_water = self.longest_under_water.max(settled - self.peak_bounty);
    }
}

/// What the engine had in escrow over time.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Capital {
    last: Option<BlockNumber>,
    locked: Nct,
    /// NCT times blocks.
    integral: f64,
    /// The most at any time.
    pub peak: Nct,
}

impl Capital {
    fn change(&mut self, now: BlockNumber, locked: Nct) {
        if let Some(last) = self.last {
            self.integral += self.locked.to_f64() * (now.0 - last.0) as f64;
        }
        (self.last, self.locked, self.peak) = (Some(now), locked, self.peak.max(locked));
    }

    /// The mean over `blocks` blocks, in NCT.
    pub fn mean(&self, blocks: u64) -> f64 {
        if blocks == 0 { 0.0 } else { self.integral / blocks as f64 }
    }
}

/// One rival's record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RivalScore {
    /// Bounties asserted on.
    pub bounties: u64,
    /// Against the consensus.
    pub table: Table,
    /// Everything staked.
    pub staked: Nct,
    /// Assertions never revealed.
    pub unrevealed: u64,
}

/// The engine and its rivals on one file type.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct TypeScore {
    /// Artifacts of that type.
    pub artifacts: u64,
    /// Malicious ones by the corpus.
    pub malicious: u64,
    /// The engine's calls against the corpus label.
    pub label: Table,
    /// Profit on bounties whose first artifact is of that type.
    pub profit: NctDelta,
    /// Malicious artifacts that at least one rival had an opinion on, and those that their majority missed.
    pub panel_malicious: u64,
    /// See `panel_malicious`; a tie is malicious, as in a vote.
    pub panel_missed: u64,
    /// Benign artifacts that at least one rival had an opinion on, and those that their majority called malicious.
    pub panel_benign: u64,
    /// See `panel_benign`.
    pub panel_false_alarms: u64,
}

/// Scores by file type: the first types are told apart, the others are counted together.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TypeScores {
    scores: Vec<TypeScore>,
    /// Where the score of a type is, by name.
    by_name: BTreeMap<String, usize>,
    /// The same by number, for types that have one: the names of others are all the same number, 0.
    by_number: Vec<Option<usize>>,
}

impl TypeScores {
    /// Names and scores, in order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &TypeScore)> {
        self.by_name.iter().map(|(name, &place)| (name.as_str(), &self.scores[place]))
    }

    /// The score of a type, whose name is asked for only if its number was not met before.
    #[inline]
    fn of<'a>(&mut self, number: usize, name: impl FnOnce() -> &'a str) -> &mut TypeScore {
        let place = match self.by_number.get(number) {
            Some(&Some(place)) => place,
            _ => self.find(number, name()),
        };
        &mut self.scores[place]
    }

    fn find(&mut self, number: usize, name: &str) -> usize {
        let name = if self.scores.len() < TYPES || self.by_name.contains_key(name) { name } else { datasets::OTHER_TYPES };
        let place = match self.by_name.get(name) {
            Some(&place) => place,
            None => {
                self.scores.push(TypeScore::default());
                self.by_name.insert(name.to_owned(), self.scores.len() - 1);
                self.scores.len() - 1
            }
        };
        if number > 0 {
            self.by_number.resize(self.by_number.len().max(number + 1), None);
            self.by_number[number] = Some(place);
        }
        place
    }
}

/// The engine's probabilities of malice, asserted or not, against both truths.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Foretold {
    /// Against the arbiters' consensus.
    pub consensus: Forecasts,
    /// Against the corpus label.
    pub label: Forecasts,
}

/// What is counted of the engine alone, in a world or against a tape.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct OwnScore {
    /// Bounties that are over.
    pub bounties: u64,
    /// Their artifacts.
    pub artifacts: u64,
    /// Bounties that the engine asserted on.
    pub asserted: u64,
    /// Artifacts that the engine staked on.
    pub asserted_artifacts: u64,
    /// Bounties left alone, by reason.
    pub abstained: BTreeMap<Abstention, u64>,
    /// Assertions that the market refused.
    pub refused: u64,
    /// Everything the engine staked.
    pub staked: Nct,
    /// What its profit is made of.
    pub components: Components,
    /// Bounties with a gain, and with a loss.
    pub won: u64,
    /// See `won`.
    pub lost: u64,
    /// The deepest fall of its equity.
    pub drawdown: Drawdown,
    /// What it had in escrow.
    pub capital: Capital,
    /// Its calls against the arbiters' consensus.
    pub consensus: Table,
    /// Its calls against the corpus label.
    pub label: Table,
}

/// Everything that is counted while a run is played.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Scorecard {
    /// The engine's own.
    pub own: OwnScore,
    /// Its probabilities on the bounties before [`Scorecard::held_out_from`], and from there on.
    pub forecasts: [Foretold; 2],
    /// What scoring those of late takes.
    met: Met,
    /// Number of the first bounty that is held out: the last three tenths of the run, where what learns has learned.
    pub held_out_from: u64,
    /// The consensus against the corpus label.
    pub truth: Table,
    /// Bounties without any vote.
    pub unvoted: u64,
    /// The rivals, in order.
    pub rivals: Vec<RivalScore>,
    /// By file type.
    pub types: TypeScores,
    /// By family, and by the month in which artifacts were first seen.
    pub groups: Groups,
    /// Equity and capital over time.
    pub curve: Curve,
}

impl Follower for OwnScore {
    fn locked(&mut self, now: BlockNumber, locked: Nct) {
        self.capital.change(now, locked);
    }

    fn closed(&mut self, own: &OwnBounty<'_>) {
        self.count(own);
    }
}

impl OwnScore {
    /// Counts a bounty that is over; answers what it brought.
    pub fn count(&mut self, own: &OwnBounty<'_>) -> NctDelta {
        self.bounties += 1;
        self.artifacts += own.artifacts as u64;
        match own.decision {
            Decision::Asserted(_) => {}
            Decision::Abstained(reason) => *self.abstained.entry(reason).or_default() += 1,
            Decision::Refused(_) => self.refused += 1,
        }
        let Some((assertion, reward)) = own.stake else { return NctDelta::ZERO };
        let staked = assertion.staked().expect("a stake within the supply");
        self.asserted += 1;
        add(&mut self.staked, staked);
        let all = &mut self.components;
        add(&mut all.bounty_share, reward.bounty_share);
        add(&mut all.losers_share, reward.losers_share);
        add(&mut all.no_vote_share, reward.no_vote_share);
        add(&mut all.lost_stake, reward.lost_stake);
        add(&mut all.fees, reward.fee_lost);
        all.rounding += reward.rounding;
        let profit = reward.profit();
        if profit.is_negative() {
            self.lost += 1;
        } else if profit != NctDelta::ZERO {
            self.won += 1;
        }
        self.drawdown.add(profit, self.asserted);

        for artifact in 0..own.artifacts {
            if let Some(called) = assertion.verdict(artifact) {
                self.asserted_artifacts += 1;
                self.label.add(called, own.labels.contains(artifact));
                if let Some(consensus) = own.consensus {
                    self.consensus.add(called, consensus.contains(artifact));
                }
            }
        }
        profit
    }
}

impl Scorecard {
    /// For that many rivals and bounties.
    pub fn new(rivals: usize, bounties: u64) -> Scorecard {
        let held_out_from = bounties - bounties * 3 / 10;
        Scorecard { rivals: vec![RivalScore::default(); rivals], held_out_from, ..Scorecard::default() }
    }

    fn forecasts(&mut self, closed: &ClosedBounty<'_>) {
        let foretold = &mut self.forecasts[usize::from(closed.plan.number >= self.held_out_from)];
        for (artifact, verdict) in closed.verdicts.iter().enumerate() {
            if let Some(verdict) = verdict {
                let forecast = self.met.of(verdict);
                foretold.label.add(forecast, closed.plan.labels.contains(artifact));
                if let Some(consensus) = closed.consensus {
                    foretold.consensus.add(forecast, consensus.contains(artifact));
                }
            }
        }
    }

    /// Counts the rivals' assertions; and their opinions on each artifact, benign and malicious ones.
    fn rivals(&mut self, closed: &ClosedBounty<'_>, opinions: &mut [[u32; 2]]) {
        for (plan, index) in closed.plan.rivals.iter().zip(closed.rivals) {
            if index.is_none() {
                continue;
            }
            let score = &mut self.rivals[plan.rival];
            score.bounties += 1;
            for &bid in &plan.bids {
                add(&mut score.staked, bid);
            }
            if !plan.reveals {
                score.unrevealed += 1;
            }
            for (artifact, opinions) in opinions.iter_mut().enumerate() {
                if plan.mask.contains(artifact) {
                    let called = plan.verdicts.contains(artifact);
                    opinions[usize::from(called)] += 1;
                    if let Some(consensus) = closed.consensus {
                        score.table.add(called, consensus.contains(artifact));
                    }
                }
            }
        }
    }
}

impl Observer for Scorecard {
    fn locked(&mut self, now: BlockNumber, locked: Nct) {
        self.own.locked(now, locked);
        self.curve.lock(locked);
    }

    fn closed(&mut self, closed: &ClosedBounty<'_>) {
        self.unvoted += u64::from(closed.consensus.is_none());
        let own = OwnBounty::from(closed);
        let profit = self.own.count(&own);
        let OwnScore { drawdown, consensus, label, .. } = &self.own;
        self.curve.add(closed.now, drawdown.equity, drawdown.below, [consensus, label]);
        self.forecasts(closed);
        let mut opinions: smallvec::SmallVec<[[u32; 2]; 4]> = smallvec::SmallVec::from_elem([0, 0], closed.plan.artifacts.len());
        self.rivals(closed, &mut opinions);
        let called = own.stake.map(|(assertion, _)| assertion);
        for (artifact, &file_type) in closed.plan.file_types.iter().enumerate() {
            let malicious = closed.plan.labels.contains(artifact);
            if let Some(consensus) = closed.consensus {
                self.truth.add(consensus.contains(artifact), malicious);
            }
            let score = self.types.of(file_type, || closed.plan.artifacts[artifact].file_type.as_deref().unwrap_or(datasets::NO_TYPE));
            score.artifacts += 1;
            score.malicious += u64::from(malicious);
            let profit = if artifact == 0 { profit } else { NctDelta::ZERO };
            score.profit += profit;
            let called = called.and_then(|assertion| assertion.verdict(artifact));
            if let Some(called) = called {
                score.label.add(called, malicious);
            }
            self.groups.add(closed.plan.kept_row(artifact), &closed.plan.artifacts[artifact], malicious, called, profit);
            let [for_benign, for_malicious] = opinions[artifact];
            if for_malicious + for_benign > 0 {
                let panel = for_malicious >= for_benign;
                if malicious {
                    score.panel_malicious += 1;
                    score.panel_missed += u64::from(!panel);
                } else {
                    score.panel_benign += 1;
                    score.panel_false_alarms += u64::from(panel);
                }
            }
        }
    }
}

/// Adds up money.
fn add(sum: &mut Nct, amount: Nct) {
    assert!(sum.give(amount), "a sum within the supply");
}

/// Artifacts of a set as a text of 0 and 1, artifact 0 first.
pub fn bits(set: ArtifactSet, artifacts: usize) -> String {
    (0..artifacts).map(|artifact| if set.contains(artifact) { '1' } else { '0' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_knows_its_rates() {
        let mut table = Table::default();
        for (called, truth, times) in [(true, true, 6), (false, true, 2), (true, false, 1), (false, false, 3)] {
            (0..times).for_each(|_| table.add(called, truth));
        }
        assert_eq!((table.accuracy(), table.tpr(), table.fpr()), (Some(0.75), Some(0.75), Some(0.25)));
        assert_eq!((table.precision(), table.balanced(), table.f1()), (Some(6.0 / 7.0), Some(0.75), Some(0.8)));
        assert!((table.mcc() - (6.0 * 3.0 - 1.0 * 2.0) / (7.0f64 * 8.0 * 4.0 * 5.0).sqrt()).abs() < 1e-12);
        assert_eq!((Table::default().accuracy(), Table::default().mcc()), (None, 0.0));
    }

    #[test]
    fn drawdown_is_the_deepest_fall_and_remembers_where() {
        let mut drawdown = Drawdown::default();
        for (settled, profit) in [3i64, -1, -1, 4, -5, 2, -4, 1].into_iter().enumerate() {
            let amount = NctDelta::from(Nct::whole(profit.unsigned_abs()));
            drawdown.add(if profit < 0 { NctDelta::ZERO - amount } else { amount }, settled as u64 + 1);
        }
        assert_eq!(drawdown.depth, NctDelta::from(Nct::whole(7)));
        assert_eq!((drawdown.from, drawdown.to, drawdown.longest_under_water), (4, 7, 4));
    }

    #[test]
    fn capital_is_weighted_by_blocks() {
        let mut capital = Capital::default();
        capital.change(BlockNumber(10), Nct::whole(2));
        capital.change(BlockNumber(20), Nct::whole(1));
        capital.change(BlockNumber(40), Nct::ZERO);
        assert_eq!((capital.mean(40), capital.peak), (1.0, Nct::whole(2)));
    }
}
