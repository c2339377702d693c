//! In-process backtests: the parts of the `sim` command that are worth testing without a terminal.
pub mod vectors; // golden vectors of the real contracts
