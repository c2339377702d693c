//! Playing the trials of a sweep. Those in one market are played against one tape of it; whoever is alone in a market, or in
//! one that cannot be taped, in the world. Both give the same figures, to the wei.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use anyhow::{Context as _, Result};
use engine::config::{BackendConfig, EngineConfig};
use rayon::prelude::*;
use replay::{
    follower::Following,
    oracle,
    plan::Setup,
    scenario::Scenario,
    tape::{Tape, TapeError},
    world::NoJournal,
};

use super::{
    folder::{Folder, Plan},
    sampler::{self, Sampler},
    space::{BOUNTIES, Point, Space},
    trial::{Outcome, Record, Trial, Watcher},
};
use crate::{
    execute::{self, Broken},
    settings::{Base, Change, Origin, scenario_toml},
};

/// Of so many trials one goes on, in a search by halves.
const ETA: usize = 3;
/// Bounties of its first rung, at least.
const RUNG: u64 = 1_000;

/// Everything that a sweep plays.
#[derive(Debug)]
pub struct Search<'a> {
    pub folder: &'a Folder,
    /// The scenario that trials change.
    pub base: &'a Base,
    /// The same, checked and scanned.
    pub setup: &'a Arc<Setup>,
    pub jobs: usize,
    pub interrupted: &'a AtomicBool,
}

/// The trials of a plan.
#[derive(Debug)]
pub struct Drawn {
    /// Bounties of the scenario.
    bounties: u64,
    points: Vec<Point>,
    rungs: Vec<Rung>,
    /// The scenario that they change.
    scanned: Scenario,
    /// Every trial once, in order, as it is played first.
    pub trials: Vec<Trial>,
    /// Points that were drawn before.
    pub again: u64,
}

impl Drawn {
    /// Draws the trials of a plan; `progress` hears of points that are drawn.
    ///
    /// # Errors
    ///
    /// If the space has no such points.
    pub fn new(plan: &Plan, space: &Space, base: &Base, progress: &(dyn Fn(u64) + Sync)) -> Result<Drawn> {
        let scanned = base.with(&[])?;
        let points = sampler::points(space, plan.sampler, scanned.seed, Some(plan.trials))?;
        let rungs = rungs(plan.sampler, plan.judged);
        let mut drawn = Drawn { bounties: plan.bounties, points, rungs, scanned, trials: Vec::new(), again: 0 };
        let numbers = 0..drawn.points.len() as u32;
        let mut trials: Vec<Trial> =
            numbers.into_par_iter().map(|number| drawn.trial(base, number, drawn.rungs[0])).inspect(|_| progress(1)).collect();
        let mut seen = HashSet::new();
        trials.retain(|trial| seen.insert(trial.id.clone()));
        drawn.again = (drawn.points.len() - trials.len()) as u64;
        drawn.trials = trials;
        Ok(drawn)
    }

    /// The trial of a point on a rung; its engine has to scan as that of the scenario does.
    fn trial(&self, base: &Base, number: u32, rung: Rung) -> Trial {
        let mut point = self.points[number as usize].clone();
        if rung.to != self.bounties {
            let value = toml::Value::Integer(rung.to as i64);
            point.changes.push(Change { key: BOUNTIES.to_owned(), value, origin: Origin::Flag("the sweep") });
        }
        let scenario = base.with(&point.changes).and_then(|scenario| {
            let (asked, known) = (&scenario.engine, &self.scanned.engine);
            let same = answers(asked).eq(answers(known)) && asked.archives == known.archives;
            let strategy = &asked.strategy;
            anyhow::ensure!(
                oracle::find(strategy).is_none(),
                "`{strategy}`: nobody can choose an oracle; `sim compare` shows what they earn"
            );
            let profiles = |scenario: &Scenario| scenario.rivals.iter().map(|group| group.profiles.clone()).collect::<HashSet<_>>();
            let builtin = HashSet::from(["builtin".to_owned()]);
            anyhow::ensure!(
                profiles(&scenario).is_subset(&(&profiles(&self.scanned) | &builtin)),
                "`rivals.N.profiles` names a file, and a space cannot: name it in the scenario"
            );
            anyhow::ensure!(same, "`engine.backends` and `engine.archives` decide what was scanned, so a sweep cannot vary them");
            Ok(scenario)
        });
        Trial { rung: rung.number, from: rung.from, ..Trial::new(number, &point, scenario) }
    }
}

/// How many trials there were.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, serde::Serialize)]
pub struct Counts {
    /// Played now.
    pub computed: u64,
    /// Known from before.
    pub reused: u64,
    /// That could not be played.
    pub failed: u64,
    /// Points that were drawn before, and are played once.
    pub again: u64,
    /// Bounties played now.
    pub bounties: u64,
}

/// Hears how far a search is.
pub trait Progress: Sync {
    /// So many bounties will be played next.
    fn begin(&self, bounties: u64);
    /// So many are over.
    fn closed(&self, bounties: u64);
}

/// What a trial is when it is played: bounties up to the second number, with figures from the first one on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rung {
    pub number: u32,
    pub from: u64,
    pub to: u64,
}

impl Search<'_> {
    /// Plays every trial that is not known; the records of all in order, or nothing if that was interrupted.
    ///
    /// # Errors
    ///
    /// If a file cannot be written, or an invariant is [`Broken`].
    pub fn run(&self, drawn: Drawn, progress: &dyn Progress) -> Result<(Counts, Option<Vec<Record>>)> {
        let mut counts = Counts { again: drawn.again, ..Counts::default() };
        let shard = self.folder.plan.shard;
        let of_shard = |trial: &Trial| shard.is_none_or(|shard| shard.has(trial.number));
        let mut going: Vec<Trial> = drawn.trials.iter().filter(|trial| of_shard(trial)).cloned().collect();
        let mut records = Vec::new();
        for (place, &rung) in drawn.rungs.iter().enumerate() {
            if place > 0 {
                going = going.iter().map(|old| drawn.trial(self.base, old.number, rung)).collect();
            }
            let Some(mut found) = self.play(&going, &mut counts, progress)? else { return Ok((counts, None)) };
            let mut best: Vec<(f64, u32)> =
                found.iter().filter_map(|record| Some((record.figures()?.per_bounty_nct, record.number))).collect();
            best.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            best.truncate(going.len().div_ceil(ETA));
            let chosen: HashSet<u32> = best.into_iter().map(|(_, number)| number).collect();
            going.retain(|trial| chosen.contains(&trial.number));
            records.append(&mut found);
        }
        counts.failed = records.iter().filter(|record| record.figures().is_none()).count() as u64;
        records.sort_by_key(|record| (record.number, record.rung));
        Ok((counts, Some(records)))
    }

    /// Plays some trials, those of one market together.
    fn play(&self, trials: &[Trial], counts: &mut Counts, progress: &dyn Progress) -> Result<Option<Vec<Record>>> {
        let mut records: Vec<Option<Record>> = trials
            .iter()
            .map(|trial| {
                // What failed is tried again.
                let known = self.folder.known(&trial.id).filter(|outcome| matches!(outcome, Outcome::Figures(_)));
                known.map(|outcome| trial.record(outcome.clone()))
            })
            .collect();
        counts.reused += records.iter().flatten().count() as u64;
        // In the order in which their first trials come.
        let mut markets: BTreeMap<String, usize> = BTreeMap::new();
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for (place, (trial, record)) in trials.iter().zip(&mut records).enumerate().filter(|(_, (_, record))| record.is_none()) {
            match &trial.scenario {
                Err(why) => {
                    let failed = trial.record(Outcome::Failed(why.clone()));
                    self.folder.keep(&failed)?;
                    *record = Some(failed);
                }
                Ok(scenario) => {
                    let group = *markets.entry(scenario_toml(&market_of(scenario))).or_insert(groups.len());
                    if group == groups.len() {
                        groups.push(Vec::new());
                    }
                    groups[group].push(place);
                }
            }
        }
        let length = |place: &usize| trials[*place].scenario.as_ref().map_or(0, |scenario| scenario.bounties_on(self.setup.summary.rows));
        progress.begin(groups.iter().flatten().map(length).sum());
        let (played, closed) = (AtomicU64::new(0), AtomicU64::new(0));
        let done = std::sync::Mutex::new(Vec::new());
        let keep = |place: usize, outcome: Outcome| -> Result<()> {
            let record = trials[place].record(outcome);
            self.folder.keep(&record)?;
            if record.figures().is_some() {
                played.fetch_add(1, Ordering::Relaxed);
                closed.fetch_add(length(&place), Ordering::Relaxed);
            }
            progress.closed(length(&place));
            done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((place, record));
            Ok(())
        };
        // Of many markets everybody takes some; few are played one after the other, each by all.
        if groups.len() >= 2 * self.jobs {
            execute::on_threads(groups.len(), self.jobs, self.interrupted, &|group| self.play_group(trials, &groups[group], 1, &keep))?;
        } else {
            let threads = rayon::ThreadPoolBuilder::new().num_threads(self.jobs).build().context("cannot start threads")?;
            threads.install(|| groups.iter().try_for_each(|group| self.play_group(trials, group, self.jobs, &keep)))?;
        }
        counts.computed += played.into_inner();
        counts.bounties += closed.into_inner();
        for (place, record) in done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
            records[place] = Some(record);
        }
        Ok(records.into_iter().collect())
    }

    /// Plays trials that meet the same market.
    fn play_group(
        &self,
        trials: &[Trial],
        group: &[usize],
        jobs: usize,
        keep: &(dyn Fn(usize, Outcome) -> Result<()> + Sync),
    ) -> Result<()> {
        let scenario = |place: usize| trials[place].scenario.as_ref().expect("those without a scenario are not grouped");
        let mut tape = None;
        if group.len() > 1 {
            let setup = self.setup.under(market_of(scenario(group[0])), Path::new("")).map_err(|error| TapeError::Play(error.into()));
            match setup.and_then(|setup| Tape::record(&Arc::new(setup), self.interrupted)) {
                Ok(recorded) => tape = Some(recorded),
                Err(TapeError::Interrupted) => return Ok(()),
                Err(error) if is_refusal(&error) => {}
                Err(error) => {
                    let failed = failure(error)?;
                    return group.iter().try_for_each(|&place| keep(place, failed.clone()));
                }
            }
        }
        execute::on_threads(group.len(), jobs, self.interrupted, &|member| {
            let place = group[member];
            let outcome = match &tape {
                Some(tape) => self.against(tape, &trials[place], scenario(place))?,
                None => self.in_the_world(&trials[place], scenario(place))?,
            };
            outcome.map_or(Ok(()), |outcome| keep(place, outcome))
        })
    }

    /// Plays a trial against a tape.
    fn against(&self, tape: &Tape, trial: &Trial, scenario: &Scenario) -> Result<Option<Outcome>> {
        let mut watcher = Watcher::new(trial.from, tape.bounties());
        match tape.play(&scenario.engine, scenario.wallets.engine, &mut watcher) {
            Ok(played) => Ok(Some(Outcome::Figures(Box::new(watcher.figures(played.last_block.0 - played.first_block.0))))),
            Err(error) if is_refusal(&error) => self.in_the_world(trial, scenario),
            Err(error) => failure(error).map(Some),
        }
    }

    /// Plays a trial in the world; nothing if that was interrupted.
    fn in_the_world(&self, trial: &Trial, scenario: &Scenario) -> Result<Option<Outcome>> {
        let setup = match self.setup.under(scenario.clone(), Path::new("")) {
            Ok(setup) => Arc::new(setup),
            Err(error) => return Ok(Some(Outcome::Failed(error.to_string()))),
        };
        let mut following = Following(Watcher::new(trial.from, setup.bounties));
        let strategy = &scenario.engine.strategy;
        match execute::play::<std::io::Sink>(&setup, strategy, &mut following, None::<&mut NoJournal>, self.interrupted, &|_| {}) {
            Ok(played) if played.complete => {
                Ok(Some(Outcome::Figures(Box::new(following.0.figures(played.last_block.0 - played.first_block.0)))))
            }
            Ok(_) => Ok(None),
            Err(error) if error.is::<Broken>() => Err(error),
            Err(error) => Ok(Some(Outcome::Failed(format!("{error:#}")))),
        }
    }
}

/// A trial that cannot be played, unless what is wrong is this program.
fn failure(error: TapeError) -> Result<Outcome> {
    let error = match error {
        TapeError::Play(error) => execute::play_error(error),
        other => anyhow::Error::new(other),
    };
    if error.is::<Broken>() {
        return Err(error);
    }
    Ok(Outcome::Failed(format!("{error:#}")))
}

/// Segments of the bounties, each three times as long as the one before; one where nothing is halved.
pub(super) fn rungs(sampler: Sampler, bounties: u64) -> Vec<Rung> {
    let eta = ETA as u64;
    let mut count = 1;
    if sampler == Sampler::Halving {
        // Parts of 1, 3, 9, …: (3^n - 1)/2 of the first one's length in all.
        while bounties / ((eta.pow(count + 1) - 1) / 2) >= RUNG {
            count += 1;
        }
    }
    let end = |rung: u32| {
        let parts = |rung: u32| u128::from((eta.pow(rung) - 1) / 2);
        (u128::from(bounties) * parts(rung) / parts(count)) as u64
    };
    (0..count).map(|number| Rung { number, from: end(number), to: end(number + 1) }).collect()
}

/// The market of a scenario: what is played on it makes no difference to anybody else.
fn market_of(scenario: &Scenario) -> Scenario {
    let mut market = scenario.clone();
    let engine = EngineConfig::default();
    market.engine.name = engine.name;
    market.engine.strategy = engine.strategy;
    market.engine.distiller = engine.distiller;
    market.engine.calibration = engine.calibration;
    market.engine.backends = answers(&scenario.engine).collect();
    market.wallets.engine = Scenario::default().wallets.engine;
    market
}

/// The backends, as far as their answers depend on it.
fn answers(engine: &EngineConfig) -> impl Iterator<Item = BackendConfig> + '_ {
    engine.backends.iter().map(BackendConfig::without_rates)
}

/// True if it is only a tape that cannot be had.
fn is_refusal(error: &TapeError) -> bool {
    matches!(
        error,
        TapeError::RivalShort { .. }
            | TapeError::AmbassadorShort { .. }
            | TapeError::AdaptiveRival { .. }
            | TapeError::StrayMaskBits { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_share_the_bounties_out() {
        let of = |sampler, bounties| rungs(sampler, bounties).into_iter().map(|rung| (rung.from, rung.to)).collect::<Vec<_>>();
        assert_eq!(of(Sampler::Grid, 100_000), [(0, 100_000)]);
        assert_eq!(of(Sampler::Halving, 100_000), [(0, 2_500), (2_500, 10_000), (10_000, 32_500), (32_500, 100_000)]);
        assert_eq!(of(Sampler::Halving, 3_999), [(0, 3_999)]);
        assert_eq!(of(Sampler::Halving, 4_000), [(0, 1_000), (1_000, 4_000)]);
    }

    #[test]
    fn who_plays_on_a_market_does_not_change_it() {
        let base = Scenario::default();
        let mut other = base.clone();
        other.engine.strategy = "null/min".to_owned();
        other.engine.distiller.rho = 0.5;
        other.wallets.engine = market::nct::Nct::whole(7);
        assert_eq!(market_of(&base), market_of(&other));
        other.arbiters.count = 3;
        assert_ne!(market_of(&base), market_of(&other));
    }
}
