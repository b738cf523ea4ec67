//! Writes the last lines of the log when the logger closes.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::files::Urgency;
use super::housekeeping::Housekeeping;
use super::{Writer, notices};

/// How long the last line waits for emits of other threads to come to their end.
const IN_FLIGHT: Duration = Duration::from_millis(10);

impl Writer {
    /// Writes the last line.
    pub(super) fn stop(&mut self) {
        let until = Instant::now() + IN_FLIGHT;
        let accounting = loop {
            // First, so that what the last line says of them is what the lines before it tell.
            self.report_dropped();
            let accounting = self.shared.accounting();
            let is_reported = self.shared.counts.dropped.load(Ordering::Relaxed) == 0;
            if accounting.adds_up() && is_reported || Instant::now() >= until {
                break accounting;
            }
            thread::yield_now();
        };
        let now = self.clock.now_micros();
        self.lines.clear();
        let retired = self.house.as_ref().map(Housekeeping::retired_last).unwrap_or_default();
        self.retired_lines(now, &retired);
        if !self.news.is_empty() {
            // Apart, so that on a full disk they leave the end its room. What they cannot tell of
            // then, `verify` finds missing.
            self.own_lines(now);
            if self.deliver(now, Urgency::Loss, 0) {
                self.unsaid = None;
            }
            self.news.clear();
            self.lines.clear();
        }
        self.own_lines(now);
        notices::write_stop(&mut self.lines, now, &self.shared, &accounting);
        // Where it cannot be written the log shows as killed, which is what it then is.
        let _written = self.deliver(now, Urgency::Last, 0);
        self.house = None;
        self.files = None;
        self.finish_exports();
    }
}
