//! What a scan's answers come to against the labels: the exact figures of `sim bench scan`.

use std::collections::BTreeMap;

use anyhow::Result;
use datasets::{Row, Truth};
use engine::{
    artifact::{FailureKind, ScanResult},
    config::{BackendKind, EngineConfig},
    filter::Filter,
    scanner::{Answer, Scanner},
};
use market::{block::BlockNumber, id::Guid};
use sha2::{Digest as _, Sha256};

use super::rounds::Facts;
use crate::{
    exit::{Exit, OrExit},
    figures::{Value, of_backend},
    scan::{ScanErrorReport, doubt},
    score::ratio,
    text,
};

/// What a side that says nothing is said of.
pub const NOTHING_ANSWERED: &str = "every backend failed on every artifact: nothing was scanned";
/// Errors that are told one by one.
const ERRORS: usize = 1000;

/// What an answer calls the artifact, or the kind of its failure, as a number.
pub(super) fn code(answer: &Answer) -> u8 {
    match &answer.outcome {
        Ok(finding) => finding.result.malicious.map_or(2, u8::from),
        Err(failure) => 3 + FailureKind::ALL.iter().position(|kind| *kind == failure.kind).unwrap_or(FailureKind::ALL.len()) as u8,
    }
}

/// The same as [`hash_answer`] in a number, to tell an answer from others to the last bit.
pub(super) fn print(answer: &Answer) -> u64 {
    let mut hash = Sha256::new();
    hash_answer(&mut hash, answer);
    let hash: [u8; 32] = hash.finalize().into();
    hash.iter().take(8).fold(0, |print, byte| print << 8 | u64::from(*byte))
}

/// Adds all of an answer that is the same every time: call, confidence and family, or the kind of failure.
fn hash_answer(hash: &mut Sha256, answer: &Answer) {
    hash.update([code(answer)]);
    if let Ok(finding) = &answer.outcome {
        // NaN, which no backend states, stands for none.
        hash.update(finding.result.confidence.unwrap_or(f32::NAN).to_bits().to_le_bytes());
        let family = finding.family.as_deref();
        hash.update(family.map_or(u64::MAX, |family| family.len() as u64).to_le_bytes());
        hash.update(family.unwrap_or_default());
    }
}

/// The exact figures that depend on what backends answer.
pub(super) const ANSWERED: [&str; 4] = ["tpr", "fpr", "accuracy", "verdicts_sha256"];

/// Calls of somebody, against the labels. No call is no hit, and never right.
#[derive(Clone, Copy, Default)]
struct Calls {
    malicious: u64,
    benign: u64,
    hits: u64,
    alarms: u64,
    right: u64,
    errors: u64,
    timeouts: u64,
    /// Answers that did not come, and may another time: time-outs are among them.
    missing: u64,
}

impl Calls {
    fn count(&mut self, truth: Truth, called: Option<bool>) {
        let malicious = truth == Truth::Malicious;
        *(if malicious { &mut self.malicious } else { &mut self.benign }) += 1;
        self.hits += u64::from(malicious && called == Some(true));
        self.alarms += u64::from(!malicious && called == Some(true));
        self.right += u64::from(called == Some(malicious));
    }

    fn fail(&mut self, kind: FailureKind) {
        self.errors += u64::from(kind != FailureKind::NotMine);
        self.timeouts += u64::from(kind == FailureKind::TimedOut);
        self.missing += u64::from(kind.may_come());
    }

    fn shares(&self) -> impl Iterator<Item = (&'static str, Value)> {
        let shares = [
            ("tpr", ratio(self.hits, self.malicious)),
            ("fpr", ratio(self.alarms, self.benign)),
            ("accuracy", ratio(self.right, self.malicious + self.benign)),
        ];
        shares.into_iter().filter_map(|(name, share)| Some((name, Value::Number(share?))))
    }

    fn counts(&self) -> [(&'static str, Value); 2] {
        [("errors", self.errors), ("timeouts", self.timeouts)].map(|(name, count)| (name, Value::Number(count as f64)))
    }
}

/// The exact figures of a pass over the artifacts as they are, in order of rows.
pub(super) fn facts(answers: &[(&Row, Vec<Answer>)], bytes: u64, scanner: &Scanner, engine: &EngineConfig) -> Result<Facts> {
    let filter = Filter::new(&engine.filter).or_exit(Exit::Usage)?;
    let names: Vec<&str> = scanner.names().collect();
    let recorded = engine.backends.iter().any(|backend| backend.kind == BackendKind::Recorded);
    let (mut judge, mut verdicts) = (engine.judge(), Vec::new());
    let (mut engine_calls, mut calls, mut hash) = (Calls::default(), vec![Calls::default(); names.len()], Sha256::new());
    let mut facts = Facts::default();
    for (number, (row, answers)) in answers.iter().enumerate() {
        let mut results = Vec::with_capacity(answers.len());
        hash.update(row.id.0);
        for ((answer, calls), name) in answers.iter().zip(&mut calls).zip(&names) {
            hash_answer(&mut hash, answer);
            let result = match &answer.outcome {
                Ok(finding) => filter.finding(finding),
                Err(failure) => {
                    calls.fail(failure.kind);
                    if failure.kind != FailureKind::NotMine && facts.errors.len() < ERRORS {
                        let artifact = row.path.as_deref().map_or_else(|| hex::encode(row.id.0), text::shown);
                        let reason = text::cut(&failure.to_string(), 300);
                        facts.errors.push(ScanErrorReport { line: row.line, artifact, backend: (*name).to_owned(), reason });
                    }
                    ScanResult::NONE
                }
            };
            calls.count(row.truth, result.malicious);
            results.push(result);
        }
        judge.judge(BlockNumber(1), Guid(number as u128), 1, &results, &mut verdicts);
        engine_calls.count(row.truth, verdicts.first().copied().flatten().map(|verdict| verdict.malicious()));
    }
    let number = |count: u64| Value::Number(count as f64);
    let own = |(name, value): (&'static str, Value)| (name.to_owned(), value);
    let mut exact: BTreeMap<String, Value> = if recorded { BTreeMap::new() } else { engine_calls.shares().map(own).collect() };
    if recorded {
        facts.warnings.push("recorded backends have nothing to scan: accuracy is that of each other backend, not the engine's".to_owned());
    }
    for (name, calls) in names.iter().zip(&calls) {
        let of = |(figure, value): (&'static str, Value)| (of_backend(name, figure), value);
        exact.extend(calls.shares().chain(calls.counts()).map(of));
        engine_calls.errors += calls.errors;
        engine_calls.timeouts += calls.timeouts;
        engine_calls.missing += calls.missing;
        if let Some(why) = doubt(calls.missing) {
            facts.doubt(ANSWERED.map(|figure| of_backend(name, figure)), &why);
        }
    }
    if let Some(why) = doubt(engine_calls.missing) {
        facts.doubt(ANSWERED.map(str::to_owned), &why);
    }
    facts.missing_answers = engine_calls.missing;
    facts.nothing_answered = engine_calls.errors == (answers.len() * names.len()) as u64;
    if facts.nothing_answered {
        facts.warnings.push(NOTHING_ANSWERED.to_owned());
    }
    exact.extend(engine_calls.counts().map(own));
    exact.extend([
        ("artifacts".to_owned(), number(answers.len() as u64)),
        ("bytes".to_owned(), number(bytes)),
        ("verdicts_sha256".to_owned(), Value::Text(hex::encode(hash.finalize()))),
    ]);
    facts.exact = exact;
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confidence_and_family_are_in_the_hash_and_what_differs_from_time_to_time_is_not() {
        use engine::artifact::{Failure, Finding};
        let hash = |outcome: Result<Finding, Failure>| {
            let mut hash = Sha256::new();
            hash_answer(&mut hash, &Answer { outcome, ..Answer::failed(Failure::new(FailureKind::TimedOut, "")) });
            <[u8; 32]>::from(hash.finalize())
        };
        let found = |confidence: Option<f32>, family: Option<&str>| {
            let result = ScanResult { malicious: Some(true), confidence };
            hash(Ok(Finding { result, family: family.map(str::to_owned) }))
        };
        let all = [
            found(None, None),
            found(Some(0.0), None),
            found(Some(0.9), None),
            found(Some(0.9f32.next_up()), None),
            found(None, Some("")),
            found(None, Some("a")),
            hash(Err(Failure::new(FailureKind::TimedOut, "after 1 s"))),
        ];
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
        assert_eq!(all[6], hash(Err(Failure::new(FailureKind::TimedOut, "after 2 s"))));
    }

    #[test]
    fn missing_answers_that_may_come_another_time_are_doubtful() {
        let of = |kinds: &[FailureKind]| {
            let mut calls = Calls::default();
            kinds.iter().for_each(|kind| calls.fail(*kind));
            doubt(calls.missing).is_some()
        };
        assert!(!of(&[FailureKind::NotMine, FailureKind::TooLarge, FailureKind::Missing]));
        assert!(of(&[FailureKind::TimedOut]) && of(&[FailureKind::Unavailable]) && of(&[FailureKind::Panicked]));
    }

    #[test]
    fn what_nobody_calls_is_not_found_and_not_right() {
        let mut calls = Calls::default();
        for (truth, called) in
            [(Truth::Malicious, Some(true)), (Truth::Malicious, None), (Truth::Benign, Some(true)), (Truth::Benign, Some(false))]
        {
            calls.count(truth, called);
        }
        calls.fail(FailureKind::TimedOut);
        calls.fail(FailureKind::NotMine);
        let shares: Vec<_> = calls.shares().map(|(name, _)| name).collect();
        assert_eq!(shares, ["tpr", "fpr", "accuracy"]);
        assert!(calls.shares().all(|(_, share)| share == Value::Number(0.5)));
        assert_eq!(calls.counts().map(|(_, count)| count), [Value::Number(1.0), Value::Number(1.0)]);
    }
}
