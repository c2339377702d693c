//! An engine that is played against a tape does, earns and has at every moment what it does, earns and has in the world.

use std::sync::{Arc, atomic::AtomicBool};

use engine::{
    calibrate::MapKind,
    chance::{Key, Stream},
    config::{BackendConfig, DistillerKind, EngineConfig},
    stake::CATALOGUE,
};
use market::{
    block::BlockNumber,
    nct::{Nct, NctDelta},
    ruleset,
};
use replay::{
    follower::{Follower, Following, OwnBounty},
    oracle::ORACLES,
    plan::Setup,
    scenario::{Arrival, RivalModel, Scenario},
    tape::{Tape, TapeError},
    world::{self, NoJournal},
};
use tests::{ENGINES, corpus, rows, scenario, setup};

/// All that a follower sees, in order, as text.
#[derive(Default, PartialEq)]
struct Diary {
    pages: Vec<String>,
    asserted: usize,
    refused: usize,
    profit: NctDelta,
}

impl Follower for Diary {
    fn locked(&mut self, now: BlockNumber, locked: Nct) {
        self.pages.push(format!("{locked} locked in {now}"));
    }

    fn closed(&mut self, own: &OwnBounty<'_>) {
        self.asserted += usize::from(own.stake.is_some());
        self.refused += usize::from(matches!(own.decision, world::Decision::Refused(_)));
        self.profit += own.profit();
        self.pages.push(format!("{own:?} brought {:?}", own.profit()));
    }
}

const GO_ON: AtomicBool = AtomicBool::new(false);

/// Plays an engine in the world and against the tape, and compares them.
fn compare(tape: &Tape, engine: &EngineConfig, wallet: Nct, what: &str) -> Diary {
    let mut setup = Setup::clone(tape.setup());
    setup.scenario.engine = engine.clone();
    setup.scenario.wallets.engine = wallet;
    let mut world = Following(Diary::default());
    let played = world::play(&Arc::new(setup), &engine.strategy, &mut world, None::<&mut NoJournal>, &GO_ON, &mut |_| {})
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    let (world, mut taped) = (world.0, Diary::default());
    let replayed = tape.play(engine, wallet, &mut taped).unwrap_or_else(|error| panic!("{what}: {error}"));
    for (page, (world, taped)) in world.pages.iter().zip(&taped.pages).enumerate() {
        assert_eq!(world, taped, "{what}, page {page}");
    }
    assert_eq!(world.pages.len(), taped.pages.len(), "{what}");
    assert_eq!((played.closed, played.engine), (replayed.closed, replayed.engine), "{what}");
    assert_eq!((played.first_block, played.last_block), (replayed.first_block, replayed.last_block), "{what}");
    assert!(taped == world && taped.profit == replayed.engine, "{what}");
    taped
}

/// Strategies of the catalogue with their defaults, those that need a parameter with one, and the oracles.
fn strategies() -> Vec<String> {
    let of_catalogue = CATALOGUE.iter().map(|entry| match entry.parameters.iter().any(|parameter| parameter.default.is_empty()) {
        true if entry.name == "fixed" => "fixed?bid=0.7".to_owned(),
        true => format!("{}?{}", entry.name, "base=stock/default"),
        false => entry.name.to_owned(),
    });
    of_catalogue.chain(ORACLES.iter().map(|oracle| oracle.name.to_owned())).collect()
}

/// Any market.
fn any_scenario(chance: &mut Stream) -> Scenario {
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
    scenario.engine.scan.slots = 1 + pick(2) as u32;
    scenario.engine.scan.milliseconds = [1, 40_000, 150_000][pick(3) as usize];
    scenario
}

/// Any engine for that market, with that strategy.
fn any_engine(recorded: &EngineConfig, strategy: &str, chance: &mut Stream) -> EngineConfig {
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

#[test]
fn an_engine_does_earns_and_has_the_same_as_in_the_world() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(&folder.path().join("corpus"), &rows(240, 5));
    let strategies = strategies();
    let (mut asserted, mut refused) = (0, 0);
    for seed in 0..24 {
        let mut chance = Key::root(seed).named("tape").stream();
        let setup = setup(any_scenario(&mut chance), corpus.clone());
        let tape = Tape::record(&setup, &GO_ON).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        for turn in 0..4 {
            let strategy = &strategies[(4 * seed as usize + turn) % strategies.len()];
            let engine = any_engine(&setup.scenario.engine, strategy, &mut chance);
            let wallet = ["0 NCT", "3 NCT", "20 NCT", "1000 NCT"][chance.below(4) as usize].parse().unwrap();
            let diary = compare(&tape, &engine, wallet, &format!("seed {seed}, {strategy}, {wallet}"));
            asserted += diary.asserted;
            refused += diary.refused;
        }
    }
    assert!(asserted > 3_000 && refused > 20, "{asserted} assertions, {refused} refused");
}
