//! Finds the name that led to a redaction in a text.

use crate::keys::KeyClass;
use crate::walk::Secrecy;
use crate::{Sanitizer, floor_char_boundary};

/// The part of a text before a replaced part that is searched for its name.
const WINDOW_BYTES: usize = 200;
/// The number of words in it.
const WORDS_MAX: usize = 6;
/// A word that names no secret counts if it is so close.
const GAP_BYTES_MAX: usize = 12;

/// Returns the name of what begins at `at`, after `edge`. It is the nearest name of a secret that a
/// sign follows. If there is none, it is any name of a secret, and else what is before `at`.
pub(super) fn name_before<'t>(
    sanitizer: &Sanitizer,
    text: &'t str,
    edge: usize,
    at: usize,
) -> Option<&'t str> {
    let from = floor_char_boundary(text, at.saturating_sub(WINDOW_BYTES)).max(edge);
    let mut rest = text.get(from..at)?;
    let (window, mut nearest_secret) = (rest, None);
    for _ in 0..WORDS_MAX {
        let words = rest.trim_end_matches(|c| !is_name_char(c));
        let start = words.rfind(|c| !is_name_char(c));
        let start = start.map_or(0, |at| at + words[at..].chars().next().map_or(0, char::len_utf8));
        let (gap, word) = (&rest[words.len()..], without_escape(words, start));
        // The first word may be cut off.
        if words.is_empty() || start == 0 && from > edge {
            break;
        }
        rest = &words[..start];
        if word.starts_with("REDACTED") && rest.ends_with('[') {
            continue;
        }
        if is_secret_name(sanitizer, word) {
            if has_sign(gap) {
                return Some(word);
            }
            nearest_secret.get_or_insert(word);
        }
    }
    nearest_secret.or_else(|| words_before(window)).filter(|word| !word.is_empty())
}

/// Returns the word at the end of a text, if it is close enough. After an option of a command it is
/// the option, and after `BY` both words: `-u`, `IDENTIFIED BY`.
fn words_before(text: &str) -> Option<&str> {
    let words = text.trim_end_matches(|c| !is_name_char(c));
    if text.len() - words.len() > GAP_BYTES_MAX {
        return None;
    }
    let before = words.trim_end_matches(is_name_char);
    let earlier = before.trim_end_matches(|c| !is_name_char(c));
    let start = earlier.trim_end_matches(is_name_char).len();
    let (earlier, last) = (&earlier[start..], without_escape(words, before.len()));
    match earlier.starts_with('-') {
        true => Some(earlier),
        false if last.eq_ignore_ascii_case("by") => Some(&words[start..]),
        false => Some(last),
    }
}

fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

fn is_secret_name(sanitizer: &Sanitizer, word: &str) -> bool {
    let class = sanitizer.classify(word);
    class.is_secret()
        || matches!(class, KeyClass::Card | KeyClass::Formed(_))
        || sanitizer.secrecy(word) != Secrecy::None
}

/// Returns whether what follows a name assigns a value to it.
fn has_sign(gap: &str) -> bool {
    gap.contains([':', '=', ',', '>', '|', '\t']) || gap.contains("  ")
}

/// Returns the last word of a text, which begins at `start`. If it begins with the letter of an
/// escape such as `\n`, it is returned without that letter.
fn without_escape(words: &str, start: usize) -> &str {
    let word = &words[start..];
    let backslashes = words[..start].bytes().rev().take_while(|&byte| byte == b'\\').count();
    match word.strip_prefix(['n', 'r', 't', 'b', 'f']) {
        Some(rest) if backslashes % 2 == 1 => rest,
        _ => word,
    }
}
