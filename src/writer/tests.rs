//! What the whole writer makes of a disk that fails and a clock that leaps.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::Ground;
use super::fs::mem::{MemFs, TestClock, WriteFault};
use crate::config::Fsync;
use crate::{AuditEvent, AuditLogger, Builder, EventType};

const DEADLINE: Duration = Duration::from_secs(60);
/// Noon of 2026-03-01, and a day, in microseconds.
const NOON: i64 = 1_772_366_400_000_000;
const DAY: i64 = 86_400_000_000;

struct Rig {
    fs: MemFs,
    clock: Arc<TestClock>,
    audit: AuditLogger,
}

impl Rig {
    fn new(with: impl FnOnce(Builder) -> Builder) -> Self {
        let (fs, clock) = (MemFs::default(), Arc::new(TestClock::default()));
        clock.set(NOON);
        let ground = Ground { fs: Arc::new(fs.clone()), clock: clock.clone() };
        let builder = AuditLogger::builder().without_environment().directory("logs").debug(true);
        let audit = with(builder.fsync(Fsync::Never)).build_on(ground).unwrap();
        Self { fs, clock, audit }
    }

    /// Emits one event and waits for its end.
    fn emit(&self, n: u64) {
        let data = json!({ "n": n });
        self.audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b").data(&data));
        self.audit.flush(DEADLINE).unwrap();
    }

    fn lines(&self, file: &str) -> Vec<Value> {
        let text = self.fs.text(format!("logs/{file}"));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn kinds(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["event_type"].as_str().unwrap()).collect()
}

#[test]
fn a_full_disk_costs_counted_events_and_the_log_says_which() {
    let full = || WriteFault::Fails(0, io::ErrorKind::StorageFull);
    let short = || WriteFault::Short(7);
    for faults in [[full(), full(), full()], [short(), full(), short()]] {
        let rig = Rig::new(|builder| builder);
        rig.emit(1);
        rig.fs.state().write_faults.extend(faults);
        for n in 2..=4 {
            rig.emit(n);
        }
        assert_eq!(rig.audit.accounting().io_lost, 3);
        rig.emit(5);
        rig.audit.shutdown(DEADLINE).unwrap();
        let lines = rig.lines("audit-2026-03-01.jsonl");
        let expected = ["audit.start", "cache.hit", "audit.loss", "cache.hit", "audit.stop"];
        assert_eq!(kinds(&lines), expected);
        let loss = json!({"overwritten": 0, "io_lost": 3, "first_seq": 2, "last_seq": 4});
        assert_eq!(lines[2]["data"], loss);
        assert_eq!((&lines[1]["seq"], &lines[3]["seq"]), (&json!(1), &json!(5)));
        assert_eq!(lines[3]["data"]["n"], 5);
        let stop = &lines[4]["data"];
        assert_eq!((&stop["written"], &stop["io_lost"]), (&json!(2), &json!(3)));
        assert!(rig.audit.accounting().adds_up());
    }
}

#[test]
fn a_disk_that_stays_full_to_the_end_is_no_panic_and_no_hang() {
    let rig = Rig::new(|builder| builder);
    rig.emit(1);
    rig.fs.state().capacity = Some(0);
    rig.emit(2);
    rig.audit.shutdown(DEADLINE).unwrap();
    let accounting = rig.audit.accounting();
    assert_eq!((accounting.written, accounting.io_lost), (1, 1));
    assert!(accounting.adds_up());
}

#[test]
fn a_new_day_begins_a_file_and_no_day_comes_back() {
    let rig = Rig::new(|builder| builder);
    rig.emit(1);
    rig.clock.set(NOON + DAY);
    rig.emit(2);
    rig.clock.set(NOON);
    rig.emit(3);
    rig.audit.shutdown(DEADLINE).unwrap();
    let first = rig.lines("audit-2026-03-01.jsonl");
    assert_eq!(kinds(&first), ["audit.start", "cache.hit"]);
    assert_eq!(first[0]["data"]["first"], true);
    let second = rig.lines("audit-2026-03-02.jsonl");
    assert_eq!(kinds(&second), ["audit.start", "cache.hit", "cache.hit", "audit.stop"]);
    assert_eq!(second[0]["data"]["first"], false);
    assert_eq!(second[2]["seq"], 3);
}

#[test]
fn a_file_that_is_full_is_followed_by_the_next() {
    let rig = Rig::new(|builder| builder.max_file_bytes(4096));
    for n in 0..40 {
        rig.emit(n);
    }
    rig.audit.shutdown(DEADLINE).unwrap();
    let names = rig.fs.names();
    assert!(names.len() > 2, "{names:?}");
    let mut numbers = Vec::new();
    for name in names {
        let text = rig.fs.text(&name);
        assert!(text.len() <= 4096, "{} bytes in {name}", text.len());
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["event_type"], "audit.start");
        numbers.extend(lines.iter().filter_map(|line| line["seq"].as_u64()));
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
}

#[test]
fn after_a_failed_sync_another_file_is_begun() {
    let rig = Rig::new(|builder| builder.fsync(Fsync::Batch));
    rig.fs.state().sync_fails = true;
    rig.emit(1);
    // The housekeeping thread finds out in its own time.
    let mut n = 1;
    while rig.fs.names().len() < 2 {
        n += 1;
        rig.emit(n);
    }
    rig.fs.state().sync_fails = false;
    rig.audit.shutdown(DEADLINE).unwrap();
    assert_eq!(rig.audit.accounting().written, n);
}

#[test]
fn what_is_written_is_synced_by_the_end() {
    let rig = Rig::new(|builder| builder.fsync(Fsync::Every(Duration::from_secs(3600))));
    rig.emit(1);
    rig.audit.shutdown(DEADLINE).unwrap();
    let name = rig.fs.names().remove(0);
    assert_eq!(rig.fs.synced(&name), rig.fs.text(&name).len());
}

/// Every way in which files are synced, also the one that never does by itself.
fn fsyncs() -> [Fsync; 3] {
    [Fsync::Never, Fsync::Every(Duration::from_secs(3600)), Fsync::Batch]
}

#[test]
fn what_a_durable_flush_confirms_is_on_the_disk() {
    for fsync in fsyncs() {
        let rig = Rig::new(|builder| builder.fsync(fsync).max_file_bytes(4096));
        for round in 1..=4 {
            (0..40).for_each(|n| rig.emit(n));
            let flushed = rig.audit.flush_durable(DEADLINE).unwrap();
            assert_eq!(flushed.written, 0, "the flush of each event told of it");
            let names = rig.fs.names();
            assert!(names.len() > 2 * round, "files are left behind");
            assert_eq!(rig.fs.state().dir_syncs, names.len(), "their names are durable too");
            for name in names {
                assert_eq!(rig.fs.synced(&name), rig.fs.text(&name).len(), "{fsync:?}: {name}");
            }
        }
        rig.audit.shutdown(DEADLINE).unwrap();
    }
}

#[test]
fn nothing_is_called_durable_after_a_failed_sync() {
    for fsync in fsyncs() {
        let rig = Rig::new(|builder| builder.fsync(fsync));
        rig.emit(1);
        rig.audit.flush_durable(DEADLINE).unwrap();
        rig.fs.state().sync_fails = true;
        rig.emit(2);
        rig.emit(3);
        let error = rig.audit.flush_durable(DEADLINE).unwrap_err();
        let text = "an fsync failed: 2 written events may not be on the disk";
        assert!(error.is_not_durable() && !error.is_deadline());
        assert_eq!(error.to_string(), text, "{fsync:?}");
        // Nor later, when it does no more: of these two it is not known.
        rig.fs.state().sync_fails = false;
        rig.emit(4);
        assert_eq!(rig.audit.flush_durable(DEADLINE).unwrap_err().to_string(), text);
        rig.audit.flush(DEADLINE).unwrap();
        rig.audit.shutdown(DEADLINE).unwrap();
        assert_eq!(rig.audit.flush_durable(DEADLINE).unwrap_err().to_string(), text);
        assert_eq!(rig.audit.accounting().written, 4);
    }
}

#[test]
fn a_durable_flush_ends_at_its_deadline() {
    for fsync in fsyncs() {
        let rig = Rig::new(|builder| builder.fsync(fsync));
        rig.emit(1);
        let error = rig.audit.flush_durable(Duration::ZERO).unwrap_err();
        assert!(error.is_deadline(), "{error}");
    }
}

#[test]
fn what_closing_leaves_durable() {
    for fsync in fsyncs() {
        let rig = Rig::new(|builder| builder.fsync(fsync));
        rig.emit(1);
        rig.audit.shutdown(DEADLINE).unwrap();
        let durable = rig.audit.flush_durable(DEADLINE);
        match fsync {
            Fsync::Never => assert!(durable.unwrap_err().is_not_durable()),
            _ => drop(durable.unwrap()),
        }
    }
}

#[test]
fn files_left_behind_that_nobody_asks_for_do_not_pile_up() {
    let rig = Rig::new(|builder| builder.max_file_bytes(4096));
    let mut n = 0;
    // The housekeeping thread syncs them in its own time.
    while rig.fs.synced("logs/audit-2026-03-01.jsonl") == 0 {
        n += 1;
        rig.emit(n);
    }
    rig.audit.shutdown(DEADLINE).unwrap();
}

#[test]
fn without_files_nothing_is_durable() {
    let seen = crate::testing::capture();
    let error = seen.logger().flush_durable(DEADLINE).unwrap_err();
    assert_eq!(error.to_string(), "no files are written, so nothing is on the disk");
}
