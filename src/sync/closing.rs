//! The end of a thread that works beside the writer, such as one that sends metrics.

use std::time::{Duration, Instant};

use llm_audit_process::lock::{Condvar, Mutex};

/// How long whoever closes the logger waits for such a thread.
pub(crate) const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Asks a thread for its end, and waits for it.
#[derive(Default)]
pub(crate) struct Closing {
    state: Mutex<ClosingState>,
    changed: Condvar,
}

#[derive(Default)]
struct ClosingState {
    is_running: bool,
    closed: Option<Instant>,
}

impl Closing {
    /// Says that the thread is about to be started.
    pub(crate) fn begin(&self) {
        self.state.lock().is_running = true;
    }

    /// Says that the thread has ended, or was not started.
    pub(crate) fn end(&self) {
        self.state.lock().is_running = false;
        self.changed.notify_all();
    }

    /// Asks for the end.
    pub(crate) fn close(&self) {
        self.state.lock().closed.get_or_insert_with(Instant::now);
        self.changed.notify_all();
    }

    /// Waits for the end, at most two seconds from the close.
    pub(crate) fn wait_for_end(&self, until: Option<Instant>) {
        let mut state = self.state.lock();
        while let Some(closed) = state.closed.filter(|_| state.is_running) {
            let last = closed + CLOSE_LIMIT;
            let until = until.map_or(last, |until| until.min(last));
            if Instant::now() >= until {
                return;
            }
            self.changed.wait_until(&mut state, until);
        }
    }

    /// Returns, in the thread, whether nobody waits for its end any more.
    #[cfg(any(feature = "cloudwatch-logs", feature = "otlp"))]
    pub(crate) fn is_over(&self) -> bool {
        self.state.lock().closed.is_some_and(|closed| closed.elapsed() >= CLOSE_LIMIT)
    }

    /// Waits until then, in the thread. Returns whether the logger was closed before.
    pub(crate) fn is_closed_before(&self, then: Instant) -> bool {
        let mut state = self.state.lock();
        while state.closed.is_none() && Instant::now() < then {
            self.changed.wait_until(&mut state, then);
        }
        state.closed.is_some()
    }
}
