//! Digits that the floor's rule takes for a card and that are none: parts of a UUID, fractions, times
//! in microseconds, and ids of spans and traces under their names.
//!
//! These are the exceptions of the floor. They are the same in both profiles.

use super::{RuleText, is_alphanumeric_byte};
use crate::digits::{CARD_DIGITS, has_uuid_form, is_id_name, is_microseconds, is_time_name};

/// Returns whether the sixteen digits from `start` to `end` are an exception of the floor.
pub(crate) fn is_exempt_card(look: RuleText<'_>, start: usize, end: usize) -> bool {
    if is_inside_uuid(look, start, end) {
        return true;
    }
    let digits = &look.text[start..end];
    if digits.len() != CARD_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let front = &look.text[look.edge..start];
    is_fraction(front)
        || has_id_name(front)
        || is_in_traceparent(front)
        || is_in_joined_ids(front)
        || is_microseconds(digits) && (has_time_name(front) || !is_identity_number(digits))
}

/// Returns whether sixteen digits that make up a card are in a UUID. They are its first three groups,
/// or its last two.
fn is_inside_uuid(look: RuleText<'_>, start: usize, end: usize) -> bool {
    const LAST_GROUPS: usize = 19;
    let first = Some(start).filter(|_| look.byte_at(start + 8) == Some(b'-'));
    let last = start.checked_sub(LAST_GROUPS).filter(|at| *at >= look.edge);
    [first, last].into_iter().flatten().any(|at| is_uuid_at(look, at) && end <= at + 36)
}

/// Returns whether a UUID is at `at`: version 1 to 8 and variant 8 to b, or all zeros, or all `f`. It
/// is not part of a longer word.
fn is_uuid_at(look: RuleText<'_>, at: usize) -> bool {
    let Some(uuid) = look.rest_from(at).first_chunk() else { return false };
    let is_all = |digit: u8| uuid.iter().all(|&b| b == b'-' || b.eq_ignore_ascii_case(&digit));
    let is_issued =
        (b'1'..=b'8').contains(&uuid[14]) && b"89ab".contains(&uuid[19].to_ascii_lowercase());
    has_uuid_form(uuid)
        && (is_issued || is_all(b'0') || is_all(b'f'))
        && !look.byte_before(at).is_some_and(is_alphanumeric_byte)
        && !look.byte_at(at + 36).is_some_and(is_alphanumeric_byte)
}

/// Returns whether a number with an integer part of one digit ends with this dot.
fn is_fraction(front: &[u8]) -> bool {
    matches!(front, [.., digit, b'.'] if digit.is_ascii_digit())
        && !front.len().checked_sub(3).is_some_and(|at| matches!(front[at], b'0'..=b'9' | b'.'))
}

/// Returns whether a `traceparent` is before these digits, as far as the id of its span.
fn is_in_traceparent(front: &[u8]) -> bool {
    let Some((before, head)) = front.split_last_chunk::<36>() else { return false };
    let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let has_form = head.iter().enumerate().all(|(i, byte)| match i {
        2 | 35 => *byte == b'-',
        _ => is_hex(byte),
    });
    has_form && !before.last().is_some_and(|b| is_alphanumeric_byte(*b) || *b == b'_' || *b >= 0x80)
}

/// Returns whether the ids of a trace that one header joins are before these digits:
/// `b3: trace-span-1-parent`, `uber-trace-id: trace:span:parent:1`.
fn is_in_joined_ids(front: &[u8]) -> bool {
    const HEADERS: [(&[u8], u8); 2] = [(b"b3", b'-'), (b"uber-trace-id", b':')];
    const IDS_BYTES_MAX: usize = 56;
    HEADERS.iter().any(|&(header, separator)| {
        let is_part =
            |byte: &&u8| matches!(**byte, b'0'..=b'9' | b'a'..=b'f') || **byte == separator;
        let length = front.iter().rev().take(IDS_BYTES_MAX).take_while(is_part).count();
        let mut start = front.len() - length;
        // The name may end with hexadecimal digits.
        if front[..start].last().is_some_and(|byte| byte.is_ascii_alphanumeric()) {
            start +=
                front[start..].iter().position(|byte| *byte == b':').map_or(0, |sign| sign + 1);
        }
        let mut parts = front[start..].split(|byte| *byte == separator);
        ends_with_word(name_before_value(&front[..start]), header)
            && parts.next_back().is_some_and(<[u8]>::is_empty)
            && parts.all(|part| matches!(part.len(), 1 | 16 | 32))
    })
}

fn ends_with_word(text: &[u8], word: &[u8]) -> bool {
    let Some(start) = text.len().checked_sub(word.len()) else { return false };
    text[start..].eq_ignore_ascii_case(word)
        && !start.checked_sub(1).is_some_and(|at| is_alphanumeric_byte(text[at]))
}

/// Returns the name before a value: what is left without the quotes, blanks and sign between them.
fn name_before_value(front: &[u8]) -> &[u8] {
    const BLANKS_MAX: usize = 8;
    let without_quote = |text: &[u8]| -> usize {
        let end = text.len() - usize::from(matches!(text, [.., b'"' | b'\'']));
        let escapes = text[..end].iter().rev().take_while(|&&byte| byte == b'\\').count();
        if end < text.len() { end - escapes.min(BLANKS_MAX) } else { end }
    };
    let without_blanks = |text: &[u8]| {
        let blanks = text.iter().rev().take(BLANKS_MAX).take_while(|byte| b" \t".contains(byte));
        text.len() - blanks.count()
    };
    let front = &front[..without_quote(front)];
    let front = &front[..without_blanks(front)];
    let front = &front[..front.len() - usize::from(matches!(front, [.., b':' | b'=']))];
    let front = &front[..without_blanks(front)];
    &front[..without_quote(front)]
}

fn has_id_name(front: &[u8]) -> bool {
    is_id_name(name_before_value(front))
}

fn has_time_name(front: &[u8]) -> bool {
    is_time_name(name_before_value(front))
}

/// Returns whether sixteen digits have the shape of an Indonesian identity number. Its digits 7 to 10
/// are a day of birth, from 41 on for a woman, and a month.
fn is_identity_number(digits: &[u8]) -> bool {
    let two = |at: usize| (digits[at] - b'0') * 10 + (digits[at + 1] - b'0');
    matches!(two(6), 1..=31 | 41..=71) && matches!(two(8), 1..=12)
}

#[cfg(test)]
mod tests {
    use crate::{Profile, Sanitizer};

    fn in_both_profiles(text: &str) -> [String; 2] {
        Profile::ALL.map(|profile| Sanitizer::with_profile(profile).redact_str(text).into_owned())
    }

    #[test]
    fn exceptions_of_the_floor_stay() {
        for text in [
            "8f24fb43-1109-4705-8275-324274503607",
            "id 12345678-1234-4123-8123-123456789012 ok",
            "00000000-0000-0000-0000-000000000000",
            "loss=0.1234567890123456, -3.5500000000000004]",
            "ts=1764374400123456 at 1764374410123456 [1764378800123456]",
            "\"start_us\": \"1764374410123456\"",
            "span_id=5500000000000004 parentSpanId: '5500000000000004'",
            "{\\\"spanId\\\":\\\"5500000000000004\\\"}",
            "00-0af7651916cd43dd8448eb211c80319c-5500000000000004-01",
            "span.id=5500000000000004 parent.id: 5500000000000004 parentId='5500000000000004'",
            "b3: 5500000000000004-5500000000000004-1-5500000000000004",
            "b3=0af7651916cd43dd8448eb211c80319c-5500000000000004-d",
            "{\"b3\":\"5500000000000004-5500000000000004\"}",
            "uber-trace-id:5500000000000004:5500000000000004:0:1",
            "ended=1764374411051111 last_seen: 1764374411051111 finished=1764374411051111",
        ] {
            assert_eq!(in_both_profiles(text), [text, text], "{text}");
        }
    }

    #[test]
    fn what_is_no_exception_goes() {
        let cases = [
            ("x5500000000000004-0000", false),
            // A UUID that is part of a longer word, and one of no version.
            ("12345678-1234-4123-8123-123456789012a", true),
            ("12345678-1234-0123-8123-123456789012", true),
            ("12.5500000000000004", true),
            ("1.2.5500000000000004", true),
            ("order 1764370112123456", true),
            ("ts=5500000000000004", true),
            ("plan_id=5500000000000004", true),
            ("web3: 5500000000000004", true),
            ("b3: 12-5500000000000004", true),
            ("b3: x 5500000000000004", true),
            ("span_id=5500 0000 0000 0004", true),
        ];
        for (text, is_found) in cases {
            let [full, _] = in_both_profiles(text);
            assert_eq!(full.contains("[REDACTED_card]"), is_found, "{text} became {full}");
        }
    }
}
