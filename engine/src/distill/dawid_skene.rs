//! Dawid and Skene's observers: prevalence and each backend's rates, found from the answers alone.
//!
//! EM: with a posterior of malice per artifact, a backend's TPR is (8 + weight of malice called malicious)/(10 + weight of
//! malice it had an answer on), its FPR likewise with 1 and 20, the prevalence (1 + all malice)/(2 + artifacts); with those,
//! the posteriors are Bayes' rule for independent backends. It starts from the share of malicious votes within .01 and
//! .99, and ends when no posterior moves by 1e-9, or after a hundred rounds.
//!
//! It never looks at what the arbiters decided, but it learns at their pace: from artifacts whose bounties are settled.
//! Backends that err together look better than they are; `calibration` mends the probabilities, not the ranking.
//! A confidence says nothing here. Until there are [enough lessons](super::LESSONS_MINIMUM) it is [`log_odds`].
//!
//! Sources: Dawid, Skene 1979; Kantchelian et al. 2015.
//!
//! [`log_odds`]: super::log_odds

use super::{
    DistilledVerdict, Distiller, LESSONS_MINIMUM, Lesson,
    log_odds::{LogOddsDistiller, Record},
    patterns,
};
use crate::{
    artifact::ScanResult,
    odds::{logistic, logit},
};

/// Rounds after which it is as good as it gets.
const ROUNDS: u32 = 100;
/// The least move of a posterior that is worth another round.
const MOVE: f64 = 1e-9;

/// Answers of one shape, and how often they came.
#[derive(Clone, PartialEq, Debug)]
pub struct Votes {
    /// One per backend; `None` for no answer.
    pub votes: Vec<Option<bool>>,
    /// Artifacts with these answers.
    pub artifacts: f64,
}

/// What was found.
#[derive(Clone, PartialEq, Debug)]
pub struct Estimate {
    /// Rounds that it took.
    pub rounds: u32,
    /// Share of malicious artifacts.
    pub prevalence: f64,
    /// Each backend's answers, as if the truth had been seen.
    pub records: Vec<Record>,
    /// Posterior of malice for each entry.
    pub posteriors: Vec<f64>,
}

/// Finds prevalence, records and posteriors from votes alone.
pub fn estimate(votes: &[Votes]) -> Estimate {
    let backends = votes.first().map_or(0, |entry| entry.votes.len());
    let share = |entry: &Votes| {
        let (malicious, all) = entry.votes.iter().flatten().fold((0.0, 0.0), |(m, n), &vote| (m + f64::from(u8::from(vote)), n + 1.0));
        if all > 0.0 { (malicious / all).clamp(0.01, 0.99) } else { 0.5 }
    };
    let artifacts: f64 = votes.iter().map(|entry| entry.artifacts).sum();
    let mut posteriors: Vec<f64> = votes.iter().map(share).collect();
    let mut rounds = 0;
    loop {
        rounds += 1;
        let mut records = vec![Record::default(); backends];
        let mut malice = 0.0;
        for (entry, posterior) in votes.iter().zip(&posteriors) {
            let (bad, good) = (entry.artifacts * posterior, entry.artifacts * (1.0 - posterior));
            malice += bad;
            for (record, vote) in records.iter_mut().zip(&entry.votes) {
                match vote {
                    Some(true) => {
                        (record.true_positives, record.false_positives) = (record.true_positives + bad, record.false_positives + good)
                    }
                    Some(false) => {
                        (record.false_negatives, record.true_negatives) = (record.false_negatives + bad, record.true_negatives + good)
                    }
                    None => {}
                }
            }
        }
        let prevalence = (1.0 + malice) / (2.0 + artifacts);
        let evidence: Vec<[f64; 2]> = records.iter().map(evidence).collect();
        let mut moved = false;
        for (entry, posterior) in votes.iter().zip(&mut posteriors) {
            let said = |(vote, evidence): (&Option<bool>, &[f64; 2])| vote.map_or(0.0, |vote| evidence[usize::from(vote)]);
            let after = logistic(logit(prevalence) + entry.votes.iter().zip(&evidence).map(said).sum::<f64>());
            moved |= (after - *posterior).abs() >= MOVE;
            *posterior = after;
        }
        if !moved || rounds == ROUNDS {
            return Estimate { rounds, prevalence, records, posteriors };
        }
    }
}

/// What a benign and a malicious answer add to the log-odds.
fn evidence(record: &Record) -> [f64; 2] {
    let (tpr, fpr) = (record.tpr(), record.fpr());
    [libm::log((1.0 - tpr) / (1.0 - fpr)), libm::log(tpr / fpr)]
}

/// Log-odds with rates found by EM.
#[derive(Clone, Debug)]
pub struct DawidSkeneDistiller {
    meanwhile: LogOddsDistiller,
    found: Option<LogOddsDistiller>,
}

impl DawidSkeneDistiller {
    /// Distils as `meanwhile` until it has learned enough.
    pub fn new(meanwhile: LogOddsDistiller) -> DawidSkeneDistiller {
        DawidSkeneDistiller { meanwhile, found: None }
    }
}

impl Distiller for DawidSkeneDistiller {
    fn name(&self) -> &str {
        "dawid-skene"
    }

    fn distill(&self, results: &[ScanResult]) -> Option<DistilledVerdict> {
        let Some(found) = &self.found else { return self.meanwhile.distill(results) };
        let votes: Vec<ScanResult> = results.iter().map(|&result| ScanResult { confidence: None, ..result }).collect();
        found.distill(&votes)
    }

    fn learns(&self) -> bool {
        true
    }

    fn learn(&mut self, lessons: &[&Lesson]) -> bool {
        if lessons.len() >= LESSONS_MINIMUM {
            let votes = |answers: &[ScanResult]| answers.iter().map(|answer| answer.malicious).collect();
            let entries: Vec<Votes> =
                patterns(lessons).iter().map(|pattern| Votes { votes: votes(pattern.answers), artifacts: pattern.lessons }).collect();
            let Estimate { prevalence, records, .. } = estimate(&entries);
            self.found = Some(LogOddsDistiller::new(prevalence, 0.0, &records));
        }
        self.found.is_some()
    }

    fn twin(&self) -> Box<dyn Distiller> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Key;

    #[test]
    fn it_finds_the_rates_of_independent_backends_without_being_told_any_truth() {
        let rates = [(0.9, 0.02), (0.6, 0.1), (0.8, 0.05), (0.5, 0.01)];
        let mut chance = Key::root(8).stream();
        let lesson = |_| {
            let malicious = chance.uniform() < 0.3;
            let vote = |&(tpr, fpr): &(f64, f64)| ScanResult::verdict(chance.uniform() < if malicious { tpr } else { fpr });
            // The truth is not in there.
            Lesson { answers: rates.iter().map(vote).collect(), malicious: false }
        };
        let lessons: Vec<Lesson> = (0..5000).map(lesson).collect();
        let votes = |lesson: &Lesson| Votes { votes: lesson.answers.iter().map(|answer| answer.malicious).collect(), artifacts: 1.0 };
        let estimate = estimate(&lessons.iter().map(votes).collect::<Vec<_>>());
        assert!((estimate.prevalence - 0.3).abs() < 0.03, "{}", estimate.prevalence);
        for (record, (tpr, fpr)) in estimate.records.iter().zip(rates) {
            assert!((record.tpr() - tpr).abs() < 0.05 && (record.fpr() - fpr).abs() < 0.03, "{record:?}");
        }
        let prior = LogOddsDistiller::new(0.5, 0.25, &[Record::default(); 4]);
        let mut distiller = DawidSkeneDistiller::new(prior.clone());
        assert!(!distiller.learn(&lessons[..99].iter().collect::<Vec<_>>()));
        assert_eq!(distiller.distill(&lessons[0].answers), prior.distill(&lessons[0].answers));
        assert!(distiller.learn(&lessons.iter().collect::<Vec<_>>()));
        let probability = distiller.distill(&[true, false, true, false].map(ScanResult::verdict)).unwrap().probability;
        let odds = 3.0 / 7.0 * (0.9 / 0.02) * (0.4 / 0.9) * (0.8 / 0.05) * (0.5 / 0.99);
        assert!((probability - odds / (1.0 + odds)).abs() < 0.02, "{probability}");
    }
}
