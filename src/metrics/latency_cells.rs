//! A histogram that any thread adds to without a lock.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use llm_audit_log::schema::{LATENCY_BUCKETS, Latencies, latency_of_ms};
use llm_audit_process::cell::OnceCell;

use super::accounting::add_to_counter;

/// The number of buckets in a page.
const PAGE_BUCKETS: usize = 128;
const PAGES: usize = LATENCY_BUCKETS.div_ceil(PAGE_BUCKETS);

/// A histogram with the buckets of [`Latencies`]. Its memory comes in pages, when the first latency of a page comes.
pub(crate) struct LatencyCells([OnceCell<Page>; PAGES]);

struct Page([AtomicU64; PAGE_BUCKETS]);

impl Default for Page {
    fn default() -> Self {
        Self(array::from_fn(|_| AtomicU64::new(0)))
    }
}

/// Returns the value of a cell, which is made if there is none.
#[inline(always)]
pub(crate) fn get_or_make<T: Default + Send + Sync + 'static>(cell: &OnceCell<T>) -> &T {
    cell.get().unwrap_or_else(|| make(cell))
}

#[cold]
#[inline(never)]
fn make<T: Default + Send + Sync + 'static>(cell: &OnceCell<T>) -> &T {
    cell.set(T::default())
}

impl Default for LatencyCells {
    fn default() -> Self {
        Self(array::from_fn(|_| OnceCell::new()))
    }
}

impl LatencyCells {
    /// Adds a latency, also to `micros`, unless it is one that a line does not have either.
    #[inline(always)]
    pub(crate) fn add(&self, ms: f64, micros: &AtomicU64) {
        let Some((latency, bucket)) = latency_of_ms(ms) else { return };
        let Page(page) = get_or_make(&self.0[bucket / PAGE_BUCKETS]);
        add_to_counter(&page[bucket % PAGE_BUCKETS], 1);
        add_to_counter(micros, latency);
    }

    pub(crate) fn read(&self) -> Latencies {
        let mut read = Latencies::default();
        let pages = self.0.iter().enumerate();
        for (number, page) in pages.filter_map(|(number, page)| Some((number, page.get()?))) {
            for (place, count) in page.0.iter().enumerate() {
                let count = count.load(Ordering::Relaxed);
                read.add_to_bucket(number * PAGE_BUCKETS + place, count);
            }
        }
        read
    }
}

/// How often something was done, and how long it took.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Timings {
    /// How long it took each time.
    pub latencies: Latencies,
    /// How long it took together, in milliseconds.
    pub ms_sum: f64,
}

/// The same, while it is counted.
#[derive(Default)]
pub(crate) struct TimingCells {
    latencies: LatencyCells,
    micros: AtomicU64,
}

impl TimingCells {
    pub(crate) fn add(&self, time: Duration) {
        self.latencies.add(time.as_nanos() as f64 / 1e6, &self.micros);
    }

    pub(crate) fn read(&self) -> Timings {
        let ms_sum = self.micros.load(Ordering::Relaxed) as f64 / 1_000.0;
        Timings { latencies: self.latencies.read(), ms_sum }
    }
}
