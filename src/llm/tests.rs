//! Model calls: tokens, cost, content, errors, and what is not priced.

use serde_json::{Value, json};

use super::*;
use crate::testing::{Capture, capture, capture_with};

fn only(seen: &Capture) -> Value {
    let lines = seen.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    serde_json::from_str(&lines[0]).unwrap()
}

#[test]
fn an_answer_is_priced_and_recorded_without_its_content() {
    let answer = json!({
        "model": "claude-sonnet-4-5-20250929",
        "content": [{"type": "text", "text": "to ana@example.org"}],
        "usage": {"input_tokens": 4, "cache_read_input_tokens": 8000, "output_tokens": 100},
    });
    let seen = capture();
    let span = TraceContext::new_trace();
    let call = LlmCall::new("planner", "chat", "anthropic", "claude-sonnet-4-5")
        .answer(&answer)
        .prompt(&"my secret plan")
        .completion(&answer)
        .latency_ms(12.5)
        .span(&span);
    assert_eq!(record_llm_call(&call), "0.003912".parse().ok());
    let line = only(&seen);
    assert_eq!(line["event_type"], "llm.invoke");
    assert_eq!(line["status"], "ok");
    assert_eq!(line["span_id"], format!("{:016x}", span.span_id()));
    assert_eq!((&line["tokens_input"], &line["tokens_output"]), (&json!(8004), &json!(100)));
    assert_eq!((&line["cost_usd"], &line["latency_ms"]), (&json!(0.003912), &json!(12.5)));
    let data = json!({"model": "claude-sonnet-4-5-20250929", "provider": "anthropic",
        "usage": {"cache_read": 8000}});
    assert_eq!(line["data"], data);
}

#[test]
fn content_is_recorded_where_it_is_captured_and_redacted() {
    let seen = capture_with(|builder| builder.capture_content(true));
    let prompt = json!([{"role": "user", "content": "mail ana@example.org", "password": "x"}]);
    let call = LlmCall::new("planner", "chat", "", "gpt-4o").prompt(&prompt).completion(&"done");
    assert_eq!(record_llm_call(&call), None);
    let data = json!({"model": "gpt-4o", "completion": "done", "prompt":
        [{"role": "user", "content": "mail [REDACTED_email]", "password": "[REDACTED]"}]});
    assert_eq!(only(&seen)["data"], data);
    assert_eq!(seen.logger().accounting().unpriced, 0, "there was nothing to price");
}

#[test]
fn whom_a_call_is_for_is_its_own_or_that_of_the_context() {
    let seen = capture();
    let context = TraceContext::new_trace().with_user("ann").with_tenant("acme");
    let _scope = context.with_conversation("c-1").enter();
    let call = LlmCall::new("planner", "chat", "", "gpt-4o").first_token_ms(80.5);
    record_llm_call(&call);
    record_llm_call(&call.user("bob").tenant("globex").conversation("c-2"));
    let data = |user: &str, tenant: &str, conversation: &str| {
        json!({"model": "gpt-4o", "first_token_ms": 80.5, "user": user, "tenant": tenant,
            "conversation": conversation})
    };
    let lines = seen.lines();
    let recorded = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let recorded: Vec<_> = recorded.map(|mut line| line["data"].take()).collect();
    assert_eq!(recorded, [data("ann", "acme", "c-1"), data("bob", "globex", "c-2")]);
    let rows = seen.logger().metrics().rows;
    let tenants: Vec<_> = rows.iter().map(|row| (&*row.tenant, row.first_tokens.count())).collect();
    assert_eq!(tenants, [("acme", 1), ("globex", 1)]);
}

#[test]
fn failures_are_errors() {
    let detail = ErrorDetail::new("RateLimit", "try later");
    let call = LlmCall::new("planner", "chat", "openai", "gpt-4o");
    let cases = [
        (call.error(&detail), "llm.error", "error"),
        (call.status(Status::Timeout), "llm.error", "timeout"),
        (call.error(&detail).status(Status::Retry), "llm.error", "retry"),
        (call.status(Status::Retry), "llm.invoke", "retry"),
    ];
    for (call, event_type, status) in cases {
        let seen = capture();
        assert_eq!(record_llm_call(&call), None);
        let line = only(&seen);
        assert_eq!((&line["event_type"], &line["status"]), (&json!(event_type), &json!(status)));
        assert!(line.get("cost_usd").is_none() && line.get("tokens_input").is_none());
    }
}

#[test]
fn an_answer_that_tells_of_an_error_is_one() {
    let cases = [
        (
            json!({"error": {"message": "slow down, ana@example.org", "type": "requests",
                "param": null, "code": "rate_limit_exceeded"}}),
            ("requests", "slow down, [REDACTED_email]"),
        ),
        (
            json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}),
            ("overloaded_error", "busy"),
        ),
        (
            json!({"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED"}}),
            ("429", "quota"),
        ),
        (json!({"error": "model not found"}), ("_OTHER", "model not found")),
        (
            json!({"object": "error", "message": "no such model", "type": "invalid_model"}),
            ("invalid_model", "no such model"),
        ),
        (json!({"type": "error", "code": null, "message": "cut"}), ("_OTHER", "cut")),
        (
            json!({"response": {"status": "failed", "error": {"code": "server_error"}}}),
            ("server_error", ""),
        ),
    ];
    let call = LlmCall::new("planner", "chat", "openai", "gpt-4o");
    for (answer, (error_type, message)) in cases {
        let seen = capture();
        assert_eq!(record_llm_call(&call.answer(&answer)), None);
        let line = only(&seen);
        assert_eq!((&line["event_type"], &line["status"]), (&json!("llm.error"), &json!("error")));
        assert_eq!(line["error"]["type"], error_type, "{answer}");
        assert_eq!(line["error"]["message"], message, "{answer}");
        let seen = capture();
        record_llm_call(&call.answer(&answer).status(Status::Retry));
        assert_eq!(only(&seen)["event_type"], "llm.invoke", "the caller knows better");
    }
}

#[test]
fn an_error_that_is_none_is_none() {
    let usage = json!({"prompt_tokens": 1000, "completion_tokens": 500});
    for error in [json!(null), json!(""), json!(false), json!([])] {
        let seen = capture();
        let answer = json!({"error": error, "usage": usage, "type": "message"});
        let call = LlmCall::new("planner", "chat", "openai", "gpt-4o").answer(&answer);
        assert_eq!(record_llm_call(&call), "0.0075".parse().ok());
        assert_eq!(only(&seen)["event_type"], "llm.invoke", "{answer}");
    }
    let failed = json!({"error": {"type": "cut"}, "usage": usage}).to_string();
    let seen = capture();
    let call = LlmCall::new("planner", "chat", "openai", "gpt-4o");
    assert_eq!(record_llm_call(&call.answer(&failed)), "0.0075".parse().ok(), "it is billed");
    assert_eq!(only(&seen)["error"]["type"], "cut");
}

#[test]
fn what_the_caller_says_goes_first() {
    let seen = capture();
    let answer = json!({"usage": {"prompt_tokens": 7, "completion_tokens": 7}});
    let call =
        LlmCall::new("planner", "chat", "", "unheard-of").answer(&answer).usage((10, 20)).cost(0.1);
    assert_eq!(seen.logger().record_llm_call(&call), "0.1".parse().ok());
    let line = only(&seen);
    assert_eq!((&line["tokens_input"], &line["cost_usd"]), (&json!(10), &json!(0.1)));
    assert_eq!(seen.logger().accounting().unpriced, 0);
}

#[test]
fn an_answer_without_readable_usage_is_counted_by_model() {
    let seen = capture();
    let (empty, half) = (json!({}), json!({"model": "m-2", "usage": {"output_tokens": 9}}));
    let (failed, whole) =
        (json!({"error": "busy"}), json!({"eval_count": 1, "prompt_eval_count": 1}));
    let call = LlmCall::new("planner", "chat", "", "m-1");
    let absent = call.answer(&empty);
    for call in [absent, absent, call.answer(&half)] {
        assert_eq!(record_llm_call(&call), None);
    }
    let lines = seen.lines();
    let line: Value = serde_json::from_str(&lines[2]).unwrap();
    assert_eq!((line.get("tokens_input"), &line["tokens_output"]), (None, &json!(9)));
    let others = [
        call,
        call.answer(&failed),
        call.answer(&whole),
        absent.usage((1, 2)),
        absent.cost(0.1),
        absent.status(Status::Timeout),
    ];
    for call in others {
        record_llm_call(&call);
    }
    let unmetered = [("m-1".to_owned(), 2), ("m-2".to_owned(), 1)];
    assert_eq!(seen.logger().unmetered(), unmetered.into());
    assert_eq!(seen.logger().accounting().unmetered, 3);
}

#[test]
fn a_deployment_is_priced_by_the_model_that_answered() {
    let seen = capture();
    let answer = json!({"model": "gpt-4o-2024-08-06", "usage":
        {"prompt_tokens": 1000, "completion_tokens": 500}});
    let call = LlmCall::new("planner", "chat", "azure.ai.openai", "our-deployment");
    assert_eq!(record_llm_call(&call.answer(&answer)), "0.0075".parse().ok());
    let unknown = json!({"model": "unheard-of", "usage": answer["usage"]});
    let call = LlmCall::new("planner", "chat", "openai", "gpt-4o");
    assert_eq!(record_llm_call(&call.answer(&unknown)), "0.0075".parse().ok());
    let call = LlmCall::new("planner", "chat", "openai", "our-deployment");
    assert_eq!(record_llm_call(&call.answer(&unknown)), None);
    assert_eq!(seen.logger().unpriced().into_keys().collect::<Vec<_>>(), ["unheard-of"]);
}
