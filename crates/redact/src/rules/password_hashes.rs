//! Hashes of passwords, by the name of their scheme.

use super::{RuleText, count_steps, is_alphanumeric_byte, match_if_nonempty, starts_ignoring_case};
use crate::{Kind, Match};

/// The bytes with which a crypted password or its parameters may begin.
pub(super) const HASH: &[u8] =
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./$+=,-@";

const HASH_BYTES_MIN: usize = 24;
/// A hash is judged by its first bytes, so that a text full of schemes takes linear time.
const JUDGED_BYTES_MAX: usize = 192;
/// The length of a hash of WordPress, with its scheme.
const PORTABLE_BYTES_MIN: usize = 34;

/// How schemes begin that `crypt(3)` and the like know.
const CRYPT_SCHEMES: [&[u8]; 13] = [
    b"$2",
    b"$1$",
    b"$5$",
    b"$6$",
    b"$7$",
    b"$8$",
    b"$y$",
    b"$apr1$",
    b"$argon2",
    b"$krb5",
    b"$sha1$",
    b"$scrypt$",
    b"$pbkdf2",
];
/// Schemes whose hash has no second `$`: those of WordPress, phpBB and Drupal.
const PORTABLE_SCHEMES: [&[u8]; 3] = [b"$P$", b"$H$", b"$S$"];
/// How schemes begin that frameworks and databases write in words.
const WORD_SCHEMES: [&[u8]; 7] =
    [b"pbkdf2_", b"pbkdf2.", b"pbkdf2:", b"pbkdf2-", b"scrypt:", b"scrypt$", b"SCRAM-SHA-"];
/// How schemes of directories begin.
const BRACED_SCHEMES: [&[u8]; 8] = [
    b"{ssha}",
    b"{ssha256}",
    b"{ssha384}",
    b"{ssha512}",
    b"{sha}",
    b"{sha256}",
    b"{sha512}",
    b"{smd5}",
];

/// Returns a hash in the form of `crypt(3)` and similar ones: bcrypt, MD5, SHA-2, yescrypt, Argon2,
/// Kerberos, phpass.
pub(super) fn crypt_hash_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let text = look.rest_from(at);
    let is = |name: &&&[u8]| text.starts_with(name);
    let scheme = *CRYPT_SCHEMES.iter().chain(&PORTABLE_SCHEMES).find(is)?;
    let is_ticket = scheme == b"$krb5";
    let is_part = |byte: u8| {
        is_alphanumeric_byte(byte)
            || b"./$+=,-@".contains(&byte)
            || is_ticket && matches!(byte, b':' | b'_')
    };
    let text = judged_part(look, at, is_part);
    let signs = text.iter().filter(|&&byte| byte == b'$').count();
    let has = |is: fn(&u8) -> bool| text.iter().any(is);
    let is_mixed = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    let is_hash = match PORTABLE_SCHEMES.contains(&scheme) {
        true => text.len() >= PORTABLE_BYTES_MIN && is_mixed,
        false => signs >= 3 && text.len() >= HASH_BYTES_MIN,
    };
    is_hash.then(|| match_if_nonempty(Kind::PasswordHash, at, look.run_end(at, is_part)))?
}

/// Returns the run of bytes from a place on, as far as it is judged.
fn judged_part(look: RuleText<'_>, at: usize, is_part: impl Fn(u8) -> bool) -> &[u8] {
    let rest = look.rest_from(at);
    let rest = &rest[..rest.len().min(JUDGED_BYTES_MAX)];
    let length = rest.iter().take_while(|&&byte| is_part(byte)).count();
    count_steps(length + 1);
    &rest[..length]
}

/// Returns a hash whose scheme is a word that contains the place: `pbkdf2_sha256$…`, `scrypt:…`,
/// `SCRAM-SHA-256$…`.
pub(super) fn worded_hash_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let start = look.run_start(at, 8, |byte| byte.is_ascii_alphabetic());
    let text = look.rest_from(start);
    WORD_SCHEMES.iter().find(|name| text.starts_with(name))?;
    let is_part = |byte: u8| is_alphanumeric_byte(byte) || b"./$+=,-_:".contains(&byte);
    let text = judged_part(look, start, is_part);
    let last = text.rsplit(|byte| b"$:.".contains(byte)).next().unwrap_or_default();
    let signs = text.iter().filter(|byte| b"$.".contains(byte)).count();
    let is_hash = signs >= 1 && text.len() >= 2 * HASH_BYTES_MIN && last.len() >= HASH_BYTES_MIN;
    is_hash.then(|| match_if_nonempty(Kind::PasswordHash, start, look.run_end(start, is_part)))?
}

/// Returns a hash of Django with a short name, in hexadecimal digits: `sha1$salt$…`, `md5$salt$…`.
pub(super) fn short_hash_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let start = look.run_start(at, 1, |byte| byte == b's');
    let text = look.rest_from(start);
    let name = [&b"sha1$"[..], b"md5$"].into_iter().find(|name| text.starts_with(name))?;
    let salt = look.run_end(start + name.len(), is_alphanumeric_byte);
    let end = look.run_end(salt + 1, |byte| byte.is_ascii_hexdigit());
    let digits = if name == b"md5$" { 32 } else { 40 };
    let is_hash = look.byte_at(salt) == Some(b'$') && end == salt + 1 + digits;
    is_hash.then(|| match_if_nonempty(Kind::PasswordHash, start, end))?
}

/// Returns a hash of MySQL: an asterisk and forty hexadecimal digits in upper case.
pub(super) fn mysql_hash_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte);
    let end = look.run_end(at + 1, is_digit);
    let joins = look.byte_at(end).is_some_and(is_alphanumeric_byte);
    (end == at + 41 && !joins).then(|| match_if_nonempty(Kind::PasswordHash, at, end))?
}

/// Returns the hash after a scheme in braces: `{SSHA}…`.
pub(super) fn braced_hash_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let text = look.rest_from(at);
    let scheme = BRACED_SCHEMES.iter().find(|name| starts_ignoring_case(text, name))?;
    let start = at + scheme.len();
    let end = look.run_end(start, |byte| is_alphanumeric_byte(byte) || b"+/=".contains(&byte));
    (end - start >= HASH_BYTES_MIN).then(|| match_if_nonempty(Kind::PasswordHash, start, end))?
}

#[cfg(test)]
mod tests {
    use crate::Sanitizer;

    #[test]
    fn hashes_of_frameworks_and_databases_go_whole() {
        let body = "q8RtY2wZx5Lm0Vb7Nc3Kp9Sd";
        let hashes = [
            format!("$apr1$Ab3dE5fG${body}"),
            format!("$P$B{body}{}", &body[..7]),
            format!("$S$D{body}{body}"),
            format!("pbkdf2_sha256$600000$saltSALT${body}{body}="),
            format!("pbkdf2:sha256:260000$saltSALT${body}{body}"),
            format!("$pbkdf2-sha512$25000$saltSALT${body}{body}"),
            "sha1$abcd1$b6589fc6ab0dc82cf12099d1c2d40ab994e8410c".into(),
            "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19".into(),
            format!("$sha1$40000$saltSALT${body}{body}"),
            format!("scrypt:32768:8:1$saltSALT${body}{body}"),
            format!("SCRAM-SHA-512$4096:{body}==${body}=:{body}="),
        ];
        for hash in hashes {
            for (before, after) in [("", ""), ("ana:", ""), ("hash=\"", "\"")] {
                let text = format!("{before}{hash}{after}");
                let expected = format!("{before}[REDACTED_password_hash]{after}");
                assert_eq!(Sanitizer::default().redact_str(&text), expected, "{text}");
            }
        }
        let text = format!("userPassword:: {{SSHA}}{body}{body}");
        assert!(!Sanitizer::default().redact_str(&text).contains(body), "{text}");
    }

    #[test]
    fn names_of_schemes_stay() {
        for text in
            ["encrypt:$KEY", "pbkdf2_sha256 and scrypt: slow", "f\"{sha256}\"", "$P$ and $S$"]
        {
            assert_eq!(Sanitizer::default().redact_str(text), text);
        }
    }
}
