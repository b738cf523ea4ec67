//! Reads a type between a name and its value.

use crate::looks::is_text_type;
use crate::rules::RuleText;
use crate::steps::count_steps;

/// Returns the end of a type in brackets after a name: `password (sensitive string): …`.
pub(super) fn bracketed_type_end(look: RuleText<'_>, at: usize) -> Option<usize> {
    const TYPE_BYTES_MAX: usize = 40;
    let closing = match look.byte_at(at)? {
        b'(' => b')',
        b'[' => b']',
        b'<' => b'>',
        _ => return None,
    };
    let rest = &look.rest_from(at)[1..];
    let is_part = |byte: &&u8| byte.is_ascii_alphabetic() || b" ,_".contains(byte);
    let length = rest.iter().take(TYPE_BYTES_MAX).take_while(is_part).count();
    count_steps(length + 1);
    let mut words =
        rest[..length].split(|byte| b" ,".contains(byte)).filter(|word| !word.is_empty());
    let is_type = length > 0 && rest.get(length) == Some(&closing) && words.all(is_part_of_type);
    is_type.then_some(at + length + 2)
}

/// Returns the length of a type before its value: `(string) …`.
pub(super) fn cast_length(text: &[u8]) -> usize {
    const TYPE_BYTES_MAX: usize = 16;
    let Some(rest) = text.strip_prefix(b"(").or(text.strip_prefix(b"!")) else { return 0 };
    let length =
        rest.iter().take(TYPE_BYTES_MAX).take_while(|byte| byte.is_ascii_alphabetic()).count();
    let closing = usize::from(text[0] == b'(');
    let behind = &rest[length..];
    let blanks = behind.iter().skip(closing).take_while(|byte| **byte == b' ').count();
    let is_cast = is_text_type(&rest[..length])
        && if closing == 1 { behind.first() == Some(&b')') } else { blanks > 0 };
    let next = behind.get(closing + blanks);
    match next {
        Some(next) if is_cast && next.is_ascii_graphic() && *next != b'(' => {
            1 + length + closing + blanks.min(1)
        }
        _ => 0,
    }
}

fn is_part_of_type(word: &[u8]) -> bool {
    is_text_type(word) || matches!(word, b"required" | b"optional")
}
