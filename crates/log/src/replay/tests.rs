use std::fs;

use serde_json::json;

use super::*;
use crate::Status;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn event(seq: u64, event_type: &str, action: &str, status: &str, more: &str) -> String {
    format!(
        r#"{{"event_version":"3.0","instance":"00112233445566ff","seq":{seq},"trace_id":"{TRACE}","span_id":"{seq:016x}","timestamp":"2026-01-02T03:04:05.{seq:06}Z","event_type":"{event_type}","agent":"a","action":"{action}","status":"{status}"{more}}}"#
    ) + "\n"
}

/// A line as an early sketch of the format had them: short ids, `null` members, no `seq`.
fn early(status: &str) -> String {
    format!(
        r#"{{"event_version":"1.0","trace_id":"a1b2c3d4e5f6","span_id":"deadbeef","parent_span_id":null,"timestamp":"2026-01-02T03:04:04+00:00","event_type":"tool.result","agent":"a","action":"search","status":"{status}","latency_ms":12.5,"tokens_input":null,"cost_usd":null,"data":{{"result":["early",null]}},"error":null,"region":"eu"}}"#
    ) + "\n"
}

fn log() -> String {
    event(1, "tool.call", "search", "ok", "")
        + &event(2, "tool.result", "search", "ok", r#","data":{"tool":"search","result":[1]}"#)
        + "{\"torn\":\n"
        + &event(
            3,
            "tool.error",
            "search",
            "timeout",
            r#","error":{"type":"Late","message":"no answer","traceback":"caused by: no route\ncaused by: no cable\nat all\n   0: main","recoverable":true,"input_snapshot":{"q":"x"}}"#,
        )
        + &event(4, "tool.error", "other", "error", r#","error":"it broke""#)
        + &event(5, "tool.result", "search", "ok", "")
}

#[test]
fn errors_are_those_of_the_action() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("audit-2026-01-02.jsonl"), log()).unwrap();
    let errors = errors_from_jsonl(dir.path(), "search").unwrap();
    assert_eq!(errors.len(), 1);
    let error = errors[0].error.clone().unwrap();
    assert_eq!((errors[0].status, errors[0].seq), (Some(Status::Timeout), Some(3)));
    assert_eq!((error.to_string(), &*error.error_type), ("no answer".to_owned(), "Late"));
    let sources: Vec<_> = std::iter::successors(std::error::Error::source(&error), |e| e.source())
        .map(ToString::to_string)
        .collect();
    assert_eq!(sources, ["no route", "no cable\nat all"]);
    assert_eq!((error.recoverable, error.input_snapshot), (Some(true), Some(json!({"q": "x"}))));
    let all = errors_from_jsonl(dir.path().join("audit-2026-01-02.jsonl"), None).unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(all[1].error.clone().unwrap().message, "it broke");
    assert!(errors_from_jsonl(dir.path().join("absent"), None).is_err());
}

#[test]
fn a_result_is_the_last_one_that_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.jsonl");
    fs::write(&path, log()).unwrap();
    let result = successful_result(&path, "search").unwrap().unwrap();
    assert_eq!((result.seq, result.member("result")), (Some(2), Some(&json!([1]))));
    assert_eq!(successful_result(&path, "nothing").unwrap(), None);
    fs::write(&path, event(1, "tool.call", "search", "ok", "")).unwrap();
    assert_eq!(successful_result(&path, "search").unwrap(), None, "it only began");
}

#[test]
fn lines_of_an_early_format_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit-2026-01-02.jsonl");
    fs::write(&path, early("ok") + &early("error")).unwrap();
    let event = successful_result(&path, "search").unwrap().unwrap();
    assert_eq!((event.trace_id.as_deref(), event.seq), (Some("a1b2c3d4e5f6"), None));
    assert_eq!((event.parent_span_id.clone(), event.error.clone()), (None, None));
    assert_eq!(event.member("result"), Some(&json!(["early", null])));
    assert_eq!((event.latency_ms, &event.extra["region"]), (Some(12.5), &json!("eu")));
    assert_eq!(errors_from_jsonl(&path, "search").unwrap().len(), 1);
    assert_eq!(full_trace(&path, "a1b2c3d4e5f6").unwrap().len(), 2);
}

#[test]
fn a_trace_has_all_fields() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("audit-2026-01-02.jsonl"), log() + &early("ok")).unwrap();
    let events = full_trace(dir.path(), TRACE).unwrap();
    assert_eq!(events.len(), 5);
    assert_eq!(events[0].instance.as_deref(), Some("00112233445566ff"));
    assert_eq!(events[0].timestamp, Some(1_767_323_045_000_001));
    assert_eq!(full_trace(dir.path(), "ffff").unwrap(), []);
    assert!(full_trace(dir.path(), "no id").is_err());
    let other = event(9, "tool.call", "x", "ok", "").replace(TRACE, &TRACE.replace("9c", "9d"));
    fs::write(dir.path().join("audit-2026-01-03.jsonl"), other).unwrap();
    assert!(full_trace(dir.path(), &TRACE[..8]).unwrap_err().to_string().contains("several"));
}

#[test]
fn a_deep_payload_is_cut_and_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep.jsonl");
    let deep = format!(r#","data":{{"a":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    fs::write(&path, event(1, "tool.error", "x", "error", &deep)).unwrap();
    let event = errors_from_jsonl(&path, "x").unwrap().remove(0);
    let text = event.data.unwrap().to_string();
    assert!(text.contains("[TOO_DEEP]") && text.len() < 300, "{text}");
}

#[cfg(feature = "zstd")]
#[test]
fn a_compressed_log_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = fs::File::create(dir.path().join("audit-2026-01-02.jsonl.zst")).unwrap();
    zstd::stream::copy_encode(log().as_bytes(), file, 1).unwrap();
    assert_eq!(errors_from_jsonl(dir.path(), "search").unwrap().len(), 1);
}
