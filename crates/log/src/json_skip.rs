//! Steps over JSON without building it, to find the end of a value and that it is valid.
//!
//! It accepts less than [`JsonObject::parse`](crate::json::JsonObject::parse): no spaces, no exponents, no
//! long numbers, no deep nesting. What it accepts, the parser accepts too. Everything else is left to the
//! parser.

use memchr::memchr2;

/// How deep a value may nest: the bits of the stack.
const DEPTH_MAX: u32 = 64;
/// The most digits before the point of a number. They fit into 64 bits.
const DIGITS_MAX: usize = 18;
/// The most digits after the point: a small `f64` has zeros before its 17 digits.
const FRACTION_DIGITS_MAX: usize = 28;

/// Whether a text is valid UTF-8 and has no control characters.
pub(crate) fn is_plain_text(text: &[u8]) -> bool {
    // Without an early exit in a block, so that the compiler uses vectors.
    let sum_up = |block: &[u8]| {
        block
            .iter()
            .fold((0, 0), |(controls, all), byte| (controls | u8::from(*byte < b' '), all | *byte))
    };
    let (blocks, rest) = text.as_chunks::<128>();
    let mut seen = 0;
    for block in blocks.iter().map(|block| &block[..]).chain([rest]) {
        let (controls, all) = sum_up(block);
        if controls != 0 {
            return false;
        }
        seen |= all;
    }
    seen < 0x80 || std::str::from_utf8(text).is_ok()
}

/// Returns the end of the value that begins at `at`. The text has to be plain.
pub(crate) fn value_end(text: &[u8], mut at: usize) -> Option<usize> {
    // One bit for each open object or array, 1 for an object; the innermost is the lowest.
    let (mut open, mut depth) = (0_u64, 0);
    loop {
        // A value begins here.
        match *text.get(at)? {
            b'"' => at = string_end(text, at + 1)?,
            bracket @ (b'{' | b'[') => {
                if depth == DEPTH_MAX {
                    return None;
                }
                let is_object = bracket == b'{';
                (open, depth, at) = (open << 1 | u64::from(is_object), depth + 1, at + 1);
                let is_empty = *text.get(at)? == bracket + 2;
                if !is_empty {
                    at = if is_object { member_value(text, at)? } else { at };
                    continue;
                }
            }
            b't' => at = literal_end(text, at, b"true")?,
            b'f' => at = literal_end(text, at, b"false")?,
            b'n' => at = literal_end(text, at, b"null")?,
            _ => at = number_end(text, at)?,
        }
        // A value, or what is in an object or array, ends here.
        loop {
            if depth == 0 {
                return Some(at);
            }
            let is_object = open & 1 == 1;
            match *text.get(at)? {
                b',' if is_object => at = member_value(text, at + 1)?,
                b',' => at += 1,
                b'}' if is_object => {
                    (open, depth, at) = (open >> 1, depth - 1, at + 1);
                    continue;
                }
                b']' if !is_object => {
                    (open, depth, at) = (open >> 1, depth - 1, at + 1);
                    continue;
                }
                _ => return None,
            }
            break;
        }
    }
}

/// Returns the beginning of the value of the member whose name begins at `at`.
fn member_value(text: &[u8], at: usize) -> Option<usize> {
    if *text.get(at)? != b'"' {
        return None;
    }
    let colon = string_end(text, at + 1)?;
    (*text.get(colon)? == b':').then_some(colon + 1)
}

/// Returns the end of the string whose content begins at `at`, after its quote.
#[inline]
fn string_end(text: &[u8], at: usize) -> Option<usize> {
    match plain_string_end(text, at)? {
        end if text[end] == b'"' => Some(end + 1),
        escape => string_end_from_escape(text, escape),
    }
}

/// Returns the place of the quote that ends a string, or of the first escape before it.
#[inline(always)]
pub(crate) fn plain_string_end(text: &[u8], mut at: usize) -> Option<usize> {
    // Most strings are short.
    for _ in 0..4 {
        let Some(word) = text.get(at..).and_then(|rest| rest.first_chunk::<8>()) else { break };
        let word = u64::from_le_bytes(*word);
        let found = bytes_equal(word, b'"') | bytes_equal(word, b'\\');
        if found != 0 {
            return Some(at + (found.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    Some(at + memchr2(b'"', b'\\', text.get(at..)?)?)
}

/// The lowest bit that is set is in the first byte of a word that is equal.
#[inline]
fn bytes_equal(word: u64, byte: u8) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let differences = word ^ (ONES * u64::from(byte));
    differences.wrapping_sub(ONES) & !differences & (ONES << 7)
}

fn string_end_from_escape(text: &[u8], mut found: usize) -> Option<usize> {
    while text[found] == b'\\' {
        let at = match *text.get(found + 1)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => found + 2,
            b'u' if text.get(found + 2..found + 6)?.iter().all(u8::is_ascii_hexdigit) => found + 6,
            _ => return None,
        };
        found = plain_string_end(text, at)?;
    }
    Some(found + 1)
}

fn literal_end(text: &[u8], at: usize, literal: &[u8]) -> Option<usize> {
    text[at..].starts_with(literal).then_some(at + literal.len())
}

/// Returns the end of a number without exponent.
#[inline]
pub(crate) fn number_end(text: &[u8], mut at: usize) -> Option<usize> {
    at += usize::from(text.get(at) == Some(&b'-'));
    let whole = digits_end(text, at, DIGITS_MAX)?;
    if text[at] == b'0' && whole > at + 1 {
        return None;
    }
    let end = match text.get(whole) {
        Some(b'.') => digits_end(text, whole + 1, FRACTION_DIGITS_MAX)?,
        _ => whole,
    };
    (!matches!(text.get(end), Some(b'e' | b'E'))).then_some(end)
}

/// Returns the end of a few digits, at least one.
fn digits_end(text: &[u8], at: usize, digits_max: usize) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let (rest, mut digits) = (text.get(at..)?, 0);
    loop {
        let Some(word) = rest.get(digits..).and_then(|rest| rest.first_chunk::<8>()) else {
            digits += rest[digits..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            break;
        };
        // The lowest bit that is set is in the first byte that is not a digit.
        let values = u64::from_le_bytes(*word) ^ (ONES * u64::from(b'0'));
        let others = (values.wrapping_add(ONES * (0x7F - 9)) | values) & (ONES << 7);
        digits += (others.trailing_zeros() / 8) as usize;
        if others != 0 || digits > digits_max {
            break;
        }
    }
    (1..=digits_max).contains(&digits).then_some(at + digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::JsonObject;

    #[test]
    fn the_end_of_a_value_is_found() {
        for value in [
            "{}",
            "[]",
            r#"{"a":[],"b":{},"c":[{"d":[1,-2,3.5,true,false,null,"x"]},[[]]],"e":"\u0001\"\\é😀"}"#,
            r#""a\nb""#,
            "-0",
            "123456789012345678",
            "0.0000000000000000000000000001",
            "null",
        ] {
            let text = format!("{value},");
            assert_eq!(value_end(text.as_bytes(), 0), Some(value.len()), "{value}");
        }
    }

    #[test]
    fn a_string_ends_at_any_distance() {
        for length in 0..100 {
            for escape in [None, Some(0), Some(length / 2), Some(length)] {
                let mut text = "x!{\u{e9}".chars().cycle().take(length).collect::<String>();
                if let Some(at) = escape {
                    let at = text.char_indices().nth(at).map_or(text.len(), |(at, _)| at);
                    text.insert_str(at, r#"\""#);
                }
                let end = text.len();
                text += "\",\"next\"";
                assert_eq!(string_end(text.as_bytes(), 0), Some(end + 1), "{text}");
            }
        }
    }

    #[test]
    fn what_is_unusual_or_wrong_is_left_to_the_parser() {
        let deep = "[".repeat(65) + &"]".repeat(65);
        for value in [
            "",
            "{",
            "[",
            "[1",
            "[1,",
            "[,]",
            "[1,]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{,}",
            "{1:2}",
            "[}",
            "{]",
            "[1}",
            "{\"a\":1]",
            "01",
            "1.",
            ".5",
            "1e5",
            "-",
            "+1",
            "tru",
            "nul",
            "\"",
            "\"\\",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12g4\"",
            "1234567890123456789",
            "0.00000000000000000000000000001",
            "{ }",
            &deep,
        ] {
            assert_eq!(value_end(value.as_bytes(), 0), None, "{value}");
        }
    }

    /// Whatever is done to a value, the parser accepts it if its end is found.
    #[test]
    fn what_is_accepted_is_json() {
        let mut rng = fastrand::Rng::with_seed(5);
        let value = r#"{"a":[0,-2,3.5,true],"c":{"d":"x\u00e9\ud83d","e":null},"f":[[],{}]}"#;
        let mut accepted = 0;
        for _ in 0..30_000 {
            let mut bytes = value.as_bytes().to_vec();
            for _ in 0..rng.usize(1..4) {
                let at = rng.usize(..bytes.len());
                match rng.u8(..3) {
                    0 => bytes[at] = *rng.choice(b"{}[]\",:\\0e.-19tu\xc3\x7f\x1f ").unwrap(),
                    1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, *rng.choice(b"{}[]\",:\\0e.-19").unwrap()),
                }
            }
            if bytes.first() == Some(&b'{')
                && is_plain_text(&bytes)
                && value_end(&bytes, 0) == Some(bytes.len())
            {
                accepted += 1;
                let text = String::from_utf8_lossy(&bytes).into_owned();
                assert!(JsonObject::parse(&mut bytes, "text").is_ok(), "{text}");
            }
        }
        assert!(accepted > 100, "{accepted}");
    }
}
