//! What everybody will do about one bounty, as far as it does not depend on the market: scans, rivals, votes.
//!
//! Plans are drawn from addressed chance, so they can be made in any order and on any number of threads; [`Planner`]
//! hands them out in the order of the corpus, a chunk at a time, so memory does not grow with the run.

use std::{path::Path, sync::Arc};

use datasets::{ArtifactId, Corpus, CorpusError, CorpusSummary, Row, Rows, Truth};
use engine::{
    artifact::{Artifact, ScanResult},
    backend::Backend,
    chance::{Key, fnv1a64},
    config::EngineConfigError,
    stake::StrategyError,
};
use market::{block::BlockNumber, id::Guid, ruleset::RuleSet, verdict::ArtifactSet};
use rayon::prelude::*;
use smallvec::SmallVec;

use crate::{
    arrivals::{Arrivals, ScanQueue},
    profiles::FALLBACK_TYPE,
    rivals::{Population, PopulationError, RivalPlan, Surroundings, Target},
    scenario::{Arrival, Scenario, ScenarioError},
};

/// Bounties that are planned at once.
const CHUNK: usize = 1024;
/// Rows of a corpus that are kept in memory; a longer corpus is read again for every pass.
const CACHED_ROWS: u64 = 1 << 15;
/// Largest artifact that is handed to a backend, in bytes.
pub const ARTIFACT_LIMIT: u64 = 64 << 20;

/// Why a scenario cannot be played on a corpus.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    #[error(transparent)]
    Population(#[from] PopulationError),
    #[error("engine")]
    Engine(#[from] EngineConfigError),
    #[error("engine.strategy")]
    Strategy(#[from] StrategyError),
    #[error("engine: the corpus has no recorded engine `{name}`; it has {known}")]
    UnknownColumn { name: String, known: String },
    #[error("engine: backend `{backend}` looks at files, but the corpus has none; use a `recorded` backend")]
    NoFiles { backend: String },
    #[error(
        "the corpus has neither recorded engines nor files: there is nothing for an engine to scan; add engine columns or a `path` column"
    )]
    NothingToScan,
    #[error("`ambassadors.arrival` is `recorded`, but {undated} of {rows} artifacts have no `first_seen`; use `poisson` or `fixed`")]
    Undated { undated: u64, rows: u64 },
}

/// Everything that a run is made of, checked.
#[derive(Debug)]
pub struct Setup {
    /// The scenario, with the backends that the corpus decided on, if it named none.
    pub scenario: Scenario,
    /// The rules in force.
    pub rules: RuleSet,
    /// The corpus.
    pub corpus: Corpus,
    /// What its first pass found.
    pub summary: CorpusSummary,
    /// The rivals.
    pub population: Population,
    /// Bounties that will be posted.
    pub bounties: u64,
    /// Things a user should know before believing the result.
    pub warnings: Vec<String>,
    backends: Vec<Arc<dyn Backend>>,
    /// For each recorded backend, its column in the corpus.
    own_columns: Vec<usize>,
    cached: Option<Arc<[Row]>>,
}

impl Setup {
    /// Checks scenario and corpus against each other. Files of the engine are relative to `engine_folder`, those of
    /// rivals to `folder`.
    ///
    /// # Errors
    ///
    /// If either is unusable, or they do not fit.
    pub fn new(
        mut scenario: Scenario,
        corpus: Corpus,
        summary: CorpusSummary,
        engine_folder: &Path,
        folder: &Path,
    ) -> Result<Setup, SetupError> {
        scenario.check()?;
        let rules = scenario.rule_set()?;
        let columns: Vec<String> = corpus.engines().iter().map(|column| column.name.clone()).collect();
        if scenario.engine.backends.is_empty() {
            scenario.engine.backends = default_backends(&corpus, &columns)?;
        }
        crate::oracle::build(&scenario.engine.strategy, &Default::default())?;
        let backends = scenario.engine.backends(engine_folder)?;
        if let Some(backend) = backends.iter().find(|backend| backend.needs_content() && !corpus.has_files()) {
            return Err(SetupError::NoFiles { backend: backend.name().to_owned() });
        }
        let own_names = scenario.engine.recorded_columns();
        let position = |name: &&str| {
            columns.iter().position(|column| column == name).ok_or_else(|| {
                let known = columns.iter().take(12).map(|column| format!("`{}`", column.escape_debug())).collect::<Vec<_>>().join(", ");
                SetupError::UnknownColumn {
                    name: name.escape_debug().to_string(),
                    known: if known.is_empty() { "none".to_owned() } else { known },
                }
            })
        };
        let own_columns: Vec<usize> = own_names.iter().map(position).collect::<Result<_, _>>()?;
        if scenario.ambassadors.arrival == Arrival::Recorded && summary.undated > 0 {
            return Err(SetupError::Undated { undated: summary.undated, rows: summary.rows });
        }
        let types: Vec<&str> = summary.types.keys().map(String::as_str).collect();
        let surroundings =
            Surroundings { columns: &columns, own_columns: &own_names, types: &types, duration: scenario.ambassadors.duration, folder };
        let population = Population::new(&scenario.rivals, &surroundings)?;
        let artifacts = u64::from(scenario.ambassadors.artifacts);
        let bounties = if scenario.bounties == 0 { summary.rows.div_ceil(artifacts) } else { scenario.bounties };
        let cached = if summary.rows <= CACHED_ROWS { Some(corpus.rows()?.collect::<Result<Vec<Row>, _>>()?.into()) } else { None };
        let warnings = warnings(&scenario, &summary, &population);
        Ok(Setup { scenario, rules, corpus, summary, population, bounties, warnings, backends, own_columns, cached })
    }

    /// Plans from the first bounty on.
    ///
    /// # Errors
    ///
    /// If the corpus cannot be read.
    pub fn planner(&self) -> Result<Planner<'_>, SetupError> {
        let source = match &self.cached {
            Some(rows) => Source::Cached(rows),
            None => Source::Streamed { rows: self.corpus.rows()?, window: Vec::new(), first: 0 },
        };
        Ok(Planner {
            setup: self,
            seed: Key::root(self.scenario.seed),
            source,
            arrivals: Arrivals::new(&self.scenario.ambassadors, self.scenario.block_seconds),
            scans: ScanQueue::new(&self.scenario.engine.scan, self.scenario.block_seconds),
            next: 0,
        })
    }

    /// Number of backends of the engine under test.
    pub fn backends(&self) -> usize {
        self.backends.len()
    }
}

/// What an engine without backends uses: the first recorded column, or the test files.
fn default_backends(corpus: &Corpus, columns: &[String]) -> Result<Vec<engine::config::BackendConfig>, SetupError> {
    use engine::config::{BackendConfig, BackendKind};
    match columns.first() {
        Some(column) => Ok(vec![BackendConfig::recorded(column)]),
        None if corpus.has_files() => Ok(vec![BackendConfig::of(BackendKind::Eicar)]),
        None => Err(SetupError::NothingToScan),
    }
}

fn warnings(scenario: &Scenario, summary: &CorpusSummary, population: &Population) -> Vec<String> {
    let mut warnings = Vec::new();
    let fitted = population.fitted_types();
    let strange: Vec<&str> = summary.types.keys().map(String::as_str).filter(|name| !fitted.iter().any(|known| known == name)).collect();
    if !strange.is_empty() && population.has_fitted_rivals() {
        let shown = strange.iter().take(6).map(|name| format!("`{}`", name.escape_debug())).collect::<Vec<_>>().join(", ");
        warnings.push(format!("no engine figures were fitted for file type {shown}: parametric rivals behave there as on {FALLBACK_TYPE}"));
    }
    if scenario.rivals.iter().any(|group| group.model == crate::scenario::RivalModel::Independent) {
        warnings.push("independent rivals are wrong together far less often than real engines: profits are understated".to_owned());
    }
    if scenario.engine.strategy == crate::oracle::NAME {
        warnings.push("`oracle/label` knows the corpus label: its result is an upper mark, not a strategy".to_owned());
    }
    if scenario.ambassadors.arrival == Arrival::Recorded && !summary.in_time_order {
        warnings.push("the corpus is not in time order: bounties seen earlier than their predecessor are posted with it".to_owned());
    }
    let malicious_votes = benign_called_malicious(scenario);
    if malicious_votes > 0.02 {
        warnings.push(format!("arbiters will call {:.1} % of benign artifacts malicious under these rules", 100.0 * malicious_votes));
    }
    warnings
}

/// Probability that a benign artifact is voted malicious: the arbiters' errors are independent.
fn benign_called_malicious(scenario: &Scenario) -> f64 {
    let (arbiters, error) = (u64::from(scenario.arbiters.count), scenario.arbiters.error);
    let Ok(rules) = scenario.rule_set() else { return 0.0 };
    let (mut total, mut probability) = (0.0, (1.0 - error).powi(arbiters as i32));
    for malicious in 0..=arbiters {
        if arbiters > 0 && rules.is_malicious(malicious, arbiters) {
            total += probability;
        }
        probability *= (arbiters - malicious) as f64 / (malicious + 1) as f64 * error / (1.0 - error).max(f64::MIN_POSITIVE);
    }
    total
}

/// One artifact of a bounty, as the report needs it.
#[derive(Clone, Debug)]
pub struct ArtifactFacts {
    /// SHA-256 of its content.
    pub id: ArtifactId,
    /// What the corpus says of it.
    pub truth: Truth,
    /// Its file type.
    pub file_type: Option<Arc<str>>,
    /// Its family.
    pub family: Option<Arc<str>>,
}

/// What one arbiter votes.
#[derive(Clone, Copy, Debug)]
pub struct VotePlan {
    /// Number of the arbiter.
    pub arbiter: u32,
    /// Blocks after the vote window opens.
    pub delay: u64,
    /// Malicious artifacts.
    pub votes: ArtifactSet,
}

/// What everybody will do about one bounty.
#[derive(Clone, Debug)]
pub struct BountyPlan {
    /// Its number in the run, from 0.
    pub number: u64,
    /// Its guid.
    pub guid: Guid,
    /// Number of the ambassador who posts it.
    pub ambassador: u32,
    /// Block of posting.
    pub posted: BlockNumber,
    /// Its artifacts.
    pub artifacts: SmallVec<[ArtifactFacts; 1]>,
    /// Artifacts that the corpus calls malicious.
    pub labels: ArtifactSet,
    /// Answers of the engine's backends, artifact by artifact.
    pub results: Vec<ScanResult>,
    /// Block in which the engine has them.
    pub scanned: BlockNumber,
    /// The rivals who take part.
    pub rivals: Vec<RivalPlan>,
    /// The votes, in order of arbiters.
    pub votes: Vec<VotePlan>,
}

/// Hands out plans in order.
#[derive(Debug)]
pub struct Planner<'a> {
    setup: &'a Setup,
    seed: Key,
    source: Source<'a>,
    arrivals: Arrivals,
    scans: ScanQueue,
    next: u64,
}

/// Where rows come from: all in memory, or a window over a stream that begins again at its end.
#[derive(Debug)]
enum Source<'a> {
    Cached(&'a [Row]),
    Streamed { rows: Rows, window: Vec<Row>, first: u64 },
}

/// What is settled about a bounty before its plan is drawn.
struct Draft {
    number: u64,
    first_row: u64,
    artifacts: usize,
    posted: BlockNumber,
    scanned: BlockNumber,
}

impl Planner<'_> {
    /// The next plans, at most a chunk of them; none at the end of the run.
    ///
    /// # Errors
    ///
    /// If the corpus cannot be read on.
    pub fn next_chunk(&mut self) -> Result<Vec<BountyPlan>, SetupError> {
        let scenario = &self.setup.scenario;
        let per_bounty = u64::from(scenario.ambassadors.artifacts);
        let rows = self.setup.summary.rows;
        let per_pass = rows.div_ceil(per_bounty);
        let count = (CHUNK as u64).div_ceil(per_bounty).min(self.setup.bounties - self.next);
        // Bounty k of a pass has the rows from k·per_bounty on; the last of a pass may have fewer.
        let row_of = |number: u64| (number / per_pass) * rows + (number % per_pass) * per_bounty;
        let end = row_of(self.next + count);
        self.source.load(&self.setup.corpus, row_of(self.next), end)?;

        let mut drafts = Vec::with_capacity(count as usize);
        for number in self.next..self.next + count {
            let (first_row, at) = (row_of(number), self.seed.named("bounty").with(number));
            let artifacts = (row_of(number + 1) - first_row) as usize;
            let posted = self.arrivals.next(at, self.source.rows().get(first_row).first_seen);
            let scanned = self.scans.scan(at, posted, artifacts);
            drafts.push(Draft { number, first_row, artifacts, posted, scanned });
        }
        self.next += count;
        let (setup, seed, rows) = (self.setup, self.seed, self.source.rows());
        drafts.into_par_iter().with_min_len(32).map(|draft| setup.plan(seed, rows, &draft)).collect()
    }
}

impl Source<'_> {
    /// Makes the rows `first..end` of the endless corpus available.
    fn load(&mut self, corpus: &Corpus, start: u64, end: u64) -> Result<(), SetupError> {
        if let Source::Streamed { rows, window, first } = self {
            window.clear();
            *first = start;
            while (window.len() as u64) < end - start {
                match rows.next() {
                    Some(row) => window.push(row?),
                    None => *rows = corpus.rows()?,
                }
            }
        }
        Ok(())
    }

    fn rows(&self) -> RowView<'_> {
        match self {
            Source::Cached(rows) => RowView { rows, first: 0 },
            Source::Streamed { window, first, .. } => RowView { rows: window, first: *first },
        }
    }
}

/// Rows of the endless corpus from number `first` on; beyond the last they repeat.
#[derive(Clone, Copy)]
struct RowView<'a> {
    rows: &'a [Row],
    first: u64,
}

impl<'a> RowView<'a> {
    fn get(self, number: u64) -> &'a Row {
        &self.rows[((number - self.first) % self.rows.len() as u64) as usize]
    }
}

impl Setup {
    fn plan(&self, seed: Key, rows: RowView<'_>, draft: &Draft) -> Result<BountyPlan, SetupError> {
        let at = seed.named("bounty").with(draft.number);
        let mut plan = BountyPlan {
            number: draft.number,
            guid: guid(at),
            ambassador: at.named("ambassador").stream().below(u64::from(self.scenario.ambassadors.count)) as u32,
            posted: draft.posted,
            artifacts: SmallVec::with_capacity(draft.artifacts),
            labels: ArtifactSet::EMPTY,
            results: Vec::with_capacity(draft.artifacts * self.backends.len()),
            scanned: draft.scanned,
            rivals: Vec::with_capacity(self.population.rivals.len()),
            votes: Vec::with_capacity(self.scenario.arbiters.count as usize),
        };
        let mut targets: SmallVec<[Target<'_>; 1]> = SmallVec::with_capacity(draft.artifacts);
        for index in 0..draft.artifacts {
            let row = rows.get(draft.first_row + index as u64);
            let malicious = row.truth == Truth::Malicious;
            if malicious {
                plan.labels.insert(index);
            }
            self.scan(row, &mut plan.results)?;
            targets.push(Target {
                malicious,
                file_type: self.population.type_number(row.file_type.as_deref().unwrap_or(datasets::NO_TYPE)),
                family: row.family.as_deref().map(fnv1a64),
                recorded: &row.recorded,
            });
            plan.artifacts.push(ArtifactFacts {
                id: row.id,
                truth: row.truth,
                file_type: row.file_type.clone(),
                family: row.family.clone(),
            });
        }
        self.population.plan(at, seed, &self.rules, &targets, &mut plan.rivals);
        self.vote(at, draft.artifacts, plan.labels, &mut plan.votes);
        Ok(plan)
    }

    /// The engine's backends on one artifact.
    fn scan(&self, row: &Row, results: &mut Vec<ScanResult>) -> Result<(), SetupError> {
        let recorded: SmallVec<[ScanResult; 8]> = self
            .own_columns
            .iter()
            .map(|&column| {
                row.recorded[column].map_or(ScanResult::NONE, |recorded| ScanResult {
                    malicious: Some(recorded.malicious),
                    confidence: recorded.confidence,
                })
            })
            .collect();
        let content = match self.backends.iter().any(|backend| backend.needs_content()) {
            true => Some(self.corpus.read_artifact(row, ARTIFACT_LIMIT)?),
            false => None,
        };
        let artifact = Artifact {
            sha256: row.id.0,
            file_type: row.file_type.as_deref(),
            size: row.size,
            content: content.as_deref(),
            recorded: &recorded,
        };
        results.extend(self.backends.iter().map(|backend| backend.scan(&artifact)));
        Ok(())
    }

    /// The arbiters' votes: the label, seen with noise.
    fn vote(&self, at: Key, artifacts: usize, labels: ArtifactSet, votes: &mut Vec<VotePlan>) {
        let config = &self.scenario.arbiters;
        for arbiter in 0..config.count {
            let mut chance = at.named("arbiter").with(u64::from(arbiter)).stream();
            let abstains = chance.uniform() < config.abstain;
            let delay = chance.below(config.delay + 1);
            if !abstains {
                let votes_for = ArtifactSet::collect(artifacts, |artifact| labels.contains(artifact) != (chance.uniform() < config.error));
                votes.push(VotePlan { arbiter, delay, votes: votes_for });
            }
        }
    }
}

fn guid(at: Key) -> Guid {
    let mut chance = at.named("guid").stream();
    Guid(u128::from(chance.bits()) << 64 | u128::from(chance.bits()))
}
