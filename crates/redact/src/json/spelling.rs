//! Strings as JSON spells them, and as they read decoded.

use std::borrow::Cow;

use super::tokens::escape;
use crate::{Redactions, Sanitizer};

/// As it stands in a string of JSON.
pub(super) fn escaped(text: Cow<'static, str>) -> Cow<'static, str> {
    if !text.contains(|c: char| c.is_control() || matches!(c, '"' | '\\')) {
        return text;
    }
    let quoted = serde_json::to_string(&text).unwrap_or_default();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned().into()
}

/// Appends the string `raw`, which decoded reads `text`, redacted.
pub(super) fn redact_decoded(
    sanitizer: &Sanitizer,
    raw: &str,
    text: &str,
    out: &mut String,
    counts: &mut Redactions,
) {
    let (mut spot, mut copied) = (Spot::new(raw), 0);
    for found in sanitizer.matches(text) {
        out.push_str(&raw[copied..spot.of(found.start)]);
        out.push_str(sanitizer.placeholder(found.kind, found.of(text)).as_str());
        copied = spot.of(found.end);
        counts.add(found.kind);
    }
    out.push_str(&raw[copied..]);
}

/// What the inside of a JSON string reads decoded: itself, or in `scratch`.
///
/// A lone surrogate reads as U+FFFD; a backslash that begins no escape sequence as itself.
pub(super) fn decode<'t>(raw: &'t str, escaped: bool, scratch: &'t mut String) -> &'t str {
    if !escaped {
        return raw;
    }
    scratch.clear();
    let mut rest = raw;
    while let Some((c, length)) = first_char(rest) {
        scratch.push(c);
        rest = &rest[length..];
    }
    scratch
}

/// The first character of a string as it reads decoded, and its length in the string as it stands.
fn first_char(raw: &str) -> Option<(char, usize)> {
    let c = raw.chars().next()?;
    let escape = (c == '\\').then(|| escape(raw.as_bytes())).flatten();
    Some(escape.map_or((c, c.len_utf8()), |escape| (escape.stands_for, escape.length)))
}

/// A spot in the inside of a JSON string, found by the same spot in what it reads decoded, so that
/// what stays keeps its escapes.
pub(super) struct Spot<'t> {
    raw: &'t str,
    at: usize,
    decoded: usize,
}

impl<'t> Spot<'t> {
    pub(super) fn new(raw: &'t str) -> Self {
        Self { raw, at: 0, decoded: 0 }
    }

    /// Spots are asked for in order.
    pub(super) fn of(&mut self, decoded: usize) -> usize {
        while self.decoded < decoded {
            let (c, length) =
                first_char(&self.raw[self.at..]).expect("the spot lies in the string");
            self.decoded += c.len_utf8();
            self.at += length;
        }
        self.at
    }
}
