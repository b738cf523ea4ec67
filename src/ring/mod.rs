//! The queue between the callers and the writer: a lock-free ring of buffers that overwrites its
//! oldest entry when full.
//!
//! A caller writes an event into a [`Chain`] (its own spare buffer and as many blocks as it needs)
//! and pushes it; the displaced buffer becomes its next spare. The one [`Drainer`] takes events
//! out. Nobody waits for anybody: see [`slots`] for the protocol, [`arena`] for the memory.
//!
//! When full, the oldest event goes; when closed, a push is refused; when the memory is used up,
//! the caller overwrites the oldest events until its own fits, at most eight, and else writes it
//! without its payload. Every event overwritten is counted exactly once, by the drainer.
//!
//! A logger has two of them: see [`lanes`].

mod arena;
mod free;
mod lanes;
#[cfg(all(test, loom))]
mod loom;
mod slots;
mod spare;
#[cfg(all(test, not(loom)))]
mod stalls;
#[cfg(all(test, not(loom)))]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use arena::{Arena, BLOCK_BYTES};
pub(crate) use arena::{Chain, OnFull};
use free::{FreeList, NONE};
pub(crate) use lanes::{Lanes, Tickets};
use slots::{Drain, Slots};
pub(crate) use slots::{Next, Taken};

use crate::sync::pause;
use llm_audit_process::lock::{Condvar, Mutex, MutexGuard};

/// Fewest and most slots.
pub(crate) const CAPACITY: std::ops::RangeInclusive<usize> = 64..=1 << 22;
/// Buffers beyond one a slot: what the drainer holds, and spares and tombstones of callers.
const BUFFERS_BEYOND: u32 = 4096;
/// Callers that keep a spare; further ones take theirs from the free list, emit for emit.
const SPARES_MAX: u32 = BUFFERS_BEYOND / 4;

/// Why bytes found no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// The event has reached its size limit.
    Limit,
    /// The queue has no memory left.
    Memory,
}

/// The result of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// The event is in the ring.
    Stored {
        /// The drainer sleeps and must be woken.
        wake: bool,
    },
    /// The ring is closed.
    Closed,
}

/// The ring and its memory.
pub(crate) struct Ring {
    /// Tells the spares of several rings apart.
    id: u64,
    slots: Slots,
    buffers: FreeList,
    arena: Arena,
    /// Callers that keep a spare.
    spares: std::sync::atomic::AtomicU32,
    room: Room,
}

/// Where `emit_wait` waits.
#[derive(Default)]
struct Room {
    gate: Mutex<bool>,
    changed: Condvar,
    /// One at a time looks for a slot and takes it. Held over no code of the caller's.
    turn: Mutex<()>,
}

impl Ring {
    /// A ring of `capacity` slots (rounded up to a power of two within [`CAPACITY`]) over `bytes`
    /// of memory, given out in blocks of [`BLOCK_BYTES`]. Beyond those bytes it takes 76 bytes a
    /// slot, 4 a block, and 280 KiB.
    pub(crate) fn new(capacity: usize, bytes: usize) -> Arc<Self> {
        static NEXT_ID: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        let capacity = capacity.clamp(*CAPACITY.start(), *CAPACITY.end()).next_power_of_two();
        let buffers = capacity as u32 + BUFFERS_BEYOND;
        let blocks = (bytes / BLOCK_BYTES).clamp(1, (1 << free::INDEX_BITS) - 1) as u32;
        Arc::new(Self {
            id: NEXT_ID.fetch_add(1, std::sync::atomic::Ordering::Relaxed),
            slots: Slots::new(capacity.trailing_zeros(), buffers),
            buffers: FreeList::full(buffers),
            arena: Arena::new(blocks),
            spares: std::sync::atomic::AtomicU32::new(0),
            room: Room::default(),
        })
    }

    /// A chain for one event of at most `limit` bytes; `None` when more callers than there are
    /// buffers for are in the middle of an emit.
    pub(crate) fn chain(self: &Arc<Self>, limit: usize, on_full: OnFull) -> Option<Chain<'_>> {
        let buffer = spare::take(self).or_else(|| self.buffers.pop())?;
        Some(Chain::new(self, buffer, limit, on_full))
    }

    /// Publishes the event. Never waits.
    pub(crate) fn push(&self, chain: Chain<'_>) -> Pushed {
        let buffer = chain.finish();
        pause("finished");
        match self.slots.push(buffer) {
            Some((displaced, wake)) => {
                if displaced != NONE {
                    self.give_back(displaced);
                }
                Pushed::Stored { wake }
            }
            None => {
                self.give_back(buffer);
                Pushed::Closed
            }
        }
    }

    /// An owned buffer, displaced or unused: the caller's next spare, or free.
    fn give_back(&self, buffer: u32) {
        self.arena.free_tail(self.slots.chain(buffer));
        pause("trimmed");
        self.arena.expect(self.slots.chain(buffer));
        if !spare::give(self.id, buffer) {
            self.free(buffer);
        }
    }

    fn free(&self, buffer: u32) {
        self.arena.free_all(self.slots.chain(buffer));
        pause("freed_blocks");
        self.buffers.push_chain(buffer, buffer);
    }

    /// Overwrites the oldest event for its memory. `false`: none was found.
    fn evict(&self) -> bool {
        let Some(tombstone) = self.buffers.pop() else { return false };
        pause("tombstone");
        match self.slots.evict(tombstone) {
            Some(victim) => {
                pause("evicted");
                self.free(victim);
                true
            }
            None => {
                self.buffers.push_chain(tombstone, tombstone);
                false
            }
        }
    }

    /// What an event in it may take, in bytes: three quarters of the memory.
    pub(crate) fn event_bytes_max(&self) -> usize {
        self.arena.block_count() as usize * BLOCK_BYTES / 4 * 3
    }

    /// Waits until another event can be pushed without overwriting one, or never can. As long as
    /// the turn is held nobody else gets one.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        let turn = self.room.turn.lock();
        while !self.has_slot() && self.wait_for_room() {}
        turn
    }

    /// Whether another event can be pushed without overwriting one, if nobody else pushes.
    fn has_slot(&self) -> bool {
        self.slots.tail().saturating_sub(self.slots.head()) < self.slots.capacity()
    }

    /// Whether pushes are refused.
    pub(crate) fn is_closed(&self) -> bool {
        self.slots.is_closed()
    }

    /// Whether the drainer has taken everything, as far as it has told.
    fn is_drained(&self) -> bool {
        self.slots.head() >= self.slots.tail()
    }

    /// Waits until the drainer has made room, a millisecond at most. `false`: it never will, the
    /// ring is closed.
    pub(crate) fn wait_for_room(&self) -> bool {
        /// A bound on what a missed notice costs.
        const WAIT: Duration = Duration::from_millis(1);
        let mut closed = self.room.gate.lock();
        if !*closed {
            self.room.changed.wait_for(&mut closed, WAIT);
        }
        !*closed
    }

    /// Refuses every later push and returns the first refused ticket. To be asked once.
    fn close(&self) -> u64 {
        *self.room.gate.lock() = true;
        self.room.changed.notify_all();
        self.slots.close()
    }

    /// The next ticket to be drawn: what a flush has to reach.
    fn tail(&self) -> u64 {
        self.slots.tail()
    }

    /// Events in the ring, and events overwritten by them that the drainer has not counted yet.
    /// Exact while nobody pushes or drains.
    fn count(&self) -> (u64, u64) {
        self.slots.count()
    }
}

/// The one who takes events out.
pub(crate) struct Drainer {
    ring: Arc<Ring>,
    drain: Drain,
    /// Taken and read, to be given back together: first and last buffer, first and last block.
    done_buffers: Option<(u32, u32)>,
    done_blocks: Option<(u32, u32)>,
}

impl Drainer {
    /// The drainer of `ring`. There may be one.
    pub(crate) fn new(ring: Arc<Ring>) -> Self {
        Self { ring, drain: Drain::default(), done_buffers: None, done_blocks: None }
    }

    /// The next event; see [`Drain::next`] for `seals` and `settle`.
    pub(crate) fn next(&mut self, seals: &mut u32, settle: Option<u64>) -> Next {
        self.drain.next(&self.ring.slots, seals, settle)
    }

    /// The bytes of an event, contiguous.
    pub(crate) fn bytes<'a>(&'a self, taken: &'a Taken, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        self.ring.arena.bytes(taken, self.ring.slots.chain(taken.index), scratch)
    }

    /// Gives a buffer back, with the next [`release_all`](Self::release_all).
    pub(crate) fn release(&mut self, taken: Taken) {
        let index = taken.index;
        self.done_blocks = self.ring.arena.detach(self.ring.slots.chain(index), self.done_blocks);
        let last = match self.done_buffers {
            Some((first, last)) => {
                self.ring.buffers.link(index, first);
                last
            }
            None => index,
        };
        self.done_buffers = Some((index, last));
    }

    /// Gives back what was released, and tells the waiting callers that there is room.
    pub(crate) fn release_all(&mut self) {
        if let Some((first, last)) = self.done_blocks.take() {
            self.ring.arena.blocks.push_chain(first, last);
        }
        if let Some((first, last)) = self.done_buffers.take() {
            self.ring.buffers.push_chain(first, last);
        }
        self.drain.tell(&self.ring.slots);
        self.ring.room.changed.notify_all();
    }

    /// Whether every ticket below `to` is resolved.
    fn is_settled(&self, to: u64) -> bool {
        self.drain.is_settled(to)
    }

    /// From now on `end`, as [`Ring::close`] gave it, is the last ticket's successor.
    fn close(&mut self, end: u64) {
        self.drain.close(end);
    }

    /// Ends what made every push wake the drainer.
    fn awake(&self) {
        self.ring.slots.awake();
    }
}
