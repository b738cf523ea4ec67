//! The protocol: tickets, slots and laps, over buffers that are only indices here.
//!
//! # A slot's states
//! ```text
//!                 push of ticket t (lap L)                 take, at ticket t or later
//!  EMPTY(l < L) ───────────────────────────▶ FULL(L, i) ─────────────────────────▶ EMPTY(≥ L)
//!       │                                      │      ▲
//!       │ seal, at ticket t                    │      │ push of a later lap: the old buffer is
//!       ▼                                      └──────┘ displaced and belongs to who pushed
//!  EMPTY(L): ticket t can no longer publish; who drew it draws another
//! ```
//! Ticket `t` has slot `t mod N` and lap `t / N + 1`. Slots begin as `EMPTY(0)`. A slot's lap never
//! falls and a ticket publishes at most once, so a word never comes back: no ABA. A lap has 40 bits. At
//! the smallest capacity, 64, that is enough for two years at a million events a second. If a thread wins
//! the exchange that takes an index out of a slot, it owns that buffer, and nobody else touches it.
//!
//! # Counting
//! `loss[i]` counts what is lost if buffer `i` is displaced: the event in it and everything that it
//! displaced. It is written before the exchange that publishes `i`. So if a thread stops between two
//! instructions, the count has no hole. An evicted event leaves a *tombstone*: a buffer without an event
//! that keeps the count in its place.
//!
//! # Orderings
//! Publishing is Release. Its partner is Acquire, in every load of a slot that may lead to owning its
//! buffer. The exchange that takes may be relaxed, because it succeeds only on the word that the load
//! read, and words never come back. `tail` is relaxed throughout. The modification order of that one word
//! decides tickets, CLOSED and SLEEP, and no payload is read because of it.

use crossbeam_utils::CachePadded;

use super::TakenBuffer;
use super::arena::{Buffer, BufferChain, prefetch, untouched_defaults};
use super::free::{NONE, pack_index, unpack_index};
use crate::sync::{AtomicU64, Ordering, is_mutant_asked, ordering_weakened_by, pause};

const CLOSED: u64 = 1 << 63;
const SLEEP: u64 = 1 << 62;
const TICKET: u64 = SLEEP - 1;
/// Set in `loss` if the buffer is a tombstone and contains no event.
const TOMBSTONE: u64 = 1 << 63;
/// Slots that one eviction looks at before it gives up.
const EVICT_LOOKS_MAX: u64 = 256;
/// Slots after an unready one in which a published one is looked for.
const LOOKAHEAD: u64 = 16;
/// How many tickets after the one that is taken the drainer prefetches a slot, its buffer, and the bytes. Each is
/// found by the one before it, which has to be there by then.
const SLOT_AHEAD: u64 = 12;
const BUFFER_AHEAD: u64 = 8;
const BYTES_AHEAD: u64 = 4;
/// A cache line has eight slots.
const LINE_SHIFT: u32 = 3;

/// `N` slots and the words around them.
pub(super) struct Slots {
    tail: CachePadded<AtomicU64>,
    /// The drainer's position, published now and then: a hint that is never ahead of the truth.
    head: CachePadded<AtomicU64>,
    /// Where the next eviction begins to look.
    evict_from: CachePadded<AtomicU64>,
    slots: Box<[AtomicU64]>,
    buffers: Box<[Buffer]>,
    shift: u32,
    /// The slots less one, and the same for the cache lines that they take.
    places: u64,
    lines: u64,
    /// How many bits the number of a line has, and of a slot in it.
    lines_shift: u32,
    within_shift: u32,
    /// So many events in the ring wake a drainer that naps: a quarter of the slots. If the producer that
    /// has to wake it is stopped, the next wake comes as many events later. Half of the slots are still
    /// free then.
    pub(super) mark: u64,
}

enum TicketOutcome {
    Taken(TakenBuffer),
    /// The ticket was sealed: its producer will draw another one.
    Sealed,
    /// An earlier visit resolved the ticket.
    Resolved,
    /// The slot has a newer lap: the drainer was lapped.
    Lapped,
    /// The producer is between its steps.
    Unready,
}

impl Slots {
    /// Makes `2^shift` empty slots for the buffers `1..=buffers`.
    pub(super) fn new(shift: u32, buffers: u32) -> Self {
        let lines_shift = shift.saturating_sub(LINE_SHIFT);
        Self {
            tail: CachePadded::new(AtomicU64::new(0)),
            head: CachePadded::new(AtomicU64::new(0)),
            evict_from: CachePadded::new(AtomicU64::new(0)),
            // Zero is `EMPTY(0)`.
            slots: untouched_defaults(1 << shift),
            buffers: untouched_defaults(buffers as usize + 1),
            shift,
            places: (1 << shift) - 1,
            lines: (1 << lines_shift) - 1,
            lines_shift,
            within_shift: shift - lines_shift,
            mark: (1 << shift >> 2).max(2),
        }
    }

    /// Returns the number of slots.
    pub(super) fn capacity(&self) -> u64 {
        1 << self.shift
    }

    /// Returns whether the push of a ticket wakes a drainer that naps. Most tickets decide it without
    /// a look at the drainer's position.
    fn is_at_mark(&self, ticket: u64) -> bool {
        // Relaxed: the position is never ahead of the truth, so a wake is at most unneeded.
        ticket & (self.mark - 1) == 0
            && ticket >= self.head.load(Ordering::Relaxed) + self.mark
            && !is_mutant_asked("drop_mark")
    }

    fn lap_of_ticket(&self, ticket: u64) -> u64 {
        (ticket >> self.shift) + 1
    }

    /// Returns the slot of a ticket. Neighbouring tickets are in different cache lines, so concurrent
    /// producers do not compete for one. The slots still fill their lines without padding.
    fn slot_of_ticket(&self, ticket: u64) -> &AtomicU64 {
        // By shifts, because a division takes longer than the rest of a visit.
        let (line, within) = (ticket & self.lines, (ticket & self.places) >> self.lines_shift);
        &self.slots[(line << self.within_shift | within) as usize]
    }

    fn loss_of_buffer(&self, index: u32) -> u64 {
        // Relaxed: it was written before the release that published `index`, and the caller has
        // acquired that. If the caller's exchange fails, the value is discarded.
        self.buffers[index as usize].loss.load(Ordering::Relaxed)
    }

    /// Returns the payload of a buffer.
    pub(super) fn chain_of_buffer(&self, index: u32) -> &BufferChain {
        &self.buffers[index as usize].chain
    }

    /// Prefetches what the drainer is about to read after `ticket`, and returns the payload whose bytes are due. It
    /// may belong to anybody by now, or to nobody, so it is only a hint.
    pub(super) fn prefetch_after(&self, ticket: u64) -> &BufferChain {
        // Relaxed: nothing is read because of it.
        let index = |ticket| unpack_index(self.slot_of_ticket(ticket).load(Ordering::Relaxed)).1;
        prefetch(self.slot_of_ticket(ticket + SLOT_AHEAD));
        prefetch(self.chain_of_buffer(index(ticket + BUFFER_AHEAD)));
        self.chain_of_buffer(index(ticket + BYTES_AHEAD))
    }

    /// Publishes buffer `index`, overwriting the oldest entry when the ring is full. Never waits:
    /// if an exchange fails, another thread has moved on.
    ///
    /// Returns the overwritten buffer, now the caller's ([`NONE`] if the slot was empty), and
    /// whether the drainer must be woken. `None`: the ring is closed, and the buffer is still the
    /// caller's.
    pub(super) fn push(&self, index: u32) -> Option<(u32, bool)> {
        let mut wake = false;
        loop {
            let (ticket, wakes) = self.draw_ticket()?;
            wake |= wakes && !is_mutant_asked("drop_wake");
            pause("drawn");
            if let Some(displaced) = self.publish_at_ticket(ticket, index) {
                return Some((displaced, wake));
            }
        }
    }

    /// Draws the next ticket, and returns whether its push wakes the drainer. `None` if the ring is
    /// closed.
    pub(super) fn draw_ticket(&self) -> Option<(u64, bool)> {
        let drawn = self.tail.fetch_add(1, Ordering::Relaxed);
        let ticket = drawn & TICKET;
        (drawn & CLOSED == 0).then(|| (ticket, drawn & SLEEP != 0 || self.is_at_mark(ticket)))
    }

    /// Publishes `index` at `ticket` and returns the displaced buffer. `None` if the ticket was sealed or
    /// lapped.
    pub(super) fn publish_at_ticket(&self, ticket: u64, index: u32) -> Option<u32> {
        let lap = self.lap_of_ticket(ticket);
        let slot = self.slot_of_ticket(ticket);
        let mut word = slot.load(ordering_weakened_by("publish_load", Ordering::Acquire));
        let early = is_mutant_asked("count_early").then(|| self.losses_carried_by(word));
        loop {
            pause("loaded");
            let (old_lap, old) = unpack_index(word);
            if old_lap > lap || (old == NONE && old_lap == lap) {
                return None;
            }
            let carried = early.unwrap_or_else(|| self.losses_carried_by(word));
            // Relaxed: the release below publishes it.
            self.buffers[index as usize].loss.store(carried + 1, Ordering::Relaxed);
            pause("counted");
            match slot.compare_exchange(
                word,
                pack_index(lap, index),
                ordering_weakened_by("publish", Ordering::Release),
                ordering_weakened_by("publish_again", Ordering::Acquire),
            ) {
                Ok(_) => {
                    pause("published");
                    return Some(old);
                }
                Err(now) => word = now,
            }
        }
    }

    /// Counts the events that are lost if the entry of `word` is displaced.
    fn losses_carried_by(&self, word: u64) -> u64 {
        match unpack_index(word) {
            (_, NONE) => 0,
            (_, old) => self.loss_of_buffer(old) & !TOMBSTONE,
        }
    }

    /// Replaces the oldest event by the tombstone `index` and returns its buffer. `None` if none was
    /// found near the head.
    pub(super) fn evict_oldest(&self, index: u32) -> Option<u32> {
        let tail = self.tail.load(Ordering::Relaxed) & TICKET;
        let oldest = self.head.load(Ordering::Relaxed).max(tail.saturating_sub(self.capacity()));
        let from = self.evict_from.load(Ordering::Relaxed).max(oldest);
        let to = tail.min(from + EVICT_LOOKS_MAX);
        let victim = (from..to).find_map(|ticket| {
            let slot = self.slot_of_ticket(ticket);
            let word = slot.load(ordering_weakened_by("evict_load", Ordering::Acquire));
            let (lap, old) = unpack_index(word);
            if old == NONE
                || lap > self.lap_of_ticket(ticket)
                || self.loss_of_buffer(old) & TOMBSTONE != 0
            {
                return None;
            }
            // Relaxed: the release below publishes it.
            self.buffers[index as usize]
                .loss
                .store(TOMBSTONE | self.loss_of_buffer(old), Ordering::Relaxed);
            pause("evict");
            slot.compare_exchange(
                word,
                pack_index(lap, index),
                ordering_weakened_by("evict", Ordering::Release),
                Ordering::Relaxed,
            )
            .is_ok()
            .then_some((ticket, old))
        });
        // Relaxed: only a hint for the next eviction.
        self.evict_from.store(victim.map_or(to, |(ticket, _)| ticket + 1), Ordering::Relaxed);
        victim.map(|(_, old)| old)
    }

    /// Applies the drainer's rule to a ticket.
    #[inline]
    fn take_or_seal(&self, ticket: u64, seal: bool) -> TicketOutcome {
        let lap = self.lap_of_ticket(ticket);
        let slot = self.slot_of_ticket(ticket);
        let mut word = slot.load(ordering_weakened_by("take_load", Ordering::Acquire));
        loop {
            let (found, index) = unpack_index(word);
            if found > lap {
                return TicketOutcome::Lapped;
            }
            if index == NONE && found == lap {
                return TicketOutcome::Resolved;
            }
            if index == NONE && !seal {
                return TicketOutcome::Unready;
            }
            if index == NONE && is_mutant_asked("drop_seal") {
                return TicketOutcome::Sealed;
            }
            // Relaxed: see the orderings above. An empty slot hands over nothing.
            let sealed_lap =
                if index != NONE && is_mutant_asked("take_old_lap") { found } else { lap };
            match slot.compare_exchange(
                word,
                pack_index(sealed_lap, NONE),
                Ordering::Relaxed,
                ordering_weakened_by("take_again", Ordering::Acquire),
            ) {
                Ok(_) if index == NONE => return TicketOutcome::Sealed,
                Ok(_) => return TicketOutcome::Taken(self.taken_buffer(index)),
                Err(now) => word = now,
            }
        }
    }

    fn taken_buffer(&self, index: u32) -> TakenBuffer {
        let loss = self.loss_of_buffer(index);
        let event = loss & TOMBSTONE == 0;
        TakenBuffer { index, lost: (loss & !TOMBSTONE) - u64::from(event), event }
    }

    /// Returns whether a ticket soon after `ticket` is published already.
    fn later_is_published(&self, ticket: u64, tail: u64) -> bool {
        (ticket + 1..tail.min(ticket + 1 + LOOKAHEAD)).any(|later| {
            // Relaxed: only a hint that sealing is due.
            let (lap, index) = unpack_index(self.slot_of_ticket(later).load(Ordering::Relaxed));
            index != NONE && lap >= self.lap_of_ticket(later)
        })
    }

    /// Returns the next ticket to be drawn.
    pub(super) fn tail(&self) -> u64 {
        self.tail.load(Ordering::Relaxed) & TICKET
    }

    /// Returns whether pushes are refused.
    pub(super) fn is_closed(&self) -> bool {
        self.tail.load(Ordering::Relaxed) & CLOSED != 0
    }

    /// Returns the drainer's last published position. The true one may be ahead.
    pub(super) fn head(&self) -> u64 {
        self.head.load(Ordering::Relaxed)
    }

    /// Refuses every later push and returns the first refused ticket. Call it once.
    pub(super) fn close(&self) -> u64 {
        self.tail.fetch_or(CLOSED, Ordering::Relaxed) & TICKET
    }

    /// Makes every later push ask for a wake, and returns the next ticket to be drawn.
    pub(super) fn set_sleep(&self) -> u64 {
        self.tail.fetch_or(SLEEP, Ordering::Relaxed) & TICKET
    }

    /// Returns whether later pushes ask for a wake.
    #[cfg(all(test, not(loom)))]
    pub(super) fn is_sleeping(&self) -> bool {
        self.tail.load(Ordering::Relaxed) & SLEEP != 0
    }

    /// Ends the state that `set_sleep` began.
    pub(super) fn clear_sleep(&self) {
        self.tail.fetch_and(!SLEEP, Ordering::Relaxed);
    }

    /// Counts the events in the slots, and the events displaced by them that nobody has counted yet.
    /// Exact if nobody pushes or drains.
    pub(super) fn count_events(&self) -> (u64, u64) {
        self.slots.iter().fold((0, 0), |(queued, lost), slot| {
            match unpack_index(slot.load(Ordering::Acquire)) {
                (_, NONE) => (queued, lost),
                (_, index) => {
                    let taken = self.taken_buffer(index);
                    (queued + u64::from(taken.event), lost + taken.lost)
                }
            }
        })
    }
}

/// What the drainer finds next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DrainStep {
    /// An event, or a tombstone that carries a count of losses.
    Taken(TakenBuffer),
    /// A producer is between its steps, and nothing later is published.
    Unready,
    /// Every ticket drawn so far is resolved.
    Empty,
}

/// The drainer's place in the ring. There is one.
#[derive(Debug, Default)]
pub(super) struct DrainCursor {
    head: u64,
    /// The tail as last read. A read takes the cache line from the producers.
    tail: u64,
    /// The range of tickets below `head` that a jump passed and that are not swept yet.
    pending: Option<(u64, u64)>,
    /// The first refused ticket, after a close.
    end: Option<u64>,
    /// How many tickets after the oldest possible entry a jump lands. It grows while takes fail, because
    /// the oldest entries are about to be overwritten.
    margin: u64,
}

impl DrainCursor {
    /// Makes a drainer at the start of the ring, with an initial margin.
    #[cfg(all(test, loom))]
    pub(super) fn with_margin(margin: u64) -> Self {
        Self { margin, ..Self::default() }
    }

    /// Finds the next buffer. `seals` is how many producers between their steps may be sealed. Each seal
    /// uses one up, except that [`u32::MAX`] is never used up. `settle` is a ticket: if `head` has reached
    /// it, tickets that jumps passed are swept before anything newer.
    pub(super) fn take_next(
        &mut self,
        slots: &Slots,
        seals: &mut u32,
        settle: Option<u64>,
    ) -> DrainStep {
        loop {
            if settle.is_some_and(|to| self.head >= to)
                && let Some(taken) = self.sweep_passed(slots)
            {
                return DrainStep::Taken(taken);
            }
            if self.head >= self.tail && !self.read_tail(slots) {
                return self.sweep_passed(slots).map_or(DrainStep::Empty, DrainStep::Taken);
            }
            match slots.take_or_seal(self.head, *seals > 0) {
                TicketOutcome::Taken(taken) => {
                    self.head += 1;
                    return DrainStep::Taken(taken);
                }
                TicketOutcome::Sealed => {
                    self.head += 1;
                    *seals -= u32::from(*seals != u32::MAX);
                }
                TicketOutcome::Resolved => self.head += 1,
                TicketOutcome::Lapped => {
                    self.head += 1;
                    let step = (slots.capacity() / 64).max(1);
                    self.margin = (self.margin + step).min(slots.capacity() / 8);
                    self.read_tail(slots);
                }
                TicketOutcome::Unready if slots.later_is_published(self.head, self.tail) => {
                    if let TicketOutcome::Taken(taken) = slots.take_or_seal(self.head, true) {
                        self.head += 1;
                        return DrainStep::Taken(taken);
                    }
                    self.head += 1;
                }
                TicketOutcome::Unready => {
                    self.read_tail(slots);
                    return DrainStep::Unready;
                }
            }
        }
    }

    /// Reads the tail, jumps if lapped, and returns whether there is anything to visit.
    fn read_tail(&mut self, slots: &Slots) -> bool {
        self.tail = self.end.unwrap_or_else(|| slots.tail());
        let oldest = self.tail.saturating_sub(slots.capacity());
        if self.head < oldest {
            let to = (oldest + self.margin).min(self.tail);
            // Tickets more than a lap below `oldest` share their slots with these, whose visit
            // resolves all before it.
            let passed = self.pending.map_or(self.head, |(from, _)| from.min(self.head));
            let from = passed.max(oldest.saturating_sub(slots.capacity()));
            self.pending = (from < to && !is_mutant_asked("forget_jumped")).then_some((from, to));
            self.head = to;
        }
        if self.head == self.tail {
            self.margin = 0;
        }
        self.head < self.tail
    }

    /// Resolves the tickets that jumps passed, with sealing, up to the next buffer found.
    fn sweep_passed(&mut self, slots: &Slots) -> Option<TakenBuffer> {
        while let Some((from, to)) = self.pending {
            self.pending = (from + 1 < to).then_some((from + 1, to));
            if let TicketOutcome::Taken(taken) =
                slots.take_or_seal(from, !is_mutant_asked("sweep_without_seal"))
            {
                return Some(taken);
            }
        }
        None
    }

    /// Prefetches what is taken next, and returns the payload whose bytes are due.
    pub(super) fn prefetch_next<'s>(&self, slots: &'s Slots) -> &'s BufferChain {
        slots.prefetch_after(self.head)
    }

    /// Publishes the position.
    pub(super) fn publish_position(&self, slots: &Slots) {
        // Relaxed: a hint for evictions and for `emit_wait`. Nobody reads a payload because of it.
        slots.head.store(self.head, Ordering::Relaxed);
    }

    /// Returns whether every ticket below `to` is resolved.
    pub(super) fn is_settled(&self, to: u64) -> bool {
        self.head >= to && self.pending.is_none_or(|(from, _)| from >= to)
    }

    /// Fixes the tail at `end`, as `Slots::close` returned it.
    pub(super) fn fix_end(&mut self, end: u64) {
        self.end = Some(end);
    }

    /// Sets SLEEP and returns whether sleeping is allowed: nothing is left to visit, and every later
    /// push will wake. Otherwise SLEEP is cleared again.
    pub(super) fn may_sleep(&mut self, slots: &Slots) -> bool {
        let tail = slots.set_sleep();
        if is_mutant_asked("sleep_unchecked") || (tail == self.head && self.pending.is_none()) {
            return true;
        }
        slots.clear_sleep();
        false
    }

    /// Works as [`may_sleep`](Self::may_sleep) for one drainer over several rings: it may sleep if it may
    /// in all. Each ring has SLEEP set before it is trusted to stay empty. So if the result misses a push
    /// into one of them, that push wakes.
    pub(super) fn may_sleep_over<const N: usize>(mut lanes: [(&mut Self, &Slots); N]) -> bool {
        for at in 0..N {
            let (drain, slots) = &mut lanes[at];
            let is_first = at == 0;
            let is_empty = match is_mutant_asked("sleep_on_one_flag") && !is_first {
                true => slots.tail() == drain.head,
                false => drain.may_sleep(slots),
            };
            let is_ignored = is_mutant_asked("sleep_by_one_lane") && !is_first
                || is_mutant_asked("sleep_without_held") && at == 2;
            if !is_empty && !is_ignored {
                lanes[..at].iter().for_each(|(_, slots)| slots.clear_sleep());
                return false;
            }
        }
        true
    }
}
