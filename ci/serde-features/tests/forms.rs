//! With `arbitrary_precision` and `raw_value` numbers and raw JSON reach the log as what they are,
//! and redaction sees them.

use std::sync::{Arc, Mutex};

use llm_audit::testing::{Capture, capture, capture_with};
use llm_audit::{AuditEvent, EventType, LlmCall, audit_span, record_llm_call};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Returns the member of the last captured line, as the line spells it.
fn member(captured: &Capture, name: &str) -> String {
    let line = captured.lines().pop().expect("a line");
    let begin = line.find(&format!("\"{name}\":")).expect("the member") + name.len() + 3;
    let mut members =
        serde_json::Deserializer::from_str(&line[begin..]).into_iter::<Box<RawValue>>();
    members.next().expect("a value").expect("JSON").get().to_owned()
}

fn recorded(data: &(impl Serialize + Sync)) -> String {
    let captured = capture();
    llm_audit::emit(&AuditEvent::new(EventType::AgentRoute, "a", "route").data(data));
    member(&captured, "data")
}

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).expect("JSON")
}

#[test]
fn a_number_is_a_number() {
    let cases = [
        (r#"{"n":812}"#, r#"{"n":812}"#),
        (r#"{"n":-3}"#, r#"{"n":-3}"#),
        (r#"{"n":18446744073709551615}"#, r#"{"n":18446744073709551615}"#),
        (r#"{"n":-9223372036854775808}"#, r#"{"n":-9223372036854775808}"#),
        (r#"{"n":1.25}"#, r#"{"n":1.25}"#),
        (r#"{"n":[1,2.5]}"#, r#"{"n":[1,2.5]}"#),
        // Past 64 bits and past f64 the spelling is kept.
        (r#"{"n":123456789012345678901234}"#, r#"{"n":"123456789012345678901234"}"#),
        (r#"{"n":1e400}"#, r#"{"n":"1e+400"}"#),
        // Keys decide about numbers as they do without the features.
        (r#"{"card_number":5500000000000004}"#, r#"{"card_number":"[REDACTED_card]"}"#),
        (r#"{"password":482913}"#, r#"{"password":"[REDACTED]"}"#),
        (r#"{"max_tokens":4096,"token":77}"#, r#"{"max_tokens":4096,"token":"[REDACTED]"}"#),
    ];
    for (given, expected) in cases {
        assert_eq!(recorded(&parsed(given)), expected, "{given}");
    }
    let past = parsed("123456789012345678901234");
    assert_eq!(recorded(&json!({"secret": past})), r#"{"secret":"[REDACTED]"}"#);
}

#[test]
fn raw_json_is_redacted_like_any_value() {
    #[derive(Serialize)]
    struct Raw<'a> {
        raw: &'a RawValue,
        password: &'a RawValue,
        max_tokens: &'a RawValue,
    }
    let text =
        r#"{"password":"hunter2hunter2","mail":"ana@example.com","n":1.5,"list":[{"a":null}]}"#;
    let raw = RawValue::from_string(text.to_owned()).expect("JSON");
    let number = RawValue::from_string("12".to_owned()).expect("JSON");
    let redacted =
        r#"{"password":"[REDACTED]","mail":"[REDACTED_email]","n":1.5,"list":[{"a":null}]}"#;
    let all = format!(r#"{{"raw":{redacted},"password":"[REDACTED]","max_tokens":12}}"#);
    assert_eq!(recorded(&Raw { raw: &raw, password: &raw, max_tokens: &number }), all);
    assert_eq!(recorded(&raw), redacted);
    assert_eq!(recorded(&json!({"v": [&raw]})), format!(r#"{{"v":[{redacted}]}}"#));
}

#[test]
fn an_answer_has_its_usage_and_its_price() {
    let captured = capture();
    let answer = parsed(
        r#"{"model":"gpt-4o-2024-08-06","usage":{"prompt_tokens":1000,"completion_tokens":500}}"#,
    );
    record_llm_call(&LlmCall::new("a", "chat", "openai", "gpt-4o").latency_ms(5.0).answer(&answer));
    assert_eq!(member(&captured, "tokens_input"), "1000");
    assert_eq!(member(&captured, "tokens_output"), "500");
    assert_eq!(member(&captured, "cost_usd"), "0.0075");
}

#[audit_span(agent = "a")]
fn search(query: &Value, limit: f64) -> Result<(), String> {
    let _ = (query, limit);
    Err("no index".to_owned())
}

#[test]
fn a_snapshot_has_the_numbers_of_its_arguments() {
    let captured = capture_with(|builder| builder.include_snapshots(true));
    let _ = search(&json!({"k": 1.5, "password": 12345}), 0.1);
    let error: Value = parsed(&member(&captured, "error"));
    assert_eq!(
        error["input_snapshot"].to_string(),
        r#"{"query":{"k":1.5,"password":"[REDACTED]"},"limit":0.1}"#
    );
}

#[derive(Serialize)]
struct Session {
    turns: u32,
}

#[audit_span(agent = "a")]
fn peek(session: Arc<Mutex<Session>>) -> Option<u32> {
    session.try_lock().ok().map(|held| held.turns)
}

/// With `serde/rc` an `Arc` of a lock is `Serialize`.
#[test]
fn a_shared_lock_is_not_taken() {
    let _captured = capture();
    let session = Arc::new(Mutex::new(Session { turns: 3 }));
    let held = session.lock();
    assert_eq!(peek(Arc::clone(&session)), None);
    drop(held);
    assert_eq!(peek(session), Some(3));
}
