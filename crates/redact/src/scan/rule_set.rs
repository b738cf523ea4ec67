//! The rules of the default profile and the filter for their triggers.

use std::sync::LazyLock;

use super::{Matches, earlier_match_if_any};
use crate::prefilter::{PLACE, Prefilter, TriggerPattern, VENDOR_NUMBER};
use crate::rules::{self, NUMBERS, Rule, RuleText, Trigger, vendor_token_at};
use crate::{Kind, Match};

/// The floor rules, in the syntax of Python's `re`.
pub(crate) const FLOOR: [(Kind, &str); 4] = [
    (Kind::Email, r"[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}"),
    (Kind::Card, r"\b\d{4}[\s-]?\d{4}[\s-]?\d{4}[\s-]?\d{4}\b"),
    (Kind::Jwt, r"eyJ[a-zA-Z0-9_-]+\.eyJ[a-zA-Z0-9_-]+\.[a-zA-Z0-9_-]+"),
    (Kind::AwsKey, r"AKIA[0-9A-Z]{16}"),
];

/// The bytes that may be before an e-mail's `@`.
const LOCAL_BYTES: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._%+-";
/// The bytes that may follow it.
const DOMAIN_BYTES: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";

/// The bytes of base64url, which the parts of a token consist of.
const BASE64_BYTES: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

/// Rules and the filter for their triggers.
pub(crate) struct RuleSet {
    pub(super) filter: Prefilter,
    /// The same for the floor's rules alone.
    pub(super) floor: Prefilter,
    /// The rules, by the number of their trigger.
    asked: Vec<Vec<Rule>>,
}

impl std::fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules").finish_non_exhaustive()
    }
}

/// Every string of every event uses it, so it is reached without a pointer. A fork never copies it
/// half made, because the forks are watched before it is begun.
static DEFAULT: LazyLock<RuleSet> = LazyLock::new(|| {
    crate::hook_redaction_forks();
    RuleSet::new(&rules::default_rule_triggers())
});

impl RuleSet {
    /// Returns the default rules.
    #[inline]
    pub(crate) fn defaults() -> &'static Self {
        &DEFAULT
    }

    /// Returns whether a few bytes of a text say that it has no match.
    #[inline]
    pub(crate) fn is_tiny_and_clean(&self, text: &str) -> bool {
        self.filter.is_plainly_clean(text.as_bytes())
    }

    /// Returns whether a text is short and no match can begin anywhere in it.
    #[inline]
    pub(crate) fn is_plainly_clean(&self, text: &str) -> bool {
        Matches::are_none(text, self)
    }

    /// Returns whether a match may begin anywhere in a text.
    pub(crate) fn may_match(&self, text: &str) -> bool {
        Matches::new(text, self, false).is_some()
    }

    /// Returns the places at which the filter finds candidates, by vectors and byte for byte.
    #[cfg(fuzzing)]
    pub(crate) fn candidates(&self, text: &[u8], edge: usize) -> [Vec<usize>; 2] {
        [true, false].map(|by_vectors| self.filter.candidate_places(text, edge, by_vectors))
    }

    fn new(triggers: &[Trigger]) -> Self {
        let (patterns, asked) = Self::group_by_trigger(triggers);
        let filter = Prefilter::new(&patterns);
        Self { floor: filter.for_some(&Self::floor()), filter, asked }
    }

    /// Returns the default rules for each set of instructions of this machine, and without any.
    #[cfg(test)]
    pub(super) fn in_each_form() -> Vec<Self> {
        let (patterns, asked) = Self::group_by_trigger(&rules::default_rule_triggers());
        let filters = Prefilter::in_each_form(&patterns);
        let floors = Prefilter::in_each_form(&Self::floor());
        let both = filters.into_iter().zip(floors);
        both.map(|(filter, floor)| Self { filter, floor, asked: asked.clone() }).collect()
    }

    /// Returns the patterns and the rules that each asks: the triggers of the rules, those that are
    /// equal together, then those of the floor, which ask no rule here.
    fn group_by_trigger(triggers: &[Trigger]) -> (Vec<TriggerPattern>, Vec<Vec<Rule>>) {
        let (mut patterns, mut asked): (Vec<TriggerPattern>, Vec<Vec<Rule>>) = Default::default();
        for trigger in triggers {
            match patterns.iter().position(|pattern| *pattern == trigger.pattern) {
                Some(number) => asked[number].push(trigger.rule),
                None => {
                    patterns.push(trigger.pattern);
                    asked.push(vec![trigger.rule]);
                }
            }
        }
        patterns.extend(Self::floor());
        patterns.extend(Self::escapes());
        asked.resize(VENDOR_NUMBER, Vec::new());
        asked.push(vec![Rule::Other(vendor_token_at)]);
        (patterns, asked)
    }

    /// Returns the beginnings of escapes: of a terminal, of a string and of a URL.
    fn escapes() -> [TriggerPattern; 3] {
        const NEXT: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        const OR_SIGN: &[u8] = b"./0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let escapes: [[&'static [u8]; PLACE]; 3] = [
            [b"\x1b", b"[", b"0123456789;m", b"0123456789;mKJH"],
            [b"\\", b"nrtu", NEXT, OR_SIGN],
            [b"%", b"023", b"027ADad", NEXT],
        ];
        escapes.map(|bytes| TriggerPattern { bytes, is_word: false })
    }

    fn floor() -> [TriggerPattern; 3] {
        let floor = [
            [LOCAL_BYTES, b"@", DOMAIN_BYTES, DOMAIN_BYTES],
            [b"e", b"y", b"J", BASE64_BYTES],
            [b"A", b"K", b"I", b"A"],
        ];
        floor.map(|bytes| TriggerPattern { bytes, is_word: false })
    }
}

impl RuleSet {
    /// Returns the first of `found` and of the matches whose trigger is at `at`.
    #[inline]
    pub(super) fn first_rule_match(
        &self,
        look: RuleText<'_>,
        at: usize,
        mut found: Option<Match>,
    ) -> Option<Match> {
        let Some(place) = look.text[at..].first_chunk() else { return found };
        // The triggers of the floor and of numbers have no rule here. They are asked separately.
        let numbers = self.filter.triggers_at(place).iter();
        for rule in numbers.filter_map(|number| self.asked.get(number)).flatten() {
            found = earlier_match_if_any(found, rule.match_at(look, at));
        }
        match rules::spelled_escape_length(place) {
            Some(length) => self.first_escaped_match(look, at + length, found),
            None => found,
        }
    }
}

impl RuleSet {
    /// Returns the first of `found` and of the matches that begin at `at`, after a spelled escape, which
    /// separates words as what it stands for does.
    #[cold]
    fn first_escaped_match(
        &self,
        look: RuleText<'_>,
        at: usize,
        found: Option<Match>,
    ) -> Option<Match> {
        let Some(place) = look.text.get(at..).and_then(|text| text.first_chunk()) else {
            return found;
        };
        let look = RuleText { edge: at, ..look };
        let numbers = self.filter.triggers_at(place).iter();
        let rules = numbers.filter_map(|number| self.asked.get(number)).flatten();
        rules.fold(found, |found, rule| earlier_match_if_any(found, rule.match_at(look, at)))
    }
}

/// Returns the first of `found` and of the numbers that begin at `at`.
#[inline]
pub(super) fn first_number_match(
    look: RuleText<'_>,
    at: usize,
    found: Option<Match>,
) -> Option<Match> {
    NUMBERS.iter().fold(found, |found, rule| earlier_match_if_any(found, rule(look, at)))
}
