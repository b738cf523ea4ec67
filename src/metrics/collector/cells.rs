//! The counters of one row, which any thread increments without a lock.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use crossbeam_utils::CachePadded;
use llm_audit_log::Usd;
use llm_audit_log::schema::{LATENCY_BUCKETS, LATENCY_MICROS_MAX, Latencies, latency_bucket};
use llm_audit_process::cell::OnceCell;

use crate::metrics::accounting::{add_to_counter, shard_of_thread};
use crate::record::event::AuditEvent;

/// The number of shards of a row's counters.
const SHARDS: usize = 8;
/// The number of buckets in a page of a histogram.
const PAGE_BUCKETS: usize = 128;
const PAGES: usize = LATENCY_BUCKETS.div_ceil(PAGE_BUCKETS);

/// No event has more tokens. A sum over all events then does not wrap.
const TOKENS_MAX: u64 = 1 << 40;

/// What events of one set of labels add up to.
#[derive(Default)]
pub(super) struct Cells {
    shards: [CachePadded<Shard>; SHARDS],
    latencies: LatencyCells,
}

/// The counters of a few threads.
#[derive(Default)]
struct Shard {
    events: AtomicU64,
    tokens_input: AtomicU64,
    tokens_output: AtomicU64,
    latency_micros: AtomicU64,
    cost: CostCell,
}

/// What the counters have added up to at some time.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums {
    pub(super) events: u64,
    pub(super) tokens_input: u64,
    pub(super) tokens_output: u64,
    pub(super) latency_micros: u64,
    pub(super) cost: Usd,
    pub(super) latencies: Latencies,
}

impl Cells {
    #[inline(always)]
    pub(super) fn add(&self, event: &AuditEvent<'_>) {
        let shard = &self.shards[shard_of_thread() % SHARDS];
        add_to_counter(&shard.events, 1);
        // The line has no other latencies either.
        if let Some(ms) = event.latency_ms.filter(|ms| (0.0..f64::INFINITY).contains(ms)) {
            let micros = ((ms * 1_000.0) as u64).min(LATENCY_MICROS_MAX);
            add_to_counter(&shard.latency_micros, micros);
            self.latencies.add(micros);
        }
        if let Some(tokens) = event.tokens_input {
            add_to_counter(&shard.tokens_input, tokens.min(TOKENS_MAX));
        }
        if let Some(tokens) = event.tokens_output {
            add_to_counter(&shard.tokens_output, tokens.min(TOKENS_MAX));
        }
        if let Some(cost) = event.cost_usd.filter(|cost| !cost.is_negative()) {
            shard.cost.add(cost);
        }
    }

    pub(super) fn sums(&self) -> Sums {
        let mut sums = Sums { latencies: self.latencies.read(), ..Sums::default() };
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        for shard in &self.shards {
            sums.events += load(&shard.events);
            sums.tokens_input = sums.tokens_input.saturating_add(load(&shard.tokens_input));
            sums.tokens_output = sums.tokens_output.saturating_add(load(&shard.tokens_output));
            sums.latency_micros = sums.latency_micros.saturating_add(load(&shard.latency_micros));
            sums.cost += shard.cost.read();
        }
        sums
    }
}

/// An exact sum of money: the two halves of its 128 bits.
#[derive(Default)]
struct CostCell {
    low: AtomicU64,
    high: AtomicU64,
    /// Additions that have begun, and those that have ended.
    begun: AtomicU64,
    ended: AtomicU64,
}

impl CostCell {
    fn add(&self, cost: Usd) {
        let bits = u128::from_le_bytes(cost.to_le_bytes());
        let (low, high) = (bits as u64, (bits >> 64) as u64);
        self.begun.fetch_add(1, Ordering::Relaxed);
        // Whoever sees one of the halves change sees the beginning, too.
        fence(Ordering::Release);
        let before = self.low.fetch_add(low, Ordering::Relaxed);
        let carry = u64::from(before.checked_add(low).is_none());
        self.high.fetch_add(high.wrapping_add(carry), Ordering::Relaxed);
        self.ended.fetch_add(1, Ordering::Release);
    }

    /// A sum that is read never falls, because a reader would take that for a restart. So this waits a little
    /// for additions that have begun. After many of them it may lack 2⁶⁴ units: 2 cents of a millionth dollar.
    fn read(&self) -> Usd {
        const TRIES_MAX: u32 = 1_000;
        for tries in 1.. {
            let ended = self.ended.load(Ordering::Acquire);
            let low = self.low.load(Ordering::Relaxed);
            let high = self.high.load(Ordering::Relaxed);
            fence(Ordering::Acquire);
            if self.begun.load(Ordering::Relaxed) == ended || tries == TRIES_MAX {
                let bits = (u128::from(high) << 64) | u128::from(low);
                return Usd::from_le_bytes(bits.to_le_bytes());
            }
            std::hint::spin_loop();
        }
        unreachable!("the last try returns")
    }
}

/// A histogram with the buckets of [`Latencies`]. Its memory comes in pages, when the first latency of
/// a page comes.
struct LatencyCells([OnceCell<[AtomicU64; PAGE_BUCKETS]>; PAGES]);

impl Default for LatencyCells {
    fn default() -> Self {
        Self(array::from_fn(|_| OnceCell::new()))
    }
}

impl LatencyCells {
    #[inline]
    fn add(&self, micros: u64) {
        let bucket = latency_bucket(micros);
        let page = &self.0[bucket / PAGE_BUCKETS];
        let page = page.get().unwrap_or_else(|| page.set(array::from_fn(|_| AtomicU64::new(0))));
        add_to_counter(&page[bucket % PAGE_BUCKETS], 1);
    }

    fn read(&self) -> Latencies {
        let mut read = Latencies::default();
        let pages = self.0.iter().enumerate();
        for (number, page) in pages.filter_map(|(number, page)| Some((number, page.get()?))) {
            for (place, count) in page.iter().enumerate() {
                let count = count.load(Ordering::Relaxed);
                read.add_to_bucket(number * PAGE_BUCKETS + place, count);
            }
        }
        read
    }
}
