//! How exporters are called, and those that kept lines back: given time to go on, and at the end a
//! little of it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use super::{LINGER, Writer};
use crate::export::Exporter;
use crate::metrics::add;
use crate::panics::forget_panic;
use llm_audit_process::fork::Process;

/// How long the close waits for an exporter that gets nowhere, and for one that does.
const STUCK: Duration = Duration::from_millis(100);
const SLOW: Duration = Duration::from_secs(1);

impl Writer {
    /// Has exporters go on with what they kept. Returns whether they got anywhere.
    pub(super) fn resume_exports(&mut self) -> bool {
        let before = self.kept_bytes;
        self.kept_bytes = 0;
        for exporter in &mut self.exporters {
            match guarded(|| exporter.resume()) {
                Some(kept) => self.kept_bytes = self.kept_bytes.saturating_add(kept),
                None => add(&self.shared.counts.export_errors, 1),
            }
        }
        self.kept_bytes < before
    }

    /// Ends them, whatever that does.
    pub(super) fn drop_exporters(&mut self) {
        for exporter in self.exporters.drain(..) {
            let _dropped = guarded(|| {
                drop(exporter);
                Ok(())
            });
        }
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

/// One exporter's turn; `false`: it did not take the lines.
pub(super) fn export(exporter: &mut dyn Exporter, lines: &[u8]) -> bool {
    lines.is_empty() || guarded(|| exporter.export(lines)).is_some()
}

/// As [`export`], where the lines are nowhere else: waits until the exporter keeps none of them back.
pub(super) fn export_all(exporter: &mut dyn Exporter, lines: &[u8]) -> bool {
    let mut is_taken = export(exporter, lines);
    while is_taken {
        match guarded(|| exporter.resume()) {
            Some(0) => break,
            Some(_) => thread::park_timeout(LINGER),
            None => is_taken = false,
        }
    }
    is_taken
}

/// What an exporter does is its own: a panic, what its error does when it is dropped, and a child that
/// it forked, which goes no further than this.
fn guarded<T>(run: impl FnOnce() -> io::Result<T>) -> Option<T> {
    let process = Process::current();
    let done = catch_unwind(AssertUnwindSafe(|| run().ok()));
    process.end_child();
    done.unwrap_or_else(|panic| {
        forget_panic(panic);
        None
    })
}
