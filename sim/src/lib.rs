//! In-process backtests: everything that the `sim` command does, so that it can be tested without a terminal.
pub mod text; // foreign text made safe to print, columns
pub mod layout; // tables and paragraphs within the width of a terminal
pub mod exit; // exit codes, and errors as one line
pub mod vectors; // golden vectors of the real contracts
pub mod settings; // what the user typed -> Scenario
pub mod forecast; // how good probabilities were
pub mod statistics; // what figures of many bounties prove
pub mod money; // amounts as data
pub mod curve; // equity and capital over time, in few points
pub mod groups; // figures by family and by month
pub mod score; // what is counted while a run is played
pub mod decisions; // all that an engine did, as one hash
pub mod run; // a finished run as data: run.json
pub mod cache; // verdicts on disk
pub mod scan; // what the backends say of a corpus
pub mod report; // the report in a terminal
pub mod look; // what pages look like
pub mod progress; // progress of long work
pub mod output; // the run directory
pub mod execute; // from a checked setup to figures and files
pub mod timeline; // when artifacts were first seen, periods, and biases of evaluations in time
pub mod contest; // several strategies in the same markets
pub mod hindsight; // the best that fixed stakes would have earned
pub mod comparison; // a comparison as data: compare.json
pub mod sweep; // thousands of trials over a space of settings
pub mod walkforward; // an evaluation in time as data: walkforward.json
pub mod explain; // why a run earned what it earned
pub mod tournament; // strategies against each other, as data
pub mod results; // what commands wrote, read back
pub mod html; // the report as a page
pub mod shipped; // the corpora that come with this program
pub mod doctor; // what is on this machine, and what that enables
pub mod commands; // one file per subcommand
pub mod cli; // names the subcommands
