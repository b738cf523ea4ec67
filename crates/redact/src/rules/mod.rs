//! The default rules beyond the floor, and their triggers.
//!
//! A trigger is four sets of bytes. If the four bytes of a place are in these sets, the rule of the
//! trigger is asked at that place. It looks backward no further than the edge and a bounded window.
//! It looks forward as far as its match extends, and returns the place of the match. The trigger
//! may be inside the match or before it. A match begins at most 80 bytes before its trigger.

mod assignment;
mod card;
mod carriers;
mod commands;
mod headers;
mod lookalikes;
mod named_ssn;
mod netrc;
mod numbers;
mod parameters;
mod password_hashes;
mod payload;
mod private_keys;
mod randomness;
mod sql;
mod structures;
mod tokens;
mod urls;

pub(super) use card::is_precise_card;
pub(super) use lookalikes::is_exempt_card;
pub(super) use payload::{PAYLOAD_BYTES_MIN, base64_payload_around};
use tokens::ServiceToken;
pub(super) use tokens::{aws_secret_after_key, vendor_token_at};
#[cfg(test)]
pub(crate) use tokens::{documented_open_ids, documented_prefixes};

use super::prefilter::{PLACE, TriggerPattern};
use super::steps::count_steps;
use super::{Kind, Match};

/// Must be increased if a rule or a table of one changes, because logs record by which rules they
/// were redacted.
pub(super) const EDITION: &str = "7";

/// The text that a rule looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct RuleText<'t> {
    pub(super) text: &'t [u8],
    /// The beginning of the segment. Before it is a placeholder or the beginning of the text, which
    /// is a boundary to every rule.
    pub(super) edge: usize,
}

impl<'t> RuleText<'t> {
    /// Returns the byte before `at`, if it is not beyond the edge.
    fn byte_before(self, at: usize) -> Option<u8> {
        self.text[self.edge..at].last().copied()
    }

    fn byte_at(self, at: usize) -> Option<u8> {
        self.text.get(at).copied()
    }

    /// Returns the text from `at` on.
    fn rest_from(self, at: usize) -> &'t [u8] {
        self.text.get(at..).unwrap_or_default()
    }

    /// Returns the end of the run of bytes from `at` on for which `is` is true.
    fn run_end(self, at: usize, is: impl Fn(u8) -> bool) -> usize {
        let length = self.rest_from(at).iter().take_while(|&&byte| is(byte)).count();
        count_steps(length + 1);
        at + length
    }

    /// Returns the beginning of the run of at most `most` such bytes before `at`, up to the edge.
    fn run_start(self, at: usize, most: usize, is: impl Fn(u8) -> bool) -> usize {
        let window = &self.text[self.edge.max(at.saturating_sub(most))..at];
        let length = window.iter().rev().take_while(|&&byte| is(byte)).count();
        count_steps(length + 1);
        at - length
    }

    /// Returns the end of the text in quotes that begins at `start`: before the same quote and its
    /// escapes, within `most` bytes of the same line. A quote with more escapes than the first one is
    /// a part of the text, unless no other closes it, as after the last backslash of a path.
    fn quoted_end(self, start: usize, quote: u8, most: usize) -> Option<usize> {
        const ESCAPES_MAX: usize = 7;
        let opening = self.edge.max(start.saturating_sub(1));
        let unit = opening - self.run_start(opening, ESCAPES_MAX, |byte| byte == b'\\') + 1;
        let rest = self.rest_from(start);
        let line = rest[..rest.len().min(most)].split(|&byte| byte == b'\n').next()?;
        let mut quotes = (0..line.len()).filter(|&at| line[at] == quote).map(|at| {
            let escapes = line[..at].iter().rev().take_while(|&&byte| byte == b'\\').count();
            (start + at - escapes, escapes)
        });
        let (first, _) = quotes.clone().next()?;
        let closing = quotes.find(|(_, escapes)| escapes % (2 * unit) != 2 * unit - 1);
        Some(closing.map_or(first, |(end, _)| end))
    }
}

/// Returns a match, if it contains a byte.
fn match_if_nonempty(kind: Kind, start: usize, end: usize) -> Option<Match> {
    (start < end).then_some(Match { start, end, kind })
}

/// Finds the match whose trigger is at a place.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// A token, and the offset of the trigger in its prefix.
    Token(&'static ServiceToken, usize),
    Other(fn(RuleText<'_>, usize) -> Option<Match>),
}

impl Rule {
    #[inline]
    pub(super) fn match_at(self, look: RuleText<'_>, at: usize) -> Option<Match> {
        count_steps(1);
        match self {
            Self::Token(token, offset) => token.match_at(look, at, offset),
            Self::Other(rule) => rule(look, at),
        }
    }
}

/// A rule and the places at which it is asked.
#[derive(Clone, Copy)]
pub(super) struct Trigger {
    pub(super) pattern: TriggerPattern,
    pub(super) rule: Rule,
}

/// The bytes of a trigger.
pub(super) type TriggerBytes = [&'static [u8]; PLACE];

impl Trigger {
    const fn anywhere(bytes: TriggerBytes, rule: Rule) -> Self {
        Self { pattern: TriggerPattern { bytes, is_word: false }, rule }
    }

    /// Makes a trigger that is not after a letter, a digit or an underscore.
    const fn at_word_start(bytes: TriggerBytes, rule: Rule) -> Self {
        Self { pattern: TriggerPattern { bytes, is_word: true }, rule }
    }
}

const DIGITS: &[u8] = b"0123456789";
const ALPHANUMERIC: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const BASE64URL: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";

/// The rules that are asked at the beginning of a number: three ASCII digits and more. They are not
/// asked if a letter, a digit or an underscore is before it.
pub(super) const NUMBERS: [fn(RuleText<'_>, usize) -> Option<Match>; 2] =
    [card::card_at, numbers::us_ssn_at];

/// Returns the triggers of all other default rules.
pub(super) fn default_rule_triggers() -> Vec<Trigger> {
    let mut triggers: Vec<Trigger> = tokens::service_token_triggers().collect();
    triggers.extend(numbers::IBAN.map(|country| {
        let bytes = [country[0], country[1], DIGITS, DIGITS];
        Trigger::at_word_start(bytes, Rule::Other(numbers::iban_at))
    }));
    let odd = tokens::ODD.into_iter().chain(structures::TRIGGERS);
    triggers.extend(odd.map(|(bytes, rule)| Trigger::anywhere(bytes, Rule::Other(rule))));
    // The names of vendors after `sk-` may be followed by anything.
    let vendor: TriggerBytes = [b"s", b"k", b"-_", ALPHANUMERIC];
    triggers.push(Trigger::at_word_start(vendor, Rule::Other(vendor_token_at)));
    let assignment = Rule::Other(assignment::assignment_at);
    triggers.extend(assignment::TRIGGERS.map(|bytes| Trigger::anywhere(bytes, assignment)));
    triggers
}

/// Returns the length of a placeholder at a place that no rule has put there, because a letter or a
/// digit follows. The rules replace such values up to another byte.
fn forged_placeholder_length(look: RuleText<'_>, at: usize) -> usize {
    let rest = look.rest_from(at);
    if !rest.starts_with(b"[REDACTED") {
        return 0;
    }
    [Kind::Key, Kind::Credential, Kind::Authorization, Kind::UrlParameter]
        .iter()
        .filter_map(|kind| rest.strip_prefix(kind.placeholder().as_bytes()))
        .find(|behind| behind.first().is_some_and(u8::is_ascii_alphanumeric))
        .map_or(0, |behind| rest.len() - behind.len())
}

/// Returns the length of an escape, if what it stands for separates words: `\n`, `\u0022`, `%0A`.
#[inline]
pub(super) fn spelled_escape_length(text: &[u8; PLACE]) -> Option<usize> {
    match text {
        [b'\\', b'n' | b'r' | b't', ..] => Some(2),
        [b'\\', b'u', b'0', b'0'] => Some(6),
        [b'%', b'0', b'A' | b'D' | b'a' | b'd', _]
        | [b'%', b'2', b'0' | b'2' | b'7', _]
        | [b'%', b'3', b'A' | b'D' | b'a' | b'd', _] => Some(3),
        _ => None,
    }
}

fn is_alphanumeric_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

/// Returns whether a byte is in base64url, the alphabet of most tokens.
fn is_base64url_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// Returns whether a byte is in either alphabet of base64.
fn is_base64_byte(byte: u8) -> bool {
    is_base64url_byte(byte) || matches!(byte, b'+' | b'/' | b'=')
}

fn is_header_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

fn starts_ignoring_case(text: &[u8], lower: &[u8]) -> bool {
    text.get(..lower.len()).is_some_and(|text| text.eq_ignore_ascii_case(lower))
}

/// Returns the place in `text` at which `part` begins.
fn position_of_part(text: &[u8], part: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, part)
}

#[cfg(test)]
pub(super) mod tests;
