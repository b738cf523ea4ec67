//! OTLP in its JSON encoding: <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>.
//!
//! Each line is an `ExportTraceServiceRequest` or an `ExportLogsServiceRequest`, as the file exporter of
//! the collector writes them. The names are those of OpenTelemetry's GenAI conventions.

use std::collections::HashMap;
use std::io::{self, Write};
use std::mem;

use llm_audit::reader::{Json, Line};
use llm_audit::{EventType, Status};
use llm_audit_log::schema::ids::{parse_span_id, parse_trace_id};
use llm_audit_log::schema::notices::{ReadNotice, Started};
use serde_json::{Map, Value, json};

use super::Exporter;

/// The records of one request.
const RECORDS_MAX: usize = 256;
/// How many events without a span are remembered at once, twice.
const POINTS_MAX: usize = 1 << 15;
/// How many of them may be above each other.
const DEPTH_MAX: usize = 64;
/// `SPAN_KIND_INTERNAL`.
const INTERNAL: u32 = 1;
/// `SPAN_KIND_SERVER`.
const SERVER: u32 = 2;
/// `SPAN_KIND_CLIENT`.
const CLIENT: u32 = 3;
/// `STATUS_CODE_ERROR`.
const STATUS_ERROR: u32 = 2;
/// `SEVERITY_NUMBER_INFO`.
const INFO: u32 = 9;
/// `SEVERITY_NUMBER_WARN`.
const WARN: u32 = 13;
/// `SEVERITY_NUMBER_ERROR`.
const ERROR: u32 = 17;

/// Collects spans and log records by logger, and writes them as requests.
pub(super) struct OtlpExporter<W: Write> {
    out: W,
    /// By the id of the logger.
    started: HashMap<String, Started>,
    spans: Records,
    logs: Records,
    points: Points,
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
        Self { out, started: HashMap::new(), spans, logs, points: Points::default() }
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
                "resource": {"attributes": self.resource(&logger)},
                scopes: [{"scope": {"name": "llm-audit", "version": env!("CARGO_PKG_VERSION")},
                    of: records}],
            })
        });
        let request = json!({resources: loggers.collect::<Vec<_>>()});
        writeln!(self.out, "{request}")
    }

    fn resource(&self, logger: &str) -> Vec<Value> {
        let started = self.started.get(logger);
        let known = |text: fn(&Started) -> Option<String>| started.and_then(text);
        let service = known(|started| started.service.clone());
        let mut attributes =
            vec![text("service.name", &service.unwrap_or_else(|| "unknown_service".to_owned()))];
        if !logger.is_empty() {
            attributes.push(text("service.instance.id", logger));
        }
        attributes
            .extend(known(|started| started.host.clone()).map(|host| text("host.name", &host)));
        attributes
            .extend(started.and_then(|started| started.pid).map(|pid| int("process.pid", pid)));
        attributes
    }
}

impl<W: Write> Exporter for OtlpExporter<W> {
    fn note(&mut self, line: &Line<'_>) {
        if let (Some(ReadNotice::Start(start)), Some(id)) = (ReadNotice::of(line), line.instance())
        {
            self.started.insert(id.to_owned(), start);
        }
    }

    fn write(&mut self, line: &Line<'_>) -> io::Result<()> {
        let span = span_of(line, &self.points);
        if span.is_none() {
            self.points.note(line);
        }
        let are_spans = span.is_some();
        let records = if are_spans { &mut self.spans } else { &mut self.logs };
        let logger = line.instance().unwrap_or_default().to_owned();
        let record = span.unwrap_or_else(|| log_record_of(line));
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

/// Events that become no span, and may have spans below them: what is above each.
#[derive(Default)]
struct Points {
    /// By trace and span, those that were noted last and those before. Each has so many at most.
    recent: HashMap<[String; 2], String>,
    earlier: HashMap<[String; 2], String>,
}

impl Points {
    fn note(&mut self, line: &Line<'_>) {
        // These begin a span, and another event ends it. So may events of other programs' types.
        match line.event_type().map(EventType::from_name) {
            None | Some(EventType::RequestStart | EventType::ToolCall | EventType::Custom(_)) => {
                return;
            }
            Some(_) => {}
        }
        let Some([trace, span, parent]) = ids_of(line) else { return };
        if self.recent.len() == POINTS_MAX {
            self.earlier = mem::take(&mut self.recent);
        }
        self.recent.insert([trace, span], parent);
    }

    /// The next span above that is one, or may be one; nothing at the top of the trace.
    fn span_above(&self, trace: &str, mut parent: String) -> String {
        // Parents may lead back to themselves.
        for _ in 0..DEPTH_MAX {
            let key = [trace.to_owned(), parent];
            match self.recent.get(&key).or_else(|| self.earlier.get(&key)) {
                Some(above) => parent = above.clone(),
                None => {
                    let [_, parent] = key;
                    return parent;
                }
            }
        }
        String::new()
    }
}

/// The ids in full length: trace, span, and the parent or nothing. Short ones of older lines get zeros.
fn ids_of(line: &Line<'_>) -> Option<[String; 3]> {
    let trace = parse_trace_id(line.trace_id()?).ok()?;
    let span = parse_span_id(line.span_id()?).ok()?;
    let parent = line.parent_span_id().and_then(|id| parse_span_id(id).ok());
    let parent = parent.map_or(String::new(), |id| format!("{id:016x}"));
    Some([format!("{trace:032x}"), format!("{span:016x}"), parent])
}

/// The span that an event ends, if it has a latency, a time and ids.
fn span_of(line: &Line<'_>, points: &Points) -> Option<Value> {
    let [trace, span, parent] = ids_of(line)?;
    let parent = points.span_above(&trace, parent);
    let (end, took) = (line.timestamp()?, line.latency_ms().filter(|took| *took >= 0.0)?);
    let end = i128::from(end) * 1_000;
    let start = (end - (took * 1e6) as i128).max(0);
    let (name, kind) = name_and_kind(line);
    let mut object = json!({
        "traceId": trace, "spanId": span, "name": name, "kind": kind,
        "startTimeUnixNano": start.to_string(), "endTimeUnixNano": end.to_string(),
        "attributes": attributes_of(line),
        "status": {},
    });
    if !parent.is_empty() {
        object["parentSpanId"] = parent.into();
    }
    if line.status().is_some_and(Status::is_failure) {
        let message = line.error_message().unwrap_or_default();
        object["status"] = json!({"code": STATUS_ERROR, "message": message});
    }
    Some(object)
}

fn log_record_of(line: &Line<'_>) -> Value {
    let severity = match line.status() {
        Some(Status::Ok) | None => INFO,
        Some(Status::Retry) => WARN,
        Some(_) => ERROR,
    };
    let mut object = json!({
        "severityNumber": severity,
        "eventName": line.event_type().unwrap_or_default(),
        "body": {"stringValue": line.error_message().or(line.action()).unwrap_or_default()},
        "attributes": attributes_of(line),
    });
    if let Some(time) = line.timestamp() {
        object["timeUnixNano"] = (i128::from(time) * 1_000).to_string().into();
    }
    if let Some([trace, span, _]) = ids_of(line) {
        object["traceId"] = trace.into();
        object["spanId"] = span.into();
    }
    object
}

/// The name of a span, as the conventions have it, and its kind.
fn name_and_kind(line: &Line<'_>) -> (String, u32) {
    let action = line.action().unwrap_or("unknown");
    match line.event_type().unwrap_or_default() {
        "llm.invoke" | "llm.error" => {
            let model = line.model().map_or(String::new(), |model| format!(" {model}"));
            (format!("{}{model}", operation_of(line).unwrap_or("chat")), CLIENT)
        }
        "tool.result" | "tool.error" => (format!("execute_tool {}", tool_of(line)), INTERNAL),
        "agent.invoke" => (format!("invoke_agent {}", line.agent().unwrap_or_default()), INTERNAL),
        "request.end" => (action.to_owned(), SERVER),
        "api.call" | "s3.write" | "push.send" => (action.to_owned(), CLIENT),
        _ => (action.to_owned(), INTERNAL),
    }
}

/// `gen_ai.operation.name` of an event.
fn operation_of(line: &Line<'_>) -> Option<&'static str> {
    Some(match line.event_type()? {
        "llm.invoke" | "llm.error"
            if line.action().is_some_and(|action| action.contains("embed")) =>
        {
            "embeddings"
        }
        "llm.invoke" | "llm.error" => "chat",
        "tool.call" | "tool.result" | "tool.error" => "execute_tool",
        "agent.invoke" => "invoke_agent",
        _ => return None,
    })
}

fn tool_of<'l>(line: &'l Line<'_>) -> &'l str {
    let tool = line.data().and_then(|data| data.get("tool")?.as_str());
    tool.or(line.action()).unwrap_or_default()
}

fn attributes_of(line: &Line<'_>) -> Vec<Value> {
    let mut attributes = Vec::new();
    let mut add_text = |key: &str, value: Option<&str>| {
        attributes.extend(value.map(|value| text(key, value)));
    };
    let data = line.data();
    let member = |name: &str| data.and_then(|data| data.get(name));
    let is_model = matches!(line.event_type(), Some("llm.invoke" | "llm.error"));
    add_text("gen_ai.operation.name", operation_of(line));
    add_text("gen_ai.agent.name", line.agent());
    add_text("gen_ai.provider.name", member("provider").and_then(Json::as_str));
    add_text("gen_ai.response.model", line.model().filter(|_| is_model));
    add_text("gen_ai.conversation.id", member("conversation").and_then(Json::as_str));
    let is_tool = operation_of(line) == Some("execute_tool");
    add_text("gen_ai.tool.name", is_tool.then(|| tool_of(line)));
    add_text("http.request.method", member("http.method").and_then(Json::as_str));
    add_text("http.route", member("http.route").and_then(Json::as_str));
    add_text("error.type", error_type_of(line));
    for name in ["event_type", "action", "status", "kept"] {
        let value = line.json().get(name).and_then(Json::as_str);
        add_text(&format!("llm_audit.{name}"), value);
    }
    let data_text = data.and_then(|data| serde_json::to_string(&data).ok());
    add_text("llm_audit.data", data_text.as_deref());
    let usage = |name: &str| member("usage").and_then(|usage| usage.get(name)?.as_u64());
    for (key, value) in [
        ("gen_ai.usage.input_tokens", line.tokens_input()),
        ("gen_ai.usage.output_tokens", line.tokens_output()),
        ("gen_ai.usage.cache_read.input_tokens", usage("cache_read")),
        ("http.response.status_code", member("http.status_code").and_then(Json::as_u64)),
        ("llm_audit.seq", line.seq()),
    ] {
        attributes.extend(value.map(|value| int(key, value)));
    }
    let cost = line.cost_usd().map(|cost| cost.as_f64());
    attributes.extend(cost.map(|usd| attribute("llm_audit.cost.usd", "doubleValue", usd.into())));
    attributes
}

/// The type of the error of a failure; `_OTHER` if it has none, as the conventions have it.
fn error_type_of<'l>(line: &'l Line<'_>) -> Option<&'l str> {
    let given = line.error().and_then(|error| error.get("type")?.as_str());
    let is_failure = line.status().is_some_and(Status::is_failure);
    given.or(match line.status() {
        Some(Status::Timeout) => Some("timeout"),
        _ => is_failure.then_some("_OTHER"),
    })
}

fn text(key: &str, value: &str) -> Value {
    attribute(key, "stringValue", value.into())
}

/// Integers of 64 bits are texts in this encoding.
fn int(key: &str, value: u64) -> Value {
    attribute(key, "intValue", value.to_string().into())
}

fn attribute(key: &str, value_type: &str, value: Value) -> Value {
    let value = Map::from_iter([(value_type.to_owned(), value)]);
    json!({"key": key, "value": value})
}
