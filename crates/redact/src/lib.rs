//! Redaction: text in, redacted text out.
//!
//! A [`Sanitizer`] replaces what is of a [`Kind`], e-mail addresses and card numbers, tokens and
//! private keys, by placeholders such as `[REDACTED_email]`, and in JSON the whole value of a
//! sensitive key (`password`, `apiKey`, `Set-Cookie` …, in any case) by `"[REDACTED]"`, unless it is
//! `true`, `false` or `null`.
//!
//! Three things hold for every text. No rule matches what comes out, beside a placeholder neither.
//! Outside the placeholders every byte stays. Redacting again changes nothing.
//!
//! Not found are names, birth dates, postal addresses and free-form identifiers: protect them as
//! values ([`protect_value`]), or put them under sensitive keys. [`Sanitizer::builder`] adds kinds,
//! keys and patterns.

mod builder;
mod confusables;
pub mod debug;
mod error;
mod extent;
mod json;
mod keys;
mod malformed;
mod names;
mod opt_in;
mod prefilter;
mod protected;

mod bytes;
mod lines;
mod rules;
mod scan;
mod value;
mod walk;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use llm_audit_process::fork;

use builder::Options;
pub use builder::Place;
pub use builder::{Replacement, SanitizerBuilder};
pub use error::Error;
pub use json::redact_nested;
pub use keys::{KeyClass, KeyNumbers};
pub use lines::{LINE_BYTES_MAX, PrivateKeyLines, RedactingWriter};
pub use names::is_sensitive_header;
pub use protected::{ProtectedValue, protect_environment, protect_value, protect_variables};
pub use scan::Matches;
pub use value::sanitize;
pub use walk::{Fate, Frame, Secrecy, Shape, Slot};

/// Has every later fork find the rules and the protected values whole. Called before either is begun.
fn watch_forks() {
    /// A child must not inherit rules that are half made, or a table that is half changed.
    static HOOKS: fork::Hooks = fork::Hooks {
        before: || {
            scan::Rules::defaults();
            protected::hold_changes();
        },
        parent: protected::let_changes,
        child: protected::open_in_child,
    };
    fork::register(&HOOKS);
}

/// Declares [`Kind`]: each variant with its name and what it finds.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $variant:ident $name:literal $placeholder:literal,)+) => {
        /// What a rule finds. What is marked opt-in is found where a
        /// [builder](Sanitizer::builder) was asked for it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Kind {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Kind {
            /// Every kind, in the order in which counts are given.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// How many kinds there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name in counts: `email`, `card`, `github_token` …
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// What stands in the place of what was found, unless the sanitizer was built to put
            /// something else there.
            pub fn placeholder(self) -> &'static str {
                match self {
                    $(Self::$variant => $placeholder,)+
                }
            }
        }
    };
}

kinds! {
    /// An e-mail address.
    Email "email" "[REDACTED_email]",
    /// A payment card number.
    Card "card" "[REDACTED_card]",
    /// A JSON web token, signed, unsigned or encrypted.
    Jwt "jwt" "[REDACTED_jwt]",
    /// An AWS access key id.
    AwsKey "aws_key" "[REDACTED_aws_key]",
    /// The whole value of a sensitive key.
    Key "key" "[REDACTED]",
    /// A value that was registered: `protect_value`, `AUDIT_REDACT_ENV`.
    Known "known" "[REDACTED_known]",
    /// What a pattern of the caller's own found.
    Custom "custom" "[REDACTED_custom]",
    /// The secret beside an AWS access key id.
    AwsSecret "aws_secret" "[REDACTED_aws_secret]",
    /// An International Bank Account Number.
    Iban "iban" "[REDACTED_iban]",
    /// A United States social security number.
    UsSsn "us_ssn" "[REDACTED_us_ssn]",
    /// A private key in PEM or a like format.
    PrivateKey "private_key" "[REDACTED_private_key]",
    /// The credentials of an `Authorization` header.
    Authorization "authorization" "[REDACTED_authorization]",
    /// The cookies of a `Cookie` or `Set-Cookie` line.
    Cookie "cookie" "[REDACTED_cookie]",
    /// The user and password in a URL.
    UrlCredentials "url_credentials" "[REDACTED_url_credentials]",
    /// The value of a sensitive parameter in a URL.
    UrlParameter "url_parameter" "[REDACTED_url_parameter]",
    /// The value in `password=…`, `api_key: …` and the like.
    Credential "credential" "[REDACTED_credential]",
    /// A hash of a password: bcrypt, crypt, Argon2.
    PasswordHash "password_hash" "[REDACTED_password_hash]",
    /// A secret of OpenAI.
    OpenaiKey "openai_key" "[REDACTED_openai_key]",
    /// A secret of Anthropic.
    AnthropicKey "anthropic_key" "[REDACTED_anthropic_key]",
    /// A secret of GitHub.
    GithubToken "github_token" "[REDACTED_github_token]",
    /// A secret of GitLab.
    GitlabToken "gitlab_token" "[REDACTED_gitlab_token]",
    /// A secret of Slack.
    SlackToken "slack_token" "[REDACTED_slack_token]",
    /// The URL of a webhook.
    WebhookUrl "webhook_url" "[REDACTED_webhook_url]",
    /// An API key of Google.
    GoogleKey "google_key" "[REDACTED_google_key]",
    /// A token or client secret of Google's OAuth.
    GoogleOauth "google_oauth" "[REDACTED_google_oauth]",
    /// A secret of Stripe.
    StripeKey "stripe_key" "[REDACTED_stripe_key]",
    /// A secret of Hugging Face.
    HuggingfaceToken "huggingface_token" "[REDACTED_huggingface_token]",
    /// A secret of npm.
    NpmToken "npm_token" "[REDACTED_npm_token]",
    /// A secret of PyPI.
    PypiToken "pypi_token" "[REDACTED_pypi_token]",
    /// A secret of SendGrid.
    SendgridKey "sendgrid_key" "[REDACTED_sendgrid_key]",
    /// A secret of Azure.
    AzureKey "azure_key" "[REDACTED_azure_key]",
    /// A secret of Databricks.
    DatabricksToken "databricks_token" "[REDACTED_databricks_token]",
    /// A secret of HashiCorp Vault.
    VaultToken "vault_token" "[REDACTED_vault_token]",
    /// A secret of Perplexity.
    PerplexityKey "perplexity_key" "[REDACTED_perplexity_key]",
    /// A secret of LangSmith.
    LangsmithKey "langsmith_key" "[REDACTED_langsmith_key]",
    /// A secret of Amazon Bedrock.
    BedrockKey "bedrock_key" "[REDACTED_bedrock_key]",
    /// A secret of Twilio.
    TwilioKey "twilio_key" "[REDACTED_twilio_key]",
    /// A secret of Discord.
    DiscordToken "discord_token" "[REDACTED_discord_token]",
    /// A secret of a Telegram bot.
    TelegramToken "telegram_token" "[REDACTED_telegram_token]",
    /// A secret of Shopify.
    ShopifyToken "shopify_token" "[REDACTED_shopify_token]",
    /// A secret of DigitalOcean.
    DigitaloceanToken "digitalocean_token" "[REDACTED_digitalocean_token]",
    /// A secret of New Relic.
    NewrelicKey "newrelic_key" "[REDACTED_newrelic_key]",
    /// A secret of Grafana.
    GrafanaToken "grafana_token" "[REDACTED_grafana_token]",
    /// A secret of Linear.
    LinearKey "linear_key" "[REDACTED_linear_key]",
    /// A secret of Notion.
    NotionToken "notion_token" "[REDACTED_notion_token]",
    /// A secret of Sentry.
    SentryToken "sentry_token" "[REDACTED_sentry_token]",
    /// A secret of Postman.
    PostmanKey "postman_key" "[REDACTED_postman_key]",
    /// A secret of age.
    AgeKey "age_key" "[REDACTED_age_key]",
    /// A secret of another service, of a distinctive form.
    ApiToken "api_token" "[REDACTED_api_token]",
    /// A telephone number (opt-in).
    Phone "phone" "[REDACTED_phone]",
    /// An IP address (opt-in).
    IpAddress "ip_address" "[REDACTED_ip_address]",
    /// An address of a crypto wallet (opt-in).
    CryptoWallet "crypto_wallet" "[REDACTED_crypto_wallet]",
    /// A long random string (opt-in).
    HighEntropy "high_entropy" "[REDACTED_high_entropy]",
}

/// A part of a text that has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// Byte offset of its first byte.
    pub start: usize,
    /// Byte offset behind its last.
    pub end: usize,
    /// What it is.
    pub kind: Kind,
}

impl Match {
    /// The part of `text`, which it is a part of.
    pub fn of(self, text: &str) -> &str {
        &text[self.start..self.end]
    }
}

/// What stands in the place of a match.
#[derive(Clone, Debug)]
pub struct Placeholder(Cow<'static, str>);

impl Placeholder {
    fn plain(kind: Kind) -> Self {
        Self(kind.placeholder().into())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How many parts were redacted, by kind.
#[derive(Clone, PartialEq, Eq)]
pub struct Redactions([u64; Kind::COUNT]);

impl fmt::Debug for Redactions {
    /// Those that there were.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let some = self.iter().filter(|(_, count)| *count > 0);
        f.debug_map().entries(some.map(|(kind, count)| (kind.name(), count))).finish()
    }
}

impl Default for Redactions {
    fn default() -> Self {
        Self([0; Kind::COUNT])
    }
}

impl Redactions {
    /// Counts one.
    pub fn add(&mut self, kind: Kind) {
        self.0[kind as usize] += 1;
    }

    /// Adds `count` of a kind.
    pub fn add_many(&mut self, kind: Kind, count: u64) {
        self.0[kind as usize] += count;
    }

    /// How many of `kind`.
    pub fn get(&self, kind: Kind) -> u64 {
        self.0[kind as usize]
    }

    /// Every kind and how many of it, zeros included, in the order of [`Kind::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Kind, u64)> + '_ {
        Kind::ALL.into_iter().zip(self.0)
    }

    /// How many of all kinds.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Adds the counts of `other`.
    #[inline]
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }
}

/// What [`Sanitizer::redact_line`] took a line for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// It parsed as JSON.
    Json,
    /// It does not begin as JSON does.
    Text,
    /// It begins as JSON does, but does not parse: to be reported.
    NotQuiteJson,
}

/// What is taken for a payment card (`AUDIT_REDACT_PROFILE`, `redact --profile`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Whatever looks like four groups of four digits, the fraction of a float included; of other
    /// lengths what passes the checks of `Precise`.
    #[default]
    Full,
    /// Only what has an issuer's prefix and length, passes Luhn's check and is no part of a longer
    /// number or word. Names of pictures such as `icon@2x.png` are no e-mail addresses.
    Precise,
}

impl Profile {
    /// Both, in the order in which they are offered.
    pub const ALL: [Self; 2] = [Self::Full, Self::Precise];

    /// Its name: `full`, `precise`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Precise => "precise",
        }
    }

    /// The profile of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }
}

/// Redacts texts and lines. It holds the rules and no text.
///
/// # Examples
///
/// ```
/// use llm_audit_redact::Sanitizer;
///
/// let sanitizer = Sanitizer::default();
/// assert_eq!(sanitizer.redact_str("to ana@example.org"), "to [REDACTED_email]");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sanitizer {
    profile: Profile,
    options: Option<Arc<Options>>,
}

impl Sanitizer {
    /// One that follows this profile; the default one follows [`Profile::Full`].
    ///
    /// The rules are made ready here, which takes some milliseconds the first time, and not at the
    /// first text.
    pub fn with_profile(profile: Profile) -> Self {
        scan::Rules::defaults();
        Self { profile, options: None }
    }

    /// The same under another profile.
    pub fn profiled(self, profile: Profile) -> Self {
        Self { profile, ..self }
    }

    /// What it takes for a payment card.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// How many parts of the text would be redacted, by kind.
    pub fn report(&self, text: &str) -> Redactions {
        let mut counts = Redactions::default();
        self.matches(text).for_each(|found| counts.add(found.kind));
        counts
    }

    /// The redacted text; borrowed when there is nothing to redact.
    pub fn redact_str<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(mut matches) = self.find(text) else { return Cow::Borrowed(text) };
        let Some(first) = matches.next() else { return Cow::Borrowed(text) };
        let (mut out, matches) =
            (String::with_capacity(text.len()), [first].into_iter().chain(matches));
        self.redact_matches(text, matches, &mut out, &mut Redactions::default());
        Cow::Owned(out)
    }

    /// Appends the redacted text to `out` and adds to `counts` what was redacted.
    #[inline]
    pub fn redact_text(&self, text: &str, out: &mut String, counts: &mut Redactions) {
        match self.find(text) {
            None => out.push_str(text),
            Some(matches) => self.redact_matches(text, matches, out, counts),
        }
    }

    fn redact_matches(
        &self,
        text: &str,
        matches: impl Iterator<Item = Match>,
        out: &mut String,
        counts: &mut Redactions,
    ) {
        let mut copied = 0;
        for found in matches {
            out.push_str(&text[copied..found.start]);
            out.push_str(self.placeholder(found.kind, found.of(text)).as_str());
            counts.add(found.kind);
            copied = found.end;
        }
        out.push_str(&text[copied..]);
    }

    /// Appends the redacted line to `out`, adds to `counts` what was redacted, and says what the
    /// line was taken for. `line` is without its newline.
    ///
    /// A line whose first character, white space and a byte order mark aside, is `{`, `[` or `"` is
    /// JSON. Its strings and keys are redacted as they read decoded; keys that redact alike are
    /// numbered; numbers keep their spelling; containers more than 128 levels deep become
    /// `"[TOO_DEEP]"`. Where it does not parse, the text rules run over it, as it stands and as its
    /// strings read decoded, and the value behind every quoted sensitive key goes. Any other line is
    /// text.
    pub fn redact_line(&self, line: &str, out: &mut String, counts: &mut Redactions) -> LineKind {
        json::redact_line(self, line, out, counts)
    }

    /// Appends a text that may hold JSON without being JSON, redacted as a line that does not parse.
    pub fn redact_malformed(&self, text: &str, out: &mut String) {
        malformed::redact(self, text, malformed::Quotes::Put, out, &mut Redactions::default());
    }

    /// What has to go, in order, none overlapping another. Takes time linear in the length of the
    /// text, and allocates nothing where there are neither options nor protected values.
    #[inline]
    pub fn matches<'t>(&'t self, text: &'t str) -> impl Iterator<Item = Match> + 't {
        self.find(text).into_iter().flatten()
    }

    /// The same; `None` where there is plainly nothing, as in most texts.
    pub fn find<'t>(&'t self, text: &'t str) -> Option<Matches<'t>> {
        match protected::are_none() && self.options.is_none() {
            true => self.by_rules(text),
            false => self.with_known(text),
        }
    }

    #[cold]
    fn with_known<'t>(&'t self, text: &'t str) -> Option<Matches<'t>> {
        let known = protected::find(text);
        match known.is_empty() && self.options.is_none() {
            true => self.by_rules(text),
            false => self.with_options(known, text, 0),
        }
    }

    #[inline]
    fn by_rules<'t>(&self, text: &'t str) -> Option<Matches<'t>> {
        Matches::new(text, scan::Rules::defaults(), self.profile == Profile::Precise)
    }

    /// The matches of a text in which these were found already. Where one is cut off by another a new
    /// one may begin, so that between them all are looked for again, so often.
    fn with_options<'t>(
        &self,
        mut known: Vec<Match>,
        text: &'t str,
        deep: usize,
    ) -> Option<Matches<'t>> {
        const DEEP_MAX: usize = 4;
        if let Some(options) = &self.options {
            options.find(self, text, &mut known);
        }
        let by_rules: Vec<_> = self.by_rules(text).into_iter().flatten().collect();
        known.extend(by_rules);
        let between = |part: &str| -> Vec<Match> {
            match self.options.is_none() || deep == DEEP_MAX {
                true => self.by_rules(part),
                false => self.with_options(Vec::new(), part, deep + 1),
            }
            .into_iter()
            .flatten()
            .collect()
        };
        let rules = scan::Rules::defaults();
        (!known.is_empty()).then(|| Matches::around(known, text, rules, &between))
    }

    /// A hash of the rules: equal where two programs redact alike, from one release to the next.
    ///
    /// FNV-1a, 64 bits, over the profile, the edition of the rules, the names and patterns of those
    /// of the floor, the names of all kinds, the sensitive keys and what the builder was asked for,
    /// each followed by a zero byte. Values that are protected are no part of it.
    pub fn rules_hash(&self) -> u64 {
        let options = self.options.as_ref().map_or_else(Vec::new, |options| options.parts());
        let floor = scan::RULES.iter().flat_map(|&(kind, pattern)| [kind.name(), pattern]);
        let parts = [self.profile.name(), rules::EDITION]
            .into_iter()
            .chain(floor)
            .chain(Kind::ALL.map(Kind::name))
            .chain(keys::SENSITIVE)
            .chain(options.iter().map(String::as_str))
            .flat_map(|part| part.bytes().chain([0]));
        parts.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }
}

#[cfg(test)]
mod samples;

/// Where a match may begin, by vectors and byte for byte, for the fuzz targets.
#[cfg(fuzzing)]
#[doc(hidden)]
pub fn candidates(text: &[u8], edge: usize) -> [Vec<usize>; 2] {
    scan::Rules::defaults().candidates(text, edge)
}

/// Where to cut a text that is cut before `at`, so that nothing is left of a word that is cut: half a
/// secret is one that no rule finds. Neither are digits left before the cut, whose groups may stand
/// apart.
pub fn floor_word(text: &str, at: usize) -> usize {
    let is_between = |c: char| c.is_whitespace() || matches!(c, '"' | '\'');
    let head = &text[..at];
    let words = head.rfind(is_between).map_or("", |end| &head[..end]);
    let is_of_number = |c: char| c.is_whitespace() || c.is_ascii_digit() || c == '-';
    words.trim_end_matches(is_of_number).len()
}

/// The last start of a character at or before `at`, or the end: `str::floor_char_boundary`, which
/// came with Rust 1.91.
pub fn floor_char_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
