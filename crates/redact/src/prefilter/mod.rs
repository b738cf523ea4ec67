//! A filter for the places of a text at which a match or its trigger may begin. It examines four
//! bytes at each place. If the machine has vector instructions, it uses these; otherwise it goes
//! byte by byte. Both give the same result.
//!
//! Every trigger is in one of 32 buckets. Eight of them are for triggers at the beginning of a
//! word. For each byte of a place, a table returns the buckets in which a trigger has that byte
//! there. AVX2 looks up sixteen entries. So it uses two tables in place of the one, one for each
//! half of the byte, as Teddy does in Hyperscan and `aho-corasick`. AVX-512 looks up the byte, and
//! the first two bytes mixed.
//!
//! If all tables agree on a bucket, the place is looked at a second time. This look uses a table
//! that returns for each byte the triggers that have it. So the filter accepts every trigger, and
//! the places at which a number, the token of a vendor, another alphabet or a disguise may begin. It
//! accepts no others.
//!
//! The first look covers up to sixteen blocks of a long text at once. The second look follows when
//! candidates are asked for. A text that is shorter than a block is treated as one block. If a text
//! is shorter than every match that lacks a few characteristic bytes, these bytes alone decide.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod buckets;
mod special;
mod weights;

#[cfg(target_arch = "x86_64")]
use buckets::BucketTables;
use special::{NUMBER, VENDOR, may_be_vendor_token};
pub(super) use special::{VENDOR_NUMBER, may_begin_number};
pub(super) use weights::trigger_weight;

use super::bytes::{WORD, has_byte_class, is_digit_lead_byte};
use super::steps::count_steps;

/// The number of bytes that are examined at each place.
pub(super) const PLACE: usize = 4;

/// What the filter searches: four bytes, each one of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TriggerPattern {
    pub(super) bytes: [&'static [u8]; PLACE],
    /// No letter, digit or underscore is before it.
    pub(super) is_word: bool,
}

impl TriggerPattern {
    /// Returns the bit of the group in which it is, if it has this number. Patterns that end with any
    /// of many bytes have groups of their own.
    fn group(&self, number: usize) -> u32 {
        let [.., c, d] = self.bytes;
        match c.len() * d.len() {
            _ if number == TriggerSet::MAX => VENDOR_GROUP,
            _ if number > TriggerSet::MAX => NUMBER_GROUP,
            1000.. => 1 << 29,
            20.. => 1 << (20 + number % 9),
            _ => 1 << (number % 20),
        }
    }
}

const NUMBER_GROUP: u32 = 1 << 30;
const VENDOR_GROUP: u32 = 1 << 31;

/// The tables of the filter.
#[derive(Debug)]
pub(super) struct Prefilter {
    #[cfg(target_arch = "x86_64")]
    tables: BucketTables,
    /// By the first two bytes of a place and by the last two, the groups of triggers that have them
    /// there. Most places that the vectors mistake for a candidate have no group in common.
    groups: Box<[[u32; PAIRS]; 2]>,
    /// By each byte of a place, the triggers that have it there.
    triggers: Box<[[TriggerSet; 256]; PLACE]>,
    /// Those that may be inside of a word, and all.
    places: [TriggerSet; 2],
    vectors: Simd,
}

/// Pairs of two ASCII bytes.
const PAIRS: usize = 1 << 14;

/// Returns the index of the two ASCII bytes that are the lowest of a number.
#[inline(always)]
fn pair(bytes: u32) -> usize {
    (bytes & 0x7F | bytes >> 1 & 0x3F80) as usize
}

/// Some triggers, a bit for each by its number. The last two are those of [`VENDOR`] and [`NUMBER`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TriggerSet([u64; TriggerSet::WORDS]);

impl TriggerSet {
    const WORDS: usize = 6;
    /// The most patterns that can be distinguished, apart from [`VENDOR`] and [`NUMBER`].
    const MAX: usize = 64 * Self::WORDS - 2;
    /// All except [`VENDOR`] and [`NUMBER`].
    const PLAIN: Self = {
        let mut all = [!0; Self::WORDS];
        all[Self::WORDS - 1] = !0 >> 2;
        Self(all)
    };

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

    /// Returns their numbers, in order.
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

/// The most places that are decided together.
const SPAN: usize = 64;

/// Candidates among [`SPAN`] places of a text.
///
/// It is small enough to be returned in two registers, because it is computed for every text.
#[derive(Clone, Copy, Debug, Default)]
struct CandidateBlock {
    /// The place of bit 0.
    base: usize,
    bits: u64,
}

impl CandidateBlock {
    /// Makes a block of half as many places.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    fn from_half(base: usize, bits: u32) -> Self {
        // The places before them are not candidates.
        Self { base: base.wrapping_sub(SPAN / 2), bits: u64::from(bits) << (SPAN / 2) }
    }

    /// Returns whether there are no candidates.
    #[inline]
    fn is_empty(self) -> bool {
        self.bits == 0
    }

    /// Returns the first candidate.
    #[inline]
    fn first(self) -> usize {
        self.base.wrapping_add(self.bits.trailing_zeros() as usize)
    }

    /// Removes the first candidate.
    #[inline]
    fn remove_first(&mut self) {
        self.bits &= self.bits.wrapping_sub(1);
    }

    /// Returns the first place that was not decided.
    #[inline]
    fn first_undecided(self) -> usize {
        self.base.wrapping_add(SPAN)
    }
}

/// The most blocks that are examined together.
const AHEAD: usize = 16;

/// The candidates of a text from a place on, in order. They are found as they are asked for.
///
/// The farther the search is from its beginning, the more blocks are examined together. If a match
/// cuts blocks off, they are examined again.
#[derive(Clone, Debug)]
pub(super) struct Candidates {
    block: CandidateBlock,
    /// The blocks after it that have candidates: those from `next` to `count`.
    ahead: [CandidateBlock; AHEAD],
    next: usize,
    count: usize,
    /// The first place that was not examined.
    behind: usize,
    /// The number of blocks that are examined next time.
    width: usize,
}

impl Candidates {
    /// Returns all candidates from this place on.
    #[inline]
    pub(super) fn starting_at(at: usize) -> Self {
        let none = CandidateBlock::default();
        Self { block: none, ahead: [none; AHEAD], next: 0, count: 0, behind: at, width: 1 }
    }

    /// Returns all candidates of a text, or `None` if there are none, as in most texts.
    #[inline]
    pub(super) fn for_text(filter: &Prefilter, bytes: &[u8]) -> Option<Self> {
        if bytes.len() >= SPAN {
            let mut all = Self { width: AHEAD, ..Self::starting_at(0) };
            return all.advance(filter, bytes, 0).then_some(all);
        }
        let block = filter.scan_short_text(bytes);
        (!block.is_empty()).then(|| Self { block, ..Self::starting_at(block.first_undecided()) })
    }

    /// Returns the next candidate. `edge` is the beginning of the segment: text before it does not
    /// count.
    #[inline]
    pub(super) fn next(&mut self, filter: &Prefilter, bytes: &[u8], edge: usize) -> Option<usize> {
        self.advance(filter, bytes, edge).then(|| {
            let next = self.block.first();
            self.block.remove_first();
            next
        })
    }

    /// Advances to the next candidate. Returns `false` if there are no more.
    #[inline]
    fn advance(&mut self, filter: &Prefilter, bytes: &[u8], edge: usize) -> bool {
        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code)]
        match filter.vectors {
            // SAFETY: the machine has the instructions that `detect` checks.
            Simd::Avx512 => return unsafe { avx512::advance(self, filter, bytes, edge) },
            // SAFETY: as above.
            Simd::Avx2 => return unsafe { avx2::advance(self, filter, bytes, edge) },
            Simd::None => {}
        }
        self.advance_with(filter, bytes, edge, |all| {
            all.take_block(filter.scan_portable(bytes, all.behind, edge));
        })
    }

    /// Advances with `look`, which examines the next blocks. Compiled for each set of instructions.
    #[inline(always)]
    fn advance_with(
        &mut self,
        filter: &Prefilter,
        bytes: &[u8],
        edge: usize,
        look: impl Fn(&mut Self),
    ) -> bool {
        loop {
            while !self.block.is_empty() {
                count_steps(1);
                if filter.is_candidate(bytes, self.block.first(), edge) {
                    return true;
                }
                self.block.remove_first();
            }
            while self.next == self.count {
                if bytes.len() < MATCH_BYTES_MIN || self.behind + FOREIGN > bytes.len() {
                    return false;
                }
                let from = self.behind;
                look(self);
                count_steps((self.behind - from) / SPAN);
                self.next = 0;
                self.width = (2 * self.width).min(AHEAD);
            }
            self.block = self.ahead[self.next];
            self.next += 1;
        }
    }

    /// Takes the one block that was found.
    #[inline]
    fn take_block(&mut self, block: CandidateBlock) {
        (self.ahead[0], self.count) = (block, usize::from(!block.is_empty()));
        self.behind = block.first_undecided();
    }
}

/// The best set of instructions of this machine for which the filter has a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Simd {
    None,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// With its instructions for bytes.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Simd {
    fn detect() -> Self {
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

impl Prefilter {
    /// Makes a filter that accepts every place at which one of `patterns` is or a number may begin.
    pub(super) fn new(patterns: &[TriggerPattern]) -> Self {
        assert!(patterns.len() <= TriggerSet::MAX);
        let mut triggers = Box::new([[TriggerSet::default(); 256]; PLACE]);
        let mut groups = Box::new([[0; PAIRS]; 2]);
        let mut places = [TriggerSet::default(); 2];
        let special = [(TriggerSet::MAX, &VENDOR), (TriggerSet::MAX + 1, &NUMBER)];
        let numbered = patterns.iter().enumerate().chain(special);
        for (number, pattern) in numbered {
            let ([a, b, c, d], group) = (pattern.bytes, pattern.group(number));
            for (pairs, [first, second]) in groups.iter_mut().zip([[a, b], [c, d]]) {
                for (first, second) in
                    first.iter().flat_map(|a| second.iter().map(move |b| (*a, *b)))
                {
                    pairs[pair(u32::from(first) | u32::from(second) << 8)] |= group;
                }
            }
            for (table, bytes) in triggers.iter_mut().zip(pattern.bytes) {
                bytes.iter().for_each(|&byte| table[usize::from(byte)].add(number));
            }
            places[usize::from(pattern.is_word)..].iter_mut().for_each(|place| place.add(number));
        }
        Self {
            #[cfg(target_arch = "x86_64")]
            tables: BucketTables::new(patterns.iter().chain([&VENDOR, &NUMBER])),
            groups,
            triggers,
            places,
            vectors: Simd::detect(),
        }
    }

    /// Makes the same filter for each set of instructions of this machine, and without any.
    #[cfg(test)]
    pub(super) fn in_each_form(patterns: &[TriggerPattern]) -> Vec<Self> {
        let with = |vectors| Self { vectors, ..Self::new(patterns) };
        let forms = match Simd::detect() {
            #[cfg(target_arch = "x86_64")]
            Simd::Avx512 => {
                vec![Simd::Avx512, Simd::Avx2, Simd::None]
            }
            one => vec![one, Simd::None],
        };
        forms.into_iter().map(with).collect()
    }

    /// Returns the triggers at a place. Those of words are included even if the place does not
    /// begin one.
    #[inline(always)]
    pub(super) fn triggers_at(&self, place: &[u8; PLACE]) -> TriggerSet {
        let [a, b, c, d] = std::array::from_fn(|i| self.triggers[i][usize::from(place[i])]);
        a.and(b).and(c.and(d))
    }

    /// Returns whether a trigger is at the place `at` of the segment from `edge` on. If only the
    /// trigger of numbers or of vendors is there, more than its four bytes are checked.
    #[inline(always)]
    fn is_trigger(&self, bytes: &[u8], at: usize, place: &[u8; PLACE], edge: usize) -> bool {
        let both = u32::from_le_bytes(*place);
        let groups = self.groups[0][pair(both)] & self.groups[1][pair(both >> 16)];
        if groups == 0 {
            return false;
        }
        let begins = !(at > edge && has_byte_class(bytes[at - 1], WORD));
        let is_plain = || {
            let triggers = self.triggers_at(place).and(self.places[usize::from(begins)]);
            !triggers.and(TriggerSet::PLAIN).is_empty()
        };
        groups & NUMBER_GROUP != 0 && begins && may_begin_number(bytes, at)
            || groups & VENDOR_GROUP != 0 && may_be_vendor_token(bytes, at)
            || groups & !(NUMBER_GROUP | VENDOR_GROUP) != 0 && is_plain()
    }

    /// Returns whether `at` is a candidate of `bytes`. `edge` is the beginning of the segment: text
    /// before it does not count.
    #[inline(always)]
    fn is_candidate(&self, bytes: &[u8], at: usize, edge: usize) -> bool {
        match bytes[at..].first_chunk() {
            Some(place) if u32::from_le_bytes(*place) & 0x8080_8080 == 0 => {
                self.is_trigger(bytes, at, place, edge)
            }
            // No trigger has a byte outside ASCII.
            _ => may_begin_non_ascii(bytes, at),
        }
    }

    /// Returns all candidates after `edge`, either as the vectors find them or by checking each
    /// place.
    #[cfg(fuzzing)]
    pub(super) fn candidate_places(
        &self,
        text: &[u8],
        edge: usize,
        by_vectors: bool,
    ) -> Vec<usize> {
        if !by_vectors {
            let places = if text.len() < MATCH_BYTES_MIN { 0..0 } else { edge..text.len() };
            return places.filter(|&at| self.is_candidate(text, at, edge)).collect();
        }
        let mut candidates = Candidates::starting_at(edge);
        std::iter::from_fn(|| candidates.next(self, text, edge)).collect()
    }

    /// Returns whether a short text plainly has no match of a default rule.
    #[inline]
    pub(super) fn is_plainly_clean(&self, bytes: &[u8]) -> bool {
        match bytes.len() {
            0..MATCH_BYTES_MIN => true,
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the machine has the instructions that `detect` checks.
            #[allow(unsafe_code)]
            ..=TINY if self.vectors != Simd::None => unsafe { avx2::lacks_telling_bytes(bytes) },
            _ => false,
        }
    }

    /// Returns the block of the first candidate of a text that is shorter than a block and not
    /// plain. Later places in the block may be false candidates. The block is empty if there is no
    /// candidate.
    #[inline]
    fn scan_short_text(&self, bytes: &[u8]) -> CandidateBlock {
        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code)]
        match self.vectors {
            // SAFETY: the machine has the instructions that `detect` checks.
            Simd::Avx512 => return unsafe { avx512::scan_short_text(self, bytes) },
            // SAFETY: as above.
            Simd::Avx2 => return unsafe { avx2::scan_short_text(self, bytes) },
            Simd::None => {}
        }
        self.scan_portable(bytes, 0, 0)
    }

    /// Returns the places among the first from `from` on that may be candidates. The result is
    /// empty only if no more follow.
    ///
    /// Candidates are every trigger, and every byte with which a digit outside ASCII may begin,
    /// full-width forms included. So are a place at which a zero-width character may be, and the `@`
    /// beside letters outside ASCII.
    fn scan_portable(&self, bytes: &[u8], from: usize, edge: usize) -> CandidateBlock {
        let mut places = from..bytes.len();
        match places.find(|&at| self.is_candidate(bytes, at, edge)) {
            Some(base) => {
                CandidateBlock { base, bits: u64::MAX >> (base + SPAN).saturating_sub(bytes.len()) }
            }
            None => CandidateBlock { base: bytes.len(), bits: 0 },
        }
    }
}

/// The shortest match.
const MATCH_BYTES_MIN: usize = 6;
/// The longest text that these bytes decide. A match that is this short contains one of
/// [`TELLING`], a byte outside ASCII, or nine digits. `TELLING` is the `@` of an e-mail, the signs
/// and quotes that set a value apart, and the `J` of a JSON web token.
const TINY: usize = 14;
const TELLING: &[u8] = b"@:=,\"'`J";
/// The shortest candidate that is not ASCII, in bytes.
const FOREIGN: usize = 3;

/// Returns whether a digit outside ASCII, a full-width form or a zero-width character may begin at
/// `at`, or whether the `@` of an address is here or next, with a byte outside ASCII near it.
#[inline]
fn may_begin_non_ascii(bytes: &[u8], at: usize) -> bool {
    bytes.len() - at >= FOREIGN
        && (is_digit_lead_byte(bytes[at])
            || matches!(
                bytes[at..],
                [0xE2, 0x80 | 0x81, ..]
                    | [0x80..=0xFF, b'@', ..]
                    | [b'@', 0x80..=0xFF, ..]
                    | [b'@', _, 0x80..=0xFF, ..]
            ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATTERNS: [TriggerPattern; 8] = [
        TriggerPattern { bytes: [b"e", b"y", b"J", b"abxJ"], is_word: false },
        TriggerPattern { bytes: [b"A", b"KSBC", b"IC", b"A"], is_word: false },
        TriggerPattern { bytes: [b"@", b"az.09-", b"az.09-", b"az.09-"], is_word: false },
        TriggerPattern { bytes: [b"sS", b"kK", b"-_", b"ghp"], is_word: true },
        TriggerPattern { bytes: [b"\n", b"p", b"=", b"0"], is_word: false },
        TriggerPattern { bytes: [b"g", b"h", b"po", b"_"], is_word: false },
        TriggerPattern { bytes: [b"019", b"0129", b"0129", b"0129-"], is_word: true },
        TriggerPattern { bytes: [b"g", b"k", b"k", b"-"], is_word: true },
    ];

    #[test]
    fn every_form_says_what_each_place_says_of_itself() {
        let filters = Prefilter::in_each_form(&PATTERNS);
        let mut rng = fastrand::Rng::with_seed(7);
        const BYTES: &[u8] =
            b"0129/:@eyJAKI xSkghp-_=\n.\x00\x7F\x80\xBF\xC2\xD8\xD9\xE1\xE2\x80\x81\x82\xE9\xEA\xF0\xFF";
        for _ in 0..15_000 {
            // Some texts are longer than what is examined together.
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
                let mut all = Candidates::starting_at(edge);
                let found: Vec<_> = std::iter::from_fn(|| all.next(filter, &text, edge)).collect();
                assert_eq!(found, expected, "{text:?} from {edge}, {:?}", filter.vectors);
                if edge == 0 && length >= MATCH_BYTES_MIN {
                    let mut all = Candidates::for_text(filter, &text);
                    let found: Vec<_> =
                        std::iter::from_fn(|| all.as_mut()?.next(filter, &text, 0)).collect();
                    assert_eq!(found, expected, "{text:?}, {:?}", filter.vectors);
                }
            }
            for at in edge..(length + 1).saturating_sub(PLACE) {
                let place: &[u8; PLACE] = text[at..].first_chunk().unwrap();
                for (number, pattern) in PATTERNS.iter().enumerate() {
                    let is_here = pattern.bytes.iter().zip(place).all(|(set, b)| set.contains(b));
                    let is_here = is_here
                        && !(pattern.is_word && at > edge && has_byte_class(text[at - 1], WORD));
                    if is_here && length >= MATCH_BYTES_MIN {
                        assert!(expected.contains(&at), "{at} of {text:?}");
                        assert!(filters[0].triggers_at(place).iter().any(|n| n == number));
                    }
                }
            }
        }
    }
}
