//! At which places of a text may a match begin, or be told of? A filter over three bytes at each
//! place, with vector instructions where the machine has them, else byte by byte; both say the same.
//!
//! Every trigger lies in one of seven buckets. Of each byte of a place two tables of sixteen entries,
//! one for each half of the byte, say in which buckets a trigger has such a byte there; a place where
//! all six agree on a bucket is a candidate. So the filter says yes at every trigger, and sometimes
//! elsewhere. The eighth bucket is exact: three digits.

use super::unicode::{WORD, is, is_digit_lead};

/// Whose three bytes are looked for.
pub(super) type Sets = [&'static [u8]; 3];

/// The bucket of three digits.
const DIGITS: u8 = 1 << 7;
const BUCKETS: usize = 7;
/// Bytes that are looked at of each place.
pub(super) const PLACE: usize = 3;

/// The tables of the filter.
#[derive(Debug)]
pub(super) struct Filter {
    /// For each byte of a place, the buckets by its lower and by its upper half.
    low: [[u8; 16]; PLACE],
    high: [[u8; 16]; PLACE],
    /// For each two ASCII bytes, what the third of a trigger may be, by its class.
    thirds: Box<[u32; PAIRS]>,
}

const PAIRS: usize = 128 * 128;

/// Of each byte one of 32 classes: the letters in either case, digits, three separators, all else.
static CLASSES: [u8; 256] = {
    let mut classes = [31; 256];
    let mut byte = 0;
    while byte < 128 {
        classes[byte] = match byte as u8 {
            letter @ (b'a'..=b'z' | b'A'..=b'Z') => letter & 31,
            b'0'..=b'9' => 27,
            b'-' => 28,
            b'_' => 29,
            b'.' => 30,
            _ => 31,
        };
        byte += 1;
    }
    classes
};

/// Places that are decided together.
const SPAN: usize = 32;

/// Candidates among [`SPAN`] places of a text.
///
/// It is as small as it is to be returned in two registers: it is asked for of every text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidates {
    /// The place of bit 0.
    base: usize,
    bits: u32,
}

impl Candidates {
    /// Whether there is none.
    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self.bits == 0
    }

    /// The next one, taken out.
    #[inline]
    pub(super) fn next(&mut self) -> Option<usize> {
        let place = self.base + self.bits.trailing_zeros() as usize;
        let has_any = self.bits != 0;
        self.bits &= self.bits.wrapping_sub(1);
        has_any.then_some(place)
    }

    /// The first place that was not decided.
    #[inline]
    pub(super) fn behind(self) -> usize {
        self.base + SPAN
    }
}

/// How often a byte stands in what agents log, roughly: of a thousand.
fn weight(byte: u8) -> f64 {
    match byte {
        b' ' => 110.0,
        b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 50.0,
        b'a'..=b'z' => 18.0,
        b'0'..=b'9' => 12.0,
        b'A'..=b'Z' => 4.0,
        b'-' | b'_' | b'.' | b',' | b'"' | b':' | b'/' | b'=' | b'\n' => 10.0,
        b'!'..=b'~' => 3.0,
        _ => 0.5,
    }
}

impl Filter {
    /// A filter that says yes wherever one of `triggers` stands: three digits, whatever they say,
    /// are one of them. Each goes into the bucket where it makes the least of wrong candidates.
    pub(super) fn new(triggers: impl IntoIterator<Item = Sets>) -> Self {
        let nothing = [[0; 16]; PLACE];
        let mut filter = Self { low: nothing, high: nothing, thirds: Box::new([0; PAIRS]) };
        for digit in b'0'..=b'9' {
            (0..PLACE).for_each(|i| filter.allow(i, digit, DIGITS));
        }
        let mut triggers: Vec<_> = triggers.into_iter().collect();
        triggers
            .sort_by_key(|sets| std::cmp::Reverse(sets.iter().map(|set| set.len()).sum::<usize>()));
        for sets in triggers {
            let with = |bucket: usize| {
                let mut with = Self { thirds: Box::new([0; PAIRS]), ..filter };
                with.add(sets, 1 << bucket);
                with.rate(1 << bucket) - filter.rate(1 << bucket)
            };
            // Most triggers end with a separator, which few places do: they are kept apart, and so
            // are those that begin with a sign, end with a digit or with many bytes, or are capitals.
            let all = |i: usize, is: fn(&u8) -> bool| sets[i].iter().all(is);
            let buckets = match () {
                () if all(2, |byte| b"-._/".contains(byte)) => 0..1,
                () if all(0, |byte| *byte == b'@') => 1..2,
                () if all(0, |byte| !byte.is_ascii_alphabetic()) => 2..3,
                () if all(2, u8::is_ascii_digit) => 3..4,
                () if sets[2].len() > 16 => 4..5,
                () if (0..PLACE).all(|i| all(i, |byte| !byte.is_ascii_lowercase())) => 1..2,
                () => 5..BUCKETS,
            };
            let cheapest = buckets.min_by(|&a, &b| with(a).total_cmp(&with(b)));
            filter.add(sets, 1 << cheapest.unwrap_or(0));
            for (&first, &second) in
                sets[0].iter().flat_map(|a| sets[1].iter().map(move |b| (a, b)))
            {
                let thirds = &mut filter.thirds[Self::pair(first, second)];
                sets[2].iter().for_each(|third| *thirds |= 1 << CLASSES[usize::from(*third)]);
            }
        }
        filter
    }

    fn add(&mut self, sets: Sets, bucket: u8) {
        for (i, set) in sets.iter().enumerate() {
            set.iter().for_each(|&byte| self.allow(i, byte, bucket));
        }
    }

    fn allow(&mut self, i: usize, byte: u8, bucket: u8) {
        self.low[i][usize::from(byte & 15)] |= bucket;
        self.high[i][usize::from(byte >> 4)] |= bucket;
    }

    /// How often places of this bucket are met, in arbitrary units.
    fn rate(&self, bucket: u8) -> f64 {
        let of = |i: usize| -> f64 {
            (0..128).filter(|&byte| self.buckets(i, byte) & bucket != 0).map(weight).sum()
        };
        (0..PLACE).map(of).product()
    }

    fn pair(first: u8, second: u8) -> usize {
        usize::from(first & 0x7F) << 7 | usize::from(second & 0x7F)
    }

    /// Whether a trigger has the first two bytes of a place, and likely the third: so few buckets
    /// say yes at many places.
    #[inline]
    fn is_likely(&self, bytes: &[u8], at: usize) -> bool {
        let place = &bytes[at..at + PLACE];
        self.thirds[Self::pair(place[0], place[1])] >> CLASSES[usize::from(place[2])] & 1 == 1
    }

    /// Those of the places behind `at` at which that holds. None of them has fewer than three bytes.
    #[inline]
    fn likely(&self, bytes: &[u8], at: usize, mut places: u32) -> u32 {
        let mut likely = 0;
        while places != 0 {
            let place = places.trailing_zeros();
            likely |= u32::from(self.is_likely(bytes, at + place as usize)) << place;
            places &= places - 1;
        }
        likely
    }

    /// The buckets that have such a byte as the `i`th; none has one outside ASCII.
    fn buckets(&self, i: usize, byte: u8) -> u8 {
        if byte < 0x80 {
            self.low[i][usize::from(byte & 15)] & self.high[i][usize::from(byte >> 4)]
        } else {
            0
        }
    }

    /// Whether `at` is a candidate of `bytes`, of which three are there. `edge` is the beginning of
    /// the segment: digits before it do not count.
    fn is_candidate(&self, bytes: &[u8], at: usize, edge: usize) -> bool {
        let place = &bytes[at..at + PLACE];
        let buckets = (0..PLACE).fold(!0, |all, i| all & self.buckets(i, place[i]));
        let begins_run = buckets & DIGITS != 0 && !(at > edge && is(bytes[at - 1], WORD));
        begins_run
            || (buckets & !DIGITS != 0 && self.is_likely(bytes, at))
            || is_digit_lead(place[0])
            || matches!(place, [0xE2, 0x80 | 0x81, _])
    }

    /// The candidates among the first places from `from` on that have any; none where there is no
    /// more.
    ///
    /// Candidates are: every trigger; wherever three ASCII digits stand behind no letter, digit or
    /// underscore; every byte that a digit outside ASCII may begin with, which those of full-width forms
    /// are too; and where a zero-width character may stand.
    #[inline]
    pub(super) fn scan(&self, bytes: &[u8], from: usize, edge: usize) -> Candidates {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the machine has AVX2.
            #[allow(unsafe_code)]
            return unsafe { avx2::scan(self, bytes, from, edge) };
        }
        self.scan_portable(bytes, from, edge)
    }

    fn scan_portable(&self, bytes: &[u8], from: usize, edge: usize) -> Candidates {
        let last = (bytes.len() + 1).saturating_sub(PLACE);
        let Some(base) = (from..last).find(|&at| self.is_candidate(bytes, at, edge)) else {
            return Candidates { base: bytes.len(), bits: 0 };
        };
        let places = base..last.min(base + SPAN);
        let bit = |at: usize| u32::from(self.is_candidate(bytes, at, edge)) << (at - base);
        Candidates { base, bits: places.map(bit).sum() }
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{Candidates, Filter, PLACE, SPAN, WORD, is};

    /// Bytes that a block of places needs.
    const WIDE: usize = SPAN + PLACE - 1;
    const NARROW: usize = 16 + PLACE - 1;

    /// As [`Filter::scan`] says.
    #[target_feature(enable = "avx2")]
    pub(super) fn scan(filter: &Filter, bytes: &[u8], from: usize, edge: usize) -> Candidates {
        let length = bytes.len();
        if length < WIDE {
            let bits = Narrow::of(filter).text(filter, bytes, edge);
            // No place lies behind the last bit.
            let bits = if from < SPAN { bits & (!0 << from) } else { 0 };
            return Candidates { base: 0, bits };
        }
        let tables = Wide::of(filter);
        let mut at = from;
        while at + WIDE <= length {
            // SAFETY: the block and two bytes more lie in the text.
            let bits = unsafe { tables.block(bytes, at, edge) };
            if bits != 0 {
                return Candidates { base: at, bits };
            }
            at += SPAN;
        }
        if at + PLACE > length {
            return Candidates { base: length, bits: 0 };
        }
        // The last block ends with the text, over places that were looked at before.
        let base = length - WIDE;
        // SAFETY: the text is at least as long as the block and two bytes more.
        let bits = unsafe { tables.block(bytes, base, edge) };
        Candidates { base, bits: bits & (!0 << (at - base)) }
    }

    /// Of the places where three digits stand those with no word in front; `words` are the places
    /// where a letter, a digit or an underscore stands.
    #[inline(always)]
    fn begins(digits: u32, words: u32, bytes: &[u8], at: usize, edge: usize) -> u32 {
        let follows = at > edge && is(bytes[at - 1], WORD);
        // A place before the edge was decided before; which it is does not matter.
        let at_edge = 1_u32.checked_shl(edge.wrapping_sub(at) as u32).unwrap_or(0);
        digits & (!(words << 1 | u32::from(follows)) | at_edge)
    }

    /// The bytes of words, in the manner of the filter's tables: digits, letters of either half of
    /// the alphabet, the underscore.
    static WORDS: ([u8; 16], [u8; 16]) = (
        [5, 7, 7, 7, 7, 7, 7, 7, 7, 7, 6, 2, 2, 2, 2, 10],
        [0, 0, 0, 1, 2, 12, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0],
    );

    /// Defines the tables of the filter for one width of vectors, and how a block is decided.
    macro_rules! width {
        ($name:ident, $vector:ty, $load:ident, $table:expr, $set1:ident, $shuffle:ident, $and:ident,
         $andnot:ident, $greater:ident, $shift:ident, $movemask:ident, $equal:ident, $zero:ident, $sub:ident,
         $min:ident, $all:expr) => {
            struct $name<'f> {
                filter: &'f Filter,
                low: [$vector; PLACE],
                high: [$vector; PLACE],
            }

            impl<'f> $name<'f> {
                #[inline]
                #[target_feature(enable = "avx2")]
                fn of(filter: &'f Filter) -> Self {
                    let table = $table;
                    Self {
                        filter,
                        low: filter.low.each_ref().map(table),
                        high: filter.high.each_ref().map(table),
                    }
                }

                /// The candidates of the block that begins at `at`.
                ///
                /// # Safety
                ///
                /// All places of the block have three bytes.
                #[inline]
                #[target_feature(enable = "avx2")]
                unsafe fn block(&self, bytes: &[u8], at: usize, edge: usize) -> u32 {
                    // SAFETY: the caller's.
                    let vector = |i: usize| unsafe { $load(bytes.as_ptr().add(at + i).cast()) };
                    self.decide([vector(0), vector(1), vector(2)], bytes, at, edge)
                }

                #[inline]
                #[target_feature(enable = "avx2")]
                fn decide(
                    &self,
                    place: [$vector; PLACE],
                    bytes: &[u8],
                    at: usize,
                    edge: usize,
                ) -> u32 {
                    // A shuffle gives zero for bytes outside ASCII.
                    let upper = $set1(15);
                    let buckets = |i: usize| {
                        let high = $and($shift::<4>(place[i]), upper);
                        $and($shuffle(self.low[i], place[i]), $shuffle(self.high[i], high))
                    };
                    let buckets = $and($and(buckets(0), buckets(1)), buckets(2));
                    let none = $equal($and(buckets, $set1(0x7F)), $zero());
                    // A text shorter than a block has places that are not there.
                    let there = bytes.len().saturating_sub(at + PLACE - 1).min(SPAN);
                    let there = (!0_u32).checked_shr((SPAN - there) as u32).unwrap_or(0);
                    let bits = !($movemask(none) as u32) & $all & there;
                    let mut bits = self.filter.likely(bytes, at, bits);
                    let digits = $movemask(buckets) as u32;
                    // From 0xD9 on, but for eight from 0xE2 on.
                    let from_d9 = $and($greater(place[0], $set1(0xD8_u8 as i8)), place[0]);
                    let from_e2 = $sub(place[0], $set1(0xE2_u8 as i8));
                    let but = $equal(from_e2, $min(from_e2, $set1(7)));
                    bits |= $movemask($andnot(but, from_d9)) as u32;
                    // 0xE2 in front of 0x80 and 0x81: the zero-width characters, and some more.
                    let in_front =
                        $equal($and(place[1], $set1(0xFE_u8 as i8)), $set1(0x80_u8 as i8));
                    bits |= $movemask($and($equal(from_e2, $zero()), in_front)) as u32;
                    if digits != 0 {
                        let table = $table;
                        let upper = $and($shift::<4>(place[0]), upper);
                        let (low, high) = (table(&WORDS.0), table(&WORDS.1));
                        let words = $and($shuffle(low, place[0]), $shuffle(high, upper));
                        let words = !($movemask($equal(words, $zero())) as u32);
                        bits |= begins(digits, words, bytes, at, edge);
                    }
                    bits
                }
            }
        };
    }

    /// A table of the filter in both halves of a vector, which are shuffled apart.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn twice(table: &[u8; 16]) -> __m256i {
        _mm256_broadcastsi128_si256(once(table))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn once(table: &[u8; 16]) -> __m128i {
        // SAFETY: the table has sixteen bytes.
        unsafe { _mm_loadu_si128(table.as_ptr().cast()) }
    }

    width!(
        Wide,
        __m256i,
        _mm256_loadu_si256,
        |table| twice(table),
        _mm256_set1_epi8,
        _mm256_shuffle_epi8,
        _mm256_and_si256,
        _mm256_andnot_si256,
        _mm256_cmpgt_epi8,
        _mm256_srli_epi16,
        _mm256_movemask_epi8,
        _mm256_cmpeq_epi8,
        _mm256_setzero_si256,
        _mm256_sub_epi8,
        _mm256_min_epu8,
        u32::MAX
    );
    width!(
        Narrow,
        __m128i,
        _mm_loadu_si128,
        |table| once(table),
        _mm_set1_epi8,
        _mm_shuffle_epi8,
        _mm_and_si128,
        _mm_andnot_si128,
        _mm_cmpgt_epi8,
        _mm_srli_epi16,
        _mm_movemask_epi8,
        _mm_cmpeq_epi8,
        _mm_setzero_si128,
        _mm_sub_epi8,
        _mm_min_epu8,
        0xFFFF
    );

    impl Narrow<'_> {
        /// The candidates of a text that is shorter than a wide block.
        #[inline]
        #[target_feature(enable = "avx2")]
        fn text(&self, filter: &Filter, bytes: &[u8], edge: usize) -> u32 {
            let length = bytes.len();
            if length >= NARROW {
                let last = length - NARROW;
                // SAFETY: the text is at least as long as the block and two bytes more.
                let blocks = unsafe { [self.block(bytes, 0, edge), self.block(bytes, last, edge)] };
                return blocks[0] | blocks[1] << last;
            }
            if length < PLACE {
                return 0;
            }
            let eight =
                |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or_default());
            let four =
                |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap_or_default());
            let (first, second) = match length {
                16.. => (eight(0), eight(8)),
                9.. => (eight(0), eight(length - 8) >> (8 * (16 - length))),
                8 => (eight(0), 0),
                4.. => (u64::from(four(0)) | u64::from(four(length - 4)) << (8 * (length - 4)), 0),
                _ => {
                    (u64::from(bytes[0]) | u64::from(bytes[1]) << 8 | u64::from(bytes[2]) << 16, 0)
                }
            };
            let text = _mm_set_epi64x(second as i64, first as i64);
            let place = [text, _mm_bsrli_si128::<1>(text), _mm_bsrli_si128::<2>(text)];
            // Of the last places too little is seen.
            let decided = length.min(16) + 1 - PLACE;
            let mut bits = self.decide(place, bytes, 0, edge) & ((1 << decided) - 1);
            if length == 17 {
                bits |= u32::from(filter.is_candidate(bytes, decided, edge)) << decided;
            }
            bits
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIGGERS: [Sets; 6] = [
        [b"e", b"y", b"J"],
        [b"A", b"KSBC", b"IC"],
        [b"@", b"az.09-", b"az.09-"],
        [b"sS", b"kK", b"-_"],
        [b"\n", b"p", b"="],
        [b"g", b"h", b"po"],
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
        let filter = Filter::new(TRIGGERS);
        let mut rng = fastrand::Rng::with_seed(7);
        const BYTES: &[u8] =
            b"0129/:@eyJAKI xSkghp-_=\n.\x00\x7F\x80\xBF\xC2\xD8\xD9\xE1\xE2\x80\x81\x82\xE9\xEA\xF0\xFF";
        for _ in 0..40_000 {
            let length = rng.usize(0..110);
            let text: Vec<u8> = std::iter::repeat_with(|| match rng.u8(..) {
                0..200 => BYTES[rng.usize(..BYTES.len())],
                _ => rng.u8(..),
            })
            .take(length)
            .collect();
            let edge = if rng.bool() { 0 } else { rng.usize(0..=length) };
            let found = places(|from| filter.scan(&text, from.max(edge), edge));
            let last = (text.len() + 1).saturating_sub(PLACE);
            let expected: Vec<_> =
                (edge..last).filter(|&at| filter.is_candidate(&text, at, edge)).collect();
            assert_eq!(found, expected, "{text:?} from {edge}");
            assert_eq!(found, places(|from| filter.scan_portable(&text, from.max(edge), edge)));
            for at in edge..last {
                let stands = TRIGGERS
                    .iter()
                    .any(|sets| sets.iter().zip(&text[at..]).all(|(set, byte)| set.contains(byte)));
                assert!(!stands || found.contains(&at), "{at} of {text:?}");
            }
        }
    }
}
