//! Claude Code, as its page on monitoring and version 2.1 have it.
//!
//! A call of a model is a log record, a span and two metrics.

use super::super::draft::Draft;
use super::super::table::{Row, To, row};
use super::{EventShape, Preset, Signal, event, gen_ai, open_inference};

pub(super) static PRESET: Preset = Preset {
    prefix: "claude_code.",
    rows: &[ROWS, gen_ai::ROWS, open_inference::ROWS, gen_ai::FRAMEWORKS, gen_ai::COMMON],
    events: &[
        event("api_request", "llm.invoke", "llm.error"),
        event("api_error", "llm.error", "llm.error"),
        event("tool_result", "tool.result", "tool.error"),
        event("tool_decision", "agent.decision", "agent.decision"),
    ],
    shape,
};

static ROWS: &[Row] = &[
    row(&["session.id"], To::Data("conversation")),
    row(&["prompt.id"], To::Data("prompt_id")),
    row(&["user.id"], To::Data("user")),
    row(&["organization.id"], To::Data("tenant")),
    row(&["model"], To::RequestModel),
    row(&["input_tokens"], To::Tokens("input_tokens")),
    row(&["output_tokens"], To::Tokens("output_tokens")),
    row(&["cache_read_tokens"], To::Tokens("cache_read_input_tokens")),
    row(&["cache_creation_tokens"], To::Tokens("cache_creation_input_tokens")),
    row(&["cost_usd"], To::Cost),
    row(&["duration_ms", "interaction.duration_ms"], To::LatencyMs),
    row(&["ttft_ms"], To::Number("first_token_ms")),
    row(&["request_id"], To::Data("response_id")),
    row(&["attempt"], To::Number("attempt")),
    row(&["status_code"], To::Number("http.status_code")),
    row(&["success"], To::Success),
    row(&["error_type"], To::ErrorType),
    row(&["error"], To::ErrorMessage),
    row(&["tool_name"], To::Tool),
    row(&["tool_use_id"], To::Data("call_id")),
    row(&["decision"], To::Data("decision")),
    row(&["source", "decision_source"], To::Data("reason")),
    row(&["tool_input", "tool_parameters"], To::Content("arguments")),
    row(&["full_command", "bash_command"], To::Content("command")),
    row(&["file_path"], To::Content("file")),
    row(&["prompt", "user_prompt", "new_context"], To::Content("prompt")),
    row(&["response", "response.model_output"], To::Content("completion")),
    row(&["system_prompt_preview", "system_prompt"], To::Content("system_instructions")),
    row(&["body"], To::Content("body")),
];

fn shape(preset: &Preset, draft: &mut Draft, signal: Signal, name: &str) -> EventShape {
    let short = name.strip_prefix(preset.prefix);
    match (signal, short) {
        (Signal::Log, _) => preset.log_shape(draft, name),
        (Signal::Span, None) => gen_ai::span_shape(draft, name, false),
        (Signal::Span, Some("interaction")) => EventShape::new("agent.invoke", "interaction"),
        (Signal::Span, Some(short)) => {
            let action = draft.tool.clone().unwrap_or_else(|| short.to_owned());
            EventShape::new(name.to_owned(), action)
        }
    }
}
