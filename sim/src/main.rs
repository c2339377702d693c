//! The `sim` command; everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    sim::cli::main()
}
