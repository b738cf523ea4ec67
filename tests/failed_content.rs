//! With `AUDIT_CAPTURE_CONTENT=failed`, prompts, arguments, results and bodies are in failed traces alone.
#![cfg(not(loom))]

mod common;

use std::collections::BTreeMap;

use common::{DEADLINE, lines, logger};
use llm_audit::{
    AuditEvent, AuditLogger, CaptureContent, ErrorDetail, EventType, FailedTraces, LlmCall,
    SamplingPolicy, Status, TraceContext,
};
use serde_json::{Value, json};

const TRACES: usize = 200;

/// A request with a call of a model, as a helper records it, and a tool. Every fourth fails.
fn record_trace(audit: &AuditLogger, number: usize) -> TraceContext {
    let trace = TraceContext::new_trace();
    let request = |event_type| AuditEvent::new(event_type, "a", "request").span(&trace);
    audit.emit(&request(EventType::RequestStart));
    let (model, tool) = (trace.new_span(), trace.new_span());
    let call = LlmCall::new("a", "chat", "openai", "gpt-4o").usage((3, 4)).span(&model);
    audit.record_llm_call(&call.prompt(&"why").completion(&json!(["because"])));
    let data = json!({"tool": "search", "key": "mine", "arguments": {"q": 1}});
    let started = AuditEvent::new(EventType::ToolCall, "a", "search").span(&tool).data(&data);
    audit.emit(&started.content(&["arguments"]));
    let arguments = json!({"q": 1});
    let busy = ErrorDetail::new("busy", "later").input_snapshot(&arguments);
    let retry = tool.new_span();
    let again = AuditEvent::new(EventType::AgentRetry, "a", "again").span(&retry);
    audit.emit(&again.error(&busy).status(Status::Retry));
    let error = ErrorDetail::new("refused", "no");
    let ended = match number % 4 {
        0 => AuditEvent::new(EventType::ToolError, "a", "search").error(&error),
        _ => AuditEvent::new(EventType::ToolResult, "a", "search"),
    };
    audit.emit(&ended.span(&tool));
    audit.emit(&request(EventType::RequestEnd));
    trace
}

/// Actions of a trace's lines with data, and the names in it.
type Contents<'l> = Vec<(&'l str, Vec<&'l str>)>;

fn contents<'l>(lines: &[&'l Value]) -> Contents<'l> {
    let with_data = lines.iter().filter_map(|line| {
        let mut names: Vec<_> = line["data"].as_object()?.keys().map(String::as_str).collect();
        names.sort_unstable();
        Some((line["action"].as_str()?, names))
    });
    with_data.collect()
}

#[test]
fn a_failed_trace_has_its_content_and_a_good_one_has_none() {
    for (success_rate, failed_traces) in [
        (0.0, FailedTraces::Whole),
        (0.5, FailedTraces::Whole),
        (1.0, FailedTraces::Whole),
        (1.0, FailedTraces::Sampled),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let sampling =
            SamplingPolicy { trace_rate: success_rate, success_rate, ..SamplingPolicy::default() };
        let builder = logger(folder.path()).sampling(sampling).failed_traces(failed_traces);
        let audit = builder.capture_content(CaptureContent::Failed).build().unwrap();
        assert!(audit.captures_content());
        let traces: Vec<_> = (0..TRACES).map(|number| record_trace(&audit, number)).collect();
        audit.flush(DEADLINE).unwrap();
        let counts = audit.accounting();
        assert_eq!((counts.queued, counts.adds_up()), (0, true), "every trace has ended");
        audit.shutdown(DEADLINE).unwrap();
        assert_eq!(audit.accounting().overwritten, 0);
        let all = lines(folder.path());
        let mut by_trace: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for line in all.iter().filter(|line| line.get("seq").is_some()) {
            by_trace.entry(line["trace_id"].as_str().unwrap()).or_default().push(line);
        }
        for (number, trace) in traces.iter().enumerate() {
            let id = format!("{:032x}", trace.trace_id());
            let mut found = contents(by_trace.get(&*id).map_or(&[], |lines| lines));
            found.sort_unstable();
            let whole = [
                ("chat", vec!["completion", "model", "prompt", "provider"]),
                ("search", vec!["arguments", "key", "tool"]),
            ];
            let bare = [("chat", vec!["model", "provider"]), ("search", vec!["key", "tool"])];
            let again =
                by_trace.get(&*id).into_iter().flatten().find(|line| line["action"] == "again");
            let has_snapshot = again.map(|line| line["error"].get("input_snapshot").is_some());
            assert!(has_snapshot.is_none_or(|has_one| has_one == (number % 4 == 0)), "{again:?}");
            assert!(has_snapshot.is_some() || number % 4 > 0 && success_rate < 1.0, "{number}");
            match (number % 4, success_rate) {
                (0, _) => assert_eq!(found, whole),
                (_, 1.0) => assert_eq!(found, bare),
                _ => assert!(found.iter().all(|line| bare.contains(line)), "{found:?}"),
            }
        }
    }
}

#[test]
fn the_log_says_in_which_traces_it_keeps_content() {
    for (given, expected) in [
        (CaptureContent::Never, json!(false)),
        (CaptureContent::Always, json!(true)),
        (CaptureContent::Failed, json!("failed")),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let audit = logger(folder.path()).capture_content(given).build().unwrap();
        audit.shutdown(DEADLINE).unwrap();
        assert_eq!(lines(folder.path())[0]["data"]["capture_content"], expected);
    }
}
