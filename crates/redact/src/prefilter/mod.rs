//! A filter for the places of a text at which a match or its trigger may begin. It examines four
//! bytes at each place, twice.
//!
//! With AVX-512, the first look covers 64 places at a time. Every trigger is in one of 32 buckets.
//! Eight of them are for triggers at the beginning of a word. For each byte of a place, and for the
//! first two mixed, a table returns the buckets in which a trigger has that byte there. Other
//! machines read the text two bytes at a time, see [`pairs`]. Both give the same result.
//!
//! If the first look finds a place, it is looked at a second time. This look uses a table that
//! returns for each byte the triggers that have it. So the filter accepts every trigger, and the
//! places at which a number, the token of a vendor, another alphabet or a disguise may begin. It
//! accepts no others.
//!
//! With AVX-512, the first look covers up to sixteen blocks of a long text at once. The second look
//! follows when candidates are asked for. A text that is shorter than a block is treated as one
//! block. If a text is shorter than every match that lacks a few characteristic bytes, these bytes
//! alone decide.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod buckets;
mod candidates;
mod merge;
mod pairs;
mod special;
mod weights;

use std::sync::Arc;

#[cfg(target_arch = "x86_64")]
use buckets::BucketTables;
pub(super) use candidates::Candidates;
use candidates::{CandidateBlock, SPAN};
use pairs::{PairState, PairTable};
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
    /// Returns the bit of the group in which it is, if it has this number. Its first two bytes decide, so
    /// that what shares a group has few different ones. Patterns that end with any of many bytes have
    /// groups of their own.
    fn group(&self, number: usize) -> u32 {
        let [a, b, c, d] = self.bytes;
        // With these factors, the fewest places of transcripts are mistaken for a candidate.
        let mix = |first: u32, second: u32| first * u32::from(a[0]) + second * u32::from(b[0]);
        match c.len() * d.len() {
            _ if number == TriggerSet::MAX => VENDOR_GROUP,
            _ if number > TriggerSet::MAX => NUMBER_GROUP,
            1000.. => 1 << 29,
            20.. => 1 << (13 + mix(5, 2) % 16),
            _ => 1 << (mix(1, 1) % 13),
        }
    }
}

const NUMBER_GROUP: u32 = 1 << 30;
const VENDOR_GROUP: u32 = 1 << 31;

/// The tables of the first look. A machine needs only one of them.
#[derive(Debug)]
enum FirstLook {
    /// Made only if the machine has the instructions.
    #[cfg(target_arch = "x86_64")]
    Avx512(Box<BucketTables>),
    /// Filters of fewer patterns use the same table.
    Pairs(Arc<PairTable>),
}

impl FirstLook {
    fn new(patterns: &[TriggerPattern], vectors: Simd) -> Self {
        let patterns = patterns.iter().chain([&VENDOR, &NUMBER]);
        match vectors {
            #[cfg(target_arch = "x86_64")]
            Simd::Avx512 => Self::Avx512(Box::new(BucketTables::new(patterns))),
            _ => Self::Pairs(Arc::new(PairTable::new(patterns))),
        }
    }
}

/// The tables of the filter.
#[derive(Debug)]
pub(super) struct Prefilter {
    first_look: FirstLook,
    /// By the first two bytes of a place and by the last two, the groups of triggers that have them
    /// there. Most places that are mistaken for a candidate have no group in common.
    groups: Box<[[u32; PAIRS]; 2]>,
    /// By each byte of a place, the triggers that have it there.
    triggers: Box<[[TriggerSet; 256]; PLACE]>,
    /// Those that may be inside of a word, and all.
    places: [TriggerSet; 2],
    vectors: Simd,
}

/// The index of a pair of two ASCII bytes is less.
const PAIRS: usize = 1 << 15;

/// Returns the index of the two ASCII bytes that are the lowest of a number. Half of all indexes are of none.
#[inline(always)]
fn pair(bytes: u32) -> usize {
    (bytes & 0x7F7F) as usize
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
        Self::with_vectors(patterns, Simd::detect())
    }

    fn with_vectors(patterns: &[TriggerPattern], vectors: Simd) -> Self {
        Self::with_first_look(patterns, FirstLook::new(patterns, vectors), vectors)
    }

    /// Makes a filter of some of this filter's patterns.
    pub(super) fn for_some(&self, patterns: &[TriggerPattern]) -> Self {
        let first_look = match &self.first_look {
            FirstLook::Pairs(table) => FirstLook::Pairs(Arc::clone(table)),
            #[cfg(target_arch = "x86_64")]
            FirstLook::Avx512(_) => FirstLook::new(patterns, self.vectors),
        };
        Self::with_first_look(patterns, first_look, self.vectors)
    }

    fn with_first_look(patterns: &[TriggerPattern], first_look: FirstLook, vectors: Simd) -> Self {
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
        Self { first_look, groups, triggers, places, vectors }
    }

    /// Makes the same filter for each set of instructions of this machine, and without any.
    #[cfg(test)]
    pub(super) fn in_each_form(patterns: &[TriggerPattern]) -> Vec<Self> {
        let with = |vectors| Self::with_vectors(patterns, vectors);
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
        let groups = self.groups_of(u32::from_le_bytes(*place));
        if groups == 0 {
            return false;
        }
        let begins = || !(at > edge && has_byte_class(bytes[at - 1], WORD));
        groups & NUMBER_GROUP != 0 && may_begin_number(bytes, at) && begins()
            || groups & VENDOR_GROUP != 0 && may_be_vendor_token(bytes, at)
            || groups & !(NUMBER_GROUP | VENDOR_GROUP) != 0
                && self.is_plain_trigger(place, begins())
    }

    /// Returns whether a trigger is at a place that is neither of numbers nor of vendors.
    #[inline]
    fn is_plain_trigger(&self, place: &[u8; PLACE], begins: bool) -> bool {
        let [a, b, c, d] = std::array::from_fn(|i| &self.triggers[i][usize::from(place[i])].0);
        let (TriggerSet(plain), TriggerSet(places)) =
            (&TriggerSet::PLAIN, &self.places[usize::from(begins)]);
        (0..TriggerSet::WORDS).any(|i| a[i] & b[i] & c[i] & d[i] & places[i] & plain[i] != 0)
    }

    /// Returns whether `at` is a candidate of `bytes`. `edge` is the beginning of the segment: text
    /// before it does not count.
    #[inline(always)]
    fn is_candidate(&self, bytes: &[u8], at: usize, edge: usize) -> bool {
        // The text may be shorter than the one in which the place was found.
        let Some(rest) = bytes.get(at..) else { return false };
        match rest.first_chunk() {
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

    /// Returns `block`, or a later one, without the places before its first candidate. The block is
    /// empty if there are no more candidates.
    fn scan_pairs(
        &self,
        table: &PairTable,
        bytes: &[u8],
        edge: usize,
        state: &mut PairState,
        block: CandidateBlock,
    ) -> CandidateBlock {
        let block = self.skip_to_candidate(bytes, edge, block);
        if !block.is_empty() {
            return block;
        }
        let from = state.position();
        let block = table.next_block(bytes, state, |hit| self.candidates_at(hit, bytes, edge));
        count_steps((state.position() - from) / SPAN);
        block
    }

    /// Returns the places of a hit from its first candidate on. Most hits have none, and the groups
    /// of their triggers say so.
    #[inline(always)]
    fn candidates_at(&self, hit: PairState, bytes: &[u8], edge: usize) -> CandidateBlock {
        count_steps(1);
        let mut block = hit.block();
        if !self.may_be_candidate(bytes, block.first()) {
            block.remove_first();
            if block.is_empty() {
                return block;
            }
        }
        self.skip_to_candidate(bytes, edge, block)
    }

    /// Returns whether groups of triggers have the bytes of a place.
    #[inline(always)]
    fn may_be_candidate(&self, bytes: &[u8], at: usize) -> bool {
        let Some(place) = bytes.get(at..).and_then(|text| text.first_chunk()) else { return true };
        match u32::from_le_bytes(*place) {
            place if place & 0x8080_8080 != 0 => true,
            place => match self.groups_of(place) {
                0 => false,
                NUMBER_GROUP => may_begin_number(bytes, at),
                _ => true,
            },
        }
    }

    /// Returns the groups of the triggers that may be at a place.
    #[inline(always)]
    fn groups_of(&self, place: u32) -> u32 {
        self.groups[0][pair(place)] & self.groups[1][pair(place >> 16)]
    }

    /// Removes the places before the first candidate of a block. It is not inlined, so that the loop
    /// that calls it remains short.
    #[inline(never)]
    fn skip_to_candidate(
        &self,
        bytes: &[u8],
        edge: usize,
        mut block: CandidateBlock,
    ) -> CandidateBlock {
        while !block.is_empty() {
            count_steps(1);
            if self.is_candidate(bytes, block.first(), edge) {
                break;
            }
            block.remove_first();
        }
        block
    }
}

/// The shortest match.
const MATCH_BYTES_MIN: usize = 6;
/// The longest text that these bytes decide. A match that is this short contains one of
/// [`TELLING`], a byte outside ASCII, or nine digits. `TELLING` is the `@` of an e-mail, the signs
/// and quotes that set a value apart, and the `J` of a JSON web token.
#[cfg(target_arch = "x86_64")]
const TINY: usize = 14;
#[cfg(target_arch = "x86_64")]
const TELLING: &[u8] = b"@:=,\"'`J";
/// The shortest candidate that is not ASCII, in bytes.
const FOREIGN: usize = 3;

/// Returns whether a digit outside ASCII or a disguise may begin at `at`: a full-width form, a zero-width
/// character, a soft hyphen. So may the `@` of an address, here or next, with a byte outside ASCII near it.
#[inline]
fn may_begin_non_ascii(bytes: &[u8], at: usize) -> bool {
    bytes.len() - at >= FOREIGN
        && (is_digit_lead_byte(bytes[at])
            || matches!(
                bytes[at..],
                [0xE2, 0x80 | 0x81, ..]
                    | [0xC2, 0xAD, ..]
                    | [0x80..=0xFF, b'@', ..]
                    | [b'@', 0x80..=0xFF, ..]
                    | [b'@', _, 0x80..=0xFF, ..]
            ))
}

#[cfg(test)]
mod tests {
    use super::candidates::AHEAD;
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
            b"0129/:@eyJAKI xSkghp-_=\n.\x00\x7F\x80\xBF\xC2\xD8\xD9\xE1\xE2\x80\x81\x82\xAD\xE9\xEA\xF0\xFF";
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
                    let are_none = length < SPAN && expected.is_empty();
                    assert_eq!(Candidates::are_none(filter, &text), are_none, "{text:?}");
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
