//! Waiting calls: flush, durable flush, shutdown.

use std::time::{Duration, Instant};

use crate::error::{Error, Kind};
use crate::metrics::Flushed;
use crate::writer::{Control, Shared, Waited};

impl Shared {
    pub(crate) fn flush(&self, deadline: Duration) -> Result<Flushed, Error> {
        self.settle(deadline)?;
        Ok(self.flushed())
    }

    pub(crate) fn flush_durable(&self, deadline: Duration) -> Result<Flushed, Error> {
        let began = Instant::now();
        let late = || self.late(deadline, self.control.unsynced());
        self.settle(deadline).map_err(|error| if error.is_deadline() { late() } else { error })?;
        if self.settings.enabled {
            // By now the housekeeping thread has every file that the writer handed on.
            match self.control.sync(began.checked_add(deadline)) {
                None => return Err(Error::new(Kind::NoFiles)),
                Some(Ok(Waited::Met)) => {}
                Some(Ok(_)) => return Err(late()),
                Some(Err(events)) => return Err(Error::new(Kind::NotDurable { events })),
            }
        }
        Ok(self.flushed())
    }

    pub(crate) fn shutdown(&self, deadline: Duration) -> Result<Flushed, Error> {
        // Close even if the caller may not wait: the last handle may be dropped on any thread.
        let _since = self.close();
        self.wait(deadline, Control::wait_for_end)?;
        Ok(self.flushed())
    }

    /// Waits until every event emitted before the call is written or counted as lost.
    fn settle(&self, deadline: Duration) -> Result<(), Error> {
        let to = self.rings.tails();
        self.wait(deadline, |control, until| control.flush(to, until))
    }

    /// Runs a wait of the control with the instant at which the deadline ends.
    fn wait(
        &self,
        deadline: Duration,
        waiting: impl FnOnce(&Control, Option<Instant>) -> Waited,
    ) -> Result<(), Error> {
        if !self.settings.enabled {
            return Ok(());
        }
        if self.control.is_writer() {
            return Err(Error::new(Kind::WritersThread));
        }
        // A deadline that an `Instant` cannot hold means no deadline.
        let until = Instant::now().checked_add(deadline);
        match waiting(&self.control, until) {
            Waited::Met => Ok(()),
            Waited::Late => Err(self.late(deadline, 0)),
            Waited::Panicked => Err(Error::new(Kind::WriterGone)),
            Waited::NotStarted => Err(Error::new(Kind::WriterNotStarted)),
        }
    }

    fn late(&self, waited: Duration, unsynced: u64) -> Error {
        let outstanding = self.accounting().queued + unsynced;
        Error::new(Kind::Deadline { waited, outstanding })
    }

    /// Returns what became of the events since the last call.
    fn flushed(&self) -> Flushed {
        match self.settings.enabled {
            true => self.control.flushed(&self.accounting()),
            false => Flushed::default(),
        }
    }
}
