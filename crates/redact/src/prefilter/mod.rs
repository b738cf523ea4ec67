//! At which places of a text may a match begin, or be told of? A filter over four bytes at each
//! place, with vector instructions where the machine has them, else byte by byte; both say the same.
//!
//! Every trigger lies in one of 24 buckets, eight of them for triggers that stand at the beginning of a
//! word. Of each byte of a place a table says in which buckets a trigger has such a byte there. AVX2
//! looks up sixteen entries: two tables, one for each half of the byte, stand for the one (as in Teddy,
//! of Hyperscan and `aho-corasick`). AVX-512 looks up the byte, and the first two bytes mixed. A place
//! where all agree on a bucket is looked at a second time, by a table that says of each byte which
//! triggers have it: so the filter says yes at every trigger, where a number may begin, and where
//! another alphabet or a disguise may, and nowhere else.
//!
//! The first look goes over up to sixteen blocks of a long text at once, and a second follows as
//! candidates are asked for. What is shorter than a block is one; what is shorter than a match that
//! has none of a few bytes is told by these alone.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod buckets;

#[cfg(target_arch = "x86_64")]
use buckets::Tables;

use super::bytes::{WORD, is, is_digit_lead};
use super::steps::step;

/// Bytes that are looked at of each place.
pub(super) const PLACE: usize = 4;

/// What is looked for: each byte one of a set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pattern {
    pub(super) bytes: [&'static [u8]; PLACE],
    /// No letter, digit or underscore stands before it.
    pub(super) is_word: bool,
}

/// The tables of the filter.
#[derive(Debug)]
pub(super) struct Prefilter {
    #[cfg(target_arch = "x86_64")]
    tables: Tables,
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
const SPAN: usize = 64;

/// Candidates among [`SPAN`] places of a text.
///
/// It is as small as it is to be returned in two registers: it is asked for of every text.
#[derive(Clone, Copy, Debug, Default)]
struct Block {
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
    fn is_empty(self) -> bool {
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
/// The farther from where they begin, the more is looked at together: what a match cuts off is looked
/// at again.
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
    pub(super) fn of_text(filter: &Prefilter, bytes: &[u8]) -> Option<Self> {
        if bytes.len() >= SPAN {
            let mut all = Self { width: AHEAD, ..Self::from(0) };
            return all.advance(filter, bytes, 0).then_some(all);
        }
        let block = filter.of_short(bytes);
        (!block.is_empty()).then(|| Self { block, ..Self::from(block.behind()) })
    }

    /// The next one. `edge` is the beginning of the segment: what stands before it does not count.
    #[inline]
    pub(super) fn next(&mut self, filter: &Prefilter, bytes: &[u8], edge: usize) -> Option<usize> {
        self.advance(filter, bytes, edge).then(|| {
            let next = self.block.first();
            self.block.pass();
            next
        })
    }

    /// Goes on to the next one; `false` where there is none.
    #[inline]
    fn advance(&mut self, filter: &Prefilter, bytes: &[u8], edge: usize) -> bool {
        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code)]
        match filter.vectors {
            // SAFETY: the machine has what `of_machine` asks for.
            Vectors::Avx512 => return unsafe { avx512::advance(self, filter, bytes, edge) },
            // SAFETY: as above.
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
        filter: &Prefilter,
        bytes: &[u8],
        edge: usize,
        look: impl Fn(&mut Self),
    ) -> bool {
        loop {
            while !self.block.is_empty() {
                step(1);
                if filter.is_candidate(bytes, self.block.first(), edge) {
                    return true;
                }
                self.block.pass();
            }
            while self.next == self.count {
                if bytes.len() < MATCH_BYTES_MIN || self.behind + FOREIGN > bytes.len() {
                    return false;
                }
                let from = self.behind;
                look(self);
                step((self.behind - from) / SPAN);
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
                true if has!("avx512f") && has!("avx512bw") && has!("avx512vbmi") => Self::Avx512,
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

impl Prefilter {
    /// A filter that says yes wherever one of `patterns` stands, and wherever a number may begin.
    pub(super) fn new(patterns: &[Pattern]) -> Self {
        assert!(patterns.len() <= Triggers::MAX);
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
            #[cfg(target_arch = "x86_64")]
            tables: Tables::new(patterns.iter().chain([&NUMBER])),
            triggers,
            places,
            vectors: Vectors::of_machine(),
        }
    }

    /// The same for each set of instructions that the machine has, and without.
    #[cfg(test)]
    pub(super) fn in_each_form(patterns: &[Pattern]) -> Vec<Self> {
        let with = |vectors| Self { vectors, ..Self::new(patterns) };
        let forms = match Vectors::of_machine() {
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx512 => vec![Vectors::Avx512, Vectors::Avx2, Vectors::None],
            one => vec![one, Vectors::None],
        };
        forms.into_iter().map(with).collect()
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
        if !by_vectors {
            let places = if text.len() < MATCH_BYTES_MIN { 0..0 } else { edge..text.len() };
            return places.filter(|&at| self.is_candidate(text, at, edge)).collect();
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
            // SAFETY: the machine has what `of_machine` asks for.
            #[allow(unsafe_code)]
            ..=TINY if self.vectors != Vectors::None => unsafe { avx2::is_plain(bytes) },
            _ => false,
        }
    }

    /// The block of the first candidate of a text that is shorter than a block and no plain one; of what
    /// is behind that in the block, some may be none. Empty where there is none.
    #[inline]
    fn of_short(&self, bytes: &[u8]) -> Block {
        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code)]
        match self.vectors {
            // SAFETY: the machine has what `of_machine` asks for.
            Vectors::Avx512 => return unsafe { avx512::of_short(self, bytes) },
            // SAFETY: as above.
            Vectors::Avx2 => return unsafe { avx2::of_short(self, bytes) },
            Vectors::None => {}
        }
        self.scan_portable(bytes, 0, 0)
    }

    /// The places among the first from `from` on that may be candidates, one at least; none where
    /// there is no more.
    ///
    /// Candidates are: every trigger; every byte that a digit outside ASCII may begin with, which those
    /// of full-width forms are too; and where a zero-width character may stand.
    fn scan_portable(&self, bytes: &[u8], from: usize, edge: usize) -> Block {
        let mut places = from..bytes.len();
        match places.find(|&at| self.is_candidate(bytes, at, edge)) {
            Some(base) => {
                Block { base, bits: u64::MAX >> (base + SPAN).saturating_sub(bytes.len()) }
            }
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

    #[test]
    fn every_form_says_what_each_place_says_of_itself() {
        let filters = Prefilter::in_each_form(&PATTERNS);
        let mut rng = fastrand::Rng::with_seed(7);
        const BYTES: &[u8] =
            b"0129/:@eyJAKI xSkghp-_=\n.\x00\x7F\x80\xBF\xC2\xD8\xD9\xE1\xE2\x80\x81\x82\xE9\xEA\xF0\xFF";
        for _ in 0..15_000 {
            // Some longer than what is looked at together.
            let length = match rng.u8(..) {
                0 => rng.usize(AHEAD * SPAN - 5..3 * AHEAD * SPAN),
                _ => rng.usize(0..200),
            };
            let text: Vec<u8> = std::iter::repeat_with(|| match rng.u8(..) {
                0..200 => BYTES[rng.usize(..BYTES.len())],
                _ => rng.u8(..),
            })
            .take(length)
            .collect();
            let edge = if rng.bool() { 0 } else { rng.usize(0..=length) };
            let places = if length < MATCH_BYTES_MIN { 0..0 } else { edge..length };
            let expected: Vec<_> =
                places.filter(|&at| filters[0].is_candidate(&text, at, edge)).collect();
            for filter in &filters {
                let mut all = Candidates::from(edge);
                let found: Vec<_> = std::iter::from_fn(|| all.next(filter, &text, edge)).collect();
                assert_eq!(found, expected, "{text:?} from {edge}, {:?}", filter.vectors);
                if edge == 0 && length >= MATCH_BYTES_MIN {
                    let mut all = Candidates::of_text(filter, &text);
                    let found: Vec<_> =
                        std::iter::from_fn(|| all.as_mut()?.next(filter, &text, 0)).collect();
                    assert_eq!(found, expected, "{text:?}, {:?}", filter.vectors);
                }
            }
            for at in edge..(length + 1).saturating_sub(PLACE) {
                let place: &[u8; PLACE] = text[at..].first_chunk().unwrap();
                for (number, pattern) in PATTERNS.iter().enumerate() {
                    let is_here = pattern.bytes.iter().zip(place).all(|(set, b)| set.contains(b));
                    let is_here =
                        is_here && !(pattern.is_word && at > edge && is(text[at - 1], WORD));
                    if is_here && length >= MATCH_BYTES_MIN {
                        assert!(expected.contains(&at), "{at} of {text:?}");
                        assert!(filters[0].triggers(place).iter().any(|n| n == number));
                    }
                }
            }
        }
    }
}
