//! The queue between the callers and the writer: a lock-free ring of buffers that overwrites its
//! oldest entry when full.
//!
//! A caller writes an event into a [`Chain`]: its spare buffer and as many blocks as it needs. Then it
//! pushes the chain, and the displaced buffer becomes its next spare. The one [`Drainer`] takes events
//! out. Nobody waits for anybody. [`slots`] has the protocol, and [`arena`] the memory.
//!
//! - If the ring is full, the oldest event is overwritten.
//! - If the ring is closed, a push is refused.
//! - If the memory is used up, the caller overwrites up to eight of the oldest events. If its own event
//!   still does not fit, it is written without its payload.
//!
//! The drainer counts every overwritten event exactly once. A logger has three rings: see [`lanes`].

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
pub(crate) use arena::{Chain, ChainMark, OnFull, PADDED_BYTES};
use free::{FreeList, NONE};
pub(crate) use lanes::{Lanes, Tickets};
pub(crate) use slots::DrainStep;
use slots::{DrainCursor, Slots};

use crate::sync::pause;
use llm_audit_process::lock::{Condvar, Mutex, MutexGuard};

/// Fewest and most slots.
pub(crate) const CAPACITY: std::ops::RangeInclusive<usize> = 64..=1 << 22;
/// Buffers beyond one a slot: those that the drainer holds, and spares and tombstones of callers.
const BUFFERS_BEYOND: u32 = 4096;
/// Callers that keep a spare. If there are more, they take a buffer from the free list for each emit.
const SPARES_MAX: u32 = BUFFERS_BEYOND / 4;

/// The reason why bytes did not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChainFull {
    /// The event has reached its size limit.
    Limit,
    /// The queue has no memory left.
    Memory,
}

/// A buffer taken out of the ring, owned. It goes back with
/// [`Drainer::release`]. Only the ring makes one, and nothing copies it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TakenBuffer {
    index: u32,
    lost: u64,
    event: bool,
}

impl TakenBuffer {
    /// Returns how many events were overwritten before this one and not counted yet.
    pub(crate) fn events_lost(&self) -> u64 {
        self.lost
    }

    /// Returns whether the buffer contains an event. A tombstone contains none.
    pub(crate) fn is_event(&self) -> bool {
        self.event
    }
}

/// The result of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// The event is in the ring.
    Stored {
        /// The drainer must be woken: it sleeps, or it may nap while the ring fills up.
        wake: bool,
    },
    /// The ring is closed.
    Closed,
}

/// The ring and its memory.
pub(crate) struct Ring {
    /// Distinguishes the spares of several rings.
    id: u64,
    slots: Slots,
    buffers: FreeList,
    arena: Arena,
    /// Callers that keep a spare.
    spares: std::sync::atomic::AtomicU32,
    room: RoomWaiters,
}

/// Where `emit_wait` waits.
#[derive(Default)]
struct RoomWaiters {
    gate: Mutex<bool>,
    changed: Condvar,
    /// Held while a waiting caller looks for a slot and takes it. Not held over code of the caller.
    turn: Mutex<()>,
}

impl Ring {
    /// Makes a ring of `capacity` slots, rounded up to a power of two within [`CAPACITY`]. It has
    /// `bytes` of memory in blocks of [`BLOCK_BYTES`]. Beyond those bytes it takes 76 bytes a slot, 4 a
    /// block, and 280 KiB.
    pub(crate) fn new(capacity: usize, bytes: usize) -> Arc<Self> {
        static NEXT_ID: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        let capacity = capacity.clamp(*CAPACITY.start(), *CAPACITY.end()).next_power_of_two();
        let buffers = capacity as u32 + BUFFERS_BEYOND;
        let blocks = (bytes / BLOCK_BYTES).clamp(1, (1 << free::INDEX_BITS) - 1) as u32;
        Arc::new(Self {
            id: NEXT_ID.fetch_add(1, std::sync::atomic::Ordering::Relaxed),
            slots: Slots::new(capacity.trailing_zeros(), buffers),
            buffers: FreeList::with_all_free(buffers),
            arena: Arena::new(blocks),
            spares: std::sync::atomic::AtomicU32::new(0),
            room: RoomWaiters::default(),
        })
    }

    /// Makes a chain for one event of at most `limit` bytes. Returns `None` if more callers are in the
    /// middle of an emit than there are buffers.
    #[inline(always)]
    pub(crate) fn begin_chain(
        self: &Arc<Self>,
        limit: usize,
        on_full: OnFull,
    ) -> Option<Chain<'_>> {
        let buffer = spare::take_spare_buffer(self).or_else(|| self.buffers.pop())?;
        Some(Chain::new(self, buffer, limit, on_full))
    }

    /// Publishes the event. Never waits. Inlined, so that the chain is not copied.
    #[inline(always)]
    pub(crate) fn push(&self, chain: Chain<'_>) -> Pushed {
        let has_evicted = chain.has_evicted();
        let buffer = chain.finish();
        pause("finished");
        match self.slots.push(buffer) {
            Some((displaced, wake)) => {
                if displaced != NONE {
                    self.give_back_buffer(displaced);
                }
                Pushed::Stored { wake: wake || has_evicted }
            }
            None => {
                self.give_back_buffer(buffer);
                Pushed::Closed
            }
        }
    }

    /// Gives back an owned buffer, displaced or unused: as the caller's next spare, or as free.
    fn give_back_buffer(&self, buffer: u32) {
        self.arena.free_tail(self.slots.chain_of_buffer(buffer));
        pause("trimmed");
        self.arena.prefetch_first_block(self.slots.chain_of_buffer(buffer));
        if !spare::keep_as_spare_buffer(self.id, buffer) {
            self.free_buffer(buffer);
        }
    }

    fn free_buffer(&self, buffer: u32) {
        self.arena.free_all(self.slots.chain_of_buffer(buffer));
        pause("freed_blocks");
        self.buffers.push_chain(buffer, buffer);
    }

    /// Overwrites the oldest event for its memory. Returns `false` if none was found.
    fn evict_oldest(&self) -> bool {
        let Some(tombstone) = self.buffers.pop() else { return false };
        pause("tombstone");
        match self.slots.evict_oldest(tombstone) {
            Some(victim) => {
                pause("evicted");
                self.free_buffer(victim);
                true
            }
            None => {
                self.buffers.push_chain(tombstone, tombstone);
                false
            }
        }
    }

    /// Returns how many bytes an event may take: three quarters of the memory.
    pub(crate) fn event_bytes_max(&self) -> usize {
        self.arena.block_count() as usize * BLOCK_BYTES / 4 * 3
    }

    /// Waits until an event can be pushed without overwriting one, or until the ring is closed. While
    /// the turn is held, nobody else gets one.
    pub(crate) fn wait_for_turn(&self) -> MutexGuard<'_, ()> {
        let turn = self.room.turn.lock();
        while !self.has_slot() && self.wait_for_room() {}
        turn
    }

    /// Returns whether an event can be pushed without overwriting one, if nobody else pushes.
    fn has_slot(&self) -> bool {
        self.slots.tail().saturating_sub(self.slots.head()) < self.slots.capacity()
    }

    /// Returns whether pushes are refused.
    pub(crate) fn is_closed(&self) -> bool {
        self.slots.is_closed()
    }

    /// Returns whether the drainer has taken everything, by its last published position.
    fn is_drained(&self) -> bool {
        self.slots.head() >= self.slots.tail()
    }

    /// Waits for the drainer to make room, a millisecond at most. Returns `false` if the ring is closed
    /// and it never will.
    pub(crate) fn wait_for_room(&self) -> bool {
        /// Bounds the cost of a missed notification.
        const WAIT: Duration = Duration::from_millis(1);
        let mut closed = self.room.gate.lock();
        if !*closed {
            self.room.changed.wait_for(&mut closed, WAIT);
        }
        !*closed
    }

    /// Refuses every later push and returns the first refused ticket. Call it once.
    fn close(&self) -> u64 {
        *self.room.gate.lock() = true;
        self.room.changed.notify_all();
        self.slots.close()
    }

    /// Returns the next ticket to be drawn, which a flush has to reach.
    fn tail(&self) -> u64 {
        self.slots.tail()
    }

    /// Counts the events in the ring, and the events overwritten by them that the drainer has not
    /// counted yet. Exact if nobody pushes or drains.
    fn count_events(&self) -> (u64, u64) {
        self.slots.count_events()
    }
}

/// Takes events out of a ring.
pub(crate) struct Drainer {
    ring: Arc<Ring>,
    drain: DrainCursor,
    /// Read buffers and blocks that are given back together: the first and the last of each.
    done_buffers: Option<(u32, u32)>,
    done_blocks: Option<(u32, u32)>,
}

impl Drainer {
    /// Makes the drainer of `ring`. There may be only one.
    pub(crate) fn new(ring: Arc<Ring>) -> Self {
        Self { ring, drain: DrainCursor::default(), done_buffers: None, done_blocks: None }
    }

    /// Finds the next event; see [`DrainCursor::take_next`] for `seals` and `settle`.
    pub(crate) fn take_next(&mut self, seals: &mut u32, settle: Option<u64>) -> DrainStep {
        let step = self.drain.take_next(&self.ring.slots, seals, settle);
        // A model of the ring would explore these loads, too.
        if cfg!(not(loom)) && matches!(step, DrainStep::Taken(_)) {
            self.ring.arena.prefetch_first_block(self.drain.prefetch_next(&self.ring.slots));
        }
        step
    }

    /// Returns the bytes of an event, contiguous.
    pub(crate) fn event_bytes<'a>(
        &'a self,
        taken: &'a TakenBuffer,
        scratch: &'a mut Vec<u8>,
    ) -> &'a [u8] {
        self.ring.arena.contiguous_bytes(
            taken,
            self.ring.slots.chain_of_buffer(taken.index),
            scratch,
        )
    }

    /// Gives a buffer back, with the next [`release_all`](Self::release_all).
    pub(crate) fn release(&mut self, taken: TakenBuffer) {
        let index = taken.index;
        self.done_blocks =
            self.ring.arena.detach_blocks(self.ring.slots.chain_of_buffer(index), self.done_blocks);
        let last = match self.done_buffers {
            Some((first, last)) => {
                self.ring.buffers.link_below(index, first);
                last
            }
            None => index,
        };
        self.done_buffers = Some((index, last));
    }

    /// Gives back what was released, and wakes callers that wait for room.
    pub(crate) fn release_all(&mut self) {
        if let Some((first, last)) = self.done_blocks.take() {
            self.ring.arena.blocks.push_chain(first, last);
        }
        if let Some((first, last)) = self.done_buffers.take() {
            self.ring.buffers.push_chain(first, last);
        }
        self.drain.publish_position(&self.ring.slots);
        self.ring.room.changed.notify_all();
    }

    /// Returns whether every ticket below `to` is resolved.
    pub(crate) fn is_settled(&self, to: u64) -> bool {
        self.drain.is_settled(to)
    }

    /// Sets the first refused ticket, as [`Ring::close`] returned it.
    fn fix_end(&mut self, end: u64) {
        self.drain.fix_end(end);
    }

    /// Ends the state in which every push wakes the drainer.
    fn clear_sleep(&self) {
        self.ring.slots.clear_sleep();
    }
}
