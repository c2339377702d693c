//! What is played, as the user writes it in TOML: the market, its ambassadors, rivals and arbiters, and the engine.
//!
//! Every key has a default, so the empty file is a scenario. An unknown key is an error.

use engine::config::{EngineConfig, EngineConfigError};
use market::{
    nct::Nct,
    ruleset::{self, RuleSet, Switches},
};
use serde::{Deserialize, Serialize};

/// A whole scenario.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// Seed of every random draw.
    pub seed: u64,
    /// Rule set, by name or short name.
    pub rules: String,
    /// Bounties to post; 0 for one pass over the corpus. More than the corpus has repeat it.
    pub bounties: u64,
    /// Seconds from block to block, for scan times and recorded arrivals.
    pub block_seconds: f64,
    /// The market's own numbers.
    pub market: MarketConfig,
    /// Sane behaviour in place of the contracts' surprises, by name; all off.
    pub switches: Switches,
    /// Who posts.
    pub ambassadors: AmbassadorConfig,
    /// The engine under test.
    pub engine: EngineConfig,
    /// What everybody starts with.
    pub wallets: WalletConfig,
    /// Who stakes against the engine, in groups.
    pub rivals: Vec<RivalConfig>,
    /// Who judges.
    pub arbiters: ArbiterConfig,
}

impl Default for Scenario {
    fn default() -> Scenario {
        Scenario {
            seed: 0,
            rules: ruleset::ALL[0].name.to_owned(),
            bounties: 0,
            block_seconds: 15.0,
            market: MarketConfig::default(),
            switches: Switches::default(),
            ambassadors: AmbassadorConfig::default(),
            engine: EngineConfig::default(),
            wallets: WalletConfig::default(),
            rivals: vec![RivalConfig::default()],
            arbiters: ArbiterConfig::default(),
        }
    }
}

/// Numbers of the market that differ from the rule set's.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MarketConfig {
    /// Reveal window in blocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reveal_window: Option<u64>,
    /// Vote window in blocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vote_window: Option<u64>,
    /// Bounty fee.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "in_nct_if_any")]
    pub bounty_fee: Option<Nct>,
    /// Assertion fee.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "in_nct_if_any")]
    pub assertion_fee: Option<Nct>,
    /// Least bid.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "in_nct_if_any")]
    pub bid_minimum: Option<Nct>,
    /// Greatest bid, also under rules that know none.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "in_nct_if_any")]
    pub bid_maximum: Option<Nct>,
}

/// Ambassadors and the bounties they post.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AmbassadorConfig {
    /// Number of ambassadors, who take turns by chance.
    pub count: u32,
    /// When bounties come.
    pub arrival: Arrival,
    /// Mean number of bounties posted per block (`fixed` and `poisson`).
    pub bounties_per_block: f64,
    /// Artifacts per bounty.
    pub artifacts: u32,
    /// Amount per artifact.
    #[serde(serialize_with = "in_nct")]
    pub amount: Nct,
    /// Duration of a bounty in blocks.
    pub duration: u64,
}

impl Default for AmbassadorConfig {
    fn default() -> AmbassadorConfig {
        let (arrival, amount) = (Arrival::Poisson, Nct::whole(4));
        AmbassadorConfig { count: 3, arrival, bounties_per_block: 0.5, artifacts: 1, amount, duration: 20 }
    }
}

/// When bounties come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arrival {
    /// At even distances.
    Fixed,
    /// At exponentially distributed distances.
    Poisson,
    /// As the corpus recorded it: `first_seen` of a bounty's first artifact.
    Recorded,
}

/// What everybody starts with.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WalletConfig {
    /// The engine under test.
    #[serde(serialize_with = "in_nct")]
    pub engine: Nct,
    /// Each rival.
    #[serde(serialize_with = "in_nct")]
    pub rivals: Nct,
    /// Each ambassador.
    #[serde(serialize_with = "in_nct")]
    pub ambassadors: Nct,
}

impl Default for WalletConfig {
    fn default() -> WalletConfig {
        WalletConfig { engine: Nct::whole(1_000), rivals: Nct::whole(1_000_000), ambassadors: Nct::whole(100_000_000) }
    }
}

/// A group of rivals.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RivalConfig {
    /// Where their verdicts come from.
    pub model: RivalModel,
    /// Number of rivals; 0 for all that `engines` or the pool offers (and one for `none`).
    pub count: u32,
    /// Engines they behave like (parametric), or columns they repeat (recorded); empty for a pool.
    pub engines: Vec<String>,
    /// The pool holds engines that find at least this share of malware of `pool_type`.
    pub pool_tpr: f64,
    /// File type that `pool_tpr` is about.
    pub pool_type: String,
    /// Of the group, this many take part in each bounty, drawn anew; 0 for all.
    pub per_bounty: u32,
    /// Profiles for parametric rivals: `builtin` or a file.
    pub profiles: String,
    /// Share of an artifact's difficulty that its whole family has in common, 0 to 1.
    pub family_share: f64,
    /// Lowers every rival's log-odds of finding malware: fresh files are harder than the profiles' rescans.
    pub staleness: f64,
    /// Times as often as the profiles or columns say, rivals are wrong: an artifact's probability of the wrong answer is
    /// multiplied, up to 1. Recorded errors are mended, or right answers spoiled, by chance.
    #[serde(skip_serializing_if = "is_one")]
    pub error_factor: f64,
    /// Share of the variance of fitted rivals' scores that all have in common, 0 to 1, in place of the fitted one; rates stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation: Option<f64>,
    /// Strategies, handed out in turn.
    pub strategies: Vec<String>,
    /// Share of assertions that are never revealed.
    pub dropout: f64,
    /// Median blocks from posting to assertion.
    pub latency_blocks: f64,
    /// Standard deviation of the logarithm of that latency.
    pub latency_spread: f64,
}

impl Default for RivalConfig {
    fn default() -> RivalConfig {
        let engines = ["Ikarus", "NANO-Antivirus", "K7GW", "DrWeb", "Qihoo-360", "Jiangmin", "Rising", "Zillya", "VBA32", "Alibaba"];
        RivalConfig {
            model: RivalModel::Auto,
            count: 0,
            engines: engines.map(str::to_owned).to_vec(),
            pool_tpr: 0.5,
            pool_type: "pe32".to_owned(),
            per_bounty: 0,
            profiles: "builtin".to_owned(),
            family_share: 0.2,
            staleness: 0.0,
            error_factor: 1.0,
            correlation: None,
            strategies: ["stock/conservative", "stock/default", "stock/aggressive"].map(str::to_owned).to_vec(),
            dropout: 0.005,
            latency_blocks: 5.0,
            latency_spread: 0.8,
        }
    }
}

/// Where rivals' verdicts come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RivalModel {
    /// Recorded columns where the corpus has any beside the engine's own, else two factors.
    Auto,
    /// Fitted profiles: two factors shared by all engines on one artifact, noise shared within an OEM cluster.
    TwoFactor,
    /// Fitted profiles with one shared factor.
    OneFactor,
    /// Fitted rates, engines independent of each other. Unlike real engines; for comparison.
    Independent,
    /// Recorded columns of the corpus.
    Recorded,
    /// No verdicts at all, for strategies that need none.
    None,
}

/// Arbiters.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArbiterConfig {
    /// Number of arbiters.
    pub count: u32,
    /// Probability that an arbiter's vote on an artifact differs from the corpus label.
    pub error: f64,
    /// Probability that an arbiter does not vote on a bounty.
    pub abstain: f64,
    /// Votes come up to this many blocks after the vote window opens.
    pub delay: u64,
    /// What each arbiter has staked.
    #[serde(serialize_with = "in_nct")]
    pub stake: Nct,
    /// What each arbiter has in all: it must cover the stake.
    #[serde(serialize_with = "in_nct")]
    pub wallet: Nct,
}

impl Default for ArbiterConfig {
    fn default() -> ArbiterConfig {
        ArbiterConfig { count: 5, error: 0.005, abstain: 0.0, delay: 3, stake: Nct::whole(10_000_000), wallet: Nct::whole(50_000_000) }
    }
}

fn is_one(factor: &f64) -> bool {
    *factor == 1.0
}

fn in_nct<S: serde::Serializer>(amount: &Nct, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(amount)
}

fn in_nct_if_any<S: serde::Serializer>(amount: &Option<Nct>, serializer: S) -> Result<S::Ok, S::Error> {
    match amount {
        Some(amount) => in_nct(amount, serializer),
        None => serializer.serialize_none(),
    }
}

/// Why a scenario cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// No rule set of that name.
    #[error("`rules = \"{name}\"`: there is no such rule set; `sim rules list` names {known}")]
    UnknownRules { name: String, known: String },
    /// A number is out of its range.
    #[error("`{key}` is {value}, but must be {expected}")]
    OutOfRange { key: String, value: String, expected: String },
    /// The engine lacks something, or has too much.
    #[error("engine: {0}")]
    Engine(EngineConfigError),
}

fn out_of_range(key: impl Into<String>, value: impl ToString, expected: impl Into<String>) -> ScenarioError {
    ScenarioError::OutOfRange { key: key.into(), value: value.to_string(), expected: expected.into() }
}

impl Scenario {
    /// Bounties in which every artifact of a corpus of so many rows comes once.
    pub fn pass(&self, rows: u64) -> u64 {
        rows.div_ceil(u64::from(self.ambassadors.artifacts))
    }

    /// Bounties that are posted on a corpus of so many rows.
    pub fn bounties_on(&self, rows: u64) -> u64 {
        if self.bounties == 0 { self.pass(rows) } else { self.bounties }
    }

    /// Checks the last bounty of a pass over a corpus of so many rows, which may be on fewer artifacts than the others.
    pub(crate) fn check_last(&self, rules: &RuleSet, rows: u64) -> Result<(), ScenarioError> {
        let ambassadors = &self.ambassadors;
        let last = rows % u64::from(ambassadors.artifacts);
        let minimum = rules.bounty_minimum_for(last);
        let too_small = ambassadors.amount.checked_mul(last).is_some_and(|amount| amount < minimum);
        if last == 0 || !too_small || self.bounties_on(rows) < self.pass(rows) {
            return Ok(());
        }
        let least = Nct::wei((minimum.to_wei().unwrap_or(u128::MAX)).div_ceil(u128::from(last)));
        let expected = format!("at least {least} per artifact: the last bounty of the corpus is on {last} of its {rows}");
        Err(out_of_range("ambassadors.amount", ambassadors.amount, expected))
    }

    /// The rules in force: the named set with the scenario's switches and numbers.
    ///
    /// # Errors
    ///
    /// If there is no rule set of that name.
    pub fn rule_set(&self) -> Result<RuleSet, ScenarioError> {
        let known = || ruleset::ALL.map(|rules| format!("`{}`", rules.name)).join(" and ");
        let name = || self.rules.chars().take(60).flat_map(char::escape_debug).collect();
        let mut rules = ruleset::find(&self.rules).ok_or_else(|| ScenarioError::UnknownRules { name: name(), known: known() })?.clone();
        rules.switches = self.switches;
        rules.reveal_window = self.market.reveal_window.unwrap_or(rules.reveal_window);
        rules.vote_window = self.market.vote_window.unwrap_or(rules.vote_window);
        rules.bounty_fee = self.market.bounty_fee.unwrap_or(rules.bounty_fee);
        rules.assertion_fee = self.market.assertion_fee.unwrap_or(rules.assertion_fee);
        rules.bid_minimum = self.market.bid_minimum.unwrap_or(rules.bid_minimum);
        rules.bid_maximum = self.market.bid_maximum.or(rules.bid_maximum);
        Ok(rules)
    }

    /// Checks every number against the rules.
    ///
    /// # Errors
    ///
    /// A [`ScenarioError`] names the first key that is out of its range, and the range.
    pub fn check(&self) -> Result<(), ScenarioError> {
        let rules = self.rule_set()?;
        let share = |key: &str, value: f64| match value {
            value if (0.0..=1.0).contains(&value) => Ok(()),
            _ => Err(out_of_range(key, value, "within 0 and 1")),
        };
        let blocks = |key: &str, value: u64, limit: u64| match value {
            value if (1..=limit).contains(&value) => Ok(()),
            _ => Err(out_of_range(key, value, format!("within 1 and {limit} blocks"))),
        };
        let positive = |key: &str, value: f64, limit: f64| match value {
            value if value > 0.0 && value <= limit => Ok(()),
            _ => Err(out_of_range(key, value, format!("above 0 and at most {limit}"))),
        };
        let rate = |key: &str, value: f64, low: f64, high: f64| match value {
            value if value >= low && value <= high => Ok(()),
            _ => Err(out_of_range(key, value, format!("within {low} and {high}"))),
        };
        rate("block_seconds", self.block_seconds, 1e-3, 1e6)?;
        blocks("market.reveal_window", rules.reveal_window, 100_000)?;
        blocks("market.vote_window", rules.vote_window, 100_000)?;

        let ambassadors = &self.ambassadors;
        if !(1..=10_000).contains(&ambassadors.count) {
            return Err(out_of_range("ambassadors.count", ambassadors.count, "within 1 and 10000"));
        }
        rate("ambassadors.bounties_per_block", ambassadors.bounties_per_block, 1e-6, 1e4)?;
        if ambassadors.artifacts == 0 || u64::from(ambassadors.artifacts) > rules.artifacts_maximum {
            return Err(out_of_range(
                "ambassadors.artifacts",
                ambassadors.artifacts,
                format!("within 1 and {} per bounty", rules.artifacts_maximum),
            ));
        }
        blocks("ambassadors.duration", ambassadors.duration, rules.duration_maximum)?;
        let amount = ambassadors.amount.checked_mul(u64::from(ambassadors.artifacts)).and_then(Nct::to_wei);
        let amount =
            Nct::wei(amount.ok_or_else(|| {
                out_of_range("ambassadors.amount", ambassadors.amount, "an amount that exists: at most 10^20 NCT in all")
            })?);
        let minimum = rules.bounty_minimum_for(u64::from(ambassadors.artifacts));
        if amount < minimum {
            let artifacts = u64::from(ambassadors.artifacts);
            let least = Nct::wei((minimum.to_wei().unwrap_or(u128::MAX)).div_ceil(u128::from(artifacts)));
            return Err(out_of_range("ambassadors.amount", ambassadors.amount, format!("at least {least} per artifact under these rules")));
        }
        for (key, value) in [
            ("market.bounty_fee", rules.bounty_fee),
            ("market.assertion_fee", rules.assertion_fee),
            ("market.bid_minimum", rules.bid_minimum),
            ("market.bid_maximum", rules.bid_maximum.unwrap_or_default()),
            ("wallets.engine", self.wallets.engine),
            ("wallets.rivals", self.wallets.rivals),
            ("wallets.ambassadors", self.wallets.ambassadors),
            ("arbiters.wallet", self.arbiters.wallet),
            ("ambassadors.amount", ambassadors.amount),
        ] {
            if value > Nct::whole(1_000_000_000_000) {
                return Err(out_of_range(key, value, "at most 10^12 NCT"));
            }
        }

        if rules.bid_minimum.is_zero() {
            return Err(out_of_range("market.bid_minimum", rules.bid_minimum, "at least 1 wei"));
        }
        if let Some(most) = rules.bid_maximum.filter(|&most| most < rules.bid_minimum) {
            let least = rules.bid_minimum;
            return Err(match self.market.bid_maximum {
                Some(_) => out_of_range("market.bid_maximum", most, format!("at least {least}, the least bid")),
                None => out_of_range("market.bid_minimum", least, format!("at most {most}, the greatest bid")),
            });
        }

        let price = amount.checked_add(rules.bounty_fee).unwrap_or(amount);
        if price > self.wallets.ambassadors {
            let expected = format!("an amount that an ambassador's wallet of {} covers, fee included", self.wallets.ambassadors);
            return Err(out_of_range("ambassadors.amount", ambassadors.amount, expected));
        }

        let arbiters = &self.arbiters;
        if arbiters.count > 1000 {
            return Err(out_of_range("arbiters.count", arbiters.count, "at most 1000"));
        }
        share("arbiters.error", arbiters.error)?;
        share("arbiters.abstain", arbiters.abstain)?;
        if arbiters.delay >= rules.vote_window {
            return Err(out_of_range("arbiters.delay", arbiters.delay, format!("below the vote window of {} blocks", rules.vote_window)));
        }
        if arbiters.count > 0 && arbiters.stake < rules.stake_minimum {
            return Err(out_of_range("arbiters.stake", arbiters.stake, format!("at least {}, the minimum stake", rules.stake_minimum)));
        }
        if arbiters.count > 0 && arbiters.stake > rules.stake_maximum {
            return Err(out_of_range("arbiters.stake", arbiters.stake, format!("at most {}, the maximum stake", rules.stake_maximum)));
        }
        if arbiters.count > 0 && arbiters.wallet < arbiters.stake {
            let expected = format!("at least {}: every arbiter has to put up its stake", arbiters.stake);
            return Err(out_of_range("arbiters.wallet", arbiters.wallet, expected));
        }

        if self.rivals.len() > 1000 {
            return Err(out_of_range("rivals", format!("a list of {} groups", self.rivals.len()), "at most 1000 groups"));
        }
        for (index, group) in self.rivals.iter().enumerate() {
            let key = |name: &str| format!("rivals.{index}.{name}");
            share(&key("pool_tpr"), group.pool_tpr)?;
            share(&key("family_share"), group.family_share)?;
            share(&key("dropout"), group.dropout)?;
            positive(&key("latency_blocks"), group.latency_blocks, 1e6)?;
            if !(0.0..=5.0).contains(&group.latency_spread) {
                return Err(out_of_range(key("latency_spread"), group.latency_spread, "within 0 and 5"));
            }
            if !(-20.0..=20.0).contains(&group.staleness) {
                return Err(out_of_range(key("staleness"), group.staleness, "within -20 and 20"));
            }
            rate(&key("error_factor"), group.error_factor, 0.0, 10.0)?;
            if let Some(correlation) = group.correlation {
                share(&key("correlation"), correlation)?;
                if !matches!(group.model, RivalModel::Auto | RivalModel::TwoFactor | RivalModel::OneFactor) {
                    let expected = "left out: only `two-factor` and `one-factor` rivals have factors in common; set `model`";
                    return Err(out_of_range(key("correlation"), correlation, expected));
                }
            }
            if group.strategies.is_empty() {
                return Err(out_of_range(key("strategies"), "empty", "at least one strategy"));
            }
            if group.count > 10_000 {
                return Err(out_of_range(key("count"), group.count, "at most 10000"));
            }
        }
        self.engine.check().map_err(|error| match error {
            EngineConfigError::OutOfRange { key, value, expected } => out_of_range(format!("engine.{key}"), value, expected),
            error => ScenarioError::Engine(error),
        })
    }
}
