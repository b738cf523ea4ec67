//! Values inside of what constructs or describes them, and their lengths: `Some("…")`, `String::from("…")`, `s:8:"…"`.

use std::ops::Range;

use super::members::{is_label_byte, sign_length};
use super::{Certainty, window_from};
use crate::looks::is_irregular_password;
use crate::rules::commands::argument_at;
use crate::rules::{RuleText, is_alphanumeric_byte};

/// Returns the string after its length, as PHP prints it: `string(8) "…"`, `s:8:"…"`.
pub(super) fn dumped_string(look: RuleText<'_>, at: usize) -> Option<(Range<usize>, Certainty)> {
    let quote = look.run_end(at, |byte| byte.is_ascii_digit() || b"): ".contains(&byte));
    let (start, end) = argument_at(look, quote)?;
    (look.byte_at(quote) == Some(b'"')).then_some((start..end, Certainty::Likely))
}

/// Returns the text in the brackets of a constructor: `Some("…")`, `Secret("…")`,
/// `String::from("…")`. A call of a function may have the name of a value in its brackets.
pub(super) fn wrapped_value(look: RuleText<'_>, at: usize) -> Option<(Range<usize>, Certainty)> {
    const OPTIONS: [&[u8]; 3] = [b"Some", b"Just", b"Optional"];
    let mut at = at;
    for _ in 0..3 {
        let rest = window_from(look, at);
        let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b":_".contains(byte);
        let length = rest.iter().take(40).take_while(is_part).count();
        let word = rest[..length].rsplit(|&byte| byte == b':').next()?;
        let is_type = word.first().is_some_and(u8::is_ascii_uppercase)
            && word.iter().any(u8::is_ascii_lowercase);
        let is_constructor = [&b"from"[..], b"new", b"b", b"str"].contains(&word);
        let is_option = OPTIONS.contains(&word);
        if !matches!((rest.get(length), is_option), (Some(b'('), _) | (Some(b'['), true))
            || !is_type && !is_constructor
        {
            return None;
        }
        at += length + 1;
        // Scala and Java print the value of an option without quotes.
        let is_value = |byte: &&u8| byte.is_ascii_graphic() && !b"\"'()[]".contains(byte);
        let bare = window_from(look, at).iter().take_while(is_value).count();
        if is_option && bare > 0 && matches!(look.byte_at(at + bare), Some(b')' | b']')) {
            let is_random = is_irregular_password(&look.text[at..at + bare]);
            let certainty = if is_random { Certainty::Likely } else { Certainty::Doubtful };
            return Some((at..at + bare, certainty));
        }
        if matches!(look.byte_at(at)?, b'"' | b'\'' | b'\\') {
            let (start, end) = argument_at(look, at)?;
            let has_letter = look.text[start..end].iter().any(u8::is_ascii_alphabetic);
            return has_letter.then_some((start..end, Certainty::Likely));
        }
    }
    None
}

/// Returns the length of what is before the quote of a value in a constructor: `Some(`, `b`,
/// `json.RawMessage(`. The name of a variable may be in the brackets of other calls.
pub(super) fn constructor_length(text: &[u8]) -> usize {
    const WORD_BYTES_MAX: usize = 40;
    const CONSTRUCTORS_MAX: usize = 3;
    const GETTERS: [&[u8]; 6] = [b"Get", b"Env", b"Lookup", b"Load", b"Read", b"Var"];
    let mut at = 0;
    for _ in 0..CONSTRUCTORS_MAX {
        let rest = &text[at..];
        // A pointer of Go: `(*string)(`.
        let pointer = if rest.starts_with(b"(*") { 2 } else { 0 };
        let is_part = |byte: &&u8| is_alphanumeric_byte(**byte) || b"_.:".contains(byte);
        let word = rest[pointer..].iter().take(WORD_BYTES_MAX).take_while(is_part).count();
        let path = &rest[pointer..pointer + word];
        let name = path.rsplit(|byte| b".:".contains(byte)).next().unwrap_or(path);
        let behind = &rest[pointer + word..];
        let is_type = name.first().is_some_and(u8::is_ascii_uppercase)
            && name.iter().any(u8::is_ascii_lowercase)
            && !GETTERS.iter().any(|getter| name.starts_with(getter));
        let is_constructor = is_type || [&b"from"[..], b"new", b"str"].contains(&name);
        match behind {
            [b')', b'(', ..] if pointer > 0 => at += pointer + word + 2,
            [b'(', ..] if is_constructor => at += word + 1,
            [b'"' | b'\'', ..] if matches!(path, b"b" | b"r" | b"u" | b"rb" | b"br") => {
                return at + word;
            }
            _ => return at,
        }
    }
    at
}

/// Returns the length of a value without quotes. A mark in it is a part of it, unless a separator
/// follows that or the label of another member.
pub(super) fn bare_length(text: &[u8]) -> usize {
    let begins_member = |text: &[u8]| {
        let label = text.iter().take_while(|byte| is_label_byte(**byte)).count();
        label > 0 && sign_length(&text[label..]) > 0
    };
    let mut open = [0_usize; 3];
    let kind = |byte: u8| b"{[(}])".iter().position(|one| *one == byte).unwrap_or_default() % 3;
    let mut is_end = |at: &usize| {
        let next = text.get(at + 1);
        match text[*at] {
            b'"' | b'\'' | b'`' | b'\\' => true,
            b',' | b';' | b'&' => {
                next.is_none_or(|next| !next.is_ascii_graphic()) || begins_member(&text[at + 1..])
            }
            b'[' if text[*at..].starts_with(b"[REDACTED") => true,
            b'{' | b'[' | b'(' => {
                open[kind(text[*at])] += 1;
                false
            }
            b'}' | b']' | b')' if open[kind(text[*at])] > 0 => {
                open[kind(text[*at])] -= 1;
                false
            }
            b'}' | b']' | b')' => next.is_none_or(|next| b" \t\r\n,;)}]".contains(next)),
            byte => byte.is_ascii_whitespace() || byte.is_ascii_control(),
        }
    };
    (0..text.len()).find(|at| is_end(at)).unwrap_or(text.len())
}
