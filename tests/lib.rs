//! What the tests share: small corpora with recorded verdicts, and runs on them.

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use datasets::{ArtifactId, CheckOptions, Corpus, CorpusWriter, Manifest, ManifestEngine, Recorded, Row, Truth};
use engine::{
    calibrate::MapKind,
    chance::{Key, Stream},
    config::{BackendConfig, DistillerKind, EngineConfig},
    stake::CATALOGUE,
};
use market::ruleset;
use replay::{
    journal::{Finished, Journal},
    oracle::ORACLES,
    plan::{Setup, choose_backends},
    scenario::{Arrival, RivalModel, Scenario},
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
    let confident = rows.iter().flat_map(|row| row.recorded.iter().flatten()).any(|recorded| recorded.confidence.is_some());
    let confidence = |name| confident.then(|| format!("{name}_confidence"));
    manifest.engines = ENGINES.map(|name| ManifestEngine { name: name.to_owned(), verdict: None, confidence: confidence(name) }).to_vec();
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

/// Strategies of the catalogue with their defaults, those that need a parameter with one, and the oracles.
pub fn strategies() -> Vec<String> {
    // `command` runs a program.
    let of_catalogue = CATALOGUE.iter().filter(|entry| entry.name != "command").map(|entry| {
        match entry.parameters.iter().any(|parameter| parameter.default.is_empty()) {
            true if entry.name == "fixed" => "fixed?bid=0.7".to_owned(),
            true => format!("{}?{}", entry.name, "base=stock/default"),
            false => entry.name.to_owned(),
        }
    });
    of_catalogue
        .chain(["fixed?bid=2".to_owned(), "stock/default?cautious=true".to_owned()])
        .chain(ORACLES.iter().map(|oracle| oracle.name.to_owned()))
        .collect()
}

/// Any market.
pub fn any_scenario(chance: &mut Stream) -> Scenario {
    let mut pick = |count: u64| chance.below(count);
    let mut scenario = Scenario { seed: pick(1 << 40), ..scenario() };
    scenario.rules = ruleset::ALL[pick(2) as usize].name.to_owned();
    for (name, ..) in scenario.switches.all() {
        scenario.switches.set(name, pick(4) == 0);
    }
    let ambassadors = &mut scenario.ambassadors;
    ambassadors.artifacts = [1, 1, 2, 3, 9][pick(5) as usize];
    ambassadors.arrival = [Arrival::Poisson, Arrival::Fixed][pick(2) as usize];
    ambassadors.bounties_per_block = [0.02, 0.5, 6.0][pick(3) as usize];
    ambassadors.duration = [2, 8, 20][pick(3) as usize];
    scenario.market.reveal_window = [None, Some(1)][pick(2) as usize];
    scenario.market.vote_window = [None, Some(4), Some(40)][pick(3) as usize];
    if pick(3) == 0 {
        scenario.rivals[0].model = RivalModel::TwoFactor;
        scenario.rivals[0].engines = vec!["ClamAV".into(), "K7GW".into(), "DrWeb".into()];
    }
    scenario.rivals[0].strategies = ["stock/default", "stock/aggressive", "null/random", "fixed?bid=2"][..1 + pick(4) as usize]
        .iter()
        .map(|&name| name.to_owned())
        .collect();
    scenario.rivals[0].dropout = [0.0, 0.3][pick(2) as usize];
    scenario.rivals[0].latency_blocks = [0.5, 5.0][pick(2) as usize];
    scenario.rivals[0].per_bounty = [0, 2][pick(2) as usize];
    scenario.arbiters.count = [0, 1, 4, 5][pick(4) as usize];
    scenario.arbiters.error = [0.0, 0.3][pick(2) as usize];
    scenario.arbiters.abstain = [0.0, 0.6][pick(2) as usize];
    scenario.engine.backends =
        [vec![ENGINES[0]], vec![ENGINES[0], ENGINES[1]]][pick(2) as usize].iter().copied().map(BackendConfig::recorded).collect();
    if pick(3) == 0 {
        // The first 128 artifacts are left alone, at once; on the others it is less sure.
        scenario.engine.filter.reject = vec!["sha256 regex 00000000000000[0-7]".to_owned()];
        scenario.engine.filter.penalize = vec!["filesize < 200".to_owned()];
    }
    scenario.engine.scan.slots = 1 + pick(2) as u32;
    scenario.engine.scan.milliseconds = [1, 40_000, 150_000][pick(3) as usize];
    scenario
}

/// Any engine for that market, with that strategy.
pub fn any_engine(recorded: &EngineConfig, strategy: &str, chance: &mut Stream) -> EngineConfig {
    let mut pick = |count: u64| chance.below(count) as usize;
    let mut engine = EngineConfig { strategy: strategy.to_owned(), ..recorded.clone() };
    let kinds = [DistillerKind::LogOdds, DistillerKind::Majority, DistillerKind::StockAny, DistillerKind::Stack, DistillerKind::DawidSkene];
    engine.distiller.kind = kinds[pick(5)];
    engine.distiller.refit = 40;
    engine.calibration.map = [MapKind::None, MapKind::Platt, MapKind::Auto][pick(3)];
    for backend in &mut engine.backends {
        (backend.tpr, backend.fpr) = (Some(0.6 + 0.1 * pick(4) as f64), Some(0.05));
    }
    engine
}
