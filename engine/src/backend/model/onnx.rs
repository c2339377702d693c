//! ONNX, run by a libonnxruntime that is on the machine: the one that `ORT_DYLIB_PATH` names, or the system's.
//!
//! The model takes one tensor of floats, one row of features, and gives the probability of malice as the last number of its
//! last tensor of floats: `[p]`, or `[1 - p, p]` as classifiers do. Which features it takes, and in which order, its metadata
//! says under `features`, names with commas between; without that, it takes all of them.

use std::{
    env,
    sync::{Mutex, OnceLock, PoisonError},
};

use ort::{
    environment::Environment,
    session::Session,
    value::{Tensor, TensorElementType, ValueType},
};

use super::{feature, linear::unknown_features};
use crate::{
    artifact::{Failure, FailureKind},
    features::NAMES,
};

/// Names the library.
const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";
#[cfg(target_os = "windows")]
const LIBRARY: &str = "onnxruntime.dll";
#[cfg(target_os = "macos")]
const LIBRARY: &str = "libonnxruntime.dylib";
#[cfg(not(any(target_os = "windows", target_os = "macos")))]
const LIBRARY: &str = "libonnxruntime.so";

/// A model in ONNX.
#[derive(Debug)]
pub(super) struct Onnx {
    /// One row at a time: the library would take no two.
    session: Mutex<Session>,
    /// Places of its features among ours.
    features: Vec<usize>,
}

/// The library, found once for the process.
fn environment() -> Result<&'static Environment, String> {
    static ENVIRONMENT: OnceLock<Result<Environment, String>> = OnceLock::new();
    let found = ENVIRONMENT.get_or_init(|| {
        let library = env::var(LIBRARY_VARIABLE).ok().filter(|path| !path.is_empty()).unwrap_or_else(|| LIBRARY.to_owned());
        let builder = ort::init_from(&library).map_err(|error| {
            format!("ONNX needs the library {LIBRARY}: {error}; install ONNX Runtime, and name its library in {LIBRARY_VARIABLE}")
        })?;
        builder.build().map_err(|error| format!("ONNX Runtime does not start: {error}"))
    });
    found.as_ref().map_err(Clone::clone)
}

impl Onnx {
    /// Reads a model.
    ///
    /// # Errors
    ///
    /// If the library is missing, or the model is none of ours; says what to do.
    pub(super) fn open(bytes: &[u8]) -> Result<Onnx, String> {
        let environment = environment()?;
        let wrong = |error: ort::Error| format!("the .onnx cannot be used: {error}; export a model with operators of the ONNX standard");
        // One thread: the engine has its own.
        let builder = Session::builder(environment).map_err(wrong)?;
        let mut builder = builder.with_intra_threads(1).map_err(|error| wrong(error.into()))?;
        let session = builder.commit_from_memory(bytes).map_err(wrong)?;
        let named = session.metadata().map_err(wrong)?.custom("features");
        let features = match &named {
            None => (0..NAMES.len()).collect(),
            Some(named) => {
                let names: Vec<&str> = named.split(',').map(str::trim).collect();
                let unknown: Vec<&str> = names.iter().copied().filter(|name| feature(name).is_none()).collect();
                if !unknown.is_empty() {
                    return Err(unknown_features(0, &unknown).problem);
                }
                names.into_iter().filter_map(feature).collect::<Vec<usize>>()
            }
        };
        let floats = |kind: &ValueType| matches!(kind, ValueType::Tensor { ty: TensorElementType::Float32, .. });
        if session.inputs().len() != 1 || !session.inputs().iter().all(|input| floats(input.dtype())) {
            return Err("its input must be one tensor of floats, a row of features".to_owned());
        }
        if !session.outputs().iter().any(|output| floats(output.dtype())) {
            return Err("none of its outputs is a tensor of floats; export it without a map of probabilities (`zipmap=False`)".to_owned());
        }
        Ok(Onnx { session: Mutex::new(session), features })
    }

    /// Probability of malice for a file with these features.
    ///
    /// # Errors
    ///
    /// If the model fails, or gives something else than a probability.
    pub(super) fn probability(&self, features: &[f64]) -> Result<f64, Failure> {
        let bad = |detail: String| Failure::new(FailureKind::BadAnswer, detail);
        let row: Vec<f32> = self.features.iter().map(|at| features.get(*at).copied().unwrap_or_default() as f32).collect();
        let input = Tensor::from_array(([1, row.len()], row)).map_err(|error| bad(error.to_string()))?;
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = session.run(ort::inputs![input]).map_err(|error| bad(error.to_string()))?;
        let last = outputs.iter().filter_map(|(_, value)| value.try_extract_tensor::<f32>().ok()?.1.last().copied()).last();
        match last.map(f64::from) {
            Some(probability) if (0.0..=1.0).contains(&probability) => Ok(probability),
            other => Err(bad(format!("the model answers with {other:?}, which is no probability"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs where there is a library; elsewhere it says so.
    #[test]
    fn a_model_is_run_by_the_library() {
        let bytes = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/onnx/logistic.onnx")).unwrap();
        if env::var_os(LIBRARY_VARIABLE).is_none() {
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                b"skipped: no ONNX Runtime; name its library in ORT_DYLIB_PATH (`pip install onnxruntime` brings one)\n",
            );
            return;
        }
        let onnx = Onnx::open(&bytes).unwrap();
        let mut features = vec![0.0; NAMES.len()];
        for (name, value) in [("entropy", 6.5), ("printable", 0.25), ("urls", 1.5)] {
            features[feature(name).unwrap()] = value;
        }
        // 0.5 * 6.5 - 2 * 0.25 + 1 * 1.5 - 3 = 1.25
        let expected = crate::odds::logistic(1.25);
        let found = onnx.probability(&features).unwrap();
        assert!((found - expected).abs() < 1e-6, "{found}, not {expected}");
        assert!(Onnx::open(b"no model").unwrap_err().contains("cannot be used"));
    }
}
