//! The engine's judgement: distiller, calibration and interval together, learning in time.
//!
//! What may be learned from is public: the arbiters' consensus on bounties that the engine had scanned, whether it staked
//! on them or not. A decision in block `t` knows the bounties settled before `t`, in order of (block of settlement, guid),
//! whatever order they were told in. Every `refit` settled artifacts, everything is learned anew from the last `window`:
//!
//! 1. the distiller, from the answers it was given;
//! 2. the map, from the scores that the distiller gave at the time, never from what it would say today of lessons that
//!    it has learned by heart;
//! 3. the interval, from what became of the probabilities that were stated at the time.
//!
//! A distiller that learns is not itself before its first lesson; what it said until then teaches neither map nor
//! interval. A judge that learns nothing remembers nothing.

use std::collections::VecDeque;

use market::{
    block::BlockNumber,
    id::{Guid, GuidMap},
    verdict::ArtifactSet,
};

use crate::{
    artifact::ScanResult,
    calibrate::{Map, MapKind, Scored},
    distill::{DistilledVerdict, Distiller, LESSONS_MINIMUM, Lesson},
    interval::Doubt,
};

/// Bounties whose settlement is waited for; beyond that the oldest is forgotten.
const OPEN_MAXIMUM: usize = 50_000;

/// How often is learned, and from how much.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// Settled artifacts from one lesson to the next.
    pub refit: u64,
    /// Settled artifacts that are learned from.
    pub window: usize,
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
    doubt: Doubt,
    /// True if map and interval come from enough lessons.
    fitted: bool,
    /// The distiller has learned enough to be itself.
    mature: bool,
    /// Settled artifacts, oldest first.
    lessons: VecDeque<Lesson>,
    /// Settled artifacts so far.
    heard: u64,
    open: GuidMap<Vec<Remembered>>,
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
    score: f64,
    stated: f64,
    mature: bool,
}

impl Judge {
    /// Judges by that distiller, and as that map learns to read it.
    pub fn new(distiller: Box<dyn Distiller>, kind: MapKind, schedule: Schedule) -> Judge {
        let learns = distiller.learns() || kind != MapKind::None;
        let learning = || {
            let (map, doubt, lessons, open, order, told) = Default::default();
            let mature = !distiller.learns();
            Box::new(Learning { kind, schedule, map, doubt, fitted: false, mature, lessons, heard: 0, open, order, told })
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
            let raw = self.distiller.distill(of(artifact));
            let verdict = raw.map(|raw| learning.read(&raw));
            if let (Some(raw), Some(verdict)) = (raw, verdict) {
                let answers = of(artifact).into();
                remembered.push(Remembered {
                    artifact,
                    answers,
                    score: raw.probability,
                    stated: verdict.probability,
                    mature: learning.mature,
                });
            }
            verdicts.push(verdict);
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
            _ => {
                learning.open.remove(&guid);
            }
        }
    }
}

impl Learning {
    /// The verdict behind what the distiller says.
    fn read(&self, raw: &DistilledVerdict) -> DistilledVerdict {
        let probability = self.map.apply(raw.probability);
        if self.fitted {
            return DistilledVerdict { probability, interval: self.doubt.interval(probability) };
        }
        DistilledVerdict { probability, interval: raw.interval }
    }

    fn remember(&mut self, guid: Guid, artifacts: Vec<Remembered>) {
        if self.open.insert(guid, artifacts).is_none() {
            self.order.push_back(guid);
        }
        while self.open.len() > OPEN_MAXIMUM || self.order.len() > 2 * OPEN_MAXIMUM {
            let Some(oldest) = self.order.pop_front() else { break };
            self.open.remove(&oldest);
        }
    }

    /// Learns from what was settled before block `now`.
    fn learn(&mut self, now: BlockNumber, distiller: &mut dyn Distiller) {
        if self.told.iter().all(|&(block, ..)| block >= now) {
            return;
        }
        self.told.sort_unstable_by_key(|&(block, guid, _)| (block, guid));
        let past = self.told.partition_point(|&(block, ..)| block < now);
        for (_, guid, consensus) in self.told.drain(..past).collect::<Vec<_>>() {
            for remembered in self.open.remove(&guid).unwrap_or_default() {
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
        let Remembered { artifact, answers, score, stated, mature } = remembered;
        let malicious = consensus.contains(artifact);
        if mature {
            self.doubt.add(stated, malicious);
        }
        if self.lessons.len() == self.schedule.window {
            self.lessons.pop_front();
        }
        self.lessons.push_back(Lesson { answers, malicious, score, mature });
        self.heard += 1;
    }

    fn refit(&mut self, distiller: &mut dyn Distiller) {
        let lessons = self.lessons.make_contiguous();
        if distiller.learns() {
            self.mature = distiller.learn(lessons);
        }
        let outcome = |lesson: &Lesson| Scored { score: lesson.score, malicious: lesson.malicious };
        let outcomes: Vec<Scored> = lessons.iter().filter(|lesson| lesson.mature).map(outcome).collect();
        let malicious = outcomes.iter().filter(|outcome| outcome.malicious).count();
        self.doubt.learn();
        if outcomes.len() >= LESSONS_MINIMUM && (1..outcomes.len()).contains(&malicious) {
            self.map = Map::fit(self.kind, &outcomes);
            self.fitted = true;
        }
    }
}
