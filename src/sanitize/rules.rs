//! What is looked for, and where may it begin?
//!
//! A rule is a function that is asked at every place where its trigger stands: three bytes, each of
//! a set. It looks at the text in front of the place no further than the edge and a bounded window,
//! behind it as far as its match goes, and says where the match lies. The trigger may stand inside
//! the match or before it.

use super::Match;

/// The text that a rule looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look<'t> {
    pub(super) text: &'t str,
    /// Where the segment begins: a placeholder or the beginning of the text stands before it, which
    /// is a boundary to every rule.
    pub(super) edge: usize,
    /// Cards have to pass the issuer's prefix and length and Luhn's check, whatever their form.
    pub(super) precise: bool,
}

/// Where the match lies whose trigger stands at `at`, if there is one. It may be that it begins
/// before `at`, but not before the edge, and it holds at least one byte.
pub(super) type Rule = fn(look: Look<'_>, at: usize) -> Option<Match>;

/// Three bytes, each of a set, at which a rule is asked.
pub(super) struct Trigger {
    pub(super) bytes: [&'static [u8]; 3],
    pub(super) rule: Rule,
}

/// The triggers of the default rules.
pub(super) static TRIGGERS: &[Trigger] = &[];

/// Whether a card of the floor has an issuer's prefix and length, passes Luhn's check, and is no part
/// of something longer.
pub(super) fn is_card(_text: &str, _card: Match) -> bool {
    true
}
