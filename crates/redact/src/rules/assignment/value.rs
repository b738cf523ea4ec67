//! Finds the end of an assigned value, and judges whether the value is a secret.

use super::sign::ValuePlace;
use super::whole::whole_word_value;
use super::{AWS_SECRET_BYTES, AssignedName, AssignmentSign};
use crate::looks::{
    has_secret_form, is_between_strings, is_card_code, is_chosen_value, is_code_path,
    is_irregular_password, is_irregular_value, is_phrase, is_random_value, is_reference,
    is_secret_identifier, is_short_random_value, is_word_value, is_wordlike, starts_with_date,
    value_has_digit,
};
use crate::names::{NameClass, SecretForm, name_ends_with};
use crate::rules::carriers::quote_entity_length;
use crate::rules::parameters::{is_bare_value_byte, parameter_end};
use crate::rules::{RuleText, count_steps, forged_placeholder_length};

/// The place of a value that is a secret.
#[derive(Clone, Copy, Debug)]
pub(super) struct AssignedValue {
    pub(super) start: usize,
    pub(super) end: usize,
}

const PASSWORD_BYTES_MIN: usize = 6;
/// The shortest password with a digit in a variable or in a form.
const SHORT_BYTES_MIN: usize = 4;
/// The closing quote of a longer value is not searched.
const QUOTED_BYTES_MAX: usize = 4096;
/// The part of an unquoted value that is judged. If that part is a secret, the rest goes with it.
const BARE_BYTES_MAX: usize = 256;
/// The part of a line in which the bracket is searched that closes a value's first one.
const BRACKET_BYTES_MAX: usize = 128;

/// Returns the value at a place, if it is a secret.
pub(super) fn assigned_value(
    look: RuleText<'_>,
    name: &AssignedName<'_>,
    place: ValuePlace,
) -> Option<AssignedValue> {
    let start = place.start + forged_placeholder_length(look, place.start);
    if let Some(quote) = place.quote {
        let Some(end) = quoted_value_end(look, start, quote) else {
            // The first byte of a password may be a backtick.
            return whole_word_value(look, name, place.sign, start - 1, start - 1);
        };
        // Not everybody escapes a quote, so what is before the first one counts, too.
        let first = look.run_end(start, |byte| byte != quote && byte != b'\n').min(end);
        let is_one = |end| is_quoted_secret(name, place.sign, &look.text[start..end]);
        let is_secret = is_one(end) || first < end && is_one(first);
        return is_secret.then_some(AssignedValue { start, end });
    }
    // A quote of HTML: the value is read with its sign.
    if quote_entity_length(look.rest_from(start)) > 0 {
        return None;
    }
    if let Some(end) = phrase_end(look, name, start) {
        return Some(AssignedValue { start, end });
    }
    let is_part = |byte| byte == b'|' || is_bare_value_byte(byte, name.is_parameter);
    let plain_end = bare_value_end(look, start, is_part);
    let whole = whole_word_value(look, name, place.sign, start, plain_end.unwrap_or(start));
    if whole.is_some() {
        return whole;
    }
    let end = plain_end?;
    let end = if name.is_parameter { parameter_end(look, name.start, end) } else { end };
    let is_cut = end - start >= BARE_BYTES_MAX;
    let end = start + end_before_pipe(&look.text[start..end]);
    let is_cut = is_cut && end - start >= BARE_BYTES_MAX;
    let text = &look.text[start..end];
    // If a mark ends the sentence, it is not part of the value.
    let stop = usize::from(text.len() > 1 && text.ends_with(b"."));
    let end = end - stop;
    let bare = BareValue {
        text: &text[..text.len() - stop],
        sign: place.sign,
        is_adjacent: look.byte_before(start) == Some(b'='),
        next: look.byte_at(end),
    };
    if !bare.is_secret(look, name) {
        return None;
    }
    let end = if is_cut { look.run_end(end, is_part) } else { end };
    Some(AssignedValue { start, end: list_end(look, name, end, is_part) })
}

/// Returns the end of a list of values after the first, if the name is a plural: `passwords=a,b`.
fn list_end(
    look: RuleText<'_>,
    name: &AssignedName<'_>,
    end: usize,
    is_part: impl Fn(u8) -> bool,
) -> usize {
    const VALUES_MAX: usize = 16;
    let mut end = end;
    if !matches!(name.text.last(), Some(b's' | b'S')) || name.is_parameter {
        return end;
    }
    for _ in 0..VALUES_MAX {
        let Some(rest) = look.rest_from(end).strip_prefix(b",") else { break };
        let blanks = rest.iter().take_while(|byte| **byte == b' ').count();
        let start = end + 1 + blanks;
        let window = look.rest_from(start);
        let part = window.iter().take(BARE_BYTES_MAX).take_while(|byte| is_part(**byte)).count();
        count_steps(part + blanks + 1);
        let text = &window[..part];
        let is_next = match blanks {
            0 => part > 0 && window.get(part) != Some(&b'='),
            _ => is_irregular_password(text),
        };
        if !is_next || text.contains(&b'=') || is_reference(text) {
            break;
        }
        end = start + part;
    }
    end
}

/// Returns the end of a quoted value.
pub(super) fn quoted_value_end(look: RuleText<'_>, start: usize, quote: u8) -> Option<usize> {
    look.quoted_end(start, quote, QUOTED_BYTES_MAX)
}

/// Returns the end of a value without quotes. Returns `None` if the value begins with a bracket that
/// is closed on the same line: it is a list, a placeholder or an expression. A placeholder there may
/// stand for a text of any length, so the bracket is not searched beyond one. The text may also end
/// where the value of a member in the bracket will be replaced.
fn bare_value_end(look: RuleText<'_>, start: usize, is_part: impl Fn(u8) -> bool) -> Option<usize> {
    let rest = look.rest_from(start);
    let at_sign = usize::from(matches!(rest, [b'@', b'{' | b'(', ..]));
    let closing = match rest.get(at_sign)? {
        b'(' => Some(b')'),
        b'[' => Some(b']'),
        b'{' => Some(b'}'),
        b'<' => Some(b'>'),
        _ => None,
    };
    let window = &rest[..rest.len().min(BRACKET_BYTES_MAX)];
    let line = window.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_closed =
        |closing| line[1 + at_sign..].iter().any(|&byte| byte == closing || byte == b'[');
    let is_cut = || {
        let last = line.iter().rfind(|byte| !b" \"'\\".contains(byte));
        line.len() == rest.len() && line.contains(&b' ') && matches!(last, Some(b':' | b'='))
    };
    if closing.is_some_and(|closing| is_closed(closing) || is_cut()) {
        return None;
    }
    let first = if closing.is_some() { 1 + at_sign } else { 0 };
    let run = rest[first..].iter().take(BARE_BYTES_MAX - first);
    Some(start + first + run.take_while(|byte| is_part(**byte)).count())
}

/// Returns the end of a phrase of words that restores a wallet, without quotes.
fn phrase_end(look: RuleText<'_>, name: &AssignedName<'_>, start: usize) -> Option<usize> {
    let is_phrase_name =
        name_ends_with(name.text, b"phrase") || name_ends_with(name.text, b"mnemonic");
    if !is_phrase_name {
        return None;
    }
    let is_part = |byte: &&u8| byte.is_ascii_lowercase() || **byte == b' ';
    let length = look.rest_from(start).iter().take(BARE_BYTES_MAX).take_while(is_part).count();
    let text = look.text[start..start + length].trim_ascii_end();
    is_phrase(text).then_some(start + text.len())
}

/// Returns whether a value has the length of the secret that belongs to a key id of AWS.
fn is_aws_secret(name: &AssignedName<'_>, text: &[u8]) -> bool {
    text.len() == AWS_SECRET_BYTES
        && !text.contains(&b'[')
        && name_ends_with(name.text, b"secretaccesskey")
}

fn is_quoted_secret(name: &AssignedName<'_>, sign: AssignmentSign, text: &[u8]) -> bool {
    match (name.class, sign) {
        _ if is_aws_secret(name, text) => true,
        (NameClass::Plain, _) => false,
        (NameClass::CardCode, _) => is_card_code(text),
        _ if is_short_password(name, sign, text) => true,
        (NameClass::Formed(form), _) => has_secret_form(text, form),
        _ if is_reference(text) || is_between_strings(text) => false,
        // A list of names has a comma at the place of the sign.
        (_, AssignmentSign::Comma) => {
            is_random_value(text)
                && (value_has_digit(text) || is_irregular_value(text))
                && !is_other_name(text)
                && !is_code_path(text)
                && !is_secret_identifier(text)
        }
        (NameClass::Chosen, AssignmentSign::Call) => {
            is_chosen_value(text) && is_irregular_password(text)
        }
        (NameClass::Chosen, _) => is_chosen_value(text) || is_phrase(text),
        (NameClass::Made, AssignmentSign::Call) => is_irregular_value(text),
        (NameClass::Made, _) => {
            (is_random_value(text) || is_short_random_value(text)) && !is_secret_identifier(text)
                || value_after_scheme(text).is_some_and(is_irregular_value)
        }
    }
}

/// Returns whether a value is a word with a digit, as people choose it, beside the sign of `pass`.
/// Tests count there.
fn is_short_password(name: &AssignedName<'_>, sign: AssignmentSign, text: &[u8]) -> bool {
    name.text.eq_ignore_ascii_case(b"pass")
        && sign == AssignmentSign::Close
        && text.len() >= PASSWORD_BYTES_MIN
        && text.iter().all(u8::is_ascii_alphanumeric)
        && text[..SHORT_BYTES_MIN].iter().all(u8::is_ascii_alphabetic)
        && value_has_digit(text)
}

/// Returns whether a value is another name in a list of names, or a time.
fn is_other_name(text: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_';
    let is_name = text.contains(&b'_') && text.iter().all(is_part) && is_wordlike(text);
    is_name || starts_with_date(text)
}

/// Returns what follows the name of a scheme: `Bearer …`.
fn value_after_scheme(text: &[u8]) -> Option<&[u8]> {
    const SCHEME_BYTES_MAX: usize = 16;
    let blank = text.iter().take(SCHEME_BYTES_MAX).position(|&byte| byte == b' ')?;
    let is_scheme = text[..blank].iter().all(u8::is_ascii_alphanumeric);
    (is_scheme && text[0].is_ascii_uppercase()).then_some(&text[blank + 1..])
}

/// Returns the end of a value before a pipe, unless what follows is a part of it, as in `12|…`.
fn end_before_pipe(text: &[u8]) -> usize {
    let last = text.rsplit(|&byte| byte == b'|').next().unwrap_or_default();
    let pipe = text.iter().position(|&byte| byte == b'|');
    pipe.filter(|_| !is_irregular_value(last)).unwrap_or(text.len())
}

/// A value without quotes.
#[derive(Clone, Copy, Debug)]
struct BareValue<'t> {
    text: &'t [u8],
    sign: AssignmentSign,
    /// It is beside its equals sign.
    is_adjacent: bool,
    /// The byte after it.
    next: Option<u8>,
}

impl BareValue<'_> {
    fn is_secret(self, look: RuleText<'_>, name: &AssignedName<'_>) -> bool {
        if is_aws_secret(name, self.text) {
            return true;
        }
        if self.is_code(look, name) {
            return false;
        }
        match name.class {
            NameClass::Plain => false,
            NameClass::CardCode => is_card_code(self.text),
            _ if is_short_password(name, self.sign, self.text) => true,
            NameClass::Formed(SecretForm::Password) if self.may_be_test(name) => {
                is_irregular_value(self.text)
            }
            NameClass::Formed(form) => has_secret_form(self.text, form),
            _ if is_reference(self.text) => false,
            NameClass::Made => {
                is_random_value(self.text) || self.is_adjacent && is_short_random_value(self.text)
            }
            NameClass::Chosen => self.is_chosen_secret(look, name),
        }
    }

    /// Returns whether the value is a name or an expression of source code.
    fn is_code(self, look: RuleText<'_>, name: &AssignedName<'_>) -> bool {
        let is_call = self.text.iter().skip(1).any(|byte| *byte == b'(');
        let is_part = is_call
            || is_type_or_literal(self.text)
            || self.text.ends_with(b"{")
            || matches!(self.next, Some(b'(' | b'['));
        if is_part || name.is_parameter {
            return is_part;
        }
        // An empty parameter at the beginning of a form.
        let is_form = self.text.starts_with(b"&") && self.text.contains(&b'=');
        is_form
            || is_code_path(self.text)
            || is_hex_number(self.text)
            || is_secret_identifier(self.text)
                && (!is_variable_line(look, name, self.sign) || self.next == Some(b','))
                && look.byte_before(name.start) != Some(b';')
            // A tag of YAML.
            || self.text.starts_with(b"!")
                && self.next == Some(b' ')
                && self.text[1..].iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
    }

    /// Returns whether the value may be the name of a test: `PASS: TestParseV2`.
    fn may_be_test(self, name: &AssignedName<'_>) -> bool {
        self.sign != AssignmentSign::Close && name.text == b"PASS"
    }

    /// Returns whether the value is a password. Even a word is one in a string of settings and in
    /// an environment variable.
    fn is_chosen_secret(self, look: RuleText<'_>, name: &AssignedName<'_>) -> bool {
        const LEAST: usize = 3;
        let before = look.byte_before(name.start);
        let is_close = self.sign == AssignmentSign::Close;
        if before == Some(b';') || self.is_adjacent && self.next == Some(b';') {
            return self.text.len() >= LEAST;
        }
        // Even a short password is not a word, and a form has nothing else.
        let is_variable = !name.text.iter().any(u8::is_ascii_lowercase)
            && self.text.iter().any(u8::is_ascii_alphabetic);
        let is_short = is_close && (name.is_parameter || is_variable);
        if is_short && value_has_digit(self.text) && self.text.len() >= SHORT_BYTES_MIN {
            return true;
        }
        if !is_word_value(self.text) || is_random_value(self.text) {
            return is_chosen_value(self.text)
                && (value_has_digit(self.text) || !self.text.contains(&b'.'));
        }
        let is_constant = !name.text.iter().any(u8::is_ascii_lowercase);
        let is_line = before.is_none_or(|byte| byte == b'\n');
        let is_setting = is_close && !matches!(self.next, Some(b')' | b','))
            || is_line && self.next.is_none_or(|byte| matches!(byte, b'\r' | b'\n'));
        self.text.len() >= PASSWORD_BYTES_MIN
            && (is_constant || is_setting && is_chosen_value(self.text))
    }
}

/// Returns whether a value is a type that may be absent, as in `password: String!`, or the beginning of a
/// structure: `&oauth2.Token{AccessToken:`.
fn is_type_or_literal(text: &[u8]) -> bool {
    const TYPES: [&[u8]; 10] = [
        b"String",
        b"string",
        b"str",
        b"ID",
        b"ByteArray",
        b"CharArray",
        b"Data",
        b"SecureString",
        b"Secret",
        b"Any",
    ];
    let is_type = |mark| text.strip_suffix(mark).is_some_and(|name| TYPES.contains(&name));
    let structure = text.strip_prefix(b"&").map(|text| text.split(|&byte| byte == b'{'));
    let is_path = |path: &[u8]| {
        let name = path.rsplit(|byte| b".:".contains(byte)).next().unwrap_or_default();
        path.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_.:".contains(byte))
            && name.first().is_some_and(u8::is_ascii_uppercase)
            && is_wordlike(path)
    };
    is_type(b"!")
        || is_type(b"?")
        || structure
            .is_some_and(|mut parts| parts.next().is_some_and(is_path) && parts.next().is_some())
}

/// Returns whether a value is a number that programs write in hexadecimal.
fn is_hex_number(text: &[u8]) -> bool {
    const DIGITS_MAX: usize = 8;
    let digits = text.strip_prefix(b"0x").unwrap_or_default();
    (1..=DIGITS_MAX).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit)
}

/// Returns whether a name is an environment variable that a line sets: `DB_PASSWORD=…`.
fn is_variable_line(look: RuleText<'_>, name: &AssignedName<'_>, sign: AssignmentSign) -> bool {
    let is_constant = !name.text.iter().any(u8::is_ascii_lowercase);
    let is_first = look.byte_before(name.start).is_none_or(|byte| byte.is_ascii_whitespace());
    sign == AssignmentSign::Close && is_constant && is_first && name.class == NameClass::Chosen
}
