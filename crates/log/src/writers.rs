//! Which service wrote the lines of each instance.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::slice;

use memchr::memmem;

use crate::folder::{Lines, LogFile};
use crate::schema::notices::{NoticeType, ReadNotice, SamplingRates};
use crate::schema::{CaptureContent, Line};

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

    /// How many events a line counts as: 1 if its writer leaves nothing out, otherwise
    /// [`SamplingRates::weight_of`] it.
    pub fn weight_of(&self, line: &Line<'_>) -> f64 {
        let rates = line.instance_bytes().filter(|_| !self.rates.is_empty());
        let Some(rates) = rates.and_then(|instance| self.rates.get(instance)) else { return 1.0 };
        rates.weight_of(line)
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
