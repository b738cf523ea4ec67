//! Redaction: text in, redacted text out.
//!
//! A [`Sanitizer`] replaces e-mail addresses, card numbers, JSON web tokens and AWS access key ids
//! by placeholders such as `[REDACTED_email]`, and in JSON the whole value of a sensitive key
//! (`password`, `secret`, `token`, `api_key`, `authorization`, `cookie`, in any case) by
//! `"[REDACTED]"`, unless it is `true`, `false` or `null`.
//!
//! Three things hold for every text. No rule matches what comes out, beside a placeholder neither.
//! Outside the placeholders every byte stays. Redacting again changes nothing.
//!
//! Not found are names, birth dates, postal addresses and free-form identifiers.

mod broken;
mod chunk;
#[cfg(feature = "macros")]
pub(crate) mod debug;
mod json;
mod keys;
mod parse;
mod scan;
mod unicode;

use std::borrow::Cow;

pub(crate) use keys::{KeyClass, KeyNumbers, classify};
pub(crate) use scan::Matches;

/// What a rule finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// An e-mail address.
    Email,
    /// A number in four groups of four digits.
    Card,
    /// A JSON web token.
    Jwt,
    /// An AWS access key id.
    AwsKey,
    /// The whole value of a sensitive key.
    Key,
}

impl Kind {
    /// Every kind, in the order in which counts are given.
    pub const ALL: [Self; 5] = [Self::Email, Self::Card, Self::Jwt, Self::AwsKey, Self::Key];

    /// How many kinds there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The name in counts: `email`, `card`, `jwt`, `aws_key`, `key`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Card => "card",
            Self::Jwt => "jwt",
            Self::AwsKey => "aws_key",
            Self::Key => "key",
        }
    }

    /// What stands in the place of what was found.
    pub fn placeholder(self) -> &'static str {
        match self {
            Self::Email => "[REDACTED_email]",
            Self::Card => "[REDACTED_card]",
            Self::Jwt => "[REDACTED_jwt]",
            Self::AwsKey => "[REDACTED_aws_key]",
            Self::Key => "[REDACTED]",
        }
    }
}

/// A part of a text that has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// Byte offset of its first byte.
    pub start: usize,
    /// Byte offset behind its last.
    pub end: usize,
    /// What it is.
    pub kind: Kind,
}

/// How many parts were redacted, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redactions([u64; Kind::COUNT]);

impl Redactions {
    /// Counts one.
    pub fn add(&mut self, kind: Kind) {
        self.0[kind as usize] += 1;
    }

    /// Adds `count` of a kind.
    pub(crate) fn add_many(&mut self, kind: Kind, count: u64) {
        self.0[kind as usize] += count;
    }

    /// How many of `kind`.
    pub fn get(&self, kind: Kind) -> u64 {
        self.0[kind as usize]
    }

    /// Every kind and how many of it, zeros included, in the order of [`Kind::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Kind, u64)> + '_ {
        Kind::ALL.into_iter().zip(self.0)
    }

    /// How many of all kinds.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }
}

/// What [`Sanitizer::redact_line`] took a line for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// It parsed as JSON.
    Json,
    /// It does not begin as JSON does.
    Text,
    /// It begins as JSON does, but does not parse: to be reported.
    NotQuiteJson,
}

/// Redacts texts and lines. It holds the rules and no text.
///
/// # Examples
///
/// ```
/// use llm_audit::Sanitizer;
///
/// let sanitizer = Sanitizer::default();
/// assert_eq!(sanitizer.redact_str("to ana@example.org"), "to [REDACTED_email]");
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Sanitizer {}

impl Sanitizer {
    /// The redacted text; borrowed when there is nothing to redact.
    pub fn redact_str<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.matches(text).next().is_none() {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        self.redact_text(text, &mut out, &mut Redactions::default());
        Cow::Owned(out)
    }

    /// Appends the redacted text to `out` and adds to `counts` what was redacted.
    pub fn redact_text(&self, text: &str, out: &mut String, counts: &mut Redactions) {
        let mut copied = 0;
        for found in self.matches(text) {
            out.push_str(&text[copied..found.start]);
            out.push_str(found.kind.placeholder());
            counts.add(found.kind);
            copied = found.end;
        }
        out.push_str(&text[copied..]);
    }

    /// Appends the redacted line to `out`, adds to `counts` what was redacted, and says what the
    /// line was taken for. `line` is without its newline.
    ///
    /// A line whose first character, white space and a byte order mark aside, is `{`, `[` or `"` is
    /// JSON. Its strings and keys are redacted as they read decoded; keys that redact alike are
    /// numbered; numbers keep their spelling; containers more than 128 levels deep become
    /// `"[TOO_DEEP]"`. Where it does not parse, the text rules run over it, as it stands and as its
    /// strings read decoded, and the value behind every quoted sensitive key goes. Any other line is
    /// text.
    pub fn redact_line(&self, line: &str, out: &mut String, counts: &mut Redactions) -> LineKind {
        json::redact_line(self, line, out, counts)
    }

    /// Appends a text that may hold JSON without being JSON, redacted as a line that does not parse.
    #[cfg(feature = "tower")]
    pub(crate) fn redact_broken(&self, text: &str, out: &mut String) {
        broken::redact(self, text, out, &mut Redactions::default());
    }

    /// What has to go, in order, none overlapping another. Allocates nothing; takes time linear in
    /// the length of the text.
    #[inline]
    pub(crate) fn matches<'t>(&self, text: &'t str) -> Matches<'t> {
        Matches::new(text)
    }

    /// A hash of the rules: equal where two programs redact alike, from one release to the next.
    ///
    /// FNV-1a, 64 bits, over the names and patterns of the rules and the sensitive keys, each
    /// followed by a zero byte.
    pub fn rules_hash(&self) -> u64 {
        let rules = scan::RULES.iter().flat_map(|&(kind, pattern)| [kind.name(), pattern]);
        rules
            .chain(keys::SENSITIVE)
            .flat_map(|part| part.bytes().chain([0]))
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            })
    }
}

/// The last start of a character at or before `at`, or the end: `str::floor_char_boundary`, which
/// came with Rust 1.91.
pub(crate) fn floor_char_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
