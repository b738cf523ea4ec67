//! A short form of labels, which is hashed and compared in a few instructions.

use super::table::Labels;

/// How long a text is at most that its ends cover.
const WHOLE_BYTES: usize = 16;

/// The ends of the four texts of a set of labels, their lengths, and the type and status.
///
/// Texts of up to [`WHOLE_BYTES`] bytes are all in it, so that most labels need no other comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LabelKey {
    /// Of the agent and of the action.
    who: [[u64; 2]; 2],
    /// Of the model and of the tenant.
    of: [[u64; 2]; 2],
    /// The lengths of the first two and of the last two, each in 16 bits, with the type and the
    /// status.
    kind: u64,
    of_lengths: u32,
    /// Whether all texts are in it.
    pub(super) is_whole: bool,
}

impl LabelKey {
    #[inline(always)]
    pub(super) fn new(labels: &Labels<'_>) -> Self {
        // Two long texts of different lengths may seem alike here. They are compared in full.
        let length = |text: &str| u32::from(text.len() as u16);
        let lengths = length(labels.agent) | length(labels.action) << 16;
        let kind = u16::from_le_bytes([labels.event_type.code(), labels.status as u8]);
        let mut key = Self {
            who: [ends(labels.agent.as_bytes()), ends(labels.action.as_bytes())],
            of: [[0; 2]; 2],
            kind: u64::from(lengths) << 16 | u64::from(kind),
            of_lengths: 0,
            is_whole: labels.agent.len() <= WHOLE_BYTES && labels.action.len() <= WHOLE_BYTES,
        };
        if !labels.model.is_empty() || !labels.tenant.is_empty() {
            key.of = [ends(labels.model.as_bytes()), ends(labels.tenant.as_bytes())];
            key.of_lengths = length(labels.model) | length(labels.tenant) << 16;
            key.is_whole &= labels.model.len() <= WHOLE_BYTES && labels.tenant.len() <= WHOLE_BYTES;
        }
        key
    }

    /// Returns a number that depends on all of it. `seed` keeps it from being foreseen.
    #[inline(always)]
    pub(super) fn hash(&self, seed: u64) -> u64 {
        // An odd number with bits in all places, from the golden ratio.
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(FACTOR).rotate_left(29);
        let mut hash = mix(seed, self.kind);
        for [first, last] in self.who {
            hash = mix(mix(hash, first), last);
        }
        if self.of_lengths != 0 {
            for [first, last] in self.of {
                hash = mix(mix(hash, first), last);
            }
            hash = mix(hash, self.of_lengths.into());
        }
        hash
    }

    /// Returns whether all that is in it is the same. The last part of two empty texts is not compared.
    #[inline(always)]
    pub(super) fn is(&self, other: &Self) -> bool {
        let differ = |one: &[[u64; 2]; 2], other: &[[u64; 2]; 2]| {
            one.as_flattened().iter().zip(other.as_flattened()).fold(0, |all, (a, b)| all | (a ^ b))
        };
        let differs = differ(&self.who, &other.who)
            | (self.kind ^ other.kind)
            | u64::from(self.of_lengths ^ other.of_lengths);
        differs == 0 && (self.of_lengths == 0 || differ(&self.of, &other.of) == 0)
    }
}

/// Returns the first and the last bytes of a text, which are all of it if it is short. In those of a long
/// text are some of its middle.
#[inline(always)]
fn ends(text: &[u8]) -> [u64; 2] {
    if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        let mut last = u64::from_le_bytes(*last);
        if text.len() > WHOLE_BYTES {
            // Long texts that differ in the middle should have different places.
            let middle = text[text.len() / 2 - 4..].first_chunk::<8>();
            last ^= middle.map_or(0, |middle| u64::from_le_bytes(*middle)).rotate_left(13);
        }
        return [u64::from_le_bytes(*first), last];
    }
    ends_of_short(text)
}

fn ends_of_short(text: &[u8]) -> [u64; 2] {
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        return [u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into()];
    }
    match text {
        [first, .., last] => [(*first).into(), u64::from(*last) | u64::from(text[1]) << 8],
        [only] => [(*only).into(), 0],
        [] => [0; 2],
    }
}
