//! Instrumentations of OpenTelemetry's GenAI conventions, of every generation, and all other programs.

use llm_audit_log::is_event_type_name;
use llm_audit_log::schema::EventType;
use llm_audit_log::schema::gen_ai::{
    AGENT, ARGUMENTS, AUDIO_CACHE_READ, AUDIO_INPUT, AUDIO_OUTPUT, CACHE_READ, CACHE_WRITE,
    CALL_ID, CONVERSATION, EVALUATION, EVALUATION_EVENT, EVALUATION_LABEL, EVALUATION_SCORE,
    EXPLANATION, FINISH_REASONS, INPUT, INSTRUCTIONS, OUTPUT, OperationKind, PROVIDER, REASONING,
    RESPONSE_ID, RESULT, SERVICE_TIER, TENANT, TOOL_TYPE, TOTAL, USER,
};
use llm_audit_log::schema::notices::is_own_type_name;
use serde_json::Value;

use super::super::draft::Draft;
use super::super::table::{Row, To, row};
use super::{EventShape, Preset, Signal, open_inference};

pub(super) static PRESET: Preset = Preset {
    prefix: "",
    rows: &[ROWS, open_inference::ROWS, FRAMEWORKS, COMMON],
    events: &[],
    shape,
};

pub(super) static ROWS: &[Row] = &[
    row(
        &[
            "gen_ai.operation.name",
            "openinference.span.kind",
            "traceloop.span.kind",
            "llm.request.type",
        ],
        To::Operation,
    ),
    row(AGENT, To::Agent),
    row(CONVERSATION, To::Data("conversation")),
    row(PROVIDER, To::Data("provider")),
    row(&["llm.vendor"], To::Data("provider")),
    row(&["gen_ai.request.model", "llm.request.model"], To::RequestModel),
    row(&["gen_ai.response.model", "llm.response.model"], To::ResponseModel),
    row(RESPONSE_ID, To::Data("response_id")),
    row(FINISH_REASONS, To::Data("finish_reasons")),
    row(&["gen_ai.tool.name", "tool.name"], To::Tool),
    row(TOOL_TYPE, To::Data("tool_type")),
    row(CALL_ID, To::Data("call_id")),
    row(&["gen_ai.tool.call_id"], To::Data("call_id")),
    row(INPUT, To::Tokens(INPUT[0])),
    row(OUTPUT, To::Tokens(OUTPUT[0])),
    row(CACHE_READ, To::Tokens(CACHE_READ[0])),
    row(CACHE_WRITE, To::Tokens(CACHE_WRITE[0])),
    row(REASONING, To::Tokens(REASONING[0])),
    row(AUDIO_INPUT, To::Tokens(AUDIO_INPUT[0])),
    row(AUDIO_CACHE_READ, To::Tokens(AUDIO_CACHE_READ[0])),
    row(AUDIO_OUTPUT, To::Tokens(AUDIO_OUTPUT[0])),
    row(TOTAL, To::Tokens(TOTAL[0])),
    row(SERVICE_TIER, To::Tokens(SERVICE_TIER[0])),
    row(&["gen_ai.usage.cost"], To::Cost),
    row(&["gen_ai.input.messages", "gen_ai.prompt"], To::Content("prompt")),
    row(&["traceloop.entity.input"], To::Content("prompt")),
    row(&["gen_ai.output.messages", "gen_ai.completion"], To::Content("completion")),
    row(&["traceloop.entity.output"], To::Content("completion")),
    row(INSTRUCTIONS, To::Content("system_instructions")),
    row(ARGUMENTS, To::Content("arguments")),
    row(RESULT, To::Content("result")),
    row(&["gen_ai.retrieval.documents"], To::Content("documents")),
    row(&["gen_ai.retrieval.query.text"], To::Content("prompt")),
    row(&["traceloop.entity.name"], To::Data("entity")),
    row(&["traceloop.workflow.name"], To::Data("workflow")),
    row(&["traceloop.association.properties.session_id"], To::Data("conversation")),
    row(&["traceloop.association.properties.user_id"], To::Data("user")),
    row(EVALUATION, To::Data("name")),
    row(EVALUATION_SCORE, To::Number("score")),
    row(EVALUATION_LABEL, To::Data("label")),
    row(EXPLANATION, To::Content("explanation")),
];

/// Contents that frameworks send under names of their own: the AI SDK of Vercel, Pydantic AI and Logfire, Google's ADK,
/// Langfuse, MLflow, Haystack. No other table would keep them out of the log.
pub(super) static FRAMEWORKS: &[Row] = &[
    row(
        &[
            "ai.prompt.messages",
            "ai.prompt",
            "ai.value",
            "ai.values",
            "gen_ai.content.prompt",
            "gen_ai.prompts",
            "gen_ai.request.messages",
            "llm.input_messages",
            "llm.prompts",
            "pydantic_ai.all_messages",
            "all_messages_events",
            "gcp.vertex.agent.llm_request",
            "langfuse.observation.input",
            "langfuse.trace.input",
            "mlflow.spanInputs",
            "haystack.component.input",
            "agent_messages",
            "request_data",
            "embedding.text",
            "input",
        ],
        To::Content("prompt"),
    ),
    row(
        &[
            "ai.response.text",
            "ai.response.object",
            "ai.response.toolCalls",
            "ai.response.reasoning",
            "ai.result.text",
            "gen_ai.response.reasoning",
            "gen_ai.content.completion",
            "llm.function_call",
            "llm.output_messages",
            "final_result",
            "gcp.vertex.agent.llm_response",
            "langfuse.observation.output",
            "langfuse.trace.output",
            "mlflow.spanOutputs",
            "haystack.component.output",
            "response_data",
            "output",
        ],
        To::Content("completion"),
    ),
    row(&["ai.operationId"], To::Operation),
    row(&["ai.telemetry.functionId"], To::Agent),
    row(&["ai.telemetry.metadata.sessionId"], To::Data("conversation")),
    row(&["ai.telemetry.metadata.userId"], To::Data("user")),
    row(&["ai.telemetry.metadata.tenantId"], To::Data("tenant")),
    row(&["ai.response.msToFirstChunk"], To::Number("first_token_ms")),
    row(&["gen_ai.client.operation.time_to_first_chunk"], To::Seconds("first_token_ms")),
    row(&["ai.usage.inputTokens"], To::Tokens(INPUT[0])),
    row(&["ai.usage.outputTokens"], To::Tokens(OUTPUT[0])),
    // Not `ai.usage.cachedInputTokens`: in version 5 the input of some providers does not contain them.
    row(&["ai.usage.inputTokenDetails.cacheReadTokens"], To::Tokens(CACHE_READ[0])),
    row(&["ai.usage.inputTokenDetails.cacheWriteTokens"], To::Tokens(CACHE_WRITE[0])),
    row(&["ai.usage.outputTokenDetails.reasoningTokens"], To::Tokens(REASONING[0])),
    row(&["ai.toolCall.name"], To::Tool),
    row(&["ai.toolCall.id"], To::Data("call_id")),
    row(
        &[
            "ai.toolCall.args",
            "tool_arguments",
            "tool_input",
            "gen_ai.tool.input",
            "gcp.vertex.agent.tool_call_args",
        ],
        To::Content("arguments"),
    ),
    row(
        &[
            "ai.toolCall.result",
            "tool_response",
            "tool_output",
            "tool.output",
            "tool.result",
            "gen_ai.tool.output",
            "gcp.vertex.agent.tool_response",
        ],
        To::Content("result"),
    ),
    row(&["retrieval.documents"], To::Content("documents")),
    row(&["traceloop.prompt.template"], To::Content("template")),
    row(&["gen_ai.event.content", "message.content", "document.content"], To::Content("body")),
];

/// What judgements have under the names of the log.
pub(in crate::mapping) static JUDGEMENTS: &[Row] = &[
    row(&["name"], To::Data("name")),
    row(&["score"], To::Number("score")),
    row(&["label"], To::Data("label")),
    row(&["explanation"], To::Content("explanation")),
    row(&["thumb"], To::Data("thumb")),
    row(&["comment"], To::Content("comment")),
];

/// What any program may send.
pub(super) static COMMON: &[Row] = &[
    row(&["event.name"], To::EventType),
    row(&["event.sequence"], To::Sequence),
    row(&["event.timestamp"], To::Time),
    row(USER, To::Data("user")),
    row(TENANT, To::Data("tenant")),
    row(&["error.type", "exception.type"], To::ErrorType),
    row(&["error.message", "exception.message"], To::ErrorMessage),
    row(&["exception.stacktrace"], To::Traceback),
    row(&["http.request.method", "http.method"], To::Data("http.method")),
    row(&["http.route"], To::Data("http.route")),
    row(&["http.response.status_code", "http.status_code"], To::Number("http.status_code")),
    row(&["url.full", "http.url", "http.target"], To::Url),
    row(&["url.query", "url.fragment"], To::Query),
];

fn shape(_: &Preset, draft: &mut Draft, signal: Signal, name: &str) -> EventShape {
    match signal {
        Signal::Span => span_shape(draft, name, true),
        Signal::Log => log_shape(draft, name, !draft.is_in_span),
    }
}

/// Returns the shape of a span: that of its operation, or `span.end`.
pub(super) fn span_shape(draft: &mut Draft, name: &str, owns_tokens: bool) -> EventShape {
    draft.operation = draft.operation.take().map(operation_of);
    let Some(kind) = kind_of(draft) else { return EventShape::new("span.end", name) };
    let action = draft.operation.clone().unwrap_or_else(|| name.to_owned());
    match kind {
        OperationKind::Tool => tool_shape(draft, name),
        OperationKind::Model if owns_tokens => model_shape(draft, action).owning_tokens(),
        OperationKind::Model => EventShape::new(format!("gen_ai.{action}"), action),
        OperationKind::Other(event_type) => EventShape::new(event_type, action),
    }
}

fn kind_of(draft: &Draft) -> Option<OperationKind<'static>> {
    let kind = draft.operation.as_deref().map(|operation| {
        match OperationKind::of_name(operation, draft.has_model()) {
            OperationKind::Model => OperationKind::Model,
            OperationKind::Tool => OperationKind::Tool,
            OperationKind::Other(name) => OperationKind::Other(name.into_owned().into()),
        }
    });
    let is_call = draft.has_model() || !draft.tokens.is_empty();
    kind.or_else(|| draft.tool.as_ref().map(|_| OperationKind::Tool))
        .or(is_call.then_some(OperationKind::Model))
}

fn model_shape(draft: &Draft, action: String) -> EventShape {
    EventShape::new(if draft.has_failed() { "llm.error" } else { "llm.invoke" }, action)
}

/// What goes into a tool is its arguments, and what comes out is its result.
fn tool_shape(draft: &mut Draft, name: &str) -> EventShape {
    for (other, own) in [("prompt", "arguments"), ("completion", "result")] {
        if let Some(value) = draft.data.remove(other) {
            draft.data.entry(own).or_insert(value);
        }
    }
    let entity = || draft.data.get("entity")?.as_str().map(str::to_owned);
    let tool = draft.tool.clone().or_else(entity).unwrap_or_else(|| name.to_owned());
    draft.tool = Some(tool.clone());
    EventShape::new(if draft.has_failed() { "tool.error" } else { "tool.result" }, tool)
}

/// Returns an operation under its name in the conventions. OpenInference, OpenLLMetry and the AI SDK have others.
fn operation_of(name: String) -> String {
    let known = match &*name.to_ascii_lowercase() {
        "llm" => "chat",
        "ai.generatetext.dogenerate" | "ai.streamtext.dostream" => "chat",
        "ai.generateobject.dogenerate" | "ai.streamobject.dostream" => "chat",
        "completion" => "text_completion",
        "embedding" | "ai.embed.doembed" | "ai.embedmany.doembed" => "embeddings",
        "tool" | "ai.toolcall" => "execute_tool",
        "ai.generatetext" | "ai.streamtext" => "invoke_agent",
        "ai.generateobject" | "ai.streamobject" => "invoke_agent",
        "agent" => "invoke_agent",
        "workflow" => "invoke_workflow",
        "retriever" => "retrieval",
        kind @ ("chain" | "task" | "reranker" | "guardrail" | "evaluator" | "prompt") => {
            return kind.to_owned();
        }
        _ => return name,
    };
    known.to_owned()
}

/// Returns the shape of a log record: a judgement, a model call or what its name says. Only if it belongs to no span are
/// its tokens the event's.
pub(super) fn log_shape(draft: &mut Draft, name: &str, owns_tokens: bool) -> EventShape {
    if let Some(judgement) = judgement_of(name) {
        return judgement_shape(draft, judgement, name);
    }
    let is_call = owns_tokens && name.starts_with("gen_ai.") && !draft.tokens.is_empty();
    if is_call {
        return span_shape(draft, name, true);
    }
    named_shape(name)
}

/// Returns the type of a judgement, which the conventions and the log have names for.
pub(in crate::mapping) fn judgement_of(name: &str) -> Option<EventType<'_>> {
    let event_type = match name {
        EVALUATION_EVENT => EventType::EvalResult,
        name => EventType::from_name(name),
    };
    event_type.is_judgement().then_some(event_type)
}

fn judgement_shape(draft: &Draft, judgement: EventType<'_>, name: &str) -> EventShape {
    let action = match judgement {
        EventType::FeedbackGiven => "feedback",
        _ => draft.data.get("name").and_then(Value::as_str).unwrap_or(name),
    };
    EventShape::new(judgement.name().to_owned(), action)
}

/// Returns the shape of a log record whose name is its type, if it can be one.
fn named_shape(name: &str) -> EventShape {
    let is_type = name.contains('.') && is_event_type_name(name);
    match is_type || is_own_type_name(name) {
        true => EventShape::new(name.to_owned(), name),
        false => EventShape::new("log.line", name),
    }
}
