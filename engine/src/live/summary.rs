//! What an engine did from its start to its end, as counted by the driver and printed at the exit.

use std::{collections::BTreeMap, fmt};

use alloy_primitives::U256;
use market::nct::Nct;

use crate::microengine::Abstention;

/// Counts of one run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// Bounties heard of.
    pub seen: u64,
    /// Of those, with artifacts of a type that is not scanned.
    pub of_other_types: u64,
    /// Of those, given up because artifacts could not be had.
    pub unscanned: u64,
    /// Of those, known already from before a restart.
    pub known: u64,
    /// Left alone by decision, by reason. `late` stands here, too.
    pub abstained: BTreeMap<Abstention, u64>,
    /// Assertions on chain, made in this run.
    pub asserted: u64,
    /// Assertions that did not get on chain.
    pub refused: u64,
    /// Assertions of earlier runs taken up again.
    pub resumed: u64,
    /// Assertions revealed.
    pub revealed: u64,
    /// Assertions that could not be revealed in time.
    pub unrevealed: u64,
    /// Bounties settled.
    pub settled: u64,
    /// What settling paid, in wei.
    pub paid: Nct,
    /// Things that went wrong, whether or not they were made good.
    pub errors: u64,
    /// Assertions still to be revealed or settled.
    pub open: u64,
}

impl Summary {
    /// A settlement paid that much. What servers say cannot overflow this.
    pub fn pay(&mut self, amount: Nct) {
        self.paid = self.paid.checked_add(amount).unwrap_or(Nct::from_uint(U256::MAX));
    }

    /// Adds the counts of another chain.
    pub fn add(&mut self, other: &Summary) {
        let Summary { seen, of_other_types, unscanned, known, abstained, asserted, refused, .. } = other;
        let Summary { resumed, revealed, unrevealed, settled, paid, errors, open, .. } = other;
        self.seen += seen;
        self.of_other_types += of_other_types;
        self.unscanned += unscanned;
        self.known += known;
        for (&reason, count) in abstained {
            *self.abstained.entry(reason).or_default() += count;
        }
        self.asserted += asserted;
        self.refused += refused;
        self.resumed += resumed;
        self.revealed += revealed;
        self.unrevealed += unrevealed;
        self.settled += settled;
        self.pay(*paid);
        self.errors += errors;
        self.open += open;
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let late = self.abstained.get(&Abstention::Late).copied().unwrap_or(0);
        let mut line = |name: &str, value: &dyn fmt::Display| writeln!(f, "{name:<18}{value:>24}");
        line("bounties seen", &self.seen)?;
        line("  asserted", &self.asserted)?;
        for (reason, count) in &self.abstained {
            if *reason != Abstention::Late {
                line(&format!("  {}", reason.to_string().replace('_', " ")), count)?;
            }
        }
        line("  late", &late)?;
        for (name, count) in [
            ("  of other types", self.of_other_types),
            ("  not scanned", self.unscanned),
            ("  known before", self.known),
            ("  refused", self.refused),
        ] {
            if count > 0 {
                line(name, &count)?;
            }
        }
        if self.resumed > 0 {
            line("resumed", &self.resumed)?;
        }
        line("revealed", &self.revealed)?;
        if self.unrevealed > 0 {
            line("not revealed", &self.unrevealed)?;
        }
        line("settled", &self.settled)?;
        line("NCT paid out", &self.paid)?;
        line("errors", &self.errors)?;
        if self.open > 0 {
            line("still open", &self.open)?;
            writeln!(f, "start again with the same journal to reveal and settle what is open")?;
        }
        Ok(())
    }
}
