//! The choice of a trace whose id nobody knows yet.

use super::Trace;
use crate::error::Error;
use crate::folder::Folder;
use crate::query::{Filter, Scan};
use crate::schema::ids::parse_trace_id;
use crate::schema::{Line, Status, is_judgement};

/// Which trace of a log is meant. Of several, the one whose event is later in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Choice {
    /// The one with the newest event.
    Last,
    /// The one with the newest event that failed or timed out.
    Failed,
    /// The one with the event that took longest.
    Slowest,
}

impl Choice {
    /// How much an event speaks for its trace. `None` if it does not.
    fn weight(self, line: &Line<'_>) -> Option<f64> {
        // Judgements of an old trace do not make it a new one.
        if line.event_type().is_some_and(is_judgement) {
            return None;
        }
        let has_failed = || line.status().is_some_and(Status::is_failure);
        match self {
            Self::Failed if !has_failed() => None,
            // A line of another program may have no time; it is then older than all others.
            Self::Last | Self::Failed => {
                Some(line.timestamp().map_or(f64::MIN, |time| time as f64))
            }
            Self::Slowest => line.latency_ms(),
        }
    }
}

impl Trace {
    /// Chooses a trace by the events that a filter wants, of one service if one is given. Returns its
    /// id, 32 hex digits.
    ///
    /// Why the rest of a file cannot be read is added to `damage`. From time to time `progress` gets the
    /// number of bytes that are read.
    pub fn choose(
        folder: &Folder,
        choice: Choice,
        filter: &Filter,
        service: Option<&str>,
        damage: &mut Vec<Error>,
        progress: impl FnMut(u64) + Send,
    ) -> Option<String> {
        let mut best = None::<(f64, u128)>;
        let weigh =
            |line: &Line<'_>| Some((choice.weight(line)?, parse_trace_id(line.trace_id()?).ok()?));
        let each = |line: &Line<'_>, is_event: Option<f64>| {
            if let Some((weight, id)) = is_event.and_then(|_| weigh(line))
                && best.is_none_or(|(most, _)| weight >= most)
            {
                best = Some((weight, id));
            }
        };
        let scan = Scan::of(folder).filter(filter.clone()).service(service);
        let scanned = scan.for_each_line(each, progress);
        damage.extend(scanned.damage);
        best.map(|(_, id)| format!("{id:032x}"))
    }
}
