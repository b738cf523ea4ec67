//! How events become spans and log records of OpenTelemetry.
//!
//! The names are those of the
//! [GenAI conventions](https://opentelemetry.io/docs/specs/semconv/gen-ai/). A change of what an event
//! becomes raises [`VERSION`].

mod attributes;
mod open_inference;
mod points;
mod resource;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use llm_audit_log::Recent;
use llm_audit_log::schema::gen_ai::EVALUATION_EVENT;
use llm_audit_log::schema::ids::{parse_span_id, parse_trace_id};
use llm_audit_log::schema::notices::SamplingRates;
use llm_audit_log::schema::trace_rate::{
    keeps_trace, randomness_of_id, rejection_threshold, threshold_member,
};
use llm_audit_log::schema::{EventType, Line, Status};

use attributes::{attributes_of, name_and_kind};
use open_inference::span_attributes_of;
use points::Points;
pub use resource::resource_of;

/// The version of the mapping, which is the version of the instrumentation scope.
pub const VERSION: &str = "3";

/// An attribute: its name, and its value.
pub type Attribute<'l> = (Cow<'static, str>, AttributeValue<'l>);

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are those of OTLP")]
pub enum AttributeValue<'l> {
    Text(Cow<'l, str>),
    Int(i64),
    Double(f64),
}

/// What an event becomes.
#[derive(Clone, Debug, PartialEq)]
pub enum Record<'l> {
    /// An event that ends something that took time, in a trace that is kept whole.
    Span(Span<'l>),
    /// Any other.
    Log(LogRecord<'l>),
}

/// A span. Times are nanoseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are those of OTLP")]
pub struct Span<'l> {
    pub trace_id: u128,
    pub span_id: u64,
    pub parent_span_id: Option<u64>,
    /// `ot=th:…`, if sampling left out traces like this one.
    pub trace_state: String,
    pub name: Cow<'l, str>,
    pub kind: SpanKind,
    pub start: u64,
    pub end: u64,
    /// The message of a failure.
    pub error: Option<&'l str>,
    pub attributes: Vec<Attribute<'l>>,
}

/// `SpanKind`, with the numbers of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of OTLP")]
pub enum SpanKind {
    Internal = 1,
    Server = 2,
    Client = 3,
}

/// A log record. The time is in nanoseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are those of OTLP")]
pub struct LogRecord<'l> {
    /// Trace and span.
    pub ids: Option<(u128, u64)>,
    pub time: Option<u64>,
    pub severity: Severity,
    pub event_name: &'l str,
    pub body: &'l str,
    pub attributes: Vec<Attribute<'l>>,
}

/// `SeverityNumber`, with the numbers of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of OTLP")]
pub enum Severity {
    Info = 9,
    Warn = 13,
    Error = 17,
}

/// How many events without a span, and how many kept traces, are remembered at least.
const REMEMBERED_MAX: usize = 1 << 15;

/// Maps the events of a log, in their order.
///
/// A span is not below an event that became a log record. For this it remembers the last 32,768 of these events, and as
/// many traces.
#[derive(Debug, Default)]
pub struct Mapper {
    points: Points,
    /// Traces that a logger keeps although they were not drawn.
    kept: Recent<(Option<u64>, u128), (), REMEMBERED_MAX>,
}

impl Mapper {
    /// Maps an event. `rates` are those by which its logger samples; without them every trace counts as whole.
    pub fn map<'l>(&mut self, line: &'l Line<'_>, rates: Option<&SamplingRates>) -> Record<'l> {
        if let Some(span) = self.span_of(line, rates) {
            return Record::Span(span);
        }
        self.points.note(line);
        Record::Log(log_record_of(line))
    }

    /// Returns the span that an event ends, if it has a latency, a time and ids.
    fn span_of<'l>(
        &mut self,
        line: &'l Line<'_>,
        rates: Option<&SamplingRates>,
    ) -> Option<Span<'l>> {
        let ids = ids_of(line);
        let state = match (rates, ids) {
            (Some(rates), Some((trace_id, ..))) => self.trace_state(line, trace_id, rates),
            _ => Some(String::new()),
        };
        // These begin what another event ends, or judge it.
        match line.event_type().map(EventType::from_name) {
            Some(EventType::RequestStart | EventType::ToolCall) => return None,
            Some(event_type) if event_type.is_judgement() => return None,
            _ => {}
        }
        let ((trace_id, span_id, parent), trace_state) = (ids?, state?);
        let (end, took) = (line.timestamp()?, line.latency_ms().filter(|took| *took >= 0.0)?);
        let end = nanos(end);
        let (name, kind) = name_and_kind(line);
        Some(Span {
            trace_id,
            span_id,
            parent_span_id: parent.and_then(|parent| self.points.span_above(trace_id, parent)),
            trace_state,
            name,
            kind,
            start: end.saturating_sub((took * 1e6) as u64),
            end,
            error: is_failure(line).then(|| line.error_message().unwrap_or_default()),
            attributes: span_attributes_of(line),
        })
    }

    /// Returns the `tracestate` of an event's trace if it is kept whole, as far as is known.
    ///
    /// A trace that was drawn is whole. So is one that failed or whose caller kept it, from the first event on that
    /// says so. Any other event says nothing about its trace: it was slow, or drawn alone. Those before it are
    /// [`Points`].
    fn trace_state(
        &mut self,
        line: &Line<'_>,
        trace_id: u128,
        rates: &SamplingRates,
    ) -> Option<String> {
        let fails = is_failure(line) && rates.error >= 1.0 && rates.keeps_failed_traces;
        let is_drawn =
            line.kept().is_none() && keeps_trace(randomness_of_id(trace_id), rates.trace);
        if rates.trace >= 1.0 || is_drawn && fails {
            return Some(String::new());
        }
        if is_drawn {
            return Some(format!("ot={}", threshold_member(rejection_threshold(rates.trace))));
        }
        let says_so = fails || matches!(line.kept(), Some("failed" | "parent"));
        let instance = line.instance().and_then(|instance| parse_span_id(instance).ok());
        let key = (instance, trace_id);
        let is_kept = says_so || self.kept.get(&key).is_some();
        is_kept.then(|| {
            self.kept.insert(key, ());
            String::new()
        })
    }
}

fn is_failure(line: &Line<'_>) -> bool {
    line.status().is_some_and(Status::is_failure)
}

/// Trace, span and parent. Short ids of older lines have zeros before them.
fn ids_of(line: &Line<'_>) -> Option<(u128, u64, Option<u64>)> {
    let trace = parse_trace_id(line.trace_id()?).ok()?;
    let span = parse_span_id(line.span_id()?).ok()?;
    Some((trace, span, line.parent_span_id().and_then(|id| parse_span_id(id).ok())))
}

fn log_record_of<'l>(line: &'l Line<'_>) -> LogRecord<'l> {
    let severity = match line.status() {
        Some(Status::Ok) | None => Severity::Info,
        Some(Status::Retry) => Severity::Warn,
        Some(_) => Severity::Error,
    };
    LogRecord {
        ids: ids_of(line).map(|(trace, span, _)| (trace, span)),
        time: line.timestamp().map(nanos),
        severity,
        event_name: match line.event_type().unwrap_or_default() {
            "eval.result" => EVALUATION_EVENT,
            event_type => event_type,
        },
        body: line.error_message().or(line.action()).unwrap_or_default(),
        attributes: attributes_of(line),
    }
}

/// Times before 1970 become 1970.
fn nanos(micros: i64) -> u64 {
    u64::try_from(micros).unwrap_or(0).saturating_mul(1_000)
}
