//! Redacts a line that begins like JSON and does not parse.
//!
//! It fails closed. Any quote may open a string or close one, even a single quote, as in other
//! languages. So every piece between two quotes is redacted as it is spelled and as it reads
//! decoded. It may be a key, a name or a value. A match across quotes, such as a name and its
//! value, is found afterwards in the whole line.

use super::readings::{PieceReading, StringReading, ValuePlace, value_after_malformed_key};
use super::spelling::{decode_json_spelling, redact_json_spelling};
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
        by_pieces: PieceReading::new(sanitizer),
        by_strings: StringReading::new(sanitizer),
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
    by_pieces: PieceReading<'a>,
    by_strings: StringReading<'a>,
    out: &'a mut String,
    counts: &'a mut Redactions,
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
            let value = self.value_to_redact(at, quoted, end);
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
        self.by_pieces.skip_value();
        self.by_strings.skip_value();
    }

    /// Reads the piece from `start` to the quote at `end`. Returns the value after it, if the piece
    /// causes that to be redacted whole. A sensitive key does so whatever is around it.
    fn value_to_redact(&mut self, start: usize, quoted: bool, end: usize) -> Option<ValuePlace> {
        let by_strings = self.by_strings.read_piece(self.line, start, end);
        let (by_pieces, is_text) = self.by_pieces.read_piece(self.line, start, end);
        let is_key = is_text && quoted && self.is_secret(&self.line[start..end]);
        let by_key = if is_key { value_after_malformed_key(self.line, end + 1) } else { None };
        by_key.or(by_pieces).or(by_strings)
    }

    fn is_secret(&self, piece: &str) -> bool {
        let mut scratch = String::new();
        let text = decode_json_spelling(piece, piece.contains('\\'), &mut scratch);
        let is_secret = |name: &str| self.sanitizer.classify(name).is_secret();
        is_secret(text) || (text.contains('\\') && is_secret(&text.replace('\\', "")))
    }
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
