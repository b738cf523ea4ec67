//! Finds where a value ends in a text that is not JSON: a string, a word, a container.
//!
//! It fails closed. If the end of a value is unknown, the value reaches to the end of the text.

/// The rules of writing that a text follows, roughly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueSyntax {
    /// Malformed JSON, and what other languages print that looks like it.
    Json,
    /// The text of a value's `Debug`.
    Debug,
}

impl ValueSyntax {
    fn is_word_byte(self, byte: u8) -> bool {
        match self {
            Self::Json => byte.is_ascii_alphanumeric() || b"+-._".contains(&byte),
            Self::Debug => {
                byte.is_ascii_alphanumeric() || b"_+-.:&".contains(&byte) || !byte.is_ascii()
            }
        }
    }

    /// Returns the bracket that closes a container, if this byte opens one.
    pub(super) fn closing_bracket(self, byte: u8) -> Option<u8> {
        match byte {
            b'{' => Some(b'}'),
            b'[' => Some(b']'),
            b'(' if self == Self::Debug => Some(b')'),
            _ => None,
        }
    }

    /// Returns whether this byte closes a container.
    pub(super) fn is_closing_bracket(self, byte: u8) -> bool {
        matches!(byte, b'}' | b']') || byte == b')' && self == Self::Debug
    }
}

/// Bytes between the quotes of a character, at most: `\u{10ffff}`.
const CHARACTER_BYTES_MAX: usize = 10;

/// Returns the end of the value that begins at `start`.
///
/// A value is one string, one plain word or number, or one container whose brackets match. In
/// `Debug` text it may also be a container or a string after a word. White space and a comma, a
/// closing bracket or the end of the text have to follow.
pub(super) fn value_end(text: &[u8], start: usize, syntax: ValueSyntax) -> usize {
    let is_word = |byte: &&u8| syntax.is_word_byte(**byte);
    let word_end = start + text[start..].iter().take_while(is_word).count();
    let next = match syntax {
        ValueSyntax::Json => word_end,
        ValueSyntax::Debug => space_end(text, word_end),
    };
    let end = match text.get(next) {
        Some(_) if syntax == ValueSyntax::Json && word_end > start => word_end,
        Some(b'"' | b'\'') => quoted_end(text, next, syntax),
        Some(&byte) if syntax.closing_bracket(byte).is_some() => container_end(text, next, syntax),
        _ => word_end,
    };
    match text.get(space_end(text, end)) {
        None => end,
        Some(b',') if end > start || syntax == ValueSyntax::Json => end,
        Some(&byte)
            if syntax.is_closing_bracket(byte) && (end > start || syntax == ValueSyntax::Json) =>
        {
            end
        }
        Some(_) => text.len(),
    }
}

fn space_end(text: &[u8], at: usize) -> usize {
    text.len() - text[at..].trim_ascii_start().len()
}

/// Returns the end of the container that begins at `at`; the end of the text if its brackets do not
/// match.
fn container_end(text: &[u8], mut at: usize, syntax: ValueSyntax) -> usize {
    let mut open = Vec::new();
    while at < text.len() {
        let byte = text[at];
        if matches!(byte, b'"' | b'\'') {
            at = quoted_end(text, at, syntax);
            continue;
        }
        if let Some(closing) = syntax.closing_bracket(byte) {
            open.push(closing);
        } else if syntax.is_closing_bracket(byte) {
            if open.pop() != Some(byte) {
                return text.len();
            }
            if open.is_empty() {
                return at + 1;
            }
        }
        at += 1;
    }
    text.len()
}

/// Returns the end of the string or the character that begins with the quote at `at`. A quote in
/// `Debug` text that is neither ends after itself.
pub(super) fn quoted_end(text: &[u8], at: usize, syntax: ValueSyntax) -> usize {
    let inside = at + 1;
    match (syntax, text[at]) {
        // What a quote or a backslash means in a raw string depends on who wrote it.
        (ValueSyntax::Debug, b'"') if at > 0 && matches!(text[at - 1], b'r' | b'#') => text.len(),
        (ValueSyntax::Debug, b'\'') => character_end(text, inside),
        (_, quote) => inside + string_rest_length(&text[inside..], quote),
    }
}

/// Returns the end of a character whose inside begins at `inside`.
fn character_end(text: &[u8], inside: usize) -> usize {
    let rest = &text[inside..];
    let closed = |from: usize| {
        let within = rest.len().min(from + CHARACTER_BYTES_MAX);
        rest.get(from..within)?.iter().position(|byte| *byte == b'\'').map(|ahead| from + ahead)
    };
    match rest.first() {
        Some(b'\\') => closed(2).map_or(text.len(), |end| inside + end + 1),
        // One character, or a lifetime or an apostrophe.
        Some(first) => {
            let length = first.leading_ones().max(1) as usize;
            let is_character = rest.get(length) == Some(&b'\'');
            inside + if is_character { length + 1 } else { 0 }
        }
        None => text.len(),
    }
}

/// Returns the length of the rest of a string, its closing quote included.
fn string_rest_length(rest: &[u8], quote: u8) -> usize {
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
