//! The names of the fields that the layer reads, grouped. Most are in the table of the schema.

use tracing_core::Metadata;

pub(super) use llm_audit_log::schema::gen_ai::{
    AGENT, ARGUMENTS, AUDIO_CACHE_READ, AUDIO_INPUT, AUDIO_OUTPUT, CACHE_READ, CACHE_WRITE,
    CALL_ID, COMPLETION, CONVERSATION, EVALUATION, EVALUATION_LABEL, EVALUATION_SCORE, EXPLANATION,
    FINISH_REASONS, INPUT, INSTRUCTIONS, OPERATION, OUTPUT, PROMPT, PROVIDER, REASONING,
    REQUEST_MODEL, RESPONSE_ID, RESPONSE_MODEL, RESULT, SERVICE_TIER, TENANT, TOOL, TOOL_TYPE,
    TOTAL, USER,
};

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
/// The fields that are kept if content is captured.
pub(super) const CONTENT: &[&[&str]] =
    &[PROMPT, COMPLETION, INSTRUCTIONS, ARGUMENTS, RESULT, EXPLANATION];
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
    EVALUATION,
    EVALUATION_SCORE,
    EVALUATION_LABEL,
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

/// Reports whether an event is an evaluation, which judges the operation around it and says nothing else about it.
pub(super) fn is_evaluation(metadata: &Metadata<'_>) -> bool {
    metadata_has_field(metadata, |name| EVALUATION.contains(&name))
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
        name.starts_with("gen_ai.") || is_among_field_names(&[USER, TENANT, CONVERSATION], name)
    })
}

pub(super) fn has_gen_ai_fields(metadata: &Metadata<'_>) -> bool {
    metadata_has_field(metadata, |name| name.starts_with("gen_ai."))
}
