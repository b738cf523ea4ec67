//! The rules of the default profile and the filter for their triggers.

use std::sync::LazyLock;

use super::earlier_match_if_any;
use crate::prefilter::{Prefilter, TriggerPattern};
use crate::rules::{self, NUMBERS, Rule, RuleText, Trigger};
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
    /// The rules, by the number of their trigger.
    asked: Vec<Rule>,
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

    /// Returns the places at which the filter finds candidates, by vectors and byte for byte.
    #[cfg(fuzzing)]
    pub(crate) fn candidates(&self, text: &[u8], edge: usize) -> [Vec<usize>; 2] {
        [true, false].map(|by_vectors| self.filter.candidate_places(text, edge, by_vectors))
    }

    fn new(triggers: &[Trigger]) -> Self {
        let asked = triggers.iter().map(|trigger| trigger.rule).collect();
        Self { filter: Prefilter::new(&Self::prefilter_patterns(triggers)), asked }
    }

    /// Returns the default rules for each set of instructions of this machine, and without any.
    #[cfg(test)]
    pub(super) fn in_each_form() -> Vec<Self> {
        let triggers = rules::default_rule_triggers();
        let filters = Prefilter::in_each_form(&Self::prefilter_patterns(&triggers));
        let asked = || triggers.iter().map(|trigger| trigger.rule).collect();
        filters.into_iter().map(|filter| Self { filter, asked: asked() }).collect()
    }

    /// Returns the patterns: the triggers of the rules by their numbers, then those of the floor.
    fn prefilter_patterns(triggers: &[Trigger]) -> Vec<TriggerPattern> {
        let floor = [
            [LOCAL_BYTES, b"@", DOMAIN_BYTES, DOMAIN_BYTES],
            [b"e", b"y", b"J", BASE64_BYTES],
            [b"A", b"K", b"I", b"A"],
        ];
        let floor = floor.map(|bytes| TriggerPattern { bytes, is_word: false });
        triggers.iter().map(|trigger| trigger.pattern).chain(floor).collect()
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
        for rule in
            self.filter.triggers_at(place).iter().filter_map(|number| self.asked.get(number))
        {
            found = earlier_match_if_any(found, rule.match_at(look, at));
        }
        found
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
