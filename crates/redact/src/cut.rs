//! Finds where a text may be cut.

/// Returns the place at which to cut a text so that at most `at` bytes remain and no word is cut.
/// If half a secret remained, no rule would find it. Digits before the cut are removed too, because
/// groups of digits may be separated.
pub fn floor_word(text: &str, at: usize) -> usize {
    let is_between = |c: char| c.is_whitespace() || matches!(c, '"' | '\'');
    let head = &text[..at];
    let words = head.rfind(is_between).map_or("", |end| &head[..end]);
    let is_of_number = |c: char| c.is_whitespace() || c.is_ascii_digit() || c == '-';
    words.trim_end_matches(is_of_number).len()
}

/// Returns the last start of a character at or before `at`, or the end. It is
/// `str::floor_char_boundary`, which came with Rust 1.91.
pub fn floor_char_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
