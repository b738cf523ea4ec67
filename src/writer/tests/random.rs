//! Random runs of the whole writer, after which every count must agree.
//!
//! Eight threads emit into a small full queue. Files rotate, the disk is sometimes full, and a
//! close races with the threads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use serde_json::json;

use super::book::{self, Book};
use super::{DEADLINE, NOON};
use crate::config::Fsync;
use crate::writer::Platform;
use crate::writer::fs::TestClock;
use crate::writer::fs::mem::{MemFs, WriteFault};
use crate::{
    AuditEvent, AuditLogger, CaptureContent, EventType, SamplingPolicy, Status, TraceContext,
};

const RUNS: u64 = 100;
const THREADS: u64 = 8;
/// The most events of a thread.
const EVENTS_MAX: u64 = 250;

#[test]
fn whatever_races_every_count_agrees() {
    book::with_seeds(RUNS, |seed| run(&mut fastrand::Rng::with_seed(seed)));
}

fn run(rng: &mut fastrand::Rng) {
    let fs = MemFs::default();
    fs.state().reserves = rng.bool();
    let audit = open(&fs, rng);
    let emitted = AtomicU64::new(0);
    let at_work = AtomicUsize::new(THREADS as usize);
    let close_at = rng.u64(..THREADS * EVENTS_MAX / 2);
    let is_mended = rng.bool();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (mut rng, audit, emitted, at_work) = (rng.fork(), &audit, &emitted, &at_work);
            scope.spawn(move || {
                for n in 0..rng.u64(..EVENTS_MAX) {
                    emit(audit, thread << 32 | n, &mut rng);
                    emitted.fetch_add(1, Ordering::Relaxed);
                }
                at_work.fetch_sub(1, Ordering::Relaxed);
            });
        }
        while emitted.load(Ordering::Relaxed) < close_at && at_work.load(Ordering::Relaxed) > 0 {
            break_or_mend(&fs, rng);
            std::thread::yield_now();
        }
        if is_mended {
            mend(&fs);
        }
        audit.shutdown(DEADLINE).unwrap();
    });

    let accounting = audit.accounting();
    assert_eq!(accounting.emitted, emitted.into_inner());
    assert!(accounting.adds_up(), "{accounting:?}");
    let book = read(&fs, audit.instance());
    let without = book.held.values().filter(|n| n.is_none()).count();
    assert_eq!(book.ns().len() + without, book.held.len());
    assert!(without as u64 <= accounting.truncated);
    assert_eq!(book.held.len() as u64, accounting.written, "{accounting:?}");
    if is_mended {
        book.assert_complete(&accounting, false);
        let stop = book.stop.as_ref().expect("an audit.stop");
        for (name, count) in [
            ("written", accounting.written),
            ("overwritten", accounting.overwritten),
            ("io_lost", accounting.io_lost),
        ] {
            assert_eq!(stop[name], count, "{name}: {stop}");
        }
        assert!(stop["emitted"].as_u64().unwrap() <= accounting.emitted);
    }
}

fn open(fs: &MemFs, rng: &mut fastrand::Rng) -> AuditLogger {
    let clock = Arc::new(TestClock::default());
    clock.set(NOON);
    AuditLogger::builder()
        .without_environment()
        .directory("logs")
        .sampling(SamplingPolicy {
            trace_rate: 0.5,
            success_rate: 0.5,
            ..SamplingPolicy::default()
        })
        .capture_content(*rng.choice(&[CaptureContent::Always, CaptureContent::Failed]).unwrap())
        .queue_capacity(64)
        .queue_bytes(64 << 10)
        .hold_bytes(*rng.choice(&[64 << 10, 1 << 20]).unwrap())
        .max_file_bytes(16 << 10)
        .fsync(*rng.choice(&[Fsync::Never, Fsync::Batch]).unwrap())
        .build_on_platform(Platform { fs: Arc::new(fs.clone()), clock })
        .unwrap()
}

fn emit(audit: &AuditLogger, n: u64, rng: &mut fastrand::Rng) {
    // Half of the events share a few traces, in which others are held.
    let context = TraceContext::from_ids(rng.u128(1..8), 1, None).unwrap();
    let len = if rng.u32(..10) == 0 { rng.usize(..4_000) } else { rng.usize(..100) };
    let data = json!({ "n": n, "text": "x".repeat(len) });
    let (kind, status) = match rng.u32(..8) {
        5 => (EventType::RequestStart, Status::Ok),
        6 => (EventType::RequestEnd, Status::Ok),
        0 => (EventType::LlmError, Status::Error),
        _ => (EventType::CacheHit, Status::Ok),
    };
    let event = AuditEvent::new(kind, "a", "b").status(status).data(&data).content(&["text"]);
    let event = if rng.bool() { event.context(&context) } else { event };
    match rng.u32(..4) {
        0 => audit.emit_wait(&event),
        _ => audit.emit(&event),
    }
}

/// Makes the disk full, lets it take a part of a write, or repairs it.
fn break_or_mend(fs: &MemFs, rng: &mut fastrand::Rng) {
    match rng.u32(..8) {
        0 => {
            let used: usize = fs.names().iter().map(|name| fs.bytes(name).len()).sum();
            fs.state().capacity = Some(used + rng.usize(..2_000));
        }
        1 => fs.state().write_faults.push_back(WriteFault::Short(rng.usize(..2_000))),
        2 => mend(fs),
        _ => {}
    }
}

fn mend(fs: &MemFs) {
    let mut state = fs.state();
    state.capacity = None;
    state.write_faults.clear();
}

fn read(fs: &MemFs, instance: &str) -> Book {
    let mut books = BTreeMap::new();
    for name in fs.names() {
        let bytes = fs.bytes(&name);
        let (lines, torn) = book::split(&bytes);
        assert!(torn.is_empty(), "{name} is torn");
        book::read(&mut books, lines);
    }
    assert!(books.len() <= 1);
    books.remove(instance).unwrap_or_default()
}
