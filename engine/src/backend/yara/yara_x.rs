//! The library YARA-X, with the feature `yara-x`.
//!
//! A scanner takes longer to make than a small file to scan, and must stay on its thread: each thread keeps one for every set
//! of rules. Its clock ticks once a second for all scans together.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt, ptr,
    time::{Duration, Instant},
};

use yara_x::{Compiler, MetaValue, Rules, ScanError, Scanner, errors::CompileError as XError};

use super::{CompileError, MATCH_LIMIT, Meaning, Meta, Outcome, REMEDY_INCLUDE, REMEDY_RULE, RuleName, Source, namespace};
use crate::artifact::{Failure, FailureKind};

/// Compiled rules. Scanners borrow them on threads that may outlive every engine, so they stay until the process ends.
pub(super) struct Program {
    rules: &'static Rules,
}

thread_local! {
    /// The scanners of this thread that are not at work.
    static SCANNERS: RefCell<Vec<(&'static Rules, Scanner<'static>)>> = const { RefCell::new(Vec::new()) };
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
    Ok((Program { rules: Box::leak(Box::new(rules)) }, meanings))
}

impl Program {
    /// One that this thread has, or a new one.
    fn scanner(&self) -> Scanner<'static> {
        let known = SCANNERS.with_borrow_mut(|scanners| {
            let place = scanners.iter().position(|(rules, _)| ptr::eq(*rules, self.rules))?;
            Some(scanners.swap_remove(place).1)
        });
        known.unwrap_or_else(|| {
            let mut scanner = Scanner::new(self.rules);
            scanner.max_matches_per_pattern(MATCH_LIMIT as usize);
            scanner
        })
    }

    pub(super) fn scan(&self, content: &[u8], deadline: Instant) -> Result<Outcome, Failure> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left == Duration::ZERO {
            return Ok(Outcome { timed_out: true, ..Outcome::default() });
        }
        let mut scanner = self.scanner();
        // The current second may end at once: with one more, no scan is stopped before its deadline.
        scanner.set_timeout(left + Duration::from_secs(1));
        match scanner.scan(content) {
            Ok(results) => {
                let matched = results.matching_rules().map(|rule| (rule.namespace().to_owned(), rule.identifier().to_owned())).collect();
                // One that failed, or panicked, is not trusted again.
                SCANNERS.with_borrow_mut(|scanners| scanners.push((self.rules, scanner)));
                Ok(Outcome { matched, timed_out: false })
            }
            // It does not tell what matched before.
            Err(ScanError::Timeout) => Ok(Outcome { timed_out: true, ..Outcome::default() }),
            Err(error) => Err(Failure::new(FailureKind::BadAnswer, error.to_string())),
        }
    }
}
