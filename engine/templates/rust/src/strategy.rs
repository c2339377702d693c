//! Your staking strategy. This one bids as many NCT as the verdict's confidence is above one half at the cautious end of
//! its interval, times two: nothing when it knows nothing, the whole of `most` when it is sure.

use engine::{
    chance::Stream,
    distill::DistilledVerdict,
    market_view::MarketView,
    stake::{Parameters, Stake, Staker, StrategyError},
};
use market::nct::Nct;

/// Bids by the lower end of the confidence.
#[derive(Debug)]
pub struct Cautious {
    /// The bid of somebody who is sure.
    most: Nct,
}

impl Cautious {
    /// The strategy with the parameters behind its name, as in `{{name}}/cautious?most=0.5`.
    pub fn parse(mut parameters: Parameters<'_>) -> Result<Box<dyn Staker>, StrategyError> {
        let most = parameters.amount("most", Nct::whole(1))?;
        parameters.finish(&["most"])?;
        Ok(Box::new(Cautious { most }))
    }
}

impl Staker for Cautious {
    /// One entry per artifact; `None` leaves it alone. The view has the bounty, the rules, your wallet, and what others bid.
    fn stake(
        &mut self,
        view: &MarketView<'_>,
        verdicts: &[Option<DistilledVerdict>],
        _chance: &mut Stream,
        stakes: &mut Vec<Option<Stake>>,
    ) {
        stakes.extend(verdicts.iter().enumerate().map(|(artifact, verdict)| {
            let verdict = verdict.as_ref()?;
            // What the filter of the engine file favours or penalises counts more or less.
            let confidence = view.factor(artifact) * verdict.cautious_confidence();
            let share = ((confidence - 0.5) * 2.0).clamp(0.0, 1.0);
            if share == 0.0 {
                return None;
            }
            // Money is whole wei: the share is the only thing that is not exact.
            let bid = Nct::wei((self.most.to_wei()? as f64 * share) as u128);
            Some(Stake {
                malicious: verdict.malicious(),
                bid: bid.max(view.rules.bid_minimum),
            })
        }));
    }
}
