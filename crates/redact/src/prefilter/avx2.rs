//! What few bytes say of a text, with AVX2.
#![allow(unsafe_code, reason = "vector instructions")]

use std::arch::x86_64::*;

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
