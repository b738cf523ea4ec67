//! Full queues: they keep every error, whatever floods them, and of the rest the newest.
#![cfg(not(loom))]

mod common;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use common::{DEADLINE, Seen, data, gate, logger, memory};
use llm_audit::export::Exporter;
use llm_audit::{AuditEvent, AuditLogger, Builder, EventType, Status};
use serde_json::{Value, json};

/// A logger whose writer is held in its sink by a first event; `queue` events fit beside it.
fn held(queue: usize) -> (AuditLogger, Seen) {
    held_with(|builder| builder.queue_capacity(queue))
}

fn held_with(with: impl FnOnce(Builder) -> Builder) -> (AuditLogger, Seen) {
    let (gate, held) = gate();
    let builder = AuditLogger::builder().without_environment().files(false).debug(true);
    let audit = with(builder.exporter(gate)).build().unwrap();
    audit.emit(&AuditEvent::new(EventType::Custom("test.first"), "a", "b"));
    held.wait_until_held();
    (audit, held)
}

fn emit(audit: &AuditLogger, status: Status, n: u64) {
    let data = data(n);
    audit.emit(&AuditEvent::new(EventType::ToolCall, "a", "b").status(status).data(&data));
}

/// The numbers of the events of these statuses, in the order of the lines.
fn numbers(lines: &[Value], statuses: &[Status]) -> Vec<u64> {
    let is_wanted = |line: &&Value| statuses.iter().any(|status| line["status"] == status.name());
    lines.iter().filter(is_wanted).filter_map(|line| line["data"]["n"].as_u64()).collect()
}

const FAILED: [Status; 2] = [Status::Error, Status::Timeout];
const WENT_ON: [Status; 2] = [Status::Ok, Status::Retry];

/// Asserts that the lines hold or count as lost what was emitted, to the event.
fn add_up(audit: &AuditLogger, lines: &[Value], emitted: u64) {
    let accounting = audit.accounting();
    assert!(accounting.adds_up());
    assert_eq!(accounting.emitted, emitted);
    let seqs: Vec<u64> = lines.iter().filter_map(|line| line["seq"].as_u64()).collect();
    assert!(seqs.is_sorted(), "one sequence, in the order of the file");
    assert_eq!(seqs.len() as u64, accounting.written);
    let losses = lines.iter().filter(|line| line["event_type"] == "audit.loss");
    let [told, missing] = losses.fold([0, 0], |[told, missing], line| {
        let count = |name: &str| line["data"][name].as_u64().unwrap();
        [told + count("overwritten"), missing + count("last_seq") + 1 - count("first_seq")]
    });
    assert_eq!((told, missing), (accounting.overwritten, accounting.overwritten));
    assert_eq!(lines.last().unwrap()["data"]["overwritten"], accounting.overwritten);
}

#[test]
fn a_flood_of_successes_overwrites_no_error() {
    const FLOOD: u64 = 20_000;
    const EACH: u64 = 400;
    let (audit, held) = held(256);
    for n in 0..FLOOD {
        emit(&audit, WENT_ON[(n % 2) as usize], n);
        if n % EACH == 0 {
            emit(&audit, FAILED[(n / EACH % 2) as usize], n);
        }
    }
    assert_eq!(audit.accounting().overwritten, FLOOD - 256);
    held.release();
    audit.shutdown(DEADLINE).unwrap();
    let lines = held.lines();
    let errors: Vec<u64> = (0..FLOOD / EACH).map(|n| n * EACH).collect();
    assert_eq!(numbers(&lines, &FAILED), errors, "every one, in order");
    assert_eq!(numbers(&lines, &WENT_ON), (FLOOD - 256..FLOOD).collect::<Vec<_>>());
    add_up(&audit, &lines, FLOOD + FLOOD / EACH + 1);
}

/// Memory, too, is apart: a flood of long successes leaves the errors theirs, payloads included.
#[test]
fn a_flood_of_long_successes_takes_no_memory_of_the_errors() {
    const ERRORS: u64 = 60;
    let (audit, held) = held_with(|builder| builder.queue_capacity(1024).queue_bytes(1 << 20));
    let long = "x".repeat(100_000);
    for n in 0..ERRORS {
        let payload = json!({"n": n, "text": long});
        audit.emit(&AuditEvent::new(EventType::ToolCall, "a", "b").data(&payload));
        let payload = json!({"n": n, "text": &long[..2000]});
        audit.emit(&AuditEvent::new(EventType::ToolError, "a", "b").data(&payload));
    }
    held.release();
    audit.shutdown(DEADLINE).unwrap();
    let lines = held.lines();
    assert_eq!(numbers(&lines, &FAILED), (0..ERRORS).collect::<Vec<_>>());
    let texts = lines.iter().filter(|line| line["event_type"] == "tool.error");
    assert!(texts.clone().all(|line| line["data"]["text"].as_str().unwrap().len() == 2000));
    assert!(audit.accounting().overwritten > 0, "the others' memory was used up");
    add_up(&audit, &lines, 2 * ERRORS + 1);
}

#[test]
fn only_errors_overwrite_errors() {
    const ERRORS: u64 = 1000;
    // A quarter of 1,024.
    const PLACES: u64 = 256;
    let (audit, held) = held(1024);
    for n in 0..PLACES {
        emit(&audit, Status::Ok, n);
    }
    for n in 0..ERRORS {
        emit(&audit, FAILED[(n % 2) as usize], n);
    }
    assert_eq!(audit.accounting().overwritten, ERRORS - PLACES);
    assert_eq!(audit.accounting().queued, 2 * PLACES + 1);
    held.release();
    audit.shutdown(DEADLINE).unwrap();
    let lines = held.lines();
    assert_eq!(numbers(&lines, &FAILED), (ERRORS - PLACES..ERRORS).collect::<Vec<_>>());
    assert_eq!(numbers(&lines, &[Status::Ok]), (0..PLACES).collect::<Vec<_>>());
    add_up(&audit, &lines, PLACES + ERRORS + 1);
}

/// Errors go first and leave half of every batch: neither lane starves, whatever the other brings.
#[test]
fn a_flood_of_errors_does_not_starve_the_others() {
    // Many short ones, and a few of which each fills the errors' half of a batch.
    for (errors, bytes, before) in [(1000, 10, 256), (10, 150_000, 1)] {
        let (audit, held) = held(4096);
        let text = "x".repeat(bytes);
        for n in 0..errors {
            let payload = json!({"n": n, "text": text});
            audit.emit(&AuditEvent::new(EventType::ToolError, "a", "b").data(&payload));
        }
        emit(&audit, Status::Ok, 0);
        held.release();
        audit.shutdown(DEADLINE).unwrap();
        let lines = held.lines();
        let events: Vec<&Value> = lines
            .iter()
            .filter(|line| line["data"]["n"].is_u64() && line["seq"].is_u64())
            .collect();
        assert_eq!(events.len(), errors + 1);
        let at = events.iter().position(|line| line["status"] == "ok").unwrap();
        assert!(at <= before, "after {at} errors of {bytes} B");
        add_up(&audit, &lines, errors as u64 + 2);
    }
}

#[test]
fn events_of_a_batch_stand_in_the_order_they_happened() {
    let (audit, held) = held(1024);
    let all = [Status::Ok, Status::Error, Status::Retry, Status::Timeout];
    for n in 0..200 {
        let (data, time) = (data(n), UNIX_EPOCH + Duration::from_micros(n));
        let event = AuditEvent::new(EventType::ToolCall, "a", "b").timestamp(time);
        audit.emit(&event.status(all[(n * n / 7 % 4) as usize]).data(&data));
    }
    held.release();
    audit.shutdown(DEADLINE).unwrap();
    assert_eq!(numbers(&held.lines(), &all), (0..200).collect::<Vec<_>>());
}

#[test]
fn a_flush_covers_both_lanes() {
    let (exporter, seen) = memory();
    let audit = AuditLogger::builder().without_environment().files(false).debug(true);
    let audit = audit.exporter(exporter).build().unwrap();
    for (errors, others) in [(1, 0), (0, 1), (3, 2), (0, 0), (300, 700)] {
        let before = seen.lines().iter().filter(|line| line["seq"].is_u64()).count();
        for n in 0..errors {
            emit(&audit, Status::Timeout, n);
        }
        for n in 0..others {
            emit(&audit, Status::Retry, n);
        }
        assert_eq!(audit.flush(DEADLINE).unwrap().written, errors + others);
        let after = seen.lines().iter().filter(|line| line["seq"].is_u64()).count();
        assert_eq!((after - before) as u64, errors + others);
        assert!(audit.accounting().adds_up());
    }
    audit.shutdown(DEADLINE).unwrap();
}

#[test]
fn a_flush_that_meets_a_stuck_sink_counts_both_lanes() {
    let (audit, held) = held(64);
    emit(&audit, Status::Error, 1);
    emit(&audit, Status::Ok, 1);
    let error = audit.flush(Duration::from_millis(5)).unwrap_err();
    assert_eq!(error.to_string(), "not done within 5ms: 3 events are outstanding");
    held.release();
    assert_eq!(audit.flush(DEADLINE).unwrap().written, 3);
    audit.shutdown(DEADLINE).unwrap();
    for status in Status::ALL {
        emit(&audit, status, 2);
    }
    assert_eq!(audit.accounting().rejected, 4);
    assert!(audit.accounting().adds_up());
}

#[test]
fn waiting_emits_lose_nothing_in_either_lane() {
    let folder = tempfile::tempdir().unwrap();
    let audit = logger(folder.path()).queue_capacity(64).queue_bytes(64 << 10).build().unwrap();
    thread::scope(|scope| {
        for thread in 0..4_u64 {
            let audit = &audit;
            scope.spawn(move || {
                let mut rng = fastrand::Rng::with_seed(thread);
                for n in 0..1000 {
                    let payload =
                        json!({"n": thread << 32 | n, "text": "x".repeat(rng.usize(0..3000))});
                    let event = AuditEvent::new(EventType::ToolCall, "a", "b").data(&payload);
                    audit.emit_wait(&event.status(*rng.choice(&Status::ALL).unwrap()));
                }
            });
        }
    });
    audit.shutdown(DEADLINE).unwrap();
    let accounting = audit.accounting();
    assert_eq!((accounting.written, accounting.overwritten, accounting.truncated), (4000, 0, 0));
    let mut seen = numbers(&common::lines(folder.path()), &Status::ALL);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 4000);
}

/// An error that its lane's memory cannot hold is cut like any event that is too long, and
/// overwrites no other for it.
#[test]
fn an_error_too_long_for_its_lane_is_cut() {
    let (audit, held) =
        held_with(|builder| builder.queue_bytes(64 << 10).max_event_bytes(32 << 10));
    let long = json!({"n": 1, "text": "x".repeat(30_000)});
    let event = AuditEvent::new(EventType::ToolCall, "a", "b").data(&long);
    audit.emit(&event);
    audit.emit(&event.status(Status::Error));
    held.release();
    audit.shutdown(DEADLINE).unwrap();
    let lines = held.lines();
    let text = |status: &str| {
        let line = lines.iter().find(|line| line["status"] == status && line["data"]["n"] == 1);
        line.unwrap()["data"]["text"].as_str().unwrap().to_owned()
    };
    assert_eq!(text("ok").len(), 30_000);
    let cut = text("error");
    assert!(cut.len() > 8000 && cut.contains("[TRUNCATED:"), "{} bytes", cut.len());
    let accounting = audit.accounting();
    assert_eq!((accounting.truncated, accounting.overwritten), (1, 0));
}

/// A sink that is done with a batch when many more events were emitted than the queue holds.
struct Lagging {
    emitted: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    /// How many were emitted before the batch was taken.
    before: u64,
    seen: Batches,
}

/// Of each batch how many events were emitted before it was taken, and its lines.
type Batches = Arc<Mutex<Vec<(u64, Vec<Value>)>>>;

const CAPACITY: u64 = 1024;

impl Exporter for Lagging {
    fn export(&mut self, lines: &[u8]) -> io::Result<()> {
        let text = std::str::from_utf8(lines).unwrap();
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let has_events = lines.iter().any(|line| line["seq"].is_u64());
        self.seen.lock().unwrap().push((self.before, lines));
        if !has_events {
            return Ok(());
        }
        let now = || self.emitted.load(Ordering::Acquire);
        let until = now() + 3 * CAPACITY;
        while now() < until && !self.is_over.load(Ordering::Acquire) {
            thread::yield_now();
        }
        self.before = now();
        Ok(())
    }
}

/// In the middle of an overload, whatever is written was one of the newest when it was taken; at
/// its end they are all there. The errors among them all are.
#[test]
fn what_survives_an_overload_is_the_newest() {
    const EMITTED: u64 = 100_000;
    // No more errors than their lane has places, also if the writer gets no time.
    const EACH: u64 = 500;
    let (emitted, is_over, seen) = (Arc::default(), Arc::default(), Batches::default());
    let sink = Lagging {
        emitted: Arc::clone(&emitted),
        is_over: Arc::clone(&is_over),
        before: 0,
        seen: seen.clone(),
    };
    let audit = AuditLogger::builder().without_environment().files(false).debug(true);
    let audit = audit.exporter(sink).queue_capacity(CAPACITY as usize).build().unwrap();
    for n in 1..=EMITTED {
        emit(&audit, if n % EACH == 0 { Status::Error } else { Status::Ok }, n);
        emitted.store(n, Ordering::Release);
    }
    is_over.store(true, Ordering::Release);
    audit.shutdown(DEADLINE).unwrap();

    let batches = std::mem::take(&mut *seen.lock().unwrap());
    for (before, lines) in &batches {
        let numbers = numbers(lines, &[Status::Ok]);
        // Of the errors among them none takes a place.
        let places = CAPACITY + CAPACITY / EACH + 1;
        let is_new = |n: &u64| n + places >= *before;
        assert!(numbers.iter().all(is_new), "{before} before {numbers:?}");
    }
    let lines: Vec<Value> = batches.into_iter().flat_map(|(_, lines)| lines).collect();
    let errors: Vec<u64> = (1..=EMITTED / EACH).map(|n| n * EACH).collect();
    assert_eq!(numbers(&lines, &[Status::Error]), errors);
    let survived = numbers(&lines, &[Status::Ok]);
    let newest: Vec<u64> = (EMITTED - CAPACITY + 1..=EMITTED).filter(|n| n % EACH != 0).collect();
    assert!(newest.iter().all(|n| survived.contains(n)), "the newest are all there");
    assert!(audit.accounting().overwritten > EMITTED / 2, "it was an overload");
    add_up(&audit, &lines, EMITTED);
}
