//! Which service wrote the lines of each instance.

use std::collections::{BTreeSet, HashMap};
use std::slice;

use memchr::memmem;

use crate::folder::{Lines, LogFile};
use crate::schema::Line;
use crate::schema::notices::{NoticeType, ReadNotice};

/// The services of a log's instances, by the `audit.start` lines that were seen so far.
///
/// A line says which instance wrote it. The first line of an instance in a file says which service
/// the instance is.
///
/// # Examples
///
/// ```
/// use llm_audit_log::{Writers, parse};
///
/// let mut start = br#"{"instance":"00112233445566ff","event_type":"audit.start",
///     "data":{"service":"billing"}}"#.to_vec();
/// let mut event = br#"{"instance":"00112233445566ff","event_type":"tool.call"}"#.to_vec();
/// let mut writers = Writers::default();
/// writers.note(&parse(&mut start)?);
/// assert_eq!(writers.service_of(&parse(&mut event)?), Some("billing"));
/// # Ok::<(), llm_audit_log::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Writers {
    services: HashMap<String, String>,
}

impl Writers {
    /// Whether a line may be one that [`note`](Self::note) remembers, without parsing it.
    pub fn may_be_start(line: &[u8]) -> bool {
        memmem::find(line, NoticeType::Start.name().as_bytes()).is_some()
    }

    /// Remembers the service if the line is an `audit.start`.
    pub fn note(&mut self, line: &Line<'_>) {
        if let (Some(ReadNotice::Start(start)), Some(id)) = (ReadNotice::of(line), line.instance())
            && let Some(service) = start.service
        {
            self.services.insert(id.to_owned(), service);
        }
    }

    /// Whether lines of more than one service were seen.
    pub fn are_several(&self) -> bool {
        let mut services = self.services.values();
        let first = services.next();
        services.any(|service| Some(service) != first)
    }

    /// The service that wrote the line. `None` if its `audit.start` was not seen.
    pub fn service_of(&self, line: &Line<'_>) -> Option<&str> {
        self.services.get(line.instance()?).map(String::as_str)
    }

    /// Whether the line is of the service that is asked for, if one is.
    pub fn is_of(&self, line: &Line<'_>, service: Option<&str>) -> bool {
        service.is_none() || self.service_of(line) == service
    }

    /// Remembers the services that the first lines of a file name, at most so many. What cannot be
    /// read names none.
    pub fn note_file(&mut self, file: &LogFile, lines_max: usize) {
        let mut lines = Lines::of(slice::from_ref(file));
        for _ in 0..lines_max {
            let Ok(Some(mut entry)) = lines.next_line() else { break };
            if Self::may_be_start(entry.bytes)
                && let Ok(line) = entry.parse()
            {
                self.note(&line);
            }
        }
    }

    /// The names of the services that were seen, each once.
    pub fn services(&self) -> BTreeSet<&str> {
        self.services.values().map(String::as_str).collect()
    }
}
