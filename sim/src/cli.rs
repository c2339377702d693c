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
        bench::BenchArgs,
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
    usage,
};

const EXAMPLES: &str = "\
Examples:
  sim corpus starter my-corpus                write a small corpus to play with
  sim replay my-corpus                        play it and print the report
  sim scan my-corpus --engine engine.toml     what its backends say of it
  sim bench scan my-corpus --engine e.toml    how fast they are
  sim replay my-corpus --strategy null/min    the same market, another strategy
  sim config --set rivals.0.count=5           every setting and its source
  sim model train my-corpus -o model.toml     a model for the backend `model`
  sim compare my-corpus -s fixed -s null/min  which is better, and how sure
  sim sweep --space space.toml --out sweep    the best settings of thousands
  sim walkforward my-corpus --period month    what choosing by the past earns
  sim explain run                             where a run's profit was lost
  sim tournament -s fixed -s pm-ev            which spreads among rivals
  sim report run -o report.html               a page about what commands wrote
  sim rules diff 1.6.1 1.0.0                  what two rule sets differ in
  sim doctor                                  what is installed, and what for

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
    Bench(BenchArgs),
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
            Command::Bench(args) => args.run(out),
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
    usage::note_inherited_children();
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

    #[test]
    fn examples_of_help_fit_a_terminal_of_80_columns() {
        fn too_long(command: &clap::Command) -> Vec<String> {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            // What stands further in is prose, which is folded.
            let examples = help.lines().filter(|line| line.starts_with("  ") && !line.starts_with("    "));
            let own = examples.filter(|line| line.chars().count() > 80).map(str::to_owned);
            own.chain(command.get_subcommands().flat_map(too_long)).collect()
        }
        assert_eq!(too_long(&Cli::command()), Vec::<String>::new());
    }
}
