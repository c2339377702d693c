//! How good real engines are, per file type: coverage, hit rate, and how their verdicts hang together.
//!
//! The shipped table was fitted on about 173,000 public multi-engine reports: logit P(malicious verdict) = a + b·z with
//! z ~ N(0,1) drawn once per artifact and shared by all engines, two factors for malware and one for benign files;
//! engines of one OEM cluster share their noise, too. Independent engines (no factors) are far too seldom wrong
//! together: a majority of ten then misses .0019 of PE malware where real ones miss .0257.

use std::{collections::BTreeMap, fs, io::Read as _, path::Path};

use serde::Deserialize;

/// The table that is shipped.
const BUILTIN: &str = include_str!("../data/engine-profiles.csv");

/// The file type that stands in where nothing was fitted for a type.
pub const FALLBACK_TYPE: &str = "pe32";

/// Log-odds of a malicious verdict: `a + b[0]·z1 + b[1]·z2`.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct LogOdds {
    /// Intercept.
    pub a: f64,
    /// Loadings on the shared factors.
    pub b: [f64; 2],
}

/// An engine on one file type.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TypeProfile {
    /// Share of artifacts it answers on.
    pub coverage: f64,
    /// Share of malware it finds, factors aside.
    pub rate: f64,
    /// With one shared factor.
    pub one_factor: LogOdds,
    /// With two shared factors.
    pub two_factor: LogOdds,
}

/// One engine.
#[derive(Clone, PartialEq, Debug)]
pub struct Profile {
    /// Its name.
    pub engine: String,
    /// Its OEM cluster, if it shares an engine with others.
    pub cluster: Option<String>,
    /// On malware, by file type.
    pub types: BTreeMap<String, TypeProfile>,
    /// On benign files of any type.
    pub benign: TypeProfile,
}

/// Profiles by engine name.
#[derive(Clone, PartialEq, Debug)]
pub struct Profiles(BTreeMap<String, Profile>);

/// Why a table of profiles cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfilesError {
    /// A file cannot be read.
    #[error("cannot read the profiles {path}: {cause}; name `builtin`, a table in its format, or a `competitor_profiles.json`")]
    Unreadable { path: String, cause: std::io::Error },
    /// A line is no profile.
    #[error(
        "{path}: {problem}; a table of profiles has the columns engine, cluster, file_type, coverage, rate, one_a, one_b, two_a, two_b1, two_b2"
    )]
    Malformed { path: String, problem: String },
    /// A JSON file is not of the known form.
    #[error("{path}: {cause}; expected a `competitor_profiles.json` with its `model.json` beside it")]
    MalformedJson { path: String, cause: serde_json::Error },
    /// Nobody of that name.
    #[error("the profiles know no engine `{name}`; the nearest are {nearest}")]
    UnknownEngine { name: String, nearest: String },
}

/// Keeps log-odds finite where a rate of 0 or 1 was seen.
fn logit(rate: f64) -> f64 {
    let rate = rate.clamp(1e-4, 1.0 - 1e-4);
    libm::log(rate / (1.0 - rate))
}

impl TypeProfile {
    /// Fills in what was not fitted: without factors, the rate alone; without a second factor, the first.
    fn new(coverage: f64, rate: f64, one: Option<LogOdds>, two: Option<LogOdds>) -> TypeProfile {
        let one_factor = one.unwrap_or(LogOdds { a: logit(rate), b: [0.0; 2] });
        TypeProfile { coverage, rate, one_factor, two_factor: two.unwrap_or(one_factor) }
    }

    /// The log-odds of its rate, whatever the artifact.
    pub fn independent(&self) -> LogOdds {
        LogOdds { a: logit(self.rate), b: [0.0; 2] }
    }
}

#[derive(Deserialize)]
struct Line {
    engine: String,
    cluster: Option<String>,
    file_type: String,
    coverage: Option<f64>,
    rate: Option<f64>,
    one_a: Option<f64>,
    one_b: Option<f64>,
    two_a: Option<f64>,
    two_b1: Option<f64>,
    two_b2: Option<f64>,
}

impl Profiles {
    /// The shipped profiles.
    ///
    /// # Panics
    ///
    /// Never: a test reads the table.
    pub fn builtin() -> Profiles {
        Profiles::parse(BUILTIN, "builtin").expect("the shipped table is well formed")
    }

    /// `builtin`, a table in the shipped format, or a `competitor_profiles.json` with `model.json` beside it.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is malformed.
    pub fn load(source: &str, folder: &Path) -> Result<Profiles, ProfilesError> {
        if source == "builtin" {
            return Ok(Profiles::builtin());
        }
        let path = folder.join(source);
        let text = read(&path)?;
        if path.extension().is_some_and(|extension| extension == "json") {
            json::parse(&path, &text)
        } else {
            Profiles::parse(&text, &path.display().to_string())
        }
    }

    fn parse(text: &str, path: &str) -> Result<Profiles, ProfilesError> {
        let malformed = |problem: String| ProfilesError::Malformed { path: path.to_owned(), problem };
        let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(text.as_bytes());
        let mut profiles = BTreeMap::new();
        for line in reader.deserialize() {
            let line: Line = line.map_err(|error| malformed(error.to_string()))?;
            let rate = line.rate.unwrap_or(0.0);
            let coverage = line.coverage.unwrap_or(1.0);
            let one = line.one_a.zip(line.one_b).map(|(a, b)| LogOdds { a, b: [b, 0.0] });
            let two = line.two_a.zip(line.two_b1.zip(line.two_b2)).map(|(a, (b1, b2))| LogOdds { a, b: [b1, b2] });
            let on_type = TypeProfile::new(coverage, rate, one, two);
            let profile = profiles
                .entry(line.engine.clone())
                .or_insert_with(|| Profile::new(line.engine, line.cluster.filter(|name| !name.is_empty())));
            match line.file_type.as_str() {
                "benign" => profile.benign = on_type,
                _ => {
                    profile.types.insert(line.file_type, on_type);
                }
            }
        }
        Profiles::checked(profiles, path)
    }

    /// Profiles, if there are any and every figure makes sense.
    fn checked(profiles: BTreeMap<String, Profile>, path: &str) -> Result<Profiles, ProfilesError> {
        let malformed = |problem: String| ProfilesError::Malformed { path: path.to_owned(), problem };
        if profiles.is_empty() {
            return Err(malformed("there is no profile in it".to_owned()));
        }
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let finite = |odds: LogOdds| odds.a.is_finite() && odds.b.iter().all(|b| b.is_finite());
        let sane = |on_type: &TypeProfile| {
            share(on_type.coverage) && share(on_type.rate) && finite(on_type.one_factor) && finite(on_type.two_factor)
        };
        match profiles.values().find(|profile| !profile.types.values().chain([&profile.benign]).all(sane)) {
            Some(profile) => Err(malformed(format!(
                "engine `{}`: coverage and rate must be within 0 and 1, factors finite",
                profile.engine.escape_debug()
            ))),
            None => Ok(Profiles(profiles)),
        }
    }

    /// Identifies every figure in them.
    pub fn fingerprint(&self) -> String {
        format!("profiles:{:016x}", engine::chance::fnv1a64(&format!("{:?}", self.0)))
    }

    /// The profile of that engine.
    ///
    /// # Errors
    ///
    /// If there is none, with the nearest names.
    pub fn get(&self, engine: &str) -> Result<&Profile, ProfilesError> {
        self.0.get(engine).ok_or_else(|| {
            let mut near: Vec<(f64, &String)> = self.0.keys().map(|known| (strsim::jaro_winkler(engine, known), known)).collect();
            near.sort_by(|a, b| b.0.total_cmp(&a.0));
            let nearest = near.iter().take(3).map(|(_, known)| format!("`{known}`")).collect::<Vec<_>>().join(", ");
            ProfilesError::UnknownEngine { name: engine.chars().take(60).flat_map(char::escape_debug).collect(), nearest }
        })
    }

    /// Names of the engines that find at least `rate` of the malware of `file_type`, among those with a fit of it.
    pub fn pool(&self, file_type: &str, rate: f64) -> Vec<&str> {
        let good = |profile: &&Profile| {
            profile.types.get(file_type).is_some_and(|on_type| on_type.rate >= rate && on_type.two_factor != on_type.independent())
        };
        self.0.values().filter(good).map(|profile| profile.engine.as_str()).collect()
    }
}

impl Profile {
    fn new(engine: String, cluster: Option<String>) -> Profile {
        Profile { engine, cluster, types: BTreeMap::new(), benign: TypeProfile::new(1.0, 0.0, None, None) }
    }

    /// Its behaviour on malware of `file_type`; another type's where this one was not fitted.
    pub fn on_malware(&self, file_type: &str) -> TypeProfile {
        let fallback = || self.types.get(FALLBACK_TYPE).or_else(|| self.types.values().next());
        self.types.get(file_type).or_else(fallback).copied().unwrap_or(TypeProfile::new(0.0, 0.0, None, None))
    }
}

/// Longest file of profiles that is read, in bytes.
const FILE_LIMIT: u64 = 16 << 20;

fn read(path: &Path) -> Result<String, ProfilesError> {
    let mut text = String::new();
    let read = fs::File::open(path).and_then(|file| file.take(FILE_LIMIT).read_to_string(&mut text));
    read.map(|_| text).map_err(|cause| ProfilesError::Unreadable { path: path.display().to_string(), cause })
}

/// The JSON form in which the fit was first written down.
mod json {
    use super::{BTreeMap, Deserialize, LogOdds, Path, Profile, Profiles, ProfilesError, TypeProfile, read};

    #[derive(Deserialize)]
    struct Competitors {
        profiles: BTreeMap<String, Competitor>,
    }

    #[derive(Deserialize)]
    struct Competitor {
        cluster: Option<String>,
        fpr_loo: Option<f64>,
        fpr_pe_curated: Option<f64>,
        fp_c: Option<f64>,
        fp_f: Option<f64>,
        types: BTreeMap<String, OnType>,
    }

    #[derive(Deserialize)]
    struct OnType {
        coverage: Option<f64>,
        tpr: Option<f64>,
        a: Option<f64>,
        b: Option<f64>,
    }

    #[derive(Deserialize)]
    struct Model {
        groups: BTreeMap<String, Group>,
    }

    #[derive(Deserialize)]
    struct Group {
        engines: Vec<String>,
        two_factor: Vec<[f64; 3]>,
    }

    pub(super) fn parse(path: &Path, text: &str) -> Result<Profiles, ProfilesError> {
        let malformed = |path: &Path, cause| ProfilesError::MalformedJson { path: path.display().to_string(), cause };
        let competitors: Competitors = serde_json::from_str(text).map_err(|cause| malformed(path, cause))?;
        let model_path = path.with_file_name("model.json");
        let model: Model = serde_json::from_str(&read(&model_path)?).map_err(|cause| malformed(&model_path, cause))?;
        let two_factor = |engine: &str, file_type: &str| {
            let group = model.groups.get(&format!("{file_type}/malicious"))?;
            let position = group.engines.iter().position(|name| name == engine)?;
            group.two_factor.get(position).map(|&[a, b1, b2]| LogOdds { a, b: [b1, b2] })
        };
        let one = |a: Option<f64>, b: Option<f64>| a.zip(b).map(|(a, b)| LogOdds { a, b: [b, 0.0] });
        let profile = |(engine, competitor): (String, Competitor)| {
            let on_type = |(file_type, on_type): (&String, &OnType)| {
                let two = two_factor(&engine, file_type);
                (
                    file_type.clone(),
                    TypeProfile::new(on_type.coverage.unwrap_or(1.0), on_type.tpr.unwrap_or(0.0), one(on_type.a, on_type.b), two),
                )
            };
            let fpr = competitor.fpr_loo.or(competitor.fpr_pe_curated).unwrap_or(0.0);
            let types = competitor.types.iter().map(on_type).collect();
            let benign = TypeProfile::new(1.0, fpr, one(competitor.fp_c, competitor.fp_f), None);
            (engine.clone(), Profile { engine, cluster: competitor.cluster, types, benign })
        };
        Profiles::checked(competitors.profiles.into_iter().map(profile).collect(), &path.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_profiles_are_read_whole() {
        let profiles = Profiles::builtin();
        assert_eq!(profiles.0.len(), 98);
        assert_eq!(profiles.pool("pe32", 0.5).len(), 59, "as many as the fit's panel check drew from");
        let clamav = profiles.get("ClamAV").unwrap();
        assert_eq!((clamav.on_malware("pe32").rate, clamav.on_malware("php").rate), (0.5605, 0.0357));
        assert_eq!(clamav.on_malware("elf"), clamav.on_malware(FALLBACK_TYPE));
        assert!(profiles.get("ClamAw").unwrap_err().to_string().contains("`ClamAV`"));
    }

    #[test]
    fn a_broken_table_says_so() {
        let error = Profiles::parse("engine,file_type\nX,pe32\n", "mine.csv").map(|profiles| profiles.0.len());
        assert_eq!(error.unwrap(), 1, "missing columns are missing figures");
        let text = |table| Profiles::parse(table, "mine.csv").unwrap_err().to_string();
        assert!(text("engine,cluster,file_type,coverage,rate\nX,,pe32,2,0.5\n").starts_with("mine.csv: engine `X`: coverage"));
        assert!(text("a,b\n1,2\n").contains("missing field `engine`"));
        assert!(text("engine,file_type\n").contains("no profile"));
    }
}
