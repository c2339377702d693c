//! Why a bounty brought less than it could have.

use serde::{Deserialize, Serialize};

/// What made the difference between two ways to stake on one bounty.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Wrong, and none of the backends that answered said what the consensus says.
    ScanError,
    /// Wrong, though a backend said what the consensus says: the distilled verdict did not.
    Distillation,
    /// The distilled verdict was right, and the strategy staked on the other side.
    AgainstVerdict,
    /// No backend answered, or the filter left the artifact alone.
    NoOpinion,
    /// Right, and nothing staked.
    WrongAbstention,
    /// On the right side, with another stake than hindsight's.
    MisSizedStake,
    /// The scan was done too late.
    Late,
    /// The wallet did not cover the stake.
    Unfunded,
    /// The market refused the assertion.
    Refused,
    /// The assertion was not revealed.
    Unrevealed,
    /// Right by the corpus label, and the arbiters voted otherwise.
    ArbiterNoise,
    /// Others staked otherwise in hindsight's market: they could pay for something else, or react to what they see.
    Others,
}

impl Cause {
    /// All of them, in the order of reports, which is that of their numbers.
    pub const ALL: [Cause; 12] = [
        Cause::ScanError,
        Cause::Distillation,
        Cause::AgainstVerdict,
        Cause::NoOpinion,
        Cause::WrongAbstention,
        Cause::MisSizedStake,
        Cause::Late,
        Cause::Unfunded,
        Cause::Refused,
        Cause::Unrevealed,
        Cause::ArbiterNoise,
        Cause::Others,
    ];

    /// What a report calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Cause::ScanError => "scan error",
            Cause::Distillation => "distillation",
            Cause::AgainstVerdict => "against verdict",
            Cause::NoOpinion => "no opinion",
            Cause::WrongAbstention => "wrong abstention",
            Cause::MisSizedStake => "mis-sized stake",
            Cause::Late => "late",
            Cause::Unfunded => "unfunded",
            Cause::Refused => "refused",
            Cause::Unrevealed => "unrevealed",
            Cause::ArbiterNoise => "arbiter noise",
            Cause::Others => "others' stakes",
        }
    }

    /// What it means, in a line.
    pub const fn meaning(self) -> &'static str {
        match self {
            Cause::ScanError => "wrong, and no backend that answered knew better",
            Cause::Distillation => "wrong, though a backend knew better: the distilled verdict did not",
            Cause::AgainstVerdict => "the strategy staked against its own verdict, which was right",
            Cause::NoOpinion => "no backend answered, or the filter left it alone",
            Cause::WrongAbstention => "the verdict was right, and nothing was staked on it",
            Cause::MisSizedStake => "right, with another stake than hindsight's",
            Cause::Late => "scanned when assertions were no longer taken",
            Cause::Unfunded => "the wallet did not cover bids and fee",
            Cause::Refused => "the market refused the assertion",
            Cause::Unrevealed => "asserted and not revealed",
            Cause::ArbiterNoise => "right by the label, and the arbiters voted otherwise",
            Cause::Others => "others staked otherwise beside hindsight: who could pay, and who reacts",
        }
    }

    /// True for what a report tells of even if it cost nothing.
    pub const fn is_usual(self) -> bool {
        !matches!(self, Cause::AgainstVerdict | Cause::NoOpinion | Cause::Refused | Cause::Others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_stand_in_the_order_of_their_numbers() {
        for (number, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, number, "{}", cause.name());
        }
    }
}
