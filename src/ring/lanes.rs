//! Two lanes: rings apart in places and memory, with one drainer over both. A flood in one lane
//! overwrites nothing in the other. The recorder puts errors into the primary lane.

use std::sync::Arc;

use super::slots::DrainCursor;
use super::{CAPACITY, Drainer, Ring};

/// One of something for each lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lanes<T> {
    /// Drained first; a quarter of the places and bytes.
    pub(crate) primary: T,
    /// Everything else.
    pub(crate) secondary: T,
}

/// A ticket in each lane.
pub(crate) type Tickets = Lanes<u64>;

impl Lanes<Arc<Ring>> {
    /// Makes `capacity` slots for the secondary lane and a quarter as many for the primary one. Each
    /// number is rounded up to a power of two within [`CAPACITY`]. A quarter of `bytes` is for the primary lane,
    /// the rest for the secondary one. Beyond those bytes they take 76 bytes a slot, 4 a block of [`BLOCK_BYTES`], and
    /// 560 KiB.
    ///
    /// [`BLOCK_BYTES`]: super::BLOCK_BYTES
    pub(crate) fn new(capacity: usize, bytes: usize) -> Self {
        let capacity = capacity.clamp(*CAPACITY.start(), *CAPACITY.end()).next_power_of_two();
        let of_primary = bytes / 4;
        Self {
            primary: Ring::new(capacity / 4, of_primary),
            secondary: Ring::new(capacity, bytes - of_primary),
        }
    }

    /// The next tickets to be drawn: what a flush has to reach.
    pub(crate) fn tails(&self) -> Tickets {
        Lanes { primary: self.primary.tail(), secondary: self.secondary.tail() }
    }

    /// As [`Ring::close`], of one lane after the other.
    pub(crate) fn close(&self) -> Tickets {
        Lanes { primary: self.primary.close(), secondary: self.secondary.close() }
    }

    /// Returns whether the drainer sleeps or is about to.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn is_sleeping(&self) -> bool {
        self.primary.slots.is_sleeping() && self.secondary.slots.is_sleeping()
    }

    /// As [`Ring::count_events`], of both together.
    pub(crate) fn count(&self) -> (u64, u64) {
        let (errors, others) = (self.primary.count_events(), self.secondary.count_events());
        (errors.0 + others.0, errors.1 + others.1)
    }
}

impl Tickets {
    /// Returns whether neither ticket is below that of `to`.
    pub(crate) fn reach(self, to: Self) -> bool {
        self.primary >= to.primary && self.secondary >= to.secondary
    }

    /// Returns the later ticket of each lane.
    pub(crate) fn max(self, other: Self) -> Self {
        Lanes {
            primary: self.primary.max(other.primary),
            secondary: self.secondary.max(other.secondary),
        }
    }
}

impl Lanes<Drainer> {
    /// Makes the drainers of both lanes. There may be one for each.
    pub(crate) fn drainers_over(rings: &Lanes<Arc<Ring>>) -> Self {
        Self {
            primary: Drainer::new(rings.primary.clone()),
            secondary: Drainer::new(rings.secondary.clone()),
        }
    }

    /// Gives back what was released; see [`Drainer::release_all`].
    pub(crate) fn release_all(&mut self) {
        self.primary.release_all();
        self.secondary.release_all();
    }

    /// Returns whether every ticket below those of `to` is resolved.
    pub(crate) fn are_settled(&self, to: Tickets) -> bool {
        self.primary.is_settled(to.primary) && self.secondary.is_settled(to.secondary)
    }

    /// Sets the first refused tickets, as [`Lanes::close`] returned them.
    pub(crate) fn close(&mut self, end: Tickets) {
        self.primary.fix_end(end.primary);
        self.secondary.fix_end(end.secondary);
    }

    /// Sets the flags that make every later push into either lane wake the drainer, and returns
    /// whether the drainer may sleep.
    pub(crate) fn may_sleep(&mut self) -> bool {
        let Self { primary, secondary } = self;
        DrainCursor::may_sleep_over([
            (&mut primary.drain, &primary.ring.slots),
            (&mut secondary.drain, &secondary.ring.slots),
        ])
    }

    /// Clears the flags that `may_sleep` set.
    pub(crate) fn clear_sleep(&self) {
        self.primary.clear_sleep();
        self.secondary.clear_sleep();
    }
}
