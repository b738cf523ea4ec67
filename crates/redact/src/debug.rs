//! How is the text of a value's `Debug` redacted?
//!
//! It fails closed. A field is whatever stands before a single colon, in quotes or not, inside a
//! string too. Of the value behind a sensitive one the end is found where it looks like what the
//! standard library writes: a word, a number, a string, a character, a list, a structure. Of
//! anything else it cannot be told where it ends: all of the text behind it goes.

use std::fmt::{self, Write};

use super::extent::{Syntax, value_end};
use super::{Kind, Redactions, Sanitizer, floor_char_boundary, floor_word};

/// Bytes of a text that are kept; `Debug` is stopped there.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// Stands at the end of a text that was stopped.
const STOPPED: &str = "[TRUNCATED]";

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
            copied = value_end(text.as_bytes(), value, Syntax::Debug);
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

#[cfg(test)]
mod tests;
