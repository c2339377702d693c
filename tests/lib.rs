//! What the tests share: small corpora with recorded verdicts, and runs on them.

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use datasets::{ArtifactId, CheckOptions, Corpus, CorpusWriter, Manifest, ManifestEngine, Recorded, Row, Truth};
use engine::chance::Key;
use replay::{
    journal::{Finished, Journal},
    plan::{Setup, choose_backends},
    scenario::{RivalModel, Scenario},
    verdicts::VerdictTable,
    world::{self, ClosedBounty, Observer, Played},
};

/// Recorded engines of the corpora: the first is under test.
pub const ENGINES: [&str; 5] = ["own", "one", "two", "three", "four"];

/// Rows of a corpus: labels by coin, five engines that are right four times in five and silent once in ten.
pub fn rows(count: u64, seed: u64) -> Vec<Row> {
    let row = |number: u64| {
        let mut chance = Key::root(seed).with(number).stream();
        let malicious = chance.below(2) == 1;
        let mut id = [0; 32];
        id[..8].copy_from_slice(&number.to_be_bytes());
        id[8..16].copy_from_slice(&seed.to_be_bytes());
        let mut verdict = || (chance.below(10) > 0).then(|| Recorded { malicious: malicious == (chance.below(5) > 0), confidence: None });
        Row {
            line: number + 2,
            id: ArtifactId(id),
            truth: if malicious { Truth::Malicious } else { Truth::Benign },
            path: None,
            file_type: Some("pe32".into()),
            size: Some(100),
            family: None,
            first_seen: None,
            recorded: ENGINES.map(|_| verdict()).to_vec(),
        }
    };
    (0..count).map(row).collect()
}

/// Writes a corpus and opens it.
pub fn corpus(folder: &Path, rows: &[Row]) -> Corpus {
    let mut manifest = Manifest::new("test", "made by a test");
    manifest.engines = ENGINES.map(|name| ManifestEngine { name: name.to_owned(), verdict: None, confidence: None }).to_vec();
    let mut writer = CorpusWriter::create(folder, &manifest).expect("a new folder");
    for row in rows {
        writer.write(row).expect("a sound row");
    }
    writer.finish().expect("a folder that can be written");
    Corpus::open(folder).expect("a corpus written a moment ago")
}

/// A scenario for those corpora: recorded rivals, a wallet that is soon empty.
pub fn scenario() -> Scenario {
    let mut scenario = Scenario { seed: 7, ..Scenario::default() };
    scenario.rivals[0].model = RivalModel::Recorded;
    scenario.rivals[0].engines = ENGINES[1..].iter().map(|&name| name.to_owned()).collect();
    scenario.wallets.engine = "20 NCT".parse().expect("an amount");
    scenario
}

/// Checks corpus and scenario against each other.
pub fn setup(mut scenario: Scenario, corpus: Corpus) -> Arc<Setup> {
    choose_backends(&mut scenario.engine, &corpus).expect("recorded engines");
    let summary = corpus.check(CheckOptions { files: true }, &mut |_| {}).expect("a sound corpus");
    Arc::new(
        Setup::new(scenario, corpus, summary, Path::new("."))
            .and_then(|setup| setup.scanned(VerdictTable::default()))
            .expect("a scenario that fits"),
    )
}

/// Plays a run on so many threads; answers with what it came to and its journal.
pub fn play(setup: &Arc<Setup>, jobs: usize, watch: &mut (dyn FnMut(&ClosedBounty<'_>) + Send)) -> (Played, Vec<u8>, Finished) {
    struct Watch<'a>(&'a mut (dyn FnMut(&ClosedBounty<'_>) + Send));
    impl Observer for Watch<'_> {
        fn closed(&mut self, closed: &ClosedBounty<'_>) {
            (self.0)(closed);
        }
    }
    let threads = rayon::ThreadPoolBuilder::new().num_threads(jobs).build().expect("threads");
    threads.install(|| {
        let mut bytes = Vec::new();
        let mut journal = Journal::new(&mut bytes).expect("an encoder");
        let strategy = &setup.scenario.engine.strategy;
        let played = world::play(setup, strategy, &mut Watch(watch), Some(&mut journal), &AtomicBool::new(false), &mut |_| {})
            .expect("a run that holds");
        let finished = journal.finish().expect("memory to write to");
        (played, bytes, finished)
    })
}
