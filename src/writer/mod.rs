//! The writer's thread. It takes events out of the ring in batches and turns them into lines. Each
//! batch goes to the file with one write.
//!
//! After an event the thread naps: it looks every two milliseconds whether there is more. A caller
//! wakes it from a nap only by an error, a flush or a close, or if the queue fills up (by events: a quarter to a half; by
//! bytes: when one is overwritten). After a second
//! without an event the thread sleeps, and the next event wakes it. It also wakes once a second by
//! itself, or ten times if it must look for a signal.

mod batch;
mod close;
mod control;
mod deliver;
mod exporters;
mod files;
pub(crate) mod fs;
mod hold;
mod housekeeping;
pub(crate) mod jsonl;
mod losses;
mod notices;
mod retention;
mod shared;
mod spawn;
#[cfg(all(test, not(loom)))]
mod tests;
mod totals;
mod user_key;

use std::hint;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use batch::{Patience, WaitingError};
use control::WriterEnd;
pub(crate) use control::{WaitOutcome, WriterControl};
use files::{LogFiles, utc_date_of_micros};
use fs::{Clock, Fs, OsFs, SystemClock};
use hold::Hold;
use housekeeping::Housekeeping;
use jsonl::EventLines;
use llm_audit_log::schema::notices::{Loss, Notice, Retired};
use losses::Outage;
use notices::notice_head;
pub(crate) use shared::Shared;
pub(crate) use spawn::{spawn_writer, spawn_writer_in_child};
use totals::Totals;
pub(crate) use user_key::user_key_of_folder;

use crate::export::Exporter;
use crate::ring::{Drainer, Lanes, Tickets};
use llm_audit_process::exit;

/// How long the writer naps between two looks when there is nothing to do. A process that is killed
/// loses the events of this time, so it is short.
const NAP: Duration = Duration::from_millis(2);
/// How often the writer naps before it sleeps: about a second. A wake is a system call of the caller,
/// and costs it microseconds. With the naps only events more than a second apart pay that.
const NAPS_MAX: u32 = 500;
/// How often a sleeping writer wakes anyway. If it must look for a signal, it wakes more often.
const SLEEP: Duration = Duration::from_secs(1);
const SLEEP_LOOKING: Duration = Duration::from_millis(100);
const DAY_MICROS: i64 = 86_400_000_000;

/// The file system and the clock that the writer uses. Tests replace them by a file system that
/// fails and a clock that they set.
pub(crate) struct Platform {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Default for Platform {
    /// Returns those of the operating system.
    fn default() -> Self {
        Self { fs: Arc::new(OsFs), clock: Arc::new(SystemClock) }
    }
}

struct Writer {
    shared: Arc<Shared>,
    drainers: Lanes<Drainer>,
    patience: Lanes<Patience>,
    /// Errors of the batch that is being made.
    waiting: Vec<WaitingError>,
    /// What depends on whether its trace fails, if that is held.
    hold: Option<Hold>,
    clock: Arc<dyn Clock>,
    host: String,
    files: Option<LogFiles>,
    house: Option<Housekeeping>,
    /// The number of files begun, and the day, when retention was last requested.
    retention_requested: (u64, i64),
    exporters: Vec<Box<dyn Exporter>>,
    /// Bytes that exporters still kept when they were last asked.
    kept_bytes: usize,
    /// Whether an `audit.start` line was written anywhere.
    has_started: bool,
    /// The last sequence number that was given.
    seq: u64,
    /// The events that found no memory, as far as they were taken for a batch.
    dropped_seen: u64,
    /// The last number that one of the log's own lines got.
    notices: u64,
    /// `None` if this log has no totals.
    totals: Option<Totals>,
    event_lines: EventLines,
    lines: Vec<u8>,
    scratch: Vec<u8>,
    /// The log's own lines that go out before the next batch.
    pending: Vec<u8>,
    /// Numbers of batches that could not be written. They are reported as soon as a write succeeds.
    unreported: Option<Loss>,
    outage: Outage,
}

/// The outcome of one turn of the writer.
enum WriterTurn {
    /// Something was done, and there may be more.
    Busy,
    /// There was nothing to do.
    Idle {
        /// Whether a producer was between its steps.
        is_unready: bool,
    },
    /// The last line is written.
    Last,
}

impl Writer {
    /// Runs to the end. A panic here is a defect of this crate. It ends the log, but no caller
    /// waits for it: later events are rejected, and flushes return an error.
    fn run_guarded(&mut self) {
        if catch_unwind(AssertUnwindSafe(|| self.run_loop())).is_err() {
            self.shared.close();
            self.shared.control.notify_ended(WriterEnd::Panicked);
        }
    }

    fn run_loop(&mut self) {
        self.shared.control.register_thread();
        // Naps in a row.
        let mut naps = 0;
        loop {
            match self.run_turn() {
                WriterTurn::Busy => naps = 0,
                WriterTurn::Idle { is_unready } => {
                    if self.resume_exports() {
                        naps = 0;
                    }
                    self.wait_for_work(&mut naps, is_unready);
                }
                WriterTurn::Last => return,
            }
        }
    }

    /// Does what there is to do: at most one batch, and the requests of callers.
    fn run_turn(&mut self) -> WriterTurn {
        let shared = self.shared.clone();
        let control = &shared.control;
        if exit::signal_asks_to_close() {
            shared.close();
        }
        let request = control.current_request();
        shared.pricing.reread_changed_file(|| self.clock.now_micros());
        if let Some(end) = request.end {
            self.drainers.close(end);
        }
        let batch = self.take_batch(request);
        let is_idle = batch.events + batch.held + batch.overwritten == 0 && !self.has_released();
        self.request_retention();
        self.append_totals(false);
        if self.pending.is_empty() {
            self.append_alert_lines(false);
        }
        // A file gets its start line without an event, since it belongs to this instance from now
        // on.
        let has_start = self.files.is_some() && !self.has_started;
        let has_own = self.unreported.is_some() || !self.pending.is_empty() || has_start;
        if batch.events + batch.overwritten > 0
            || has_own && (request.settle.is_some() || self.may_retry_losses())
        {
            self.write_batch_with_losses(&batch);
        }
        let is_settled = |to: &Tickets| self.drainers.are_settled(*to) && !self.has_released();
        match request.settle.filter(is_settled) {
            Some(_) if request.end.is_some() && self.end_hold() => {}
            Some(_) if request.end.is_some() => {
                self.close_log();
                control.notify_ended(WriterEnd::Done);
                return WriterTurn::Last;
            }
            Some(to) => control.notify_settled(to),
            None if is_idle => return WriterTurn::Idle { is_unready: batch.is_unready },
            None => {}
        }
        WriterTurn::Busy
    }

    /// Requests retention at the start, after a file was begun and when the day changes. Then takes
    /// over what retention removed.
    fn request_retention(&mut self) {
        let (Some(files), Some(house)) = (&self.files, &self.house) else { return };
        let now = self.clock.now_micros();
        let present = (files.files_begun(), now.div_euclid(DAY_MICROS));
        if self.retention_requested != present {
            self.retention_requested = present;
            house.request_retention(utc_date_of_micros(now));
        }
        // If lines are still pending, the others wait in the housekeeping thread. So this buffer
        // stays bounded.
        if self.pending.is_empty() {
            let retired = house.take_retired();
            self.append_retired_lines(now, &retired);
        }
    }

    fn append_retired_lines(&mut self, now: i64, retired: &[Retired]) {
        for retired in retired {
            let head = notice_head(&self.shared, &mut self.notices, now);
            retired.write(&mut self.pending, head);
            let unshipped = retired.unshipped.first_key_value();
            if let (Some((destination, events)), true) = (unshipped, self.shared.settings.notices) {
                crate::warnings::warn_of_unshipped_events(&retired.file, destination, *events);
            }
        }
    }

    /// Appends what the evaluator of alerts has told since the last call.
    fn append_alert_lines(&mut self, is_last: bool) {
        for change in self.shared.alerts.take_changes(is_last) {
            let now = self.clock.now_micros();
            change.write(&mut self.pending, notice_head(&self.shared, &mut self.notices, now));
        }
    }

    /// Warns if a filter keeps all spans from the `tracing` layer.
    fn look_for_disabled_spans(&self, _is_last_look: bool) {
        #[cfg(feature = "tracing")]
        if self.shared.settings.notices {
            crate::warnings::disabled_spans::look_for_disabled_spans(_is_last_look);
        }
    }

    /// Waits: for a moment if a producer is between its steps, otherwise it naps, and if nothing comes
    /// it sleeps.
    fn wait_for_work(&mut self, naps: &mut u32, is_unready: bool) {
        if is_unready {
            hint::spin_loop();
        } else if *naps < NAPS_MAX {
            *naps += 1;
            if self.drainers.may_nap() {
                thread::park_timeout(NAP);
                self.drainers.end_nap();
            }
        } else if self.drainers.may_sleep() {
            self.look_for_disabled_spans(false);
            let sleep = if exit::must_look_for_signals() { SLEEP_LOOKING } else { SLEEP };
            // Code of an exporter may have used up the wake of a request.
            let is_asked = self.shared.control.current_request().settle.is_some();
            thread::park_timeout(if is_asked { NAP } else { sleep });
            self.drainers.clear_sleep();
        }
    }
}
