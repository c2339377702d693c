//! The engine's judgement: distiller, calibration and interval together, learning in time.
//!
//! What may be learned from is public: the arbiters' consensus on bounties that the engine had scanned, whether it staked
//! on them or not. A decision in block `t` knows the bounties settled before `t`, in order of (block of settlement, guid),
//! whatever order they were told in. Every `refit` settled artifacts, the first two are learned anew from the last `window`:
//!
//! 1. the distiller, from the answers it was given;
//! 2. the map, from what the distiller of today says of these lessons. One that learns has them by heart, so its scores
//!    are those of five twins, each of which has learned without the fifth of the lessons that it is asked about (every
//!    fifth one, so that all fifths come from the same time). What it said at the time is no guide: it was another then.
//!    With the map goes the [prior] of today, from the latest of these scores;
//! 3. the interval, as settlements come in, from what became of the probabilities that were stated at the time, and from
//!    what the distiller itself, whose ends the map reads like any score, said of its doubts ([`interval`](crate::interval)).
//!
//! A judge that learns nothing remembers nothing, and its intervals are those of the distiller.

use std::collections::VecDeque;

use market::{
    block::BlockNumber,
    id::{Guid, GuidMap},
    verdict::ArtifactSet,
};

use crate::{
    artifact::ScanResult,
    calibrate::{Map, MapKind, Scored, prior},
    distill::{DistilledVerdict, Distiller, Lesson, suffice},
    interval::{Doubt, spread},
};

/// Artifacts of bounties whose settlement is waited for; beyond that the oldest bounty is forgotten.
const OPEN_MAXIMUM: usize = 50_000;

/// Parts that lessons are cut into, so that a distiller can be asked about what it has not learned from.
const FOLDS: usize = 5;

/// How often is learned, and from how much.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// Settled artifacts from one lesson to the next.
    pub refit: u64,
    /// Settled artifacts that are learned from.
    pub window: usize,
    /// Settled artifacts with which an outcome's weight for the prior halves; 0 for no prior of its own.
    pub half_life: u32,
}

/// Judges answers.
#[derive(Debug)]
pub struct Judge {
    distiller: Box<dyn Distiller>,
    learning: Option<Box<Learning>>,
}

/// What a judge that learns keeps in mind.
#[derive(Debug)]
struct Learning {
    kind: MapKind,
    schedule: Schedule,
    map: Map,
    /// Log-odds that are added to what the map says.
    shift: f64,
    doubt: Doubt,
    /// Settled artifacts, oldest first.
    lessons: VecDeque<Lesson>,
    /// Settled artifacts so far.
    heard: u64,
    open: GuidMap<Vec<Remembered>>,
    /// Artifacts in `open`.
    waiting: usize,
    /// Guids of `open`, oldest first, and of some that are settled.
    order: VecDeque<Guid>,
    /// Told, and not learned yet.
    told: Vec<(BlockNumber, Guid, ArtifactSet)>,
}

/// An artifact that was judged.
#[derive(Debug)]
struct Remembered {
    artifact: usize,
    answers: Box<[ScanResult]>,
    stated: Stated,
}

/// What was said of it.
#[derive(Clone, Copy, Debug)]
struct Stated {
    probability: f64,
    /// Spread of the distiller's own interval.
    own: f64,
}

impl Judge {
    /// Judges by that distiller, and as that map learns to read it.
    pub fn new(distiller: Box<dyn Distiller>, kind: MapKind, schedule: Schedule) -> Judge {
        let learns = distiller.learns() || kind != MapKind::None;
        let learning = || {
            let (map, shift, doubt, lessons, open, order, told) = Default::default();
            Box::new(Learning { kind, schedule, map, shift, doubt, lessons, heard: 0, open, waiting: 0, order, told })
        };
        Judge { learning: learns.then(learning), distiller }
    }

    /// True if it wants to hear of settlements.
    pub fn learns(&self) -> bool {
        self.learning.is_some()
    }

    /// One verdict per artifact of a bounty, from all answers, artifact by artifact, with what is known in block `now`.
    pub fn judge(
        &mut self,
        now: BlockNumber,
        guid: Guid,
        artifacts: usize,
        answers: &[ScanResult],
        verdicts: &mut Vec<Option<DistilledVerdict>>,
    ) {
        verdicts.clear();
        let backends = answers.len() / artifacts.max(1);
        let of = |artifact: usize| &answers[artifact * backends..(artifact + 1) * backends];
        let Some(learning) = &mut self.learning else {
            verdicts.extend((0..artifacts).map(|artifact| self.distiller.distill(of(artifact))));
            return;
        };
        learning.learn(now, &mut *self.distiller);
        let mut remembered = Vec::new();
        for artifact in 0..artifacts {
            let stated = self.distiller.distill(of(artifact)).map(|raw| learning.read(&raw));
            verdicts.push(stated.map(|stated| learning.verdict(stated)));
            if let Some(stated) = stated {
                remembered.push(Remembered { artifact, answers: of(artifact).into(), stated });
            }
        }
        if !remembered.is_empty() {
            learning.remember(guid, remembered);
        }
    }

    /// Hears that a bounty was settled in block `now`, and what the arbiters' votes made of it; `None` without votes.
    pub fn settled(&mut self, now: BlockNumber, guid: Guid, consensus: Option<ArtifactSet>) {
        let Some(learning) = &mut self.learning else { return };
        match consensus {
            Some(consensus) if learning.open.contains_key(&guid) => learning.told.push((now, guid, consensus)),
            _ => drop(learning.recall(guid)),
        }
    }
}

impl Learning {
    /// What there is to say if the distiller says so.
    fn read(&self, raw: &DistilledVerdict) -> Stated {
        let of = |score: f64| prior::shifted(self.map.apply(score), self.shift);
        let (low, high) = raw.interval;
        Stated { probability: of(raw.probability), own: spread((of(low), of(high))) }
    }

    fn verdict(&self, stated: Stated) -> DistilledVerdict {
        DistilledVerdict { probability: stated.probability, interval: self.doubt.interval(stated.probability, stated.own) }
    }

    fn remember(&mut self, guid: Guid, artifacts: Vec<Remembered>) {
        self.waiting += artifacts.len();
        match self.open.insert(guid, artifacts) {
            Some(before) => self.waiting -= before.len(),
            None => self.order.push_back(guid),
        }
        while self.waiting > OPEN_MAXIMUM || self.order.len() > 2 * OPEN_MAXIMUM {
            let Some(oldest) = self.order.pop_front() else { break };
            self.recall(oldest);
        }
    }

    /// What was said of a bounty's artifacts, no more to be remembered.
    fn recall(&mut self, guid: Guid) -> Vec<Remembered> {
        let artifacts = self.open.remove(&guid).unwrap_or_default();
        self.waiting -= artifacts.len();
        artifacts
    }

    /// Learns from what was settled before block `now`.
    fn learn(&mut self, now: BlockNumber, distiller: &mut dyn Distiller) {
        if self.told.iter().all(|&(block, ..)| block >= now) {
            return;
        }
        self.told.sort_unstable_by_key(|&(block, guid, _)| (block, guid));
        let past = self.told.partition_point(|&(block, ..)| block < now);
        for (_, guid, consensus) in self.told.drain(..past).collect::<Vec<_>>() {
            for remembered in self.recall(guid) {
                self.take(remembered, consensus);
                if self.heard.is_multiple_of(self.schedule.refit) {
                    self.refit(distiller);
                }
            }
        }
        while self.order.front().is_some_and(|guid| !self.open.contains_key(guid)) {
            self.order.pop_front();
        }
    }

    fn take(&mut self, remembered: Remembered, consensus: ArtifactSet) {
        let Remembered { artifact, answers, stated } = remembered;
        let malicious = consensus.contains(artifact);
        self.doubt.add(stated.probability, stated.own, malicious);
        if self.lessons.len() == self.schedule.window {
            self.lessons.pop_front();
        }
        self.lessons.push_back(Lesson { answers, malicious });
        self.heard += 1;
    }

    fn refit(&mut self, distiller: &mut dyn Distiller) {
        let lessons: Vec<&Lesson> = self.lessons.iter().collect();
        distiller.learn(&lessons);
        if self.kind == MapKind::None || !suffice(&lessons) {
            return;
        }
        if let Some(mut outcomes) = score(distiller, &lessons) {
            self.map = Map::fit(self.kind, &outcomes);
            outcomes.iter_mut().for_each(|outcome| outcome.score = self.map.apply(outcome.score));
            self.shift = prior::shift(&outcomes, self.schedule.half_life);
        }
    }
}

/// What the distiller says of lessons as if it had not learned from them; nothing if four fifths of them are too few to
/// learn from.
fn score(distiller: &dyn Distiller, lessons: &[&Lesson]) -> Option<Vec<Scored>> {
    let scored = |distiller: &dyn Distiller, lesson: &Lesson| {
        let verdict = distiller.distill(&lesson.answers);
        let score = verdict.expect("there was one when the answers were first judged").probability;
        Scored { score, malicious: lesson.malicious }
    };
    if !distiller.learns() {
        return Some(lessons.iter().map(|lesson| scored(distiller, lesson)).collect());
    }
    let twins: Vec<Box<dyn Distiller>> = (0..FOLDS)
        .map(|fold| {
            let others: Vec<&Lesson> =
                lessons.iter().enumerate().filter(|(place, _)| place % FOLDS != fold).map(|(_, lesson)| *lesson).collect();
            suffice(&others).then(|| {
                let mut twin = distiller.twin();
                twin.learn(&others);
                twin
            })
        })
        .collect::<Option<_>>()?;
    Some(lessons.iter().enumerate().map(|(place, lesson)| scored(&*twins[place % FOLDS], lesson)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chance::Key,
        distill::{
            log_odds::{LogOddsDistiller, Record},
            stack::StackDistiller,
        },
    };

    const SCHEDULE: Schedule = Schedule { refit: 50, window: 400, half_life: 150 };

    fn log_odds() -> LogOddsDistiller {
        LogOddsDistiller::new(0.5, 0.25, &[Record::default(); 2])
    }

    fn learner() -> Judge {
        Judge::new(Box::new(StackDistiller::new(log_odds())), MapKind::Auto, SCHEDULE)
    }

    /// The answers on bounty `number`, and what becomes of it.
    fn bounty(number: u64) -> ([ScanResult; 2], bool) {
        let mut chance = Key::root(12).with(number).stream();
        let malicious = chance.uniform() < 0.3;
        let mut vote = |right: f64| ScanResult::verdict((chance.uniform() < right) == malicious);
        ([vote(0.9), vote(0.6)], malicious)
    }

    fn judged(judge: &mut Judge, now: u64, number: u64) -> Vec<Option<DistilledVerdict>> {
        let mut verdicts = Vec::new();
        judge.judge(BlockNumber(now), Guid(u128::from(number)), 1, &bounty(number).0, &mut verdicts);
        verdicts
    }

    fn settle(judge: &mut Judge, now: u64, number: u64) {
        let consensus = ArtifactSet::collect(1, |_| bounty(number).1);
        judge.settled(BlockNumber(now), Guid(u128::from(number)), Some(consensus));
    }

    #[test]
    fn what_is_settled_in_a_block_is_known_from_the_next_on() {
        let mut judge = learner();
        for number in 0..150 {
            judged(&mut judge, 1, number);
        }
        let (before, _) = (judged(&mut judge, 2, 1000), (0..150).for_each(|number| settle(&mut judge, 2, number)));
        assert_eq!(judged(&mut judge, 2, 1000), before);
        assert_ne!(judged(&mut judge, 3, 1000), before);
    }

    #[test]
    fn the_order_in_which_settlements_of_a_block_are_told_is_no_matter() {
        let verdicts = |order: &dyn Fn(u64) -> u64| {
            let mut judge = learner();
            (0..130).for_each(|number| drop(judged(&mut judge, 1, number)));
            (0..130).for_each(|number| settle(&mut judge, 5, order(number)));
            (0..40).map(|number| judged(&mut judge, 6, 1000 + number)).collect::<Vec<_>>()
        };
        assert_eq!(verdicts(&|number| number), verdicts(&|number| 129 - number));
    }

    #[test]
    fn what_was_never_judged_or_never_voted_on_teaches_nothing() {
        let mut judge = learner();
        for number in 0..300 {
            judged(&mut judge, 1, number);
            settle(&mut judge, 2, number + 1000);
            judge.settled(BlockNumber(2), Guid(u128::from(number)), None);
        }
        let learning = judge.learning.as_ref().unwrap();
        assert!(learning.open.is_empty() && learning.told.is_empty());
        assert_eq!(judged(&mut judge, 9, 5000), judged(&mut learner(), 9, 5000));
    }

    #[test]
    fn memory_is_bounded_by_the_window_and_by_what_is_open() {
        let mut judge = learner();
        for number in 0..2_000 {
            judged(&mut judge, number, number);
            if number >= 10 {
                settle(&mut judge, number, number - 10);
            }
        }
        let learning = judge.learning.as_ref().unwrap();
        assert_eq!((learning.lessons.len(), learning.heard), (400, 1_989));
        assert!(learning.open.len() <= 12 && learning.order.len() <= 12, "{} {}", learning.open.len(), learning.order.len());
        // Bounties that nobody ever settles are forgotten, the oldest first.
        for number in 10_000..10_000 + OPEN_MAXIMUM as u64 + 5 {
            judged(&mut judge, 3_000, number);
        }
        let learning = judge.learning.as_ref().unwrap();
        assert_eq!(learning.open.len(), OPEN_MAXIMUM);
        assert!(!learning.open.contains_key(&Guid(10_001)) && learning.open.contains_key(&Guid(10_005)));
        // It is artifacts that are counted.
        let (answers, mut verdicts) = (vec![ScanResult::verdict(true); 2 * 256], Vec::new());
        for number in 0..200 {
            judge.judge(BlockNumber(4_000), Guid(100_000 + number), 256, &answers, &mut verdicts);
        }
        let learning = judge.learning.as_ref().unwrap();
        assert_eq!(learning.waiting, learning.open.values().map(Vec::len).sum::<usize>());
        assert!(learning.waiting <= OPEN_MAXIMUM && learning.open.len() == OPEN_MAXIMUM / 256, "{}", learning.open.len());
    }

    #[test]
    fn a_judge_that_learns_says_how_often_it_is_right() {
        let mut judge = learner();
        for number in 0..3_000 {
            judged(&mut judge, number, number);
            settle(&mut judge, number, number);
        }
        // Bayes' rule: odds 3/7, factors 9 and 3/2.
        let expected = |first: bool, second: bool| {
            let odds = 3.0 / 7.0 * if first { 9.0 } else { 1.0 / 9.0 } * if second { 1.5 } else { 1.0 / 1.5 };
            odds / (1.0 + odds)
        };
        for number in 4_000..4_020 {
            let (answers, _) = bounty(number);
            let verdict = judged(&mut judge, 3_001, number)[0].unwrap();
            let expected = expected(answers[0].malicious.unwrap(), answers[1].malicious.unwrap());
            assert!((verdict.probability - expected).abs() < 0.08, "{verdict:?} for {expected}");
            assert!(verdict.interval.0 <= verdict.probability && verdict.probability <= verdict.interval.1);
            assert!(verdict.interval.1 - verdict.interval.0 < 0.3, "{verdict:?}");
        }
    }

    #[test]
    fn a_judge_that_does_not_learn_remembers_nothing() {
        let mut judge = Judge::new(Box::new(log_odds()), MapKind::None, SCHEDULE);
        assert!(!judge.learns() && learner().learns());
        assert!(Judge::new(Box::new(log_odds()), MapKind::Platt, SCHEDULE).learns());
        let before = judged(&mut judge, 1, 7);
        (0..300).for_each(|number| settle(&mut judge, 2, number));
        assert_eq!(judged(&mut judge, 3, 7), before);
        assert_eq!(before[0], log_odds().distill(&bounty(7).0));
    }
}
