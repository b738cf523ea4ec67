//! `ship --to`: sends what a destination has not got, once or for ever.

use std::env;
use std::time::Duration;

use crate::arguments::{LogDir, parse_duration};
use crate::ui::{CommandExit, CommandFailure};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct ShipSendArgs {
    /// Where the events go
    #[arg(long, value_name = "DESTINATION", required = true)]
    pub(super) to: Option<ShipDestination>,
    /// Send what is there, and end [default]. It waits for a destination that does not answer
    #[arg(long, conflicts_with = "follow")]
    once: bool,
    /// Give up when the destination has not taken a batch for so long, such as 10m
    #[arg(long, value_name = "DURATION", value_parser = parse_time_limit, conflicts_with = "follow")]
    pub(super) timeout: Option<Duration>,
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
    /// Log stream of CloudWatch Logs [default: AUDIT_CLOUDWATCH_STREAM]. One of both is needed
    #[arg(long, value_name = "STREAM")]
    pub(super) stream: Option<String>,
    /// One JSON object at the end instead of text
    #[arg(long)]
    pub(super) json: bool,
}

impl ShipSendArgs {
    /// Refuses flags of another destination.
    fn check_flags(&self, to: ShipDestination) -> Result<(), CommandFailure> {
        let is_otlp = to == ShipDestination::Otlp;
        let flags = [
            ("--endpoint", "otlp", self.endpoint.is_some() && !is_otlp),
            ("--group", "cloudwatch", self.group.is_some() && is_otlp),
            ("--stream", "cloudwatch", self.stream.is_some() && is_otlp),
        ];
        match flags.iter().find(|(.., is_misplaced)| *is_misplaced) {
            None => Ok(()),
            Some((flag, other, _)) => {
                Err(CommandFailure::new(format!("{flag} is for --to {other}")))
            }
        }
    }

    /// Refuses a log stream that nobody named. The service that records is another process, so a stream that is named
    /// after this one would mislead.
    fn check_stream(&self, to: ShipDestination) -> Result<(), CommandFailure> {
        let has_stream = self.stream.is_some() || env::var_os("AUDIT_CLOUDWATCH_STREAM").is_some();
        match to == ShipDestination::Otlp || has_stream {
            true => Ok(()),
            false => Err(CommandFailure::new(
                "--stream or AUDIT_CLOUDWATCH_STREAM is needed: the log stream, such as SERVICE/HOST",
            )),
        }
    }
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

fn parse_time_limit(text: &str) -> Result<Duration, &'static str> {
    let duration = parse_duration(text).and_then(|duration| duration.try_into().ok());
    duration.ok_or("accepted: 30s, 10m, 1h")
}

fn parse_endpoint(text: &str) -> Result<String, &'static str> {
    let is_url = text.starts_with("http://") || text.starts_with("https://");
    match is_url && !text.contains(['?', '#']) {
        true => Ok(text.to_owned()),
        false => Err("a URL that begins with http:// or https:// is needed, without a query"),
    }
}

pub(super) fn run_send(args: &ShipSendArgs) -> Result<CommandExit, CommandFailure> {
    let to = args.to.ok_or_else(|| CommandFailure::new("--to is needed"))?;
    args.check_flags(to)?;
    match to.feature() {
        (_, true) => args.check_stream(to).and_then(|()| send(args, to)),
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
