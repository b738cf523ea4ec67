//! Exporters that kept lines back: given time to go on, and at the end a little of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use super::{LINGER, Writer};
use crate::accounting::add;
use crate::record::forget_panic;

/// How long the close waits for an exporter that gets nowhere, and for one that does.
const STUCK: Duration = Duration::from_millis(100);
const SLOW: Duration = Duration::from_secs(1);

impl Writer {
    /// Has exporters go on with what they kept. Returns whether they got anywhere.
    pub(super) fn resume_exports(&mut self) -> bool {
        let before = self.kept_bytes;
        self.kept_bytes = 0;
        for exporter in &mut self.exporters {
            let kept = catch_unwind(AssertUnwindSafe(|| exporter.resume().ok()));
            match kept.unwrap_or_else(|panic| {
                forget_panic(panic);
                None
            }) {
                Some(kept) => self.kept_bytes += kept,
                None => add(&self.shared.counts.export_errors, 1),
            }
        }
        self.kept_bytes < before
    }

    /// Waits for what exporters still keep, as long as somebody takes it.
    pub(super) fn finish_exports(&mut self) {
        let end = Instant::now() + SLOW;
        let mut stuck = Instant::now() + STUCK;
        loop {
            if self.resume_exports() {
                stuck = Instant::now() + STUCK;
            }
            if self.kept_bytes == 0 || Instant::now() >= stuck.min(end) {
                break;
            }
            thread::park_timeout(LINGER);
        }
        if self.kept_bytes > 0 {
            add(&self.shared.counts.export_errors, 1);
        }
    }
}
