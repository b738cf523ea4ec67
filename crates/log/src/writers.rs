//! Which service wrote the lines of each instance.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::slice;

use memchr::memmem;

use crate::folder::{Lines, LogFile};
use crate::schema::notices::{NoticeType, ReadNotice, SamplingRates};
use crate::schema::{CaptureContent, Line, Status};

/// Who wrote a log, by the `audit.start` lines that were seen so far: the service of each instance,
/// and the rates by which it samples.
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
    content: HashMap<String, CaptureContent>,
    /// Of the instances that leave something out.
    rates: BTreeMap<Vec<u8>, SamplingRates>,
}

impl Writers {
    /// Whether a line may be one that [`note`](Self::note) remembers, without parsing it.
    pub fn may_be_start(line: &[u8]) -> bool {
        memmem::find(line, NoticeType::Start.name().as_bytes()).is_some()
    }

    /// Remembers who writes if the line is an `audit.start`.
    pub fn note(&mut self, line: &Line<'_>) {
        // Totals, which are long, are not read.
        if line.event_type() != Some(NoticeType::Start.name()) {
            return;
        }
        if let (Some(ReadNotice::Start(start)), Some(id)) = (ReadNotice::of(line), line.instance())
        {
            if let Some(content) = start.capture_content {
                self.content.insert(id.to_owned(), content);
            }
            if let Some(service) = start.service {
                self.services.insert(id.to_owned(), service);
            }
            if let Some(rates) = start.rates.filter(|rates| rates.success.min(rates.error) < 1.0) {
                self.rates.insert(id.as_bytes().to_vec(), rates);
            }
        }
    }

    /// How many events a line counts as: 1 if its writer leaves nothing out.
    ///
    /// A line that the draws kept counts as those too that they leave out. A slow one counts as one, as
    /// all of them are kept. One that is here only because its trace failed, or because its parent was
    /// kept, counts as none: lines that the draws kept count in its place. So the sum over many lines is an
    /// unbiased estimate (Horvitz and Thompson, 1952).
    pub fn weight_of(&self, line: &Line<'_>) -> f64 {
        let rates = line.instance_bytes().filter(|_| !self.rates.is_empty());
        let Some(rates) = rates.and_then(|instance| self.rates.get(instance)) else { return 1.0 };
        if line.latency_ms().is_some_and(|took| took > rates.slow_threshold_ms) {
            return 1.0;
        }
        let is_failure = line.status().is_some_and(Status::is_failure);
        match if is_failure { rates.error } else { rates.success } {
            _ if line.kept().is_some() => 0.0,
            rate if rate > 0.0 => 1.0 / rate,
            _ => 1.0,
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

    /// In which traces the line's writer keeps content. `None` if its `audit.start` was not seen or does not
    /// say so.
    pub(crate) fn content_of(&self, line: &Line<'_>) -> Option<CaptureContent> {
        self.content.get(line.instance()?).copied()
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
