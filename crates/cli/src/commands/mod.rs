//! The subcommands, a file each.

mod check;
#[cfg(feature = "demo")]
mod demo;
mod record;
mod redact;
mod scan;
mod tail;
mod trace;
mod verify;

use std::process::ExitCode;

use crate::ui::{Exit, Failure};

/// A subcommand and its arguments.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Check(check::Args),
    #[cfg(feature = "demo")]
    Demo(demo::Args),
    Record(record::Args),
    Redact(redact::Args),
    Scan(scan::Args),
    Tail(tail::Args),
    Trace(trace::Args),
    Verify(verify::Args),
}

impl Command {
    /// Runs the subcommand and returns its exit code.
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        let exit = match self {
            Self::Check(args) => check::run(args),
            #[cfg(feature = "demo")]
            Self::Demo(args) => return Ok(demo::run(args)),
            Self::Record(args) => record::run(args),
            Self::Redact(args) => redact::run(args),
            Self::Scan(args) => scan::run(args),
            Self::Tail(args) => shown_enough(tail::run(args)),
            Self::Trace(args) => shown_enough(trace::run(args)),
            Self::Verify(args) => verify::run(args),
        };
        exit.map(ExitCode::from)
    }
}

/// Ignores a closed output of a subcommand that only shows something: a reader such as `head` has
/// seen enough.
fn shown_enough(outcome: Result<Exit, Failure>) -> Result<Exit, Failure> {
    outcome.or_else(|failure| if failure.is_closed_pipe { Ok(Exit::Fine) } else { Err(failure) })
}
