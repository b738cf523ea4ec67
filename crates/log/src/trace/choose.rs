//! The choice of a trace whose id nobody knows yet.

use super::Trace;
use crate::error::Error;
use crate::folder::{Entry, Folder};
use crate::query::Filter;
use crate::schema::ids::parse_trace_id;
use crate::schema::{Line, Status};
use crate::writers::Writers;

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
    /// From time to time `progress` gets the number of bytes that are read.
    ///
    /// # Errors
    ///
    /// A file cannot be read.
    pub fn choose(
        folder: &Folder,
        choice: Choice,
        filter: &Filter,
        service: Option<&str>,
        mut progress: impl FnMut(u64),
    ) -> Result<Option<String>, Error> {
        let (mut writers, mut best) = (Writers::default(), None::<(f64, u128)>);
        let mut lines = folder.lines();
        while let Some(entry) = lines.next_line()? {
            if let Some((weight, id)) = weigh(entry, choice, filter, service, &mut writers)
                && best.is_none_or(|(most, _)| weight >= most)
            {
                best = Some((weight, id));
            }
            progress(lines.bytes_read());
        }
        Ok(best.map(|(_, id)| format!("{id:032x}")))
    }
}

fn weigh(
    mut entry: Entry<'_>,
    choice: Choice,
    filter: &Filter,
    service: Option<&str>,
    writers: &mut Writers,
) -> Option<(f64, u128)> {
    let line = entry.parse().ok()?;
    writers.note(&line);
    let is_wanted = writers.is_of(&line, service) && !line.is_own() && filter.matches(&line);
    Some((is_wanted.then(|| choice.weight(&line))??, parse_trace_id(line.trace_id()?).ok()?))
}
