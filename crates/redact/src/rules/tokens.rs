//! Secrets of services that begin with a prefix of their own.

use super::{
    ALPHANUMERIC, BASE64URL, Bytes, DIGITS, Look, Rule, Trigger, found, is_alphanumeric, is_base64,
    is_base64url,
};
use crate::Kind::{self, *};
use crate::Match;
use crate::prefilter::{PLACE, rarity};

/// A secret with a prefix. Its randomness is not estimated, and its length has no upper bound.
#[derive(Debug)]
pub(crate) struct Token {
    kind: Kind,
    prefix: &'static [u8],
    body: Body,
    /// The least number of bytes after the prefix.
    least: usize,
    /// The prefix is part of words, so it counts only if no letter, digit, `-` or `_` is before it.
    is_word: bool,
}

/// What follows the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    /// Letters, digits, `-`, `_`, and dots between runs of these.
    Url,
    /// The least number of letters and digits; after them as `Url`.
    Plain,
    /// The least number of hexadecimal digits. It does not match if a letter or digit follows.
    Hex,
    /// The least number of letters and digits. It does not match if another one follows.
    Exact,
    /// Either alphabet of base64.
    Base64,
}

impl Body {
    /// Returns the bytes that may follow the prefix first.
    fn first(self) -> &'static [u8] {
        match self {
            Self::Hex => b"0123456789abcdefABCDEF",
            Self::Plain | Self::Exact => ALPHANUMERIC,
            Self::Url => BASE64URL,
            Self::Base64 => BASE64,
        }
    }
}

const fn free(kind: Kind, prefix: &'static str, body: Body, least: usize) -> Token {
    Token { kind, prefix: prefix.as_bytes(), body, least, is_word: false }
}

const fn word(kind: Kind, prefix: &'static str, body: Body, least: usize) -> Token {
    Token { kind, prefix: prefix.as_bytes(), body, least, is_word: true }
}

/// Every prefix has three bytes or more. Letters of a prefix match only in the case of this table.
#[rustfmt::skip]
static TOKENS: [Token; 165] = [
    word(OpenaiKey, "sk-", Body::Plain, 20),
    free(OpenaiKey, "sk-proj-", Body::Url, 20),
    free(OpenaiKey, "sk-svcacct-", Body::Url, 20),
    free(OpenaiKey, "sk-admin-", Body::Url, 20),
    free(OpenaiKey, "sk-None-", Body::Url, 20),
    free(AnthropicKey, "sk-ant-", Body::Url, 20),
    free(GithubToken, "ghp_", Body::Plain, 20),
    free(GithubToken, "gho_", Body::Plain, 20),
    free(GithubToken, "ghu_", Body::Plain, 20),
    free(GithubToken, "ghs_", Body::Url, 20),
    free(GithubToken, "ghr_", Body::Plain, 20),
    free(GithubToken, "github_pat_", Body::Url, 20),
    free(GitlabToken, "glpat-", Body::Url, 20),
    free(GitlabToken, "glptt-", Body::Url, 20),
    free(GitlabToken, "gldt-", Body::Url, 20),
    free(GitlabToken, "glrt-", Body::Url, 20),
    free(GitlabToken, "glrtr-", Body::Url, 20),
    free(GitlabToken, "glcbt-", Body::Url, 20),
    free(GitlabToken, "glft-", Body::Url, 20),
    free(GitlabToken, "glsoat-", Body::Url, 20),
    free(GitlabToken, "glimt-", Body::Url, 20),
    free(GitlabToken, "glagent-", Body::Url, 20),
    free(GitlabToken, "gloas-", Body::Url, 20),
    free(GitlabToken, "glffct-", Body::Url, 20),
    free(GitlabToken, "GR1348941", Body::Url, 20),
    free(SlackToken, "xoxb-", Body::Base64, 10),
    free(SlackToken, "xoxp-", Body::Base64, 10),
    free(SlackToken, "xoxa-", Body::Base64, 10),
    free(SlackToken, "xoxr-", Body::Base64, 10),
    free(SlackToken, "xoxs-", Body::Base64, 10),
    free(SlackToken, "xoxo-", Body::Base64, 10),
    free(SlackToken, "xoxc-", Body::Base64, 10),
    free(SlackToken, "xoxd-", Body::Base64, 10),
    free(SlackToken, "xoxe-", Body::Base64, 10),
    free(SlackToken, "xoxe.", Body::Base64, 10),
    free(SlackToken, "xapp-", Body::Base64, 10),
    free(SlackToken, "xwfp-", Body::Base64, 10),
    free(GoogleKey, "AIza", Body::Url, 30),
    free(GoogleOauth, "ya29.", Body::Url, 20),
    free(GoogleOauth, "GOCSPX-", Body::Url, 20),
    word(GoogleOauth, "1//0", Body::Url, 40),
    free(StripeKey, "sk_live_", Body::Url, 16),
    free(StripeKey, "rk_live_", Body::Url, 16),
    free(StripeKey, "sk_test_", Body::Url, 16),
    free(StripeKey, "rk_test_", Body::Url, 16),
    free(StripeKey, "SK_LIVE_", Body::Url, 16),
    free(StripeKey, "RK_LIVE_", Body::Url, 16),
    free(StripeKey, "whsec_", Body::Base64, 24),
    word(HuggingfaceToken, "hf_", Body::Plain, 30),
    free(HuggingfaceToken, "api_org_", Body::Plain, 30),
    word(NpmToken, "npm_", Body::Plain, 30),
    free(PypiToken, "pypi-", Body::Url, 50),
    word(DatabricksToken, "dapi", Body::Hex, 32),
    word(VaultToken, "hvs.", Body::Url, 24),
    word(VaultToken, "s.", Body::Exact, 24),
    word(VaultToken, "s.CAES", Body::Url, 80),
    word(VaultToken, "hvb.", Body::Url, 24),
    word(VaultToken, "hvr.", Body::Url, 24),
    free(PerplexityKey, "pplx-", Body::Plain, 32),
    free(LangsmithKey, "lsv2_", Body::Url, 30),
    word(LangsmithKey, "ls__", Body::Plain, 30),
    word(BedrockKey, "ABSK", Body::Base64, 60),
    free(BedrockKey, "bedrock-api-key-", Body::Base64, 40),
    word(TwilioKey, "SK", Body::Hex, 32),
    word(TwilioKey, "sk", Body::Hex, 32),
    free(ShopifyToken, "shpat_", Body::Plain, 30),
    free(ShopifyToken, "shpca_", Body::Plain, 30),
    free(ShopifyToken, "shppa_", Body::Plain, 30),
    free(ShopifyToken, "shpss_", Body::Plain, 30),
    free(ShopifyToken, "shptka_", Body::Plain, 30),
    free(DigitaloceanToken, "dop_v1_", Body::Plain, 40),
    free(DigitaloceanToken, "doo_v1_", Body::Plain, 40),
    free(DigitaloceanToken, "dor_v1_", Body::Plain, 40),
    free(DigitaloceanToken, "DOP_V1_", Body::Plain, 40),
    free(DigitaloceanToken, "DOO_V1_", Body::Plain, 40),
    free(DigitaloceanToken, "DOR_V1_", Body::Plain, 40),
    free(NewrelicKey, "NRAK-", Body::Plain, 27),
    free(NewrelicKey, "NRAA-", Body::Plain, 27),
    free(NewrelicKey, "NRII-", Body::Url, 30),
    free(NewrelicKey, "NRIQ-", Body::Url, 30),
    free(NewrelicKey, "NRRA-", Body::Plain, 40),
    free(NewrelicKey, "NRJS-", Body::Plain, 19),
    word(NewrelicKey, "nrak-", Body::Plain, 27),
    word(NewrelicKey, "nraa-", Body::Plain, 27),
    word(NewrelicKey, "nrii-", Body::Url, 30),
    word(NewrelicKey, "nriq-", Body::Url, 30),
    word(NewrelicKey, "nrra-", Body::Plain, 40),
    free(GrafanaToken, "glsa_", Body::Url, 32),
    free(GrafanaToken, "glc_", Body::Base64, 32),
    word(GrafanaToken, "eyJrIjoi", Body::Base64, 50),
    free(LinearKey, "lin_api_", Body::Plain, 32),
    free(LinearKey, "lin_oauth_", Body::Plain, 32),
    word(NotionToken, "secret_", Body::Exact, 43),
    word(NotionToken, "ntn_", Body::Plain, 40),
    free(SentryToken, "sntrys_", Body::Base64, 20),
    free(SentryToken, "sntryu_", Body::Base64, 20),
    free(PostmanKey, "PMAK-", Body::Url, 30),
    free(AgeKey, "AGE-SECRET-KEY-1", Body::Plain, 50),
    free(AgeKey, "age-secret-key-1", Body::Plain, 50),
    word(ApiToken, "gsk_", Body::Plain, 40),
    word(ApiToken, "xai-", Body::Plain, 60),
    word(ApiToken, "r8_", Body::Plain, 30),
    word(ApiToken, "fc-", Body::Hex, 32),
    word(ApiToken, "fw_", Body::Exact, 24),
    free(ApiToken, "tvly-", Body::Url, 28),
    free(ApiToken, "jina_", Body::Plain, 40),
    word(ApiToken, "aio_", Body::Exact, 28),
    free(ApiToken, "figd_", Body::Url, 30),
    free(ApiToken, "dckr_pat_", Body::Url, 20),
    free(ApiToken, "dckr_oat_", Body::Url, 20),
    word(ApiToken, "dp.ct.", Body::Url, 30),
    word(ApiToken, "dp.pt.", Body::Url, 30),
    word(ApiToken, "dp.st.", Body::Url, 30),
    word(ApiToken, "dp.sa.", Body::Url, 30),
    word(ApiToken, "dp.scim.", Body::Url, 30),
    word(ApiToken, "dp.audit.", Body::Url, 30),
    free(ApiToken, "ATATT3", Body::Base64, 40),
    free(ApiToken, "ATCTT3", Body::Base64, 40),
    free(ApiToken, "ATBB", Body::Plain, 28),
    free(ApiToken, "rubygems_", Body::Plain, 40),
    word(ApiToken, "sgp_", Body::Url, 40),
    word(ApiToken, "squ_", Body::Plain, 40),
    word(ApiToken, "sqp_", Body::Plain, 40),
    word(ApiToken, "sqa_", Body::Plain, 40),
    free(ApiToken, "sq0atp-", Body::Url, 20),
    free(ApiToken, "sq0csp-", Body::Url, 30),
    free(ApiToken, "sq0idp-", Body::Url, 20),
    word(ApiToken, "key-", Body::Exact, 32),
    word(ApiToken, "oy2", Body::Exact, 43),
    word(ApiToken, "cio", Body::Exact, 32),
    free(ApiToken, "EAACEdEose0cBA", Body::Plain, 20),
    word(ApiToken, "EAA", Body::Plain, 80),
    word(ApiToken, "p8e-", Body::Url, 30),
    word(ApiToken, "da2-", Body::Exact, 26),
    free(ApiToken, "amzn.mws.", Body::Url, 32),
    word(ApiToken, "odt_", Body::Plain, 32),
    word(ApiToken, "sl.", Body::Url, 130),
    word(ApiToken, "hawk.", Body::Url, 40),
    word(ApiToken, "AKCp", Body::Plain, 60),
    free(ApiToken, "pat-na1-", Body::Url, 32),
    free(ApiToken, "pat-eu1-", Body::Url, 32),
    word(ApiToken, "pul-", Body::Plain, 40),
    free(ApiToken, "pscale_", Body::Url, 32),
    word(ApiToken, "sbp_", Body::Plain, 40),
    free(ApiToken, "sb_secret_", Body::Url, 20),
    word(ApiToken, "nfp_", Body::Plain, 36),
    free(ApiToken, "tskey-", Body::Url, 20),
    free(ApiToken, "xkeysib-", Body::Url, 60),
    free(ApiToken, "ops_eyJ", Body::Base64, 50),
    free(ApiToken, "dt0c01.", Body::Url, 60),
    free(ApiToken, "dt0s01.", Body::Url, 60),
    free(ApiToken, "dt0a01.", Body::Url, 60),
    free(ApiToken, "sk-or-v1-", Body::Url, 32),
    free(ApiToken, "sk-lf-", Body::Url, 30),
    word(ApiToken, "sk.ey", Body::Url, 40),
    word(ApiToken, "tk.ey", Body::Url, 40),
    free(ApiToken, "rdme_", Body::Plain, 60),
    free(ApiToken, "shippo_live_", Body::Plain, 36),
    free(ApiToken, "CFPAT-", Body::Url, 40),
    free(ApiToken, "phx_", Body::Plain, 40),
    word(ApiToken, "csk-", Body::Plain, 40),
    word(ApiToken, "pa-", Body::Exact, 43),
    free(ApiToken, "lsv1_", Body::Url, 30),
    word(ApiToken, "eyJ0eXAiOiAiVENWMiJ9.", Body::Url, 20),
    word(ApiToken, "live_", Body::Url, 40),
];

/// Returns a trigger for each prefix. If the prefix begins a word, the trigger is its beginning;
/// otherwise it is the rarest bytes of the prefix.
pub(super) fn triggers() -> impl Iterator<Item = Trigger> {
    TOKENS.iter().map(|token| {
        let offset = token.trigger();
        let (bytes, rule) = (token.bytes(offset), Rule::Token(token, offset));
        if token.is_word { Trigger::word(bytes, rule) } else { Trigger::anywhere(bytes, rule) }
    })
}

impl Token {
    /// Returns the offset of the trigger in the prefix.
    fn trigger(&self) -> usize {
        let last = if self.is_word { 0 } else { self.prefix.len().saturating_sub(PLACE) };
        // Triggers with a separator at the end share buckets well.
        let ends = |at: usize| matches!(self.prefix.get(at + PLACE - 1), Some(b'-' | b'_'));
        let rarity = |at: &usize| rarity(self.bytes(*at)) * if ends(*at) { 0.1 } else { 1.0 };
        (0..=last).min_by(|a, b| rarity(a).total_cmp(&rarity(b))).unwrap_or(0)
    }

    /// Returns the bytes of the prefix from this offset on, and those that may follow it.
    fn bytes(&self, at: usize) -> Bytes {
        let first = self.body.first();
        std::array::from_fn(|i| self.prefix.get(at + i..=at + i).unwrap_or(first))
    }

    /// Returns the secret if the byte at `offset` of its prefix is at `at`.
    pub(super) fn at(&self, look: Look<'_>, at: usize, offset: usize) -> Option<Match> {
        let at = at.checked_sub(offset).filter(|at| *at >= look.edge)?;
        let body = look.rest(at).strip_prefix(self.prefix)?;
        if self.is_word && look.before(at).is_some_and(is_base64url) {
            return None;
        }
        let start = at + self.prefix.len();
        let leading = |is: fn(u8) -> bool| {
            body.len() >= self.least && body[..self.least].iter().all(|&byte| is(byte))
        };
        let is_over = || !body.get(self.least).copied().is_some_and(is_alphanumeric);
        let is_free = |at: usize| !body.get(at).copied().is_some_and(is_base64url);
        let end = match self.body {
            Body::Url => dotted(look, start),
            Body::Plain if leading(is_alphanumeric) => dotted(look, start),
            Body::Hex if leading(|byte| byte.is_ascii_hexdigit()) && is_over() => {
                dotted(look, start)
            }
            Body::Exact if leading(is_alphanumeric) && is_free(self.least) => start + self.least,
            Body::Base64 => look.run(start, |byte| is_base64(byte) || byte == b'%'),
            Body::Plain | Body::Hex | Body::Exact => return None,
        };
        (end - start >= self.least).then(|| found(self.kind, at, end))?
    }
}

/// The shortest run that a dot may join to those before it.
const JOINED_BYTES_MIN: usize = 6;

/// Returns the end of the runs of base64url from `at` on, with single dots between them.
fn dotted(look: Look<'_>, at: usize) -> usize {
    let mut end = look.run(at, is_base64url);
    while look.byte(end) == Some(b'.') {
        let next = look.run(end + 1, is_base64url);
        if next - end <= JOINED_BYTES_MIN {
            break;
        }
        end = next;
    }
    end
}

const BASE64: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_+/=%";

type Odd = (Bytes, fn(Look<'_>, usize) -> Option<Match>);

/// Secrets that have no prefix, or for which the prefix is not enough.
pub(super) const ODD: [Odd; 12] = [
    ([b"S", b"G", b".", BASE64URL], sendgrid),
    ([b"78", b"Q", b"~", AZURE_BYTES], azure_client_secret),
    ([b"A", b"Z", b"D", b"O"], azure_devops),
    ([b"MNO", b"DTjz", b"AEIMQUYcgk", BASE64URL], discord),
    ([b":", b"A", b"A", BASE64URL], telegram),
    ([b"nN", b"rR", b"aA", b"lL"], newrelic_license),
    ([b"-", b"u", b"s", DIGITS], mailchimp),
    ([b"p", b"x", b"-", b"ad"], pixie),
    ([b"0", b"0", b"D", ALPHANUMERIC], salesforce),
    ([b"A", b"3", b"T", AWS_BYTES], aws_key),
    ([b"A", b"SB", b"I", b"A"], aws_key),
    ([b"A", b"C", b"C", b"A"], aws_key),
];

const AZURE_BYTES: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_~.";
const AWS_BYTES: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Matches `SG.`, 22 bytes, a dot, 43 bytes.
fn sendgrid(look: Look<'_>, at: usize) -> Option<Match> {
    let first = look.run(at + 3, is_base64url);
    let is_one = first - (at + 3) >= 16 && look.byte(first) == Some(b'.');
    let end = look.run(first + 1, is_base64url);
    (is_one && end - first > 30).then(|| found(SendgridKey, at, end))?
}

/// Matches three bytes, `7Q~` or `8Q~`, and 31 to 34 bytes: the client secrets of Microsoft Entra.
fn azure_client_secret(look: Look<'_>, at: usize) -> Option<Match> {
    let is_part = |byte| is_base64url(byte) || byte == b'~' || byte == b'.';
    let start = look.run_before(at, 4, is_part);
    let end = look.run(at, is_part);
    (at - start == 3 && end - at >= 3 + 30).then(|| found(AzureKey, start, end))?
}

/// Matches a word of 76 letters and digits, `AZDO`, and four more.
fn azure_devops(look: Look<'_>, at: usize) -> Option<Match> {
    const BEFORE: usize = 76;
    let text: &[u8; 8] = look.rest(at).first_chunk()?;
    let start = look.run_before(at, BEFORE + 1, is_alphanumeric);
    let is_one = !look.byte(at + text.len()).is_some_and(is_alphanumeric)
        && text.starts_with(b"AZDO")
        && text.iter().all(u8::is_ascii_alphanumeric)
        && at - start == BEFORE;
    is_one.then(|| found(AzureKey, start, at + text.len()))?
}

/// Matches a bot's token: its numeric id in base64, six bytes, 27 bytes or more.
fn discord(look: Look<'_>, at: usize) -> Option<Match> {
    if look.before(at).is_some_and(is_base64url) {
        return None;
    }
    // The place after a part of so many bytes and its dot, if there is such a part.
    let part = |at: usize, bytes: std::ops::RangeInclusive<usize>| {
        let window = &look.rest(at)[..look.rest(at).len().min(bytes.end() + 1)];
        let length = window.iter().take_while(|&&byte| is_base64url(byte)).count();
        (bytes.contains(&length) && window.get(length) == Some(&b'.')).then_some(at + length + 1)
    };
    let third = part(part(at, 23..=30)?, 5..=7)?;
    let end = look.run(third, is_base64url);
    (end - third >= 27).then(|| found(DiscordToken, at, end))?
}

/// Matches a bot's id of eight to ten digits, `:AA`, and 32 bytes or more.
fn telegram(look: Look<'_>, at: usize) -> Option<Match> {
    let start = look.run_before(at, 10, |byte| byte.is_ascii_digit());
    let end = look.run(at + 3, is_base64url);
    ((6..=10).contains(&(at - start)) && end - at >= 3 + 32)
        .then(|| found(TelegramToken, start, end))?
}

/// Matches 36 hexadecimal digits and `NRAL`. If a region and `xx` come first, they count towards
/// the 36.
fn newrelic_license(look: Look<'_>, at: usize) -> Option<Match> {
    const BEFORE: usize = 36;
    let start = look.run_before(at, BEFORE + 1, is_alphanumeric);
    let is_suffix = !look.byte(at + 4).is_some_and(is_alphanumeric);
    let is_hex = |text: &[u8]| text.iter().all(u8::is_ascii_hexdigit);
    let is_one = is_suffix && at - start == BEFORE && {
        let (region, random) = look.text[start..at].split_at(6);
        is_hex(random) && (is_hex(region) || region.ends_with(b"xx"))
    };
    is_one.then(|| found(NewrelicKey, start, at + 4))?
}

/// Matches `px-api-` or `px-dep-` and a UUID.
fn pixie(look: Look<'_>, at: usize) -> Option<Match> {
    let text: &[u8; 43] = look.rest(at).first_chunk()?;
    let is_one = (text.starts_with(b"px-api-") || text.starts_with(b"px-dep-"))
        && text[7..].iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
    is_one.then(|| found(NewrelicKey, at, at + text.len()))?
}

/// Matches a session of Salesforce: an organization's id, `!`, and more.
fn salesforce(look: Look<'_>, at: usize) -> Option<Match> {
    const ID_BYTES: std::ops::RangeInclusive<usize> = 15..=18;
    let id = look.rest(at).iter().take(19).take_while(|&&byte| is_alphanumeric(byte)).count();
    if !ID_BYTES.contains(&id) || look.byte(at + id) != Some(b'!') {
        return None;
    }
    let end = look.run(at + id + 1, |byte| is_base64url(byte) || byte == b'.');
    (end - (at + id) > 60).then(|| found(ApiToken, at, end))?
}

/// Matches 32 hexadecimal digits, `-us` and a number.
fn mailchimp(look: Look<'_>, at: usize) -> Option<Match> {
    let start = look.run_before(at, 33, |byte| byte.is_ascii_hexdigit());
    let end = look.run(at + 3, |byte| byte.is_ascii_digit());
    let is_one = at - start == 32 && (1..=3).contains(&(end - (at + 3)));
    is_one.then(|| found(ApiToken, start, end))?
}

/// Returns a key id of a session, a bearer, a context or of the old form. It has the form of the
/// floor's key ids, and does not match if it is part of a word.
fn aws_key(look: Look<'_>, at: usize) -> Option<Match> {
    let text: &[u8; 20] = look.rest(at).first_chunk()?;
    let is_prefix =
        [&b"ASIA"[..], b"ABIA", b"ACCA", b"A3T"].iter().any(|prefix| text.starts_with(prefix));
    let is_random = text.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let is_bounded = !look.before(at).is_some_and(is_alphanumeric)
        && !look.byte(at + 20).is_some_and(is_alphanumeric);
    (is_prefix && is_random && is_bounded).then(|| found(AwsKey, at, at + 20))?
}

/// The most bytes between a key id and its secret.
const SECRET_BEHIND_BYTES_MAX: usize = 100;

/// Returns the secret after an AWS key id that ends at `at`: 40 bytes of base64.
pub(crate) fn aws_secret(look: Look<'_>, at: usize) -> Option<Match> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'+' | b'=');
    let window = &look.text[..look.text.len().min(at + SECRET_BEHIND_BYTES_MAX + 42)];
    let look = Look { text: window, ..look };
    let mut start = at;
    while start < at + SECRET_BEHIND_BYTES_MAX && start < window.len() {
        let run = look.run(start, is_part);
        // An equals sign may be before it.
        let from = look.run(start, |byte| byte == b'=');
        if run - from == 40 && window[from..run].iter().any(u8::is_ascii_digit) {
            return found(AwsSecret, from, run);
        }
        start = run + 1;
    }
    None
}
