//! Measures an emit while the collector is dead, next to one without a collector.
//!
//! Three recorders in one process write to folders of their own. One ships nothing, one ships to a port that refuses
//! connections, and one to a collector that accepts them and never answers. They take turns, so that all three see the
//! same machine. The caller is pinned to a core and pauses after each event, so that the writer keeps up.
#![allow(missing_docs, clippy::print_stdout)]

mod common;

use std::hint;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use common::{Payload, ROUNDS, clean_text, median, quick, title};
use hdrhistogram::Histogram;
use llm_audit::{AuditEvent, AuditLogger, EventType};
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(60);
/// Between two events of the caller.
const PAUSE: Duration = Duration::from_micros(50);

/// A recorder, and what its emits took: the median and the 99th percentile of each round, in nanoseconds.
struct Recorder {
    name: &'static str,
    logger: AuditLogger,
    rounds: [Vec<f64>; 2],
    _folder: TempDir,
}

impl Recorder {
    fn new(name: &'static str, collector: Option<&str>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let builder = AuditLogger::builder().without_environment().notices(false).debug(true);
        let builder = builder.directory(folder.path());
        let logger = match collector {
            Some(url) => builder.otlp(true).otlp_collector(url).build(),
            None => builder.build(),
        };
        let logger = logger.expect("the settings are valid");
        Self { name, logger, rounds: Default::default(), _folder: folder }
    }

    fn emit(&self, text: &str) -> Duration {
        let data = Payload { tool: "plan.search", text };
        let event = AuditEvent::new(EventType::ToolCall, "benefits", "plan.search");
        let begin = Instant::now();
        self.logger.emit(&event.latency_ms(12.5).data(&data));
        begin.elapsed()
    }

    fn round(&mut self, text: &str) {
        let mut ns = Histogram::<u64>::new(3).expect("three digits");
        for _ in 0..if quick() { 100 } else { 20_000 } {
            let took = self.emit(text);
            ns.record(took.as_nanos() as u64).expect("the histogram grows by itself");
            let until = Instant::now() + PAUSE;
            while Instant::now() < until {
                hint::spin_loop();
            }
        }
        for (rounds, quantile) in self.rounds.iter_mut().zip([0.5, 0.99]) {
            rounds.push(ns.value_at_quantile(quantile) as f64);
        }
        self.logger.flush(DEADLINE).expect("the disk takes what is queued");
    }

    fn closing_line(&self) {
        let [p50, p99] = self.rounds.clone().map(median);
        let counts = self.logger.accounting();
        assert_eq!(counts.emitted, counts.written, "the writer keeps up");
        let health = self.logger.health();
        let waiting = health.shipping.first().map_or(0, |of| of.lag_bytes.unwrap_or(0));
        println!(
            "{:>20}: p50 {p50:>5.0} ns, p99 {p99:>6.0} ns | {} written, {waiting} bytes wait",
            self.name, counts.written
        );
    }
}

/// Returns a port that refuses connections.
fn refusing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    format!("http://{}", listener.local_addr().expect("an address"))
}

/// Starts a collector that never answers. The receiver gets each of its connections.
fn hanging() -> (String, Receiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (connections, accepted) = mpsc::channel();
    thread::spawn(move || listener.incoming().flatten().try_for_each(|of| connections.send(of)));
    (url, accepted)
}

/// Waits until the shipper has failed once.
fn wait_for_failure(recorder: &Recorder) {
    let begin = Instant::now();
    while recorder.logger.health().shipping.iter().all(|of| of.error.is_none()) {
        assert!(begin.elapsed() < DEADLINE, "the port refuses connections");
        thread::yield_now();
    }
}

fn main() {
    let (url, accepted) = hanging();
    let mut recorders = [
        Recorder::new("no collector", None),
        Recorder::new("the port is closed", Some(&refusing())),
        Recorder::new("the collector hangs", Some(&url)),
    ];
    let text = clean_text(256);
    for recorder in &recorders {
        recorder.emit(&text);
        recorder.logger.flush(DEADLINE).expect("the disk takes an event");
    }
    wait_for_failure(&recorders[1]);
    let _held = accepted.recv_timeout(DEADLINE).expect("the shipper connects");

    if let Some(core) = core_affinity::get_core_ids().unwrap_or_default().first() {
        core_affinity::set_for_current(*core);
    }
    for _ in 0..if quick() { 1 } else { ROUNDS } {
        recorders.iter_mut().for_each(|recorder| recorder.round(&text));
    }
    title(
        "emit with a dead collector: 256 B, one pinned caller, 20,000 events a round and recorder",
    );
    recorders.iter().for_each(Recorder::closing_line);
    assert!(recorders.iter().flat_map(|of| of.logger.health().shipping).all(|of| of.sent == 0));
}
