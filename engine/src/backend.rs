//! Analysis backends: each answers with malicious, benign, or not at all. One file each.
//!
//! A backend sees one content at a time. Archives are opened before it is asked, and what does not hold its limits, its
//! time or its word is dealt with around it: it may fail, it may not lie.

#[cfg(feature = "scanners")]
pub mod clamav;
#[cfg(feature = "scanners")]
pub mod command;
pub mod eicar;
pub mod hash_list;
#[cfg(feature = "scanners")]
pub mod model;
pub mod recorded;
#[cfg(feature = "scanners")]
pub mod static_scan;
#[cfg(feature = "scanners")]
pub mod yara;

use std::{
    fmt::Debug,
    io,
    path::Path,
    sync::{Arc, OnceLock},
    time::Instant,
};

use crate::{
    artifact::{Artifact, Failure, Finding},
    config::{BackendConfig, BackendKind},
};

/// Something that can look at an artifact.
pub trait Backend: Debug + Send + Sync {
    /// Its name in reports, unique within an engine.
    fn name(&self) -> &str;

    /// Identifies everything its answers depend on: version, rules, lists, settings. Cheap: no rule is compiled for it.
    fn fingerprint(&self) -> &str;

    /// True if it looks at the content of artifacts; else it is asked once, whatever the artifact holds.
    fn needs_content(&self) -> bool {
        true
    }

    /// True if it opens archives itself: then it is shown the outermost file alone.
    fn opens_archives(&self) -> bool {
        false
    }

    /// Gets ready what takes its time, such as compiling rules; may be called more than once.
    ///
    /// # Errors
    ///
    /// If it cannot be used.
    fn prepare(&self) -> Result<(), BackendError> {
        Ok(())
    }

    /// Its answer, before `deadline`.
    ///
    /// # Errors
    ///
    /// A [`Failure`] with its reason, if it has no answer.
    fn scan(&self, artifact: &Artifact<'_>, deadline: Instant) -> Result<Finding, Failure>;
}

/// Why a backend cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// A file that it names cannot be read.
    #[error("backend `{name}`: cannot read {path}: {cause}; name {expected}")]
    Unreadable { name: String, path: String, cause: io::Error, expected: &'static str },
    /// A file that it names holds something else.
    #[error("backend `{name}`: {path}, line {line}: {problem}")]
    Malformed { name: String, path: String, line: usize, problem: String },
    /// A setting cannot be used.
    #[error("backend `{name}`: {problem}")]
    Unusable { name: String, problem: String },
    /// It is not part of this build.
    #[error("backend `{name}`: {what} is not part of this build; build with the feature `{feature}`")]
    NotBuilt { name: String, what: &'static str, feature: &'static str },
}

/// The backends of an engine, in order, with files relative to `folder`.
///
/// # Errors
///
/// If one cannot be set up; says which, and why.
pub fn build_all(configs: &[BackendConfig], folder: &Path) -> Result<Vec<Arc<dyn Backend>>, BackendError> {
    let mut recorded = 0;
    configs
        .iter()
        .map(|config| {
            let slot = recorded;
            recorded += usize::from(config.kind == BackendKind::Recorded);
            build(config, folder, slot)
        })
        .collect()
}

/// A backend, with files relative to `folder`; if it is a recorded one, its answers stand at `slot`.
fn build(config: &BackendConfig, folder: &Path, slot: usize) -> Result<Arc<dyn Backend>, BackendError> {
    Ok(match config.kind {
        BackendKind::Recorded => Arc::new(recorded::Recorded::new(config.name(), slot)),
        BackendKind::Eicar => Arc::new(eicar::Eicar::new(config.name())),
        BackendKind::HashList => Arc::new(hash_list::HashList::open(config, folder)?),
        #[cfg(feature = "scanners")]
        BackendKind::Static => Arc::new(static_scan::StaticScan::new(config)),
        #[cfg(feature = "scanners")]
        BackendKind::Model => Arc::new(model::Model::open(config, folder)?),
        BackendKind::Own => return own(config, folder),
        #[cfg(feature = "scanners")]
        BackendKind::Yara => Arc::new(yara::Yara::open(config, folder)?),
        #[cfg(feature = "scanners")]
        BackendKind::Clamav => Arc::new(clamav::Clamav::open(config)?),
        #[cfg(feature = "scanners")]
        BackendKind::Command => Arc::new(command::Command::open(config, folder)?),
        #[cfg(not(feature = "scanners"))]
        other => return Err(BackendError::NotBuilt { name: config.name().to_owned(), what: other.name(), feature: "scanners" }),
    })
}

/// Makes a backend of somebody's own from its description, with files relative to the folder.
pub type Make = fn(&BackendConfig, &Path) -> Result<Arc<dyn Backend>, BackendError>;

/// By name: `kind = "own"`, `name = "..."`.
static OWN: OnceLock<&'static [(&'static str, Make)]> = OnceLock::new();

/// Makes backends of one's own known by name; to be called once, at the start of a program that then runs `sim` or
/// `microengine` as they are.
///
/// # Panics
///
/// If it was called before.
pub fn register(backends: &'static [(&'static str, Make)]) {
    assert!(OWN.set(backends).is_ok(), "backends are registered once");
}

fn own(config: &BackendConfig, folder: &Path) -> Result<Arc<dyn Backend>, BackendError> {
    let known = OWN.get().copied().unwrap_or_default();
    if let Some((_, make)) = known.iter().find(|(name, _)| *name == config.name()) {
        return make(config, folder);
    }
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    let there_are = if names.is_empty() { "none of its own".to_owned() } else { format!("`{}`", names.join("`, `")) };
    let problem = format!("this program has no backend of that name ({there_are}); start the one that brings it along");
    Err(BackendError::Unusable { name: config.name().to_owned(), problem })
}

/// A verdict from a probability of malice, which `of` finds from the features of the artifact's content.
#[cfg(feature = "scanners")]
fn decide(
    artifact: &Artifact<'_>,
    threshold: f64,
    of: impl FnOnce(&crate::features::Features) -> Result<f64, Failure>,
) -> Result<Finding, Failure> {
    use crate::artifact::{FailureKind, ScanResult};

    let content = artifact.content.ok_or_else(|| Failure::new(FailureKind::Missing, "the artifact's content is not at hand"))?;
    let probability = of(&crate::features::Features::of(content))?;
    let confidence = probability.max(1.0 - probability);
    Ok(ScanResult { malicious: Some(probability >= threshold), confidence: Some(confidence as f32) }.into())
}
