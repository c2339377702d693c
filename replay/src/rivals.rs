//! Competitors: who takes part in a bounty, what they say, how sure they are, when, and what they put on it.
//!
//! A rival's latent score on an artifact is its log-odds of a malicious verdict (its profile, with the artifact's
//! shared factors) minus the logit of its own uniform noise; the verdict is the sign. Confidence grows with the
//! distance from zero: Phi(1.5 |margin + noise/2|), where the margin is the score on the scale of a normal variable.

use std::{collections::BTreeMap, path::Path};

use engine::{
    chance::{Key, Stream, fnv1a64},
    stake::{self, StrategyError, null::Null, stock::Stock},
};
use market::{nct::Nct, ruleset::RuleSet, verdict::ArtifactSet};
use rand::distr::Distribution;
use rand_distr::StandardNormal;

use crate::{
    profiles::{LogOdds, Profiles, ProfilesError, TypeProfile},
    scenario::{RivalConfig, RivalModel},
};

/// One rival.
#[derive(Clone, Debug)]
pub struct Rival {
    /// Its name in reports.
    pub name: String,
    /// Its strategy, as written.
    pub strategy: String,
    /// Its word in addresses of chance: its name, so that nobody's luck depends on who else is there.
    address: u64,
    opinion: Opinion,
    behaviour: Behaviour,
}

/// Where its verdicts come from.
#[derive(Clone, Debug)]
enum Opinion {
    /// A fitted profile, by number of the file type; then its behaviour on benign files.
    Fitted { malware: Vec<Skill>, benign: Skill, noise: u64 },
    /// A recorded column.
    Recorded { column: usize },
    /// None.
    Nothing,
}

/// How it behaves on one file type.
#[derive(Clone, Copy, Debug)]
struct Skill {
    coverage: f64,
    log_odds: LogOdds,
}

/// How much it puts on a verdict. Rivals that learn come with the strategies that do.
#[derive(Clone, Copy, Debug)]
enum Behaviour {
    Stock(Stock),
    Fixed(Nct),
    Null(Null),
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

/// A lognormal number of blocks by inverse distribution function: how many blocks are passed with less than each
/// probability.
#[derive(Clone, Debug)]
struct LatencyTable(Vec<f64>);

impl LatencyTable {
    /// `horizon` blocks or more are all the same: too late.
    fn new(median: f64, spread: f64, horizon: u64) -> LatencyTable {
        let below = |blocks: u64| match blocks {
            0 => 0.0,
            _ if spread == 0.0 => f64::from(u8::from(blocks as f64 > median)),
            _ => 0.5 * libm::erfc(-(libm::log(blocks as f64) - libm::log(median)) / (spread * std::f64::consts::SQRT_2)),
        };
        LatencyTable((1..=horizon).map(below).collect())
    }

    #[inline]
    fn blocks(&self, uniform: f64) -> u64 {
        self.0.partition_point(|&below| below <= uniform) as u64
    }
}

/// All competitors of a run.
#[derive(Clone, Debug)]
pub struct Population {
    /// The rivals, in the order of the scenario's groups.
    pub rivals: Vec<Rival>,
    groups: Vec<Group>,
    /// Names of the file types that profiles were looked up for, by number.
    types: BTreeMap<String, usize>,
    fitted_types: Vec<String>,
}

/// What a population is put into.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The corpus' recorded engines.
    pub columns: &'a [String],
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
    /// One bid per mask bit.
    pub bids: smallvec::SmallVec<[Nct; 1]>,
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
        let mut population = Population { rivals: Vec::new(), groups: Vec::new(), types, fitted_types: Vec::new() };
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
        let needs_profiles = !matches!(model, RivalModel::Recorded | RivalModel::None);
        let profiles = Profiles::load(if needs_profiles { &config.profiles } else { "builtin" }, world.folder).map_err(in_group)?;
        let pool = || profiles.pool(&config.pool_type, config.pool_tpr);
        let names: Vec<String> = match model {
            RivalModel::None => vec!["none".to_owned(); config.count.max(1) as usize],
            // Of the engines named, those that were recorded; of others, the first ten.
            RivalModel::Recorded if config.model == RivalModel::Auto => {
                // A name that is neither a column nor an engine anybody knows is a mistake.
                for name in config.engines.iter().filter(|name| !columns.contains(name)) {
                    profiles.get(name).map_err(in_group)?;
                }
                let named: Vec<String> = config.engines.iter().filter(|name| others.contains(name)).cloned().collect();
                if named.is_empty() { others.into_iter().take(10).cloned().collect() } else { named }
            }
            _ if !config.engines.is_empty() => config.engines.clone(),
            RivalModel::Recorded => others.into_iter().filter(|column| pool().contains(&column.as_str())).cloned().collect(),
            _ => pool().into_iter().map(str::to_owned).collect(),
        };
        if names.is_empty() {
            return Err(PopulationError::EmptyPool { group });
        }
        let count = if config.count == 0 { names.len() } else { config.count as usize };
        let mut members = Vec::new();
        for member in 0..count {
            let name = &names[member % names.len()];
            let round = member / names.len();
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
                    Opinion::Recorded { column }
                }
                model => {
                    let profile = profiles.get(name).map_err(in_group)?;
                    let unknown = |name: &&String| !self.fitted_types.contains(name);
                    let new: Vec<String> = profile.types.keys().filter(unknown).cloned().collect();
                    self.fitted_types.extend(new);
                    let skill = |on_type: TypeProfile, staleness: f64| {
                        let mut log_odds = match model {
                            RivalModel::TwoFactor => on_type.two_factor,
                            RivalModel::OneFactor => on_type.one_factor,
                            _ => on_type.independent(),
                        };
                        log_odds.a -= staleness;
                        Skill { coverage: on_type.coverage, log_odds }
                    };
                    let mut malware = vec![skill(profile.on_malware(""), config.staleness); self.types.len() + 1];
                    for (file_type, &number) in &self.types {
                        malware[number] = skill(profile.on_malware(file_type), config.staleness);
                    }
                    // Engines of one cluster hear the same noise, unless engines are to be independent. A second
                    // rival of the same profile is somebody else.
                    let voice = profile.cluster.as_ref().filter(|_| model != RivalModel::Independent).unwrap_or(&profile.engine);
                    Opinion::Fitted { malware, benign: skill(profile.benign, 0.0), noise: fnv1a64(voice).wrapping_add(round as u64) }
                }
            };
            let strategy = &config.strategies[member % config.strategies.len()];
            let behaviour = Behaviour::parse(strategy).map_err(|source| PopulationError::Strategy { group, source })?;
            members.push(self.rivals.len());
            let known = self.rivals.iter().filter(|rival| rival.name == *name || rival.name.starts_with(&format!("{name}#"))).count();
            let name = if known == 0 { name.clone() } else { format!("{name}#{}", known + 1) };
            let address = fnv1a64(&name);
            self.rivals.push(Rival { name, strategy: strategy.clone(), address, opinion, behaviour });
        }
        let per_bounty = if config.per_bounty == 0 { members.len() } else { members.len().min(config.per_bounty as usize) };
        let latency = LatencyTable::new(config.latency_blocks, config.latency_spread, world.duration + 1);
        self.groups.push(Group { members, per_bounty, family_share: config.family_share, dropout: config.dropout, latency });
        Ok(())
    }

    /// The number of a file type; 0 for one that the corpus was not known to have.
    pub fn type_number(&self, file_type: &str) -> usize {
        self.types.get(file_type).copied().unwrap_or(0)
    }

    /// True if any rival follows fitted profiles.
    pub fn has_fitted_rivals(&self) -> bool {
        self.rivals.iter().any(|rival| matches!(rival.opinion, Opinion::Fitted { .. }))
    }

    /// File types that the profiles of the rivals cover.
    pub fn fitted_types(&self) -> &[String] {
        &self.fitted_types
    }

    /// What every rival does about a bounty on `targets`. `at` is the bounty's address.
    pub fn plan(&self, at: Key, seed: Key, rules: &RuleSet, targets: &[Target<'_>], plans: &mut Vec<RivalPlan>) {
        let mut drawn = Vec::new();
        for (number, group) in self.groups.iter().enumerate() {
            let participants: &[usize] = if group.per_bounty == group.members.len() {
                &group.members
            } else {
                choose(&group.members, group.per_bounty, &mut at.named("participants").with(number as u64).stream(), &mut drawn);
                &drawn
            };
            let difficulties: smallvec::SmallVec<[[f64; 2]; 1]> = targets
                .iter()
                .enumerate()
                .map(|(index, target)| difficulty(at.with(index as u64), seed, target, group.family_share))
                .collect();
            for &rival in participants {
                let mut chance = at.named("rival").with(self.rivals[rival].address).stream();
                let latency = group.latency.blocks(chance.uniform());
                let reveals = chance.uniform() >= group.dropout;
                let mut plan = RivalPlan {
                    rival,
                    latency,
                    reveals,
                    mask: ArtifactSet::EMPTY,
                    verdicts: ArtifactSet::EMPTY,
                    bids: smallvec::SmallVec::new(),
                };
                for (index, (target, difficulty)) in targets.iter().zip(&difficulties).enumerate() {
                    let answer = self.rivals[rival].answer(at, index, target, difficulty, &mut chance);
                    if let Some((malicious, bid)) = self.rivals[rival].behaviour.stake(rules, answer, &mut chance) {
                        plan.mask.insert(index);
                        if malicious {
                            plan.verdicts.insert(index);
                        }
                        plan.bids.push(bid);
                    }
                }
                if !plan.bids.is_empty() {
                    if rules.bids == market::ruleset::Bids::PerBounty {
                        let mean = plan.bids.iter().copied().sum::<Nct>() / plan.bids.len() as u64;
                        plan.bids = [mean].into_iter().collect();
                    }
                    plans.push(plan);
                }
            }
        }
    }
}

/// The shared factors of an artifact: standard normal, part of them common to its family.
fn difficulty(at: Key, seed: Key, target: &Target<'_>, family_share: f64) -> [f64; 2] {
    let mut chance = at.named("difficulty").stream();
    let own: [f64; 2] = std::array::from_fn(|_| StandardNormal.sample(&mut chance));
    match target.family.filter(|_| family_share > 0.0) {
        None => own,
        Some(family) => {
            let mut chance = seed.named("family").with(family).stream();
            let (mine, common) = ((1.0 - family_share).sqrt(), family_share.sqrt());
            own.map(|own| {
                let shared: f64 = StandardNormal.sample(&mut chance);
                mine * own + common * shared
            })
        }
    }
}

/// `count` of `members`, drawn without replacement, in order.
fn choose(members: &[usize], count: usize, chance: &mut Stream, drawn: &mut Vec<usize>) {
    drawn.clear();
    drawn.extend_from_slice(members);
    for position in 0..count {
        let other = position + chance.below((members.len() - position) as u64) as usize;
        drawn.swap(position, other);
    }
    drawn.truncate(count);
    drawn.sort_unstable();
}

impl Rival {
    /// Its verdict on an artifact and its confidence in it; `None` for no answer.
    #[inline]
    fn answer(&self, at: Key, index: usize, target: &Target<'_>, difficulty: &[f64; 2], chance: &mut Stream) -> Option<(bool, f64)> {
        match &self.opinion {
            Opinion::Nothing => None,
            Opinion::Recorded { column } => {
                let recorded = (*target.recorded.get(*column)?)?;
                // Without a stated confidence the stock strategies take full confidence.
                Some((recorded.malicious, recorded.confidence.map_or(1.0, f64::from)))
            }
            Opinion::Fitted { malware, benign, noise } => {
                let skill = if target.malicious { &malware[target.file_type] } else { benign };
                let answers = chance.uniform() < skill.coverage;
                let doubt: f64 = StandardNormal.sample(chance);
                if !answers {
                    return None;
                }
                let LogOdds { a, b } = skill.log_odds;
                let noise = at.named("noise").with(*noise).with(index as u64).stream().uniform();
                let score = a + b[0] * difficulty[0] + b[1] * difficulty[1] - libm::log(noise / (1.0 - noise));
                // A logistic variable over 1.702 is nearly a normal one, and so is the distribution function.
                let reach = 1.5 * (score / 1.702 + 0.5 * doubt).abs();
                Some((score > 0.0, 1.0 / (1.0 + libm::exp(-1.702 * reach))))
            }
        }
    }
}

impl Behaviour {
    fn parse(strategy: &str) -> Result<Behaviour, StrategyError> {
        // The catalogue knows what is a strategy at all, and its parameters.
        stake::build(strategy)?;
        let (name, parameters) = strategy.split_once('?').unwrap_or((strategy, ""));
        Ok(match name {
            "stock/conservative" => Behaviour::Stock(Stock::CONSERVATIVE),
            "stock/default" => Behaviour::Stock(Stock::DEFAULT),
            "stock/aggressive" => Behaviour::Stock(Stock::AGGRESSIVE),
            "null/abstain" => Behaviour::Null(Null::Abstain),
            "null/min" => Behaviour::Null(Null::OwnVerdict),
            "null/random" => Behaviour::Null(Null::Coin),
            "null/mal" => Behaviour::Null(Null::Always { malicious: true }),
            "null/ben" => Behaviour::Null(Null::Always { malicious: false }),
            _ => {
                let bid = parameters.strip_prefix("bid=").and_then(|bid| bid.parse().ok());
                Behaviour::Fixed(bid.unwrap_or(engine::stake::fixed::Fixed::DEFAULT_BID))
            }
        })
    }

    /// Side and bid on one artifact.
    #[inline]
    fn stake(self, rules: &RuleSet, answer: Option<(bool, f64)>, chance: &mut Stream) -> Option<(bool, Nct)> {
        let minimum = rules.bid_minimum;
        match self {
            Behaviour::Stock(stock) => answer.map(|(malicious, confidence)| (malicious, stock.bid(rules, confidence))),
            Behaviour::Fixed(bid) => {
                let bid = bid.max(minimum);
                answer.map(|(malicious, _)| (malicious, rules.bid_maximum.map_or(bid, |maximum| bid.min(maximum))))
            }
            Behaviour::Null(Null::Abstain) => None,
            Behaviour::Null(Null::OwnVerdict) => answer.map(|(malicious, _)| (malicious, minimum)),
            Behaviour::Null(Null::Coin) => Some((chance.below(2) == 1, minimum)),
            Behaviour::Null(Null::Always { malicious }) => Some((malicious, minimum)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_is_lognormal_in_whole_blocks() {
        let table = LatencyTable::new(5.0, 0.8, 21);
        assert_eq!((table.blocks(0.0), table.blocks(0.49), table.blocks(0.51), table.blocks(0.9999)), (0, 4, 5, 21));
        assert_eq!(LatencyTable::new(5.0, 0.0, 21).blocks(0.3), 5);
    }

    #[test]
    fn a_draw_of_participants_has_nobody_twice_and_is_the_same_again() {
        let members: Vec<usize> = (10..40).collect();
        let (mut first, mut second) = (Vec::new(), Vec::new());
        choose(&members, 10, &mut Key::root(7).stream(), &mut first);
        choose(&members, 10, &mut Key::root(7).stream(), &mut second);
        assert_eq!(first, second);
        assert!(first.len() == 10 && first.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
