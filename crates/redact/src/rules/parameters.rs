//! Finds where the value of a parameter in a URL or in a form ends.

use super::RuleText;
use crate::looks::reads_like_word;

/// The part of a value that is searched for its end.
pub(super) const VALUE_BYTES_MAX: usize = 256;

/// Returns whether a byte may be in a value without quotes.
pub(super) fn is_bare_value_byte(byte: u8, is_parameter: bool) -> bool {
    match byte {
        b'&' | b'#' => !is_parameter,
        b',' | b';' | b')' | b'}' | b']' | b'[' | b'>' | b'<' | b'"' | b'\'' | b'`' | b'|'
        | b'\\' => false,
        byte => byte.is_ascii_graphic(),
    }
}

/// Returns the end of a parameter's value whose first `&` or `#` is at `end`. Such a byte is a part of
/// the value if neither another parameter follows nor what reads like the name of a place.
pub(super) fn parameter_end(look: RuleText<'_>, name: usize, mut end: usize) -> usize {
    const PARTS_MAX: usize = 4;
    let is_fragment = look.text[look.edge..name].ends_with(b"#");
    for _ in 0..PARTS_MAX {
        let Some(sign @ (b'&' | b'#')) = look.byte_at(end) else { break };
        let window = look.rest_from(end + 1);
        let window = &window[..window.len().min(VALUE_BYTES_MAX)];
        let length = window.iter().take_while(|byte| is_bare_value_byte(**byte, true)).count();
        let part = &window[..length];
        let padding = part.iter().rev().take_while(|byte| **byte == b'=').count();
        let is_other = part.is_empty()
            || part[..length - padding.min(2)].contains(&b'=')
            || window.get(length) == Some(&b';')
            || !(is_fragment && sign == b'#') && is_place_name(part);
        if is_other {
            break;
        }
        end += 1 + length;
    }
    end
}

/// Returns whether a part of a URL reads like the name of a switch or of a heading: `debug`,
/// `section-2`.
fn is_place_name(text: &[u8]) -> bool {
    const LEAST: usize = 3;
    let digits = text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let word = &text[..text.len() - digits];
    let is_part = |byte: &u8| byte.is_ascii_alphabetic() || b"-_.".contains(byte);
    let is_short = digits > 0 && (1..LEAST).contains(&word.len()) && text.len() <= LEAST;
    word.iter().all(is_part) && (is_short || word.len() >= LEAST && reads_like_word(word))
}
