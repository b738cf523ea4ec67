//! Reads a usage object by the names that its provider uses.

use llm_audit_log::json::Json;

use super::Usage;
use super::attributes::{has_token_attributes, read_attributes};
use super::counts::{ProviderCounts, add_counts, split_cache_writes};
use super::object::{IndexedObject, UsageObject};
use super::openai::read_openai_usage;

/// Returns the usage in this object, if it is a usage object.
///
/// The usage may have one total alone.
pub(super) fn read_usage(object: IndexedObject<'_>) -> Option<Usage> {
    let usage = &UsageObject::new(object);
    // The first provider whose names it has decides, even if the counts make no usage.
    let read = if has_cohere_units(usage) {
        read_cohere_usage(usage)
    } else if has_token_attributes(object) {
        read_attributes(usage)
    } else if usage.has(&GEMINI) {
        read_gemini_usage(usage)
    } else if usage.has(&BEDROCK) && !has_whole_anthropic_counts(usage) {
        read_bedrock_usage(usage)
    } else if has_anthropic_counts(usage) {
        read_anthropic_usage(usage)
    } else {
        read_openai_usage(usage)
    };
    read.filter(|_| !usage.is_absurd())
}

const COHERE: [&str; 2] = ["billed_units", "tokens"];
const GEMINI: [&str; 8] = [
    "promptTokenCount",
    "prompt_token_count",
    "candidatesTokenCount",
    "candidates_token_count",
    "responseTokenCount",
    "response_token_count",
    "totalTokenCount",
    "total_token_count",
];
/// The names that the AI SDK, which has `inputTokens` too, does not write.
const BEDROCK: [&str; 9] = [
    "cacheReadInputTokens",
    "cacheReadInputTokenCount",
    "cacheWriteInputTokens",
    "cacheWriteInputTokenCount",
    "cacheCreationInputTokens",
    "cacheDetails",
    "inputTextTokenCount",
    "inputTokenCount",
    "outputTokenCount",
];
/// The names of cached tokens that only Anthropic's own counts have.
const ANTHROPIC: [&str; 3] =
    ["cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation"];
/// The names beside which these count inside of the input: those of OpenAI, Codex and rig.
const NOT_ANTHROPIC: [&str; 4] = [
    "cached_input_tokens",
    "cache_write_input_tokens",
    "input_tokens_details",
    "input_token_details",
];

fn has_anthropic_counts(usage: &UsageObject<'_>) -> bool {
    // Some gateways write OpenAI's names too, with zeros.
    usage.has(&ANTHROPIC) && !usage.has(&NOT_ANTHROPIC) && usage.part(&["prompt_tokens"]) == 0
}

/// Reports whether Anthropic's counts are whole. Bedrock adds its metrics to them at the end of a
/// stream, and these do not tell how long the cache keeps what was written.
fn has_whole_anthropic_counts(usage: &UsageObject<'_>) -> bool {
    has_anthropic_counts(usage)
        && usage.has(&["input_tokens"])
        && usage.part(&["output_tokens"]) > 0
}

fn has_cohere_units(usage: &UsageObject<'_>) -> bool {
    COHERE.iter().any(|name| usage.get(name).is_some_and(Json::is_object))
}

/// Reads `meta` or `usage` of Cohere: the billed units, or all tokens if there are none. Cached
/// tokens are part of all tokens and are not billed separately.
fn read_cohere_usage(usage: &UsageObject<'_>) -> Option<Usage> {
    let mut units = COHERE.iter().filter_map(|name| usage.get(name));
    let units = UsageObject::new(IndexedObject::new(units.find(|units| units.is_object())?));
    let input = units.total(&["input_tokens"]).ok()?;
    let output = units.total(&["output_tokens"]).ok()?;
    let counts = ProviderCounts {
        input,
        // An embedding has no output.
        output: output.or(input.map(|_| 0)),
        cache_read: usage.part(&["cached_tokens"]).min(input.unwrap_or(0)),
        ..ProviderCounts::default()
    };
    counts.into_usage().filter(|_| !units.is_absurd())
}

/// Reads `usageMetadata` of Gemini and Vertex. Thoughts are outside of `candidates`, tool prompts
/// are outside of `prompt`, and cached content is inside of `prompt`.
fn read_gemini_usage(usage: &UsageObject<'_>) -> Option<Usage> {
    let total = usage.first(&["totalTokenCount", "total_token_count"]);
    let (prompt, candidates) = (usage.total(&GEMINI[..2]).ok()?, usage.total(&GEMINI[2..6]).ok()?);
    let tools = usage.part(&["toolUsePromptTokenCount", "tool_use_prompt_token_count"]);
    let thoughts = usage.part(&["thoughtsTokenCount", "thoughts_token_count"]);
    let written = add_counts(candidates.unwrap_or(0), thoughts);
    let read = match (prompt, total) {
        (Some(prompt), _) => Some(add_counts(prompt, tools)),
        // The sum tells the other half.
        (None, Some(total)) => Some(total.saturating_sub(written)),
        (None, None) => {
            candidates?;
            None
        }
    };
    let audio = |details: [&str; 2]| -> u64 {
        let lists = details.iter().filter_map(|name| usage.get(name)).flat_map(Json::items);
        let audio = lists.filter(|detail| {
            let modality = detail.get("modality").and_then(Json::as_str);
            modality.is_some_and(|modality| modality.eq_ignore_ascii_case("audio"))
        });
        let counts = audio.map(|detail| usage.part_of(detail, &["tokenCount", "token_count"]));
        counts.fold(0, add_counts)
    };
    let prompt_audio = audio(["promptTokensDetails", "prompt_tokens_details"]);
    let tools_audio = audio(["toolUsePromptTokensDetails", "tool_use_prompt_tokens_details"]);
    let candidates_audio = audio(["candidatesTokensDetails", "candidates_tokens_details"]);
    let response_audio = audio(["responseTokensDetails", "response_tokens_details"]);
    let counts = ProviderCounts {
        input: read,
        // A prompt that was blocked has no candidates.
        output: Some(written),
        cache_read: usage.part(&["cachedContentTokenCount", "cached_content_token_count"]),
        reasoning: thoughts,
        audio_input: add_counts(prompt_audio, tools_audio),
        audio_cache_read: audio(["cacheTokensDetails", "cache_tokens_details"]),
        audio_output: add_counts(candidates_audio, response_audio),
        ..ProviderCounts::default()
    };
    counts.into_usage()
}

/// Reads `usage` of Bedrock's Converse, the metrics of its InvokeModel, and the usage by model of
/// Claude Code. Cached tokens are outside of `inputTokens`.
fn read_bedrock_usage(usage: &UsageObject<'_>) -> Option<Usage> {
    let names = ["inputTokens", "inputTokenCount", "inputTextTokenCount"];
    let input = usage.total(&names).ok()?;
    let output = usage.total(&["outputTokens", "outputTokenCount"]).ok()?;
    let is_halved = input.is_none() || output.is_none();
    let details = usage.get("cacheDetails").into_iter().flat_map(Json::items);
    let hour = details.filter(|detail| detail.get("ttl").and_then(Json::as_str) == Some("1h"));
    let hour = hour.map(|detail| usage.part_of(detail, &["inputTokens"])).fold(0, add_counts);
    let whole = usage.part(&BEDROCK[2..5]);
    let (cache_write, cache_write_1h) = split_cache_writes(whole, 0, hour.min(whole));
    let counts = ProviderCounts {
        input,
        // Metrics of an embedding have no output.
        output: output.or_else(|| usage.first(&["inputTextTokenCount"]).map(|_| 0)),
        total: usage.first(&["totalTokens"]).filter(|_| is_halved),
        cache_read: usage.part(&BEDROCK[..2]),
        cache_write,
        cache_write_1h,
        is_cached_beside: true,
        ..ProviderCounts::default()
    };
    counts.into_usage()
}

/// Reads Anthropic's counts. Tokens read from the cache and written to it are outside of
/// `input_tokens`.
fn read_anthropic_usage(usage: &UsageObject<'_>) -> Option<Usage> {
    let whole = read_anthropic_counts(usage)?;
    let iterations = usage.get("iterations").into_iter().flat_map(Json::items);
    let is_compaction = |it: &Json<'_>| it.get("type").and_then(Json::as_str) == Some("compaction");
    let compactions =
        iterations.filter(is_compaction).map(|json| UsageObject::new(IndexedObject::new(json)));
    let sum = compactions.fold(whole, |whole, compaction| {
        read_anthropic_counts(&compaction).map_or(whole, |more| sum_usages(whole, more))
    });
    Some(sum)
}

fn read_anthropic_counts(usage: &UsageObject<'_>) -> Option<Usage> {
    let by_lifetime = usage.get("cache_creation").filter(|json| json.is_object());
    let lifetime = |name| by_lifetime.map_or(0, |lifetimes| usage.part_of(lifetimes, &[name]));
    let (cache_write, cache_write_1h) = split_cache_writes(
        usage.part(&["cache_creation_input_tokens"]),
        lifetime("ephemeral_5m_input_tokens"),
        lifetime("ephemeral_1h_input_tokens"),
    );
    let counts = ProviderCounts {
        input: usage.total(&["input_tokens"]).ok()?,
        output: usage.total(&["output_tokens"]).ok()?,
        total: usage.first(&["total_tokens"]),
        cache_read: usage.part(&["cache_read_input_tokens"]),
        cache_write,
        cache_write_1h,
        reasoning: usage
            .detail(&["output_tokens_details"], &["thinking_tokens", "reasoning_tokens"]),
        is_cached_beside: true,
        ..ProviderCounts::default()
    };
    counts.into_usage()
}

fn sum_usages(a: Usage, b: Usage) -> Usage {
    Usage {
        input: add_counts(a.input, b.input),
        output: add_counts(a.output, b.output),
        cache_read: add_counts(a.cache_read, b.cache_read),
        cache_write: add_counts(a.cache_write, b.cache_write),
        cache_write_1h: add_counts(a.cache_write_1h, b.cache_write_1h),
        reasoning: add_counts(a.reasoning, b.reasoning),
        ..a
    }
}
