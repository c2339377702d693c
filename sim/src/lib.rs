//! In-process backtests: the parts of the `sim` command that are worth testing without a terminal.
pub mod execute;
pub mod output; // the run directory
pub mod report; // the report in a terminal
pub mod run;
pub mod score; // what is counted while a run is played
pub mod vectors; // golden vectors of the real contracts // a finished run as data: run.json // from a checked setup to figures and files
