//! The engine's record by family and by month, in a bounded number of groups: those that are met first are told apart, the
//! others are counted together, so that no corpus can fill the memory with names.

use std::{collections::HashMap, sync::Arc};

use jiff::{Timestamp, Zoned, tz::TimeZone};
use market::nct::NctDelta;
use replay::plan::ArtifactFacts;
use serde::{Deserialize, Serialize};

use crate::{
    money::Money,
    score::{Table, ratio},
};

/// Groups that are told apart.
const GROUPS: usize = 1024;
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

/// By family and by month.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Groups {
    /// By family.
    pub families: Families,
    /// By month.
    pub months: Months,
    /// Places of family and month by number of the row, for rows that were met and are kept in memory: what an artifact is
    /// need not be looked up again.
    rows: Vec<Option<(u16, u16)>>,
}

impl Groups {
    /// Counts an artifact, in whose place among the kept rows its groups are remembered, if it has one; see
    /// [`GroupScore::add`].
    #[inline]
    pub fn add(&mut self, row: Option<usize>, facts: &ArtifactFacts, malicious: bool, called: Option<bool>, profit: NctDelta) {
        let known = row.and_then(|row| self.rows.get(row).copied().flatten());
        let (family, month) = known.unwrap_or_else(|| self.find(row, facts));
        self.families.scores[usize::from(family)].add(malicious, called, profit);
        self.months.scores[usize::from(month)].add(malicious, called, profit);
    }

    fn find(&mut self, row: Option<usize>, facts: &ArtifactFacts) -> (u16, u16) {
        let places = (self.families.place(facts.family.as_ref()), self.months.place(facts.first_seen));
        if let Some(row) = row {
            if row >= self.rows.len() {
                self.rows.resize(row + 1, None);
            }
            self.rows[row] = Some(places);
        }
        places
    }
}

/// Place of the score of what is in no group, and of the groups that are not told apart.
const WITHOUT: u16 = 0;
const OTHERS: u16 = 1;

/// By family.
#[derive(Clone, PartialEq, Debug)]
pub struct Families {
    places: HashMap<Arc<str>, u16>,
    scores: Vec<GroupScore>,
}

impl Default for Families {
    fn default() -> Families {
        Families { places: HashMap::new(), scores: vec![GroupScore::default(); 2] }
    }
}

impl Families {
    /// The place of a family's score.
    fn place(&mut self, family: Option<&Arc<str>>) -> u16 {
        let Some(family) = family else { return WITHOUT };
        match self.places.get(family) {
            Some(&place) => place,
            None if self.places.len() == GROUPS => OTHERS,
            None => {
                let place = self.scores.len() as u16;
                self.places.insert(family.clone(), place);
                self.scores.push(GroupScore::default());
                place
            }
        }
    }

    /// The families with most artifacts.
    pub fn facts(&self) -> GroupsFacts {
        let of = |place: u16| &self.scores[usize::from(place)];
        let mut all: Vec<(&str, &GroupScore)> = self.places.iter().map(|(name, &place)| (&**name, of(place))).collect();
        all.sort_by(|(a, of_a), (b, of_b)| of_b.artifacts.cmp(&of_a.artifacts).then(a.cmp(b)));
        let (told, left_out) = all.split_at(all.len().min(FAMILIES));
        let others = left_out.iter().fold(*of(OTHERS), |sum, (_, score)| sum.and(score));
        GroupsFacts {
            groups: told.iter().map(|(name, score)| score.facts(name)).collect(),
            others: others.facts_if_any("all others"),
            without: of(WITHOUT).facts_if_any("no family"),
        }
    }
}

/// A month, by the Unix seconds of its beginning and of that of the next one, and the place of its score.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Month {
    from: i64,
    until: i64,
    place: u16,
}

/// By the month, in UTC, in which artifacts were first seen.
#[derive(Clone, PartialEq, Debug)]
pub struct Months {
    /// In order of time.
    months: Vec<Month>,
    scores: Vec<GroupScore>,
}

impl Default for Months {
    fn default() -> Months {
        Months { months: Vec::new(), scores: vec![GroupScore::default(); 2] }
    }
}

impl Months {
    /// The place of the score of the month of a moment, in Unix seconds.
    fn place(&mut self, first_seen: Option<i64>) -> u16 {
        first_seen.map_or(WITHOUT, |seconds| self.find(seconds).unwrap_or(OTHERS))
    }

    fn find(&mut self, seconds: i64) -> Option<u16> {
        let at = self.months.partition_point(|month| month.until <= seconds);
        if let Some(month) = self.months.get(at).filter(|month| month.from <= seconds) {
            return Some(month.place);
        }
        if self.months.len() == GROUPS {
            return None;
        }
        let first = in_utc(seconds)?.first_of_month().ok()?.start_of_day().ok()?;
        let next = first.date().last_of_month().tomorrow().ok()?.to_zoned(TimeZone::UTC).ok()?;
        let (from, until) = (first.timestamp().as_second(), next.timestamp().as_second());
        let place = self.scores.len() as u16;
        self.months.insert(at, Month { from, until, place });
        self.scores.push(GroupScore::default());
        Some(place)
    }

    /// The last months.
    pub fn facts(&self) -> GroupsFacts {
        let (left_out, told) = self.months.split_at(self.months.len().saturating_sub(MONTHS));
        let of = |place: u16| &self.scores[usize::from(place)];
        let others = left_out.iter().fold(*of(OTHERS), |sum, month| sum.and(of(month.place)));
        let name = |month: &Month| in_utc(month.from).map_or_else(String::new, |moment| moment.strftime("%Y-%m").to_string());
        GroupsFacts {
            groups: told.iter().map(|month| of(month.place).facts(&name(month))).collect(),
            others: others.facts_if_any("all others"),
            without: of(WITHOUT).facts_if_any("no date"),
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

    fn count(months: &mut Months, first_seen: Option<i64>) {
        let place = months.place(first_seen);
        months.scores[usize::from(place)].add(true, None, NctDelta::ZERO);
    }

    fn told(facts: &GroupsFacts) -> Vec<(&str, u64)> {
        facts.rows().map(|group| (group.name.as_str(), group.artifacts)).collect()
    }

    #[test]
    fn the_largest_families_are_named_and_all_are_counted() {
        let mut families = Families::default();
        for number in 0..5_000_u64 {
            let name: Arc<str> = format!("family {}", if number % 2 == 0 { 0 } else { number }).into();
            let place = families.place(Some(&name));
            families.scores[usize::from(place)].add(true, Some(true), NctDelta::from(Nct::whole(1)));
        }
        families.scores[usize::from(WITHOUT)].add(false, None, NctDelta::ZERO);
        let facts = families.facts();
        assert_eq!(families.places.len(), GROUPS);
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
            count(&mut months, Some(second(moment)));
        }
        count(&mut months, None);
        count(&mut months, Some(i64::MAX));
        let facts = months.facts();
        let expected = [("1969-12", 1), ("2023-12", 1), ("2024-02", 1), ("2024-03", 2), ("all others", 1), ("no date", 1)];
        assert_eq!(told(&facts), expected);
    }

    #[test]
    fn dates_all_over_the_calendar_do_not_fill_the_memory() {
        let mut months = Months::default();
        (0..40_000).for_each(|month| count(&mut months, Some(month * 2_678_400)));
        assert_eq!(months.months.len(), GROUPS);
        assert_eq!(months.facts().rows().map(|group| group.artifacts).sum::<u64>(), 40_000);
    }
}
