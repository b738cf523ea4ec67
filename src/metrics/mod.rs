//! Counters that show what became of every event.

mod accounting;

pub use accounting::{Accounting, Flushed};
pub(crate) use accounting::{CounterShard, EventCounters, add_to_counter};
