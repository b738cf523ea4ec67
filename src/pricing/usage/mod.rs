//! Tokens of one model call, as the providers count them, brought to one meaning.

mod read;
#[cfg(test)]
mod tests;

pub(crate) use read::Answer;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// The tokens of one model call. Every part lies inside its whole: `cache_read`, `cache_write`,
/// `cache_write_1h` and `audio_input` are among `input`, `reasoning` and `audio_output` among
/// `output`, so that nothing is counted twice.
///
/// It serializes to the `data.usage` of an event: the parts that are not zero, and `service_tier`
/// where that is not [`ServiceTier::Standard`]. The wholes are the event's `tokens_input` and
/// `tokens_output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens the model read, cached and written-to-cache ones included.
    pub input: u64,
    /// Tokens the model wrote, reasoning included.
    pub output: u64,
    /// Of `input`: read from a cache.
    pub cache_read: u64,
    /// Of `input`: written to a cache with the provider's default lifetime.
    pub cache_write: u64,
    /// Of `input`: written to a cache for an hour.
    pub cache_write_1h: u64,
    /// Of `output`: thought, not shown.
    pub reasoning: u64,
    /// Of `input`: sound.
    pub audio_input: u64,
    /// Of `audio_input` and of `cache_read`: sound read from a cache.
    pub audio_cache_read: u64,
    /// Of `output`: sound.
    pub audio_output: u64,
    /// Which price list the call ran under.
    pub service_tier: ServiceTier,
}

/// Which of a provider's price lists a call ran under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServiceTier {
    /// The usual one.
    #[default]
    Standard,
    /// Answered within a day, cheaper.
    Batch,
    /// Answered when there is room, cheaper.
    Flex,
    /// Answered first, dearer.
    Priority,
}

impl ServiceTier {
    /// The name as it stands in a line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Batch => "batch",
            Self::Flex => "flex",
            Self::Priority => "priority",
        }
    }

    /// The tier of this name, whichever way a provider spells it; unknown ones are `Standard`.
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
    /// Input and output tokens, without parts.
    pub fn new(input: u64, output: u64) -> Self {
        Self { input, output, ..Self::default() }
    }

    /// The usage in a provider's answer: the whole answer, one chunk of a streamed one, or the
    /// usage object alone. `None` where there is none, or its totals are no numbers.
    ///
    /// Known are the shapes of OpenAI (chat, responses, realtime, embeddings) and of those who
    /// answer alike (Azure, Mistral, Groq, DeepSeek, xAI, OpenRouter, Cerebras, Voyage …), of
    /// Anthropic, Bedrock, Gemini and Vertex, Cohere and Ollama. What a provider counts beside its
    /// totals (Anthropic's and Bedrock's cached tokens, Gemini's and xAI's reasoning) is added to
    /// them; a part of the wrong type counts as missing. Cohere's totals are the units it bills.
    /// Of Anthropic's `iterations` those of a compaction are added, which the totals leave out; an
    /// advisor's, which another model answers, are not.
    ///
    /// The answer is serialized once; a large one (embeddings) is better given as its usage alone.
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
        Answer::of(answer)?.usage
    }

    /// As [`from_answer`](Self::from_answer), from the text of the answer.
    pub fn from_json(answer: &str) -> Option<Self> {
        Answer::parse(answer.as_bytes().to_vec())?.usage
    }

    /// The same usage with every part inside its whole, whoever filled it in: what is over is cut.
    pub(crate) fn fitted(mut self) -> Self {
        self.cache_read = self.cache_read.min(self.input);
        let mut rest = self.input - self.cache_read;
        for part in [&mut self.cache_write, &mut self.cache_write_1h] {
            *part = (*part).min(rest);
            rest -= *part;
        }
        self.audio_input = self.audio_input.min(rest.saturating_add(self.cache_read));
        // Where cached tokens and sound are more than all, the excess is both.
        let excess = self.audio_input.saturating_sub(rest);
        let most = self.cache_read.min(self.audio_input);
        self.audio_cache_read = self.audio_cache_read.clamp(excess, most);
        self.reasoning = self.reasoning.min(self.output);
        self.audio_output = self.audio_output.min(self.output - self.reasoning);
        self
    }

    /// The parts under their names in a line.
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

    /// Whether it says anything beside the totals.
    pub(crate) fn has_parts(&self) -> bool {
        self.service_tier != ServiceTier::Standard || self.parts().iter().any(|(_, n)| *n > 0)
    }
}

impl From<(u64, u64)> for Usage {
    /// Input and output tokens, without parts.
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
