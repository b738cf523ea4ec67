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
    body: TokenBody,
    /// The least number of bytes after the prefix.
    least: usize,
    /// The prefix is part of words, so it counts only if no letter, digit, `-` or `_` is before it.
    is_word: bool,
}

/// What follows the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenBody {
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

impl TokenBody {
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

const fn token_anywhere(
    kind: Kind,
    prefix: &'static str,
    body: TokenBody,
    least: usize,
) -> ServiceToken {
    ServiceToken { kind, prefix: prefix.as_bytes(), body, least, is_word: false }
}

const fn token_at_word_start(
    kind: Kind,
    prefix: &'static str,
    body: TokenBody,
    least: usize,
) -> ServiceToken {
    ServiceToken { kind, prefix: prefix.as_bytes(), body, least, is_word: true }
}

/// Every prefix has three bytes or more. Letters of a prefix match only in the case of this table.
#[rustfmt::skip]
static TOKENS: [ServiceToken; 165] = [
    token_at_word_start(OpenaiKey, "sk-", TokenBody::Plain, 20),
    token_anywhere(OpenaiKey, "sk-proj-", TokenBody::Url, 20),
    token_anywhere(OpenaiKey, "sk-svcacct-", TokenBody::Url, 20),
    token_anywhere(OpenaiKey, "sk-admin-", TokenBody::Url, 20),
    token_anywhere(OpenaiKey, "sk-None-", TokenBody::Url, 20),
    token_anywhere(AnthropicKey, "sk-ant-", TokenBody::Url, 20),
    token_anywhere(GithubToken, "ghp_", TokenBody::Plain, 20),
    token_anywhere(GithubToken, "gho_", TokenBody::Plain, 20),
    token_anywhere(GithubToken, "ghu_", TokenBody::Plain, 20),
    token_anywhere(GithubToken, "ghs_", TokenBody::Url, 20),
    token_anywhere(GithubToken, "ghr_", TokenBody::Plain, 20),
    token_anywhere(GithubToken, "github_pat_", TokenBody::Url, 20),
    token_anywhere(GitlabToken, "glpat-", TokenBody::Url, 20),
    token_anywhere(GitlabToken, "glptt-", TokenBody::Url, 20),
    token_anywhere(GitlabToken, "gldt-", TokenBody::Url, 20),
    token_anywhere(GitlabToken, "glrt-", TokenBody::Url, 20),
    token_anywhere(GitlabToken, "glrtr-", TokenBody::Url, 20),
    token_anywhere(GitlabToken, "glcbt-", TokenBody::Url, 20),
    token_anywhere(GitlabToken, "glft-", TokenBody::Url, 20),
    token_anywhere(GitlabToken, "glsoat-", TokenBody::Url, 20),
    token_anywhere(GitlabToken, "glimt-", TokenBody::Url, 20),
    token_anywhere(GitlabToken, "glagent-", TokenBody::Url, 20),
    token_anywhere(GitlabToken, "gloas-", TokenBody::Url, 20),
    token_anywhere(GitlabToken, "glffct-", TokenBody::Url, 20),
    token_anywhere(GitlabToken, "GR1348941", TokenBody::Url, 20),
    token_anywhere(SlackToken, "xoxb-", TokenBody::Base64, 10),
    token_anywhere(SlackToken, "xoxp-", TokenBody::Base64, 10),
    token_anywhere(SlackToken, "xoxa-", TokenBody::Base64, 10),
    token_anywhere(SlackToken, "xoxr-", TokenBody::Base64, 10),
    token_anywhere(SlackToken, "xoxs-", TokenBody::Base64, 10),
    token_anywhere(SlackToken, "xoxo-", TokenBody::Base64, 10),
    token_anywhere(SlackToken, "xoxc-", TokenBody::Base64, 10),
    token_anywhere(SlackToken, "xoxd-", TokenBody::Base64, 10),
    token_anywhere(SlackToken, "xoxe-", TokenBody::Base64, 10),
    token_anywhere(SlackToken, "xoxe.", TokenBody::Base64, 10),
    token_anywhere(SlackToken, "xapp-", TokenBody::Base64, 10),
    token_anywhere(SlackToken, "xwfp-", TokenBody::Base64, 10),
    token_anywhere(GoogleKey, "AIza", TokenBody::Url, 30),
    token_anywhere(GoogleOauth, "ya29.", TokenBody::Url, 20),
    token_anywhere(GoogleOauth, "GOCSPX-", TokenBody::Url, 20),
    token_at_word_start(GoogleOauth, "1//0", TokenBody::Url, 40),
    token_anywhere(StripeKey, "sk_live_", TokenBody::Url, 16),
    token_anywhere(StripeKey, "rk_live_", TokenBody::Url, 16),
    token_anywhere(StripeKey, "sk_test_", TokenBody::Url, 16),
    token_anywhere(StripeKey, "rk_test_", TokenBody::Url, 16),
    token_anywhere(StripeKey, "SK_LIVE_", TokenBody::Url, 16),
    token_anywhere(StripeKey, "RK_LIVE_", TokenBody::Url, 16),
    token_anywhere(StripeKey, "whsec_", TokenBody::Base64, 24),
    token_at_word_start(HuggingfaceToken, "hf_", TokenBody::Plain, 30),
    token_anywhere(HuggingfaceToken, "api_org_", TokenBody::Plain, 30),
    token_at_word_start(NpmToken, "npm_", TokenBody::Plain, 30),
    token_anywhere(PypiToken, "pypi-", TokenBody::Url, 50),
    token_at_word_start(DatabricksToken, "dapi", TokenBody::Hex, 32),
    token_at_word_start(VaultToken, "hvs.", TokenBody::Url, 24),
    token_at_word_start(VaultToken, "s.", TokenBody::Exact, 24),
    token_at_word_start(VaultToken, "s.CAES", TokenBody::Url, 80),
    token_at_word_start(VaultToken, "hvb.", TokenBody::Url, 24),
    token_at_word_start(VaultToken, "hvr.", TokenBody::Url, 24),
    token_anywhere(PerplexityKey, "pplx-", TokenBody::Plain, 32),
    token_anywhere(LangsmithKey, "lsv2_", TokenBody::Url, 30),
    token_at_word_start(LangsmithKey, "ls__", TokenBody::Plain, 30),
    token_at_word_start(BedrockKey, "ABSK", TokenBody::Base64, 60),
    token_anywhere(BedrockKey, "bedrock-api-key-", TokenBody::Base64, 40),
    token_at_word_start(TwilioKey, "SK", TokenBody::Hex, 32),
    token_at_word_start(TwilioKey, "sk", TokenBody::Hex, 32),
    token_anywhere(ShopifyToken, "shpat_", TokenBody::Plain, 30),
    token_anywhere(ShopifyToken, "shpca_", TokenBody::Plain, 30),
    token_anywhere(ShopifyToken, "shppa_", TokenBody::Plain, 30),
    token_anywhere(ShopifyToken, "shpss_", TokenBody::Plain, 30),
    token_anywhere(ShopifyToken, "shptka_", TokenBody::Plain, 30),
    token_anywhere(DigitaloceanToken, "dop_v1_", TokenBody::Plain, 40),
    token_anywhere(DigitaloceanToken, "doo_v1_", TokenBody::Plain, 40),
    token_anywhere(DigitaloceanToken, "dor_v1_", TokenBody::Plain, 40),
    token_anywhere(DigitaloceanToken, "DOP_V1_", TokenBody::Plain, 40),
    token_anywhere(DigitaloceanToken, "DOO_V1_", TokenBody::Plain, 40),
    token_anywhere(DigitaloceanToken, "DOR_V1_", TokenBody::Plain, 40),
    token_anywhere(NewrelicKey, "NRAK-", TokenBody::Plain, 27),
    token_anywhere(NewrelicKey, "NRAA-", TokenBody::Plain, 27),
    token_anywhere(NewrelicKey, "NRII-", TokenBody::Url, 30),
    token_anywhere(NewrelicKey, "NRIQ-", TokenBody::Url, 30),
    token_anywhere(NewrelicKey, "NRRA-", TokenBody::Plain, 40),
    token_anywhere(NewrelicKey, "NRJS-", TokenBody::Plain, 19),
    token_at_word_start(NewrelicKey, "nrak-", TokenBody::Plain, 27),
    token_at_word_start(NewrelicKey, "nraa-", TokenBody::Plain, 27),
    token_at_word_start(NewrelicKey, "nrii-", TokenBody::Url, 30),
    token_at_word_start(NewrelicKey, "nriq-", TokenBody::Url, 30),
    token_at_word_start(NewrelicKey, "nrra-", TokenBody::Plain, 40),
    token_anywhere(GrafanaToken, "glsa_", TokenBody::Url, 32),
    token_anywhere(GrafanaToken, "glc_", TokenBody::Base64, 32),
    token_at_word_start(GrafanaToken, "eyJrIjoi", TokenBody::Base64, 50),
    token_anywhere(LinearKey, "lin_api_", TokenBody::Plain, 32),
    token_anywhere(LinearKey, "lin_oauth_", TokenBody::Plain, 32),
    token_at_word_start(NotionToken, "secret_", TokenBody::Exact, 43),
    token_at_word_start(NotionToken, "ntn_", TokenBody::Plain, 40),
    token_anywhere(SentryToken, "sntrys_", TokenBody::Base64, 20),
    token_anywhere(SentryToken, "sntryu_", TokenBody::Base64, 20),
    token_anywhere(PostmanKey, "PMAK-", TokenBody::Url, 30),
    token_anywhere(AgeKey, "AGE-SECRET-KEY-1", TokenBody::Plain, 50),
    token_anywhere(AgeKey, "age-secret-key-1", TokenBody::Plain, 50),
    token_at_word_start(ApiToken, "gsk_", TokenBody::Plain, 40),
    token_at_word_start(ApiToken, "xai-", TokenBody::Plain, 60),
    token_at_word_start(ApiToken, "r8_", TokenBody::Plain, 30),
    token_at_word_start(ApiToken, "fc-", TokenBody::Hex, 32),
    token_at_word_start(ApiToken, "fw_", TokenBody::Exact, 24),
    token_anywhere(ApiToken, "tvly-", TokenBody::Url, 28),
    token_anywhere(ApiToken, "jina_", TokenBody::Plain, 40),
    token_at_word_start(ApiToken, "aio_", TokenBody::Exact, 28),
    token_anywhere(ApiToken, "figd_", TokenBody::Url, 30),
    token_anywhere(ApiToken, "dckr_pat_", TokenBody::Url, 20),
    token_anywhere(ApiToken, "dckr_oat_", TokenBody::Url, 20),
    token_at_word_start(ApiToken, "dp.ct.", TokenBody::Url, 30),
    token_at_word_start(ApiToken, "dp.pt.", TokenBody::Url, 30),
    token_at_word_start(ApiToken, "dp.st.", TokenBody::Url, 30),
    token_at_word_start(ApiToken, "dp.sa.", TokenBody::Url, 30),
    token_at_word_start(ApiToken, "dp.scim.", TokenBody::Url, 30),
    token_at_word_start(ApiToken, "dp.audit.", TokenBody::Url, 30),
    token_anywhere(ApiToken, "ATATT3", TokenBody::Base64, 40),
    token_anywhere(ApiToken, "ATCTT3", TokenBody::Base64, 40),
    token_anywhere(ApiToken, "ATBB", TokenBody::Plain, 28),
    token_anywhere(ApiToken, "rubygems_", TokenBody::Plain, 40),
    token_at_word_start(ApiToken, "sgp_", TokenBody::Url, 40),
    token_at_word_start(ApiToken, "squ_", TokenBody::Plain, 40),
    token_at_word_start(ApiToken, "sqp_", TokenBody::Plain, 40),
    token_at_word_start(ApiToken, "sqa_", TokenBody::Plain, 40),
    token_anywhere(ApiToken, "sq0atp-", TokenBody::Url, 20),
    token_anywhere(ApiToken, "sq0csp-", TokenBody::Url, 30),
    token_anywhere(ApiToken, "sq0idp-", TokenBody::Url, 20),
    token_at_word_start(ApiToken, "key-", TokenBody::Exact, 32),
    token_at_word_start(ApiToken, "oy2", TokenBody::Exact, 43),
    token_at_word_start(ApiToken, "cio", TokenBody::Exact, 32),
    token_anywhere(ApiToken, "EAACEdEose0cBA", TokenBody::Plain, 20),
    token_at_word_start(ApiToken, "EAA", TokenBody::Plain, 80),
    token_at_word_start(ApiToken, "p8e-", TokenBody::Url, 30),
    token_at_word_start(ApiToken, "da2-", TokenBody::Exact, 26),
    token_anywhere(ApiToken, "amzn.mws.", TokenBody::Url, 32),
    token_at_word_start(ApiToken, "odt_", TokenBody::Plain, 32),
    token_at_word_start(ApiToken, "sl.", TokenBody::Url, 130),
    token_at_word_start(ApiToken, "hawk.", TokenBody::Url, 40),
    token_at_word_start(ApiToken, "AKCp", TokenBody::Plain, 60),
    token_anywhere(ApiToken, "pat-na1-", TokenBody::Url, 32),
    token_anywhere(ApiToken, "pat-eu1-", TokenBody::Url, 32),
    token_at_word_start(ApiToken, "pul-", TokenBody::Plain, 40),
    token_anywhere(ApiToken, "pscale_", TokenBody::Url, 32),
    token_at_word_start(ApiToken, "sbp_", TokenBody::Plain, 40),
    token_anywhere(ApiToken, "sb_secret_", TokenBody::Url, 20),
    token_at_word_start(ApiToken, "nfp_", TokenBody::Plain, 36),
    token_anywhere(ApiToken, "tskey-", TokenBody::Url, 20),
    token_anywhere(ApiToken, "xkeysib-", TokenBody::Url, 60),
    token_anywhere(ApiToken, "ops_eyJ", TokenBody::Base64, 50),
    token_anywhere(ApiToken, "dt0c01.", TokenBody::Url, 60),
    token_anywhere(ApiToken, "dt0s01.", TokenBody::Url, 60),
    token_anywhere(ApiToken, "dt0a01.", TokenBody::Url, 60),
    token_anywhere(ApiToken, "sk-or-v1-", TokenBody::Url, 32),
    token_anywhere(ApiToken, "sk-lf-", TokenBody::Url, 30),
    token_at_word_start(ApiToken, "sk.ey", TokenBody::Url, 40),
    token_at_word_start(ApiToken, "tk.ey", TokenBody::Url, 40),
    token_anywhere(ApiToken, "rdme_", TokenBody::Plain, 60),
    token_anywhere(ApiToken, "shippo_live_", TokenBody::Plain, 36),
    token_anywhere(ApiToken, "CFPAT-", TokenBody::Url, 40),
    token_anywhere(ApiToken, "phx_", TokenBody::Plain, 40),
    token_at_word_start(ApiToken, "csk-", TokenBody::Plain, 40),
    token_at_word_start(ApiToken, "pa-", TokenBody::Exact, 43),
    token_anywhere(ApiToken, "lsv1_", TokenBody::Url, 30),
    token_at_word_start(ApiToken, "eyJ0eXAiOiAiVENWMiJ9.", TokenBody::Url, 20),
    token_at_word_start(ApiToken, "live_", TokenBody::Url, 40),
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
            TokenBody::Url => dotted_token_end(look, start),
            TokenBody::Plain if leading(is_alphanumeric_byte) => dotted_token_end(look, start),
            TokenBody::Hex if leading(|byte| byte.is_ascii_hexdigit()) && is_over() => {
                dotted_token_end(look, start)
            }
            TokenBody::Exact if leading(is_alphanumeric_byte) && is_free(self.least) => {
                start + self.least
            }
            TokenBody::Base64 => look.run_end(start, |byte| is_base64_byte(byte) || byte == b'%'),
            TokenBody::Plain | TokenBody::Hex | TokenBody::Exact => return None,
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
