//! Usage in answers of providers: read whole, every part inside its total, each answer priced or
//! named as unpriced. The sample also states the exact figures.

use std::time::Duration;

use llm_audit::{AuditLogger, Usage};
use serde_json::{Map, Value, json};

const ANSWERS: &str = "provider-usage.jsonl";

/// Returns the answers of the sample and, if there is one, of the recording.
fn answers() -> Vec<Vec<Value>> {
    [Some(testdata::sample(ANSWERS)), testdata::recording(ANSWERS)]
        .into_iter()
        .flatten()
        .map(|text| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
        .collect()
}

/// Returns a logger that records nothing and knows the prices of the sample.
fn logger() -> AuditLogger {
    let builder = AuditLogger::builder().without_environment().enabled(false);
    builder.pricing_file(testdata::sample_path("prices.json")).build().unwrap()
}

/// Returns the totals and the parts of a usage as the sample states them.
fn stated(usage: Usage) -> Value {
    let mut all = Map::from_iter([
        ("input".to_owned(), json!(usage.input)),
        ("output".to_owned(), json!(usage.output)),
    ]);
    if let Value::Object(parts) = serde_json::to_value(usage).unwrap() {
        all.extend(parts);
    }
    Value::Object(all)
}

#[test]
fn every_answer_of_the_sample_has_the_tokens_and_the_cost_that_it_states() {
    let audit = logger();
    for text in testdata::sample(ANSWERS).lines() {
        let answer: Value = serde_json::from_str(text).unwrap();
        let usage = Usage::from_answer(&answer["usage"]);
        assert_eq!(usage.map_or(Value::Null, stated), answer["expect"], "{answer}");
        if let Some(expected) = answer.get("cost_usd") {
            let model = answer["model"].as_str().unwrap();
            let cost = usage.and_then(|usage| audit.calculate_cost(model, usage));
            assert_eq!(json!(cost.map(|cost| cost.to_string())), *expected, "{answer}");
        }
    }
    audit.shutdown(Duration::from_secs(60)).unwrap();
}

/// Answers that users reported, with the tokens that they mean. `ci/cost.sh` compares the costs.
#[test]
fn every_answer_of_the_cases_has_the_tokens_that_it_states() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/cases/usage-cases.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let Some(expected) = case.get("expect") else { continue };
        let found = Usage::from_answer(&case["answer"]);
        let Value::Object(expected) = expected else {
            assert_eq!(found, None, "{case}");
            continue;
        };
        let found = found.unwrap_or_else(|| panic!("no usage of {case}"));
        assert_eq!(found.is_partial(), case.get("partial").is_some(), "{case}");
        let found = stated(found);
        for (name, tokens) in expected {
            assert_eq!(found.get(name).unwrap_or(&json!(0)), tokens, "{name} of {case}");
        }
    }
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
    for answers in answers() {
        let without = answers.iter().filter(|answer| !check_usage(answer)).count();
        assert_eq!(without, 1, "one answer has no tokens");
    }
}

/// Checks the usage of an answer; returns whether it has one.
fn check_usage(answer: &Value) -> bool {
    let Some(usage) = Usage::from_answer(&answer["usage"]) else {
        assert_eq!(largest(&answer["usage"]), 0, "no usage of {answer}");
        return false;
    };
    assert_eq!(Usage::from_answer(answer), Some(usage), "the whole answer says the same");
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
    true
}

#[test]
fn every_recorded_call_is_priced_or_named() {
    for answers in answers() {
        let audit = logger();
        let (mut priced, mut calls) = (0, 0);
        for answer in answers {
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
}
