//! The first look with AVX-512 and its instructions for bytes: 64 places at a time, by whole bytes.
#![allow(unsafe_code, reason = "vector instructions")]

use std::arch::x86_64::*;

use super::buckets::{BucketTables, Buckets};
use super::candidates::{CandidateBlock, Candidates, SPAN};
use super::{PLACE, Prefilter, WORD, has_byte_class};

/// See [`Candidates::advance`].
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vbmi,bmi1,bmi2,popcnt")]
pub(super) fn advance(
    candidates: &mut Candidates,
    filter: &Prefilter,
    tables: &BucketTables,
    bytes: &[u8],
    edge: usize,
) -> bool {
    candidates.advance_with(filter, bytes, edge, |all| look_ahead(tables, bytes, edge, all))
}

/// See [`Prefilter::scan_short_text`].
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vbmi,bmi1,bmi2,popcnt")]
pub(super) fn scan_short_text(
    filter: &Prefilter,
    tables: &BucketTables,
    bytes: &[u8],
) -> CandidateBlock {
    let mut block =
        CandidateBlock { base: 0, bits: decide_places(tables, load_last_block(bytes), &mut 0) };
    while !block.is_empty() && !filter.is_candidate(bytes, block.first(), 0) {
        block.remove_first();
    }
    block
}

/// Looks at the next blocks, as many as `candidates` are wide. If it were inlined into its caller,
/// the tables would be read each time.
#[inline(never)]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vbmi,bmi1,bmi2,popcnt")]
fn look_ahead(tables: &BucketTables, bytes: &[u8], edge: usize, candidates: &mut Candidates) {
    let (from, length) = (candidates.behind, bytes.len());
    let whole = ((length - from).saturating_sub(PLACE - 1) / SPAN).min(candidates.width);
    let mut count = 0;
    let mut follows = u64::from(from > edge && has_byte_class(bytes[from - 1], WORD));
    for i in 0..whole {
        // SAFETY: all places of the block and three bytes more are inside the text.
        let block = unsafe {
            let text = bytes.as_ptr().add(from + i * SPAN).cast::<i8>();
            [
                _mm512_loadu_epi8(text),
                _mm512_loadu_epi8(text.add(1)),
                _mm512_loadu_epi8(text.add(2)),
                _mm512_loadu_epi8(text.add(3)),
            ]
        };
        let bits = decide_places(tables, block, &mut follows);
        candidates.ahead[count] = CandidateBlock { base: from + i * SPAN, bits };
        count += usize::from(bits != 0);
    }
    candidates.behind = from + whole * SPAN;
    if whole < candidates.width {
        let block = load_last_block(&bytes[candidates.behind..]);
        let bits = decide_places(tables, block, &mut follows);
        candidates.ahead[count] = CandidateBlock { base: candidates.behind, bits };
        count += usize::from(bits != 0);
        candidates.behind += SPAN;
    }
    candidates.count = count;
}

/// Loads the places of less than a block, with zeros after them.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vbmi,bmi1,bmi2,popcnt")]
fn load_last_block(bytes: &[u8]) -> [__m512i; PLACE] {
    let there = |i: usize| low_bits_mask(bytes.len().saturating_sub(i));
    let text = bytes.as_ptr().cast::<i8>();
    // SAFETY: what a mask selects is inside the text. The rest is not read, and is zero.
    unsafe {
        [
            _mm512_maskz_loadu_epi8(there(0), text),
            _mm512_maskz_loadu_epi8(there(1), text.wrapping_add(1)),
            _mm512_maskz_loadu_epi8(there(2), text.wrapping_add(2)),
            _mm512_maskz_loadu_epi8(there(3), text.wrapping_add(3)),
        ]
    }
}

/// Returns a mask of so many bits.
#[inline]
fn low_bits_mask(count: usize) -> u64 {
    if count >= SPAN { u64::MAX } else { (1 << count) - 1 }
}

/// Looks up each byte in a table, by the byte's lower seven bits.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vbmi,bmi1,bmi2,popcnt")]
fn look_up_table(table: &[u8; 128], bytes: __m512i) -> __m512i {
    // SAFETY: the table has twice 64 bytes.
    let (low, high) = unsafe {
        let low = table.as_ptr().cast();
        (_mm512_loadu_epi8(low), _mm512_loadu_epi8(low.add(64)))
    };
    _mm512_permutex2var_epi8(low, bytes, high)
}

/// Returns the buckets that have the bytes of each place. `heads` contains the first two bytes,
/// mixed.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vbmi,bmi1,bmi2,popcnt")]
fn buckets_of_places(buckets: &Buckets, place: [__m512i; PLACE], heads: __m512i) -> __m512i {
    let of = |i: usize| look_up_table(&buckets.bytes[i], place[i]);
    let (a, b, c, d) = (of(0), of(1), of(2), of(3));
    let heads = look_up_table(&buckets.heads, heads);
    _mm512_and_si512(_mm512_and_si512(_mm512_and_si512(a, b), _mm512_and_si512(c, d)), heads)
}

/// Returns the places that the first look finds, and those at which another alphabet or a disguise
/// may begin. `follows` is whether a letter, a digit or an underscore is before the places.
/// Afterwards it holds the same for the places that come next.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vbmi,bmi1,bmi2,popcnt")]
fn decide_places(tables: &BucketTables, place: [__m512i; PLACE], follows: &mut u64) -> u64 {
    let [a, b, c, d] = place;
    let all = _mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d));
    let is_ascii = !_mm512_movepi8_mask(all);
    let twice = _mm512_add_epi8(a, a);
    let heads = _mm512_xor_si512(_mm512_add_epi8(twice, twice), b);
    let first = buckets_of_places(&tables.anywhere[0], place, heads);
    let second = buckets_of_places(&tables.anywhere[1], place, heads);
    let third = buckets_of_places(&tables.anywhere[2], place, heads);
    let any = _mm512_or_si512(_mm512_or_si512(first, second), third);
    let of_words = buckets_of_places(&tables.words, place, heads);
    let outside = _mm512_movepi8_mask(a);
    let words = look_up_table(&WORDS.0, a);
    let words = _mm512_test_epi8_mask(words, words) & !outside;
    let begins = !(words << 1 | *follows);
    *follows = words >> (SPAN - 1);
    let of_words = _mm512_test_epi8_mask(of_words, of_words) & begins;
    let bits = (_mm512_test_epi8_mask(any, any) | of_words) & is_ascii;
    let near = _mm512_movepi8_mask(_mm512_or_si512(_mm512_or_si512(a, b), c));
    bits | if near == 0 { 0 } else { non_ascii_places(a, b, c) }
}

/// Returns the places for which [`may_begin_non_ascii`](super::may_begin_non_ascii) holds.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vbmi,bmi1,bmi2,popcnt")]
fn non_ascii_places(first: __m512i, second: __m512i, third: __m512i) -> u64 {
    let byte = |byte: u8| _mm512_set1_epi8(byte as i8);
    // From 0xD9 on, except eight from 0xE2 on.
    let but = _mm512_cmple_epu8_mask(_mm512_sub_epi8(first, byte(0xE2)), byte(7));
    let leads = _mm512_cmpge_epu8_mask(first, byte(0xD9)) & !but;
    // 0xE2 before 0x80 and 0x81: the zero-width characters, and some more.
    let in_front = _mm512_cmpeq_epi8_mask(_mm512_and_si512(second, byte(0xFE)), byte(0x80));
    let equals = |bytes, one: u8| _mm512_cmpeq_epi8_mask(bytes, byte(one));
    let soft_hyphen = equals(first, 0xC2) & equals(second, 0xAD);
    // The `@` of an address, with a byte outside ASCII beside it or second after it.
    let sign = |bytes| equals(bytes, b'@');
    let outside = |bytes| _mm512_movepi8_mask(bytes);
    let beside = sign(second) & outside(first) | sign(first) & (outside(second) | outside(third));
    leads | beside | soft_hyphen | equals(first, 0xE2) & in_front
}

/// The ASCII bytes that are of words.
static WORDS: WordTable = WordTable({
    let mut words = [0; 128];
    let mut byte = 0;
    while byte < 128 {
        words[byte] = ((byte as u8).is_ascii_alphanumeric() || byte as u8 == b'_') as u8;
        byte += 1;
    }
    words
});

#[repr(align(64))]
struct WordTable([u8; 128]);
