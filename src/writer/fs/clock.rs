//! The clock of the writer: the operating system's, or one that tests set.

#[cfg(all(test, not(loom)))]
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

/// The time of day.
pub(crate) trait Clock: Send + Sync {
    /// Returns microseconds since the Unix epoch.
    fn now_micros(&self) -> i64;
}

/// The clock of the operating system.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now_micros(&self) -> i64 {
        crate::record::event::unix_micros(SystemTime::now())
    }
}

/// A clock that only moves when it is set.
#[cfg(all(test, not(loom)))]
#[derive(Default)]
pub(crate) struct TestClock(AtomicI64);

#[cfg(all(test, not(loom)))]
impl TestClock {
    pub(crate) fn set(&self, micros: i64) {
        self.0.store(micros, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
impl Clock for TestClock {
    fn now_micros(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}
