//! The writer's thread: takes events out of the ring in batches, makes lines of them, and hands
//! each batch to the file with one write.
//!
//! It never wakes more than once a second when there is nothing to do (ten times where a signal may
//! ask it to close), and is woken by a system call only when it sleeps, which it does after fifty
//! milliseconds without an event.

mod batch;
mod close;
mod control;
mod deliver;
mod exporters;
mod files;
pub(crate) mod fs;
mod housekeeping;
pub(crate) mod jsonl;
mod losses;
mod notices;
mod retention;
mod shared;
mod spawn;
#[cfg(all(test, not(loom)))]
mod tests;

use std::hint;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use batch::{HeldError, Patience};
use control::Ended;
pub(crate) use control::{Control, Waited};
use files::{LogFiles, utc_date};
use fs::{Clock, Fs, OsFs, SystemClock};
use housekeeping::Housekeeping;
use llm_audit_log::schema::notices::{Loss, Notice, Retired};
use losses::Outage;
pub(crate) use shared::Shared;
pub(crate) use spawn::{spawn, spawn_in_child};

use crate::export::Exporter;
use crate::ring::{Drainer, Lanes};
use llm_audit_process::exit;

/// With nothing to do, looks this far apart …
const LINGER: Duration = Duration::from_millis(1);
/// … so often, before sleeping: a wake costs a caller four to five microseconds, which sparse
/// events must not each pay.
const LINGERS_MAX: u32 = 50;
/// A sleeping writer looks around this often all the same; where a signal may leave a note for it,
/// more often.
const SLEEP: Duration = Duration::from_secs(1);
const SLEEP_LISTENING: Duration = Duration::from_millis(100);
const DAY_MICROS: i64 = 86_400_000_000;

/// What the writer stands on: where tests put a file system that fails and a clock they set.
pub(crate) struct Platform {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Default for Platform {
    /// The operating system's.
    fn default() -> Self {
        Self { fs: Arc::new(OsFs), clock: Arc::new(SystemClock) }
    }
}

struct Writer {
    shared: Arc<Shared>,
    drainers: Lanes<Drainer>,
    patience: Lanes<Patience>,
    /// Errors of the batch that is being made.
    held: Vec<HeldError>,
    clock: Arc<dyn Clock>,
    host: String,
    files: Option<LogFiles>,
    house: Option<Housekeeping>,
    /// How many files had been begun, and which day it was, when the folder was last retention_requested.
    retention_requested: (u64, i64),
    exporters: Vec<Box<dyn Exporter>>,
    /// What exporters kept back when they were last asked.
    kept_bytes: usize,
    /// Whether an `audit.start` was written anywhere.
    has_started: bool,
    /// The last number given.
    seq: u64,
    lines: Vec<u8>,
    scratch: Vec<u8>,
    /// Lines of the log's own that wait to be written with the next batch.
    news: Vec<u8>,
    /// Numbers lost with batches that could not be written, to be said as soon as one can.
    unsaid: Option<Loss>,
    outage: Outage,
}

/// What a turn of the writer came to.
enum Turn {
    /// Something was done; there may be more.
    Busy,
    /// There was nothing to do.
    Idle {
        /// A producer was between its steps.
        is_unready: bool,
    },
    /// The last line is written.
    Last,
}

impl Writer {
    /// Runs to the end. A panic, which would be a defect of this crate, ends the log but leaves
    /// nobody waiting: later events are rejected, and flushes say why they fail.
    fn run_guarded(&mut self) {
        if catch_unwind(AssertUnwindSafe(|| self.run())).is_err() {
            self.shared.close();
            self.shared.control.ended(Ended::Panicked);
        }
    }

    fn run(&mut self) {
        self.shared.control.enter();
        // Waits in a row with nothing to do.
        let mut lingers = 0;
        loop {
            match self.turn() {
                Turn::Busy => lingers = 0,
                Turn::Idle { is_unready } => {
                    if self.resume_exports() {
                        lingers = 0;
                    }
                    self.wait(&mut lingers, is_unready);
                }
                Turn::Last => return,
            }
        }
    }

    /// Does what there is to do: at most a batch, and what is asked for.
    fn turn(&mut self) -> Turn {
        let shared = self.shared.clone();
        let control = &shared.control;
        if exit::is_closing() {
            shared.close();
        }
        let request = control.request();
        shared.pricing.look(|| self.clock.now_micros());
        if let Some(end) = request.end {
            self.drainers.close(end);
        }
        let batch = self.batch(request);
        let is_idle = batch.events == 0 && batch.overwritten == 0;
        self.request_retention();
        // The start of a file without waiting for an event: from now on it is this instance's.
        let has_start = self.files.is_some() && !self.has_started;
        let has_own = self.unsaid.is_some() || !self.news.is_empty() || has_start;
        if !is_idle || has_own && (request.settle.is_some() || self.may_retry()) {
            self.write(&batch);
        }
        match request.settle.filter(|to| self.drainers.are_settled(*to)) {
            Some(_) if request.end.is_some() => {
                self.stop();
                control.ended(Ended::Done);
                return Turn::Last;
            }
            Some(to) => control.settled(to),
            None if is_idle => return Turn::Idle { is_unready: batch.is_unready },
            None => {}
        }
        Turn::Busy
    }

    /// Has the housekeeping thread tidy the folder at the start, when a file was begun and when
    /// the day changes, and takes up what it removed.
    fn request_retention(&mut self) {
        let (Some(files), Some(house)) = (&self.files, &self.house) else { return };
        let now = self.clock.now_micros();
        let present = (files.files_begun(), now.div_euclid(DAY_MICROS));
        if self.retention_requested != present {
            self.retention_requested = present;
            house.request_retention(utc_date(now));
        }
        // No more than there is room for; the rest waits there.
        if self.news.is_empty() {
            let retired = house.retired();
            self.retired_lines(now, &retired);
        }
    }

    fn retired_lines(&mut self, now: i64, retired: &[Retired]) {
        let (instance, news) = (&self.shared.instance, &mut self.news);
        for retired in retired {
            retired.write(news, instance, now);
        }
    }

    /// Waits as fits how long there has been nothing.
    fn wait(&mut self, lingers: &mut u32, is_unready: bool) {
        if is_unready {
            hint::spin_loop();
        } else if *lingers < LINGERS_MAX {
            *lingers += 1;
            thread::park_timeout(LINGER);
        } else if self.drainers.may_sleep() {
            thread::park_timeout(if exit::listens() { SLEEP_LISTENING } else { SLEEP });
            self.drainers.awake();
        }
    }
}
