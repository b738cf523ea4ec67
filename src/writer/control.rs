//! Requests of callers to the writer, and how they wait: flush, close, wake.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::Instant;

use super::housekeeping::FileSyncs;
use crate::metrics::{Accounting, Flushed, HealthStatus};
use crate::ring::Tickets;
use llm_audit_process::exit;
use llm_audit_process::lock::{Condvar, Mutex, MutexGuard};

/// The callers' side of the writer's thread.
#[derive(Default)]
pub(crate) struct WriterControl {
    thread: OnceLock<Thread>,
    /// The value of [`exit::thread`] on the writer's thread while it runs, otherwise zero.
    running: AtomicUsize,
    /// Makes the files durable. It is empty if there are no files.
    syncs: OnceLock<FileSyncs>,
    state: Mutex<ControlState>,
    changed: Condvar,
}

#[derive(Default)]
struct ControlState {
    /// The highest tickets that a flush waits for.
    flush_to: Tickets,
    /// Every event with a lower ticket is settled: written or counted as lost.
    settled_to: Tickets,
    /// After a close: the first tickets that are refused, and the time of the close.
    end: Option<(Tickets, Instant)>,
    /// How the thread ended, if it has.
    ended: Option<WriterEnd>,
    path: Option<PathBuf>,
    /// When a write last succeeded, in microseconds since the Unix epoch.
    last_write: Option<i64>,
    /// Whether the last write failed.
    is_failing: bool,
    /// The sum of what all flushes have returned.
    last: Flushed,
}

/// How the writer's thread ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriterEnd {
    /// It wrote its last line.
    Done,
    /// It panicked.
    Panicked,
    /// It never began.
    NotStarted,
}

/// The outcome of a wait for the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitOutcome {
    /// The condition is met.
    Met,
    /// The deadline passed first.
    Late,
    /// The condition will never be met, because the writer's thread panicked.
    Panicked,
    /// The condition will never be met, because the writer's thread never began.
    NotStarted,
}

/// What callers ask of the writer besides draining.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WriterRequest {
    /// A caller waits for every ticket below.
    pub(super) settle: Option<Tickets>,
    /// The first tickets that are refused.
    pub(super) end: Option<Tickets>,
}

impl WriterControl {
    /// Registers the calling thread as the writer's. The thread calls this before anything else.
    pub(super) fn register_thread(&self) {
        self.thread.get_or_init(thread::current);
        self.running.store(exit::current_thread_id(), Ordering::Relaxed);
    }

    /// Returns whether the caller is the writer's thread. It uses no thread-locals.
    pub(crate) fn is_writer(&self) -> bool {
        // Relaxed: only the writer's own thread has to see what it stored.
        self.running.load(Ordering::Relaxed) == exit::current_thread_id()
    }

    /// Wakes the writer if it sleeps.
    pub(crate) fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Waits until every event with a ticket below `to` is settled.
    pub(crate) fn wait_for_flush(&self, to: Tickets, until: Option<Instant>) -> WaitOutcome {
        let mut state = self.state.lock();
        state.flush_to = state.flush_to.max(to);
        self.wait_until_met(state, until, |state| state.settled_to.reach(to))
    }

    /// Sets what makes the files durable. Call it before the writer's thread runs.
    pub(super) fn set_syncs(&self, syncs: FileSyncs) {
        self.syncs.get_or_init(|| syncs);
    }

    /// Waits until everything delivered before is durable. Returns `None` if no files are written.
    ///
    /// # Errors
    ///
    /// Returns the number of events whose durability is unknown.
    pub(crate) fn wait_for_sync(&self, until: Option<Instant>) -> Option<Result<WaitOutcome, u64>> {
        self.syncs.get().map(|syncs| syncs.wait_until_synced(until))
    }

    /// Returns the number of written events that are not yet known to be durable.
    pub(crate) fn unsynced_events(&self) -> u64 {
        self.syncs.get().map_or(0, FileSyncs::unsynced_events)
    }

    /// Asks the writer to close, and calls `close` if this is the first request. Returns the time
    /// of the first request.
    pub(crate) fn request_close(&self, close: impl FnOnce() -> Tickets) -> Instant {
        let (_, since) = *self.state.lock().end.get_or_insert_with(|| (close(), Instant::now()));
        self.wake();
        since
    }

    /// Waits until the last line is written.
    pub(crate) fn wait_for_end(&self, until: Option<Instant>) -> WaitOutcome {
        self.wait_until_met(self.state.lock(), until, |_| false)
    }

    fn wait_until_met(
        &self,
        mut state: MutexGuard<'_, ControlState>,
        until: Option<Instant>,
        is_met: impl Fn(&ControlState) -> bool,
    ) -> WaitOutcome {
        self.wake();
        loop {
            match state.ended {
                _ if is_met(&state) => return WaitOutcome::Met,
                Some(WriterEnd::Done) => return WaitOutcome::Met,
                Some(WriterEnd::Panicked) => return WaitOutcome::Panicked,
                Some(WriterEnd::NotStarted) => return WaitOutcome::NotStarted,
                None => {}
            }
            match until {
                None => self.changed.wait(&mut state),
                Some(until) if Instant::now() >= until => return WaitOutcome::Late,
                Some(until) => {
                    self.changed.wait_until(&mut state, until);
                }
            }
        }
    }

    /// Returns what became of the events since the last call, given the counts so far. If two
    /// callers ask at the same time, the one with older counts gets nothing twice.
    pub(crate) fn take_flushed(&self, now: &Accounting) -> Flushed {
        let mut state = self.state.lock();
        let since = |before: &mut u64, now: u64| {
            let since = now.saturating_sub(*before);
            *before += since;
            since
        };
        Flushed {
            written: since(&mut state.last.written, now.written),
            overwritten: since(&mut state.last.overwritten, now.overwritten),
            io_lost: since(&mut state.last.io_lost, now.io_lost),
        }
    }

    /// Returns the file that was last written to.
    pub(crate) fn log_path(&self) -> Option<PathBuf> {
        self.state.lock().path.clone()
    }

    pub(super) fn set_log_path(&self, path: &std::path::Path) {
        let mut state = self.state.lock();
        if state.path.as_deref() != Some(path) {
            state.path = Some(path.to_owned());
        }
    }

    pub(super) fn note_write(&self, now: i64, succeeded: bool) {
        let mut state = self.state.lock();
        state.is_failing = !succeeded;
        if succeeded {
            state.last_write = Some(now);
        }
    }

    /// Returns whether events are written, and when the last were.
    pub(crate) fn health(&self) -> (HealthStatus, Option<i64>) {
        let state = self.state.lock();
        let status = match state.end.is_some() || state.ended.is_some() {
            true => HealthStatus::Closed,
            false if state.is_failing => HealthStatus::Failing,
            false => HealthStatus::Ok,
        };
        (status, state.last_write)
    }

    /// Returns what callers ask for now.
    pub(super) fn current_request(&self) -> WriterRequest {
        let state = self.state.lock();
        let flush_to = Some(state.flush_to).filter(|to| !state.settled_to.reach(*to));
        let end = state.end.map(|(end, _)| end);
        WriterRequest { settle: end.or(flush_to), end }
    }

    /// Notifies waiting callers that every event with a ticket below `to` is settled.
    pub(super) fn notify_settled(&self, to: Tickets) {
        self.state.lock().settled_to = to;
        self.changed.notify_all();
    }

    /// Notifies waiting callers that the thread ends.
    pub(super) fn notify_ended(&self, how: WriterEnd) {
        self.running.store(0, Ordering::Relaxed);
        self.state.lock().ended = Some(how);
        self.changed.notify_all();
    }
}
