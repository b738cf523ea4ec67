//! Codex, as the crate `codex-otel` of openai/codex has it.
//!
//! Numbers are texts. The name of the record is a place in the source, so `event.name` counts.

use super::super::draft::Draft;
use super::super::table::{Row, To, row};
use super::{EventShape, Preset, Signal, event, gen_ai, open_inference};

pub(super) static PRESET: Preset = Preset {
    prefix: "codex.",
    rows: &[ROWS, gen_ai::ROWS, open_inference::ROWS, gen_ai::FRAMEWORKS, gen_ai::COMMON],
    events: &[
        event("api_request", "api.call", "llm.error"),
        event("websocket_request", "api.call", "llm.error"),
        event("tool_result", "tool.result", "tool.error"),
        event("tool_decision", "agent.decision", "agent.decision"),
    ],
    shape,
};

static ROWS: &[Row] = &[
    row(&["conversation.id"], To::Data("conversation")),
    row(&["user.account_id"], To::Data("user")),
    row(&["model"], To::RequestModel),
    row(&["provider_name"], To::Data("provider")),
    row(&["input_token_count"], To::Tokens("input_tokens")),
    row(&["output_token_count"], To::Tokens("output_tokens")),
    row(&["cached_token_count"], To::Tokens("cached_input_tokens")),
    row(&["reasoning_token_count"], To::Tokens("reasoning_output_tokens")),
    row(&["duration_ms"], To::LatencyMs),
    row(&["attempt"], To::Number("attempt")),
    row(&["success"], To::Success),
    row(&["event.kind"], To::Data("kind")),
    row(&["tool_name"], To::Tool),
    row(&["call_id"], To::Data("call_id")),
    row(&["decision"], To::Data("decision")),
    row(&["source"], To::Data("reason")),
    row(&["arguments"], To::Content("arguments")),
    row(&["output"], To::Content("result")),
    row(&["prompt"], To::Content("prompt")),
];

fn shape(preset: &Preset, draft: &mut Draft, signal: Signal, name: &str) -> EventShape {
    let is_stream = matches!(name, "codex.sse_event" | "codex.websocket_event");
    match signal {
        // Functions of its own code, hundreds in each turn. Several of them name the model or the tool of one call.
        Signal::Span => EventShape::new("span.end", name),
        Signal::Log if is_stream => stream_shape(preset, draft, name),
        Signal::Log => preset.log_shape(draft, name),
    }
}

/// The end of an answer is told twice. The one with the tokens is the call.
fn stream_shape(preset: &Preset, draft: &mut Draft, name: &str) -> EventShape {
    let kind = draft.data.get("kind").and_then(|kind| kind.as_str());
    let ends_call = matches!(kind, None | Some("response.failed" | "response.completed"));
    // Nothing but the message tells it.
    if draft.error_message.as_deref().is_some_and(|message| message.starts_with("idle timeout")) {
        draft.error_type = Some("timeout".to_owned());
    }
    match (draft.has_failed() && ends_call, draft.tokens.is_empty()) {
        (true, _) => EventShape::new("llm.error", "response").owning_tokens(),
        (false, false) => EventShape::new("llm.invoke", "response").owning_tokens(),
        (false, true) => preset.log_shape(draft, name),
    }
}
