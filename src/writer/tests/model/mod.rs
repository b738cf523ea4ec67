//! Random actions on the real writer with a disk in memory and a clock, checked against what must
//! always be true.
//!
//! The test turns the writer by hand on its own thread, and does the work of the housekeeping
//! thread. So a seed always gives the same run.

mod destinations;
mod retention;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use destinations::Destinations;
use retention::Removed;

use super::book::{self, Book};
use super::{DAY, NOON};
use crate::config::{Compress, Fsync};
use crate::writer::control::WriterEnd;
use crate::writer::fs::TestClock;
use crate::writer::fs::mem::{MemFs, WriteFault};
use crate::writer::{Platform, Writer, WriterTurn};
use crate::{Accounting, AuditEvent, AuditLogger, Error, EventType, Status};
use llm_audit_log::FileName;
use llm_audit_log::schema::notices::Retired;
use llm_audit_log::zst;

const RUNS: u64 = 2_000;
const ACTIONS_MAX: usize = 30;
const SECOND: i64 = 1_000_000;
const FILE_BYTES_MAX: u64 = 4096;

thread_local! {
    /// Whether loggers of this thread are turned by hand, and the writer of the last one.
    static BY_HAND: RefCell<Option<Option<Writer>>> = const { RefCell::new(None) };
}

/// Takes the writer, so that no thread starts, if the calling thread turns writers by hand.
pub(in crate::writer) fn by_hand(writer: Writer) -> Option<Writer> {
    BY_HAND.with_borrow_mut(|by_hand| match by_hand {
        None => Some(writer),
        Some(held) => {
            *held = Some(writer);
            None
        }
    })
}

/// Builds a logger whose writer is turned by hand.
pub(super) fn build_by_hand(
    build: impl FnOnce() -> Result<AuditLogger, Error>,
) -> Result<(AuditLogger, Writer), Error> {
    BY_HAND.set(Some(None));
    let audit = build();
    let writer = BY_HAND.take().flatten();
    Ok((audit?, writer.expect("the logger's writer")))
}

#[test]
fn whatever_happens_every_number_is_written_or_reported() {
    book::with_seeds(RUNS, |seed| {
        let mut model = Model::new(seed);
        for _ in 0..model.rng.usize(1..=ACTIONS_MAX) {
            model.act();
        }
        model.end();
    });
}

/// A running logger.
struct Process {
    audit: AuditLogger,
    writer: Writer,
    /// The file written to at the last check.
    name: Option<FileName>,
    /// Whether a write failed that may not have been cut off.
    may_keep_fragments: bool,
    /// Removed files that the writer does not know of yet.
    retired: Vec<Retired>,
    /// Whether a sync failed. After that nothing more is known to be durable.
    is_doubtful: bool,
}

struct Model {
    rng: fastrand::Rng,
    fs: MemFs,
    clock: Arc<TestClock>,
    now: i64,
    process: Option<Process>,
    /// The own number of the last event.
    n: u64,
    /// The number of things that someone else did in the folder.
    deeds: u64,
    /// Whole lines that someone else took out of the files.
    taken_away: Vec<Vec<u8>>,
    /// Files that other processes write to. They must never change.
    others: BTreeMap<String, Vec<u8>>,
    /// Files that retention removed.
    removed: Vec<Removed>,
    /// What shippers have sent.
    destinations: Destinations,
    /// Events that a sync made durable, and that nobody removed since.
    durable: BTreeSet<u64>,
    /// Whether files may end in the middle of a line.
    may_be_torn: bool,
    /// Whether a write of any process failed that may not have been cut off.
    may_keep_fragments: bool,
    /// What the closed instances must have written.
    closed: BTreeMap<String, (Accounting, bool)>,
}

impl Model {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let fs = MemFs::default();
        fs.state().reserves = rng.bool();
        let clock = Arc::new(TestClock::default());
        clock.set(NOON);
        let mut model = Self {
            rng,
            fs,
            clock,
            now: NOON,
            process: None,
            n: 0,
            deeds: 0,
            taken_away: Vec::new(),
            others: BTreeMap::new(),
            removed: Vec::new(),
            destinations: Destinations::default(),
            durable: BTreeSet::new(),
            may_be_torn: false,
            may_keep_fragments: false,
            closed: BTreeMap::new(),
        };
        assert!(model.open(), "nothing is wrong yet");
        model
    }

    /// Starts a logger. Returns `false` if it cannot start.
    fn open(&mut self) -> bool {
        let platform = Platform { fs: Arc::new(self.fs.clone()), clock: self.clock.clone() };
        let mut builder = AuditLogger::builder()
            .without_environment()
            .directory("logs")
            .debug(true)
            .queue_capacity(64)
            .queue_bytes(256 << 10)
            .max_file_bytes(FILE_BYTES_MAX)
            .retention_waits(self.rng.bool())
            .fsync(Fsync::Batch);
        if self.rng.bool() {
            builder = builder.retention_days(self.rng.u32(1..4));
        }
        if self.rng.bool() {
            builder = builder.max_total_bytes(FILE_BYTES_MAX * self.rng.u64(1..6));
        }
        if zst::IS_PRESENT && self.rng.bool() {
            builder = builder.compress(Compress::Zstd);
        }
        let built = build_by_hand(|| builder.build_on_platform(platform));
        let Ok((audit, mut writer)) = built else { return false };
        // The test does the work of the housekeeping thread.
        writer.house = None;
        let may_keep_fragments = self.fs.state().truncate_fails;
        self.process = Some(Process {
            audit,
            writer,
            name: None,
            may_keep_fragments,
            retired: Vec::new(),
            is_doubtful: false,
        });
        true
    }

    fn act(&mut self) {
        if self.process.is_none() && !self.open() {
            self.repair();
            assert!(self.open(), "nothing is wrong any more");
        }
        match self.rng.u32(..100) {
            0..36 => self.emit(),
            36..45 => self.turn(),
            45..54 => self.flush(),
            54..61 => self.step_clock(),
            61..75 => self.break_something(),
            75..81 => self.repair_and_flush(),
            81..85 => self.sync(),
            85..91 => self.apply_retention(),
            91..95 => self.somebody(),
            95..97 => self.close(),
            _ => self.crash(),
        }
    }

    /// Emits a burst of events, sometimes more than the queue can take.
    fn emit(&mut self) {
        let events = match self.rng.u32(..20) {
            0 => self.rng.usize(60..150),
            _ => self.rng.usize(1..8),
        };
        for _ in 0..events {
            self.n += 1;
            let len = match self.rng.u32(..20) {
                0 => self.rng.usize(..3_000),
                _ => self.rng.usize(..40),
            };
            let data = json!({ "n": self.n, "text": "x".repeat(len) });
            let (kind, status) = match self.rng.u32(..4) {
                0 => (EventType::LlmError, Status::Error),
                1 => (EventType::ToolError, Status::Timeout),
                2 => (EventType::AgentRetry, Status::Retry),
                _ => (EventType::CacheHit, Status::Ok),
            };
            let event = AuditEvent::new(kind, "a", "b").status(status).data(&data);
            self.process.as_ref().unwrap().audit.emit(&event);
        }
    }

    /// Runs one turn of the writer.
    fn turn(&mut self) {
        self.process.as_mut().unwrap().turn();
        self.check();
    }

    fn flush(&mut self) {
        self.process.as_mut().unwrap().flush();
        self.check();
    }

    /// Checks what must be true at every moment.
    fn check(&mut self) {
        let process = self.process.as_mut().unwrap();
        let accounting = process.audit.accounting();
        assert!(accounting.adds_up(), "{accounting:?}");
        process.may_keep_fragments |= self.fs.state().truncate_fails;
        self.may_keep_fragments |= process.may_keep_fragments;
        let path = process.audit.path().unwrap();
        let name = FileName::parse(path.file_name().unwrap().to_str().unwrap()).unwrap();
        assert!(process.name.as_ref().is_none_or(|before| *before <= name), "{name:?} goes back");
        process.name = Some(name);
    }

    fn step_clock(&mut self) {
        let far = *self.rng.choice(&[SECOND, 60 * SECOND, DAY, DAY * 40_000, 1]).unwrap();
        let far = if far > DAY && self.rng.u32(..10) > 0 { DAY / 2 } else { far };
        self.now += if self.rng.u32(..4) == 0 { -far } else { far };
        self.clock.set(self.now);
    }

    fn break_something(&mut self) {
        let kinds = [
            ErrorKind::StorageFull,
            ErrorKind::QuotaExceeded,
            ErrorKind::ReadOnlyFilesystem,
            ErrorKind::Interrupted,
            ErrorKind::Other, // EIO
        ];
        let kind = *self.rng.choice(&kinds).unwrap();
        let (what, bytes, count) =
            (self.rng.u32(..13), self.rng.usize(..900), self.rng.usize(1..4));
        // An interrupted write took no bytes.
        let bytes = if kind == ErrorKind::Interrupted { 0 } else { bytes };
        let free = self.rng.usize(..20_000);
        let used = self.fs.names().iter().map(|name| self.fs.bytes(name).len()).sum::<usize>();
        let mut state = self.fs.state();
        match what {
            0..3 => {
                for _ in 0..count {
                    state.write_faults.push_back(WriteFault::Short(bytes));
                }
            }
            3..5 => state.write_faults.push_back(WriteFault::Fails(bytes, kind)),
            5 => state.writes_fail = Some(kind).filter(|kind| *kind != ErrorKind::Interrupted),
            6..8 => state.capacity = Some(used + free),
            8 => {
                state.truncate_fails = true;
                self.may_be_torn = true;
            }
            9 => state.open_fails = true,
            10 => state.dir_fails = Some(ErrorKind::NotADirectory),
            11 => state.remove_fails = true,
            _ => state.sync_fails = true,
        }
    }

    fn repair(&mut self) {
        let mut state = self.fs.state();
        state.write_faults.clear();
        state.writes_fail = None;
        state.capacity = None;
        state.truncate_fails = false;
        state.open_fails = false;
        state.dir_fails = None;
        state.remove_fails = false;
        state.sync_fails = false;
    }

    /// Checks that the first flush after a fault writes.
    fn repair_and_flush(&mut self) {
        self.flush();
        self.repair();
        let before = self.process.as_ref().unwrap().audit.accounting();
        let process = self.process.as_mut().unwrap();
        self.n += 1;
        let data = json!({ "n": self.n });
        process.audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b").data(&data));
        self.flush();
        let after = self.process.as_ref().unwrap().audit.accounting();
        assert_eq!(after.written, before.written + 1, "the first event after the fault");
        assert_eq!(after.io_lost, before.io_lost);
    }

    /// Does what another user of the folder may do.
    fn somebody(&mut self) {
        let path = self.process.as_ref().unwrap().audit.path().unwrap();
        let path = path.to_str().unwrap().to_owned();
        let names = self.fs.names();
        let is_there = names.contains(&path) && !names.contains(&format!("{path}.zst"));
        if !is_there || self.others.contains_key(&path) {
            return;
        }
        self.deeds += 1;
        let bytes = self.fs.bytes(&path);
        let lines = |bytes: &[u8]| book::split(bytes).0.map(<[u8]>::to_vec).collect::<Vec<_>>();
        match self.rng.u32(..6) {
            0 => {
                self.take_away(lines(&bytes));
                self.fs.remove(&path);
            }
            1 => self.fs.rename_away(&path, format!("logs/moved-{}", self.deeds)),
            2 => {
                let len = self.rng.usize(..=bytes.len());
                let left = lines(&bytes[..len]).len();
                self.take_away(lines(&bytes).into_iter().skip(left).collect());
                self.fs.set_len(&path, len);
                self.may_be_torn = true;
            }
            3 => {
                // Someone begins a line, and the writer's next write cuts it off. This is skipped
                // after a cut of the same length, because the file then looks unchanged.
                if book::split(&bytes).1.is_empty() {
                    self.fs.add_foreign_bytes(&path, b"{\"torn");
                    self.may_be_torn = true;
                }
            }
            4 => {
                // Another process has the next names.
                let name = FileName::parse(&path["logs/".len()..]).unwrap();
                let other = format!("logs/audit-{}.{}.jsonl", name.day, name.number + 1);
                if !names.contains(&other) && !names.contains(&format!("{other}.zst")) {
                    let line = other_line(self.deeds);
                    self.fs.put(&other, &line);
                    self.fs.set_locked(&other, true);
                    self.others.insert(other, line);
                }
            }
            _ => {
                // That process ends, and its file is like any other.
                if let Some((other, _)) = self.others.pop_first() {
                    self.fs.set_locked(&other, false);
                }
            }
        }
    }

    fn take_away(&mut self, lines: Vec<Vec<u8>>) {
        let mut books = BTreeMap::new();
        book::read(&mut books, lines.iter().map(Vec::as_slice));
        self.forget(&books);
        self.taken_away.extend(lines);
    }

    /// Forgets what is in these books, since it is gone or may be.
    fn forget(&mut self, books: &BTreeMap<String, Book>) {
        books.values().flat_map(Book::ns).for_each(|n| {
            self.durable.remove(&n);
        });
    }

    /// Checks that every durable event is in a file.
    fn assert_durable(&self, books: &BTreeMap<String, Book>) {
        let held: BTreeSet<u64> = books.values().flat_map(Book::ns).collect();
        let lost: Vec<_> = self.durable.difference(&held).collect();
        assert!(lost.is_empty(), "{lost:?} were durable");
    }

    /// Ends the process in order.
    fn close(&mut self) {
        self.flush();
        if self.rng.bool() {
            self.repair();
        }
        let is_well = self.is_well();
        let mut process = self.process.take().unwrap();
        let _late = process.audit.shutdown(Duration::ZERO);
        process.turn_to_the_end();
        let accounting = process.audit.accounting();
        assert!(accounting.adds_up(), "{accounting:?}");
        self.n += 1;
        let data = json!({ "n": self.n });
        process.audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "late").data(&data));
        assert_eq!(process.audit.accounting().rejected, 1);
        if is_well {
            let instance = process.audit.instance().to_owned();
            self.closed.insert(instance, (accounting, process.may_keep_fragments));
        }
    }

    /// Returns whether a write must succeed.
    fn is_well(&self) -> bool {
        let state = self.fs.state();
        state.write_faults.is_empty()
            && state.writes_fail.is_none()
            && state.capacity.is_none()
            && !state.truncate_fails
            && !state.open_fails
            && state.dir_fails.is_none()
    }

    /// Writes everything if that is possible. Returns the events that are written then.
    fn written(&mut self) -> Vec<u64> {
        if !self.is_well() {
            return Vec::new();
        }
        self.flush();
        self.books().values().flat_map(Book::ns).collect()
    }

    /// Kills the process, perhaps in the middle of a write, or cuts the power.
    fn crash(&mut self) {
        let known = self.written();
        if self.rng.bool() {
            let mut state = self.fs.state();
            state.write_faults.clear();
            state.write_faults.push_back(WriteFault::Short(self.rng.usize(..900)));
            // This write, and nothing after it.
            state.changes_left = Some(1);
            drop(state);
            self.may_be_torn = true;
            self.emit();
            self.process.as_mut().unwrap().flush();
        }
        self.kill(&known);
    }

    /// Ends the process. The `known` events must still be written, unless the power is cut too.
    fn kill(&mut self, known: &[u64]) {
        self.fs.state().changes_left = Some(0);
        let process = self.process.take().unwrap();
        process.writer.shared.control.notify_ended(WriterEnd::Panicked);
        drop(process);
        self.fs.state().changes_left = None;
        self.fs.state().write_faults.clear();
        if self.rng.bool() {
            return self.power_cut();
        }
        let books = self.books();
        let held: BTreeSet<u64> = books.values().flat_map(Book::ns).collect();
        assert!(known.iter().all(|n| held.contains(n)), "what was written outlives its process");
    }

    /// Loses some of what was not synced, so nothing is known of the closed instances. What was
    /// synced stays. All that is left parses, and the next process continues with it.
    fn power_cut(&mut self) {
        let before = self.fs.clone();
        self.fs = self.fs.after_power_cut(&mut self.rng);
        let dir_syncs = before.state().dir_syncs;
        self.fs.state().reserves = before.state().reserves;
        self.fs.state().dir_syncs = dir_syncs;
        for other in self.others.keys() {
            self.fs.set_locked(other, true);
        }
        self.may_be_torn = true;
        self.taken_away.clear();
        self.removed.iter_mut().for_each(Removed::forget);
        self.closed.clear();
        let books = self.books();
        self.assert_reported(&books);
        self.assert_removed_for_good(&books, dir_syncs);
        self.assert_durable(&books);
    }

    /// Returns what all files report, together with the lines that were taken out of them.
    fn books(&self) -> BTreeMap<String, Book> {
        let mut books = BTreeMap::new();
        self.read_files(&mut books);
        book::read(&mut books, self.taken_away.iter().map(Vec::as_slice));
        for removed in &self.removed {
            book::read(&mut books, book::split(removed.text()).0);
        }
        books
    }

    fn read_files(&self, books: &mut BTreeMap<String, Book>) {
        let names = self.fs.names();
        assert!(self.others.keys().all(|other| names.contains(other)), "another's file has gone");
        for name in &names {
            if let Some(line) = self.others.get(name) {
                assert_eq!(self.fs.bytes(name), *line, "{name} is another's");
            } else if let Some(text) = retention::text(&self.fs, name) {
                let (lines, torn) = book::split(&text);
                assert!(self.may_be_torn || torn.is_empty(), "{name} is torn");
                book::read(books, lines);
            }
        }
    }

    fn end(&mut self) {
        if self.process.is_some() {
            self.repair_and_flush();
            self.close_well();
        }
        let books = self.books();
        let mut seen = BTreeSet::new();
        for (instance, book) in &books {
            let ns = book.ns();
            assert!(seen.is_disjoint(&ns) && ns.iter().all(|n| (1..=self.n).contains(n)));
            seen.extend(ns);
            if let Some((accounting, may_keep_fragments)) = self.closed.get(instance) {
                book.assert_complete(accounting, *may_keep_fragments);
                book.assert_stop(accounting);
            }
        }
        assert!(self.closed.keys().all(|instance| books.contains_key(instance)));
        self.assert_reported(&books);
        let mut in_files = BTreeMap::new();
        self.read_files(&mut in_files);
        self.assert_durable(&in_files);
        assert_eq!(self.fs.state().handles, 0, "every file is closed");
    }

    fn close_well(&mut self) {
        let closed = self.closed.len();
        self.close();
        assert_eq!(self.closed.len(), closed + 1);
    }
}

impl Process {
    /// Runs one turn of the writer. If it has reported earlier removals, it takes over the next
    /// ones.
    fn turn(&mut self) -> WriterTurn {
        if self.writer.pending.is_empty() {
            self.hand_over();
        }
        self.writer.run_turn()
    }

    fn hand_over(&mut self) {
        let retired = std::mem::take(&mut self.retired);
        let now = self.writer.clock.now_micros();
        self.writer.append_retired_lines(now, &retired);
    }

    /// Turns the writer until a flush is done.
    fn flush(&mut self) {
        for _ in 0..1_000 {
            if self.audit.flush(Duration::ZERO).is_ok() {
                return;
            }
            self.turn();
        }
        panic!("the flush does not end");
    }

    fn turn_to_the_end(&mut self) {
        // The last turn takes over everything.
        self.hand_over();
        for _ in 0..1_000 {
            if matches!(self.turn(), WriterTurn::Last) {
                return;
            }
        }
        panic!("the close does not end");
    }
}

/// Returns what another process writes into the same folder.
fn other_line(n: u64) -> Vec<u8> {
    let line = format!(
        r#"{{"event_version":"3.0","instance":"{n:016x}","seq":1,"event_type":"other","data":{{}}}}"#
    );
    (line + "\n").into_bytes()
}
