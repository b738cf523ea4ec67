//! Secrets of services that begin with a prefix of their own.
//!
//! `table.rs` has a row for each prefix. A prefix of small letters that ends with `_` or `-` belongs
//! to `VENDORS`, which costs no trigger of its own. Any other prefix belongs to `TOKENS`.

mod odd;
mod table;
mod vendors;

pub(super) use odd::ODD;
pub(crate) use odd::aws_secret_after_key;
#[cfg(test)]
pub(crate) use vendors::documented_open_ids;
pub(crate) use vendors::vendor_token_at;

use super::randomness::is_random_word;
use super::{
    ALPHANUMERIC, BASE64URL, Rule, RuleText, Trigger, TriggerBytes, is_alphanumeric_byte,
    is_base64_byte, is_base64url_byte, match_if_nonempty,
};
use crate::Kind;
use crate::Match;
use crate::digits::has_uuid_form;
use crate::prefilter::{PLACE, trigger_weight};
use table::TOKENS;

/// A secret with a prefix. Its length has no upper bound.
#[derive(Debug)]
pub(crate) struct ServiceToken {
    kind: Kind,
    prefix: &'static [u8],
    body: Body,
    /// The least number of bytes after the prefix.
    least: usize,
    /// The prefix is part of words, so it counts only if no letter, digit, `-` or `_` is before it.
    is_word: bool,
    /// What follows the prefix must not read like words.
    is_random: bool,
}

/// What follows the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    /// Letters, digits, `-`, `_`, and dots between runs of these.
    Url,
    /// The least number of letters and digits; after them as `Url`.
    Plain,
    /// The least number of hexadecimal digits. It does not match if a letter or digit follows.
    Hex,
    /// The same, and more hexadecimal digits may follow.
    HexRun,
    /// The least number of letters and digits. It does not match if another one follows.
    Exact,
    /// Either alphabet of base64.
    Base64,
    /// A UUID; after it as `Url`.
    Uuid,
}

impl Body {
    /// Returns the bytes that may follow the prefix first.
    fn first_bytes(self) -> &'static [u8] {
        match self {
            Self::Hex | Self::HexRun | Self::Uuid => b"0123456789abcdefABCDEF",
            Self::Plain | Self::Exact => ALPHANUMERIC,
            Self::Url => BASE64URL,
            Self::Base64 => BASE64,
        }
    }
}

const fn free_token(kind: Kind, prefix: &'static str, body: Body, least: usize) -> ServiceToken {
    let prefix = prefix.as_bytes();
    ServiceToken { kind, prefix, body, least, is_word: false, is_random: false }
}

const fn word_token(kind: Kind, prefix: &'static str, body: Body, least: usize) -> ServiceToken {
    ServiceToken { is_word: true, ..free_token(kind, prefix, body, least) }
}

/// Returns the prefixes of all tokens, for the documentation.
#[cfg(test)]
pub(crate) fn documented_prefixes() -> impl Iterator<Item = (Kind, &'static str)> {
    let text = |prefix| str::from_utf8(prefix).expect("a prefix is text");
    TOKENS.iter().chain(&table::VENDORS).map(move |token| (token.kind, text(token.prefix)))
}

/// Returns a trigger for each prefix. If the prefix begins a word, the trigger is its beginning;
/// otherwise it is the rarest bytes of the prefix.
pub(super) fn service_token_triggers() -> impl Iterator<Item = Trigger> {
    TOKENS.iter().map(|token| {
        let offset = token.trigger_offset();
        let (bytes, rule) = (token.trigger_bytes(offset), Rule::Token(token, offset));
        if token.is_word {
            Trigger::at_word_start(bytes, rule)
        } else {
            Trigger::anywhere(bytes, rule)
        }
    })
}

impl ServiceToken {
    /// Returns the offset of the trigger in the prefix.
    fn trigger_offset(&self) -> usize {
        let last = if self.is_word { 0 } else { self.prefix.len().saturating_sub(PLACE) };
        // Triggers with a separator at the end share buckets well.
        let ends = |at: usize| matches!(self.prefix.get(at + PLACE - 1), Some(b'-' | b'_'));
        let rarity = |at: &usize| {
            trigger_weight(self.trigger_bytes(*at)) * if ends(*at) { 0.1 } else { 1.0 }
        };
        (0..=last).min_by(|a, b| rarity(a).total_cmp(&rarity(b))).unwrap_or(0)
    }

    /// Returns the bytes of the prefix from this offset on, and those that may follow it.
    fn trigger_bytes(&self, at: usize) -> TriggerBytes {
        let first = self.body.first_bytes();
        std::array::from_fn(|i| self.prefix.get(at + i..=at + i).unwrap_or(first))
    }

    /// The same, and what follows the prefix must not read like words or a name of source code.
    const fn random(self) -> Self {
        Self { is_random: true, ..self }
    }

    /// Returns the secret if the byte at `offset` of its prefix is at `at`.
    pub(super) fn match_at(&self, look: RuleText<'_>, at: usize, offset: usize) -> Option<Match> {
        let at = at.checked_sub(offset).filter(|at| *at >= look.edge)?;
        if !look.rest_from(at).starts_with(self.prefix)
            || self.is_word && look.byte_before(at).is_some_and(is_base64url_byte)
        {
            return None;
        }
        match_if_nonempty(self.kind, at, self.body_end(look, at + self.prefix.len())?)
    }

    /// Returns the end of what follows the prefix, if that has the right form.
    fn body_end(&self, look: RuleText<'_>, start: usize) -> Option<usize> {
        let body = look.rest_from(start);
        let leading = |is: fn(u8) -> bool| {
            body.len() >= self.least && body[..self.least].iter().all(|&byte| is(byte))
        };
        let is_over = || !body.get(self.least).copied().is_some_and(is_alphanumeric_byte);
        let is_free = |at: usize| !body.get(at).copied().is_some_and(is_base64url_byte);
        let end = match self.body {
            Body::Url => dotted_token_end(look, start),
            Body::Plain if leading(is_alphanumeric_byte) => dotted_token_end(look, start),
            Body::Hex if leading(|byte| byte.is_ascii_hexdigit()) && is_over() => {
                dotted_token_end(look, start)
            }
            Body::HexRun => {
                let end = look.run_end(start, |byte| byte.is_ascii_hexdigit());
                let is_over = !look.byte_at(end).is_some_and(is_alphanumeric_byte);
                is_over
                    .then(|| dotted_token_end(look, end))
                    .filter(|_| end - start >= self.least)?
            }
            Body::Uuid if begins_with_uuid(body) => dotted_token_end(look, start),
            Body::Exact if leading(is_alphanumeric_byte) && is_free(self.least) => {
                start + self.least
            }
            Body::Base64 => look.run_end(start, |byte| is_base64_byte(byte) || byte == b'%'),
            Body::Plain | Body::Hex | Body::Exact | Body::Uuid => return None,
        };
        // A placeholder of an author repeats one byte: `sk-xxxx…`.
        let body = &look.text[start..end];
        let is_one = end - start >= self.least
            && !body.iter().all(|byte| *byte == body[0])
            && (!self.is_random || is_random_word(body));
        is_one.then_some(end)
    }
}

/// Returns whether a text begins with the groups of hexadecimal digits of a UUID, of any version.
fn begins_with_uuid(text: &[u8]) -> bool {
    text.first_chunk().is_some_and(has_uuid_form)
}

/// The shortest run that a dot may join to those before it.
const JOINED_BYTES_MIN: usize = 6;

/// Returns the end of the runs of base64url from `at` on, with single dots between them.
fn dotted_token_end(look: RuleText<'_>, at: usize) -> usize {
    let mut end = look.run_end(at, is_base64url_byte);
    while look.byte_at(end) == Some(b'.') {
        let next = look.run_end(end + 1, is_base64url_byte);
        if next - end <= JOINED_BYTES_MIN {
            break;
        }
        end = next;
    }
    end
}

/// The bytes of either alphabet of base64, and of its percent-encoded form.
const BASE64: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_+/=%";
