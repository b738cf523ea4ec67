//! Streams of each provider, read chunk by chunk: first token, finish reasons, end, usage and error.

use llm_audit_log::json::JsonObject;
use serde_json::{Map, Value, json};

use super::super::stream::{merge_usage_members, usage_members};
use super::forms::usage;
use crate::pricing::{ProviderAnswer, Usage};

/// Reads the chunks one by one; returns the answer, and how many chunks it took to the first token
/// and to the end.
fn read_chunks(chunks: &[Value]) -> (ProviderAnswer, Option<usize>, Option<usize>) {
    let mut answer = ProviderAnswer::streamed();
    let (mut first, mut end) = (None, None);
    for (count, chunk) in (1..).zip(chunks) {
        answer.read_chunk_text(&mut chunk.to_string().into_bytes());
        first = first.or(answer.progress.has_content.then_some(count));
        end = end.or(answer.progress.has_ended().then_some(count));
    }
    answer.finish();
    (answer, first, end)
}

struct Case {
    chunks: Vec<Value>,
    usage: Usage,
    reasons: &'static [&'static str],
    /// The number of chunks up to the first token, and up to the end.
    first: usize,
    end: usize,
}

fn openai() -> Case {
    let chunk = |choices: Value, usage: Value| json!({"object": "chat.completion.chunk", "model": "gpt-4o", "choices": choices, "usage": usage});
    let choice =
        |delta: Value, reason: Value| json!({"index": 0, "delta": delta, "finish_reason": reason});
    let one = |delta, reason| chunk(json!([choice(delta, reason)]), Value::Null);
    Case {
        chunks: vec![
            one(json!({"role": "assistant", "content": "", "refusal": null}), Value::Null),
            one(json!({"content": "Hel"}), Value::Null),
            one(json!({"content": "lo"}), Value::Null),
            one(json!({}), json!("stop")),
            chunk(
                json!([]),
                json!({"prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29,
                "prompt_tokens_details": {"cached_tokens": 5}}),
            ),
            json!("[DONE]"),
        ],
        usage: usage(20, 9, &[("cache_read", 5)]),
        reasons: &["stop"],
        first: 2,
        end: 4,
    }
}

fn openai_tool_call() -> Case {
    let chunk = |delta: Value, reason: Value| json!({"model": "mistral-large-latest", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
    let call = |function: Value| json!({"tool_calls": [{"index": 0, "function": function}]});
    let mut last = chunk(call(json!({"arguments": "{}"})), json!("tool_calls"));
    last["usage"] = json!({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10});
    Case {
        chunks: vec![
            chunk(json!({"role": "assistant", "content": null, "tool_calls": []}), Value::Null),
            chunk(call(json!({"name": "lookup", "arguments": ""})), Value::Null),
            last,
        ],
        usage: Usage::new(7, 3),
        reasons: &["tool_calls"],
        first: 2,
        end: 3,
    }
}

fn openai_two_choices() -> Case {
    let chunk = |index: u64, delta: Value, reason: Value| json!({"choices": [{"index": index, "delta": delta, "finish_reason": reason}]});
    Case {
        chunks: vec![
            chunk(1, json!({"reasoning_content": "hm"}), Value::Null),
            chunk(0, json!({"content": "a"}), Value::Null),
            chunk(1, json!({}), json!("length")),
            chunk(0, json!({}), json!("stop")),
            // Some providers repeat the last choice beside the usage.
            json!({"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": null}],
                "usage": {"prompt_tokens": 4, "completion_tokens": 2}}),
        ],
        usage: Usage::new(4, 2),
        reasons: &["stop", "length"],
        first: 1,
        end: 4,
    }
}

fn responses() -> Case {
    let event = |name: &str, members: Value| {
        let mut event = members;
        event["type"] = json!(name);
        event
    };
    let response = |status: &str, usage: Value| json!({"response": {"object": "response", "model": "gpt-5", "status": status, "output": [], "usage": usage}});
    let message = json!({"output_index": 0, "item": {"type": "message", "id": "m", "role": "assistant", "status": "in_progress", "content": []}});
    let mut cut = response(
        "incomplete",
        json!({"input_tokens": 30, "output_tokens": 12,
        "output_tokens_details": {"reasoning_tokens": 4}}),
    );
    cut["response"]["incomplete_details"] = json!({"reason": "max_output_tokens"});
    Case {
        chunks: vec![
            event("response.created", response("in_progress", Value::Null)),
            event("response.in_progress", response("in_progress", Value::Null)),
            event("response.output_item.added", message),
            event("response.output_text.delta", json!({"output_index": 0, "delta": "Hel"})),
            event("response.output_text.done", json!({"text": "Hel"})),
            event("response.incomplete", cut),
        ],
        usage: usage(30, 12, &[("reasoning", 4)]),
        reasons: &["max_output_tokens"],
        first: 4,
        end: 6,
    }
}

fn anthropic() -> Case {
    let start = json!({"type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": [],
        "stop_reason": null, "usage": {"input_tokens": 25, "output_tokens": 1, "cache_read_input_tokens": 7}});
    Case {
        chunks: vec![
            json!({"type": "message_start", "message": start}),
            json!({"type": "content_block_start", "index": 0,
                "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
            json!({"type": "ping"}),
            json!({"type": "content_block_delta", "index": 0,
                "delta": {"type": "thinking_delta", "thinking": "hm"}}),
            json!({"type": "content_block_delta", "index": 0,
                "delta": {"type": "signature_delta", "signature": "abc"}}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
                "usage": {"output_tokens": 15}}),
            json!({"type": "message_stop"}),
        ],
        usage: usage(32, 15, &[("cache_read", 7)]),
        reasons: &["end_turn"],
        first: 4,
        end: 8,
    }
}

fn gemini() -> Case {
    let chunk = |parts: Value, output: u64| {
        json!({"modelVersion": "gemini-2.5-pro",
        "candidates": [{"index": 0, "content": {"role": "model", "parts": parts}}],
        "usageMetadata": {"promptTokenCount": 40, "candidatesTokenCount": output,
            "totalTokenCount": 40 + output}})
    };
    let mut last = chunk(json!([{"text": "", "thoughtSignature": "x"}]), 9);
    last["candidates"][0]["finishReason"] = json!("STOP");
    Case {
        chunks: vec![
            chunk(json!([{"functionCall": {"name": "lookup", "args": {}}}]), 2),
            chunk(json!([{"text": "lo"}]), 6),
            last,
        ],
        usage: Usage::new(40, 9),
        reasons: &["STOP"],
        first: 1,
        end: 3,
    }
}

fn bedrock() -> Case {
    let text = |text: &str| json!({"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": text}}});
    Case {
        chunks: vec![
            json!({"messageStart": {"role": "assistant"}}),
            text(""),
            text("Hello"),
            json!({"contentBlockStop": {"contentBlockIndex": 0}}),
            json!({"messageStop": {"stopReason": "end_turn"}}),
            json!({"metadata": {"metrics": {"latencyMs": 9}, "usage": {"inputTokens": 10,
                "outputTokens": 4, "totalTokens": 20, "cacheReadInputTokens": 6}}}),
        ],
        usage: usage(16, 4, &[("cache_read", 6)]),
        reasons: &["end_turn"],
        first: 3,
        end: 5,
    }
}

fn cohere() -> Case {
    let content = |text: &str| json!({"message": {"content": {"type": "text", "text": text}}});
    Case {
        chunks: vec![
            json!({"type": "message-start", "id": "x", "delta": {"message": {"role": "assistant",
                "content": [], "tool_plan": "", "tool_calls": [], "citations": []}}}),
            json!({"type": "content-start", "index": 0, "delta": content("")}),
            json!({"type": "content-delta", "index": 0, "delta": content("Hi")}),
            json!({"type": "content-end", "index": 0}),
            json!({"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage":
                {"billed_units": {"input_tokens": 3, "output_tokens": 2},
                 "tokens": {"input_tokens": 70, "output_tokens": 4}}}}),
        ],
        usage: Usage::new(3, 2),
        reasons: &["COMPLETE"],
        first: 3,
        end: 5,
    }
}

fn ollama() -> Case {
    Case {
        chunks: vec![
            json!({"model": "llama3.2", "message": {"role": "assistant", "content": ""}, "done": false}),
            json!({"model": "llama3.2", "message": {"role": "assistant", "content": "a"}, "done": false}),
            json!({"model": "llama3.2", "message": {"role": "assistant", "content": ""}, "done": true,
                "done_reason": "length", "prompt_eval_count": 12, "eval_count": 4}),
        ],
        usage: Usage::new(12, 4),
        reasons: &["length"],
        first: 2,
        end: 3,
    }
}

#[test]
fn a_stream_is_read_to_its_end_as_its_provider_means_it() {
    let cases = [
        openai(),
        openai_tool_call(),
        openai_two_choices(),
        responses(),
        anthropic(),
        gemini(),
        bedrock(),
        cohere(),
        ollama(),
    ];
    for Case { chunks, usage, reasons, first, end } in cases {
        let about = &chunks[0];
        let (answer, found_first, found_end) = read_chunks(&chunks);
        assert_eq!(answer.usage, Some(usage), "{about}");
        assert_eq!(answer.progress.finish_reasons(), reasons, "{about}");
        assert_eq!((found_first, found_end), (Some(first), Some(end)), "{about}");
        assert_eq!(answer.error, None, "{about}");
        assert!(answer.progress.has_known_end, "{about}");

        // The same as texts: the data of each event, and whole events.
        let texts: Vec<Value> = chunks.iter().map(|chunk| json!(text_of(chunk))).collect();
        let event = |chunk| json!(format!("event: e\r\ndata: {}\r\n\r\n", text_of(chunk)));
        let events: Vec<Value> = chunks.iter().map(event).collect();
        for chunks in [texts, events] {
            let (of_text, text_first, text_end) = read_chunks(&chunks);
            assert_eq!(of_text.usage, answer.usage, "{about}");
            assert_eq!((text_first, text_end), (found_first, found_end), "{about}");
        }
    }
}

fn text_of(chunk: &Value) -> String {
    chunk.as_str().map_or_else(|| chunk.to_string(), str::to_owned)
}

#[test]
fn a_marker_alone_ends_a_stream() {
    let (answer, first, end) = read_chunks(&[json!({"choices": []}), json!("[DONE]")]);
    assert_eq!((first, end, answer.usage), (None, Some(2), None));
    let blocked = json!({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata":
        {"promptTokenCount": 9, "totalTokenCount": 9}});
    let (answer, first, end) = read_chunks(&[blocked]);
    assert_eq!((first, end, answer.usage), (None, Some(1), Some(Usage::new(9, 0))));
    assert_eq!(answer.progress.finish_reasons(), ["SAFETY"]);
}

#[test]
fn a_chunk_that_is_an_error_is_one() {
    let cases = [
        (json!({"throttlingException": {"message": "slow"}}), ("throttlingException", "slow")),
        (
            json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}),
            ("overloaded_error", "busy"),
        ),
        (
            json!({"type": "response.failed", "response": {"status": "failed", "error":
                {"code": "server_error", "message": "sorry"}}}),
            ("server_error", "sorry"),
        ),
        (
            json!({"error": {"code": 502, "message": "gone"}, "choices": [{"index": 0,
            "delta": {"content": ""}, "finish_reason": "error"}]}),
            ("502", "gone"),
        ),
    ];
    for (chunk, (error_type, message)) in cases {
        let mut chunks = openai().chunks;
        chunks.insert(2, chunk.clone());
        let (answer, ..) = read_chunks(&chunks);
        assert_eq!(answer.error, Some((error_type.to_owned(), message.to_owned())), "{chunk}");
    }
}

#[test]
fn what_the_caller_wrote_into_the_request_is_not_of_the_answer() {
    let metadata = json!({"error": "retry of form 7, Ana Lopez", "type": "error", "model": "mine",
        "usage": {"input_tokens": 1, "output_tokens": 1}});
    let mut case = responses();
    for chunk in &mut case.chunks {
        chunk["response"]["metadata"] = metadata.clone();
    }
    let (answer, ..) = read_chunks(&case.chunks);
    assert_eq!((answer.error, answer.usage), (None, Some(case.usage)));
    for container in ["metadata", "kwargs", "response_metadata", "llmOutput", "attributes", "info"]
    {
        let (answer, ..) = read_chunks(&[json!({"object": "response", container: metadata})]);
        assert_eq!(answer.error, None, "{container}");
    }
    let (answer, ..) = read_chunks(&[json!({"object": "response", "metadata": metadata})]);
    assert_eq!((answer.model, answer.usage), (None, None));
    let mut bedrock = bedrock();
    bedrock.chunks[5]["metadata"]["error"] = json!("x");
    let (answer, ..) = read_chunks(&bedrock.chunks);
    assert_eq!((answer.error, answer.usage), (None, Some(bedrock.usage)));
}

#[test]
fn claude_on_bedrock_keeps_the_lifetimes_of_its_cache_writes() {
    let metrics = json!({"inputTokenCount": 10, "outputTokenCount": 15, "cacheReadInputTokenCount": 7,
        "cacheWriteInputTokenCount": 50});
    let start = json!({"model": "claude-sonnet-4-5", "usage": {"input_tokens": 10, "output_tokens": 1,
        "cache_read_input_tokens": 7, "cache_creation_input_tokens": 50,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 50}}});
    let chunks = [
        json!({"type": "message_start", "message": start}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 15}}),
        json!({"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics}),
    ];
    let expected = usage(67, 15, &[("cache_read", 7), ("cache_write_1h", 50)]);
    assert_eq!(read_chunks(&chunks).0.usage, Some(expected));
    // Without Anthropic's counts, the metrics are what there is.
    let expected = usage(67, 15, &[("cache_read", 7), ("cache_write", 50)]);
    assert_eq!(read_chunks(&chunks[2..]).0.usage, Some(expected));
}

#[test]
fn a_usage_with_very_many_members_is_kept_in_part() {
    let mut merged = Map::new();
    for chunk in 0..8 {
        let members = (0..100).map(|at| format!("\"{chunk}-{at}\":{{\"{chunk}\":1}}"));
        let mut text = format!("{{{}}}", members.collect::<Vec<_>>().join(",")).into_bytes();
        let usage = JsonObject::parse(&mut text, "usage").unwrap();
        merge_usage_members(&mut merged, usage_members(usage.json()));
    }
    assert_eq!(merged.len(), 256);
}

#[test]
fn what_is_not_of_a_known_provider_has_no_known_end() {
    for chunk in [json!("Hello"), json!({"text": "Hello"}), json!([1]), json!(null), json!("{")] {
        let (answer, _, end) = read_chunks(&[chunk.clone(), chunk]);
        assert!(!answer.progress.has_known_end && end.is_none());
    }
}

/// Answers that users reported. `tests/usage.rs` reads them whole.
#[test]
fn a_stream_read_by_chunks_has_the_usage_of_the_whole() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/cases/usage-cases.jsonl");
    let mut streams = 0;
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let whole = ProviderAnswer::from_serialized(&case["answer"]);
        let chunks = match &case["answer"] {
            Value::Array(chunks) => chunks.clone(),
            Value::String(text) => text.split_inclusive("\n\n").map(Value::from).collect(),
            _ => continue,
        };
        let (answer, ..) = read_chunks(&chunks);
        assert_eq!(answer.usage, whole.and_then(|whole| whole.usage), "{case}");
        streams += 1;
    }
    assert!(streams >= 15, "{streams} streams");
}
