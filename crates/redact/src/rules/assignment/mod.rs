//! Finds what is assigned to a secret's name: `password=…`, `api_key: …`, `"clientSecret": "…"`.
//! Such assignments are in logs, configuration files, tables and source code.

mod columns;
mod sign;
mod value;
mod whole;

use sign::AssignmentSign;
use value::AssignedValue;

use super::carriers::{carried_value_at, last_value_end};
use super::netrc::netrc_password_after;
use super::{RuleText, TriggerBytes, count_steps, is_alphanumeric_byte, match_if_nonempty};
use crate::names::{self, NameClass, SecretForm};
use crate::{Kind, Match};

/// What may follow a name: its closing quote, an escape of that, a blank, a sign, a number, a word
/// such as `_PROD`.
const BEHIND: &[u8] = b"*\"'`\\ \t:=?!|+([_-0123456789<>]%&,;)}\r\n";
/// The same after a name that has a plural, or `SecretString`.
const OR_PLURAL: &[u8] = b"sS*\"'`\\ \t:=?!|+([_-0123456789<>]%&,;)}\r\n";

/// The bytes by which a name is found: its end or, if that is rarer, an inner part.
pub(super) const TRIGGERS: [TriggerBytes; 23] = [
    [b"sS", b"wW", b"oO", b"rR"],
    [b"sSpP", b"wW", b"dD", BEHIND],
    [b"aA", b"sS", b"eE", BEHIND],
    [b"rR", b"eE", b"tT", OR_PLURAL],
    [b"kK", b"eE", b"yY", OR_PLURAL],
    [b"kK", b"eE", b"nN", OR_PLURAL],
    [b"tT_-", b"vV", b"aA", b"lL"],
    [b"cC", b"rR", b"eE", b"dD"],
    [b"aA", b"sS", b"sS", BEHIND],
    [b"pP", b"aA", b"tT", BEHIND],
    [b"uU", b"tT", b"hH", BEHIND],
    [b"jJ", b"wW", b"tT", BEHIND],
    [b"rR", b"eE", b"rR", BEHIND],
    [b"mM", b"nN", b"eE", b"mM"],
    [b"oO", b"tT", b"pP", BEHIND],
    [b"pP", b"iI", b"nN", BEHIND],
    [b"sScC", b"sSvV", b"nNvVcC", BEHIND],
    [b"bB", b"-_tT", b"tTeE", b"eEaA"],
    [b"h", b"I", b"d", b"e"],
    [b"yYpP", b"_-cC", b"cCoO", b"oOdD"],
    [b"iI", b"_-hH", b"hHaA", b"aAsS"],
    [b"sS", b"iI", b"dD", BEHIND],
    [b"oO", b"nN", b"iI", b"dD"],
];

/// The last letters of names of secrets, folded, as far as a trigger leads to them.
const ENDS: [&[u8]; 61] = [
    b"team", b"dent", b"word", b"ords", b"sswd", b"wort", b"pwd", b"rase", b"cret", b"rets",
    b"key", b"keys", b"alue", b"oken", b"kens", b"base", b"tial", b"ials", b"cred", b"reds",
    b"pass", b"hash", b"gest", b"firm", b"text", b"tion", b"ring", b"pat", b"auth", b"jwt",
    b"arer", b"onic", b"otp", b"pin", b"ssn", b"cvv", b"cvc", b"code", b"here", b"prod", b"dev",
    b"test", b"live", b"ging", b"new", b"old", b"rent", b"kup", b"mary", b"dary", b"ault", b"seed",
    b"enha", b"sena", b"asse", b"pw", b"ocal", b"dbox", b"onid", b"ssid", b"tsid",
];

const NAME_BYTES_MAX: usize = 48;
const AWS_SECRET_BYTES: usize = 40;

fn is_assigned_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn is_blank_beside_sign(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// The name of a secret in a text.
#[derive(Clone, Copy, Debug)]
struct AssignedName<'t> {
    text: &'t [u8],
    start: usize,
    end: usize,
    class: NameClass,
    /// The name is the parameter of a URL or of a form.
    is_parameter: bool,
}

/// Returns the value after the name that contains the place `at`.
pub(super) fn assignment_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let name = assigned_name_around(look, at)?;
    if let Some(password) = netrc_password_after(look, name.start..name.end) {
        return match_if_nonempty(Kind::Credential, password.start, password.end);
    }
    let value = match sign::value_after_name(look, &name) {
        Some(place) => value::assigned_value(look, &name, place),
        None => columns::value_in_next_column(look, &name),
    };
    let Some(AssignedValue { start, end }) = value else {
        return carried_value_at(look, name.start..name.end, name.class);
    };
    let is_aws =
        end - start == AWS_SECRET_BYTES && names::name_ends_with(name.text, b"secretaccesskey");
    let kind = match () {
        () if name.is_parameter => Kind::UrlParameter,
        () if is_aws => Kind::AwsSecret,
        () => Kind::Credential,
    };
    match_if_nonempty(kind, start, last_value_end(look, start, end))
}

/// Returns the name around a place, if it is that of a secret.
fn assigned_name_around(look: RuleText<'_>, at: usize) -> Option<AssignedName<'_>> {
    let end = (at..at + NAME_BYTES_MAX)
        .find(|&at| !look.byte_at(at).is_some_and(is_assigned_name_byte))?;
    if !may_be_assigned_name(look, end) {
        return None;
    }
    let mut start = look.run_start(at, NAME_BYTES_MAX, is_assigned_name_byte);
    let mut class = names::classify_name(&look.text[start..end]);
    if class == NameClass::Plain {
        start = two_word_name_start(look, start, end)?;
        class = names::classify_name(&look.text[start..end]);
    }
    let text = &look.text[start..end];
    let before = look.byte_before(start);
    // A placeholder is not a name, nor is a part of the name of a resource.
    let is_placeholder = text.starts_with(b"REDACTED") && before == Some(b'[');
    if class == NameClass::Plain || is_placeholder || is_part_of_arn(look, start) {
        return None;
    }
    let is_nested = before == Some(b'%') && text.starts_with(b"5B");
    let is_parameter = is_nested || matches!(before, Some(b'?' | b'&' | b'#'));
    let class = match class {
        NameClass::Formed(SecretForm::Opaque) => NameClass::Made,
        // What people say of passwords is not known in every language.
        NameClass::Chosen if names::is_foreign_password(text) => {
            NameClass::Formed(SecretForm::Password)
        }
        class => class,
    };
    Some(AssignedName { text, start, end, class, is_parameter })
}

/// Returns the beginning of a name of two words, such as `API key`, whose last word begins at
/// `start`.
fn two_word_name_start(look: RuleText<'_>, start: usize, end: usize) -> Option<usize> {
    const WORD_BYTES_MAX: usize = 16;
    let is_noun = [&b"key"[..], b"phrase", b"code"]
        .iter()
        .any(|noun| look.text[start..end].eq_ignore_ascii_case(noun));
    if !is_noun || look.byte_before(start) != Some(b' ') {
        return None;
    }
    let first = look.run_start(start - 1, WORD_BYTES_MAX, is_alphanumeric_byte);
    (first < start - 1).then_some(first)
}

/// Returns whether a name is in the name of a resource of AWS: `arn:aws:…:secret:…`.
fn is_part_of_arn(look: RuleText<'_>, start: usize) -> bool {
    const ARN_BYTES_MAX: usize = 80;
    if look.byte_before(start) != Some(b':') {
        return false;
    }
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b":-_/.".contains(&byte);
    let arn = look.run_start(start, ARN_BYTES_MAX, is_part);
    look.text[arn..start].windows(4).any(|four| four == b"arn:")
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

#[cfg(test)]
mod tests;
