//! What a sanitizer does beside the default rules.

use std::fmt;
use std::hash::Hasher;
use std::sync::Arc;

use siphasher::sip::SipHasher24;

use super::key_numbers::is_in_placeholder;
use super::keys::{self, KeyClass, classify};
use super::{Kind, Match, Placeholder, Profile, Sanitizer, opt_in, protected, scan};
use crate::error::Error;

impl Kind {
    /// Those that are found only where a [builder](Sanitizer::builder) was asked for them.
    pub const OPT_IN: [Self; 4] =
        [Self::Phone, Self::IpAddress, Self::CryptoWallet, Self::HighEntropy];
}

/// Paths are bits of a word.
const PATHS_MAX: usize = 64;
/// Of a shorter match four characters would be too much of it.
const LAST_FOUR_MIN: usize = 12;

/// What stands in the place of a match, after its kind.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Replacement {
    /// The kind alone: `[REDACTED_email]`.
    Placeholder,
    /// A keyed hash: `[REDACTED_email:5f2a91c0]`, the upper 32 bits of the 64 of SipHash-2-4 under this
    /// key. The same text, to the letter, has the same hash, so that events of one customer can be
    /// joined; without the key nobody can try texts. Keep the key secret, and the same in all services
    /// that are joined. Among 77,000 texts two with the same hash are as likely as not.
    Hash([u8; 16]),
    /// The last four characters: `[REDACTED_card:0004]`, each that is no ASCII letter or digit as `_`.
    /// Of a match of less than 12 characters nothing is kept.
    LastFour,
}

impl fmt::Debug for Replacement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Replacement {
    fn name(self) -> &'static str {
        match self {
            Self::Placeholder => "Placeholder",
            Self::Hash(_) => "Hash",
            Self::LastFour => "LastFour",
        }
    }

    fn of(self, kind: Kind, matched: &str) -> Placeholder {
        let with = |shown: String| {
            let plain = kind.placeholder();
            Placeholder(format!("{}:{shown}]", &plain[..plain.len() - 1]).into())
        };
        match self {
            Self::Placeholder => Placeholder::plain(kind),
            Self::Hash(key) => {
                let mut hasher = SipHasher24::new_with_key(&key);
                hasher.write(matched.as_bytes());
                with(format!("{:08x}", hasher.finish() >> 32))
            }
            Self::LastFour if matched.chars().count() < LAST_FOUR_MIN => Placeholder::plain(kind),
            Self::LastFour => {
                let mut last: Vec<_> = matched.chars().rev().take(4).collect();
                last.reverse();
                let shown = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
                with(last.into_iter().map(shown).collect())
            }
        }
    }
}

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

/// Everything that is not the default.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Options {
    also: Vec<Kind>,
    encodings: bool,
    /// Without separators, in lower case.
    keys: Vec<String>,
    allowed: Vec<Vec<String>>,
    replaced: Vec<(Kind, Replacement)>,
    #[cfg(feature = "regex")]
    patterns: Vec<OwnPattern>,
}

/// A pattern of the caller's own.
#[cfg(feature = "regex")]
#[derive(Clone, Debug)]
struct OwnPattern(regex::Regex);

#[cfg(feature = "regex")]
impl PartialEq for OwnPattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
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

/// Where in a document, for the paths that are allowed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    /// The paths that lead here so far.
    paths: u64,
    keys: u32,
    /// Nothing is redacted below.
    pub is_allowed: bool,
}

impl Sanitizer {
    /// What the default one finds, and more.
    pub fn builder() -> SanitizerBuilder {
        SanitizerBuilder::default()
    }

    /// What a key says about its value.
    #[inline]
    pub fn classify(&self, key: &str) -> KeyClass {
        let class = classify(key);
        match &self.options {
            Some(options) if options.is_sensitive(key) => KeyClass::Sensitive,
            _ => class,
        }
    }

    /// The outermost place, for a document that may have allowed paths.
    #[inline]
    pub fn root(&self) -> Place {
        let paths = self.options.as_ref().map_or(0, |options| options.allowed.len());
        Place {
            paths: 1_u64.checked_shl(paths as u32).map_or(u64::MAX, |bit| bit - 1),
            ..Place::default()
        }
    }

    /// The place of the value under this key.
    #[inline]
    pub fn enter(&self, place: Place, key: &str) -> Place {
        match &self.options {
            Some(options) if place.paths != 0 => options.enter(place, key),
            _ => place,
        }
    }

    /// Whether a text at this place stays as it is.
    #[inline]
    pub fn leaves(&self, place: Place, text: &str) -> bool {
        place.is_allowed && protected::find(text).is_empty()
    }

    /// What stands in the place of `matched`, which is of this kind.
    pub fn placeholder(&self, kind: Kind, matched: &str) -> Placeholder {
        let replaced = self
            .options
            .as_ref()
            .and_then(|options| options.replaced.iter().find(|(replaced, _)| *replaced == kind));
        replaced.map_or_else(|| Placeholder::plain(kind), |(_, with)| with.of(kind, matched))
    }
}

impl Options {
    fn is_sensitive(&self, key: &str) -> bool {
        self.keys.iter().any(|own| keys::ends_with(key, own))
    }

    fn enter(&self, place: Place, key: &str) -> Place {
        let mut inner =
            Place { paths: 0, keys: place.keys.saturating_add(1), is_allowed: place.is_allowed };
        for (at, path) in self.allowed.iter().enumerate() {
            let leads_here = place.paths >> at & 1 == 1;
            if leads_here
                && path.get(place.keys as usize).is_some_and(|one| one == key || one == "*")
            {
                inner.paths |= 1 << at;
                inner.is_allowed |= path.len() == inner.keys as usize;
            }
        }
        inner
    }

    /// Adds what is found beside the default rules, in no order, one perhaps over another.
    pub(super) fn find(&self, sanitizer: &Sanitizer, text: &str, found: &mut Vec<Match>) {
        let before = found.len();
        self.also.iter().for_each(|kind| opt_in::find(*kind, text, found));
        if self.encodings {
            opt_in::find_encoded(sanitizer, text, found);
        }
        #[cfg(feature = "regex")]
        for OwnPattern(regex) in &self.patterns {
            found.extend(regex.find_iter(text).map(|found| Match {
                start: found.start(),
                end: found.end(),
                kind: Kind::Custom,
            }));
        }
        // A placeholder is nothing that could be found.
        let is_new = |found: &Match| !is_in_placeholder(text, found.start..found.end);
        let mut at = 0;
        found.retain(|found| {
            at += 1;
            at <= before || is_new(found)
        });
    }

    /// What makes two sanitizers redact differently.
    pub(super) fn parts(&self) -> Vec<String> {
        let kinds = self.also.iter().map(|kind| kind.name().to_owned());
        let replaced = self.replaced.iter().map(|(kind, with)| {
            // A hash of the key tells nobody the key.
            let mut hasher = SipHasher24::new();
            if let Replacement::Hash(key) = with {
                hasher.write(key);
            }
            format!("{}={}:{:x}", kind.name(), with.name(), hasher.finish())
        });
        let keys = self.keys.iter().map(|key| format!("key {key}"));
        let paths = self.allowed.iter().map(|path| format!("path {}", path.join(".")));
        let mut parts: Vec<_> = kinds.chain(replaced).chain(keys).chain(paths).collect();
        parts.extend(self.encodings.then(|| "encodings".to_owned()));
        #[cfg(feature = "regex")]
        parts.extend(self.patterns.iter().map(|pattern| format!("pattern {}", pattern.0)));
        parts
    }
}
