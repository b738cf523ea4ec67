//! Stops a thread at every point of an emit, and checks that no other thread waits for it.
//!
//! Others can emit, and flushes and closes return. Events of others are not lost. The event of the
//! stopped thread is settled once, after it continues.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::export::Exporter;
use crate::sync::pause::{POINTS, ThreadStop};
use crate::{AuditEvent, AuditLogger, EventType, Status};

const DEADLINE: Duration = Duration::from_secs(60);
/// Events of the others while the thread is stopped. They are more than the queue can take.
const OTHERS: u64 = 400;
/// The event of the stopped thread. The others count from 0.
const STALLED: u64 = 1 << 40;

/// A sink that blocks while a test holds its lock.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Exporter for Sink {
    fn export(&mut self, lines: &[u8]) -> io::Result<()> {
        self.0.lock().extend_from_slice(lines);
        Ok(())
    }
}

impl Sink {
    /// Returns the numbers of the events in it.
    fn numbers(&self) -> Vec<u64> {
        let text = String::from_utf8(self.0.lock().clone()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter_map(|line| line["data"]["n"].as_u64()).collect()
    }
}

fn event(n: u64, emit: impl FnOnce(&AuditEvent<'_>)) {
    let data = json!({ "n": n });
    let status = Status::ALL[(n % 4) as usize];
    emit(&AuditEvent::new(EventType::ToolCall, "a", "b").status(status).data(&data));
}

fn logger(queue_bytes: usize) -> (AuditLogger, Sink) {
    let sink = Sink::default();
    let builder = AuditLogger::builder().without_environment().files(false).debug(true);
    let builder = builder.queue_capacity(64).queue_bytes(queue_bytes);
    (builder.exporter(sink.clone()).build().unwrap(), sink)
}

/// Fills both lanes while the sink is blocked. Returns the number of events.
fn fill(audit: &AuditLogger) -> u64 {
    const MORE_THAN_A_BATCH: u64 = 700;
    event(0, |event| audit.emit(event));
    while audit.shared().counts.in_hand.load(Ordering::Relaxed) == 0 {
        thread::yield_now();
    }
    for n in 0..2 * MORE_THAN_A_BATCH {
        event(n % 2, |event| audit.emit(event));
    }
    1 + 2 * MORE_THAN_A_BATCH
}

/// Lets a thread emit event `n` and stop at `point`.
fn stopped(
    audit: &AuditLogger,
    point: &'static str,
    n: u64,
) -> (Arc<ThreadStop>, thread::JoinHandle<()>) {
    let stop = ThreadStop::at_point(point);
    let thread = {
        let (audit, stop) = (audit.clone(), stop.clone());
        thread::spawn(move || stop.run_until_released(|| event(n, |event| audit.emit(event))))
    };
    (stop, thread)
}

#[test]
#[allow(clippy::print_stdout, reason = "real times are told, not asserted")]
fn a_stopped_emit_blocks_no_other_thread() {
    for (point, of_errors) in POINTS.into_iter().flat_map(|point| [(point, false), (point, true)]) {
        for closes in [false, true] {
            // With less memory than slots, an emit into a full lane passes every point.
            let (audit, sink) = logger(64 << 10);
            let mut emitted = 0;
            let n = STALLED + u64::from(of_errors);
            let (stop, stalled) = if point == "waking" {
                // The writer has to sleep. If it is just looking around, the thread does not pass
                // this point.
                loop {
                    while !audit.shared().rings.is_sleeping() {
                        thread::yield_now();
                    }
                    let (stop, thread) = stopped(&audit, point, n);
                    if stop.wait_until_held() {
                        break (stop, thread);
                    }
                    emitted += 1;
                    thread.join().unwrap();
                }
            } else {
                let _held = sink.0.lock();
                emitted = fill(&audit);
                let (stop, thread) = stopped(&audit, point, n);
                assert!(stop.wait_until_held(), "an emit passes {point}");
                (stop, thread)
            };
            let unstopped = if point == "waking" { emitted } else { 0 };

            (2..2 + OTHERS).for_each(|n| event(n, |event| audit.emit_wait(event)));
            let begin = Instant::now();
            let ended = if closes { audit.shutdown(DEADLINE) } else { audit.flush(DEADLINE) };
            ended.unwrap();
            println!("{point}, close {closes}: {:?}", begin.elapsed());
            let numbers = sink.numbers();
            let others: Vec<u64> =
                numbers.iter().copied().filter(|n| (2..STALLED).contains(n)).collect();
            assert_eq!(sorted(others), (2..2 + OTHERS).collect::<Vec<_>>(), "{point}");

            stop.release();
            stalled.join().unwrap();
            emitted += OTHERS + 1;
            audit.shutdown(DEADLINE).unwrap();
            let accounting = audit.accounting();
            assert_eq!(accounting.emitted, emitted);
            assert!(accounting.adds_up(), "{point}: {accounting:?}");
            let times = sink.numbers().iter().filter(|n| **n >= STALLED).count() as u64;
            assert_eq!(times + accounting.rejected, unstopped + 1, "{point}: its one end");
            assert!(closes || accounting.rejected == 0, "{point}");
        }
    }
}

fn sorted(mut numbers: Vec<u64>) -> Vec<u64> {
    numbers.sort_unstable();
    numbers
}

/// If so many threads stop with their tickets, the queue cannot look past them. An event after them
/// is still written in time, without a flush, while the other lane keeps the writer busy.
#[test]
fn an_error_after_many_stopped_ones_is_written_during_a_flood() {
    const STOPPED: u64 = 40;
    let (audit, sink) = logger(1 << 20);
    let stopped: Vec<_> =
        (0..STOPPED).map(|n| stopped(&audit, "drawn", STALLED + 1 + 4 * n)).collect();
    assert!(stopped.iter().all(|(stop, _)| stop.wait_until_held()));
    event(1, |event| audit.emit(event));
    let until = Instant::now() + DEADLINE;
    let mut flood = 0;
    while !sink.numbers().contains(&1) {
        assert!(Instant::now() < until, "it is never written");
        (0..100).for_each(|_| event(0, |event| audit.emit_wait(event)));
        flood += 100;
    }
    for (stop, thread) in stopped {
        stop.release();
        thread.join().unwrap();
    }
    audit.shutdown(DEADLINE).unwrap();
    let numbers = sink.numbers();
    assert_eq!(numbers.iter().filter(|n| **n >= STALLED).count() as u64, STOPPED);
    assert_eq!(numbers.len() as u64, STOPPED + 1 + flood);
}
