//! What a sweep searches, in TOML.
//!
//! ```toml
//! strategies = ["stock/default", "fixed?bid={bid}", "pm-kelly?fraction={fraction}"]
//!
//! [parameters]
//! bid = { from = 0.0625, to = 1.0, steps = 8 }
//! fraction = [0.1, 0.25, 0.5]
//!
//! [set]
//! engine.distiller.rho = { from = 0.0, to = 0.5, steps = 3 }
//! arbiters.error = [0.0, 0.05]
//! ```

use std::{collections::BTreeSet, path::Path};

use anyhow::{Result, anyhow, bail};
use toml::{Table, Value};

use crate::{
    settings::{Change, Document, Origin},
    text,
};

/// Key of the number of bounties.
pub const BOUNTIES: &str = "bounties";
/// Key of the engine's strategy among settings.
pub const STRATEGY: &str = "engine.strategy";
/// Values of one dimension, at most.
const VALUES: usize = 10_000;

/// A space of trials: every strategy with every value of the parameters in its braces, under every value of the settings.
#[derive(Clone, PartialEq, Debug)]
pub struct Space {
    /// Strategies, with names of parameters in braces.
    strategies: Vec<Template>,
    /// What stands for the names in braces.
    parameters: Vec<Dimension>,
    /// Scenario keys.
    sets: Vec<Dimension>,
    /// Where strategies are named.
    origin: Origin,
}

/// A strategy with holes.
#[derive(Clone, PartialEq, Debug)]
struct Template {
    text: String,
    /// Places of the parameters that it names, in rising order.
    parameters: Vec<usize>,
}

/// Something that varies.
#[derive(Clone, PartialEq, Debug)]
struct Dimension {
    name: String,
    values: Values,
    origin: Origin,
}

/// What it may be.
#[derive(Clone, PartialEq, Debug)]
enum Values {
    List(Vec<Value>),
    Span(Span),
}

/// Numbers between two others, ends included.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Span {
    from: f64,
    to: f64,
    /// Values of a grid.
    steps: Option<u64>,
    /// Evenly spread are the logarithms.
    logarithmic: bool,
    whole: bool,
}

/// A point of a space.
#[derive(Clone, PartialEq, Debug)]
pub struct Point {
    /// The strategy, if the space has any.
    pub strategy: Option<String>,
    /// Keys and values, the strategy among them.
    pub changes: Vec<Change>,
}

impl Span {
    /// The value at `share` of the way, 0 to 1, rounded to six digits.
    fn at(&self, share: f64) -> Value {
        let value = match self.logarithmic {
            true => libm::exp(libm::log(self.from) * (1.0 - share) + libm::log(self.to) * share),
            false => self.from * (1.0 - share) + self.to * share,
        };
        if self.whole {
            return Value::Integer(value.round() as i64);
        }
        // By way of its text, so that it is the number that a person would write.
        Value::Float(format!("{value:.5e}").parse().expect("a number"))
    }
}

impl Values {
    fn count(&self) -> Option<u64> {
        match self {
            Values::List(list) => Some(list.len() as u64),
            Values::Span(span) => span.steps,
        }
    }

    /// The value of that number on a grid.
    fn step(&self, number: u64) -> Value {
        match self {
            Values::List(list) => list[number as usize].clone(),
            Values::Span(span) => match span.steps {
                Some(steps) if steps > 1 => span.at(number as f64 / (steps - 1) as f64),
                _ => span.at(0.0),
            },
        }
    }

    /// The value for a number in [0, 1): each of a list is as likely as the next.
    fn draw(&self, uniform: f64) -> Value {
        match self {
            Values::List(list) => list[pick(uniform, list.len())].clone(),
            Values::Span(span) if span.whole && !span.logarithmic => {
                let count = (span.to - span.from).round() + 1.0;
                Value::Integer((span.from + (uniform * count).floor().min(count - 1.0)) as i64)
            }
            Values::Span(span) => span.at(uniform),
        }
    }
}

fn pick(uniform: f64, count: usize) -> usize {
    ((uniform * count as f64) as usize).min(count - 1)
}

impl Space {
    /// Reads a space from its text; `file` is named in errors.
    ///
    /// # Errors
    ///
    /// One sentence with file, line and remedy.
    pub fn parse(file: &Path, text: &str) -> Result<Space> {
        let document = Document::parse(file, text)?;
        let Value::Table(table) = &document.value else { unreachable!("a document is a table") };
        let at = |key: &str| format!("{}, line {}", text::shown(file), document.line(key));
        if let Some(key) = table.keys().find(|key| !["strategies", "parameters", "set"].contains(&key.as_str())) {
            bail!("{}: unknown key {}; there are `strategies`, `parameters` and `set`", at(key), text::quote(key));
        }
        let reader = Reader { file, document: &document };
        let mut parameters = Vec::new();
        reader.dimensions(table.get("parameters"), "parameters", &mut parameters)?;
        let mut sets = Vec::new();
        reader.dimensions(table.get("set"), "set", &mut sets)?;
        if let Some(set) = sets.iter().find(|set| set.name == BOUNTIES) {
            bail!("{}: trials are compared on the same bounties; say how many with `--set bounties=N`", set.origin);
        }
        if sets.iter().any(|set| set.name == STRATEGY) {
            bail!("{}: `{STRATEGY}` is not set but chosen: name strategies in `strategies = [...]`", at(&format!("set.{STRATEGY}")));
        }
        let strategies = match table.get("strategies") {
            None => Vec::new(),
            Some(Value::Array(list)) if list.iter().all(Value::is_str) && !list.is_empty() => {
                let texts = list.iter().filter_map(Value::as_str);
                texts
                    .map(|text| Template::parse(text, &parameters).map_err(|problem| anyhow!("{}: {problem}", at("strategies"))))
                    .collect::<Result<_>>()?
            }
            Some(_) => {
                bail!("{}: `strategies` must be a list of names, as in `[\"stock/default\", \"fixed?bid={{bid}}\"]`", at("strategies"))
            }
        };
        let origin = Origin::Space { file: file.to_owned(), line: document.line("strategies") };
        let space = Space { strategies, parameters, sets, origin };
        let used: BTreeSet<usize> = space.strategies.iter().flat_map(|template| template.parameters.iter().copied()).collect();
        if let Some(idle) = (0..space.parameters.len()).find(|place| !used.contains(place)) {
            let name = &space.parameters[idle].name;
            bail!(
                "{}: no strategy uses `{name}`; write it in braces where its value belongs, as in `fixed?bid={{bid}}`",
                at(&format!("parameters.{name}"))
            );
        }
        if space.strategies.is_empty() && space.sets.is_empty() {
            bail!("{}: there is nothing to search; name `strategies = [...]`, or keys below `[set]`", text::shown(file));
        }
        Ok(space)
    }

    /// True if it says which strategies are played.
    pub fn names_strategies(&self) -> bool {
        !self.strategies.is_empty()
    }

    /// Names of everything that varies: strategies, if there are several, then parameters, then settings.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let strategy = (self.strategies.len() > 1).then_some(STRATEGY);
        strategy.into_iter().chain(self.parameters.iter().chain(&self.sets).map(|dimension| dimension.name.as_str()))
    }

    /// Number of axes that a point is drawn by.
    pub fn axes(&self) -> usize {
        1 + self.parameters.len() + self.sets.len()
    }

    /// The point at these coordinates, each in [0, 1): strategy, parameters, settings.
    pub fn point(&self, coordinates: &[f64]) -> Point {
        let template = (!self.strategies.is_empty()).then(|| &self.strategies[pick(coordinates[0], self.strategies.len())]);
        let (parameters, sets) = coordinates[1..].split_at(self.parameters.len());
        let value = |place: usize| self.parameters[place].values.draw(parameters[place]);
        self.made(template, &value, &|place| self.sets[place].values.draw(sets[place]))
    }

    /// Points on the grid: every strategy with every value of its own parameters, under every value of the settings.
    ///
    /// # Errors
    ///
    /// If something has no steps, or there are more than 2^32 points.
    pub fn grid(&self) -> Result<u64> {
        let count = |dimension: &Dimension| {
            dimension.values.count().ok_or_else(|| {
                anyhow!(
                    "{}: `{}` has no `steps`, so there is no grid; add `steps = 5`, or use `--sampler lhs`",
                    dimension.origin,
                    dimension.name
                )
            })
        };
        let sets = product(self.sets.iter().map(count))?;
        let mut all = if self.strategies.is_empty() { sets } else { 0 };
        for template in &self.strategies {
            all += product(template.parameters.iter().map(|&place| count(&self.parameters[place])))?.saturating_mul(sets);
        }
        if all > u64::from(u32::MAX) {
            bail!("the grid has more than 2^32 points; use `--sampler lhs` or `random`");
        }
        Ok(all)
    }

    /// The point of that number on the grid: settings change fastest, the last one first.
    pub fn grid_point(&self, mut number: u64) -> Point {
        let size = |dimension: &Dimension| dimension.values.count().expect("a grid was asked for");
        let sets: u64 = self.sets.iter().map(size).product();
        let block = |template: &Template| template.parameters.iter().map(|&place| size(&self.parameters[place])).product::<u64>() * sets;
        let mut template = None;
        for candidate in &self.strategies {
            template = Some(candidate);
            if number < block(candidate) {
                break;
            }
            number -= block(candidate);
        }
        let mut digit = |dimension: &Dimension| {
            let size = size(dimension);
            let step = number % size;
            number /= size;
            dimension.values.step(step)
        };
        let mut values: Vec<Value> = self.sets.iter().rev().map(&mut digit).collect();
        values.reverse();
        let used = template.map_or(&[][..], |template| &template.parameters);
        let own: Vec<Value> = used.iter().rev().map(|&place| digit(&self.parameters[place])).collect();
        let value = |place: usize| {
            let from_end = used.iter().rev().position(|&known| known == place).expect("one that the strategy uses");
            own[from_end].clone()
        };
        self.made(template, &value, &|place| values[place].clone())
    }

    fn made(&self, template: Option<&Template>, parameter: &dyn Fn(usize) -> Value, set: &dyn Fn(usize) -> Value) -> Point {
        let strategy = template.map(|template| {
            template.parameters.iter().fold(template.text.clone(), |text, &place| {
                let value = parameter(place);
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                text.replace(&format!("{{{}}}", self.parameters[place].name), &value)
            })
        });
        let chosen = strategy.iter().map(|strategy| Change {
            key: STRATEGY.to_owned(),
            value: Value::String(strategy.clone()),
            origin: self.origin.clone(),
        });
        let sets = self.sets.iter().enumerate().map(|(place, dimension)| Change {
            key: dimension.name.clone(),
            value: set(place),
            origin: dimension.origin.clone(),
        });
        Point { changes: chosen.chain(sets).collect(), strategy }
    }
}

fn product(counts: impl Iterator<Item = Result<u64>>) -> Result<u64> {
    counts.into_iter().try_fold(1_u64, |product, count| Ok(product.saturating_mul(count?)))
}

impl Template {
    fn parse(text: &str, known: &[Dimension]) -> Result<Template> {
        let mut parameters = BTreeSet::new();
        for after in text.split('{').skip(1) {
            let name = after.split_once('}').map(|(name, _)| name);
            let place = name.and_then(|name| known.iter().position(|dimension| dimension.name == name));
            let Some(place) = place else {
                bail!(
                    "strategy {} names {} in braces, but `[parameters]` has no such key",
                    text::quote(text),
                    text::quote(name.unwrap_or(after))
                )
            };
            parameters.insert(place);
        }
        Ok(Template { text: text.to_owned(), parameters: parameters.into_iter().collect() })
    }
}

struct Reader<'a> {
    file: &'a Path,
    document: &'a Document,
}

impl Reader<'_> {
    /// Everything below a key that has values.
    fn dimensions(&self, value: Option<&Value>, key: &str, found: &mut Vec<Dimension>) -> Result<()> {
        let place = || format!("{}, line {}: `{key}`", text::shown(self.file), self.document.line(key));
        let values = match value {
            None => return Ok(()),
            Some(Value::Table(table)) if !is_span(table) => {
                return table.iter().try_for_each(|(name, value)| self.dimensions(Some(value), &format!("{key}.{name}"), found));
            }
            Some(Value::Table(table)) => Values::Span(span(table).map_err(|problem| anyhow!("{} {problem}", place()))?),
            Some(Value::Array(list)) if list.is_empty() || list.len() > VALUES => {
                bail!("{} has {} values; list from 1 to {VALUES}", place(), list.len())
            }
            Some(Value::Array(list)) => Values::List(list.clone()),
            Some(_) => bail!("{} must be a list of values, as in `[0.1, 0.2]`, or `{{ from = 0.1, to = 0.9, steps = 5 }}`", place()),
        };
        let name = key.split_once('.').map(|(_, name)| name.to_owned());
        let Some(name) = name else { bail!("{} must be a table of keys and their values", place()) };
        let origin = Origin::Space { file: self.file.to_owned(), line: self.document.line(key) };
        found.push(Dimension { name, values, origin });
        Ok(())
    }
}

/// Keys of a span.
const SPAN: [&str; 4] = ["from", "to", "steps", "scale"];

/// True if it says what a span is; a parameter may be called `from`, too, but is no plain value.
fn is_span(table: &Table) -> bool {
    SPAN.iter().any(|&key| table.get(key).is_some_and(|value| !value.is_table() && !value.is_array()))
}

fn span(table: &Table) -> Result<Span> {
    if let Some(key) = table.keys().find(|key| !SPAN.contains(&key.as_str())) {
        bail!("has an unknown key {}; there are `from`, `to`, `steps` and `scale`", text::quote(key));
    }
    let number = |key: &str| match table.get(key) {
        Some(Value::Integer(value)) => Ok(*value as f64),
        Some(Value::Float(value)) if value.is_finite() => Ok(*value),
        _ => bail!("needs `{key}`, a number"),
    };
    let (from, to) = (number("from")?, number("to")?);
    let whole = table.get("from").is_some_and(Value::is_integer) && table.get("to").is_some_and(Value::is_integer);
    let logarithmic = match table.get("scale").map(Value::as_str) {
        None | Some(Some("linear")) => false,
        Some(Some("log")) => true,
        Some(_) => bail!("has an unknown `scale`; there are `linear` and `log`"),
    };
    let steps = match table.get("steps") {
        None => None,
        Some(Value::Integer(steps)) if (1..=VALUES as i64).contains(steps) => Some(*steps as u64),
        Some(_) => bail!("needs `steps` from 1 to {VALUES}"),
    };
    if from > to || (logarithmic && from <= 0.0) {
        bail!("needs `from` not above `to`{}", if logarithmic { ", and above 0 on a `log` scale" } else { "" });
    }
    Ok(Span { from, to, steps, logarithmic, whole })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(text: &str) -> Result<Space> {
        Space::parse(Path::new("space.toml"), text)
    }

    fn shown(point: &Point) -> String {
        let sets = point.changes.iter().filter(|change| change.key != STRATEGY);
        let sets: Vec<String> = sets.map(|change| format!("{}={}", change.key, change.value)).collect();
        format!("{} {}", point.strategy.as_deref().unwrap_or("-"), sets.join(" "))
    }

    const SPACE: &str = "strategies = ['a', 'b?x={x}&y={y}', 'c?y={y}']\n[parameters]\nx = [1, 2]\ny = {from = 0.0, to = 1.0, steps = 3}\n\
                         [set]\nrivals.0.count = [5, 10]\nseed = {from = 1, to = 2, steps = 2}\n";

    #[test]
    fn a_grid_has_every_point_once() {
        let space = space(SPACE).unwrap();
        assert_eq!(space.grid().unwrap(), (1 + 6 + 3) * 4);
        let points: Vec<String> = (0..40).map(|number| shown(&space.grid_point(number))).collect();
        assert_eq!(points.iter().collect::<BTreeSet<_>>().len(), 40);
        assert_eq!(points[..2], ["a rivals.0.count=5 seed=1", "a rivals.0.count=5 seed=2"]);
        assert_eq!(points[4], "b?x=1&y=0.0 rivals.0.count=5 seed=1");
        assert_eq!(points[39], "c?y=1.0 rivals.0.count=10 seed=2");
        assert_eq!(space.names().collect::<Vec<_>>(), ["engine.strategy", "x", "y", "rivals.0.count", "seed"]);
    }

    #[test]
    fn coordinates_reach_every_value() {
        let space = space("[set]\na = [1, 2, 3]\nb = {from = 1, to = 4}\nc = {from = 0.01, to = 1.0, scale = 'log'}").unwrap();
        let at = |u: f64| shown(&space.point(&[0.0, u, u, u]));
        assert_eq!(at(0.0), "- a=1 b=1 c=0.01");
        assert_eq!(at(0.5), "- a=2 b=3 c=0.1");
        assert_eq!(at(0.999_999_999), "- a=3 b=4 c=1.0");
        assert!(space.grid().unwrap_err().to_string().contains("`b` has no `steps`"));
    }

    #[test]
    fn a_parameter_may_be_called_like_the_beginning_of_a_span() {
        let space = space("strategies = ['t?from={from}']\n[parameters]\nfrom = {from = 0.5, to = 0.9, steps = 3}").unwrap();
        assert_eq!(shown(&space.grid_point(1)), "t?from=0.7 ");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, expected) in [
            ("set = 3", "line 1: `set` must be a list"),
            ("\nstrategy = ['a']", "line 2: unknown key `strategy`"),
            ("strategies = ['a?x={y}']\n[parameters]\nx = [1]", "names `y` in braces"),
            ("strategies = ['a?x={x']\n[parameters]\nx = [1]", "in braces"),
            ("strategies = ['a']\n[parameters]\nx = [1]", "line 3: no strategy uses `x`"),
            ("[set]\nseed = 3", "line 2: `set.seed` must be a list"),
            ("[set]\nseed = []", "has 0 values"),
            ("[set]\nseed = {from = 1}", "`set.seed` needs `to`"),
            ("[set]\nseed = {steps = 1}", "`set.seed` needs `from`"),
            ("[set]\nseed = {from = 2, to = 1}", "`from` not above `to`"),
            ("[set]\nseed = {from = 0, to = 1, scale = 'log'}", "above 0 on a `log` scale"),
            ("[set]\nseed = {from = 0, to = 1, step = 2}", "unknown key `step`"),
            ("[set]\nengine.strategy = ['a']", "line 2: `engine.strategy` is not set but chosen"),
            ("strategies = 'a'", "must be a list of names"),
            ("", "nothing to search"),
            ("a = ", "this is not TOML"),
        ] {
            let error = space(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
