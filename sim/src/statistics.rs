//! What figures of many bounties prove: intervals, comparisons, corrections for many trials, plans and risks.
//!
//! The unit is one bounty, never one artifact: `x[t]` is what a strategy earned on the t-th bounty, in NCT or any other
//! unit, which the answer then has too. Neighbouring bounties may depend on each other; everything here that resamples draws
//! blocks of them (Politis & Romano 1994), and recomputes the standard error in each resample. No file is read here and no
//! wei is counted; floats come in, and the answer depends neither on the platform nor on the number of threads.
//!
//! Which method to choose, and when each is valid: `docs/statistics.md`.

pub mod normal; // the normal distribution
pub mod series; // means, quantiles, moments
pub mod variance; // what dependence does to the variance of a mean
pub mod rare; // what can be said of losses that hardly happen
pub mod bootstrap; // resamples, and intervals from them
pub mod signed_rank; // the middle of few values, outliers or not
pub mod paired; // two strategies on the same bounties
pub mod many; // many strategies on the same bounties
pub mod multiplicity; // many p-values
pub mod overfitting; // the best of many trials
pub mod planning; // how many bounties are needed, and when to stop
pub mod area; // how well something keeps up
pub mod metrics; // risks and shares of one series

use thiserror::Error;

/// Why figures cannot be compared.
#[derive(Clone, Copy, PartialEq, Debug, Error)]
#[non_exhaustive]
pub enum Unfit {
    /// Too little to resample from.
    #[error("{bounties} bounties are too few: at least {least} are needed")]
    TooFewBounties {
        /// Bounties there are.
        bounties: usize,
        /// Bounties there must be.
        least: usize,
    },
    /// Series that must stand side by side do not.
    #[error("one series has {one} bounties and another has {other}: strategies are compared on the same ones")]
    Uneven {
        /// Bounties of the first series.
        one: usize,
        /// Bounties of another.
        other: usize,
    },
    /// Nothing to compare.
    #[error("there is no strategy to compare")]
    NoStrategy,
    /// An infinity, or no number at all.
    #[error("the figure of bounty {bounty} is {value}: only finite numbers can be compared")]
    NotFinite {
        /// Place in the series, from 0.
        bounty: usize,
        /// What is there.
        value: f64,
    },
}

/// Checks that a series has `least` bounties and no infinities.
fn check(series: &[f64], least: usize) -> Result<(), Unfit> {
    if series.len() < least {
        return Err(Unfit::TooFewBounties { bounties: series.len(), least });
    }
    match series.iter().position(|value| !value.is_finite()) {
        Some(bounty) => Err(Unfit::NotFinite { bounty, value: series[bounty] }),
        None => Ok(()),
    }
}

/// Checks several series, which must be of one length.
fn check_all<'a>(series: impl IntoIterator<Item = &'a [f64]>, least: usize) -> Result<(), Unfit> {
    let mut series = series.into_iter();
    let first = series.next().ok_or(Unfit::NoStrategy)?;
    check(first, least)?;
    for other in series {
        if other.len() != first.len() {
            return Err(Unfit::Uneven { one: first.len(), other: other.len() });
        }
        check(other, least)?;
    }
    Ok(())
}
