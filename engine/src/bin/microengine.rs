//! The `microengine` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    engine::live::cli::main()
}
