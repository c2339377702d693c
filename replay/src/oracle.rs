//! `oracle/label`: the strategy that knows the label, as an upper mark for every other one.
//!
//! No strategy of the engine can know it: the engine has no type for truth. This one lives here, and the world shows
//! it the labels of a bounty just before it decides. A run with it is marked in the report.

use std::sync::{Arc, Mutex, PoisonError};

use engine::{
    chance::Stream,
    distill::DistilledVerdict,
    market_view::MarketView,
    stake::{self, Stake, Staker, StrategyError},
};
use market::verdict::ArtifactSet;

/// Its name.
pub const NAME: &str = "oracle/label";

/// Where the world leaves the labels of the bounty that is being decided.
#[derive(Clone, Debug, Default)]
pub struct Labels(Arc<Mutex<ArtifactSet>>);

impl Labels {
    pub(crate) fn show(&self, malicious: ArtifactSet) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = malicious;
    }

    fn see(&self) -> ArtifactSet {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct LabelOracle(Labels);

impl Staker for LabelOracle {
    /// The greatest bid on the label of every artifact.
    fn stake(&mut self, view: &MarketView<'_>, verdicts: &[Option<DistilledVerdict>], _: &mut Stream, stakes: &mut Vec<Option<Stake>>) {
        let labels = self.0.see();
        let bid = engine::stake::stock::Stock::DEFAULT.bid(view.rules, 1.0);
        stakes.extend((0..verdicts.len()).map(|artifact| Some(Stake { malicious: labels.contains(artifact), bid })));
    }
}

/// The strategy of that specification, the oracle included; it reads from `labels`.
///
/// # Errors
///
/// If there is none of that name, or its parameters are wrong.
pub fn build(specification: &str, labels: &Labels) -> Result<Box<dyn Staker>, StrategyError> {
    let known = stake::CATALOGUE.iter().map(|(name, _)| *name).chain([NAME]);
    match specification {
        NAME => Ok(Box::new(LabelOracle(labels.clone()))),
        _ => stake::build(specification).map_err(|error| match error {
            StrategyError::Unknown { name, .. } => stake::unknown(&name, known),
            other => other,
        }),
    }
}
