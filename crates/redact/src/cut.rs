//! Finds where a text may be cut.

/// Where to cut a text that is cut before `at`, so that nothing is left of a word that is cut: half a
/// secret is one that no rule finds. Neither are digits left before the cut, whose groups may stand
/// apart.
pub fn floor_word(text: &str, at: usize) -> usize {
    let is_between = |c: char| c.is_whitespace() || matches!(c, '"' | '\'');
    let head = &text[..at];
    let words = head.rfind(is_between).map_or("", |end| &head[..end]);
    let is_of_number = |c: char| c.is_whitespace() || c.is_ascii_digit() || c == '-';
    words.trim_end_matches(is_of_number).len()
}

/// The last start of a character at or before `at`, or the end: `str::floor_char_boundary`, which
/// came with Rust 1.91.
pub fn floor_char_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
