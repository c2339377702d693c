//! Competitors: who takes part in a bounty, what they say, how sure they are, when, and what they put on it.
//!
//! A rival's latent score on an artifact is its log-odds of a malicious verdict (its profile, with the artifact's
//! shared factors) minus the logit of its own uniform noise; the verdict is the sign. Confidence grows with the
//! distance from zero: Phi(1.5 |margin + noise/2|), where the margin is the score on the scale of a normal variable.
//!
//! Rivals with a strategy that needs no market have their bids drawn here. Any other strategy of the catalogue makes a rival
//! adaptive: only its verdicts and its latency are drawn here, and in the block in which it asserts the
//! [world](crate::world) asks its [`Trader`], the same as the engine's, what to stake. Its probability is not the
//! confidence above, which is none. A fitted rival begins with what its answer is worth at its own mean rates and coverage on
//! the file type, malice being as likely as not; one that repeats a column, with the log-odds of a supposed record. What the
//! arbiters make of such answers both learn from settled bounties, by Platt's map, as an engine with that map does.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use engine::{
    artifact::ScanResult,
    calibrate::MapKind,
    chance::{Key, Stream, Uniform, fnv1a64},
    config::{BackendConfig, BackendKind, DistillerKind, EngineConfig},
    stake::{self, StrategyError, fixed::Fixed, stock::Stock},
    trader::Trader,
};
use market::{
    nct::Nct,
    ruleset::{Bids, RuleSet},
    verdict::ArtifactSet,
};
use rand::distr::Distribution;
use rand_distr::StandardNormal;
use smallvec::SmallVec;

use crate::{
    correlation::{Correlation, mean_over_normal},
    error_rates::ErrorRates,
    logistic::Logistic,
    profiles::{LogOdds, Profiles, ProfilesError, TypeProfile},
    scenario::{RivalConfig, RivalModel},
};

/// Words of addresses.
mod word {
    use engine::chance::fnv1a64;

    pub(super) const PARTICIPANTS: u64 = fnv1a64("participants");
    pub(super) const DIFFICULTY: u64 = fnv1a64("difficulty");
    pub(super) const FAMILY: u64 = fnv1a64("family");
    pub(super) const RIVAL: u64 = fnv1a64("rival");
    pub(super) const NOISE: u64 = fnv1a64("noise");
    pub(super) const WHIM: u64 = fnv1a64("whim");
    pub(super) const MISTAKE: u64 = fnv1a64("mistake");
}

/// One rival.
#[derive(Clone, Debug)]
pub struct Rival {
    /// Its name in reports.
    pub name: String,
    /// Its strategy, as written.
    pub strategy: String,
    /// Its word in addresses of chance, so that nobody's luck depends on who else is there.
    pub(crate) address: u64,
    opinion: Opinion,
    behaviour: Behaviour,
}

/// Where its verdicts come from.
#[derive(Clone, Debug)]
enum Opinion {
    /// A fitted profile, by number of the file type; then its behaviour on benign files.
    Fitted { malware: Vec<Skill>, benign: Skill, noise: u64, error_factor: f64 },
    /// A recorded column, with some of its errors mended or more of them made.
    Recorded { column: usize, wrong: Option<Wrong> },
    /// None.
    Nothing,
}

/// The probability that a recorded answer is made a wrong one.
#[derive(Clone, Copy, Debug)]
struct Wrong {
    /// Where the column is wrong.
    if_wrong: f64,
    /// Where it is right, by the label: benign, malicious.
    if_right: [f64; 2],
}

impl Wrong {
    /// So that a column with these rates is wrong `factor` times as often, or always. What it is wrong on at a lower
    /// factor, it is wrong on at a higher one.
    fn new(rates: ErrorRates, factor: f64) -> Wrong {
        let more = |rate: f64| if rate < 1.0 { ((factor - 1.0) * rate / (1.0 - rate)).clamp(0.0, 1.0) } else { 0.0 };
        Wrong { if_wrong: factor.min(1.0), if_right: [false, true].map(|malicious| more(rates.on(malicious))) }
    }

    /// Whether the rival of that address is wrong on an artifact on which its column is, or is not.
    #[cold]
    fn decide(&self, artifact: &Artifact<'_>, address: u64, wrong: bool) -> bool {
        let uniform = artifact.at.with(word::MISTAKE).with(address).with(artifact.index).stream().uniform();
        uniform < if wrong { self.if_wrong } else { self.if_right[usize::from(artifact.target.malicious)] }
    }
}

/// How it behaves on one file type.
#[derive(Clone, Copy, Debug)]
struct Skill {
    coverage: f64,
    log_odds: LogOdds,
}

/// How much it puts on what, under the rules in force.
#[derive(Clone, Copy, Debug)]
enum Behaviour {
    /// On its verdict `low + rise · confidence`, in wei.
    Rising { low: f64, rise: f64 },
    /// The same on every verdict.
    Flat(Nct),
    /// On the toss of a coin.
    Coin(Nct),
    /// On one side, even without a verdict.
    Always { malicious: bool, bid: Nct },
    /// Nothing.
    Abstain,
    /// What its strategy makes of the market.
    Adaptive,
}

/// Settings that a group of rivals has in common.
#[derive(Clone, Debug)]
struct Group {
    members: Vec<usize>,
    per_bounty: usize,
    family_share: f64,
    dropout: f64,
    latency: LatencyTable,
}

/// A lognormal number of blocks by inverse distribution function.
#[derive(Clone, Debug)]
struct LatencyTable {
    /// By number of blocks, the probability of less, from one block on.
    below: Vec<f64>,
    /// The number of blocks at every 256th of probability, where the search for those beyond begins.
    start: [u32; 256],
}

impl LatencyTable {
    /// `horizon` blocks or more are all the same: too late.
    fn new(median: f64, spread: f64, horizon: u64) -> LatencyTable {
        let below = |blocks: u64| match blocks {
            0 => 0.0,
            _ if spread == 0.0 => f64::from(u8::from(blocks as f64 > median)),
            _ => 0.5 * libm::erfc(-(libm::log(blocks as f64) - libm::log(median)) / (spread * std::f64::consts::SQRT_2)),
        };
        let below: Vec<f64> = (1..=horizon).map(below).collect();
        let start = std::array::from_fn(|part| below.partition_point(|&below| below <= part as f64 / 256.0) as u32);
        LatencyTable { below, start }
    }

    #[inline]
    fn blocks(&self, uniform: Uniform) -> u64 {
        let (start, uniform) = (self.start[uniform.part(8)] as usize, uniform.value());
        (start + self.below[start..].iter().take_while(|&&below| below <= uniform).count()) as u64
    }
}

/// All competitors of a run.
#[derive(Clone, Debug)]
pub struct Population {
    /// The rivals, in the order of the scenario's groups.
    pub rivals: Vec<Rival>,
    groups: Vec<Group>,
    logistic: Logistic,
    one_bid: bool,
    /// Names of the file types that profiles were looked up for, by number.
    types: BTreeMap<String, usize>,
    fitted_types: Vec<String>,
    /// Fingerprints of the profiles that are not the shipped ones.
    inputs: Vec<String>,
    /// Names that are taken, and the last number given to a name.
    names: BTreeSet<String>,
    namesakes: BTreeMap<String, u32>,
}

/// What a population is put into.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The rules in force.
    pub rules: &'a RuleSet,
    /// The corpus' recorded engines.
    pub columns: &'a [String],
    /// How often those are wrong; empty where no group has an error factor above 1.
    pub rates: &'a [ErrorRates],
    /// Those that the engine under test uses.
    pub own_columns: &'a [&'a str],
    /// The corpus' file types.
    pub types: &'a [&'a str],
    /// Blocks in which assertions are taken.
    pub duration: u64,
    /// Folder that profile files are relative to.
    pub folder: &'a Path,
}

/// What an artifact is to the rivals.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The corpus label.
    pub malicious: bool,
    /// Number of its file type, from [`Population::type_number`].
    pub file_type: usize,
    /// Hash of its family's name.
    pub family: Option<u64>,
    /// Recorded verdicts, by column of the corpus.
    pub recorded: &'a [Option<datasets::Recorded>],
}

/// What a rival does about a bounty.
#[derive(Clone, Debug)]
pub struct RivalPlan {
    /// Position in [`Population::rivals`].
    pub rival: usize,
    /// Blocks from posting to assertion.
    pub latency: u64,
    /// False for an assertion that is never revealed.
    pub reveals: bool,
    /// Artifacts it stakes on.
    pub mask: ArtifactSet,
    /// Those it calls malicious.
    pub verdicts: ArtifactSet,
    /// One bid per mask bit; of an adaptive rival, zero until it asserts.
    pub bids: SmallVec<[Nct; 1]>,
}

/// Why the rivals of a scenario cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PopulationError {
    #[error("rivals.{group}")]
    Profiles { group: usize, source: ProfilesError },
    #[error("rivals.{group}")]
    Strategy { group: usize, source: StrategyError },
    #[error("rivals.{group}: the corpus has no recorded engine `{name}`; it has {known}")]
    UnknownColumn { group: usize, name: String, known: String },
    #[error("rivals.{group}: the pool is empty; lower `pool_tpr`, or name `engines`")]
    EmptyPool { group: usize },
    #[error(
        "rivals.{group}: `correlation` is for rivals with factors in common, but these repeat recorded columns; \
         set `rivals.{group}.model` to `two-factor` or `one-factor`"
    )]
    Correlation { group: usize },
}

impl Population {
    /// The rivals of `configs`.
    ///
    /// # Errors
    ///
    /// If an engine, column or strategy does not exist.
    pub fn new(configs: &[RivalConfig], world: &Surroundings<'_>) -> Result<Population, PopulationError> {
        // Number 0 is every type that is not known.
        let types: BTreeMap<String, usize> = world.types.iter().enumerate().map(|(number, name)| (name.to_string(), number + 1)).collect();
        let mut population = Population {
            rivals: Vec::new(),
            groups: Vec::new(),
            logistic: Logistic::default(),
            one_bid: world.rules.bids == Bids::PerBounty,
            types,
            fitted_types: Vec::new(),
            inputs: Vec::new(),
            names: BTreeSet::new(),
            namesakes: BTreeMap::new(),
        };
        for (group, config) in configs.iter().enumerate() {
            population.add_group(group, config, world)?;
        }
        Ok(population)
    }

    fn add_group(&mut self, group: usize, config: &RivalConfig, world: &Surroundings<'_>) -> Result<(), PopulationError> {
        let columns = world.columns;
        let in_group = |source| PopulationError::Profiles { group, source };
        let others: Vec<&String> = columns.iter().filter(|column| !world.own_columns.contains(&column.as_str())).collect();
        let model = match config.model {
            RivalModel::Auto if others.is_empty() => RivalModel::TwoFactor,
            RivalModel::Auto => RivalModel::Recorded,
            model => model,
        };
        if config.correlation.is_some() && model == RivalModel::Recorded {
            return Err(PopulationError::Correlation { group });
        }
        let mut correlation = config.correlation.map(Correlation::new);
        let needs_profiles = !matches!(model, RivalModel::Recorded | RivalModel::None);
        let reads_profiles = needs_profiles || config.model == RivalModel::Auto;
        let profiles = Profiles::load(if reads_profiles { &config.profiles } else { "builtin" }, world.folder).map_err(in_group)?;
        if needs_profiles && config.profiles != "builtin" {
            self.inputs.push(profiles.fingerprint());
        }
        // Everybody's place in the full list decides the strategy, so that leaving out the engine's own column changes
        // nobody else's.
        let all: Vec<&str> = match config.engines.is_empty() {
            false => config.engines.iter().map(String::as_str).collect(),
            true => profiles.pool(&config.pool_type, config.pool_tpr),
        };
        let recorded = |(_, name): &(usize, String)| others.contains(&name);
        let places = || all.iter().map(|&name| name.to_owned()).enumerate();
        let names: Vec<(usize, String)> = match model {
            RivalModel::None => vec![(0, "none".to_owned())],
            RivalModel::Recorded if config.model == RivalModel::Auto => {
                // A name that is neither a column nor an engine anybody knows is a mistake.
                for name in config.engines.iter().filter(|name| !columns.contains(name)) {
                    profiles.get(name).map_err(in_group)?;
                }
                // Of the engines named, those that were recorded; if none was, the first ten columns.
                let named: Vec<(usize, String)> = places().filter(recorded).collect();
                if named.is_empty() { columns.iter().cloned().enumerate().filter(recorded).take(10).collect() } else { named }
            }
            RivalModel::Recorded if config.engines.is_empty() => places().filter(recorded).collect(),
            _ => places().collect(),
        };
        if names.is_empty() {
            return Err(PopulationError::EmptyPool { group });
        }
        let count = match (config.count, model) {
            (0, _) => names.len(),
            (count, _) => count as usize,
        };
        // Rivals without opinions have no list of engines to be in a place of.
        let cycle = if model == RivalModel::None { 1 } else { all.len() };
        let mut namesakes: BTreeMap<&str, u64> = BTreeMap::new();
        let mut members = Vec::new();
        for member in 0..count {
            let (place, name) = &names[member % names.len()];
            let round = member / names.len();
            // Which of its name in the group it is: engines may be named twice.
            let same = {
                let count = namesakes.entry(name.as_str()).or_insert(0u64);
                std::mem::replace(count, *count + 1)
            };
            let opinion = match model {
                RivalModel::None => Opinion::Nothing,
                RivalModel::Recorded => {
                    let column = columns.iter().position(|column| column == name).ok_or_else(|| {
                        let known = match columns.len() {
                            0 => "none".to_owned(),
                            _ => {
                                columns.iter().take(12).map(|column| format!("`{}`", column.escape_debug())).collect::<Vec<_>>().join(", ")
                            }
                        };
                        PopulationError::UnknownColumn { group, name: name.escape_debug().to_string(), known }
                    })?;
                    let rates = world.rates.get(column).copied().unwrap_or_default();
                    let wrong = (config.error_factor != 1.0).then(|| Wrong::new(rates, config.error_factor));
                    Opinion::Recorded { column, wrong }
                }
                model => {
                    let profile = profiles.get(name).map_err(in_group)?;
                    let unknown = |name: &&String| !self.fitted_types.contains(name);
                    let new: Vec<String> = profile.types.keys().filter(unknown).cloned().collect();
                    self.fitted_types.extend(new);
                    let mut skill = |on_type: TypeProfile, staleness: f64| {
                        let mut log_odds = match model {
                            RivalModel::TwoFactor => on_type.two_factor,
                            RivalModel::OneFactor => on_type.one_factor,
                            _ => on_type.independent(),
                        };
                        if let Some(correlation) = &mut correlation {
                            log_odds = correlation.apply(&on_type, log_odds);
                        }
                        log_odds.a -= staleness;
                        Skill { coverage: on_type.coverage, log_odds }
                    };
                    let mut malware = vec![skill(profile.on_malware(""), config.staleness); self.types.len() + 1];
                    for (file_type, &number) in &self.types {
                        malware[number] = skill(profile.on_malware(file_type), config.staleness);
                    }
                    // Engines of one cluster hear the same noise, unless it was said how much engines have in common. A
                    // second rival of the same profile is somebody else.
                    let alone = model == RivalModel::Independent || config.correlation.is_some();
                    let voice = profile.cluster.as_ref().filter(|_| !alone).unwrap_or(&profile.engine);
                    let person = fnv1a64(voice).wrapping_add(((group as u64) << 32) + same);
                    let benign = skill(profile.benign, 0.0);
                    Opinion::Fitted { malware, benign, noise: person, error_factor: config.error_factor }
                }
            };
            let strategy = &config.strategies[(place + round * cycle) % config.strategies.len()];
            let behaviour = Behaviour::parse(strategy, world.rules).map_err(|source| PopulationError::Strategy { group, source })?;
            members.push(self.rivals.len());
            // Its word in addresses: its group, its name, and which of its name in the group it is.
            let address = Key::root(group as u64).named(name).with(same).stream().bits();
            let name = self.free_name(name);
            self.rivals.push(Rival { name, strategy: strategy.clone(), address, opinion, behaviour });
        }
        let per_bounty = if config.per_bounty == 0 { members.len() } else { members.len().min(config.per_bounty as usize) };
        let latency = LatencyTable::new(config.latency_blocks, config.latency_spread, world.duration + 1);
        self.groups.push(Group { members, per_bounty, family_share: config.family_share, dropout: config.dropout, latency });
        Ok(())
    }

    /// `name`, or with a number behind it if somebody has it.
    fn free_name(&mut self, name: &str) -> String {
        let mut free = name.to_owned();
        while !self.names.insert(free.clone()) {
            let number = self.namesakes.entry(name.to_owned()).or_insert(1);
            *number += 1;
            free = format!("{name}#{number}");
        }
        free
    }

    /// The number of a file type; 0 for one that the corpus was not known to have.
    pub fn type_number(&self, file_type: &str) -> usize {
        self.types.get(file_type).copied().unwrap_or(0)
    }

    /// The numbers of all file types.
    pub(crate) fn file_types(&self) -> impl Iterator<Item = usize> {
        0..=self.types.len()
    }

    /// The first rival that decides in the market, if there is any.
    pub fn adaptive(&self) -> Option<&Rival> {
        self.rivals.iter().find(|rival| rival.is_adaptive())
    }

    /// Who decides for that rival, if it is adaptive: anew for every run.
    ///
    /// # Errors
    ///
    /// Never, for the rivals of a population: their strategies were built before.
    pub(crate) fn trader(&self, rival: usize) -> Result<Option<Trader>, StrategyError> {
        let rival = &self.rivals[rival];
        if !rival.is_adaptive() {
            return Ok(None);
        }
        let mut config = EngineConfig { backends: vec![BackendConfig::of(BackendKind::Recorded)], ..EngineConfig::default() };
        config.calibration.map = MapKind::Platt;
        if let Opinion::Fitted { .. } = rival.opinion {
            // Its answers come with what they are worth.
            config.distiller.kind = DistillerKind::StockAny;
        }
        Ok(Some(Trader::new(config.judge(), stake::build(&rival.strategy)?)))
    }

    /// True if any rival follows fitted profiles.
    pub fn has_fitted_rivals(&self) -> bool {
        self.rivals.iter().any(|rival| matches!(rival.opinion, Opinion::Fitted { .. }))
    }

    /// Number of rivals in a group of the scenario.
    ///
    /// # Panics
    ///
    /// If there is no such group.
    pub fn group_size(&self, group: usize) -> usize {
        self.groups[group].members.len()
    }

    /// Whether the rivals of a group behave like fitted engines.
    ///
    /// # Panics
    ///
    /// If there is no such group.
    pub fn group_is_fitted(&self, group: usize) -> bool {
        self.groups[group].members.iter().any(|&member| matches!(self.rivals[member].opinion, Opinion::Fitted { .. }))
    }

    /// Fingerprints of the profiles that are not the shipped ones.
    pub fn inputs(&self) -> &[String] {
        &self.inputs
    }

    /// File types that the profiles of the rivals cover.
    pub fn fitted_types(&self) -> &[String] {
        &self.fitted_types
    }

    /// What every rival does about a bounty on `targets`. `at` is the bounty's address.
    pub fn plan(&self, at: Key, seed: Key, targets: &[Target<'_>], plans: &mut Vec<RivalPlan>) {
        let (at_rivals, at_noises) = (at.with(word::RIVAL), at.with(word::NOISE));
        let (mut drawn, mut lots) = (Vec::new(), Vec::new());
        for group in &self.groups {
            let participants: &[usize] = if group.per_bounty == group.members.len() {
                &group.members
            } else {
                self.choose(at.with(word::PARTICIPANTS), group, &mut lots, &mut drawn);
                &drawn
            };
            let meet = |(index, target)| Artifact {
                at,
                at_noises,
                index: index as u64,
                target,
                difficulty: difficulty(at.with(index as u64), seed, target, group.family_share),
                logistic: &self.logistic,
            };
            let artifacts: SmallVec<[Artifact<'_>; 1]> = targets.iter().enumerate().map(meet).collect();
            for &number in participants {
                let rival = &self.rivals[number];
                let own = at_rivals.with(rival.address);
                // What depends on the strategy is drawn apart, so that another strategy leaves the rest as it is.
                let (mut chance, mut whim) = (own.stream(), own.with(word::WHIM).stream());
                let latency = group.latency.blocks(chance.draw());
                let reveals = chance.uniform() >= group.dropout;
                let mut stakes = false;
                for (index, artifact) in artifacts.iter().enumerate() {
                    let Some((malicious, bid)) = rival.stake(artifact, &mut chance, &mut whim) else { continue };
                    if !stakes {
                        let (mask, verdicts, bids) = (ArtifactSet::EMPTY, ArtifactSet::EMPTY, SmallVec::from_buf([bid]));
                        // Made where it stays: moving what was just written has to wait for it.
                        plans.extend(std::iter::once_with(|| RivalPlan { rival: number, latency, reveals, mask, verdicts, bids }));
                    }
                    let plan = plans.last_mut().expect("it is there from the first stake on");
                    if stakes {
                        plan.bids.push(bid);
                    }
                    plan.mask.insert(index);
                    plan.verdicts.set(index, malicious);
                    stakes = true;
                }
                if let Some(plan) = plans.last_mut().filter(|plan| stakes && self.one_bid && plan.bids.len() > 1) {
                    let mean = plan.bids.iter().copied().sum::<Nct>() / plan.bids.len() as u64;
                    plan.bids = SmallVec::from([mean]);
                }
            }
        }
    }
}

impl Population {
    /// Who takes part in a bounty: everybody in the group draws a lot of their own, and the lowest take part.
    fn choose(&self, at: Key, group: &Group, lots: &mut Vec<(u64, usize)>, drawn: &mut Vec<usize>) {
        lots.clear();
        lots.extend(group.members.iter().map(|&member| (at.with(self.rivals[member].address).stream().bits(), member)));
        if group.per_bounty < lots.len() {
            lots.select_nth_unstable(group.per_bounty);
        }
        drawn.clear();
        drawn.extend(lots[..group.per_bounty].iter().map(|&(_, member)| member));
        drawn.sort_unstable();
    }
}

/// An artifact as all rivals of a group meet it.
struct Artifact<'a> {
    at: Key,
    at_noises: Key,
    index: u64,
    target: &'a Target<'a>,
    difficulty: [f64; 2],
    logistic: &'a Logistic,
}

/// The shared factors of an artifact: standard normal, part of them common to its family.
fn difficulty(at: Key, seed: Key, target: &Target<'_>, family_share: f64) -> [f64; 2] {
    let mut chance = at.with(word::DIFFICULTY).stream();
    let own: [f64; 2] = std::array::from_fn(|_| StandardNormal.sample(&mut chance));
    match target.family.filter(|_| family_share > 0.0) {
        None => own,
        Some(family) => {
            let mut chance = seed.with(word::FAMILY).with(family).stream();
            let (mine, common) = ((1.0 - family_share).sqrt(), family_share.sqrt());
            own.map(|own| {
                let shared: f64 = StandardNormal.sample(&mut chance);
                mine * own + common * shared
            })
        }
    }
}

impl Rival {
    /// True if it decides in the market.
    pub fn is_adaptive(&self) -> bool {
        matches!(self.behaviour, Behaviour::Adaptive)
    }

    /// The most it puts on one artifact; `None` if that is decided in the market.
    pub(crate) fn highest_bid(&self) -> Option<Nct> {
        match self.behaviour {
            // Rounded as bids are: whoever is surer bids no less, or where the limits are narrow, no more.
            Behaviour::Rising { low, rise } => Some(Nct::wei(low.max(low + rise) as u128)),
            Behaviour::Flat(bid) | Behaviour::Coin(bid) | Behaviour::Always { bid, .. } => Some(bid),
            Behaviour::Abstain => Some(Nct::ZERO),
            Behaviour::Adaptive => None,
        }
    }

    /// What its own judge is told of its verdict on an artifact of that type.
    pub(crate) fn result(&self, malicious: bool, file_type: usize) -> ScanResult {
        let confidence = match &self.opinion {
            Opinion::Fitted { malware, benign, error_factor, .. } => {
                let answers = |skill: &Skill, is_malicious: bool| {
                    let LogOdds { a, b } = skill.log_odds;
                    let scale = b[0].hypot(b[1]);
                    let calls = |x: f64| 1.0 / (1.0 + libm::exp(-erring(a + scale * x, is_malicious, *error_factor)));
                    let called = mean_over_normal(calls);
                    skill.coverage * if malicious { called } else { 1.0 - called }
                };
                let (if_malicious, if_benign) = (answers(&malware[file_type], true), answers(benign, false));
                let right = if malicious { if_malicious } else { if_benign };
                Some((right / (if_malicious + if_benign)) as f32).filter(|confidence| confidence.is_finite())
            }
            _ => None,
        };
        ScanResult { malicious: Some(malicious), confidence }
    }

    /// Side and bid on one artifact.
    #[inline(always)]
    fn stake(&self, artifact: &Artifact<'_>, chance: &mut Stream, whim: &mut Stream) -> Option<(bool, Nct)> {
        let Artifact { target, difficulty, logistic, .. } = artifact;
        let behaviour = &self.behaviour;
        match &self.opinion {
            Opinion::Nothing => behaviour.stake(SILENCE, whim),
            Opinion::Recorded { column, wrong } => {
                let Some(recorded) = target.recorded.get(*column).copied().flatten() else {
                    return behaviour.stake(SILENCE, whim);
                };
                let malicious = match wrong {
                    None => recorded.malicious,
                    Some(wrong) => target.malicious != wrong.decide(artifact, self.address, recorded.malicious != target.malicious),
                };
                // Without a stated confidence the stock strategies take full confidence.
                let confidence = |_: &mut Stream| recorded.confidence.map_or(1.0, f64::from);
                behaviour.stake(Some(Answer { malicious, confidence }), whim)
            }
            Opinion::Fitted { malware, benign, noise, error_factor } => {
                let skill = if target.malicious { &malware[target.file_type] } else { benign };
                if chance.uniform() >= skill.coverage {
                    return behaviour.stake(SILENCE, whim);
                }
                let LogOdds { a, b } = skill.log_odds;
                let mut log_odds = a + b[0] * difficulty[0] + b[1] * difficulty[1];
                if *error_factor != 1.0 {
                    log_odds = erring(log_odds, target.malicious, *error_factor);
                }
                let noise = artifact.at_noises.with(*noise).with(artifact.index).stream().draw();
                let confidence = |whim: &mut Stream| {
                    let doubt: f64 = StandardNormal.sample(whim);
                    // A logistic variable over 1.702 is nearly a normal one, and so is the distribution function.
                    let margin = log_odds - logistic.logit(noise) + 1.702 * 0.5 * doubt;
                    logistic.probability(1.5 * margin.abs())
                };
                behaviour.stake(Some(Answer { malicious: logistic.exceeds(log_odds, noise), confidence }), whim)
            }
        }
    }
}

/// What a rival answers: its verdict, and its confidence, which is drawn if it matters.
struct Answer<C> {
    malicious: bool,
    confidence: C,
}

/// No answer: there is no confidence to ask for.
const SILENCE: Option<Answer<NeverAsked>> = None;
type NeverAsked = fn(&mut Stream) -> f64;

impl Behaviour {
    /// Side and bid of a rival with that answer, if it has one.
    #[inline(always)]
    fn stake(&self, answer: Option<Answer<impl FnOnce(&mut Stream) -> f64>>, whim: &mut Stream) -> Option<(bool, Nct)> {
        match *self {
            Behaviour::Rising { low, rise } => answer.map(|Answer { malicious, confidence }| {
                let bid = low + rise * confidence(whim);
                // Into 64 bits, where they suffice, an instruction converts it.
                let wei = if bid < u64::MAX as f64 { u128::from(bid as u64) } else { bid as u128 };
                (malicious, Nct::wei(wei))
            }),
            Behaviour::Flat(bid) => answer.map(|answer| (answer.malicious, bid)),
            Behaviour::Coin(bid) => Some((whim.below(2) == 1, bid)),
            Behaviour::Always { malicious, bid } => Some((malicious, bid)),
            Behaviour::Abstain => None,
            // What it puts on it is decided in the market.
            Behaviour::Adaptive => answer.map(|answer| (answer.malicious, Nct::ZERO)),
        }
    }
}

/// The log-odds of a malicious verdict at which the wrong one is `factor` times as probable, at most certain.
#[cold]
fn erring(log_odds: f64, malicious: bool, factor: f64) -> f64 {
    let sign = if malicious { 1.0 } else { -1.0 };
    let wrong = (factor / (1.0 + libm::exp(sign * log_odds))).min(1.0);
    sign * (libm::log(1.0 - wrong) - libm::log(wrong))
}

/// Checks a strategy of the engine's catalogue for rivals.
///
/// # Errors
///
/// If there is none of that name, its parameters are wrong, or it is not for rivals.
pub(crate) fn check_strategy(strategy: &str, rules: &RuleSet) -> Result<(), StrategyError> {
    Behaviour::parse(strategy, rules).map(drop)
}

impl Behaviour {
    fn parse(strategy: &str, rules: &RuleSet) -> Result<Behaviour, StrategyError> {
        // The catalogue knows what is a strategy at all, and its parameters.
        stake::build(strategy)?;
        let name = strategy.split_once('?').map_or(strategy, |(name, _)| name);
        let minimum = rules.bid_minimum;
        let stock = |stock: Stock| {
            let [low, high] = [0.0, 1.0].map(|confidence| stock.bid(rules, confidence));
            let wei = |bid: Nct| bid.to_wei().map_or(f64::INFINITY, |wei| wei as f64);
            if low == high { Behaviour::Flat(low) } else { Behaviour::Rising { low: wei(low), rise: wei(high) - wei(low) } }
        };
        Ok(match name {
            "stock/conservative" => stock(Stock::CONSERVATIVE),
            "stock/default" => stock(Stock::DEFAULT),
            "stock/aggressive" => stock(Stock::AGGRESSIVE),
            "null/abstain" => Behaviour::Abstain,
            "null/min" => Behaviour::Flat(minimum),
            "null/random" => Behaviour::Coin(minimum),
            "null/mal" => Behaviour::Always { malicious: true, bid: minimum },
            "null/ben" => Behaviour::Always { malicious: false, bid: minimum },
            "fixed" => Behaviour::Flat(Fixed::parse(strategy)?.bid),
            _ if stake::names_in(strategy).any(|name| name == "command") => {
                let reason = "a program would have to run for every rival, in every run";
                return Err(StrategyError::EngineOnly { strategy: "command".to_owned(), reason });
            }
            _ => Behaviour::Adaptive,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_is_lognormal_in_whole_blocks() {
        let table = LatencyTable::new(5.0, 0.8, 21);
        assert_eq!([0.0, 0.49, 0.51, 0.9999].map(|uniform| table.blocks(Uniform::of(uniform))), [0, 4, 5, 21]);
        assert_eq!(LatencyTable::new(5.0, 0.0, 21).blocks(Uniform::of(0.3)), 5);
    }

    fn population(configs: &[RivalConfig], columns: &[&str], own: &[&str]) -> Population {
        let columns: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
        let rules = &market::ruleset::BOUNTY_REGISTRY_1_6_1;
        let world =
            Surroundings { rules, columns: &columns, rates: &[], own_columns: own, types: &["pe32"], duration: 20, folder: Path::new("") };
        Population::new(configs, &world).unwrap()
    }

    #[test]
    fn participants_are_as_many_as_wished_nobody_twice_and_do_not_depend_on_others() {
        let few = |engines: &[&str]| RivalConfig {
            model: RivalModel::TwoFactor,
            engines: engines.iter().map(|&name| name.to_owned()).collect(),
            per_bounty: 2,
            ..RivalConfig::default()
        };
        let (three, four) = (
            population(&[few(&["ClamAV", "K7GW", "DrWeb"])], &[], &[]),
            population(&[few(&["ClamAV", "K7GW", "DrWeb", "Ikarus"])], &[], &[]),
        );
        let (mut lots, mut drawn, mut kept) = (Vec::new(), Vec::new(), 0);
        for bounty in 0..1000 {
            let mut take = |population: &Population| {
                population.choose(Key::root(bounty), &population.groups[0], &mut lots, &mut drawn);
                assert!(drawn.len() == 2 && drawn[0] < drawn[1], "{drawn:?}");
                drawn.clone()
            };
            let (before, after) = (take(&three), take(&four));
            // The newcomer takes a place or none; the others keep their order.
            kept += usize::from(before == after);
            assert!(after.iter().filter(|member| **member != 3).all(|member| before.contains(member)));
        }
        assert!((400..600).contains(&kept), "{kept}");
    }

    /// For each of 4,000 artifacts, half of them malicious, whether each rival is wrong on it; `recorded` are its columns.
    fn errors(population: &Population, recorded: &dyn Fn(u64) -> Vec<Option<datasets::Recorded>>) -> Vec<Vec<bool>> {
        let one = |bounty: u64| {
            let (malicious, recorded) = (bounty % 2 == 1, recorded(bounty));
            let target = Target { malicious, file_type: 1, family: None, recorded: &recorded };
            let mut plans = Vec::new();
            population.plan(Key::root(bounty), Key::root(9), &[target], &mut plans);
            let wrong = |rival: usize| plans.iter().any(|plan| plan.rival == rival && plan.verdicts.contains(0) != malicious);
            (0..population.rivals.len()).map(wrong).collect()
        };
        (0..4000).map(one).collect()
    }

    fn rate(errors: &[Vec<bool>], malicious: bool) -> f64 {
        errors.iter().skip(usize::from(malicious)).step_by(2).filter(|wrong| wrong[0]).count() as f64 / 2000.0
    }

    fn worse(less: &[Vec<bool>], more: &[Vec<bool>]) -> bool {
        less.iter().zip(more).all(|(less, more)| less.iter().zip(more).all(|(less, more)| more | !less))
    }

    #[test]
    fn fitted_rivals_err_as_many_times_as_wished_and_where_they_erred_before() {
        let with = |error_factor| {
            let (model, engines) = (RivalModel::TwoFactor, vec!["ClamAV".into(), "K7GW".into()]);
            errors(&population(&[RivalConfig { model, engines, error_factor, ..RivalConfig::default() }], &[], &[]), &|_| Vec::new())
        };
        let [none, half, one, double, ten] = [0.0, 0.5, 1.0, 2.0, 10.0].map(with);
        assert!(none.iter().flatten().all(|wrong| !wrong));
        assert!(worse(&half, &one) && worse(&one, &double) && worse(&double, &ten));
        let (half, one, double) = (rate(&half, true), rate(&one, true), rate(&double, true));
        assert!(one > 0.1 && (half / one - 0.5).abs() < 0.06 && double > 1.3 * one, "{half} {one} {double}");
    }

    #[test]
    fn recorded_rivals_err_as_many_times_as_wished_and_where_they_erred_before() {
        // Wrong on one malicious artifact in five, and on one benign one in ten.
        let recorded = |bounty: u64| {
            let malicious = bounty % 2 == 1;
            let wrong = Key::root(77).with(bounty).stream().uniform() < if malicious { 0.2 } else { 0.1 };
            vec![Some(datasets::Recorded { malicious: malicious != wrong, confidence: None })]
        };
        let rates = [ErrorRates { misses: 0.2, false_alarms: 0.1 }];
        let with = |error_factor| {
            let config = RivalConfig { model: RivalModel::Recorded, engines: vec!["A".into()], error_factor, ..RivalConfig::default() };
            let (rules, columns) = (&market::ruleset::BOUNTY_REGISTRY_1_6_1, ["A".to_owned()]);
            let (types, folder) = (&["pe32"][..], Path::new(""));
            let world = Surroundings { rules, columns: &columns, rates: &rates, own_columns: &[], types, duration: 20, folder };
            errors(&Population::new(&[config], &world).unwrap(), &recorded)
        };
        let all = [0.0, 0.5, 1.0, 2.0, 10.0].map(with);
        assert!(all.windows(2).all(|pair| worse(&pair[0], &pair[1])));
        for (errors, misses, false_alarms) in [(&all[0], 0.0, 0.0), (&all[1], 0.1, 0.05), (&all[3], 0.4, 0.2), (&all[4], 1.0, 1.0)] {
            let (missed, alarmed) = (rate(errors, true), rate(errors, false));
            assert!((missed - misses).abs() < 0.035 && (alarmed - false_alarms).abs() < 0.035, "{missed} {alarmed}");
        }
    }

    #[test]
    fn without_correlation_rivals_are_the_independent_ones() {
        let of = |model, correlation| {
            let engines = vec!["K7GW".into(), "K7AntiVirus".into(), "ClamAV".into()];
            let config = RivalConfig { model, engines, correlation, ..RivalConfig::default() };
            errors(&population(&[config], &[], &[]), &|_| Vec::new())
        };
        let independent = of(RivalModel::Independent, None);
        assert_eq!(of(RivalModel::TwoFactor, Some(0.0)), independent);
        let together = |errors: &[Vec<bool>]| errors.iter().filter(|wrong| wrong[0] && wrong[2]).count();
        let close = of(RivalModel::OneFactor, Some(0.9));
        assert!(together(&close) > together(&independent) + 60, "{} {}", together(&close), together(&independent));
        assert!((rate(&close, true) - rate(&independent, true)).abs() < 0.05);
    }

    #[test]
    fn an_adaptive_rival_knows_what_its_answers_are_worth() {
        let confidences = |error_factor: f64| {
            let (model, engines) = (RivalModel::TwoFactor, vec!["ClamAV".into()]);
            let strategies = vec!["pm-ev".into()];
            let config = RivalConfig { model, engines, strategies, error_factor, ..RivalConfig::default() };
            let population = population(&[config], &[], &[]);
            assert!(population.adaptive().is_some() && population.trader(0).unwrap().is_some());
            [true, false].map(|malicious| population.rivals[0].result(malicious, 1).confidence.unwrap())
        };
        let profile = crate::profiles::Profiles::builtin().get("ClamAV").unwrap().clone();
        let (on_malware, benign) = (profile.on_malware("pe32"), profile.benign);
        let worth = |if_malicious: f64, if_benign: f64| {
            let (if_malicious, if_benign) = (on_malware.coverage * if_malicious, benign.coverage * if_benign);
            if_malicious / (if_malicious + if_benign)
        };
        // What was fitted comes to about the rates.
        let [malicious, clean] = confidences(1.0).map(f64::from);
        assert!((malicious - worth(on_malware.rate, benign.rate)).abs() < 0.01, "{malicious}");
        assert!((1.0 - clean - worth(1.0 - on_malware.rate, 1.0 - benign.rate)).abs() < 0.02, "{clean}");
        // Whoever never errs may be sure, and whoever errs more must not.
        assert_eq!(confidences(0.0), [1.0, 1.0]);
        assert!(confidences(2.0)[1] < clean as f32);
    }

    #[test]
    fn the_engine_under_test_changes_nobody_elses_strategy() {
        let names = ["A", "ClamAV", "K7GW", "DrWeb", "Ikarus"];
        let config = RivalConfig { engines: names[1..].iter().map(|&name| name.to_owned()).collect(), ..RivalConfig::default() };
        let strategies = |own: &str| -> BTreeMap<String, String> {
            population(std::slice::from_ref(&config), &names, &[own]).rivals.into_iter().map(|rival| (rival.name, rival.strategy)).collect()
        };
        let (all, without) = (strategies("A"), strategies("ClamAV"));
        assert_eq!((all.len(), without.len()), (4, 3));
        assert!(without.iter().all(|(name, strategy)| all[name] == *strategy), "{all:?} {without:?}");
    }

    #[test]
    fn rivals_without_opinions_take_strategies_in_turn() {
        let config = |count, strategies: &[&str]| RivalConfig {
            model: RivalModel::None,
            count,
            strategies: strategies.iter().map(|&name| name.to_owned()).collect(),
            ..RivalConfig::default()
        };
        let rivals = population(&[config(3, &["null/mal", "null/ben"])], &[], &[]).rivals;
        assert_eq!(rivals.iter().map(|rival| rival.strategy.as_str()).collect::<Vec<_>>(), ["null/mal", "null/ben", "null/mal"]);
    }

    #[test]
    fn an_engine_named_twice_is_two_rivals() {
        let config =
            RivalConfig { model: RivalModel::TwoFactor, engines: vec!["ClamAV".into(), "ClamAV".into()], ..RivalConfig::default() };
        let rivals = population(&[config], &[], &[]).rivals;
        assert_ne!(rivals[0].address, rivals[1].address);
    }

    #[test]
    fn names_are_different_whatever_the_columns_are_called() {
        let config =
            RivalConfig { model: RivalModel::Recorded, engines: vec!["A#2".into(), "A".into()], count: 5, ..RivalConfig::default() };
        let population = population(&[config], &["own", "A#2", "A"], &["own"]);
        let names: BTreeSet<&str> = population.rivals.iter().map(|rival| rival.name.as_str()).collect();
        assert_eq!(names.len(), 5, "{names:?}");
    }
}
