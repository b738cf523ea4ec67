//! Calls exporters, and gives those that kept lines back time to write them.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use super::{NAP, Writer};
use crate::export::Exporter;
use crate::metrics::add_to_counter;
use crate::panics::forget_panic;
use llm_audit_process::fork::Process;

/// How long the close waits for exporters: if none makes progress, and if one does.
const STUCK: Duration = Duration::from_millis(100);
const SLOW: Duration = Duration::from_secs(1);

impl Writer {
    /// Lets exporters continue with what they kept. Returns whether they made progress.
    pub(super) fn resume_exports(&mut self) -> bool {
        let before = self.kept_bytes;
        self.kept_bytes = 0;
        for exporter in &mut self.exporters {
            match run_exporter_code(|| exporter.resume()) {
                Some(kept) => self.kept_bytes = self.kept_bytes.saturating_add(kept),
                None => add_to_counter(&self.shared.counts.export_errors, 1),
            }
        }
        self.kept_bytes < before
    }

    /// Drops all exporters. A panic or an error of one does not reach the caller.
    pub(super) fn drop_exporters(&mut self) {
        for exporter in self.exporters.drain(..) {
            let _dropped = run_exporter_code(|| {
                drop(exporter);
                Ok(())
            });
        }
    }

    /// Waits for what exporters still keep, as long as they make progress.
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
            thread::park_timeout(NAP);
        }
        if self.kept_bytes > 0 {
            add_to_counter(&self.shared.counts.export_errors, 1);
        }
    }
}

/// Gives lines to one exporter. Returns `false` if it did not take them.
pub(super) fn export_lines(exporter: &mut dyn Exporter, lines: &[u8]) -> bool {
    lines.is_empty() || run_exporter_code(|| exporter.export(lines)).is_some()
}

/// Does the same as [`export_lines`] for an exporter that is the only output. It waits until the exporter
/// keeps nothing back.
pub(super) fn export_all_lines(exporter: &mut dyn Exporter, lines: &[u8]) -> bool {
    let mut is_taken = export_lines(exporter, lines);
    while is_taken {
        match run_exporter_code(|| exporter.resume()) {
            Some(0) => break,
            Some(_) => thread::park_timeout(NAP),
            None => is_taken = false,
        }
    }
    is_taken
}

/// Runs code of an exporter. A panic in it, or in the drop of its error, goes no further. A child
/// process that it forks ends here.
fn run_exporter_code<T>(run: impl FnOnce() -> io::Result<T>) -> Option<T> {
    let process = Process::current();
    let done = catch_unwind(AssertUnwindSafe(|| run().ok()));
    process.exit_if_forked();
    done.unwrap_or_else(|panic| {
        forget_panic(panic);
        None
    })
}
