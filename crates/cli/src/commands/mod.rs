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

use crate::ui::{CommandExit, CommandFailure};

/// A subcommand and its arguments.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Check(check::CheckArgs),
    #[cfg(feature = "demo")]
    Demo(demo::DemoArgs),
    Record(record::RecordArgs),
    Redact(redact::RedactArgs),
    Scan(scan::ScanArgs),
    Tail(tail::TailArgs),
    Trace(trace::TraceArgs),
    Verify(verify::VerifyArgs),
}

impl Command {
    /// Runs the subcommand and returns its exit code.
    pub(crate) fn run(&self) -> Result<ExitCode, CommandFailure> {
        let exit = match self {
            Self::Check(args) => check::run_check(args),
            #[cfg(feature = "demo")]
            Self::Demo(args) => return Ok(demo::run_demo(args)),
            Self::Record(args) => record::run_record(args),
            Self::Redact(args) => ignore_closed_output(redact::run_redact(args)),
            Self::Scan(args) => scan::run_scan(args),
            Self::Tail(args) => ignore_closed_output(tail::run_tail(args)),
            Self::Trace(args) => ignore_closed_output(trace::run_trace(args)),
            Self::Verify(args) => verify::run_verify(args),
        };
        exit.map(ExitCode::from)
    }
}

/// Ignores a closed output of a subcommand whose output is all that it does: a reader such as `head`
/// has seen enough.
fn ignore_closed_output(
    outcome: Result<CommandExit, CommandFailure>,
) -> Result<CommandExit, CommandFailure> {
    outcome.or_else(
        |failure| if failure.is_closed_pipe { Ok(CommandExit::Fine) } else { Err(failure) },
    )
}
