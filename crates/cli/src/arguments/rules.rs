//! The rules of `redact` and `scan`.

use llm_audit::sanitize::{Kind, Profile};
use llm_audit::{ProtectedValue, Sanitizer, protect_environment};

use crate::ui::CommandFailure;

/// What is looked for.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RuleArgs {
    /// What is taken for a payment card: `full` takes any four groups of four digits, `precise`
    /// wants an issuer's prefix and Luhn's check [default: AUDIT_REDACT_PROFILE, else full]
    #[arg(long, value_name = "NAME", value_parser = parse_profile_name)]
    profile: Option<Profile>,
    /// Look for this too, again for more: phone, ip_address, crypto_wallet, high_entropy, encoded
    /// (what base64 and percent signs hide)
    #[arg(long, value_name = "KIND", value_parser = parse_also_rule)]
    also: Vec<AlsoRule>,
    /// A key of JSON whose whole value goes, again for more: member_id is also memberId and
    /// X-Member-Id
    #[arg(long, value_name = "NAME")]
    key: Vec<String>,
    /// A regular expression to look for, again for more
    #[arg(long, value_name = "REGEX")]
    pattern: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
enum AlsoRule {
    Kind(Kind),
    Encoded,
}

fn parse_profile_name(name: &str) -> Result<Profile, String> {
    Profile::from_name(name).ok_or_else(|| "the profiles are full and precise".to_owned())
}

fn parse_also_rule(name: &str) -> Result<AlsoRule, String> {
    let found = Kind::OPT_IN.into_iter().find(|kind| kind.name() == name).map(AlsoRule::Kind);
    found.or((name == "encoded").then_some(AlsoRule::Encoded)).ok_or_else(|| {
        format!("the kinds are {} and encoded", Kind::OPT_IN.map(Kind::name).join(", "))
    })
}

impl RuleArgs {
    /// Builds the sanitizer, and protects the values of `AUDIT_REDACT_ENV` while they are held.
    pub(crate) fn build_sanitizer(
        &self,
    ) -> Result<(Sanitizer, Vec<ProtectedValue>), CommandFailure> {
        let named = std::env::var("AUDIT_REDACT_PROFILE").unwrap_or_default();
        let from_environment = || match named.as_str() {
            "" => Ok(Profile::Full),
            name => parse_profile_name(name).map_err(|why| {
                CommandFailure::new(format!("AUDIT_REDACT_PROFILE is {name:?}; {why}"))
            }),
        };
        let profile = self.profile.map_or_else(from_environment, Ok)?;
        let mut builder = Sanitizer::builder().profile(profile);
        for also in &self.also {
            builder = match also {
                AlsoRule::Kind(kind) => builder.also(*kind),
                AlsoRule::Encoded => builder.also_encoded(),
            };
        }
        builder = self.key.iter().fold(builder, |builder, key| builder.sensitive_key(key));
        builder = self.pattern.iter().fold(builder, |builder, pattern| builder.pattern(pattern));
        let named = std::env::var_os("AUDIT_REDACT_ENV").unwrap_or_default();
        let named =
            named.to_str().ok_or_else(|| CommandFailure::new("AUDIT_REDACT_ENV is not UTF-8"))?;
        let protected = protect_environment(named.split(',')).map_err(llm_audit::Error::from)?;
        Ok((builder.build().map_err(llm_audit::Error::from)?, protected))
    }
}
