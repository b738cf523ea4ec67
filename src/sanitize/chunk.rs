//! At which places of a text may a match begin, or be told of? A filter over four bytes at each
//! place, with vector instructions where the machine has them, else byte by byte; both say the same.
//!
//! Every trigger lies in one of 24 buckets, eight of them for triggers that stand at the beginning of a
//! word. Of each byte of a place a table says in which buckets a trigger has such a byte there. AVX2
//! looks up sixteen entries: two tables, one for each half of the byte, stand for the one (as in Teddy,
//! of Hyperscan and `aho-corasick`), and what they mistake is looked at again. AVX-512 looks up the
//! byte. A place where all four agree on a bucket is looked at a second time, by pairs of bytes. So the
//! filter says yes at every trigger, and rarely elsewhere.

use super::unicode::{WORD, is, is_digit_lead};

/// Bytes that are looked at of each place.
pub(super) const PLACE: usize = 4;

/// What is looked for: each byte one of a set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pattern {
    pub(super) bytes: [&'static [u8]; PLACE],
    /// No letter, digit or underscore stands before it.
    pub(super) is_word: bool,
}

/// The tables of eight buckets: for each byte of a place, the buckets by its lower and by its upper
/// half, for vectors that can look up no more; and by the whole of it.
#[derive(Clone, Debug)]
struct Buckets {
    low: [[u8; 16]; PLACE],
    high: [[u8; 16]; PLACE],
    /// By the byte itself, where it is ASCII.
    exact: Exact,
}

/// Each half of a table in a cache line of its own.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Exact([[u8; 128]; PLACE]);

/// Of the bytes of some patterns the halves, a bit for each, and the bytes, a bit for each.
#[derive(Clone, Copy, Default)]
struct Halves([(u16, u16); PLACE], [u128; PLACE]);

impl Halves {
    fn of(pattern: &Pattern) -> Self {
        let halves = pattern.bytes.map(|set| {
            let bits = |half: fn(u8) -> u8| set.iter().fold(0, |all, byte| all | 1 << half(*byte));
            (bits(|byte| byte & 15), bits(|byte| byte >> 4))
        });
        // A text is read with zeros behind its end.
        debug_assert!(
            pattern.bytes.iter().all(|set| set.iter().all(|byte| (1..0x80).contains(byte)))
        );
        Self(halves, pattern.bytes.map(|set| set.iter().fold(0, |all, byte| all | 1 << byte)))
    }

    fn or(self, other: Self) -> Self {
        Self(
            std::array::from_fn(|i| (self.0[i].0 | other.0[i].0, self.0[i].1 | other.0[i].1)),
            std::array::from_fn(|i| self.1[i] | other.1[i]),
        )
    }

    /// How often places are met that have such bytes, in arbitrary units.
    fn rate(self, weights: &HalfWeights) -> f32 {
        let of = |(low, high): (u16, u16)| -> f32 {
            let rows = weights.0.iter().enumerate().filter(|(row, _)| high >> row & 1 == 1);
            let [first, second] = low.to_le_bytes().map(usize::from);
            rows.map(|(_, row)| row[0][first] + row[1][second]).sum()
        };
        self.0.into_iter().map(of).product()
    }
}

/// For each upper half of an ASCII byte, the sum of the weights of any lower halves: of the eight
/// smaller ones, and of the eight greater.
struct HalfWeights([[[f32; 256]; 2]; 8]);

impl HalfWeights {
    fn new() -> Self {
        let sum = |high: usize, part: usize, lows: usize| -> f32 {
            let lows = (0..8).filter(|low| lows >> low & 1 == 1);
            lows.map(|low| weight((high << 4 | part << 3 | low) as u8) as f32).sum()
        };
        let row = |high| [0, 1].map(|part| std::array::from_fn(|lows| sum(high, part, lows)));
        Self(std::array::from_fn(row))
    }
}

/// Sorts patterns into so many buckets that few places are mistaken for one: beginning with a bucket
/// for each, those two become one that add the least by it, until so many are left.
fn sorted<'p>(patterns: impl Iterator<Item = &'p Pattern>, count: usize) -> Vec<Halves> {
    let weights = HalfWeights::new();
    let rated = |halves: Halves| (halves, halves.rate(&weights));
    let mut buckets: Vec<_> = patterns.map(|pattern| rated(Halves::of(pattern))).collect();
    // The later bucket that goes best with each, and what both add as one.
    let best = |buckets: &[(Halves, f32)], i: usize| {
        let more =
            |j: usize| buckets[i].0.or(buckets[j].0).rate(&weights) - buckets[i].1 - buckets[j].1;
        let all = (i + 1..buckets.len()).map(|j| (j, more(j)));
        all.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((i, f32::INFINITY))
    };
    let mut pairs: Vec<_> = (0..buckets.len()).map(|i| best(&buckets, i)).collect();
    while buckets.len() > count {
        let least = (0..pairs.len()).min_by(|&a, &b| pairs[a].1.total_cmp(&pairs[b].1));
        let Some(one) = least else { break };
        let other = pairs[one].0;
        buckets[one] = rated(buckets[one].0.or(buckets[other].0));
        let last = buckets.len() - 1;
        buckets.swap_remove(other);
        pairs.swap_remove(other);
        for i in 0..last {
            if i == one || i == other || [one, other, last].contains(&pairs[i].0) {
                pairs[i] = best(&buckets, i);
            } else if i < one {
                let more =
                    buckets[i].0.or(buckets[one].0).rate(&weights) - buckets[i].1 - buckets[one].1;
                if more < pairs[i].1 {
                    pairs[i] = (one, more);
                }
            }
        }
    }
    buckets.into_iter().map(|(halves, _)| halves).collect()
}

/// The tables of the filter.
#[derive(Debug)]
pub(super) struct Filter {
    /// Of triggers at the beginning of a word.
    words: Buckets,
    /// Of the others.
    anywhere: [Buckets; 2],
    /// For each two ASCII bytes, the groups in which a trigger begins, or ends, with them.
    pairs: [Box<[u32; PAIRS]>; 2],
}

const PAIRS: usize = 128 * 128;
/// Into so many groups triggers are sorted for the second look.
pub(super) const GROUPS: usize = 32;

/// The last group, which is that of [`NUMBER`] alone.
const NUMBERS: u32 = 1 << (GROUPS - 1);
const DIGITS: &[u8] = b"0123456789";

/// How a card or a social security number begins whose first digits are ASCII.
const NUMBER: Pattern = Pattern { bytes: [DIGITS, DIGITS, DIGITS, b"0123456789- "], is_word: true };

/// Whether what stands behind three digits may go on as a number that a rule looks for: none is
/// shorter than eleven bytes, none has a byte from `:` to the end of ASCII.
#[inline]
pub(super) fn may_be_number(text: &[u8], at: usize) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let Some(next) = text.get(at + 3..).and_then(|text| text.first_chunk()) else { return false };
    let next = u64::from_le_bytes(*next);
    let from_colon = (next & (EACH * 0x7F)) + EACH * (0x80 - b':' as u64);
    from_colon & !next & (EACH * 0x80) == 0
}

/// Places that are decided together, at most.
const SPAN: usize = 64;

/// Candidates among [`SPAN`] places of a text.
///
/// It is as small as it is to be returned in two registers: it is asked for of every text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Candidates {
    /// The place of bit 0.
    base: usize,
    bits: u64,
}

impl Candidates {
    /// Among half as many places.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    fn of_half(base: usize, bits: u32) -> Self {
        // The places in front of them are none.
        Self { base: base.wrapping_sub(SPAN / 2), bits: u64::from(bits) << (SPAN / 2) }
    }

    /// Whether there is none.
    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self.bits == 0
    }

    /// The next one, taken out.
    #[inline]
    pub(super) fn next(&mut self) -> Option<usize> {
        let place = self.base.wrapping_add(self.bits.trailing_zeros() as usize);
        let has_any = self.bits != 0;
        self.bits &= self.bits.wrapping_sub(1);
        has_any.then_some(place)
    }

    /// The first place that was not decided.
    #[inline]
    pub(super) fn behind(self) -> usize {
        self.base.wrapping_add(SPAN)
    }
}

/// How often a byte stands in what agents log, roughly: of two thousand.
fn weight(byte: u8) -> f64 {
    const LETTERS: [u8; 26] = [
        70, 12, 30, 35, 100, 15, 15, 30, 62, 2, 6, 35, 22, 65, 65, 22, 1, 60, 60, 75, 25, 8, 10, 3,
        12, 1,
    ];
    match byte {
        b' ' => 200.0,
        b'a'..=b'z' => f64::from(LETTERS[usize::from(byte - b'a')]),
        b'0'..=b'9' => 20.0,
        b'A'..=b'Z' => 6.0,
        b'-' | b'_' | b'.' | b',' | b'"' | b':' | b'/' | b'=' | b'\n' => 15.0,
        b'!'..=b'~' => 4.0,
        _ => 0.5,
    }
}

fn weights(bytes: &[u8]) -> f64 {
    bytes.iter().copied().map(weight).sum()
}

/// How often places are met that have one byte of each set, in arbitrary units: which four bytes of
/// a longer text make a good trigger.
pub(super) fn rarity(bytes: [&[u8]; PLACE]) -> f64 {
    bytes.into_iter().map(weights).product()
}

impl Buckets {
    fn of_halves(buckets: &[Halves]) -> Self {
        let table = |i: usize, half: fn((u16, u16)) -> u16| {
            std::array::from_fn(|value| {
                let has = |b: usize| buckets.get(b).map_or(0, |b| half(b.0[i]) >> value & 1) as u8;
                (0..8).map(|bucket| has(bucket) << bucket).sum()
            })
        };
        let exact = |i: usize| {
            std::array::from_fn(|byte| {
                let has = |b: usize| buckets.get(b).map_or(0, |b| (b.1[i] >> byte & 1) as u8);
                (0..8).map(|bucket| has(bucket) << bucket).sum()
            })
        };
        Self {
            low: std::array::from_fn(|i| table(i, |halves| halves.0)),
            high: std::array::from_fn(|i| table(i, |halves| halves.1)),
            exact: Exact(std::array::from_fn(exact)),
        }
    }

    /// The buckets that have such bytes; none has one outside ASCII.
    fn of(&self, place: &[u8; PLACE]) -> u8 {
        let of = |(table, &byte): (&[u8; 128], &u8)| table.get(usize::from(byte)).map_or(0, |b| *b);
        self.exact.0.iter().zip(place).map(of).fold(!0, |all, buckets| all & buckets)
    }
}

/// A group's pairs of bytes, and how often they are met.
struct Group {
    heads: f64,
    tails: f64,
}

impl Filter {
    /// A filter that says yes wherever one of `patterns` stands, and wherever a number may begin; and
    /// of each pattern the group.
    pub(super) fn new(patterns: &[Pattern]) -> (Self, Vec<usize>) {
        let of_words = |is_word| {
            patterns.iter().chain([&NUMBER]).filter(move |pattern| pattern.is_word == is_word)
        };
        let none = || Box::new([0; PAIRS]);
        let anywhere = sorted(of_words(false), 16);
        let mut filter = Self {
            words: Buckets::of_halves(&sorted(of_words(true), 8)),
            anywhere: [0, 8].map(|i| Buckets::of_halves(anywhere.get(i..).unwrap_or_default())),
            pairs: [none(), none()],
        };
        let mut sums: [_; GROUPS] = std::array::from_fn(|_| Group { heads: 0.0, tails: 0.0 });
        let mut groups = vec![0; patterns.len()];
        let mut order: Vec<_> = (0..patterns.len()).collect();
        let width = |i: usize| patterns[i].bytes.iter().map(|set| set.len()).sum::<usize>();
        order.sort_by_key(|&i| std::cmp::Reverse(width(i)));
        for i in order {
            let pattern = patterns[i];
            let [a, b, c, d] = pattern.bytes;
            let more = |group: usize, half: usize, one: &[u8], other: &[u8]| -> f64 {
                let is_new = |&(a, b): &(u8, u8)| filter.pairs[half][pair(a, b)] >> group & 1 == 0;
                pairs(one, other).filter(is_new).map(|(a, b)| weight(a) * weight(b)).sum()
            };
            let with = |group: usize| Group {
                heads: sums[group].heads + more(group, 0, a, b),
                tails: sums[group].tails + more(group, 1, c, d),
            };
            let cost = |group: usize| {
                let (before, with) = (&sums[group], with(group));
                with.heads * with.tails - before.heads * before.tails
            };
            let cheapest =
                (0..GROUPS - 1).min_by(|&a, &b| cost(a).total_cmp(&cost(b))).unwrap_or(0);
            sums[cheapest] = with(cheapest);
            groups[i] = cheapest;
            pairs(a, b).for_each(|(a, b)| filter.pairs[0][pair(a, b)] |= 1 << cheapest);
            pairs(c, d).for_each(|(a, b)| filter.pairs[1][pair(a, b)] |= 1 << cheapest);
        }
        let [a, b, c, d] = NUMBER.bytes;
        pairs(a, b).for_each(|(a, b)| filter.pairs[0][pair(a, b)] |= NUMBERS);
        pairs(c, d).for_each(|(a, b)| filter.pairs[1][pair(a, b)] |= NUMBERS);
        (filter, groups)
    }

    /// The groups in which a trigger has the first two bytes of a place, and one the last two. Bytes
    /// outside ASCII are taken for others.
    #[inline]
    pub(super) fn groups(&self, place: &[u8; PLACE]) -> u32 {
        let [heads, tails] = &self.pairs;
        heads[pair(place[0], place[1])] & tails[pair(place[2], place[3])]
    }

    /// Whether there is a group for the place `at`, and more than three digits if it is that of numbers.
    #[inline]
    fn is_likely(&self, bytes: &[u8], at: usize) -> bool {
        let Some(place) = bytes[at..].first_chunk() else { return false };
        match self.groups(place) {
            0 => false,
            NUMBERS => may_be_number(bytes, at),
            _ => true,
        }
    }

    /// Whether the place `at` of the segment from `edge` on is in a bucket.
    #[inline]
    fn is_in_bucket(&self, bytes: &[u8], at: usize, edge: usize) -> bool {
        let Some(place) = bytes[at..].first_chunk() else { return false };
        let begins = !(at > edge && is(bytes[at - 1], WORD));
        let anywhere = self.anywhere.iter().fold(0, |all, buckets| all | buckets.of(place));
        anywhere | if begins { self.words.of(place) } else { 0 } != 0
    }

    /// Those of the places behind `at` at which `is_meant` holds.
    #[inline]
    fn those(at: usize, mut places: u64, is_meant: impl Fn(usize) -> bool) -> u64 {
        let mut those = 0;
        while places != 0 {
            let place = places.trailing_zeros();
            those |= u64::from(is_meant(at + place as usize)) << place;
            places &= places - 1;
        }
        those
    }

    /// Whether `at` is a candidate of `bytes`, of which three are there. `edge` is the beginning of
    /// the segment: what stands before it does not count.
    fn is_candidate(&self, bytes: &[u8], at: usize, edge: usize) -> bool {
        self.is_in_bucket(bytes, at, edge) && self.is_likely(bytes, at) || is_foreign(bytes, at)
    }

    /// All candidates behind `edge`: as they are found, or as they are told.
    #[cfg(fuzzing)]
    pub(super) fn places(&self, text: &[u8], edge: usize, by_vectors: bool) -> Vec<usize> {
        if text.len() < MATCH_BYTES_MIN {
            return Vec::new();
        }
        if !by_vectors {
            let last = (text.len() + 1).saturating_sub(FOREIGN);
            return (edge..last).filter(|&at| self.is_candidate(text, at, edge)).collect();
        }
        let (mut places, mut found) = (Vec::new(), self.scan(text, edge, edge));
        while !found.is_empty() {
            let next = found.behind();
            places.extend(std::iter::from_fn(|| found.next()));
            found = self.scan(text, next, edge);
        }
        places
    }

    /// The candidates among the first places from `from` on that have any; none where there is no
    /// more.
    ///
    /// Candidates are: every trigger; every byte that a digit outside ASCII may begin with, which those
    /// of full-width forms are too; and where a zero-width character may stand.
    #[inline]
    pub(super) fn scan(&self, bytes: &[u8], from: usize, edge: usize) -> Candidates {
        if bytes.len() < MATCH_BYTES_MIN {
            return Candidates { base: bytes.len(), bits: 0 };
        }
        #[cfg(target_arch = "x86_64")]
        // A short text costs less than reading the tables of bytes.
        if bytes.len() >= SPAN
            && std::arch::is_x86_feature_detected!("avx512vbmi")
            && std::arch::is_x86_feature_detected!("avx512bw")
        {
            // SAFETY: the machine has AVX-512 with its instructions for bytes.
            #[allow(unsafe_code)]
            return unsafe { avx512::scan(self, bytes, from, edge) };
        } else if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the machine has AVX2.
            #[allow(unsafe_code)]
            return unsafe { avx2::scan(self, bytes, from, edge) };
        }
        self.scan_portable(bytes, from, edge)
    }

    /// As [`Filter::scan`] says, of six bytes and more.
    fn scan_portable(&self, bytes: &[u8], from: usize, edge: usize) -> Candidates {
        let last = (bytes.len() + 1).saturating_sub(FOREIGN);
        let Some(base) = (from..last).find(|&at| self.is_candidate(bytes, at, edge)) else {
            return Candidates { base: bytes.len(), bits: 0 };
        };
        let places = base..last.min(base + SPAN);
        let bit = |at: usize| u64::from(self.is_candidate(bytes, at, edge)) << (at - base);
        Candidates { base, bits: places.map(bit).sum() }
    }
}

/// No match is shorter.
const MATCH_BYTES_MIN: usize = 6;
/// The least bytes of what is a candidate for not being ASCII.
const FOREIGN: usize = 3;

/// Whether a digit outside ASCII, a full-width form or a zero-width character may begin at `at`,
/// behind which two bytes stand.
fn is_foreign(bytes: &[u8], at: usize) -> bool {
    is_digit_lead(bytes[at]) || matches!(bytes[at..], [0xE2, 0x80 | 0x81, ..])
}

fn pairs<'s>(firsts: &'s [u8], seconds: &'s [u8]) -> impl Iterator<Item = (u8, u8)> + 's {
    firsts.iter().flat_map(move |&first| seconds.iter().map(move |&second| (first, second)))
}

/// Where two bytes are looked up.
fn pair(first: u8, second: u8) -> usize {
    usize::from(first & 0x7F) << 7 | usize::from(second & 0x7F)
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{Buckets, Candidates, FOREIGN, Filter, PLACE, WORD, is, is_foreign};

    /// Places that are decided together.
    const SPAN: usize = super::SPAN / 2;
    /// Bytes that a block of places needs.
    const BLOCK: usize = SPAN + PLACE - 1;
    /// Places in one of the two halves of a vector, and the bytes that these need.
    const HALF: usize = SPAN / 2;
    const HALF_BLOCK: usize = HALF + PLACE - 1;
    /// As [`Filter::scan`] says, of six bytes and more.
    #[target_feature(enable = "avx2")]
    pub(super) fn scan(filter: &Filter, bytes: &[u8], from: usize, edge: usize) -> Candidates {
        let length = bytes.len();
        if from + FOREIGN > length {
            return Candidates { base: length, bits: 0 };
        }
        if length < BLOCK {
            let bits = short(filter, bytes, edge);
            // No place lies behind the last bit.
            let bits = if from < SPAN { bits & (!0 << from) } else { 0 };
            return Candidates::of_half(0, bits);
        }
        let (mut at, last) = (from, length - BLOCK);
        while at + FOREIGN <= length {
            // The last block ends with the text, over places that were looked at before.
            let base = at.min(last);
            // SAFETY: the block and three bytes more lie in the text.
            let place =
                |i: usize| unsafe { _mm256_loadu_si256(bytes.as_ptr().add(base + i).cast()) };
            let beside =
                Beside { starts: 1, follows: follows(bytes, base, edge), edge: bit(edge, base) };
            let (bits, foreign) = decide(filter, [place(0), place(1), place(2), place(3)], beside);
            let bits = likely(filter, bytes, base, bits, edge) | foreign;
            if at <= last {
                if bits != 0 {
                    return Candidates::of_half(base, bits);
                }
            } else {
                let end = u32::from(is_foreign(bytes, length - FOREIGN)) << (SPAN - 1);
                let base = base + 1;
                return Candidates::of_half(base, (bits >> 1 | end) & (!0 << (at - base)));
            }
            at += SPAN;
        }
        Candidates { base: length, bits: 0 }
    }

    /// The candidates of a text that is shorter than a block.
    #[target_feature(enable = "avx2")]
    fn short(filter: &Filter, bytes: &[u8], edge: usize) -> u32 {
        let length = bytes.len();
        let end = u32::from(is_foreign(bytes, length - FOREIGN)) << (length - FOREIGN);
        // Half of the vectors is the beginning of the text, half its end.
        let (place, second, decided) = if length >= HALF_BLOCK {
            let second = length - HALF_BLOCK;
            // SAFETY: the text is at least as long as half a block and three bytes more.
            let half = |at: usize| unsafe { _mm_loadu_si128(bytes.as_ptr().add(at).cast()) };
            let place = |i: usize| _mm256_set_m128i(half(second + i), half(i));
            ([place(0), place(1), place(2), place(3)], second, HALF)
        } else {
            let eight =
                |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or_default());
            let four =
                |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap_or_default());
            let (low, high) = match length {
                16.. => (eight(0), eight(8)),
                9.. => (eight(0), eight(length - 8) >> (8 * (16 - length))),
                8 => (eight(0), 0),
                _ => (u64::from(four(0)) | u64::from(four(length - 4)) << (8 * (length - 4)), 0),
            };
            let first = _mm_set_epi64x(high as i64, low as i64);
            let (text, second) = if length > 16 {
                let at = length - 16;
                let end = _mm_set_epi64x(eight(at + 8) as i64, eight(at) as i64);
                (_mm256_set_m128i(end, first), at)
            } else {
                (_mm256_zextsi128_si256(first), 0)
            };
            let place = [
                text,
                _mm256_bsrli_epi128::<1>(text),
                _mm256_bsrli_epi128::<2>(text),
                _mm256_bsrli_epi128::<3>(text),
            ];
            // Of the last places too little is seen.
            (place, second, length.min(16) + 1 - PLACE)
        };
        let beside = Beside {
            starts: 1 | 1 << HALF,
            follows: follows(bytes, second, edge) << HALF,
            edge: bit(edge, 0) & (u32::MAX >> HALF) | bit(edge, second) << HALF,
        };
        let (bits, foreign) = decide(filter, place, beside);
        let decided = (1 << decided) - 1;
        let both = |bits: u32| (bits & decided) | (bits >> HALF & decided) << second;
        likely(filter, bytes, 0, both(bits), edge) | both(foreign) | end
    }

    /// Those of the places behind `at` that the second look leaves. What halves of bytes mistake for a
    /// bucket is looked at last: of it little is left.
    #[inline]
    fn likely(filter: &Filter, bytes: &[u8], at: usize, places: u32, edge: usize) -> u32 {
        let is_meant = |at| filter.is_likely(bytes, at) && filter.is_in_bucket(bytes, at, edge);
        Filter::those(at, u64::from(places), is_meant) as u32
    }

    /// What stands beside places of vectors, a bit for each.
    struct Beside {
        /// What stands before them does not lie in the vectors,
        starts: u32,
        /// but is part of a word.
        follows: u32,
        /// The beginning of the segment.
        edge: u32,
    }

    /// Whether a letter, a digit or an underscore of the segment stands before `at`.
    #[inline]
    fn follows(bytes: &[u8], at: usize, edge: usize) -> u32 {
        u32::from(at > edge && is(bytes[at - 1], WORD))
    }

    /// The bit of the place `edge` of those from `at` on. If it lies before them it was decided before,
    /// and which it is does not matter.
    #[inline]
    fn bit(edge: usize, at: usize) -> u32 {
        1_u32.checked_shl(edge.wrapping_sub(at) as u32).unwrap_or(0)
    }

    /// The bytes of words, in the manner of the filter's tables: digits, letters of either half of
    /// the alphabet, the underscore.
    static WORDS: ([u8; 16], [u8; 16]) = (
        [5, 7, 7, 7, 7, 7, 7, 7, 7, 7, 6, 2, 2, 2, 2, 10],
        [0, 0, 0, 1, 2, 12, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0],
    );

    /// The places that the first look finds, and those where another alphabet or a disguise may begin.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn decide(filter: &Filter, place: [__m256i; PLACE], beside: Beside) -> (u32, u32) {
        let upper = place
            .map(|bytes| _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), _mm256_set1_epi8(15)));
        // A shuffle gives zero for bytes outside ASCII.
        let of = |(low, high): (&[u8; 16], &[u8; 16]), i: usize| {
            let low = _mm256_shuffle_epi8(table(low), place[i]);
            _mm256_and_si256(low, _mm256_shuffle_epi8(table(high), upper[i]))
        };
        let none = |buckets: __m256i| {
            _mm256_movemask_epi8(_mm256_cmpeq_epi8(buckets, _mm256_setzero_si256())) as u32
        };
        let some = |buckets: &Buckets| {
            let of = |i: usize| of((&buckets.low[i], &buckets.high[i]), i);
            _mm256_and_si256(_mm256_and_si256(of(0), of(1)), _mm256_and_si256(of(2), of(3)))
        };
        let words = !none(of((&WORDS.0, &WORDS.1), 0));
        let begins = !(words << 1 & !beside.starts | beside.follows) | beside.edge;
        let anywhere = _mm256_or_si256(some(&filter.anywhere[0]), some(&filter.anywhere[1]));
        let bits = !none(some(&filter.words)) & begins | !none(anywhere);
        let is_ascii = _mm256_movemask_epi8(place[0]) == 0;
        (bits, if is_ascii { 0 } else { foreign(place[0], place[1]) })
    }

    /// The places for which [`is_foreign`] holds.
    #[target_feature(enable = "avx2")]
    pub(super) fn foreign(first: __m256i, second: __m256i) -> u32 {
        let byte = |byte: u8| _mm256_set1_epi8(byte as i8);
        // From 0xD9 on, but for eight from 0xE2 on.
        let from_d9 = _mm256_and_si256(_mm256_cmpgt_epi8(first, byte(0xD8)), first);
        let from_e2 = _mm256_sub_epi8(first, byte(0xE2));
        let but = _mm256_cmpeq_epi8(from_e2, _mm256_min_epu8(from_e2, byte(7)));
        let leads = _mm256_movemask_epi8(_mm256_andnot_si256(but, from_d9)) as u32;
        // 0xE2 in front of 0x80 and 0x81: the zero-width characters, and some more.
        let is_e2 = _mm256_cmpeq_epi8(first, byte(0xE2));
        let in_front = _mm256_cmpeq_epi8(_mm256_and_si256(second, byte(0xFE)), byte(0x80));
        leads | _mm256_movemask_epi8(_mm256_and_si256(is_e2, in_front)) as u32
    }

    /// A table in both halves of a vector, which are shuffled apart.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn table(table: &[u8; 16]) -> __m256i {
        // SAFETY: the table has sixteen bytes.
        _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(table.as_ptr().cast()) })
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod avx512 {
    use std::arch::x86_64::*;

    use super::{Candidates, Exact, FOREIGN, Filter, PLACE, SPAN, WORD, avx2, is};

    /// As [`Filter::scan`] says.
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vbmi")]
    pub(super) fn scan(filter: &Filter, bytes: &[u8], from: usize, edge: usize) -> Candidates {
        let length = bytes.len();
        let mut base = from;
        while base + FOREIGN <= length {
            let rest = length - base;
            // SAFETY: three bytes and more are there.
            let text = unsafe { bytes.as_ptr().add(base).cast::<i8>() };
            let places = if rest >= SPAN + PLACE - 1 {
                // SAFETY: so are those of all places.
                unsafe {
                    [
                        _mm512_loadu_epi8(text),
                        _mm512_loadu_epi8(text.add(1)),
                        _mm512_loadu_epi8(text.add(2)),
                        _mm512_loadu_epi8(text.add(3)),
                    ]
                }
            } else {
                let there = |i: usize| {
                    u64::MAX.checked_shr((SPAN - (rest - i).min(SPAN)) as u32).unwrap_or(0)
                };
                // SAFETY: what the mask has lies in the text; the rest is not read, and is zero.
                unsafe {
                    [
                        _mm512_maskz_loadu_epi8(there(0), text),
                        _mm512_maskz_loadu_epi8(there(1), text.add(1)),
                        _mm512_maskz_loadu_epi8(there(2), text.add(2)),
                        _mm512_maskz_loadu_epi8(there(3), text.add(3)),
                    ]
                }
            };
            let (bits, words, foreign) = decide(filter, places);
            let follows = u64::from(base > edge && is(bytes[base - 1], WORD));
            let edge_bit = 1_u64.checked_shl(edge.wrapping_sub(base) as u32).unwrap_or(0);
            // Beyond the first 4 GiB behind it the shift would be cut.
            let edge_bit = if edge >= base { edge_bit } else { 0 };
            let begins = !(words << 1 | follows) | edge_bit;
            let bits = bits.anywhere | bits.words & begins;
            let bits = Filter::those(base, bits, |at| filter.is_likely(bytes, at));
            // Behind a byte of another alphabet two more stand.
            let decided = (rest + 1 - FOREIGN).min(SPAN) as u32;
            let foreign = foreign & u64::MAX >> (SPAN as u32 - decided);
            if bits | foreign != 0 {
                return Candidates { base, bits: bits | foreign };
            }
            base += SPAN;
        }
        Candidates { base: length, bits: 0 }
    }

    /// The places that are in a bucket.
    struct Bits {
        anywhere: u64,
        words: u64,
    }

    /// What a table has for each byte, of which it sees seven bits.
    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vbmi")]
    fn look_up(table: &[u8; 128], bytes: __m512i) -> __m512i {
        // SAFETY: the table has twice 64 bytes.
        let (low, high) = unsafe {
            let low = table.as_ptr().cast();
            (_mm512_loadu_epi8(low), _mm512_loadu_epi8(low.add(64)))
        };
        _mm512_permutex2var_epi8(low, bytes, high)
    }

    /// The buckets that have the bytes of each place.
    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vbmi")]
    fn buckets(Exact(tables): &Exact, place: [__m512i; PLACE]) -> __m512i {
        let (a, b) = (look_up(&tables[0], place[0]), look_up(&tables[1], place[1]));
        let (c, d) = (look_up(&tables[2], place[2]), look_up(&tables[3], place[3]));
        _mm512_and_si512(_mm512_and_si512(a, b), _mm512_and_si512(c, d))
    }

    /// The places that the first look finds, those of letters, digits and underscores, and those where
    /// another alphabet or a disguise may begin.
    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vbmi")]
    fn decide(filter: &Filter, place: [__m512i; PLACE]) -> (Bits, u64, u64) {
        let [a, b, c, d] = place;
        let all = _mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d));
        let is_ascii = !_mm512_movepi8_mask(all);
        let first = buckets(&filter.anywhere[0].exact, place);
        let second = buckets(&filter.anywhere[1].exact, place);
        let either = _mm512_or_si512(first, second);
        let of_words = buckets(&filter.words.exact, place);
        let bits = Bits {
            anywhere: _mm512_test_epi8_mask(either, either) & is_ascii,
            words: _mm512_test_epi8_mask(of_words, of_words) & is_ascii,
        };
        let outside = _mm512_movepi8_mask(a);
        let words = look_up(&WORDS.0, a);
        let words = _mm512_test_epi8_mask(words, words) & !outside;
        (bits, words, if outside == 0 { 0 } else { foreign(a, b) })
    }

    #[cold]
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vbmi")]
    fn foreign(first: __m512i, second: __m512i) -> u64 {
        let low = avx2::foreign(_mm512_castsi512_si256(first), _mm512_castsi512_si256(second));
        let high = avx2::foreign(
            _mm512_extracti64x4_epi64::<1>(first),
            _mm512_extracti64x4_epi64::<1>(second),
        );
        u64::from(low) | u64::from(high) << 32
    }

    /// Which ASCII bytes are of words.
    static WORDS: Words = Words({
        let mut words = [0; 128];
        let mut byte = 0;
        while byte < 128 {
            words[byte] = ((byte as u8).is_ascii_alphanumeric() || byte as u8 == b'_') as u8;
            byte += 1;
        }
        words
    });

    #[repr(align(64))]
    struct Words([u8; 128]);
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATTERNS: [Pattern; 8] = [
        Pattern { bytes: [b"e", b"y", b"J", b"abxJ"], is_word: false },
        Pattern { bytes: [b"A", b"KSBC", b"IC", b"A"], is_word: false },
        Pattern { bytes: [b"@", b"az.09-", b"az.09-", b"az.09-"], is_word: false },
        Pattern { bytes: [b"sS", b"kK", b"-_", b"ghp"], is_word: true },
        Pattern { bytes: [b"\n", b"p", b"=", b"0"], is_word: false },
        Pattern { bytes: [b"g", b"h", b"po", b"_"], is_word: false },
        Pattern { bytes: [b"019", b"0129", b"0129", b"0129-"], is_word: true },
        Pattern { bytes: [b"g", b"k", b"k", b"-"], is_word: true },
    ];

    fn places(mut scan: impl FnMut(usize) -> Candidates) -> Vec<usize> {
        let (mut places, mut from) = (Vec::new(), 0);
        loop {
            let mut found = scan(from);
            if found.is_empty() {
                return places;
            }
            from = found.behind();
            while let Some(place) = found.next() {
                places.push(place);
            }
        }
    }

    #[test]
    fn vectors_and_bytes_say_the_same() {
        let (filter, groups) = Filter::new(&PATTERNS);
        let mut rng = fastrand::Rng::with_seed(7);
        const BYTES: &[u8] =
            b"0129/:@eyJAKI xSkghp-_=\n.\x00\x7F\x80\xBF\xC2\xD8\xD9\xE1\xE2\x80\x81\x82\xE9\xEA\xF0\xFF";
        for _ in 0..40_000 {
            let length = rng.usize(MATCH_BYTES_MIN..110);
            let text: Vec<u8> = std::iter::repeat_with(|| match rng.u8(..) {
                0..200 => BYTES[rng.usize(..BYTES.len())],
                _ => rng.u8(..),
            })
            .take(length)
            .collect();
            let edge = if rng.bool() { 0 } else { rng.usize(0..=length) };
            let found = places(|from| filter.scan(&text, from.max(edge), edge));
            let last = (text.len() + 1).saturating_sub(FOREIGN);
            let expected: Vec<_> =
                (edge..last).filter(|&at| filter.is_candidate(&text, at, edge)).collect();
            assert_eq!(found, expected, "{text:?} from {edge}");
            assert_eq!(found, places(|from| filter.scan_portable(&text, from.max(edge), edge)));
            #[cfg(target_arch = "x86_64")]
            if std::arch::is_x86_feature_detected!("avx2") {
                // SAFETY: the machine has AVX2.
                #[allow(unsafe_code)]
                let by_avx2 =
                    places(|from| unsafe { avx2::scan(&filter, &text, from.max(edge), edge) });
                assert_eq!(found, by_avx2);
            }
            for at in edge..(text.len() + 1).saturating_sub(PLACE) {
                let place: &[u8; PLACE] = text[at..].first_chunk().unwrap();
                for (pattern, group) in PATTERNS.iter().zip(&groups) {
                    let is_here = pattern.bytes.iter().zip(place).all(|(set, b)| set.contains(b));
                    if is_here && !(pattern.is_word && at > edge && is(text[at - 1], WORD)) {
                        assert!(found.contains(&at), "{at} of {text:?}");
                        assert!(filter.groups(place) >> group & 1 == 1, "{at} of {text:?}");
                    }
                }
            }
        }
    }
}
