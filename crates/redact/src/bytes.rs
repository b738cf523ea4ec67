//! Classes of characters for the floor rules: digits, words, white space; digits of base64. And how texts begin.
//!
//! The classes are those of Python's `re` on `str`. `\d` is the category Nd. `\w` is letters,
//! numbers and the underscore, without combining marks and joiners. `\s` is the set of
//! `str.isspace`.

use regex_syntax::hir::{Class, HirKind};

use llm_audit_process::cell::Lazy;

/// In an e-mail's local part.
pub(super) const LOCAL: u8 = 1;
/// In an e-mail's domain.
pub(super) const DOMAIN: u8 = 1 << 1;
/// In base64url.
pub(super) const BASE64: u8 = 1 << 2;
/// An ASCII letter.
pub(super) const LETTER: u8 = 1 << 3;
/// In the random part of an AWS access key id.
pub(super) const AWS: u8 = 1 << 4;
/// An ASCII digit.
pub(super) const DIGIT: u8 = 1 << 5;
/// A word character below U+0080.
pub(super) const WORD: u8 = 1 << 6;
/// In a number, after its first digits: digits, hyphens, white space and what is not ASCII.
pub(super) const NUMBER: u8 = 1 << 7;

/// The classes of every byte. Bytes of longer characters are only in [`NUMBER`].
pub(super) static BYTES: [u8; 256] = byte_classes();

const fn byte_classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let byte = i as u8;
        let alphanumeric = byte.is_ascii_alphanumeric();
        let mut class = 0;
        if alphanumeric || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-') {
            class |= LOCAL;
        }
        if alphanumeric || matches!(byte, b'.' | b'-') {
            class |= DOMAIN;
        }
        if alphanumeric || matches!(byte, b'_' | b'-') {
            class |= BASE64;
        }
        if byte.is_ascii_alphabetic() {
            class |= LETTER;
        }
        if byte.is_ascii_uppercase() || byte.is_ascii_digit() {
            class |= AWS;
        }
        if byte.is_ascii_digit() {
            class |= DIGIT;
        }
        if alphanumeric || byte == b'_' {
            class |= WORD;
        }
        if byte <= b' ' || byte.is_ascii_digit() || byte == b'-' || byte >= 0x80 {
            class |= NUMBER;
        }
        table[i] = class;
        i += 1;
    }
    table
}

/// Returns all classes of `byte`.
pub(super) fn class_of_byte(byte: u8) -> u8 {
    BYTES[usize::from(byte)]
}

/// Returns whether `byte` is in one of `classes`.
pub(super) fn has_byte_class(byte: u8, classes: u8) -> bool {
    class_of_byte(byte) & classes != 0
}

pub(super) fn is_word_char(c: char) -> bool {
    if c.is_ascii() { has_byte_class(c as u8, WORD) } else { ranges_contain(&WORDS, c) }
}

pub(super) fn is_digit_char(c: char) -> bool {
    match c {
        '\0'..='\x7F' => c.is_ascii_digit(),
        // No digit begins with such a byte: most punctuation, and Chinese.
        '\u{2000}'..='\u{9FFF}' => false,
        _ => ranges_contain(&DIGITS, c),
    }
}

pub(super) fn is_space_char(c: char) -> bool {
    matches!(
        c,
        '\u{9}'..='\u{D}'
            | '\u{1C}'..='\u{20}'
            | '\u{85}'
            | '\u{A0}'
            | '\u{1680}'
            | '\u{2000}'..='\u{200A}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{202F}'
            | '\u{205F}'
            | '\u{3000}'
    )
}

/// Returns whether a digit outside ASCII may begin with this byte.
pub(super) fn is_digit_lead_byte(byte: u8) -> bool {
    byte >= 0xD9 && !(0xE2..=0xE9).contains(&byte)
}

type CharRanges = Box<[(char, char)]>;

static WORDS: Lazy<CharRanges> = Lazy::new(|| unicode_class_ranges(r"[\p{L}\p{N}]"));
static DIGITS: Lazy<CharRanges> = Lazy::new(|| unicode_class_ranges(r"\p{Nd}"));

fn unicode_class_ranges(class: &str) -> CharRanges {
    let hir = regex_syntax::parse(class).expect("the class is a constant and its tables are built");
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => {
            class.iter().map(|range| (range.start(), range.end())).collect()
        }
        other => unreachable!("a Unicode class parses to one, not to {other:?}"),
    }
}

fn ranges_contain(ranges: &CharRanges, c: char) -> bool {
    let behind = ranges.partition_point(|&(_, last)| last < c);
    ranges.get(behind).is_some_and(|&(first, _)| first <= c)
}

/// Returns the six bits of a digit of base64, in either alphabet.
pub(super) fn base64_digit(byte: u8) -> Option<u32> {
    match byte {
        b'A'..=b'Z' => Some(u32::from(byte - b'A')),
        b'a'..=b'z' => Some(u32::from(byte - b'a') + 26),
        b'0'..=b'9' => Some(u32::from(byte - b'0') + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

/// Returns whether a text begins like JSON, or like what may precede it.
#[inline]
pub fn may_begin_json(text: &str) -> bool {
    matches!(text.as_bytes().first(), Some(b'{' | b'[' | b'"' | b'`' | ..=b' ' | 0x7F..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_begin_with_few_bytes() {
        let mut buffer = [0; 4];
        for c in ('\u{80}'..=char::MAX).filter(|&c| is_digit_char(c)) {
            assert!(is_digit_lead_byte(c.encode_utf8(&mut buffer).as_bytes()[0]), "{c:?}");
        }
    }

    #[test]
    fn the_classes_are_pythons() {
        let cases = [
            // character, word, digit, space
            ('a', true, false, false),
            ('_', true, false, false),
            ('7', true, true, false),
            ('-', false, false, false),
            ('é', true, false, false),
            ('字', true, false, false),
            ('\u{0664}', true, true, false),
            ('\u{FF11}', true, true, false),
            ('\u{1D7CE}', true, true, false),
            ('²', true, false, false),
            ('½', true, false, false),
            ('Ⅷ', true, false, false),
            ('\u{0301}', false, false, false),
            ('\u{0903}', false, false, false),
            ('\u{20DD}', false, false, false),
            ('\u{24B6}', false, false, false),
            ('\u{203F}', false, false, false),
            ('\u{200B}', false, false, false),
            ('\u{200D}', false, false, false),
            ('\u{FFFD}', false, false, false),
            ('\u{1B}', false, false, false),
            ('\u{1C}', false, false, true),
            ('\u{1F}', false, false, true),
            ('\u{85}', false, false, true),
            ('\u{A0}', false, false, true),
            ('\u{180E}', false, false, false),
            ('\u{2028}', false, false, true),
            ('\u{3000}', false, false, true),
            ('\u{FEFF}', false, false, false),
        ];
        for (c, word, digit, space) in cases {
            assert_eq!(
                (is_word_char(c), is_digit_char(c), is_space_char(c)),
                (word, digit, space),
                "{c:?}"
            );
        }
    }
}
