//! Stacking: a logistic regression on the backends' answers, learned from what the arbiters decided.
//!
//! logit P = c ± a + sum over answers of ±(u + v logit confidence), plus for malicious and minus for benign, with one `u`
//! and one `v` per backend and a ridge of one on all of them and on `a` (½ sum of squares, none on `c`). Unlike
//! [`log_odds`] it sees which backends say the same thing. A confidence is kept within .01 and .99; none adds nothing to
//! the vote.
//!
//! `a` stands for an alarm of any backend, as [`stock_any`](super::stock_any) has it: plus if there is one and minus if
//! there is none. Real engines hardly ever err on benign files, so the first alarm says far more than the fifth, and
//! votes alone cannot say that where backends are often silent: a silent backend lies halfway to an alarm.
//!
//! Its own interval is that of the weights, normally distributed around the fit (Laplace). Until there are
//! [enough lessons](super::LESSONS_MINIMUM), of both kinds, it is [`log_odds`].
//!
//! Sources: Wolpert 1992; Kantchelian et al. 2015 for malware labels.
//!
//! [`log_odds`]: super::log_odds

use super::{DistilledVerdict, Distiller, Lesson, log_odds::LogOddsDistiller, patterns, suffice};
use crate::{
    artifact::ScanResult,
    interval::Z95,
    odds::{logistic, logit},
    regression::{Problem, Solution},
};

/// Stacked backends.
#[derive(Clone, Debug)]
pub struct StackDistiller {
    meanwhile: LogOddsDistiller,
    fit: Option<Fit>,
}

#[derive(Clone, Debug)]
struct Fit {
    columns: Columns,
    solution: Solution,
}

/// What the columns of the regression stand for: backends whose vote was heard, and those whose confidence was.
#[derive(Clone, PartialEq, Debug)]
struct Columns {
    votes: Vec<usize>,
    confidences: Vec<usize>,
}

impl Columns {
    /// Those on which the lessons have anything to say.
    fn of(lessons: &[&Lesson]) -> Columns {
        let backends = lessons.first().map_or(0, |lesson| lesson.answers.len());
        let heard = |said: &dyn Fn(&ScanResult) -> bool| {
            (0..backends).filter(|&backend| lessons.iter().any(|lesson| said(&lesson.answers[backend]))).collect()
        };
        Columns {
            votes: heard(&|answer| answer.malicious.is_some()),
            confidences: heard(&|answer| answer.malicious.is_some() && answer.confidence.is_some()),
        }
    }

    fn features(&self, answers: &[ScanResult]) -> Vec<f64> {
        let sign = |answer: &ScanResult| answer.malicious.map_or(0.0, |malicious| if malicious { 1.0 } else { -1.0 });
        let sure = |answer: &ScanResult| answer.confidence.map_or(0.0, |confidence| logit(f64::from(confidence).clamp(0.01, 0.99)));
        let votes = self.votes.iter().map(|&backend| sign(&answers[backend]));
        let confidences = self.confidences.iter().map(|&backend| sign(&answers[backend]) * sure(&answers[backend]));
        let alarm = if answers.iter().any(|answer| answer.malicious == Some(true)) { 1.0 } else { -1.0 };
        [1.0, alarm].into_iter().chain(votes).chain(confidences).collect()
    }
}

impl StackDistiller {
    /// Distils as `meanwhile` until it has learned enough.
    pub fn new(meanwhile: LogOddsDistiller) -> StackDistiller {
        StackDistiller { meanwhile, fit: None }
    }
}

impl Distiller for StackDistiller {
    fn name(&self) -> &str {
        "stack"
    }

    fn distill(&self, results: &[ScanResult]) -> Option<DistilledVerdict> {
        let Some(Fit { columns, solution }) = &self.fit else { return self.meanwhile.distill(results) };
        if results.iter().all(|result| result.malicious.is_none()) {
            return None;
        }
        let (centre, variance) = solution.at(&columns.features(results));
        let reach = Z95 * variance.sqrt();
        Some(DistilledVerdict { probability: logistic(centre), interval: (logistic(centre - reach), logistic(centre + reach)) })
    }

    fn learns(&self) -> bool {
        true
    }

    fn learn(&mut self, lessons: &[&Lesson]) -> bool {
        if suffice(lessons) {
            let columns = Columns::of(lessons);
            // One for `c`, one for `a`.
            let mut ridge = vec![1.0; 2 + columns.votes.len() + columns.confidences.len()];
            ridge[0] = 0.0;
            let mut problem = Problem::new(ridge);
            for pattern in patterns(lessons) {
                problem.add(&columns.features(pattern.answers), pattern.lessons, pattern.malicious);
            }
            if let Some(solution) = problem.solve() {
                self.fit = Some(Fit { columns, solution });
            }
        }
        self.fit.is_some()
    }

    fn twin(&self) -> Box<dyn Distiller> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chance::Key, distill::log_odds::Record};

    fn stack() -> StackDistiller {
        StackDistiller::new(LogOddsDistiller::new(0.5, 0.25, &[Record::default(); 3]))
    }

    fn refs(lessons: &[Lesson]) -> Vec<&Lesson> {
        lessons.iter().collect()
    }

    /// Three backends: the second is an echo of the first, the third is rarely wrong; malice is rare.
    fn lessons(count: u64) -> Vec<Lesson> {
        let mut chance = Key::root(5).stream();
        let lesson = |_| {
            let malicious = chance.uniform() < 0.2;
            let mut vote = |right: f64| ScanResult::verdict((chance.uniform() < right) == malicious);
            let (first, third) = (vote(0.7), vote(0.95));
            Lesson { answers: Box::new([first, first, third]), malicious }
        };
        (0..count).map(lesson).collect()
    }

    #[test]
    fn it_learns_whom_to_believe_and_who_is_an_echo() {
        let mut stack = stack();
        assert!(stack.learn(&refs(&lessons(5000))));
        let probability = |votes: [bool; 3]| stack.distill(&votes.map(ScanResult::verdict)).unwrap().probability;
        // Bayes' rule with the first two as one: odds 1/4, factors 7/3 and 19.
        let truth = |first: f64, third: f64| {
            let odds = 0.25 * first * third;
            odds / (1.0 + odds)
        };
        for (votes, expected) in [
            ([true, true, true], truth(7.0 / 3.0, 19.0)),
            ([false, false, true], truth(3.0 / 7.0, 19.0)),
            ([true, true, false], truth(7.0 / 3.0, 1.0 / 19.0)),
            ([false, false, false], truth(3.0 / 7.0, 1.0 / 19.0)),
        ] {
            assert!((probability(votes) - expected).abs() < 0.04, "{votes:?}: {} for {expected}", probability(votes));
        }
        let verdict = stack.distill(&[ScanResult::verdict(true); 3]).unwrap();
        assert!(verdict.interval.0 < verdict.probability && verdict.probability < verdict.interval.1);
    }

    #[test]
    fn a_confidence_counts_as_far_as_it_has_been_worth_anything() {
        let mut chance = Key::root(6).stream();
        let lesson = |_| {
            let malicious = chance.uniform() < 0.5;
            let confidence = if chance.uniform() < 0.5 { 0.6 } else { 0.95 };
            let answer = ScanResult { malicious: Some(malicious == (chance.uniform() < confidence)), confidence: Some(confidence as f32) };
            Lesson { answers: Box::new([answer]), malicious }
        };
        let mut stack = stack();
        assert!(stack.learn(&refs(&(0..4000).map(lesson).collect::<Vec<_>>())));
        for confidence in [0.6f32, 0.95] {
            let answer = ScanResult { malicious: Some(false), confidence: Some(confidence) };
            let probability = stack.distill(&[answer]).unwrap().probability;
            assert!((1.0 - probability - f64::from(confidence)).abs() < 0.03, "{confidence}: {probability}");
        }
    }

    #[test]
    fn too_few_lessons_or_all_of_one_kind_leave_it_at_log_odds() {
        let answers = [ScanResult::verdict(true); 3];
        let (mut stack, before) = (stack(), stack().distill(&answers));
        assert!(!stack.learn(&refs(&lessons(99))));
        let one_kind: Vec<Lesson> = lessons(500).into_iter().filter(|lesson| !lesson.malicious).collect();
        assert!(!stack.learn(&refs(&one_kind)));
        assert_eq!(stack.distill(&answers), before);
        assert_eq!(stack.distill(&[ScanResult::NONE; 3]), None);
    }
}
