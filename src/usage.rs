//! Tokens of one model call, as the providers count them, brought to one meaning.

use serde::ser::{Serialize, SerializeMap, Serializer};

/// The tokens of one model call. Every part lies inside its whole: `cache_read`, `cache_write`,
/// `cache_write_1h` and `audio_input` are among `input`, `reasoning` and `audio_output` among
/// `output`, so that nothing is counted twice.
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
    /// Of `output`: sound.
    pub audio_output: u64,
    /// Which price list the call ran under.
    pub service_tier: ServiceTier,
}

/// Which of a provider's price lists a call ran under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

impl Usage {
    /// Input and output tokens, without parts.
    pub fn new(input: u64, output: u64) -> Self {
        Self { input, output, ..Self::default() }
    }

    /// The usage in a provider's answer: the whole answer, or its usage object alone.
    pub fn from_answer<T: Serialize + ?Sized>(_answer: &T) -> Option<Self> {
        None
    }

    /// As [`from_answer`](Self::from_answer), from the text of the answer.
    pub fn from_json(_answer: &str) -> Option<Self> {
        None
    }
}

impl From<(u64, u64)> for Usage {
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
        serializer.serialize_map(Some(0))?.end()
    }
}
