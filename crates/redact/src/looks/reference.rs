//! Recognizes values that only refer to a secret or stand for one: `${TOKEN}`, `<password>`, `****`,
//! paths of files, and code.
//!
//! The whole value must have such a form, because a password may begin with any byte.

use super::{is_irregular_value, is_mixed_random, is_wordlike, value_has_digit};

/// Returns whether a value is a placeholder of its author, a template, a path of a file or an
/// address at which a secret is kept.
pub(crate) fn is_reference(text: &[u8]) -> bool {
    let Some(&first) = text.first() else { return true };
    let is_kind = match first {
        b'$' => is_variable(&text[1..]),
        b'%' => is_percent_name(text),
        b'<' => text.ends_with(b">"),
        b'&' => text.starts_with(b"&lt;") && text.ends_with(b"&gt;"),
        b'{' => text.ends_with(b"}") && !is_random_name(without_braces(text)),
        b'[' => text.ends_with(b"]"),
        b'(' => text.ends_with(b")"),
        b'/' | b'~' | b'.' => is_file_path(text),
        b'#' | b'!' => text[1..].iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'_'),
        _ => false,
    };
    is_kind
        || is_example(text)
        || is_masked(text)
        || is_template(text)
        || is_constant(text)
        || is_address(text)
}

/// Returns whether what is after a `$` is the name of a variable, or an expression.
fn is_variable(name: &[u8]) -> bool {
    match name.first() {
        Some(b'{') => name.ends_with(b"}") && !is_random_name(&name[1..name.len() - 1]),
        Some(b'(') => name.ends_with(b")"),
        Some(first) if first.is_ascii_alphabetic() || *first == b'_' => {
            let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.:->[]'\"".contains(byte);
            name.iter().all(is_part) && is_wordlike(name)
        }
        _ => name.len() <= 1,
    }
}

fn without_braces(text: &[u8]) -> &[u8] {
    let is_part = |byte: &u8| !b"{}".contains(byte);
    let start = text.iter().position(is_part).unwrap_or(text.len());
    let end = text.iter().rposition(is_part).map_or(start, |last| last + 1);
    &text[start..end]
}

/// Returns whether a random string is at the place of the name of a variable.
fn is_random_name(name: &[u8]) -> bool {
    let name = name.trim_ascii();
    is_mixed_random(name) || is_irregular_value(name)
}

/// Returns whether a value is a variable between percent signs or in a format: `%TOKEN%`,
/// `%(token)s`.
fn is_percent_name(text: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-".contains(byte);
    match text {
        [b'%', name @ .., b'%'] => name.iter().all(is_part) && is_wordlike(name),
        [b'%', b'(', name @ .., b')', _] | [b'%', b'{', name @ .., b'}'] => {
            name.iter().all(is_part)
        }
        _ => false,
    }
}

/// Returns whether a value is a path of several parts, none of which is random.
fn is_file_path(text: &[u8]) -> bool {
    let is_rooted = [&b"/"[..], b"~/", b"./", b"../"].iter().any(|root| text.starts_with(root));
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-~@:{}$".contains(byte);
    let parts = text.split(|&byte| byte == b'/').filter(|part| !part.is_empty()).count();
    let is_small = || !text.iter().any(u8::is_ascii_uppercase) && text.contains(&b'/');
    text.iter().all(is_part)
        && is_wordlike(text)
        && (is_rooted && parts >= 2 || text == b"/" || parts >= 3 && is_small())
}

/// Returns whether a value says that somebody should put in their own: `your-api-key-here`.
fn is_example(text: &[u8]) -> bool {
    const LONGEST: usize = 7;
    let head = &text[..text.len().min(LONGEST)];
    let begins = [&b"your-"[..], b"your_", b"my-own-"]
        .iter()
        .any(|begin| head.get(..begin.len()).is_some_and(|head| head.eq_ignore_ascii_case(begin)));
    let ends = [&b"-here"[..], b"_here"]
        .iter()
        .any(|end| text.last_chunk::<5>().is_some_and(|tail| tail.eq_ignore_ascii_case(end)));
    (begins || ends || is_described(text)) && is_wordlike(text)
}

/// Returns whether a value says in capitals what it stands for: `VALUE_OF_THE_OPTION`.
fn is_described(text: &[u8]) -> bool {
    const NOUNS: [&[u8]; 4] = [b"VALUE", b"PARAMETER", b"PLACEHOLDER", b"EXAMPLE"];
    let mut words = text.split(|byte| *byte == b'_');
    let is_constant = text.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_');
    is_constant && words.clone().count() >= 3 && words.any(|word| NOUNS.contains(&word))
}

/// What hides a value, and what a longer mask consists of.
const MASKS: [(&str, &str); 5] =
    [("***", "*"), ("xxxx", "x"), ("XXXX", "X"), ("••", "•"), ("…", "…")];

/// Returns whether somebody has hidden a value, or all of it but a few bytes.
fn is_masked(text: &[u8]) -> bool {
    const VISIBLE_BYTES_MAX: usize = 16;
    let count = |part: &str| text.windows(part.len()).filter(|at| *at == part.as_bytes()).count();
    let is_hidden = |(mask, unit): &(&str, &str)| {
        let visible = text.len() - unit.len() * count(unit);
        // A random string beside a short mask is not hidden.
        let is_mixed = || {
            let mut parts = text.split(|byte| unit.as_bytes().contains(byte));
            visible > unit.len() * count(unit) && parts.any(is_mixed_random)
        };
        count(mask) > 0
            && visible <= VISIBLE_BYTES_MAX
            && !text.iter().any(|byte| b"!@#$%^&".contains(byte))
            && !is_mixed()
    };
    text.iter().all(|byte| *byte == text[0])
        || text.ends_with(b"...")
        || MASKS.iter().any(is_hidden)
}

/// Returns whether another value is put into this one, or is gone from it.
fn is_template(text: &[u8]) -> bool {
    let is_open = |at: usize| {
        let inside = &text[at + 2..];
        let end = inside.iter().position(|byte| *byte == b'}').unwrap_or(inside.len());
        let is_expression = matches!(&text[at..at + 2], b"${" | b"{{");
        is_expression && !is_random_name(&inside[..end])
    };
    (0..text.len().saturating_sub(1)).any(is_open)
        || text.windows(9).any(|nine| nine == b"[REDACTED")
}

fn is_constant(text: &[u8]) -> bool {
    [&b"null"[..], b"none", b"nil", b"true", b"false", b"undefined"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
}

/// Returns whether a value is a URL or another address. If a URL contains a password, other rules
/// find it.
fn is_address(text: &[u8]) -> bool {
    const KINDS: [&[u8]; 10] = [
        b"arn:",
        b"vault:",
        b"ssm:",
        b"env:",
        b"file:",
        b"keyring:",
        b"ref+",
        b"projects/",
        b"secretsmanager:",
        b"secretKeyRef:",
    ];
    let scheme = text.iter().take_while(|byte| byte.is_ascii_lowercase()).count();
    scheme >= 2 && text[scheme..].starts_with(b"://")
        || KINDS.iter().any(|kind| text.starts_with(kind)) && is_wordlike(text)
}

/// Returns whether an unquoted value is a path of identifiers, as in source code:
/// `process.env.API_KEY!`, `self.config.password2`, `&cfg.Token1`, `ctx._meta?.token`.
pub(crate) fn is_code_path(text: &[u8]) -> bool {
    let path = match text {
        [b'&' | b'*' | b'@' | b'!' | b'$' | b'-', path @ ..] => path,
        path => path,
    };
    let mut rest = path;
    let mut parts = 0;
    while let Some(length) = identifier_length(rest) {
        parts += 1;
        rest = &rest[length..];
        let separators = [&b"."[..], b"?.", b"!.", b"::", b"->"];
        match separators.iter().find_map(|separator| rest.strip_prefix(*separator)) {
            Some(behind) => rest = behind,
            None => return parts >= 2 && matches!(rest, b"" | b"!" | b"?") && is_wordlike(path),
        }
    }
    false
}

/// Returns the length of the identifier at the beginning of a text.
fn identifier_length(text: &[u8]) -> Option<usize> {
    let private = usize::from(text.first() == Some(&b'#'));
    let name = &text[private..];
    let first = name.first()?;
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(**byte, b'_' | b'-');
    (first.is_ascii_alphabetic() || *first == b'_')
        .then(|| private + name.iter().take_while(is_part).count())
}

/// Returns whether an unquoted value is an identifier of two words or more, one of which is that of
/// a secret: `accessToken2`, `castle_token`.
pub(crate) fn is_secret_identifier(text: &[u8]) -> bool {
    let text = match text {
        [b'&' | b'*' | b'@' | b'!' | b'$' | b':', text @ ..] => text,
        text => text,
    };
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    if digits > 2 || !text.iter().all(is_identifier_byte) || !is_wordlike(text) {
        return false;
    }
    let has_phrase = crate::names::name_ends_with(text, b"passphrase");
    let (mut rest, mut words, mut has_noun) = (text, 0, has_phrase);
    while !rest.is_empty() {
        let (before, word) = crate::names::last_word_of_name(rest);
        let digits = word.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let word = &word[..word.len() - digits];
        // Digits end a word; between its letters they are random.
        if value_has_digit(word) {
            return false;
        }
        has_noun |= is_secret_noun(word);
        words += usize::from(!word.is_empty());
        rest = before;
    }
    words >= 2 && has_noun
}

/// Returns whether a word is one for a secret.
pub(super) fn is_secret_noun(word: &[u8]) -> bool {
    const NOUNS: [&[u8]; 9] = [
        b"token",
        b"password",
        b"passwd",
        b"pwd",
        b"secret",
        b"key",
        b"auth",
        b"credential",
        b"credentials",
    ];
    NOUNS.iter().any(|noun| word.eq_ignore_ascii_case(noun))
}

fn is_identifier_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || *byte == b'_'
}
