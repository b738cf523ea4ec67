//! One event of a log, owned and with all fields of the schema.

use serde_json::{Map, Value};

use crate::json::Json;
use crate::schema::{Line, Status, Usd};

/// How deep a payload may nest. What is deeper is read as `"[TOO_DEEP]"`, as the recorder writes it.
const PAYLOAD_DEPTH_MAX: usize = 100;

/// One event as it was recorded.
///
/// A field is `None` if it is missing, `null` or of another type. Ids are as the log has them.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RecordedEvent {
    /// `event_version`.
    pub event_version: Option<String>,
    /// `instance`.
    pub instance: Option<String>,
    /// `seq`.
    pub seq: Option<u64>,
    /// `trace_id`.
    pub trace_id: Option<String>,
    /// `span_id`.
    pub span_id: Option<String>,
    /// `parent_span_id`.
    pub parent_span_id: Option<String>,
    /// `timestamp`, in microseconds since the Unix epoch.
    pub timestamp: Option<i64>,
    /// `event_type`; empty if there is none.
    pub event_type: String,
    /// `agent`; empty if there is none.
    pub agent: String,
    /// `action`; empty if there is none.
    pub action: String,
    /// `status`.
    pub status: Option<Status>,
    /// `latency_ms`.
    pub latency_ms: Option<f64>,
    /// `tokens_input`.
    pub tokens_input: Option<u64>,
    /// `tokens_output`.
    pub tokens_output: Option<u64>,
    /// `cost_usd`, exact.
    pub cost_usd: Option<Usd>,
    /// `kept`.
    pub kept: Option<String>,
    /// `data`.
    pub data: Option<Value>,
    /// `error`.
    pub error: Option<RecordedError>,
    /// The members that the schema does not know.
    pub extra: Map<String, Value>,
}

/// Why a recorded step failed.
///
/// `Display` shows the message alone, as the original did, and `source` the texts of its sources.
///
/// A function under `#[audit_span(replay)]` gets its error back from this, by the `From` impl of its
/// error type.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RecordedError {
    /// `type`: the name of the error's type; empty if there is none.
    pub error_type: String,
    /// `message`; empty if there is none.
    pub message: String,
    /// `traceback`: the sources of the error.
    pub traceback: Option<String>,
    /// `recoverable`.
    pub recoverable: Option<bool>,
    /// `input_snapshot`.
    pub input_snapshot: Option<Value>,
    /// `environment`.
    pub environment: Option<Value>,
    /// The sources that the traceback names.
    source: Option<Box<RecordedError>>,
}

/// What is before each source in a traceback.
const CAUSED_BY: &str = "caused by: ";

impl RecordedEvent {
    /// Copies a line.
    pub fn from_line(line: &Line<'_>) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self {
            event_version: owned(line.event_version()),
            instance: owned(line.instance()),
            seq: line.seq(),
            trace_id: owned(line.trace_id()),
            span_id: owned(line.span_id()),
            parent_span_id: owned(line.parent_span_id()),
            timestamp: line.timestamp(),
            event_type: owned(line.event_type()).unwrap_or_default(),
            agent: owned(line.agent()).unwrap_or_default(),
            action: owned(line.action()).unwrap_or_default(),
            status: line.status(),
            latency_ms: line.latency_ms(),
            tokens_input: line.tokens_input(),
            tokens_output: line.tokens_output(),
            cost_usd: line.cost_usd(),
            kept: owned(line.kept()),
            data: line.data().map(copy_payload),
            error: line.error().map(RecordedError::read),
            extra: line.extra().map(|(name, json)| (name.to_owned(), copy_payload(json))).collect(),
        }
    }

    /// Returns the member of `data` with this name, unless it is `null`.
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.data.as_ref()?.get(name).filter(|value| !value.is_null())
    }

    /// Whether it reports a failure.
    pub fn is_failure(&self) -> bool {
        self.status.is_some_and(Status::is_failure)
    }

    /// Whether it is only the beginning of a step, which another event ends.
    pub fn is_start(&self) -> bool {
        matches!(self.event_type.as_str(), "request.start" | "tool.call")
    }
}

impl RecordedError {
    fn read(json: Json<'_>) -> Self {
        if let Some(message) = json.as_str() {
            return Self { message: message.to_owned(), ..Self::default() };
        }
        let member = |name| json.get(name).filter(|member| !member.is_null());
        let text = |name| member(name).and_then(Json::as_str).map(str::to_owned);
        Self {
            error_type: text("type").unwrap_or_default(),
            message: text("message").unwrap_or_default(),
            traceback: text("traceback"),
            recoverable: member("recoverable").and_then(Json::as_bool),
            input_snapshot: member("input_snapshot").map(copy_payload),
            environment: member("environment").map(copy_payload),
            source: None,
        }
        .with_sources()
    }

    /// Returns the error of a failure.
    #[cfg(feature = "replay")]
    pub fn from_failure(failure: &super::FixtureFailure) -> Self {
        Self {
            error_type: failure.error_type.clone(),
            message: failure.message.clone(),
            traceback: failure.traceback.clone(),
            recoverable: failure.recoverable,
            ..Self::default()
        }
        .with_sources()
    }

    fn with_sources(mut self) -> Self {
        // A text of several lines is one source. A backtrace is none.
        let chain = self.traceback.as_deref().and_then(|text| text.split("\n   0: ").next());
        let sources = chain.and_then(|text| text.strip_prefix(CAUSED_BY));
        let split = format!("\n{CAUSED_BY}");
        let sources = sources.into_iter().flat_map(|text| text.rsplit(&split));
        self.source = sources.fold(None, |source, message| {
            Some(Box::new(Self { message: message.to_owned(), source, ..Self::default() }))
        });
        self
    }
}

impl std::fmt::Display for RecordedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.message.is_empty() { &self.error_type } else { &self.message })
    }
}

impl std::error::Error for RecordedError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

fn copy_payload(json: Json<'_>) -> Value {
    copy_nested(json, 0)
}

fn copy_nested(json: Json<'_>, depth: usize) -> Value {
    if !json.is_object() && !json.is_array() {
        return serde_json::to_value(json).unwrap_or(Value::Null);
    }
    if depth == PAYLOAD_DEPTH_MAX {
        return "[TOO_DEEP]".into();
    }
    if json.is_array() {
        return json.items().map(|item| copy_nested(item, depth + 1)).collect();
    }
    let copy = |(name, value): (&str, _)| (name.to_owned(), copy_nested(value, depth + 1));
    Value::Object(json.members().map(copy).collect())
}
