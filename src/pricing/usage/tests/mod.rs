mod forms;
mod streams;

use serde_json::json;

use super::*;

/// The counts: input, output, cache_read, cache_write, cache_write_1h, reasoning, audio_input,
/// audio_output.
type Counts = [u64; 8];

fn counts(usage: Usage) -> Counts {
    [
        usage.input,
        usage.output,
        usage.cache_read,
        usage.cache_write,
        usage.cache_write_1h,
        usage.reasoning,
        usage.audio_input,
        usage.audio_output,
    ]
}

/// One case for every way to count twice.
const COUNTED_ONCE: [(&str, &str, Counts); 31] = [
    (
        "OpenAI: cached tokens and reasoning are inside",
        r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
            "prompt_tokens_details":{"cached_tokens":64,"audio_tokens":0},
            "completion_tokens_details":{"reasoning_tokens":32,"audio_tokens":0}}"#,
        [100, 50, 64, 0, 0, 32, 0, 0],
    ),
    (
        "OpenAI responses, and what was written to the cache",
        r#"{"input_tokens":142,"input_tokens_details":{"cache_write_tokens":27,"cached_tokens":5},
            "output_tokens":33,"output_tokens_details":{"reasoning_tokens":11},"total_tokens":175}"#,
        [142, 33, 5, 27, 0, 11, 0, 0],
    ),
    (
        "OpenAI audio",
        r#"{"prompt_tokens":64,"completion_tokens":9,"total_tokens":73,
            "prompt_tokens_details":{"audio_tokens":44,"text_tokens":20},
            "completion_tokens_details":{"audio_tokens":7,"text_tokens":2}}"#,
        [64, 9, 0, 0, 0, 0, 44, 7],
    ),
    ("embeddings", r#"{"prompt_tokens":4,"total_tokens":4}"#, [4, 0, 0, 0, 0, 0, 0, 0]),
    ("a sum alone", r#"{"total_tokens":3}"#, [3, 0, 0, 0, 0, 0, 0, 0]),
    (
        "the input from the sum",
        r#"{"completion_tokens":3,"total_tokens":10}"#,
        [7, 3, 0, 0, 0, 0, 0, 0],
    ),
    (
        "Anthropic: cached tokens are outside, in two lifetimes",
        r#"{"input_tokens":3,"output_tokens":44,"cache_read_input_tokens":9511,
            "cache_creation_input_tokens":1956,
            "cache_creation":{"ephemeral_1h_input_tokens":1000,"ephemeral_5m_input_tokens":956}}"#,
        [11470, 44, 9511, 956, 1000, 0, 0, 0],
    ),
    (
        "Anthropic without lifetimes",
        r#"{"input_tokens":3,"output_tokens":4,"cache_creation_input_tokens":7}"#,
        [10, 4, 0, 7, 0, 0, 0, 0],
    ),
    (
        "Anthropic with lifetimes alone",
        r#"{"input_tokens":3,"output_tokens":4,
            "cache_creation":{"ephemeral_1h_input_tokens":2,"ephemeral_5m_input_tokens":5}}"#,
        [10, 4, 0, 5, 2, 0, 0, 0],
    ),
    (
        "Anthropic: thinking is inside",
        r#"{"input_tokens":51,"output_tokens":161,"cache_read_input_tokens":0,
            "output_tokens_details":{"thinking_tokens":104}}"#,
        [51, 161, 0, 0, 0, 104, 0, 0],
    ),
    (
        "Anthropic: a compaction is outside, an advisor is another model's",
        r#"{"input_tokens":229,"output_tokens":5,"cache_read_input_tokens":0,"iterations":[
            {"type":"compaction","input_tokens":100,"output_tokens":131,
             "cache_creation_input_tokens":55096,
             "cache_creation":{"ephemeral_5m_input_tokens":55096}},
            {"type":"advisor_message","model":"m","input_tokens":2518,"output_tokens":22},
            {"type":"message","input_tokens":229,"output_tokens":5}]}"#,
        [55425, 136, 0, 55096, 0, 0, 0, 0],
    ),
    (
        "Bedrock: cached tokens are outside",
        r#"{"inputTokens":22,"outputTokens":13,"cacheReadInputTokens":5,
            "cacheReadInputTokenCount":5,"cacheWriteInputTokens":2492,
            "cacheWriteInputTokenCount":2492,"totalTokens":2532}"#,
        [2519, 13, 5, 2492, 0, 0, 0, 0],
    ),
    (
        "Bedrock: two lifetimes",
        r#"{"inputTokens":1,"outputTokens":2,"cacheWriteInputTokens":100,
            "cacheDetails":[{"ttl":"1h","inputTokens":60},{"ttl":"5m","inputTokens":40}]}"#,
        [101, 2, 0, 40, 60, 0, 0, 0],
    ),
    (
        "Gemini: thoughts and tools are outside, cached content inside",
        r#"{"promptTokenCount":373,"cachedContentTokenCount":204,"candidatesTokenCount":89,
            "thoughtsTokenCount":167,"toolUsePromptTokenCount":10,"totalTokenCount":639}"#,
        [383, 256, 204, 0, 0, 167, 0, 0],
    ),
    (
        "Gemini audio",
        r#"{"promptTokenCount":1030,"candidatesTokenCount":132,"promptTokensDetails":[
            {"modality":"VIDEO","tokenCount":640},{"modality":"TEXT","tokenCount":140},
            {"modality":"AUDIO","tokenCount":250}],
            "candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":100}]}"#,
        [1030, 132, 0, 0, 0, 0, 250, 100],
    ),
    (
        "Gemini in snake case",
        r#"{"prompt_token_count":7,"candidates_token_count":2,"thoughts_token_count":3}"#,
        [7, 5, 0, 0, 0, 3, 0, 0],
    ),
    ("Gemini: the sum alone", r#"{"totalTokenCount":7}"#, [7, 0, 0, 0, 0, 0, 0, 0]),
    (
        "Gemini with OpenAI's names: thoughts show only in the sum",
        r#"{"prompt_tokens":35,"completion_tokens":12,"total_tokens":109}"#,
        [35, 74, 0, 0, 0, 62, 0, 0],
    ),
    (
        "xAI: reasoning is outside",
        r#"{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,
            "completion_tokens_details":{"reasoning_tokens":94}}"#,
        [32, 103, 0, 0, 0, 94, 0, 0],
    ),
    (
        "reasoning larger than the output it should be in",
        r#"{"prompt_tokens":32,"completion_tokens":9,
            "completion_tokens_details":{"reasoning_tokens":94}}"#,
        [32, 103, 0, 0, 0, 94, 0, 0],
    ),
    (
        "cached tokens larger than the input they should be in",
        r#"{"prompt_tokens":4,"completion_tokens":9,"cache_read_input_tokens":8845,
            "cache_creation_input_tokens":6}"#,
        [8855, 9, 8845, 6, 0, 0, 0, 0],
    ),
    (
        "read and written at once: by the sum both are inside, so they are the same",
        r#"{"prompt_tokens":2168,"completion_tokens":100,"total_tokens":2268,
            "prompt_tokens_details":{"cache_write_tokens":2161,"cached_tokens":2161}}"#,
        [2168, 100, 2161, 7, 0, 0, 0, 0],
    ),
    (
        "cached tokens that the sum has and the input has not",
        r#"{"prompt_tokens":10,"completion_tokens":9,"total_tokens":24,
            "prompt_tokens_details":{"cached_tokens":5}}"#,
        [15, 9, 5, 0, 0, 0, 0, 0],
    ),
    (
        "DeepSeek writes it twice",
        r#"{"prompt_tokens":563,"completion_tokens":116,"total_tokens":679,
            "prompt_cache_hit_tokens":512,"prompt_cache_miss_tokens":51,
            "prompt_tokens_details":{"cached_tokens":512}}"#,
        [563, 116, 512, 0, 0, 0, 0, 0],
    ),
    (
        "Mistral",
        r#"{"prompt_tokens":979,"completion_tokens":152,"num_cached_tokens":32,"total_tokens":1131}"#,
        [979, 152, 32, 0, 0, 0, 0, 0],
    ),
    (
        "Cohere: what is billed",
        r#"{"billed_units":{"input_tokens":2406,"output_tokens":2},"cached_tokens":2928,
            "tokens":{"input_tokens":2935,"output_tokens":4}}"#,
        [2406, 2, 2406, 0, 0, 0, 0, 0],
    ),
    (
        "realtime: cached sound is both",
        r#"{"total_tokens":253,"input_tokens":132,"output_tokens":121,
            "input_token_details":{"text_tokens":100,"audio_tokens":32,"cached_tokens":64,
              "cached_tokens_details":{"text_tokens":40,"audio_tokens":24}},
            "output_token_details":{"text_tokens":30,"audio_tokens":91}}"#,
        [132, 121, 64, 0, 0, 0, 32, 91],
    ),
    (
        "Ollama",
        r#"{"model":"m","prompt_eval_count":26,"eval_count":298}"#,
        [26, 298, 0, 0, 0, 0, 0, 0],
    ),
    (
        "null and wrong details are not parts",
        r#"{"prompt_tokens":448,"completion_tokens":38,"total_tokens":486,
            "prompt_tokens_details":null,
            "completion_tokens_details":{"reasoning_tokens":"many","audio_tokens":-3}}"#,
        [448, 38, 0, 0, 0, 0, 0, 0],
    ),
    (
        "whole numbers written as fractions",
        r#"{"prompt_tokens":12.0,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":1.5}}"#,
        [12, 5, 0, 0, 0, 0, 0, 0],
    ),
    ("zero", r#"{"input_tokens":0,"output_tokens":0}"#, [0; 8]),
];

#[test]
fn everything_is_counted_once() {
    for (what, json, expected) in COUNTED_ONCE {
        let usage = Usage::from_json(json).unwrap_or_else(|| panic!("{what}: no usage"));
        assert_eq!(counts(usage), expected, "{what}");
        let answer: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(Usage::from_answer(&answer), Some(usage), "{what}");
        assert_eq!(usage.with_fitted_parts(), usage, "{what}: parts are inside");
    }
}

#[test]
fn cached_sound_is_told_or_follows() {
    let told = r#"{"input_tokens":132,"output_tokens":1,"input_token_details":{"audio_tokens":32,
        "cached_tokens":64,"cached_tokens_details":{"audio_tokens":24}}}"#;
    assert_eq!(Usage::from_json(told).unwrap().audio_cache_read, 24);
    let gemini = r#"{"promptTokenCount":100,"cachedContentTokenCount":50,
        "promptTokensDetails":[{"modality":"AUDIO","tokenCount":60}],
        "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":30}]}"#;
    assert_eq!(Usage::from_json(gemini).unwrap().audio_cache_read, 30);
    let follows = Usage { audio_input: 60, cache_read: 50, ..Usage::new(100, 0) };
    assert_eq!(follows.with_fitted_parts().audio_cache_read, 10, "110 of 100 are 10 twice");
}

#[test]
fn no_usage_is_none() {
    let cases = [
        "",
        "{}",
        "[]",
        "7",
        "null",
        "{",
        "{\"usage\":null}",
        "{\"usage\":{}}",
        "{\"usage\":[1,2]}",
        r#"{"usage":{"trafficType":"ON_DEMAND"}}"#,
        r#"{"trafficType":"ON_DEMAND"}"#,
        r#"{"prompt_tokens":"twelve","completion_tokens":5}"#,
        r#"{"prompt_tokens":"-12","completion_tokens":5}"#,
        r#"{"prompt_tokens":"","completion_tokens":5}"#,
        r#"{"prompt_tokens":"inf","completion_tokens":5}"#,
        r#"{"input_tokens":-1,"output_tokens":5}"#,
        r#"{"input_tokens":1.5,"output_tokens":5}"#,
        r#"{"promptTokenCount":[],"candidatesTokenCount":5}"#,
        r#"{"billed_units":{"search_units":1}}"#,
        // The answer to counting a prompt.
        r#"{"input_tokens":2095}"#,
        r#"{"object":"response.input_tokens","input_tokens":11}"#,
        r#"{"usage":{"prompt_tokens":11,"completion_tokens":null}}"#,
        r#"{"id":"x","choices":[{"delta":{"content":"usage"}}],"usage":null}"#,
    ];
    for case in cases {
        assert_eq!(Usage::from_json(case), None, "{case}");
    }
    let deep = format!("{}{}", r#"{"usage":"#.repeat(200_000), "}".repeat(200_000));
    assert_eq!(Usage::from_json(&deep), None);
}

#[test]
fn found_in_whole_answers_and_in_chunks() {
    let usage = json!({"input_tokens": 10, "output_tokens": 2});
    let chat = json!({"prompt_tokens": 10, "completion_tokens": 2});
    let answers = [
        json!({"id": "a", "object": "chat.completion", "usage": chat}),
        json!({"object": "chat.completion.chunk", "choices": [], "usage": chat}),
        json!({"type": "response.completed", "response": {"id": "r", "usage": usage}}),
        json!({"type": "response.done", "response": {"usage": usage}}),
        json!({"type": "message_start", "message": {"usage": usage}}),
        json!(json!({"usage": chat}).to_string()),
        json!({"type": "message_delta", "delta": {"stop_reason": "end"}, "usage": usage}),
        json!({"metadata": {"usage": {"inputTokens": 10, "outputTokens": 2}}}),
        json!({"type": "message-end", "delta": {"usage": {"tokens": usage}}}),
        json!({"text": "x", "meta": {"billed_units": usage}}),
        json!({"x_groq": {"usage": chat}}),
        json!({"candidates": [], "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 2}}),
        json!({"response": {"usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 2}}}),
        json!({"response": {"status_code": 200, "body": {"usage": chat}}}),
        json!({"result": {"type": "succeeded", "message": {"usage": usage}}}),
        json!({"amazon-bedrock-invocationMetrics": {"inputTokenCount": 10, "outputTokenCount": 2}}),
    ];
    for answer in answers {
        assert_eq!(Usage::from_answer(&answer), Some(Usage::new(10, 2)), "{answer}");
    }
}

#[test]
fn the_tier_and_the_model_come_from_the_answer() {
    let usage = json!({"input_tokens": 1, "output_tokens": 1});
    let cases = [
        (json!({"usage": usage, "service_tier": "default"}), ServiceTier::Standard),
        (json!({"usage": usage, "service_tier": "flex"}), ServiceTier::Flex),
        (json!({"usage": usage, "service_tier": "priority"}), ServiceTier::Priority),
        (json!({"usage": usage, "service_tier": null}), ServiceTier::Standard),
        (json!({"usage": usage, "serviceTier": {"type": "priority"}}), ServiceTier::Priority),
        (json!({"response": {"usage": usage}, "service_tier": "batch"}), ServiceTier::Batch),
        (
            json!({"usage": {"output_tokens": 1, "service_tier": "batch"}, "service_tier": "flex"}),
            ServiceTier::Batch,
        ),
        (json!({"promptTokenCount": 1, "trafficType": "ON_DEMAND_FLEX"}), ServiceTier::Flex),
        (
            json!({"promptTokenCount": 1, "trafficType": "ON_DEMAND_PRIORITY"}),
            ServiceTier::Priority,
        ),
        (
            json!({"promptTokenCount": 1, "trafficType": "PROVISIONED_THROUGHPUT"}),
            ServiceTier::Standard,
        ),
    ];
    for (answer, expected) in cases {
        let usage = Usage::from_answer(&answer).unwrap();
        assert_eq!(usage.service_tier, expected, "{answer}");
    }
    let models = [
        (json!({"model": "gpt-4o", "usage": {}}), Some("gpt-4o")),
        (json!({"modelVersion": "gemini-2.5-pro"}), Some("gemini-2.5-pro")),
        (json!({"type": "message_start", "message": {"model": "claude"}}), Some("claude")),
        (json!({"model": 7}), None),
    ];
    for (answer, expected) in models {
        assert_eq!(
            ProviderAnswer::from_serialized(&answer).unwrap().model.as_deref(),
            expected,
            "{answer}"
        );
    }
}

#[test]
fn serializes_to_its_parts() {
    let usage = Usage { cache_read: 3, service_tier: ServiceTier::Flex, ..Usage::new(10, 2) };
    assert_eq!(serde_json::to_string(&usage).unwrap(), r#"{"cache_read":3,"service_tier":"flex"}"#);
    assert_eq!(serde_json::to_string(&Usage::new(1, 1)).unwrap(), "{}");
    assert!(usage.has_parts() && !Usage::new(1, 1).has_parts());
}

#[test]
fn any_usage_fits_into_itself() {
    let mut rng = fastrand::Rng::with_seed(3);
    for round in 0..100_000 {
        let mut n = || match rng.u8(..4) {
            0 => 0,
            1 => rng.u64(..100),
            2 => rng.u64(..),
            _ => u64::MAX,
        };
        let usage = Usage {
            cache_read: n(),
            cache_write: n(),
            cache_write_1h: n(),
            reasoning: n(),
            audio_input: n(),
            audio_cache_read: n(),
            audio_output: n(),
            ..Usage::new(n(), n())
        };
        let fitted = usage.with_fitted_parts();
        let wide = |n: u64| u128::from(n);
        let fresh_audio = fitted.audio_input - fitted.audio_cache_read;
        let cached =
            wide(fitted.cache_read) + wide(fitted.cache_write) + wide(fitted.cache_write_1h);
        assert!(cached + wide(fresh_audio) <= wide(fitted.input), "{round}: {usage:?}");
        assert!(fitted.audio_cache_read <= fitted.cache_read);
        assert!(wide(fitted.reasoning) + wide(fitted.audio_output) <= wide(fitted.output));
        assert_eq!(fitted.with_fitted_parts(), fitted);
        assert_eq!((fitted.input, fitted.output), (usage.input, usage.output));
    }
}

#[test]
fn mangled_answers_are_read_whole_or_not_at_all() {
    const BYTES: &[u8] = b"{}[]\":,0123456789eE.-nulltruefalse\\ ";
    let mut rng = fastrand::Rng::with_seed(13);
    let mut read = 0;
    for (what, json, _) in COUNTED_ONCE {
        for _ in 0..500 {
            let mut bytes = json.as_bytes().to_vec();
            for _ in 0..rng.usize(1..4) {
                let at = rng.usize(..bytes.len());
                bytes[at] = BYTES[rng.usize(..BYTES.len())];
            }
            let text = String::from_utf8(bytes).unwrap();
            if let Some(usage) = Usage::from_json(&text) {
                read += 1;
                assert_eq!(usage.with_fitted_parts(), usage, "{what}: {text}");
            }
        }
    }
    assert!(read > 1_000, "{read} were still an answer");
}
