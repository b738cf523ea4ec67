//! The builder of sanitizers that do more than the default one.

use std::sync::Arc;

#[cfg(feature = "regex")]
use super::options::OwnPattern;
use super::options::{Options, Replacement};
use super::{Kind, Profile, Sanitizer, keys, scan};
use crate::error::Error;

/// Paths are bits of a word.
const PATHS_MAX: usize = 64;
/// Builds a [`Sanitizer`] that finds more than the default one, or puts something else in its place.
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
    options: Options,
    refused: Option<String>,
}

impl SanitizerBuilder {
    /// What is taken for a payment card; [`Profile::Full`] without it.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Finds a kind that is not found by default: [`Kind::Phone`], [`Kind::IpAddress`],
    /// [`Kind::CryptoWallet`], [`Kind::HighEntropy`]. Each takes many things for what they are not.
    pub fn also(mut self, kind: Kind) -> Self {
        if !Kind::OPT_IN.contains(&kind) {
            let names = Kind::OPT_IN.map(Kind::name).join(", ");
            self.refuse(format!("{} is no kind to ask for; those are {names}", kind.name()));
        } else if !self.options.also.contains(&kind) {
            self.options.also.push(kind);
        }
        self
    }

    /// Looks into what is encoded: a run of 16 and more digits of base64 or a text with percent signs
    /// goes whole where what it spells would be redacted.
    pub fn also_encoded(mut self) -> Self {
        self.options.encodings = true;
        self
    }

    /// A key whose whole value goes, as a whole or as the last words of a longer one, whatever its
    /// case and separators: `member_id` is also `memberId` and `X-Member-Id`.
    pub fn sensitive_key(mut self, key: &str) -> Self {
        let key = keys::plain(key);
        match key.is_empty() {
            true => self.refuse("a sensitive key needs a letter or a digit".to_owned()),
            false => self.options.keys.push(key),
        }
        self
    }

    /// Keys from the outermost object on, joined by dots, under which no text is redacted unless a
    /// protected value stands in it: `data.plan.contact`. A `*` is any one key; lists count for nothing. Of an
    /// event `data` is the outermost key; its error is always redacted.
    pub fn allow_path(mut self, path: &str) -> Self {
        let path: Vec<_> = path.split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            self.refuse("a path is keys joined by dots".to_owned());
        } else if self.options.allowed.len() == PATHS_MAX {
            self.refuse(format!("no more than {PATHS_MAX} paths can be allowed"));
        } else {
            self.options.allowed.push(path);
        }
        self
    }

    /// What stands in the place of this kind. Keys of objects, and the values of sensitive keys, have
    /// the placeholder in any case.
    pub fn replace(mut self, kind: Kind, replacement: Replacement) -> Self {
        if kind == Kind::Key {
            self.refuse("the value of a sensitive key is not looked at".to_owned());
        }
        self.options.replaced.retain(|(replaced, _)| *replaced != kind);
        if replacement != Replacement::Placeholder {
            self.options.replaced.push((kind, replacement));
        }
        self
    }

    /// What else is to be found, as [`Kind::Custom`]: a pattern in the syntax of the crate `regex`,
    /// each match of which takes time linear in the text, at worst.
    #[cfg(feature = "regex")]
    pub fn pattern(mut self, pattern: &str) -> Self {
        match regex::Regex::new(pattern) {
            Err(error) => self.refuse(format!("the pattern {pattern:?} does not compile: {error}")),
            Ok(regex) if can_be_empty(&regex) => {
                self.refuse(format!("the pattern {pattern:?} matches where nothing is"));
            }
            Ok(regex) => self.options.patterns.push(OwnPattern(regex)),
        }
        self
    }

    fn refuse(&mut self, why: String) {
        self.refused.get_or_insert(why);
    }

    /// The sanitizer.
    ///
    /// # Errors
    ///
    /// What was asked for first and is not accepted.
    pub fn build(self) -> Result<Sanitizer, Error> {
        if let Some(why) = self.refused {
            return Err(Error::refused("sanitizer", why));
        }
        scan::Rules::defaults();
        let options = (self.options != Options::default()).then(|| Arc::new(self.options));
        Ok(Sanitizer { profile: self.profile, options })
    }
}

/// Whether the pattern matches nothing somewhere, and so everywhere it likes.
#[cfg(feature = "regex")]
fn can_be_empty(regex: &regex::Regex) -> bool {
    let syntax = regex_syntax::ParserBuilder::new().build().parse(regex.as_str());
    // What `regex` took and this did not is of its flags; nothing is passed that was not looked at.
    syntax.map_or(true, |syntax| syntax.properties().minimum_len().is_none_or(|least| least == 0))
}

impl Sanitizer {
    /// What the default one finds, and more.
    pub fn builder() -> SanitizerBuilder {
        SanitizerBuilder::default()
    }
}
