//! Text that reads like something else: zero-width characters inside a word, full-width letters and
//! digits. It is undone in a copy, the rules run over that, and what they find is given by its place
//! in the original.

use super::Match;
use super::floor_char_boundary;

/// Whether a character shows nothing where it stands between others.
fn is_invisible(c: char) -> bool {
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

/// What a character reads as: full-width forms as the ASCII they are shaped after, the first
/// character of which is `!`.
fn plain(c: char) -> char {
    match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(c as u32 - 0xFF01 + 0x21).unwrap_or(c),
        _ => c,
    }
}

/// Whether this character disguises something.
pub(super) fn is_disguise(c: char) -> bool {
    is_invisible(c) || plain(c) != c
}

/// A text as it reads.
#[derive(Debug)]
pub(super) struct Plain {
    pub(super) text: String,
    /// For each byte of `text`, where the character that it belongs to begins in the original.
    origins: Vec<usize>,
}

impl Plain {
    pub(super) fn of(original: &str) -> Self {
        let mut text = String::with_capacity(original.len());
        let mut origins = Vec::with_capacity(original.len());
        for (at, c) in original.char_indices().filter(|&(_, c)| !is_invisible(c)) {
            text.push(plain(c));
            origins.resize(text.len(), at);
        }
        Self { text, origins }
    }

    /// Where a match of `text` lies in the original. What is invisible around it stays.
    pub(super) fn in_original(&self, found: Match, original: &str) -> Match {
        let last = self.origins[floor_char_boundary(&self.text, found.end - 1)];
        let length = original[last..].chars().next().map_or(0, char::len_utf8);
        Match { start: self.origins[found.start], end: last + length, ..found }
    }
}
