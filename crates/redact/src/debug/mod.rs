//! Redacts the text of a value's `Debug`.
//!
//! It fails closed. A field is whatever is before a single colon, with or without quotes, even
//! inside a string. If the field is sensitive, the end of its value must be found. It is found if
//! the value looks like output of the standard library. Such a value is a word, a number, a string,
//! a character, a list or a structure. If it is none of these, its end is unknown, and all of the
//! text after its beginning is redacted.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::ops::Range;

use super::extent::{ValueSyntax, quoted_end, value_end};
use super::walk::{Fate, LooseWalk};
use super::{Kind, Redactions, Sanitizer, floor_char_boundary, floor_word};

/// The bytes of a text that are kept. `Debug` is stopped after them.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// The end of a text that was stopped.
const STOPPED: &str = "[TRUNCATED]";

/// Returns the text of the value's `Debug`, redacted, or `None` if `Debug` fails.
///
/// # Panics
///
/// Panics if `Debug` panics.
pub fn redacted(
    value: &dyn fmt::Debug,
    sanitizer: &Sanitizer,
    counts: &mut Redactions,
) -> Option<String> {
    let mut bounded = BoundedDebugText::default();
    let written = write!(bounded, "{value:?}");
    if written.is_err() && !bounded.is_full {
        return None;
    }
    if bounded.is_full {
        bounded.text.truncate(floor_word(&bounded.text, bounded.text.len()));
    }
    let mut text = redact_debug_text(&bounded.text, sanitizer, counts);
    if bounded.is_full {
        text.push_str(STOPPED);
    }
    Some(text)
}

#[derive(Default)]
struct BoundedDebugText {
    text: String,
    is_full: bool,
}

impl Write for BoundedDebugText {
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

/// Returns `text` with `[REDACTED]` for every value whose field or whose neighbour names a secret.
fn redact_debug_text(text: &str, sanitizer: &Sanitizer, counts: &mut Redactions) -> String {
    let mut driver = DebugText {
        sanitizer,
        text,
        counts,
        walk: LooseWalk::new(sanitizer),
        out: String::with_capacity(text.len()),
        copied: 0,
        at: 0,
        string: 0..0,
        named: None,
    };
    driver.redact();
    driver.out
}

/// The driver, which reads the text once, from left to right.
struct DebugText<'a> {
    sanitizer: &'a Sanitizer,
    text: &'a str,
    counts: &'a mut Redactions,
    walk: LooseWalk<'a>,
    out: String,
    /// The text up to here is written.
    copied: usize,
    at: usize,
    /// The last string or character, with its quotes. Inside of it only colons matter.
    string: Range<usize>,
    /// A value that is redacted because of the name before it.
    named: Option<Range<usize>>,
}

impl DebugText<'_> {
    fn redact(&mut self) {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if let Some(value) = self.named.take_if(|value| value.start <= self.at) {
                if value.start == self.at {
                    self.replace(value);
                    continue;
                }
            } else if byte == b':' {
                self.read_colon();
                continue;
            } else if self.at >= self.string.end {
                self.read_structure(byte);
                continue;
            }
            self.at += 1;
        }
        self.out.push_str(&self.text[self.copied..]);
    }

    /// Writes the placeholder of a value, and what is before it.
    fn replace(&mut self, value: Range<usize>) {
        self.out.push_str(&self.text[self.copied..value.start]);
        self.out.push_str(Kind::Key.placeholder());
        self.counts.add(Kind::Key);
        (self.copied, self.at) = (value.end, value.end);
        match &self.text[value] {
            // It may be a flag.
            "true" => drop(self.walk.read_value("true")),
            _ => self.walk.skip_value(),
        }
    }

    /// Reads a colon, before which a key may be.
    fn read_colon(&mut self) {
        let colon = self.at;
        if self.text[colon..].starts_with("::") {
            self.at += 2;
            return;
        }
        self.at += 1;
        let start = self.text.len() - self.text[self.at..].trim_start().len();
        let fate = self.key_before(colon);
        if start == self.text.len() || matches!(fate, Fate::Read | Fate::Name) {
            return;
        }
        let is_number = self.text[start..].starts_with(|c: char| c == '-' || c.is_ascii_digit());
        let end = value_end(self.text.as_bytes(), start, ValueSyntax::Debug);
        if fate.takes(is_number, || read_debug_value(&self.text[start..end])) {
            self.replace(start..end);
        }
    }

    /// Passes the key before a colon to the walk, without the quotes and brackets around it.
    /// Returns the fate of its value. If the key is in a string, the walk is not asked.
    fn key_before(&mut self, colon: usize) -> Fate {
        let is_around = |c: char| c.is_whitespace() || r#""'\)]}>"#.contains(c);
        let key = self.text[self.copied..colon].trim_end_matches(is_around);
        let start = key.rfind(|c: char| !c.is_alphanumeric() && c != '_');
        let start = start.map_or(0, |at| at + key[at..].chars().next().map_or(1, char::len_utf8));
        let word = &key[start..];
        let is_secret = self.sanitizer.classify(word).is_secret();
        if colon < self.string.end {
            return if is_secret { Fate::Whole } else { Fate::Read };
        }
        let between = self.text.get(self.string.end..colon).unwrap_or("?");
        let is_quoted = !self.string.is_empty() && between.chars().all(is_around);
        let fate = match is_quoted {
            true => self.walk.read_key(&unescape_debug_string(without_debug_quotes(
                &self.text[self.string.clone()],
            ))),
            false => self.walk.read_key(word),
        };
        if is_secret { Fate::Whole } else { fate }
    }

    /// Reads what is outside of strings.
    fn read_structure(&mut self, byte: u8) {
        match byte {
            b'{' | b'[' | b'(' => {
                let before = self.text.as_bytes()[..self.at].last();
                self.walk.enter(byte, before.is_some_and(|&byte| is_debug_word_byte(byte)));
            }
            b'}' | b']' | b')' => self.walk.leave(),
            b',' => self.walk.read_comma(),
            b'"' | b'\'' => return self.read_string(),
            _ if is_debug_word_byte(byte) => return self.read_word(),
            _ => {}
        }
        self.at += 1;
    }

    fn read_word(&mut self) {
        let bytes = self.text.as_bytes();
        let start = self.at;
        self.at += bytes[start..].iter().take_while(|&&byte| is_debug_word_byte(byte)).count();
        let next = self.text[self.at..].trim_start().bytes().next();
        // A field, a path, or the name of a type.
        if !next.is_some_and(|next| b":{([\"'".contains(&next)) {
            self.read_value(start..self.at);
        }
    }

    fn read_string(&mut self) {
        let end = quoted_end(self.text.as_bytes(), self.at, ValueSyntax::Debug);
        // A lifetime or an apostrophe.
        if end > self.at + 1 {
            self.string = self.at..end;
            let rest = self.text[end..].trim_start();
            if !rest.starts_with(':') || rest.starts_with("::") {
                self.read_value(self.string.clone());
            }
        }
        self.at += 1;
    }

    /// Passes a text or a number to the walk, because it may be the name of the next value.
    fn read_value(&mut self, value: Range<usize>) {
        let next = self
            .walk
            .read_value(&unescape_debug_string(without_debug_quotes(&self.text[value.clone()])));
        let Some(next) = next.filter(|next| !matches!(next.fate, Fate::Read | Fate::Name)) else {
            return;
        };
        let Some(rest) = behind_wrappers(&self.text[value.end..]).strip_prefix(',') else { return };
        // Only a text has a form. The end of a container may be far.
        if matches!(next.fate, Fate::Formed(_)) && rest.trim_start().starts_with(['{', '[', '(']) {
            return;
        }
        let start = self.text.len() - rest.trim_start().len();
        let is_number = self.text[start..].starts_with(|c: char| c == '-' || c.is_ascii_digit());
        let end = value_end(self.text.as_bytes(), start, ValueSyntax::Debug);
        if start == self.text.len()
            || !next.fate.takes(is_number, || read_debug_value(&self.text[start..end]))
        {
            return;
        }
        // If the text has several lines, the last value has a comma.
        let rest = self.text[end..].trim_start();
        let rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        if !next.needs_to_be_last || rest.is_empty() || rest.starts_with([')', ']']) {
            self.named = Some(start..end);
        }
    }
}

/// Passes the brackets that close wrappers around a value. In a text of several lines, a comma is before
/// each.
fn behind_wrappers(text: &str) -> &str {
    let mut rest = text.trim_start();
    while let Some(behind) = rest.strip_prefix(',').unwrap_or(rest).trim_start().strip_prefix(')') {
        rest = behind.trim_start();
    }
    rest
}

fn is_debug_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_+-.&".contains(&byte) || !byte.is_ascii()
}

/// Returns a string without its quotes, or a word unchanged.
fn without_debug_quotes(quoted: &str) -> &str {
    match quoted.as_bytes() {
        [b'"', .., b'"'] | [b'\'', .., b'\''] => &quoted[1..quoted.len() - 1],
        [b'"' | b'\'', ..] => &quoted[1..],
        _ => quoted,
    }
}

/// Returns what a value reads like, without the word of a variant or a newtype around it.
fn read_debug_value(value: &str) -> String {
    let inside = match value.split_once('(') {
        Some((word, rest)) if word.chars().all(char::is_alphanumeric) => rest.trim_end_matches(')'),
        _ => value,
    };
    // If the text has several lines, the value in the word has a comma.
    let inside = inside.trim().trim_end_matches(',').trim_end();
    unescape_debug_string(without_debug_quotes(inside)).into_owned()
}

/// Returns the text of a string without the escape sequences of `Debug`.
fn unescape_debug_string(inside: &str) -> Cow<'_, str> {
    if !inside.contains('\\') {
        return Cow::Borrowed(inside);
    }
    let mut out = String::with_capacity(inside.len());
    let mut rest = inside;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut chars = escape.chars();
        let code = escape.strip_prefix("u{").and_then(|escape| escape.split_once('}'));
        let code = code.and_then(|(hex, rest)| {
            Some((char::from_u32(u32::from_str_radix(hex, 16).ok()?)?, rest))
        });
        (rest, _) = match code {
            Some((c, rest)) => (rest, out.push(c)),
            None => {
                let c = chars.next();
                out.extend(c.map(|c| match c {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    c => c,
                }));
                (chars.as_str(), ())
            }
        };
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests;
