//! Three lanes: rings apart in places and memory, with one drainer over all. A flood in one lane
//! overwrites nothing in another. The recorder puts errors into the primary lane, and events that
//! sampling leaves out into the held one.

use std::sync::Arc;

use super::slots::DrainCursor;
use super::{BLOCK_BYTES, CAPACITY, Drainer, Ring};

/// One of something for each lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lanes<T> {
    /// Drained first; a quarter of the places and bytes.
    pub(crate) primary: T,
    /// Everything else that is kept.
    pub(crate) secondary: T,
    /// What is left out unless its trace fails.
    pub(crate) held: T,
}

/// A ticket in each lane.
pub(crate) type Tickets = Lanes<u64>;

impl<T> Lanes<T> {
    fn all(&self) -> [&T; 3] {
        [&self.primary, &self.secondary, &self.held]
    }

    fn all_mut(&mut self) -> [&mut T; 3] {
        [&mut self.primary, &mut self.secondary, &mut self.held]
    }

    fn map<U>(&self, of: impl FnMut(&T) -> U) -> Lanes<U> {
        let [primary, secondary, held] = self.all().map(of);
        Lanes { primary, secondary, held }
    }
}

impl Lanes<Arc<Ring>> {
    /// Makes `capacity` slots for the secondary lane and a quarter as many for the primary one. Each
    /// number is rounded up to a power of two within [`CAPACITY`]. A quarter of `bytes` is for the primary lane,
    /// the rest for the secondary one. The held lane has `held_bytes`, and no more slots than the secondary
    /// lane or than these bytes have blocks. Beyond those bytes they take 76 bytes a slot, 4 a block of
    /// [`BLOCK_BYTES`], and 840 KiB.
    pub(crate) fn new(capacity: usize, bytes: usize, held_bytes: usize) -> Self {
        let capacity = capacity.clamp(*CAPACITY.start(), *CAPACITY.end()).next_power_of_two();
        let of_primary = bytes / 4;
        Self {
            primary: Ring::new(capacity / 4, of_primary),
            secondary: Ring::new(capacity, bytes - of_primary),
            held: Ring::new(capacity.min(held_bytes / BLOCK_BYTES), held_bytes),
        }
    }

    /// The next tickets to be drawn: what a flush has to reach.
    pub(crate) fn tails(&self) -> Tickets {
        self.map(|ring| ring.tail())
    }

    /// The next ticket of the held lane.
    pub(crate) fn held_tail(&self) -> u64 {
        self.held.tail()
    }

    /// As [`Ring::close`], of one lane after the other.
    pub(crate) fn close(&self) -> Tickets {
        self.map(|ring| ring.close())
    }

    /// Returns whether the drainer sleeps or is about to.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn is_sleeping(&self) -> bool {
        self.all().iter().all(|ring| ring.slots.is_sleeping())
    }

    /// As [`Ring::count_events`], of each lane.
    pub(crate) fn count(&self) -> Lanes<(u64, u64)> {
        self.map(|ring| ring.count_events())
    }
}

impl Tickets {
    /// Returns whether no ticket is below that of `to`.
    pub(crate) fn reach(self, to: Self) -> bool {
        self.all().into_iter().zip(to.all()).all(|(own, other)| own >= other)
    }

    /// Returns the later ticket of each lane.
    pub(crate) fn max(self, other: Self) -> Self {
        Lanes {
            primary: self.primary.max(other.primary),
            secondary: self.secondary.max(other.secondary),
            held: self.held.max(other.held),
        }
    }
}

impl Lanes<Drainer> {
    /// Makes the drainers of all lanes. There may be one for each.
    pub(crate) fn drainers_over(rings: &Lanes<Arc<Ring>>) -> Self {
        rings.map(|ring| Drainer::new(ring.clone()))
    }

    /// Gives back what was released; see [`Drainer::release_all`].
    pub(crate) fn release_all(&mut self) {
        self.all_mut().into_iter().for_each(Drainer::release_all);
    }

    /// Returns whether every ticket below those of `to` is resolved.
    pub(crate) fn are_settled(&self, to: Tickets) -> bool {
        self.all().into_iter().zip(to.all()).all(|(drainer, to)| drainer.is_settled(*to))
    }

    /// Sets the first refused tickets, as [`Lanes::close`] returned them.
    pub(crate) fn close(&mut self, end: Tickets) {
        for (drainer, end) in self.all_mut().into_iter().zip(end.all()) {
            drainer.fix_end(*end);
        }
    }

    /// Sets the flag that makes every later push of an error wake the drainer, and returns whether
    /// the drainer may nap. Events of other lanes wake it if they reach a quarter of the slots.
    pub(crate) fn may_nap(&mut self) -> bool {
        let Drainer { drain, ring, .. } = &mut self.primary;
        drain.may_sleep(&ring.slots)
    }

    /// Clears the flag that `may_nap` set. The other lanes are left to the callers.
    pub(crate) fn end_nap(&self) {
        self.primary.clear_sleep();
    }

    /// Sets the flags that make every later push into any lane wake the drainer, and returns
    /// whether the drainer may sleep.
    pub(crate) fn may_sleep(&mut self) -> bool {
        let lanes = self.all_mut().map(|lane| (&mut lane.drain, &lane.ring.slots));
        DrainCursor::may_sleep_over(lanes)
    }

    /// Clears the flags that `may_sleep` set.
    pub(crate) fn clear_sleep(&self) {
        self.all().into_iter().for_each(Drainer::clear_sleep);
    }
}
