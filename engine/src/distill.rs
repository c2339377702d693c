//! Distillers: the answers of all backends into one probability of malice with a 90 % interval. One file each.
//!
//! Some are fixed, some learn from what the arbiters decided; what they may learn from, and when, is [`judge`](crate::judge)'s
//! business. A missing answer is no vote.

pub mod dawid_skene;
pub mod log_odds;
pub mod majority;
pub mod stack;
pub mod stock_any;

use std::fmt::Debug;

use crate::artifact::ScanResult;

/// What the backends together think of one artifact.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct DistilledVerdict {
    /// Probability that the artifact is malicious.
    pub probability: f64,
    /// 90 % interval of that probability: what the backends' limited number and record leave open.
    pub interval: (f64, f64),
}

impl DistilledVerdict {
    /// The side to assert: malicious from one half on, as a tie of votes is malicious.
    pub fn malicious(&self) -> bool {
        self.probability >= 0.5
    }

    /// Probability that the asserted side is right.
    pub fn confidence(&self) -> f64 {
        self.probability.max(1.0 - self.probability)
    }

    /// The interval's end that is less favourable to the asserted side, as a confidence.
    pub fn cautious_confidence(&self) -> f64 {
        if self.malicious() { self.interval.0 } else { 1.0 - self.interval.1 }
    }
}

/// An artifact whose bounty is settled.
#[derive(Clone, PartialEq, Debug)]
pub struct Lesson {
    /// What the backends had said.
    pub answers: Box<[ScanResult]>,
    /// What the arbiters made of it.
    pub malicious: bool,
}

/// Lessons that a distiller wants before it trusts what it has learned.
pub const LESSONS_MINIMUM: usize = 100;

/// True if there are enough lessons, and of both kinds.
pub(crate) fn suffice(lessons: &[&Lesson]) -> bool {
    lessons.len() >= LESSONS_MINIMUM && lessons.iter().any(|lesson| lesson.malicious) && !lessons.iter().all(|lesson| lesson.malicious)
}

/// A way to distil.
pub trait Distiller: Debug + Send + Sync {
    /// Its name in reports.
    fn name(&self) -> &str;

    /// One verdict from one answer per backend, in the backends' order; `None` if no backend answered.
    fn distill(&self, results: &[ScanResult]) -> Option<DistilledVerdict>;

    /// True if [`learn`](Distiller::learn) makes a difference.
    fn learns(&self) -> bool {
        false
    }

    /// Learns anew from these lessons, oldest first. False if they do not suffice, so that it makes shift without.
    fn learn(&mut self, _lessons: &[&Lesson]) -> bool {
        true
    }

    /// Another one that knows the same.
    fn twin(&self) -> Box<dyn Distiller>;
}

/// Lessons with the same answers, counted: many artifacts, few patterns. In an order of their own.
pub(crate) fn patterns<'a>(lessons: &[&'a Lesson]) -> Vec<Pattern<'a>> {
    let key = |answer: &ScanResult| (answer.malicious, answer.confidence.map(f32::to_bits));
    let mut sorted = lessons.to_vec();
    sorted.sort_by(|one, other| one.answers.iter().map(key).cmp(other.answers.iter().map(key)));
    let equal = sorted.chunk_by(|one, other| one.answers.iter().map(key).eq(other.answers.iter().map(key)));
    let count = |lessons: &[&Lesson]| lessons.len() as f64;
    equal
        .map(|lessons| Pattern {
            answers: &lessons[0].answers,
            lessons: count(lessons),
            malicious: lessons.iter().filter(|lesson| lesson.malicious).count() as f64,
        })
        .collect()
}

/// See [`patterns`].
pub(crate) struct Pattern<'a> {
    /// The answers.
    pub answers: &'a [ScanResult],
    /// Lessons with these answers.
    pub lessons: f64,
    /// How many of them were malicious.
    pub malicious: f64,
}
