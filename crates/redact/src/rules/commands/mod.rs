//! Secrets on command lines after short options and `--user`.

use super::headers::cookie_argument;
use super::{RuleText, match_if_nonempty};
use crate::looks::{is_mixed_random, is_reference};
use crate::{Kind, Match};

/// The letters of short options that take a password, or a user and a password.
pub(super) const LETTERS: &[u8] = b"uUpPawb";
/// The bytes after such a letter: a blank, an equals sign, or the beginning of a value.
pub(super) const AFTER_LETTER: &[u8] =
    b" =\"'!#$%&*+./0123456789:@ABCDEFGHIJKLMNOPQRSTUVWXYZ^_abcdefghijklmnopqrstuvwxyz{~";

/// The part of a command line that is searched for the name of the program.
const COMMAND_BYTES_MAX: usize = 200;
const ARGUMENT_BYTES_MAX: usize = 256;

/// Programs whose `-u` is a user and a password.
const USER_PROGRAMS: [&[u8]; 8] =
    [b"curl", b"wget", b"xh", b"http", b"https", b"ab", b"smbclient", b"lftp"];
/// Programs whose `-p` is joined with a password.
const JOINED_PROGRAMS: [&[u8]; 9] = [
    b"mysql",
    b"mysqldump",
    b"mysqladmin",
    b"mysqlimport",
    b"mysqlsh",
    b"mariadb",
    b"mariadb-dump",
    b"sshpass",
    b"7z",
];
/// Programs, or their commands, by the letter of the option after which they take a password.
const PASSWORD_PROGRAMS: [(u8, &[&[u8]]); 4] = [
    (
        b'p',
        &[
            b"login",
            b"sshpass",
            b"mongo",
            b"mongosh",
            b"mongodump",
            b"mongorestore",
            b"mongoexport",
            b"mongoimport",
            b"cypher-shell",
            b"rabbitmqadmin",
        ],
    ),
    (b'a', &[b"redis-cli", b"valkey-cli", b"keydb-cli"]),
    (b'P', &[b"sqlcmd", b"bcp", b"isql", b"mosquitto_pub", b"mosquitto_sub", b"unzip", b"zip"]),
    (b'w', &[b"ldapsearch", b"ldapmodify", b"ldapadd", b"ldapdelete", b"ldapwhoami"]),
];

/// Returns the secret after a short option such as `-u` or `-p`. The blank before it is at `at`.
pub(super) fn short_option_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let letter = look.byte_at(at + 2)?;
    let behind = at + 3;
    let gap = look.run_end(behind, |byte| byte == b' ').min(behind + 2);
    let gap = gap + usize::from(look.byte_at(gap) == Some(b'='));
    let (start, end) = argument_at(look, gap)?;
    let colon_or_sign = look.text[start..end].iter().find(|byte| b":=".contains(byte));
    if matches!(letter, b'u' | b'U') || letter == b'a' && colon_or_sign == Some(&b':') {
        return user_argument(look, at, start, end);
    }
    if letter == b'b' {
        return names_program(look, at, &[b"curl"]).then(|| cookie_argument(look, behind))?;
    }
    let text = &look.text[start..end];
    // Another option.
    if start == gap && text.starts_with(b"-") {
        return None;
    }
    let names = |programs: &[&[u8]]| names_program(look, at, programs);
    let is_random = || is_mixed_random(text) && !b"/.~".contains(&text[0]);
    let takes_password = || {
        let programs = PASSWORD_PROGRAMS.into_iter().find(|(option, _)| *option == letter);
        programs.is_some_and(|(_, programs)| names(programs))
    };
    let is_secret = match gap == behind {
        true => letter == b'p' && (is_random() || names(&JOINED_PROGRAMS)),
        false => letter == b'p' && is_random() || takes_password(),
    };
    (is_secret && !is_reference(text)).then(|| match_if_nonempty(Kind::Credential, start, end))?
}

/// Returns the password after `--user` or `--proxy-user`, whose second hyphen or whose hyphen
/// before `user` is at `at`.
pub(super) fn user_option_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let behind = at + b"-user".len();
    let gap = look.run_end(behind, |byte| matches!(byte, b' ' | b'=')).min(behind + 2);
    let is_option = look.rest_from(at).starts_with(b"-user")
        && (look.byte_before(at) == Some(b'-') || look.text[look.edge..at].ends_with(b"--proxy"));
    if !is_option || gap == behind {
        return None;
    }
    let (start, end) = argument_at(look, gap)?;
    user_argument(look, at, start, end)
}

/// Returns the secret part of `user:password`.
fn user_argument(look: RuleText<'_>, at: usize, start: usize, end: usize) -> Option<Match> {
    let text = &look.text[start..end];
    let colon = text.iter().position(|byte| b":%".contains(byte))?;
    let (user, password) = (&text[..colon], &text[colon + 1..]);
    // A path of names in source code, or an object.
    if user.iter().any(|byte| b"/{ ".contains(byte)) || password.starts_with(b":") {
        return None;
    }
    // A token is a user without a password.
    if user.len() >= 20 && is_mixed_random(user) && (password.is_empty() || password == b"x") {
        return match_if_nonempty(Kind::Credential, start, start + colon);
    }
    let has = |is: fn(&u8) -> bool| password.iter().any(is);
    // A user and a group have this form, too.
    let is_mixed = password.len() >= 6
        && has(u8::is_ascii_alphabetic)
        && (has(u8::is_ascii_digit) || has(u8::is_ascii_uppercase));
    let is_secret = is_mixed || names_program(look, at, &USER_PROGRAMS);
    (is_secret && !is_reference(password))
        .then(|| match_if_nonempty(Kind::Credential, start + colon + 1, end))?
}

/// Returns the place of an argument, without the quotes around it.
pub(super) fn argument_at(look: RuleText<'_>, at: usize) -> Option<(usize, usize)> {
    let rest = look.rest_from(at);
    let rest = &rest[..rest.len().min(ARGUMENT_BYTES_MAX)];
    let escapes = rest.iter().take_while(|&&byte| byte == b'\\').count();
    let quote = rest.get(escapes).copied().filter(|byte| matches!(byte, b'"' | b'\''));
    let start = if quote.is_some() { escapes + 1 } else { 0 };
    let is_end = |at: &usize| match (quote, rest[*at]) {
        (Some(_), byte) => byte == b'\n' || byte == b'\\',
        (None, b'&') => !joins_value(&rest[*at..]),
        (None, byte) => !byte.is_ascii_graphic() || b"\"'`\\;|<>()[]".contains(&byte),
    };
    let closing = quote.and_then(|quote| look.quoted_end(at + start, quote, ARGUMENT_BYTES_MAX));
    let end = match closing {
        Some(end) => end - at,
        None => (start..rest.len()).find(is_end).unwrap_or(rest.len()),
    };
    let length = end.checked_sub(start)?;
    // A mark after a word belongs to the sentence.
    let marks = |byte: &&u8| quote.is_none() && b".,;".contains(byte);
    let marks = rest[start..start + length].iter().rev().take_while(marks).count();
    // Between two quotes may be what separates two strings.
    let is_value = rest[start..start + length].iter().any(u8::is_ascii_alphanumeric);
    (is_value && length > marks).then_some((at + start, at + start + length - marks))
}

/// Returns whether an ampersand is a part of a value that was pasted without quotes. It ends the value
/// before a blank, before a second one, before the name of another parameter, and in an entity of HTML.
fn joins_value(text: &[u8]) -> bool {
    let behind = &text[1..];
    let word = behind.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_');
    let next = behind.get(word.count()).copied();
    behind.first().is_some_and(|byte| byte.is_ascii_graphic() && !b"&;|<>()[]\"'`\\".contains(byte))
        && !matches!(next, Some(b'=' | b';'))
}

/// Returns whether one of these programs is named before the place, on the same line and in the same
/// command.
fn names_program(look: RuleText<'_>, at: usize, programs: &[&[u8]]) -> bool {
    // Also before the edge: a match between the program and the option hides neither.
    let from = at.saturating_sub(COMMAND_BYTES_MAX);
    let line = &look.text[from..at];
    let start = line.iter().rposition(|byte| b"\n;|".contains(byte)).map_or(0, |end| end + 1);
    let mut words = line[start..].split(|byte| b" \t\"'/`($&=".contains(byte));
    words.any(|word| programs.contains(&word))
}

#[cfg(test)]
mod tests;
