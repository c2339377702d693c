//! The logistic model, in TOML: an intercept, and for each feature that counts its weight, mean and scale.
//!
//! ```toml
//! kind = "logistic"
//! features_version = 1
//! intercept = -0.4
//!
//! [features.entropy]
//! weight = 0.8
//! mean = 5.1
//! scale = 1.7
//! ```
//!
//! The log-odds are the intercept and, for each feature, `weight * (value - mean) / scale`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Problem, feature};
use crate::{
    features::{NAMES, VERSION},
    odds::logistic,
};

/// The model as it is written.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// Says what it is.
    pub kind: WrittenKind,
    /// Version of the features that it was trained on.
    pub features_version: u32,
    /// Log-odds of a file that is average in everything.
    pub intercept: f64,
    /// The features that count, by name.
    pub features: BTreeMap<String, Weight>,
}

/// The kinds of models in TOML.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WrittenKind {
    /// A logistic sum.
    Logistic,
}

/// What one feature counts.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weight {
    /// Log-odds for each scale above the mean.
    pub weight: f64,
    /// Mean of the feature where the model was trained.
    #[serde(default)]
    pub mean: f64,
    /// Its standard deviation.
    #[serde(default = "one")]
    pub scale: f64,
}

fn one() -> f64 {
    1.0
}

/// The model as it is evaluated.
#[derive(Clone, PartialEq, Debug)]
pub struct Linear {
    intercept: f64,
    /// For each feature its place, its weight by scale, and its mean.
    terms: Vec<(usize, f64, f64)>,
}

impl Linear {
    /// Reads a model.
    ///
    /// # Errors
    ///
    /// Says which line, or which feature, is wrong.
    pub fn parse(text: &str) -> Result<Linear, Problem> {
        let written: Written = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(0, |span| text.get(..span.start).unwrap_or_default().lines().count().max(1));
            Problem::new(line, format!("{}; write a model as `sim model train` does", error.message()))
        })?;
        Linear::new(&written)
    }

    /// Checks a model.
    ///
    /// # Errors
    ///
    /// Says which feature is wrong.
    pub fn new(written: &Written) -> Result<Linear, Problem> {
        if written.features_version != VERSION {
            let problem = format!(
                "it was trained on version {} of the features; this is version {VERSION}: train it again",
                written.features_version
            );
            return Err(Problem::new(0, problem));
        }
        let unknown: Vec<&str> = written.features.keys().map(String::as_str).filter(|name| feature(name).is_none()).collect();
        if !unknown.is_empty() {
            return Err(unknown_features(0, &unknown));
        }
        let wrong = |name: &str, what: &str| Problem::new(0, format!("`{name}`: {what}"));
        if !written.intercept.is_finite() {
            return Err(wrong("intercept", "must be a finite number"));
        }
        let mut terms = Vec::new();
        for (name, Weight { weight, mean, scale }) in &written.features {
            if ![*weight, *mean, *scale, weight / scale].into_iter().all(f64::is_finite) || *scale <= 0.0 {
                return Err(wrong(name, "weight and mean must be finite, and scale positive"));
            }
            terms.extend(feature(name).map(|at| (at, weight / scale, *mean)));
        }
        Ok(Linear { intercept: written.intercept, terms })
    }

    /// Probability of malice for a file with these features.
    pub fn probability(&self, features: &[f64]) -> f64 {
        let value = |at: usize| features.get(at).copied().unwrap_or_default();
        logistic(self.intercept + self.terms.iter().map(|(at, weight, mean)| weight * (value(*at) - mean)).sum::<f64>())
    }
}

/// The refusal of features that there are not.
pub(super) fn unknown_features(line: usize, unknown: &[&str]) -> Problem {
    let shown: Vec<String> = unknown.iter().take(5).map(|name| format!("`{}`", name.escape_debug().take(60).collect::<String>())).collect();
    let more = if unknown.len() > 5 { format!(" and {} more", unknown.len() - 5) } else { String::new() };
    let example = NAMES.get(..3).unwrap_or_default().join("`, `");
    let problem = format!(
        "it uses features that there are not: {}{more}; train it on ours, which are called `{example}` and so on",
        shown.join(", ")
    );
    Problem::new(line, problem)
}
