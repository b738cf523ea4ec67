//! Writes the last lines of the log when the logger closes.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::Writer;
use super::files::Urgency;
use super::housekeeping::Housekeeping;
use super::notices::{self, notice_head};

/// How long the last line waits until emits of other threads end.
const IN_FLIGHT: Duration = Duration::from_millis(10);

impl Writer {
    /// Writes the last line.
    pub(super) fn close_log(&mut self) {
        let until = Instant::now() + IN_FLIGHT;
        let accounting = loop {
            // First, so that the last line counts the same losses as the lines before it.
            self.report_dropped_events();
            let accounting = self.shared.accounting();
            let is_reported =
                self.shared.counts.dropped.load(Ordering::Relaxed) == self.dropped_seen;
            if accounting.adds_up() && is_reported || Instant::now() >= until {
                break accounting;
            }
            thread::yield_now();
        };
        let now = self.clock.now_micros();
        self.lines.clear();
        let retired = self.house.as_ref().map(Housekeeping::take_last_retired).unwrap_or_default();
        self.append_retired_lines(now, &retired);
        self.append_totals(true);
        self.append_alert_lines(true);
        if !self.pending.is_empty() {
            // In a write of their own. If the disk is full, they then leave room for the last line.
            // If they do not fit, `verify` reports those files as missing.
            self.append_pending_losses(now);
            if self.deliver_lines(now, Urgency::Loss, 0) {
                self.unreported = None;
            }
            self.pending.clear();
            self.lines.clear();
        }
        self.append_pending_losses(now);
        let head = notice_head(&self.shared, &mut self.notices, now);
        notices::write_stop_notice(&mut self.lines, head, &self.shared, &accounting);
        // If this line cannot be written, `verify` reports the log as killed, which is then true.
        let _written = self.deliver_lines(now, Urgency::Last, 0);
        self.look_for_disabled_spans(true);
        self.house = None;
        self.files = None;
        self.finish_exports();
    }
}
