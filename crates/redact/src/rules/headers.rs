//! Credentials in headers, however the header is spelled: lines, tuples, maps, calls, subscripts.

use super::carriers::escape_length;
use super::commands::argument_at;
use super::{
    RuleText, count_steps, forged_placeholder_length, match_if_nonempty, position_of_part,
    starts_ignoring_case,
};
use crate::looks::{is_mixed_random, is_random_value, is_reference};
use crate::{Kind, Match};

/// The longest part of a line that is read before the secret in it.
const WINDOW_BYTES: usize = 512;
/// The longest part of a line in which the other cookies of a list are looked for.
const COOKIES_BYTES_MAX: usize = 4096;
/// The most bytes between the name of a header and its sign, and between the sign and the value.
const BETWEEN_BYTES_MAX: usize = 12;

/// Signs and marks that are spelled with escapes of URLs or of HTML.
const ESCAPED_SIGNS: [&[u8]; 7] =
    [b"%3a", b"%3d", b"&#58;", b"&#61;", b"&#x3a;", b"&#x3d;", b"&colon;"];
const ESCAPED_BLANKS: [&[u8]; 7] =
    [b"%20", b"%22", b"%27", b"&quot;", b"&#34;", b"&#39;", b"&#32;"];

/// The value of a header.
#[derive(Clone, Copy, Debug)]
struct HeaderValue {
    start: usize,
    sign: HeaderSign,
    /// It is in square brackets, as in the maps of Go.
    is_in_list: bool,
}

/// What is between the name of a header and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeaderSign {
    Colon,
    /// A list of a name and a value.
    Comma,
    Other,
}

/// Passes what closes the name, a sign, and what opens the value. Quotes may be escaped. Returns
/// `None` if there is no sign.
fn header_value_at(look: RuleText<'_>, at: usize) -> Option<HeaderValue> {
    let closes = |byte| matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b'`' | b'\\' | b',' | b']');
    let mut sign = look.run_end(at, closes).min(at + BETWEEN_BYTES_MAX);
    if let Some(length) = escape_length(look.rest_from(sign), &ESCAPED_BLANKS) {
        sign += length;
    }
    let rest = look.rest_from(sign);
    let (behind, kind) = match *rest.first()? {
        b':' => (look.run_end(sign + 1, |byte| matches!(byte, b'>' | b'=')), HeaderSign::Colon),
        b'=' => (look.run_end(sign + 1, |byte| byte == b'>'), HeaderSign::Other),
        b'-' if rest.get(1) == Some(&b'>') => (sign + 2, HeaderSign::Other),
        b'%' | b'&' => (sign + escape_length(rest, &ESCAPED_SIGNS)?, HeaderSign::Colon),
        _ if look.text[at..sign].contains(&b',') => (sign, HeaderSign::Comma),
        // A directive of a server: `proxy_set_header Authorization "…"`.
        _ if matches!(look.text[at..sign], [b' ', b'"' | b'\'']) => (sign, HeaderSign::Other),
        _ => return None,
    };
    let start = header_value_opening(look, behind, kind == HeaderSign::Comma);
    let is_in_list = look.text[behind..start].contains(&b'[');
    Some(HeaderValue { start, sign: kind, is_in_list })
}

/// Passes blanks, quotes, an opening bracket, and the letter of a literal of bytes.
fn header_value_opening(look: RuleText<'_>, from: usize, is_list: bool) -> usize {
    let mut at = from;
    while at < from + BETWEEN_BYTES_MAX {
        let rest = look.rest_from(at);
        at += match rest {
            [b',', ..] if is_list => 1,
            [b' ' | b'\t' | b'"' | b'\'' | b'`' | b'\\' | b'(', ..] => 1,
            [b'[', ..] if !rest.starts_with(b"[REDACTED") && !rest.starts_with(b"[]string{") => 1,
            [b'b' | b'f' | b'u' | b'r', b'"' | b'\'', ..] => 1,
            [b'r', b'#', b'"', ..] => 2,
            _ if rest.starts_with(b"[]string{") => b"[]string{".len(),
            [b'&', b'[', ..] => 1,
            _ => match escape_length(rest, &ESCAPED_BLANKS) {
                Some(length) => length,
                None => break,
            },
        };
    }
    count_steps(at - from + 1);
    at
}

/// Returns the end of the credentials that begin at `at`, if they are a secret. A quote, a blank or a
/// bracket ends them, and so does a comma before the next header. The first part of a longer text
/// decides.
fn header_secret_end(
    look: RuleText<'_>,
    at: usize,
    is_secret: impl Fn(&[u8]) -> bool,
) -> Option<usize> {
    let end = header_token_end(look.text, at, at + WINDOW_BYTES);
    let text = &look.text[at..end];
    let is_url = position_of_part(text, b"://").is_some();
    // A bracket makes it a call.
    let is_call = look.byte_at(end) == Some(b'(');
    if !is_secret(text) || is_url || is_call || is_reference(text) {
        return None;
    }
    let end =
        if end < at + WINDOW_BYTES { end } else { header_token_end(look.text, at, usize::MAX) };
    count_steps(end - at);
    let trailing = look.text[at..end].iter().rev().take_while(|byte| b".:,;&|".contains(byte));
    Some(end - trailing.count())
}

/// Returns the end of the same, which is not after `limit`.
fn header_token_end(text: &[u8], at: usize, limit: usize) -> usize {
    let text = &text[..text.len().min(limit)];
    let mut end = at;
    while let Some(&byte) = text.get(end) {
        let rest = &text[end..];
        let is_part = match byte {
            b',' | b';' => {
                let next = rest.get(1);
                next.is_some_and(u8::is_ascii_alphanumeric) && !begins_next_header(&rest[1..])
            }
            b'%' => escape_length(rest, &[b"%0d", b"%0a", b"%20", b"%22", b"%27"]).is_none(),
            b'&' => escape_length(rest, &[b"&quot;", b"&#39;", b"&#34;", b"&lt;"]).is_none(),
            byte => byte.is_ascii_graphic() && !b"\"'`\\[](){}<>".contains(&byte),
        };
        if !is_part {
            break;
        }
        end += 1;
    }
    end
}

/// Returns whether a name and its sign are at the beginning of a text.
fn begins_next_header(text: &[u8]) -> bool {
    let is_part = |byte: &&u8| byte.is_ascii_alphabetic() || **byte == b'-';
    let name = text.iter().take(40).take_while(is_part).count();
    let sign = text.get(name).is_some_and(|byte| matches!(byte, b':' | b'='));
    name > 0
        && sign
        && text.get(name + 1).is_some_and(|byte| byte.is_ascii_graphic() && *byte != b'=')
}

/// Returns the credentials of an `Authorization` header whose `riz` is at `at`.
pub(super) fn authorization_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    const OFFSET: usize = 5;
    let start = at.checked_sub(OFFSET).filter(|start| *start >= look.edge)?;
    let name = b"authorization";
    // A placeholder is not a name.
    if !starts_ignoring_case(look.rest_from(start), name)
        || look.text[look.edge..start].ends_with(b"[REDACTED_")
    {
        return None;
    }
    let HeaderValue { start: value, is_in_list, .. } = header_value_at(look, start + name.len())?;
    let scheme = look.run_end(value, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let behind = scheme_gap_end(look, scheme);
    let has_scheme = behind > scheme && scheme > value && scheme - value <= 20;
    let start = if has_scheme { behind } else { value };
    let start = start + forged_placeholder_length(look, start);
    let scheme = &look.text[value..scheme];
    let is_secret = |text: &[u8]| match has_scheme {
        true => {
            is_mixed_credential(text) && text.len() >= 6
                || text.len() >= 10 && is_random_value(text)
        }
        false => {
            is_random_value(text) && (!is_in_list || text.len() >= 20 || is_mixed_random(text))
        }
    };
    let end = match has_scheme && is_list_scheme(scheme, look.rest_from(start)) {
        true => header_list_end(look, start)?,
        false => header_secret_end(look, start, is_secret)?,
    };
    match_if_nonempty(Kind::Authorization, start, end)
}

/// Returns the end of a header that is a list of parts, if a secret is in the first of them.
fn header_list_end(look: RuleText<'_>, start: usize) -> Option<usize> {
    let is_part = |byte| !matches!(byte, b'\r' | b'\n' | b'\'' | b'[' | b']');
    let head = look.rest_from(start).iter().take(WINDOW_BYTES).take_while(|&&byte| is_part(byte));
    let head = &look.rest_from(start)[..head.count()];
    head.iter().any(u8::is_ascii_digit).then(|| look.run_end(start, is_part))
}

/// Passes the blanks after a scheme, which may be escaped.
fn scheme_gap_end(look: RuleText<'_>, scheme: usize) -> usize {
    match look.rest_from(scheme) {
        [b'%', b'2', b'0', ..] => scheme + 3,
        [b'+', next, ..] if next.is_ascii_alphanumeric() => scheme + 1,
        [b':', b' ', ..] => look.run_end(scheme + 1, |byte| byte == b' '),
        _ => look.run_end(scheme, |byte| byte == b' ' || byte == b'\t'),
    }
}

/// Returns whether parameters follow a scheme, and not one word.
fn is_list_scheme(scheme: &[u8], text: &[u8]) -> bool {
    let starts = |name: &[u8]| starts_ignoring_case(scheme, name);
    let is_part = |byte: &&u8| byte.is_ascii_alphabetic() || **byte == b'_';
    let name = text.iter().take(32).take_while(is_part).count();
    let value = text.get(name..).and_then(|rest| rest.strip_prefix(b"=")).unwrap_or_default();
    let value = value.iter().find(|byte| !b"\"\\".contains(byte));
    let is_parameter = name > 1 && value.is_some_and(u8::is_ascii_alphanumeric);
    starts(b"digest") || starts(b"aws4") || starts(b"hawk") || is_parameter
}

/// Returns whether a text has more than the small letters of a word or of a name in source code.
fn is_mixed_credential(text: &[u8]) -> bool {
    let has = |is: fn(&u8) -> bool| text.iter().any(is);
    has(u8::is_ascii_digit) || has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase)
}

/// Returns the token after `Bearer`, anywhere in a text: 16 bytes or more, with a digit.
pub(super) fn bearer_token_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    const LEAST: usize = 16;
    let name = b"bearer ";
    if !starts_ignoring_case(look.rest_from(at), name)
        || look.byte_before(at).is_some_and(|b| b.is_ascii_alphanumeric())
    {
        return None;
    }
    let start = look.run_end(at + name.len(), |byte| byte == b' ');
    // A challenge has parameters.
    if is_list_scheme(b"bearer", look.rest_from(start)) {
        return None;
    }
    let is_secret = |text: &[u8]| text.len() >= LEAST && text.iter().any(u8::is_ascii_digit);
    let end = header_secret_end(look, start, is_secret)?;
    match_if_nonempty(Kind::Authorization, start, end)
}

/// Returns the cookies of a header line, up to the end of the line or to a quote.
pub(super) fn cookie_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let start = look.run_start(at, 3, |byte| byte.is_ascii_alphabetic());
    if !starts_ignoring_case(look.rest_from(start), b"cookie")
        || look.byte_before(start).is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
    {
        return None;
    }
    if look.text[look.edge..start].ends_with(b"--") {
        return cookie_argument(look, at + 3);
    }
    let HeaderValue { start, sign, is_in_list } = header_value_at(look, at + 3)?;
    let is_part = |byte| {
        let is_end = matches!(byte, b'\r' | b'\n' | b'"' | b'\'' | b'\\' | b'[');
        !is_end && (!is_in_list || byte != b']')
    };
    let rest = look.rest_from(start);
    let head = &rest[..rest.len().min(WINDOW_BYTES)];
    let head = &head[..head.iter().position(|&byte| !is_part(byte)).unwrap_or(head.len())];
    let pair = (0..head.len())
        .find(|&at| head[at] == b'=' || starts_ignoring_case(&head[at..], b"%3d"))?;
    // In source code an equals sign follows the word, too.
    let value = head[pair + 1..].split(|byte| b"; ".contains(byte)).next().unwrap_or_default();
    let is_one = head[0].is_ascii_alphanumeric() || head[0] == b'_';
    if !is_one || sign != HeaderSign::Colon && !is_random_value(value) {
        return None;
    }
    // Many headers may have the same end, so it is searched fast.
    let line = &rest[..memchr::memchr3(b'\r', b'\n', b'"', rest).unwrap_or(rest.len())];
    let line = &line[..memchr::memchr3(b'\'', b'\\', b'[', line).unwrap_or(line.len())];
    let close = if is_in_list { memchr::memchr(b']', line) } else { None };
    let end = start + close.unwrap_or(line.len());
    let end = if is_in_list { cookie_list_end(look, end).unwrap_or(end) } else { end };
    match_if_nonempty(Kind::Cookie, start, end)
}

/// Returns the cookies that are the argument of `--cookie`. Without a pair it is the name of a file.
pub(super) fn cookie_argument(look: RuleText<'_>, at: usize) -> Option<Match> {
    let gap = look.run_end(at, |byte| byte == b' ' || byte == b'=').min(at + 2);
    let (start, end) = argument_at(look, gap)?;
    let has_pair = gap > at && look.text[start..end].contains(&b'=');
    has_pair.then(|| match_if_nonempty(Kind::Cookie, start, end))?
}

/// Returns the value of a cookie in a file of cookies. Before it are, with tabs between them, a host,
/// `TRUE` or `FALSE`, a path, the same whose last letter is at `at + 1`, a time, and a name.
pub(super) fn netscape_cookie_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    const FIELD_BYTES_MAX: usize = 256;
    let field_end = |at: usize| {
        let end = look.run_end(at, |byte| byte.is_ascii_graphic());
        (end > at && end - at <= FIELD_BYTES_MAX).then_some(end)
    };
    let next = |at: usize| (look.byte_at(at) == Some(b'\t')).then_some(at + 1);
    let flags = &look.text[look.edge.max(at.saturating_sub(FIELD_BYTES_MAX))..at];
    let path = flags.rsplit(|&byte| byte == b'\t').nth(1)?;
    let time = look.run_end(at + 3, |byte| byte.is_ascii_digit());
    let value = next(field_end(next(time)?)?)?;
    let is_line = path.starts_with(b"/");
    is_line.then(|| match_if_nonempty(Kind::Cookie, value, field_end(value)?))?
}

/// Returns the end of the last cookie of a list in quotes, if more follow the one that ends at `at`.
fn cookie_list_end(look: RuleText<'_>, at: usize) -> Option<usize> {
    let rest = look.rest_from(at);
    let rest = &rest[..rest.len().min(COOKIES_BYTES_MAX)];
    let length = rest.iter().position(|byte| b"[]\r\n".contains(byte))?;
    let last = rest[..length].iter().rposition(|byte| b"\"'".contains(byte))?;
    (rest[length] == b']').then_some(at + last)
}

#[cfg(test)]
mod tests {
    use crate::Sanitizer;

    fn redacted(text: &str) -> String {
        Sanitizer::default().redact_str(text).into_owned()
    }

    #[test]
    fn an_authorization_ends_at_a_quote_a_blank_or_a_bracket() {
        for value in [
            "Bearer 7|qW8eRt5yUi2oPa4s",
            "Key 7b1c2a90-11aa-4bcd-9e12-0f1e2d3c4b5a:9f8e7d6c5b4a39281706",
            "FlyV1 fm2_aB3dE5,fm2_gH7jK9mN1",
            "Bearer AAAA%2FqW8eRt5yUi2o%3DPa4s",
            "SharedKey shop:qW8eRt5yUi2oPa4s=",
            "Basic YW5hOnNlY3JldDE=",
        ] {
            let scheme = value.split(' ').next().unwrap();
            for (before, after) in [
                ("Authorization: ", ""),
                ("{'authorization': '", "', 'accept': '*/*'}"),
                ("[(b'authorization', b'", "'), (b'accept', b'*/*')]"),
                ("map[Accept:[*/*] Authorization:[", "] Host:[h]]"),
                ("headers[\"Authorization\"] = \"", "\""),
                ("{Authorization=[", "], Accept=[*/*]}"),
                ("Map(Authorization -> ", ", Accept -> */*)"),
                ("[Authorization] => ", "\n[Accept] => x"),
                ("Authorization&#58; ", " x"),
            ] {
                let text = format!("{before}{value}{after}");
                let expected = format!("{before}{scheme} [REDACTED_authorization]{after}");
                assert_eq!(redacted(&text), expected);
                assert_eq!(redacted(&expected), expected);
            }
        }
        assert_eq!(
            redacted("Authorization%3A%20Basic%20YW5hOnNlY3JldDE%3D%0D%0A"),
            "Authorization%3A%20Basic%20[REDACTED_authorization]%0D%0A"
        );
    }

    #[test]
    fn an_authorization_without_credentials_stays() {
        for text in [
            "Authorization: required for all",
            "Authorization: Bearer $API_TOKEN1",
            "Authorization: Bearer <token-1>",
            "WWW-Authenticate: Bearer realm=\"shop1\", error=\"invalid_token\"",
            "WWW-Authenticate: Bearer authorization_uri=https://login.test/v2.0/1",
            "[REDACTED_authorization]: Zk3mQ9x2Lw8v",
            "authorization = new Headers(a1)",
            "Win32_Authorization = [\"Win32_Security\"]",
            ".. _`RFC6749#Authorization`: https://tools.test/rfc6749#section-3.1",
            "h[\"authorization\"] = \"GoogleLogin Auth=\" + self.Auth1",
        ] {
            assert_eq!(redacted(text), text);
        }
    }

    #[test]
    fn cookies_are_found_in_maps_and_tuples() {
        let cookie = "sid=Zk3mQ9x2Lw8v; theme=dark";
        for (before, after) in [
            ("map[Cookie:[", "] Accept:[*/*]]"),
            ("(b'Set-Cookie', b'", "')"),
            ("document.cookie = \"", "\""),
            ("{Cookie=[", "]}"),
            ("set-cookie -> ", ""),
        ] {
            let text = format!("{before}{cookie}{after}");
            assert_eq!(redacted(&text), format!("{before}[REDACTED_cookie]{after}"));
        }
        assert_eq!(
            redacted("{'set-cookie': ['a=1; path=/', 'sid=Zk3mQ9x2Lw8v'], 'x': 1}"),
            "{'set-cookie': ['[REDACTED_cookie]'], 'x': 1}"
        );
        for text in [
            "cookie = session.cookies",
            "Cookie policy: 3 days",
            "let cookie = a == b;",
            "f(h=\"Cookie:\", a=\"b\")",
        ] {
            assert_eq!(redacted(text), text);
        }
    }
}
