//! Tests of the events, and of what a collector on a socket gets.

use std::fs;
use std::path::Path;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

#[cfg(not(feature = "otlp-grpc"))]
use crate::otlp::OtlpProtocol;
use crate::otlp::tests::{Received, answers, collector};
use crate::otlp::{OtlpEvents, OtlpSettings};
use crate::shipper::{Progress, Shipper};

const FIRST: &str = "4c8e78a91890a010";
const SECOND: &str = "4c8e78a91890a011";

fn started(instance: &str, service: &str) -> String {
    format!(
        "{{\"event_version\":\"3.0\",\"instance\":\"{instance}\",\"timestamp\":\"2026-11-29T23:00:00Z\",\
         \"event_type\":\"audit.start\",\"agent\":\"llm-audit\",\"action\":\"start\",\"status\":\"ok\",\
         \"data\":{{\"service\":\"{service}\",\"host\":\"h\",\"pid\":7}}}}\n"
    )
}

fn event(instance: &str, seq: u64, rest: &str) -> String {
    format!(
        "{{\"event_version\":\"3.0\",\"instance\":\"{instance}\",\"seq\":{seq},\
         \"trace_id\":\"0af7651916cd43dd84ffffffffffffff\",\"span_id\":\"{seq:016x}\",\
         \"timestamp\":\"2026-11-29T23:00:40Z\",\"event_type\":\"tool.result\",\"agent\":\"benefits\",\
         \"action\":\"plan.search\",\"status\":\"ok\"{rest}}}\n"
    )
}

/// Two loggers, each with a span and a log record.
fn log() -> String {
    let took = r#","latency_ms":9"#;
    [
        started(FIRST, "one"),
        started(SECOND, "two"),
        event(FIRST, 1, took),
        event(SECOND, 2, took),
        event(FIRST, 3, ""),
        event(SECOND, 4, ""),
    ]
    .concat()
}

/// Ships a log of four events to a collector. Returns how often it waited.
fn ship(dir: &Path, settings: &OtlpSettings) -> (Shipper<OtlpEvents>, usize) {
    ship_lines(dir, settings, 4)
}

fn ship_lines(dir: &Path, settings: &OtlpSettings, lines: usize) -> (Shipper<OtlpEvents>, usize) {
    let at = |path: &str| settings.endpoint.replace("/v1/metrics", path);
    let of_logs = OtlpSettings { endpoint: at("/v1/logs"), ..settings.clone() };
    let of_spans = OtlpSettings { endpoint: at("/v1/traces"), ..settings.clone() };
    let events = OtlpEvents::new(Some(of_logs), Some(of_spans)).unwrap();
    let mut shipper = Shipper::open(dir, events).unwrap().unwrap();
    let mut waits = 0;
    let wait = |_: Duration, _: &str| {
        waits += 1;
        true
    };
    assert_eq!(shipper.ship(wait).unwrap(), Progress::Sent(lines));
    (shipper, waits)
}

fn folder(log: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("audit-2026-11-29.jsonl"), log).unwrap();
    dir
}

fn value<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    attributes.iter().find(|pair| pair.key == key)?.value.as_ref()?.value.as_ref()
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    value(attributes, key).map(|value| match value {
        Value::StringValue(text) => &**text,
        other => panic!("{key}: {other:?}"),
    })
}

/// The records of a request: service, number, and whether it is a span.
fn records(request: &Received) -> Vec<(String, u64, bool)> {
    let number = |span_id: &[u8]| u64::from_be_bytes(span_id.try_into().unwrap());
    let service = |resource: &Option<Resource>| {
        text(&resource.as_ref().unwrap().attributes, "service.name").unwrap().to_owned()
    };
    let mut found = Vec::new();
    if request.head.starts_with("post /v1/traces ") {
        for of in request.decode::<ExportTraceServiceRequest>().resource_spans {
            let spans = of.scope_spans.iter().flat_map(|scope| &scope.spans);
            found.extend(spans.map(|span| (service(&of.resource), number(&span.span_id), true)));
        }
    } else {
        for of in request.decode::<ExportLogsServiceRequest>().resource_logs {
            let logs = of.scope_logs.iter().flat_map(|scope| &scope.log_records);
            found.extend(logs.map(|log| (service(&of.resource), number(&log.span_id), false)));
        }
    }
    found
}

fn span(service: &str, seq: u64) -> (String, u64, bool) {
    (service.to_owned(), seq, true)
}

fn log_record(service: &str, seq: u64) -> (String, u64, bool) {
    (service.to_owned(), seq, false)
}

#[test]
fn spans_and_log_records_go_with_the_resource_of_their_logger() {
    let dir = folder(&log());
    let (settings, received) = collector(answers(&["200 OK", "200 OK"]));
    let (shipper, waits) = ship(dir.path(), &settings);
    assert_eq!((waits, shipper.sent(), shipper.refused()), (0, 4, 0));
    let requests: Vec<_> = received.iter().collect();
    let found: Vec<_> = requests.iter().map(records).collect();
    let logs = vec![log_record("one", 3), log_record("two", 4)];
    assert_eq!(found, [vec![span("one", 1), span("two", 2)], logs]);
    let spans: ExportTraceServiceRequest = requests[0].decode();
    let of = &spans.resource_spans[0];
    let resource = &of.resource.as_ref().unwrap().attributes;
    assert_eq!(text(resource, "service.instance.id"), Some(FIRST));
    assert_eq!(text(resource, "host.name"), Some("h"));
    let scope = &of.scope_spans[0];
    assert_eq!(scope.scope.as_ref().unwrap().name, "llm-audit");
    let took = scope.spans[0].end_time_unix_nano - scope.spans[0].start_time_unix_nano;
    assert_eq!((&*scope.spans[0].name, took), ("execute_tool plan.search", 9_000_000));
    let of_span = |key: &str| value(&scope.spans[0].attributes, key);
    assert_eq!(of_span("llm_audit.seq"), Some(&Value::IntValue(1)));
    assert_eq!(of_span("llm_audit.latency_ms"), Some(&Value::DoubleValue(9.0)));
    assert_eq!(value(resource, "process.pid"), Some(&Value::IntValue(7)));
    let logs: ExportLogsServiceRequest = requests[1].decode();
    let log = &logs.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!(text(&log.attributes, "llm_audit.action"), Some("plan.search"));
}

/// Collectors take at least 4 MiB.
#[test]
fn long_records_go_in_requests_of_their_own() {
    let long = format!(r#","data":{{"x":"{}"}}"#, "x".repeat(1_900_000));
    let dir = folder(&[event(FIRST, 1, &long), event(FIRST, 2, &long)].concat());
    let (settings, received) = collector(answers(&["200 OK", "200 OK"]));
    ship_lines(dir.path(), &settings, 2);
    let found: Vec<_> = received.iter().map(|request| records(&request)).collect();
    let record = |seq| vec![log_record("unknown_service", seq)];
    assert_eq!(found, [record(1), record(2)]);
}

/// The spans that were acknowledged do not come again because the log records were not.
#[test]
fn what_was_not_acknowledged_is_sent_again() {
    let dir = folder(&log());
    let (settings, received) = collector(answers(&[
        "200 OK",
        "503 Service Unavailable\r\nretry-after: 1",
        "401 Unauthorized",
        "404 Not Found",
        "415 Unsupported Media Type",
        "200 OK",
    ]));
    let (shipper, waits) = ship(dir.path(), &settings);
    assert_eq!((waits, shipper.refused()), (4, 0));
    let requests: Vec<_> = received.iter().map(|request| records(&request).len()).collect();
    assert_eq!(requests, [2; 6]);
}

#[test]
fn a_page_of_something_else_is_no_acknowledgement() {
    let dir = folder(&log());
    let page = ("200 OK".to_owned(), b"<html>welcome</html>".to_vec());
    let ok = ("200 OK".to_owned(), Vec::new());
    let (settings, received) = collector(vec![page, ok.clone(), ok]);
    let (_, waits) = ship(dir.path(), &settings);
    assert_eq!((waits, received.iter().count()), (1, 3));
}

#[test]
fn what_is_refused_is_found_by_halves_and_kept() {
    let dir = folder(&log());
    // The spans as a whole. The log records: both, the first, the second.
    let refused = "400 Bad Request";
    let (settings, received) = collector(answers(&["200 OK", refused, "200 OK", refused]));
    let (mut shipper, waits) = ship(dir.path(), &settings);
    assert_eq!((waits, shipper.sent(), shipper.refused()), (0, 4, 1));
    assert_eq!(shipper.take_refusal().as_deref(), Some("the collector answered 400 Bad Request"));
    assert_eq!(received.iter().count(), 4);
    assert_eq!(refused_in(dir.path()), event(SECOND, 4, ""));
}

/// A collector that fails because of one record does so for ever.
#[test]
fn what_a_collector_fails_with_again_and_again_is_found_by_halves_and_kept() {
    let dir = folder(&log());
    let fails = ["500 Internal Server Error"; 10];
    let heads = [&["200 OK"][..], &fails[..8], &["200 OK"], &fails[8..]].concat();
    let (settings, received) = collector(answers(&heads));
    let (mut shipper, waits) = ship(dir.path(), &settings);
    assert_eq!((waits, shipper.sent(), shipper.refused()), (8, 4, 1));
    assert!(shipper.take_refusal().is_some());
    assert_eq!(received.iter().count(), heads.len());
    assert_eq!(refused_in(dir.path()), event(SECOND, 4, ""));
}

/// A load balancer without a collector takes connections and ends them.
#[test]
fn a_connection_that_is_closed_refuses_nothing() {
    let dir = folder(&log());
    let heads = [&["200 OK"][..], &[""; 3], &["200 OK"], &[""; 30], &["200 OK"]].concat();
    let (settings, received) = collector(answers(&heads));
    let (shipper, waits) = ship(dir.path(), &settings);
    assert_eq!((waits, shipper.sent(), shipper.refused()), (32, 4, 0));
    assert_eq!(received.iter().count(), heads.len());
}

/// Those are answers of a collector that is busy, or of something before it. They say nothing about the records.
#[test]
fn a_collector_that_is_busy_is_waited_for() {
    let dir = folder(&log());
    let busy = ["429 Too Many Requests", "502 Bad Gateway", "503 Busy", "504 Gateway Timeout"];
    let fails = ["500 Internal Server Error"; 7];
    let heads = [&busy.repeat(5)[..], &fails, &["503 Busy"], &fails, &["200 OK"; 2]].concat();
    let (settings, received) = collector(answers(&heads));
    let (shipper, waits) = ship(dir.path(), &settings);
    assert_eq!((waits, shipper.sent(), shipper.refused()), (heads.len() - 2, 4, 0));
    assert_eq!(received.iter().count(), heads.len());
}

/// The parent of what comes after a restart was sent before it, as a log record.
#[test]
fn after_a_restart_no_span_is_below_a_log_record() {
    let below = |seq: u64, parent: u64, rest: &str| {
        let line = event(FIRST, seq, rest);
        line.replace(
            r#","timestamp""#,
            &format!(r#","parent_span_id":"{parent:016x}","timestamp""#),
        )
    };
    let log = started(FIRST, "one") + &below(2, 1, "") + &event(FIRST, 3, "").repeat(2);
    let dir = folder(&log);
    let (settings, received) = collector(answers(&["200 OK", "200 OK"]));
    ship_lines(dir.path(), &settings, 3);
    let took = below(5, 2, r#","latency_ms":9"#);
    fs::write(dir.path().join("audit-2026-11-29.1.jsonl"), took).unwrap();
    ship_lines(dir.path(), &settings, 1);
    let requests: Vec<_> = received.iter().collect();
    let spans: ExportTraceServiceRequest = requests[1].decode();
    let parent = &spans.resource_spans[0].scope_spans[0].spans[0].parent_span_id;
    assert_eq!(*parent, 1_u64.to_be_bytes());
}

#[test]
fn of_a_part_that_is_refused_all_lines_are_kept() {
    let dir = folder(&log());
    let partial =
        ExportLogsPartialSuccess { rejected_log_records: 1, error_message: "too long".to_owned() };
    let answer = ExportLogsServiceResponse { partial_success: Some(partial) };
    let ok = "200 OK".to_owned();
    let (settings, _received) =
        collector(vec![(ok.clone(), Vec::new()), (ok, answer.encode_to_vec())]);
    let (mut shipper, _) = ship(dir.path(), &settings);
    assert_eq!((shipper.sent(), shipper.refused()), (4, 1));
    assert_eq!(shipper.take_refusal().as_deref(), Some("too long"));
    assert_eq!(refused_in(dir.path()), event(FIRST, 3, "") + &event(SECOND, 4, ""));
}

#[test]
fn events_without_a_collector_are_not_sent() {
    for is_of_logs in [false, true] {
        let dir = folder(&log());
        let (settings, received) = collector(answers(&["200 OK"]));
        let path = if is_of_logs { "/v1/logs" } else { "/v1/traces" };
        let endpoint = settings.endpoint.replace("/v1/metrics", path);
        let settings = OtlpSettings { endpoint, ..settings };
        let (logs, spans) = match is_of_logs {
            true => (Some(settings), None),
            false => (None, Some(settings)),
        };
        let events = OtlpEvents::new(logs, spans).unwrap();
        let mut shipper = Shipper::open(dir.path(), events).unwrap().unwrap();
        assert_eq!(shipper.ship(|_, _| true).unwrap(), Progress::Sent(2));
        assert_eq!(shipper.ship(|_, _| true).unwrap(), Progress::UpToDate);
        let found: Vec<_> = received.iter().flat_map(|request| records(&request)).collect();
        let expected = match is_of_logs {
            true => [log_record("one", 3), log_record("two", 4)],
            false => [span("one", 1), span("two", 2)],
        };
        assert_eq!(found, expected);
    }
}

fn refused_in(dir: &Path) -> String {
    let files = fs::read_dir(dir.join(".ship/refused")).unwrap();
    files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect()
}

#[cfg(not(feature = "otlp-grpc"))]
#[test]
fn grpc_without_its_feature_is_an_error_that_names_it() {
    let settings = OtlpSettings { protocol: OtlpProtocol::Grpc, ..OtlpSettings::default() };
    let error = OtlpEvents::new(Some(settings.clone()), Some(settings)).unwrap_err().to_string();
    assert_eq!(error, "gRPC needs the feature otlp-grpc");
}

/// Ships a log of one log record. Returns what the destination refused, and why it waited.
fn ship_one(heads_and_bodies: &[(&str, &[u8])]) -> (Option<String>, Vec<String>) {
    let dir = folder(&event(FIRST, 1, ""));
    let answers = heads_and_bodies.iter().map(|(head, body)| ((*head).to_owned(), body.to_vec()));
    let (settings, _received) = collector(answers.collect());
    let events = OtlpEvents::new(Some(settings.clone()), Some(settings)).unwrap();
    let mut shipper = Shipper::open(dir.path(), events).unwrap().unwrap();
    let mut waits = Vec::new();
    let wait = |_: Duration, why: &str| {
        waits.push(why.to_owned());
        true
    };
    assert_eq!(shipper.ship(wait).unwrap(), Progress::Sent(1));
    (shipper.take_refusal(), waits)
}

#[test]
fn an_answer_in_json_or_a_long_one_is_one_of_a_collector() {
    const JSON: &str = "200 OK\r\ncontent-type: application/json; charset=utf-8";
    let partial =
        ExportLogsPartialSuccess { rejected_log_records: 0, error_message: "w".repeat(70_000) };
    let long = ExportLogsServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    for (head, body) in [
        (JSON, &b"{}"[..]),
        (JSON, br#"{"partialSuccess":{}}"#),
        (JSON, br#"{"partialSuccess":{"rejectedLogRecords":"0","errorMessage":"slow down"}}"#),
        ("200 OK\r\ncontent-type: application/x-protobuf", &long),
        ("200 OK\r\ncontent-type: text/plain", b""),
    ] {
        assert_eq!(ship_one(&[(head, body)]), (None, Vec::new()), "{head}");
    }
    for count in ["1", "\"1\""] {
        let body =
            format!(r#"{{"partialSuccess":{{"rejectedLogRecords":{count},"errorMessage":"no"}}}}"#);
        assert_eq!(ship_one(&[(JSON, body.as_bytes())]), (Some("no".to_owned()), Vec::new()));
    }
}

#[test]
fn another_answer_is_named_by_its_type() {
    let long = "x".repeat(70_000);
    for (head, body, expected) in [
        ("200 OK\r\ncontent-type: text/html", long.as_bytes(), "text/html"),
        ("200 OK\r\ncontent-type: application/json", b"ok", "application/json"),
        ("200 OK", b"ok", "no content type"),
    ] {
        let why = format!("answered 200 with {expected}, not as a collector");
        assert_eq!(ship_one(&[(head, body), ("200 OK", b"")]), (None, vec![why]));
    }
}

#[test]
fn a_wrong_path_is_named() {
    for status in ["404 Not Found", "301 Moved Permanently"] {
        let why = format!("the collector answered {status} to \"/v1/metrics\"");
        assert_eq!(ship_one(&[(status, b""), ("200 OK", b"")]), (None, vec![why]));
    }
}

#[test]
fn a_part_that_is_refused_without_a_reason_has_a_message() {
    let partial =
        ExportLogsPartialSuccess { rejected_log_records: 1, error_message: String::new() };
    let answer = ExportLogsServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let why = "the collector refused 1 of 1 without a reason".to_owned();
    assert_eq!(ship_one(&[("200 OK", &answer)]), (Some(why), Vec::new()));
}

#[test]
fn a_resource_is_made_again_when_its_logger_is_known() {
    let dir = folder(&[event(FIRST, 1, ""), started(FIRST, "one"), event(FIRST, 2, "")].concat());
    let (settings, received) = collector(answers(&["200 OK"]));
    ship_lines(dir.path(), &settings, 2);
    let found: Vec<_> = received.iter().flat_map(|request| records(&request)).collect();
    assert_eq!(found, [log_record("unknown_service", 1), log_record("one", 2)]);
}
