//! Why an operation failed, from what libraries record inside its span.
//!
//! The spans and events below have the names, fields, levels and targets of these sources:
//!
//! - rig-agent 0.44.0, `src/agent/telemetry.rs` and `src/agent/engine.rs`: the spans `invoke_agent` and
//!   `execute_tool`, the event "Tool call denied";
//! - rig-core 0.44.0, `src/telemetry/mod.rs`: the span `chat`, in which a failed call records nothing;
//! - rig-core 0.42.0, `src/providers/internal/completion_send.rs` and `sse_transport.rs`: the events
//!   "provider returned an error response" and "SSE error";
//! - reqwest-tracing 0.7.1, `src/reqwest_otel_span_macro.rs` and `src/reqwest_otel_span_builder.rs`: the
//!   span `HTTP request`;
//! - async-openai 0.41.3, `src/client.rs`, `src/error.rs` and `src/middleware/retry/mod.rs`: the events
//!   "Server error", "failed deserialization of" and "retry-after". It has no spans.
//!
//! reqwest 0.13.5 itself logs no failure above the level `DEBUG`.

#![cfg(all(feature = "tracing", not(loom)))]

use llm_audit::layer::tracing::{Amendment, AuditLayer};
use llm_audit::testing::capture_with;
use serde_json::{Value, json};
use tracing::field::Empty;
use tracing::{Span, error, info, info_span, warn};
use tracing_subscriber::prelude::*;

fn recorded(work: impl FnOnce()) -> Vec<Value> {
    recorded_by(|builder| builder, work)
}

fn recorded_by(
    change: impl FnOnce(llm_audit::Builder) -> llm_audit::Builder,
    work: impl FnOnce(),
) -> Vec<Value> {
    let seen = capture_with(change);
    let subscriber = tracing_subscriber::registry().with(AuditLayer::new("benefits"));
    tracing::subscriber::with_default(subscriber, work);
    seen.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The type, status and error of each end.
fn ends(lines: &[Value]) -> Vec<(&str, &str, Option<&str>, Option<&str>)> {
    lines
        .iter()
        .filter(|line| line["event_type"] != "tool.call")
        .map(|line| {
            let error = &line["error"];
            (
                line["event_type"].as_str().unwrap(),
                line["status"].as_str().unwrap(),
                error["type"].as_str(),
                error["message"].as_str(),
            )
        })
        .collect()
}

fn rig_agent() -> Span {
    info_span!(
        target: "rig_agent::agent::telemetry",
        parent: None,
        "invoke_agent",
        gen_ai.operation.name = "invoke_agent",
        gen_ai.agent.name = "benefits",
        gen_ai.system_instructions = Empty,
        gen_ai.prompt = Empty,
        gen_ai.completion = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.usage.cache_read.input_tokens = Empty,
        gen_ai.usage.cache_creation.input_tokens = Empty,
        gen_ai.usage.tool_use_prompt_tokens = Empty,
        gen_ai.usage.reasoning_tokens = Empty,
    )
}

fn rig_chat() -> Span {
    info_span!(
        target: "rig::agent_chat",
        "chat",
        gen_ai.operation.name = "chat",
        gen_ai.agent.name = "benefits",
        gen_ai.system_instructions = Empty,
        gen_ai.provider.name = "openai",
        gen_ai.request.model = "gpt-4o",
        gen_ai.request.stream = Empty,
        gen_ai.response.id = Empty,
        gen_ai.response.model = Empty,
        rig.provider_request_id = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.input.messages = Empty,
        gen_ai.output.messages = Empty,
    )
}

fn answer(span: &Span) {
    span.record("gen_ai.usage.input_tokens", 10);
    span.record("gen_ai.usage.output_tokens", 5);
}

fn rig_tool() -> Span {
    let tool = info_span!(
        target: "rig_agent::agent::telemetry",
        "execute_tool",
        gen_ai.operation.name = "execute_tool",
        gen_ai.tool.type = "function",
        gen_ai.tool.name = Empty,
        gen_ai.tool.call.id = Empty,
        gen_ai.tool.call.arguments = Empty,
        gen_ai.tool.call.result = Empty,
        gen_ai.tool.call.outcome = Empty,
        gen_ai.tool.error.type = Empty,
    );
    tool.record("gen_ai.tool.name", "plan_search");
    tool
}

fn reqwest_call(code: Option<u16>, failure: Option<&str>) {
    let call = info_span!(
        target: "reqwest_tracing::reqwest_otel_span_builder",
        "HTTP request",
        http.request.method = "POST",
        url.scheme = "https",
        server.address = "api.openai.com",
        server.port = 443,
        otel.kind = "client",
        otel.name = "POST",
        otel.status_code = Empty,
        http.response.status_code = Empty,
        error.message = Empty,
        error.cause_chain = Empty,
    );
    if let Some(failure) = failure {
        call.record("otel.status_code", "ERROR");
        call.record("error.message", failure);
        call.record("error.cause_chain", "Reqwest(…)");
    }
    if let Some(code) = code {
        if code >= 400 {
            call.record("otel.status_code", "ERROR");
        }
        call.record("http.response.status_code", code);
    }
}

const CLOSED: &str = "the span was closed without an answer";
const LAST: &str = "the span was closed without an answer; the last problem in it: ";

#[test]
fn a_run_fails_with_the_model_call_that_ended_it() {
    let lines = recorded(|| {
        let agent = rig_agent();
        let _in = agent.enter();
        rig_chat().in_scope(|| reqwest_call(Some(429), None));
    });
    let message = format!("{LAST}HTTP status 429");
    let failed = |event_type| (event_type, "error", Some("429"), Some(message.as_str()));
    assert_eq!(ends(&lines), [failed("llm.error"), failed("agent.invoke")]);
}

#[test]
fn a_call_that_says_nothing_fails_without_a_reason() {
    let lines = recorded(|| rig_agent().in_scope(|| drop(rig_chat())));
    let failed = |event_type| (event_type, "error", Some("no_response"), Some(CLOSED));
    assert_eq!(ends(&lines), [failed("llm.error"), failed("agent.invoke")]);
}

#[test]
fn a_client_that_times_out_makes_its_call_and_the_run_fail_with_its_message() {
    let lines = recorded(|| {
        rig_agent().in_scope(|| {
            rig_chat().in_scope(|| reqwest_call(None, Some("error sending request: timed out")));
        });
    });
    let message = format!("{LAST}error sending request: timed out");
    let failed = |event_type| (event_type, "error", Some("no_response"), Some(message.as_str()));
    assert_eq!(ends(&lines), [failed("llm.error"), failed("agent.invoke")]);
    let lines = recorded(|| rig_chat().in_scope(|| reqwest_call(Some(504), None)));
    assert_eq!(
        (&lines[0]["status"], &lines[0]["error"]["type"]),
        (&json!("timeout"), &json!("504"))
    );
}

#[test]
fn a_try_that_was_repeated_is_no_reason() {
    // Each try of reqwest-retry is a span of reqwest-tracing.
    let lines = recorded(|| {
        let chat = rig_chat();
        chat.in_scope(|| {
            reqwest_call(Some(500), None);
            warn!(target: "reqwest_retry::middleware", "Retry attempt #0. Sleeping 1s");
            reqwest_call(Some(200), None);
        });
        answer(&chat);
        drop(chat);
        // An answer came, but not the model's.
        rig_chat().in_scope(|| {
            reqwest_call(Some(500), None);
            reqwest_call(Some(200), None);
        });
    });
    assert_eq!(
        ends(&lines),
        [
            ("llm.invoke", "ok", None, None),
            ("llm.error", "error", Some("no_response"), Some(CLOSED))
        ]
    );
}

#[test]
fn a_run_goes_on_after_a_failed_step() {
    let failing_tool = || {
        rig_tool().record("gen_ai.tool.call.outcome", "error");
    };
    // The model answers after the tool failed, and the provider gives no usage to the run.
    let lines = recorded(|| {
        rig_agent().in_scope(|| {
            failing_tool();
            answer(&rig_chat());
        });
    });
    assert_eq!(lines.last().unwrap()["status"], "ok");
    // The run has an answer of its own.
    let lines = recorded(|| {
        let agent = rig_agent();
        agent.in_scope(failing_tool);
        answer(&agent);
    });
    assert_eq!(lines.last().unwrap()["status"], "ok");
    // It says that it ended well.
    let lines = recorded(|| {
        let agent = info_span!(
            "invoke_agent",
            gen_ai.operation.name = "invoke_agent",
            otel.status_code = "OK"
        );
        agent.in_scope(failing_tool);
    });
    assert_eq!(lines.last().unwrap()["status"], "ok");
    let lines = recorded(|| rig_agent().in_scope(failing_tool));
    assert_eq!(lines.last().unwrap()["status"], "error");
}

#[test]
fn a_failure_reaches_every_operation_above_it() {
    let lines = recorded(|| {
        info_span!("invoke_workflow", gen_ai.operation.name = "invoke_workflow").in_scope(|| {
            info_span!("a plain span").in_scope(|| {
                info_span!("invoke_agent", gen_ai.operation.name = "invoke_agent").in_scope(|| {
                    let chat = rig_chat();
                    chat.in_scope(|| error!(error = "quota used up", "the call failed"));
                });
            });
        });
    });
    let failed = |event_type| (event_type, "error", Some("error"), Some("quota used up"));
    let expected = [failed("llm.error"), failed("agent.invoke"), failed("workflow.invoke")];
    assert_eq!(ends(&lines), expected);
}

#[test]
fn a_failed_tool_says_why() {
    let failing = |inside: fn(&Span)| {
        move || {
            let tool = rig_tool();
            tool.in_scope(|| inside(&tool));
            tool.record("gen_ai.tool.call.outcome", "error");
            tool.record("gen_ai.tool.error.type", "provider");
        }
    };
    let error = |lines: &[Value]| {
        let error = &lines.last().unwrap()["error"];
        assert_eq!(error["type"], "provider");
        error["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(error(&recorded(failing(|_| {}))), "no message was recorded");
    let warned = failing(|_| warn!(error = "connection reset", "the search failed"));
    assert_eq!(
        error(&recorded(warned)),
        "no message was recorded; the last problem in it: the search failed: connection reset"
    );
    // The result is a content. So it is the message only if contents are captured.
    let result = |tool: &Span| {
        tool.record("gen_ai.tool.call.result", "no such plan");
    };
    assert_eq!(error(&recorded(failing(result))), "no message was recorded");
    let lines = recorded_by(|builder| builder.capture_content(true), failing(result));
    assert_eq!(error(&lines), "no such plan");

    let denied = || {
        let tool = rig_tool();
        tool.in_scope(|| {
            let report = "needs approval";
            info!(target: "rig_agent::agent::engine", tool_name = "plan_search", reason = %report, "Tool call denied");
        });
        tool.record("gen_ai.tool.call.outcome", "denied");
    };
    let lines = recorded(denied);
    assert_eq!(
        lines[1]["error"],
        json!({"type": "denied", "message": "no message was recorded; the last problem in it: Tool call denied: needs approval"})
    );
}

#[test]
fn what_a_client_logs_explains_a_call_without_an_answer() {
    let message = |log: fn()| {
        let lines = recorded(|| rig_chat().in_scope(log));
        assert_eq!(lines[0]["event_type"], "llm.error");
        let message = lines[0]["error"]["message"].as_str().unwrap().to_owned();
        message.strip_prefix(LAST).map_or_else(|| message.clone(), str::to_owned)
    };
    // async-openai
    assert_eq!(
        message(
            || warn!(target: "async_openai::client", "Server error: 500 Internal Server Error - overloaded")
        ),
        "Server error: 500 Internal Server Error - overloaded"
    );
    assert_eq!(
        message(|| {
            warn!(target: "async_openai::middleware::retry", "rate-limit: x-ratelimit-remaining-requests = 0");
            warn!(target: "async_openai::middleware::retry", "retry-after=20");
        }),
        "retry-after=20"
    );
    // The body of an answer is a content.
    let body = || error!(target: "async_openai::error", "failed deserialization of: {}", r#"{"choices": "hello"}"#);
    assert_eq!(message(body), "failed deserialization");
    let lines = recorded_by(|builder| builder.capture_content(true), || rig_chat().in_scope(body));
    assert!(lines[0].to_string().contains("hello"));
    // rig 0.42
    assert_eq!(
        message(|| warn!(message = %"insufficient_quota", "provider returned an error response")),
        "insufficient_quota"
    );
    assert_eq!(
        message(|| {
            let error = "StreamEnded";
            error!(?error, "SSE error");
        }),
        "StreamEnded"
    );
    // Of several, the last one counts. What is below a warning explains nothing.
    assert_eq!(
        message(|| {
            warn!("one");
            info_span!("hyper_connect").in_scope(|| warn!("two"));
            info!("three");
        }),
        "two"
    );
}

#[test]
fn a_warning_in_a_call_that_has_its_answer_is_nothing() {
    let lines = recorded(|| {
        let chat = rig_chat();
        chat.in_scope(|| {
            warn!("a first try failed");
            reqwest_call(Some(500), None);
            error!("and another");
        });
        answer(&chat);
    });
    assert_eq!(ends(&lines), [("llm.invoke", "ok", None, None)]);
    assert!(!lines[0].to_string().contains("try"), "{:#}", lines[0]);
}

/// The result of a tool is its answer.
#[test]
fn a_tool_with_its_result_recovered_from_what_it_logged() {
    let lines = recorded(|| {
        let tool = info_span!(
            "execute_tool",
            gen_ai.operation.name = "execute_tool",
            gen_ai.tool.name = "search",
            gen_ai.tool.call.result = Empty
        );
        tool.in_scope(|| error!(error = "one of three mirrors is down"));
        tool.record("gen_ai.tool.call.result", "[1,2]");
    });
    assert_eq!(ends(&lines), [("tool.result", "ok", None, None)]);
}

#[test]
fn a_hook_knows_why_an_operation_failed() {
    let quota = Amendment::default().failure("insufficient_quota", "pay first");
    let lines = recorded(|| {
        rig_agent().in_scope(|| {
            let chat = rig_chat();
            chat.in_scope(|| {
                assert!(!quota.apply_to_span("invoke_agent"), "another span is the innermost");
                assert!(info_span!("a plain span").in_scope(|| quota.apply_to_span("chat")));
                reqwest_call(Some(429), None);
            });
            answer(&chat);
        });
        assert!(!quota.apply_to_span("chat"), "it was left");
    });
    let failed = |event_type| (event_type, "error", Some("insufficient_quota"), Some("pay first"));
    assert_eq!(ends(&lines), [failed("llm.error"), failed("agent.invoke")]);
}

#[test]
fn a_hook_knows_when_the_first_token_came() {
    let lines = recorded(|| {
        let chat = rig_chat();
        answer(&chat);
        chat.in_scope(|| Amendment::default().first_token_ms(80.5).apply_to_span("chat"));
        chat.in_scope(|| Amendment::default().apply_to_span("chat"));
    });
    assert_eq!(
        (&lines[0]["status"], &lines[0]["data"]["first_token_ms"]),
        (&json!("ok"), &json!(80.5))
    );
}

/// Each of two layers over one registry is told.
#[test]
fn a_hook_amends_the_operations_of_all_layers() {
    let seen = capture_with(|builder| builder);
    let layer = || AuditLayer::new("benefits");
    let subscriber = tracing_subscriber::registry().with(layer()).with(layer());
    tracing::subscriber::with_default(subscriber, || {
        rig_chat().in_scope(|| Amendment::default().failure("http", "reset").apply_to_span("chat"));
    });
    let lines: Vec<Value> =
        seen.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(ends(&lines), [("llm.error", "error", Some("http"), Some("reset")); 2]);
}
