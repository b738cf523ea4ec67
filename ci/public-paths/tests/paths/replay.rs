//! `replay`: recorded events as values.

use std::error::Error as StdError;
use std::fmt::{Debug, Display};
use std::path::Path;

use llm_audit::reader::Line;
use llm_audit::replay::{
    RecordedError, RecordedEvent, errors_from_jsonl, full_trace, successful_result,
};
use llm_audit::{Error, Status, Usd};

use crate::{Plain, converted, fields, implement};

fn errors(path: impl AsRef<Path>) -> Result<Vec<RecordedEvent>, Error> {
    converted(errors_from_jsonl(&path, None))?;
    converted(errors_from_jsonl(path, "search"))
}

fn result(path: impl AsRef<Path>) -> Result<Option<RecordedEvent>, Error> {
    converted(successful_result(&path, None))?;
    converted(successful_result(path, "search"))
}

fn trace(path: impl AsRef<Path>) -> Result<Vec<RecordedEvent>, Error> {
    converted(full_trace(path, "4bf92f35"))
}

fn event() {
    let _: fn(&Line<'_>) -> RecordedEvent = RecordedEvent::from_line;
    let _: fn(&RecordedEvent) -> bool = RecordedEvent::is_failure;
    let _: fn(&RecordedEvent) -> bool = RecordedEvent::is_start;
}

fields!(RecordedEvent {
    event_version: Option<String>,
    instance: Option<String>,
    seq: Option<u64>,
    trace_id: Option<String>,
    span_id: Option<String>,
    parent_span_id: Option<String>,
    timestamp: Option<i64>,
    event_type: String,
    agent: String,
    action: String,
    status: Option<Status>,
    latency_ms: Option<f64>,
    tokens_input: Option<u64>,
    tokens_output: Option<u64>,
    cost_usd: Option<Usd>,
    kept: Option<String>,
    error: Option<RecordedError>,
});

fields!(RecordedError {
    error_type: String,
    message: String,
    traceback: Option<String>,
    recoverable: Option<bool>,
});

implement! {
    RecordedEvent: Plain, Clone, Debug, Default, PartialEq;
    RecordedError: Plain, Clone, Debug, Default, Display, PartialEq, StdError;
}
