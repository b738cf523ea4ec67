//! The queue of one notifier: alerts in their order, and the last evaluation after them.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::notifier::Evaluation;
use crate::Alert;

/// Filled by the dispatcher and emptied by the notifier's thread. Nobody holds the lock while something is sent.
pub(super) struct Outbox {
    state: Mutex<State>,
    changed: Condvar,
    alerts_max: usize,
}

#[derive(Default)]
struct State {
    alerts: VecDeque<Arc<Alert>>,
    /// A newer one replaces it.
    evaluation: Option<Arc<Evaluation>>,
    counts: Counts,
    /// Whether an alert is being sent.
    is_sending: bool,
    /// Whether an alert was given up only because the outbox was closed.
    is_cut_short: bool,
    is_closing: bool,
    is_done: bool,
}

impl State {
    fn is_idle(&self) -> bool {
        self.alerts.is_empty() && self.evaluation.is_none() && !self.is_closing
    }
}

/// What went wrong.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    /// Attempts.
    pub(super) failed: u64,
    /// Alerts after their last attempt.
    pub(super) given_up: u64,
    /// Alerts that were not tried to the end, because others had to have room.
    pub(super) displaced: u64,
}

/// One thing to send.
pub(super) enum Message {
    Alert(Arc<Alert>),
    Evaluation(Arc<Evaluation>),
}

impl Outbox {
    pub(super) fn new(alerts_max: usize) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), alerts_max }
    }

    /// Adds an alert. If too many wait, the oldest is displaced.
    pub(super) fn push(&self, alert: Arc<Alert>) {
        let mut state = self.lock();
        if state.alerts.len() >= self.alerts_max {
            state.alerts.pop_front();
            state.counts.displaced += 1;
        }
        state.alerts.push_back(alert);
        self.changed.notify_all();
    }

    pub(super) fn set_evaluation(&self, evaluation: Arc<Evaluation>) {
        self.lock().evaluation = Some(evaluation);
        self.changed.notify_all();
    }

    /// Waits for the next message. Returns `None` after `close`, if nothing waits.
    pub(super) fn next(&self) -> Option<Message> {
        let waits = self.changed.wait_while(self.lock(), |state| state.is_idle());
        let mut state = waits.unwrap_or_else(PoisonError::into_inner);
        let alert = state.alerts.pop_front().map(Message::Alert);
        state.is_sending = alert.is_some();
        alert.or_else(|| state.evaluation.take().map(Message::Evaluation))
    }

    /// Waits before another attempt, until the outbox closes.
    pub(super) fn pause(&self, wait: Duration) {
        let waits = self.changed.wait_timeout_while(self.lock(), wait, |state| !state.is_closing);
        drop(waits.unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits before another attempt. Returns whether to make it: no other message came, and the outbox is open.
    pub(super) fn pause_while_idle(&self, wait: Duration) -> bool {
        let waits = self.changed.wait_timeout_while(self.lock(), wait, |state| state.is_idle());
        waits.unwrap_or_else(PoisonError::into_inner).0.is_idle()
    }

    /// Ends the thread after one attempt for each message that waits.
    pub(super) fn close(&self) {
        self.lock().is_closing = true;
        self.changed.notify_all();
    }

    pub(super) fn is_closing(&self) -> bool {
        self.lock().is_closing
    }

    /// Says that an alert would be tried again if the outbox was not closed.
    pub(super) fn set_cut_short(&self) {
        self.lock().is_cut_short = true;
    }

    /// Whether every alert so far was sent, or given up after all its attempts.
    pub(super) fn is_settled(&self) -> bool {
        let state = self.lock();
        state.alerts.is_empty() && !state.is_sending && !state.is_cut_short
    }

    /// Says that the thread is at its end.
    pub(super) fn set_done(&self) {
        self.lock().is_done = true;
        self.changed.notify_all();
    }

    /// Waits for the end of the thread. Returns whether it came within the limit.
    pub(super) fn wait_until_done(&self, limit: Duration) -> bool {
        let waits = self.changed.wait_timeout_while(self.lock(), limit, |state| !state.is_done);
        waits.unwrap_or_else(PoisonError::into_inner).0.is_done
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.lock().counts);
    }

    pub(super) fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// No code panics while it holds the lock, so a poisoned one is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
