//! Thousands of trials over a space of settings: strategies, what turns answers into verdicts, and the market itself.
//!
//! A sweep lives in a folder. `plan.json` and `scenario.toml` say what is searched, and with them every trial is drawn from its
//! number alone ([`space`], [`sampler`]). Each trial that is through becomes a line of `journal.jsonl` at once ([`folder`]);
//! when all are, the journal is put in order and `trials.csv` written. So a sweep that was interrupted, made longer, or
//! shared among machines and merged has the same bytes as one that was not.

pub mod space; // what is searched: space.toml
pub mod sampler; // which points of it
pub mod trial; // one point: what it is, what came of it
pub mod folder; // what is kept of a sweep
pub mod registry; // every trial ever made on a corpus
pub mod search; // playing them
pub mod summary; // what the trials say
