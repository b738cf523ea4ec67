//! The sanitizer: rules for texts and lines, and how they are applied.

use std::borrow::Cow;
use std::sync::Arc;

use super::bytes::may_begin_json;
use super::keys::{self, KeyClass, classify_key};
use super::options::{Place, SanitizerOptions};
use super::recent_keys::KeyFacts;
use super::{Kind, Match, Matches, Placeholder, Redactions, manifests, protected, rules, scan};

/// What is taken for a payment card (`AUDIT_REDACT_PROFILE`, `redact --profile`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// Any four groups of four digits, except digits that are never a card: those of a UUID, of a
    /// fraction, of a Unix time and of ids of traces and spans. If a number has another length, it
    /// has to pass the checks of `Precise`.
    #[default]
    Full,
    /// Only numbers with an issuer's prefix and length that pass Luhn's check. They do not count if
    /// they are part of a longer number or word.
    Precise,
}

impl Profile {
    /// Both profiles, in the order in which they are offered.
    pub const ALL: [Self; 2] = [Self::Full, Self::Precise];

    /// Returns the name: `full`, `precise`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Precise => "precise",
        }
    }

    /// Returns the profile of this name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }
}

/// Redacts texts and lines. It contains the rules and no text.
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
    pub(super) profile: Profile,
    pub(super) options: Option<Arc<SanitizerOptions>>,
}

impl Sanitizer {
    /// Makes a sanitizer that follows this profile. The default one follows [`Profile::Full`].
    ///
    /// The rules are prepared here and not at the first text. This takes some milliseconds the
    /// first time.
    pub fn with_profile(profile: Profile) -> Self {
        scan::RuleSet::defaults();
        Self { profile, options: None }
    }

    /// Returns the same sanitizer under another profile.
    pub fn profiled(self, profile: Profile) -> Self {
        Self { profile, ..self }
    }

    /// Returns the profile, which decides what is taken for a payment card.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Returns the number of parts of the text that would be redacted, by kind.
    pub fn report(&self, text: &str) -> Redactions {
        let mut counts = Redactions::default();
        self.matches(text).for_each(|found| counts.add(found.kind));
        counts
    }

    /// Returns the redacted text. It is borrowed if there is nothing to redact.
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

    /// Returns what has to be redacted, in order, without overlaps. It takes time linear in the
    /// length of the text. It allocates nothing if there are neither options nor protected values.
    #[inline]
    pub fn matches<'t>(&'t self, text: &'t str) -> impl Iterator<Item = Match> + 't {
        self.find(text).into_iter().flatten()
    }

    /// Returns the same, or `None` if there is plainly nothing, as in most texts.
    pub fn find<'t>(&'t self, text: &'t str) -> Option<Matches<'t>> {
        match self.has_rules_alone() {
            true => self.find_by_rules(text),
            false => self.find_with_protected(text),
        }
    }

    /// Returns whether only the default rules can find something.
    #[inline]
    pub fn has_rules_alone(&self) -> bool {
        protected::nothing_is_protected() && self.options.is_none()
    }

    /// Returns whether there is plainly nothing to redact in a text, which is short.
    #[inline]
    pub fn is_plainly_clean(&self, text: &str) -> bool {
        self.has_rules_alone() && scan::RuleSet::defaults().is_plainly_clean(text)
    }

    /// Returns the same of a text that is even shorter, as a few bytes of it say.
    #[inline]
    fn is_tiny_and_clean(&self, text: &str) -> bool {
        self.has_rules_alone() && scan::RuleSet::defaults().is_tiny_and_clean(text)
    }

    /// Returns whether there is plainly nothing to redact in a text that most events have, such as the name of
    /// an agent. It is remembered, as keys are.
    #[inline]
    pub fn is_plain_name(&self, name: &str) -> bool {
        !may_begin_json(name) && (self.is_tiny_and_clean(name) || self.read_key(name).is_plain)
    }

    /// Returns whether there may be something in a text.
    pub(crate) fn may_match(&self, text: &str) -> bool {
        match self.has_rules_alone() {
            true => self.find_by_rules_alone(text).is_some(),
            false => self.find_with_protected(text).is_some(),
        }
    }

    #[cold]
    fn find_with_protected<'t>(&'t self, text: &'t str) -> Option<Matches<'t>> {
        let known = protected::find_protected(text);
        match known.is_empty() && self.options.is_none() {
            true => self.find_by_rules(text),
            false => self.find_with_options(known, text, 0),
        }
    }

    #[inline]
    fn find_by_rules<'t>(&self, text: &'t str) -> Option<Matches<'t>> {
        let found = self.find_by_rules_alone(text)?;
        match manifests::may_have_manifest(text) {
            true => Some(self.find_in_manifests(text, found)),
            false => Some(found),
        }
    }

    /// Returns the matches of a text in which there may be Secrets of Kubernetes.
    #[cold]
    fn find_in_manifests<'t>(&self, text: &'t str, found: Matches<'t>) -> Matches<'t> {
        let mut known = manifests::find_manifest_values(text);
        if known.is_empty() {
            return found;
        }
        known.extend(found);
        let between = |part: &str| self.find_near_ends(part);
        Matches::around_known(known, text, scan::RuleSet::defaults(), &between)
    }

    /// Returns the matches near the ends of a text in which there were none. A rule looks no further than
    /// half of what is read.
    fn find_near_ends(&self, text: &str) -> Vec<Match> {
        const READ_BYTES: usize = 2048;
        let matches = |text| self.find_by_rules_alone(text).into_iter().flatten();
        if text.len() <= 2 * READ_BYTES {
            return matches(text).collect();
        }
        let boundary = |at: usize| (at..text.len()).find(|at| text.is_char_boundary(*at));
        let head = boundary(READ_BYTES).unwrap_or(text.len());
        let tail = boundary(text.len() - READ_BYTES).unwrap_or(text.len());
        let first = matches(&text[..head]).filter(|found| found.end <= READ_BYTES / 2);
        let last = matches(&text[tail..]).filter(|found| found.start >= READ_BYTES / 2);
        let moved =
            |found: Match| Match { start: tail + found.start, end: tail + found.end, ..found };
        first.chain(last.map(moved)).collect()
    }

    #[inline]
    fn find_by_rules_alone<'t>(&self, text: &'t str) -> Option<Matches<'t>> {
        Matches::new(text, scan::RuleSet::defaults(), self.profile == Profile::Precise)
    }

    /// Returns the matches of a text in which these were found already. If one match cuts another
    /// off, a new one may begin. So the text between them is searched again, at most `DEEP_MAX`
    /// times.
    fn find_with_options<'t>(
        &self,
        mut known: Vec<Match>,
        text: &'t str,
        deep: usize,
    ) -> Option<Matches<'t>> {
        const DEEP_MAX: usize = 4;
        if let Some(options) = &self.options {
            let plain = Self { profile: self.profile, options: None };
            let by_rules = |text: &str| plain.matches(text).next().map(|found| found.kind);
            options.find_optional_matches(text, &by_rules, &mut known);
        }
        let by_rules: Vec<_> = self.find_by_rules(text).into_iter().flatten().collect();
        known.extend(by_rules);
        let between = |part: &str| -> Vec<Match> {
            match self.options.is_none() || deep == DEEP_MAX {
                true => self.find_by_rules(part),
                false => self.find_with_options(Vec::new(), part, deep + 1),
            }
            .into_iter()
            .flatten()
            .collect()
        };
        let rules = scan::RuleSet::defaults();
        (!known.is_empty()).then(|| Matches::around_known(known, text, rules, &between))
    }

    /// Returns a hash of the rules. If two programs redact alike, it is equal, from one release to
    /// the next.
    ///
    /// It is FNV-1a with 64 bits, and each part is followed by a zero byte. The first parts are the
    /// profile, the edition of the rules, and the names and patterns of the floor rules. The others
    /// are the names of all kinds, the sensitive keys and the settings of the builder. Protected
    /// values do not count.
    pub fn rules_hash(&self) -> u64 {
        let options =
            self.options.as_ref().map_or_else(Vec::new, |options| options.parts_to_hash());
        let floor = scan::FLOOR.iter().flat_map(|&(kind, pattern)| [kind.name(), pattern]);
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

impl Sanitizer {
    /// Returns what a key says about its value.
    #[inline]
    pub fn classify(&self, key: &str) -> KeyClass {
        let class = classify_key(key);
        match &self.options {
            Some(options) if options.is_sensitive_key(key) => KeyClass::Sensitive,
            _ => class,
        }
    }

    /// Returns what a key says about its value, and whether it is written as it is.
    #[inline]
    pub(crate) fn read_key(&self, key: &str) -> KeyFacts {
        let facts = KeyFacts::of_recent(key);
        match self.has_rules_alone() {
            true => facts,
            false => self.read_key_with_options(key, facts),
        }
    }

    /// Returns what a key says about its value, if the key is plainly written as it is.
    pub fn plain_key_class(&self, key: &str) -> Option<KeyClass> {
        let facts = self.read_key(key);
        facts.is_plain.then_some(facts.class)
    }

    #[inline(never)]
    fn read_key_with_options(&self, key: &str, KeyFacts { class, is_plain }: KeyFacts) -> KeyFacts {
        let Some(options) = &self.options else {
            return KeyFacts {
                class,
                is_plain: is_plain && protected::find_protected(key).is_empty(),
            };
        };
        let class = if options.is_sensitive_key(key) { KeyClass::Sensitive } else { class };
        KeyFacts { class, is_plain: is_plain && self.find(key).is_none() }
    }

    /// Returns the outermost place, for a document that may have allowed paths.
    #[inline]
    pub fn root(&self) -> Place {
        let paths = self.options.as_ref().map_or(0, |options| options.allowed.len());
        Place {
            paths: 1_u64.checked_shl(paths as u32).map_or(u64::MAX, |bit| bit - 1),
            ..Place::default()
        }
    }

    /// Returns the place of the value under this key.
    #[inline]
    pub fn enter(&self, place: Place, key: &str) -> Place {
        match &self.options {
            Some(options) if place.paths != 0 => options.enter_key(place, key),
            _ => place,
        }
    }

    /// Returns whether a text at this place stays as it is.
    #[inline]
    pub fn leaves(&self, place: Place, text: &str) -> bool {
        place.is_allowed && protected::find_protected(text).is_empty()
    }

    /// Returns the replacement of `matched`, which is of this kind.
    pub fn placeholder(&self, kind: Kind, matched: &str) -> Placeholder {
        let replaced = self
            .options
            .as_ref()
            .and_then(|options| options.replaced.iter().find(|(replaced, _)| *replaced == kind));
        replaced.map_or_else(
            || Placeholder::for_kind(kind),
            |(_, with)| with.placeholder_for(kind, matched),
        )
    }
}
