//! `export` and `sql`: what other programs read.

mod common;

use common::{FILE, TRACE, command, event, folder, own, run, run_closed, write};
use serde_json::{Value, json};

const SPAN: &str = "b7ad6b7169203331";

fn log() -> String {
    let called = r#","latency_ms":250.5,"tokens_input":12,"tokens_output":3,"cost_usd":0.000000123,"data":{"model":"gpt-4o","provider":"openai","usage":{"cache_read":4}}"#;
    let failed = r#","parent_span_id":"b7ad6b7169203331","latency_ms":5,"data":{"tool":"find"},"error":{"type":"Late","message":"a \"b\",\nc"}"#;
    own("start", r#""service":"benefits","host":"web-3","pid":7"#)
        + &event(1, TRACE, SPAN, called)
        + &event(2, TRACE, "00f067aa0ba902b7", failed)
            .replace("\"ok\"", "\"timeout\"")
            .replace("llm.invoke", "tool.error")
        + &event(3, TRACE, "00f067aa0ba902b8", "").replace("llm.invoke", "agent.route")
        + "{\"event_type\":\"a.b\",\"agent\":\"x\",\"action\":\"y\",\"status\":\"ok\",\"trace_id\":null}\n"
        + &own("stop", "")
}

#[test]
fn a_row_of_csv_has_the_fields_of_the_schema() {
    let (_keep, dir) = folder();
    write(&dir, FILE, &log());
    let run = run(&["export", "csv", "--dir", &dir]);
    assert_eq!((run.code, &*run.stderr), (0, ""), "{run:?}");
    let mut rows = csv::Reader::from_reader(run.stdout.as_bytes());
    let header: Vec<_> = rows.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!((header.len(), &*header[0], &*header[17]), (18, "event_version", "error"));
    let rows: Vec<_> = rows.records().map(Result::unwrap).collect();
    let cell = |row: usize, name: &str| {
        rows[row].get(header.iter().position(|known| known == name).unwrap()).unwrap()
    };
    assert_eq!(rows.len(), 4);
    assert_eq!((cell(0, "cost_usd"), cell(0, "latency_ms")), ("0.000000123", "250.5"));
    let error: Value = serde_json::from_str(cell(1, "error")).unwrap();
    assert_eq!(error["message"], "a \"b\",\nc");
    assert_eq!((cell(3, "trace_id"), cell(3, "data")), ("", ""));
}

#[test]
fn otlp_has_a_span_for_what_ended_and_a_log_record_for_the_rest() {
    let (_keep, dir) = folder();
    write(&dir, FILE, &log());
    let out = format!("{dir}/out.json");
    let run = run(&["export", "otlp-json", "--out", &out, "--dir", &dir]);
    assert_eq!((run.code, &*run.stdout, &*run.stderr), (0, "", ""), "{run:?}");
    let text = std::fs::read_to_string(out).unwrap();
    let requests: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let resource = &requests[0]["resourceSpans"][0]["resource"]["attributes"];
    assert_eq!(resource[0], json!({"key": "service.name", "value": {"stringValue": "benefits"}}));
    let spans = &requests[0]["resourceSpans"][0]["scopeSpans"][0]["spans"];
    let attribute = |span: &Value, key: &str| {
        let attributes = span["attributes"].as_array().unwrap();
        let of_key = attributes.iter().find(|attribute| attribute["key"] == key);
        of_key.map_or(Value::Null, |attribute| attribute["value"].clone())
    };
    let called = &spans[0];
    assert_eq!((&called["name"], &called["kind"]), (&"chat gpt-4o".into(), &3.into()));
    assert_eq!((&called["traceId"], &called["spanId"]), (&TRACE.into(), &SPAN.into()));
    assert_eq!(called["startTimeUnixNano"], "1767323044749501000");
    assert_eq!(called["endTimeUnixNano"], "1767323045000001000");
    assert_eq!(attribute(called, "gen_ai.usage.input_tokens"), json!({"intValue": "12"}));
    assert_eq!(attribute(called, "llm_audit.cost.usd"), json!({"doubleValue": 1.23e-7}));
    let failed = &spans[1];
    assert_eq!(failed["name"], "execute_tool find");
    assert_eq!(failed["parentSpanId"], SPAN);
    assert_eq!(failed["status"], json!({"code": 2, "message": "a \"b\",\nc"}));
    assert_eq!(attribute(failed, "error.type"), json!({"stringValue": "Late"}));
    let logs = requests.iter().flat_map(|request| request["resourceLogs"].as_array());
    let logs: Vec<_> = logs
        .flatten()
        .flat_map(|logs| logs["scopeLogs"][0]["logRecords"].as_array().unwrap())
        .collect();
    assert_eq!(logs.len(), 2, "{text}");
    let routed = logs.iter().find(|log| log["eventName"] == "agent.route").unwrap();
    assert_eq!(routed["spanId"], "00f067aa0ba902b8");
}

#[test]
fn nothing_to_export_and_a_closed_output() {
    let (_keep, dir) = folder();
    write(&dir, FILE, &log());
    assert_eq!(run(&["export", "csv", "--since", "2027-01-01", "--dir", &dir]).code, 3);
    assert_eq!(run(&["export", "xml", "--dir", &dir]).code, 2);
    let nowhere = run(&["export", "csv", "--out", "/nonexistent/x.csv", "--dir", &dir]);
    assert_eq!(nowhere.code, 2);
    assert!(nowhere.stderr.contains("/nonexistent/x.csv"), "{nowhere:?}");
    for format in ["csv", "otlp-json"] {
        let closed = run_closed(command(&["export", format, "--dir", &dir]), b"");
        assert_eq!((closed.code, &*closed.stderr), (0, ""), "{format}: {closed:?}");
    }
}

#[test]
fn a_log_is_no_output() {
    let (_keep, dir) = folder();
    write(&dir, FILE, &log());
    let (file, other) = (format!("{dir}/{FILE}"), format!("{dir}/other.jsonl"));
    std::fs::copy(&file, &other).unwrap();
    for args in [
        &["export", "csv", "--dir", &dir, "--out", &file][..],
        &["export", "otlp-json", &other, "--out", &other],
        &["report", "--dir", &dir, "--html", &file],
        &["trace", TRACE, "--dir", &dir, "--html", &file],
    ] {
        let run = run(args);
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.stderr.contains("is a log, which would be overwritten"), "{run:?}");
        for file in [&file, &other] {
            assert_eq!(std::fs::read_to_string(file).unwrap(), log());
        }
    }
}

#[test]
fn sql_prints_a_view_of_the_folder() {
    let (_keep, dir) = folder();
    for (database, read) in [("duckdb", "read_json("), ("clickhouse", "file(")] {
        let run = run(&["sql", "--database", database, "--dir", &dir]);
        assert_eq!(run.code, 0, "{run:?}");
        assert!(run.stdout.contains(&format!("{read}'{dir}/audit-*.jsonl*'")), "{run:?}");
    }
}

#[test]
fn the_parent_of_a_span_may_be_a_pair_of_events_of_another_program() {
    let (_keep, dir) = folder();
    let below = |span: &str, more: &str| format!(r#","parent_span_id":"{span}"{more}"#);
    let [run_span, leaf] = [1, 2].map(|n| format!("00f067aa0ba902b{n}"));
    let took = r#","latency_ms":5"#;
    let log = event(1, TRACE, &run_span, &below(SPAN, "")).replace("llm.invoke", "agent.start")
        + &event(2, TRACE, &leaf, &below(&run_span, took))
        + &event(3, TRACE, &run_span, &below(SPAN, took)).replace("llm.invoke", "agent.end");
    write(&dir, FILE, &log);
    let run = run(&["export", "otlp-json", "--dir", &dir]);
    let request: Value = serde_json::from_str(run.stdout.lines().next().unwrap()).unwrap();
    let spans = &request["resourceSpans"][0]["scopeSpans"][0]["spans"];
    let parents = [0, 1].map(|at| spans[at]["parentSpanId"].as_str().unwrap_or("none"));
    assert_eq!(parents, [&*run_span, SPAN], "{run:?}");
}

/// Backends have no span for an event that is a log record, so it is nobody's parent.
#[test]
fn the_parent_of_a_span_is_a_span() {
    let (_keep, dir) = folder();
    let below = |span: &str, more: &str| format!(r#","parent_span_id":"{span}"{more}"#);
    let [route, decision, call, leaf] = [1, 2, 3, 4].map(|n| format!("00f067aa0ba902b{n}"));
    let took = r#","latency_ms":5"#;
    let log = event(1, TRACE, &route, &below(SPAN, "")).replace("llm.invoke", "agent.route")
        + &event(2, TRACE, &decision, &below(&route, "")).replace("llm.invoke", "agent.decision")
        + &event(3, TRACE, &call, &below(&decision, "")).replace("llm.invoke", "tool.call")
        + &event(4, TRACE, &leaf, &below(&call, took))
        + &event(5, TRACE, &call, &below(&decision, took)).replace("llm.invoke", "tool.result")
        + &event(6, TRACE, SPAN, took).replace("llm.invoke", "request.end");
    write(&dir, FILE, &log);
    let run = run(&["export", "otlp-json", "--dir", &dir]);
    let request: Value = serde_json::from_str(run.stdout.lines().next().unwrap()).unwrap();
    let spans = &request["resourceSpans"][0]["scopeSpans"][0]["spans"];
    let parents = [0, 1, 2].map(|at| spans[at]["parentSpanId"].as_str().unwrap_or("none"));
    assert_eq!(parents, [&*call, SPAN, "none"], "{run:?}");
}
