//! Reads OpenAI's counts, and those of the many providers and frameworks with the same shape.

use super::Usage;
use super::counts::{ProviderCounts, split_cache_writes};
use super::object::UsageObject;

// The names of OpenAI's chat and responses come first. Then come those of Ollama and the AI SDK.
const INPUT: [&str; 5] =
    ["prompt_tokens", "input_tokens", "prompt_eval_count", "inputTokens", "promptTokens"];
const OUTPUT: [&str; 5] =
    ["completion_tokens", "output_tokens", "eval_count", "outputTokens", "completionTokens"];
/// The objects of details. Of the AI SDK a total may be such an object itself.
const INPUT_DETAILS: [&str; 7] = [
    "prompt_tokens_details",
    "input_tokens_details",
    "input_token_details",
    "inputTokenDetails",
    "inputTokensDetails",
    "promptTokensDetails",
    "inputTokens",
];
const OUTPUT_DETAILS: [&str; 7] = [
    "completion_tokens_details",
    "output_tokens_details",
    "output_token_details",
    "outputTokenDetails",
    "outputTokensDetails",
    "completionTokensDetails",
    "outputTokens",
];
const CACHE_READ_DETAILS: [&str; 6] = [
    "cached_tokens",
    "cache_read",
    "cache_read_tokens",
    "cacheReadTokens",
    "cacheRead",
    "cachedTokens",
];
const CACHE_READ: [&str; 8] = [
    "prompt_cache_hit_tokens",
    "num_cached_tokens",
    "cached_tokens",
    "cache_read_input_tokens",
    "cached_input_tokens",
    "cachedInputTokens",
    "cached_prompt_tokens",
    "cache_read_tokens",
];
const CACHE_WRITE_DETAILS: [&str; 7] = [
    "cache_write_tokens",
    "cache_creation_tokens",
    "cache_creation",
    "cache_creation_input_tokens",
    "cache_write",
    "cacheWriteTokens",
    "cacheWrite",
];
const CACHE_WRITE: [&str; 4] = [
    "cache_creation_input_tokens",
    "cache_write_input_tokens",
    "cache_write_tokens",
    "cache_creation_tokens",
];
/// The objects that hold the cache writes by their lifetime, at the top or inside of the details.
const LIFETIMES: [&str; 4] = [
    "cache_creation",
    "cache_creation_token_details",
    "cache_creation_tokens_details",
    "cache_creation_details",
];
const HOUR: [&str; 2] = ["ephemeral_1h_input_tokens", "ephemeral_1h_tokens"];
const SHORT: [&str; 2] = ["ephemeral_5m_input_tokens", "ephemeral_5m_tokens"];
const REASONING_DETAILS: [&str; 4] =
    ["reasoning_tokens", "reasoning", "reasoningTokens", "thinking_tokens"];
const REASONING: [&str; 3] = ["reasoning_tokens", "reasoning_output_tokens", "reasoningTokens"];
const AUDIO: [&str; 3] = ["audio_tokens", "audio", "audioTokens"];

/// Reads `prompt_tokens` and `completion_tokens`, `input_tokens` and `output_tokens`, or the names
/// that other providers use for them.
///
/// Parts are inside their totals, unless the sum or their size says otherwise.
pub(super) fn read_openai_usage(usage: &UsageObject<'_>) -> Option<Usage> {
    let (input, output) = (usage.total(&INPUT).ok()?, usage.total(&OUTPUT).ok()?);
    let or = |found: u64, names: &[&str]| if found > 0 { found } else { usage.part(names) };
    let cache_read = or(usage.detail(&INPUT_DETAILS, &CACHE_READ_DETAILS), &CACHE_READ);
    let written = or(usage.detail(&INPUT_DETAILS, &CACHE_WRITE_DETAILS), &CACHE_WRITE);
    let (cache_write, cache_write_1h) =
        split_cache_writes(written, lifetime(usage, &SHORT), lifetime(usage, &HOUR));
    let audio_cache_read = INPUT_DETAILS.iter().find_map(|name| {
        let cached = usage.get(name)?.get("cached_tokens_details")?;
        Some(usage.part_of(cached, &AUDIO))
    });
    let is_embedding = usage.has(&["prompt_eval_count"]);
    let counts = ProviderCounts {
        input,
        output: output.or(is_embedding.then_some(0)),
        total: sum_of_totals(usage, input.or(output).is_some()),
        uncached: uncached(usage),
        cache_read,
        cache_write,
        cache_write_1h,
        reasoning: or(usage.detail(&OUTPUT_DETAILS, &REASONING_DETAILS), &REASONING),
        audio_input: usage.detail(&INPUT_DETAILS, &AUDIO),
        audio_cache_read: audio_cache_read.unwrap_or(0),
        audio_output: usage.detail(&OUTPUT_DETAILS, &AUDIO),
        // Perplexity's deep research counts its reasoning, citations and searches apart.
        is_reasoning_beside: usage.has(&["citation_tokens", "num_search_queries"]),
        ..ProviderCounts::default()
    };
    counts.into_usage()
}

/// Returns the sum of both totals.
///
/// Without a total, `totalTokens` is not an embedding's but answers the counting of a prompt.
fn sum_of_totals(usage: &UsageObject<'_>, has_total: bool) -> Option<u64> {
    let camel = usage.first(&["totalTokens"]).filter(|_| has_total);
    usage.first(&["total_tokens"]).or(camel)
}

/// Returns the input that is neither cached nor written to a cache.
fn uncached(usage: &UsageObject<'_>) -> Option<u64> {
    let details = ["inputTokenDetails", "inputTokens"];
    let mut details = details.iter().filter_map(|name| usage.get(name));
    details.find_map(|details| {
        let count = ["noCacheTokens", "noCache"].iter().find_map(|name| details.get(name))?;
        usage.count(count)
    })
}

fn lifetime(usage: &UsageObject<'_>, names: &[&str]) -> u64 {
    let details = INPUT_DETAILS.iter().filter_map(|name| usage.get(name));
    let places = details.chain([usage.object.json]);
    let lifetimes = places.flat_map(|place| {
        let inner = LIFETIMES.iter().filter_map(move |name| place.get(name));
        inner.chain([place])
    });
    lifetimes.map(|place| usage.part_of(place, names)).find(|count| *count > 0).unwrap_or(0)
}
