//! Passwords in a `.netrc`.

use std::ops::Range;

use super::{RuleText, position_of_part};

/// The part of an entry that is read before the word `password`.
const ENTRY_BYTES_MAX: usize = 256;

/// Returns the password after a name, if the words before the name are those of an entry: `machine`
/// and a host, or `default`, and then `login` or `account` and their values.
pub(super) fn netrc_password_after(look: RuleText<'_>, name: Range<usize>) -> Option<Range<usize>> {
    if &look.text[name.clone()] != b"password" || !begins_entry(look, name.start) {
        return None;
    }
    let start = look.run_end(name.end, |byte| byte.is_ascii_whitespace());
    let end = look.run_end(start, |byte| byte.is_ascii_graphic());
    let placeholder = position_of_part(&look.text[start..end], b"[REDACTED");
    let end = placeholder.map_or(end, |length| start + length);
    (start > name.end && end > start).then_some(start..end)
}

/// Returns whether the words before a place are those of an entry. A login that has become a
/// placeholder is a word like any other, so the edge does not matter.
fn begins_entry(look: RuleText<'_>, at: usize) -> bool {
    const ACCOUNTS_MAX: usize = 2;
    let entry = &look.text[at.saturating_sub(ENTRY_BYTES_MAX)..at];
    let mut words = entry.rsplit(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    for accounts in 0..=ACCOUNTS_MAX {
        let Some(value) = words.next() else { return false };
        if accounts > 0 && value.ends_with(b"default") {
            return true;
        }
        match words.next() {
            Some(b"login" | b"account") => {}
            before => return before.is_some_and(|word| word.ends_with(b"machine")),
        }
    }
    false
}
