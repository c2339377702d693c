//! The command line: the names of the subcommands, and how every run ends.

use std::{
    io::{self, BufWriter, Write},
    panic,
    process::ExitCode,
    thread,
};

use anyhow::Context;
use clap::{CommandFactory as _, Parser, Subcommand};

use crate::{
    commands::{
        compare::CompareArgs,
        completions::{CompletionsArgs, ManArgs},
        config::ConfigArgs,
        corpus::CorpusArgs,
        doctor::DoctorArgs,
        explain::ExplainArgs,
        model::ModelArgs,
        replay::ReplayArgs,
        report::ReportArgs,
        rules::RulesArgs,
        scan::ScanArgs,
        strategies::StrategiesArgs,
        sweep::{MergeArgs, SweepArgs},
        tournament::TournamentArgs,
        walkforward::WalkForwardArgs,
    },
    exit::{self, Exit, OrExit as _},
    progress::{self, Told},
};

const EXAMPLES: &str = "\
Examples:
  sim corpus starter my-corpus               write a small corpus to play with
  sim replay my-corpus                       play it and print the report
  sim scan my-corpus --engine engine.toml    what an engine's backends say of it
  sim replay my-corpus --strategy null/min   the same market, another strategy
  sim config --set rivals.0.count=5          every setting, and where it comes from
  sim model train my-corpus -o model.toml    a model for the engine's `model` backend
  sim compare my-corpus -s fixed -s null/min which strategy is better, and how sure that is
  sim sweep --space space.toml --out sweep   which settings are best, of thousands
  sim walkforward my-corpus --period month   what choosing by the past would have earned
  sim explain run                            where the profit of a `replay --out run` was lost
  sim tournament -s fixed -s pm-ev           which strategy spreads among rivals
  sim report run -o report.html              a page about what commands wrote
  sim rules diff 1.6.1 1.0.0                 what two rule sets differ in
  sim doctor                                 what is installed, and what for

Exit codes:
  0 all is well; 1 internal error; 2 usage or input; 3 a gate failed;
  4 an invariant or a golden vector is broken; 130 interrupted";

/// Simulate and backtest threat-intelligence markets, offline
#[derive(Debug, Parser)]
#[command(name = "sim", version, after_help = EXAMPLES, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How progress is told on stderr; lines of JSON also with --quiet and to a file
    #[arg(long, global = true, value_enum, value_name = "HOW", default_value_t)]
    progress: Told,
}

#[derive(Debug, Subcommand)]
enum Command {
    Replay(Box<ReplayArgs>),
    Compare(Box<CompareArgs>),
    Sweep(Box<SweepArgs>),
    Merge(MergeArgs),
    #[command(name = "walkforward")]
    WalkForward(Box<WalkForwardArgs>),
    Explain(Box<ExplainArgs>),
    Tournament(Box<TournamentArgs>),
    Report(ReportArgs),
    Scan(Box<ScanArgs>),
    Config(Box<ConfigArgs>),
    Rules(RulesArgs),
    Corpus(CorpusArgs),
    Model(ModelArgs),
    Strategies(StrategiesArgs),
    Doctor(DoctorArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

impl Cli {
    fn run(self, out: &mut dyn Write) -> anyhow::Result<Exit> {
        progress::choose(self.progress);
        match self.command {
            Command::Replay(args) => args.run(out),
            Command::Compare(args) => args.run(out),
            Command::Sweep(args) => args.run(out),
            Command::Merge(args) => args.run(out),
            Command::WalkForward(args) => args.run(out),
            Command::Explain(args) => args.run(out),
            Command::Tournament(args) => args.run(out),
            Command::Report(args) => args.run(out),
            Command::Scan(args) => args.run(out),
            Command::Config(args) => args.run(out),
            Command::Rules(args) => args.run(out),
            Command::Corpus(args) => args.run(out),
            Command::Model(args) => args.run(out),
            Command::Strategies(args) => args.run(out),
            Command::Doctor(args) => args.run(out),
            Command::Completions(args) => args.run(Cli::command(), out),
            Command::Man(args) => args.run(Cli::command(), out),
        }
    }
}

/// Runs one command line, the program's name first; what it prints goes to `out`. For a process that runs no other one that
/// plays a market: Ctrl-C is listened for once.
///
/// # Errors
///
/// If the command line is wrong, or the command fails.
pub fn run<'a>(words: impl IntoIterator<Item = &'a str>, out: &mut dyn Write) -> anyhow::Result<Exit> {
    Cli::try_parse_from(words).or_exit(Exit::Usage)?.run(out)
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    panic::set_hook(Box::new(|panic| {
        // A backend that panics on an artifact has failed, and is counted so.
        if thread::current().name() == Some(engine::scanner::THREAD) {
            return;
        }
        let _ = writeln!(io::stderr(), "error: internal error, please report it: {}", crate::text::plain(&panic.to_string()));
    }));
    let cli = Cli::parse();
    let run = || {
        let mut out = BufWriter::new(io::stdout().lock());
        let result = cli.run(&mut out);
        // What was printed before an error is still worth having.
        let flushed = out.flush().context("cannot write to stdout");
        result.and_then(|exit| flushed.map(|()| exit))
    };
    let exit = match panic::catch_unwind(panic::AssertUnwindSafe(run)) {
        Err(_) => Exit::Internal,
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => {
            let exit = Exit::of(&error);
            if exit != Exit::Success {
                let _ = writeln!(io::stderr(), "{}", exit::line(&error));
            }
            exit
        }
    };
    exit.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
