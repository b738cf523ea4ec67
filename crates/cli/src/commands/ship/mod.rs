//! `ship`: sends the lines of a log to a collector or to CloudWatch Logs.

#[cfg(any(feature = "cloudwatch-logs", feature = "otlp"))]
mod driver;
mod send;
mod status;

use crate::arguments::LogDir;
use crate::ui::{CommandExit, CommandFailure};

/// Send the log to an OpenTelemetry collector or to CloudWatch Logs, each event at least once.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct ShipArgs {
    #[command(subcommand)]
    command: Option<ShipCommand>,
    #[command(flatten)]
    send: send::ShipSendArgs,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum ShipCommand {
    Status(status::ShipStatusArgs),
    Forget(ForgetArgs),
}

/// Forget how much a destination has, so that everything is sent to it again.
#[derive(Clone, Debug, clap::Args)]
struct ForgetArgs {
    /// The destination, as `ship status` names it
    name: String,
    #[command(flatten)]
    dir: LogDir,
}

const AFTER_HELP: &str = "\
The position of each destination is in DIR/.ship. It moves only when the destination has acknowledged a
batch. So a destination that is down is waited for, also with --once; --timeout gives up. A later run
continues where this one ended. Retention by days waits for every destination that was ever named here, also
for a mistyped one: `ship status` lists them, and `ship forget NAME` ends the wait. An event may arrive twice,
with the same instance and seq. Events that a destination refuses for good are in DIR/.ship/refused.

Collectors and CloudWatch have the variables that `llm-audit check --help` lists, such as
OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS and AUDIT_CLOUDWATCH_GROUP. Region and credentials of
AWS come from where its own tools take them.

Exit codes: 0 everything was sent, 1 events were refused, 2 bad usage, a log that cannot be read in full,
--timeout, or, with --once, another process ships to this destination, 3 there is no log.

Examples:
  llm-audit ship --to otlp --endpoint http://localhost:4318
  llm-audit ship --to cloudwatch --stream web-1 --follow --dir /var/log/agents
  llm-audit ship status";

pub(crate) fn run_ship(args: &ShipArgs) -> Result<CommandExit, CommandFailure> {
    match &args.command {
        None => send::run_send(&args.send),
        Some(ShipCommand::Status(args)) => status::run_status(args),
        Some(ShipCommand::Forget(args)) => status::run_forget(&args.dir.path(), &args.name),
    }
}
