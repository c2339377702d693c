//! The `mock-polyswarmd` command; everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    mock_polyswarmd::cli::main()
}
