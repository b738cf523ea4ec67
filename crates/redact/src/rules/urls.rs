//! Secrets in URLs: user and password, parameters, webhooks.

use super::parameters::{VALUE_BYTES_MAX, is_bare_value_byte, parameter_end};
use super::starts_ignoring_case;
use super::{
    RuleText, forged_placeholder_length, is_alphanumeric_byte, is_header_token_byte,
    match_if_nonempty,
};
use crate::looks::{is_irregular_value, is_mixed_random, is_reference};
use crate::{Kind, Match};

/// The bytes with which a user's name in a URL may begin.
pub(super) const USER: &[u8] =
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&()*+,;=:%@{}|^]";

/// A parameter with the sign after it, the least length of its value, and whether the value needs
/// both letters and digits.
type UrlParameter = (&'static [u8], usize, bool);

/// Parameters that sign a URL, are a key for it, or stand for a login. The short names have other
/// meanings too, such as a code for a country or an error.
const PARAMETERS: [UrlParameter; 26] = [
    (b"sig=", 12, false),
    (b"signature=", 12, false),
    (b"sign=", 16, true),
    (b"hmac=", 16, true),
    (b"key=", 12, false),
    (b"x-amz-signature=", 12, false),
    (b"x-amz-security-token=", 12, false),
    (b"x-amz-credential=", 12, false),
    (b"x-goog-signature=", 12, false),
    (b"x-goog-credential=", 12, false),
    (b"pass=", 6, true),
    (b"auth=", 12, true),
    (b"jwt=", 16, true),
    (b"sid=", 16, true),
    (b"sess=", 16, true),
    (b"session=", 16, true),
    (b"code=", 16, true),
    (b"code_verifier=", 16, true),
    (b"device_code=", 16, true),
    (b"ticket=", 16, true),
    (b"assertion=", 16, true),
    (b"client_assertion=", 16, true),
    (b"samlresponse=", 16, true),
    (b"samlrequest=", 16, true),
    (b"samlart=", 16, true),
    (b"wresult=", 16, true),
];

/// The part of a URL that is read to find its host. It is not longer than what is searched again
/// before a match.
const USER_INFO_BYTES_MAX: usize = 360;
/// A user's name of this length without a password is a token.
const TOKEN_BYTES_MIN: usize = 20;

/// Returns user and password before the host of a URL whose `://` is at `at`.
///
/// A password may contain every byte but white space and double quotes, even a raw `/` or `@`. So
/// the host is what looks like one, and not what follows the first `@`.
pub(super) fn url_credentials_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let start = at + 3;
    let rest = look.rest_from(start);
    let rest = &rest[..rest.len().min(USER_INFO_BYTES_MAX)];
    let name = rest.iter().take_while(|&&byte| is_user_name_byte(byte)).count();
    let forged = match rest.get(name) {
        Some(b':') => forged_placeholder_length(look, start + name + 1),
        _ => 0,
    };
    if forged > 0 {
        return forged_password_at(look, start + name + 1 + forged);
    }
    let word = url_word(rest, name);
    let (user, at_sign) = match word.get(name) {
        Some(b'@') => (&word[..name], name),
        Some(b':') if !is_port(&word[name + 1..]) => {
            let host = host_start(&word[name + 1..])
                .or_else(|| spaced_host_start(look, at, &rest[name + 1..]))?;
            (&word[..name], name + host)
        }
        _ => return None,
    };
    let password = rest.get(user.len() + 1..at_sign);
    let is_secret = match password {
        None if is_url_placeholder(user) => is_email_at(rest, at_sign),
        None => user.len() >= TOKEN_BYTES_MIN,
        Some(password) if is_url_placeholder(password) => {
            is_token(user) || is_email_at(rest, at_sign)
        }
        Some(_) => true,
    };
    is_secret.then(|| match_if_nonempty(Kind::UrlCredentials, start, start + at_sign))?
}

/// Returns the rest of a password after a placeholder that no rule has put there.
fn forged_password_at(look: RuleText<'_>, start: usize) -> Option<Match> {
    let rest = look.rest_from(start);
    let host = host_start(url_word(&rest[..rest.len().min(USER_INFO_BYTES_MAX)], 0))?;
    match_if_nonempty(Kind::UrlCredentials, start, start + host - 1)
}

fn is_user_name_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b":@/?#\"'`<>\\[".contains(&byte)
}

/// Returns the word at the beginning of a text. It ends before white space, a double quote, an
/// escape or a placeholder. Before its first colon or `@` it has no other mark either.
fn url_word(rest: &[u8], name: usize) -> &[u8] {
    let is_end = |byte: u8| !byte.is_ascii_graphic() && byte < 0x80 || b"\"`\\".contains(&byte);
    let ends = |at: usize| is_end(rest[at]) || rest[at..].starts_with(b"[REDACTED");
    &rest[..(name..rest.len()).find(|&at| ends(at)).unwrap_or(rest.len())]
}

/// Returns whether a port is at the beginning of the text after a host and a colon. One digit is
/// more often the beginning of a password.
fn is_port(text: &[u8]) -> bool {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (2..=5).contains(&digits) && text.get(digits).is_none_or(|byte| b"/?#,;'\")]}>|".contains(byte))
}

/// Returns the place after the `@` before the host, counted from the colon before the password. The
/// first whole name of a host decides. If there is none, the last `@` does that a word follows.
fn host_start(rest: &[u8]) -> Option<usize> {
    let signs = || (0..rest.len()).filter(|&at| rest[at] == b'@');
    let whole = signs().find(|&at| is_whole_host(&rest[at + 1..]));
    let authority = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
    let loose = |at: &usize| *at < authority || is_one_word_host(&rest[*at + 1..]);
    // Each host of a list may have a user.
    let is_list = |at: usize| rest[at..authority.max(at)].contains(&b',');
    let last = match whole {
        Some(at) if is_list(at) => signs().rfind(|&at| at < authority),
        Some(at) => Some(at),
        None => signs().rfind(loose),
    };
    last.map(|at| at + 1)
}

/// Returns whether a host is at the beginning of the text, and nothing else: a name with a dot and
/// letters after it, an address, or `localhost` or a name with a port.
fn is_whole_host(text: &[u8]) -> bool {
    let (host, after) = split_host(text);
    let has_end = is_top_level(host) || host.eq_ignore_ascii_case(b"localhost");
    let port = after.strip_prefix(b":").map_or(0, digits_before_end);
    ends_authority(&after[if port > 0 { port + 1 } else { 0 }..]) && (has_end || port > 0)
        || text.starts_with(b"[") && text.contains(&b']')
}

fn is_top_level(host: &[u8]) -> bool {
    let last = host.rsplit(|&byte| byte == b'.').next().unwrap_or_default();
    let is_name = last.len() >= 2 && last.iter().all(u8::is_ascii_alphabetic);
    let is_address = host.split(|&byte| byte == b'.').count() == 4
        && host.iter().all(|&byte| byte == b'.' || byte.is_ascii_digit());
    host.contains(&b'.') && is_name || is_address
}

/// Returns whether a word that may be a host without a dot is at the beginning of the text.
fn is_one_word_host(text: &[u8]) -> bool {
    let (host, after) = split_host(text);
    !host.is_empty() && ends_authority(after)
}

fn split_host(text: &[u8]) -> (&[u8], &[u8]) {
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b".-_".contains(byte);
    text.split_at(text.iter().take_while(is_part).count())
}

/// Returns the number of digits at the beginning of a text, if what follows ends a host.
fn digits_before_end(text: &[u8]) -> usize {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if ends_authority(&text[digits..]) { digits } else { 0 }
}

fn ends_authority(text: &[u8]) -> bool {
    text.first().is_none_or(|byte| b"/?#,;'\")]}>\\|".contains(byte) || byte.is_ascii_whitespace())
}

/// Returns the same as [`host_start`] if the password has spaces. This is looked for only in URLs of
/// databases and the like, because prose follows other URLs.
fn spaced_host_start(look: RuleText<'_>, at: usize, rest: &[u8]) -> Option<usize> {
    let scheme =
        look.run_start(at, 16, |byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let scheme = &look.text[scheme..at];
    let is_web = [&b"http"[..], b"https", b"ws", b"wss", b"ftp", b"file"].contains(&scheme);
    let is_end = |byte: &u8| byte.is_ascii_control() || b"\"`[".contains(byte);
    let line = &rest[..rest.iter().position(is_end).unwrap_or(rest.len())];
    let is_host = |at: &usize| {
        let text = &line[*at + 1..];
        let after = split_host(text).1;
        is_whole_host(text) && after.first().is_some_and(|byte| b":/".contains(byte))
    };
    let found = (0..line.len()).filter(|&at| line[at] == b'@').find(is_host)?;
    let words = line[..found].split(|&byte| byte == b' ').count();
    (!is_web && !scheme.is_empty() && words <= 4).then_some(found + 1)
}

/// Returns whether a password in a URL is a placeholder of its author, or says that there is none.
fn is_url_placeholder(text: &[u8]) -> bool {
    is_reference(text) && (text.len() != 1 || text == b"*")
        || matches!(text, b"x-oauth-basic" | b"%s" | b"%v" | b"%d" | b"%r")
        || text.windows(2).any(|two| two == b"${" || two == b"{{") && text.contains(&b'}')
}

/// Returns whether a user's name beside an empty password is the secret itself.
fn is_token(user: &[u8]) -> bool {
    user.len() >= TOKEN_BYTES_MIN && is_mixed_random(user)
}

/// Returns whether the floor takes what is around this `@` for an e-mail address. It would take the
/// host with it.
fn is_email_at(text: &[u8], at: usize) -> bool {
    let is_local = |byte: &u8| byte.is_ascii_alphanumeric() || b"._%+-".contains(byte);
    let domain =
        text[at + 1..].split(|byte| !(byte.is_ascii_alphanumeric() || b".-".contains(byte)));
    let domain = domain.into_iter().next().unwrap_or_default();
    let ends = |dot: usize| {
        domain[dot] == b'.'
            && domain
                .get(dot + 1..dot + 3)
                .is_some_and(|two| two.iter().all(u8::is_ascii_alphabetic))
    };
    at > 0 && is_local(&text[at - 1]) && (1..domain.len()).any(ends)
}

/// Returns the value of a parameter that signs a URL, is a key for it, or is a login. The
/// place is that of the sign before its name.
pub(super) fn url_parameter_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    // An ampersand may be spelled as in HTML. After any other semicolon code may follow.
    let is_sign = look.byte_at(at) != Some(b';') || look.text[look.edge..at].ends_with(b"&amp");
    let is_secret = |found: &Match| is_sign || is_mixed_random(&look.text[found.start..found.end]);
    url_parameter_value(look, at + 1).filter(is_secret)
}

/// Returns the same for the parameter of a form whose name contains the place, and may be the first.
pub(super) fn form_parameter_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let start = look.run_start(at, 8, is_alphanumeric_byte);
    url_parameter_value(look, start)
}

fn url_parameter_value(look: RuleText<'_>, name: usize) -> Option<Match> {
    let (word, least, is_mixed) =
        PARAMETERS.into_iter().find(|one| starts_ignoring_case(look.rest_from(name), one.0))?;
    let start = name + word.len();
    let end = look.run_end(start, |byte| is_header_token_byte(byte) || byte == b'%');
    let text = &look.text[start..end];
    let has = |is: fn(&u8) -> bool| text.iter().any(is);
    let is_plain_secret = text.len() >= least
        && (!is_mixed || has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic));
    // A password may have other bytes, which nobody has encoded.
    let window = look.text.len().min(start + VALUE_BYTES_MAX).max(end);
    let is_part = |byte: &&u8| is_bare_value_byte(**byte, true);
    let wide = end + look.text[end..window].iter().take_while(is_part).count();
    let wide = if wide < window { parameter_end(look, name, wide) } else { wide };
    let marks = look.text[end..wide].iter().rev().take_while(|byte| b":!?*".contains(byte));
    let wide = wide - marks.count();
    let is_plain_secret = is_plain_secret && !is_reference(text);
    let is_secret = is_plain_secret || wide > end && is_irregular_value(&look.text[start..wide]);
    let end = wide;
    let is_secret = is_secret && !is_reference(&look.text[start..end]);
    is_secret.then(|| match_if_nonempty(Kind::UrlParameter, start, end))?
}

/// Returns the URL of a webhook in whose host `.com` is after `last`. If somebody knows such a URL,
/// they may post to it.
pub(super) fn webhook_url_at(look: RuleText<'_>, last: usize) -> Option<Match> {
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

#[cfg(test)]
mod tests {
    use crate::Sanitizer;

    fn assert_credentials(before: &str, user: &str, after: &str) {
        let text = format!("{before}{user}{after}");
        let expected = format!("{before}[REDACTED_url_credentials]{after}");
        assert_eq!(Sanitizer::default().redact_str(&text), expected, "{text}");
        assert_eq!(Sanitizer::default().redact_str(&expected), expected);
    }

    #[test]
    fn a_password_in_a_url_may_have_any_bytes() {
        for password in [
            "%23tR4ks9Lm%21",
            "$8sKw2/mQ",
            "{Vt8Lq2mZ",
            "<Vt8Lq2mZ",
            "*Vt8Lq2mZ",
            "Vt8/Lq2mZ",
            "Vt8?Lq2mZ",
            "Vt8#Lq2mZ",
            "Vt8@Lq2mZ",
            "Vt8@Lq!2#m@Z",
            "Vt8'Lq2mZ",
            "V[t8]Lq2mZ",
            "/Vt8Lq2mZ",
            "8/Vt8Lq2mZ",
        ] {
            for (before, after) in [
                ("postgres://ana:", "@db.corp.test:5432/shop"),
                ("open \"redis://:", "@localhost/0\": refused"),
                ("https://ana:", "@mail.corp.test/x?to=kim"),
                ("amqp://ana:", "@10.1.2.3"),
                ("(mysql://ana:", "@db:3306)"),
            ] {
                let (scheme, user) = before.split_once("://").unwrap();
                assert_credentials(&format!("{scheme}://"), &format!("{user}{password}"), after);
            }
        }
        assert_credentials("mongodb://", "ana:Vt8 Lq2mZ", "@db.corp.test:27017/x");
        assert_credentials("postgres://", "ana:Vt8Lq@h1:1,kim:Zq2mZ", "@h2.test:2/x?a=b@c");
        assert_credentials("https://", "sk9Rm2LqVt8Zw4Xc1Bn7:", "@api.corp.test/v1");
    }

    #[test]
    fn a_placeholder_in_a_url_keeps_the_host() {
        assert_credentials("postgres://", "$USER:$PASSWORD", "@db.corp.test/x");
        assert_credentials("https://", "ana:%PASSWORD%", "@db.corp.test/x");
    }

    #[test]
    fn a_key_before_the_host_of_a_url_keeps_the_host() {
        let key = "7c1f0e5b9a3d48e6b2c07f19d8a4e653";
        assert_credentials("https://", key, "@o77.ingest.tracker.test/12");
        assert_credentials("SENTRY_DSN=https://", key, "@tracker.test/12");
        assert_credentials("https://", &format!("{key}:{key}"), "@o77.tracker.test/12");
    }

    #[test]
    fn a_password_of_one_byte_goes() {
        assert_credentials("redis://", ":7", "@cache:6379/0");
        assert_credentials("mysql://", "ana:x", "@db/shop");
        assert_credentials("mysql://", "ana:$", "@db/shop");
        assert_credentials("postgres://ana:[REDACTED]", "q7Xk2Lm9Zt4R", "@db.corp.test:5432/x");
        let hidden = "mysql://ana:*@db/shop";
        assert_eq!(Sanitizer::default().redact_str(hidden), hidden);
    }

    #[test]
    fn what_has_no_user_in_a_url_stays() {
        for text in [
            "http://h:8080/a@b https://social.test/@ana/1 http://h:9000?mail=a@b",
            "mysql://ana:{password}@db.corp.test/x mysql://ana:<password>@db.corp.test/x",
            "https://cdn.test:443/lib@1.2.3/x.js",
            "redis://localhost:6379,redis://other:6379 and @kim",
            "postgres://${USER}:${PASSWORD}@${HOST}/x",
        ] {
            assert_eq!(Sanitizer::default().redact_str(text), text);
        }
    }

    #[test]
    fn parameters_that_stand_for_a_login_go() {
        let long = "Rk4tW9xQz2LmVb7NcP3s";
        for name in
            ["code", "code_verifier", "sid", "jwt", "auth", "pass", "ticket", "SAMLResponse"]
        {
            for before in ["https://h/p?", "https://h/p?n=1&", "https://h/#"] {
                let text = format!("{before}{name}={long}&n=2");
                let expected = format!("{before}{name}=[REDACTED_url_parameter]&n=2");
                assert_eq!(Sanitizer::default().redact_str(&text), expected);
            }
        }
        let text = format!("SAMLResponse={long}%2B{long}&RelayState=x");
        let expected = "SAMLResponse=[REDACTED_url_parameter]&RelayState=x";
        assert_eq!(Sanitizer::default().redact_str(&text), expected);
        for before in ["https://h/p?n=1&amp;", "https://h/p?n=1;"] {
            let text = format!("{before}sig={long}");
            assert_eq!(
                Sanitizer::default().redact_str(&text),
                format!("{before}sig=[REDACTED_url_parameter]")
            );
        }
        for text in ["a=b;key=Object.assign", "/c?key=YOUR_API_KEY&callback=init"] {
            assert_eq!(Sanitizer::default().redact_str(text), text);
        }
        for text in ["/e?code=404&pass=true", "/rates?code=US#sid=1", "/docs#authentication-3"] {
            assert_eq!(Sanitizer::default().redact_str(text), text);
        }
    }
}
