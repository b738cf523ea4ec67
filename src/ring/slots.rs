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
//! Ticket `t` has slot `t mod N` and lap `t / N + 1`; slots begin as `EMPTY(0)`. A slot's lap never
//! falls and a ticket publishes at most once, so a word never comes back: no ABA. (A lap has 40 bits:
//! at the smallest capacity, 64, that is enough for two years at a million events a second.) Whoever wins the
//! exchange that takes an index out of a slot owns that buffer, and nobody else touches it.
//!
//! # Counting
//! `loss[i]` is what is lost when buffer `i` is displaced: the event in it and everything that it
//! displaced itself. It is written before the exchange that publishes `i`, so a thread stopped
//! between two instructions leaves no hole in the count. An evicted event leaves a *tombstone*, a
//! buffer without an event that keeps the count in its place.
//!
//! # Orderings
//! Publishing is Release and every load of a slot that may lead to owning its buffer is Acquire
//! (its partner); the exchange that takes may be relaxed, because it succeeds only on the word that
//! load read, and words never come back. `tail` is relaxed throughout: tickets, CLOSED and SLEEP
//! are decided by the modification order of that one word, and no payload is read on its strength.

use crossbeam_utils::CachePadded;

use super::arena::ChainOf;
use super::free::{NONE, pack, unpack};
use crate::sync::{AtomicU64, Ordering, mutant, pause, weakened_by};

const CLOSED: u64 = 1 << 63;
const SLEEP: u64 = 1 << 62;
const TICKET: u64 = SLEEP - 1;
/// In `loss`: this buffer is a tombstone and holds no event.
const TOMBSTONE: u64 = 1 << 63;
/// How many slots one eviction looks at before it gives up.
const EVICT_LOOKS_MAX: u64 = 256;
/// How far behind an unready slot a published one is looked for.
const LOOKAHEAD: u64 = 16;
/// Slots in one cache line.
const LINE: u64 = 8;

/// `N` slots and the words around them.
pub(super) struct Slots {
    tail: CachePadded<AtomicU64>,
    /// The drainer's position, told to others now and then: a hint, never ahead of the truth.
    head: CachePadded<AtomicU64>,
    /// Where the next eviction begins to look.
    evict_from: CachePadded<AtomicU64>,
    slots: Box<[AtomicU64]>,
    buffers: Box<[Buffer]>,
    shift: u32,
}

/// What is known of a buffer beside its bytes. Each has a cache line to itself: neighbours belong
/// to different threads.
#[derive(Default)]
#[repr(align(64))]
struct Buffer {
    loss: AtomicU64,
    /// Its payload; nothing to the protocol.
    chain: ChainOf,
}

/// A buffer taken out of the ring, owned. It goes back with
/// [`Drainer::release`](super::Drainer::release). Only the ring makes one, and there is no copy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(super) index: u32,
    lost: u64,
    event: bool,
}

impl Taken {
    /// Returns how many events were overwritten before this one and not counted yet.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// Returns whether the buffer contains an event. A tombstone contains none.
    pub(crate) fn is_event(&self) -> bool {
        self.event
    }
}

enum Visit {
    Taken(Taken),
    /// Sealed: its producer will draw another ticket.
    Sealed,
    /// Nothing there that an earlier visit had not resolved.
    Resolved,
    /// Something newer is there: the drainer was lapped.
    Lapped,
    /// Its producer is between its steps.
    Unready,
}

impl Slots {
    /// `2^shift` empty slots for the buffers `1..=buffers`.
    pub(super) fn new(shift: u32, buffers: u32) -> Self {
        Self {
            tail: CachePadded::new(AtomicU64::new(0)),
            head: CachePadded::new(AtomicU64::new(0)),
            evict_from: CachePadded::new(AtomicU64::new(0)),
            slots: (0..1_u64 << shift).map(|_| AtomicU64::new(pack(0, NONE))).collect(),
            buffers: (0..=buffers).map(|_| Buffer::default()).collect(),
            shift,
        }
    }

    /// How many slots there are.
    pub(super) fn capacity(&self) -> u64 {
        1 << self.shift
    }

    fn lap(&self, ticket: u64) -> u64 {
        (ticket >> self.shift) + 1
    }

    /// The slot of a ticket. Neighbouring tickets lie in different cache lines, so that producers
    /// side by side do not fight for one; the slots still fill their lines without padding.
    fn slot(&self, ticket: u64) -> &AtomicU64 {
        let capacity = self.capacity();
        let place = ticket & (capacity - 1);
        let lines = (capacity / LINE).max(1);
        &self.slots[((place % lines) * (capacity / lines) + place / lines) as usize]
    }

    fn loss(&self, index: u32) -> u64 {
        // Relaxed: written before the release that published `index`; who asks has acquired that,
        // and an exchange that fails throws the answer away.
        self.buffers[index as usize].loss.load(Ordering::Relaxed)
    }

    /// The payload of a buffer.
    pub(super) fn chain(&self, index: u32) -> &ChainOf {
        &self.buffers[index as usize].chain
    }

    /// Publishes buffer `index`, overwriting the oldest entry when the ring is full. Never waits:
    /// a failed exchange means that somebody else moved on.
    ///
    /// Returns the overwritten buffer, now the caller's ([`NONE`] if the slot was empty), and
    /// whether the drainer sleeps and must be woken. `None`: the ring is closed, and the buffer is
    /// still the caller's.
    pub(super) fn push(&self, index: u32) -> Option<(u32, bool)> {
        let mut wake = false;
        loop {
            let (ticket, sleeping) = self.draw()?;
            wake |= sleeping && !mutant("drop_wake");
            pause("drawn");
            if let Some(displaced) = self.publish(ticket, index) {
                return Some((displaced, wake));
            }
        }
    }

    /// The next ticket, and whether the drainer sleeps; `None` when closed.
    pub(super) fn draw(&self) -> Option<(u64, bool)> {
        let drawn = self.tail.fetch_add(1, Ordering::Relaxed);
        (drawn & CLOSED == 0).then_some((drawn & TICKET, drawn & SLEEP != 0))
    }

    /// Publishes `index` at `ticket` and returns the displaced buffer; `None` when the ticket was
    /// sealed or lapped.
    pub(super) fn publish(&self, ticket: u64, index: u32) -> Option<u32> {
        let lap = self.lap(ticket);
        let slot = self.slot(ticket);
        let mut word = slot.load(weakened_by("publish_load", Ordering::Acquire));
        let early = mutant("count_early").then(|| self.carried_from(word));
        loop {
            pause("loaded");
            let (old_lap, old) = unpack(word);
            if old_lap > lap || (old == NONE && old_lap == lap) {
                return None;
            }
            let carried = early.unwrap_or_else(|| self.carried_from(word));
            // Relaxed: the release below publishes it.
            self.buffers[index as usize].loss.store(carried + 1, Ordering::Relaxed);
            pause("counted");
            match slot.compare_exchange(
                word,
                pack(lap, index),
                weakened_by("publish", Ordering::Release),
                weakened_by("publish_again", Ordering::Acquire),
            ) {
                Ok(_) => {
                    pause("published");
                    return Some(old);
                }
                Err(now) => word = now,
            }
        }
    }

    /// Events that go with what `word` holds.
    fn carried_from(&self, word: u64) -> u64 {
        match unpack(word) {
            (_, NONE) => 0,
            (_, old) => self.loss(old) & !TOMBSTONE,
        }
    }

    /// Replaces the oldest event by the tombstone `index` and returns its buffer; `None` when none
    /// was found near the head.
    pub(super) fn evict(&self, index: u32) -> Option<u32> {
        let tail = self.tail.load(Ordering::Relaxed) & TICKET;
        let oldest = self.head.load(Ordering::Relaxed).max(tail.saturating_sub(self.capacity()));
        let from = self.evict_from.load(Ordering::Relaxed).max(oldest);
        let to = tail.min(from + EVICT_LOOKS_MAX);
        let victim = (from..to).find_map(|ticket| {
            let slot = self.slot(ticket);
            let word = slot.load(weakened_by("evict_load", Ordering::Acquire));
            let (lap, old) = unpack(word);
            if old == NONE || lap > self.lap(ticket) || self.loss(old) & TOMBSTONE != 0 {
                return None;
            }
            // Relaxed: the release below publishes it.
            self.buffers[index as usize].loss.store(TOMBSTONE | self.loss(old), Ordering::Relaxed);
            pause("evict");
            slot.compare_exchange(
                word,
                pack(lap, index),
                weakened_by("evict", Ordering::Release),
                Ordering::Relaxed,
            )
            .is_ok()
            .then_some((ticket, old))
        });
        // Relaxed: only a hint where to look.
        self.evict_from.store(victim.map_or(to, |(ticket, _)| ticket + 1), Ordering::Relaxed);
        victim.map(|(_, old)| old)
    }

    /// The rule of the drainer for every ticket it visits.
    fn visit(&self, ticket: u64, seal: bool) -> Visit {
        let lap = self.lap(ticket);
        let slot = self.slot(ticket);
        let mut word = slot.load(weakened_by("take_load", Ordering::Acquire));
        loop {
            let (found, index) = unpack(word);
            if found > lap {
                return Visit::Lapped;
            }
            if index == NONE && found == lap {
                return Visit::Resolved;
            }
            if index == NONE && !seal {
                return Visit::Unready;
            }
            if index == NONE && mutant("drop_seal") {
                return Visit::Sealed;
            }
            // Relaxed: see the module's orderings; nothing is handed over with an empty slot.
            let sealed_lap = if index != NONE && mutant("take_old_lap") { found } else { lap };
            match slot.compare_exchange(
                word,
                pack(sealed_lap, NONE),
                Ordering::Relaxed,
                weakened_by("take_again", Ordering::Acquire),
            ) {
                Ok(_) if index == NONE => return Visit::Sealed,
                Ok(_) => return Visit::Taken(self.taken(index)),
                Err(now) => word = now,
            }
        }
    }

    fn taken(&self, index: u32) -> Taken {
        let loss = self.loss(index);
        let event = loss & TOMBSTONE == 0;
        Taken { index, lost: (loss & !TOMBSTONE) - u64::from(event), event }
    }

    /// Whether a ticket soon after `ticket` is published already.
    fn later_is_published(&self, ticket: u64, tail: u64) -> bool {
        (ticket + 1..tail.min(ticket + 1 + LOOKAHEAD)).any(|later| {
            // Relaxed: only a hint that sealing is due.
            let (lap, index) = unpack(self.slot(later).load(Ordering::Relaxed));
            index != NONE && lap >= self.lap(later)
        })
    }

    /// The next ticket to be drawn.
    pub(super) fn tail(&self) -> u64 {
        self.tail.load(Ordering::Relaxed) & TICKET
    }

    /// Whether pushes are refused.
    pub(super) fn is_closed(&self) -> bool {
        self.tail.load(Ordering::Relaxed) & CLOSED != 0
    }

    /// The drainer's position as last told; the truth may be ahead.
    pub(super) fn head(&self) -> u64 {
        self.head.load(Ordering::Relaxed)
    }

    /// Refuses every later push and returns the first refused ticket. To be asked once.
    pub(super) fn close(&self) -> u64 {
        self.tail.fetch_or(CLOSED, Ordering::Relaxed) & TICKET
    }

    /// Asks every later push for a wake, and returns the next ticket to be drawn.
    pub(super) fn sleep(&self) -> u64 {
        self.tail.fetch_or(SLEEP, Ordering::Relaxed) & TICKET
    }

    /// Whether later pushes are asked for a wake.
    #[cfg(all(test, not(loom)))]
    pub(super) fn is_sleeping(&self) -> bool {
        self.tail.load(Ordering::Relaxed) & SLEEP != 0
    }

    /// Ends what `sleep` began.
    pub(super) fn awake(&self) {
        self.tail.fetch_and(!SLEEP, Ordering::Relaxed);
    }

    /// Events in the slots, and events displaced by them that nobody has counted yet. Exact while
    /// nobody pushes or drains.
    pub(super) fn count(&self) -> (u64, u64) {
        self.slots.iter().fold((0, 0), |(queued, lost), slot| {
            match unpack(slot.load(Ordering::Acquire)) {
                (_, NONE) => (queued, lost),
                (_, index) => {
                    let taken = self.taken(index);
                    (queued + u64::from(taken.event), lost + taken.lost)
                }
            }
        })
    }
}

/// What the drainer finds next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// An event, or a tombstone that carries a count of losses.
    Taken(Taken),
    /// A producer is between its steps, and nothing later is published.
    Unready,
    /// Every ticket drawn so far is resolved.
    Empty,
}

/// The drainer's place in the ring. There is one.
#[derive(Debug, Default)]
pub(super) struct Drain {
    head: u64,
    /// The tail when it was last looked at: looking costs the producers their cache line.
    tail: u64,
    /// Tickets below `head` that a jump passed, still to be swept: from, to.
    pending: Option<(u64, u64)>,
    /// The first ticket refused, once closed.
    end: Option<u64>,
    /// How far behind the oldest possible entry a jump lands. It grows while takes fail, since the
    /// oldest entries are the ones about to be overwritten.
    margin: u64,
}

impl Drain {
    /// At the start of the ring, with a margin to begin with.
    #[cfg(all(test, loom))]
    pub(super) fn with_margin(margin: u64) -> Self {
        Self { margin, ..Self::default() }
    }

    /// The next buffer. `seals`: how many producers that are between their steps may be given up
    /// on; used up as they are, [`u32::MAX`] never. `settle` is a ticket: as soon as `head` has
    /// reached it, what jumps left behind is swept before anything newer.
    pub(super) fn next(&mut self, slots: &Slots, seals: &mut u32, settle: Option<u64>) -> Next {
        loop {
            if settle.is_some_and(|to| self.head >= to)
                && let Some(taken) = self.sweep(slots)
            {
                return Next::Taken(taken);
            }
            if self.head >= self.tail && !self.look(slots) {
                return self.sweep(slots).map_or(Next::Empty, Next::Taken);
            }
            match slots.visit(self.head, *seals > 0) {
                Visit::Taken(taken) => {
                    self.head += 1;
                    return Next::Taken(taken);
                }
                Visit::Sealed => {
                    self.head += 1;
                    *seals -= u32::from(*seals != u32::MAX);
                }
                Visit::Resolved => self.head += 1,
                Visit::Lapped => {
                    self.head += 1;
                    let step = (slots.capacity() / 64).max(1);
                    self.margin = (self.margin + step).min(slots.capacity() / 8);
                    self.look(slots);
                }
                Visit::Unready if slots.later_is_published(self.head, self.tail) => {
                    if let Visit::Taken(taken) = slots.visit(self.head, true) {
                        self.head += 1;
                        return Next::Taken(taken);
                    }
                    self.head += 1;
                }
                Visit::Unready => {
                    self.look(slots);
                    return Next::Unready;
                }
            }
        }
    }

    /// Looks at the tail, jumps when lapped, and says whether there is anything to visit.
    fn look(&mut self, slots: &Slots) -> bool {
        self.tail = self.end.unwrap_or_else(|| slots.tail());
        let oldest = self.tail.saturating_sub(slots.capacity());
        if self.head < oldest {
            let to = (oldest + self.margin).min(self.tail);
            // Tickets more than a lap below `oldest` share their slots with these, whose visit
            // resolves all before it.
            let passed = self.pending.map_or(self.head, |(from, _)| from.min(self.head));
            let from = passed.max(oldest.saturating_sub(slots.capacity()));
            self.pending = (from < to && !mutant("forget_jumped")).then_some((from, to));
            self.head = to;
        }
        if self.head == self.tail {
            self.margin = 0;
        }
        self.head < self.tail
    }

    /// Resolves what jumps left behind, sealing included, up to the next buffer found.
    fn sweep(&mut self, slots: &Slots) -> Option<Taken> {
        while let Some((from, to)) = self.pending {
            self.pending = (from + 1 < to).then_some((from + 1, to));
            if let Visit::Taken(taken) = slots.visit(from, !mutant("sweep_without_seal")) {
                return Some(taken);
            }
        }
        None
    }

    /// Tells the position to the others.
    pub(super) fn tell(&self, slots: &Slots) {
        // Relaxed: a hint for evictions and for `emit_wait`, which reads nothing on its strength.
        slots.head.store(self.head, Ordering::Relaxed);
    }

    /// Whether every ticket below `to` is resolved.
    pub(super) fn is_settled(&self, to: u64) -> bool {
        self.head >= to && self.pending.is_none_or(|(from, _)| from >= to)
    }

    /// From now on `end` is the tail, as `Slots::close` gave it.
    pub(super) fn close(&mut self, end: u64) {
        self.end = Some(end);
    }

    /// Sets SLEEP and says whether sleeping is allowed: nothing is left to visit, and every later
    /// push will wake. Otherwise SLEEP is taken back.
    pub(super) fn may_sleep(&mut self, slots: &Slots) -> bool {
        let tail = slots.sleep();
        if mutant("sleep_unchecked") || (tail == self.head && self.pending.is_none()) {
            return true;
        }
        slots.awake();
        false
    }

    /// As [`may_sleep`](Self::may_sleep), for one drainer over two rings: it may when it may in
    /// both. Each has its SLEEP before either is trusted to stay empty, so a push into any of them
    /// that the answer does not take into account wakes.
    pub(super) fn may_sleep_over([first, second]: [(&mut Self, &Slots); 2]) -> bool {
        if !first.0.may_sleep(first.1) {
            return false;
        }
        let is_second_empty = match mutant("sleep_on_one_flag") {
            true => second.1.tail() == second.0.head,
            false => second.0.may_sleep(second.1),
        };
        if is_second_empty || mutant("sleep_by_one_lane") {
            return true;
        }
        first.1.awake();
        false
    }
}
