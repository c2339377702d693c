//! An engine that is played against a tape does, earns and has at every moment what it does, earns and has in the world.

use std::sync::{Arc, atomic::AtomicBool};

use engine::{
    chance::{Key, Stream},
    config::{BackendConfig, EngineConfig},
    distill::DistilledVerdict,
    market_view::MarketView,
    stake::{Stake, Staker},
};
use market::{
    block::BlockNumber,
    nct::{Nct, NctDelta},
    ruleset,
};
use replay::{
    follower::{Follower, Following, OwnBounty},
    plan::Setup,
    scenario::Scenario,
    tape::{Tape, TapeError},
    world::{self, NoJournal},
};
use tests::{any_engine, any_scenario, corpus, rows, scenario, setup, strategies};

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

static GO_ON: AtomicBool = AtomicBool::new(false);

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

#[test]
fn an_engine_does_earns_and_has_the_same_as_in_the_world() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(&folder.path().join("corpus"), &rows(240, 5));
    let strategies = strategies();
    let (mut asserted, mut refused) = (0, 0);
    for seed in 0..60 {
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

/// A tape of two hundred bounties, of the ordinary scenario but for what `change` changes.
fn tape_of(change: impl FnOnce(&mut Scenario)) -> Result<Tape, TapeError> {
    let folder = tempfile::tempdir().unwrap();
    let mut scenario = scenario();
    change(&mut scenario);
    Tape::record(&setup(scenario, corpus(&folder.path().join("corpus"), &rows(200, 3))), &GO_ON)
}

fn nct(text: &str) -> Nct {
    text.parse().unwrap()
}

#[test]
fn a_market_in_which_the_engine_could_leave_somebody_unable_to_pay_is_not_recorded() {
    let error = |change: fn(&mut Scenario)| tape_of(change).unwrap_err();
    // Rich enough alone, but for what an engine could win from them.
    let rivals = |scenario: &mut Scenario| scenario.wallets.rivals = nct("60 NCT");
    let error_of_rivals = error(rivals);
    assert!(matches!(error_of_rivals, TapeError::RivalShort { .. }), "{error_of_rivals}");
    assert!(error_of_rivals.to_string().contains("its wallet holds 60 NCT; play the world instead"), "{error_of_rivals}");
    // Poor with or without it.
    assert!(matches!(error(|scenario| scenario.wallets.rivals = nct("5 NCT")), TapeError::RivalShort { .. }));
    assert!(matches!(error(|scenario| scenario.wallets.ambassadors = nct("50 NCT")), TapeError::AmbassadorShort { .. }));
    // What ambassadors get back for want of assertions an engine could keep from them.
    let alone = |scenario: &mut Scenario| {
        scenario.rivals.clear();
        scenario.wallets.ambassadors = nct("250 NCT");
    };
    assert!(matches!(error(alone), TapeError::AmbassadorShort { .. }));
}

#[test]
fn rivals_of_a_taped_market_can_always_pay_whoever_wins() {
    // The poorest rivals that a tape takes, and an engine that takes the most from them.
    let wallets = (30..400).step_by(10).map(Nct::whole);
    let poorest = |wallet| tape_of(|scenario| scenario.wallets.rivals = wallet).ok();
    let tape = wallets.filter_map(poorest).next().expect("some wallet is enough");
    let mut setup = Setup::clone(tape.setup());
    setup.scenario.wallets.engine = Nct::whole(10_000);
    let played = world::play(&Arc::new(setup), "oracle/hindsight", &mut world::Blind, None::<&mut NoJournal>, &GO_ON, &mut |_| {}).unwrap();
    assert!(played.misses.iter().all(|misses| misses.unfunded == 0), "{:?}", played.misses);
    assert!(played.engine > NctDelta::ZERO && played.unposted == 0);
}

#[test]
fn an_engine_that_scans_otherwise_needs_a_tape_of_its_own() {
    let tape = tape_of(|_| {}).unwrap();
    let recorded = &tape.setup().scenario.engine;
    let check = |change: fn(&mut EngineConfig), what: &str| {
        let mut engine = recorded.clone();
        change(&mut engine);
        let error = tape.play(&engine, Nct::whole(10), &mut Diary::default()).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    };
    check(|engine| engine.backends = vec![BackendConfig::recorded("one")], "other backends");
    check(|engine| engine.backends.clear(), "other backends");
    check(|engine| engine.filter.reject.push("filesize < 7".to_owned()), "other filter");
    check(|engine| engine.scan.milliseconds += 1, "other scan times");
    check(|engine| engine.archives.depth += 1, "other archives");
    check(|engine| engine.strategy = "stock/agressive".to_owned(), "engine.strategy");
}

#[test]
fn a_recording_can_be_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let setup = setup(scenario(), corpus(&folder.path().join("corpus"), &rows(400, 3)));
    assert!(matches!(Tape::record(&setup, &AtomicBool::new(true)), Err(TapeError::Interrupted)));
}

/// A strategy of somebody's own, which goes by what stands on chain and by what it can pay.
#[derive(Debug)]
struct Envious;

impl Staker for Envious {
    fn stake(&mut self, view: &MarketView<'_>, verdicts: &[Option<DistilledVerdict>], _: &mut Stream, stakes: &mut Vec<Option<Stake>>) {
        let others = view.assertions.iter().map(|assertion| (assertion.author.0, assertion.mask.len(), assertion.bids[0]));
        let most = others.fold(Nct::ZERO, |most, (author, artifacts, bid)| {
            assert!(author > 5 && artifacts > 0, "the engine is account 5");
            most.max(bid)
        });
        let bid = most.max(view.rules.bid_minimum).checked_add(Nct::wei(view.assertions.len() as u128)).unwrap();
        // A beggar plays tricks.
        let poor = view.wallet.free < Nct::whole(5) && view.bounty.artifacts == 1;
        let bid = if poor { view.rules.bid_minimum } else { bid };
        stakes.extend(verdicts.iter().map(|verdict| verdict.map(|verdict| Stake { malicious: verdict.malicious(), bid })));
        if poor {
            // Beyond the artifacts there are.
            stakes.push(Some(Stake { malicious: true, bid }));
        }
    }
}

#[test]
fn a_strategy_of_ones_own_sees_what_stands_on_chain_and_may_not_stake_beside_it() {
    engine::stake::register(&[("envious", "outbids", |_| Ok(Box::new(Envious)))]);
    for (rules, artifacts) in [(0, 1), (1, 1), (0, 3), (1, 2)] {
        let tape = tape_of(|scenario| {
            scenario.rules = ruleset::ALL[rules].name.to_owned();
            scenario.ambassadors.artifacts = artifacts;
            scenario.rivals[0].strategies = ["fixed?bid=0.3", "fixed?bid=0.4"].map(str::to_owned).to_vec();
            (scenario.engine.scan.milliseconds, scenario.engine.scan.slots) = (60_000, 12);
        })
        .unwrap();
        let envious = EngineConfig { strategy: "envious".to_owned(), ..tape.setup().scenario.engine.clone() };
        assert!(compare(&tape, &envious, Nct::whole(1_000), "envious").asserted > 30);
        if artifacts == 1 {
            let error = tape.play(&envious, Nct::whole(4), &mut Diary::default()).unwrap_err();
            assert!(matches!(error, TapeError::StrayMaskBits { artifacts: 1, .. }), "{error}");
        }
    }
}
