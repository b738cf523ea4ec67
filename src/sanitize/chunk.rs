//! At which places of a text may a match begin, or be told of? A filter over four bytes at each
//! place, with vector instructions where the machine has them, else byte by byte; both say the same.
//!
//! Every trigger lies in one of 24 buckets, eight of them for triggers that stand at the beginning of a
//! word. Of each byte of a place a table says in which buckets a trigger has such a byte there. AVX2
//! looks up sixteen entries: two tables, one for each half of the byte, stand for the one (as in Teddy,
//! of Hyperscan and `aho-corasick`). AVX-512 looks up the byte, and the first two bytes mixed. A place
//! where all agree on a bucket is looked at a second time, by a table that says of each byte which
//! triggers have it: so the filter says yes at every trigger, and nowhere else but at numbers.
//!
//! The first look goes over up to sixteen blocks of a long text at once, and a second follows as
//! candidates are asked for. What is shorter than a block is one; what is shorter than a match that
//! has none of a few bytes is told by these alone.

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
    exact: Exact,
}

/// By the byte itself, where it is ASCII, for each byte of a place, and by the first two mixed.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Exact {
    bytes: [[u8; 128]; PLACE],
    heads: [u8; 128],
}

/// Two ASCII bytes as one.
fn mixed(first: u8, second: u8) -> u8 {
    (first << 2 ^ second) & 0x7F
}

/// The bytes of some patterns, a bit for each: their lower and upper halves, the bytes, and the first
/// two mixed.
#[derive(Clone, Copy, Default)]
struct Sets {
    halves: [(u16, u16); PLACE],
    bytes: [u128; PLACE],
    heads: u128,
}

impl Sets {
    fn of(pattern: &Pattern) -> Self {
        let halves = pattern.bytes.map(|set| {
            let bits = |half: fn(u8) -> u8| set.iter().fold(0, |all, byte| all | 1 << half(*byte));
            (bits(|byte| byte & 15), bits(|byte| byte >> 4))
        });
        // A text is read with zeros behind its end.
        debug_assert!(
            pattern.bytes.iter().all(|set| set.iter().all(|byte| (1..0x80).contains(byte)))
        );
        let [first, second, ..] = pattern.bytes;
        let heads = first.iter().flat_map(|a| second.iter().map(|b| mixed(*a, *b)));
        let bytes = pattern.bytes.map(|set| set.iter().fold(0, |all, byte| all | 1 << byte));
        Self { halves, bytes, heads: heads.fold(0, |all, head| all | 1 << head) }
    }

    fn or(self, other: Self) -> Self {
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

    /// How often places are met that have such bytes, in arbitrary units.
    fn rate(self, weights: &HalfWeights) -> f32 {
        let of = |(low, high): (u16, u16)| -> f32 {
            let rows = weights.0.iter().enumerate().filter(|(row, _)| high >> row & 1 == 1);
            let [first, second] = low.to_le_bytes().map(usize::from);
            rows.map(|(_, row)| row[0][first] + row[1][second]).sum()
        };
        self.halves.into_iter().map(of).product()
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
fn sorted<'p>(patterns: impl Iterator<Item = &'p Pattern>, count: usize) -> Vec<Sets> {
    let weights = HalfWeights::new();
    let rated = |sets: Sets| (sets, sets.rate(&weights));
    let mut buckets: Vec<_> = patterns.map(|pattern| rated(Sets::of(pattern))).collect();
    // The later bucket that goes best with each, and what both add as one.
    let best = |buckets: &[(Sets, f32)], i: usize| {
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
    buckets.into_iter().map(|(sets, _)| sets).collect()
}

/// The tables of the filter.
#[derive(Debug)]
pub(super) struct Filter {
    /// Of triggers at the beginning of a word.
    words: Buckets,
    /// Of the others.
    anywhere: [Buckets; 2],
    /// By each byte of a place, the triggers that have it there.
    triggers: Box<[[Triggers; 256]; PLACE]>,
    /// Those that may stand inside of a word, and all.
    places: [Triggers; 2],
    vectors: Vectors,
}

/// Some triggers, a bit for each by its number; the last one is that of [`NUMBER`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Triggers([u64; 4]);

impl Triggers {
    /// So many patterns can be told apart, [`NUMBER`] aside.
    const MAX: usize = 255;
    const BUT_NUMBER: Self = Self([!0, !0, !0, !0 >> 1]);

    fn add(&mut self, trigger: usize) {
        self.0[trigger / 64] |= 1 << (trigger % 64);
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] & other.0[i]))
    }

    #[inline(always)]
    fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Their numbers, in order.
    #[inline]
    pub(super) fn iter(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(i, mut bits)| {
            std::iter::from_fn(move || {
                let next = 64 * i + bits.trailing_zeros() as usize;
                let has_any = bits != 0;
                bits &= bits.wrapping_sub(1);
                has_any.then_some(next)
            })
        })
    }
}

const DIGITS: &[u8] = b"0123456789";

/// How a card or a social security number begins whose first digits are ASCII.
const NUMBER: Pattern = Pattern { bytes: [DIGITS, DIGITS, DIGITS, b"0123456789- "], is_word: true };

/// Whether what stands behind three digits may go on as a number that a rule looks for: none is
/// shorter than eleven bytes, none has other signs between its digits than hyphens, white space and
/// what is not ASCII, and none begins as a date does that ends with its day.
#[inline]
pub(super) fn may_be_number(text: &[u8], at: usize) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let Some(text) = text.get(at..).and_then(|text| text.first_chunk::<11>()) else { return false };
    let next = u64::from_le_bytes(std::array::from_fn(|i| text[3 + i]));
    // The highest bit of each byte that is in the set.
    let above = |bytes: u64, most: u8| (bytes & (EACH * 0x7F)) + EACH * u64::from(0x7F - most);
    let is_other = above(next, b' ')
        & above(next ^ (EACH * u64::from(b'0')), 9)
        & above(next ^ (EACH * u64::from(b'-')), 0)
        & !next;
    let is_date = [text[4], text[7]] == *b"--" && !(text[10].is_ascii_digit() || text[10] == b'-');
    is_other & (EACH * 0x80) == 0 && !is_date
}

/// Places that are decided together, at most.
pub(super) const SPAN: usize = 64;

/// Candidates among [`SPAN`] places of a text.
///
/// It is as small as it is to be returned in two registers: it is asked for of every text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Block {
    /// The place of bit 0.
    base: usize,
    bits: u64,
}

impl Block {
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

    /// The first one.
    #[inline]
    fn first(self) -> usize {
        self.base.wrapping_add(self.bits.trailing_zeros() as usize)
    }

    /// Takes the first one out.
    #[inline]
    fn pass(&mut self) {
        self.bits &= self.bits.wrapping_sub(1);
    }

    /// The first place that was not decided.
    #[inline]
    fn behind(self) -> usize {
        self.base.wrapping_add(SPAN)
    }
}

/// Blocks that are looked at together, at most.
const AHEAD: usize = 16;

/// The candidates of a text from a place on, in order, which are found as they are asked for.
///
/// The farther nothing was found, the more is looked at together: what a match cuts off is looked at
/// again.
#[derive(Clone, Debug)]
pub(super) struct Candidates {
    block: Block,
    /// The blocks behind it that have any: those from `next` to `count`.
    ahead: [Block; AHEAD],
    next: usize,
    count: usize,
    /// The first place that was not looked at.
    behind: usize,
    /// How many blocks are looked at the next time.
    width: usize,
}

impl Candidates {
    /// All from this place on.
    #[inline]
    pub(super) fn from(at: usize) -> Self {
        let none = Block::default();
        Self { block: none, ahead: [none; AHEAD], next: 0, count: 0, behind: at, width: 1 }
    }

    /// All of a text; `None` if there is none, as in most texts.
    #[inline]
    pub(super) fn of_text(filter: &Filter, bytes: &[u8]) -> Option<Self> {
        if bytes.len() >= SPAN {
            let mut all = Self { width: AHEAD, ..Self::from(0) };
            return all.advance(filter, bytes, 0).then_some(all);
        }
        let block = filter.of_short(bytes);
        (!block.is_empty()).then(|| Self { block, ..Self::from(block.behind()) })
    }

    /// The next one. `edge` is the beginning of the segment: what stands before it does not count.
    #[inline]
    pub(super) fn next(&mut self, filter: &Filter, bytes: &[u8], edge: usize) -> Option<usize> {
        self.advance(filter, bytes, edge).then(|| {
            let next = self.block.first();
            self.block.pass();
            next
        })
    }

    /// Goes on to the next one; `false` where there is none.
    #[inline]
    fn advance(&mut self, filter: &Filter, bytes: &[u8], edge: usize) -> bool {
        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code)]
        match filter.vectors {
            // SAFETY: the machine has AVX-512 with its instructions for bytes.
            Vectors::Avx512 => return unsafe { avx512::advance(self, filter, bytes, edge) },
            // SAFETY: the machine has AVX2.
            Vectors::Avx2 => return unsafe { avx2::advance(self, filter, bytes, edge) },
            Vectors::None => {}
        }
        self.advance_by(filter, bytes, edge, |all| {
            all.take(filter.scan_portable(bytes, all.behind, edge));
        })
    }

    /// The same, by `look`, which looks at the next blocks. Compiled for each set of instructions.
    #[inline(always)]
    fn advance_by(
        &mut self,
        filter: &Filter,
        bytes: &[u8],
        edge: usize,
        look: impl Fn(&mut Self),
    ) -> bool {
        loop {
            while !self.block.is_empty() {
                if filter.is_candidate(bytes, self.block.first(), edge) {
                    return true;
                }
                self.block.pass();
            }
            while self.next == self.count {
                if self.behind + FOREIGN > bytes.len() {
                    return false;
                }
                look(self);
                self.next = 0;
                self.width = (2 * self.width).min(AHEAD);
            }
            self.block = self.ahead[self.next];
            self.next += 1;
        }
    }

    /// Takes the one block that was found.
    #[inline]
    fn take(&mut self, block: Block) {
        (self.ahead[0], self.count) = (block, usize::from(!block.is_empty()));
        self.behind = block.behind();
    }
}

/// What the machine has, of those that there is a form of the filter for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vectors {
    None,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// With its instructions for bytes.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Vectors {
    fn of_machine() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            let has_avx2 = has!("avx2") && has!("bmi1") && has!("bmi2") && has!("popcnt");
            return match has_avx2 {
                true if has!("avx512bw") && has!("avx512vbmi") => Self::Avx512,
                true => Self::Avx2,
                false => Self::None,
            };
        }
        #[allow(unreachable_code)]
        Self::None
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
    fn of_sets(buckets: &[Sets]) -> Self {
        let table = |i: usize, half: fn((u16, u16)) -> u16| {
            std::array::from_fn(|value| {
                let has =
                    |b: usize| buckets.get(b).map_or(0, |b| half(b.halves[i]) >> value & 1) as u8;
                (0..8).map(|bucket| has(bucket) << bucket).sum()
            })
        };
        let exact = |of: &dyn Fn(&Sets) -> u128| {
            std::array::from_fn(|byte| {
                let has = |b: usize| buckets.get(b).map_or(0, |b| (of(b) >> byte & 1) as u8);
                (0..8).map(|bucket| has(bucket) << bucket).sum()
            })
        };
        Self {
            low: std::array::from_fn(|i| table(i, |halves| halves.0)),
            high: std::array::from_fn(|i| table(i, |halves| halves.1)),
            exact: Exact {
                bytes: std::array::from_fn(|i| exact(&|sets| sets.bytes[i])),
                heads: exact(&|sets| sets.heads),
            },
        }
    }
}

impl Filter {
    /// A filter that says yes wherever one of `patterns` stands, and wherever a number may begin.
    pub(super) fn new(patterns: &[Pattern]) -> Self {
        assert!(patterns.len() <= Triggers::MAX);
        let of_words = |is_word| {
            patterns.iter().chain([&NUMBER]).filter(move |pattern| pattern.is_word == is_word)
        };
        let anywhere = sorted(of_words(false), 16);
        let mut triggers = Box::new([[Triggers::default(); 256]; PLACE]);
        let mut places = [Triggers::default(); 2];
        let numbered = patterns.iter().enumerate().chain([(Triggers::MAX, &NUMBER)]);
        for (number, pattern) in numbered {
            for (table, bytes) in triggers.iter_mut().zip(pattern.bytes) {
                bytes.iter().for_each(|&byte| table[usize::from(byte)].add(number));
            }
            places[usize::from(pattern.is_word)..].iter_mut().for_each(|place| place.add(number));
        }
        Self {
            words: Buckets::of_sets(&sorted(of_words(true), 8)),
            anywhere: [0, 8].map(|i| Buckets::of_sets(anywhere.get(i..).unwrap_or_default())),
            triggers,
            places,
            vectors: Vectors::of_machine(),
        }
    }

    /// The triggers that stand at a place, those of words at the beginning of none too.
    #[inline(always)]
    pub(super) fn triggers(&self, place: &[u8; PLACE]) -> Triggers {
        let [a, b, c, d] = std::array::from_fn(|i| self.triggers[i][usize::from(place[i])]);
        a.and(b).and(c.and(d))
    }

    /// Whether there is a trigger at the place `at` of the segment from `edge` on, and more than three
    /// digits if it is that of numbers.
    #[inline(always)]
    fn is_trigger(&self, bytes: &[u8], at: usize, edge: usize) -> bool {
        let Some(place) = bytes[at..].first_chunk() else { return false };
        let begins = !(at > edge && is(bytes[at - 1], WORD));
        let triggers = self.triggers(place).and(self.places[usize::from(begins)]);
        !triggers.and(Triggers::BUT_NUMBER).is_empty()
            || !triggers.is_empty() && may_be_number(bytes, at)
    }

    /// Whether `at` is a candidate of `bytes`. `edge` is the beginning of the segment: what stands
    /// before it does not count.
    #[inline(always)]
    fn is_candidate(&self, bytes: &[u8], at: usize, edge: usize) -> bool {
        self.is_trigger(bytes, at, edge) || is_foreign(bytes, at)
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
        let mut candidates = Candidates::from(edge);
        std::iter::from_fn(|| candidates.next(self, text, edge)).collect()
    }

    /// Whether a text plainly has no match of a default rule, being as short as it is.
    #[inline]
    pub(super) fn is_plain(&self, bytes: &[u8]) -> bool {
        match bytes.len() {
            0..MATCH_BYTES_MIN => true,
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the machine has AVX2.
            #[allow(unsafe_code)]
            ..=TINY if self.vectors != Vectors::None => unsafe { avx2::is_plain(bytes) },
            _ => false,
        }
    }

    /// The candidates of the first block of a short text that has any.
    #[inline]
    fn of_short(&self, bytes: &[u8]) -> Block {
        if bytes.len() < MATCH_BYTES_MIN {
            return Block::default();
        }
        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code)]
        match self.vectors {
            // SAFETY: the machine has AVX-512 with its instructions for bytes.
            Vectors::Avx512 => return unsafe { avx512::of_short(self, bytes) },
            // SAFETY: the machine has AVX2.
            Vectors::Avx2 => return unsafe { avx2::of_short(self, bytes) },
            Vectors::None => {}
        }
        self.scan_portable(bytes, 0, 0)
    }

    /// The places among the first from `from` on that may have candidates, one at least; none where
    /// there is no more.
    ///
    /// Candidates are: every trigger; every byte that a digit outside ASCII may begin with, which those
    /// of full-width forms are too; and where a zero-width character may stand.
    fn scan_portable(&self, bytes: &[u8], from: usize, edge: usize) -> Block {
        let mut places = from..bytes.len();
        match places.find(|&at| self.is_candidate(bytes, at, edge)) {
            Some(base) => Block {
                base,
                bits: u64::MAX
                    .checked_shr((base + SPAN).saturating_sub(bytes.len()) as u32)
                    .unwrap_or(0),
            },
            None => Block { base: bytes.len(), bits: 0 },
        }
    }
}

/// No match is shorter.
const MATCH_BYTES_MIN: usize = 6;
/// No match that is this long or shorter is without one of these bytes: `@` of an e-mail, the signs and
/// quotes that set a value apart, the `J` of a JSON web token; without a byte outside ASCII; or without
/// nine digits.
const TINY: usize = 14;
const TELLING: &[u8] = b"@:=,\"'`J";
/// The least bytes of what is a candidate for not being ASCII.
const FOREIGN: usize = 3;

/// Whether a digit outside ASCII, a full-width form or a zero-width character may begin at `at`.
#[inline]
fn is_foreign(bytes: &[u8], at: usize) -> bool {
    bytes.len() - at >= FOREIGN
        && (is_digit_lead(bytes[at]) || matches!(bytes[at..], [0xE2, 0x80 | 0x81, ..]))
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{Block, Buckets, Candidates, FOREIGN, Filter, PLACE, WORD, is, is_foreign};

    /// Places that are decided together.
    const SPAN: usize = super::SPAN / 2;
    /// Bytes that a block of places needs.
    const BLOCK: usize = SPAN + PLACE - 1;
    /// Places in one of the two halves of a vector, and the bytes that these need.
    const HALF: usize = SPAN / 2;
    const HALF_BLOCK: usize = HALF + PLACE - 1;

    /// As [`Candidates::advance`] says.
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
    pub(super) fn advance(
        candidates: &mut Candidates,
        filter: &Filter,
        bytes: &[u8],
        edge: usize,
    ) -> bool {
        candidates.advance_by(filter, bytes, edge, |candidates| {
            candidates.take(scan(filter, bytes, candidates.behind, edge));
        })
    }

    /// Whether a text of six to [`TINY`] bytes is without all that a match would need.
    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
    pub(super) fn is_plain(bytes: &[u8]) -> bool {
        let length = bytes.len();
        let eight =
            |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or_default());
        let four = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap_or_default());
        // Bytes in the middle may be there twice.
        let (low, high) = match length {
            8.. => (eight(0), eight(length - 8)),
            _ => (u64::from(four(0)), u64::from(four(length - 4))),
        };
        let text = _mm_set_epi64x(high as i64, low as i64);
        // A shuffle gives zero for bytes outside ASCII.
        let upper = _mm_and_si128(_mm_srli_epi16::<4>(text), _mm_set1_epi8(15));
        // SAFETY: the tables have sixteen bytes.
        let of = |table: &[u8; 16], half| unsafe {
            _mm_shuffle_epi8(_mm_loadu_si128(table.as_ptr().cast()), half)
        };
        let sets = _mm_and_si128(of(&TELLING.0, text), of(&TELLING.1, upper));
        let has = |set: u8| {
            let set = _mm_set1_epi8(set as i8);
            _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_and_si128(sets, set), set)) as u32
        };
        let telling = _mm_movemask_epi8(_mm_cmpgt_epi8(sets, _mm_set1_epi8(1))) as u32;
        let foreign = _mm_movemask_epi8(text) as u32;
        telling | foreign == 0 && has(1).count_ones() < 9
    }

    /// The bytes of [`super::TELLING`], by their halves, a bit for each upper half; and digits, bit 0.
    static TELLING: ([u8; 16], [u8; 16]) = {
        let (mut low, mut high) = ([0; 16], [0; 16]);
        let mut i = 0;
        while i < super::TELLING.len() {
            let byte = super::TELLING[i];
            let bit = 1 << (byte >> 4);
            low[(byte & 15) as usize] |= bit;
            high[(byte >> 4) as usize] |= bit;
            i += 1;
        }
        let mut digit = 0;
        while digit < 10 {
            low[digit] |= 1;
            digit += 1;
        }
        high[3] |= 1;
        (low, high)
    };

    /// As [`Filter::of_short`] says.
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
    pub(super) fn of_short(filter: &Filter, bytes: &[u8]) -> Block {
        let mut block = scan(filter, bytes, 0, 0);
        while !block.is_empty() {
            if filter.is_candidate(bytes, block.first(), 0) {
                return block;
            }
            block.pass();
            if block.is_empty() {
                block = scan(filter, bytes, block.behind(), 0);
            }
        }
        block
    }

    /// As [`Filter::scan_portable`] says.
    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
    pub(super) fn scan(filter: &Filter, bytes: &[u8], from: usize, edge: usize) -> Block {
        let length = bytes.len();
        if from + FOREIGN > length {
            return Block { base: length, bits: 0 };
        }
        if length < BLOCK {
            let bits = short(filter, bytes, edge);
            // No place lies behind the last bit.
            let bits = if from < SPAN { bits & (!0 << from) } else { 0 };
            return Block::of_half(0, bits);
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
            let bits = bits | foreign;
            if at <= last {
                if bits != 0 {
                    return Block::of_half(base, bits);
                }
            } else {
                let end = u32::from(is_foreign(bytes, length - FOREIGN)) << (SPAN - 1);
                let base = base + 1;
                return Block::of_half(base, (bits >> 1 | end) & (!0 << (at - base)));
            }
            at += SPAN;
        }
        Block { base: length, bits: 0 }
    }

    /// The candidates of a text that is shorter than a block.
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
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
        both(bits | foreign) | end
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
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
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
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
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
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
    fn table(table: &[u8; 16]) -> __m256i {
        // SAFETY: the table has sixteen bytes.
        _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(table.as_ptr().cast()) })
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod avx512 {
    use std::arch::x86_64::*;

    use super::{Block, Candidates, Exact, Filter, PLACE, SPAN, WORD, is};

    /// As [`Candidates::advance`] says.
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vbmi,bmi1,bmi2,popcnt")]
    pub(super) fn advance(
        candidates: &mut Candidates,
        filter: &Filter,
        bytes: &[u8],
        edge: usize,
    ) -> bool {
        candidates.advance_by(filter, bytes, edge, |all| look_ahead(filter, bytes, edge, all))
    }

    /// As [`Filter::of_short`] says.
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vbmi,bmi1,bmi2,popcnt")]
    pub(super) fn of_short(filter: &Filter, bytes: &[u8]) -> Block {
        let mut block = Block { base: 0, bits: decide(filter, last_block(bytes), &mut 0) };
        while !block.is_empty() && !filter.is_candidate(bytes, block.first(), 0) {
            block.pass();
        }
        block
    }

    /// Looks at the next blocks, as many as `candidates` are wide. Apart from what asks for it, which
    /// would else read the tables each time.
    #[inline(never)]
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vbmi,bmi1,bmi2,popcnt")]
    fn look_ahead(filter: &Filter, bytes: &[u8], edge: usize, candidates: &mut Candidates) {
        let (from, length) = (candidates.behind, bytes.len());
        let whole = ((length - from).saturating_sub(PLACE - 1) / SPAN).min(candidates.width);
        let mut count = 0;
        let mut follows = u64::from(from > edge && is(bytes[from - 1], WORD));
        for i in 0..whole {
            // SAFETY: all places of the block and three bytes more lie in the text.
            let block = unsafe {
                let text = bytes.as_ptr().add(from + i * SPAN).cast::<i8>();
                [
                    _mm512_loadu_epi8(text),
                    _mm512_loadu_epi8(text.add(1)),
                    _mm512_loadu_epi8(text.add(2)),
                    _mm512_loadu_epi8(text.add(3)),
                ]
            };
            let bits = decide(filter, block, &mut follows);
            candidates.ahead[count] = Block { base: from + i * SPAN, bits };
            count += usize::from(bits != 0);
        }
        candidates.behind = from + whole * SPAN;
        if whole < candidates.width {
            let block = last_block(&bytes[candidates.behind.min(length)..]);
            let bits = decide(filter, block, &mut follows);
            candidates.ahead[count] = Block { base: candidates.behind, bits };
            count += usize::from(bits != 0);
            candidates.behind += SPAN;
        }
        candidates.count = count;
    }

    /// The places of what is less than a block; zeros behind it.
    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vbmi,bmi1,bmi2,popcnt")]
    fn last_block(bytes: &[u8]) -> [__m512i; PLACE] {
        let there = |i: usize| bits_below(bytes.len().saturating_sub(i));
        let text = bytes.as_ptr().cast::<i8>();
        // SAFETY: what a mask has lies in the text; the rest is not read, and is zero.
        unsafe {
            [
                _mm512_maskz_loadu_epi8(there(0), text),
                _mm512_maskz_loadu_epi8(there(1), text.wrapping_add(1)),
                _mm512_maskz_loadu_epi8(there(2), text.wrapping_add(2)),
                _mm512_maskz_loadu_epi8(there(3), text.wrapping_add(3)),
            ]
        }
    }

    /// So many bits.
    #[inline]
    fn bits_below(count: usize) -> u64 {
        if count >= SPAN { u64::MAX } else { (1 << count) - 1 }
    }

    /// What a table has for each byte, of which it sees seven bits.
    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vbmi,bmi1,bmi2,popcnt")]
    fn look_up(table: &[u8; 128], bytes: __m512i) -> __m512i {
        // SAFETY: the table has twice 64 bytes.
        let (low, high) = unsafe {
            let low = table.as_ptr().cast();
            (_mm512_loadu_epi8(low), _mm512_loadu_epi8(low.add(64)))
        };
        _mm512_permutex2var_epi8(low, bytes, high)
    }

    /// The buckets that have the bytes of each place, and the first two of them, mixed in `heads`.
    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vbmi,bmi1,bmi2,popcnt")]
    fn buckets(exact: &Exact, place: [__m512i; PLACE], heads: __m512i) -> __m512i {
        let of = |i: usize| look_up(&exact.bytes[i], place[i]);
        let (a, b, c, d) = (of(0), of(1), of(2), of(3));
        let heads = look_up(&exact.heads, heads);
        _mm512_and_si512(_mm512_and_si512(_mm512_and_si512(a, b), _mm512_and_si512(c, d)), heads)
    }

    /// The places that the first look finds, and those where another alphabet or a disguise may begin.
    /// `follows`: whether a letter, a digit or an underscore stands before them, and then before what
    /// comes behind.
    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vbmi,bmi1,bmi2,popcnt")]
    fn decide(filter: &Filter, place: [__m512i; PLACE], follows: &mut u64) -> u64 {
        let [a, b, c, d] = place;
        let all = _mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d));
        let is_ascii = !_mm512_movepi8_mask(all);
        let twice = _mm512_add_epi8(a, a);
        let heads = _mm512_xor_si512(_mm512_add_epi8(twice, twice), b);
        let first = buckets(&filter.anywhere[0].exact, place, heads);
        let second = buckets(&filter.anywhere[1].exact, place, heads);
        let either = _mm512_or_si512(first, second);
        let of_words = buckets(&filter.words.exact, place, heads);
        let outside = _mm512_movepi8_mask(a);
        let words = look_up(&WORDS.0, a);
        let words = _mm512_test_epi8_mask(words, words) & !outside;
        let begins = !(words << 1 | *follows);
        *follows = words >> (SPAN - 1);
        let of_words = _mm512_test_epi8_mask(of_words, of_words) & begins;
        let bits = (_mm512_test_epi8_mask(either, either) | of_words) & is_ascii;
        bits | if outside == 0 { 0 } else { foreign(a, b) }
    }

    /// The places for which [`is_foreign`](super::is_foreign) holds.
    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vbmi,bmi1,bmi2,popcnt")]
    fn foreign(first: __m512i, second: __m512i) -> u64 {
        let byte = |byte: u8| _mm512_set1_epi8(byte as i8);
        // From 0xD9 on, but for eight from 0xE2 on.
        let but = _mm512_cmple_epu8_mask(_mm512_sub_epi8(first, byte(0xE2)), byte(7));
        let leads = _mm512_cmpge_epu8_mask(first, byte(0xD9)) & !but;
        // 0xE2 in front of 0x80 and 0x81: the zero-width characters, and some more.
        let in_front = _mm512_cmpeq_epi8_mask(_mm512_and_si512(second, byte(0xFE)), byte(0x80));
        leads | _mm512_cmpeq_epi8_mask(first, byte(0xE2)) & in_front
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

    /// The candidates in the blocks that one form of the first look finds.
    fn in_blocks(
        filter: &Filter,
        text: &[u8],
        edge: usize,
        scan: impl Fn(usize) -> Block,
    ) -> Vec<usize> {
        let (mut places, mut block) = (Vec::new(), scan(edge));
        while !block.is_empty() {
            places.push(block.first());
            block.pass();
            if block.is_empty() {
                block = scan(block.behind());
            }
        }
        places.retain(|&at| filter.is_candidate(text, at, edge));
        places
    }

    #[test]
    fn vectors_and_bytes_say_the_same() {
        let filter = Filter::new(&PATTERNS);
        let mut rng = fastrand::Rng::with_seed(7);
        const BYTES: &[u8] =
            b"0129/:@eyJAKI xSkghp-_=\n.\x00\x7F\x80\xBF\xC2\xD8\xD9\xE1\xE2\x80\x81\x82\xE9\xEA\xF0\xFF";
        for _ in 0..40_000 {
            // Some longer than what is looked at together.
            let length = match rng.u8(..) {
                0 => rng.usize(AHEAD * SPAN - 5..3 * AHEAD * SPAN),
                _ => rng.usize(MATCH_BYTES_MIN..200),
            };
            let text: Vec<u8> = std::iter::repeat_with(|| match rng.u8(..) {
                0..200 => BYTES[rng.usize(..BYTES.len())],
                _ => rng.u8(..),
            })
            .take(length)
            .collect();
            let edge = if rng.bool() { 0 } else { rng.usize(0..=length) };
            let mut candidates = Candidates::from(edge);
            let found: Vec<_> =
                std::iter::from_fn(|| candidates.next(&filter, &text, edge)).collect();
            let last = (text.len() + 1).saturating_sub(FOREIGN);
            let expected: Vec<_> =
                (edge..last).filter(|&at| filter.is_candidate(&text, at, edge)).collect();
            assert_eq!(found, expected, "{text:?} from {edge}");
            let by_bytes = |from: usize| filter.scan_portable(&text, from.max(edge), edge);
            assert_eq!(found, in_blocks(&filter, &text, edge, by_bytes));
            #[cfg(target_arch = "x86_64")]
            if std::arch::is_x86_feature_detected!("avx2") {
                // SAFETY: the machine has AVX2.
                #[allow(unsafe_code)]
                let by_avx2 =
                    |from: usize| unsafe { avx2::scan(&filter, &text, from.max(edge), edge) };
                assert_eq!(found, in_blocks(&filter, &text, edge, by_avx2));
            }
            if edge == 0 {
                let all = Candidates::of_text(&filter, &text);
                let all = all.into_iter().flat_map(|mut all| {
                    let (filter, text) = (&filter, &text);
                    std::iter::from_fn(move || all.next(filter, text, 0))
                });
                assert!(all.eq(found.iter().copied()), "{text:?}");
            }
            for at in edge..(text.len() + 1).saturating_sub(PLACE) {
                let place: &[u8; PLACE] = text[at..].first_chunk().unwrap();
                for (number, pattern) in PATTERNS.iter().enumerate() {
                    let is_here = pattern.bytes.iter().zip(place).all(|(set, b)| set.contains(b));
                    if is_here && !(pattern.is_word && at > edge && is(text[at - 1], WORD)) {
                        assert!(found.contains(&at), "{at} of {text:?}");
                        assert!(filter.triggers(place).iter().any(|n| n == number));
                    }
                }
            }
        }
    }
}
