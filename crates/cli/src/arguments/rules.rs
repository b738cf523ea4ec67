//! The rules of `redact` and `scan`.

use llm_audit::sanitize::{Kind, Profile};
use llm_audit::{ProtectedValue, Sanitizer, protect_environment};

use crate::ui::Failure;

/// What is looked for.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Rules {
    /// What is taken for a payment card: `full` takes any four groups of four digits, `precise`
    /// wants an issuer's prefix and Luhn's check [default: AUDIT_REDACT_PROFILE, else full]
    #[arg(long, value_name = "NAME", value_parser = profile)]
    profile: Option<Profile>,
    /// Look for this too, again for more: phone, ip_address, crypto_wallet, high_entropy, encoded
    /// (what base64 and percent signs hide)
    #[arg(long, value_name = "KIND", value_parser = also)]
    also: Vec<Also>,
    /// A key of JSON whose whole value goes, again for more: member_id is also memberId and
    /// X-Member-Id
    #[arg(long, value_name = "NAME")]
    key: Vec<String>,
    /// A regular expression to look for, again for more
    #[arg(long, value_name = "REGEX")]
    pattern: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
enum Also {
    Kind(Kind),
    Encoded,
}

fn profile(name: &str) -> Result<Profile, String> {
    Profile::from_name(name).ok_or_else(|| "the profiles are full and precise".to_owned())
}

fn also(name: &str) -> Result<Also, String> {
    let found = Kind::OPT_IN.into_iter().find(|kind| kind.name() == name).map(Also::Kind);
    found.or((name == "encoded").then_some(Also::Encoded)).ok_or_else(|| {
        format!("the kinds are {} and encoded", Kind::OPT_IN.map(Kind::name).join(", "))
    })
}

impl Rules {
    /// Builds the sanitizer, and protects the values of `AUDIT_REDACT_ENV` while they are held.
    pub(crate) fn build(&self) -> Result<(Sanitizer, Vec<ProtectedValue>), Failure> {
        let named = std::env::var("AUDIT_REDACT_PROFILE").unwrap_or_default();
        let from_environment = || match named.as_str() {
            "" => Ok(Profile::Full),
            name => profile(name)
                .map_err(|why| Failure::new(format!("AUDIT_REDACT_PROFILE is {name:?}; {why}"))),
        };
        let profile = self.profile.map_or_else(from_environment, Ok)?;
        let mut builder = Sanitizer::builder().profile(profile);
        for also in &self.also {
            builder = match also {
                Also::Kind(kind) => builder.also(*kind),
                Also::Encoded => builder.also_encoded(),
            };
        }
        builder = self.key.iter().fold(builder, |builder, key| builder.sensitive_key(key));
        builder = self.pattern.iter().fold(builder, |builder, pattern| builder.pattern(pattern));
        let named = std::env::var_os("AUDIT_REDACT_ENV").unwrap_or_default();
        let named = named.to_str().ok_or_else(|| Failure::new("AUDIT_REDACT_ENV is not UTF-8"))?;
        let protected = protect_environment(named.split(',')).map_err(llm_audit::Error::from)?;
        Ok((builder.build().map_err(llm_audit::Error::from)?, protected))
    }
}
