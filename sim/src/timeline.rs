//! When the artifacts of a run were first seen and what they are, bounty by bounty: periods, and what evaluations in time must not
//! do (Pendlebury et al. 2019, TESSERACT).
//!
//! A corpus without any dates is a sequence in the order given; the same holds among artifacts of one date.

use std::{fmt, str::FromStr};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use datasets::Truth;
use replay::plan::Setup;
use serde::{Deserialize, Serialize};

use crate::text;

/// A part's share of one class may be so many times what it was before.
const RATIO: f64 = 2.0;
/// In a part, of a malicious and a benign artifact drawn at random the former may be the later one in a share of cases that is so
/// far from a half.
const APART: f64 = 0.25;
/// Standard errors that count as chance.
const CHANCE: f64 = 3.0;
/// Seconds of a day.
const DAY: i64 = 86_400;

/// What makes an evaluation look better than it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Bias {
    /// Something is judged by what was seen before what it learned from
    TimeOrder,
    /// Malicious and benign artifacts of one part are not from the same time
    Window,
    /// The share of malware that is judged is not what it was before, or not the one that was asked for
    Ratio,
}

impl Bias {
    /// What to do about it.
    fn remedy(self) -> &'static str {
        match self {
            Bias::TimeOrder => "sort the corpus by `first_seen` and play it once",
            Bias::Window => "choose longer parts or a corpus whose classes were collected together",
            Bias::Ratio => "take a corpus with a realistic share, say with `--malware-share` what that is",
        }
    }
}

impl fmt::Display for Bias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Bias::TimeOrder => "time-order",
            Bias::Window => "window",
            Bias::Ratio => "ratio",
        })
    }
}

/// What the user says about biases.
#[derive(Clone, Debug, Default, Args)]
pub struct BiasArgs {
    /// Go on in spite of a bias, and say so in the report; repeatable
    #[arg(long, value_name = "NAME")]
    pub allow_bias: Vec<Bias>,
    /// Share of malware that is realistic in what is judged, in percent, as in 5..15 [default: at most twice or half of what it was
    /// before, and the same of benign artifacts]
    #[arg(long, value_name = "LOW..HIGH")]
    pub malware_share: Option<MalwareShare>,
}

impl BiasArgs {
    /// True if anything was said.
    pub fn asked(&self) -> bool {
        !self.allow_bias.is_empty() || self.malware_share.is_some()
    }
}

/// A range of shares.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct MalwareShare {
    low: f64,
    high: f64,
}

impl FromStr for MalwareShare {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<MalwareShare, &'static str> {
        let percent = |text: &str| text.trim().parse::<f64>().ok().filter(|share| (0.0..=100.0).contains(share));
        let ends = text.split_once("..").and_then(|(low, high)| percent(low).zip(percent(high)));
        let ends = ends.filter(|(low, high)| low <= high).ok_or("two percentages, the smaller one first, as in 5..15")?;
        Ok(MalwareShare { low: ends.0 / 100.0, high: ends.1 / 100.0 })
    }
}

/// A bias that was allowed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AllowedBias {
    pub bias: Bias,
    /// What there is of it; nothing if there is none.
    pub found: Option<String>,
}

impl AllowedBias {
    /// The line that stands first in a report.
    pub fn line(&self) -> String {
        match &self.found {
            Some(found) => format!("warning: biased, and allowed by --allow-bias {}: {}\n", self.bias, text::plain(found)),
            None => format!("warning: --allow-bias {}: allowed, but nothing of it was found\n", self.bias),
        }
    }
}

/// What became of checking for biases.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Checked {
    pub allowed: Vec<AllowedBias>,
    pub warnings: Vec<String>,
}

/// A part of the bounties: what it is called, and their numbers.
pub type Part = (String, (u64, u64));

/// How later bounties are cut into periods.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    /// So many of equal length.
    Folds(u64),
    /// By the calendar.
    Calendar(Period),
}

/// A period of the calendar, in UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Period {
    /// From midnight to midnight
    Day,
    /// From Monday to Sunday
    Week,
    /// From the first of a month to the last
    Month,
}

impl Period {
    fn name(self) -> &'static str {
        match self {
            Period::Day => "day",
            Period::Week => "week",
            Period::Month => "month",
        }
    }

    /// A number that is the same for all moments of a period, and grows.
    fn number(self, seconds: i64) -> i64 {
        let day = seconds.div_euclid(DAY);
        match self {
            Period::Day => day,
            // The first of January 1970 was a Thursday.
            Period::Week => (day + 3).div_euclid(7),
            Period::Month => jiff::Timestamp::from_second(seconds).map_or(day, |moment| {
                let date = moment.to_zoned(jiff::tz::TimeZone::UTC).date();
                i64::from(date.year()) * 12 + i64::from(date.month())
            }),
        }
    }
}

/// One artifact.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Sighting {
    line: u64,
    first_seen: Option<i64>,
    malicious: bool,
}

/// The artifacts of a run, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Timeline {
    sightings: Vec<Sighting>,
    undated: u64,
    per_bounty: u64,
    bounties: u64,
}

impl Timeline {
    /// Reads the corpus once more, as far as it is played; `progress` hears how many artifacts are read.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn read(setup: &Setup, progress: &dyn Fn(u64)) -> Result<Timeline> {
        let per_bounty = u64::from(setup.scenario.ambassadors.artifacts);
        let played = usize::try_from(setup.bounties.saturating_mul(per_bounty)).unwrap_or(usize::MAX);
        let sighting =
            |row: datasets::Row| Sighting { line: row.line, first_seen: row.first_seen, malicious: row.truth == Truth::Malicious };
        let sightings =
            setup.corpus.rows()?.take(played).inspect(|_| progress(1)).map(|row| row.map(sighting)).collect::<Result<_, _>>()?;
        Ok(Timeline::new(sightings, per_bounty, setup.bounties))
    }

    fn new(sightings: Vec<Sighting>, per_bounty: u64, bounties: u64) -> Timeline {
        let undated = sightings.iter().filter(|sighting| sighting.first_seen.is_none()).count() as u64;
        Timeline { sightings, undated, per_bounty, bounties }
    }

    fn dated(&self) -> bool {
        self.undated == 0
    }

    /// Bounties until artifacts come again.
    fn pass(&self) -> u64 {
        (self.sightings.len() as u64).div_ceil(self.per_bounty).max(1)
    }

    /// Places of the artifacts of some bounties, in order.
    fn places(&self, (from, to): (u64, u64)) -> impl Iterator<Item = usize> {
        let (pass, rows) = (self.pass(), self.sightings.len() as u64);
        (from..to).flat_map(move |bounty| {
            let first = bounty % pass * self.per_bounty;
            (first..(first + self.per_bounty).min(rows)).map(|place| place as usize)
        })
    }

    /// Artifacts of some bounties, and how many of them are malicious.
    pub fn artifacts(&self, part: (u64, u64)) -> (u64, u64) {
        self.places(part).fold((0, 0), |(all, malicious), place| (all + 1, malicious + u64::from(self.sightings[place].malicious)))
    }

    /// When the first and the last of the artifacts of some bounties were first seen, in Unix seconds; nothing without dates.
    pub fn span(&self, part: (u64, u64)) -> Option<(i64, i64)> {
        let dates = || self.places(part).filter_map(|place| self.sightings[place].first_seen);
        dates().min().zip(dates().max())
    }

    /// Cuts what comes after the first `train` of the bounties, a share, into periods. A calendar period in which training would
    /// end belongs to training as a whole.
    ///
    /// # Errors
    ///
    /// If there are too few bounties for that, or no dates for a calendar.
    pub fn periods(&self, cut: Cut, train: f64) -> Result<Vec<(u64, u64)>> {
        let learn = ((train * self.bounties as f64).round() as u64).min(self.bounties);
        let left = self.bounties - learn;
        match cut {
            Cut::Folds(folds) => {
                if left < folds {
                    bail!("--folds {folds}: after training there are {left} bounties; choose fewer folds");
                }
                let at = |fold: u64| learn + (u128::from(fold) * u128::from(left) / u128::from(folds)) as u64;
                Ok((0..folds).map(|fold| (at(fold), at(fold + 1))).collect())
            }
            Cut::Calendar(period) => {
                let name = period.name();
                if !self.dated() {
                    let (undated, all) = (self.undated, self.sightings.len());
                    bail!("--period {name}: {undated} of {all} artifacts have no `first_seen`; use --folds");
                }
                // A bounty cannot be posted before all of its artifacts were seen, nor before its predecessor.
                let mut now = i64::MIN;
                let mut number = |bounty: u64| {
                    let seen = self.places((bounty, bounty + 1)).filter_map(|place| self.sightings[place].first_seen);
                    now = now.max(seen.max().unwrap_or(now));
                    period.number(now)
                };
                let numbers: Vec<i64> = (0..self.bounties).map(&mut number).collect();
                let begins = |&bounty: &u64| bounty > 0 && numbers[bounty as usize] != numbers[bounty as usize - 1];
                let mut ends: Vec<u64> = (learn.max(1)..self.bounties).filter(begins).collect();
                if ends.is_empty() {
                    bail!(
                        "--period {name}: the corpus ends in the {name} in which training does; choose a shorter period or less training"
                    );
                }
                ends.push(self.bounties);
                Ok(ends.windows(2).map(|pair| (pair[0], pair[1])).collect())
            }
        }
    }

    /// Checks everything that is checked, before anything is played: `parts` for their windows, and what is `judged` against what
    /// comes before it.
    ///
    /// # Errors
    ///
    /// If there is a bias that is not allowed.
    pub fn check(&self, parts: &[Part], judged: (u64, u64), args: &BiasArgs) -> Result<Checked> {
        let mut checked = Checked { allowed: Vec::new(), warnings: self.unsure() };
        let found = [
            (Bias::TimeOrder, self.time_order()),
            (Bias::Window, self.window(parts)),
            (Bias::Ratio, self.ratio(judged, args.malware_share)),
        ];
        let mut refused = Vec::new();
        for (bias, found) in found {
            if args.allow_bias.contains(&bias) {
                checked.allowed.push(AllowedBias { bias, found });
            } else if let Some(found) = found {
                refused.push(format!("{bias}: {found}; {}, or accept it with `--allow-bias {bias}`", bias.remedy()));
            }
        }
        if !refused.is_empty() {
            bail!("{}", refused.join("; "));
        }
        Ok(checked)
    }

    /// What cannot be checked.
    fn unsure(&self) -> Vec<String> {
        let all = self.sightings.len() as u64;
        match self.undated {
            0 => Vec::new(),
            undated if undated == all => {
                vec!["the corpus has no dates: its order is taken for that of time, which nobody can check".to_owned()]
            }
            undated => vec![format!("{undated} of {all} artifacts have no `first_seen`: their place is taken for their time")],
        }
    }

    /// No artifact comes after one that was seen later, nor twice.
    fn time_order(&self) -> Option<String> {
        if self.bounties > self.pass() {
            let times = self.bounties as f64 / self.pass() as f64;
            return Some(format!("the corpus is played {times:.1} times over, so what is judged was met in training"));
        }
        let (mut latest, mut first, mut early) = (i64::MIN, None, 0);
        for sighting in &self.sightings {
            let Some(seen) = sighting.first_seen else { continue };
            if seen < latest {
                first.get_or_insert(sighting.line);
                early += 1;
            }
            latest = latest.max(seen);
        }
        first.map(|line| {
            format!("{early} artifacts come after one that was first seen later, the first in row {line}, so lessons come from the future")
        })
    }

    /// In each part both classes, from the same time.
    fn window(&self, parts: &[Part]) -> Option<String> {
        parts.iter().filter(|(_, (from, to))| from < to).find_map(|(name, part)| {
            let [malicious, benign] = [true, false].map(|class| {
                let of_class = |place: &usize| self.sightings[*place].malicious == class;
                self.places(*part).filter(of_class).map(|place| self.moment(place)).collect::<Vec<i64>>()
            });
            for (class, artifacts) in [("malicious", &malicious), ("benign", &benign)] {
                if artifacts.is_empty() {
                    return Some(format!("{name} has no {class} artifacts, so there is nothing to tell apart"));
                }
            }
            let (share, error) = later(&malicious, &benign);
            let apart = (share - 0.5).abs();
            (apart > APART && apart > CHANCE * error).then(|| {
                format!(
                    "in {name} malware is later than benign artifacts in {:.0} % of pairs, so one can be told from the other by its date",
                    100.0 * share
                )
            })
        })
    }

    /// When an artifact was seen; its place in a corpus that does not say so of all.
    fn moment(&self, place: usize) -> i64 {
        self.sightings[place].first_seen.filter(|_| self.dated()).unwrap_or(place as i64)
    }

    /// The share of malware that is judged is the one asked for, or near that before.
    fn ratio(&self, judged: (u64, u64), asked: Option<MalwareShare>) -> Option<String> {
        let (all, malicious) = self.artifacts(judged);
        let share = malicious as f64 / all.max(1) as f64;
        if let Some(MalwareShare { low, high }) = asked {
            return (share < low || share > high).then(|| {
                format!(
                    "{:.1} % of what is judged is malware, not {} to {} % as --malware-share says",
                    100.0 * share,
                    100.0 * low,
                    100.0 * high
                )
            });
        }
        let (earlier, earlier_malicious) = self.artifacts((0, judged.0));
        if earlier == 0 {
            return None;
        }
        let before = earlier_malicious as f64 / earlier as f64;
        let moved = |before: f64, share: f64| share > RATIO * before || before > RATIO * share;
        let pooled = (malicious + earlier_malicious) as f64 / (all + earlier) as f64;
        let error = (pooled * (1.0 - pooled) * (1.0 / all.max(1) as f64 + 1.0 / earlier as f64)).sqrt();
        let beyond_chance = (share - before).abs() > CHANCE * error;
        (beyond_chance && (moved(before, share) || moved(1.0 - before, 1.0 - share)))
            .then(|| format!("{:.1} % of what is judged is malware, and {:.1} % of what comes before", 100.0 * share, 100.0 * before))
    }
}

/// In which share of pairs the first is later than the second, half of equal ones counted (Mann & Whitney 1947), and the standard
/// error of that if both are from the same time.
fn later(firsts: &[i64], seconds: &[i64]) -> (f64, f64) {
    let mut sorted = seconds.to_vec();
    sorted.sort_unstable();
    let beaten = firsts.iter().map(|moment| {
        let (below, up_to) = (sorted.partition_point(|other| other < moment), sorted.partition_point(|other| other <= moment));
        0.5 * (below + up_to) as f64
    });
    let (m, n) = (firsts.len() as f64, seconds.len() as f64);
    (beaten.sum::<f64>() / (m * n), ((m + n + 1.0) / (12.0 * m * n)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::moment;

    /// Artifacts a day apart from the first of January 2024 on; every third is malicious.
    fn days(count: u64) -> Vec<Sighting> {
        let one =
            |day: u64| Sighting { line: day + 2, first_seen: Some(1_704_067_200 + day as i64 * DAY), malicious: day.is_multiple_of(3) };
        (0..count).map(one).collect()
    }

    fn whole(timeline: &Timeline, args: &BiasArgs) -> Result<Checked> {
        let (learn, all) = (timeline.bounties / 2, timeline.bounties);
        timeline.check(&[("training".to_owned(), (0, learn)), ("the rest".to_owned(), (learn, all))], (learn, all), args)
    }

    fn refusal(sightings: Vec<Sighting>) -> String {
        let timeline = Timeline { bounties: sightings.len() as u64, ..Timeline::new(sightings, 1, 0) };
        whole(&timeline, &BiasArgs::default()).map_or_else(|error| error.to_string(), |checked| format!("{checked:?}"))
    }

    #[test]
    fn periods_follow_each_other_and_leave_nothing_out() {
        let timeline = Timeline::new(days(400), 2, 200);
        assert_eq!(timeline.periods(Cut::Folds(3), 0.2).unwrap(), [(40, 93), (93, 146), (146, 200)]);
        // Bounties are two days long: training ends in March, so April is the first; 2024 has a 29th of February.
        let months = timeline.periods(Cut::Calendar(Period::Month), 0.2).unwrap();
        assert_eq!((months[0], months.len(), months[months.len() - 1].1), ((45, 60), 11, 200));
        assert_eq!(
            timeline.span(months[0]).map(|(from, to)| [moment(from), moment(to)]).unwrap(),
            ["2024-03-31T00:00:00Z", "2024-04-29T00:00:00Z"]
        );
        // The first of January 2024 was a Monday.
        let weeks = Timeline::new(days(21), 1, 21).periods(Cut::Calendar(Period::Week), 0.1).unwrap();
        assert_eq!(weeks, [(7, 14), (14, 21)]);
        assert!(timeline.periods(Cut::Folds(161), 0.2).unwrap_err().to_string().contains("160 bounties"));
        let short = Timeline::new(days(21), 1, 21).periods(Cut::Calendar(Period::Month), 0.1);
        assert!(short.unwrap_err().to_string().contains("ends in the month in which training does"));
    }

    #[test]
    fn what_comes_from_the_future_is_refused() {
        assert_eq!(refusal(days(90)), "Checked { allowed: [], warnings: [] }");
        let mut swapped = days(90);
        swapped.swap(40, 41);
        assert!(refusal(swapped).starts_with("time-order: 1 artifacts come after one that was first seen later, the first in row 42"));
        let mut same = days(90);
        same.iter_mut().for_each(|sighting| sighting.first_seen = Some(5));
        assert_eq!(refusal(same), "Checked { allowed: [], warnings: [] }", "among equals their order counts");
        let twice = Timeline::new(days(90), 1, 180);
        assert!(whole(&twice, &BiasArgs::default()).unwrap_err().to_string().contains("played 2.0 times over"));
    }

    #[test]
    fn a_corpus_without_dates_is_a_sequence() {
        let mut undated = days(90);
        undated.iter_mut().for_each(|sighting| sighting.first_seen = None);
        assert!(refusal(undated.clone()).contains("has no dates: its order is taken for that of time"));
        undated.sort_by_key(|sighting| !sighting.malicious);
        let sorted = refusal(undated);
        assert!(
            sorted.starts_with("window: in training malware is later than benign artifacts in 0 % of pairs"),
            "sorted by label: {sorted}"
        );
        let mut some = days(90);
        some[5].first_seen = None;
        assert!(refusal(some).contains("1 of 90 artifacts have no `first_seen`"));
    }

    #[test]
    fn classes_of_different_times_are_refused() {
        let mut halves = days(120);
        // In the later half, malware comes last.
        halves.iter_mut().enumerate().skip(60).for_each(|(day, sighting)| sighting.malicious = day >= 100);
        assert!(refusal(halves).starts_with("window: in the rest malware is later than benign artifacts in 100 % of pairs"));
        // Three of each prove nothing.
        let mut few = days(66);
        few.iter_mut().enumerate().skip(60).for_each(|(day, sighting)| sighting.malicious = day >= 63);
        let timeline = Timeline::new(few, 1, 66);
        assert_eq!(timeline.window(&[("the end".to_owned(), (60, 66))]), None);
    }

    #[test]
    fn a_share_of_malware_that_moves_is_refused() {
        let mut rising = days(600);
        rising.iter_mut().enumerate().skip(300).for_each(|(day, sighting)| sighting.malicious = day % 10 < 7);
        assert!(refusal(rising.clone()).starts_with("ratio: 70.0 % of what is judged is malware, and 33.3 % of what comes before"));
        let timeline = Timeline::new(rising, 1, 600);
        let asked = |range: &str| BiasArgs { malware_share: Some(range.parse().unwrap()), ..BiasArgs::default() };
        assert!(whole(&timeline, &asked("60..70")).is_ok());
        assert!(whole(&timeline, &asked("5..15")).unwrap_err().to_string().contains("not 5 to 15 % as --malware-share says"));
        for wrong in ["15..5", "5", "-1..5", "5..101", "a..b", "NaN..5"] {
            assert!(wrong.parse::<MalwareShare>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_allowed_is_stamped_found_or_not() {
        let twice = Timeline::new(days(90), 1, 180);
        let args = BiasArgs { allow_bias: vec![Bias::Ratio, Bias::TimeOrder], malware_share: None };
        let lines: Vec<String> = whole(&twice, &args).unwrap().allowed.iter().map(AllowedBias::line).collect();
        assert!(lines[0].starts_with("warning: biased, and allowed by --allow-bias time-order: the corpus is played 2.0"), "{lines:?}");
        assert_eq!(lines[1], "warning: --allow-bias ratio: allowed, but nothing of it was found\n");
    }
}
