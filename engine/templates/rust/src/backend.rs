//! Your scanner. This one looks for a few words that dropper scripts are fond of: put yours in its place.

use std::{path::Path, sync::Arc, time::Instant};

use engine::{
    artifact::{Artifact, Failure, Finding, ScanResult},
    backend::{Backend, BackendError},
    config::BackendConfig,
};

/// What makes a file suspicious.
const WORDS: [&str; 4] = [
    "eval(",
    "powershell -enc",
    "EICAR-STANDARD",
    "GTUBE-STANDARD",
];

/// Looks for [`WORDS`].
#[derive(Debug)]
pub struct Keywords {
    name: String,
}

impl Keywords {
    /// The backend that an engine file describes; paths in `config` are relative to `folder`.
    pub fn open(config: &BackendConfig, _folder: &Path) -> Result<Arc<dyn Backend>, BackendError> {
        Ok(Arc::new(Keywords {
            name: config.name().to_owned(),
        }))
    }
}

impl Backend for Keywords {
    fn name(&self) -> &str {
        &self.name
    }

    /// Verdicts are kept under this name: change it whenever the same file could get another answer.
    fn fingerprint(&self) -> &str {
        "{{name}}:1"
    }

    /// Archives are opened before you are asked, and panics, time and size are taken care of. `Err` is "no answer".
    fn scan(&self, artifact: &Artifact<'_>, _deadline: Instant) -> Result<Finding, Failure> {
        let text = String::from_utf8_lossy(artifact.content.unwrap_or_default());
        let found = WORDS.iter().filter(|word| text.contains(**word)).count();
        // How sure you are moves the bid: say what you know.
        let confidence = if found > 0 { 0.9 } else { 0.6 };
        Ok(Finding::from(ScanResult {
            malicious: Some(found > 0),
            confidence: Some(confidence),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_enough() {
        let backend = Keywords {
            name: "test".to_owned(),
        };
        let says = |content: &[u8]| {
            let artifact = Artifact {
                content: Some(content),
                ..Artifact::default()
            };
            backend
                .scan(&artifact, Instant::now())
                .unwrap()
                .result
                .malicious
        };
        assert_eq!(
            (says(b"x = eval(y)"), says(b"a plain text")),
            (Some(true), Some(false))
        );
    }
}
