//! Payment cards: 13 to 19 digits with an issuer's prefix and length that pass Luhn's check. Joined
//! digits of a length that ids have need a word for a card beside them.
//!
//! Prefixes and lengths are those of the ISO/IEC 7812 issuer ranges that the card schemes publish.

use super::lookalikes::is_exempt_card;
use super::{RuleText, match_if_nonempty};
use crate::{Kind, Match};

const DIGITS_MAX: usize = 19;
const DIGITS_MIN: usize = 13;

/// First and last prefix of a range, and the shortest and the longest number in it.
const ISSUERS: [(&str, &str, usize, usize); 24] = [
    ("4", "4", 13, 13),
    ("4", "4", 16, 16),
    ("4", "4", 19, 19),
    ("51", "55", 16, 16),
    ("2221", "2720", 16, 16),
    ("34", "34", 15, 15),
    ("37", "37", 15, 15),
    ("6011", "6011", 16, 19),
    ("644", "649", 16, 19),
    ("65", "65", 16, 19),
    ("300", "305", 14, 14),
    ("36", "36", 14, 14),
    ("38", "39", 14, 14),
    ("3528", "3589", 16, 19),
    ("1800", "1800", 15, 15),
    ("2131", "2131", 15, 15),
    ("62", "62", 16, 19),
    ("2200", "2204", 16, 19),
    ("5018", "5018", 13, 19),
    ("5020", "5038", 13, 19),
    ("56", "58", 13, 19),
    ("6304", "6304", 13, 19),
    ("6759", "6763", 13, 19),
    ("6390", "6390", 13, 19),
];

/// Returns the card that begins with the digit at `at`. Its groups have two digits or more, the
/// first group four or more. The separator between groups is the same throughout, or absent.
pub(super) fn card_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let mut digits = [0; DIGITS_MAX];
    let (mut count, mut group, mut end, mut separator) = (0, 0, at, None);
    while let Some(byte) = look.byte_at(end) {
        match byte {
            b'0'..=b'9' if count == DIGITS_MAX => return None,
            b'0'..=b'9' => {
                digits[count] = byte - b'0';
                (count, group) = (count + 1, group + 1);
            }
            b' ' | b'-'
                if group >= if separator.is_none() { 4 } else { 2 }
                    && separator.is_none_or(|before| before == byte)
                    && look.byte_at(end + 1).is_some_and(|next| next.is_ascii_digit()) =>
            {
                separator = Some(byte);
                group = 0;
            }
            _ => break,
        }
        end += 1;
    }
    let is_one = count >= DIGITS_MIN
        && is_card_number(&digits[..count])
        && is_card_apart(look, at, end, separator == Some(b' '))
        && (separator.is_some() || count == 16 || is_named_card(look, at, end))
        && !is_exempt_card(look, at, end);
    is_one.then(|| match_if_nonempty(Kind::Card, at, end))?
}

/// Returns whether a match of the floor's rule is a card. The issuer's prefix and length, Luhn's
/// check and the text beside it decide. If digits are outside ASCII, only full-width ones can form
/// a card.
pub(crate) fn is_precise_card(text: &str, edge: usize, card: Match) -> bool {
    let mut digits = [0; 16];
    let (mut count, mut separator) = (0, None);
    for c in card.of(text).chars() {
        match c {
            '0'..='9' => digits[count] = c as u8 - b'0',
            '\u{FF10}'..='\u{FF19}' => digits[count] = (c as u32 - 0xFF10) as u8,
            c if c.is_numeric() => return false,
            c => {
                separator = Some(c);
                continue;
            }
        }
        count += 1;
    }
    let look = RuleText { text: text.as_bytes(), edge };
    is_card_number(&digits) && is_card_apart(look, card.start, card.end, separator == Some(' '))
}

/// Returns whether the digits have an issuer's prefix and length and pass Luhn's check.
fn is_card_number(digits: &[u8]) -> bool {
    let begins_within = |first: &str, last: &str| {
        let prefix = digits[..first.len()].iter().map(|digit| digit + b'0');
        prefix.clone().ge(first.bytes()) && prefix.le(last.bytes())
    };
    let is_issued = ISSUERS.iter().any(|&(first, last, shortest, longest)| {
        (shortest..=longest).contains(&digits.len()) && begins_within(first, last)
    });
    is_issued && card_passes_luhn(digits) && digits.iter().any(|digit| *digit != digits[0])
}

/// Checks the digits by ISO/IEC 7812-1, annex B.
fn card_passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, &digit)| {
            let doubled = u32::from(digit) << (i % 2);
            doubled / 10 + doubled % 10
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Returns whether a number from `start` to `end` is separate. It is not if it is part of a word, a
/// decimal, an id with hyphens or a longer row of groups.
fn is_card_apart(look: RuleText<'_>, start: usize, end: usize, has_spaces: bool) -> bool {
    let is_digit = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_digit());
    let is_word = |byte: Option<u8>| {
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80)
    };
    let joins = |beside: Option<u8>, beyond: Option<u8>| match beside {
        Some(b'.' | b',') => is_digit(beyond),
        Some(b'-') => is_word(beyond),
        Some(b' ') => has_spaces && is_digit(beyond),
        beside => is_word(beside),
    };
    let front = &look.text[look.edge..start];
    let beyond = front.len().checked_sub(2).map(|at| front[at]);
    !joins(front.last().copied(), beyond)
        && !joins(look.byte_at(end), look.byte_at(end + 1))
        && !is_span_id_not_card(front)
}

/// Words beside the number of a card.
#[rustfmt::skip]
const CARD_WORDS: [&[u8]; 11] = [
    b"card", b"carte", b"karte", b"tarjeta", b"credit", b"debit", b"payment", b"visa", b"amex",
    b"maestro", b"diners",
];

/// Returns whether a number is all of the text, or whether a word for a card is near. Ids have as many
/// digits as cards that have not 16, and one in ten passes Luhn's check.
fn is_named_card(look: RuleText<'_>, start: usize, end: usize) -> bool {
    const BEFORE_BYTES: usize = 48;
    const AFTER_BYTES: usize = 24;
    // A placeholder says nothing about what is beside it.
    let is_bracket = |byte: &u8| matches!(byte, b'[' | b']');
    let before = &look.text[look.edge.max(start.saturating_sub(BEFORE_BYTES))..start];
    let before = before.rsplit(is_bracket).next().unwrap_or_default();
    let after = &look.rest_from(end)[..look.rest_from(end).len().min(AFTER_BYTES)];
    let after = after.split(is_bracket).next().unwrap_or_default();
    let names = |text: &[u8]| {
        let has = |word: &&[u8]| text.windows(word.len()).any(|w| w.eq_ignore_ascii_case(word));
        let is_short =
            |part: &[u8]| [&b"cc"[..], b"pan"].iter().any(|w| part.eq_ignore_ascii_case(w));
        CARD_WORDS.iter().any(has) || text.split(|byte| !byte.is_ascii_alphabetic()).any(is_short)
    };
    start == 0 && end == look.text.len() || names(before) || names(after)
}

/// Returns whether the text before a number names it as the id of a span: `span 45…`,
/// `"span_id":"45…`, `parentSpanId=45…`. The sixteen hexadecimal digits of such an id are sometimes
/// all decimal.
fn is_span_id_not_card(front: &[u8]) -> bool {
    let is_between = |byte: &u8| b" \t\"'\\:=".contains(byte);
    let length = front.iter().rposition(|byte| !is_between(byte)).map_or(0, |last| last + 1);
    let word = &front[length.saturating_sub(8)..length];
    let ends = |name: &[u8]| {
        word.len() >= name.len() && word[word.len() - name.len()..].eq_ignore_ascii_case(name)
    };
    length < front.len() && [&b"span"[..], b"span_id", b"span-id", b"spanid"].into_iter().any(ends)
}
