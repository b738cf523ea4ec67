//! The state of one logger, as a reader knows it.

use llm_audit_log::Line;
use llm_audit_log::schema::notices::SamplingRates;
use serde::{Deserialize, Serialize};

use super::Minutes;

/// What a reader knows of one logger, by the lines that it has read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Instance {
    pub(super) service: String,
    /// Whether its events are counted by its `audit.totals` lines, and not by their own.
    pub(super) has_totals: bool,
    pub(super) rates: Option<SamplingRates>,
    /// The numbers of the last event and of the last own line.
    pub(super) last_seq: u64,
    pub(super) last_notice: u64,
    /// The events that totals have counted.
    pub(super) through_seq: u64,
    /// Whether events wait that have content.
    #[serde(default)]
    pub(super) holds_content: bool,
    /// The end of the last totals and when they were written, in microseconds since the Unix epoch.
    #[serde(default)]
    pub(super) counted: (i64, i64),
    /// The place of the totals line before the last one, or of the beginning. Events that no totals have
    /// counted come later.
    pub(super) totals_before: FilePlace,
    pub(super) totals_last: FilePlace,
    /// The file of the last line.
    pub(super) file: String,
    pub(super) has_stopped: bool,
    /// The events after its last totals, because the logger was killed.
    pub(super) uncounted: Option<Minutes>,
    /// Whether it seemed to be dead when it was looked at last, with the numbers of its last lines then.
    pub(super) suspected_at: Option<(u64, u64)>,
}

/// A place in a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct FilePlace {
    pub(super) file: String,
    pub(super) offset: u64,
}

impl Instance {
    /// Notes a line and returns whether it is a new one, not one that was read before.
    pub(super) fn is_new(&mut self, line: &Line<'_>) -> bool {
        let (number, last) = match (line.seq(), line.notice()) {
            (Some(seq), _) => (seq, &mut self.last_seq),
            (None, Some(notice)) => (notice, &mut self.last_notice),
            (None, None) => return true,
        };
        let is_new = number > *last;
        *last = number.max(*last);
        is_new
    }

    /// How many events a line counts as.
    pub(super) fn weight_of(&self, line: &Line<'_>) -> f64 {
        self.rates.as_ref().map_or(1.0, |rates| rates.weight_of(line))
    }

    pub(super) fn last_numbers(&self) -> (u64, u64) {
        (self.last_seq, self.last_notice)
    }
}
