//! Requests with the shapes that senders send, and what they become.

mod docs;
mod golden;
mod hostile;
mod own;
mod rules;

use std::path::PathBuf;
use std::{env, fs};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

use super::{Mapper, ReceivedEvent, Skipped};

/// Maps a request in OTLP's JSON.
fn mapped(json: &str, captures_content: bool) -> (Vec<ReceivedEvent>, Skipped) {
    let (mut events, mapper) = (Vec::new(), Mapper::new(captures_content));
    let mut each = |event| events.push(event);
    let skipped = match json.contains("\"resourceLogs\"") {
        true => mapper.logs(serde_json::from_str(json).expect("logs"), &mut each),
        false => mapper.spans(serde_json::from_str(json).expect("spans"), &mut each),
    };
    (events, skipped)
}

/// Maps log records of one scope and service.
fn mapped_logs(mapper: &Mapper, scope: &str, records: Vec<LogRecord>) -> Vec<ReceivedEvent> {
    let scope_logs = vec![ScopeLogs {
        scope: Some(InstrumentationScope { name: scope.to_owned(), ..Default::default() }),
        log_records: records,
        ..Default::default()
    }];
    let resource = Some(Resource::default());
    let resource_logs = vec![ResourceLogs { resource, scope_logs, ..Default::default() }];
    let mut events = Vec::new();
    mapper.logs(ExportLogsServiceRequest { resource_logs }, &mut |event| events.push(event));
    events
}

/// Maps spans of one scope and service.
fn mapped_spans(mapper: &Mapper, scope: &str, spans: Vec<Span>) -> Vec<ReceivedEvent> {
    let scope_spans = vec![ScopeSpans {
        scope: Some(InstrumentationScope { name: scope.to_owned(), ..Default::default() }),
        spans,
        ..Default::default()
    }];
    let resource = Some(Resource::default());
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..Default::default() }];
    let mut events = Vec::new();
    mapper.spans(ExportTraceServiceRequest { resource_spans }, &mut |event| events.push(event));
    events
}

fn attribute(key: &str, value: Any) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Any::StringValue(value.to_owned()))
}

/// Compares a text with that of a file, or writes it there.
fn assert_file(path: PathBuf, expected: &str) {
    if env::var_os("LLM_AUDIT_BLESS").is_some() {
        return fs::write(&path, expected).expect("the file can be written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{path:?} differs; LLM_AUDIT_BLESS=1 cargo test -p llm-audit-receive writes it. It should be:\n{expected}"
    );
}
