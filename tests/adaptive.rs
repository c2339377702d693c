//! Rivals with strategies that need a market: they decide in it, learn from its past alone, and shift nobody's luck.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::AtomicBool},
};

use datasets::{Row, Truth};
use engine::stake;
use market::{block::BlockNumber, id::Guid};
use replay::{
    plan::Setup,
    rivals::RivalPlan,
    scenario::{RivalConfig, RivalModel, Scenario},
    tape::{Tape, TapeError},
    world::{Blind, ClosedBounty, Seat, World},
};
use tests::{corpus, play, rows, scenario, setup};

/// A scenario in which all four rivals take these strategies in turn.
fn with(strategies: &[&str]) -> Scenario {
    let mut scenario = scenario();
    scenario.rivals[0].strategies = strategies.iter().map(|&name| name.to_owned()).collect();
    scenario.rivals[0].dropout = 0.1;
    scenario
}

fn on(scenario: Scenario, rows: &[Row]) -> Arc<Setup> {
    let folder = tempfile::tempdir().unwrap();
    setup(scenario, corpus(&folder.path().join("corpus"), rows))
}

/// What each rival asserted, by bounty, with the block in which it did; nothing where it did not.
fn asserted(setup: &Arc<Setup>) -> BTreeMap<(Guid, String), (BlockNumber, Option<String>)> {
    let mut all = BTreeMap::new();
    play(setup, 1, &mut |closed: &ClosedBounty<'_>| {
        for (plan, index) in closed.plan.rivals.iter().zip(closed.rivals) {
            let RivalPlan { mask, verdicts, bids, reveals, .. } = plan;
            let what = index.map(|_| format!("{mask:?} {verdicts:?} {bids:?} {reveals}"));
            let block = BlockNumber(closed.plan.posted.0 + plan.latency);
            all.insert((closed.plan.guid, setup.population.rivals[plan.rival].name.clone()), (block, what));
        }
    });
    all
}

/// Every strategy that can be had without a parameter, but the program.
fn catalogue() -> Vec<&'static str> {
    let complete = |entry: &&stake::Entry| entry.parameters.iter().all(|parameter| !parameter.default.is_empty());
    stake::CATALOGUE.iter().filter(complete).map(|entry| entry.name).collect()
}

#[test]
fn rivals_may_have_every_strategy_and_nothing_is_lost() {
    let rows = rows(300, 21);
    for strategies in catalogue().chunks(4) {
        let mut scenario = with(strategies);
        scenario.wallets.rivals = "12 NCT".parse().unwrap();
        let setup = on(scenario, &rows);
        // A run ends with a recount of all balances, and breaks off if it is not the supply.
        let (played, ..) = play(&setup, 1, &mut |_| {});
        assert_eq!(played.closed, 300, "{strategies:?}");
    }
    // Whoever cannot pay leaves it, and is counted.
    let mut poor = with(&["stock/webhook"]);
    poor.wallets.rivals = "3 NCT".parse().unwrap();
    let (played, ..) = play(&on(poor, &rows), 1, &mut |_| {});
    assert!(played.misses.iter().any(|misses| misses.unfunded > 0), "{:?}", played.misses);
    let setup = on(with(&["pm-ev", "adahedge", "pm-kelly", "thompson"]), &rows);
    let made = asserted(&setup).into_values().filter(|(_, what)| what.is_some()).count();
    assert!(made > 500, "{made}");
}

#[test]
fn no_rival_knows_what_is_to_come() {
    let rows = rows(500, 11);
    let strategies = ["pm-ev", "adahedge", "pm-kelly", "kelly-odds"];
    let first = on(with(&strategies), &rows);
    let mut posted = BTreeMap::new();
    play(&first, 1, &mut |closed| {
        posted.insert(closed.plan.number, closed.plan.posted);
    });
    let cut = posted[&300];
    let until_vote = first.scenario.ambassadors.duration + first.rules.reveal_window;
    let unvoted = posted.iter().find(|(_, block)| block.0 + until_vote > cut.0).map(|(&number, _)| number as usize).unwrap();
    let after = posted.iter().find(|(_, block)| **block > cut).map(|(&number, _)| number as usize).unwrap();
    let mut other = rows.clone();
    for row in &mut other[unvoted..] {
        row.truth = if row.truth == Truth::Malicious { Truth::Benign } else { Truth::Malicious };
    }
    for recorded in other[after..].iter_mut().flat_map(|row| row.recorded.iter_mut().flatten()) {
        recorded.malicious = !recorded.malicious;
    }
    let (first, second) = (asserted(&first), asserted(&on(with(&strategies), &other)));
    let until = |all: &BTreeMap<(Guid, String), (BlockNumber, Option<String>)>| -> BTreeMap<_, _> {
        all.iter().filter(|(_, (block, _))| *block <= cut).map(|(key, what)| (key.clone(), what.clone())).collect()
    };
    assert!(until(&first).len() > 900, "{}", until(&first).len());
    assert!(until(&first) == until(&second), "a rival knew what was to come");
    // They learned before the cut, and from what comes after it: the test would notice a leak.
    for name in ["one", "two", "three"] {
        let bids: BTreeSet<_> =
            until(&first).into_iter().filter(|((_, rival), _)| rival == name).filter_map(|(_, (_, what))| what).collect();
        assert!(bids.len() > 6, "{name}: {bids:?}");
    }
    assert!(first != second, "nobody learned");
}

#[test]
fn an_adaptive_rival_shifts_nobody_elses_luck_nor_its_own() {
    let rows = rows(300, 3);
    let fitted = |strategies: [&str; 3]| {
        let mut scenario = with(&strategies);
        scenario.rivals[0].model = RivalModel::TwoFactor;
        scenario.rivals[0].engines = vec!["ClamAV".into(), "K7GW".into(), "DrWeb".into()];
        asserted(&on(scenario, &rows))
    };
    let ordinary = fitted(["stock/default", "stock/default", "stock/default"]);
    let adaptive = fitted(["stock/default", "pm-ev", "stock/default"]);
    let of = |all: &BTreeMap<(Guid, String), (BlockNumber, Option<String>)>, own: bool| -> Vec<_> {
        all.iter().filter(|((_, name), _)| (name == "K7GW") == own).map(|(key, what)| (key.clone(), what.clone())).collect()
    };
    assert!(of(&ordinary, false) == of(&adaptive, false), "others' draws moved");
    // The same verdicts in the same blocks; only the bids differ.
    let verdict = |what: &String| what.split('[').next().unwrap().to_owned();
    let mut same = 0;
    for ((key, (block, before)), (other_key, (other_block, after))) in of(&ordinary, true).iter().zip(&of(&adaptive, true)) {
        assert_eq!((key, block), (other_key, other_block));
        if let (Some(before), Some(after)) = (before, after) {
            assert_eq!(verdict(before), verdict(after));
            same += 1;
        }
    }
    assert!(same > 150, "{same}");
}

#[test]
fn adaptive_rivals_write_the_same_journal_on_any_number_of_threads() {
    let setup = on(with(&["exp3-ix", "pm-sides", "ftrl", "thompson"]), &rows(1_000, 1));
    let (first, second) = (play(&setup, 1, &mut |_| {}), play(&setup, 2, &mut |_| {}));
    assert!(first.1 == second.1, "the journals differ");
    assert_eq!(format!("{:?}", first.0), format!("{:?}", second.0));
}

#[test]
fn what_an_adaptive_rival_does_depends_on_the_engine_so_no_tape_is_made() {
    let rows = rows(300, 5);
    let by = |strategy: &str| {
        let mut scenario = with(&["stock/default", "pm-ev"]);
        // Without a cap there is something to decide.
        scenario.rules = "1.0.0".into();
        scenario.engine.strategy = strategy.into();
        on(scenario, &rows)
    };
    let (rich, none) = (by("fixed?bid=1"), by("null/abstain"));
    assert!(asserted(&rich) != asserted(&none), "nobody reacted");
    let error = Tape::record(&rich, &AtomicBool::new(false)).unwrap_err();
    assert!(matches!(error, TapeError::AdaptiveRival { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "a tape is the same for every engine, but `two` reacts to what the engine does (`pm-ev`); play the world instead"
    );
}

#[test]
fn an_open_market_has_adaptive_rivals_too() {
    let setup = on(with(&["pm-ev", "hedge"]), &rows(200, 6));
    let mut world = World::new(setup, Seat::Visitor(None), None, false).unwrap();
    while let Some(now) = world.next() {
        assert!(world.mine(now, &mut Blind, &mut |_| true).unwrap());
    }
    let played = world.finish(true).unwrap();
    assert!(played.closed == 200 && played.rivals.iter().all(|&profit| profit != market::nct::NctDelta::ZERO), "{played:?}");
}

#[test]
fn fictitious_play_finds_the_equilibrium() {
    // Everybody says what one column says, and it is right nine times in ten: (N-1)/N² pA/q (staking.md, section 8, case 9).
    // What they learn of their own rate, and pools of the time before they found it, leave them some way off.
    let mut rows = rows(1_600, 8);
    for (number, row) in rows.iter_mut().enumerate() {
        let malicious = row.truth == Truth::Malicious;
        row.recorded[1] = Some(datasets::Recorded { malicious: malicious != (number % 10 == 0), confidence: None });
    }
    for (experts, equilibrium) in [(2_u32, 2.25), (5, 1.44), (10, 0.81)] {
        let mut scenario = with(&["fictitious"]);
        scenario.rules = "1.0.0".into();
        (scenario.arbiters.error, scenario.engine.strategy) = (0.0, "null/abstain".into());
        scenario.ambassadors.amount = "1 NCT".parse().unwrap();
        let group =
            RivalConfig { count: experts, engines: vec!["one".into()], dropout: 0.0, latency_spread: 0.0, ..scenario.rivals[0].clone() };
        scenario.rivals = vec![group];
        let setup = on(scenario, &rows);
        let (mut sum, mut count) = (0.0, 0);
        play(&setup, 1, &mut |closed| {
            if closed.plan.number >= 1_200 {
                for plan in &closed.plan.rivals {
                    sum += plan.bids[0].to_f64();
                    count += 1;
                }
            }
        });
        let mean = sum / f64::from(count);
        assert!((mean / equilibrium - 1.0).abs() < 0.15, "{experts}: {mean} instead of {equilibrium}");
    }
}
