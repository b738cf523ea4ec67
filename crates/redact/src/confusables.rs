//! Text that reads like something else: zero-width characters inside a word, full-width letters and
//! digits, colors of a terminal.
//!
//! The disguise is removed in a copy, and the rules run over the copy. If they find something, its
//! place in the original is returned.

use super::Match;
use super::floor_char_boundary;

/// Returns whether a character is invisible between others.
fn is_invisible_char(c: char) -> bool {
    matches!(
        c,
        '\u{AD}'
            | '\u{34F}'
            | '\u{180E}'
            | '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{FEFF}'
    )
}

/// Returns what a character reads as. Full-width forms become the ASCII characters of the same
/// shape, of which `!` is the first.
fn undisguised_char(c: char) -> char {
    match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(c as u32 - 0xFF01 + 0x21).unwrap_or(c),
        _ => c,
    }
}

/// Returns whether this character disguises something.
pub(super) fn is_disguise_char(c: char) -> bool {
    is_invisible_char(c) || undisguised_char(c) != c
}

/// Returns the length of an escape sequence that a terminal obeys, such as one for a color.
pub(super) fn terminal_escape_length(text: &[u8]) -> Option<usize> {
    const PARAMETERS_MAX: usize = 24;
    let parameters = text.strip_prefix(b"\x1b[")?;
    let length =
        parameters.iter().take(PARAMETERS_MAX).take_while(|byte| (0x20..0x40).contains(*byte));
    let length = length.count();
    matches!(parameters.get(length)?, b'@'..=b'~').then_some(b"\x1b[".len() + length + 1)
}

/// A text as it reads.
#[derive(Debug)]
pub(super) struct UndisguisedText {
    pub(super) text: String,
    /// For each byte of `text`, the beginning of its character in the original.
    origins: Vec<usize>,
}

impl UndisguisedText {
    pub(super) fn from_original(original: &str) -> Self {
        let mut text = String::with_capacity(original.len());
        let mut origins = Vec::with_capacity(original.len());
        let mut escape_end = 0;
        for (at, c) in original.char_indices().filter(|&(_, c)| !is_invisible_char(c)) {
            if c == '\x1b' {
                escape_end = at + terminal_escape_length(&original.as_bytes()[at..]).unwrap_or(1);
            }
            if at < escape_end {
                continue;
            }
            text.push(undisguised_char(c));
            origins.resize(text.len(), at);
        }
        Self { text, origins }
    }

    /// Returns the place of a match of `text` in the original. Invisible characters around it stay.
    pub(super) fn match_in_original(&self, found: Match, original: &str) -> Match {
        let last = self.origins[floor_char_boundary(&self.text, found.end - 1)];
        let length = original[last..].chars().next().map_or(0, char::len_utf8);
        Match { start: self.origins[found.start], end: last + length, ..found }
    }
}
