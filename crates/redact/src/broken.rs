//! How is a line redacted that begins as JSON does and does not parse?
//!
//! It fails closed. Nothing is taken for granted about which quotes open a string and which close
//! one, single ones as other languages have them included: every piece between two quotes is
//! redacted, as it stands and as it reads decoded, and may be a key. What matches across quotes, as a
//! name and its value do, is found in the line as a whole afterwards.

use super::{Kind, Redactions, Sanitizer, json};

/// What a sensitive key's value becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quotes {
    /// `"[REDACTED]"`: a line that is mended may be JSON.
    Put,
    /// `[REDACTED]`, in the quotes that it had: a text keeps every byte around it.
    Kept,
}

impl Quotes {
    fn redacted(self, value: &str) -> &'static str {
        match (self, value.as_bytes()) {
            (Self::Kept, [b'\'', .., b'\'']) => "'[REDACTED]'",
            (Self::Kept, [b'"', .., b'"']) | (Self::Put, _) => "\"[REDACTED]\"",
            (Self::Kept, _) => "[REDACTED]",
        }
    }
}

/// Appends the redacted line. Redacting that again changes nothing.
pub(super) fn redact(
    sanitizer: &Sanitizer,
    line: &str,
    quotes: Quotes,
    out: &mut String,
    counts: &mut Redactions,
) {
    let mut pieces = String::with_capacity(line.len());
    redact_pieces(sanitizer, line, quotes, &mut pieces, counts);
    sanitizer.redact_text(&pieces, out, counts);
}

fn redact_pieces(
    sanitizer: &Sanitizer,
    line: &str,
    quotes: Quotes,
    out: &mut String,
    counts: &mut Redactions,
) {
    let mut at = 0;
    let mut quoted = false;
    loop {
        let end = memchr::memchr2(b'"', b'\'', &line.as_bytes()[at..]).map(|ahead| at + ahead);
        let piece = &line[at..end.unwrap_or(line.len())];
        redact_piece(sanitizer, piece, out, counts);
        let Some(end) = end else { return };
        out.push_str(&line[end..=end]);
        at = end + 1;
        if quoted
            && is_sensitive(sanitizer, piece)
            && let Some((start, end)) = value_behind_key(line, at)
        {
            out.push_str(&line[at..start]);
            let redacted = quotes.redacted(&line[start..end]);
            out.push_str(redacted);
            if &line[start..end] != redacted {
                counts.add(Kind::Key);
            }
            (at, quoted) = (end, false);
        } else {
            quoted = true;
        }
    }
}

/// How often a piece is redacted until nothing changes. Two or three times is what the worst known
/// needs; the bound keeps the work linear, and a piece that were to need more would go as a whole.
const ROUNDS_MAX: usize = 8;

/// A piece may match decoded and not as it stands, or the other way round, and what is replaced for
/// the one makes boundaries for the other. So both are redacted until neither changes.
fn redact_piece(sanitizer: &Sanitizer, piece: &str, out: &mut String, counts: &mut Redactions) {
    if !piece.contains('\\') {
        return sanitizer.redact_text(piece, out, counts);
    }
    let mut found = Redactions::default();
    let (mut current, mut scratch) = (piece.to_owned(), String::new());
    for _ in 0..ROUNDS_MAX {
        let text = json::decode(&current, true, &mut scratch);
        let (mut half, mut next) = (String::new(), String::with_capacity(current.len()));
        json::redact_decoded(sanitizer, &current, text, &mut half, &mut found);
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

/// Whether a piece is a sensitive key, decoded or with its backslashes ignored, as readers do that
/// know no such escape.
fn is_sensitive(sanitizer: &Sanitizer, piece: &str) -> bool {
    let mut scratch = String::new();
    let text = json::decode(piece, piece.contains('\\'), &mut scratch);
    let sensitive = |key: &str| sanitizer.classify(key).is_secret();
    sensitive(text) || (text.contains('\\') && sensitive(&text.replace('\\', "")))
}

/// Where the value of the key lies whose closing quote is before `from`; `None` if it has none or
/// one that may stay.
fn value_behind_key(line: &str, from: usize) -> Option<(usize, usize)> {
    let behind_key = line[from..].trim_start();
    let start = match behind_key.strip_prefix(':') {
        // What is missing or cut off by a comma too many may be what comes next.
        Some(rest) => rest.trim_start_matches(|c: char| c.is_whitespace() || ",}]".contains(c)),
        // In a list of names nothing follows but a comma or the end of the list.
        None if is_last_of_list(behind_key) => return None,
        None => behind_key.trim_start_matches(|c: char| c.is_whitespace() || ":}]".contains(c)),
    };
    let value = start[..value_length(start.as_bytes())].trim_end();
    let start = line.len() - start.len();
    (!matches!(value, "" | "true" | "false" | "null")).then_some((start, start + value.len()))
}

/// Whether what follows a string makes it an element of a list of names.
fn is_last_of_list(behind: &str) -> bool {
    let rest = behind.strip_prefix(['}', ']']).unwrap_or(behind);
    behind.starts_with(',') || (rest.len() < behind.len() && !rest.trim_start().starts_with(':'))
}

/// The length of a value: one string, one plain word or number, or one container whose brackets
/// match, with nothing but white space up to a comma, a closing bracket or the end of the line. Of
/// anything else it cannot be told where it ends: all of the line.
fn value_length(line: &[u8]) -> usize {
    let length = match line.first() {
        Some(&quote @ (b'"' | b'\'')) => 1 + string_length(&line[1..], quote),
        Some(b'{' | b'[') => container_length(line),
        _ => {
            let is_plain = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+-._".contains(byte);
            line.iter().take_while(is_plain).count()
        }
    };
    let behind = line[length..].trim_ascii_start();
    match behind.first() {
        None | Some(b',' | b'}' | b']') => length,
        Some(_) => line.len(),
    }
}

/// The length of the container at the beginning; where its brackets do not match, all of the line.
fn container_length(line: &[u8]) -> usize {
    let mut closing = Vec::new();
    let mut at = 0;
    while at < line.len() {
        match line[at] {
            quote @ (b'"' | b'\'') => at += string_length(&line[at + 1..], quote),
            b'{' => closing.push(b'}'),
            b'[' => closing.push(b']'),
            bracket @ (b'}' | b']') => {
                if closing.pop() != Some(bracket) {
                    return line.len();
                }
                if closing.is_empty() {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    line.len()
}

/// The length of the rest of a string, its closing quote included.
pub(super) fn string_length(rest: &[u8], quote: u8) -> usize {
    let mut at = 0;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}
