//! Forests as LightGBM writes them (`Booster.save_model`): read from its text, and evaluated as it does itself.
//!
//! Binary models alone: `binary` and `cross_entropy`. Numerical and categorical splits, with all ways to deal with what is
//! missing; linear trees are refused.

use std::{collections::BTreeMap, str::FromStr};

use super::{Problem, feature, linear::unknown_features};
use crate::odds::logistic;

/// Bits of a node's `decision_type`.
const CATEGORICAL: u8 = 1;
const DEFAULT_LEFT: u8 = 2;
/// What LightGBM takes for zero.
const ZERO: f64 = 1e-35_f32 as f64;
/// Most features of a model.
const FEATURES: usize = 100_000;

/// What a node takes for missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Missing {
    Nothing,
    Zero,
    NaN,
}

/// How a node decides.
#[derive(Clone, PartialEq, Debug)]
enum Split {
    /// Left if the value is at most this.
    AtMost { threshold: f64, missing: Missing, default_left: bool },
    /// Left if the value is one of these: a bit for each.
    OneOf(Vec<u32>),
}

/// Where a branch leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Child {
    /// A node further down the list than its parent, so that every way ends.
    Node(usize),
    Leaf(usize),
}

#[derive(Clone, PartialEq, Debug)]
struct Node {
    /// Place of its feature among ours.
    feature: usize,
    split: Split,
    left: Child,
    right: Child,
}

#[derive(Clone, PartialEq, Debug)]
struct Tree {
    nodes: Vec<Node>,
    leaves: Vec<f64>,
}

/// A model of trees.
#[derive(Clone, PartialEq, Debug)]
pub struct Forest {
    trees: Vec<Tree>,
    /// Factor of the sum in the logistic function.
    sigmoid: f64,
    /// The trees' mean counts, not their sum (random forests).
    mean: bool,
}

/// The `key=value` lines of one part of the text.
struct Part<'a> {
    /// Line of its first.
    line: usize,
    values: BTreeMap<&'a str, (usize, &'a str)>,
}

impl<'a> Part<'a> {
    fn get(&self, key: &str) -> Result<(usize, &'a str), Problem> {
        self.values
            .get(key)
            .copied()
            .ok_or_else(|| Problem::new(self.line, format!("`{key}` is missing; write the model with LightGBM's save_model")))
    }

    /// A list of numbers, `count` of them.
    fn list<T: FromStr>(&self, key: &str, count: usize) -> Result<Vec<T>, Problem> {
        let (line, text) = self.get(key)?;
        let parsed =
            text.split_ascii_whitespace().map(|word| word.parse().map_err(|_| not_a_number(line, word))).collect::<Result<Vec<T>, _>>()?;
        if parsed.len() == count {
            Ok(parsed)
        } else {
            Err(Problem::new(line, format!("`{key}` has {} numbers, not {count}", parsed.len())))
        }
    }

    /// One number; `default` if there is none.
    fn number<T: FromStr>(&self, key: &str, default: Option<T>) -> Result<T, Problem> {
        match (self.values.get(key), default) {
            (Some((line, text)), _) => text.trim().parse().map_err(|_| not_a_number(*line, text)),
            (None, Some(default)) => Ok(default),
            (None, None) => self.get(key).and_then(|(line, text)| Err(not_a_number(line, text))),
        }
    }
}

fn not_a_number(line: usize, text: &str) -> Problem {
    Problem::new(line, format!("`{}` is not a number that can stand here", text.escape_debug().take(40).collect::<String>()))
}

impl Forest {
    /// Reads a model.
    ///
    /// # Errors
    ///
    /// Says which line is wrong, and names features that there are not.
    pub fn parse(text: &str) -> Result<Forest, Problem> {
        let mut parts = vec![Part { line: 1, values: BTreeMap::new() }];
        let mut ended = false;
        for (line, content) in (1..).zip(text.lines()) {
            if content.trim() == "end of trees" {
                ended = true;
                break;
            }
            if content.starts_with("Tree=") {
                parts.push(Part { line, values: BTreeMap::new() });
            }
            // Keys without a value are switches.
            let (key, value) = content.split_once('=').unwrap_or((content.trim(), ""));
            if let Some(part) = parts.last_mut() {
                part.values.insert(key, (line, value));
            }
        }
        if !ended {
            return Err(Problem::new(text.lines().count(), "it ends before `end of trees`; copy the whole file"));
        }
        let mut parts = parts.into_iter();
        let Some(head) = parts.next() else { return Err(Problem::new(1, "it is empty")) };
        let (features, sigmoid) = read_head(&head)?;
        let trees = parts.map(|part| read_tree(&part, &features)).collect::<Result<Vec<Tree>, _>>()?;
        if trees.is_empty() {
            return Err(Problem::new(0, "it has no trees; train it for at least one round"));
        }
        Ok(Forest { trees, sigmoid, mean: head.values.contains_key("average_output") })
    }

    /// Probability of malice for a file with these features.
    pub fn probability(&self, features: &[f64]) -> f64 {
        let sum: f64 = self.trees.iter().map(|tree| tree.value(features)).sum();
        logistic(self.sigmoid * if self.mean { sum / self.trees.len() as f64 } else { sum })
    }
}

/// What stands before the trees: the places of its features among ours, and the factor of the logistic function.
fn read_head(head: &Part<'_>) -> Result<(Vec<usize>, f64), Problem> {
    let (line, version) = head.get("version")?;
    if !["v3", "v4"].contains(&version.trim()) {
        return Err(Problem::new(
            line,
            format!("version `{}` is not read; v3 and v4 are", version.escape_debug().take(20).collect::<String>()),
        ));
    }
    let classes: u32 = head.number("num_class", None)?;
    let per_round: u32 = head.number("num_tree_per_iteration", Some(1))?;
    if classes != 1 || per_round != 1 {
        return Err(Problem::new(head.line, "it has several classes; train it with the objective `binary`"));
    }
    let (line, objective) = head.get("objective")?;
    let mut words = objective.split_ascii_whitespace();
    let sigmoid = match words.next() {
        Some("binary") => {
            let stated = words.find_map(|word| word.strip_prefix("sigmoid:"));
            stated.map_or(Ok(1.0), |word| {
                word.parse::<f64>().ok().filter(|sigmoid| *sigmoid > 0.0 && sigmoid.is_finite()).ok_or_else(|| not_a_number(line, word))
            })?
        }
        Some("cross_entropy" | "xentropy") => 1.0,
        _ => return Err(Problem::new(line, "its objective is neither `binary` nor `cross_entropy`; train it with one of them")),
    };
    let (line, names) = head.get("feature_names")?;
    let names: Vec<&str> = names.split_ascii_whitespace().collect();
    if names.is_empty() || names.len() > FEATURES {
        return Err(Problem::new(line, format!("it has {} features; 1 to {FEATURES} are read", names.len())));
    }
    let unknown: Vec<&str> = names.iter().copied().filter(|name| feature(name).is_none()).collect();
    if !unknown.is_empty() {
        return Err(unknown_features(line, &unknown));
    }
    Ok((names.into_iter().filter_map(feature).collect(), sigmoid))
}

fn read_tree(part: &Part<'_>, features: &[usize]) -> Result<Tree, Problem> {
    let leaves: usize = part.number("num_leaves", None)?;
    if part.number("is_linear", Some(0_u32))? != 0 {
        return Err(Problem::new(part.line, "its leaves are linear; train it with `linear_tree=false`"));
    }
    let values: Vec<f64> = part.list("leaf_value", leaves)?;
    if let Some(value) = values.iter().find(|value| !value.is_finite()) {
        return Err(not_a_number(part.get("leaf_value")?.0, &value.to_string()));
    }
    if leaves < 2 {
        let line = part.line;
        return if leaves == 1 { Ok(Tree { nodes: Vec::new(), leaves: values }) } else { Err(Problem::new(line, "a tree has no leaf")) };
    }
    let count = leaves - 1;
    let used: Vec<usize> = part.list("split_feature", count)?;
    let thresholds: Vec<f64> = part.list("threshold", count)?;
    let decisions: Vec<u8> = part.list("decision_type", count)?;
    let (left, right): (Vec<i64>, Vec<i64>) = (part.list("left_child", count)?, part.list("right_child", count)?);
    let categorical: usize = part.number("num_cat", Some(0))?;
    let (bounds, bits) = if categorical > 0 {
        let bounds: Vec<usize> = part.list("cat_boundaries", categorical.saturating_add(1))?;
        let all = bounds.last().copied().unwrap_or_default();
        (bounds, part.list::<u32>("cat_threshold", all)?)
    } else {
        (Vec::new(), Vec::new())
    };
    let rows = used.into_iter().zip(thresholds).zip(decisions).zip(left.into_iter().zip(right)).enumerate();
    let nodes = rows.map(|(index, (((used, threshold), decision), (left, right)))| {
        let wrong =
            |key: &str, what: &str| Problem::new(part.get(key).map_or(part.line, |(line, _)| line), format!("node {index}: {what}"));
        let feature = *features.get(used).ok_or_else(|| wrong("split_feature", "its feature is not among `feature_names`"))?;
        let split = if decision & CATEGORICAL != 0 {
            // The threshold is the place of a set among the sets.
            let set = (0..categorical).find(|set| *set as f64 == threshold);
            let range = set.and_then(|set| bits.get(*bounds.get(set)?..*bounds.get(set + 1)?));
            Split::OneOf(range.ok_or_else(|| wrong("threshold", "its set of categories is not in `cat_boundaries`"))?.to_vec())
        } else {
            let missing = match decision >> 2 & 3 {
                0 => Missing::Nothing,
                1 => Missing::Zero,
                2 => Missing::NaN,
                _ => return Err(wrong("decision_type", "its decision type is unknown")),
            };
            if threshold.is_nan() {
                return Err(wrong("threshold", "its threshold is not a number"));
            }
            Split::AtMost { threshold, missing, default_left: decision & DEFAULT_LEFT != 0 }
        };
        let child = |key, to: i64| match usize::try_from(to) {
            Ok(node) if node > index && node < count => Ok(Child::Node(node)),
            Err(_) if usize::try_from(!to).is_ok_and(|leaf| leaf < leaves) => Ok(Child::Leaf(usize::try_from(!to).unwrap_or_default())),
            _ => Err(wrong(key, "it leads nowhere, or back")),
        };
        Ok(Node { feature, split, left: child("left_child", left)?, right: child("right_child", right)? })
    });
    Ok(Tree { nodes: nodes.collect::<Result<_, _>>()?, leaves: values })
}

impl Node {
    /// True if `value` goes left.
    fn goes_left(&self, value: f64) -> bool {
        match &self.split {
            Split::AtMost { threshold, missing, default_left } => {
                let value = if value.is_nan() && *missing != Missing::NaN { 0.0 } else { value };
                let is_missing = match missing {
                    Missing::Nothing => false,
                    Missing::Zero => value.abs() <= ZERO,
                    Missing::NaN => value.is_nan(),
                };
                if is_missing { *default_left } else { value <= *threshold }
            }
            Split::OneOf(set) => {
                // Fractions are cut off, as in C; what is negative or no number is in no set.
                let category = if value > -1.0 && value < f64::from(i32::MAX) { value as usize } else { return false };
                set.get(category / 32).is_some_and(|word| word >> (category % 32) & 1 != 0)
            }
        }
    }
}

impl Tree {
    fn value(&self, features: &[f64]) -> f64 {
        let mut at = if self.nodes.is_empty() { Child::Leaf(0) } else { Child::Node(0) };
        loop {
            match at {
                Child::Leaf(leaf) => return self.leaves.get(leaf).copied().unwrap_or_default(),
                Child::Node(node) => {
                    let Some(node) = self.nodes.get(node) else { return 0.0 };
                    let value = features.get(node.feature).copied().unwrap_or_default();
                    at = if node.goes_left(value) { node.left } else { node.right };
                }
            }
        }
    }
}
