//! Values inside of what constructs or describes them: `Some("…")`, `String::from("…")`, `s:8:"…"`.

use std::ops::Range;

use super::{Certainty, window_from};
use crate::looks::is_irregular_password;
use crate::rules::RuleText;
use crate::rules::commands::argument_at;

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
