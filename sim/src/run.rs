//! A finished run as data: everything the report says, once, in the schema of `run.json`.
//!
//! Wei are decimal strings, NCT are numbers, a figure that is not defined is `null`; nothing is ever NaN.

use std::{
    path::{self, Path, PathBuf},
    time::Duration,
};

use datasets::Truth;
use engine::microengine::Abstention;
use market::nct::{Nct, NctDelta};
use replay::{journal::Finished, plan::Setup, world::Played};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    curve::{CallIntervals, Curve, CurveFacts, IntervalFacts},
    forecast::ForecastFacts,
    groups::GroupsFacts,
    score::{Foretold, Scorecard, Table, ratio},
};

pub use crate::money::Money;

/// Version of the schema of `run.json`; grows when a field changes its meaning or goes away.
pub const SCHEMA: u32 = 2;
/// What stands for the strategy of an engine that is not this program's own.
pub const EXTERNAL: &str = "external";
/// Name of an engine from outside that never asserted.
pub const NOBODY: &str = "nobody";

/// A whole run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Run {
    pub schema: u32,
    pub name: RunName,
    /// Command that repeats the run.
    pub command: String,
    /// SHA-256 of the file `scenario.toml` beside: the scenario with the backends that the corpus decided on, and files found
    /// from anywhere.
    pub scenario_toml_sha256: String,
    /// False if the run was interrupted: then it covers what was done.
    pub complete: bool,
    pub warnings: Vec<String>,
    /// Answers of the engine's backends that did not come, and may another time: then the run may be another one.
    #[serde(default)]
    pub missing_answers: u64,
    pub corpus: CorpusFacts,
    pub market: MarketFacts,
    pub engine: EngineFacts,
    /// The same run with strategies that have no idea.
    pub nulls: Vec<NullFacts>,
    pub rivals: Vec<RivalFacts>,
    pub types: Vec<TypeFacts>,
    /// By family of artifacts.
    #[serde(default)]
    pub families: GroupsFacts,
    /// By the month, in UTC, in which artifacts were first seen.
    #[serde(default)]
    pub months: GroupsFacts,
    /// One hash of all that the engine decided and was paid: [`DecisionDigest`](crate::decisions::DecisionDigest).
    pub decisions_sha256: String,
    pub journal: Option<JournalFacts>,
    pub wall: WallTime,
}

/// What names a run: the same name gives the same journal, byte for byte.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RunName {
    pub version: String,
    pub scenario_sha256: String,
    pub corpus_sha256: String,
    pub seed: u64,
    /// Fingerprints of the files that the scenario names: hash lists and profiles.
    pub inputs: Vec<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CorpusFacts {
    pub name: String,
    /// Where it was, as an absolute path.
    pub path: String,
    pub rows: u64,
    pub malicious: u64,
    pub benign: u64,
    pub recorded_engines: usize,
}

impl CorpusFacts {
    /// Those of the corpus that is played.
    pub fn of(setup: &Setup) -> CorpusFacts {
        let Setup { corpus, summary, .. } = setup;
        CorpusFacts {
            name: corpus.name().to_owned(),
            path: location(corpus.path()).to_string_lossy().into_owned(),
            rows: summary.rows,
            malicious: summary.malicious,
            benign: summary.benign,
            recorded_engines: corpus.engines().len(),
        }
    }
}

/// Where a corpus is found from anywhere.
fn location(path: &Path) -> PathBuf {
    path.canonicalize().or_else(|_| path::absolute(path)).unwrap_or_else(|_| path.to_owned())
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct MarketFacts {
    pub rules: String,
    pub switches: Vec<String>,
    /// Bounties that are over.
    pub bounties: u64,
    /// Bounties that were to be posted, those that visitors posted included.
    pub planned: u64,
    /// Bounties that no ambassador could pay.
    pub unposted: u64,
    pub artifacts: u64,
    pub unvoted_bounties: u64,
    pub first_block: u64,
    pub last_block: u64,
    /// Arbiters' consensus against the corpus label.
    pub consensus_vs_label: JudgedFacts,
    pub supply: Money,
    pub stranded: Money,
    pub ambassadors: Money,
    pub arbiters: Money,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct EngineFacts {
    pub name: String,
    pub backends: Vec<String>,
    pub distiller: String,
    /// The map from scores to probabilities; `none` for none.
    pub calibration_map: String,
    pub strategy: String,
    /// True for a strategy that knows the label.
    pub oracle: bool,
    pub wallet: Money,
    pub profit: Money,
    pub profit_per_bounty_nct: Option<f64>,
    /// How well that is known; nothing of a run of a few bounties.
    #[serde(default)]
    pub profit_per_bounty_interval: Option<IntervalFacts>,
    pub components: ComponentFacts,
    pub staked: Money,
    pub return_on_stake: Option<f64>,
    pub locked_mean_nct: f64,
    pub locked_peak: Money,
    pub return_on_locked: Option<f64>,
    pub drawdown: DrawdownFacts,
    /// Equity and capital over market time.
    #[serde(default)]
    pub curve: CurveFacts,
    pub bounties_won: u64,
    pub bounties_lost: u64,
    pub coverage: CoverageFacts,
    pub vs_consensus: JudgedFacts,
    pub vs_label: JudgedFacts,
    /// How well the shares of calls against the consensus are known; earlier versions did not say.
    #[serde(default)]
    pub vs_consensus_intervals: Option<CallIntervals>,
    /// The same against the label.
    #[serde(default)]
    pub vs_label_intervals: Option<CallIntervals>,
    /// How good its probabilities of malice were, staked on or not.
    pub calibration: CalibrationFacts,
    /// Place among engine and rivals by profit, from 1.
    pub rank: usize,
    pub of: usize,
    /// Profit minus that of the best null strategy.
    pub gain_over_best_null: Option<Money>,
    /// How well that is known, in NCT: the ends of an interval with the confidence of the others. Nothing if the two differ on
    /// too few bounties.
    #[serde(default)]
    pub gain_over_best_null_interval: Option<(f64, f64)>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ComponentFacts {
    pub bounty_share: Money,
    pub losers_share: Money,
    pub no_vote_share: Money,
    pub lost_stake: Money,
    pub fees: Money,
    pub rounding: Money,
    /// Everything else that changed the balance of an engine from outside: transfers, deposits, bounties of its own,
    /// payouts it never collected. Nothing in process.
    pub other: Money,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DrawdownFacts {
    pub depth: Money,
    /// Counted in bounties asserted on.
    pub from: u64,
    pub to: u64,
    pub longest_under_water: u64,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CoverageFacts {
    pub bounties_asserted: u64,
    pub artifacts_asserted: u64,
    /// Share of all artifacts.
    pub share: Option<f64>,
    pub late: u64,
    pub unfunded: u64,
    pub no_answer: u64,
    pub no_stake: u64,
    pub refused: u64,
}

/// Probabilities of malice against both truths; `null` where nothing was said.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CalibrationFacts {
    pub vs_consensus: Option<ForecastFacts>,
    pub vs_label: Option<ForecastFacts>,
    /// The same on the last three tenths of the bounties alone; `null` if what learns has met their artifacts before.
    pub held_out: HeldOutFacts,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct HeldOutFacts {
    /// Number of its first bounty.
    pub from_bounty: u64,
    pub vs_consensus: Option<ForecastFacts>,
    pub vs_label: Option<ForecastFacts>,
}

impl CalibrationFacts {
    fn new([before, held_out]: &[Foretold; 2], from_bounty: u64, met: bool) -> CalibrationFacts {
        let unmet = |facts: Option<ForecastFacts>| facts.filter(|_| !met);
        CalibrationFacts {
            vs_consensus: before.consensus.and(&held_out.consensus).facts(),
            vs_label: before.label.and(&held_out.label).facts(),
            held_out: HeldOutFacts {
                from_bounty,
                vs_consensus: unmet(held_out.consensus.facts()),
                vs_label: unmet(held_out.label.facts()),
            },
        }
    }
}

impl Run {
    /// The strategy without any idea that earned most.
    pub fn best_null(&self) -> Option<&NullFacts> {
        self.nulls.iter().max_by(|a, b| a.profit.nct.total_cmp(&b.profit.nct))
    }
}

/// Calls against a truth.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct JudgedFacts {
    #[serde(flatten)]
    pub table: Table,
    pub accuracy: Option<f64>,
    pub tpr: Option<f64>,
    pub fpr: Option<f64>,
    pub balanced_accuracy: Option<f64>,
    pub precision: Option<f64>,
    pub f1: Option<f64>,
    pub mcc: f64,
}

impl JudgedFacts {
    fn new(table: Table) -> JudgedFacts {
        JudgedFacts {
            table,
            accuracy: table.accuracy(),
            tpr: table.tpr(),
            fpr: table.fpr(),
            balanced_accuracy: table.balanced(),
            precision: table.precision(),
            f1: table.f1(),
            mcc: table.mcc(),
        }
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct NullFacts {
    pub strategy: String,
    pub profit: Money,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RivalFacts {
    pub name: String,
    pub strategy: String,
    pub profit: Money,
    pub staked: Money,
    pub bounties_asserted: u64,
    pub accuracy: Option<f64>,
    pub tpr: Option<f64>,
    pub fpr: Option<f64>,
    pub late: u64,
    pub unfunded: u64,
    pub unrevealed: u64,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TypeFacts {
    pub file_type: String,
    pub artifacts: u64,
    pub malicious: u64,
    /// Share of the type's artifacts that the engine staked on.
    pub coverage: Option<f64>,
    pub accuracy: Option<f64>,
    pub tpr: Option<f64>,
    pub fpr: Option<f64>,
    pub profit: Money,
    /// Share of malicious artifacts that most rivals with an opinion called benign.
    pub rivals_majority_misses: Option<f64>,
    /// Share of benign artifacts that at least half of the rivals with an opinion called malicious.
    pub rivals_majority_false_alarms: Option<f64>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct JournalFacts {
    pub records: u64,
    /// Of the uncompressed journal.
    pub sha256: String,
}

/// How long it took: the only fields in which two runs of the same name may differ.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct WallTime {
    pub seconds: f64,
    pub bounties_per_second: Option<f64>,
    pub jobs: usize,
}

/// What is known once a run has been played.
#[derive(Debug)]
pub struct Outcome<'a> {
    pub setup: &'a Setup,
    pub scenario_sha256: [u8; 32],
    /// What the run directory holds as `scenario.toml`.
    pub scenario_toml: &'a str,
    pub command: String,
    pub score: &'a Scorecard,
    /// See [`DecisionDigest`](crate::decisions::DecisionDigest).
    pub decisions: [u8; 32],
    pub played: &'a Played,
    pub nulls: Vec<Null>,
    /// True if the null strategies could not be played to their end.
    pub nulls_interrupted: bool,
    pub journal: Option<Finished>,
    pub elapsed: Duration,
    pub jobs: usize,
    /// The engine, if it came from outside.
    pub visitor: Option<Visitor>,
}

/// A strategy without any idea, in the same market.
#[derive(Clone, PartialEq, Debug)]
pub struct Null {
    pub strategy: &'static str,
    pub profit: NctDelta,
    /// Its equity; nothing of the one that never asserts.
    pub curve: Option<Curve>,
}

/// An engine that is not this program's own: nothing is known of how it decides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Visitor {
    /// Its address.
    pub name: String,
    /// What it was given to start with.
    pub wallet: Nct,
}

/// What a report says of programs that were asked to stake and did not answer.
pub fn unanswered() -> Option<String> {
    let bounties = engine::stake::command::unanswered();
    let count = crate::text::thousands(bounties);
    (bounties > 0).then(|| format!("a program that stakes had no usable answer on {count} bounties: they count as left alone by choice"))
}

impl Outcome<'_> {
    /// Puts all figures together.
    ///
    /// # Errors
    ///
    /// If the components of the profit do not add up to the change of the balance, to the wei.
    pub fn run(&self) -> Result<Run, String> {
        let Outcome { setup, score, played, .. } = self;
        let mut profit = score.own.components.profit();
        if self.visitor.is_some() {
            profit = played.engine;
        }
        // An interrupted run has stakes in escrow that belong to no component yet.
        if played.complete && profit != played.engine {
            return Err(format!("the components of the profit add up to {profit}, but the balance changed by {}", played.engine));
        }
        let seconds = self.elapsed.as_secs_f64();
        let named_on = |(name, on, _): (&'static str, bool, &str)| on.then(|| name.to_owned());
        Ok(Run {
            schema: SCHEMA,
            name: RunName {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                scenario_sha256: hex::encode(self.scenario_sha256),
                corpus_sha256: hex::encode(setup.summary.sha256),
                seed: setup.scenario.seed,
                inputs: setup.inputs.clone(),
            },
            command: self.command.clone(),
            scenario_toml_sha256: hex::encode(Sha256::digest(self.scenario_toml)),
            complete: played.complete && !self.nulls_interrupted,
            warnings: self.warnings(),
            missing_answers: setup.missing_answers,
            corpus: CorpusFacts::of(setup),
            market: MarketFacts {
                rules: setup.rules.name.to_owned(),
                switches: setup.rules.switches.all().into_iter().filter_map(named_on).collect(),
                bounties: score.own.bounties,
                planned: setup.bounties + played.adopted,
                unposted: played.unposted,
                artifacts: score.own.artifacts,
                unvoted_bounties: score.unvoted,
                first_block: played.first_block.0,
                last_block: played.last_block.0,
                consensus_vs_label: JudgedFacts::new(score.truth),
                supply: played.supply.into(),
                stranded: played.stranded.into(),
                ambassadors: played.ambassadors.into(),
                arbiters: played.arbiters.into(),
            },
            engine: self.engine(profit),
            nulls: self.nulls.iter().map(|null| NullFacts { strategy: null.strategy.to_owned(), profit: null.profit.into() }).collect(),
            rivals: self.rivals(),
            types: self.types(),
            families: score.groups.families.facts(),
            months: score.groups.months.facts(),
            decisions_sha256: hex::encode(self.decisions),
            journal: self.journal.map(|journal| JournalFacts { records: journal.records, sha256: hex::encode(journal.sha256) }),
            wall: WallTime { seconds, bounties_per_second: (seconds > 0.0).then(|| score.own.bounties as f64 / seconds), jobs: self.jobs },
        })
    }

    /// The one of the strategies without any idea that earned most.
    fn best_null(&self) -> Option<&Null> {
        self.nulls.iter().max_by_key(|null| null.profit)
    }

    /// True if the engine learns, and artifacts come again after it has learned what they are: nothing is held out then.
    fn met_before(&self) -> bool {
        self.setup.repeats() && self.visitor.is_none() && self.setup.scenario.engine.judge().learns()
    }

    /// What a user should know before believing the result: the setup's warnings, and those that only a run can tell.
    fn warnings(&self) -> Vec<String> {
        let mut warnings = self.setup.warnings.clone();
        if !self.played.complete {
            warnings.push(
                "interrupted: engine and accuracy cover the bounties that were over; balances of others include stakes in escrow"
                    .to_owned(),
            );
        }
        warnings.extend(unanswered());
        if self.met_before() {
            warnings.push(
                "the engine learns, and meets artifacts again: it scores better than on new ones, and nothing is held out".to_owned(),
            );
        }
        if self.played.unposted > 0 {
            warnings.push(format!("{} bounties were not posted: the ambassador's wallet was empty", self.played.unposted));
        }
        if self.score.unvoted > 0 {
            warnings.push(format!("{} bounties had no votes: everybody who asserted shares them, right or wrong", self.score.unvoted));
        }
        if self.nulls_interrupted {
            warnings.push("interrupted among the null strategies: they are left out".to_owned());
        }
        if let Some(Null { strategy, profit, .. }) = self.best_null().filter(|null| null.profit > self.played.engine) {
            let profit = profit.to_f64();
            warnings.push(format!("`{strategy}`, which has no idea, earns {profit:+.4} NCT: more than the strategy under test"));
        }
        warnings
    }

    fn engine(&self, profit: NctDelta) -> EngineFacts {
        let Outcome { setup, score, played, .. } = self;
        let config = &setup.scenario.engine;
        let blocks = played.last_block.0 - played.first_block.0;
        let locked = score.own.capital.mean(blocks);
        let part = |part: f64, whole: f64| (whole > 0.0).then(|| part / whole);
        let abstained = |reason| score.own.abstained.get(&reason).copied().unwrap_or(0);
        let components = &score.own.components;
        let (mut name, mut wallet, mut distiller) =
            (config.name.clone(), setup.scenario.wallets.engine, config.distiller().name().to_owned());
        let mut backends: Vec<String> =
            config.backends.iter().map(|backend| backend.column.clone().unwrap_or_else(|| backend.kind.to_string())).collect();
        let mut strategy = config.strategy.clone();
        let mut calibration_map = config.calibration.map.name().to_owned();
        if let Some(visitor) = &self.visitor {
            (name, wallet) = (visitor.name.clone(), visitor.wallet);
            backends.clear();
            distiller = EXTERNAL.to_owned();
            calibration_map = EXTERNAL.to_owned();
            strategy = EXTERNAL.to_owned();
        }
        let profit_per_bounty_nct = part(profit.to_f64(), score.own.bounties as f64);
        let interval = |mean| score.curve.interval(mean, score.own.lost, setup.scenario.seed);
        let profit_per_bounty_interval = profit_per_bounty_nct.and_then(interval);
        let alone = score.own.artifacts == score.own.bounties;
        let [vs_consensus_intervals, vs_label_intervals] =
            score.curve.calls([&score.own.consensus, &score.own.label], alone, setup.scenario.seed).map(Some);
        let best = self.best_null();
        let gain = best.map(|best| profit - best.profit);
        let gain_over_best_null_interval = best.zip(gain).and_then(|(best, gain)| match &best.curve {
            Some(curve) => score.curve.gain(curve, gain.to_f64(), setup.scenario.seed),
            // Over nothing, all profit is gain.
            None => {
                let (low, high) = profit_per_bounty_interval.as_ref()?.nct?;
                let bounties = score.own.bounties as f64;
                Some((bounties * low, bounties * high))
            }
        });
        EngineFacts {
            name,
            backends,
            distiller,
            calibration_map,
            oracle: replay::oracle::find(&strategy).is_some(),
            strategy,
            wallet: wallet.into(),
            profit: profit.into(),
            profit_per_bounty_nct,
            profit_per_bounty_interval,
            components: ComponentFacts {
                bounty_share: components.bounty_share.into(),
                losers_share: components.losers_share.into(),
                no_vote_share: components.no_vote_share.into(),
                lost_stake: (NctDelta::ZERO - components.lost_stake.into()).into(),
                fees: (NctDelta::ZERO - components.fees.into()).into(),
                rounding: components.rounding.into(),
                other: (profit - components.profit()).into(),
            },
            staked: score.own.staked.into(),
            return_on_stake: part(profit.to_f64(), score.own.staked.to_f64()),
            locked_mean_nct: locked,
            locked_peak: score.own.capital.peak.into(),
            return_on_locked: part(profit.to_f64(), locked),
            drawdown: DrawdownFacts {
                depth: score.own.drawdown.depth.into(),
                from: score.own.drawdown.from,
                to: score.own.drawdown.to,
                longest_under_water: score.own.drawdown.longest_under_water,
            },
            curve: score.curve.facts(),
            bounties_won: score.own.won,
            bounties_lost: score.own.lost,
            coverage: CoverageFacts {
                bounties_asserted: score.own.asserted,
                artifacts_asserted: score.own.asserted_artifacts,
                share: ratio(score.own.asserted_artifacts, score.own.artifacts),
                late: abstained(Abstention::Late),
                unfunded: abstained(Abstention::Unfunded),
                no_answer: abstained(Abstention::NoAnswer),
                no_stake: abstained(Abstention::NoStake),
                refused: score.own.refused,
            },
            vs_consensus: JudgedFacts::new(score.own.consensus),
            vs_label: JudgedFacts::new(score.own.label),
            vs_consensus_intervals,
            vs_label_intervals,
            calibration: CalibrationFacts::new(&score.forecasts, score.held_out_from, self.met_before()),
            rank: 1 + played.rivals.iter().filter(|&&rival| rival > played.engine).count(),
            of: 1 + played.rivals.len(),
            gain_over_best_null: gain.map(Money::from),
            gain_over_best_null_interval,
        }
    }

    fn rivals(&self) -> Vec<RivalFacts> {
        let Outcome { setup, score, played, .. } = self;
        let facts = setup.population.rivals.iter().enumerate().map(|(index, rival)| {
            let (score, misses) = (&score.rivals[index], played.misses[index]);
            RivalFacts {
                name: rival.name.clone(),
                strategy: rival.strategy.clone(),
                profit: played.rivals[index].into(),
                staked: score.staked.into(),
                bounties_asserted: score.bounties,
                accuracy: score.table.accuracy(),
                tpr: score.table.tpr(),
                fpr: score.table.fpr(),
                late: misses.late,
                unfunded: misses.unfunded,
                unrevealed: score.unrevealed,
            }
        });
        facts.collect()
    }

    fn types(&self) -> Vec<TypeFacts> {
        let facts = self.score.types.iter().map(|(name, score)| TypeFacts {
            file_type: name.to_owned(),
            artifacts: score.artifacts,
            malicious: score.malicious,
            coverage: ratio(score.label.total(), score.artifacts),
            accuracy: score.label.accuracy(),
            tpr: score.label.tpr(),
            fpr: score.label.fpr(),
            profit: score.profit.into(),
            rivals_majority_misses: ratio(score.panel_missed, score.panel_malicious),
            rivals_majority_false_alarms: ratio(score.panel_false_alarms, score.panel_benign),
        });
        facts.collect()
    }
}

/// The label as a corpus writes it.
pub fn label(truth: Truth) -> &'static str {
    match truth {
        Truth::Malicious => "malicious",
        Truth::Benign => "benign",
    }
}
