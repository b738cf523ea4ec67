//! Every attempt of the agent's model calls is recorded once, by few lines of code: its status, tokens, cost, time to
//! first token and reason.

use std::time::Duration;

use aws_sdk_bedrockruntime::Client;
use aws_sdk_bedrockruntime::config::timeout::TimeoutConfig;
use aws_sdk_bedrockruntime::types::{ContentBlock, ConversationRole, Message};
use aws_types::SdkConfig;
use bedrock_agent_example::{Agent, provider};
use llm_audit::layer::tower::ClientLayer;
use llm_audit::testing::{Capture, capture, capture_with};
use llm_audit_aws::AuditInterceptor;
use serde_json::{Value, json};

/// The wait for an answer that does not come. Others come sooner.
const SHORT: Duration = Duration::from_secs(1);

/// Asks the agent once; returns what it recorded.
async fn ask(question: &str) -> Vec<Value> {
    ask_with(question, provider::serve().await.unwrap()).await
}

async fn ask_with(question: &str, config: SdkConfig) -> Vec<Value> {
    let seen = capture();
    let answered = Agent::new(&config).answer(question).await;
    let events = events(&seen);
    let answer = events.iter().find(|event| event["event_type"] == "agent.answer").unwrap();
    assert_eq!(answer["status"] == "ok", answered.is_ok(), "{question}: {answer}");
    for call in calls(&events) {
        assert_eq!(call["parent_span_id"], answer["span_id"], "{call}");
    }
    events
}

fn events(seen: &Capture) -> Vec<Value> {
    seen.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn calls(events: &[Value]) -> Vec<&Value> {
    let is_call = |event: &&Value| event["event_type"].as_str().unwrap().starts_with("llm.");
    events.iter().filter(is_call).collect()
}

fn has_first_token(call: &Value) -> bool {
    let first = call["data"]["first_token_ms"].as_f64();
    first
        .inspect(|first| assert!(*first <= call["latency_ms"].as_f64().unwrap(), "{call}"))
        .is_some()
}

/// What an answer and its cost are known by.
fn figures(call: &Value) -> Value {
    let tokens =
        [&call["tokens_input"], &call["tokens_output"], &call["data"]["usage"]["cache_read"]];
    json!([
        call["status"],
        call["data"]["attempt"],
        tokens,
        call["cost_usd"],
        has_first_token(call),
        call["data"]["finish_reasons"],
    ])
}

#[tokio::test]
async fn an_answer_with_retries_and_a_tool_is_recorded_whole() {
    let events = ask("busy tool").await;
    let types: Vec<_> = events.iter().map(|event| event["event_type"].as_str().unwrap()).collect();
    let expected = [
        "llm.error",
        "agent.retry",
        "llm.invoke",
        "tool.call",
        "tool.result",
        "llm.error",
        "agent.retry",
        "llm.invoke",
        "agent.answer",
    ];
    assert_eq!(types, expected);
    let calls = calls(&events);
    let refused = json!(["error", 1, [null, null, null], null, false, null]);
    let expected = [
        refused.clone(),
        // 24 tokens at 0.06 dollars a million, 96 cached ones at 0.015, and 18 at 0.24.
        json!(["ok", 2, [120, 18, 96], 0.0000072, false, ["tool_use"]]),
        refused,
        // 32, 128 and 12.
        json!(["ok", 2, [160, 12, 128], 0.00000672, true, ["end_turn"]]),
    ];
    assert_eq!(calls.iter().map(|call| figures(call)).collect::<Vec<_>>(), expected);
    let error =
        json!({"type": "ThrottlingException", "message": "too many requests of [REDACTED_email]"});
    assert_eq!((&calls[0]["error"], &calls[2]["error"]), (&error, &error));
    assert_eq!(events[1]["data"], json!({"attempt": 2, "reason": "ThrottlingException"}));
    for call in &calls {
        assert_eq!(call["data"]["model"], "amazon.nova-lite-v1:0");
        assert_eq!(
            (&call["agent"], &call["data"]["provider"]),
            (&json!("benefits"), &json!("aws.bedrock"))
        );
    }
    assert_eq!(calls[3]["data"]["chunks"], 6);
}

#[tokio::test]
async fn every_refusal_has_its_reason() {
    let cases = [
        ("broken", 3, "error", "InternalServerException", "overloaded"),
        ("invalid", 1, "error", "ValidationException", "no such model"),
        ("late", 1, "timeout", "ModelTimeoutException", "the model took too long"),
    ];
    for (question, attempts, status, error_type, message) in cases {
        let events = ask(question).await;
        let calls = calls(&events);
        assert_eq!(calls.len(), attempts, "{question}");
        for (attempt, call) in (1..).zip(calls) {
            assert_eq!(call["event_type"], "llm.error", "{call}");
            assert_eq!(
                figures(call),
                json!([status, attempt, [null, null, null], null, false, null])
            );
            assert_eq!(call["error"], json!({"type": error_type, "message": message}));
        }
        let retries = events.iter().filter(|event| event["event_type"] == "agent.retry");
        assert_eq!(retries.count(), attempts - 1, "{question}");
    }
}

#[tokio::test]
async fn every_broken_stream_has_its_reason() {
    let broke = ("error", "error reading a body from connection");
    let ended = ("incomplete", "the stream ended before its end marker");
    // The question, the events, whether a token came, and the error.
    let cases = [
        ("tool cut 0", 0, false, broke),
        ("tool cut 1", 1, false, broke),
        ("tool cut 3", 3, true, broke),
        ("tool end 0", 0, false, ended),
        ("tool end 3", 3, true, ended),
        ("tool spoilt", 4, true, ("throttlingException", "slow down")),
    ];
    for (question, chunks, has_token, (error_type, message)) in cases {
        let events = ask(question).await;
        let [good, failed] = calls(&events)[..] else { panic!("{question}: {events:?}") };
        assert_eq!(good["status"], "ok", "{good}");
        let expected = json!(["error", 1, [null, null, null], null, has_token, null]);
        assert_eq!(figures(failed), expected, "{failed}");
        assert_eq!(failed["data"]["chunks"].as_u64().unwrap_or(0), chunks, "{failed}");
        assert_eq!(failed["error"]["type"], error_type, "{failed}");
        assert_eq!(failed["error"]["message"], message, "{failed}");
    }
}

#[tokio::test]
async fn what_has_no_answer_is_a_timeout_or_an_error() {
    let config = provider::serve().await.unwrap();
    let times = TimeoutConfig::builder();
    let read = config.to_builder().timeout_config(times.clone().read_timeout(SHORT).build());
    let attempt = times.clone().operation_attempt_timeout(SHORT).build();
    let attempt = config.to_builder().timeout_config(attempt);
    let operation = config.to_builder().timeout_config(times.operation_timeout(SHORT).build());
    let unreachable = config.to_builder().endpoint_url("http://127.0.0.1:1");
    let no_answer = "llm_audit_aws::interceptor::NoAnswer";
    let cases = [
        (read, 3, "timeout", no_answer, "timeout: HTTP read timeout occurred after 1s"),
        (attempt, 3, "timeout", no_answer, "the attempt timed out"),
        (unreachable, 3, "error", no_answer, "Connection refused"),
        (operation, 1, "error", "cancelled", "dropped before the answer came"),
    ];
    for (config, attempts, status, error_type, cause) in cases {
        let events = ask_with("hang", config.build()).await;
        let calls = calls(&events);
        assert_eq!(calls.len(), attempts, "{events:?}");
        for (attempt, call) in (1..).zip(calls) {
            assert_eq!(
                figures(call),
                json!([status, attempt, [null, null, null], null, false, null])
            );
            assert_eq!(call["error"]["type"], error_type, "{call}");
            assert!(call["error"]["message"].as_str().unwrap().contains(cause), "{call}");
        }
    }
}

#[tokio::test]
async fn a_caller_who_leaves_cancels_the_call() {
    for question in ["hang", "tool stall 3"] {
        let seen = capture();
        let agent = Agent::new(&provider::serve().await.unwrap());
        let left = tokio::time::timeout(SHORT, agent.answer(question)).await;
        assert!(left.is_err(), "it never answers");
        let events = events(&seen);
        let call = *calls(&events).last().unwrap();
        assert_eq!(
            (&call["status"], &call["error"]["type"]),
            (&json!("error"), &json!("cancelled"))
        );
    }
}

#[tokio::test]
async fn without_a_recorder_the_agent_answers_as_before() {
    let agent = Agent::new(&provider::serve().await.unwrap());
    assert_eq!(agent.answer("busy tool").await.unwrap(), "Two check-ups a year.");
}

/// What the model is asked, in words that must not be in the log.
const PRIVATE: &str = "tool for ana@example.com";

#[tokio::test]
async fn content_is_recorded_on_request_alone_and_redacted() {
    let log = |seen: &Capture| seen.lines().join("\n");
    let seen = capture();
    let config = provider::serve().await.unwrap();
    Agent::new(&config).answer(PRIVATE).await.unwrap();
    for content in ["ana@", "tool for", "check-ups", "dental", "request_body", "response_body"] {
        assert!(!log(&seen).contains(content), "{content}");
    }

    let seen = capture_with(|builder| builder.capture_content(true));
    let layer = ClientLayer::new("benefits").model_calls().capture_bodies(64 * 1024);
    let config = aws_sdk_bedrockruntime::Config::from(&config).to_builder();
    let client = Client::from_conf(config.interceptor(AuditInterceptor::from(layer)).build());
    let question = Message::builder().role(ConversationRole::User);
    let question = question.content(ContentBlock::Text(PRIVATE.to_owned())).build().unwrap();
    let asked = client.converse().model_id("amazon.nova-lite-v1:0").messages(question.clone());
    asked.send().await.unwrap();
    let asked = client.converse_stream().model_id("amazon.nova-lite-v1:0").messages(question);
    let mut stream = asked.send().await.unwrap().stream;
    while stream.recv().await.unwrap().is_some() {}
    let log = log(&seen);
    assert_eq!(log.matches("tool for [REDACTED_email]").count(), 2, "{log}");
    assert!(
        log.contains("toolUse") && log.contains(r#""response_body":"[TRUNCATED:915]""#),
        "{log}"
    );
    assert!(!log.contains("ana@"), "{log}");
}

/// Returns the event without what differs from run to run.
fn without_chance(event: &Value) -> Value {
    let mut event = event.clone();
    let members = event.as_object_mut().unwrap();
    for name in
        ["instance", "seq", "trace_id", "span_id", "parent_span_id", "timestamp", "latency_ms"]
    {
        members.remove(name);
    }
    for name in ["first_token_ms", "url"] {
        if let Some(value) = event["data"].get_mut(name) {
            *value = Value::Null;
        }
    }
    event
}

#[tokio::test]
async fn the_page_shows_what_comes_out() {
    let page = include_str!("../../../docs/aws-sdk.md");
    let shown = page.lines().filter(|line| line.starts_with("{\"event"));
    let shown: Vec<Value> = shown.map(|line| serde_json::from_str(line).unwrap()).collect();
    let (whole, spoilt) = (ask("busy tool").await, ask("tool spoilt").await);
    let is_shown = |event: &&Value| event["action"] == "chat";
    let recorded = whole.iter().filter(is_shown).chain(calls(&spoilt).pop()).map(without_chance);
    assert_eq!(shown.iter().map(without_chance).collect::<Vec<_>>(), recorded.collect::<Vec<_>>());
    for line in SOURCES.iter().flat_map(|source| source.lines()) {
        let Some(line) = line.strip_suffix(" // audit") else { continue };
        assert!(page.contains(line), "the page lacks {line}");
    }
}

const SOURCES: [&str; 4] = [
    include_str!("../src/lib.rs"),
    include_str!("../src/main.rs"),
    include_str!("../src/error.rs"),
    include_str!("../src/provider.rs"),
];

#[test]
fn at_most_twelve_lines_record_it() {
    let lines = || SOURCES.iter().flat_map(|source| source.lines());
    let is_marked = |line: &&str| line.ends_with("// audit");
    let names = ["llm_audit", "AuditInterceptor", "audit_span", "AuditLogger"];
    let forgotten =
        lines().find(|line| !is_marked(line) && names.iter().any(|name| line.contains(name)));
    assert_eq!(forgotten, None, "a line that records is not marked");
    let count = lines().filter(is_marked).count();
    assert!((1..=12).contains(&count), "{count} lines");
}
