//! Points of an emit at which a test stops a thread, for as long as it likes.

use std::cell::RefCell;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

/// Every point that [`pause`] is called with, in the order in which a push into a full ring may
/// come by. A push may pass one never or many times.
pub(crate) const POINTS: [&str; 14] = [
    // Blocks and buffers are taken and given back.
    "pop",
    "push_back",
    // There was no block left.
    "tombstone",
    "evict",
    "evicted",
    "freed_blocks",
    // The event is whole.
    "finished",
    "drawn",
    "loaded",
    "counted",
    "published",
    // What it displaced goes back.
    "trimmed",
    // The logger has not yet counted it, and not yet woken the writer.
    "stored",
    "waking",
];

/// A stop of one thread, at its first passage of one point.
pub(crate) struct ThreadStop {
    point: &'static str,
    state: Mutex<ThreadStopState>,
    changed: Condvar,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ThreadStopState {
    Ahead,
    Held,
    Passed,
    Released,
}

thread_local! {
    static STOP: RefCell<Option<Arc<ThreadStop>>> = const { RefCell::new(None) };
}

impl ThreadStop {
    pub(crate) fn at_point(point: &'static str) -> Arc<Self> {
        assert!(POINTS.contains(&point), "{point}");
        Arc::new(Self { point, state: Mutex::new(ThreadStopState::Ahead), changed: Condvar::new() })
    }

    /// Runs `body`, which stops at the point until released.
    pub(crate) fn run_until_released<R>(self: &Arc<Self>, body: impl FnOnce() -> R) -> R {
        STOP.set(Some(self.clone()));
        let result = body();
        STOP.set(None);
        let mut state = self.state.lock();
        if *state == ThreadStopState::Ahead {
            *state = ThreadStopState::Passed;
            self.changed.notify_all();
        }
        result
    }

    /// Waits until the thread is held at the point. `false`: it is through and never came by.
    pub(crate) fn wait_until_held(&self) -> bool {
        let mut state = self.state.lock();
        self.changed.wait_while(&mut state, |state| *state == ThreadStopState::Ahead);
        *state == ThreadStopState::Held
    }

    pub(crate) fn release(&self) {
        *self.state.lock() = ThreadStopState::Released;
        self.changed.notify_all();
    }

    fn hold_thread(&self) {
        let mut state = self.state.lock();
        if *state == ThreadStopState::Ahead {
            *state = ThreadStopState::Held;
            self.changed.notify_all();
            self.changed.wait_while(&mut state, |state| *state == ThreadStopState::Held);
        }
    }
}

/// Where a test may stop the calling thread.
pub(crate) fn pause(point: &'static str) {
    let here = |stop: &RefCell<Option<Arc<ThreadStop>>>| {
        stop.borrow().clone().filter(|stop| stop.point == point)
    };
    // A thread that is ending has none.
    if let Ok(Some(stop)) = STOP.try_with(here) {
        stop.hold_thread();
    }
}
