//! Random actions on the real writer, a disk in memory and a clock, against what must be so
//! whatever they are.
//!
//! The writer is turned by hand on the test's own thread, and what the housekeeping thread would
//! sync the test syncs, so that a seed is always the same run.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::book::{self, Book};
use super::{DAY, NOON};
use crate::config::Fsync;
use crate::file_name::FileName;
use crate::writer::control::Ended;
use crate::writer::fs::mem::{MemFs, TestClock, WriteFault};
use crate::writer::{Ground, Turn, Writer};
use crate::{Accounting, AuditEvent, AuditLogger, EventType, Status};

const RUNS: u64 = 2_000;
const ACTIONS_MAX: usize = 30;
const SECOND: i64 = 1_000_000;
/// A process that writes into the same folder.
const OTHER: &[u8] =
    br#"{"instance":"00000000000000aa","event_type":"other","seq":1,"data":{"n":0}}
"#;

thread_local! {
    /// Whether loggers of this thread are turned by hand, and the writer of the last one.
    static BY_HAND: RefCell<Option<Option<Writer>>> = const { RefCell::new(None) };
}

/// Takes the writer instead of its thread, where the calling thread wants that.
pub(in crate::writer) fn by_hand(writer: Writer) -> Option<Writer> {
    BY_HAND.with_borrow_mut(|by_hand| match by_hand {
        None => Some(writer),
        Some(held) => {
            *held = Some(writer);
            None
        }
    })
}

#[test]
fn whatever_happens_every_number_is_held_or_told_of() {
    book::with_seeds(RUNS, |seed| {
        BY_HAND.set(Some(None));
        let mut model = Model::new(seed);
        for _ in 0..model.rng.usize(1..=ACTIONS_MAX) {
            model.act();
        }
        model.end();
        BY_HAND.set(None);
    });
}

/// The logger at work.
struct Process {
    audit: AuditLogger,
    writer: Writer,
    /// The file written to when it was last looked.
    name: Option<FileName>,
    /// A write failed that may not have been cut off.
    may_keep_fragments: bool,
}

struct Model {
    rng: fastrand::Rng,
    fs: MemFs,
    clock: Arc<TestClock>,
    now: i64,
    process: Option<Process>,
    /// The last event's own number.
    n: u64,
    /// Whole lines that somebody took out of the files.
    taken_away: Vec<Vec<u8>>,
    /// Files of other processes, which nobody may touch.
    others: BTreeSet<String>,
    /// Files may end in the middle of a line.
    may_be_torn: bool,
    /// What the instances that closed must have written.
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
            taken_away: Vec::new(),
            others: BTreeSet::new(),
            may_be_torn: false,
            closed: BTreeMap::new(),
        };
        assert!(model.open(), "nothing is wrong yet");
        model
    }

    /// Starts a logger. `false`: it could not be.
    fn open(&mut self) -> bool {
        let ground = Ground { fs: Arc::new(self.fs.clone()), clock: self.clock.clone() };
        let builder = AuditLogger::builder()
            .without_environment()
            .directory("logs")
            .debug(true)
            .queue_capacity(64)
            .queue_bytes(256 << 10)
            .max_file_bytes(4096)
            .fsync(Fsync::Batch);
        let Ok(audit) = builder.build_on(ground) else { return false };
        let writer = BY_HAND.with_borrow_mut(|by_hand| by_hand.as_mut().unwrap().take());
        let mut writer = writer.expect("the logger's writer");
        // Its part is the test's.
        writer.house = None;
        let may_keep_fragments = self.fs.state().truncate_fails;
        self.process = Some(Process { audit, writer, name: None, may_keep_fragments });
        true
    }

    fn act(&mut self) {
        if self.process.is_none() && !self.open() {
            self.repair();
            assert!(self.open(), "nothing is wrong any more");
        }
        match self.rng.u32(..100) {
            0..40 => self.emit(),
            40..50 => self.turn(),
            50..60 => self.flush(),
            60..67 => self.step_clock(),
            67..82 => self.break_something(),
            82..88 => self.repair_and_flush(),
            88..92 => self.sync(),
            92..96 => self.somebody(),
            96..98 => self.close(),
            _ => self.crash(),
        }
    }

    /// A burst; sometimes more than the queue holds.
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

    /// One turn of the writer.
    fn turn(&mut self) {
        self.process.as_mut().unwrap().turn();
        self.look();
    }

    fn flush(&mut self) {
        self.process.as_mut().unwrap().flush();
        self.look();
    }

    /// What must be so at every moment.
    fn look(&mut self) {
        let process = self.process.as_mut().unwrap();
        let accounting = process.audit.accounting();
        assert!(accounting.adds_up(), "{accounting:?}");
        process.may_keep_fragments |= self.fs.state().truncate_fails;
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
            (self.rng.u32(..12), self.rng.usize(..900), self.rng.usize(1..4));
        // An interrupted write took nothing.
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
        state.sync_fails = false;
    }

    /// After a fault the next flush writes.
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

    /// What the housekeeping thread would do.
    fn sync(&mut self) {
        let files = self.process.as_mut().unwrap().writer.files.as_mut().unwrap();
        while let Some(file) = files.take_for_sync() {
            if file.sync_data().is_err() {
                files.sync_failed(&file);
            }
        }
    }

    /// Somebody else in the folder.
    fn somebody(&mut self) {
        let path = self.process.as_ref().unwrap().audit.path().unwrap();
        let path = path.to_str().unwrap().to_owned();
        if !self.fs.names().contains(&path) || self.others.contains(&path) {
            return;
        }
        let bytes = self.fs.bytes(&path);
        let lines = |bytes: &[u8]| book::split(bytes).0.map(<[u8]>::to_vec).collect::<Vec<_>>();
        match self.rng.u32(..5) {
            0 => {
                self.taken_away.extend(lines(&bytes));
                self.fs.remove(&path);
            }
            1 => self.fs.rename_away(&path, format!("logs/moved-{}", self.n)),
            2 => {
                let len = self.rng.usize(..=bytes.len());
                let left = lines(&bytes[..len]).len();
                self.taken_away.extend(lines(&bytes).into_iter().skip(left));
                self.fs.set_len(&path, len);
                self.may_be_torn = true;
            }
            3 => {
                // A line that somebody has begun: with the writer's next it is cut off. Not where
                // somebody has just cut a line: as long as before, a file looks untouched.
                if book::split(&bytes).1.is_empty() {
                    self.fs.add(&path, b"{\"torn");
                    self.may_be_torn = true;
                }
            }
            _ => {
                // Another process has the next names.
                let name = FileName::parse(&path["logs/".len()..]).unwrap();
                let other = format!("logs/audit-{}.{}.jsonl", name.day, name.number + 1);
                if !self.fs.names().contains(&other) {
                    self.fs.put(&other, OTHER);
                    self.fs.set_locked(&other, true);
                    self.others.insert(other);
                }
            }
        }
    }

    /// An orderly end.
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

    /// Whether a write must succeed.
    fn is_well(&self) -> bool {
        let state = self.fs.state();
        state.write_faults.is_empty()
            && state.writes_fail.is_none()
            && state.capacity.is_none()
            && !state.truncate_fails
            && !state.open_fails
            && state.dir_fails.is_none()
    }

    /// The process is killed, perhaps in the middle of a write, or the power goes.
    fn crash(&mut self) {
        let known: Vec<u64> = match self.is_well() {
            true => {
                self.flush();
                self.books().values().flat_map(Book::ns).collect()
            }
            false => Vec::new(),
        };
        if self.rng.bool() {
            let mut state = self.fs.state();
            state.write_faults.clear();
            state.write_faults.push_back(WriteFault::Short(self.rng.usize(..900)));
            // The write, and nothing after it.
            state.changes_left = Some(1);
            drop(state);
            self.may_be_torn = true;
            self.emit();
            self.process.as_mut().unwrap().flush();
        }
        self.fs.state().changes_left = Some(0);
        let process = self.process.take().unwrap();
        process.writer.shared.control.ended(Ended::Panicked);
        drop(process);
        self.fs.state().changes_left = None;
        self.fs.state().write_faults.clear();
        if self.rng.u32(..4) == 0 {
            return self.power_cut();
        }
        let books = self.books();
        let held: BTreeSet<u64> = books.values().flat_map(Book::ns).collect();
        assert!(known.iter().all(|n| held.contains(n)), "what was written outlives its process");
    }

    /// Some of what was not synced is gone, so that nothing is known of the closed instances. What is
    /// left parses, and the next process goes on with it.
    fn power_cut(&mut self) {
        let reserves = self.fs.state().reserves;
        self.fs = self.fs.after_power_cut(&mut self.rng);
        self.fs.state().reserves = reserves;
        for other in &self.others {
            self.fs.set_locked(other, true);
        }
        self.may_be_torn = true;
        self.taken_away.clear();
        self.closed.clear();
        self.books();
    }

    /// What all files say, with what somebody took away.
    fn books(&self) -> BTreeMap<String, Book> {
        let mut books = BTreeMap::new();
        for name in self.fs.names() {
            let bytes = self.fs.bytes(&name);
            let (lines, torn) = book::split(&bytes);
            assert!(self.may_be_torn || torn.is_empty(), "{name} is torn");
            if self.others.contains(&name) {
                assert_eq!(bytes, OTHER, "{name} is another's");
                continue;
            }
            book::read(&mut books, lines);
        }
        book::read(&mut books, self.taken_away.iter().map(Vec::as_slice));
        books
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
        assert_eq!(self.fs.state().handles, 0, "every file is closed");
    }

    fn close_well(&mut self) {
        let closed = self.closed.len();
        self.close();
        assert_eq!(self.closed.len(), closed + 1);
    }
}

impl Process {
    /// One turn of the writer.
    fn turn(&mut self) -> Turn {
        self.writer.turn()
    }

    /// Turns until a flush has what it waits for.
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
        for _ in 0..1_000 {
            if matches!(self.turn(), Turn::Last) {
                return;
            }
        }
        panic!("the close does not end");
    }
}
