//! The library boreal: in every build that scans, quick to build and precise about time.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use boreal::{
    Compiler, MetadataValue, Scanner,
    compiler::CompilerParams,
    scanner::{ScanError, ScanParams},
};

use super::{CompileError, MATCH_LIMIT, Meaning, Meta, Outcome, REMEDY_INCLUDE, REMEDY_RULE, RuleName, Source, namespace};
use crate::artifact::{Failure, FailureKind};

/// Compiled rules.
#[derive(Debug)]
pub(super) struct Program {
    scanner: Scanner,
}

/// Compiles all, or says what is wrong with the first that does not compile.
pub(super) fn compile(sources: &[Source]) -> Result<(Program, BTreeMap<RuleName, Meaning>), CompileError> {
    let mut compiler = Compiler::new();
    compiler.set_params(CompilerParams::default().disable_includes(true));
    for (index, source) in sources.iter().enumerate() {
        compiler.add_rules_str_in_namespace(&source.text, namespace(index)).map_err(|error| {
            let diagnostic = error.to_diagnostic();
            let offset = diagnostic.labels.first().map_or(0, |label| label.range.start);
            let include = diagnostic.message == "includes are not allowed";
            CompileError::at(source, offset, &diagnostic.message, if include { REMEDY_INCLUDE } else { REMEDY_RULE })
        })?;
    }
    let scanner = compiler.finalize();
    let meanings = scanner
        .rules()
        .filter(|rule| !rule.is_private && !rule.is_global)
        .map(|rule| {
            let tags = rule.tags.iter().map(|tag| scanner.get_string_symbol(*tag));
            let metadata = rule.metadatas.iter().map(|metadata| {
                let value = match metadata.value {
                    MetadataValue::Bytes(text) => std::str::from_utf8(scanner.get_bytes_symbol(text)).map_or(Meta::Other, Meta::Text),
                    MetadataValue::Integer(number) => Meta::Number(number as f64),
                    MetadataValue::Boolean(_) => Meta::Other,
                };
                (scanner.get_string_symbol(metadata.name), value)
            });
            ((rule.namespace.to_owned(), rule.name.to_owned()), Meaning::of(tags, metadata))
        })
        .collect();
    Ok((Program { scanner }, meanings))
}

impl Program {
    pub(super) fn scan(&self, content: &[u8], deadline: Instant) -> Result<Outcome, Failure> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left == Duration::ZERO {
            return Ok(Outcome { timed_out: true, ..Outcome::default() });
        }
        // Cheap: compiled rules are shared, parameters are not.
        let mut scanner = self.scanner.clone();
        scanner.set_scan_params(ScanParams::default().timeout_duration(Some(left)).string_max_nb_matches(MATCH_LIMIT));
        let (result, timed_out) = match scanner.scan_mem(content) {
            Ok(result) => (result, false),
            Err((ScanError::Timeout, result)) => (result, true),
            Err((error, _)) => return Err(Failure::new(FailureKind::BadAnswer, error.to_string())),
        };
        let matched = result.rules.iter().map(|rule| (rule.namespace.to_owned(), rule.name.to_owned())).collect();
        Ok(Outcome { matched, timed_out })
    }
}
