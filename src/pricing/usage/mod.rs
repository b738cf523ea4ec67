//! The tokens of one model call. Providers count them differently; here each count has one meaning.

mod read;
#[cfg(test)]
mod tests;

pub(crate) use read::ProviderAnswer;
use serde::ser::{Serialize, SerializeMap, Serializer};

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
        let name = name.to_ascii_lowercase();
        match name.strip_prefix("on_demand_").unwrap_or(&name) {
            "batch" => Self::Batch,
            "flex" => Self::Flex,
            "priority" => Self::Priority,
            _ => Self::Standard,
        }
    }
}

impl Usage {
    /// Returns a usage of input and output tokens without parts.
    pub fn new(input: u64, output: u64) -> Self {
        Self { input, output, ..Self::default() }
    }

    /// Returns the usage in a provider's answer.
    ///
    /// `answer` is the whole answer, one chunk of a streamed one, or only the usage object. Returns
    /// `None` if there is no usage, or if its totals are not numbers.
    ///
    /// These shapes are known:
    ///
    /// - OpenAI (chat, responses, realtime, embeddings), and providers with the same shape: Azure,
    ///   Mistral, Groq, DeepSeek, xAI, OpenRouter, Cerebras, Voyage and others
    /// - Anthropic, Bedrock, Gemini and Vertex, Cohere, Ollama
    ///
    /// If a provider counts a part outside of its totals, it is added to them: Anthropic's and
    /// Bedrock's cached tokens, Gemini's and xAI's reasoning. If a part has the wrong type, it
    /// counts as missing. Cohere's totals are the units that it bills. Of Anthropic's `iterations`,
    /// those of a compaction are added, because the totals leave them out. Those of an advisor are
    /// not added, because another model answers them.
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

    /// Returns the usage in the text of an answer; see [`from_answer`](Self::from_answer).
    pub fn from_json(answer: &str) -> Option<Self> {
        ProviderAnswer::parse(answer.as_bytes().to_vec())?.usage
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

    /// Reports whether any field except the totals is set.
    pub(crate) fn has_parts(&self) -> bool {
        self.service_tier != ServiceTier::Standard || self.parts().iter().any(|(_, n)| *n > 0)
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
        map.end()
    }
}
