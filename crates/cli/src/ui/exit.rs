//! Exit codes, and what a failure prints.

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::process::ExitCode;

use super::text::escape_for_terminal;

/// How a command ends when nothing kept it from its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommandExit {
    Fine,
    Finding,
    NoData,
}

impl From<CommandExit> for ExitCode {
    fn from(exit: CommandExit) -> Self {
        Self::from(match exit {
            CommandExit::Fine => 0,
            CommandExit::Finding => 1,
            CommandExit::NoData => 3,
        })
    }
}

/// What kept a command from its work, as a message for people. The exit code is 2.
#[derive(Debug)]
pub(crate) struct CommandFailure {
    what: String,
    /// Whether the reader closed the output.
    pub(crate) is_closed_pipe: bool,
}

impl CommandFailure {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), is_closed_pipe: false }
    }

    pub(crate) fn writing(error: io::Error) -> Self {
        let is_closed_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        Self { what: format!("cannot write the output: {error}"), is_closed_pipe }
    }

    /// Returns what came of the output of a report. If its reader has seen enough and closed it,
    /// the report keeps its exit code.
    pub(crate) fn from_report(written: io::Result<()>) -> Result<(), Self> {
        match written.map_err(Self::writing) {
            Err(failure) if !failure.is_closed_pipe => Err(failure),
            _ => Ok(()),
        }
    }

    pub(crate) fn stdin(error: io::Error) -> Self {
        Self::new(format!("cannot read stdin: {error}"))
    }
}

impl Display for CommandFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl From<llm_audit::reader::Error> for CommandFailure {
    fn from(error: llm_audit::reader::Error) -> Self {
        llm_audit::Error::from(error).into()
    }
}

impl From<llm_audit_slo::Error> for CommandFailure {
    fn from(error: llm_audit_slo::Error) -> Self {
        Self::new(error.to_string())
    }
}

impl From<llm_audit::Error> for CommandFailure {
    fn from(error: llm_audit::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// Prints a message on stderr in one write. An error is ignored: nothing is left to report it on.
pub(crate) fn complain_on_stderr(what: impl Display) {
    let what = what.to_string();
    let lines: Vec<_> = what.lines().map(escape_for_terminal).collect();
    let _ = io::stderr().write_all(format!("llm-audit: {}\n", lines.join("\n")).as_bytes());
}

/// Makes Ctrl-C and SIGTERM close the log before they end the process.
pub(crate) fn close_log_on_signals() -> Result<(), CommandFailure> {
    #[cfg(unix)]
    llm_audit::close_on_signals()?;
    Ok(())
}
