//! Records of a rig agent by the tracing layer, with no other line of glue.

use std::process::Command;

use llm_audit::layer::tracing::AuditLayer;
use llm_audit::testing::{Capture, capture, capture_with};
use llm_audit::{InSpan, TraceContext};
use rig_agent_example::provider::{self, Answer};
use rig_agent_example::{MODEL, agent};
use serde_json::{Value, json};
use tracing_subscriber::prelude::*;

const ANSWERED: &str = "gpt-4o-mini-2024-07-18";

/// Asks the agent on this thread, and says what it answered and what was recorded.
fn ask(seen: &Capture, answers: Vec<Answer>) -> (Result<String, String>, Vec<Value>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let subscriber = tracing_subscriber::registry().with(AuditLayer::new("unnamed"));
    let _subscriber = subscriber.set_default();
    let answer = runtime.block_on(async {
        let url = provider::serve(answers).await.unwrap();
        let answer = agent(&url, true).prompt("What does the dental plan cover?").await;
        answer.map(|answer| answer.output().to_owned()).map_err(|error| error.to_string())
    });
    let lines = seen.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    (answer, lines)
}

fn types(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["event_type"].as_str().unwrap()).collect()
}

/// The events of a run that calls the tool once and then answers.
fn assert_run(lines: &[Value]) {
    let expected =
        ["llm.invoke", "tool.call", "cache.miss", "tool.result", "llm.invoke", "agent.invoke"];
    assert_eq!(types(lines), expected, "{lines:#?}");
    let [first, call, miss, result, second, run] = lines else { unreachable!() };

    let trace_id = &run["trace_id"];
    assert!(lines.iter().all(|line| line["trace_id"] == *trace_id));
    for step in [first, call, second] {
        assert_eq!(step["parent_span_id"], run["span_id"], "{step:#}");
    }
    assert_eq!(result["span_id"], call["span_id"]);
    assert_eq!(result["parent_span_id"], run["span_id"]);
    assert_eq!(miss["parent_span_id"], call["span_id"], "the tool's own event");
    assert_ne!(first["span_id"], second["span_id"]);

    for (line, tokens) in [(first, (120, 18, 96)), (second, (160, 12, 128))] {
        let (input, output, cached) = tokens;
        assert_eq!(
            (&line["tokens_input"], &line["tokens_output"]),
            (&json!(input), &json!(output))
        );
        assert_eq!(
            (&line["data"]["model"], &line["data"]["request_model"]),
            (&json!(ANSWERED), &json!(MODEL))
        );
        assert_eq!(line["data"]["provider"], "openai");
        assert_eq!(line["data"]["usage"], json!({"cache_read": cached, "reasoning": 4}));
    }
    assert_eq!(
        (&call["action"], &call["data"]["call_id"]),
        (&json!("plan_search"), &json!("call_1"))
    );
    let total = &run["data"]["total"];
    assert_eq!((&total["tokens_input"], &total["tokens_output"]), (&json!(280), &json!(30)));
    assert!(run.get("tokens_input").is_none(), "no token counts twice");

    let agents = lines.iter().all(|line| line["agent"] == "benefits" && line["status"] == "ok");
    assert!(agents, "{lines:#?}");
    for line in [first, result, second, run] {
        assert!(line["latency_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{line:#}");
    }
}

fn dental() -> Vec<Answer> {
    vec![provider::tool_call("dental"), provider::text("Two check-ups a year.")]
}

#[test]
fn a_run_without_content() {
    let seen = capture();
    let (answer, lines) = ask(&seen, dental());
    assert_eq!(answer.unwrap(), "Two check-ups a year.");
    assert_run(&lines);
    // rig was asked to tell it.
    let text = seen.lines().concat();
    for content in ["dental", "check-ups", "about benefits"] {
        assert!(!text.contains(content), "{content} in {text}");
    }
}

#[test]
fn a_run_with_content() {
    let seen = capture_with(|builder| builder.capture_content(true));
    let (_, lines) = ask(&seen, dental());
    assert_run(&lines);
    assert_eq!(lines[0]["data"]["prompt"][1]["role"], "user", "{:#}", lines[0]);
    assert_eq!(lines[1]["data"]["arguments"], json!({"plan": "dental"}));
    assert_eq!(lines[3]["data"]["result"], "two check-ups a year");
    let completion = &lines[4]["data"]["completion"][0]["parts"][0]["content"];
    assert_eq!(completion, "Two check-ups a year.");
    assert_eq!(lines[5]["data"]["prompt"], "What does the dental plan cover?");
}

#[test]
fn a_tool_that_fails() {
    let answers = vec![provider::tool_call("optical"), provider::text("There is none.")];
    let (answer, lines) = ask(&capture(), answers);
    assert_eq!(answer.unwrap(), "There is none.");
    let failed = lines.iter().find(|line| line["event_type"] == "tool.error").unwrap();
    assert_eq!((&failed["action"], &failed["status"]), (&json!("plan_search"), &json!("error")));
    assert!(failed["error"]["type"].is_string(), "{failed:#}");
    assert_eq!(failed["error"]["message"], "no message was recorded");
    assert_eq!(failed["data"]["outcome"], "error");
    assert_eq!(lines.last().unwrap()["status"], "ok", "the agent answered");

    let seen = capture_with(|builder| builder.capture_content(true));
    let answers = vec![provider::tool_call("optical"), provider::text("There is none.")];
    let (_, lines) = ask(&seen, answers);
    let failed = lines.iter().find(|line| line["event_type"] == "tool.error").unwrap();
    assert_eq!(failed["error"]["message"], "the tool failed", "rig hides the tool's own error");
}

#[test]
fn a_provider_that_fails() {
    let (answer, lines) = ask(&capture(), vec![provider::refusal()]);
    assert!(answer.is_err());
    assert_eq!(types(&lines), ["llm.error", "agent.invoke"]);
    let message = "the span was closed without an answer";
    for line in &lines {
        assert_eq!(line["status"], "error");
        assert_eq!(line["error"], json!({"type": "no_response", "message": message}));
    }
    assert_eq!(lines[0]["data"]["model"], MODEL);
    assert_eq!(lines[0]["parent_span_id"], lines[1]["span_id"]);
}

#[test]
fn a_run_lies_below_what_is_current() {
    let request = TraceContext::new_trace();
    let seen = capture();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let subscriber = tracing_subscriber::registry().with(AuditLayer::new("unnamed"));
    let _subscriber = subscriber.set_default();
    let work = async {
        let url = provider::serve(dental()).await.unwrap();
        agent(&url, false).prompt("What does the dental plan cover?").await.map(drop)
    };
    runtime.block_on(work.in_span(request.clone())).unwrap();
    let lines: Vec<Value> =
        seen.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_run(&lines);
    assert_eq!(lines[5]["parent_span_id"], format!("{:016x}", request.span_id()));
    assert_eq!(lines[5]["trace_id"], format!("{:032x}", request.trace_id()));
}

#[test]
fn the_program() {
    let program = Command::new(env!("CARGO_BIN_EXE_rig-agent-example"))
        .env_remove("AUDIT_CAPTURE_CONTENT")
        .env_remove("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&program.stderr);
    assert!(program.status.success(), "{stderr}");
    let stdout = String::from_utf8(program.stdout).unwrap();
    let lines: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line.get("seq").is_some())
        .collect();
    assert_run(&lines);
    assert!(!stdout.contains("check-ups"), "content is captured only where that is asked for");
}
