//! The floor rules: cards, JSON web tokens and keys of AWS.

use super::Matches;
use crate::bytes::{AWS, BASE64, has_byte_class, is_digit_char, is_space_char, is_word_char};
use crate::rules::{self, RuleText};
use crate::steps::count_steps;
use crate::{Kind, Match};

impl Matches<'_> {
    /// Returns the token that begins at `at`.
    pub(super) fn floor_jwt(&mut self, at: usize) -> Option<Match> {
        if self.no_jwt.contains(&at) {
            return None;
        }
        let rest = self.bytes()[at..].strip_prefix(b"eyJ")?;
        let first = leading_bytes_of_class(rest, BASE64);
        let length = if first > 0 { jwt_rest_length(&rest[first..], first) } else { None };
        let end = length.map(|length| at + 3 + first + length);
        if end.is_none() {
            // A later `eyJ` of this run reaches the same end of the run, with a shorter part before
            // it.
            self.no_jwt = at..at + 3 + first;
        }
        Some(Match { start: at, end: end?, kind: Kind::Jwt })
    }

    pub(super) fn floor_aws_key(&self, at: usize) -> Option<Match> {
        let random = self.bytes()[at..].strip_prefix(b"AKIA")?.get(..16)?;
        count_steps(16);
        let is_key = random.iter().all(|&byte| has_byte_class(byte, AWS));
        is_key.then_some(Match { start: at, end: at + 20, kind: Kind::AwsKey })
    }

    /// Returns the card of the floor that begins with this digit of the text, which may be cut off.
    pub(super) fn floor_card(&self, at: usize, text: &str) -> Option<Match> {
        let end = at + floor_card_length(text[at..].chars())?;
        let card = Match { start: at, end, kind: Kind::Card };
        let is_bounded = !text[end..].chars().next().is_some_and(is_word_char);
        (is_bounded && self.is_wanted_floor_card(card, text)).then_some(card)
    }

    /// Returns whether a card of the floor counts under this profile.
    pub(super) fn is_wanted_floor_card(&self, card: Match, text: &str) -> bool {
        let look = RuleText { text: text.as_bytes(), edge: self.edge };
        !rules::is_exempt_card(look, card.start, card.end)
            && (!self.precise || rules::is_precise_card(text, self.edge, card))
    }

    /// Returns the card that ends at the beginning of a match.
    pub(super) fn floor_card_before(&self, end: usize) -> Option<Match> {
        let start = end - floor_card_length(self.text[self.edge..end].chars().rev())?;
        let card = Match { start, end, kind: Kind::Card };
        let bounded = !self.char_before(start).is_some_and(is_word_char);
        (bounded && self.is_wanted_floor_card(card, &self.text[..end])).then_some(card)
    }
}

/// Counts the bytes of the class at the beginning.
pub(super) fn leading_bytes_of_class(bytes: &[u8], class: u8) -> usize {
    let length = bytes.iter().take_while(|&&byte| has_byte_class(byte, class)).count();
    count_steps(length + 1);
    length
}

/// Counts the bytes of the class at the end.
pub(super) fn trailing_bytes_of_class(bytes: &[u8], class: u8) -> usize {
    let length = bytes.iter().rev().take_while(|&&byte| has_byte_class(byte, class)).count();
    count_steps(length + 1);
    length
}

/// Returns the length of what follows the first part of a JSON web token. That part has `first`
/// bytes after its `eyJ`. Three forms are accepted:
///
/// - the payload and a signature;
/// - a payload and an empty signature (RFC 7519, section 6), or none;
/// - the four other parts of an encrypted token, of which the first may be empty (RFC 7516, section
///   3.1).
fn jwt_rest_length(rest: &[u8], first: usize) -> Option<usize> {
    const HEADER_BYTES_MIN: usize = 12;
    const TAG_BYTES_MIN: usize = 16;
    if let Some(payload) = rest.strip_prefix(b".eyJ") {
        let second = leading_bytes_of_class(payload, BASE64);
        let is_unsigned = first >= HEADER_BYTES_MIN && second >= HEADER_BYTES_MIN;
        if second > 0
            && let Some(signature) = payload[second..].strip_prefix(b".")
        {
            let third = leading_bytes_of_class(signature, BASE64);
            return (third > 0 || is_unsigned).then_some(4 + second + 1 + third);
        }
        if is_unsigned {
            return Some(4 + second);
        }
    }
    let mut length = 0;
    for least in [0, TAG_BYTES_MIN, 1, TAG_BYTES_MIN] {
        let part = leading_bytes_of_class(rest[length..].strip_prefix(b".")?, BASE64);
        length += (part >= least).then_some(1 + part)?;
    }
    (first >= HEADER_BYTES_MIN).then_some(length)
}

/// Returns the length in bytes of four groups of four digits, with one separator between them or
/// none.
///
/// The groups read the same backwards, so one function serves both directions.
#[inline]
fn floor_card_length(chars: impl Iterator<Item = char>) -> Option<usize> {
    let (mut digits, mut length, mut separated) = (0, 0, true);
    for c in chars {
        count_steps(1);
        if is_digit_char(c) {
            digits += 1;
            separated = digits % 4 != 0;
        } else if !separated && (c == '-' || is_space_char(c)) {
            separated = true;
        } else {
            return None;
        }
        length += c.len_utf8();
        if digits == 16 {
            return Some(length);
        }
    }
    None
}
