//! The baseline model, fitted: logistic regression with a ridge penalty over standardised features.
//!
//! The same rows in the same order give the same model, digit by digit.
//! Where the rows come from, and which of them are kept for the test, is the caller's.

use serde::Serialize;

use crate::{
    backend::model::linear::{Weight, Written, WrittenKind},
    features::{Features, NAMES, VERSION},
    odds::log_loss,
    regression::Problem,
};

/// Number of features.
const N: usize = NAMES.len();

/// Why no model can be fitted.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// One of the classes is missing.
    #[error("there are {malicious} malicious and {benign} benign artifacts to learn from; both are needed")]
    OneClass { malicious: usize, benign: usize },
    /// The equations have no solution that can be computed.
    #[error("the weights do not settle; take a larger penalty (`--ridge`)")]
    Diverges,
}

/// Fits a model on rows of features and labels (true for malicious), with the penalty `ridge / 2 * |weights|²`.
///
/// Features that are the same in all rows are left out.
///
/// # Errors
///
/// If a class is missing, or the fit fails.
pub fn fit(rows: &[(Features, bool)], ridge: f64) -> Result<Written, TrainError> {
    let malicious = rows.iter().filter(|(_, malicious)| *malicious).count();
    let benign = rows.len() - malicious;
    if malicious == 0 || benign == 0 {
        return Err(TrainError::OneClass { malicious, benign });
    }
    let count = rows.len() as f64;
    let mean_of = |of: &dyn Fn(&Features) -> f64| rows.iter().map(|(features, _)| of(features)).sum::<f64>() / count;
    let moments: Vec<(f64, f64)> = (0..N)
        .map(|at| {
            let value = |features: &Features| features.as_slice().get(at).copied().unwrap_or_default();
            let mean = mean_of(&value);
            (mean, mean_of(&|features| (value(features) - mean).powi(2)).sqrt())
        })
        .collect();
    let used: Vec<usize> = (0..N).filter(|at| moments.get(*at).is_some_and(|(mean, scale)| *scale > 1e-9 * (1.0 + mean.abs()))).collect();
    let standard = |features: &Features| -> Vec<f64> {
        let value = |at: &usize| {
            let ((mean, scale), value) = (moments[*at], features.as_slice()[*at]);
            (value - mean) / scale
        };
        std::iter::once(1.0).chain(used.iter().map(value)).collect()
    };
    // The intercept has no penalty.
    let mut problem = Problem::new(std::iter::once(0.0).chain(used.iter().map(|_| ridge)).collect());
    for (features, malicious) in rows {
        problem.add(&standard(features), 1.0, f64::from(u8::from(*malicious)));
    }
    let weights = problem.solve().ok_or(TrainError::Diverges)?.weights;
    let weight = |(at, weight): (&usize, &f64)| {
        let (mean, scale) = moments[*at];
        (NAMES[*at].to_owned(), Weight { weight: *weight, mean, scale })
    };
    Ok(Written {
        kind: WrittenKind::Logistic,
        features_version: VERSION,
        intercept: weights.first().copied().unwrap_or_default(),
        features: used.iter().zip(weights.iter().skip(1)).map(weight).collect(),
    })
}

/// How a model does on rows that it has not seen.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Assessment {
    /// Malicious rows.
    pub malicious: usize,
    /// Benign rows.
    pub benign: usize,
    /// Probability that a malicious row scores higher than a benign one; `None` if a class is missing.
    pub auc: Option<f64>,
    /// Share of the malicious rows that are found at the threshold.
    pub tpr: Option<f64>,
    /// Share of the benign rows that are called malicious at the threshold.
    pub fpr: Option<f64>,
    /// Mean squared difference of probability and label.
    pub brier: Option<f64>,
    /// Mean negative logarithm of the probability of what is the case.
    pub log_loss: Option<f64>,
}

/// Assesses probabilities against labels (true for malicious), at a threshold.
pub fn assess(scored: &[(f64, bool)], threshold: f64) -> Assessment {
    let share = |part: usize, of: usize| (of > 0).then(|| part as f64 / of as f64);
    let malicious = scored.iter().filter(|(_, malicious)| *malicious).count();
    let benign = scored.len() - malicious;
    let called = |class: bool| scored.iter().filter(|(probability, malicious)| *malicious == class && *probability >= threshold).count();
    let mean = |of: &dyn Fn(f64, bool) -> f64| {
        let sum: f64 = scored.iter().map(|(probability, malicious)| of(*probability, *malicious)).sum();
        (!scored.is_empty()).then(|| sum / scored.len() as f64)
    };
    Assessment {
        malicious,
        benign,
        auc: auc(scored, malicious, benign),
        tpr: share(called(true), malicious),
        fpr: share(called(false), benign),
        brier: mean(&|probability, malicious| (probability - f64::from(u8::from(malicious))).powi(2)),
        log_loss: mean(&log_loss),
    }
}

/// By the sum of the ranks of malicious rows, where ties share their ranks.
fn auc(scored: &[(f64, bool)], malicious: usize, benign: usize) -> Option<f64> {
    if malicious == 0 || benign == 0 {
        return None;
    }
    let mut sorted = scored.to_vec();
    sorted.sort_by(|left, right| left.0.total_cmp(&right.0));
    let (mut ranks, mut before) = (0.0, 0);
    for ties in sorted.chunk_by(|left, right| left.0 == right.0) {
        let rank = before as f64 + (ties.len() as f64 + 1.0) / 2.0;
        ranks += rank * ties.iter().filter(|(_, malicious)| *malicious).count() as f64;
        before += ties.len();
    }
    let (malicious, benign) = (malicious as f64, benign as f64);
    Some((ranks - malicious * (malicious + 1.0) / 2.0) / (malicious * benign))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::model::linear::Linear;

    /// Texts of growing disorder, of which the disorderly are malicious, with some exceptions.
    fn rows() -> Vec<(Features, bool)> {
        let row = |index: u32| {
            let alphabet = 2 + index % 60;
            let content: Vec<u8> =
                (0..400_u32).map(|at| b'!' + (at.wrapping_mul(2_654_435_761).wrapping_add(index) >> 7) as u8 % alphabet as u8).collect();
            (Features::of(&content), (alphabet > 30) != index.is_multiple_of(11))
        };
        (0..240).map(row).collect()
    }

    #[test]
    fn a_fit_is_where_its_gradient_is_zero() {
        let (rows, ridge) = (rows(), 0.7);
        let written = fit(&rows, ridge).unwrap();
        let linear = Linear::new(&written).unwrap();
        let errors: Vec<f64> =
            rows.iter().map(|(features, label)| linear.probability(features.as_slice()) - f64::from(u8::from(*label))).collect();
        assert!(errors.iter().sum::<f64>().abs() < 1e-6, "the intercept");
        assert!(written.features.len() > 5);
        for (name, Weight { weight, mean, scale }) in &written.features {
            let at = NAMES.iter().position(|known| known == name).unwrap();
            let gradient: f64 =
                rows.iter().zip(&errors).map(|((features, _), error)| error * (features.as_slice()[at] - mean) / scale).sum();
            assert!((gradient + ridge * weight).abs() < 1e-6, "{name}: {gradient}");
        }
        assert_eq!(fit(&rows, ridge).unwrap(), written, "the same again");
        let scored: Vec<(f64, bool)> = rows.iter().map(|(features, label)| (linear.probability(features.as_slice()), *label)).collect();
        assert!(assess(&scored, 0.5).auc.unwrap() > 0.85);
    }

    #[test]
    fn one_class_teaches_nothing() {
        let rows: Vec<(Features, bool)> = rows().into_iter().filter(|(_, malicious)| *malicious).collect();
        assert_eq!(fit(&rows, 1.0), Err(TrainError::OneClass { malicious: rows.len(), benign: 0 }));
    }

    #[test]
    fn an_assessment_is_as_by_hand() {
        let scored = [(0.9, true), (0.4, true), (0.4, false), (0.1, false), (0.6, false)];
        let found = assess(&scored, 0.5);
        // Pairs: .9 beats three; .4 ties one and beats one.
        assert_eq!(found.auc, Some(4.5 / 6.0));
        assert_eq!((found.tpr, found.fpr), (Some(0.5), Some(1.0 / 3.0)));
        assert!((found.brier.unwrap() - (0.01 + 0.36 + 0.16 + 0.01 + 0.36) / 5.0).abs() < 1e-12);
        let by_hand = -(0.9_f64.ln() + 0.4_f64.ln() + 0.6_f64.ln() + 0.9_f64.ln() + 0.4_f64.ln()) / 5.0;
        assert!((found.log_loss.unwrap() - by_hand).abs() < 1e-12);
        assert_eq!(assess(&[(0.5, true)], 0.5).auc, None);
        assert_eq!(assess(&[], 0.5).brier, None);
    }
}
