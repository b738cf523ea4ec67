//! Redaction: text in, redacted text out. Stand-in.

use std::borrow::Cow;

pub(crate) mod keys;

/// What a rule finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// An e-mail address.
    Email,
    /// A card number.
    Card,
    /// A JSON web token.
    Jwt,
    /// An AWS access key id.
    AwsKey,
    /// The whole value of a sensitive key.
    Key,
}

impl Kind {
    /// How many kinds there are.
    pub(crate) const COUNT: usize = 5;
    /// All.
    pub const ALL: [Self; 5] = [Self::Email, Self::Card, Self::Jwt, Self::AwsKey, Self::Key];
    /// Name.
    pub fn name(self) -> &'static str {
        "x"
    }
    /// Placeholder.
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

/// How often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redactions([u64; Kind::COUNT]);

impl Redactions {
    pub(crate) fn add(&mut self, kind: Kind) {
        self.0[kind as usize] += 1;
    }
    pub(crate) fn add_many(&mut self, kind: Kind, count: u64) {
        self.0[kind as usize] += count;
    }
    /// All.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
    /// All.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, u64)> + '_ {
        Kind::ALL.into_iter().zip(self.0)
    }
    /// How often.
    pub fn get(&self, kind: Kind) -> u64 {
        self.0[kind as usize]
    }
    pub(crate) fn merge(&mut self, other: &Self) {
        for (to, from) in self.0.iter_mut().zip(other.0) {
            *to += from;
        }
    }
}

/// A match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// Byte offset of the first byte.
    pub start: usize,
    /// Byte offset behind the last.
    pub end: usize,
    /// What it is.
    pub kind: Kind,
}

/// The redactor.
#[derive(Clone, Debug, Default)]
pub struct Sanitizer {}

impl Sanitizer {
    /// Redacted.
    pub fn redact_str<'t>(&self, _text: &'t str) -> Cow<'t, str> {
        todo!()
    }
    /// Hash.
    pub fn rules_hash(&self) -> u64 {
        0
    }
    /// What has to go, in order.
    pub(crate) fn matches<'t>(&self, text: &'t str) -> Matches<'t> {
        Matches { text, from: 0 }
    }
}

/// In order.
#[derive(Clone, Debug)]
pub(crate) struct Matches<'t> {
    text: &'t str,
    from: usize,
}

fn local(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"._%+-".contains(&b)
}

impl Iterator for Matches<'_> {
    type Item = Match;
    fn next(&mut self) -> Option<Match> {
        let bytes = self.text.as_bytes();
        for start in self.from..bytes.len() {
            let word =
                |at: usize| bytes.get(at).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
            let digits = bytes[start..].iter().take_while(|b| b.is_ascii_digit()).count();
            if digits == 16 && (start == 0 || !word(start - 1)) && !word(start + 16) {
                self.from = start + 16;
                return Some(Match { start, end: start + 16, kind: Kind::Card });
            }
            let names = bytes[start..].iter().take_while(|b| local(**b)).count();
            if names > 0 && bytes.get(start + names) == Some(&b'@') {
                let host = &bytes[start + names + 1..];
                let mut len = host
                    .iter()
                    .take_while(|b| b.is_ascii_alphanumeric() || b".-".contains(b))
                    .count();
                while len > 0 {
                    let letters =
                        host[..len].iter().rev().take_while(|b| b.is_ascii_alphabetic()).count();
                    if letters >= 2 && len > letters + 1 && host[len - letters - 1] == b'.' {
                        let end = start + names + 1 + len;
                        self.from = end;
                        return Some(Match { start, end, kind: Kind::Email });
                    }
                    len -= 1;
                }
            }
        }
        self.from = bytes.len();
        None
    }
}
