//! Waiting calls: flush, durable flush, shutdown.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorCause};
use crate::metrics::Flushed;
use crate::writer::{Shared, WaitOutcome, WriterControl};

impl Shared {
    pub(crate) fn flush(&self, deadline: Duration) -> Result<Flushed, Error> {
        self.flush_rings(deadline)?;
        Ok(self.take_flushed())
    }

    pub(crate) fn flush_durable(&self, deadline: Duration) -> Result<Flushed, Error> {
        let began = Instant::now();
        let late = || self.deadline_error(deadline, self.control.unsynced_events());
        self.flush_rings(deadline)
            .map_err(|error| if error.is_deadline() { late() } else { error })?;
        if self.settings.enabled {
            // By now the housekeeping thread has every file that the writer handed on.
            match self.control.wait_for_sync(began.checked_add(deadline)) {
                None => return Err(Error::new(ErrorCause::NoFiles)),
                Some(Ok(WaitOutcome::Met)) => {}
                Some(Ok(_)) => return Err(late()),
                Some(Err(events)) => return Err(Error::new(ErrorCause::NotDurable { events })),
            }
        }
        Ok(self.take_flushed())
    }

    pub(crate) fn shutdown(&self, deadline: Duration) -> Result<Flushed, Error> {
        // Close even if the caller may not wait: the last handle may be dropped on any thread.
        let since = self.close();
        self.wait_with_deadline(deadline, WriterControl::wait_for_end)?;
        if self.settings.enabled {
            self.otlp.wait_for_last(since.checked_add(deadline));
            self.alerts.wait_for_end(since.checked_add(deadline));
            self.wait_for_shipping(since.checked_add(deadline));
        }
        Ok(self.take_flushed())
    }

    /// Waits until every event emitted before the call is written or counted as lost.
    fn flush_rings(&self, deadline: Duration) -> Result<(), Error> {
        let to = self.rings.tails();
        self.wait_with_deadline(deadline, |control, until| control.wait_for_flush(to, until))
    }

    /// Runs a wait of the control with the instant at which the deadline ends.
    fn wait_with_deadline(
        &self,
        deadline: Duration,
        waiting: impl FnOnce(&WriterControl, Option<Instant>) -> WaitOutcome,
    ) -> Result<(), Error> {
        if !self.settings.enabled {
            return Ok(());
        }
        if self.control.is_writer() {
            return Err(Error::new(ErrorCause::WritersThread));
        }
        // A deadline that an `Instant` cannot hold means no deadline.
        let until = Instant::now().checked_add(deadline);
        match waiting(&self.control, until) {
            WaitOutcome::Met => Ok(()),
            WaitOutcome::Late => Err(self.deadline_error(deadline, 0)),
            WaitOutcome::Panicked => Err(Error::new(ErrorCause::WriterGone)),
            WaitOutcome::NotStarted => Err(Error::new(ErrorCause::WriterNotStarted)),
        }
    }

    fn deadline_error(&self, waited: Duration, unsynced: u64) -> Error {
        // Held events have no end yet, and no flush waits for them.
        let held = self.counts.held.load(Ordering::Relaxed);
        let outstanding = self.accounting().queued.saturating_sub(held) + unsynced;
        Error::new(ErrorCause::Deadline { waited, outstanding })
    }

    /// Returns what became of the events since the last call.
    fn take_flushed(&self) -> Flushed {
        match self.settings.enabled {
            true => self.control.take_flushed(&self.accounting()),
            false => Flushed::default(),
        }
    }
}
