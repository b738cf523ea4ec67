//! Finds the end of a value without quotes that has brackets or separators, as random passwords have
//! them. If only white space ends a value there, and the whole word looks random, it is the value.

use super::value::AssignedValue;
use super::{AssignedName, AssignmentSign};
use crate::looks::{has_no_words, is_reference};
use crate::names::{NameClass, SecretForm};
use crate::rules::{RuleText, position_of_part};

/// The part of a word that is read.
const WORD_BYTES_MAX: usize = 256;
/// The part of a line before a name that is read.
const LINE_BYTES_MAX: usize = 48;

/// Returns the value from `start` on as a whole word, if a shorter one ends at `end` before a byte that
/// a password may have.
pub(super) fn whole_word_value(
    look: RuleText<'_>,
    name: &AssignedName<'_>,
    sign: AssignmentSign,
    start: usize,
    end: usize,
) -> Option<AssignedValue> {
    let is_inner = |byte: u8| b"()[]{}<>|,;`\\".contains(&byte) || byte >= 0x80;
    let may_go_on = look.byte_at(end).is_some_and(is_inner)
        || look.text[start..end].iter().any(|byte| b"({|".contains(byte));
    let may_be_secret = matches!(
        name.class,
        NameClass::Made | NameClass::Chosen | NameClass::Formed(SecretForm::Password)
    );
    if !may_go_on || !may_be_secret || name.is_parameter {
        return None;
    }
    let is_setting = look.byte_before(name.start) == Some(b';');
    let rest = look.rest_from(start);
    let word = &rest[..word_length(&rest[..rest.len().min(WORD_BYTES_MAX)], is_setting)];
    let is_apart = match sign {
        AssignmentSign::Close => {
            is_setting || look.byte_before(name.start).is_none_or(|byte| byte.is_ascii_whitespace())
        }
        AssignmentSign::Apart => begins_line(look, name.start) && ends_line(&rest[word.len()..]),
        _ => false,
    };
    let word = without_trailing_marks(word_before_other(word));
    let inner = &word[usize::from(word.first().is_some_and(|byte| b"([{<".contains(byte)))..];
    let is_secret = is_apart
        && start + word.len() >= end
        && has_no_words(word)
        && !is_reference(inner)
        && position_of_part(word, b"://").is_none();
    is_secret.then_some(AssignedValue { start, end: start + word.len() })
}

/// Returns the length of the word at the beginning of a text. White space ends it, a quote, an escaped
/// line end, a tag, an entity or a placeholder.
fn word_length(text: &[u8], is_setting: bool) -> usize {
    let ends = |at: usize| {
        let rest = &text[at..];
        match rest[0] {
            b';' => is_setting,
            b'\\' => matches!(rest.get(1), None | Some(b'n' | b'r' | b't' | b'"' | b'\'' | b'u')),
            b'<' => rest.starts_with(b"</") || rest.starts_with(b"<br"),
            b'&' => {
                [&b"&quot;"[..], b"&lt;", b"&amp;", b"&#"].iter().any(|one| rest.starts_with(one))
            }
            b'[' => rest.starts_with(b"[REDACTED"),
            // Marks beyond ASCII: quotes, dashes, lines of tables, a blank.
            0xE2 => true,
            0xC2 => rest.get(1) == Some(&0xA0),
            byte => byte.is_ascii_whitespace() || byte.is_ascii_control() || b"\"'".contains(&byte),
        }
    };
    (0..text.len()).find(|&at| ends(at)).unwrap_or(text.len())
}

/// Returns the part of a word before a separator after which another setting or a word follows.
fn word_before_other(word: &[u8]) -> &[u8] {
    let is_separator = |byte: &u8| b",;|&".contains(byte);
    let is_other = |&at: &usize| {
        let rest = &word[at + 1..];
        let part = rest.split(is_separator).next().unwrap_or_default();
        let is_name = |byte: &u8| byte.is_ascii_alphabetic() || b"_.-\"".contains(byte);
        let name = part.iter().take_while(|byte| is_name(byte)).count();
        let is_setting = name > 0 && matches!(part.get(name), Some(b'=' | b':'));
        let letters = part.iter().take_while(|byte| byte.is_ascii_lowercase()).count();
        let is_word = letters > 1 && part[letters..].iter().all(u8::is_ascii_digit);
        is_separator(&word[at]) && (is_setting || is_word)
    };
    &word[..(0..word.len()).find(is_other).unwrap_or(word.len())]
}

/// Removes marks at the end of a word that belong to the text around it: separators, and brackets that
/// the word does not open.
fn without_trailing_marks(mut word: &[u8]) -> &[u8] {
    while let [rest @ .., last] = word {
        let opening = match last {
            b',' | b';' | b'`' => None,
            b')' => Some(b'('),
            b']' => Some(b'['),
            b'}' => Some(b'{'),
            b'>' => Some(b'<'),
            _ => break,
        };
        if opening.is_some_and(|opening| rest.contains(&opening)) {
            break;
        }
        word = rest;
    }
    word
}

/// Returns whether only blanks, a hyphen or the command that sets a variable are before a name in its
/// line.
fn begins_line(look: RuleText<'_>, start: usize) -> bool {
    let from = look.edge.max(start.saturating_sub(LINE_BYTES_MAX));
    let before = look.text[from..start].rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
    let begin = start - before.len();
    let is_whole = begin == 0 || look.byte_before(begin) == Some(b'\n');
    is_whole && matches!(before.trim_ascii(), b"" | b"-" | b"export")
}

fn ends_line(rest: &[u8]) -> bool {
    let blanks = rest.iter().take_while(|byte| b" \t\r".contains(byte)).count();
    matches!(rest.get(blanks), None | Some(b'\n')) || rest[blanks..].starts_with(b"#")
}
