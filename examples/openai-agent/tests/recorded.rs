//! Every call of the agent's model is recorded once, with its status, attempt, tokens, cost, time to
//! first token and reason, and by few lines of code.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use llm_audit::testing::{Capture, capture};
use openai_agent_example::{Agent, provider, service};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tower::ServiceExt;

/// Longer than any answer takes that comes at all.
const LONG: Duration = Duration::from_secs(300);
/// The wait for a chunk that does not come. Those before it come sooner.
const SHORT: Duration = Duration::from_secs(2);

/// Asks the service once; returns what it recorded.
async fn ask(question: &str, patience: Duration) -> Vec<Value> {
    let seen = capture();
    let service = service(Agent::new(&provider::serve().await.unwrap(), patience));
    let request = Request::post("/ask").body(question.to_owned()).unwrap();
    let status = service.oneshot(request).await.unwrap().status();
    let events = events(&seen);
    let answer = events.iter().find(|event| event["event_type"] == "agent.answer").unwrap();
    assert_eq!(answer["status"] == "ok", status.is_success(), "{question}: {answer}");
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

#[tokio::test]
async fn an_answer_with_a_retry_and_a_tool_is_recorded_whole() {
    let events = ask("busy tool", LONG).await;
    let types: Vec<_> = events.iter().map(|event| event["event_type"].as_str().unwrap()).collect();
    let expected = [
        "request.start",
        "llm.error",
        "llm.invoke",
        "tool.call",
        "tool.result",
        "llm.invoke",
        "agent.answer",
    ];
    assert_eq!(types[..7], expected);
    let calls = calls(&events);
    let figures = calls.iter().map(|call| {
        let tokens = [&call["tokens_input"], &call["tokens_output"]];
        json!([
            call["status"],
            call["data"]["attempt"],
            tokens,
            call["cost_usd"],
            has_first_token(call)
        ])
    });
    let expected = [
        json!(["error", 1, [null, null], null, false]),
        // 24 tokens at 0.15 dollars a million, 96 cached ones at 0.075, and 18 at 0.60. Of the other call
        // 32, 128 and 12.
        json!(["ok", 2, [120, 18], 0.0000216, true]),
        json!(["ok", 1, [160, 12], 0.0000216, true]),
    ];
    assert_eq!(figures.collect::<Vec<_>>(), expected);
    let refused = calls[0]["error"]["message"].as_str().unwrap();
    assert!(refused.starts_with("429 Too Many Requests") && refused.contains("[REDACTED_email]"));
    assert_eq!(calls[1]["data"]["finish_reasons"], json!(["tool_calls"]));
    assert_eq!(calls[2]["data"]["finish_reasons"], json!(["stop"]));
    assert_eq!(calls[2]["data"]["chunks"], 5);
    let answer = &events[6];
    for call in calls {
        assert_eq!(call["parent_span_id"], answer["span_id"], "{call}");
    }
}

#[tokio::test]
async fn every_failure_has_its_reason() {
    // The question, the wait, the attempts, the chunks, whether a token came, the status and the message.
    let cases = [
        (
            "quota",
            LONG,
            1,
            0,
            false,
            "error",
            "429 Too Many Requests requests: you have spent it all",
        ),
        ("broken", LONG, 3, 0, false, "error", "500 Internal Server Error"),
        ("hang", SHORT, 1, 0, false, "timeout", "the model timed out"),
        ("stall 0", SHORT, 1, 0, false, "timeout", "the model timed out"),
        ("stall 1", SHORT, 1, 1, false, "timeout", "the model timed out"),
        ("stall 3", SHORT, 1, 3, true, "timeout", "the model timed out"),
        ("cut 0", LONG, 1, 0, false, "error", "stream failed"),
        ("cut 3", LONG, 1, 3, true, "error", "stream failed"),
        ("cut 4", LONG, 1, 4, true, "error", "stream failed"),
        (
            "end 3",
            LONG,
            1,
            3,
            true,
            "error",
            "the stream ended after 3 chunks, before its end marker",
        ),
        ("spoilt", LONG, 1, 2, true, "error", "overloaded"),
    ];
    for (question, patience, attempts, chunks, has_token, status, message) in cases {
        let events = ask(question, patience).await;
        let calls = calls(&events);
        assert_eq!(calls.len(), attempts, "{question}");
        for (attempt, call) in (1..).zip(calls) {
            assert_eq!(call["event_type"], "llm.error", "{call}");
            assert_eq!(
                (&call["status"], &call["data"]["attempt"]),
                (&json!(status), &json!(attempt))
            );
            assert_eq!(call["data"]["chunks"].as_u64().unwrap_or(0), chunks, "{call}");
            assert_eq!(has_first_token(call), has_token, "{call}");
            assert!(call["error"]["message"].as_str().unwrap().contains(message), "{call}");
        }
    }
}

#[tokio::test]
async fn a_caller_who_leaves_cancels_the_call() {
    let seen = capture();
    let service = service(Agent::new(&provider::serve().await.unwrap(), LONG));
    let request = Request::post("/ask").body("stall 3".to_owned()).unwrap();
    let mut asked = Box::pin(service.oneshot(request));
    let left = tokio::time::timeout(Duration::from_millis(300), &mut asked).await;
    assert!(left.is_err(), "it never answers");
    drop(asked);
    let events = events(&seen);
    let [call] = calls(&events)[..] else { panic!("{events:?}") };
    assert_eq!((&call["status"], &call["error"]["type"]), (&json!("error"), &json!("cancelled")));
}

#[tokio::test]
async fn a_stream_without_usage_is_unmetered() {
    let seen = capture();
    let service = service(Agent::new(&provider::serve().await.unwrap(), LONG));
    let request = Request::post("/ask").body("unmetered".to_owned()).unwrap();
    service.oneshot(request).await.unwrap();
    let events = events(&seen);
    let [call] = calls(&events)[..] else { panic!("{events:?}") };
    assert_eq!((&call["status"], call.get("tokens_input")), (&json!("ok"), None));
    let unmetered = [("gpt-4o-mini-2024-07-18".to_owned(), 1)];
    assert_eq!(seen.logger().unmetered(), unmetered.into());
}

/// Asks these questions, some at a time; returns the status and the cost of each call.
async fn ask_all(questions: Vec<String>) -> Vec<(Value, Value)> {
    const AT_A_TIME: usize = 20;
    let seen = capture();
    let agent = Arc::new(Agent::new(&provider::serve().await.unwrap(), LONG));
    let (mut asked, mut figures) = (JoinSet::new(), Vec::new());
    for question in questions {
        if asked.len() == AT_A_TIME {
            let _: bool = asked.join_next().await.unwrap().unwrap();
        }
        let agent = Arc::clone(&agent);
        asked.spawn(async move { agent.answer(&question).await.is_ok() });
    }
    asked.join_all().await;
    let events = events(&seen);
    figures.extend(
        calls(&events).iter().map(|call| (call["status"].clone(), call["cost_usd"].clone())),
    );
    figures
}

#[tokio::test]
async fn a_thousand_good_streams_give_no_error_and_a_thousand_cut_ones_a_thousand() {
    let good = ask_all(vec!["plan".to_owned(); 1000]).await;
    assert_eq!(good.len(), 1000);
    assert!(
        good.iter().all(|figures| *figures == (json!("ok"), json!(0.0000216))),
        "{:?}",
        good[0]
    );

    // A body that ends after the finish reason, which is the fourth chunk, is whole.
    let cut = |at: usize| match at % 2 {
        0 => format!("cut {}", at / 2 % 6),
        _ => format!("end {}", at / 2 % 4),
    };
    let cut = ask_all((0..1000).map(cut).collect()).await;
    assert_eq!(cut.len(), 1000);
    assert!(cut.iter().all(|(status, _)| status == "error"));
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
    if let Some(first) = event.pointer_mut("/data/first_token_ms") {
        *first = json!(0);
    }
    event
}

#[tokio::test]
async fn the_page_shows_what_comes_out() {
    let page = include_str!("../../../docs/async-openai.md");
    let shown = page.lines().filter(|line| line.starts_with("{\"event"));
    let shown: Vec<Value> = shown.map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut recorded = ask("busy tool", LONG).await;
    recorded.extend(ask("cut 3", LONG).await);
    let recorded = calls(&recorded).into_iter().map(without_chance);
    assert_eq!(shown.iter().map(without_chance).collect::<Vec<_>>(), recorded.collect::<Vec<_>>());
    for line in SOURCES.iter().flat_map(|source| source.lines()) {
        let Some(line) = line.strip_suffix(" // audit") else { continue };
        assert!(page.contains(line) || line.starts_with("use "), "the page lacks {line}");
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
    let names = ["llm_audit", "LlmCall", "call_stream", "ServerLayer", "audit_span", "AuditLogger"];
    let forgotten =
        lines().find(|line| !is_marked(line) && names.iter().any(|name| line.contains(name)));
    assert_eq!(forgotten, None, "a line that records is not marked");
    let count = lines().filter(is_marked).count();
    assert!((1..=12).contains(&count), "{count} lines");
}
