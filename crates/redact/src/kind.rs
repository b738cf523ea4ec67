//! The kinds of findings, matches and placeholders.

use std::borrow::Cow;

/// Declares [`Kind`]: each variant with its name and what it finds.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $variant:ident $name:literal $placeholder:literal,)+) => {
        /// What a rule finds. If a kind is marked opt-in, it is found only if a
        /// [builder](crate::Sanitizer::builder) was asked for it.
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

            /// Returns the name in counts: `email`, `card`, `github_token` …
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// Returns what is found, for the documentation.
            #[cfg(test)]
            pub(crate) fn description(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($doc),+).trim_start(),)+
                }
            }

            /// Returns the placeholder. A sanitizer may be built to replace a match by something
            /// else.
            pub fn placeholder(self) -> &'static str {
                match self {
                    $(Self::$variant => $placeholder,)+
                }
            }
        }
    };
}

kinds! {
    /// An e-mail address, with letters of any script.
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
    /// The 40-character secret beside an AWS access key id, or a session token of AWS.
    AwsSecret "aws_secret" "[REDACTED_aws_secret]",
    /// An International Bank Account Number with valid check digits.
    Iban "iban" "[REDACTED_iban]",
    /// A United States social security number with its separators, or after its name.
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
    /// The value in `password=…`, `api_key: …` and the like, if it looks like a secret.
    Credential "credential" "[REDACTED_credential]",
    /// A hash of a password: bcrypt, crypt, Argon2, PBKDF2, scrypt and others.
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
    /// The URL of a webhook of Slack, Teams or Discord.
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

impl Kind {
    /// The kinds that are found only if a [builder](crate::Sanitizer::builder) was asked for them.
    pub const OPT_IN: [Self; 4] =
        [Self::Phone, Self::IpAddress, Self::CryptoWallet, Self::HighEntropy];
}

/// A part of a text that has to be redacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// Byte offset of its first byte.
    pub start: usize,
    /// Byte offset after its last byte.
    pub end: usize,
    /// The kind of the match.
    pub kind: Kind,
}

impl Match {
    /// Returns this part of `text`, in which it was found.
    pub fn of(self, text: &str) -> &str {
        &text[self.start..self.end]
    }
}

/// The text that replaces a match.
#[derive(Clone, Debug)]
pub struct Placeholder(pub(super) Cow<'static, str>);

impl Placeholder {
    pub(super) fn for_kind(kind: Kind) -> Self {
        Self(kind.placeholder().into())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
