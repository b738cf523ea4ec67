//! OTLP in its JSON encoding: <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>.
//!
//! Each line is an `ExportTraceServiceRequest` or an `ExportLogsServiceRequest`, as the file exporter of
//! the collector writes them. The names are those of OpenTelemetry's GenAI conventions.

use std::collections::HashMap;
use std::io::{self, Write};
use std::mem;

use llm_audit::reader::Line;
use llm_audit_ship::mapping::{
    self, Attribute, AttributeValue, LogRecord, Mapper, Record, Span, resource_of,
};
use llm_audit_ship::shipper::Origin;
use serde_json::{Map, Value, json};

use super::Exporter;

/// The records of one request.
const RECORDS_MAX: usize = 256;
/// `STATUS_CODE_ERROR`.
const STATUS_ERROR: u32 = 2;

/// Collects spans and log records by logger, and writes them as requests.
pub(super) struct OtlpExporter<W: Write> {
    out: W,
    /// By the id of the logger.
    started: HashMap<String, Origin>,
    spans: Records,
    logs: Records,
    mapper: Mapper,
}

/// Records of one kind that were not written yet.
#[derive(Default)]
struct Records {
    by_logger: HashMap<String, Vec<Value>>,
    count: usize,
}

impl<W: Write> OtlpExporter<W> {
    pub(super) fn new(out: W) -> Self {
        let (spans, logs) = (Records::default(), Records::default());
        Self { out, started: HashMap::new(), spans, logs, mapper: Mapper::default() }
    }

    /// Writes the spans, or the log records, as one request.
    fn write_request(&mut self, are_spans: bool) -> io::Result<()> {
        let records = mem::take(if are_spans { &mut self.spans } else { &mut self.logs });
        if records.count == 0 {
            return Ok(());
        }
        let (resources, scopes, of) = match are_spans {
            true => ("resourceSpans", "scopeSpans", "spans"),
            false => ("resourceLogs", "scopeLogs", "logRecords"),
        };
        let loggers = records.by_logger.into_iter().map(|(logger, records)| {
            json!({
                "resource": {"attributes": attributes_json(&resource_of(&logger, self.started.get(&logger), &[]))},
                scopes: [{"scope": {"name": "llm-audit", "version": mapping::VERSION},
                    of: records}],
            })
        });
        let request = json!({resources: loggers.collect::<Vec<_>>()});
        writeln!(self.out, "{request}")
    }
}

impl<W: Write> Exporter for OtlpExporter<W> {
    fn note(&mut self, line: &Line<'_>) {
        if let Some(origin) = Origin::read(line) {
            self.started.insert(origin.instance.clone(), origin);
        }
    }

    fn write(&mut self, line: &Line<'_>) -> io::Result<()> {
        let logger = line.instance().unwrap_or_default().to_owned();
        let rates = self.started.get(&logger).and_then(|started| started.rates);
        let (record, are_spans) = match self.mapper.map(line, rates.as_ref()) {
            Record::Span(span) => (span_json(&span), true),
            Record::Log(log) => (log_json(&log), false),
        };
        let records = if are_spans { &mut self.spans } else { &mut self.logs };
        records.by_logger.entry(logger).or_default().push(record);
        records.count += 1;
        if records.count >= RECORDS_MAX { self.write_request(are_spans) } else { Ok(()) }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.write_request(true)?;
        self.write_request(false)?;
        self.out.flush()
    }
}

/// A span in OTLP's JSON.
fn span_json(span: &Span<'_>) -> Value {
    let mut object = json!({
        "traceId": format!("{:032x}", span.trace_id), "spanId": format!("{:016x}", span.span_id),
        "name": span.name, "kind": span.kind as u32,
        "startTimeUnixNano": span.start.to_string(), "endTimeUnixNano": span.end.to_string(),
        "attributes": attributes_json(&span.attributes),
        "status": {},
    });
    if let Some(parent) = span.parent_span_id {
        object["parentSpanId"] = format!("{parent:016x}").into();
    }
    if !span.trace_state.is_empty() {
        object["traceState"] = span.trace_state.as_str().into();
    }
    if let Some(message) = span.error {
        object["status"] = json!({"code": STATUS_ERROR, "message": message});
    }
    object
}

/// A log record in OTLP's JSON.
fn log_json(log: &LogRecord<'_>) -> Value {
    let mut object = json!({
        "severityNumber": log.severity as u32,
        "eventName": log.event_name,
        "body": {"stringValue": log.body},
        "attributes": attributes_json(&log.attributes),
    });
    if let Some(time) = log.time {
        object["timeUnixNano"] = time.to_string().into();
    }
    if let Some((trace, span)) = log.ids {
        object["traceId"] = format!("{trace:032x}").into();
        object["spanId"] = format!("{span:016x}").into();
    }
    object
}

fn attributes_json(attributes: &[Attribute<'_>]) -> Vec<Value> {
    let json = attributes.iter().map(|(key, value)| match value {
        AttributeValue::Text(value) => text(key, value),
        AttributeValue::Int(value) => int(key, *value),
        AttributeValue::Double(value) => attribute(key, "doubleValue", (*value).into()),
    });
    json.collect()
}

fn text(key: &str, value: &str) -> Value {
    attribute(key, "stringValue", value.into())
}

/// Integers of 64 bits are texts in this encoding.
fn int(key: &str, value: i64) -> Value {
    attribute(key, "intValue", value.to_string().into())
}

fn attribute(key: &str, value_type: &str, value: Value) -> Value {
    let value = Map::from_iter([(value_type.to_owned(), value)]);
    json!({"key": key, "value": value})
}
