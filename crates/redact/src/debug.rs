//! How is the text of a value's `Debug` redacted?
//!
//! It fails closed. A field is whatever stands before a single colon, in quotes or not, inside a
//! string too. Of the value behind a sensitive one the end is found where it looks like what the
//! standard library writes: a word, a number, a string, a character, a list, a structure. Of
//! anything else it cannot be told where it ends: all of the text behind it goes.

use std::fmt::{self, Write};

use super::broken::string_length;
use super::{Kind, Redactions, Sanitizer, floor_char_boundary, floor_word};

/// Bytes of a text that are kept; `Debug` is stopped there.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// Stands at the end of a text that was stopped.
const STOPPED: &str = "[TRUNCATED]";
/// Bytes between the quotes of a character, at most: `\u{10ffff}`.
const CHARACTER_BYTES_MAX: usize = 10;

/// The text of the value's `Debug`, redacted; `None` where that fails.
///
/// # Panics
///
/// Where the `Debug` does.
pub fn redacted(
    value: &dyn fmt::Debug,
    sanitizer: &Sanitizer,
    counts: &mut Redactions,
) -> Option<String> {
    let mut bounded = Bounded::default();
    let written = write!(bounded, "{value:?}");
    if written.is_err() && !bounded.is_full {
        return None;
    }
    if bounded.is_full {
        bounded.text.truncate(floor_word(&bounded.text, bounded.text.len()));
    }
    let mut text = redact(&bounded.text, sanitizer, counts);
    if bounded.is_full {
        text.push_str(STOPPED);
    }
    Some(text)
}

#[derive(Default)]
struct Bounded {
    text: String,
    is_full: bool,
}

impl Write for Bounded {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if self.is_full {
            return Err(fmt::Error);
        }
        let room = TEXT_BYTES_MAX - self.text.len();
        self.is_full = piece.len() > room;
        self.text.push_str(&piece[..floor_char_boundary(piece, room)]);
        if self.is_full { Err(fmt::Error) } else { Ok(()) }
    }
}

/// `text` with `[REDACTED]` for the value behind the name of every sensitive field.
fn redact(text: &str, sanitizer: &Sanitizer, counts: &mut Redactions) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut copied, mut at) = (0, 0);
    while let Some(colon) = memchr::memchr(b':', &text.as_bytes()[at..]).map(|ahead| at + ahead) {
        if text[colon..].starts_with("::") {
            at = colon + 2;
            continue;
        }
        at = colon + 1;
        let value = text.len() - text[at..].trim_start().len();
        if value < text.len() && is_sensitive(sanitizer, &text[copied..colon]) {
            out.push_str(&text[copied..value]);
            out.push_str(Kind::Key.placeholder());
            counts.add(Kind::Key);
            copied = value_end(text.as_bytes(), value);
            at = copied;
        }
    }
    out.push_str(&text[copied..]);
    out
}

/// Whether what stands before a colon ends with the name of a sensitive field, whatever quotes and
/// brackets are around it.
fn is_sensitive(sanitizer: &Sanitizer, before: &str) -> bool {
    let key = before.trim_end_matches(|c: char| c.is_whitespace() || r#""'\)]}>"#.contains(c));
    let start = key.rfind(|c: char| !c.is_alphanumeric() && c != '_');
    let start = start.map_or(0, |at| at + key[at..].chars().next().map_or(1, char::len_utf8));
    sanitizer.classify(&key[start..]).is_secret()
}

/// Where the value ends that begins at `start`.
fn value_end(text: &[u8], start: usize) -> usize {
    let is_word =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"_+-.:&".contains(byte) || !byte.is_ascii();
    let word_end = start + text[start..].iter().take_while(|byte| is_word(byte)).count();
    let next = skip_space(text, word_end);
    let end = match text.get(next) {
        Some(b'{' | b'(' | b'[') => container_end(text, next),
        Some(b'"' | b'\'') => quoted_end(text, next),
        _ => word_end,
    };
    match text.get(skip_space(text, end)) {
        Some(b',' | b'}' | b')' | b']') if end > start => end,
        _ => text.len(),
    }
}

fn skip_space(text: &[u8], at: usize) -> usize {
    text.len() - text[at..].trim_ascii_start().len()
}

/// Where the container ends that begins at `at`.
fn container_end(text: &[u8], mut at: usize) -> usize {
    let mut closing = Vec::new();
    while at < text.len() {
        match text[at] {
            b'"' | b'\'' => {
                at = quoted_end(text, at);
                continue;
            }
            b'{' => closing.push(b'}'),
            b'(' => closing.push(b')'),
            b'[' => closing.push(b']'),
            bracket @ (b'}' | b')' | b']') => {
                if closing.pop() != Some(bracket) {
                    return text.len();
                }
                if closing.is_empty() {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// Where the string or the character ends that begins at `at`; behind a quote that is neither.
fn quoted_end(text: &[u8], at: usize) -> usize {
    if text[at] == b'"' {
        // What a quote or a backslash means in a raw string depends on who wrote it.
        let is_raw = at > 0 && matches!(text[at - 1], b'r' | b'#');
        let inside = at + 1;
        return if is_raw { text.len() } else { inside + string_length(&text[inside..], b'"') };
    }
    let rest = &text[at + 1..];
    let closed = |from: usize| {
        let within = rest.len().min(from + CHARACTER_BYTES_MAX);
        rest.get(from..within)?.iter().position(|byte| *byte == b'\'').map(|ahead| from + ahead)
    };
    match rest.first() {
        Some(b'\\') => closed(2).map_or(text.len(), |end| at + 1 + end + 1),
        // One character, or a lifetime or an apostrophe.
        Some(first) => {
            let length = first.leading_ones().max(1) as usize;
            let is_character = rest.get(length) == Some(&b'\'');
            at + 1 + if is_character { length + 1 } else { 0 }
        }
        None => text.len(),
    }
}

#[cfg(test)]
mod tests;
