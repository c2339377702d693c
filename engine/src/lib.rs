//! The microengine itself, without any I/O of its own: analysis backends → one verdict with an interval → a stake.
//! With the feature `live`, also the client of polyswarmd that drives it on a real market: `live`.
//!
//! The same lines run live and in the simulator: [`microengine::Microengine::on_event`] takes what happened and answers
//! with what to do. Nothing here knows the corpus' truth, the population of a market, or a clock. The modules stand in
//! reading order.
pub mod chance; // named, addressed randomness
pub mod odds; // probabilities and log-odds
pub mod regression; // logistic regression
pub mod artifact; // what there is to scan, and what a scan says
pub mod filter; // which artifacts and families an engine deals with
pub mod interval; // how far a stated probability may be from the rate behind it
pub mod coverage; // whether intervals hold what they promise
pub mod distill; // scan results into one verdict with an interval, one file each
pub mod calibrate; // scores into probabilities, one map a file
pub mod judge; // distiller and calibration, learning in time
pub mod config; // the engine's TOML
#[cfg(feature = "scanners")]
pub mod archive; // archives, opened in memory
#[cfg(feature = "scanners")]
pub mod features; // numbers that describe a content
pub mod backend; // analysis backends, one file each
#[cfg(feature = "scanners")]
pub mod train; // the baseline model, fitted
#[cfg(feature = "scanners")]
pub mod scanner; // all backends over one artifact, whatever they do
pub mod market_view; // all that a decision may look at
pub mod settled; // what is public once a bounty is over
pub mod pending; // what is remembered until then
pub mod stake; // staking strategies, one file each
pub mod trader; // from answers to bids, and what became of them
pub mod microengine; // events in, effects out
#[cfg(feature = "live")]
pub mod live; // on a real market, through polyswarmd
