//! `receive` with the feature `receive`.

use std::env::{self, VarError};
use std::fs;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use llm_audit::{Accounting, AuditLogger};
use llm_audit_receive::{Received, Receiver, Settings};

use crate::arguments::{LogDir, help_with_environment};
use crate::ui::{CommandExit, CommandFailure, complain_on_stderr, print_counts};

/// Record OTLP from other programs as events.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP, after_long_help = help_with_environment(AFTER_HELP, &["Sampling", "Alerts"]))]
pub(crate) struct ReceiveArgs {
    #[command(flatten)]
    dir: LogDir,
    /// Address to listen on; a name such as localhost is resolved
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4318", value_parser = parse_address)]
    listen: SocketAddr,
    /// Serve other machines too, without TLS; needs a token
    #[arg(long)]
    allow_remote: bool,
    /// File with the token that clients send [default: AUDIT_RECEIVE_TOKEN, else none]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Largest body of a request, compressed and decompressed: bytes, or such as 512KiB and 8MiB
    #[arg(long, value_name = "SIZE", default_value = "8MiB", value_parser = parse_body_size)]
    max_body: usize,
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

Types that begin with audit. or alert. are refused. A token, from --token-file or the variable
AUDIT_RECEIVE_TOKEN, is sent as Authorization: Bearer TOKEN. The first client of each kind that is
turned away is on stderr, and the accounting counts all of them.

Exit codes: 0 all is recorded, 1 losses, or every record was rejected, 2 the folder or the address
cannot be used, 3 nothing was received. Ctrl-C and SIGTERM answer the requests under way within 5
seconds, and close the log within 5 more.

Examples:
  llm-audit receive --dir logs
  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 my-agent
  curl -H 'Content-Type: application/json' -d '{}' http://127.0.0.1:4318/v1/logs";

/// Bodies are held in memory.
const BODY_BYTES_MAX: usize = 64 << 20;
/// How long the log may take to close. All that was acknowledged is written before.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

pub(crate) fn run_receive(args: &ReceiveArgs) -> Result<CommandExit, CommandFailure> {
    let settings = Settings {
        allow_remote: args.allow_remote,
        token: read_token(args)?,
        body_bytes_max: args.max_body,
        durable: args.durable,
        on_refusal: Some(|why| complain_on_stderr(why)),
        ..Settings::new(args.listen)
    };
    // As in `record`: the accounting is what stdout is for, and the events may be of any time.
    let builder = AuditLogger::builder().directory(args.dir.path()).files(true).debug(true);
    let mut builder = builder.stdout(false).stderr(false).totals(false).alerts(false);
    if would_get_metrics(args.listen) {
        complain_on_stderr(
            "this is the collector of the environment, and gets no metrics from itself",
        );
        builder = builder.otlp_metrics(false);
    }
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
        _ if counts.emitted == 0 && received.rejected_records > 0 => CommandExit::Finding,
        0 => CommandExit::NoData,
        _ => CommandExit::Fine,
    })
}

/// Returns the address of a name, too, such as `localhost`.
fn parse_address(text: &str) -> Result<SocketAddr, &'static str> {
    // Clients that are told a name try both kinds of addresses.
    let rank = |address: &SocketAddr| (!address.ip().is_loopback(), address.is_ipv6());
    let found = text.to_socket_addrs().ok().and_then(|found| found.min_by_key(rank));
    found.ok_or(
        "accepted: a name or an address, with a port, such as 127.0.0.1:4318 and localhost:4318",
    )
}

fn parse_body_size(text: &str) -> Result<usize, &'static str> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20)];
    let unit = units.iter().find_map(|(name, bytes)| Some((text.strip_suffix(name)?, *bytes)));
    let (number, bytes) = unit.unwrap_or((text, 1));
    let size = number.trim_end().parse().ok().and_then(|number: usize| number.checked_mul(bytes));
    size.filter(|size| (1..=BODY_BYTES_MAX).contains(size))
        .ok_or("accepted: bytes from 1 to 67108864, or such as 512KiB and 8MiB")
}

/// Whether the metrics of this process would go to the receiver, which does not record them.
fn would_get_metrics(listen: SocketAddr) -> bool {
    let names = ["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
    let url = names.iter().filter_map(|name| env::var(name).ok()).find(|url| !url.is_empty());
    cfg!(feature = "otlp") && url.is_some_and(|url| is_url_of(&url, listen))
}

fn is_url_of(url: &str, listen: SocketAddr) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    // Other names need not be resolved.
    let has_port = host.ends_with(&format!(":{}", listen.port()));
    let is_own = |found: SocketAddr| {
        found == listen || listen.ip().is_unspecified() && found.ip().is_loopback()
    };
    has_port && host.to_socket_addrs().is_ok_and(|mut found| found.any(is_own))
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
            ("repeated_requests", received.repeated_requests),
            ("rejected_records", received.rejected_records),
        ])
        .chain(received.refusals.iter().copied())
        .collect();
    print_counts(&rows, 20, as_json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_loopback_address_if_it_has_one() {
        let loopback = "127.0.0.1:4318".parse();
        assert_eq!(parse_address("localhost:4318"), Ok(loopback.unwrap()));
        assert_eq!(parse_address("[::1]:1"), Ok("[::1]:1".parse().unwrap()));
        assert_eq!(parse_address("0.0.0.0:1"), Ok("0.0.0.0:1".parse().unwrap()));
        for text in ["", "4318", "localhost", "localhost:http"] {
            assert!(parse_address(text).unwrap_err().starts_with("accepted: "), "{text}");
        }
    }

    #[test]
    fn sizes_have_units() {
        let cases = [("1", 1), ("512KiB", 512 << 10), ("8 MiB", 8 << 20), ("67108864", 64 << 20)];
        for (text, bytes) in cases {
            assert_eq!(parse_body_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "0", "0MiB", "-1", "8MB", "MiB", "1.5MiB", "65MiB", "99999999999999MiB"] {
            assert!(parse_body_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_collector_at_the_own_address_is_the_receiver() {
        for (url, listen, is_own) in [
            ("http://127.0.0.1:4318", "127.0.0.1:4318", true),
            ("http://localhost:4318/v1/metrics", "127.0.0.1:4318", true),
            ("http://user:4318@127.0.0.1:4318/", "0.0.0.0:4318", true),
            ("http://127.0.0.1:4317", "127.0.0.1:4318", false),
            ("http://192.0.2.1:4318", "0.0.0.0:4318", false),
            ("http://192.0.2.1:4318", "127.0.0.1:4318", false),
            ("https://127.0.0.1", "127.0.0.1:4318", false),
            ("no URL", "127.0.0.1:4318", false),
        ] {
            assert_eq!(is_url_of(url, listen.parse().unwrap()), is_own, "{url}");
        }
    }
}
