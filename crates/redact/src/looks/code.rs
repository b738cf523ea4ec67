//! Tells an expression of source code from a value that lost its quotes, as in
//! `"password": schema.string(),` and `"credentials": credentials,`.
//!
//! Random text fails in several ways. Its letters read like no words, its digits are in the wrong
//! places, and it has bytes that no expression begins with.

use super::reference::is_secret_noun;
use super::{count_odd_places, count_rare_pairs, is_secret_identifier, is_wordlike};
use crate::names::{NameClass, classify_name, last_word_of_name, name_ends_with};

/// The part of a line in which an expression must end.
const EXPRESSION_BYTES_MAX: usize = 512;
/// The shortest name that may be compared with that of its key.
const NAME_BYTES_MIN: usize = 4;
/// A shorter word is not a secret.
const WORD_BYTES_MIN: usize = 4;
/// Digits of a number that is too short for a secret that a machine made.
const SMALL_DIGITS_MAX: usize = 3;

/// Returns whether an unquoted value after the key `name` is code. It may be a path of names, a call,
/// a declaration, or a variable that is named like the key. `text` begins with the value and has the
/// rest of its line.
pub(crate) fn is_code_value(text: &[u8], name: &[u8]) -> bool {
    let text = &text[..text.len().min(EXPRESSION_BYTES_MAX)];
    let Some(end) = expression_end(text).filter(|end| *end < EXPRESSION_BYTES_MAX) else {
        return false;
    };
    let expression = text[..end].trim_ascii();
    match expression {
        [] => text.is_empty(),
        [b'"' | b'\'' | b'`' | b'\\' | b'/' | b'<' | b'#', ..] => false,
        _ if !expression.iter().any(|byte| byte.is_ascii_graphic() && !is_bracket(*byte)) => true,
        _ if expression.iter().all(u8::is_ascii_digit) => {
            expression.len() <= SMALL_DIGITS_MAX
                && end < text.len()
                && classify_name(name) == NameClass::Made
        }
        _ if is_literal(expression) => true,
        _ if text.get(end) == Some(&b',') && is_short_word(expression) => true,
        [variable @ .., b'!' | b'?'] | [b'&' | b'*', variable @ ..] | variable
            if is_variable_of_key(variable, name) =>
        {
            true
        }
        _ => Tokens::of(expression).are_code(matches!(expression, [.., b'(' | b'{' | b'['])),
    }
}

/// Returns whether a text is code between the quotes of two strings: `"password: " % x + "…"`.
pub(crate) fn is_between_strings(text: &[u8]) -> bool {
    [&b" % "[..], b" + ", b" . ", b" .. "].iter().any(|sign| text.starts_with(sign))
}

fn is_bracket(byte: u8) -> bool {
    b"()[]{}".contains(&byte)
}

/// Returns the end of an expression: before a comma or a bracket that closes what is around it.
/// Returns `None` if a string in it has no end.
fn expression_end(text: &[u8]) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' | b'\'' => at += string_length(&text[at..])? - 1,
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' if depth == 0 => return Some(at),
            b')' | b']' | b'}' => depth -= 1,
            b',' | b';' if depth == 0 => return Some(at),
            // A container may continue in the next line of the text.
            b'\n' if depth == 0 => return Some(at),
            _ => {}
        }
        at += 1;
    }
    Some(at)
}

/// Returns the length of the string at the beginning of a text, with its quotes.
fn string_length(text: &[u8]) -> Option<usize> {
    let inside = &text[1..];
    let end = inside.iter().position(|byte| *byte == text[0] || *byte == b'\\')?;
    (inside[end] == text[0]).then_some(end + 2)
}

fn is_short_word(text: &[u8]) -> bool {
    text.len() < WORD_BYTES_MIN && text.iter().all(u8::is_ascii_lowercase)
}

/// Returns whether a value is a variable that is named like its key, or like a secret.
fn is_variable_of_key(value: &[u8], name: &[u8]) -> bool {
    const LONG_BYTES_MAX: usize = 40;
    const ENDS: [&[u8]; 6] = [b"Name", b"Path", b"File", b"name", b"path", b"file"];
    let is_part = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    value.len() >= NAME_BYTES_MIN
        && (value.iter().all(is_part) && name_ends_with_value(name, value)
            || is_secret_identifier(value)
            || value.len() <= LONG_BYTES_MAX
                && value.iter().all(is_part)
                && last_word_of_name(value).1.len() < value.len()
                && ENDS.contains(&last_word_of_name(value).1)
                && is_wordlike(value))
}

fn name_ends_with_value(name: &[u8], value: &[u8]) -> bool {
    let letters: Vec<u8> = value.iter().copied().filter(u8::is_ascii_alphabetic).collect();
    name_ends_with(name, &letters)
}

/// What the words and signs of an expression say.
#[derive(Debug, Default)]
struct Tokens {
    /// Something in it is not code.
    is_other: bool,
    /// A name is joined to another one, or is called or indexed.
    has_structure: bool,
    /// A name is joined to another one.
    has_path: bool,
    /// A call has a word as its only argument, which is not the name of a secret.
    has_argument: bool,
    /// The letters of all names, and how many places in them are odd or rare in words.
    letters: usize,
    rare: usize,
}

impl Tokens {
    fn of(text: &[u8]) -> Self {
        let (mut tokens, mut at) = (Self::default(), 0);
        while at < text.len() && !tokens.is_other {
            let rest = &text[at..];
            at += match rest[0] {
                b'"' | b'\'' => tokens.read_string(rest, &text[..at]),
                byte if byte.is_ascii_alphanumeric() || byte == b'_' => {
                    tokens.read_word(rest, &text[..at])
                }
                byte => {
                    tokens.is_other |= !b" \t.,:=()[]{}<>?!&|*+-%".contains(&byte);
                    1
                }
            };
        }
        tokens
    }

    fn are_code(&self, is_open: bool) -> bool {
        let least = if is_open { 3 } else { 6 };
        !self.is_other
            && self.has_structure
            && (self.has_path || !self.has_argument)
            && self.letters >= least
            && 5 * self.rare < self.letters + 4
    }

    /// Reads a string, and returns its length. It has to name something.
    fn read_string(&mut self, rest: &[u8], before: &[u8]) -> usize {
        const TYPES: [&[u8]; 14] = [
            b"str", b"string", b"int", b"integer", b"bool", b"boolean", b"list", b"dict", b"path",
            b"raw", b"float", b"number", b"object", b"array",
        ];
        let length = string_length(rest).unwrap_or(rest.len());
        let inside = &rest[1..length.max(2) - 1];
        let before = before.trim_ascii_end();
        let is_text = |is: fn(&u8) -> bool| inside.iter().all(is);
        let is_member = rest[length..].trim_ascii_start().starts_with(b":");
        let is_word = is_text(|byte| byte.is_ascii_lowercase() || b"_-".contains(byte));
        if is_member || inside.is_empty() {
            self.has_structure |= is_member;
            self.letters += inside.len();
            self.is_other |= !is_word;
            return length;
        }
        // The value of a member with quotes is a value of JSON.
        self.letters += inside.len();
        let is_argument = match before {
            [.., b'(' | b'='] => true,
            // Also in a list of JSON, unless a name is before it.
            [first, .., b'[' | b','] => !is_bracket(*first),
            [front @ .., b':'] => front.last().is_some_and(u8::is_ascii_alphanumeric),
            [.., b'+'] => {
                inside[0] == b'/' && is_wordlike(inside) && is_text(|byte| !byte.is_ascii_digit())
            }
            _ => false,
        };
        let names = TYPES.contains(&inside)
            || is_secret_noun(inside)
            || is_secret_identifier(inside)
            || inside[0] == b'/';
        self.is_other |= !is_argument || !names;
        length
    }

    /// Reads a name or a number, and returns its length.
    fn read_word(&mut self, rest: &[u8], before: &[u8]) -> usize {
        let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
        let word = &rest[..rest.iter().take_while(is_part).count()];
        let behind = &rest[word.len()..];
        if word[0].is_ascii_digit() {
            let is_small = word.len() <= SMALL_DIGITS_MAX && word.iter().all(u8::is_ascii_digit);
            self.is_other |= !is_small;
            return word.len();
        }
        let before = before.trim_ascii_end();
        let is_joined = is_path_sign_before(before);
        let leads = [&b"."[..], b"::", b"->", b"?.", b"!.", b"(", b"[", b"{"];
        let leads = leads.iter().any(|sign| behind.starts_with(sign));
        // A member of a structure, and the value of one.
        let is_member =
            matches!(behind, [b':' | b'=', ..]) && matches!(before, [.., b'{' | b'(' | b',']);
        let is_bare_value =
            matches!(before, [.., b':' | b'=']) && !before.ends_with(b"::") && !leads;
        let is_number = word.iter().filter(|byte| byte.is_ascii_digit()).count() > 2
            || word.last().is_some_and(u8::is_ascii_digit) && !leads && !is_named(word);
        self.has_structure |= is_joined || leads || is_member;
        self.has_path |= is_joined;
        self.has_argument |= before.ends_with(b"(")
            && behind.starts_with(b")")
            && word.len() >= WORD_BYTES_MIN
            && !is_named(word)
            && !is_literal(word);
        // Two words without a sign between them are prose.
        let is_prose = before.last().is_some_and(u8::is_ascii_alphanumeric);
        self.is_other |= !is_wordlike(word)
            || is_number
            || is_bare_value && !is_literal(word)
            || is_prose && !follows_keyword(before);
        self.letters += word.len();
        self.rare += count_odd_places(word) + count_rare_pairs(word);
        word.len()
    }
}

fn is_path_sign_before(before: &[u8]) -> bool {
    let is_name_end = |text: &[u8]| {
        text.last().is_some_and(|byte| byte.is_ascii_alphanumeric() || b"_)]?!".contains(byte))
    };
    [&b"."[..], b"::", b"->"].iter().any(|sign| before.strip_suffix(*sign).is_some_and(is_name_end))
}

fn is_named(word: &[u8]) -> bool {
    classify_name(word) != NameClass::Plain
}

fn is_literal(word: &[u8]) -> bool {
    const LITERALS: [&[u8]; 10] = [
        b"true",
        b"false",
        b"null",
        b"nil",
        b"none",
        b"undefined",
        b"string",
        b"bool",
        b"int",
        b"any",
    ];
    LITERALS.iter().any(|literal| word.eq_ignore_ascii_case(literal))
}

fn follows_keyword(before: &[u8]) -> bool {
    const KEYWORDS: [&[u8]; 10] =
        [b"new", b"await", b"not", b"if", b"else", b"or", b"and", b"lambda", b"in", b"is"];
    let word = before.rsplit(|byte| !byte.is_ascii_alphanumeric()).next().unwrap_or_default();
    KEYWORDS.contains(&word)
}
