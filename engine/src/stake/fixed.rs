//! The same bid on every verdict, within the limits of the rules.

use market::nct::Nct;

use super::{Stake, Staker, on_each_verdict};
use crate::{chance::Stream, distill::DistilledVerdict, market_view::MarketView};

/// A constant bid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fixed {
    /// The bid; the rules' limits are kept.
    pub bid: Nct,
}

impl Fixed {
    /// Half an NCT.
    pub const DEFAULT_BID: Nct = Nct::wei(500_000_000_000_000_000);
}

impl Staker for Fixed {
    fn stake(&mut self, view: &MarketView<'_>, verdicts: &[Option<DistilledVerdict>], _: &mut Stream, stakes: &mut Vec<Option<Stake>>) {
        let bid = self.bid.max(view.rules.bid_minimum);
        let bid = view.rules.bid_maximum.map_or(bid, |maximum| bid.min(maximum));
        on_each_verdict(view, verdicts, stakes, |_, _| bid);
    }
}
