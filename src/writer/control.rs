//! What callers ask of the writer, and how they wait for it: flush, close, wake.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::Instant;

use super::housekeeping::Syncs;
use crate::metrics::Accounting;
use crate::metrics::Flushed;
use crate::ring::Tickets;
use llm_audit_process::exit;
use llm_audit_process::lock::{Condvar, Mutex, MutexGuard};

/// The callers' side of the writer's thread.
#[derive(Default)]
pub(crate) struct Control {
    thread: OnceLock<Thread>,
    /// The writer's thread as [`exit::thread`] tells it, while it runs; else zero.
    running: AtomicUsize,
    /// What makes the files durable; none where there are no files.
    syncs: OnceLock<Syncs>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The highest tickets a flush waits for.
    flush_to: Tickets,
    /// Every ticket below has its end.
    settled_to: Tickets,
    /// The first tickets refused, once closing, and since when it is.
    end: Option<(Tickets, Instant)>,
    /// The thread has ended: the last line is written, or it panicked.
    ended: Option<Ended>,
    path: Option<PathBuf>,
    /// All that flushes have told of.
    last: Flushed,
}

/// How the writer's thread ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// With its last line.
    Done,
    /// By a panic of its own.
    Panicked,
    /// Before it began.
    NotStarted,
}

/// What a wait for the writer came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// What was waited for is so.
    Met,
    /// Not by the deadline.
    Late,
    /// It never will be: the writer's thread is gone.
    Panicked,
    /// It never will be: there never was a writer's thread.
    NotStarted,
}

/// What the writer has to do besides draining.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Request {
    /// Tickets below are waited for.
    pub(super) settle: Option<Tickets>,
    /// The first tickets refused.
    pub(super) end: Option<Tickets>,
}

impl Control {
    /// To be called by the writer's thread, first of all.
    pub(super) fn enter(&self) {
        self.thread.get_or_init(thread::current);
        self.running.store(exit::thread(), Ordering::Relaxed);
    }

    /// Whether the caller is the writer's thread. It uses no thread-locals.
    pub(crate) fn is_writer(&self) -> bool {
        // Relaxed: only the writer's own thread has to see what it stored.
        self.running.load(Ordering::Relaxed) == exit::thread()
    }

    /// Wakes the writer if it sleeps.
    pub(crate) fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Waits until every ticket below `to` has its end.
    pub(crate) fn flush(&self, to: Tickets, until: Option<Instant>) -> Waited {
        let mut state = self.state.lock();
        state.flush_to = state.flush_to.max(to);
        self.wait(state, until, |state| state.settled_to.reach(to))
    }

    /// To be called before the writer's thread runs.
    pub(super) fn set_syncs(&self, syncs: Syncs) {
        self.syncs.get_or_init(|| syncs);
    }

    /// Waits until everything that was handed on before is durable; `None` where no files are
    /// written. `Err`: of so many events it cannot be known.
    pub(crate) fn sync(&self, until: Option<Instant>) -> Option<Result<Waited, u64>> {
        self.syncs.get().map(|syncs| syncs.sync(until))
    }

    /// Events that are written, and not yet known to be durable.
    pub(crate) fn unsynced(&self) -> u64 {
        self.syncs.get().map_or(0, Syncs::unsynced)
    }

    /// Asks the writer to close, by `close` if nobody did before. Returns when it was first asked.
    pub(crate) fn close(&self, close: impl FnOnce() -> Tickets) -> Instant {
        let (_, since) = *self.state.lock().end.get_or_insert_with(|| (close(), Instant::now()));
        self.wake();
        since
    }

    /// Waits until the last line is written.
    pub(crate) fn wait_for_end(&self, until: Option<Instant>) -> Waited {
        self.wait(self.state.lock(), until, |_| false)
    }

    fn wait(
        &self,
        mut state: MutexGuard<'_, State>,
        until: Option<Instant>,
        is_met: impl Fn(&State) -> bool,
    ) -> Waited {
        self.wake();
        loop {
            match state.ended {
                _ if is_met(&state) => return Waited::Met,
                Some(Ended::Done) => return Waited::Met,
                Some(Ended::Panicked) => return Waited::Panicked,
                Some(Ended::NotStarted) => return Waited::NotStarted,
                None => {}
            }
            match until {
                None => self.changed.wait(&mut state),
                Some(until) if Instant::now() >= until => return Waited::Late,
                Some(until) => {
                    self.changed.wait_until(&mut state, until);
                }
            }
        }
    }

    /// What became of the events since the last time this was asked, given all ends so far. Who asks
    /// at the same time with ends that are older is told of nothing twice.
    pub(crate) fn flushed(&self, now: &Accounting) -> Flushed {
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

    /// The file written to last.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        self.state.lock().path.clone()
    }

    pub(super) fn set_path(&self, path: &std::path::Path) {
        let mut state = self.state.lock();
        if state.path.as_deref() != Some(path) {
            state.path = Some(path.to_owned());
        }
    }

    /// What is asked for at the moment.
    pub(super) fn request(&self) -> Request {
        let state = self.state.lock();
        let flush_to = Some(state.flush_to).filter(|to| !state.settled_to.reach(*to));
        let end = state.end.map(|(end, _)| end);
        Request { settle: end.or(flush_to), end }
    }

    /// Tells the waiting that every ticket below `to` has its end.
    pub(super) fn settled(&self, to: Tickets) {
        self.state.lock().settled_to = to;
        self.changed.notify_all();
    }

    /// Tells the waiting that the thread ends.
    pub(super) fn ended(&self, how: Ended) {
        self.running.store(0, Ordering::Relaxed);
        self.state.lock().ended = Some(how);
        self.changed.notify_all();
    }
}
