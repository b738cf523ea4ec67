//! Texts that stay under a sensitive key, and keys that count.

use crate::Sanitizer;
use crate::digits::has_uuid_form;
use crate::keys::{self, classify_key_as_name};
use crate::looks::{
    has_random_word, is_given_name, is_link, is_password_word, is_plain_pattern, is_reference,
};
use crate::names::{NameClass, name_ends_with};

/// The texts that stay although texts go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum StayingTexts {
    /// The empty one.
    #[default]
    Empty,
    /// Placeholders of an author: `${DB_PASSWORD}`.
    Placeholders,
    /// The same, words of settings, and versions of a package: `same-origin`, `^5.0.0`.
    Settings,
    /// Options of a command: `--verbose`.
    Options,
    /// Words in lower case or in capitals.
    Words,
    /// Names of objects, paths and references.
    Names,
    /// The same, and versions and modes: numbers and UUIDs.
    Versions,
    /// References to schemas, and addresses.
    Links,
    /// Regular expressions.
    Patterns,
    /// Small numbers.
    Numbers,
    /// Whatever people write, unless a word looks like a secret.
    Prose,
    /// Words of a model: whatever does not look like a secret.
    Doubtful,
}

/// Values of settings whose names are like those of secrets: the permission `id-token`, the mode
/// `credentials` of a request.
const SETTINGS: [&str; 11] = [
    "none",
    "read",
    "write",
    "omit",
    "include",
    "same-origin",
    "inherit",
    "required",
    "optional",
    "enabled",
    "disabled",
];

/// The bytes of a longer text are not looked at: it is not a word.
const WORD_BYTES_MAX: usize = 64;

impl StayingTexts {
    /// Returns whether the text stays. If a rule finds something in a text, the text goes whole.
    /// Otherwise its placeholder would be judged by the next redaction. Prose is the exception: it is
    /// judged the same with placeholders, and loses only what a rule finds.
    pub(super) fn contain(self, sanitizer: &Sanitizer, text: &str) -> bool {
        let is_one = match self {
            _ if text.is_empty() => return true,
            Self::Empty => return false,
            Self::Placeholders => is_placeholder(text),
            Self::Settings => {
                SETTINGS.contains(&text) || is_version_range(text) || is_placeholder(text)
            }
            Self::Options => is_long_option(text) || !text.starts_with('-') && is_placeholder(text),
            Self::Words => is_public_word(text),
            Self::Names => is_given_name(text.as_bytes()),
            Self::Versions => {
                is_small_number(text)
                    || text.as_bytes().try_into().is_ok_and(has_uuid_form)
                    || is_given_name(text.as_bytes())
            }
            Self::Links => is_link(text),
            Self::Patterns => is_plain_pattern(text),
            Self::Numbers => is_small_number(text),
            Self::Prose => return !has_random_word(text) && !is_password_word(text),
            Self::Doubtful => !looks_like_secret(text),
        };
        is_one && sanitizer.matches(text).next().is_none()
    }
}

/// Returns whether numbers under the key count something: `session_tokens`.
pub(super) fn is_count_name(key: &str) -> bool {
    name_ends_with(key.as_bytes(), b"tokens")
}

/// Returns whether the value of the key may be the word of a setting. The secret has to be one that
/// machines make, and the floor has no exception.
pub(super) fn is_setting_name(key: &str) -> bool {
    classify_key_as_name(key) == NameClass::Made && !is_floor_name(key)
}

/// Returns whether the key is one of the floor, which has no exception.
pub(super) fn is_floor_name(key: &str) -> bool {
    keys::SENSITIVE.iter().any(|floor| floor.eq_ignore_ascii_case(key))
}

/// Returns whether a text only stands for a secret. Brackets alone do not say so, because JSON and
/// messages have them too.
fn is_placeholder(text: &str) -> bool {
    const BYTES_MAX: usize = 128;
    let is_open = match text.as_bytes() {
        [b'[' | b'(', ..] => false,
        [b'{', next, ..] => *next == b'{' && text.ends_with("}}"),
        [b'<', ..] => !has_random_word(text),
        _ => !text.contains("://"),
    };
    // All of it has to be one.
    let is_whole = !text.contains("[REDACTED")
        && (!text.contains("${") && !text.contains("{{")
            || text.starts_with(['$', '{']) && text.ends_with('}'));
    text.len() <= BYTES_MAX
        && is_open
        && is_whole
        && !text.contains('"')
        && is_reference(text.as_bytes())
}

/// Returns whether a text is a range of versions, as in the list of packages that a package needs.
fn is_version_range(text: &str) -> bool {
    const BYTES_MAX: usize = 12;
    let version = text.trim_start_matches(['^', '~', '>', '=', '<', 'v']);
    let is_version = version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && version.split('.').filter(|part| !part.is_empty()).count() == 3;
    text.len() <= BYTES_MAX && is_version
        || text.starts_with("workspace:") && is_given_name(text.as_bytes())
}

fn is_long_option(text: &str) -> bool {
    let name = text.strip_prefix("--").filter(|name| name.len() <= WORD_BYTES_MAX);
    name.is_some_and(|name| {
        name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    })
}

fn is_public_word(text: &str) -> bool {
    let all = |is: fn(&u8) -> bool| {
        text.bytes().all(|byte| is(&byte) || matches!(byte, b'_' | b'-' | b'.'))
    };
    text.len() <= WORD_BYTES_MAX
        && (all(u8::is_ascii_lowercase) || all(u8::is_ascii_uppercase))
        && is_given_name(text.as_bytes())
}

/// Gemini writes the limits of a schema as texts.
fn is_small_number(text: &str) -> bool {
    const BYTES_MAX: usize = 10;
    text.len() <= BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns whether a text of a model looks like a secret: it has a random word, or one that is too
/// long for a word.
fn looks_like_secret(text: &str) -> bool {
    !text.contains("[REDACTED")
        && (text.split_whitespace().any(is_strange_word)
            || has_random_word(text)
            || is_password_word(text))
}

fn is_strange_word(word: &str) -> bool {
    const MIXED_BYTES_MIN: usize = 10;
    const PLAIN_BYTES_MIN: usize = 16;
    const BYTES_MAX: usize = 32;
    let has = |is: fn(&u8) -> bool| word.as_bytes().iter().any(is);
    let (digit, lower, upper) =
        (has(u8::is_ascii_digit), has(u8::is_ascii_lowercase), has(u8::is_ascii_uppercase));
    let is_joined = word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    word.is_ascii() && word.len() > BYTES_MAX
        || digit && lower && upper && word.len() >= MIXED_BYTES_MIN
        || digit && (lower || upper) && is_joined && word.len() >= PLAIN_BYTES_MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stay_by_what_they_look_like() {
        let sanitizer = Sanitizer::default();
        let cases = [
            (StayingTexts::Settings, "read omit same-origin inherit", "READ hunter2 reader"),
            (StayingTexts::Options, "--verbose --dry-run", "-x --Verbose --v2 --- ---x verbose"),
            (
                StayingTexts::Words,
                "hazel refresh_token GOLD v.w",
                "Hazel hunter2 gOLD \u{e9}t\u{e9}",
            ),
            (
                StayingTexts::Doubtful,
                "Hel hunter2 internationalization \u{120}\u{120}world GPT4 db-2024 [REDACTED]",
                "kXq8Zr3TtB9w 5f2a91c07d3e44b1 hunter2hunter2 kXqZrTtBwLmPdVcN ana@example.org \
                 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            ),
        ];
        for (texts, stay, go) in cases {
            for text in stay.split_whitespace() {
                assert!(texts.contain(&sanitizer, text), "{texts:?} {text}");
            }
            for text in go.split_whitespace() {
                assert!(!texts.contain(&sanitizer, text), "{texts:?} {text}");
            }
            assert!(texts.contain(&sanitizer, ""));
        }
    }
}
