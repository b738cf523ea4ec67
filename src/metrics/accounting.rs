//! Counts what becomes of all events. Threads count in shards, which are added up on request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;

use super::latency_cells::TimingCells;
use crate::sanitize::{Kind, Redactions};

/// The number of shards of the counters, so that threads do not contend for one cache line.
const SHARDS: usize = 16;

/// What became of every event so far.
///
/// When nothing is in flight, every event has exactly one of these ends:
/// `emitted = written + overwritten + sampled_out + rejected + io_lost + queued`. The log's own
/// `audit.*` lines are not counted.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use llm_audit::{AuditEvent, AuditLogger, EventType};
///
/// # let folder = std::env::temp_dir().join(format!("llm-audit-doc-{}", std::process::id()));
/// let logger = AuditLogger::builder().directory(&folder).build()?;
/// for _ in 0..100 {
///     logger.emit(&AuditEvent::new(EventType::CacheHit, "benefits", "plan.get"));
/// }
/// logger.flush(Duration::from_secs(5))?;
/// let counts = logger.accounting();
/// let ends: u64 = counts.ends().into_iter().map(|(_, count)| count).sum();
/// assert_eq!((counts.emitted, ends), (100, 100));
/// assert!(counts.sampled_out > 0, "the defaults keep a part of what goes well");
/// # drop(logger);
/// # std::fs::remove_dir_all(folder).unwrap();
/// # Ok::<(), llm_audit::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accounting {
    /// Calls of `emit`.
    pub emitted: u64,
    /// Lines written to the file. If there is no file, lines written to standard output or to the
    /// first exporter.
    pub written: u64,
    /// Events that newer events overwrote in the queue.
    pub overwritten: u64,
    /// Events that the sampling policy did not keep, and whose trace did not fail while they were held.
    pub sampled_out: u64,
    /// Events emitted before `init` or after close.
    pub rejected: u64,
    /// Events lost because writing failed.
    pub io_lost: u64,
    /// Events waiting for the writer, and events held until it is known whether their trace fails. This
    /// is measured, not derived.
    pub queued: u64,
    /// Those of `sampled_out` that were not held to the end of their trace, because there was no memory
    /// for them. If their trace failed, they are missing in it. `AUDIT_HOLD_BYTES` is that memory.
    pub hold_full: u64,
    /// Failed traces that are known to lack such events. If a trace had to make room as a whole before
    /// it failed, it is not known.
    pub torn_traces: u64,
    /// Events with a placeholder for a payload, because its `Serialize` impl failed.
    pub unserializable: u64,
    /// Events in which a string or a payload was cut, because it was too large or the queue had no
    /// memory left.
    pub truncated: u64,
    /// Batches that an exporter besides the file did not take, plus failures of its `resume`. Also exports of
    /// metrics that a collector did not take as a whole.
    pub export_errors: u64,
    /// Requests for a cost that was unknown because there was no price.
    pub unpriced: u64,
    /// Model calls without a cost because their answer had no readable usage, or half of one.
    pub unmetered: u64,
    /// Redactions by kind, in the events that were kept or held.
    pub redactions: Redactions,
}

impl Accounting {
    /// Returns every end that an event may have, and how many events had it. `queued` counts those
    /// that have none yet.
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

    /// Returns the sum of all [`ends`](Self::ends). It equals `emitted` when nothing is in flight.
    pub fn accounted(&self) -> u64 {
        self.ends().iter().map(|(_, count)| count).sum()
    }

    /// Reports whether [`accounted`](Self::accounted) equals `emitted`.
    pub fn adds_up(&self) -> bool {
        self.emitted == self.accounted()
    }
}

/// The counters that callers' threads increment.
#[derive(Default)]
pub(crate) struct CounterShard {
    emitted: AtomicU64,
    sampled_out: AtomicU64,
    rejected: AtomicU64,
    unserializable: AtomicU64,
    truncated: AtomicU64,
    redactions: RedactionCounters,
}

struct RedactionCounters([AtomicU64; Kind::COUNT]);

impl Default for RedactionCounters {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

/// All counters of a logger.
///
/// All accesses are relaxed, because each counter is independent. If a caller wants them to add up,
/// it first waits until nothing is in flight (a flush, a join).
#[derive(Default)]
pub(crate) struct EventCounters {
    shards: [CachePadded<CounterShard>; SHARDS],
    pub(crate) written: AtomicU64,
    pub(crate) overwritten: AtomicU64,
    pub(crate) io_lost: AtomicU64,
    /// Events that the writer held and dropped. The shards count those that were never encoded.
    pub(crate) sampled_out: AtomicU64,
    /// Those of them that had no room.
    pub(crate) hold_full: AtomicU64,
    /// Failed traces that are known to lack such events.
    pub(crate) torn_traces: AtomicU64,
    pub(crate) export_errors: AtomicU64,
    pub(crate) bytes_written: AtomicU64,
    pub(crate) writes: TimingCells,
    /// The housekeeping thread counts these.
    pub(crate) syncs: Arc<TimingCells>,
    /// Events taken out of the ring and not yet written or dropped. Only the writer changes it.
    pub(crate) in_hand: AtomicU64,
    /// Those of them that are held.
    pub(crate) held: AtomicU64,
    /// Events for which there was no buffer. They count as overwritten ones.
    pub(crate) dropped: AtomicU64,
}

thread_local! {
    static SHARD: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS
    };
}

pub(crate) fn add_to_counter(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

/// Returns the number of the shard of this thread.
#[inline]
pub(crate) fn shard_of_thread() -> usize {
    SHARD.try_with(|shard| *shard).unwrap_or(0)
}

impl EventCounters {
    /// Returns the shard of this thread.
    pub(crate) fn shard(&self) -> &CounterShard {
        self.shard_at(shard_of_thread())
    }

    /// Returns the shard of a thread that knows its number.
    pub(crate) fn shard_at(&self, number: usize) -> &CounterShard {
        &self.shards[number % SHARDS]
    }

    /// Adds to the events in hand. Only the writer does, so it needs no locked instruction for each event.
    pub(crate) fn add_in_hand(&self, events: u64) {
        let in_hand = self.in_hand.load(Ordering::Relaxed);
        self.in_hand.store(in_hand + events, Ordering::Relaxed);
    }

    /// Takes from the events in hand. Only the writer does.
    pub(crate) fn take_from_hand(&self, events: u64) {
        let in_hand = self.in_hand.load(Ordering::Relaxed);
        self.in_hand.store(in_hand - events, Ordering::Relaxed);
    }

    /// Adds up all counters except `queued`.
    pub(crate) fn sum(&self) -> Accounting {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let over_shards = |of: fn(&CounterShard) -> &AtomicU64| -> u64 {
            self.shards.iter().map(|shard| load(of(shard))).sum()
        };
        let mut redactions = Redactions::default();
        for shard in &self.shards {
            for (kind, counter) in Kind::ALL.into_iter().zip(&shard.redactions.0) {
                redactions.add_many(kind, load(counter));
            }
        }
        // Read the ends first and `emitted` last. If an event is in flight, it then shows as an
        // event without an end, not as an end without an event.
        Accounting {
            written: load(&self.written),
            overwritten: load(&self.overwritten) + load(&self.dropped),
            io_lost: load(&self.io_lost),
            export_errors: load(&self.export_errors),
            sampled_out: load(&self.sampled_out) + over_shards(|shard| &shard.sampled_out),
            hold_full: load(&self.hold_full),
            torn_traces: load(&self.torn_traces),
            rejected: over_shards(|shard| &shard.rejected),
            unserializable: over_shards(|shard| &shard.unserializable),
            truncated: over_shards(|shard| &shard.truncated),
            redactions,
            queued: 0,
            unpriced: 0,
            unmetered: 0,
            emitted: over_shards(|shard| &shard.emitted),
        }
    }
}

/// What became of the events since the same logger last returned this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flushed {
    /// Lines handed to the kernel.
    pub written: u64,
    /// Events that newer events overwrote in the queue.
    pub overwritten: u64,
    /// Events lost because writing failed.
    pub io_lost: u64,
}

impl CounterShard {
    pub(crate) fn emitted(&self, count: u64) {
        add_to_counter(&self.emitted, count);
    }

    pub(crate) fn sampled_out(&self) {
        add_to_counter(&self.sampled_out, 1);
    }

    pub(crate) fn rejected(&self, count: u64) {
        add_to_counter(&self.rejected, count);
    }

    pub(crate) fn unserializable(&self) {
        add_to_counter(&self.unserializable, 1);
    }

    pub(crate) fn truncated(&self) {
        add_to_counter(&self.truncated, 1);
    }

    #[inline]
    pub(crate) fn redacted(&self, redactions: &Redactions) {
        if redactions.total() > 0 {
            for (kind, counter) in Kind::ALL.into_iter().zip(&self.redactions.0) {
                add_to_counter(counter, redactions.get(kind));
            }
        }
    }
}
