//! The thread of one notifier: sends what waits, in its order, and tries again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::notifier::{Evaluation, Notifier, NotifyError};
use super::outbox::{Message, Outbox};
use crate::Alert;

/// How an alert is tried again after a temporary failure. The wait doubles with each attempt, and a random half of
/// it is left out, so that many processes do not return at once.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Retry {
    /// The first wait: 1 second.
    pub first: Duration,
    /// The longest wait, and the most that a service may ask for: 1 minute.
    pub longest: Duration,
    /// After how many attempts an alert is given up: 30, which take about 20 minutes.
    pub attempts: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_secs(60), attempts: 30 }
    }
}

impl Retry {
    /// Returns the wait after an attempt, counted from 1. `share` is between 0 and 1.
    fn wait(&self, attempt: u32, asked: Duration, share: f64) -> Duration {
        let doubled = self.first.saturating_mul(1_u32.checked_shl(attempt - 1).unwrap_or(u32::MAX));
        let half = doubled.min(self.longest) / 2;
        (half + half.mul_f64(1.0 - share)).max(asked.min(self.longest))
    }
}

/// Takes warnings, each of them once.
pub(super) type OnTrouble = Arc<dyn Fn(&str) + Send + Sync>;

pub(super) struct Worker {
    notifier: Box<dyn Notifier>,
    outbox: Arc<Outbox>,
    retry: Retry,
    on_trouble: OnTrouble,
    warned: Vec<Trouble>,
}

/// What a notifier is warned about once.
#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    Delayed,
    Refused,
    GivenUp,
    Displaced,
}

impl Worker {
    pub(super) fn new(
        notifier: Box<dyn Notifier>,
        outbox: Arc<Outbox>,
        retry: Retry,
        on_trouble: OnTrouble,
    ) -> Self {
        Self { notifier, outbox, retry, on_trouble, warned: Vec::new() }
    }

    /// Sends until the outbox is closed and empty.
    pub(super) fn run(mut self) {
        while let Some(message) = self.outbox.next() {
            match message {
                Message::Alert(alert) => self.deliver(&alert),
                Message::Evaluation(evaluation) => self.pass_on(&evaluation),
            }
            if self.outbox.counts().displaced > 0 {
                self.warn(Trouble::Displaced, "alerts were dropped, because too many wait or fire");
            }
        }
        self.outbox.set_done();
    }

    /// Sends an alert, and again after a temporary failure. Once the outbox is closed, one attempt is left.
    fn deliver(&mut self, alert: &Alert) {
        for attempt in 1.. {
            let is_closing = self.outbox.is_closing();
            let Err(error) = self.attempt(|notifier| notifier.notify(alert)) else { return };
            if !error.is_temporary() || attempt >= self.retry.attempts {
                return self.give_up(&error, "the alert is not sent again");
            }
            if is_closing {
                self.outbox.set_cut_short();
                return self.give_up(&error, "this process does not send the alert again");
            }
            self.warn(Trouble::Delayed, &format!("{error}; it is told again"));
            self.outbox.pause(self.retry.wait(attempt, error.retry_after(), fastrand::f64()));
        }
    }

    fn give_up(&mut self, error: &NotifyError, consequence: &str) {
        self.outbox.count(|counts| counts.given_up += 1);
        let kind = if error.is_temporary() { Trouble::GivenUp } else { Trouble::Refused };
        self.warn(kind, &format!("{error}; {consequence}"));
    }

    /// Passes an evaluation on, and again after a temporary failure, until the next one replaces it.
    fn pass_on(&mut self, evaluation: &Evaluation) {
        for attempt in 1..=self.retry.attempts.max(1) {
            let sent = self.attempt(|notifier| notifier.evaluated(evaluation));
            let Err(error) = sent else { return };
            self.warn(Trouble::Delayed, &format!("{error}; it is told again"));
            let wait = self.retry.wait(attempt, error.retry_after(), fastrand::f64());
            if !error.is_temporary() || !self.outbox.pause_while_idle(wait) {
                return;
            }
        }
    }

    /// Counts a failure. An application's notifier that panics has failed.
    fn attempt(
        &mut self,
        send: impl FnOnce(&mut dyn Notifier) -> Result<(), NotifyError>,
    ) -> Result<(), NotifyError> {
        let sent = catch_unwind(AssertUnwindSafe(|| send(&mut *self.notifier)));
        let sent = sent.unwrap_or_else(|_| Err(NotifyError::permanent("the notifier panicked")));
        if sent.is_err() {
            self.outbox.count(|counts| counts.failed += 1);
        }
        sent
    }

    fn warn(&mut self, kind: Trouble, text: &str) {
        if !self.warned.contains(&kind) {
            self.warned.push(kind);
            let text = format!("alerts to {}: {text}", self.notifier.name());
            // A callback that panics must not end the thread.
            let _ = catch_unwind(AssertUnwindSafe(|| (self.on_trouble)(&text)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_the_longest() {
        let retry = Retry::default();
        let waits = [1, 2, 3, 6, 7, 30, 40, u32::MAX]
            .map(|attempt| retry.wait(attempt, Duration::ZERO, 0.0));
        assert_eq!(waits, [1, 2, 4, 32, 60, 60, 60, 60].map(Duration::from_secs));
    }

    #[test]
    fn a_random_half_of_the_wait_is_left_out() {
        let wait = |share| Retry::default().wait(4, Duration::ZERO, share);
        assert_eq!([0.0, 0.5, 1.0].map(wait), [8, 6, 4].map(Duration::from_secs));
    }

    #[test]
    fn a_service_may_ask_for_a_longer_wait_within_the_limit() {
        let wait = |asked| Retry::default().wait(3, Duration::from_secs(asked), 1.0);
        assert_eq!([0, 1, 30, 3600].map(wait), [2, 2, 30, 60].map(Duration::from_secs));
    }
}
