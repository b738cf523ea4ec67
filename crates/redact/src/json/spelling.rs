//! Strings in the spelling of JSON, and their decoded text.

use std::borrow::Cow;

use super::tokens::parse_json_escape;
use crate::{Redactions, Sanitizer};

/// Escapes a text for a JSON string.
pub(super) fn escape_json_spelling(text: Cow<'static, str>) -> Cow<'static, str> {
    if !text.contains(|c: char| c.is_control() || matches!(c, '"' | '\\')) {
        return text;
    }
    let quoted = serde_json::to_string(&text).unwrap_or_default();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned().into()
}

/// Returns JSON that spells U+FFFD for every half of a surrogate pair. Some parsers refuse the halves,
/// which JavaScript and Python write.
pub fn mend_lone_surrogates(json: &str) -> Cow<'_, str> {
    let (mut mended, mut copied, mut at) = (String::new(), 0, 0);
    while let Some(ahead) = memchr::memchr(b'\\', &json.as_bytes()[at..]) {
        at += ahead;
        let escape = parse_json_escape(&json.as_bytes()[at..]);
        if escape.as_ref().is_some_and(|escape| escape.is_half) {
            mended.push_str(&json[copied..at]);
            mended.push_str("\\ufffd");
            copied = at + 6;
        }
        at += escape.map_or(1, |escape| escape.length);
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    mended.push_str(&json[copied..]);
    Cow::Owned(mended)
}

/// Appends the string `raw`, redacted. Its decoded text is `text`.
pub(super) fn redact_json_spelling(
    sanitizer: &Sanitizer,
    raw: &str,
    text: &str,
    out: &mut String,
    counts: &mut Redactions,
) {
    let (mut spot, mut copied) = (SpellingOffsets::new(raw), 0);
    for found in sanitizer.matches(text) {
        out.push_str(&raw[copied..spot.raw_offset(found.start)]);
        out.push_str(sanitizer.placeholder(found.kind, found.of(text)).as_str());
        copied = spot.raw_offset(found.end);
        counts.add(found.kind);
    }
    out.push_str(&raw[copied..]);
}

/// Returns the decoded text of a JSON string, either borrowed or in `scratch`.
///
/// A lone surrogate reads as U+FFFD. If a backslash begins no escape sequence, it reads as itself.
pub(super) fn decode_json_spelling<'t>(
    raw: &'t str,
    escaped: bool,
    scratch: &'t mut String,
) -> &'t str {
    if !escaped {
        return raw;
    }
    scratch.clear();
    // No escape sequence is shorter than what it stands for.
    scratch.reserve(raw.len());
    let mut rest = raw;
    while let Some(plain) = memchr::memchr(b'\\', rest.as_bytes()) {
        let (before, escape) = rest.split_at(plain);
        scratch.push_str(before);
        let simple = match escape.as_bytes().get(1) {
            Some(b'n') => "\n",
            Some(b'"') => "\"",
            Some(b'\\') => "\\",
            Some(b't') => "\t",
            _ => "",
        };
        if !simple.is_empty() {
            scratch.push_str(simple);
            rest = &escape[2..];
            continue;
        }
        let (c, length) = first_char_of_spelling(escape).expect("it begins with a backslash");
        scratch.push(c);
        rest = &escape[length..];
    }
    scratch.push_str(rest);
    scratch
}

/// Returns the first character of a decoded string, and its length in the string as it is spelled.
fn first_char_of_spelling(raw: &str) -> Option<(char, usize)> {
    let c = raw.chars().next()?;
    let escape = (c == '\\').then(|| parse_json_escape(raw.as_bytes())).flatten();
    Some(escape.map_or((c, c.len_utf8()), |escape| (escape.stands_for, escape.length)))
}

/// A spot in a JSON string, found by the same spot in its decoded text. With it, what is not
/// replaced keeps its escapes.
pub(super) struct SpellingOffsets<'t> {
    raw: &'t str,
    at: usize,
    decoded: usize,
}

impl<'t> SpellingOffsets<'t> {
    pub(super) fn new(raw: &'t str) -> Self {
        Self { raw, at: 0, decoded: 0 }
    }

    /// Returns the spot in the spelled string. Spots must be asked for in order.
    pub(super) fn raw_offset(&mut self, decoded: usize) -> usize {
        while self.decoded < decoded {
            let (c, length) =
                first_char_of_spelling(&self.raw[self.at..]).expect("the spot is in the string");
            self.decoded += c.len_utf8();
            self.at += length;
        }
        self.at
    }
}
