//! The same name gives the same bytes, whatever the number of threads; and nobody's luck depends on anybody else.

use std::collections::BTreeMap;

use engine::{
    calibrate::MapKind,
    config::{BackendConfig, DistillerKind},
};
use market::id::Guid;
use replay::scenario::{RivalModel, Scenario};
use tests::{ENGINES, corpus, play, rows, scenario, setup};

#[test]
fn one_thread_and_two_write_the_same_journal() {
    let folder = tempfile::tempdir().unwrap();
    let rows = rows(3_000, 1);
    let mut scenario = scenario();
    scenario.rivals[0].model = RivalModel::TwoFactor;
    scenario.rivals[0].engines = vec!["ClamAV".into(), "K7GW".into(), "K7AntiVirus".into()];
    let setup = setup(scenario, corpus(&folder.path().join("corpus"), &rows));
    let (first, journal, finished) = play(&setup, 1, &mut |_| {});
    let (second, again, _) = play(&setup, 2, &mut |_| {});
    let (_, once_more, _) = play(&setup, 2, &mut |_| {});
    assert!(journal == again && again == once_more, "the journals differ");
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
    assert!(finished.records > 50_000, "{finished:?}");
}

#[test]
fn an_engine_that_learns_writes_the_same_journal_and_states_the_same_probabilities() {
    let folder = tempfile::tempdir().unwrap();
    let mut scenario = scenario();
    scenario.engine.distiller.kind = DistillerKind::Stack;
    scenario.engine.calibration.map = MapKind::Auto;
    scenario.engine.backends = [ENGINES[0], ENGINES[1]].map(BackendConfig::recorded).to_vec();
    scenario.engine.strategy = "stock/default?cautious=true".into();
    let setup = setup(scenario, corpus(&folder.path().join("corpus"), &rows(2_000, 1)));
    let run = |jobs| {
        let mut verdicts = Vec::new();
        let (_, journal, _) = play(&setup, jobs, &mut |closed| verdicts.push((closed.plan.number, closed.verdicts.to_vec())));
        (journal, verdicts)
    };
    let (first, second) = (run(1), run(2));
    assert!(first == second, "it learned something else");
    // Two engines give eight answers with at least one opinion: more probabilities than that were learned.
    let probabilities = first.1.iter().flat_map(|(_, verdicts)| verdicts).flatten().map(|verdict| verdict.probability.to_bits());
    let distinct = probabilities.collect::<std::collections::BTreeSet<_>>().len();
    assert!(distinct > 20, "{distinct}");
}

#[test]
fn a_corpus_played_twice_over_goes_on_where_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let rows = rows(50, 1);
    let mut scenario = scenario();
    scenario.bounties = 175;
    scenario.ambassadors.artifacts = 2;
    let setup = setup(scenario, corpus(&folder.path().join("corpus"), &rows));
    let mut seen = Vec::new();
    play(&setup, 2, &mut |closed| seen.push((closed.plan.number, closed.plan.artifacts[0].id)));
    seen.sort();
    assert_eq!(seen.len(), 175);
    assert!(seen.iter().all(|&(number, id)| id == rows[(2 * number % 50) as usize].id));
}

/// What each rival does about each bounty.
fn behaviour(scenario: Scenario, rows: &[datasets::Row]) -> BTreeMap<(Guid, String), String> {
    let folder = tempfile::tempdir().unwrap();
    let setup = setup(scenario, corpus(&folder.path().join("corpus"), rows));
    let mut all = BTreeMap::new();
    play(&setup, 1, &mut |closed| {
        for plan in &closed.plan.rivals {
            let name = setup.population.rivals[plan.rival].name.clone();
            all.insert(
                (closed.plan.guid, name),
                format!("{} {} {:?} {:?} {:?}", plan.latency, plan.reveals, plan.mask, plan.verdicts, plan.bids),
            );
        }
        let votes: Vec<String> = closed.plan.votes.iter().map(|vote| format!("{vote:?}")).collect();
        all.insert((closed.plan.guid, "the arbiters".into()), votes.join(" "));
        all.insert((closed.plan.guid, "the ambassador".into()), format!("{} {}", closed.plan.ambassador, closed.plan.posted));
    });
    all
}

#[test]
fn another_strategy_or_another_rival_shifts_nobody_elses_luck() {
    let rows = rows(400, 3);
    let mut base = scenario();
    base.rivals[0].model = RivalModel::TwoFactor;
    base.rivals[0].engines = vec!["ClamAV".into(), "K7GW".into(), "DrWeb".into()];
    base.rivals[0].strategies = vec!["stock/default".into()];
    let before = behaviour(base.clone(), &rows);
    assert!(before.len() > 1_600);

    let mut other = base.clone();
    other.engine.strategy = "null/mal".into();
    assert_eq!(before, behaviour(other, &rows), "the engine's strategy reached the market's draws");

    let mut more = base;
    more.rivals[0].engines.insert(1, "Ikarus".into());
    let after = behaviour(more, &rows);
    let of_old: BTreeMap<_, _> =
        after.iter().filter(|((_, name), _)| name != "Ikarus").map(|(key, value)| (key.clone(), value.clone())).collect();
    assert!(after.len() > of_old.len(), "the new rival takes part");
    assert_eq!(before, of_old, "a new rival shifted the luck of others");
}
