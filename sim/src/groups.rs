//! The engine's record by family and by month, in a bounded number of groups: those that are met first are told apart, the
//! others are counted together, so that no corpus can fill the memory with names.

use std::collections::HashMap;

use jiff::{Timestamp, Zoned, tz::TimeZone};
use market::nct::NctDelta;
use serde::{Deserialize, Serialize};

use crate::{
    money::Money,
    score::{Table, ratio},
};

/// Groups that are told apart.
const GROUPS: usize = 1024;
/// Families that are found without a search.
const RECENT: usize = 256;
/// Families that a report names: those with most artifacts.
const FAMILIES: usize = 50;
/// Months that a report names: the last ones.
const MONTHS: usize = 120;

/// What is counted of a group of artifacts.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct GroupScore {
    artifacts: u64,
    malicious: u64,
    /// The engine's calls against the corpus label.
    label: Table,
    /// Of bounties whose first artifact is in the group.
    profit: NctDelta,
}

impl GroupScore {
    /// Counts an artifact that is `malicious`, what the engine `called` it, and what the bounty brought if it is its first one.
    #[inline]
    pub fn add(&mut self, malicious: bool, called: Option<bool>, profit: NctDelta) {
        self.artifacts += 1;
        self.malicious += u64::from(malicious);
        self.profit += profit;
        if let Some(called) = called {
            self.label.add(called, malicious);
        }
    }

    fn and(mut self, other: &GroupScore) -> GroupScore {
        self.artifacts += other.artifacts;
        self.malicious += other.malicious;
        self.label = self.label.and(&other.label);
        self.profit += other.profit;
        self
    }

    fn facts(&self, name: &str) -> GroupFacts {
        GroupFacts {
            name: name.to_owned(),
            artifacts: self.artifacts,
            malicious: self.malicious,
            coverage: ratio(self.label.total(), self.artifacts),
            accuracy: self.label.accuracy(),
            tpr: self.label.tpr(),
            fpr: self.label.fpr(),
            profit: self.profit.into(),
        }
    }

    fn facts_if_any(&self, name: &str) -> Option<GroupFacts> {
        (self.artifacts > 0).then(|| self.facts(name))
    }
}

/// By family.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Families {
    /// By the hash of the name.
    places: HashMap<u64, usize>,
    /// Hashes and places that were asked for lately, by the last digits of the hash.
    recent: Vec<(u64, usize)>,
    names: Vec<String>,
    scores: Vec<GroupScore>,
    others: GroupScore,
    without: GroupScore,
}

impl Families {
    /// The score of a family, by the hash of its name, which is asked for if it is a new one.
    #[inline]
    pub fn of<'a>(&mut self, family: Option<u64>, name: impl FnOnce() -> &'a str) -> &mut GroupScore {
        let Some(hash) = family else { return &mut self.without };
        let slot = hash as usize % RECENT;
        if let Some(&(known, place)) = self.recent.get(slot)
            && known == hash
            && place < self.scores.len()
        {
            return &mut self.scores[place];
        }
        match self.find(hash, name) {
            Some(place) => {
                self.recent.resize(RECENT, (0, usize::MAX));
                self.recent[slot] = (hash, place);
                &mut self.scores[place]
            }
            None => &mut self.others,
        }
    }

    fn find<'a>(&mut self, hash: u64, name: impl FnOnce() -> &'a str) -> Option<usize> {
        if let Some(&place) = self.places.get(&hash) {
            return Some(place);
        }
        let place = self.scores.len();
        if place == GROUPS {
            return None;
        }
        self.places.insert(hash, place);
        self.names.push(name().to_owned());
        self.scores.push(GroupScore::default());
        Some(place)
    }

    /// The families with most artifacts.
    pub fn facts(&self) -> GroupsFacts {
        let mut all: Vec<(&str, &GroupScore)> = self.names.iter().map(String::as_str).zip(&self.scores).collect();
        all.sort_by(|(a, of_a), (b, of_b)| of_b.artifacts.cmp(&of_a.artifacts).then(a.cmp(b)));
        let (told, left_out) = all.split_at(all.len().min(FAMILIES));
        let others = left_out.iter().fold(self.others, |sum, (_, score)| sum.and(score));
        GroupsFacts {
            groups: told.iter().map(|(name, score)| score.facts(name)).collect(),
            others: others.facts_if_any("all others"),
            without: self.without.facts_if_any("no family"),
        }
    }
}

/// A month, by the Unix seconds of its beginning and of that of the next one.
#[derive(Clone, PartialEq, Debug)]
struct Month {
    from: i64,
    until: i64,
    score: GroupScore,
}

/// By the month, in UTC, in which artifacts were first seen.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Months {
    /// In order of time.
    months: Vec<Month>,
    /// Place of the last one that was asked for: neighbours are mostly of one month.
    last: usize,
    others: GroupScore,
    without: GroupScore,
}

impl Months {
    /// The score of the month of a moment, in Unix seconds.
    #[inline]
    pub fn of(&mut self, first_seen: Option<i64>) -> &mut GroupScore {
        let Some(seconds) = first_seen else { return &mut self.without };
        if !self.months.get(self.last).is_some_and(|month| (month.from..month.until).contains(&seconds)) {
            match self.find(seconds) {
                Some(place) => self.last = place,
                None => return &mut self.others,
            }
        }
        &mut self.months[self.last].score
    }

    fn find(&mut self, seconds: i64) -> Option<usize> {
        let place = self.months.partition_point(|month| month.until <= seconds);
        if self.months.get(place).is_some_and(|month| month.from <= seconds) {
            return Some(place);
        }
        if self.months.len() == GROUPS {
            return None;
        }
        let first = in_utc(seconds)?.first_of_month().ok()?.start_of_day().ok()?;
        let next = first.date().last_of_month().tomorrow().ok()?.to_zoned(TimeZone::UTC).ok()?;
        let (from, until) = (first.timestamp().as_second(), next.timestamp().as_second());
        self.months.insert(place, Month { from, until, score: GroupScore::default() });
        Some(place)
    }

    /// The last months.
    pub fn facts(&self) -> GroupsFacts {
        let (left_out, told) = self.months.split_at(self.months.len().saturating_sub(MONTHS));
        let others = left_out.iter().fold(self.others, |sum, month| sum.and(&month.score));
        let name = |month: &Month| in_utc(month.from).map_or_else(String::new, |moment| moment.strftime("%Y-%m").to_string());
        GroupsFacts {
            groups: told.iter().map(|month| month.score.facts(&name(month))).collect(),
            others: others.facts_if_any("all others"),
            without: self.without.facts_if_any("no date"),
        }
    }
}

fn in_utc(seconds: i64) -> Option<Zoned> {
    Timestamp::from_second(seconds).ok().map(|moment| moment.to_zoned(TimeZone::UTC))
}

/// Groups of artifacts.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct GroupsFacts {
    /// Families: those with most artifacts first. Months: in order of time.
    pub groups: Vec<GroupFacts>,
    /// All others together, if there are any.
    pub others: Option<GroupFacts>,
    /// Artifacts that are in no group, if there are any.
    pub without: Option<GroupFacts>,
}

impl GroupsFacts {
    /// All rows, the groups first.
    pub fn rows(&self) -> impl Iterator<Item = &GroupFacts> {
        self.groups.iter().chain(&self.others).chain(&self.without)
    }
}

/// The engine on one group of artifacts.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GroupFacts {
    pub name: String,
    pub artifacts: u64,
    /// By the corpus label.
    pub malicious: u64,
    /// Share of the artifacts that the engine staked on.
    pub coverage: Option<f64>,
    /// Against the corpus label, as the next two.
    pub accuracy: Option<f64>,
    pub tpr: Option<f64>,
    pub fpr: Option<f64>,
    /// Of bounties whose first artifact is in the group.
    pub profit: Money,
}

#[cfg(test)]
mod tests {
    use market::nct::Nct;

    use super::*;

    fn told(facts: &GroupsFacts) -> Vec<(&str, u64)> {
        facts.rows().map(|group| (group.name.as_str(), group.artifacts)).collect()
    }

    #[test]
    fn the_largest_families_are_named_and_all_are_counted() {
        let mut families = Families::default();
        for number in 0..5_000_u64 {
            let number = if number % 2 == 0 { 0 } else { number };
            let name = format!("family {number}");
            families.of(Some(number), || &name).add(true, Some(true), NctDelta::from(Nct::whole(1)));
        }
        families.of(None, || "").add(false, None, NctDelta::ZERO);
        let facts = families.facts();
        assert_eq!(families.scores.len(), GROUPS);
        assert_eq!((facts.groups.len(), facts.groups[0].artifacts, facts.groups[0].name.as_str()), (FAMILIES, 2_500, "family 0"));
        assert_eq!(facts.rows().map(|group| group.artifacts).sum::<u64>(), 5_001);
        assert_eq!(facts.rows().map(|group| group.profit.nct).sum::<f64>(), 5_000.0);
        assert_eq!(facts.without.as_ref().map(|group| (group.accuracy, group.coverage)), Some((None, Some(0.0))));
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        let mut months = Months::default();
        let second = |moment: &str| moment.parse::<Timestamp>().unwrap().as_second();
        let moments =
            ["2024-02-29T23:59:59Z", "2024-03-01T00:00:00Z", "2023-12-31T12:00:00Z", "2024-03-31T23:59:59Z", "1969-12-31T23:59:59Z"];
        for moment in moments {
            months.of(Some(second(moment))).add(true, None, NctDelta::ZERO);
        }
        months.of(None).add(true, None, NctDelta::ZERO);
        months.of(Some(i64::MAX)).add(true, None, NctDelta::ZERO);
        let facts = months.facts();
        let expected = [("1969-12", 1), ("2023-12", 1), ("2024-02", 1), ("2024-03", 2), ("all others", 1), ("no date", 1)];
        assert_eq!(told(&facts), expected);
    }

    #[test]
    fn dates_all_over_the_calendar_do_not_fill_the_memory() {
        let mut months = Months::default();
        (0..40_000).for_each(|month| months.of(Some(month * 2_678_400)).add(true, None, NctDelta::ZERO));
        assert_eq!(months.months.len(), GROUPS);
        assert_eq!(months.facts().rows().map(|group| group.artifacts).sum::<u64>(), 40_000);
    }
}
