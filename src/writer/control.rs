//! What callers ask of the writer, and how they wait for it: flush, close, wake.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::thread::{self, Thread};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use crate::accounting::Accounting;
use crate::logger::Flushed;

/// The callers' side of the writer's thread.
#[derive(Default)]
pub(crate) struct Control {
    thread: OnceLock<Thread>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The highest ticket a flush waits for.
    flush_to: u64,
    /// Every ticket below has its end.
    settled_to: u64,
    /// The first ticket refused, once closing.
    end: Option<u64>,
    /// The last line is written.
    is_done: bool,
    path: Option<PathBuf>,
    /// What the last flush saw.
    last: Flushed,
}

/// What the writer has to do besides draining.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Request {
    /// Tickets below are waited for.
    pub(super) settle: Option<u64>,
    /// The first ticket refused.
    pub(super) end: Option<u64>,
}

impl Control {
    /// To be called by the writer's thread, first of all.
    pub(super) fn enter(&self) {
        self.thread.get_or_init(thread::current);
    }

    /// Whether the caller is the writer's thread.
    pub(crate) fn is_writer(&self) -> bool {
        self.thread.get().is_some_and(|writer| writer.id() == thread::current().id())
    }

    /// Wakes the writer if it sleeps.
    pub(crate) fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Waits until every ticket below `to` has its end; `false`: not by then.
    pub(crate) fn flush(&self, to: u64, until: Option<Instant>) -> bool {
        let mut state = self.state.lock();
        state.flush_to = state.flush_to.max(to);
        self.wait(&mut state, until, |state| state.settled_to >= to)
    }

    /// Closes, by `close` if nobody did before, and waits until the last line is written;
    /// `false`: not by then.
    pub(crate) fn close(&self, close: impl FnOnce() -> u64, until: Option<Instant>) -> bool {
        let mut state = self.state.lock();
        if state.end.is_none() {
            state.end = Some(close());
        }
        self.wait(&mut state, until, |_| false)
    }

    fn wait(
        &self,
        state: &mut parking_lot::MutexGuard<'_, State>,
        until: Option<Instant>,
        is_met: impl Fn(&State) -> bool,
    ) -> bool {
        self.wake();
        while !state.is_done && !is_met(state) {
            match until {
                Some(until) if self.changed.wait_until(state, until).timed_out() => {
                    return state.is_done || is_met(state);
                }
                Some(_) => {}
                None => self.changed.wait(state),
            }
        }
        true
    }

    /// What became of the events since the last time this was asked, given all ends so far.
    pub(crate) fn flushed(&self, now: &Accounting) -> Flushed {
        let mut state = self.state.lock();
        let total =
            Flushed { written: now.written, overwritten: now.overwritten, io_lost: now.io_lost };
        let before = std::mem::replace(&mut state.last, total);
        Flushed {
            written: total.written.saturating_sub(before.written),
            overwritten: total.overwritten.saturating_sub(before.overwritten),
            io_lost: total.io_lost.saturating_sub(before.io_lost),
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
        let flush_to = Some(state.flush_to).filter(|to| *to > state.settled_to);
        Request { settle: state.end.or(flush_to), end: state.end }
    }

    /// Tells the waiting that every ticket below `to` has its end.
    pub(super) fn settled(&self, to: u64) {
        self.state.lock().settled_to = to;
        self.changed.notify_all();
    }

    /// Tells the waiting that the last line is written.
    pub(super) fn done(&self) {
        self.state.lock().is_done = true;
        self.changed.notify_all();
    }
}
