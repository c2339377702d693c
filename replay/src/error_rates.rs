//! How often the recorded engines of a corpus are wrong by its labels.

use datasets::{Corpus, CorpusError, Truth};

/// How often something that answers is wrong.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct ErrorRates {
    /// Share of malicious artifacts that it calls benign.
    pub misses: f64,
    /// Share of benign artifacts that it calls malicious.
    pub false_alarms: f64,
}

impl ErrorRates {
    /// Of every recorded engine, in the order of the corpus' columns, over all of its rows: one more pass over them.
    ///
    /// # Errors
    ///
    /// If the corpus cannot be read.
    pub fn of_columns(corpus: &Corpus) -> Result<Vec<ErrorRates>, CorpusError> {
        // By label: answers, and wrong ones among them.
        let mut counts = vec![[[0_u64; 2]; 2]; corpus.engines().len()];
        for row in corpus.rows()? {
            let row = row?;
            let malicious = row.truth == Truth::Malicious;
            for (counts, recorded) in counts.iter_mut().zip(&row.recorded) {
                if let Some(recorded) = recorded {
                    let [answers, wrong] = &mut counts[usize::from(malicious)];
                    *answers += 1;
                    *wrong += u64::from(recorded.malicious != malicious);
                }
            }
        }
        let share = |[answers, wrong]: [u64; 2]| if answers > 0 { wrong as f64 / answers as f64 } else { 0.0 };
        Ok(counts.into_iter().map(|[benign, malicious]| ErrorRates { misses: share(malicious), false_alarms: share(benign) }).collect())
    }

    /// The rate on an artifact with that label.
    pub fn on(&self, malicious: bool) -> f64 {
        if malicious { self.misses } else { self.false_alarms }
    }
}
