//! What is assigned to a name that speaks of a secret: `password=…`, `api_key: …`,
//! `"clientSecret": "…"`, in logs, in files of settings, in source code.

use super::{Look, found, is_alphanumeric};
use crate::sanitize::{Kind, Match};

/// Where such a name may be told from others, in the middle of the words that end it.
pub(super) const TRIGGERS: [[&[u8]; 3]; 8] = [
    [b"sS", b"sS", b"wW"],
    [b"sS", b"sS", b"pP"],
    [b"pP", b"wW", b"dD"],
    [b"eE", b"cC", b"rR"],
    [b"oO", b"kK", b"eE"],
    [b"pP", b"iI", b"kK_-"],
    [b"_-", b"kK", b"eE"],
    [b"sty", b"K", b"e"],
];

/// What a name ends with, folded, without separators; and whether its value is chosen by people.
const NAMES: [(&[u8], bool); 30] = [
    (b"password", true),
    (b"passwd", true),
    (b"passwort", true),
    (b"pwd", true),
    (b"passphrase", true),
    (b"secret", false),
    (b"secretkey", false),
    (b"secretaccesskey", false),
    (b"secretvalue", false),
    (b"apikey", false),
    (b"apisecret", false),
    (b"apitoken", false),
    (b"accesskey", false),
    (b"privatekey", false),
    (b"accountkey", false),
    (b"sharedaccesskey", false),
    (b"encryptionkey", false),
    (b"signingkey", false),
    (b"masterkey", false),
    (b"authkey", false),
    (b"storagekey", false),
    (b"subscriptionkey", false),
    (b"token", false),
    (b"authtoken", false),
    (b"accesstoken", false),
    (b"refreshtoken", false),
    (b"bearertoken", false),
    (b"sessiontoken", false),
    (b"secretbase", false),
    (b"credential", false),
];

const NAME_BYTES_MAX: usize = 48;
const PASSWORD_BYTES_MIN: usize = 6;
const SECRET_BYTES_MIN: usize = 12;
/// The longest value whose closing quote is looked for.
const QUOTED_BYTES_MAX: usize = 4096;
/// As much of a value without quotes is judged; the rest goes with it.
const BARE_BYTES_MAX: usize = 256;
/// Blanks on one side of the sign.
const BLANKS_MAX: usize = 8;

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// The value behind the name that the place `at` lies in.
pub(super) fn at(look: Look<'_>, at: usize) -> Option<Match> {
    let start = look.run_before(at, NAME_BYTES_MAX, is_name);
    let end = (at..at + NAME_BYTES_MAX).find(|&at| !look.byte(at).is_some_and(is_name))?;
    let is_chosen = class(&look.text[start..end])?;
    // A placeholder is no name.
    if look.text[start..end].starts_with(b"REDACTED") && look.before(start) == Some(b'[') {
        return None;
    }
    let (value, quote) = behind_sign(look, end)?;
    let in_url = matches!(look.before(start), Some(b'?' | b'&'));
    let is_part = |byte| is_bare(byte, in_url);
    let head = match quote {
        Some(quote) => end_of_quoted(look, value, quote)?,
        None => {
            value
                + look.rest(value).iter().take(BARE_BYTES_MAX).take_while(|&&b| is_part(b)).count()
        }
    };
    let text = &look.text[value..head];
    // The mark that ends a sentence is no part of what stands in it.
    let stop = usize::from(quote.is_none() && text.len() > 1 && text.ends_with(b"."));
    let text = &text[..text.len() - stop];
    let is_setting = quote.is_some() || look.text[start].is_ascii_uppercase() || in_url;
    if !is_secret(text, is_chosen, quote.is_none(), is_setting, look.byte(value + text.len())) {
        return None;
    }
    let end = if text.len() < BARE_BYTES_MAX || quote.is_some() {
        value + text.len()
    } else {
        look.run(head, is_part)
    };
    found(if in_url { Kind::UrlParameter } else { Kind::Credential }, value, end)
}

/// Whether the name's last words are of a secret, and whether of one that people choose.
fn class(name: &[u8]) -> Option<bool> {
    let mut folded = [0; NAME_BYTES_MAX * 2];
    let mut length = 0;
    for byte in name.iter().filter(|&&byte| is_alphanumeric(byte)) {
        *folded.get_mut(length)? = byte.to_ascii_lowercase();
        length += 1;
    }
    let folded = &folded[..length];
    let is_one = |&&(name, _): &&(&[u8], bool)| folded.ends_with(name);
    NAMES.iter().find(is_one).map(|&(_, is_chosen)| is_chosen)
}

/// Where the value behind the sign begins, and its quote.
fn behind_sign(look: Look<'_>, at: usize) -> Option<(usize, Option<u8>)> {
    let blanks = |from: usize| look.run(from, is_blank).min(from + BLANKS_MAX);
    let escape = |from: usize| look.run(from, |byte| byte == b'\\').min(from + 7);
    let quoted = |from: usize| {
        let behind = escape(from);
        let quote = look.byte(behind).filter(|byte| matches!(byte, b'"' | b'\'' | b'`'))?;
        Some((behind + 1, quote))
    };
    // The name's own closing quote, and a closing bracket of an index.
    let closing = quoted(at).map(|(behind, _)| behind);
    let closing = closing.map(|at| at + usize::from(look.byte(at) == Some(b']')));
    let sign = blanks(closing.unwrap_or(at));
    let behind = match (look.byte(sign)?, look.byte(sign + 1)) {
        (b':', Some(b'=')) | (b'=', Some(b'>' | b'=')) => sign + 2,
        (b':', Some(b':')) => return None,
        (b':' | b'=', _) => sign + 1,
        _ => return None,
    };
    let value = blanks(behind);
    // A letter in front of a literal: `b"…"`, `r"…"`, `@"…"`.
    let prefixed = look.byte(value).filter(|byte| matches!(byte, b'b' | b'r' | b'u' | b'@'));
    let quote = quoted(value).or_else(|| quoted(prefixed.map(|_| value + 1)?));
    Some(quote.map_or((value, None), |(value, quote)| (value, Some(quote))))
}

/// The end of a quoted value: in front of the same quote and its escapes, on the same line.
fn end_of_quoted(look: Look<'_>, start: usize, quote: u8) -> Option<usize> {
    let rest = look.rest(start);
    let rest = &rest[..rest.len().min(QUOTED_BYTES_MAX)];
    let length = rest.iter().position(|&byte| byte == quote || byte == b'\n')?;
    let escapes = rest[..length].iter().rev().take_while(|&&byte| byte == b'\\').count();
    (rest[length] == quote).then_some(start + length - escapes)
}

/// The bytes of a value without quotes.
fn is_bare(byte: u8, in_url: bool) -> bool {
    match byte {
        b'&' | b'#' => !in_url,
        b',' | b';' | b')' | b'}' | b']' | b'[' | b'>' | b'<' | b'"' | b'\'' | b'`' | b'|'
        | b'\\' => false,
        byte => byte.is_ascii_graphic(),
    }
}

/// Whether a value looks like a secret, and not like a place for one, a type, a call or a word.
fn is_secret(
    text: &[u8],
    is_chosen: bool,
    is_bare: bool,
    is_setting: bool,
    next: Option<u8>,
) -> bool {
    let least = if is_chosen { PASSWORD_BYTES_MIN } else { SECRET_BYTES_MIN };
    let lower = || text.iter().map(u8::to_ascii_lowercase);
    let is_place = matches!(text.first(), Some(b'$' | b'{' | b'<' | b'%' | b'[' | b'('))
        && (is_bare
            || text.get(1).is_some_and(|byte| matches!(byte, b'{' | b'('))
            || text[0] != b'$')
        || text.windows(2).any(|two| two == b"${" || two == b"{{")
        || text.windows(9).any(|nine| nine == b"[REDACTED")
        || text.iter().all(|&byte| byte == text[0]);
    if text.len() < least || is_place || text.contains(&b' ') && !is_chosen {
        return false;
    }
    let has = |is: fn(&u8) -> bool| text.iter().any(is);
    let has_digit = has(u8::is_ascii_digit);
    let is_mixed = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    let is_word = text.iter().all(|&byte| {
        byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-' | b'.' | b' ' | b':')
    });
    let names = [
        &b"password"[..],
        b"passwd",
        b"secret",
        b"token",
        b"apikey",
        b"api_key",
        b"your",
        b"example",
        b"redacted",
        b"changeme",
    ];
    let names_itself =
        is_word && names.iter().any(|name| lower().collect::<SmallText>().contains(name));
    if names_itself {
        return false;
    }
    if is_bare {
        // A call, an index, an attribute of something, a type.
        let is_code = next == Some(b'(')
            || text.contains(&b'(')
            || text.contains(&b'.') && !has_digit && is_word
            || next == Some(b'[');
        if is_code || is_word && !is_setting {
            return false;
        }
    }
    if is_chosen {
        // A sentence is no password.
        return text.iter().filter(|&&byte| byte == b' ').count() <= 3 && (!is_word || is_setting);
    }
    has_digit && (!text.iter().all(u8::is_ascii_digit)) || is_mixed && !is_word
}

/// A value folded, as far as it is looked at for names.
struct SmallText([u8; 64], usize);

impl SmallText {
    fn contains(&self, part: &[u8]) -> bool {
        self.0[..self.1].windows(part.len()).any(|window| window == part)
    }
}

impl FromIterator<u8> for SmallText {
    fn from_iter<I: IntoIterator<Item = u8>>(bytes: I) -> Self {
        let mut text = Self([0; 64], 0);
        for byte in bytes.into_iter().take(64) {
            text.0[text.1] = byte;
            text.1 += 1;
        }
        text
    }
}
