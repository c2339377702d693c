//! The shipped corpus `panel`: recorded verdicts of engines that behave like real ones, drawn from the fitted profiles.
//!
//! No artifact stands behind a row; its SHA-256 is the hash of the row's own name. Verdicts come from the same draws as
//! those of parametric rivals ([`rivals`](crate::rivals)): two factors per artifact, one noise per OEM cluster, skill
//! and abstention per file type, one factor on benign files.

use std::{path::Path, sync::Arc};

use datasets::{ArtifactId, CorpusError, CorpusWriter, Manifest, ManifestEngine, Recorded, Row, Truth};
use engine::chance::{Key, fnv1a64};
use market::ruleset::BOUNTY_REGISTRY_1_6_1;
use sha2::{Digest, Sha256};

use crate::{
    rivals::{Population, PopulationError, Surroundings, Target},
    scenario::{RivalConfig, RivalModel},
};

/// The engines of the panel: the first is the one under test where nobody says otherwise.
pub const ENGINES: [&str; 20] = [
    "K7GW",
    "ClamAV",
    "Ikarus",
    "NANO-Antivirus",
    "DrWeb",
    "Qihoo-360",
    "Jiangmin",
    "Rising",
    "Zillya",
    "VBA32",
    "Alibaba",
    "K7AntiVirus",
    "AegisLab",
    "Kaspersky",
    "Microsoft",
    "ESET-NOD32",
    "Avast",
    "BitDefender",
    "Emsisoft",
    "Symantec",
];
/// File types, their share of the artifacts, and of which share is malicious.
const TYPES: [(&str, f64, f64); 4] = [("pe32", 0.55, 0.5), ("apk", 0.25, 0.3), ("jar", 0.12, 0.4), ("php", 0.08, 0.3)];
/// Families per file type; the k-th is k times rarer than the first.
const FAMILIES: usize = 24;
/// Second of the first artifact: 2024-01-01, and mean seconds to the next.
const FIRST_SEEN: i64 = 1_704_067_200;
const SECONDS_APART: f64 = 45.0;

/// Why the corpus could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PanelError {
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    #[error(transparent)]
    Population(#[from] PopulationError),
}

/// Writes a panel of `rows` artifacts into the new folder `folder`; `progress` hears how many are written.
///
/// # Errors
///
/// If the folder exists or cannot be written.
pub fn write(folder: &Path, rows: u64, seed: u64, progress: &mut dyn FnMut(u64)) -> Result<(), PanelError> {
    let mut manifest = Manifest::new("panel", "recorded verdicts of 20 engines, drawn from figures fitted on real ones");
    manifest.license = Some("CC0-1.0".to_owned());
    manifest.source = Some(format!("`sim corpus panel DIR --rows {rows} --seed {seed}`"));
    manifest.engines = ENGINES.map(|name| ManifestEngine { name: name.to_owned(), verdict: None, confidence: None }).to_vec();
    let mut writer = CorpusWriter::create(folder, &manifest)?;

    let types = TYPES.map(|(name, ..)| name);
    let config = RivalConfig {
        model: RivalModel::TwoFactor,
        engines: ENGINES.map(str::to_owned).to_vec(),
        strategies: vec!["null/min".to_owned()],
        ..RivalConfig::default()
    };
    let surroundings = Surroundings {
        rules: &BOUNTY_REGISTRY_1_6_1,
        columns: &[],
        rates: &[],
        own_columns: &[],
        types: &types,
        duration: 1,
        folder: Path::new("."),
    };
    let population = Population::new(&[config], &surroundings)?;
    let seed_key = Key::root(seed).named("panel");
    let (mut clock, mut plans) = (0.0, Vec::new());
    for number in 0..rows {
        let at = seed_key.with(number);
        let mut chance = at.named("artifact").stream();
        let (file_type, malicious_share) = pick_type(chance.uniform());
        let malicious = chance.uniform() < malicious_share;
        let family = malicious.then(|| format!("{file_type}.{}", pick_family(chance.uniform())));
        let size = (libm::exp(8.0 + 5.0 * chance.uniform())) as u64;
        clock -= SECONDS_APART * libm::log(1.0 - chance.uniform());
        let target =
            Target { malicious, file_type: population.type_number(file_type), family: family.as_deref().map(fnv1a64), recorded: &[] };
        plans.clear();
        population.plan(at, seed_key, &[target], &mut plans);
        let mut recorded = vec![None; ENGINES.len()];
        for plan in &plans {
            recorded[plan.rival] = Some(Recorded { malicious: plan.verdicts.contains(0), confidence: None });
        }
        let id = ArtifactId(Sha256::digest(format!("panel:{seed}:{number}")).into());
        let truth = if malicious { Truth::Malicious } else { Truth::Benign };
        writer.write(&Row {
            line: number + 2,
            id,
            truth,
            path: None,
            file_type: Some(Arc::from(file_type)),
            size: Some(size),
            family: family.map(Arc::from),
            first_seen: Some(FIRST_SEEN + clock as i64),
            recorded,
        })?;
        progress(number + 1);
    }
    writer.finish()?;
    Ok(())
}

fn pick_type(mut uniform: f64) -> (&'static str, f64) {
    for (name, share, malicious) in TYPES {
        if uniform < share {
            return (name, malicious);
        }
        uniform -= share;
    }
    (TYPES[0].0, TYPES[0].2)
}

/// A family by Zipf's law.
fn pick_family(uniform: f64) -> String {
    let total: f64 = (1..=FAMILIES).map(|rank| 1.0 / rank as f64).sum();
    let mut left = uniform * total;
    for rank in 1..=FAMILIES {
        left -= 1.0 / rank as f64;
        if left < 0.0 {
            return format!("family{rank:02}");
        }
    }
    format!("family{FAMILIES:02}")
}
