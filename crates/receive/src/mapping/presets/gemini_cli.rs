//! Gemini CLI, as its page on telemetry and its source have it.
//!
//! A call of a model is a log record of its own, a log record of the GenAI conventions, a span and metrics.

use super::super::draft::Draft;
use super::super::table::{Row, To, row};
use super::{EventShape, Preset, Signal, event, gen_ai, open_inference};

pub(super) static PRESET: Preset = Preset {
    prefix: "gemini_cli.",
    rows: &[ROWS, gen_ai::ROWS, open_inference::ROWS, gen_ai::FRAMEWORKS, gen_ai::COMMON],
    events: &[
        event("api_response", "llm.invoke", "llm.error"),
        event("api_error", "llm.error", "llm.error"),
        event("tool_call", "tool.result", "tool.error"),
        event("agent.finish", "agent.invoke", "agent.invoke"),
        event("model_routing", "agent.route", "agent.route"),
        event("flash_fallback", "agent.fallback", "agent.fallback"),
        event("chat.content_retry", "agent.retry", "agent.retry"),
        event("network_retry_attempt", "agent.retry", "agent.retry"),
    ],
    shape,
};

static ROWS: &[Row] = &[
    row(&["session.id"], To::Data("conversation")),
    row(&["prompt_id"], To::Data("prompt_id")),
    row(&["installation.id"], To::Data("user")),
    row(&["agent_name"], To::Agent),
    row(&["model", "model_name"], To::RequestModel),
    row(&["input_token_count"], To::Tokens("promptTokenCount")),
    row(&["output_token_count"], To::Tokens("candidatesTokenCount")),
    row(&["cached_content_token_count"], To::Tokens("cachedContentTokenCount")),
    row(&["thoughts_token_count"], To::Tokens("thoughtsTokenCount")),
    row(&["tool_token_count"], To::Tokens("toolUsePromptTokenCount")),
    row(&["total_token_count"], To::Tokens("totalTokenCount")),
    row(&["duration_ms", "duration", "routing_latency_ms"], To::LatencyMs),
    row(&["finish_reasons"], To::Data("finish_reasons")),
    row(&["status_code"], To::Number("http.status_code")),
    row(&["success"], To::Success),
    row(&["error.type", "error_type"], To::ErrorType),
    row(&["error.message", "error", "error_message"], To::ErrorMessage),
    row(&["function_name"], To::Tool),
    row(&["tool_type"], To::Data("tool_type")),
    row(&["decision"], To::Data("decision")),
    row(&["decision_model"], To::Data("route")),
    row(&["decision_source", "reason"], To::Data("reason")),
    row(&["attempt_number", "attempt"], To::Number("attempt")),
    row(&["reasoning"], To::Content("explanation")),
    row(&["function_args"], To::Content("arguments")),
    row(&["prompt", "request_text"], To::Content("prompt")),
    row(&["response_text"], To::Content("completion")),
];

fn shape(preset: &Preset, draft: &mut Draft, signal: Signal, name: &str) -> EventShape {
    match (signal, draft.operation.as_deref()) {
        (Signal::Log, _) => preset.log_shape(draft, name),
        (Signal::Span, Some("agent_call")) => EventShape::new("agent.invoke", "agent_call"),
        // Its operations are not those of the conventions, and its log records count the calls.
        (Signal::Span, Some(operation)) => {
            EventShape::new(format!("gen_ai.{operation}"), operation.to_owned())
        }
        (Signal::Span, None) => gen_ai::span_shape(draft, name, false),
    }
}
