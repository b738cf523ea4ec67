//! The tokens of one model call. Providers count them differently; here each count has one meaning.

mod answer;
pub(crate) mod attributes;
mod counts;
mod object;
mod openai;
mod progress;
mod read;
mod stream;
mod terms;
#[cfg(test)]
mod tests;

pub(crate) use answer::ProviderAnswer;
use llm_audit_log::json::{Json, JsonObject};
use llm_audit_log::schema::TokenKinds;
use serde::ser::{Serialize, SerializeMap, Serializer};
#[cfg(feature = "tower")]
pub(crate) use stream::{CHUNK_BYTES_MAX, split_chunks};

/// The tokens of one model call.
///
/// Every part is included in its whole, so nothing is counted twice. `cache_read`, `cache_write`,
/// `cache_write_1h` and `audio_input` are part of `input`. `reasoning` and `audio_output` are part
/// of `output`.
///
/// It serializes to the `data.usage` of an event: the parts that are not zero, and `service_tier`
/// unless it is [`ServiceTier::Standard`]. The wholes are the event's `tokens_input` and
/// `tokens_output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens that the model read, including cached tokens and tokens written to a cache.
    pub input: u64,
    /// Tokens that the model wrote, including reasoning.
    pub output: u64,
    /// Part of `input`: tokens read from a cache.
    pub cache_read: u64,
    /// Part of `input`: tokens written to a cache with the provider's default lifetime.
    pub cache_write: u64,
    /// Part of `input`: tokens written to a cache for an hour.
    pub cache_write_1h: u64,
    /// Part of `output`: reasoning, which is not shown.
    pub reasoning: u64,
    /// Part of `input`: audio.
    pub audio_input: u64,
    /// Part of `audio_input` and of `cache_read`: audio read from a cache.
    pub audio_cache_read: u64,
    /// Part of `output`: audio.
    pub audio_output: u64,
    /// The price list that applies to the call.
    pub service_tier: ServiceTier,
    /// What changes the price of the call, and has no known price.
    pub(crate) modifier: Option<PriceModifier>,
    /// The input is not known, so `input` is 0.
    pub(crate) lacks_input: bool,
    /// The output is not known, so `output` is 0.
    pub(crate) lacks_output: bool,
}

/// What changes the price of a call, in a way that no price list has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PriceModifier {
    /// Anthropic's fast mode.
    Speed,
    /// A place of inference for which Anthropic charges more.
    InferenceGeo,
    /// A price list that is not known, such as capacity paid in advance.
    ServiceTier,
}

impl PriceModifier {
    fn name(self) -> &'static str {
        match self {
            Self::Speed => "speed",
            Self::InferenceGeo => "inference_geo",
            Self::ServiceTier => "service_tier",
        }
    }
}

/// A price list of a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServiceTier {
    /// The usual price list.
    #[default]
    Standard,
    /// Answered within a day, cheaper.
    Batch,
    /// Answered when there is capacity, cheaper.
    Flex,
    /// Answered first, more expensive.
    Priority,
}

impl ServiceTier {
    /// Returns the name as it is written in a line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Batch => "batch",
            Self::Flex => "flex",
            Self::Priority => "priority",
        }
    }

    /// Returns the tier of this name, in any provider's spelling. Unknown names are `Standard`.
    pub fn from_name(name: &str) -> Self {
        Self::from_known_name(name).unwrap_or_default()
    }

    /// Returns the tier of this name, or `None` if the name is not known.
    pub(crate) fn from_known_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        match name.strip_prefix("on_demand_").unwrap_or(&name) {
            "batch" | "batches" => Some(Self::Batch),
            "flex" => Some(Self::Flex),
            "priority" => Some(Self::Priority),
            ""
            | "standard"
            | "default"
            | "auto"
            | "on_demand"
            | "standard_only"
            | "unspecified"
            | "service_tier_unspecified"
            | "traffic_type_unspecified" => Some(Self::Standard),
            _ => None,
        }
    }
}

impl Usage {
    /// Returns the parts by their kinds.
    pub(crate) fn kinds(self) -> TokenKinds {
        TokenKinds {
            cache_read: self.cache_read,
            cache_write: self.cache_write,
            cache_write_1h: self.cache_write_1h,
            reasoning: self.reasoning,
            audio_input: self.audio_input,
            audio_output: self.audio_output,
        }
    }

    /// Returns a usage of input and output tokens without parts.
    pub fn new(input: u64, output: u64) -> Self {
        Self { input, output, ..Self::default() }
    }

    /// Returns the usage in a provider's answer.
    ///
    /// `answer` is the whole answer, a list of its chunks, the text of a body, or only the usage
    /// object. A text is JSON, server-sent events, or a JSON value a line. Returns `None` if there is
    /// no usage, if a total is not a number, or if a count is over 10^12.
    ///
    /// These shapes are known:
    ///
    /// - OpenAI (chat, responses, realtime, embeddings, batches, Codex), and providers with the same
    ///   shape: Azure, Mistral, Groq, DeepSeek, Kimi, xAI, Perplexity, OpenRouter, Voyage and others
    /// - Anthropic, Bedrock, Gemini and Vertex with their batches, Cohere, Ollama
    /// - LangChain, the AI SDK, LiteLLM, rig, rust-genai, and the attributes of OpenTelemetry and
    ///   OpenInference
    ///
    /// If a provider counts a part outside of its totals, it is added to them: Anthropic's and
    /// Bedrock's cached tokens, Gemini's, xAI's and Perplexity's reasoning. If a part has the wrong
    /// type, it counts as missing. Cohere's totals are the units that it bills. Of Anthropic's
    /// `iterations`, those of a compaction are added, because the totals leave them out. Those of an
    /// advisor are not added, because another model answers them.
    ///
    /// A usage with output tokens alone [is partial](Self::is_partial). Input tokens alone are not
    /// a usage, because counting a prompt answers them. If an answer has terms without a known price,
    /// such as Anthropic's fast mode, its usage has no cost.
    ///
    /// The answer is serialized once. If it is large, as with embeddings, pass only its usage.
    ///
    /// # Examples
    ///
    /// ```
    /// use llm_audit::Usage;
    ///
    /// let answer = r#"{"model":"claude-sonnet-4-5","usage":{
    ///     "input_tokens":4,"cache_read_input_tokens":8845,"output_tokens":193}}"#;
    /// let usage = Usage::from_json(answer).unwrap();
    /// assert_eq!((usage.input, usage.cache_read, usage.output), (8849, 8845, 193));
    /// ```
    pub fn from_answer<T: Serialize + ?Sized>(answer: &T) -> Option<Self> {
        ProviderAnswer::from_serialized(answer)?.usage
    }

    /// Returns the usage in an answer that was parsed; see [`from_answer`](Self::from_answer).
    pub fn from_object(answer: Json<'_>) -> Option<Self> {
        ProviderAnswer::usage_of_object(answer)
    }

    /// Returns the usage in the text of an answer; see [`from_answer`](Self::from_answer).
    pub fn from_json(answer: &str) -> Option<Self> {
        ProviderAnswer::parse(answer.as_bytes().to_vec())?.usage
    }

    /// Returns the usage of counts under the names that their provider has for them, by the same rules
    /// as [`from_answer`](Self::from_answer). A service tier may be among them. A count is a number or
    /// a text of digits.
    ///
    /// # Examples
    ///
    /// ```
    /// use llm_audit::Usage;
    ///
    /// let counts = [("input_tokens", "4".into()), ("output_tokens", 193_u64.into()),
    ///     ("cache_read_input_tokens", 8845_u64.into())];
    /// assert_eq!(Usage::from_counts(counts).unwrap().input, 8849);
    /// ```
    pub fn from_counts<'a>(counts: impl IntoIterator<Item = (&'a str, Json<'a>)>) -> Option<Self> {
        let counts = JsonObject::from_members(counts);
        ProviderAnswer::usage_of_counts(counts.json())
    }

    /// Returns the same usage with every part cut to fit into its whole, whatever the caller filled
    /// in.
    pub(crate) fn with_fitted_parts(mut self) -> Self {
        self.cache_read = self.cache_read.min(self.input);
        let mut rest = self.input - self.cache_read;
        for part in [&mut self.cache_write, &mut self.cache_write_1h] {
            *part = (*part).min(rest);
            rest -= *part;
        }
        self.audio_input = self.audio_input.min(rest.saturating_add(self.cache_read));
        // If cached tokens and audio together exceed the input, the excess is both.
        let excess = self.audio_input.saturating_sub(rest);
        let most = self.cache_read.min(self.audio_input);
        self.audio_cache_read = self.audio_cache_read.clamp(excess, most);
        self.reasoning = self.reasoning.min(self.output);
        self.audio_output = self.audio_output.min(self.output - self.reasoning);
        self
    }

    /// Returns the parts under their names in a line.
    fn parts(&self) -> [(&'static str, u64); 7] {
        [
            ("cache_read", self.cache_read),
            ("cache_write", self.cache_write),
            ("cache_write_1h", self.cache_write_1h),
            ("reasoning", self.reasoning),
            ("audio_input", self.audio_input),
            ("audio_cache_read", self.audio_cache_read),
            ("audio_output", self.audio_output),
        ]
    }

    /// Returns the usage under the price list of this name.
    #[cfg(feature = "tracing")]
    pub(crate) fn with_tier_name(self, name: &str) -> Self {
        let tier = ServiceTier::from_known_name(name);
        let modifier = tier.is_none().then_some(PriceModifier::ServiceTier);
        Self {
            service_tier: tier.unwrap_or_default(),
            modifier: modifier.or(self.modifier),
            ..self
        }
    }

    /// Returns the tokens that the model read, or `None` if the answer does not say.
    pub fn tokens_input(&self) -> Option<u64> {
        (!self.lacks_input).then_some(self.input)
    }

    /// Returns the tokens that the model wrote, or `None` if the answer does not say.
    pub fn tokens_output(&self) -> Option<u64> {
        (!self.lacks_output).then_some(self.output)
    }

    /// Reports whether one of the totals is not known. Such a usage has no cost, because half of
    /// the cost would look like all of it.
    pub fn is_partial(&self) -> bool {
        self.lacks_input || self.lacks_output
    }

    /// Reports whether any field except the totals is set.
    pub(crate) fn has_parts(&self) -> bool {
        self.service_tier != ServiceTier::Standard
            || self.modifier.is_some()
            || self.parts().iter().any(|(_, n)| *n > 0)
    }
}

impl From<(u64, u64)> for Usage {
    /// Returns a usage of input and output tokens without parts.
    fn from((input, output): (u64, u64)) -> Self {
        Self::new(input, output)
    }
}

impl From<&Usage> for Usage {
    fn from(usage: &Usage) -> Self {
        *usage
    }
}

impl Serialize for Usage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, count) in self.parts() {
            if count > 0 {
                map.serialize_entry(name, &count)?;
            }
        }
        if self.service_tier != ServiceTier::Standard {
            map.serialize_entry("service_tier", self.service_tier.name())?;
        }
        if let Some(modifier) = self.modifier {
            map.serialize_entry("modifier", modifier.name())?;
        }
        map.end()
    }
}
