//! Redaction: text in, redacted text out.

use std::borrow::Cow;

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
    /// Placeholder.
    pub fn placeholder(self) -> &'static str {
        todo!()
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
    /// What has to go, in order.
    pub(crate) fn matches<'t>(&self, _text: &'t str) -> Matches<'t> {
        todo!()
    }
}

/// In order.
#[derive(Clone, Debug)]
pub(crate) struct Matches<'t> {
    _text: &'t str,
}

impl Iterator for Matches<'_> {
    type Item = Match;
    fn next(&mut self) -> Option<Match> {
        todo!()
    }
}
