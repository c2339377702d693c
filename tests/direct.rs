//! A run that is played bounty by bounty comes to what the world comes to, and shows the same on the way.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use engine::{chance::Key, config::EngineConfig};
use market::{block::BlockNumber, nct::Nct, ruleset::Switches};
use replay::{
    direct,
    journal::Journal,
    plan::Setup,
    scenario::{Arrival, RivalConfig, RivalModel, Scenario},
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
    /// Bounties with votes of which nobody knows who was drawn: they were not played on a market.
    direct: usize,
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
        self.direct += usize::from(consensus.is_some() && bounty.assigned_arbiter.is_none());
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

/// Plays a market both ways and compares them; both are interrupted when they told of their progress so many times.
fn compare(setup: &Arc<Setup>, interrupted_after: Option<usize>, what: &str) -> (Diary, Played) {
    let play = |way: Way<io::Sink>| {
        let (mut diary, mut told, interrupted) = (Diary::default(), Vec::new(), AtomicBool::new(false));
        let mut tell = |closed| {
            told.push(closed);
            interrupted.store(interrupted_after == Some(told.len()), Ordering::Relaxed);
        };
        let played = way(setup, &setup.scenario.engine.strategy, &mut diary, None, &interrupted, &mut tell);
        (diary, told, played.unwrap_or_else(|error| panic!("{what}: {error}")))
    };
    let ((world, world_told, world_played), (direct, told, played)) = (play(world::play), play(direct::play));
    for (page, (world, direct)) in world.pages.iter().zip(&direct.pages).enumerate() {
        assert_eq!(world, direct, "{what}, page {page}");
    }
    assert_eq!((world.pages.len(), world_told), (direct.pages.len(), told), "{what}");
    assert_eq!(format!("{world_played:?}"), format!("{played:?}"), "{what}");
    assert_eq!(world.direct, 0, "{what}: in the world everybody knows who was drawn");
    (direct, played)
}

#[test]
fn every_bounty_and_every_balance_is_that_of_the_world() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = rows(500, 5);
    for (number, row) in (0..).zip(&mut rows) {
        row.first_seen = Some(1_500_000_000 + number * number % 50_000);
        row.recorded.iter_mut().flatten().for_each(|recorded| recorded.confidence = Some((number % 11) as f32 / 10.0));
    }
    let corpus = corpus(&folder.path().join("corpus"), &rows);
    let strategies = strategies();
    let mut sum = Diary::default();
    for seed in 0..140 {
        let mut chance = Key::root(seed).named("direct").stream();
        let mut scenario = any_scenario(&mut chance);
        scenario.switches = Switches::default();
        scenario.wallets.engine = Nct::whole([1, 20, 1_000][chance.below(3) as usize]);
        // Every sixth time through the corpus more than once.
        scenario.bounties = if seed % 6 == 0 { 700 } else { 0 };
        if seed % 4 == 1 {
            scenario.ambassadors.arrival = Arrival::Recorded;
        }
        if seed % 7 == 2 {
            (scenario.rivals[0].count, scenario.arbiters.count) = (24, 20);
        }
        if seed % 7 == 5 {
            scenario.rivals.push(RivalConfig { model: RivalModel::OneFactor, count: 3, ..RivalConfig::default() });
        }
        let recorded = scenario.engine.clone();
        // Now and then one whose every bid is refused, under the rules that have a limit.
        let strategy = if seed % 5 == 3 { "fixed?bid=2" } else { &strategies[seed as usize % strategies.len()] };
        let EngineConfig { distiller, calibration, backends, .. } = any_engine(&recorded, strategy, &mut chance);
        scenario.engine = EngineConfig { strategy: strategy.to_owned(), distiller, calibration, backends, ..recorded };
        let setup = setup(scenario, corpus.clone());
        let (diary, _) = compare(&setup, None, &format!("seed {seed}, {strategy}"));
        sum.asserted += diary.asserted;
        sum.refused += diary.refused;
        sum.unrevealed += diary.unrevealed;
        sum.unvoted += diary.unvoted;
        sum.direct += diary.direct;
        let after = 1 + chance.below(4) as usize;
        compare(&setup, Some(after), &format!("seed {seed}, {strategy}, interrupted after {after}"));
    }
    assert!(sum.asserted > 3_000 && sum.refused > 20, "{} assertions, {} refused", sum.asserted, sum.refused);
    assert!(sum.unrevealed > 1_000 && sum.unvoted > 1_000, "{} never revealed, {} never voted on", sum.unrevealed, sum.unvoted);
    assert!(sum.direct > 10_000, "{} played bounty by bounty", sum.direct);
}

#[test]
fn a_market_goes_on_the_same_when_somebody_runs_out_of_nectar() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(&folder.path().join("corpus"), &rows(300, 5));
    let played = |rivals: u64, ambassadors: u64, per_block: f64, interrupted_after: Option<usize>| {
        let mut scenario = Scenario { bounties: 3_000, ..scenario() };
        scenario.ambassadors.bounties_per_block = per_block;
        // Always wrong.
        scenario.rivals[0].error_factor = 10.0;
        scenario.rivals[0].strategies = vec!["fixed?bid=1".into()];
        scenario.wallets.rivals = Nct::whole(rivals);
        scenario.wallets.ambassadors = Nct::whole(ambassadors);
        let what = format!("{rivals} NCT for rivals, {ambassadors} for ambassadors, interrupted after {interrupted_after:?}");
        compare(&setup(scenario, corpus.clone()), interrupted_after, &what)
    };
    let unfunded = |played: &Played| played.misses.iter().map(|misses| misses.unfunded).sum::<u64>();
    // Enough for the first plans, and not for all: the world goes on where bounty by bounty came to its end.
    let (diary, played_on) = played(700, 1_000_000, 0.5, None);
    assert!(unfunded(&played_on) > 100 && played_on.unposted == 0 && diary.direct > 100, "{} {played_on:?}", diary.direct);
    let (diary, played_on) = played(1_000_000, 1_500, 0.5, None);
    assert!(unfunded(&played_on) == 0 && played_on.unposted > 100 && diary.direct > 100, "{} {played_on:?}", diary.direct);
    // From the beginning not enough.
    let (diary, played_on) = played(5, 1_000_000, 0.5, None);
    assert!(unfunded(&played_on) > 1_000 && diary.direct == 0, "{} {played_on:?}", diary.direct);
    // Whenever it is interrupted, also where no bounty is over for a long time.
    for after in 1..16 {
        played(300, 1_500, 0.5, Some(after));
        played(700, 1_000_000, 6.0, Some(after));
        played(5, 50, 6.0, Some(after));
    }
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
        let (diary, _) = compare(&setup(scenario, corpus.clone()), None, "on a market");
        assert_eq!(diary.direct, 0);
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
