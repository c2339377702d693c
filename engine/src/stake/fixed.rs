//! The same bid on every verdict. Below the least bid of the rules the engine leaves a bounty alone; above the greatest,
//! the market refuses the assertion: both are counted in the report.

use market::nct::Nct;

use super::{Entry, Parameter, Parameters, Stake, Staker, StrategyError, on_each_verdict};
use crate::{chance::Stream, distill::DistilledVerdict, market_view::MarketView};

pub(super) const FIXED: Entry = Entry {
    name: "fixed",
    meaning: "the same bid on every verdict: fixed?bid=0.5",
    formula: "bid, not clamped to the limits",
    parameters: &[Parameter::new("bid", "0.5", "in NCT, or with `wei` behind it")],
    source: "the comparator of every rule that varies its bid",
    make: |parameters| Ok(Box::new(Fixed { bid: parameters.amount("bid", Fixed::DEFAULT_BID)? })),
};

/// A constant bid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fixed {
    /// The bid.
    pub bid: Nct,
}

impl Fixed {
    /// Half an NCT.
    pub const DEFAULT_BID: Nct = Nct::wei(500_000_000_000_000_000);

    /// The strategy of a specification such as `fixed?bid=0.5`.
    ///
    /// # Errors
    ///
    /// If it has other parameters than `bid`.
    pub fn parse(specification: &str) -> Result<Fixed, StrategyError> {
        let mut parameters = Parameters::parse(specification)?;
        let bid = parameters.amount("bid", Fixed::DEFAULT_BID)?;
        parameters.finish(&["bid"])?;
        Ok(Fixed { bid })
    }
}

impl Staker for Fixed {
    fn stake(&mut self, view: &MarketView<'_>, verdicts: &[Option<DistilledVerdict>], _: &mut Stream, stakes: &mut Vec<Option<Stake>>) {
        on_each_verdict(view, verdicts, stakes, |_, _, _| self.bid);
    }
}
