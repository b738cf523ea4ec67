//! Finds values whose signs and quotes are spelled with escapes of URLs or HTML.

use std::ops::Range;

use super::{Certainty, window_from};
use crate::rules::{RuleText, starts_ignoring_case};

/// Quotes that are spelled with escapes of HTML or URLs.
const QUOTE_ENTITIES: [&[u8]; 11] = [
    b"\\u0022", b"\\u0027", b"&quot;", b"&#34;", b"&#39;", b"&#x22;", b"&#x27;", b"&#039;",
    b"&apos;", b"%22", b"%27",
];

/// Returns the length of such a quote of HTML at the beginning of a text.
pub(in crate::rules) fn quote_entity_length(text: &[u8]) -> usize {
    if text.first() == Some(&b'&') { escape_length(text, &QUOTE_ENTITIES).unwrap_or(0) } else { 0 }
}

/// Returns the value after a sign that is spelled with escapes of URLs or HTML, or is an arrow. After
/// any sign it may be in quotes that are spelled so.
pub(super) fn escaped_value(
    look: RuleText<'_>,
    name: &Range<usize>,
) -> Option<(Range<usize>, Certainty)> {
    const SIGNS: [&[u8]; 10] =
        [b"%3a", b"%3d", b"&#58;", b"&#61;", b"&#x3a;", b"&#x3d;", b"->", b"=>", b":", b"="];
    const BLANKS: [&[u8]; 2] = [b"%20", b" "];
    let rest = window_from(look, name.end);
    let blanks_end = |mut at: usize| {
        while let Some(blank) = escape_length(&rest[at..], &BLANKS) {
            at += blank;
        }
        at
    };
    let closing = escape_length(rest, &QUOTE_ENTITIES).unwrap_or(0);
    let sign = blanks_end(closing);
    let sign_length = escape_length(&rest[sign..], &SIGNS)?;
    let opening = blanks_end(sign + sign_length);
    let quote = escape_length(&rest[opening..], &QUOTE_ENTITIES).unwrap_or(0);
    let at = opening + quote;
    // Other carriers have a plain sign.
    if quote == 0 && matches!(rest[sign], b'=' | b':') {
        return None;
    }
    let quote = &rest[opening..at];
    let line =
        rest[at..].iter().position(|byte| b"\r\n[".contains(byte)).unwrap_or(rest.len() - at);
    let closed =
        (at..at + line).find(|&end| !quote.is_empty() && starts_ignoring_case(&rest[end..], quote));
    let is_part = |at: usize| {
        let ends = [&b"%20"[..], b"%22", b"%27", b"%26", b"%2c", b"%0a", b"%0d", b"&quot;", b"&#3"];
        rest[at].is_ascii_graphic()
            && !b"\"'`\\[](){}<>,;".contains(&rest[at])
            && escape_length(&rest[at..], &ends).is_none()
    };
    let end = closed.or_else(|| (at..rest.len()).find(|&at| !is_part(at))).unwrap_or(rest.len());
    Some((name.end + at..name.end + end, Certainty::Likely))
}

/// Returns the length of the first of these escapes that begins a text.
pub(in crate::rules) fn escape_length(text: &[u8], escapes: &[&[u8]]) -> Option<usize> {
    escapes.iter().find(|one| starts_ignoring_case(text, one)).map(|one| one.len())
}
