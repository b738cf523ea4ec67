//! The first look in ordinary instructions: two bytes at a time.
//!
//! A text is read in pairs of bytes. A place is the first byte of a pair or the second, so each
//! trigger `abcd` is searched as `ab cd` and as `?a bc d?`. The first form is in some of the lanes,
//! the second in the others, and each lane has three steps. A table returns for each pair the lanes
//! and steps at which no trigger has it. The state of the search is one number: it is shifted by
//! one step for each pair, and what the table returns is added. A zero among its highest bits is a
//! place at which a trigger of that lane may be.

use super::candidates::CandidateBlock;
use super::merge::merge_into;
use super::special::{NUMBER, VENDOR};
use super::weights::ByteWeights;
use super::{PLACE, TriggerPattern, TriggerSet, WORD, has_byte_class};
use crate::bytes::{self, is_digit_lead_byte};

/// The pairs that a place and its neighbors may be in.
const STEPS: usize = 3;
/// The lanes of each step, as many as a number has bits for. The first ones are for places at
/// which a pair begins, the others for places in the middle of a pair.
const LANES: usize = u64::BITS as usize / STEPS;
const EVEN_LANES: usize = 8;
const EVEN_BITS: u64 = (1 << EVEN_LANES) - 1;
/// The first bit of the last step.
const LAST_STEP: usize = u64::BITS as usize - LANES;
/// The least state in which the last step of no lane is reached.
const NO_HIT: u64 = u64::MAX << LAST_STEP;
/// The lowest bit is of no lane. If it were not zero, it would come into one.
const UNUSED: u64 = 1;
/// Nothing was read. At the first place, nothing is before the word.
const START: u64 = !(EVEN_BITS << (LAST_STEP - 2 * LANES) | UNUSED);

/// What the pairs are looked up in.
#[derive(Debug)]
pub(super) struct PairTable(Box<[u64; 1 << 16]>);

/// How far a text was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct PairState {
    at: usize,
    state: u64,
}

impl PairState {
    #[inline]
    pub(super) fn starting_at(at: usize) -> Self {
        Self { at, state: START }
    }

    #[inline]
    pub(super) fn position(self) -> usize {
        self.at
    }

    /// Returns the places of a hit.
    #[inline(always)]
    pub(super) fn block(self) -> CandidateBlock {
        let hits = !self.state >> LAST_STEP;
        let bits = u64::from(hits & EVEN_BITS != 0) << 1 | u64::from(hits > EVEN_BITS);
        CandidateBlock { base: self.at.wrapping_sub(STEPS * 2 - 1), bits }
    }
}

impl PairTable {
    /// Goes on to the next hit for which `check` returns a block that is not empty. Returns this
    /// block, or an empty one if there are no more.
    #[inline(always)]
    pub(super) fn next_block(
        &self,
        text: &[u8],
        from: &mut PairState,
        check: impl Fn(PairState) -> CandidateBlock,
    ) -> CandidateBlock {
        let Some(rest) = text.get(from.at..) else { return CandidateBlock::default() };
        let (pairs, last) = rest.as_chunks::<2>();
        let end = text.len() - last.len();
        // The last pair is incomplete, and the last places need it.
        let tail = [[last.first().copied().unwrap_or_default(), 0]];
        let mut state = from.state;
        for (mut rest, end) in [(pairs, end), (&tail, end + 2)] {
            while self.skip_to_hit(&mut rest, &mut state) {
                let hit = PairState { at: end - 2 * rest.len(), state };
                let block = check(hit);
                if !block.is_empty() {
                    *from = hit;
                    return block;
                }
            }
        }
        *from = PairState { at: end + 2, state };
        CandidateBlock::default()
    }

    /// Removes the pairs up to the next hit, or all if there is none. Returns whether there is one.
    #[inline(always)]
    fn skip_to_hit(&self, rest: &mut &[[u8; 2]], state: &mut u64) -> bool {
        while let Some((pairs, next)) = rest.split_first_chunk::<8>() {
            for (i, pair) in pairs.iter().enumerate() {
                *state = self.advance(*state, *pair);
                if *state < NO_HIT {
                    *rest = &rest[i + 1..];
                    return true;
                }
            }
            *rest = next;
        }
        while let Some((pair, next)) = rest.split_first() {
            *state = self.advance(*state, *pair);
            *rest = next;
            if *state < NO_HIT {
                return true;
            }
        }
        false
    }

    #[inline(always)]
    fn advance(&self, state: u64, pair: [u8; 2]) -> u64 {
        state << LANES | self.0[usize::from(u16::from_le_bytes(pair))]
    }

    pub(super) fn new<'p>(patterns: impl Iterator<Item = &'p TriggerPattern>) -> Self {
        let windows: Vec<Window> =
            patterns.map(Window::from_pattern).chain(Window::non_ascii()).collect();
        let even = Lane::sort(&windows, EVEN_LANES, true);
        let odd = Lane::sort(&windows, LANES - EVEN_LANES, false);
        let mut table =
            Self(vec![!UNUSED; 1 << 16].into_boxed_slice().try_into().expect("it has this length"));
        for (lane, members) in even.iter().enumerate() {
            table.add_even(lane, members);
        }
        for (lane, members) in odd.iter().enumerate() {
            table.add_odd(EVEN_LANES + lane, members);
        }
        table
    }

    /// Lets a lane pass at the place at which a pair begins.
    fn add_even(&mut self, lane: usize, windows: &[&Window]) {
        let are_words = windows.iter().all(|window| window.is_word);
        self.allow(0, lane, ByteSet::ANY, if are_words { not_word() } else { ByteSet::ANY });
        for Window { bytes: [a, b, c, d, _], .. } in windows {
            self.allow(1, lane, *a, *b);
            self.allow(2, lane, *c, *d);
        }
    }

    /// Lets a lane pass at the place in the middle of a pair.
    fn add_odd(&mut self, lane: usize, windows: &[&Window]) {
        for (is_word, before) in [(false, ByteSet::ANY), (true, not_word())] {
            let members = windows.iter().filter(|window| window.is_word == is_word);
            let first = members.fold(ByteSet::NONE, |all, window| all.union(window.bytes[0]));
            self.allow(0, lane, before, first);
        }
        let is_open = |window: &&&Window| window.bytes[PLACE] == ByteSet::ANY;
        let last = windows.iter().filter(is_open);
        let last = last.fold(ByteSet::NONE, |all, window| all.union(window.bytes[3]));
        self.allow(2, lane, last, ByteSet::ANY);
        for window in windows {
            let Window { bytes: [_, b, c, d, e], .. } = window;
            self.allow(1, lane, *b, *c);
            if !is_open(&window) {
                self.allow(2, lane, *d, *e);
            }
        }
    }

    fn allow(&mut self, step: usize, lane: usize, first: ByteSet, second: ByteSet) {
        let bit = 1 << (LAST_STEP - (STEPS - 1 - step) * LANES + lane);
        let first: Vec<u8> = first.iter().collect();
        for second in second.iter() {
            for &first in &first {
                self.0[usize::from(u16::from_le_bytes([first, second]))] &= !bit;
            }
        }
    }
}

/// Some bytes, a bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ByteSet([u64; 4]);

impl ByteSet {
    const NONE: Self = Self([0; 4]);
    const ANY: Self = Self([!0; 4]);

    fn of(bytes: &[u8]) -> Self {
        Self::filled(|byte| bytes.contains(&byte))
    }

    fn filled(has: impl Fn(u8) -> bool) -> Self {
        let mut all = Self::NONE;
        (0..=u8::MAX).filter(|&byte| has(byte)).for_each(|byte| all.add(byte.into()));
        all
    }

    fn add(&mut self, byte: usize) {
        self.0[byte / 64] |= 1 << (byte % 64);
    }

    fn union(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] | other.0[i]))
    }

    fn iter(&self) -> impl Iterator<Item = u8> {
        numbers(&self.0).map(|byte| byte as u8)
    }
}

/// Returns the bytes that may be before a word.
fn not_word() -> ByteSet {
    ByteSet::filled(|byte| !has_byte_class(byte, WORD))
}

/// A trigger and the byte after it.
#[derive(Clone, Copy, Debug)]
struct Window {
    bytes: [ByteSet; PLACE + 1],
    is_word: bool,
}

impl Window {
    const NON_ASCII: usize = 6;

    fn from_pattern(pattern: &TriggerPattern) -> Self {
        let [a, b, c, d] = pattern.bytes.map(ByteSet::of);
        let next = match *pattern {
            NUMBER => ByteSet::filled(|byte| has_byte_class(byte, bytes::NUMBER)),
            VENDOR => d,
            _ => ByteSet::ANY,
        };
        Self { bytes: [a, b, c, d, next], is_word: pattern.is_word }
    }

    /// Returns the places of [`may_begin_non_ascii`](super::may_begin_non_ascii).
    fn non_ascii() -> [Self; Self::NON_ASCII] {
        let any = ByteSet::ANY;
        let (sign, non_ascii) = (ByteSet::of(b"@"), ByteSet::filled(|byte| byte >= 0x80));
        [
            [ByteSet::filled(is_digit_lead_byte), any, any],
            [ByteSet::of(&[0xE2]), ByteSet::of(&[0x80, 0x81]), any],
            [ByteSet::of(&[0xC2]), ByteSet::of(&[0xAD]), any],
            [non_ascii, sign, any],
            [sign, non_ascii, any],
            [sign, any, non_ascii],
        ]
        .map(|[a, b, c]| Self { bytes: [a, b, c, any, any], is_word: false })
    }
}

/// Windows that share a lane, and what a hit needs.
#[derive(Clone, Copy)]
struct Lane {
    /// The windows, by number.
    members: Bits,
    needs: Needs,
}

/// What a hit needs, and how often it occurs.
#[derive(Clone, Copy)]
enum Needs {
    /// Two pairs. If all are at the beginning of a word, places are rarer.
    Even { pairs: [Rated<Bits>; 2], are_words: bool },
    /// A byte, a pair, and a byte. The first byte is one of two sets: of triggers that may be inside
    /// of a word, and of the others.
    Odd { first: [Rated<ByteSet>; 2], pair: Rated<Bits>, last: Rated<ByteSet> },
}

/// How many of the places with the bytes of a trigger are at the beginning of a word, roughly. With
/// these values, the fewest places of transcripts are mistaken for one.
const WORD_PART: f32 = 0.15;
const WORD_PART_ODD: f32 = 0.3;

/// Some things by their number, a bit for each.
type Bits = [u64; 7];
const _: () = assert!(TriggerSet::MAX + 2 + Window::NON_ASCII <= 7 * 64, "each window has a bit");

/// Returns the numbers of the bits.
fn numbers(bits: &[u64]) -> impl Iterator<Item = usize> {
    bits.iter().enumerate().flat_map(|(i, &word)| {
        let mut word = word;
        std::iter::from_fn(move || {
            let next = 64 * i + word.trailing_zeros() as usize;
            let has_any = word != 0;
            word &= word.wrapping_sub(1);
            has_any.then_some(next)
        })
    })
}

/// Some things, and the sum of their weights.
#[derive(Clone, Copy)]
struct Rated<S> {
    set: S,
    weight: f32,
}

/// Things that are in the sets of several lanes, and their weights.
trait Weights<S> {
    fn union(one: S, other: S) -> S;

    /// Returns the weight of what both sets have.
    fn common(&self, one: S, other: S) -> f32;

    fn rate(&self, set: S) -> Rated<S>
    where
        S: Copy,
    {
        Rated { set, weight: self.common(set, set) }
    }

    fn union_weight(&self, one: &Rated<S>, other: &Rated<S>) -> f32
    where
        S: Copy,
    {
        one.weight + other.weight - self.common(one.set, other.set)
    }

    fn merge(&self, one: &Rated<S>, other: &Rated<S>) -> Rated<S>
    where
        S: Copy,
    {
        let weight = self.union_weight(one, other);
        Rated { set: Self::union(one.set, other.set), weight }
    }
}

/// The different pairs of some windows, and how often they occur.
#[derive(Default)]
struct Pairs {
    sets: Vec<[ByteSet; 2]>,
    weights: Vec<f32>,
}

impl Pairs {
    fn number_of(&mut self, sets: [ByteSet; 2], weights: &ByteWeights) -> Rated<Bits> {
        let number = self.sets.iter().position(|known| *known == sets).unwrap_or_else(|| {
            self.sets.push(sets);
            self.weights.push(sets.map(|set| weights.rate(set).weight).into_iter().product());
            self.sets.len() - 1
        });
        self.rate(bit(number))
    }
}

impl Weights<Bits> for Pairs {
    fn union(one: Bits, other: Bits) -> Bits {
        std::array::from_fn(|i| one[i] | other[i])
    }

    #[inline]
    fn common(&self, one: Bits, other: Bits) -> f32 {
        let common: Bits = std::array::from_fn(|i| one[i] & other[i]);
        match common.iter().fold(0, |all, word| all | word) {
            0 => 0.0,
            _ => numbers(&common).map(|number| self.weights[number]).sum(),
        }
    }
}

impl Weights<ByteSet> for ByteWeights {
    fn union(one: ByteSet, other: ByteSet) -> ByteSet {
        one.union(other)
    }

    #[inline]
    fn common(&self, one: ByteSet, other: ByteSet) -> f32 {
        let mut sum = 0.0;
        for i in 0..4 {
            let word = one.0[i] & other.0[i];
            if word != 0 {
                sum += self.sum(8 * i, &word.to_le_bytes());
            }
        }
        sum
    }
}

/// Returns the set of one thing.
fn bit(number: usize) -> Bits {
    let mut bits = Bits::default();
    bits[number / 64] |= 1 << (number % 64);
    bits
}

impl Lane {
    /// Spreads windows over so many lanes that few places are mistaken for one. Returns the members
    /// of each lane.
    fn sort(windows: &[Window], count: usize, is_even: bool) -> Vec<Vec<&Window>> {
        let (bytes, mut pairs) = (ByteWeights::new(), [Pairs::default(), Pairs::default()]);
        let [pairs_before, pairs_after] = &mut pairs;
        let lanes = windows.iter().enumerate().map(|(number, window)| {
            let [a, b, c, d, _] = window.bytes;
            let is_word = window.is_word;
            let needs = if is_even {
                let pairs =
                    [pairs_before.number_of([a, b], &bytes), pairs_after.number_of([c, d], &bytes)];
                Needs::Even { pairs, are_words: is_word }
            } else {
                let first = [!is_word, is_word].map(|is| if is { a } else { ByteSet::NONE });
                let pair = pairs_before.number_of([b, c], &bytes);
                Needs::Odd { first: first.map(|set| bytes.rate(set)), pair, last: bytes.rate(d) }
            };
            Self { members: bit(number), needs }
        });
        let lanes: Vec<_> = lanes.collect();
        let merge = |one: &Self, other: &Self| Self {
            members: Pairs::union(one.members, other.members),
            needs: one.needs.merge(&other.needs, &pairs, &bytes),
        };
        let weight =
            |one: &Self, other: &Self| one.needs.merged_weight(&other.needs, &pairs, &bytes);
        // First those near each other in the list: all at once takes three times as long.
        let lanes = lanes.chunks(64).flat_map(|near| merge_into(16, near.to_vec(), merge, weight));
        let lanes = merge_into(count, lanes.collect(), merge, weight);
        let members = |lane: &Self| numbers(&lane.members).map(|i| &windows[i]).collect();
        lanes.iter().map(members).collect()
    }
}

impl Needs {
    fn merge(&self, other: &Self, pairs: &[Pairs; 2], bytes: &ByteWeights) -> Self {
        match (self, other) {
            (
                Self::Even { pairs: one, are_words },
                Self::Even { pairs: other, are_words: are_others },
            ) => Self::Even {
                pairs: [0, 1].map(|i| pairs[i].merge(&one[i], &other[i])),
                are_words: *are_words && *are_others,
            },
            (
                Self::Odd { first, pair, last },
                Self::Odd { first: other, pair: other_pair, last: other_last },
            ) => Self::Odd {
                first: [0, 1].map(|i| bytes.merge(&first[i], &other[i])),
                pair: pairs[0].merge(pair, other_pair),
                last: bytes.merge(last, other_last),
            },
            _ => *self,
        }
    }

    /// Returns how often both together occur.
    fn merged_weight(&self, other: &Self, pairs: &[Pairs; 2], bytes: &ByteWeights) -> f32 {
        match (self, other) {
            (
                Self::Even { pairs: one, are_words },
                Self::Even { pairs: other, are_words: are_others },
            ) => {
                let part = if *are_words && *are_others { WORD_PART } else { 1.0 };
                part * pairs[0].union_weight(&one[0], &other[0])
                    * pairs[1].union_weight(&one[1], &other[1])
            }
            (
                Self::Odd { first, pair, last },
                Self::Odd { first: other, pair: other_pair, last: other_last },
            ) => {
                let union = |i: usize| ByteWeights::union(first[i].set, other[i].set);
                let any = bytes.union_weight(&first[0], &other[0]);
                let words = bytes.union_weight(&first[1], &other[1]);
                let only = words - bytes.common(union(0), union(1));
                (any + WORD_PART_ODD * only)
                    * pairs[0].union_weight(pair, other_pair)
                    * bytes.union_weight(last, other_last)
            }
            _ => f32::INFINITY,
        }
    }
}
