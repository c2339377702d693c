//! The engine's TOML: backends, distiller, strategy, and how fast it scans.
//!
//! ```toml
//! name = "mine"
//! strategy = "stock/default"
//!
//! [distiller]
//! kind = "log-odds"
//!
//! [scan]
//! slots = 2
//! milliseconds = 500
//!
//! [[backends]]
//! kind = "recorded"
//! column = "ClamAV"
//! tpr = 0.56
//! fpr = 0.001
//! ```

use std::{path::Path, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    backend::{
        Backend,
        known_hash::{Eicar, HashListError, KnownHash},
        recorded::Recorded,
    },
    distill::{
        Distiller,
        log_odds::{LogOddsDistiller, Record},
        majority::MajorityDistiller,
    },
};

/// An engine as its file describes it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineConfig {
    /// Its name in reports.
    pub name: String,
    /// Its strategy, `name` or `name?key=value`.
    pub strategy: String,
    /// How answers become one verdict.
    pub distiller: DistillerConfig,
    /// How fast it scans.
    pub scan: ScanConfig,
    /// Its backends; without any, the corpus decides: its first recorded column, or the test files.
    pub backends: Vec<BackendConfig>,
}

impl Default for EngineConfig {
    fn default() -> EngineConfig {
        EngineConfig {
            name: "engine".to_owned(),
            strategy: "stock/default".to_owned(),
            distiller: DistillerConfig::default(),
            scan: ScanConfig::default(),
            backends: Vec::new(),
        }
    }
}

/// Which distiller, and its parameters.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DistillerConfig {
    /// `log-odds` or `majority`.
    pub kind: DistillerKind,
    /// log-odds: probability of malice before any answer.
    pub prior: f64,
    /// log-odds: correlation of backends, 0 to 1.
    pub rho: f64,
}

impl Default for DistillerConfig {
    fn default() -> DistillerConfig {
        DistillerConfig { kind: DistillerKind::LogOdds, prior: 0.5, rho: 0.25 }
    }
}

/// The distillers there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DistillerKind {
    /// Naive Bayes, shrunk for correlation.
    LogOdds,
    /// One backend, one vote.
    Majority,
}

/// How long scans take and how many run at once.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScanConfig {
    /// Scans that run at the same time.
    pub slots: u32,
    /// Median time of one scan in milliseconds.
    pub milliseconds: u64,
    /// Standard deviation of the logarithm of that time; 0 for the same time always.
    pub spread: f64,
}

impl Default for ScanConfig {
    fn default() -> ScanConfig {
        ScanConfig { slots: 2, milliseconds: 500, spread: 0.5 }
    }
}

/// One backend.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendConfig {
    /// `recorded`, `eicar` or `known-hash`.
    pub kind: BackendKind,
    /// recorded: the column of the corpus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// known-hash: the list, relative to the engine file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Known share of malicious artifacts that it finds, for log-odds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpr: Option<f64>,
    /// Known share of benign artifacts that it calls malicious, for log-odds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fpr: Option<f64>,
    /// Artifacts of each class that the two rates were measured on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trials: Option<f64>,
}

impl std::fmt::Display for BackendKind {
    /// As the engine's file writes it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            BackendKind::Recorded => "recorded",
            BackendKind::Eicar => "eicar",
            BackendKind::KnownHash => "known-hash",
        })
    }
}

/// The backends there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackendKind {
    /// A recorded column of the corpus.
    Recorded,
    /// EICAR and GTUBE.
    Eicar,
    /// A list of hashes.
    KnownHash,
}

impl BackendConfig {
    /// A backend that replays `column`.
    pub fn recorded(column: &str) -> BackendConfig {
        BackendConfig { column: Some(column.to_owned()), ..BackendConfig::of(BackendKind::Recorded) }
    }

    /// A backend with nothing but a kind.
    pub fn of(kind: BackendKind) -> BackendConfig {
        BackendConfig { kind, column: None, file: None, tpr: None, fpr: None, trials: None }
    }

    fn record(&self) -> Record {
        match (self.tpr, self.fpr) {
            (None, None) => Record::default(),
            (tpr, fpr) => Record::of_rates(tpr.unwrap_or(0.8), fpr.unwrap_or(0.05), self.trials.unwrap_or(100.0)),
        }
    }
}

/// Why an engine cannot be built from its description.
#[derive(Debug, thiserror::Error)]
pub enum EngineConfigError {
    /// A backend lacks something.
    #[error("backend {index} (`{kind}`) needs `{key}`")]
    Missing { index: usize, kind: BackendKind, key: &'static str },
    /// A number is out of its range.
    #[error("`{key}` is {value}, but must be {expected}")]
    OutOfRange { key: String, value: f64, expected: &'static str },
    /// A hash list cannot be used.
    #[error(transparent)]
    HashList(#[from] HashListError),
}

impl EngineConfig {
    /// The columns that recorded backends replay, in the order of their slots.
    pub fn recorded_columns(&self) -> Vec<&str> {
        self.backends
            .iter()
            .filter(|backend| backend.kind == BackendKind::Recorded)
            .filter_map(|backend| backend.column.as_deref())
            .collect()
    }

    /// Checks every number.
    ///
    /// # Errors
    ///
    /// [`EngineConfigError::OutOfRange`] names the first that is out of its range.
    pub fn check(&self) -> Result<(), EngineConfigError> {
        let within = |key: String, value: f64, low: f64, high: f64, expected| {
            if value >= low && value <= high { Ok(()) } else { Err(EngineConfigError::OutOfRange { key, value, expected }) }
        };
        within("distiller.prior".into(), self.distiller.prior, 1e-9, 1.0 - 1e-9, "between 0 and 1")?;
        within("distiller.rho".into(), self.distiller.rho, 0.0, 1.0, "within 0 and 1")?;
        within("scan.slots".into(), f64::from(self.scan.slots), 1.0, 1e4, "within 1 and 10000")?;
        within("scan.spread".into(), self.scan.spread, 0.0, 5.0, "within 0 and 5")?;
        for (index, backend) in self.backends.iter().enumerate() {
            for (name, value) in [("tpr", backend.tpr), ("fpr", backend.fpr)] {
                within(format!("backends.{index}.{name}"), value.unwrap_or(0.5), 0.0, 1.0, "within 0 and 1")?;
            }
            within(format!("backends.{index}.trials"), backend.trials.unwrap_or(1.0), 1.0, 1e12, "at least 1")?;
        }
        Ok(())
    }

    /// The backends, with files relative to `folder`.
    ///
    /// # Errors
    ///
    /// If one lacks something or its file cannot be used.
    pub fn backends(&self, folder: &Path) -> Result<Vec<Arc<dyn Backend>>, EngineConfigError> {
        let mut slot = 0;
        let build = |(index, backend): (usize, &BackendConfig)| -> Result<Arc<dyn Backend>, EngineConfigError> {
            let missing = |key| EngineConfigError::Missing { index, kind: backend.kind, key };
            Ok(match backend.kind {
                BackendKind::Recorded => {
                    slot += 1;
                    Arc::new(Recorded::new(backend.column.as_deref().ok_or_else(|| missing("column"))?, slot - 1))
                }
                BackendKind::Eicar => Arc::new(Eicar),
                BackendKind::KnownHash => {
                    let file = backend.file.as_deref().ok_or_else(|| missing("file"))?;
                    Arc::new(KnownHash::read("known-hash", &folder.join(file))?)
                }
            })
        };
        self.backends.iter().enumerate().map(build).collect()
    }

    /// The distiller for these backends.
    pub fn distiller(&self) -> Box<dyn Distiller> {
        match self.distiller.kind {
            DistillerKind::Majority => Box::new(MajorityDistiller::new(self.backends.len())),
            DistillerKind::LogOdds => {
                let records: Vec<Record> = self.backends.iter().map(BackendConfig::record).collect();
                Box::new(LogOddsDistiller::new(self.distiller.prior, self.distiller.rho, &records))
            }
        }
    }
}
