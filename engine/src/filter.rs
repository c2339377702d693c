//! Is it my expertise? Which artifacts an engine deals with, and which it trusts itself more or less on, by what the
//! ambassador announced of them; and which malware families its backends' word counts for.
//!
//! A rule is `KEY OPERATOR VALUE`, as in `mimetype startswith application/x-` or `filesize < 1000000`, as the `--filter` and
//! `--confidence` of polyswarm-client have them. Operators: `<`, `<=`, `==`, `>=`, `>` (as numbers where both sides are
//! numbers), `contains`, `startswith`, `endswith`, `regex` (from the start of the value on). A rule on something that was
//! not announced does not hold.
//!
//! An artifact is dealt with if any rule to accept holds, or there is none, and no rule to reject does. A favoured
//! artifact's confidence counts 1.2 times for a bid, a penalised one's 0.8 times, one that is both once: numbers of
//! polyswarm-client. Rules on `family` are about answers, not artifacts: a malicious answer that names a family which is
//! rejected, or not accepted, is none.

use std::{cmp::Ordering, str::FromStr};

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::artifact::{Finding, ScanResult};

/// Factor on the confidence of a favoured artifact.
const FAVOURED: f64 = 1.2;
/// Factor on the confidence of a penalised artifact.
const PENALISED: f64 = 0.8;
/// Largest compiled regular expression, in bytes.
const REGEX_LIMIT: usize = 1 << 20;

/// The rules of an engine, as its file has them.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilterConfig {
    /// Artifacts to deal with; all, if there is no rule.
    pub accept: Vec<String>,
    /// Artifacts to leave alone.
    pub reject: Vec<String>,
    /// Artifacts to bid more on.
    pub favor: Vec<String>,
    /// Artifacts to bid less on.
    pub penalize: Vec<String>,
}

/// What an ambassador says of an artifact before anybody looks at it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Announced {
    /// Such as `text/plain`.
    pub mimetype: Option<String>,
    /// Size in bytes.
    pub filesize: Option<u64>,
    /// 64 hex digits.
    pub sha256: Option<String>,
    /// Name of the file.
    pub filename: Option<String>,
}

/// What a rule is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Key {
    MimeType,
    FileSize,
    Sha256,
    FileName,
    Family,
}

const KEYS: [(&str, Key); 5] = [
    ("mimetype", Key::MimeType),
    ("filesize", Key::FileSize),
    ("sha256", Key::Sha256),
    ("filename", Key::FileName),
    ("family", Key::Family),
];

#[derive(Clone, Debug)]
enum Test {
    /// The value stands so to the announced one.
    Compare(&'static [Ordering]),
    Contains,
    StartsWith,
    EndsWith,
    Regex(Box<Regex>),
}

const OPERATORS: [&str; 9] = ["<", "<=", "==", ">=", ">", "contains", "startswith", "endswith", "regex"];

/// One rule.
#[derive(Clone, Debug)]
struct Rule {
    key: Key,
    test: Test,
    value: String,
}

/// Why a rule is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FilterError {
    /// It is not of the form.
    #[error("`{0}` is no rule; write KEY OPERATOR VALUE, as in `mimetype startswith application/`")]
    Malformed(String),
    /// There is no such key.
    #[error("`{rule}`: there is no `{key}`; there are `mimetype`, `filesize`, `sha256`, `filename` and `family`")]
    UnknownKey { rule: String, key: String },
    /// There is no such operator.
    #[error("`{rule}`: there is no `{operator}`; there are `{}`", OPERATORS.join("`, `"))]
    UnknownOperator { rule: String, operator: String },
    /// The regular expression is none.
    #[error("`{rule}`: {problem}")]
    BadRegex { rule: String, problem: String },
    /// Confidence cannot depend on a family.
    #[error("`{0}`: a family is known only after the scan; use it to accept or reject")]
    Family(String),
}

impl FromStr for Rule {
    type Err = FilterError;

    fn from_str(rule: &str) -> Result<Rule, FilterError> {
        let shown = || rule.chars().take(100).flat_map(char::escape_debug).collect::<String>();
        let malformed = || FilterError::Malformed(shown());
        let (key, rest) = rule.trim().split_once(char::is_whitespace).ok_or_else(malformed)?;
        let (operator, value) = rest.trim_start().split_once(char::is_whitespace).ok_or_else(malformed)?;
        let known = KEYS.iter().find(|(name, _)| *name == key);
        let key = known.ok_or_else(|| FilterError::UnknownKey { rule: shown(), key: key.escape_debug().to_string() })?.1;
        let value = value.trim().to_owned();
        let test = match operator {
            "<" => Test::Compare(&[Ordering::Less]),
            "<=" => Test::Compare(&[Ordering::Less, Ordering::Equal]),
            "==" => Test::Compare(&[Ordering::Equal]),
            ">=" => Test::Compare(&[Ordering::Greater, Ordering::Equal]),
            ">" => Test::Compare(&[Ordering::Greater]),
            "contains" => Test::Contains,
            "startswith" => Test::StartsWith,
            "endswith" => Test::EndsWith,
            "regex" => {
                let regex = regex::RegexBuilder::new(&format!("^(?:{value})")).size_limit(REGEX_LIMIT).build();
                let problem = |error: regex::Error| error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
                Test::Regex(Box::new(regex.map_err(|error| FilterError::BadRegex { rule: shown(), problem: problem(error) })?))
            }
            other => return Err(FilterError::UnknownOperator { rule: shown(), operator: other.escape_debug().to_string() }),
        };
        Ok(Rule { key, test, value })
    }
}

impl Rule {
    fn holds(&self, announced: Option<&str>) -> bool {
        let Some(announced) = announced else { return false };
        match &self.test {
            Test::Compare(wanted) => {
                let numbers = announced.parse::<f64>().ok().zip(self.value.parse::<f64>().ok());
                let order = match numbers {
                    Some((announced, value)) => announced.partial_cmp(&value),
                    None => Some(announced.cmp(&self.value)),
                };
                order.is_some_and(|order| wanted.contains(&order))
            }
            Test::Contains => announced.contains(&self.value),
            Test::StartsWith => announced.starts_with(&self.value),
            Test::EndsWith => announced.ends_with(&self.value),
            Test::Regex(regex) => regex.is_match(announced),
        }
    }

    fn holds_of(&self, announced: &Announced) -> bool {
        let size;
        self.holds(match self.key {
            Key::MimeType => announced.mimetype.as_deref(),
            Key::FileSize => {
                size = announced.filesize.map(|size| size.to_string());
                size.as_deref()
            }
            Key::Sha256 => announced.sha256.as_deref(),
            Key::FileName => announced.filename.as_deref(),
            Key::Family => None,
        })
    }
}

/// Rules to accept and to reject.
#[derive(Clone, Debug, Default)]
struct Gate {
    accept: Vec<Rule>,
    reject: Vec<Rule>,
}

impl Gate {
    fn lets(&self, holds: impl Fn(&Rule) -> bool) -> bool {
        (self.accept.is_empty() || self.accept.iter().any(&holds)) && !self.reject.iter().any(holds)
    }
}

/// The rules of an engine, ready for use.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    artifacts: Gate,
    families: Gate,
    favor: Vec<Rule>,
    penalize: Vec<Rule>,
}

impl Filter {
    /// Reads the rules.
    ///
    /// # Errors
    ///
    /// If one is none.
    pub fn new(config: &FilterConfig) -> Result<Filter, FilterError> {
        let rules = |rules: &[String]| rules.iter().map(|rule| rule.parse::<Rule>()).collect::<Result<Vec<_>, _>>();
        let split = |texts: &[String]| -> Result<(Vec<Rule>, Vec<Rule>), FilterError> {
            Ok(rules(texts)?.into_iter().partition(|rule| rule.key == Key::Family))
        };
        let before = |texts: &[String]| -> Result<Vec<Rule>, FilterError> {
            let rules = rules(texts)?;
            match texts.iter().zip(&rules).find(|(_, rule)| rule.key == Key::Family) {
                Some((text, _)) => Err(FilterError::Family(text.escape_debug().to_string())),
                None => Ok(rules),
            }
        };
        let ((accepted, accept), (rejected, reject)) = (split(&config.accept)?, split(&config.reject)?);
        Ok(Filter {
            artifacts: Gate { accept, reject },
            families: Gate { accept: accepted, reject: rejected },
            favor: before(&config.favor)?,
            penalize: before(&config.penalize)?,
        })
    }

    /// True if such an artifact is dealt with.
    pub fn accepts(&self, announced: &Announced) -> bool {
        self.artifacts.lets(|rule| rule.holds_of(announced))
    }

    /// True if it treats all artifacts alike.
    pub fn is_idle(&self) -> bool {
        [&self.artifacts.accept, &self.artifacts.reject, &self.favor, &self.penalize].iter().all(|rules| rules.is_empty())
    }

    /// True if a rule asks for the names of files.
    pub fn asks_for_names(&self) -> bool {
        let rules = [&self.artifacts.accept, &self.artifacts.reject, &self.favor, &self.penalize];
        rules.into_iter().flatten().any(|rule| rule.key == Key::FileName)
    }

    /// Factor on the confidence in a verdict on such an artifact, for a bid; 0 if it is left alone.
    pub fn factor(&self, announced: &Announced) -> f64 {
        if !self.accepts(announced) {
            return 0.0;
        }
        let any = |rules: &[Rule]| rules.iter().any(|rule| rule.holds_of(announced));
        match (any(&self.favor), any(&self.penalize)) {
            (true, false) => FAVOURED,
            (false, true) => PENALISED,
            _ => 1.0,
        }
    }

    /// What a finding comes to: nothing, if it names a family that does not count.
    pub fn result(&self, result: ScanResult, family: Option<&str>) -> ScanResult {
        let counts = result.malicious != Some(true) || self.families.lets(|rule| rule.holds(family));
        if counts { result } else { ScanResult::NONE }
    }

    /// As [`Filter::result`].
    pub fn finding(&self, finding: &Finding) -> ScanResult {
        self.result(finding.result, finding.family.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(accept: &[&str], reject: &[&str], favor: &[&str], penalize: &[&str]) -> Filter {
        let owned = |rules: &[&str]| rules.iter().map(|&rule| rule.to_owned()).collect();
        let config = FilterConfig { accept: owned(accept), reject: owned(reject), favor: owned(favor), penalize: owned(penalize) };
        Filter::new(&config).unwrap()
    }

    fn announced(mimetype: &str, filesize: u64) -> Announced {
        Announced { mimetype: Some(mimetype.to_owned()), filesize: Some(filesize), ..Announced::default() }
    }

    #[test]
    fn every_operator_means_what_it_says() {
        let holds = |rule: &str| filter(&[rule], &[], &[], &[]).accepts(&announced("application/zip", 900));
        for (rule, expected) in [
            ("mimetype == application/zip", true),
            ("mimetype == application", false),
            ("mimetype startswith application/", true),
            ("mimetype endswith zip", true),
            ("mimetype contains cat", true),
            ("mimetype regex app.*/z", true),
            ("mimetype regex zip", false),
            ("filesize < 1000", true),
            ("filesize <= 900", true),
            ("filesize > 1000", false),
            ("filesize >= 900.0", true),
            ("filesize  ==  900 ", true),
            ("filename contains x", false),
            ("sha256 startswith 0", false),
        ] {
            assert_eq!(holds(rule), expected, "{rule}");
        }
    }

    #[test]
    fn one_to_accept_is_enough_and_one_to_reject_too_much() {
        let filter = filter(&["mimetype startswith text/", "filesize < 10"], &["mimetype contains html"], &[], &[]);
        let accepts = |mimetype, size| filter.accepts(&announced(mimetype, size));
        assert!(accepts("text/plain", 100) && accepts("image/png", 5));
        assert!(!accepts("image/png", 100) && !accepts("text/html", 5));
        assert!(!filter.accepts(&Announced::default()), "nothing announced is nothing accepted");
        assert!(Filter::default().accepts(&Announced::default()));
    }

    #[test]
    fn favour_and_penalty_offset_each_other() {
        let filter = filter(&[], &[], &["filesize < 10"], &["mimetype == text/plain"]);
        let factor = |mimetype, size| filter.factor(&announced(mimetype, size));
        assert_eq!(
            [factor("image/png", 5), factor("text/plain", 50), factor("text/plain", 5), factor("image/png", 50)],
            [1.2, 0.8, 1.0, 1.0]
        );
    }

    #[test]
    fn a_family_that_does_not_count_is_no_answer_and_no_reason_to_skip_an_artifact() {
        let filter = filter(&["family startswith Win."], &["family contains PUA"], &[], &[]);
        assert!(filter.accepts(&announced("text/plain", 1)));
        let counts = |malicious, family| filter.result(ScanResult::verdict(malicious), family).malicious;
        assert_eq!(counts(true, Some("Win.Emotet")), Some(true));
        assert_eq!(counts(true, Some("Win.PUA.Toolbar")), None);
        assert_eq!(counts(true, Some("Linux.Mirai")), None);
        assert_eq!(counts(true, None), None);
        assert_eq!(counts(false, Some("Linux.Mirai")), Some(false), "benign has no family");
    }

    #[test]
    fn a_rule_that_is_none_says_what_is_wrong() {
        let error = |rule: &str| {
            let config = FilterConfig { favor: vec![rule.to_owned()], ..FilterConfig::default() };
            Filter::new(&config).unwrap_err().to_string()
        };
        assert!(error("mimetype").contains("KEY OPERATOR VALUE"));
        assert!(error("mime == x").contains("there is no `mime`"));
        assert!(error("mimetype = x").contains("there is no `=`"));
        assert!(error("mimetype regex (").contains("unclosed group"));
        assert!(error("mimetype regex a{1000}{1000}{1000}").contains("size limit"));
        assert!(error("family == x").contains("only after the scan"));
    }
}
