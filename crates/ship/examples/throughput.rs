//! Measures a shipper: writes a log, and sends it to a collector of another process that takes everything.
//!
//! ```sh
//! cargo run --release -p llm-audit-ship --features otlp --example throughput [EVENTS] [BYTES]
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example")]

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use llm_audit_ship::otlp::{OtlpEvents, OtlpSettings};
use llm_audit_ship::shipper::{Progress, Shipper};

const EVENTS: u64 = 1_000_000;
const EVENT_BYTES: usize = 500;
/// What the collector is called with.
const COLLECT: &str = "collect";
/// The kernel's ticks of processor time.
const TICKS_PER_SECOND: f64 = 100.0;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == COLLECT) {
        return Ok(collect()?);
    }
    let number = |at: usize| args.get(at).map(|arg| arg.parse::<u64>()).transpose();
    let (events, bytes) = (number(0)?.unwrap_or(EVENTS), number(1)?.unwrap_or(EVENT_BYTES as u64));
    let dir = tempfile::tempdir()?;
    write_log(&dir.path().join("audit-2026-11-29.jsonl"), events, usize::try_from(bytes)?)?;
    let mut collector = Command::new(env::current_exe()?)
        .arg(COLLECT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut url = String::new();
    BufReader::new(collector.stdout.take().ok_or("no output")?).read_line(&mut url)?;
    let measured = measure(dir.path(), url.trim_end(), events);
    collector.kill()?;
    collector.wait()?;
    measured
}

/// Ships the log, and prints what it took.
fn measure(dir: &Path, url: &str, events: u64) -> Result<(), Box<dyn Error>> {
    let settings = |path: &str| OtlpSettings {
        endpoint: format!("{url}/v1/{path}"),
        ..OtlpSettings::default()
    };
    let destination = OtlpEvents::new(Some(settings("logs")), Some(settings("traces")))?;
    let mut shipper = Shipper::open(dir, destination)?.ok_or("the log is being shipped")?;
    let (began, worked) = (Instant::now(), processor_seconds()?);
    let wait = |pause: Duration, why: &str| {
        eprintln!("{why}");
        thread::sleep(pause);
        true
    };
    while shipper.ship(wait)? != Progress::UpToDate {}
    let (took, worked) = (began.elapsed().as_secs_f64(), processor_seconds()? - worked);
    if (shipper.sent(), shipper.refused()) != (events, 0) {
        return Err(format!("{} of {events} events were sent", shipper.sent()).into());
    }
    let (per_second, memory) = (events as f64 / took, peak_memory()?);
    println!("{events} events in {took:.1} s, {worked:.1} s of a processor");
    println!(
        "{per_second:.0} events/s, {:.0} in each second of a processor",
        events as f64 / worked
    );
    println!("peak memory {memory}");
    Ok(())
}

/// Writes a log of spans and log records.
fn write_log(path: &Path, events: u64, bytes: usize) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    let mut random = fastrand::Rng::with_seed(1);
    for seq in 1..=events {
        let (event, latency) = match seq % 4 {
            0 => ("agent.route", String::new()),
            1 => (
                "llm.invoke",
                ",\"latency_ms\":812.5,\"tokens_input\":1200,\"tokens_output\":90".into(),
            ),
            _ => ("tool.result", format!(",\"latency_ms\":{}", random.u32(1..900))),
        };
        let (trace, span) = (random.u128(..), random.u64(1..));
        let head = format!(
            "{{\"event_version\":\"3.0\",\"instance\":\"4c8e78a91890a010\",\"seq\":{seq},\
             \"trace_id\":\"{trace:032x}\",\"span_id\":\"{span:016x}\",\
             \"timestamp\":\"2026-11-29T23:00:40.123456Z\",\"event_type\":\"{event}\",\"agent\":\"benefits\",\
             \"action\":\"plan.search\",\"status\":\"ok\"{latency},\"data\":{{\"model\":\"gpt-4o\",\"text\":\""
        );
        out.write_all(head.as_bytes())?;
        let words =
            ["plan ", "member ", "copay ", "dental ", "network ", "claim ", "2026 ", "deny "];
        let mut left = bytes.saturating_sub(head.len() + 4);
        while left > 0 {
            let word = random.choice(words).unwrap_or_default();
            let word = &word[..word.len().min(left)];
            out.write_all(word.as_bytes())?;
            left -= word.len();
        }
        out.write_all(b"\"}}\n")?;
    }
    out.flush()
}

/// Takes every request, until it is killed.
fn collect() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("http://{}", listener.local_addr()?);
    io::stdout().flush()?;
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || answer(&stream));
    }
    Ok(())
}

fn answer(mut stream: &TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line)? > 0 {
        let header = line.to_ascii_lowercase();
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if header == "\r\n" {
            io::copy(&mut (&mut reader).take(length), &mut io::sink())?;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        }
        line.clear();
    }
    Ok(())
}

/// The time that the processor spent for this process.
fn processor_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(") ").next().ok_or("no fields")?.split(' ').skip(11).take(2);
    let ticks: f64 = fields.filter_map(|field| field.parse::<f64>().ok()).sum();
    Ok(ticks / TICKS_PER_SECOND)
}

fn peak_memory() -> Result<String, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(line.ok_or("no VmHWM")?.trim().to_owned())
}
