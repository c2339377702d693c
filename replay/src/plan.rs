//! What everybody will do about one bounty, as far as it does not depend on the market: scans, rivals, votes.
//!
//! Plans are drawn from addressed chance, so they can be made in any order and on any number of threads; [`Planner`]
//! hands them out in the order of the corpus, a chunk at a time, so memory does not grow with the run.

use std::{ops::Index, path::Path, sync::Arc};

use datasets::{ArtifactId, Corpus, CorpusError, CorpusSummary, Row, Rows, Truth};
use engine::{
    artifact::ScanResult,
    backend::eicar::Eicar,
    chance::{Key, fnv1a64},
    config::{BackendConfig, BackendKind, EngineConfig, EngineConfigError, ScanTimes},
    filter::{Announced, Filter},
    settled::Pools,
    stake::StrategyError,
};
use market::{
    block::BlockNumber,
    id::Guid,
    nct::Nct,
    ruleset::{Bids, RuleSet},
    verdict::ArtifactSet,
};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use smallvec::SmallVec;

use crate::{
    arrivals::{Arrivals, ScanQueue},
    error_rates::ErrorRates,
    oracle::Future,
    profiles::FALLBACK_TYPE,
    rivals::{Population, PopulationError, RivalPlan, Surroundings, Target},
    scenario::{Arrival, RivalConfig, RivalModel, Scenario, ScenarioError},
    verdicts::VerdictTable,
};

/// Words of addresses.
mod word {
    use engine::chance::fnv1a64;

    pub(super) const BOUNTY: u64 = fnv1a64("bounty");
    pub(super) const GUID: u64 = fnv1a64("guid");
    pub(super) const AMBASSADOR: u64 = fnv1a64("ambassador");
    pub(super) const ARBITER: u64 = fnv1a64("arbiter");
    pub(super) const VISITOR: u64 = fnv1a64("visitor");
}

/// Bounties that are planned at once: few enough for the plans to stay in a core's own cache until they are played.
pub(crate) const CHUNK: usize = 128;
/// Rows of a corpus that are kept in memory; a longer corpus is read again for every pass.
const CACHED_ROWS: u64 = 1 << 15;

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
    #[error("engine.strategy")]
    Strategy(#[from] StrategyError),
    #[error("engine: the corpus has no recorded engine `{name}`; it has {known}")]
    UnknownColumn { name: String, known: String },
    #[error("engine: backend `{backend}` looks at files, but the corpus has none; use a `recorded` backend")]
    NoFiles { backend: String },
    #[error("the corpus' row {row} was not scanned; scan the corpus before it is replayed")]
    NotScanned { row: u64 },
    #[error(
        "the corpus has neither recorded engines nor files: there is nothing for an engine to scan; add engine columns or a `path` column"
    )]
    NothingToScan,
    #[error("`ambassadors.arrival` is `recorded`, but {undated} of {rows} artifacts have no `first_seen`; use `poisson` or `fixed`")]
    Undated { undated: u64, rows: u64 },
}

/// Everything that a run is made of, checked.
#[derive(Clone, Debug)]
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
    /// What the run depends on besides scenario and corpus: backends that were asked, profiles.
    pub inputs: Vec<String>,
    /// Answers of the engine's backends that did not come, and may another time: then the run may be another one.
    pub missing_answers: u64,
    /// Each of the engine's backends failed on every artifact.
    pub nothing_answered: bool,
    /// Where each of the engine's backends has its answers from; none for an engine from outside.
    sources: Vec<AnswerSource>,
    verdicts: Arc<VerdictTable>,
    filter: Filter,
    cached: Option<Arc<[Exhibit]>>,
}

/// Where a backend's answers stand.
#[derive(Clone, Copy, Debug)]
enum AnswerSource {
    /// In that column of the corpus.
    Column(usize),
    /// At that place of the verdict table.
    Table(usize),
}

/// A row of the corpus, with what every plan about it needs.
#[derive(Debug)]
struct Exhibit {
    row: Row,
    facts: Arc<ArtifactFacts>,
    /// Number of its file type.
    file_type: usize,
    /// Hash of its family's name.
    family: Option<u64>,
    /// Answers of the engine's backends.
    results: SmallVec<[ScanResult; 2]>,
    /// Factor that the engine's filter puts on the confidence in them.
    factor: f64,
    /// Time that the scan took, in seconds, where it was measured.
    scan_seconds: Option<f64>,
}

impl Setup {
    /// Checks scenario and corpus against each other, for an engine that comes from outside and scans for itself. Files of
    /// rivals are relative to `folder`.
    ///
    /// # Errors
    ///
    /// If either is unusable, or they do not fit.
    pub fn new(scenario: Scenario, corpus: Corpus, summary: CorpusSummary, folder: &Path) -> Result<Setup, SetupError> {
        let mut setup = Setup::checked(scenario, corpus, summary, folder)?;
        setup.keep_rows()?;
        Ok(setup)
    }

    /// The same, before the corpus is read.
    fn checked(scenario: Scenario, corpus: Corpus, summary: CorpusSummary, folder: &Path) -> Result<Setup, SetupError> {
        scenario.check()?;
        let rules = scenario.rule_set()?;
        scenario.check_last(&rules, summary.rows)?;
        let columns: Vec<String> = corpus.engines().iter().map(|column| column.name.clone()).collect();
        crate::oracle::build(&scenario.engine.strategy, &Default::default())?;
        let own_names = scenario.engine.recorded_columns();
        if let Some(name) = own_names.iter().find(|name| !columns.iter().any(|column| column == *name)) {
            let known = columns.iter().take(12).map(|column| format!("`{}`", column.escape_debug())).collect::<Vec<_>>().join(", ");
            return Err(SetupError::UnknownColumn {
                name: name.escape_debug().to_string(),
                known: if known.is_empty() { "none".to_owned() } else { known },
            });
        }
        if scenario.ambassadors.arrival == Arrival::Recorded && summary.undated > 0 {
            return Err(SetupError::Undated { undated: summary.undated, rows: summary.rows });
        }
        let population = population(&scenario, &rules, &corpus, &summary, folder)?;
        let inputs = population.inputs().to_vec();
        let bounties = scenario.bounties_on(summary.rows);
        let mut warnings = warnings(&scenario, &rules, &summary, &population, bounties);
        let filter = Filter::new(&scenario.engine.filter).map_err(|error| ScenarioError::Engine(EngineConfigError::Filter(error)))?;
        if filter.asks_for_names() {
            warnings
                .push("the engine's filter asks for file names: nobody announces any in a replay, so those rules never hold".to_owned());
        }
        let (missing_answers, nothing_answered, verdicts, sources, cached) = Default::default();
        Ok(Setup {
            scenario,
            rules,
            corpus,
            summary,
            population,
            bounties,
            warnings,
            inputs,
            missing_answers,
            nothing_answered,
            sources,
            verdicts,
            filter,
            cached,
        })
    }

    /// The same for an engine of which it is known what its backends say: the recorded ones, and those that looked at the
    /// artifacts, in `verdicts`. The scenario must name them: [`choose_backends`].
    ///
    /// # Errors
    ///
    /// If an artifact is not in the table.
    pub fn scanned(mut self, verdicts: impl Into<Arc<VerdictTable>>) -> Result<Setup, SetupError> {
        let verdicts = verdicts.into();
        let (names, mut scanned) = (self.corpus.engines(), 0..);
        let source = |backend: &BackendConfig| match backend.kind {
            BackendKind::Recorded => {
                names.iter().position(|column| Some(&column.name) == backend.column.as_ref()).map(AnswerSource::Column)
            }
            _ => scanned.next().map(AnswerSource::Table),
        };
        self.sources = self.scenario.engine.backends.iter().filter_map(source).collect();
        if !verdicts.is_empty() {
            let digest = verdicts.digest(self.scenario.engine.scan.times == ScanTimes::Measured);
            let print = format!("verdicts:{}", hex::encode(&digest[..16]));
            self.inputs.splice(0..0, verdicts.backends().iter().cloned().chain([print]));
        }
        self.verdicts = verdicts;
        self.keep_rows()?;
        Ok(self)
    }

    /// The same corpus in another market: other arrivals, rivals' luck, and votes.
    #[must_use]
    pub fn reseeded(&self, seed: u64) -> Setup {
        let mut other = self.clone();
        other.scenario.seed = seed;
        other
    }

    /// The same corpus and what backends said of it, under another scenario; files that it names are relative to `folder`.
    ///
    /// # Errors
    ///
    /// If the scenario is unusable, or does not fit the corpus.
    pub fn under(&self, scenario: Scenario, folder: &Path) -> Result<Setup, SetupError> {
        Setup::checked(scenario, self.corpus.clone(), self.summary.clone(), folder)?.scanned(self.verdicts.clone())
    }

    /// Keeps the rows of a short corpus.
    fn keep_rows(&mut self) -> Result<(), SetupError> {
        if self.summary.rows <= CACHED_ROWS {
            self.cached = Some(self.corpus.rows()?.map(|row| self.exhibit(row?)).collect::<Result<_, SetupError>>()?);
        }
        Ok(())
    }

    /// The same market, closed after that many bounties: they are the same ones.
    #[must_use]
    pub fn shortened(&self, bounties: u64) -> Setup {
        Setup { bounties: bounties.min(self.bounties), ..self.clone() }
    }

    /// Plans from the first bounty on.
    ///
    /// # Errors
    ///
    /// If the corpus cannot be read.
    pub fn planner(self: &Arc<Setup>) -> Result<Planner, SetupError> {
        let source = match &self.cached {
            Some(_) => Source::Cached,
            None => Source::Streamed { rows: self.corpus.rows()?, window: Vec::new(), first: 0 },
        };
        Ok(Planner {
            setup: self.clone(),
            seed: Key::root(self.scenario.seed),
            source,
            arrivals: Arrivals::new(&self.scenario.ambassadors, self.scenario.block_seconds),
            scans: ScanQueue::new(&self.scenario.engine.scan, self.scenario.block_seconds),
            next: 0,
            spent: Vec::new(),
        })
    }

    /// True if there are more bounties than the corpus has, so that artifacts come again.
    pub fn repeats(&self) -> bool {
        self.bounties > self.scenario.pass(self.summary.rows)
    }

    /// Number of backends of the engine under test.
    pub fn backends(&self) -> usize {
        self.sources.len()
    }
}

/// The rivals of a scenario on a corpus.
fn population(
    scenario: &Scenario,
    rules: &RuleSet,
    corpus: &Corpus,
    summary: &CorpusSummary,
    folder: &Path,
) -> Result<Population, SetupError> {
    let columns: Vec<String> = corpus.engines().iter().map(|column| column.name.clone()).collect();
    let types: Vec<&str> = summary.types.keys().map(String::as_str).collect();
    // An error of a column is made more frequent by its own rate.
    let rated = scenario.rivals.iter().any(|group| group.error_factor > 1.0);
    let rates = if rated { ErrorRates::of_columns(corpus)? } else { Vec::new() };
    let (own, duration) = (scenario.engine.recorded_columns(), scenario.ambassadors.duration);
    let surroundings = Surroundings { rules, columns: &columns, rates: &rates, own_columns: &own, types: &types, duration, folder };
    Ok(Population::new(&scenario.rivals, &surroundings)?)
}

/// What an ambassador announces of a row's artifact.
pub fn announced(row: &Row) -> Announced {
    Announced {
        mimetype: Some(datasets::mimetype(row.file_type.as_deref().unwrap_or_default())),
        filesize: row.size.filter(|&size| size > 0),
        sha256: Some(row.id.to_string()),
        filename: None,
    }
}

/// Gives an engine without backends some: the first recorded column, or one for the test files. Says what it chose.
///
/// # Errors
///
/// If the corpus has neither recorded engines nor files, or an engine that looks at files meets a corpus without.
pub fn choose_backends(engine: &mut EngineConfig, corpus: &Corpus) -> Result<Option<String>, SetupError> {
    if let Some(backend) = engine.backends.iter().find(|backend| backend.kind.reads_files() && !corpus.has_files()) {
        return Err(SetupError::NoFiles { backend: backend.name().to_owned() });
    }
    if !engine.backends.is_empty() {
        return Ok(None);
    }
    let (backend, chosen) = match corpus.engines().first() {
        Some(column) => (
            BackendConfig::recorded(&column.name),
            format!("the engine names no backend: it repeats the first recorded column, `{}`", column.name.escape_debug()),
        ),
        None if corpus.has_files() => {
            (BackendConfig::of(BackendKind::Eicar), "the engine names no backend: it looks for the test files EICAR and GTUBE".to_owned())
        }
        None => return Err(SetupError::NothingToScan),
    };
    engine.backends.push(backend);
    Ok(Some(chosen))
}

fn warnings(scenario: &Scenario, rules: &RuleSet, summary: &CorpusSummary, population: &Population, bounties: u64) -> Vec<String> {
    let mut warnings = Vec::new();
    let per_pass = scenario.pass(summary.rows);
    if bounties > per_pass {
        warnings.push(format!(
            "{bounties} bounties are more than the corpus has: it is played {:.1} times over, and intervals are too narrow",
            bounties as f64 / per_pass as f64
        ));
    }
    let fitted = population.fitted_types();
    let strange: Vec<&str> = summary.types.keys().map(String::as_str).filter(|name| !fitted.iter().any(|known| known == name)).collect();
    if !strange.is_empty() && population.has_fitted_rivals() {
        let shown = strange.iter().take(6).map(|name| format!("`{}`", name.escape_debug())).collect::<Vec<_>>().join(", ");
        warnings.push(format!("no engine figures were fitted for file type {shown}: parametric rivals behave there as on {FALLBACK_TYPE}"));
    }
    let independent = |group: &RivalConfig| group.model == RivalModel::Independent || group.correlation == Some(0.0);
    if scenario.rivals.iter().any(independent) {
        warnings.push("independent rivals are wrong together far less often than real engines: profits are understated".to_owned());
    }
    if let Some(oracle) = crate::oracle::find(&scenario.engine.strategy) {
        warnings.push(format!("`{}` knows {}, not that of a strategy", oracle.name, oracle.knows));
        if let Some(rival) = population.adaptive() {
            let strategy = rival.strategy.escape_debug();
            warnings.push(format!("what rivals with `{strategy}` will stake is not known ahead, not even to `{}`", oracle.name));
        }
    }
    if scenario.ambassadors.arrival == Arrival::Recorded && !summary.in_time_order {
        warnings.push("the corpus is not in time order: bounties seen earlier than their predecessor are posted with it".to_owned());
    }
    let malicious_votes = benign_called_malicious(scenario, rules);
    if malicious_votes > 0.02 {
        warnings.push(format!("arbiters will call {:.1} % of benign artifacts malicious under these rules", 100.0 * malicious_votes));
    }
    warnings
}

/// Probability that a benign artifact with votes is voted malicious: the arbiters' errors are independent.
fn benign_called_malicious(scenario: &Scenario, rules: &RuleSet) -> f64 {
    let config = &scenario.arbiters;
    // Each arbiter is wrong, right, or silent; every vote that is cast counts one way or the other.
    let wrong = (1.0 - config.abstain) * config.error;
    let right = (1.0 - config.abstain) * (1.0 - config.error);
    // Probability of each (wrong, right) after each arbiter; large panels are told by their first hundred.
    let arbiters = config.count.min(100) as usize;
    let mut states = vec![vec![0.0; arbiters + 1]; arbiters + 1];
    states[0][0] = 1.0;
    for _ in 0..arbiters {
        for malicious in (0..=arbiters).rev() {
            for benign in (0..=arbiters - malicious).rev() {
                let from = |malicious: Option<usize>, benign: Option<usize>| malicious.zip(benign).map_or(0.0, |(m, b)| states[m][b]);
                let silent = states[malicious][benign] * config.abstain;
                let called = from(malicious.checked_sub(1), Some(benign)) * wrong + from(Some(malicious), benign.checked_sub(1)) * right;
                states[malicious][benign] = silent + called;
            }
        }
    }
    let (mut total, mut voted) = (0.0, 0.0);
    for (malicious, row) in states.iter().enumerate() {
        for (benign, probability) in row.iter().enumerate().filter(|(benign, _)| malicious + benign > 0) {
            voted += probability;
            total += if rules.is_malicious(malicious as u64, (malicious + benign) as u64) { *probability } else { 0.0 };
        }
    }
    if voted > 0.0 { total / voted } else { 0.0 }
}

/// One artifact of a bounty, as the report needs it.
#[derive(Clone, Debug)]
pub struct ArtifactFacts {
    /// SHA-256 of its content.
    pub id: ArtifactId,
    /// What the corpus says of it.
    pub truth: Truth,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// Its file type.
    pub file_type: Option<Arc<str>>,
    /// Its family.
    pub family: Option<Arc<str>>,
    /// When it was first seen, in Unix seconds.
    pub first_seen: Option<i64>,
}

/// The artifacts of a bounty, in order.
///
/// Where the corpus is kept in memory they are rows of it: counting for every row who holds it would touch what has left the
/// cache, and nobody else needs.
#[derive(Clone, Debug)]
pub struct Artifacts(Held);

#[derive(Clone, Debug)]
enum Held {
    /// So many of these rows, from the first on.
    Rows {
        kept: Arc<[Exhibit]>,
        first: usize,
        count: usize,
    },
    Facts(SmallVec<[Arc<ArtifactFacts>; 1]>),
}

impl Default for Artifacts {
    /// None.
    fn default() -> Artifacts {
        Artifacts(Held::Facts(SmallVec::new()))
    }
}

impl Artifacts {
    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Held::Rows { count, .. } => *count,
            Held::Facts(facts) => facts.len(),
        }
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &ArtifactFacts> {
        (0..self.len()).map(|index| &self[index])
    }

    /// Takes so many rows from the first on.
    fn take_rows(&mut self, rows: &Arc<[Exhibit]>, from: usize, number: usize) {
        match &mut self.0 {
            Held::Rows { kept, first, count } if Arc::ptr_eq(kept, rows) => (*first, *count) = (from, number),
            _ => self.0 = Held::Rows { kept: rows.clone(), first: from, count: number },
        }
    }

    /// Takes these.
    fn take_facts(&mut self, facts: impl Iterator<Item = Arc<ArtifactFacts>>) {
        self.0 = Held::Facts(facts.collect());
    }
}

impl Index<usize> for Artifacts {
    type Output = ArtifactFacts;

    #[inline]
    fn index(&self, index: usize) -> &ArtifactFacts {
        debug_assert!(index < self.len(), "the next row is of another bounty");
        match &self.0 {
            Held::Rows { kept, first, .. } => &kept[first + index].facts,
            Held::Facts(facts) => &facts[index],
        }
    }
}

/// An artifact that a visitor posts a bounty on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Brought {
    /// SHA-256 of its content.
    pub id: ArtifactId,
    /// True for the test files that everybody calls malicious: EICAR and GTUBE.
    pub test_file: bool,
}

impl Brought {
    /// What there is to know of an artifact with that content.
    pub fn of(content: &[u8]) -> Brought {
        let id = ArtifactId(Sha256::digest(content).into());
        Brought { id, test_file: Eicar::matches(content) }
    }
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

/// In place of an ambassador's number: a visitor posts it.
pub const VISITOR: u32 = u32::MAX;

/// What everybody will do about one bounty.
#[derive(Clone, Default, Debug)]
pub struct BountyPlan {
    /// Its number in the run, from 0.
    pub number: u64,
    /// The endless corpus' row that is its first artifact.
    first_row: u64,
    /// Its guid.
    pub guid: Guid,
    /// Number of the ambassador who posts it; [`VISITOR`] for somebody from outside.
    pub ambassador: u32,
    /// Block of posting.
    pub posted: BlockNumber,
    /// Blocks from posting to expiration.
    pub duration: u64,
    /// Its artifacts.
    pub artifacts: Artifacts,
    /// Artifacts that the corpus calls malicious.
    pub labels: ArtifactSet,
    /// Numbers of the artifacts' file types, from [`Population::type_number`].
    pub file_types: SmallVec<[usize; 1]>,
    /// Answers of the engine's backends, artifact by artifact.
    pub results: Vec<ScanResult>,
    /// Factors that the engine's filter puts on the confidence in each artifact's verdict.
    pub factors: SmallVec<[f64; 1]>,
    /// Block in which the engine has them.
    pub scanned: BlockNumber,
    /// The rivals who take part.
    pub rivals: Vec<RivalPlan>,
    /// The votes, in order of arbiters.
    pub votes: Vec<VotePlan>,
}

impl BountyPlan {
    /// Number of an artifact's row in the corpus, from 0, if the rows are kept in memory: the same row comes again and again.
    pub fn kept_row(&self, artifact: usize) -> Option<usize> {
        match self.artifacts.0 {
            Held::Rows { first, .. } => Some(first + artifact),
            Held::Facts(_) => None,
        }
    }

    /// What will become of it if it was posted `age` blocks ago; `asserted` says which of its rivals have asserted so far.
    pub(crate) fn future(&self, asserted: &[Option<u32>], age: u64, rules: &RuleSet) -> Future {
        let votes = self.votes.len() as u64;
        let malicious = |artifact: usize| {
            let malicious = self.votes.iter().filter(|vote| vote.votes.contains(artifact)).count() as u64;
            rules.is_malicious(malicious, votes)
        };
        let within = |bid: &Nct| *bid >= rules.bid_minimum && rules.bid_maximum.is_none_or(|maximum| *bid <= maximum);
        let mut pools: SmallVec<[Pools; 1]> = SmallVec::from_elem(Pools::default(), self.artifacts.len());
        for (rival, asserted) in self.rivals.iter().zip(asserted) {
            let will = rival.latency > age && rival.latency < self.duration && rival.bids.iter().all(within);
            if asserted.is_none() && !will {
                continue;
            }
            for (artifact, pools) in pools.iter_mut().enumerate().filter(|(artifact, _)| rival.mask.contains(*artifact)) {
                let place = if rules.bids == Bids::PerBounty { 0 } else { rival.mask.rank(artifact) };
                pools.add(rival.bids[place].to_f64(), rival.reveals.then(|| rival.verdicts.contains(artifact)));
            }
        }
        let consensus = (votes > 0).then(|| ArtifactSet::collect(self.artifacts.len(), malicious));
        Future { labels: self.labels, consensus, pools }
    }
}

/// A plan in its own place: it goes from queue to queue, and its memory serves again.
pub type BoxedPlan = Box<BountyPlan>;

/// Hands out plans in order.
#[derive(Debug)]
pub struct Planner {
    setup: Arc<Setup>,
    seed: Key,
    source: Source,
    arrivals: Arrivals,
    scans: ScanQueue,
    next: u64,
    /// Plans that nobody needs any more: their memory serves again.
    spent: Vec<BoxedPlan>,
}

/// Where rows come from: all in memory, or a window over a stream that begins again at its end.
#[derive(Debug)]
enum Source {
    Cached,
    Streamed { rows: Rows, window: Vec<Exhibit>, first: u64 },
}

impl Planner {
    /// The next plans, at most a chunk of them; none at the end of the run.
    ///
    /// # Errors
    ///
    /// If the corpus cannot be read on.
    pub fn next_chunk(&mut self) -> Result<Vec<BoxedPlan>, SetupError> {
        let scenario = &self.setup.scenario;
        let per_bounty = u64::from(scenario.ambassadors.artifacts);
        let rows = self.setup.summary.rows;
        let per_pass = rows.div_ceil(per_bounty);
        let count = (CHUNK as u64).div_ceil(per_bounty).min(self.setup.bounties - self.next);
        // Bounty k of a pass has the rows from k·per_bounty on; the last of a pass may have fewer.
        let row_of = |number: u64| (number / per_pass) * rows + (number % per_pass) * per_bounty;
        let end = row_of(self.next + count);
        self.source.load(&self.setup, row_of(self.next), end)?;
        let (setup, seed, exhibits) = (&*self.setup, self.seed, self.source.exhibits(&self.setup));

        let mut plans = Vec::with_capacity(count as usize);
        for number in self.next..self.next + count {
            let (first_row, at) = (row_of(number), self.seed.with(word::BOUNTY).with(number));
            let mut plan = self.spent.pop().unwrap_or_default();
            plan.number = number;
            plan.first_row = first_row;
            let its_rows = first_row..row_of(number + 1);
            match &setup.cached {
                Some(kept) => plan.artifacts.take_rows(kept, (first_row % rows) as usize, (its_rows.end - first_row) as usize),
                None => plan.artifacts.take_facts(its_rows.clone().map(|row| exhibits.get(row).facts.clone())),
            }
            if number % per_pass == 0 {
                self.arrivals.begin_pass();
            }
            plan.posted = self.arrivals.next(at, exhibits.get(first_row).row.first_seen);
            plan.duration = scenario.ambassadors.duration;
            let expiration = BlockNumber(plan.posted.0 + plan.duration);
            let times = its_rows.map(|row| exhibits.get(row).scan_seconds);
            plan.scanned = self.scans.scan(at, plan.posted, expiration, times);
            plans.push(plan);
        }
        self.next += count;
        plans.par_iter_mut().with_min_len(16).for_each(|plan| setup.draw(seed, exhibits, plan));
        Ok(plans)
    }

    /// Takes back a plan that has been played.
    pub fn recycle(&mut self, plan: BoxedPlan) {
        self.spent.push(plan);
    }
}

impl Source {
    /// Makes the rows `first..end` of the endless corpus available.
    fn load(&mut self, setup: &Setup, start: u64, end: u64) -> Result<(), SetupError> {
        if let Source::Streamed { rows, window, first } = self {
            window.clear();
            *first = start;
            while (window.len() as u64) < end - start {
                match rows.next() {
                    Some(row) => window.push(setup.exhibit(row?)?),
                    None => *rows = setup.corpus.rows()?,
                }
            }
        }
        Ok(())
    }

    fn exhibits<'a>(&'a self, setup: &'a Setup) -> Exhibits<'a> {
        match self {
            Source::Cached => Exhibits { rows: setup.cached.as_deref().unwrap_or_default(), first: 0 },
            Source::Streamed { window, first, .. } => Exhibits { rows: window, first: *first },
        }
    }
}

/// Rows of the endless corpus from number `first` on; beyond the last they repeat.
#[derive(Clone, Copy)]
struct Exhibits<'a> {
    rows: &'a [Exhibit],
    first: u64,
}

impl<'a> Exhibits<'a> {
    fn get(self, number: u64) -> &'a Exhibit {
        &self.rows[((number - self.first) % self.rows.len() as u64) as usize]
    }
}

impl Setup {
    /// Works out once what every plan about a row needs of it.
    fn exhibit(&self, row: Row) -> Result<Exhibit, SetupError> {
        let announced = announced(&row);
        let mine = self.filter.accepts(&announced);
        let scanned = self.verdicts.get(&row.id);
        let answer = |source: &AnswerSource| match *source {
            _ if !mine => Ok(ScanResult::NONE),
            AnswerSource::Column(column) => Ok(row.recorded[column]
                .map_or(ScanResult::NONE, |recorded| ScanResult { malicious: Some(recorded.malicious), confidence: recorded.confidence })),
            AnswerSource::Table(place) => scanned.map(|scanned| scanned.answers[place]).ok_or(SetupError::NotScanned { row: row.line }),
        };
        let results = self.sources.iter().map(answer).collect::<Result<_, _>>()?;
        let measured = scanned.filter(|_| self.scenario.engine.scan.times == ScanTimes::Measured);
        let (file_type, family) = (row.file_type.clone(), row.family.clone());
        Ok(Exhibit {
            file_type: self.population.type_number(file_type.as_deref().unwrap_or(datasets::NO_TYPE)),
            family: family.as_deref().map(fnv1a64),
            results,
            factor: self.filter.factor(&announced),
            scan_seconds: if mine { measured.map(|scanned| f64::from(scanned.micros) / 1e6) } else { Some(0.0) },
            facts: Arc::new(ArtifactFacts { id: row.id, truth: row.truth, size: row.size, file_type, family, first_seen: row.first_seen }),
            row,
        })
    }

    /// Draws the plan of a bounty of which number, rows and times are known.
    fn draw(&self, seed: Key, exhibits: Exhibits<'_>, plan: &mut BountyPlan) {
        let at = seed.with(word::BOUNTY).with(plan.number);
        plan.guid = guid(at);
        plan.ambassador = at.with(word::AMBASSADOR).stream().below(u64::from(self.scenario.ambassadors.count)) as u32;
        plan.labels = ArtifactSet::EMPTY;
        plan.file_types.clear();
        plan.results.clear();
        plan.factors.clear();
        let mut targets: SmallVec<[Target<'_>; 1]> = SmallVec::with_capacity(plan.artifacts.len());
        for index in 0..plan.artifacts.len() {
            let Exhibit { row, file_type, family, results, factor, .. } = exhibits.get(plan.first_row + index as u64);
            let malicious = row.truth == Truth::Malicious;
            if malicious {
                plan.labels.insert(index);
            }
            plan.results.extend_from_slice(results);
            if !self.filter.is_idle() {
                plan.factors.push(*factor);
            }
            plan.file_types.push(*file_type);
            targets.push(Target { malicious, file_type: *file_type, family: *family, recorded: &row.recorded });
        }
        plan.rivals.clear();
        self.population.plan(at, seed, &targets, &mut plan.rivals);
        plan.votes.clear();
        self.vote(at, plan.artifacts.len(), plan.labels, &mut plan.votes);
    }

    /// Draws what everybody does about a bounty of a visitor whose number, guid, block and duration are known; false if
    /// the label of an artifact is not: then arbiters have nothing to vote by, and rivals leave it alone.
    pub(crate) fn adopt(&self, plan: &mut BountyPlan, artifacts: &[Brought]) -> bool {
        plan.ambassador = VISITOR;
        plan.labels = ArtifactSet::EMPTY;
        plan.file_types.clear();
        plan.results.clear();
        plan.factors.clear();
        plan.rivals.clear();
        plan.votes.clear();
        let blank = vec![None; self.corpus.engines().len()];
        let (mut facts, mut targets): (SmallVec<[Arc<ArtifactFacts>; 1]>, SmallVec<[Target<'_>; 1]>) = Default::default();
        for brought in artifacts {
            let known = self.cached.iter().flat_map(|rows| rows.iter()).find(|exhibit| exhibit.row.id == brought.id);
            let target = match known {
                Some(Exhibit { row, facts: kept, file_type, family, .. }) => {
                    facts.push(kept.clone());
                    Target { malicious: row.truth == Truth::Malicious, file_type: *file_type, family: *family, recorded: &row.recorded }
                }
                None if brought.test_file => {
                    let (truth, family) = (Truth::Malicious, Some(Arc::from("test file")));
                    facts.push(Arc::new(ArtifactFacts { id: brought.id, truth, size: None, file_type: None, family, first_seen: None }));
                    let file_type = self.population.type_number(datasets::NO_TYPE);
                    Target { malicious: true, file_type, family: None, recorded: &blank }
                }
                None => return false,
            };
            if target.malicious {
                plan.labels.insert(targets.len());
            }
            plan.file_types.push(target.file_type);
            targets.push(target);
        }
        plan.artifacts.take_facts(facts.into_iter());
        let seed = Key::root(self.scenario.seed);
        let at = seed.with(word::VISITOR).with(plan.guid.0 as u64).with((plan.guid.0 >> 64) as u64);
        self.population.plan(at, seed, &targets, &mut plan.rivals);
        self.vote(at, plan.artifacts.len(), plan.labels, &mut plan.votes);
        true
    }

    /// The arbiters' votes: the label, seen with noise.
    fn vote(&self, at: Key, artifacts: usize, labels: ArtifactSet, votes: &mut Vec<VotePlan>) {
        let config = &self.scenario.arbiters;
        let at_arbiters = at.with(word::ARBITER);
        for arbiter in 0..config.count {
            let mut chance = at_arbiters.with(u64::from(arbiter)).stream();
            let abstains = chance.uniform() < config.abstain;
            let delay = chance.below(config.delay + 1);
            if !abstains {
                votes.push(VotePlan { arbiter, delay, votes: ArtifactSet::EMPTY });
                // Filled in where it stays: moving it right after bits of it were set would have to wait for them.
                let vote = votes.last_mut().expect("just pushed");
                for artifact in 0..artifacts {
                    vote.votes.set(artifact, labels.contains(artifact) != (chance.uniform() < config.error));
                }
            }
        }
    }
}

fn guid(at: Key) -> Guid {
    let mut chance = at.with(word::GUID).stream();
    Guid::random(u128::from(chance.bits()) << 64 | u128::from(chance.bits()))
}
