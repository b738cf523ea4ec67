//! The events of one trace, as a tree of spans.

mod choose;
mod find;
#[cfg(test)]
mod tests;
mod tree;

use crate::schema::{CaptureContent, Line, Status, Usd, is_judgement, is_llm_call};
use crate::writers::Writers;
pub use choose::Choice;
pub use find::Found;
pub use tree::Step;

/// One trace.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Trace {
    /// Its 32 hex digits; short ids are filled up with zeros in front.
    pub id: String,
    /// Its spans, in the order in which their first events happened.
    pub spans: Vec<Span>,
    /// The spans at the top, by time.
    pub roots: Vec<usize>,
    /// Events past the first 100,000, which are not in the tree.
    pub left_out: u64,
}

/// The events that share a span id.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Span {
    /// 16 hex digits; empty for an event that came without.
    pub id: String,
    /// The id of the span above, whether or not the log has it.
    pub parent: Option<String>,
    /// The spans below, by time.
    pub children: Vec<usize>,
    /// Its events by time, those of one time and those without in the order of the log; never
    /// empty.
    pub events: Vec<Event>,
    /// Evaluations and feedback of what happened in the span, by time. If there is nothing else of it in the log, they are
    /// its events.
    pub judgements: Vec<Event>,
    /// Whether the span above is missing from the log.
    pub is_orphan: bool,
    /// Whether its chain of parents led back to it; it was put at the top.
    pub is_circular: bool,
}

/// One event of a trace.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Event {
    /// `event_type`.
    pub event_type: String,
    /// `agent`.
    pub agent: String,
    /// `action`.
    pub action: String,
    /// `status`.
    pub status: Option<Status>,
    /// When it was emitted, which is when it ended: microseconds since the Unix epoch.
    pub timestamp: Option<i64>,
    /// `latency_ms`.
    pub latency_ms: Option<f64>,
    /// `tokens_input`.
    pub tokens_input: Option<u64>,
    /// `tokens_output`.
    pub tokens_output: Option<u64>,
    /// `cost_usd`.
    pub cost_usd: Option<Usd>,
    /// `data.model`.
    pub model: Option<String>,
    /// The message of its error.
    pub error: Option<String>,
    /// The service that wrote it, by its `audit.start`.
    pub service: Option<String>,
    /// In which traces its writer keeps content, by its `audit.start`.
    pub capture_content: Option<CaptureContent>,
    /// The whole line.
    pub line: String,
}

impl Event {
    pub(super) fn from_line(line: &Line<'_>, writers: &Writers, text: String) -> Self {
        let owned = |text: Option<&str>| text.unwrap_or_default().to_owned();
        Self {
            event_type: owned(line.event_type()),
            agent: owned(line.agent()),
            action: owned(line.action()),
            status: line.status(),
            timestamp: line.timestamp(),
            latency_ms: line.latency_ms().filter(|ms| ms.is_finite() && *ms >= 0.0),
            tokens_input: line.tokens_input(),
            tokens_output: line.tokens_output(),
            cost_usd: line.cost_usd(),
            model: line.model().map(str::to_owned),
            error: line.error_message().map(str::to_owned),
            service: writers.service_of(line).map(str::to_owned),
            capture_content: writers.content_of(line),
            line: text,
        }
    }

    /// When it began and ended, in microseconds since the Unix epoch.
    fn interval(&self) -> Option<(i64, i64)> {
        let end = self.timestamp?;
        let micros = self.latency_ms.unwrap_or(0.0) * 1_000.0;
        Some((end.saturating_sub(micros as i64), end))
    }

    /// Whether it reports a failure.
    pub fn is_failure(&self) -> bool {
        self.status.is_some_and(Status::is_failure)
    }

    /// Whether it judges what others did, maybe days later.
    pub(super) fn is_judgement(&self) -> bool {
        is_judgement(&self.event_type)
    }

    /// Whether its tokens and cost count towards the trace's: those of requests and agents repeat the
    /// sum of what happened below them.
    fn counts_towards_trace(&self) -> bool {
        is_llm_call(&self.event_type)
    }
}

impl Span {
    /// When it began and ended, in microseconds since the Unix epoch, by its events' times and
    /// latencies.
    pub fn interval(&self) -> Option<(i64, i64)> {
        join_intervals(self.events.iter().filter_map(Event::interval))
    }
}

fn join_intervals(intervals: impl Iterator<Item = (i64, i64)>) -> Option<(i64, i64)> {
    intervals.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

impl Trace {
    /// All events but [judgements](Span::judgements), span by span.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.spans.iter().flat_map(|span| &span.events)
    }

    /// When it began and ended, in microseconds since the Unix epoch. Spans that only have judgements do not count, unless
    /// there are no others.
    pub fn interval(&self) -> Option<(i64, i64)> {
        let of = |spans: &mut dyn Iterator<Item = &Span>| {
            join_intervals(spans.filter_map(Span::interval))
        };
        let has_happened = |span: &&Span| !span.events.iter().all(Event::is_judgement);
        of(&mut self.spans.iter().filter(has_happened)).or_else(|| of(&mut self.spans.iter()))
    }

    /// Input and output tokens of its calls of models. Other events may repeat their sum.
    pub fn tokens(&self) -> (u64, u64) {
        let counting = || self.events().filter(|event| event.counts_towards_trace());
        let sum = |tokens: fn(&Event) -> Option<u64>| {
            counting().filter_map(tokens).fold(0, u64::saturating_add)
        };
        (sum(|event| event.tokens_input), sum(|event| event.tokens_output))
    }

    /// What its calls of models cost in US dollars, exactly. `None` if no call has a cost.
    pub fn cost_usd(&self) -> Option<Usd> {
        let counting = self.events().filter(|event| event.counts_towards_trace());
        counting.filter_map(|event| event.cost_usd).reduce(|a, b| a + b)
    }
}
