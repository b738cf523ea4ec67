//! Exit codes, and what a failure prints.

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::process::ExitCode;

use super::text::shown;

/// How a command ends when nothing kept it from its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Fine,
    Finding,
    NoData,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Fine => 0,
            Exit::Finding => 1,
            Exit::NoData => 3,
        })
    }
}

/// What kept a command from its work, as a message for people. The exit code is 2.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    /// Whether the reader closed the output.
    pub(crate) is_closed_pipe: bool,
}

impl Failure {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), is_closed_pipe: false }
    }

    pub(crate) fn writing(error: io::Error) -> Self {
        let is_closed_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        Self { what: format!("cannot write the output: {error}"), is_closed_pipe }
    }

    pub(crate) fn stdin(error: io::Error) -> Self {
        Self::new(format!("cannot read stdin: {error}"))
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl From<llm_audit::reader::Error> for Failure {
    fn from(error: llm_audit::reader::Error) -> Self {
        llm_audit::Error::from(error).into()
    }
}

impl From<llm_audit::Error> for Failure {
    fn from(error: llm_audit::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// Prints a message on stderr in one write. An error is ignored: nothing is left to report it on.
pub(crate) fn complain(what: impl Display) {
    let what = what.to_string();
    let lines: Vec<_> = what.lines().map(shown).collect();
    let _ = io::stderr().write_all(format!("llm-audit: {}\n", lines.join("\n")).as_bytes());
}

/// Makes Ctrl-C and SIGTERM close the log before they end the process.
pub(crate) fn close_on_signals() -> Result<(), Failure> {
    #[cfg(unix)]
    llm_audit::close_on_signals()?;
    Ok(())
}
