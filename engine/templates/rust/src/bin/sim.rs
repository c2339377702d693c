//! `sim`, with your backend and your strategy.

use std::process::ExitCode;

fn main() -> ExitCode {
    {{crate}}::register();
    sim::cli::main()
}
