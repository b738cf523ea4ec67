//! E-mail addresses: the floor's rule, and on top of it letters and digits outside ASCII.
//!
//! Scripts such as Chinese have no spaces between words. So their letters do not join letters and
//! digits of ASCII without a separator between them.

use super::Matches;
use super::floor::{leading_bytes_of_class, trailing_bytes_of_class};
use crate::bytes::{DOMAIN, LETTER, LOCAL, has_byte_class};
use crate::steps::count_steps;
use crate::{Kind, Match};

impl Matches<'_> {
    /// Returns the e-mail with this `@`.
    pub(super) fn floor_email(&self, at: usize) -> Option<Match> {
        let start = self.local_part_start(at);
        let length = email_domain_length(&self.text[at + 1..]).filter(|_| start < at)?;
        Some(Match { start, end: at + 1 + length, kind: Kind::Email })
    }

    /// Returns the e-mail whose local part contains `start` or begins there.
    pub(super) fn floor_email_around(&mut self, start: usize) -> Option<Match> {
        if !has_byte_class(*self.bytes().get(start)?, LOCAL) {
            return None;
        }
        if start >= self.local.0 {
            let at = start + leading_bytes_of_class(&self.bytes()[start..], LOCAL);
            let rest = self.text[at..].strip_prefix('@');
            let length = rest.and_then(email_domain_length);
            self.local = (at, length.map(|length| at + 1 + length));
        }
        let end = self.local.1?;
        let start = self.local_part_start(start);
        Some(Match { start, end, kind: Kind::Email })
    }

    /// Returns the beginning of the local part that `end` is in or at the end of.
    fn local_part_start(&self, end: usize) -> usize {
        let ascii =
            |end: usize| end - trailing_bytes_of_class(&self.bytes()[self.edge..end], LOCAL);
        let mut start = ascii(end);
        while let Some(c) = self.char_before(start).filter(|c| is_foreign_email_char(*c)) {
            if joins_words(c, self.char_at(start)) {
                break;
            }
            start -= c.len_utf8();
            count_steps(1);
            if joins_words(c, self.char_before(start)) {
                break;
            }
            start = ascii(start);
        }
        start
    }
}

/// Returns whether a character outside ASCII may be in either part of an address: letters and digits,
/// and the accents that follow them.
fn is_foreign_email_char(c: char) -> bool {
    !c.is_ascii() && (c.is_alphanumeric() || ('\u{300}'..='\u{36F}').contains(&c))
}

/// Returns whether a letter of a script without spaces is directly beside a letter or digit of ASCII.
fn joins_words(c: char, beside: Option<char>) -> bool {
    let is_unspaced = matches!(
        c,
        '\u{E00}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}'
            | '\u{2E80}'..='\u{A4CF}' | '\u{AC00}'..='\u{D7AF}' | '\u{F900}'..='\u{FAFF}'
            | '\u{20000}'..='\u{3FFFF}'
    );
    is_unspaced && beside.is_some_and(|c| c.is_ascii_alphanumeric())
}

/// Returns the length of the e-mail domain at the beginning. It ends with the letters after the last
/// dot that has two letters after it and something before it.
fn email_domain_length(text: &str) -> Option<usize> {
    let run = leading_bytes_of_class(text.as_bytes(), DOMAIN);
    match text.as_bytes().get(run) {
        Some(0x80..) => foreign_domain_length(text),
        _ => ascii_domain_length(&text.as_bytes()[..run]),
    }
}

fn ascii_domain_length(bytes: &[u8]) -> Option<usize> {
    count_steps(bytes.len());
    let dot = bytes
        .windows(3)
        .rposition(|window| {
            window[0] == b'.'
                && has_byte_class(window[1], LETTER)
                && has_byte_class(window[2], LETTER)
        })
        .filter(|&dot| dot > 0)?;
    Some(dot + 1 + leading_bytes_of_class(&bytes[dot + 1..], LETTER))
}

/// Returns the same for a domain with letters outside ASCII.
#[cold]
fn foreign_domain_length(text: &str) -> Option<usize> {
    let (mut length, mut letters, mut before) = (None, None::<usize>, None::<char>);
    for (at, c) in text.char_indices() {
        count_steps(1);
        let is_ascii = c.is_ascii() && has_byte_class(c as u8, DOMAIN);
        let is_apart = before
            .is_some_and(|before| joins_words(c, Some(before)) || joins_words(before, Some(c)));
        if !(is_ascii || is_foreign_email_char(c)) || is_apart {
            break;
        }
        // The letters since the last dot; `None` if something else was among them.
        letters = match c {
            '.' if at > 0 => Some(0),
            c if c.is_ascii_alphabetic() || !c.is_ascii() => letters.map(|count| count + 1),
            _ => None,
        };
        if letters.is_some_and(|count| count >= 2) {
            length = Some(at + c.len_utf8());
        }
        before = Some(c);
    }
    length
}
