//! `sanitize`: text in, redacted text out.

use std::borrow::Cow;
use std::fmt::Debug;
use std::hash::Hash;
use std::io::{self, Write};

use llm_audit::Error;
use llm_audit::sanitize::{
    Finding, Kind, LineKind, Match, PrivateKeyLines, Profile, ProtectedValue, RedactingWriter,
    Redactions, Replacement, Sanitizer, SanitizerBuilder, protect_environment, protect_value,
};

use crate::{Plain, converted, fields, implement, must_be_used, variants};

/// What is also at the root is the same there.
fn at_the_root(value: &str) -> Result<Vec<ProtectedValue>, Error> {
    use llm_audit::{
        ProtectedValue as RootProtectedValue, Sanitizer as RootSanitizer,
        protect_environment as root_protect_environment, protect_value as root_protect_value,
    };
    let _: fn(Sanitizer) -> RootSanitizer = |same| same;
    let _: fn(ProtectedValue) -> RootProtectedValue = |same| same;
    let mut all = converted(root_protect_environment([value]))?;
    all.push(converted(root_protect_value(value))?);
    Ok(all)
}

fn sanitizer() {
    let _: fn() -> SanitizerBuilder = Sanitizer::builder;
    let _: fn(Profile) -> Sanitizer = Sanitizer::with_profile;
    let _: fn(&Sanitizer) -> Profile = Sanitizer::profile;
    let _: fn(&Sanitizer, &str) -> Redactions = Sanitizer::report;
    let _: for<'t> fn(&Sanitizer, &'t str) -> Cow<'t, str> = Sanitizer::redact_str;
    let _: fn(&Sanitizer, &str, &mut String, &mut Redactions) = Sanitizer::redact_text;
    let _: fn(&Sanitizer, &str, &mut String, &mut Redactions) -> LineKind = Sanitizer::redact_line;
    let _: fn(&Sanitizer, &str, &str) -> Vec<Finding> = Sanitizer::explain_line;
    let _: fn(&Sanitizer) -> u64 = Sanitizer::rules_hash;
}

fn sanitizer_builder() {
    let _: fn(SanitizerBuilder, Profile) -> SanitizerBuilder = SanitizerBuilder::profile;
    let _: fn(SanitizerBuilder, Kind) -> SanitizerBuilder = SanitizerBuilder::also;
    let _: fn(SanitizerBuilder) -> SanitizerBuilder = SanitizerBuilder::also_encoded;
    let _: fn(SanitizerBuilder, &str) -> SanitizerBuilder = SanitizerBuilder::sensitive_key;
    let _: fn(SanitizerBuilder, &str) -> SanitizerBuilder = SanitizerBuilder::allow_path;
    let _: fn(SanitizerBuilder, Kind, Replacement) -> SanitizerBuilder = SanitizerBuilder::replace;
    let _: fn(SanitizerBuilder, &str) -> SanitizerBuilder = SanitizerBuilder::pattern;
}

fn built(builder: SanitizerBuilder) -> Result<Sanitizer, Error> {
    converted(builder.build())
}

implement! {
    Sanitizer: Plain, Clone, Debug, Default, PartialEq;
    SanitizerBuilder: Plain, Clone, Debug, Default;
}

must_be_used! {
    SanitizerBuilder,
    ProtectedValue,
}

fn protected(value: impl AsRef<str>) -> Result<ProtectedValue, Error> {
    let _: fn(ProtectedValue) = ProtectedValue::keep;
    converted(protect_value(value))
}

fn protected_environment<N: AsRef<str>>(
    names: impl IntoIterator<Item = N>,
) -> Result<Vec<ProtectedValue>, Error> {
    converted(protect_environment::<N>(names))
}

implement! {
    ProtectedValue: Plain, Debug;
}

const _: () = assert!(std::mem::needs_drop::<ProtectedValue>());

variants!(Profile { Full, Precise });

fn profile() {
    let _: [Profile; 2] = Profile::ALL;
    let _: fn(Profile) -> &'static str = Profile::name;
    let _: fn(&str) -> Option<Profile> = Profile::from_name;
}

variants!(Replacement { Placeholder, LastFour });

fn replacement(replacement: Replacement) {
    let _: fn([u8; 16]) -> Replacement = Replacement::Hash;
    if let Replacement::Hash(key, ..) = replacement {
        let _: [u8; 16] = key;
    }
}

variants!(LineKind { Json, Text, NotQuiteJson });

implement! {
    Profile: Plain, Clone, Copy, Debug, Default, PartialEq, Eq;
    Replacement: Plain, Clone, Copy, Debug, PartialEq, Eq;
    LineKind: Plain, Clone, Copy, Debug, PartialEq, Eq;
}

variants!(Kind {
    Email,
    Card,
    Jwt,
    AwsKey,
    Key,
    Known,
    Custom,
    AwsSecret,
    Iban,
    UsSsn,
    PrivateKey,
    Authorization,
    Cookie,
    UrlCredentials,
    UrlParameter,
    Credential,
    PasswordHash,
    OpenaiKey,
    AnthropicKey,
    GithubToken,
    GitlabToken,
    SlackToken,
    WebhookUrl,
    GoogleKey,
    GoogleOauth,
    StripeKey,
    HuggingfaceToken,
    NpmToken,
    PypiToken,
    SendgridKey,
    AzureKey,
    DatabricksToken,
    VaultToken,
    PerplexityKey,
    LangsmithKey,
    BedrockKey,
    TwilioKey,
    DiscordToken,
    TelegramToken,
    ShopifyToken,
    DigitaloceanToken,
    NewrelicKey,
    GrafanaToken,
    LinearKey,
    NotionToken,
    SentryToken,
    PostmanKey,
    AgeKey,
    ApiToken,
    Phone,
    IpAddress,
    CryptoWallet,
    HighEntropy,
});

fn kind() {
    const _: usize = Kind::COUNT;
    let _: [Kind; Kind::COUNT] = Kind::ALL;
    let _: [Kind; 4] = Kind::OPT_IN;
    let _: fn(Kind) -> &'static str = Kind::name;
    let _: fn(Kind) -> &'static str = Kind::placeholder;
}

fields!(Match { start: usize, end: usize, kind: Kind });

fields!(Finding { rule: &'static str, offset: usize, name: Option<String> });

fn redactions() {
    let _: fn(&mut Redactions, Kind) = Redactions::add;
    let _: fn(&Redactions, Kind) -> u64 = Redactions::get;
    let _: fn(&Redactions) -> u64 = Redactions::total;
    let _: fn(&mut Redactions, &Redactions) = Redactions::merge;
}

fn counts(redactions: &Redactions) -> impl Iterator<Item = (Kind, u64)> + '_ {
    redactions.iter()
}

implement! {
    Kind: Plain, Clone, Copy, Debug, PartialEq, Eq, Hash;
    Match: Plain, Clone, Copy, Debug, PartialEq, Eq;
    Finding: Plain, Clone, Debug, PartialEq, Eq;
    Redactions: Plain, Clone, Debug, Default, PartialEq, Eq;
}

fn private_key_lines() {
    let _: fn(&mut PrivateKeyLines, &str) -> bool = PrivateKeyLines::is_inside;
}

fn redacting_writer<W: Write>() {
    let _: fn(W, Sanitizer) -> RedactingWriter<W> = RedactingWriter::new;
    let _: fn(&RedactingWriter<W>) -> &Redactions = RedactingWriter::redactions;
    let _: fn(RedactingWriter<W>) -> io::Result<W> = RedactingWriter::finish;
}

fn redacting_writer_is_a_writer<W: Write + Debug>(
    writer: RedactingWriter<W>,
) -> impl Write + Debug {
    writer
}

implement! {
    PrivateKeyLines: Plain, Clone, Copy, Debug, Default;
    RedactingWriter<Vec<u8>>: Plain, Debug, Write;
}

const _: () = assert!(std::mem::needs_drop::<RedactingWriter<io::Sink>>());

#[test]
fn what_the_redactor_refuses_is_an_error_of_the_library() {
    assert!(built(Sanitizer::builder().pattern("(")).is_err());
    assert!(built(Sanitizer::builder().also(Kind::Phone)).is_ok());
    assert!(protected("").is_err());
}
