//! Two readings of the names in damaged JSON: by the pieces between quotes, and by whole strings.
//!
//! If all quotes are whole, as in a line that was only cut off, strings are what they seem. A quote in
//! a text then moves nothing. If a quote is missing, or if another language wrote the line, that
//! reading loses its way, and the pieces still say something. A value that either reading would redact
//! is redacted.

use std::borrow::Cow;

use super::spelling::decode_json_spelling;
use crate::Sanitizer;
use crate::extent::{ValueSyntax, value_end};
use crate::walk::{Fate, LooseWalk, Slot};

/// The start and the end of a value.
pub(super) type ValuePlace = (usize, usize);

/// Reads every piece between two quotes as a text, unless it can be only brackets and commas.
#[derive(Debug)]
pub(super) struct PieceReading<'s> {
    walk: LooseWalk<'s>,
    /// The last piece was between strings, so this one is a string.
    was_structure: bool,
}

impl<'s> PieceReading<'s> {
    pub(super) fn new(sanitizer: &'s Sanitizer) -> Self {
        Self { walk: LooseWalk::new(sanitizer), was_structure: false }
    }

    /// Reads the piece of `line` from `start` to the quote at `end`. Returns the value after it that
    /// the piece names, if that is redacted, and whether the piece is a text.
    pub(super) fn read_piece(
        &mut self,
        line: &str,
        start: usize,
        end: usize,
    ) -> (Option<ValuePlace>, bool) {
        let piece = &line[start..end];
        // An escaped quote is inside a string, which may hold JSON.
        let may_be_structure = !self.was_structure || piece.ends_with('\\');
        self.was_structure = may_be_structure && is_structure_piece(piece);
        if self.was_structure {
            read_structure(&mut self.walk, piece);
            return (None, false);
        }
        (read_text(&mut self.walk, line, &unescaped(piece), end + 1), true)
    }

    /// Passes a value that is redacted.
    pub(super) fn skip_value(&mut self) {
        self.walk.skip_value();
    }
}

/// Reads whole strings, in JSON and in strings that are JSON themselves.
#[derive(Debug)]
pub(super) struct StringReading<'s> {
    walk: LooseWalk<'s>,
    /// The open strings. Each but the last holds JSON.
    strings: Vec<OpenString>,
}

/// A string whose opening quote was between brackets, commas and colons.
#[derive(Clone, Copy, Debug)]
struct OpenString {
    quote: u8,
    /// The backslashes before its quotes: 0, in JSON in a string 1, in a string of that 3.
    backslashes: usize,
    /// The place after its opening quote.
    start: usize,
    /// It begins like JSON: what the walk says about the string, and its containers around it.
    json: Option<(Slot, usize)>,
}

impl OpenString {
    /// Returns whether it ends at a quote with so many backslashes before it. More may be before it
    /// if its text ends with backslashes.
    fn ends_at(&self, quote: u8, backslashes: usize) -> bool {
        let spelled = 2 * (self.backslashes + 1);
        quote == self.quote && backslashes % spelled == self.backslashes
    }
}

impl<'s> StringReading<'s> {
    pub(super) fn new(sanitizer: &'s Sanitizer) -> Self {
        Self { walk: LooseWalk::new(sanitizer), strings: Vec::new() }
    }

    /// Reads the piece of `line` from `start` to the quote at `end`. Returns the value after it that a
    /// string names that ends there, if that value is redacted.
    pub(super) fn read_piece(
        &mut self,
        line: &str,
        start: usize,
        end: usize,
    ) -> Option<ValuePlace> {
        let (quote, piece) = (line.as_bytes()[end], &line[start..end]);
        let backslashes = piece.len() - piece.trim_end_matches('\\').len();
        let innermost = self.strings.last().copied();
        let ended = self.strings.iter().rposition(|open| open.ends_at(quote, backslashes));
        let is_between_strings = innermost.is_none_or(|open| {
            let begins = open.start == start && backslashes == 2 * open.backslashes + 1;
            open.json.is_some() || (begins && ended.is_none())
        });
        if is_between_strings && is_structure_piece(piece) {
            if let Some(open) = self.strings.last_mut() {
                open.json.get_or_insert_with(|| self.walk.enter_text());
            }
            read_structure(&mut self.walk, piece);
            // A single quote that no other one follows is an apostrophe.
            if quote == b'\'' && ended.is_none() && !line[end + 1..].contains('\'') {
                return None;
            }
            if ended.is_none() {
                self.strings.push(OpenString { quote, backslashes, start: end + 1, json: None });
                return None;
            }
        }
        let Some(open) = ended.map(|ended| self.strings[ended]) else {
            return match innermost {
                // The text goes on.
                Some(open) if open.json.is_none() => None,
                _ => read_text(&mut self.walk, line, &unescaped(piece), end + 1),
            };
        };
        self.strings.truncate(ended.unwrap_or_default());
        let text = unescaped(&line[open.start..end - backslashes.min(open.backslashes)]);
        match open.json {
            None => read_text(&mut self.walk, line, &text, end + 1),
            Some((slot, depth)) => {
                let next = self.walk.leave_text(slot, depth, &text);
                named_value(line, end + 1, next?.fate, next?.needs_to_be_last)
            }
        }
    }

    /// Passes a value that is redacted.
    pub(super) fn skip_value(&mut self) {
        self.walk.skip_value();
    }
}

/// Passes a text to the walk, after which `line` continues at `at`. Returns the value after it, if that
/// is redacted.
fn read_text(walk: &mut LooseWalk<'_>, line: &str, name: &str, at: usize) -> Option<ValuePlace> {
    if line[at..].trim_start().starts_with(':') {
        let fate = walk.read_key(name);
        // The end of a value may be far, so it is searched only if the value may go.
        let value = may_go(fate).then(|| value_after_malformed_key(line, at)).flatten()?;
        return goes(line, value, fate).then_some(value);
    }
    let next = walk.read_value(name)?;
    named_value(line, at, next.fate, next.needs_to_be_last)
}

/// Returns the value after the comma at `at`, if its fate is to be redacted.
fn named_value(line: &str, at: usize, fate: Fate, needs_to_be_last: bool) -> Option<ValuePlace> {
    let rest = line[at..].trim_start().strip_prefix(',').filter(|_| may_go(fate))?.trim_start();
    // Only a text has a form. The end of a container may be far.
    if matches!(fate, Fate::Formed(_)) && rest.starts_with(['{', '[', '(']) {
        return None;
    }
    let value = malformed_value_at(line, line.len() - rest.len())?;
    let rest = line[value.1..].trim_start();
    let is_last = rest.is_empty() || rest.starts_with([']', ')']);
    ((is_last || !needs_to_be_last) && goes(line, value, fate)).then_some(value)
}

fn may_go(fate: Fate) -> bool {
    matches!(fate, Fate::Texts | Fate::Whole | Fate::Formed(_))
}

/// Returns whether a value of this fate is redacted. Numbers may stay where texts go.
fn goes(line: &str, (start, end): ValuePlace, fate: Fate) -> bool {
    let value = &line[start..end];
    let is_number = !value.starts_with(['"', '\'', '\\', '{', '[', '(']);
    fate.takes(is_number, || unescaped(value).trim_matches(['"', '\'']).to_owned())
}

/// Passes the brackets and commas between strings to the walk, and the words there.
fn read_structure(walk: &mut LooseWalk<'_>, piece: &str) {
    let mut is_in_word = false;
    for (at, byte) in piece.bytes().enumerate() {
        let was_in_word = is_in_word;
        is_in_word = is_malformed_word_byte(byte);
        match byte {
            b'{' | b'[' | b'(' => walk.enter(byte, was_in_word),
            b'}' | b']' | b')' => walk.leave(),
            b',' => walk.read_comma(),
            // It may be a flag.
            _ if is_in_word && !was_in_word && piece[at..].starts_with("true") => {
                walk.read_value("true");
            }
            _ if is_in_word && !was_in_word => walk.skip_value(),
            _ => {}
        }
    }
}

/// Decodes like readers that do not know such an escape.
pub(super) fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut scratch = String::new();
    Cow::Owned(decode_json_spelling(text, true, &mut scratch).replace('\\', ""))
}

fn is_malformed_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-._".contains(&byte)
}

/// Returns whether a piece is between strings. Such a piece has brackets, commas and colons, and
/// after the first of them words and numbers.
fn is_structure_piece(piece: &str) -> bool {
    // Ruby has the sign `=>`.
    let is_sign = |byte: u8| b"{}[](),:=>".contains(&byte);
    let piece = piece.trim_end_matches('\\').trim().as_bytes();
    piece.first().is_some_and(|&first| is_sign(first))
        && piece.iter().all(|&b| is_sign(b) || is_malformed_word_byte(b) || b.is_ascii_whitespace())
}

/// Returns the place of the value of the key whose closing quote is before `from`. Returns `None`
/// if there is no value or if it may stay.
pub(super) fn value_after_malformed_key(line: &str, from: usize) -> Option<(usize, usize)> {
    let behind_key = line[from..].trim_start();
    let start = match behind_key.strip_prefix(':').or_else(|| behind_key.strip_prefix("=>")) {
        // If a value is missing or cut off by an extra comma, it may be what comes next.
        Some(rest) => rest.trim_start_matches(|c: char| c.is_whitespace() || ",}]".contains(c)),
        // In a list of names only a comma, a semicolon or the end of the list follows.
        None if is_name_in_malformed_list(behind_key) => return None,
        None => behind_key.trim_start_matches(|c: char| c.is_whitespace() || ":}]".contains(c)),
    };
    malformed_value_at(line, line.len() - start.len())
}

/// Returns the place of the value that begins at `start`. Returns `None` if there is no value or if
/// it may stay.
fn malformed_value_at(line: &str, start: usize) -> Option<(usize, usize)> {
    let value = line[start..value_end(line.as_bytes(), start, ValueSyntax::Json)].trim_end();
    let stays = matches!(value, "" | "true" | "false" | "null" | "\"\"" | "''" | "[]" | "{}");
    (!stays).then_some((start, start + value.len()))
}

/// Returns whether what follows a string makes it an element of a list of names.
fn is_name_in_malformed_list(behind: &str) -> bool {
    let rest = behind.strip_prefix(['}', ']']).unwrap_or(behind);
    behind.starts_with([',', ';'])
        || (rest.len() < behind.len() && !rest.trim_start().starts_with(':'))
}
