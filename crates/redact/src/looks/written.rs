//! Judges what people write about secrets: descriptions, names, links and patterns. Such a text may
//! contain a secret, or be one.

use super::{
    count_inner_marks, count_odd_places, count_rare_pairs, is_hex_string, is_reference,
    reads_like_word, starts_with_date, value_has_digit,
};
use crate::digits::has_uuid_form;

/// The longest name of a Kubernetes object.
const NAME_BYTES_MAX: usize = 253;
/// A shorter word in a text is not judged, because it may be a name.
const WORD_BYTES_MIN: usize = 12;
/// The same, of a text that is one word.
const ONLY_WORD_BYTES_MIN: usize = 8;
/// A shorter word of letters and digits may be a name with a version and a date.
const JOINED_BYTES_MIN: usize = 16;

/// Returns whether a text has a word that is a random string. A word with a placeholder is not
/// judged, so that redacting the rest of a text changes nothing here.
pub(crate) fn has_random_word(text: &str) -> bool {
    let separates = |c: char| c.is_whitespace() || "\"'`<>(),;".contains(c);
    let mut words = text.split(separates).filter(|word| !word.contains("[REDACTED"));
    words.any(|word| {
        let word = without_marks_around(word.as_bytes());
        is_random_word(word) || is_address(word) && is_random_address(word)
    })
}

/// Returns whether a part of an address is a random string. A secret may have the marks of addresses,
/// so parts between some marks are judged, and those between all of them.
fn is_random_address(word: &[u8]) -> bool {
    let path = memchr::memmem::find(word, b"://").map_or(word, |at| &word[at + 3..]);
    let path = path.iter().position(|byte| *byte == b'/').map_or(&path[..0], |at| &path[at + 1..]);
    path.len() >= JOINED_BYTES_MIN && is_random_word(path)
        || word.split(|byte| b"/:".contains(byte)).any(is_random_word)
        || word.split(|byte| b"/:?&=#.@".contains(byte)).any(is_random_word)
}

/// Returns whether a word is a link or the name of a resource of AWS.
fn is_address(word: &[u8]) -> bool {
    let scheme = word.iter().take_while(|byte| byte.is_ascii_lowercase()).count();
    scheme >= 2 && word[scheme..].starts_with(b"://") || word.starts_with(b"arn:")
}

/// Returns whether a text is one word that is a password or a random string.
pub(crate) fn is_password_word(text: &str) -> bool {
    let word = without_marks_around(text.as_bytes());
    !text.contains(char::is_whitespace)
        && !text.contains("[REDACTED")
        && word.len() >= ONLY_WORD_BYTES_MIN
        && value_has_digit(word)
        && !is_identifier(word)
        && count_odd_places(word) >= 3
}

fn is_random_word(word: &[u8]) -> bool {
    const LEAST: usize = 4;
    if word.len() < WORD_BYTES_MIN || is_identifier(word) || is_joined_words(word) {
        return false;
    }
    let strange = count_strange_places(word);
    strange >= LEAST && strange * 5 >= word.len() || is_joined_random(word)
}

fn count_strange_places(word: &[u8]) -> usize {
    count_odd_places(word) + count_rare_pairs(word) - count_doubles(word) + count_inner_marks(word)
}

/// Returns whether a word of letters and digits has more digits than a name has.
fn is_joined_random(word: &[u8]) -> bool {
    let digits = word.iter().filter(|byte| byte.is_ascii_digit()).count();
    word.len() >= JOINED_BYTES_MIN
        && word.iter().all(u8::is_ascii_alphanumeric)
        && (1..word.len()).contains(&digits)
        && (digits >= 6 || count_odd_places(word) >= 3 || is_hex_string(word))
}

/// Returns whether most letters are in words with a capital: `CredentialsV2Base64Model`.
fn is_joined_words(word: &[u8]) -> bool {
    const LETTERS_MIN: usize = 4;
    let begins = |at: &usize| word[*at].is_ascii_uppercase();
    let length =
        |at: usize| 1 + word[at + 1..].iter().take_while(|byte| byte.is_ascii_lowercase()).count();
    let is_word = |at: &usize| {
        let part = &word[*at..*at + length(*at)];
        part.len() >= LETTERS_MIN && reads_like_word(part)
    };
    let letters: usize = (0..word.len()).filter(begins).filter(is_word).map(length).sum();
    4 * letters >= 3 * word.len()
}

/// Returns whether a word is an address, a UUID or a time.
fn is_identifier(word: &[u8]) -> bool {
    is_address(word) || word.try_into().is_ok_and(has_uuid_form) || starts_with_date(word)
}

fn without_marks_around(word: &[u8]) -> &[u8] {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || !byte.is_ascii();
    let start = word.iter().position(is_part).unwrap_or(word.len());
    let end = word.iter().rposition(is_part).map_or(start, |last| last + 1);
    &word[start..end]
}

/// Counts the pairs of equal letters that are rare in words. Formats have them: `YYYY-MM-DD`.
fn count_doubles(word: &[u8]) -> usize {
    word.windows(2).filter(|two| two[0] == two[1] && count_rare_pairs(two) > 0).count()
}

/// Returns whether a text is a name that somebody gave to an object, a reference or a path: words and
/// small numbers between separators.
pub(crate) fn is_given_name(text: &[u8]) -> bool {
    let separates = |byte: &u8| b"-_./:@#".contains(byte);
    let is_part = |part: &[u8]| part.is_empty() || is_number(part) || is_name_word(part);
    if text.len() > NAME_BYTES_MAX {
        return false;
    }
    let name = without_generated_end(text);
    let has = |is: fn(&u8) -> bool| name.iter().any(is);
    let is_random = || match has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) {
        true => is_random_word(name),
        // Names in one case have more abbreviations.
        false => 4 * count_strange_places(name) >= name.len() + 8,
    };
    has(u8::is_ascii_alphabetic) && name.split(separates).all(is_part) && !is_random()
        || is_reference(text)
}

/// Returns a name without the end that Kubernetes and Kustomize add: `default-token-x7k2p`.
fn without_generated_end(name: &[u8]) -> &[u8] {
    const ENDS: [usize; 2] = [5, 10];
    let is_letter = |byte: &u8| b"bcdfghjklmnpqrstvwxz2456789".contains(byte);
    let Some(sign) = name.iter().rposition(|byte| *byte == b'-') else { return name };
    let is_one = ENDS.contains(&(name.len() - sign - 1)) && name[sign + 1..].iter().all(is_letter);
    if is_one { &name[..sign] } else { name }
}

fn is_number(part: &[u8]) -> bool {
    /// The number of an account of AWS has twelve digits.
    const DIGITS_MAX: usize = 12;
    part.len() <= DIGITS_MAX && part.iter().all(u8::is_ascii_digit)
}

/// Returns whether a part of a name is a word, perhaps with a few digits: `v1beta1`, `db2`.
fn is_name_word(part: &[u8]) -> bool {
    const SHORT_BYTES_MAX: usize = 6;
    const DIGITS_MAX: usize = 4;
    let digits = part.iter().filter(|byte| byte.is_ascii_digit()).count();
    let odd = count_odd_places(part);
    part.iter().all(u8::is_ascii_alphanumeric)
        && match part.len() {
            ..=SHORT_BYTES_MAX => odd <= 3,
            length => {
                odd <= 2 && digits <= DIGITS_MAX && odd + count_rare_pairs(part) <= 1 + length / 5
            }
        }
}

/// Returns whether a text points to a schema or to a document: `#/$defs/Pet`, `common.json#Id`.
pub(crate) fn is_link(text: &str) -> bool {
    let (file, fragment) = text.split_once('#').unwrap_or((text, ""));
    let is_plain = |path: &str| !path.split(['/', '.', '?', '&', '=']).any(has_random_word);
    let is_name = |name: &str| name.is_empty() || is_given_name(name.as_bytes());
    let is_file = match is_identifier(file.as_bytes()) {
        true => is_plain(file),
        false => is_name(file.trim_start_matches(['.', '/'])),
    };
    let is_pointer = fragment.starts_with('/');
    is_file && if is_pointer { is_plain(fragment) } else { is_name(fragment) }
}

/// Returns whether a text may be a regular expression without a secret. What a class contains does not
/// count.
pub(crate) fn is_plain_pattern(text: &str) -> bool {
    let mut rest = text;
    let mut plain = String::new();
    while let Some(start) = rest.find(['[', '\\', '|']) {
        plain.push_str(&rest[..start]);
        let skipped = match rest.as_bytes()[start] {
            b'[' => rest[start..].find(']').map(|length| length + 1),
            b'|' => Some(1),
            _ => rest[start + 1..].chars().next().map(|c| 1 + c.len_utf8()),
        };
        let Some(skipped) = skipped else { return false };
        plain.push(' ');
        rest = &rest[start + skipped..];
    }
    plain.push_str(rest);
    !has_random_word(&plain) && !is_password_word(&plain)
}
