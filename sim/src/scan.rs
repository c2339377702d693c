//! Scanning a corpus with the engine's backends.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use datasets::Corpus;
use engine::{
    artifact::Artifact,
    backend::Backend,
    config::{BackendKind, EngineConfig, SIZE_LIMIT, TIMEOUT_MILLISECONDS},
};
use replay::verdicts::VerdictTable;

/// What the backends that are not recorded say of every artifact.
///
/// # Errors
///
/// If the corpus or a file of it cannot be read.
pub fn scan(corpus: &Corpus, engine: &EngineConfig, backends: &[Arc<dyn Backend>]) -> Result<VerdictTable> {
    let scanned = backends.iter().zip(&engine.backends).filter(|(_, config)| config.kind != BackendKind::Recorded);
    let scanned: Vec<&dyn Backend> = scanned.map(|(backend, _)| &**backend).collect();
    let mut table = VerdictTable::new(scanned.iter().map(|backend| backend.fingerprint().to_owned()).collect());
    if scanned.is_empty() {
        return Ok(table);
    }
    for row in corpus.rows()? {
        let row = row?;
        let content = row.path.as_ref().map(|_| corpus.read_artifact(&row, SIZE_LIMIT)).transpose()?;
        let artifact =
            Artifact { sha256: row.id.0, file_type: row.file_type.as_deref(), size: row.size, content: content.as_deref(), recorded: &[] };
        let start = Instant::now();
        let deadline = start + Duration::from_millis(TIMEOUT_MILLISECONDS);
        let answers: Vec<_> =
            scanned.iter().map(|backend| backend.scan(&artifact, deadline).map(|finding| finding.result).unwrap_or_default()).collect();
        table.insert(row.id, &answers, u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(table)
}
