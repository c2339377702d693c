//! A run directory, read back: what `run.json` says of the run, and whether it can be played again.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow, bail};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::{run, text};

/// A longer `run.json` or `scenario.toml` is none of ours.
const FILE_LIMIT: u64 = 64 << 20;

/// What is read of `run.json`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct Record {
    schema: u32,
    /// What names the run.
    pub name: Name,
    /// Command that repeats it.
    pub command: String,
    scenario_toml_sha256: Option<String>,
    complete: bool,
    corpus: Corpus,
    engine: Engine,
}

/// See [`run::RunName`].
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct Name {
    /// Version of the program.
    pub version: String,
    /// SHA-256 of the scenario as it was typed.
    pub scenario_sha256: String,
    /// Of the corpus.
    pub corpus_sha256: String,
    /// Of all draws.
    pub seed: u64,
    /// Fingerprints of files and backends.
    pub inputs: Vec<String>,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
struct Corpus {
    name: String,
    path: Option<String>,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
struct Engine {
    strategy: String,
    profit: Money,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
struct Money {
    wei: String,
}

impl Record {
    /// Reads the folder of a run, and checks that it is one which can be played again.
    ///
    /// # Errors
    ///
    /// One sentence that says what is missing or wrong.
    pub fn read(folder: &Path) -> Result<Record> {
        let shown = text::shown(folder);
        if !folder.is_dir() {
            bail!("{shown} is not the folder of a run; name one that `sim replay --out` wrote");
        }
        let bytes = read(&folder.join("run.json"))?;
        let record: Record = serde_json::from_slice(&bytes)
            .map_err(|error| anyhow!("{}: this is not the record of a run: {error}", text::shown(&folder.join("run.json"))))?;
        if record.schema > run::SCHEMA {
            bail!("{shown} was written by a later version, sim {}; explain it with that", text::quote(&record.name.version));
        }
        if record.engine.strategy == run::EXTERNAL {
            bail!("{shown}: the engine of this run came from outside, and cannot be played again; explain a run of `sim replay`");
        }
        if !record.complete {
            bail!(
                "{shown}: this run was interrupted, so there is no profit to explain; play it to its end: {}",
                text::plain(&record.command)
            );
        }
        let Some(expected) = &record.scenario_toml_sha256 else {
            bail!(
                "{shown} was written by an earlier version, sim {}; play it again: {}",
                text::quote(&record.name.version),
                text::plain(&record.command)
            );
        };
        let found = hex::encode(Sha256::digest(read(&record.scenario(folder))?));
        if found != *expected {
            bail!(
                "{} is not the scenario of this run any more (sha256 {}, then {}); play it again with `sim replay --scenario`",
                text::shown(&record.scenario(folder)),
                &found[..12],
                text::cut(expected, 12)
            );
        }
        Ok(record)
    }

    /// The scenario of the run in that folder.
    pub fn scenario(&self, folder: &Path) -> PathBuf {
        folder.join("scenario.toml")
    }

    /// What names the run, as its first line on stderr.
    pub fn named(&self) -> String {
        let Name { version, scenario_sha256, corpus_sha256, seed, .. } = &self.name;
        let [scenario, corpus] = [scenario_sha256, corpus_sha256].map(|hash| text::plain(&hash.chars().take(12).collect::<String>()));
        let (version, name) = (text::cut(version, 30), text::cut(&self.corpus.name, 60));
        format!("run: sim {version}, scenario {scenario}, corpus {name} {corpus}, seed {seed}")
    }

    /// Where the corpus was.
    ///
    /// # Errors
    ///
    /// If it is not there any more.
    pub fn corpus(&self) -> Result<PathBuf> {
        let moved = |what: String| anyhow!("{what}; say where the corpus {} is now with --corpus", text::quote(&self.corpus.name));
        let path =
            self.corpus.path.as_ref().map(PathBuf::from).ok_or_else(|| moved("the run does not say where its corpus was".to_owned()))?;
        if path.exists() { Ok(path) } else { Err(moved(format!("{} is not there any more", text::shown(&path)))) }
    }

    /// Checks that a corpus is the one of the run.
    ///
    /// # Errors
    ///
    /// If it is another one.
    pub fn check_corpus(&self, path: &Path, sha256: [u8; 32]) -> Result<()> {
        let found = hex::encode(sha256);
        if found == self.name.corpus_sha256 {
            return Ok(());
        }
        bail!(
            "{} is not the corpus of this run (sha256 {}, then {}); name that one with --corpus, or play the run again",
            text::shown(path),
            &found[..12],
            text::cut(&self.name.corpus_sha256, 12)
        )
    }

    /// Checks that everything else that the run depended on is as it was.
    ///
    /// # Errors
    ///
    /// If a file that the scenario names has changed since.
    pub fn check_inputs(&self, inputs: &[String]) -> Result<()> {
        let differ = |(now, then): &(&String, &String)| now != then;
        match inputs.iter().zip(&self.name.inputs).find(differ) {
            None if inputs.len() == self.name.inputs.len() => Ok(()),
            None => bail!(
                "the run depended on {} files and backends, and now there are {}; play it again",
                self.name.inputs.len(),
                inputs.len()
            ),
            Some((now, _)) if now.starts_with("verdicts:") => bail!(
                "what the backends say, or how long they took, is not what it was in this run; if its verdicts were kept in another \
                 folder, name that with --cache, else play it again"
            ),
            Some((now, then)) => bail!(
                "a file or backend that the run depended on has changed since ({}, then {}); play it again",
                text::quote(now),
                text::quote(then)
            ),
        }
    }

    /// What the engine earned, in wei.
    pub fn profit(&self) -> &str {
        &self.engine.profit.wei
    }

    /// True if the engine asks a program how much to stake.
    pub fn asks_program(&self) -> bool {
        self.engine.strategy.contains("command?")
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let cannot = || format!("cannot read {}; name a folder that `sim replay --out` wrote", text::shown(path));
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(FILE_LIMIT + 1).read_to_end(&mut bytes)).with_context(cannot)?;
    if bytes.len() as u64 > FILE_LIMIT {
        bail!("{} is longer than {FILE_LIMIT} bytes, and cannot be that of a run", text::shown(path));
    }
    Ok(bytes)
}
