//! Strategies without any idea, against which every other one has to show its worth.

use super::{Stake, Staker};
use crate::{chance::Stream, distill::DistilledVerdict, market_view::MarketView};

/// One of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Null {
    /// Never asserts.
    Abstain,
    /// The least bid on the own verdict.
    OwnVerdict,
    /// The least bid on the toss of a coin.
    Coin,
    /// The least bid on one side of every artifact that the filter lets through, whatever the verdict, even without one.
    Always {
        /// The side.
        malicious: bool,
    },
}

impl Staker for Null {
    fn stake(
        &mut self,
        view: &MarketView<'_>,
        verdicts: &[Option<DistilledVerdict>],
        chance: &mut Stream,
        stakes: &mut Vec<Option<Stake>>,
    ) {
        let bid = view.rules.bid_minimum;
        for (artifact, verdict) in verdicts.iter().enumerate() {
            let side = match self {
                _ if view.factor(artifact) == 0.0 => None,
                Null::Abstain => None,
                Null::OwnVerdict => verdict.map(|verdict| verdict.malicious()),
                Null::Coin => Some(chance.below(2) == 1),
                Null::Always { malicious } => Some(*malicious),
            };
            stakes.push(side.map(|malicious| Stake { malicious, bid }));
        }
    }
}
