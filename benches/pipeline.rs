//! Measures how many events a second reach the file if none may be lost.
//!
//! The peer writes the same events from one thread with serde_json into a buffered file. It has no
//! redaction, no queue and no other thread. The file is in the temporary folder. If that is in
//! memory, the bench does not show a disk.
//!
//! The last figure is that of one caller and one writer, each pinned to a core. They write lines of
//! 500 bytes into `/dev/shm`. The peer there serializes the value of such a line with `simd_json`,
//! and gives as many bytes to `write` at once as the writer does. With `-- --end-to-end` only this
//! is measured.
#![allow(missing_docs, clippy::print_stdout)]

mod common;

use std::env;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use common::{Payload, against, clean_text, criterion, ns_per, on_threads, pin, quick, title};
use criterion::{BenchmarkId, Criterion, Throughput};
use llm_audit::{AuditEvent, AuditLogger, EventType};
use serde::Serialize;
use tempfile::TempDir;

const SIZES: [usize; 2] = [256, 4096];
const THREADS: [usize; 2] = [1, 2];
const CLOSE_WITHIN: Duration = Duration::from_secs(60);
/// The bytes of a text whose line has about 500.
const END_TO_END_TEXT: usize = 178;
const END_TO_END_EVENTS: u64 = 400_000;
/// The bytes that the writer gives to the file at once.
const BATCH_BYTES: usize = 256 << 10;

/// Returns how long `events` events took to reach the file, and the file's size in bytes.
fn pipeline(threads: usize, events: u64, text: &str) -> (Duration, u64) {
    let folder = tempfile::tempdir().expect("a folder");
    pipeline_into(folder.path(), threads, events, text)
}

fn pipeline_into(folder: &Path, threads: usize, events: u64, text: &str) -> (Duration, u64) {
    let builder = AuditLogger::builder().without_environment().directory(folder).debug(true);
    let logger = builder.build().expect("the settings are valid");
    let data = Payload { tool: "plan.search", text };
    let emit = || {
        let event = AuditEvent::new(EventType::ToolCall, "benefits", "plan.search");
        logger.emit_wait(&event.latency_ms(12.5).data(&data));
    };
    let begin = Instant::now();
    on_threads(threads, events.div_ceil(threads as u64), emit);
    logger.flush(CLOSE_WITHIN).expect("the events are written");
    let took = begin.elapsed();
    logger.shutdown(CLOSE_WITHIN).expect("the log closes");
    let counts = logger.accounting();
    assert_eq!(counts.written, counts.emitted, "nothing may be lost");
    let files = fs::read_dir(folder).expect("the folder");
    let len = |file: std::io::Result<fs::DirEntry>| file?.metadata().map(|file| file.len());
    (took, files.map(len).sum::<Result<u64, _>>().expect("the files"))
}

/// The event as the peer writes it.
#[derive(Serialize)]
struct Line<'t> {
    event_version: &'static str,
    seq: u64,
    timestamp: u128,
    event_type: &'static str,
    agent: &'static str,
    action: &'static str,
    status: &'static str,
    latency_ms: f64,
    data: Payload<'t>,
}

fn plain(events: u64, text: &str) -> Duration {
    let folder = tempfile::tempdir().expect("a folder");
    let file = File::create(folder.path().join("peer.jsonl")).expect("a file");
    let begin = Instant::now();
    let mut out = BufWriter::with_capacity(1 << 18, file);
    for seq in 0..events {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let line = Line {
            event_version: "3.0",
            seq,
            timestamp: since.expect("a clock after 1970").as_micros(),
            event_type: "tool.call",
            agent: "benefits",
            action: "plan.search",
            status: "ok",
            latency_ms: 12.5,
            data: Payload { tool: "plan.search", text },
        };
        serde_json::to_writer(&mut out, &line).expect("room on the disk");
        out.write_all(b"\n").expect("room on the disk");
    }
    out.flush().expect("room on the disk");
    begin.elapsed()
}

fn groups(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pipeline");
    group.throughput(Throughput::Elements(1));
    for size in SIZES {
        let text = clean_text(size);
        for threads in THREADS {
            let id = BenchmarkId::new(format!("{threads}_threads"), size);
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|events| pipeline(threads, events, &text).0);
            });
        }
        group.bench_function(BenchmarkId::new("plain_file", size), |bencher| {
            bencher.iter_custom(|events| plain(events, &text));
        });
    }
}

fn closing_line(size: usize, threads: usize) {
    let text = clean_text(size);
    let events = if quick() { 100 } else { 25_600_000 / size as u64 };
    let mut bytes = 0;
    let (ours, peer) = against(
        || {
            let (took, written) = pipeline(threads, events, &text);
            bytes = written;
            ns_per(events, took)
        },
        || ns_per(events, plain(events, &text)),
    );
    println!(
        "{size:>5} B {threads} threads: {ours:>6.0} ns per event, {:>9.0} events/s, {:>6.1} MB/s, 0 \
         lost; {:.2} of the rate of a plain buffered file ({peer:.0} ns)",
        1e9 / ours,
        bytes as f64 / events as f64 / ours * 1e3,
        peer / ours,
    );
}

/// Returns a new folder in memory. If there is no `/dev/shm`, it says so and takes the temporary folder.
fn folder_in_memory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| {
        println!("there is no /dev/shm: the files are in {}", env::temp_dir().display());
        tempfile::tempdir().expect("a folder")
    })
}

/// Returns how long the peer took to serialize the value so often and to write it.
fn serialized(folder: &Path, events: u64, line: &simd_json::OwnedValue) -> Duration {
    let mut file = File::create(folder.join("peer.jsonl")).expect("a file");
    let mut lines = Vec::with_capacity(2 * BATCH_BYTES);
    let begin = Instant::now();
    for _ in 0..events {
        simd_json::to_writer(&mut lines, line).expect("room in memory");
        lines.push(b'\n');
        if lines.len() >= BATCH_BYTES {
            file.write_all(&lines).expect("room on the disk");
            lines.clear();
        }
    }
    file.write_all(&lines).expect("room on the disk");
    begin.elapsed()
}

/// Returns the value of a line that the writer wrote for this text.
fn line_value(text: &str) -> simd_json::OwnedValue {
    let folder = folder_in_memory();
    pipeline_into(folder.path(), 1, 1, text);
    let mut files = fs::read_dir(folder.path()).expect("the folder");
    let file = files.next().expect("a file").expect("a file").path();
    let lines = fs::read_to_string(file).expect("UTF-8");
    let line = lines.lines().find(|line| line.contains("tool.call")).expect("the event");
    simd_json::to_owned_value(&mut line.as_bytes().to_vec()).expect("JSON")
}

fn end_to_end() {
    let events = if quick() { 100 } else { END_TO_END_EVENTS };
    let text = clean_text(END_TO_END_TEXT);
    let line = line_value(&text);
    let folder = folder_in_memory();
    let mut bytes = 0;
    let (ours, peer) = against(
        || {
            let folder = tempfile::tempdir_in(&folder).expect("a folder");
            pin(1);
            let (took, written) = pipeline_into(folder.path(), 1, events, &text);
            bytes = written / events;
            ns_per(events, took)
        },
        || {
            pin(0);
            let folder = tempfile::tempdir_in(&folder).expect("a folder");
            ns_per(events, serialized(folder.path(), events, &line))
        },
    );
    println!(
        "lines of {bytes} B in {}: {ours:.0} ns per event, {:.0} events/s, 0 lost; simd_json and \
         write alone {peer:.0} ns, {:.0} lines/s; {:.2} times as long",
        folder.path().display(),
        1e9 / ours,
        1e9 / peer,
        ours / peer,
    );
}

fn main() {
    title("end to end: one caller, one writer");
    // What comes after it is not pinned.
    thread::spawn(end_to_end).join().expect("it measures");
    if env::args().any(|arg| arg == "--end-to-end") {
        return;
    }
    let mut criterion = criterion();
    groups(&mut criterion);
    criterion.final_summary();
    title("pipeline: emit_wait to the file, flushed, nothing lost");
    for size in SIZES {
        for threads in THREADS {
            closing_line(size, threads);
        }
    }
}
