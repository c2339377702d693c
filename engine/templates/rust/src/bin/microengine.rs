//! `microengine`, with your backend and your strategy.

use std::process::ExitCode;

fn main() -> ExitCode {
    {{crate}}::register();
    engine::live::cli::main()
}
