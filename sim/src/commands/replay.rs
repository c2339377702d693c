//! `sim replay`: one corpus through the market.

use std::{
    collections::BTreeMap,
    fs,
    io::{Write, stderr},
    path::PathBuf,
};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use replay::plan::Setup;
use serde::Deserialize;

use super::{
    Format,
    stage::{self, Stage, StageArgs},
    sweep::RegistryArgs,
};
use crate::{
    bench::MarketName,
    execute::{self, Broken, Wishes},
    exit::{Exit, OrExit},
    figures::{self, Value},
    gate::{self, Answer, Evidence, Gate, Known, Outcome},
    output::RunDirectory,
    progress::Progress,
    report,
    run::Run,
    scan,
    settings::{Base, Change, Origin, SettingsArgs},
    sweep::{
        folder::{self, Plan},
        registry::Registry,
        space::STRATEGY,
        trial::{self, Figures},
    },
    text,
};

const EXAMPLES: &str = "\
Examples:
  sim replay                                    the shipped panel
  sim replay starter --strategy fixed?bid=0.5   shipped files, really scanned
  sim replay my-corpus --scenario my.toml --set rivals.0.count=5 --out run
  sim replay my-corpus --engine engine.toml --format json
  sim replay --gate 'nct_per_bounty >= 0.5'     exit code 3 if it earns less
  sim replay --trial 3fa94c0d11e2b8a7           one trial of a sweep, again";

/// Play a corpus through the market and report how the engine fared
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ReplayArgs {
    /// What is played.
    #[command(flatten)]
    pub stage: StageArgs,
    /// New folder for run.json, the scenario, the journal and a table of bounties
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Play a trial of a sweep again, by the name that its report and `trials.csv` give it
    #[arg(long, value_name = "ID", conflicts_with = "corpus")]
    pub trial: Option<String>,
    /// The folder of that sweep; without it, the registry of all trials knows
    #[arg(long, value_name = "DIR", requires = "trial")]
    pub sweep: Option<PathBuf>,
    /// Where trials are known.
    #[command(flatten)]
    pub registry: RegistryArgs,
    /// How the report is printed
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Must hold, or the exit code is 3, as in `nct_per_bounty >= base - 1%`; `sim bench figures replay` lists figures; repeatable
    #[arg(long, value_name = "GATE")]
    pub gate: Vec<String>,
    /// What `base` is in gates: the run.json of another run
    #[arg(long, value_name = "FILE", requires = "gate")]
    pub baseline: Option<PathBuf>,
    /// Leave out the comparison with the null strategies, which plays the market four times more
    #[arg(long)]
    pub no_nulls: bool,
}

impl ReplayArgs {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If the settings or the corpus are wrong, a file cannot be written, or an invariant is broken.
    pub fn run(mut self, out: &mut dyn Write) -> Result<Exit> {
        let gates = self.gates().or_exit(Exit::Usage)?;
        let recorded = self.trial.take().map(|trial| self.recorded(&trial)).transpose().or_exit(Exit::Usage)?;
        let (quiet, nulls, jobs) = (self.stage.quiet, !self.no_nulls, self.stage.scanning.jobs());
        let progress = Progress::new(quiet);
        let interrupted = execute::interruption()?;
        let Some(Stage { setup, scenario_sha256, scenario_toml }) = self.stage.set(progress, &interrupted)? else {
            return Ok(Exit::Interrupted);
        };
        if let Some((plan, _)) = &recorded {
            let version = env!("CARGO_PKG_VERSION");
            let (corpus, inputs) = (hex::encode(setup.summary.sha256) != plan.corpus.sha256, setup.inputs != plan.inputs);
            let other = [("corpus", corpus), ("engine's files or profiles", inputs), ("version of sim", plan.version != version)];
            if let Some((what, _)) = other.into_iter().find(|(_, other)| *other) {
                return Err(anyhow!("--trial: the sweep had another {what}; put back what it was, or sweep anew")).or_exit(Exit::Usage);
            }
        }
        gates.fits(&setup).or_exit(Exit::Usage)?;
        let asks_program = setup.scenario.engine.strategy.contains("command?");
        let directory = self.out.as_deref().map(RunDirectory::create).transpose().or_exit(Exit::Usage)?;
        let bar = progress.bar(setup.bounties.saturating_mul(execute::plays(nulls)), nulls);
        let wishes = Wishes {
            command: stage::command(&["--gate", "--baseline"]),
            scenario_sha256,
            scenario_toml: &scenario_toml,
            out: directory,
            nulls,
            jobs,
        };
        let played = execute::execute(&setup, wishes, &interrupted, &|closed| bar.inc(closed));
        bar.finish_and_clear();
        let run = execute::answer(played)?;
        match self.format {
            Format::Text => out.write_all(report::text(&run).as_bytes())?,
            Format::Json => {
                let json = serde_json::to_string_pretty(&run)?;
                writeln!(out, "{json}")?;
            }
        }
        if let (Some(folder), false) = (&self.out, quiet) {
            let _ = writeln!(stderr(), "wrote {}", text::shown(folder));
        }
        if let Some((_, recorded)) = recorded.filter(|_| run.complete) {
            let (found, expected) = (&run.decisions_sha256, &recorded.decisions_sha256);
            if found != expected && asks_program {
                return Err(anyhow!("the program of the strategy decides otherwise than it did in the sweep: was it changed?"))
                    .or_exit(Exit::Usage);
            }
            if found != expected {
                let what = format!("the trial decided otherwise than in its sweep: {found} where {expected} was recorded");
                return Err(Broken(what)).or_exit(Exit::Broken);
            }
            if !quiet {
                let _ = writeln!(stderr(), "the engine decided and was paid as in the sweep: {expected}");
            }
        }
        if !run.complete {
            return Ok(Exit::Interrupted);
        }
        let answers = gates.judge(&run)?;
        for answer in answers.iter().filter(|answer| !quiet || answer.outcome != Outcome::Pass) {
            // Nobody has to listen.
            let _ = writeln!(stderr(), "gate {}: {}: {}", text::quote(&answer.gate), answer.outcome.name(), text::plain(&answer.why));
        }
        // What is not defined, or not sure, does not hold.
        Ok(if answers.iter().all(|answer| answer.outcome == Outcome::Pass) { Exit::Success } else { Exit::Gate })
    }

    /// The gates, and what they compare with.
    fn gates(&self) -> Result<Gates> {
        let base = match &self.baseline {
            None => None,
            Some(file) => {
                let read = fs::read(file).with_context(|| format!("cannot read {}", text::shown(file)))?;
                let no_run = |error: serde_json::Error| anyhow!("{} is no run.json of `sim replay --out`: {error}", text::shown(file));
                let run = serde_json::from_slice(&read).map_err(no_run)?;
                let about = About::deserialize(&run).map_err(no_run)?;
                Some((figures::of_run_json(&run), about))
            }
        };
        let names = || figures::RUN.iter().map(|of| of.figure.name);
        let parse = |typed: &String| {
            let figure = |name: &str| figures::RUN.iter().find(|of| of.figure.name == name).map(|of| of.figure);
            let gate = Gate::parse(typed, figure, |name| figures::advice(name, names()))?;
            let lacks = match gate.figure.as_str() {
                _ if gate.bound.uses_base() && base.is_none() => Some("`base` is nothing here; name a run.json with --baseline"),
                "journal_sha256" if self.out.is_none() => Some("the journal is written with --out only"),
                "gain_over_best_null" if self.no_nulls => Some("null strategies are played without --no-nulls only"),
                _ => None,
            };
            lacks.map_or(Ok(gate), |lacks| Err(anyhow!("gate {}: {lacks}", text::quote(typed))))
        };
        let gates = self.gate.iter().map(parse).collect::<Result<_>>()?;
        let (base, about) = base.map_or_else(Default::default, |(base, about)| (base, Some(about)));
        Ok(Gates { gates, base, about })
    }

    /// Takes the settings of a trial; answers the plan of its sweep, and what it came to.
    fn recorded(&mut self, trial: &str) -> Result<(Plan, Figures)> {
        if !self.stage.settings.is_empty() {
            bail!("--trial plays a trial as it was; leave other settings out");
        }
        let folder = match &self.sweep {
            Some(folder) => folder.clone(),
            None => Registry::find(&self.registry.folder()?, trial)?,
        };
        let (plan, scenario) = (folder::read_plan(&folder)?, folder::scenario(&folder));
        let record = folder::read(&folder)?.into_iter().find(|record| record.trial == trial);
        let record = record.ok_or_else(|| anyhow!("the sweep in {} has no trial {}", text::shown(&folder), text::quote(trial)))?;
        let trial::Outcome::Figures(figures) = &record.outcome else { bail!("trial {trial} failed in its sweep: it cannot be played") };
        let origin = || Origin::Flag("--trial");
        let set =
            record.set.iter().map(|(key, value)| Ok(Change { key: key.clone(), value: toml::Value::try_from(value)?, origin: origin() }));
        let mut changes: Vec<Change> = set.collect::<Result<_>>()?;
        changes.push(Change { key: STRATEGY.to_owned(), value: toml::Value::String(record.strategy.clone()), origin: origin() });
        let base = Base::read(&SettingsArgs { scenario: Some(scenario.clone()), ..SettingsArgs::default() })?;
        if trial::id(&base.with(&changes)?) != trial {
            bail!("the scenario of the sweep in {} was changed: trial {trial} is not in it any more", text::shown(&folder));
        }
        self.stage.corpus = Some(plan.corpus.path.clone());
        self.stage.settings = SettingsArgs { scenario: Some(scenario), changes, ..SettingsArgs::default() };
        Ok((plan, Figures::clone(figures)))
    }
}

/// What must hold of a run.
struct Gates {
    gates: Vec<Gate>,
    /// Figures of another run.
    base: BTreeMap<String, Value>,
    /// Which market that was.
    about: Option<About>,
}

/// What the run.json of another run says of its market.
#[derive(Deserialize)]
struct About {
    complete: bool,
    #[serde(default)]
    missing_answers: u64,
    name: AboutName,
    market: AboutMarket,
}

#[derive(Deserialize)]
struct AboutName {
    corpus_sha256: String,
    seed: u64,
}

#[derive(Deserialize)]
struct AboutMarket {
    rules: String,
    planned: u64,
}

impl Gates {
    /// Makes sure that `base` is of the market that will be played.
    fn fits(&self, setup: &Setup) -> Result<()> {
        let Some(about) = self.about.as_ref().filter(|_| self.gates.iter().any(|gate| gate.bound.uses_base())) else { return Ok(()) };
        if !about.complete {
            bail!("--baseline: that run was interrupted; play it to its end");
        }
        if about.name.corpus_sha256 != hex::encode(setup.summary.sha256) {
            bail!("--baseline: that run had another corpus; play the same one");
        }
        let AboutMarket { rules, planned } = &about.market;
        let then = MarketName { seed: about.name.seed, rules: rules.clone(), bounties: *planned };
        match MarketName::of(setup).differs(&then) {
            Some(differs) => bail!("--baseline: that run was of another market ({}); play the same one", text::plain(&differs)),
            None => Ok(()),
        }
    }

    fn judge(&self, run: &Run) -> Result<Vec<Answer>> {
        let own = figures::of_run_json(&serde_json::to_value(run)?);
        let judge = |gate: &Gate| {
            let of = |figures: &BTreeMap<String, Value>| figures.get(&gate.figure).cloned().map(Known::Exact);
            let missing = |whose: &str| format!("{whose} has no `{}`: it is not defined there", gate.figure);
            let doubt = |missing: u64| scan::doubt(missing).filter(|_| figures::decided(&gate.figure));
            let figure = doubt(run.missing_answers).map_or_else(|| of(&own).ok_or_else(|| missing("the run")), Err);
            let base = match self.about.as_ref().and_then(|about| doubt(about.missing_answers)) {
                Some(why) => gate::Base::None(format!("of the other run, {why}")),
                None => of(&self.base).map_or_else(|| gate::Base::None(missing("the other run")), gate::Base::Paired),
            };
            gate.judge(&Evidence { figure, base }, 1.0)
        };
        Ok(self.gates.iter().map(judge).collect())
    }
}
