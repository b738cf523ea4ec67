//! Measures what one emit costs the caller, flat out, next to the same event through tracing.
//!
//! Flat out means that the producers are faster than the writer. The ring then overwrites its
//! oldest events. tracing-appender drops its newest, with its default queue of 128,000 lines. Each
//! line prints how many. The bench does not show a service that emits now and then. If the writer
//! sleeps there, an emit also has to wake it.
//!
//! The last line but one holds the writer, so that only callers work: one, then two. With `-- --held`
//! only this is measured.
#![allow(missing_docs, clippy::print_stdout)]

mod common;

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use std::{env, fs, io};

use common::{Payload, against, clean_text, criterion, ns_per, on_threads, quick, title};
use criterion::{BenchmarkId, Criterion};
use hdrhistogram::Histogram;
use llm_audit::export::Exporter;
use llm_audit::{AuditEvent, AuditLogger, EventType, TraceContext};
use tempfile::TempDir;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, WorkerGuard};

const SIZES: [usize; 3] = [64, 256, 4096];
const THREADS: [usize; 2] = [1, 2];
const CLOSE_WITHIN: Duration = Duration::from_secs(60);

fn audit(logger: &AuditLogger, text: &str) {
    let data = Payload { tool: "plan.search", text };
    let event = AuditEvent::new(EventType::ToolCall, "benefits", "plan.search");
    logger.emit(&event.latency_ms(12.5).data(&data));
}

fn trace(text: &str) {
    tracing::info!(
        event_type = "tool.call",
        agent = "benefits",
        action = "plan.search",
        status = "ok",
        latency_ms = 12.5,
        tool = "plan.search",
        text
    );
}

/// Returns a logger that keeps every event, and its folder.
fn logger() -> (AuditLogger, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let builder = AuditLogger::builder().without_environment().directory(folder.path()).debug(true);
    (builder.build().expect("the settings are valid"), folder)
}

/// The peer for the whole process: tracing, tracing-subscriber's JSON and tracing-appender's
/// thread.
struct Peer {
    dropped: ErrorCounter,
    folder: TempDir,
    worker: WorkerGuard,
}

impl Peer {
    fn install() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = tracing_appender::rolling::never(folder.path(), "peer.jsonl");
        let (writer, worker) = NonBlocking::new(file);
        let dropped = writer.error_counter();
        tracing_subscriber::fmt().json().with_writer(writer).init();
        Self { dropped, folder, worker }
    }

    /// Waits until the peer's thread has written what it got, so that the work does not disturb
    /// other measurements.
    fn settle(&self) {
        let file = self.folder.path().join("peer.jsonl");
        let len = || fs::metadata(&file).map_or(0, |file| file.len());
        let mut before = None;
        while before != Some(len()) {
            before = Some(len());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for the lines, and returns how many were written and dropped.
    fn close(self) -> (usize, usize) {
        let dropped = self.dropped.dropped_lines();
        drop(self.worker);
        let file = fs::read(self.folder.path().join("peer.jsonl")).expect("the peer's file");
        (memchr::memchr_iter(b'\n', &file).count(), dropped)
    }
}

/// Checks the behaviour that is timed below: the event arrives, redacted.
fn check() {
    let (logger, folder) = logger();
    audit(&logger, "write to ana.lopez@mail.example");
    logger.shutdown(CLOSE_WITHIN).expect("the log closes");
    let files = fs::read_dir(folder.path()).expect("the folder");
    let log: String = files
        .map(|file| fs::read_to_string(file.expect("an entry").path()).expect("a text"))
        .collect();
    assert!(log.contains("write to [REDACTED_email]"), "not redacted: {log}");
}

fn groups(criterion: &mut Criterion) {
    for threads in THREADS {
        let mut group = criterion.benchmark_group(format!("hot_path/{threads}_threads"));
        for size in SIZES {
            let text = clean_text(size);
            let (logger, _folder) = logger();
            group.bench_function(BenchmarkId::new("llm-audit", size), |bencher| {
                bencher.iter_custom(|steps| on_threads(threads, steps, || audit(&logger, &text)));
            });
            logger.shutdown(CLOSE_WITHIN).expect("the log closes");
            group.bench_function(BenchmarkId::new("tracing", size), |bencher| {
                bencher.iter_custom(|steps| on_threads(threads, steps, || trace(&text)));
            });
        }
    }
}

/// Returns p50, p99 and p99.9 of one call, in nanoseconds. They include two readings of the clock.
fn percentiles(calls: u64, call: impl Fn()) -> [u64; 3] {
    let mut ns = Histogram::<u64>::new(3).expect("three digits");
    for _ in 0..calls {
        let begin = Instant::now();
        call();
        let took = u64::try_from(begin.elapsed().as_nanos()).expect("below 500 years");
        ns.record(took).expect("the histogram grows by itself");
    }
    [0.5, 0.99, 0.999].map(|share| ns.value_at_quantile(share))
}

fn closing_line(peer: &Peer, size: usize, threads: usize) {
    let text = clean_text(size);
    let calls = if quick() { 100 } else { 100_000 };
    let (logger, _folder) = logger();
    // Before each round neither side has anything left to write.
    let (ours, peer) = against(
        || {
            let ns = ns_per(calls, on_threads(threads, calls, || audit(&logger, &text)));
            logger.flush(CLOSE_WITHIN).expect("the log is written");
            ns
        },
        || {
            let ns = ns_per(calls, on_threads(threads, calls, || trace(&text)));
            peer.settle();
            ns
        },
    );
    let context = TraceContext::new_trace();
    let _scope = context.enter();
    let [p50, p99, p999] = percentiles(calls, || audit(&logger, &text));
    logger.shutdown(CLOSE_WITHIN).expect("the log closes");
    let counts = logger.accounting();
    let kept = counts.emitted - counts.sampled_out;
    assert_eq!(counts.sampled_out, 0, "nothing is to be sampled out");
    assert_eq!(kept, counts.written + counts.overwritten, "every event has one end");
    println!(
        "{size:>5} B {threads} threads: {ours:>6.0} ns per emit, {:>9.0} emits/s, {:>5.1}x cheaper \
         than tracing ({peer:.0} ns) | p50 {p50} p99 {p99} p99.9 {p999} ns | kept {kept}, \
         overwritten {}, written {}, sampled out 0",
        threads as f64 * 1e9 / ours,
        peer / ours,
        counts.overwritten,
        counts.written,
    );
}

/// Holds the writer at its first lines until the other end is dropped.
struct Gate(Receiver<()>);

impl Exporter for Gate {
    fn export(&mut self, _lines: &[u8]) -> io::Result<()> {
        // There is nothing to receive.
        let _dropped = self.0.recv();
        Ok(())
    }
}

/// Compares one caller with two while the writer is held and the queue is full.
fn held_line() {
    let (open, gate) = channel();
    let builder = AuditLogger::builder().without_environment().debug(true).files(false);
    let logger = builder.exporter(Gate(gate)).build().expect("the settings are valid");
    let text = clean_text(256);
    let calls = if quick() { 100 } else { 500_000 };
    let on = |threads| ns_per(calls, on_threads(threads, calls, || audit(&logger, &text)));
    on(2);
    let (one, two) = against(|| on(1), || on(2));
    drop(open);
    logger.shutdown(CLOSE_WITHIN).expect("the log closes");
    println!(
        "  256 B, the writer held: {:.0} emits/s of one thread, {:.0} of two, {:.2} times as many",
        1e9 / one,
        2e9 / two,
        2.0 * one / two
    );
}

fn main() {
    if env::args().any(|arg| arg == "--held") {
        title("hot_path: callers alone");
        return held_line();
    }
    check();
    let peer = Peer::install();
    let mut criterion = criterion();
    groups(&mut criterion);
    criterion.final_summary();
    title("hot_path: one emit, flat out, redaction included; tracing does none");
    peer.settle();
    for threads in THREADS {
        for size in SIZES {
            closing_line(&peer, size, threads);
        }
    }
    held_line();
    let (written, dropped) = peer.close();
    println!("tracing in the whole run: {written} lines written, {dropped} dropped");
}
