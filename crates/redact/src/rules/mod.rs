//! The default rules beyond the floor, and their triggers.
//!
//! A trigger is four sets of bytes. If the four bytes of a place are in these sets, the rule of the
//! trigger is asked at that place. It looks backward no further than the edge and a bounded window.
//! It looks forward as far as its match extends, and returns the place of the match. The trigger
//! may be inside the match or before it. A match begins at most 80 bytes before its trigger.

mod assignment;
mod card;
mod numbers;
mod structures;
mod tokens;

pub(super) use card::is_card;
use tokens::Token;
pub(super) use tokens::aws_secret;

use super::prefilter::{PLACE, Pattern};
use super::steps::step;
use super::{Kind, Match};

/// Must be increased if a rule or a table of one changes, because logs record by which rules they
/// were redacted.
pub(super) const EDITION: &str = "5";

/// The text that a rule looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look<'t> {
    pub(super) text: &'t [u8],
    /// The beginning of the segment. Before it is a placeholder or the beginning of the text, which
    /// is a boundary to every rule.
    pub(super) edge: usize,
}

impl<'t> Look<'t> {
    /// Returns the byte before `at`, if it is not beyond the edge.
    fn before(self, at: usize) -> Option<u8> {
        self.text[self.edge..at].last().copied()
    }

    fn byte(self, at: usize) -> Option<u8> {
        self.text.get(at).copied()
    }

    /// Returns the text from `at` on.
    fn rest(self, at: usize) -> &'t [u8] {
        self.text.get(at..).unwrap_or_default()
    }

    /// Returns the end of the run of bytes from `at` on for which `is` is true.
    fn run(self, at: usize, is: impl Fn(u8) -> bool) -> usize {
        let length = self.rest(at).iter().take_while(|&&byte| is(byte)).count();
        step(length + 1);
        at + length
    }

    /// Returns the beginning of the run of at most `most` such bytes before `at`, up to the edge.
    fn run_before(self, at: usize, most: usize, is: impl Fn(u8) -> bool) -> usize {
        let window = &self.text[self.edge.max(at.saturating_sub(most))..at];
        let length = window.iter().rev().take_while(|&&byte| is(byte)).count();
        step(length + 1);
        at - length
    }
}

/// Returns a match, if it contains a byte.
fn found(kind: Kind, start: usize, end: usize) -> Option<Match> {
    (start < end).then_some(Match { start, end, kind })
}

/// Finds the match whose trigger is at a place.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// A token, and the offset of the trigger in its prefix.
    Token(&'static Token, usize),
    Other(fn(Look<'_>, usize) -> Option<Match>),
}

impl Rule {
    #[inline]
    pub(super) fn ask(self, look: Look<'_>, at: usize) -> Option<Match> {
        step(1);
        match self {
            Self::Token(token, offset) => token.at(look, at, offset),
            Self::Other(rule) => rule(look, at),
        }
    }
}

/// A rule and the places at which it is asked.
#[derive(Clone, Copy)]
pub(super) struct Trigger {
    pub(super) pattern: Pattern,
    pub(super) rule: Rule,
}

/// The bytes of a trigger.
pub(super) type Bytes = [&'static [u8]; PLACE];

impl Trigger {
    const fn anywhere(bytes: Bytes, rule: Rule) -> Self {
        Self { pattern: Pattern { bytes, is_word: false }, rule }
    }

    /// Makes a trigger that is not after a letter, a digit or an underscore.
    const fn word(bytes: Bytes, rule: Rule) -> Self {
        Self { pattern: Pattern { bytes, is_word: true }, rule }
    }
}

const DIGITS: &[u8] = b"0123456789";
const ALPHANUMERIC: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const BASE64URL: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";

/// The rules that are asked at the beginning of a number: three ASCII digits and more. They are not
/// asked if a letter, a digit or an underscore is before it.
pub(super) const NUMBERS: [fn(Look<'_>, usize) -> Option<Match>; 2] = [card::at, numbers::us_ssn];

/// Returns the triggers of all other default rules.
pub(super) fn triggers() -> Vec<Trigger> {
    let mut triggers: Vec<Trigger> = tokens::triggers().collect();
    triggers.extend(numbers::IBAN.map(|country| {
        let bytes = [country[0], country[1], DIGITS, DIGITS];
        Trigger::word(bytes, Rule::Other(numbers::iban))
    }));
    let odd = tokens::ODD.into_iter().chain(structures::TRIGGERS);
    triggers.extend(odd.map(|(bytes, rule)| Trigger::anywhere(bytes, Rule::Other(rule))));
    let assignment = Rule::Other(assignment::at);
    triggers.extend(assignment::TRIGGERS.map(|bytes| Trigger::anywhere(bytes, assignment)));
    triggers
}

fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

/// Returns whether a byte is in base64url, the alphabet of most tokens.
fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// Returns whether a byte is in either alphabet of base64.
fn is_base64(byte: u8) -> bool {
    is_base64url(byte) || matches!(byte, b'+' | b'/' | b'=')
}

#[cfg(test)]
pub(super) mod tests;
