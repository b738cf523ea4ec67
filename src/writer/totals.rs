//! Writes what all events of a minute add up to, before sampling.

use llm_audit_log::schema::notices::Notice;

use super::Writer;
use super::notices::notice_head;
use crate::metrics::TakenMetrics;

const MINUTE_MICROS: i64 = 60_000_000;

/// What the totals so far contain.
pub(super) struct Totals {
    /// The end of the last ones, the beginning of a minute.
    to: i64,
    taken: TakenMetrics,
}

impl Totals {
    pub(super) fn since(now: i64) -> Self {
        Self { to: minute_of(now), taken: TakenMetrics::default() }
    }
}

impl Writer {
    /// Appends the totals of the minutes that are over, if there were events in them. The last ones are also
    /// those of the minute that is not over.
    ///
    /// While other lines cannot be written, no totals are made. The next ones then cover this time, too.
    pub(super) fn append_totals(&mut self, is_last: bool) {
        let now = self.clock.now_micros();
        let minute = minute_of(now);
        let to = if is_last { minute + MINUTE_MICROS } else { minute };
        let Some(totals) = &mut self.totals else { return };
        // If the clock was set back, events of its last minute count in this one.
        let from = totals.to.min(minute);
        let is_due = from < to && self.pending.is_empty();
        totals.to = if is_due { to } else { from };
        if !is_due && !is_last {
            return;
        }
        let mut totals = self.shared.metrics.take_totals(&mut totals.taken);
        if totals.rows.is_empty() {
            return;
        }
        (totals.from, totals.to, totals.through_seq) = (from, to, self.seq);
        totals.write(&mut self.pending, notice_head(&self.shared, &mut self.notices, now));
    }
}

/// Returns the beginning of a minute.
fn minute_of(micros: i64) -> i64 {
    micros - micros.rem_euclid(MINUTE_MICROS)
}
