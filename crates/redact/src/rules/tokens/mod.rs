//! Secrets of services that begin with a prefix of their own.

use super::{
    ALPHANUMERIC, BASE64URL, DIGITS, Rule, RuleText, Trigger, TriggerBytes, is_alphanumeric_byte,
    is_base64_byte, is_base64url_byte, match_if_nonempty,
};
use crate::Kind::{self, *};
use crate::Match;
use crate::prefilter::{PLACE, trigger_weight};

/// A secret with a prefix. Its randomness is not estimated, and its length has no upper bound.
#[derive(Debug)]
pub(crate) struct ServiceToken {
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
    fn first_bytes(self) -> &'static [u8] {
        match self {
            Self::Hex => b"0123456789abcdefABCDEF",
            Self::Plain | Self::Exact => ALPHANUMERIC,
            Self::Url => BASE64URL,
            Self::Base64 => BASE64,
        }
    }
}

const fn free_token(kind: Kind, prefix: &'static str, body: Body, least: usize) -> ServiceToken {
    ServiceToken { kind, prefix: prefix.as_bytes(), body, least, is_word: false }
}

const fn word_token(kind: Kind, prefix: &'static str, body: Body, least: usize) -> ServiceToken {
    ServiceToken { kind, prefix: prefix.as_bytes(), body, least, is_word: true }
}

/// Returns the prefixes of all tokens, for the documentation.
#[cfg(test)]
pub(crate) fn documented_prefixes() -> impl Iterator<Item = (Kind, &'static str)> {
    let text = |prefix| str::from_utf8(prefix).expect("a prefix is text");
    TOKENS.iter().map(move |token| (token.kind, text(token.prefix)))
}

/// Every prefix has three bytes or more. Letters of a prefix match only in the case of this table.
#[rustfmt::skip]
static TOKENS: [ServiceToken; 165] = [
    word_token(OpenaiKey, "sk-", Body::Plain, 20),
    free_token(OpenaiKey, "sk-proj-", Body::Url, 20),
    free_token(OpenaiKey, "sk-svcacct-", Body::Url, 20),
    free_token(OpenaiKey, "sk-admin-", Body::Url, 20),
    free_token(OpenaiKey, "sk-None-", Body::Url, 20),
    free_token(AnthropicKey, "sk-ant-", Body::Url, 20),
    free_token(GithubToken, "ghp_", Body::Plain, 20),
    free_token(GithubToken, "gho_", Body::Plain, 20),
    free_token(GithubToken, "ghu_", Body::Plain, 20),
    free_token(GithubToken, "ghs_", Body::Url, 20),
    free_token(GithubToken, "ghr_", Body::Plain, 20),
    free_token(GithubToken, "github_pat_", Body::Url, 20),
    free_token(GitlabToken, "glpat-", Body::Url, 20),
    free_token(GitlabToken, "glptt-", Body::Url, 20),
    free_token(GitlabToken, "gldt-", Body::Url, 20),
    free_token(GitlabToken, "glrt-", Body::Url, 20),
    free_token(GitlabToken, "glrtr-", Body::Url, 20),
    free_token(GitlabToken, "glcbt-", Body::Url, 20),
    free_token(GitlabToken, "glft-", Body::Url, 20),
    free_token(GitlabToken, "glsoat-", Body::Url, 20),
    free_token(GitlabToken, "glimt-", Body::Url, 20),
    free_token(GitlabToken, "glagent-", Body::Url, 20),
    free_token(GitlabToken, "gloas-", Body::Url, 20),
    free_token(GitlabToken, "glffct-", Body::Url, 20),
    free_token(GitlabToken, "GR1348941", Body::Url, 20),
    free_token(SlackToken, "xoxb-", Body::Base64, 10),
    free_token(SlackToken, "xoxp-", Body::Base64, 10),
    free_token(SlackToken, "xoxa-", Body::Base64, 10),
    free_token(SlackToken, "xoxr-", Body::Base64, 10),
    free_token(SlackToken, "xoxs-", Body::Base64, 10),
    free_token(SlackToken, "xoxo-", Body::Base64, 10),
    free_token(SlackToken, "xoxc-", Body::Base64, 10),
    free_token(SlackToken, "xoxd-", Body::Base64, 10),
    free_token(SlackToken, "xoxe-", Body::Base64, 10),
    free_token(SlackToken, "xoxe.", Body::Base64, 10),
    free_token(SlackToken, "xapp-", Body::Base64, 10),
    free_token(SlackToken, "xwfp-", Body::Base64, 10),
    free_token(GoogleKey, "AIza", Body::Url, 30),
    free_token(GoogleOauth, "ya29.", Body::Url, 20),
    free_token(GoogleOauth, "GOCSPX-", Body::Url, 20),
    word_token(GoogleOauth, "1//0", Body::Url, 40),
    free_token(StripeKey, "sk_live_", Body::Url, 16),
    free_token(StripeKey, "rk_live_", Body::Url, 16),
    free_token(StripeKey, "sk_test_", Body::Url, 16),
    free_token(StripeKey, "rk_test_", Body::Url, 16),
    free_token(StripeKey, "SK_LIVE_", Body::Url, 16),
    free_token(StripeKey, "RK_LIVE_", Body::Url, 16),
    free_token(StripeKey, "whsec_", Body::Base64, 24),
    word_token(HuggingfaceToken, "hf_", Body::Plain, 30),
    free_token(HuggingfaceToken, "api_org_", Body::Plain, 30),
    word_token(NpmToken, "npm_", Body::Plain, 30),
    free_token(PypiToken, "pypi-", Body::Url, 50),
    word_token(DatabricksToken, "dapi", Body::Hex, 32),
    word_token(VaultToken, "hvs.", Body::Url, 24),
    word_token(VaultToken, "s.", Body::Exact, 24),
    word_token(VaultToken, "s.CAES", Body::Url, 80),
    word_token(VaultToken, "hvb.", Body::Url, 24),
    word_token(VaultToken, "hvr.", Body::Url, 24),
    free_token(PerplexityKey, "pplx-", Body::Plain, 32),
    free_token(LangsmithKey, "lsv2_", Body::Url, 30),
    word_token(LangsmithKey, "ls__", Body::Plain, 30),
    word_token(BedrockKey, "ABSK", Body::Base64, 60),
    free_token(BedrockKey, "bedrock-api-key-", Body::Base64, 40),
    word_token(TwilioKey, "SK", Body::Hex, 32),
    word_token(TwilioKey, "sk", Body::Hex, 32),
    free_token(ShopifyToken, "shpat_", Body::Plain, 30),
    free_token(ShopifyToken, "shpca_", Body::Plain, 30),
    free_token(ShopifyToken, "shppa_", Body::Plain, 30),
    free_token(ShopifyToken, "shpss_", Body::Plain, 30),
    free_token(ShopifyToken, "shptka_", Body::Plain, 30),
    free_token(DigitaloceanToken, "dop_v1_", Body::Plain, 40),
    free_token(DigitaloceanToken, "doo_v1_", Body::Plain, 40),
    free_token(DigitaloceanToken, "dor_v1_", Body::Plain, 40),
    free_token(DigitaloceanToken, "DOP_V1_", Body::Plain, 40),
    free_token(DigitaloceanToken, "DOO_V1_", Body::Plain, 40),
    free_token(DigitaloceanToken, "DOR_V1_", Body::Plain, 40),
    free_token(NewrelicKey, "NRAK-", Body::Plain, 27),
    free_token(NewrelicKey, "NRAA-", Body::Plain, 27),
    free_token(NewrelicKey, "NRII-", Body::Url, 30),
    free_token(NewrelicKey, "NRIQ-", Body::Url, 30),
    free_token(NewrelicKey, "NRRA-", Body::Plain, 40),
    free_token(NewrelicKey, "NRJS-", Body::Plain, 19),
    word_token(NewrelicKey, "nrak-", Body::Plain, 27),
    word_token(NewrelicKey, "nraa-", Body::Plain, 27),
    word_token(NewrelicKey, "nrii-", Body::Url, 30),
    word_token(NewrelicKey, "nriq-", Body::Url, 30),
    word_token(NewrelicKey, "nrra-", Body::Plain, 40),
    free_token(GrafanaToken, "glsa_", Body::Url, 32),
    free_token(GrafanaToken, "glc_", Body::Base64, 32),
    word_token(GrafanaToken, "eyJrIjoi", Body::Base64, 50),
    free_token(LinearKey, "lin_api_", Body::Plain, 32),
    free_token(LinearKey, "lin_oauth_", Body::Plain, 32),
    word_token(NotionToken, "secret_", Body::Exact, 43),
    word_token(NotionToken, "ntn_", Body::Plain, 40),
    free_token(SentryToken, "sntrys_", Body::Base64, 20),
    free_token(SentryToken, "sntryu_", Body::Base64, 20),
    free_token(PostmanKey, "PMAK-", Body::Url, 30),
    free_token(AgeKey, "AGE-SECRET-KEY-1", Body::Plain, 50),
    free_token(AgeKey, "age-secret-key-1", Body::Plain, 50),
    word_token(ApiToken, "gsk_", Body::Plain, 40),
    word_token(ApiToken, "xai-", Body::Plain, 60),
    word_token(ApiToken, "r8_", Body::Plain, 30),
    word_token(ApiToken, "fc-", Body::Hex, 32),
    word_token(ApiToken, "fw_", Body::Exact, 24),
    free_token(ApiToken, "tvly-", Body::Url, 28),
    free_token(ApiToken, "jina_", Body::Plain, 40),
    word_token(ApiToken, "aio_", Body::Exact, 28),
    free_token(ApiToken, "figd_", Body::Url, 30),
    free_token(ApiToken, "dckr_pat_", Body::Url, 20),
    free_token(ApiToken, "dckr_oat_", Body::Url, 20),
    word_token(ApiToken, "dp.ct.", Body::Url, 30),
    word_token(ApiToken, "dp.pt.", Body::Url, 30),
    word_token(ApiToken, "dp.st.", Body::Url, 30),
    word_token(ApiToken, "dp.sa.", Body::Url, 30),
    word_token(ApiToken, "dp.scim.", Body::Url, 30),
    word_token(ApiToken, "dp.audit.", Body::Url, 30),
    free_token(ApiToken, "ATATT3", Body::Base64, 40),
    free_token(ApiToken, "ATCTT3", Body::Base64, 40),
    free_token(ApiToken, "ATBB", Body::Plain, 28),
    free_token(ApiToken, "rubygems_", Body::Plain, 40),
    word_token(ApiToken, "sgp_", Body::Url, 40),
    word_token(ApiToken, "squ_", Body::Plain, 40),
    word_token(ApiToken, "sqp_", Body::Plain, 40),
    word_token(ApiToken, "sqa_", Body::Plain, 40),
    free_token(ApiToken, "sq0atp-", Body::Url, 20),
    free_token(ApiToken, "sq0csp-", Body::Url, 30),
    free_token(ApiToken, "sq0idp-", Body::Url, 20),
    word_token(ApiToken, "key-", Body::Exact, 32),
    word_token(ApiToken, "oy2", Body::Exact, 43),
    word_token(ApiToken, "cio", Body::Exact, 32),
    free_token(ApiToken, "EAACEdEose0cBA", Body::Plain, 20),
    word_token(ApiToken, "EAA", Body::Plain, 80),
    word_token(ApiToken, "p8e-", Body::Url, 30),
    word_token(ApiToken, "da2-", Body::Exact, 26),
    free_token(ApiToken, "amzn.mws.", Body::Url, 32),
    word_token(ApiToken, "odt_", Body::Plain, 32),
    word_token(ApiToken, "sl.", Body::Url, 130),
    word_token(ApiToken, "hawk.", Body::Url, 40),
    word_token(ApiToken, "AKCp", Body::Plain, 60),
    free_token(ApiToken, "pat-na1-", Body::Url, 32),
    free_token(ApiToken, "pat-eu1-", Body::Url, 32),
    word_token(ApiToken, "pul-", Body::Plain, 40),
    free_token(ApiToken, "pscale_", Body::Url, 32),
    word_token(ApiToken, "sbp_", Body::Plain, 40),
    free_token(ApiToken, "sb_secret_", Body::Url, 20),
    word_token(ApiToken, "nfp_", Body::Plain, 36),
    free_token(ApiToken, "tskey-", Body::Url, 20),
    free_token(ApiToken, "xkeysib-", Body::Url, 60),
    free_token(ApiToken, "ops_eyJ", Body::Base64, 50),
    free_token(ApiToken, "dt0c01.", Body::Url, 60),
    free_token(ApiToken, "dt0s01.", Body::Url, 60),
    free_token(ApiToken, "dt0a01.", Body::Url, 60),
    free_token(ApiToken, "sk-or-v1-", Body::Url, 32),
    free_token(ApiToken, "sk-lf-", Body::Url, 30),
    word_token(ApiToken, "sk.ey", Body::Url, 40),
    word_token(ApiToken, "tk.ey", Body::Url, 40),
    free_token(ApiToken, "rdme_", Body::Plain, 60),
    free_token(ApiToken, "shippo_live_", Body::Plain, 36),
    free_token(ApiToken, "CFPAT-", Body::Url, 40),
    free_token(ApiToken, "phx_", Body::Plain, 40),
    word_token(ApiToken, "csk-", Body::Plain, 40),
    word_token(ApiToken, "pa-", Body::Exact, 43),
    free_token(ApiToken, "lsv1_", Body::Url, 30),
    word_token(ApiToken, "eyJ0eXAiOiAiVENWMiJ9.", Body::Url, 20),
    word_token(ApiToken, "live_", Body::Url, 40),
];

/// Returns a trigger for each prefix. If the prefix begins a word, the trigger is its beginning;
/// otherwise it is the rarest bytes of the prefix.
pub(super) fn service_token_triggers() -> impl Iterator<Item = Trigger> {
    TOKENS.iter().map(|token| {
        let offset = token.trigger_offset();
        let (bytes, rule) = (token.trigger_bytes(offset), Rule::Token(token, offset));
        if token.is_word {
            Trigger::at_word_start(bytes, rule)
        } else {
            Trigger::anywhere(bytes, rule)
        }
    })
}

impl ServiceToken {
    /// Returns the offset of the trigger in the prefix.
    fn trigger_offset(&self) -> usize {
        let last = if self.is_word { 0 } else { self.prefix.len().saturating_sub(PLACE) };
        // Triggers with a separator at the end share buckets well.
        let ends = |at: usize| matches!(self.prefix.get(at + PLACE - 1), Some(b'-' | b'_'));
        let rarity = |at: &usize| {
            trigger_weight(self.trigger_bytes(*at)) * if ends(*at) { 0.1 } else { 1.0 }
        };
        (0..=last).min_by(|a, b| rarity(a).total_cmp(&rarity(b))).unwrap_or(0)
    }

    /// Returns the bytes of the prefix from this offset on, and those that may follow it.
    fn trigger_bytes(&self, at: usize) -> TriggerBytes {
        let first = self.body.first_bytes();
        std::array::from_fn(|i| self.prefix.get(at + i..=at + i).unwrap_or(first))
    }

    /// Returns the secret if the byte at `offset` of its prefix is at `at`.
    pub(super) fn match_at(&self, look: RuleText<'_>, at: usize, offset: usize) -> Option<Match> {
        let at = at.checked_sub(offset).filter(|at| *at >= look.edge)?;
        let body = look.rest_from(at).strip_prefix(self.prefix)?;
        if self.is_word && look.byte_before(at).is_some_and(is_base64url_byte) {
            return None;
        }
        let start = at + self.prefix.len();
        let leading = |is: fn(u8) -> bool| {
            body.len() >= self.least && body[..self.least].iter().all(|&byte| is(byte))
        };
        let is_over = || !body.get(self.least).copied().is_some_and(is_alphanumeric_byte);
        let is_free = |at: usize| !body.get(at).copied().is_some_and(is_base64url_byte);
        let end = match self.body {
            Body::Url => dotted_token_end(look, start),
            Body::Plain if leading(is_alphanumeric_byte) => dotted_token_end(look, start),
            Body::Hex if leading(|byte| byte.is_ascii_hexdigit()) && is_over() => {
                dotted_token_end(look, start)
            }
            Body::Exact if leading(is_alphanumeric_byte) && is_free(self.least) => {
                start + self.least
            }
            Body::Base64 => look.run_end(start, |byte| is_base64_byte(byte) || byte == b'%'),
            Body::Plain | Body::Hex | Body::Exact => return None,
        };
        (end - start >= self.least).then(|| match_if_nonempty(self.kind, at, end))?
    }
}

/// The shortest run that a dot may join to those before it.
const JOINED_BYTES_MIN: usize = 6;

/// Returns the end of the runs of base64url from `at` on, with single dots between them.
fn dotted_token_end(look: RuleText<'_>, at: usize) -> usize {
    let mut end = look.run_end(at, is_base64url_byte);
    while look.byte_at(end) == Some(b'.') {
        let next = look.run_end(end + 1, is_base64url_byte);
        if next - end <= JOINED_BYTES_MIN {
            break;
        }
        end = next;
    }
    end
}

const BASE64: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_+/=%";

type OddToken = (TriggerBytes, fn(RuleText<'_>, usize) -> Option<Match>);

/// Secrets that have no prefix, or for which the prefix is not enough.
pub(super) const ODD: [OddToken; 12] = [
    ([b"S", b"G", b".", BASE64URL], sendgrid_key_at),
    ([b"78", b"Q", b"~", AZURE_BYTES], azure_client_secret_at),
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

/// Matches three bytes, `7Q~` or `8Q~`, and 31 to 34 bytes: the client secrets of Microsoft Entra.
fn azure_client_secret_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let is_part = |byte| is_base64url_byte(byte) || byte == b'~' || byte == b'.';
    let start = look.run_start(at, 4, is_part);
    let end = look.run_end(at, is_part);
    (at - start == 3 && end - at >= 3 + 30).then(|| match_if_nonempty(AzureKey, start, end))?
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
