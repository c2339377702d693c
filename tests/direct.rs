//! A run that is played bounty by bounty comes to what the world comes to, and shows the same on the way.

use std::sync::{Arc, atomic::AtomicBool};

use engine::{chance::Key, config::EngineConfig};
use market::{
    block::BlockNumber,
    nct::Nct,
    ruleset::Switches,
};
use replay::{
    direct::{self, comes_to_the_same},
    plan::Setup,
    world::{self, ClosedBounty, Decision, NoJournal, Observer, PlayError, Played},
};
use tests::{any_engine, any_scenario, corpus, rows, setup, strategies};

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

type Way = fn(
    &Arc<Setup>,
    &str,
    &mut dyn Observer,
    Option<&mut NoJournal>,
    &AtomicBool,
    &mut dyn FnMut(u64),
) -> Result<Played, PlayError>;

/// Plays a market both ways and compares them.
fn compare(setup: &Arc<Setup>, stopped: bool, what: &str) -> Diary {
    let play = |way: Way| {
        let (mut diary, mut told) = (Diary::default(), Vec::new());
        let strategy = &setup.scenario.engine.strategy;
        let played = way(setup, strategy, &mut diary, None, &AtomicBool::new(stopped), &mut |closed| told.push(closed));
        (diary, told, format!("{:?}", played.unwrap_or_else(|error| panic!("{what}: {error}"))))
    };
    let ((world, world_told, world_played), (direct, told, played)) = (play(world::play), play(direct::play));
    for (page, (world, direct)) in world.pages.iter().zip(&direct.pages).enumerate() {
        assert_eq!(world, direct, "{what}, page {page}");
    }
    assert_eq!((world.pages.len(), world_told, world_played), (direct.pages.len(), told, played), "{what}");
    direct
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
        assert!(comes_to_the_same(&setup), "seed {seed}");
        let diary = compare(&setup, false, &format!("seed {seed}, {strategy}"));
        asserted += diary.asserted;
        refused += diary.refused;
        unrevealed += diary.unrevealed;
        unvoted += diary.unvoted;
        compare(&setup, true, &format!("seed {seed}, {strategy}, interrupted"));
    }
    assert!(asserted > 3_000 && refused > 20, "{asserted} assertions, {refused} refused");
    assert!(unrevealed > 1_000 && unvoted > 1_000, "{unrevealed} never revealed, {unvoted} never voted on");
}
