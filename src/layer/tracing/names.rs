//! The names of the fields that the layer reads. Those of tokens are in the table of attributes.

use tracing_core::Metadata;

pub(super) use crate::pricing::attributes::{
    AUDIO_CACHE_READ, AUDIO_INPUT, AUDIO_OUTPUT, CACHE_READ, CACHE_WRITE, INPUT, OUTPUT, REASONING,
    SERVICE_TIER, TOTAL,
};

pub(super) const OPERATION: &[&str] = &["gen_ai.operation.name"];
pub(super) const AGENT: &[&str] = &["gen_ai.agent.name"];
pub(super) const CONVERSATION: &[&str] = &["gen_ai.conversation.id"];
pub(super) const USER: &[&str] = &["user.id", "enduser.id"];
pub(super) const TENANT: &[&str] = &["tenant.id", "tenant"];
pub(super) const PROVIDER: &[&str] = &["gen_ai.provider.name", "gen_ai.system"];
pub(super) const REQUEST_MODEL: &[&str] = &["gen_ai.request.model"];
pub(super) const RESPONSE_MODEL: &[&str] = &["gen_ai.response.model"];
pub(super) const RESPONSE_ID: &[&str] = &["gen_ai.response.id"];
pub(super) const FINISH_REASONS: &[&str] = &["gen_ai.response.finish_reasons"];
pub(super) const TOOL: &[&str] = &["gen_ai.tool.name"];
pub(super) const TOOL_TYPE: &[&str] = &["gen_ai.tool.type"];
pub(super) const CALL_ID: &[&str] = &["gen_ai.tool.call.id"];
/// Only rig writes it: `success`, `error`, `denied` or `skipped`.
pub(super) const OUTCOME: &[&str] = &["gen_ai.tool.call.outcome"];
pub(super) const STATUS: &[&str] = &["otel.status_code"];
/// Only rig writes `gen_ai.tool.error.type`.
pub(super) const ERROR_TYPE: &[&str] = &["error.type", "gen_ai.tool.error.type", "exception.type"];
pub(super) const ERROR_MESSAGE: &[&str] = &[
    "otel.status_description",
    "otel.status_message",
    "error.message",
    "exception.message",
    "error",
];
/// The text of a log event, and of an error in it, beside [`ERROR_MESSAGE`]. rig says why a call was
/// denied in `reason`.
pub(super) const LOG_MESSAGE: &[&str] = &["message"];
pub(super) const LOG_ERROR: &[&str] = &["err", REASON];
pub(super) const REASON: &str = "reason";
/// What the span of an HTTP client says of the answer.
pub(super) const HTTP_STATUS: &[&str] = &["http.response.status_code", "http.status_code"];
pub(super) const PROMPT: &[&str] = &["gen_ai.input.messages", "gen_ai.prompt"];
pub(super) const COMPLETION: &[&str] = &["gen_ai.output.messages", "gen_ai.completion"];
pub(super) const INSTRUCTIONS: &[&str] = &["gen_ai.system_instructions"];
pub(super) const ARGUMENTS: &[&str] = &["gen_ai.tool.call.arguments"];
pub(super) const RESULT: &[&str] = &["gen_ai.tool.call.result"];

/// The fields that are kept if content is captured.
pub(super) const CONTENT: &[&[&str]] = &[PROMPT, COMPLETION, INSTRUCTIONS, ARGUMENTS, RESULT];
/// The fields that are always kept.
pub(super) const KEPT: &[&[&str]] = &[
    OPERATION,
    AGENT,
    CONVERSATION,
    USER,
    TENANT,
    PROVIDER,
    REQUEST_MODEL,
    RESPONSE_MODEL,
    RESPONSE_ID,
    FINISH_REASONS,
    TOOL,
    TOOL_TYPE,
    CALL_ID,
    OUTCOME,
    STATUS,
    ERROR_TYPE,
    ERROR_MESSAGE,
    HTTP_STATUS,
    INPUT,
    OUTPUT,
    CACHE_READ,
    CACHE_WRITE,
    REASONING,
    AUDIO_INPUT,
    AUDIO_CACHE_READ,
    AUDIO_OUTPUT,
    TOTAL,
    SERVICE_TIER,
];
/// The fields of a log event that are kept to explain a failure.
pub(super) const REASONS: &[&[&str]] = &[LOG_MESSAGE, LOG_ERROR];
/// The fields that the answer of a model fills in, and for rig the result of a tool.
pub(super) const ANSWER: &[&[&str]] =
    &[RESPONSE_MODEL, RESPONSE_ID, FINISH_REASONS, INPUT, OUTPUT, COMPLETION, OUTCOME];
/// The fields that make a span an operation, which is recorded.
///
/// Other spans only give the operations below them an agent, a conversation, a user or a tenant.
pub(super) const OPERATIONS: &[&[&str]] =
    &[OPERATION, REQUEST_MODEL, RESPONSE_MODEL, TOOL, INPUT, OUTPUT];

pub(super) fn is_among_field_names(names: &[&[&str]], name: &str) -> bool {
    names.iter().any(|names| names.contains(&name))
}

pub(super) fn is_operation_field(name: &str) -> bool {
    is_among_field_names(OPERATIONS, name)
}

/// Reports whether a span with this field expects an answer.
///
/// The result of a tool is a content, which many instrumentations leave out.
pub(super) fn is_answer_field(name: &str) -> bool {
    is_among_field_names(ANSWER, name)
}

/// Reports whether a span with a value for this field has an answer.
pub(super) fn answers(name: &str) -> bool {
    is_answer_field(name) || RESULT.contains(&name)
}

pub(super) fn is_error_field(name: &str) -> bool {
    is_among_field_names(&[ERROR_TYPE, ERROR_MESSAGE], name)
}

pub(super) fn metadata_has_field(metadata: &Metadata<'_>, is_meant: impl Fn(&str) -> bool) -> bool {
    metadata.fields().iter().any(|field| is_meant(field.name()))
}

/// Reports whether the span may say why a call failed, as that of reqwest-tracing.
pub(super) fn is_client_span(metadata: &Metadata<'_>) -> bool {
    metadata_has_field(metadata, |name| HTTP_STATUS.contains(&name))
}

/// Reports whether the values of the span are kept for itself or for the operations below it.
pub(super) fn is_kept_span(metadata: &Metadata<'_>) -> bool {
    metadata_has_field(metadata, |name| {
        name.starts_with("gen_ai.") || is_among_field_names(&[USER, TENANT], name)
    })
}

pub(super) fn has_gen_ai_fields(metadata: &Metadata<'_>) -> bool {
    metadata_has_field(metadata, |name| name.starts_with("gen_ai."))
}
