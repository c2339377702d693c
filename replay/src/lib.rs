//! A corpus brought to life: ambassadors post it, rivals and the engine under test stake on it, arbiters judge it, on
//! one virtual chain.
//!
//! Everything is a function of (code version, scenario, corpus, seed): what anybody will do is drawn ahead from
//! addressed chance ([`plan`]), in parallel; then one thread plays it on the market in order of blocks ([`world`]), or bounty by
//! bounty where that comes to the same ([`direct`]).
//! The modules stand in reading order.
pub mod scenario; // what is played, as the user writes it
pub mod profiles; // how good real engines are, per file type
pub mod correlation; // the same engines, more or less alike
pub mod error_rates; // how often recorded engines are wrong
pub mod logistic; // the logistic distribution function from tables
pub mod rivals; // competitors: verdicts, confidence, lateness, stakes
pub mod arrivals; // when bounties are posted, and when their scans are done
pub mod oracle; // strategies that know what no engine can
pub mod verdicts; // what the engine's backends said of artifacts
pub mod plan; // what everybody will do about one bounty
pub mod journal; // one record per market event
mod agenda; // what is done about a bounty, and in which block
pub mod world; // the virtual chain
pub mod follower; // what concerns the engine of a run, and nobody else
mod player; // an engine, where nobody reacts to it
pub mod direct; // a run bounty by bounty, where nothing more is asked for
pub mod tape; // a market recorded once, for many engines
pub mod panel; // the shipped corpus of recorded verdicts
