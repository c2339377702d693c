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
    /// Every backend failed on every artifact.
    pub nothing_answered: bool,
    /// Exact figures that no gate can be held to, and why: they may be others the next time.
    pub unsure: BTreeMap<String, String>,
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
    /// Seconds that the warm rounds of a side take, at least.
    pub min_time: f64,
    /// Seconds from the first round on after which no more are added because something cannot be told.
    pub max_time: f64,
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
    /// False if it was interrupted.
    pub complete: bool,
}

/// Measures one side, or two in turns, ours first. `told` is asked at each look, with what is known of both sides, whether all can be told
/// that more rounds could tell; between looks the number of rounds doubles. `progress` hears of every round that is over, and of
/// how many there will be at least.
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
) -> Result<Measured> {
    let mut measured = Measured { other: (sides.len() > 1).then(Series::new), passes: 1, complete: true, ..Measured::default() };
    let (started, mut done, mut target) = (Instant::now(), 0, plan.rounds.max(1));
    let mut longest = 0.0f64;
    let all = |target: u32| plan.cold + plan.warm_up + target;
    for number in 0..plan.cold + plan.warm_up {
        let cold = number < plan.cold;
        let round = turn(number, sides, &mut |side| if cold { side.cold() } else { side.warm(1) });
        let Some(both) = whole(round, interrupted)? else { return Ok(Measured { complete: false, ..measured }) };
        let seconds = both.iter().flatten().filter_map(|round| round.get(if cold { "seconds_cold" } else { "seconds" }));
        longest = seconds.fold(0.0, |longest, &seconds| longest.max(seconds));
        if cold {
            measured.still.extend(both.iter().flatten().flat_map(|round| round.keys().cloned()));
            keep(&mut measured, both);
        }
        done += 1;
        progress(done, all(target));
    }
    if longest > 0.0 {
        measured.passes = (plan.round / longest).ceil().clamp(1.0, PASSES) as u32;
    }
    measured.passes = measured.passes.max(plan.passes);
    loop {
        while measured.rounds < target || spent(&measured) < plan.min_time {
            let passes = measured.passes;
            let round = turn(measured.rounds, sides, &mut |side| side.warm(passes));
            let Some(both) = whole(round, interrupted)? else { return Ok(Measured { complete: false, ..measured }) };
            keep(&mut measured, both);
            measured.rounds += 1;
            done += 1;
            progress(done, all(target.max(measured.rounds)));
        }
        let facts = [0, 1].map(|side| sides.get(side).map(|side| side.facts()));
        let all_told = told(&measured, facts);
        measured.looks += 1;
        if all_told || started.elapsed().as_secs_f64() >= plan.max_time {
            return Ok(measured);
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

/// Seconds that the warm rounds of our side took.
fn spent(measured: &Measured) -> f64 {
    let seconds = measured.ours.get("seconds").map_or(0.0, |rounds| rounds.iter().sum::<f64>());
    // Nobody waits for what cannot be timed.
    if measured.rounds > 0 && seconds == 0.0 { f64::INFINITY } else { seconds * f64::from(measured.passes) }
}

fn keep(measured: &mut Measured, both: [Option<Observation>; 2]) {
    let add =
        |series: &mut Series, round: Observation| round.into_iter().for_each(|(name, value)| series.entry(name).or_default().push(value));
    let [ours, other] = both;
    if let Some(round) = ours {
        add(&mut measured.ours, round);
    }
    if let (Some(series), Some(round)) = (&mut measured.other, other) {
        add(series, round);
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use super::*;

    /// Writes down who was asked for what.
    struct Clerk {
        name: char,
        book: Rc<RefCell<String>>,
        seconds: f64,
    }

    impl Side for Clerk {
        fn cold(&mut self) -> Result<Observation> {
            self.book.borrow_mut().extend([self.name.to_ascii_uppercase()]);
            Ok(Observation::from([("seconds_cold".to_owned(), self.seconds)]))
        }

        fn warm(&mut self, _: u32) -> Result<Observation> {
            self.book.borrow_mut().extend([self.name]);
            Ok(Observation::from([("seconds".to_owned(), self.seconds)]))
        }

        fn facts(&self) -> Facts {
            Facts::default()
        }
    }

    const PLAN: Plan = Plan { cold: 1, round: 0.2, passes: 1, warm_up: 1, rounds: 4, min_time: 0.0, max_time: 3600.0 };

    fn played(plan: &Plan, told: &mut dyn FnMut(&Measured) -> bool) -> (String, Measured) {
        let book = Rc::new(RefCell::new(String::new()));
        let side = |name| Clerk { name, book: Rc::clone(&book), seconds: 0.05 };
        let (mut ours, mut other, on) = (side('a'), side('b'), AtomicBool::new(false));
        let measured = measure(plan, &mut [&mut ours, &mut other], &on, &mut |measured, _| told(measured), &|_, _| {}).unwrap();
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
    }

    #[test]
    fn a_least_time_takes_more_rounds() {
        let (_, measured) = played(&Plan { min_time: 1.1, ..PLAN }, &mut |_| true);
        assert_eq!(measured.rounds, 6, "each takes four passes of 0.05 s");
    }

    #[test]
    fn whoever_interrupts_has_what_was_measured() {
        let (on, book) = (AtomicBool::new(true), Rc::default());
        let measured = measure(&PLAN, &mut [&mut Clerk { name: 'a', book, seconds: 1.0 }], &on, &mut |_, _| true, &|_, _| {}).unwrap();
        assert!(!measured.complete && measured.rounds == 0 && measured.ours.is_empty(), "a round that was cut short is none");
    }
}
