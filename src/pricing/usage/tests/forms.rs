//! The forms in which providers and frameworks write a usage, one table a kind.

use serde_json::{Value, json};

use super::*;

/// Returns the usage with the parts that are given as pairs of a name and a count.
pub(super) fn usage(input: u64, output: u64, parts: &[(&str, u64)]) -> Usage {
    let mut usage = Usage::new(input, output);
    for (name, count) in parts {
        let part = match *name {
            "cache_read" => &mut usage.cache_read,
            "cache_write" => &mut usage.cache_write,
            "cache_write_1h" => &mut usage.cache_write_1h,
            "reasoning" => &mut usage.reasoning,
            "audio_input" => &mut usage.audio_input,
            "audio_cache_read" => &mut usage.audio_cache_read,
            "audio_output" => &mut usage.audio_output,
            _ => panic!("no part is named {name}"),
        };
        *part = *count;
    }
    usage
}

#[track_caller]
fn assert_read(answer: &Value, expected: Usage) {
    assert_eq!(Usage::from_answer(answer), Some(expected), "{answer}");
}

#[test]
fn a_batch_has_the_terms_of_a_batch() {
    let chat = json!({"prompt_tokens": 70, "completion_tokens": 9, "total_tokens": 79});
    let cases = [
        json!({"object": "batch", "status": "completed", "model": "gpt-4.1", "usage":
            {"input_tokens": 70, "output_tokens": 9, "total_tokens": 79,
             "prompt_tokens": 0, "completion_tokens": 0}}),
        json!({"custom_id": "q-7", "response": {"status_code": 200, "body":
            {"model": "gpt-4.1", "service_tier": "default", "usage": chat}}}),
        json!({"custom_id": "q-7", "result": {"type": "succeeded", "message":
            {"usage": {"input_tokens": 70, "output_tokens": 9, "cache_read_input_tokens": 0}}}}),
        json!({"key": "q-7", "response": {"usageMetadata":
            {"promptTokenCount": 70, "candidatesTokenCount": 9}}}),
        json!({"status": "", "processed_time": "2026-11-02T10:00:00Z", "request": {}, "response":
            {"usageMetadata": {"promptTokenCount": 70, "candidatesTokenCount": 9}}}),
        json!({"recordId": "q-7", "modelInput": {}, "modelOutput":
            {"usage": {"input_tokens": 70, "output_tokens": 9}}}),
    ];
    for answer in cases {
        let expected = Usage { service_tier: ServiceTier::Batch, ..Usage::new(70, 9) };
        assert_read(&answer, expected);
    }
    let kept = json!({"key": "q-7", "at": 1, "response": {"usageMetadata":
        {"promptTokenCount": 70, "candidatesTokenCount": 9}}});
    assert_read(&kept, Usage::new(70, 9));
}

#[test]
fn codex_and_rig_count_cached_tokens_inside() {
    let cases = [
        (
            json!({"type": "turn.completed", "usage": {"input_tokens": 900,
                "cached_input_tokens": 640, "output_tokens": 31, "reasoning_output_tokens": 12}}),
            usage(900, 31, &[("cache_read", 640), ("reasoning", 12)]),
        ),
        (
            json!({"type": "turn.completed", "usage": {"input_tokens": 900,
                "cached_input_tokens": 640, "cache_write_input_tokens": 200, "output_tokens": 31}}),
            usage(900, 31, &[("cache_read", 640), ("cache_write", 200)]),
        ),
        (
            json!({"type": "event_msg", "payload": {"type": "token_count", "info": {
                "total_token_usage": {"input_tokens": 5000, "output_tokens": 80},
                "last_token_usage": {"input_tokens": 900, "cached_input_tokens": 640,
                    "output_tokens": 31, "total_tokens": 931}}}}),
            usage(900, 31, &[("cache_read", 640)]),
        ),
        (
            json!({"input_tokens": 900, "output_tokens": 31, "total_tokens": 931,
                "cached_input_tokens": 640, "cache_creation_input_tokens": 100}),
            usage(900, 31, &[("cache_read", 640), ("cache_write", 100)]),
        ),
        (
            json!({"usage": {"input_tokens": 900, "output_tokens": 31, "total_tokens": 931,
                "cache_read_input_tokens": 640}}),
            usage(900, 31, &[("cache_read", 640)]),
        ),
    ];
    for (answer, expected) in cases {
        assert_read(&answer, expected);
    }
}

#[test]
fn cache_writes_are_read_wherever_they_are_nested() {
    let details = |details: Value| {
        json!({"usage": {"prompt_tokens": 800, "completion_tokens": 7, "total_tokens": 807,
            "prompt_tokens_details": details}})
    };
    let cases = [
        (
            details(json!({"cached_tokens": 100, "cache_creation_tokens": 300})),
            &[("cache_read", 100), ("cache_write", 300)][..],
        ),
        (
            details(json!({"cache_creation_tokens": 300, "cache_creation_token_details":
                {"ephemeral_5m_input_tokens": 50, "ephemeral_1h_input_tokens": 250}})),
            &[("cache_write", 50), ("cache_write_1h", 250)],
        ),
        (
            details(json!({"cache_creation_details":
                {"ephemeral_5m_tokens": 50, "ephemeral_1h_tokens": 250}})),
            &[("cache_write", 50), ("cache_write_1h", 250)],
        ),
    ];
    for (answer, parts) in cases {
        assert_read(&answer, usage(800, 7, parts));
    }
    let beside = json!({"usage": {"prompt_tokens": 400, "completion_tokens": 7,
        "total_tokens": 807, "prompt_tokens_details":
            {"cached_tokens": 100, "cache_creation_tokens": 300}}});
    assert_read(&beside, usage(800, 7, &[("cache_read", 100), ("cache_write", 300)]));
}

#[test]
fn frameworks_count_parts_inside() {
    let cases = [
        (
            json!({"usage_metadata": {"input_tokens": 640, "output_tokens": 20, "total_tokens": 660,
                "input_token_details": {"audio": 40, "cache_read": 200, "cache_creation": 100},
                "output_token_details": {"audio": 3, "reasoning": 11}}}),
            usage(
                640,
                20,
                &[
                    ("cache_read", 200),
                    ("cache_write", 100),
                    ("audio_input", 40),
                    ("audio_output", 3),
                    ("reasoning", 11),
                ],
            ),
        ),
        (
            json!({"kwargs": {"usage_metadata": {"input_tokens": 640, "output_tokens": 20,
                "total_tokens": 660, "input_token_details":
                    {"cache_creation": 0, "ephemeral_1h_input_tokens": 90}}}}),
            usage(640, 20, &[("cache_write_1h", 90)]),
        ),
        (
            json!({"llmOutput": {"tokenUsage":
                {"promptTokens": 640, "completionTokens": 20, "totalTokens": 660}}}),
            usage(640, 20, &[]),
        ),
        (
            json!({"usage": {"inputTokens": 640, "outputTokens": 20, "totalTokens": 660,
                "cachedInputTokens": 200, "reasoningTokens": 11}}),
            usage(640, 20, &[("cache_read", 200), ("reasoning", 11)]),
        ),
        (
            json!({"usage": {"inputTokens": 40, "outputTokens": 20, "totalTokens": 60,
                "cachedInputTokens": 600}}),
            usage(640, 20, &[("cache_read", 600)]),
        ),
        (
            json!({"usage": {"inputTokens": 640, "outputTokens": 20, "totalTokens": 660,
                "inputTokenDetails":
                    {"noCacheTokens": 340, "cacheReadTokens": 200, "cacheWriteTokens": 100},
                "outputTokenDetails": {"textTokens": 9, "reasoningTokens": 11}}}),
            usage(640, 20, &[("cache_read", 200), ("cache_write", 100), ("reasoning", 11)]),
        ),
        (
            json!({"usage": {"inputTokens":
                {"total": 640, "noCache": 340, "cacheRead": 200, "cacheWrite": 100},
                "outputTokens": {"total": 20, "text": 9, "reasoning": 11}}}),
            usage(640, 20, &[("cache_read", 200), ("cache_write", 100), ("reasoning", 11)]),
        ),
        (
            json!({"usage": {"inputTokens": {"noCache": 440, "cacheRead": 200},
                "outputTokens": {"total": 20}}}),
            usage(640, 20, &[("cache_read", 200)]),
        ),
        (
            json!({"usage": {"inputTokens": 1, "outputTokens": 1},
                "totalUsage": {"inputTokens": 640, "outputTokens": 20, "totalTokens": 660}}),
            usage(640, 20, &[]),
        ),
    ];
    for (answer, expected) in cases {
        assert_read(&answer, expected);
    }
}

#[test]
fn attributes_are_read_under_the_names_of_all_versions() {
    let names = [
        ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"),
        ("gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens"),
        ("llm.token_count.prompt", "llm.token_count.completion"),
    ];
    let reads = [
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "llm.token_count.prompt_details.cache_read",
    ];
    let writes = [
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "llm.token_count.prompt_details.cache_write",
    ];
    for ((input, output), (read, write)) in names.into_iter().zip(reads.into_iter().zip(writes)) {
        let flat = json!({input: 300, output: "14", read: 120, write: 80,
            "gen_ai.usage.reasoning.output_tokens": 5, "gen_ai.usage.audio.input_tokens": 30,
            "gen_ai.usage.audio.cache_read.input_tokens": 10,
            "gen_ai.usage.text.input_tokens": 270});
        let parts = [
            ("cache_read", 120),
            ("cache_write", 80),
            ("reasoning", 5),
            ("audio_input", 30),
            ("audio_cache_read", 10),
        ];
        assert_read(&flat, usage(300, 14, &parts));
        assert_read(&json!({"attributes": flat}), usage(300, 14, &parts));
        let listed: Vec<Value> = flat.as_object().unwrap().iter().map(otlp_attribute).collect();
        assert_read(&json!({"name": "chat", "attributes": listed}), usage(300, 14, &parts));
    }
    let input_alone = json!({"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 9});
    assert_read(&input_alone, Usage { lacks_output: true, ..Usage::new(9, 0) });
    let embedding = json!({"gen_ai.operation.name": "embeddings", "gen_ai.usage.input_tokens": 9});
    assert_read(&embedding, Usage::new(9, 0));
}

fn otlp_attribute((key, value): (&String, &Value)) -> Value {
    match value {
        Value::String(text) => json!({"key": key, "value": {"stringValue": text}}),
        number => json!({"key": key, "value": {"intValue": number.to_string()}}),
    }
}

#[test]
fn chunks_give_one_usage_together() {
    let start = json!({"type": "message_start", "message": {"model": "claude-opus-5", "usage":
        {"input_tokens": 60, "cache_read_input_tokens": 500, "output_tokens": 2}}});
    let text = json!({"type": "content_block_delta", "delta": {"text": "data: {\"usage\":1}\n\n"}});
    let end = json!({"type": "message_delta", "usage": {"output_tokens": 77}});
    let zeros = json!({"type": "message_delta", "usage": {"input_tokens": 0,
        "cache_read_input_tokens": 0, "cache_creation_input_tokens": null, "output_tokens": 77}});
    let again = json!({"type": "message_delta", "usage": {"input_tokens": 60,
        "cache_read_input_tokens": 500, "output_tokens": 77}});
    let read = usage(560, 77, &[("cache_read", 500)]);
    let chunk = json!({"choices": [{"delta": {"content": "a"}}], "usage": null, "model": "m"});
    let last = json!({"choices": [], "usage":
        {"prompt_tokens": 12, "completion_tokens": 4, "total_tokens": 16}});
    let gemini = |candidates: u64| {
        json!({"usageMetadata": {"promptTokenCount": 12, "candidatesTokenCount": candidates,
            "totalTokenCount": 12 + candidates}})
    };
    let cases = [
        (vec![start.clone(), text.clone(), end], read),
        (vec![start.clone(), text.clone(), zeros], read),
        (vec![start, text, again], read),
        (vec![chunk.clone(), chunk, last], Usage::new(12, 4)),
        (vec![gemini(1), gemini(3), gemini(4)], Usage::new(12, 4)),
        (
            vec![
                json!({"model": "llama3.2", "message": {"content": "a"}, "done": false}),
                json!({"done": true, "prompt_eval_count": 12, "eval_count": 4}),
            ],
            Usage::new(12, 4),
        ),
    ];
    for (chunks, expected) in cases {
        let lines: Vec<String> = chunks.iter().map(Value::to_string).collect();
        let event = |line: &String| format!("event: e\ndata: {line}\n\n");
        let events: String = lines.iter().map(event).collect();
        let texts = [
            events.clone() + "data: [DONE]\n\n",
            events.replace('\n', "\r\n"),
            format!("\u{feff}: a comment\n\n{events}").replace("event: e\n", "id: 7\n"),
            lines.iter().map(|line| format!("data:{line}\n")).collect(),
            lines.join("\n"),
        ];
        for text in texts {
            assert_eq!(Usage::from_json(&text), Some(expected), "{text}");
            assert_read(&Value::String(text.clone()), expected);
            assert_read(&json!({"status": 200, "body": text}), expected);
        }
        assert_read(&Value::Array(chunks), expected);
        assert_read(&events.split_inclusive("\n\n").collect(), expected);
    }
}

#[test]
fn a_stream_names_its_model_its_tier_and_its_error() {
    let text = "data: {\"type\":\"response.created\",\"response\":{\"model\":\"gpt-5\",\
        \"service_tier\":\"auto\",\"usage\":null}}\n\n\
        data: {\"type\":\"response.completed\",\"response\":{\"model\":\"gpt-5\",\
        \"service_tier\":\"flex\",\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n\
        data: {\"error\":{\"type\":\"cut\",\"message\":\"gone\"}}\n\n";
    let answer = ProviderAnswer::parse(text.into()).unwrap();
    assert_eq!(answer.model.as_deref(), Some("gpt-5"));
    assert_eq!(answer.error, Some(("cut".to_owned(), "gone".to_owned())));
    let flex = Usage { service_tier: ServiceTier::Flex, ..Usage::new(3, 1) };
    assert_eq!(answer.usage, Some(flex));
    for text in ["hello", "data: [DONE]\n\n", "event: ping\n\n", "data: {\n\n", "\n\n", "[[1], 2"] {
        assert_eq!(Usage::from_json(text), None, "{text}");
    }
}

#[test]
fn a_stream_nested_without_end_is_read_without_recursion() {
    let deep = format!("{}1{}", "{\"usage\":".repeat(100_000), "}".repeat(100_000));
    let chunk = format!("{{\"eval_count\":1,\"prompt_eval_count\":2,\"x\":{deep}}}");
    let text = format!("data: {chunk}\n\ndata: {chunk}\n\n");
    assert_eq!(Usage::from_json(&text), Some(Usage::new(2, 1)));
    let lists = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(Usage::from_json(&lists), None);
}

#[test]
fn half_a_usage_stays_half_and_has_no_cost() {
    let cases = [
        json!({"type": "message_delta", "usage": {"output_tokens": 40}}),
        json!({"usage": {"input_tokens": null, "output_tokens": 40}}),
        json!({"usage": {"completion_tokens": 40}}),
        json!({"usage": {"outputTokens": 40, "cacheReadInputTokens": 3}}),
        json!({"usageMetadata": {"candidatesTokenCount": 40}}),
        json!({"model": "m", "eval_count": 40}),
        json!({"gen_ai.usage.output_tokens": 40}),
    ];
    for answer in cases {
        let usage = Usage::from_answer(&answer).unwrap();
        assert_eq!(usage.tokens_input(), None, "{answer}");
        assert_eq!((usage.tokens_output(), usage.is_partial()), (Some(40), true), "{answer}");
        assert_eq!(crate::calculate_cost("gpt-4o", usage), None, "{answer}");
    }
    let start =
        "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":8}}}\n\n";
    let usage = Usage::from_json(start).unwrap();
    assert_eq!((usage.tokens_input(), usage.tokens_output()), (Some(8), None));
    let by_sum = [
        json!({"usage": {"completion_tokens": 40, "total_tokens": 100}}),
        json!({"usage": {"prompt_tokens": 60, "total_tokens": 100}}),
        json!({"usageMetadata": {"candidatesTokenCount": 40, "totalTokenCount": 100}}),
    ];
    for answer in by_sum {
        assert_read(&answer, Usage::new(60, 40));
    }
}

#[test]
fn numbers_are_read_as_text_and_refused_if_absurd() {
    let texts = [
        json!({"usage": {"prompt_tokens": "40", "completion_tokens": " 7 ", "total_tokens": "47"}}),
        json!({"usage": {"input_tokens": "40.0", "output_tokens": 7}}),
        json!({"usage": {"inputTokens": "40", "outputTokens": "7"}}),
        json!({"usageMetadata": {"promptTokenCount": "40", "candidatesTokenCount": "7"}}),
    ];
    for answer in texts {
        assert_read(&answer, Usage::new(40, 7));
    }
    let most = object::TOKENS_MAX;
    assert_read(&json!({"prompt_tokens": most, "completion_tokens": 1}), Usage::new(most, 1));
    let absurd = [
        json!({"prompt_tokens": most + 1, "completion_tokens": 1}),
        json!({"prompt_tokens": 1, "completion_tokens": "9000000000000"}),
        json!({"input_tokens": 1, "output_tokens": 1, "cache_read_input_tokens": 1e15}),
        json!({"input_tokens": most, "output_tokens": 1, "cache_read_input_tokens": most}),
        json!({"inputTokens": u64::MAX, "outputTokens": 1, "totalTokens": 3}),
        json!({"candidatesTokenCount": 1, "promptTokenCount": 1e18}),
        json!({"gen_ai.usage.input_tokens": u64::MAX, "gen_ai.usage.output_tokens": 2}),
        json!({"billed_units": {"input_tokens": 1e13, "output_tokens": 2}}),
        json!({"prompt_eval_count": 1e13, "eval_count": 2}),
    ];
    for answer in absurd {
        assert_eq!(Usage::from_answer(&json!({"usage": answer})), None, "{answer}");
    }
}

#[test]
fn of_two_namings_the_one_that_counts_is_read() {
    let cases = [
        json!({"prompt_tokens": 40, "completion_tokens": 7, "input_tokens": 0, "output_tokens": 0}),
        json!({"prompt_tokens": 0, "completion_tokens": 0, "input_tokens": 40, "output_tokens": 7}),
        json!({"prompt_tokens": 40, "completion_tokens": 7, "input_tokens": 40, "output_tokens": 7,
            "total_tokens": 47}),
        json!({"prompt_tokens": null, "input_tokens": 40, "completion_tokens": 0,
            "output_tokens": 7}),
    ];
    for answer in cases {
        assert_read(&json!({"usage": answer}), Usage::new(40, 7));
    }
    let choice = json!({"choices": [{"delta": {}}, {"finish_reason": "stop", "usage":
        {"prompt_tokens": 40, "completion_tokens": 7}}], "usage": null});
    assert_read(&choice, Usage::new(40, 7));
}

#[test]
fn reasoning_of_deep_research_is_beside_the_output() {
    let answer = |reasoning: u64| {
        json!({"model": "sonar-deep-research", "usage": {"prompt_tokens": 20,
            "completion_tokens": 500, "total_tokens": 520, "citation_tokens": 3000,
            "num_search_queries": 9, "reasoning_tokens": reasoning}})
    };
    assert_read(&answer(40_000), usage(20, 40_500, &[("reasoning", 40_000)]));
    assert_read(&answer(300), usage(20, 800, &[("reasoning", 300)]));
}

#[test]
fn a_modifier_without_a_known_price_means_no_cost() {
    let whole = |more: Value| {
        let mut usage = json!({"input_tokens": 1000, "output_tokens": 10,
            "cache_read_input_tokens": 0});
        usage.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"model": "claude-opus-4-6", "usage": usage})
    };
    let priced = [
        json!({}),
        json!({"speed": "standard", "inference_geo": "global", "service_tier": "standard"}),
        json!({"speed": null, "inference_geo": "not_available"}),
    ];
    for more in priced {
        let usage = Usage::from_answer(&whole(more.clone())).unwrap();
        let cost = crate::calculate_cost("claude-opus-4-6", usage);
        assert_eq!(cost, "0.00525".parse().ok(), "{more}");
    }
    let unpriced = [
        (json!({"speed": "fast"}), "speed"),
        (json!({"inference_geo": "us"}), "inference_geo"),
        (json!({"service_tier": "scale"}), "service_tier"),
    ];
    for (more, modifier) in unpriced {
        let usage = Usage::from_answer(&whole(more)).unwrap();
        assert_eq!(serde_json::to_value(usage).unwrap(), json!({"modifier": modifier}));
        assert_eq!(crate::calculate_cost("claude-opus-4-6", usage), None, "{modifier}");
    }
    let vertex = json!({"usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 1,
        "trafficType": "PROVISIONED_THROUGHPUT"}});
    let usage = Usage::from_answer(&vertex).unwrap();
    assert_eq!(crate::calculate_cost("gemini-2.5-pro", usage), None);
}
