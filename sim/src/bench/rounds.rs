//! Rounds: one side alone, or two sides in turns, until what was asked can be told or the time is over.
//!
//! Two sides take turns in the order AB BA BA AB ..., so that neither has the better place: what the machine does meanwhile
//! meets both alike, and pairs of rounds are compared, never all of one side with all of the other. Rounds are short where the
//! corpus allows it: then neighbours share the weather, and most of them are interrupted by nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use anyhow::Result;

use crate::{figures::Value, scan::ScanErrorReport};

/// Most repetitions in a round.
const PASSES: f64 = 10_000.0;

/// The measured figures of one round, by name.
pub type Observation = BTreeMap<String, f64>;
/// The measured figures of all rounds, by name.
pub type Series = BTreeMap<String, Vec<f64>>;

/// Something that can be measured.
pub trait Side {
    /// A cold round: everything loaded anew, and the corpus once. Nothing if there is no such thing.
    ///
    /// # Errors
    ///
    /// If it cannot be measured.
    fn cold(&mut self) -> Result<Observation>;

    /// A warm round, of `passes` times through the corpus; figures are those of one.
    ///
    /// # Errors
    ///
    /// If it cannot be measured.
    fn warm(&mut self, passes: u32) -> Result<Observation>;

    /// What is known once it was measured.
    fn facts(&self) -> Facts;
}

/// What does not depend on rounds.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Facts {
    /// Exact figures, by name.
    pub exact: BTreeMap<String, Value>,
    /// The first errors.
    pub errors: Vec<ScanErrorReport>,
    /// What a user should know.
    pub warnings: Vec<String>,
    /// Times through the corpus in its rounds, if it does not do as it is told.
    pub passes: Option<u32>,
    /// Answers that did not come, and may another time.
    pub missing_answers: u64,
    /// Every backend failed on every artifact.
    pub nothing_answered: bool,
    /// Exact figures that no gate can be held to, and why: they may be others the next time.
    pub unsure: BTreeMap<String, String>,
}

impl Facts {
    /// Says of exact figures that no gate can be held to them, and why; what was said before stays.
    pub fn doubt(&mut self, names: impl IntoIterator<Item = String>, why: &str) {
        for name in names {
            self.unsure.entry(name).or_insert_with(|| why.to_owned());
        }
    }
}

/// How much is measured.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Plan {
    /// Cold rounds.
    pub cold: u32,
    /// Seconds that a warm round should take at least: the corpus is gone through so many times.
    pub round: f64,
    /// Times through the corpus in a warm round, at least.
    pub passes: u32,
    /// Rounds that do not count, before those that do.
    pub warm_up: u32,
    /// Warm rounds, at least.
    pub rounds: u32,
    /// Seconds on the clock that the warm rounds of a side take, at least.
    pub min_time: f64,
    /// Seconds from the first round on within which rounds are added because something cannot be told.
    pub max_time: f64,
}

impl Plan {
    /// Rounds of each side, at least.
    pub fn least(&self) -> u32 {
        self.cold + self.warm_up + self.rounds
    }
}

/// What was measured.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Measured {
    /// Of the side under test.
    pub ours: Series,
    /// Of the other one, round beside round.
    pub other: Option<Series>,
    /// Figures of cold rounds, which warm ones add nothing to.
    pub still: BTreeSet<String>,
    /// Warm rounds of a side.
    pub rounds: u32,
    /// Times through the corpus in a warm round.
    pub passes: u32,
    /// How often was looked whether all can be told.
    pub looks: u32,
    /// False if it was interrupted, or failed.
    pub complete: bool,
}

/// Measures one side, or two in turns, ours first, and adds to `measured`, which has all that was measured before an error, too.
/// `told` is asked at each look, with what is known of both sides, whether all can be told that more rounds could tell; between
/// looks the number of rounds doubles. `progress` hears of every round that is over, and of how many there will be at least.
///
/// # Errors
///
/// If a side cannot be measured.
pub fn measure(
    plan: &Plan,
    sides: &mut [&mut dyn Side],
    interrupted: &AtomicBool,
    told: &mut dyn FnMut(&Measured, [Option<Facts>; 2]) -> bool,
    progress: &dyn Fn(u32, u32),
    measured: &mut Measured,
) -> Result<()> {
    let started = Instant::now();
    measure_by(&|| started.elapsed().as_secs_f64(), plan, sides, interrupted, told, progress, measured)
}

/// The same by a clock, in seconds since the beginning.
fn measure_by(
    clock: &dyn Fn() -> f64,
    plan: &Plan,
    sides: &mut [&mut dyn Side],
    interrupted: &AtomicBool,
    told: &mut dyn FnMut(&Measured, [Option<Facts>; 2]) -> bool,
    progress: &dyn Fn(u32, u32),
    measured: &mut Measured,
) -> Result<()> {
    *measured = Measured { other: (sides.len() > 1).then(Series::new), passes: 1, ..Measured::default() };
    let (mut done, mut target, mut longest) = (0, plan.rounds.max(1), 0.0f64);
    let all = |target: u32| plan.cold + plan.warm_up + target;
    for number in 0..plan.cold + plan.warm_up {
        let cold = number < plan.cold;
        let round = turn(number, sides, &mut |side| if cold { side.cold() } else { side.warm(1) });
        let Some(both) = whole(round, interrupted)? else { return Ok(()) };
        let seconds = both.iter().flatten().filter_map(|round| round.get(if cold { "seconds_cold" } else { "seconds" }));
        longest = seconds.fold(0.0, |longest, &seconds| longest.max(seconds));
        if cold {
            measured.still.extend(both.iter().flatten().flat_map(|round| round.keys().cloned()));
            keep(measured, both);
        }
        done += 1;
        progress(done, all(target));
    }
    if longest > 0.0 {
        measured.passes = (plan.round / longest).ceil().clamp(1.0, PASSES) as u32;
    }
    measured.passes = measured.passes.max(plan.passes);
    let (begun, share) = (clock(), sides.len().max(1) as f64);
    loop {
        // Sides in turns share the time.
        while measured.rounds < target || (clock() - begun) / share < plan.min_time {
            let passes = measured.passes;
            let round = turn(measured.rounds, sides, &mut |side| side.warm(passes));
            let Some(both) = whole(round, interrupted)? else { return Ok(()) };
            keep(measured, both);
            measured.rounds += 1;
            done += 1;
            progress(done, all(target.max(measured.rounds)));
        }
        let facts = [0, 1].map(|side| sides.get(side).map(|side| side.facts()));
        let all_told = told(measured, facts);
        measured.looks += 1;
        // As many rounds again take as long again.
        let now = clock();
        if all_told || now + (now - begun) >= plan.max_time {
            measured.complete = true;
            return Ok(());
        }
        target = measured.rounds.saturating_mul(2);
    }
}

/// What was measured, unless it was cut short by whoever interrupted; then an error is no wonder.
fn whole(round: Result<[Option<Observation>; 2]>, interrupted: &AtomicBool) -> Result<Option<[Option<Observation>; 2]>> {
    if interrupted.load(Ordering::Relaxed) { Ok(None) } else { round.map(Some) }
}

/// A round of each side, in the order that its number says.
fn turn(
    number: u32,
    sides: &mut [&mut dyn Side],
    round: &mut dyn FnMut(&mut dyn Side) -> Result<Observation>,
) -> Result<[Option<Observation>; 2]> {
    let order = if matches!(number % 4, 0 | 3) { [0, 1] } else { [1, 0] };
    let mut both = [None, None];
    for side in order {
        if let Some(measured) = sides.get_mut(side) {
            both[side] = Some(round(&mut **measured)?);
        }
    }
    Ok(both)
}

/// Adds a round. A figure that both sides have is kept of rounds alone in which both have it, so that pairs are pairs.
fn keep(measured: &mut Measured, both: [Option<Observation>; 2]) {
    let [mut ours, mut other] = both.map(Option::unwrap_or_default);
    let Measured { ours: own, other: Some(theirs), .. } = measured else {
        return add(&mut measured.ours, ours);
    };
    ours.retain(|name, _| other.contains_key(name) || !theirs.contains_key(name));
    other.retain(|name, _| ours.contains_key(name) || !own.contains_key(name));
    for name in ours.keys().filter(|name| other.contains_key(*name)) {
        match (own.get(name).map(Vec::len), theirs.get(name).map(Vec::len)) {
            (Some(_), None) => drop(own.remove(name)),
            (None, Some(_)) => drop(theirs.remove(name)),
            _ => {}
        }
    }
    add(own, ours);
    add(theirs, other);
}

fn add(series: &mut Series, round: Observation) {
    round.into_iter().for_each(|(name, value)| series.entry(name).or_default().push(value));
}

#[cfg(test)]
mod tests {
    use std::{
        cell::{Cell, RefCell},
        rc::Rc,
    };

    use super::*;

    /// Writes down who was asked for what.
    struct Clerk {
        name: char,
        book: Rc<RefCell<String>>,
        seconds: f64,
        /// Stands still but for warm rounds.
        clock: Rc<Cell<f64>>,
    }

    impl Side for Clerk {
        fn cold(&mut self) -> Result<Observation> {
            self.book.borrow_mut().extend([self.name.to_ascii_uppercase()]);
            Ok(Observation::from([("seconds_cold".to_owned(), self.seconds)]))
        }

        fn warm(&mut self, passes: u32) -> Result<Observation> {
            anyhow::ensure!(!self.book.borrow().ends_with("fail"), "no more");
            self.clock.set(self.clock.get() + f64::from(passes) * self.seconds);
            self.book.borrow_mut().extend([self.name]);
            Ok(Observation::from([("seconds".to_owned(), self.seconds)]))
        }

        fn facts(&self) -> Facts {
            Facts::default()
        }
    }

    const PLAN: Plan = Plan { cold: 1, round: 0.2, passes: 1, warm_up: 1, rounds: 4, min_time: 0.0, max_time: 3600.0 };

    fn played(plan: &Plan, told: &mut dyn FnMut(&Measured) -> bool) -> (String, Measured) {
        let (book, clock) = (Rc::new(RefCell::new(String::new())), Rc::new(Cell::new(0.0)));
        let side = |name| Clerk { name, book: Rc::clone(&book), seconds: 0.05, clock: Rc::clone(&clock) };
        let (mut ours, mut other, on, mut measured) = (side('a'), side('b'), AtomicBool::new(false), Measured::default());
        let sides: &mut [&mut dyn Side] = &mut [&mut ours, &mut other];
        measure_by(&|| clock.get(), plan, sides, &on, &mut |measured, _| told(measured), &|_, _| {}, &mut measured).unwrap();
        (book.take(), measured)
    }

    #[test]
    fn sides_take_turns_and_neither_has_the_better_place() {
        let (book, measured) = played(&PLAN, &mut |_| true);
        assert_eq!(book, "ABbaabbabaab");
        assert_eq!((measured.rounds, measured.passes, measured.looks), (4, 4, 1));
        assert_eq!(measured.ours["seconds"].len(), 4);
        assert_eq!(measured.other.unwrap()["seconds_cold"], [0.05], "warm-up rounds do not count");
    }

    #[test]
    fn rounds_double_until_all_is_told_or_the_time_is_over() {
        let mut looks = Vec::new();
        let (_, measured) = played(&PLAN, &mut |measured| {
            looks.push((measured.looks, measured.rounds));
            measured.looks == 2
        });
        assert_eq!((looks, measured.rounds, measured.looks), (vec![(0, 4), (1, 8), (2, 16)], 16, 3));
        let (_, measured) = played(&Plan { max_time: 0.0, ..PLAN }, &mut |_| false);
        assert_eq!(measured.rounds, 4);
        // Four rounds of both sides took 1.6 s after 0.1 s of warming up: eight more would end at 4.9 s.
        for (max_time, rounds) in [(3.2, 4), (3.4, 8), (6.4, 8), (6.6, 16)] {
            assert_eq!(played(&Plan { max_time, ..PLAN }, &mut |_| false).1.rounds, rounds, "{max_time}");
        }
    }

    #[test]
    fn figures_that_are_missing_in_some_rounds_are_kept_in_whole_pairs() {
        let mut measured = Measured { other: Some(Series::new()), ..Measured::default() };
        let round = |figures: &[(&str, f64)]| Some(figures.iter().map(|&(name, value)| (name.to_owned(), value)).collect());
        keep(&mut measured, [round(&[("x", 1.0), ("y", 1.0), ("own", 1.0)]), round(&[("x", 10.0)])]);
        keep(&mut measured, [round(&[("x", 2.0), ("y", 2.0), ("own", 2.0)]), round(&[("y", 20.0)])]);
        keep(&mut measured, [round(&[("x", 3.0), ("own", 3.0)]), round(&[("x", 30.0), ("y", 30.0)])]);
        let series = |of: &[(&str, [f64; 2])]| of.iter().map(|(name, values)| ((*name).to_owned(), values.to_vec())).collect::<Series>();
        let [mut ours, mut other] = [measured.ours, measured.other.unwrap()];
        assert_eq!(
            [ours.remove("own"), ours.remove("y"), other.remove("y")],
            [Some(vec![1.0, 2.0, 3.0]), Some(vec![2.0]), Some(vec![20.0])]
        );
        assert_eq!((ours, other), (series(&[("x", [1.0, 3.0])]), series(&[("x", [10.0, 30.0])])));
    }

    #[test]
    fn a_side_that_fails_later_leaves_what_was_measured() {
        let (book, clock, on, mut measured) =
            (Rc::new(RefCell::new(String::new())), Rc::default(), AtomicBool::new(false), Measured::default());
        let mut side = Clerk { name: 'a', book: Rc::clone(&book), seconds: 1.0, clock };
        let progress = |done: u32, _: u32| {
            if done == 4 {
                book.borrow_mut().push_str("fail");
            }
        };
        let error = measure(&PLAN, &mut [&mut side], &on, &mut |_, _| true, &progress, &mut measured).unwrap_err();
        assert_eq!((error.to_string().as_str(), measured.rounds, measured.complete), ("no more", 2, false));
        assert_eq!(measured.ours["seconds"], [1.0, 1.0]);
    }

    #[test]
    fn a_least_time_takes_more_rounds() {
        let (_, measured) = played(&Plan { min_time: 1.1, ..PLAN }, &mut |_| true);
        assert_eq!(measured.rounds, 6, "each takes four passes of 0.05 s, and so do those of the other side");
    }

    #[test]
    fn whoever_interrupts_has_what_was_measured() {
        let (on, book, clock, mut measured) = (AtomicBool::new(true), Rc::default(), Rc::default(), Measured::default());
        let mut side = Clerk { name: 'a', book, seconds: 1.0, clock };
        measure(&PLAN, &mut [&mut side], &on, &mut |_, _| true, &|_, _| {}, &mut measured).unwrap();
        assert!(!measured.complete && measured.rounds == 0 && measured.ours.is_empty(), "a round that was cut short is none");
    }
}
