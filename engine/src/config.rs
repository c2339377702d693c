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

use std::path::{self, Path};

use serde::{Deserialize, Serialize};

use crate::{
    calibrate::MapKind,
    distill::{
        Distiller,
        dawid_skene::DawidSkeneDistiller,
        log_odds::{LogOddsDistiller, Record},
        majority::MajorityDistiller,
        stack::StackDistiller,
        stock_any::StockAnyDistiller,
    },
    filter::{Filter, FilterConfig, FilterError},
    judge::{Judge, Schedule},
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
    /// How scores become probabilities.
    pub calibration: CalibrationConfig,
    /// How fast it scans.
    pub scan: ScanConfig,
    /// Which artifacts it deals with.
    pub filter: FilterConfig,
    /// How archives are opened before the backends see them.
    pub archives: ArchiveConfig,
    /// Its backends; without any, the corpus decides: its first recorded column, or the test files.
    pub backends: Vec<BackendConfig>,
}

impl Default for EngineConfig {
    fn default() -> EngineConfig {
        EngineConfig {
            name: "engine".to_owned(),
            strategy: "stock/default".to_owned(),
            distiller: DistillerConfig::default(),
            calibration: CalibrationConfig::default(),
            scan: ScanConfig::default(),
            filter: FilterConfig::default(),
            archives: ArchiveConfig::default(),
            backends: Vec::new(),
        }
    }
}

/// Which distiller, and its parameters.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DistillerConfig {
    /// `log-odds`, `majority`, `stock-any`, `stack` or `dawid-skene`.
    pub kind: DistillerKind,
    /// log-odds: probability of malice before any answer.
    pub prior: f64,
    /// log-odds: correlation of backends, 0 to 1.
    pub rho: f64,
    /// Whatever learns: settled artifacts from one lesson to the next.
    pub refit: u32,
    /// Whatever learns: settled artifacts that it learns from, the last ones.
    pub window: u32,
}

impl Default for DistillerConfig {
    fn default() -> DistillerConfig {
        DistillerConfig { kind: DistillerKind::LogOdds, prior: 0.5, rho: 0.25, refit: 200, window: 5000 }
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
    /// Any backend's alarm is the engine's.
    StockAny,
    /// A regression on all answers, learned from the arbiters' consensus.
    Stack,
    /// Rates found from the answers alone.
    DawidSkene,
}

/// Whether and how scores are calibrated on what the arbiters decided.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CalibrationConfig {
    /// `none`, `platt`, `beta`, `isotonic` or `auto`.
    pub map: MapKind,
    /// With a map: settled artifacts with which an outcome's weight for the prior halves; 0 for no prior of its own.
    pub half_life: u32,
}

impl Default for CalibrationConfig {
    fn default() -> CalibrationConfig {
        CalibrationConfig { map: MapKind::None, half_life: 150 }
    }
}

/// How long scans take and how many run at once.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScanConfig {
    /// Scans that run at the same time.
    pub slots: u32,
    /// Whether a replay takes the times that scans really took, where they were measured.
    pub times: ScanTimes,
    /// Where they were not: median time of one scan in milliseconds.
    pub milliseconds: u64,
    /// Standard deviation of the logarithm of that time; 0 for the same time always.
    pub spread: f64,
}

impl Default for ScanConfig {
    fn default() -> ScanConfig {
        ScanConfig { slots: 2, times: ScanTimes::default(), milliseconds: 500, spread: 0.5 }
    }
}

/// Where a replay has the times of scans from.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScanTimes {
    /// From the scans themselves; drawn for recorded backends.
    #[default]
    Measured,
    /// Drawn for all.
    Modelled,
}

/// How far archives are opened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArchiveConfig {
    /// Archives within archives that are opened; 0 opens none at all.
    pub depth: u32,
    /// Most members of one artifact, all depths together.
    pub members: u32,
    /// Most unpacked bytes of one artifact, all depths together.
    pub bytes: u64,
    /// Most unpacked bytes per packed byte, from the first mebibyte on.
    pub ratio: u64,
    /// Passwords that are tried on locked members.
    pub passwords: Vec<String>,
}

impl Default for ArchiveConfig {
    fn default() -> ArchiveConfig {
        ArchiveConfig { depth: 4, members: 10_000, bytes: 256 << 20, ratio: 250, passwords: vec!["infected".to_owned()] }
    }
}

/// One backend: its kind, what that kind needs, and its limits.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendConfig {
    /// Which one.
    pub kind: BackendKind,
    /// Its name in reports; its kind, if none is given. own: which one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// recorded: the column of the corpus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// hash-list: hashes of malicious files, relative to the engine file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad: Option<String>,
    /// hash-list: hashes of benign files, relative to the engine file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good: Option<String>,
    /// yara: files and folders of rules, relative to the engine file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<Vec<String>>,
    /// yara: the library that runs the rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub library: Option<YaraLibrary>,
    /// clamav: where clamd listens, `unix:/run/clamav/clamd.ctl` or `tcp:127.0.0.1:3310`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// model, own: a file, relative to the engine file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// static, model, own: probability from which an artifact is called malicious.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// command: the program and its arguments; `{file}` stands for the artifact's path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// command: how the artifact is handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<CommandInput>,
    /// command: how the verdict comes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<CommandOutput>,
    /// clamav, command, own: what its answers depend on besides what is written here, such as a database; part of the fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// command: most memory that it may have, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<u64>,
    /// Most time for one artifact, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_milliseconds: Option<u64>,
    /// Largest content that it is shown, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_limit: Option<u64>,
    /// Artifacts that it is shown at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
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

/// The backends there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackendKind {
    /// A recorded column of the corpus.
    Recorded,
    /// EICAR and GTUBE.
    Eicar,
    /// Lists of hashes.
    HashList,
    /// YARA rules.
    Yara,
    /// A clamd.
    Clamav,
    /// Features of the file, and a small scoring model that comes with the engine.
    Static,
    /// A trained model over the same features.
    Model,
    /// Any program.
    Command,
    /// One of somebody's own, which the program brings along.
    Own,
}

impl BackendKind {
    /// All of them, in order.
    pub const ALL: [BackendKind; 9] = [
        BackendKind::Recorded,
        BackendKind::Eicar,
        BackendKind::HashList,
        BackendKind::Yara,
        BackendKind::Clamav,
        BackendKind::Static,
        BackendKind::Model,
        BackendKind::Command,
        BackendKind::Own,
    ];

    /// As the engine's file writes it.
    pub const fn name(self) -> &'static str {
        match self {
            BackendKind::Recorded => "recorded",
            BackendKind::Eicar => "eicar",
            BackendKind::HashList => "hash-list",
            BackendKind::Yara => "yara",
            BackendKind::Clamav => "clamav",
            BackendKind::Static => "static",
            BackendKind::Model => "model",
            BackendKind::Command => "command",
            BackendKind::Own => "own",
        }
    }

    /// True if it looks at the content of artifacts.
    pub const fn reads_files(self) -> bool {
        !matches!(self, BackendKind::Recorded | BackendKind::HashList)
    }

    /// The keys that it knows besides those of every backend, and whether it can do without.
    pub const fn keys(self) -> &'static [(&'static str, Needed)] {
        use Needed::{No, Yes};
        match self {
            BackendKind::Recorded => &[("column", Yes)],
            BackendKind::Eicar => &[],
            BackendKind::HashList => &[("bad", No), ("good", No)],
            BackendKind::Yara => &[("rules", Yes), ("library", No)],
            BackendKind::Clamav => &[("address", No), ("version", No)],
            BackendKind::Static => &[("threshold", No)],
            BackendKind::Model => &[("file", Yes), ("threshold", No)],
            BackendKind::Command => &[("command", Yes), ("input", No), ("output", No), ("version", No), ("memory_limit", No)],
            BackendKind::Own => &[("file", No), ("threshold", No), ("version", No)],
        }
    }
}

/// Whether a kind of backend can do without a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needed {
    /// It cannot.
    Yes,
    /// It can.
    No,
}

impl std::fmt::Display for BackendKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The libraries that can run YARA rules.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum YaraLibrary {
    /// In every build; precise timeouts.
    #[default]
    Boreal,
    /// With the feature `yara-x`.
    YaraX,
}

/// How a program gets the artifact.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommandInput {
    /// As a path in the place of `{file}`, or as the last argument.
    #[default]
    File,
    /// On its standard input.
    Stdin,
}

/// How a program answers.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommandOutput {
    /// 0 benign, 1 malicious, anything else no answer: as clamscan does. Nor is 1 with nothing but a Python traceback.
    #[default]
    ExitCode,
    /// One JSON object on its standard output.
    Json,
}

/// Most time for one artifact, in milliseconds, where nothing else is said.
pub const TIMEOUT_MILLISECONDS: u64 = 10_000;
/// Largest content that a backend is shown, in bytes, where nothing else is said.
pub const SIZE_LIMIT: u64 = 64 << 20;

impl BackendConfig {
    /// A backend that replays `column`.
    pub fn recorded(column: &str) -> BackendConfig {
        BackendConfig { column: Some(column.to_owned()), ..BackendConfig::of(BackendKind::Recorded) }
    }

    /// A backend with nothing but a kind.
    pub fn of(kind: BackendKind) -> BackendConfig {
        BackendConfig {
            kind,
            name: None,
            column: None,
            bad: None,
            good: None,
            rules: None,
            library: None,
            address: None,
            file: None,
            threshold: None,
            command: None,
            input: None,
            output: None,
            version: None,
            memory_limit: None,
            timeout_milliseconds: None,
            size_limit: None,
            concurrency: None,
            tpr: None,
            fpr: None,
            trials: None,
        }
    }

    /// The same without what is known of its rates, which matters to distillers alone and not to its answers.
    #[must_use]
    pub fn without_rates(&self) -> BackendConfig {
        BackendConfig { tpr: None, fpr: None, trials: None, ..self.clone() }
    }

    /// Its name in reports.
    pub fn name(&self) -> &str {
        self.name.as_deref().or(self.column.as_deref()).unwrap_or(self.kind.name())
    }

    /// Makes every path that it names absolute, for whoever moves the engine's file: they are relative to `folder` so far.
    ///
    /// Of a command that is the program, if it has a slash, and those arguments that are files in that folder.
    pub fn located(&mut self, folder: &Path) {
        let absolute = |path: &mut String| {
            if let Some(located) = path::absolute(folder.join(&*path)).ok().and_then(|path| path.into_os_string().into_string().ok()) {
                *path = located;
            }
        };
        let BackendConfig { bad, good, rules, file, command, .. } = self;
        [bad, good, file].into_iter().flatten().chain(rules.iter_mut().flatten()).for_each(absolute);
        if let Some([program, arguments @ ..]) = command.as_deref_mut() {
            let files = arguments.iter_mut().filter(|argument| folder.join(&**argument).is_file());
            Some(program).filter(|program| program.contains('/')).into_iter().chain(files).for_each(absolute);
        }
    }

    /// Checks that the keys are those of the kind.
    fn check_keys(&self, index: usize) -> Result<(), EngineConfigError> {
        let every = ["kind", "name", "timeout_milliseconds", "size_limit", "concurrency", "tpr", "fpr", "trials"];
        let table = toml::Table::try_from(self).map_err(|error| EngineConfigError::Unwritable(error.to_string()))?;
        let own = self.kind.keys();
        if let Some(key) = table.keys().find(|key| !every.contains(&key.as_str()) && !own.iter().any(|(name, _)| name == key)) {
            return Err(EngineConfigError::Foreign { index, kind: self.kind, key: key.clone() });
        }
        for &(key, needed) in own {
            if needed == Needed::Yes && !table.contains_key(key) {
                return Err(EngineConfigError::Missing { index, kind: self.kind, key });
            }
        }
        if self.kind == BackendKind::Own && self.name.is_none() {
            return Err(EngineConfigError::Missing { index, kind: self.kind, key: "name" });
        }
        if self.kind == BackendKind::HashList && self.bad.is_none() && self.good.is_none() {
            return Err(EngineConfigError::Missing { index, kind: self.kind, key: "bad` or `good" });
        }
        Ok(())
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
    /// A key is another kind's.
    #[error("backend {index} (`{kind}`) has no use for `{key}`")]
    Foreign { index: usize, kind: BackendKind, key: String },
    /// A number is out of its range.
    #[error("`{key}` is {value}, but must be {expected}")]
    OutOfRange { key: String, value: f64, expected: &'static str },
    /// A rule of the filter is none.
    #[error("filter: {0}")]
    Filter(#[from] FilterError),
    /// Two backends have one name.
    #[error("two backends are called `{0}`; give one of them another `name`")]
    SameName(String),
    /// The description cannot be written as TOML.
    #[error("an engine's description must be TOML: {0}")]
    Unwritable(String),
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

    /// Checks every number, and that each backend has its keys.
    ///
    /// # Errors
    ///
    /// Names the first that is wrong.
    pub fn check(&self) -> Result<(), EngineConfigError> {
        let within = |key: String, value: f64, low: f64, high: f64, expected| {
            if value >= low && value <= high { Ok(()) } else { Err(EngineConfigError::OutOfRange { key, value, expected }) }
        };
        within("distiller.prior".into(), self.distiller.prior, 1e-9, 1.0 - 1e-9, "between 0 and 1")?;
        within("distiller.rho".into(), self.distiller.rho, 0.0, 1.0, "within 0 and 1")?;
        within("distiller.refit".into(), f64::from(self.distiller.refit), 1.0, 1e6, "within 1 and 1000000")?;
        within("distiller.window".into(), f64::from(self.distiller.window), 125.0, 1e6, "within 125 and 1000000")?;
        within("calibration.half_life".into(), f64::from(self.calibration.half_life), 0.0, 1e6, "within 0 and 1000000")?;
        within("scan.slots".into(), f64::from(self.scan.slots), 1.0, 1e4, "within 1 and 10000")?;
        within("scan.spread".into(), self.scan.spread, 0.0, 5.0, "within 0 and 5")?;
        Filter::new(&self.filter)?;
        let mut names = std::collections::BTreeSet::new();
        for (index, backend) in self.backends.iter().enumerate() {
            let key = |name: &str| format!("backends.{index}.{name}");
            for (name, value) in [("tpr", backend.tpr), ("fpr", backend.fpr), ("threshold", backend.threshold)] {
                within(key(name), value.unwrap_or(0.5), 0.0, 1.0, "within 0 and 1")?;
            }
            within(key("trials"), backend.trials.unwrap_or(1.0), 1.0, 1e12, "at least 1")?;
            let timeout = backend.timeout_milliseconds.unwrap_or(TIMEOUT_MILLISECONDS);
            within(key("timeout_milliseconds"), timeout as f64, 1.0, 3.6e6, "within 1 and 3600000")?;
            within(key("size_limit"), backend.size_limit.unwrap_or(SIZE_LIMIT) as f64, 1.0, 4e9, "within 1 and 4000000000")?;
            within(key("concurrency"), f64::from(backend.concurrency.unwrap_or(1)), 1.0, 1e4, "within 1 and 10000")?;
            within(key("memory_limit"), backend.memory_limit.unwrap_or(1 << 30) as f64, 1e6, 1e15, "at least 1000000")?;
            backend.check_keys(index)?;
            if !names.insert(backend.name()) {
                return Err(EngineConfigError::SameName(backend.name().to_owned()));
            }
        }
        Ok(())
    }

    /// The distiller for these backends.
    pub fn distiller(&self) -> Box<dyn Distiller> {
        let log_odds = || {
            let records: Vec<Record> = self.backends.iter().map(BackendConfig::record).collect();
            LogOddsDistiller::new(self.distiller.prior, self.distiller.rho, &records)
        };
        match self.distiller.kind {
            DistillerKind::Majority => Box::new(MajorityDistiller::new(self.backends.len())),
            DistillerKind::LogOdds => Box::new(log_odds()),
            DistillerKind::StockAny => Box::new(StockAnyDistiller),
            DistillerKind::Stack => Box::new(StackDistiller::new(log_odds())),
            DistillerKind::DawidSkene => Box::new(DawidSkeneDistiller::new(log_odds())),
        }
    }

    /// Distiller and calibration together.
    pub fn judge(&self) -> Judge {
        let schedule = Schedule {
            refit: u64::from(self.distiller.refit),
            window: self.distiller.window as usize,
            half_life: self.calibration.half_life,
        };
        Judge::new(self.distiller(), self.calibration.map, schedule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_is_located_with_all_the_files_that_it_names() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("script.py"), "").unwrap();
        let here = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let text = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>());
        let located = |program: &str| {
            let mut config = BackendConfig {
                bad: Some("bad.txt".to_owned()),
                good: Some("/good.txt".to_owned()),
                rules: text(&["rules", "more.yar"]),
                file: Some("model.toml".to_owned()),
                command: text(&[program, "script.py", "--quiet", "nothing.py", "{file}"]),
                ..BackendConfig::of(BackendKind::Command)
            };
            config.located(folder.path());
            config
        };
        let config = located("python3");
        assert_eq!([config.bad, config.good, config.file], [here("bad.txt"), "/good.txt".to_owned(), here("model.toml")].map(Some));
        assert_eq!(config.rules, Some(vec![here("rules"), here("more.yar")]));
        assert_eq!(config.command, text(&["python3", &here("script.py"), "--quiet", "nothing.py", "{file}"]));
        assert_eq!(located("bin/scan").command.unwrap()[0], here("bin/scan"));
    }
}
