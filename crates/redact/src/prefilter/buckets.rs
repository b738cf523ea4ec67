//! The tables with which vectors find the places at which a trigger may be.

use super::special::NUMBER;
use super::weights::byte_weight;
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

/// A table by half a byte, twice: both halves of a vector are shuffled separately, and a plain load is
/// cheaper than one that repeats the table.
pub(super) type HalfTable = [u8; 32];

pub(super) const fn half_table(table: [u8; 16]) -> HalfTable {
    let mut both = [0; 32];
    let mut i = 0;
    while i < both.len() {
        both[i] = table[i % 16];
        i += 1;
    }
    both
}

/// The tables of eight buckets, for each byte of a place. If vectors can look up no more, they use
/// the tables by lower and by upper half of the byte. Otherwise they use those by the whole byte.
#[derive(Clone, Debug)]
pub(super) struct Buckets {
    pub(super) low: [HalfTable; PLACE],
    pub(super) high: [HalfTable; PLACE],
    pub(super) exact: WholeByteTables,
}

impl Buckets {
    fn from_sets(buckets: &[ByteSets]) -> Self {
        let table = |i: usize, half: fn((u16, u16)) -> u16| {
            std::array::from_fn(|value| {
                let has =
                    |b: usize| buckets.get(b).map_or(0, |b| half(b.halves[i]) >> value & 1) as u8;
                (0..8).map(|bucket| has(bucket) << bucket).sum()
            })
        };
        let exact = |of: &dyn Fn(&ByteSets) -> u128| {
            std::array::from_fn(|byte| {
                let has = |b: usize| buckets.get(b).map_or(0, |b| (of(b) >> byte & 1) as u8);
                (0..8).map(|bucket| has(bucket) << bucket).sum()
            })
        };
        Self {
            low: std::array::from_fn(|i| half_table(table(i, |halves| halves.0))),
            high: std::array::from_fn(|i| half_table(table(i, |halves| halves.1))),
            exact: WholeByteTables {
                bytes: std::array::from_fn(|i| exact(&|sets| sets.bytes[i])),
                heads: exact(&|sets| sets.heads),
            },
        }
    }
}

/// Tables by the byte itself, if it is ASCII, for each byte of a place, and by the first two mixed.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct WholeByteTables {
    pub(super) bytes: [[u8; 128]; PLACE],
    pub(super) heads: [u8; 128],
}

/// Mixes two ASCII bytes into one.
fn mix_two_bytes(first: u8, second: u8) -> u8 {
    (first << 2 ^ second) & 0x7F
}

/// The bytes of some patterns, a bit for each: their lower and upper halves, the bytes, and the first
/// two mixed.
#[derive(Clone, Copy, Default)]
struct ByteSets {
    halves: [(u16, u16); PLACE],
    bytes: [u128; PLACE],
    heads: u128,
}

impl ByteSets {
    fn from_pattern(pattern: &TriggerPattern) -> Self {
        let halves = pattern.bytes.map(|set| {
            let bits = |half: fn(u8) -> u8| set.iter().fold(0, |all, byte| all | 1 << half(*byte));
            (bits(|byte| byte & 15), bits(|byte| byte >> 4))
        });
        // A text is read with zeros after its end.
        debug_assert!(
            pattern.bytes.iter().all(|set| set.iter().all(|byte| (1..0x80).contains(byte)))
        );
        let [first, second, ..] = pattern.bytes;
        let heads = first.iter().flat_map(|a| second.iter().map(|b| mix_two_bytes(*a, *b)));
        let bytes = pattern.bytes.map(|set| set.iter().fold(0, |all, byte| all | 1 << byte));
        Self { halves, bytes, heads: heads.fold(0, |all, head| all | 1 << head) }
    }

    fn union(self, other: Self) -> Self {
        let half = |i: usize| {
            let ((low, high), (other_low, other_high)) = (self.halves[i], other.halves[i]);
            (low | other_low, high | other_high)
        };
        Self {
            halves: std::array::from_fn(half),
            bytes: std::array::from_fn(|i| self.bytes[i] | other.bytes[i]),
            heads: self.heads | other.heads,
        }
    }

    /// Returns how often places have such bytes, in arbitrary units.
    fn weight(self, weights: &HalfWeights) -> f32 {
        let of = |(low, high): (u16, u16)| -> f32 {
            let rows = weights.0.iter().enumerate().filter(|(row, _)| high >> row & 1 == 1);
            let [first, second] = low.to_le_bytes().map(usize::from);
            rows.map(|(_, row)| row[0][first] + row[1][second]).sum()
        };
        self.halves.into_iter().map(of).product()
    }
}

/// The sums of the weights of any lower halves, for each upper half of an ASCII byte. The first sum
/// is of the eight smaller halves, the second of the eight greater.
struct HalfWeights([[[f32; 256]; 2]; 8]);

impl HalfWeights {
    fn new() -> Self {
        let sum = |high: usize, part: usize, lows: usize| -> f32 {
            let lows = (0..8).filter(|low| lows >> low & 1 == 1);
            lows.map(|low| byte_weight((high << 4 | part << 3 | low) as u8) as f32).sum()
        };
        let row = |high| [0, 1].map(|part| std::array::from_fn(|lows| sum(high, part, lows)));
        Self(std::array::from_fn(row))
    }
}

/// Sorts patterns into so many buckets that few places are mistaken for one. At first each pattern
/// has a bucket. Then the two buckets that add the least together become one, until so many are
/// left.
fn sort_into_buckets<'p>(
    patterns: impl Iterator<Item = &'p TriggerPattern>,
    count: usize,
) -> Vec<ByteSets> {
    let weights = HalfWeights::new();
    let rated = |sets: ByteSets| (sets, sets.weight(&weights));
    let mut buckets: Vec<_> =
        patterns.map(|pattern| rated(ByteSets::from_pattern(pattern))).collect();
    // The later bucket that fits best with each, and what both add together.
    let best = |buckets: &[(ByteSets, f32)], i: usize| {
        let more = |j: usize| {
            buckets[i].0.union(buckets[j].0).weight(&weights) - buckets[i].1 - buckets[j].1
        };
        let all = (i + 1..buckets.len()).map(|j| (j, more(j)));
        all.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((i, f32::INFINITY))
    };
    let mut pairs: Vec<_> = (0..buckets.len()).map(|i| best(&buckets, i)).collect();
    while buckets.len() > count {
        let least = (0..pairs.len()).min_by(|&a, &b| pairs[a].1.total_cmp(&pairs[b].1));
        let Some(one) = least else { break };
        let other = pairs[one].0;
        buckets[one] = rated(buckets[one].0.union(buckets[other].0));
        let last = buckets.len() - 1;
        buckets.swap_remove(other);
        pairs.swap_remove(other);
        for i in 0..last {
            if i == one || i == other || [one, other, last].contains(&pairs[i].0) {
                pairs[i] = best(&buckets, i);
            } else if i < one {
                let more = buckets[i].0.union(buckets[one].0).weight(&weights)
                    - buckets[i].1
                    - buckets[one].1;
                if more < pairs[i].1 {
                    pairs[i] = (one, more);
                }
            }
        }
    }
    buckets.into_iter().map(|(sets, _)| sets).collect()
}
