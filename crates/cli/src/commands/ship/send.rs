//! `ship --to`: sends what a destination has not got, once or for ever.

use crate::arguments::LogDir;
use crate::ui::{CommandExit, CommandFailure};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct ShipSendArgs {
    /// Where the events go
    #[arg(long, value_name = "DESTINATION", required = true)]
    pub(super) to: Option<ShipDestination>,
    /// Send what is there, and end [default]
    #[arg(long, conflicts_with = "follow")]
    once: bool,
    /// Go on until a signal, and take over from another process that ends
    #[arg(long)]
    pub(super) follow: bool,
    #[command(flatten)]
    pub(super) dir: LogDir,
    /// Address of the collector; over HTTP /v1/logs and /v1/traces are added [default: OTEL_EXPORTER_OTLP_ENDPOINT, else
    /// http://localhost:4318, and http://localhost:4317 for gRPC]
    #[arg(long, value_name = "URL", value_parser = parse_endpoint)]
    pub(super) endpoint: Option<String>,
    /// Log group of CloudWatch Logs [default: AUDIT_CLOUDWATCH_GROUP, else llm-audit]
    #[arg(long, value_name = "GROUP")]
    pub(super) group: Option<String>,
    /// Log stream of CloudWatch Logs [default: AUDIT_CLOUDWATCH_STREAM, else the names of service and host]
    #[arg(long, value_name = "STREAM")]
    pub(super) stream: Option<String>,
    /// One JSON object at the end instead of text
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum ShipDestination {
    /// An OpenTelemetry collector
    Otlp,
    /// CloudWatch Logs
    Cloudwatch,
}

impl ShipDestination {
    /// The feature of the command that it needs, and whether this build has it.
    fn feature(self) -> (&'static str, bool) {
        match self {
            Self::Otlp => ("otlp", cfg!(feature = "otlp")),
            Self::Cloudwatch => ("cloudwatch-logs", cfg!(feature = "cloudwatch-logs")),
        }
    }
}

fn parse_endpoint(text: &str) -> Result<String, &'static str> {
    match text.starts_with("http://") || text.starts_with("https://") {
        true => Ok(text.to_owned()),
        false => Err("a URL that begins with http:// or https:// is needed"),
    }
}

pub(super) fn run_send(args: &ShipSendArgs) -> Result<CommandExit, CommandFailure> {
    let to = args.to.ok_or_else(|| CommandFailure::new("--to is needed"))?;
    match to.feature() {
        (_, true) => send(args, to),
        (feature, false) => Err(CommandFailure::new(format!(
            "this llm-audit was built without the feature `{feature}`, which ship needs for this destination. \
             `cargo install --path crates/cli --features {feature}` in the repository installs it"
        ))),
    }
}

#[cfg(any(feature = "cloudwatch-logs", feature = "otlp"))]
use super::driver::send;

#[cfg(not(any(feature = "cloudwatch-logs", feature = "otlp")))]
fn send(_: &ShipSendArgs, _: ShipDestination) -> Result<CommandExit, CommandFailure> {
    unreachable!("no destination is built in")
}
