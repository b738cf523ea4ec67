//! Secrets of services that have no prefix, or for which the prefix is not enough.

use super::super::randomness::is_random_word;
use super::super::{
    ALPHANUMERIC, BASE64URL, DIGITS, RuleText, TriggerBytes, is_alphanumeric_byte, is_base64_byte,
    is_base64url_byte, match_if_nonempty,
};
use crate::Kind::*;
use crate::Match;

type OddToken = (TriggerBytes, fn(RuleText<'_>, usize) -> Option<Match>);

/// Secrets that have no prefix, or for which the prefix is not enough.
pub(in super::super) const ODD: [OddToken; 17] = [
    ([b"S", b"G", b".", BASE64URL], sendgrid_key_at),
    ([DIGITS, b"Q", b"~", AZURE_BYTES], azure_client_secret_at),
    ([b"J", b"Q", b"Q", b"J"], azure_account_key_at),
    ([b"A", b"z", b"SF", b"eu"], azure_account_key_at),
    ([b".", b"a", b"t", b"l"], terraform_token_at),
    ([DIGITS, b"|", ALPHANUMERIC, ALPHANUMERIC], numbered_token_at),
    ([b"p", b"a", b"t", ALPHANUMERIC], airtable_token_at),
    ([b"A", b"Z", b"D", b"O"], azure_devops_token_at),
    ([b"MNO", b"DTjz", b"AEIMQUYcgk", BASE64URL], discord_token_at),
    ([b":", b"A", b"A", BASE64URL], telegram_token_at),
    ([b"nN", b"rR", b"aA", b"lL"], newrelic_license_at),
    ([b"-", b"u", b"s", DIGITS], mailchimp_key_at),
    ([b"p", b"x", b"-", b"ad"], pixie_key_at),
    ([b"0", b"0", b"D", ALPHANUMERIC], salesforce_session_at),
    ([b"A", b"3", b"T", AWS_BYTES], aws_key_at),
    ([b"A", b"SB", b"I", b"A"], aws_key_at),
    ([b"A", b"C", b"C", b"A"], aws_key_at),
];

const AZURE_BYTES: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_~.";
const AWS_BYTES: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Matches `SG.`, 22 bytes, a dot, 43 bytes.
fn sendgrid_key_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let first = look.run_end(at + 3, is_base64url_byte);
    let is_one = first - (at + 3) >= 16 && look.byte_at(first) == Some(b'.');
    let end = look.run_end(first + 1, is_base64url_byte);
    (is_one && end - first > 30).then(|| match_if_nonempty(SendgridKey, at, end))?
}

/// Matches three bytes, a digit, `Q~`, and 31 to 34 bytes: the client secrets of Microsoft Entra.
fn azure_client_secret_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let is_part = |byte| is_base64url_byte(byte) || byte == b'~' || byte == b'.';
    let start = look.run_start(at, 4, is_part);
    let end = look.run_end(at, is_part);
    (at - start == 3 && end - at >= 3 + 30).then(|| match_if_nonempty(AzureKey, start, end))?
}

/// Matches a key of an Azure account, which has a signature after 52 or 42 letters and digits: some
/// 84 bytes with `JQQJ99`, or 52 with `AzSe` or `AzFu`.
fn azure_account_key_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let rest = look.rest_from(at);
    let (before, length) = match () {
        () if rest.starts_with(b"JQQJ99") => (52, 76..=92),
        () if rest.starts_with(b"AzSe") || rest.starts_with(b"AzFu") => (42, 52..=52),
        () => return None,
    };
    let start = look.run_start(at, before + 1, is_alphanumeric_byte);
    let after =
        rest.iter().take(length.end() - before + 1).take_while(|&&b| is_alphanumeric_byte(b));
    let end = at + after.count();
    (at - start == before && length.contains(&(end - start)))
        .then(|| match_if_nonempty(AzureKey, start, end))?
}

/// Matches 14 letters and digits, `.atlasv1.` and 60 bytes or more: a token of HCP Terraform.
fn terraform_token_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    const BEFORE: usize = 14;
    let body = at + b".atlasv1.".len();
    let start = look.run_start(at, BEFORE + 1, is_alphanumeric_byte);
    let is_one = look.rest_from(at).starts_with(b".atlasv1.") && at - start == BEFORE;
    let end = look.run_end(body, is_base64url_byte);
    (is_one && end - body >= 60).then(|| match_if_nonempty(ApiToken, start, end))?
}

/// Matches a number or a name that ends with one, `|` and 40 random bytes or more: `12|…` of Laravel,
/// `prod:quiet-otter-12|…` of Convex.
fn numbered_token_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    const BODY_BYTES_MIN: usize = 40;
    let is_part = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase() || byte == b'-';
    let start = look.run_start(at, 40, |byte| is_part(byte) || byte == b':');
    let end = look.run_end(at + 2, is_base64_byte);
    let body = &look.text[at + 2..end];
    let has = |is: fn(&u8) -> bool| body.iter().any(is);
    // A hash has one case. More columns follow in a row of values.
    let is_one = body.len() >= BODY_BYTES_MIN
        && is_random_word(body)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && look.byte_before(start) != Some(b'_')
        && look.byte_at(end) != Some(b'|');
    is_one.then(|| match_if_nonempty(ApiToken, start, end))?
}

/// Matches `pat`, 14 letters and digits, a dot and 64 hexadecimal digits.
fn airtable_token_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    const ID: usize = 17;
    if look.byte_at(at + ID) != Some(b'.') || look.byte_before(at).is_some_and(is_base64url_byte) {
        return None;
    }
    let id = &look.rest_from(at)[..ID];
    let end = look.run_end(at + ID + 1, |byte| byte.is_ascii_hexdigit());
    (end - at == ID + 65 && id.iter().all(u8::is_ascii_alphanumeric))
        .then(|| match_if_nonempty(ApiToken, at, end))?
}

/// Matches a word of 76 letters and digits, `AZDO`, and four more.
fn azure_devops_token_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    const BEFORE: usize = 76;
    let text: &[u8; 8] = look.rest_from(at).first_chunk()?;
    let start = look.run_start(at, BEFORE + 1, is_alphanumeric_byte);
    let is_one = !look.byte_at(at + text.len()).is_some_and(is_alphanumeric_byte)
        && text.starts_with(b"AZDO")
        && text.iter().all(u8::is_ascii_alphanumeric)
        && at - start == BEFORE;
    is_one.then(|| match_if_nonempty(AzureKey, start, at + text.len()))?
}

/// Matches a bot's token: its numeric id in base64, six bytes, 27 bytes or more.
fn discord_token_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    if look.byte_before(at).is_some_and(is_base64url_byte) {
        return None;
    }
    // The place after a part of so many bytes and its dot, if there is such a part.
    let part = |at: usize, bytes: std::ops::RangeInclusive<usize>| {
        let window = &look.rest_from(at)[..look.rest_from(at).len().min(bytes.end() + 1)];
        let length = window.iter().take_while(|&&byte| is_base64url_byte(byte)).count();
        (bytes.contains(&length) && window.get(length) == Some(&b'.')).then_some(at + length + 1)
    };
    let third = part(part(at, 23..=30)?, 5..=7)?;
    let end = look.run_end(third, is_base64url_byte);
    (end - third >= 27).then(|| match_if_nonempty(DiscordToken, at, end))?
}

/// Matches a bot's id of eight to ten digits, `:AA`, and 32 bytes or more.
fn telegram_token_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let start = look.run_start(at, 10, |byte| byte.is_ascii_digit());
    let end = look.run_end(at + 3, is_base64url_byte);
    ((6..=10).contains(&(at - start)) && end - at >= 3 + 32)
        .then(|| match_if_nonempty(TelegramToken, start, end))?
}

/// Matches 36 hexadecimal digits and `NRAL`. If a region and `xx` come first, they count towards
/// the 36.
fn newrelic_license_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    const BEFORE: usize = 36;
    let start = look.run_start(at, BEFORE + 1, is_alphanumeric_byte);
    let is_suffix = !look.byte_at(at + 4).is_some_and(is_alphanumeric_byte);
    let is_hex = |text: &[u8]| text.iter().all(u8::is_ascii_hexdigit);
    let is_one = is_suffix && at - start == BEFORE && {
        let (region, random) = look.text[start..at].split_at(6);
        is_hex(random) && (is_hex(region) || region.ends_with(b"xx"))
    };
    is_one.then(|| match_if_nonempty(NewrelicKey, start, at + 4))?
}

/// Matches `px-api-` or `px-dep-` and a UUID.
fn pixie_key_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let text: &[u8; 43] = look.rest_from(at).first_chunk()?;
    let is_one = (text.starts_with(b"px-api-") || text.starts_with(b"px-dep-"))
        && text[7..].iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
    is_one.then(|| match_if_nonempty(NewrelicKey, at, at + text.len()))?
}

/// Matches a session of Salesforce: an organization's id, `!`, and more.
fn salesforce_session_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    const ID_BYTES: std::ops::RangeInclusive<usize> = 15..=18;
    let id =
        look.rest_from(at).iter().take(19).take_while(|&&byte| is_alphanumeric_byte(byte)).count();
    if !ID_BYTES.contains(&id) || look.byte_at(at + id) != Some(b'!') {
        return None;
    }
    let end = look.run_end(at + id + 1, |byte| is_base64url_byte(byte) || byte == b'.');
    (end - (at + id) > 60).then(|| match_if_nonempty(ApiToken, at, end))?
}

/// Matches 32 hexadecimal digits, `-us` and a number.
fn mailchimp_key_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let start = look.run_start(at, 33, |byte| byte.is_ascii_hexdigit());
    let end = look.run_end(at + 3, |byte| byte.is_ascii_digit());
    let is_one = at - start == 32 && (1..=3).contains(&(end - (at + 3)));
    is_one.then(|| match_if_nonempty(ApiToken, start, end))?
}

/// Returns a key id of a session, a bearer, a context or of the old form. It has the form of the
/// floor's key ids, and does not match if it is part of a word.
fn aws_key_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let text: &[u8; 20] = look.rest_from(at).first_chunk()?;
    let is_prefix =
        [&b"ASIA"[..], b"ABIA", b"ACCA", b"A3T"].iter().any(|prefix| text.starts_with(prefix));
    let is_random = text.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let is_bounded = !look.byte_before(at).is_some_and(is_alphanumeric_byte)
        && !look.byte_at(at + 20).is_some_and(is_alphanumeric_byte);
    (is_prefix && is_random && is_bounded).then(|| match_if_nonempty(AwsKey, at, at + 20))?
}

/// The most bytes between a key id and its secret.
const SECRET_BEHIND_BYTES_MAX: usize = 100;

/// Returns the secret after an AWS key id that ends at `at`: 40 bytes of base64.
pub(crate) fn aws_secret_after_key(look: RuleText<'_>, at: usize) -> Option<Match> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'+' | b'=');
    let window = &look.text[..look.text.len().min(at + SECRET_BEHIND_BYTES_MAX + 42)];
    let look = RuleText { text: window, ..look };
    let mut start = at;
    while start < at + SECRET_BEHIND_BYTES_MAX && start < window.len() {
        let run = look.run_end(start, is_part);
        // An equals sign may be before it.
        let from = look.run_end(start, |byte| byte == b'=');
        if run - from == 40 && window[from..run].iter().any(u8::is_ascii_digit) {
            return match_if_nonempty(AwsSecret, from, run);
        }
        start = run + 1;
    }
    None
}
