//! Reports lost events in the log, and keeps what cannot be reported yet.

use std::sync::atomic::Ordering;

use super::Writer;
use super::batch::Batch;
use super::files::{LogFiles, Urgency};
use crate::metrics::add;
use llm_audit_log::schema::notices::{Loss, Notice};

/// How often a loss that could not be said is tried again without an event.
const RETRY_MICROS: u64 = 500_000;

/// A disk that stays full is told of at once, and then after so long, doubled each time: the
/// reserve is to last.
const TOLD_AGAIN_MICROS: u64 = 1_000_000;

/// How long nothing could be written, on the writer's clock.
#[derive(Default)]
pub(super) struct Outage {
    /// When it was last tried.
    tried_micros: i64,
    /// When the reserve last took a loss, and how long it is then left alone.
    told_micros: i64,
    wait_micros: u64,
}

impl Writer {
    /// Hands the batch on, losses said, and counts what became of it.
    pub(super) fn write(&mut self, batch: &Batch) {
        let now = self.clock.now_micros();
        if batch.overwritten > 0 {
            let first_seq = self.seq + 1;
            self.seq += batch.overwritten;
            let loss =
                Loss { first_seq, last_seq: self.seq, overwritten: batch.overwritten, io_lost: 0 };
            self.loss_line(now, loss);
        }
        if self.unsaid.is_some() || !self.news.is_empty() {
            // The lost numbers are lower than those of the batch, so their line goes first.
            let batch = std::mem::take(&mut self.lines);
            self.own_lines(now);
            self.lines.extend_from_slice(&batch);
        }
        let written = self.deliver(now, Urgency::Events, batch.events);
        self.unsaid = if written {
            None
        } else if batch.events + batch.overwritten == 0 {
            self.unsaid
        } else {
            let before = self.unsaid.unwrap_or(Loss {
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
                self.news.clear();
            }
            false => self.report_outage(now),
        }
    }

    /// Whether what could not be said may be tried again although nothing came.
    pub(super) fn may_retry(&self) -> bool {
        self.clock.now_micros().abs_diff(self.outage.tried_micros) >= RETRY_MICROS
    }

    /// Says what is lost in the room that is kept for it, so that the log knows even where it is
    /// killed before the disk has room again.
    fn report_outage(&mut self, now: i64) {
        self.outage.tried_micros = now;
        let has_reserve = self.files.as_ref().is_some_and(LogFiles::has_reserve);
        let is_due = now.abs_diff(self.outage.told_micros) >= self.outage.wait_micros;
        let Some(unsaid) = self.unsaid.filter(|_| has_reserve && is_due) else { return };
        self.lines.clear();
        self.loss_line(now, unsaid);
        if self.deliver(now, Urgency::Loss, 0) {
            self.unsaid = None;
            self.outage.told_micros = now;
            self.outage.wait_micros = TOLD_AGAIN_MICROS.max(self.outage.wait_micros * 2);
        }
    }

    /// What waits to be said.
    pub(super) fn own_lines(&mut self, now: i64) {
        if let Some(unsaid) = self.unsaid {
            self.loss_line(now, unsaid);
        }
        self.lines.extend_from_slice(&self.news);
    }

    fn loss_line(&mut self, now: i64, loss: Loss) {
        let instance = &self.shared.instance;
        loss.write(&mut self.lines, instance, now);
    }

    /// Events for which there was no memory since the last batch.
    pub(super) fn report_dropped(&mut self) {
        let dropped = self.shared.counts.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            add(&self.shared.counts.overwritten, dropped);
            self.lines.clear();
            self.write(&Batch {
                overwritten: dropped,
                first_seq: self.seq + 1,
                ..Batch::default()
            });
        }
    }
}
