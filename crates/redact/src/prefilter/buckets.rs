//! The tables with which vectors find the places at which a trigger may be.

use super::merge::merge_into;
use super::special::NUMBER;
use super::weights::ByteWeights;
use super::{PLACE, TriggerPattern};

/// The buckets of triggers.
#[derive(Debug)]
pub(super) struct BucketTables {
    /// Triggers at the beginning of a word.
    pub(super) words: Buckets,
    /// The others.
    pub(super) anywhere: [Buckets; 3],
}

impl BucketTables {
    pub(super) fn new<'p>(patterns: impl Iterator<Item = &'p TriggerPattern> + Clone) -> Self {
        let of_words = |is_word| {
            let wanted =
                move |pattern: &&TriggerPattern| pattern.is_word == is_word && **pattern != NUMBER;
            patterns.clone().filter(wanted)
        };
        let anywhere = sort_into_buckets(of_words(false), 24);
        // Numbers are more frequent than their digits alone say. Nothing shares their bucket.
        let mut words = sort_into_buckets(of_words(true), 7);
        words.push(ByteSets::from_pattern(&NUMBER));
        Self {
            words: Buckets::from_sets(&words),
            anywhere: [0, 8, 16].map(|i| Buckets::from_sets(anywhere.get(i..).unwrap_or_default())),
        }
    }
}

/// The tables of eight buckets by the byte itself, if it is ASCII, for each byte of a place, and by
/// the first two mixed.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Buckets {
    pub(super) bytes: [[u8; 128]; PLACE],
    pub(super) heads: [u8; 128],
}

impl Buckets {
    fn from_sets(buckets: &[ByteSets]) -> Self {
        let table = |of: &dyn Fn(&ByteSets) -> u128| {
            std::array::from_fn(|byte| {
                let has = |b: usize| buckets.get(b).map_or(0, |b| (of(b) >> byte & 1) as u8);
                (0..8).map(|bucket| has(bucket) << bucket).sum()
            })
        };
        Self {
            bytes: std::array::from_fn(|i| table(&|sets| sets.bytes[i])),
            heads: table(&|sets| sets.heads),
        }
    }
}

/// Mixes two ASCII bytes into one.
fn mix_two_bytes(first: u8, second: u8) -> u8 {
    (first << 2 ^ second) & 0x7F
}

/// The bytes of some patterns, a bit for each, and the first two mixed.
#[derive(Clone, Copy, Default)]
struct ByteSets {
    bytes: [u128; PLACE],
    heads: u128,
}

impl ByteSets {
    fn from_pattern(pattern: &TriggerPattern) -> Self {
        // A text is read with zeros after its end.
        debug_assert!(
            pattern.bytes.iter().all(|set| set.iter().all(|byte| (1..0x80).contains(byte)))
        );
        let [first, second, ..] = pattern.bytes;
        let heads = first.iter().flat_map(|a| second.iter().map(|b| mix_two_bytes(*a, *b)));
        let bytes = pattern.bytes.map(|set| set.iter().fold(0, |all, byte| all | 1 << byte));
        Self { bytes, heads: heads.fold(0, |all, head| all | 1 << head) }
    }

    fn union(&self, other: &Self) -> Self {
        Self {
            bytes: std::array::from_fn(|i| self.bytes[i] | other.bytes[i]),
            heads: self.heads | other.heads,
        }
    }

    /// Returns how often places have such bytes, in arbitrary units.
    fn weight(&self, weights: &ByteWeights) -> f32 {
        self.bytes.into_iter().map(|set| weights.sum(0, &set.to_le_bytes())).product()
    }
}

/// Sorts patterns into so many buckets that few places are mistaken for one.
fn sort_into_buckets<'p>(
    patterns: impl Iterator<Item = &'p TriggerPattern>,
    count: usize,
) -> Vec<ByteSets> {
    let weights = ByteWeights::new();
    let buckets = patterns.map(ByteSets::from_pattern).collect();
    merge_into(count, buckets, ByteSets::union, |one, other| one.union(other).weight(&weights))
}
