//! Strings and numbers as simd-json writes them. The usual ones are written faster than by simd-json.

use super::spelled::{ZEROS, append_usual_decimal, eight_digits};

/// Blocks of this many bytes are looked at together.
const BLOCK_BYTES: usize = 64;
/// Strings of so many bytes are looked at and copied at once, whatever follows them.
pub const SHORT_BYTES: usize = 16;

/// Appends a string in quotes.
///
/// Not inlined, so that the users of this crate have no copy of it.
#[inline(never)]
pub fn append_string(out: &mut Vec<u8>, text: &str) {
    if !append_plain(out, text.as_bytes()) {
        append_escaped(out, text);
    }
}

/// Appends a string in quotes. Returns `false`, and appends nothing, if it is not UTF-8.
#[inline]
pub fn append_utf8_string(out: &mut Vec<u8>, text: &[u8]) -> bool {
    append_plain(out, text) || append_checked(out, text)
}

/// Appends `before`, and the first `len` of these bytes in quotes, if these are ASCII without anything to
/// escape. Otherwise appends nothing and returns `false`.
#[inline(always)]
pub fn append_short(out: &mut Vec<u8>, before: u8, text: &[u8; SHORT_BYTES], len: usize) -> bool {
    // All bytes are looked at without an early exit, so that the compiler takes vectors.
    let mut special = [0; SHORT_BYTES];
    for (mark, byte) in special.iter_mut().zip(text) {
        *mark = if is_special(*byte) { u8::MAX } else { 0 };
    }
    let plain_bytes = u128::from_le_bytes(special).trailing_zeros() / u8::BITS;
    let is_plain = len <= plain_bytes as usize;
    if is_plain {
        out.extend_from_slice(&[before, b'"']);
        let end = out.len() + len;
        out.extend_from_slice(text);
        out.truncate(end);
        out.push(b'"');
    }
    is_plain
}

/// Appends a whole number.
#[inline]
pub fn append_integer(out: &mut Vec<u8>, number: u64) {
    if number < 10 {
        return out.push(b'0' + number as u8);
    }
    if number < 100_000_000 {
        let digits = eight_digits(number as u32);
        let zeros = digits.trailing_zeros() / u8::BITS;
        out.extend_from_slice(&((digits + ZEROS) >> (zeros * u8::BITS)).to_le_bytes());
        return out.truncate(out.len() - zeros as usize);
    }
    // A vector takes all there is.
    let _ = simd_json::to_writer(out, &number);
}

/// Appends a number with a point or an exponent. One that is not finite becomes `null`.
pub fn append_float(out: &mut Vec<u8>, number: f64) {
    // Below this simd-json writes an exponent.
    const PLAIN_MIN: f64 = 1e-5;
    let is_plain = number == 0.0 || number >= PLAIN_MIN;
    if !is_plain || !append_usual_decimal(out, number, b".0") {
        // A vector takes all there is.
        let _ = simd_json::to_writer(out, &number);
    }
}

/// Appends a string if it is ASCII without anything to escape. Otherwise appends nothing and returns `false`.
#[inline]
fn append_plain(out: &mut Vec<u8>, text: &[u8]) -> bool {
    let is_plain = is_plain(text);
    if is_plain {
        out.reserve(text.len() + 2);
        out.push(b'"');
        out.extend_from_slice(text);
        out.push(b'"');
    }
    is_plain
}

#[inline(never)]
fn append_checked(out: &mut Vec<u8>, text: &[u8]) -> bool {
    let text = std::str::from_utf8(text);
    if let Ok(text) = text {
        append_escaped(out, text);
    }
    text.is_ok()
}

/// Appends a string through simd-json, which finds what to escape by vectors.
#[inline(never)]
fn append_escaped(out: &mut Vec<u8>, text: &str) {
    // A vector takes all there is.
    let _ = simd_json::to_writer(out, text);
}

/// Returns whether the text is ASCII and has nothing to escape. Looks at two pieces that cover the text and may
/// overlap.
#[inline]
fn is_plain(text: &[u8]) -> bool {
    let len = text.len();
    if let (Some(first), Some(last), 8..=16) = (text.first_chunk(), text.last_chunk(), len) {
        is_plain_word(u64::from_le_bytes(*first)) & is_plain_word(u64::from_le_bytes(*last))
    } else if let (Some(first), Some(last), 4..8) = (text.first_chunk(), text.last_chunk(), len) {
        let [first, last] = [first, last].map(|half| u64::from(u32::from_le_bytes(*half)));
        is_plain_word(first << 32 | last)
    } else {
        is_plain_longer(text)
    }
}

/// Returns whether eight bytes are plain.
#[inline(always)]
fn is_plain_word(word: u64) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    let is_zero = |word: u64| word.wrapping_sub(ONES);
    // The top bits tell. A byte borrows from the next one only if it is not plain itself.
    let is_control = word.wrapping_sub(ONES * 0x20);
    let is_quote = is_zero(word ^ (ONES * u64::from(b'"')));
    let is_backslash = is_zero(word ^ (ONES * u64::from(b'\\')));
    (word | is_control | is_quote | is_backslash) & (ONES * 0x80) == 0
}

#[inline(never)]
fn is_plain_longer(text: &[u8]) -> bool {
    if let (Some(first), Some(last)) = (text.first_chunk::<16>(), text.last_chunk::<16>())
        && text.len() <= 32
    {
        return is_plain_block(first) & is_plain_block(last);
    }
    let (blocks, rest) = text.as_chunks::<BLOCK_BYTES>();
    let mut blocks = blocks.iter();
    match text.last_chunk::<32>() {
        Some(_) if rest.is_empty() => blocks.all(is_plain_block),
        Some(last) => {
            blocks.all(is_plain_block)
                && is_plain_block(last)
                && rest.first_chunk::<32>().is_none_or(is_plain_block)
        }
        None => text.iter().all(|byte| is_plain_block(&[*byte])),
    }
}

/// Looks at all bytes without an early exit, so that the compiler takes vectors.
#[inline(always)]
fn is_plain_block<const N: usize>(block: &[u8; N]) -> bool {
    !block.iter().fold(false, |any, byte| any | is_special(*byte))
}

/// Returns whether a byte is not ASCII, or has to be escaped.
#[inline(always)]
fn is_special(byte: u8) -> bool {
    // As a signed number, a byte beyond ASCII is below zero.
    ((byte as i8) < 0x20) | (byte == b'"') | (byte == b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_string_is_written_as_simd_json_writes_it() {
        // Each kind of character, at each place of a block.
        let special =
            ["", "\"", "\\", "\0", "\u{1f}", "\n", "\u{7f}", "\u{85}", "\u{2028}", "\u{feff}"];
        for len in 0..140 {
            for at in 0..=len {
                for special in special {
                    let text = format!("{}{special}{}", "x".repeat(at), "~ ".repeat(len - at));
                    let (mut out, mut checked) = (Vec::new(), Vec::new());
                    append_string(&mut out, &text);
                    assert!(append_utf8_string(&mut checked, text.as_bytes()));
                    assert_eq!(out, simd_json::to_vec(&text).unwrap(), "{text:?}");
                    assert_eq!(checked, out);
                    let back: String = serde_json::from_slice(&out).expect("JSON");
                    assert_eq!(back, text);
                }
            }
        }
    }

    #[test]
    fn a_short_string_is_written_whatever_follows_it() {
        for special in *b" \"\\\n\x7f\x80\xff" {
            for at in 0..SHORT_BYTES {
                for len in 0..=SHORT_BYTES + 1 {
                    let mut text = *b"abcdefghijklmnop";
                    text[at] = special;
                    let mut out = Vec::new();
                    let is_written = append_short(&mut out, b',', &text, len);
                    let is_plain = len <= SHORT_BYTES && (at >= len || is_plain_block(&[special]));
                    assert_eq!(is_written, is_plain);
                    let expected = match is_plain {
                        true => [b",\"", &text[..len], b"\""].concat(),
                        false => Vec::new(),
                    };
                    assert_eq!(out, expected);
                }
            }
        }
    }

    #[test]
    fn what_is_not_utf_8_is_not_written() {
        for len in 0..200 {
            for at in 0..=len {
                let mut text = vec![b'x'; len];
                text.insert(at, 0xff);
                let mut out = Vec::new();
                assert!(!append_utf8_string(&mut out, &text));
                assert!(out.is_empty());
            }
        }
    }

    #[test]
    fn every_number_is_written_as_simd_json_writes_it() {
        let mut random = fastrand::Rng::with_seed(7);
        let named = [0.0, -0.0, 1.0, 1e-5, 9.9e-6, 1e-6, 0.1 + 0.2, 1e9, 1e15, 5e-324, f64::MAX];
        let drawn = (0..100_000).map(|round| {
            let bits = random.u32(1..60);
            match round % 4 {
                0 => f64::from_bits(random.u64(..)),
                1 => random.u64(..1 << bits) as f64 / 1e6,
                2 => random.u64(..1 << bits) as f64 / 10_f64.powi(random.i32(0..12)),
                _ => random.f64(),
            }
        });
        for number in named.into_iter().chain(drawn) {
            let mut out = Vec::new();
            append_float(&mut out, number);
            assert_eq!(out, simd_json::to_vec(&number).unwrap(), "{number:e}");
        }
    }
}
