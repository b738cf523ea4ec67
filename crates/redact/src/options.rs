//! The options of a sanitizer: what it finds and replaces beside the default rules.

use std::fmt;
use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use super::patterns::CustomPatterns;
use super::placeholders::is_in_placeholder;
use super::{Kind, Match, Placeholder, keys, opt_in};

/// If a match is shorter, four characters would reveal too much of it.
const LAST_FOUR_MIN: usize = 12;

/// What replaces a match, after the name of its kind.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Replacement {
    /// The kind alone: `[REDACTED_email]`.
    Placeholder,
    /// A keyed hash: `[REDACTED_email:5f2a91c0]`, the upper 32 bits of SipHash-2-4 under this key.
    /// If two texts are the same to the letter, so are their hashes, and events of one customer can
    /// be joined. Without the key nobody can try texts. Keep the key secret, and the same in all
    /// services that are joined. If there are 77,000 texts, two of them have the same hash with a
    /// probability of one half.
    Hash([u8; 16]),
    /// The last four characters: `[REDACTED_card:0004]`. A character that is not an ASCII letter or
    /// digit becomes `_`. If a match has less than 12 characters, nothing of it is kept.
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

    pub(super) fn placeholder_for(self, kind: Kind, matched: &str) -> Placeholder {
        let with = |shown: String| {
            let plain = kind.placeholder();
            Placeholder(format!("{}:{shown}]", &plain[..plain.len() - 1]).into())
        };
        match self {
            Self::Placeholder => Placeholder::for_kind(kind),
            Self::Hash(key) => {
                let mut hasher = SipHasher24::new_with_key(&key);
                hasher.write(matched.as_bytes());
                with(format!("{:08x}", hasher.finish() >> 32))
            }
            Self::LastFour if matched.chars().count() < LAST_FOUR_MIN => {
                Placeholder::for_kind(kind)
            }
            Self::LastFour => {
                let mut last: Vec<_> = matched.chars().rev().take(4).collect();
                last.reverse();
                let shown = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
                with(last.into_iter().map(shown).collect())
            }
        }
    }
}

/// The settings that differ from the default.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SanitizerOptions {
    pub(super) also: Vec<Kind>,
    pub(super) encodings: bool,
    /// Without separators, in lower case.
    pub(super) keys: Vec<String>,
    pub(super) allowed: Vec<Vec<String>>,
    pub(super) replaced: Vec<(Kind, Replacement)>,
    pub(super) patterns: CustomPatterns,
}

/// A place in a document, for the paths that are allowed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    /// The paths that lead here so far.
    pub(super) paths: u64,
    pub(super) keys: u32,
    /// Nothing is redacted below.
    pub is_allowed: bool,
}

impl SanitizerOptions {
    pub(super) fn is_sensitive_key(&self, key: &str) -> bool {
        self.keys.iter().any(|own| keys::key_ends_with(key, own))
    }

    pub(super) fn enter_key(&self, place: Place, key: &str) -> Place {
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

    /// Adds what is found beside the default rules, in any order. Matches may overlap.
    /// `by_rules` returns the kind of the first match of the default rules in a text.
    pub(super) fn find_optional_matches(
        &self,
        text: &str,
        by_rules: &dyn Fn(&str) -> Option<Kind>,
        found: &mut Vec<Match>,
    ) {
        let before = found.len();
        self.also.iter().for_each(|kind| opt_in::find_opt_in_kind(*kind, text, found));
        if self.encodings {
            opt_in::find_encoded_secrets(text, by_rules, found);
        }
        self.patterns.find_custom_matches(text, found);
        // A match inside a placeholder does not count.
        let is_new = |found: &Match| !is_in_placeholder(text, found.start..found.end);
        let mut at = 0;
        found.retain(|found| {
            at += 1;
            at <= before || is_new(found)
        });
    }

    /// Returns the settings by which two sanitizers redact differently.
    pub(super) fn parts_to_hash(&self) -> Vec<String> {
        let kinds = self.also.iter().map(|kind| kind.name().to_owned());
        let replaced = self.replaced.iter().map(|(kind, with)| {
            // A hash of the key does not reveal the key.
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
        parts.extend(self.patterns.sources().map(|pattern| format!("pattern {pattern}")));
        parts
    }
}
