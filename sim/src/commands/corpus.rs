//! `sim corpus`: what is in a corpus, whether it is sound, and one to begin with.

use std::{
    cmp::Reverse,
    io::{Write, stderr},
    path::{Path, PathBuf},
};

use anyhow::Result;
use clap::{Args, Subcommand};
use datasets::{ArtifactKind, CheckOptions, Corpus, CorpusSummary, Truth, starter};
use replay::panel;
use serde_json::{Value, json};

use super::Format;
use crate::{
    exit::{Exit, OrExit},
    layout::{self, Align},
    progress::{Bar, Progress},
    shipped,
    text::{self, thousands},
};

const EXAMPLES: &str = "\
Examples:
  sim corpus starter my-corpus          small files that engines can scan
  sim corpus panel big --rows 200000    recorded verdicts of twenty engines
  sim corpus info my-corpus             what is in it, and who was right
  sim corpus check my-corpus --files    every row, and every file's hash";

/// Look into a corpus, check it, or write the starter corpus
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CorpusArgs {
    #[command(subcommand)]
    command: CorpusCommand,
}

#[derive(Debug, Subcommand)]
enum CorpusCommand {
    /// What is in a corpus: counts, file types, times, recorded engines
    Info {
        /// Corpus folder, verdict matrix (.csv or .csv.gz), or the name of a shipped corpus
        corpus: PathBuf,
        /// How it is printed
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        /// Nothing on stderr but errors
        #[arg(long)]
        quiet: bool,
    },
    /// Check a corpus from first row to last
    Check {
        /// Corpus folder, verdict matrix (.csv or .csv.gz), or the name of a shipped corpus
        corpus: PathBuf,
        /// Also hash every artifact's file and compare it with the table
        #[arg(long)]
        files: bool,
        /// Nothing on stderr but errors
        #[arg(long)]
        quiet: bool,
    },
    /// Write a panel: recorded verdicts of twenty engines, drawn from figures fitted on real ones
    Panel {
        /// Folder to write; must not exist yet
        dir: PathBuf,
        /// Artifacts
        #[arg(long, default_value_t = 6000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
        rows: u64,
        /// Seed of every draw
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Nothing on stderr but errors
        #[arg(long)]
        quiet: bool,
    },
    /// Write the starter corpus: sixty small generated files that engines can really scan
    Starter {
        /// Folder to write; must not exist yet
        dir: PathBuf,
        /// Nothing on stderr but errors
        #[arg(long)]
        quiet: bool,
    },
}

impl CorpusArgs {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If the corpus is wrong, or the output cannot be written.
    pub fn run(self, out: &mut dyn Write) -> Result<Exit> {
        match self.command {
            CorpusCommand::Info { corpus, format, quiet } => info(&corpus, format, Progress::new(quiet), out)?,
            CorpusCommand::Check { corpus, files, quiet } => check(&corpus, files, Progress::new(quiet), out)?,
            CorpusCommand::Panel { dir, rows, seed, quiet } => {
                let bar = Progress::new(quiet).phase("drawing a panel", "artifacts", Some(rows));
                panel::write(&dir, rows, seed, &mut |rows| bar.set_position(rows)).or_exit(Exit::Usage)?;
                bar.finish_and_clear();
                tell(quiet, format!("wrote a panel of {} artifacts to {}", thousands(rows), text::shown(&dir)));
            }
            CorpusCommand::Starter { dir, quiet } => {
                starter::write_starter(&dir)?;
                let shown = text::shown(&dir);
                tell(quiet, format!("wrote the starter corpus to {shown}; play it with `sim replay {shown}`"));
            }
        }
        Ok(Exit::Success)
    }
}

fn tell(quiet: bool, what: String) {
    if !quiet {
        // Nobody has to listen.
        let _ = writeln!(stderr(), "{what}");
    }
}

fn check(path: &Path, files: bool, progress: Progress, out: &mut dyn Write) -> Result<()> {
    let corpus = Corpus::open(&shipped::find(Some(path)))?;
    let mut summary = checked(&corpus, progress)?;
    if files {
        // What is wrong with the table is known before the long work, and how long that is.
        let bar = progress.phase("hashing files", "artifacts", Some(summary.rows));
        summary = corpus.check(CheckOptions { files }, &mut |rows| bar.set_position(rows))?;
    }
    let (rows, malicious, benign) = (thousands(summary.rows), thousands(summary.malicious), thousands(summary.benign));
    write!(out, "ok: {rows} artifacts, {malicious} malicious, {benign} benign")?;
    if files {
        write!(out, ", {} files agree", thousands(summary.files))?;
    }
    writeln!(out, "; sha256 {}", hex::encode(summary.sha256))?;
    Ok(())
}

fn checked(corpus: &Corpus, progress: Progress) -> Result<CorpusSummary> {
    let spinner = progress.spinner("checking the corpus");
    Ok(corpus.check(CheckOptions::default(), &mut |rows| spinner.set_position(rows))?)
}

/// What one recorded engine said, counted.
#[derive(Clone, Copy, Default)]
struct Said {
    /// Malicious artifacts: called malicious, and with a verdict.
    malicious: (u64, u64),
    /// Benign artifacts: called malicious, and with a verdict.
    benign: (u64, u64),
}

impl Said {
    fn coverage(&self, rows: u64) -> Option<f64> {
        share((self.malicious.1 + self.benign.1, rows))
    }
}

fn share((part, whole): (u64, u64)) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// One pass over the rows for all recorded engines.
fn recorded(corpus: &Corpus, bar: &Bar) -> Result<Vec<Said>> {
    let mut engines = vec![Said::default(); corpus.engines().len()];
    if engines.is_empty() {
        return Ok(engines);
    }
    for (done, row) in (1..).zip(corpus.rows()?) {
        let row = row?;
        bar.set_position(done);
        for (engine, said) in engines.iter_mut().zip(&row.recorded) {
            let Some(said) = said else { continue };
            let counts = if row.truth == Truth::Malicious { &mut engine.malicious } else { &mut engine.benign };
            counts.0 += u64::from(said.malicious);
            counts.1 += 1;
        }
    }
    Ok(engines)
}

fn info(path: &Path, format: Format, progress: Progress, out: &mut dyn Write) -> Result<()> {
    let corpus = Corpus::open(&shipped::find(Some(path)))?;
    let summary = checked(&corpus, progress)?;
    let bar = progress.phase("counting verdicts", "artifacts", Some(summary.rows));
    let engines = recorded(&corpus, &bar)?;
    bar.finish_and_clear();
    match format {
        Format::Text => info_text(&corpus, &summary, &engines, out),
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, &info_json(&corpus, &summary, &engines))?;
            Ok(writeln!(out)?)
        }
    }
}

fn kind(corpus: &Corpus) -> &'static str {
    match corpus.kind() {
        ArtifactKind::File => "files",
        ArtifactKind::Url => "urls",
    }
}

fn info_json(corpus: &Corpus, summary: &CorpusSummary, engines: &[Said]) -> Value {
    let types: serde_json::Map<String, Value> = summary
        .types
        .iter()
        .map(|(name, (malicious, benign))| (name.clone(), json!({ "malicious": malicious, "benign": benign })))
        .collect();
    let engines = corpus.engines().iter().zip(engines).map(|(column, said)| {
        json!({
            "name": column.name,
            "has_confidence": column.has_confidence,
            "coverage": said.coverage(summary.rows),
            "tpr": share(said.malicious),
            "fpr": share(said.benign),
        })
    });
    json!({
        "name": corpus.name(),
        "title": corpus.title(),
        "license": corpus.license(),
        "source": corpus.source(),
        "kind": kind(corpus),
        "has_files": corpus.has_files(),
        "sha256": hex::encode(summary.sha256),
        "rows": summary.rows,
        "malicious": summary.malicious,
        "benign": summary.benign,
        "types": types,
        "first_seen": summary.first_seen.map(|(earliest, latest)| json!({ "earliest": text::moment(earliest), "latest": text::moment(latest) })),
        "undated": summary.undated,
        "in_time_order": summary.in_time_order,
        "engines": engines.collect::<Vec<_>>(),
    })
}

/// File types that the text shows; the rest are one line.
const TYPES_SHOWN: usize = 20;

fn info_text(corpus: &Corpus, summary: &CorpusSummary, engines: &[Said], out: &mut dyn Write) -> Result<()> {
    let percent = |part: u64| format!("{:.1} %", 100.0 * share((part, summary.rows)).unwrap_or(0.0));
    let mut facts = vec![("name", text::plain(corpus.name())), ("title", text::plain(corpus.title()))];
    facts.extend(corpus.license().map(|license| ("license", text::plain(license))));
    facts.extend(corpus.source().map(|source| ("source", text::plain(source))));
    facts.push(("sha256", hex::encode(summary.sha256)));
    let with_files = if corpus.has_files() { ", with their content" } else { "" };
    facts.push(("artifacts", format!("{} {}{with_files}", thousands(summary.rows), kind(corpus))));
    facts.push(("malicious", format!("{} ({})", thousands(summary.malicious), percent(summary.malicious))));
    facts.push(("benign", format!("{} ({})", thousands(summary.benign), percent(summary.benign))));
    facts.push((
        "first seen",
        match summary.first_seen {
            None => "not given".to_owned(),
            Some((earliest, latest)) => {
                let order = if summary.in_time_order { ", in order" } else { "" };
                let undated = if summary.undated > 0 { format!(", {} without", thousands(summary.undated)) } else { String::new() };
                format!("{} to {}{order}{undated}", text::moment(earliest), text::moment(latest))
            }
        },
    ));
    let rows: Vec<Vec<String>> = facts.into_iter().map(|(name, fact)| vec![name.to_owned(), fact]).collect();
    out.write_all(layout::columns(&[Align::Left, Align::Left], &rows).as_bytes())?;

    let mut types: Vec<(&str, (u64, u64))> = summary.types.iter().map(|(name, counts)| (name.as_str(), *counts)).collect();
    types.sort_by_key(|(_, (malicious, benign))| Reverse(malicious + benign));
    let mut rows = vec![["file type", "malicious", "benign"].map(str::to_owned).to_vec()];
    let row = |name: String, (malicious, benign)| vec![name, thousands(malicious), thousands(benign)];
    rows.extend(types.iter().take(TYPES_SHOWN).map(|(name, counts)| row(text::cut(name, 40), *counts)));
    if types.len() > TYPES_SHOWN {
        let rest = types[TYPES_SHOWN..].iter().fold((0, 0), |sum, (_, counts)| (sum.0 + counts.0, sum.1 + counts.1));
        rows.push(row(format!("{} more", types.len() - TYPES_SHOWN), rest));
    }
    writeln!(out)?;
    out.write_all(layout::columns(&[Align::Left, Align::Right, Align::Right], &rows).as_bytes())?;

    writeln!(out)?;
    if engines.is_empty() {
        writeln!(out, "no recorded engines: an engine has to scan the artifacts itself")?;
        return Ok(());
    }
    let mut rows = vec![["recorded engine", "coverage", "TPR", "FPR"].map(str::to_owned).to_vec()];
    let rate = |rate: Option<f64>| rate.map_or("-".to_owned(), |rate| format!("{rate:.4}"));
    for (column, said) in corpus.engines().iter().zip(engines) {
        let name = text::cut(&column.name, 40);
        rows.push(vec![name, rate(said.coverage(summary.rows)), rate(share(said.malicious)), rate(share(said.benign))]);
    }
    out.write_all(layout::columns(&[Align::Left, Align::Right, Align::Right, Align::Right], &rows).as_bytes())?;
    Ok(())
}
