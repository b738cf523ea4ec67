//! The first look with AVX2: 32 places at a time, by halves of bytes.
#![allow(unsafe_code, reason = "vector instructions")]

use std::arch::x86_64::*;

use super::buckets::{Buckets, HalfTable, half_table};
use super::{
    CandidateBlock, Candidates, FOREIGN, PLACE, Prefilter, WORD, has_byte_class,
    may_begin_non_ascii,
};

/// The number of places that are decided together.
const SPAN: usize = super::SPAN / 2;
/// The bytes that a block of places needs.
const BLOCK: usize = SPAN + PLACE - 1;
/// The places in one of the two halves of a vector, and the bytes that these need.
const HALF: usize = SPAN / 2;
const HALF_BLOCK: usize = HALF + PLACE - 1;

/// See [`Candidates::advance`].
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
pub(super) fn advance(
    candidates: &mut Candidates,
    filter: &Prefilter,
    bytes: &[u8],
    edge: usize,
) -> bool {
    candidates.advance_with(filter, bytes, edge, |candidates| {
        candidates.take_block(scan(filter, bytes, candidates.behind, edge));
    })
}

/// Returns whether a text of six to [`TINY`] bytes lacks all that a match would need.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
pub(super) fn lacks_telling_bytes(bytes: &[u8]) -> bool {
    let length = bytes.len();
    let eight = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or_default());
    let four = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap_or_default());
    // Bytes in the middle may be in both halves.
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

/// The bytes of [`super::TELLING`], by their halves: a bit for each upper half, and bit 0 for
/// digits.
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

/// See [`Prefilter::scan_short_text`].
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
pub(super) fn scan_short_text(filter: &Prefilter, bytes: &[u8]) -> CandidateBlock {
    let mut block = scan(filter, bytes, 0, 0);
    while !block.is_empty() {
        if filter.is_candidate(bytes, block.first(), 0) {
            return block;
        }
        block.remove_first();
        if block.is_empty() {
            block = scan(filter, bytes, block.first_undecided(), 0);
        }
    }
    block
}

/// See [`Prefilter::scan_portable`].
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
pub(super) fn scan(filter: &Prefilter, bytes: &[u8], from: usize, edge: usize) -> CandidateBlock {
    let length = bytes.len();
    if from + FOREIGN > length {
        return CandidateBlock { base: length, bits: 0 };
    }
    if length < BLOCK {
        let bits = decide_short_text(filter, bytes, edge);
        // No place is after the last bit.
        let bits = if from < SPAN { bits & (!0 << from) } else { 0 };
        return CandidateBlock::from_half(0, bits);
    }
    let (mut at, last) = (from, length - BLOCK);
    while at + FOREIGN <= length {
        // The last block ends with the text, and overlaps places that were decided before.
        let base = at.min(last);
        // SAFETY: the block and three bytes more are inside the text.
        let place = |i: usize| unsafe { _mm256_loadu_si256(bytes.as_ptr().add(base + i).cast()) };
        let beside = WordContext {
            starts: 1,
            follows: word_before_bit(bytes, base, edge),
            edge: edge_bit(edge, base),
        };
        let (bits, foreign) =
            decide_places(filter, [place(0), place(1), place(2), place(3)], beside);
        let bits = bits | foreign;
        if at <= last {
            if bits != 0 {
                return CandidateBlock::from_half(base, bits);
            }
        } else {
            let end = u32::from(may_begin_non_ascii(bytes, length - FOREIGN)) << (SPAN - 1);
            let base = base + 1;
            return CandidateBlock::from_half(base, (bits >> 1 | end) & (!0 << (at - base)));
        }
        at += SPAN;
    }
    CandidateBlock { base: length, bits: 0 }
}

/// Decides the places of a text that is shorter than a block and has at least four bytes.
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
fn decide_short_text(filter: &Prefilter, bytes: &[u8], edge: usize) -> u32 {
    let length = bytes.len();
    let end = u32::from(may_begin_non_ascii(bytes, length - FOREIGN)) << (length - FOREIGN);
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
        let four = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap_or_default());
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
        // Too few bytes of the last places are visible.
        (place, second, length.min(16) + 1 - PLACE)
    };
    let beside = WordContext {
        starts: 1 | 1 << HALF,
        follows: word_before_bit(bytes, second, edge) << HALF,
        edge: edge_bit(edge, 0) & (u32::MAX >> HALF) | edge_bit(edge, second) << HALF,
    };
    let (bits, foreign) = decide_places(filter, place, beside);
    let decided = (1 << decided) - 1;
    let both = |bits: u32| (bits & decided) | (bits >> HALF & decided) << second;
    both(bits | foreign) | end
}

/// What is beside the places of vectors, a bit for each.
struct WordContext {
    /// The byte before them is not in the vectors,
    starts: u32,
    /// but is part of a word.
    follows: u32,
    /// The beginning of the segment.
    edge: u32,
}

/// Returns whether a letter, a digit or an underscore of the segment is before `at`.
#[inline]
fn word_before_bit(bytes: &[u8], at: usize, edge: usize) -> u32 {
    u32::from(at > edge && has_byte_class(bytes[at - 1], WORD))
}

/// Returns the bit of the place `edge` among those from `at` on. If `edge` is before them, it was
/// decided earlier, and the bit does not matter.
#[inline]
fn edge_bit(edge: usize, at: usize) -> u32 {
    1_u32.checked_shl(edge.wrapping_sub(at) as u32).unwrap_or(0)
}

/// The bytes of words, in the manner of the filter's tables: digits, letters of either half of
/// the alphabet, the underscore.
static WORDS: (HalfTable, HalfTable) = (
    half_table([5, 7, 7, 7, 7, 7, 7, 7, 7, 7, 6, 2, 2, 2, 2, 10]),
    half_table([0, 0, 0, 1, 2, 12, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0]),
);

/// Returns the places that the first look finds, and those at which another alphabet or a disguise
/// may begin.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
fn decide_places(filter: &Prefilter, place: [__m256i; PLACE], beside: WordContext) -> (u32, u32) {
    let upper =
        place.map(|bytes| _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), _mm256_set1_epi8(15)));
    // A shuffle gives zero for bytes outside ASCII.
    let of = |(low, high): (&HalfTable, &HalfTable), i: usize| {
        let low = _mm256_shuffle_epi8(load_table(low), place[i]);
        _mm256_and_si256(low, _mm256_shuffle_epi8(load_table(high), upper[i]))
    };
    let none = |buckets: __m256i| {
        _mm256_movemask_epi8(_mm256_cmpeq_epi8(buckets, _mm256_setzero_si256())) as u32
    };
    let some = |buckets: &Buckets| {
        let of = |i: usize| of((&buckets.low[i], &buckets.high[i]), i);
        _mm256_and_si256(_mm256_and_si256(of(0), of(1)), _mm256_and_si256(of(2), of(3)))
    };
    // Without this and the one below, the compiler copies all tables to the stack first.
    let tables = std::hint::black_box(&filter.tables);
    let words = !none(of((&WORDS.0, &WORDS.1), 0));
    let begins = !(words << 1 & !beside.starts | beside.follows) | beside.edge;
    let [first, second, third] = &tables.anywhere;
    let anywhere = _mm256_or_si256(_mm256_or_si256(some(first), some(second)), some(third));
    let bits = std::hint::black_box(!none(some(&tables.words)) & begins | !none(anywhere));
    let near = _mm256_or_si256(_mm256_or_si256(place[0], place[1]), place[2]);
    let is_ascii = _mm256_movemask_epi8(near) == 0;
    (bits, if is_ascii { 0 } else { non_ascii_places(place[0], place[1], place[2]) })
}

/// Returns the places for which [`may_begin_non_ascii`] holds. It is not inlined, so that its caller
/// is.
#[inline(never)]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
pub(super) fn non_ascii_places(first: __m256i, second: __m256i, third: __m256i) -> u32 {
    let byte = |byte: u8| _mm256_set1_epi8(byte as i8);
    // From 0xD9 on, except eight from 0xE2 on.
    let from_d9 = _mm256_and_si256(_mm256_cmpgt_epi8(first, byte(0xD8)), first);
    let from_e2 = _mm256_sub_epi8(first, byte(0xE2));
    let but = _mm256_cmpeq_epi8(from_e2, _mm256_min_epu8(from_e2, byte(7)));
    let leads = _mm256_movemask_epi8(_mm256_andnot_si256(but, from_d9)) as u32;
    // 0xE2 before 0x80 and 0x81: the zero-width characters, and some more.
    let is_e2 = _mm256_cmpeq_epi8(first, byte(0xE2));
    let in_front = _mm256_cmpeq_epi8(_mm256_and_si256(second, byte(0xFE)), byte(0x80));
    // The `@` of an address, with a byte outside ASCII beside it or second after it.
    let sign = |bytes| _mm256_cmpeq_epi8(bytes, byte(b'@'));
    let before = _mm256_and_si256(sign(second), first);
    let after = _mm256_and_si256(sign(first), _mm256_or_si256(second, third));
    let beside = _mm256_movemask_epi8(_mm256_or_si256(before, after)) as u32;
    leads | beside | _mm256_movemask_epi8(_mm256_and_si256(is_e2, in_front)) as u32
}

/// Loads a table.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
fn load_table(table: &HalfTable) -> __m256i {
    // SAFETY: the table has 32 bytes.
    unsafe { _mm256_loadu_si256(table.as_ptr().cast()) }
}
