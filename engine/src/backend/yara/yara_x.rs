//! The library YARA-X, with the feature `yara-x`.
//!
//! Its scanner must stay on its thread, so that each scan makes its own; that takes microseconds. Its clock ticks once a
//! second for all scans together.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use yara_x::{Compiler, MetaValue, Rules, ScanError, Scanner, errors::CompileError as XError};

use super::{CompileError, MATCH_LIMIT, Meaning, Meta, Outcome, REMEDY_INCLUDE, REMEDY_RULE, RuleName, Source, namespace};
use crate::artifact::{Failure, FailureKind};

/// Compiled rules.
pub(super) struct Program {
    rules: Rules,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").finish_non_exhaustive()
    }
}

/// Compiles all, or says what is wrong with the first that does not compile.
pub(super) fn compile(sources: &[Source]) -> Result<(Program, BTreeMap<RuleName, Meaning>), CompileError> {
    let mut compiler = Compiler::new();
    // As forgiving about regular expressions as YARA, and as boreal.
    compiler.enable_includes(false).relaxed_re_syntax(true);
    for (index, source) in sources.iter().enumerate() {
        compiler.new_namespace(&namespace(index)).add_source(source.text.as_str()).map_err(|error| {
            let label = error.labels().next();
            let offset = label.as_ref().map_or(0, |label| label.span().start());
            let detail = label.as_ref().map_or("", |label| label.text());
            let problem = if detail.is_empty() { error.title().to_owned() } else { format!("{}: {detail}", error.title()) };
            let include = matches!(error, XError::IncludeNotAllowed(_));
            CompileError::at(source, offset, &problem, if include { REMEDY_INCLUDE } else { REMEDY_RULE })
        })?;
    }
    let rules = compiler.build();
    let meanings = rules
        .iter()
        .filter(|rule| !rule.is_private() && !rule.is_global())
        .map(|rule| {
            let tags = rule.tags().map(|tag| tag.identifier());
            let metadata = rule.metadata().map(|(key, value)| {
                let value = match value {
                    MetaValue::String(text) => Meta::Text(text),
                    MetaValue::Integer(number) => Meta::Number(number as f64),
                    MetaValue::Float(number) => Meta::Number(number),
                    // With escapes in it, if not more.
                    MetaValue::Bytes(bytes) => std::str::from_utf8(bytes).map_or(Meta::Other, Meta::Text),
                    MetaValue::Bool(_) => Meta::Other,
                };
                (key, value)
            });
            ((rule.namespace().to_owned(), rule.identifier().to_owned()), Meaning::of(tags, metadata))
        })
        .collect();
    Ok((Program { rules }, meanings))
}

impl Program {
    pub(super) fn scan(&self, content: &[u8], deadline: Instant) -> Result<Outcome, Failure> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left == Duration::ZERO {
            return Ok(Outcome { timed_out: true, ..Outcome::default() });
        }
        let mut scanner = Scanner::new(&self.rules);
        // The current second may end at once: with one more, no scan is stopped before its deadline.
        scanner.set_timeout(left + Duration::from_secs(1)).max_matches_per_pattern(MATCH_LIMIT as usize);
        match scanner.scan(content) {
            Ok(results) => Ok(Outcome {
                matched: results.matching_rules().map(|rule| (rule.namespace().to_owned(), rule.identifier().to_owned())).collect(),
                timed_out: false,
            }),
            // It does not tell what matched before.
            Err(ScanError::Timeout) => Ok(Outcome { timed_out: true, ..Outcome::default() }),
            Err(error) => Err(Failure::new(FailureKind::BadAnswer, error.to_string())),
        }
    }
}
