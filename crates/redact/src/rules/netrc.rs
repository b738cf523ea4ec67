//! Passwords in a `.netrc`.

use super::{RuleText, match_if_nonempty};
use crate::{Kind, Match};

/// The part of an entry that is read before its password.
const ENTRY_BYTES_MAX: usize = 256;

/// Returns the password of an entry whose `machine` begins at `at`, or whose `default` ends after
/// it. An entry is a list of words and their values.
pub(super) fn netrc_password_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let entry = match look.rest_from(at) {
        [b'm', ..] => {
            look.rest_from(at).strip_prefix(b"machine ").map(|_| at + b"machine ".len())?
        }
        _ => at + b"lt ".len(),
    };
    let is_default = look.text[look.edge..at].ends_with(b"defau");
    if look.byte_at(at) != Some(b'm') && !is_default {
        return None;
    }
    let rest = look.rest_from(entry);
    let window = &rest[..rest.len().min(ENTRY_BYTES_MAX)];
    let is_space = |byte: u8| byte.is_ascii_whitespace();
    let mut behind = 0;
    let mut next_word = || {
        behind += window[behind..].iter().take_while(|&&byte| is_space(byte)).count();
        let start = behind;
        behind += window[behind..].iter().take_while(|&&byte| !is_space(byte)).count();
        (start < behind).then_some((start, behind))
    };
    if !is_default {
        next_word()?;
    }
    for _ in 0..3 {
        let (start, end) = next_word()?;
        match &window[start..end] {
            b"login" | b"account" => next_word()?,
            b"password" => {
                let (start, _) = next_word()?;
                let is_part = |byte: u8| byte.is_ascii_graphic() && byte != b'[';
                let end = look.run_end(entry + start, is_part);
                return match_if_nonempty(Kind::Credential, entry + start, end);
            }
            _ => return None,
        };
    }
    None
}
