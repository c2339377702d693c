//! The engine cannot see what is still to come: with everything after block t changed, every decision up to t is the
//! same, bit for bit.

use std::collections::{BTreeMap, BTreeSet};

use datasets::Truth;
use engine::{
    calibrate::MapKind,
    config::{BackendConfig, DistillerKind, EngineConfig},
    stake,
};
use market::{block::BlockNumber, id::Guid};
use tests::{ENGINES, corpus, play, rows, scenario, setup};

/// For each bounty that the engine had scanned by block `until`: what it decided, and how sure it was.
fn decisions(rows: &[datasets::Row], engine: &EngineConfig, until: BlockNumber) -> BTreeMap<Guid, String> {
    let folder = tempfile::tempdir().unwrap();
    let mut scenario = scenario();
    scenario.engine = engine.clone();
    let setup = setup(scenario, corpus(&folder.path().join("corpus"), rows));
    let mut decisions = BTreeMap::new();
    play(&setup, 1, &mut |closed| {
        if closed.plan.scanned <= until {
            let own = closed
                .bounty
                .assertions
                .iter()
                .find(|assertion| !closed.rivals.is_empty() && Some(assertion.author) == own_account(closed));
            let staked = own.map(|assertion| (assertion.mask, assertion.revealed().copied()));
            let bids = own.map_or(String::new(), |assertion| format!("{:?}", assertion.bids));
            decisions.insert(closed.plan.guid, format!("{:?} {:?} {staked:?}; bids {bids}", closed.engine, closed.verdicts));
        }
    });
    decisions
}

fn own_account(closed: &replay::world::ClosedBounty<'_>) -> Option<market::id::AccountId> {
    match closed.engine {
        replay::world::Decision::Asserted(index) => Some(closed.bounty.assertions[index as usize].author),
        _ => None,
    }
}

fn by(strategy: &str) -> EngineConfig {
    EngineConfig { strategy: strategy.to_owned(), ..EngineConfig::default() }
}

/// An engine that learns all that can be learned, and often.
fn learning(distiller: DistillerKind, map: MapKind) -> EngineConfig {
    let mut engine = by("stock/default?cautious=true");
    (engine.distiller.kind, engine.distiller.refit, engine.distiller.window) = (distiller, 20, 150);
    engine.calibration.map = map;
    // The other three are the rivals'.
    engine.backends = [ENGINES[0], ENGINES[1]].map(BackendConfig::recorded).to_vec();
    engine
}

/// A corpus, the same one with another future, and the block from which on they differ.
struct Fork {
    rows: Vec<datasets::Row>,
    other: Vec<datasets::Row>,
    cut: BlockNumber,
}

fn fork() -> Fork {
    let rows = rows(600, 11);
    // Where the corpus is cut: the block in which its 300th bounty is posted, and the first whose votes come later.
    let folder = tempfile::tempdir().unwrap();
    let setup = setup(scenario(), corpus(&folder.path().join("corpus"), &rows));
    let mut posted = BTreeMap::new();
    play(&setup, 1, &mut |closed| {
        posted.insert(closed.plan.number, closed.plan.posted);
    });
    let cut = posted[&300];
    let until_vote = setup.scenario.ambassadors.duration + setup.rules.reveal_window;
    let first_unvoted = posted.iter().find(|(_, block)| block.0 + until_vote > cut.0).map(|(&number, _)| number as usize).unwrap();
    assert!(first_unvoted < 290, "some bounties are open at the cut");

    // Bounties open at the cut turn out the other way; everything posted after it is something else altogether.
    let mut other = rows.clone();
    for row in &mut other[first_unvoted..] {
        row.truth = if row.truth == Truth::Malicious { Truth::Benign } else { Truth::Malicious };
    }
    let after = posted.iter().find(|(_, block)| **block > cut).map(|(&number, _)| number as usize).unwrap();
    other[after..].reverse();
    for row in &mut other[after..] {
        for recorded in row.recorded.iter_mut().flatten() {
            recorded.malicious = !recorded.malicious;
        }
    }

    Fork { rows, other, cut }
}

#[test]
fn no_decision_depends_on_what_comes_after_it() {
    let Fork { rows, other, cut } = fork();
    for strategy in ["stock/default", "null/random", "fixed?bid=0.9"] {
        let (first, second) = (decisions(&rows, &by(strategy), cut), decisions(&other, &by(strategy), cut));
        assert!(first.len() > 290, "{}", first.len());
        // The least bid never empties the wallet; the others do, so that settlements play a part.
        assert!(strategy.starts_with("null/") || first.values().any(|decision| decision.contains("Unfunded")), "{strategy}");
        assert_eq!(first, second, "{strategy} knew what was to come");
    }

    // The oracle does know: the test would notice.
    assert_ne!(decisions(&rows, &by("oracle/label"), cut), decisions(&other, &by("oracle/label"), cut));
}

/// Every strategy that can be had without a parameter.
fn catalogue() -> impl Iterator<Item = &'static str> {
    let complete = |entry: &&stake::Entry| entry.parameters.iter().all(|parameter| !parameter.default.is_empty());
    stake::CATALOGUE.iter().filter(complete).map(|entry| entry.name)
}

#[test]
fn no_strategy_of_the_catalogue_knows_what_is_to_come() {
    let Fork { rows, other, cut } = fork();
    for strategy in catalogue() {
        let first = decisions(&rows, &by(strategy), cut);
        assert!(first.len() > 290, "{}", first.len());
        assert_eq!(first, decisions(&other, &by(strategy), cut), "{strategy} knew what was to come");
        // Learners learned before the cut, so that there was something to know.
        let staked: BTreeSet<&str> = first.values().filter_map(|decision| Some(decision.split_once("; bids ")?.1)).collect();
        assert!(!stake::build(strategy).unwrap().learns() || staked.len() > 1, "{strategy}: {staked:?}");
    }
}

#[test]
fn no_strategy_earns_more_on_a_bounty_than_hindsight() {
    let rows = rows(400, 12);
    let profits = |strategy: &str| -> BTreeMap<Guid, f64> {
        let folder = tempfile::tempdir().unwrap();
        let mut scenario = scenario();
        scenario.engine = by(strategy);
        scenario.wallets.engine = "100000 NCT".parse().unwrap();
        let setup = setup(scenario, corpus(&folder.path().join("corpus"), &rows));
        let mut profits = BTreeMap::new();
        play(&setup, 1, &mut |closed| {
            let profit = match closed.engine {
                replay::world::Decision::Asserted(index) => closed.rewards.experts[index as usize].profit().to_f64(),
                _ => 0.0,
            };
            profits.insert(closed.plan.guid, profit);
        });
        profits
    };
    let best = profits("oracle/hindsight");
    assert!(best.values().all(|&profit| profit >= 0.0));
    for strategy in catalogue().chain(["oracle/label", "oracle/pools"]) {
        for (guid, profit) in profits(strategy) {
            assert!(profit <= best[&guid] + 1e-15, "{strategy} on {guid}: {profit} of {}", best[&guid]);
        }
    }
}

#[test]
fn what_is_learned_comes_from_the_past_alone() {
    let Fork { rows, other, cut } = fork();
    let fixed = decisions(&rows, &learning(DistillerKind::LogOdds, MapKind::None), cut);
    for (distiller, map) in
        [(DistillerKind::Stack, MapKind::None), (DistillerKind::DawidSkene, MapKind::Auto), (DistillerKind::LogOdds, MapKind::Isotonic)]
    {
        let engine = learning(distiller, map);
        let first = decisions(&rows, &engine, cut);
        assert!(first.len() > 290, "{}", first.len());
        assert_eq!(first, decisions(&other, &engine, cut), "{distiller:?} with {map:?} knew what was to come");
        // It did learn before the cut, so that there was something to know.
        let changed = first.iter().filter(|(guid, decision)| fixed[guid] != **decision).count();
        assert!(changed > 100, "{distiller:?} with {map:?}: {changed}");
        // And it goes on learning from what comes after it: the test would notice a leak.
        let end = BlockNumber(u64::MAX);
        assert_ne!(decisions(&rows, &engine, end), decisions(&other, &engine, end));
    }
}
