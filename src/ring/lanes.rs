//! Errors have a lane of their own: two rings, apart in places and memory, and one drainer over
//! both. No flood of successes overwrites an error; only errors overwrite errors.

use std::sync::Arc;

use super::slots::Drain;
use super::{CAPACITY, Drainer, Ring};
use crate::event::Status;

/// One of something for each lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lanes<T> {
    /// Of events whose status is `error` or `timeout`.
    pub(crate) errors: T,
    /// Of all others.
    pub(crate) others: T,
}

/// A ticket in each lane.
pub(crate) type Tickets = Lanes<u64>;

impl Lanes<Arc<Ring>> {
    /// `capacity` slots for the others and a quarter as many for the errors, each rounded up to a
    /// power of two within [`CAPACITY`]; a quarter of `bytes` for the errors, the rest for the
    /// others. Beyond those bytes they take 76 bytes a slot, 4 a block of [`BLOCK_BYTES`], and
    /// 560 KiB.
    ///
    /// [`BLOCK_BYTES`]: super::BLOCK_BYTES
    pub(crate) fn new(capacity: usize, bytes: usize) -> Self {
        let capacity = capacity.clamp(*CAPACITY.start(), *CAPACITY.end()).next_power_of_two();
        let of_errors = bytes / 4;
        Self {
            errors: Ring::new(capacity / 4, of_errors),
            others: Ring::new(capacity, bytes - of_errors),
        }
    }

    /// The lane of an event.
    pub(crate) fn of(&self, status: Status) -> &Arc<Ring> {
        match status {
            Status::Error | Status::Timeout => &self.errors,
            Status::Ok | Status::Retry => &self.others,
        }
    }

    /// The next tickets to be drawn: what a flush has to reach.
    pub(crate) fn tails(&self) -> Tickets {
        Lanes { errors: self.errors.tail(), others: self.others.tail() }
    }

    /// As [`Ring::close`], of one lane after the other.
    pub(crate) fn close(&self) -> Tickets {
        Lanes { errors: self.errors.close(), others: self.others.close() }
    }

    /// Whether the drainer sleeps, or is about to.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn is_sleeping(&self) -> bool {
        self.errors.slots.is_sleeping() && self.others.slots.is_sleeping()
    }

    /// As [`Ring::count`], of both together.
    pub(crate) fn count(&self) -> (u64, u64) {
        let (errors, others) = (self.errors.count(), self.others.count());
        (errors.0 + others.0, errors.1 + others.1)
    }
}

impl Tickets {
    /// Whether neither is below that of `to`.
    pub(crate) fn reach(self, to: Self) -> bool {
        self.errors >= to.errors && self.others >= to.others
    }

    /// The later one in each lane.
    pub(crate) fn max(self, other: Self) -> Self {
        Lanes { errors: self.errors.max(other.errors), others: self.others.max(other.others) }
    }
}

impl Lanes<Drainer> {
    /// The drainers of both. There may be one of each.
    pub(crate) fn over(rings: &Lanes<Arc<Ring>>) -> Self {
        Self {
            errors: Drainer::new(rings.errors.clone()),
            others: Drainer::new(rings.others.clone()),
        }
    }

    /// Gives back what was released; see [`Drainer::release_all`].
    pub(crate) fn release_all(&mut self) {
        self.errors.release_all();
        self.others.release_all();
    }

    /// Whether every ticket below those of `to` is resolved.
    pub(crate) fn are_settled(&self, to: Tickets) -> bool {
        self.errors.is_settled(to.errors) && self.others.is_settled(to.others)
    }

    /// From now on these are the last tickets' successors.
    pub(crate) fn close(&mut self, end: Tickets) {
        self.errors.close(end.errors);
        self.others.close(end.others);
    }

    /// Sets the flags that make every later push into either lane wake the drainer, and says
    /// whether it may sleep.
    pub(crate) fn may_sleep(&mut self) -> bool {
        let Self { errors, others } = self;
        Drain::may_sleep_over([
            (&mut errors.drain, &errors.ring.slots),
            (&mut others.drain, &others.ring.slots),
        ])
    }

    /// Ends what `may_sleep` allowed.
    pub(crate) fn awake(&self) {
        self.errors.awake();
        self.others.awake();
    }
}
