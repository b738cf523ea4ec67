//! The builder of sanitizers that do more than the default one.

use std::sync::Arc;

use super::options::{Replacement, SanitizerOptions};
use super::{Kind, Profile, Sanitizer, keys, scan};
use crate::error::Error;

/// Paths are bits of a word.
const PATHS_MAX: usize = 64;

/// Builds a [`Sanitizer`] that finds more than the default one, or replaces matches by something
/// else.
///
/// # Examples
///
/// ```
/// use llm_audit_redact::Sanitizer;
/// use llm_audit_redact::{Kind, Replacement};
///
/// let sanitizer = Sanitizer::builder()
///     .also(Kind::Phone)
///     .sensitive_key("member_id")
///     .replace(Kind::Card, Replacement::LastFour)
///     .build()?;
/// assert_eq!(sanitizer.redact_str("call +44 20 7946 0018"), "call [REDACTED_phone]");
/// assert_eq!(sanitizer.redact_str("card 5500 0000 0000 0004"), "card [REDACTED_card:0004]");
/// let mut line = String::new();
/// sanitizer.redact_line(r#"{"memberId":"M-17"}"#, &mut line, &mut Default::default());
/// assert_eq!(line, r#"{"memberId":"[REDACTED]"}"#);
/// # Ok::<(), llm_audit_redact::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until it is built"]
pub struct SanitizerBuilder {
    profile: Profile,
    options: SanitizerOptions,
    refused: Option<String>,
}

impl SanitizerBuilder {
    /// Sets what is taken for a payment card. The default is [`Profile::Full`].
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Finds a kind that is not found by default: [`Kind::Phone`], [`Kind::IpAddress`],
    /// [`Kind::CryptoWallet`], [`Kind::HighEntropy`]. Each also matches many things that are not of
    /// the kind.
    pub fn also(mut self, kind: Kind) -> Self {
        if !Kind::OPT_IN.contains(&kind) {
            let names = Kind::OPT_IN.map(Kind::name).join(", ");
            self.refuse(format!("{} is not an opt-in kind; accepted: {names}", kind.name()));
        } else if !self.options.also.contains(&kind) {
            self.options.also.push(kind);
        }
        self
    }

    /// Looks into encoded text: a run of 16 or more digits of base64, or a text with percent signs.
    /// It is replaced as a whole if its decoded text would be redacted.
    pub fn also_encoded(mut self) -> Self {
        self.options.encodings = true;
        self
    }

    /// Adds a key whose whole value is redacted. A longer key matches if it ends with the words of
    /// this one. Case and separators do not matter: `member_id` is also `memberId` and
    /// `X-Member-Id`.
    pub fn sensitive_key(mut self, key: &str) -> Self {
        let key = keys::normalize_key(key);
        match key.is_empty() {
            true => self.refuse("a sensitive key needs at least one letter or digit".to_owned()),
            false => self.options.keys.push(key),
        }
        self
    }

    /// Adds a path of keys from the outermost object on, joined by dots: `data.plan.contact`. No
    /// text under it is redacted, unless the text contains a protected value. A `*` is any one key,
    /// and lists do not count. In an event `data` is the outermost key. An event's error is always
    /// redacted.
    pub fn allow_path(mut self, path: &str) -> Self {
        let path: Vec<_> = path.split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            self.refuse("an allowed path has to be keys joined by dots".to_owned());
        } else if self.options.allowed.len() == PATHS_MAX {
            self.refuse(format!("at most {PATHS_MAX} paths can be allowed"));
        } else {
            self.options.allowed.push(path);
        }
        self
    }

    /// Sets what replaces matches of this kind. If they are in keys of objects, they still have the
    /// placeholder, and so have the values of sensitive keys.
    pub fn replace(mut self, kind: Kind, replacement: Replacement) -> Self {
        if kind == Kind::Key {
            self.refuse("the placeholder of a sensitive key cannot be replaced".to_owned());
        }
        self.options.replaced.retain(|(replaced, _)| *replaced != kind);
        if replacement != Replacement::Placeholder {
            self.options.replaced.push((kind, replacement));
        }
        self
    }

    /// Adds a pattern in the syntax of the crate `regex`, to be found as [`Kind::Custom`]. A text is
    /// read once for all patterns, and once more for each one that matches in it. At worst, each
    /// match takes time linear in the text.
    #[cfg(feature = "regex")]
    pub fn pattern(mut self, pattern: &str) -> Self {
        if let Err(why) = self.options.patterns.add(pattern) {
            self.refuse(why);
        }
        self
    }

    fn refuse(&mut self, why: String) {
        self.refused.get_or_insert(why);
    }

    /// Builds the sanitizer.
    ///
    /// # Errors
    ///
    /// Returns the first setting that is not accepted. Patterns that together need more than 10 MiB
    /// are not.
    pub fn build(mut self) -> Result<Sanitizer, Error> {
        if let Err(why) = self.options.patterns.unite() {
            self.refuse(why);
        }
        if let Some(why) = self.refused {
            return Err(Error::refused("sanitizer", why));
        }
        scan::RuleSet::defaults();
        let options = (self.options != SanitizerOptions::default()).then(|| Arc::new(self.options));
        Ok(Sanitizer { profile: self.profile, options })
    }
}

impl Sanitizer {
    /// Returns a builder of a sanitizer that finds what the default one does, and more.
    pub fn builder() -> SanitizerBuilder {
        SanitizerBuilder::default()
    }
}
