//! Measures how many events a second a receiver takes on loopback.
//!
//! ```text
//! cargo run --release -p llm-audit-receive --example load -- [SECONDS] [CONNECTIONS] [COMMAND...]
//! ```
//!
//! The receiver is a process of its own, which the command starts if there is one. `20 1 valgrind --tool=callgrind` counts
//! its instructions. Each connection sends batches of 512 log records with the shape of a coding
//! agent's, in protobuf without gzip, and waits for each acknowledgement. Every batch differs, so none counts as sent
//! again. In the end the log must have every event.
#![allow(clippy::print_stdout, reason = "it is a program")]

use std::error::Error;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use llm_audit::AuditLogger;
use llm_audit_receive::{Receiver, Settings};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

const BATCH: u64 = 512;
/// The text in each body that makes it differ from the others.
const MARK: &[u8] = b"batch-0000000000000000";

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    match args.next().as_deref() {
        Some("serve") => serve(&args.next().ok_or("no folder")?),
        seconds => {
            let seconds = seconds.map_or(Ok(10), str::parse)?;
            let connections = args.next().map_or(Ok(8), |text| text.parse())?;
            let command: Vec<String> = args.collect();
            measure(Duration::from_secs(seconds), connections, &command)
        }
    }
}

/// Receives into the folder until SIGTERM. Prints the address first, and at the end what the log has.
fn serve(folder: &str) -> Result<(), Box<dyn Error>> {
    let logger = AuditLogger::builder().directory(folder).debug(true).totals(false).build()?;
    let receiver = Receiver::bind(Settings::new("127.0.0.1:0".parse()?), &logger)?;
    println!("{}", receiver.address());
    receiver.run()?;
    logger.shutdown(Duration::from_secs(60))?;
    println!("{}", logger.accounting().written);
    Ok(())
}

fn measure(lasting: Duration, connections: u64, command: &[String]) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let program = env::current_exe()?;
    let mut words = command.iter().map(OsStr::new).chain([program.as_os_str()]);
    let mut server = Command::new(words.next().unwrap_or_default())
        .args(words)
        .arg("serve")
        .arg(folder.path())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut said = BufReader::new(server.stdout.take().ok_or("no stdout")?);
    let address: SocketAddr = next_line(&mut said)?.parse()?;
    let (acknowledged, began) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let clients: Vec<_> = (0..connections)
        .map(|client| {
            let acknowledged = Arc::clone(&acknowledged);
            thread::spawn(move || send_until(began + lasting, address, client, &acknowledged))
        })
        .collect();
    for client in clients {
        client.join().map_err(|_| "a client panicked")??;
    }
    let took = began.elapsed().as_secs_f64();
    let events = acknowledged.load(Ordering::Relaxed);
    let server_cpu = cpu_seconds(&server)?;
    let memory = memory_peak(&server)?;
    stop(&mut server)?;
    let written: u64 = next_line(&mut said)?.parse()?;
    println!("{events} events in {took:.1} s: {:.0} events/s", events as f64 / took);
    println!("bytes of a batch of {BATCH}: {}", batch().len());
    println!(
        "processor time of the receiver: {server_cpu:.1} s, {:.2} us an event",
        server_cpu * 1e6 / events as f64
    );
    println!("memory of the receiver at its peak: {memory}");
    match written == events {
        true => Ok(()),
        false => Err(format!("the log has {written} events").into()),
    }
}

fn next_line(from: &mut impl BufRead) -> Result<String, Box<dyn Error>> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

fn send_until(
    end: Instant,
    address: SocketAddr,
    client: u64,
    acknowledged: &AtomicU64,
) -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    let mut body = batch();
    let mark = body.windows(MARK.len()).position(|window| window == MARK).ok_or("no mark")?;
    let mut stream = TcpStream::connect(address).map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    let head = format!(
        "POST /v1/logs HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-protobuf\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut number = client << 40;
    while Instant::now() < end {
        body[mark + 6..mark + MARK.len()].copy_from_slice(format!("{number:016x}").as_bytes());
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).map_err(failed)?;
        let mut answer = [0; 1_024];
        let length = stream.read(&mut answer).map_err(failed)?;
        if !answer.starts_with(b"HTTP/1.1 200 ") {
            return Err(String::from_utf8_lossy(&answer[..length]).into_owned());
        }
        acknowledged.fetch_add(BATCH, Ordering::Relaxed);
        number += 1;
    }
    Ok(())
}

/// Returns a request like those of a coding agent that reports its calls of models.
fn batch() -> Vec<u8> {
    let text = |key: &str, text: &str| attribute(key, Value::StringValue(text.to_owned()));
    let resource = vec![
        text("service.name", "claude-code"),
        text("service.version", "2.0.14"),
        text("batch", str::from_utf8(MARK).unwrap_or_default()),
    ];
    let log_records = (0..BATCH).map(record).collect();
    let scope = ScopeLogs { log_records, ..ScopeLogs::default() };
    let resource = Resource { attributes: resource, ..Resource::default() };
    let logs = ResourceLogs {
        resource: Some(resource),
        scope_logs: vec![scope],
        ..ResourceLogs::default()
    };
    ExportLogsServiceRequest { resource_logs: vec![logs] }.encode_to_vec()
}

fn record(number: u64) -> LogRecord {
    let text = |key: &str, text: &str| attribute(key, Value::StringValue(text.to_owned()));
    let time = 1_790_000_000_000_000_000 + number * 1_000_000;
    LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: time,
        body: Some(AnyValue {
            value: Some(Value::StringValue("claude_code.api_request".to_owned())),
        }),
        attributes: vec![
            text("event.name", "api_request"),
            text("event.timestamp", "2026-09-21T12:26:40.123Z"),
            attribute("event.sequence", Value::IntValue(number as i64)),
            text("session.id", "5b8efff7-9803-4103-a269-b633813fc60c"),
            text("user.id", "bd2a6e6f1c9a4f0f9a70c2ab1d3f7f11e4c2"),
            text("organization.id", "7f0c5d12-1b1c-4a52-b6d8-9d6b0e6f7a21"),
            text("terminal.type", "vscode"),
            text("prompt.id", "0d1f9a70-c2ab-4d3f-8f11-e4c2bd2a6e6f"),
            text("model", "claude-sonnet-4-5-20250929"),
            text("cost_usd", "0.0123"),
            text("duration_ms", "2417"),
            text("input_tokens", "812"),
            text("output_tokens", "193"),
            text("cache_read_tokens", "18450"),
            text("cache_creation_tokens", "0"),
        ],
        ..LogRecord::default()
    }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// Returns the processor time of all threads of the process.
fn cpu_seconds(process: &Child) -> Result<f64, Box<dyn Error>> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.id()))?;
    let fields = stat.rsplit_once(')').ok_or("no name in stat")?.1;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
}

fn memory_peak(process: &Child) -> Result<String, Box<dyn Error>> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id()))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(peak.ok_or("no VmHWM")?.trim().to_owned())
}

fn stop(process: &mut Child) -> Result<(), Box<dyn Error>> {
    Command::new("kill").args(["-TERM", &process.id().to_string()]).status()?;
    process.wait()?;
    Ok(())
}
