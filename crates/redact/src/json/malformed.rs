//! Redacts a line that begins like JSON and does not parse.
//!
//! It fails closed. Any quote may open a string or close one, even a single quote, as in other
//! languages. So every piece between two quotes is redacted as it is spelled and as it reads
//! decoded. It may be a key, a name or a value. A match across quotes, such as a name and its
//! value, is found afterwards in the whole line.

use super::readings::{PieceReading, StringReading, ValuePlace, value_after_malformed_key};
use super::spelling::{decode_json_spelling, redact_json_spelling};
use crate::looks::{is_code_value, is_random_value};
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
            // The whole line says what a number is.
            match is_number_piece(piece) {
                true => self.out.push_str(piece),
                false => redact_malformed_piece(self.sanitizer, piece, self.out, self.counts),
            }
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
        let value = by_key.or(by_pieces).or(by_strings)?;
        let is_code = is_between_operators(&self.line[start..end])
            || is_code_after_key(self.line, end + 1, value.0);
        (!is_code).then_some(value)
    }

    fn is_secret(&self, piece: &str) -> bool {
        let mut scratch = String::new();
        let text = decode_json_spelling(piece, piece.contains('\\'), &mut scratch);
        let is_secret = |name: &str| self.sanitizer.classify(name).is_secret();
        is_secret(text) || (text.contains('\\') && is_secret(&text.replace('\\', "")))
    }
}

/// Returns whether a piece has one number and nothing else that could match.
fn is_number_piece(piece: &str) -> bool {
    let number = piece.trim_matches(|c: char| c.is_ascii_whitespace() || ":,\\]}".contains(c));
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns whether a piece joins two strings: `" + token + "`.
fn is_between_operators(piece: &str) -> bool {
    let piece = piece.trim();
    piece.len() >= 2 && piece.starts_with('+') && piece.ends_with('+')
}

/// Returns whether what is at `start` is source code and not a value, after the quote that closes a key
/// before `behind`. Source code has lines that begin like JSON.
fn is_code_after_key(line: &str, behind: usize, start: usize) -> bool {
    const NAME_BYTES_MAX: usize = 64;
    let (bytes, key_end) = (line.as_bytes(), behind - 1);
    let between = line[behind..start].trim();
    let value = line[start..].trim_start_matches(['=', '>']).trim_start().as_bytes();
    let has_sign = between.contains([':', ',', '=']) || value.len() < line.len() - start;
    if has_sign {
        let name = &bytes[key_end.saturating_sub(NAME_BYTES_MAX)..key_end];
        return is_code_value(value, name.trim_ascii_end());
    }
    match value {
        // The quote was escaped, and its text continues with an escape that JSON has not.
        [b'\\', b'x', high, ..] if high.is_ascii_hexdigit() => true,
        [b'"' | b'\'' | b'`' | b'\\' | b'{' | b'[' | b'(', ..] => is_code_value(value, b""),
        _ => goes_on_after_string(value, bytes[key_end]),
    }
}

/// Returns whether an expression or a sentence goes on after the quote of a string, by what is there.
fn goes_on_after_string(text: &[u8], quote: u8) -> bool {
    let letters = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    // A damaged sign may be before a value.
    let is_value = |text: &[u8]| {
        let sign = text.iter().take_while(|byte| b" \t:=>-,".contains(byte)).count();
        matches!(text[sign..], [b'"' | b'\'' | b'`' | b'\\', ..])
    };
    match text {
        [] => true,
        // It closes a string around this one.
        [b')', other @ (b'"' | b'\''), ..] if *other != quote => true,
        [b')' | b';', rest @ ..]
        | [b'+' | b'%' | b'?' | b'.' | b'|' | b'*' | b'/' | b'-', b' ', rest @ ..] => {
            !is_value(rest)
        }
        [b'.', b'.', b'.', ..] => true,
        [b'.' | b','] => true,
        [b'.', name @ ..] => {
            let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
            let length = name.iter().take_while(is_part).count();
            letters(name) > 0 && name[length..].starts_with(b"(")
                || letters(name) > 0 && name[length..].starts_with(b"::<")
        }
        _ => {
            // An apostrophe, or a quotation in prose.
            let (word, behind) = text.split_at(letters(text));
            let ends = matches!(behind, [b'.' | b':' | b')', rest @ ..]
                if rest.is_empty() || b"\"' ".contains(&rest[0]));
            let goes_on =
                matches!(behind, [b' ', next, ..] if next.is_ascii_alphabetic() || *next == b'(');
            !word.is_empty() && !is_random_value(word) && (goes_on || ends && !is_value(behind))
        }
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
