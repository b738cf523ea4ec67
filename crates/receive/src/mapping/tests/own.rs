//! What `llm-audit` sends comes back as it was.

use llm_audit_log::schema::ids::{parse_span_id, parse_trace_id};
use llm_audit_log::{Line, parse};
use llm_audit_ship::mapping::{Attribute, AttributeValue, Mapper as SentMapper, Record};
use serde_json::{Map, Value};

use super::*;

/// A span or a log record, as the shipper sends it.
enum Sent {
    Span(Span),
    Log(LogRecord),
}

fn sent(line: &Line<'_>, mapper: &mut SentMapper) -> Sent {
    match mapper.map(line, None) {
        Record::Span(span) => Sent::Span(Span {
            trace_id: span.trace_id.to_be_bytes().to_vec(),
            span_id: span.span_id.to_be_bytes().to_vec(),
            parent_span_id: span.parent_span_id.map_or(Vec::new(), |id| id.to_be_bytes().to_vec()),
            name: span.name.into_owned(),
            start_time_unix_nano: span.start,
            end_time_unix_nano: span.end,
            attributes: attributes(&span.attributes),
            ..Span::default()
        }),
        Record::Log(log) => Sent::Log(LogRecord {
            trace_id: log.ids.map_or(Vec::new(), |(trace, _)| trace.to_be_bytes().to_vec()),
            span_id: log.ids.map_or(Vec::new(), |(_, span)| span.to_be_bytes().to_vec()),
            time_unix_nano: log.time.unwrap_or(0),
            event_name: log.event_name.to_owned(),
            attributes: attributes(&log.attributes),
            ..LogRecord::default()
        }),
    }
}

fn attributes(sent: &[Attribute<'_>]) -> Vec<KeyValue> {
    let value = |value: &AttributeValue<'_>| match value {
        AttributeValue::Text(text) => Any::StringValue(text.clone().into_owned()),
        AttributeValue::Int(int) => Any::IntValue(*int),
        AttributeValue::Double(double) => Any::DoubleValue(*double),
    };
    sent.iter().map(|(key, of)| attribute(key, value(of))).collect()
}

/// Returns an event as it is in its line, with its own identity in the member that a receiver puts it into.
fn event_of(line: &Line<'_>) -> ReceivedEvent {
    let id = |id: Option<&str>| id.and_then(|id| parse_span_id(id).ok());
    let object = |json: Option<llm_audit_log::Json<'_>>| {
        let text = serde_json::to_string(&json?).expect("JSON");
        Some(serde_json::from_str::<Map<String, Value>>(&text).expect("an object"))
    };
    let mut data = object(line.data()).unwrap_or_default();
    let mut origin = Map::new();
    origin.extend(line.instance().map(|of| ("instance".to_owned(), of.into())));
    origin.extend(line.seq().map(|of| ("seq".to_owned(), of.into())));
    origin.extend(line.kept().map(|of| ("kept".to_owned(), of.into())));
    origin.extend(data.remove("origin").map(|of| ("origin".to_owned(), of)));
    data.insert("origin".to_owned(), Value::Object(origin));
    ReceivedEvent {
        event_type: line.event_type().expect("a type").to_owned(),
        agent: line.agent().expect("an agent").to_owned(),
        action: line.action().expect("an action").to_owned(),
        status: line.status().expect("a status"),
        trace_id: line.trace_id().and_then(|id| parse_trace_id(id).ok()),
        span_id: id(line.span_id()),
        parent_span_id: id(line.parent_span_id()),
        timestamp: line.timestamp(),
        latency_ms: line.latency_ms(),
        tokens_input: line.tokens_input(),
        tokens_output: line.tokens_output(),
        cost_usd: line.cost_usd(),
        usage: None,
        data,
        error: object(line.error()),
    }
}

#[test]
fn events_come_back_as_they_were() {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/samples/agent-events.jsonl");
    let sample = fs::read_to_string(sample).expect("the sample");
    let more = [
        r#"{"instance":"4c8e78a91890a010","seq":9007199254740993,"kept":"failed","event_type":"llm.error","agent":"a","action":"b","status":"timeout","trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331","parent_span_id":"00f067aa0ba902b7","timestamp":"2026-11-29T23:00:40.123457Z","latency_ms":0.123456789012345,"tokens_input":9007199254740993,"cost_usd":0.000000123456789123456789,"data":{"origin":{"instance":"x"},"n":[0.1,1e300,-7,"é\"\\"],"null":null},"error":{"type":"E","message":"m","traceback":"t","recoverable":false,"input_snapshot":{"k":[1]},"environment":{"e":"f"}}}"#,
        r#"{"instance":"4c8e78a91890a010","seq":7,"event_type":"eval.result","agent":"a","action":"tone","status":"ok","trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331","timestamp":"2026-11-29T23:00:40.123457Z","data":{"name":"tone","score":0.5,"label":"pass","explanation":"kind"}}"#,
        r#"{"instance":"4c8e78a91890a010","seq":8,"event_type":"order.placed","agent":"a","action":"b","status":"retry","timestamp":"1969-12-31T23:59:59Z","data":{}}"#,
    ];
    let (mapper, mut sender) = (Mapper::new(true), SentMapper::default());
    let (mut spans, mut logs) = (0, 0);
    for text in sample.lines().chain(more) {
        let mut bytes = text.as_bytes().to_vec();
        let line = parse(&mut bytes).expect("a line");
        let mut expected = event_of(&line);
        // Ids are sent in pairs, and times from 1970.
        expected.trace_id = expected.trace_id.filter(|_| expected.span_id.is_some());
        expected.timestamp = expected.timestamp.filter(|micros| *micros >= 0);
        let mut back = match sent(&line, &mut sender) {
            Sent::Span(span) => {
                spans += 1;
                mapped_spans(&mapper, "llm-audit", vec![span])
            }
            Sent::Log(log) => {
                logs += 1;
                mapped_logs(&mapper, "llm-audit", vec![log])
            }
        };
        assert_eq!(back.len(), 1);
        assert_eq!(back.remove(0), expected, "{text}");
    }
    assert!(spans > 5 && logs > 5, "{spans} {logs}");
}

#[test]
fn without_capture_what_comes_back_has_no_content() {
    let data = r#"{"prompt":"To Oslo?","completion":"c","comment":"c","model":"m"}"#;
    let attributes = vec![text("llm_audit.event_type", "a.b"), text("llm_audit.data", data)];
    for (captures, expected) in [
        (true, &["comment", "completion", "model", "origin", "prompt"][..]),
        (false, &["model", "origin"]),
    ] {
        let mapper = Mapper::new(captures);
        let log = LogRecord { attributes: attributes.clone(), ..LogRecord::default() };
        let span = Span { attributes: attributes.clone(), ..Span::default() };
        let mut events = mapped_logs(&mapper, "llm-audit", vec![log]);
        events.extend(mapped_spans(&mapper, "llm-audit", vec![span]));
        for event in events {
            let mut members: Vec<_> = event.data.keys().collect();
            members.sort();
            assert_eq!(members, expected);
            // What the record lacks is filled.
            assert_eq!((&*event.agent, &*event.action), ("llm-audit", "a.b"));
        }
    }
}
