//! A run that is played bounty by bounty comes to what the world comes to, and shows the same on the way.

use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
};

use engine::{chance::Key, config::EngineConfig};
use market::{block::BlockNumber, nct::Nct, ruleset::Switches};
use replay::{
    direct,
    journal::Journal,
    plan::Setup,
    scenario::Scenario,
    world::{self, ClosedBounty, Decision, Observer, PlayError, Played},
};
use tests::{any_engine, any_scenario, corpus, rows, scenario, setup, strategies};

/// All that an observer sees, in order, as text; and what happened how often.
#[derive(Default)]
struct Diary {
    pages: Vec<String>,
    asserted: usize,
    refused: usize,
    unrevealed: usize,
    unvoted: usize,
}

impl Observer for Diary {
    fn locked(&mut self, now: BlockNumber, locked: Nct) {
        self.pages.push(format!("{locked} locked in {now}"));
    }

    fn closed(&mut self, closed: &ClosedBounty<'_>) {
        let ClosedBounty { plan, bounty, rewards, consensus, engine, verdicts, free, rivals, now } = *closed;
        self.asserted += usize::from(matches!(engine, Decision::Asserted(_)));
        self.refused += usize::from(matches!(engine, Decision::Refused(_)));
        self.unrevealed += bounty.assertions.iter().filter(|assertion| assertion.revealed().is_none()).count();
        self.unvoted += usize::from(consensus.is_none());
        // Who was drawn is not in it: nobody is, unless on the market.
        let planned = (plan.number, &plan.rivals, &plan.votes, plan.labels, &plan.results);
        let chain = (bounty.guid, bounty.artifact_type, bounty.author, bounty.amount, bounty.artifacts, bounty.posted, bounty.expiration);
        let said = (&bounty.assertions, &bounty.votes, &bounty.tally, &bounty.metadata, &bounty.bloom, &bounty.artifact_uri);
        let terms = (bounty.fees, bounty.windows);
        let own = (consensus, engine, verdicts, free, rivals);
        self.pages.push(format!("{planned:?} {chain:?} {said:?} {terms:?} {rewards:?} {own:?} in {now}"));
    }
}

type Way<W> =
    fn(&Arc<Setup>, &str, &mut dyn Observer, Option<&mut Journal<W>>, &AtomicBool, &mut dyn FnMut(u64)) -> Result<Played, PlayError>;

/// Plays a market both ways and compares them.
fn compare(setup: &Arc<Setup>, stopped: bool, what: &str) -> (Diary, Played) {
    let play = |way: Way<io::Sink>| {
        let (mut diary, mut told) = (Diary::default(), Vec::new());
        let strategy = &setup.scenario.engine.strategy;
        let played = way(setup, strategy, &mut diary, None, &AtomicBool::new(stopped), &mut |closed| told.push(closed));
        (diary, told, played.unwrap_or_else(|error| panic!("{what}: {error}")))
    };
    let ((world, world_told, world_played), (direct, told, played)) = (play(world::play), play(direct::play));
    for (page, (world, direct)) in world.pages.iter().zip(&direct.pages).enumerate() {
        assert_eq!(world, direct, "{what}, page {page}");
    }
    assert_eq!((world.pages.len(), world_told), (direct.pages.len(), told), "{what}");
    assert_eq!(format!("{world_played:?}"), format!("{played:?}"), "{what}");
    (direct, played)
}

#[test]
fn every_bounty_and_every_balance_is_that_of_the_world() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(&folder.path().join("corpus"), &rows(500, 5));
    let strategies = strategies();
    let (mut asserted, mut refused, mut unrevealed, mut unvoted) = (0, 0, 0, 0);
    for seed in 0..120 {
        let mut chance = Key::root(seed).named("direct").stream();
        let mut scenario = any_scenario(&mut chance);
        scenario.switches = Switches::default();
        scenario.wallets.engine = Nct::whole([1, 20, 1_000][chance.below(3) as usize]);
        // Every sixth time through the corpus more than once.
        scenario.bounties = if seed % 6 == 0 { 700 } else { 0 };
        let recorded = scenario.engine.clone();
        // Now and then one whose every bid is refused, under the rules that have a limit.
        let strategy = if seed % 5 == 3 { "fixed?bid=2" } else { &strategies[seed as usize % strategies.len()] };
        let EngineConfig { distiller, calibration, backends, .. } = any_engine(&recorded, strategy, &mut chance);
        scenario.engine = EngineConfig { strategy: strategy.to_owned(), distiller, calibration, backends, ..recorded };
        let setup = setup(scenario, corpus.clone());
        let (diary, _) = compare(&setup, false, &format!("seed {seed}, {strategy}"));
        asserted += diary.asserted;
        refused += diary.refused;
        unrevealed += diary.unrevealed;
        unvoted += diary.unvoted;
        compare(&setup, true, &format!("seed {seed}, {strategy}, interrupted"));
    }
    assert!(asserted > 3_000 && refused > 20, "{asserted} assertions, {refused} refused");
    assert!(unrevealed > 1_000 && unvoted > 1_000, "{unrevealed} never revealed, {unvoted} never voted on");
}

#[test]
fn a_market_goes_on_the_same_when_somebody_runs_out_of_nectar() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(&folder.path().join("corpus"), &rows(300, 5));
    let played = |rivals: u64, ambassadors: u64, strategy: &str, stopped: bool| {
        let mut scenario = Scenario { bounties: 3_000, ..scenario() };
        scenario.engine.strategy = strategy.to_owned();
        // Always wrong.
        scenario.rivals[0].error_factor = 10.0;
        scenario.rivals[0].strategies = vec!["fixed?bid=1".into()];
        scenario.wallets.rivals = Nct::whole(rivals);
        scenario.wallets.ambassadors = Nct::whole(ambassadors);
        compare(&setup(scenario, corpus.clone()), stopped, &format!("{rivals} NCT for rivals, {ambassadors} for ambassadors")).1
    };
    let unfunded = |played: &Played| played.misses.iter().map(|misses| misses.unfunded).sum::<u64>();
    // Enough for the first plans, and not for all: the world goes on where bounty by bounty came to its end.
    let played_on = played(140, 1_000_000, "stock/aggressive", false);
    assert!(unfunded(&played_on) > 100 && played_on.unposted == 0, "{played_on:?}");
    let played_on = played(1_000_000, 600, "stock/default", false);
    assert!(unfunded(&played_on) == 0 && played_on.unposted > 100, "{played_on:?}");
    // From the beginning not enough.
    assert!(unfunded(&played(5, 1_000_000, "null/min", false)) > 1_000);
    assert!(played(1_000_000, 50, "null/min", false).unposted > 1_000);
    played(140, 600, "stock/default", true);
}

#[test]
fn with_switches_rivals_that_decide_and_a_journal_the_market_is_played() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(&folder.path().join("corpus"), &rows(300, 5));
    let mut switched = scenario();
    switched.switches.close_votes_at_quorum = true;
    let mut adaptive = scenario();
    adaptive.rivals[0].strategies = vec!["pm-ev".into(), "stock/default".into()];
    for scenario in [switched, adaptive] {
        compare(&setup(scenario, corpus.clone()), false, "played in the world");
    }
    let setup = setup(scenario(), corpus);
    let journal = |way: Way<Vec<u8>>| {
        let mut journal = Journal::new(Vec::new()).unwrap();
        let strategy = &setup.scenario.engine.strategy;
        let played = way(&setup, strategy, &mut Diary::default(), Some(&mut journal), &AtomicBool::new(false), &mut |_| {});
        (format!("{:?}", played.unwrap()), journal.finish().unwrap())
    };
    let ((played, finished), world) = (journal(direct::play), journal(world::play));
    assert!(finished.records > 3_000, "{finished:?}");
    assert_eq!((played, format!("{finished:?}")), (world.0, format!("{:?}", world.1)));
}
