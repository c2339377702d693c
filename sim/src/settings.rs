//! From what the user typed to the scenario that is played: layers of TOML, each over the one before, and where every
//! value came from.
//!
//! Defaults, `--scenario`, `--engine`, `--set` in order, then the flags. Which keys there are and of what type is in
//! `schema`; the resolved scenario as text in `canonical`.

mod canonical;
mod schema;

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use engine::{
    config::{BackendKind, EngineConfigError},
    stake::StrategyError,
};
use replay::{
    oracle::{Foresight, check_for_rivals},
    scenario::{Scenario, ScenarioError},
};
use serde::Deserialize;
use toml::{Table, Value, de::DeTable};

pub use self::canonical::{Line, lines, scenario_sha256, scenario_toml};
use crate::{
    exit::{Exit, OrExit},
    text,
};

/// A longer settings file is not a settings file.
const FILE_LIMIT: u64 = 1 << 20;

/// The settings flags, as `sim replay` and `sim config` share them.
#[derive(Clone, Debug, Default, Args)]
pub struct SettingsArgs {
    /// Scenario in TOML; `sim config` prints one with every key
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// Engine under test in TOML; takes the place of the scenario's `[engine]`
    #[arg(long, value_name = "FILE")]
    pub engine: Option<PathBuf>,
    /// Set one key, as in `ambassadors.amount=3` or `rivals.0.count=5`; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Strategy of the engine under test; `sim strategies list` names all, and `sim compare` takes several
    #[arg(short, long, value_name = "NAME")]
    pub strategy: Vec<String>,
    /// Seed of every random draw
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub seed: Option<u64>,
    /// Rule set of the market; `sim rules list` names all
    #[arg(long, value_name = "NAME")]
    pub rules: Option<String>,
    /// What a trial of a sweep changes.
    #[arg(skip)]
    pub changes: Vec<Change>,
}

impl SettingsArgs {
    /// True if nothing was typed.
    pub fn is_empty(&self) -> bool {
        let SettingsArgs { scenario, engine, set, strategy, seed, rules, changes } = self;
        let files = scenario.is_none() && engine.is_none();
        files && set.is_empty() && strategy.is_empty() && seed.is_none() && rules.is_none() && changes.is_empty()
    }
}

/// What is to be played, and why.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// The scenario, checked.
    pub scenario: Scenario,
    /// Where each leaf's value came from, by dotted key (`rivals.0.count`). A list of plain values is one leaf.
    pub origins: BTreeMap<String, Origin>,
    /// The folder that the engine's files are relative to: that of `--engine`, else of `--scenario`, else `.`.
    pub engine_folder: PathBuf,
}

/// Where a value came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The scenario file.
    Scenario {
        /// As the user named it.
        file: PathBuf,
        /// From 1.
        line: usize,
    },
    /// The engine file.
    Engine {
        /// As the user named it.
        file: PathBuf,
        /// From 1.
        line: usize,
    },
    /// A space of settings that a sweep searches.
    Space {
        /// As the user named it.
        file: PathBuf,
        /// From 1.
        line: usize,
    },
    /// A `--set`.
    Set,
    /// A flag of its own, with its dashes.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    /// `default`, `my.toml:12`, `--set` or the flag; safe to print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::Scenario { file, line } | Origin::Engine { file, line } | Origin::Space { file, line } => {
                write!(f, "{}:{line}", text::shown(file))
            }
            Origin::Set => f.write_str("--set"),
            Origin::Flag(flag) => f.write_str(flag),
        }
    }
}

impl Settings {
    /// Resolves what the user typed.
    ///
    /// # Errors
    ///
    /// One sentence that names file, line and key, and ends the command with [`Exit::Usage`].
    pub fn resolve(args: &SettingsArgs) -> Result<Settings> {
        resolve(args).or_exit(Exit::Usage)
    }
}

/// A setting that differs from what else is said.
#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    /// Dotted, as for `--set`.
    pub key: String,
    /// Its new value.
    pub value: Value,
    /// Who says so.
    pub origin: Origin,
}

impl Change {
    /// The value as a person would write it, text without quotes.
    pub fn text(&self) -> String {
        self.value.as_str().map_or_else(|| self.value.to_string(), str::to_owned)
    }
}

/// What the user typed, for scenarios that differ from it in a few settings.
#[derive(Clone, Debug)]
pub struct Base(Layers);

impl Base {
    /// Reads what the user typed.
    ///
    /// # Errors
    ///
    /// As [`Settings::resolve`].
    pub fn read(args: &SettingsArgs) -> Result<Base> {
        typed(args).map(Base).or_exit(Exit::Usage)
    }

    /// A scenario in TOML of that name, as a base for others.
    ///
    /// # Errors
    ///
    /// As [`Settings::resolve`].
    pub fn parse(name: &Path, text: &str) -> Result<Base> {
        let mut layers = Layers::new()?;
        layers.document(&Document::parse(name, text)?, "", &|line| Origin::Scenario { file: name.to_owned(), line })?;
        Ok(Base(layers))
    }

    /// The scenario with these settings changed.
    ///
    /// # Errors
    ///
    /// One sentence that names the key, and whoever set it.
    pub fn with(&self, changes: &[Change]) -> Result<Scenario> {
        let mut layers = self.0.clone();
        for Change { key, value, origin } in changes {
            layers.set(key, |_| value.clone(), origin.clone())?;
        }
        layers.scenario()
    }
}

/// The layers that were typed.
fn typed(args: &SettingsArgs) -> Result<Layers> {
    let mut layers = Layers::new()?;
    if let Some(file) = &args.scenario {
        layers.file(file, "", &|line| Origin::Scenario { file: file.clone(), line })?;
    }
    if let Some(file) = &args.engine {
        layers.forget_engine()?;
        layers.file(file, "engine", &|line| Origin::Engine { file: file.clone(), line })?;
    }
    for assignment in &args.set {
        let Some((key, value)) = assignment.split_once('=').filter(|(key, _)| !key.trim().is_empty()) else {
            bail!(
                "--set {}: there is no key before a `=`; write `--set KEY=VALUE`, as in `--set ambassadors.amount=3`",
                text::quote(assignment)
            );
        };
        layers.set(key.trim(), |expected| schema::value_of_text(value.trim(), expected), Origin::Set)?;
    }
    match args.strategy.as_slice() {
        [] => {}
        [strategy] => layers.set("engine.strategy", |_| Value::String(strategy.clone()), Origin::Flag("--strategy"))?,
        several => bail!("--strategy is given {} times; name one, or compare several with `sim compare`", several.len()),
    }
    if let Some(seed) = args.seed {
        let seed = i64::try_from(seed).context("--seed: must be at most 9223372036854775807")?;
        layers.set("seed", |_| Value::Integer(seed), Origin::Flag("--seed"))?;
    }
    if let Some(rules) = &args.rules {
        layers.set("rules", |_| Value::String(rules.clone()), Origin::Flag("--rules"))?;
    }
    for Change { key, value, origin } in &args.changes {
        layers.set(key, |_| value.clone(), origin.clone())?;
    }
    Ok(layers)
}

fn resolve(args: &SettingsArgs) -> Result<Settings> {
    let mut layers = typed(args)?;
    let scenario = layers.scenario()?;
    let engine_folder = args.engine.as_deref().or(args.scenario.as_deref()).and_then(Path::parent).unwrap_or(Path::new("."));
    let engine_folder = if engine_folder.as_os_str().is_empty() { Path::new(".") } else { engine_folder };
    let origins = canonical::leaf_keys(&scenario).into_iter();
    let origins = origins.map(|key| (key.clone(), layers.origins.remove(&key).unwrap_or(Origin::Default))).collect();
    Ok(Settings { scenario, origins, engine_folder: engine_folder.to_owned() })
}

/// A file in TOML, and where its keys stand.
#[derive(Clone, Debug)]
pub struct Document {
    /// Everything in it: a table.
    pub value: Value,
    places: BTreeMap<String, usize>,
}

impl Document {
    /// Reads the text of a file of that name.
    ///
    /// # Errors
    ///
    /// One sentence with the line and the column.
    pub fn parse(file: &Path, text: &str) -> Result<Document> {
        let newlines: Vec<usize> = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(offset, _)| offset).collect();
        let line_of = |offset: usize| newlines.partition_point(|newline| *newline < offset) + 1;
        let syntax = |error: toml::de::Error| {
            let offset = error.span().map_or(0, |span| span.start).min(text.len());
            let start = line_of(offset).checked_sub(2).map_or(0, |line| newlines[line] + 1);
            let column = String::from_utf8_lossy(&text.as_bytes()[start..offset]).chars().count() + 1;
            let problem = match error.message() {
                message if message.starts_with("invalid type: integer") => "the number exceeds 63 bits",
                message => message,
            };
            let (file, line) = (text::shown(file), line_of(offset));
            anyhow!("{file}, line {line}, column {column}: this is not TOML: {problem}; correct it (`sim config` prints an example)")
        };
        let spans = DeTable::parse(text).map_err(syntax)?;
        let value = Value::Table(toml::from_str::<Table>(text).map_err(syntax)?);
        let mut places = BTreeMap::new();
        canonical::key_offsets(spans.get_ref(), "", &mut |key, offset, _| {
            places.insert(key, line_of(offset));
        });
        Ok(Document { value, places })
    }

    /// The line of a dotted key, or else of what it is in.
    pub fn line(&self, mut key: &str) -> usize {
        loop {
            match (self.places.get(key), key.rsplit_once('.')) {
                (Some(line), _) => break *line,
                (None, Some((parent, _))) => key = parent,
                (None, None) => break 1,
            }
        }
    }
}

/// The layers so far, as one table.
#[derive(Clone, Debug)]
struct Layers {
    table: Value,
    /// What no key of can be unknown: every key with a value of its type.
    specimen: Value,
    /// Of every leaf that is not a default.
    origins: BTreeMap<String, Origin>,
}

impl Layers {
    fn new() -> Result<Layers> {
        let table = Value::try_from(Scenario::default())?;
        Ok(Layers { table, specimen: schema::specimen()?, origins: BTreeMap::new() })
    }

    /// Puts the engine's defaults back, before another file describes it.
    fn forget_engine(&mut self) -> Result<()> {
        self.table["engine"] = Value::try_from(engine::config::EngineConfig::default())?;
        self.origins.retain(|key, _| !key.starts_with("engine."));
        Ok(())
    }

    /// Lays a file over everything so far, at `prefix`.
    fn file(&mut self, file: &Path, prefix: &str, origin: &dyn Fn(usize) -> Origin) -> Result<()> {
        self.document(&Document::parse(file, &read(file)?)?, prefix, origin)
    }

    fn document(&mut self, document: &Document, prefix: &str, origin: &dyn Fn(usize) -> Origin) -> Result<()> {
        let within = format!("{prefix}.");
        let place = |key: &str| origin(document.line(key.strip_prefix(&within).unwrap_or(key)));
        let value = document.value.clone();
        let (base, specimen) =
            if prefix.is_empty() { (&mut self.table, &self.specimen) } else { (&mut self.table[prefix], &self.specimen[prefix]) };
        schema::check(&value, specimen, prefix, &place)?;
        mark(&mut self.origins, &value, prefix, &place);
        lay(base, value);
        Ok(())
    }

    /// Lays one value over everything so far, at a dotted key.
    fn set(&mut self, key: &str, value: impl FnOnce(&Value) -> Value, origin: Origin) -> Result<()> {
        let (mut at, mut specimen) = (&mut self.table, &self.specimen);
        let mut path = String::new();
        // Origins know a list of plain values as one leaf.
        let mut leaf = None;
        for step in key.split('.') {
            let parent = path.clone();
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(step);
            match (at, specimen) {
                (Value::Table(table), Value::Table(known)) => {
                    specimen = known.get(step).ok_or_else(|| schema::unknown_key(&parent, step, known, &origin))?;
                    at = table.entry(step).or_insert_with(|| schema::blank(specimen));
                }
                (Value::Array(list), Value::Array(known)) => {
                    specimen = known.first().context("the specimen has one entry in every list")?;
                    if !specimen.is_table() {
                        leaf.get_or_insert_with(|| parent.clone());
                    }
                    let index: usize = step
                        .parse()
                        .map_err(|_| anyhow!("{origin}: `{parent}` is a list; name an entry by its number, as in `{parent}.0`"))?;
                    if index > list.len() {
                        bail!(
                            "{origin}: `{}`: `{parent}` has {} entries; the next one is `{parent}.{}`",
                            text::cut(key, 80),
                            list.len(),
                            list.len()
                        );
                    }
                    if index == list.len() {
                        list.push(schema::blank(specimen));
                    }
                    at = &mut list[index];
                }
                _ => bail!("{origin}: {}: `{parent}` is a single value and has nothing below it", text::quote(key)),
            }
        }
        let value = value(specimen);
        let path = leaf.unwrap_or(path);
        schema::check(&value, specimen, key, &|_| origin.clone())?;
        if path == key {
            mark(&mut self.origins, &value, key, &|_| origin.clone());
        } else {
            self.origins.insert(path, origin);
        }
        lay(at, value);
        Ok(())
    }

    /// The scenario that the layers come to.
    fn scenario(&self) -> Result<Scenario> {
        let scenario = Scenario::deserialize(self.table.clone()).map_err(|error| self.culprit(&error))?;
        scenario.check().map_err(|error| match &error {
            ScenarioError::OutOfRange { key, .. } => anyhow!("{}{error}", self.place(key)),
            ScenarioError::UnknownRules { .. } => anyhow!("{}{error}", self.place("rules")),
            ScenarioError::Engine(EngineConfigError::Missing { index, .. } | EngineConfigError::Foreign { index, .. }) => {
                let key = format!("engine.backends.{index}");
                anyhow!("{}`{key}`: {}", self.place(&format!("{key}.kind")), error.to_string().trim_start_matches("engine: "))
            }
            ScenarioError::Engine(_) => anyhow!("{error}"),
        })?;
        self.check_strategies(&scenario)?;
        Ok(scenario)
    }

    fn check_strategies(&self, scenario: &Scenario) -> Result<()> {
        engine_strategy(&scenario.engine.strategy)
            .map_err(|error| anyhow!("{}`engine.strategy`: {error}", self.place("engine.strategy")))?;
        for (index, group) in scenario.rivals.iter().enumerate() {
            let key = format!("rivals.{index}.strategies");
            for strategy in &group.strategies {
                let rules = scenario.rule_set().map_err(|error| anyhow!("{error}"))?;
                check_for_rivals(strategy, &rules).map_err(|error| anyhow!("{}`{key}`: {error}", self.place(&key)))?;
            }
        }
        Ok(())
    }

    /// `my.toml:12: `, or nothing for a default.
    fn place(&self, key: &str) -> String {
        self.origins.get(key).map(|origin| format!("{origin}: ")).unwrap_or_default()
    }

    /// The error that names the leaf because of which `error` happened.
    fn culprit(&self, error: &toml::de::Error) -> anyhow::Error {
        for (key, origin) in &self.origins {
            if let Err(problem) = schema::try_leaf(&self.specimen, key, &self.table) {
                return anyhow!("{origin}: {problem}");
            }
        }
        let backends = self.table["engine"]["backends"].as_array().into_iter().flatten();
        if let Some(index) = backends.into_iter().position(|backend| backend.get("kind").is_none()) {
            let key = format!("engine.backends.{index}");
            let below = format!("{key}.");
            let place = self.origins.iter().find(|(known, _)| known.starts_with(&below)).map(|(_, origin)| format!("{origin}: "));
            return anyhow!(
                "{}`{key}` needs `kind`: `{}`",
                place.unwrap_or_default(),
                BackendKind::ALL.map(BackendKind::name).join("`, `")
            );
        }
        let words: Vec<String> = error.to_string().lines().map(str::to_owned).collect();
        anyhow!("{}; `sim config` prints an example", words.join(" "))
    }
}

/// Checks a strategy of the engine under test.
///
/// # Errors
///
/// If there is none of that name, or its parameters are wrong.
pub fn engine_strategy(specification: &str) -> Result<(), StrategyError> {
    replay::oracle::build(specification, &Foresight::default()).map(drop)
}

/// Lays `over` over `base`: tables key by key, everything else whole.
fn lay(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Table(base), Value::Table(over)) => {
            for (key, value) in over {
                match base.get_mut(&key) {
                    Some(at) => lay(at, value),
                    None => drop(base.insert(key, value)),
                }
            }
        }
        (base, over) => *base = over,
    }
}

/// Notes the origin of every leaf of `value`, and forgets those of the lists that it replaces.
fn mark(origins: &mut BTreeMap<String, Origin>, value: &Value, key: &str, origin: &dyn Fn(&str) -> Origin) {
    match value {
        Value::Table(table) => table.iter().for_each(|(name, value)| mark(origins, value, &schema::joined(key, name), origin)),
        Value::Array(list) => {
            let below = format!("{key}.");
            let old: Vec<String> =
                origins.range(below.clone()..).map(|(known, _)| known).take_while(|known| known.starts_with(&below)).cloned().collect();
            old.iter().for_each(|old| drop(origins.remove(old)));
            origins.remove(key);
            if list.first().is_some_and(Value::is_table) {
                list.iter().enumerate().for_each(|(index, value)| mark(origins, value, &format!("{key}.{index}"), origin));
            } else {
                origins.insert(key.to_owned(), origin(key));
            }
        }
        _ => drop(origins.insert(key.to_owned(), origin(key))),
    }
}

/// The text of a settings file.
///
/// # Errors
///
/// If it cannot be read, is no text, or is too long.
pub fn read(file: &Path) -> Result<String> {
    let name = || text::shown(file);
    let opened = File::open(file).with_context(|| format!("{}: cannot be read; name a TOML file", name()))?;
    if opened.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        bail!("{}: this is a folder; name a TOML file in it", name());
    }
    let mut bytes = Vec::new();
    opened.take(FILE_LIMIT + 1).read_to_end(&mut bytes).with_context(|| format!("{}: cannot be read; check the file", name()))?;
    if bytes.len() as u64 > FILE_LIMIT {
        bail!("{}: exceeds {FILE_LIMIT} bytes; name a TOML file of settings", name());
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        anyhow!("{}, line {line}: this is not UTF-8 text; name a TOML file and save it as UTF-8", name())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sets: &[&str]) -> Settings {
        Settings::resolve(&SettingsArgs { set: sets.iter().map(|set| (*set).to_owned()).collect(), ..SettingsArgs::default() }).unwrap()
    }

    fn error_of(sets: &[&str]) -> String {
        let args = SettingsArgs { set: sets.iter().map(|set| (*set).to_owned()).collect(), ..SettingsArgs::default() };
        format!("{:#}", Settings::resolve(&args).unwrap_err())
    }

    #[test]
    fn nothing_typed_is_the_default() {
        let settings = of(&[]);
        assert_eq!(settings.scenario, Scenario::default());
        assert!(settings.origins.values().all(|origin| *origin == Origin::Default));
        assert_eq!(settings.engine_folder, Path::new("."));
    }

    #[test]
    fn a_set_reaches_into_tables_and_lists_and_appends_at_the_end() {
        let settings = of(&[
            "rivals.0.count=5",
            "rivals.1.count=2",
            "rivals.0.strategies.0=null/min",
            "engine.backends.0.kind=eicar",
            "seed=7",
            "seed=8",
        ]);
        let scenario = &settings.scenario;
        assert_eq!((scenario.rivals[0].count, scenario.rivals[1].count, scenario.seed), (5, 2, 8));
        assert_eq!(scenario.rivals[0].strategies, ["null/min", "stock/default", "stock/aggressive"]);
        assert_eq!(scenario.engine.backends.len(), 1);
        for key in ["rivals.0.count", "rivals.1.count", "rivals.0.strategies", "engine.backends.0.kind", "seed"] {
            assert_eq!(settings.origins[key], Origin::Set, "{key}");
        }
        assert_eq!(settings.origins["rivals.1.model"], Origin::Default);
        assert!(error_of(&["rivals.2.count=1"]).contains("the next one is `rivals.1`"));
        assert!(error_of(&["rivals.count=1"]).contains("as in `rivals.0`"));
        assert!(error_of(&["seed.x=1"]).contains("`seed` is a single value"));
    }

    #[test]
    fn a_set_takes_toml_and_else_plain_text() {
        let scenario = of(&[
            "engine.name=\"a = b\"",
            "rules=1.0.0",
            "rivals=[{count=3},{model='none'}]",
            "wallets.engine=0.100000000000000001",
            "engine.strategy=fixed?bid=0.5",
            "market={vote_window=50}",
            "ambassadors.amount=3 NCT",
        ])
        .scenario;
        assert_eq!((scenario.engine.name.as_str(), scenario.rules.as_str(), scenario.rivals.len()), ("a = b", "1.0.0", 2));
        assert_eq!(scenario.wallets.engine.to_string(), "0.100000000000000001 NCT");
        assert_eq!(scenario.market.vote_window, Some(50));
        assert_eq!(of(&["engine.name=42"]).scenario.engine.name, "42", "text where text is expected");
    }

    #[test]
    fn a_list_that_replaces_another_forgets_where_that_came_from() {
        let settings = of(&["rivals.0.count=5", "rivals=[{dropout=0.1}]"]);
        assert_eq!(settings.origins["rivals.0.count"], Origin::Default);
        assert_eq!(settings.origins["rivals.0.dropout"], Origin::Set);
        assert_eq!(settings.scenario.rivals[0].count, 0);
    }

    #[test]
    fn the_canonical_text_is_the_same_scenario_again() {
        let sets: &[&[&str]] = &[
            &[],
            &["rivals=[]", "engine.backends=[{kind='recorded',column='a\u{202e}\"\\\\b'},{kind='eicar',tpr=1}]"],
            &["engine.name=\"two\\nlines\"", "market.bounty_fee=17 wei", "engine.distiller.prior=0.000001", "rivals.1.model=none"],
        ];
        for sets in sets {
            let scenario = of(sets).scenario;
            let text = scenario_toml(&scenario);
            assert_eq!(toml::from_str::<Scenario>(&text).unwrap(), scenario, "{text}");
            assert!(!text.contains('\u{202e}'), "bidi characters are escaped");
        }
        assert_ne!(scenario_sha256(&of(&["seed=1"]).scenario), scenario_sha256(&of(&[]).scenario));
    }
}
