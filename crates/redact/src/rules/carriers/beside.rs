//! Values beside other ones: the last of a list, the new one in a plan of changes, the one after its
//! type.

use std::ops::Range;

use super::members::{LABEL_BYTES_MAX, blanks_end, quote_end};
use super::{BLANKS_MAX, Certainty, WINDOW_BYTES, sign_end, window_from};
use crate::looks::{has_secret_form, is_text_type};
use crate::names::SecretForm;
use crate::rules::{RuleText, is_alphanumeric_byte};

/// Returns the end of the last of several values in quotes whose first one is from `start` to `end`:
/// those of a list, or the new one in a plan of changes. Returns `end` if there is one value.
pub(in crate::rules) fn last_value_end(look: RuleText<'_>, start: usize, end: usize) -> usize {
    const HEAD_BYTES: usize = 16;
    let head = &look.text[look.edge.max(start.saturating_sub(HEAD_BYTES))..start];
    let mut signs = head.iter().rev().filter(|&&byte| !matches!(byte, b' ' | b'\\' | b'\n'));
    if !matches!((signs.next(), signs.next()), (Some(b'"' | b'\''), Some(b'['))) {
        return changed_value_end(look, start, end).unwrap_or(end);
    }
    let rest = window_from(look, end);
    let Some(length) = rest.iter().position(|byte| b"[]".contains(byte)) else { return end };
    let inside = &rest[..length];
    let Some(last) = inside.iter().rposition(|byte| b"\"'".contains(byte)) else { return end };
    // Each line has values of its own.
    let is_line = |line: &[u8]| matches!(line.trim_ascii().first(), None | Some(b'"' | b'\''));
    let is_list = rest[length] == b']'
        && inside.contains(&b',')
        && inside.split(|byte| *byte == b'\n').skip(1).all(is_line);
    let escapes = inside[..last].iter().rev().take_while(|&&byte| byte == b'\\').count();
    if is_list { end + last - escapes } else { end }
}

/// Returns the end of the new value in `"old" -> "new"`, as in a plan of Terraform.
fn changed_value_end(look: RuleText<'_>, start: usize, end: usize) -> Option<usize> {
    let quote = *look.text[look.edge..start].last().filter(|byte| matches!(byte, b'"' | b'\''))?;
    let after = window_from(look, end).strip_prefix(&[quote])?.trim_ascii_start();
    let new = after.strip_prefix(b"->").or_else(|| after.strip_prefix(b"=>"))?;
    let new = new.trim_ascii_start().strip_prefix(&[quote])?;
    look.quoted_end(end + window_from(look, end).len() - new.len(), quote, WINDOW_BYTES)
}

/// Returns the new value of a change whose old one is not a secret: `"old" -> "…"`, `null -> "…"`.
pub(super) fn changed_value(
    look: RuleText<'_>,
    name: &Range<usize>,
) -> Option<(Range<usize>, Certainty)> {
    const OLD: [&[u8]; 4] = [b"null", b"(sensitive value)", b"(sensitive)", b"(known after apply)"];
    let (at, _) = sign_end(look, name.end)?;
    let end = match quote_end(look, at) {
        Some(inside) => {
            let closing = look.quoted_end(inside, look.text[inside - 1], WINDOW_BYTES)?;
            quote_end(look, closing)?
        }
        None => at + OLD.iter().find(|old| look.rest_from(at).starts_with(old))?.len(),
    };
    let blanks = |at| look.run_end(at, |byte| byte == b' ').min(at + BLANKS_MAX);
    let sign = blanks(end);
    if !look.rest_from(sign).starts_with(b"->") {
        return None;
    }
    let start = quote_end(look, blanks(sign + b"->".len()))?;
    let end = look.quoted_end(start, look.text[start - 1], WINDOW_BYTES)?;
    Some((start..end, Certainty::Named))
}

/// Returns the value after a name and its type in a list: `("DB_PASSWORD", "string", "…")`.
pub(super) fn typed_element(
    look: RuleText<'_>,
    name: &Range<usize>,
) -> Option<(Range<usize>, Certainty)> {
    // Elements have quotes, or all have none.
    let is_quoted = quote_end(look, name.end).is_some();
    let next = |at: usize| {
        let behind = if is_quoted { quote_end(look, at)? } else { at };
        let comma = blanks_end(look, behind);
        let start = (look.byte_at(comma) == Some(b',')).then(|| blanks_end(look, comma + 1))?;
        if is_quoted { quote_end(look, start) } else { Some(start) }
    };
    let kind = next(name.end)?;
    let end = look.run_end(kind, is_alphanumeric_byte).min(kind + LABEL_BYTES_MAX);
    let start = if is_text_type(&look.text[kind..end]) { next(end)? } else { return None };
    let end = match is_quoted {
        true => look.quoted_end(start, look.byte_before(start)?, WINDOW_BYTES)?,
        false => {
            let is_part = |byte: &&u8| byte.is_ascii_graphic() && !b",;\"'`\\[]()".contains(byte);
            start + window_from(look, start).iter().take_while(is_part).count()
        }
    };
    let is_secret = has_secret_form(&look.text[start..end], SecretForm::Chosen);
    is_secret.then_some((start..end, Certainty::Named))
}
