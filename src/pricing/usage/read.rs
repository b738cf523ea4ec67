//! Finds the usage in a provider's answer, and the meaning of its counts.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;

use super::{ServiceTier, Usage};
use llm_audit_log::json::{Json, JsonObject};

use crate::panics::forget_panic;

/// The model, the usage and the error that an answer contains.
#[derive(Debug, Default)]
pub(crate) struct ProviderAnswer {
    pub(crate) model: Option<String>,
    pub(crate) usage: Option<Usage>,
    /// The type and the message of the error, if the answer is one.
    pub(crate) error: Option<(String, String)>,
}

/// The members that may hold a usage object.
const USAGES: [&str; 5] =
    ["usage", "usageMetadata", "usage_metadata", "meta", "amazon-bedrock-invocationMetrics"];
/// The members that may contain an answer or a chunk of one: streams, realtime and batches.
const WRAPPERS: [&str; 8] =
    ["response", "message", "metadata", "delta", "x_groq", "body", "result", "chunk"];
/// The largest number of wrappers inside each other.
const WRAPPERS_MAX: usize = 3;

impl ProviderAnswer {
    pub(crate) fn from_serialized<T: Serialize + ?Sized>(answer: &T) -> Option<Self> {
        // A `Serialize` impl is the caller's code.
        let json = catch_unwind(AssertUnwindSafe(|| serde_json::to_vec(answer)));
        let json = json.map_err(forget_panic).ok()?.ok()?;
        match json.first() {
            // A body that is still text.
            Some(b'"') => Self::parse(serde_json::from_slice::<String>(&json).ok()?.into_bytes()),
            _ => Self::parse(json),
        }
    }

    /// Returns `None` if the text is not a JSON object.
    pub(crate) fn parse(mut text: Vec<u8>) -> Option<Self> {
        let answer = JsonObject::parse(&mut text, "answer").ok()?;
        let mut found = Self::default();
        found.read_object(answer.json(), ServiceTier::Standard, WRAPPERS_MAX);
        Some(found)
    }

    fn read_object(&mut self, answer: Json<'_>, outer: ServiceTier, deeper: usize) {
        let tier = read_service_tier(answer).unwrap_or(outer);
        let model = ["model", "modelVersion", "model_version"]
            .iter()
            .find_map(|name| answer.get(name)?.as_str());
        self.model = self.model.take().or(model.map(str::to_owned));
        let inner = USAGES.iter().filter_map(|name| answer.get(name));
        let usage = inner.chain([answer]).find_map(|usage| {
            let tier = read_service_tier(usage).unwrap_or(tier);
            Some(Usage { service_tier: tier, ..read_usage(usage)? }.with_fitted_parts())
        });
        self.usage = self.usage.or(usage);
        self.error = self.error.take().or_else(|| answer_error(answer));
        if deeper > 0 && (self.usage.is_none() || self.model.is_none()) {
            for inner in WRAPPERS.iter().filter_map(|name| answer.get(name)) {
                self.read_object(inner, tier, deeper - 1);
            }
        }
    }
}

/// Returns the error that this object reports.
///
/// OpenAI, Anthropic and Gemini write `{"error": {…}}`, Ollama `{"error": "…"}`, Mistral and vLLM
/// `{"object": "error", …}`. If the type is missing it is `_OTHER`, as in OpenTelemetry's
/// `error.type`.
fn answer_error(answer: Json<'_>) -> Option<(String, String)> {
    let said = |json: Json<'_>, names: &[&str]| {
        names.iter().find_map(|name| {
            let said = json.get(name)?;
            let text = said.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
            text.or_else(|| said.as_u64().map(|code| code.to_string()))
        })
    };
    let typed = |json, names: &[&str]| {
        let error_type = said(json, names).unwrap_or_else(|| "_OTHER".to_owned());
        (error_type, said(json, &["message"]).unwrap_or_default())
    };
    match answer.get("error") {
        Some(error) if error.is_object() => Some(typed(error, &["type", "code", "status"])),
        Some(_) => Some(("_OTHER".to_owned(), said(answer, &["error"])?)),
        None => {
            let is_error = |name| answer.get(name).and_then(Json::as_str) == Some("error");
            // If the `type` is `error`, it only repeats that this is one.
            let names: &[&str] = if is_error("type") { &["code"] } else { &["type", "code"] };
            (is_error("type") || is_error("object")).then(|| typed(answer, names))
        }
    }
}

/// Returns the price list that this object names.
fn read_service_tier(json: Json<'_>) -> Option<ServiceTier> {
    let names = ["service_tier", "serviceTier", "trafficType", "traffic_type"];
    names.iter().find_map(|name| {
        let tier = json.get(name)?;
        // Bedrock's tier is an object.
        let name = tier.as_str().or_else(|| tier.get("type")?.as_str())?;
        Some(ServiceTier::from_name(name))
    })
}

/// Reads a usage object by the names that its provider uses.
fn read_usage(usage: Json<'_>) -> Option<Usage> {
    if usage.get("billed_units").is_some() || usage.get("tokens").is_some() {
        return read_cohere_usage(usage);
    }
    read_gemini_usage(usage)
        .or_else(|| read_bedrock_usage(usage))
        .or_else(|| read_openai_or_anthropic(usage))
}

/// Reads a whole number from 0 on, even if it is written as `12.0`. Returns `None` for anything
/// else.
fn read_whole_number(json: Json<'_>) -> Option<u64> {
    /// The largest number up to which an `f64` holds every whole number.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    json.as_u64().or_else(|| {
        let number = json.as_f64()?;
        let is_exact = number.fract() == 0.0 && (0.0..=EXACT_MAX).contains(&number);
        is_exact.then_some(number as u64)
    })
}

/// Returns the first of these members that is a number.
fn first_usage_count(json: Json<'_>, names: &[&str]) -> Option<u64> {
    names.iter().find_map(|name| read_whole_number(json.get(name)?))
}

/// Returns a part: the first of these members that is a number, or 0 if none is.
fn usage_part(json: Json<'_>, names: &[&str]) -> u64 {
    first_usage_count(json, names).unwrap_or(0)
}

/// Returns a part inside an object of details, which may have any of these names.
fn usage_detail(json: Json<'_>, objects: &[&str], name: &str) -> u64 {
    objects.iter().find_map(|object| read_whole_number(json.get(object)?.get(name)?)).unwrap_or(0)
}

/// Returns the totals under these names.
///
/// Returns `None` if neither exists, or if one exists and is not a number. Otherwise half of a
/// usage would look like a whole one.
fn usage_totals(
    json: Json<'_>,
    input: &[&str],
    output: &[&str],
) -> Option<(Option<u64>, Option<u64>)> {
    let total = |names: &[&str]| -> Result<Option<u64>, ()> {
        let given = names.iter().filter_map(|name| json.get(name)).find(|json| !json.is_null());
        given.map_or(Ok(None), |given| read_whole_number(given).map(Some).ok_or(()))
    };
    match (total(input), total(output)) {
        (Ok(None), Ok(None)) | (Err(()), _) | (_, Err(())) => None,
        (Ok(input), Ok(output)) => Some((input, output)),
    }
}

fn add_token_counts(a: u64, more: impl IntoIterator<Item = u64>) -> u64 {
    more.into_iter().fold(a, u64::saturating_add)
}

/// Reads `meta` or `usage` of Cohere: the billed units, or all tokens if there are none. Cached
/// tokens are part of all tokens and are not billed separately.
fn read_cohere_usage(usage: Json<'_>) -> Option<Usage> {
    let units = usage.get("billed_units").or_else(|| usage.get("tokens"))?;
    let (input, output) = usage_totals(units, &["input_tokens"], &["output_tokens"])?;
    let cache_read = usage_part(usage, &["cached_tokens"]);
    Some(Usage { cache_read, ..Usage::new(input.unwrap_or(0), output.unwrap_or(0)) })
}

/// Reads `usageMetadata` of Gemini and Vertex. Thoughts are outside of `candidates`, tool prompts
/// are outside of `prompt`, and cached content is inside of `prompt`.
fn read_gemini_usage(usage: Json<'_>) -> Option<Usage> {
    let input = ["promptTokenCount", "prompt_token_count"];
    let output = [
        "candidatesTokenCount",
        "candidates_token_count",
        "responseTokenCount",
        "response_token_count",
    ];
    let thoughts = ["thoughtsTokenCount", "thoughts_token_count"];
    let total = first_usage_count(usage, &["totalTokenCount", "total_token_count"]);
    let (prompt, candidates) = match usage_totals(usage, &input, &output) {
        Some(found) => found,
        // An answer with only thoughts, or an embedding.
        None if input.iter().chain(&output).any(|name| usage.get(name).is_some()) => return None,
        None => (Some(total?), None),
    };
    let tools = usage_part(usage, &["toolUsePromptTokenCount", "tool_use_prompt_token_count"]);
    let thoughts = usage_part(usage, &thoughts);
    let audio = |details: [&str; 2]| -> u64 {
        let lists = details.iter().filter_map(|name| usage.get(name)).flat_map(Json::items);
        let audio = lists.filter(|detail| {
            let modality = detail.get("modality").and_then(Json::as_str);
            modality.is_some_and(|modality| modality.eq_ignore_ascii_case("audio"))
        });
        add_token_counts(0, audio.map(|detail| usage_part(detail, &["tokenCount", "token_count"])))
    };
    let prompt_audio = audio(["promptTokensDetails", "prompt_tokens_details"]);
    let tools_audio = audio(["toolUsePromptTokensDetails", "tool_use_prompt_tokens_details"]);
    let candidates_audio = audio(["candidatesTokensDetails", "candidates_tokens_details"]);
    let response_audio = audio(["responseTokensDetails", "response_tokens_details"]);
    Some(Usage {
        input: add_token_counts(prompt.unwrap_or(0), [tools]),
        output: add_token_counts(candidates.unwrap_or(0), [thoughts]),
        cache_read: usage_part(usage, &["cachedContentTokenCount", "cached_content_token_count"]),
        reasoning: thoughts,
        audio_input: add_token_counts(prompt_audio, [tools_audio]),
        audio_cache_read: audio(["cacheTokensDetails", "cache_tokens_details"]),
        audio_output: add_token_counts(candidates_audio, [response_audio]),
        ..Usage::default()
    })
}

/// Reads `usage` of Bedrock's Converse, and the metrics of its InvokeModel. Cached tokens are
/// outside of `inputTokens`.
fn read_bedrock_usage(usage: Json<'_>) -> Option<Usage> {
    let input = ["inputTokens", "inputTokenCount", "inputTextTokenCount"];
    let (input, output) = usage_totals(usage, &input, &["outputTokens", "outputTokenCount"])?;
    let cache_read = usage_part(usage, &["cacheReadInputTokens", "cacheReadInputTokenCount"]);
    let written = usage_part(usage, &["cacheWriteInputTokens", "cacheWriteInputTokenCount"]);
    let details = usage.get("cacheDetails").into_iter().flat_map(Json::items);
    let hour = details.filter(|detail| detail.get("ttl").and_then(Json::as_str) == Some("1h"));
    let cache_write_1h =
        add_token_counts(0, hour.map(|detail| usage_part(detail, &["inputTokens"]))).min(written);
    Some(Usage {
        cache_read,
        cache_write: written - cache_write_1h,
        cache_write_1h,
        ..Usage::new(
            add_token_counts(input.unwrap_or(0), [cache_read, written]),
            output.unwrap_or(0),
        )
    })
}

/// Reads `prompt_tokens` and `completion_tokens`, or `input_tokens` and `output_tokens`.
///
/// If there is an input but no output and no sum, it is not a call: counting a prompt answers this.
fn read_openai_or_anthropic(usage: Json<'_>) -> Option<Usage> {
    let chat = (["prompt_tokens", "prompt_eval_count"], ["completion_tokens", "eval_count"]);
    let is_whole = |(_, output): &(Option<u64>, Option<u64>)| {
        let beside = ["total_tokens", "prompt_eval_count"];
        output.is_some() || first_usage_count(usage, &beside).is_some()
    };
    let found = usage_totals(usage, &["input_tokens"], &["output_tokens"]);
    match found.filter(is_whole) {
        Some(found) if usage.get("prompt_tokens").is_none() => {
            let beside = ["cache_read_input_tokens", "cache_creation_input_tokens"];
            let is_anthropic = beside.iter().any(|name| usage.get(name).is_some())
                || usage.get("cache_creation").is_some();
            Some(if is_anthropic {
                read_anthropic_usage(usage, found)
            } else {
                read_openai_usage(usage, found)
            })
        }
        _ => match usage_totals(usage, &chat.0, &chat.1) {
            Some(found) => is_whole(&found).then(|| read_openai_usage(usage, found)),
            None if chat.0.iter().chain(&chat.1).any(|name| usage.get(name).is_some()) => None,
            // Embeddings: the model writes nothing.
            None => Some(Usage::new(first_usage_count(usage, &["total_tokens"])?, 0)),
        },
    }
}

/// Reads Anthropic's counts. Tokens read from the cache and written to it are outside of
/// `input_tokens`.
fn read_anthropic_usage(usage: Json<'_>, (input, output): (Option<u64>, Option<u64>)) -> Usage {
    let cache_read = usage_part(usage, &["cache_read_input_tokens"]);
    let by_lifetime = usage.get("cache_creation").filter(|json| json.is_object());
    let lifetime = |name| by_lifetime.map_or(0, |lifetimes| usage_part(lifetimes, &[name]));
    let cache_write_1h = lifetime("ephemeral_1h_input_tokens");
    let short = lifetime("ephemeral_5m_input_tokens");
    // The whole, if it is given. Its tokens that are not for an hour have the default lifetime.
    let written = first_usage_count(usage, &["cache_creation_input_tokens"]).unwrap_or(0);
    let cache_write = written.saturating_sub(cache_write_1h).max(short);
    let outside = [cache_read, cache_write, cache_write_1h];
    let mut whole = Usage {
        cache_read,
        cache_write,
        cache_write_1h,
        reasoning: usage_detail(usage, &["output_tokens_details"], "thinking_tokens"),
        ..Usage::new(add_token_counts(input.unwrap_or(0), outside), output.unwrap_or(0))
    };
    let iterations = usage.get("iterations").into_iter().flat_map(Json::items);
    for compaction in
        iterations.filter(|it| it.get("type").and_then(Json::as_str) == Some("compaction"))
    {
        // An iteration contains no iterations, so this ends.
        let totals = usage_totals(compaction, &["input_tokens"], &["output_tokens"]);
        if let Some(totals) = totals.filter(|_| compaction.get("iterations").is_none()) {
            whole = sum_usages(whole, read_anthropic_usage(compaction, totals));
        }
    }
    whole
}

fn sum_usages(a: Usage, b: Usage) -> Usage {
    Usage {
        input: add_token_counts(a.input, [b.input]),
        output: add_token_counts(a.output, [b.output]),
        cache_read: add_token_counts(a.cache_read, [b.cache_read]),
        cache_write: add_token_counts(a.cache_write, [b.cache_write]),
        cache_write_1h: add_token_counts(a.cache_write_1h, [b.cache_write_1h]),
        reasoning: add_token_counts(a.reasoning, [b.reasoning]),
        ..a
    }
}

/// Reads OpenAI's counts, and those of providers with the same shape.
///
/// Parts are inside their totals. They are outside if the sum says so, or if there is no sum and a
/// part is larger than its total.
fn read_openai_usage(usage: Json<'_>, (input, output): (Option<u64>, Option<u64>)) -> Usage {
    let read = ["prompt_tokens_details", "input_tokens_details", "input_token_details"];
    let wrote = ["completion_tokens_details", "output_tokens_details", "output_token_details"];
    let total = first_usage_count(usage, &["total_tokens"]);
    let written = output.unwrap_or(0);
    // If a provider gives no input, it gives the sum.
    let asked = input.unwrap_or_else(|| total.unwrap_or(0).saturating_sub(written));
    let or = |found: u64, names: &[&str]| if found > 0 { found } else { usage_part(usage, names) };
    let cache_read = or(
        usage_detail(usage, &read, "cached_tokens"),
        &[
            "prompt_cache_hit_tokens",
            "num_cached_tokens",
            "cached_tokens",
            "cache_read_input_tokens",
        ],
    );
    let cache_write =
        or(usage_detail(usage, &read, "cache_write_tokens"), &["cache_creation_input_tokens"]);
    let reasoning = or(usage_detail(usage, &wrote, "reasoning_tokens"), &["reasoning_tokens"]);
    let cached = add_token_counts(cache_read, [cache_write]);
    let (more_input, more_output) = match total {
        // Tokens that are in neither total: cached tokens or reasoning, reported separately or not
        // at all.
        Some(total) => match total.saturating_sub(add_token_counts(asked, [written])) {
            beside if beside == cached => (cached, 0),
            beside => (0, beside),
        },
        None => (
            if cached > asked { cached } else { 0 },
            if reasoning > written { reasoning } else { 0 },
        ),
    };
    let audio_cache_read = read.iter().find_map(|name| {
        read_whole_number(usage.get(name)?.get("cached_tokens_details")?.get("audio_tokens")?)
    });
    Usage {
        input: add_token_counts(asked, [more_input]),
        output: add_token_counts(written, [more_output]),
        cache_read,
        cache_write,
        reasoning: reasoning.max(more_output),
        audio_input: usage_detail(usage, &read, "audio_tokens"),
        audio_cache_read: audio_cache_read.unwrap_or(0),
        audio_output: usage_detail(usage, &wrote, "audio_tokens"),
        ..Usage::default()
    }
}
