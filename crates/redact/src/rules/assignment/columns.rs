//! Finds a secret in the column after its name: aligned by blanks, after a tab, in a table of
//! Markdown or of a terminal.

use super::value::AssignedValue;
use super::{AssignedName, is_blank_beside_sign};
use crate::looks::{
    has_secret_form, is_chosen_value, is_code_path, is_irregular_password, is_reference,
    is_text_type,
};
use crate::names::{NameClass, SecretForm};
use crate::rules::RuleText;

/// The blanks before a name, and those between two columns.
const INDENT_BYTES_MAX: usize = 64;
const GAP_BYTES_MAX: usize = 256;
const VALUE_BYTES_MAX: usize = 512;
/// The columns after a name that are read.
const COLUMNS_MAX: usize = 4;
/// The lines between columns: ASCII, and those of terminals.
const BARS: [&[u8]; 4] = [b"|", "│".as_bytes(), "┃".as_bytes(), "║".as_bytes()];

/// Returns the value in a column after a name, if the name is alone in its column and the value
/// looks like a secret.
pub(super) fn value_in_next_column(
    look: RuleText<'_>,
    name: &AssignedName<'_>,
) -> Option<AssignedValue> {
    let behind = marks_end(look, name.end);
    let gap = look.run_end(behind, is_blank_beside_sign).min(behind + GAP_BYTES_MAX);
    let bar = bar_length(look.rest_from(gap));
    let is_wide = gap - behind >= 2 || look.text[behind..gap].contains(&b'\t');
    if bar == 0 && !is_wide || !begins_column(look, name.start, bar > 0) {
        return None;
    }
    let mut behind = gap + bar;
    let is_constant = !name.text.iter().any(u8::is_ascii_lowercase);
    let mut is_typed = false;
    // Words may be in columns between them: `DB_PASSWORD | string | …`.
    for _ in 0..COLUMNS_MAX {
        let (start, end) = column_word(look, behind);
        let text = &look.text[start..end];
        let is_secret = is_secret_in_column(name, text)
            || is_typed && is_constant && has_secret_form(text, SecretForm::Chosen);
        if is_secret && ends_column(look, end) {
            return Some(AssignedValue { start, end });
        }
        is_typed |= is_text_type(text);
        if text.is_empty() || !text.iter().all(|byte| byte.is_ascii_alphabetic()) {
            return None;
        }
        behind = next_column(look, end)?;
    }
    None
}

/// Returns the place of the word in the column that begins at `at`, after its blanks.
fn column_word(look: RuleText<'_>, at: usize) -> (usize, usize) {
    let start = marks_end(look, look.run_end(at, is_blank_beside_sign));
    let window = look.rest_from(start);
    let window = &window[..window.len().min(VALUE_BYTES_MAX)];
    let is_end = |at: &usize| {
        window[*at].is_ascii_whitespace()
            || b"`\"'".contains(&window[*at])
            || bar_length(&window[*at..]) > 0
    };
    (start, start + (0..window.len()).find(is_end).unwrap_or(window.len()))
}

/// Returns the beginning of the column after the word that ends at `end`, on the same line.
fn next_column(look: RuleText<'_>, end: usize) -> Option<usize> {
    let behind = marks_end(look, end);
    let gap = look.run_end(behind, is_blank_beside_sign).min(behind + GAP_BYTES_MAX);
    let bar = bar_length(look.rest_from(gap));
    let is_one = bar > 0 || gap - behind >= 2 || look.text[behind..gap].contains(&b'\t');
    is_one.then_some(gap + bar)
}

fn bar_length(text: &[u8]) -> usize {
    BARS.iter().find(|bar| text.starts_with(bar)).map_or(0, |bar| bar.len())
}

fn is_mark(byte: u8) -> bool {
    matches!(byte, b'`' | b'*' | b'"' | b'\'')
}

/// Passes the marks of code and of bold text.
fn marks_end(look: RuleText<'_>, at: usize) -> usize {
    const MARKS_MAX: usize = 3;
    look.run_end(at, is_mark).min(at + MARKS_MAX)
}

/// Returns whether only marks and blanks are before a name in its line or column. Between bars there
/// may be other words before it.
fn begins_column(look: RuleText<'_>, start: usize, has_bar: bool) -> bool {
    let is_before = |byte| is_mark(byte) || is_blank_beside_sign(byte);
    let is_word = |byte: u8| has_bar && byte.is_ascii_alphabetic();
    let begin = look.run_start(start, INDENT_BYTES_MAX, |byte| is_before(byte) || is_word(byte));
    if look.text[begin..start].iter().any(|byte| is_word(*byte)) {
        return look.byte_before(begin) == Some(b'|');
    }
    match look.byte_before(begin) {
        None => look.edge == 0,
        Some(byte) if byte.is_ascii() => matches!(byte, b'\n' | b'\r' | b'|'),
        Some(_) => BARS.iter().any(|bar| look.text[look.edge..begin].ends_with(bar)),
    }
}

/// Returns whether a column, a line or the text ends after a value.
fn ends_column(look: RuleText<'_>, at: usize) -> bool {
    let behind = marks_end(look, at);
    let gap = look.run_end(behind, is_blank_beside_sign);
    let rest = look.rest_from(gap);
    rest.is_empty()
        || matches!(rest[0], b'\n' | b'\r' | b'\\')
        || bar_length(rest) > 0
        || gap - behind >= 2
        || look.text[behind..gap].contains(&b'\t')
}

fn is_secret_in_column(name: &AssignedName<'_>, text: &[u8]) -> bool {
    if is_reference(text) || is_code_path(text) {
        return false;
    }
    match name.class {
        NameClass::Plain | NameClass::CardCode => false,
        NameClass::Formed(form) => has_secret_form(text, form),
        NameClass::Made => is_irregular_password(text),
        NameClass::Chosen => is_chosen_value(text) && is_irregular_password(text),
    }
}
