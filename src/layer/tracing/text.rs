//! The text of a field's value, of bounded length.

use std::fmt::{self, Write};

use crate::sanitize::{floor_char_boundary, floor_word};

/// The text of a value, or the beginning of a long one.
#[derive(Clone, Debug, Default)]
pub(super) struct FieldText {
    pub(super) kept: String,
    /// The number of bytes after it that are not kept.
    pub(super) cut: usize,
}

/// Keeps the beginning of what is written, and counts the rest.
pub(super) struct FieldWriter {
    pub(super) text: FieldText,
    bytes_max: usize,
}

impl FieldWriter {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { text: FieldText::default(), bytes_max }
    }
}

impl Write for FieldWriter {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if self.text.cut > 0 {
            self.text.cut += piece.len();
            return Ok(());
        }
        let fits = floor_char_boundary(piece, self.bytes_max - self.text.kept.len());
        self.text.kept.push_str(&piece[..fits]);
        if fits < piece.len() {
            self.text.cut = piece.len() - fits;
            self.text.cut_at_word(self.text.kept.len());
        }
        Ok(())
    }
}

impl FieldText {
    pub(super) fn cut_to(&mut self, bytes_max: usize) {
        if self.kept.len() > bytes_max {
            self.cut_at_word(floor_char_boundary(&self.kept, bytes_max));
        }
    }

    /// Keeps the text before `end`, in whole words.
    fn cut_at_word(&mut self, end: usize) {
        let kept = floor_word(&self.kept, end);
        self.cut += self.kept.len() - kept;
        self.kept.truncate(kept);
        self.kept.shrink_to_fit();
    }

    /// Removes what `Debug` writes around the value of an `Option` and of a `str`.
    pub(super) fn without_debug_syntax(mut self) -> Self {
        if self.kept == "None" {
            return Self::default();
        }
        if self.cut == 0 {
            let inner = self.kept.strip_prefix("Some(").and_then(|text| text.strip_suffix(')'));
            let inner = inner.unwrap_or(&self.kept);
            // The escapes of a string's `Debug` are nearly the escapes of JSON.
            self.kept = match inner.starts_with('"') {
                true => serde_json::from_str(inner).unwrap_or_else(|_| inner.to_owned()),
                false => inner.to_owned(),
            };
        }
        self
    }
}

/// Reads a number from 0, and drops its fraction.
pub(super) fn parse_token_count(text: &str) -> Option<u64> {
    let text = text.trim();
    let fraction = || text.parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0);
    text.parse().ok().or_else(|| fraction().map(|n| n as u64))
}
