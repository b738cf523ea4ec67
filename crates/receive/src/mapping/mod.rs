//! What a span or a log record of OTLP becomes.

use llm_audit_log::schema::Status;
use serde_json::{Map, Value};

/// An event, as it was received. Nothing of it is redacted yet.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceivedEvent {
    /// One of the schema's types, or a dotted name of the sender's own.
    pub event_type: String,
    /// Who did it.
    pub agent: String,
    /// What was done.
    pub action: String,
    /// How it ended.
    pub status: Status,
    /// W3C ids, as far as the sender gives them.
    pub trace_id: Option<u128>,
    /// The span of the event.
    pub span_id: Option<u64>,
    /// The span above it.
    pub parent_span_id: Option<u64>,
    /// When it ended, in microseconds since the Unix epoch.
    pub timestamp: Option<i64>,
    /// How long it took.
    pub latency_ms: Option<f64>,
    /// Tokens, with cached ones.
    pub tokens_input: Option<u64>,
    /// Tokens, with those of reasoning.
    pub tokens_output: Option<u64>,
    /// What it cost, as the sender's decimal text.
    pub cost_usd: Option<String>,
    /// The payload.
    pub data: Map<String, Value>,
    /// The error's object, with `type` and `message`.
    pub error: Option<Map<String, Value>>,
}
