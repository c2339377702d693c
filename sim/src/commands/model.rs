//! `sim model`: trains the baseline model of the `model` backend.

use std::{
    io::{Write, stderr},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow};
use clap::{Args, Subcommand};
use datasets::{CheckOptions, Corpus, CorpusError, Row, Truth};
use engine::{
    backend::model::linear::{Linear, Written},
    config::SIZE_LIMIT,
    features::Features,
    train::{self, Assessment},
};
use rayon::prelude::*;
use serde::Serialize;

use super::Format;
use crate::{
    exit::{Exit, OrExit},
    layout::{self, Align},
    progress::Progress,
    shipped,
    text::{self, thousands},
};

const EXAMPLES: &str = "\
Examples:
  sim model train my-corpus -o model.toml
  sim model train my-corpus -o model.toml --train-share 0.8 --ridge 10 --force
  sim model train starter -o model.toml --format json

An engine asks the model as a backend, with a path relative to its own file:
  [[backends]]
  kind = \"model\"
  file = \"model.toml\"";

/// Rows that are read and looked at together.
const CHUNK: usize = 256;
/// Artifacts of a class below which its rates say little.
const FEW: usize = 100;

/// Train a model for the `model` backend
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ModelArgs {
    #[command(subcommand)]
    command: ModelCommand,
}

#[derive(Debug, Subcommand)]
enum ModelCommand {
    /// Fit the baseline (logistic regression over the features of files) to a labelled corpus with files
    #[command(after_help = EXAMPLES)]
    Train(TrainArgs),
}

/// What is trained, and how.
#[derive(Debug, Args)]
struct TrainArgs {
    /// Corpus folder with the artifacts' files, or the name of a shipped corpus: `starter`
    #[arg(value_name = "CORPUS")]
    corpus: PathBuf,
    /// File to write the model to, in TOML
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Replace the file if there is one
    #[arg(long)]
    force: bool,
    /// Share of the artifacts to learn from, the earliest ones; the rest are the test
    #[arg(long, value_name = "SHARE", default_value_t = 0.7, value_parser = share)]
    train_share: f64,
    /// Penalty on large weights; the larger, the more cautious the model
    #[arg(long, value_name = "PENALTY", default_value_t = 1.0, value_parser = penalty)]
    ridge: f64,
    /// Probability from which the test calls an artifact malicious
    #[arg(long, value_name = "P", default_value_t = 0.5, value_parser = share)]
    threshold: f64,
    /// How the report is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Nothing on stderr but errors
    #[arg(long)]
    quiet: bool,
}

fn within(text: &str, low: f64, high: f64, expected: &str) -> Result<f64, String> {
    text.parse().ok().filter(|value| (low..=high).contains(value)).ok_or_else(|| format!("write a number {expected}"))
}

fn share(text: &str) -> Result<f64, String> {
    within(text, 0.01, 0.99, "from 0.01 to 0.99")
}

fn penalty(text: &str) -> Result<f64, String> {
    within(text, 1e-6, 1e9, "from 0.000001 to 1000000000")
}

/// One artifact to learn from, or to test with.
struct Example {
    first_seen: Option<i64>,
    features: Features,
    malicious: bool,
}

/// What came of a training.
#[derive(Clone, Debug, Serialize)]
struct TrainReport {
    corpus: String,
    corpus_sha256: String,
    /// `first_seen` or `row order`.
    split: &'static str,
    /// Where the test begins, if the split is by time.
    test_begins: Option<String>,
    features: usize,
    ridge: f64,
    threshold: f64,
    train: Assessment,
    test: Assessment,
    /// Artifacts that were left out: without a file, or with too large a one.
    left_out: u64,
    /// The features that weigh most, with their weights.
    largest: Vec<(String, f64)>,
    warnings: Vec<String>,
}

impl ModelArgs {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If the corpus is wrong or teaches nothing, or the model cannot be written.
    pub fn run(self, out: &mut dyn Write) -> Result<Exit> {
        match self.command {
            ModelCommand::Train(args) => args.run(out),
        }
    }
}

impl TrainArgs {
    fn run(self, out: &mut dyn Write) -> Result<Exit> {
        self.check_out().or_exit(Exit::Usage)?;
        let progress = Progress::new(self.quiet);
        let corpus = Corpus::open(&shipped::find(Some(&self.corpus)))?;
        if !corpus.has_files() {
            let name = text::plain(corpus.name());
            return Err(anyhow!("the corpus `{name}` has no files to learn from; name one whose table has a column `path`"))
                .or_exit(Exit::Usage);
        }
        let spinner = progress.spinner("checking the corpus");
        let summary = corpus.check(CheckOptions { files: false }, &mut |rows| spinner.set_position(rows))?;
        spinner.finish_and_clear();
        let bar = progress.phase("reading files", "artifacts", Some(summary.rows));
        let examples = read_examples(&corpus, &|rows| bar.inc(rows));
        bar.finish_and_clear();
        let (mut examples, left_out) = examples?;

        let by_time = !examples.is_empty() && examples.iter().all(|example| example.first_seen.is_some());
        if by_time {
            // Stable: within a second, by row.
            examples.sort_by_key(|example| example.first_seen);
        }
        let learn = (examples.len() as f64 * self.train_share).floor() as usize;
        let test_begins = examples.get(learn).and_then(|example| example.first_seen).filter(|_| by_time).map(text::moment);
        let rows: Vec<(Features, bool)> = examples.into_iter().map(|example| (example.features, example.malicious)).collect();
        let (learned, held_out) = rows.split_at(learn.min(rows.len()));
        let spinner = progress.waiting("fitting");
        let written = train::fit(learned, self.ridge).context("cannot train a model").or_exit(Exit::Usage);
        spinner.finish_and_clear();
        let written = written?;
        let model = Linear::new(&written).map_err(|problem| anyhow!("the trained model is refused: {problem}"))?;
        let assess = |rows: &[(Features, bool)]| {
            let scored: Vec<(f64, bool)> = rows.iter().map(|(features, label)| (model.probability(features.as_slice()), *label)).collect();
            train::assess(&scored, self.threshold)
        };
        let mut report = TrainReport {
            corpus: text::plain(corpus.name()),
            corpus_sha256: hex::encode(summary.sha256),
            split: if by_time { "first_seen" } else { "row order" },
            test_begins,
            features: written.features.len(),
            ridge: self.ridge,
            threshold: self.threshold,
            train: assess(learned),
            test: assess(held_out),
            left_out,
            largest: largest(&written),
            warnings: Vec::new(),
        };
        report.warnings = warnings(&report);
        self.write(&written, &report).or_exit(Exit::Usage)?;
        match self.format {
            Format::Text => out.write_all(report.text().as_bytes())?,
            Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?,
        }
        if !self.quiet {
            // Nobody has to listen.
            let _ = writeln!(stderr(), "wrote {}", text::shown(&self.out));
        }
        Ok(Exit::Success)
    }

    /// Checks, before the long work, that the model can be written.
    fn check_out(&self) -> Result<()> {
        let shown = text::shown(&self.out);
        if self.out.is_dir() {
            return Err(anyhow!("{shown} is a folder; name a file"));
        }
        if self.out.exists() && !self.force {
            return Err(anyhow!("{shown} exists; name another file, or replace it with `--force`"));
        }
        let folder = self.folder();
        if folder.is_dir() { Ok(()) } else { Err(anyhow!("{} is no folder; make it first", text::shown(folder))) }
    }

    /// The folder that the model is written to.
    fn folder(&self) -> &Path {
        self.out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// Writes the model as a whole, or not at all.
    fn write(&self, written: &Written, report: &TrainReport) -> Result<()> {
        let toml = toml::to_string(written).context("a model must be TOML")?;
        let figure = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
        let head = format!(
            "# Trained by sim {} on {}, sha256 {}, ridge {}.\n# Split by {}: {} to learn from, {} to test: AUC {}, log-loss {}.\n\n",
            env!("CARGO_PKG_VERSION"),
            report.corpus,
            report.corpus_sha256,
            report.ridge,
            report.split,
            report.train.malicious + report.train.benign,
            report.test.malicious + report.test.benign,
            figure(report.test.auc),
            figure(report.test.log_loss),
        );
        let shown = || format!("cannot write {}", text::shown(&self.out));
        // Whoever may read what this user writes may read the model.
        let readable = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        let mut part = tempfile::Builder::new().permissions(readable).tempfile_in(self.folder()).with_context(shown)?;
        part.write_all((head + &toml).as_bytes()).with_context(shown)?;
        part.persist(&self.out).with_context(shown)?;
        Ok(())
    }
}

/// All artifacts with their files, in order of rows, and how many were left out.
fn read_examples(corpus: &Corpus, done: &dyn Fn(u64)) -> Result<(Vec<Example>, u64)> {
    let (mut examples, mut left_out) = (Vec::new(), 0);
    let mut rows = corpus.rows()?;
    loop {
        let chunk: Vec<Row> = rows.by_ref().take(CHUNK).collect::<Result<_, _>>()?;
        if chunk.is_empty() {
            return Ok((examples, left_out));
        }
        let read: Vec<Option<Example>> = chunk.par_iter().map(|row| read_example(corpus, row)).collect::<Result<_, _>>()?;
        done(chunk.len() as u64);
        left_out += read.iter().filter(|example| example.is_none()).count() as u64;
        examples.extend(read.into_iter().flatten());
    }
}

/// One artifact; `None` if it has no file, or too large a one.
fn read_example(corpus: &Corpus, row: &Row) -> Result<Option<Example>, CorpusError> {
    if row.path.is_none() {
        return Ok(None);
    }
    match corpus.read_artifact(row, SIZE_LIMIT) {
        Ok(content) => {
            Ok(Some(Example { first_seen: row.first_seen, features: Features::of(&content), malicious: row.truth == Truth::Malicious }))
        }
        Err(CorpusError::ArtifactTooLarge { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The features that weigh most.
fn largest(written: &Written) -> Vec<(String, f64)> {
    let mut weights: Vec<(String, f64)> = written.features.iter().map(|(name, weight)| (name.clone(), weight.weight)).collect();
    weights.sort_by(|left, right| right.1.abs().total_cmp(&left.1.abs()));
    weights.truncate(10);
    weights
}

/// What a reader of the figures should know.
fn warnings(report: &TrainReport) -> Vec<String> {
    let mut warnings = Vec::new();
    let Assessment { malicious, benign, auc, .. } = report.test;
    if malicious == 0 || benign == 0 {
        let missing = if malicious == 0 { "malicious" } else { "benign" };
        warnings.push(format!(
            "the test has no {missing} artifact, so there is no AUC; take another --train-share, or a corpus that mixes both"
        ));
    } else if malicious.min(benign) < FEW {
        warnings
            .push(format!("the test has {malicious} malicious and {benign} benign artifacts: too few for more than a first impression"));
    }
    let share = |part: Assessment| part.malicious as f64 / (part.malicious + part.benign).max(1) as f64;
    if (share(report.train) - share(report.test)).abs() > 0.3 {
        let percent = |part| format!("{:.0} %", 100.0 * share(part));
        let (train, test) = (percent(report.train), percent(report.test));
        warnings
            .push(format!("{train} of what it learned from is malicious, but {test} of the test: label and {} go together", report.split));
    }
    if auc.is_some_and(|auc| auc < 0.55) {
        warnings.push("the AUC is that of a coin: the labels may be wrong, or these features say nothing about these files".to_owned());
    }
    if report.left_out > 0 {
        warnings.push(format!(
            "{} artifacts were left out: without a file, or larger than {} bytes",
            thousands(report.left_out),
            thousands(SIZE_LIMIT)
        ));
    }
    warnings
}

impl TrainReport {
    fn text(&self) -> String {
        let figure = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
        let mut rows = vec![["", "artifacts", "malicious", "benign", "AUC", "TPR", "FPR", "Brier", "log-loss"].map(str::to_owned).to_vec()];
        for (name, part) in [("learned from", self.train), ("test", self.test)] {
            let counts = [part.malicious + part.benign, part.malicious, part.benign].map(|count| thousands(count as u64));
            let figures = [part.auc, part.tpr, part.fpr, part.brier, part.log_loss].map(figure);
            rows.push([name.to_owned()].into_iter().chain(counts).chain(figures).collect());
        }
        let mut align = vec![Align::Left];
        align.resize(9, Align::Right);
        let begins = self.test_begins.as_ref().map_or(String::new(), |moment| format!(", the test begins at {moment}"));
        let mut text = format!(
            "Model of `{}`: logistic regression on {} features, ridge {}\nSplit by {}{begins}; threshold {}\n\n",
            self.corpus, self.features, self.ridge, self.split, self.threshold
        );
        text += &layout::columns(&align, &rows);
        text += "\nLargest weights, per standard deviation:\n";
        let weights: Vec<Vec<String>> =
            self.largest.iter().map(|(name, weight)| vec![format!("  {name}"), format!("{weight:+.3}")]).collect();
        text += &layout::columns(&[Align::Left, Align::Right], &weights);
        for warning in &self.warnings {
            text += &format!("\nwarning: {warning}");
        }
        if !self.warnings.is_empty() {
            text += "\n";
        }
        layout::folded(&text, layout::width())
    }
}
