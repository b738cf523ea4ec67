//! A short form of labels, which is hashed and compared in a few instructions.

use super::table::Labels;

/// How long a text is at most that its ends cover.
const WHOLE_BYTES: usize = 16;

/// The ends of the four texts of a set of labels, their lengths, and the type and status.
///
/// Texts of up to [`WHOLE_BYTES`] bytes are all in it, so that most labels need no other comparison.
#[derive(Clone, Copy, Debug)]
pub(super) struct LabelKey {
    /// Of the agent and of the action.
    who: [[u64; 2]; 2],
    /// Of the model and of the tenant.
    of: [[u64; 2]; 2],
    /// The lengths of the first two texts, each in 16 bits, with the type and the status.
    kind: u64,
    /// Those of the last two.
    of_lengths: u32,
    /// Whether all texts are in it.
    pub(super) is_whole: bool,
}

impl LabelKey {
    /// Returns the key of these labels. `seed` keeps its hash from being foreseen.
    #[inline(always)]
    pub(super) fn new(labels: &Labels<'_>, seed: u64) -> Self {
        let length = |text: &str| text.len().min(usize::from(u16::MAX)) as u32;
        let ends = |text: &str| ends(text.as_bytes(), seed);
        let lengths = length(labels.agent) | length(labels.action) << 16;
        let kind = u16::from_le_bytes([labels.event_type.code(), labels.status as u8]);
        let mut key = Self {
            who: [ends(labels.agent), ends(labels.action)],
            of: [[0; 2]; 2],
            kind: u64::from(lengths) << 16 | u64::from(kind),
            of_lengths: 0,
            is_whole: labels.agent.len() <= WHOLE_BYTES && labels.action.len() <= WHOLE_BYTES,
        };
        if !labels.model.is_empty() || !labels.tenant.is_empty() {
            key.of = [ends(labels.model), ends(labels.tenant)];
            key.of_lengths = length(labels.model) | length(labels.tenant) << 16;
            key.is_whole &= labels.model.len() <= WHOLE_BYTES && labels.tenant.len() <= WHOLE_BYTES;
        }
        key
    }

    /// Returns a number that depends on all of it.
    #[inline(always)]
    pub(super) fn hash(&self, seed: u64) -> u64 {
        let mut hash = fold([self.kind, self.of_lengths.into()], seed);
        for ends in self.who {
            hash = fold(ends, hash);
        }
        if self.of_lengths != 0 {
            for ends in self.of {
                hash = fold(ends, hash);
            }
        }
        hash
    }

    /// Returns whether all that is in it is the same. Lengths that differ are told apart, unless both are
    /// over 64 KiB.
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

/// Mixes two words into a hash: both halves of a product, as in [wyhash](https://github.com/wangyi-fudan/wyhash).
#[inline(always)]
fn fold(words: [u64; 2], hash: u64) -> u64 {
    // An odd number with bits in all places, from the golden ratio.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let product =
        u128::from(words[0] ^ hash) * u128::from(words[1] ^ hash.rotate_left(32) ^ FACTOR);
    product as u64 ^ (product >> 64) as u64
}

/// Returns the first and the last bytes of a text, which are all of it if it is short. In those of a long
/// text is a hash of it.
#[inline(always)]
fn ends(text: &[u8], seed: u64) -> [u64; 2] {
    let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) else {
        return ends_of_short(text);
    };
    let (first, last) = (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
    if text.len() <= WHOLE_BYTES { [first, last] } else { [first, last ^ hash_of_long(text, seed)] }
}

fn hash_of_long(text: &[u8], seed: u64) -> u64 {
    let (words, _) = text.as_chunks::<8>();
    words.iter().fold(seed, |hash, word| fold([u64::from_le_bytes(*word), hash], seed))
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
