//! Finds what is assigned to a secret's name: `password=…`, `api_key: …`, `"clientSecret": "…"`.
//! Such assignments are in logs, configuration files and source code.

use super::{RuleText, TriggerBytes, count_steps, is_alphanumeric_byte, match_if_nonempty};
use crate::names::{self, NameClass};
use crate::{Kind, Match};

/// What may follow a name: its closing quote, an escape of that, a blank, a sign.
const BEHIND: &[u8] = b"\"'\\ \t:=";

/// What may follow `pass`: a quote of Markdown, too.
const AFTER_PASS: &[u8] = b"`\"'\\ \t:=";

/// The bytes by which a name is found: its end or, if that is rarer, an inner part.
pub(super) const TRIGGERS: [TriggerBytes; 9] = [
    [b"sS", b"wW", b"oO", b"rR"],
    [b"sSpP", b"wW", b"dD", BEHIND],
    [b"aA", b"sS", b"eE", BEHIND],
    [b"rR", b"eE", b"tT", BEHIND],
    [b"kK", b"eE", b"yY", BEHIND],
    [b"kK", b"eE", b"nN", BEHIND],
    [b"tT_-", b"vV", b"aA", b"lL"],
    [b"iI", b"aA", b"lL", BEHIND],
    [b"aA", b"sS", b"sS", AFTER_PASS],
];

/// The last letters of names of secrets, folded, as far as a trigger leads to them.
const ENDS: [&[u8]; 26] = [
    b"word", b"sswd", b"wort", b"pwd", b"rase", b"cret", b"ikey", b"skey", b"ekey", b"tkey",
    b"nkey", b"gkey", b"hkey", b"rkey", b"ckey", b"dkey", b"alue", b"oken", b"base", b"tial",
    b"pass", b"hash", b"gest", b"firm", b"text", b"tion",
];

const NAME_BYTES_MAX: usize = 48;
const PASSWORD_BYTES_MIN: usize = 6;
const SECRET_BYTES_MIN: usize = 10;
const AWS_SECRET_BYTES: usize = 40;
/// The closing quote of a longer value is not searched.
const QUOTED_BYTES_MAX: usize = 4096;
/// The part of an unquoted value that is judged. If that part is a secret, the rest goes with it.
const BARE_BYTES_MAX: usize = 256;
/// Blanks on one side of the sign.
const BLANKS_MAX: usize = 8;

fn is_assigned_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn is_blank_beside_sign(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Returns the value after the name that contains the place `at`.
pub(super) fn assignment_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let end = (at..at + NAME_BYTES_MAX)
        .find(|&at| !look.byte_at(at).is_some_and(is_assigned_name_byte))?;
    if !may_be_assigned_name(look, end) {
        return None;
    }
    let start = look.run_start(at, NAME_BYTES_MAX, is_assigned_name_byte);
    let name = &look.text[start..end];
    let is_chosen = match names::classify_name(name) {
        NameClass::Plain => return None,
        class => class.is_chosen(),
    };
    // A placeholder is not a name.
    if name.starts_with(b"REDACTED") && look.byte_before(start) == Some(b'[') {
        return None;
    }
    let (sign, value, quote) = assigned_value_start(look, end)?;
    let in_url = matches!(look.byte_before(start), Some(b'?' | b'&'));
    let is_part = |byte| is_bare_assigned_byte(byte, in_url);
    let head = look.rest_from(value).iter().take(BARE_BYTES_MAX);
    let end = match quote {
        Some(quote) => assigned_quote_end(look, value, quote)?,
        None => value + head.take_while(|&&byte| is_part(byte)).count(),
    };
    let text = &look.text[value..end];
    // If a mark ends the sentence, it is not part of the value.
    let stop = usize::from(quote.is_none() && text.len() > 1 && text.ends_with(b"."));
    let text = &text[..text.len() - stop];
    let next = look.byte_at(value + text.len());
    let is_constant = !name.iter().any(u8::is_ascii_lowercase);
    let is_secret = match quote {
        _ if is_assigned_placeholder(text) => false,
        None if text.contains(&b'(') || matches!(next, Some(b'(' | b'[')) => false,
        // A list of names has a comma at the place of the sign.
        Some(_) if sign == AssignmentSign::Comma => value_has_digit(text) && is_random_value(text),
        Some(_) if is_chosen => is_assigned_password(text),
        // In a string of settings even a word is a password.
        None if is_chosen && (look.byte_before(start) == Some(b';') || next == Some(b';')) => {
            text.len() >= 3
        }
        None if is_chosen && is_assigned_word(text) => {
            let line = look.byte_before(start).is_none_or(|byte| byte == b'\n');
            let is_setting = sign == AssignmentSign::Close && !matches!(next, Some(b')' | b','))
                || line && next.is_none_or(|byte| matches!(byte, b'\r' | b'\n'));
            text.len() >= PASSWORD_BYTES_MIN
                && (is_constant || is_setting && is_assigned_password(text))
        }
        None if is_chosen => {
            is_assigned_password(text) && (value_has_digit(text) || !text.contains(&b'.'))
        }
        _ => is_random_value(text),
    };
    let is_aws = text.len() == AWS_SECRET_BYTES && names::name_ends_with(name, b"secretaccesskey");
    if !is_secret && !is_aws {
        return None;
    }
    let kind = match () {
        () if in_url => Kind::UrlParameter,
        () if is_aws => Kind::AwsSecret,
        () => Kind::Credential,
    };
    let is_cut = quote.is_none() && text.len() == BARE_BYTES_MAX;
    match_if_nonempty(
        kind,
        value,
        if is_cut { look.run_end(end, is_part) } else { value + text.len() },
    )
}

/// What is between a name and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AssignmentSign {
    /// A sign of assignment without a blank beside it.
    Close,
    /// A sign with blanks beside it, or a word for it.
    Apart,
    Comma,
}

/// The letters at the end of a name that are compared first. If a name has fewer, all are compared.
const LAST: usize = 4;

/// [`ENDS`], the last letter lowest, and a mask of the bytes that count.
const LAST_LETTERS: [(u32, u32); ENDS.len()] = {
    let mut ends = [(0, 0); ENDS.len()];
    let mut i = 0;
    while i < ends.len() {
        let name = ENDS[i];
        let mut letter = 0;
        while letter < LAST && letter < name.len() {
            ends[i].0 |= (name[name.len() - 1 - letter] as u32) << (8 * letter);
            ends[i].1 |= 0xFF << (8 * letter);
            letter += 1;
        }
        i += 1;
    }
    ends
};

/// Returns whether what ends at `end` may be a name of a secret. This is a quick check, because
/// most are not.
fn may_be_assigned_name(look: RuleText<'_>, end: usize) -> bool {
    let name = look.text[look.edge..end].iter().rev().take(2 * NAME_BYTES_MAX);
    let name = name.take_while(|&&byte| is_assigned_name_byte(byte)).inspect(|_| count_steps(1));
    let letters = name.filter(|&&byte| is_alphanumeric_byte(byte));
    // Digits at the end do not count.
    let letters = letters.skip_while(|byte| byte.is_ascii_digit()).take(LAST);
    let last = letters
        .enumerate()
        .fold(0, |last, (i, byte)| last | u32::from(byte.to_ascii_lowercase()) << (8 * i));
    // All ends are compared, without a branch.
    LAST_LETTERS.iter().fold(false, |is, (end, of)| is | (last & of == *end))
}

/// Returns the sign after a name that ends at `at`, the beginning of the value, and its quote.
fn assigned_value_start(
    look: RuleText<'_>,
    at: usize,
) -> Option<(AssignmentSign, usize, Option<u8>)> {
    let blanks = |from: usize| look.run_end(from, is_blank_beside_sign).min(from + BLANKS_MAX);
    let escape = |from: usize| look.run_end(from, |byte| byte == b'\\').min(from + 7);
    let quoted = |from: usize| {
        let behind = escape(from);
        let quote = look.byte_at(behind).filter(|byte| matches!(byte, b'"' | b'\'' | b'`'))?;
        Some((behind + 1, quote))
    };
    // The name's own closing quote, and a closing bracket of an index.
    let closing = quoted(at).map(|(behind, _)| behind);
    let closing = closing.map(|at| at + usize::from(look.byte_at(at) == Some(b']')));
    let place = blanks(closing.unwrap_or(at));
    let (mut sign, behind) = match (look.byte_at(place)?, look.byte_at(place + 1)) {
        (b':', Some(b'=')) | (b'=', Some(b'>' | b'=')) => (AssignmentSign::Close, place + 2),
        (b':', Some(b':')) => return None,
        (b':' | b'=', _) => (AssignmentSign::Close, place + 1),
        (b',', _) if closing.is_some() => (AssignmentSign::Comma, place + 1),
        _ if look.rest_from(place).starts_with(b"is ") && place > at => {
            (AssignmentSign::Apart, place + 3)
        }
        _ => return None,
    };
    let value = blanks(behind);
    if sign == AssignmentSign::Close && (value > behind || closing.is_none() && place > at) {
        sign = AssignmentSign::Apart;
    }
    // A letter before a literal: `b"…"`, `r"…"`, `@"…"`; quotes in quotes.
    let prefixed = look.byte_at(value).filter(|byte| b"bru@'".contains(byte));
    let inner = prefixed.and_then(|_| quoted(value + 1));
    let inner = inner.filter(|&(from, quote)| assigned_quote_end(look, from, quote).is_some());
    let quote = inner.or_else(|| quoted(value));
    let needs_quote = sign == AssignmentSign::Comma || look.byte_at(place) == Some(b'i');
    if needs_quote && quote.is_none() {
        return None;
    }
    Some(quote.map_or((sign, value, None), |(value, quote)| (sign, value, Some(quote))))
}

/// Returns the end of a quoted value: before the same quote and its escapes, on the same line.
fn assigned_quote_end(look: RuleText<'_>, start: usize, quote: u8) -> Option<usize> {
    let rest = look.rest_from(start);
    let rest = &rest[..rest.len().min(QUOTED_BYTES_MAX)];
    let length = rest.iter().position(|&byte| byte == quote || byte == b'\n')?;
    let escapes = rest[..length].iter().rev().take_while(|&&byte| byte == b'\\').count();
    (rest[length] == quote).then_some(start + length - escapes)
}

/// Returns whether a byte may be in a value without quotes.
fn is_bare_assigned_byte(byte: u8, in_url: bool) -> bool {
    match byte {
        b'&' | b'#' => !in_url,
        b',' | b';' | b')' | b'}' | b']' | b'[' | b'>' | b'<' | b'"' | b'\'' | b'`' | b'|'
        | b'\\' => false,
        byte => byte.is_ascii_graphic(),
    }
}

/// Returns whether a value is a placeholder of the author, a path or a type: `${TOKEN}`,
/// `<password>`, `****`.
fn is_assigned_placeholder(text: &[u8]) -> bool {
    let Some(&first) = text.first() else { return true };
    b"${<%[(#&+,/:.*@\\!=".contains(&first)
        || text.windows(2).any(|two| two == b"${" || two == b"{{")
        || text.windows(9).any(|nine| nine == b"[REDACTED")
        || text.starts_with(b"arn:")
        || [&b"null"[..], b"none", b"nil", b"true", b"false", b"undefined"]
            .iter()
            .any(|word| text.eq_ignore_ascii_case(word))
        || text.iter().all(|&byte| byte == first)
}

fn value_has_digit(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_digit)
}

/// Returns whether a value consists of letters and what separates words.
fn is_assigned_word(text: &[u8]) -> bool {
    text.iter().all(|byte| byte.is_ascii_alphabetic() || b"_-.: ".contains(byte))
}

/// Returns whether a value is long and mixed enough for a secret that a machine made.
pub(super) fn is_random_value(text: &[u8]) -> bool {
    let has = |is: fn(&u8) -> bool| text.iter().any(is);
    let has_letter = has(u8::is_ascii_alphabetic);
    let is_mixed = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    text.len() >= SECRET_BYTES_MIN
        && !text.contains(&b' ')
        && (value_has_digit(text) && has_letter || is_mixed && !is_assigned_word(text))
}

/// Returns whether a value may be a password: not a sentence, and not the word for one.
fn is_assigned_password(text: &[u8]) -> bool {
    let words: [&[u8]; 4] = [b"password", b"passwd", b"secret", b"token"];
    let types: [&[u8]; 9] = [
        b"string",
        b"varchar",
        b"integer",
        b"number",
        b"boolean",
        b"object",
        b"required",
        b"optional",
        b"unknown",
    ];
    let separates = |byte: &u8| !is_alphanumeric_byte(*byte);
    let names_one = words.iter().any(|word| {
        text.eq_ignore_ascii_case(word)
            || text.iter().any(separates)
                && text.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
    });
    text.len() >= PASSWORD_BYTES_MIN
        && text.iter().filter(|&&byte| byte == b' ').count() <= 3
        && !text.ends_with(b":")
        && !text.ends_with(b"(")
        && (value_has_digit(text) || !names_one)
        && !types.iter().any(|word| text.eq_ignore_ascii_case(word))
}
