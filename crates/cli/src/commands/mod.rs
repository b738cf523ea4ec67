//! The subcommands, a file each.

mod check;
mod chunks;
#[cfg(feature = "demo")]
mod demo;
mod errors;
mod export;
mod figures;
mod fixture;
mod generate;
mod receive;
mod record;
mod redact;
mod report;
#[cfg(unix)]
mod run;
mod scan;
mod ship;
mod slo;
mod sql;
mod stats;
mod tail;
mod trace;
mod user_costs;
mod verify;

use std::process::ExitCode;

use crate::ui::{CommandExit, CommandFailure};

/// A subcommand and its arguments.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Check(check::CheckArgs),
    Completions(generate::CompletionsArgs),
    Cost(stats::CostArgs),
    #[cfg(feature = "demo")]
    Demo(demo::DemoArgs),
    Errors(errors::ErrorsArgs),
    Export(export::ExportArgs),
    Fixture(fixture::FixtureArgs),
    Man(generate::ManArgs),
    Receive(receive::ReceiveArgs),
    Record(record::RecordArgs),
    Redact(redact::RedactArgs),
    Report(report::ReportArgs),
    #[cfg(unix)]
    Run(run::RunArgs),
    Scan(scan::ScanArgs),
    Ship(ship::ShipArgs),
    Slo(slo::SloArgs),
    Sql(sql::SqlArgs),
    Stats(stats::StatsArgs),
    Tail(tail::TailArgs),
    Trace(trace::TraceArgs),
    Verify(verify::VerifyArgs),
}

impl Command {
    /// Runs the subcommand and returns its exit code.
    pub(crate) fn run(&self) -> Result<ExitCode, CommandFailure> {
        let exit = match self {
            Self::Check(args) => check::run_check(args),
            Self::Completions(args) => ignore_closed_output(generate::run_completions(args)),
            Self::Cost(args) => ignore_closed_output(stats::run_cost(args)),
            #[cfg(feature = "demo")]
            Self::Demo(args) => return Ok(demo::run_demo(args)),
            Self::Errors(args) => ignore_closed_output(errors::run_errors(args)),
            Self::Export(args) => ignore_closed_output(export::run_export(args)),
            Self::Fixture(args) => fixture::run_fixture(args),
            Self::Man(args) => ignore_closed_output(generate::run_man(args)),
            Self::Receive(args) => receive::run_receive(args),
            Self::Record(args) => record::run_record(args),
            Self::Redact(args) => ignore_closed_output(redact::run_redact(args)),
            Self::Report(args) => ignore_closed_output(report::run_report(args)),
            #[cfg(unix)]
            Self::Run(args) => return Ok(run::run_program(args)),
            Self::Scan(args) => scan::run_scan(args),
            Self::Ship(args) => ship::run_ship(args),
            Self::Slo(args) => slo::run_slo(args),
            Self::Sql(args) => ignore_closed_output(sql::run_sql(args)),
            Self::Stats(args) => ignore_closed_output(stats::run_stats(args)),
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
