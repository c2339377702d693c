//! The subcommands, one file each. Each takes its arguments apart, and writes data to `out` and nothing else.

pub mod compare;
pub mod config;
pub mod completions;
pub mod contest;
pub mod corpus;
pub mod doctor;
pub mod explain;
pub mod model;
pub mod replay;
pub mod report;
pub mod rules;
pub mod scan;
pub mod stage;
pub mod strategies;
pub mod sweep;
pub mod walkforward;
pub mod tournament;

use clap::ValueEnum;

/// How a report is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}
