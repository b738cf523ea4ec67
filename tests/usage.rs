//! The usage in real answers of providers: read whole, every part inside its total, each priced or
//! named as unpriced.

mod common;

use std::time::Duration;

use llm_audit::{AuditLogger, Usage};
use serde_json::Value;

/// Shapes of the project's own, for where the recordings are not.
const OWN: &str = r#"{"host":"api.anthropic.com","model":"claude-sonnet-4-5","usage":{"input_tokens":3,"output_tokens":44,"cache_read_input_tokens":9511,"cache_creation_input_tokens":1956}}
{"host":"api.openai.com","model":"gpt-4o","usage":{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,"prompt_tokens_details":{"cached_tokens":64}}}
{"host":"generativelanguage.googleapis.com","model":"gemini-2.5-flash","usage":{"promptTokenCount":13,"candidatesTokenCount":1,"thoughtsTokenCount":2,"totalTokenCount":16}}
{"host":"example.org","model":"a-model-of-our-own","usage":{"prompt_tokens":1,"completion_tokens":1}}
{"host":"aiplatform.googleapis.com","model":"gemini-2.5-flash","usage":{"trafficType":"ON_DEMAND"}}"#;

fn answers() -> Vec<Value> {
    let text = common::shared("provider-usage.jsonl");
    let text = text.as_deref().unwrap_or(OWN);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The numbers of a usage object, at whatever depth.
fn largest(usage: &Value) -> u64 {
    match usage {
        Value::Object(members) => members.values().map(largest).max().unwrap_or(0),
        Value::Array(items) => items.iter().map(largest).max().unwrap_or(0),
        other => other.as_u64().unwrap_or(0),
    }
}

#[test]
fn every_recorded_usage_is_read_once_and_lies_inside_its_totals() {
    let mut without = 0;
    for answer in answers() {
        let Some(usage) = Usage::from_answer(&answer["usage"]) else {
            assert_eq!(largest(&answer["usage"]), 0, "no usage of {answer}");
            without += 1;
            continue;
        };
        assert_eq!(Usage::from_answer(&answer), Some(usage), "the whole answer says the same");
        assert_eq!(Usage::from_json(&answer.to_string()), Some(usage), "{answer}");
        let cached = usage.cache_read + usage.cache_write + usage.cache_write_1h;
        assert!(cached + usage.audio_input <= usage.input + usage.audio_cache_read, "{answer}");
        assert!(usage.reasoning + usage.audio_output <= usage.output, "{answer}");
        let total = ["total_tokens", "totalTokens", "totalTokenCount"]
            .iter()
            .find_map(|name| answer["usage"][name].as_u64());
        if let Some(total) = total {
            assert_eq!(usage.input + usage.output, total, "the sum of {answer}");
        }
    }
    assert_eq!(without, 1, "one answer told no tokens");
}

#[test]
fn every_recorded_call_is_priced_or_named() {
    let audit = AuditLogger::builder().without_environment().enabled(false).build().unwrap();
    let (mut priced, mut calls) = (0, 0);
    for answer in answers() {
        let Some(usage) = Usage::from_answer(&answer) else { continue };
        let model = answer["model"].as_str().unwrap_or("(none)");
        calls += 1;
        if let Some(cost) = audit.calculate_cost(model, usage) {
            priced += 1;
            assert!(!cost.is_negative() && cost < "10".parse().unwrap(), "{model}: {cost}");
        }
    }
    let unpriced = audit.accounting().unpriced;
    assert_eq!(priced + unpriced, calls, "each is the one or the other");
    assert!(priced > unpriced && unpriced > 0, "{priced} of {calls}");
    assert!(!audit.unpriced().is_empty());
    audit.shutdown(Duration::from_secs(60)).unwrap();
}
