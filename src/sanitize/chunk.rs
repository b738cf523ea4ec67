//! Where in 32 bytes may a match begin? With vector instructions where the machine is known to have
//! them, else byte by byte; both say the same.

/// Bytes looked at together.
pub(super) const CHUNK: usize = 32;
/// Of these the first so many are decided: of the last ones too little is seen.
pub(super) const DECIDED: usize = CHUNK - 3;

/// A bit for each of the first [`DECIDED`] bytes at which a card, a token or a key may begin: four
/// digits, `eyJ`, `AKI`, or a byte that digits outside ASCII begin with.
pub(super) fn starts(chunk: &[u8; CHUNK]) -> u32 {
    Bits::of(chunk).starts()
}

/// As [`starts`], with the `@` signs.
pub(super) fn starts_or_ats(chunk: &[u8; CHUNK]) -> u32 {
    let bits = Bits::of(chunk);
    bits.starts() | bits.equal(b'@') & DECIDED_BITS
}

const DECIDED_BITS: u32 = (1 << DECIDED) - 1;

impl Bits<'_> {
    fn starts(&self) -> u32 {
        let (digits, high) = (self.digits(), self.high());
        let either = digits | high;
        let mut starts = digits & either >> 1 & either >> 2 & either >> 3;
        // `J` and `K` are rarer than `e` and `A`.
        let (j, k) = (self.equal(b'J'), self.equal(b'K'));
        if j | k != 0 {
            starts |= self.equal(b'e') & self.equal(b'y') >> 1 & j >> 2;
            starts |= self.equal(b'A') & k >> 1 & self.equal(b'I') >> 2;
        }
        if high != 0 {
            starts |= self.digit_leads();
        }
        starts & DECIDED_BITS
    }
}

/// Every digit outside ASCII begins with a byte of which this is true.
fn is_digit_lead(byte: u8) -> bool {
    byte >= 0xD9 && !(0xE2..=0xE9).contains(&byte)
}

#[cfg(target_arch = "x86_64")]
use sse2::Bits;

#[cfg(not(target_arch = "x86_64"))]
use portable::Bits;

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod sse2 {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8,
        _mm_sub_epi8,
    };

    use super::{CHUNK, is_digit_lead};

    /// Bits of a chunk, one for each byte of which something is true.
    pub(super) struct Bits<'c> {
        halves: [__m128i; 2],
        chunk: &'c [u8; CHUNK],
    }

    impl<'c> Bits<'c> {
        #[inline]
        pub(super) fn of(chunk: &'c [u8; CHUNK]) -> Self {
            let (words, _) = chunk.as_chunks::<8>();
            let word = |i: usize| i64::from_le_bytes(words[i]);
            // SAFETY: SSE2 belongs to every x86_64.
            let half = |i: usize| unsafe { _mm_set_epi64x(word(i + 1), word(i)) };
            Self { halves: [half(0), half(2)], chunk }
        }

        #[inline]
        fn mask(&self, test: impl Fn(__m128i) -> __m128i) -> u32 {
            // SAFETY: SSE2 belongs to every x86_64.
            let mask = |half| unsafe { _mm_movemask_epi8(test(half)) as u32 };
            mask(self.halves[0]) | mask(self.halves[1]) << 16
        }

        #[inline]
        pub(super) fn equal(&self, byte: u8) -> u32 {
            // SAFETY: SSE2 belongs to every x86_64.
            self.mask(|half| unsafe { _mm_cmpeq_epi8(half, _mm_set1_epi8(byte as i8)) })
        }

        /// Bytes from 0x80 on.
        #[inline]
        pub(super) fn high(&self) -> u32 {
            self.mask(|half| half)
        }

        /// ASCII digits.
        #[inline]
        pub(super) fn digits(&self) -> u32 {
            // SAFETY: SSE2 belongs to every x86_64.
            self.mask(|half| unsafe {
                let from_zero = _mm_sub_epi8(half, _mm_set1_epi8(b'0' as i8));
                _mm_cmpeq_epi8(from_zero, _mm_min_epu8(from_zero, _mm_set1_epi8(9)))
            })
        }

        pub(super) fn digit_leads(&self) -> u32 {
            let bit = |(i, byte): (usize, &u8)| u32::from(is_digit_lead(*byte)) << i;
            self.chunk.iter().enumerate().map(bit).sum()
        }
    }
}

#[cfg(any(test, not(target_arch = "x86_64")))]
mod portable {
    use super::{CHUNK, is_digit_lead};

    /// Bits of a chunk, one for each byte of which something is true.
    pub(super) struct Bits<'c>(&'c [u8; CHUNK]);

    impl<'c> Bits<'c> {
        pub(super) fn of(chunk: &'c [u8; CHUNK]) -> Self {
            Self(chunk)
        }

        fn mask(&self, test: impl Fn(u8) -> bool) -> u32 {
            self.0.iter().enumerate().map(|(i, &byte)| u32::from(test(byte)) << i).sum()
        }

        pub(super) fn equal(&self, byte: u8) -> u32 {
            self.mask(|other| other == byte)
        }

        /// Bytes from 0x80 on.
        pub(super) fn high(&self) -> u32 {
            self.mask(|byte| byte >= 0x80)
        }

        /// ASCII digits.
        pub(super) fn digits(&self) -> u32 {
            self.mask(|byte| byte.is_ascii_digit())
        }

        pub(super) fn digit_leads(&self) -> u32 {
            self.mask(is_digit_lead)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sanitize::unicode::is_digit;

    /// What [`starts`] is to say of a place, spelled out.
    fn may_start(bytes: &[u8]) -> bool {
        let may_be_digit = |byte: &u8| byte.is_ascii_digit() || *byte >= 0x80;
        let is_card = bytes[0].is_ascii_digit() && bytes[1..4].iter().all(may_be_digit);
        is_card || bytes.starts_with(b"eyJ") || bytes.starts_with(b"AKI") || is_digit_lead(bytes[0])
    }

    #[test]
    fn vectors_and_bytes_say_the_same() {
        let mut rng = fastrand::Rng::with_seed(7);
        const BYTES: &[u8] = b"0129/:@eyJAKI x\x00\x7F\x80\xBF\xC2\xD8\xD9\xE1\xE2\xE9\xEA\xF0\xFF";
        for _ in 0..100_000 {
            let chunk: [u8; CHUNK] = std::array::from_fn(|_| {
                if rng.u8(..) < 200 { BYTES[rng.usize(..BYTES.len())] } else { rng.u8(..) }
            });
            let places = (0..DECIDED).map(|i| u32::from(may_start(&chunk[i..])) << i);
            let expected: u32 = places.sum();
            assert_eq!(starts(&chunk), expected, "{chunk:?}");
            let (ours, plain) = (Bits::of(&chunk), portable::Bits::of(&chunk));
            assert_eq!(ours.digits(), plain.digits());
            assert_eq!(ours.high(), plain.high());
            assert_eq!(ours.digit_leads(), plain.digit_leads());
            for byte in BYTES {
                assert_eq!(ours.equal(*byte), plain.equal(*byte));
            }
            let ats = plain.equal(b'@') & DECIDED_BITS;
            assert_eq!(starts_or_ats(&chunk), expected | ats);
        }
    }

    #[test]
    fn digits_begin_with_few_bytes() {
        let mut buffer = [0; 4];
        for c in ('\u{80}'..=char::MAX).filter(|&c| is_digit(c)) {
            assert!(is_digit_lead(c.encode_utf8(&mut buffer).as_bytes()[0]), "{c:?}");
        }
    }
}
