//! Reports lost events in the log, and keeps what cannot be reported yet.

use std::mem::replace;
use std::sync::atomic::Ordering;

use super::Writer;
use super::batch::Batch;
use super::files::{LogFiles, Urgency};
use super::notices::notice_head;
use crate::warnings;
use llm_audit_log::schema::notices::{Loss, Notice};

/// How often an unreported loss is tried again if no event comes.
const RETRY_MICROS: u64 = 500_000;

/// How long the reserve is left alone after it took a loss. The first loss is reported at once, and
/// each one doubles this wait, so that the reserve lasts.
const REPORT_AGAIN_MICROS: u64 = 1_000_000;

/// How long nothing could be written, by the writer's clock.
#[derive(Default)]
pub(super) struct Outage {
    /// When a write was last tried.
    tried_micros: i64,
    /// When the reserve last took a loss, and how long it is left alone afterwards.
    reported_micros: i64,
    wait_micros: u64,
}

impl Writer {
    /// Writes the batch after the losses before it, and counts the outcome.
    pub(super) fn write_batch_with_losses(&mut self, batch: &Batch) {
        let now = self.clock.now_micros();
        if batch.overwritten > 0 {
            if self.shared.settings.notices {
                warnings::warn_of_lost_events(batch.overwritten);
            }
            let first_seq = self.seq + 1;
            self.seq += batch.overwritten;
            let loss =
                Loss { first_seq, last_seq: self.seq, overwritten: batch.overwritten, io_lost: 0 };
            self.append_loss_line(now, loss);
        }
        if self.unreported.is_some() || !self.pending.is_empty() {
            // The lost numbers are lower than those of the batch, so their line goes first.
            let batch = std::mem::take(&mut self.lines);
            self.append_pending_losses(now);
            self.lines.extend_from_slice(&batch);
        }
        let written = self.deliver_lines(now, Urgency::Events, batch.events);
        self.unreported = if written {
            None
        } else if batch.events + batch.overwritten == 0 {
            self.unreported
        } else {
            let before = self.unreported.unwrap_or(Loss {
                first_seq: batch.first_seq,
                last_seq: self.seq,
                overwritten: 0,
                io_lost: 0,
            });
            Some(Loss {
                first_seq: before.first_seq,
                last_seq: self.seq,
                overwritten: before.overwritten + batch.overwritten,
                io_lost: before.io_lost + batch.events,
            })
        };
        match written {
            true => {
                self.outage = Outage::default();
                self.pending.clear();
            }
            false => self.report_outage(now),
        }
    }

    /// Returns whether unreported losses may be tried again if no event comes.
    pub(super) fn may_retry_losses(&self) -> bool {
        self.clock.now_micros().abs_diff(self.outage.tried_micros) >= RETRY_MICROS
    }

    /// Reports losses in the room that is reserved for them. The log then contains them even if the
    /// process is killed before the disk has room again.
    fn report_outage(&mut self, now: i64) {
        self.outage.tried_micros = now;
        let has_reserve = self.files.as_ref().is_some_and(LogFiles::has_reserve);
        let is_due = now.abs_diff(self.outage.reported_micros) >= self.outage.wait_micros;
        let Some(unreported) = self.unreported.filter(|_| has_reserve && is_due) else { return };
        self.lines.clear();
        self.append_loss_line(now, unreported);
        if self.deliver_lines(now, Urgency::Loss, 0) {
            self.unreported = None;
            self.outage.reported_micros = now;
            self.outage.wait_micros = REPORT_AGAIN_MICROS.max(self.outage.wait_micros * 2);
        }
    }

    /// Appends the lines that are pending.
    pub(super) fn append_pending_losses(&mut self, now: i64) {
        if let Some(unreported) = self.unreported {
            self.append_loss_line(now, unreported);
        }
        self.lines.extend_from_slice(&self.pending);
    }

    fn append_loss_line(&mut self, now: i64, loss: Loss) {
        let head = notice_head(&self.shared, &mut self.notices, now);
        loss.write(&mut self.lines, head);
    }

    /// Returns the events that found no memory since the last call. They are counted already: if the writer moved them
    /// to another counter, they would be in neither for a moment, and whoever looks then would miss the loss.
    pub(super) fn take_dropped(&mut self) -> u64 {
        let dropped = self.shared.counts.dropped.load(Ordering::Relaxed);
        dropped - replace(&mut self.dropped_seen, dropped)
    }

    /// Reports the events that found no memory since the last batch.
    pub(super) fn report_dropped_events(&mut self) {
        let dropped = self.take_dropped();
        if dropped > 0 {
            self.lines.clear();
            self.write_batch_with_losses(&Batch {
                overwritten: dropped,
                first_seq: self.seq + 1,
                ..Batch::default()
            });
        }
    }
}
