//! Tokens read from the attributes of OpenTelemetry.

use llm_audit_log::json::Json;

use super::Usage;
use super::counts::ProviderCounts;
use super::object::{IndexedObject, UsageObject};

pub(crate) use llm_audit_log::schema::gen_ai::{
    AUDIO_CACHE_READ, AUDIO_INPUT, AUDIO_OUTPUT, AttributeNames, CACHE_READ, CACHE_WRITE, INPUT,
    OPERATION, OUTPUT, REASONING, SERVICE_TIER, TOTAL,
};

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
    let object = attributes.object;
    let count = |names: AttributeNames| {
        names.iter().find_map(|name| attributes.count(attribute(object, name)?))
    };
    let operation = attribute_text(object, OPERATION);
    usage_of_attributes(count, operation.is_some_and(is_embedding_operation))
}

pub(crate) fn is_embedding_operation(operation: &str) -> bool {
    operation == "embeddings"
}

/// Reports whether an object has tokens under names of OpenTelemetry.
pub(super) fn has_token_attributes(object: IndexedObject<'_>) -> bool {
    [INPUT, OUTPUT].into_iter().flatten().any(|name| attribute(object, name).is_some())
}

pub(super) fn attribute_text<'a>(
    object: IndexedObject<'a>,
    names: AttributeNames,
) -> Option<&'a str> {
    names.iter().find_map(|name| attribute(object, name)?.as_str())
}

fn attribute<'a>(object: IndexedObject<'a>, name: &str) -> Option<Json<'a>> {
    object.get(name).or_else(|| {
        let listed = object.get("attributes")?;
        let mut items = listed.items();
        let item = items.find(|item| item.get("key").and_then(Json::as_str) == Some(name))?;
        let value = item.get("value")?;
        ["intValue", "stringValue", "doubleValue"].iter().find_map(|kind| value.get(kind))
    })
}
