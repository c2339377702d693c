//! The same bid on every verdict. Below the least bid of the rules the engine leaves a bounty alone; above the greatest,
//! the market refuses the assertion: both are counted in the report.

use market::nct::Nct;

use super::{Stake, Staker, on_each_verdict};
use crate::{chance::Stream, distill::DistilledVerdict, market_view::MarketView};

/// A constant bid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fixed {
    /// The bid.
    pub bid: Nct,
}

impl Fixed {
    /// Half an NCT.
    pub const DEFAULT_BID: Nct = Nct::wei(500_000_000_000_000_000);
}

impl Staker for Fixed {
    fn stake(&mut self, view: &MarketView<'_>, verdicts: &[Option<DistilledVerdict>], _: &mut Stream, stakes: &mut Vec<Option<Stake>>) {
        on_each_verdict(view, verdicts, stakes, |_, _| self.bid);
    }
}
