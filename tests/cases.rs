//! Programs of `testdata/cases/recorder` whose subject has no test file of its own: content and
//! arguments that are large, and the shapes of serde.
#![cfg(not(loom))]

use llm_audit::testing::{Capture, capture, capture_with};
use serde_json::{Value, json};

fn events(seen: &Capture) -> Vec<Value> {
    seen.lines().iter().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// `content_that_is_large.rs`
mod content {
    use llm_audit::{LlmCall, record_llm_call};

    use super::*;

    /// More than an event may have: an answer with log probabilities, a talk of many turns, many keys.
    #[test]
    fn large_content_costs_neither_the_model_nor_what_is_short() {
        let answer = json!({"model": "gpt-4o-2024-08-06",
                            "usage": {"prompt_tokens": 1000, "completion_tokens": 4000}});
        let alternative = json!({"token": "alt", "logprob": -1.5, "bytes": [97, 108, 116]});
        let token =
            json!({"token": "tok", "logprob": -0.125, "top_logprobs": vec![alternative; 20]});
        let logprobs = json!({"choices": [{"message": {"role": "assistant", "content": "hello there"},
                                           "logprobs": {"content": vec![token; 2_000]}}]});
        let turn = |n: u32| json!({"role": "user", "content": format!("turn {n} of a long talk")});
        let turns: Value = (0..15_000).map(turn).collect();
        let keys: Value = (0..30_000).map(|n| (format!("key {n}"), json!(n))).collect();
        let seen = capture_with(|builder| builder.capture_content(true));
        for large in [&logprobs, &turns, &keys] {
            let call = LlmCall::new("benefits", "chat", "openai", "gpt-4o").answer(&answer);
            record_llm_call(&call.prompt(&"short question").completion(large));
        }
        for (line, event) in seen.lines().iter().zip(events(&seen)) {
            assert!(line.len() <= 300_000, "{}", line.len());
            let data = &event["data"];
            assert_eq!(
                (&data["model"], &data["provider"]),
                (&json!("gpt-4o-2024-08-06"), &json!("openai"))
            );
            assert_eq!(data["prompt"], "short question");
            assert_eq!(
                (&event["tokens_input"], &event["cost_usd"]),
                (&json!(1000), &json!(0.0425))
            );
            assert!(
                data["completion"].to_string().contains("[TRUNCATED"),
                "it says what is missing"
            );
        }
        assert_eq!(seen.lines().len(), 3);
    }

    #[cfg(feature = "tracing")]
    #[test]
    fn the_span_of_a_call_with_large_content_keeps_what_is_short() {
        use llm_audit::layer::tracing::AuditLayer;
        use tracing_subscriber::prelude::*;

        let seen = capture_with(|builder| builder.capture_content(true));
        let turns = json!(vec![json!({"role": "user", "content": "a turn of a talk"}); 15_000]);
        let (turns, answer) = (turns.to_string(), r#"[{"role":"assistant","content":"fine"}]"#);
        let subscriber = tracing_subscriber::registry().with(AuditLayer::new("t"));
        tracing::subscriber::with_default(subscriber, || {
            drop(tracing::info_span!(
                "chat",
                gen_ai.operation.name = "chat",
                gen_ai.request.model = "gpt-4o",
                gen_ai.usage.input_tokens = 1000,
                gen_ai.usage.output_tokens = 40,
                gen_ai.input.messages = turns.as_str(),
                gen_ai.output.messages = answer,
            ));
        });
        let data = &events(&seen)[0]["data"];
        assert_eq!(
            (&data["model"], &data["completion"][0]["content"]),
            (&json!("gpt-4o"), &json!("fine"))
        );
        assert!(data["prompt"].to_string().contains("[TRUNCATED:"));
    }
}

/// `snapshot_of_large_arguments.rs`
#[cfg(feature = "macros")]
mod snapshots {
    use llm_audit::audit_span;

    use super::*;

    #[audit_span(agent = "a")]
    fn lent(query: &str, embedding: &[f64], limit: u32) -> Result<(), String> {
        Err(format!("{query} {} {limit}", embedding.len()))
    }

    #[audit_span(agent = "a")]
    fn owned(embedding: Vec<f64>, query: String, limit: u32) -> Result<(), String> {
        Err(format!("{query} {} {limit}", embedding.len()))
    }

    #[audit_span(agent = "a", event = "llm.invoke")]
    fn chat(model: &str, messages: &[Value], temperature: f32) -> Result<(), String> {
        Err(format!("{model} {} {temperature}", messages.len()))
    }

    #[test]
    fn a_large_argument_costs_no_other() {
        let seen = capture();
        let embedding = vec![0.123_456_789; 30_000];
        lent("what is my plan", &embedding, 3).unwrap_err();
        owned(embedding, "what is my plan".to_owned(), 3).unwrap_err();
        let turn = |n: u32| json!({"role": "user", "content": format!("turn {n}")});
        chat("gpt-4o", &(0..40_000).map(turn).collect::<Vec<_>>(), 0.5).unwrap_err();
        let failed = events(&seen).into_iter().filter(|event| event["status"] == "error");
        let snapshots: Vec<_> =
            failed.map(|event| event["error"]["input_snapshot"].clone()).collect();
        assert_eq!(snapshots.len(), 3);
        for snapshot in &snapshots[..2] {
            assert_eq!(
                (&snapshot["query"], &snapshot["limit"]),
                (&json!("what is my plan"), &json!(3))
            );
            assert!(snapshot["embedding"].to_string().contains("[TRUNCATED:"));
        }
        assert_eq!(
            (&snapshots[2]["model"], &snapshots[2]["temperature"]),
            (&json!("gpt-4o"), &json!(0.5))
        );
        assert!(snapshots[2]["messages"].to_string().contains("[TRUNCATED:"));
    }
}

/// `serde_shapes.rs`
mod shapes {
    use std::collections::{BTreeMap, HashMap};
    use std::net::Ipv4Addr;
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use llm_audit::{AuditEvent, EventType};
    use serde::{Serialize, Serializer};
    use serde_json::value::RawValue;

    use super::*;

    #[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
    enum Key {
        Alpha,
    }
    #[derive(Serialize)]
    enum External {
        Unit,
        New(u8),
        Tuple(u8, u8),
        Struct { a: u8 },
    }
    #[derive(Serialize)]
    #[serde(tag = "t", content = "c")]
    enum Adjacent {
        A(u8),
        B { x: u8 },
    }
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Untagged {
        A(u8),
        B { x: u8 },
    }
    #[derive(Serialize)]
    struct Flat {
        a: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, u8>,
        #[serde(skip_serializing_if = "Option::is_none")]
        none: Option<u8>,
        #[serde(rename = "x-y")]
        renamed: u8,
    }
    #[derive(Serialize)]
    struct New(u8);
    #[derive(Serialize)]
    struct Unit;
    struct Bytes;
    impl Serialize for Bytes {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(b"\x00\xffab")
        }
    }
    struct HumanReadable;
    impl Serialize for HumanReadable {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let is_human_readable = serializer.is_human_readable();
            serializer.serialize_bool(is_human_readable)
        }
    }
    struct Displayed;
    impl Serialize for Displayed {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(&format_args!("{}-{}", 1, "two"))
        }
    }

    /// Returns `data` of the line.
    fn recorded(value: &(impl Serialize + Sync)) -> Value {
        let seen = capture();
        llm_audit::emit(&AuditEvent::new(EventType::AgentRoute, "a", "shape").data(value));
        events(&seen)[0]["data"].clone()
    }

    fn assert_same(value: &(impl Serialize + Sync)) {
        let spelled = serde_json::to_string(value).expect("serde_json takes it");
        let expected: Value = serde_json::from_str(&spelled).expect("JSON");
        let expected = if expected.is_object() { expected } else { json!({"value": expected}) };
        assert_eq!(recorded(value), expected, "{spelled}");
    }

    fn assert_same_member(value: impl Serialize + Sync) {
        assert_same(&BTreeMap::from([("v", value)]));
    }

    #[test]
    fn every_shape_is_what_serde_json_makes_of_it() {
        assert_same(&HashMap::from([(5_u32, 1)]));
        assert_same(&HashMap::from([(true, 1)]));
        assert_same(&HashMap::from([('x', 1)]));
        assert_same(&BTreeMap::from([(Key::Alpha, 1)]));
        assert_same(&HashMap::from([(Some("k"), 1)]));
        assert_same(&BTreeMap::from([("k".repeat(300), 1)]));
        assert_same(&BTreeMap::from([("a\"b\n\u{202e}", 1)]));
        assert_same(&BTreeMap::<u8, u8>::new());
        assert_same_member(0.1_f32);
        for number in [f64::MAX, f64::MIN_POSITIVE, -0.0, 1e16, 1e15, -0.000_000_123_45, 3.0] {
            assert_same_member(number);
        }
        assert_same_member(u64::MAX);
        assert_same_member(i64::MIN);
        let external =
            [External::Unit, External::New(1), External::Tuple(1, 2), External::Struct { a: 1 }];
        assert_same_member(external);
        assert_same_member([Adjacent::A(1), Adjacent::B { x: 1 }]);
        assert_same_member([Untagged::A(1), Untagged::B { x: 1 }]);
        let rest = BTreeMap::from([("k".to_owned(), 2)]);
        assert_same(&Flat { a: 1, rest, none: None, renamed: 3 });
        assert_same_member(New(1));
        assert_same_member(Unit);
        assert_same_member(HumanReadable);
        assert_same_member(Displayed);
        assert_same_member(Ipv4Addr::LOCALHOST);
        assert_same_member(SystemTime::UNIX_EPOCH);
        assert_same_member(Duration::from_millis(1_500));
        assert_same_member(Path::new("/x"));
        assert_same_member(Some(Some(1)));
        assert_same(&Ok::<u8, u8>(1));
        assert_same(&"x");
        assert_same(&5);
        assert_same(&[1, 2]);
    }

    /// What `serde_json` refuses or loses is kept, and secrets are not.
    #[test]
    fn other_shapes_keep_what_they_say() {
        let not_finite = recorded(&BTreeMap::from([("a", f64::NAN), ("b", f64::INFINITY)]));
        assert!(not_finite["a"] != 0 && not_finite["b"] != 0, "{not_finite}");
        assert_eq!(recorded(&BTreeMap::from([("v", Bytes)])), json!({"v": "[BYTES:4]"}));
        let large = recorded(&BTreeMap::from([("a", u128::MAX)]));
        assert!(large["a"].to_string().contains("3402823669"), "{large}");
        let pairs = recorded(&HashMap::from([((1_u8, 2_u8), 1)]));
        assert_eq!(pairs.as_object().map(|members| members.len()), Some(1), "{pairs}");
        let raw = r#"{"a":1.10,"password":"hunter2hunter2"}"#.to_owned();
        let raw = RawValue::from_string(raw).expect("JSON");
        for raw in [recorded(&raw), recorded(&BTreeMap::from([("v", &raw)]))["v"].clone()] {
            assert_eq!(raw, json!({"a": 1.1, "password": "[REDACTED]"}));
        }
    }
}

/// `tracing_verdicts.rs`, without the retried call of `tests/tracing.rs`.
#[cfg(feature = "tracing")]
mod verdicts {
    use llm_audit::layer::tracing::AuditLayer;
    use tracing::field::Empty;
    use tracing::{error, info_span, warn};
    use tracing_subscriber::prelude::*;

    use super::*;

    /// Returns type, status and the error's message of each event.
    fn verdicts(work: impl FnOnce()) -> Vec<(String, String, Value)> {
        let seen = capture();
        let subscriber = tracing_subscriber::registry().with(AuditLayer::new("a"));
        tracing::subscriber::with_default(subscriber, work);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let verdict = |event: Value| {
            (text(&event["event_type"]), text(&event["status"]), event["error"]["message"].clone())
        };
        events(&seen).into_iter().map(verdict).collect()
    }

    fn verdict(event_type: &str, status: &str) -> (String, String, Value) {
        (event_type.to_owned(), status.to_owned(), json!(null))
    }

    #[test]
    fn what_was_logged_inside_an_answered_span_is_no_failure() {
        let tool = verdicts(|| {
            let span = info_span!(
                "execute_tool",
                gen_ai.operation.name = "execute_tool",
                gen_ai.tool.name = "search",
                gen_ai.tool.call.result = Empty
            );
            span.in_scope(|| error!(error = "one of three mirrors is down"));
            span.record("gen_ai.tool.call.result", "[1,2]");
        });
        assert_eq!(tool, [verdict("tool.call", "ok"), verdict("tool.result", "ok")]);
        let agent = verdicts(|| {
            let agent = info_span!(
                "invoke_agent",
                gen_ai.operation.name = "invoke_agent",
                gen_ai.output.messages = Empty
            );
            agent.in_scope(|| {
                let tool = info_span!(
                    "execute_tool",
                    gen_ai.operation.name = "execute_tool",
                    gen_ai.tool.name = "search",
                    error.type = Empty
                );
                tool.record("error.type", "timeout");
                drop(tool);
                error!(error = "tool search failed; going on without it");
            });
            agent.record("gen_ai.output.messages", "[]");
        });
        assert_eq!((&*agent[1].0, &*agent[1].1), ("tool.error", "timeout"));
        assert_eq!(agent[2], verdict("agent.invoke", "ok"));
    }

    #[test]
    fn an_error_counts_by_its_level() {
        let chat =
            || info_span!("chat", gen_ai.operation.name = "chat", gen_ai.request.model = "gpt-4o");
        let warned = verdicts(|| chat().in_scope(|| warn!(exception.message = "x", "retry")));
        assert_eq!(warned, [verdict("llm.invoke", "ok")]);
        let broken = std::io::Error::other("boom");
        let broken = &broken as &(dyn std::error::Error + 'static);
        let failed = verdicts(|| chat().in_scope(|| error!(error = broken, "failed")));
        assert_eq!(failed, [("llm.error".to_owned(), "error".to_owned(), json!("boom"))]);
    }

    #[test]
    fn names_of_no_convention_and_ids_used_twice_change_nothing() {
        let unknown = verdicts(|| {
            drop(info_span!(
                "chat",
                gen_ai.operation.name = "chat",
                gen_ai.request.model = "gpt-4o",
                gen_ai.usage.of_tomorrow = 5,
                gen_ai.usage.input_tokens = 10,
                gen_ai.usage.output_tokens = 1,
                server.address = "api.openai.com"
            ));
        });
        assert_eq!(unknown, [verdict("llm.invoke", "ok")]);
        let twice = verdicts(|| {
            for _ in 0..2 {
                drop(info_span!(
                    "execute_tool",
                    gen_ai.operation.name = "execute_tool",
                    gen_ai.tool.name = "t",
                    gen_ai.tool.call.id = "c1"
                ));
            }
        });
        let both = [verdict("tool.call", "ok"), verdict("tool.result", "ok")];
        assert_eq!(twice, [both.clone(), both].concat());
    }
}
