//! The attributes of OpenTelemetry that hold tokens, under the names of all its versions.

use llm_audit_log::json::Json;

use super::Usage;
use super::counts::ProviderCounts;
use super::object::UsageObject;

/// One count, under all of its names.
pub(crate) type AttributeNames = &'static [&'static str];

// The first name is that of GenAI 0.1.0. Then come the names of version 1.41, those from before
// 1.36, and those of instrumentations.
pub(crate) const INPUT: AttributeNames = &[
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.usage.prompt_tokens",
    "llm.token_count.prompt",
];
pub(crate) const OUTPUT: AttributeNames = &[
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.usage.completion_tokens",
    "llm.token_count.completion",
];
pub(crate) const CACHE_READ: AttributeNames = &[
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.input_tokens.cached",
    "gen_ai.usage.cached_input_tokens",
    "gen_ai.usage.cached_tokens",
    "llm.usage.cache_read_input_tokens",
    "llm.token_count.prompt_details.cache_read",
];
pub(crate) const CACHE_WRITE: AttributeNames = &[
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.cache_write_input_tokens",
    "gen_ai.usage.input_tokens.cache_write",
    "llm.usage.cache_creation_input_tokens",
    "llm.token_count.prompt_details.cache_write",
];
/// rig writes `gen_ai.usage.reasoning_tokens`.
pub(crate) const REASONING: AttributeNames = &[
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.output_tokens.reasoning",
    "llm.usage.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
];
pub(crate) const AUDIO_INPUT: AttributeNames = &[
    "gen_ai.usage.audio.input_tokens",
    "gen_ai.usage.input_audio_tokens",
    "llm.token_count.prompt_details.audio",
];
pub(crate) const AUDIO_CACHE_READ: AttributeNames = &["gen_ai.usage.audio.cache_read.input_tokens"];
pub(crate) const AUDIO_OUTPUT: AttributeNames = &[
    "gen_ai.usage.audio.output_tokens",
    "gen_ai.usage.output_audio_tokens",
    "llm.token_count.completion_details.audio",
];
pub(crate) const TOTAL: AttributeNames =
    &["gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total"];
pub(crate) const SERVICE_TIER: AttributeNames =
    &["openai.response.service_tier", "gen_ai.openai.response.service_tier"];
pub(crate) const OPERATION: AttributeNames = &["gen_ai.operation.name"];
pub(super) const MODEL: AttributeNames =
    &["gen_ai.response.model", "gen_ai.request.model", "llm.model_name"];

/// Returns the usage of these attributes. `count` returns the first of some names that has a count.
///
/// By the conventions a total includes its parts. Some instrumentations count a part beside it. So
/// if a part is larger than its total, it is added.
pub(crate) fn usage_of_attributes(
    count: impl Fn(AttributeNames) -> Option<u64>,
    is_embedding: bool,
) -> Option<Usage> {
    let part = |names| count(names).unwrap_or(0);
    let (input, output) = (count(INPUT), count(OUTPUT));
    if input.is_none() && output.is_none() {
        return None;
    }
    let counts = ProviderCounts {
        input,
        output: output.or(is_embedding.then_some(0)),
        total: count(TOTAL),
        cache_read: part(CACHE_READ),
        cache_write: part(CACHE_WRITE),
        reasoning: part(REASONING),
        audio_input: part(AUDIO_INPUT),
        audio_cache_read: part(AUDIO_CACHE_READ),
        audio_output: part(AUDIO_OUTPUT),
        ..ProviderCounts::default()
    };
    counts.into_usage()
}

/// Reads the attributes of a span or an event, as members of an object or in OTLP's list.
pub(super) fn read_attributes(attributes: &UsageObject<'_>) -> Option<Usage> {
    let json = attributes.json;
    let count = |names: AttributeNames| {
        names.iter().find_map(|name| attributes.count(attribute(json, name)?))
    };
    let operation = attribute_text(json, OPERATION);
    usage_of_attributes(count, operation.is_some_and(is_embedding_operation))
}

pub(crate) fn is_embedding_operation(operation: &str) -> bool {
    operation == "embeddings"
}

/// Reports whether an object has tokens under names of OpenTelemetry.
pub(super) fn has_token_attributes(json: Json<'_>) -> bool {
    [INPUT, OUTPUT].into_iter().flatten().any(|name| attribute(json, name).is_some())
}

pub(super) fn attribute_text<'a>(json: Json<'a>, names: AttributeNames) -> Option<&'a str> {
    names.iter().find_map(|name| attribute(json, name)?.as_str())
}

fn attribute<'a>(json: Json<'a>, name: &str) -> Option<Json<'a>> {
    json.get(name).or_else(|| {
        let listed = json.get("attributes")?;
        let mut items = listed.items();
        let item = items.find(|item| item.get("key").and_then(Json::as_str) == Some(name))?;
        let value = item.get("value")?;
        ["intValue", "stringValue", "doubleValue"].iter().find_map(|kind| value.get(kind))
    })
}
