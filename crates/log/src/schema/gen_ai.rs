//! Names of OpenTelemetry's GenAI conventions, of all versions, and the events that operations become.

#![allow(missing_docs, reason = "each constant says what it names")]

use std::borrow::Cow;

/// One field, under all of its names.
pub type AttributeNames = &'static [&'static str];

// The first name is that of GenAI 0.1.0. Then come the names of version 1.41, those from before
// 1.36, and those of instrumentations.
pub const INPUT: AttributeNames = &[
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.usage.prompt_tokens",
    "llm.token_count.prompt",
];
pub const OUTPUT: AttributeNames = &[
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.usage.completion_tokens",
    "llm.token_count.completion",
];
pub const CACHE_READ: AttributeNames = &[
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.input_tokens.cached",
    "gen_ai.usage.cached_input_tokens",
    "gen_ai.usage.cached_tokens",
    "llm.usage.cache_read_input_tokens",
    "llm.token_count.prompt_details.cache_read",
];
pub const CACHE_WRITE: AttributeNames = &[
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.cache_write_input_tokens",
    "gen_ai.usage.input_tokens.cache_write",
    "llm.usage.cache_creation_input_tokens",
    "llm.token_count.prompt_details.cache_write",
];
/// rig writes `gen_ai.usage.reasoning_tokens`.
pub const REASONING: AttributeNames = &[
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.output_tokens.reasoning",
    "llm.usage.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
];
pub const AUDIO_INPUT: AttributeNames = &[
    "gen_ai.usage.audio.input_tokens",
    "gen_ai.usage.input_audio_tokens",
    "llm.token_count.prompt_details.audio",
];
pub const AUDIO_CACHE_READ: AttributeNames = &["gen_ai.usage.audio.cache_read.input_tokens"];
pub const AUDIO_OUTPUT: AttributeNames = &[
    "gen_ai.usage.audio.output_tokens",
    "gen_ai.usage.output_audio_tokens",
    "llm.token_count.completion_details.audio",
];
pub const TOTAL: AttributeNames =
    &["gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total"];
pub const SERVICE_TIER: AttributeNames =
    &["openai.response.service_tier", "gen_ai.openai.response.service_tier"];

pub const OPERATION: AttributeNames = &["gen_ai.operation.name"];
pub const AGENT: AttributeNames = &["gen_ai.agent.name"];
pub const CONVERSATION: AttributeNames = &["gen_ai.conversation.id", "session.id"];
pub const USER: AttributeNames = &["user.id", "enduser.id"];
pub const TENANT: AttributeNames = &["tenant.id", "tenant"];
pub const PROVIDER: AttributeNames = &["gen_ai.provider.name", "gen_ai.system"];
pub const REQUEST_MODEL: AttributeNames = &["gen_ai.request.model"];
pub const RESPONSE_MODEL: AttributeNames = &["gen_ai.response.model"];
pub const RESPONSE_ID: AttributeNames = &["gen_ai.response.id"];
pub const FINISH_REASONS: AttributeNames = &["gen_ai.response.finish_reasons"];
pub const TOOL: AttributeNames = &["gen_ai.tool.name"];
pub const TOOL_TYPE: AttributeNames = &["gen_ai.tool.type"];
pub const CALL_ID: AttributeNames = &["gen_ai.tool.call.id"];
pub const PROMPT: AttributeNames = &["gen_ai.input.messages", "gen_ai.prompt"];
pub const COMPLETION: AttributeNames = &["gen_ai.output.messages", "gen_ai.completion"];
pub const INSTRUCTIONS: AttributeNames = &["gen_ai.system_instructions"];
pub const ARGUMENTS: AttributeNames = &["gen_ai.tool.call.arguments"];
pub const RESULT: AttributeNames = &["gen_ai.tool.call.result"];

/// The event that is an `eval.result`, and its attributes.
pub const EVALUATION_EVENT: &str = "gen_ai.evaluation.result";
pub const EVALUATION: AttributeNames = &["gen_ai.evaluation.name"];
pub const EVALUATION_SCORE: AttributeNames = &["gen_ai.evaluation.score.value"];
pub const EVALUATION_LABEL: AttributeNames = &["gen_ai.evaluation.score.label"];
pub const EXPLANATION: AttributeNames = &["gen_ai.evaluation.explanation"];

/// The kind of an operation of the conventions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperationKind<'a> {
    /// A call of a model.
    Model,
    /// A run of a tool.
    Tool,
    /// Another operation, with the type of its event.
    Other(Cow<'a, str>),
}

impl<'a> OperationKind<'a> {
    /// Returns the kind of an operation of this name. If the name is not one of the conventions, a model decides.
    pub fn of_name(operation: &'a str, has_model: bool) -> Self {
        let other = |name| Self::Other(Cow::Borrowed(name));
        match operation {
            "execute_tool" => Self::Tool,
            "chat" | "text_completion" | "generate_content" | "embeddings" => Self::Model,
            "invoke_agent" => other("agent.invoke"),
            "create_agent" => other("agent.create"),
            "plan" => other("agent.plan"),
            "invoke_workflow" => other("workflow.invoke"),
            // These may name a model, but do not call it.
            "retrieval" => other("gen_ai.retrieval"),
            memory if memory.contains("_memory") => Self::Other(format!("gen_ai.{memory}").into()),
            _ if has_model => Self::Model,
            unknown => Self::Other(format!("gen_ai.{unknown}").into()),
        }
    }
}
