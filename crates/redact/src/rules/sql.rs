//! Passwords in statements of SQL.

use super::commands::argument_at;
use super::{RuleText, match_if_nonempty, starts_ignoring_case};
use crate::looks::{is_irregular_password, is_reference};
use crate::{Kind, Match};

/// The part of a statement that is read between `IDENTIFIED` and the password.
const WINDOW_BYTES: usize = 96;

/// Returns the password after `IDENTIFIED BY`, whose `IFIE` is at `at`. A plugin may be named in
/// between: `IDENTIFIED WITH sha256_password BY '…'`.
pub(super) fn identified_by_at(look: RuleText<'_>, at: usize) -> Option<Match> {
    let start = at.checked_sub(b"IDENT".len()).filter(|start| *start >= look.edge)?;
    let name = b"identified ";
    if !starts_ignoring_case(look.rest_from(start), name) {
        return None;
    }
    let from = start + name.len();
    let rest = look.rest_from(from);
    let rest = &rest[..rest.len().min(WINDOW_BYTES)];
    let by = match starts_ignoring_case(rest, b"by ") {
        true => 0,
        false if starts_ignoring_case(rest, b"with ") => {
            1 + (0..rest.len()).find(|&at| starts_ignoring_case(&rest[at..], b" by "))?
        }
        false => return None,
    };
    let value = look.run_end(from + by + 3, |byte| byte == b' ');
    let kind = b"password ";
    let value =
        value + if starts_ignoring_case(look.rest_from(value), kind) { kind.len() } else { 0 };
    let (start, end) = argument_at(look, value)?;
    let text = &look.text[start..end];
    let text = text.strip_suffix(b";").unwrap_or(text);
    // In prose a word follows: `identified by name`.
    let is_quoted = start > value;
    let has = |is: fn(&u8) -> bool| text.iter().any(is);
    let is_value = is_quoted || has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic);
    let is_variable = text.starts_with(b":") && !is_irregular_password(text);
    let is_secret = is_value && text.len() >= 4 && !is_reference(text) && !is_variable;
    is_secret.then(|| match_if_nonempty(Kind::Credential, start, start + text.len()))?
}
