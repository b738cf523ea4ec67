//! Audit events from spans and events with OpenTelemetry's GenAI fields: types, fields, errors,
//! content and filters.
#![cfg(all(feature = "tracing", not(loom)))]

mod common;

use std::fmt;
use std::time::{Duration, Instant};

use llm_audit::layer::tracing::AuditLayer;
use llm_audit::testing::{Capture, capture, capture_with};
use llm_audit::{AuditEvent, AuditLogger, CaptureContent, EventType, TraceContext};
use serde_json::{Value, json};
use tracing::field::Empty;
use tracing::{Level, debug_span, error, event, info, info_span, warn};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

/// Runs `work` under a subscriber with only this layer, and returns the events.
fn recorded(work: impl FnOnce()) -> Vec<Value> {
    recorded_by(&capture(), work)
}

fn recorded_by(seen: &Capture, work: impl FnOnce()) -> Vec<Value> {
    let subscriber = tracing_subscriber::registry().with(AuditLayer::new("benefits"));
    tracing::subscriber::with_default(subscriber, work);
    lines(seen)
}

fn lines(seen: &Capture) -> Vec<Value> {
    seen.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn only(lines: &[Value]) -> &Value {
    assert_eq!(lines.len(), 1, "{lines:#?}");
    &lines[0]
}

fn types(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["event_type"].as_str().unwrap()).collect()
}

/// Returns the one line of this type.
fn of_type<'a>(lines: &'a [Value], event_type: &str) -> &'a Value {
    let mut found = lines.iter().filter(|line| line["event_type"] == event_type);
    let line = found.next().unwrap_or_else(|| panic!("no {event_type} in {lines:#?}"));
    assert!(found.next().is_none(), "several {event_type} in {lines:#?}");
    line
}

#[test]
fn a_model_call() {
    let lines = recorded(|| {
        let span = info_span!(
            "chat gpt-4o",
            gen_ai.operation.name = "chat",
            gen_ai.provider.name = "openai",
            gen_ai.request.model = "gpt-4o",
            gen_ai.conversation.id = "conv_1",
            gen_ai.response.model = Empty,
            gen_ai.response.id = Empty,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
            gen_ai.usage.cache_read.input_tokens = Empty,
            gen_ai.usage.reasoning.output_tokens = Empty,
        );
        span.record("gen_ai.response.model", "gpt-4o-2024-08-06");
        span.record("gen_ai.response.id", "chatcmpl-1");
        span.record("gen_ai.usage.input_tokens", 7_u64);
        span.record("gen_ai.usage.input_tokens", 1_000_u64);
        span.record("gen_ai.usage.output_tokens", 50_i64);
        span.record("gen_ai.usage.cache_read.input_tokens", 600_u64);
        span.record("gen_ai.usage.reasoning.output_tokens", 20_u64);
    });
    let line = only(&lines);
    assert_eq!(line["event_type"], "llm.invoke");
    assert_eq!((&line["agent"], &line["action"]), (&json!("benefits"), &json!("chat")));
    assert_eq!((&line["tokens_input"], &line["tokens_output"]), (&json!(1000), &json!(50)));
    assert_eq!(line["cost_usd"], 0.00225, "600 of the 1,000 at the price of cached ones");
    assert_eq!(line["status"], "ok");
    assert!(line["latency_ms"].as_f64().unwrap() >= 0.0);
    let data = &line["data"];
    assert_eq!(data["model"], "gpt-4o-2024-08-06");
    assert_eq!(data["request_model"], "gpt-4o");
    assert_eq!(data["provider"], "openai");
    assert_eq!(data["conversation"], "conv_1");
    assert_eq!(data["response_id"], "chatcmpl-1");
    assert!(data["usage"].is_object(), "{data}");
    assert!(line.get("parent_span_id").is_none());
}

#[test]
fn whom_an_operation_is_for_is_named_by_a_span_above() {
    let seen = capture();
    let lines = recorded_by(&seen, || {
        let request =
            info_span!("request", user.id = "u-1842", tenant = "acme", session.id = "s-9");
        let _request = request.enter();
        let chat = info_span!(
            "chat",
            gen_ai.operation.name = "chat",
            gen_ai.request.model = "gpt-4o",
            enduser.id = Empty
        );
        chat.in_scope(|| {
            llm_audit::emit(&AuditEvent::new(EventType::CacheMiss, "benefits", "inside"));
        });
        chat.record("enduser.id", "u-7");
        drop(chat);
        let plan = info_span!(
            "plan",
            gen_ai.operation.name = "invoke_agent",
            gen_ai.request.model = "gpt-4o",
            user.id = "ann@example.org"
        );
        let _plan = plan.enter();
        info!(gen_ai.operation.name = "chat");
    });
    let whom = |event_type| {
        let data = &of_type(&lines, event_type)["data"];
        (data["user"].as_str().unwrap_or(""), data["tenant"].as_str().unwrap_or(""))
    };
    assert_eq!(whom("cache.miss"), ("u-1842", "acme"));
    let calls: Vec<_> = lines.iter().filter(|line| line["event_type"] == "llm.invoke").collect();
    assert_eq!(calls[0]["data"]["user"], "u-7");
    let (user, tenant) = whom("agent.invoke");
    assert!(user.starts_with("u_") && tenant == "acme", "{user} {tenant}");
    assert_eq!(calls[1]["data"]["user"], user);
    assert!(lines.iter().all(|line| line["data"]["conversation"] == "s-9"), "{lines:?}");
    let rows = seen.logger().metrics().rows;
    assert!(rows.iter().all(|row| row.tenant == "acme"), "{rows:?}");
    assert!(rows.iter().any(|row| (&*row.event_type, &*row.model) == ("agent.invoke", "gpt-4o")));
}

#[test]
fn operations_and_their_types() {
    let event_type = |operation: &str, model: Option<&str>| {
        let lines = recorded(|| {
            let _span =
                info_span!("step", gen_ai.operation.name = operation, gen_ai.request.model = model);
        });
        let line = only(&lines);
        assert_eq!(line["action"], operation);
        line["event_type"].as_str().unwrap().to_owned()
    };
    for (operation, model, expected) in [
        ("chat", None, "llm.invoke"),
        ("text_completion", None, "llm.invoke"),
        ("generate_content", Some("gemini-2.5-pro"), "llm.invoke"),
        ("embeddings", Some("text-embedding-3-small"), "llm.invoke"),
        ("rerank", Some("rerank-v3"), "llm.invoke"),
        ("rerank", None, "gen_ai.rerank"),
        ("invoke_agent", Some("gpt-4o"), "agent.invoke"),
        ("create_agent", None, "agent.create"),
        ("invoke_workflow", None, "workflow.invoke"),
        ("plan", Some("gpt-4o"), "agent.plan"),
        ("retrieval", Some("text-embedding-3-small"), "gen_ai.retrieval"),
        ("search_memory", None, "gen_ai.search_memory"),
    ] {
        assert_eq!(event_type(operation, model), expected, "{operation} {model:?}");
    }
}

#[test]
fn what_older_instrumentations_write() {
    let lines = recorded(|| {
        let _span = info_span!(
            "completion",
            gen_ai.system = "anthropic",
            gen_ai.request.model = "claude-sonnet-4-5",
            gen_ai.usage.prompt_tokens = 100,
            gen_ai.usage.completion_tokens = 10,
            gen_ai.usage.cached_tokens = 40,
        );
    });
    let line = only(&lines);
    assert_eq!(
        (&line["event_type"], &line["action"]),
        (&json!("llm.invoke"), &json!("completion"))
    );
    assert_eq!((&line["tokens_input"], &line["tokens_output"]), (&json!(100), &json!(10)));
    assert_eq!(line["data"]["provider"], "anthropic");
}

#[test]
fn numbers_of_every_type() {
    fn tokens(work: impl FnOnce(&tracing::Span) -> &tracing::Span) -> Value {
        let lines = recorded(|| {
            let span = info_span!(
                "chat",
                gen_ai.operation.name = "chat",
                gen_ai.usage.input_tokens = Empty
            );
            work(&span);
        });
        lines[0]["tokens_input"].clone()
    }
    const FIELD: &str = "gen_ai.usage.input_tokens";
    assert_eq!(tokens(|s| s.record(FIELD, 12_u64)), 12);
    assert_eq!(tokens(|s| s.record(FIELD, 12_i64)), 12);
    assert_eq!(tokens(|s| s.record(FIELD, 12_u128)), 12);
    assert_eq!(tokens(|s| s.record(FIELD, 12_u8)), 12);
    assert_eq!(tokens(|s| s.record(FIELD, 12.0_f64)), 12);
    assert_eq!(tokens(|s| s.record(FIELD, " 12 ")), 12);
    assert_eq!(tokens(|s| s.record(FIELD, tracing::field::debug(Some(12)))), 12);
    assert_eq!(tokens(|s| s.record(FIELD, tracing::field::display(12))), 12);
    assert_eq!(tokens(|s| s.record(FIELD, Some(12))), 12);
    for none in [-12.0, f64::NAN, f64::INFINITY] {
        assert_eq!(tokens(|s| s.record(FIELD, none)), Value::Null);
    }
    assert_eq!(tokens(|s| s.record(FIELD, "many")), Value::Null);
    assert_eq!(tokens(|s| s.record(FIELD, tracing::field::debug(None::<u64>))), Value::Null);
}

#[test]
fn cached_tokens_counted_beside_the_input_are_added_to_it() {
    let lines = recorded(|| {
        let _span = info_span!(
            "chat",
            gen_ai.operation.name = "chat",
            gen_ai.usage.input_tokens = 10,
            gen_ai.usage.output_tokens = 5,
            gen_ai.usage.cache_read.input_tokens = 900,
            gen_ai.usage.cache_creation.input_tokens = 90,
        );
    });
    assert_eq!(only(&lines)["tokens_input"], 1000);
}

#[test]
fn a_tool_is_told_of_when_it_begins_and_when_it_ends() {
    let seen = capture();
    recorded_by(&seen, || {
        let span = info_span!(
            "execute_tool search",
            gen_ai.operation.name = "execute_tool",
            gen_ai.tool.name = "search",
            gen_ai.tool.call.id = "call_1",
            gen_ai.tool.r#type = "function",
        );
        assert_eq!(types(&lines(&seen)), ["tool.call"]);
        drop(span);
    });
    let lines = lines(&seen);
    assert_eq!(types(&lines), ["tool.call", "tool.result"]);
    for line in &lines {
        assert_eq!((&line["action"], &line["data"]["tool"]), (&json!("search"), &json!("search")));
        assert_eq!(line["data"]["call_id"], "call_1");
        assert_eq!(line["span_id"], lines[0]["span_id"]);
        assert_eq!(line["trace_id"], lines[0]["trace_id"]);
    }
    assert!(lines[0].get("latency_ms").is_none() && lines[1].get("latency_ms").is_some());
}

/// rig opens the spans of a batch before it runs the first tool. It names a span when the turn of its
/// tool comes.
#[test]
fn a_tool_begins_when_its_name_is_known_and_never_without_one() {
    let seen = capture();
    recorded_by(&seen, || {
        let open = || {
            info_span!(
                "execute_tool",
                gen_ai.operation.name = "execute_tool",
                gen_ai.tool.name = Empty,
                gen_ai.tool.call.id = Empty,
            )
        };
        let (first, second) = (open(), open());
        first.in_scope(|| ());
        assert!(lines(&seen).is_empty());
        first.in_scope(|| {
            first.record("gen_ai.tool.name", "search");
            first.record("gen_ai.tool.call.id", "call_1");
        });
        let begun = lines(&seen);
        assert_eq!(only(&begun)["data"]["call_id"], "call_1");
        second.in_scope(|| ());
    });
    assert_eq!(types(&lines(&seen)), ["tool.call", "tool.result"]);
}

#[test]
fn failures() {
    fn failed(work: impl FnOnce(&tracing::Span)) -> Value {
        let lines = recorded(|| {
            let span = info_span!(
                "chat",
                gen_ai.operation.name = "chat",
                gen_ai.request.model = "gpt-4o",
                otel.status_code = Empty,
                otel.status_description = Empty,
                error.r#type = Empty,
            );
            work(&span);
        });
        only(&lines).clone()
    }
    let expect = |line: Value, event_type: &str, status: &str, error: Value| {
        assert_eq!(line["event_type"], event_type, "{line:#}");
        assert_eq!(line["status"], status, "{line:#}");
        assert_eq!(line["error"]["type"], error["type"], "{line:#}");
        assert_eq!(line["error"]["message"], error["message"], "{line:#}");
    };
    let by_status = failed(|span| {
        span.record("otel.status_code", "ERROR");
        span.record("otel.status_description", "quota of ana@example.com used up");
    });
    let message = "quota of [REDACTED_email] used up";
    expect(by_status, "llm.error", "error", json!({"type": "error", "message": message}));
    let by_type = failed(|span| {
        span.record("error.type", "rate_limit_exceeded");
    });
    expect(
        by_type,
        "llm.error",
        "error",
        json!({"type": "rate_limit_exceeded", "message": "no message was recorded"}),
    );
    let by_event = failed(|span| {
        let _entered = span.enter();
        error!(error = %"connection closed", "the call failed");
    });
    expect(
        by_event,
        "llm.error",
        "error",
        json!({"type": "error", "message": "connection closed"}),
    );
    for timeout in
        ["timeout", "DeadlineExceeded", "tokio::time::error::Elapsed", "504", "timed_out"]
    {
        let line = failed(|span| {
            span.record("error.type", timeout);
        });
        expect(
            line,
            "llm.error",
            "timeout",
            json!({"type": timeout, "message": "no message was recorded"}),
        );
    }
    let ok = |span: &tracing::Span| {
        span.in_scope(|| error!(error = "tried again", "a first attempt failed"));
        span.record("otel.status_code", "OK");
    };
    expect(failed(ok), "llm.invoke", "ok", Value::Null);
    let not_of_it = |span: &tracing::Span| span.in_scope(|| error!("no field named error"));
    expect(failed(not_of_it), "llm.invoke", "ok", Value::Null);
    let tried_again = |span: &tracing::Span| {
        span.in_scope(|| {
            warn!(exception.r#type = "Reset", exception.message = "reset by peer", "trying again");
            warn!(error = "reset by peer", otel.status_description = "reset by peer");
        });
    };
    expect(failed(tried_again), "llm.invoke", "ok", Value::Null);
    let told_below = |span: &tracing::Span| {
        span.in_scope(|| {
            info!(gen_ai.system = "x", error.r#type = "reset", error.message = "reset by peer");
        });
    };
    let error = json!({"type": "reset", "message": "reset by peer"});
    expect(failed(told_below), "llm.error", "error", error);
}

#[test]
fn a_tool_and_an_agent_that_fail() {
    let lines = recorded(|| {
        let agent =
            info_span!("agent", gen_ai.operation.name = "invoke_agent", error.r#type = "oops");
        let _in = agent.enter();
        let _tool = info_span!("t", gen_ai.tool.name = "search", error.r#type = "timeout");
    });
    assert_eq!(types(&lines), ["tool.call", "tool.error", "agent.invoke"]);
    assert_eq!(lines[1]["status"], "timeout");
    assert_eq!(
        (&lines[2]["status"], &lines[2]["error"]["type"]),
        (&json!("error"), &json!("oops"))
    );
}

#[test]
fn the_arguments_of_a_tool_that_failed_are_its_snapshot() {
    let failing = |builder: fn(llm_audit::Builder) -> llm_audit::Builder| {
        let seen = capture_with(builder);
        let lines = recorded_by(&seen, || {
            let tool = info_span!(
                "t",
                gen_ai.tool.name = "login",
                gen_ai.tool.call.arguments = r#"{"user": "ana", "token": "abc"}"#,
                gen_ai.tool.call.result = "SECRET",
                error.r#type = Empty,
            );
            tool.record("error.type", "denied");
        });
        assert_eq!(types(&lines), ["tool.call", "tool.error"]);
        (lines[0]["data"].get("arguments").cloned(), lines[1].clone())
    };
    let (arguments, error) = failing(|builder| builder);
    assert_eq!(arguments, None);
    assert!(error["data"].get("arguments").is_none() && error["data"].get("result").is_none());
    let snapshot = json!({"user": "ana", "token": "[REDACTED]"});
    assert_eq!(error["error"]["input_snapshot"], snapshot);
    let (arguments, error) = failing(|builder| builder.include_snapshots(false));
    assert_eq!((arguments, error["error"].get("input_snapshot")), (None, None));
    let (arguments, _) = failing(|builder| builder.include_snapshots(false).capture_content(true));
    assert!(arguments.is_some());
}

#[test]
fn half_of_a_usage_has_no_cost() {
    let lines = recorded(|| {
        drop(info_span!("a", gen_ai.request.model = "gpt-4o", gen_ai.usage.input_tokens = 1_000));
        drop(info_span!(
            "b",
            gen_ai.operation.name = "embeddings",
            gen_ai.request.model = "text-embedding-3-small",
            gen_ai.usage.input_tokens = 1_000,
        ));
    });
    assert_eq!(lines[0]["tokens_input"], 1_000);
    assert_eq!((lines[0].get("tokens_output"), lines[0].get("cost_usd")), (None, None));
    assert_eq!((&lines[1]["tokens_output"], &lines[1]["cost_usd"]), (&json!(0), &json!(0.00002)));
    let lines = recorded(|| {
        drop(info_span!("a", gen_ai.request.model = "gpt-4o", gen_ai.usage.output_tokens = 70));
        drop(info_span!(
            "b",
            gen_ai.operation.name = "invoke_agent",
            gen_ai.usage.output_tokens = 70,
        ));
    });
    assert_eq!(lines[0]["tokens_output"], 70);
    assert_eq!((lines[0].get("tokens_input"), lines[0].get("cost_usd")), (None, None));
    assert_eq!(lines[1]["data"]["total"], json!({"tokens_output": 70, "usage": {}}));
}

#[test]
fn tokens_have_the_names_of_every_version() {
    let lines = recorded(|| {
        drop(info_span!(
            "chat",
            gen_ai.operation.name = "chat",
            gen_ai.usage.input_tokens = 500,
            gen_ai.usage.output_tokens = 40,
            gen_ai.usage.cache_read.input_tokens = 200,
            gen_ai.usage.cache_write.input_tokens = 100,
            gen_ai.usage.reasoning.output_tokens = 30,
            gen_ai.usage.audio.input_tokens = 50,
            gen_ai.usage.audio.cache_read.input_tokens = 20,
            gen_ai.usage.audio.output_tokens = 5,
        ));
        drop(info_span!(
            "chat",
            gen_ai.usage.prompt_tokens = 500,
            gen_ai.usage.completion_tokens = 40,
            gen_ai.usage.cache_creation.input_tokens = 100,
        ));
    });
    let parts = json!({"cache_read": 200, "cache_write": 100, "reasoning": 30, "audio_input": 50,
        "audio_cache_read": 20, "audio_output": 5});
    assert_eq!(lines[0]["data"]["usage"], parts);
    assert_eq!(lines[1]["data"]["usage"], json!({"cache_write": 100}));
    for line in &lines {
        assert_eq!((&line["tokens_input"], &line["tokens_output"]), (&json!(500), &json!(40)));
    }
}

#[test]
fn a_call_whose_span_has_fields_for_an_answer_and_got_none_failed() {
    let chat = || {
        info_span!(
            "chat",
            gen_ai.operation.name = "chat",
            gen_ai.request.model = "gpt-4o",
            gen_ai.response.model = Empty,
            gen_ai.output.messages = Empty,
        )
    };
    let line = only(&recorded(|| drop(chat()))).clone();
    assert_eq!(
        (&line["event_type"], &line["error"]["type"]),
        (&json!("llm.error"), &json!("no_response"))
    );
    let line = only(&recorded(|| {
        chat().record("gen_ai.response.model", "");
    }))
    .clone();
    assert_eq!(line["event_type"], "llm.error");
    let tool = || info_span!("t", gen_ai.tool.name = "t", gen_ai.tool.call.outcome = Empty);
    let lines = recorded(|| drop(tool()));
    assert_eq!(
        (types(&lines)[1], &lines[1]["error"]["type"]),
        ("tool.error", &json!("no_response"))
    );
    let lines = recorded(|| {
        tool().record("gen_ai.tool.call.outcome", "success");
    });
    assert_eq!(types(&lines)[1], "tool.result");
    // Content counts as an answer, even if it is not captured.
    let line = only(&recorded(|| {
        chat().record("gen_ai.output.messages", "[]");
    }))
    .clone();
    assert_eq!(line["event_type"], "llm.invoke");
    assert!(line["data"].get("completion").is_none());
}

#[test]
fn content_only_where_it_is_captured() {
    let work = || {
        let agent = info_span!(
            "agent",
            gen_ai.operation.name = "invoke_agent",
            gen_ai.prompt = "SECRET",
            gen_ai.completion = "SECRET"
        );
        let _in = agent.enter();
        drop(info_span!(
            "chat",
            gen_ai.operation.name = "chat",
            gen_ai.system_instructions = "SECRET",
            gen_ai.input.messages =
                r#"[{"role": "user", "password": "p4ss", "parts": ["SECRET"]}]"#,
            gen_ai.output.messages = "SECRET of ana@example.com",
        ));
        drop(info_span!(
            "tool",
            gen_ai.tool.name = "login",
            gen_ai.tool.call.arguments = r#"{"user": "SECRET", "token": "abc"}"#,
            gen_ai.tool.call.result = ?Some("SECRET"),
        ));
        event!(name: "gen_ai.choice", Level::INFO, gen_ai.system = "openai", content = "SECRET");
    };
    let seen = capture();
    recorded_by(&seen, work);
    assert!(!seen.lines().concat().contains("SECRET"), "{:#?}", seen.lines());

    // The trace has not failed when the log ends.
    let seen = capture_with(|builder| builder.capture_content(CaptureContent::Failed));
    recorded_by(&seen, work);
    seen.logger().shutdown(Duration::from_secs(60)).unwrap();
    let lines = seen.lines().concat();
    assert!(lines.contains("llm.invoke") && lines.contains("tool.result"), "{lines}");
    assert!(!lines.contains("SECRET"), "{lines}");

    let seen = capture_with(|builder| builder.capture_content(true));
    let lines = recorded_by(&seen, work);
    assert_eq!(types(&lines), ["llm.invoke", "tool.call", "tool.result", "agent.invoke"]);
    let data = &lines[0]["data"];
    assert_eq!(
        data["prompt"],
        json!([{"role": "user", "password": "[REDACTED]", "parts": ["SECRET"]}])
    );
    assert_eq!(data["completion"], "SECRET of [REDACTED_email]");
    assert_eq!(data["system_instructions"], "SECRET");
    assert_eq!(lines[1]["data"]["arguments"], json!({"user": "SECRET", "token": "[REDACTED]"}));
    assert!(lines[2]["data"].get("arguments").is_none());
    assert_eq!(lines[2]["data"]["result"], "SECRET");
    assert_eq!(lines[3]["data"]["prompt"], "SECRET");
    assert_eq!(lines[3]["data"]["completion"], "SECRET\nSECRET");
}

#[test]
fn json_that_is_cut_or_broken_hides_what_lies_under_sensitive_keys() {
    let long = format!(
        r#"{{"password": "p4ssw0rd", "mail": "ana@example.com", "text": "{}"}}"#,
        "word ".repeat(2_000_000)
    );
    let broken = r#"{"password": "p4ssw0rd", "mail": "ana@example.com""#;
    for arguments in [long.as_str(), broken] {
        let seen = capture_with(|builder| builder.capture_content(true));
        recorded_by(&seen, || {
            drop(info_span!(
                "t",
                gen_ai.tool.name = "login",
                gen_ai.tool.call.arguments = arguments
            ));
        });
        let lines = seen.lines();
        assert!(!lines.concat().contains("p4ssw0rd") && !lines.concat().contains("ana@"));
        assert!(lines.iter().all(|line| line.len() <= 1 << 20), "{}", lines[0].len());
        assert_eq!(lines[0].contains("[TRUNCATED:"), arguments.len() > 1000);
    }
}

#[test]
fn a_secret_is_not_cut_in_half() {
    // Whatever the prefix, the text held of a span ends inside the token. It ends further after the
    // token's beginning than the event is too small for that text.
    let token = format!("eyJhbGciOiJIUzI1NiJ9.eyJ{}.c2ln", "a".repeat(1500));
    for prefix in (0..1500).step_by(100) {
        let text = format!("{}{} {token} more", "x".repeat(prefix), " word".repeat(510));
        let seen = capture_with(|b| b.capture_content(true).max_event_bytes(4096));
        recorded_by(&seen, || {
            drop(info_span!("t", gen_ai.tool.name = "t", gen_ai.tool.call.result = text));
        });
        assert!(!seen.lines().concat().contains("eyJ"), "{prefix}");
    }
}

struct Endless;

impl fmt::Debug for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (0..2_000_000).try_for_each(|_| f.write_str("word "))
    }
}

#[test]
fn long_values_are_bounded() {
    let seen = capture_with(|builder| builder.capture_content(true));
    let lines = recorded_by(&seen, || {
        drop(info_span!("chat", gen_ai.operation.name = "chat", gen_ai.prompt = ?Endless));
        drop(info_span!(
            "chat",
            gen_ai.operation.name = "chat",
            gen_ai.prompt = "x".repeat(10 << 20)
        ));
    });
    let prompt = lines[0]["data"]["prompt"].as_str().unwrap();
    assert!(prompt.starts_with("word word") && prompt.len() < 300_000, "{}", prompt.len());
    assert!(prompt.contains("[TRUNCATED:"));
    // If a word does not fit, no part of it is kept: it may be a secret.
    assert_eq!(lines[1]["data"]["prompt"], format!("[TRUNCATED:{}]", 10 << 20));
}

struct Panicking;

impl fmt::Debug for Panicking {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::panic::resume_unwind(Box::new("a value's own"))
    }
}

#[test]
fn values_that_panic() {
    let lines = recorded(|| {
        let span =
            info_span!("chat", gen_ai.operation.name = "chat", gen_ai.request.model = ?Panicking);
        span.record("gen_ai.request.model", tracing::field::debug(Panicking));
        let _in = span.enter();
        info!(gen_ai.operation.name = "embeddings", gen_ai.request.model = ?Panicking);
        error!(error = ?Panicking);
    });
    assert_eq!(types(&lines), ["llm.invoke", "llm.error"]);
    assert_eq!(lines[0]["data"]["model"], "[UNSERIALIZABLE]");
}

#[test]
fn the_agent_is_the_nearest_one_named() {
    let lines = recorded(|| {
        let agent =
            info_span!("a", gen_ai.operation.name = "invoke_agent", gen_ai.agent.name = Empty);
        let _in = agent.enter();
        // Not an operation: the span only names the agent of those below.
        let team = info_span!("team", gen_ai.agent.name = "planner", gen_ai.conversation.id = 7);
        team.in_scope(|| drop(info_span!("chat", gen_ai.operation.name = "chat")));
        drop(info_span!("chat", gen_ai.operation.name = "chat"));
        agent.record("gen_ai.agent.name", "clerk");
        drop(info_span!("chat", gen_ai.operation.name = "chat"));
        info!(gen_ai.operation.name = "chat", gen_ai.agent.name = "guest");
    });
    let agents: Vec<_> = lines.iter().map(|line| line["agent"].as_str().unwrap()).collect();
    assert_eq!(agents, ["planner", "benefits", "clerk", "guest", "clerk"]);
    assert_eq!(lines[0]["data"]["conversation"], "7");
    assert!(lines.iter().all(|line| line["trace_id"] == lines[4]["trace_id"]));
    assert!(lines[..4].iter().all(|line| line["parent_span_id"] == lines[4]["span_id"]));
}

#[test]
fn an_evaluation_has_the_ids_of_the_operation_around_it() {
    for captures in [false, true] {
        let seen = capture_with(|builder| builder.capture_content(captures));
        let lines = recorded_by(&seen, || {
            let chat = info_span!("chat", gen_ai.operation.name = "chat", user.id = "u-1");
            chat.in_scope(|| {
                event!(
                    name: "gen_ai.evaluation.result",
                    Level::INFO,
                    gen_ai.evaluation.name = "faithfulness",
                    gen_ai.evaluation.score.value = 0.25,
                    gen_ai.evaluation.score.label = "fail",
                    gen_ai.evaluation.explanation = "ask ann@example.org",
                    gen_ai.response.id = "r-1"
                );
            });
            drop(chat);
            info!(gen_ai.evaluation.name = "tone", error.type = "timeout");
        });
        assert_eq!(types(&lines), ["eval.result", "llm.invoke", "eval.result"]);
        let ids = |at: usize| ["trace_id", "span_id"].map(|name| &lines[at][name]);
        assert_eq!(ids(0), ids(1));
        assert_ne!(ids(2)[0], ids(1)[0]);
        let shown = captures.then_some("ask [REDACTED_email]");
        assert_eq!(lines[0]["data"]["explanation"].as_str(), shown);
        for (name, value) in [
            ("name", json!("faithfulness")),
            ("score", json!(0.25)),
            ("label", json!("fail")),
            ("response_id", json!("r-1")),
            ("user", json!("u-1")),
        ] {
            assert_eq!(lines[0]["data"][name], value, "{name}");
        }
        assert_eq!(lines[0]["action"], "faithfulness");
        let statuses: Vec<_> = lines.iter().map(|line| line["status"].as_str().unwrap()).collect();
        assert_eq!(statuses, ["ok", "ok", "timeout"], "it is the judge that failed");
    }
}

#[test]
fn an_agent_s_sum_is_not_counted_again() {
    let lines = recorded(|| {
        let agent = info_span!(
            "agent",
            gen_ai.operation.name = "invoke_agent",
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty
        );
        for _ in 0..2 {
            let _in = agent.enter();
            drop(info_span!(
                "chat",
                gen_ai.operation.name = "chat",
                gen_ai.usage.input_tokens = 100,
                gen_ai.usage.output_tokens = 10
            ));
        }
        agent.record("gen_ai.usage.input_tokens", 200);
        agent.record("gen_ai.usage.output_tokens", 20);
    });
    let sum = |name: &str| lines.iter().filter_map(|line| line[name].as_u64()).sum::<u64>();
    assert_eq!((sum("tokens_input"), sum("tokens_output")), (200, 20));
    let total = &of_type(&lines, "agent.invoke")["data"]["total"];
    assert_eq!((&total["tokens_input"], &total["tokens_output"]), (&json!(200), &json!(20)));
}

#[test]
fn a_call_in_the_span_of_the_same_call_is_not_counted_again() {
    let chat =
        || info_span!("chat", gen_ai.operation.name = "chat", gen_ai.usage.input_tokens = 100);
    let lines = recorded(|| {
        let framework = chat();
        let client = framework.in_scope(|| info_span!("request").in_scope(chat));
        drop(client);
        drop(framework);
    });
    assert_eq!(types(&lines), ["llm.invoke", "llm.invoke"]);
    assert_eq!(lines[0]["tokens_input"], 100);
    assert_eq!(lines[1].get("tokens_input"), None);
    assert_eq!(lines[1]["data"]["total"]["tokens_input"], 100);
    // If a tool calls a model, that call is recorded for itself.
    let lines = recorded(|| {
        let _asks = chat().entered();
        let _tool = info_span!("t", gen_ai.tool.name = "t").entered();
        drop(chat());
    });
    assert!(
        lines.iter().filter(|l| l["event_type"] == "llm.invoke").all(|l| l["tokens_input"] == 100)
    );
}

#[test]
fn an_event_in_the_span_of_its_call_is_no_second_call() {
    let details = || {
        event!(
            name: "gen_ai.client.inference.operation.details",
            Level::INFO,
            gen_ai.operation.name = "chat",
            gen_ai.request.model = "gpt-4o",
            gen_ai.response.id = "chatcmpl-9",
            gen_ai.usage.input_tokens = 100,
            gen_ai.usage.output_tokens = 10,
        );
    };
    // Both have the usage: the span's own wins, and the event fills in the missing fields.
    let lines = recorded(|| {
        info_span!("c", gen_ai.operation.name = "chat", gen_ai.usage.input_tokens = 90)
            .in_scope(details);
    });
    let line = only(&lines);
    assert_eq!((&line["tokens_input"], &line["tokens_output"]), (&json!(90), &json!(10)));
    assert_eq!(line["data"]["response_id"], "chatcmpl-9");
    // In an agent's span, in another span and without a span, the event is a call of its own.
    let lines = recorded(|| {
        info_span!("a", gen_ai.operation.name = "invoke_agent").in_scope(details);
    });
    assert_eq!(types(&lines), ["llm.invoke", "agent.invoke"]);
    assert_eq!(lines[0]["parent_span_id"], lines[1]["span_id"]);
    assert_eq!(only(&recorded(|| info_span!("other").in_scope(details)))["tokens_input"], 100);
    let context = TraceContext::new_trace();
    let lines = recorded(|| {
        let _scope = context.enter();
        details();
    });
    assert_eq!(only(&lines)["parent_span_id"], format!("{:016x}", context.span_id()));
    // Events without such fields are not recorded.
    assert!(recorded(|| info!(error = "no", "hello")).is_empty());
    assert!(recorded(|| error!(error = "no", "hello")).is_empty());
    assert!(recorded(|| info!(gen_ai.prompt = "content that is not captured")).is_empty());
}

#[test]
fn an_event_of_content_alone() {
    let seen = capture_with(|builder| builder.capture_content(true));
    let lines = recorded_by(&seen, || {
        event!(name: "gen_ai.user.message", Level::INFO, gen_ai.system = "openai", content = "hello");
        info_span!("chat", gen_ai.operation.name = "chat").in_scope(|| {
            info!(name: "gen_ai.user.message", content = "one");
            info!(name: "gen_ai.user.message", content = "two");
            info!(name: "gen_ai.choice", content = "three");
        });
    });
    assert_eq!(types(&lines), ["gen_ai.user.message", "llm.invoke"]);
    assert_eq!(lines[0]["data"]["prompt"], "hello");
    assert_eq!(lines[1]["data"]["prompt"], "one\ntwo");
    assert_eq!(lines[1]["data"]["completion"], "three");
}

#[test]
fn filters_of_the_layer_and_of_all() {
    let work = || {
        let outer = info_span!("a", gen_ai.operation.name = "invoke_agent");
        let _in = outer.enter();
        let middle = debug_span!("b", gen_ai.operation.name = "chat");
        let _in = middle.enter();
        drop(info_span!("c", gen_ai.tool.name = "search"));
        drop(info_span!(target: "noise", "d", gen_ai.operation.name = "chat"));
    };
    let check = |lines: &[Value]| {
        assert_eq!(types(lines), ["tool.call", "tool.result", "agent.invoke"]);
        assert_eq!(lines[0]["parent_span_id"], lines[2]["span_id"]);
    };
    let targets =
        || Targets::new().with_default(LevelFilter::INFO).with_target("noise", LevelFilter::OFF);

    let seen = capture();
    let layer = AuditLayer::new("benefits").with_filter(targets());
    // Another layer sees the spans that this layer does not see.
    let all = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer).with(all), work);
    check(&lines(&seen));

    let seen = capture();
    let registry = tracing_subscriber::registry().with(AuditLayer::new("benefits")).with(targets());
    tracing::subscriber::with_default(registry, work);
    check(&lines(&seen));
}

#[test]
fn two_layers_over_one_registry_and_a_logger_of_its_own() {
    let (own, seen) = common::memory_logger();
    let process = capture();
    let subscriber = tracing_subscriber::registry()
        .with(AuditLayer::new("one"))
        .with(AuditLayer::new("two").logger(own.clone()));
    tracing::subscriber::with_default(subscriber, || {
        let _span = info_span!("chat", gen_ai.operation.name = "chat").entered();
    });
    own.shutdown(common::DEADLINE).unwrap();
    assert_eq!(only(&lines(&process))["agent"], "one");
    let theirs = seen.lines();
    let theirs: Vec<_> = theirs.iter().filter(|line| line.get("seq").is_some()).collect();
    assert_eq!((theirs.len(), &theirs[0]["agent"]), (1, &json!("two")));
}

#[test]
fn a_logger_that_records_nothing_has_nothing_done_for_it() {
    struct NotLookedAt;
    impl fmt::Debug for NotLookedAt {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("a value was looked at")
        }
    }
    let off = AuditLogger::builder().without_environment().enabled(false).build().unwrap();
    let subscriber = tracing_subscriber::registry().with(AuditLayer::new("a").logger(off));
    tracing::subscriber::with_default(subscriber, || {
        let span =
            info_span!("chat", gen_ai.operation.name = "chat", gen_ai.request.model = ?NotLookedAt);
        span.record("gen_ai.request.model", tracing::field::debug(NotLookedAt));
        let _in = span.enter();
        assert_eq!(TraceContext::current(), None);
        info!(gen_ai.request.model = ?NotLookedAt);
    });
}

#[test]
fn what_is_emitted_in_a_span_lies_below_it() {
    let lines = recorded(|| {
        let span = info_span!("tool", gen_ai.tool.name = "search");
        span.in_scope(|| llm_audit::emit(&AuditEvent::new(EventType::CacheMiss, "a", "cache.get")));
        llm_audit::emit(&AuditEvent::new(EventType::CacheHit, "a", "cache.get"));
    });
    let call = of_type(&lines, "tool.call");
    assert_eq!(of_type(&lines, "cache.miss")["parent_span_id"], call["span_id"]);
    let outside = of_type(&lines, "cache.hit");
    assert!(outside.get("parent_span_id").is_none() && outside["trace_id"] != call["trace_id"]);
}

/// A library logs an error, tries again, and gets the answer.
#[test]
fn an_error_that_was_recovered_from_is_no_failure() {
    let mirror_down = || error!(error = "connection reset by peer", "connect failed, retrying");
    let answered = |answer: bool| {
        let lines = recorded(|| {
            let chat = info_span!(
                "chat",
                gen_ai.operation.name = "chat",
                gen_ai.request.model = "gpt-4o",
                gen_ai.usage.input_tokens = Empty,
                gen_ai.usage.output_tokens = Empty,
            );
            chat.in_scope(|| info_span!("hyper_connect").in_scope(mirror_down));
            if answer {
                chat.record("gen_ai.usage.input_tokens", 10);
                chat.record("gen_ai.usage.output_tokens", 10);
            }
        });
        (lines[0]["event_type"].clone(), lines[0]["error"]["message"].clone())
    };
    assert_eq!(answered(true), (json!("llm.invoke"), json!(null)));
    assert_eq!(answered(false), (json!("llm.error"), json!("connection reset by peer")));

    // The operation's own verdict counts, also beside an answer.
    let lines = recorded(|| {
        let tool = info_span!(
            "execute_tool",
            gen_ai.operation.name = "execute_tool",
            gen_ai.tool.name = "search",
            gen_ai.tool.call.result = "[1]",
            error.type = Empty,
        );
        tool.in_scope(mirror_down);
        tool.record("error.type", "partial");
    });
    assert_eq!(lines[1]["error"]["type"], "partial");
}

#[test]
fn a_span_that_a_panic_leaves_has_failed() {
    let panics = || std::panic::resume_unwind(Box::new("broken"));
    let lines = recorded(|| {
        let _caught = std::panic::catch_unwind(|| {
            let _agent = info_span!(
                "invoke_agent",
                gen_ai.operation.name = "invoke_agent",
                gen_ai.agent.name = "planner",
                gen_ai.output.messages = Empty,
            )
            .entered();
            let done = info_span!(
                "chat",
                gen_ai.operation.name = "chat",
                gen_ai.request.model = "gpt-4o",
                gen_ai.usage.output_tokens = 5,
            );
            done.in_scope(|| {});
            let _tool = info_span!(
                "execute_tool",
                gen_ai.operation.name = "execute_tool",
                gen_ai.tool.name = "search",
                gen_ai.tool.call.result = Empty,
            )
            .entered();
            panics();
        });
    });
    let ends: Vec<_> = lines
        .iter()
        .filter(|line| line["event_type"] != "tool.call")
        .map(|line| (line["event_type"].as_str().unwrap(), line["error"]["type"].as_str()))
        .collect();
    assert_eq!(
        ends,
        [("tool.error", Some("panic")), ("llm.invoke", None), ("agent.invoke", Some("panic"))]
    );
}

/// A background task holds the span open after the operation itself is over.
#[test]
fn the_latency_ends_with_the_last_exit() {
    let waited = Duration::from_millis(40);
    let held_open = |record: bool| {
        let lines = recorded(|| {
            let chat = info_span!(
                "chat",
                gen_ai.operation.name = "chat",
                gen_ai.request.model = "gpt-4o",
                gen_ai.usage.output_tokens = Empty,
            );
            chat.in_scope(|| {});
            let until = Instant::now() + waited;
            while Instant::now() < until {
                std::thread::yield_now();
            }
            if record {
                chat.record("gen_ai.usage.output_tokens", 5);
            }
        });
        lines[0]["latency_ms"].as_f64().expect("a number")
    };
    let waited = waited.as_secs_f64() * 1e3;
    assert!(held_open(true) >= waited, "the answer came late");
    // Another thread may have had the processor in between, but hardly each time.
    assert!((0..20).any(|_| held_open(false) < waited), "the span was only held open");
}
