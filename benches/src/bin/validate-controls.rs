//! Does any strategy seem to know something where nothing can be known? Two controls on the shipped panel, with labels shuffled:
//! `cargo run --release -p benches --bin validate-controls [-- --seeds 200]`.
//!
//! 1. Labels are shuffled against all that is recorded of the artifacts, so no verdict says anything of the truth: the engine's
//!    as little as those of rivals, who repeat recorded columns. Strategies are held against the best of the catalogue's nulls.
//! 2. Every recorded column is shuffled on its own, too, so that no verdict says anything of other verdicts either. Strategies are
//!    held against their own bets, dealt to other bounties: whoever knows nothing of a bounty earns as much with the one as with
//!    the other, whatever it learned of all bounties together (the share of malware, what others stake).
//!
//! Each seed is another shuffle and another market; the number of malicious artifacts, and of each engine's verdicts, stays. A
//! false alarm is a one-sided test at 5 % of the paired differences, for each strategy on its own. What the same tests find with
//! nothing shuffled stands beside it. Why there are two: `docs/statistics.md`.
//!
//! Seeds are fixed, so the table is the same on every machine. Bands are for 200 seeds; fewer leave more to luck.
//! Exit code 1 if a strategy raises more false alarms than its band allows, 2 if the command is not understood.

use std::{
    env,
    path::Path,
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
    time::Instant,
};

use datasets::{CheckOptions, Corpus, CorpusWriter, Manifest, ManifestEngine, Row};
use engine::{
    calibrate::MapKind,
    chance::{Key, fnv1a64},
    config::{BackendConfig, DistillerKind, EngineConfig},
    settled::{Payoff, SettledBounty},
};
use market::{
    bounty::Assertion,
    ruleset::{BOUNTY_REGISTRY_1_6_1, RuleSet},
};
use rayon::prelude::*;
use replay::{
    follower::{Follower, OwnBounty},
    plan::Setup,
    scenario::{RivalModel, Scenario},
    tape::Tape,
    verdicts::VerdictTable,
    world::{self, ClosedBounty, NoJournal, Observer},
};
use sim::{
    execute::NULLS,
    statistics::{
        bootstrap::{Plan, Resampled},
        many::{Scale, Strategies},
        series,
    },
};

/// The rules of the default scenario.
const RULES: &RuleSet = &BOUNTY_REGISTRY_1_6_1;
/// Bounties in each market.
const BOUNTIES: usize = 2_000;
/// Shuffles of each kind, and markets with nothing shuffled.
const SEEDS: (u64, u64) = (200, 20);
/// Level of every test.
const ALPHA: f64 = 0.05;
/// Share of false alarms that is still luck: the level and twice its standard error with 200 seeds.
const BAND: f64 = 0.08;
/// Recorded engines that are the backends.
const BACKENDS: [&str; 3] = ["K7GW", "Kaspersky", "Avast"];
/// What is tried: strategies that stake on their verdict, and such as learn what pays.
const STRATEGIES: [&str; 10] =
    ["stock/default", "stock/aggressive", "linear", "kelly-odds", "pm-ev", "pm-kelly", "pm-sides", "adahedge", "ftrl", "thompson"];
/// What probabilities are called, and where they come from.
type Judge = (&'static str, DistillerKind, MapKind);
/// With whose probabilities: taken at their word, or learned.
const JUDGES: [Judge; 2] =
    [("log-odds, none", DistillerKind::LogOdds, MapKind::None), ("stack, auto", DistillerKind::Stack, MapKind::Auto)];

/// Places from 0 to `n` in an order of chance.
fn dealt(n: usize, key: Key) -> Vec<usize> {
    let (mut places, mut chance) = ((0..n).collect::<Vec<usize>>(), key.stream());
    for last in (1..n).rev() {
        places.swap(last, chance.below(last as u64 + 1) as usize);
    }
    places
}

/// The artifacts of the panel that are played.
struct Panel {
    manifest: Manifest,
    rows: Vec<Row>,
}

impl Panel {
    fn read(bounties: usize) -> Panel {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/corpora/panel");
        let corpus = Corpus::open(&folder).expect("the shipped panel");
        let mut manifest = Manifest::new("panel", corpus.title());
        let recorded = |name: &str| ManifestEngine { name: name.to_owned(), verdict: None, confidence: None };
        manifest.engines = corpus.engines().iter().map(|column| recorded(&column.name)).collect();
        let rows = corpus.rows().and_then(|rows| rows.take(bounties).collect()).expect("the shipped panel is sound");
        Panel { manifest, rows }
    }

    /// The same artifacts with their labels dealt anew.
    fn with_other_labels(&self, seed: u64) -> Vec<Row> {
        let mut rows = self.rows.clone();
        let places = dealt(rows.len(), Key::root(fnv1a64("label-shuffle")).with(seed));
        rows.iter_mut().zip(places).for_each(|(row, place)| row.truth = self.rows[place].truth);
        rows
    }

    /// The same with every recorded column dealt anew, too, each on its own.
    fn with_everything_other(&self, seed: u64) -> Vec<Row> {
        let mut rows = self.with_other_labels(seed);
        for column in 0..self.manifest.engines.len() {
            let places = dealt(rows.len(), Key::root(fnv1a64("column-shuffle")).with(seed).with(column as u64));
            rows.iter_mut().zip(places).for_each(|(row, place)| row.recorded[column] = self.rows[place].recorded[column]);
        }
        rows
    }

    /// A market on them, each artifact once.
    fn market(&self, rows: &[Row], seed: u64) -> Arc<Setup> {
        let folder = tempfile::tempdir().expect("a folder for a corpus");
        let path = folder.path().join("panel");
        let mut writer = CorpusWriter::create(&path, &self.manifest).expect("a new folder");
        for row in rows {
            // A family tells the label.
            writer.write(&Row { family: None, ..row.clone() }).expect("a row that was read");
        }
        writer.finish().expect("a whole corpus");
        let corpus = Corpus::open(&path).expect("the corpus that was written");
        let summary = corpus.check(CheckOptions { files: false }, &mut |_| {}).expect("a sound corpus");
        let mut scenario = Scenario { seed, ..Scenario::default() };
        scenario.rivals[0].model = RivalModel::Recorded;
        scenario.rivals[0].engines.retain(|column| !BACKENDS.contains(&column.as_str()));
        scenario.engine.backends = BACKENDS.map(BackendConfig::recorded).to_vec();
        let setup = Setup::new(scenario, corpus, summary, &folder.path().join("."));
        // Short corpora are kept in memory, so the folder may go.
        Arc::new(setup.and_then(|setup| setup.scanned(VerdictTable::default())).expect("recorded columns"))
    }
}

/// What either side of each bounty paid to who staked on it.
struct Sides {
    /// Benign, then malicious.
    payoffs: Vec<[Payoff; 2]>,
}

impl Observer for Sides {
    fn closed(&mut self, closed: &ClosedBounty<'_>) {
        assert_eq!(closed.plan.number as usize, self.payoffs.len(), "bounties are over in order");
        let settled = SettledBounty {
            assertions: Some(SettledBounty::assertions_of(closed.bounty)),
            ..SettledBounty::of(closed.bounty, closed.now, RULES.bids, RULES.assertion_fee, closed.consensus)
        };
        self.payoffs.push([false, true].map(|malicious| settled.payoff(0, malicious).expect("all arbiters vote")));
    }
}

/// What a strategy did about each bounty.
#[derive(Default)]
struct Deeds {
    profits: Vec<f64>,
    /// Side and bid in NCT.
    bets: Vec<Option<(bool, f64)>>,
}

impl Follower for Deeds {
    fn closed(&mut self, own: &OwnBounty<'_>) {
        self.profits.push(own.profit().to_f64());
        let stake = |(assertion, _): (&Assertion, _)| Some((assertion.verdict(0)?, assertion.bids[0].to_f64()));
        self.bets.push(own.stake.and_then(stake));
    }
}

/// One market, and what it paid.
struct Stage {
    tape: Tape,
    payoffs: Vec<[Payoff; 2]>,
    /// What the nulls of the catalogue earned.
    nulls: Vec<Vec<f64>>,
    seed: u64,
}

impl Stage {
    fn set(setup: &Arc<Setup>) -> Stage {
        let go_on = AtomicBool::new(false);
        let mut sides = Sides { payoffs: Vec::new() };
        world::play(setup, "null/abstain", &mut sides, None::<&mut NoJournal>, &go_on, &mut |_| {}).expect("a run that holds");
        let tape = Tape::record(setup, &go_on).expect("a market that can be taped");
        let mut stage = Stage { tape, payoffs: sides.payoffs, nulls: Vec::new(), seed: setup.scenario.seed };
        stage.nulls = NULLS.iter().map(|null| stage.play(null, JUDGES[0]).profits).collect();
        stage.nulls.push(vec![0.0; stage.payoffs.len()]);
        stage
    }

    fn play(&self, strategy: &str, (_, kind, map): Judge) -> Deeds {
        let scenario = &self.tape.setup().scenario;
        let mut engine = EngineConfig { strategy: strategy.to_owned(), ..scenario.engine.clone() };
        (engine.distiller.kind, engine.calibration.map) = (kind, map);
        let mut deeds = Deeds::default();
        self.tape.play(&engine, scenario.wallets.engine, &mut deeds).expect("a strategy of the catalogue");
        deeds
    }

    /// What bets, a side and a bid for each bounty, would have earned.
    fn profits(&self, bets: &[Option<(bool, f64)>]) -> Vec<f64> {
        let fee = RULES.assertion_fee.to_f64();
        let profit = |(bet, payoffs): (&Option<(bool, f64)>, &[Payoff; 2])| {
            bet.map_or(0.0, |(malicious, bid)| payoffs[usize::from(malicious)].gain(bid) - fee)
        };
        bets.iter().zip(&self.payoffs).map(profit).collect()
    }

    /// Whether a strategy seems to be better than the best of the catalogue's nulls.
    fn above_the_nulls(&self, deeds: &Deeds) -> bool {
        let mean = |null: &&Vec<f64>| series::mean(null);
        let best = self.nulls.iter().max_by(|one, other| mean(one).total_cmp(&mean(other))).expect("there are nulls");
        better(&deeds.profits, best, self.seed)
    }

    /// Whether a strategy seems to be better than its own bets on other bounties.
    fn above_its_bets_elsewhere(&self, deeds: &Deeds) -> bool {
        let places = dealt(deeds.bets.len(), Key::root(fnv1a64("bet-shuffle")).with(self.seed));
        let bets: Vec<_> = places.into_iter().map(|place| deeds.bets[place]).collect();
        better(&deeds.profits, &self.profits(&bets), self.seed)
    }
}

/// One-sided test of the paired differences.
fn better(profits: &[f64], null: &[f64], seed: u64) -> bool {
    let differences: Vec<f64> = profits.iter().zip(null).map(|(own, null)| own - null).collect();
    let plan = Plan::of([differences.as_slice()], seed);
    let resampled = Resampled::new(&[&differences], &plan).expect("enough bounties");
    Strategies::of(resampled).better(Scale::Resampled)[0] <= ALPHA
}

/// All that is tried, by name.
fn contestants() -> Vec<(&'static str, Judge)> {
    STRATEGIES.iter().flat_map(|&strategy| JUDGES.map(|judge| (strategy, judge))).collect()
}

/// How often each test is positive, for every contestant, in so many markets.
fn count<const N: usize>(seeds: u64, market: impl Fn(u64) -> Arc<Setup> + Sync, tests: [fn(&Stage, &Deeds) -> bool; N]) -> Vec<[u64; N]> {
    let contestants = contestants();
    let in_one = |seed: u64| {
        let stage = Stage::set(&market(seed));
        let positive = |&(strategy, judge): &(&str, Judge)| {
            let deeds = stage.play(strategy, judge);
            tests.map(|test| u64::from(test(&stage, &deeds)))
        };
        contestants.iter().map(positive).collect::<Vec<_>>()
    };
    let both = |one: &[u64; N], other: &[u64; N]| std::array::from_fn(|test| one[test] + other[test]);
    let add = |one: Vec<[u64; N]>, other: Vec<[u64; N]>| one.iter().zip(&other).map(|(one, other)| both(one, other)).collect();
    (0..seeds).into_par_iter().map(in_one).reduce(|| vec![[0; N]; contestants.len()], add)
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let seeds = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Some(SEEDS.0),
        ["--seeds", count] => count.parse().ok().filter(|&count: &u64| count > 0),
        _ => None,
    };
    let Some(seeds) = seeds else {
        eprintln!("error: only `--seeds COUNT` is understood, a whole number above 0");
        return ExitCode::from(2);
    };
    let (panel, start) = (Panel::read(BOUNTIES), Instant::now());
    let done = |what: &str| eprintln!("{what}: {:.1} s", start.elapsed().as_secs_f64());
    let labels = count(seeds, |seed| panel.market(&panel.with_other_labels(seed), seed), [Stage::above_the_nulls]);
    done("labels shuffled");
    let everything = count(seeds, |seed| panel.market(&panel.with_everything_other(seed), seed), [Stage::above_its_bets_elsewhere]);
    done("everything shuffled");
    let honest = SEEDS.1.min(seeds);
    let truth = count(honest, |seed| panel.market(&panel.rows, seed), [Stage::above_the_nulls, Stage::above_its_bets_elsewhere]);
    done("nothing shuffled");
    let most = (BAND * seeds as f64).floor() as u64;
    println!("| strategy | probabilities | 1: alarms of {seeds} | 2: alarms of {seeds} | at most | | 1 and 2: found of {honest} |");
    println!("| --- | --- | ---: | ---: | ---: | --- | ---: |");
    let mut kept = true;
    for ((((strategy, (judge, ..)), [one]), [two]), [first, second]) in contestants().into_iter().zip(labels).zip(everything).zip(truth) {
        let within = one.max(two) <= most;
        kept &= within;
        let verdict = if within { "within" } else { "OUTSIDE" };
        println!("| `{strategy}` | {judge} | {one} | {two} | {most} | {verdict} | {first}, {second} |");
    }
    // Why nobody raises an alarm in the first control.
    let first = Stage::set(&panel.market(&panel.with_other_labels(0), 0));
    let nulls = NULLS.iter().zip(&first.nulls).map(|(null, profits)| format!("`{null}` {:+.3}", series::mean(profits)));
    let own = series::mean(&first.play(STRATEGIES[0], JUDGES[0]).profits);
    println!("\n1, first shuffle, NCT per bounty: `{}` {own:+.3}, {}.", STRATEGIES[0], nulls.collect::<Vec<_>>().join(", "));
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use datasets::Truth;

    use super::*;

    #[test]
    fn shuffles_move_labels_and_columns_and_change_no_count() {
        let panel = Panel::read(200);
        let malicious = |rows: &[Row]| rows.iter().filter(|row| row.truth == Truth::Malicious).count();
        let calls = |rows: &[Row]| {
            let of = |column: usize| rows.iter().filter_map(|row| row.recorded[column]).filter(|said| said.malicious).count();
            (0..panel.manifest.engines.len()).map(of).collect::<Vec<_>>()
        };
        let (labels, everything) = (panel.with_other_labels(1), panel.with_everything_other(1));
        for rows in [&labels, &everything] {
            assert_eq!((malicious(rows), calls(rows)), (malicious(&panel.rows), calls(&panel.rows)));
            let moved = rows.iter().zip(&panel.rows).filter(|(one, other)| one.truth != other.truth).count();
            assert!((60..140).contains(&moved), "{moved} of 200 labels differ");
        }
        assert!(labels.iter().zip(&panel.rows).all(|(one, other)| one.recorded == other.recorded));
        assert!(everything.iter().zip(&panel.rows).any(|(one, other)| one.recorded != other.recorded));
        assert_ne!(panel.with_other_labels(2), labels);
    }

    #[test]
    fn bets_are_reckoned_as_the_market_does() {
        let panel = Panel::read(200);
        let stage = Stage::set(&panel.market(&panel.with_everything_other(3), 3));
        for (strategy, judge) in contestants() {
            let deeds = stage.play(strategy, judge);
            assert!(deeds.profits.iter().zip(&stage.profits(&deeds.bets)).all(|(one, other)| (one - other).abs() < 1e-9), "{strategy}");
        }
    }

    #[test]
    fn who_knows_is_found_out_and_who_does_not_hardly_ever() {
        let panel = Panel::read(400);
        let tests = |rows: &[Row], seed: u64| {
            let stage = Stage::set(&panel.market(rows, seed));
            let deeds = stage.play("stock/aggressive", JUDGES[0]);
            [stage.above_the_nulls(&deeds), stage.above_its_bets_elsewhere(&deeds)]
        };
        assert_eq!(tests(&panel.rows, 4), [true, true]);
        assert!(!(0..10).any(|seed| tests(&panel.with_other_labels(seed), seed)[0]));
        // Five of ten by luck alone: once in 16,000 times.
        let alarms = (0..10).filter(|&seed| tests(&panel.with_everything_other(seed), seed)[1]).count();
        assert!(alarms < 5, "{alarms} of 10");
    }
}
