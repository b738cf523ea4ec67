//! The ends of all events: counted where they happen, added up when asked.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;

use crate::sanitize::{Kind, Redactions};

/// Counters are split over this many shards, so that threads do not fight for one cache line.
const SHARDS: usize = 16;

/// What became of every event so far.
///
/// At any moment when nothing is in flight,
/// `emitted = written + overwritten + sampled_out + rejected + io_lost + queued`: every event has
/// exactly one of these ends. The log's own `audit.*` lines stand outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accounting {
    /// Calls of `emit`.
    pub emitted: u64,
    /// Lines in the file; where there is none, on standard output or the first exporter.
    pub written: u64,
    /// Overwritten in the queue by newer events.
    pub overwritten: u64,
    /// Not kept by the sampling policy.
    pub sampled_out: u64,
    /// Emitted before `init` or after close.
    pub rejected: u64,
    /// Lost because writing failed.
    pub io_lost: u64,
    /// Waiting for the writer. Measured, not derived.
    pub queued: u64,
    /// Events of which a payload is a placeholder, because its `Serialize` impl failed.
    pub unserializable: u64,
    /// Events of which a string or a payload was cut: too large, or no memory left in the queue.
    pub truncated: u64,
    /// Batches that an exporter beside the file did not take, and its failures to go on with what it
    /// had kept of others.
    pub export_errors: u64,
    /// Costs that were asked for and not known, for want of a price.
    pub unpriced: u64,
    /// Redactions by kind, in events that were kept.
    pub redactions: Redactions,
}

impl Accounting {
    /// Every end an event may have, and how many had it; `queued` for those that have none yet.
    pub fn ends(&self) -> [(&'static str, u64); 6] {
        [
            ("written", self.written),
            ("overwritten", self.overwritten),
            ("sampled_out", self.sampled_out),
            ("rejected", self.rejected),
            ("io_lost", self.io_lost),
            ("queued", self.queued),
        ]
    }

    /// The sum of all [`ends`](Self::ends), which is `emitted` when nothing is in flight.
    pub fn accounted(&self) -> u64 {
        self.ends().iter().map(|(_, count)| count).sum()
    }

    /// Whether the identity holds.
    pub fn adds_up(&self) -> bool {
        self.emitted == self.accounted()
    }
}

/// What the callers' threads count.
#[derive(Default)]
pub(crate) struct Shard {
    emitted: AtomicU64,
    sampled_out: AtomicU64,
    rejected: AtomicU64,
    unserializable: AtomicU64,
    truncated: AtomicU64,
    redactions: ByKind,
}

struct ByKind([AtomicU64; Kind::COUNT]);

impl Default for ByKind {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

/// All counters of a logger. Relaxed throughout: each is a number by itself, and whoever wants
/// them to agree waits until nothing is in flight (a flush, a join).
#[derive(Default)]
pub(crate) struct Counts {
    shards: [CachePadded<Shard>; SHARDS],
    pub(crate) written: AtomicU64,
    pub(crate) overwritten: AtomicU64,
    pub(crate) io_lost: AtomicU64,
    pub(crate) export_errors: AtomicU64,
    /// Taken out of the ring and not yet written.
    pub(crate) in_hand: AtomicU64,
    /// Events for which there was no buffer; the writer adds them to the overwritten.
    pub(crate) dropped: AtomicU64,
}

thread_local! {
    static SHARD: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS
    };
}

pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

impl Counts {
    /// The shard of this thread.
    pub(crate) fn shard(&self) -> &Shard {
        &self.shards[SHARD.try_with(|shard| *shard).unwrap_or(0)]
    }

    /// Everything but `queued`.
    pub(crate) fn sum(&self) -> Accounting {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let over_shards = |of: fn(&Shard) -> &AtomicU64| -> u64 {
            self.shards.iter().map(|shard| load(of(shard))).sum()
        };
        let mut redactions = Redactions::default();
        for shard in &self.shards {
            for (kind, counter) in Kind::ALL.into_iter().zip(&shard.redactions.0) {
                redactions.add_many(kind, load(counter));
            }
        }
        // Ends first and `emitted` last: an event in flight then shows as one without an end, not
        // as an end without an event.
        Accounting {
            written: load(&self.written),
            overwritten: load(&self.overwritten),
            io_lost: load(&self.io_lost),
            export_errors: load(&self.export_errors),
            sampled_out: over_shards(|shard| &shard.sampled_out),
            rejected: over_shards(|shard| &shard.rejected),
            unserializable: over_shards(|shard| &shard.unserializable),
            truncated: over_shards(|shard| &shard.truncated),
            redactions,
            queued: 0,
            unpriced: 0,
            emitted: over_shards(|shard| &shard.emitted),
        }
    }
}

/// What became of the events since this was last returned by the same logger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flushed {
    /// Lines handed to the kernel.
    pub written: u64,
    /// Overwritten in the queue by newer events.
    pub overwritten: u64,
    /// Lost because writing failed.
    pub io_lost: u64,
}

impl Shard {
    pub(crate) fn emitted(&self, count: u64) {
        add(&self.emitted, count);
    }

    pub(crate) fn sampled_out(&self) {
        add(&self.sampled_out, 1);
    }

    pub(crate) fn rejected(&self, count: u64) {
        add(&self.rejected, count);
    }

    pub(crate) fn unserializable(&self) {
        add(&self.unserializable, 1);
    }

    pub(crate) fn truncated(&self) {
        add(&self.truncated, 1);
    }

    #[inline]
    pub(crate) fn redacted(&self, redactions: &Redactions) {
        if redactions.total() > 0 {
            for (kind, counter) in Kind::ALL.into_iter().zip(&self.redactions.0) {
                add(counter, redactions.get(kind));
            }
        }
    }
}
