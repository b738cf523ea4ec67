//! `receive` with the feature `receive`.

use std::env::{self, VarError};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use llm_audit::{Accounting, AuditLogger};
use llm_audit_receive::{Received, Receiver, Settings};

use crate::arguments::{LogDir, help_with_environment};
use crate::ui::{CommandExit, CommandFailure, complain_on_stderr, print_counts};

/// Record OTLP from other programs as events.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP, after_long_help = help_with_environment(AFTER_HELP))]
pub(crate) struct ReceiveArgs {
    #[command(flatten)]
    dir: LogDir,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4318")]
    listen: SocketAddr,
    /// Serve other machines too, without TLS; needs a token
    #[arg(long)]
    allow_remote: bool,
    /// File with the token that clients send [default: AUDIT_RECEIVE_TOKEN, else none]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Largest body of a request in bytes, compressed and decompressed
    #[arg(long, value_name = "BYTES", default_value_t = 8 << 20, value_parser = clap::value_parser!(u32).range(1..=64 << 20))]
    max_body: u32,
    /// Acknowledge only what is on the disk
    #[arg(long)]
    durable: bool,
    /// The accounting as one JSON object
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Programs send OTLP over HTTP, in protobuf or JSON, plain or in gzip, to /v1/logs and /v1/traces.
Their log records and spans become events, redacted, and none is sampled. /v1/metrics is answered
and not recorded. A request is answered with 200 only after its events are written: the kernel has
them, or with --durable the disk. If an event was lost, the answer is 503. A request that is sent
again is not recorded again. docs/receive.md says what each coding agent needs.

Types that begin with audit. or alert. are refused. A token is sent as Authorization: Bearer TOKEN.

Exit codes: 0 all is recorded, 1 losses, 2 the folder or the address cannot be used, 3 nothing was
received. Ctrl-C and SIGTERM answer the requests under way within 5 seconds, and close the log
within 5 more.

Examples:
  llm-audit receive --dir logs
  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 my-agent
  curl -H 'Content-Type: application/json' -d '{}' http://127.0.0.1:4318/v1/logs";

/// How long the log may take to close. All that was acknowledged is written before.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

pub(crate) fn run_receive(args: &ReceiveArgs) -> Result<CommandExit, CommandFailure> {
    let settings = Settings {
        allow_remote: args.allow_remote,
        token: read_token(args)?,
        body_bytes_max: args.max_body as usize,
        durable: args.durable,
        ..Settings::new(args.listen)
    };
    // As in `record`: the accounting is what stdout is for, and the events may be of any time.
    let builder = AuditLogger::builder().directory(args.dir.path()).files(true).debug(true);
    let builder = builder.stdout(false).stderr(false).totals(false).alerts(false);
    let logger = builder.build()?;
    let receiver = Receiver::bind(settings, &logger).map_err(failure)?;
    announce(args, receiver.address());
    let received = receiver.run().map_err(failure)?;
    let closed = logger.shutdown(CLOSE_WITHIN);
    if let Err(error) = &closed {
        complain_on_stderr(format_args!("the log was not closed in time: {error}"));
    }
    let counts = logger.accounting();
    if let Err(error) = print_accounting(&counts, &received, args.json) {
        complain_on_stderr(format_args!("the accounting cannot be printed: {error}"));
    }
    let lost = [counts.overwritten, counts.rejected, counts.io_lost, counts.queued];
    Ok(match received.requests {
        _ if lost != [0; 4] || closed.is_err() => CommandExit::Finding,
        0 => CommandExit::NoData,
        _ => CommandExit::Fine,
    })
}

fn failure(error: llm_audit_receive::Error) -> CommandFailure {
    CommandFailure::new(error.to_string())
}

/// Says where it listens. A script reads the port from here, if it asked for any.
fn announce(args: &ReceiveArgs, address: SocketAddr) {
    complain_on_stderr(format_args!("OTLP is received on http://{address}"));
    if args.allow_remote {
        complain_on_stderr(
            "other machines are served without TLS: tokens and content can be read on the network",
        );
    }
}

fn read_token(args: &ReceiveArgs) -> Result<Option<String>, CommandFailure> {
    let token = match &args.token_file {
        Some(path) => Some(fs::read_to_string(path).map_err(|error| {
            CommandFailure::new(format!("cannot read the token from {}: {error}", path.display()))
        })?),
        None => token_in_environment()?,
    };
    match token.map(|token| token.trim().to_owned()) {
        // Without this everybody would be served.
        Some(token) if token.is_empty() => Err(CommandFailure::new("the token is empty")),
        token => Ok(token),
    }
}

fn token_in_environment() -> Result<Option<String>, CommandFailure> {
    match env::var("AUDIT_RECEIVE_TOKEN") {
        Ok(token) => Ok(Some(token)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => {
            Err(CommandFailure::new("AUDIT_RECEIVE_TOKEN is not UTF-8"))
        }
    }
}

fn print_accounting(counts: &Accounting, received: &Received, as_json: bool) -> io::Result<()> {
    let rows: Vec<_> = [("emitted", counts.emitted)]
        .into_iter()
        .chain(counts.ends())
        .chain([
            ("requests", received.requests),
            ("refused_requests", received.refused_requests),
            ("repeated_requests", received.repeated_requests),
            ("rejected_records", received.rejected_records),
        ])
        .collect();
    print_counts(&rows, 20, as_json)
}
