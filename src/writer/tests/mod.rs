//! Tests of the whole writer, if the disk fails or the clock jumps.

mod book;
mod content;
mod hold;
mod model;
mod random;
mod stalls;
#[cfg(unix)]
mod stdout;
mod totals;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Platform, WriterTurn};
use crate::config::Fsync;
use crate::metrics::HealthStatus;
use crate::writer::fs::mem::{MemFs, WriteFault};
use crate::writer::fs::{Fs as _, TestClock};
use crate::{AuditEvent, AuditLogger, Builder, EventType};
use llm_audit_log::schema::notices::{Retired, Seqs};

pub(super) use model::by_hand;

const DEADLINE: Duration = Duration::from_secs(60);
/// Noon of 2026-03-01, and the length of a day, in microseconds.
const NOON: i64 = 1_772_366_400_000_000;
const DAY: i64 = 86_400_000_000;

struct Rig {
    fs: MemFs,
    clock: Arc<TestClock>,
    audit: AuditLogger,
}

impl Rig {
    fn new(with: impl FnOnce(Builder) -> Builder) -> Self {
        Self::over(MemFs::default(), with)
    }

    fn over(fs: MemFs, with: impl FnOnce(Builder) -> Builder) -> Self {
        let clock = Arc::new(TestClock::default());
        clock.set(NOON);
        let platform = Platform { fs: Arc::new(fs.clone()), clock: clock.clone() };
        let builder = AuditLogger::builder().without_environment().directory("logs").debug(true);
        let audit = with(builder.fsync(Fsync::Never)).build_on_platform(platform).unwrap();
        // The writer writes a start line before any event.
        wait_until(|| audit.path().is_none() || fs.state().writes > 0);
        Self { fs, clock, audit }
    }

    /// Emits one event and waits until it is settled.
    fn emit(&self, n: u64) {
        let data = json!({ "n": n });
        self.audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b").data(&data));
        self.audit.flush(DEADLINE).unwrap();
    }

    /// Returns the lines of a file without totals, which have tests of their own.
    fn lines(&self, file: &str) -> Vec<Value> {
        let mut lines = self.all_lines(file);
        lines.retain(|line| line["event_type"] != "audit.totals");
        lines
    }

    fn all_lines(&self, file: &str) -> Vec<Value> {
        let text = self.fs.text(format!("logs/{file}"));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Waits for other threads. If they take too long, it fails instead of hanging.
fn wait_until(mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < until, "it never came");
        std::thread::yield_now();
    }
}

fn kinds(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["event_type"].as_str().unwrap()).collect()
}

#[test]
fn a_full_disk_costs_counted_events_and_the_log_says_which() {
    let full: fn() -> WriteFault = || WriteFault::Fails(0, io::ErrorKind::StorageFull);
    let short: fn() -> WriteFault = || WriteFault::Short(7);
    for faults in [[full, full, full], [short, full, short]] {
        let rig = Rig::new(|builder| builder);
        rig.emit(1);
        // On a slow machine the writer tries between the events to report what it lost, which takes a fault each time.
        let faults = faults.iter().cycle().map(|fault| fault());
        rig.fs.state().write_faults.extend(faults.take(99));
        for n in 2..=4 {
            rig.emit(n);
        }
        assert_eq!(rig.audit.accounting().io_lost, 3);
        rig.fs.state().write_faults.clear();
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
fn a_disk_that_stays_full_to_the_end_causes_no_panic_and_no_hang() {
    let rig = Rig::new(|builder| builder);
    rig.emit(1);
    rig.fs.state().capacity = Some(0);
    rig.emit(2);
    rig.audit.shutdown(DEADLINE).unwrap();
    let accounting = rig.audit.accounting();
    assert_eq!((accounting.written, accounting.io_lost), (1, 1));
    assert!(accounting.adds_up());
}

/// Ends a fault, and waits until the log reports its losses without an event. The writer's clock
/// moves by a second, and the writer sleeps no longer than that.
fn assert_reported_within_a_second(rig: &Rig, mend: impl FnOnce()) {
    mend();
    rig.clock.set(NOON + 1_000_000);
    wait_until(|| kinds(&rig.lines(FIRST)).contains(&"audit.loss"));
}

const FIRST: &str = "audit-2026-03-01.jsonl";

#[test]
fn losses_are_reported_soon_after_a_fault_ends_even_if_no_event_comes() {
    for kind in [
        io::ErrorKind::StorageFull,
        io::ErrorKind::QuotaExceeded,
        io::ErrorKind::ReadOnlyFilesystem,
        io::ErrorKind::Other, // EIO
    ] {
        let rig = Rig::new(|builder| builder);
        rig.emit(1);
        rig.fs.state().writes_fail = Some(kind);
        rig.emit(2);
        assert_eq!(rig.audit.accounting().io_lost, 1);
        assert_reported_within_a_second(&rig, || rig.fs.state().writes_fail = None);
        rig.emit(3);
        rig.audit.shutdown(DEADLINE).unwrap();
        let expected = ["audit.start", "cache.hit", "audit.loss", "cache.hit", "audit.stop"];
        assert_eq!(kinds(&rig.lines(FIRST)), expected);
    }
}

#[test]
fn a_file_or_folder_that_goes_away_costs_what_it_held_and_no_event_after_it() {
    // The folder is removed, or replaced by a file and repaired later, or no descriptor is left.
    type Somebody = fn(&MemFs);
    let faults: [(Somebody, Somebody, u64); 3] = [
        (|fs| fs.remove(format!("logs/{FIRST}")), |_| {}, 0),
        (
            |fs| {
                fs.remove(format!("logs/{FIRST}"));
                fs.state().dir_fails = Some(io::ErrorKind::NotADirectory);
            },
            |fs| fs.state().dir_fails = None,
            1,
        ),
        (
            |fs| {
                fs.remove(format!("logs/{FIRST}"));
                fs.state().open_fails = true;
            },
            |fs| fs.state().open_fails = false,
            1,
        ),
    ];
    for (break_it, mend, lost) in faults {
        let rig = Rig::new(|builder| builder);
        rig.emit(1);
        break_it(&rig.fs);
        rig.emit(2);
        assert_eq!(rig.audit.accounting().io_lost, lost);
        mend(&rig.fs);
        rig.emit(3);
        rig.audit.shutdown(DEADLINE).unwrap();
        let accounting = rig.audit.accounting();
        assert_eq!((accounting.written, accounting.io_lost), (3 - lost, lost));
        let lines = rig.lines(FIRST);
        assert_eq!(kinds(&lines).contains(&"audit.loss"), lost > 0);
        assert!(lines.iter().any(|line| line["data"]["n"] == 3));
    }
}

/// The disk is full for an hour, and the file is checked at every moment of it.
#[test]
fn the_reserve_holds_what_a_full_disk_cost() {
    let fs = MemFs::default();
    fs.state().reserves = true;
    let rig = Rig::over(fs, |builder| builder);
    rig.emit(1);
    let full = rig.fs.reserved_to(format!("logs/{FIRST}"));
    rig.fs.state().capacity = Some(full);
    // The room for batches fills first. After that only losses are written.
    let mut n = 1;
    while rig.audit.accounting().io_lost == 0 {
        n += 1;
        rig.emit(n);
    }
    let first_lost = n;
    let told = |rig: &Rig| -> u64 {
        let lines = rig.lines(FIRST);
        let losses = lines.iter().filter(|line| line["event_type"] == "audit.loss");
        losses.map(|line| line["data"]["io_lost"].as_u64().unwrap()).sum()
    };
    assert_eq!(told(&rig), 1, "at once");
    for second in 1..=3_600 {
        rig.clock.set(NOON + second * 1_000_000);
        n += 1;
        rig.emit(n);
    }
    let losses = kinds(&rig.lines(FIRST)).iter().filter(|kind| **kind == "audit.loss").count();
    assert!((10..=14).contains(&losses), "after 1, 2, 4 … seconds: {losses}");
    rig.audit.shutdown(DEADLINE).unwrap();
    assert_eq!(told(&rig), n - first_lost + 1, "and all of it in the end");
    let lines = rig.lines(FIRST);
    let stop = lines.last().unwrap();
    assert_eq!(stop["event_type"], "audit.stop");
    assert_eq!(stop["data"]["io_lost"], n - first_lost + 1);
    assert_eq!(stop["data"]["written"], first_lost - 1);
    assert_eq!(rig.fs.reserved_to(format!("logs/{FIRST}")), 0, "the rest is given back");
}

/// The lines about removed files may take more room than there is. The last line goes before them.
#[test]
fn on_a_full_disk_the_last_line_finds_room_after_the_losses() {
    let fs = MemFs::default();
    fs.state().reserves = true;
    let platform = Platform { fs: Arc::new(fs.clone()), clock: Arc::new(TestClock::default()) };
    let builder = AuditLogger::builder().without_environment().directory("logs").debug(true);
    let (audit, mut writer) = model::build_by_hand(|| builder.build_on_platform(platform)).unwrap();
    let emit = || audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b"));
    emit();
    while audit.accounting().written == 0 {
        writer.run_turn();
    }
    let name = fs.names().remove(0);
    fs.state().capacity = Some(fs.reserved_to(&name));
    // More than the reserve can take.
    let instances = (0..1_000).map(|n| Seqs { last_seq: 1, ..Seqs::of(&format!("{n:016x}")) });
    let file = "audit-1969-01-01.jsonl".to_owned();
    let retired = Retired {
        file,
        bytes: 1,
        why: "AUDIT_RETENTION_DAYS".into(),
        instances: Some(instances.collect()),
        unshipped: Default::default(),
    };
    // Events fill the room reserved for them.
    while audit.accounting().io_lost == 0 {
        emit();
        writer.run_turn();
    }
    writer.append_retired_lines(0, &[retired]);
    assert!(writer.pending.len() > 100_000);
    assert!(audit.shutdown(Duration::ZERO).unwrap_err().is_deadline());
    while !matches!(writer.run_turn(), WriterTurn::Last) {}
    let text = fs.text(&name);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(kinds(&lines).last(), Some(&"audit.stop"));
    assert!(!kinds(&lines).contains(&"audit.retired"), "there is no room for it");
    let told =
        |line: &Value| line["data"]["io_lost"].as_u64().filter(|_| line.get("seq").is_none());
    let losses = lines.iter().filter(|line| line["event_type"] == "audit.loss");
    assert_eq!(losses.filter_map(told).sum::<u64>(), audit.accounting().io_lost);
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

/// Four threads emit while the clock passes midnight, goes back, and passes it again.
#[test]
fn midnight_under_load_loses_nothing_and_keeps_the_order() {
    let rig = Rig::new(|builder| builder.max_file_bytes(64 << 10));
    let midnight = NOON + DAY / 2;
    std::thread::scope(|scope| {
        let emitters: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        rig.audit.emit_wait(&AuditEvent::new(EventType::CacheHit, "a", "b"));
                    }
                })
            })
            .collect();
        let mut step = 0;
        while emitters.iter().any(|emitter| !emitter.is_finished()) {
            rig.clock.set(midnight + [-3, 2, -1, 4][step % 4] * 1_000_000);
            step += 1;
            std::thread::yield_now();
        }
    });
    // Whatever the scheduler did, the day has come by now.
    rig.clock.set(midnight);
    rig.emit(1);
    rig.audit.shutdown(DEADLINE).unwrap();
    let mut names = rig.fs.names();
    names.sort_by_key(|name| llm_audit_log::FileName::parse(&name["logs/".len()..]));
    assert!(names.last().unwrap().contains("2026-03-02"));
    let seqs = names.iter().flat_map(|name| rig.lines(&name["logs/".len()..]));
    let seqs: Vec<u64> = seqs.filter_map(|line| line["seq"].as_u64()).collect();
    assert_eq!(seqs, (1..=8_001).collect::<Vec<_>>(), "in the order of the files");
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
    wait_until(|| {
        n += 1;
        rig.emit(n);
        rig.fs.names().len() > 1
    });
    rig.fs.state().sync_fails = false;
    rig.audit.shutdown(DEADLINE).unwrap();
    assert_eq!(rig.audit.accounting().written, n);
}

/// Each failure doubles the wait for the next sync, up to a second. So the folder does not fill
/// with files.
#[test]
fn where_every_sync_fails_files_are_begun_ever_more_seldom() {
    const EVENTS: u64 = 3_000;
    for (fsync, asks) in [
        (Fsync::Batch, false),
        (Fsync::Every(Duration::from_millis(1)), false),
        (Fsync::Never, true),
    ] {
        let rig = Rig::new(|builder| builder.fsync(fsync));
        rig.fs.state().sync_fails = true;
        let began = Instant::now();
        for n in 0..EVENTS {
            rig.emit(n);
            if asks {
                rig.audit.flush_durable(Duration::ZERO).unwrap_err();
            }
        }
        // Syncs come after 20, 40, 80 ms and so on, and then once a second.
        let most = 10 + began.elapsed().as_secs() as usize;
        let files = rig.fs.names().len();
        assert!((2..=most).contains(&files), "{fsync:?}, {asks}: {files} files");
        rig.fs.state().sync_fails = false;
        rig.audit.shutdown(DEADLINE).unwrap();
        assert_eq!(rig.audit.accounting().written, EVENTS);
    }
}

/// A panic of the housekeeping thread affects neither the writer nor a caller.
#[test]
fn after_a_panic_of_the_housekeeping_thread_nothing_is_durable_and_events_are_still_written() {
    for fsync in [Fsync::Never, Fsync::Batch] {
        let rig = Rig::new(|builder| builder.fsync(fsync).max_file_bytes(4_096));
        rig.fs.state().sync_panics = true;
        rig.emit(1);
        let error = rig.audit.flush_durable(Duration::MAX).unwrap_err();
        assert!(error.is_not_durable(), "{error}");
        for n in 2..=100 {
            rig.emit(n);
        }
        let error = rig.audit.flush_durable(Duration::MAX).unwrap_err();
        assert!(error.is_not_durable(), "{error}");
        assert_eq!(rig.fs.state().handles, 1, "what is left behind is let go");
        rig.audit.shutdown(Duration::MAX).unwrap();
        assert_eq!(rig.audit.accounting().written, 100);
        assert_eq!(rig.fs.state().handles, 0);
    }
}

/// A sink that blocks the writer without end delays neither the count nor the sync of a batch.
#[test]
fn what_is_in_the_file_is_counted_and_synced_before_an_exporter_is_called() {
    struct Held(std::sync::mpsc::Receiver<()>);
    impl crate::export::Exporter for Held {
        fn export(&mut self, _: &[u8]) -> io::Result<()> {
            let _released = self.0.recv();
            Ok(())
        }
    }
    let (release, held) = std::sync::mpsc::channel();
    let rig = Rig::new(|builder| builder.fsync(Fsync::Batch).exporter(Held(held)));
    // The first batch is released, and the batch of the event is not.
    release.send(()).unwrap();
    let event = AuditEvent::new(EventType::CacheHit, "a", "b");
    rig.audit.emit(&event);
    wait_until(|| rig.audit.accounting().written == 1);
    let name = rig.fs.names().remove(0);
    wait_until(|| rig.fs.text(&name)[..rig.fs.synced(&name)].contains("cache.hit"));
    drop(release);
    rig.audit.shutdown(DEADLINE).unwrap();
}

/// Whoever made such a file, the log continues after it while there is a number left. If there is
/// none, it returns an error.
#[test]
fn the_last_number_there_is_ends_the_names_of_a_day_and_nothing_else() {
    let full = b"{}\n".repeat(2_000);
    let name = |number: u64| format!("logs/audit-2026-03-01.{number}.jsonl");
    let fs = MemFs::default();
    fs.put("logs/audit-2026-03-01.jsonl", &full);
    fs.put(name(u32::MAX.into()), &full);
    let rig = Rig::over(fs, |builder| builder.max_file_bytes(4096));
    rig.emit(1);
    assert!(rig.fs.names().contains(&name(u64::from(u32::MAX) + 1)));
    rig.fs.put(name(u64::MAX), &full);
    rig.fs.remove(name(u64::from(u32::MAX) + 1));
    rig.emit(2);
    assert_eq!(rig.audit.accounting().io_lost, 1);
    rig.clock.set(NOON + DAY);
    rig.emit(3);
    assert_eq!(rig.audit.accounting().written, 2);
    rig.audit.shutdown(DEADLINE).unwrap();
}

/// A disk that hangs in a sync stops no event, and uses a bounded number of file handles.
#[test]
fn a_hung_sync_never_stalls_the_writer() {
    // An interval of `1s` behaves like this one, and a second more of test time would not show
    // more.
    for fsync in [Fsync::Every(Duration::from_millis(1)), Fsync::Batch] {
        let rig = Rig::new(|builder| builder.fsync(fsync).max_file_bytes(4096));
        rig.fs.state().sync_hangs = true;
        rig.emit(0);
        rig.fs.wait_until_sync_hangs();
        for n in 1..16_384 {
            let data = json!({ "n": n });
            rig.audit.emit_wait(&AuditEvent::new(EventType::CacheHit, "a", "b").data(&data));
            if n % 64 == 0 {
                rig.audit.flush(DEADLINE).unwrap();
            }
        }
        rig.audit.flush(DEADLINE).unwrap();
        let accounting = rig.audit.accounting();
        assert_eq!((accounting.written, accounting.io_lost), (16_384, 0));
        // One is open, 32 wait for their sync, and the folder's size limit is suspended.
        let files = rig.fs.names().len();
        let handles = rig.fs.state().handles;
        assert!((30..=34).contains(&handles), "{handles} handles");
        assert_eq!(files, handles);
        rig.fs.release_syncs();
        rig.audit.shutdown(DEADLINE).unwrap();
        assert_eq!(rig.fs.state().handles, 0);
        for name in rig.fs.names() {
            assert_eq!(rig.fs.synced(&name), rig.fs.text(&name).len(), "{name}");
        }
    }
}

/// Returns what was synced before the power cut, and whole lines of what was not.
#[test]
fn a_power_cut_leaves_what_was_synced_and_the_log_reopens_whole() {
    let mut rng = fastrand::Rng::with_seed(8);
    for _ in 0..20 {
        let rig = Rig::new(|builder| builder.fsync(Fsync::Batch).max_file_bytes(4096));
        let last = rng.u64(1..60);
        for n in 1..=last {
            rig.emit(n);
        }
        let synced = |rig: &Rig| -> Vec<(String, usize)> {
            rig.fs.names().into_iter().map(|name| (name.clone(), rig.fs.synced(&name))).collect()
        };
        let confirmed = synced(&rig);
        let text = |fs: &MemFs, name: &str| String::from_utf8_lossy(&fs.bytes(name)).into_owned();
        let before: Vec<_> =
            confirmed.iter().map(|(name, len)| text(&rig.fs, name)[..*len].to_owned()).collect();
        let fs = rig.fs.after_power_cut(&mut rng);
        for ((name, len), before) in confirmed.iter().zip(&before) {
            if *len > 0 {
                assert!(text(&fs, name).starts_with(before.as_str()), "{name}");
            }
        }
        // The next start cuts off what is torn, and continues.
        let platform = Platform { fs: Arc::new(fs.clone()), clock: rig.clock.clone() };
        let builder = AuditLogger::builder().without_environment().directory("logs").debug(true);
        let audit = builder.max_file_bytes(4096).build_on_platform(platform).unwrap();
        audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "after"));
        audit.shutdown(DEADLINE).unwrap();
        let mut events = 0;
        for name in fs.names() {
            // No writer repairs a file that was left half synced, but `verify` reports it.
            let text = text(&fs, &name);
            let whole = &text[..text.rfind('\n').map_or(0, |at| at + 1)];
            for line in whole.lines() {
                let line: Value = serde_json::from_str(line).unwrap();
                events += u64::from(line["event_type"] == "cache.hit");
            }
        }
        let is_event = |line: &&str| line.contains("cache.hit");
        let synced: usize = before.iter().map(|text| text.lines().filter(is_event).count()).sum();
        assert!((synced as u64 + 1..=last + 1).contains(&events), "{synced} {events} {last}");
    }
}

#[test]
fn what_retention_removes_is_reported_in_the_log() {
    let fs = MemFs::default();
    let numbered = |seq: u64| {
        format!("{{\"event_version\":\"3.0\",\"instance\":\"00000000000000aa\",\"seq\":{seq}}}\n")
    };
    let (old, older) = ("logs/audit-2026-02-20.jsonl", "logs/audit-2026-02-19.jsonl");
    fs.put(older, numbered(4).as_bytes());
    fs.put(old, (numbered(5) + &numbered(6)).as_bytes());
    fs.put("logs/audit-2026-02-24.jsonl", b"");
    let rig = Rig::over(fs, |builder| builder.retention_days(5));
    let retired = |rig: &Rig, file: &str| -> Vec<Value> {
        if !rig.fs.names().contains(&format!("logs/{file}")) {
            return Vec::new();
        }
        let lines = rig.lines(file).into_iter();
        lines
            .filter(|line| line["event_type"] == "audit.retired")
            .map(|l| l["data"].clone())
            .collect()
    };
    // At the start, even if no event comes.
    wait_until(|| rig.fs.names().len() <= 2 && retired(&rig, FIRST).len() == 2);
    let told = retired(&rig, FIRST);
    assert_eq!(
        (&told[0]["file"], &told[1]["file"]),
        (&json!("audit-2026-02-19.jsonl"), &json!("audit-2026-02-20.jsonl"))
    );
    assert_eq!(told[1]["why"], "AUDIT_RETENTION_DAYS");
    let seqs = json!([{"instance": "00000000000000aa", "first_seq": 5, "last_seq": 6, "events": 2, "overwritten": 0, "io_lost": 0}]);
    assert_eq!(told[1]["instances"], seqs);
    // When the day changes, even if no event comes.
    rig.clock.set(NOON + DAY);
    wait_until(|| !retired(&rig, "audit-2026-03-02.jsonl").is_empty());
    assert_eq!(rig.fs.names(), ["logs/audit-2026-03-01.jsonl", "logs/audit-2026-03-02.jsonl"]);
    rig.audit.shutdown(DEADLINE).unwrap();
    let start = &rig.lines(FIRST)[0]["data"];
    assert_eq!((&start["retention_days"], &start["fsync"]), (&json!(5), &json!("never")));
}

#[test]
fn what_a_destination_lacks_stays_until_it_is_shipped() {
    let fs = MemFs::default();
    let name = "audit-2026-02-20.jsonl";
    let line = "{\"event_version\":\"3.0\",\"instance\":\"00000000000000aa\",\"seq\":5}\n";
    fs.put(format!("logs/{name}"), line.as_bytes());
    let position = |offset| {
        let position = json!({
            "file": name, "offset": offset,
            "instance": null, "seq": null, "line_bytes": 0, "line_hash": 0,
        });
        json!({ "version": 1, "positions": [position] }).to_string()
    };
    fs.put("logs/.ship/collector.json", position(0).as_bytes());
    // Refused lines are looked at after the files of the log.
    let refused = |day: &str| format!("logs/.ship/refused/collector-{day}.jsonl");
    fs.put(refused("2026-02-20"), b"x\n");
    let rig = Rig::over(fs, |builder| builder.retention_days(5));
    let is_there = |path: &str| rig.fs.exists(path.as_ref()).unwrap();
    wait_until(|| !is_there(&refused("2026-02-20")));
    assert!(is_there(&format!("logs/{name}")));
    rig.fs.put("logs/.ship/collector.json", position(line.len()).as_bytes());
    rig.clock.set(NOON + DAY);
    wait_until(|| !is_there(&format!("logs/{name}")));
    rig.audit.shutdown(DEADLINE).unwrap();
}

#[test]
fn what_goes_unshipped_is_reported_in_the_log() {
    let fs = MemFs::default();
    let line = "{\"event_version\":\"3.0\",\"instance\":\"00000000000000aa\",\"seq\":5}\n";
    fs.put("logs/audit-2026-02-20.jsonl", line.as_bytes());
    fs.put("logs/.ship/collector.json", br#"{"version":1,"positions":[]}"#);
    let rig = Rig::over(fs, |builder| builder.retention_days(5).retention_waits(false));
    let retired = || {
        let lines = rig.lines(FIRST).into_iter();
        lines.filter(|line| line["event_type"] == "audit.retired").collect::<Vec<_>>()
    };
    wait_until(|| !retired().is_empty());
    assert_eq!(retired()[0]["data"]["unshipped"], json!({ "collector": 1 }));
    rig.audit.shutdown(DEADLINE).unwrap();
}

#[test]
fn the_recorder_is_unwell_from_a_failed_write_to_the_next_good_one() {
    let rig = Rig::new(|builder| builder);
    rig.emit(1);
    let written = rig.audit.health();
    assert_eq!((written.status, written.last_write), (HealthStatus::Ok, Some(NOON)));
    rig.clock.set(NOON + 1);
    // If the writer's nap ends before the flush, the flush writes the line of the loss.
    let full = std::iter::repeat_with(|| WriteFault::Fails(0, io::ErrorKind::StorageFull));
    rig.fs.state().write_faults.extend(full.take(100));
    rig.emit(2);
    let failing = rig.audit.health();
    assert_eq!((failing.status, failing.http_status()), (HealthStatus::Failing, 503));
    assert_eq!((failing.last_write, failing.io_lost), (Some(NOON), 1));
    rig.fs.state().write_faults.clear();
    rig.emit(3);
    assert_eq!(rig.audit.health().status, HealthStatus::Ok);
    rig.audit.shutdown(DEADLINE).unwrap();
    let closed = rig.audit.health();
    assert_eq!((closed.status, closed.last_write), (HealthStatus::Closed, Some(NOON + 1)));
}

#[test]
fn old_files_are_not_removed_because_writing_fails() {
    let fs = MemFs::default();
    for n in 0..20 {
        fs.put(format!("logs/audit-2026-02-{:02}.jsonl", n + 1), &[b'\n'; 1000]);
    }
    let with = |builder: Builder| builder.max_total_bytes(40_000).max_file_bytes(4096);
    let rig = Rig::over(fs, with);
    for n in 0..200 {
        // Every write fails in its middle. Since the fragment cannot be cut, each one takes a new
        // file.
        rig.fs.state().truncate_fails = true;
        rig.fs.state().write_faults.push_back(WriteFault::Fails(3, io::ErrorKind::StorageFull));
        rig.emit(n);
    }
    assert!(rig.fs.names().len() > 200);
    rig.fs.state().truncate_fails = false;
    rig.emit(0);
    rig.audit.shutdown(DEADLINE).unwrap();
    let old = rig.fs.names().iter().filter(|name| name.contains("2026-02")).count();
    assert_eq!(old, 20);
}

#[test]
fn the_folder_is_held_to_its_bytes_while_it_is_written_to() {
    let rig = Rig::new(|builder| builder.max_total_bytes(20_000).max_file_bytes(4096));
    for n in 0..600 {
        rig.emit(n);
    }
    // The housekeeping thread gets there in its own time.
    let bytes =
        |rig: &Rig| rig.fs.names().iter().map(|name| rig.fs.text(name).len()).sum::<usize>();
    wait_until(|| bytes(&rig) <= 20_000);
    rig.audit.shutdown(DEADLINE).unwrap();
    let accounting = rig.audit.accounting();
    assert_eq!((accounting.written, accounting.io_lost), (600, 0));
    // Every number is in a line, or is reported as removed.
    let (mut held, mut removed) = (0, 0);
    for name in rig.fs.names() {
        for line in rig.fs.text(&name).lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            held += u64::from(line["seq"].is_u64());
            for seqs in line["data"]["instances"].as_array().into_iter().flatten() {
                removed += seqs["events"].as_u64().unwrap();
            }
        }
    }
    assert!(removed > 0 && held + removed <= 600, "{held} + {removed}");
}

#[test]
fn what_is_written_is_synced_by_the_end() {
    let rig = Rig::new(|builder| builder.fsync(Fsync::Every(Duration::from_secs(3600))));
    rig.emit(1);
    rig.audit.shutdown(DEADLINE).unwrap();
    let name = rig.fs.names().remove(0);
    assert_eq!(rig.fs.synced(&name), rig.fs.text(&name).len());
}

/// Returns every setting of syncs, including the one that syncs only on request.
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
            assert_eq!(
                rig.fs.state().dir_syncs,
                names.len() + 1,
                "their names are durable too, and once the folder's"
            );
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
        let text = "an fsync failed, or the log was closed without one: 2 written events may not be on \
                    the disk";
        assert!(error.is_not_durable() && !error.is_deadline());
        assert_eq!(error.to_string(), text, "{fsync:?}");
        // Later syncs do not help: the durability of these two events stays unknown.
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
        rig.fs.state().sync_hangs = true;
        rig.emit(1);
        rig.emit(2);
        let error = rig.audit.flush_durable(Duration::ZERO).unwrap_err();
        // Written, and not yet on the disk.
        assert_eq!(error.to_string(), "not done within 0ns: 2 events are outstanding");
        rig.fs.release_syncs();
    }
}

#[test]
fn a_flush_that_fails_leaves_its_counts_to_the_next() {
    let rig = Rig::new(|builder| builder.fsync(Fsync::Batch));
    rig.fs.state().sync_hangs = true;
    let data = json!({ "n": 1 });
    rig.audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b").data(&data));
    let late = rig.audit.flush_durable(Duration::from_millis(5)).unwrap_err();
    assert!(late.is_deadline());
    rig.fs.release_syncs();
    assert_eq!(rig.audit.flush_durable(DEADLINE).unwrap().written, 1);
    rig.fs.state().sync_fails = true;
    rig.audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b").data(&data));
    assert!(rig.audit.flush_durable(DEADLINE).unwrap_err().is_not_durable());
    assert_eq!(rig.audit.flush(DEADLINE).unwrap().written, 1);
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
fn closed_files_that_nobody_asks_for_do_not_pile_up() {
    let rig = Rig::new(|builder| builder.max_file_bytes(4096));
    // With 32 waiting files the size limit would be suspended.
    let mut n = 0;
    wait_until(|| {
        n += 1;
        rig.emit(n);
        rig.fs.names().len() > 100
    });
    let files = rig.fs.names().len();
    // The housekeeping thread syncs them in its own time.
    wait_until(|| rig.fs.state().handles <= 18);
    rig.audit.shutdown(DEADLINE).unwrap();
    let synced = rig.fs.names().iter().filter(|name| rig.fs.synced(name) > 0).count();
    assert!((files - 18..=files).contains(&synced), "{synced} of {files}");
}

#[test]
fn one_of_the_logs_own_lines_that_cannot_be_written_counts_as_no_loss() {
    let fs = MemFs::default();
    fs.put("logs/audit-2026-01-01.jsonl", b"{}\n");
    let fails = || WriteFault::Fails(0, io::ErrorKind::Other);
    fs.state().write_faults.extend([fails(), fails(), fails()]);
    let rig = Rig::over(fs, |builder| builder.retention_days(7));
    // The housekeeping thread removes the file, and the writer reports it, each in its own time. The
    // clock moves to and fro within the day, so that the writer tries again.
    let mut is_later = false;
    let mut tick = || {
        is_later = !is_later;
        rig.clock.set(NOON + i64::from(is_later) * 1_000_000);
    };
    wait_until(|| {
        tick();
        rig.fs.state().write_faults.len() < 3
    });
    rig.fs.state().write_faults.clear();
    wait_until(|| {
        tick();
        kinds(&rig.lines("audit-2026-03-01.jsonl")).contains(&"audit.retired")
    });
    rig.emit(1);
    rig.audit.shutdown(DEADLINE).unwrap();
    let lines = rig.lines("audit-2026-03-01.jsonl");
    let expected = ["audit.start", "audit.retired", "cache.hit", "audit.stop"];
    assert_eq!(kinds(&lines), expected);
}

#[test]
fn without_files_nothing_is_durable() {
    let seen = crate::testing::capture();
    let error = seen.logger().flush_durable(DEADLINE).unwrap_err();
    assert_eq!(error.to_string(), "no files are written, so nothing is on the disk");
}
