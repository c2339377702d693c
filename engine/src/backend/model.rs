//! A trained model over the features of a file: what `sim model train` writes, what LightGBM writes, or ONNX.
//!
//! Which of them a file is, its content says: LightGBM's text begins with `tree`, ours is TOML; ONNX is told by its name's
//! ending `.onnx`. Models name the features that they use; here are the names matched, and the probability becomes a verdict.

pub mod lightgbm;
pub mod linear;
#[cfg(feature = "onnx")]
mod onnx;

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
    time::Instant,
};

use sha2::{Digest as _, Sha256};

use super::{Backend, BackendError, decide};
use crate::{
    artifact::{Artifact, Failure, Finding},
    config::BackendConfig,
    features::{self, Features, NAMES},
};
use lightgbm::Forest;
use linear::Linear;

/// Whether models in ONNX can be run by this build.
pub const HAS_ONNX: bool = cfg!(feature = "onnx");
/// Largest file of a model, in bytes.
const FILE_LIMIT: u64 = 256 << 20;

/// What is wrong with a model's file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct Problem {
    /// Where, from 1 on; 0 for the file as a whole.
    pub line: usize,
    /// What, and what to do.
    pub problem: String,
}

impl Problem {
    fn new(line: usize, problem: impl Into<String>) -> Problem {
        Problem { line, problem: problem.into() }
    }
}

/// Where the feature `name` stands in [`NAMES`].
fn feature(name: &str) -> Option<usize> {
    NAMES.iter().position(|known| *known == name)
}

/// The formats.
#[derive(Debug)]
enum Kind {
    Linear(Linear),
    Forest(Forest),
    #[cfg(feature = "onnx")]
    Onnx(onnx::Onnx),
}

/// The backend that asks a model.
#[derive(Debug)]
pub struct Model {
    name: String,
    fingerprint: String,
    threshold: f64,
    kind: Kind,
}

impl Model {
    /// Reads the model that `config` names, relative to `folder`.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is no model, or uses other features than there are.
    pub fn open(config: &BackendConfig, folder: &Path) -> Result<Model, BackendError> {
        let name = || config.name().to_owned();
        let path = folder.join(config.file.as_deref().unwrap_or_default());
        let shown = path.display().to_string();
        let unreadable = |cause| BackendError::Unreadable {
            name: name(),
            path: shown.clone(),
            cause,
            expected: "a model that `sim model train` or LightGBM wrote, or an .onnx",
        };
        let mut bytes = Vec::new();
        fs::File::open(&path).and_then(|file| file.take(FILE_LIMIT + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
        if bytes.len() as u64 > FILE_LIMIT {
            return Err(unreadable(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {FILE_LIMIT} bytes"))));
        }
        let threshold = config.threshold.unwrap_or(0.5);
        let fingerprint = format!("model:{}:{}:{threshold}", features::fingerprint(), hex::encode(Sha256::digest(&bytes)));
        let malformed = |Problem { line, problem }| BackendError::Malformed { name: name(), path: shown.clone(), line, problem };
        let kind = if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx")) {
            open_onnx(config, &bytes)?
        } else {
            parse(&bytes).map_err(malformed)?
        };
        Ok(Model { name: name(), fingerprint, threshold, kind })
    }

    /// Probability that a file with these features is malicious.
    fn probability(&self, features: &Features) -> Result<f64, Failure> {
        match &self.kind {
            Kind::Linear(linear) => Ok(linear.probability(features.as_slice())),
            Kind::Forest(forest) => Ok(forest.probability(features.as_slice())),
            #[cfg(feature = "onnx")]
            Kind::Onnx(onnx) => onnx.probability(features.as_slice()),
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Kind, Problem> {
    let text =
        std::str::from_utf8(bytes).map_err(|_| Problem::new(0, "it is not text; name a model in TOML, LightGBM's text, or an .onnx"))?;
    if text.lines().next().is_some_and(|line| line.trim() == "tree") {
        Forest::parse(text).map(Kind::Forest)
    } else {
        Linear::parse(text).map(Kind::Linear)
    }
}

#[cfg(feature = "onnx")]
fn open_onnx(config: &BackendConfig, bytes: &[u8]) -> Result<Kind, BackendError> {
    let model = onnx::Onnx::open(bytes).map_err(|problem| BackendError::Unusable { name: config.name().to_owned(), problem })?;
    Ok(Kind::Onnx(model))
}

#[cfg(not(feature = "onnx"))]
fn open_onnx(config: &BackendConfig, _: &[u8]) -> Result<Kind, BackendError> {
    Err(BackendError::NotBuilt { name: config.name().to_owned(), what: "ONNX", feature: "onnx" })
}

impl Backend for Model {
    fn name(&self) -> &str {
        &self.name
    }

    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    fn scan(&self, artifact: &Artifact<'_>, _: Instant) -> Result<Finding, Failure> {
        decide(artifact, self.threshold, |features| self.probability(features))
    }
}

#[cfg(test)]
mod tests;
