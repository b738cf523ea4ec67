//! Secrets that the text around them identifies: PEM blocks, headers, URLs, hashes of passwords.

use super::assignment::is_random_value;
use super::{RuleText, TriggerBytes, is_alphanumeric_byte, is_base64_byte, match_if_nonempty};
use crate::names::URL_PARAMETERS;
use crate::{Kind, Match};

type StructureRule = (TriggerBytes, fn(RuleText<'_>, usize) -> Option<Match>);

pub(super) const TRIGGERS: [StructureRule; 15] = [
    ([b"B", b"E", b"G", b"I"], private_key_at),
    ([b"L", b"S", b"0", b"t"], encoded_private_key_at),
    ([b"rR", b"iI", b"zZ", b"aA"], authorization_at),
    ([b"bB", b"eE", b"aA", b"rR"], bearer_token_at),
    ([b"kK", b"iI", b"eE", b":"], cookie_at),
    ([b":", b"/", b"/", USER], url_credentials_at),
    ([b"?&", b"sS", b"iI", b"gG"], url_parameter_at),
    ([b"?&", b"kK", b"eE", b"yY"], url_parameter_at),
    ([b"?&", b"xX", b"-", b"aAgG"], url_parameter_at),
    ([b"$", b"2", b"abxy", b"$"], password_hash_at),
    ([b"$", b"1568y", b"$", HASH], password_hash_at),
    ([b"$", b"a", b"r", b"g"], password_hash_at),
    ([b"$", b"k", b"r", b"b"], password_hash_at),
    ([b"kedp", b".", b"c", b"o"], webhook_url_at),
    ([b"m", b"a", b"c", b"h"], netrc_password_at),
];

/// The bytes with which a user's name in a URL may begin.
const USER: &[u8] =
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&()*+,;=:%@{}|^]";
/// The bytes with which a crypted password or its parameters may begin.
const HASH: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./$+=,-@";

/// The longest part of a URL or a line that is read before the secret in it.
const WINDOW_BYTES: usize = 512;

fn starts_ignoring_case(text: &[u8], lower: &[u8]) -> bool {
    text.get(..lower.len()).is_some_and(|text| text.eq_ignore_ascii_case(lower))
}

/// Returns the place in `text` at which `part` begins.
fn position_of_part(text: &[u8], part: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, part)
}

/// Returns a block from `-----BEGIN … PRIVATE KEY…-----` to the end of its last line. If the block
/// has no last line, it extends to the end of the text.
fn private_key_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    const LABEL_BYTES_MAX: usize = 64;
    let start = look.run_start(at, 5, |byte| byte == b'-');
    let label = look.rest_from(at).strip_prefix(b"BEGIN ").filter(|_| start < at)?;
    let label = &label[..label.len().min(LABEL_BYTES_MAX)];
    let label = &label[..position_of_part(label, b"-----")?];
    let is_label = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b' ';
    if position_of_part(label, b"PRIVATE KEY").is_none() || !label.iter().all(is_label) {
        return None;
    }
    let from = at + b"BEGIN ".len() + label.len();
    let end =
        position_of_part(look.rest_from(from), b"-----END ").map_or(look.text.len(), |ahead| {
            let closing = from + ahead + b"-----END ".len();
            let line =
                &look.rest_from(closing)[..look.rest_from(closing).len().min(LABEL_BYTES_MAX)];
            closing + position_of_part(line, b"-----").map_or(0, |ahead| ahead + 5)
        });
    match_if_nonempty(Kind::PrivateKey, start, end)
}

/// Returns the same block in base64: `-----BEGIN ` at the beginning, and `PRIVATE KEY` soon after.
fn encoded_private_key_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let text = look.rest_from(at);
    let begins = text.starts_with(b"LS0tLS1CRUdJTi");
    let head = &text[..text.len().min(80)];
    // `PRIVATE KEY`, encoded at each of the three offsets that it may have in a group of bytes.
    let names: [&[u8]; 3] = [b"UFJJVkFURSBLRV", b"BSSVZBVEUgS0VZ", b"QUklWQVRFIEtFW"];
    let is_private = begins && names.iter().any(|name| position_of_part(head, name).is_some());
    is_private.then(|| match_if_nonempty(Kind::PrivateKey, at, look.run_end(at, is_base64_byte)))?
}

fn is_header_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

/// Passes a closing quote, a colon or an equals sign, and an opening quote. Spaces may be between
/// them, and quotes may be escaped. Returns `None` if there is no sign.
fn header_value_start(look: RuleText<'_>, at: usize) -> Option<usize> {
    let is_filler = |byte| matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b'\\' | b',');
    let near = |from: usize| look.run_end(from, is_filler).min(from + 8);
    let sign = near(at);
    let behind = match look.byte_at(sign)? {
        b':' | b'=' => look.run_end(sign + 1, |byte| byte == b'>'),
        // A list of a name and a value.
        _ if look.text[at..sign].contains(&b',') => sign,
        _ => return None,
    };
    Some(near(behind))
}

/// Returns the credentials of an `Authorization` header whose `riz` is at `at`.
fn authorization_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    const OFFSET: usize = 5;
    let start = at.checked_sub(OFFSET).filter(|start| *start >= look.edge)?;
    let name = b"authorization";
    if !starts_ignoring_case(look.rest_from(start), name) {
        return None;
    }
    let value = header_value_start(look, start + name.len())?;
    let scheme = look.run_end(value, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let behind = look.run_end(scheme, |byte| byte == b' ');
    let has_scheme = behind > scheme && scheme > value && scheme - value <= 20;
    let start = if has_scheme { behind } else { value };
    let is_word = |scheme: &[u8]| starts_ignoring_case(look.rest_from(value), scheme);
    // For these schemes the whole line is a list of parts.
    let end = if has_scheme && (is_word(b"digest") || is_word(b"aws4") || is_word(b"hawk")) {
        look.run_end(start, |byte| !matches!(byte, b'\r' | b'\n' | b'\'' | b'['))
    } else {
        look.run_end(start, is_header_token_byte)
    };
    let text = &look.text[start..end];
    let is_one = if has_scheme {
        is_mixed_credential(text) && text.len() >= 6
    } else {
        is_random_value(text)
    };
    is_one.then(|| match_if_nonempty(Kind::Authorization, start, end))?
}

/// Returns whether a text has more than the small letters of a word or of a name in source code.
fn is_mixed_credential(text: &[u8]) -> bool {
    let has = |is: fn(&u8) -> bool| text.iter().any(is);
    has(u8::is_ascii_digit) || has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase)
}

/// Returns the token after `Bearer`, anywhere in a text: 16 bytes or more, with a digit.
fn bearer_token_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    const LEAST: usize = 16;
    let name = b"bearer ";
    if !starts_ignoring_case(look.rest_from(at), name)
        || look.byte_before(at).is_some_and(|b| b.is_ascii_alphanumeric())
    {
        return None;
    }
    let start = look.run_end(at + name.len(), |byte| byte == b' ');
    let end = look.run_end(start, is_header_token_byte);
    let is_one = end - start >= LEAST && look.text[start..end].iter().any(u8::is_ascii_digit);
    is_one.then(|| match_if_nonempty(Kind::Authorization, start, end))?
}

/// Returns the cookies of a header line, up to the end of the line or to a quote.
fn cookie_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let start = look.run_start(at, 3, |byte| byte.is_ascii_alphabetic());
    if !starts_ignoring_case(look.rest_from(start), b"cookie")
        || look.byte_before(start).is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
    {
        return None;
    }
    let start = look.run_end(at + 4, |byte| byte == b' ' || byte == b'\t');
    let is_part = |byte| !matches!(byte, b'\r' | b'\n' | b'"' | b'\'' | b'\\' | b'[');
    let mut head =
        look.rest_from(start).iter().take(WINDOW_BYTES).take_while(|&&byte| is_part(byte));
    let has_pair = head.any(|&byte| byte == b'=');
    has_pair.then(|| match_if_nonempty(Kind::Cookie, start, look.run_end(start, is_part)))?
}

/// Returns user and password before the host of a URL whose `://` is at `at`. If there is no colon,
/// a user's name of 20 bytes or more is a token.
fn url_credentials_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    const TOKEN_BYTES_MIN: usize = 20;
    let start = at + 3;
    let window = &look.rest_from(start)[..look.rest_from(start).len().min(WINDOW_BYTES)];
    let is_end = |byte: &u8| byte.is_ascii_whitespace() || b"/?#\"'<>\\[`".contains(byte);
    let authority = &window[..window.iter().position(is_end).unwrap_or(window.len())];
    let user = &authority[..authority.iter().rposition(|&byte| byte == b'@')?];
    let is_secret = match user.iter().position(|&byte| byte == b':') {
        Some(colon) => is_url_password(&user[colon + 1..]),
        None => user.len() >= TOKEN_BYTES_MIN,
    };
    is_secret.then(|| match_if_nonempty(Kind::UrlCredentials, start, start + user.len()))?
}

/// Returns whether a password in a URL is a value, and not a placeholder of the author:
/// `${PASSWORD}`, `{password}`, `***`.
fn is_url_password(text: &[u8]) -> bool {
    let is_place = |byte: &u8| b"${}<>%*".contains(byte);
    !text.is_empty()
        && !text.first().is_some_and(is_place)
        && !text.iter().all(|&byte| byte == b'x' || byte == b'X' || byte == b'*')
}

/// Returns the value of a parameter that signs a URL or is a key for it. These are `sig`,
/// `signature`, `key`, `X-Amz-Signature`, `X-Amz-Security-Token` and those of Google.
fn url_parameter_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    const LEAST: usize = 12;
    let name = URL_PARAMETERS
        .into_iter()
        .find(|name| starts_ignoring_case(look.rest_from(at + 1), name))?;
    let start = at + 1 + name.len();
    let end = look.run_end(start, |byte| is_header_token_byte(byte) || byte == b'%');
    (end - start >= LEAST).then(|| match_if_nonempty(Kind::UrlParameter, start, end))?
}

/// Returns a hash in the form of `crypt(3)` and similar ones: bcrypt, MD5, SHA-2, yescrypt, Argon2,
/// Kerberos.
fn password_hash_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    const LEAST: usize = 24;
    let text = look.rest_from(at);
    let is = |name: &&&[u8]| text.starts_with(name);
    let names = [&b"$2"[..], b"$1$", b"$5$", b"$6$", b"$8$", b"$y$", b"$argon2", b"$krb5"];
    let is_ticket = *names.iter().find(is)? == b"$krb5";
    let end = look.run_end(at, |byte| {
        is_alphanumeric_byte(byte)
            || b"./$+=,-@".contains(&byte)
            || is_ticket && matches!(byte, b':' | b'_')
    });
    let signs = look.text[at..end].iter().filter(|&&byte| byte == b'$').count();
    (signs >= 3 && end - at >= LEAST).then(|| match_if_nonempty(Kind::PasswordHash, at, end))?
}

/// Returns the URL of a webhook in whose host `.com` is after `last`. If somebody knows such a URL,
/// they may post to it.
fn webhook_url_at(look: RuleText<'_>, last: usize) -> Option<Match> {
    let at = last + 1;
    let start = look.run_start(at, 48, |byte| is_alphanumeric_byte(byte) || b".-".contains(&byte));
    let scheme = b"https://";
    let has_scheme = look.text[look.edge..start].ends_with(scheme);
    let start = if has_scheme { start - scheme.len() } else { start };
    let host = |name: &[u8]| look.text[start..at].ends_with(name);
    let path = at + b".com".len();
    let is_path = |name: &[u8]| starts_ignoring_case(look.rest_from(path), name);
    let is_hook = (host(b"hooks.slack") && is_path(b"/"))
        || (host(b"outlook.office") && is_path(b"/webhook"))
        || (host(b"webhook.office") && is_path(b"/webhook"))
        || (host(b"discord") && is_path(b"/api/webhooks/"))
        || (host(b"discordapp") && is_path(b"/api/webhooks/"));
    if !is_hook {
        return None;
    }
    let end = look.run_end(path, |byte| is_header_token_byte(byte) || byte == b'@' || byte == b'%');
    (end - path > 20).then(|| match_if_nonempty(Kind::WebhookUrl, start, end))?
}

/// Returns the password of an entry in a `.netrc` whose `machine` begins at `at`. An entry names a
/// machine, a login and a password in this order.
fn netrc_password_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let rest = look.rest_from(at).strip_prefix(b"machine ")?;
    let window = &rest[..rest.len().min(WINDOW_BYTES)];
    let is_space = |byte: u8| byte.is_ascii_whitespace();
    let mut behind = 0;
    for word in [None, Some(b"login".as_slice()), None, Some(b"password")] {
        behind += window[behind..].iter().take_while(|&&byte| is_space(byte)).count();
        let length = window[behind..].iter().take_while(|&&byte| !is_space(byte)).count();
        if length == 0 || word.is_some_and(|word| word != &window[behind..behind + length]) {
            return None;
        }
        behind += length;
    }
    let start = look.run_end(at + b"machine ".len() + behind, is_space);
    let end = look.run_end(start, |byte| byte.is_ascii_graphic() && byte != b'[');
    match_if_nonempty(Kind::Credential, start, end)
}
