//! Placeholders that a text already contains.

use super::Kind;

/// Returns whether this part of the text is inside a placeholder of a known kind. The placeholder
/// may have a number or what [`Replacement`](super::Replacement) adds.
pub(super) fn is_in_placeholder(text: &str, part: std::ops::Range<usize>) -> bool {
    const LONGEST: usize = 64;
    let bytes = text.as_bytes();
    let from = part.start.saturating_sub(LONGEST);
    let Some(open) = bytes[from..=part.start].iter().rposition(|&byte| byte == b'[') else {
        return false;
    };
    let rest = &text[from + open..];
    let Some(length) = rest.bytes().take(LONGEST).position(|byte| byte == b']') else {
        return false;
    };
    let inside = &rest[1..length];
    let is_replaced = |kind: &Kind| {
        let plain = kind.placeholder();
        let shown = inside.strip_prefix(&plain[1..plain.len() - 1]);
        shown.and_then(|rest| rest.strip_prefix(':')).is_some_and(|shown| {
            matches!(shown.len(), 4 | 8)
                && shown.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        })
    };
    let is_other = || {
        let cut = inside.strip_prefix("TRUNCATED:");
        matches!(inside, "TOO_DEEP" | "UNSERIALIZABLE")
            || cut.is_some_and(|bytes| bytes.bytes().all(|byte| byte.is_ascii_digit()))
    };
    part.end <= from + open + length + 1
        && (parse_placeholder(rest).is_some() || Kind::ALL.iter().any(is_replaced) || is_other())
}

/// Returns kind, number and length of the placeholder at the beginning of the text.
pub(super) fn parse_placeholder(text: &str) -> Option<(Kind, u32, usize)> {
    Kind::ALL.into_iter().find_map(|kind| {
        let plain = kind.placeholder();
        let open = &plain[..plain.len() - 1];
        let rest = text.strip_prefix(open)?;
        if rest.starts_with(']') {
            return Some((kind, 1, plain.len()));
        }
        let rest = rest.strip_prefix('_')?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 || !rest[digits..].starts_with(']') {
            return None;
        }
        let number = rest[..digits].parse().unwrap_or(u32::MAX);
        Some((kind, number, open.len() + 1 + digits + 1))
    })
}
