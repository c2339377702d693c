//! How the command ends: its exit codes, which errors get which, and the one line an error is printed as.

use std::{error::Error, fmt, io, process::ExitCode};

use crate::text;

/// How the command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// All is well.
    Success,
    /// Our mistake, or the machine's.
    Internal,
    /// What the user typed or what a file holds is wrong.
    Usage,
    /// A gate that the user set failed.
    Gate,
    /// An invariant or a golden vector is broken.
    Broken,
    /// Interrupted from outside.
    Interrupted,
}

impl Exit {
    /// The process's exit code.
    pub const fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Internal => 1,
            Exit::Usage => 2,
            Exit::Gate => 3,
            Exit::Broken => 4,
            Exit::Interrupted => 130,
        }
    }

    /// How an error ends the command: as [`OrExit::or_exit`] said, as [`Exit::Usage`] if a corpus or a scenario is
    /// wrong, as a quiet [`Exit::Success`] if nobody reads the output any more, otherwise as [`Exit::Internal`].
    pub fn of(error: &anyhow::Error) -> Exit {
        let cause = |cause: &(dyn Error + 'static)| {
            if let Some(ending) = cause.downcast_ref::<Ending>() {
                Some(ending.exit)
            } else if cause.is::<datasets::CorpusError>() || cause.is::<replay::scenario::ScenarioError>() {
                Some(Exit::Usage)
            } else {
                cause.downcast_ref::<io::Error>().filter(|error| error.kind() == io::ErrorKind::BrokenPipe).map(|_| Exit::Success)
            }
        };
        error.chain().find_map(cause).unwrap_or(Exit::Internal)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// Says how an error ends the command.
pub trait OrExit<T> {
    /// The same result, whose error ends the command with `exit`.
    ///
    /// # Errors
    ///
    /// The same error.
    fn or_exit(self, exit: Exit) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> anyhow::Result<T> {
        self.map_err(|error| anyhow::Error::new(Ending { exit, error: error.into() }))
    }
}

/// An error that knows how it ends the command; its message has the causes in it.
#[derive(Debug)]
struct Ending {
    exit: Exit,
    error: anyhow::Error,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

impl Error for Ending {}

/// An error as one line: its causes joined by `: `, and nothing in it that could drive a terminal.
pub fn line(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let words: Vec<&str> = text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty()).collect();
    format!("error: {}", text::plain(&words.join("; ")))
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn an_ending_survives_the_context_around_it() {
        let error = Err::<(), _>(anyhow!("inner")).or_exit(Exit::Broken).context("outer").unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Broken);
        assert_eq!(line(&error), "error: outer: inner");
    }

    #[test]
    fn an_unmarked_error_is_internal_and_a_closed_pipe_is_none() {
        assert_eq!(Exit::of(&anyhow!("what")), Exit::Internal);
        let closed = anyhow::Error::new(io::Error::from(io::ErrorKind::BrokenPipe)).context("cannot write");
        assert_eq!(Exit::of(&closed), Exit::Success);
    }

    #[test]
    fn a_corpus_or_a_scenario_that_is_wrong_is_the_users() {
        let missing = datasets::Corpus::open("/nowhere".as_ref()).unwrap_err();
        assert_eq!(Exit::of(&anyhow::Error::new(missing).context("cannot replay")), Exit::Usage);
    }

    #[test]
    fn an_error_is_one_line_that_cannot_drive_the_terminal() {
        assert_eq!(line(&anyhow!("a\n\n  b\x1b[2J")), "error: a; b\\u{1b}[2J");
    }
}
