//! Instructions of one round, counted by valgrind's callgrind: a figure that does not care what else the machine does.
//!
//! It is exact for the same program on the same input, but not to the last one: addresses and hash seeds differ from start to
//! start. It says nothing of waiting, of discs, of processes that backends start, or of what a processor makes of them.

use std::{
    env,
    ffi::OsString,
    fs,
    io::ErrorKind,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::{doctor::on_path, text};

/// What stands before the number of instructions in callgrind's file; the event counted by default is `Ir` alone.
const TOTALS: [&str; 2] = ["totals:", "summary:"];

/// Makes sure that there is a valgrind, without starting it: what is started counts among this process's children.
///
/// # Errors
///
/// If there is none.
pub fn check() -> Result<()> {
    on_path("valgrind").map(drop).ok_or_else(missing)
}

fn missing() -> anyhow::Error {
    anyhow!("--instructions: there is no valgrind here; install it (`apt-get install valgrind`), or leave the flag out")
}

/// Counts the instructions of this program when it is started with these words.
///
/// # Errors
///
/// If there is no valgrind, or the program fails under it.
pub fn count(words: &[OsString]) -> Result<u64> {
    let folder = tempfile::tempdir().context("cannot make a folder for valgrind's file")?;
    let file = folder.path().join("callgrind.out");
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet"]).arg(option("--callgrind-out-file=", file.as_os_str()));
    command.arg(env::current_exe().context("cannot find this program")?).args(words).stdin(Stdio::null());
    let output = command.output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => missing(),
        _ => anyhow!("--instructions: cannot start valgrind: {error}"),
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("--instructions: under valgrind the program failed ({}): {}", output.status, text::cut(said.trim(), 400));
    }
    let written = fs::read_to_string(&file).context("--instructions: valgrind wrote no figures")?;
    total(&written).ok_or_else(|| anyhow!("--instructions: no total in what valgrind wrote"))
}

fn option(name: &str, value: &std::ffi::OsStr) -> OsString {
    let mut option = OsString::from(name);
    option.push(value);
    option
}

/// The total in callgrind's file.
fn total(written: &str) -> Option<u64> {
    let of = |line: &str| TOTALS.iter().find_map(|name| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok();
    // All threads together are at the end.
    written.lines().rev().find_map(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read() {
        assert_eq!(total("events: Ir\nsummary: 12\n\nfn=(1)\n3 4\ntotals: 12345\n"), Some(12345));
        assert_eq!(total("events: Ir\nsummary: 12\nfn=(1)\n"), Some(12));
        assert_eq!(total("nothing"), None);
    }
}
