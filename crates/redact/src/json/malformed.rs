//! Redacts a line that begins like JSON and does not parse.
//!
//! It fails closed. Any quote may open a string or close one, even a single quote, as in other
//! languages. So every piece between two quotes is redacted as it is spelled and as it reads
//! decoded. It may be a key, a name or a value. A match across quotes, such as a name and its
//! value, is found afterwards in the whole line.

use std::borrow::Cow;

use super::spelling::{decode_json_spelling, redact_json_spelling};
use crate::extent::{ValueSyntax, value_end};
use crate::walk::{Fate, LooseWalk};
use crate::{Kind, Redactions, Sanitizer};

/// The replacement of a sensitive key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlaceholderQuotes {
    /// `"[REDACTED]"`, because the line may be JSON if it is repaired.
    Put,
    /// `[REDACTED]`, in the quotes of the value, because a text keeps every byte around it.
    Kept,
}

impl PlaceholderQuotes {
    fn quoted_placeholder(self, value: &str) -> &'static str {
        match (self, value.as_bytes()) {
            (Self::Kept, [b'\'', .., b'\'']) => "'[REDACTED]'",
            (Self::Kept, [b'"', .., b'"']) | (Self::Put, _) => "\"[REDACTED]\"",
            (Self::Kept, _) => "[REDACTED]",
        }
    }
}

/// Appends the redacted line. If that is redacted again, nothing changes.
pub(super) fn redact_malformed_text(
    sanitizer: &Sanitizer,
    line: &str,
    quotes: PlaceholderQuotes,
    out: &mut String,
    counts: &mut Redactions,
) {
    let mut pieces = String::with_capacity(line.len());
    MalformedPieces {
        sanitizer,
        line,
        quotes,
        walk: LooseWalk::new(sanitizer),
        strings: Vec::new(),
        out: &mut pieces,
        counts,
    }
    .redact();
    sanitizer.redact_text(&pieces, out, counts);
}

impl Sanitizer {
    /// Appends a text that may contain JSON without being JSON, redacted like a line that does not
    /// parse.
    pub fn redact_malformed(&self, text: &str, out: &mut String) {
        redact_malformed_text(self, text, PlaceholderQuotes::Put, out, &mut Redactions::default());
    }
}

/// The driver: the pieces of a line, between any two quotes.
struct MalformedPieces<'a> {
    sanitizer: &'a Sanitizer,
    line: &'a str,
    quotes: PlaceholderQuotes,
    walk: LooseWalk<'a>,
    /// The open strings, each but the last with JSON in it.
    strings: Vec<OpenString>,
    out: &'a mut String,
    counts: &'a mut Redactions,
}

/// A string whose opening quote was between brackets, commas and colons. Its end is known only if
/// the quotes of the line are whole.
#[derive(Clone, Copy, Debug)]
struct OpenString {
    quote: u8,
    /// The backslashes before its quotes: 0, in JSON in a string 1, in a string of that 3.
    backslashes: usize,
    /// The place after its opening quote.
    start: usize,
    /// It begins like JSON, so more strings may be in it.
    holds_json: bool,
}

impl OpenString {
    /// Returns whether it ends at a quote with so many backslashes before it. More may be before it
    /// if its text ends with backslashes.
    fn ends_at(&self, quote: u8, backslashes: usize) -> bool {
        let spelled = 2 * (self.backslashes + 1);
        quote == self.quote && backslashes % spelled == self.backslashes
    }
}

/// What a piece was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    /// Brackets and commas between strings.
    Structure,
    /// A part of a string that goes on.
    PartOfText,
    /// The end of the text from `start` to `end`.
    Text { start: usize, end: usize },
}

impl MalformedPieces<'_> {
    fn redact(&mut self) {
        let (mut at, mut quoted) = (0, false);
        loop {
            let bytes = self.line.as_bytes();
            let end = memchr::memchr2(b'"', b'\'', &bytes[at..]).map(|ahead| at + ahead);
            let piece = &self.line[at..end.unwrap_or(self.line.len())];
            redact_malformed_piece(self.sanitizer, piece, self.out, self.counts);
            let Some(end) = end else { return };
            self.out.push_str(&self.line[end..=end]);
            let value = self.value_to_redact(piece, quoted, end);
            at = end + 1;
            if let Some((start, end)) = value {
                self.replace(at, start, end);
                at = end;
            }
            quoted = value.is_none();
        }
    }

    /// Writes a placeholder for the value from `start` to `end`, after the text before it from `at`
    /// on.
    fn replace(&mut self, at: usize, start: usize, end: usize) {
        self.out.push_str(&self.line[at..start]);
        let value = &self.line[start..end];
        let redacted = self.quotes.quoted_placeholder(value);
        self.out.push_str(redacted);
        if value != redacted {
            self.counts.add(Kind::Key);
        }
        self.walk.skip_value();
    }

    /// Reads a piece that ends with the quote at `end`. Returns the value after it, if the piece
    /// causes that to be redacted whole.
    fn value_to_redact(&mut self, piece: &str, quoted: bool, end: usize) -> Option<(usize, usize)> {
        let read = self.follow_strings(piece, end);
        let at = end + 1;
        let is_key = quoted && read != Read::Structure && self.is_secret(piece);
        let by_key = if is_key { value_after_malformed_key(self.line, at) } else { None };
        let by_walk = match read {
            Read::Text { start, end } => self.read_text(&unescaped(&self.line[start..end]), at),
            Read::Structure | Read::PartOfText => None,
        };
        if by_key.is_some() {
            return by_key;
        }
        let (fate, value) = by_walk?;
        let is_number = |value: &str| !value.starts_with(['"', '\'', '\\', '{', '[', '(']);
        let (start, end) = value?;
        let stays = fate == Fate::Texts && is_number(&self.line[start..end]);
        (!stays).then_some((start, end))
    }

    /// Follows the open strings over a piece that ends with the quote at `end`.
    fn follow_strings(&mut self, piece: &str, end: usize) -> Read {
        let (quote, start) = (self.line.as_bytes()[end], end - piece.len());
        let backslashes = piece.len() - piece.trim_end_matches('\\').len();
        let innermost = self.strings.last().copied();
        let ended = self.strings.iter().rposition(|open| open.ends_at(quote, backslashes));
        if let Some(ended) = ended {
            self.strings.truncate(ended);
        }
        let is_between_strings = match innermost {
            Some(open) if !open.holds_json => {
                let begins = open.start == start && backslashes == 2 * open.backslashes + 1;
                begins && ended.is_none()
            }
            _ => true,
        };
        if is_between_strings && is_structure_piece(piece) {
            self.read_structure(piece);
            if ended.is_none() {
                if let Some(open) = self.strings.last_mut() {
                    open.holds_json = true;
                }
                let start = end + 1;
                self.strings.push(OpenString { quote, backslashes, start, holds_json: false });
            }
            return Read::Structure;
        }
        match innermost {
            Some(open) if !open.holds_json && ended.is_none() => Read::PartOfText,
            Some(open) if !open.holds_json => {
                Read::Text { start: open.start, end: end - backslashes.min(open.backslashes) }
            }
            _ => Read::Text { start, end },
        }
    }

    fn is_secret(&self, piece: &str) -> bool {
        let mut scratch = String::new();
        let text = decode_json_spelling(piece, piece.contains('\\'), &mut scratch);
        let is_secret = |name: &str| self.sanitizer.classify(name).is_secret();
        is_secret(text) || (text.contains('\\') && is_secret(&text.replace('\\', "")))
    }

    /// Passes a text to the walk. Returns the fate of the value after it and the value, if that is
    /// redacted.
    fn read_text(&mut self, name: &str, at: usize) -> Option<(Fate, Option<(usize, usize)>)> {
        let goes = |fate| matches!(fate, Fate::Texts | Fate::Whole);
        let rest = self.line[at..].trim_start();
        if rest.starts_with(':') {
            let fate = self.walk.read_key(name);
            return goes(fate).then(|| (fate, value_after_malformed_key(self.line, at)));
        }
        let next = self.walk.read_value(name).filter(|next| goes(next.fate))?;
        let start = self.line.len() - rest.strip_prefix(',')?.trim_start().len();
        let value = malformed_value_at(self.line, start)?;
        let rest = self.line[value.1..].trim_start();
        let is_last = rest.is_empty() || rest.starts_with([']', ')']);
        (is_last || !next.needs_to_be_last).then_some((next.fate, Some(value)))
    }

    /// Passes the brackets and commas between strings to the walk, and the words there.
    fn read_structure(&mut self, piece: &str) {
        let mut is_in_word = false;
        for byte in piece.bytes() {
            let was_in_word = is_in_word;
            is_in_word = is_malformed_word_byte(byte);
            match byte {
                b'{' | b'[' | b'(' => self.walk.enter(byte, was_in_word),
                b'}' | b']' | b')' => self.walk.leave(),
                b',' => self.walk.read_comma(),
                _ if is_in_word && !was_in_word => self.walk.skip_value(),
                _ => {}
            }
        }
    }
}

/// Decodes like readers that do not know such an escape.
fn unescaped(text: &str) -> Cow<'_, str> {
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
    let is_sign = |byte: u8| b"{}[](),:".contains(&byte);
    let piece = piece.trim_end_matches('\\').trim().as_bytes();
    piece.first().is_some_and(|&first| is_sign(first))
        && piece.iter().all(|&b| is_sign(b) || is_malformed_word_byte(b) || b.is_ascii_whitespace())
}

/// The number of times that a piece is redacted until nothing changes. The worst known piece needs
/// two or three. The bound keeps the work linear. If a piece needed more, it would be replaced as a
/// whole.
const ROUNDS_MAX: usize = 8;

/// Redacts a piece as it is spelled and decoded until neither changes. It may match in only one of
/// the two forms, and a replacement in one makes boundaries for the other.
fn redact_malformed_piece(
    sanitizer: &Sanitizer,
    piece: &str,
    out: &mut String,
    counts: &mut Redactions,
) {
    if !piece.contains('\\') {
        return sanitizer.redact_text(piece, out, counts);
    }
    let mut found = Redactions::default();
    let (mut current, mut scratch) = (piece.to_owned(), String::new());
    for _ in 0..ROUNDS_MAX {
        let text = decode_json_spelling(&current, true, &mut scratch);
        let (mut half, mut next) = (String::new(), String::with_capacity(current.len()));
        redact_json_spelling(sanitizer, &current, text, &mut half, &mut found);
        sanitizer.redact_text(&half, &mut next, &mut found);
        if next == current {
            counts.merge(&found);
            return out.push_str(&current);
        }
        current = next;
    }
    counts.add(Kind::Key);
    out.push_str(Kind::Key.placeholder());
}

/// Returns the place of the value of the key whose closing quote is before `from`. Returns `None`
/// if there is no value or if it may stay.
fn value_after_malformed_key(line: &str, from: usize) -> Option<(usize, usize)> {
    let behind_key = line[from..].trim_start();
    let start = match behind_key.strip_prefix(':') {
        // If a value is missing or cut off by an extra comma, it may be what comes next.
        Some(rest) => rest.trim_start_matches(|c: char| c.is_whitespace() || ",}]".contains(c)),
        // In a list of names only a comma or the end of the list follows.
        None if is_name_in_malformed_list(behind_key) => return None,
        None => behind_key.trim_start_matches(|c: char| c.is_whitespace() || ":}]".contains(c)),
    };
    malformed_value_at(line, line.len() - start.len())
}

/// Returns the place of the value that begins at `start`. Returns `None` if there is no value or if
/// it may stay.
fn malformed_value_at(line: &str, start: usize) -> Option<(usize, usize)> {
    let value = line[start..value_end(line.as_bytes(), start, ValueSyntax::Json)].trim_end();
    (!matches!(value, "" | "true" | "false" | "null")).then_some((start, start + value.len()))
}

/// Returns whether what follows a string makes it an element of a list of names.
fn is_name_in_malformed_list(behind: &str) -> bool {
    let rest = behind.strip_prefix(['}', ']']).unwrap_or(behind);
    behind.starts_with(',') || (rest.len() < behind.len() && !rest.trim_start().starts_with(':'))
}
