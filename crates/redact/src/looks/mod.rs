//! Judges by its looks whether a value is a secret, whatever carries it.

mod code;
mod pairs;
mod reference;
mod written;

pub(super) use code::{is_between_strings, is_code_value};
pub(super) use reference::{is_code_path, is_reference, is_secret_identifier};
pub(super) use written::{
    has_random_word, is_given_name, is_link, is_password_word, is_plain_pattern,
};

use super::bytes::base64_digit;
use super::digits::has_uuid_form;
use super::names::SecretForm;

const PASSWORD_BYTES_MIN: usize = 6;
const SECRET_BYTES_MIN: usize = 10;
/// The shortest value in which letters that no word has beside each other say something.
const SHORT_BYTES_MIN: usize = 8;
/// Shorter values are too short to tell a random string from a name.
const IRREGULAR_BYTES_MIN: usize = 16;
/// The part of a long value that is judged.
const JUDGED_BYTES_MAX: usize = 256;
/// Nothing is judged by what follows this many bytes.
const VALUE_BYTES_MAX: usize = 4096;
/// The words of a phrase that restores a wallet.
const PHRASE_WORDS_MIN: usize = 12;

/// Returns whether a value has the form of a secret.
pub(super) fn has_secret_form(text: &[u8], form: SecretForm) -> bool {
    let text = &text[..text.len().min(VALUE_BYTES_MAX)];
    match form {
        SecretForm::Pin if is_pin(text) => true,
        // Most values are none, and that is found out sooner than whether they are references.
        SecretForm::RandomOrUuid if is_random_uuid(text) => true,
        SecretForm::Random | SecretForm::RandomOrUuid => {
            (is_irregular_value(text) || is_basic_credential(text)) && !is_reference(text)
        }
        SecretForm::CardCode => is_card_code(text),
        SecretForm::Argument => is_argument_secret(text),
        SecretForm::UserArgument => {
            let colon = text.iter().position(|&byte| byte == b':');
            let password = colon.map_or(&text[..0], |colon| &text[colon + 1..]);
            is_argument_secret(password) || is_irregular_password(password)
        }
        _ if is_reference(text) => false,
        SecretForm::Password => is_irregular_password(text),
        SecretForm::Chosen => {
            is_irregular_password(text)
                || is_chosen_value(text)
                    && value_has_digit(text)
                    && !text.iter().any(u8::is_ascii_whitespace)
                    && !is_numbered_word(text)
        }
        SecretForm::Pin => is_irregular_value(text),
        SecretForm::SocialSecurityNumber => {
            let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
            let is_part = |byte: &u8| byte.is_ascii_digit() || b"- .".contains(byte);
            digits == 9 && text.iter().all(is_part) || is_irregular_value(text)
        }
        SecretForm::Phrase => is_phrase(text) || is_irregular_value(text),
        SecretForm::Opaque => !text.trim_ascii_start().starts_with(b"{"),
    }
}

fn is_random_uuid(text: &[u8]) -> bool {
    text.try_into().is_ok_and(has_uuid_form) && text.iter().any(|byte| !b"0-".contains(byte))
}

/// Returns whether an argument of a command is a password. Names of files and packages are not.
pub(super) fn is_argument_secret(text: &[u8]) -> bool {
    (is_mixed_random(text) || is_irregular_value(text))
        && !b"/.~".contains(&text[0])
        && !text.contains(&b' ')
        && !is_reference(text)
}

/// Returns whether a value has as many digits as the security code of a card.
pub(super) fn is_card_code(text: &[u8]) -> bool {
    matches!(text.len(), 3 | 4) && text.iter().all(u8::is_ascii_digit)
}

fn is_pin(text: &[u8]) -> bool {
    matches!(text.len(), 4..=8) && text.iter().all(u8::is_ascii_digit)
}

/// Returns whether a value is long and mixed enough for a secret that a machine made.
pub(super) fn is_random_value(text: &[u8]) -> bool {
    let has = |is: fn(&u8) -> bool| text.iter().any(is);
    let has_letter = has(u8::is_ascii_alphabetic);
    let is_mixed = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    text.len() >= SECRET_BYTES_MIN
        && !text.contains(&b' ')
        && !is_validation_rule(text)
        && (value_has_digit(text) && has_letter
            || is_mixed && !is_word_value(text)
            || has_no_words(&text[..text.len().min(JUDGED_BYTES_MAX)]))
}

/// Returns whether a value is a random string, and not a name, an id or a path.
pub(super) fn is_irregular_value(text: &[u8]) -> bool {
    let judged = &text[..text.len().min(JUDGED_BYTES_MAX)];
    judged.len() >= IRREGULAR_BYTES_MIN
        && !judged.iter().any(|byte| byte.is_ascii_whitespace() || b"\"'<>(){}".contains(byte))
        && !judged.try_into().is_ok_and(has_uuid_form)
        && !starts_with_date(judged)
        && (is_hex_string(judged) || has_no_words(judged))
}

/// Returns whether a value is hexadecimal digits of one case, and not only letters or decimal digits.
fn is_hex_string(text: &[u8]) -> bool {
    let is_lower = |byte: &u8| matches!(byte, b'a'..=b'f');
    let is_upper = |byte: &u8| matches!(byte, b'A'..=b'F');
    value_has_digit(text)
        && text.iter().any(u8::is_ascii_alphabetic)
        && (text.iter().all(|byte| byte.is_ascii_digit() || is_lower(byte))
            || text.iter().all(|byte| byte.is_ascii_digit() || is_upper(byte)))
}

/// Returns whether letters, digits and capitals alternate as in no word. Of a hundred names in
/// source code one seems to; of a thousand random strings of 20 letters and digits all do.
pub(super) fn has_no_words(text: &[u8]) -> bool {
    const LEAST: usize = 4;
    let odd = count_odd_places(text) + count_rare_pairs(text) + count_inner_marks(text);
    odd >= LEAST && odd * 5 >= text.len()
}

/// Returns whether a short value of letters and digits is random. Of a hundred words in source code
/// one seems to be; of ten random strings nine do.
pub(super) fn is_short_random_value(text: &[u8]) -> bool {
    const LEAST: usize = 3;
    matches!(text.len(), SHORT_BYTES_MIN..=IRREGULAR_BYTES_MIN)
        && text.iter().all(u8::is_ascii_alphanumeric)
        && count_odd_places(text) + count_rare_pairs(text) >= LEAST
}

/// Counts the places at which a letter is beside a digit, or a capital after a small letter does
/// not begin a word.
fn count_odd_places(text: &[u8]) -> usize {
    let is_word_start = |at: usize| {
        text.get(at + 1..at + 3).is_some_and(|next| next.iter().all(u8::is_ascii_lowercase))
    };
    let is_odd = |&at: &usize| match (text[at - 1], text[at]) {
        (before, this) if before.is_ascii_alphabetic() => {
            this.is_ascii_digit()
                || before.is_ascii_lowercase() && this.is_ascii_uppercase() && !is_word_start(at)
        }
        (before, this) => before.is_ascii_digit() && this.is_ascii_alphabetic(),
    };
    (1..text.len()).filter(is_odd).count()
}

/// Counts the marks of passwords between letters and digits.
fn count_inner_marks(text: &[u8]) -> usize {
    let is_inner = |three: &&[u8]| {
        b"!@#$^&*".contains(&three[1])
            && three[0].is_ascii_alphanumeric()
            && three[2].is_ascii_alphanumeric()
    };
    text.windows(3).filter(is_inner).count()
}

/// Counts the pairs of letters that are rare in words. A capital after a small letter begins a word.
fn count_rare_pairs(text: &[u8]) -> usize {
    let is_in_word = |two: &[u8]| !(two[0].is_ascii_lowercase() && two[1].is_ascii_uppercase());
    text.windows(2).filter(|two| is_in_word(two) && pairs::is_rare_pair(two[0], two[1])).count()
}

/// Returns whether letters read like a word: they have a vowel, and no two that are rare in words.
pub(super) fn reads_like_word(letters: &[u8]) -> bool {
    letters.iter().any(|byte| b"aeiouyAEIOUY".contains(byte)) && count_rare_pairs(letters) == 0
}

/// Returns whether a value reads like words, even with a few digits: `oauth2Token1`.
pub(super) fn is_wordlike(text: &[u8]) -> bool {
    let odd = count_odd_places(text);
    odd <= 1 + text.len() / 8 && (odd + count_rare_pairs(text)) * 4 < text.len() + 8
}

/// Returns whether a value begins with a date: `2026-01-31T…`.
pub(super) fn starts_with_date(text: &[u8]) -> bool {
    let is_part = |(at, byte): (usize, &u8)| match at {
        4 | 7 => *byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    text.len() >= 10 && text[..10].iter().enumerate().all(is_part)
}

/// Returns whether a value is a password even if it may be the result of a test: it has capitals,
/// small letters and digits, or punctuation.
pub(super) fn is_irregular_password(text: &[u8]) -> bool {
    const LEAST: usize = 8;
    let has = |is: fn(&u8) -> bool| text.iter().any(is);
    let has_cases = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    let is_mark = |byte: &u8| b"!@#$%^&*~?+=".contains(byte);
    let odd = count_odd_places(text);
    is_irregular_value(text)
        || text.len() >= LEAST
            && !has(u8::is_ascii_whitespace)
            && value_has_digit(text)
            && has(u8::is_ascii_alphabetic)
            && !starts_with_date(text)
            && (odd >= 3 || has_cases && odd >= 1 || has(is_mark))
}

/// Returns whether a value may be a password that somebody chose: not a sentence, and not the word
/// for one.
pub(super) fn is_chosen_value(text: &[u8]) -> bool {
    const WORDS: [&[u8]; 4] = [b"password", b"passwd", b"secret", b"token"];
    const TYPES: [&[u8]; 17] = [
        b"always",
        b"disabled",
        b"enabled",
        b"string",
        b"varchar",
        b"integer",
        b"number",
        b"boolean",
        b"object",
        b"required",
        b"optional",
        b"unknown",
        b"incorrect",
        b"accepted",
        b"confirmed",
        b"mismatch",
        b"falsch",
    ];
    let separates = |byte: &u8| !byte.is_ascii_alphanumeric();
    let names_one = || {
        WORDS.iter().any(|word| {
            text.eq_ignore_ascii_case(word)
                || text.iter().any(separates)
                    && text.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
        })
    };
    text.len() >= PASSWORD_BYTES_MIN
        && text.iter().filter(|&&byte| byte == b' ').count() <= 3
        && (!text.ends_with(b":") && !text.ends_with(b"(") || is_irregular_password(text))
        && (value_has_digit(text) || !names_one())
        && !TYPES.iter().any(|word| text.eq_ignore_ascii_case(word))
        && !is_validation_rule(text)
}

/// Returns whether a value is a usual word and its number: `sha256`, `default1`, `min8chars`.
fn is_numbered_word(text: &[u8]) -> bool {
    const BYTES_MAX: usize = 12;
    const WORDS: [&[u8]; 20] = [
        b"aes", b"argon", b"base", b"char", b"default", b"ed", b"es", b"example", b"hs", b"level",
        b"max", b"md", b"min", b"option", b"rs", b"rsa", b"sha", b"step", b"utf", b"v",
    ];
    let letters = text.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    text.len() <= BYTES_MAX && WORDS.iter().any(|word| text[..letters].eq_ignore_ascii_case(word))
}

/// Returns whether a word is the type of a text, as it is between a name and its value.
pub(super) fn is_text_type(word: &[u8]) -> bool {
    const TYPES: [&[u8]; 11] = [
        b"string",
        b"str",
        b"text",
        b"varchar",
        b"plaintext",
        b"secret",
        b"password",
        b"securestring",
        b"secure_string",
        b"sensitive",
        b"encrypted",
    ];
    matches!(word.len(), 3..=13) && TYPES.iter().any(|one| word.eq_ignore_ascii_case(one))
}

/// Returns whether a type says that the value beside it is a secret.
pub(super) fn is_secret_type(word: &str) -> bool {
    ["securestring", "secure_string", "secret", "secret_text", "password", "sensitive"]
        .iter()
        .any(|one| word.eq_ignore_ascii_case(one))
}

/// Returns whether a value says what another one must be: `required|string|min:8`.
fn is_validation_rule(text: &[u8]) -> bool {
    let mut parts = text.split(|&byte| byte == b'|');
    let is_rule = |part: &[u8]| {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_:,".contains(byte);
        part.first().is_some_and(u8::is_ascii_lowercase) && part.iter().all(is_part)
    };
    let is_first = |part: &[u8]| {
        [&b"required"[..], b"nullable", b"sometimes", b"present", b"string", b"bail", b"filled"]
            .contains(&part)
    };
    parts.next().is_some_and(is_first) && parts.clone().count() > 0 && parts.all(is_rule)
}

/// Returns whether a value consists of twelve words or more in small letters.
pub(super) fn is_phrase(text: &[u8]) -> bool {
    let mut words = 0;
    text.split(|&byte| byte == b' ').all(|word| {
        words += 1;
        matches!(word.len(), 3..=10) && word.iter().all(u8::is_ascii_lowercase)
    }) && (PHRASE_WORDS_MIN..=2 * PHRASE_WORDS_MIN).contains(&words)
}

/// The classes of a byte: a small letter, a capital, a digit, anything else.
pub(super) fn letter_class(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    }
}

/// Counts the places at which small letters, capitals and digits meet.
pub(super) fn class_changes(text: &[u8]) -> usize {
    text.windows(2).filter(|two| letter_class(two[0]) != letter_class(two[1])).count()
}

/// Returns whether letters of both cases and digits alternate so often that no person wrote the
/// text. Names in source code have words between their digits.
pub(super) fn is_mixed_random(text: &[u8]) -> bool {
    const LEAST: usize = 10;
    let has = |class: u8| text.iter().any(|&byte| letter_class(byte) == class);
    text.len() >= LEAST && (0..3).all(has) && 5 * class_changes(text) > 2 * text.len()
}

/// Returns whether a value is a user and a password in base64, as in the header of basic
/// authentication.
fn is_basic_credential(text: &[u8]) -> bool {
    const LEAST: usize = 12;
    /// With padding, the shortest is that of four bytes.
    const PADDED_BYTES_MIN: usize = 8;
    let text = &text[..text.len().min(JUDGED_BYTES_MAX)];
    let is_whole = text.len() >= PADDED_BYTES_MIN && text.len().is_multiple_of(4);
    let digits = text.strip_suffix(b"==").or(text.strip_suffix(b"=")).unwrap_or(text);
    let (mut bits, mut held, mut has_colon) = (0_u32, 0, false);
    (digits.len() >= LEAST || is_whole)
        && digits.iter().all(|byte| {
            let Some(digit) = base64_digit(*byte) else { return false };
            (bits, held) = (bits << 6 | digit, held + 6);
            if held < 8 {
                return true;
            }
            held -= 8;
            let decoded = (bits >> held) as u8;
            has_colon |= decoded == b':';
            decoded.is_ascii_graphic() || decoded == b' '
        })
        && has_colon
}

pub(super) fn value_has_digit(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_digit)
}

/// Returns whether a value consists of letters and what separates words.
pub(super) fn is_word_value(text: &[u8]) -> bool {
    text.iter().all(|byte| byte.is_ascii_alphabetic() || b"_-.: ".contains(byte))
}

#[cfg(test)]
mod tests;
